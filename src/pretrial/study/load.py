"""The two ways to a study: a YAML file, and a mapping in Python.

Guarantees: both go through the same schema and the same checks, and give equal studies for equal content. A
problem is a `RequestError` that names file, line and dotted key (in Python: origin and key) and the nearest
right word; several problems are told at once.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pretrial.study.document import read_document
from pretrial.study.form import Form, StudyForm, form_at
from pretrial.study.problems import Problems, did_you_mean, nearest
from pretrial.study.resolve import resolve
from pretrial.study.schema import Study


def load_study(path: str | os.PathLike[str]) -> Study:
    """The study in a YAML file. Raises `RequestError`."""
    path = Path(path)
    data, marks = read_document(path)
    return _build(data, Problems(str(path), marks), str(path.parent.absolute()))


def parse_study(mapping: Mapping[str, Any], origin: str = "<python>") -> Study:
    """The study of a mapping that says what a file would say, under the same keys. Raises `RequestError`.

    Fractions are taken as shares, tuples as lists, paths as text. Relative paths count from the working
    folder.
    """
    problems = Problems(origin, {})
    data = _plain(mapping, "", problems)
    problems.check()
    return _build(data, problems, None)


def _build(data: object, problems: Problems, folder: str | None) -> Study:
    if not isinstance(data, dict):
        problems.add("", f"a study is a mapping of keys, not {_called(data)}")
        problems.check()
    try:
        form = StudyForm.model_validate(data)
    except ValidationError as error:
        # A misspelled key is also a missing one: say only what it should have been.
        found = sorted(error.errors(include_url=False), key=lambda details: details["type"] != "extra_forbidden")
        meant: set[tuple[int | str, ...]] = set()
        for details in found:
            if details["type"] == "extra_forbidden":
                meant.add(_note_unknown(details["loc"], problems))
            elif details["loc"] not in meant:
                _note(details, problems)
        problems.check()
        raise
    return resolve(form, problems, folder)


def _plain(value: object, path: str, problems: Problems) -> object:
    """Python data as a YAML file would give it."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                problems.add(path, f"the key {key!r} is not text")
        return {str(key): _plain(item, f"{path}.{key}" if path else str(key), problems) for key, item in value.items()}
    if value is None or isinstance(value, (str, bool, int, float, Fraction)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Sequence):
        return [_plain(item, f"{path}.{i}" if path else str(i), problems) for i, item in enumerate(value)]
    problems.add(path, f"{type(value).__name__} is not something a study file can say")
    return None


_TYPES = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "list_type": "must be a list",
    "finite_number": "must be a finite number",
    "too_short": "is empty, or has too few items",
    "too_long": "has too many items",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _note(details: ErrorDetails, problems: Problems) -> None:
    """Note one of pydantic's errors in the study file's own terms."""
    loc = tuple(step for step in details["loc"] if step != "[key]")
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    path = problems.nearest(*loc)
    key = str(loc[-1]) if loc else ""
    if kind == "missing":
        form = form_at(loc[:-1])
        meaning = next((f.description for f in form.model_fields.values() if f.alias == key), None) if form else None
        problems.add(path, f"{key!r} is missing", meaning)
    elif kind == "literal_error":
        known = re.findall(r"'([^']*)'", str(context.get("expected", ""))) or [str(context.get("expected"))]
        what = f"{_shown(value)} is not one of {', '.join(known)}" if len(known) > 1 else f"must be {known[0]}"
        near = nearest(value, known) if isinstance(value, str) and len(known) > 1 else None
        problems.add(path, what, f"did you mean {near!r}?" if near else None)
    elif kind == "value_error":
        problems.add(path, str(context["error"]))
    elif kind in _BOUNDS:
        word, bound = _BOUNDS[kind]
        problems.add(path, f"must be {word} {context[bound]}, not {_shown(value)}")
    elif kind in _TYPES:
        problems.add(path, f"{_TYPES[kind]}, not {_called(value)}" if kind.endswith("_type") else _TYPES[kind])
    else:
        problems.add(path, details["msg"])


def _note_unknown(loc: tuple[int | str, ...], problems: Problems) -> tuple[int | str, ...]:
    """Note an unknown key; the location of the key that was probably meant, or its own."""
    key = str(loc[-1])
    spelled = key.replace("_", "-")
    form = form_at(loc[:-1])
    known = _keys(form) if form is not None else []
    near = nearest(key, known)
    elsewhere = [place for place in _places(StudyForm, ()) if place[-1] == spelled and spelled not in known]
    if elsewhere:
        near, remedy = None, f"{spelled!r} belongs under {'.'.join(elsewhere[0][:-1]) or 'the study itself'}"
    else:
        remedy = did_you_mean(key, known)
    problems.add(problems.nearest(*loc), f"unknown key {key!r}", remedy)
    return (*loc[:-1], near) if near else loc


def _keys(form: type[Form]) -> list[str]:
    return [field.alias or name for name, field in form.model_fields.items()]


def _places(form: type[Form], above: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Every key of the schema with the keys above it; names that users choose are left out."""
    found: list[tuple[str, ...]] = []
    for key in _keys(form):
        at = (*above, key)
        found.append(at)
        for loc in ((key,), (key, "x")):
            inner = form_at(loc, form)
            if inner is not None:
                found += _places(inner, at)
    return found


def _called(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
