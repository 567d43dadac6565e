"""Comments where a lexer of the language finds them: Python's own tokeniser, else Pygments'.

Guarantees: no comment is claimed inside a string, a regular expression, a here-document or HTML around PHP; what cannot
be told raises `AmbiguousError` (the lexer meets an error, a mark of a block is never closed, a mark follows `http:` as
in markup taken for code, a quoted string runs over a line where the language has none that does).
Does not: look into the scripts and styles of HTML, or at code that a directive (`#if 0`) leaves out. Comments that
tools read (`//go:build`, `# type:`, `-- +goose`) are comments; Haskell's pragmas and PHP's attributes are none.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any

from pretrial.corpus.comments import LANGUAGES, spans

MOST = 300_000
"""Characters of the longest text that is lexed: lexers of some languages take quadratic time on hostile ones."""
BLANK = 1_000
"""Blank lines in a row that are too many to be lexed: the lexer of C takes quadratic time on them."""
_LEXERS = {"c-sharp": "csharp", "shell": "bash", "makefile": "make"}
"""Pygments' names where they are not ours."""
_SLASHED = ("//", "/*")
_OPENERS: dict[str, tuple[str, ...]] = {
    "php": ("//", "/*", "#"),
    "ruby": ("#", "=begin"),
    "shell": ("#",),
    "sql": ("--", "/*"),
    "makefile": ("#",),
    "lua": ("--",),
    "haskell": ("--", "{-"),
    "smalltalk": ('"',),
    "tex": ("%",),
    "clojure": (";",),
    "yaml": ("#",),
    "html": ("<!--",),
    "css": ("/*",),
    "toml": ("#",),
}
"""What comments begin with, where not with `//` or `/*`."""
_CLOSED = {"/*": "*/", "<!--": "-->", "{-": "-}", "--[[": "]]", "=begin": "=end"}
_ONE_LINE_STRINGS = frozenset({"java", "javascript", "jsx", "typescript", "c", "cpp", "go", "kotlin", "c-sharp"})
_LONG_STRING = re.compile(r"(?P<quote>['\"])(?!(?P=quote){2})(?:[^\\\n]|\\(?:\r?\n|.))*+\n")
_ESCAPED = re.compile(r"\\u+00(?:0[adAD]|2[afAF])")
"""Java reads a line's end, a star or a slash written as an escape as if it stood there, in comments too."""
_URL = re.compile(r"(?:https?|s?ftp|file|wss?):\Z")
_SHELL_BEFORE = " \t\n;&|(`)"
_HERE = re.compile(
    r"(?<!<)<<(?!<)(?P<dash>-?)[ \t]*(?:(?P<quote>['\"])(?P<quoted>[^'\"\n]+)(?P=quote)|\\?(?P<word>\w+))"
)
_TEX_VERBATIM = re.compile(
    r"\\begin\{(?P<name>verbatim\*?|Verbatim|lstlisting|minted|comment)\}(?:[^\\]|\\(?!end\{(?P=name)\}))*+"
    r"|\\(?:verb|lstinline)\*?(?P<mark>[^\w\s{])(?:(?!(?P=mark))[^\n])*+|\\(?:url|path|href)\{[^{}\n]*+"
)
_VUE_BLOCK = re.compile(r"<(?P<name>script|style|template)\b(?P<said>[^>]*)>")
_VUE_LANG = re.compile(r"\blang\s*=\s*[\"']?(?P<name>[\w-]+)")
_VUE_KNOWN = {
    "script": {"": "javascript", "js": "javascript", "ts": "typescript", "typescript": "typescript", "jsx": "jsx"},
    "style": {"": "css", "css": "css", "postcss": "css", "scss": "scss"},
    "template": {"": "html", "html": "html"},
}


class AmbiguousError(ValueError):
    """Where comments are cannot be told; the message names the line."""


def comments(text: str, language: str) -> list[tuple[int, int]]:
    """(start, end) of each comment, in order, without the end of its line; an interpreter line (`#!`) is none.

    Raises:
        AmbiguousError: when the language's lexer cannot tell.
        KeyError: for a language that is not in `pretrial.corpus.comments.LANGUAGES`.
    """
    openers = _openers(language)
    if not any(mark in text for mark in openers):
        return []
    if language == "python":
        found = _python(text)
    else:
        reader = {"vue": _vue, "css": _style, "scss": _style, "sass": _style}.get(language)
        found = reader(text, language) if reader else list(_pygments(text, language))
    return [(begin, end) for begin, end in found if end > begin and not (begin == 0 and text.startswith("#!"))]


def lexed(text: str, language: str) -> Iterator[tuple[int, Any, str]]:
    """(position, kind, value) of each of Pygments' tokens of a text that ends with a line's end.

    Raises:
        AmbiguousError: at the first that is an error; for a text of more than `MOST` characters, or with more than
            `BLANK` blank lines in a row.
    """
    from pygments.token import Error

    if len(text) > MOST:
        raise AmbiguousError(f"{len(text)} characters are more than are lexed")
    if text.count("\n") > BLANK and any(
        blank and sum(1 for _ in lines) > BLANK
        for blank, lines in groupby(text.split("\n"), lambda line: not line.strip())
    ):
        raise AmbiguousError(f"more than {BLANK} blank lines in a row are not lexed")
    _check_closed(text, language)
    # PHP without a tag is a part of a file.
    options = ("startinline",) if language == "php" and "<?" not in text else ()
    for position, kind, value in _lexer(language, *options).get_tokens_unprocessed(text):
        if kind is Error and not value.isalnum() and value.strip("\r\n\ufeff\f"):
            raise AmbiguousError(f"line {text.count(chr(10), 0, position) + 1}: {value[:40]!r}")
        yield position, kind, value


def _openers(language: str) -> tuple[str, ...]:
    if language == "python":
        return ("#",)
    if language == "vue":
        return ("<!--", *_SLASHED)
    if language not in LANGUAGES:
        raise KeyError(language)
    return _OPENERS.get(language, _SLASHED)


def _python(text: str) -> list[tuple[int, int]]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline="\n").readline):
            if token.type == tokenize.ERRORTOKEN and token.string.strip():
                raise AmbiguousError(f"line {token.start[0]}: {token.string[:40]!r}")
            if token.type == tokenize.COMMENT:
                begin = starts[token.start[0] - 1] + token.start[1]
                found.append((begin, begin + len(token.string.rstrip("\r"))))
    except (tokenize.TokenError, SyntaxError) as error:
        raise AmbiguousError(str(error)[:80]) from error
    return found


def _pygments(text: str, language: str) -> Iterator[tuple[int, int]]:
    from pygments.token import Comment, String

    whole = text if text.endswith("\n") else text + "\n"
    bodies = _here_documents(whole) if language == "shell" else []
    # The lexer's own search for the end of a here-document would take code for one.
    seen = _without(whole, bodies).replace("<<", "  ") if language == "shell" else whole
    openers = _openers(language)
    apart = _verbatim(whole) if language == "tex" else []
    preprocessed = language in ("c", "cpp")
    none = (Comment.Preproc, Comment.PreprocFile, Comment.Hashbang)
    run: list[int] = []
    ended = False
    shift = _Shift(bodies)
    for position, kind, value in lexed(seen, language):
        documents = kind in String.Doc and value.startswith(_SLASHED)
        inside = (kind in Comment or documents) and kind not in none and not (preprocessed and kind is Comment)
        if inside and run and position == run[1] and not ended:
            run[1] = position + len(value)
            continue
        ended = kind is Comment.Single and value.endswith("\n")
        if run:
            yield from _judged(whole, shift(run[0]), shift(run[1] - 1) + 1, language, openers, apart)
            run = []
        if inside:
            run = [position, position + len(value)]
        elif kind in String and language in _ONE_LINE_STRINGS and _LONG_STRING.match(value):
            raise AmbiguousError(f"line {seen.count(chr(10), 0, position) + 1}: a string over lines")
    if run:
        yield from _judged(whole, shift(run[0]), shift(run[1] - 1) + 1, language, openers, apart)


def _judged(
    text: str, begin: int, end: int, language: str, openers: tuple[str, ...], apart: list[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """The comments in what the lexer takes for a run of them: all of it, but where it is known to be wrong."""
    inner = text[begin:end]
    begin += len(inner) - len(inner.lstrip())
    end = begin + len(inner.strip())
    inner = text[begin:end]
    line = text.count("\n", 0, begin) + 1
    if not inner.startswith(openers) or (language == "haskell" and inner.startswith("{-#")):
        return
    if language == "html" and not inner.endswith("-->"):
        return
    if language in ("c", "cpp") and (first := _directive(text, begin)) is not None:
        # The lexer does not know strings in directives: `#define HOME "http://…"`.
        yield from _in_directive(text, first, begin, end)
        return
    if inner.startswith("//") and _URL.search(text, max(0, begin - 8), begin):
        raise AmbiguousError(f"line {line}: an address or a comment")
    if language == "java" and _ESCAPED.search(inner):
        raise AmbiguousError(f"line {line}: an escape that may end a comment")
    if language == "shell" and begin and text[begin - 1] not in _SHELL_BEFORE:
        return
    if language == "php" and inner.startswith("#["):
        return
    if language == "php" and any(
        "?>" in part for part in inner.split("\n") if not part.lstrip().startswith(("*", "/*"))
    ):
        raise AmbiguousError(f"line {line}: PHP ends in a comment")
    if language == "c-sharp" and '"""' in text:
        raise AmbiguousError("raw strings")
    if any(first <= begin < last for first, last in apart):
        return
    yield begin, end


def _directive(text: str, at: int) -> int | None:
    """Start of the preprocessor's directive that a position is in."""
    first = text.rfind("\n", 0, at) + 1
    while first > 1 and text[first - 2] == "\\":
        first = text.rfind("\n", 0, first - 1) + 1
    return first if text[first:at].lstrip().startswith("#") else None


def _in_directive(text: str, first: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
    for kind, start, stop in spans(text[first:end], "c"):
        if kind == "comment" and first + stop > begin:
            yield max(begin, first + start), first + stop
        elif kind == "string" and first + start < begin < first + stop and "\n" in text[begin:end]:
            raise AmbiguousError(f"line {text.count(chr(10), 0, begin) + 1}: a mark in a directive's string")


def _check_closed(text: str, language: str) -> None:
    """No lexer meets more than a few blocks that are never closed: each would be sought to the end of the text."""
    for mark in _openers(language):
        close = _CLOSED.get(mark)
        if close and text.count(mark, text.rfind(close) + 1) > 20:
            raise AmbiguousError(f"{mark} is never closed")


class _Shift:
    """From positions in a text without some spans to positions in the whole one."""

    def __init__(self, gone: list[tuple[int, int]]) -> None:
        self.gone = gone
        self.at = 0
        self.added = 0

    def __call__(self, position: int) -> int:
        """Positions have to come in order."""
        while self.at < len(self.gone) and self.gone[self.at][0] <= position + self.added:
            self.added += self.gone[self.at][1] - self.gone[self.at][0]
            self.at += 1
        return position + self.added


def _without(text: str, gone: list[tuple[int, int]]) -> str:
    if not gone:
        return text
    kept, at = [], 0
    for begin, end in gone:
        kept.append(text[at:begin])
        at = end
    return "".join([*kept, text[at:]])


def _here_documents(text: str) -> list[tuple[int, int]]:
    """Bodies of a shell script's here-documents, each with the line that ends it; one that nothing ends is none."""
    if "<<" not in text:
        return []
    lines = text.splitlines(keepends=True) if "\r" not in text else text.split("\n")
    if "\r" in text:
        lines = [line + "\n" for line in lines[:-1]]
    ends: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        ends.setdefault(line.strip(), []).append(number)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    bodies = []
    number = 0
    while number < len(lines):
        line = lines[number]
        body = number + 1
        if "<<" in line:
            marks = [begin for kind, begin, _ in spans(line, "shell") if kind == "comment"]
            comment = marks[0] if marks else len(line)
            strings = [(begin, end) for kind, begin, end in spans(line, "shell") if kind == "string"]
            for match in _HERE.finditer(line):
                at = match.start()
                if at > comment or any(begin < at < end and line[end - 1] in "'\"" for begin, end in strings):
                    continue
                word = match["quoted"] or match["word"]
                last = next(
                    (n for n in ends.get(word, ()) if n >= body and (match["dash"] or lines[n].rstrip("\r\n") == word)),
                    None,
                )
                if last is not None:
                    body = last + 1
            if body > number + 1:
                bodies.append((starts[number + 1], starts[body]))
        number = body
    return bodies


def _verbatim(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _TEX_VERBATIM.finditer(text)]


def _style(text: str, language: str) -> list[tuple[int, int]]:
    """Of style sheets: they nest nothing, and Pygments' lexers of SCSS and Sass miss comments behind a declaration."""
    found = [(begin, end) for kind, begin, end in spans(text, language) if kind == "comment"]
    if language == "sass":
        for begin, end in found:
            first = text.rfind("\n", 0, begin) + 1
            after = text[end:].lstrip("\r\n")[: begin - first + 1]
            if not text[first:begin].strip() and len(after) > begin - first and not after.strip():
                raise AmbiguousError(f"line {text.count(chr(10), 0, begin) + 1}: a comment goes on below")
    return found


def _vue(text: str, _: str) -> list[tuple[int, int]]:
    """Comments of a component's script, styles and template, each by its language; between them, those of HTML."""
    found: list[tuple[int, int]] = []
    at = 0
    while (block := _VUE_BLOCK.search(text, at)) is not None:
        name = block["name"]
        said = _VUE_LANG.search(block["said"])
        language = _VUE_KNOWN[name].get(said["name"].lower() if said else "")
        end = text.rfind("</template>") if name == "template" else text.find(f"</{name}>", block.end())
        if language is None or end < block.end():
            raise AmbiguousError(f"line {text.count(chr(10), 0, block.start()) + 1}: {block[0][:40]}")
        found += _offset(text, at, block.start(), "html")
        # A template's own text is HTML; scripts and styles come at the top level alone.
        found += _offset(text, block.end(), end, language)
        at = end
    return found + _offset(text, at, len(text), "html")


def _offset(text: str, begin: int, end: int, language: str) -> list[tuple[int, int]]:
    return [(begin + first, begin + last) for first, last in comments(text[begin:end], language)]


@cache
def _lexer(language: str, *options: str) -> Any:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(_LEXERS.get(language, language), **dict.fromkeys(options, True))
