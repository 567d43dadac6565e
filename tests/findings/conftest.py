"""A planned study and evaluations of it that nobody made: what findings are computed from."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import smoke
from pretrial.errors import RunError
from pretrial.evaluate.rows import ItemValue, Task, write_items
from pretrial.evaluate.spec import TASK_METRICS
from pretrial.execute.progress import Quiet
from pretrial.execute.runner import Runner
from pretrial.plan.graph import Graph, Options, build_graph
from pretrial.store.artefacts import Artefact, FileHashes, Store
from pretrial.study.load import parse_study
from pretrial.study.schema import Study

RECORD = {"device": "cpu", "precision": "float32", "python": "3.11.0"}


class Kept(Runner):
    """A runner that knows what it was given."""

    def __init__(self, store: Store, graph: Graph) -> None:
        super().__init__(store, graph.steps.values(), Quiet())
        self.given: dict[str, Artefact] = {}

    def find(self, name: str) -> Artefact | None:
        return self.given.get(name)

    def keep(self, name: str, facts: Mapping[str, Any], **files: bytes) -> Artefact:  # type: ignore[override]
        """Give a step its artefact; files by name, with "__" for the dot."""
        key = hashlib.sha256(name.encode()).hexdigest()[:32]
        folder = self.store.scratch(key)
        for file, content in files.items():
            (folder / file.replace("__", ".")).write_bytes(content)
        cost = {"seconds": 2.0, "peak_bytes": 1000, "warnings": []}
        step = self.steps[name]
        self.given[name] = self.store.commit(step.kind, key, {"version": 1}, dict(facts), folder, cost)
        return self.given[name]

    def fail(self, name: str, what: str) -> None:
        """Let a step have failed."""
        self.failures[name] = RunError(what)


@pytest.fixture
def build(corpora: Path) -> Callable[..., Study]:
    """A study of three variants and two seeds; keywords replace its fields."""

    def build(**fields: Any) -> Study:
        stage = {"tokens": 10 * 1024, "mixture": "text"}
        mixed = stage | {"mixture": "mixed"}
        said = smoke.planned(
            corpora,
            study="found",
            question="What is found?",
            context=128,
            seeds=3,
            variants={"base": [stage, stage], "first": [mixed, stage], "both": [mixed, mixed]},
            baseline="base",
            evaluate={"tasks": ["held-out", "transfer", "cloze"]},
            margins={"bits per byte": "1%"},
            claims=["first beats base on cloze, at equal compute", "both equals base on transfer within 5%"],
        )
        return parse_study(said | fields)

    return build


@pytest.fixture
def plan(tmp_path: Path) -> Callable[[Study], Graph]:
    def plan(study: Study) -> Graph:
        return build_graph(study, Options(None, RECORD, FileHashes(tmp_path / "fingerprints.json")))

    return plan


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    store = Store(tmp_path / "store")
    store.prepare()
    return store


def evaluation(category: str, task: str, draw: int, out: Path, *, items: int = 12) -> dict[str, Any]:
    """Items of one evaluation of a checkpoint; the facts that it would have."""
    rng = np.random.default_rng([draw, sum(map(ord, category + task))])
    chance = 0.25 if category == "cloze" else None
    values = []
    for metric in TASK_METRICS[category if category in TASK_METRICS else task]:
        for item in range(items):
            share = metric in ("accuracy", "acc", "acc_norm", "correct_choice_probability")
            weight = 1.0 if share or metric == "margin" else 100.0
            value = float(rng.random() < 0.6) if metric == "accuracy" else float(weight * rng.uniform(0.4, 0.6))
            values.append(ItemValue(metric, f"{task}-{item}", f"{task}-{item}", value, weight))
    return write_items(out, [(Task(task, category, chance=chance), values)])


@pytest.fixture
def kept(store: Store, tmp_path: Path) -> Callable[..., Kept]:
    """Everything that a graph's report reads, finished; `without` names evaluations (category, task) to leave out."""

    def kept(graph: Graph, *, without: tuple[tuple[str, str], ...] = ()) -> Kept:
        runner = Kept(store, graph)
        line = {"tokens": 1024, "loss": 3.0, "lr": 0.01, "source_loss": {"prose": 3.0}}
        for name in dict.fromkeys(graph.checkpoints.values()):
            runner.keep(name, {}, metrics__jsonl=(json.dumps(line) + "\n").encode())
        for number, one in enumerate(graph.evaluations):
            if one.step in runner.given or (one.category, one.task) in without:
                continue
            out = Path(tempfile.mkdtemp(dir=tmp_path))
            facts = evaluation(one.category, one.task, number, out)
            runner.keep(one.step, facts, items__parquet=(out / "items.parquet").read_bytes())
        for number, ((_, category, task), name) in enumerate(graph.anchors.items()):
            metrics = ["accuracy_3gram"] if category == "cloze" else ["bits_per_byte_3gram", "bits_per_byte_zstd"]
            value = {"bits_per_byte_zstd": 2.5}
            rows = [{"task": task, "metric": m, "value": value.get(m, 0.5 + number / 1000)} for m in metrics]
            runner.keep(name, {"rows": rows})
        return runner

    return kept
