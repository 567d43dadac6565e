"""Where a source's files lie: patterns, trees, repositories, and what a file belongs to.

Guarantees: files are known by names relative to a root and never by a machine's path; the same files give the same
names in the same order; links are not followed.
Does not: open files.

What a file of a tree belongs to (`group: repository`, `package` or `directory`, and what `cap-group` counts) is a
folder, its *unit*. Of a folder that is the source's only location, the folders in it are the units: `repos/` has `a`
and `b`. A pattern counts below its part without wildcards: `repos/*` and `repos/*/src/*.py` have `a` and `b`, too. Of
several locations, each folder that is named without a wildcard is one unit: `[repos/a, repos/b]`. A file that lies
in no unit (`repos/x.py`) belongs to no repository or directory, and is a package by its own name.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pretrial.corpus.kinds import KINDS
from pretrial.corpus.languages import is_prose, language_of
from pretrial.corpus.licences import is_licence_name
from pretrial.errors import RequestError

_FOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_VARIABLE = "PRETRIAL_DATA_NAME"
_UNSEEN = frozenset({".git", ".hg", ".svn", "__pycache__"})


class Place(NamedTuple):
    """A file or repository that a source reads: its name in the source, its path, and the unit it belongs to."""

    name: str
    path: Path
    unit: str


def locate(text: str, data_dir: Path | None, study_dir: Path, where: str | None) -> tuple[Path, str]:
    """(root, pattern) of a location.

    `{data}/…` lies below `data_dir`, `{name}/…` below the folder that the environment's PRETRIAL_DATA_NAME says, other
    relative paths below `study_dir`.

    Raises:
        RequestError: when a location needs a folder that was not named, or that is not there.
    """
    if match := _FOLDER.match(text):
        folder, pattern = match[1], text[match.end() :].lstrip("/") or "."
        if folder == "data":
            if data_dir is None:
                raise RequestError(
                    f"{text} lies in the data folder, and none was named",
                    where=where,
                    remedy="Name it: --data DIR, or set PRETRIAL_DATA.",
                )
            return data_dir, pattern
        variable = _VARIABLE.replace("NAME", folder.upper())
        named = os.environ.get(variable)
        if not named or not Path(named).expanduser().is_dir():
            said = f"which is not there: {named}" if named else "which was not named"
            raise RequestError(
                f"{text} lies in the folder {folder}, {said}", where=where, remedy=f"Name it: set {variable}."
            )
        return Path(named).expanduser().absolute(), pattern
    path = Path(text).expanduser()
    if not path.is_absolute():
        return study_dir, text
    # The root must not depend on what the pattern matches, or a new file would rename all others.
    root = path.parent
    while glob.has_magic(str(root)):
        root = root.parent
    return root, path.relative_to(root).as_posix()


def found(read: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Place]:
    """What a source reads, sorted by name; a name has its location's number in front where two locations share it.

    Raises:
        RequestError: for a pattern that matches nothing, a folder in the place of a file, a tree without a file of the
            languages asked for, or a folder without a repository.
    """
    where, kind = settings.get("where"), KINDS[read["kind"]].where
    places: dict[Path, tuple[str, int, str]] = {}
    for index, location in enumerate(settings["locations"]):
        root, pattern = Path(location["root"]), location["pattern"]
        matches = [root / pattern] if (root / pattern).exists() else _matches(root, pattern)
        if not matches:
            what = "no file matches" if glob.has_magic(pattern) else "there is no file"
            raise RequestError(f"{what} {root / pattern}", where=where, remedy="Check the path and --data DIR.")
        if kind == "repositories":
            for path in _repositories(matches):
                name = _name(path, root)
                places.setdefault(path, (name, index, name))
            if not places:
                raise RequestError(
                    f"{root / pattern} holds no git repository",
                    where=where,
                    remedy="Name a repository, bare or with its .git folder, or a folder of repositories.",
                )
            continue
        taken = _tree(matches, read) if kind == "tree" else _files(matches, where)
        if all(is_licence_name(path.name) for path in taken) and kind == "tree":
            raise RequestError(
                f"{root / pattern} holds no file of the kinds asked for",
                where=where,
                remedy="Check the folder and the languages of the source.",
            )
        top = _top(root, pattern, alone=len(settings["locations"]) == 1)
        for path in taken:
            # A file that two overlapping patterns match is read once.
            places.setdefault(path, (_name(path, root), index, _unit(path, top)))
    clash = len({name for name, *_ in places.values()}) < len(places)
    return sorted(
        Place(f"{index}/{name}" if clash else name, path, unit) for path, (name, index, unit) in places.items()
    )


def _name(path: Path, root: Path) -> str:
    return _text(path.relative_to(root) if path.is_relative_to(root) and path != root else Path(path.name))


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


def _repositories(matches: list[Path]) -> list[Path]:
    """The repositories among the matches, and those right below a match that is none."""
    found: list[Path] = []
    for match in matches:
        if not match.is_dir() or match.is_symlink():
            continue
        if _is_repository(match):
            found.append(match)
            continue
        found += [path for path in sorted(match.iterdir()) if not path.is_symlink() and _is_repository(path)]
    return found


def _is_repository(path: Path) -> bool:
    """Whether a folder is a repository or a worktree, by names alone: nothing of it is read here."""
    bare = (path / "HEAD").is_file() and (path / "objects").is_dir()
    return path.is_dir() and (bare or (path / ".git").exists())


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
    if is_licence_name(name):
        return True  # No document, but what documents beside it are licensed under.
    if read["kind"] == "docstrings":
        return language_of(name) == "python" or is_prose(name)
    if read["kind"] == "notebooks":
        return name.lower().endswith(".ipynb")
    return language_of(name) in read["languages"]
