"""What the page shows as a summary of longer tables: the ledger over seeds, and variants beside their anchors."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pretrial.report.data import ReportData, Row

_LEDGER_KEYS = ("variant", "seed", "stage", "source")


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
