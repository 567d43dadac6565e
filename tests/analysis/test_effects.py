"""Comparisons of a small study: rows, points, categories, missing seeds, verdicts and their families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pretrial.analysis import (
    COMPARISON_COLUMNS,
    Analysis,
    Comparison,
    ItemTable,
    MetricFacts,
    PairFacts,
    analyse,
    category_means,
)
from pretrial.study.schema import Margin

Make = Callable[..., Any]
DELTA = {"bits_per_byte": Margin("relative", 0.01)}


def row(result: Analysis, task: str = "mean", **where: Any) -> Comparison:
    found = [r for r in result.comparisons if r.task == task and all(getattr(r, k) == v for k, v in where.items())]
    assert len(found) == 1
    return found[0]


def without(columns: dict[str, list[Any]], **match: Any) -> dict[str, list[Any]]:
    """The columns less the rows that match."""
    keep = [
        i for i in range(len(columns["value"])) if not all(columns[name][i] == value for name, value in match.items())
    ]
    return {name: [values[i] for i in keep] for name, values in columns.items()}


def joined(*tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: [v for t in tables for v in t[name]] for name in tables[0]}


def test_columns_are_those_of_the_decisions() -> None:
    assert COMPARISON_COLUMNS == (
        "variant", "baseline", "stage", "tokens", "category", "task", "metric", "higher_is_better", "base_value",
        "value", "absolute", "low", "high", "se", "df", "level", "relative", "relative_low", "relative_high", "p",
        "p_adjusted", "mde", "delta", "n_items", "n_seeds", "method", "holds", "flags", "verdict", "claim",
        "claim_verdict",
    )  # fmt: skip


def test_a_study_has_one_row_per_task_and_one_for_the_category(study: Make, design: Make, table: Make) -> None:
    result = analyse(table(study(effect=0.1)), design(margins=DELTA))
    assert [r.task for r in result.comparisons] == ["mean", "news", "speech"]
    mean, news, speech = result.comparisons
    assert mean.absolute == pytest.approx((news.absolute + speech.absolute) / 2)
    assert mean.base_value == pytest.approx((news.base_value + speech.base_value) / 2)
    assert mean.value == pytest.approx(mean.base_value + mean.absolute)
    assert (mean.n_items, mean.n_seeds, mean.level) == (80, 3, 0.95)
    assert mean.low < mean.absolute < mean.high
    assert mean.relative == pytest.approx(mean.absolute / mean.base_value)
    assert mean.relative_low < mean.relative < mean.relative_high
    assert mean.delta == pytest.approx(0.01 * mean.base_value)
    assert mean.mde > mean.se > 0
    assert mean.to_row()["flags"] == "; ".join(mean.flags)
    assert tuple(mean.to_row()) == COMPARISON_COLUMNS


def test_more_bits_are_worse_and_fewer_better(study: Make, design: Make, table: Make) -> None:
    assert row(analyse(table(study(effect=0.1)), design())).verdict == "worse"
    assert row(analyse(table(study(effect=-0.1)), design())).verdict == "better"
    up = {"bits_per_byte": MetricFacts(True)}
    assert row(analyse(table(study(effect=0.1)), design(metrics=up))).verdict == "better"


def test_a_small_difference_in_a_precise_study_is_equivalent(study: Make, design: Make, table: Make) -> None:
    items = table(study(effect=0.0, seed_noise=0.0005, item_noise=0.002, noise=0.002, draw=3))
    assert row(analyse(items, design(margins=DELTA))).verdict == "equivalent"
    assert row(analyse(items, design())).verdict == "undecided"
    narrow = {"bits_per_byte": Margin("bits", 1e-5)}
    assert row(analyse(items, design(margins=narrow))).verdict == "undecided"


def test_a_real_difference_below_the_margin_keeps_its_direction_and_is_flagged(
    study: Make, design: Make, table: Make
) -> None:
    items = table(study(effect=0.01, seed_noise=0.0002, item_noise=0.001, noise=0.001))
    found = row(analyse(items, design(margins=DELTA)))
    assert found.verdict == "worse"
    assert "within δ" in found.flags


def test_one_seed_has_an_interval_over_items_and_no_verdict(study: Make, design: Make, table: Make) -> None:
    found = row(analyse(table(study(effect=1.0, seeds=1)), design(seeds=(1,), margins=DELTA)))
    assert found.low > 0
    assert found.verdict == "undecided"
    assert found.method == "items only (one seed)"
    assert "one seed" in found.flags
    assert found.p is found.p_adjusted is found.mde is None


def test_two_seeds_have_one_degree_of_freedom_and_say_so(study: Make, design: Make, table: Make) -> None:
    found = row(analyse(table(study(seeds=2)), design(seeds=(1, 2))))
    assert found.df == 1.0
    assert "1 df (two seeds)" in found.method


def test_six_seeds_carry_a_permutation_p(study: Make, design: Make, table: Make) -> None:
    found = row(analyse(table(study(seeds=6)), design(seeds=(1, 2, 3, 4, 5, 6))))
    assert "sign flips p=0.0312" in found.method


def test_a_missing_seed_is_named_and_left_out_of_both_arms(study: Make, design: Make, table: Make) -> None:
    columns = study(seeds=4)
    lost = without(columns, variant="new", seed=3)
    why = {("new", 3): "diverged at step 141"}
    found = row(analyse(table(lost), design(seeds=(1, 2, 3, 4), missing=why)))
    both = row(analyse(table(without(lost, seed=3)), design(seeds=(1, 2, 4))))
    assert found.n_seeds == 3
    assert found.flags[0] == "seed 3 of new missing: diverged at step 141"
    assert (found.absolute, found.low, found.p) == (both.absolute, both.low, both.p)


def test_a_seed_that_is_missing_without_a_reason_is_named_too(study: Make, design: Make, table: Make) -> None:
    found = row(analyse(table(without(study(), variant="base", seed=1)), design()))
    assert "seed 1 of base missing: no result" in found.flags


def test_an_arm_without_any_seed_still_has_its_rows(study: Make, design: Make, table: Make) -> None:
    why = {("new", s): "diverged" for s in (1, 2, 3)}
    items = table(without(study(), variant="new"))
    result = analyse(items, design(missing=why, ends={"base": 1000, "new": 1000}))
    assert [r.task for r in result.comparisons] == ["mean", "news", "speech"]
    assert all(r.absolute is None and r.verdict == "undecided" and r.n_seeds == 0 for r in result.comparisons)
    assert "seed 2 of new missing: diverged" in row(result).flags


def test_an_arm_that_nobody_evaluated_is_named(study: Make, design: Make, table: Make) -> None:
    result = analyse(table(study()), design(variants=("base", "new", "third")))
    lost = [r for r in result.comparisons if r.variant == "third"]
    assert [r.task for r in lost] == ["mean", "news", "speech"]
    assert "seed 1 of third missing: no result" in lost[0].flags


def test_category_means_of_single_checkpoints(study: Make, design: Make, table: Make) -> None:
    columns = study()
    made = category_means(table(columns), design(chance={("news", "bits_per_byte"): 8.0}))
    assert [(m.variant, m.seed, m.task, m.n) for m in made][:2] == [("base", 1, "mean", 80), ("base", 2, "mean", 80)]
    own = [
        v
        for v, a, s in zip(columns["value"], columns["variant"], columns["seed"], strict=True)
        if (a, s) == ("base", 1)
    ]
    halves = np.reshape(own, (2, 40))
    assert made[0].value == pytest.approx(halves.mean())
    assert made[0].stderr == pytest.approx(np.sqrt((halves.var(1, ddof=1) / 40).sum()) / 2)
    assert (made[0].chance, made[0].checkpoint) == (None, "base/1/1000")
    assert len(category_means(table(without(columns, variant="new", seed=2, task="news")), design())) == 5


def test_points_are_matched_on_tokens(study: Make, design: Make, table: Make) -> None:
    both = joined(study(tokens=500, stage="1", draw=1), study(tokens=1000, draw=2))
    extra = without(study(tokens=700, stage="2", draw=3), variant="base")
    result = analyse(table(joined(both, extra)), design())
    assert [(r.stage, r.tokens) for r in result.comparisons if r.task == "mean"] == [("1", 500), ("2", 1000)]
    assert {r.tokens for r in result.final} == {1000}


def test_arms_of_unequal_length_are_compared_at_equal_tokens_where_that_is_possible(
    study: Make, design: Make, table: Make
) -> None:
    short = joined(study(tokens=500, stage="1"), without(study(tokens=1000), variant="new"))
    result = analyse(table(short), design())
    assert row(result).tokens == 500
    assert "ends differ: new at 500 tokens, base at 1,000" in row(result).flags
    apart = joined(without(study(tokens=500), variant="base"), without(study(tokens=1000), variant="new"))
    assert row(analyse(table(apart), design())).n_seeds == 3


def test_equal_text_compares_end_with_end(study: Make, design: Make, table: Make) -> None:
    columns = joined(study(tokens=500, stage="1", effect=0.3), without(study(tokens=1000), variant="new"))
    text = {("new", "base"): PairFacts("text")}
    result = analyse(table(columns), design(pairs=text))
    assert [r.tokens for r in result.final if r.task == "mean"] == [500]
    end_to_end = row(result, tokens=500)
    assert end_to_end.holds == "text"
    assert end_to_end.absolute != pytest.approx(0.3, abs=1e-3)


def test_the_same_checkpoint_is_no_comparison(study: Make, design: Make, table: Make) -> None:
    columns = without(study(), variant="new")
    twin = {**columns, "variant": ["new"] * len(columns["value"])}
    found = row(analyse(table(joined(columns, twin)), design(margins=DELTA)))
    assert "same checkpoint" in found.flags
    assert (found.absolute, found.p, found.verdict) == (0.0, None, "equivalent")


def test_a_category_of_one_task_has_no_row_of_its_own(study: Make, design: Make, table: Make) -> None:
    result = analyse(table(study(tasks=("news",))), design(categories={"transfer": ("news",)}))
    assert [r.task for r in result.comparisons] == ["news"]


def test_metrics_are_never_averaged(study: Make, design: Make, table: Make) -> None:
    other = study(tasks=("news",), metric="acc", draw=5)
    facts = {"bits_per_byte": MetricFacts(False, "bits per byte"), "acc": MetricFacts(True, "share")}
    result = analyse(table(joined(study(), other)), design(metrics=facts))
    assert [(r.task, r.metric) for r in result.comparisons] == [
        ("mean", "bits_per_byte"), ("news", "bits_per_byte"), ("speech", "bits_per_byte"), ("news", "acc"),
    ]  # fmt: skip


def test_an_unknown_metric_is_refused(study: Make, design: Make, table: Make) -> None:
    with pytest.raises(ValueError, match="'acc'"):
        analyse(table(study(metric="acc")), design())


def test_a_mean_without_one_of_its_tasks_says_so_and_has_no_verdict(study: Make, design: Make, table: Make) -> None:
    three = design(categories={"transfer": ("news", "reviews", "speech")}, margins={"bits_per_byte": Margin("bits", 9)})
    columns = joined(study(), without(study(tasks=("reviews",), draw=2), variant="new"))
    result = analyse(table(columns), three)
    found = row(result)
    assert "mean without reviews" in found.flags
    assert found.p < 0.05
    assert (found.p_adjusted, found.verdict) == (None, "undecided")
    assert not [flag for flag in found.flags if flag.startswith("not after correction")]
    assert row(result, "news").verdict == "worse"
    lost = row(result, "reviews")
    assert (lost.absolute, lost.n_seeds, lost.verdict) == (None, 0, "undecided")
    assert "seed 2 of new missing: no result" in lost.flags


def test_a_planned_task_that_no_arm_has_is_missed_by_the_mean(study: Make, design: Make, table: Make) -> None:
    planned = {("transfer", t): ("bits_per_byte",) for t in ("news", "reviews", "speech")}
    other = {("transfer", "scores"): ("acc",)}  # has not this metric, and is not missed
    given = design(categories={"transfer": ("news", "reviews", "speech", "scores")}, planned=planned | other)
    result = analyse(table(study()), given)
    assert [r.task for r in result.comparisons] == ["mean", "news", "speech"]
    assert [flag for flag in row(result).flags if flag.startswith("mean")] == ["mean without reviews"]
    assert row(result).verdict == "undecided"
    assert category_means(table(study()), given) == []


def test_a_category_with_one_of_its_two_tasks_still_has_its_row(study: Make, design: Make, table: Make) -> None:
    planned = {("transfer", t): ("bits_per_byte",) for t in ("news", "speech")}
    result = analyse(table(study(tasks=("news",))), design(planned=planned))
    assert [(r.task, r.verdict) for r in result.comparisons] == [("mean", "undecided"), ("news", "worse")]
    assert "mean without speech" in row(result).flags


def test_arms_without_a_task_in_common_have_a_mean_that_lacks_all(study: Make, design: Make, table: Make) -> None:
    apart = joined(
        without(study(tasks=("news",)), variant="new"), without(study(tasks=("speech",), draw=2), variant="base")
    )
    result = analyse(table(apart), design())
    assert [(r.task, r.absolute) for r in result.comparisons] == [("mean", None), ("news", None), ("speech", None)]
    assert {"mean without news", "mean without speech"} <= set(row(result).flags)


def test_a_lost_evaluation_gives_its_reason(study: Make, design: Make, table: Make) -> None:
    columns = without(study(), variant="new", seed=3, task="news")
    given = design(lost={("new", 3, 1000, "transfer", "news"): "not a finite number"})
    result = analyse(table(columns), given)
    assert "seed 3 of new missing: not a finite number" in row(result, "news").flags
    assert "seed 3 of new missing: not a finite number" in row(result).flags
    assert row(result, "speech").n_seeds == 3


def test_pairs_that_nobody_vouched_for_are_descriptive(study: Make, design: Make, table: Make) -> None:
    found = row(analyse(table(study()), design(pairs={})))
    assert found.holds == "descriptive"
    flagged = {("new", "base"): PairFacts("", "code adds tokens", flags=("repetition-confounded",))}
    found = row(analyse(table(study()), design(pairs=flagged)))
    assert found.flags[:2] == ("repetition-confounded", "descriptive: code adds tokens")


def accuracy(rates: dict[str, float], items: int = 200, draw: int = 0) -> dict[str, dict[int, dict[str, np.ndarray]]]:
    rng = np.random.default_rng(draw)
    return {
        arm: {s: {"piqa": (rng.random(items) < rate).astype(float)} for s in (1, 2, 3)} for arm, rate in rates.items()
    }


@pytest.fixture
def choice(columns: Make, design: Make, table: Make) -> Callable[..., Comparison]:
    def make(base: float, new: float, **more: Any) -> Comparison:
        items = table(columns(accuracy({"base": base, "new": new}), metric="acc", category="reasoning"))
        given = design(
            categories={"reasoning": ("piqa",)},
            metrics={"acc": MetricFacts(True, "share")},
            chance={("piqa", "acc"): 0.5},
            **more,
        )
        return row(analyse(items, given), "piqa")

    return make


def test_a_relative_gain_of_accuracy_is_of_the_score_above_chance(choice: Make) -> None:
    found = choice(0.7, 0.9)
    assert found.relative == pytest.approx(found.absolute / (found.base_value - 0.5))


def test_a_relative_gain_does_not_exist_near_chance(choice: Make) -> None:
    margins = {"acc": Margin("relative", 0.05)}
    found = choice(0.5, 0.8, margins=margins)
    assert found.relative is found.relative_low is found.delta is None
    assert "base at chance" in found.flags
    assert found.verdict == "better"
    assert "both at chance" in choice(0.5, 0.5, margins=margins).flags


def test_points_are_hundredths_of_a_share(choice: Make) -> None:
    assert choice(0.7, 0.7, margins={"acc": Margin("points", 2)}).delta == pytest.approx(0.02)


def shares(columns: Make, design: Make, table: Make, base: np.ndarray, new: np.ndarray, **more: Any) -> Analysis:
    """The analysis of right and wrong answers [seeds, items] of two arms on one task, piqa."""
    arms = {
        arm: {s: {"piqa": values} for s, values in enumerate(rows, 1)} for arm, rows in (("base", base), ("new", new))
    }
    given = {
        "seeds": tuple(range(1, len(base) + 1)),
        "categories": {"reasoning": ("piqa",)},
        "metrics": {"acc": MetricFacts(True, "share")},
        **more,
    }
    return analyse(table(columns(arms, metric="acc", category="reasoning")), design(**given))


@pytest.mark.parametrize("level", [0.0, 1.0])
@pytest.mark.parametrize("margin", [None, Margin("points", 2)])
def test_arms_that_score_the_same_throughout_are_undecided(
    columns: Make, design: Make, table: Make, level: float, margin: Margin | None
) -> None:
    same = np.full((3, 50), level)
    found = row(shares(columns, design, table, same, same, margins={"acc": margin} if margin else {}), "piqa")
    assert (found.absolute, found.base_value, found.n_items, found.n_seeds) == (0.0, level, 50, 3)
    assert found.p is found.p_adjusted is found.low is found.high is found.se is found.mde is None
    assert found.verdict == "undecided"
    assert "nothing varies" in found.flags
    assert found.method == "no interval (nothing varies)"


def test_an_exact_tie_is_undecided(columns: Make, design: Make, table: Make) -> None:
    base = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0]], dtype=float)
    found = row(shares(columns, design, table, base, base[:, ::-1]), "piqa")
    assert found.absolute == 0.0
    assert found.low < 0 < found.high
    assert (found.p, found.p_adjusted, found.verdict) == (1.0, 1.0, "undecided")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 1), min_size=24, max_size=24), st.lists(st.integers(0, 1), min_size=24, max_size=24))
def test_right_and_wrong_answers_get_a_verdict_only_when_the_interval_does(
    columns: Make, design: Make, table: Make, base: list[int], new: list[int]
) -> None:
    answers = [np.reshape(np.array(values, dtype=float), (3, 8)) for values in (base, new)]
    found = row(shares(columns, design, table, *answers), "piqa")
    mirrored = row(shares(columns, design, table, *reversed(answers)), "piqa")
    assert mirrored.absolute == pytest.approx(-found.absolute)
    assert (found.p is None) == (mirrored.p is None) == (base == new)
    turned = {"better": "worse", "worse": "better", "undecided": "undecided"}
    assert mirrored.verdict == turned[found.verdict]
    if found.verdict != "undecided":
        assert found.low > 0 or found.high < 0


def test_a_row_without_variation_does_not_loosen_the_correction_of_others(
    study: Make, columns: Make, design: Make, table: Make
) -> None:
    flat = {arm: {s: {"quiz": np.zeros(20)} for s in (1, 2, 3)} for arm in ("base", "new")}
    facts = {"bits_per_byte": MetricFacts(False, "bits per byte"), "acc": MetricFacts(True, "share")}
    both = joined(study(effect=0.011, draw=3), columns(flat, metric="acc", category="reasoning"))
    with_flat = [r.p_adjusted for r in analyse(table(both), design(metrics=facts)).comparisons]
    assert with_flat == [
        *(r.p_adjusted for r in analyse(table(study(effect=0.011, draw=3)), design()).comparisons),
        None,
    ]


def test_a_mean_names_the_task_in_which_nothing_varies(study: Make, columns: Make, design: Make, table: Make) -> None:
    flat = {arm: {s: {"reviews": np.full(40, 2.0)} for s in (1, 2, 3)} for arm in ("base", "new")}
    found = row(analyse(table(joined(study(), columns(flat))), design()))
    assert "nothing varies in reviews" in found.flags
    assert "nothing varies" not in found.flags
    assert found.verdict == "worse"


def test_a_metric_without_a_zero_of_its_own_has_no_relative_difference(study: Make, design: Make, table: Make) -> None:
    facts = {"bits_per_byte": MetricFacts(True, "bits", ratio=False)}
    found = row(analyse(table(study()), design(metrics=facts, margins={"bits_per_byte": Margin("bits", 0.5)})))
    assert found.relative is found.relative_low is found.relative_high is None
    assert found.delta == 0.5


@pytest.mark.parametrize(("items", "clusters", "flag"), [(1, ["a"], "one item"), (3, ["a"] * 3, "one cluster")])
def test_a_task_of_one_item_or_one_document_is_flagged_and_so_is_its_category(
    study: Make, columns: Make, design: Make, table: Make, items: int, clusters: list[str], flag: str
) -> None:
    rng = np.random.default_rng(3)
    few = {
        arm: {s: {"reviews": 2 + shift + 0.001 * rng.random(items)} for s in (1, 2, 3)}
        for arm, shift in (("base", 0.0), ("new", -0.2))
    }
    both = joined(study(effect=-0.1), columns(few, clusters={"reviews": clusters}))
    result = analyse(table(both), design())
    assert flag in row(result, "reviews").flags
    assert row(result, "reviews").verdict == "better"
    assert f"{flag} in reviews" in row(result).flags
    assert not [f for f in row(result, "news").flags if f.startswith("one ")]


def test_exploratory_rows_are_corrected_within_the_ends_of_the_study(study: Make, design: Make, table: Make) -> None:
    second = study(effect=0.004, draw=9)
    third = {**second, "variant": ["third" if v == "new" else v for v in second["variant"]]}
    early = study(tokens=500, stage="1", effect=0.003, draw=4)
    columns = joined(study(effect=0.02), without(third, variant="base"), early)
    pairs = {(v, "base"): PairFacts("compute") for v in ("new", "third")}
    result = analyse(table(columns), design(variants=("base", "new", "third"), pairs=pairs))
    assert len(result.final) == 6
    assert all("exploratory" in r.flags for r in result.comparisons)
    # p_adjusted is made of guarded p-values, so it is at least what the rows' own p would give.
    for family in (result.final, [r for r in result.comparisons if r.tokens == 500]):
        own = multipletests([r.p for r in family], method="fdr_bh")[1]
        assert all(r.p_adjusted >= p - 1e-12 for r, p in zip(family, own, strict=True))
    assert row(result, tokens=500).p_adjusted <= 1.0


def test_a_difference_that_correction_takes_away_is_flagged(study: Make, design: Make, table: Make) -> None:
    seen = 0
    for draw in range(12):
        result = analyse(table(study(effect=0.011, draw=draw)), design())
        for r in result.comparisons:
            lost = r.p <= 0.05 < r.p_adjusted
            assert ("not after correction for the number of comparisons" in r.flags) == lost
            assert (r.verdict == "worse") == (r.p_adjusted <= 0.05)
            seen += lost
    assert seen > 0


def test_the_interval_excludes_zero_exactly_when_p_is_small(study: Make, design: Make, table: Make) -> None:
    for draw in range(20):
        for r in analyse(table(study(effect=0.01, draw=draw)), design()).comparisons:
            assert (r.low > 0 or r.high < 0) == (r.p < 0.05) == (r.relative_low > 0 or r.relative_high < 0)


def test_the_order_of_the_table_does_not_matter(study: Make, design: Make) -> None:
    columns = study()
    order = np.random.default_rng(0).permutation(len(columns["value"]))
    shuffled = {name: [values[i] for i in order] for name, values in columns.items()}
    given = design(margins=DELTA)
    assert analyse(ItemTable.from_columns(columns), given) == analyse(ItemTable.from_columns(shuffled), given)


def test_items_that_not_all_share_are_left_out_and_counted(study: Make, design: Make, table: Make) -> None:
    columns = without(study(), variant="new", seed=2, item="news-0003")
    found = row(analyse(table(columns), design()), "news")
    assert found.n_items == 39
    assert "1 items that not all seeds of both arms share are left out" in found.flags
    everywhere = row(analyse(table(without(study(), item="news-0003")), design()), "news")
    assert found.absolute == everywhere.absolute


def test_weights_that_differ_between_checkpoints_are_refused(study: Make, design: Make, table: Make) -> None:
    columns = study()
    columns["weight"][0] = 2.0
    with pytest.raises(ValueError, match="weights of the same items differ"):
        analyse(table(columns), design())


def test_clusters_widen_the_interval_and_are_named(columns: Make, design: Make, table: Make) -> None:
    rng = np.random.default_rng(4)
    document = np.repeat(rng.normal(0, 0.1, 8), 10)
    base = {s: {"news": 2 + rng.normal(0, 0.01, 80)} for s in (1, 2, 3)}
    new = {s: {"news": base[s]["news"] + document + rng.normal(0, 0.01, 80)} for s in (1, 2, 3)}
    arms = {"base": base, "new": new}
    names = {"news": [f"book {i // 10}" for i in range(80)]}
    alone = row(analyse(table(columns(arms)), design()), "news")
    together = row(analyse(table(columns(arms, clusters=names)), design()), "news")
    assert together.se > 2 * alone.se
    assert "8 clusters" in together.method
    assert together.n_items == 80


def test_a_single_cluster_leaves_the_seeds(columns: Make, study: Make, design: Make, table: Make) -> None:
    one = study(clusters={"news": ["a"] * 40, "speech": [f"s{i}" for i in range(40)]})
    result = analyse(table(one), design())
    assert row(result, "news").method == "seeds only (one cluster), t with 2 df"
    assert "a task with one cluster counts by seeds only" in row(result).method


def test_dose_checks_are_marked(study: Make, design: Make, table: Make) -> None:
    result = analyse(table(study()), design(dose=frozenset({("transfer", "news")})))
    assert "dose check" in row(result, "news").flags
    assert "dose check" not in row(result, "speech").flags


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": None}, "lacks the columns weight"),
        ({"value": [1.0]}, "differ in length"),
        ({"item": ["same"]}, "an item occurs twice"),
        ({"value": [float("nan")]}, "must be finite"),
    ],
)
def test_unusable_tables_are_refused(study: Make, change: dict[str, Any], message: str) -> None:
    columns = study()
    for name, value in change.items():
        if value is None:
            del columns[name]
        elif name == "value" and len(value) == 1 and value[0] == 1.0:
            columns[name] = value
        else:
            columns[name] = value * len(columns[name])
    with pytest.raises(ValueError, match=message):
        ItemTable.from_columns(columns)


def test_an_item_without_a_cluster_is_its_own(study: Make, design: Make, table: Make) -> None:
    columns = study()
    plain = analyse(table({**columns, "cluster": [None] * len(columns["value"])}), design())
    assert [replace(r) for r in plain.comparisons] == list(analyse(table(columns), design()).comparisons)


def test_an_empty_table_has_no_rows(design: Make, study: Make) -> None:
    result = analyse(ItemTable.from_columns({name: [] for name in study()}), design())
    assert result.comparisons == ()


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_studies_without_a_difference_seldom_get_a_verdict(study: Make, design: Make, table: Make, seeds: int) -> None:
    given = design(seeds=tuple(range(1, seeds + 1)))
    wrong = 0
    for draw in range(80):
        items = table(study(effect=0.0, seeds=seeds, items=12, seed_noise=0.01, draw=draw))
        wrong += any(r.verdict != "undecided" for r in analyse(items, given).comparisons)
    assert wrong <= 8  # 5% of 80 and two standard errors
