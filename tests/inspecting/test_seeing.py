"""Funnels, distributions, samples and cards say what is in the inputs, counted again by hand."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

import seen
from pretrial.corpus.documents import REJECTS, Writer
from pretrial.corpus.kinds import KINDS
from pretrial.errors import RequestError
from pretrial.inspecting.card import _READ, _personal, file_name
from pretrial.inspecting.corpora import Corpora
from pretrial.inspecting.distributions import FIELDS, described, histogram, inspect, numbers, rejects
from pretrial.inspecting.funnel import folded, in_steps, role
from pretrial.inspecting.rows import pick, shards_of
from pretrial.inspecting.sample import NAMES, _rejected
from pretrial.inspecting.terminal import _quantiles, print_inspection, print_sample
from pretrial.inspecting.text import fenced, markdown, shown
from seen import HOSTILE, ITEM, Seen


def pages(folder: Path) -> list[dict[str, Any]]:
    """Pages of the source `web`, as they lie in its files."""
    lines = [line for n in (0, 1) for line in (folder / f"web-{n}.jsonl").read_text(encoding="utf-8").split("\n")]
    return [json.loads(line) for line in lines if line and line != "{broken"]


def kept(folder: Path) -> list[dict[str, Any]]:
    return [row for row in pages(folder) if row["language"] == "en" and row["name"] != "short"]


# -- the funnel --------------------------------------------------------------------------------------------------------


def test_the_funnel_counts_what_each_step_left(corpora: Corpora, place: Seen) -> None:
    said = corpora.funnel("web")
    rows = pages(place.folder)
    english = [row for row in rows if row["language"] == "en"]
    expected = {"read": rows, "keep": english, "gopher-quality": kept(place.folder), "no-code": kept(place.folder)}
    assert [(row["step"], row["documents"], row["bytes"]) for row in said["funnel"]] == [
        (step, len(left), sum(len(row["text"].encode()) for row in left)) for step, left in expected.items()
    ]
    assert said["rejected"] == {"keep": {"language=fr": 1}, "gopher-quality": {"min-words": 1}}
    assert said["quarantined"] == {"malformed-json": 2}
    assert sum(row["documents"] for row in said["ends"]) == said["funnel"][-1]["documents"]
    assert [row["class"] for row in said["ends"]] == list(NAMES)
    assert all(row["documents"] for row in said["ends"])


def test_tokens_are_counted_where_they_were_made_and_estimated_elsewhere(corpora: Corpora) -> None:
    said = corpora.funnel("web")
    made = corpora.tokens("web", "train")
    assert made is not None
    stream = np.load(made.file("tokens.npy"))
    ends = {row["class"]: row["tokens"] for row in said["ends"]}
    assert ends["train"] == {"value": len(stream) - 1, "basis": "measured"}
    assert ends["held-out"]["basis"] == "measured"
    assert ends["duplicate"]["basis"] == "estimated"
    ratio = (len(stream) - 1) / made.facts["bytes"]
    assert said["tokens_per_byte"] == {"value": ratio, "basis": "measured"}
    assert said["funnel"][0]["tokens"] == {"value": round(said["funnel"][0]["bytes"] * ratio), "basis": "estimated"}
    assert corpora.funnel("bare")["tokens_per_byte"]["basis"] == "estimated"


def test_steps_that_changed_nothing_are_one_row() -> None:
    def row(step: str, documents: int, size: int) -> dict[str, Any]:
        return {"step": step, "documents": documents, "bytes": size}

    rows = [row("read", 9, 90), row("a", 9, 90), row("b", 9, 90), row("c", 8, 80), row("d", 8, 80), row("e", 8, 80)]
    said = {"funnel": [*rows, row("f", 8, 80)], "removed": {"d": {"keys": 3}}, "rejected": {"c": {"x": 1}}}
    assert folded(said) == [rows[0], {"steps": ["a", "b"]}, rows[3], rows[4], {"steps": ["e", "f"]}]
    assert folded({**said, "rejected": {"f": {"empty": 1}}})[-1] == row("f", 8, 80)
    assert folded({**said, "funnel": []}) == []
    assert (in_steps(["a"]), in_steps(["a", "b", "c"])) == ("a", "a … c")


def test_what_was_read_is_counted_in_files_and_bytes(corpora: Corpora, place: Seen) -> None:
    size = sum(path.stat().st_size for path in place.folder.glob("web-*.jsonl"))
    assert corpora.funnel("web")["inputs"] == {"what": "files", "count": 2, "bytes": size}
    assert corpora.funnel("code")["inputs"]["count"] == 152
    assert corpora.funnel("bare")["inputs"] is None


def test_documents_without_a_measure_are_told_from_those_outside_its_range(place: Seen) -> None:
    languages = [None, "en", "python", "python", "python"]
    comments = ["#", "#", "# no\n" * 9, "", "#"]
    lines = [
        json.dumps({"text": f"{comment} {n}\nx = {n}\n" if comment else f"x = {n}\n" * 9, "language": language})
        for n, (language, comment) in enumerate(zip(languages, comments, strict=True))
    ]
    (place.folder / "noted.jsonl").write_text("\n".join(lines))
    line = "  noted: {read: {jsonl: noted.jsonl}, keep: {comment-share: 10%..90%}}\n"
    path = place.variation("noted", "\nmixtures:", line + "\nmixtures:")
    trial = place.trial(path)
    assert not trial.build_corpora(["noted"], workers=1, quiet=True).failures
    said = trial.corpora().funnel("noted")
    dropped = sum(said["rejected"]["keep comment-share"].values())
    assert said["unmeasured"] == {"keep comment-share": 2}
    assert dropped > 2
    assert said["kept"] == {"keep comment-share": {"least": 0.1, "most": 0.9}}


def test_the_part_of_a_source_in_the_study_is_said(corpora: Corpora) -> None:
    roles = {name: corpora.funnel(name)["role"] for name in corpora.study.sources}
    assert roles == {
        "mail": "transfer domain", "web": "trains", "code": "trains", "bare": "on the way to others", "tiny": "trains",
    }  # fmt: skip
    assert (corpora.funnel("tiny")["parent"], corpora.funnel("tiny")["root"]) == ("bare", "code")
    assert corpora.funnel("tiny")["part"] is None


def test_a_derived_source_that_nothing_needs_is_said_to_be_used_for_nothing(place: Seen) -> None:
    more = "  spare: {from: code, keep: {characters: ..500}}\n  sparer: {from: spare, transform: [strip-comments]}\n"
    corpora = place.trial(place.variation("spare", "\nmixtures:", f"{more}\nmixtures:")).corpora()
    roles = {name: role(corpora, name) for name in corpora.study.sources}
    unused = "in no mixture, used for nothing"
    assert roles == {
        "mail": "transfer domain", "web": "trains", "code": "trains", "bare": "on the way to others", "tiny": "trains",
        "spare": unused, "sparer": unused,
    }  # fmt: skip
    assert corpora.unused == ("spare", "sparer")
    with pytest.raises(RequestError, match="the source spare is not made: it is in no mixture, and used for nothing"):
        corpora.funnel("spare")


def test_parts_of_a_split_source_say_so(place: Seen) -> None:
    path = place.variation("split", "group: document, license: MIT}", "group: document, split: language}")
    path.write_text(path.read_text().replace("code: 2/5", "code/python: 2/5").replace("code: 50%", "code/python: 50%"))
    trial = place.trial(path)
    assert not trial.build_corpora(["code/python"], workers=1, quiet=True).failures
    corpora = trial.corpora()
    assert corpora.funnel("code/python")["part"] == {"field": "language", "value": "python"}
    assert corpora.funnel("code")["part"] is None
    text = corpora.card("code/python")
    assert "A part of the source code of the same study, which is split by language" in text
    assert "The source that this is the part python of, as the study has it, every default visible:" in text


# -- distributions -----------------------------------------------------------------------------------------------------


def test_distributions_are_those_of_the_files(corpora: Corpora, place: Seen) -> None:
    said = corpora.inspect("web", fields=["thread"], measures=["characters"], top=3)
    rows = kept(place.folder)
    sizes = sorted(len(row["text"].encode()) for row in rows)
    assert (said["documents"], said["bytes"], said["groups"]) == (
        len(rows),
        sum(sizes),
        len({r["thread"] for r in rows}),
    )
    quantiles = said["lengths"]["quantiles"]
    assert (quantiles["0"], quantiles["0.5"], quantiles["1"]) == (sizes[0], sizes[(len(sizes) - 1) // 2], sizes[-1])
    for field in ("license", "language"):
        found = {one["value"]: one["documents"] for one in said["fields"][field]["values"]}
        assert found == dict(Counter(row[field] for row in rows if field in row))
    assert said["fields"]["license"]["without"] == sum("license" not in row for row in rows)
    sites = {one["value"] for one in said["fields"]["site"]["values"]}
    assert sites < {f"site-{i}.example" for i in range(4)}
    assert (said["fields"]["site"]["distinct"], len(sites)) == (4, 3)
    assert said["fields"]["thread"]["distinct"] == said["groups"]
    characters = sorted(len(row["text"]) for row in rows)
    assert said["measures"]["characters"]["quantiles"]["1"] == characters[-1]
    assert said["measures"]["characters"]["mean"] == pytest.approx(sum(characters) / len(rows))


def test_rejects_stand_with_what_was_measured(corpora: Corpora) -> None:
    rejected = {(row["step"], row["reason"]): row for row in corpora.inspect("web")["rejected"]}
    words = rejected["gopher-quality", "min-words"]
    assert (words["documents"], words["listed"], words["quantiles"]["0.5"]) == (1, True, 4)
    assert not rejected["keep", "language=fr"]["listed"]
    long = corpora.inspect("tiny")["rejected"]
    assert [(row["step"], row["reason"]) for row in long] == [("keep characters", "characters")]
    assert long[0]["quantiles"]["0"] > 250


def test_copies_are_those_of_the_root_and_benchmark_items_those_of_the_text(corpora: Corpora) -> None:
    for source, root, text in (("web", "web", "web"), ("code", "code", "code"), ("tiny", "code", "tiny")):
        said = corpora.inspect(source, hits=True)
        assert said["near_duplicates"]["of"] == root
        assert said["contamination"]["of"] == text
    web = corpora.inspect("web", hits=True)
    assert web["near_duplicates"]["in_components"] > 80
    assert web["contamination"]["contaminated"]["documents"] == 3
    questions = [hit for hit in web["contamination"]["spans"] if hit["part"] == "question"]
    assert [hit["document"] for hit in questions] == ["leak 0", "leak 1", "leak 2"]
    assert all(ITEM in hit["excerpt"] for hit in questions)
    assert "spans" not in corpora.inspect("web")["contamination"]


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=60))
def test_a_histogram_holds_every_document_once(sizes: list[int]) -> None:
    rows = histogram(sizes)
    assert sum(row["documents"] for row in rows) == len(sizes)
    assert sum(row["bytes"] for row in rows) == sum(sizes)
    for row in rows:
        inside = [size for size in sizes if row["from"] <= max(size, 1) < row["to"]]
        assert row["documents"] == len(inside)
        assert row["to"] == 2 * row["from"]
    assert all(value in sizes for value in numbers(sizes)["quantiles"].values())


def test_what_was_measured_is_described_by_its_kind() -> None:
    assert described([None, None], 3) == {"numbers": 0, "without": 2}
    said = described([1, 2.5, "GPL-3.0-only", "GPL-3.0-only", "MIT", None, ["a"]], 1)
    assert (said["numbers"], said["without"], said["distinct"]) == (2, 1, 3)
    assert said["values"] == [{"value": "GPL-3.0-only", "documents": 2}]
    assert said["quantiles"]["1"] == 2.5


# -- samples -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 5000), st.integers(0, 40), st.integers(0, 1000))
def test_a_choice_is_without_repeats_and_grows_at_its_end(count: int, wanted: int, seed: int) -> None:
    chosen = pick("content", count, wanted, seed)
    assert len(set(chosen)) == len(chosen) == min(count, wanted)
    assert all(0 <= row < count for row in chosen)
    assert pick("content", count, wanted + 3, seed)[: len(chosen)] == chosen


def test_a_sample_is_the_same_every_time_and_another_under_another_seed(corpora: Corpora, place: Seen) -> None:
    first = corpora.sample("web", n=20)
    assert first == place.trial().corpora().sample("web", n=20, kept=True)
    assert {one["id"] for one in corpora.sample("web", n=20, seed=2)["documents"]} != {
        one["id"] for one in first["documents"]
    }
    texts = {row["name"]: row["text"] for row in pages(place.folder)}
    for one in first["documents"]:
        assert one["text"] == texts[one["id"]][:400]
        assert one["cut"] == (len(texts[one["id"]]) > 400)


def test_every_class_has_a_sample_of_its_own(corpora: Corpora) -> None:
    ends = {row["class"]: row["documents"] for row in corpora.funnel("web")["ends"]}
    for name, count in ends.items():
        said = corpora.sample("web", of=name, n=1000)
        assert said["of_documents"] == len(said["documents"]) == count
        assert {one["class"] for one in said["documents"]} == {name}
    empty = corpora.sample("mail", of="train")
    assert (empty["of_documents"], empty["documents"]) == (0, [])


def test_a_dropped_document_stands_with_reason_value_and_place(corpora: Corpora, place: Seen) -> None:
    said = corpora.sample("web", rule="gopher-quality")
    lines = (place.folder / "web-1.jsonl").read_text(encoding="utf-8").split("\n")
    line = 1 + next(number for number, text in enumerate(lines) if "Too short" in text)
    assert said["documents"] == [
        {
            "id": "short", "rule": "gopher-quality", "reason": "min-words", "bytes": 18, "where": f"web-1.jsonl:{line}",
            "value": 4, "text": "Too short to stay.", "cut": False,
        }
    ]  # fmt: skip
    assert corpora.sample("web", rule="no-code")["documents"] == []
    long = corpora.sample("tiny", rule="keep characters", n=500)
    assert len(long["documents"]) == long["of_documents"] == 122
    assert all(one["value"] > 250 for one in long["documents"])


def grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def test_a_near_duplicate_stands_with_its_partner_and_the_one_that_stays(corpora: Corpora, place: Seen) -> None:
    texts = {row["name"]: row["text"] for row in pages(place.folder)} | {
        f"mail {i}": text for i, text in enumerate(mails(place.folder))
    }
    held = set(json.loads(corpora.selection().file("held-out-groups.json").read_text()))
    for of in ("near-duplicate", "near-held-out"):
        said = corpora.sample("web", of=of, n=1000)["documents"]
        assert said
        for one in said:
            assert one["partners"], one["id"]
            for partner in one["partners"]:
                mine, other = grams(texts[one["id"]]), grams(texts[partner["id"]])
                assert partner["similarity"] >= 0.8
                assert partner["similarity"] == pytest.approx(len(mine & other) / len(mine | other), abs=0.02)
            assert [p["similarity"] for p in one["partners"]] == sorted(
                (p["similarity"] for p in one["partners"]), reverse=True
            )
            if of == "near-duplicate":
                assert one["stays"]["class"] == "train"
            else:
                assert one["stays"]["group"] in held
                in_use = {row["id"] for row in corpora.sample("web", of="held-out", n=1000)["documents"]}
                if one["stays"]["class"] == "held-out":
                    assert one["stays"]["id"] in in_use
                else:
                    # The copy that is held out by its group, dropped for one that is out for it: none is in use.
                    assert one["stays"]["class"] == "duplicate"
                    copies = {name for name, text in texts.items() if text.split() == texts[one["stays"]["id"]].split()}
                    assert not copies & in_use
            assert one["stays"]["pairs_away"] >= 1


def mails(folder: Path) -> list[str]:
    lines = (folder / "mail.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line)["text"] for line in lines if line and line != "{broken"]


def test_a_copy_stands_with_the_one_that_it_repeats(corpora: Corpora, place: Seen) -> None:
    texts = {row["name"]: row["text"] for row in pages(place.folder)}
    said = corpora.sample("web", of="duplicate", n=1000)["documents"]
    across = [one for one in said if one["stays"]["source"] == "mail"]
    assert [(one["id"], one["stays"]["id"]) for one in across] == [("mailed", "mail 7")]
    for one in said:
        if one not in across:
            assert texts[one["stays"]["id"]].split() == texts[one["id"]].split()
            assert one["stays"]["id"] != one["id"]
    held = set(json.loads(corpora.selection().file("held-out-groups.json").read_text()))
    for one in corpora.sample("web", of="excluded", n=1000)["documents"]:
        assert texts[one["stays"]["id"]].split() == texts[one["id"]].split()
        assert one["stays"]["group"] in held
        assert one["group"] not in held


def test_a_list_has_every_document_with_the_one_that_stays_and_no_text(corpora: Corpora) -> None:
    for of in ("near-duplicate", "near-held-out", "duplicate", "excluded"):
        whole = corpora.sample("web", of=of, n=1000)["documents"]
        said = corpora.sample("web", of=of, listed=True)
        assert len(said["documents"]) == said["of_documents"] == len(whole)
        for one, other in zip(said["documents"], whole, strict=True):
            assert "text" not in one
            assert "partners" not in one
            assert one["id"] == other["id"]
            assert "text" not in one["stays"]
            assert one["stays"].items() <= other["stays"].items()
            near = {partner["row"]: partner["similarity"] for partner in other.get("partners", [])}
            if one["stays"].get("pairs_away", 1) == 1:
                assert one["stays"]["similarity"] == near.get(one["stays"]["row"], one["stays"]["similarity"])
                assert one["stays"]["similarity"] >= 0.8
            else:
                assert one["stays"]["similarity"] is None
    assert len(corpora.sample("web", listed=True, n=7)["documents"]) == 7


def test_a_copy_that_editing_made_stands_with_the_one_of_its_source(corpora: Corpora) -> None:
    texts = {one["id"]: one["text"] for one in corpora.sample("tiny", n=1000, characters=9999)["documents"]}
    said = corpora.sample("tiny", of="duplicate", n=1000)["documents"]
    assert said
    for one in said:
        assert one["stays"]["source"] == "tiny"
        assert one["stays"]["id"] != one["id"]
        assert texts[one["stays"]["id"]].split() == texts[one["id"]].split()


def test_what_could_not_be_used_stands_with_reason_and_place(corpora: Corpora, place: Seen) -> None:
    said = corpora.sample("web", of="quarantined")
    lines = [len((place.folder / f"web-{n}.jsonl").read_text(encoding="utf-8").splitlines()) for n in (0, 1)]
    assert sorted(one["where"] for one in said["documents"]) == [f"web-{n}.jsonl:{lines[n]}" for n in (0, 1)]
    assert {(one["reason"], one["text"].strip()) for one in said["documents"]} == {("malformed-json", "{broken")}
    assert (said["of_documents"], said["counted"]) == (2, 2)
    assert corpora.sample("web", of="quarantined/malformed-json")["documents"] == said["documents"]
    assert corpora.sample("code", of="quarantined")["documents"] == []
    assert corpora.inspect("web")["quarantined"] == {"malformed-json": 2}


def test_rejects_can_be_asked_for_by_reason(corpora: Corpora) -> None:
    said = corpora.sample("web", rule="gopher-quality/min-words")
    assert said["documents"] == corpora.sample("web", rule="gopher-quality")["documents"]
    assert said["what"] == "dropped by gopher-quality, min-words"


def test_fields_that_no_document_has_are_said_with_those_there_are(corpora: Corpora) -> None:
    said = corpora.inspect("web", fields=["foo"])
    assert (said["fields"]["foo"]["distinct"], said["fields"]["foo"]["without"]) == (0, said["documents"])
    assert said["field_names"] == ["language", "license", "site", "thread", "url"]


def test_a_source_whose_records_have_no_fields_has_no_distribution_of_them(corpora: Corpora) -> None:
    said = corpora.inspect("mail")
    assert (said["fields"], said["field_names"]) == ({}, [])
    output = io.StringIO()
    console = Console(file=output, width=100)
    print_inspection(console, said)
    assert not set(FIELDS) & set(re.findall(r"[a-z]+", output.getvalue()))


def test_the_terminal_shows_no_hidden_character_of_a_field_or_reason(corpora: Corpora) -> None:
    said = corpora.inspect("web", top=3)
    said["fields"]["\x1b[2Jfield"] = said["fields"]["license"] | {
        "values": [{"value": "MIT\x1b[31m\u202e", "documents": 1, "bytes": 2}]
    }
    said["rejected"].append({"step": "keep \x07", "reason": "\x1b[2J", "documents": 1, "listed": False})
    output = io.StringIO()
    console = Console(file=output, width=100)
    print_inspection(console, said)
    shown = output.getvalue()
    assert all(spelled in shown for spelled in (r"\x1b[2Jfield", r"MIT\x1b[31m\u202e", r"keep \x07, \x1b[2J"))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", shown)


def test_the_bound_of_missed_pairs_is_that_of_the_settings(corpora: Corpora) -> None:
    near = corpora.inspect("web")["near_duplicates"]
    missed = (1 - 0.8 ** near["rows"]) ** near["bands"]
    assert near["missed_at_threshold"] == pytest.approx(missed)
    assert 0 < missed < 0.03
    assert f"just 0.8 is missed with a probability of {missed:.1%} ({near['bands']} bands" in corpora.card("web")


def test_a_contaminated_document_stands_with_the_span_that_matched(corpora: Corpora, place: Seen) -> None:
    texts = {row["name"]: row["text"] for row in pages(place.folder)}
    said = corpora.sample("web", of="contaminated")["documents"]
    assert {one["id"] for one in said} == {"leak 0", "leak 1", "leak 2"}
    for one in said:
        (question,) = [hit for hit in one["hits"] if hit["part"] == "question"]
        assert texts[one["id"]][question["start"] : question["end"]] == ITEM


def test_what_a_reader_skipped_is_found_by_its_reason_with_what_decided(corpora: Corpora) -> None:
    said = corpora.sample("code", rule="generated")
    (one,) = said["documents"]
    assert said["what"] == "dropped by read, generated"
    assert (one["id"], one["rule"], one["reason"]) == ("code/pkg0/made.py", "read", "generated")
    assert one["value"] == "Generated by"
    assert one["text"].startswith("# Generated by a tool.")
    for ask in ({"rule": "read"}, {"rule": "read/generated"}, {"of": "skipped"}, {"of": "skipped/generated"}):
        assert corpora.sample("code", **ask)["documents"] == said["documents"]
    assert corpora.sample("web", of="skipped")["documents"] == []
    (row,) = (row for row in corpora.inspect("code")["rejected"] if row["step"] == "read")
    assert row["values"] == [{"value": "Generated by", "documents": 1}]
    card = corpora.card("code")
    assert "| read | generated | 1 | Generated by 1 |" in card
    assert "keeps them" in card
    assert "keeps them" not in corpora.card("web"), "its reader knows nothing of that"


def test_derived_documents_have_the_classes_and_reasons_of_their_roots(corpora: Corpora) -> None:
    rows = corpora.sample("tiny", of="held-out", n=100)["documents"]
    held = {one["id"] for one in corpora.sample("code", of="held-out", n=1000)["documents"]}
    assert rows
    assert {one["id"] for one in rows} <= held


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda c: c.funnel("wbe"), "there is no source 'wbe'\n  Did you mean web?"),
        (lambda c: c.inspect("nothing at all"), "The study has mail, web, code, bare, tiny."),
        (lambda c: c.inspect("web", measures=["x"]), "there is no measure 'x'"),
        (lambda c: c.sample("web", rule="x"), "x is no step of this source"),
        (lambda c: c.sample("web", rule="keep"), "what keep leaves out is counted and not listed"),
        (lambda c: c.sample("web", of="x"), "there is no class 'x'"),
        (lambda c: c.sample("web", of="train/x"), "there is no class 'train/x'"),
        (lambda c: c.sample("web", rule="x/min-words"), "x is no step of this source"),
        (lambda c: c.sample("web", rule="gopher-quality/x"), "for 'x'\n  Its reasons here are min-words 1."),
        (lambda c: c.sample("web", rule="no-code/x"), "It dropped nothing here."),
        (lambda c: c.sample("web", rule="keep/language=fr"), "what keep leaves out is counted and not listed"),
        (lambda c: c.sample("web", of="quarantined/x"), "for 'x'\n  Reasons here: malformed-json 2."),
        (lambda c: c.sample("code", of="quarantined/x"), "Nothing was quarantined here."),
        (lambda c: c.sample("web", of="skipped/generated"), "for 'generated'\n  It dropped nothing here."),
        (lambda c: c.sample("code", of="skipped/x"), "for 'x'\n  Its reasons here are empty 1, generated 1."),
        (lambda c: c.sample("code", rule="empty"), "what read leaves out as empty is counted and not listed"),
        (lambda c: c.sample("web", rule="generated"), "generated is no step of this source"),
        (lambda c: c.sample("web", of="train", kept=True), "Say one of the three."),
        (lambda c: c.card("x"), "there is no source 'x'"),
    ],
)
def test_a_wrong_question_is_answered(corpora: Corpora, ask: Callable[[Corpora], Any], message: str) -> None:
    with pytest.raises(RequestError) as raised:
        ask(corpora)
    assert message in str(raised.value)


# -- cards -------------------------------------------------------------------------------------------------------------


def tables(html: str) -> list[list[list[str]]]:
    """Cells of every table of a page."""
    return [
        [
            re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.S)
            for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)
        ]
        for table in re.findall(r"<table>(.*?)</table>", html, flags=re.S)
    ]


@pytest.mark.parametrize("source", ["mail", "web", "code", "bare", "tiny"])
def test_a_card_is_markdown_whose_tables_are_whole(corpora: Corpora, source: str) -> None:
    text = corpora.card(source)
    assert text == corpora.card(source)
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    for table in tables(html):
        assert len({len(row) for row in table}) == 1
    for title in (
        "What it is",
        "Rules",
        "What was kept",
        "Licences",
        "Lengths",
        "Provenance",
        "Limits",
        "How to rebuild",
    ):
        assert f"<h2>{title}</h2>" in html
    assert not re.search(r"<(?!/?(?:h1|h2|p|table|thead|tbody|tr|th|td|ul|li|pre|code)\b)", html)
    assert str(corpora.study.folder) not in text


def test_a_card_says_where_the_data_come_from_and_under_which_licences(corpora: Corpora, place: Seen) -> None:
    import hashlib

    text = corpora.card("web")
    for name in ("web-0.jsonl", "web-1.jsonl"):
        assert f"| {name} | {hashlib.sha256((place.folder / name).read_bytes()).hexdigest()} |" in text
    assert re.search(r"^\| CC0-1\.0 \| [\d,]+ \| [\d,]+ \| [\d.]+% \| yes \|$", text, flags=re.M)
    assert re.search(r"^\| GPL-3\.0-only \| [\d,]+ \| [\d,]+ \| [\d.]+% \| no \|$", text, flags=re.M)
    assert "| rule | gopher-quality | 2 | min-words 20, " in text
    assert "pretrial corpus build seen.yaml" in text
    assert "min-words: 20" in text.split("## How to rebuild")[1]
    assert "Made from the source bare of the same study. That goes back to code." in corpora.card("tiny")


def test_a_policy_is_named_where_one_was_applied(place: Seen) -> None:
    path = place.variation("policed", ", no-code]", ', {license: {allow: ["CC0-1.0"], unknown: true}}]')
    trial = place.trial(path)
    assert not trial.build_corpora(["web"], workers=1, quiet=True).failures
    corpora = trial.corpora()
    text = corpora.card("web")
    assert "Policy: CC0-1.0; documents without a known licence stay." in text
    assert "| (none named) |" in text
    assert "GPL" in text.split("## What was dropped")[1].split("##")[0]
    assert corpora.funnel("web")["ends"] is None
    assert "has not been decided yet" in text
    assert inspect(corpora, "web")["near_duplicates"] is None


def test_the_way_to_rebuild_names_the_folders_that_the_study_needs(
    place: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRETRIAL_DATA_LETTERS", str(place.folder))
    path = place.variation("lettered", "jsonl: mail.jsonl", "jsonl: '{letters}/mail.jsonl'")
    trial = place.trial(path)
    assert not trial.build_corpora(["mail"], workers=1, quiet=True).failures
    command = f"PRETRIAL_DATA_LETTERS=DIR pretrial corpus build {path.name} --data DIR"
    text = trial.corpora().card("mail")
    assert command in text.split("## How to rebuild")[1]
    assert "what the study calls `{data}` and `{letters}`" in text
    path.write_text(path.read_text().replace(", piqa", "").replace("{letters}/", ""))
    assert not place.trial(path).build_corpora(["mail"], workers=1, quiet=True).failures
    plain = place.trial(path).corpora().card("mail")
    assert f"to the same bytes:\n\n```sh\npretrial corpus build {path.name}\n```" in plain


def test_files_of_cards_are_told_apart() -> None:
    assert file_name("web") == "web.md"
    names = {file_name(name) for name in ("a/b", "a b", "a-b", "..", "ä", "ö")}
    assert len(names) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9][\w.-]*\.md|-[\w-]+\.md", name) for name in names)


# -- text --------------------------------------------------------------------------------------------------------------


@given(st.text())
def test_what_is_shown_holds_no_character_that_is_not_seen(text: str) -> None:
    import unicodedata

    line, many = shown(text), shown(text, lines=True)
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert all(unicodedata.category(c) not in hidden or c in "\u200c\u200d" for c in line + many.replace("\n", ""))
    assert shown(line) == line


def test_seen_text_stays_and_hidden_text_is_spelled_out() -> None:
    assert shown("naïve — 𝔘 日本 🎉") == "naïve — 𝔘 日本 🎉"
    assert shown(HOSTILE).startswith(r"\x1b[31mred\x1b[0m \u202egnirts\u202c")
    assert shown("a\tb\r\nc\rd", lines=True) == "a    b\nc\\rd"
    assert shown("a\nb\t\ud800\U000e0041") == "a\\nb\\t\\ud800\\U000e0041"


@given(st.text(max_size=60) | st.just(HOSTILE) | st.text("|\\`<>[]()*_~$&!#-+=\n :/w.", max_size=40))
def test_text_in_a_cell_is_text(text: str) -> None:
    page = f"| a | b |\n|---|---|\n| {markdown(text)} | end |\n\nx {markdown(text)} y"
    html = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(page)
    ((_, cells),) = tables(html)
    assert (len(cells), cells[1]) == (2, "end")
    assert not re.search(r"<(?!/?(?:p|table|thead|tbody|tr|th|td)\b)", html)
    import html as names

    plain = names.unescape(cells[0])
    assert plain.split() == shown(" ".join(text.split())).split()


@given(st.text("`~a\n ", max_size=40))
def test_a_code_block_is_not_ended_by_its_content(text: str) -> None:
    html = MarkdownIt().render(fenced(text) + "\n\nafter")
    assert html.count("<pre>") == 1
    assert html.endswith("<p>after</p>\n")


def test_hostile_fields_are_text_in_the_card(corpora: Corpora) -> None:
    text = corpora.card("web")
    assert "&lt;script&gt;&#124;x" in text
    assert "\x1b" not in text
    assert seen.STUDY.split("\n")[1] == "study: seen"


def test_the_card_of_a_source_made_from_another_says_what_was_done_to_that_one(corpora: Corpora) -> None:
    done = r"^\| transform \| strip-comments \| .* \| bare \|$"
    assert re.search(done, corpora.card("bare"), flags=re.M)
    assert re.search(done, corpora.card("tiny"), flags=re.M), "tiny is made from bare"
    assert "strip-comments" not in corpora.card("code").split("## Rules")[1].split("##")[0]


# -- what a card may not say -------------------------------------------------------------------------------------------


MORE = """\
  emails: {read: {jsonl: mail.jsonl}, filter: [{redact: {kinds: [email]}}]}
  redacted: {read: {jsonl: mail.jsonl}, filter: [redact]}
  plain: {read: {jsonl: mail.jsonl}, filter: [no-code]}
  folders: {read: {jsonl: folders-*.jsonl}}
"""


@pytest.fixture
def more(place: Seen) -> Corpora:
    """Further sources, all read by the first test that asks for one."""
    (place.folder / "folders-a.jsonl").write_text('{"text": "A page of words."}\n')
    (place.folder / "folders-b.jsonl").mkdir(exist_ok=True)
    trial = place.trial(place.variation("more", "\nmixtures:", f"{MORE}\nmixtures:"))
    built = trial.build_corpora(["emails", "redacted", "plain", "folders"], workers=1, quiet=True)
    assert not built.failures
    corpora: Corpora = trial.corpora()
    return corpora


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "emails",
            "Replaced by a mark, where their form gave them away: e-mail addresses. Not looked for: IP addresses, "
            "keys, names of people, telephone numbers.",
        ),
        (
            "redacted",
            "Replaced by a mark, where their form gave them away: e-mail addresses, IP addresses, keys. Not looked "
            "for: names of people, telephone numbers.",
        ),
        ("plain", "Personal data and keys were not looked for."),
    ],
)
def test_a_card_names_the_personal_data_that_was_replaced_and_no_other(more: Corpora, source: str, said: str) -> None:
    limits = more.card(source).split("## Limits")[1]
    assert f"- {said}\n" in limits


def test_what_was_replaced_in_any_source_on_the_way_was_replaced() -> None:
    assert "e-mail addresses, keys. Not looked for: IP addresses," in _personal(["key", "email", "key"])[0]
    assert _personal([]) == ["Personal data and keys were not looked for."]


def test_benchmarks_that_are_named_need_the_data_folder_to_rebuild(place: Seen) -> None:
    path = place.variation("named", ", piqa]", "]")
    path.write_text(path.read_text() + "decontaminate: [piqa]\n")
    trial = place.trial(path)
    assert not trial.build_corpora(["mail"], workers=1, quiet=True).failures
    assert f"pretrial corpus build {path.name} --data DIR\n" in trial.corpora().card("mail")


def test_a_card_says_what_the_source_is(corpora: Corpora) -> None:
    what = {name: corpora.card(name).split("## What it is")[1].split("|")[0] for name in ("web", "code")}
    assert "Records of JSON lines, read with `jsonl` from web-\\*.jsonl." in what["web"]
    assert "Source files in python, read with `files` from code." in what["code"]
    assert set(_READ) == set(KINDS), "every kind of reading has its words"


def test_a_split_source_says_by_what_also_where_it_is_rebuilt(place: Seen) -> None:
    path = place.variation("split", "group: document, license: MIT}", "group: document, split: language}")
    path.write_text(path.read_text().replace("code: 2/5", "code/python: 2/5").replace("code: 50%", "code/python: 50%"))
    trial = place.trial(path)
    assert not trial.build_corpora(["code/python"], workers=1, quiet=True).failures
    for name in ("code", "code/python"):
        yaml = trial.corpora().card(name).split("```yaml\n")[1].split("```")[0]
        assert "    split: language\n" in yaml
        assert "code/python" not in yaml, "a part has no entry of its own"


# -- counting without keeping ------------------------------------------------------------------------------------------


class _Stored(SimpleNamespace):
    def file(self, name: str) -> Path:
        path: Path = self.path / name
        return path


def _listing(folder: Path, files: int, rows: int, value: str) -> Any:
    for number in range(files):
        with Writer(folder / f"rejects-{number}", REJECTS) as writer:
            for row in range(rows):
                one = {"id": f"{number}-{row}", "rule": "r", "reason": "why", "value": value, "bytes": 3}
                writer.add(one | {"where": "w", "excerpt": "abc"}, 500)
    facts = {
        "rejected": {"r": {"why": files * rows}},
        "skipped": {},
        "funnel": [{"step": "read"}, {"step": "r"}],
        "rejects": [f"rejects-{number}" for number in range(files)],
    }
    return _Stored(path=folder, facts=facts, content="c" * 32)


def test_listing_rejects_opens_every_file_twice_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = _listing(tmp_path, 12, 3, "1")
    opened: Counter[str] = Counter()
    real = pq.ParquetFile

    def counting(path: Path) -> Any:
        opened[Path(path).name] += 1
        return real(path)

    monkeypatch.setattr(pq, "ParquetFile", counting)
    said = _rejected(corpus, "r", None, 1, listed=True)
    assert {one["id"] for one in said["documents"]} == {f"{n}-{row}" for n in range(12) for row in range(3)}
    assert opened == {f"rejects-{number}": 2 for number in range(12)}


def test_what_was_measured_is_counted_and_not_kept(tmp_path: Path) -> None:
    corpus = _listing(tmp_path, 1, 24_000, json.dumps("generated by a tool with a name of some length " * 4))
    tracemalloc.start()
    try:
        (row,) = rejects(corpus, 3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (row["documents"], row["distinct"]) == (24_000, 1)
    assert peak < 4_000_000


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), st.data())
def test_a_document_is_found_in_the_shard_that_holds_it(sizes: list[int], data: st.DataObject) -> None:
    corpus: Any = SimpleNamespace(facts={"shards": [{"documents": size} for size in sizes], "documents": sum(sizes)})
    places = [(number, row) for number, size in enumerate(sizes) for row in range(size)]
    rows = data.draw(st.lists(st.integers(0, len(places) - 1), max_size=8)) if places else []
    assert shards_of(corpus, rows) == [places[row] for row in rows]
    for outside in (len(places), -1):
        with pytest.raises(IndexError):
            shards_of(corpus, [*rows, outside])


def test_errors_of_syntax_that_differ_by_their_line_are_one(tmp_path: Path) -> None:
    messages = [
        "invalid syntax (<unknown>, line 3)",
        "invalid syntax (<unknown>, line 70)",
        "unterminated string literal (detected at line 3) (<unknown>, line 3)",
        "unterminated string literal (detected at line 9) (<unknown>, line 9)",
        "expected an indented block after function definition on line 7 (<unknown>, line 8)"[:80],
        "expected an indented block after function definition on line 9 (<unknown>, line 12)"[:80],
    ]
    with Writer(tmp_path / "all", REJECTS) as writer:
        for message in messages:
            one = {"id": "x", "rule": "r", "reason": "unparsable", "value": json.dumps(message), "bytes": 3}
            writer.add(one | {"where": "w", "excerpt": "abc"}, 500)
    facts = {"rejected": {"r": {"unparsable": 6}}, "funnel": [{"step": "r"}], "rejects": ["all"]}
    stored: Any = _Stored(path=tmp_path, facts=facts)
    (row,) = rejects(stored, 9)
    assert [(one["value"], one["documents"]) for one in row["values"]] == [
        ("expected an indented block after function definition", 2),
        ("invalid syntax", 2),
        ("unterminated string literal", 2),
    ]


def test_one_or_two_values_are_no_distribution() -> None:
    def said(values: list[Any]) -> str:
        return _quantiles(described(values, 3))

    assert said([7]) == said([7, 7]) == said([7] * 50) == "7"
    assert said([7, 9.5]) == "7 and 9.5"
    assert said([7, 8, 9]).startswith("least 7, 5% 7,")


def test_what_is_of_the_root_is_said_to_be(corpora: Corpora) -> None:
    def printed(source: str) -> str:
        output = io.StringIO()
        print_inspection(Console(file=output, width=200), corpora.inspect(source))
        return output.getvalue()

    said = "near-duplicates, similarity from 0.8 (of the source code, from which tiny is made, before its own steps)\n"
    assert said in printed("tiny")
    assert "near-duplicates, similarity from 0.8\n" in printed("code")
    assert "\nbenchmark items\n" in printed("web")


@pytest.mark.parametrize("given", [{"n": -1}, {"n": "3"}, {"seed": -1}, {"characters": -5}, {"n": True}])
def test_a_number_that_is_none_is_said(corpora: Corpora, given: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="It is a whole number from 0 on"):
        corpora.sample("web", **given)


def test_what_could_not_be_opened_does_not_repeat_its_reason_as_its_beginning(more: Corpora) -> None:
    said = more.sample("folders", of="quarantined")
    assert [(one["reason"], one["text"]) for one in said["documents"]] == [("not-a-file", "")]
    output = io.StringIO()
    print_sample(Console(file=output, width=200), said)
    assert "│" not in output.getvalue()
