"""What training is, in numbers: learning-rate pieces, segments, the base of a trajectory, memory and disk.

Guarantees: standard library only (no torch, no numpy), exact identity. A trajectory is `base_json` and a chain of
`Segment.to_json`: what acts on the model, without where training stops (docs/decisions.md, sections 5 and 6). Does
not do: train (`pretrial.train.loop`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pretrial.errors import RequestError
from pretrial.model.spec import ModelSpec, parameters

Json = dict[str, Any]

SEMANTICS = {"train": 2}
"""Raised when the same configuration and inputs would give other weights or metrics."""

CHECKPOINT_SECONDS = 20.0
"""Most work that a kill loses, where PRETRIAL_CHECKPOINT_SECONDS does not say otherwise."""

FULL_CARRY = ("data", "optimizer", "weights")
LR_KINDS = ("constant", "linear", "cosine")


@dataclass(frozen=True)
class LrPiece:
    """One piece of a learning-rate schedule: a function of absolute tokens.

    Warm-up is linear from 0 over `warmup` tokens after `start`. Then `constant` stays at `peak`; `linear`
    and `cosine` go to `floor` (an absolute rate, not a share) at the absolute token `end`, and stay there.
    """

    kind: str
    peak: float
    start: int = 0
    warmup: int = 0
    end: int | None = None
    floor: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "peak", float(self.peak))
        object.__setattr__(self, "floor", float(self.floor))
        if self.kind not in LR_KINDS:
            raise ValueError(f"a learning-rate piece is one of {', '.join(LR_KINDS)}, not {self.kind!r}")
        if not (math.isfinite(self.peak) and self.peak >= 0 and math.isfinite(self.floor) and self.floor >= 0):
            raise ValueError(f"learning rates must be finite and not negative: peak {self.peak}, floor {self.floor}")
        if self.start < 0 or self.warmup < 0:
            raise ValueError(f"start {self.start} and warmup {self.warmup} count tokens")
        if self.kind == "constant":
            # What a constant piece does not use must not tell two equal schedules apart.
            object.__setattr__(self, "end", None)
            object.__setattr__(self, "floor", 0.0)
        elif self.end is None or self.end <= self.start + self.warmup:
            raise ValueError(
                f"a {self.kind} piece must end after its warm-up: {self.start} + {self.warmup}, end {self.end}"
            )

    def to_json(self) -> Json:
        """The form that bears identity."""
        return {
            "kind": self.kind, "peak": self.peak, "start": self.start,
            "warmup": self.warmup, "end": self.end, "floor": self.floor,
        }  # fmt: skip

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> LrPiece:
        """The inverse of `to_json`."""
        return cls(**payload)


def learning_rate(piece: LrPiece, tokens: float) -> float:
    """The learning rate of `piece` at an absolute number of tokens."""
    since = max(tokens - piece.start, 0)
    if since < piece.warmup:
        return piece.peak * since / piece.warmup
    if piece.kind == "constant" or piece.end is None:
        return piece.peak
    share = min(max((since - piece.warmup) / (piece.end - piece.start - piece.warmup), 0.0), 1.0)
    if piece.kind == "linear":
        return piece.peak + (piece.floor - piece.peak) * share
    return piece.floor + (piece.peak - piece.floor) * 0.5 * (1.0 + math.cos(math.pi * share))


def step_learning_rate(piece: LrPiece, tokens: int, batch_tokens: int) -> float:
    """The rate of the step that trains [tokens, tokens + batch_tokens): that of its midpoint."""
    return learning_rate(piece, tokens + batch_tokens / 2)


@dataclass(frozen=True)
class Segment:
    """What acts on the model from `start` (absolute tokens) until the next segment.

    `sources`, `shares` (exact, positive, summing to 1), `contents` (content hash of each source's training
    tokens) and `first_draw` (the number of the first window drawn from each source) run in parallel. The
    sources interleave in a pattern that began at `pattern_start` (absolute tokens; left out, at `start`).
    `carry` names what is kept of the state before it: weights always; without `optimizer` moments and step
    count start fresh; without `data` the caller has set `first_draw` back.
    """

    start: int
    sources: tuple[str, ...]
    shares: tuple[Fraction, ...]
    contents: tuple[str, ...]
    lr: LrPiece
    carry: tuple[str, ...] = FULL_CARRY
    first_draw: tuple[int, ...] = ()
    pattern_start: int = -1

    def __post_init__(self) -> None:
        object.__setattr__(self, "carry", tuple(sorted(set(self.carry))))
        if not self.first_draw:
            object.__setattr__(self, "first_draw", (0,) * len(self.sources))
        if (
            not self.sources
            or len({len(self.sources), len(self.shares), len(self.contents), len(self.first_draw)}) != 1
        ):
            raise ValueError("sources, shares, contents and first_draw of a segment run in parallel and are not empty")
        if len(set(self.sources)) != len(self.sources):
            raise ValueError(f"a source stands twice in a segment: {', '.join(self.sources)}")
        if sum(self.shares) != 1 or min(self.shares) <= 0:
            raise ValueError(f"the shares of a segment are positive and sum to 1: {', '.join(map(str, self.shares))}")
        if "weights" not in self.carry or not set(self.carry) <= set(FULL_CARRY):
            raise ValueError(f"carry holds weights, and perhaps optimizer and data; not {', '.join(self.carry)}")
        if self.start < 0 or min(self.first_draw) < 0:
            raise ValueError("start and first_draw are counts")
        if self.pattern_start < 0:
            object.__setattr__(self, "pattern_start", self.start)

    def continues(self, before: Segment) -> bool:
        """Whether this is only `before` going on: equal mixture and learning-rate piece, everything carried."""
        return (
            self.carry == FULL_CARRY
            and (self.sources, self.shares, self.contents) == (before.sources, before.shares, before.contents)
            and self.lr == before.lr
        )

    def to_json(self) -> Json:
        """The form that bears identity, and that the trainer reads."""
        return {
            "start": self.start,
            "sources": list(self.sources),
            "shares": [[share.numerator, share.denominator] for share in self.shares],
            "contents": dict(zip(self.sources, self.contents, strict=True)),
            "lr": self.lr.to_json(),
            "carry": list(self.carry),
            "first_draw": list(self.first_draw),
            "pattern_start": self.pattern_start,
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> Segment:
        """The inverse of `to_json`."""
        sources = tuple(payload["sources"])
        return cls(
            start=payload["start"],
            sources=sources,
            shares=tuple(Fraction(n, d) for n, d in payload["shares"]),
            contents=tuple(payload["contents"][source] for source in sources),
            lr=LrPiece.from_json(payload["lr"]),
            carry=tuple(payload["carry"]),
            first_draw=tuple(payload["first_draw"]),
            pattern_start=payload["pattern_start"],
        )


def merge(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Segments in order of their start, each that only continues the one before taken into it.

    Merge before `first_draw` is computed for later segments: the interleaving pattern of a merged segment
    runs on, as does that of a new segment with the same mixture and its data carried. The `first_draw` of a segment
    that continues is therefore not looked at.
    """
    merged: list[Segment] = []
    for segment in segments:
        if merged and segment.start <= merged[-1].start:
            raise ValueError(f"segments start in order: {segment.start} after {merged[-1].start}")
        if not merged and segment.start != 0:
            raise ValueError(f"the first segment starts at 0, not {segment.start}")
        if not (merged and segment.continues(merged[-1])):
            merged.append(segment)
    return tuple(merged)


def base_json(
    *,
    model: ModelSpec,
    vocabulary: int,
    context: int,
    tokenizer: str,
    precision: str,
    seeds: Mapping[str, int],
    batch_sequences: int,
    optimizer: Mapping[str, float | list[float]],
) -> Json:
    """The part of a trajectory that never changes along it.

    `tokenizer` is a content hash; `precision` is resolved (float32 or bfloat16, never auto); `seeds` has
    init, order and subset; `optimizer` has betas, eps, weight_decay and clip (the learning rate lies in the
    segments).
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision is resolved before it bears identity: {precision!r}")
    if set(seeds) != {"init", "order", "subset"}:
        raise ValueError(f"seeds are init, order and subset, not {', '.join(sorted(seeds))}")
    if set(optimizer) != {"betas", "eps", "weight_decay", "clip"}:
        raise ValueError(f"optimizer has betas, eps, weight_decay and clip, not {', '.join(sorted(optimizer))}")
    return {
        "model": model.to_json(),
        "vocabulary": vocabulary,
        "context": context,
        "tokenizer": tokenizer,
        "precision": precision,
        "seeds": dict(seeds),
        "batch_sequences": batch_sequences,
        "optimizer": {"name": "adamw", **optimizer},
    }


def micro_batch(sequences: int, context: int, micro_tokens: int) -> int:
    """Sequences in one forward and backward pass: the largest divisor of the batch within `micro_tokens` tokens."""
    room = max(1, micro_tokens // context)
    return max(size for size in range(1, min(sequences, room) + 1) if sequences % size == 0)


def checkpoint_seconds() -> float:
    """Seconds between the files that a killed training step goes on from: PRETRIAL_CHECKPOINT_SECONDS, or 20.

    Raises `RequestError` for what is no number of seconds; ask before anything is spent.
    """
    said = os.environ.get("PRETRIAL_CHECKPOINT_SECONDS", "")
    if not said:
        return CHECKPOINT_SECONDS
    try:
        seconds = float(said)
    except ValueError:
        seconds = math.nan
    if not seconds >= 0:
        raise RequestError(
            f"PRETRIAL_CHECKPOINT_SECONDS is {said!r}, which is no number of seconds",
            remedy=f"Set it to a number from 0 up, or unset it for {CHECKPOINT_SECONDS:g}.",
        )
    return seconds


def checkpoint_bytes(spec: ModelSpec, vocabulary: int) -> int:
    """Disk of one checkpoint: weights and two AdamW moments in float32 (metrics and headers not counted)."""
    return 12 * parameters(spec, vocabulary)[0]


def peak_memory(spec: ModelSpec, vocabulary: int, context: int, sequences: int, *, precision: str = "float32") -> int:
    """Estimated peak memory in bytes of a training process that holds `sequences` sequences at a time.

    A loaded torch with its compiler (1.1 GB) + 16 bytes a parameter (weights, gradients, two moments) +
    activations: per token and layer 16 × width + 4 × feed-forward + heads × context attention entries at
    the precision's size, and three float32 copies of the logits.
    """
    size = 2 if precision == "bfloat16" else 4
    layer = 16 * spec.width + 4 * spec.feed_forward + spec.heads * context
    per_token = spec.layers * layer * size + 3 * 4 * vocabulary
    return 1_100_000_000 + 16 * parameters(spec, vocabulary)[0] + sequences * context * per_token
