"""What happens to a document between its reader and the corpus: keep, rules, transforms, measures, cap.

Guarantees: a pure function of the document and the source's configuration; every document that does not come through
says which step dropped it, for which reason and with which value; bytes are counted after each step.
Does not: read or write.

The order: `keep` on the record's own fields, rules, `keep` on measures of the text (so they measure what the rules
left), transforms, the cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pretrial.corpus.attributes import ATTRIBUTES
from pretrial.corpus.languages import canonical
from pretrial.corpus.licences.names import part as licence_part
from pretrial.corpus.registry import built

KEEP = "keep"
EMPTY = "empty"
"""Reason of a document of which a rule or transform left nothing."""


@dataclass(slots=True)
class Outcome:
    """What became of one document.

    Attributes:
        text: what is left of it.
        fields: its fields, with the measures that `keep` asked for.
        passed: (step, bytes) of each step that it came through.
        removed: (step, bytes by kind) taken out by rules on the way.
        dropped: (step, reason, value) where it was dropped.
    """

    text: str
    fields: dict[str, Any]
    passed: list[tuple[str, int]] = field(default_factory=list)
    removed: list[tuple[str, dict[str, int]]] = field(default_factory=list)
    dropped: tuple[str, str, Any] | None = None


class Pipeline:
    """The steps of one source, built once for many documents.

    Args:
        config: a source's configuration (`spec.source_config`).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        keep: Mapping[str, Any] = config["keep"]
        self._fields = {name: wanted for name, wanted in keep.items() if name not in ATTRIBUTES}
        self._is_part: bool = config.get("part_of_split", False)
        # Records have few values, and many of each.
        self._text_fits = lru_cache(4096)(self._does_text_fit)
        self._measures = {name: wanted for name, wanted in keep.items() if name in ATTRIBUTES}
        self._rules = built(config["filter"])
        self._transforms = built(config["transform"], transforms=True)
        self._cap: int | None = config["read"].get("cap_file")
        self.steps: tuple[str, ...] = (
            "read",
            *([KEEP] if self._fields else []),
            *(rule.name for rule in self._rules),
            *(f"{KEEP} {name}" for name in self._measures),
            *(transform.name for transform in self._transforms),
            *(["cap-file"] if self._cap else []),
        )

    def unkept(self, fields: Mapping[str, Any]) -> tuple[str, str, Any] | None:
        """Why a record is not kept by its own fields; `None` where it is."""
        for name, wanted in self._fields.items():
            value = fields.get(name)
            if isinstance(value, str):
                kept = self._text_fits(name, value)
            elif self._is_part:
                kept = part_of(name, value) in wanted
            elif name == "language" and isinstance(value, list):
                kept = fits([canonical(one) if isinstance(one, str) else one for one in value], wanted)
            else:
                kept = fits(value, wanted)
            if not kept:
                return KEEP, name, value
        return None

    def _does_text_fit(self, name: str, value: str) -> bool:
        if self._is_part:
            return part_of(name, value) in self._fields[name]
        return fits(canonical(value) if name == "language" else value, self._fields[name])

    def apply(self, text: str, fields: Mapping[str, Any]) -> Outcome:
        """Everything from `keep` on."""
        size = _bytes(text)
        out = Outcome(text, dict(fields), [("read", size)])
        if self._fields:
            out.dropped = self.unkept(fields)
            if out.dropped:
                return out
            out.passed.append((KEEP, size))
        for rule in self._rules:
            size = self._edit(rule, out, size)
            if out.dropped:
                return out
        for name, wanted in self._measures.items():
            value = ATTRIBUTES[name].compute(out.text, out.fields)
            if not fits(value, wanted):
                out.dropped = (f"{KEEP} {name}", name, value)
                return out
            out.fields[name] = value
            out.passed.append((f"{KEEP} {name}", size))
        for transform in self._transforms:
            size = self._edit(transform, out, size)
            if out.dropped:
                return out
        if self._cap:
            out.text = cut(out.text, self._cap)
        if not out.text.strip():
            out.dropped = ("cap-file" if self._cap else "read", EMPTY, None)
        elif self._cap:
            out.passed.append(("cap-file", _bytes(out.text)))
        return out

    @staticmethod
    def _edit(rule: Any, out: Outcome, size: int) -> int:
        result = rule(out.text, out.fields)
        if result.reason:
            out.dropped = (rule.name, result.reason, result.value)
            return size
        if result.removed:
            out.removed.append((rule.name, result.removed))
        if result.text is not out.text:
            out.text = result.text
            size = _bytes(out.text)
            if not out.text.strip():
                out.dropped = (rule.name, EMPTY, None)
                return size
        out.passed.append((rule.name, size))
        return size


def fits(value: Any, wanted: Any) -> bool:
    """Whether a field or measure has one of the values, or lies in the range, that `keep` asks for.

    A list has them when one of its items does. Nothing lies in a range that is no number.
    """
    if isinstance(wanted, Mapping):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        least, most = wanted["least"], wanted["most"]
        return (least is None or value >= least) and (most is None or value <= most)
    return any(spelled(one) in wanted for one in (value if isinstance(value, list) else [value]))


def part_of(name: str, value: Any) -> str | None:
    """The one part of a split by a field that a document with this value is in; `None` for none.

    Licences are told apart by their normal form, "BSD-3-Clause AND MIT" in any order, "NOASSERTION" where none is
    known; lists of other values by all of their items, "a, b".
    """
    if name == "license" and (value is None or isinstance(value, str | list)):
        return licence_part(value)
    if value is None:
        return None
    if isinstance(value, list):
        items = [canonical(str(one)) if name == "language" else spelled(one) for one in value]
        # The name of a part is one word to whoever spells it.
        return canonical(", ".join(items)) if name == "language" else ", ".join(items)
    return canonical(value) if name == "language" and isinstance(value, str) else spelled(value)


def spelled(value: Any) -> str:
    """A field's value as a study spells it: true and false in small letters, whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def cut(text: str, cap: int) -> str:
    """At most `cap` bytes of a text: up to a line end, or the last whole character of one long line."""
    data = text.encode(errors="surrogatepass")
    if len(data) <= cap:
        return text
    head = data[:cap]
    line = head.rfind(b"\n") + 1
    if head[:line].strip():
        return head[:line].decode(errors="surrogatepass")
    return head.decode(errors="ignore")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
