"""Claims: reading and writing the one-line statements that a study registers before it trains.

    VARIANT beats VARIANT on TARGET [by MARGIN][, at equal compute|text|order]
    VARIANT equals VARIANT on TARGET within MARGIN[, at equal …]
    VARIANT does not lose to VARIANT on TARGET by more than MARGIN[, at equal …]

Guarantees: names are matched against those of the study, whatever words, arrows or spaces they hold; a text
that can be read in two ways is refused, never guessed; a target always has its metric, by default the first that
its task has, or that all tasks of its category share; `parse_claim(format_claim(c), …)` is `c`. Errors name the
nearest right word (`RequestError` without a place: the caller knows the line).

Does not: judge a claim (`analysis`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from pretrial.errors import RequestError
from pretrial.study.problems import did_you_mean, join
from pretrial.study.schema import Claim, ClaimKind, Holds, Margin, Target
from pretrial.study.tasks import TASKS, has_ratio, metric_name, unit
from pretrial.study.units import parse_margin

_VERBS: dict[str, ClaimKind] = {"beats": "beats", "equals": "equals", "does not lose to": "not-worse"}
_MARGIN = r"(?P<margin>[0-9][0-9_.]*\s*(?:%|points?|bits?))"
_HOLDS = r"(?:,?\s+at equal (?P<holds>compute|text|order))?"
_TAILS: dict[ClaimKind, re.Pattern[str]] = {
    "beats": re.compile(rf"(?:\s+by\s+{_MARGIN})?{_HOLDS}"),
    "equals": re.compile(rf"\s+within\s+{_MARGIN}{_HOLDS}"),
    "not-worse": re.compile(rf"\s+by more than\s+{_MARGIN}{_HOLDS}"),
}
_USAGE: dict[ClaimKind, str] = {
    "beats": "A beats B on TARGET [by 0.5%][, at equal compute]",
    "equals": "A equals B on TARGET within 1%[, at equal compute]",
    "not-worse": "A does not lose to B on TARGET by more than 1%[, at equal compute]",
}
_METRIC = re.compile(r"\s*\(([^()]*)\)")


@dataclass(frozen=True)
class Vocabulary:
    """What claims of a study may name: its variants, and its targets as they are spelled."""

    variants: tuple[str, ...]
    targets: dict[str, tuple[str, str | None, tuple[str, ...]]]

    @classmethod
    def of(
        cls, variants: Iterable[str], tasks: Iterable[str], trained: Iterable[str], unseen: Iterable[str]
    ) -> Vocabulary:
        """The words of a study: its variants, its tasks, its sources in mixtures and its sources in none."""
        trained, unseen = tuple(trained), tuple(unseen)
        domains = {"trained": trained, "unseen": unseen, "any": trained + unseen}
        targets: dict[str, tuple[str, str | None, tuple[str, ...]]] = {}
        for task in tasks:
            kind = TASKS[task]
            if kind.domains is None:
                shared = targets.get(kind.category, (kind.category, None, kind.metrics))[2]
                # A category's mean exists for metrics that all its tasks have.
                common = tuple(metric for metric in shared if metric in kind.metrics)
                targets[kind.category] = (kind.category, None, common)
                targets[task] = targets[f"{kind.category} {task}"] = (kind.category, task, kind.metrics)
            else:
                targets[kind.category] = (kind.category, None, kind.metrics)
                for source in domains[kind.domains]:
                    targets[f"{kind.category} {source}"] = (kind.category, source, kind.metrics)
        return cls(tuple(variants), targets)


def parse_claim(text: str, words: Vocabulary, line: int = 0) -> Claim:
    """A claim's parts. Raises `RequestError` that says which part is wrong and what is nearest."""
    text = text.strip()
    found: list[Claim] = []
    complaint: RequestError | None = None
    for variant, kind, against, rest in _heads(text, words.variants):
        for name, (category, task, metrics) in words.targets.items():
            if not rest.startswith(name):
                continue
            try:
                claim = _finish(text, kind, variant, against, (category, task), metrics, rest[len(name) :], line)
            except RequestError as error:
                complaint = complaint or error
                continue
            if claim is not None and claim not in found:
                found.append(claim)
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        readings = " or ".join(f"({c.variant}) against ({c.against}) on ({_spell(c.target)})" for c in found)
        raise RequestError(f"the claim can be read as {readings}: {text!r}", remedy="rename a variant or a source")
    raise complaint or _explain(text, words)


def format_claim(claim: Claim) -> str:
    """The claim as the grammar spells it."""
    verb = next(verb for verb, kind in _VERBS.items() if kind == claim.kind)
    tail = {"beats": "by", "equals": "within", "not-worse": "by more than"}[claim.kind]
    text = f"{claim.variant} {verb} {claim.against} on {_spell(claim.target)}"
    if claim.kind != "beats" or claim.margin.value:
        text += f" {tail} {claim.margin}"
    return f"{text}, at equal {claim.holds}" if claim.holds else text


def wrong_margin(margin: Margin, metric: str) -> tuple[str, str] | None:
    """What is wrong with a margin's unit for a metric, and what to write; None where it fits."""
    share = unit(metric) == "share"
    if margin.kind == "relative" and not has_ratio(metric):
        return (
            f"a margin of {margin} does not go with {metric}: it is a difference of log-probabilities, which has no "
            "zero of its own and may be negative",
            "write bits",
        )
    if margin.kind == "relative" or share == (margin.kind == "points"):
        return None
    return (
        f"a margin of {margin} does not go with {metric}, whose unit is {unit(metric)}",
        "write a percentage, or points" if share else "write a percentage, or bits",
    )


def _spell(target: Target) -> str:
    name = " ".join(part for part in (target.category, target.task) if part)
    return f"{name} ({target.metric})" if target.metric else name


def _heads(text: str, variants: Iterable[str]) -> Iterator[tuple[str, ClaimKind, str, str]]:
    """Every way to read the text up to "on": variant, verb, baseline, and what follows."""
    names = tuple(variants)
    for variant in names:
        for verb, kind in _VERBS.items():
            for against in names:
                head = f"{variant} {verb} {against} on "
                if text.startswith(head):
                    yield variant, kind, against, text[len(head) :].lstrip()


def _finish(
    text: str,
    kind: ClaimKind,
    variant: str,
    against: str,
    target: tuple[str, str | None],
    metrics: tuple[str, ...],
    rest: str,
    line: int,
) -> Claim | None:
    """The claim whose target has been read; None where what follows is not a tail."""
    metric: str | None = None
    if match := _METRIC.match(rest):
        metric = metric_name(match[1])
        rest = rest[match.end() :]
    tail = _TAILS[kind].fullmatch(rest)
    if tail is None:
        return None
    if variant == against:
        raise RequestError(f"{variant!r} is compared with itself: {text!r}", remedy="name two variants")
    if metric is not None and metric not in metrics:
        spelled = _spell(Target(*target, None))
        raise RequestError(f"{spelled!r} has no metric {metric!r}: {text!r}", remedy=did_you_mean(metric, metrics))
    if not metrics:
        raise RequestError(f"the tasks of {target[0]!r} share no metric: {text!r}", remedy="name one task of it")
    metric = metric or metrics[0]
    margin = Margin("relative", 0.0)
    if tail["margin"]:
        try:
            margin = Margin(*parse_margin(tail["margin"]))
        except ValueError as error:
            raise RequestError(f"{error}: {text!r}") from None
        if trouble := wrong_margin(margin, metric):
            raise RequestError(f"{trouble[0]}: {text!r}", remedy=trouble[1])
    if kind == "equals" and margin.value == 0:
        raise RequestError(f"nothing is equal within 0: {text!r}", remedy="state a margin above 0")
    holds = cast("Holds | None", tail["holds"])
    return Claim(text, kind, variant, against, Target(*target, metric), margin, holds, line)


def _explain(text: str, words: Vocabulary) -> RequestError:
    """Why no reading was found: the first part that is wrong."""
    parts = re.fullmatch(r"(.+?) (beats|equals|does not lose to) (.+?) on (.+)", text)
    if parts is None:
        usage = "\n  ".join(_USAGE.values())
        return RequestError(f"not a claim: {text!r}", remedy=f"a claim is one of\n  {usage}")
    for name in (parts[1], parts[3]):
        if name not in words.variants:
            return RequestError(f"no variant is called {name!r}: {text!r}", remedy=did_you_mean(name, words.variants))
    rest = parts[4]
    # What stands before the margin is the target.
    target = re.split(r"\s+(?:by|within)\s+(?=more than|[0-9.])|,?\s+at equal\s", rest)[0]
    target = re.sub(r"\s*\([^()]*\)$", "", target)
    if target in words.targets:
        return RequestError(
            f"the end of the claim cannot be read: {text!r}", remedy=f"write {_USAGE[_VERBS[parts[2]]]}"
        )
    known = {TASKS[task].category for task in TASKS} | set(TASKS)
    head = target.split(" ")[0]
    if head in known and head not in words.targets:
        return RequestError(
            f"the study does not evaluate {head!r}: {text!r}",
            remedy=f"add it to evaluate, or use {join(words.targets)}",
        )
    return RequestError(
        f"the study has no category or task {target!r}: {text!r}", remedy=did_you_mean(target, words.targets)
    )
