"""Rolling hashes of windows, sets of keys, and the small array operations that matching is made of.

Guarantees: pure functions of arrays, linear in their length but for sorts. Does not: know texts or benchmarks. A hash
says where to look; whoever uses one compares symbols (`same_windows`) before anything counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pretrial.corpus.contamination.symbols import Ints, Keys, Symbols

_CHUNK = 1 << 17
_COMPARED = 1 << 14
_U64 = (1 << 64) - 1


def window_hashes(values: Keys, lengths: Sequence[int], base: int) -> list[Keys]:
    """Hashes of every window of each of the lengths: Σ v_j · base^(length−1−j) modulo 2⁶⁴, by doubling."""
    done: list[Keys | None] = [None] * len(lengths)
    window, size = values, 1
    while True:
        for place, length in enumerate(lengths):
            if length & size:
                # What was put together so far stands in front of this part.
                first = done[place]
                done[place] = window if first is None else _joined(first, window[length & (size - 1) :], size, base)
        if 2 * size > max(lengths):
            return [hashes for hashes in done if hashes is not None]
        window = _joined(window, window[size:], size, base)
        size *= 2


def _joined(first: Keys, second: Keys, second_length: int, base: int) -> Keys:
    count = min(len(first), len(second))
    out = first[:count] * np.uint64(pow(base, second_length, 1 << 64))
    out += second[:count]
    return out


def longer(hashes: Keys, values: Symbols, base: int) -> Keys:
    """Hashes of windows with a value more at their end."""
    return hashes * np.uint64(base) + values.astype(np.uint64)


def whole_keys(hashes: Keys, length: int) -> Keys:
    """Keys of whole texts of a length, apart from those of other lengths."""
    return hashes + np.uint64(length * 0xA0761D6478BD642F & _U64)


class Filter:
    """Tells most keys that are not in a set from those that may be: one bit for each value of the leading bits."""

    def __init__(self, keys: Keys) -> None:
        bits = max(16, min(28, (32 * len(keys)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._bytes = np.zeros(1 << (bits - 3), np.uint8)
        for start in range(0, len(keys), _CHUNK):
            at, bit = self._places(keys[start : start + _CHUNK])
            np.bitwise_or.at(self._bytes, at, np.uint8(1) << bit)

    def may_hold(self, keys: Keys) -> Ints:
        """Places of the keys that may be in the set."""
        at, bit = self._places(keys)
        return np.flatnonzero((self._bytes[at] >> bit) & np.uint8(1))

    def _places(self, keys: Keys) -> tuple[Ints, npt.NDArray[np.uint8]]:
        leading = keys >> self._shift
        return (leading >> np.uint64(3)).view(np.int64), leading.astype(np.uint8) & np.uint8(7)


def find(keys: Keys, among: Keys) -> Ints:
    """Place of each of `keys` in the sorted `among`, −1 where it is not there."""
    if not len(among):
        return np.full(len(keys), -1, np.int64)
    at = np.searchsorted(among, keys)
    at[at == len(among)] = 0
    return np.where(among[at] == keys, at, -1)


def same_windows(first: Symbols, at: Ints, second: Symbols, there: Ints, length: int) -> npt.NDArray[np.bool_]:
    """Whether the symbols of two arrays are equal, `length` of them from each pair of places."""
    same = np.zeros(len(at), bool)
    if len(at):
        left = np.lib.stride_tricks.sliding_window_view(first, length)
        right = np.lib.stride_tricks.sliding_window_view(second, length)
        for start in range(0, len(at), _COMPARED):
            part = slice(start, start + _COMPARED)
            same[part] = (left[at[part]] == right[there[part]]).all(axis=1)
    return same


def expand(starts: Ints, sizes: Ints) -> Ints:
    """The numbers from each start on, as many as its size, one after the other."""
    total = int(sizes.sum())
    return np.arange(total) - np.repeat(np.cumsum(sizes) - sizes - starts, sizes)


def covered(group: Ints, place: Ints, n: int, groups: int) -> Ints:
    """Symbols that windows of n cover, by group; windows may overlap and come in any order."""
    if not len(group):
        return np.zeros(groups, np.int64)
    order = np.lexsort((place, group))
    group, place = group[order], place[order]
    gain = np.full(len(group), n, np.int64)
    near = group[1:] == group[:-1]
    gain[1:][near] = np.minimum(n, np.diff(place)[near])
    return np.bincount(group, gain, groups).astype(np.int64)


def changes(*columns: Symbols) -> npt.NDArray[np.bool_]:
    """Whether a row of sorted columns differs from the one before it; the first does."""
    new = np.ones(len(columns[0]), bool)
    new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return new
