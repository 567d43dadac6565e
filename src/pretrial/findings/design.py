"""What decides verdicts besides the numbers: which tasks belong to a category, what pairs hold, who is missing and why.

All of it is read off the study, the plan, the registrations and the facts of evaluations: never off what happens to
be there, so that what is missing is missed. Nothing here computes a statistic (`analysis` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pretrial.analysis.data import Design, MetricFacts, PairFacts, RegisteredClaim
from pretrial.evaluate.spec import CATEGORIES, METRICS, TASK_METRICS
from pretrial.findings.shelf import Shelf
from pretrial.model.spec import parameters
from pretrial.plan.controls import control
from pretrial.plan.cost import Figure
from pretrial.plan.graph import Evaluated, Graph
from pretrial.plan.registration import History
from pretrial.plan.view import repeated
from pretrial.store.artefacts import Artefact
from pretrial.study.schema import Study
from pretrial.study.tasks import has_ratio

Json = dict[str, Any]
Lost = dict[tuple[str, int, int, str, str], str]
"""(variant, seed, tokens, category, task) without a result, and why."""

LIKE_ACCURACY = {"correct_choice_probability": ("accuracy", "acc")}
"""Metrics whose chance level is that of another metric of their task: a guesser gives each choice 1 / choices."""


@dataclass(frozen=True)
class Measured:
    """One finished evaluation of one variant's checkpoint."""

    evaluated: Evaluated
    artefact: Artefact

    @property
    def rows(self) -> Sequence[Json]:
        """One row for each task and metric, as the evaluation wrote them."""
        rows: Sequence[Json] = self.artefact.facts["rows"]
        return rows


def measured(graph: Graph, shelf: Shelf) -> list[Measured]:
    """All evaluations that are there, their files hashed."""
    return [
        Measured(evaluated, artefact)
        for evaluated in graph.evaluations
        if (artefact := shelf.whole(evaluated.step)) is not None
    ]


def chosen_variants(study: Study, graph: Graph) -> tuple[str, ...]:
    """Variants of the plan in the order of the study."""
    marked = {mark.variant for mark in graph.marks}
    return tuple(name for name in study.variants if name in marked)


def planned_tasks(graph: Graph) -> tuple[dict[str, tuple[str, ...]], dict[tuple[str, str], tuple[str, ...]]]:
    """Tasks of each category in the order of `evaluate`, and metrics of each (category, task), as planned."""
    categories: dict[str, tuple[str, ...]] = {CATEGORIES[task]: () for task in graph.study.evaluate.tasks}
    metrics: dict[tuple[str, str], tuple[str, ...]] = {}
    for evaluated in graph.evaluations:
        if evaluated.task in categories[evaluated.category]:
            continue
        categories[evaluated.category] += (evaluated.task,)
        # A benchmark is a word under `evaluate` of its own; the other words stand for one task per source.
        word = evaluated.category if evaluated.category in TASK_METRICS else evaluated.task
        metrics[evaluated.category, evaluated.task] = TASK_METRICS[word]
    return {name: tasks for name, tasks in categories.items() if tasks}, metrics


def chance_levels(done: Iterable[Measured]) -> dict[tuple[str, str], float]:
    """A guesser's score by (task, metric), where there is one."""
    found: dict[tuple[str, str], float] = {}
    for one in done:
        for row in one.rows:
            if row["chance"] is not None:
                found[row["task"], row["metric"]] = row["chance"]
    for one in done:
        for row in one.rows:
            for like in LIKE_ACCURACY.get(row["metric"], ()):
                if (row["task"], like) in found:
                    found[row["task"], row["metric"]] = found[row["task"], like]
    return found


def missing_seeds(graph: Graph, shelf: Shelf) -> dict[tuple[str, int], str]:
    """(variant, seed) without a final checkpoint, and why."""
    return {
        (variant, seed): shelf.why_not(name) or "not run yet"
        for (variant, seed, tokens), name in graph.checkpoints.items()
        if tokens == graph.courses[variant].end and shelf.find(name) is None
    }


def lost_evaluations(graph: Graph, shelf: Shelf, missing: Mapping[tuple[str, int], str]) -> Lost:
    """Evaluations that are not there of arms that were trained to their end, and why."""
    return {
        (one.mark.variant, one.seed, one.mark.tokens, one.category, one.task): shelf.why_not(one.step)
        or "not evaluated yet"
        for one in graph.evaluations
        if (one.mark.variant, one.seed) not in missing and shelf.find(one.step) is None
    }


def pair_facts(
    study: Study, graph: Graph, windows: Mapping[str, Figure], variant: str, base: str, *, accepted: bool
) -> PairFacts:
    """What the comparison of two variants holds, with the study's `compare` first, and what flags its rows."""
    held = control(graph.courses[variant], graph.courses[base], study.context)
    flags = []
    if repeated(graph, variant, base, dict(windows)):
        flags.append("repetition-confounded")
    if accepted:
        flags.append("record accepted")
    first: str = study.compare if study.compare in held.holds else next(iter(held.holds), "")
    also = tuple(h for h in held.holds if h != first)
    return PairFacts(first, "; ".join(held.reasons) if not first else "", also, tuple(flags))


def registered_claims(study: Study, registered: History) -> tuple[RegisteredClaim, ...]:
    """The study's claims, whether they came in time, each at equal what it says or else what the study compares at."""
    found = []
    for claim in study.claims:
        late = registered.late(claim)
        whole = replace(claim, holds=claim.holds or study.compare)
        found.append(RegisteredClaim(whole, registered=late is None, reason=late or ""))
    return tuple(found)


def make_design(
    study: Study,
    graph: Graph,
    registered: History,
    windows: Mapping[str, Figure],
    done: Sequence[Measured],
    missing: Mapping[tuple[str, int], str],
    lost: Lost,
    *,
    accepted: bool,
) -> Design:
    """The design of a study's analysis."""
    variants = chosen_variants(study, graph)
    categories, planned = planned_tasks(graph)
    present = {row["metric"] for one in done for row in one.rows}
    against = [(name, study.baseline) for name in variants if name != study.baseline]
    against += [(claim.variant, claim.against) for claim in study.claims]
    trained = set(study.trained_sources)
    return Design(
        baseline=study.baseline,
        variants=variants,
        seeds=graph.study.seeds,
        categories=categories,
        # Not in the order of `evaluate`: what stands first in a category must not depend on it.
        metrics={
            name: MetricFacts(metric.higher_is_better, metric.unit, metric.version, has_ratio(name))
            for name, metric in METRICS.items()
            if name in present
        },
        planned=planned,
        missing=missing,
        lost=lost,
        chance=chance_levels(done),
        margins=study.margins,
        claims=registered_claims(study, registered),
        pairs={pair: pair_facts(study, graph, windows, *pair, accepted=accepted) for pair in dict.fromkeys(against)},
        ends={name: graph.courses[name].end for name in variants},
        dose=frozenset(
            (category, task)
            for category in ("held-out", "cloze")
            for task in categories.get(category, ())
            if task in trained
        ),
        parameters=parameters(study.model, graph.vocabulary)[0],
    )
