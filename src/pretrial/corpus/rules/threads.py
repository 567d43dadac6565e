"""Rules for issues and pull requests (The Stack v2, arXiv 2402.19173, sections 2.2 and 2.3).

Guarantees: the published numbers as defaults. The rules read what a source's fields say of a thread: `events` (number),
`users` or `participants` (names or their number), `author`, `title`, `state`, `paths` (files a pull request touches).
A rule whose field is missing passes the document on: what is not known condemns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.result import Result, Rule

_BOT = re.compile(r"(?:\[bot\]$|(?:^|[-_])bot(?:$|[-_0-9])|^(?:dependabot|renovate|greenkeeper|travis|codecov))", re.I)
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{8,}(?![0-9A-Za-z])")
_CONFIG = re.compile(r"pack|lock|yarn|output|swagger|openapi", re.IGNORECASE)


@dataclass(frozen=True)
class StackIssues:
    """Keeps issues with at least `least` characters that a person wrote and more than one took part in.

    An issue of one participant stays only below `most_alone` characters and with at most `events_alone` events.
    """

    name: ClassVar[str] = "stack-v2-issues"
    version: ClassVar[int] = 1

    least: int = 200
    most_alone: int = 7_000
    events_alone: int = 10

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        if len(text) < self.least:
            return Result(text, reason="least", value=len(text))
        author = fields.get("author")
        if isinstance(author, str) and _BOT.search(author):
            return Result(text, reason="bot", value=author)
        people = _number(fields.get("users", fields.get("participants")))
        if people == 1:
            if len(text) >= self.most_alone:
                return Result(text, reason="most-alone", value=len(text))
            events = _number(fields.get("events"))
            if events is not None and events > self.events_alone:
                return Result(text, reason="events-alone", value=events)
        return Result(text)


@dataclass(frozen=True)
class StackPullRequests:
    """Drops pull requests that are data or housekeeping.

    Hexadecimal runs above `max_hex` of the characters; more than `max_config` of the touched files YAML or JSON, or
    named after packages, locks or interface descriptions (the paper keeps a tenth of those; here none stays); by a bot.
    """

    name: ClassVar[str] = "stack-v2-pull-requests"
    version: ClassVar[int] = 1

    max_hex: float = 0.25
    max_config: float = 0.5

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        author = fields.get("author")
        if isinstance(author, str) and _BOT.search(author):
            return Result(text, reason="bot", value=author)
        share = sum(match.end() - match.start() for match in _HEX.finditer(text)) / len(text) if text else 0.0
        if share > self.max_hex:
            return Result(text, reason="hex-share", value=share)
        paths = fields.get("paths")
        if isinstance(paths, list | tuple) and paths:
            config = sum(str(path).endswith((".yaml", ".yml", ".json")) for path in paths) / len(paths)
            if config > self.max_config:
                return Result(text, reason="config-share", value=config)
            named = next((str(path) for path in paths if _CONFIG.search(str(path))), None)
            if named is not None:
                return Result(text, reason="config-name", value=named)
        return Result(text)


def _number(value: object) -> int | None:
    if isinstance(value, list | tuple):
        return len(set(map(str, value)))
    return value if isinstance(value, int) and not isinstance(value, bool) else None


RULES: tuple[type[Rule], ...] = (StackIssues, StackPullRequests)
