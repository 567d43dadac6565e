"""A plan for people and for machines: what will run, what it costs, and what compares with what.

`describe` gives plain data (what `--json` prints); the rest of the rooms render it. Nothing here imports torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from pretrial.plan.controls import Control, control, obstacle
from pretrial.plan.cost import Figure, Forecast
from pretrial.plan.courses import Course, StagePlan
from pretrial.plan.graph import Graph
from pretrial.study import families
from pretrial.study.problems import join
from pretrial.study.units import format_share

Json = dict[str, Any]

BASIS = {
    **dict.fromkeys(
        (
            "tokens", "asked_tokens", "first_token", "last_token", "steps", "warmup_tokens", "lr_first", "lr_last",
            "requested", "realised", "replayed_tokens", "tokens_trained", "tokens_without_sharing",
        ),
        "declared",
    ),
    **dict.fromkeys(("flops", "flops_per_token"), "estimated"),
}  # fmt: skip
"""Where the figures come from that do not say it themselves. Declared: said by the study file, or following from it
exactly."""


def describe(
    graph: Graph,
    forecast: Forecast,
    cached: frozenset[str],
    windows: dict[str, Figure],
    *,
    accepted: frozenset[str] = frozenset(),
    free: int | None = None,
) -> Json:
    """All of a plan as JSON.

    Args:
        graph: the steps.
        forecast: what they cost.
        cached: names of the steps whose output is in the store.
        windows: training windows of each source, measured or estimated, where anything is known.
        accepted: those of the cached that were made under another execution record.
        free: bytes that are free where the store is.
    """
    study = graph.study
    missing = frozenset(graph.steps) - cached
    kinds: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for name, step in graph.steps.items():
        kinds[step.kind] += 1
        kept[step.kind] += name in cached
    variants = [course for name, course in graph.courses.items() if _planned(graph, name)]
    seconds = {
        group: forecast.total(graph, group, missing) for group in ("corpora", "tokens", "training", "evaluation")
    }
    return {
        "study": study.name,
        "question": study.question,
        "resolved": study.resolved(),
        "record": graph.options.record,
        "variants": [_variant(graph, course, windows) for course in variants],
        "sharing": sharing(graph),
        "comparisons": [_control(c) for c in (*controls(graph), *claimed(graph))],
        "claims": [claim.text for claim in study.claims],
        "untestable": untestable(graph),
        "steps": {kind: {"all": kinds[kind], "cached": kept[kind]} for kind in kinds},
        "to_run": sorted(missing),
        "accepted": sorted(accepted),
        "cost": {
            "tokens_trained": forecast.tokens_trained,
            "tokens_without_sharing": forecast.tokens_unshared,
            "flops": forecast.flops_per_token * forecast.tokens_trained,
            "flops_per_token": forecast.flops_per_token,
            "train_tokens_per_second": _figure(forecast.train_speed),
            "forward_tokens_per_second": _figure(forecast.forward_speed),
            "seconds_to_run": {group: _figure(figure) for group, figure in seconds.items()},
            "memory_bytes": _figure(forecast.memory),
            "disk_bytes": _figure(forecast.disk),
            "disk_bytes_to_write": _figure(Figure(forecast.room(missing), "estimated")),
            "disk_bytes_free": _figure(Figure(free, "measured")) if free is not None else None,
        },
        "basis": dict(BASIS),
        "warnings": warnings(graph, windows),
    }


def controls(graph: Graph) -> list[Control]:
    """What every variant's comparison with the baseline holds fixed."""
    study = graph.study
    base = graph.courses[study.baseline]
    return [
        control(course, base, study.context)
        for name, course in graph.courses.items()
        if name != study.baseline and _planned(graph, name)
    ]


def claimed(graph: Graph) -> list[Control]:
    """What the pairs of claims hold fixed, where the comparisons with the baseline do not say it already."""
    study, found = graph.study, controls(graph)
    before = len(found)
    for variant, against in dict.fromkeys((claim.variant, claim.against) for claim in study.claims):
        if not (_planned(graph, variant) and _planned(graph, against)):
            continue
        held = control(graph.courses[variant], graph.courses[against], study.context)
        said = [c for c in found if {c.variant, c.baseline} == {variant, against}]
        if not any(c.variant == variant or c.holds == held.holds for c in said):
            found.append(held)
    return found[before:]


def untestable(graph: Graph) -> dict[str, str]:
    """Claims that can never be tested, and why."""
    study, found = graph.study, {}
    for claim in study.claims:
        if not (_planned(graph, claim.variant) and _planned(graph, claim.against)):
            continue
        mine, theirs = graph.courses[claim.variant], graph.courses[claim.against]
        ends = {graph.checkpoints[course.variant, study.seeds[0], course.end] for course in (mine, theirs)}
        held = control(mine, theirs, study.context)
        judged = replace(claim, holds=claim.holds or study.compare)
        if why := obstacle(judged, held, len(study.seeds), same=len(ends) == 1):
            found[claim.text] = why
    return found


def epochs(graph: Graph, course: Course, windows: Mapping[str, Figure], tokens: int | None = None) -> dict[str, float]:
    """Passes over each source in the first `tokens` tokens, or in all, where its size is known."""
    draws = course.draws(course.end if tokens is None else tokens, graph.study.context)
    return {
        source: count / windows[source].value
        for source, count in draws.items()
        if source in windows and windows[source].value > 0
    }


@dataclass(frozen=True)
class Passes:
    """How often an arm passes over a source's documents.

    Attributes:
        own: drawn as the source itself.
        line: most that some document of it is certainly passed: `own`, with what it is made from and with that line of
            sources made from it that adds most.
        family: a bound for any document of it: also sources that may only have some of its documents.
        also: other sources as which the same documents are drawn.
    """

    own: float
    line: float
    family: float
    also: tuple[str, ...]


def passes(graph: Graph, course: Course, windows: Mapping[str, Figure]) -> dict[str, Passes]:
    """Passes over the documents of each source that an arm draws, or draws parts of, where sizes are known."""
    sources = graph.study.sources
    own = epochs(graph, course, windows)
    drawn = list(dict.fromkeys(at for name in own for at in families.line(sources, name)))
    below: dict[str, list[str]] = {}
    for name in drawn:
        if (parent := sources[name].parent) is not None:
            below.setdefault(parent, []).append(name)

    def deepest(name: str) -> float:
        return own.get(name, 0.0) + max(map(deepest, below.get(name, [])), default=0.0)

    def widest(name: str) -> float:
        return own.get(name, 0.0) + together(below.get(name, []))

    def together(names: Sequence[str]) -> float:
        """Most passes that sources beside each other may add up to: of those that exclude each other, the most."""
        heaps: list[list[str]] = []
        for name in names:
            near = [heap for heap in heaps if any(families.overlap(sources, name, other) for other in heap)]
            heaps = [heap for heap in heaps if heap not in near] + [[name, *(one for heap in near for one in heap)]]
        return max((sum(map(widest, heap)) for heap in heaps), default=0.0)

    found: dict[str, Passes] = {}
    for name in drawn:
        also = tuple(other for other in own if other != name and own[other] and families.overlap(sources, name, other))
        line, family = deepest(name), widest(name)
        at = name
        for above in families.line(sources, name)[1:]:
            beside = [one for one in below[above] if one != at and families.overlap(sources, name, one)]
            line += own.get(above, 0.0)
            family += own.get(above, 0.0) + together(beside)
            at = above
        found[name] = Passes(own.get(name, 0.0), line, family, also)
    return found


def repeated(graph: Graph, variant: str, base: str, windows: dict[str, Figure]) -> list[str]:
    """Sources whose passes differ between two variants and exceed one in either."""
    mine = epochs(graph, graph.courses[variant], windows)
    theirs = epochs(graph, graph.courses[base], windows)
    return [
        source
        for source in dict.fromkeys([*theirs, *mine])
        if max(mine.get(source, 0.0), theirs.get(source, 0.0)) > 1
        and abs(mine.get(source, 0.0) - theirs.get(source, 0.0)) > 1e-9
    ]


def warnings(graph: Graph, windows: Mapping[str, Figure]) -> list[str]:
    """What a careful reader of the plan would say aloud."""
    study, found = graph.study, list(graph.study.warnings)
    for name, course in graph.courses.items():
        if not _planned(graph, name):
            continue
        counted = passes(graph, course, windows)
        for source, count in counted.items():
            cap = study.epochs_cap.get(source)
            known = [windows[one].basis for one in (source, *count.also) if one in windows]
            about = "about " if "estimated" in known else ""
            said = f"{name} passes {about}{count.own:.1f} times over {source}"
            if count.also:
                said = (
                    f"{name} passes {'up to ' if count.family > count.line else about}{count.family:.1f} times over "
                    f"documents of {source}, which are also drawn as {join(count.also)}"
                )
            if cap is not None and count.family > cap:
                found.append(f"{said}; the study caps it at {cap:g} epochs")
            elif count.family > 4 and (count.own > 4 or _first(source, count)):
                found.append(f"{said}; above 4 a repeat is worth less than new text")
            elif count.also and _first(source, count):
                found.append(said)
        found += _also_drawn(graph, course, counted)
        for source, tokens in replay(graph, course).items():
            found.append(f"REPLAY: {name} sees {tokens:,} tokens of {source} again, since carry leaves out data")
    return found


def _first(source: str, count: Passes) -> bool:
    """Whether what is said of documents that are drawn as several sources is said under this one."""
    return count.own > 0 and source == min((*count.also, source))


def _also_drawn(graph: Graph, course: Course, known: Mapping[str, Passes]) -> list[str]:
    """Sources of an arm that may have the same documents, where it is not known yet how many."""
    context = graph.study.context
    drawn = [name for name, count in course.draws(course.end, context).items() if count]
    return [
        f"{course.variant} draws the same documents as {one!r} and as {other!r}: its passes over them add up"
        for one, other in combinations(drawn, 2)
        if not {one, other} <= set(known) and families.overlap(graph.study.sources, one, other)
    ]


def replay(graph: Graph, course: Course) -> dict[str, int]:
    """Tokens that a variant reads a second time since a stage starts its sources anew."""
    context = graph.study.context
    reach, draws = course.reach(course.end, context), course.draws(course.end, context)
    return {s: (draws[s] - reach[s]) * context for s in draws if draws[s] > reach.get(s, 0)}


def sharing(graph: Graph) -> list[Json]:
    """The training steps of one seed as a tree: from where to where, for which variants, whether shared."""
    seed = graph.study.seeds[0]
    users: dict[str, list[str]] = {}
    for variant, course in graph.courses.items():
        # From a variant's end back: what it passes through is its own, whoever asked for the checkpoint there.
        step: str | None = graph.checkpoints.get((variant, seed, course.end))
        while step is not None:
            users.setdefault(step, []).append(variant)
            step = graph.steps[step].inputs.get("parent")
    return [
        {
            "step": step,
            "from": graph.steps[step].about["from"],
            "to": graph.steps[step].about["tokens"],
            "parent": graph.steps[step].inputs.get("parent"),
            "variants": variants,
        }
        for step, variants in users.items()
    ]


def _planned(graph: Graph, variant: str) -> bool:
    return any(mark.variant == variant for mark in graph.marks)


def _figure(figure: Figure) -> Json:
    return {"value": figure.value, "basis": figure.basis}


def describe_stage(graph: Graph, course: Course, stage: StagePlan) -> Json:
    """One stage of one variant."""
    return {
        "stage": stage.name,
        "first_token": stage.first,
        "last_token": stage.last,
        "asked_tokens": stage.asked,
        "tokens": stage.tokens,
        "steps": stage.steps,
        "mixture": stage.mixture,
        "requested": {s: format_share(x) for s, x in stage.shares.items()},
        "realised": _realised(graph, course, stage),
        "lr_first": stage.lr_first,
        "lr_last": stage.lr_last,
        "warmup_tokens": _warmup(stage),
        "cooldown": stage.cooldown,
        "inherited_from": stage.inherited_from,
        "shared_with": _shared_with(graph, course, stage),
    }


def _variant(graph: Graph, course: Course, windows: Mapping[str, Figure]) -> Json:
    def passes(tokens: int) -> Json:
        return {
            source: {"value": value, "basis": windows[source].basis}
            for source, value in epochs(graph, course, windows, tokens).items()
        }

    return {
        "variant": course.variant,
        "tokens": course.end,
        # As in the ledger: from the variant's start to the end of the stage.
        "stages": [{**describe_stage(graph, course, stage), "epochs": passes(stage.last)} for stage in course.stages],
        "epochs": passes(course.end),
        "replayed_tokens": replay(graph, course),
    }


def _shared_with(graph: Graph, course: Course, stage: StagePlan) -> list[str]:
    seed = graph.study.seeds[0]
    step = graph.checkpoints.get((course.variant, seed, stage.last))
    return [
        variant
        for (variant, s, _), other in graph.checkpoints.items()
        if s == seed and other == step and variant != course.variant
    ]


def _realised(graph: Graph, course: Course, stage: StagePlan) -> dict[str, float]:
    context = graph.study.context
    before, after = course.draws(stage.first, context), course.draws(stage.last, context)
    counts = {s: after.get(s, 0) - before.get(s, 0) for s in stage.shares}
    total = sum(counts.values())
    return {source: count / total for source, count in counts.items()}


def _warmup(stage: StagePlan) -> int:
    """Tokens of warm-up inside the stage."""
    return sum(
        max(0, min(piece.start + piece.warmup, stage.last) - max(piece.start, stage.first)) for piece in stage.pieces
    )


def _control(found: Control) -> Json:
    return {
        "variant": found.variant,
        "baseline": found.baseline,
        "holds": list(found.holds),
        "descriptive": not found.holds,
        "why_not": list(found.reasons),
        "differs": list(found.differs),
    }
