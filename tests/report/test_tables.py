"""Columns, order and numbers of the tables."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.readers.safety import spelled
from pretrial.report import tables
from pretrial.report.data import ReportData

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions.md"


def read(content: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content)))


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("results.csv", tables.RESULTS),
        ("comparisons.csv", tables.COMPARISONS),
        ("ledger.csv", tables.LEDGER),
        ("items.parquet", tables.ITEMS),
    ],
)
def test_columns_are_those_of_the_decisions(name: str, columns: tuple[str, ...]) -> None:
    section = DECISIONS.read_text(encoding="utf-8").split("## 8.")[1].split("## 9.")[0]
    found = re.search(rf"`{re.escape(name)}`: (.*?)\.\n", section, re.DOTALL)
    assert found is not None
    listed = re.sub(r"\([^)]*\)", "", found[1])
    assert tuple(column.strip() for column in listed.split(",")) == columns


def test_headers_are_the_columns(data: ReportData) -> None:
    for made, columns in (
        (tables.results_csv(data), tables.RESULTS),
        (tables.comparisons_csv(data), tables.COMPARISONS),
        (tables.ledger_csv(data), tables.LEDGER),
    ):
        assert made.splitlines()[0] == ",".join(columns)
        assert "\r" not in made


def test_what_moves_a_cursor_is_spelled_out_in_every_table(data: ReportData) -> None:
    assert tables.cell("MIT\x1b[2J \u202e é \ud800") == r"MIT\x1b[2J \u202e é \ud800"
    assert tables.cell(["a\rb", "c"]) == r"a\x0db; c"
    odd: Any = {**data.licences[0], "license": "CC\x1b]0;title\x07", "source": "a\nb"}
    columns, rows, _ = tables.small_tables(dataclasses.replace(data, licences=[odd]))["licences"]
    written = tables.csv_text(columns, rows)
    assert r"CC\x1b]0;title\x07" in written
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", written)
    assert len(written.splitlines()) == 2


def test_rows_stand_in_one_order_whatever_order_they_came_in(data: ReportData) -> None:
    turned = dataclasses.replace(
        data, results=data.results[::-1], comparisons=data.comparisons[::-1], ledger=data.ledger
    )
    assert tables.results_csv(turned) == tables.results_csv(data)
    assert tables.comparisons_csv(turned) == tables.comparisons_csv(data)
    rows = read(tables.comparisons_csv(data))
    assert [row["task"] for row in rows[:3]] == ["mean", "descriptions", "topics"]
    assert [row["variant"] for row in rows[::6]] == ["balanced→balanced", "balanced→text", "code→text"]


def test_a_row_that_does_not_fit_is_refused(data: ReportData) -> None:
    row = dict(data.results[0])
    del row["chance"]
    with pytest.raises(ValueError, match=r"absent \['chance'\]"):
        tables.results_csv(dataclasses.replace(data, results=[row]))
    with pytest.raises(ValueError, match=r"not a column \['seconds'\]"):
        tables.results_csv(dataclasses.replace(data, results=[{**data.results[0], "seconds": 1.0}]))


@given(st.floats(allow_nan=False))
def test_floats_read_back_as_they_were(number: float) -> None:
    assert float(tables.cell(number)) == number


def test_cells() -> None:
    assert tables.cell(None) == ""
    assert tables.cell(True) == "true"
    assert tables.cell(["descriptive", "exploratory"]) == "descriptive; exploratory"
    assert tables.cell(pa.scalar(0.1).as_py()) == "0.1"


@given(st.text(st.characters()))
def test_any_text_that_can_be_seen_survives_csv_and_the_rest_is_spelled_out(name: str) -> None:
    written = spelled(name)
    assert read(tables.csv_text(["a", "b"], [{"a": name, "b": 1}])) == [{"a": written, "b": "1"}]
    seen = re.sub("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", "", name)
    assert tables.cell(seen) == seen


def test_items_are_sorted_and_typed_and_the_same_bytes(
    data: ReportData, items: dict[str, list[Any]], tmp_path: Path
) -> None:
    turned = pa.table({name: values[::-1] for name, values in reversed(items.items())})
    tables.write_items(tmp_path / "a.parquet", items)
    tables.write_items(tmp_path / "b.parquet", turned)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = pq.read_table(tmp_path / "a.parquet")
    assert tuple(table.column_names) == tables.ITEMS
    assert table.num_rows == len(data.results) * 6
    assert [str(table.schema.field(name).type) for name in ("seed", "tokens", "value", "item")] == [
        "int64",
        "int64",
        "double",
        "string",
    ]


def test_no_items_is_a_table_without_rows(tmp_path: Path) -> None:
    tables.write_items(tmp_path / "none.parquet", None)
    assert tuple(pq.read_table(tmp_path / "none.parquet").column_names) == tables.ITEMS


def test_items_with_another_column_are_refused(items: dict[str, list[Any]], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="items need the columns"):
        tables.write_items(tmp_path / "no.parquet", {**items, "seconds": items["value"]})
