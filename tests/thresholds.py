"""Whether golden cases hold a rule's thresholds: each default, moved a little to either side, changes some verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from pretrial.corpus.rules import Rule

LITTLE = 0.02
"""By how much of itself a share or a mean is moved; a whole number is moved by one."""


def unnoticed(rule: type[Rule], cases: Iterable[tuple[Rule, str, Mapping[str, Any]]]) -> list[str]:
    """Changes of a default of `rule` with which each case that has it comes out as before, as `name: changed`."""

    def outcome(case: Rule, text: str, said: Mapping[str, Any]) -> tuple[str, str]:
        result = case(text, said)
        return result.reason, result.text

    own = [(case, text, said, outcome(case, text, said)) for case, text, said in cases if type(case) is rule]
    missed = []
    for threshold in fields(rule):  # type: ignore[arg-type]
        default = threshold.default
        at_default = [case for case in own if getattr(case[0], threshold.name) == default]
        for other in _near(default):
            changed = {threshold.name: other}
            if all(outcome(replace(case, **changed), text, said) == before for case, text, said, before in at_default):
                missed.append(f"{threshold.name}: {other!r}")
    return missed


def _near(default: object) -> Iterator[object]:
    match default:
        case bool():
            yield not default
        case int():
            yield from (default - 1, default + 1)
        case float():
            yield from (default * (1 - LITTLE), default * (1 + LITTLE))
        case str():
            yield default + "\uffff"
        case tuple():
            for one in default:
                yield tuple(other for other in default if other != one)
        case _:
            raise TypeError(f"no way to move {default!r} a little")
