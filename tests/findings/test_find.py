"""Findings of a study whose evaluations are known: rows, sections, and what is missing from them."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pretrial.errors import RequestError
from pretrial.findings import Findings, find
from pretrial.plan.graph import Graph
from pretrial.plan.registration import Entry, History
from pretrial.report import tables
from pretrial.report.data import ReportData
from pretrial.study.schema import Study

Build = Callable[..., Study]
Plan = Callable[[Study], Graph]
Keep = Callable[..., Any]


def found(study: Study, graph: Graph, runner: Any, registered: History | None = None, **options: Any) -> Findings:
    margins = {metric: str(margin) for metric, margin in study.margins.items()}
    texts = tuple(claim.text for claim in study.claims)
    registered = registered or History((Entry("", texts, margins, study.seeds, ()),))
    given: dict[str, Any] = {"windows": {}, "record": {"device": "cpu"}, "accepted": False}
    return find(study, graph, runner, registered, **{**given, **options})


_found: list[Findings] = []


@pytest.fixture
def whole(build: Build, plan: Plan, kept: Keep) -> Findings:
    """What is found where nothing is missing; found once, so no test may change it."""
    if not _found:
        study = build()
        graph = plan(study)
        _found.append(found(study, graph, kept(graph)))
    return _found[0]


def rows(data: ReportData, **match: Any) -> list[Any]:
    return [row for row in data.results if all(row[name] == value for name, value in match.items())]


def test_a_study_without_results_is_refused(build: Build, plan: Plan, kept: Keep) -> None:
    study = build()
    graph = plan(study)
    runner = kept(graph)
    runner.given.clear()
    with pytest.raises(RequestError, match="no results yet"):
        found(study, graph, runner)


def test_results_hold_the_means_of_categories(whole: Findings) -> None:
    data = whole.data
    for one in rows(data, task="mean"):
        own = [
            row["value"]
            for row in rows(data, **{n: one[n] for n in ("variant", "seed", "tokens", "category", "metric")})
            if row["task"] != "mean"
        ]
        assert one["value"] == pytest.approx(sum(own) / len(own))
        assert one["n"] == 12 * len(own)
        assert (one["task_version"], one["metric_version"]) == ("1", 1)
    assert {(row["category"], row["metric"]) for row in rows(data, task="mean")} == {
        ("held-out", "bits_per_byte"),
        *(("cloze", m) for m in ("accuracy", "answer_bits_per_byte", "margin", "correct_choice_probability")),
    }
    assert len(rows(data, task="mean", category="held-out")) == 3 * 3 * 2
    assert {row["chance"] for row in rows(data, task="mean", metric="accuracy")} == {0.25}
    written = tables.results_csv(data).splitlines()
    assert len(written) == 1 + len(data.results)


def test_chance_stands_in_the_results_of_the_right_choices_probability(whole: Findings) -> None:
    assert {row["chance"] for row in rows(whole.data, metric="correct_choice_probability")} == {0.25}
    assert {row["chance"] for row in rows(whole.data, metric="answer_bits_per_byte")} == {None}
    for row in whole.data.comparisons:
        if row["metric"] == "correct_choice_probability" and row["relative"] is not None:
            assert row["relative"] == pytest.approx(row["absolute"] / (row["base_value"] - 0.25))


def test_every_variant_has_its_own_3_gram_and_zstd_is_shared(whole: Findings) -> None:
    anchors = whole.data.anchors
    grams = [a for a in anchors if (a["category"], a["task"], a["anchor"]) == ("held-out", "code", "3-gram")]
    assert [a["variant"] for a in grams] == ["base", "first", "both"]
    assert len({a["value"] for a in grams}) == 3
    zstd = [a for a in anchors if a["anchor"] == "zstd"]
    assert [(a["variant"], a["category"], a["task"]) for a in zstd] == [
        ("", "held-out", "prose"), ("", "held-out", "code"), ("", "transfer", "letters"),
    ]  # fmt: skip
    assert len([a for a in anchors if (a["category"], a["metric"]) == ("cloze", "accuracy")]) == 9


def test_definitions_are_of_what_occurs(build: Build, plan: Plan, kept: Keep, whole: Findings) -> None:
    named = [definition["metric"] for definition in whole.data.definitions]
    assert named[:2] == ["bits_per_byte", "accuracy"]
    assert {"bits_per_byte_3gram", "bits_per_byte_zstd", "accuracy_3gram"} < set(named)
    study = build(evaluate={"tasks": ["held-out", "transfer"]}, claims=[])
    graph = plan(study)
    few = found(study, graph, kept(graph)).data.definitions
    assert [d["metric"] for d in few] == ["bits_per_byte", "bits_per_byte_3gram", "bits_per_byte_zstd"]


def test_a_source_without_cloze_items_leaves_the_category_undecided(build: Build, plan: Plan, kept: Keep) -> None:
    study = build()
    graph = plan(study)
    result = found(study, graph, kept(graph, without=(("cloze", "letters"),)))
    (claim, _) = result.data.claims
    assert (claim["verdict"], claim["reason"]) == ("undecided", "the mean lacks letters")
    means = [row for row in result.data.comparisons if (row["category"], row["task"]) == ("cloze", "mean")]
    assert means
    assert all("mean without letters" in row["flags"] and row["verdict"] == "undecided" for row in means)
    assert rows(result.data, task="mean", category="cloze") == []


def test_the_verdict_of_a_category_does_not_depend_on_the_order_of_evaluate(
    build: Build, plan: Plan, kept: Keep
) -> None:
    metrics = set()
    for tasks in (["held-out", "transfer", "cloze"], ["cloze", "transfer", "held-out"]):
        study = build(evaluate={"tasks": tasks})
        graph = plan(study)
        metrics.add(found(study, graph, kept(graph)).data.claims[0]["metric"])
    assert metrics == {"accuracy"}


def test_what_has_no_result_is_named_with_its_reason(build: Build, plan: Plan, kept: Keep) -> None:
    study = build()
    graph = plan(study)
    runner = kept(graph)
    end = graph.courses["first"].end
    del runner.given[graph.checkpoints["first", 1, end]]
    runner.fail(graph.checkpoints["first", 1, end], "non-finite loss at step 7")
    for one in graph.evaluations:
        lost = (one.mark.variant, one.seed, one.category) == ("both", 2, "cloze") and one.task != "prose"
        late = (one.mark.variant, one.seed, one.mark.tokens) == ("base", 3, 10_240)
        if lost or late or (one.mark.variant, one.seed, one.mark.tokens) == ("first", 1, end):
            runner.given.pop(one.step)
        if lost:
            runner.fail(one.step, "not a finite number")
    result = found(study, graph, runner)
    assert result.data.missing == [
        {"variant": "first", "seed": 1, "reason": "non-finite loss at step 7"},
        {"variant": "both", "seed": 2, "reason": "cloze code, cloze letters: not a finite number"},
        {
            "variant": "base",
            "seed": 3,
            "reason": "held-out at 10.2K tokens, transfer at 10.2K tokens: not evaluated yet",
        },
    ]
    (code,) = [
        row
        for row in result.data.comparisons
        if (row["variant"], row["category"], row["task"], row["metric"]) == ("both", "cloze", "code", "accuracy")
    ]
    assert "seed 2 of both missing: not a finite number" in code["flags"]


def test_claims_carry_their_companions_and_why_they_are_late(build: Build, plan: Plan, kept: Keep) -> None:
    study = build(seeds=6)
    graph = plan(study)
    texts = tuple(claim.text for claim in study.claims)
    margins = {metric: str(margin) for metric, margin in study.margins.items()}
    late = History((Entry("", texts, margins, study.seeds, ("first",)),))
    first, second = found(study, graph, kept(graph), late).data.claims
    assert not first["registered"]
    assert first["registration"] == "results of its variants existed when it was registered"
    assert (second["registered"], second["registration"]) == (True, "")
    for claim in (first, second):
        assert claim["bootstrap_low"] < claim["estimate"] < claim["bootstrap_high"]
        assert 0 < claim["sign_flip_p"] <= 1
        assert claim["p_adjusted"] is not None


def test_the_funnel_ends_in_parts_that_add_up(build: Build, plan: Plan, kept: Keep) -> None:
    study = build()
    graph = plan(study)
    runner = kept(graph)
    steps = [{"step": "read", "documents": 10, "bytes": 1000}, {"step": "no-code", "documents": 9, "bytes": 900}]
    nothing: dict[str, Any] = {"rejected": {}, "skipped": {}, "quarantined": {}, "removed": {}}
    runner.keep("corpus prose", {"funnel": steps, "documents": 0, "shards": [], **nothing})
    counts = {"duplicate": 100, "excluded": 50, "held_out": 250, "new_class": 0, "train": 500}
    parts = {name: {"documents": size // 100, "bytes": size} for name, size in counts.items()}
    empty = io.BytesIO()
    np.save(empty, np.zeros(0, np.uint8))
    selection = {"sources": {"prose": {**parts, "groups": 3}}, "files": {"prose": "0.npy"}}
    runner.keep("selection of documents", selection, **{"0__npy": empty.getvalue()})
    funnel = found(study, graph, runner).data.funnel
    assert [(row["step"], row["part"], row["bytes"]) for row in funnel] == [
        ("read", False, 1000),
        ("no-code", False, 900),
        ("trains", True, 500),
        ("held out", True, 250),
        ("exact copies, left out", True, 100),
        ("exact copies of held-out documents", True, 50),
        ("new class", True, 0),
    ]


def test_versions_are_said_to_be_those_of_the_report(whole: Findings) -> None:
    names = [fact["name"] for fact in whole.data.environment]
    assert names[0] == "device"
    assert all(name.endswith(", at the time of the report") for name in names[1:])


def test_damage_is_named_and_the_rest_is_reported(build: Build, plan: Plan, kept: Keep, store: Any) -> None:
    study = build()
    graph = plan(study)
    runner = kept(graph)
    runner.store = type(store)(store.root)  # has verified nothing
    one = next(
        e
        for e in graph.evaluations
        if (e.mark.variant, e.seed, e.task) == ("both", 3, "letters") and e.mark.ends_variant
    )
    runner.given[one.step].file("items.parquet").write_bytes(b"another")
    checkpoint = graph.checkpoints["first", 2, graph.courses["first"].end]
    runner.given[checkpoint].file("metrics.jsonl").write_bytes(b"another")
    data = found(study, graph, runner).data
    (gap,) = data.missing
    assert (gap["variant"], gap["seed"]) == ("both", 3)
    assert "were set aside: run the study again" in gap["reason"]
    assert {warning.split(":")[0] for warning in data.warnings} >= {one.step, checkpoint}
    assert ("first", 2) not in {(point["variant"], point["seed"]) for point in data.training}
    assert ("first", 3) in {(point["variant"], point["seed"]) for point in data.training}


def test_findings_are_plain_data(whole: Findings) -> None:
    import json

    again = ReportData.from_json(json.loads(json.dumps(whole.data.to_json(), allow_nan=False)))
    assert again == dataclasses.replace(again)
    for name, (columns, written, _) in tables.small_tables(again).items():
        assert tables.csv_text(columns, written), name
