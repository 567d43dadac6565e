from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.study.schema import Margin
from pretrial.study.units import (
    format_number,
    format_share,
    parse_bytes,
    parse_margin,
    parse_range,
    parse_share,
    parse_tokens,
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (8192, 8192),
        ("8192", 8192),
        ("8192 tokens", 8192),
        ("1 token", 1),
        ("200K tokens", 200_000),
        ("2M", 2_000_000),
        ("1.5B tokens", 1_500_000_000),
        ("0.5k", 500),
        ("1_000", 1000),
        (0, 0),
    ],
)
def test_amounts_of_tokens(text: object, tokens: int) -> None:
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize("text", [-1, 1.5, True, None, "1.5", "-2M", "2 MB", "2M steps", "", "M", "0.0001K", "1e6"])
def test_what_is_no_amount_of_tokens(text: object) -> None:
    with pytest.raises(ValueError, match=r"tokens"):
        parse_tokens(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (61440, 61440),
        ("60 KB", 60_000),
        ("1.5 MB", 1_500_000),
        ("256 KiB", 262_144),
        ("7 bytes", 7),
        ("2GB", 2 * 10**9),
    ],
)
def test_amounts_of_bytes(text: object, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", [-1, 0.5, True, "60 KT", "60K tokens", "0.3 B", "60"])
def test_what_is_no_amount_of_bytes(text: object) -> None:
    with pytest.raises(ValueError, match=r"bytes"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("50%", Fraction(1, 2)),
        ("33.3%", Fraction(333, 1000)),
        ("0.1 %", Fraction(1, 1000)),
        ("1/3", Fraction(1, 3)),
        ("100%", Fraction(1)),
        (Fraction(2, 7), Fraction(2, 7)),
    ],
)
def test_shares_are_exact(text: object, share: Fraction) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("text", [0.5, 50, 1, True, "0.5", "101%", "-5%", "3/2", "1/0", "half", None])
def test_what_is_no_share(text: object) -> None:
    with pytest.raises(ValueError, match=r"share|between"):
        parse_share(text)


@given(st.fractions(min_value=0, max_value=1))
def test_a_share_survives_writing_and_reading(share: Fraction) -> None:
    assert parse_share(format_share(share)) == share


@given(st.integers(0, 10**6))
def test_terminating_shares_are_written_as_percentages(thousandths: int) -> None:
    assert format_share(Fraction(thousandths, 10**6)).endswith("%")


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("0.5%", ("relative", 0.005)),
        ("2 points", ("points", 2.0)),
        ("1 point", ("points", 1.0)),
        ("0.01 bits", ("bits", 0.01)),
    ],
)
def test_margins(text: str, margin: tuple[str, float]) -> None:
    assert parse_margin(text) == margin


@pytest.mark.parametrize("text", [0.5, "0.5", "5 percent", "-1%", ""])
def test_what_is_no_margin(text: object) -> None:
    with pytest.raises(ValueError, match="margin"):
        parse_margin(text)


@given(
    st.sampled_from(["relative", "points", "bits"]),
    st.decimals(min_value=0, max_value=1000, places=6, allow_nan=False),
)
def test_a_margin_survives_writing_and_reading(kind: str, number: object) -> None:
    margin = Margin(kind, float(str(number)))  # type: ignore[arg-type]
    assert parse_margin(str(margin)) == (kind, margin.value)


def test_a_margin_in_the_metrics_own_units() -> None:
    assert Margin("relative", 0.01).delta(-2.5) == pytest.approx(0.025)
    assert Margin("points", 2.0).delta(0.4) == pytest.approx(0.02)
    assert Margin("bits", 0.02).delta(2.5) == pytest.approx(0.02)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_range_survives_writing_and_reading(one: float, other: float) -> None:
    least, most = sorted((one, other))
    text = f"{format_number(least)}..{format_number(most)}"
    assert "e" not in text
    assert parse_range(text) == (least, most)
    assert parse_range(f"{least!r}..") == (least, None)


@pytest.mark.parametrize(
    ("text", "span"), [("1e-6..", (1e-6, None)), ("..2E+3", (None, 2000.0)), ("5e1%..", (0.5, None))]
)
def test_ranges_may_have_exponents(text: str, span: tuple[float | None, float | None]) -> None:
    assert parse_range(text) == span


def test_a_range_has_numbers_that_there_are() -> None:
    with pytest.raises(ValueError, match="no number that a computer can hold"):
        parse_range("..1e999")
    assert parse_range("1e9999..") is None
