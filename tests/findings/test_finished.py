"""The findings of a study that really ran, whose files were damaged since."""

from __future__ import annotations

import pytest

from smoke import Place, flip

pytestmark = pytest.mark.usefixtures("calm")


def test_a_report_does_not_read_a_flipped_byte(finished: Place) -> None:
    whole = finished.trial().findings()
    assert whole.data.missing == []
    for path in sorted((finished.store / "artefacts/bits-per-byte").glob("*/items.parquet"))[:1]:
        flip(path)
    damaged = finished.trial().findings()
    assert damaged.data.missing
    assert all("run the study again" in gap["reason"] for gap in damaged.data.missing)
    assert len(damaged.items) < len(whole.items)


def test_a_finished_study_says_what_became_of_every_document(finished: Place) -> None:
    data = finished.trial().findings().data
    for source in ("prose", "code", "letters"):
        rows = [row for row in data.funnel if row["source"] == source]
        (last,) = [row for row in rows if not row["part"]][-1:]
        parts = [row for row in rows if row["part"]]
        assert sum(row["documents"] for row in parts) == last["documents"]
        assert sum(row["bytes"] for row in parts) == last["bytes"]
        part = next(row for row in parts if row["step"] == ("held out" if source == "letters" else "trains"))
        assert part["tokens"] > part["documents"] > 0
        (licence,) = [row for row in data.licences if row["source"] == source]
        assert (licence["license"], licence["documents"], licence["bytes"]) == ("", part["documents"], part["bytes"])
    assert [row["source"] for row in data.near_duplicates] == ["prose", "code", "letters"]
    assert [data.contamination, data.arms, data.matches, data.clean] == [[]] * 4


def test_a_run_makes_a_damaged_evaluation_again(finished: Place) -> None:
    from pretrial.findings import find
    from pretrial.plan.registration import History

    whole = finished.trial().findings()
    for path in sorted((finished.store / "artefacts/bits-per-byte").glob("*/items.parquet"))[::10]:
        flip(path)
    trial = finished.trial()
    graph, runner, record = trial._kept()
    again = find(trial.study, graph, runner, History(()), windows={}, record=record or {}, accepted=False, make=True)
    assert again.data.missing == []
    assert again.items.equals(whole.items)
    assert again.data.results == whole.data.results
