"""The rules that FineWeb added (Penedo et al., *The FineWeb Datasets*, arXiv 2406.17557, section 3.6).

Guarantees: the defaults of the code that made FineWeb (datatrove's `FineWebQualityFilter`). For repeated characters
that is 0.01, as in the paper's appendix E.4, where its section 3.6 says 0.1; the bound on line ends a word is not among
the three rules of that section. FineWeb applied these rules after Gopher's repetition and quality rules and C4's
without the rule of terminal punctuation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.measures import plain_line_ends
from pretrial.corpus.rules.result import Result, Rule
from pretrial.corpus.rules.words import repeated_lines, words_of

_OTHER_SCRIPTS = """
    589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 17D4-17D6 17D9-17DA
    1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 2E2E 2E3C
    2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE52
    FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143
    111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642
    1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5
    16B37-16B38 16B44 16E98 1BC9F 1DA88
"""
"""Code points, and ranges of them, that end a sentence in other scripts: those that datatrove took from Unicode's
property `Sentence_Terminal` for FineWeb 2 (the danda, the Arabic question mark, full stops of full width, …)."""


def _characters(ranges: str) -> Iterator[str]:
    for piece in ranges.split():
        first, _, last = piece.partition("-")
        yield from map(chr, range(int(first, 16), int(last or first, 16) + 1))


_TERMINAL = frozenset((".", "!", "?", '"', "'", *_characters(_OTHER_SCRIPTS)))
"""The five that FineWeb was made with, and those of other scripts."""


@dataclass(frozen=True)
class FineWeb:
    """Drops pages that are lists.

    At least `min_terminal` of the lines end a sentence (`.`, `!`, `?`, a straight quotation mark, or what ends one in
    another script; not `:`, `;` or `…`); at most `max_short` of them have `short` characters or fewer; characters in
    lines that came before are at most `max_repeated`; at most `max_newlines` line ends a word. Lines that are blank do
    not count as lines, their line ends do.
    """

    name: ClassVar[str] = "fineweb-quality"
    version: ClassVar[int] = 2

    min_terminal: float = 0.12
    short: int = 30
    max_short: float = 0.67
    max_repeated: float = 0.01
    max_newlines: float = 0.3

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        plain = plain_line_ends(text)
        lines = [line.strip() for line in plain.split("\n") if line and not line.isspace()]
        if not lines:
            return Result(text, reason="min-terminal", value=0.0)
        terminal = sum(line[-1] in _TERMINAL for line in lines) / len(lines)
        if terminal < self.min_terminal:
            return Result(text, reason="min-terminal", value=terminal)
        short = sum(len(line) <= self.short for line in lines) / len(lines)
        if short > self.max_short:
            return Result(text, reason="max-short", value=short)
        repeated = repeated_lines(lines)[1]
        if repeated > self.max_repeated:
            return Result(text, reason="max-repeated", value=repeated)
        newlines = plain.count("\n") / len(words_of(text))
        return Result(text, reason="max-newlines", value=newlines) if newlines > self.max_newlines else Result(text)


RULES: tuple[type[Rule], ...] = (FineWeb,)
FAMILY = {
    "fineweb": (
        "gopher-repetition",
        "gopher-quality",
        "c4-page",
        ("c4-lines", {"terminal": False}),
        "fineweb-quality",
    )
}
