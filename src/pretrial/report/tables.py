"""The tables: stable columns, stable order of rows, numbers that read back as they were.

`results.csv`, `comparisons.csv`, `ledger.csv` and `items.parquet` have exactly the columns of
docs/decisions.md, section 8; they hold no timings, so equal studies give equal bytes. Floats are written
with `repr` (the shortest text that reads back to the same double), booleans as true and false, what is
unknown as an empty field, lists joined by "; ". Lines end in \\n. Fields are quoted where CSV needs it. Characters that
move a cursor or turn the direction of reading are spelled out (`\\x1b`), as names are in the store: licences and names
come from outside, and tables are looked at in terminals.

It does not guard spreadsheets against cells that begin with "=": the files are data, and rewriting names
would make them other names.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrial.analysis.data import COLUMNS as ITEM_COLUMNS
from pretrial.analysis.rows import COMPARISON_COLUMNS
from pretrial.corpus.readers.safety import spelled
from pretrial.report.data import ReportData, Row
from pretrial.report.summaries import anchor_rows, ledger_means

if TYPE_CHECKING:
    import pyarrow as pa

RESULTS = (
    "variant", "seed", "stage", "tokens", "task", "task_version", "category", "metric", "metric_version",
    "value", "stderr", "n", "chance", "checkpoint",
)  # fmt: skip
COMPARISONS = COMPARISON_COLUMNS
LEDGER = (
    "variant", "seed", "stage", "source", "requested_share", "requested_tokens", "realised_tokens", "bytes",
    "documents", "unique_tokens", "epochs", "fresh_tokens", "replayed_tokens", "mean_attended_context",
)  # fmt: skip
ITEMS = ITEM_COLUMNS


def cell(value: object) -> str:
    """One value as CSV text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))  # float(): a numpy scalar's repr names its type
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(cell(part) for part in value)
    return spelled(str(value))


def csv_text(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """A CSV file's text. Raises ValueError where a row lacks a column or has another one."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if set(row) != set(columns):
            absent, extra = sorted(set(columns) - set(row)), sorted(set(row) - set(columns))
            raise ValueError(f"row does not fit its table: absent {absent}, not a column {extra}")
        writer.writerow([cell(row[column]) for column in columns])
    return out.getvalue()


def results_csv(data: ReportData) -> str:
    """results.csv: by variant, seed, tokens, category (its mean first), task, metric."""
    return csv_text(RESULTS, sorted(data.results, key=data.rank))


def comparisons_csv(data: ReportData) -> str:
    """comparisons.csv: by variant, tokens, category (its mean first), task, metric, then claim."""
    rows = sorted(data.comparisons, key=lambda row: (data.rank(row), row["claim"] or ""))
    return csv_text(COMPARISONS, rows)


def ledger_csv(data: ReportData) -> str:
    """ledger.csv: by variant and seed; stages and sources in the order in which the ledger gives them."""
    names = data.variant_names
    order = {name: i for i, name in enumerate(names)}
    return csv_text(
        LEDGER,
        sorted(data.ledger, key=lambda row: (order.get(row["variant"], len(names)), row["seed"])),
    )


def write_items(path: Path, items: pa.Table | Mapping[str, Sequence[Any]] | None) -> None:
    """items.parquet, sorted by its own columns; None writes a table without rows.

    `items` has exactly the columns ITEMS, in any order, as an Arrow table or as one sequence a column.
    Raises ValueError where a column is absent or another one is there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number, whole = pa.string(), pa.float64(), pa.int64()
    kinds = {"seed": whole, "tokens": whole, "value": number, "weight": number}
    schema = pa.schema([(name, kinds.get(name, text)) for name in ITEMS])
    if items is None:
        table = schema.empty_table()
    else:
        table = items if isinstance(items, pa.Table) else pa.table(dict(items))
        if sorted(table.column_names) != sorted(ITEMS):
            raise ValueError(f"items need the columns {', '.join(ITEMS)}; got {', '.join(table.column_names)}")
        table = table.select(list(ITEMS)).cast(schema)
        keys = (
            "variant",
            "seed",
            "tokens",
            "stage",
            "category",
            "task",
            "metric",
            "item",
            "cluster",
            "checkpoint",
        )
        table = table.sort_by([(name, "ascending") for name in keys]).combine_chunks()
    pq.write_table(table, path, compression="zstd", row_group_size=1 << 20)


def small_tables(data: ReportData) -> dict[str, tuple[tuple[str, ...], list[Row], str]]:
    """The page's other tables by name: columns, rows, what they hold. Cost alone holds timings."""
    arms: list[Row] = [
        {"what": difference["what"], "variant": variant, "value": value}
        for difference in data.differs
        for variant, value in difference["values"].items()
    ]
    arms += [{"what": same["what"], "variant": "all", "value": same["value"]} for same in data.equal]
    made: dict[str, tuple[tuple[str, ...], list[Row], str]] = {
        "claims": (
            (
                "text", "kind", "variant", "against", "target", "metric", "margin", "verdict", "estimate",
                "low", "high", "level", "p", "p_adjusted", "bootstrap_low", "bootstrap_high", "sign_flip_p",
                "n_seeds", "n_items", "registered", "registration", "reason",
            ),
            [*data.claims],
            "claims and verdicts",
        ),
        "anchors": (
            ("category", "task", "metric", "variant", "value", "n_seeds", "three_gram", "zstd", "chance"),
            anchor_rows(data),
            "each variant beside its 3-gram model, zstd and chance",
        ),
        "ledger-means": (
            ("variant", "stage", "source", *LEDGER[4:]),
            ledger_means(data),
            "the ledger as means over seeds",
        ),
        "sources": (
            ("source", "made_from", "step", "part", "documents", "bytes", "tokens"),
            [*data.funnel],
            "what was left of each source, and where it ended",
        ),
        "rejects": (
            ("source", "rule", "reason", "documents"),
            [*data.rejects],
            "why documents were dropped, by source, rule and reason",
        ),
        "removed": (
            ("source", "rule", "kind", "bytes"),
            [*data.removed],
            "bytes that rules and transforms took out of documents that stayed",
        ),
        "near-duplicates": (
            ("source", "documents", "near", "within", "across", "pairs_within", "pairs_across", "others"),
            [
                {**row, "others": [f"{source} {count}" for source, count in row["others"].items()]}
                for row in data.near_duplicates
            ],
            "near-duplicates within and across sources",
        ),
        "licences": (
            ("source", "license", "documents", "bytes", "share_documents", "share_bytes"),
            [*data.licences],
            "licences of what trains, by source",
        ),
        "contamination": (
            (
                "source", "benchmark", "documents", "contaminated", "rate", "items", "of", "unfindable",
                "evaluated_found", "evaluated_unfindable", "evaluated",
            ),
            [*data.contamination],
            "benchmark items in the documents of each source",
        ),
        "contamination-arms": (
            (
                "variant", "benchmark", "evaluated", "before_documents", "before_items", "before_evaluated",
                "documents", "items", "evaluated_found",
            ),
            [*data.arms],
            "benchmark items that each arm had in its training documents, and would have had",
        ),
        "matches": (
            ("source", "benchmark", "item", "part", "document", "became", "overlap", "excerpt"),
            [*data.matches],
            "examples of benchmark items in documents",
        ),
        "clean": (
            (
                "variant", "task", "metric", "value", "clean_value", "n", "n_clean", "n_unfindable", "difference",
                "against", "low", "high",
            ),
            [*data.clean],
            "benchmarks on the items that no source held, beside all, and the difference from the baseline on them",
        ),
        "plan": (
            (
                "variant", "stage", "start", "tokens", "steps", "mixture", "shares", "warmup", "lr_in",
                "lr_out", "shared", "replayed",
            ),
            [
                {**stage, "shares": [f"{source} {share!r}" for source, share in stage["shares"].items()]}
                for stage in data.plan
            ],
            "stages by variant",
        ),
        "differences": (("what", "variant", "value"), arms, "what differs between the arms and what does not"),
        "cost": (
            ("kind", "steps", "reused", "seconds"),
            [*data.cost["items"]] if data.cost else [],
            "measured cost by kind of step",
        ),
        "environment": (("name", "value"), [*data.environment], "execution record and versions"),
        "registration": (
            ("event", "detail", "exploratory", "when"),
            [*data.registration],
            "history of claims, margins and seeds",
        ),
        "missing": (("variant", "seed", "reason"), [*data.missing], "what has no result, and why"),
    }  # fmt: skip
    trimmed: dict[str, tuple[tuple[str, ...], list[Row], str]] = {}
    for name, (columns, rows, what) in made.items():
        if rows:
            trimmed[name] = (columns, [{column: row[column] for column in columns} for row in rows], what)
    return trimmed
