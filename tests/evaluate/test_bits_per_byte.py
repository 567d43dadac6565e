"""Bits per byte against a naive reading of its definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pretrial.errors import RunError
from pretrial.evaluate.bits_per_byte import document_bits, windows
from pretrial.evaluate.documents import Document, HeldOut, choose_documents
from pretrial.evaluate.load import CheckpointScorer
from pretrial.evaluate.scorer import Passage, Scores
from pretrial.model.decoder import Decoder

LENGTHS = np.array([1] * 256 + [0], dtype=np.int32)


@given(st.integers(1, 400), st.integers(1, 64))
def test_windows_score_every_token_once_with_half_a_context_before(length: int, context: int) -> None:
    spans = windows(length, context)
    scored = [target for _, first, stop in spans for target in range(first, stop)]
    assert scored == list(range(length))
    for begin, first, stop in spans:
        assert stop - begin <= context
        assert first == 0 or first - begin >= context // 2


def test_windows_golden() -> None:
    assert windows(8, 8) == [(0, 0, 8)]
    assert windows(9, 8) == [(0, 0, 8), (4, 8, 9)]
    assert windows(20, 8) == [(0, 0, 8), (4, 8, 12), (8, 12, 16), (12, 16, 20)]


class Uniform:
    """Knows nothing: every token has probability 1 / V."""

    context, mark = 16, 256

    def score(self, passages: list[Passage]) -> list[Scores]:
        return [
            Scores(np.full(len(p.tokens) - p.first, -math.log(257)), np.zeros(len(p.tokens) - p.first, bool))
            for p in passages
        ]


@given(st.integers(1, 100), st.booleans())
def test_a_model_that_knows_nothing_pays_log_v_for_every_token_and_the_end_mark(length: int, whole: bool) -> None:
    document = Document("d", "g", np.zeros(length, dtype=np.int64), length, whole)
    bits = document_bits(Uniform(), [document])
    assert bits[0] == pytest.approx((length + whole) * math.log2(257))


def naive_bits(decoder: Decoder, document: Document, context: int, mark: int) -> float:
    """The definition, token by token: each in the window that scores it, float64 after the logits."""
    stream = [mark, *document.tokens.tolist(), *([mark] if document.whole else [])]
    bits = 0.0
    for target in range(1, len(stream)):
        # The first window covers the first `context` targets; each later one reaches half a context further.
        steps = 0 if target <= context else math.ceil((target - context) / (context // 2))
        begin = steps * (context // 2)
        tokens = torch.tensor(stream[begin:target])[None]
        with torch.no_grad():
            logits = decoder(tokens, torch.zeros(tokens.shape, dtype=torch.int32))[0, -1].double()
        bits -= float(torch.log_softmax(logits, -1)[stream[target]]) / math.log(2)
    return bits


def test_equals_the_naive_definition_for_short_long_and_cut_documents(tiny_scorer: CheckpointScorer) -> None:
    rng = np.random.default_rng(0)
    context = tiny_scorer.context
    lengths = [1, 3, context - 1, context, context + 1, 2 * context, 3 * context + 5]
    documents = [
        Document(f"d{i}", "g", rng.integers(0, 256, length), length, whole=i % 3 != 0)
        for i, length in enumerate(lengths)
    ]
    bits = document_bits(tiny_scorer, documents)
    expected = [naive_bits(tiny_scorer.decoder, d, context, tiny_scorer.mark) for d in documents]
    assert bits == pytest.approx(expected, rel=1e-5)


def test_documents_fill_the_budget_from_the_start(make_tokens: Callable[..., Any]) -> None:
    texts = [f"{i}: " + "x" * (20 + i) for i in range(40)]
    held_out = HeldOut(make_tokens("prose", texts))
    chosen = choose_documents(held_out, 400, LENGTHS)
    assert [d.id for d in chosen] == held_out.ids[: len(chosen)]
    assert sum(d.bytes for d in chosen) == 400
    assert all(d.bytes == len(d.tokens) for d in chosen)
    assert not chosen[-1].whole or len(chosen[-1].tokens) == held_out.bytes[len(chosen) - 1]
    fewer = choose_documents(held_out, 300, LENGTHS)
    assert [d.id for d in fewer] == held_out.ids[: len(fewer)]


def test_a_long_document_gives_an_eighth_of_the_budget_at_most(make_tokens: Callable[..., Any]) -> None:
    held_out = HeldOut(make_tokens("prose", [c * 5000 for c in "abcdefghij"]))
    chosen = choose_documents(held_out, 800, LENGTHS)
    assert [d.bytes for d in chosen] == [100] * 8
    assert not any(d.whole for d in chosen)


def test_a_cut_falls_on_a_token_boundary_within_the_budget(make_tokens: Callable[..., Any]) -> None:
    held_out = HeldOut(make_tokens("prose", ["a" * 50, "b" * 50, "c" * 50]))
    lengths = np.array([3] * 256 + [0], dtype=np.int32)  # as if every token spelled three bytes
    held_out.bytes = held_out.bytes * 3
    chosen = choose_documents(held_out, 320, lengths)
    assert [d.bytes for d in chosen] == [39, 39, 39]  # an eighth of 320 is 40


def test_fewer_documents_than_the_budget_are_all_taken(make_tokens: Callable[..., Any]) -> None:
    chosen = choose_documents(HeldOut(make_tokens("prose", ["one", "two"])), 10_000, LENGTHS)
    assert sorted(d.bytes for d in chosen) == [3, 3]
    assert all(d.whole for d in chosen)


def test_no_held_out_document_is_an_error(make_tokens: Callable[..., Any]) -> None:
    with pytest.raises(RunError, match="no held-out document"):
        choose_documents(HeldOut(make_tokens("prose", [])), 10_000, LENGTHS)


def test_the_step_writes_documents_as_items_with_bytes_as_weights(
    tmp_path: Path,
    step: Callable[..., Any],
    checkpoint: Any,
    tokenizer: Any,
    make_tokens: Callable[..., Any],
    record: dict[str, Any],
    words: Callable[[int, int], str],
) -> None:
    tokens = make_tokens("prose", [words(i, 30) for i in range(12)], [f"g{i // 2}" for i in range(12)])
    config = {"category": "transfer", "task": "prose", "bytes": 1500, "context": 32, "record": record}
    inputs = {"checkpoint": checkpoint, "tokens": tokens, "tokenizer": tokenizer}
    made = [
        step("pretrial.evaluate.bits_per_byte:evaluate_bits_per_byte", tmp_path / n, config=config, inputs=inputs)
        for n in "ab"
    ]
    assert made[0].content == made[1].content
    (row,) = made[0].facts["rows"]
    items = pq.read_table(made[0].path / "items.parquet").to_pydict()
    assert row["value"] == pytest.approx(sum(items["value"]) / sum(items["weight"]))
    assert sum(items["weight"]) == made[0].facts["bytes"] <= 1500
    assert (row["task"], row["category"], row["metric"]) == ("prose", "transfer", "bits_per_byte")
    assert row["stderr"] > 0
    assert set(items["cluster"]) <= {f"g{i}" for i in range(6)}
    assert 7 < row["value"] < 9  # an untrained model on bytes pays about log2(257)
