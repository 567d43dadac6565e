"""How documents are counted that `keep` leaves out by a field's value; they are not listed.

Guarantees: a number of a value is of all documents that have it, however many shards and values there are; what
cannot be told apart is counted together.

A shard counts the values that it meets first (its facts `unkept`: field, value, documents), and together the documents
of further ones (`unkept_others`, by field). A corpus names the most frequent of all its shards.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pretrial.corpus.pipeline import KEEP
from pretrial.corpus.readers.record import excerpt
from pretrial.corpus.readers.safety import spelled
from pretrial.execute.context import Json

VALUES = 40
"""Values of fields of which a corpus says how many documents they cost, the most frequent; others are one number."""
SHARD_VALUES = 4096
"""Values of which a shard counts that. What comes to none of those in one of the shards is among the others."""
OTHERS = "(other values)"
COUNTED = 300
"""Most characters of a value by which documents are counted that `keep` leaves out."""
CUT = "begins"
"""Key under which the beginning of a longer one stands."""
Counts = Counter[tuple[str, str]]
"""Documents by field and value."""


def counted_as(value: Any) -> str:
    """The JSON under which documents with a value are counted: it, or `{CUT: …}` of what has more than `COUNTED`."""
    said = json.dumps(value, sort_keys=True, default=str)
    if len(said) <= COUNTED:
        return said
    return json.dumps({CUT: (value if isinstance(value, str) else said)[:COUNTED]})


def label(value: str) -> str:
    """A value by which documents are counted (`counted_as`), to be shown; what is longer ends with an ellipsis."""
    found = json.loads(value)
    text = found if isinstance(found, str) else found[CUT] if is_cut(found) else value
    return _cut(spelled(text.encode("utf-8", "backslashreplace").decode()), 60)


def is_cut(value: Any) -> bool:
    """Whether this stands for a longer value, of which it has the beginning."""
    return isinstance(value, dict) and list(value) == [CUT]


def brief(text: str, most: int = 60) -> str:
    """The beginning of a text, to be shown."""
    return _cut(spelled(excerpt(text)), most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def shown(shards: Sequence[Json]) -> dict[str, dict[str, int]]:
    """Documents by reason under `KEEP`: those of the most frequent values, and of all others of a field."""
    values, others = merged(shards)
    labels: Counts = Counter()
    for (field, value), count in values.items():
        labels[field, label(value)] += count
    ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    for (field, _), count in ordered[VALUES:]:
        others[field] += count
    told = Counter({f"{field}={value}": count for (field, value), count in ordered[:VALUES]})
    told.update({f"{field}={OTHERS}": count for field, count in others.items()})
    return {KEEP: dict(sorted(told.items()))} if told else {}


def merged(shards: Sequence[Json]) -> tuple[Counts, Counter[str]]:
    """Documents that `keep` left out by a field's value: by field and value, and by field those of further values.

    Where a shard had more values than it counts, one that it does not name may be among its others: it is left to them,
    so that every number of a value is all of it.
    """
    values: Counts = Counter()
    others: Counter[str] = Counter()
    full: list[tuple[frozenset[str], frozenset[tuple[str, str]]]] = []
    for facts in shards:
        own = {(field, value): count for field, value, count in facts["unkept"]}
        values.update(own)
        others.update(facts["unkept_others"])
        if facts["unkept_others"]:
            full.append((frozenset(facts["unkept_others"]), frozenset(own)))
    for which in list(values):
        if any(which[0] in fields and which not in named for fields, named in full):
            others[which[0]] += values.pop(which)
    return values, others
