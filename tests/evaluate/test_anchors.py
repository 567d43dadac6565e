"""Anchors: a 3-gram model of what was drawn, and zstd, on the documents that the model is judged by."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import zstandard

from pretrial.evaluate import anchors
from pretrial.evaluate.documents import HeldOut, choose_documents
from pretrial.evaluate.ngram import TrigramModel
from pretrial.tokens.tokenizer import TextTokenizer

STEP = "pretrial.evaluate.anchors:evaluate_anchors"
CONTEXT = 32


@pytest.fixture
def course(make_tokens: Callable[..., Any], words: Callable[[int, int], str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configuration and training tokens of a course over two sources: half and half, then one alone."""
    segments = [
        {
            "start": 0,
            "sources": ["prose", "code"],
            "shares": [[1, 2], [1, 2]],
            "first_draw": [0, 0],
            "pattern_start": 0,
        },
        {"start": 640, "sources": ["prose"], "shares": [[1, 1]], "first_draw": [10], "pattern_start": 640},
    ]
    course = {"context": CONTEXT, "order": 1, "subset": 1, "segments": segments}
    config = {"course": course, "to_tokens": 1280}
    tokens = {
        "tokens:prose": make_tokens("prose-train", [words(i, 40) for i in range(8)]),
        "tokens:code": make_tokens("code-train", ["(define (f x) (* x x))" * 9] * 1 + ["(g (h))" * 30]),
    }
    return config, tokens


def test_three_grams_and_zstd_stand_on_the_same_documents(
    tmp_path: Path,
    step: Callable[..., Any],
    course: tuple[dict[str, Any], dict[str, Any]],
    make_tokens: Callable[..., Any],
    tokenizer: Any,
    words: Callable[[int, int], str],
) -> None:
    config, tokens = course
    held_out = make_tokens("prose", [words(100 + i, 40) for i in range(9)])
    inputs = {**tokens, "held-out": held_out, "tokenizer": tokenizer}
    config = {**config, "category": "held-out", "task": "prose", "bytes": 1200}
    made = [step(STEP, tmp_path / n, config=config, inputs=inputs) for n in "ab"]
    assert made[0].content == made[1].content
    ngram, zstd = made[0].facts["rows"]
    assert (ngram["metric"], zstd["metric"]) == ("bits_per_byte_3gram", "bits_per_byte_zstd")

    documents = choose_documents(HeldOut(held_out), 1200, np.array([1] * 256 + [0], dtype=np.int32))
    text = b"".join(bytes(document.tokens.tolist()) for document in documents)
    assert zstd["value"] == 8 * len(zstandard.ZstdCompressor(level=19).compress(text)) / len(text)
    assert zstd["stderr"] is None
    items = pq.read_table(made[0].path / "items.parquet").to_pylist()
    scored = [item for item in items if item["metric"] == "bits_per_byte_3gram"]
    assert {item["item"] for item in scored} == {document.id for document in documents}
    assert sum(item["weight"] for item in scored) == len(text)
    assert 1 < ngram["value"] < 6  # prose of 22 letters, learned from 30 windows
    assert made[0].facts["learned_tokens"] <= 1280


def test_the_model_learns_from_the_distinct_windows_drawn_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    step: Callable[..., Any],
    course: tuple[dict[str, Any], dict[str, Any]],
    make_tokens: Callable[..., Any],
    tokenizer: Any,
    words: Callable[[int, int], str],
) -> None:
    config, tokens = course
    learned: list[np.ndarray] = []

    def spy(vocabulary: int, batches: Any) -> TrigramModel:
        kept = list(batches)
        learned.extend(windows for windows, _ in kept)
        return original(vocabulary, kept)

    original = TrigramModel.from_windows
    monkeypatch.setattr(anchors, "_LAST", {})
    monkeypatch.setattr(anchors.TrigramModel, "from_windows", spy)
    inputs = {**tokens, "held-out": make_tokens("prose", [words(7, 40)]), "tokenizer": tokenizer}
    config = {**config, "category": "held-out", "task": "prose", "bytes": 1200}
    step(STEP, tmp_path / "a", config=config, inputs=inputs)
    step(STEP, tmp_path / "b", config={**config, "bytes": 800}, inputs=inputs)
    rows = [bytes(row.astype("<u2").tobytes()) for windows in learned for row in windows]
    assert len(rows) == len(set(rows))  # each once, and learned once for both domains
    prose = np.load(tokens["tokens:prose"].file("tokens.npy"))
    code = np.load(tokens["tokens:code"].file("tokens.npy"))
    every = {
        stream[at : at + CONTEXT + 1].astype("<u2").tobytes()
        for stream in (prose, code)
        for at in range(0, len(stream) - CONTEXT, CONTEXT)
    }
    assert set(rows) <= every
    # 10 draws of code, then 30 of prose: fewer than prose has, more than code has.
    assert len(rows) == min(10, (len(code) - 1) // CONTEXT) + min(30, (len(prose) - 1) // CONTEXT)


def test_cloze_items_are_answered_by_the_same_score(
    tmp_path: Path,
    step: Callable[..., Any],
    course: tuple[dict[str, Any], dict[str, Any]],
    make_tokens: Callable[..., Any],
    tokenizer: Any,
    words: Callable[[int, int], str],
) -> None:
    config, tokens = course
    held_out = make_tokens("prose", [words(200 + i, 60) for i in range(9)])
    items = step(
        "pretrial.evaluate.cloze:make_cloze_items",
        tmp_path / "items",
        config={"sources": ["prose"], "items": 9},
        inputs={"tokens:prose": held_out, "tokenizer": tokenizer},
    )
    made = step(
        STEP,
        tmp_path / "a",
        config={**config, "category": "cloze", "task": "prose", "bytes": 1200},
        inputs={**tokens, "items": items, "tokenizer": tokenizer},
    )
    (row,) = made.facts["rows"]
    assert (row["metric"], row["category"], row["n"], row["chance"]) == ("accuracy_3gram", "cloze", 9, 0.25)
    assert 0 <= row["value"] <= 1


def test_bits_of_a_document_are_those_of_its_tokens_and_end() -> None:
    model = TrigramModel(4, np.array([4, 4]), np.array([3, 3]), np.array([0, 1]))
    from pretrial.evaluate.documents import Document

    tokens = np.array([0, 1])
    cut, whole = anchors.ngram_bits(
        model, [Document("a", "a", tokens, 2, False), Document("b", "b", tokens, 2, True)], mark=3
    )
    end = -math.log2(model.probability(np.array([0]), np.array([1]), np.array([3]))[0])
    assert whole == pytest.approx(cut + end)


def test_bytes_of_tokens_are_the_text(tokenizer: Any) -> None:
    from pretrial.evaluate.documents import Document

    text = "naïve – 漢字".encode()
    document = Document("a", "a", np.frombuffer(text, dtype=np.uint8).astype(np.int64), len(text), True)
    packed = anchors.compressed_bytes([document], TextTokenizer(tokenizer.path))
    assert packed == len(zstandard.ZstdCompressor(level=19).compress(text))
