"""The findings of a study: its items, their analysis, and the data of its report."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pretrial.analysis.analyse import Analysis, analyse
from pretrial.analysis.data import ItemTable
from pretrial.analysis.means import category_means
from pretrial.errors import RequestError
from pretrial.execute.runner import Runner
from pretrial.findings import tables
from pretrial.findings.contamination import Contamination
from pretrial.findings.corpora import Corpora
from pretrial.findings.design import lost_evaluations, make_design, measured, missing_seeds
from pretrial.findings.sections import Sections
from pretrial.findings.shelf import Shelf
from pretrial.model.spec import parameters
from pretrial.plan.cost import Figure
from pretrial.plan.graph import Graph
from pretrial.plan.registration import History
from pretrial.report.data import ReportData
from pretrial.study.schema import Study

_NOTES = {
    "held-out": "dose check: held-out documents of sources that some arm trained on",
    "transfer": "domains that no arm trained on",
    "cloze": "the true continuation among four from the same source",
    "reasoning": "benchmarks, on a local sample of their items",
    "language": "benchmarks, on a local sample of their items",
}


@dataclass(frozen=True)
class Findings:
    """What a report is written from."""

    data: ReportData
    items: pa.Table
    analysis: Analysis


def find(
    study: Study,
    graph: Graph,
    runner: Runner,
    registered: History,
    *,
    windows: Mapping[str, Figure],
    record: Mapping[str, Any],
    accepted: bool,
    make: bool = False,
    failures: Mapping[str, str] | None = None,
) -> Findings:
    """All findings of a study.

    Args:
        study: what was asked.
        graph: its steps.
        runner: knows what is there.
        registered: the registrations of its claims.
        windows: training windows of each source, as far as known.
        record: the execution record.
        accepted: whether anything rests on another record.
        make: make again what turns out to be damaged, as a run does; else it is named as missing.
        failures: why steps failed in the last run, by name.

    Raises:
        RequestError: when no arm was evaluated yet.
    """
    shelf = Shelf(runner, make=make, failures=failures)
    done = measured(graph, shelf)
    if not done:
        raise RequestError(f"{study.name} has no results yet", remedy="Run the study first.")
    missing = missing_seeds(graph, shelf)
    lost = lost_evaluations(graph, shelf, missing)
    design = make_design(study, graph, registered, windows, done, missing, lost, accepted=accepted)
    items = tables.item_table(graph, shelf, done)
    cells = ItemTable.from_columns(items.to_pydict())
    contamination = Contamination(study, graph, shelf, items)
    analysis = contamination.flagged(analyse(cells, design))
    corpora = Corpora(study, graph, shelf)
    sections = Sections(study, graph, shelf, registered, windows, record, accepted=accepted)
    # Before warnings, which say what of it could not be read.
    training, licences, matches = sections.training(), corpora.licences(), contamination.matches()
    model_parameters = parameters(study.model, graph.vocabulary)
    found = ReportData(
        study=study.name,
        question=study.question,
        version=importlib.metadata.version("pretrial"),
        model={
            "name": study.model_name,
            "parameters": model_parameters[0],
            "parameters_without_embeddings": model_parameters[1],
            "vocabulary": graph.vocabulary,
            "context": study.context,
        },
        baseline=study.baseline,
        variants=[{"name": name, "summary": sections.summary(name)} for name in design.variants],
        seeds=list(graph.study.seeds),
        compare=study.compare,
        categories=[{"name": name, "note": _NOTES.get(name, "")} for name in design.categories],
        definitions=tables.definition_rows(design, graph),
        claims=tables.claim_rows(analysis),
        shows=list(analysis.shows),
        does_not_show=list(analysis.does_not_show),
        banners=sections.banners(),
        warnings=[*contamination.warnings(), *sections.warnings()],
        missing=tables.missing_rows(graph, missing, lost, design.categories),
        results=tables.result_rows(shelf, done, design, category_means(cells, design)),
        comparisons=[row.to_row() for row in analysis.comparisons],
        ledger=sections.ledger(),
        training=training,
        evaluation=tables.evaluation_points(done),
        anchors=tables.anchor_rows(graph, shelf),
        funnel=corpora.funnel(),
        rejects=corpora.rejects(),
        removed=corpora.removed(),
        near_duplicates=corpora.near_duplicates(),
        licences=licences,
        contamination=contamination.sources(),
        arms=contamination.arms(),
        matches=matches,
        contaminated_differently=contamination.warnings(),
        clean=contamination.clean(analysis, design),
        plan=sections.plan(),
        differs=sections.differs(),
        equal=sections.equal(),
        cost=sections.cost(),
        environment=sections.environment(),
        registration=sections.registration(),
    )
    return Findings(found, items, analysis)
