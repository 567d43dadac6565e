"""Figures: what they draw, and that files of them are whole (that they are always the same: test_page)."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.report import figures
from pretrial.report.data import FunnelStep, ReportData
from pretrial.report.figures import curves

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


def test_files_are_whole(data: ReportData, report: Path) -> None:
    for figure in figures.figures(data):
        svg = (report / "figures" / f"{figure.name}.svg").read_text(encoding="utf-8")
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        marks = [e for e in root.iter() if "graphics-symbol" in (e.get("role") or "")]
        assert len(marks) >= len(figure.panels), figure.name
        png = (report / "figures" / f"{figure.name}.png").read_bytes()
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        assert png[-8:-4] == b"IEND"
        width, height = struct.unpack(">II", png[16:24])
        assert width == pytest.approx(2 * float(root.attrib["width"]), abs=2)
        assert height == pytest.approx(2 * float(root.attrib["height"]), abs=2)


def test_hostile_names_stay_text(hostile: ReportData, hostile_report: Path) -> None:
    for figure in figures.figures(hostile):
        svg = (hostile_report / "figures" / f"{figure.name}.svg").read_text(encoding="utf-8")
        root = ElementTree.fromstring(svg.replace("\u2028", ""))
        assert not [element.tag for element in root.iter() if element.tag.endswith(("script", "}image"))]


def test_an_arm_far_shorter_than_the_longest_is_drawn(data: ReportData) -> None:
    # All of its losses lie above what the others reach after their first tenth.
    short = [
        {**point, "variant": "code→text", "tokens": tokens, "loss": loss, "by_source": {"prose": loss}}
        for point in data.training[:1]
        for tokens, loss in ((512, 9.0), (1024, 8.5), (1536, 8.0))
    ]
    training = [point for point in data.training if point["variant"] != "code→text"]
    cut = dataclasses.replace(data, training=[*training, *short])
    drawn = figures.training_curves(cut)
    assert drawn is not None
    assert "code→text ends at 8.000" in drawn.panels[0].label


def test_a_source_that_is_read_at_the_beginning_only_is_drawn(data: ReportData) -> None:
    early = [
        {**point, "by_source": {**point["by_source"], "early": 9.0 - point["tokens"] / 1000}}
        if point["variant"] == "code→text" and point["tokens"] <= 2048
        else {**point, "by_source": {**point["by_source"], "early": 2.0}}
        if point["variant"] == "text→text"
        else point
        for point in data.training
    ]
    drawn = figures.source_curves(dataclasses.replace(data, training=early))
    assert drawn is not None
    (panel,) = [panel for panel in drawn.panels if panel.title == "early"]
    assert "text→text ends at 2.000, code→text ends at 6.952" in panel.label


def test_an_arm_without_a_finite_value_has_no_line_and_stops_nothing(data: ReportData) -> None:
    training = [
        {**point, "loss": float("nan")} if point["variant"] == "code→text" else point for point in data.training
    ]
    drawn = figures.training_curves(dataclasses.replace(data, training=training))
    assert drawn is not None
    assert "code→text" not in drawn.panels[0].label
    assert figures.svg(drawn).startswith("<svg")


def test_anchors_are_in_the_evaluations_data_and_in_its_words(data: ReportData) -> None:
    drawn = figures.evaluation_curves(data)
    assert drawn is not None
    (panel,) = [panel for panel in drawn.panels if panel.title == "held-out: prose"]
    assert "3-gram of text→text 2.900, 3-gram of balanced→balanced 2.910" in panel.label
    assert "zstd 2.720" in panel.label
    named = [row["anchor"] for row in drawn.rows if row["task"] == "prose" and row["anchor"]]
    assert named == ["3-gram"] * 4 + ["zstd"]


def test_parts_of_a_source_stand_end_to_end(data: ReportData) -> None:
    drawn = figures.funnel(data)
    assert drawn is not None
    assert {panel.title for panel in drawn.panels} == {"prose", "python"}
    assert "of these held out: 370 KB, 1,000 documents" in drawn.panels[0].label
    (parts,) = [values for values in figures.page_spec(drawn.panels[0])["datasets"].values() if values[0]["part"]]
    assert [part["from"] for part in parts] == [0, 8_400_000, 8_770_000]
    assert [part["to"] for part in parts] == [8_400_000, 8_770_000, 9_210_000]


def many(data: ReportData, sources: int, steps: int) -> ReportData:
    """Sources with this many steps, of which every third changes nothing, and one more documents' end each."""
    ends = ["trains", "held out", "near-duplicates of documents that train", "near-duplicates of held-out documents"]
    rows: list[FunnelStep] = []
    for number in range(sources):
        row: FunnelStep = {
            "source": f"web-code/language-{number}",
            "made_from": "web-code" if number else "",
            "step": "read",
            "part": False,
            "documents": 1000,
            "bytes": 100_000,
            "tokens": None,
        }
        for step in range(steps):
            less = 50 * (step - (step + 1) // 3)
            rows.append({**row, "step": f"rule-{step}", "documents": 1000 - less, "bytes": 100_000 - 100 * less})
        rows += [{**row, "step": end, "part": True, "documents": 10, "bytes": 1000} for end in ends]
        rows.append({**row, "step": "held a benchmark item", "part": True, "documents": 0, "bytes": 0})
    return dataclasses.replace(data, funnel=rows)


def test_steps_that_changed_nothing_and_empty_parts_are_not_drawn(data: ReportData) -> None:
    drawn = figures.funnel(many(data, 2, 12))
    assert drawn is not None
    own = [row["step"] for row in drawn.rows if row["source"] == "web-code/language-1"]
    left = [0, 1, 3, 4, 6, 7, 9, 10]
    assert own[: len(left)] == [f"rule-{step}" for step in left]
    assert own[len(left) :] == [
        "trains",
        "held out",
        "near-duplicates of documents that train",
        "near-duplicates of held-out documents",
    ]
    assert [panel.note for panel in drawn.panels] == ["", "made from web-code"]


def test_the_funnel_of_ten_sources_stays_readable(data: ReportData) -> None:
    drawn = figures.funnel(many(data, 10, 12))
    assert drawn is not None
    assert len(drawn.panels) == 10
    root = ElementTree.fromstring(figures.svg(drawn))
    assert float(root.attrib["height"]) < 2700
    # Long names stand on two lines, whole.
    words = [(element.text or "").strip() for element in root.iter() if element.tag.endswith(("}text", "}tspan"))]
    assert {"near-duplicates of", "documents that train", "held-out documents"} <= set(words)
    assert not [word for word in words if word.endswith("…")]


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
    assert [(mean["tokens"], mean["y"]) for mean in curves._means(lines)] == [(1, 3.0), (2, 2.0)]


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
