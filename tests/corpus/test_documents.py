"""How arrays reach the disk."""

from __future__ import annotations

import errno
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pretrial.corpus.documents import save_array


@pytest.mark.parametrize(
    "array", [np.arange(5), np.zeros((0,), np.int64), np.arange(6, dtype="<u2").reshape(2, 3), np.zeros(3, bool)]
)
def test_arrays_are_written_as_numpy_writes_them(tmp_path: Path, array: Any) -> None:
    save_array(tmp_path / "ours.npy", array)
    np.save(tmp_path / "numpys.npy", array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes()


def test_an_array_that_does_not_fit_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            save_array(tmp_path / "x.npy", np.zeros(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "x.npy"))
    assert not list(tmp_path.iterdir())
