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
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.corpus import installed
from pretrial.corpus.installed import InstalledFile
from pretrial.corpus.languages import (
    is_generated_name,
    is_generated_text,
    is_licence,
    is_prose,
    language_of,
    top_level,
)
from pretrial.errors import Interrupted, RunError
from pretrial.execute.context import Json, StepContext

FILE = "files.parquet"
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

    Config: `kind`, `scope`, `cap_file`, `cap_group` (bytes or null) and, for source files, `languages`. A
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
    for done, package in enumerate(sorted(packages)):
        if ctx.stop_requested():
            raise Interrupted("stopped while copying installed files")
        taken += _capped(packages[package], config, skipped)
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


def _capped(
    files: list[InstalledFile], config: Mapping[str, Any], skipped: Counter[str]
) -> list[tuple[InstalledFile, bytes]]:
    cap, cap_file = config["cap_group"], config["cap_file"]
    taken: list[tuple[InstalledFile, bytes]] = []
    total = 0
    for place, file in enumerate(ordered := sorted(files, key=lambda file: _order(file.name))):
        data = file.path.read_bytes()
        if reason := _useless(file.name, data, config["kind"]):
            skipped[reason] += 1
            continue
        total += min(len(data), cap_file or len(data))
        if cap is not None and total > cap:
            skipped["cap-group"] += len(ordered) - place
            break
        taken.append((file, data))
    return sorted(taken, key=lambda item: item[0].name)


def _useless(name: str, data: bytes, kind: str) -> str | None:
    """Why a file is not worth its place under a cap; the reader would leave it out all the same."""
    if kind in ("metadata", "pydoc"):
        return None
    if is_licence(name):
        return "licence"
    if is_generated_name(name) or is_generated_text(data[:4096].decode("utf-8", "replace")):
        return "generated"
    return None if data.strip() else "empty"


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
