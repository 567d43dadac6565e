"""The figures, each as panels that the page draws at any width, and as one SVG and PNG with light ground.

A figure is data first: its CSV holds exactly the rows that are drawn. Colours come from a palette that
stays apart for the common kinds of colour blindness (after Okabe and Ito for variants, Tol for sources); a
variant keeps its colour and its shape through all figures, the baseline is grey. In the page colours are
CSS variables, so a change of scheme or printing needs no redraw. SVG and PNG are the same bytes for the
same data and library versions. Nothing is loaded from anywhere: data is inline. Names stand in data and
in scales' domains only; an order given by `sort` would put them into an expression, where they do not belong.

Curves are thinned to at most 150 points an arm by means over neighbouring steps; the whole curves are in
the checkpoints' metrics, not here.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import altair as alt

from pretrial.report import format as text
from pretrial.report.data import ReportData, Row

Chart: TypeAlias = Any  # alt.Chart or alt.LayerChart: Altair's own operators widen the type

POINTS = 150
"""Most points of one line."""

# Baseline first, then the other variants.
VARIANTS_LIGHT = ("#6b7280", "#0072b2", "#d55e00", "#00875f", "#b0468f", "#9a6b00", "#3d9bd1", "#7a3b00")
VARIANTS_DARK = ("#a3abb8", "#56b4e9", "#f58549", "#3ecf9f", "#e68fc8", "#e6b93c", "#a8d8f5", "#d9a066")
SOURCES_LIGHT = ("#4477aa", "#ddaa33", "#44aa99", "#aa4466", "#99bb55", "#8877bb", "#bb8866", "#667788")
SOURCES_DARK = ("#7aa6d6", "#e3bf62", "#5fc7b5", "#d67a97", "#b5d177", "#ab9cdc", "#d6a989", "#93a5b8")
SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])

SHORT = "datum.value === 0 ? '0' : replace(datum.label, 'k', 'K')"
"""Axis labels as the rest of the report writes numbers: 0, 50K, 2M."""


@dataclass(frozen=True)
class Palette:
    """Colours and type for one place where charts are drawn."""

    ink: str
    muted: str
    grid: str
    band: str
    ground: str
    variants: tuple[str, ...]
    sources: tuple[str, ...]
    font: str


LIGHT = Palette(
    ink="#1b1e24",
    muted="#5b6370",
    grid="#e6e7e9",
    band="#e9eef4",
    ground="#ffffff",
    variants=VARIANTS_LIGHT,
    sources=SOURCES_LIGHT,
    font="Liberation Sans, Arial, Helvetica, sans-serif",
)
PAGE = Palette(
    ink="var(--ink)",
    muted="var(--muted)",
    grid="var(--grid)",
    band="var(--band)",
    ground="transparent",
    variants=tuple(f"var(--v{i})" for i in range(len(VARIANTS_LIGHT))),
    sources=tuple(f"var(--s{i})" for i in range(len(SOURCES_LIGHT))),
    font="system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
)


class Canvas:
    """Where one chart is drawn: a palette, and the data that its layers name.

    Data goes beside the chart and not into it: Altair checks every value of inline data against a schema,
    which takes seconds. Values are rounded to six digits and what is not finite becomes null.
    """

    def __init__(self, palette: Palette) -> None:
        self.palette = palette
        self.datasets: dict[str, list[dict[str, Any]]] = {}

    def chart(self, rows: Iterable[Row]) -> alt.Chart:
        """A chart of these rows, named by their content."""
        values = [{name: _drawn(value) for name, value in row.items()} for row in rows]
        name = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
        self.datasets[name] = values
        return alt.Chart(alt.NamedData(name=name))


def _drawn(value: object) -> object:
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


@dataclass(frozen=True)
class Panel:
    """One set of axes. `draw` gives the chart without width, title or config."""

    title: str
    note: str
    height: int
    label: str
    """What the chart says, for a reader who cannot see it."""
    draw: Callable[[Canvas], Chart]


@dataclass(frozen=True)
class Figure:
    """Panels that belong together, with the data they draw."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    legend: tuple[tuple[str, str, str], ...]
    """(what, "v" or "s", position in the palette or "anchor"): what colours mean."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    columns_of_panels: int = 2


def variant_colour(data: ReportData, name: str) -> int:
    """A variant's place in the palette: 0 for the baseline, the others by the order of the study file."""
    others = [other for other in data.variant_names if other != data.baseline]
    if name == data.baseline:
        return 0
    return 1 + others.index(name) % (len(VARIANTS_LIGHT) - 1) if name in others else 0


def source_colours(data: ReportData) -> dict[str, int]:
    """Place of each source in the palette, by first appearance in ledger, training and funnel."""
    names: dict[str, int] = {}
    for row in (*data.ledger, *data.funnel):
        names.setdefault(row["source"], len(names) % len(SOURCES_LIGHT))
    return names


def figures(data: ReportData) -> list[Figure]:
    """All figures that the data can fill, in the order of the page."""
    made = (
        effects(data),
        training_curves(data),
        source_curves(data),
        learning_rates(data),
        evaluation_curves(data),
        mixture(data),
        funnel(data),
    )
    return [figure for figure in made if figure is not None]


# Effects


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
        legend=_variant_legend(data, names),
        columns=keep,
        rows=tuple(rows),
    )


def _effect_panel(data: ReportData, rows: Sequence[Row]) -> Panel:
    """One category and metric against one baseline; `rows` are all of it and at least one."""
    baseline, category, metric = rows[0]["baseline"], rows[0]["category"], rows[0]["metric"]
    definition = data.definition(metric)
    unit, scale = definition["unit"], 100.0 if definition["unit"] == "share" else 1.0
    tasks = list(dict.fromkeys(_task_label(row["task"]) for row in rows))
    arms = [name for name in data.variant_names if any(row["variant"] == name for row in rows)]
    values = [
        {
            "task": _task_label(row["task"]),
            "variant": row["variant"],
            "estimate": _times(row["absolute"], scale),
            "low": _times(row["low"], scale),
            "high": _times(row["high"], scale),
            "minus": _times(row["delta"], -scale),
            "delta": _times(row["delta"], scale),
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
        colour = _variant_scale(data, arms, palette)
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
                shape=alt.Shape(
                    "variant:N",
                    scale=alt.Scale(domain=arms, range=[SHAPES[variant_colour(data, name)] for name in arms]),
                    legend=None,
                ),
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


# Curves


def training_curves(data: ReportData) -> Figure | None:
    """Training loss by variant: seeds thin, their mean thick."""
    lines = [
        {"variant": name, "seed": seed, "tokens": tokens, "loss": loss}
        for (name, seed), points in _arms(data).items()
        for tokens, loss in thin([(point["tokens"], point["loss"]) for point in points])
    ]
    if not lines:
        return None
    return Figure(
        name="training-loss",
        title="Training loss",
        caption=(
            "Mean loss of the training sequences, in nats per token. Thin: seeds; thick: their mean; "
            "dotted: ends of stages. Losses on different mixtures do not compare. The first steps lie above "
            "the chart."
        ),
        panels=(_line_panel(data, lines, "loss", "nats per token", title="", height=320, boundaries=True),),
        legend=_variant_legend(data, _present(data, lines)),
        columns=("variant", "seed", "tokens", "loss"),
        rows=tuple(lines),
        columns_of_panels=1,
    )


def source_curves(data: ReportData) -> Figure | None:
    """Training loss on the sequences of each source."""
    sources = list(dict.fromkeys(source for point in data.training for source in sorted(point["by_source"])))
    order = list(source_colours(data))
    sources.sort(key=lambda source: order.index(source) if source in order else len(order))
    if len(sources) < 2:
        return None
    rows: list[dict[str, Any]] = []
    panels = []
    for source in sources:
        lines = [
            {"source": source, "variant": name, "seed": seed, "tokens": tokens, "loss": loss}
            for (name, seed), points in _arms(data).items()
            for tokens, loss in thin(
                [(p["tokens"], p["by_source"][source]) for p in points if source in p["by_source"]],
                POINTS // 2,
            )
        ]
        rows += lines
        panels.append(_line_panel(data, lines, "loss", "nats per token", title=source, height=220, boundaries=True))
    return Figure(
        name="training-loss-by-source",
        title="Training loss by source",
        caption="The same, on the sequences of one source. Arms that do not train on it are absent.",
        panels=tuple(panels),
        legend=_variant_legend(data, _present(data, rows)),
        columns=("source", "variant", "seed", "tokens", "loss"),
        rows=tuple(rows),
    )


def learning_rates(data: ReportData) -> Figure | None:
    """The learning rate of each variant; variants with one and the same curve are drawn as one."""
    curves: dict[tuple[tuple[int, float], ...], list[str]] = {}
    for name in data.variant_names:
        seeds = [points for (arm, _), points in _arms(data).items() if arm == name]
        if seeds:
            longest = max(seeds, key=len)
            curves.setdefault(tuple((point["tokens"], point["lr"]) for point in longest), []).append(name)
    if not curves:
        return None
    rows = [
        {"variants": text.listing(names), "variant": names[0], "tokens": tokens, "lr": lr}
        for curve, names in curves.items()
        for tokens, lr in _picked(curve)
    ]
    same = " ".join(f"One curve for {text.listing(names)}." for names in curves.values() if len(names) > 1)

    def draw(canvas: Canvas) -> Chart:
        palette = canvas.palette
        arms = [names[0] for names in curves.values()]
        return (
            canvas.chart(rows)
            .mark_line(strokeWidth=2)
            .encode(
                x=_tokens_axis(),
                y=alt.Y("lr:Q", title="learning rate", axis=alt.Axis(format="~g", tickCount=4)),
                color=_variant_scale(data, arms, palette),
                strokeDash=alt.StrokeDash(
                    "variant:N",
                    scale=alt.Scale(domain=arms, range=[DASHES[i % len(DASHES)] for i in range(len(arms))]),
                    legend=None,
                ),
                tooltip=[
                    alt.Tooltip("variants:N", title="variants"),
                    alt.Tooltip("tokens:Q", title="tokens", format=","),
                    alt.Tooltip("lr:Q", title="learning rate", format=".3~g"),
                ],
            )
        )

    return Figure(
        name="learning-rate",
        title="Learning rate",
        caption=f"The learning rate of each step. {same}".strip(),
        panels=(Panel("", "", 180, "Learning rate by tokens trained. " + same, draw),),
        legend=_variant_legend(data, [names[0] for names in curves.values()]) if len(curves) > 1 else (),
        columns=("variants", "variant", "tokens", "lr"),
        rows=tuple(rows),
        columns_of_panels=1,
    )


def evaluation_curves(data: ReportData) -> Figure | None:
    """Metrics of checkpoints by tokens; a 3-gram model and zstd as dashed lines where they exist."""
    points = sorted(data.evaluation, key=lambda point: (data.task_rank(point), point["tokens"]))
    if not points:
        return None
    order = {name: i for i, name in enumerate(data.variant_names)}
    panels = []
    rows: list[dict[str, Any]] = []
    keys = dict.fromkeys((point["category"], point["task"], point["metric"]) for point in points)
    for category, task, metric in keys:
        definition = data.definition(metric)
        chosen = [p for p in points if (p["category"], p["task"], p["metric"]) == (category, task, metric)]
        lines = [{key: value for key, value in point.items() if key in EVALUATION_COLUMNS} for point in chosen]
        lines.sort(key=lambda line: (order[str(line["variant"])], line["seed"], line["tokens"]))
        anchors = [
            (anchor["anchor"], anchor["value"])
            for anchor in data.anchors
            if (anchor["category"], anchor["task"], anchor["metric"]) == (category, task, metric)
        ]
        rows += lines
        better = "higher is better" if definition["higher_is_better"] else "lower is better"
        panels.append(
            _line_panel(
                data,
                lines,
                "value",
                definition["unit"] if definition["unit"] not in ("", "share") else metric,
                title=f"{category}: {_task_label(task)}",
                note=f"{metric}, {better}" if definition["unit"] != metric else better,
                height=220,
                boundaries=False,
                anchors=anchors,
                dots=True,
                share=definition["unit"] == "share",
            )
        )
    legend = _variant_legend(data, _present(data, rows))
    return Figure(
        name="evaluation",
        title="Evaluation along the way",
        caption=(
            "Each point is a checkpoint evaluated on the same items. Thin: seeds; thick: their mean; dashed: "
            "what a 3-gram model and zstd reach on the same documents."
        ),
        panels=tuple(panels),
        legend=legend,
        columns=EVALUATION_COLUMNS,
        rows=tuple(rows),
    )


EVALUATION_COLUMNS = ("category", "task", "metric", "variant", "seed", "stage", "tokens", "value")


def _line_panel(
    data: ReportData,
    lines: Sequence[Row],
    field: str,
    unit: str,
    *,
    title: str,
    height: int,
    boundaries: bool,
    note: str = "",
    anchors: Sequence[tuple[str, float]] = (),
    dots: bool = False,
    share: bool = False,
) -> Panel:
    """Seeds thin and means thick over tokens."""
    arms = _present(data, lines)
    thinly = [
        {"variant": line["variant"], "seed": line["seed"], "tokens": line["tokens"], "y": line[field]} for line in lines
    ]
    means = _means(thinly)
    extent = _extent([line["y"] for line in thinly], [line["tokens"] for line in thinly], whole=dots)
    low = min([extent[0], *(value for _, value in anchors)])
    high = max([extent[1], *(value for _, value in anchors)])
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    end = max((line["tokens"] for line in thinly), default=0)
    # What runs off the top is left out rather than clipped: clip paths cost the PNG seconds.
    thinly = [line for line in thinly if line["y"] <= high + pad]
    means = [mean for mean in means if mean["y"] <= high + pad]
    ends = sorted({s["start"] + s["tokens"] for s in data.plan} - {end}) if boundaries else []

    def draw(canvas: Canvas) -> Chart:
        palette = canvas.palette
        y = alt.Y(
            "y:Q",
            title=unit,
            scale=alt.Scale(domain=[low - pad, high + pad], nice=False, zero=False),
            axis=alt.Axis(tickCount=5, format="~%" if share else "~g"),
        )
        colour = _variant_scale(data, arms, palette)
        tips = [
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("tokens:Q", title="tokens", format=","),
            alt.Tooltip("y:Q", title=field, format=".1%" if share else ".4~g"),
        ]
        x = _tokens_axis(end)
        layers: list[Any] = []
        if ends:
            marks = canvas.chart([{"tokens": at} for at in ends])
            layers.append(marks.mark_rule(color=palette.muted, strokeDash=[1, 3]).encode(x=x))
        layers.append(
            canvas.chart(thinly)
            .mark_line(strokeWidth=1, strokeOpacity=0.4)
            .encode(x=x, y=y, color=colour, detail="seed:N")
        )
        layers.append(canvas.chart(means).mark_line(strokeWidth=2.4).encode(x=x, y=y, color=colour, tooltip=tips))
        if dots:
            layers.append(
                canvas.chart(means)
                .mark_point(filled=True, size=46, opacity=1)
                .encode(
                    x=x,
                    y=y,
                    color=colour,
                    shape=alt.Shape(
                        "variant:N",
                        scale=alt.Scale(domain=arms, range=[SHAPES[variant_colour(data, name)] for name in arms]),
                        legend=None,
                    ),
                    tooltip=tips,
                )
            )
        if anchors:
            marked = canvas.chart([{"anchor": name, "y": value, "tokens": 0} for name, value in anchors])
            layers.append(marked.mark_rule(color=palette.muted, strokeDash=[5, 4], strokeWidth=1.2).encode(y=y))
            layers.append(
                marked.mark_text(align="left", dx=4, dy=-6, color=palette.muted, fontSize=11).encode(
                    x=x, y=y, text="anchor:N"
                )
            )
        return alt.layer(*layers)

    said = ", ".join(
        f"{name} ends at {last['y']:.3f}"
        for name in arms
        for last in [[mean for mean in means if mean["variant"] == name][-1]]
    )
    return Panel(title, note, height, f"{title or 'Training'} {note or unit} by tokens trained: {said}.", draw)


# Data


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
    arms = _present(data, rows)
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


def funnel(data: ReportData) -> Figure | None:
    """Bytes of each source that were left after each step; a panel per source."""
    rows: list[dict[str, Any]] = [{**row} for row in data.funnel]
    if not rows:
        return None
    colours = source_colours(data)
    panels = []
    for source in dict.fromkeys(row["source"] for row in rows):
        chosen = [
            {
                "step": row["step"],
                "bytes": row["bytes"],
                "documents": row["documents"],
                "shown": f"{text.size(row['bytes'])}, {text.count(row['documents'])} documents",
            }
            for row in rows
            if row["source"] == source
        ]
        panels.append(_funnel_panel(source, chosen, colours[source]))
    return Figure(
        name="funnel",
        title="From documents read to documents trained on",
        caption="Bytes of each source that were left after each step. Bars start at zero; scales differ.",
        panels=tuple(panels),
        legend=(),
        columns=("source", "step", "documents", "bytes"),
        rows=tuple(rows),
    )


def _funnel_panel(source: str, values: list[dict[str, Any]], colour: int) -> Panel:
    steps = [value["step"] for value in values]

    def draw(canvas: Canvas) -> Chart:
        palette = canvas.palette
        y = alt.Y(
            "step:N",
            scale=alt.Scale(domain=steps),
            title=None,
            axis=alt.Axis(domain=False, ticks=False, labelPadding=8, labelLimit=140, grid=False),
        )
        tips = [
            alt.Tooltip("step:N", title="step"),
            alt.Tooltip("bytes:Q", title="bytes", format=","),
            alt.Tooltip("documents:Q", title="documents", format=","),
        ]
        bars = (
            canvas.chart(values)
            .mark_bar(height=alt.RelativeBandSize(0.62), color=palette.sources[colour])
            .encode(
                y=y,
                x=alt.X("bytes:Q", title="bytes", axis=alt.Axis(format="~s", labelExpr=SHORT, tickCount=4)),
                tooltip=tips,
            )
        )
        return bars

    said = "; ".join(f"{value['step']}: {value['shown']}" for value in values)
    return Panel(source, "", 28 * len(values), f"What was left of {source}. {said}.", draw)


# What they share


def _times(number: float | None, scale: float) -> float | None:
    return None if number is None or not math.isfinite(number) else number * scale


def _task_label(task: str) -> str:
    return "mean of tasks" if task == "mean" else task


def _present(data: ReportData, rows: Iterable[Row]) -> list[str]:
    there = {row["variant"] for row in rows}
    return [name for name in data.variant_names if name in there]


def _variant_legend(data: ReportData, names: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    return tuple((name, "v", str(variant_colour(data, name))) for name in names)


def _variant_scale(data: ReportData, names: Sequence[str], palette: Palette) -> alt.Color:
    colours = [palette.variants[variant_colour(data, name)] for name in names]
    return alt.Color("variant:N", scale=alt.Scale(domain=list(names), range=colours), legend=None)


def _tokens_axis(end: int | None = None) -> alt.X:
    scale = alt.Scale(zero=True, nice=False) if end is None else alt.Scale(domain=[0, end], nice=False)
    return alt.X(
        "tokens:Q",
        title="tokens",
        scale=scale,
        axis=alt.Axis(format="~s", labelExpr=SHORT, tickCount=5, grid=False),
    )


def _arms(data: ReportData) -> dict[tuple[str, int], list[Any]]:
    """Training points by arm, in tokens' order."""
    arms: dict[tuple[str, int], list[Any]] = {}
    order = {name: i for i, name in enumerate(data.variant_names)}
    for point in sorted(data.training, key=lambda p: (order.get(p["variant"], len(order)), p["seed"], p["tokens"])):
        arms.setdefault((point["variant"], point["seed"]), []).append(point)
    return arms


def thin(points: Sequence[tuple[int, float]], most: int = POINTS) -> list[tuple[int, float]]:
    """At most `most` points: means over runs of neighbours, each at its run's last token.

    Runs are cut by position, so arms recorded at the same steps stay on one grid and can be averaged.
    """
    if len(points) <= most:
        return list(points)
    cuts = [i * len(points) // most for i in range(most + 1)]
    return [
        (points[stop - 1][0], math.fsum(value for _, value in points[start:stop]) / (stop - start))
        for start, stop in itertools.pairwise(cuts)
    ]


def _picked(points: Sequence[tuple[int, float]], most: int = 4 * POINTS) -> list[tuple[int, float]]:
    """At most about `most` of the points as they are, first and last among them."""
    stride = -(-len(points) // most)
    return [*points[:-1:stride], *points[-1:]]


def _means(lines: Sequence[Row]) -> list[dict[str, Any]]:
    """The mean over seeds where as many seeds are there as anywhere in the variant."""
    values: dict[str, dict[int, list[float]]] = {}
    for line in lines:
        values.setdefault(line["variant"], {}).setdefault(line["tokens"], []).append(line["y"])
    return [
        {"variant": name, "tokens": tokens, "y": math.fsum(seeds) / len(seeds)}
        for name, by_tokens in values.items()
        for most in [max(map(len, by_tokens.values()))]
        for tokens, seeds in sorted(by_tokens.items())
        if len(seeds) == most
    ]


def _extent(values: Sequence[float], tokens: Sequence[int], *, whole: bool) -> tuple[float, float]:
    """The range of an axis: of all values, or of those after the first tenth of training."""
    if not values:
        return 0.0, 1.0
    after = 0 if whole else max(tokens) / 10
    late = [value for value, at in zip(values, tokens, strict=True) if at >= after and math.isfinite(value)]
    return (min(late), max(late)) if late else (0.0, 1.0)


# Out


def config(palette: Palette) -> dict[str, Any]:
    """The look that all charts share."""
    return {
        "background": palette.ground,
        "font": palette.font,
        "view": {"stroke": None},
        "axis": {
            "labelColor": palette.muted,
            "titleColor": palette.muted,
            "labelFontSize": 11.5,
            "titleFontSize": 11.5,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "gridColor": palette.grid,
            "domainColor": palette.grid,
            "tickColor": palette.grid,
            "labelOverlap": True,
        },
        "axisX": {"labelFlush": False},
        "axisY": {"domain": False, "ticks": False},
        "title": {
            "color": palette.ink,
            "subtitleColor": palette.muted,
            "fontSize": 13,
            "subtitleFontSize": 11.5,
            "fontWeight": 600,
            "anchor": "start",
            "frame": "group",
            "offset": 10,
        },
        "legend": {
            "labelColor": palette.ink,
            "titleColor": palette.muted,
            "labelFontSize": 12,
            "labelLimit": 260,
        },
        "concat": {"spacing": 36},
    }


def page_spec(panel: Panel) -> dict[str, Any]:
    """Vega-Lite for the page: as wide as its place, colours from CSS."""
    canvas = Canvas(PAGE)
    chart = panel.draw(canvas).properties(
        width="container",
        height=panel.height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
    )
    spec: dict[str, Any] = chart.to_dict()
    spec["config"] = config(PAGE)
    spec["datasets"] = canvas.datasets
    del spec["$schema"]
    return spec


def export_spec(figure: Figure) -> dict[str, Any]:
    """Vega-Lite of the whole figure for a file: fixed width, light ground, its own legend."""
    columns = min(figure.columns_of_panels, len(figure.panels))
    width = 640 if columns == 1 else 330
    canvas = Canvas(LIGHT)
    charts: list[Any] = []
    for panel in figure.panels:
        chart = panel.draw(canvas).properties(width=width, height=panel.height)
        if panel.title:
            chart = chart.properties(title=alt.TitleParams(panel.title, subtitle=panel.note))
        charts.append(chart)
    body: Any = alt.concat(*charts, columns=columns).resolve_scale(color="independent", shape="independent")
    parts = [_key(figure, canvas), body] if figure.legend else [body]
    whole = alt.vconcat(*parts, spacing=16).resolve_scale(color="independent", shape="independent", x="independent")
    spec: dict[str, Any] = whole.to_dict()
    spec["config"] = config(LIGHT)
    spec["datasets"] = canvas.datasets
    spec["padding"] = 16
    return spec


def _key(figure: Figure, canvas: Canvas) -> Any:
    """The legend as a chart of its own: a column of marks and names."""
    rows = [{"name": name, "at": at} for at, (name, _, _) in enumerate(figure.legend)]
    kinds = {"v": LIGHT.variants, "s": LIGHT.sources}
    names = [name for name, _, _ in figure.legend]
    base = canvas.chart(rows).encode(
        y=alt.Y("at:O", axis=None),
        x=alt.X(datum=0, type="quantitative", axis=None, scale=alt.Scale(domain=[0, 300])),
    )
    marks = base.mark_point(filled=True, size=80, opacity=1).encode(
        color=alt.Color(
            "name:N",
            scale=alt.Scale(domain=names, range=[kinds[kind][int(place)] for _, kind, place in figure.legend]),
            legend=None,
        ),
        shape=alt.Shape(
            "name:N",
            scale=alt.Scale(
                domain=names,
                range=[SHAPES[int(place)] if kind == "v" else "square" for _, kind, place in figure.legend],
            ),
            legend=None,
        ),
    )
    labels = base.mark_text(align="left", dx=12, fontSize=12, color=LIGHT.ink).encode(text="name:N")
    title = alt.TitleParams(figure.title, fontSize=15, subtitle="")
    return alt.layer(marks, labels).properties(width=330, height=18 * len(rows), title=title)


def vega_lite_version() -> str:
    """The Vega-Lite that Altair writes, as vl-convert names it: "6.4"."""
    return str(alt.SCHEMA_VERSION).removeprefix("v").rsplit(".", 1)[0]


def svg(figure: Figure) -> str:
    """The figure as SVG text. Raises ValueError where Vega-Lite refuses it."""
    import vl_convert

    made: str = vl_convert.vegalite_to_svg(
        json.dumps(export_spec(figure), ensure_ascii=False, allow_nan=False),
        vl_version=vega_lite_version(),
        allowed_base_urls=[],
    )
    return made


def png(svg_text: str) -> bytes:
    """The SVG as PNG at twice its size."""
    import vl_convert

    made: bytes = vl_convert.svg_to_png(svg_text, scale=2)
    return made
