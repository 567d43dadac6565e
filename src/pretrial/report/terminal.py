"""The comparison as plain lines for a terminal: no colour, no library, readable at 80 columns.

Names from outside lose their control characters here, so that a task's name cannot move the cursor. Widths
count wide East Asian characters as two columns. The words say what the table shows and does not show; the
numbers are those of the page.
"""

from __future__ import annotations

import textwrap
import unicodedata

from pretrial.report import format as text
from pretrial.report.compared import comparison_groups
from pretrial.report.data import ReportData


def comparison_lines(data: ReportData, width: int = 80) -> list[str]:
    """Table, claims, missing seeds, and what the results show and do not show.

    No line is wider than `width` columns (40 at least); longer names end in "…".
    """
    width = max(width, 40)
    lines: list[str] = []
    for notice in data.notices:
        lines += _wrapped(notice, width)
    if data.notices:
        lines.append("")
    for number, table in enumerate(_tables(data)):
        if number:
            lines.append("")
        lines += _table(table[0], table[1], width)
    if not data.comparisons:
        lines.append("No variant could be compared with its baseline.")
    for gap in data.missing:
        lines += _wrapped(f"Missing: {gap['variant']}, seed {gap['seed']}: {gap['reason']}", width)
    for said in data.contaminated_differently:
        lines += _wrapped(f"Contaminated differently: {said}", width)
    if data.claims:
        lines += ["", "Claims"]
    for claim in data.claims:
        unit = data.definition(claim["metric"])["unit"]
        places = text.decimals(unit, claim["low"], claim["high"])
        p = f", p {text.equals(claim['p_adjusted'])} after Holm" if claim["p_adjusted"] is not None else ""
        mark = "" if claim["registered"] else f", exploratory: {claim['registration'] or 'not registered in time'}"
        lines += _wrapped(f"{claim['verdict'].upper():<12}{claim['text']}", width, "  ", " " * 14)
        lines += _wrapped(
            f"{text.difference(claim['estimate'], unit, places)} "
            f"{text.interval(claim['low'], claim['high'], unit)} "
            f"{text.unit_name(unit)}{p}{mark}",
            width,
            " " * 14,
            " " * 14,
        )
    for title, sentences in (("What it shows", data.shows), ("What it does not show", data.does_not_show)):
        if sentences:
            lines += ["", title]
        for sentence in sentences:
            lines += _wrapped(sentence, width, "  - ", "    ")
    return lines


def _tables(data: ReportData) -> list[tuple[str, list[tuple[str, ...]]]]:
    """One table per category and metric, its mean first: heading and (task, variant, …) rows."""
    made: dict[tuple[str, str, str], tuple[str, list[tuple[str, ...]]]] = {}
    for group in comparison_groups(data):
        key = (group["baseline"], group["category"], group["metric"])
        if key not in made:
            better = "lower" if group["lower"] else "higher"
            heading = (
                f"{group['category']}, {group['metric']} ({better} is better): difference from {group['baseline']}"
            )
            made[key] = (heading, [])
        task = "mean of tasks" if group["overall"] else group["task"]
        for row in group["rows"]:
            made[key][1].append(
                (
                    task,
                    row["variant"],
                    f"{row['difference']} {row['interval']}",
                    row["verdict"] + (" *" if row["claim"] else ""),
                )
            )
            task = ""
    return list(made.values())


def _table(heading: str, rows: list[tuple[str, ...]], width: int) -> list[str]:
    """Rows as columns; names are cut where the numbers need the room."""
    clean = [tuple(_clean(cell) for cell in row) for row in rows]
    widths = [max(_columns(row[i]) for row in clean) for i in range(4)]
    spare = width - 2 - widths[2] - widths[3] - 6
    if widths[0] + widths[1] > spare:
        widths[0] = min(widths[0], max(6, spare // 2, spare - widths[1]))
        widths[1] = min(widths[1], max(6, spare - widths[0]))
    lines = _wrapped(heading, width)
    for task, variant, effect, verdict in clean:
        cells = (
            _fit(task, widths[0]),
            _fit(variant, widths[1]),
            " " * (widths[2] - _columns(effect)) + effect,
        )
        lines.append(_cut("  " + "  ".join((*cells, verdict)), width).rstrip())
    if any(row[3].endswith("*") for row in rows):
        lines.append("  * a claim is about this row")
    return lines


def _clean(words: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in words)


def _columns(words: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in words)


def _cut(words: str, width: int) -> str:
    if _columns(words) <= width:
        return words
    while _columns(words) > width - 1:
        words = words[:-1]
    return words + "…"


def _fit(words: str, width: int) -> str:
    words = _cut(words, width)
    return words + " " * (width - _columns(words))


def _wrapped(words: str, width: int, first: str = "", then: str = "") -> list[str]:
    lines = textwrap.wrap(_clean(words), width, initial_indent=first, subsequent_indent=then)
    return [_cut(line, width) for line in lines]
