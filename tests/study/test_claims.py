from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.errors import RequestError
from pretrial.study.claims import Vocabulary, format_claim, parse_claim, wrong_margin
from pretrial.study.schema import Claim, ClaimKind, Holds, Margin, Target
from pretrial.study.tasks import has_ratio, unit

TASKS = ("held-out", "transfer", "cloze", "piqa", "arc_easy", "lambada")
WORDS = Vocabulary.of(
    ("text→text", "balanced→text", "balanced→text long", "code first"), TASKS, ("prose", "python"), ("news",)
)


def parsed(text: str) -> Claim:
    return parse_claim(text, WORDS)


def test_the_three_kinds() -> None:
    assert parsed("balanced→text beats text→text on transfer by 0.5%, at equal compute") == Claim(
        "balanced→text beats text→text on transfer by 0.5%, at equal compute",
        "beats",
        "balanced→text",
        "text→text",
        Target("transfer", None, "bits_per_byte"),
        Margin("relative", 0.005),
        "compute",
    )
    equal = parsed("code first equals balanced→text long on held-out prose within 0.02 bits")
    assert (equal.kind, equal.variant, equal.against) == ("equals", "code first", "balanced→text long")
    assert (equal.target, equal.margin, equal.holds) == (
        Target("held-out", "prose", "bits_per_byte"),
        Margin("bits", 0.02),
        None,
    )
    loses = parsed("text→text does not lose to code first on piqa (acc_norm) by more than 2 points at equal text")
    assert (loses.kind, loses.target) == ("not-worse", Target("reasoning", "piqa", "acc_norm"))
    assert (loses.margin, loses.holds) == (Margin("points", 2.0), "text")


def test_the_margin_of_beats_may_be_left_out() -> None:
    assert parsed("code first beats text→text on cloze python").margin == Margin("relative", 0.0)


@pytest.mark.parametrize(
    ("spelled", "target"),
    [
        ("reasoning", Target("reasoning", None, "acc")),
        ("reasoning piqa", Target("reasoning", "piqa", "acc")),
        ("lambada", Target("language", "lambada", "acc")),
        ("cloze news", Target("cloze", "news", "accuracy")),
        ("transfer news (bits per byte)", Target("transfer", "news", "bits_per_byte")),
        ("reasoning (answer-bits-per-byte)", Target("reasoning", None, "answer_bits_per_byte")),
    ],
)
def test_targets(spelled: str, target: Target) -> None:
    assert parsed(f"code first beats text→text on {spelled}").target == target


@pytest.mark.parametrize("tasks", [TASKS, TASKS[::-1], ("cloze", "arc_easy", "piqa", "lambada", "transfer")])
def test_a_targets_metric_does_not_depend_on_the_order_of_tasks(tasks: tuple[str, ...]) -> None:
    words = Vocabulary.of(("a", "b"), tasks, ("prose",), ("news",))
    for spelled, metric in (
        ("reasoning", "acc"),
        ("piqa", "acc"),
        ("cloze", "accuracy"),
        ("transfer", "bits_per_byte"),
    ):
        text = f"a beats b on {spelled}"
        claim = parse_claim(text, words)
        assert (claim.target.metric, claim.text) == (metric, text)


@pytest.mark.parametrize("text", ["code first beats text→text on cloze (margin)", "… by 0.2 bits"])
def test_log_odds_take_bits_and_no_percentage(text: str) -> None:
    whole = text.replace("…", "code first beats text→text on cloze (margin)")
    assert parsed(whole).target == Target("cloze", None, "margin")
    with pytest.raises(RequestError, match=r"1% does not go with margin: .* may be negative") as caught:
        parsed("code first beats text→text on cloze (margin) by 1%")
    assert caught.value.remedy == "write bits"
    assert wrong_margin(Margin("relative", 0.01), "margin") is not None
    assert wrong_margin(Margin("bits", 0.01), "margin") is None


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("balanced→txt beats text→text on transfer", "no variant is called 'balanced→txt'", "'balanced→text'"),
        ("code first beats text->text on transfer", "no variant is called 'text->text'", "'text→text'"),
        ("code first beats text→text on held-out prsoe", "no category or task 'held-out prsoe'", "'held-out prose'"),
        ("code first beats text→text on transfr by 1%", "no category or task 'transfr'", "'transfer'"),
        ("code first beats text→text on transfer prose", "no category or task 'transfer prose'", "'transfer news'"),
        ("code first beats text→text on blimp", "does not evaluate 'blimp'", "add it to evaluate"),
        ("code first beats text→text on transfer by 2 points", "2 points does not go with bits_per_byte", "bits"),
        ("code first beats text→text on piqa by 0.1 bits", "0.1 bits does not go with acc", "points"),
        (
            "code first beats text→text on piqa (bits_per_byte)",
            "'reasoning piqa' has no metric",
            "'answer_bits_per_byte'",
        ),
        ("code first beats text→text on transfer by lots", "no category or task", "transfer"),
        ("code first equals text→text on transfer", "the end of the claim cannot be read", "within 1%"),
        ("code first equals text→text on transfer within 0%", "nothing is equal within 0", "above 0"),
        ("code first beats text→text on transfer by 1%, at equal cost", "cannot be read", "at equal compute"),
        ("code first beats code first on transfer", "compared with itself", "two variants"),
        ("code first is better than text→text", "not a claim", "A beats B on TARGET"),
        ("", "not a claim", "A beats B on TARGET"),
    ],
)
def test_a_wrong_claim_says_which_part_and_what_is_nearest(text: str, what: str, remedy: str) -> None:
    with pytest.raises(RequestError) as caught:
        parsed(text)
    assert what in caught.value.what
    assert remedy in (caught.value.remedy or "")


def test_an_ambiguous_claim_is_refused() -> None:
    words = Vocabulary.of(("a", "b", "a beats b", "b beats c", "c"), ("transfer",), (), ("x",))
    with pytest.raises(RequestError, match="can be read as"):
        parse_claim("a beats b beats c on transfer", words)


NAMES = (
    st.lists(
        st.sampled_from(
            ["text", "code", "→", "->", " ", "beats", "equals", "on", "by", "1%", "transfer", "(acc)", "é"]
        ),
        min_size=1,
        max_size=5,
    )
    .map(lambda parts: "".join(parts).strip())
    .filter(bool)
)
NUMBERS = st.integers(1, 10**6).map(lambda n: n / 1000)


@st.composite
def claims(draw: st.DrawFn) -> tuple[Claim, Vocabulary]:
    variants = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    trained = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    unseen = [name for name in draw(st.lists(NAMES, min_size=1, max_size=2, unique=True)) if name not in trained]
    words = Vocabulary.of(variants, TASKS, trained, unseen)
    variant, against = draw(st.permutations(variants))[:2]
    category, task, metrics = draw(st.sampled_from(sorted(words.targets.values(), key=str)))
    metric = draw(st.sampled_from(metrics))
    own = "points" if unit(metric) == "share" else "bits"
    margin = Margin(draw(st.sampled_from(["relative", own] if has_ratio(metric) else [own])), draw(NUMBERS))
    kinds: list[ClaimKind] = ["beats", "equals", "not-worse"]
    fixed: list[Holds | None] = [None, "compute", "text", "order"]
    kind, holds = draw(st.sampled_from(kinds)), draw(st.sampled_from(fixed))
    claim = Claim("", kind, variant, against, Target(category, task, metric), margin, holds)
    return replace(claim, text=format_claim(claim)), words


@given(claims())
@settings(deadline=None, max_examples=300)
def test_a_claim_survives_writing_and_reading_or_is_refused_as_ambiguous(case: tuple[Claim, Vocabulary]) -> None:
    claim, words = case
    try:
        assert parse_claim(claim.text, words) == claim
    except RequestError as error:
        assert "can be read as" in error.what  # noqa: PT017 — never a wrong reading, never "not a claim"


@given(st.sampled_from(WORDS.variants), st.sampled_from(sorted(WORDS.targets)), NUMBERS)
def test_ordinary_names_are_never_ambiguous(variant: str, target: str, percent: float) -> None:
    against = next(name for name in WORDS.variants if name != variant)
    claim = parsed(f"{variant} beats {against} on {target} by {percent}%")
    assert (claim.variant, claim.against) == (variant, against)
    assert parse_claim(format_claim(claim), WORDS).target == claim.target
