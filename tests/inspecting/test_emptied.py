"""A source of which rules leave nothing can be looked at like any other: what was dropped, where, and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pretrial.errors import RequestError
from pretrial.inspecting.corpora import Corpora
from seen import Seen

ALL = """\
  emptied: {read: {jsonl: mail.jsonl}, filter: [{gopher-quality: {min-words: 90000, min-stop: 0}}]}
  some: {read: {jsonl: some.jsonl}, filter: [{gopher-quality: {min-words: 90000, min-stop: 0}}]}
"""


@pytest.fixture
def emptied(place: Seen) -> Corpora:
    lines = (place.folder / "mail.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (place.folder / "some.jsonl").write_text("".join(lines[:5]), encoding="utf-8")
    trial = place.trial(place.variation("emptied", "\nmixtures:", f"{ALL}\nmixtures:"))
    built = trial.build_corpora(["emptied", "some"], workers=1, quiet=True)
    assert "no document is left" in built.failures["corpus emptied"]
    corpora: Corpora = trial.corpora()
    return corpora


def letters(place: Seen) -> list[dict[str, Any]]:
    lines = (place.folder / "mail.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line != "{broken"]


def test_its_funnel_counts_what_was_read_and_dropped(emptied: Corpora, place: Seen) -> None:
    said = emptied.funnel("emptied")
    rows = letters(place)
    size = sum(len(row["text"].encode()) for row in rows)
    counts = [(row["step"], row["documents"], row["bytes"]) for row in said["funnel"]]
    assert counts == [("read", len(rows), size), ("gopher-quality", 0, 0)]
    assert said["rejected"] == {"gopher-quality": {"min-words": len(rows)}}
    assert said["quarantined"] == {"malformed-json": 1}
    assert said["inputs"]["count"] == 1
    assert said["ends"] is None


def test_its_rejects_and_quarantine_can_be_sampled(emptied: Corpora, place: Seen) -> None:
    rows = letters(place)
    dropped = emptied.sample("emptied", rule="gopher-quality", n=1000)
    assert {one["id"] for one in dropped["documents"]} == {row["id"] for row in rows}
    assert {one["where"] for one in dropped["documents"]} == {f"mail.jsonl:{n + 1}" for n in range(len(rows))}
    (broken,) = emptied.sample("emptied", of="quarantined")["documents"]
    assert (broken["reason"], broken["where"]) == ("malformed-json", f"mail.jsonl:{len(rows) + 1}")
    (row,) = emptied.inspect("emptied")["rejected"]
    assert (row["reason"], row["documents"]) == ("min-words", len(rows))
    assert emptied.inspect("emptied")["documents"] == 0


@pytest.mark.parametrize("ask", [{}, {"kept": True}, {"of": "train"}])
def test_of_documents_that_are_not_there_it_is_said(emptied: Corpora, ask: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as raised:
        emptied.sample("emptied", **ask)
    assert raised.value.what == "no document is left of the source emptied"
    assert "pretrial corpus inspect " in (raised.value.remedy or "")
    with pytest.raises(RequestError, match="no document is left of the source emptied"):
        emptied.card("emptied")


def test_a_source_of_which_not_all_was_read_is_not_looked_at(place: Seen) -> None:
    more = "  unread: {read: {jsonl: mail.jsonl}, filter: [{gopher-quality: {min-words: 90001, min-stop: 0}}]}\n"
    corpora = place.trial(place.variation("unread", "\nmixtures:", f"{more}\nmixtures:")).corpora()
    with pytest.raises(RequestError, match="the source unread has not been read yet"):
        corpora.funnel("unread")


def test_files_that_are_no_longer_those_that_were_read_are_not_looked_at(emptied: Corpora, place: Seen) -> None:
    (place.folder / "some.jsonl").unlink()
    with pytest.raises(RequestError, match="the source some has not been read yet"):
        emptied.funnel("some")


def test_a_source_that_is_made_from_another_can_come_to_nothing_too(place: Seen) -> None:
    trial = place.trial(place.variation("tiniest", "characters: ..250", "characters: ..1"))
    assert "no document is left" in trial.build_corpora(["tiny"], workers=1, quiet=True).failures["corpus tiny"]
    corpora = trial.corpora()
    said = corpora.funnel("tiny")
    assert said["funnel"][0]["documents"] == corpora.funnel("bare")["funnel"][-1]["documents"]
    assert said["funnel"][-1]["documents"] == 0
    dropped = corpora.sample("tiny", rule="keep characters", n=3)
    assert dropped["of_documents"] == said["funnel"][0]["documents"]
