"""Changes of source code that keep all but one of its properties.

Guarantees: equal documents give equal results, on every machine; a document of a language that a transform does not
know is dropped as `language`, never passed on unchanged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.comments import LANGUAGES, without
from pretrial.corpus.rules.result import Result, language
from pretrial.corpus.transforms import names_lexed, names_python
from pretrial.corpus.transforms.lexed import AmbiguousError, comments


@dataclass(frozen=True)
class StripComments:
    """Takes comments out; docstrings and other strings stay. A file of comments alone, or where a lexer fails, goes.

    Comments are where the language's lexer has them (`pretrial.corpus.transforms.lexed`): Python's own, else Pygments'.
    Of HTML those outside scripts and styles, of PHP those in PHP. A file whose comments cannot be told for certain is
    dropped as `ambiguous`, with the line. Interpreter lines (`#!`) stay; comments that tools read go.
    """

    name: ClassVar[str] = "strip-comments"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("python", "pygments")

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        said = language(fields)
        if said not in LANGUAGES:
            return Result(text, reason="language", value=said)
        try:
            bare = without(text, comments(text, said))
        except AmbiguousError as error:
            return Result(text, reason="ambiguous", value=str(error))
        if not bare.strip():
            return Result(text, reason="only-comments", value=len(text))
        return Result(bare, {"comments": _size(text) - _size(bare)} if bare != text else {})


@dataclass(frozen=True)
class DropDocstrings:
    """Takes docstrings out of Python code, which still parses afterwards. Code that does not parse is dropped."""

    name: ClassVar[str] = "drop-docstrings"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("python",)

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        from pretrial.corpus.readers.docstrings import without_docstrings

        if language(fields) != "python":
            return Result(text, reason="language", value=language(fields))
        try:
            bare = without_docstrings(text)
        except (SyntaxError, ValueError, RecursionError) as error:
            return Result(text, reason="unparsable", value=str(error)[:80])
        if not bare.strip():
            return Result(text, reason="only-docstrings", value=len(text))
        return Result(bare, {"docstrings": _size(text) - _size(bare)} if bare != text else {})


@dataclass(frozen=True)
class RenameIdentifiers:
    """Gives the names that a file itself binds new ones without meaning: `prefix` and a number, in order of first use.

    Of Python whatever a module or function binds, by its own parser: the result parses to the same tree up to those
    names, which is checked (`pretrial.corpus.transforms.names_python` says what is kept: imports, attributes, what
    class bodies bind, keyword arguments, built-ins, `__all__`). Of C, Go, Java and JavaScript what declarations seen in
    the tokens bind (`pretrial.corpus.transforms.names_lexed`, by language). Other languages are dropped as `language`;
    Python that does not parse as `unparsable`; what cannot be told as `ambiguous`. Files are taken one by one: one that
    imports another's names does not find them.
    """

    name: ClassVar[str] = "rename-identifiers"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("python", "pygments")

    prefix: str = "v"

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        said = language(fields)
        if said != "python" and said not in names_lexed.LANGUAGES:
            return Result(text, reason="language", value=said)
        try:
            if said == "python":
                return Result(names_python.rename(text, self.prefix))
            return Result(names_lexed.rename(text, said, self.prefix))
        except (AmbiguousError, names_python.UnsafeError) as error:
            return Result(text, reason="ambiguous", value=str(error))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return Result(text, reason="unparsable", value=str(error)[:80])


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


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
