"""The file rules of StarCoder (Li et al., *StarCoder: may the source be with you!*, arXiv 2305.06161, section 3.1).

Guarantees: the published thresholds as defaults; a rule for one language passes all others.
Does not: measure characters a token (thresholds 2.5 to 2.9 in its preprocessing code), since that needs a tokenizer and
these rules see the text alone; or carry its table of extensions, which fifteen people made by looking at files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.comments import LANGUAGES, comment_share
from pretrial.corpus.rules.measures import alphanumeric_share, line_lengths, visible_characters
from pretrial.corpus.rules.result import Result, Rule


@dataclass(frozen=True)
class StarLines:
    """Drops files with a line above `max_line` characters or a mean above `max_mean`. Section 3.1 (after Codex)."""

    name: ClassVar[str] = "starcoder-lines"
    version: ClassVar[int] = 1

    max_line: int = 1_000
    max_mean: float = 100.0

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        lengths = line_lengths(text)
        if max(lengths) > self.max_line:
            return Result(text, reason="max-line", value=max(lengths))
        mean = sum(lengths) / len(lengths)
        if mean > self.max_mean:
            return Result(text, reason="max-mean", value=mean)
        return Result(text)


@dataclass(frozen=True)
class StarAlphanumeric:
    """Drops files with a share of letters and digits below `least`. Section 3.1."""

    name: ClassVar[str] = "starcoder-alphanumeric"
    version: ClassVar[int] = 1

    least: float = 0.25

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        share = alphanumeric_share(text)
        return Result(text, reason="alphanumeric-share", value=share) if share < self.least else Result(text)


@dataclass(frozen=True)
class StarComments:
    """Keeps files with a share of comments from `least` to `most`, in `languages` (its preprocessing code).

    Characters in comments over characters that are not white space (`pretrial.corpus.comments`); docstrings, which
    StarCoder counts as comments of Python, are strings here.
    """

    name: ClassVar[str] = "starcoder-comments"
    version: ClassVar[int] = 1

    least: float = 0.01
    most: float = 0.8
    languages: tuple[str, ...] = ("python", "java", "javascript")

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        language = str(fields.get("language") or "").lower()
        if language not in self.languages or language not in LANGUAGES:
            return Result(text)
        share = comment_share(text, language)
        if share < self.least:
            return Result(text, reason="comments-least", value=share)
        if share > self.most:
            return Result(text, reason="comments-most", value=share)
        return Result(text)


@dataclass(frozen=True)
class StarStars:
    """Keeps files of repositories with at least `least` stars (field `stars`); an option of its preprocessing code.

    A file without that field is dropped: nothing says that it is popular.
    """

    name: ClassVar[str] = "starcoder-stars"
    version: ClassVar[int] = 1

    least: int = 5

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        stars = fields.get("stars", fields.get("max_stars_count"))
        count = stars if isinstance(stars, int | float) and not isinstance(stars, bool) else 0
        return Result(text, reason="stars", value=count) if count < self.least else Result(text)


@dataclass(frozen=True)
class StarXml:
    """Drops files that are XML under another name: its declaration in the first `characters`. Section 3.1."""

    name: ClassVar[str] = "starcoder-xml"
    version: ClassVar[int] = 1

    characters: int = 100

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        at = text[: self.characters].find("<?xml version=")
        if at < 0 or str(fields.get("language") or "").lower() == "xslt":
            return Result(text)
        return Result(text, reason="xml", value=at)


@dataclass(frozen=True)
class StarHtml:
    """Keeps HTML only with more than `least` visible characters, more than `least_share` of the source. Section 3.1."""

    name: ClassVar[str] = "starcoder-html"
    version: ClassVar[int] = 1

    least: int = 100
    least_share: float = 0.2

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        if str(fields.get("language") or "").lower() != "html":
            return Result(text)
        seen = visible_characters(text)
        if seen <= self.least:
            return Result(text, reason="visible", value=seen)
        if seen / len(text) <= self.least_share:
            return Result(text, reason="visible-share", value=seen / len(text))
        return Result(text)


@dataclass(frozen=True)
class StarData:
    """Keeps JSON and YAML files of `least` to `most` characters. Section 3.1."""

    name: ClassVar[str] = "starcoder-data"
    version: ClassVar[int] = 1

    least: int = 100
    most: int = 5_000
    languages: tuple[str, ...] = ("json", "yaml")

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        if str(fields.get("language") or "").lower() not in self.languages:
            return Result(text)
        if len(text) < self.least:
            return Result(text, reason="least", value=len(text))
        return Result(text, reason="most", value=len(text)) if len(text) > self.most else Result(text)


RULES: tuple[type[Rule], ...] = (StarLines, StarAlphanumeric, StarComments, StarXml, StarHtml, StarData, StarStars)
FAMILY = {"starcoder": tuple(rule.name for rule in RULES if rule is not StarStars)}
