"""Claims: each kind on both sides of its margin, Holm over the registered ones, and what cannot be tested."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.analysis import ClaimResult, MetricFacts, PairFacts, RegisteredClaim, analyse
from pretrial.analysis.companions import bootstrap, sign_flip
from pretrial.analysis.multiplicity import holm
from pretrial.analysis.sample import TaskSums, from_sums
from pretrial.study.schema import Claim, Margin, Target

Make = Callable[..., Any]

PRECISE = {"seed_noise": 0.0005, "item_noise": 0.002, "noise": 0.002}


def claim(
    kind: Any,
    margin: Margin,
    *,
    variant: str = "new",
    against: str = "base",
    target: Target | None = None,
    holds: Any = None,
) -> Claim:
    text = f"{variant} {kind} {against} by {margin.kind} {margin.value}"
    return Claim(text, kind, variant, against, target or Target("transfer", None, None), margin, holds)


@pytest.fixture
def judge(study: Make, design: Make, table: Make) -> Callable[..., list[ClaimResult]]:
    """Judge claims on a study whose arms differ by `effect` bits per byte at a base of 2."""

    def run(claims: Sequence[Claim | RegisteredClaim], given: dict[str, Any] | None = None, **data: Any) -> Any:
        entries = tuple(c if isinstance(c, RegisteredClaim) else RegisteredClaim(c) for c in claims)
        made = design(**{"seeds": tuple(range(1, data.get("seeds", 3) + 1)), "claims": entries, **(given or {})})
        return list(analyse(table(study(**{**PRECISE, **data})), made).claims)

    return run


PERCENT = Margin("relative", 0.01)
BITS = Margin("bits", 0.02)


@pytest.mark.parametrize("margin", [PERCENT, BITS])
@pytest.mark.parametrize(
    ("kind", "effect", "verdict"),
    [
        # The base is near 2 bits per byte, so both margins are near 0.02; fewer bits are better.
        ("beats", -0.03, "supported"),
        ("beats", -0.01, "refuted"),
        ("beats", 0.03, "refuted"),
        ("equals", 0.01, "supported"),
        ("equals", -0.01, "supported"),
        ("equals", 0.03, "refuted"),
        ("equals", -0.03, "refuted"),
        ("not-worse", 0.01, "supported"),
        ("not-worse", -0.03, "supported"),
        ("not-worse", 0.03, "refuted"),
    ],
)
def test_each_kind_on_both_sides_of_its_margin(
    judge: Make, kind: str, effect: float, verdict: str, margin: Margin
) -> None:
    (result,) = judge([claim(kind, margin)], effect=effect)
    assert result.verdict == verdict
    assert result.margin == pytest.approx(0.02, rel=0.05)
    assert result.estimate == pytest.approx(effect, abs=0.003)
    assert result.low < result.estimate < result.high
    assert result.bootstrap_low < result.estimate < result.bootstrap_high
    assert result.p == result.p_adjusted
    assert (result.p <= 0.025) == (verdict == "supported")


@pytest.mark.parametrize("kind", ["beats", "equals", "not-worse"])
def test_a_noisy_study_leaves_a_claim_undecided(judge: Make, kind: str) -> None:
    (result,) = judge([claim(kind, PERCENT)], effect=0.0, seed_noise=0.2)
    assert result.verdict == "undecided"
    assert "97.5% confidence" in result.reason


def test_the_bound_passes_the_margin_exactly_when_the_claim_is_supported(judge: Make) -> None:
    for draw in range(12):
        for margin in (PERCENT, BITS):
            kinds = [claim(k, margin) for k in ("beats", "equals", "not-worse")]
            beats, equals, not_worse = judge(kinds, effect=-0.022, draw=draw, seed_noise=0.001)
            size = margin.value
            assert (beats.bound > size) == (beats.verdict == "supported")
            assert (abs(equals.bound) < size) == (equals.verdict == "supported")
            assert (not_worse.bound > -size) == (not_worse.verdict == "supported")


def test_a_percentage_is_tested_as_a_linear_contrast(judge: Make, study: Make, table: Make) -> None:
    # Against the explicit contrast of both arms' values, item by item.
    columns = study(effect=-0.03, **PRECISE)
    (result,) = judge([claim("beats", PERCENT)], effect=-0.03)
    arms: dict[str, np.ndarray] = {}
    for arm in ("base", "new"):
        values = [v for v, a in zip(columns["value"], columns["variant"], strict=True) if a == arm]
        arms[arm] = np.reshape(values, (3, 2, 40))
    contrast = 0.99 * arms["base"] - arms["new"]
    tasks = [TaskSums(contrast[:, t], np.zeros((3, 40)), np.ones(40), np.arange(40) + 50 * t) for t in (0, 1)]
    assert result.p == pytest.approx(from_sums(tasks, (1, 2, 3), n_items=80).contrast(1.0).p_guarded, rel=1e-6)


def test_beats_without_a_margin_is_superiority(judge: Make) -> None:
    (result,) = judge([claim("beats", Margin("relative", 0.0))], effect=-0.01)
    assert result.verdict == "supported"
    assert result.bound_unit == "raw"
    assert result.bound > 0


def test_a_claim_that_is_neither_may_be_equivalent_within_the_studys_margin(judge: Make) -> None:
    given = {"margins": {"bits_per_byte": Margin("relative", 0.05)}}
    (result,) = judge([claim("beats", Margin("relative", 0.0))], given, effect=0.0, draw=1)
    assert result.verdict == "equivalent"


def test_holm_runs_over_all_registered_claims(judge: Make) -> None:
    margins = (0.0, 0.004, 0.006, 0.008, 0.02)
    results = judge([claim("beats", Margin("relative", m)) for m in margins], effect=-0.02, seed_noise=0.002)
    np.testing.assert_allclose([r.p_adjusted for r in results], holm([r.p for r in results]))
    alone = judge([claim("beats", Margin("relative", margins[2]))], effect=-0.02, seed_noise=0.002)
    assert alone[0].p == results[2].p
    assert alone[0].bound >= results[2].bound


def test_a_late_claim_is_judged_apart_and_marked(judge: Make) -> None:
    timely = claim("beats", Margin("relative", 0.0))
    late = RegisteredClaim(claim("equals", PERCENT), False, "results existed when it was registered")
    first, second = judge([timely, late], effect=-0.01)
    assert (first.registered, first.exploratory) == (True, False)
    assert second.exploratory
    assert second.registration == "results existed when it was registered"
    assert second.verdict == "supported"
    # Neither family is larger for the other.
    assert (first.p_adjusted, second.p_adjusted) == (first.p, second.p)


def test_only_rows_of_registered_claims_are_not_exploratory(study: Make, design: Make, table: Make) -> None:
    timely = RegisteredClaim(claim("beats", PERCENT))
    late = RegisteredClaim(claim("beats", PERCENT, target=Target("transfer", "news", None)), False, "late")
    mean, news, speech = analyse(table(study(effect=-0.1)), design(claims=(timely, late))).comparisons
    assert [("exploratory" in r.flags) for r in (mean, news, speech)] == [False, True, True]
    assert (mean.claim, mean.claim_verdict) == (timely.claim.text, "supported")
    assert (news.claim, news.claim_verdict) == (late.claim.text, "supported")
    assert speech.claim is speech.claim_verdict is None


def test_a_claim_that_cannot_be_tested_keeps_its_place_in_the_family(judge: Make) -> None:
    ghost = claim("beats", PERCENT, target=Target("transfer", "reviews", None))
    real, untested = judge([claim("beats", Margin("relative", 0.0)), ghost], effect=-0.01)
    assert untested.verdict == "undecided"
    assert untested.reason == "no result for transfer reviews"
    planned = {("transfer", t): ("bits_per_byte",) for t in ("news", "reviews", "speech")}
    assert judge([ghost], {"planned": planned}, effect=-0.01)[0].reason == "no result for transfer reviews"
    assert real.p_adjusted == pytest.approx(2 * real.p)


@pytest.mark.parametrize(
    ("given", "data", "holds", "reason"),
    [
        ({"pairs": {}}, {}, None, "only descriptive"),
        ({"pairs": {("new", "base"): PairFacts("", "code adds tokens")}}, {}, None, "descriptive: code adds tokens"),
        ({}, {}, "text", "the claim is at equal text, but the comparison holds compute equal"),
        ({}, {"seeds": 1}, None, "one seed cannot tell chance from cause"),
    ],
)
def test_what_a_comparison_cannot_carry_is_undecided_with_the_reason(
    judge: Make, given: dict[str, Any], data: dict[str, Any], holds: str | None, reason: str
) -> None:
    (result,) = judge([claim("beats", PERCENT, holds=holds)], given, effect=-0.1, **data)
    assert result.verdict == "undecided"
    assert reason in result.reason
    assert result.p is result.bound is None


@pytest.mark.parametrize("kind", ["beats", "equals", "not-worse"])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_arms_that_score_the_same_throughout_support_nothing(
    columns: Make, design: Make, table: Make, kind: str, level: float
) -> None:
    arms = {arm: {s: {"lambada": np.full(50, level)} for s in (1, 2, 3)} for arm in ("base", "new")}
    one = claim(kind, Margin("points", 2), target=Target(None, "lambada", None))
    given = design(
        categories={"language": ("lambada",)},
        metrics={"acc": MetricFacts(True, "share")},
        claims=(RegisteredClaim(one),),
        margins={"acc": Margin("points", 2)},
    )
    (result,) = analyse(table(columns(arms, metric="acc", category="language")), given).claims
    assert result.verdict == "undecided"
    assert result.reason == "nothing varies: both arms score the same on every item in every seed"
    assert result.p is result.p_adjusted is result.bound is None


def test_of_a_tie_neither_direction_is_supported(columns: Make, design: Make, table: Make) -> None:
    base = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0]], dtype=float)
    arms = {
        arm: {s: {"piqa": rows[s - 1]} for s in (1, 2, 3)} for arm, rows in (("base", base), ("new", base[:, ::-1]))
    }
    there = claim("beats", Margin("relative", 0.0), target=Target(None, "piqa", None))
    back = claim("beats", Margin("relative", 0.0), variant="base", against="new", target=Target(None, "piqa", None))
    given = design(
        categories={"reasoning": ("piqa",)},
        metrics={"acc": MetricFacts(True, "share")},
        claims=(RegisteredClaim(there), RegisteredClaim(back)),
    )
    results = analyse(table(columns(arms, metric="acc", category="reasoning")), given).claims
    assert [(r.verdict, r.p, r.p_adjusted) for r in results] == [("undecided", 0.5, 1.0)] * 2


def test_a_mean_that_lacks_a_planned_task_is_undecided(judge: Make) -> None:
    planned = {("transfer", t): ("bits_per_byte",) for t in ("news", "reviews", "speech")}
    given = {"categories": {"transfer": ("news", "reviews", "speech")}, "planned": planned}
    (result,) = judge([claim("beats", PERCENT)], given, effect=-0.1)
    assert (result.verdict, result.reason) == ("undecided", "the mean lacks reviews")


@pytest.mark.parametrize(
    ("chance", "level", "reason"),
    [
        ({}, -1.0, "base is not above zero"),
        ({}, 0.0, "base is not above zero"),
        ({("news", "bits_per_byte"): 3.0, ("speech", "bits_per_byte"): 3.0}, 2.0, "base is not above chance"),
    ],
)
def test_a_percentage_of_what_is_not_above_zero_does_not_exist(
    study: Make, design: Make, table: Make, chance: dict[Any, float], level: float, reason: str
) -> None:
    columns = study(**PRECISE)
    columns["value"] = [v - 2.0 + level - 0.5 * (level == 0) for v in columns["value"]]
    given = design(claims=(RegisteredClaim(claim("beats", PERCENT)),), chance=chance)
    (result,) = analyse(table(columns), given).claims
    assert (result.verdict, result.margin) == ("undecided", None)
    assert result.reason == f"{reason}: a percentage of it does not exist"


def test_a_pair_may_hold_more_than_one_thing(judge: Make) -> None:
    given = {"pairs": {("new", "base"): PairFacts("compute", also=("order",))}}
    (result,) = judge([claim("beats", PERCENT, holds="order")], given, effect=-0.1)
    assert result.verdict == "supported"


def test_a_missing_arm_is_undecided(design: Make, study: Make, table: Make) -> None:
    lonely = RegisteredClaim(claim("beats", PERCENT, variant="third"))
    given = design(claims=(lonely,), variants=("base", "new", "third"))
    (result,) = analyse(table(study()), given).claims
    assert (result.verdict, result.reason) == ("undecided", "no seed has a result in both arms")


def test_a_percentage_of_a_base_at_chance_does_not_exist(columns: Make, design: Make, table: Make) -> None:
    rng = np.random.default_rng(1)
    arms = {
        arm: {s: {"piqa": (rng.random(200) < rate).astype(float)} for s in (1, 2, 3)}
        for arm, rate in (("base", 0.5), ("new", 0.8))
    }
    entries = tuple(
        RegisteredClaim(claim("beats", margin, target=Target(None, "piqa", None)))
        for margin in (Margin("relative", 0.05), Margin("points", 5))
    )
    given = design(
        categories={"reasoning": ("piqa",)},
        metrics={"acc": MetricFacts(True, "share")},
        chance={("piqa", "acc"): 0.5},
        claims=entries,
    )
    percent, points = analyse(table(columns(arms, metric="acc", category="reasoning")), given).claims
    assert (percent.verdict, percent.margin) == ("undecided", None)
    assert "within two standard errors of chance" in percent.reason
    assert (points.verdict, points.margin) == ("supported", pytest.approx(0.05))
    assert points.task == "piqa"
    assert points.bound > 0.05


def test_a_claim_between_two_variants_adds_its_row(study: Make, design: Make, table: Make) -> None:
    columns = study(effect=-0.05)
    third = study(effect=-0.1)
    for name, values in third.items():
        columns[name] += [
            "third" if name == "variant" else v for v, a in zip(values, third["variant"], strict=True) if a == "new"
        ]
    columns["checkpoint"] = [f"{v}/{s}" for v, s in zip(columns["variant"], columns["seed"], strict=True)]
    entry = RegisteredClaim(claim("beats", PERCENT, variant="third", against="new"))
    pairs = {("third", "new"): PairFacts("compute")}
    result = analyse(table(columns), design(variants=("base", "new", "third"), claims=(entry,), pairs=pairs))
    assert result.claims[0].verdict == "supported"
    assert [(r.variant, r.baseline, r.task) for r in result.comparisons][-1] == ("third", "new", "mean")


def test_from_six_seeds_a_claim_has_a_sign_flip_p(judge: Make) -> None:
    kinds = [claim(k, PERCENT) for k in ("beats", "equals", "not-worse")]
    beats, equals, not_worse = judge(kinds, effect=-0.03, seeds=6)
    assert (beats.sign_flip_p, not_worse.sign_flip_p) == (1 / 64, 1 / 64)
    assert equals.sign_flip_p == 1.0
    assert judge(kinds, effect=-0.03)[0].sign_flip_p is None


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=8))
def test_sign_flips_agree_with_counting_all_patterns(scores: list[int]) -> None:
    total = sum(scores)
    sums = [0]
    for x in scores:
        sums = [t + sign * x for t in sums for sign in (1, -1)]
    values = np.array(scores, dtype=float)
    assert sign_flip(values) == pytest.approx(np.mean([abs(t) >= abs(total) for t in sums]))
    assert sign_flip(values, sided=1) == pytest.approx(np.mean([t >= total for t in sums]))


def test_many_seeds_draw_their_sign_patterns_by_content() -> None:
    scores = np.random.default_rng(0).normal(0.3, 1, 20)
    assert sign_flip(scores) == sign_flip(scores[::-1]) == sign_flip(-scores)


def test_the_bootstrap_is_a_function_of_the_data_and_near_the_interval() -> None:
    rng = np.random.default_rng(3)
    d = 0.1 * rng.standard_normal((8, 1)) + rng.standard_normal(60) + 0.1 * rng.standard_normal((8, 60))
    task = TaskSums(d + 2, np.full(d.shape, 2.0), np.ones(60), np.arange(60))
    data = from_sums([task], tuple(range(8)), n_items=60)
    low, high = bootstrap(data)
    assert (low, high) == bootstrap(data)
    plain = data.contrast(1.0)
    assert high - low == pytest.approx(2 * plain.half, rel=0.2)
    assert low < plain.value < high


def test_the_bootstrap_draws_a_shared_document_once_for_all_tasks() -> None:
    rng = np.random.default_rng(4)
    d = rng.standard_normal(60) + 0.01 * rng.standard_normal((5, 60))
    task = TaskSums(d + 2, np.full(d.shape, 2.0), np.ones(60), np.arange(60))
    apart = TaskSums(d + 2, np.full(d.shape, 2.0), np.ones(60), np.arange(60, 120))
    one, shared, two = (
        np.diff(bootstrap(from_sums(tasks, tuple(range(5)), n_items=60)))[0]
        for tasks in ([task], [task, task], [task, apart])
    )
    assert shared == pytest.approx(one, rel=0.1)
    assert two == pytest.approx(one / np.sqrt(2), rel=0.1)
