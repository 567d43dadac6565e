"""A plan as people and machines see it; and that seeing it loads no heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import smoke
from pretrial.errors import RequestError
from pretrial.plan.cost import Figure, Speeds, forecast
from pretrial.plan.graph import Graph
from pretrial.plan.view import describe, epochs, passes, repeated, warnings
from pretrial.running import check_epochs, data_steps
from pretrial.store.artefacts import Store

BATCH = 1024
Plan = Callable[..., Graph]


def stage(steps: int, mixture: str = "text", **fields: Any) -> dict[str, Any]:
    return {"tokens": steps * BATCH, "mixture": mixture, **fields}


def seen(graph: Graph, tmp_path: Any, windows: dict[str, Figure] | None = None, cached: Any = ()) -> dict[str, Any]:
    found = forecast(graph, Speeds(Store(tmp_path / "store")))
    return describe(graph, found, frozenset(cached), windows or {})


def shape(value: Any) -> Any:
    """The keys of nested maps, and what lists hold; values by the name of their type."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_the_json_keeps_its_shape(plan: Plan, tmp_path: Any) -> None:
    """Machines read this: a key may be added, none renamed or dropped."""
    windows = {"prose": Figure(1000, "measured"), "code": Figure(1000, "measured")}
    said = seen(plan(claims=["mixed→text beats text→text on transfer"]), tmp_path, windows)
    assert json.loads(json.dumps(said)) == said
    figure = {"value": "float", "basis": "str"}
    assert set(said) == {
        "study", "question", "resolved", "record", "variants", "sharing", "comparisons", "claims", "untestable",
        "steps", "to_run", "accepted", "cost", "basis", "warnings",
    }  # fmt: skip
    assert shape(said["variants"]) == [
        {
            "variant": "str",
            "tokens": "int",
            "stages": [
                {
                    "stage": "str", "first_token": "int", "last_token": "int", "asked_tokens": "int", "tokens": "int",
                    "steps": "int", "mixture": "str", "requested": {"prose": "str"}, "realised": {"prose": "float"},
                    "lr_first": "float", "lr_last": "float", "warmup_tokens": "int", "cooldown": "bool",
                    "inherited_from": "NoneType", "shared_with": [], "epochs": {"prose": figure},
                }
            ],
            "epochs": {"prose": figure},
            "replayed_tokens": {},
        }
    ]  # fmt: skip
    assert shape(sorted(said["sharing"], key=lambda row: row["from"])) == [
        {"step": "str", "from": "int", "to": "int", "parent": "NoneType", "variants": ["str"]}
    ]
    assert shape(said["comparisons"]) == [
        {
            "variant": "str", "baseline": "str", "holds": ["str"], "descriptive": "bool", "why_not": ["str"],
            "differs": ["str"],
        }
    ]  # fmt: skip
    assert shape(said["steps"]["train"]) == {"all": "int", "cached": "int"}
    assert set(said["cost"]) == {
        "tokens_trained", "tokens_without_sharing", "flops", "flops_per_token", "train_tokens_per_second",
        "forward_tokens_per_second", "seconds_to_run", "memory_bytes", "disk_bytes",
        "disk_bytes_to_write", "disk_bytes_free",
    }  # fmt: skip
    assert set(said["cost"]["seconds_to_run"]) == {"corpora", "tokens", "training", "evaluation"}
    for name in ("train_tokens_per_second", "forward_tokens_per_second", "memory_bytes", "disk_bytes"):
        assert set(said["cost"][name]) == {"value", "basis"}
        assert said["cost"][name]["basis"] in {"measured", "estimated", "declared"}


def plain(value: Any, name: str = "") -> set[str]:
    """Names of the figures that do not say themselves where they come from."""
    if isinstance(value, dict):
        if set(value) == {"value", "basis"}:
            return set()
        # Maps by source: what they hold has the map's own name.
        keep = name in ("realised", "requested", "replayed_tokens")
        return {found for key, item in value.items() for found in plain(item, name if keep else key)}
    if isinstance(value, list):
        return {found for item in value for found in plain(item, name)}
    return {name} if isinstance(value, int | float) and not isinstance(value, bool) else set()


def test_every_figure_says_where_it_comes_from(plan: Plan, tmp_path: Any) -> None:
    said = seen(plan(carry=["weights"]), tmp_path, {"prose": Figure(100, "estimated"), "code": Figure(9, "measured")})
    figures = plain({"variants": said["variants"], "cost": said["cost"]})
    assert figures == set(said["basis"]) - {"requested"}
    assert set(said["basis"].values()) == {"declared", "estimated"}
    assert said["variants"][1]["epochs"]["code"]["basis"] == "measured"


def test_epochs_are_given_after_every_stage_as_in_the_ledger(plan: Plan, tmp_path: Any) -> None:
    windows = {"prose": Figure(100, "measured"), "code": Figure(50, "estimated")}
    said = seen(plan(), tmp_path, windows)["variants"][1]
    assert said["variant"] == "mixed→text"
    first, second = (stage["epochs"] for stage in said["stages"])
    assert first == {
        "prose": {"value": 0.8, "basis": "measured"}, "code": {"value": 1.6, "basis": "estimated"}
    }  # fmt: skip
    assert {source: figure["value"] for source, figure in second.items()} == {"prose": 2.4, "code": 1.6}
    assert said["epochs"] == second


def test_pairs_that_only_claims_compare_are_listed(plan: Plan, tmp_path: Any) -> None:
    claims = [
        "mixed→text beats mixed→mixed on transfer",
        "mixed→text beats text→text on transfer",
        "text→text beats mixed→mixed on held-out prose",
    ]
    rows = seen(plan(claims=claims), tmp_path)["comparisons"]
    assert [(row["variant"], row["baseline"]) for row in rows] == [
        ("mixed→text", "text→text"), ("mixed→mixed", "text→text"), ("mixed→text", "mixed→mixed"),
    ]  # fmt: skip
    assert rows[-1]["holds"] == ["compute"]


def test_a_claim_that_can_never_be_tested_says_why(plan: Plan, tmp_path: Any) -> None:
    pair = "mixed→text beats text→text on transfer"
    found = seen(plan(claims=[f"{pair}, at equal text", pair]), tmp_path)["untestable"]
    assert found == {
        f"{pair}, at equal text": "it is at equal text, and the comparison is matched at equal compute only"
    }
    variants = {"text→text": [stage(10)], "mixed→text": [stage(12, "mixed")], "again": [stage(10)]}
    claims = [pair, "again beats text→text on transfer"]
    found = seen(plan(claims=claims, variants=variants), tmp_path)["untestable"]
    assert found[pair].startswith("the comparison is only descriptive: not at equal compute: 12,288 tokens in all")
    assert found["again beats text→text on transfer"] == "both arms end in the same checkpoint"
    assert seen(plan(claims=[pair], seeds=1), tmp_path)["untestable"] == {
        pair: "one seed cannot tell chance from cause"
    }
    assert seen(plan(claims=[pair], only=("text→text", "mixed→mixed")), tmp_path)["untestable"] == {}
    # A claim that names no control is judged at the one the study compares at.
    assert seen(plan(claims=[pair], compare="text"), tmp_path)["untestable"] == {
        pair: "it is at equal text, and the comparison is matched at equal compute only"
    }


def test_every_default_is_in_the_resolved_study(plan: Plan, tmp_path: Any) -> None:
    said = seen(plan(), tmp_path)["resolved"]
    assert said["training"]["optimizer"]["adamw"] == {
        "lr": 0.01, "betas": [0.9, 0.95], "eps": 1e-8, "weight-decay": 0.1, "clip": 1.0,
    }  # fmt: skip
    assert said["evaluate"]["domain-bytes"] == 200_000


def test_shared_stretches_name_their_variants(plan: Plan, tmp_path: Any) -> None:
    rows = {(row["from"], row["to"], tuple(row["variants"])) for row in seen(plan(), tmp_path)["sharing"]}
    assert rows == {
        (0, 10 * BATCH, ("text→text",)),
        (10 * BATCH, 20 * BATCH, ("text→text",)),
        (0, 10 * BATCH, ("mixed→text", "mixed→mixed")),
        (10 * BATCH, 20 * BATCH, ("mixed→text",)),
        (10 * BATCH, 20 * BATCH, ("mixed→mixed",)),
    }


def test_what_is_cached_is_not_to_run(plan: Plan, tmp_path: Any) -> None:
    graph = plan()
    said = seen(graph, tmp_path, cached=set(graph.steps) - {"corpus prose"})
    assert said["to_run"] == ["corpus prose"]
    assert said["steps"]["corpus"] == {"all": 3, "cached": 2}
    assert said["cost"]["seconds_to_run"]["training"]["value"] == 0


def test_realised_shares_are_read_off_the_pattern(plan: Plan, tmp_path: Any) -> None:
    mixtures = {"text": {"prose": "100%"}, "mixed": {"prose": "1/3", "code": "2/3"}}
    graph = plan(mixtures=mixtures, variants={"text→text": [stage(10), stage(1, "mixed")]})
    (variant,) = seen(graph, tmp_path)["variants"]
    assert variant["stages"][1]["requested"] == {"prose": "1/3", "code": "2/3"}
    assert variant["stages"][1]["realised"] == {"prose": 5 / 16, "code": 11 / 16}


def test_epochs_are_counted_over_all_stages_and_warned_above_four(plan: Plan) -> None:
    graph = plan()
    windows = {"prose": Figure(60, "measured"), "code": Figure(60, "measured")}
    assert epochs(graph, graph.courses["mixed→text"], windows) == {"prose": 240 / 60, "code": 80 / 60}
    assert [w for w in warnings(graph, windows) if "passes" in w] == [
        "text→text passes 5.3 times over prose; above 4 a repeat is worth less than new text"
    ]
    assert not [warning for warning in warnings(graph, {}) if "passes" in warning]


def test_a_cap_on_epochs_is_warned_of(plan: Plan, sources: dict[str, Any]) -> None:
    graph = plan(sources=sources | {"prose": {**sources["prose"], "max-epochs": 2}})
    said = warnings(graph, {"prose": Figure(100, "measured")})
    assert "text→text passes 3.2 times over prose; the study caps it at 2 epochs" in said


@pytest.fixture
def family(sources: dict[str, Any]) -> dict[str, Any]:
    """Code, its two parts, and a cleaned state of one of them."""
    code = sources["code"] | {"split": "language"}
    return sources | {"code": code, "clean": {"from": "code/python", "filter": ["no-code"]}}


@pytest.fixture
def arms(plan: Plan, family: dict[str, Any]) -> Graph:
    """An arm that goes from code to a part of it, and one of both parts and the cleaned state of one."""
    mixtures = {
        "text": {"prose": "100%"}, "code": {"code": "100%"}, "clean": {"clean": "100%"},
        "parts": {"code/python": "50%", "code/c": "50%"},
    }  # fmt: skip
    variants = {
        "text→text": [stage(10), stage(10)],
        "down": [stage(10, "code"), stage(10, "clean")],
        "parts": [stage(10, "parts"), stage(10, "clean")],
    }
    return plan(sources=family, mixtures=mixtures, variants=variants)


# A stage of ten steps draws 160 windows.
KNOWN = {"code": 160, "code/python": 80, "code/c": 160, "clean": 80}
WINDOWS = {name: Figure(count, "measured") for name, count in {**KNOWN, "prose": 10_000}.items()}


def test_passes_over_the_same_documents_add_up_along_a_line(arms: Graph) -> None:
    assert epochs(arms, arms.courses["down"], WINDOWS) == {"code": 1, "clean": 2}
    down = passes(arms, arms.courses["down"], WINDOWS)
    assert {name: (p.own, p.line, p.family, p.also) for name, p in down.items()} == {
        "code": (1, 3, 3, ("clean",)), "code/python": (0, 3, 3, ("code", "clean")), "clean": (2, 3, 3, ("code",)),
    }  # fmt: skip
    parts = passes(arms, arms.courses["parts"], WINDOWS)
    assert {name: (p.own, p.line, p.family, p.also) for name, p in parts.items()} == {
        # Parts have no document in common: of them the one with most passes counts.
        "code": (0, 3, 3, ("code/python", "code/c", "clean")),
        "code/python": (1, 3, 3, ("clean",)),
        "code/c": (0.5, 0.5, 0.5, ()),
        "clean": (2, 3, 3, ("code/python",)),
    }


def test_sources_that_may_share_documents_bound_their_passes(plan: Plan, sources: dict[str, Any]) -> None:
    states = {name: {"from": "code", "filter": [rule]} for name, rule in (("a", "no-code"), ("b", "stack-v2"))}
    mixtures = {"text": {"prose": "100%"}, "a": {"a": "100%"}, "b": {"b": "100%"}}
    graph = plan(sources=sources | states, mixtures=mixtures, variants={"text→text": [stage(10, "a"), stage(10, "b")]})
    windows = {"a": Figure(160, "measured"), "b": Figure(80, "measured")}
    found = passes(graph, graph.courses["text→text"], windows)
    assert {name: (p.own, p.line, p.family) for name, p in found.items()} == {
        "a": (1, 1, 3), "b": (2, 2, 3), "code": (0, 2, 3)
    }  # fmt: skip
    assert [w for w in warnings(graph, windows) if "same" in w or "passes" in w] == [
        "text→text passes up to 3.0 times over documents of a, which are also drawn as 'b'"
    ]
    unknown = "text→text draws the same documents as 'a' and as 'b': its passes over them add up"
    assert unknown in warnings(graph, {})
    capped = plan(
        sources=sources | states | {"code": sources["code"] | {"max-epochs": 2.5}},
        mixtures=mixtures,
        variants={"text→text": [stage(10, "a"), stage(10, "b")]},
    )
    assert any(
        "of code, which are also drawn as 'a' and 'b'; the study caps it" in w for w in warnings(capped, windows)
    )
    check_epochs(capped, windows, ())  # Nobody knows whether any document is in both.


def test_a_cap_holds_for_documents_under_every_name(plan: Plan, arms: Graph, family: dict[str, Any]) -> None:
    capped = family | {"code": family["code"] | {"max-epochs": 2.5}}
    said = arms.study.resolved()["mixtures"]
    graph = plan(
        sources=capped, mixtures=said, variants={"text→text": [stage(10, "code"), stage(10, "clean")]},
    )  # fmt: skip
    with pytest.raises(RequestError, match=r"passes 3\.00 times over code, which is capped at 2\.5") as caught:
        check_epochs(graph, WINDOWS, ())
    assert "also drawn as 'clean'" in caught.value.what
    assert (caught.value.where or "").endswith("sources.code.max-epochs")
    assert "tokens of clean (train)" in data_steps(graph, [])
    again = plan(sources=capped, mixtures=said, variants={"text→text": [stage(40, "parts")]})
    with pytest.raises(RequestError, match="over code/python") as caught:
        check_epochs(again, {name: WINDOWS[name] for name in ("code/python",)}, ())
    assert (caught.value.where or "").endswith("sources.code.max-epochs")


def test_comparisons_with_unequal_repetition_are_named(plan: Plan) -> None:
    graph = plan()
    few, many = Figure(200, "measured"), Figure(10_000, "measured")
    assert repeated(graph, "mixed→text", "text→text", {"prose": few, "code": many}) == ["prose"]
    assert repeated(graph, "mixed→text", "text→text", {"prose": many, "code": many}) == []
    assert repeated(graph, "text→text", "text→text", {"prose": few, "code": few}) == []


def test_replay_is_said_aloud(plan: Plan) -> None:
    said = warnings(plan(carry=["weights", "optimizer"]), {})
    assert "REPLAY: mixed→text sees 5,120 tokens of prose again, since carry leaves out data" in said


LOADED = """
import json, sys, time
from pretrial.cli import main
sys.argv = ["pretrial", "plan", *sys.argv[1:]]
try:
    main()
finally:
    heavy = ("torch", "pyarrow", "tokenizers", "pandas", "altair", "scipy", "transformers", "lm_eval", "safetensors")
    print("LOADED", json.dumps([name for name in heavy if name in sys.modules]), file=sys.stderr)
"""


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["plain", "json"])
def test_planning_loads_no_heavy_library_and_makes_nothing(place: smoke.Place, options: list[str]) -> None:
    command = [sys.executable, "-c", LOADED, str(place.study), "--store", str(place.folder / "none"), *options]
    done = subprocess.run(
        command, cwd=place.folder, env=smoke.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stderr
    assert not (place.folder / "none").exists()
    assert not (place.folder / "pretrial-runs").exists()
    if options:
        assert json.loads(done.stdout)["study"] == "smoke"
