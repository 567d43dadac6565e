"""Which comparisons are matched, and in what: read off the courses, by machine.

`compute`: both arms train the same tokens at the same boundaries under the same learning rate. `text`: both give
the baseline's sources the same tokens in as many passes (the additive design). `order`: both spend the same tokens
on the same sources and differ in when. A comparison that holds none of them is descriptive, and says why.
"""

from __future__ import annotations

from dataclasses import dataclass

from pretrial.plan.courses import Course
from pretrial.study.schema import Claim


@dataclass(frozen=True)
class Control:
    """What a comparison of `variant` with `baseline` holds fixed, and why not the rest."""

    variant: str
    baseline: str
    holds: tuple[str, ...]
    reasons: tuple[str, ...]
    differs: tuple[str, ...]


def control(variant: Course, baseline: Course, context: int) -> Control:
    """Compare two courses. Both stem from one study, so model, tokenizer, batch, optimizer and seeds are equal."""
    holds: list[str] = []
    reasons: list[str] = []
    schedule = _schedule_difference(variant, baseline)
    if schedule is None:
        holds.append("compute")
    else:
        reasons.append(f"not at equal compute: {schedule}")
    spent, base_spent = variant.draws(variant.end, context), baseline.draws(baseline.end, context)
    changed = [
        f"{source}: {spent.get(source, 0) * context:,} against {base_spent.get(source, 0) * context:,} tokens"
        for source in dict.fromkeys([*base_spent, *spent])
        if spent.get(source, 0) != base_spent.get(source, 0)
    ]
    text = [source for source in base_spent if spent.get(source, 0) != base_spent[source]]
    if not text:
        holds.append("text")
    else:
        reasons.append(f"not at equal text: {', '.join(text)} gets other token counts than in the baseline")
    if not changed and schedule is None:
        holds.append("order")
    else:
        reasons.append("not the same data in another order")
    differs = list(changed)
    for mine, theirs in zip(variant.stages, baseline.stages, strict=False):
        if dict(mine.shares) != dict(theirs.shares):
            differs.append(f"stage {mine.name} trains {mine.mixture} instead of {theirs.mixture}")
    if len(variant.stages) != len(baseline.stages):
        differs.append(f"{len(variant.stages)} stages against {len(baseline.stages)}")
    if schedule is not None:
        differs.append(schedule)
    return Control(variant.variant, baseline.variant, tuple(holds), tuple(reasons), tuple(differs))


def obstacle(claim: Claim, held: Control, seeds: int, *, same: bool) -> str:
    """Why a claim can never be tested, whatever comes out; empty where it can.

    `held` is what its pair holds equal; `same`, whether both arms end in the same checkpoint.
    """
    if same:
        return "both arms end in the same checkpoint"
    if not held.holds:
        return f"the comparison is only descriptive: {'; '.join(held.reasons)}"
    if claim.holds is not None and claim.holds not in held.holds:
        return f"it is at equal {claim.holds}, and the comparison is matched at equal {', '.join(held.holds)} only"
    if seeds == 1:
        return "one seed cannot tell chance from cause"
    return ""


def _schedule_difference(variant: Course, baseline: Course) -> str | None:
    if variant.end != baseline.end:
        return f"{variant.end:,} tokens in all against {baseline.end:,}"
    ends = [stage.last for stage in variant.stages], [stage.last for stage in baseline.stages]
    if ends[0] != ends[1]:
        return "its stages end at other tokens"
    for mine, theirs in zip(variant.stages, baseline.stages, strict=True):
        if mine.pieces != theirs.pieces:
            return f"stage {mine.name} has another learning rate"
    return None
