"""Figures as Vega-Lite for the page, and as SVG and PNG files with a light ground."""

from __future__ import annotations

import json
from typing import Any

import altair as alt

from pretrial.report.figures.base import LIGHT, PAGE, SHAPES, Canvas, Figure, Palette, Panel


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
