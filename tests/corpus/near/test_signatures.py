"""Signatures: the definition, whatever the shards, and silence on the network."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.corpus.near import signatures, spec
from pretrial.corpus.near.shingles import normalise
from pretrial.corpus.near.signatures import sign

from .conftest import made_up, shingle_set

CONFIG = spec.signature_config(spec.Settings())
EMPTY = 2**32 - 1
TEXTS = [
    "The quick brown fox jumps over the lazy dog; the dog does not mind.",
    "def f(x):\n    return x + 1  # adds 1\n",
    "one two",
    "",
    "東京 is the capital of 日本",
]
GOLDEN = {("near-signatures", 1): "7cded3b3ef15f1ce", ("near-signatures-shard", 1): "7cded3b3ef15f1ce"}


def signed(texts: Sequence[str], **changed: Any) -> Any:
    return sign([normalise(text) for text in texts], {**CONFIG, **changed})


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "bb", "ß", "٣", "漢"]), min_size=1, max_size=30).map(" ".join), st.integers(1, 6))
def test_a_value_is_the_least_over_the_documents_shingles(text: str, words: int) -> None:
    """So the engine's shingles are ours: each alone is a document of one shingle."""
    each = sign(sorted(shingle_set(text, words)), {**CONFIG, "words": words, "hashes": 16})
    assert np.array_equal(signed([text], words=words, hashes=16)[0], each.min(axis=0))


def test_batches_change_nothing() -> None:
    texts = [made_up(seed, words=seed) for seed in range(60)]
    whole = signed(texts)
    assert whole.dtype == np.uint32
    assert whole.shape == (60, 160)
    assert np.array_equal(whole, np.concatenate([signed(texts[:17]), signed(texts[17:18]), signed(texts[18:])]))


def test_a_document_without_words_has_no_hash() -> None:
    assert (signed(["?!", "a"])[0] == EMPTY).all()


def test_seeds_draw_other_functions() -> None:
    assert (signed(TEXTS[:1], seed=1) != signed(TEXTS[:1], seed=2)).mean() > 0.9


def digest(artefact: Any) -> str:
    names = [shard[name] for shard in artefact.facts["shards"] for name in signatures.NAMES]
    arrays = [np.load(artefact.file(name)) for name in names]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def test_the_same_documents_have_the_same_signatures(tmp_path: Path, step: Any, make_corpus: Any) -> None:
    """A change here is a change of results: raise the version."""
    made = step(
        "pretrial.corpus.near.signatures:sign_corpus",
        tmp_path / "out",
        config=CONFIG,
        inputs={"corpus": make_corpus(TEXTS)},
    )
    assert {key: made.facts[key] for key in ("documents", "empty", "shingles")} == {
        "documents": 5,
        "empty": 1,
        "shingles": 10 + 4 + 1 + 0 + 4,
    }
    assert digest(made) == GOLDEN["near-signatures", spec.SEMANTICS["near-signatures"]]
    assert digest(made) == GOLDEN["near-signatures-shard", spec.SEMANTICS["near-signatures-shard"]]


@pytest.mark.parametrize("shards", [(), (1, 1), (20,), (7, 7, 7, 7, 7, 7)])
def test_rows_follow_the_corpus_for_any_shards(
    shards: tuple[int, ...], tmp_path: Path, step: Any, make_corpus: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr(signatures, "BATCH_BYTES", 900)
    texts = [made_up(seed, words=seed) for seed in range(40)]
    made = step(
        "pretrial.corpus.near.signatures:sign_corpus",
        tmp_path / "out",
        config=CONFIG,
        inputs={"corpus": make_corpus(texts, shards)},
    )
    for many in (1, 3, 1000):
        found = [np.concatenate(list(signatures.rows(made, name, many))) for name in signatures.NAMES]
        assert np.array_equal(found[0], signed(texts))
        assert found[1].tolist() == [0, 1, 1, 1, 1, *range(1, 36)]
        assert found[2].shape == (40, 2)
        assert len(np.unique(found[2], axis=0)) == 40


def test_shingles_of_another_version_are_refused(tmp_path: Path, step: Any, make_corpus: Any) -> None:
    with pytest.raises(ValueError, match="version 99"):
        step(
            "pretrial.corpus.near.signatures:sign_corpus",
            tmp_path / "out",
            config={**CONFIG, "shingles": 99},
            inputs={"corpus": make_corpus(TEXTS)},
        )


@pytest.mark.parametrize("name", ["unicode", "daft"])
def test_signatures_of_other_releases_are_refused(name: str, tmp_path: Path, step: Any, make_corpus: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} 0.1 were asked for"):
        step(
            "pretrial.corpus.near.signatures:sign_corpus",
            tmp_path / "out",
            config={**CONFIG, name: "0.1"},
            inputs={"corpus": make_corpus(TEXTS)},
        )


SILENCE = """
import os, socket, sys, threading
for name in ("DO_NOT_TRACK", "SCARF_NO_ANALYTICS", "DAFT_ANALYTICS_ENABLED"):
    os.environ.pop(name, None)
calls = []
socket.getaddrinfo = socket.socket.connect = lambda *given, **named: calls.append(given)
from pretrial.corpus.near import signatures, spec
config = spec.signature_config(spec.Settings())
assert "daft" not in sys.modules
signatures.sign([b"a b c"], config)
assert "daft" in sys.modules
assert not calls and threading.active_count() == 1, (calls, threading.enumerate())
"""


def test_the_engine_is_imported_late_and_calls_nobody() -> None:
    subprocess.run([sys.executable, "-c", SILENCE], check=True)
