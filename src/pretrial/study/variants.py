"""Variants: stages in a line that may branch from another variant's, their schedules, and what they hand over.

Guarantees: variants branch at whole steps and in no circle; stages and schedules have steps enough to say something
and fit into their horizons; cooldowns come last. All else is a problem with its key.

Does not: know what a mixture is made of but its shares, or work out learning rates.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from pretrial.study.form import ScheduleForm, StageForm, StudyForm
from pretrial.study.problems import Problems, did_you_mean
from pretrial.study.schema import Carry, Clock, Schedule, Stage, Variant
from pretrial.study.units import format_share

LEAST_STAGE_STEPS = 100
LEAST_WARMUP_STEPS = 20
_ALL_CARRY: frozenset[Carry] = frozenset({"weights", "optimizer", "data"})


def resolve_variants(form: StudyForm, batch: int, problems: Problems) -> dict[str, Variant]:
    """The variants of a form. Raises `RequestError` where stages or parents are wrong: branch points need them."""
    variants: dict[str, Variant] = {}
    for name, items in form.variants.items():
        path = f"variants.{name}"
        start: tuple[str, int | None] | None = None
        stages: list[Stage] = []
        for i, item in enumerate(items):
            at = f"{path}.{i}"
            if item.from_ is not None:
                if i:
                    problems.add(f"{at}.from", "only a variant's first item says where it branches")
                else:
                    start = _branch(item.from_, f"{at}.from", form, problems)
            if not item.branches_only:
                stages.append(_stage(item, str(len(stages) + 1), at, form, problems))
        if not stages:
            problems.add(
                path,
                "the variant has no stage of its own",
                "add a stage, or evaluate its parent `at` that token",
            )
        names = [stage.name for stage in stages]
        for twice in sorted({one for one in names if names.count(one) > 1}):
            problems.add(path, f"two stages are called {twice!r}", "give them different names")
        variants[name] = Variant(start, tuple(stages))
    problems.check()
    _check_branches(variants, batch, problems)
    return variants


def _branch(text: str, path: str, form: StudyForm, problems: Problems) -> tuple[str, int | None] | None:
    from pretrial.study.units import parse_tokens

    if text in form.variants:
        return text, None
    parent, at, amount = text.rpartition("@")
    if not at:
        parent = text
    if parent not in form.variants:
        problems.add(path, f"no variant is called {parent!r}", did_you_mean(parent, form.variants))
        return None
    try:
        return parent, parse_tokens(amount)
    except ValueError as error:
        problems.add(path, str(error))
        return None


def _stage(item: StageForm, name: str, path: str, form: StudyForm, problems: Problems) -> Stage:
    mixture = item.mixture or ""
    if mixture not in form.mixtures:
        problems.add(f"{path}.mixture", f"no mixture is called {mixture!r}", did_you_mean(mixture, form.mixtures))
    cooldown = item.cooldown is not None
    clock = form.training.schedule.clock or "variant"
    if item.lr is not None and not cooldown and item.schedule is None and clock == "variant":
        problems.add(
            f"{path}.lr",
            "the learning rate runs on the variant's clock, so a stage has none of its own",
            "give the stage a schedule of its own, or the study `clock: stage`",
        )
    floor = item.floor
    if cooldown and floor is None:
        floor = 0.0
    return Stage(
        name=item.name or name,
        tokens=item.cooldown if item.cooldown is not None else item.tokens or 0,
        mixture=mixture,
        cooldown=cooldown,
        floor=floor,
        lr=item.lr,
        schedule=resolve_schedule(item.schedule, "stage") if item.schedule is not None else None,
        line=problems.marks.get(path, 0),
    )


def resolve_schedule(form: ScheduleForm, clock: Clock) -> Schedule:
    """The schedule of a form; `clock` where it says none."""
    clock = form.clock or clock
    if form.linear is not None:
        return Schedule("linear", form.linear.warmup, form.linear.floor, None, clock)
    if form.cosine is not None:
        return Schedule("cosine", form.cosine.warmup, form.cosine.floor, None, clock)
    if form.warmup_stable_decay is not None:
        stable = form.warmup_stable_decay
        return Schedule("warmup-stable-decay", stable.warmup, stable.floor, stable.decay, clock)
    assert form.constant is not None
    return Schedule("constant", form.constant.warmup, 1.0, None, clock)


def _check_branches(variants: Mapping[str, Variant], batch: int, problems: Problems) -> None:
    """Cycles, and branch points that are no step of the parent."""
    ends: dict[str, int] = {}
    cyclic: set[str] = set()

    def end(name: str, below: tuple[str, ...]) -> int | None:
        if name in ends:
            return ends[name]
        if name in below:
            cycle = below[below.index(name) :]
            if not cyclic.intersection(cycle):
                problems.add(
                    f"variants.{cycle[0]}.0.from",
                    "variants branch in a circle: " + " from ".join([*cycle, name]),
                )
            cyclic.update(cycle)
            return None
        variant = variants[name]
        start = 0
        if variant.start is not None:
            parent, tokens = variant.start
            limit = end(parent, (*below, name))
            if limit is None:
                return None
            start = limit if tokens is None else tokens
            path = f"variants.{name}.0.from"
            if start == 0 or start % batch:
                lower, upper = start // batch * batch, (start // batch + 1) * batch
                problems.add(
                    path,
                    f"@{start} is not a step boundary: a step is {batch:,} tokens",
                    f"write @{upper}" if lower == 0 else f"write @{lower} or @{upper}",
                )
            elif start > limit:
                problems.add(
                    path,
                    f"@{start} is beyond the end of {parent!r}, {limit:,} tokens",
                    f"write @{limit} or less",
                )
        ends[name] = start + sum(stage.steps(batch) * batch for stage in variant.stages)
        return ends[name]

    for name in variants:
        end(name, ())


@dataclass(frozen=True)
class Span:
    """A stretch of a variant's whole line, inherited ones included: tokens, stage, whose it is and which."""

    first: int
    last: int
    stage: Stage
    owner: str
    index: int


def line_of(name: str, variants: Mapping[str, Variant], batch: int) -> list[Span]:
    """A variant's stages from token 0 on, those of its ancestors cut at the branch."""
    variant = variants[name]
    spans: list[Span] = []
    at = 0
    if variant.start is not None:
        parent, tokens = variant.start
        inherited = line_of(parent, variants, batch)
        at = inherited[-1].last if tokens is None else tokens
        spans = [
            Span(span.first, min(span.last, at), span.stage, span.owner, span.index)
            for span in inherited
            if span.first < at
        ]
    for i, stage in enumerate(variant.stages):
        last = at + stage.steps(batch) * batch
        spans.append(Span(at, last, stage, name, i))
        at = last
    return spans


def _item(form: StudyForm, variant: str, index: int) -> str:
    """Dotted key of a variant's n-th stage: a leading item that only branches is none."""
    offset = 1 if form.variants[variant][0].branches_only else 0
    return f"variants.{variant}.{index + offset}"


def check_stages(
    form: StudyForm,
    mixtures: Mapping[str, Mapping[str, Fraction]],
    variants: Mapping[str, Variant],
    schedule: Schedule,
    problems: Problems,
) -> None:
    """What concerns a stage alone: steps enough for each source of its mixture, and for the warm-up."""
    batch, context = form.training.batch, form.context
    for name, variant in variants.items():
        for i, stage in enumerate(variant.stages):
            path = _item(form, name, i)
            steps = stage.steps(batch)
            if steps == 0:
                problems.add(path, f"{stage.tokens:,} tokens are less than one step of {batch:,}")
                continue
            if steps < LEAST_STAGE_STEPS and not form.smoke:
                problems.add(
                    path,
                    f"the stage has {steps} steps; below {LEAST_STAGE_STEPS} the result says little",
                    f"give it {LEAST_STAGE_STEPS * batch:,} tokens, take a smaller batch, or say `smoke: true`",
                )
            sequences = steps * batch // context
            little = {source: x for source, x in mixtures[stage.mixture].items() if x * sequences < 1}
            if little:
                few = [f"{format_share(share)} of {source!r}" for source, share in list(little.items())[:3]]
                more = f" and {len(little) - len(few)} more" if len(little) > len(few) else ""
                enough = math.ceil(1 / min(little.values()))
                problems.add(
                    path,
                    f"{', '.join(few)}{more} rounds to nothing: the stage has {sequences:,} sequences",
                    f"give the stage {-(-enough * context // batch) * batch:,} tokens, raise the share, or leave the "
                    "source out",
                )
            own = stage.schedule
            if own is not None:
                _check_warmup(own, steps * batch, batch, f"{path}.schedule", form, problems)
            elif schedule.clock == "stage" and not stage.cooldown:
                _check_ramp(schedule, steps * batch, path, problems)
    _check_warmup(schedule, None, batch, "training.schedule", form, problems)


def _check_warmup(
    schedule: Schedule, horizon: int | None, batch: int, path: str, form: StudyForm, problems: Problems
) -> None:
    at = f"{path}.{schedule.kind}.warmup"
    steps = schedule.warmup_tokens / batch
    bare = schedule.kind == "constant" and schedule.warmup_tokens == 0
    if steps < LEAST_WARMUP_STEPS and not bare and not form.smoke:
        problems.add(
            at,
            f"the warm-up has {steps:g} steps; at least {LEAST_WARMUP_STEPS} are needed",
            f"write {LEAST_WARMUP_STEPS * batch} tokens or more, or say `smoke: true`",
        )
    if horizon is not None:
        _check_ramp(schedule, horizon, at, problems)


def _check_ramp(schedule: Schedule, horizon: int, path: str, problems: Problems) -> None:
    """Warm-up and decay must fit before the horizon."""
    warmup, decay = schedule.warmup_tokens, schedule.decay_tokens or 0
    if warmup > horizon or (warmup == horizon and schedule.kind != "constant"):
        problems.add(path, f"the warm-up of {warmup:,} tokens leaves nothing of a horizon of {horizon:,}")
    elif warmup + decay > horizon:
        problems.add(path, f"warm-up and decay take {warmup + decay:,} tokens of a horizon of {horizon:,}")


def check_lines(form: StudyForm, lines: Mapping[str, list[Span]], schedule: Schedule, problems: Problems) -> None:
    """What concerns a variant from its first token on: cooldowns come last, schedules fit, restarts agree."""
    restarts: dict[str, set[int]] = {}
    ends: dict[str, int] = {}
    for name, spans in lines.items():
        for before, after in itertools.pairwise(spans):
            if before.stage.cooldown and not after.stage.cooldown and after.owner == name:
                problems.add(
                    _item(form, name, after.index),
                    f"pre-training cannot go on after the cooldown {before.stage.name!r}",
                    "branch from a token before the cooldown",
                )
        pretraining = [span for span in spans if not span.stage.cooldown]
        if not pretraining:
            problems.add(_item(form, name, 0), "a cooldown needs a stage before it", "branch from one with `from`")
            continue
        horizon = pretraining[-1].last
        own = any(span.owner == name and span.stage.schedule is None for span in pretraining)
        if schedule.clock == "variant" and own:
            _check_ramp(schedule, horizon, f"variants.{name}", problems)
        restarts[name] = {span.first for span in pretraining}
        ends[name] = horizon
    if schedule.clock == "stage":
        base = form.baseline
        for name in ends:
            if base in ends and name != base:
                shared = min(ends[name], ends[base])
                mine, theirs = ({at for at in restarts[one] if at < shared} for one in (name, base))
                if mine != theirs:
                    odd = min(mine ^ theirs)
                    problems.add(
                        f"variants.{name}",
                        f"with `clock: stage` every arm restarts at the same tokens, but {name!r} and "
                        f"{base!r} "
                        f"differ at {odd:,}",
                        "give them the same stage boundaries, or take `clock: variant`",
                    )


def resolve_carry(form: StudyForm, variants: Mapping[str, Variant], problems: Problems) -> frozenset[Carry]:
    """What stages hand over: it has no default where any does."""
    handed = [name for name, variant in variants.items() if len(variant.stages) > 1 or variant.start is not None]
    if form.carry is None:
        if handed:
            problems.add(
                "carry",
                f"carry is missing: {handed[0]!r} hands over from stage to stage, and what it hands over "
                "has no default",
                "write carry: [weights, optimizer, data], or less on purpose",
            )
        return _ALL_CARRY
    if len(set(form.carry)) < len(form.carry):
        problems.add("carry", "something is listed twice")
    if "weights" not in form.carry:
        problems.add("carry", "carry without weights would start every stage from scratch", "add weights")
    return frozenset(form.carry)
