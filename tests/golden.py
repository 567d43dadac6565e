"""Goldens: what each kind of step makes of a fixed input, kept under its semantics version.

What is made here is arithmetic alone (no random generator of a library), so that a golden changes with Pretrial and
not with a library. Values that a processor computes are compared within a tolerance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

MESSAGE = """what {kind!r} makes of the same input has changed, and its semantics version has not.
  Meant: raise the version of {kind!r} in {module} (it is {version}), say what changed in docs/decisions.md, and put the
  new output under the new version here. Not meant: it is a defect, since a store would go on serving the old output."""


def unchanged(
    kind: str, version: int, found: Any, goldens: Mapping[tuple[str, int], Any], module: str, rel: float | None = None
) -> None:
    """Fail where an output is not the golden of its version; with `rel`, numbers may differ by that share."""
    if (kind, version) not in goldens:
        pytest.fail(f"there is no golden for version {version} of {kind!r}; this is its output:\n{found!r}")
    wanted = goldens[kind, version]
    same = close(found, wanted, rel) if rel is not None else found == wanted
    if not same:
        said = MESSAGE.format(kind=kind, version=version, module=module)
        pytest.fail(f"{said}\nwanted: {wanted!r}\nfound:  {found!r}")


def close(found: Any, wanted: Any, rel: float) -> bool:
    """Whether two values of lists, maps and numbers are the same but for roundings."""
    if isinstance(wanted, Mapping):
        return found.keys() == wanted.keys() and all(close(found[key], wanted[key], rel) for key in wanted)
    if isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(close(a, b, rel) for a, b in zip(found, wanted, strict=True))
    if isinstance(wanted, float):
        return bool(abs(found - wanted) <= rel * max(abs(wanted), 0.1))
    return bool(found == wanted)


def digest(*values: Any) -> str:
    """16 hex digits of values that JSON can hold (bytes as hex)."""
    text = json.dumps(values, sort_keys=True, default=lambda value: value.hex())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def numbers(seed: object, count: int, below: int) -> list[int]:
    """Pseudo-random numbers from 0 to `below` − 1 (at most 2³²)."""
    hashes = b"".join(hashlib.sha256(f"{seed} {i}".encode()).digest() for i in range(-(-count // 8)))
    return [int(value) % below for value in np.frombuffer(hashes, "<u4")[:count]]


def words(seed: int, count: int) -> str:
    """Text of so many made-up words."""
    made = []
    for number in numbers(seed, count, 1 << 30):
        syllables = [("bcdfgklmnprstv"[number >> i & 7] + "aeiou"[(number >> i + 3) % 5]) for i in range(0, 18, 6)]
        made.append("".join(syllables[: 1 + number % 3]))
    return " ".join(made)


def weights(seed: object, shape: tuple[int, ...], spread: float) -> Any:
    """An array [shape] (float32) of mean 0 and the standard deviation `spread`, evenly spread."""
    values = np.array(numbers(seed, int(np.prod(shape)), 1 << 32), dtype=np.float64) / 2**31 - 1
    return (spread * 3**0.5 * values).reshape(shape).astype(np.float32)
