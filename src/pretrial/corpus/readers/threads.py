"""Conversations, notebooks and commits as one text each: how texts, code and outputs stand under each other.

Guarantees: `fenced` gives a block that its content cannot close; `plain` takes the markers of StarCoderData out of
a text and says the same in Markdown; a text that does not begin with such a marker stays as it is, byte for byte;
`conversation` finds comments and their authors where a record brings them or StarCoderData's counters stand, and
`written` writes them as `plain` does; a list of comments too long for a document is not put together.
Does not: read files, or guess who speaks in a thread that lies in its record as a ready text (`shared/data/
code_adjacent`: answers without names, or a chat's lines): of those no comments are known.

StarCoderData writes its markers into the text (StarCoder paper, arXiv 2305.06161, section 5.1; the repository
bigcode-project/bigcode-dataset, `preprocessing/`). A tokenizer that does not know them would learn them as
words, and an arm trained on them would differ from one trained on our own notebooks in its markup alone.

    <reponame>R<filename>F<gh_stars>1-10 CODE       the header goes, it repeats columns; the code stays
    <issue_start>A<issue_comment>B<issue_closed>    A, B as paragraphs
    <jupyter_start><jupyter_text>T<jupyter_code>C<jupyter_output>O   T, C and O as `readers.notebooks` writes them
    <commit_before>B<commit_msg>M<commit_after>A    M, then B and A in blocks named Before and After
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pretrial.corpus.readers.safety import Fault, Limits

NO_OUTPUT = "(no output)"
_BACKTICKS = re.compile(r"^[ \t]*(`{3,})", re.MULTILINE)
_HEADER = re.compile(r"\A(?:<reponame>[^<\n]*|<filename>[^<\n]*|<gh_stars>[0-9+\-]*){1,3}\n?")
_MARK = re.compile(
    r"<(issue_start|issue_comment|issue_closed|jupyter_start|jupyter_text|jupyter_code|jupyter_output"
    r"|commit_before|commit_msg|commit_after)>"
)
_FAMILIES = ("<issue_start>", "<jupyter_start>", "<commit_before>")


def fenced(text: str, info: str = "") -> str:
    """A Markdown code block with `info` (a language) behind its first fence; no line end at its end.

    Its fences are longer than any inside. The text loses white space at its end and blank lines at its beginning.
    """
    text = text.rstrip().lstrip("\n")
    marks = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(text))])
    return f"{marks}{info}\n{text}\n{marks}" if text else f"{marks}{info}\n{marks}"


def plain(text: str) -> str:
    """A text of StarCoderData without its markers; any other text as it is."""
    if text.startswith("<jupyter_script>"):
        return text.removeprefix("<jupyter_script>").removeprefix("\n")
    if header := _HEADER.match(text):
        return text[header.end() :]
    if not text.startswith(_FAMILIES):
        return text
    pieces = _MARK.split(text)
    marks, bodies = pieces[1::2], [body.strip("\n") for body in pieces[2::2]]
    if marks[0] == "commit_before":
        return _commit(dict(zip(marks, bodies, strict=True)))
    blocks = [_block(mark, body) for mark, body in zip(marks, bodies, strict=True)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _block(mark: str, body: str) -> str:
    if mark == "jupyter_code":
        return fenced(body) if body.strip() else ""
    if mark == "jupyter_output":
        return fenced(NO_OUTPUT if body.strip() in ("", "<empty_output>") else body, "output")
    return body.strip()


def _commit(parts: dict[str, str]) -> str:
    before, after = parts["commit_before"], parts.get("commit_after", "")
    blocks = [
        parts.get("commit_msg", "").strip(),
        f"Before:\n\n{fenced(before)}" if before.strip() else "",
        f"After:\n\n{fenced(after)}" if after.strip() else "",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


class Comment(NamedTuple):
    """What one author says at once."""

    author: str
    text: str


class Conversation(NamedTuple):
    """A thread's comments in order, the opening one first.

    Attributes:
        head: what stands before them, such as a title with its line end.
        comments: who says what.
        counted: whether authors are counters (`username_0`) already.
    """

    head: str
    comments: tuple[Comment, ...]
    counted: bool


_COUNTER = re.compile(r"^(username_[0-9]+): ?", re.MULTILINE)
_TITLE = re.compile(r"\A(?:Title: [^\n]*\n)?(?=username_[0-9]+:)")
_AUTHORS = ("author", "user", "username", "login")
_TEXTS = ("text", "comment", "body", "description")


def conversation(text: str, fields: Mapping[str, Any]) -> Conversation | None:
    """A thread's comments with their authors; `None` where the record does not bring them.

    They are, the first of these that is there: the list `events` (The Stack's issues: the whole thread, the record's
    text is not asked), the list `comments` (behind the record's own text, by its `author`), or paragraphs that begin
    with `username_N:` (StarCoderData, and what `written` writes). A comment is a map: its author in `author` or `user`
    (a name, or a map with `login`), its text in `text`, `comment`, `body` or `description`. One without text is left
    out.
    """
    if (events := _listed(fields.get("events"))) is not None:
        return Conversation(_title(fields, events), tuple(_comments(events)), counted=False)
    if (comments := _listed(fields.get("comments"))) is not None:
        opening = Comment(_name(fields), text.strip("\n"))
        return Conversation(_title(fields, ()), (opening, *_comments(comments)), counted=False)
    if (title := _TITLE.match(text)) is None:
        return None
    # A comment begins where a paragraph does; a counter in its middle is a mention.
    starts = [m for m in _COUNTER.finditer(text) if m.start() == title.end() or text.endswith("\n\n", 0, m.start())]
    ends = [*(match.start() for match in starts[1:]), len(text)]
    found = (Comment(m[1], text[m.end() : end].strip("\n")) for m, end in zip(starts, ends, strict=True))
    return Conversation(title[0], tuple(found), counted=True)


def written(head: str, comments: Iterable[Comment]) -> str:
    """A thread as one text: each comment a paragraph behind its author's name."""
    return head + "\n\n".join(f"{author}: {text}" for author, text in comments) + "\n"


def thread_text(comments: Any, fields: Mapping[str, Any], most: int = Limits.document_bytes) -> str:
    """The text of a list of comments, each behind its author's name; empty where it is no such list.

    Raises:
        Fault: when it would have more than `most` bytes.
    """
    found = conversation("", {**fields, "events": comments})
    if found is None or not found.comments or found.counted:
        return ""
    # As `written` puts them under each other: `: ` and a blank line or the line end.
    size = len(found.head.encode("utf-8", "surrogatepass")) - 1
    for said in found.comments:
        size += sum(len(part.encode("utf-8", "surrogatepass")) for part in said) + 4
    if size > most:
        raise Fault("oversize-post", f"{len(found.comments)} comments of {size} bytes, more than {most}")
    return written(found.head, found.comments)


def _listed(value: Any) -> list[Mapping[str, Any]] | None:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(one, Mapping) for one in value):
        return None
    return list(value)


def _comments(rows: Iterable[Mapping[str, Any]]) -> list[Comment]:
    found = (Comment(_name(row), _first(row, _TEXTS).strip("\n")) for row in rows)
    return [comment for comment in found if comment.text.strip()]


def _name(row: Mapping[str, Any]) -> str:
    for key in _AUTHORS:
        value = row.get(key)
        value = (value.get("login") or value.get("name")) if isinstance(value, Mapping) else value
        if isinstance(value, str) and value:
            return value
    return ""


def _title(fields: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    title = next((said for row in (fields, *rows) if (said := _first(row, ("title",)))), "")
    return f"Title: {' '.join(title.split())}\n" if title.strip() else ""


def _first(row: Mapping[str, Any], keys: Iterable[str]) -> str:
    return next((row[key] for key in keys if isinstance(row.get(key), str) and row[key]), "")


# What a definition of the catalogue names as its `render`.
RENDERERS: Mapping[str, Callable[[str], str]] = MappingProxyType({"starcoder": plain})
