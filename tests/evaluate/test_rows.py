"""A metric is Σ value / Σ weight; its standard error takes clusters together; the file is the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.errors import RunError
from pretrial.evaluate.rows import ItemValue, Task, ratio, write_items

numbers = st.floats(-100, 100)


@given(st.lists(numbers, min_size=2, max_size=30))
def test_the_standard_error_of_a_mean_is_the_usual_one(values: list[float]) -> None:
    estimate, stderr = ratio(values, np.ones(len(values)), [str(i) for i in range(len(values))])
    assert estimate == pytest.approx(np.mean(values), abs=1e-9)
    assert stderr == pytest.approx(np.std(values, ddof=1) / np.sqrt(len(values)), abs=1e-9)


@given(st.lists(st.tuples(numbers, st.floats(0.5, 9), st.integers(0, 4)), min_size=2, max_size=30))
def test_items_of_a_cluster_enter_as_one(items: list[tuple[float, float, int]]) -> None:
    values, weights, clusters = zip(*items, strict=True)
    estimate, stderr = ratio(values, weights, [str(c) for c in clusters])
    names = sorted(set(clusters))
    summed_v = [sum(v for v, _, c in items if c == name) for name in names]
    summed_w = [sum(w for _, w, c in items if c == name) for name in names]
    again, again_stderr = ratio(summed_v, summed_w, [str(name) for name in names])
    assert again == pytest.approx(estimate, abs=1e-9)
    if len(names) < 2:
        assert stderr is None
    else:
        assert stderr == pytest.approx(again_stderr, abs=1e-9)


def test_the_ratio_standard_error_matches_simulation() -> None:
    rng = np.random.default_rng(3)
    estimates, claimed = [], []
    for _ in range(400):
        sizes = rng.integers(50, 150, 60).astype(float)
        values = 2.0 * sizes + 5 * np.sqrt(sizes) * rng.standard_normal(60)
        estimate, stderr = ratio(values, sizes, [str(i) for i in range(60)])
        estimates.append(estimate)
        claimed.append(stderr)
    assert np.std(estimates) == pytest.approx(np.mean(claimed), rel=0.1)


def item(name: str, value: float, metric: str = "accuracy", weight: float = 1.0) -> ItemValue:
    return ItemValue(metric, name, name, value, weight)


def test_rows_and_items_are_sorted_and_say_what_they_are(tmp_path: Path) -> None:
    values = [item("b", 0), item("a", 1), item("a", 12, "answer_bits_per_byte", 4.0)]
    facts = write_items(tmp_path, [(Task("prose", "cloze", chance=0.25), values)], cut=1)
    accuracy, answer = facts["rows"]
    assert (accuracy["metric"], accuracy["value"], accuracy["n"]) == ("accuracy", 0.5, 2)
    assert accuracy["chance"] == 0.25
    assert accuracy["higher_is_better"] is True
    assert (answer["metric"], answer["value"], answer["stderr"]) == ("answer_bits_per_byte", 3.0, None)
    assert answer["chance"] is None
    assert facts["cut"] == 1
    table = pq.read_table(tmp_path / "items.parquet")
    assert table.column_names == ["task", "item", "cluster", "metric", "value", "weight"]
    assert table.column("item").to_pylist() == ["a", "b", "a"]


def test_the_file_does_not_depend_on_the_order_of_values(tmp_path: Path) -> None:
    values = [item(str(i), float(i % 2)) for i in range(50)]
    for name, order in (("one", values), ("two", values[::-1])):
        (tmp_path / name).mkdir()
        write_items(tmp_path / name, [(Task("prose", "cloze"), order)])
    first, second = ((tmp_path / name / "items.parquet").read_bytes() for name in ("one", "two"))
    assert first == second


def test_a_value_that_is_no_number_stops_the_step(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a finite number"):
        write_items(tmp_path, [(Task("prose", "cloze"), [item("a", float("nan"))])])


def test_an_item_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        write_items(tmp_path, [(Task("prose", "cloze"), [item("a", 1.0), item("a", 0.0)])])
