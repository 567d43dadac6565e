"""Sentences carry the verdict, the numbers and their doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pretrial.analysis import MetricFacts, PairFacts, RegisteredClaim, analyse, claim_sentence, sentence
from pretrial.analysis.words import amount, percent
from pretrial.study.schema import Claim, Margin, Target

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.021, "2.1%"), (-0.021, "−2.1%"), (0.3, "30%"), (0.00034, "0.034%"), (0.0, "0.0%"), (0.12345, "12%")],
)
def test_percentages_have_two_digits_that_matter(value: float, text: str) -> None:
    assert percent(value) == text


def test_shares_are_told_in_points() -> None:
    assert amount(0.021, "share", signed=True) == "+2.1 points"
    assert amount(-0.037, "bits per byte") == "−0.037 bits per byte"


def test_a_decided_row_is_told_with_interval_seeds_and_documents(study: Make, design: Make, table: Make) -> None:
    given = design()
    row = analyse(table(study(effect=0.1)), given).comparisons[0]
    told = replace(row, relative=0.0211, relative_low=0.009, relative_high=0.0332)
    assert sentence(told, given) == (
        "new is worse than base on transfer (bits per byte) by 2.1% [0.9, 3.3] (3 seeds, 80 documents)."
    )
    fewer = replace(told, verdict="better", relative=-0.0211, relative_low=-0.0332, relative_high=-0.009)
    assert "is better than base on transfer (bits per byte) by 2.1% [0.9, 3.3]" in sentence(fewer, given)


def test_an_undecided_row_says_what_would_have_been_found(study: Make, design: Make, table: Make) -> None:
    row = analyse(table(study(effect=0.0, seed_noise=0.05)), design()).comparisons[1]
    told = sentence(row, design())
    assert told.startswith("new against base on transfer news (bits per byte): undecided, ")
    assert "would be found four times in five" in told


def test_equivalence_names_its_margin(study: Make, design: Make, table: Make) -> None:
    given = design(margins={"bits_per_byte": Margin("relative", 0.01)})
    items = table(study(effect=0.0, seed_noise=0.0005, item_noise=0.002, noise=0.002))
    assert "new equals base on transfer (bits per byte) within 1%: " in sentence(
        analyse(items, given).comparisons[0], given
    )


def test_one_seed_is_told_as_one_seed(study: Make, design: Make, table: Make) -> None:
    result = analyse(table(study(seeds=1)), design(seeds=(1,)))
    assert "over items of one seed" in sentence(result.comparisons[0], design())
    assert any("fewer than three seeds" in text for text in result.does_not_show)


def quiz(columns: Make, design: Make, table: Make, base: Any, new: Any) -> tuple[Any, Any]:
    """Design and analysis of right and wrong answers [3, items] of two arms on lambada."""
    arms = {arm: {s: {"lambada": rows[s - 1]} for s in (1, 2, 3)} for arm, rows in (("base", base), ("new", new))}
    given = design(categories={"language": ("lambada",)}, metrics={"acc": MetricFacts(True, "share")})
    return given, analyse(table(columns(arms, metric="acc", category="language")), given)


def test_a_tie_is_told_as_undecided(columns: Make, design: Make, table: Make) -> None:
    base = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0]], dtype=float)
    given, result = quiz(columns, design, table, base, base[:, ::-1])
    (row,) = result.comparisons
    assert row.verdict == "undecided"
    assert sentence(row, given).startswith("new against base on language lambada (acc): undecided, ")
    assert result.shows == ()


def test_where_nothing_varies_nothing_is_said_to_be_known(columns: Make, design: Make, table: Make) -> None:
    given, result = quiz(columns, design, table, np.zeros((3, 9)), np.zeros((3, 9)))
    assert sentence(result.comparisons[0], given) == (
        "new and base score the same on every item of language lambada (acc) in every seed (3 seeds, 9 items): "
        "where nothing varies, nothing is known of a difference."
    )
    assert result.shows == ()
    assert sentence(result.comparisons[0], given) in result.does_not_show


def test_one_item_is_told_and_so_is_a_category_that_rests_on_it(
    columns: Make, study: Make, design: Make, table: Make
) -> None:
    few = {
        arm: {s: {"reviews": np.array([2 + shift + s / 1000])} for s in (1, 2, 3)}
        for arm, shift in (("base", 0.0), ("new", -0.2))
    }
    both = study(effect=-0.1)
    for name, values in columns(few).items():
        both[name] += values
    result = analyse(table(both), design())
    (told,) = [text for text in result.shows if "on transfer (bits per byte)" in text]
    assert "is better than base" in told
    assert told.endswith("; reviews has one item; exploratory.")
    assert any(
        text == "A difference on transfer reviews (bits per byte): there is one item, and another may say otherwise."
        for text in result.does_not_show
    )
    (row,) = [row for row in result.comparisons if row.task == "reviews"]
    assert sentence(row, design()).endswith("; it has one item, so the interval is over seeds alone.")


def test_a_mean_that_lacks_a_task_is_told_without_a_verdict(study: Make, design: Make, table: Make) -> None:
    planned = {("transfer", t): ("bits_per_byte",) for t in ("news", "reviews", "speech")}
    given = design(categories={"transfer": ("news", "reviews", "speech")}, planned=planned)
    result = analyse(table(study(effect=0.1)), given)
    assert not [text for text in result.shows if "on transfer (" in text]
    (told,) = [text for text in result.does_not_show if "on transfer (" in text]
    assert "undecided, " in told
    assert told.endswith("; the mean lacks reviews, so there is no verdict.")


def test_claims_come_first_and_exploratory_rows_are_marked(study: Make, design: Make, table: Make) -> None:
    words = "new equals base on transfer within 1%"
    claim = Claim(words, "equals", "new", "base", Target("transfer", None, None), Margin("relative", 0.01))
    result = analyse(table(study(effect=0.1)), design(claims=(RegisteredClaim(claim),)))
    assert result.shows[0].startswith(f"“{words}”: refuted; ")
    assert result.shows[1].endswith("(3 seeds, 80 documents).")
    assert all(text.endswith(("exploratory.", "see the table.")) for text in result.shows[2:])
    late = claim_sentence(replace(result.claims[0], registered=False, registration="seeds were added after a look"))
    assert "refuted (exploratory: seeds were added after a look); " in late


def test_what_is_not_shown_is_said(study: Make, design: Make, table: Make) -> None:
    given = design(
        seeds=(1, 2, 3, 4),
        missing={("new", 4): "diverged at step 9"},
        parameters=1_200_000,
        dose=frozenset({("transfer", "news")}),
        pairs={("new", "base"): PairFacts("", "code adds tokens", flags=("repetition-confounded",))},
    )
    told = " ".join(analyse(table(study()), given).does_not_show)
    for part in (
        "dose checks",
        "the comparison is descriptive (code adds tokens)",
        "seed 4 of new missing: diverged at step 9",
        "repetition",
        "under 15M parameters",
    ):
        assert part in told


def test_chance_is_named(columns: Make, design: Make, table: Make) -> None:
    rng = np.random.default_rng(2)
    arms = {arm: {s: {"piqa": (rng.random(200) < 0.5) * 1.0} for s in (1, 2, 3)} for arm in ("base", "new")}
    given = design(
        categories={"reasoning": ("piqa",)},
        metrics={"acc": MetricFacts(True, "share")},
        chance={("piqa", "acc"): 0.5},
    )
    result = analyse(table(columns(arms, metric="acc", category="reasoning")), given)
    assert any("both arms are within two standard errors of chance" in text for text in result.does_not_show)
    assert " points [" in sentence(result.comparisons[0], given)
    assert "600" not in sentence(result.comparisons[0], given)
    assert "3 seeds, 200 items" in sentence(result.comparisons[0], given)
