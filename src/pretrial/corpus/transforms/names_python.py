"""New names for what a Python file itself binds.

Guarantees: the result parses to the same tree but for those names, each with one new name throughout the file; this is
checked, and a file where it does not hold raises `UnsafeError`.
Keeps: names that an import binds or an import statement holds, attributes, whatever a class body binds (others reach it
as an attribute), keyword arguments and the parameters that the file passes by keyword, built-ins, names in `__all__`,
names with two underscores in front, names that the file uses but does not bind, parameters of tests and fixtures and
the names of tests (pytest goes by them), classes named in annotations that are strings, names in strings of decorators.
Does not: look into strings; a program that asks for names as text (`globals()["x"]`, `eval`) may behave differently,
and so may one that imports the file.
"""

from __future__ import annotations

import ast
import builtins
import io
import itertools
import re
import symtable
import tokenize
import warnings
from collections.abc import Iterator, Mapping

_SOFT_KEYWORDS = frozenset({"_", "match", "case", "type", "print", "exec", "nonlocal"})
_BUILTINS = frozenset(dir(builtins)) | {"copyright", "credits", "exit", "license", "quit"} | _SOFT_KEYWORDS
_WORD = re.compile(r"\w+")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class UnsafeError(ValueError):
    """Renaming would change more than names."""


def rename(text: str, prefix: str) -> str:
    """The text with new names, `prefix` and a number, in order of first use.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: when Python cannot parse the text.
        UnsafeError: when the result is not the same program up to names.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
        own = _bound(symtable.symtable(text, "<file>", "exec")) - _kept(tree)
        renamed, names = _replaced(text, tree, own, prefix)
        wanted = ast.dump(_Renamer(names).visit(tree))
        if _same(renamed, wanted):
            return renamed
        # An f-string that shows its expression, `{name=}`, holds the name as text.
        tree = ast.parse(text)
        shown = {node.id for string in ast.walk(tree) if isinstance(string, ast.JoinedStr) for node in _names(string)}
        renamed, names = _replaced(text, tree, own - shown, prefix)
        if _same(renamed, ast.dump(_Renamer(names).visit(tree))):
            return renamed
    raise UnsafeError("the result is another program")


def _replaced(text: str, tree: ast.AST, own: set[str], prefix: str) -> tuple[str, dict[str, str]]:
    lines = text.split("\n")
    places = _places(lines, tree, own)
    taken = set(_WORD.findall(text))
    fresh = (new for number in itertools.count(1) if (new := f"{prefix}{number}") not in taken)
    names: dict[str, str] = {}
    for *_, name in places:
        if name not in names:
            names[name] = next(fresh)
    for row, column, name in reversed(places):
        line = lines[row]
        lines[row] = line[:column] + names[name] + line[column + len(name) :]
    return "\n".join(lines), names


def _same(text: str, wanted: str) -> bool:
    try:
        return ast.dump(ast.parse(text)) == wanted
    except SyntaxError:
        return False


def _names(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))


def _bound(table: symtable.SymbolTable) -> set[str]:
    """Names that the module or a function binds, and no import or class body in the file does."""
    own: set[str] = set()
    foreign: set[str] = set()
    module = {symbol.get_name() for symbol in table.get_symbols() if _binds(symbol)}
    tables = [table]
    while tables:
        scope = tables.pop()
        tables += scope.get_children()
        for symbol in scope.get_symbols():
            name = symbol.get_name()
            if symbol.is_imported() or (scope.get_type() == "class" and _binds(symbol)):
                foreign.add(name)
            elif _binds(symbol):
                own.add(name)
            if symbol.is_declared_global() and symbol.is_assigned():
                module.add(name)
    tables = [table]
    while tables:
        scope = tables.pop()
        tables += scope.get_children()
        # What a scope takes from the module and the module does not have comes from elsewhere: `import *`, a tool.
        foreign |= {s.get_name() for s in scope.get_symbols() if s.is_global() and s.get_name() not in module}
    return {name for name in own - foreign - _BUILTINS if not name.startswith("__") and name.isidentifier()}


def _binds(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_parameter() or symbol.is_imported() or symbol.is_namespace()


def _kept(tree: ast.AST) -> set[str]:
    """Names that something outside the file's own code goes by."""
    kept: set[str] = set()
    keywords: set[str] = set()
    parameters: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            keywords |= {word.arg for word in node.keywords if word.arg}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            kept |= {part for alias in node.names for part in (alias.asname or alias.name).split(".")}
        elif isinstance(node, ast.arg):
            parameters.add(node.arg)
            kept |= _words(node.annotation)
        elif isinstance(node, ast.AnnAssign):
            kept |= _words(node.annotation)
        elif isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                kept |= _words(node.value)
        elif isinstance(node, _Function | ast.ClassDef):
            fixture = False
            for decorator in node.decorator_list:
                kept |= _words(decorator)
                fixture = fixture or "fixture" in ast.dump(decorator)
            tests = node.name.lower().startswith("test")
            if tests:
                kept.add(node.name)
            if isinstance(node, _Function):
                kept |= _words(node.returns)
                if tests or fixture:
                    kept |= {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    return kept | (keywords & parameters)


def _words(node: ast.AST | None) -> set[str]:
    """The words in the strings under a node."""
    if node is None:
        return set()
    strings = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return {word for string in strings for word in _WORD.findall(string)}


def _places(lines: list[str], tree: ast.AST, own: set[str]) -> list[tuple[int, int, str]]:
    """(line from 0, column, name) of every use of the file's own names, in order."""
    columns = _Columns(lines)
    apart: set[tuple[int, int]] = set()
    imports: list[tuple[tuple[int, int], tuple[int, int]]] = []
    inner: set[tuple[int, int, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg:
            apart.add((node.lineno - 1, columns(node.lineno - 1, node.col_offset)))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            end = (node.end_lineno or node.lineno, node.end_col_offset or 0)
            imports.append(
                (
                    (node.lineno - 1, columns(node.lineno - 1, node.col_offset)),
                    (end[0] - 1, columns(end[0] - 1, end[1])),
                )
            )
        elif isinstance(node, ast.Name) and node.id in own:
            inner.add((node.lineno - 1, columns(node.lineno - 1, node.col_offset), node.id))
    apart |= _inside(lines, imports)
    found: set[tuple[int, int, str]] = set()
    before = ""
    for token in tokenize.generate_tokens(io.StringIO("\n".join(lines), newline="\n").readline):
        if token.type == tokenize.NAME:
            at = (token.start[0] - 1, token.start[1])
            if token.string in own and before != "." and at not in apart:
                found.add((*at, token.string))
        if token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            before = token.string
    # Before Python 3.12, names in f-strings are no tokens; the tree has them, where it says.
    for row, column, name in inner - found:
        if lines[row][column : column + len(name)] != name:
            raise UnsafeError(f"line {row + 1}: {name} is not where the parser has it")
        found.add((row, column, name))
    return sorted(found)


def _inside(lines: list[str], ranges: list[tuple[tuple[int, int], tuple[int, int]]]) -> set[tuple[int, int]]:
    """Places of words in ranges."""
    places = set()
    for (first, begin), (last, end) in ranges:
        for row in range(first, last + 1):
            for word in _WORD.finditer(lines[row]):
                if (row > first or word.start() >= begin) and (row < last or word.start() < end):
                    places.add((row, word.start()))
    return places


class _Columns:
    """The parser counts UTF-8 bytes, the tokeniser characters."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def __call__(self, row: int, offset: int) -> int:
        line = self.lines[row]
        return offset if line.isascii() else len(line.encode()[:offset].decode(errors="replace"))


class _Renamer(ast.NodeTransformer):
    """The tree with new names wherever a name is bound or used; attributes, keywords and imports as they are."""

    _FIELDS = ("id", "arg", "name", "rest")
    _NAMED = (
        ast.Name,
        ast.arg,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.ExceptHandler,
        ast.MatchAs,
        ast.MatchStar,
        ast.MatchMapping,
    )

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Children first, then the node's own names."""
        super().generic_visit(node)
        for field, value in self._named(node):
            setattr(node, field, self.names.get(value, value))
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self.names.get(name, name) for name in node.names]
        return node

    def _named(self, node: ast.AST) -> Iterator[tuple[str, str]]:
        if isinstance(node, self._NAMED) or type(node).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):
            for field in self._FIELDS:
                if isinstance(value := getattr(node, field, None), str):
                    yield field, value
