"""Effects with intervals: one panel per category and metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from pretrial.report import format as text
from pretrial.report.data import ReportData, Row
from pretrial.report.figures.base import (
    Canvas,
    Chart,
    Figure,
    Panel,
    task_label,
    times,
    variant_legend,
    variant_scale,
    variant_shape,
)


def effects(data: ReportData) -> Figure | None:
    """Every variant against its baseline at its end, with intervals; one panel per category and metric."""
    keep = (
        "variant", "baseline", "stage", "tokens", "category", "task", "metric", "absolute", "low", "high",
        "level", "delta", "verdict", "claim",
    )  # fmt: skip
    rows = [
        {column: row[column] for column in keep}
        for row in data.final_comparisons()
        if row["absolute"] is not None and math.isfinite(row["absolute"])
    ]
    keys = dict.fromkeys((row["baseline"], row["category"], row["metric"]) for row in rows)
    panels = tuple(
        _effect_panel(data, [row for row in rows if (row["baseline"], row["category"], row["metric"]) == key])
        for key in keys
    )
    if not panels:
        return None
    names = [name for name in data.variant_names if any(row["variant"] == name for row in rows)]
    return Figure(
        name="effects",
        title="Effects with intervals",
        caption=(
            f"Difference from {data.baseline} at each variant's end, with {data.interval} intervals over seeds and "
            "items. The shaded band is ±δ, inside which two variants count as equivalent; a ring marks a row that a "
            "claim is about. Intervals are not adjusted for their number."
        ),
        panels=panels,
        legend=variant_legend(data, names),
        columns=keep,
        rows=tuple(rows),
    )


def _effect_panel(data: ReportData, rows: Sequence[Row]) -> Panel:
    """One category and metric against one baseline; `rows` are all of it and at least one."""
    baseline, category, metric = rows[0]["baseline"], rows[0]["category"], rows[0]["metric"]
    definition = data.definition(metric)
    unit, scale = definition["unit"], 100.0 if definition["unit"] == "share" else 1.0
    tasks = list(dict.fromkeys(task_label(row["task"]) for row in rows))
    arms = [name for name in data.variant_names if any(row["variant"] == name for row in rows)]
    values = [
        {
            "task": task_label(row["task"]),
            "variant": row["variant"],
            "estimate": times(row["absolute"], scale),
            "low": times(row["low"], scale),
            "high": times(row["high"], scale),
            "minus": times(row["delta"], -scale),
            "delta": times(row["delta"], scale),
            "claim": bool(row["claim"]),
            "verdict": row["verdict"] or "",
            "shown": " ".join((text.difference(row["absolute"], unit), text.interval(row["low"], row["high"], unit))),
        }
        for row in rows
    ]
    better = "right" if definition["higher_is_better"] else "left"
    arrow = "better →" if better == "right" else "← better"

    def draw(canvas: Canvas) -> Chart:
        palette = canvas.palette
        y = alt.Y(
            "task:N",
            scale=alt.Scale(type="band", domain=tasks),
            title=None,
            axis=alt.Axis(domain=False, ticks=False, labelPadding=8, labelLimit=130, grid=False),
        )
        offset = alt.YOffset("variant:N", scale=alt.Scale(type="band", domain=arms, paddingInner=0.2, paddingOuter=0.6))
        x = alt.X(
            "estimate:Q",
            title=f"{text.unit_name(unit) or metric}   ({arrow})",
            axis=alt.Axis(tickCount=5, grid=True),
            scale=alt.Scale(zero=True, nice=True),
        )
        colour = variant_scale(data, arms, palette)
        tips = [
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("task:N", title="task"),
            alt.Tooltip("shown:N", title="difference"),
            alt.Tooltip("verdict:N", title="verdict"),
        ]
        layers: list[Any] = []
        bands: dict[str, dict[str, Any]] = {}
        for value in values:
            if value["delta"] is not None:
                bands.setdefault(value["task"], {k: value[k] for k in ("task", "minus", "delta")})
        if bands:
            layers.append(
                canvas.chart(bands.values())
                .mark_bar(color=palette.band, height=alt.RelativeBandSize(0.94), cornerRadius=2)
                .encode(y=y, x=alt.X("minus:Q"), x2="delta:Q")
            )
        layers.append(canvas.chart([{"zero": 0}]).mark_rule(color=palette.ink, strokeWidth=1).encode(x="zero:Q"))
        known = [value for value in values if value["low"] is not None and value["high"] is not None]
        if known:
            layers.append(
                canvas.chart(known)
                .mark_rule(strokeWidth=2.4, strokeCap="round")
                .encode(
                    y=y,
                    yOffset=offset,
                    x=alt.X("low:Q", title=f"{text.unit_name(unit) or metric}   ({arrow})"),
                    x2="high:Q",
                    color=colour,
                    tooltip=tips,
                )
            )
        points = (
            canvas.chart(values)
            .mark_point(filled=True, size=70, opacity=1)
            .encode(
                y=y,
                yOffset=offset,
                x=x,
                color=colour,
                shape=variant_shape(data, arms),
                tooltip=tips,
            )
        )
        layers.append(points)
        claimed = [value for value in values if value["claim"]]
        if claimed:
            layers.append(
                canvas.chart(claimed)
                .mark_point(filled=False, size=240, strokeWidth=1.4, color=palette.ink, opacity=1)
                .encode(y=y, yOffset=offset, x=x, tooltip=tips)
            )
        return alt.layer(*layers)

    said = "; ".join(f"{value['variant']}, {value['task']}: {value['shown']}, {value['verdict']}" for value in values)
    return Panel(
        title=category,
        note=metric if baseline == data.baseline else f"{metric}, against {baseline}",
        height=len(tasks) * (16 * len(arms) + 14),
        label=f"{category}, {metric}: difference from {baseline}. {said}.",
        draw=draw,
    )
