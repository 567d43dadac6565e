"""The tables that plans and reports read agree with each other and with the step functions."""

from __future__ import annotations

import importlib

import pytest

from pretrial.benchmarks import TASKS
from pretrial.evaluate import spec


def test_every_metric_of_a_task_is_defined() -> None:
    assert set(spec.TASK_METRICS) == set(spec.CATEGORIES)
    for metrics in spec.TASK_METRICS.values():
        assert set(metrics) <= set(spec.METRICS)
    assert all(metric.version >= 1 and metric.definition.endswith(".") for metric in spec.METRICS.values())


def test_every_benchmark_has_a_category_a_chance_level_and_a_cost() -> None:
    for name in TASKS:
        assert name in spec.CATEGORIES
        assert name in spec.CHANCE
        assert name in spec.BENCH_TOKENS


def test_every_kind_has_a_step_function() -> None:
    assert set(spec.FUNCTIONS) == set(spec.SEMANTICS)
    for function in spec.FUNCTIONS.values():
        module, name = function.split(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_costs_grow_with_what_is_asked() -> None:
    assert spec.token_forwards("bits-per-byte", {"bytes": 400_000}) == pytest.approx(
        2 * spec.token_forwards("bits-per-byte", {"bytes": 200_000}), abs=2
    )
    assert spec.token_forwards("cloze", {"items": 800}) > 800 * 4 * 128
    assert spec.token_forwards("bench", {"task": "piqa", "items": 200}) > 20_000
    assert spec.token_forwards("anchors", {}) == 0
    with pytest.raises(ValueError, match="no evaluation"):
        spec.token_forwards("guess", {})
