"""Items of held-out documents are told apart, whatever the documents are called."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrial.evaluate import documents
from pretrial.evaluate.documents import SHARE_OF_ONE, HeldOut, choose_documents
from pretrial.evaluate.spec import LEAST_DOMAIN_BYTES

LENGTHS = np.array([1] * 256 + [0], dtype=np.int32)


def renamed(tokens: Any, ids: list[str], shas: list[str] | None = None) -> HeldOut:
    path = tokens.path / "documents.parquet"
    table = pq.read_table(path).to_pydict()
    pq.write_table(pa.table({**table, "id": ids, "sha": shas or table["sha"]}), path)
    return HeldOut(tokens)


def test_repeated_ids_are_followed_by_the_texts_hash(make_tokens: Callable[..., Any]) -> None:
    held_out = renamed(make_tokens("prose", ["one", "two", "three"]), ["page", "page", "other"])
    assert held_out.ids == [f"page@{held_out.shas[0][:8]}", f"page@{held_out.shas[1][:8]}", "other"]
    chosen = choose_documents(held_out, 1_000, LENGTHS)
    assert len({document.id for document in chosen}) == 3
    for document in chosen[:2]:
        text = bytes(document.tokens.tolist())
        assert document.id.endswith(hashlib.sha256(text).hexdigest()[:8])


def test_equal_beginnings_of_hashes_are_told_apart_too(make_tokens: Callable[..., Any]) -> None:
    shas = ["0123456789" * 6 + "0000", "01234567" + "f" * 56, "2" * 64]
    held_out = renamed(make_tokens("prose", ["one", "two", "three"]), ["page"] * 3, shas)
    assert held_out.ids == [f"page@{sha[:16]}" for sha in shas]
    assert len(set(documents._told_apart(["x", "x", "x@" + "0" * 8], ["0" * 64, "1" * 64, "2" * 64]))) == 3


def test_two_documents_of_one_name_are_two_items(
    tmp_path: Path,
    step: Callable[..., Any],
    checkpoint: Any,
    tokenizer: Any,
    make_tokens: Callable[..., Any],
    record: dict[str, Any],
) -> None:
    tokens = make_tokens("prose", ["one two", "three four", "five six"], ["g0", "g1", "g2"])
    renamed(tokens, ["page", "page", "other"])
    config = {"category": "transfer", "task": "prose", "bytes": 1500, "context": 32, "record": record}
    inputs = {"checkpoint": checkpoint, "tokens": tokens, "tokenizer": tokenizer}
    made = step("pretrial.evaluate.bits_per_byte:evaluate_bits_per_byte", tmp_path / "a", config=config, inputs=inputs)
    items = pq.read_table(made.path / "items.parquet").column("item").to_pylist()
    assert sorted(name.partition("@")[0] for name in items) == ["other", "page", "page"]
    assert len(set(items)) == 3


def test_the_least_budget_gives_something_of_every_document(make_tokens: Callable[..., Any]) -> None:
    """What a study may ask for at least: no document is so long that not one token of it fits."""
    held_out = HeldOut(make_tokens("prose", [letter * 5_000 for letter in "abcdefghij"]))
    held_out.bytes = held_out.bytes * 64
    lengths = np.array([64] * 256 + [0], dtype=np.int32)
    assert len(choose_documents(held_out, LEAST_DOMAIN_BYTES, lengths)) >= SHARE_OF_ONE
    with pytest.raises(ValueError, match="too small"):
        choose_documents(held_out, SHARE_OF_ONE - 1, lengths)
