"""What was trained on: the realised mixture of every stage, and where the documents of every source ended."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from pretrial.report import format as text
from pretrial.report.data import ReportData, Row
from pretrial.report.figures.base import SHORT, Canvas, Chart, Figure, Panel, present, source_colours

_LABEL = 23
"""Characters of a step's name on one line."""
_LINES = "split(datum.label, '\\n')"
_CENTRED = "-6.5 * (length(split(datum.label, '\\n')) - 1)"


def realised(data: ReportData) -> list[dict[str, Any]]:
    """The mixture of each variant and stage as trained, from the ledger, added over seeds."""
    totals: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for row in data.ledger:
        stage = totals.setdefault((row["variant"], str(row["stage"])), {})
        source = stage.setdefault(row["source"], {"asked": 0.0, "got": 0.0, "epochs": 0.0, "seeds": 0.0})
        source["asked"] += row["requested_share"] or 0.0
        source["got"] += row["realised_tokens"] or 0
        source["epochs"] += row["epochs"] or 0.0
        source["seeds"] += 1
    rows = []
    for (variant, stage_name), sources in totals.items():
        everything = sum(source["got"] for source in sources.values()) or 1.0
        for name, source in sources.items():
            rows.append(
                {
                    "variant": variant,
                    "stage": stage_name,
                    "source": name,
                    "requested_share": source["asked"] / source["seeds"],
                    "realised_share": source["got"] / everything,
                    "realised_tokens": source["got"] / source["seeds"],
                    "epochs": source["epochs"] / source["seeds"],
                }
            )
    order = {name: i for i, name in enumerate(data.variant_names)}
    return sorted(rows, key=lambda row: order.get(row["variant"], len(order)))


def mixture(data: ReportData) -> Figure | None:
    """Realised shares as bars, requested ones as ticks on them; a panel per stage."""
    rows = realised(data)
    if not rows:
        return None
    colours = source_colours(data)
    panels = []
    for stage in dict.fromkeys(row["stage"] for row in rows):
        chosen = [row for row in rows if row["stage"] == stage]
        panels.append(_mixture_panel(data, stage, chosen, colours))
    used = [source for source in colours if any(row["source"] == source for row in rows)]
    return Figure(
        name="mixture",
        title="Realised mixture",
        caption=(
            "Share of each source in the tokens of a stage, as trained. Ticks stand where the study asked the "
            "bars to end."
        ),
        panels=tuple(panels),
        legend=tuple((source, "s", str(colours[source])) for source in used),
        columns=(
            "variant",
            "stage",
            "source",
            "requested_share",
            "realised_share",
            "realised_tokens",
            "epochs",
        ),
        rows=tuple(rows),
    )


def _mixture_panel(data: ReportData, stage: str, rows: Sequence[Row], colours: Mapping[str, int]) -> Panel:
    arms = present(data, rows)
    values, ticks = [], []
    for name in arms:
        at = asked = 0.0
        for row in (row for row in rows if row["variant"] == name):
            values.append(
                {
                    "variant": name,
                    "source": row["source"],
                    "from": at,
                    "to": at + row["realised_share"],
                    "share": row["realised_share"],
                    "asked": row["requested_share"],
                    "epochs": row["epochs"],
                }
            )
            at += row["realised_share"]
            asked += row["requested_share"]
            ticks.append({"variant": name, "at": asked})

    def draw(canvas: Canvas) -> Chart:
        palette = canvas.palette
        used = [source for source in colours if any(value["source"] == source for value in values)]
        y = alt.Y(
            "variant:N",
            scale=alt.Scale(domain=arms),
            title=None,
            axis=alt.Axis(domain=False, ticks=False, labelPadding=8, labelLimit=150, grid=False),
        )
        bars = (
            canvas.chart(values)
            .mark_bar(height=alt.RelativeBandSize(0.62))
            .encode(
                y=y,
                x=alt.X(
                    "from:Q",
                    title="share of the stage's tokens",
                    scale=alt.Scale(domain=[0, 1]),
                    axis=alt.Axis(format="~%", tickCount=5),
                ),
                x2="to:Q",
                color=alt.Color(
                    "source:N",
                    scale=alt.Scale(domain=used, range=[palette.sources[colours[source]] for source in used]),
                    legend=None,
                ),
                tooltip=[
                    alt.Tooltip("variant:N", title="variant"),
                    alt.Tooltip("source:N", title="source"),
                    alt.Tooltip("share:Q", title="realised", format=".3~%"),
                    alt.Tooltip("asked:Q", title="requested", format=".3~%"),
                    alt.Tooltip("epochs:Q", title="epochs", format=".2f"),
                ],
            )
        )
        marks = (
            canvas.chart(ticks)
            .mark_tick(color=palette.ink, thickness=2, opacity=1, height=alt.RelativeBandSize(0.86))
            .encode(y=y, x="at:Q")
        )
        return alt.layer(bars, marks)

    said = "; ".join(
        f"{value['variant']}: {value['source']} {text.share(value['share'])}, asked {text.share(value['asked'])}"
        for value in values
    )
    return Panel(f"stage {stage}", "", 34 * len(arms), f"Realised mixture of stage {stage}. {said}.", draw)


def _drawn(steps: Sequence[Row]) -> list[Row]:
    """A source's steps that left less than the one before, its first one, and the parts that have documents."""
    kept: list[Row] = []
    for step in steps:
        if step["part"]:
            if step["documents"]:
                kept.append(step)
        elif not kept or any(step[what] != kept[-1][what] for what in ("documents", "bytes")):
            kept.append(step)
    return kept


def funnel(data: ReportData) -> Figure | None:
    """Bytes of each source that every step of reading left, and the parts that this falls into; a panel per source."""
    rows: list[dict[str, Any]] = []
    for source in dict.fromkeys(row["source"] for row in data.funnel):
        rows += [{**row} for row in _drawn([row for row in data.funnel if row["source"] == source])]
    if not rows:
        return None
    colours = source_colours(data)
    panels = []
    for source in dict.fromkeys(row["source"] for row in rows):
        chosen = []
        at = 0
        for row in (row for row in rows if row["source"] == source):
            begin = at if row["part"] else 0
            at = begin + row["bytes"] if row["part"] else 0
            made_from = row["made_from"]
            tokens = "" if row["tokens"] is None else f", {text.short(row['tokens'])} tokens"
            chosen.append(
                {
                    "step": row["step"],
                    "label": "\n".join(textwrap.wrap(row["step"], _LABEL, break_on_hyphens=False)),
                    "part": row["part"],
                    "from": begin,
                    "to": begin + row["bytes"],
                    "bytes": row["bytes"],
                    "documents": row["documents"],
                    "shown": f"{text.size(row['bytes'])}, {text.count(row['documents'])} documents{tokens}",
                }
            )
        panels.append(_funnel_panel(source, f"made from {made_from}" if made_from else "", chosen, colours[source]))
    return Figure(
        name="funnel",
        title="From documents read to where they ended",
        caption=(
            "Solid: bytes of each source that every step of reading left; steps that changed nothing are not drawn. "
            "Pale: the parts that this falls into, end to end. Scales start at zero and differ."
        ),
        panels=tuple(panels),
        legend=(),
        columns=("source", "made_from", "step", "part", "documents", "bytes", "tokens"),
        rows=tuple(rows),
    )


def _funnel_panel(source: str, note: str, values: list[dict[str, Any]], colour: int) -> Panel:
    steps = [value["label"] for value in values]

    def draw(canvas: Canvas) -> Chart:
        palette = canvas.palette
        y = alt.Y(
            "label:N",
            scale=alt.Scale(domain=steps),
            title=None,
            axis=alt.Axis(
                domain=False,
                ticks=False,
                labelPadding=8,
                labelLimit=150,
                grid=False,
                labelExpr=_LINES,
                labelOffset=alt.ExprRef(_CENTRED),
                labelOverlap=False,
            ),
        )
        tips = [
            alt.Tooltip("step:N", title="step"),
            alt.Tooltip("bytes:Q", title="bytes", format=","),
            alt.Tooltip("documents:Q", title="documents", format=","),
        ]
        x = alt.X("from:Q", title="bytes", axis=alt.Axis(format="~s", labelExpr=SHORT, tickCount=4))
        layers = [
            canvas.chart(bars)
            .mark_bar(height=alt.RelativeBandSize(0.62), color=palette.sources[colour], opacity=opacity)
            .encode(y=y, x=x, x2="to:Q", tooltip=tips)
            for part, opacity in ((False, 1.0), (True, 0.5))
            if (bars := [value for value in values if value["part"] == part])
        ]
        return alt.layer(*layers)

    said = "; ".join(f"{'of these ' if value['part'] else ''}{value['step']}: {value['shown']}" for value in values)
    made = f", {note}" if note else ""
    return Panel(source, note, 28 * len(values), f"What became of {source}{made}. {said}.", draw)
