"""What all tests share."""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# Set before torch is loaded: threads that spin while they wait take the processor from whoever else runs tests.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Where the environment forbids it, each of the many processes of the tests would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import smoke

sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """What has been collected stays to the end: rubbish is not looked for among it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real corpora and benchmarks, named by PRETRIAL_DATA."""
    named = os.environ.get("PRETRIAL_DATA")
    if not named:
        pytest.skip("set PRETRIAL_DATA to the folder of real corpora to run this test")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"PRETRIAL_DATA names {folder}, which is not a folder")
    return folder


@dataclass
class LocalArtefact:
    """An artefact on disk without a store: what a room's own tests need."""

    path: Path
    facts: dict[str, Any]
    key: str = "test"
    content: str = "test"

    def file(self, name: str) -> Path:
        if not (self.path / name).exists():
            raise KeyError(name)
        return self.path / name


@dataclass
class LocalContext:
    """A step's world without a store: sub-steps run at once, in this process."""

    out: Path
    config: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    work: Path = field(default_factory=Path)
    warnings: list[str] = field(default_factory=list)
    stop: bool = False

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        self.work = self.out.parent / (self.out.name + ".work")
        self.work.mkdir(exist_ok=True)

    def progress(self, done: float, total: float, **facts: float | str) -> None:
        pass

    def log(self, message: str) -> None:
        pass

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def stop_requested(self) -> bool:
        return self.stop

    def map(
        self,
        kind: str,
        version: int,
        configs: Sequence[dict[str, Any]],
        function: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        settings: Sequence[dict[str, Any]] | None = None,
        labels: Sequence[str] | None = None,
    ) -> list[LocalArtefact]:
        made = []
        for i, config in enumerate(configs):
            made.append(
                run_step(
                    function,
                    self.out.parent / f"{self.out.name}.{kind}.{i}",
                    config=config,
                    settings=settings[i] if settings else {},
                    inputs=inputs or {},
                )
            )
        return made


def run_step(function: str, out: Path, **context: Any) -> LocalArtefact:
    """Run a step's function ("package.module:name") into `out`; the artefact it made."""
    module, name = function.split(":")
    facts = getattr(importlib.import_module(module), name)(LocalContext(out=out, **context))
    content = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in sorted(out.rglob("*")):
        if path.is_file():
            content.update(path.relative_to(out).as_posix().encode() + path.read_bytes())
    return LocalArtefact(out, facts, content=content.hexdigest()[:32])


@pytest.fixture
def step() -> Callable[..., LocalArtefact]:
    """`step("module:function", out, config=…, inputs=…)` runs a step without a store."""
    return run_step


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without places of the outer world, in which nothing is compiled."""
    for name in list(os.environ):
        if name.startswith("PRETRIAL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TORCH_COMPILE_DISABLE", "1")


@pytest.fixture(scope="session")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An answer of the execution record's trial: eager, on the processor, so that no store asks torch for seconds."""
    from pretrial.store.identity import fingerprint
    from pretrial.train.record import record_inputs

    answer = {"cuda": "", "cuda_bf16": False, "capability": "default", "compiles": False, "why": "a test says so"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_COMPILE_DISABLE", "1")
        inputs = record_inputs()
    path = tmp_path_factory.mktemp("tried") / "trial.json"
    path.write_text(json.dumps({"key": fingerprint(inputs), "inputs": inputs, "trial": answer}))
    return path


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpora of the smoke study."""
    folder = tmp_path_factory.mktemp("corpora")
    smoke.write_corpora(folder)
    return folder


@pytest.fixture
def place(tmp_path: Path, tried: Path, calm: None) -> smoke.Place:
    """A smoke study that nobody has run yet."""
    return smoke.make_place(tmp_path / "smoke", tried)


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory, tried: Path) -> smoke.Place:
    """A smoke study that ran undisturbed, in a process of its own. Do not touch it: `finished` is a copy."""
    place = smoke.make_place(tmp_path_factory.mktemp("finished") / "smoke", tried)
    done = place.call("run")
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def finished(finished_once: smoke.Place, tmp_path: Path, calm: None) -> smoke.Place:
    """A copy of the finished smoke study, to change and to damage."""
    return finished_once.copy(tmp_path / "smoke")
