"""Changes of source code that keep all but one of its properties.

Guarantees: equal documents give equal results, on every machine; a document of a language that a transform does not
know is dropped as `language`, never passed on unchanged.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from pretrial.corpus.comments import LANGUAGES, without_comments
from pretrial.corpus.rules.result import Result

_MEMBER = frozenset({".", "->", "::", "?.", "&.", ":"})
_IMPORT = re.compile(r"^[ \t]*(?:from|import|using|use|package|require|#[ \t]*include)\b.*", re.MULTILINE)
_NAME = re.compile(r"\w+")
_LEXERS = {
    "c-sharp": "csharp",
    "jsx": "javascript",
    "shell": "bash",
    "vue": "javascript",
}
"""Pygments' names where they are not ours."""


@dataclass(frozen=True)
class StripComments:
    """Takes comments out; docstrings and other strings stay. A file of comments alone is dropped."""

    name: ClassVar[str] = "strip-comments"
    version: ClassVar[int] = 1

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        language = _language(fields)
        if language not in LANGUAGES:
            return Result(text, reason="language", value=language)
        bare = without_comments(text, language)
        if not bare.strip():
            return Result(text, reason="only-comments", value=len(text))
        return Result(bare, {"comments": _size(text) - _size(bare)} if bare != text else {})


@dataclass(frozen=True)
class DropDocstrings:
    """Takes docstrings out of Python code, which still parses afterwards. Code that does not parse is dropped."""

    name: ClassVar[str] = "drop-docstrings"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("python",)

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        from pretrial.corpus.readers.docstrings import without_docstrings

        if _language(fields) != "python":
            return Result(text, reason="language", value=_language(fields))
        try:
            bare = without_docstrings(text)
        except (SyntaxError, ValueError, RecursionError) as error:
            return Result(text, reason="unparsable", value=str(error)[:80])
        if not bare.strip():
            return Result(text, reason="only-docstrings", value=len(text))
        return Result(bare, {"docstrings": _size(text) - _size(bare)} if bare != text else {})


@dataclass(frozen=True)
class RenameIdentifiers:
    """Gives names new ones without meaning, the same for the same: `prefix` and a number, in order of first use.

    Names are what Pygments' lexer of the language takes for one, but for built-ins and for all that stand in a line of
    imports.
    A name behind a member operator (`.`, `->`, `::`) is changed only where the document also uses it elsewhere, since
    it may be somebody else's. Python's keyword arguments, macros and reflection are not looked at: a renamed program
    reads as one and need not run.
    """

    name: ClassVar[str] = "rename-identifiers"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("pygments",)

    prefix: str = "v"

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        language = _language(fields)
        if language not in LANGUAGES:
            return Result(text, reason="language", value=language)
        tokens = _lexed(text, language)
        if "".join(value for _, value, _ in tokens) != text:
            return Result(text, reason="lexer", value=language)
        foreign = {name for line in _IMPORT.findall(text) for name in _NAME.findall(line)}
        own: set[str] = set()
        taken: set[str] = set()
        before = ""
        for kind, value, _ in tokens:
            if kind == "name" and before not in _MEMBER and value not in foreign:
                own.add(value)
            if kind != "name" and value.isidentifier():
                taken.add(value)
            if value.strip():
                before = value
        numbers = itertools.count(1)
        fresh = (name for number in numbers if (name := f"{self.prefix}{number}") not in taken)
        names: dict[str, str] = {}
        out = []
        for kind, value, _ in tokens:
            if kind == "name" and value in own:
                if value not in names:
                    names[value] = next(fresh)
                value = names[value]
            out.append(value)
        return Result("".join(out))


@dataclass(frozen=True)
class ShuffleLines:
    """Puts the lines into an order that follows from a hash of the text: the same words, their order of lines gone."""

    name: ClassVar[str] = "shuffle-lines"
    version: ClassVar[int] = 1

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        lines = text.split("\n")
        last = [lines.pop()] if lines[-1] == "" else []
        seed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        order = sorted(range(len(lines)), key=lambda at: hashlib.sha256(seed + at.to_bytes(8, "big")).digest())
        return Result("\n".join([lines[at] for at in order] + last))


def _lexed(text: str, language: str) -> list[tuple[str, str, int]]:
    """("name" or "other", value, position) of each token."""
    from pygments.token import Token

    others = (
        Token.Name.Builtin,
        Token.Name.Namespace,
        Token.Name.Exception,
        Token.Name.Tag,
        Token.Name.Entity,
        Token.Name.Decorator,
    )
    found = []
    for position, kind, value in _lexer(language).get_tokens_unprocessed(text):
        named = kind in Token.Name and not any(kind in other for other in others) and value.isidentifier()
        found.append(("name" if named else "other", value, position))
    return found


@cache
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name

    return get_lexer_by_name(_LEXERS.get(language, language), stripnl=False, ensurenl=False)


def _language(fields: Mapping[str, Any]) -> str:
    return str(fields.get("language") or "").lower()


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
