"""What evaluation is, for planning: semantics versions, metrics with their definitions, categories, and cost.

Guarantees: standard library only. Every metric is Σ value / Σ weight over its items. Does not do: evaluate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SEMANTICS = {"bits-per-byte": 1, "cloze": 1, "cloze-items": 1, "anchors": 2, "bench": 1}
"""Raised when the same configuration and inputs would give other items or other values."""

FUNCTIONS = {
    "bits-per-byte": "pretrial.evaluate.bits_per_byte:evaluate_bits_per_byte",
    "cloze-items": "pretrial.evaluate.cloze:make_cloze_items",
    "cloze": "pretrial.evaluate.cloze:evaluate_cloze",
    "anchors": "pretrial.evaluate.anchors:evaluate_anchors",
    "bench": "pretrial.evaluate.harness:evaluate_bench",
}
"""Step function of each kind of step."""

CONTEXT_TOKENS = 96
CHOICE_TOKENS = 32
CHOICES = 4

LEAST_DOMAIN_BYTES = 1_000
"""Least budget of text for bits per byte on a domain: an eighth of it, the most that one document gives, holds any
usual token."""

RESERVED = frozenset({"mean", "held-out", "transfer", "cloze"})
"""Names that no source can have, since its rows carry its name as their task: the task of a category's mean, and the
categories whose tasks are sources, whose name alone stands for that mean in claims and sentences."""

MIN_CLOZE_CONTEXT = CONTEXT_TOKENS + CHOICE_TOKENS
"""Shortest context length of a model, and shortest document in tokens, that the cloze task fits in."""


@dataclass(frozen=True)
class Metric:
    """A metric and what its number means."""

    version: int
    higher_is_better: bool
    unit: str
    definition: str


METRICS: dict[str, Metric] = {
    "bits_per_byte": Metric(
        1,
        False,
        "bits per byte",
        "−Σ log₂ p of all tokens, the end mark counted, over raw UTF-8 bytes; each document alone, in windows of the "
        "context length at half stride, each token scored once.",
    ),
    "bits_per_byte_3gram": Metric(
        1,
        False,
        "bits per byte",
        "The same tokens and bytes under an interpolated modified Kneser-Ney 3-gram model of the windows that the "
        "variant drew under its first seed.",
    ),
    "bits_per_byte_zstd": Metric(
        1,
        False,
        "bits per byte",
        "8 × the size of the same documents, joined and compressed by zstd at level 19, over their raw bytes.",
    ),
    "accuracy": Metric(
        1,
        True,
        "share",
        "Share of items whose true continuation has the highest score, log p(choice | context) − log p(choice | mark); "
        "ties go to the first choice.",
    ),
    "accuracy_3gram": Metric(
        1,
        True,
        "share",
        "Accuracy of the 3-gram model that stands beside bits per byte, on the same items with the same score.",
    ),
    "acc": Metric(
        1,
        True,
        "share",
        "lm-eval's acc: the true choice has the highest log-likelihood, ties going to the first; for LAMBADA, every "
        "token of the answer is the model's first guess.",
    ),
    "acc_norm": Metric(
        1,
        True,
        "share",
        "lm-eval's acc_norm: the true choice has the highest log-likelihood per character.",
    ),
    "answer_bits_per_byte": Metric(
        1,
        False,
        "bits per byte",
        "−Σ log₂ p(true answer | prompt) over the answer's bytes, its leading space among them.",
    ),
    "margin": Metric(
        1,
        True,
        "bits",
        "Score of the true choice less that of the best wrong one, in bits; the score is the one that decides the "
        "task's first metric.",
    ),
    "correct_choice_probability": Metric(
        1,
        True,
        "share",
        "Probability of the true choice when the choices' scores are normalised to sum to one; for LAMBADA, which has "
        "one answer, the answer's own probability.",
    ),
}

CATEGORIES: dict[str, str] = {
    "held-out": "held-out",
    "transfer": "transfer",
    "cloze": "cloze",
    "piqa": "reasoning",
    "arc_easy": "reasoning",
    "lambada": "language",
    "blimp": "language",
}
"""Category of what a study's `evaluate` names. The first three have one task per source."""

CHANCE: dict[str, float] = {"cloze": 0.25, "piqa": 0.5, "arc_easy": 0.25, "lambada": 0.0, "blimp": 0.5}
"""Score of a guesser. For arc_easy the nominal level: a row carries the mean of 1 / choices over its items."""

_MULTIPLE_CHOICE = ("answer_bits_per_byte", "margin", "correct_choice_probability")

TASK_METRICS: dict[str, tuple[str, ...]] = {
    "held-out": ("bits_per_byte",),
    "transfer": ("bits_per_byte",),
    "cloze": ("accuracy", *_MULTIPLE_CHOICE),
    "piqa": ("acc", "acc_norm", *_MULTIPLE_CHOICE),
    "arc_easy": ("acc", "acc_norm", *_MULTIPLE_CHOICE),
    "lambada": ("acc", "answer_bits_per_byte", "correct_choice_probability"),
    "blimp": ("acc", *_MULTIPLE_CHOICE),
}
"""Metrics of what `evaluate` names, the one that a claim means by default first. Anchors are not among them."""

BENCH_TOKENS: dict[str, int] = {"piqa": 100, "arc_easy": 160, "lambada": 100, "blimp": 28}
"""Tokens that one item of a benchmark costs, all its choices together (measured with a vocabulary of 8,192)."""


def token_forwards(kind: str, config: Mapping[str, Any], *, bytes_per_token: float = 3.5) -> int:
    """Estimated input tokens that one step of a kind runs through the model (padding counted at 8%).

    `config` as the step's own; for cloze `{"items"}`, those of the step's source.
    Half-stride windows cost 1.0 times the tokens of short documents and up to 1.8 times those of long ones (measured at
    contexts of 256 and 512): 1.6 is taken.
    """
    if kind == "bits-per-byte":
        tokens = 1.6 * float(config["bytes"]) / bytes_per_token
    elif kind == "cloze":
        conditional = CHOICES * (CONTEXT_TOKENS + CHOICE_TOKENS)
        tokens = float(config["items"]) * (conditional + CHOICE_TOKENS)
    elif kind == "bench":
        tokens = float(config["items"]) * BENCH_TOKENS[config["task"]]
    elif kind in SEMANTICS:
        tokens = 0.0
    else:
        raise ValueError(f"there is no evaluation of the kind {kind!r}")
    return math.ceil(1.08 * tokens)
