"""Comparisons as texts, grouped as the page and the terminal show them.

Needs no drawing library, so a terminal that only repeats a finished study's verdicts loads none.
"""

from __future__ import annotations

from typing import Any

from pretrial.report import format as text
from pretrial.report.data import ReportData, Row

COMPARED = ("baseline", "category", "task", "metric")


def comparison_groups(data: ReportData) -> list[dict[str, Any]]:
    """Comparisons at the end of each variant for the page: category means first, then tasks by category.

    Each group is {title, note, overall, rows}; each row has its texts ready.
    """
    rows = data.final_comparisons()
    means = [row for row in rows if row["task"] == "mean"]
    single = [row for row in rows if row["task"] != "mean"]
    notes = {category["name"]: category["note"] for category in data.categories}
    chances = data.chances()
    groups = []
    for overall, chosen in ((True, means), (False, single)):
        keys = dict.fromkeys(tuple(row[column] for column in COMPARED) for row in chosen)
        for baseline, category, task, metric in keys:
            key = (baseline, category, task, metric)
            members = [row for row in chosen if tuple(row[column] for column in COMPARED) == key]
            groups.append(
                {
                    "category": category,
                    "task": task,
                    "metric": metric,
                    "note": notes.get(category, "") if overall else "",
                    "overall": overall,
                    "share": data.definition(metric)["unit"] == "share",
                    "lower": not data.definition(metric)["higher_is_better"],
                    "base": text.value(members[0]["base_value"], data.definition(metric)["unit"]),
                    "baseline": baseline,
                    "chance": text.value(chances[category, task, metric], data.definition(metric)["unit"])
                    if (category, task, metric) in chances
                    else "",
                    "rows": [shown(data, row) for row in members],
                }
            )
    return groups


def shown(data: ReportData, row: Row) -> dict[str, Any]:
    """One comparison as texts."""
    unit = data.definition(row["metric"])["unit"]
    places = text.decimals(unit, row["low"], row["high"])
    flags = row["flags"]
    if isinstance(flags, str):
        flags = [flag.strip() for flag in flags.split(";")]
    word = row["verdict"] or text.DASH
    return {
        "variant": row["variant"],
        "base": text.value(row["base_value"], unit),
        "value": text.value(row["value"], unit),
        "difference": text.difference(row["absolute"], unit, places),
        "interval": text.interval(row["low"], row["high"], unit),
        "relative": text.percent(row["relative"]),
        "verdict": word,
        "sign": text.WORDS.get(word, ("", ""))[0],
        "p": text.probability(row["p_adjusted"]),
        "mde": text.difference(row["mde"], unit, places).lstrip("+") if row["mde"] is not None else text.DASH,
        "n": f"{row['n_seeds']} × {row['n_items']:,}" if row["n_items"] is not None else text.DASH,
        "flags": [flag for flag in flags or [] if flag],
        "claim": row["claim"],
        "unit": text.unit_name(unit),
    }
