"""The parts of a report that come from the plan and the manifests.

Cost alone holds timings. They come from the artefacts' manifests, so they are what the results took to make, whenever
that was.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pretrial.findings.design import chosen_variants
from pretrial.findings.shelf import Shelf
from pretrial.model.spec import flops_per_token
from pretrial.plan.controls import Control, control
from pretrial.plan.cost import Figure
from pretrial.plan.graph import Graph
from pretrial.plan.registration import History
from pretrial.plan.view import describe_stage, replay, warnings
from pretrial.report import data as report
from pretrial.report.format import short
from pretrial.store.artefacts import Artefact
from pretrial.study.schema import Study

Json = dict[str, Any]
_CURVE_POINTS = 200


class Sections:
    """The parts of a report that come from the plan and the manifests."""

    def __init__(
        self,
        study: Study,
        graph: Graph,
        shelf: Shelf,
        registered: History,
        windows: Mapping[str, Figure],
        record: Mapping[str, Any],
        *,
        accepted: bool,
    ) -> None:
        self.study, self.graph, self.shelf = study, graph, shelf
        self.registered, self.windows = registered, dict(windows)
        self.record, self.accepted = record, accepted
        self.chosen = chosen_variants(study, graph)

    def summary(self, variant: str) -> str:
        """A variant in one line."""
        parts = [f"{short(stage.tokens)} {stage.mixture}" for stage in self.graph.courses[variant].stages]
        return ", then ".join(parts)

    def banners(self) -> list[str]:
        """What a reader must know before anything else."""
        found = []
        if self.accepted:
            found.append("Some checkpoints were made under another execution record, accepted by hand.")
        late = [change for change in self.registered.changes() if change.exploratory]
        if late:
            found.append(
                "Claims, margins or seeds changed after results were known; what they name counts as exploratory."
            )
        return found

    def warnings(self) -> list[str]:
        """Warnings of the plan, of every step and of what could not be read again, once each."""
        found = dict.fromkeys(warnings(self.graph, self.windows))
        for artefact in self._artefacts().values():
            found.update(dict.fromkeys(artefact.manifest["cost"].get("warnings", [])))
        found.update(dict.fromkeys(f"{name}: {why}" for name, why in self.shelf.broken.items()))
        return list(found)

    def ledger(self) -> list[report.Row]:
        """Rows of ledger.csv."""
        rows: list[report.Row] = []
        for (variant, seed), name in self.graph.ledgers.items():
            artefact = self.shelf.find(name)
            if artefact is not None:
                rows += [{"variant": variant, "seed": seed, **row} for row in artefact.facts["rows"]]
        return rows

    def training(self) -> list[report.TrainingPoint]:
        """Training curves, thinned to what a page can draw."""
        points: list[report.TrainingPoint] = []
        for variant in self.chosen:
            for seed in self.graph.study.seeds:
                lines = self._metrics(variant, seed)
                stride = max(1, len(lines) // _CURVE_POINTS)
                for start in range(0, len(lines), stride):
                    chunk = lines[start : start + stride]
                    points.append(
                        {
                            "variant": variant,
                            "seed": seed,
                            "tokens": chunk[-1]["tokens"],
                            "loss": sum(line["loss"] for line in chunk) / len(chunk),
                            "lr": chunk[-1]["lr"],
                            "by_source": _mean_by_source(chunk),
                        }
                    )
        return points

    def _metrics(self, variant: str, seed: int) -> list[Json]:
        """Lines of metrics.jsonl from the course's start: a checkpoint carries those of its whole course."""
        name = self.graph.checkpoints[variant, seed, self.graph.courses[variant].end]
        path = self.shelf.file(name, "metrics.jsonl")
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path is not None else []

    def plan(self) -> list[report.PlanStage]:
        """Stages by variant."""
        rows: list[report.PlanStage] = []
        for variant in self.chosen:
            course = self.graph.courses[variant]
            for stage in course.stages:
                said = describe_stage(self.graph, course, stage)
                rows.append(
                    {
                        "variant": variant,
                        "stage": stage.name,
                        "start": stage.first,
                        "tokens": stage.tokens,
                        "steps": stage.steps,
                        "mixture": stage.mixture,
                        "shares": said["realised"],
                        "warmup": said["warmup_tokens"],
                        "lr_in": stage.lr_first,
                        "lr_out": stage.lr_last,
                        "shared": "with " + ", ".join(said["shared_with"]) if said["shared_with"] else "",
                        "replayed": sum(replay(self.graph, course).values()) if stage is course.stages[-1] else 0,
                    }
                )
        return rows

    def _controls(self) -> list[Control]:
        base = self.graph.courses[self.study.baseline]
        return [
            control(self.graph.courses[v], base, self.study.context) for v in self.chosen if v != self.study.baseline
        ]

    def differs(self) -> list[report.Difference]:
        """What differs between the arms."""
        courses = {name: self.graph.courses[name] for name in self.chosen}
        found: list[report.Difference] = []
        most = max(len(course.stages) for course in courses.values())
        for index in range(most):
            values = {
                name: course.stages[index].mixture if index < len(course.stages) else "none"
                for name, course in courses.items()
            }
            if len(set(values.values())) > 1:
                found.append({"what": f"mixture of stage {index + 1}", "values": values})
        for source in self.study.trained_sources:
            counts = {
                name: course.draws(course.end, self.study.context).get(source, 0) * self.study.context
                for name, course in courses.items()
            }
            if len(set(counts.values())) > 1:
                found.append({"what": f"tokens of {source}", "values": {name: f"{n:,}" for name, n in counts.items()}})
        ends = {name: course.end for name, course in courses.items()}
        if len(set(ends.values())) > 1:
            found.append({"what": "tokens in all", "values": {name: f"{n:,}" for name, n in ends.items()}})
        return found

    def equal(self) -> list[report.Equal]:
        """What is held equal between the arms."""
        study = self.study
        found: list[report.Equal] = [
            {"what": "model", "value": f"{study.model_name}, context {study.context}"},
            {"what": "tokenizer", "value": f"vocabulary {self.graph.vocabulary:,}"},
            {"what": "batch", "value": f"{study.training.batch_tokens:,} tokens"},
            {"what": "optimizer", "value": "AdamW"},
            {"what": "seeds", "value": ", ".join(map(str, self.graph.study.seeds)) + ", paired"},
            {"what": "order of each source", "value": "the k-th draw of a source is the same in every arm"},
        ]
        controls = self._controls()
        if controls and all("compute" in c.holds for c in controls):
            end = self.graph.courses[study.baseline].end
            found.insert(0, {"what": "compute", "value": f"{end:,} tokens, stage boundaries and learning rates"})
        return found

    def cost(self) -> report.Cost:
        """What the study's artefacts cost to make, whenever that was."""
        kinds: dict[str, list[float]] = {}
        reused: dict[str, int] = {}
        peak = 0
        disk = 0
        for name, artefact in self._artefacts().items():
            kind = self.graph.steps[name].group
            cost = artefact.manifest["cost"]
            kinds.setdefault(kind, []).append(float(cost["seconds"]))
            reused[kind] = reused.get(kind, 0) + (name not in self.shelf.runner.made)
            peak = max(peak, int(cost.get("peak_bytes", 0)))
            disk += artefact.bytes
        trained = sum(
            int(step.about["tokens"]) - int(step.about["from"])
            for step in self.graph.training_steps()
            if self.shelf.find(step.name) is not None
        )
        unshared = len(self.graph.study.seeds) * sum(self.graph.courses[v].end for v in self.chosen)
        flops = flops_per_token(self.study.model, self.graph.vocabulary, self.study.context) * trained
        return {
            "items": [
                {"kind": kind, "steps": len(seconds), "reused": reused[kind], "seconds": sum(seconds)}
                for kind, seconds in kinds.items()
            ],
            "seconds": sum(sum(seconds) for seconds in kinds.values()),
            "tokens_trained": trained,
            "tokens_without_sharing": unshared,
            "flops": float(flops),
            "peak_memory": peak or None,
            "disk": disk,
        }

    def environment(self) -> list[report.Fact]:
        """The execution record, under which results were made, and versions of what made the report of them."""
        facts: list[report.Fact] = [{"name": name, "value": str(value)} for name, value in self.record.items()]
        for package in ("pretrial", "numpy", "pyarrow", "tokenizers"):
            version = importlib.metadata.version(package)
            facts.append({"name": f"{package}, at the time of the report", "value": version})
        return facts

    def registration(self) -> list[report.Registration]:
        """The history of claims, margins and seeds."""
        return [
            {"when": c.at, "event": c.event, "detail": c.detail, "exploratory": c.exploratory}
            for c in self.registered.changes()
        ]

    def _artefacts(self) -> dict[str, Artefact]:
        return {name: a for name in self.graph.steps if (a := self.shelf.find(name)) is not None}


def _mean_by_source(lines: Sequence[Json]) -> dict[str, float]:
    sums: dict[str, list[float]] = {}
    for line in lines:
        for source, loss in line["source_loss"].items():
            sums.setdefault(source, []).append(loss)
    return {source: sum(values) / len(values) for source, values in sums.items()}
