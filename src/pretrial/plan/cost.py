"""What a study costs: tokens, FLOPs, time, memory, disk, each figure with where it comes from.

*measured*: on this machine under this execution record, in an earlier run or by `--probe`. *estimated*: from the
formulas and constants here. *declared*: said by the study file. Speeds are remembered in the store by model,
context, batch and execution record, times of other steps by the study's sources, both as the median of the last
measurements.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pretrial.corpus import spec as corpus
from pretrial.evaluate import spec as evaluate
from pretrial.model.spec import flops_per_token
from pretrial.plan.graph import Graph
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Store, read_json, write_atomically
from pretrial.store.identity import fingerprint
from pretrial.study.schema import Study
from pretrial.train import spec as train

Json = dict[str, Any]
Basis = Literal["measured", "estimated", "declared"]

# Training FLOP/s where nothing was measured: two cores with AVX-512 bf16 reached 2.5e11 compiled and about 1e11
# uncompiled on a 1.3M-parameter model; a data-centre GPU at 30% of a bf16 peak of 1e15 is 3e14.
_FLOPS = {("cpu", "compiled"): 2.5e11, ("cpu", "eager"): 1e11}
_FLOPS_GPU = 1e14
# Forward passes need a third of the operations, and padding and loading take their part.
_FORWARD_SPEEDUP = 2.0
# Of a source's own files, as they lie on the disk, with two workers.
_READ_BYTES_PER_SECOND = 4e6
_FIXED_SECONDS = {
    "snapshot": 8.0,
    "corpus": 2.0,
    "select": 2.0,
    "tokenizer": 8.0,
    "tokens": 2.0,
    "ledger": 0.5,
    "anchors": 2.0,
    "cloze-items": 2.0,
    "bits-per-byte": 0.2,
    "cloze": 0.5,
    "bench": 1.0,
    "train": 0.5,
}
_KEPT = 9


@dataclass(frozen=True)
class Figure:
    """A number and where it comes from."""

    value: float
    basis: Basis


class Speeds:
    """Measured speeds, remembered in the store."""

    def __init__(self, store: Store) -> None:
        self._path = store.root / "speeds.json"
        try:
            self._known: Json = read_json(self._path)
        except (FileNotFoundError, ValueError):
            self._known = {}

    def get(self, what: str, key: str) -> float | None:
        """Median of the last measurements, or `None`."""
        values = self._known.get(f"{what} {key}", [])
        return statistics.median(values) if values else None

    def add(self, what: str, key: str, value: float) -> None:
        """Remember one measurement."""
        values = self._known.setdefault(f"{what} {key}", [])
        values.append(value)
        del values[:-_KEPT]

    def save(self) -> None:
        """Write them to the store."""
        write_atomically(self._path, json.dumps(self._known, indent=0))


def speed_key(study: Study, vocabulary: int, record: Mapping[str, Any] | None) -> str:
    """What a speed depends on."""
    return fingerprint(
        {
            "model": study.model.to_json(),
            "vocabulary": vocabulary,
            "context": study.context,
            "batch": study.training.batch_tokens,
            "record": dict(record) if record else None,
        }
    )


@dataclass(frozen=True)
class Forecast:
    """Seconds and bytes, step by step."""

    seconds: Mapping[str, Figure]
    train_speed: Figure
    forward_speed: Figure
    flops_per_token: int
    tokens_trained: int
    tokens_unshared: int
    memory: Figure
    disk: Figure

    def total(self, graph: Graph, group: str, missing: frozenset[str]) -> Figure:
        """Seconds of the steps of a group that are still to run; measured where all of them were."""
        parts = [self.seconds[name] for name in missing if graph.steps[name].group == group]
        measured = all(part.basis == "measured" for part in parts)
        return Figure(sum(part.value for part in parts), "measured" if measured else "estimated")


def forecast(graph: Graph, speeds: Speeds) -> Forecast:
    """What every step of a plan is expected to take."""
    study, record = graph.study, graph.options.record
    key = speed_key(study, graph.vocabulary, record)
    flops = flops_per_token(study.model, graph.vocabulary, study.context)
    # Before a record was chosen: a processor, compiled where there is something to compile with.
    likely = "compiled" if shutil.which("g++") or shutil.which("clang++") else "eager"
    device = (str((record or {}).get("device", "cpu")), str((record or {}).get("backend", likely)))
    rate = _FLOPS.get(device, _FLOPS_GPU if device[0] == "cuda" else 1e11)
    measured = speeds.get("train", key)
    train_speed = Figure(measured, "measured") if measured else Figure(rate / flops, "estimated")
    measured = speeds.get("forward", key)
    forward = Figure(measured, "measured") if measured else Figure(train_speed.value * _FORWARD_SPEEDUP, "estimated")
    seconds = {name: _seconds(step, train_speed, forward, speeds, graph) for name, step in graph.steps.items()}
    trained = sum(_span(step) for step in graph.training_steps())
    unshared = len(study.seeds) * sum(graph.courses[v].end for v in dict.fromkeys(mark.variant for mark in graph.marks))
    precision = str((record or {}).get("precision", "float32"))
    sequences = study.training.batch_tokens // study.context
    memory = train.peak_memory(study.model, graph.vocabulary, study.context, sequences, precision=precision)
    disk = len(graph.training_steps()) * train.checkpoint_bytes(study.model, graph.vocabulary)
    # One more for resuming, and room for corpora and tokens.
    disk += train.checkpoint_bytes(study.model, graph.vocabulary) + 200_000_000
    return Forecast(
        seconds=seconds,
        train_speed=train_speed,
        forward_speed=forward,
        flops_per_token=flops,
        tokens_trained=trained,
        tokens_unshared=unshared,
        memory=Figure(memory, "estimated"),
        disk=Figure(disk, "estimated"),
    )


def measure(step: Step, seconds: float, graph: Graph, speeds: Speeds) -> None:
    """Remember how fast a step that was just made was."""
    key = speed_key(graph.study, graph.vocabulary, graph.options.record)
    if step.kind == "train" and seconds > 0:
        speeds.add("train", key, _span(step) / seconds)
    elif step.kind in ("bits-per-byte", "cloze", "bench") and seconds > 0:
        speeds.add("forward", key, _forwards(step, graph.study) / seconds)
    else:
        speeds.add(f"seconds of {step.kind}", _reading_key(step, graph), seconds)


def disk_free(path: Path) -> int:
    """Free bytes where a path lies, or would lie."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _span(step: Step) -> int:
    return int(step.about["tokens"]) - int(step.about["from"])


def _forwards(step: Step, study: Study) -> float:
    config = dict(step.config)
    if step.kind == "cloze":
        config["items"] = study.evaluate.cloze_items / max(1, len(study.sources))
    return evaluate.token_forwards(step.kind, config)


def _seconds(step: Step, train_speed: Figure, forward: Figure, speeds: Speeds, graph: Graph) -> Figure:
    fixed = _FIXED_SECONDS.get(step.kind, 1.0)
    if step.kind == "train":
        return Figure(fixed + _span(step) / train_speed.value, train_speed.basis)
    if step.kind in ("bits-per-byte", "cloze", "bench"):
        return Figure(fixed + _forwards(step, graph.study) / forward.value, forward.basis)
    measured = speeds.get(f"seconds of {step.kind}", _reading_key(step, graph))
    if measured is not None:
        return Figure(measured, "measured")
    if step.kind == "corpus" and step.config["read"]["scope"] == "paths":
        size = sum(path.stat().st_size for _, path in corpus.resolve(step.config, step.settings))
        fixed += size / _READ_BYTES_PER_SECOND
    return Figure(fixed, "estimated")


def _reading_key(step: Step, graph: Graph) -> str:
    """What the time of a step that trains nothing depends on: the sources, and which of them it reads."""
    return fingerprint({"sources": graph.study.resolved()["sources"], "source": step.about.get("source")})
