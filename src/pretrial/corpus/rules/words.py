"""Words and lines: what the rules for prose measure.

A *word* is a run of characters without white space. Published pipelines cut words in their own ways (spaCy, NLTK), so
their thresholds do not carry over to the last digit; this cut needs no model and no language.
"""

from __future__ import annotations

from functools import lru_cache

_PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«»“”‘’…–—"


@lru_cache(maxsize=1)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text; the last text asked for is remembered, since rules of a family ask one after the other."""
    return tuple(text.split())


def bare(word: str) -> str:
    """A word in lower case without punctuation at its ends."""
    return word.strip(_PUNCTUATION).lower()


def repeated_lines(pieces: list[str]) -> tuple[float, float]:
    """Pieces that came before over all, and their characters over all characters (0, 0 for none)."""
    seen: set[str] = set()
    again = characters = total = 0
    for piece in pieces:
        total += len(piece)
        if piece in seen:
            again += 1
            characters += len(piece)
        seen.add(piece)
    return (again / len(pieces), characters / total) if pieces and total else (0.0, 0.0)
