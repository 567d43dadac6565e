"""A passage is scored as if it stood alone, whatever shares its row, and in few fixed shapes."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pretrial.evaluate.load import CheckpointScorer
from pretrial.evaluate.scorer import Passage, pack
from pretrial.model.spec import ModelSpec

CONTEXT, VOCABULARY = 32, 257


@pytest.fixture
def scorer(tiny_scorer: CheckpointScorer) -> CheckpointScorer:
    return tiny_scorer


def alone(scorer: CheckpointScorer, passage: Passage) -> tuple[np.ndarray, np.ndarray]:
    """The passage on its own, unpadded: log-softmax in float64."""
    tokens = torch.from_numpy(passage.tokens)
    with torch.no_grad():
        logits = scorer.decoder(tokens[None, :-1], torch.zeros(1, len(tokens) - 1, dtype=torch.int32))[0].double()
    logprobs = torch.log_softmax(logits, -1)[torch.arange(len(tokens) - 1), tokens[1:]]
    return logprobs[passage.first - 1 :].numpy(), (logits.argmax(-1) == tokens[1:])[passage.first - 1 :].numpy()


def passages(seed: int, count: int) -> list[Passage]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        length = int(rng.integers(2, CONTEXT + 2))
        made.append(Passage(rng.integers(0, VOCABULARY, length), int(rng.integers(1, length))))
    return made


def test_packed_passages_score_as_they_do_alone(scorer: CheckpointScorer) -> None:
    asked = [*passages(0, 60), Passage(np.arange(CONTEXT + 1) % VOCABULARY)]
    for passage, scores in zip(asked, scorer.score(asked), strict=True):
        logprobs, greedy = alone(scorer, passage)
        assert scores.logprobs == pytest.approx(logprobs, abs=1e-4)
        assert (scores.greedy == greedy).all()


def test_first_guesses_are_among_the_scores(scorer: CheckpointScorer) -> None:
    asked = passages(5, 60)
    guesses = np.concatenate([scores.greedy for scores in scorer.score(asked)])
    assert 0 < guesses.sum() < len(guesses)


def test_only_two_shapes_ever_reach_the_model(monkeypatch: pytest.MonkeyPatch, scorer: CheckpointScorer) -> None:
    shapes = set()
    body, head = scorer._body, scorer._head
    monkeypatch.setattr(scorer, "_body", lambda t, s: (shapes.add(("body", *t.shape, *s.shape)), body(t, s))[1])
    monkeypatch.setattr(scorer, "_head", lambda h, t: (shapes.add(("head", *h.shape)), head(h, t))[1])
    for count in (1, 7, 200):
        scorer.score(passages(count, count))
    rows = scorer.rows
    assert shapes == {("body", rows, CONTEXT, rows, CONTEXT), ("head", scorer.positions, 32)}


def test_the_same_passages_give_the_same_bits(scorer: CheckpointScorer) -> None:
    first, second = (scorer.score(passages(2, 40)) for _ in range(2))
    assert all((a.logprobs == b.logprobs).all() for a, b in zip(first, second, strict=True))


def test_equal_passages_are_run_once(monkeypatch: pytest.MonkeyPatch, scorer: CheckpointScorer) -> None:
    run = []
    body = scorer._body
    monkeypatch.setattr(scorer, "_body", lambda t, s: (run.append(1), body(t, s))[1])
    full = Passage(np.arange(CONTEXT + 1) % VOCABULARY)
    scores = scorer.score([full] * (5 * scorer.rows))
    assert len(run) == 1
    assert len(scores) == 5 * scorer.rows


def test_nothing_to_score_gives_nothing(scorer: CheckpointScorer) -> None:
    assert scorer.score([]) == []
    assert len(scorer.score([Passage(np.array([256]), 1)])[0].logprobs) == 0


@pytest.mark.parametrize("passage", [Passage(np.arange(CONTEXT + 2)), Passage(np.arange(5), 0)])
def test_what_cannot_be_scored_is_refused(scorer: CheckpointScorer, passage: Passage) -> None:
    with pytest.raises(ValueError, match=r"passage|first"):
        scorer.score([passage])


@given(st.lists(st.integers(0, 50), max_size=80))
def test_packing_places_everything_once_and_overfills_no_row(lengths: list[int]) -> None:
    rows = pack(lengths, 50)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row) <= 50 for row in rows)
    # No two rows that are at most half full: best fit would have joined them.
    assert sum(2 * sum(lengths[index] for index in row) <= 50 for row in rows) <= 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler to compile with")
def test_compiled_scores_equal_eager_ones_and_nothing_is_compiled_twice(
    checkpoint: Any, record: dict[str, Any]
) -> None:
    spec = ModelSpec(2, 32, 4, 48)
    eager, compiled = (
        CheckpointScorer(spec, VOCABULARY, CONTEXT, 256, {**record, "backend": backend})
        for backend in ("eager", "compiled")
    )
    torch._dynamo.utils.counters.clear()
    for scorer in (eager, compiled, compiled):
        scorer.load(checkpoint.path)
    asked = passages(3, 50)
    wanted, made = eager.score(asked), compiled.score(asked)
    compiled.load(checkpoint.path)
    again = compiled.score(asked)
    compiled.score(asked[:3])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2
    for one, two, three in zip(wanted, made, again, strict=True):
        assert two.logprobs == pytest.approx(one.logprobs, abs=1e-4)
        assert (two.logprobs == three.logprobs).all()
