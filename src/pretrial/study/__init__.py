"""A study's file: its schema, its checks, and nothing else.

Importing it loads neither torch nor pyarrow nor pandas.
"""

from pretrial.study.load import load_study, parse_study
from pretrial.study.schema import (
    AdamW,
    Claim,
    Evaluation,
    Margin,
    Read,
    Schedule,
    Source,
    Stage,
    Study,
    Target,
    TokenizerRequest,
    Training,
    TrainTokenizer,
    Variant,
)

__all__ = [
    "AdamW",
    "Claim",
    "Evaluation",
    "Margin",
    "Read",
    "Schedule",
    "Source",
    "Stage",
    "Study",
    "Target",
    "TokenizerRequest",
    "TrainTokenizer",
    "Training",
    "Variant",
    "load_study",
    "parse_study",
]
