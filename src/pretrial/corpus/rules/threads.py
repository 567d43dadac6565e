"""Rules for issues and pull requests (The Stack v2, arXiv 2402.19173, sections 2.2 and 2.3; its issues are cleaned as
those of StarCoder, arXiv 2305.06161, section 3.4).

Guarantees: the published numbers as defaults. Comments and their authors are those that
`pretrial.corpus.readers.threads.conversation` finds; where it finds none, the rules read what a source's fields say of
a thread: `events` (number), `users` or `participants` (names or their number), `author`. Of a pull request they read
`author`, `title`, `description` (or `body`), and `files` (maps of `path` and `bytes`) or `paths`. A rule whose field is
missing passes the document on: what is not known condemns nothing. `kinds` are the kinds of documents (field `kind`)
that a rule concerns, empty for all; of kind "thread" only those whose comments are known, since answers on Stack
Exchange are no comments on an issue.
Does not: drop the call that made a bot answer, ask whether a pull request was approved, merged or has a diff, cut
its title and description (its text has no published form), or thin out repositories with many of them, since a rule
sees one document.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.bots import is_bot_account
from pretrial.corpus.readers.threads import Comment, conversation, written
from pretrial.corpus.rules.result import Check, Measured, Result, Rule

CUT = "[lines cut]"
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{8,}(?![0-9A-Za-z])")
_CONFIG = (".yaml", ".yml", ".json")
_CONFIG_NAME = re.compile(r"pack|lock|yarn|output|swagger|openapi", re.IGNORECASE)
# A reply by e-mail: who wrote when, the quotation, and the service's last line.
_WROTE = re.compile(r"notifications@github\.com|[0-9]+/[0-9]+/[0-9]+ [0-9]{2}:[0-9]{2} [AP]M.+wrote")
_RULER = re.compile(r"_{20,}")


@dataclass(frozen=True)
class StackComments:
    """Takes out of issues what programs wrote and who the people are, and shortens long comments.

    Comments of bots (`pretrial.corpus.bots`) go, and a thread of bots alone is dropped. Of a reply by e-mail the
    quotation and the service's lines go. A comment above `most_lines` lines loses its middle: its last `last_lines`
    stay, and as many first ones as make `most_lines` with the mark between them (the paper says 100 lines). Authors
    become counters (`username_0`), and so do their names in the comments: behind an `@`, or as a word of at least
    `least_name` characters (the published script replaces any part of any word; ours does not break words).
    """

    name: ClassVar[str] = "stack-v2-comments"
    version: ClassVar[int] = 1
    edits: ClassVar[bool] = True

    most_lines: int = 100
    last_lines: int = 20
    least_name: int = 3
    kinds: tuple[str, ...] = ()

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        found = conversation(text, fields) if _concerns(self.kinds, text, fields) else None
        if found is None:
            return Result(text)
        removed: Counter[str] = Counter()
        kept: list[Comment] = []
        for author, said in found.comments:
            if is_bot_account(author):
                removed["bot"] += _size(said)
                continue
            answer = _without_mail(said)
            removed["mail"] += _size(said) - _size(answer)
            short = self._shortened(answer)
            removed["lines"] += max(0, _size(answer) - _size(short))
            if short.strip():
                kept.append(Comment(author, short))
        if not kept:
            first = next((author for author, _ in found.comments if is_bot_account(author)), "")
            return Result(text, reason="bot", value=first) if first else Result(text)
        if found.counted:
            if tuple(kept) == found.comments:
                return Result(text)
        else:
            kept = self._counted(kept)
        return Result(written(found.head, kept), {kind: removed[kind] for kind in sorted(removed) if removed[kind]})

    def _shortened(self, text: str) -> str:
        lines = text.split("\n")
        if len(lines) <= self.most_lines:
            return text
        first = max(0, self.most_lines - self.last_lines - 1)
        return "\n".join([*lines[:first], CUT, *lines[len(lines) - self.last_lines :]])

    def _counted(self, comments: list[Comment]) -> list[Comment]:
        """Comments whose authors are counters in the order of their first comments."""
        counters = {author: f"username_{n}" for n, author in enumerate(dict.fromkeys(one.author for one in comments))}
        names = sorted((re.escape(name) for name in counters if name), key=lambda name: (-len(name), name))
        if not names:
            return [Comment(counters[author], text) for author, text in comments]
        named = re.compile(rf"(?<![\w-])(@?)({'|'.join(names)})(?![\w-])")

        def counter(match: re.Match[str]) -> str:
            at, name = match.groups()
            return at + counters[name] if at or len(name) >= self.least_name else match[0]

        return [Comment(counters[author], named.sub(counter, text)) for author, text in comments]


@dataclass(frozen=True)
class StackIssues(Measured):
    """Keeps issues with at least `least` characters that a person wrote and more than one took part in.

    An issue of one participant stays only below `most_alone` characters and with at most `events_alone` events. Where
    the comments are known, those of bots count for nothing, and characters are those of the other comments.
    """

    name: ClassVar[str] = "stack-v2-issues"
    version: ClassVar[int] = 2

    least: int = 200
    most_alone: int = 7_000
    events_alone: int = 10
    kinds: tuple[str, ...] = ()

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        if not _concerns(self.kinds, text, fields):
            return
        author = fields.get("author")
        if isinstance(author, str):
            yield "bot", author, is_bot_account(author)
        size = len(text)
        people, events = _number(fields.get("users", fields.get("participants"))), _number(fields.get("events"))
        if (found := conversation(text, fields)) is not None:
            comments = [one for one in found.comments if not is_bot_account(one.author)]
            first = next((one.author for one in found.comments), "")
            yield "bot", first, bool(found.comments) and not comments
            size = sum(len(one.text) for one in comments)
            people, events = len({one.author for one in comments}), len(comments)
        yield "least", size, size < self.least
        if people == 1:
            yield "most-alone", size, size >= self.most_alone
            if events is not None:
                yield "events-alone", events, events > self.events_alone


@dataclass(frozen=True)
class StackPullRequests(Measured):
    """Drops pull requests that are data or housekeeping.

    By a bot; a title below `least_title` characters or with one of `title_words` (the paper also
    names dependency and dependencies, which begin as `depend` does); a description below
    `least_description` characters or with one of `description_words`; hexadecimal runs above `max_hex` of the
    characters. Of those with more than `max_config` of the touched files' bytes in YAML or JSON (of their number, where
    no bytes are known), or with such a file named after packages, locks, outputs or interface descriptions, the share
    `keep` stays: where the first 8 bytes of the text's SHA-256 are below it, so that a document stays or goes in every
    run. The paper thins out files inside of pull requests so, and here it is whole documents.
    """

    name: ClassVar[str] = "stack-v2-pull-requests"
    version: ClassVar[int] = 2

    least_title: int = 10
    title_words: tuple[str, ...] = ("depend", "release")
    least_description: int = 20
    description_words: tuple[str, ...] = ("qwiet",)
    max_hex: float = 0.25
    max_config: float = 0.5
    keep: float = 0.1
    kinds: tuple[str, ...] = ()

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        if not _concerns(self.kinds, text, fields):
            return
        author = fields.get("author")
        if isinstance(author, str):
            yield "bot", author, is_bot_account(author)
        if isinstance(title := fields.get("title"), str):
            yield "title", len(title.strip()), len(title.strip()) < self.least_title
            yield from _words("title-word", title, self.title_words)
        if isinstance(description := fields.get("description", fields.get("body")), str):
            length = len(description.strip())
            yield "description", length, length < self.least_description
            yield from _words("description-word", description, self.description_words)
        share = sum(match.end() - match.start() for match in _HEX.finditer(text)) / len(text) if text else 0.0
        yield "hex-share", share, share > self.max_hex
        sizes = _files(fields)
        config = [path for path, _ in sizes if path.lower().endswith(_CONFIG)]
        if config and not _drawn(text, self.keep):
            total = sum(size for _, size in sizes)
            part = sum(size for path, size in sizes if path.lower().endswith(_CONFIG)) / total if total else 0.0
            yield "config-share", part, part > self.max_config
            named = next((path for path in config if _CONFIG_NAME.search(path)), "")
            yield "config-name", named, bool(named)


def _concerns(kinds: tuple[str, ...], text: str, fields: Mapping[str, Any]) -> bool:
    kind = str(fields.get("kind") or "")
    return not kinds or (kind in kinds and (kind != "thread" or conversation(text, fields) is not None))


def _words(reason: str, said: str, words: tuple[str, ...]) -> Iterator[Check]:
    low = said.lower()
    for word in words:
        if word.lower() in low:
            yield reason, word, True


def _drawn(text: str, share: float) -> bool:
    """Whether a document is among the share that stays, by its text alone."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _files(fields: Mapping[str, Any]) -> list[tuple[str, int]]:
    """(path, bytes) of the files that a pull request touches; 1 for each where any one's bytes are not known."""
    rows = fields.get("files")
    if isinstance(rows, list | tuple) and rows and all(isinstance(row, Mapping) for row in rows):
        found = [(str(row.get("path") or row.get("filename") or ""), row.get("bytes", row.get("size"))) for row in rows]
        if all(isinstance(size, int) and not isinstance(size, bool) for _, size in found):
            return [(path, int(size or 0)) for path, size in found]
        return [(path, 1) for path, _ in found]
    paths = fields.get("paths")
    return [(str(path), 1) for path in paths] if isinstance(paths, list | tuple) else []


def _without_mail(text: str) -> str:
    """A comment without what a reply by e-mail adds: the quotation with the line above it, and the service's lines."""
    lines = text.split("\n")
    foot = next((n for n, line in enumerate(lines) if "Reply to this email directly" in line), None)
    wrote = next((n for n, line in enumerate(lines) if _WROTE.search(line)), None)
    if foot is None and wrote is None:
        return text
    start = foot if wrote is None else wrote if foot is None else min(foot, wrote)
    assert start is not None
    end = start + 1 if foot is None else max(start, foot) + 1
    while end < len(lines) and (lines[end].startswith(">") or "view it on GitHub" in lines[end]):
        end += 1
    return _RULER.sub("", "\n".join([*lines[:start], *lines[end:]])).strip()


def _number(value: object) -> int | None:
    if isinstance(value, list | tuple):
        return len(value if all(isinstance(one, Mapping) for one in value) else set(map(str, value)))
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


RULES: tuple[type[Rule], ...] = (StackComments, StackIssues, StackPullRequests)
