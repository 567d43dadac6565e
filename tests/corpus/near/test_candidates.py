"""Buckets: every pair of a small one, representatives of a crowded one, in any pieces."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.near.candidates import band_keys, bucket_pairs, copies, holders, rare_pairs

BUCKETS = st.lists(st.integers(0, 9), min_size=1, max_size=12)
CUTS = st.lists(st.integers(1, 7), min_size=1)


def pieces(rows: Any, sizes: list[int]) -> Iterator[Any]:
    """Columns cut into pieces of these sizes, over and over."""
    start, turn = 0, itertools.cycle(sizes)
    while start < rows.shape[1]:
        size = next(turn)
        yield rows[:, start : start + size]
        start += size


def listed(found: Any) -> list[tuple[int, int]]:
    return [pair for first, second in found for pair in zip(first.tolist(), second.tolist(), strict=True)]


@given(BUCKETS, CUTS, st.integers(1, 4))
def test_pairs_of_buckets(sizes: list[int], cuts: list[int], limit: int) -> None:
    documents, expected, crowd = 0, [], set()
    rows: list[tuple[int, int]] = []
    for key, size in enumerate(sizes):
        members = range(documents, documents + size)
        documents += size
        rows += [(7 * key, member) for member in members]
        expected += [(a, b) for i, a in enumerate(members) for b in members[i + 1 :] if i < limit]
        crowd |= set(members) if size > limit else set()
    crowded = np.zeros(documents, bool)
    table = np.array(rows, np.uint64).reshape(-1, 2).T
    found = listed(bucket_pairs(pieces(table, cuts), crowded, limit))
    assert sorted(found) == sorted(expected)
    assert set(np.flatnonzero(crowded).tolist()) == crowd


def rare(rows: set[tuple[int, int]], cuts: list[int], many: int, limit: int) -> tuple[Any, list[tuple[int, int]]]:
    """The rows of sets of documents, each once, and the pairs that come of them."""
    table = np.array(sorted(rows), np.uint64).T
    sets = np.concatenate([np.empty((3, 0), np.uint64), *holders(pieces(table, cuts), limit)], axis=1)
    sets = np.unique(sets, axis=1)
    return sets, listed(rare_pairs(pieces(sets, cuts), many, limit))


ROWS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1)


@given(ROWS, CUTS, st.integers(1, 20), st.integers(1, 5), st.sampled_from([0, 2**32 - 5, 2**40]))
def test_what_few_have_makes_pairs_and_what_many_have_makes_none(
    rows: set[tuple[int, int]], cuts: list[int], many: int, limit: int, first: int
) -> None:
    rows = {(key, first + document) for key, document in rows}
    held = [sorted(document for key, document in rows if key == wanted) for wanted in range(7)]
    expected = {pair for one in held if len(one) <= limit for pair in itertools.combinations(one, 2)}
    assert set(rare(rows, cuts, many, limit)[1]) == expected


def test_what_documents_have_in_common_costs_their_pairs_once() -> None:
    """A thousand keys of the same documents, and a thousand that one of them lacks."""
    group = set(range(100, 140))
    rows = {(key, document) for key in range(1000) for document in group}
    rows |= {(key, document) for key in range(1000, 2000) for document in group - {100 + key % 40}}
    for many in (2000, 10**6):
        sets, pairs = rare(rows, [1000], many, 64)
        assert sets.shape[1] == 40 + 40 * 39
        assert sorted(pairs) == list(itertools.combinations(sorted(group), 2))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40), CUTS)
def test_a_copy_is_paired_with_the_first_of_its_kind(digests: list[tuple[int, int]], cuts: list[int]) -> None:
    table = np.array(sorted((*digest, number) for number, digest in enumerate(digests)), np.uint64).T
    groups = defaultdict(list)
    for number, digest in enumerate(digests):
        groups[digest].append(number)
    expected = [(group[0], other) for group in groups.values() for other in group[1:]]
    assert sorted(listed(copies(pieces(table, cuts)))) == sorted(expected)


@given(st.lists(st.lists(st.integers(0, 1), min_size=6, max_size=6), min_size=2, max_size=8))
def test_a_band_has_one_key_for_each_of_its_values(signatures: list[list[int]]) -> None:
    table = np.array(signatures, np.uint32)
    keys = band_keys(table, 3, 2)
    for a, b in itertools.combinations(range(len(table)), 2):
        for band in range(3):
            same = table[a, 2 * band : 2 * band + 2].tolist() == table[b, 2 * band : 2 * band + 2].tolist()
            assert (keys[a, band] == keys[b, band]) == same
            assert keys[a, band] not in np.delete(keys[b], band)


def test_what_lies_behind_the_bands_is_left_out() -> None:
    table = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 4, 6]], np.uint32)
    assert np.array_equal(*band_keys(table, 2, 2))
