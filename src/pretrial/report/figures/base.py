"""What all figures share: panels, palettes, shapes, axes, and how data reaches a chart."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import altair as alt

from pretrial.report.data import ReportData, Row

Chart: TypeAlias = Any  # alt.Chart or alt.LayerChart: Altair's own operators widen the type

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
    """Place of each source in the palette, by first appearance in the ledger, then in the funnel."""
    names: dict[str, int] = {}
    for row in (*data.ledger, *data.funnel):
        names.setdefault(row["source"], len(names) % len(SOURCES_LIGHT))
    return names


def times(number: float | None, scale: float) -> float | None:
    """A number in another unit; None for none and for one that is not finite."""
    return None if number is None or not math.isfinite(number) else number * scale


def task_label(task: str) -> str:
    """A task as axes and titles name it."""
    return "mean of tasks" if task == "mean" else task


def present(data: ReportData, rows: Iterable[Row]) -> list[str]:
    """Variants that have rows, in the order of the study."""
    there = {row["variant"] for row in rows}
    return [name for name in data.variant_names if name in there]


def variant_legend(data: ReportData, names: Iterable[str]) -> tuple[tuple[str, str, str], ...]:
    """Legend of these variants."""
    return tuple((name, "v", str(variant_colour(data, name))) for name in names)


def variant_scale(data: ReportData, names: Sequence[str], palette: Palette) -> alt.Color:
    """The colours of these variants as an encoding."""
    colours = [palette.variants[variant_colour(data, name)] for name in names]
    return alt.Color("variant:N", scale=alt.Scale(domain=list(names), range=colours), legend=None)


def variant_shape(data: ReportData, names: Sequence[str]) -> alt.Shape:
    """The points of these variants as an encoding."""
    shapes = [SHAPES[variant_colour(data, name)] for name in names]
    return alt.Shape("variant:N", scale=alt.Scale(domain=list(names), range=shapes), legend=None)


def tokens_axis(end: int | None = None) -> alt.X:
    """The horizontal axis of curves, up to `end` where it is given."""
    scale = alt.Scale(zero=True, nice=False) if end is None else alt.Scale(domain=[0, end], nice=False)
    return alt.X(
        "tokens:Q",
        title="tokens",
        scale=scale,
        axis=alt.Axis(format="~s", labelExpr=SHORT, tickCount=5, grid=False),
    )
