"""Repeated runs of words, counted with numpy.

Guarantees: exact, and the same for every hash seed; about 40 bytes a word beside the text and, for each different word
that comes more than once, the word itself. Apart from the rules, which planning imports to know their thresholds, and
which must not cost it numpy.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrial.corpus.rules.words import words_of

Ints = NDArray[np.signedinteger[Any]]
_PIECE = 1 << 20
"""Characters whose words are held as text at a time, and numbers that are sorted at a time: what a cache can hold."""
_WHOLE = 1 << 23
"""Characters up to which all words are held as text at once, which is faster."""
_SPACE = re.compile(r"\s")


class Runs:
    """Runs of n words of a text that come more than once.

    Fast where it is asked for rising n: a run of n words comes again only where its first n − 1 words do, so each n
    looks at what the one before it left.
    """

    def __init__(self, text: str) -> None:
        # The machine's own numbers are faster, half as wide ones smaller.
        number = np.dtype(np.int32 if _WHOLE < len(text) < 1 << 31 else np.int64)
        self.words: Ints
        """A number for each word, equal for equal words."""
        self.before: Ints
        """Characters of words before each word, and of all."""
        if len(text) <= _WHOLE:
            words = words_of(text)
            known = dict(zip(dict.fromkeys(words), range(len(words)), strict=False))
            self.words = np.fromiter(map(known.__getitem__, words), number, len(words))
            self._kinds = len(known)
            lengths = np.fromiter(map(len, words), number, len(words))
        else:
            self.words, self._kinds, lengths = _numbered(text, number)
        self.before = np.zeros(len(lengths) + 1, number)
        np.cumsum(lengths, out=self.before[1:])
        self._n = 0
        self._begins = self._numbers = np.zeros(0, number)

    @property
    def characters(self) -> int:
        """Characters in words."""
        return int(self.before[-1])

    def repeated(self, n: int) -> tuple[Ints, Ints]:
        """Where runs of n words begin that come more than once, in order, and a number for each: equal for equal runs.

        Exact: numbers are given anew for every n.
        """
        if n < self._n or not self._n:
            everywhere: Ints = np.arange(len(self.words), dtype=self.words.dtype)
            self._n, self._begins, self._numbers = 1, *_again(everywhere, self.words)
        while self._n < n:
            if not len(self._begins):
                self._n = n
                break
            # They rise, and each had room for a word less: the last alone may lack room for one more.
            fit = len(self._begins) - int(self._begins[-1] == len(self.words) - self._n)
            begins = self._begins[:fit]
            # Two numbers below 2³¹ make one below 2⁶².
            longer = self._numbers[:fit].astype(np.int64)
            longer *= self._kinds
            longer += self.words[begins + self._n]
            self._n, self._begins, self._numbers = self._n + 1, *_again(begins, longer)
        return self._begins, self._numbers

    def top_share(self, n: int) -> float:
        """Characters in the most frequent run of n words over all characters; 0 where none comes twice.

        Of equally frequent runs the longest counts.
        """
        begins, numbers = self.repeated(n)
        if not len(begins):
            return 0.0
        counts = np.bincount(numbers)
        most = int(counts.max())
        begins = begins[counts[numbers] == most]
        longest = int((self.before[begins + n] - self.before[begins]).max())
        return min(1.0, most * longest / self.characters)

    def repeated_share(self, n: int) -> float:
        """Characters in runs of n words that came before in the text, each counted once, over all characters."""
        begins, numbers = self.repeated(n)
        if not len(begins):
            return 0.0
        first = np.empty(int(numbers.max()) + 1, np.int64)
        # The last assignment stays, which is that of the first of equal runs.
        first[numbers[::-1]] = begins[::-1]
        begins = begins[begins != first[numbers]]
        ends = begins + n
        # Runs of one length in order: where the next begins, one is done.
        ends[:-1] = np.minimum(ends[:-1], begins[1:])
        return int((self.before[ends] - self.before[begins]).sum()) / self.characters


def _numbers() -> defaultdict[str, int]:
    """Gives each word that it is asked for the next number, the first time."""
    known: defaultdict[str, int] = defaultdict()
    known.default_factory = known.__len__
    return known


def _numbered(text: str, number: np.dtype[Any]) -> tuple[Ints, int, Ints]:
    """Numbers of a long text's words, how many different ones there are, and the words' lengths.

    Words whose hash comes once are known to come once: no table has to hold them, which in a text of numbers or keys
    would be most of it.
    """
    hashes = np.concatenate([_mapped(hash, words, np.dtype(np.int64)) for words in _pieces(text)])
    ordered = np.sort(hashes)
    often = ordered[1:][ordered[1:] == ordered[:-1]]
    often = often[np.concatenate([[True], often[1:] != often[:-1]])] if len(often) else often
    del ordered
    numbers = np.empty(len(hashes), number)
    lengths = np.empty(len(hashes), number)
    known = _numbers()
    at = 0
    for words in _pieces(text):
        here = slice(at, at + len(words))
        at += len(words)
        lengths[here] = _mapped(len, words, number)
        again = _among(hashes[here], often)
        repeated = list(compress(words, again.tolist()))
        numbers[here][again] = _mapped(known.__getitem__, repeated, number)
        # Told apart from the others once it is known how many these are.
        numbers[here][~again] = -1
    once = numbers < 0
    alone = int(once.sum())
    numbers[once] = np.arange(len(known), len(known) + alone, dtype=number)
    return numbers, len(known) + alone, lengths


def _among(values: Ints, known: Ints) -> NDArray[np.bool_]:
    """Whether each value is one of those known, which rise."""
    if not len(known):
        return np.zeros(len(values), np.bool_)
    found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values
    return found


def _mapped(function: Callable[[str], int], words: Sequence[str], number: np.dtype[Any]) -> Ints:
    found: Ints = np.fromiter(map(function, words), number, len(words))
    return found


def _pieces(text: str) -> Iterator[list[str]]:
    """The words of a text, those of a piece at a time."""
    at = 0
    while at < len(text):
        space = _SPACE.search(text, at + _PIECE)
        end = space.start() if space else len(text)
        yield text[at:end].split()
        at = end


def _again(begins: Ints, numbers: Ints) -> tuple[Ints, Ints]:
    """What is there more than once, with small numbers; many are sorted in parts, between which nothing is equal."""
    parts = min(len(numbers) // _PIECE + 1, 256)
    if parts == 1:
        kept, named = _equal(numbers)
        back = np.argsort(kept)
        return begins[kept[back]], named[back].astype(begins.dtype, copy=False)
    part_of = (numbers % parts).astype(np.uint8)
    several = np.full(len(numbers), -1, begins.dtype)
    groups = 0
    for part in range(parts):
        where = np.flatnonzero(part_of == part)
        kept, named = _equal(numbers[where])
        several[where[kept]] = named + groups
        groups += int(named[-1]) + 1 if len(named) else 0
    often = several >= 0
    return begins[often], several[often]


def _equal(numbers: Ints) -> tuple[Ints, Ints]:
    """Where those lie that are there more than once, the equal ones together, and a number for each, which rises."""
    order = np.argsort(numbers)
    ordered = numbers[order]
    # Whether each is like the one before it in order.
    like = np.zeros(len(order) + 1, np.bool_)
    np.equal(ordered[1:], ordered[:-1], out=like[1:-1])
    often = like[1:] | like[:-1]
    return order[often], np.cumsum(~like[:-1][often]) - 1
