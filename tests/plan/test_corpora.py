"""Steps of corpora, the tokenizer and token files: which are made, and from what."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from git_objects import commit, make
from pretrial.errors import RequestError
from pretrial.plan.graph import Graph

Plan = Callable[..., Graph]


def test_a_tokenizer_file_is_known_by_its_bytes(plan: Plan, tmp_path: Path) -> None:
    described = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}}, "added_tokens": []}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(described))
    graph = plan(tokenizer={"file": str(path)})
    assert graph.vocabulary == 3, "its own ids and the mark"
    assert graph.steps["tokenizer"].function.endswith(":import_tokenizer")
    assert graph.steps["tokenizer"].settings == {"file": str(path)}
    assert set(graph.steps["tokenizer"].config) == {"sha256"}


def test_a_source_that_is_one_group_is_refused_before_it_is_read(
    plan: Plan, sources: dict[str, Any], tmp_path: Path
) -> None:
    def read(said: dict[str, Any], group: str = "repository", name: str = "code") -> Graph:
        return plan(sources=sources | {name: {"read": said, "group": group}})

    def repository(name: str) -> Path:
        commit(make(tmp_path / name), {"a.py": b"a = 1\n"})
        return tmp_path / name

    one = repository("repos/one")
    with pytest.raises(RequestError, match="nothing can be held out: all of it is one repository, one,") as raised:
        read({"commits": str(one), "form": "before-after"})
    assert (raised.value.where or "").endswith("source code")
    assert "group: document" in str(raised.value.remedy)
    with pytest.raises(RequestError, match="all of it is one repository, one,"):
        read({"git": str(tmp_path / "repos/*")})
    assert read({"commits": str(one)}, group="document")
    # What no variant trains on needs nothing held out of it.
    assert read({"git": str(one)}, name="letters")
    repository("repos/two")
    assert read({"commits": str(tmp_path / "repos"), "form": "before-after"})
    for name in ("tree/src/a.py", "tree/src/b/c.py", "tree/LICENSE"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a = 1\n")
    assert read({"files": str(tmp_path / "tree")})
    (tmp_path / "tree/LICENSE").unlink()
    with pytest.raises(RequestError, match="all of it is one directory, src, and one directory is one group"):
        read({"files": str(tmp_path / "tree")}, group="directory")


def test_benchmark_items_are_looked_for_also_where_they_may_stay(plan: Plan, data_dir: Path) -> None:
    pytest.importorskip("lm_eval")
    pytest.importorskip("datasets")
    for decontaminate in (True, False):
        graph = plan(data=data_dir, evaluate={"tasks": ["held-out", "piqa"]}, decontaminate=decontaminate)
        assert {graph.steps[name].kind for name in graph.scans} == {"contamination"}
        assert set(graph.scans) <= set(graph.wanted())
        select = graph.steps["selection of documents"].inputs
        assert any(name.startswith("contamination:") for name in select) == decontaminate


def test_benchmarks_are_looked_for_because_they_are_named(plan: Plan, data_dir: Path) -> None:
    graph = plan(data=data_dir, decontaminate=["mbpp", "gsm8k"])
    assert set(graph.steps["benchmark texts"].config["benchmarks"]) == {"gsm8k", "mbpp"}
    assert graph.scans
    select = graph.steps["selection of documents"].inputs
    assert {name for name in select if name.startswith("contamination:")} == {
        "contamination:prose",
        "contamination:code",
    }
    assert not plan(data=data_dir, decontaminate=True).scans


def test_benchmarks_are_named_beside_those_that_are_evaluated(plan: Plan, data_dir: Path) -> None:
    pytest.importorskip("lm_eval")
    pytest.importorskip("datasets")
    graph = plan(data=data_dir, evaluate={"tasks": ["held-out", "piqa"]}, decontaminate=["humaneval", "piqa"])
    assert set(graph.steps["benchmark texts"].config["benchmarks"]) == {"humaneval", "piqa"}


def test_a_named_benchmark_without_its_file_is_refused_before_anything_is_made(plan: Plan, tmp_path: Path) -> None:
    for data, said in (
        (None, "texts of gsm8k, mbpp are read from local files and no data folder is named"),
        (tmp_path, "files of the benchmarks gsm8k, mbpp are not there: .*gsm8k.*, .*mbpp"),
    ):
        with pytest.raises(RequestError, match=said) as caught:
            plan(data=data, decontaminate=["mbpp", "gsm8k"])
        assert "decontaminate" in str(caught.value.where)


def test_derived_sources_that_nothing_uses_cannot_stop_a_study(plan: Plan, sources: dict[str, Any]) -> None:
    derived = {
        "idle": {"from": "code", "keep": {"language": "none has this"}},
        "below": {"from": "idle"},
        "way": {"from": "code", "filter": ["no-code"]},
        "end": {"from": "way"},
    }
    mixtures = {"text": {"prose": "100%"}, "mixed": {"prose": "50%", "end": "50%"}}
    graph = plan(sources=sources | derived, mixtures=mixtures)
    made = {step.about["source"] for step in graph.steps.values() if step.kind == "corpus"}
    assert made == {"prose", "code", "letters", "way", "end"}
    select = graph.steps["selection of documents"]
    assert set(select.config["sources"]) | set(select.config["derived"]) == made
    assert {name for name in select.inputs if name.startswith("corpus:")} == {f"corpus:{name}" for name in made}
    assert any("'idle'" in warning for warning in graph.study.warnings)


def test_a_source_that_only_the_tokenizer_sees_is_made(plan: Plan, sources: dict[str, Any]) -> None:
    code = sources["code"] | {"split": "language"}
    tokenizer = {"train": {"vocabulary": 300, "from": {"prose": "50%", "code/python": "50%"}}}
    graph = plan(sources=sources | {"code": code}, tokenizer=tokenizer)
    assert graph.steps["tokenizer"].inputs["corpus:code/python"] == "corpus code/python"
    assert graph.steps["corpus code/python"].inputs["parent"] == "corpus code"


def test_texts_that_were_edited_are_searched_again(plan: Plan, sources: dict[str, Any], data_dir: Path) -> None:
    """For held-out text that came near in another state, and for benchmark items that did."""
    derived = {
        "kept": {"from": "code", "filter": ["gopher-quality"], "keep": {"language": "python"}},
        "bare": {"from": "code", "filter": ["no-code"]},
        "below": {"from": "bare", "keep": {"characters": "100.."}},
        "words": {"from": "prose", "filter": ["c4-lines"]},
    }
    mixtures = {name: {name: "100%"} for name in ("prose", "kept", "bare", "below")}
    tokenizer = {"train": {"vocabulary": 300, "from": {"prose": "50%", "words": "50%"}}}
    graph = plan(
        sources=sources | derived,
        mixtures=mixtures,
        variants={name: [{"tokens": 10 * 1024, "mixture": name}] for name in mixtures},
        baseline="prose",
        tokenizer=tokenizer,
        data=data_dir,
        decontaminate=["mbpp"],
    )
    again = graph.steps["near-duplicates among edited sources"].config["sources"]
    assert set(again) - set(graph.steps["near-duplicates"].config["sources"]) == {"bare", "below", "words"}
    scanned = {graph.steps[name].about["source"] for name in graph.scans}
    assert scanned == {"prose", "code", "bare", "below"}, "the tokenizer learns no benchmark's answers"
    assert {name: graph.scanned_as(name) for name in mixtures} == {
        "prose": "prose",
        "kept": "code",
        "bare": "bare",
        "below": "below",
    }
