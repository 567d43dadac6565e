"""What decides verdicts: tasks by plan, pairs, claims, chance, and who is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pretrial.execute.runner import FailedInputError
from pretrial.findings.design import (
    Measured,
    chance_levels,
    chosen_variants,
    lost_evaluations,
    make_design,
    measured,
    missing_seeds,
    pair_facts,
    planned_tasks,
    registered_claims,
)
from pretrial.findings.shelf import Shelf
from pretrial.plan.cost import Figure
from pretrial.plan.graph import Evaluated, Graph
from pretrial.plan.registration import Entry, History
from pretrial.store.artefacts import Artefact
from pretrial.study.schema import Study

Build = Callable[..., Study]
Plan = Callable[[Study], Graph]
Keep = Callable[..., Any]


def measured_rows(*rows: tuple[str, str, str, float | None]) -> list[Measured]:
    """Evaluations with one row (category, task, metric, chance) each."""
    made = []
    for category, task, metric, chance in rows:
        facts = {"rows": [{"task": task, "metric": metric, "chance": chance}]}
        evaluated = Evaluated(None, 1, task, category, "step", "checkpoint")  # type: ignore[arg-type]
        made.append(Measured(evaluated, Artefact("bench", "key", None, "content", facts, {})))  # type: ignore[arg-type]
    return made


def design_of(study: Study, graph: Graph, shelf: Shelf, registered: History | None = None) -> Any:
    done = measured(graph, shelf)
    missing = missing_seeds(graph, shelf)
    lost = lost_evaluations(graph, shelf, missing)
    return make_design(study, graph, registered or History(()), {}, done, missing, lost, accepted=False)


def test_categories_come_from_the_plan_and_not_from_what_is_there(build: Build, plan: Plan, kept: Keep) -> None:
    study = build()
    graph = plan(study)
    runner = kept(graph, without=(("cloze", "letters"),))
    made = design_of(study, graph, Shelf(runner))
    assert made.categories == {
        "held-out": ("prose", "code"),
        "transfer": ("letters",),
        "cloze": ("prose", "code", "letters"),
    }
    assert made.planned["cloze", "letters"][0] == "accuracy"
    assert made.planned["held-out", "code"] == ("bits_per_byte",)
    assert made.lost["both", 2, 20_480, "cloze", "letters"] == "not evaluated yet"


def test_categories_stand_in_the_order_of_evaluate(build: Build, plan: Plan) -> None:
    graph = plan(build(evaluate={"tasks": ["cloze", "transfer", "held-out"]}))
    assert list(planned_tasks(graph)[0]) == ["cloze", "transfer", "held-out"]


def test_benchmarks_are_tasks_of_their_category_with_their_own_metrics(build: Build, plan: Plan) -> None:
    study = build()
    graph = plan(study)
    end = graph.ends("base")
    words = ("lambada", "blimp", "piqa")
    categories = {"lambada": "language", "blimp": "language", "piqa": "reasoning"}
    evaluations = tuple(Evaluated(end, 1, word, categories[word], "step", "checkpoint") for word in words)
    wanted = replace(study, evaluate=replace(study.evaluate, tasks=words))
    tasks, metrics = planned_tasks(replace(graph, study=wanted, evaluations=evaluations))
    assert tasks == {"language": ("lambada", "blimp"), "reasoning": ("piqa",)}
    assert "margin" in metrics["language", "blimp"]
    assert "margin" not in metrics["language", "lambada"]


@pytest.mark.parametrize("tasks", [["held-out", "transfer", "cloze"], ["cloze", "transfer", "held-out"]])
def test_metrics_stand_in_the_order_of_their_definition(build: Build, plan: Plan, kept: Keep, tasks: list[str]) -> None:
    study = build(evaluate={"tasks": tasks})
    graph = plan(study)
    metrics = design_of(study, graph, Shelf(kept(graph))).metrics
    assert list(metrics) == [
        "bits_per_byte", "accuracy", "answer_bits_per_byte", "margin", "correct_choice_probability",
    ]  # fmt: skip
    assert [name for name, facts in metrics.items() if not facts.ratio] == ["margin"]


def test_the_probability_of_the_right_choice_has_the_chance_level_of_accuracy() -> None:
    rows = (
        ("reasoning", "piqa", "correct_choice_probability", None),
        ("reasoning", "piqa", "acc", 0.5),
        ("reasoning", "piqa", "answer_bits_per_byte", None),
        ("cloze", "news", "accuracy", 0.25),
        ("cloze", "news", "correct_choice_probability", None),
        ("language", "lambada", "acc", 0.0),
        ("language", "lambada", "correct_choice_probability", None),
    )
    assert chance_levels(measured_rows(*rows)) == {
        ("piqa", "acc"): 0.5,
        ("piqa", "correct_choice_probability"): 0.5,
        ("news", "accuracy"): 0.25,
        ("news", "correct_choice_probability"): 0.25,
        ("lambada", "acc"): 0.0,
        ("lambada", "correct_choice_probability"): 0.0,
    }


def test_a_claim_without_at_equal_is_at_what_the_study_compares(build: Build) -> None:
    texts = ["first beats base on transfer", "both beats base on transfer, at equal order"]
    study = build(compare="text", claims=texts)
    claims = [entry.claim for entry in registered_claims(study, History(()))]
    assert [claim.holds for claim in claims] == ["text", "order"]
    assert [claim.text for claim in claims] == texts


def test_a_claim_is_not_judged_on_what_the_pair_happens_to_hold(build: Build, plan: Plan, kept: Keep) -> None:
    from pretrial.analysis import ItemTable, analyse
    from pretrial.findings.tables import item_table

    study = build(compare="text", claims=["first beats base on transfer"])
    graph = plan(study)
    shelf = Shelf(kept(graph))
    made = design_of(study, graph, shelf)
    assert made.pairs["first", "base"].holds == "compute"
    items = ItemTable.from_columns(item_table(graph, shelf, measured(graph, shelf)).to_pydict())
    (result,) = analyse(items, made).claims
    assert result.verdict == "undecided"
    assert result.reason == "the claim is at equal text, but the comparison holds compute equal"


def test_a_late_claim_keeps_its_reason(build: Build) -> None:
    study = build()
    margins = {metric: str(margin) for metric, margin in study.margins.items()}
    texts = tuple(claim.text for claim in study.claims)
    late = registered_claims(study, History((Entry("", texts, margins, study.seeds, ("first",)),)))
    assert [entry.registered for entry in late] == [False, True]
    assert late[0].reason == "results of its variants existed when it was registered"
    assert late[1].reason == ""


def test_a_pair_holds_what_the_study_compares_first_and_flags_repetition(build: Build, plan: Plan) -> None:
    study = build(compare="order")
    graph = plan(study)
    same = pair_facts(study, graph, {}, "both", "both", accepted=True)
    assert (same.holds, same.also, same.flags) == ("order", ("compute", "text"), ("record accepted",))
    few = {"code": Figure(1, "measured"), "prose": Figure(1, "measured")}
    apart = pair_facts(study, graph, few, "both", "base", accepted=False)
    assert (apart.holds, apart.flags) == ("compute", ("repetition-confounded",))


def test_a_pair_that_holds_nothing_says_why(build: Build, plan: Plan) -> None:
    stage = {"tokens": 10 * 1024, "mixture": "mixed"}
    study = build(variants={"base": [stage, stage], "long": [stage, stage, stage]}, claims=[])
    found = pair_facts(study, plan(study), {}, "long", "base", accepted=False)
    assert found.holds == ""
    assert "not at equal compute" in found.reason


def test_dose_checks_are_the_sources_that_some_arm_trained_on(build: Build, plan: Plan, kept: Keep) -> None:
    study = build()
    graph = plan(study)
    assert design_of(study, graph, Shelf(kept(graph))).dose == {
        (category, task) for category in ("held-out", "cloze") for task in ("prose", "code")
    }


def test_only_planned_variants_are_compared(build: Build, plan: Plan) -> None:
    study = build()
    graph = plan(study)
    assert chosen_variants(study, graph) == ("base", "first", "both")
    few = tuple(mark for mark in graph.marks if mark.variant != "first")
    assert chosen_variants(study, replace(graph, marks=few)) == ("base", "both")


def test_missing_seeds_have_the_reason_of_what_failed_first(build: Build, plan: Plan, kept: Keep) -> None:
    graph = plan(build())
    runner = kept(graph)
    end = graph.courses["first"].end
    failed, unrun, followed = (graph.checkpoints["first", seed, end] for seed in (1, 2, 3))
    for name in (failed, unrun, followed):
        del runner.given[name]
    runner.fail(failed, "non-finite loss at step 7")
    parent = graph.steps[followed].inputs["parent"]
    del runner.given[parent]
    following = FailedInputError("its input failed")
    following.origin = parent
    runner.failures[followed] = following
    runner.fail(parent, "no memory is left")
    shelf = Shelf(runner)
    missing = missing_seeds(graph, shelf)
    assert missing == {
        ("first", 1): "non-finite loss at step 7",
        ("first", 2): "not run yet",
        ("first", 3): "no memory is left",
    }
    # What was not trained to its end is not also named task by task.
    assert {(v, s) for v, s, *_ in lost_evaluations(graph, shelf, missing)} & set(missing) == set()


def test_a_failed_evaluation_is_missing_with_its_reason(build: Build, plan: Plan, kept: Keep) -> None:
    graph = plan(build())
    runner = kept(graph)
    (one,) = [
        e for e in graph.evaluations
        if (e.mark.variant, e.seed, e.category, e.task) == ("both", 2, "cloze", "code") and e.mark.ends_variant
    ]  # fmt: skip
    del runner.given[one.step]
    runner.fail(one.step, "accuracy of 'x' in code is nan: not a finite number")
    shelf = Shelf(runner)
    assert missing_seeds(graph, shelf) == {}
    assert lost_evaluations(graph, shelf, {}) == {
        ("both", 2, 20_480, "cloze", "code"): "accuracy of 'x' in code is nan: not a finite number"
    }


def test_what_an_earlier_run_said_of_a_failure_is_the_reason_too(build: Build, plan: Plan, kept: Keep) -> None:
    graph = plan(build())
    runner = kept(graph)
    name = graph.checkpoints["first", 1, graph.courses["first"].end]
    parent = graph.steps[name].inputs["parent"]
    for step in (name, parent):
        del runner.given[step]
    assert missing_seeds(graph, Shelf(runner, failures={parent: "the disk is full"}))["first", 1] == "the disk is full"
