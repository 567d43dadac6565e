"""Numbers as people read them. Pure text: the page escapes it, the terminal prints it.

Differences carry their sign, with a true minus; an interval is written `[low, high]`. Bits per byte have
three decimals (four where the interval is narrower than 0.02), shares are in per cent, differences of
shares in points. What is unknown is a dash.
"""

from __future__ import annotations

import math

DASH = "–"
MINUS = "−"

WORDS = {
    "better": ("▲", "better"),
    "worse": ("▼", "worse"),
    "equivalent": ("≈", "equivalent"),
    "undecided": ("?", "undecided"),
    "supported": ("✓", "supported"),
    "refuted": ("✕", "refuted"),
}
"""A sign and a word for each verdict: never colour alone."""


def _signed(text: str, value: float) -> str:
    zero = not any(digit in text for digit in "123456789")
    sign = "" if zero else (MINUS if value < 0 else "+")
    return sign + text


def decimals(unit: str, low: float | None = None, high: float | None = None) -> int:
    """Decimals that a value of this unit deserves, given how wide its interval is."""
    if unit == "share":
        return 1
    if low is not None and high is not None and abs(high - low) < 0.02:
        return 4
    return 3


def value(number: float | None, unit: str, places: int | None = None) -> str:
    """A level: `2.491`, or `31.2%` for a share."""
    if number is None or not math.isfinite(number):
        return DASH
    if unit == "share":
        return f"{100 * number:.{1 if places is None else places}f}%"
    return f"{number:.{3 if places is None else places}f}".replace("-", MINUS)


def difference(number: float | None, unit: str, places: int | None = None) -> str:
    """A signed difference: `+0.037`, or `+1.2` points for a share."""
    if number is None:
        return DASH
    if not math.isfinite(number):
        return MINUS + "∞" if number < 0 else "+∞"
    scaled = 100 * number if unit == "share" else number
    return _signed(f"{abs(scaled):.{decimals(unit) if places is None else places}f}", scaled)


def interval(low: float | None, high: float | None, unit: str) -> str:
    """`[+0.006, +0.068]`; a dash where there is none."""
    if low is None or high is None:
        return DASH
    places = decimals(unit, low, high)
    return f"[{difference(low, unit, places)}, {difference(high, unit, places)}]"


def unit_name(unit: str) -> str:
    """The unit of a difference: shares differ by points."""
    return "points" if unit == "share" else unit


def percent(share: float | None, places: int = 1) -> str:
    """A signed relative change: `+1.5%`."""
    if share is None or not math.isfinite(share):
        return DASH
    return _signed(f"{abs(100 * share):.{places}f}", share) + "%"


def share(number: float | None) -> str:
    """A share without a sign: `49.98%`, trailing zeros dropped."""
    if number is None:
        return DASH
    return f"{100 * number:.2f}".rstrip("0").rstrip(".") + "%"


def small_share(number: float | None) -> str:
    """A share that may be tiny, to two digits: `3.1%`, `0.0042%`."""
    return DASH if number is None else f"{float(f'{100 * number:.2g}'):.10f}".rstrip("0").rstrip(".") + "%"


def probability(p: float | None) -> str:
    """`0.003`, or `< 0.001`."""
    if p is None:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def equals(p: float) -> str:
    """A p after its name: `= 0.003`, or `< 0.001`."""
    written = probability(p)
    return written if written.startswith("<") else f"= {written}"


def count(number: float | None) -> str:
    """`300,288`."""
    return DASH if number is None else f"{number:,.0f}"


def short(number: float | None) -> str:
    """`300K`, `3.2M`, `1.21B`."""
    if number is None:
        return DASH
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(number) >= size:
            return f"{float(f'{number / size:.3g}'):g}{letter}"
    return f"{number:g}"


def size(number: float | None) -> str:
    """Bytes in decimal units: `1.5 MB`."""
    if number is None:
        return DASH
    for scale, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if number >= scale:
            return f"{float(f'{number / scale:.3g}'):g} {name}"
    return f"{number:,.0f} B"


def duration(seconds: float | None) -> str:
    """`2 h 05 min`, `3 min 50 s`, `12 s`."""
    if seconds is None:
        return DASH
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole} s" if seconds >= 1 else f"{seconds:.1f} s"


def exponent(number: float | None) -> str:
    """FLOPs: `3.1 × 10¹³`."""
    if not number:
        return DASH
    mantissa, power = f"{number:.1e}".split("e")
    return f"{mantissa} × 10{str(int(power)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def rate(number: float | None) -> str:
    """A learning rate: three digits, `0.004`, `4.5e-05`."""
    return DASH if number is None else f"{number:.3g}"


def listing(names: list[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}" if names else DASH


def several(number: int, what: str) -> str:
    """`1 document`, `1,200 documents`."""
    return f"{count(number)} {what}{'s' * (number != 1)}"
