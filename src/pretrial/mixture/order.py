"""Which window of a source its k-th draw is.

Guarantees: every window exactly once per epoch; epochs differ in order; the position is one integer and a
look-up costs the same at every position; the result depends on the source's content, the two seeds and the
position alone, never on variant, stage, budget, batch or rank. The order seed moves windows inside blocks
of 4,096 draws only, so for one subset seed every complete block holds the same windows under all order
seeds.

Both permutations are keyed Feistel networks (balanced halves, 8 rounds, SplitMix64 as round function:
Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014), brought to the wanted
size by cycle walking (Black and Rogaway, *Ciphers with arbitrary finite domains*, CT-RSA 2002). They
shuffle; they keep no secret.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK = 4096
"""Draws inside which the order seed permutes."""
MAX_WINDOWS = 1 << 40
ROUNDS = 8
_CHUNK = 1 << 16

U64 = NDArray[np.uint64]


class SourceOrder:
    """The order in which the windows of one source are drawn.

    `content`: hash of the source's training tokens; `windows`: how many it has (1 to 2⁴⁰); `subset`, `order`:
    seeds. Raises `ValueError` for a count outside its range.
    """

    def __init__(self, content: str, windows: int, subset: int, order: int) -> None:
        if not 1 <= windows <= MAX_WINDOWS:
            raise ValueError(f"a source must have from 1 to 2**40 windows, not {windows:,}")
        self.content = content
        self.windows = windows
        self.subset = subset
        self.order = order
        self._blocks = -(-windows // BLOCK)
        self._last = windows - (self._blocks - 1) * BLOCK

    def window(self, k: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Epoch and window of draws `k` (counted from 0): two arrays of the shape of `k`."""
        draws = np.asarray(k, dtype=np.int64)
        if draws.size and int(draws.min()) < 0:
            raise ValueError(f"a draw cannot be negative: {int(draws.min())}")
        flat = draws.reshape(-1)
        epoch, position = np.divmod(flat, self.windows)
        window = np.empty_like(flat)
        for at in range(0, flat.size, _CHUNK):
            part = slice(at, at + _CHUNK)
            window[part] = self._permuted(epoch[part], position[part])
        return epoch.reshape(draws.shape), window.reshape(draws.shape)

    def _permuted(self, epoch: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.int64]:
        block, inside = np.divmod(position, BLOCK)
        pairs, row = np.unique(epoch * self._blocks + block, return_inverse=True)
        keys = np.stack(
            [
                _round_keys("order", self.order, self.content, int(pair) // self._blocks, int(pair) % self._blocks)
                for pair in pairs
            ]
        )
        last = pairs % self._blocks == self._blocks - 1
        sizes = np.where(last, self._last, BLOCK).astype(np.uint64)
        halves = np.where(last, _half_bits(self._last), _half_bits(BLOCK)).astype(np.uint64)
        moved = _permute(inside.astype(np.uint64), row, sizes, halves, keys).astype(np.int64)
        epochs, row = np.unique(epoch, return_inverse=True)
        keys = np.stack([_round_keys("subset", self.subset, self.content, int(e), 0) for e in epochs])
        sizes = np.full(len(epochs), self.windows, dtype=np.uint64)
        halves = np.full(len(epochs), _half_bits(self.windows), dtype=np.uint64)
        return _permute((block * BLOCK + moved).astype(np.uint64), row, sizes, halves, keys).astype(np.int64)


def _half_bits(size: int) -> int:
    """Bits of one half of the smallest balanced Feistel domain of at least `size` values."""
    return max(1, ((size - 1).bit_length() + 1) // 2)


def _round_keys(purpose: str, seed: int, content: str, epoch: int, block: int) -> U64:
    """Eight 64-bit round keys: the SHA-256 of what the permutation may depend on, and the SHA-256 of that."""
    first = hashlib.sha256(f"{purpose}\0{seed}\0{content}\0{epoch}\0{block}".encode()).digest()
    both = first + hashlib.sha256(first).digest()
    return np.frombuffer(both, dtype="<u8").astype(np.uint64)


def _permute(x: U64, row: NDArray[np.intp], sizes: U64, halves: U64, keys: U64) -> U64:
    """Image of x[i] (below sizes[row[i]]) under permutation row[i]; x, row: [n], keys: [m, 8], others [m]."""
    row = row.reshape(-1)
    out = _feistel(x, row, halves, keys)
    outside = np.flatnonzero(out >= sizes[row])
    while outside.size:
        walked = _feistel(out[outside], row[outside], halves, keys)
        out[outside] = walked
        outside = outside[walked >= sizes[row[outside]]]
    return out


def _feistel(x: U64, row: NDArray[np.intp], halves: U64, keys: U64) -> U64:
    half = halves[row]
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = x >> half, x & mask
    for index in range(ROUNDS):
        left, right = right, left ^ (_splitmix64(right ^ keys[row, index]) & mask)
    return (left << half) | right


def _splitmix64(x: U64) -> U64:
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
