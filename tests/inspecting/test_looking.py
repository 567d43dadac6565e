"""What was read stays to be seen when its inputs have changed or gone, and it is said that they have."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from pretrial.errors import RequestError
from pretrial.inspecting.looking import RECORD, look
from seen import Seen


@pytest.fixture
def own(place: Seen, tmp_path: Path) -> Seen:
    """The study with its corpora and tokens, to change."""
    shutil.copytree(place.folder, tmp_path / "seen")
    own = Seen(tmp_path / "seen")
    # Other studies were looked at under the same workspace.
    assert own.trial().build_corpora(quiet=True).made == ()
    return own


def without_size(card: str) -> str:
    """A card of files that lie there no longer: their bytes are not known."""
    return re.sub(r"(files read \| \d+), [\d,]+ bytes", r"\1", card)


def append(path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"name": "new", "text": "One more page."}) + "\n")


def test_of_inputs_as_they_were_nothing_is_said(own: Seen) -> None:
    corpora = look(own.trial())
    assert [corpora.note(name) for name in corpora.study.sources] == [None] * 5


@pytest.mark.parametrize("record", [RECORD, "plan.json"])
def test_a_changed_file_leaves_what_was_read_to_be_seen(own: Seen, place: Seen, record: str) -> None:
    (own.folder / "work" / RECORD).rename(own.folder / "work" / record)
    append(own.folder / "web-1.jsonl")
    corpora, before = look(own.trial()), place.trial().corpora()
    assert corpora.corpus("web").content == before.corpus("web").content
    assert corpora.sample("web", of="near-duplicate") == before.sample("web", of="near-duplicate")
    assert corpora.trace("trunk", 5_000) == before.trace("trunk", 5_000)
    assert corpora.card("web") == without_size(before.card("web"))
    assert corpora.note("web") == "web-1.jsonl has changed since web was read; this is of the corpus read then"
    assert corpora.note("tiny") is None


def test_what_is_made_of_the_changed_file_goes_first(own: Seen) -> None:
    append(own.folder / "mail.jsonl")
    trial = own.trial()
    assert look(trial).note("mail")
    assert not trial.build_corpora(["mail"], workers=1, quiet=True).failures
    corpora = look(trial)
    assert corpora.note("mail") is None
    assert corpora.corpus("mail").facts["documents"] == 41
    # Of a source that was not read again, what is known of it is kept.
    append(own.folder / "web-0.jsonl")
    assert look(own.trial()).note("web")


def test_of_two_records_that_of_the_corpus_made_last_counts(own: Seen) -> None:
    work = own.folder / "work"
    append(own.folder / "mail.jsonl")
    shutil.copy(work / RECORD, work / "first.json")
    assert not own.trial().build_corpora(["mail"], workers=1, quiet=True).failures
    (work / RECORD).rename(work / "plan.json")
    (work / "first.json").rename(work / RECORD)
    path = next(path for path in (own.folder / "store/artefacts/corpus").iterdir() if _documents(path) == 41)
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"made": "2999-01-01T00:00:00+0000"}))
    append(own.folder / "mail.jsonl")
    assert look(own.trial()).corpus("mail").facts["documents"] == 41


def _documents(path: Path) -> int:
    count: int = json.loads((path / "manifest.json").read_text())["facts"]["documents"]
    return count


def test_a_file_that_is_gone_leaves_what_was_read_to_be_seen(own: Seen, place: Seen) -> None:
    (own.folder / "mail.jsonl").unlink()
    corpora, before = look(own.trial()), place.trial().corpora()
    for name in corpora.study.sources:
        assert corpora.inspect(name) == before.inspect(name)
        assert corpora.sample(name) == before.sample(name)
    assert corpora.card("mail") == without_size(before.card("mail"))
    assert corpora.trace("branch", 20_000, seed=2) == before.trace("branch", 20_000, seed=2)
    note = corpora.note("mail") or ""
    assert "mail.jsonl" in note
    assert note.endswith("this is of the corpus read then")
    assert corpora.note("web") is None


def test_an_added_file_is_named(own: Seen) -> None:
    shutil.copy(own.folder / "web-1.jsonl", own.folder / "web-2.jsonl")
    assert (look(own.trial()).note("web") or "").startswith("web-2.jsonl was added since web was read")
    (own.folder / "web-1.jsonl").unlink()
    (own.folder / "web-2.jsonl").unlink()
    assert (look(own.trial()).note("web") or "").startswith("web-1.jsonl went away since web was read")


def test_a_source_that_the_study_says_otherwise_now_was_not_read(own: Seen) -> None:
    append(own.folder / "web-1.jsonl")
    corpora = look(own.trial(own.variation("other", "min-words: 20", "min-words: 21")))
    assert corpora.note("web") is None
    with pytest.raises(RequestError, match="the source web has not been read yet"):
        corpora.inspect("web")


def test_what_is_gone_is_said_where_the_study_was_not_the_same(own: Seen) -> None:
    (own.folder / "mail.jsonl").unlink()
    trial = own.trial(own.variation("other", "min-words: 20", "min-words: 21"))
    with pytest.raises(RequestError, match=r"mail\.jsonl"):
        look(trial)
