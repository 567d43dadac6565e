"""From items to comparisons, judged claims and sentences: the whole analysis of a study in one call."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pretrial.analysis import claims as judging
from pretrial.analysis import words
from pretrial.analysis.data import Design, ItemTable
from pretrial.analysis.effects import Finding, Layout, Place, find, settle
from pretrial.analysis.rows import ClaimResult, Comparison


@dataclass(frozen=True)
class Analysis:
    """The outcome of a study. `final` are those of `comparisons` that stand at the variants' ends."""

    comparisons: tuple[Comparison, ...]
    final: tuple[Comparison, ...]
    claims: tuple[ClaimResult, ...]
    shows: tuple[str, ...]
    does_not_show: tuple[str, ...]


def analyse(items: ItemTable, design: Design) -> Analysis:
    """Compare every variant with the baseline at every point both have, and judge every claim.

    Deterministic: rows depend on the items and the design alone, not on the order of the table. A claim
    between two variants neither of which is the baseline adds its own row. Raises ValueError for a metric
    that the design does not know and for weights that differ between checkpoints.
    """
    layout = Layout(items, design)
    known: dict[Place, Finding] = {}
    for variant in design.variants:
        if variant == design.baseline:
            continue
        for place in layout.places(variant, design.baseline):
            known[place] = find(items, design, layout, place)
    cases = judging.prepare(items, design, layout, known)
    judged = judging.judge(cases, design)
    registered: dict[Place, list[str]] = {}
    named: dict[Place, list[tuple[str, str]]] = {}
    for case, result in zip(cases, judged, strict=True):
        if case.finding is None:
            continue
        named.setdefault(case.finding.place, []).append((result.text, result.verdict))
        if result.registered:
            registered.setdefault(case.finding.place, []).append(result.text)
    findings = list(known.values())
    rows = [
        replace(
            row,
            claim=" | ".join(text for text, _ in named[finding.place]) if finding.place in named else None,
            claim_verdict=" | ".join(v for _, v in named[finding.place]) if finding.place in named else None,
        )
        for finding, row in zip(findings, settle(findings, design, registered), strict=True)
    ]
    final = tuple(row for finding, row in zip(findings, rows, strict=True) if finding.place.final)
    return Analysis(
        tuple(rows),
        final,
        tuple(judged),
        tuple(words.shows(final, judged, design)),
        tuple(words.does_not_show(final, judged, design)),
    )
