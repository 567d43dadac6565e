"""A token leads to the document that it was cut from: checked by walking the stream from its beginning."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tokenizers import Tokenizer

import seen
from pretrial.errors import RequestError
from pretrial.inspecting.corpora import Corpora
from pretrial.inspecting.rows import read_rows
from pretrial.inspecting.terminal import _edited, print_trace
from pretrial.inspecting.trace import _document, _listed, edits, origin
from pretrial.mixture.stream import course_stream
from seen import Seen

CONTEXT = 32
ENDS = {
    "trunk": [("first", 12_800), ("second", 38_400)],
    "branch": [("first", 12_800), ("second", 19_200), ("own", 44_800), ("last", 51_200)],
}
"""Where stages end, as the study file says it."""


@dataclass(frozen=True)
class Step:
    """One target, as a walk from the first one on meets it."""

    stage: str
    source: str
    draw: int
    epoch: int
    window: int
    place: int
    document: int
    inside: int


class Walk:
    """Every target of a variant, found without looking anything up: draws are counted, documents by their marks."""

    def __init__(self, corpora: Corpora, variant: str, seed: int, *, replay: bool = False) -> None:
        step = corpora.graph.steps[corpora.graph.ledgers[variant, seed]]
        made = {key: corpora.find(name) for key, name in step.inputs.items() if key.startswith("tokens:")}
        stream = course_stream(step.config["course"], made)
        self.tokens = {name: np.load(made[f"tokens:{name}"].path / "tokens.npy") for name in stream.sources}
        self.mark = made["tokens:web"].facts["mark"]
        self.marks = {name: np.flatnonzero(tokens == self.mark) for name, tokens in self.tokens.items()}
        self.steps: list[Step] = []
        ends = ENDS[variant]
        batch = stream.batch(0, ends[-1][1] // CONTEXT)
        draws = dict.fromkeys(stream.sources, 0)
        seen_windows: set[tuple[str, int, int, int]] = set()
        stage = 0
        for sequence, row in enumerate(batch.tokens):
            if sequence * CONTEXT == ends[stage][1]:
                stage += 1
                draws = dict.fromkeys(draws, 0) if replay else draws
            name, window = stream.sources[int(batch.sources[sequence])], int(batch.windows[sequence])
            assert self.tokens[name][window * CONTEXT : (window + 1) * CONTEXT + 1].tolist() == row.tolist()
            epoch = draws[name] // ((len(self.tokens[name]) - 1) // CONTEXT)
            once = (name, window, epoch, stage if replay else 0)
            assert once not in seen_windows, "a window comes once a pass"
            seen_windows.add(once)
            for place in range(window * CONTEXT + 1, (window + 1) * CONTEXT + 1):
                document = int(np.count_nonzero(self.marks[name] < place)) - 1
                inside = place - 1 - int(self.marks[name][document])
                self.steps.append(Step(ends[stage][0], name, draws[name], epoch, window, place, document, inside))
            draws[name] += 1

    def ids(self, name: str, document: int) -> list[int]:
        marks = self.marks[name]
        found: list[int] = self.tokens[name][marks[document] + 1 : marks[document + 1]].tolist()
        return found


def some(steps: Sequence[Step], ends: Sequence[tuple[str, int]], many: int) -> list[int]:
    """Tokens to trace: around every border, passes after the first, and others by chance."""
    draw = random.Random(many)
    borders = [at + off for _, at in [("", 0), *ends] for off in (-1, 0, 1) if 0 <= at + off < len(steps)]
    again = [n for n, step in enumerate(steps) if step.epoch]
    return sorted({*borders, *draw.sample(again, min(len(again), many // 3)), *draw.sample(range(len(steps)), many)})


def check(corpora: Corpora, place: Seen, variant: str, seed: int, tokens: Sequence[int], walk: Walk) -> None:
    tokenizer = Tokenizer.from_file(str(corpora.find("tokenizer").file("tokenizer.json")))
    originals = raw(place.folder)
    for token in tokens:
        said, step = corpora.trace(variant, token, seed=seed, around=10**6), walk.steps[token]
        found = (
            said["stage"]["name"], said["source"], said["draw"], said["epoch"], said["window"], said["stream"],
            said["document"]["token"],
        )  # fmt: skip
        assert found == (step.stage, step.source, step.draw, step.epoch, step.window, step.place, step.inside)
        assert (said["sequence"], said["target"]) == divmod(token, CONTEXT)
        ids = walk.ids(step.source, step.document)
        text = said["text"]["before"] + said["text"]["after"]
        begin, end = said["document"]["characters"]
        if said["text"]["mark"]:
            assert step.inside == len(ids)
            assert said["text"]["after"] == ""
        else:
            whole = tokenizer.decode(ids)
            text = whole
            assert said["text"]["before"] + whole[begin:end] + said["text"]["after"] == whole
            assert said["text"]["token"].encode() in whole[begin:end].encode() or "\\x" in said["text"]["token"]
            first = tokenizer.decode(ids[: step.inside]).removesuffix("\ufffd")
            assert whole.startswith(first)
            assert len(first) - begin in (0, 1)
        assert tokenizer.encode(text, add_special_tokens=False).ids == ids
        assert said["document"]["tokens"] == len(ids)
        if step.source == "web":
            file, original = originals[said["document"]["id"]]
            assert text == original
            assert said["origin"]["name"] == file
            assert said["origin"]["sha256"] == hashlib.sha256((place.folder / file).read_bytes()).hexdigest()
            assert said["root"] is None
        else:
            at = said if step.source == "code" else said["root"]
            read = (place.folder / at["origin"]["name"]).read_bytes()
            assert at["origin"]["sha256"] == hashlib.sha256(read).hexdigest()
            assert text.strip() in read.decode()
            document = said["document"] if step.source == "code" else said["root"]
            assert document["id"] == at["origin"]["name"] == said["document"]["id"]
            assert document["license"] == "MIT"


def raw(folder: Path) -> dict[str, tuple[str, str]]:
    """File and text of every page, by its name."""
    found = {}
    for file in ("web-0.jsonl", "web-1.jsonl"):
        for line in (folder / file).read_text(encoding="utf-8").split("\n")[:-2]:
            row: dict[str, Any] = json.loads(line)
            found[row["name"]] = (file, row["text"])
    return found


@pytest.mark.parametrize(("variant", "seed"), [("trunk", 1), ("branch", 2)])
def test_every_token_leads_to_the_document_that_a_walk_meets(
    corpora: Corpora, place: Seen, variant: str, seed: int
) -> None:
    walk = Walk(corpora, variant, seed)
    tokens = some(walk.steps, ENDS[variant], 45)
    assert {walk.steps[token].epoch > 0 for token in tokens} == {True, False}
    assert {walk.steps[token].source for token in tokens} == {"web", "code", "tiny"}
    check(corpora, place, variant, seed, tokens, walk)


def test_a_replayed_stage_counts_its_draws_anew(place: Seen) -> None:
    path = place.variation("replayed", "carry: [weights, optimizer, data]", "carry: [weights, optimizer]")
    corpora = place.trial(path).corpora()
    walk = Walk(corpora, "trunk", 1, replay=True)
    assert walk.steps[12_800].draw == 0
    check(corpora, place, "trunk", 1, some(walk.steps, ENDS["trunk"], 12), walk)


def test_the_mark_ends_its_document(corpora: Corpora, place: Seen) -> None:
    walk = Walk(corpora, "trunk", 1)
    marks = [n for n, step in enumerate(walk.steps) if walk.tokens[step.source][step.place] == walk.mark]
    tokens = marks[:3] + marks[-3:]
    assert all(corpora.trace("trunk", token)["text"]["mark"] for token in tokens)
    check(corpora, place, "trunk", 1, tokens, walk)


def test_a_token_inside_a_character_names_the_whole_character(corpora: Corpora, place: Seen) -> None:
    walk = Walk(corpora, "branch", 1)
    names = [json.loads(line) for line in corpora.tokens("web", "train").file("ids.txt").read_text().splitlines()]
    number = names.index("naïve 𝔘nicode")
    tokens = [n for n, step in enumerate(walk.steps) if (step.source, step.document) == ("web", number)]
    _, text = raw(place.folder)["naïve 𝔘nicode"]
    parts = 0
    for token in tokens[:80]:
        said = corpora.trace("branch", token)
        if said["text"]["mark"]:
            continue
        (begin, end), (first, last) = said["document"]["bytes"], said["document"]["characters"]
        before = [len(text[:at].encode()) for at in (first, first + 1, last - 1, last)]
        assert before[0] <= begin < before[1]
        assert before[2] < end <= before[3]
        parts += (begin, end) != (before[0], before[3])
    assert parts, "some tokens are parts of a character"


def test_every_document_of_a_derived_source_is_found_by_its_tokens(corpora: Corpora) -> None:
    tokens = corpora.tokens("tiny", "train")
    assert tokens is not None
    found = [_document(corpora, "tiny", *_listed(tokens, number)) for number in range(tokens.facts["documents"])]
    rows = [row for row, _ in found]
    assert len(rows) == {row["class"]: row["documents"] for row in corpora.funnel("tiny")["ends"]}["train"]
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(
    ("variant", "token", "seed", "message"),
    [
        ("none", 0, 1, "there is no variant 'none'"),
        ("trunk", -1, 1, "trunk has no token -1"),
        ("trunk", 38_400, 1, "trunk has no token 38,400"),
        ("trunk", 0, 3, "the study has no seed 3"),
    ],
)
def test_what_does_not_exist_is_said(corpora: Corpora, variant: str, token: int, seed: int, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        corpora.trace(variant, token, seed=seed)


def test_before_anything_was_tokenised_the_run_is_named(place: Seen) -> None:
    path = place.variation("other-vocabulary", "vocabulary: 400", "vocabulary: 401")
    with pytest.raises(RequestError) as raised:
        place.trial(path).corpora().trace("trunk", 0)
    assert str(raised.value) == f"the tokens of trunk have not been made yet\n  Run: pretrial run {path}"


def test_what_edits_texts_is_said_with_whether_it_did(corpora: Corpora) -> None:
    wanted = {("web", None), ("code", None), ("tiny", True)}
    found: dict[tuple[str, bool | None], Any] = {}
    for token in random.Random(1).sample(range(0, 38_400, CONTEXT), 38_400 // CONTEXT):
        said = corpora.trace("trunk", token, seed=1)
        found.setdefault((said["source"], said["changed"]), said)
        if found.keys() >= wanted:
            break
    assert set(found) == wanted
    assert [found[key]["edited"] for key in (("web", None), ("code", None))] == [[], []]
    assert found["tiny", True]["edited"] == [{"source": "bare", "step": "strip-comments"}]
    assert "  edited by: strip-comments; the text differs from that of code\n" in printed(found["tiny", True])
    assert "  edited by: strip-comments; the text is still that of code\n" in printed(
        found["tiny", True] | {"changed": False}
    )
    assert "  edited by: no step; the text is as it was read\n" in printed(found["web", None])


@pytest.mark.parametrize("width", [72, 80, 120])
def test_a_digest_and_a_name_are_shown_whole(corpora: Corpora, width: int) -> None:
    said = corpora.trace("trunk", 5_000, seed=1)
    said["origin"] |= {"name": "folder/" * 12 + "file.jsonl", "revision": "5" * 40}
    said["origin"]["others"] = [{"name": "other/" * 12 + "file.jsonl"}]
    lines = printed(said, width).split("\n")
    assert any(said["origin"]["sha256"] in line for line in lines), "in one line, to be copied"
    assert any("5" * 40 in line for line in lines)
    whole = "".join(line.strip() for line in lines)
    assert said["origin"]["name"] in whole
    assert said["origin"]["others"][0]["name"] in whole


def test_steps_that_edit_are_those_of_the_whole_line_in_order() -> None:
    """Rules count where they took something out of some document; what a cap cut is not counted, so it always does."""

    def corpus(parent: str | None, removed: dict[str, Any], **config: Any) -> SimpleNamespace:
        whole = {"read": {}, "filter": [], "transform": [], **config}
        made = SimpleNamespace(manifest={"payload": {"config": whole}}, facts={"removed": removed})
        return SimpleNamespace(parent=parent, made=made)

    sources = {
        "pages": corpus(
            None, {"c4-lines": {"short": 9}}, filter=[["c4-page", 1, {}], ["c4-lines", 1, {}], ["redact", 1, {}]]
        ),
        "bare": corpus("pages", {}, transform=[["strip-comments", 1, {}], ["rename", 1, {}]]),
        "capped": corpus("bare", {}, read={"cap_file": 100, "drop_docstrings": True}),
    }
    fake: Any = SimpleNamespace(source=sources.__getitem__, corpus=lambda name: sources[name].made)
    assert [(one["source"], one["step"]) for one in edits(fake, "capped")] == [
        ("pages", "c4-lines"),
        ("bare", "strip-comments"),
        ("bare", "rename"),
        ("capped", "drop-docstrings"),
        ("capped", "cap-file"),
    ]
    said = _edited({"edited": edits(fake, "pages"), "changed": None})
    assert said == "c4-lines, where there was something to change"
    several = _edited({"edited": edits(fake, "bare"), "changed": True, "root": {"source": "pages"}})
    assert several.startswith("c4-lines (pages), strip-comments (bare), rename (bare); the text differs")


def printed(said: dict[str, Any], width: int = 120) -> str:
    output = io.StringIO()
    print_trace(Console(file=output, width=width), said)
    return output.getvalue()


def test_equal_files_are_told_apart_by_their_place(place: Seen, tmp_path: Path) -> None:
    text = seen.STUDY.replace("web-*.jsonl", "twice-*.jsonl").replace(", piqa", "")
    (tmp_path / "seen.yaml").write_text(text, encoding="utf-8")
    for name in ("twice-a", "twice-b", "mail"):
        (tmp_path / f"{name}.jsonl").write_bytes((place.folder / "web-0.jsonl").read_bytes())
    (tmp_path / "code").mkdir()
    (tmp_path / "code/one.py").write_text("print()\n")
    (tmp_path / "data").mkdir()
    trial = Seen(tmp_path).trial()
    assert not trial.build_corpora(["web"], workers=1, quiet=True).failures
    corpora = trial.corpora()
    last = corpora.corpus("web").facts["documents"] - 1
    for row, name in ((0, "twice-a.jsonl"), (last, "twice-b.jsonl")):
        (document,) = read_rows(corpora.corpus("web"), [row], ["id", "meta"])
        said = origin(corpora, "web", row, document)
        assert (said["name"], "others" in said) == (name, False)
    shutil.rmtree(tmp_path / "store/artefacts/corpus-shard")
    assert origin(corpora, "web", 0, document)["unknown"] == "the store has no record of its shard any more"


def test_parts_with_the_same_documents_are_told_apart_by_their_order() -> None:
    """Two parts of several files each, of which the second repeats the first; single files that repeat each other."""

    def files(*names: str) -> dict[str, Any]:
        return {"files": [[name, f"sha of {name[1]}"] for name in names]}

    def single(name: str, sha: str = "single") -> dict[str, Any]:
        return {"file": name, "sha256": sha}

    shards = [
        {"file": "0", "documents": 5, "files": [["a1", 0], ["a2", 3]]},
        {"file": "1", "documents": 5, "files": [["b1", 0], ["b2", 3]]},
        {"file": "2", "documents": 4},
        {"file": "3", "documents": 4},
    ]
    rows = [[name, f"sha of {name[1]}"] for name in ("a1", "a2", "b1", "b2")] + [["c", "single"], ["d", "single"]]
    shas = ["several", "several", "one", "one"]
    corpus = SimpleNamespace(
        facts={"shards": shards, "documents": 18},
        manifest={
            "payload": {"config": {"read": {"scope": "paths", "kind": "jsonl"}, "files": rows}},
            "files": {str(number): {"sha256": sha} for number, sha in enumerate(shas)},
        },
    )
    # As the store lists them, with one that an earlier state of the files left.
    stored = [
        (single("d"), "one"), (files("b1", "b2"), "several"), (single("c", "older"), "one"), (single("c"), "one"),
        (files("a1", "a2"), "several"),
    ]  # fmt: skip
    fake: Any = SimpleNamespace(corpus=lambda name: corpus, shards_like=lambda corpus: iter(stored))

    def name_of(row: int) -> Any:
        said = origin(fake, "any", row, {"id": "x", "meta": "{}"})
        assert "others" not in said
        return said["name"]

    expected = ["a1"] * 3 + ["a2"] * 2 + ["b1"] * 3 + ["b2"] * 2 + ["c"] * 4 + ["d"] * 4
    assert [name_of(row) for row in range(18)] == expected
    stored.remove((single("c"), "one"))
    stored.append((single("d") | {"beside": "x"}, "one"))
    stored.append((single("c"), "one"))
    said = origin(fake, "any", 12, {"id": "x", "meta": "{}"})
    assert {said["name"], *(one["name"] for one in said["others"])} == {"c", "d"}, "of three it cannot be told"


def test_places_in_json_are_inclusive(corpora: Corpora) -> None:
    stage = corpora.trace("trunk", 0)["stage"]
    assert (stage["first"], stage["last"]) == (0, 12_799)


@pytest.mark.parametrize("given", [{"token": "x"}, {"token": 1.5}, {"token": True}, {"token": 1, "around": "9"}])
def test_what_is_no_place_is_said(corpora: Corpora, given: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="It is a whole number"):
        corpora.trace("trunk", **given)
