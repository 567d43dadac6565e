"""Benchmark items in documents: who held them, who could train on them, and scores without them."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pretrial.benchmarks.items import TASKS
from pretrial.corpus.contamination.hits import SCHEMA
from pretrial.corpus.iterate import CONTAMINATED, HELD_OUT, TRAIN
from pretrial.execute.runner import Runner
from pretrial.findings import Findings, find
from pretrial.findings.contamination import FLAG, MATCHES
from pretrial.plan import graph as planning
from pretrial.plan.graph import Graph, Options, build_graph
from pretrial.plan.registration import History
from pretrial.report import tables
from pretrial.store.artefacts import FileHashes
from pretrial.study.schema import Study

PROSE = [TRAIN, CONTAMINATED, TRAIN, TRAIN, HELD_OUT, TRAIN]
CODE = [CONTAMINATED, TRAIN, CONTAMINATED]
LONG_ROOTS = [2, 4, 5]
"""`long` is made of these documents of prose: none with an item trains."""
HITS = {
    "prose": [(1, "piqa", "piqa-0", 0.9), (1, "piqa", "piqa-1", 0.8), (4, "piqa", "piqa-2", 1.0)],
    "code": [(0, "lambada", "lambada-3", 0.6), (2, "piqa", "never asked", 1.0), (2, "piqa", "piqa-1", 1.0)],
}
"""By source (row, benchmark, item, overlap)."""
SELECT = "selection of documents"
LOST = [("piqa", "piqa-5"), ("piqa", "piqa-6"), ("piqa", "never asked either"), ("lambada", "never asked")]
"""Items that cannot be found."""


@pytest.fixture
def study(build: Callable[..., Study], corpora: Path) -> Study:
    read = {
        name: {"read": {"jsonl": str(corpora / f"{file}.jsonl")}, "group": "book"}
        for name, file in (("prose", "prose-*"), ("code", "code"), ("letters", "letters"))
    }
    half = {"tokens": 10 * 1024}
    return build(
        sources=read | {"long": {"from": "prose", "filter": ["gopher-quality"]}},
        mixtures={"text": {"prose": "100%"}, "mixed": {"prose": "50%", "code": "50%"}, "cut": {"long": "100%"}},
        variants={name: [half | {"mixture": name}] for name in ("text", "mixed", "cut")},
        carry=["weights", "optimizer", "data"],
        baseline="text",
        evaluate={"tasks": ["transfer", "piqa", "lambada"]},
        claims=[],
    )


@pytest.fixture
def graph(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Graph:
    """The study's plan, whose benchmarks' files hold nothing of interest."""
    data = tmp_path / "data"
    for name in ("piqa", "lambada"):
        path = data / "benchmarks" / TASKS[name].path
        path.parent.mkdir(parents=True)
        path.write_bytes(zstandard.compress(b"{}\n"))
    monkeypatch.setattr(planning, "check_bench", lambda *arguments: None)
    monkeypatch.setattr(planning, "bench_config", lambda task, *arguments: {"task": task})
    return build_graph(study, Options(data, {"device": "cpu"}, FileHashes(tmp_path / "fingerprints.json")))


def array(values: list[int], kind: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, np.array(values, kind))
    return out.getvalue()


def table(rows: list[tuple[int, str, str, float]]) -> bytes:
    made = [
        {
            "row": row, "document": f"doc-{row}", "benchmark": benchmark, "item": item, "part": "question",
            "kind": "prose", "overlap": overlap, "start": 0, "end": 9, "excerpt": f"text of {item}",
        }
        for row, benchmark, item, overlap in rows
    ]  # fmt: skip
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(made, SCHEMA), out)
    return out.getvalue()


def scan(runner: Any, source: str, documents: int, hits: list[tuple[int, str, str, float]]) -> None:
    """Give a source what its scan would have found."""
    benchmarks = {
        name: {
            "documents": len({row for row, benchmark, _, _ in hits if benchmark == name}),
            "items": len({item for _, benchmark, item, _ in hits if benchmark == name}),
            "of": 50,
            "searchable": 40,
        }
        for name in ("lambada", "piqa")
    }
    held = len({row for row, *_ in hits})
    facts = {
        "documents": documents,
        "bytes": 100 * documents,
        "contaminated": {"documents": held, "bytes": 100 * held},
        "rate": held / documents,
        "hits": len(hits),
        "benchmarks": benchmarks,
    }
    runner.keep(f"benchmark items in {source}", facts, hits__parquet=table(hits))


def select(runner: Any, prose: list[int], code: list[int]) -> None:
    """Give the selection these classes; `long` has those of the documents it was made of."""
    masks = {"prose": prose, "code": code, "long": [prose[row] for row in LONG_ROOTS]}
    files = {f"{place}__npy": array(mask, np.uint8) for place, mask in enumerate(masks.values())}
    facts = {"files": {name: f"{place}.npy" for place, name in enumerate(masks)}, "sources": {}}
    runner.keep(SELECT, facts | {"sources": {name: {} for name in masks}}, **files)


@pytest.fixture
def runner(graph: Graph, kept: Callable[..., Any]) -> Any:
    """Everything finished; documents with items left training."""
    runner = kept(graph)
    for source, documents in (("prose", len(PROSE)), ("code", len(CODE))):
        scan(runner, source, documents, HITS[source])
    out = io.BytesIO()
    asked = {(name, f"{name}-{item}"): True for name in ("piqa", "lambada") for item in range(12)}
    known = asked | dict.fromkeys(LOST, False)
    rows = [{"benchmark": name, "item": item, "findable": findable} for (name, item), findable in known.items()]
    pq.write_table(pa.Table.from_pylist(rows), out)
    runner.keep("benchmark texts", {}, items__parquet=out.getvalue())
    select(runner, PROSE, CODE)
    nothing: dict[str, Any] = {"funnel": [], "rejected": {}, "skipped": {}, "quarantined": {}, "removed": {}}
    shards = [{"file": "shard-00000.parquet", "roots": "roots-00000.npy"}]
    roots = {"roots-00000__npy": array(LONG_ROOTS, np.int64)}
    runner.keep("corpus long", nothing | {"shards": shards}, **roots)
    return runner


def found(study: Study, graph: Graph, runner: Runner) -> Findings:
    return find(study, graph, runner, History(()), windows={}, record={"device": "cpu"}, accepted=False)


def look_for_too(runner: Any, source: str, benchmark: str, hits: list[tuple[int, str, str, float]]) -> None:
    """Give a source what its scan would have found of a benchmark more."""
    scanned = runner.given[f"benchmark items in {source}"]
    own = {"documents": len({row for row, *_ in hits}), "items": len(hits), "of": 30, "searchable": 30}
    facts = scanned.facts | {"benchmarks": scanned.facts["benchmarks"] | {benchmark: own}}
    runner.keep(f"benchmark items in {source}", facts, hits__parquet=table([*HITS[source], *hits]))


def test_a_benchmark_that_is_looked_for_and_not_evaluated_has_its_hits_and_no_scores(
    study: Study, graph: Graph, runner: Any
) -> None:
    look_for_too(runner, "prose", "mbpp", [(1, "mbpp", "mbpp-7", 1.0)])
    look_for_too(runner, "code", "mbpp", [])
    data = found(replace(study, decontaminate_also=("piqa", "mbpp")), graph, runner).data
    rows = {(row["source"], row["benchmark"]): row for row in data.contamination}
    assert [name for source, name in rows if source == "prose"] == ["any", "piqa", "lambada", "mbpp"]
    mbpp = rows["prose", "mbpp"]
    assert (mbpp["contaminated"], mbpp["items"], mbpp["of"], mbpp["unfindable"]) == (1, 1, 30, 0)
    assert (mbpp["evaluated_found"], mbpp["evaluated_unfindable"], mbpp["evaluated"]) == (None, None, None)
    arms = {row["variant"]: row for row in data.arms if row["benchmark"] == "mbpp"}
    assert {arm: (row["before_documents"], row["before_items"], row["items"]) for arm, row in arms.items()} == {
        "text": (1, 1, 0),
        "mixed": (1, 1, 0),
        "cut": (0, 0, 0),
    }
    assert {row["before_evaluated"] for row in arms.values()} == {None}
    assert ("prose", "mbpp-7") in {(row["source"], row["item"]) for row in data.matches}
    assert {row["task"] for row in data.clean} == {"piqa", "lambada"}


def had_it_all(mask: list[int]) -> list[int]:
    """The classes of a study that is not decontaminated."""
    return [TRAIN if one == CONTAMINATED else one for one in mask]


def test_sources_say_what_they_held_before_anything_left(study: Study, graph: Graph, runner: Any) -> None:
    rows = [tuple(row.values()) for row in found(study, graph, runner).data.contamination]
    assert rows == [
        ("prose", "any", 6, 2, 2 / 6, *[None] * 6),
        ("prose", "piqa", 6, 2, 2 / 6, 3, 50, 10, 3, 2, 12),
        ("prose", "lambada", 6, 0, 0.0, 0, 50, 10, 0, 0, 12),
        ("code", "any", 3, 2, 2 / 3, *[None] * 6),
        ("code", "piqa", 3, 1, 1 / 3, 2, 50, 10, 1, 2, 12),
        ("code", "lambada", 3, 1, 1 / 3, 1, 50, 10, 1, 0, 12),
    ]


def test_arms_would_have_had_what_left_and_have_nothing(study: Study, graph: Graph, runner: Any) -> None:
    data = found(study, graph, runner).data
    before = {
        (row["variant"], row["benchmark"]): (row["before_documents"], row["before_items"], row["before_evaluated"])
        for row in data.arms
    }
    assert before == {
        ("text", "piqa"): (1, 2, 2),
        ("text", "lambada"): (0, 0, 0),
        ("mixed", "piqa"): (2, 3, 2),
        ("mixed", "lambada"): (1, 1, 1),
        ("cut", "piqa"): (0, 0, 0),
        ("cut", "lambada"): (0, 0, 0),
    }
    assert {(row["documents"], row["items"], row["evaluated_found"]) for row in data.arms} == {(0, 0, 0)}
    assert {row["evaluated"] for row in data.arms} == {12}


def test_arms_that_had_the_same_items_are_not_flagged(study: Study, graph: Graph, runner: Any) -> None:
    data = found(study, graph, runner).data
    assert data.comparisons
    assert not any(FLAG in row["flags"] for row in data.comparisons)
    assert not any("different items" in warning for warning in data.warnings)


def test_arms_contaminated_differently_are_flagged_on_that_benchmark_alone(
    study: Study, graph: Graph, runner: Any
) -> None:
    select(runner, had_it_all(PROSE), had_it_all(CODE))
    data = found(study, graph, runner).data
    # Of piqa, text and mixed had the same two that are evaluated; what mixed had besides was never asked.
    flagged = {(row["variant"], row["category"], row["task"]) for row in data.comparisons if FLAG in row["flags"]}
    assert flagged == {("mixed", "language", "lambada"), ("cut", "reasoning", "piqa")}
    assert data.contaminated_differently == [warning for warning in data.warnings if "different items" in warning]
    lambada, piqa = [warning for warning in data.warnings if "different items" in warning]
    assert piqa.startswith("piqa: ")
    assert "(text 2, mixed 2, cut 0 of 12 that are evaluated)" in piqa
    assert "(text 0, mixed 1, cut 0 of 12 that are evaluated)" in lambada
    assert tables.comparisons_csv(data).splitlines()[0] == ",".join(tables.COMPARISONS)


def test_a_categorys_mean_is_flagged_with_a_benchmark_of_it(
    study: Study, graph: Graph, runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrial.analysis.analyse import analyse

    def with_mean(*arguments: Any) -> Any:
        made = analyse(*arguments)
        means = tuple(replace(row, task="mean") for row in made.comparisons)
        return replace(made, comparisons=(*made.comparisons, *means))

    monkeypatch.setattr("pretrial.findings.compose.analyse", with_mean)
    select(runner, had_it_all(PROSE), had_it_all(CODE))
    rows = [row for row in found(study, graph, runner).data.comparisons if row["task"] == "mean"]
    assert {(row["variant"], row["category"]) for row in rows if FLAG in row["flags"]} == {
        ("mixed", "language"),
        ("cut", "reasoning"),
    }
    assert ("mixed", "transfer") in {(row["variant"], row["category"]) for row in rows}


def test_clean_scores_leave_out_what_any_source_held(study: Study, graph: Graph, runner: Any) -> None:
    result = found(study, graph, runner)
    rows = {(row["variant"], row["task"], row["metric"]): row for row in result.data.clean}
    assert {(task, row["n"], row["n_clean"], row["n_unfindable"]) for (_, task, _), row in rows.items()} == {
        ("piqa", 12, 9, 2),
        ("lambada", 12, 11, 0),
    }
    assert [key[0] for key in rows] == sorted((key[0] for key in rows), key=["text", "mixed", "cut"].index)
    items = [
        row
        for row in result.items.to_pylist()
        if (row["variant"], row["task"], row["metric"]) == ("mixed", "piqa", "answer_bits_per_byte")
    ]
    held = {item for hits in HITS.values() for _, _, item, _ in hits}

    def score(rows: list[Any]) -> float:
        seeds = []
        for seed in study.seeds:
            own = [row for row in rows if row["seed"] == seed]
            seeds.append(math.fsum(row["value"] for row in own) / math.fsum(row["weight"] for row in own))
        return sum(seeds) / len(seeds)

    row = rows["mixed", "piqa", "answer_bits_per_byte"]
    assert row["value"] == pytest.approx(score(items))
    assert row["clean_value"] == pytest.approx(score([one for one in items if one["item"] not in held]))
    assert row["difference"] == row["clean_value"] - row["value"] != 0
    own = [
        one["value"]
        for one in result.data.results
        if (one["variant"], one["task"], one["metric"]) == ("mixed", "piqa", "answer_bits_per_byte")
    ]
    assert row["value"] == pytest.approx(sum(own) / len(own))


def test_differences_on_clean_items_have_the_intervals_of_these_items(study: Study, graph: Graph, runner: Any) -> None:
    result = found(study, graph, runner)
    metric = "answer_bits_per_byte"
    rows = {(row["variant"], row["task"]): row for row in result.data.clean if row["metric"] == metric}
    assert {(row["against"], row["low"], row["high"]) for (arm, _), row in rows.items() if arm == "text"} == {
        (None,) * 3
    }
    whole = {(row["variant"], row["task"]): row for row in result.data.comparisons if row["metric"] == metric}
    for (arm, task), row in rows.items():
        if arm != "text":
            assert row["against"] == pytest.approx(row["clean_value"] - rows["text", task]["clean_value"])
            assert row["low"] < row["against"] < row["high"]
            assert (row["low"], row["high"]) != (whole[arm, task]["low"], whole[arm, task]["high"])


def test_where_no_item_was_held_the_clean_differences_are_those_of_all(study: Study, graph: Graph, runner: Any) -> None:
    for source, documents in (("prose", len(PROSE)), ("code", len(CODE))):
        scan(runner, source, documents, [])
    data = found(study, graph, runner).data
    whole = {(row["variant"], row["task"], row["metric"]): row for row in data.comparisons}
    compared = [row for row in data.clean if row["against"] is not None]
    assert {row["variant"] for row in compared} == {"mixed", "cut"}
    for row in compared:
        other = whole[row["variant"], row["task"], row["metric"]]
        assert (row["against"], row["low"], row["high"]) == (other["absolute"], other["low"], other["high"])
        assert row["n"] == row["n_clean"]


def test_a_benchmark_of_which_every_item_was_held_has_no_clean_score(study: Study, graph: Graph, runner: Any) -> None:
    scan(runner, "code", len(CODE), [(0, "lambada", f"lambada-{item}", 1.0) for item in range(12)])
    rows = [row for row in found(study, graph, runner).data.clean if row["task"] == "lambada"]
    assert {(row["clean_value"], row["difference"], row["n_clean"]) for row in rows} == {(None, None, 0)}
    assert {row["against"] for row in rows} == {None}


def test_examples_are_the_fullest_and_say_where_the_document_ended(study: Study, graph: Graph, runner: Any) -> None:
    shown = [
        (row["source"], row["benchmark"], row["item"], row["document"], row["became"])
        for row in found(study, graph, runner).data.matches
    ]
    assert shown == [
        ("prose", "piqa", "piqa-2", "doc-4", "held out"),
        ("prose", "piqa", "piqa-0", "doc-1", "held a benchmark item"),
        ("code", "piqa", "never asked", "doc-2", "held a benchmark item"),
        ("code", "lambada", "lambada-3", "doc-0", "held a benchmark item"),
    ]
    many = [(row, "piqa", "piqa-1", 0.5) for row in range(MATCHES + 3)]
    scan(runner, "prose", MATCHES + 3, many)
    select(runner, [CONTAMINATED] * (MATCHES + 3), CODE)
    data = found(study, graph, runner).data
    assert len([row for row in data.matches if row["source"] == "prose"]) == MATCHES


def test_without_scans_or_without_a_selection_nothing_is_said(study: Study, graph: Graph, runner: Any) -> None:
    del runner.given[SELECT]
    data = found(study, graph, runner).data
    assert (data.arms, {row["became"] for row in data.matches}) == ([], {""})
    assert data.contamination
    assert data.clean
    for source in ("prose", "code"):
        del runner.given[f"benchmark items in {source}"]
    data = found(study, graph, runner).data
    assert [data.contamination, data.arms, data.matches, data.clean] == [[]] * 4
    assert not any(FLAG in row["flags"] for row in data.comparisons)


def test_a_damaged_scan_is_not_read_and_its_arms_are_not_judged(study: Study, graph: Graph, runner: Any) -> None:
    name = "benchmark items in code"
    runner.given[name].file("hits.parquet").write_bytes(b"another")
    data = found(study, graph, runner).data
    assert {row["source"] for row in data.contamination} == {"prose"}
    assert {row["variant"] for row in data.arms} == {"text", "cut"}
    assert any(warning.startswith(f"{name}: ") for warning in data.warnings)
