"""Amounts, shares and margins as people write them, and back.

Guarantees: reading is exact (decimal text to integers and fractions, never through a float); what cannot be
read is a `ValueError` that says how to write it; formatting and reading again gives the same value.

K, M and B (or G) are powers of 1,000; KiB, MiB and GiB are powers of 1,024.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Literal

MarginKind = Literal["relative", "points", "bits"]

_NUMBER = r"[0-9][0-9_]*(?:\.[0-9]+)?"
_TOKENS = re.compile(rf"({_NUMBER})\s*([KMBT]?)(?:\s*tokens?)?", re.IGNORECASE)
_BYTES = re.compile(rf"({_NUMBER})\s*([KMG]i?)?(?:B|\s*bytes?)", re.IGNORECASE)
_PERCENT = re.compile(rf"({_NUMBER})\s*%")
_RATIO = re.compile(r"([0-9]+)\s*/\s*([0-9]+)")
_MARGIN = re.compile(rf"({_NUMBER})\s*(%|points?|bits?)")
_END = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?\s*%?"
_RANGE = re.compile(rf"({_END})?\s*\.\.\s*({_END})?")
_THOUSANDS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12, "G": 10**9}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30}


def _fraction(number: str) -> Fraction:
    return Fraction(number.replace("_", ""))


def _whole(value: Fraction, unit: str, text: str) -> int:
    if value.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of {unit}")
    return int(value)


def parse_tokens(value: object) -> int:
    """Tokens, at least 0: an integer, "200K tokens", "2M", "1.5B tokens"."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{value} tokens: an amount is not negative")
        return value
    if isinstance(value, str) and (match := _TOKENS.fullmatch(value.strip())):
        return _whole(_fraction(match[1]) * _THOUSANDS[match[2].upper()], "tokens", value)
    raise ValueError(f"{_shown(value)} is not an amount of tokens; write it like 200K tokens, 2M tokens or 8192")


def parse_bytes(value: object) -> int:
    """Bytes, at least 0: an integer, "60 KB", "1.5 MB", "256 KiB"."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"{value} bytes: an amount is not negative")
        return value
    if isinstance(value, str) and (match := _BYTES.fullmatch(value.strip())):
        unit = (match[2] or "").upper()
        return _whole(_fraction(match[1]) * (_BINARY | _THOUSANDS)[unit], "bytes", value)
    raise ValueError(f"{_shown(value)} is not an amount of bytes; write it like 60 KB, 1.5 MB or 61440")


def parse_share(value: object) -> Fraction:
    """An exact share in [0, 1]: "50%", "33.3%" (333/1000), "1/3", or a `Fraction`.

    A bare number is refused: 0.5 and 50 could both mean a half, and a float is not exact.
    """
    share: Fraction
    if isinstance(value, Fraction):
        share = value
    elif isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())):
        share = _fraction(match[1]) / 100
    elif isinstance(value, str) and (match := _RATIO.fullmatch(value.strip())) and int(match[2]):
        share = Fraction(int(match[1]), int(match[2]))
    elif isinstance(value, str) and value.strip().startswith("-"):
        raise ValueError(f"{value!r} is negative; a share is between 0% and 100%")
    else:
        raise ValueError(f"{_shown(value)} is not a share; write it like 50%, 33.3% or 1/3")
    if not 0 <= share <= 1:
        raise ValueError(f"{_shown(value)} is not between 0% and 100%")
    return share


def parse_range(text: str) -> tuple[float | None, float | None] | None:
    """(least, most) of "10..", "..80%", "0.1..0.5" or "..1e-6", both included; `None` for what is no range.

    A percentage is a hundredth.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or not (match[1] or match[2]):
        return None
    least, most = (None if end is None else _end(end) for end in (match[1], match[2]))
    if least is not None and most is not None and least > most:
        raise ValueError(f"{text!r} keeps nothing: its least is above its most")
    return least, most


def _end(text: str) -> float:
    number = float(text.rstrip("% ")) / (100 if text.endswith("%") else 1)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no number that a computer can hold")
    return number


def format_number(value: float) -> str:
    """Plain decimals, without an exponent, that read back to the same number."""
    return format(Decimal(repr(value)), "f")


def format_share(share: Fraction) -> str:
    """Exact text of a share: a percentage where that terminates, else a ratio."""
    percent = share * 100
    rest = percent.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return f"{share.numerator}/{share.denominator}"
    return f"{_decimal(percent)}%"


def _decimal(value: Fraction) -> str:
    """Decimal digits of a fraction whose denominator has no primes but 2 and 5."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = int(value * 10**digits)
    return str(whole) if digits == 0 else f"{whole // 10**digits}.{whole % 10**digits:0{digits}d}"


def parse_margin(value: object) -> tuple[MarginKind, float]:
    """A margin: "0.5%" is ("relative", 0.005), "2 points" ("points", 2.0), "0.01 bits" ("bits", 0.01)."""
    if isinstance(value, str) and (match := _MARGIN.fullmatch(value.strip())):
        number = _fraction(match[1])
        if match[2] == "%":
            return "relative", float(number / 100)
        return ("points" if match[2].startswith("point") else "bits"), float(number)
    raise ValueError(f"{_shown(value)} is not a margin; write it like 0.5%, 2 points or 0.01 bits")


def format_margin(kind: str, value: float) -> str:
    """Text of a margin that `parse_margin` reads back to the same value."""
    exact = Fraction(repr(value))
    if kind == "relative":
        return format_share(exact)
    return f"{format(Decimal(repr(value)).normalize(), 'f')} {kind}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
