"""Steps and what is shared between variants; what identifies each; what is wanted of them."""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrial.corpus import spec as corpus
from pretrial.corpus.contamination import spec as contamination
from pretrial.corpus.near import spec as near
from pretrial.errors import RequestError
from pretrial.evaluate import spec as evaluate
from pretrial.execute.progress import Quiet
from pretrial.execute.runner import Runner
from pretrial.mixture import spec as mixture
from pretrial.plan.graph import Graph, Options, build_graph
from pretrial.store.artefacts import FileHashes, Store
from pretrial.study.load import load_study
from pretrial.tokens import spec as tokens
from pretrial.train import spec as train

BATCH = 1024
STUDIES = Path(__file__).parents[2] / "studies"
Plan = Callable[..., Graph]


def stage(steps: int, mixture: str = "text", **fields: Any) -> dict[str, Any]:
    return {"tokens": steps * BATCH, "mixture": mixture, **fields}


def trained(graph: Graph) -> int:
    return sum(step.about["tokens"] - step.about["from"] for step in graph.training_steps())


def request(graph: Graph, name: str, store: Path) -> str:
    return Runner(Store(store), graph.steps.values(), Quiet()).request(name)


def requests(graph: Graph, store: Path) -> dict[str, str]:
    runner = Runner(Store(store), graph.steps.values(), Quiet())
    return {name: runner.request(name) for name in graph.steps}


def test_the_quickstart_trains_shared_prefixes_once(tmp_path: Path) -> None:
    study = load_study(STUDIES / "quickstart.yaml")
    graph = build_graph(study, Options(None, None, FileHashes(tmp_path / "h")))
    # 150K tokens are 292 steps of 512; per seed seven stretches of them, since balanced is trained once for two.
    assert trained(graph) == 3 * 7 * 292 * 512 == 3_139_584
    assert len(graph.training_steps()) == 3 * 7


def test_every_step_stands_after_its_inputs(plan: Plan) -> None:
    seen: set[str] = set()
    for step in plan().steps.values():
        assert set(step.inputs.values()) <= seen, step.name
        seen.add(step.name)


def test_a_shared_prefix_is_one_step_with_one_evaluation(plan: Plan) -> None:
    graph = plan()
    assert graph.checkpoints["mixed→text", 1, 10 * BATCH] == graph.checkpoints["mixed→mixed", 1, 10 * BATCH]
    assert graph.checkpoints["mixed→text", 1, 20 * BATCH] != graph.checkpoints["mixed→mixed", 1, 20 * BATCH]
    assert graph.checkpoints["mixed→text", 1, 10 * BATCH] != graph.checkpoints["mixed→text", 2, 10 * BATCH]
    assert trained(graph) == 2 * 5 * 10 * BATCH
    shared = [e.step for e in graph.evaluations if e.mark.tokens == 10 * BATCH and e.seed == 1 and e.task == "prose"]
    assert len(shared) == 3
    assert len(set(shared)) == 2


def test_training_goes_on_from_the_nearest_checkpoint_of_any_variant(plan: Plan) -> None:
    variants = {"text→text": [stage(30)], "short": [stage(10), stage(10), stage(10, "mixed")]}
    graph = plan(variants=variants)
    end = graph.steps[graph.checkpoints["text→text", 1, 30 * BATCH]]
    assert graph.steps[end.inputs["parent"]].about["tokens"] == 20 * BATCH
    assert end.about["from"] == 20 * BATCH


def test_where_a_trajectory_was_cut_bears_no_identity(plan: Plan, tmp_path: Path) -> None:
    alone = plan(variants={"text→text": [stage(30)]})
    cut = plan(variants={"text→text": [stage(10), stage(20)]})
    names = (g.checkpoints["text→text", 1, 30 * BATCH] for g in (alone, cut))
    one, other = (request(g, name, tmp_path) for g, name in zip((alone, cut), names, strict=True))
    assert one == other


def test_a_branch_costs_only_what_is_new(plan: Plan) -> None:
    variants = {
        "text→text": [stage(10), stage(10)],
        "cooled": [{"from": f"text→text@{10 * BATCH}"}, {"cooldown": 5 * BATCH, "mixture": "mixed"}],
        "cooled on text": [{"from": f"text→text@{10 * BATCH}"}, {"cooldown": 5 * BATCH, "mixture": "text"}],
    }
    graph = plan(variants=variants, seeds=1)
    assert trained(graph) == (20 + 5 + 5) * BATCH
    assert graph.checkpoints["cooled", 1, 10 * BATCH] == graph.checkpoints["text→text", 1, 10 * BATCH]


def test_marks_are_the_ends_of_own_stages_and_the_points_asked_for(plan: Plan) -> None:
    variants = {
        "text→text": [stage(10), stage(10)],
        "branch": [{"from": f"text→text@{10 * BATCH}"}, stage(10, "mixed")],
    }
    at = [5 * BATCH, 10 * BATCH, 15 * BATCH]
    graph = plan(variants=variants, evaluate={"tasks": ["held-out"], "at": at})
    marks = [(m.variant, m.stage, m.tokens // BATCH, m.ends_stage, m.ends_variant) for m in graph.marks]
    assert marks == [
        ("text→text", "1", 5, False, False),
        ("text→text", "1", 10, True, False),
        ("text→text", "2", 15, False, False),
        ("text→text", "2", 20, True, True),
        ("branch", "2", 15, False, False),
        ("branch", "2", 20, True, True),
    ]
    assert graph.ends("branch").tokens == 20 * BATCH


def test_ends_are_evaluated_in_full_and_other_marks_by_bits_per_byte(plan: Plan) -> None:
    graph = plan(evaluate={"tasks": ["held-out", "transfer", "cloze"]}, context=128)
    kinds = {
        ends: {graph.steps[e.step].kind for e in graph.evaluations if e.mark.ends_variant is ends}
        for ends in (True, False)
    }
    assert kinds == {True: {"bits-per-byte", "cloze"}, False: {"bits-per-byte"}}
    assert {task for _, category, task in graph.anchors if category == "cloze"} == {"prose", "code", "letters"}
    assert all(set(graph.steps[name].inputs.values()) <= set(graph.steps) for name in graph.anchors.values())


def test_what_is_wanted_of_a_variant_brings_its_baseline(plan: Plan) -> None:
    graph = plan()
    everything = graph.wanted()
    assert len(everything) == len(set(everything))
    assert {graph.steps[name].kind for name in everything} == {"train", "bits-per-byte", "ledger", "anchors"}
    some = graph.wanted(["mixed→mixed"], [2])
    assert set(some) < set(everything)
    assert {graph.steps[name].about.get("seed", 2) for name in some} == {2}
    made = {graph.checkpoints[v, 2, t] for v in ("text→text", "mixed→mixed") for t in (10 * BATCH, 20 * BATCH)}
    assert {name for name in some if graph.steps[name].kind == "train"} == made
    assert graph.wanted(["text→text"]) == graph.wanted(["text→text", "text→text"])


VERSIONS = {
    **corpus.SEMANTICS, **near.SEMANTICS, **contamination.SEMANTICS,
    **tokens.SEMANTICS, **mixture.SEMANTICS, **train.SEMANTICS, **evaluate.SEMANTICS,
}  # fmt: skip


def test_every_kind_of_step_has_its_version_from_its_rooms_table(
    plan: Plan, sources: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (corpus, near, contamination, tokens, mixture, train, evaluate):
        for kind in room.SEMANTICS:
            monkeypatch.setitem(room.SEMANTICS, kind, 1000 + sorted(VERSIONS).index(kind))
    sources["docs"] = {"read": {"docstrings": "stdlib"}}
    graph = plan(evaluate={"tasks": ["held-out", "transfer", "cloze"]}, context=128, sources=sources)
    kinds = {step.kind for step in graph.steps.values()}
    by_others = {
        "bench",
        "contamination",
        "contamination-index",
        *(k for k in VERSIONS if k.endswith(("-shard", "-split"))),
    }
    assert kinds == set(VERSIONS) - by_others, "sub-steps are planned by their step, bench by its suite"
    for step in graph.steps.values():
        assert step.version == 1000 + sorted(VERSIONS).index(step.kind), step.name


def test_every_function_of_a_step_takes_its_context(plan: Plan) -> None:
    graph = plan(evaluate={"tasks": ["held-out", "transfer", "cloze"]}, context=128)
    for step in {step.function: step for step in graph.steps.values()}.values():
        module, name = step.function.split(":")
        assert list(inspect.signature(getattr(importlib.import_module(module), name)).parameters) == ["ctx"]


def test_steps_are_plain_json(plan: Plan) -> None:
    for step in plan().steps.values():
        assert json.loads(json.dumps(step.config)) == step.config, step.name
        assert json.loads(json.dumps(step.settings)) == step.settings, step.name


def test_no_path_bears_identity(plan: Plan, sources: dict[str, Any], corpora: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(corpora, moved)
    here = plan()
    there = json.loads(json.dumps(sources).replace(str(corpora), str(moved)))
    assert there != sources
    assert requests(here, tmp_path) == requests(plan(sources=there), tmp_path)
    assert str(corpora) not in json.dumps([step.config for step in here.steps.values()])


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"question": "Another?"}, set()),
        ({"claims": ["mixed→text beats text→text on held-out prose"]}, set()),
        ({"margins": {"bits-per-byte": "1%"}}, set()),
        ({"baseline": "mixed→text"}, set()),
        ({"compare": "text"}, set()),
        ({"evaluate": {"tasks": ["held-out", "transfer"], "domain-bytes": 1000}}, {"bits-per-byte", "anchors"}),
        ({"training": {"lr": 0.02}}, {"train", "bits-per-byte", "ledger"}),
        ({"training": {"lr": 0.01, "weight-decay": 0.2}}, {"train", "bits-per-byte", "ledger"}),
        ({"model": {"layers": 2, "width": 16, "heads": 2, "feed-forward": 32}}, {"train", "bits-per-byte", "ledger"}),
        ({"tokenizer": {"train": {"vocabulary": 310, "from": {"prose": "50%", "code": "50%"}}}},
         {"tokenizer", "tokens", "train", "bits-per-byte", "ledger", "anchors"}),
    ],
    ids=["question", "claims", "margins", "baseline", "compare", "domain-bytes", "lr", "decay", "model", "tokenizer"],
)  # fmt: skip
def test_a_changed_field_changes_what_depends_on_it_and_nothing_else(
    plan: Plan, tmp_path: Path, fields: dict[str, Any], kinds: set[str]
) -> None:
    if "training" in fields:
        schedule = {"linear": {"warmup": 2048, "floor": "10%"}, "clock": "variant"}
        fields = {"training": {"batch": 1024, "schedule": schedule, "optimizer": {"adamw": fields["training"]}}}
    before, after = plan(), plan(**fields)
    old, new = requests(before, tmp_path), requests(after, tmp_path)
    changed = {after.steps[name].kind for name in new if old.get(name) != new[name]}
    assert changed == kinds


def test_more_seeds_and_more_variants_leave_what_is_there_alone(plan: Plan, tmp_path: Path) -> None:
    few = set(requests(plan(seeds=1), tmp_path).values())
    variants = {
        "text→text": [stage(10), stage(10)],
        "mixed→text": [stage(10, "mixed"), stage(10)],
        "mixed→mixed": [stage(10, "mixed"), stage(10, "mixed")],
        "new": [stage(10, "code"), stage(10)],
    }
    assert few <= set(requests(plan(seeds=3), tmp_path).values())
    assert few <= set(requests(plan(seeds=1, variants=variants), tmp_path).values())


def test_another_execution_record_is_another_address(plan: Plan, record: dict[str, Any], tmp_path: Path) -> None:
    old, new = plan(), plan(record=record | {"threads": 4})
    before, after = requests(old, tmp_path), requests(new, tmp_path)
    kinds = {new.steps[name].kind for name in after if before[name] != after[name]}
    # A ledger rests on the checkpoint it is checked against.
    assert kinds == {"train", "bits-per-byte", "ledger"}


GOLDEN = {
    "corpus prose": "54894ef1a93f3df6f987741cc878ef08",
    "selection of documents": "4633befbfa2242b134f41e96d101f5f5",
    "tokenizer": "4389bedfbc34ddcd736553e2e010240a",
    "tokens of prose (train)": "08b27e0fbc21cca6502b40fb02350b19",
    "training text→text to 10.24K, seed 1": "0fd54b4624ddeb656d3cca1179c21d0c",
    "training mixed→text to 20.48K, seed 2": "ba23b7ad28ed5824b30d58c504438b1b",
    "bits per byte of prose on text→text to 10.24K, seed 1": "8a1fa11a3c3ea513448e175eeff03afd",
    "cloze items": "555788a1c6d8ddb7a0f6c45280f77f2a",
    "cloze of letters on mixed→text to 20.48K, seed 2": "55d1cd9a1f4cb07b7183492aef8f9b3a",
    "anchors of prose (held-out) for mixed→text": "1c7fe682feae88a8ea573ced080e00cc",
    "ledger of mixed→text, seed 2": "f29470cd828eb3fbc441ee26d57e0bbc",
}


def test_keys_of_a_fixed_study_never_change_by_accident(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who changes these on purpose raises the semantics version of the room, and writes docs/decisions.md first."""
    # Those of the machine that tests.
    monkeypatch.setattr("pretrial.corpus.near.spec.versions", lambda: {"unicode": "14.0.0", "daft": "0.7.26"})
    graph = plan(evaluate={"tasks": ["held-out", "transfer", "cloze"]}, context=128)
    found = requests(graph, tmp_path)
    assert {name: found[name] for name in GOLDEN} == GOLDEN


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tokenizer": {"file": "missing.json"}}, "tokenizer file .*missing.json is not there"),
        ({"tokenizer": {"file": "{data}/t.json"}}, "data folder, and none was named"),
        ({"sources": {"prose": {"read": {"jsonl": "/nowhere/x.jsonl"}}, "code": {"read": {"jsonl": "/nowhere/x.jsonl"}},
                      "letters": {"read": {"jsonl": "/nowhere/x.jsonl"}}}}, "there is no file /nowhere/x.jsonl"),
        ({"evaluate": ["held-out", "piqa"]}, "piqa|lm-eval|data"),
    ],
    ids=["no tokenizer", "no data", "no corpus", "no suite"],
)  # fmt: skip
def test_what_is_not_there_is_said_before_anything_is_spent(plan: Plan, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        plan(**fields)
    assert caught.value.where


def test_of_an_unseen_family_only_the_leaves_are_evaluated(plan: Plan, sources: dict[str, Any]) -> None:
    graph = plan(sources=sources | {"short": {"from": "letters", "keep": {"characters": "..500"}}})
    assert {e.task for e in graph.evaluations if e.category == "transfer"} == {"short"}
    assert "tokens of letters (held-out)" not in graph.steps
    assert "corpus letters" in graph.steps, "it is read all the same"
