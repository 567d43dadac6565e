"""Claims, judged by docs/decisions.md section 9.

Let the gain be variant − against, turned so that positive is better, and m the margin in raw units. A claim
holds when

    beats: gain − m > 0      not-worse: gain + m > 0      equals: gain + m > 0 and m − gain > 0

A margin in per cent of the baseline makes m = share × (baseline − chance), so each line is a *linear
contrast* of the two scores and is tested as such: exact, without dividing by an estimate. Each contrast has
its own two-way standard error and degrees of freedom, hence a one-sided p; equals takes the larger of its
two. A relative margin does not exist where the baseline is not two standard errors above zero or chance: the
claim is then undecided.

*Supported*: Holm-adjusted p ≤ 2.5%. *Refuted*: the opposite statement's Holm-adjusted p ≤ 2.5% (for equals
the opposite is |gain| > m, with the p of the interval null at its edge). Holm runs over all registered
claims, once per direction; a claim that cannot be tested stays in the family with p = 1, so its size is
fixed at registration. Claims that were not registered in time form their own family and are marked
exploratory. *Equivalent* (beats and not-worse only): the 95% interval lies within ±δ of the study's
margins. Otherwise *undecided*, with the reason. One seed, a missing arm, a mean that lacks a task, arms that
score the same throughout, or a comparison that does not hold what the claim says it holds: undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pretrial.analysis.companions import PERMUTATION_FROM, bootstrap, sign_flip
from pretrial.analysis.data import Design, ItemTable, RegisteredClaim
from pretrial.analysis.distributions import LEVEL
from pretrial.analysis.effects import DESCRIPTIVE, FLAT, MEAN, Finding, Layout, Place, find, lies_within
from pretrial.analysis.multiplicity import holm, holm_levels
from pretrial.analysis.rows import ClaimResult
from pretrial.analysis.sample import Estimate, Sample
from pretrial.analysis.words import amount, percent
from pretrial.study.schema import Claim

ALPHA = 0.025


@dataclass(frozen=True)
class Case:
    """A claim with its comparison, or with the reason why it cannot be tested."""

    entry: RegisteredClaim
    finding: Finding | None
    obstacle: str

    @property
    def claim(self) -> Claim:
        """The claim itself."""
        return self.entry.claim


@dataclass(frozen=True)
class Test:
    """One-sided p of a claim and of its opposite, and what is needed for the bound."""

    p: float
    p_opposite: float
    sides: tuple[tuple[float, Estimate], ...]
    """(sign, contrast): sign +1 bounds the gain from below, −1 from above."""


def place_of(claim: Claim, design: Design, layout: Layout) -> Place | str:
    """Where a claim is tested: the final comparison on its target; or why there is none.

    A category with one task stands for that task.
    """
    target = claim.target
    category = target.category
    if category is None:
        category = next((c for c, tasks in design.categories.items() if target.task in tasks), None)
        if category is None:
            return f"no result for {target.task}"
    available = [metric for c, metric in layout.targets() if c == category]
    if target.task is not None:
        available = [m for m in available if target.task in layout.found(category, m)]
    metric = target.metric if target.metric is not None else next(iter(available), None)
    what = " ".join(filter(None, (category, target.task, f"({target.metric})" if target.metric else None)))
    if metric is None or metric not in available:
        return f"no result for {what}"
    tasks = layout.tasks(category, metric)
    task = target.task or (MEAN if len(tasks) > 1 else tasks[0])
    final = layout.final(claim.variant, claim.against)
    if final is None:
        return f"{claim.variant} or {claim.against} has no result"
    return Place(claim.variant, claim.against, *final, category, task, metric, True)


def prepare(table: ItemTable, design: Design, layout: Layout, known: dict[Place, Finding]) -> list[Case]:
    """Each claim with its comparison; comparisons that are not yet in `known` are made and added."""
    cases = []
    for entry in design.claims:
        place = place_of(entry.claim, design, layout)
        if isinstance(place, str):
            cases.append(Case(entry, None, place))
            continue
        if place not in known:
            known[place] = find(table, design, layout, place)
        cases.append(Case(entry, known[place], _obstacle(entry.claim, design, known[place], layout)))
    return cases


def judge(cases: Sequence[Case], design: Design) -> list[ClaimResult]:
    """Verdicts of all claims, in order."""
    results: dict[int, ClaimResult] = {}
    for registered in (True, False):
        family = [k for k, case in enumerate(cases) if case.entry.registered is registered]
        tests = [None if cases[k].obstacle else _test(cases[k]) for k in family]
        p = [t.p if t else 1.0 for t in tests]
        adjusted, levels = holm(p), holm_levels(p, ALPHA)
        opposite = holm([t.p_opposite if t else 1.0 for t in tests])
        for at, k in enumerate(family):
            results[k] = _result(cases[k], tests[at], adjusted[at], levels[at], opposite[at], design)
    return [results[k] for k in range(len(cases))]


def _obstacle(claim: Claim, design: Design, finding: Finding, layout: Layout) -> str:
    pair = design.pair(claim.variant, claim.against)
    data = finding.sample
    if data is None:
        return "no seed has a result in both arms"
    if not pair.holds:
        return "the comparison is only descriptive" + (f": {pair.reason}" if pair.reason else "")
    if claim.holds is not None and claim.holds not in (pair.holds, *pair.also):
        return f"the claim is at equal {claim.holds}, but the comparison holds {pair.holds} equal"
    if len(data.seeds) == 1:
        return "one seed cannot tell chance from cause"
    if finding.place.task == MEAN:
        named = layout.tasks(finding.place.category, finding.place.metric)
        absent = [t for t in named if t not in layout.tasks_at(finding.place)]
        if absent:
            return f"the mean lacks {', '.join(absent)}"
    if data.same_checkpoint:
        return "both arms end in the same checkpoint"
    plain = data.contrast(1.0)
    if not plain.known:
        return "there is no standard error"
    if plain.flat:
        return f"{FLAT}: both arms score the same on every item in every seed"
    if claim.margin.kind == "relative" and claim.margin.value and not finding.base_above_zero():
        zero = "zero" if finding.chance is None else "chance"
        above = data.base_score + finding.offset > 0
        where = f"within two standard errors of {zero}" if above else f"not above {zero}"
        return f"{claim.against} is {where}: a percentage of it does not exist"
    return ""


def _contrast(data: Sample, claim: Claim, sign: float, offset: float, gain: float, margin: float) -> Estimate:
    """gain·(sign·gain of the variant) + margin·m as an estimate."""
    if claim.margin.kind == "relative":
        return data.contrast(gain * sign, margin * claim.margin.value, offset)
    plain = data.contrast(gain * sign)
    return plain.moved(plain.value + margin * claim.margin.delta(0.0))


def _test(case: Case) -> Test:
    finding, claim = case.finding, case.claim
    if finding is None or finding.sample is None:
        raise ValueError("a claim without a comparison has no test")
    data, offset = finding.sample, finding.offset
    sign = 1.0 if finding.row.higher_is_better else -1.0
    if claim.kind == "equals":
        above = _contrast(data, claim, sign, offset, 1.0, 1.0)
        below = _contrast(data, claim, sign, offset, -1.0, 1.0)
        p = max(above.p_guarded, below.p_guarded)
        # |gain| > m: at the null's edge the estimate may be this far out on its own side or on the other.
        over, under = below.moved(-below.value), above.moved(-above.value)
        outer, inner = (over, under) if over.value >= under.value else (under, over)
        opposite = 1.0
        if outer.value > 0:
            reach = outer.value + 2.0 * _width(finding, claim)
            opposite = min(1.0, outer.p_guarded + inner.moved(reach).p_guarded)
        return Test(p, opposite, ((1.0, above), (-1.0, below)))
    margin = -1.0 if claim.kind == "beats" else 1.0
    positive = _contrast(data, claim, sign, offset, 1.0, margin)
    return Test(positive.p_guarded, positive.moved(-positive.value).p_guarded, ((1.0, positive),))


def _width(finding: Finding, claim: Claim) -> float:
    """The margin in raw units."""
    base = finding.row.base_value
    return claim.margin.delta((base if base is not None else 0.0) + finding.offset)


def _bound(case: Case, test: Test, level: float) -> float | None:
    """The gain's one-sided bound (see `ClaimResult`) in the margin's unit, at confidence 1 − level."""
    finding, claim = case.finding, case.claim
    if finding is None or finding.sample is None:
        raise ValueError("a claim without a comparison has no bound")
    data = finding.sample
    turned = 1.0 if finding.row.higher_is_better else -1.0
    bounds = []
    for side, contrast in test.sides:
        if claim.margin.kind == "relative" and claim.margin.value:
            between = data.ratio_bounds(finding.offset, contrast.guarded_weights(level))
            if between is None:
                return None
            low, high = sorted(turned * end for end in between)
            bounds.append(low if side > 0 else high)
        else:
            plain = data.contrast(turned * side)
            bounds.append(side * plain.guarded_bound(level))
    return max(bounds, key=abs) if claim.kind == "equals" else bounds[0]


def _result(
    case: Case, test: Test | None, adjusted: float, level: float, opposite: float, design: Design
) -> ClaimResult:
    claim, finding = case.claim, case.finding
    row = finding.row if finding is not None else None
    verdict, bound, reason = "undecided", None, case.obstacle
    bootstrap_low = bootstrap_high = flips = None
    relative = claim.margin.kind == "relative" and bool(claim.margin.value)
    if finding is not None and finding.sample is not None and test is not None:
        data = finding.sample
        bound = _bound(case, test, level)
        if adjusted <= ALPHA:
            verdict = "supported"
        elif opposite <= ALPHA:
            verdict = "refuted"
        elif claim.kind != "equals" and lies_within(finding.row, design.margins.get(finding.place.metric)):
            verdict = "equivalent"
        reason = _reason(case, verdict, bound, level, design)
        bootstrap_low, bootstrap_high = bootstrap(data)
        if len(data.seeds) >= PERMUTATION_FROM:
            flips = _flips(case, data)
    exists = finding is not None and row is not None and row.base_value is not None
    margin = None
    if finding is not None and exists and (not relative or finding.base_above_zero()):
        margin = _width(finding, claim)
    return ClaimResult(
        text=claim.text,
        kind=claim.kind,
        variant=claim.variant,
        against=claim.against,
        target=" ".join(filter(None, (claim.target.category, claim.target.task))),
        category=finding.place.category if finding else claim.target.category,
        task=finding.place.task if finding else claim.target.task,
        metric=finding.place.metric if finding else claim.target.metric,
        higher_is_better=row.higher_is_better if row else None,
        margin=margin,
        verdict=verdict,
        estimate=row.absolute if row else None,
        low=row.low if row else None,
        high=row.high if row else None,
        level=LEVEL,
        bound=bound,
        bound_level=1.0 - level if test is not None else None,
        bound_unit="share of the baseline" if relative else "raw",
        p=test.p if test is not None else None,
        p_adjusted=adjusted if test is not None else None,
        bootstrap_low=bootstrap_low,
        bootstrap_high=bootstrap_high,
        sign_flip_p=flips,
        n_seeds=row.n_seeds if row else 0,
        n_items=row.n_items if row else 0,
        holds=row.holds if row else (design.pair(claim.variant, claim.against).holds or DESCRIPTIVE),
        registered=case.entry.registered,
        registration=case.entry.reason,
        reason=reason,
    )


def _flips(case: Case, data: Sample) -> float:
    """One-sided sign-flip p of the claim; for equals the larger of the two sides."""
    finding, claim = case.finding, case.claim
    if finding is None:
        raise ValueError("a claim without a comparison has no seeds")
    sign = 1.0 if finding.row.higher_is_better else -1.0
    sides = {"beats": ((1.0, -1.0),), "not-worse": ((1.0, 1.0),), "equals": ((1.0, 1.0), (-1.0, 1.0))}[claim.kind]
    found = []
    for gain, margin in sides:
        if claim.margin.kind == "relative":
            scores = data.seed_scores(gain * sign, margin * claim.margin.value, finding.offset)
        else:
            scores = data.seed_scores(gain * sign) + margin * claim.margin.delta(0.0)
        found.append(sign_flip(scores, sided=1))
    return max(found)


def _reason(case: Case, verdict: str, bound: float | None, level: float, design: Design) -> str:
    finding, claim = case.finding, case.claim
    if finding is None:
        return case.obstacle
    unit = design.metrics[finding.place.metric].unit
    relative = claim.margin.kind == "relative" and bool(claim.margin.value)

    def shown(gain: float | None) -> str:
        if gain is None:
            return "no bound"
        return percent(gain, signed=True) if relative else amount(gain, unit, signed=True)

    threshold = claim.margin.value if relative else claim.margin.delta(0.0)
    sure = f"at {100 * (1 - level):.4g}% confidence (one-sided, Holm)"
    if claim.kind == "equals":
        size = shown(threshold).lstrip("+")
        if verdict == "supported":
            return f"{sure} the gain lies within ±{size}: its outer bound is {shown(bound)}"
        if verdict == "refuted":
            return f"the gain lies outside ±{size}"
        return f"{sure} the gain reaches {shown(bound)}, which is not within ±{size}"
    needed = shown(threshold if claim.kind == "beats" else -threshold) if threshold else "0"
    if verdict == "supported":
        return f"{sure} the gain is above {shown(bound)}; the claim needs {needed}"
    if verdict == "refuted":
        return f"the gain is below {needed} at 97.5% confidence (one-sided, Holm)"
    if verdict == "equivalent":
        metric = finding.place.metric.replace("_", " ")
        return f"neither supported nor refuted, and the 95% interval lies within the margin for {metric}"
    return f"{sure} the gain is only known to be above {shown(bound)}; the claim needs {needed}"
