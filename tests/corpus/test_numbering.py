"""Numbers for names: equal ones for equal names, in the order of their hashes, whatever the pieces and the memory."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.corpus import numbering
from pretrial.corpus.numbering import digest_keys, distinct, name_keys, numbered

NAMES = st.lists(st.lists(st.text(max_size=3), max_size=30), max_size=6)


@settings(deadline=None, max_examples=60)
@given(NAMES)
def test_names_are_numbered_in_the_order_of_their_hashes(pieces: list[list[str]]) -> None:
    everything = [name for piece in pieces for name in piece]
    ordered = sorted(set(everything), key=lambda name: hashlib.sha256(name.encode()).digest())
    keys = [name_keys(pa.array(piece, pa.string())) for piece in pieces]
    with tempfile.TemporaryDirectory() as folder:
        numbers, count = numbered(iter(keys), len(everything), Path(folder, "a"))
        assert [ordered[number] for number in numbers] == everything
        assert count == len(ordered) == distinct(iter(keys), Path(folder, "b"))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(min_size=16, max_size=16) | st.sampled_from([b"\x00" * 16, b"\xff" * 16]), max_size=40))
def test_digests_are_numbered_in_their_own_order(digests: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        numbers, count = numbered([digest_keys(pa.array(digests, pa.binary(16)))], len(digests), Path(folder))
    assert numbers.tolist() == [sorted(set(digests)).index(digest) for digest in digests]
    assert count == len(set(digests))


def test_little_memory_gives_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    names = [f"document:{number}" for number in draw.integers(0, 20_000, 50_000)]
    keys = [name_keys(pa.array(names[start : start + 999])) for start in range(0, len(names), 999)]
    numbers, count = numbered(keys, len(names), tmp_path / "much")
    assert not (tmp_path / "much").exists(), "so few rows need no file"
    monkeypatch.setattr(numbering, "MEMORY", 200_000)
    fewer, again = numbered(keys, len(names), tmp_path / "little")
    assert (tmp_path / "little").exists()
    assert not list((tmp_path / "little").iterdir())
    assert np.array_equal(numbers, fewer)
    assert count == again == len(set(names)) == distinct(keys, tmp_path / "counted")


def test_rows_that_are_missing_are_noticed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 keys for 2 rows"):
        numbered([name_keys(pa.array(["a"]))], 2, tmp_path)
