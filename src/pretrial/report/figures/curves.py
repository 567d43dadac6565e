"""Curves over tokens: training loss, in all and by source, learning rates, evaluation along the way.

Curves are thinned to at most 150 points an arm by means over neighbouring steps; the whole curves are in the
checkpoints' metrics, not here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from pretrial.report import format as text
from pretrial.report.data import ReportData, Row
from pretrial.report.figures.base import (
    DASHES,
    Canvas,
    Chart,
    Figure,
    Panel,
    present,
    source_colours,
    task_label,
    tokens_axis,
    variant_legend,
    variant_scale,
    variant_shape,
)

POINTS = 150
"""Most points of one line."""


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
        legend=variant_legend(data, present(data, lines)),
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
        legend=variant_legend(data, present(data, rows)),
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
                x=tokens_axis(),
                y=alt.Y("lr:Q", title="learning rate", axis=alt.Axis(format="~g", tickCount=4)),
                color=variant_scale(data, arms, palette),
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
        legend=variant_legend(data, [names[0] for names in curves.values()]) if len(curves) > 1 else (),
        columns=("variants", "variant", "tokens", "lr"),
        rows=tuple(rows),
        columns_of_panels=1,
    )


def evaluation_curves(data: ReportData) -> Figure | None:
    """Metrics of checkpoints by tokens; every variant's 3-gram model and zstd as dashed lines where they exist."""
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
        lines: list[dict[str, Any]] = [{**point, "anchor": ""} for point in chosen]
        lines.sort(key=lambda line: (order[line["variant"]], line["seed"], line["tokens"]))
        anchors = [
            {"stage": "", "tokens": None, "seed": None, **anchor}
            for anchor in data.anchors
            if (anchor["category"], anchor["task"], anchor["metric"]) == (category, task, metric)
        ]
        rows += [*lines, *anchors]
        better = "higher is better" if definition["higher_is_better"] else "lower is better"
        panels.append(
            _line_panel(
                data,
                lines,
                "value",
                definition["unit"] if definition["unit"] not in ("", "share") else metric,
                title=f"{category}: {task_label(task)}",
                note=f"{metric}, {better}" if definition["unit"] != metric else better,
                height=220,
                boundaries=False,
                anchors=anchors,
                dots=True,
                share=definition["unit"] == "share",
            )
        )
    legend = variant_legend(data, present(data, rows))
    return Figure(
        name="evaluation",
        title="Evaluation along the way",
        caption=(
            "Each point is a checkpoint evaluated on the same items. Thin: seeds; thick: their mean; dashed: what "
            "the 3-gram model of a variant's own training text reaches on the same documents, in its colour, and "
            "zstd, in grey."
        ),
        panels=tuple(panels),
        legend=legend,
        columns=EVALUATION_COLUMNS,
        rows=tuple(rows),
    )


EVALUATION_COLUMNS = ("category", "task", "metric", "variant", "seed", "stage", "tokens", "value", "anchor")
"""An anchor's row has its name under `anchor`, and no variant where it stands for all of them."""


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
    anchors: Sequence[Row] = (),
    dots: bool = False,
    share: bool = False,
) -> Panel:
    """Seeds thin and means thick over tokens; what runs off the top at an arm's beginning is left out."""
    arms = present(data, lines)
    thinly = [
        {"variant": line["variant"], "seed": line["seed"], "tokens": line["tokens"], "y": line[field]} for line in lines
    ]
    means = _means(thinly)
    extent = _extent(thinly, whole=dots)
    marks = [
        {"anchor": anchor["anchor"], "variant": anchor["variant"], "y": anchor["value"]}
        for anchor in anchors
        if not anchor["variant"] or anchor["variant"] in arms
    ]
    low = min([extent[0], *(mark["y"] for mark in marks)])
    high = max([extent[1], *(mark["y"] for mark in marks)])
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
        colour = variant_scale(data, arms, palette)
        tips = [
            alt.Tooltip("variant:N", title="variant"),
            alt.Tooltip("tokens:Q", title="tokens", format=","),
            alt.Tooltip("y:Q", title=field, format=".1%" if share else ".4~g"),
        ]
        x = tokens_axis(end)
        layers: list[Any] = []
        if ends:
            stops = canvas.chart([{"tokens": at} for at in ends])
            layers.append(stops.mark_rule(color=palette.muted, strokeDash=[1, 3]).encode(x=x))
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
                    shape=variant_shape(data, arms),
                    tooltip=tips,
                )
            )
        own = [mark for mark in marks if mark["variant"]]
        if own:
            tip = [
                alt.Tooltip("variant:N", title="variant"),
                alt.Tooltip("anchor:N", title="anchor"),
                alt.Tooltip("y:Q", title=field, format=".1%" if share else ".4~g"),
            ]
            layers.append(
                canvas.chart(own).mark_rule(strokeDash=[5, 4], strokeWidth=1.2).encode(y=y, color=colour, tooltip=tip)
            )
        shared = [mark | {"tokens": 0} for mark in marks if not mark["variant"]]
        if shared:
            marked = canvas.chart(shared)
            layers.append(marked.mark_rule(color=palette.muted, strokeDash=[5, 4], strokeWidth=1.2).encode(y=y))
            layers.append(
                marked.mark_text(align="left", dx=4, dy=-6, color=palette.muted, fontSize=11).encode(
                    x=x, y=y, text="anchor:N"
                )
            )
        return alt.layer(*layers)

    last = {mean["variant"]: mean["y"] for mean in means}
    ended = [f"{name} ends at {last[name]:.3f}" for name in arms if name in last]
    ended += [f"{' of '.join(filter(None, (mark['anchor'], mark['variant'])))} {mark['y']:.3f}" for mark in marks]
    said = ", ".join(ended)
    return Panel(title, note, height, f"{title or 'Training'} {note or unit} by tokens trained: {said}.", draw)


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


def _extent(lines: Sequence[Row], *, whole: bool) -> tuple[float, float]:
    """The range of an axis: of all values, or of those after the first tenth of each arm's own tokens.

    An arm may be short beside the others, or read a source at its beginning only: its end is in the range all the same.
    """
    late: list[float] = []
    for name in dict.fromkeys(line["variant"] for line in lines):
        own = [line for line in lines if line["variant"] == name and math.isfinite(line["y"])]
        first = min((line["tokens"] for line in own), default=0)
        span = max((line["tokens"] for line in own), default=0) - first
        late += [line["y"] for line in own if whole or line["tokens"] >= first + span / 10]
    return (min(late), max(late)) if late else (0.0, 1.0)
