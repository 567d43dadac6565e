"""From finished evaluations to what a report says: items, comparisons, judged claims, curves, ledger, cost.

Everything comes from artefacts and the plan; nothing is measured here. Tables hold no timings; cost does, and comes
from the artefacts' manifests, so it is what the results took to make, whenever that was.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.analysis.analyse import Analysis, analyse
from pretrial.analysis.data import Design, ItemTable, MetricFacts, PairFacts, RegisteredClaim
from pretrial.errors import RequestError
from pretrial.evaluate.spec import CATEGORIES, METRICS, TASK_METRICS
from pretrial.execute.runner import FailedInputError, Runner
from pretrial.model.spec import flops_per_token, parameters
from pretrial.plan.controls import Control, control
from pretrial.plan.cost import Figure
from pretrial.plan.graph import Evaluated, Graph
from pretrial.plan.registration import History
from pretrial.plan.view import describe_stage, repeated, replay, warnings
from pretrial.report import data as report
from pretrial.report.data import ReportData
from pretrial.store.artefacts import Artefact
from pretrial.study.schema import Study

Json = dict[str, Any]
ANCHORS = {"bits_per_byte_3gram": "3-gram", "bits_per_byte_zstd": "zstd", "accuracy_3gram": "3-gram"}
_NOTES = {
    "held-out": "dose check: held-out documents of sources that some arm trained on",
    "transfer": "domains that no arm trained on",
    "cloze": "the true continuation among four from the same source",
    "reasoning": "benchmarks, on a local sample of their items",
    "language": "benchmarks, on a local sample of their items",
}
_CURVE_POINTS = 200


@dataclass(frozen=True)
class Findings:
    """What a report is written from."""

    data: ReportData
    items: pa.Table
    analysis: Analysis


def find(
    study: Study,
    graph: Graph,
    runner: Runner,
    registered: History,
    *,
    windows: Mapping[str, Figure],
    record: Mapping[str, Any],
    accepted: bool,
) -> Findings:
    """All findings of a study.

    Raises:
        RequestError: when no arm was evaluated yet.
    """
    done = [
        (evaluated, artefact)
        for evaluated in graph.evaluations
        if (artefact := runner.find(evaluated.step)) is not None
    ]
    if not done:
        raise RequestError(f"{study.name} has no results yet", remedy="Run the study first.")
    items = _items(graph, runner, done)
    missing = missing_seeds(graph, runner)
    design = _design(study, graph, registered, windows, missing, done, accepted)
    analysis = analyse(ItemTable.from_columns(items.to_pydict()), design)
    sections = _Sections(study, graph, runner, registered, dict(windows), record, accepted)
    chosen = [name for name in study.variants if any(mark.variant == name for mark in graph.marks)]
    model_parameters = parameters(study.model, graph.vocabulary)
    found = ReportData(
        study=study.name,
        question=study.question,
        version=importlib.metadata.version("pretrial"),
        model={
            "name": study.model_name,
            "parameters": model_parameters[0],
            "parameters_without_embeddings": model_parameters[1],
            "vocabulary": graph.vocabulary,
            "context": study.context,
        },
        baseline=study.baseline,
        variants=[{"name": name, "summary": sections.summary(name)} for name in chosen],
        seeds=list(graph.study.seeds),
        compare=study.compare,
        categories=[{"name": name, "note": _NOTES.get(name, "")} for name in design.categories],
        definitions=_definitions(design, graph),
        claims=_claims(analysis),
        shows=list(analysis.shows),
        does_not_show=list(analysis.does_not_show),
        banners=sections.banners(),
        warnings=sections.warnings(),
        missing=[{"variant": v, "seed": s, "reason": why} for (v, s), why in missing.items()],
        results=_results(graph, runner, done),
        comparisons=[row.to_row() for row in analysis.comparisons],
        ledger=sections.ledger(),
        training=sections.training(),
        evaluation=_evaluation(done),
        anchors=sections.anchors(),
        funnel=sections.funnel(),
        plan=sections.plan(),
        differs=sections.differs(),
        equal=sections.equal(),
        cost=sections.cost(),
        environment=sections.environment(),
        registration=[
            {"when": c.at, "event": c.event, "detail": c.detail, "exploratory": c.exploratory}
            for c in registered.changes()
        ],
    )
    return Findings(found, items, analysis)


def missing_seeds(graph: Graph, runner: Runner) -> dict[tuple[str, int], str]:
    """(variant, seed) without a final checkpoint, and why."""
    found: dict[tuple[str, int], str] = {}
    for (variant, seed, tokens), name in graph.checkpoints.items():
        if tokens != graph.courses[variant].end or runner.find(name) is not None:
            continue
        error = runner.failure(name)
        if isinstance(error, FailedInputError):
            error = runner.failure(error.origin) or error
        found[variant, seed] = error.what if error is not None else "not run yet"
    return found


def _checkpoint(graph: Graph, runner: Runner, evaluated: Evaluated) -> str:
    artefact = runner.find(evaluated.checkpoint)
    return artefact.key[:12] if artefact is not None else ""


def _items(graph: Graph, runner: Runner, done: Sequence[tuple[Evaluated, Artefact]]) -> pa.Table:
    tables = []
    read: dict[str, pa.Table] = {}
    for evaluated, artefact in done:
        mark = evaluated.mark
        if artefact.key not in read:
            read[artefact.key] = pq.read_table(artefact.file("items.parquet"))
        table = read[artefact.key]
        constants: list[tuple[str, Any, Any]] = [
            ("variant", mark.variant, pa.string()),
            ("seed", evaluated.seed, pa.int64()),
            ("stage", mark.stage, pa.string()),
            ("tokens", mark.tokens, pa.int64()),
            ("category", evaluated.category, pa.string()),
            ("checkpoint", _checkpoint(graph, runner, evaluated), pa.string()),
        ]
        for name, value, kind in constants:
            table = table.append_column(name, pa.array([value] * len(table), kind))
        tables.append(table)
    return pa.concat_tables(tables)


def _results(graph: Graph, runner: Runner, done: Sequence[tuple[Evaluated, Artefact]]) -> list[report.Row]:
    rows: list[report.Row] = []
    for evaluated, artefact in done:
        for row in artefact.facts["rows"]:
            rows.append(
                {
                    "variant": evaluated.mark.variant,
                    "seed": evaluated.seed,
                    "stage": evaluated.mark.stage,
                    "tokens": evaluated.mark.tokens,
                    **{
                        name: row[name]
                        for name in (
                            "task", "task_version", "category", "metric", "metric_version",
                            "value", "stderr", "n", "chance",
                        )
                    },
                    "checkpoint": _checkpoint(graph, runner, evaluated),
                }
            )  # fmt: skip
    return rows


def _evaluation(done: Sequence[tuple[Evaluated, Artefact]]) -> list[report.EvaluationPoint]:
    points: list[report.EvaluationPoint] = []
    for evaluated, artefact in done:
        if evaluated.category not in ("held-out", "transfer"):
            continue
        for row in artefact.facts["rows"]:
            points.append(
                {
                    "variant": evaluated.mark.variant,
                    "seed": evaluated.seed,
                    "stage": evaluated.mark.stage,
                    "tokens": evaluated.mark.tokens,
                    "category": evaluated.category,
                    "task": row["task"],
                    "metric": row["metric"],
                    "value": row["value"],
                }
            )
    return points


def _design(
    study: Study,
    graph: Graph,
    registered: History,
    windows: Mapping[str, Figure],
    missing: Mapping[tuple[str, int], str],
    done: Sequence[tuple[Evaluated, Artefact]],
    accepted: bool,
) -> Design:
    chosen = tuple(name for name in study.variants if any(mark.variant == name for mark in graph.marks))
    categories: dict[str, tuple[str, ...]] = {}
    chance: dict[tuple[str, str], float] = {}
    present: dict[str, None] = {}
    for evaluated, artefact in done:
        for row in artefact.facts["rows"]:
            tasks = categories.setdefault(evaluated.category, ())
            if row["task"] not in tasks:
                categories[evaluated.category] = (*tasks, row["task"])
            present[row["metric"]] = None
            if row["chance"] is not None:
                chance[row["task"], row["metric"]] = row["chance"]
    order = dict.fromkeys(metric for task in study.evaluate.tasks for metric in TASK_METRICS[task])
    metrics = {
        name: MetricFacts(METRICS[name].higher_is_better, METRICS[name].unit, METRICS[name].version)
        for name in order
        if name in present
    }
    pairs = {}
    against = [(name, study.baseline) for name in chosen if name != study.baseline]
    against += [(claim.variant, claim.against) for claim in study.claims]
    for variant, base in dict.fromkeys(against):
        pairs[variant, base] = _pair(study, graph, dict(windows), variant, base, accepted)
    claims = []
    for claim in study.claims:
        late = registered.late(claim)
        claims.append(RegisteredClaim(claim, registered=late is None, reason=late or ""))
    trained = set(study.trained_sources)
    dose = frozenset(
        (category, task)
        for category, tasks in categories.items()
        if category in ("held-out", "cloze")
        for task in tasks
        if task in trained
    )
    wanted = dict.fromkeys(CATEGORIES[task] for task in study.evaluate.tasks)
    return Design(
        baseline=study.baseline,
        variants=chosen,
        seeds=graph.study.seeds,
        categories={name: categories[name] for name in wanted if name in categories},
        metrics=metrics,
        missing=missing,
        chance=chance,
        margins=study.margins,
        claims=tuple(claims),
        pairs=pairs,
        ends={name: graph.courses[name].end for name in chosen},
        dose=dose,
        parameters=parameters(study.model, graph.vocabulary)[0],
    )


def _pair(study: Study, graph: Graph, windows: dict[str, Figure], variant: str, base: str, accepted: bool) -> PairFacts:
    held = control(graph.courses[variant], graph.courses[base], study.context)
    flags = []
    sources = repeated(graph, variant, base, windows)
    if sources:
        flags.append("repetition-confounded")
    if accepted:
        flags.append("record accepted")
    first: str = study.compare if study.compare in held.holds else next(iter(held.holds), "")
    also = tuple(h for h in held.holds if h != first)
    return PairFacts(first, "; ".join(held.reasons) if not first else "", also, tuple(flags))


def _claims(analysis: Analysis) -> list[report.Claim]:
    return [
        {
            "text": c.text,
            "kind": c.kind,
            "variant": c.variant,
            "against": c.against,
            "target": c.target,
            "metric": c.metric or "",
            "higher_is_better": bool(c.higher_is_better),
            "margin": c.margin,
            "verdict": c.verdict,
            "estimate": c.estimate,
            "low": c.low,
            "high": c.high,
            "level": c.level,
            "p": c.p,
            "p_adjusted": c.p_adjusted,
            "reason": c.reason,
            "registered": c.registered,
            "n_seeds": c.n_seeds,
            "n_items": c.n_items,
        }
        for c in analysis.claims
    ]


def _definitions(design: Design, graph: Graph) -> list[report.Definition]:
    names = [*design.metrics, *(name for name in ANCHORS if graph.anchors)]
    return [
        {
            "metric": name,
            "version": METRICS[name].version,
            "unit": METRICS[name].unit,
            "higher_is_better": METRICS[name].higher_is_better,
            "sentence": METRICS[name].definition,
        }
        for name in names
    ]


class _Sections:
    """The parts of a report that come from the plan and the manifests."""

    def __init__(
        self,
        study: Study,
        graph: Graph,
        runner: Runner,
        registered: History,
        windows: dict[str, Figure],
        record: Mapping[str, Any],
        accepted: bool,
    ) -> None:
        self.study, self.graph, self.runner = study, graph, runner
        self.registered, self.windows = registered, windows
        self.record, self.accepted = record, accepted
        self.chosen = [v for v in study.variants if any(mark.variant == v for mark in graph.marks)]

    def summary(self, variant: str) -> str:
        """A variant in one line."""
        parts = [f"{_tokens(stage.tokens)} {stage.mixture}" for stage in self.graph.courses[variant].stages]
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
        """Warnings of the plan and of every step, once each."""
        found = dict.fromkeys(warnings(self.graph, self.windows))
        for artefact in self._artefacts().values():
            found.update(dict.fromkeys(artefact.manifest["cost"].get("warnings", [])))
        return list(found)

    def ledger(self) -> list[report.Row]:
        """Rows of ledger.csv."""
        rows: list[report.Row] = []
        for (variant, seed), name in self.graph.ledgers.items():
            artefact = self.runner.find(name)
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
        artefact = self.runner.find(self.graph.checkpoints[variant, seed, self.graph.courses[variant].end])
        if artefact is None:
            return []
        text = artefact.file("metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def anchors(self) -> list[report.Anchor]:
        """Anchors: of the baseline where variants share a domain's zstd figure, of each variant for 3-grams."""
        found: list[report.Anchor] = []
        for (variant, category, task), name in self.graph.anchors.items():
            artefact = self.runner.find(name)
            if artefact is None or variant != self.study.baseline:
                continue
            for row in artefact.facts["rows"]:
                metric = row["metric"].removesuffix("_3gram").removesuffix("_zstd")
                found.append(
                    {
                        "category": category,
                        "task": task,
                        "metric": metric,
                        "anchor": ANCHORS[row["metric"]],
                        "value": row["value"],
                    }
                )
        return found

    def funnel(self) -> list[report.FunnelStep]:
        """Documents and bytes of each source after every step."""
        found: list[report.FunnelStep] = []
        select = self.runner.find("selection of documents")
        for source in self.study.sources:
            corpus = self.runner.find(f"corpus {source}")
            if corpus is None:
                continue
            for step in corpus.facts["funnel"]:
                found.append(
                    {
                        "source": source,
                        "step": step["step"],
                        "documents": step["documents"],
                        "bytes": step["bytes"],
                    }
                )
            if select is not None:
                for name, count in select.facts["sources"][source].items():
                    if isinstance(count, dict) and "documents" in count:
                        found.append(
                            {
                                "source": source,
                                "step": name.replace("_", " "),
                                "documents": count["documents"],
                                "bytes": count["bytes"],
                            }
                        )
        return found

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
            reused[kind] = reused.get(kind, 0) + (name not in self.runner.made)
            peak = max(peak, int(cost.get("peak_bytes", 0)))
            disk += artefact.bytes
        trained = sum(
            int(step.about["tokens"]) - int(step.about["from"])
            for step in self.graph.training_steps()
            if self.runner.find(step.name) is not None
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
        """Execution record and versions."""
        facts: list[report.Fact] = [{"name": name, "value": str(value)} for name, value in self.record.items()]
        for package in ("pretrial", "numpy", "pyarrow", "tokenizers"):
            facts.append({"name": package, "value": importlib.metadata.version(package)})
        return facts

    def _artefacts(self) -> dict[str, Artefact]:
        return {name: a for name in self.graph.steps if (a := self.runner.find(name)) is not None}


def _mean_by_source(lines: Sequence[Json]) -> dict[str, float]:
    sums: dict[str, list[float]] = {}
    for line in lines:
        for source, loss in line["source_loss"].items():
            sums.setdefault(source, []).append(loss)
    return {source: sum(values) / len(values) for source, values in sums.items()}


def _tokens(count: int) -> str:
    return f"{count / 1e6:.2f}M" if count >= 1e6 else f"{count / 1e3:.0f}K"
