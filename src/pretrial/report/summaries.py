"""What the page shows as a summary of longer tables: the ledger over seeds, variants beside their anchors, sources."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pretrial.report.data import (
    HELD_OUT,
    PASSED_ON,
    TRAINS,
    UNUSED,
    ArmContamination,
    Clean,
    Contamination,
    FunnelStep,
    Licence,
    Rejects,
    ReportData,
    Row,
)
from pretrial.report.format import count, listing

_LEDGER_KEYS = ("variant", "seed", "stage", "source")
_FOR = (TRAINS, PASSED_ON, UNUSED, HELD_OUT)
_ANY = "any"
_REASONS = 5
_LICENCES = 4


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


def by_source(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by their source, in the order in which sources first occur."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["source"], []).append(row)
    return groups


def funnel_ends(data: ReportData) -> list[dict[str, Any]]:
    """One row per source: its first and last step of reading, and its parts: what they are for, and what is left out.

    A part without documents is left out; where reading is one step, there is no last one.
    """
    made: list[dict[str, Any]] = []
    for source, rows in by_source(data.funnel).items():
        steps = [row for row in rows if not row["part"]]
        parts = [row for row in rows if row["part"] and row["documents"]]
        made.append(
            {
                "source": source,
                "made_from": rows[0]["made_from"],
                "read": steps[0] if steps else None,
                "left": steps[-1] if len(steps) > 1 else None,
                "used": [row for row in parts if row["step"] in _FOR],
                "rest": [row for row in parts if row["step"] not in _FOR],
            }
        )
    return made


def funnel_steps(data: ReportData) -> list[dict[str, Any]]:
    """One group per source: its first step, those that changed something, parts with documents; others by name."""
    made: list[dict[str, Any]] = []
    for source, rows in by_source(data.funnel).items():
        shown: list[Row] = []
        idle: list[str] = []
        empty: list[str] = []
        for row in rows:
            last = shown[-1] if shown else None
            if row["part"] and not row["documents"]:
                empty.append(row["step"])
            elif not row["part"] and last and all(row[what] == last[what] for what in ("documents", "bytes")):
                idle.append(row["step"])
            else:
                shown.append(row)
        made.append({"source": source, "made_from": rows[0]["made_from"], "rows": shown, "idle": idle, "empty": empty})
    return made


def reject_reasons(data: ReportData) -> list[Rejects]:
    """The rejects, of each rule of a source the most frequent reasons and the others together.

    What is not in a part of a split source was not dropped: it is one row, whatever it is.
    """
    parts = {row["source"] for row in data.funnel if _is_part(row)}
    groups: dict[tuple[str, str], list[Rejects]] = {}
    for row in data.rejects:
        groups.setdefault((row["source"], row["rule"]), []).append(row)
    shown: list[Rejects] = []
    for (source, rule), rows in groups.items():
        if rule == "keep" and source in parts:
            outside = sum(row["documents"] for row in rows)
            shown.append({"source": source, "rule": rule, "reason": "not in this part", "documents": outside})
            continue
        few = rows if len(rows) <= _REASONS + 1 else rows[:_REASONS]
        shown += few
        rest = rows[len(few) :]
        if rest:
            documents = sum(row["documents"] for row in rest)
            shown.append({"source": source, "rule": rule, "reason": _others(rest), "documents": documents})
    return shown


def main_licences(data: ReportData) -> list[Licence]:
    """The licences, of each source the largest and the others together."""
    groups: dict[str, list[Licence]] = {}
    for row in data.licences:
        groups.setdefault(row["source"], []).append(row)
    shown: list[Licence] = []
    for source, rows in groups.items():
        few = rows if len(rows) <= _LICENCES + 1 else rows[:_LICENCES]
        shown += few
        rest = rows[len(few) :]
        if rest:
            shown.append(
                {
                    "source": source,
                    "license": _others(rest),
                    "documents": sum(row["documents"] for row in rest),
                    "bytes": sum(row["bytes"] for row in rest),
                    "share_documents": math.fsum(row["share_documents"] for row in rest),
                    "share_bytes": math.fsum(row["share_bytes"] for row in rest),
                }
            )
    return shown


def contaminated_sources(data: ReportData) -> dict[str, list[Contamination]]:
    """By source in which items were found, the rows of their benchmarks; that for any where they are several."""
    made: dict[str, list[Contamination]] = {}
    for row in data.contamination:
        if row["contaminated"]:
            made.setdefault(row["source"], []).append(row)
    for source, rows in made.items():
        if sum(row["benchmark"] != _ANY for row in rows) == 1:
            made[source] = [row for row in rows if row["benchmark"] != _ANY]
    return made


def nothing_found(data: ReportData) -> list[str]:
    """Sentences: in which sources no item was found, and of which benchmarks; and which sources were not looked at."""
    without: dict[tuple[str, ...], list[str]] = {}
    for source, rows in by_source(data.contamination).items():
        names = tuple(row["benchmark"] for row in rows if row["benchmark"] != _ANY and not row["contaminated"])
        if names:
            without.setdefault(names, []).append(f"{source} ({count(rows[0]['documents'])})")
    said = [
        f"No document of {listing(sources, 'or')} holds an item of {listing(list(names), 'or')}."
        for names, sources in without.items()
    ]
    made_from = {row["source"]: row["made_from"] for row in data.funnel}
    scanned = {row["source"] for row in data.contamination}
    unseen = [source for source in made_from if not any(one in scanned for one in _line(source, made_from))]
    return [*said, f"Not looked at: {listing(unseen)}; only what an arm trains on is."] if unseen else said


def looked_for(data: ReportData) -> list[str]:
    """Benchmarks with their numbers of items: "piqa (1,838 items, 200 of them evaluated)"."""
    return [
        f"{row['benchmark']} ({count(row['of'])} items"
        + (f", {count(row['evaluated'])} of them evaluated)" if row["evaluated"] is not None else ")")
        for row in _benchmarks(data)
    ]


def too_short(data: ReportData) -> list[str]:
    """Benchmarks with the numbers of their items that cannot be found: "108 of piqa (16 of those evaluated)"."""
    return [
        f"{count(row['unfindable'])} of {row['benchmark']}"
        + (f" ({count(row['evaluated_unfindable'])} of those evaluated)" if row["evaluated"] is not None else "")
        for row in _benchmarks(data)
        if row["unfindable"]
    ]


def contaminated_arms(data: ReportData) -> tuple[dict[str, list[ArmContamination]], list[str]]:
    """By benchmark the rows of all arms, where one of them had or would have had items; the other benchmarks."""
    groups: dict[str, list[ArmContamination]] = {}
    for row in data.arms:
        groups.setdefault(row["benchmark"], []).append(row)
    found = {name: rows for name, rows in groups.items() if any(r["documents"] or r["before_documents"] for r in rows)}
    return found, [name for name in groups if name not in found]


def first_clean(data: ReportData) -> list[Clean]:
    """Of the scores on clean items, those of each task's first metric, by task and variant."""
    first: dict[str, str] = {}
    order = {definition["metric"]: place for place, definition in enumerate(data.definitions)}
    for row in data.clean:
        known = first.setdefault(row["task"], row["metric"])
        if order.get(row["metric"], len(order)) < order.get(known, len(order)):
            first[row["task"]] = row["metric"]
    return [
        row for task, metric in first.items() for row in data.clean if (row["task"], row["metric"]) == (task, metric)
    ]


def _benchmarks(data: ReportData) -> list[Contamination]:
    """One row of each benchmark: what it says of the benchmark itself is the same for all sources."""
    first: dict[str, Contamination] = {}
    for row in data.contamination:
        if row["benchmark"] != _ANY:
            first.setdefault(row["benchmark"], row)
    return list(first.values())


def _line(source: str, made_from: Mapping[str, str]) -> list[str]:
    """A source and what it was made from, back to the one that was read."""
    line = [source]
    while (parent := made_from.get(line[-1])) and parent not in line:
        line.append(parent)
    return line


def _is_part(row: FunnelStep) -> bool:
    """Whether a source is a part of a split one: it is called "whole/value" and made from the whole."""
    return bool(row["made_from"]) and row["source"].startswith(f"{row['made_from']}/")


def _others(rows: list[Any]) -> str:
    return f"{len(rows)} others"
