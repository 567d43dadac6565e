"""What identifies a corpus, without reading it.

Guarantees: a source's configuration holds every choice that acts on its documents (reader, fields, languages,
rules with their versions, caps, group field) and no path; files are known by a name relative to their root
and the SHA-256 of their bytes; imports the standard library only.
Does not: read documents, or decide when the installation is read again (the store keeps its first snapshot).

What a file of a tree belongs to (`group: repository`, `package` or `directory`, and what `cap-group` counts) is a
folder, its *unit*. Of a folder that is the source's only location, the folders in it are the units: `repos/` has `a`
and `b`. A pattern counts below its part without wildcards: `repos/*` and `repos/*/src/*.py` have `a` and `b`, too. Of
several locations, each folder that is named without a wildcard is one unit: `[repos/a, repos/b]`. A file that lies
in no unit (`repos/x.py`) belongs to no repository or directory, and is a package by its own name.
"""

from __future__ import annotations

import difflib
import glob
import itertools
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pretrial.corpus.languages import CODE, MARKUP, is_prose, language_of
from pretrial.corpus.rules import RULES
from pretrial.errors import RequestError

SEMANTICS = {"snapshot": 1, "corpus": 1, "corpus-shard": 1, "select": 1}
TREE = 2
"""Version of how trees of files are read; only the configuration of sources that read them holds it. 2: what a file
belongs to is counted from the tree's own root."""
HELD_OUT = {"share": "2%", "bytes": 262_144, "largest_group": "20%"}

INSTALLED = frozenset({"installed", "stdlib", "topics"})
_SCOPES = {
    "docstrings": ("installed", "stdlib"),
    "files": ("installed", "stdlib"),
    "metadata": ("installed",),
    "pydoc": ("topics",),
}
_GROUPS = {
    "docstrings": ("document", "package", "distribution"),
    "files": ("document", "package", "distribution"),
    "metadata": ("document", "package", "distribution"),
    "pydoc": ("document", "topic"),
}
_TREE_GROUPS = ("document", "package", "repository", "directory")
_UNSEEN = frozenset({".git", ".hg", ".svn", "__pycache__"})


class ReadLike(Protocol):
    """The part of a study's source that says how it is read (`pretrial.study.schema.Read`)."""

    @property
    def kind(self) -> str:
        """Name of the reader."""

    @property
    def location(self) -> str | tuple[str, ...]:
        """Paths, globs, or one of the words for the installation."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages to take, for trees of files."""

    @property
    def text(self) -> str:
        """Field that holds a record's text."""

    @property
    def id(self) -> str | None:
        """Field that names a record."""

    @property
    def drop_docstrings(self) -> bool:
        """Whether Python code loses its docstrings."""

    @property
    def cap_file(self) -> int | None:
        """Most bytes of one document."""

    @property
    def cap_group(self) -> int | None:
        """Most bytes of one package's files."""


class SourceLike(Protocol):
    """A source of a study (`pretrial.study.schema.Source`)."""

    @property
    def read(self) -> ReadLike:
        """How it is read."""

    @property
    def filter(self) -> tuple[str, ...]:
        """Names of rules, in order."""

    @property
    def group(self) -> str:
        """Field that keeps related documents together."""

    @property
    def license(self) -> str | None:
        """Licence of documents that name none."""

    @property
    def keep(self) -> Mapping[str, Sequence[str]] | None:
        """Values that a record's field must have."""


class HashCache(Protocol):
    """Knows the SHA-256 of files, and hashes again when size or modification time changed."""

    def hash(self, path: Path) -> str:
        """SHA-256 of the file's bytes, in hex."""


def source_config(source: SourceLike, *, where: str | None = None) -> dict[str, Any]:
    """What acts on the documents of a source, as JSON. No paths are in it.

    Args:
        source: the study's source.
        where: place in the study file, for errors.

    Raises:
        RequestError: for a reader, rule, language, group or field that does not exist or does not apply.
    """
    read = source.read
    if read.kind not in {*_SCOPES, "jsonl", "parquet"}:
        raise _unknown("reader", read.kind, (*_SCOPES, "jsonl", "parquet"), where)
    scope = _scope(read, where)
    config: dict[str, Any] = {"kind": read.kind, "scope": scope}
    if read.kind in ("jsonl", "parquet"):
        if read.languages or read.drop_docstrings or read.cap_group is not None:
            raise RequestError(
                f"languages, drop-docstrings and cap-group do not apply to the reader {read.kind}",
                where=where,
                remedy="Choose records by a field: keep: {language: [python]}",
            )
        config |= {"text": read.text, "id": read.id}
    elif source.keep:
        raise RequestError(
            f"keep chooses records by their fields; the reader {read.kind} has none",
            where=where,
            remedy="Remove keep, or choose by languages.",
        )
    if read.kind == "files":
        config |= {"languages": _languages(read.languages, where), "drop_docstrings": read.drop_docstrings}
    if scope == "paths" and read.kind not in ("jsonl", "parquet"):
        config["tree"] = TREE
    groups = _GROUPS.get(read.kind, ()) if scope != "paths" else _TREE_GROUPS
    if read.kind not in ("jsonl", "parquet") and source.group not in groups:
        raise _unknown("group", source.group, groups, where)
    return {
        "read": config | {"cap_file": read.cap_file, "cap_group": read.cap_group},
        "filter": [[name, _rule_version(name, where)] for name in source.filter],
        "group": source.group,
        "license": source.license,
        "keep": {field: sorted(map(str, values)) for field, values in sorted((source.keep or {}).items())},
    }


def source_settings(
    source: SourceLike,
    data_dir: Path | None,
    study_dir: Path,
    *,
    name: str = "",
    where: str | None = None,
) -> dict[str, Any]:
    """Where a source's files lie, as JSON: a root and a pattern relative to it for each location.

    `{data}/…` is relative to `data_dir`, other relative paths to `study_dir`.

    Raises:
        RequestError: when a location needs the data folder and none was named.
    """
    settings: dict[str, Any] = {"name": name, "where": where, "locations": []}
    if _scope(source.read, where) != "paths":
        return settings
    location = source.read.location
    for text in (location,) if isinstance(location, str) else location:
        if text.startswith("{data}"):
            if data_dir is None:
                raise RequestError(
                    f"{text} lies in the data folder, and none was named",
                    where=where,
                    remedy="Name it: --data DIR, or set PRETRIAL_DATA.",
                )
            root, pattern = data_dir, text.removeprefix("{data}").lstrip("/") or "."
        else:
            path = Path(text).expanduser()
            if path.is_absolute():
                # The root must not depend on what the pattern matches, or a new file would rename all others.
                root = path.parent
                while glob.has_magic(str(root)):
                    root = root.parent
                pattern = path.relative_to(root).as_posix()
            else:
                root, pattern = study_dir, text
        settings["locations"].append({"root": str(root.absolute()), "pattern": pattern})
    return settings


def input_fingerprint(
    config: Mapping[str, Any], settings: Mapping[str, Any], cache: HashCache
) -> list[list[str]] | None:
    """(relative name, SHA-256) of each file that a source reads, sorted by name; `None` for the installation.

    A file of a tree has its unit as a third; empty where it lies in none.

    Raises:
        RequestError: for a missing or unreadable file, a pattern that matches nothing, a folder in the place
            of a file, or a tree without a file of the languages asked for.
    """
    if config["read"]["scope"] != "paths":
        return None
    found = []
    tree = "tree" in config["read"]
    for name, path, unit in _located(config, settings):
        try:
            found.append([name, cache.hash(path), *([unit] if tree else [])])
        except OSError as error:
            raise RequestError(
                f"{path} cannot be read: {error.strerror}",
                where=settings.get("where"),
                remedy="Make it readable, or take it out of the source.",
            ) from error
    return found


def corpus_config(config: Mapping[str, Any], files: list[list[str]] | None) -> dict[str, Any]:
    """Configuration of a source's step of kind "corpus": the source's and, where it has them, its files."""
    return {**config, "files": files} if files is not None else dict(config)


def snapshot_config(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Configuration of the "snapshot" step that a source reads from; `None` where it reads files of its own.

    Rules, groups and fields are left out: changing them does not read the installation again.
    """
    read = config["read"]
    if read["scope"] == "paths":
        return None
    return {key: read[key] for key in ("kind", "scope", "languages", "cap_file", "cap_group") if key in read}


def select_config(sources: Sequence[str], trained: frozenset[str] | set[str]) -> dict[str, Any]:
    """Configuration of the "select" step. The order of `sources`, the study file's, is their priority."""
    return {
        "sources": {name: {"trained": name in trained, "priority": index} for index, name in enumerate(sources)},
        "held_out": dict(HELD_OUT),
    }


def installed_state() -> dict[str, object]:
    """What `installed` readers see: Python's version and distributions. Compare a snapshot's `installed`."""
    # Reading metadata imports half of the email package; planning a study without installed readers must not.
    from pretrial.corpus import installed

    return installed.state()


def resolve(config: Mapping[str, Any], settings: Mapping[str, Any]) -> list[tuple[str, Path]]:
    """(relative name, path) of each file that a source reads, sorted by name.

    A name has its location's number in front where the same name lies in two locations.

    Raises:
        RequestError: as `input_fingerprint`.
    """
    return [(name, path) for name, path, _ in _located(config, settings)]


def _located(config: Mapping[str, Any], settings: Mapping[str, Any]) -> list[tuple[str, Path, str]]:
    """(relative name, path, unit) of each file, sorted by name."""
    read, where = config["read"], settings.get("where")
    found: dict[Path, tuple[str, int, str]] = {}
    for index, location in enumerate(settings["locations"]):
        root, pattern = Path(location["root"]), location["pattern"]
        matches = [root / pattern] if (root / pattern).exists() else _matches(root, pattern)
        if not matches:
            what = "no file matches" if glob.has_magic(pattern) else "there is no file"
            raise RequestError(f"{what} {root / pattern}", where=where, remedy="Check the path and --data DIR.")
        taken = _tree(matches, read) if read["kind"] not in ("jsonl", "parquet") else _files(matches, where)
        if not taken:
            raise RequestError(
                f"{root / pattern} holds no file of the kinds asked for",
                where=where,
                remedy="Check the folder and the languages of the source.",
            )
        top = _top(root, pattern, alone=len(settings["locations"]) == 1)
        for path in taken:
            # A file that two overlapping patterns match is read once.
            found.setdefault(path, (_name(path, root), index, _unit(path, top)))
    clash = len({name for name, *_ in found.values()}) < len(found)
    return sorted((f"{index}/{name}" if clash else name, path, unit) for path, (name, index, unit) in found.items())


def _name(path: Path, root: Path) -> str:
    return _text(path.relative_to(root) if path.is_relative_to(root) else Path(path.name))


def _text(path: Path) -> str:
    # Names are text in the store; bytes that are not UTF-8 are spelled out.
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _top(root: Path, pattern: str, *, alone: bool) -> Path:
    """The folder whose entries are a location's units."""
    named = root / pattern
    if named.exists():
        return named if alone and named.is_dir() else named.parent
    parts = Path(pattern).parts
    return root.joinpath(*itertools.takewhile(lambda part: not glob.has_magic(part), parts))


def _unit(path: Path, top: Path) -> str:
    """The folder below `top` that a file lies in; empty where it lies in `top` itself."""
    parts = path.relative_to(top).parts
    if len(parts) < 2:
        return ""
    # A location may end in `..`, which is no name.
    return _text(Path(parts[0] if parts[0] != ".." else (top / "..").resolve().name))


def _matches(root: Path, pattern: str) -> list[Path]:
    # Unlike Path.glob this takes a pattern with `..` and leaves hidden files to those who name them.
    return [root / name for name in sorted(glob.glob(pattern, root_dir=root, recursive=True))]  # noqa: PTH207


def _files(matches: list[Path], where: str | None) -> list[Path]:
    folders = [path for path in matches if path.is_dir()]
    if folders and len(folders) == len(matches):
        raise RequestError(
            f"{folders[0]} is a folder, and this reader takes files",
            where=where,
            remedy=f"Name the files or a pattern, such as {folders[0].name}/*.jsonl.zst",
        )
    files = [path for path in matches if path not in folders]
    for path in files:
        if not path.is_file():
            raise RequestError(
                f"{path} is not a regular file",
                where=where,
                remedy="Write it to a file first: it is read twice.",
            )
    return files


def _tree(matches: list[Path], read: Mapping[str, Any]) -> list[Path]:
    found = []
    for match in matches:
        if not match.is_dir():
            if _regular(match) and _wanted(match.name, read):
                found.append(match)
            continue
        for folder, folders, names in os.walk(match, followlinks=False):
            folders[:] = [name for name in folders if name not in _UNSEEN]
            for name in names:
                path = Path(folder, name)
                if _wanted(name, read) and _regular(path):
                    found.append(path)
    return found


def _regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _wanted(name: str, read: Mapping[str, Any]) -> bool:
    if read["kind"] == "docstrings":
        return language_of(name) == "python" or is_prose(name)
    return language_of(name) in read["languages"]


def _scope(read: ReadLike, where: str | None) -> str:
    words = _SCOPES.get(read.kind, ())
    if isinstance(read.location, str) and read.location in INSTALLED:
        if read.location not in words:
            raise RequestError(
                f"the reader {read.kind} cannot read {read.location!r}",
                where=where,
                remedy=f"It reads {' or '.join(words)}." if words else "It reads files: give a path or a pattern.",
            )
        return read.location
    if read.kind in ("metadata", "pydoc"):
        raise RequestError(
            f"the reader {read.kind} reads the installation only, not {read.location!r}",
            where=where,
            remedy=f"Say {read.kind}: {words[0]}",
        )
    return "paths"


def _languages(names: Sequence[str], where: str | None) -> list[str]:
    known = {**CODE, **MARKUP}
    for name in names:
        if name not in known:
            raise _unknown("language", name, tuple(known), where)
    return sorted(set(names) or set(CODE))


def _rule_version(name: str, where: str | None) -> int:
    if name not in RULES:
        raise _unknown("rule", name, tuple(RULES), where)
    return RULES[name].version


def _unknown(what: str, name: str, known: Sequence[str], where: str | None) -> RequestError:
    near = difflib.get_close_matches(name, known, 1)
    return RequestError(
        f"there is no {what} {name!r} here",
        where=where,
        remedy=f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}.",
    )
