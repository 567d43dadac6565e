"""What is said of a corpus where nothing is left of it, or a field that was asked for is not there.

Guarantees: what a message proposes for a study file is what its loader takes, written out in full.
Does not: change or count anything.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from pretrial.corpus.attributes import ATTRIBUTES
from pretrial.corpus.documents import KEPT_ASIDE, READ, SHARD_REJECTS
from pretrial.corpus.kinds import FILES, KINDS
from pretrial.corpus.pipeline import KEEP, spelled
from pretrial.corpus.readers.record import EXCERPT
from pretrial.corpus.split import FIELDS
from pretrial.corpus.unkept import VALUES, brief, is_cut, merged
from pretrial.execute.context import ArtefactLike, Json

SHOWN = 20
"""Fields that a message names of those there are."""
_NO_TEXT, _OF_RECORDS = "no-text", frozenset({"no-text", "text-not-a-string", "empty-text"})


@dataclass(frozen=True)
class Seen:
    """What is said of a corpus where something looks wrong: names of its fields, documents with a list as group."""

    fields: tuple[str, ...] = ()
    grouped_by_lists: int = 0

    @property
    def many(self) -> bool:
        """Whether there may be more fields than these."""
        return len(self.fields) >= FIELDS


def way_out(facts: Json, config: Mapping[str, Any], shards: Sequence[ArtefactLike], seen: Seen) -> str:
    """What to look at where nothing is left: what took most of it."""
    read, left, rejected = config["read"], facts["quarantined"], facts["rejected"]
    without, found = left.get(_NO_TEXT, 0), facts["funnel"][0]["documents"] if facts["funnel"] else 0
    if without > found:
        who = f"{without:,} of {without + found:,} records have no" if found else "No record has a"
        return (
            f"{who} text under {read.get('text')!r}: name the field that holds it with `text` (dots go into nested "
            f"records).{there(seen.fields)}"
        )
    if left and sum(left.values()) > found:
        reason = max(left, key=lambda reason: (reason not in _OF_RECORDS, left[reason]))
        kind = read["kind"]
        takes = f" The reader {kind} takes: {KINDS[kind].what}" if kind in FILES and reason not in _OF_RECORDS else ""
        return f"{_first_aside(shards, reason)}{takes}"
    if taken := {step: reasons for step, reasons in rejected.items() if reasons}:
        step = max(taken, key=lambda step: sum(taken[step].values()))
        if step == KEEP and (unknown := unknown_fields(config, seen)):
            return _without_field(unknown[0], seen.fields, derived=read["kind"] == "from")
        if read["kind"] == "from" and list(taken) == [KEEP] and (left_out := _of_part(config["keep"], shards)):
            return left_out
        most = sorted(taken[step].items(), key=lambda item: -item[1])[:5]
        said = f"Most went at {step}: " + ", ".join(f"{reason} {count:,}" for reason, count in most) + "."
        said += _example(shards, step, most[0][0])
        if "no-license" in taken[step]:
            said += " Say the source's `license`, or {license: {unknown: true}}."
        return said
    for reason, _ in sorted(facts["skipped"].items(), key=lambda item: -item[1]):
        if one := _example(shards, READ, reason):
            return f"The reader skipped what it found.{one}"
    if set(facts["skipped"]) == {"empty"}:
        return "All that was found is empty: name other files, or leave the source out."
    return "Nothing was found that this reader takes: look at the path, the languages and the kind of reading."


def unknown_fields(config: Mapping[str, Any], seen: Seen) -> list[str]:
    """Fields that `keep` names and no record was seen to have."""
    return [name for name in config["keep"] if not seen.many and name not in ATTRIBUTES and name not in seen.fields]


def _without_field(field: str, fields: Sequence[str], *, derived: bool) -> str:
    """What to do about a field that no record has."""
    what = "split by another one, or say which it is" if derived else "name another one, or say which it is"
    near = difflib.get_close_matches(field, fields, 1)
    guess = f" Did you mean {near[0]}?" if near else ""
    said = as_said(field) or repr(field)
    return f"No document has a field {field!r}: {what}: fields: {{{said}: COLUMN}}.{guess}{there(fields)}"


def there(fields: Sequence[str]) -> str:
    """The fields that there are, in a sentence; "" for none."""
    if not fields:
        return ""
    more = f" and {len(fields) - SHOWN} more" if len(fields) > SHOWN else ""
    return f" There are: {', '.join(brief(name) for name in fields[:SHOWN])}{more}."


def _of_part(keep: Mapping[str, Any], shards: Sequence[ArtefactLike]) -> str:
    """How to leave out a part of a split source that has no documents, such as a language of a published mixture."""
    values, others = merged([shard.facts for shard in shards])
    ordered = sorted(values, key=lambda which: (-values[which], which))
    found = [json.loads(value) for _, value in ordered]
    if len(keep) != 1 or others or any(map(is_cut, found)):
        return ""
    (field,) = keep
    # A list is kept for any of its items; what has no value is in no part either.
    items = [one for value in found for one in (value if isinstance(value, list) else [value])]
    keys = list(dict.fromkeys(as_said(one) for one in items if one is not None and not isinstance(one, dict | list)))
    if not 0 < len(keys) <= VALUES or "" in keys:
        return ""
    return (
        "To leave this part out, say of the source that is split what there is: "
        f"keep: {{{as_said(field)}: [{', '.join(keys)}]}}; a share `as` a published mixture is divided over these "
        "alone."
    )


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*( [A-Za-z0-9_.+-]+)*|[1-9][0-9]{0,17}|0")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_LIKE_A_RANGE = re.compile(r"[-+\deE.%\s]*\.\.[-+\deE.%\s]*")


def as_said(value: Any) -> str:
    """A text, number or truth value as a study's `keep` lists it, in YAML; "" for what it cannot have in a list.

    A number with a part behind the point is a text there.
    """
    text = spelled(value)
    if isinstance(value, bool) or (_PLAIN.fullmatch(text) and text.lower() not in _WORDS):
        return text
    if _LIKE_A_RANGE.fullmatch(text) or any("\ud800" <= letter <= "\udfff" for letter in text):
        return ""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)


def _first_aside(shards: Sequence[ArtefactLike], reason: str) -> str:
    """The first that could not be used for a reason: where it is, and what was found there."""
    for shard in shards:
        if shard.facts["quarantined"].get(reason):
            with pq.ParquetFile(shard.file(KEPT_ASIDE)) as file:
                for batch in file.iter_batches():
                    for row in batch.to_pylist():
                        if row["reason"] == reason:
                            at, said = brief(row["where"], EXCERPT), brief(row["excerpt"], EXCERPT)
                            return f"The first that could not be used is {at}, {reason}: '{said}'."
    return ""


def _example(shards: Sequence[ArtefactLike], rule: str, reason: str) -> str:
    """The first document that a rule dropped for a reason, which cannot be sampled; "" where none is listed."""
    for shard in shards:
        if shard.facts["rejects"]:
            with pq.ParquetFile(shard.file(SHARD_REJECTS)) as file:
                for batch in file.iter_batches(columns=["rule", "reason", "value", "where", "excerpt"]):
                    for row in batch.to_pylist():
                        if (row["rule"], row["reason"]) == (rule, reason):
                            at, text = brief(row["where"]), brief(row["excerpt"])
                            return f" One is {at}, {reason} {row['value']}: '{text}'."
    return ""
