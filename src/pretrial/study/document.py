"""A YAML 1.2 file as plain data, with the line of every key and item.

Guarantees: only mappings with text keys, lists, text, numbers, booleans and null come out; a key said twice
is an error with both lines; tags, merge keys and runaway aliases are refused. Dates and the like stay text.

Does not: know what a study is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pretrial.errors import RequestError

_MOST_NODES = 200_000
_CORE = "tag:yaml.org,2002:"
_TEXT = {_CORE + "str", _CORE + "timestamp", _CORE + "binary"}


def read_document(path: Path) -> tuple[object, dict[str, int]]:
    """Data of a YAML file and the line (from 1) of each dotted key; list items count from 0 ("seeds.0").

    The line of "" is that of the document itself.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise RequestError("there is no such study file", where=str(path)) from None
    except OSError as error:
        raise RequestError(f"the study file cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise RequestError(
            f"the study file is not UTF-8 (byte {error.start})", where=str(path), remedy="save it as UTF-8"
        ) from None
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        what = " ".join(part for part in (error.context, error.problem) if part)
        unquoted = re.search(r":\s*\{\w+\}\s*/", text)
        remedy = "Put a path that begins with { into quotes: '{data}/x.jsonl'." if unquoted else None
        raise RequestError(f"not YAML: {what}", where=f"{path}{line}", remedy=remedy) from None
    except RecursionError:
        raise RequestError("not a study: nested too deeply", where=str(path)) from None
    except YAMLError as error:
        raise RequestError(f"not YAML: {' '.join(str(error).split())}", where=str(path)) from None
    if root is None:
        raise RequestError("the study file is empty", where=str(path), remedy="`pretrial new` writes one to start from")
    reader = _Reader(str(path), yaml)
    reader.marks[""] = root.start_mark.line + 1
    return reader.value(root, "", ()), reader.marks


class _Reader:
    def __init__(self, origin: str, yaml: Any) -> None:
        self.origin = origin
        self.constructor = yaml.constructor
        self.marks: dict[str, int] = {}
        self.nodes = 0

    def value(self, node: Node, path: str, inside: tuple[int, ...]) -> object:
        line = node.start_mark.line + 1
        self.nodes += 1
        if id(node) in inside or self.nodes > _MOST_NODES:
            raise RequestError("an alias repeats without end", where=self.place(line, path))
        inside = (*inside, id(node))
        if isinstance(node, MappingNode):
            return self.mapping(node, path, inside)
        if isinstance(node, SequenceNode):
            self.plain(node, "seq", path)
            items = []
            for i, item in enumerate(node.value):
                at = f"{path}.{i}" if path else str(i)
                self.marks[at] = item.start_mark.line + 1
                items.append(self.value(item, at, inside))
            return items
        return self.scalar(node, path)

    def mapping(self, node: MappingNode, path: str, inside: tuple[int, ...]) -> dict[str, object]:
        self.plain(node, "map", path)
        said: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                raise RequestError("a key must be text", where=self.place(line, path))
            # Keys are taken as spelled: a source may be called 2020 or null.
            name: str = key.value
            at = f"{path}.{name}" if path else name
            if key.tag == _CORE + "merge":
                raise RequestError(
                    "merge keys (<<) are not part of YAML 1.2",
                    where=f"{self.origin}:{line}, {at}",
                    remedy="write the keys out, or give whole values an anchor",
                )
            if name in lines:
                raise RequestError(
                    f"{name!r} is said twice, on lines {lines[name]} and {line}",
                    where=f"{self.origin}:{line}, {at}",
                    remedy="remove or rename one of them",
                )
            lines[name] = self.marks[at] = line
            said[name] = self.value(value, at, inside)
        return said

    def scalar(self, node: Node, path: str) -> object:
        if node.tag in _TEXT:
            return str(node.value)
        for kind in ("int", "float", "bool", "null"):
            if node.tag == _CORE + kind:
                try:
                    value: object = self.constructor.construct_object(node)
                except (ValueError, YAMLError):
                    return str(node.value)
                return value
        self.plain(node, "str", path)
        return str(node.value)

    def place(self, line: int, path: str) -> str:
        return f"{self.origin}:{line}, {path}" if path else f"{self.origin}:{line}"

    def plain(self, node: Node, kind: str, path: str) -> None:
        if node.tag != _CORE + kind:
            line = node.start_mark.line + 1
            raise RequestError(
                f"the YAML tag {str(node.tag)!r} means nothing here",
                where=self.place(line, path),
                remedy="remove it",
            )
