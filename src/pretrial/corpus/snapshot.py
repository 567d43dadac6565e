"""Snapshots: files of the Python installation, copied once, so that what is installed later changes nothing.

Guarantees: which files are taken follows from their names, bytes and the caps, not from what else is
installed; rows are sorted by package and name, and no machine's path is in them.
Does not: parse anything, or notice a later change of the installation (`spec.installed_state` says what it
was).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus import installed
from pretrial.corpus.documents import REJECTS, Writer
from pretrial.corpus.documents import skipped as listed_as
from pretrial.corpus.installed import InstalledFile
from pretrial.corpus.languages import generated_mark, is_licence, is_prose, language_of, top_level
from pretrial.corpus.readers.record import Skip, excerpt
from pretrial.errors import Interrupted, RunError
from pretrial.execute.context import Json, StepContext

FILE = "files.parquet"
LEFT_OUT = "left-out.parquet"
# One row group is one shard of reading: about a second of parsing.
GROUP_BYTES = 4_000_000
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("package", pa.string()),
        ("distribution", pa.string()),
        ("license", pa.string()),
        ("bytes", pa.large_binary()),
    ]
)


def take_snapshot(ctx: StepContext) -> Json:
    """Step function of kind "snapshot".

    Config: `kind`, `scope`, `cap_file`, `cap_group` (bytes or null) and, for source files, `languages`, for these and
    docstrings `generated` (whether generated files stay). What is left out and not empty is listed in
    `left-out.parquet` (columns of `documents.REJECTS`), beyond the cap without its beginning: it is not read. A
    package's files come in the order of the SHA-256 of their names until the next would pass `cap_group`; a
    file counts with at most `cap_file` bytes, since no more of its text will be used, but is copied whole,
    since a cut one cannot be parsed.
    """
    config = ctx.config
    packages: dict[str, list[InstalledFile]] = defaultdict(list)
    for file in _candidates(config):
        packages[file.package].append(file)
    skipped: Counter[str] = Counter()
    taken: list[tuple[InstalledFile, bytes]] = []
    listed = 0
    with Writer(ctx.out / LEFT_OUT, REJECTS) as left_out:
        for done, package in enumerate(sorted(packages)):
            if ctx.stop_requested():
                raise Interrupted("stopped while copying installed files")
            for item in _capped(packages[package], config):
                if not isinstance(item, Skip):
                    taken.append(item)
                    continue
                skipped[item.reason] += 1
                if item.where:
                    left_out.add(listed_as(item), 500)
                    listed += 1
            ctx.progress(done + 1, len(packages))
    if not taken:
        raise RunError(
            f"the installation holds nothing for {config['kind']}: {config['scope']}",
            remedy="A Python without its library's sources cannot be a corpus; use another source.",
        )
    groups = _write(ctx.out / FILE, taken)
    if skipped["cap-group"]:
        ctx.log(f"{skipped['cap-group']} files left out by the cap of {config['cap_group']} bytes a package")
    return {
        "files": len(taken),
        "bytes": sum(len(data) for _, data in taken),
        "found": {
            "files": sum(map(len, packages.values())),
            "packages": len(packages),
        },
        "skipped": dict(sorted(skipped.items())),
        "listed": listed,
        "row_groups": groups,
        "installed": installed.state(),
    }


def _candidates(config: Mapping[str, Any]) -> Iterable[InstalledFile]:
    kind, scope = config["kind"], config["scope"]
    if kind == "metadata":
        return _descriptions()
    if kind == "pydoc":
        return [file for file in installed.stdlib_files() if file.name == "pydoc_data/topics.py"]
    files = list(installed.stdlib_files())
    if scope == "installed":
        files += installed.package_files()
    if kind == "docstrings":
        return [file for file in files if language_of(file.name) == "python" or is_prose(file.name)]
    return [file for file in files if language_of(file.name) in config["languages"]]


def _descriptions() -> list[InstalledFile]:
    found = []
    for distribution in installed.closure():
        name = installed.normalised(distribution.name)
        record = next((file for file in distribution.files or [] if file.name == "METADATA"), None)
        if record is None:
            continue
        modules = sorted(
            {
                top_level(file.as_posix())
                for file in distribution.files or []
                if file.suffix == ".py" and ".." not in file.parts
            }
        )
        same = [module for module in modules if installed.normalised(module) == name]
        package = (same or modules or [name])[0]
        path = Path(str(record.locate()))
        found.append(InstalledFile(f"{name}/METADATA", path, package, name, installed.licence(distribution)))
    return found


def _capped(files: list[InstalledFile], config: Mapping[str, Any]) -> list[tuple[InstalledFile, bytes] | Skip]:
    """A package's files that are taken, by name, then those that are not, in the order of their names' hash."""
    cap, cap_file = config["cap_group"], config["cap_file"]
    taken: list[tuple[InstalledFile, bytes]] = []
    left_out: list[Skip] = []
    total = 0
    full = False
    for file in sorted(files, key=lambda file: _order(file.name)):
        data = b"" if full else file.path.read_bytes()
        size = file.path.stat().st_size if full else len(data)
        if not full and (useless := _useless(file.name, data, config)) is not None:
            left_out.append(useless)
            continue
        total += min(size, cap_file or size)
        # What comes behind the first that passes the cap is counted with its size, and not opened.
        full = full or (cap is not None and total > cap)
        if full:
            left_out.append(Skip("cap-group", size, file.name, total))
        else:
            taken.append((file, data))
    return [*sorted(taken, key=lambda item: item[0].name), *left_out]


def _useless(name: str, data: bytes, config: Mapping[str, Any]) -> Skip | None:
    """Why a file is not worth its place under a cap; the reader would leave it out all the same."""
    if config["kind"] in ("metadata", "pydoc"):
        return None
    if is_licence(name):
        return Skip("licence", len(data), name, PurePosixPath(name).name, excerpt(data))
    head = data[:4096].decode("utf-8", "replace")
    if not config["generated"] and (mark := generated_mark(name, head)):
        return Skip("generated", len(data), name, excerpt(mark), excerpt(data))
    return None if data.strip() else Skip("empty", len(data))


def _order(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _write(path: Path, files: list[tuple[InstalledFile, bytes]]) -> int:
    """Write the files in row groups; how many."""
    groups = 0
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd", compression_level=3) as writer:
        rows: list[dict[str, Any]] = []
        size = 0
        for place, (file, data) in enumerate(files):
            rows.append(
                {
                    "path": file.name,
                    "package": file.package,
                    "distribution": file.distribution,
                    "license": file.license,
                    "bytes": data,
                }
            )
            size += len(data)
            if size >= GROUP_BYTES or place == len(files) - 1:
                writer.write_table(pa.Table.from_pylist(rows, _SCHEMA), row_group_size=len(rows))
                groups += 1
                rows, size = [], 0
    return groups
