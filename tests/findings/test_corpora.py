"""What a report says became of documents: funnel, rejects, near-duplicates, licences."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrial.corpus.select import CLASSES
from pretrial.findings.corpora import Corpora, licence_of
from pretrial.findings.shelf import Shelf
from pretrial.plan.graph import Graph
from pretrial.study.load import parse_study
from pretrial.study.schema import Study

SELECT = "selection of documents"


@pytest.fixture
def study(build: Callable[..., Study], corpora: Any) -> Study:
    """The study with a source made from prose, one made from that and in no mixture, and near-duplicates."""
    read = {name: {"read": {"jsonl": str(corpora / f"{name}.jsonl")}, "group": "book"} for name in ("code", "letters")}
    sources = {
        "prose": {"read": {"jsonl": str(corpora / "prose-*.jsonl")}, "group": "book"},
        **read,
        "long": {"from": "prose", "filter": ["gopher-quality"]},
        "longer": {"from": "long", "filter": ["gopher-repetition"]},
    }
    mixed = {"long": "50%", "code": "50%"}
    tokenizer = {"train": {"vocabulary": 300, "from": mixed}}
    return build(sources=sources, mixtures={"text": {"long": "100%"}, "mixed": mixed}, tokenizer=tokenizer)


@pytest.fixture
def graph(study: Study, plan: Callable[[Study], Graph]) -> Graph:
    return plan(study)


@pytest.fixture
def runner(graph: Graph, kept: Callable[..., Any]) -> Any:
    return kept(graph)


def corpora_of(study: Study, graph: Graph, runner: Any) -> Corpora:
    return Corpora(study, graph, Shelf(runner))


def corpus(*steps: tuple[str, int, int], **facts: Any) -> dict[str, Any]:
    funnel = [{"step": step, "documents": documents, "bytes": size} for step, documents, size in steps]
    return {"funnel": funnel, "rejected": {}, "skipped": {}, "quarantined": {}, "removed": {}, **facts}


def selected(**counts: int) -> dict[str, Any]:
    return {name: {"documents": count, "bytes": 10 * count} for name, count in counts.items()} | {"groups": 1}


def parquet(**columns: list[Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def array(values: list[int]) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array(values))
    return out.getvalue()


def test_parts_have_plain_names_and_tokens(study: Study, graph: Graph, runner: Any) -> None:
    classes = selected(
        train=5, held_out=2, duplicate=3, excluded=1, near_duplicate=4, near_held_out=1, contaminated=2, other=0
    )
    runner.keep(SELECT, {"sources": dict.fromkeys(study.sources, classes)})
    for source in study.made_sources:
        runner.keep(f"corpus {source}", corpus(("read", 20, 200), ("length", 18, 180)))
    runner.keep("tokens of long (train)", {"tokens": 1234})
    rows = corpora_of(study, graph, runner).funnel()
    of_long = [row for row in rows if row["source"] == "long"]
    assert [(row["step"], row["part"], row["documents"], row["tokens"]) for row in of_long] == [
        ("read", False, 20, None),
        ("length", False, 18, None),
        ("trains", True, 5, 1234),
        ("held out", True, 2, None),
        ("exact copies, left out", True, 3, None),
        ("exact copies of held-out documents", True, 1, None),
        ("near-duplicates of documents that train", True, 4, None),
        ("near-duplicates of held-out documents", True, 1, None),
        ("held a benchmark item", True, 2, None),
        ("other", True, 0, None),
    ]
    assert {row["source"]: row["made_from"] for row in rows} == {
        "prose": "", "code": "", "letters": "", "long": "prose",
    }  # fmt: skip


def test_documents_of_a_source_in_no_mixture_are_not_said_to_train(study: Study, graph: Graph, runner: Any) -> None:
    runner.keep(SELECT, {"sources": dict.fromkeys(study.sources, selected(train=5))})
    for source in study.made_sources:
        runner.keep(f"corpus {source}", corpus(("read", 5, 50)))
    rows = corpora_of(study, graph, runner).funnel()
    assert {row["source"]: row["step"] for row in rows if row["part"]} == {
        "prose": "trains in sources made from it",
        "code": "trains",
        "letters": "trains",
        "long": "trains",
    }


def test_every_reason_is_listed_rules_as_they_ran_and_the_frequent_first(
    study: Study, graph: Graph, runner: Any
) -> None:
    steps = [("read", 9, 90), ("keep", 8, 80), ("b-rule", 7, 70), ("a-rule", 6, 60)]
    runner.keep(
        "corpus prose",
        corpus(
            *steps,
            rejected={"a-rule": {"short": 1}, "keep": {"language=de": 4}, "b-rule": {"x": 2, "y": 7, "w": 2}},
            skipped={"too large": 3},
            quarantined={"undecodable": 1},
            removed={"a-rule": {"tag": 1}, "b-rule": {"fence": 12, "indent": 3}},
        ),
    )
    found = corpora_of(study, graph, runner)
    assert [tuple(row.values()) for row in found.rejects()] == [
        ("prose", "keep", "language=de", 4),
        ("prose", "b-rule", "y", 7),
        ("prose", "b-rule", "w", 2),
        ("prose", "b-rule", "x", 2),
        ("prose", "a-rule", "short", 1),
        ("prose", "skipped", "too large", 3),
        ("prose", "quarantined", "undecodable", 1),
    ]
    assert [tuple(row.values()) for row in found.removed()] == [
        ("prose", "b-rule", "fence", 12),
        ("prose", "b-rule", "indent", 3),
        ("prose", "a-rule", "tag", 1),
    ]


def test_near_duplicates_are_counted_within_and_across(study: Study, graph: Graph, runner: Any) -> None:
    counts = {"documents": 100, "empty": 1, "in_components": 9, "within": 6, "across": 4}
    runner.keep(
        "near-duplicates",
        {
            "sources": {name: dict(counts) for name in ("prose", "code", "letters")},
            "between": [
                {"sources": ["prose", "prose"], "pairs": 5},
                {"sources": ["prose", "code"], "pairs": 2},
                {"sources": ["prose", "letters"], "pairs": 1},
            ],
        },
    )
    rows = {row["source"]: row for row in corpora_of(study, graph, runner).near_duplicates()}
    assert list(rows) == ["prose", "code", "letters"]
    assert rows["prose"] == {
        "source": "prose",
        "documents": 100,
        "near": 9,
        "within": 6,
        "across": 4,
        "pairs_within": 5,
        "pairs_across": 3,
        "others": {"code": 2, "letters": 1},
    }
    assert (rows["letters"]["pairs_within"], rows["letters"]["others"]) == (0, {"prose": 1})


def test_sources_whose_texts_were_edited_follow_with_their_own_search(
    plan: Callable[[Study], Graph], kept: Callable[..., Any], study: Study
) -> None:
    sources = study.resolved()["sources"]
    sources["long"]["transform"] = ["strip-comments"]
    graph = plan(edited := parse_study({**study.resolved(), "sources": sources}))
    runner = kept(graph)
    counts = {"documents": 100, "empty": 1, "in_components": 9, "within": 6, "across": 4}
    runner.keep("near-duplicates", {"sources": {"prose": counts}, "between": []})
    between = [{"sources": ["prose", "long"], "pairs": 7}]
    more = {"sources": {"prose": {**counts, "across": 44}, "long": {**counts, "across": 5}}, "between": between}
    runner.keep("near-duplicates among edited sources", more)
    rows = corpora_of(edited, graph, runner).near_duplicates()
    assert [(row["source"], row["across"], row["others"]) for row in rows] == [
        ("prose", 4, {}),
        ("long", 5, {"prose": 7}),
    ]


def test_licences_are_those_of_what_trains_and_of_transfer_domains_what_is_held_out(
    study: Study, graph: Graph, runner: Any
) -> None:
    metas = [{"license": "MIT"}, {}, {"license": "MIT"}, {"license": ["ISC", "Zlib"]}, {"note": '"license":"GPL"'}]
    tokenised = {
        "documents__parquet": parquet(meta=[json.dumps(meta, separators=(",", ":")) for meta in metas]),
        "bytes__npy": array([10, 30, 20, 35, 5]),
    }
    for name in ("tokens of code (train)", "tokens of code (held-out)", "tokens of letters (held-out)"):
        runner.keep(name, {"tokens": 1}, **tokenised)
    rows = corpora_of(study, graph, runner).licences()
    assert [row["source"] for row in rows] == ["code"] * 3 + ["letters"] * 3
    assert [tuple(row.values())[1:] for row in rows[:3]] == [
        ("", 2, 35, 0.4, 0.35),
        ("ISC, Zlib", 1, 35, 0.2, 0.35),
        ("MIT", 2, 30, 0.4, 0.3),
    ]


@pytest.mark.parametrize("name", ["code", "letters"])
def test_licences_of_what_was_not_tokenised_yet_are_those_of_what_was_chosen(
    study: Study, graph: Graph, runner: Any, name: str
) -> None:
    licences = ["MIT", "ISC", "MIT", "MIT", "Zlib"]
    rows = {"meta": [json.dumps({"license": one}) for one in licences], "bytes": [1, 2, 4, 8, 16]}
    mask = np.array([CLASSES[one] for one in ("train", "train", "held_out", "train", "held_out")], np.uint8)
    shards = [{"file": "shard.parquet"}]
    made = runner.keep(f"corpus {name}", {"documents": 5, "shards": shards}, shard__parquet=parquet(**rows))
    found = corpora_of(study, graph, runner)
    assert found.licences() == []
    classes = {"sources": {name: selected(train=3, held_out=2)}, "files": {name: "own.npy"}}
    runner.keep(SELECT, classes, own__npy=array(mask.tolist()))
    told = [tuple(row.values())[1:4] for row in found.licences()]
    assert told == ([("MIT", 2, 9), ("ISC", 1, 2)] if name == "code" else [("Zlib", 1, 16), ("MIT", 1, 4)])
    made.file("shard.parquet").write_bytes(b"other")
    assert corpora_of(study, graph, runner).licences() == []


@pytest.mark.parametrize(
    ("meta", "licence"),
    [
        ("{}", ""),
        ('{"license":null}', ""),
        ('{"license":"Apache-2.0","path":"a"}', "Apache-2.0"),
        ('{"license":["MIT","BSD-3-Clause"]}', "MIT, BSD-3-Clause"),
        ('{"license":{"id":1}}', '{"id": 1}'),
        ('{"more":{"license":"MIT"}}', ""),
        ('{"license":"a \\"quoted\\" {one}"}', 'a "quoted" {one}'),
        ('{"x\\"license":"MIT"}', ""),
        ('{"license":"MIT","text":"{"}', "MIT"),
    ],
)
def test_a_licence_is_a_field_of_the_document_itself(meta: str, licence: str) -> None:
    assert licence_of(meta) == licence


def test_what_is_not_there_gives_no_rows(
    build: Callable[..., Study], plan: Callable[[Study], Graph], kept: Callable[..., Any]
) -> None:
    study = build(**{"near-duplicates": "none"})
    graph = plan(study)
    assert "near-duplicates" not in graph.steps
    found = corpora_of(study, graph, kept(graph))
    assert [found.funnel(), found.rejects(), found.removed(), found.near_duplicates(), found.licences()] == [[]] * 5


def test_a_damaged_file_is_not_read(study: Study, graph: Graph, runner: Any) -> None:
    name = "tokens of code (train)"
    made = runner.keep(name, {"tokens": 1}, documents__parquet=parquet(meta=["{}"]), bytes__npy=array([10]))
    found = corpora_of(study, graph, runner)
    assert len(found.licences()) == 1
    made.file("bytes.npy").write_bytes(array([11]))
    assert found.licences() == []
