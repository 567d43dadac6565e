"""Every variant against its baseline: per task, category mean and metric, at every point both arms have.

Points are matched on tokens. The *final* comparison of a pair is at the variant's end if the baseline has a
checkpoint there, and end against end where it has none or where the pair holds text fixed (then the totals
differ on purpose); a difference of the ends is flagged. A category's mean is its own row where the category
has at least two tasks with the metric, by plan or in fact; different metrics are never averaged.

Verdict of a row: better or worse when the adjusted two-sided p is at most 5% (so the 95% interval excludes
zero); equivalent when the 95% interval lies within ±δ; else undecided. Always undecided: one seed; a mean that
lacks a task of its category; arms that score the same on every item in every seed (a floor or a ceiling), where
nothing varies and nothing is known of a difference. The adjustment is Benjamini and Hochberg's over the
exploratory rows of one family. Families: all final comparisons of the study; and, for points before the end, all
comparisons at the same token count. Rows of registered claims leave them and form a family of Holm's. `p` agrees
with the interval; `p_adjusted` is made of guarded p-values (`variance`), which keep their rate far out in the
tail, so it can exceed `p` in a family of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pretrial.analysis.companions import PERMUTATION_FROM, sign_flip
from pretrial.analysis.data import CellKey, Design, ItemTable
from pretrial.analysis.distributions import LEVEL, smallest_detectable
from pretrial.analysis.multiplicity import benjamini_hochberg, holm
from pretrial.analysis.rows import Comparison
from pretrial.analysis.sample import Estimate, Sample, sample
from pretrial.study.schema import Margin

MEAN = "mean"
DESCRIPTIVE = "descriptive"
LACKS = "mean without "
"""Flag of a category's mean: the task that it lacks follows."""
FLAT = "nothing varies"
"""Flag of a row whose arms score the same on every item in every seed; for a mean, "… in TASK" for a part of it."""
ONE_ITEM, ONE_CLUSTER = "one item", "one cluster"
"""Flags of a task with a single item, or with items of a single document or group; "… in TASK" for a mean."""
ALPHA = 1.0 - LEVEL


@dataclass(frozen=True)
class Place:
    """Where two arms are compared: their names and token counts, the target, and whether this is the end."""

    variant: str
    base: str
    tokens: int
    base_tokens: int
    category: str
    task: str
    metric: str
    final: bool


@dataclass(frozen=True)
class Finding:
    """One comparison before adjustment: the row without p_adjusted and verdict, and its sample."""

    place: Place
    row: Comparison
    sample: Sample | None
    chance: float | None

    @property
    def offset(self) -> float:
        """What is added to the base's score before a ratio is taken: minus the chance level."""
        return -(self.chance or 0.0)

    def base_above_zero(self) -> bool:
        """Whether the base less chance is two standard errors above zero, so that ratios to it exist."""
        return self.sample is not None and _above_chance(self.sample.contrast(0.0, 1.0, self.offset))

    @property
    def tested(self) -> bool:
        """Whether the comparison gets an adjusted p and a verdict."""
        return self.row.p is not None and _whole(self.row)


class Layout:
    """What the table holds where: points of each arm, and the tasks of a category that have a metric."""

    def __init__(self, table: ItemTable, design: Design) -> None:
        self._points: dict[str, set[int]] = {}
        self._tasks: dict[tuple[str, str], set[str]] = {}
        self._at: dict[tuple[str, int, str, str], set[str]] = {}
        for key in table.cells:
            self._points.setdefault(key.variant, set()).add(key.tokens)
            self._tasks.setdefault((key.category, key.metric), set()).add(key.task)
            self._at.setdefault((key.variant, key.tokens, key.category, key.metric), set()).add(key.task)
        self._design = design
        for category, metric in self._tasks:
            if metric not in design.metrics:
                raise ValueError(f"nothing is known about the metric {metric!r} of {category}")

    def points(self, variant: str) -> set[int]:
        """Token counts at which an arm was evaluated."""
        return self._points.get(variant, set())

    def end(self, variant: str) -> int | None:
        """Token count of a variant's end."""
        if variant in self._design.ends:
            return self._design.ends[variant]
        return max(self.points(variant), default=None)

    def found(self, category: str, metric: str) -> set[str]:
        """Tasks of a category that have a metric anywhere in the study."""
        return self._tasks.get((category, metric), set())

    def tasks(self, category: str, metric: str) -> tuple[str, ...]:
        """All tasks of a category that should have a metric, or have it, in the category's order."""
        named = self._design.categories.get(category, ())
        found = self.found(category, metric)
        planned = {t for t in named if metric in self._design.planned.get((category, t), ())}
        return (*(t for t in named if t in found | planned), *sorted(found - set(named)))

    def tasks_at(self, place: Place) -> tuple[str, ...]:
        """Those of them that both arms have at a place; all that one arm has where the other has none."""
        own, other = self._have(place)
        have = own & other if own and other else own | other
        return tuple(t for t in self.tasks(place.category, place.metric) if t in have)

    def _have(self, place: Place) -> tuple[set[str], set[str]]:
        """Tasks that each arm has at a place."""
        return (
            self._at.get((place.variant, place.tokens, place.category, place.metric), set()),
            self._at.get((place.base, place.base_tokens, place.category, place.metric), set()),
        )

    def targets(self) -> list[tuple[str, str]]:
        """(category, metric) in the order of the design."""
        categories = [*self._design.categories]
        metrics = [*self._design.metrics]

        def rank(target: tuple[str, str]) -> tuple[int, str, int]:
            category, metric = target
            place = categories.index(category) if category in categories else len(categories)
            return place, category, metrics.index(metric)

        return sorted(self._tasks, key=rank)

    def final(self, variant: str, base: str) -> tuple[int, int] | None:
        """Token counts of the final comparison of two arms (see the module's text)."""
        end, base_end = self.end(variant), self.end(base)
        # An arm without any result is compared where the other ends, so that its rows name what is missing.
        end, base_end = (base_end if end is None else end), (end if base_end is None else base_end)
        if end is None or base_end is None:
            return None
        matched = end == base_end or (self._design.pair(variant, base).holds != "text" and end in self.points(base))
        return (end, end) if matched else (end, base_end)

    def places(self, variant: str, base: str) -> list[Place]:
        """All places at which two arms are compared, by tokens, then category (mean first), task, metric."""
        final = self.final(variant, base)
        both = self.points(variant) & self.points(base)
        counts = {(t, t) for t in both if final is None or t < final[0]}
        if final is not None:
            counts.add(final)
        made = []
        for tokens, base_tokens in sorted(counts):
            for category, metric in self.targets():
                mean = Place(variant, base, tokens, base_tokens, category, MEAN, metric, (tokens, base_tokens) == final)
                tasks = self.tasks_at(mean)
                if mean.final:
                    # A task that one arm lacks at the end has its row too, which names what is missing.
                    own, other = self._have(mean)
                    tasks = tuple(t for t in self.tasks(category, metric) if t in own | other)
                if len(self.tasks(category, metric)) > 1 and tasks:
                    made.append(mean)
                made += [replace(mean, task=task) for task in tasks]
        return made


def find(table: ItemTable, design: Design, layout: Layout, place: Place) -> Finding:
    """Compare two arms at one place."""
    facts = design.metrics[place.metric]
    tasks = layout.tasks_at(place) if place.task == MEAN else (place.task,)
    chances = [design.chance.get((task, place.metric)) for task in tasks]
    known = [c for c in chances if c is not None]
    chance = sum(known) / len(known) if known and len(known) == len(chances) else None
    pair = design.pair(place.variant, place.base)
    data = sample(
        table,
        (place.variant, place.tokens),
        (place.base, place.base_tokens),
        place.category,
        tasks,
        place.metric,
        design.seeds,
    )
    flags = [*pair.flags]
    if not pair.holds:
        flags.append(f"descriptive: {pair.reason}" if pair.reason else DESCRIPTIVE)
    flags += _ends(layout, place)
    flags += _missing(table, design, place, tasks, data)
    if place.task == MEAN:
        flags += [LACKS + t for t in layout.tasks(place.category, place.metric) if t not in tasks]
    if any((place.category, task) in design.dose for task in tasks):
        flags.append("dose check")
    if data is not None:
        flags += _thin(place, tasks, data)
    stage = table.stages.get((place.variant, place.tokens), "")
    row = Comparison(
        variant=place.variant,
        baseline=place.base,
        stage=stage,
        tokens=place.tokens,
        category=place.category,
        task=place.task,
        metric=place.metric,
        higher_is_better=facts.higher_is_better,
        base_value=None,
        value=None,
        absolute=None,
        low=None,
        high=None,
        se=None,
        df=None,
        level=LEVEL,
        relative=None,
        relative_low=None,
        relative_high=None,
        p=None,
        p_adjusted=None,
        mde=None,
        delta=None,
        n_items=0,
        n_seeds=0,
        method="none",
        holds=pair.holds or DESCRIPTIVE,
        flags=tuple(flags),
        verdict="undecided",
    )
    if data is None:
        return Finding(place, row, None, chance)
    margin = design.margins.get(place.metric)
    return Finding(place, _measured(row, data, chance, margin, ratio=facts.ratio), data, chance)


def _thin(place: Place, tasks: Sequence[str], data: Sample) -> list[str]:
    """Flags of tasks whose items say little: one item or one cluster, or the same score of both arms throughout."""
    flags = []
    throughout = data.contrast(1.0).flat
    if throughout and not data.same_checkpoint:
        flags.append(FLAT)
    for task, sums in zip(tasks, data.tasks, strict=True):
        where = f" in {task}" if place.task == MEAN else ""
        if len(sums.clusters) == 1:
            flags.append((ONE_ITEM if sums.items == 1 else ONE_CLUSTER) + where)
        if sums.flat and not throughout:
            flags.append(FLAT + where)
    return flags


def _measured(row: Comparison, data: Sample, chance: float | None, margin: Margin | None, *, ratio: bool) -> Comparison:
    plain = data.contrast(1.0)
    offset = -(chance or 0.0)
    flags = list(row.flags)
    if data.items_left_out:
        flags.append(f"{data.items_left_out} items that not all seeds of both arms share are left out")
    if len(data.seeds) == 1:
        flags.append("one seed")
    if data.same_checkpoint:
        flags.append("same checkpoint")
    base = data.contrast(0.0, 1.0, offset)
    ratio_exists = ratio and _above_chance(base)
    if chance is not None and not _above_chance(base):
        other = data.contrast(1.0, 1.0, offset)
        flags.append("base at chance" if _above_chance(other) else "both at chance")
    # The same model on both sides is known to differ by nothing; arms that only score the same are not.
    known = plain.known and (data.same_checkpoint or not plain.flat)
    relative = low = high = None
    if ratio_exists and known:
        between = data.ratio(offset, plain)
        if between is not None:
            relative, (low, high) = plain.value / base.value, between
    half = plain.half if known else None
    several = len(data.seeds) > 1
    delta = None
    if margin is not None and (margin.kind != "relative" or ratio_exists):
        delta = margin.delta(base.value)
    tested = several and known and not data.same_checkpoint
    return replace(
        row,
        base_value=data.base_score,
        value=data.variant_score,
        absolute=plain.value,
        low=plain.value - half if half is not None else None,
        high=plain.value + half if half is not None else None,
        se=plain.se if known else None,
        df=plain.df if known else None,
        relative=relative,
        relative_low=low,
        relative_high=high,
        p=two_sided(plain.p_positive) if tested else None,
        mde=smallest_detectable(plain.se, plain.df) if tested else None,
        delta=delta,
        n_items=data.n_items,
        n_seeds=len(data.seeds),
        method=_method(data, plain, known=known),
        flags=tuple(flags),
    )


def two_sided(one_sided: float) -> float:
    """Two-sided p of "no difference" from the one-sided p."""
    return min(1.0, 2.0 * min(one_sided, 1.0 - one_sided))


def settle(findings: Sequence[Finding], design: Design, claimed: Mapping[Place, Sequence[str]]) -> list[Comparison]:
    """Rows with adjusted p and verdict, in the order given. `claimed`: registered claims by place."""
    families: dict[str | int, list[int]] = {}
    for k, finding in enumerate(findings):
        if not finding.tested:
            continue
        place = finding.place
        family = "claims" if claimed.get(place) else "final" if place.final else place.tokens
        families.setdefault(family, []).append(k)
    adjusted: dict[int, float] = {}
    for family, members in families.items():
        p = [guarded_p(findings[k]) for k in members]
        method = holm if family == "claims" else benjamini_hochberg
        adjusted.update(zip(members, method(p), strict=True))
    return [
        _verdict(finding, adjusted.get(k), design.margins.get(finding.place.metric), finding.place in claimed)
        for k, finding in enumerate(findings)
    ]


def guarded_p(finding: Finding) -> float:
    """Two-sided p that keeps its rate far out in the tail, where corrections for many comparisons work."""
    if finding.sample is None or finding.row.p is None:
        raise ValueError("a comparison without a test has no p")
    return two_sided(finding.sample.contrast(1.0).p_guarded)


def _verdict(finding: Finding, p_adjusted: float | None, margin: Margin | None, registered: bool) -> Comparison:
    row = finding.row
    flags = [*row.flags] if registered else [*row.flags, "exploratory"]
    verdict = "undecided"
    within = _whole(row) and row.n_seeds > 1 and lies_within(row, margin)
    if p_adjusted is not None and row.absolute is not None and p_adjusted <= ALPHA:
        verdict = "better" if (row.absolute > 0) == row.higher_is_better else "worse"
        if within:
            flags.append("within δ")
    elif within:
        verdict = "equivalent"
    elif _whole(row) and row.p is not None and row.p <= ALPHA:
        flags.append("not after correction for the number of comparisons")
    return replace(row, p_adjusted=p_adjusted, verdict=verdict, flags=tuple(flags))


def _whole(row: Comparison) -> bool:
    """Whether a category's mean has all its tasks."""
    return not any(flag.startswith(LACKS) for flag in row.flags)


def lies_within(row: Comparison, margin: Margin | None) -> bool:
    """Whether the interval lies within ±δ: the relative one for a margin in per cent, else the absolute.

    The 95% interval, so each side is tested at 2.5%: what the reader sees decides, and claims use the same
    level.
    """
    if margin is None or row.delta is None or row.low is None or row.high is None:
        return False
    if row.low == row.high == 0.0:
        return True
    if margin.kind == "relative":
        if row.relative_low is None or row.relative_high is None:
            return False
        return -margin.value < row.relative_low and row.relative_high < margin.value
    return -row.delta < row.low and row.high < row.delta


def _above_chance(estimate: Estimate) -> bool:
    """More than two standard errors above zero; a score without a standard error must just be above zero."""
    return estimate.value > (2.0 * estimate.se if estimate.known else 0.0)


def _method(data: Sample, plain: Estimate, *, known: bool) -> str:
    several = len(data.seeds) > 1
    clusters = "" if data.n_clusters == data.n_items else f", {data.n_clusters} clusters"
    spread = [u.shape[-1] > 1 for u in data.difference]
    if plain.known and not known:
        return f"no interval ({FLAT})"
    if not plain.known:
        return "no interval (one seed, one cluster)"
    if not several:
        return f"items only (one seed){clusters}"
    if not any(spread):
        return f"seeds only (one cluster), t with {len(data.seeds) - 1} df"
    parts = [f"seeds × items t{clusters}"]
    if not all(spread):
        parts.append("a task with one cluster counts by seeds only")
    if plain.floored:
        parts.append("residual floor")
    if len(data.seeds) == 2:
        parts.append("1 df (two seeds)")
    if len(data.seeds) >= PERMUTATION_FROM:
        parts.append(f"sign flips p={sign_flip(data.seed_scores(1.0)):.3g}")
    return "; ".join(parts)


def _missing(table: ItemTable, design: Design, place: Place, tasks: Sequence[str], data: Sample | None) -> list[str]:
    """One flag for each seed and arm without a result at this place."""
    used = set(data.seeds) if data is not None else set()
    flags = []
    for arm, tokens in ((place.variant, place.tokens), (place.base, place.base_tokens)):
        for seed in design.seeds:
            if seed in used:
                continue
            lacking = [
                t for t in tasks if CellKey(arm, seed, tokens, place.category, t, place.metric) not in table.cells
            ]
            if lacking:
                reasons = [design.missing.get((arm, seed))]
                reasons += [design.lost.get((arm, seed, tokens, place.category, t)) for t in lacking]
                flags.append(f"seed {seed} of {arm} missing: {next(filter(None, reasons), 'no result')}")
    return flags


def _ends(layout: Layout, place: Place) -> list[str]:
    if not place.final:
        return []
    end, base_end = layout.end(place.variant), layout.end(place.base)
    if end is None or base_end is None or end == base_end:
        return []
    return [f"ends differ: {place.variant} at {end:,} tokens, {place.base} at {base_end:,}"]
