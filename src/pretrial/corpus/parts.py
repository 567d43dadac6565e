"""The plan of a source's shards: what each reads, decided from the inputs alone.

Guarantees: the plan does not depend on the number of workers; a shard's part holds what identifies it, settings hold
the paths; what could not be read when the study was planned has a part of its own, which lists it.
Does not: read documents, but for the line ends at which large files are cut.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pretrial.corpus.kinds import in_archives, where_of
from pretrial.corpus.languages import language_of
from pretrial.corpus.licences import is_licence_name
from pretrial.corpus.licences.folders import LONGEST, by_folder
from pretrial.corpus.places import FAULTS, LINK, UNREAD
from pretrial.corpus.readers.filler import PART_DOCUMENTS, documents_of
from pretrial.corpus.readers.jsonl import compression, spans
from pretrial.corpus.spec import resolve, resolve_hub
from pretrial.errors import RequestError, RunError
from pretrial.execute.context import ArtefactLike, Json, StepContext

SPAN_BYTES = 64_000_000
TREE_BYTES = 32_000_000
ARCHIVE_BYTES = 16_000_000
_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

Part = tuple[Json, Json, str]
"""(what the shard reads, where it lies, label)."""


def plan(ctx: StepContext) -> list[Part]:
    """The parts of a corpus step.

    Raises:
        RunError: when files came or went since the study was planned, or can no longer be read.
    """
    with readable():
        return _plan(ctx)


def _plan(ctx: StepContext) -> list[Part]:
    read = ctx.config["read"]
    if read["scope"] == "source":
        return _derived(ctx.inputs["parent"])
    if read["scope"] == "nowhere":
        return _filler(read)
    if read["scope"] == "hub":
        return _hub(ctx)
    if read["scope"] != "paths":
        count = ctx.inputs["snapshot"].facts["row_groups"]
        return [({"row_group": group}, {}, f"part {group + 1} of {count}") for group in range(count)]
    paths = _paths(ctx)
    files = [row for row in ctx.config["files"] if row[1] not in UNREAD]
    faults = [[name, fault] for name, fault, *_ in ctx.config["files"] if fault in FAULTS]
    links = [[LINK, name, 0, "not followed"] for name, fault, *_ in ctx.config["files"] if fault == LINK]
    parts = _of_paths(read, files, paths)
    if links:
        parts.append(({"left_out": links}, {"paths": []}, "links"))
    if faults:
        parts.append(({"faults": faults}, {"paths": []}, "what cannot be read"))
    return parts


def _of_paths(read: Mapping[str, Any], files: Sequence[list[str]], paths: Mapping[str, Path]) -> list[Part]:
    if "tree" in read:
        return _tree(files, paths, read)
    if where_of(read) == "repositories":
        return [
            ({"repository": name, "commit": commit}, {"paths": [str(paths[name])]}, name) for name, commit, _ in files
        ]
    if in_archives(read):
        return _runs(files, paths, {}, ARCHIVE_BYTES)
    parts: list[Part] = []
    together = read["kind"] != "stackexchange"
    few = _Few(parts)
    for name, sha, *site in files:
        path = paths[name]
        size = path.stat().st_size
        whole: Json = {"file": name, "sha256": sha, **({"beside": site[0]} if site else {})}
        large = read["kind"] == "jsonl" and size > SPAN_BYTES and compression(path) is None
        cuts = spans(path, SPAN_BYTES) if large else []
        if len(cuts) < 2:
            few.add([name, sha], str(path), whole, size if together else SPAN_BYTES)
        else:
            few.close()
        for start, end, line in cuts if len(cuts) > 1 else []:
            part = {**whole, "span": [start, end], "first_line": line}
            parts.append((part, {"paths": [str(path)]}, f"{name} from line {line}"))
    few.close()
    return parts


class _Few:
    """Puts small files that follow each other into one part; a file alone is a part as it is."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts
        self._files: list[tuple[list[Any], str, Json]] = []
        self._bytes = 0

    def add(self, row: list[Any], path: str, alone: Json, size: int) -> None:
        """The next file: its row in a part of several, its path, its part where it is alone."""
        if self._files and self._bytes + size > ARCHIVE_BYTES:
            self.close()
        self._files.append((row, path, alone))
        self._bytes += size

    def close(self) -> None:
        """Make a part of what was added."""
        paths = [path for _, path, _ in self._files]
        if len(self._files) == 1:
            ((row, _, alone),) = self._files
            self._parts.append((alone, {"paths": [path for path in paths if path]}, str(row[0])))
        elif self._files:
            label = f"{self._files[0][0][0]} … {self._files[-1][0][0]}"
            self._parts.append(({"files": [row for row, _, _ in self._files]}, {"paths": paths}, label))
        self._files, self._bytes = [], 0


@contextlib.contextmanager
def readable(*paths: str) -> Iterator[None]:
    """Reading inputs: what the system refuses is a `RunError` that names the file, the path given where it does not.

    What a disk says that cannot be written stays as it is: readers may have scratch files.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _WRITING:
            raise
        path = error.filename or (paths[0] if len(paths) == 1 else "a file")
        raise RunError(
            f"{path} cannot be read any more: {error.strerror or error}",
            remedy="Look at that file and its disk, then run the same command again.",
        ) from error


def check_split_files(parts: Sequence[Part]) -> None:
    """A span's bytes cannot be checked alone: check the files that were split once more.

    Raises:
        RunError: when one changed meanwhile.
    """
    seen: dict[str, str] = {}
    for part, settings, _ in parts:
        if "span" in part:
            seen[settings["paths"][0]] = part["sha256"]
    for path, sha in seen.items():
        with readable(path), Path(path).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha:
                raise RunError(f"{path} changed while it was being read", remedy="Run again when nothing writes to it.")


def unchanged(path: Path, sha: str) -> bytes:
    """A file's bytes, hashed; raises `RunError` when they are not those that were planned for."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha:
        raise RunError(f"{path} changed since the plan", remedy="Run again when nothing writes to it.")
    return data


def package_of(name: str, unit: str) -> str:
    """The unit of a file; where it lies in none, its own name without what follows the last dot."""
    return unit or PurePosixPath(name).stem


def _derived(parent: ArtefactLike) -> list[Part]:
    """Shards of the parent, together until they have `TREE_BYTES`: their numbers and those of their first documents."""
    parts: list[Part] = []
    run: list[list[int]] = []
    first = size = 0
    shards = parent.facts["shards"]
    for number, shard in enumerate(shards):
        run.append([number, first])
        first += shard["documents"]
        size += shard["bytes"]
        if size >= TREE_BYTES or number == len(shards) - 1:
            said = str(run[0][0] + 1) if len(run) == 1 else f"{run[0][0] + 1} to {number + 1}"
            parts.append(({"parent_shards": run}, {}, f"part {said} of {len(shards)}"))
            run, size = [], 0
    return parts


def _filler(read: Mapping[str, Any]) -> list[Part]:
    count = documents_of(read["size"])
    return [
        ({"first": first, "count": min(PART_DOCUMENTS, count - first)}, {}, f"documents from {first:,}")
        for first in range(0, count, PART_DOCUMENTS)
    ]


def _hub(ctx: StepContext) -> list[Part]:
    local: dict[str, str] = {}
    if ctx.settings["locations"]:
        dataset = resolve_hub(ctx.config["read"], ctx.settings)
        local = {file.name: file.path for file in dataset.files if file.path is not None}
    parts: list[Part] = []
    few = _Few(parts)
    for name, digest, size in ctx.config["files"]:
        few.add([name, digest, size], local.get(name, ""), {"file": name, "digest": digest, "bytes": size}, size)
    few.close()
    return parts


def _tree(files: Sequence[list[str]], paths: Mapping[str, Path], read: Mapping[str, Any]) -> list[Part]:
    licences = [item for item in files if is_licence_name(item[0])]
    rest = [item for item in files if not is_licence_name(item[0])]
    sizes = {name: paths[name].stat().st_size for name, _, _ in rest}
    over = _over_cap({name: package_of(name, unit) for name, _, unit in rest}, sizes, read.get("cap_group"))
    left_out: list[list[Any]] = [["cap-group", name, sizes[name], total] for name, total in sorted(over.items())]
    left_out += [
        ["licence", name, paths[name].stat().st_size, PurePosixPath(name).name]
        for name, _, _ in licences
        if language_of(name) in read.get("languages", ())
    ]
    folders = by_folder((name, unchanged(paths[name], sha)[:LONGEST]) for name, sha, _ in licences)
    parts = _runs([item for item in rest if item[0] not in over], paths, sizes, TREE_BYTES)
    read_parts = [
        ({**part, "licences": _above([name for name, *_ in part["files"]], folders)}, settings, label)
        for part, settings, label in parts
    ]
    return [*read_parts, ({"left_out": left_out}, {"paths": []}, "what is left out")] if left_out else read_parts


def _above(names: Sequence[str], folders: Mapping[str, str]) -> dict[str, str]:
    """Of the folders with a licence, those that some file lies below."""
    above = {"" if str(folder) == "." else str(folder) for name in names for folder in PurePosixPath(name).parents}
    return {folder: licence for folder, licence in sorted(folders.items()) if folder in above}


def _runs(files: Sequence[list[str]], paths: Mapping[str, Path], sizes: Mapping[str, int], most: int) -> list[Part]:
    """Files in order, together until they have `most` bytes."""
    parts: list[Part] = []
    run: list[list[str]] = []
    total = 0
    for place, item in enumerate(files):
        run.append(item)
        total += sizes.get(item[0]) or paths[item[0]].stat().st_size
        if total >= most or place == len(files) - 1:
            label = run[0][0] if len(run) == 1 else f"{run[0][0]} … {run[-1][0]}"
            parts.append(({"files": run}, {"paths": [str(paths[one[0]]) for one in run]}, label))
            run, total = [], 0
    return parts


def _over_cap(packages: Mapping[str, str], sizes: Mapping[str, int], cap: int | None) -> dict[str, int]:
    """Files not to read, by name: of each package, in hash order, the first that passes the cap and all that follow.

    The value is the package's bytes up to the file and with it.
    """
    if cap is None:
        return {}
    over: dict[str, int] = {}
    totals: Counter[str] = Counter()
    for name in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        # A total that passed the cap stays above it, so nothing follows a file that did not fit.
        totals[packages[name]] += sizes[name]
        if totals[packages[name]] > cap:
            over[name] = totals[packages[name]]
    return over


def _paths(ctx: StepContext) -> dict[str, Path]:
    try:
        paths = {place.name: place.path for place in resolve(ctx.config, ctx.settings)}
    except RequestError as error:
        # It was right when the study was planned.
        raise RunError(f"files came or went since the plan: {error.what}", remedy="Run again.") from error
    planned = [name for name, *_ in ctx.config["files"]]
    if sorted(paths) != sorted(planned):
        changed = sorted(set(paths) ^ set(planned))
        raise RunError(f"files came or went since the plan: {', '.join(changed[:3])}", remedy="Run again.")
    return paths
