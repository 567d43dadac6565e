"""How the rooms may know each other, and what no file may say."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "pretrial"

ORDER = ("study", "plan", "corpus", "tokens", "mixture", "model", "train", "evaluate", "analysis", "report")
"""A room imports rooms to its left."""
BASE = ("errors", "store", "benchmarks")
"""Rooms that all may import and that import none of the others."""
COMPOSERS = (
    "cli", "cli_common", "cli_corpus", "trials", "places", "running", "findings", "inspecting", "terminal", "notebook",
    "__init__", "__main__",
)  # fmt: skip
"""What puts rooms together; no room imports them."""
WORDS = {
    "kinds", "paper", "attributes", "languages", "registry", "readers.catalogue", "licences.names",
    "contamination.benchmark_texts",
}  # fmt: skip
"""Modules of the corpus room that a study's words are read off, like its spec."""
EXCEPTIONS = {("plan", "mixture.stream")}
"""docs/decisions.md, section 12: draws and shares are read off the code that trains."""


@cache
def modules() -> list[tuple[str, Path]]:
    """(dotted name below `pretrial`, path) of every module."""
    return [(".".join(path.relative_to(SRC).with_suffix("").parts), path) for path in sorted(SRC.rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions; ours without `pretrial.` in front."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            # `from pretrial.corpus import spec` names a module, too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def known(dotted: str) -> str | None:
    """The longest module of ours that a dotted name starts with, below `pretrial`."""
    parts = dotted.split(".")
    if parts[0] != "pretrial":
        return None
    names = {name for name, _ in modules()}
    for length in range(len(parts), 1, -1):
        below = ".".join(parts[1:length])
        if below in names:
            return below
        if f"{below}.__init__" in names:
            return f"{below}.__init__"
    return "__init__"


def allowed(name: str, room: str, imported: str) -> bool:
    other, _, module = imported.partition(".")
    if other in (room, *BASE) or module.split(".")[-1] == "spec":
        return True
    if room in COMPOSERS or (room == "study" and other == "corpus" and module in WORDS):
        return True
    if (room, imported) in EXCEPTIONS or imported == "execute.context":
        return True
    if other == "__init__":
        return imported == "__init__"  # the package itself, for its version
    if room == "execute":
        return imported == "plan.steps"
    return room in ORDER and other in ORDER and ORDER.index(other) < ORDER.index(room)


def test_every_room_has_its_place() -> None:
    rooms = {name.split(".")[0] for name, _ in modules()}
    assert rooms <= {*ORDER, *BASE, *COMPOSERS, "execute"}


@pytest.mark.parametrize(("name", "path"), modules(), ids=[name for name, _ in modules()])
def test_a_module_imports_only_to_its_left(name: str, path: Path) -> None:
    room = name.split(".")[0]
    for dotted in imports(path):
        imported = known(dotted)
        assert imported is None or allowed(name, room, imported), f"{name} imports {imported}"


def test_base_rooms_import_no_other() -> None:
    for name, path in modules():
        if name.split(".")[0] in BASE:
            others = {known(dotted) for dotted in imports(path)} - {None}
            assert all(other is not None and other.split(".")[0] in BASE for other in others), name


LIGHT = """
import json, sys
before = set(sys.modules)
import {module}
tops = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(json.dumps(sorted(top for top in tops if top not in sys.stdlib_module_names and top != "__mp_main__")))
"""
SPECS = [name for name, _ in modules() if name.endswith(".spec")]


def loaded(module: str) -> list[str]:
    """Top-level modules outside the standard library that an import brings in."""
    command = [sys.executable, "-c", LIGHT.format(module=module)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


def test_specs_import_the_standard_library_and_ourselves_only() -> None:
    assert {"corpus.spec", "tokens.spec", "mixture.spec", "train.spec", "evaluate.spec", "model.spec"} <= set(SPECS)
    assert loaded(", ".join(f"pretrial.{name}" for name in SPECS)) == ["pretrial"]


@pytest.mark.parametrize(
    ("module", "libraries"),
    [
        ("pretrial", set()),
        ("pretrial.store", set()),
        ("pretrial.execute.runner", set()),
        ("pretrial.execute.worker", set()),
        ("pretrial.train.record", set()),
        ("pretrial.mixture.stream", {"numpy"}),
    ],
)
def test_light_modules_stay_light(module: str, libraries: set[str]) -> None:
    assert set(loaded(module)) == {"pretrial", *libraries}


def test_libraries_stay_where_they_belong() -> None:
    for name, path in modules():
        tops = {dotted.partition(".")[0] for dotted in imports(path)}
        assert "scipy" not in tops, name
        assert "statsmodels" not in tops, name
        if name.split(".")[0] != "study":
            assert not {"pydantic", "pydantic_core"} & tops, name
        if name.split(".")[0] in ("train", "model", "mixture", "store"):
            assert not {"pyarrow", "pandas", "rich", "typer"} & tops, name


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def test_no_file_names_a_place_of_one_machine_or_something_left_to_do() -> None:
    unwanted = ("/wo" + "rk/", "TO" + "DO", "FIX" + "ME")
    found = []
    for path in tracked():
        # Labelled pages are other people's texts.
        if path.is_file() and path.suffix not in (".png", ".parquet") and "labelled" not in path.parts:
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{path.relative_to(ROOT)}: {word}" for word in unwanted if word in text]
    assert found == []
