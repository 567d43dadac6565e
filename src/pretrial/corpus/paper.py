"""The language mixtures of *To Code, or Not To Code?* (Aryabumi et al., 2024, appendix A.1), under names.

Guarantees: shares are exact and sum to 1. The paper's percentages sum to 99.99 (they are rounded); the missing 0.01
goes to the language with the largest share, as stated in docs/decisions.md. They are shares of documents in the paper,
and are taken as shares of tokens here: the paper does not say that it weighted languages otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

_CODE = {
    "java": 1554, "javascript": 1529, "php": 1246, "python": 960, "c-sharp": 830, "typescript": 792, "c": 663,
    "cpp": 491, "go": 349, "ruby": 269, "shell": 182, "kotlin": 176, "swift": 152, "vue": 148, "rust": 100,
    "scala": 94, "jsx": 83, "sql": 74, "dart": 72, "makefile": 53, "lua": 47, "haskell": 45, "smalltalk": 43,
    "tex": 37, "clojure": 10,
}  # fmt: skip
_MARKUP = {
    "markdown": 5423, "yaml": 1077, "json": 997, "html": 857, "css": 686, "scss": 584, "restructuredtext": 226,
    "toml": 125, "sass": 22, "rmarkdown": 2,
}  # fmt: skip

SHARES: dict[str, dict[str, int]] = {"paper-languages": _CODE, "paper-markup": _MARKUP}
"""Hundredths of a per cent by language, as published."""


def shares(name: str, among: Iterable[str] = ()) -> dict[str, Fraction]:
    """Share of each language, largest first; `among` leaves only these, whose shares then sum to 1.

    Raises:
        KeyError: for a name that is not in `SHARES`.
        ValueError: when none of `among` is in it.
    """
    table = dict(SHARES[name])
    largest = max(table, key=lambda language: table[language])
    table[largest] += 10_000 - sum(table.values())
    wanted = set(among) or set(table)
    chosen = {language: share for language, share in table.items() if language in wanted}
    if not chosen:
        raise ValueError(f"{name} has none of {', '.join(sorted(wanted))}")
    total = sum(chosen.values())
    return {language: Fraction(share, total) for language, share in chosen.items()}
