"""`drop-labels`: drops documents by the label that their source gave them, whatever they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.result import Result
from pretrial.errors import RequestError


@dataclass(frozen=True)
class DropLabels:
    """Drops documents by a label of their source, as "To Code, or Not To Code?" did (section 2.1, appendix A).

    That study kept SlimPajama without its GitHub and StackExchange documents, told by source label only. The defaults
    are SlimPajama's own names, which stand in its `meta`.

    Attributes:
        field: where the label is: the name of a field, or a path of names joined by dots for one inside others
            (`meta.redpajama_set_name`). A field whose name has the dots in it comes first; a field that holds a JSON
            object as text is read as one.
        values: labels whose documents go (reason `label`, the value is the label). A field may hold a list: one of
            them is enough. A document without the field stays.
    """

    name: ClassVar[str] = "drop-labels"
    version: ClassVar[int] = 1
    field: str = "meta.redpajama_set_name"
    values: tuple[str, ...] = ("RedPajamaGithub", "RedPajamaStackExchange")

    def __post_init__(self) -> None:
        if not self.field or not self.values:
            raise RequestError(
                "drop-labels needs a field and the labels to drop",
                where="values" if self.field else "field",
                remedy="for example field: meta.redpajama_set_name, values: [RedPajamaGithub]",
            )

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        """The document as it came, dropped when its label is one of `values`."""
        found = _lookup(fields, self.field)
        for label in found if isinstance(found, list | tuple) else (found,):
            if label is not None and str(label) in self.values:
                return Result(text, reason="label", value=str(label))
        return Result(text)


def _lookup(fields: Any, path: str) -> Any:
    """The value at a dotted path, `None` where there is none."""
    if isinstance(fields, str) and fields.lstrip().startswith("{"):
        try:
            fields = json.loads(fields)
        except ValueError:
            return None
    if not isinstance(fields, Mapping):
        return None
    if path in fields:
        return fields[path]
    head, dot, rest = path.partition(".")
    while dot:
        if head in fields:
            found = _lookup(fields[head], rest)
            if found is not None:
                return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None
