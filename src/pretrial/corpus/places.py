"""Where a source's files lie: patterns, trees, repositories, and what a file belongs to.

Guarantees: files are known by names relative to a root and never by a machine's path; the same files give the same
names in the same order; no name moves a cursor; links to folders are not followed, but for one that is named, so a loop
of links ends; what a pattern or a tree holds that cannot be read is listed with the reason (`FAULTS`), a link that a
tree holds as one (`LINK`), and the rest stays.
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
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from pretrial.corpus.kinds import ARCHIVES, NOTEBOOK, where_of
from pretrial.corpus.languages import is_prose, language_of
from pretrial.corpus.licences import is_licence_name
from pretrial.corpus.readers.safety import decoded_name, spelled
from pretrial.errors import RequestError

_FOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_VARIABLE = "PRETRIAL_DATA_NAME"
_SYSTEM = ("/proc", "/sys", "/sys/kernel/debug", "/sys/kernel/tracing")
# How the files are called that readers of files take, the most usual first.
_ENDINGS = {
    "jsonl": (".jsonl.zst", ".jsonl.gz", ".jsonl"),
    "parquet": (".parquet",),
    "stackexchange": (".7z",),
    "archives": ARCHIVES,
}
_UNSEEN = frozenset({".git", ".hg", ".svn", "__pycache__"})


FAULTS = {
    "damaged-repository": "the revision asked for, or a pack in which it may be, is broken or cannot be opened",
    "dangling-link": "a link that leads nowhere",
    "linked-repository": "a link to a repository; links are not followed",
    "not-a-file": "a folder, pipe, socket or device in the place of a file",
    "system-file": "a file of /proc or /sys, whose bytes the system makes up while it is read",
    "unreadable-file": "it could not be opened and read",
    "unreadable-folder": "it could not be listed; nothing that lies in it was read",
    "unreadable-repository": "the revision asked for could not be found in it",
    "unsafe-repository": "it leads outside of its folder",
}
"""Why something that a pattern or a tree holds is not read. In a source's plan the reason stands in the place of the
hash. What is named itself, without a wildcard, must be there, and a repository must have the revision asked for."""

LINK = "link"
"""In the place of a reason: a link in a tree, to a folder or to a file that would have been read. It is left out by
design, since what it leads to may lie in the tree, too, or outside of it."""

UNREAD = frozenset({*FAULTS, LINK})
"""What may stand in the place of a hash."""


class Place(NamedTuple):
    """A file or repository that a source reads.

    Attributes:
        name: its name in the source.
        path: where it lies.
        unit: what it belongs to.
        named: whether a location names it without a wildcard.
        fault: why it is not read, one of `UNREAD`; empty where nothing speaks against it so far.
    """

    name: str
    path: Path
    unit: str
    named: bool = False
    fault: str = ""


class _Found(NamedTuple):
    path: Path
    fault: str = ""


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
    where, kind = settings.get("where"), where_of(read)
    places: dict[Path, tuple[str, int, str, bool, str]] = {}
    for index, location in enumerate(settings["locations"]):
        root, pattern = Path(location["root"]), location["pattern"]
        literal = (root / pattern).exists()
        unlisted: list[Path] = []
        matches = [root / pattern] if literal else _matches(root, pattern, unlisted)
        if not matches:
            what = "no file matches" if glob.has_magic(pattern) else "there is no file"
            raise RequestError(f"{what} {root / pattern}", where=where, remedy="Check the path and --data DIR.")
        if kind == "repositories":
            for path, fault in _repositories(matches, literal=literal):
                name = _name(path, root)
                places.setdefault(_plain(path), (name, index, name, literal and path == matches[0], fault))
            if not places:
                raise RequestError(
                    f"{root / pattern} holds no git repository",
                    where=where,
                    remedy="Name a repository, bare or with its .git folder, or a folder of repositories.",
                )
            continue
        literal = literal or not glob.has_magic(pattern)
        taken = list(
            _tree(matches, read, literal, where) if kind == "tree" else _files(matches, read, pattern, literal, where)
        )
        if kind == "tree" and all(one.fault or is_licence_name(one.path.name) for one in taken):
            raise _nothing(root / pattern, [one for one in taken if one.fault], where)
        top = _top(root, pattern, alone=len(settings["locations"]) == 1)
        for path, fault in [*taken, *(_Found(folder, "unreadable-folder") for folder in unlisted)]:
            # A file that two overlapping patterns match is read once.
            places.setdefault(
                _plain(path), (_name(path, root), index, _unit(path, top), literal and path == matches[0], fault)
            )
    clash = len({name for name, *_ in places.values()}) < len({(name, index) for name, index, *_ in places.values()})
    seen: Counter[str] = Counter()
    listed = []
    for path, (name, index, unit, named, fault) in sorted(places.items()):
        known = f"{index}/{name}" if clash else name
        seen[known] += 1
        # Two files of one folder may differ only in what is spelled out of their names.
        listed.append(Place(f"{seen[known]}~{known}" if seen[known] > 1 else known, path, unit, named, fault))
    return sorted(listed)


def _nothing(named: Path, broken: list[_Found], where: str | None) -> RequestError:
    """The error for a tree of which nothing can be read."""
    what = f"{named} holds no file of the kinds asked for"
    if not broken:
        return RequestError(what, where=where, remedy="Check the folder and the languages of the source.")
    one = next((one for one in broken if one.fault != LINK), broken[0])
    if one.fault != LINK:
        return RequestError(
            f"{what} that can be read; {_text(one.path)}: {FAULTS[one.fault]}",
            where=where,
            remedy="Check the folder and the languages of the source.",
        )
    leads = _text(Path(os.path.realpath(one.path)))
    return RequestError(
        f"{what}, but links, which are not followed; {_text(one.path)} leads to {leads}",
        where=where,
        remedy="Name the folder in which the files themselves lie, or copy them (cp -rL).",
    )


def _other_file(path: Path, read: Mapping[str, Any], where: str | None) -> RequestError:
    """The error for a file that is named itself and that a reader of trees does not take."""
    name = path.name.lower()
    reader = next((reader for reader, ends in _ENDINGS.items() if name.endswith(ends)), "")
    if reader == "archives" and read["kind"] != "files":
        reader, remedy = "", "Unpack it, and name the folder."
    elif reader:
        remedy = f"Another reader takes it: {reader}: {_text(Path(path.name))}"
    else:
        remedy = "Name a folder, or check the languages of the source."
    return RequestError(
        f"{path} is a file, and of none of the kinds asked for: the reader {read['kind']} takes folders",
        where=where,
        remedy=remedy,
    )


def _plain(path: Path) -> Path:
    """The same path for `a/../x` and `x`."""
    return Path(os.path.normpath(path))


def _name(path: Path, root: Path) -> str:
    return _text(path.relative_to(root) if path.is_relative_to(root) and path != root else Path(path.name))


def _text(path: Path) -> str:
    # Names are text in the store and on a terminal; bytes that are not UTF-8 and what moves a cursor are spelled out.
    return spelled(decoded_name(os.fsencode(path.as_posix())))


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


def _matches(root: Path, pattern: str, unlisted: list[Path]) -> list[Path]:
    """What a pattern matches below a folder, sorted; hidden files are left to those who name them.

    `**` stands for any folders, without those behind links: `glob` follows them, round and round where they lead back.
    Folders that cannot be listed on the way are added to `unlisted`.
    """
    parts = PurePath(pattern).parts
    if "**" not in parts:
        # Path.glob would take hidden files, too.
        return [root / name for name in sorted(glob.glob(pattern, root_dir=root))]  # noqa: PTH207
    at = parts.index("**")
    tops = _matches(root, str(PurePath(*parts[:at])), unlisted) if at else [root]
    rest = str(PurePath(*parts[at + 1 :])) if parts[at + 1 :] else ""
    matched: set[Path] = set()
    for top in tops:
        for folder, folders, names in os.walk(top, onerror=lambda error: unlisted.append(Path(error.filename))):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if rest:
                matched.update(_matches(Path(folder), rest, unlisted))
            else:
                matched.add(Path(folder))
                matched.update(Path(folder, name) for name in names if not name.startswith("."))
    return sorted(matched)


def _files(
    matches: list[Path], read: Mapping[str, Any], pattern: str, literal: bool, where: str | None
) -> Iterator[_Found]:
    folders = {path for path in matches if path.is_dir()}
    if folders and len(folders) == len(matches):
        first, usual = min(folders), _ENDINGS[read.get("inside", read["kind"])][0]
        raise RequestError(
            f"{first} is a folder, and this reader takes files",
            where=where,
            remedy=f"Name the files or a pattern, such as {first.name}/*{usual}",
        )
    # `*.jsonl` means files; `*` and `**` match folders by the way.
    meant = "." in PurePath(pattern).name
    for path in matches:
        if path in folders:
            if meant:
                yield _Found(path, "not-a-file")
            continue
        if literal:
            _check_file(path, where)
        yield _Found(path, _fault(path))


def _check_file(path: Path, where: str | None) -> None:
    """That something that is named itself is a file; a link to one is one."""
    if fault := _fault(path):
        raise RequestError(
            f"{path} is not a regular file: {FAULTS[fault]}",
            where=where,
            remedy="Write it to a file first: it is read twice.",
        )


def _fault(path: Path) -> str:
    """Why something is no file that can be opened without waiting for it; empty where it is one."""
    try:
        status = path.stat()
    except OSError:
        return "dangling-link" if path.is_symlink() else "unreadable-file"
    if not stat.S_ISREG(status.st_mode):
        return "not-a-file"
    # They call themselves regular; some (/proc/kmsg) make who reads them wait for ever.
    return "system-file" if status.st_dev in _system_devices() else ""


@cache
def _system_devices() -> frozenset[int]:
    """Numbers of the file systems on which the system shows itself."""
    devices = set()
    for folder in _SYSTEM:
        with suppress(OSError):
            devices.add(Path(folder).stat().st_dev)
    return frozenset(devices - {Path("/").stat().st_dev})


def _repositories(matches: list[Path], *, literal: bool) -> Iterator[_Found]:
    """The repositories among the matches, and those right below a match that is none; one behind a link as a fault.

    `literal`: the only match is what was named, and is followed.
    """
    for match in matches:
        if not match.is_dir():
            continue
        if _is_repository(match):
            yield _Found(match, "linked-repository" if match.is_symlink() and not literal else "")
        elif literal or not match.is_symlink():
            for path in sorted(match.iterdir()):
                if _is_repository(path):
                    yield _Found(path, "linked-repository" if path.is_symlink() else "")


def _is_repository(path: Path) -> bool:
    """Whether a folder is a repository or a worktree, by names alone: nothing of it is read here."""
    bare = (path / "HEAD").is_file() and (path / "objects").is_dir()
    return path.is_dir() and (bare or (path / ".git").exists())


def _tree(matches: list[Path], read: Mapping[str, Any], literal: bool, where: str | None) -> Iterator[_Found]:
    """The files of trees, and what is named like one or leads to a folder and is not read; a folder is walked always.

    `literal`: the only match is what was named, and is followed.
    """
    unlisted: list[Path] = []
    for match in matches:
        if literal and not match.is_dir():
            if not _wanted(match.name, read):
                raise _other_file(match, read, where)
            _check_file(match, where)
            yield _Found(match)
            continue
        if not literal and (match.is_symlink() or not match.is_dir()):
            yield from _entry(match, read)
            continue
        walk = os.walk(match, followlinks=False, onerror=lambda error: unlisted.append(Path(error.filename)))
        for folder, folders, names in walk:
            folders[:] = [name for name in folders if name not in _UNSEEN]
            for name in names:
                yield from _entry(Path(folder, name), read)
            for name in folders:
                if (path := Path(folder, name)).is_symlink():
                    yield _Found(path, LINK)
    yield from (_Found(folder, "unreadable-folder") for folder in unlisted)


def _entry(path: Path, read: Mapping[str, Any]) -> Iterator[_Found]:
    """What lies in a tree and is no folder, where its name is wanted; a link to a folder, whatever its name."""
    try:
        link = stat.S_ISLNK(path.lstat().st_mode)
    except FileNotFoundError:
        return  # It went away meanwhile.
    except OSError:
        link = False  # What it is cannot be known: reading it says why.
    if not link:
        if _wanted(path.name, read):
            yield _Found(path, _fault(path))
        return
    try:
        leads = path.stat().st_mode
    except OSError:
        leads = None
    if _wanted(path.name, read) or (leads is not None and stat.S_ISDIR(leads)):
        yield _Found(path, "dangling-link" if leads is None else LINK)


def _wanted(name: str, read: Mapping[str, Any]) -> bool:
    if is_licence_name(name):
        return True  # No document, but what documents beside it are licensed under.
    if read["kind"] == "docstrings":
        return language_of(name) == "python" or is_prose(name)
    if read["kind"] == "notebooks":
        return name.lower().endswith(NOTEBOOK)
    return language_of(name) in read["languages"]
