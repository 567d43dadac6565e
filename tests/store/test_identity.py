"""What identity is: equal recipes have equal keys, unequal ones do not, and what cannot be said is refused."""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.store.identity import UnhashableError, canonical, differences, fingerprint, hash_file

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.fractions(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Colour(enum.IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        Path("/tmp/x"),
        {1, 2},
        frozenset(),
        float("nan"),
        float("inf"),
        -float("inf"),
        np.float64(1.0),
        np.int64(1),
        np.bool_(True),
        np.arange(3),
        b"bytes",
        object(),
        len,
        Colour.RED,
        Name("x"),
        {1: "a"},
        {None: "a"},
        1 + 2j,
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "inside", [lambda x: x, lambda x: [x], lambda x: {"a": {"b": [0, x]}}], ids=["bare", "list", "map"]
)
def test_what_has_no_canonical_form_is_refused(value: Any, inside: Callable[[Any], Any]) -> None:
    with pytest.raises(UnhashableError):
        fingerprint(inside(value))


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(UnhashableError, match=r"recipe\.reader\.paths\[1\] is a .*Path"):
        fingerprint({"reader": {"paths": ["a", Path("b")]}})


@given(plain)
def test_the_order_of_keys_bears_no_identity(value: Any) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(item) for key, item in reversed(value.items())}
        return [turned(item) for item in value] if isinstance(value, list) else value

    assert fingerprint(value) == fingerprint(turned(value))


@given(plain, plain)
def test_keys_are_equal_exactly_when_the_canonical_forms_are(one: Any, other: Any) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (canonical(one) == canonical(other))
    assert (differences(one, other) == []) == (canonical(one) == canonical(other))


@given(plain)
def test_the_canonical_form_is_json_that_reads_back_to_itself(value: Any) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (1, True), (0, False), (0, None), ("1", 1), ([], {}), ({"a": None}, {}), ("a", "A"), ([1, 2], [2, 1])],
)
def test_what_looks_alike_is_kept_apart(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)
    assert differences({"x": one}, {"x": other})


def test_a_tuple_is_a_list_and_a_fraction_is_exact() -> None:
    assert canonical((1, Fraction(1, 3))) == '[1,{"/":[1,3]}]'
    assert fingerprint(Fraction(2, 6)) == fingerprint(Fraction(1, 3))


def test_text_is_hashed_as_it_is_written() -> None:
    assert canonical({"b": "→", "a": 0.1}) == '{"a":0.1,"b":"→"}'


def test_the_key_of_a_known_recipe_never_changes() -> None:
    recipe = {"kind": "train", "version": 1, "config": {"lr": 0.004, "shares": [Fraction(1, 2)]}, "inputs": {}}
    text = '{"config":{"lr":0.004,"shares":[{"/":[1,2]}]},"inputs":{},"kind":"train","version":1}'
    assert canonical(recipe) == text
    assert fingerprint(recipe) == "b282c5d2e4988f0b0813a775f457d03b" == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_differences_name_the_field_and_both_values() -> None:
    old = {"lr": 0.1, "stages": [{"tokens": 5}, {"tokens": 6}], "same": {"x": 1}, "gone": 3}
    new = {"lr": 0.2, "stages": [{"tokens": 5}, {"tokens": 7}], "same": {"x": 1}, "new": None}
    assert differences(old, new) == [
        ("gone", 3, None),
        ("lr", 0.1, 0.2),
        ("new", None, None),
        ("stages[1].tokens", 6, 7),
    ]


def test_lists_of_unlike_length_differ_whole() -> None:
    assert differences({"claims": ["a"]}, {"claims": ["a", "b"]}) == [("claims", ["a"], ["a", "b"])]


def test_a_file_is_hashed_across_chunks(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert (
        hash_file(path, chunk=2)
        == hash_file(path)
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
