"""The report's folder, whole or not at all.

Everything is written to a sibling folder and swapped in by renames, so a kill leaves the old report, the
new one, or for an instant none (the next writing clears what is left), never half of one. Files are
flushed before the swap. The same data gives the same bytes; no date of writing is anywhere.

    index.html                       the page
    results.csv comparisons.csv ledger.csv items.parquet      the stable tables (docs/decisions.md, 8)
    figures/<name>.{svg,png,csv}     each figure and exactly what it draws
    tables/<name>.csv                the page's other tables
    report.json                      the data that all of it was made from
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrial.report import figures as drawing
from pretrial.report import page, tables
from pretrial.report.data import ReportData

if TYPE_CHECKING:
    import pyarrow as pa


def write_report(out: Path, data: ReportData, items: pa.Table | Mapping[str, Sequence[Any]] | None = None) -> None:
    """Make the folder `out` from `data`, in the place of an earlier report.

    `items` holds the rows of items.parquet (`pretrial.report.tables.ITEMS`), as an Arrow table or as one
    sequence a column. Raises ValueError where rows do not fit their table; then the earlier report stays.
    One writer at a time: the caller holds the workspace.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    new, old = out.parent / f".{out.name}.new", out.parent / f".{out.name}.old"
    for rest in (new, old):
        if rest.exists():
            shutil.rmtree(rest)
    new.mkdir()
    _fill(new, data, items)
    for path in sorted(new.rglob("*")):
        _flush(path)
    _flush(new)
    if out.exists():
        out.rename(old)
    new.rename(out)
    _flush(out.parent)
    if old.exists():
        shutil.rmtree(old)


def _fill(folder: Path, data: ReportData, items: pa.Table | Mapping[str, Sequence[Any]] | None) -> None:
    made: list[tuple[str, str]] = []

    def put(name: str, content: str | bytes, what: str) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        made.append((name, what))

    put("results.csv", tables.results_csv(data), "every metric of every checkpoint")
    put("comparisons.csv", tables.comparisons_csv(data), "every comparison, with intervals")
    put("ledger.csv", tables.ledger_csv(data), "what each arm was trained on")
    tables.write_items(folder / "items.parquet", items)
    made.append(("items.parquet", "every item of every checkpoint"))
    figures = drawing.figures(data)
    for figure in figures:
        picture = drawing.svg(figure)
        put(f"figures/{figure.name}.svg", picture, figure.title)
        put(f"figures/{figure.name}.png", drawing.png(picture), figure.title)
        put(f"figures/{figure.name}.csv", tables.csv_text(figure.columns, figure.rows), figure.title)
    for name, (columns, rows, what) in tables.small_tables(data).items():
        put(f"tables/{name}.csv", tables.csv_text(columns, rows), what)
    put(
        "report.json",
        json.dumps(data.to_json(), ensure_ascii=False, indent=1) + "\n",
        "all data of this page",
    )
    put("index.html", page.render(data, figures, list(made)), "the page")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
