"""What a tokenizer learns from a fixed text, and the tokens of fixed documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import golden
from pretrial.tokens.spec import MARK, SEMANTICS

GOLDEN: dict[tuple[str, int], Any] = {
    ("tokenizer", 1): {
        "merges": "19d41cf84ac76234",
        "first": ["Ġf", "Ġc", "ĠĠ", "Ġd", "Ġm", "Ġl", "Ġg", "Ġb", "Ġk", "de", "def", "):"],
        "mark": {"vocabulary": 400, "mark": 399, "text": "<|mark|>"},
        "lengths": "7fd5caecac18ed79",
        "facts": {
            "vocabulary": 400,
            "mark": 399,
            "sample_bytes": {"code": 2000, "prose": 4000},
            "bytes_per_token": {"code": 1.9011, "prose": 2.4631},
        },
    },
    ("tokens", 2): {
        "train": {
            "arrays": "e29135f741f0ff10",
            "documents": "c9ec8ff2485fa938",
            "facts": {"documents": 43, "tokens": 3918, "bytes": 9040},
            "contents": "e0910facd261dffd",
        },
        "held-out": {
            "arrays": "898c64734b4b4413",
            "documents": "fcb8e4bba4a1bdde",
            "facts": {"documents": 3, "tokens": 117, "bytes": 249},
            "contents": "0494e16c4648971b",
        },
    },
}  # fmt: skip

TEXTS = {
    "prose": [f"{golden.words(i, 40)}. Don't: it's number {i}!\n" for i in range(40)],
    "code": [f"def f_{i}(x):\n    return x * {i} + f_{i - 1}(x)\n\n" * 3 for i in range(40)],
}
AWKWARD = ["\n", "\x00é🙂", f"before {MARK} after", "e\u0301", "\ufeffx\r\ny", "a" * 300]


@pytest.fixture
def tokenizer(tmp_path: Path, corpora: Any, step: Callable[..., Any]) -> Any:
    config = {"vocabulary": 400, "shares": {"prose": [2, 3], "code": [1, 3]}, "sample_bytes": 6_000}
    inputs = corpora(TEXTS, held={"prose": [0, 1], "code": [2]})
    return step("pretrial.tokens.tokenizer:train_tokenizer", tmp_path / "tokenizer", config=config, inputs=inputs)


def test_the_tokenizer_is_the_same(tokenizer: Any) -> None:
    described = json.loads((tokenizer.path / "tokenizer.json").read_text())
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in described["model"]["merges"]]
    found = {
        "merges": golden.digest(merges),
        "first": ["".join(pair) for pair in merges[:12]],
        "mark": json.loads((tokenizer.path / "mark.json").read_text()),
        "lengths": golden.digest(np.load(tokenizer.path / "token_bytes.npy").tolist()),
        "facts": tokenizer.facts,
    }
    golden.unchanged("tokenizer", SEMANTICS["tokenizer"], found, GOLDEN, "pretrial.tokens.spec", rel=1e-9)


def test_the_tokens_are_the_same(tokenizer: Any, tmp_path: Path, corpora: Any, step: Callable[..., Any]) -> None:
    inputs = corpora({"prose": [*AWKWARD, *TEXTS["prose"]]}, held={"prose": [0, 2, 9]})
    found = {}
    for part in ("train", "held-out"):
        given = {"corpus": inputs["corpus:prose"], "select": inputs["select"], "tokenizer": tokenizer}
        config = {"source": "prose", "part": part}
        made = step("pretrial.tokens.shards:tokenise", tmp_path / part, config=config, inputs=given)
        arrays = [np.load(made.path / f"{name}.npy") for name in ("tokens", "starts", "bytes")]
        assert [array.dtype.str for array in arrays] == ["<u2", "<i8", "<i8"]
        documents = pq.read_table(made.path / "documents.parquet").to_pylist()
        found[part] = {
            "arrays": golden.digest(*(array.tolist() for array in arrays)),
            "documents": golden.digest(documents, (made.path / "ids.txt").read_text()),
            "facts": {name: made.facts[name] for name in ("documents", "tokens", "bytes")},
            "contents": golden.digest(made.facts["contents"]),
        }
    golden.unchanged("tokens", SEMANTICS["tokens"], found, GOLDEN, "pretrial.tokens.spec")


def test_every_kind_has_a_golden() -> None:
    assert {kind for kind, _ in GOLDEN} == set(SEMANTICS)
