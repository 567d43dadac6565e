"""What was said before training is kept apart from what was said after a look."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrial.errors import RunError
from pretrial.plan.graph import Graph
from pretrial.plan.registration import History, files_of, history, register
from pretrial.store.artefacts import Store
from pretrial.study.schema import Claim, Study

FIRST = "mixed→text beats text→text on held-out prose"
SECOND = "mixed→mixed beats text→text on held-out code"
Build = Callable[..., Study]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def claim(study: Study, text: str) -> Claim:
    return next(claim for claim in study.claims if claim.text == text)


def events(found: History) -> list[tuple[str, bool]]:
    return [(change.event, change.exploratory) for change in found.changes()]


def test_a_claim_from_before_the_results_is_in_time(store: Store, build: Build) -> None:
    study = build(claims=[FIRST], margins={"bits-per-byte": "1%"})
    made = register(store, study, known=[])
    assert made.entries == history(store, study).entries
    assert made.late(claim(study, FIRST)) is None
    assert made.entries[0].margins == {"bits_per_byte": "1%"}
    assert made.entries[0].seeds == (1, 2)
    assert events(made) == [("registered", False)]


def test_saying_the_same_again_adds_nothing(store: Store, build: Build) -> None:
    study = build(claims=[FIRST])
    register(store, study, known=[])
    assert len(register(store, study, known=[]).entries) == 1


def test_a_look_is_kept_and_changes_nothing_by_itself(store: Store, build: Build) -> None:
    study = build(claims=[FIRST])
    register(store, study, known=[])
    made = register(store, study, known=["mixed→text", "text→text"])
    assert [entry.known for entry in made.entries] == [(), ("mixed→text", "text→text")]
    assert made.late(claim(study, FIRST)) is None
    assert events(made) == [("registered", False)]
    again = register(store, study, known=[])
    assert again.entries == made.entries, "what was seen once stays seen"


def test_a_claim_after_results_of_its_variants_is_late(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST]), known=[])
    study = build(claims=[FIRST, SECOND])
    made = register(store, study, known=["text→text", "mixed→text"])
    assert made.late(claim(study, FIRST)) is None
    assert made.late(claim(study, SECOND)) == "results of its variants existed when it was registered"
    assert events(made) == [("registered", False), ("claims changed", True)]
    assert made.changes()[1].detail == f"added: {SECOND}"


def test_a_claim_on_variants_that_nobody_looked_at_is_in_time(store: Store, build: Build) -> None:
    register(store, build(claims=[]), known=[])
    study = build(claims=[FIRST])
    assert register(store, study, known=["mixed→mixed"]).late(claim(study, FIRST)) is None


def test_a_claim_made_first_after_everything_ran_is_late(store: Store, build: Build) -> None:
    study = build(claims=[FIRST])
    made = register(store, study, known=["text→text", "mixed→text"])
    assert made.late(claim(study, FIRST)) is not None
    assert events(made) == [("registered", True)]


def test_seeds_added_after_a_look_make_claims_late(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST], seeds=2), known=[])
    study = build(claims=[FIRST], seeds=3)
    made = register(store, study, known=["text→text", "mixed→text"])
    assert made.late(claim(study, FIRST)) == "seeds were added after results were seen"
    assert events(made) == [("registered", False), ("seeds added", True)]
    assert made.changes()[1].detail == "[1, 2] → [1, 2, 3]"


def test_seeds_added_before_a_look_are_in_time(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST], seeds=2), known=[])
    study = build(claims=[FIRST], seeds=3)
    made = register(store, study, known=[])
    assert made.late(claim(study, FIRST)) is None
    assert events(made) == [("registered", False), ("seeds added", False)]


def test_seeds_taken_away_after_a_look_make_claims_late(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST], seeds=3), known=[])
    study = build(claims=[FIRST], seeds=2)
    made = register(store, study, known=["text→text"])
    assert events(made)[1] == ("seeds removed", True)
    assert made.late(claim(study, FIRST)) == "seeds were removed after results were seen"


def test_seeds_exchanged_after_a_look_count_as_added(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST], seeds=[1, 2]), known=[])
    study = build(claims=[FIRST], seeds=[1, 3])
    made = register(store, study, known=["text→text"])
    assert events(made)[1] == ("seeds exchanged", True)
    assert made.late(claim(study, FIRST)) == "seeds were exchanged after results were seen"


def test_a_dropped_claim_and_a_changed_margin_are_shown(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST], margins={"bits-per-byte": "1%"}), known=[])
    made = register(store, build(claims=[], margins={"bits-per-byte": "2%"}), known=["text→text"])
    assert [(c.event, c.detail) for c in made.changes()[1:]] == [
        ("claims changed", f"dropped: {FIRST}"),
        ("margins changed", "bits_per_byte: 1% → 2%"),
    ]


def test_a_claim_that_was_never_registered_says_so(build: Build) -> None:
    study = build(claims=[FIRST])
    assert History(()).late(claim(study, FIRST)) == "it was never registered"


def test_registrations_stay_in_order_and_are_never_rewritten(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST]), known=[])
    before = (store.root / "claims/planned.jsonl").read_text()
    register(store, build(claims=[FIRST, SECOND]), known=[])
    after = (store.root / "claims/planned.jsonl").read_text()
    assert after.startswith(before)
    lines: list[dict[str, Any]] = [json.loads(line) for line in after.splitlines()]
    assert [line["claims"] for line in lines] == [[FIRST], [FIRST, SECOND]]
    assert set(lines[0]) == {"at", "claims", "margins", "seeds", "known", "recipe"}


# -- what else is judged otherwise after a look ------------------------------------------------------------------------

LOOKED = ["text→text", "mixed→text"]
LR = {"batch": 1024, "optimizer": {"adamw": {"lr": 0.02}},
      "schedule": {"linear": {"warmup": 2048, "floor": "10%"}, "clock": "variant"}}  # fmt: skip


def stage(mixture: str, steps: int = 10) -> dict[str, Any]:
    return {"tokens": steps * 1024, "mixture": mixture}


VARIANTS = {
    "text→text": [stage("text"), stage("text")],
    "mixed→text": [stage("mixed"), stage("text")],
    "mixed→mixed": [stage("mixed"), stage("mixed")],
}


def seen(store: Store, build: Build, now: dict[str, Any], *, first: dict[str, Any] | None = None) -> str | None:
    """Register, look, and say something else: why the first claim is late then."""
    first = {"claims": [FIRST], "margins": {"bits-per-byte": "1%"}} if first is None else first
    register(store, build(**first), known=[])
    register(store, build(**first), known=LOOKED)
    study = build(**{**first, **now})
    return register(store, study, known=[]).late(claim(study, FIRST))


def test_a_margin_that_changed_after_a_look_makes_claims_late(store: Store, build: Build) -> None:
    assert seen(store, build, {"margins": {"bits-per-byte": "3%"}}) == "margins changed after results were seen"


def test_a_margin_of_another_metric_has_no_part_in_a_claim(store: Store, build: Build) -> None:
    assert seen(store, build, {"margins": {"bits-per-byte": "1%", "accuracy": "2 points"}}) is None


@pytest.mark.parametrize(
    "now",
    [
        {"training": LR},
        {"context": 128},
        {"carry": ["weights", "data"]},
        {"mixtures": {"text": {"prose": "100%"}, "mixed": {"prose": "60%", "code": "40%"}, "code": {"code": "100%"}}},
        {"variants": {**VARIANTS, "mixed→text": [stage("mixed", 12), stage("text", 8)]}},
        {"evaluate": {"tasks": ["held-out", "transfer"], "domain-bytes": 1000}},
    ],
    ids=["rate", "context", "carry", "shares", "stages", "budget"],
)
def test_a_recipe_that_changed_after_a_look_makes_claims_late(store: Store, build: Build, now: dict[str, Any]) -> None:
    assert seen(store, build, now) == "the recipe changed after results were seen"


def test_what_changed_of_the_recipe_is_named(store: Store, build: Build) -> None:
    seen(store, build, {"training": LR})
    made = history(store, build())
    assert [(c.event, c.detail, c.exploratory) for c in made.changes()[1:]] == [
        ("recipe changed", "training.optimizer.adamw.lr: 0.01 → 0.02", True)
    ]


@pytest.mark.parametrize(
    "now",
    [
        {"question": "Another?"},
        {"baseline": "mixed→mixed"},
        {"compare": "text"},
        {"variants": {**VARIANTS, "mixed→mixed": [stage("mixed"), stage("code")]}},
        {"variants": {**VARIANTS, "new": [stage("code"), stage("code")]}},
        {"evaluate": {"tasks": ["held-out", "transfer"], "at": [2048]}},
        {"evaluate": {"tasks": ["held-out", "transfer", "cloze"]}, "context": 128},
    ],
    ids=["question", "baseline", "compare", "another arm", "a new arm", "points", "another task"],
)
def test_what_does_not_act_on_a_claim_leaves_it_in_time(store: Store, build: Build, now: dict[str, Any]) -> None:
    first = {"claims": [FIRST], "context": now.get("context", 64)}
    assert seen(store, build, now, first=first) is None


def test_a_mixture_under_another_name_is_the_same_recipe(store: Store, build: Build) -> None:
    mixtures = {"text": {"prose": "100%"}, "half": {"prose": "50%", "code": "50%"}, "code": {"code": "100%"}}
    variants = json.loads(json.dumps(VARIANTS).replace('"mixture": "mixed"', '"mixture": "half"'))
    assert seen(store, build, {"mixtures": mixtures, "variants": variants}) is None


def test_a_task_more_in_a_category_changes_claims_on_its_mean(store: Store, build: Build, sources: Any) -> None:
    mean = "mixed→text beats text→text on transfer"
    register(store, build(claims=[mean, FIRST]), known=LOOKED[:0])
    register(store, build(claims=[mean, FIRST]), known=LOOKED)
    more = {**sources, "notes": sources["letters"]}
    study = build(claims=[mean, FIRST], sources=more)
    made = register(store, study, known=[])
    assert made.late(claim(study, mean)) == "the recipe changed after results were seen"


def test_a_trunk_that_changed_changes_its_branches(store: Store, build: Build) -> None:
    text = "b beats a on held-out prose"

    def branches(steps: int) -> Study:
        own = {"constant": {"warmup": 0}}
        return build(
            claims=[text], baseline="a",
            variants={"trunk": [stage("mixed", steps), stage("text", 20 - steps)],
                      "a": [{"from": "trunk@20480"}, {**stage("text"), "schedule": own}],
                      "b": [{"from": "trunk@20480"}, {**stage("code"), "schedule": own}]},
        )  # fmt: skip

    register(store, branches(10), known=[])
    register(store, branches(10), known=["a", "b"])
    study = branches(12)
    made = register(store, study, known=[])
    assert made.late(claim(study, text)) == "the recipe changed after results were seen"


def test_files_that_changed_after_a_look_are_a_changed_recipe(store: Store, build: Build) -> None:
    study = build(claims=[FIRST])
    for known in ([], LOOKED):
        register(store, study, known=known, files={"prose": "1", "code": "1"})
    made = register(store, study, known=[], files={"prose": "2", "code": "1"})
    assert made.late(claim(study, FIRST)) == "the recipe changed after results were seen"
    assert made.changes()[-1].detail == "the files of prose changed"


def test_the_order_of_sources_is_part_of_the_recipe(store: Store, build: Build, sources: Any) -> None:
    """Of copies the first stays, so another order trains on other text."""
    turned = dict(reversed(sources.items()))
    assert seen(store, build, {"sources": turned}) == "the recipe changed after results were seen"
    detail = history(store, build()).changes()[1].detail
    assert detail.startswith("priority[0]: prose → letters")


def test_the_order_of_derived_sources_acts_on_nothing(store: Store, build: Build, sources: Any) -> None:
    made = {name: {"from": "code", "keep": {"stars": "1.."}} for name in ("a", "b")}
    first = {"claims": [FIRST], "sources": sources | made}
    assert seen(store, build, {"sources": sources | dict(reversed(made.items()))}, first=first) is None


def test_an_earlier_version_said_neither_the_order_of_sources_nor_what_a_file_is(store: Store, build: Build) -> None:
    study = build(claims=[FIRST])
    register(store, study, known=LOOKED[:0], files={"prose": "1", "code": "1"})
    path = store.root / "claims/planned.jsonl"
    old = json.loads(path.read_text())
    del old["recipe"]["priority"]
    path.write_text(json.dumps(old, ensure_ascii=False) + "\n")
    same = register(store, study, known=LOOKED, files={"source prose": "1", "source code": "1"})
    assert (same.late(claim(study, FIRST)), events(same)) == (None, [("registered", False)])
    made = register(store, study, known=[], files={"source prose": "2", "source code": "1"})
    assert made.late(claim(study, FIRST)) == "the recipe changed after results were seen"
    assert made.changes()[-1].detail == "the files of prose changed"


def test_files_are_known_by_what_they_are(plan: Callable[..., Graph], sources: Any, data_dir: Path) -> None:
    pytest.importorskip("lm_eval")
    pytest.importorskip("datasets")
    graph = plan(
        sources=sources | {"tokenizer": sources["letters"]}, data=data_dir, evaluate={"tasks": ["held-out", "piqa"]}
    )
    found = files_of(graph)
    assert set(found) == {"source prose", "source code", "source letters", "source tokenizer", "benchmark piqa"}
    assert found["source tokenizer"] == found["source letters"] != found["source prose"]


def test_a_source_called_tokenizer_is_not_the_tokenizer(
    plan: Callable[..., Graph], sources: Any, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}}, "added_tokens": []}))
    found = files_of(plan(sources=sources | {"tokenizer": sources["letters"]}, tokenizer={"file": str(path)}))
    assert found["tokenizer"] != found["source tokenizer"] == found["source letters"]


def test_several_changes_are_all_said(store: Store, build: Build) -> None:
    now = {"seeds": 3, "training": LR, "margins": {"bits-per-byte": "9%"}}
    assert seen(store, build, now) == (
        "seeds were added and margins changed and the recipe changed after results were seen"
    )


def test_a_claim_dropped_from_the_family_after_a_look_leaves_the_others_late(store: Store, build: Build) -> None:
    first = {"claims": [FIRST, SECOND]}
    assert seen(store, build, {"claims": [FIRST]}, first=first) == ("other claims were dropped after results were seen")


def test_a_claim_dropped_before_a_look_changes_nothing(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST, SECOND]), known=[])
    study = build(claims=[FIRST])
    assert register(store, study, known=["mixed→mixed"]).late(claim(study, FIRST)) is None
    assert register(store, study, known=LOOKED).late(claim(study, FIRST)) is None


def test_going_back_to_what_was_said_before_the_look_is_in_time_and_stays_in_the_history(
    store: Store, build: Build
) -> None:
    assert seen(store, build, {"training": LR, "seeds": 3})
    study = build(claims=[FIRST], margins={"bits-per-byte": "1%"})
    made = register(store, study, known=[])
    assert made.late(claim(study, FIRST)) is None
    assert [c.event for c in made.changes()] == [
        "registered", "seeds added", "recipe changed", "seeds removed", "recipe changed"
    ]  # fmt: skip


def test_everything_may_change_before_a_look(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST, SECOND]), known=[])
    study = build(claims=[FIRST], seeds=5, training=LR, margins={"bits-per-byte": "2%"})
    made = register(store, study, known=[])
    assert made.late(claim(study, FIRST)) is None
    assert not any(change.exploratory for change in made.changes())


def test_what_the_file_says_now_is_judged_also_where_it_was_not_registered(store: Store, build: Build) -> None:
    study = build(claims=[FIRST], margins={"bits-per-byte": "1%"})
    register(store, study, known=[])
    register(store, study, known=LOOKED)
    edited = build(claims=[FIRST, SECOND], margins={"bits-per-byte": "8%"})
    found = history(store, edited)
    assert found.late(claim(edited, FIRST)) == "margins changed after results were seen"
    assert found.late(claim(edited, SECOND)) == "it was never registered"
    assert len(history(store, study).entries) == 2, "looking registers nothing"


def test_registrations_of_an_earlier_version_take_the_recipe_that_was_registered_next(
    store: Store, build: Build
) -> None:
    study = build(claims=[FIRST])
    old = {"at": "2026-01-01T00:00:00+0000", "claims": [FIRST], "margins": {}, "seeds": [1, 2], "known": []}
    (store.root / "claims/planned.jsonl").write_text(json.dumps(old, ensure_ascii=False) + "\n", encoding="utf-8")
    assert history(store, study).late(claim(study, FIRST)) is None
    register(store, study, known=LOOKED)
    changed = build(claims=[FIRST], training=LR)
    made = register(store, changed, known=[])
    assert made.late(claim(changed, FIRST)) == "the recipe changed after results were seen"
    assert [c.event for c in made.changes()] == ["registered", "recipe changed"]


def test_a_line_that_is_no_registration_is_named(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST]), known=[])
    with (store.root / "claims/planned.jsonl").open("a") as file:
        file.write("{half\n")
    with pytest.raises(RunError, match=r"line 2 of .*planned\.jsonl is no registration"):
        history(store, build())


# -- two copies --------------------------------------------------------------------------------------------------------


def test_registrations_survive_a_deleted_store_and_a_deleted_workspace(
    store: Store, build: Build, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    study = build(claims=[FIRST])
    said = register(store, study, known=["text→text", "mixed→text"], copy=workspace)
    (store.root / "claims/planned.jsonl").unlink()
    assert register(store, study, known=[], copy=workspace).entries == said.entries
    assert history(store, study).entries == said.entries
    (workspace / "claims.jsonl").unlink()
    register(store, study, known=[], copy=workspace)
    assert (workspace / "claims.jsonl").read_text() == (store.root / "claims/planned.jsonl").read_text()


def test_each_copy_gets_what_the_other_has(store: Store, build: Build, tmp_path: Path) -> None:
    """Two workspaces of one study, whose stores went apart and came together again."""
    other = Store(tmp_path / "other")
    other.prepare()
    register(store, build(claims=[FIRST]), known=[], copy=tmp_path)
    register(other, build(claims=[FIRST]), known=[], copy=tmp_path)
    lines = (tmp_path / "claims.jsonl").read_text().splitlines()
    early, late = (json.loads(lines[0]) | {"at": at} for at in ("2020-01-01T00:00:00+0000", "2040-01-01T00:00:00+0000"))
    with (store.root / "claims/planned.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(late | {"seeds": [1]}) + "\n")
    with (tmp_path / "claims.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(early | {"seeds": [7]}) + "\n")
    register(store, build(claims=[FIRST], seeds=[1]), known=[], copy=tmp_path)
    both = [(tmp_path / "claims.jsonl").read_text(), (store.root / "claims/planned.jsonl").read_text()]
    assert both[0] == both[1]
    assert [json.loads(line)["seeds"] for line in both[0].splitlines()] == [[7], [1, 2], [1]]
    found = history(other, build(), copy=tmp_path)
    assert [entry.seeds for entry in found.entries] == [(7,), (1, 2), (1,)], "looking reads the copy, too"


def test_two_workspaces_that_register_at_once_lose_nothing(store: Store, build: Build, tmp_path: Path) -> None:
    def one(seed: int) -> None:
        register(store, build(claims=[FIRST], seeds=[seed]), known=[], copy=tmp_path / str(seed))

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = history(store, build()).entries
    assert sorted(entry.seeds[0] for entry in entries) == list(range(1, 9))
