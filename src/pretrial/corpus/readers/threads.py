"""Conversations, notebooks and commits as one text each: how texts, code and outputs stand under each other.

Guarantees: `fenced` gives a block that its content cannot close; `plain` takes the markers of StarCoderData out of
a text and says the same in Markdown; a text that does not begin with such a marker stays as it is, byte for byte.
Does not: read files. Threads and commits that lie in records as ready texts (`shared/data/code_adjacent`) need
nothing from here: `read_jsonl` reads them, and a record is one thread.

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
from collections.abc import Callable, Mapping
from types import MappingProxyType

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


# What a definition of the catalogue names as its `render`.
RENDERERS: Mapping[str, Callable[[str], str]] = MappingProxyType({"starcoder": plain})
