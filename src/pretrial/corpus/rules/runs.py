"""Repeated runs of words, counted with numpy.

Apart from the rules, which planning imports to know their thresholds, and which must not cost it numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pretrial.corpus.rules.words import words_of


class Runs:
    """Runs of n words of a text, as numbers: equal runs have equal numbers.

    Raises nothing; a text with fewer than n words has no run of n.
    """

    def __init__(self, text: str) -> None:
        words = words_of(text)
        known: dict[str, int] = {}
        self.words: NDArray[np.int64] = np.array([known.setdefault(w, len(known)) for w in words], dtype=np.int64)
        lengths = np.array([len(word) for word in words], dtype=np.int64)
        self.before: NDArray[np.int64] = np.concatenate([[0], np.cumsum(lengths)])
        """Characters of words before each word, and of all."""
        self._kinds = max(1, len(known))

    @property
    def characters(self) -> int:
        """Characters in words."""
        return int(self.before[-1])

    def numbers(self, n: int) -> NDArray[np.int64]:
        """One number for each run of n words [words − n + 1]; exact, since numbers are renamed at every step."""
        count = len(self.words) - n + 1
        if count < 1:
            return np.zeros(0, dtype=np.int64)
        runs = self.words[:count]
        for k in range(1, n):
            # Two numbers below 2³¹ make one below 2⁶²; naming them anew keeps them small.
            pairs = runs * self._kinds + self.words[k : k + count]
            runs = np.unique(pairs, return_inverse=True)[1]
        return runs

    def top_share(self, n: int) -> float:
        """Characters in the most frequent run of n words over all characters; 0 where none comes twice.

        Of equally frequent runs the longest counts.
        """
        runs = self.numbers(n)
        if not len(runs) or not self.characters:
            return 0.0
        first, counts = np.unique(runs, return_index=True, return_counts=True)[1:]
        most = int(counts.max())
        if most < 2:
            return 0.0
        begins = first[counts == most]
        longest = int((self.before[begins + n] - self.before[begins]).max())
        return min(1.0, most * longest / self.characters)

    def repeated_share(self, n: int) -> float:
        """Characters in runs of n words that came before in the text, each counted once, over all characters."""
        runs = self.numbers(n)
        if not len(runs) or not self.characters:
            return 0.0
        again = np.ones(len(runs), dtype=np.bool_)
        again[np.unique(runs, return_index=True)[1]] = False
        begins = np.flatnonzero(again)
        edges = np.zeros(len(self.words) + 1, dtype=np.int64)
        np.add.at(edges, begins, 1)
        np.add.at(edges, begins + n, -1)
        covered = np.cumsum(edges[:-1]) > 0
        return float(np.diff(self.before)[covered].sum()) / self.characters
