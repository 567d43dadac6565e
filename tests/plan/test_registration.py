"""What was said before training is kept apart from what was said after a look."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrial.plan.registration import History, history, keep_copy, register
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
    assert made == history(store, study.name)
    assert made.late(claim(study, FIRST)) is None
    assert made.entries[0].margins == {"bits_per_byte": "1%"}
    assert made.entries[0].seeds == (1, 2)
    assert events(made) == [("registered", False)]


def test_saying_the_same_again_adds_nothing(store: Store, build: Build) -> None:
    study = build(claims=[FIRST])
    register(store, study, known=[])
    assert len(register(store, study, known=["mixed→text", "text→text"]).entries) == 1


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
    assert made.late(claim(study, FIRST)) == "seeds were added after a look at the results"
    assert events(made) == [("registered", False), ("seeds added", True)]
    assert made.changes()[1].detail == "[1, 2] → [1, 2, 3]"


def test_seeds_added_before_a_look_are_in_time(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST], seeds=2), known=[])
    study = build(claims=[FIRST], seeds=3)
    made = register(store, study, known=[])
    assert made.late(claim(study, FIRST)) is None
    assert events(made) == [("registered", False), ("seeds added", False)]


def test_seeds_taken_away_after_a_look_are_shown(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST], seeds=3), known=[])
    made = register(store, build(claims=[FIRST], seeds=2), known=["text→text"])
    assert events(made)[1] == ("seeds removed", True)


def test_seeds_exchanged_after_a_look_count_as_added(store: Store, build: Build) -> None:
    register(store, build(claims=[FIRST], seeds=[1, 2]), known=[])
    study = build(claims=[FIRST], seeds=[1, 3])
    made = register(store, study, known=["text→text"])
    assert events(made)[1] == ("seeds added", True)
    assert made.late(claim(study, FIRST)) is not None


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
    assert set(lines[0]) == {"at", "claims", "margins", "seeds", "known"}


def test_a_deleted_store_does_not_make_a_late_claim_early(tmp_path: Path) -> None:
    workspace = tmp_path / "work"
    first, second = Store(tmp_path / "store"), Store(tmp_path / "new store")
    (tmp_path / "store" / "claims").mkdir(parents=True)
    (tmp_path / "store" / "claims" / "trial.jsonl").write_text('{"at": "then"}\n', encoding="utf-8")
    keep_copy(first, "trial", workspace)
    keep_copy(second, "trial", workspace)
    assert (tmp_path / "new store" / "claims" / "trial.jsonl").read_text(encoding="utf-8") == '{"at": "then"}\n'


def test_registrations_survive_a_deleted_store_and_a_deleted_workspace(
    store: Store, build: Build, tmp_path: Path
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    said = register(store, build(claims=[FIRST]), known=["text→text", "mixed→text"])
    keep_copy(store, "planned", workspace)
    (store.root / "claims/planned.jsonl").unlink()
    keep_copy(store, "planned", workspace)
    assert history(store, "planned") == said
    (workspace / "claims.jsonl").unlink()
    keep_copy(store, "planned", workspace)
    assert (workspace / "claims.jsonl").read_text() == (store.root / "claims/planned.jsonl").read_text()


def test_the_longer_of_two_registrations_counts(store: Store, build: Build, tmp_path: Path) -> None:
    register(store, build(claims=[FIRST]), known=[])
    keep_copy(store, "planned", tmp_path)
    longer = register(store, build(claims=[FIRST, SECOND]), known=["text→text"])
    keep_copy(store, "planned", tmp_path)
    assert len((tmp_path / "claims.jsonl").read_text().splitlines()) == 2
    assert history(store, "planned") == longer
