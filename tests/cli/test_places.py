"""Where a trial keeps things: what is given, else the environment, else beside the study file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pretrial.errors import RequestError
from pretrial.study.load import load_study
from pretrial.trials import Trial, places
from smoke import Place

pytestmark = pytest.mark.usefixtures("calm")


def test_by_default_everything_lies_beside_the_study_file(place: Place) -> None:
    found = places(load_study(place.study))
    assert found.workspace == place.folder / "pretrial-runs" / "smoke"
    assert found.store == place.folder / "pretrial-runs" / ".store"
    assert found.data is None


def test_the_environment_names_store_and_data(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRIAL_STORE", str(tmp_path / "s"))
    monkeypatch.setenv("PRETRIAL_DATA", str(tmp_path))
    found = places(load_study(place.study))
    assert (found.store, found.data) == (tmp_path / "s", tmp_path)


def test_what_is_given_wins_and_is_made_absolute(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRIAL_STORE", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    found = Trial.of(place.study, workspace="w", store="s", data=tmp_path).places
    assert (found.workspace, found.store, found.data) == (tmp_path / "w", tmp_path / "s", tmp_path)


def test_a_data_folder_that_is_none_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRIAL_DATA", str(place.study))
    with pytest.raises(RequestError, match=r"data folder .* is not there"):
        places(load_study(place.study))


def test_a_notebook_shows_names_from_outside_as_text(finished: Place) -> None:
    finished.edit("question: Does everything fit together?", "question: <script>alert(1)</script>")
    html = finished.trial()._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_notebook_shows_a_study_that_has_not_run(place: Place) -> None:
    assert "Not run yet" in place.trial()._repr_html_()
    assert repr(place.trial()).endswith("not run yet>")
