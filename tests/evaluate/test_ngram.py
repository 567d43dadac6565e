"""The 3-gram model: a probability, the published formula, and windows cut where attention is."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.evaluate.ngram import FALLBACK_DISCOUNT, TrigramModel


def events(stream: list[int], vocabulary: int) -> list[tuple[int, int, int]]:
    padded = [vocabulary, *stream]
    return list(zip(padded, padded[1:], padded[2:], strict=False))


class Reference:
    """Chen & Goodman 1999, section 3, with dictionaries, written from the paper's equations."""

    def __init__(self, vocabulary: int, seen: list[tuple[int, int, int]]) -> None:
        self.vocabulary = vocabulary
        trigrams = Counter(((a, b), c) for a, b, c in seen)
        bigrams = Counter(((h[1],), w) for h, w in trigrams)
        unigrams = Counter(((), w) for h, w in bigrams)
        self.orders = [self.table(counts) for counts in (unigrams, bigrams, trigrams)]

    @staticmethod
    def table(counts: Counter) -> tuple[dict, list[float]]:
        n = Counter(counts.values())
        discounts = [0.0] + [FALLBACK_DISCOUNT] * 3
        if n[1] and n[2]:
            y = n[1] / (n[1] + 2 * n[2])
            for k in (1, 2, 3):
                if n[k] and 0 < k - (k + 1) * y * n[k + 1] / n[k] < k:
                    discounts[k] = k - (k + 1) * y * n[k + 1] / n[k]
        by_history: dict = defaultdict(dict)
        for (history, word), count in counts.items():
            by_history[history][word] = count
        return by_history, discounts

    def p(self, two: int, one: int, word: int) -> float:
        p = 1 / self.vocabulary
        for (by_history, discounts), history in zip(self.orders, ((), (one,), (two, one)), strict=True):
            followers = by_history.get(history)
            if followers is None:
                continue
            total = sum(followers.values())
            count = followers.get(word, 0)
            freed = sum(discounts[min(c, 3)] for c in followers.values())
            p = (max(0.0, count - discounts[min(count, 3)]) + freed * p) / total
        return p


def fit(stream: list[int], vocabulary: int) -> TrigramModel:
    two, one, token = np.array(events(stream, vocabulary), dtype=np.int64).T
    return TrigramModel(vocabulary, two, one, token)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=120), st.integers(0, 5), st.integers(0, 4))
def test_probabilities_after_any_history_sum_to_one_and_follow_the_formula(
    stream: list[int], two: int, one: int
) -> None:
    model, reference = fit(stream, 5), Reference(5, events(stream, 5))
    p = model.probability(np.full(5, two), np.full(5, one), np.arange(5))
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert (p > 0).all()
    assert p == pytest.approx([reference.p(two, one, word) for word in range(5)], abs=1e-12)


def test_agrees_with_the_slow_reference_on_a_longer_text() -> None:
    rng = np.random.default_rng(0)
    stream = (rng.zipf(1.3, 5000) % 40).tolist()
    model, reference = fit(stream, 40), Reference(40, events(stream, 40))
    test = np.array([39, *(rng.zipf(1.3, 300) % 40).tolist()])
    padded = [40, *test.tolist()]
    expected = [math.log(reference.p(*history)) for history in zip(padded, padded[1:], padded[2:], strict=False)]
    assert model.logprobs(test) == pytest.approx(expected, abs=1e-10)


def test_windows_give_no_history_across_documents_or_window_edges() -> None:
    tokens = np.array([[1, 2, 9, 3, 4]])  # 9 is the mark: it opens the second document
    segments = np.array([[0, 0, 1, 1]])
    windows = TrigramModel.from_windows(10, [(tokens, segments)])
    direct = TrigramModel(10, np.array([10, 1, 10, 9]), np.array([1, 2, 9, 3]), np.array([2, 9, 3, 4]))
    two, one = np.repeat(np.arange(11), 10), np.tile(np.arange(10), 11)
    for token in range(10):
        target = np.full(len(two), token)
        assert (windows.probability(two, one, target) == direct.probability(two, one, target)).all()


def test_a_text_like_the_one_it_learned_from_costs_less() -> None:
    pattern = [0, 1, 2, 3, 1, 0, 2, 2] * 200
    model = fit(pattern, 64)
    familiar = -model.logprobs(np.array(pattern[:80])).mean() / math.log(2)
    strange = -model.logprobs(np.random.default_rng(1).integers(0, 64, 80)).mean() / math.log(2)
    assert familiar < 1.0
    assert strange > 5.0


def test_nothing_to_learn_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        TrigramModel.from_windows(10, [])
