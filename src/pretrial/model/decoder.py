"""The decoder: exactly the function of `CohereForCausalLM` in transformers, with packed documents kept apart.

Guarantees: one bias-free, mean-subtracting LayerNorm a block feeds attention and gated feed-forward in
parallel; interleaved rotary positions (theta 10,000) from the start of the window; tied embeddings; logits
times `LOGIT_SCALE`. Position i attends to j exactly when j ≤ i and both lie in the same attention segment. Initial
weights depend on the init seed and each matrix's Hugging Face name alone. Does not do: generation with a
key-value cache, dropout, biases, query/key norm.

The parallel block is two matrix products: `inner` holds the rows of q, k, v, gate and up one below the
other, `outer` the columns of o and down side by side. Cutting them apart is `pretrial.model.hub`'s work;
the function is the same.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pretrial.model.spec import ModelSpec

LOGIT_SCALE = 1.0
"""`logit_scale` of `CohereConfig`, whose default is 1/16. After 154K tokens of Python source a 1.3M model stood at a
loss of 5.24 with 1, and with 1/16 at 5.71 to 6.48, for embeddings drawn with 1.0 to 0.02 (one seed each)."""
NORM_EPS = 1e-5
ROPE_THETA = 10000.0
INITIAL_LOGITS = 0.5
PLAIN_ATTENTION = 1024
"""Longest window that is attended by plain matrix products on a CPU; beyond it the scores take too much memory."""


def boolean_mask(segments: Tensor) -> Tensor:
    """Which positions attend to which [B, 1, C, C], on the segments' device: causal, and within one segment."""
    length, device = segments.shape[1], segments.device
    same = segments[:, None, :, None] == segments[:, None, None, :]
    return same & torch.ones(length, length, dtype=torch.bool, device=device).tril()


def attention_mask(segments: Tensor) -> Tensor:
    """What `attend` takes for attention segments [B, C] in training, made on their device: [B, 1, C, C].

    `boolean_mask` for torch's own attention; on a CPU, for windows up to `PLAIN_ATTENTION`, a float32 summand
    (0 or −∞) for plain products, which their softmax takes in a third of the time of a boolean one.
    """
    allowed = boolean_mask(segments)
    if segments.device.type == "cpu" and segments.shape[1] <= PLAIN_ATTENTION:
        return torch.zeros(allowed.shape).masked_fill_(~allowed, -math.inf)
    return allowed


def read_ahead_mask(segments: NDArray[np.int32]) -> Tensor:
    """`attention_mask` on a CPU, the same bits made without torch's threads.

    A thread that reads ahead must not compute with torch: OpenMP gives each thread a team of its own, and two teams
    that wait for work by spinning took half of the step's speed (measured: 11K against 22K tokens/s).
    """
    length = segments.shape[1]
    allowed = segments[:, None, :, None] == segments[:, None, None, :]
    allowed &= np.tri(length, dtype=np.bool_)
    if length > PLAIN_ATTENTION:
        return torch.from_numpy(allowed)
    return torch.from_numpy(np.where(allowed, np.float32(0), np.float32(-np.inf)))


def rotary_table(length: int, head_size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [length, head_size / 2] in float32 (Su et al. 2021, *RoFormer*, section 3.2)."""
    channels = torch.arange(0, head_size, 2, dtype=torch.float32)
    frequency = 1.0 / ROPE_THETA ** (channels / head_size)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * frequency
    return angles.cos(), angles.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate neighbouring channel pairs of x [B, C, H, D] by tables [C, D / 2]."""
    pairs = x.float().view(*x.shape[:-1], -1, 2)
    even, odd = pairs.unbind(-1)
    cos, sin = cos[:, None, :], sin[:, None, :]
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), -1).flatten(-2).to(x.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention of q [B, H, C, D] over k and v [B, G, C, D] (G divides H) under `attention_mask`; [B, H, C,
    D].

    With a float mask by plain matrix products, softmax in float32: for short windows on a CPU the backward
    pass of torch's fused kernel is the slowest part of a step (2.3 ms a layer at 2 × 256 tokens against 0.9
    ms).
    """
    if q.shape[1] != k.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    if mask.dtype == torch.bool:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    attended: Tensor = (scores.float() + mask).softmax(-1).to(v.dtype) @ v
    return attended


class Norm(nn.Module):
    """LayerNorm with a weight and no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension, in float32."""
        return F.layer_norm(x.float(), (x.shape[-1],), self.weight, None, NORM_EPS)


class Block(nn.Module):
    """Attention and gated feed-forward, both from one norm, both added to the residual."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.sizes = inner_sizes(spec)
        self.norm = Norm(spec.width)
        self.inner = nn.Linear(spec.width, sum(self.sizes), bias=False)
        self.outer = nn.Linear(spec.width + spec.feed_forward, spec.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        """Residual stream [B, C, W] to residual stream."""
        spec = self.spec
        q, k, v, gate, up = self.inner(self.norm(x)).split(self.sizes, -1)
        q = _rotate(q.unflatten(-1, (spec.heads, -1)), cos, sin).transpose(1, 2)
        k = _rotate(k.unflatten(-1, (spec.kv_heads, -1)), cos, sin).transpose(1, 2)
        v = v.unflatten(-1, (spec.kv_heads, -1)).transpose(1, 2)
        attended = attend(q, k, v, mask)
        attended = attended.transpose(1, 2).flatten(-2)
        out: Tensor = x + self.outer(torch.cat((attended, F.silu(gate) * up), -1))
        return out


class Decoder(nn.Module):
    """The model of a study: tokens and attention segments in, logits out."""

    cos: Tensor
    sin: Tensor

    def __init__(self, spec: ModelSpec, vocabulary: int, longest: int = 2048) -> None:
        super().__init__()
        self.spec, self.vocabulary = spec, vocabulary
        cos, sin = rotary_table(longest, spec.head_size)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.embedding = nn.Embedding(vocabulary, spec.width)
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.layers))
        self.norm = Norm(spec.width)

    def stream(self, tokens: Tensor, mask: Tensor) -> list[Tensor]:
        """The residual stream [B, C, W] after the embedding and after each block, then the final norm's
        output.

        `mask` is `attention_mask(segments)`: built once and outside, since a compiler would otherwise
        compute it anew in every block.
        """
        length = tokens.shape[1]
        if length > self.cos.shape[0]:
            raise ValueError(f"{length} positions, and the model was built for at most {self.cos.shape[0]}")
        cos, sin = self.cos[:length], self.sin[:length]
        stream = [self.embedding(tokens)]
        for block in self.blocks:
            stream.append(block(stream[-1], cos, sin, mask))
        return [*stream, self.norm(stream[-1])]

    def hidden(self, tokens: Tensor, segments: Tensor) -> Tensor:
        """Normed hidden states [B, C, W], from which `logits` come."""
        return self.stream(tokens, attention_mask(segments))[-1]

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of normed hidden states [..., W]."""
        return F.linear(hidden, self.embedding.weight) * LOGIT_SCALE

    def forward(self, tokens: Tensor, segments: Tensor) -> Tensor:
        """Logits [B, C, V] of the token after each of tokens [B, C], attending within segments [B, C]."""
        return self.logits(self.hidden(tokens, segments))


def inner_sizes(spec: ModelSpec) -> list[int]:
    """Rows of q, k, v, gate and up in `Block.inner`."""
    key_value = spec.kv_heads * spec.head_size
    return [spec.width, key_value, key_value, spec.feed_forward, spec.feed_forward]


def initialise(decoder: Decoder, seed: int) -> None:
    """Set the initial weights, in place; a function of the seed and of each matrix's Hugging Face name and
    shape.

    Matrices: normal with variance 2 / (fan in + fan out) (Glorot & Bengio 2010, the paper's choice), o and down
    further divided by √(2 · layers), so that the residual stream's variance does not grow with depth (Radford
    et al. 2019). Embedding: normal with standard deviation ½ / (logit scale · √width), so that initial logits have
    one of ½. All truncated at 3 standard deviations; norms 1. Drawn on the CPU in float32, so equal on all devices.
    """
    spec = decoder.spec
    names = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj")
    depth = (2 * spec.layers) ** -0.5
    spread = INITIAL_LOGITS / (LOGIT_SCALE * spec.width**0.5)
    with torch.no_grad():
        table = _draw("model.embed_tokens.weight", seed, (decoder.vocabulary, spec.width), spread)
        decoder.embedding.weight.copy_(table)
        decoder.norm.weight.fill_(1.0)
        for i, block in enumerate(decoder.blocks):
            assert isinstance(block, Block)
            at = f"model.layers.{i}"
            rows = [
                _glorot(f"{at}.{name}.weight", seed, (size, spec.width))
                for name, size in zip(names, block.sizes, strict=True)
            ]
            block.inner.weight.copy_(torch.cat(rows))
            attention = _glorot(f"{at}.self_attn.o_proj.weight", seed, (spec.width, spec.width))
            down = _glorot(f"{at}.mlp.down_proj.weight", seed, (spec.width, spec.feed_forward))
            block.outer.weight.copy_(torch.cat((attention, down), 1) * depth)
            block.norm.weight.fill_(1.0)


def _glorot(name: str, seed: int, shape: tuple[int, int]) -> Tensor:
    return _draw(name, seed, shape, (2 / sum(shape)) ** 0.5)


def _draw(name: str, seed: int, shape: tuple[int, int], std: float) -> Tensor:
    key = hashlib.sha256(f"pretrial init {seed} {name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)
    values = torch.empty(shape)
    return nn.init.trunc_normal_(values, 0.0, std, -3 * std, 3 * std, generator=generator)
