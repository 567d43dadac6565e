"""The cloze task: who knows the answers is right, who knows nothing is right one time in four."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.errors import RequestError, RunError
from pretrial.evaluate.cloze import ClozeItem, item_values, log_likelihoods, read_items, share
from pretrial.evaluate.scorer import Passage, Scores

MAKE = "pretrial.evaluate.cloze:make_cloze_items"


@pytest.fixture
def items_of(
    tmp_path: Path, step: Callable[..., Any], tokenizer: Any, make_tokens: Callable[..., Any]
) -> Callable[..., Any]:
    """`items_of(count, prose=[texts], …)`: the artefact of cloze items."""

    def make(count: int, name: str = "items", **sources: list[str]) -> Any:
        inputs = {
            f"tokens:{source}": make_tokens(
                f"{name}-{source}", texts, [f"{source}/g{i // 2}" for i in range(len(texts))]
            )
            for source, texts in sources.items()
        }
        config = {"sources": list(sources), "items": count}
        return step(MAKE, tmp_path / name, config=config, inputs={**inputs, "tokenizer": tokenizer})

    return make


def test_an_item_is_a_place_in_a_document_with_its_true_continuation(
    items_of: Callable[..., Any], words: Callable[[int, int], str]
) -> None:
    texts = [words(i, 60) for i in range(20)]
    items = read_items(items_of(12, prose=texts).file("items.parquet"))
    assert len(items) == 12
    answers = []
    for item in items:
        assert len(item.context) == 96
        assert [len(choice) for choice in item.choices] == [32] * 4
        shown = bytes(item.context.tolist()) + bytes(item.choices[item.gold].tolist())
        homes = [text for text in texts if shown in text.encode()]
        assert len(homes) == 1
        wrong = [choice for i, choice in enumerate(item.choices) if i != item.gold]
        assert not any(bytes(choice.tolist()) in homes[0].encode() for choice in wrong)
        assert all(any(bytes(c.tolist()) in text.encode() for text in texts) for c in wrong)
        assert item.answer_bytes == 32
        answers.append(homes[0])
        assert all(bytes(choice.tolist())[:1] == b" " for choice in item.choices)
    assert len(set(answers)) == 12  # one item a document while documents last
    assert len({item.gold for item in items}) > 1


def test_two_items_of_a_document_do_not_overlap(items_of: Callable[..., Any], words: Callable[[int, int], str]) -> None:
    texts = [words(i, 90) for i in range(6)]
    items = read_items(items_of(100, prose=texts).file("items.parquet"))
    assert len(items) == 12
    spans = sorted((name, int(at) - 96, int(at) + 32) for name, at in (item.item.split("#") for item in items))
    assert max(Counter(name for name, *_ in spans).values()) == 2
    for (name, _, end), (other, begin, _) in pairwise(spans):
        assert name != other or end <= begin


def test_sources_share_the_items_and_a_poor_one_leaves_its_part_to_others(
    items_of: Callable[..., Any], words: Callable[[int, int], str]
) -> None:
    rich, poor = [words(i, 60) for i in range(30)], [words(100 + i, 40) for i in range(5)]
    short = ["too short", words(200, 5)]
    made = items_of(20, rich=rich, poor=poor, short=short)
    assert made.facts["by_source"] == {"rich": 15, "poor": 5, "short": 0}
    assert made.facts["chance"] == 0.25
    again = items_of(20, "again", rich=rich, poor=poor, short=short)
    assert again.facts == made.facts
    assert [i.item.split("/")[-1] for i in read_items(again.file("items.parquet"))] == [
        i.item.split("/")[-1] for i in read_items(made.file("items.parquet"))
    ]


def test_no_document_long_enough_is_an_error(items_of: Callable[..., Any]) -> None:
    with pytest.raises(RunError, match="cloze"):
        items_of(20, prose=["short"])


@given(st.integers(0, 200), st.lists(st.integers(0, 60), max_size=6))
def test_shares_are_even_and_complete(total: int, available: list[int]) -> None:
    shares = share(total, available)
    assert sum(shares) == min(total, sum(available))
    assert all(0 <= given <= most for given, most in zip(shares, available, strict=True))
    top = max(shares, default=0)
    assert all(given >= top - 1 or given == most for given, most in zip(shares, available, strict=True))


class Oracle:
    """Gives a true continuation high probability after its context, and all else the same."""

    context, mark = 128, 256

    def __init__(self, items: Sequence[ClozeItem], knows: bool) -> None:
        self.known = {(*item.context.tolist(), *item.choices[item.gold].tolist()) for item in items}
        self.knows = knows
        self.rng = np.random.default_rng(0)

    def score(self, passages: Sequence[Passage]) -> list[Scores]:
        scores = []
        for p in passages:
            n = len(p.tokens) - p.first
            known = self.knows and tuple(p.tokens.tolist()) in self.known
            logprob = -0.1 if known else -5.0 + (0 if self.knows else 0.1 * self.rng.standard_normal())
            scores.append(Scores(np.full(n, logprob), np.zeros(n, bool)))
        return scores


def many_items(count: int) -> list[ClozeItem]:
    rng = np.random.default_rng(1)
    return [
        ClozeItem(
            "prose",
            f"d{i}",
            f"d{i}",
            rng.integers(0, 256, 96),
            tuple(rng.integers(0, 256, (4, 32))),
            int(rng.integers(4)),
            32,
        )
        for i in range(count)
    ]


def mean(items: Sequence[ClozeItem], scorer: Any, metric: str) -> float:
    conditional, alone = log_likelihoods(scorer, items)
    values = [
        v for i, item in enumerate(items) for v in item_values(item, conditional[i], alone[i]) if v.metric == metric
    ]
    return sum(v.value for v in values) / sum(v.weight for v in values)


def test_a_model_that_knows_the_answers_is_always_right() -> None:
    items = many_items(50)
    knows = Oracle(items, knows=True)
    assert mean(items, knows, "accuracy") == 1.0
    assert mean(items, knows, "correct_choice_probability") > 0.99
    assert mean(items, knows, "margin") == pytest.approx(32 * 4.9 / math.log(2))
    assert mean(items, knows, "answer_bits_per_byte") == pytest.approx(0.1 / math.log(2))


def test_a_model_that_guesses_is_at_chance() -> None:
    items = many_items(600)
    assert mean(items, Oracle(items, knows=False), "accuracy") == pytest.approx(0.25, abs=0.07)


def test_the_score_takes_off_what_a_choice_is_worth_alone() -> None:
    item = many_items(1)[0]
    conditional, alone = np.full(4, -50.0), np.full(4, -60.0)
    favourite = (item.gold + 1) % 4
    conditional[favourite], alone[favourite] = -10.0, -11.0  # likely anywhere: the context adds little
    values = {v.metric: v.value for v in item_values(item, conditional, alone)}
    assert values["accuracy"] == float(item.gold == 0)  # the three others tie at 10 nats; the first wins
    conditional[item.gold] += 0.5
    values = {v.metric: v.value for v in item_values(item, conditional, alone)}
    assert values["accuracy"] == 1.0
    assert values["margin"] == pytest.approx(0.5 / math.log(2))
    others = math.exp(10) * 2 + math.exp(1)
    assert values["correct_choice_probability"] == pytest.approx(math.exp(10.5) / (math.exp(10.5) + others))


def test_the_step_scores_one_source_the_same_every_time(
    tmp_path: Path,
    step: Callable[..., Any],
    items_of: Callable[..., Any],
    checkpoint: Any,
    tokenizer: Any,
    record: dict[str, Any],
    words: Callable[[int, int], str],
) -> None:
    items = items_of(16, prose=[words(i, 60) for i in range(10)], code=[words(50 + i, 60) for i in range(10)])
    config = {"task": "code", "context": 128, "record": record}
    inputs = {"checkpoint": checkpoint, "items": items, "tokenizer": tokenizer}
    made = [step("pretrial.evaluate.cloze:evaluate_cloze", tmp_path / n, config=config, inputs=inputs) for n in "ab"]
    assert made[0].content == made[1].content
    rows = {row["metric"]: row for row in made[0].facts["rows"]}
    assert list(rows) == ["accuracy", "answer_bits_per_byte", "margin", "correct_choice_probability"]
    assert all((row["task"], row["category"], row["n"]) == ("code", "cloze", 8) for row in rows.values())
    assert rows["accuracy"]["chance"] == 0.25
    assert rows["correct_choice_probability"]["value"] == pytest.approx(0.25, abs=0.1)
    table = pq.read_table(made[0].path / "items.parquet")
    assert table.num_rows == 32
    config["context"] = 64
    with pytest.raises(RequestError, match="context length of 128"):
        step("pretrial.evaluate.cloze:evaluate_cloze", tmp_path / "c", config=config, inputs=inputs)
