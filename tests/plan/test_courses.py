"""Variants made exact: whole steps, learning rates on both sides of a hand-over, merged stages, draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.errors import RequestError
from pretrial.plan.courses import Course, courses
from pretrial.plan.view import replay
from pretrial.study.schema import Study
from pretrial.train.spec import step_learning_rate

BATCH = 1024
Build = Callable[..., Study]
Plan = Callable[..., Any]


def stage(steps: int, mixture: str = "text", **fields: Any) -> dict[str, Any]:
    return {"tokens": steps * BATCH, "mixture": mixture, **fields}


def schedule(kind: str, clock: str = "variant", **fields: Any) -> dict[str, Any]:
    return {
        "batch": BATCH,
        "optimizer": {"adamw": {"lr": 0.01}},
        "schedule": {kind: {"warmup": 2 * BATCH, **fields}, "clock": clock},
    }


def course(study: Study, variant: str = "text→text") -> Course:
    return courses(study, 300)[variant]


def test_a_stage_rounds_down_to_whole_steps(build: Build) -> None:
    made = course(build(variants={"text→text": [{"tokens": 10 * BATCH + 1023, "mixture": "text"}, stage(3)]}))
    first, second = made.stages
    assert (first.asked, first.tokens, first.steps) == (10 * BATCH + 1023, 10 * BATCH, 10)
    assert (second.first, second.last, made.end) == (10 * BATCH, 13 * BATCH, 13 * BATCH)


def test_on_the_variants_clock_the_rate_runs_on_through_a_hand_over(build: Build) -> None:
    first, second = course(build(), "mixed→text").stages
    # The rate of a step is the schedule's at its middle: from 0.01 at 2 steps to 0.001 at 20.
    slope = (0.01 - 0.001) / 18
    assert first.lr_first == pytest.approx(0.01 * 0.5 / 2)
    assert first.lr_last == pytest.approx(0.01 - 7.5 * slope)
    assert second.lr_first == pytest.approx(0.01 - 8.5 * slope)
    assert second.lr_last == pytest.approx(0.01 - 17.5 * slope)


def test_on_the_stages_clock_every_stage_warms_up_again(build: Build) -> None:
    training = schedule("linear", "stage", floor="10%")
    first, second = course(build(training=training)).stages
    assert first.lr_first == second.lr_first == pytest.approx(0.0025)
    assert first.lr_last == second.lr_last == pytest.approx(0.01 - 7.5 * 0.009 / 8)
    assert first.pieces != second.pieces, "each has its own start, so they are not one trajectory"
    assert len(course(build(training=training)).segments) == 2


def test_warmup_stable_decay_is_cut_where_the_decay_begins_on_a_step(build: Build) -> None:
    training = schedule("warmup-stable-decay", decay=5 * BATCH + 100, floor="0%")
    made = course(build(training=training))
    first, second = made.stages
    assert [piece.kind for piece in first.pieces] == ["constant"]
    assert [(piece.kind, piece.start) for piece in second.pieces] == [("constant", 0), ("linear", 15 * BATCH)]
    assert first.lr_last == second.lr_first == 0.01
    assert second.lr_last == pytest.approx(0.01 * 0.5 / 5)
    assert [(s.start, s.lr.kind) for s in made.segments] == [(0, "constant"), (15 * BATCH, "linear")]


def test_the_horizon_is_part_of_a_decay_and_not_of_a_constant_phase(build: Build) -> None:
    def segments(kind: str, steps: int, **fields: Any) -> Any:
        training = schedule(kind, **fields)
        return course(build(training=training, variants={"text→text": [stage(10), stage(steps)]})).segments

    assert segments("linear", 10, floor="10%")[0] != segments("linear", 12, floor="10%")[0]
    assert segments("constant", 10)[0] == segments("constant", 12)[0]
    short, long = (segments("warmup-stable-decay", n, decay=5 * BATCH, floor="0%") for n in (10, 12))
    assert short[0] == long[0]
    assert short[1] != long[1]


def test_a_stage_with_a_schedule_of_its_own_follows_it_on_its_own_clock(build: Build) -> None:
    own = {"cosine": {"warmup": BATCH, "floor": "0%"}}
    made = course(build(variants={"text→text": [stage(10), stage(10, schedule=own, lr=0.02)]}))
    (piece,) = made.stages[1].pieces
    assert (piece.kind, piece.peak, piece.start, piece.end) == ("cosine", 0.02, 10 * BATCH, 20 * BATCH)
    assert made.stages[1].lr_first == pytest.approx(0.01)


@pytest.mark.parametrize("kind", ["constant", "linear"])
def test_a_cooldown_starts_at_the_rate_its_parent_had_and_ends_at_its_floor(build: Build, kind: str) -> None:
    training = schedule(kind) if kind == "constant" else schedule(kind, floor="30%")
    variants = {
        "text→text": [stage(10), stage(10)],
        "cooled": [{"from": f"text→text@{15 * BATCH}"}, {"cooldown": 4 * BATCH, "mixture": "mixed", "floor": "10%"}],
    }
    made = course(build(training=training, variants=variants), "cooled")
    parent = course(build(training=training, variants=variants)).segments[0].lr
    reached = 0.01 if kind == "constant" else 0.01 - 0.007 * 13 / 18
    (piece,) = made.stages[-1].pieces
    assert piece.peak == pytest.approx(reached)
    assert piece.floor == pytest.approx(reached / 10)
    assert (piece.start, piece.end) == (15 * BATCH, 19 * BATCH)
    assert step_learning_rate(parent, 14 * BATCH, BATCH) >= made.stages[-1].lr_first > made.stages[-1].lr_last


def test_a_cooldown_may_be_given_its_rate(build: Build) -> None:
    variants = {"text→text": [stage(10), {"cooldown": 4 * BATCH, "mixture": "text", "lr": 0.5}]}
    assert course(build(variants=variants)).stages[-1].pieces[0].peak == 0.5


def test_a_cooldown_is_no_part_of_the_schedules_horizon(build: Build) -> None:
    bare = course(build(variants={"text→text": [stage(10), stage(10)]}))
    cooled = course(build(variants={"text→text": [stage(10), stage(10), {"cooldown": 5 * BATCH, "mixture": "text"}]}))
    assert cooled.stages[:2] == bare.stages
    assert cooled.segments[0] == bare.segments[0]


def test_equal_stages_with_everything_carried_are_one_trajectory(build: Build) -> None:
    study = build()
    assert len(course(study).segments) == 1
    assert len(course(study, "mixed→mixed").segments) == 1
    assert [segment.start for segment in course(study, "mixed→text").segments] == [0, 10 * BATCH]


def test_a_mixture_under_another_name_is_the_same_mixture(build: Build) -> None:
    mixtures = {"text": {"prose": "100%"}, "words": {"prose": "100%"}, "mixed": {"prose": "50%", "code": "50%"}}
    made = course(build(mixtures=mixtures, variants={"text→text": [stage(10), stage(10, "words")]}))
    assert len(made.segments) == 1


@pytest.mark.parametrize("missing", ["optimizer", "data"])
def test_equal_stages_with_less_carried_stay_two(build: Build, missing: str) -> None:
    carry = [what for what in ("weights", "optimizer", "data") if what != missing]
    made = course(build(carry=carry))
    assert [segment.start for segment in made.segments] == [0, 10 * BATCH]
    assert missing not in made.segments[1].carry
    assert set(made.segments[0].carry) == {"weights", "optimizer", "data"}, "nothing stands before the first stage"


def test_without_the_data_position_a_stage_reads_its_sources_again(plan: Plan) -> None:
    kept, dropped = plan(), plan(carry=["weights", "optimizer"])
    assert [segment.first_draw for segment in kept.courses["mixed→text"].segments] == [(0, 0), (80,)]
    assert [segment.first_draw for segment in dropped.courses["mixed→text"].segments] == [(0, 0), (0,)]
    assert replay(kept, kept.courses["mixed→text"]) == {}
    # Stage 1 read 80 windows of prose; stage 2 reads 160, of which the first 80 are those again.
    assert replay(dropped, dropped.courses["mixed→text"]) == {"prose": 80 * 64}
    assert replay(dropped, dropped.courses["text→text"]) == {"prose": 160 * 64}


def test_a_source_left_out_of_a_stage_keeps_its_place(build: Build) -> None:
    variants = {"text→text": [stage(10, "mixed"), stage(10), stage(10, "mixed")]}
    segments = course(build(variants=variants)).segments
    assert segments[1].first_draw == (80,)
    assert dict(zip(segments[2].sources, segments[2].first_draw, strict=True)) == {"prose": 240, "code": 80}


def test_a_branch_inherits_its_parents_stages_up_to_its_token(build: Build) -> None:
    variants = {
        "text→text": [stage(10), stage(10)],
        "branch": [{"from": f"text→text@{15 * BATCH}"}, stage(5, "mixed")],
        "end": [{"from": "text→text"}, stage(5, "mixed", schedule={"constant": {"warmup": 0}})],
    }
    study = build(variants=variants)
    first, second, own = course(study, "branch").stages
    assert [s.inherited_from for s in (first, second, own)] == ["text→text", "text→text", None]
    assert (second.first, second.last, second.steps) == (10 * BATCH, 15 * BATCH, 5)
    assert (own.first, own.last) == (15 * BATCH, 20 * BATCH)
    assert course(study, "end").stages[-1].first == 20 * BATCH
    trunk = course(study)
    assert first == _as_inherited(trunk.stages[0])
    assert course(study, "end").prefix(20 * BATCH) == trunk.prefix(20 * BATCH), "the trunk's own trajectory"


def _as_inherited(stage: Any) -> Any:
    from dataclasses import replace

    return replace(stage, inherited_from="text→text")


def test_a_branch_of_a_branch_says_whose_each_stage_is(build: Build) -> None:
    variants = {
        "text→text": [stage(10)],
        "one": [{"from": "text→text"}, stage(10, "mixed", schedule={"constant": {"warmup": 0}})],
        "two": [{"from": "one"}, stage(10, "code", schedule={"constant": {"warmup": 0}})],
    }
    made = course(build(variants=variants), "two")
    assert [s.inherited_from for s in made.stages] == ["text→text", "one", None]
    assert [s.mixture for s in made.stages] == ["text", "mixed", "code"]


@pytest.mark.parametrize("at", [8, 15, 17, 20], ids=["before", "at", "inside", "after"])
def test_a_branch_of_a_trunk_that_decays_takes_what_acts_before_it(build: Build, at: int) -> None:
    """The trunk decays from 15 steps on; a child that leaves it earlier has none of that."""
    training = schedule("warmup-stable-decay", decay=5 * BATCH, floor="0%")
    variants = {
        "text→text": [stage(20)],
        "cooled": [{"from": f"text→text@{at * BATCH}"}, {"cooldown": 4 * BATCH, "mixture": "mixed", "lr": 0.002}],
        "on": [{"from": f"text→text@{at * BATCH}"}, stage(10, "mixed")],
    }
    study = build(training=training, variants=variants)
    trunk, cooled, on = (course(study, name) for name in ("text→text", "cooled", "on"))
    decay = [(15, "linear", ("prose",))] if at > 15 else []
    before = [(0, "constant", ("prose",)), *decay]

    def told(made: Course) -> list[tuple[int, str, tuple[str, ...]]]:
        return [(segment.start // BATCH, segment.lr.kind, segment.sources) for segment in made.segments]

    mixed = ("prose", "code")
    assert told(trunk) == [(0, "constant", ("prose",)), (15, "linear", ("prose",))]
    assert told(cooled) == [*before, (at, "linear", mixed)]
    assert told(on) == [*before, (at, "constant", mixed), (at + 5, "linear", mixed)]
    for made in (cooled, on):
        assert made.prefix(at * BATCH) == trunk.prefix(at * BATCH), "one trajectory up to the branch"
    assert on.stages[-1].lr_first == 0.01
    assert cooled.stages[-1].lr_first == pytest.approx(0.002 * 3.5 / 4)


def test_a_decay_of_less_than_a_step_is_refused_with_its_place(build: Build) -> None:
    with pytest.raises(RequestError, match=r"a decay of 1,000 tokens is less than one step of 1,024") as caught:
        course(build(training=schedule("warmup-stable-decay", decay=1000, floor="0%")))
    assert "training.schedule.warmup-stable-decay.decay" in str(caught.value)
    own = {"warmup-stable-decay": {"warmup": BATCH, "decay": 10, "floor": "0%"}}
    with pytest.raises(RequestError, match="less than one step"):
        course(build(variants={"text→text": [stage(10), stage(10, schedule=own)]}))


def test_a_prefix_leaves_out_what_comes_after(build: Build) -> None:
    made = course(build(), "mixed→text")
    assert len(made.prefix(10 * BATCH)) == 1
    assert len(made.prefix(10 * BATCH + 1)) == 2
    assert len(made.prefix(0)) == 1


@settings(max_examples=30)
@given(first=st.integers(1, 40), second=st.integers(1, 40), cut=st.integers(0, 80))
def test_draws_add_up_to_the_tokens_and_follow_the_shares(first: int, second: int, cut: int) -> None:
    from pretrial.study.load import parse_study

    study = parse_study(
        {
            "schema": 1, "study": "x", "question": "?", "model": "1m", "context": 64, "seeds": 1, "smoke": True,
            "tokenizer": {"file": "t.json"},
            "sources": {name: {"read": {"jsonl": f"{name}.jsonl"}} for name in ("prose", "code")},
            "mixtures": {"text": {"prose": "100%"}, "mixed": {"prose": "1/3", "code": "2/3"}},
            "training": schedule("constant", warmup=0),
            "variants": {"v": [stage(first, "mixed"), stage(second)]},
            "carry": ["weights", "optimizer"], "baseline": "v", "evaluate": ["held-out"],
        }
    )  # fmt: skip
    made = course(study, "v")
    tokens = min(cut, first + second) * BATCH
    draws = made.draws(tokens, 64)
    assert sum(draws.values()) * 64 == tokens
    mixed = min(tokens, first * BATCH) // 64
    assert abs(draws.get("code", 0) - mixed * 2 / 3) < 1
    reach = made.reach(tokens, 64)
    assert all(reach[source] <= draws[source] for source in draws)
    assert reach.get("prose", 0) == max(mixed - draws.get("code", 0), max(0, tokens - first * BATCH) // 64)
