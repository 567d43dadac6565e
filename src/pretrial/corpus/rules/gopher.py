"""The quality and repetition rules of Gopher (Rae et al., *Scaling Language Models*, arXiv 2112.11446, appendix A.1.1).

Guarantees: the paper's thresholds as defaults. Words are runs without white space (`words`). Where
public pipelines read the paper in different ways, the reading taken here is in the rule's docstring.
Does not: know languages other than English: stop words and thresholds were made for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.measures import plain_line_ends
from pretrial.corpus.rules.result import Result, Rule
from pretrial.corpus.rules.words import bare, repeated_lines, words_of

# Words without a letter of English: few enough to be asked one by one for other letters.
_NO_ASCII_LETTER = re.compile(r"(?<!\S)[^A-Za-z\s]++(?!\S)")
_PARAGRAPH_END = re.compile(r"\n\s*\n")
_BULLETS = ("•", "-", "*", "‣", "◦")


@dataclass(frozen=True)
class GopherQuality:
    """Keeps what looks like written English.

    From `min_words` to `max_words` words; their mean length from `min_mean` to `max_mean` characters; hash marks, and
    ellipses (`...` or `…`), at most `max_symbols` a word each; at most `max_bullets` of the lines begin with a bullet
    (`•`, `-`, `*`, `‣`, `◦`) and at most `max_ellipsis_lines` end with an ellipsis; at least `min_letters` of the words
    hold a letter; at least `min_stop` *different* ones of `stop` occur. Lines that are blank do not count; of a text
    without words every measure is 0.
    """

    name: ClassVar[str] = "gopher-quality"
    version: ClassVar[int] = 2

    min_words: int = 50
    max_words: int = 100_000
    min_mean: float = 3.0
    max_mean: float = 10.0
    max_symbols: float = 0.1
    max_bullets: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_letters: float = 0.8
    min_stop: int = 2
    stop: tuple[str, ...] = ("the", "be", "to", "of", "and", "that", "have", "with")

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        words = words_of(text)
        count = len(words)
        if count < self.min_words:
            return Result(text, reason="min-words", value=count)
        if count > self.max_words:
            return Result(text, reason="max-words", value=count)
        each = max(count, 1)
        mean = sum(map(len, words)) / each
        if mean < self.min_mean:
            return Result(text, reason="min-mean", value=mean)
        if mean > self.max_mean:
            return Result(text, reason="max-mean", value=mean)
        hashes = text.count("#") / each
        if hashes > self.max_symbols:
            return Result(text, reason="hashes", value=hashes)
        ellipses = (text.count("...") + text.count("…")) / each
        if ellipses > self.max_symbols:
            return Result(text, reason="ellipses", value=ellipses)
        lines = [line.strip() for line in plain_line_ends(text).split("\n") if line and not line.isspace()]
        bullets = sum(line.startswith(_BULLETS) for line in lines) / max(len(lines), 1)
        if bullets > self.max_bullets:
            return Result(text, reason="bullets", value=bullets)
        trailing = sum(line.endswith(("...", "…")) for line in lines) / max(len(lines), 1)
        if trailing > self.max_ellipsis_lines:
            return Result(text, reason="ellipsis-lines", value=trailing)
        without = sum(not any(map(str.isalpha, word)) for word in _NO_ASCII_LETTER.findall(text))
        letters = (count - without) / each
        if letters < self.min_letters:
            return Result(text, reason="letters", value=letters)
        found = self._stop_words(words)
        return Result(text, reason="stop-words", value=found) if found < self.min_stop else Result(text)

    def _stop_words(self, words: tuple[str, ...]) -> int:
        """How many different stop words occur, counted no further than needed."""
        wanted = set(self.stop)
        found: set[str] = set()
        for word in words:
            if (plain := bare(word)) in wanted:
                found.add(plain)
                if len(found) >= self.min_stop:
                    break
        return len(found)


@dataclass(frozen=True)
class GopherRepetition:
    """Drops what repeats itself.

    Lines, and paragraphs (parted by blank lines, which may hold white space), that came before: at most `lines` and
    `paragraphs` of their number and `line_characters` and `paragraph_characters` of their characters. The most frequent
    run of 2, 3 and 4 words: at most `top` of the characters (a run that comes once is no repetition). Runs of 5 to 10
    words that came before: at most `runs` of the characters, each character counted once. Characters are those of
    words.
    """

    name: ClassVar[str] = "gopher-repetition"
    version: ClassVar[int] = 2

    lines: float = 0.30
    paragraphs: float = 0.30
    line_characters: float = 0.20
    paragraph_characters: float = 0.20
    top_2: float = 0.20
    top_3: float = 0.18
    top_4: float = 0.16
    runs_5: float = 0.15
    runs_6: float = 0.14
    runs_7: float = 0.13
    runs_8: float = 0.12
    runs_9: float = 0.11
    runs_10: float = 0.10

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        trimmed = plain_line_ends(text.strip())
        share, characters = repeated_lines(_PARAGRAPH_END.split(trimmed))
        if share > self.paragraphs:
            return Result(text, reason="paragraphs", value=share)
        if characters > self.paragraph_characters:
            return Result(text, reason="paragraph-characters", value=characters)
        share, characters = repeated_lines([line for line in trimmed.split("\n") if line and not line.isspace()])
        if share > self.lines:
            return Result(text, reason="lines", value=share)
        if characters > self.line_characters:
            return Result(text, reason="line-characters", value=characters)
        from pretrial.corpus.rules.runs import Runs  # numpy: not for planning

        runs = Runs(text)
        for n, most in ((2, self.top_2), (3, self.top_3), (4, self.top_4)):
            share = runs.top_share(n)
            if share > most:
                return Result(text, reason=f"top-{n}", value=share)
        limits = (self.runs_5, self.runs_6, self.runs_7, self.runs_8, self.runs_9, self.runs_10)
        for n, most in enumerate(limits, 5):
            share = runs.repeated_share(n)
            if share > most:
                return Result(text, reason=f"runs-{n}", value=share)
        return Result(text)


RULES: tuple[type[Rule], ...] = (GopherQuality, GopherRepetition)
FAMILY = {"gopher": tuple(rule.name for rule in RULES)}
