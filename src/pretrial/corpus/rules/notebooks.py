"""A rule for Kaggle's notebooks (The Stack v2, arXiv 2402.19173, section 2.4).

Guarantees: the published numbers as defaults. Both forms of `pretrial.corpus.readers.notebooks` are read: a script, or
a Markdown document with fenced cells.
Does not: ask for Kaggle's metadata (competitions, data sets), which no file holds.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.result import Result, Rule, language

# How the comments begin that Kaggle writes into a new notebook, and its loop over the input folder.
_TEMPLATE = re.compile(
    r"^#+[ \t]*(?:This (?:Python 3|R) environment comes with|It is defined by the kaggle/"
    r"|For example, (?:here's (?:several|a) helpful package|running this \(by clicking run)"
    r"|Input data files are available in the|Any results you write to the current directory"
    r"|You can write up to [0-9]+GB to the current directory|You can also write temporary files to /kaggle/temp)"
    r"[^\n]*\n?",
    re.MULTILINE,
)
_LOOP = re.compile(
    r"^for dirname, _, filenames in os\.walk\(['\"]/kaggle/input/?['\"]\):\n"
    r"[ \t]+for filename in filenames:\n[ \t]+print\(os\.path\.join\(dirname, filename\)\)[ \t]*\n?",
    re.MULTILINE,
)
_FENCE = re.compile(r"(`{3,})python")
_MAGIC = re.compile(r"^([ \t]*)[%!?].*$|^([ \t]*)[\w.]+\?{1,2}$", re.MULTILINE)
_FIELDS = ("path", "repository", "source", "url")


@dataclass(frozen=True)
class StackNotebooks:
    """Cuts what Kaggle writes into a new notebook, then drops short ones and Python ones that do not parse.

    Short is below `least` characters. Code is parsed as Python 3 where the document's language is Python: a script as a
    whole, a structured notebook cell by cell without its magics. With `only_kaggle` the rule concerns notebooks that
    name Kaggle in their text, path, repository, source or address. `kinds`: kinds of documents that it concerns, empty
    for all.
    """

    name: ClassVar[str] = "stack-v2-notebooks"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("python",)

    least: int = 100
    syntax: bool = True
    only_kaggle: bool = False
    kinds: tuple[str, ...] = ()

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        if self.kinds and str(fields.get("kind") or "") not in self.kinds:
            return Result(text)
        if self.only_kaggle and not _names_kaggle(text, fields):
            return Result(text)
        own = _LOOP.sub("", _TEMPLATE.sub("", text)).lstrip("\n")
        if len(own.strip()) < self.least:
            return Result(text, reason="least", value=len(own.strip()))
        if self.syntax and language(fields) == "python" and (wrong := _wrong(own)):
            return Result(text, reason="syntax", value=wrong)
        cut = len(text.encode("utf-8", "surrogatepass")) - len(own.encode("utf-8", "surrogatepass"))
        return Result(own, {"template": cut}) if _TEMPLATE.search(text) or _LOOP.search(text) else Result(text)


def _names_kaggle(text: str, fields: Mapping[str, Any]) -> bool:
    return "kaggle" in text.lower() or any("kaggle" in str(fields.get(name) or "").lower() for name in _FIELDS)


def _cells(text: str) -> list[str]:
    """The code of a structured notebook's Python cells; none of a script."""
    cells: list[str] = []
    fence, begun = "", 0
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if not fence:
            opening = _FENCE.fullmatch(line)
            fence, begun = (opening[1], number + 1) if opening else ("", 0)
        elif line == fence:
            cells.append("\n".join(lines[begun:number]))
            fence = ""
    return cells


def _wrong(text: str) -> str:
    """What the parser says of the first piece of code that does not parse; empty where all do."""
    cells = [_MAGIC.sub(r"\1\2pass", cell) for cell in _cells(text)]
    for code in cells or [text]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return type(error).__name__
    return ""


RULES: tuple[type[Rule], ...] = (StackNotebooks,)
