"""Words a study may use: evaluation tasks, their categories and metrics.

Guarantees: one list for the study's checks, the claim grammar and the reference; metrics and categories are
those of `pretrial.evaluate.spec`. Does not: evaluate anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pretrial.evaluate.spec import CATEGORIES, TASK_METRICS
from pretrial.evaluate.spec import METRICS as _DEFINED

Domains = Literal["trained", "unseen", "any"]
Unit = Literal["share", "bits per byte", "bits"]

_DOMAINS: dict[str, Domains] = {"held-out": "trained", "transfer": "unseen", "cloze": "any"}


@dataclass(frozen=True)
class TaskKind:
    """A word under `evaluate`: its category, its metrics (the first is the default), what it is measured on.

    `domains` is None for a benchmark, which is one task; otherwise the word stands for one task per source:
    those in some mixture ("trained"), those in none ("unseen"), or all ("any").
    """

    category: str
    metrics: tuple[str, ...]
    domains: Domains | None


TASKS: dict[str, TaskKind] = {
    task: TaskKind(category, TASK_METRICS[task], _DOMAINS.get(task)) for task, category in CATEGORIES.items()
}

METRICS: tuple[str, ...] = tuple(dict.fromkeys(metric for kind in TASKS.values() for metric in kind.metrics))


def metric_name(text: str) -> str:
    """A metric as the tables spell it: "bits per byte" and "bits-per-byte" are `bits_per_byte`."""
    return text.strip().lower().replace("-", "_").replace(" ", "_")


def has_ratio(metric: str) -> bool:
    """Whether a percentage of a metric means something: log-odds, in bits, have no zero of their own."""
    return unit(metric) != "bits"


def unit(metric: str) -> str:
    """Unit of a metric: "share", "bits per byte" or "bits"."""
    return _DEFINED[metric].unit
