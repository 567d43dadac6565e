"""Figures: what they draw, and that files of them are whole (that they are always the same: test_page)."""

from __future__ import annotations

import dataclasses
import struct
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.report import figures
from pretrial.report.data import ReportData

NAMES = [
    "effects",
    "training-loss",
    "training-loss-by-source",
    "learning-rate",
    "evaluation",
    "mixture",
    "funnel",
]


def test_all_figures_are_there(data: ReportData) -> None:
    assert [figure.name for figure in figures.figures(data)] == NAMES


def test_a_study_without_results_has_no_figures(data: ReportData) -> None:
    empty = dataclasses.replace(data, comparisons=[], ledger=[], training=[], evaluation=[], funnel=[])
    assert figures.figures(empty) == []


def test_files_are_whole(data: ReportData) -> None:
    for figure in figures.figures(data):
        svg = figures.svg(figure)
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        marks = [e for e in root.iter() if "graphics-symbol" in (e.get("role") or "")]
        assert len(marks) >= len(figure.panels), figure.name
        png = figures.png(svg)
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        assert png[-8:-4] == b"IEND"
        width, height = struct.unpack(">II", png[16:24])
        assert width == pytest.approx(2 * float(root.attrib["width"]), abs=2)
        assert height == pytest.approx(2 * float(root.attrib["height"]), abs=2)


def test_hostile_names_stay_text(hostile: ReportData) -> None:
    for figure in figures.figures(hostile):
        root = ElementTree.fromstring(figures.svg(figure).replace("\u2028", ""))
        assert not [element.tag for element in root.iter() if element.tag.endswith(("script", "}image"))]


def test_every_panel_says_what_it_shows(data: ReportData) -> None:
    effects = figures.effects(data)
    assert effects is not None
    assert [panel.title for panel in effects.panels] == ["transfer", "held-out"]
    assert "balanced→text, prose: +0.037 [+0.006, +0.068], worse" in effects.panels[1].label


def test_a_variant_keeps_its_colour(data: ReportData) -> None:
    places = [figures.variant_colour(data, name) for name in data.variant_names]
    assert places == [0, 1, 2, 3]
    for figure in figures.figures(data):
        for name, kind, place in figure.legend:
            if kind == "v":
                assert int(place) == figures.variant_colour(data, name)


def test_equal_learning_rates_are_one_curve(data: ReportData) -> None:
    figure = figures.learning_rates(data)
    assert figure is not None
    assert {row["variants"] for row in figure.rows} == {"text→text, balanced→balanced, balanced→text and code→text"}


def test_realised_mixture_is_read_off_the_ledger(data: ReportData) -> None:
    rows = figures.realised(data)
    for variant in data.variant_names:
        for stage in ("1", "2"):
            shares = [r["realised_share"] for r in rows if (r["variant"], r["stage"]) == (variant, stage)]
            assert sum(shares) == pytest.approx(1)
    changed = [
        {**row, "realised_tokens": 0} if (row["variant"], row["source"]) == ("balanced→text", "python") else row
        for row in data.ledger
    ]
    rows = figures.realised(dataclasses.replace(data, ledger=changed))
    first = {r["source"]: r for r in rows if (r["variant"], r["stage"]) == ("balanced→text", "1")}
    assert first["prose"]["realised_share"] == 1
    assert first["python"]["requested_share"] == 0.5


def test_a_seed_that_stopped_early_does_not_bend_the_mean() -> None:
    lines = [
        {"variant": "a", "tokens": tokens, "y": value}
        for tokens, value in ((1, 2.0), (1, 4.0), (2, 1.0), (2, 3.0), (3, 9.0))
    ]
    assert [(mean["tokens"], mean["y"]) for mean in figures._means(lines)] == [(1, 3.0), (2, 2.0)]


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.floats(-1e6, 1e6)), max_size=400),
    st.integers(1, 60),
)
def test_thinning_keeps_count_ends_and_range(points: list[tuple[int, float]], most: int) -> None:
    thinned = figures.thin(points, most)
    assert len(thinned) == min(len(points), most)
    if points:
        assert thinned[-1][0] == points[-1][0]
        low, high = min(value for _, value in points), max(value for _, value in points)
        assert all(low - 1e-6 <= value <= high + 1e-6 for _, value in thinned)
