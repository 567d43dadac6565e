"""Scores of single checkpoints averaged over a category: the rows of results.csv with task "mean".

Tasks are fixed strata of equal weight, one metric a row. The standard error is over items alone (a checkpoint is one
seed), with items that share a document as clusters, also across tasks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pretrial.analysis.data import Cell, CellKey, Design, ItemTable
from pretrial.analysis.effects import MEAN, Layout
from pretrial.analysis.sample import sample


@dataclass(frozen=True)
class CategoryMean:
    """One checkpoint's mean over a category's tasks; `stderr` is None where it cannot be estimated."""

    variant: str
    seed: int
    stage: str
    tokens: int
    category: str
    metric: str
    value: float
    stderr: float | None
    n: int
    chance: float | None
    checkpoint: str
    task: str = MEAN


def category_means(items: ItemTable, design: Design) -> list[CategoryMean]:
    """Means of every checkpoint that has at least two tasks of a category and none of its tasks missing.

    In the order of variants, seeds, tokens, then categories and metrics of the design.
    """
    layout = Layout(items, design)
    cells: dict[tuple[str, int, int, str, str], dict[str, Cell]] = {}
    for key, cell in items.cells.items():
        place = (key.variant, key.seed, key.tokens, key.category, key.metric)
        cells.setdefault(place, {})[key.task] = cell
    checkpoints = sorted(
        {(key.variant, key.seed, key.tokens) for key in items.cells if key.variant in design.variants},
        key=lambda c: (design.variants.index(c[0]), c[1], c[2]),
    )
    made = []
    for variant, seed, tokens in checkpoints:
        for category, metric in layout.targets():
            tasks = layout.tasks(category, metric)
            if len(tasks) < 2 or set(cells.get((variant, seed, tokens, category, metric), {})) != set(tasks):
                continue
            arm = (variant, tokens)
            data = sample(items, arm, arm, category, tasks, metric, (seed,))
            if data is None:
                continue
            base = data.contrast(0.0, 1.0)
            chances = [c for t in tasks if (c := design.chance.get((t, metric))) is not None]
            first = items.cells[CellKey(variant, seed, tokens, category, tasks[0], metric)]
            made.append(
                CategoryMean(
                    variant,
                    seed,
                    items.stages[variant, tokens],
                    tokens,
                    category,
                    metric,
                    base.value,
                    None if math.isnan(base.se) else base.se,
                    data.n_items,
                    sum(chances) / len(chances) if len(chances) == len(tasks) else None,
                    first.checkpoint,
                )
            )
    return made
