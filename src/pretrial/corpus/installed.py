"""The Python installation as a corpus: the standard library and what Pretrial itself needs, nothing else.

Guarantees: which distributions count follows from Pretrial's own core requirements and theirs, extras left
out, so installing anything else changes nothing here; tests, vendored copies and site-packages are not
listed.
Does not: import what it lists, or read file contents.
"""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import re
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pretrial.corpus.languages import is_test, is_vendored, top_level
from pretrial.errors import RequestError

STDLIB = "python"
STDLIB_LICENCE = "PSF-2.0"


@dataclass(frozen=True)
class InstalledFile:
    """A file of the installation. `name` is relative to its import root and has no machine's path in it."""

    name: str
    path: Path
    package: str
    distribution: str
    license: str


def core_requirements() -> list[str]:
    """Pretrial's own requirement lines, from its metadata or, in a bare checkout, `pyproject.toml`.

    Raises:
        RequestError: when there is neither.
    """
    try:
        return importlib.metadata.requires("pretrial") or []
    except importlib.metadata.PackageNotFoundError:
        project = Path(__file__).parents[3] / "pyproject.toml"
        if not project.is_file():
            raise RequestError(
                "which installed packages make up the corpus cannot be told: Pretrial is not installed here",
                remedy="Install it into this environment: pip install pretrial",
            ) from None
        lines: list[str] = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
        return lines


def closure() -> list[importlib.metadata.Distribution]:
    """The distributions that Pretrial's core requirements need, by name; those not installed are left out."""
    # altair requires it, so every installation has it; imported where needed, since planning must be instant.
    from packaging.requirements import Requirement

    found: dict[str, importlib.metadata.Distribution] = {}
    seen: set[str] = set()
    waiting = core_requirements()
    while waiting:
        requirement = Requirement(waiting.pop())
        name = normalised(requirement.name)
        if name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        try:
            found[name] = importlib.metadata.distribution(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting += found[name].requires or []
    return [found[name] for name in sorted(found)]


def normalised(name: str) -> str:
    """A distribution's name in the form that PEP 503 compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


def state() -> dict[str, object]:
    """The Python version and the (name, version) of each distribution that counts, as this process found them."""
    return {"python": platform.python_version(), "distributions": [list(pair) for pair in _versions()]}


@functools.cache
def _versions() -> tuple[tuple[str, str], ...]:
    # A plan asks once for each source that reads the installation, and must be instant.
    return tuple((normalised(item.name), item.version) for item in closure())


def licence(distribution: importlib.metadata.Distribution) -> str:
    """The licence by the metadata, in one line: expression, short field, or classifier; or "unknown"."""
    metadata = distribution.metadata
    for key in ("License-Expression", "License"):
        value = str((metadata.get_all(key) or [""])[0]).strip()
        if value and "\n" not in value and len(value) <= 100:
            return value
    named = [
        line.rpartition("::")[2].strip()
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    return " AND ".join(sorted(named)) or "unknown"


def stdlib_files() -> Iterator[InstalledFile]:
    """Files of the standard library's importable modules, sorted by name; no tests, nothing site-wide."""
    root = Path(sysconfig.get_path("stdlib"))
    # Only modules of the language's own list: what lies beside them (site-packages, build configuration,
    # sitecustomize) differs between machines.
    for entry in sorted(root.iterdir()):
        module = top_level(entry.name)
        if module not in sys.stdlib_module_names or entry.is_symlink():
            continue
        if entry.is_file():
            paths = [entry] if entry.suffix == ".py" else []
        else:
            paths = sorted(path for path in entry.rglob("*") if path.is_file() and not path.is_symlink())
        for path in paths:
            name = path.relative_to(root).as_posix()
            if _wanted(name):
                yield InstalledFile(name, path, module, STDLIB, STDLIB_LICENCE)


def package_files() -> Iterator[InstalledFile]:
    """Files of the distributions in `closure`, as their records list them, sorted by name in each."""
    for distribution in closure():
        terms = licence(distribution)
        name = normalised(distribution.name)
        for file in sorted(distribution.files or [], key=str):
            relative = file.as_posix()
            if ".." in file.parts or not _wanted(relative):
                continue
            path = Path(str(file.locate()))
            if path.is_file() and not path.is_symlink():
                yield InstalledFile(relative, path, top_level(relative), name, terms)


def _wanted(name: str) -> bool:
    parts = name.split("/")
    return not (
        is_test(name)
        or is_vendored(name)
        or any(part.endswith((".dist-info", ".egg-info", ".data")) or part == "__pycache__" for part in parts)
        or (parts[0] == "lib2to3" and parts[-1].endswith(".txt"))
    )
