"""Comments and strings of source code, by language: an estimate by a quick scan, and code without given comments.

Guarantees: linear in the text, also in a hostile one; a comment mark inside a string is no comment and a quote inside a
comment opens no string; what is not closed ends with the line (a quote) or with the file (a block). Every character is
in exactly one of code, string or comment.
Does not: parse. A regular expression of JavaScript or Ruby that holds a quote or a comment mark is read as code up to
that mark, a here-document as code, a nested template as one string. Docstrings are strings. Good for a share; what
takes comments out asks a lexer (`pretrial.corpus.transforms.lexed`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

_DOUBLE = r'"(?:[^"\\\n]|\\(?:[\s\S]|\Z))*+(?:"|$|(?=\n))'
_SINGLE = r"'(?:[^'\\\n]|\\(?:[\s\S]|\Z))*+(?:'|$|(?=\n))"
_CHARACTER = r"'(?:[^'\\\n]|\\(?:u\{[0-9a-fA-F]{1,8}\}|[^\n][0-9a-fA-F]{0,8}))'"
_BACKTICK = r"`(?:[^`\\]|\\(?:[\s\S]|\Z))*+(?:`|\Z)"
_TRIPLE_DOUBLE = r'"""(?:[^"\\]|\\(?:[\s\S]|\Z)|"(?!""))*+(?:"""|\Z)'
_TRIPLE_SINGLE = r"'''(?:[^'\\]|\\(?:[\s\S]|\Z)|'(?!''))*+(?:'''|\Z)"
_SLASHES = r"//[^\n]*"
_BLOCK = r"/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z)"
_HASH = r"#[^\n]*"
# A hash that begins a word; not `$#` or `${#x}`.
_SHELL_HASH = r"(?:(?<=[\s;&|(`])|\A)#[^\n]*"
_DASHES = r"--[^\n]*"


@dataclass(frozen=True)
class Lexis:
    """How a language writes comments and strings: regular expressions, in order of precedence."""

    comments: tuple[str, ...]
    strings: tuple[str, ...] = ()


_C = Lexis((_SLASHES, _BLOCK), (_DOUBLE, _CHARACTER))
_SCRIPT = Lexis((_SLASHES, _BLOCK), (_DOUBLE, _SINGLE, _BACKTICK))
_JVM = Lexis((_SLASHES, _BLOCK), (_TRIPLE_DOUBLE, _DOUBLE, _CHARACTER))
_LONG_STRING = r'"(?:[^"\\]|\\(?:[\s\S]|\Z))*+(?:"|\Z)'
_LUA_LONG = r"\[\[(?:[^\]]|\](?!\]))*+(?:\]\]|\Z)"
_HASKELL_BLOCK = r"\{-(?:[^-]|-(?!\}))*+(?:-\}|\Z)"
_HASKELL_LINE = r"--+(?![!#$%&*+./<=>?@\\^|~])[^\n]*"
_ADDRESS = r"\burl\([^)\n'\"]*+\)"
_MARKED_UP = r"<!--(?:[^-]|-(?!->))*+(?:-->|\Z)"

LANGUAGES: dict[str, Lexis] = {
    "java": _JVM,
    "javascript": _SCRIPT,
    "php": Lexis((_SLASHES, _BLOCK, r"#(?!\[)[^\n]*"), (_DOUBLE, _SINGLE)),
    "python": Lexis((_HASH,), (_TRIPLE_DOUBLE, _TRIPLE_SINGLE, _DOUBLE, _SINGLE)),
    "c-sharp": Lexis((_SLASHES, _BLOCK), (r'@"(?:[^"]|"")*+(?:"|\Z)', _DOUBLE, _CHARACTER)),
    "typescript": _SCRIPT,
    "c": _C,
    "cpp": Lexis((_SLASHES, _BLOCK), (r'R"\((?:[^)]|\)(?!"))*+(?:\)"|\Z)', _DOUBLE, _CHARACTER)),
    "go": Lexis((_SLASHES, _BLOCK), (_DOUBLE, r"`[^`]*+(?:`|\Z)", _CHARACTER)),
    "ruby": Lexis((r"(?m:^=begin\b)(?:[^\n]|\n(?!=end))*+(?:\n=end[^\n]*|\Z)", r"#(?!\{)[^\n]*"), (_DOUBLE, _SINGLE)),
    "shell": Lexis((_SHELL_HASH,), (_LONG_STRING, r"'[^']*+(?:'|\Z)")),
    "kotlin": _JVM,
    "swift": Lexis((_SLASHES, _BLOCK), (_TRIPLE_DOUBLE, _DOUBLE)),
    "vue": Lexis((_MARKED_UP, r"(?<![:\w])//[^\n]*", _BLOCK), (_DOUBLE, _BACKTICK)),
    "rust": Lexis((_SLASHES, _BLOCK), (r'r#"(?:[^"]|"(?!#))*+(?:"#|\Z)', _LONG_STRING, _CHARACTER)),
    "scala": _JVM,
    "jsx": _SCRIPT,
    "sql": Lexis((_DASHES, _BLOCK), (r"'(?:[^']|'')*+(?:'|\Z)", _DOUBLE)),
    "dart": Lexis((_SLASHES, _BLOCK), (_TRIPLE_DOUBLE, _TRIPLE_SINGLE, _DOUBLE, _SINGLE)),
    "makefile": Lexis((r"(?<!\\)#[^\n]*",)),
    "lua": Lexis(("--" + _LUA_LONG, _DASHES), (_DOUBLE, _SINGLE, _LUA_LONG)),
    "haskell": Lexis((_HASKELL_BLOCK, _HASKELL_LINE), (_DOUBLE, _CHARACTER)),
    "smalltalk": Lexis((r'"(?:[^"]|"")*+(?:"|\Z)',), (r"'(?:[^']|'')*+(?:'|\Z)",)),
    "tex": Lexis((r"(?<!\\)%[^\n]*",)),
    "clojure": Lexis((r";[^\n]*",), (_LONG_STRING, r"\\[^\s]")),
    "yaml": Lexis((_SHELL_HASH,), (_DOUBLE, _SINGLE)),
    "html": Lexis((_MARKED_UP,)),
    "css": Lexis((_BLOCK,), (_DOUBLE, _SINGLE, _ADDRESS)),
    "scss": Lexis((r"(?<!:)//[^\n]*", _BLOCK), (_DOUBLE, _SINGLE, _ADDRESS)),
    "sass": Lexis((r"(?<!:)//[^\n]*", _BLOCK), (_DOUBLE, _SINGLE, _ADDRESS)),
    "toml": Lexis((_HASH,), (_TRIPLE_DOUBLE, _TRIPLE_SINGLE, _DOUBLE, r"'[^'\n]*'")),
}
"""Languages by the names of `pretrial.corpus.languages`; JSON has no comments, prose markup is not code."""


def spans(text: str, language: str) -> Iterator[tuple[str, int, int]]:
    """("comment" or "string", start, end) of each, in order; raises `KeyError` for a language not in `LANGUAGES`."""
    for match in _scanner(language).finditer(text):
        yield ("comment" if match.lastgroup == "comment" else "string"), match.start(), match.end()


def comment_share(text: str, language: str) -> float:
    """Characters in comments over all that are not white space, an estimate; 0 for a text without any."""
    inside = sum(_dense(text[begin:end]) for kind, begin, end in spans(text, language) if kind == "comment")
    total = _dense(text)
    return inside / total if total else 0.0


def without(text: str, comments: Sequence[tuple[int, int]]) -> str:
    """The text without comments, given as (start, end) in order: a line that held nothing else goes.

    White space before a comment goes with it. A comment inside a line leaves one space, so that what stood around it
    does not join.
    """
    if not comments:
        return text
    # Stands where a comment was, so that lines left empty by it can be told from lines that were empty before.
    gone = next(chr(code) for code in (0, *range(0xE000, 0xF900)) if chr(code) not in text)
    kept: list[str] = []
    at = 0
    for begin, end in comments:
        kept += [text[at:begin], gone, f"\n{gone}" * text.count("\n", begin, end)]
        at = end
    kept.append(text[at:])
    around = re.compile(f"[ \t]*{gone}[ \t{gone}]*")
    lines = []
    for line in "".join(kept).split("\n"):
        if gone not in line:
            lines.append(line)
        elif line.replace(gone, "").strip():
            indent = line[: len(line) - len(line.lstrip(" \t"))]
            inner = around.sub(" ", line[len(indent) :])
            if line[len(indent)] == gone:
                inner = inner.removeprefix(" ")
            lines.append(indent + (inner.removesuffix(" ") if line.rstrip(" \t")[-1] == gone else inner))
    return "\n".join(lines)


def _dense(text: str) -> int:
    return len(text) - sum(map(text.count, " \t\n\r\f\v"))


@cache
def _scanner(language: str) -> re.Pattern[str]:
    lexis = LANGUAGES[language]
    parts = [f"(?P<comment>{'|'.join(lexis.comments)})"]
    if lexis.strings:
        parts.append(f"(?P<string>{'|'.join(lexis.strings)})")
    # Lua's and Python's long forms begin like their short ones: each list is ordered, longest first.
    return re.compile("|".join(parts))
