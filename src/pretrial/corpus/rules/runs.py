"""Repeated runs of words, counted with numpy.

Apart from the rules, which planning imports to know their thresholds, and which must not cost it numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pretrial.corpus.rules.words import words_of


class Runs:
    """Runs of n words of a text that come more than once.

    Fast where it is asked for rising n: a run of n words comes again only where its first n − 1 words do, so each n
    looks at what the one before it left.
    """

    def __init__(self, text: str) -> None:
        words = words_of(text)
        known = dict(zip(dict.fromkeys(words), range(len(words)), strict=False))
        self.words: NDArray[np.int64] = np.fromiter(map(known.__getitem__, words), np.int64, len(words))
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        self.before: NDArray[np.int64] = np.concatenate([[0], np.cumsum(lengths)])
        """Characters of words before each word, and of all."""
        self._kinds = len(known)
        self._n = 0
        self._begins = self._numbers = np.zeros(0, np.int64)

    @property
    def characters(self) -> int:
        """Characters in words."""
        return int(self.before[-1])

    def repeated(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where runs of n words begin that come more than once, in order, and a number for each: equal for equal runs.

        Exact: numbers are given anew for every n.
        """
        if n < self._n or not self._n:
            self._n, self._begins, self._numbers = 1, *_again(np.arange(len(self.words)), self.words)
        while self._n < n:
            if not len(self._begins):
                self._n = n
                break
            fits = self._begins < len(self.words) - self._n
            begins = self._begins[fits]
            # Two numbers below 2³¹ make one below 2⁶².
            longer = self._numbers[fits] * self._kinds + self.words[begins + self._n]
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


def _again(begins: NDArray[np.int64], numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What is there more than once, with small numbers."""
    order = np.argsort(numbers)
    ordered = numbers[order]
    # Whether each is like the one before it in order.
    like = np.zeros(len(order) + 1, np.bool_)
    np.equal(ordered[1:], ordered[:-1], out=like[1:-1])
    often = like[1:] | like[:-1]
    kept = order[often]
    named = np.cumsum(~like[:-1][often]) - 1
    back = np.argsort(kept)
    return begins[kept[back]], named[back]
