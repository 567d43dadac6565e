"""What identity is: a canonical form of plain values, and its hash.

Two recipes are the same exactly when their canonical forms are equal. Literals bear identity; paths, workers
and log settings never come in here. What has no canonical form (paths, sets, callables, NaN, objects) is
refused rather than hashed by its memory address or default representation.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

KEY_LENGTH = 32


class UnhashableError(TypeError):
    """A value has no canonical form; the message gives its place in the recipe."""


def canonical(value: Any) -> str:
    """Canonical JSON of a plain value.

    Keys are sorted and there is no white space. Fractions become `{"/": [numerator, denominator]}`.

    Raises:
        UnhashableError: for anything but strings, booleans, integers, finite floats, `None`, fractions, lists,
            tuples and string-keyed maps.
    """
    return json.dumps(_plain(value, "recipe"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(value: Any) -> str:
    """Key of a plain value: the first 32 hex digits of the SHA-256 of its canonical form."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:KEY_LENGTH]


def hash_file(path: Path, chunk: int = 1 << 22) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(chunk):
            digest.update(block)
    return digest.hexdigest()


def differences(old: Any, new: Any, at: str = "") -> list[tuple[str, Any, Any]]:
    """Fields in which two plain values differ: (dotted path, old, new), absent ones as `None`.

    Empty exactly when the canonical forms are equal: 1, 1.0 and true differ, and so do absent and `None`.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found: list[tuple[str, Any, Any]] = []
        for key in sorted({*old, *new}):
            place = f"{at}.{key}" if at else str(key)
            if key in old and key in new:
                found += differences(old[key], new[key], place)
            else:
                found.append((place, old.get(key), new.get(key)))
        return found
    if isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        found = []
        for index, (left, right) in enumerate(zip(old, new, strict=True)):
            found += differences(left, right, f"{at}[{index}]")
        return found
    return [] if canonical(old) == canonical(new) else [(at, old, new)]


def _plain(value: Any, at: str) -> Any:
    # bool is an int and str-subclasses encode as str; exact types keep enums and numpy scalars out.
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise UnhashableError(f"{at} is {value}, which has no canonical form")
        return value
    if isinstance(value, Fraction):
        return {"/": [value.numerator, value.denominator]}
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str:
                raise UnhashableError(f"{at} has the key {key!r}; only strings can be keys")
        return {key: _plain(item, f"{at}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{at}[{index}]") for index, item in enumerate(value)]
    raise UnhashableError(f"{at} is a {type(value).__name__}, which has no canonical form")
