"""What a model is, in numbers: shapes, presets, parameter counts, cost, and the preset learning rate.

Guarantees: standard library only, so plans are instant. Every figure is a formula of the shape, never a
measurement. Does not do: build the model (`pretrial.model.decoder`).

From 4M up the presets are the shapes of DataDecide's ladder (Magnusson et al. 2025, arXiv 2504.11393;
sizes, batches and the learning-rate rule as in allenai/OLMo `scripts/ladder.py`): their names count
parameters at the ladder's vocabulary of 50,304, so a preset holds fewer with a smaller vocabulary. Its
feed-forward ratio of 8 is that of the fused gate and up projection, hence a feed-forward width of 4 × width
here. `1m` and `2m` are ours, for studies on a processor, named after their size at vocabularies of 4,096
and 8,192.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pretrial.errors import RequestError

LADDER_CONTEXT = 2048


@dataclass(frozen=True)
class ModelSpec:
    """Shape of a decoder; the vocabulary and the context length belong to the study.

    `feed_forward` is the inner width of the gated feed-forward part, `kv_heads` the number of key and value
    heads (0: as many as `heads`).
    """

    layers: int
    width: int
    heads: int
    feed_forward: int
    kv_heads: int = 0

    def __post_init__(self) -> None:
        if self.kv_heads == 0:
            object.__setattr__(self, "kv_heads", self.heads)
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise RequestError(f"{name.replace('_', '-')} of a model must be a whole number above 0, not {value!r}")
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise RequestError(
                f"a width of {self.width} does not split into {self.heads} heads of an even size",
                remedy="choose a width that is a multiple of 2 × heads",
            )
        if self.heads % self.kv_heads:
            raise RequestError(
                f"{self.heads} heads cannot share {self.kv_heads} key and value heads evenly",
                remedy="choose kv-heads that divides heads",
            )

    @property
    def head_size(self) -> int:
        """Channels per attention head."""
        return self.width // self.heads

    def to_json(self) -> dict[str, int]:
        """The form that bears identity."""
        return asdict(self)

    @classmethod
    def from_json(cls, payload: Mapping[str, int]) -> ModelSpec:
        """The inverse of `to_json`."""
        return cls(**payload)


def _ladder(layers: int, width: int, heads: int) -> ModelSpec:
    return ModelSpec(layers, width, heads, 4 * width)


PRESETS: dict[str, ModelSpec] = {
    "1m": ModelSpec(4, 128, 4, 352),
    "2m": ModelSpec(5, 128, 4, 352),
    "4m": _ladder(8, 64, 8),
    "6m": _ladder(8, 96, 8),
    "8m": _ladder(8, 128, 8),
    "10m": _ladder(8, 144, 8),
    "14m": _ladder(8, 192, 8),
    "16m": _ladder(8, 208, 8),
    "20m": _ladder(16, 192, 8),
    "60m": _ladder(16, 384, 12),
    "90m": _ladder(16, 528, 12),
    "150m": _ladder(12, 768, 12),
    "300m": _ladder(16, 1024, 16),
    "530m": _ladder(16, 1344, 16),
    "750m": _ladder(16, 1536, 16),
    "1b": _ladder(16, 2048, 16),
}


def resolve_model(model: str | Mapping[str, Any], where: str = "") -> ModelSpec:
    """The shape that a study names: a preset, or a mapping of `layers`, `width`, `heads`, `feed-forward` [,
    `kv-heads`].

    Raises `RequestError` with the nearest right name.
    """
    if isinstance(model, str):
        if model.lower() in PRESETS:
            return PRESETS[model.lower()]
        near = difflib.get_close_matches(model.lower(), PRESETS, 1)
        raise RequestError(
            f"there is no model preset {model!r}",
            where=where,
            remedy=(f"did you mean {near[0]}? " if near else "") + "Presets: " + ", ".join(PRESETS),
        )
    fields = ("layers", "width", "heads", "feed_forward", "kv_heads")
    given = {str(key).replace("-", "_"): value for key, value in model.items()}
    for key in given:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise RequestError(
                f"a model has no {key.replace('_', '-')!r}",
                where=where,
                remedy=f"did you mean {near[0].replace('_', '-')}?"
                if near
                else "it has layers, width, heads, feed-forward, kv-heads",
            )
    missing = [key.replace("_", "-") for key in fields[:4] if key not in given]
    if missing:
        raise RequestError(f"the model lacks {', '.join(missing)}", where=where, remedy="or name a preset")
    try:
        return ModelSpec(**given)
    except RequestError as error:
        raise RequestError(error.what, where=where, remedy=error.remedy) from None


def parameters(spec: ModelSpec, vocabulary: int) -> tuple[int, int]:
    """Number of trained parameters: all of them, and all but the (tied) embedding table."""
    key_value = spec.kv_heads * spec.head_size
    attention = 2 * spec.width * spec.width + 2 * spec.width * key_value
    block = attention + 3 * spec.width * spec.feed_forward + spec.width
    inner = spec.layers * block + spec.width
    return inner + vocabulary * spec.width, inner


def flops_per_token(spec: ModelSpec, vocabulary: int, context: int) -> int:
    """Floating-point operations to train one token, forward and backward.

    6 per parameter that multiplies (the tied table once, as output) + 12 · layers · width · context for
    attention over the whole window (Chowdhery et al. 2022, *PaLM*, appendix B; masked positions are
    counted: they are computed).
    """
    total, _ = parameters(spec, vocabulary)
    return 6 * total + 12 * spec.layers * spec.width * context


def preset_learning_rate(spec: ModelSpec, vocabulary: int, batch_tokens: int) -> float:
    """Peak learning rate where a study says `lr: preset`, to two significant digits.

    The ladder's rule 0.0047 · (N / 108M)^(−1/3), N counting the embedding table once (OLMo
    `scripts/ladder.py`), for batches like the ladder's: 160 · (N / 108M)^(2/3) sequences of 2,048 tokens,
    of which its own, rounded to whole devices, reach at least 0.7. It is *extrapolated* to N below 3.7M,
    the ladder's smallest, and to smaller batches with the square root of the batch (Malladi et al. 2022,
    *On the SDEs and Scaling Rules for Adaptive Gradient Algorithms*); never above 0.02. One measurement
    stands behind the extrapolation: 1.2M parameters at 512 tokens a batch, flat from 0.002 to 0.008, where
    this gives 0.0042.
    """
    relative = parameters(spec, vocabulary)[0] / 108e6
    enough = 0.7 * 160 * relative ** (2 / 3) * LADDER_CONTEXT
    rate = 0.0047 * relative ** (-1 / 3) * min(1.0, (batch_tokens / enough) ** 0.5)
    return float(f"{min(rate, 0.02):.1e}")
