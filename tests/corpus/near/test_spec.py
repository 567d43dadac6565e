"""Bands and rows: enough of the pairs at the threshold, few of those below it."""

from __future__ import annotations

import importlib.metadata
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.near import spec
from pretrial.errors import RequestError


@pytest.mark.parametrize(
    ("threshold", "most", "bands", "rows"),
    [
        (0.5, 160, 27, 3),
        (0.7, 160, 20, 5),
        (0.7, 256, 29, 6),
        (0.75, 160, 18, 6),
        (0.8, 64, 9, 5),
        (0.8, 112, 15, 7),
        (0.8, 159, 15, 7),
        (0.8, 160, 20, 8),
        (0.8, 224, 20, 8),
        (0.8, 225, 25, 9),
        (0.85, 160, 16, 10),
        (0.9, 160, 12, 13),
        (1.0, 16, 1, 16),
    ],
)
def test_the_choice_for_a_threshold_and_a_number_of_hashes(threshold: float, most: int, bands: int, rows: int) -> None:
    assert spec.choose(threshold, most) == (bands, rows)


def test_the_formula_gives_the_published_curves() -> None:
    # Leskovec, Rajaraman and Ullman, figure 3.8: 20 bands of 5 rows.
    curve = [round(spec.probability(s / 10, 20, 5), 3) for s in range(2, 9)]
    assert curve == [0.006, 0.047, 0.186, 0.470, 0.802, 0.975, 1.000]
    # FineWeb's 14 bands of 8 rows lose 8% at 0.8.
    assert round(spec.probability(0.8, 14, 8), 2) == 0.92


@given(st.floats(0.3, 1), st.integers(1, 300))
def test_what_is_chosen_suffices_and_one_band_less_does_not(threshold: float, most: int) -> None:
    try:
        bands, rows = spec.choose(threshold, most)
    except RequestError:
        assert all(
            spec.probability(threshold, most // rows, rows) < spec.RECALL for rows in range(1, min(most, 40) + 1)
        )
        return
    assert bands * rows <= most
    assert spec.probability(threshold, bands, rows) >= spec.RECALL
    assert spec.probability(threshold, bands - 1, rows) < spec.RECALL


@given(st.floats(0.4, 0.95), st.integers(60, 200))
def test_no_other_choice_has_fewer_false_candidates(threshold: float, most: int) -> None:
    bands, rows = spec.choose(threshold, most)
    chosen = spec.false_candidates(threshold, bands, rows)
    for other in range(max(1, rows - 3), rows + 4):
        many = most // other
        if many and spec.probability(threshold, many, other) >= spec.RECALL:
            assert chosen <= spec.false_candidates(threshold, many, other)


def test_the_defaults_are_the_choice_for_their_threshold() -> None:
    assert spec.settings() == spec.Settings()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bands": 19}, "19 bands of 8 rows find 96.9%"),
        ({"bands": 21}, "need 168 hashes, not 160"),
        ({"threshold": 0.0}, "lies above 0"),
        ({"threshold": 1.01}, "at most at 1"),
        ({"words": 0}, "words of near-duplicates is 0"),
        ({"seed": -1}, "32-bit"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        spec.Settings(**values)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_too_few_hashes_are_refused_with_a_way_out() -> None:
    with pytest.raises(RequestError, match="Allow more hashes"):
        spec.settings(threshold=0.3, most_hashes=8)


def test_signatures_do_not_depend_on_the_threshold_and_the_search_does() -> None:
    one, other = spec.Settings(threshold=0.8), spec.Settings(threshold=0.85)
    assert spec.signature_config(one) == spec.signature_config(other)
    assert spec.near_config(one, ["a"]) != spec.near_config(other, ["a"])
    config = json.loads(json.dumps(spec.near_config(other, ["a", "b"])))
    assert spec.settings_of(config) == other
    assert config["sources"] == ["a", "b"]


def test_other_releases_are_other_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    config = spec.signature_config(spec.Settings())
    assert (config["unicode"], config["daft"]) == (unicodedata.unidata_version, importlib.metadata.version("daft"))
    monkeypatch.setattr(unicodedata, "unidata_version", "99.0.0")
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name}-99")
    other = spec.near_config(spec.Settings(), ["x"])["signatures"]
    assert other == {**config, "unicode": "99.0.0", "daft": "daft-99"}


def test_without_daft_there_is_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert spec.signature_config(spec.Settings())["daft"] == "none"
