"""Docstrings: the prose in Python files, and its complement, Python files without docstrings.

Guarantees: one document a module, its docstrings in source order, dedented as `inspect.cleandoc` does, with a
blank line between two; a file of documentation (`.rst`, `.md`, prose `.txt`) is a document as it is. Without
docstrings, every other byte of a module stays, and the module still parses.
Does not: execute or import anything, read comments, or read Python that the running Python cannot parse (it
comes out as a reject).
"""

from __future__ import annotations

import ast
import gc
import inspect
import warnings
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from pretrial.corpus.languages import generated_mark, is_licence, language_of
from pretrial.corpus.readers.record import Blob, Item, Record, Reject, Skip, decoded, excerpt

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_docstrings(blob: Blob, *, generated: bool = False) -> Iterator[Item]:
    """The docstrings of a Python file, or the text of a file of documentation, as one record.

    Files that say that a tool wrote them are skipped, unless `generated`.
    """
    python = language_of(blob.name) == "python"
    if is_licence(blob.name):
        yield Skip("licence", len(blob.data), blob.name, PurePosixPath(blob.name).name, excerpt(blob.data))
        return
    text = decoded(blob)
    if not isinstance(text, str):
        yield text
        return
    if not generated and (mark := generated_mark("", text)):
        yield Skip("generated", len(blob.data), blob.name, excerpt(mark), excerpt(text))
        return
    if python:
        try:
            found = docstrings(text)
        except (SyntaxError, ValueError, RecursionError) as error:
            yield Reject("unparsable-python", blob.name, excerpt(str(error)))
            return
        if not found:
            yield Skip("no-docstring", len(blob.data), blob.name, len(found), excerpt(text))
            return
        text = "\n\n".join(found)
    yield Record(blob.name, text, blob.name, {**blob.fields, "path": blob.name})


def docstrings(source: str) -> list[str]:
    """Docstrings of a module, its classes and functions, in source order; those of white space only are left out.

    Raises:
        SyntaxError, ValueError, RecursionError: when Python cannot parse the source.
    """
    texts = [inspect.cleandoc(value) for _, _, value in _found(source)]
    return [text for text in texts if text]


def without_docstrings(source: str) -> str:
    """Python source without its docstrings; every other byte stays.

    A docstring alone on its lines goes with them. One that is its body's only statement, or shares a line
    with other code, becomes `pass`.

    Raises:
        SyntaxError, ValueError, RecursionError: when Python cannot parse the source.
    """
    lines = source.encode().splitlines(keepends=True)
    for statement, alone, _ in reversed(_found(source)):
        first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
        before, after = lines[first][: statement.col_offset], lines[last][statement.end_col_offset or 0 :]
        rest = after.strip()
        if alone or before.strip(b" \t\f") or (rest and not rest.startswith(b"#")):
            replacement = [before + b"pass" + after]
        elif rest:
            replacement = [before + after.lstrip(b" \t")]
        else:
            replacement = []
        lines[first : last + 1] = replacement
    return b"".join(lines).decode()


def _found(source: str) -> list[tuple[ast.Expr, bool, str]]:
    """Each docstring's statement, whether it is its body's only one, and its value, in source order."""
    # A tree has no cycles worth looking for; the collector costs a quarter of the parse.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            # Other people's invalid escapes are not this run's news.
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        found: list[tuple[ast.Expr, bool, str]] = []
        _walk([tree], found)
        return found
    finally:
        if collecting:
            gc.enable()


def _walk(nodes: Sequence[ast.AST], found: list[tuple[ast.Expr, bool, str]]) -> None:
    for node in nodes:
        if isinstance(node, _Documented):
            if node.body:
                first = node.body[0]
                if (
                    isinstance(first, ast.Expr)
                    and isinstance(first.value, ast.Constant)
                    and isinstance(first.value.value, str)
                ):
                    alone = len(node.body) == 1 and not isinstance(node, ast.Module)
                    found.append((first, alone, first.value.value))
            _walk(node.body, found)
            continue
        # Only statements hold definitions: expressions need no visit.
        for name in ("body", "handlers", "cases", "orelse", "finalbody"):
            inner = getattr(node, name, None)
            if isinstance(inner, list):
                _walk(inner, found)
