"""Rules by name: which there are, which belong together, and how a study's words become thresholds.

Guarantees: a rule sees one document and nothing else, so its result does not depend on shards, workers or engine; its
version is raised whenever its result changes for some document; its identity is its name, version and every threshold,
defaults too, so that a changed default is a changed recipe.
Does not: read or write anything.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib.metadata
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pretrial.corpus.licences import policy
from pretrial.corpus.rules import (
    c4,
    code_out,
    fineweb,
    gopher,
    natural_language,
    no_code,
    notebooks,
    opt_out,
    paper,
    redact,
    stack_v2,
    starcoder,
    threads,
)
from pretrial.corpus.rules.result import Result, Rule
from pretrial.corpus.transforms import TRANSFORMS
from pretrial.errors import RequestError

__all__ = ["FAMILIES", "RULES", "TRANSFORMS", "Call", "Result", "Rule", "built", "configured", "edits"]

_MODULES: tuple[Any, ...] = (
    no_code, code_out, policy, opt_out, paper, stack_v2, starcoder, notebooks, threads, gopher, c4, fineweb,
    natural_language, redact,
)  # fmt: skip

RULES: dict[str, type[Rule]] = {rule.name: rule for module in _MODULES for rule in module.RULES}
"""Rules by name."""

Thresholds = Mapping[str, Any]
Call = str | tuple[str, Thresholds]
"""A rule or family as a study names it: alone, or with thresholds by their names in kebab case."""

FAMILIES: dict[str, tuple[Call, ...]] = {
    name: members for module in _MODULES for name, members in getattr(module, "FAMILY", {}).items()
}
"""Rules that a paper or corpus applies together, under one name."""


def configured(calls: Iterable[Call], *, transforms: bool = False, where: str | None = None) -> list[list[Any]]:
    """[name, version, thresholds] of each rule that is called, in order, families spelled out: what bears identity.

    A rule that two families share stands once.

    Args:
        calls: rules, or transforms.
        transforms: which of the two they are.
        where: place in the study file, for errors.

    Raises:
        RequestError: for a name or threshold that does not exist, a value of the wrong type, or one rule that is called
            with two sets of thresholds.
    """
    known = TRANSFORMS if transforms else RULES
    families = {} if transforms else FAMILIES
    found: dict[str, list[Any]] = {}
    for call in calls:
        name, given = (call, {}) if isinstance(call, str) else call
        if name not in known and name not in families:
            raise _unknown("transform" if transforms else "rule", name, [*known, *families], where)
        members = _members(name, families)
        fields = {field.name for member, _ in members for field in dataclasses.fields(_data(known[member]))}
        for threshold in given:
            if _field(threshold) not in fields:
                raise _unknown(f"threshold of {name}", threshold, [one.replace("_", "-") for one in fields], where)
        for member, own in members:
            values = {**own, **{key: value for key, value in given.items() if _has(known[member], key)}}
            thresholds = _thresholds(known[member], values, where)
            _check_order(member, thresholds, where)
            one = [member, _version(known[member]), thresholds]
            _check(one, transforms, where)
            if found.setdefault(member, one) != one:
                raise RequestError(
                    f"the rule {member} is called twice, with other thresholds",
                    where=where,
                    remedy="Call it once, or say its thresholds where the family is named.",
                )
    return list(found.values())


def edits(calls: Iterable[Call]) -> bool:
    """Whether any of the rules called may leave a document with another text."""
    names = (call if isinstance(call, str) else call[0] for call in calls)
    members = (member for name in names for member, _ in _members(name, FAMILIES))
    return any(getattr(RULES[member], "edits", False) for member in members)


def built(config: Sequence[Sequence[Any]], *, transforms: bool = False) -> list[Rule]:
    """The rules of a configuration that `configured` made."""
    known = TRANSFORMS if transforms else RULES
    made = []
    for name, _, thresholds in config:
        make: Any = known[name]
        made.append(make(**{key: tuple(v) if isinstance(v, list) else v for key, v in thresholds.items()}))
    return made


def _version(rule: type[Rule]) -> str | int:
    """A rule's version, with those of the libraries whose answers it passes on: another release, another result."""
    libraries = getattr(rule, "libraries", ())
    if not libraries:
        return rule.version
    said = [platform.python_version() if name == "python" else importlib.metadata.version(name) for name in libraries]
    return " ".join([str(rule.version), *(f"{name} {version}" for name, version in zip(libraries, said, strict=True))])


def _check(one: list[Any], transforms: bool, where: str | None) -> None:
    """A rule may refuse its thresholds itself, when it is made."""
    try:
        built([one], transforms=transforms)
    except RequestError as error:
        raise RequestError(error.what, where=where, remedy=error.remedy) from None


def _check_order(rule: str, thresholds: Thresholds, where: str | None) -> None:
    """A least above its most drops every document."""
    for low, least in thresholds.items():
        high = "most" if low == "least" else low.replace("min_", "max_", 1)
        if high != low and high in thresholds and least > thresholds[high]:
            low, high = low.replace("_", "-"), high.replace("_", "-")
            raise RequestError(
                f"{low} of {rule} is {least:g}, above its {high}, which is {thresholds[_field(high)]:g}: "
                "it would drop every document",
                where=where,
                remedy=f"Lower {low}, or raise {high}.",
            )


def _members(name: str, families: Mapping[str, tuple[Call, ...]]) -> list[tuple[str, Thresholds]]:
    calls: tuple[Call, ...] = families.get(name, (name,))
    return [(call, {}) if isinstance(call, str) else call for call in calls]


def _data(rule: type[Rule]) -> Any:
    """The rule as the dataclass that it is; the protocol does not say so."""
    return rule


def _field(threshold: str) -> str:
    return threshold.replace("-", "_")


def _has(rule: type[Rule], threshold: str) -> bool:
    return _field(threshold) in {field.name for field in dataclasses.fields(_data(rule))}


def _thresholds(rule: type[Rule], given: Thresholds, where: str | None) -> dict[str, Any]:
    """Every threshold of a rule as JSON: what was given, else the published default."""
    values = {_field(key): value for key, value in given.items()}
    made: dict[str, Any] = {}
    for field in dataclasses.fields(_data(rule)):
        default: Any = field.default
        value = values.get(field.name, default)
        fits = _like(value, default)
        if fits is None:
            only = "A percentage is for shares only. " if _percentage(value) and not isinstance(default, str) else ""
            raise RequestError(
                f"{field.name.replace('_', '-')} of {rule.name} is {value!r}; it is {_kind(default)}",
                where=where,
                remedy=f"{only}Its default is {list(default) if isinstance(default, tuple) else default!r}.",
            )
        made[field.name] = fits
    return made


def _like(value: Any, default: Any) -> Any:
    """The value in the type of the default, as JSON has it; `None` where it is of another."""
    if isinstance(default, bool):
        return value if isinstance(value, bool) else None
    if isinstance(default, tuple):
        listed = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        return list(value) if listed else None
    if isinstance(default, str):
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        if not _percentage(value) or isinstance(default, int) or default > 1:
            return None
        value = float(value.removesuffix("%")) / 100
    if isinstance(default, int):
        return int(value) if float(value).is_integer() and value >= 0 else None
    # A default of at most 1 is a share or a probability.
    return float(value) if 0 <= value <= (1 if default <= 1 else math.inf) else None


def _percentage(value: Any) -> bool:
    """Whether a value is a text such as 30%."""
    if not isinstance(value, str) or not value.endswith("%"):
        return False
    try:
        float(value.removesuffix("%"))
    except ValueError:
        return False
    return True


def _kind(default: Any) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, tuple):
        return "a list of texts"
    if isinstance(default, float):
        return "a share from 0 to 1, or a percentage" if default <= 1 else "a number from 0 up"
    return "a text" if isinstance(default, str) else "a whole number from 0 up"


def _unknown(what: str, name: str, known: Sequence[str], where: str | None) -> RequestError:
    near = difflib.get_close_matches(name, known, 1)
    return RequestError(
        f"there is no {what} {name!r}",
        where=where,
        remedy=f"Did you mean {near[0]}?" if near else f"Known: {', '.join(sorted(known)) or 'none'}.",
    )
