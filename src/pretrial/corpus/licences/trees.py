"""Licences of files at any commit of a repository, from its trees.

Guarantees: only folders above the files asked for are looked at, and each licence file is read once; a licence file
that cannot be read makes the licence unknown, as one that is not known does.
"""

from __future__ import annotations

import functools
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from pretrial.corpus.licences import is_licence_name
from pretrial.corpus.licences.expression import ordered, parse
from pretrial.corpus.licences.folders import governing, joined, licence_of, of_file
from pretrial.corpus.licences.names import UNKNOWN

_KEPT = 4096

Entries = Mapping[bytes, tuple[int, str]]
"""(mode, id) of what lies in a folder, by name."""

_is_licence = functools.lru_cache(1 << 16)(is_licence_name)


class TreeLicences:
    """Licences in the trees of one repository.

    Args:
        entries: what lies in the tree of an id.
        content: the bytes of a file's id; `None` where they cannot be read.
        head: id of the tree whose licence files count for files of a tree that has none for them: those of commits
            from before the repository had a licence.
    """

    def __init__(self, entries: Callable[[str], Entries], content: Callable[[str], bytes | None], head: str) -> None:
        self._entries = entries
        self._content = content
        self._head = head
        self._known: dict[tuple[str, str], str | None] = {}

    def of(self, tree: str, files: Iterable[tuple[str, str]]) -> str | None:
        """The licence of several files together; `None` where none has one.

        Args:
            tree: id of the tree that they lie in.
            files: path and text of each from its beginning.
        """
        now: dict[str, str] = {}
        before: dict[str, str] = {}
        found: list[str | None] = []
        for path, text in files:
            self._look(tree, path, now)
            if governing(path, now) is None and tree != self._head:
                self._look(self._head, path, before)
                found.append(licence_of(path, text, before, None))
            else:
                found.append(licence_of(path, text, now, None))
        once = list(dict.fromkeys(found))
        if len(once) < 2:
            return once[0] if once else None
        together = joined([one or UNKNOWN for one in once])
        postfix = parse(together)
        return together if postfix is None else ordered(postfix)

    def _look(self, tree: str, path: str, folders: dict[str, str]) -> None:
        """Add the licences of the folders above a file, from the top."""
        inside = self._entries(tree)
        for folder in reversed(PurePosixPath(path).parents):
            name = "" if str(folder) == "." else str(folder)
            if name:
                mode, sha = inside.get(folder.name.encode(errors="surrogateescape"), (0, ""))
                inside = self._entries(sha) if stat.S_ISDIR(mode) else {}
            if name not in folders and (stated := self._stated(inside)):
                folders[name] = joined(stated)

    def _stated(self, inside: Entries) -> list[str]:
        files = [(_text(name), mode, sha) for name, (mode, sha) in inside.items()]
        mode, sha = inside.get(b"LICENSES", (0, ""))
        if stat.S_ISDIR(mode):
            files += [(f"LICENSES/{_text(name)}", mode, sha) for name, (mode, sha) in self._entries(sha).items()]
        stated = (
            self._licence(name, sha) for name, mode, sha in sorted(files) if stat.S_ISREG(mode) and _is_licence(name)
        )
        return [one for one in stated if one is not None]

    def _licence(self, name: str, sha: str) -> str | None:
        if (name, sha) not in self._known:
            if len(self._known) >= _KEPT:
                self._known.clear()
            data = self._content(sha)
            self._known[name, sha] = UNKNOWN if data is None else of_file(name, data)
        return self._known[name, sha]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
