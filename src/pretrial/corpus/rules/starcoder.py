"""The file rules of StarCoder (Li et al., *StarCoder: may the source be with you!*, arXiv 2305.06161, section 3.1).

Guarantees: the published thresholds as defaults; a rule for one language passes all others.
Does not: measure characters a token (thresholds 2.5 to 2.9 in its preprocessing code), since that needs a tokenizer and
these rules see the text alone; or carry its table of extensions, which fifteen people made by looking at files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.comments import LANGUAGES, spans
from pretrial.corpus.rules.measures import alphanumeric_share, line_lengths, mean_line, visible_characters
from pretrial.corpus.rules.result import Check, Measured, Rule, language


@dataclass(frozen=True)
class StarLines(Measured):
    """Drops files with a line above `max_line` characters or a mean above `max_mean`. Section 3.1 (after Codex)."""

    name: ClassVar[str] = "starcoder-lines"
    version: ClassVar[int] = 2

    max_line: int = 1_000
    max_mean: float = 100.0

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        longest = max(line_lengths(text))
        yield "max-line", longest, longest > self.max_line
        mean = mean_line(text)
        yield "max-mean", mean, mean > self.max_mean


@dataclass(frozen=True)
class StarAlphanumeric(Measured):
    """Drops files with a share of letters and digits below `least`. Section 3.1."""

    name: ClassVar[str] = "starcoder-alphanumeric"
    version: ClassVar[int] = 1

    least: float = 0.25

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        share = alphanumeric_share(text)
        yield "alphanumeric-share", share, share < self.least


@dataclass(frozen=True)
class StarComments(Measured):
    """Keeps files with a share of comments from `least` to `most`, in `languages` (its preprocessing code).

    Characters in comments (`pretrial.corpus.comments`) over all characters; in Python docstrings count, too, dedented,
    where it parses. Marks of comments count with them, where StarCoder leaves those of Python out.
    """

    name: ClassVar[str] = "starcoder-comments"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("python",)

    least: float = 0.01
    most: float = 0.8
    languages: tuple[str, ...] = ("python", "java", "javascript")

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        said = language(fields)
        if said in self.languages and said in LANGUAGES:
            comments = strings = 0
            for kind, begin, end in spans(text, said):
                if kind == "comment":
                    comments += end - begin
                else:
                    strings += end - begin
            total = max(len(text), 1)
            # Parsing is slow: only where docstrings can tell, which are strings.
            if said == "python" and not (self.least <= comments / total and (comments + strings) / total <= self.most):
                comments += min(strings, _docstring_characters(text))
            yield "comments-least", comments / total, comments / total < self.least
            yield "comments-most", comments / total, comments / total > self.most


@dataclass(frozen=True)
class StarStars(Measured):
    """Keeps files of repositories with at least `least` stars (field `stars`); an option of its preprocessing code.

    A file without that field is dropped: nothing says that it is popular.
    """

    name: ClassVar[str] = "starcoder-stars"
    version: ClassVar[int] = 1

    least: int = 5

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        stars = fields.get("stars", fields.get("max_stars_count"))
        count = stars if isinstance(stars, int | float) and not isinstance(stars, bool) else 0
        yield "stars", count, count < self.least


@dataclass(frozen=True)
class StarXml(Measured):
    """Drops files that are XML under another name: its declaration in the first `characters`. Section 3.1."""

    name: ClassVar[str] = "starcoder-xml"
    version: ClassVar[int] = 2

    characters: int = 100

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        at = text[: self.characters].find("<?xml version=")
        yield "xml", at, at >= 0 and language(fields) != "xslt"


@dataclass(frozen=True)
class StarHtml(Measured):
    """Keeps HTML only with more than `least` visible characters, more than `least_share` of the source. Section 3.1."""

    name: ClassVar[str] = "starcoder-html"
    version: ClassVar[int] = 2

    least: int = 100
    least_share: float = 0.2

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        if language(fields) == "html":
            seen = visible_characters(text)
            yield "visible", seen, seen <= self.least
            yield "visible-share", seen / len(text), seen / len(text) <= self.least_share


@dataclass(frozen=True)
class StarData(Measured):
    """Keeps JSON and YAML files of `least` to `most` characters (its preprocessing code; section 3.1: from 50)."""

    name: ClassVar[str] = "starcoder-data"
    version: ClassVar[int] = 2

    least: int = 100
    most: int = 5_000
    languages: tuple[str, ...] = ("json", "yaml")

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        if language(fields) in self.languages:
            yield "least", len(text), len(text) < self.least
            yield "most", len(text), len(text) > self.most


def _docstring_characters(text: str) -> int:
    """Characters in the docstrings of a Python file; 0 where it does not parse, as for StarCoder."""
    from pretrial.corpus.readers.docstrings import docstrings

    try:
        return sum(map(len, docstrings(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0


RULES: tuple[type[Rule], ...] = (StarLines, StarAlphanumeric, StarComments, StarXml, StarHtml, StarData, StarStars)
FAMILY = {"starcoder": tuple(rule.name for rule in RULES if rule is not StarStars)}
