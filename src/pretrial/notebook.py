"""How a trial shows itself in a notebook: the verdicts and the category rows, as a small escaped table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pretrial.trials import Trial


def trial_html(trial: Trial) -> str:
    """HTML of a trial: its question and, once it has run, what became of its claims and its comparisons."""
    parts = [f"<b>{escape(trial.study.name)}</b>: {escape(trial.study.question)}"]
    path = trial.places.workspace / "report" / "report.json"
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        parts.append("<p>Not run yet.</p>")
        return "".join(parts)
    if data["claims"]:
        rows = [(c["text"], c["verdict"], _why(c)) for c in data["claims"]]
        parts.append(_table(("claim", "verdict", "why"), rows))
    final = {v: max(r["tokens"] for r in data["comparisons"] if r["variant"] == v) for v in _variants(data)}
    shown = [
        (
            row["variant"],
            f"{row['category']} {row['task']}",
            row["metric"],
            _number(row["base_value"]),
            _number(row["value"]),
            _interval(row),
            row["verdict"],
        )
        for row in data["comparisons"]
        if row["tokens"] == final[row["variant"]]
    ]
    columns = ("variant", "task", "metric", data["baseline"], "variant's", "difference [95%]", "verdict")
    parts.append(_table(columns, shown))
    return "".join(parts)


def _why(claim: dict[str, Any]) -> str:
    """The reason of a verdict, and of its being exploratory."""
    late = "" if claim["registered"] else f"; exploratory: {claim.get('registration') or 'not registered in time'}"
    return str(claim["reason"]) + late


def _variants(data: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(row["variant"] for row in data["comparisons"]))


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _interval(row: dict[str, Any]) -> str:
    if row["absolute"] is None:
        return ""
    if row["low"] is None:
        return f"{row['absolute']:+.4g}"
    return f"{row['absolute']:+.4g} [{row['low']:+.4g}, {row['high']:+.4g}]"
