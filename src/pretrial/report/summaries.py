"""What the page shows as a summary of longer tables: the ledger over seeds, variants beside their anchors, sources."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pretrial.report.data import Clean, FunnelStep, Licence, Rejects, ReportData, Row

_LEDGER_KEYS = ("variant", "seed", "stage", "source")
_REASONS = 5
_LICENCES = 4


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def ledger_means(data: ReportData) -> list[Row]:
    """The ledger as means over seeds: one row per variant, stage and source."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in data.ledger:
        groups.setdefault((row["variant"], str(row["stage"]), row["source"]), []).append(row)
    order = {name: i for i, name in enumerate(data.variant_names)}
    made: list[dict[str, Any]] = [
        {
            "variant": variant,
            "stage": stage,
            "source": source,
            **{column: _mean(row[column] for row in rows) for column in rows[0] if column not in _LEDGER_KEYS},
        }
        for (variant, stage, source), rows in groups.items()
    ]
    return [*sorted(made, key=lambda row: order.get(row["variant"], len(order)))]


def anchor_rows(data: ReportData) -> list[Row]:
    """One row per anchored task and variant: the variant's end as a mean over seeds, its 3-gram, zstd, chance."""
    known = {(a["category"], a["task"], a["metric"], a["variant"], a["anchor"]): a["value"] for a in data.anchors}
    chances = data.chances()
    keys = dict.fromkeys((a["category"], a["task"], a["metric"]) for a in data.anchors)
    made: list[Row] = []
    for key in sorted(
        keys, key=lambda key: data.task_rank(dict(zip(("category", "task", "metric"), key, strict=True)))
    ):
        category, task, metric = key
        points = [row for row in data.results if (row["category"], row["task"], row["metric"]) == key]
        for name in data.variant_names:
            own = [row for row in points if row["variant"] == name]
            end = max((row["tokens"] for row in own), default=None)
            values = [row["value"] for row in own if row["tokens"] == end]
            made.append(
                {
                    "category": category,
                    "task": task,
                    "metric": metric,
                    "variant": name,
                    "value": _mean(values),
                    "n_seeds": len(values),
                    "three_gram": known.get((*key, name, "3-gram")),
                    "zstd": known.get((*key, "", "zstd")),
                    "chance": chances.get(key),
                }
            )
    return made


def funnel_ends(data: ReportData) -> list[dict[str, Any]]:
    """One row per source: its first and last step of reading, and its parts with documents: tokenised ones, others."""
    groups: dict[str, list[FunnelStep]] = {}
    for row in data.funnel:
        groups.setdefault(row["source"], []).append(row)
    return [
        {
            "source": source,
            "made_from": rows[0]["made_from"],
            "read": next((row for row in rows if not row["part"]), None),
            "left": next((row for row in reversed(rows) if not row["part"]), None),
            "used": [row for row in rows if row["part"] and row["documents"] and row["tokens"] is not None],
            "rest": [row for row in rows if row["part"] and row["documents"] and row["tokens"] is None],
        }
        for source, rows in groups.items()
    ]


def reject_reasons(data: ReportData) -> list[Rejects]:
    """The rejects, of each rule of a source the most frequent reasons and the others together."""
    groups: dict[tuple[str, str], list[Rejects]] = {}
    for row in data.rejects:
        groups.setdefault((row["source"], row["rule"]), []).append(row)
    shown: list[Rejects] = []
    for (source, rule), rows in groups.items():
        few = rows if len(rows) <= _REASONS + 1 else rows[:_REASONS]
        shown += few
        rest = rows[len(few) :]
        if rest:
            documents = sum(row["documents"] for row in rest)
            shown.append({"source": source, "rule": rule, "reason": _others(rest), "documents": documents})
    return shown


def main_licences(data: ReportData) -> list[Licence]:
    """The licences, of each source the largest and the others together."""
    groups: dict[str, list[Licence]] = {}
    for row in data.licences:
        groups.setdefault(row["source"], []).append(row)
    shown: list[Licence] = []
    for source, rows in groups.items():
        few = rows if len(rows) <= _LICENCES + 1 else rows[:_LICENCES]
        shown += few
        rest = rows[len(few) :]
        if rest:
            shown.append(
                {
                    "source": source,
                    "license": _others(rest),
                    "documents": sum(row["documents"] for row in rest),
                    "bytes": sum(row["bytes"] for row in rest),
                    "share_documents": math.fsum(row["share_documents"] for row in rest),
                    "share_bytes": math.fsum(row["share_bytes"] for row in rest),
                }
            )
    return shown


def first_clean(data: ReportData) -> list[Clean]:
    """Of the scores on clean items, those of each task's first metric, by task and variant."""
    first: dict[str, str] = {}
    order = {definition["metric"]: place for place, definition in enumerate(data.definitions)}
    for row in data.clean:
        known = first.setdefault(row["task"], row["metric"])
        if order.get(row["metric"], len(order)) < order.get(known, len(order)):
            first[row["task"]] = row["metric"]
    return [
        row for task, metric in first.items() for row in data.clean if (row["task"], row["metric"]) == (task, metric)
    ]


def _others(rows: list[Any]) -> str:
    return f"{len(rows)} others"
