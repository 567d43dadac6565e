"""New names for what a file of C, Go, Java or JavaScript declares, as far as its tokens tell.

Guarantees: a name gets one new name throughout the file or keeps its own; names in strings, comments, imports and
directives stay. A name is the file's own where a declaration of it is seen and nothing in the file says that it is
somebody else's, too. By language:

- C: variables, parameters, and functions that the file defines, but for `main`. Kept: names in any directive (macros),
  in `struct`, `union` and `enum`, behind `.` and `->`, declared `extern` or without a body.
- Go: functions without a receiver, variables, parameters. Kept: types, methods, fields, names behind `.`, keys of
  literals, `main`, `init`, names of imported packages. Files with cgo are refused.
- Java: local variables and parameters. Kept: whatever stands at the level of a class body (types, fields, methods, as
  others may override or use them), behind `.` or before `(`.
- JavaScript: variables, functions, classes, parameters. Kept: properties, keys, methods, whatever stands at the level
  of a class body, names in `import` and `export {}`, in shorthand (`{a}`) and destructured patterns, and behind
  `window.` or the like. Files with JSX, `eval` or `with` are refused.

Does not: resolve scopes. A local variable that has the name of something inherited or declared in another file is
renamed in both roles; a function that other files use is renamed in this one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

from pretrial.corpus.transforms.lexed import AmbiguousError, lexed

_IDENTIFIER = re.compile(r"[^\W\d$]*[\w$]+")
_PIECE = re.compile(r"->|=>|::|:=|\?\.|\.\.\.|[\w$]+|\S")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_OPEN = frozenset(_PAIRS.values())


class _File:
    """A file's tokens without white space and comments, and what encloses what.

    Attributes:
        kinds: "name", "type" (a keyword that names one), "class" (a name of a class), "word" (another keyword, a
            built-in), "string", or "other", of each token.
        values: the tokens' text; empty behind the last and before the first.
        places: their positions.
        partner: index of the closing bracket of each that opens, and the other way round.
        inside: index of the innermost bracket that is open at each token; -1 outside all.
        foreign: names that directives hold.
    """

    def __init__(self, text: str, language: str) -> None:
        from pygments.token import Comment, Keyword, Name, Number, String

        self.kinds: list[str] = []
        self.values: list[str] = []
        self.places: list[int] = []
        self.foreign: set[str] = set()
        for at, kind, value in lexed(text, language):
            if kind in Comment:
                if kind in Comment.Preproc or kind is Comment:
                    self.foreign.update(_IDENTIFIER.findall(value))
            elif kind in String:
                if kind not in String.Interpol:
                    self._add("string", value, at)
                else:
                    self._pieces(value, at)
            elif kind in Number:
                self._add("other", value, at)
            elif kind in Name and _IDENTIFIER.fullmatch(value):
                plain = not (kind in Name.Builtin or kind in Name.Exception or kind in Name.Decorator)
                self._add("class" if kind is Name.Class else "name" if plain else "word", value, at)
            elif kind in Keyword and value.strip():
                self._add("type" if kind in Keyword.Type else "word", value.strip(), at)
            else:
                self._pieces(value, at)
        self._match()

    def _pieces(self, value: str, at: int) -> None:
        for piece in _PIECE.finditer(value):
            self._add("other", piece[0], at + piece.start())

    def _add(self, kind: str, value: str, at: int) -> None:
        self.kinds.append(kind)
        self.values.append(value)
        self.places.append(at)

    def _match(self) -> None:
        self.partner: dict[int, int] = {}
        self.inside: list[int] = []
        open_: list[int] = []
        for at, value in enumerate(self.values):
            bracket = self.kinds[at] == "other"
            if bracket and value in _PAIRS:
                if not open_ or self.values[open_[-1]] != _PAIRS[value]:
                    raise AmbiguousError(f"{value} closes nothing")
                self.partner[at] = open_.pop()
                self.partner[self.partner[at]] = at
            self.inside.append(open_[-1] if open_ else -1)
            if bracket and value in _OPEN:
                open_.append(at)
        if open_:
            raise AmbiguousError(f"{self.values[open_[-1]]} is never closed")

    def value(self, at: int) -> str:
        """A token's text; empty beyond the ends, and for strings."""
        return self.values[at] if 0 <= at < len(self.values) and self.kinds[at] != "string" else ""

    def kind(self, at: int) -> str:
        """A token's kind; empty beyond the ends."""
        return self.kinds[at] if 0 <= at < len(self.kinds) else ""

    def names(self) -> Iterator[int]:
        """Indices of the names."""
        return (at for at, kind in enumerate(self.kinds) if kind == "name")

    def closed(self, at: int) -> int:
        """Index of the bracket that closes the one here; behind all where none opens here."""
        return self.partner.get(at, len(self.values)) if self.value(at) in _OPEN else len(self.values)

    def elements(self, bracket: int) -> Iterator[tuple[int, int]]:
        """(first, last) tokens of each part between a bracket's commas, both inclusive."""
        first = bracket + 1
        end = self.partner[bracket]
        for at in range(bracket + 1, end + 1):
            if at == end or (self.value(at) == "," and self.inside[at] == bracket):
                if at > first:
                    yield first, at - 1
                first = at + 1

    def statement(self, at: int) -> Iterator[int]:
        """Indices from here back to the beginning of the statement, over whole brackets."""
        while at >= 0 and self.value(at) not in (";", "{", "}"):
            yield at
            at = self.partner[at] - 1 if self.value(at) in (")", "]") else at - 1


Choice = tuple[set[str], set[str], set[int]]
"""Names declared, names that are (also) somebody else's, and places where a name stands for something else."""


def rename(text: str, language: str, prefix: str) -> str:
    """The text with new names, `prefix` and a number, in order of first use.

    Raises:
        AmbiguousError: when the file cannot be lexed or does things that names cannot be told in.
        KeyError: for a language not in `LANGUAGES`.
    """
    choose = LANGUAGES[language]
    file = _File(text if text.endswith("\n") else text + "\n", language)
    declared, foreign, apart = choose(file)
    other = {value for kind, value in zip(file.kinds, file.values, strict=True) if kind != "name"}
    own = declared - foreign - file.foreign - other
    taken = set(_IDENTIFIER.findall(text)) | set(re.findall(r"\w+", text))
    fresh = (new for number in itertools.count(1) if (new := f"{prefix}{number}") not in taken)
    names: dict[str, str] = {}
    out: list[str] = []
    end = 0
    for at in file.names():
        value = file.values[at]
        if value in own and at not in apart:
            if value not in names:
                names[value] = next(fresh)
            out += [text[end : file.places[at]], names[value]]
            end = file.places[at] + len(value)
    return "".join([*out, text[end:]])


def _c(file: _File) -> Choice:
    declared: set[str] = set()
    foreign = {"main"}
    bodies = {
        at
        for at, value in enumerate(file.values)
        if value == "{"
        and file.kinds[at] == "other"
        and (file.value(at - 1) in ("struct", "union", "enum") or file.value(at - 2) in ("struct", "union", "enum"))
    }
    for at in file.names():
        name, after = file.values[at], file.value(at + 1)
        if file.value(at - 1) in (".", "->") or file.inside[at] in bodies:
            foreign.add(name)
            continue
        before = at - 1
        while file.value(before) in ("*", "const", "restrict", "volatile"):
            before -= 1
        stars = any(file.value(between) == "*" for between in range(before + 1, at))
        typed = file.kind(before) in ("type", "class") or (file.kind(before) == "name" and not stars)
        if file.kind(before) == "name" and stars:
            outer = file.value(before - 1)
            parameter = _is_defined(file, file.inside[at]) and outer in ("(", ",", "const")
            typed = parameter or (outer in ("", ";", "{", "}", "static", "const") and after in ("=", ";", ",", "["))
        if not typed:
            continue
        if any(file.value(between) in ("extern", "typedef") for between in file.statement(at)):
            foreign.add(name)
        elif after == "(":
            if file.value(file.closed(at + 1) + 1) == "{":
                declared.add(name)
            elif file.inside[at] == -1 and not _defines(file, name):
                foreign.add(name)
        elif after in ("=", ";", ",", ")", "["):
            declared.add(name)
    return declared, foreign, set()


def _is_defined(file: _File, bracket: int) -> bool:
    """Whether a bracket holds the parameters of a function with a body."""
    return (
        bracket > 0
        and file.value(bracket) == "("
        and file.kind(bracket - 1) == "name"
        and file.value(file.partner[bracket] + 1) == "{"
    )


def _defines(file: _File, name: str) -> bool:
    return any(file.values[at] == name and file.inside[at] == -1 and _is_defined(file, at + 1) for at in file.names())


def _go(file: _File) -> Choice:
    declared: set[str] = set()
    foreign = {"main", "init", "_"}
    fields: set[int] = set()
    for at, value in enumerate(file.values):
        if file.kinds[at] == "string":
            if value == '"C"':
                raise AmbiguousError("cgo")
            if file.value(at - 1) in ("import", "(") or file.value(file.inside[at] - 1) == "import":
                foreign.update(_IDENTIFIER.findall(value))
                if file.kind(at - 1) == "name":
                    foreign.add(file.values[at - 1])
        elif value == "{" and file.value(at - 1) in ("struct", "interface"):
            fields.add(at)
        elif value == "func" and file.kinds[at] == "word":
            method = file.value(at + 1) == "(" and file.kind(file.closed(at + 1) + 1) == "name"
            name = at + 1 if not method else file.closed(at + 1) + 1
            if file.kind(name) == "name":
                (foreign if method else declared).add(file.values[name])
            bracket = name + 1 if file.kind(name) == "name" else name
            if method:
                declared |= _go_parameters(file, at + 1)
            if file.value(bracket) == "(":
                declared |= _go_parameters(file, bracket)
                if file.value(file.closed(bracket) + 1) == "(":
                    declared |= _go_parameters(file, file.closed(bracket) + 1)
        elif value == ":=" and file.kinds[at] == "other":
            declared |= _go_list(file, at - 1)
        elif value in ("var", "const") and file.kinds[at] == "word":
            if file.kind(at + 1) == "name":
                declared.add(file.values[at + 1])
            elif file.value(at + 1) == "(":
                foreign |= {file.values[one] for one in range(at, file.closed(at + 1)) if file.kinds[one] == "name"}
        elif value == "type" and file.kinds[at] == "word":
            if file.kind(at + 1) == "name":
                foreign.add(file.values[at + 1])
            elif file.value(at + 1) == "(":
                foreign |= {file.values[one] for one in range(at, file.closed(at + 1)) if file.kinds[one] == "name"}
    apart = set()
    for at in file.names():
        if file.value(at - 1) == ".":
            apart.add(at)
        elif (
            file.inside[at] in fields
            or file.value(at - 1) in ("goto", "break", "continue", "package")
            or (file.value(at + 1) == ":" and file.value(at - 1) in ("{", ",", "}", ";"))
        ):
            foreign.add(file.values[at])
    return declared, foreign, apart


def _go_parameters(file: _File, bracket: int) -> set[str]:
    """Names of parameters: all have one or none, and the last one's type stands behind it."""
    parts = list(file.elements(bracket))
    if not parts or file.kind(parts[-1][0]) != "name":
        return set()
    first, last = parts[-1]
    if last == first or file.value(first + 1) in (".", "["):
        return set()
    return {file.values[first] for first, _ in parts if file.kind(first) == "name"}


def _go_list(file: _File, at: int) -> set[str]:
    names = set()
    while file.kind(at) == "name":
        names.add(file.values[at])
        if file.value(at - 1) != ",":
            break
        at -= 2
    return names


_JAVA_CLASSES = frozenset({"class", "interface", "enum", "record", "@interface"})


def _java(file: _File) -> Choice:
    declared: set[str] = set()
    foreign = {"var", "yield", "record", "sealed", "permits", "length"}
    bodies = {
        at for at, value in enumerate(file.values) if value == "{" and file.kinds[at] == "other" and _is_class(file, at)
    }
    for at in file.names():
        name, after, before = file.values[at], file.value(at + 1), file.value(at - 1)
        bracket = file.inside[at]
        if (
            (
                before in (".", "::", "@", "new")
                or after in ("(", "::")
                or bracket in bodies
                or bracket == -1
                or file.kind(at + 1) == "name"
            )
            or (after == "=" and file.value(bracket) == "(" and file.value(bracket - 2) == "@")
            or (file.value(bracket) == "(" and file.value(bracket - 2) == "record")
        ):
            foreign.add(name)
        elif (
            after in ("=", ";", ":", ",", ")", "[")
            and (
                file.kind(at - 1) == "type"
                or (file.kind(at - 1) == "name" and before != "yield")
                or before in ("var", "...")
                or (before == "]" and file.value(at - 2) == "[")
                or (before == ">" and _is_generic(file, at - 1))
            )
        ) or (after == "->" and before in ("(", "=", "return")):
            declared.add(name)
    return declared, foreign, set()


def _is_class(file: _File, brace: int) -> bool:
    for at in file.statement(brace - 1):
        if file.value(at) in _JAVA_CLASSES and file.value(at - 1) != ".":
            return True
    if file.value(brace - 1) != ")":
        # The constants of an enumeration may have bodies; so may nothing else at that level.
        return False
    at = file.partner[brace - 1] - 1
    while file.kind(at) in ("name", "class", "type") or file.value(at) in (".", "<", ">", ",", "?", "[", "]"):
        at -= 1
    return file.value(at) == "new"


def _is_generic(file: _File, at: int) -> bool:
    """Whether a `>` closes a type's parameters."""
    depth = 0
    while at >= 0:
        value = file.value(at)
        depth += (value == ">") - (value == "<")
        if depth == 0:
            return file.kind(at - 1) == "name"
        if not (
            file.kind(at) in ("name", "type") or value in (">", "<", ",", ".", "?", "[", "]", "&", "extends", "super")
        ):
            return False
        at -= 1
    return False


_METHOD_BEFORE = frozenset({"{", ",", "}", ";", "static", "async", "get", "set", "*"})
_GLOBALS = frozenset({"window", "global", "globalThis", "self", "top", "parent"})


def _javascript(file: _File) -> Choice:
    _check_javascript(file)
    declared: set[str] = set()
    foreign: set[str] = {"arguments", "undefined", "async", "await", "of", "get", "set", "static"}
    apart: set[int] = set()
    listed: set[int] = set()
    classes: set[int] = set()
    for at, value in enumerate(file.values):
        if file.kinds[at] == "string":
            continue
        if value in ("var", "let", "const"):
            listed |= set(_declarators(file, at + 1))
        elif value == "function":
            said = at + 2 if file.value(at + 1) == "*" else at + 1
            if file.kind(said) == "name":
                declared.add(file.values[said])
                said += 1
            listed |= set(_parameters(file, said))
        elif value == "class" and file.value(at - 1) != ".":
            if file.kind(at + 1) in ("name", "class"):
                declared.add(file.values[at + 1])
            brace = at + 1
            while brace < len(file.values) and file.value(brace) != "{":
                brace = file.closed(brace) + 1 if file.value(brace) == "(" else brace + 1
            classes.add(brace)
        elif value == "=>":
            listed |= {at - 1} if file.kind(at - 1) == "name" else set(_parameters(file, file.partner.get(at - 1, at)))
        elif value == "catch":
            listed |= set(_parameters(file, at + 1))
        elif value == "import" and file.value(at + 1) not in ("(", "."):
            end = at + 1
            while end < len(file.values) and file.kind(end) != "string" and file.value(end) != ";":
                foreign.add(file.values[end])
                end += 1
        elif value == "export" and file.value(at + 1) == "{":
            foreign |= set(file.values[at + 1 : file.closed(at + 1)])
    for at in file.names():
        name, before, after = file.values[at], file.value(at - 1), file.value(at + 1)
        in_braces = file.value(file.inside[at]) == "{" if file.inside[at] >= 0 else False
        if before in (".", "?.", "#"):
            apart.add(at)
            if file.value(at - 2) in _GLOBALS:
                foreign.add(name)
        elif file.inside[at] in classes or before in ("break", "continue"):
            foreign.add(name)
        elif in_braces and before in ("{", ",") and after == ":":
            apart.add(at)
        elif after == "(" and before in _METHOD_BEFORE and file.value(file.closed(at + 1) + 1) == "{":
            apart.add(at)
            listed |= set(_parameters(file, at + 1))
        elif in_braces and before in ("{", ",", "...") and after in (",", "}", "=") and at not in listed:
            foreign.add(name)
    return declared | {file.values[at] for at in listed if file.kind(at) == "name"}, foreign, apart


def _check_javascript(file: _File) -> None:
    for at, value in enumerate(file.values):
        if file.kinds[at] == "string":
            if value.startswith("/") and file.value(at - 1) == "<":
                raise AmbiguousError("JSX")
            continue
        if (value == "eval" and file.value(at + 1) == "(") or (value == "Function" and file.value(at - 1) == "new"):
            raise AmbiguousError(value)
        if value == "with" and file.value(at + 1) == "(" and file.value(at - 1) != ".":
            raise AmbiguousError("with")
        if (value == "/" and file.value(at + 1) == ">") or (value == "<" and file.value(at + 1) in ("/", ">")):
            raise AmbiguousError("JSX")


def _declarators(file: _File, at: int) -> Iterator[int]:
    """Names that a `var` declares, as far as its commas are plain to see."""
    level = file.inside[at] if at < len(file.values) else -1
    while file.kind(at) == "name":
        yield at
        at += 1
        if file.value(at) == "=":
            while at < len(file.values) and not (file.inside[at] == level and file.value(at) in (",", ";", ")")):
                if file.inside[at] == level and file.kind(at) == "word" and file.value(at) in _STATEMENTS:
                    return
                if file.value(at) in ("}",) and file.inside[at] != level and file.partner.get(at) == level:
                    return
                at += 1
        if file.value(at) != ",":
            return
        at += 1


_STATEMENTS = frozenset({"var", "let", "const", "if", "for", "while", "return", "switch", "do", "try", "throw"})


def _parameters(file: _File, bracket: int) -> Iterator[int]:
    if file.value(bracket) != "(":
        return
    for first, _ in file.elements(bracket):
        at = first + 1 if file.value(first) == "..." else first
        if file.kind(at) == "name" and file.value(at + 1) in (",", ")", "="):
            yield at


LANGUAGES: dict[str, Callable[[_File], Choice]] = {"c": _c, "go": _go, "java": _java, "javascript": _javascript}
