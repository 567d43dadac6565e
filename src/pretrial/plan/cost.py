"""What a study costs: tokens, FLOPs, time, memory, disk, each figure with where it comes from.

*measured*: on this machine under this execution record, in an earlier run or by `--probe`. *estimated*: from the
formulas and constants here and the sizes of files. *declared*: said by the study file, or following from it exactly.
Speeds are remembered in the store by model, context, batch and execution record, times of other steps by the study's
sources, both as the median of the last measurements.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrial.errors import RequestError
from pretrial.evaluate import spec as evaluate
from pretrial.model.spec import flops_per_token
from pretrial.plan.graph import Graph
from pretrial.plan.sizes import Figure as Figure
from pretrial.plan.sizes import Size, sizes
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Store, read_json, write_atomically
from pretrial.store.identity import fingerprint
from pretrial.study.schema import Study
from pretrial.tokens import spec as tokens
from pretrial.train import spec as train

Json = dict[str, Any]

# Training FLOP/s where nothing was measured: two cores with AVX-512 bf16 reached 2.5e11 compiled and about 1e11
# uncompiled on a 1.3M-parameter model; a data-centre GPU at 30% of a bf16 peak of 1e15 is 3e14.
_FLOPS = {("cpu", "compiled"): 2.5e11, ("cpu", "eager"): 1e11}
_FLOPS_GPU = 1e14
# Forward passes need a third of the operations, and padding and loading take their part.
_FORWARD_SPEEDUP = 2.0
# Of a source's own files, as they lie on the disk, with two workers.
_READ_BYTES_PER_SECOND = 4e6
_SELECT_BYTES_PER_SECOND = 5e7
# Of text, with two workers (benchmarks/results): signatures, the search among them, benchmark items.
_TEXT_BYTES_PER_SECOND = {"near-signatures": 2e7, "near-duplicates": 2e8, "contamination": 2e7}
# What signatures and shingles take, for each byte of text (160 hashes of 4 bytes a document of some KB).
_SIGNATURE_BYTES = 0.25
# Without the text of what is installed, of which nothing is known before it was read.
_FIXED_SECONDS = {
    "snapshot": 8.0,
    "corpus": 2.0,
    "near-signatures": 1.5,
    "near-duplicates": 1.5,
    "contamination-index": 3.0,
    "contamination": 1.5,
    "select": 1.0,
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
# Text in the corpora's Parquet files; what else a step writes.
_PACKED_TEXT = 0.45
_FIXED_BYTES = {
    "snapshot": 30_000_000,
    "corpus": 20_000_000,
    "near-signatures": 4_000_000,
    "near-duplicates": 1_000_000,
    "contamination-index": 20_000_000,
    "select": 1_000_000,
    "tokenizer": 1_000_000,
    "tokens": 20_000_000,
    "cloze-items": 1_000_000,
}
_SMALL_BYTES = 10_000
# Tokens that a processor takes in one pass (`train.record`), before a record was chosen.
_MICRO_TOKENS = 4096


class Speeds:
    """Measured speeds, remembered in the store."""

    def __init__(self, store: Store) -> None:
        self._path = store.root / "speeds.json"
        self._known = self._read()
        self._new: list[tuple[str, float]] = []

    def get(self, what: str, key: str) -> float | None:
        """Median of the last measurements, or `None`."""
        values = self._known.get(f"{what} {key}", [])
        return statistics.median(values) if values else None

    def add(self, what: str, key: str, value: float) -> None:
        """Remember one measurement."""
        self._new.append((f"{what} {key}", value))
        _keep(self._known, f"{what} {key}", value)

    def save(self) -> None:
        """Write what is new to the store, beside what others have measured meanwhile."""
        if self._new:
            self._known = self._read()
            for name, value in self._new:
                _keep(self._known, name, value)
            self._new = []
            write_atomically(self._path, json.dumps(self._known, indent=0))

    def _read(self) -> Json:
        try:
            return read_json(self._path)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}


def _keep(known: Json, name: str, value: float) -> None:
    values = known.setdefault(name, [])
    values.append(value)
    del values[:-_KEPT]


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
    """Seconds and bytes, step by step; `bytes` are those that a step leaves, `scratch` those it needs meanwhile."""

    seconds: Mapping[str, Figure]
    bytes: Mapping[str, int]
    scratch: Mapping[str, int]
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

    def room(self, missing: Iterable[str]) -> int:
        """Bytes of disk that it takes to make some steps."""
        names = list(missing)
        return sum(self.bytes[name] for name in names) + max((self.scratch[name] for name in names), default=0)


def forecast(graph: Graph, speeds: Speeds, known: Mapping[str, Size] | None = None) -> Forecast:
    """What every step of a plan is expected to take; without `known`, sizes of its sources are read off their files."""
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
    known = sizes(graph) if known is None else known
    seconds = {name: _seconds(step, train_speed, forward, speeds, graph, known) for name, step in graph.steps.items()}
    written = {name: _bytes(step, graph, known) for name, step in graph.steps.items()}
    scratch = {
        # A resume file is a checkpoint; tokens are put in order in a second file.
        name: written[name] if step.kind in ("train", "tokens") else 0
        for name, step in graph.steps.items()
    }
    trained = sum(_span(step) for step in graph.training_steps())
    unshared = len(study.seeds) * sum(graph.courses[v].end for v in dict.fromkeys(mark.variant for mark in graph.marks))
    precision = str((record or {}).get("precision", "float32"))
    micro_tokens = int((record or {}).get("micro_tokens", _MICRO_TOKENS))
    sequences = train.micro_batch(study.training.batch_tokens // study.context, study.context, micro_tokens)
    memory = train.peak_memory(study.model, graph.vocabulary, study.context, sequences, precision=precision)
    return Forecast(
        seconds=seconds,
        bytes=written,
        scratch=scratch,
        train_speed=train_speed,
        forward_speed=forward,
        flops_per_token=flops,
        tokens_trained=trained,
        tokens_unshared=unshared,
        memory=Figure(memory, "estimated"),
        disk=Figure(sum(written.values()) + max(scratch.values(), default=0), "estimated"),
    )


def measure(
    step: Step, seconds: float, graph: Graph, speeds: Speeds, *, total: float | None = None, done: float | None = None
) -> None:
    """Remember how fast a step that was just made was.

    Args:
        step: the step.
        seconds: of the attempt that finished it.
        graph: its plan.
        speeds: where to remember it.
        total: seconds of all attempts, where some were stopped.
        done: tokens that the last attempt trained, where that is known.
    """
    key = speed_key(graph.study, graph.vocabulary, graph.options.record)
    total = seconds if total is None else total
    if step.kind == "train":
        # What an attempt did after a resume belongs to its own seconds; without it, all to all of them.
        tokens, spent = (done, seconds) if done is not None else (_span(step), total)
        if tokens and spent > 0:
            speeds.add("train", key, tokens / spent)
    elif step.kind in ("bits-per-byte", "cloze", "bench"):
        if seconds > 0:
            speeds.add("forward", key, _forwards(step, graph.study) / seconds)
    else:
        speeds.add(f"seconds of {step.kind}", _reading_key(step, graph), total)


def check_disk(need: int, store: Path) -> None:
    """Raise `RequestError` when a run needs more disk than is free where the store is."""
    free = disk_free(store)
    if need > free:
        raise RequestError(
            f"the study needs about {in_bytes(need)} of disk and {in_bytes(free)} are free at {store}",
            remedy="Free some, or name a store elsewhere with --store or PRETRIAL_STORE.",
        )


def in_bytes(size: float) -> str:
    """A size for people, in the unit in which it is at least a tenth."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale / 10:
            return f"{size / scale:,.1f} {unit}"
    return f"{size / 1e3:.1f} KB" if size >= 100 else f"{size:.0f} bytes"


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
        config["items"] = study.evaluate.cloze_items / len({*study.trained_sources, *study.transfer_sources})
    return evaluate.token_forwards(step.kind, config)


def _seconds(
    step: Step, train_speed: Figure, forward: Figure, speeds: Speeds, graph: Graph, known: Mapping[str, Size]
) -> Figure:
    fixed = _FIXED_SECONDS.get(step.kind, 1.0)
    if step.kind == "train":
        return Figure(fixed + _span(step) / train_speed.value, train_speed.basis)
    if step.kind in ("bits-per-byte", "cloze", "bench"):
        return Figure(fixed + _forwards(step, graph.study) / forward.value, forward.basis)
    measured = speeds.get(f"seconds of {step.kind}", _reading_key(step, graph))
    if measured is not None:
        return Figure(measured, "measured")
    size = known.get(str(step.about.get("source")))
    if step.kind == "corpus" and size is not None:
        fixed += size.files / _READ_BYTES_PER_SECOND
    elif step.kind in _TEXT_BYTES_PER_SECOND and (size is not None or step.kind == "near-duplicates"):
        text = size.text.value if size is not None else sum(one.text.value for one in known.values())
        fixed += text / _TEXT_BYTES_PER_SECOND[step.kind]
    elif step.kind == "select":
        fixed += sum(size.text.value for size in known.values()) / _SELECT_BYTES_PER_SECOND
    elif step.kind == "tokenizer" and (sample := _sample(graph, known)) is not None:
        fixed = tokens.train_seconds(sample)
    elif step.kind == "tokens" and size is not None:
        fixed = 0.5 + tokens.tokenise_seconds(_part(step, size))
    return Figure(fixed, "estimated")


def _bytes(step: Step, graph: Graph, known: Mapping[str, Size]) -> int:
    """What a step leaves on the disk."""
    if step.kind == "train":
        return train.checkpoint_bytes(graph.study.model, graph.vocabulary)
    size = known.get(str(step.about.get("source")))
    if step.kind == "corpus" and size is not None:
        return round(size.text.value * _PACKED_TEXT)
    if step.kind == "near-signatures" and size is not None:
        return round(size.text.value * _SIGNATURE_BYTES)
    if step.kind == "tokens" and size is not None:
        return tokens.tokens_bytes(_part(step, size), graph.vocabulary)
    return _FIXED_BYTES.get(step.kind, _SMALL_BYTES)


def _part(step: Step, size: Size) -> int:
    """Bytes of text of the part of a source that a step puts into tokens."""
    return round(size.trained.value if step.about["part"] == "train" else size.text.value - size.trained.value)


def _sample(graph: Graph, known: Mapping[str, Size]) -> int | None:
    """Bytes that the tokenizer is trained on, where the size of each of its sources is known; 0 for one to import."""
    request = graph.study.tokenizer.train
    if request is None:
        return 0
    if not set(request.shares) <= set(known):
        return None
    return round(min(tokens.SAMPLE_BYTES, sum(known[name].trained.value for name in request.shares)))


def _reading_key(step: Step, graph: Graph) -> str:
    """What the time of a step that trains nothing depends on: the sources, and which of them it reads."""
    return fingerprint({"sources": graph.study.resolved()["sources"], "source": step.about.get("source")})
