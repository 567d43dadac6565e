"""Sorting on disk: the same rows in the same order, however little memory there is."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.corpus import sorting
from pretrial.corpus.sorting import Sorter

VALUES = np.array([0, 1, 2, 3, 2**63, 2**64 - 2, 2**64 - 1], np.uint64)


def rows_of(pieces: list[npt.NDArray[np.uint64]]) -> list[tuple[int, ...]]:
    return [tuple(row) for piece in pieces for row in piece.T.tolist()]


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 80), max_size=12),
    columns=st.integers(1, 3),
    least=st.integers(1, 40),
    open_files=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_rows_come_sorted_and_once(sizes: list[int], columns: int, least: int, open_files: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    pieces = [draw.choice(VALUES, (columns, size)) for size in sizes]
    expected = sorted(set(rows_of(pieces)))
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(sorting, "_LEAST_ROWS", least)
        patch.setattr(sorting, "_OPEN_FILES", open_files)
        for memory in (0, 10**6):
            sorter = Sorter(Path(folder, "runs"), columns, memory)
            for piece in pieces:
                sorter.add(*piece)
            assert rows_of(list(sorter.sorted())) == expected
            assert not [path for path in Path(folder).rglob("*") if path.is_file()]


def test_many_runs_of_one_value_are_merged_in_several_passes(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    rows = np.stack([draw.integers(0, 3, 150_000), draw.integers(0, 300_000, 150_000)]).astype(np.uint64)
    sorter = Sorter(tmp_path, 2, memory=100_000)
    most = 0
    for start in range(0, rows.shape[1], 5000):
        sorter.add(*rows[:, start : start + 5000])
        most = max(most, len(list(tmp_path.iterdir())))
    assert most > 40
    pieces = list(sorter.sorted())
    assert max(piece.shape[1] for piece in pieces) <= 2 * sorting._LEAST_ROWS
    assert np.array_equal(np.concatenate(pieces, axis=1), np.unique(rows, axis=1))
