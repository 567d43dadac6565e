"""From finished evaluations to what a report says: items, comparisons, judged claims, curves, ledger, cost.

Everything comes from artefacts and the plan; nothing is measured here. `design` says what decides verdicts, `tables`
what becomes a row, `sections` what comes from the plan and the manifests, `corpora` what became of documents,
`contamination` which of them held benchmark items, `shelf` how artefacts are read.
"""

from pretrial.findings.compose import Findings, find
from pretrial.findings.design import missing_seeds
from pretrial.findings.tables import ANCHORS

__all__ = ["ANCHORS", "Findings", "find", "missing_seeds"]
