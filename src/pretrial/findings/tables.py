"""What becomes a row: items, results with category means, points of curves, anchors, claims, definitions, gaps.

Tables hold no timings: equal studies give equal rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pretrial.analysis.analyse import Analysis
from pretrial.analysis.data import Design
from pretrial.analysis.means import CategoryMean
from pretrial.evaluate.spec import METRICS
from pretrial.findings.design import Lost, Measured
from pretrial.findings.shelf import Shelf
from pretrial.plan.graph import Evaluated, Graph
from pretrial.report import data as report
from pretrial.report.format import short

ANCHORS = {"bits_per_byte_3gram": "3-gram", "bits_per_byte_zstd": "zstd", "accuracy_3gram": "3-gram"}
"""The anchors' metrics, and what the report calls them."""
_ANCHORED = {"cloze": ("accuracy_3gram",)}
"""Anchors of a category; all others have those of bits per byte."""
_CURVES = ("held-out", "transfer")
"""Categories that are evaluated along the way."""


def item_table(graph: Graph, shelf: Shelf, done: Sequence[Measured]) -> pa.Table:
    """The rows of items.parquet."""
    tables = []
    read: dict[str, pa.Table] = {}
    for one in done:
        evaluated, artefact = one.evaluated, one.artefact
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
            ("checkpoint", _checkpoint(shelf, evaluated), pa.string()),
        ]
        for name, value, kind in constants:
            table = table.append_column(name, pa.array([value] * len(table), kind))
        tables.append(table)
    return pa.concat_tables(tables)


def _checkpoint(shelf: Shelf, evaluated: Evaluated) -> str:
    artefact = shelf.find(evaluated.checkpoint)
    return artefact.key[:12] if artefact is not None else ""


def result_rows(
    shelf: Shelf, done: Sequence[Measured], design: Design, means: Sequence[CategoryMean]
) -> list[report.Row]:
    """The rows of results.csv: every metric of every evaluation, and the means over categories of several tasks."""
    rows: list[report.Row] = []
    versions: dict[tuple[str, str], str] = {}
    for one in done:
        evaluated = one.evaluated
        for row in one.rows:
            task, metric = row["task"], row["metric"]
            versions[evaluated.category, task] = row["task_version"]
            rows.append(
                {
                    "variant": evaluated.mark.variant,
                    "seed": evaluated.seed,
                    "stage": evaluated.mark.stage,
                    "tokens": evaluated.mark.tokens,
                    **{
                        name: row[name]
                        for name in (
                            "task", "task_version", "category", "metric", "metric_version", "value", "stderr", "n",
                        )
                    },
                    "chance": design.chance.get((task, metric)),
                    "checkpoint": _checkpoint(shelf, evaluated),
                }
            )  # fmt: skip
    for mean in means:
        tasks = design.categories[mean.category]
        own = dict.fromkeys(versions[mean.category, task] for task in tasks if (mean.category, task) in versions)
        rows.append(
            {
                **vars(mean),
                "task_version": "; ".join(own),
                "metric_version": design.metrics[mean.metric].version,
            }
        )
    return rows


def evaluation_points(done: Sequence[Measured]) -> list[report.EvaluationPoint]:
    """Points of the curves that are evaluated along the way."""
    return [
        {
            "variant": one.evaluated.mark.variant,
            "seed": one.evaluated.seed,
            "stage": one.evaluated.mark.stage,
            "tokens": one.evaluated.mark.tokens,
            "category": one.evaluated.category,
            "task": row["task"],
            "metric": row["metric"],
            "value": row["value"],
        }
        for one in done
        if one.evaluated.category in _CURVES
        for row in one.rows
    ]


def anchor_rows(graph: Graph, shelf: Shelf) -> list[report.Anchor]:
    """3-grams of what each variant read, and zstd, which has read nothing and is the same for all."""
    found: list[report.Anchor] = []
    shared: set[tuple[str, str]] = set()
    for (variant, category, task), name in graph.anchors.items():
        artefact = shelf.find(name)
        if artefact is None:
            continue
        for row in artefact.facts["rows"]:
            kind = ANCHORS[row["metric"]]
            if kind == "zstd" and (category, task) in shared:
                continue
            if kind == "zstd":
                shared.add((category, task))
            found.append(
                {
                    "variant": "" if kind == "zstd" else variant,
                    "category": category,
                    "task": task,
                    "metric": row["metric"].removesuffix("_3gram").removesuffix("_zstd"),
                    "anchor": kind,
                    "value": row["value"],
                }
            )
    return found


def claim_rows(analysis: Analysis) -> list[report.Claim]:
    """Claims as the report shows them."""
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
            "bootstrap_low": c.bootstrap_low,
            "bootstrap_high": c.bootstrap_high,
            "sign_flip_p": c.sign_flip_p,
            "reason": c.reason,
            "registered": c.registered,
            "registration": c.registration,
            "n_seeds": c.n_seeds,
            "n_items": c.n_items,
        }
        for c in analysis.claims
    ]


def missing_rows(
    graph: Graph, missing: Mapping[tuple[str, int], str], lost: Lost, categories: Mapping[str, tuple[str, ...]]
) -> list[report.Missing]:
    """Arms without an end, then evaluations that are not there: those of an arm with one reason in one row."""
    rows: list[report.Missing] = [{"variant": v, "seed": s, "reason": why} for (v, s), why in missing.items()]
    tasks: dict[tuple[str, int, str], dict[tuple[int, str], list[str]]] = {}
    for (variant, seed, tokens, category, task), why in lost.items():
        tasks.setdefault((variant, seed, why), {}).setdefault((tokens, category), []).append(task)
    for (variant, seed, why), places in tasks.items():
        named = []
        for (tokens, category), those in places.items():
            # A whole category by its own name.
            what = [category] if set(those) == set(categories[category]) else [f"{category} {task}" for task in those]
            at = "" if tokens == graph.courses[variant].end else f" at {short(tokens)} tokens"
            named += [name + at for name in what]
        rows.append({"variant": variant, "seed": seed, "reason": f"{', '.join(named)}: {why}"})
    return rows


def definition_rows(design: Design, graph: Graph) -> list[report.Definition]:
    """Metrics that occur, then the anchors that stand beside them."""
    beside = dict.fromkeys(
        name
        for _, category, _ in graph.anchors
        for name in _ANCHORED.get(category, tuple(n for n in ANCHORS if n not in _ANCHORED["cloze"]))
    )
    return [
        {
            "metric": name,
            "version": METRICS[name].version,
            "unit": METRICS[name].unit,
            "higher_is_better": METRICS[name].higher_is_better,
            "sentence": METRICS[name].definition,
        }
        for name in [*design.metrics, *beside]
    ]
