"""Small studies with known truths, as item tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from pretrial.analysis import Design, ItemTable, MetricFacts, PairFacts
from pretrial.analysis.data import COLUMNS

BITS = {"bits_per_byte": MetricFacts(False, "bits per byte")}


def columns_of(
    arms: Mapping[str, Mapping[int, Mapping[str, np.ndarray]]],
    *,
    metric: str = "bits_per_byte",
    category: str = "transfer",
    weights: Mapping[str, np.ndarray] | None = None,
    clusters: Mapping[str, list[str]] | None = None,
    tokens: int = 1000,
    stage: str = "2",
) -> dict[str, list[Any]]:
    """Columns of items.parquet from arms[variant][seed][task] = value of each item."""
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for variant, seeds in arms.items():
        for seed, tasks in seeds.items():
            for task, values in tasks.items():
                weight = weights[task] if weights else np.ones(len(values))
                for i, value in enumerate(values):
                    row = (
                        variant,
                        seed,
                        stage,
                        tokens,
                        category,
                        task,
                        metric,
                        f"{task}-{i:04d}",
                        clusters[task][i] if clusters else f"{task}-{i:04d}",
                        float(value),
                        float(weight[i]),
                        f"{variant}/{seed}/{tokens}",
                    )
                    for name, cell in zip(COLUMNS, row, strict=True):
                        columns[name].append(cell)
    return columns


@pytest.fixture
def columns() -> Callable[..., dict[str, list[Any]]]:
    return columns_of


@pytest.fixture
def design() -> Callable[..., Design]:
    """A design with baseline "base" and variant "new" at equal compute, unless said otherwise."""

    def make(**changes: Any) -> Design:
        given: dict[str, Any] = {
            "baseline": "base",
            "variants": ("base", "new"),
            "seeds": (1, 2, 3),
            "categories": {"transfer": ("news", "speech")},
            "metrics": BITS,
            "pairs": {("new", "base"): PairFacts("compute")},
        }
        return Design(**{**given, **changes})

    return make


@pytest.fixture
def study() -> Callable[..., dict[str, list[Any]]]:
    """Columns of two arms over tasks news and speech: base at 2 bits per byte, new shifted by `effect`."""

    def make(
        *,
        effect: float = 0.1,
        seeds: int = 3,
        items: int = 40,
        seed_noise: float = 0.005,
        item_noise: float = 0.02,
        noise: float = 0.02,
        draw: int = 0,
        tasks: tuple[str, ...] = ("news", "speech"),
        **more: Any,
    ) -> dict[str, list[Any]]:
        rng = np.random.default_rng(draw)
        arms: dict[str, dict[int, dict[str, np.ndarray]]] = {"base": {}, "new": {}}
        level = {t: 2 + 0.3 * rng.standard_normal(items) for t in tasks}
        item = {t: item_noise * rng.standard_normal(items) for t in tasks}
        for s in range(1, seeds + 1):
            shift = seed_noise * rng.standard_normal()
            arms["base"][s] = {t: level[t] + noise * rng.standard_normal(items) for t in tasks}
            arms["new"][s] = {
                t: arms["base"][s][t] + effect + shift + item[t] + noise * rng.standard_normal(items) for t in tasks
            }
        return columns_of(arms, **more)

    return make


@pytest.fixture
def table() -> Callable[..., ItemTable]:
    return ItemTable.from_columns
