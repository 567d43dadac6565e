"""Studies to plan: a small one whose every field a test can replace, and corpora for it to find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import smoke
from pretrial.plan.graph import Graph, Options, build_graph
from pretrial.store.artefacts import FileHashes
from pretrial.study.load import parse_study
from pretrial.study.schema import Study

RECORD = {
    "device": "cpu", "instructions": "avx2", "backend": "eager", "compiler": "", "precision": "float32",
    "threads": 2, "ranks": 1, "micro_tokens": 4096, "python": "3.11.0", "torch": "2.11.0",
}  # fmt: skip

Build = Callable[..., Study]
Plan = Callable[..., Graph]


@pytest.fixture
def record() -> dict[str, Any]:
    """The execution record of every plan here."""
    return dict(RECORD)


@pytest.fixture
def sources(corpora: Path) -> dict[str, Any]:
    """The sources of every study here."""
    made: dict[str, Any] = smoke.planned(corpora)["sources"]
    return made


@pytest.fixture
def build(corpora: Path) -> Build:
    """A study of three variants in stages of ten steps of 1,024 tokens; keywords replace its fields."""

    def build(**fields: Any) -> Study:
        said = smoke.planned(
            corpora,
            study="planned",
            question="What is planned?",
            context=64,
            seeds=2,
            mixtures={"text": {"prose": "100%"}, "mixed": {"prose": "50%", "code": "50%"}, "code": {"code": "100%"}},
            variants={
                "text→text": [stage(10), stage(10)],
                "mixed→text": [stage(10, "mixed"), stage(10)],
                "mixed→mixed": [stage(10, "mixed"), stage(10, "mixed")],
            },
            baseline="text→text",
            evaluate={"tasks": ["held-out", "transfer"]},
        )
        return parse_study(said | fields)

    return build


def stage(steps: int, mixture: str = "text", **fields: Any) -> dict[str, Any]:
    """A stage of so many steps of 1,024 tokens."""
    return {"tokens": steps * 1024, "mixture": mixture, **fields}


@pytest.fixture
def plan(build: Build, tmp_path: Path) -> Plan:
    """The graph of a study, under a fixed execution record; a study, or fields to build one with."""

    def plan(study: Study | None = None, *, record: Any = RECORD, **fields: Any) -> Graph:
        options = {name: fields.pop(name) for name in ("data", "only") if name in fields}
        hashes = FileHashes(tmp_path / "fingerprints.json")
        options = {"data": None, "only": (), **options}
        return build_graph(study or build(**fields), Options(record=record, hashes=hashes, **options))

    return plan
