"""Which licence holds for which file: its own notice, or the nearest folder above it that holds a licence file.

The policy for source files, in this order: the licence that the record itself names; an SPDX line at its beginning
(`header`); the notice in its leading comment (`notices`); the licence files of the nearest folder above it, inside its
repository, archive or tree; what the package's metadata say; what the study says of the source.

- A licence file that is not known makes the licence unknown (`UNKNOWN`) for its folder and what lies below, up to the
  next licence file: no licence further out, of the package or of the source stands for it. Files that say nothing do
  not count: empty ones, pages that show another file ("see LICENSE.txt"), COPYRIGHT files that name only who has it.
- Several licence files in one folder count together (AND), which is stricter than a choice between them.
- A notice that may be about parts of its file only ("adapted from ...") holds beside the folder's licence (AND). One
  that leaves open which version or variant ("License: BSD") gives way to the folder's where that is one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from pretrial.corpus.licences.names import BSD, UNKNOWN, normalise
from pretrial.corpus.licences.notices import keeps_all, notice
from pretrial.corpus.licences.texts import POINTER, detect, header, plain

LONGEST = 300_000
"""Bytes of a licence file that are looked at."""

_COPYRIGHT = re.compile(r"copyrights?\b", re.IGNORECASE)
_OTHER_FILE = re.compile(r"\blicen[cs]e[a-z]* (?:txt|md|rst)\b|\binclude (?:[a-z0-9]+ ){0,4}licenses?\b")
_OWN_TERMS = re.compile(r"\b(?:proprietary|confidential|all rights? reserved|eula|(?:may|must|shall) not)\b")
_VAGUE = {BSD: "BSD-", "GPL-1.0-or-later": "GPL-"}
"""Licences of which a name leaves open the variant, and how those begin that it may stand for."""


def by_folder(files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Licence of each folder that has one, `UNKNOWN` where nobody can tell; "" is the top.

    Args:
        files: (path, bytes) of files whose names say that they hold a licence.
    """
    found: dict[str, list[str]] = {}
    for path, data in sorted(files):
        expression = of_file(path, data)
        if expression is not None:
            found.setdefault(folder_of(path), []).append(expression)
    return {folder: joined(expressions) for folder, expressions in found.items()}


def of_file(path: str, data: bytes) -> str | None:
    """The licence that a licence file gives: `UNKNOWN` for one that is not known, `None` for one that says nothing."""
    text = data[:LONGEST].decode("utf-8", "replace")
    expression = detect(text)
    if expression is not None or not text.strip():
        return expression
    words = plain(text)
    if _COPYRIGHT.match(PurePosixPath(path).name):
        says_nothing = not keeps_all(words)
    else:
        says_nothing = len(words) <= POINTER and bool(_OTHER_FILE.search(words)) and not _OWN_TERMS.search(words)
    return None if says_nothing else UNKNOWN


def folder_of(path: str) -> str:
    """The folder that a licence file is for: its own; `LICENSES/MIT.txt` is for the folder that holds `LICENSES`."""
    folder = PurePosixPath(path).parent
    if folder.name == "LICENSES":
        folder = folder.parent
    return "" if str(folder) == "." else str(folder)


def joined(expressions: Iterable[str]) -> str:
    """Several licences that all hold, as one expression; each once, in order."""
    once = list(dict.fromkeys(expressions))
    return once[0] if len(once) == 1 else " AND ".join(f"({one})" if " OR " in one else one for one in once)


def governing(path: str, folders: Mapping[str, str]) -> str | None:
    """The licence of the nearest folder above a file; `None` where no folder above it has one."""
    for folder in PurePosixPath(path).parents:
        name = "" if str(folder) == "." else str(folder)
        if name in folders:
            return folders[name]
    return None


def licence_of(path: str, text: str, folders: Mapping[str, str], metadata: str | None) -> str | None:
    """The licence of a source file that names none in a record: its own, its folder's, its package's.

    Args:
        path: the file's, as `folders` has it.
        text: the file from its beginning.
        folders: licences by folder, of `by_folder`.
        metadata: what its package says.
    """
    if stated := header(text):
        return stated
    outer = governing(path, folders) or (None if metadata in (None, "unknown") else metadata)
    own = notice(path, text)
    if own is None or (outer is not None and outer.startswith(_VAGUE.get(own.expression, "\0"))):
        return outer
    if not own.parts or outer is None:
        return own.expression
    # What metadata say may be a name ("MIT License").
    outer = normalise(outer) or UNKNOWN
    return outer if own.expression in outer.split(" AND ") else joined([outer, own.expression])
