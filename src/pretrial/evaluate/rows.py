"""What every evaluation writes: items.parquet and the rows of its facts.

Guarantees: a metric is Σ value / Σ weight over its items; its standard error is the linearised one of a ratio with
items of one cluster taken together; the file's bytes depend on the items alone. Items are sorted by task, metric
and item.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from pretrial.errors import RunError
from pretrial.evaluate.spec import METRICS

Json = dict[str, Any]

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("item", pa.string()),
        ("cluster", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("weight", pa.float64()),
    ]
)


@dataclass(frozen=True, order=True)
class ItemValue:
    """One item's part of a metric, which is Σ value / Σ weight."""

    metric: str
    item: str
    cluster: str
    value: float
    weight: float = 1.0


@dataclass(frozen=True)
class Task:
    """What was evaluated: what the rows of a task say beside their numbers."""

    name: str
    category: str
    version: str = "1"
    chance: float | None = None
    """Score of a guesser, for the metrics that are shares of items answered right."""
    notes: tuple[str, ...] = ()


def ratio(values: ArrayLike, weights: ArrayLike, clusters: Sequence[str]) -> tuple[float, float | None]:
    """Σ values / Σ weights, and its standard error; None where there are fewer than two clusters.

    Linearisation with R = Σv/Σw: SE² = G/(G−1) · Σ_g (Σ_{i∈g} v_i − R·w_i)² / (Σw)² over G clusters
    (Cochran, *Sampling Techniques*, 3rd ed., section 6.13 with clusters as units; the sum of residuals is 0).
    """
    v, w = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    total = float(w.sum())
    if total <= 0:
        raise ValueError("a metric's weights must sum to more than 0")
    estimate = float(v.sum()) / total
    _, group = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
    count = int(group.max()) + 1
    if count < 2:
        return estimate, None
    residuals = np.bincount(group, weights=v - estimate * w, minlength=count)
    return estimate, math.sqrt(count / (count - 1) * float(residuals @ residuals)) / total


CHANCE_METRICS = ("accuracy", "accuracy_3gram", "acc", "acc_norm")


def write_items(out: Path, results: Sequence[tuple[Task, Sequence[ItemValue]]], **facts: Any) -> Json:
    """Write `items.parquet` to `out`; the step's facts: one row per task and metric, and `facts`.

    Raises `RunError` where a value is not finite (a checkpoint of a diverged run), `ValueError` where an item stands
    twice in a metric.
    """
    columns: list[tuple[str, ItemValue]] = []
    rows: list[Json] = []
    for task, values in results:
        by_metric: dict[str, list[ItemValue]] = defaultdict(list)
        for value in sorted(values):
            if not math.isfinite(value.value):
                raise RunError(
                    f"{value.metric} of {value.item!r} in {task.name} is {value.value}: not a finite number",
                    remedy="Look at the training losses of this arm: it may have diverged.",
                )
            by_metric[value.metric].append(value)
        for metric in sorted(by_metric, key=list(METRICS).index):
            items = by_metric[metric]
            if len({item.item for item in items}) < len(items):
                raise ValueError(f"an item stands twice in {metric} of {task.name}")
            rows.append(_row(task, metric, items))
            columns += [(task.name, item) for item in items]
    columns.sort(key=lambda entry: (entry[0], entry[1]))
    table = pa.table(
        {
            "task": [task for task, _ in columns],
            **{
                name: [getattr(item, name) for _, item in columns]
                for name in ("item", "cluster", "metric", "value", "weight")
            },
        },
        schema=SCHEMA,
    )
    pq.write_table(table, out / "items.parquet", compression="zstd", write_statistics=False)
    return {"rows": rows, **facts}


def _row(task: Task, name: str, items: Sequence[ItemValue]) -> Json:
    metric = METRICS[name]
    value, stderr = ratio([i.value for i in items], [i.weight for i in items], [i.cluster for i in items])
    row: Json = {
        "task": task.name,
        "task_version": task.version,
        "category": task.category,
        "metric": name,
        "metric_version": metric.version,
        "higher_is_better": metric.higher_is_better,
        "value": value,
        "stderr": stderr,
        "n": len(items),
        "chance": task.chance if name in CHANCE_METRICS else None,
    }
    if task.notes:
        row["notes"] = list(task.notes)
    return row
