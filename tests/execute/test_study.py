"""A whole study: made once, to the byte, whoever runs it and however often; and only what changed made again."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

import smoke
from pretrial.errors import Interrupted, RequestError, RunError
from pretrial.execute.progress import Quiet
from pretrial.execute.runner import Runner
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Store
from pretrial.store.locks import locked
from smoke import Place, flip

pytestmark = pytest.mark.usefixtures("bare")

RESULTS = "variant seed stage tokens task task_version category metric metric_version value stderr n chance checkpoint"
COMPARISONS = (
    "variant baseline stage tokens category task metric higher_is_better base_value value absolute low high se df "
    "level relative relative_low relative_high p p_adjusted mde delta n_items n_seeds method holds flags verdict claim "
    "claim_verdict"
)
LEDGER = (
    "variant seed stage source requested_share requested_tokens realised_tokens bytes documents unique_tokens epochs "
    "fresh_tokens replayed_tokens mean_attended_context"
)
ITEMS = "variant seed stage tokens category task metric item cluster value weight checkpoint"


def table(place: Place, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((place.report / name).read_text(encoding="utf-8"))))


def rerun(place: Place, **options: Any) -> tuple[Any, set[str]]:
    """Run again in this process: the outcome, and the kinds of the artefacts that were made."""
    before = {artefact.path: artefact.path.stat().st_ino for artefact in Store(place.store).all()}
    outcome = place.trial().run(workers=1, quiet=True, **options)
    after = {artefact.path: artefact.path.stat().st_ino for artefact in Store(place.store).all()}
    return outcome, {path.parent.name for path in after if before.get(path) != after[path]}


# -- what it leaves ----------------------------------------------------------------------------------------------------


def test_a_finished_study_has_its_report_and_tables(finished_once: Place) -> None:
    assert (finished_once.report / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    for name, columns in (("results", RESULTS), ("comparisons", COMPARISONS), ("ledger", LEDGER)):
        header = (finished_once.report / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0]
        assert header == columns.replace(" ", ","), name
    assert pq.read_schema(finished_once.report / "items.parquet").names == ITEMS.split()


def test_every_arm_and_seed_is_in_the_results(finished_once: Place) -> None:
    rows = table(finished_once, "results.csv")
    variants = ("text→text", "mixed→text", "mixed→mixed")
    expected = {
        (variant, seed, stage, tokens, category, task)
        for variant in variants
        for seed in ("1", "2")
        for stage, tokens in (("1", "2560"), ("2", "5120"))
        for category, task in (
            ("held-out", "prose"), ("held-out", "code"), ("held-out", "mean"), ("transfer", "letters")
        )
    }  # fmt: skip
    found = [(r["variant"], r["seed"], r["stage"], r["tokens"], r["category"], r["task"]) for r in rows]
    assert len(found) == len(set(found))
    assert set(found) == expected
    items = pq.read_table(finished_once.report / "items.parquet").to_pandas()
    for row in rows:
        if row["task"] == "mean":
            continue
        chosen = items[
            (items.variant == row["variant"]) & (items.seed == int(row["seed"])) & (items.stage == row["stage"])
            & (items.task == row["task"]) & (items.metric == row["metric"])
        ]  # fmt: skip
        assert float(row["value"]) == pytest.approx(chosen.value.sum() / chosen.weight.sum(), rel=1e-9)
        assert int(row["n"]) == len(chosen)


def test_the_ledger_agrees_with_what_was_asked(finished_once: Place) -> None:
    rows = table(finished_once, "ledger.csv")
    got = {(r["variant"], r["seed"], r["stage"], r["source"]): int(r["realised_tokens"]) for r in rows}
    for seed in ("1", "2"):
        assert got["text→text", seed, "1", "prose"] == got["text→text", seed, "2", "prose"] == 2560
        assert got["mixed→text", seed, "1", "prose"] == got["mixed→text", seed, "1", "code"] == 1280
        assert got["mixed→text", seed, "2", "prose"] == 2560
    assert all(int(r["realised_tokens"]) == int(r["requested_tokens"]) for r in rows)
    assert all(int(r["fresh_tokens"]) + int(r["replayed_tokens"]) == int(r["realised_tokens"]) for r in rows)
    assert {r["replayed_tokens"] for r in rows} == {"0"}


def test_the_store_is_whole_and_holds_nothing_unfinished(finished_once: Place) -> None:
    store = Store(finished_once.store)
    artefacts = list(store.all())
    assert len(artefacts) > 60
    for artefact in artefacts:
        store.verify(artefact)
        versions = artefact.manifest["payload"]["version"]
        assert isinstance(versions, int)
    for folder in ("tmp", "quarantine", "work"):
        assert not list((finished_once.store / folder).iterdir()), folder


def test_a_workspace_keeps_plan_run_and_log(finished_once: Place) -> None:
    assert set(json.loads((finished_once.workspace / "plan.json").read_text())) == {"study", "steps"}
    run = json.loads((finished_once.workspace / "run.json").read_text())
    assert run["record"]["threads"] >= 1
    assert (run["records"], run["accepted"]) == ([run["record"]], [])
    assert run["failures"] == {}
    events = [json.loads(line) for line in (finished_once.workspace / "log.jsonl").read_text().splitlines()]
    names = [event["step"] for event in events if event["event"] == "finished"]
    assert len(names) == len(set(names)) == len(place_steps(finished_once))


def place_steps(place: Place) -> list[str]:
    trial = place.trial()
    return list(trial.graph(None).steps)


def test_results_come_as_data_frames_and_as_a_notebooks_html(finished_once: Place, calm: None) -> None:
    trial = finished_once.trial()
    assert " ".join(trial.results().columns) == RESULTS
    assert " ".join(trial.comparisons().columns) == COMPARISONS
    assert " ".join(trial.ledger().columns) == LEDGER
    html = trial._repr_html_()
    assert "<table>" in html
    assert "mixed→mixed" in html
    assert repr(trial) == "<Trial smoke: 3 variants × 2 seeds, with a report>"


def test_a_checkpoint_is_found_by_variant_seed_and_tokens(finished_once: Place, calm: None) -> None:
    trial = finished_once.trial()
    end = trial.checkpoint("mixed→text")
    assert (end / "model.safetensors").is_file()
    assert trial.checkpoint("mixed→text", seed=2) != end
    shared = trial.checkpoint("mixed→text", tokens=2560)
    assert shared == trial.checkpoint("mixed→mixed", tokens=2560)
    for wrong in ({"variant": "none"}, {"variant": "mixed→text", "seed": 9}, {"variant": "mixed→text", "tokens": 7}):
        with pytest.raises(RequestError):
            trial.checkpoint(**wrong)


# -- again -------------------------------------------------------------------------------------------------------------

LOADED = """
import json, sys
sys.argv = ["pretrial", *sys.argv[1:]]
from pretrial.cli import main
try:
    main()
finally:
    heavy = ("torch", "pyarrow", "tokenizers", "pandas", "altair", "vl_convert", "safetensors", "transformers")
    print("LOADED", json.dumps([name for name in heavy if name in sys.modules]), file=sys.stderr)
"""


def test_a_finished_study_run_again_does_nothing_and_loads_nothing(finished: Place) -> None:
    before, tables = finished.contents(), finished.tables()
    times = {path: path.stat().st_mtime_ns for path in finished.report.rglob("*")}
    done = finished.call("run", program=[sys.executable, "-c", LOADED])
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stderr
    assert "Nothing to do: smoke is finished" in done.stdout
    assert finished.contents() == before
    assert finished.tables() == tables
    assert {path: path.stat().st_mtime_ns for path in finished.report.rglob("*")} == times


def test_a_lost_report_is_written_again_the_same(finished: Place) -> None:
    tables = finished.tables()
    for name in ("results.csv", "index.html"):
        (finished.report / name).unlink()
    (finished.workspace / "run.json").unlink()
    outcome, made = rerun(finished)
    assert (outcome.new, made) == (True, set())
    assert finished.tables() == tables
    assert not rerun(finished)[0].new


@pytest.mark.parametrize("name", ["report.json", "items.parquet"])
def test_a_report_that_lacks_a_part_is_no_report(finished: Place, name: str) -> None:
    tables = finished.tables()
    (finished.report / name).unlink()
    outcome, made = rerun(finished)
    assert (outcome.new, made) == (True, set())
    assert finished.tables() == tables


def test_what_is_measured_is_kept_step_by_step(finished: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is stopped has learned how fast it is."""
    from pretrial.train import loop

    whole: Callable[[Any], Any] = loop.train_step
    finished.forget("train", "bits-per-byte", "ledger", "anchors")
    (finished.store / "speeds.json").unlink()
    calls: list[Any] = []

    def second_stops(ctx: Any) -> Any:
        calls.append(ctx)
        if len(calls) == 2:
            raise Interrupted("stopped on request")
        return whole(ctx)

    monkeypatch.setattr(loop, "train_step", second_stops)
    with pytest.raises(Interrupted):
        rerun(finished)
    known = json.loads((finished.store / "speeds.json").read_text())
    assert [name for name in known if name.startswith("train ")]


def test_one_worker_and_two_make_the_same_bytes(place: Place, finished_once: Place) -> None:
    trial = place.trial()
    trial.store.prepare()
    graph = trial.graph(trial.record())
    runner = Runner(trial.store, graph.steps.values(), Quiet(), workers=1)
    runner.run([name for name, step in graph.steps.items() if step.group in ("corpora", "tokens")])
    assert runner.failures == {}
    alone = place.contents()
    assert sum(key.startswith("corpus-shard/") for key in alone) == 3
    both = finished_once.contents([*{key.partition("/")[0] for key in alone}])
    assert alone == both


# -- damage ------------------------------------------------------------------------------------------------------------


def test_a_flipped_byte_of_tokens_is_found_at_the_next_read_and_made_again(finished: Place) -> None:
    contents, tables = finished.contents(), finished.tables()
    for path in sorted((finished.store / "artefacts/tokens").glob("*/tokens.npy")):
        flip(path)
    finished.forget("train", "bits-per-byte", "ledger", "anchors")
    outcome, made = rerun(finished)
    assert outcome.complete
    assert made == {"train", "bits-per-byte", "ledger", "anchors", "tokens"}
    events = [json.loads(line) for line in (finished.workspace / "log.jsonl").read_text().splitlines()]
    said = [
        e["message"] for e in events if e["event"] == "warning" and "tokens.npy is not what was written" in e["message"]
    ]
    assert len(said) == 5
    assert all("it was set aside and is made again" in line for line in said)
    assert finished.contents() == contents, "made in another process, in another order, and yet to the byte"
    assert finished.tables() == tables


def test_what_status_finds_damaged_the_next_run_makes_again(finished: Place) -> None:
    contents, tables = finished.contents(), finished.tables()
    for kind in ("train", "corpus", "tokens", "bits-per-byte"):
        folder = sorted((finished.store / "artefacts" / kind).iterdir())[0]
        flip(next(path for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".parquet", ".npy")))
    said = finished.trial().status(verify=True)
    assert len(said["damaged"]) >= 4
    outcome, made = rerun(finished)
    assert outcome.complete
    assert {"train", "corpus", "tokens", "bits-per-byte"} <= made
    assert finished.contents() == contents
    assert finished.tables() == tables
    assert finished.trial().status(verify=True)["damaged"] == []


# -- changes -----------------------------------------------------------------------------------------------------------

CHANGES: dict[str, tuple[str, str, str, set[str]]] = {
    "a claim": (
        "within 50%, at equal compute\n",
        "within 50%, at equal compute\n  - mixed→mixed beats text→text on held-out code, at equal compute\n",
        "claims",
        set(),
    ),
    "a margin": ("bits-per-byte: 5%", "bits-per-byte: 4%", "margins.bits_per_byte", set()),
    "the learning rate": ("lr: 0.01", "lr: 0.02", "training.optimizer.adamw.lr", {"train", "bits-per-byte", "ledger"}),
    "the budget": ("domain-bytes: 3 KB", "domain-bytes: 2 KB", "evaluate.domain-bytes", {"bits-per-byte", "anchors"}),
    "a stage": (
        "mixed→text:  [{tokens: 2560, mixture: mixed}, {tokens: 2560",
        "mixed→text:  [{tokens: 2560, mixture: mixed}, {tokens: 2048",
        "variants.mixed→text[1].tokens",
        {"train", "bits-per-byte", "ledger", "anchors"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_field_reruns_what_depends_on_it_and_explain_names_it(finished: Place, change: str) -> None:
    before, after, field, expected = CHANGES[change]
    line = finished.study.read_text().split(before)[0].count("\n") + 1
    finished.edit(before, after)
    said = finished.trial().explain()
    assert not said["first_run"]
    (row,) = said["study"]
    assert row["field"] == field
    if field != "claims":
        assert row["where"] == f"{finished.study}:{line}"
    else:
        assert row["where"].startswith(f"{finished.study}:")
    assert bool(said["missing"]) == bool(expected)
    outcome, made = rerun(finished)
    assert outcome.new
    assert outcome.complete
    assert made == expected
    assert finished.trial().explain()["study"] == []
    assert not rerun(finished)[0].new


@pytest.mark.slow
def test_an_undone_change_serves_the_old_result_again(finished: Place) -> None:
    tables = finished.tables()
    finished.edit("lr: 0.01", "lr: 0.02")
    rerun(finished)
    assert finished.tables() != tables
    finished.edit("lr: 0.02", "lr: 0.01")
    outcome, made = rerun(finished)
    assert (outcome.new, made) == (True, set())
    assert finished.tables() == tables


def test_a_late_claim_and_a_late_seed_are_shown_as_such(finished: Place) -> None:
    finished.edit("claims:\n", "claims:\n  - mixed→mixed beats text→text on held-out code\n")
    rerun(finished)
    report = json.loads((finished.report / "report.json").read_text())
    late = {claim["text"]: claim["registered"] for claim in report["claims"]}
    assert sorted(late.values()) == [False, True]
    assert not late["mixed→mixed beats text→text on held-out code"]
    assert [row["event"] for row in report["registration"]] == ["registered", "claims changed"]
    assert report["banners"]


def test_a_changed_recipe_and_a_changed_margin_after_a_look_make_claims_late(finished: Place) -> None:
    finished.edit("lr: 0.01", "lr: 0.02")
    finished.edit("bits-per-byte: 5%", "bits-per-byte: 9%")
    rerun(finished, only=["mixed→text"], seeds=[1])
    report = json.loads((finished.report / "report.json").read_text())
    (claim,) = report["claims"]
    assert not claim["registered"]
    assert claim["registration"] == "margins changed and the recipe changed after results were seen"
    assert [row["event"] for row in report["registration"]] == ["registered", "margins changed", "recipe changed"]
    assert "training.optimizer.adamw.lr: 0.01 → 0.02" in report["registration"][-1]["detail"]
    finished.edit("lr: 0.02", "lr: 0.01")
    finished.edit("bits-per-byte: 9%", "bits-per-byte: 5%")
    rerun(finished)
    (claim,) = json.loads((finished.report / "report.json").read_text())["claims"]
    assert claim["registered"], "what was said before the look is judged"


def test_a_look_counts_also_when_the_workspace_has_gone_since(finished: Place) -> None:
    """The old recipe's results are nowhere under the new one; that they were seen is written down."""
    shutil.rmtree(finished.workspace)
    finished.edit("lr: 0.01", "lr: 0.02")
    rerun(finished, only=["mixed→text"], seeds=[1])
    (claim,) = json.loads((finished.report / "report.json").read_text())["claims"]
    assert claim["registration"] == "the recipe changed after results were seen"


def test_a_file_that_changed_after_a_look_makes_claims_late(finished: Place) -> None:
    with (finished.folder / "code.jsonl").open("a") as file:
        file.write(json.dumps({"id": "more", "text": "def more(): return 1", "book": "code 1"}) + "\n")
    rerun(finished, only=["mixed→text"], seeds=[1])
    report = json.loads((finished.report / "report.json").read_text())
    assert [claim["registered"] for claim in report["claims"]] == [False]
    assert report["registration"][-1]["detail"] == "the files of code changed"


def test_a_report_of_an_edited_study_judges_what_it_says_now(finished: Place) -> None:
    finished.edit("bits-per-byte: 5%", "bits-per-byte: 9%")
    finished.trial().report()
    (claim,) = json.loads((finished.report / "report.json").read_text())["claims"]
    assert claim["registration"] == "margins changed after results were seen"


def test_a_claim_is_late_also_when_the_store_has_gone_since_the_look(finished: Place, tried: Path) -> None:
    shutil.rmtree(finished.store)
    # That machines are asked anew is tested elsewhere.
    (finished.store / "compiled").mkdir(parents=True)
    shutil.copy(tried, finished.store / "compiled" / "trial.json")
    finished.edit("claims:\n", "claims:\n  - mixed→mixed beats text→text on held-out code\n")
    rerun(finished, seeds=[1])
    report = json.loads((finished.report / "report.json").read_text())
    late = {claim["text"]: claim["registered"] for claim in report["claims"]}
    assert sorted(late.values()) == [False, True]
    assert not late["mixed→mixed beats text→text on held-out code"]


def test_another_unseen_domain_retrains_nothing(finished: Place) -> None:
    trained = finished.contents(["train", "tokenizer"])
    finished.edit("\nmixtures:", "  notes: {read: {metadata: installed}}\n\nmixtures:")
    outcome, made = rerun(finished)
    assert outcome.complete
    assert made >= {"snapshot", "corpus", "select", "tokens", "bits-per-byte"}
    assert "train" not in made
    assert set(finished.contents(["train"]).values()) == {v for k, v in trained.items() if k.startswith("train/")}
    assert len(set(finished.contents(["tokenizer"]).values())) == 1, "made again, and the same"
    assert {row["task"] for row in table(finished, "results.csv")} == {
        "prose", "code", "letters", "notes", "mean"
    }  # fmt: skip


@pytest.mark.slow
def test_a_changed_installation_is_reported_and_read_again_only_when_asked(
    finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrial.corpus import installed

    finished.edit("letters: {read: {jsonl: letters.jsonl}, group: book}", "letters: {read: {metadata: installed}}")
    rerun(finished)
    contents = finished.contents()
    state = installed.state()
    monkeypatch.setattr(installed, "state", lambda: {**state, "new-package": "1.0"})
    finished.edit("bits-per-byte: 5%", "bits-per-byte: 4%")
    _, made = rerun(finished)
    assert made == set()
    warnings = [line for line in (finished.workspace / "log.jsonl").read_text().splitlines() if '"warning"' in line]
    assert (
        "what is installed has changed since it was read (new-package); the study keeps what was read first. "
        in (warnings[-1])
    ), warnings
    assert "--refresh reads it again" in warnings[-1]
    _, made = rerun(finished, refresh=True)
    assert made == {"snapshot", "corpus", "corpus-shard"}, "read again, found the same, and nothing after it runs"
    assert contents.items() <= finished.contents().items()
    assert not rerun(finished)[0].new


@pytest.mark.slow
def test_what_changed_without_a_new_version_is_read_when_asked(
    finished: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrial.corpus import snapshot

    finished.edit("letters: {read: {jsonl: letters.jsonl}, group: book}", "letters: {read: {metadata: installed}}")
    rerun(finished)
    whole = snapshot._descriptions

    def edited() -> Any:
        first, *others = whole()
        path = tmp_path / "METADATA"
        path.write_bytes(first.path.read_bytes() + b"\nSomething else stands here since this morning.\n" * 20)
        return [replace(first, path=path), *others]

    monkeypatch.setattr(snapshot, "_descriptions", edited)
    before = finished.contents()
    assert not rerun(finished)[0].new
    _, made = rerun(finished, refresh=True)
    assert {"snapshot", "corpus", "corpus-shard", "select", "tokens", "bits-per-byte"} <= made
    assert before.items() <= finished.contents().items(), "what others keep stays"
    assert not list((finished.store / "quarantine").iterdir())
    assert not rerun(finished)[0].new
    assert rerun(finished, refresh=True)[1] == set(), "the same again is kept"
    assert not list((finished.store / "quarantine").iterdir())


def test_a_changed_installation_is_said_once(finished: Place) -> None:
    from pretrial.running import warn_of_changes

    graph = finished.trial().graph(None)
    step = Step("s", "snapshot", 1, "", {}, {"state": {"python": "3.11"}}, changeable=True)
    steps = {f"s{i}": replace(step, name=f"s{i}", settings={"state": {"python": "3.12"}}) for i in range(4)}
    watching = Quiet()
    kept = SimpleNamespace(manifest={"payload": {"state": {"python": "3.11"}}})
    looking: Any = SimpleNamespace(find=lambda name: kept)
    warn_of_changes(replace(graph, steps=steps), looking, watching)
    assert len(watching.warnings) == 1
    assert "what is installed has changed since it was read (python);" in watching.warnings[0]


# -- parts -------------------------------------------------------------------------------------------------------------


def test_only_some_variants_then_the_rest_trains_what_is_new(finished: Place) -> None:
    tables, contents = finished.tables(), finished.contents()
    finished.forget("train", "bits-per-byte", "ledger", "anchors")
    outcome, _ = rerun(finished, only=["mixed→mixed"])
    assert outcome.complete
    first = finished.contents(["train"])
    assert len(first) == 2 * 4, "the baseline's and the variant's two stages, for two seeds"
    ends = [row for row in table(finished, "results.csv") if row["tokens"] == "5120"]
    assert {row["variant"] for row in ends} == {"text→text", "mixed→mixed"}
    report = json.loads((finished.report / "report.json").read_text())
    assert {(gap["variant"], gap["seed"]) for gap in report["missing"]} == {("mixed→text", 1), ("mixed→text", 2)}
    assert {gap["reason"] for gap in report["missing"]} == {"not run yet"}

    _, made = rerun(finished)
    assert len(finished.contents(["train"])) == 2 * 5
    assert made >= {"train", "ledger"}
    assert finished.contents() == contents
    assert finished.tables() == tables


def test_only_a_part_of_a_finished_study_leaves_its_report_alone(finished: Place) -> None:
    tables = finished.tables()
    outcome, made = rerun(finished, only=["mixed→mixed"])
    assert (outcome.new, made) == (False, set())
    assert finished.tables() == tables


@pytest.mark.slow
def test_one_seed_first_and_the_others_later(finished: Place) -> None:
    tables, contents = finished.tables(), finished.contents()
    finished.forget("train", "bits-per-byte", "ledger", "anchors")
    rerun(finished, seeds=[1])
    assert len(finished.contents(["train"])) == 5
    assert {row["seed"] for row in table(finished, "results.csv")} == {"1"}
    assert {row["n_seeds"] for row in table(finished, "comparisons.csv")} == {"1"}
    rerun(finished)
    assert finished.contents() == contents
    assert finished.tables() == tables


def test_more_seeds_train_only_what_is_new(finished: Place) -> None:
    before = finished.contents()
    finished.edit("seeds: 2", "seeds: 3")
    outcome, _ = rerun(finished)
    after = finished.contents()
    assert outcome.complete
    assert before.items() <= after.items()
    assert len(finished.contents(["train"])) == 15
    assert {row["seed"] for row in table(finished, "results.csv")} == {"1", "2", "3"}


@pytest.mark.parametrize("options", [{"only": ["none"]}, {"seeds": [9]}])
def test_what_the_study_does_not_have_cannot_be_asked_for(finished: Place, options: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"there is no variant|has no seed"):
        finished.trial().run(**options)


# -- failures ----------------------------------------------------------------------------------------------------------

BROKEN = """\
  broken:
    - {tokens: 2560, mixture: mixed}
    - {tokens: 2560, mixture: text, schedule: {constant: {warmup: 0}}, lr: 1.0e+30}
carry:"""


def test_a_diverging_arm_stops_no_other_and_is_not_tried_again_unasked(finished: Place) -> None:
    tables = finished.tables()
    finished.edit("carry:", BROKEN)
    outcome, _ = rerun(finished)
    assert set(outcome.failures) == {f"training broken to 5.12K, seed {seed}" for seed in (1, 2)}
    assert all("is not finite in step" in why for why in outcome.failures.values())
    assert all("Its documents: prose: prose-" in why for why in outcome.failures.values())

    def rows(data: bytes) -> set[str]:
        return {line for line in data.decode().splitlines() if not line.startswith("broken")}

    assert rows(finished.tables()["results.csv"]) == rows(tables["results.csv"])
    report = json.loads((finished.report / "report.json").read_text())
    assert {(gap["variant"], gap["seed"]) for gap in report["missing"]} == {("broken", 1), ("broken", 2)}
    assert all("not finite" in gap["reason"] for gap in report["missing"])
    broken = [
        row for row in table(finished, "comparisons.csv") if row["variant"] == "broken" and row["tokens"] == "5120"
    ]
    assert all(row["value"] == "" for row in broken)

    again = finished.call("run")
    assert again.returncode == 1
    assert "failed: training broken to 5.12K, seed 1: the loss is not finite" in again.stdout.replace("\n", " ")
    assert "Traceback" not in again.stderr
    outcome, made = rerun(finished)
    assert (outcome.new, outcome.complete, made) == (False, False, set())
    assert set(outcome.failures) == {f"training broken to 5.12K, seed {seed}" for seed in (1, 2)}
    finished.edit("bits-per-byte: 5%", "bits-per-byte: 4%")
    outcome, made = rerun(finished)
    assert (outcome.new, outcome.complete, made) == (True, False, set()), "a new report forgets no failure"
    outcome, _ = rerun(finished, retry=True)
    assert outcome.new
    assert not outcome.complete

    finished.edit("lr: 1.0e+30", "lr: 0.001")
    outcome, made = rerun(finished)
    assert outcome.complete
    assert "train" in made


def test_one_missing_seed_is_named_and_the_others_are_compared(
    finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrial.errors import DivergedError
    from pretrial.train import loop

    whole: Callable[[Any], Any] = loop.train_step

    def diverging(ctx: Any) -> Any:
        if ctx.config["base"]["seeds"]["init"] == 2 and len(ctx.config["segments"]) == 2:
            raise DivergedError("the loss is not finite in step 21")
        return whole(ctx)

    monkeypatch.setattr(loop, "train_step", diverging)
    finished.forget("train", "bits-per-byte", "ledger", "anchors")
    outcome, _ = rerun(finished)
    assert set(outcome.failures) == {"training mixed→text to 5.12K, seed 2"}
    report = json.loads((finished.report / "report.json").read_text())
    assert report["missing"] == [{"variant": "mixed→text", "seed": 2, "reason": "the loss is not finite in step 21"}]
    counts = {(r["variant"], r["n_seeds"]) for r in table(finished, "comparisons.csv") if r["tokens"] == "5120"}
    assert counts == {("mixed→text", "1"), ("mixed→mixed", "2")}


def test_when_nothing_could_be_made_the_first_cause_is_said(place: Place) -> None:
    place.edit("{jsonl: letters.jsonl}, group: book", "{jsonl: letters.jsonl}, group: book, keep: {book: [none]}")
    for _ in range(2):
        with pytest.raises(RunError, match=r"corpus letters failed: letters: no document is left"):
            place.trial().run(workers=1, quiet=True)
    assert not place.report.exists()
    with pytest.raises(RequestError, match="no results yet"):
        place.trial().report()
    with pytest.raises(RequestError, match="no results yet"):
        place.trial().results()


def test_a_cap_on_epochs_is_enforced_before_anything_is_trained(finished: Place) -> None:
    finished.edit("prose:   {read: {jsonl: prose-*.jsonl}, group: book}",
                  "prose:   {read: {jsonl: prose-*.jsonl}, group: book, max-epochs: 0.1}")  # fmt: skip
    finished.edit("lr: 0.01", "lr: 0.02")
    before = finished.contents(["train"])
    with pytest.raises(
        RequestError, match=r"text→text passes 0\.\d+ times over prose, which is capped at 0.1"
    ) as caught:
        rerun(finished)
    assert str(caught.value).startswith(f"{finished.study}:11")
    assert finished.contents(["train"]) == before


# -- others ------------------------------------------------------------------------------------------------------------


def test_a_second_run_on_one_workspace_says_who_holds_it_and_stops(finished: Place) -> None:
    with locked(finished.workspace / ".lock", "study smoke", wait=False):
        done = finished.call("run")
        with pytest.raises(RequestError, match="is in use by process"):
            finished.trial().report()
    assert done.returncode == 2
    assert f"is in use by process {os.getpid()} (study smoke), since 2" in done.stderr
    assert "--workspace" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_record_is_a_miss_unless_accepted_and_then_flagged(
    finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrial.train import record

    answer = json.loads((finished.store / "compiled/trial.json").read_text())["trial"]
    monkeypatch.setattr(record, "_try", lambda: answer)
    monkeypatch.setattr(record, "processors", lambda: 1 if record.os.cpu_count() != 1 else 2)
    assert finished.trial().plan()["steps"]["train"]["cached"] == 10, "looked at under the last run's record"
    outcome, made = rerun(finished, accept_record=True)
    assert outcome.complete
    assert made == set()
    flags = {row["flags"] for row in table(finished, "comparisons.csv")}
    assert all("record accepted" in flag for flag in flags)
    assert any(
        "another execution record" in b for b in json.loads((finished.report / "report.json").read_text())["banners"]
    )
    assert not rerun(finished, accept_record=True)[0].new
    said = finished.trial().explain()
    assert len([step for step in said["missing"] if step.startswith("training")]) == 10
    _, made = rerun(finished)
    assert made == {"train", "bits-per-byte", "ledger"}
    assert not any("record accepted" in row["flags"] for row in table(finished, "comparisons.csv"))


@pytest.fixture
def another_record(monkeypatch: pytest.MonkeyPatch) -> Callable[[Place], None]:
    """Make this machine another one."""
    from pretrial.train import record

    def another(place: Place) -> None:
        answer = json.loads((place.store / "compiled/trial.json").read_text())["trial"]
        monkeypatch.setattr(record, "_try", lambda: answer)
        monkeypatch.setattr(record, "processors", lambda: 1 if record.os.cpu_count() != 1 else 2)

    return another


def test_an_accepted_record_is_looked_at_too(finished: Place, another_record: Callable[[Place], None]) -> None:
    another_record(finished)
    rerun(finished, accept_record=True)
    said = finished.trial().plan()
    assert said["steps"]["train"] == {"all": 10, "cached": 10}
    assert len(said["accepted"]) >= 10 + 30
    assert any("which the last run accepted; a run without --accept-record makes them again" in w
               for w in said["warnings"])  # fmt: skip
    assert finished.trial().status()["steps"]["training"] == {"done": 10, "all": 10}
    assert finished.trial().status()["accepted"] == said["accepted"]
    assert finished.trial().status()["not_in_this_study_bytes"] == 0
    assert finished.trial().checkpoint("mixed→text").is_dir()


def test_a_run_that_was_interrupted_has_a_record_to_accept(
    place: Place, another_record: Callable[[Place], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrial.evaluate import bits_per_byte
    from pretrial.train import loop

    def stop(ctx: Any) -> Any:
        raise Interrupted("stopped on request")

    trained: list[Any] = []
    whole: Callable[[Any], Any] = loop.train_step
    monkeypatch.setattr(loop, "train_step", lambda ctx: trained.append(ctx) or whole(ctx))
    with monkeypatch.context() as patch:
        patch.setattr(bits_per_byte, "evaluate_bits_per_byte", stop)
        with pytest.raises(Interrupted):
            rerun(place)
    assert len(trained) == 1
    said = place.trial().explain()
    assert not said["first_run"]
    assert said["study"] == said["record"] == []
    assert all(not step["differs"] for step in said["steps"]), "they are not there, and nothing else is said of them"
    another_record(place)
    assert finished_record(place) not in (None, place.trial().record(choose=True))
    outcome, _ = rerun(place, accept_record=True)
    assert outcome.complete
    assert len(trained) == 10, "the checkpoint of the first run stands in for one of ten"
    assert any("record accepted" in row["flags"] for row in table(place, "comparisons.csv"))


def finished_record(place: Place) -> Any:
    return json.loads((place.workspace / "run.json").read_text())["record"]


def test_accepting_where_there_is_nothing_to_accept_is_said_before_anything_is_spent(place: Place) -> None:
    with pytest.raises(RequestError, match="no other execution record is known to the workspace"):
        rerun(place, accept_record=True)
    assert place.contents() == {}


def test_accepting_ones_own_record_is_no_acceptance(finished: Place) -> None:
    with pytest.raises(RequestError, match="no other execution record is known"):
        rerun(finished, accept_record=True)


def test_a_run_file_of_an_earlier_version_is_read(finished: Place) -> None:
    path = finished.workspace / "run.json"
    run = json.loads(path.read_text())
    mine = run.pop("record")
    other = {**mine, "threads": 99}
    del run["records"]
    path.write_text(json.dumps({**run, "record": mine, "accepted": other}))
    workspace = finished.trial().workspace
    assert workspace.records() == [mine, other]
    assert workspace.accepted(mine) == [other]
    path.write_text(json.dumps({**run, "record": mine, "accepted": None}))
    assert workspace.accepted(mine) == []


# -- before it is trained ----------------------------------------------------------------------------------------------


def test_too_little_disk_is_said_before_the_machine_is_tried_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrial import trials
    from pretrial.plan import cost

    (place.store / "compiled/trial.json").unlink()
    monkeypatch.setattr(cost, "disk_free", lambda path: 1000)
    monkeypatch.setattr(trials, "make_record", lambda *arguments: pytest.fail("the machine was tried out"))
    with pytest.raises(RequestError, match=r"the study needs about [0-9.]+ MB of disk and 1\.0 KB are free at .*/st"):
        rerun(place)
    said = place.trial().plan()
    assert any(line.startswith("the study needs about") for line in said["warnings"])
    assert said["cost"]["disk_bytes_free"] == {"value": 1000, "basis": "measured"}


def test_a_finished_study_needs_no_disk(finished: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrial.plan import cost

    monkeypatch.setattr(cost, "disk_free", lambda path: 0)
    assert not rerun(finished)[0].new
    assert not any("of disk" in line for line in finished.trial().plan()["warnings"])


def test_many_passes_are_warned_of_before_the_first_training_step(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrial.train import loop

    def stop(ctx: Any) -> Any:
        raise Interrupted("stopped on request")

    monkeypatch.setattr(loop, "train_step", stop)
    place.edit("{tokens: 2560, mixture: mixed}, {tokens: 2560, mixture: mixed}]",
               "{tokens: 2560, mixture: mixed}, {tokens: 96K, mixture: mixed}]")  # fmt: skip
    place.edit("seeds: 2", "seeds: 1")
    smoke.write_corpora(place.folder, documents=60)
    said = place.trial().plan()
    assert any("mixed→mixed passes about" in line for line in said["warnings"])
    with pytest.raises(Interrupted):
        rerun(place)
    events = [json.loads(line) for line in (place.workspace / "log.jsonl").read_text().splitlines()]
    order = [event.get("message") or event.get("step") for event in events]
    warned = next(i for i, line in enumerate(order) if "times over prose; above 4 a repeat is worth less" in line)
    first = next(i for i, event in enumerate(events) if event.get("step", "").startswith("training"))
    assert warned < first
    assert "about" not in order[warned], "measured by then"
    assert any("cannot be tested: one seed cannot tell chance from cause" in line for line in order[:first])


def test_the_same_study_is_built_in_python(finished: Place) -> None:
    from ruamel.yaml import YAML

    import pretrial

    said = YAML(typ="safe").load(finished.study.read_text())
    for source in said["sources"].values():
        source["read"]["jsonl"] = str(finished.folder / source["read"]["jsonl"])
    trial = pretrial.trial(said, workspace=finished.workspace, store=finished.store)
    outcome = trial.run(workers=1, quiet=True)
    assert outcome.made == 0, "the same artefacts, wherever the study was written"


@pytest.mark.slow
def test_two_studies_that_need_the_same_wait_for_each_other(place: Place, finished_once: Place) -> None:
    other = [*place.arguments("run"), "--workspace", str(place.folder / "second")]
    options = {"cwd": place.folder, "env": smoke.environment(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen(command, text=True, **options) for command in (place.arguments("run"), other)]
    said = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert any("waiting for process" in text for text in said)
    assert place.contents() == finished_once.contents()
    assert (place.folder / "second/report/results.csv").read_bytes() == place.tables()["results.csv"]
