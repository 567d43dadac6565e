"""Effects, how sure they are, and what becomes of claims.

Reads items (one row per item, checkpoint and metric) and the study's design, returns comparisons, judged
claims and sentences. Numpy and the standard library only; docs/decisions.md, sections 8 to 10,
binds its columns and verdicts. Does not: evaluate models, average different metrics, or write files.
"""

from pretrial.analysis.analyse import Analysis, analyse
from pretrial.analysis.data import Design, ItemTable, MetricFacts, PairFacts, RegisteredClaim
from pretrial.analysis.means import CategoryMean, category_means
from pretrial.analysis.rows import COMPARISON_COLUMNS, ClaimResult, Comparison
from pretrial.analysis.words import claim_sentence, sentence

__all__ = [
    "COMPARISON_COLUMNS",
    "Analysis",
    "CategoryMean",
    "ClaimResult",
    "Comparison",
    "Design",
    "ItemTable",
    "MetricFacts",
    "PairFacts",
    "RegisteredClaim",
    "analyse",
    "category_means",
    "claim_sentence",
    "sentence",
]
