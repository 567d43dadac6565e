"""Which licence file governs which file: the nearest folder above it that holds one.

The policy for source files, in this order: the licence that the record itself names; an SPDX line at its beginning
(`header`); the licence files of the nearest folder above it, inside its repository, archive or tree; what the package's
metadata say; what the study says of the source. Several licence files in one folder count together (AND), which is
stricter than a choice between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from pretrial.corpus.licences.texts import detect, header

LONGEST = 300_000
"""Bytes of a licence file that are looked at; a longer one is no licence."""


def by_folder(files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Licence of each folder that has one; "" is the top.

    Args:
        files: (path, bytes) of files whose names say that they hold a licence.
    """
    found: dict[str, list[str]] = {}
    for path, data in sorted(files):
        expression = detect(data[:LONGEST].decode("utf-8", "replace"))
        if expression is None:
            continue
        folder = PurePosixPath(path).parent
        # LICENSES/MIT.txt lies in the folder of the work that it belongs to.
        if folder.name == "LICENSES":
            folder = folder.parent
        found.setdefault("" if str(folder) == "." else str(folder), []).append(expression)
    return {folder: joined(expressions) for folder, expressions in found.items()}


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
    """The licence of a source file that names none in a record: its own line, its folder's, its package's."""
    return header(text) or governing(path, folders) or metadata
