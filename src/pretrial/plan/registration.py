"""Registered claims: what a study said it would show, before it could know.

Claims, margins and seeds are appended to a file in the store before the first training token. What changes later
is appended again together with what was already known then, so a claim that came after the results of its
variants, or seeds that came after a look, can be told from those that came before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrial.store.artefacts import Store, write_atomically
from pretrial.study.schema import Claim, Study

Json = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One registration: what was said, when, and the variants whose final results existed by then."""

    at: str
    claims: tuple[str, ...]
    margins: Json
    seeds: tuple[int, ...]
    known: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What one registration changed, in words."""

    at: str
    event: str
    detail: str
    exploratory: bool


@dataclass(frozen=True)
class History:
    """All registrations of a study, oldest first."""

    entries: tuple[Entry, ...]

    def late(self, claim: Claim) -> str | None:
        """Why a claim counts as exploratory, or `None` when it was registered in time."""
        involved = {claim.variant, claim.against}
        for index, entry in enumerate(self.entries):
            if claim.text in entry.claims:
                if involved & set(entry.known):
                    return "results of its variants existed when it was registered"
                first = index
                break
        else:
            return "it was never registered"
        for before, after in zip(self.entries[first:], self.entries[first + 1 :], strict=False):
            if set(after.seeds) - set(before.seeds) and involved & set(after.known):
                return "seeds were added after a look at the results"
        return None

    def changes(self) -> list[Change]:
        """What every registration said that the one before did not."""
        found: list[Change] = []
        for index, entry in enumerate(self.entries):
            if index == 0:
                what = f"{len(entry.claims)} claims, {len(entry.seeds)} seeds"
                known = f"; results existed of {', '.join(entry.known)}" if entry.known else ""
                found.append(Change(entry.at, "registered", what + known, bool(entry.known)))
                continue
            before = self.entries[index - 1]
            late = bool(entry.known)
            added = [claim for claim in entry.claims if claim not in before.claims]
            dropped = [claim for claim in before.claims if claim not in entry.claims]
            if added or dropped:
                said = [f"added: {claim}" for claim in added] + [f"dropped: {claim}" for claim in dropped]
                found.append(Change(entry.at, "claims changed", "; ".join(said), late))
            if entry.margins != before.margins:
                said = [
                    f"{k}: {before.margins.get(k)} → {entry.margins.get(k)}"
                    for k in sorted({*entry.margins, *before.margins})
                    if entry.margins.get(k) != before.margins.get(k)
                ]
                found.append(Change(entry.at, "margins changed", "; ".join(said), late))
            if entry.seeds != before.seeds:
                more = bool(set(entry.seeds) - set(before.seeds))
                event = "seeds added" if more else "seeds removed"
                detail = f"{list(before.seeds)} → {list(entry.seeds)}"
                found.append(Change(entry.at, event, detail, late))
        return found


def history(store: Store, study: str) -> History:
    """What was registered for a study so far."""
    try:
        lines = _path(store, study).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return History(())
    entries = []
    for line in lines:
        said = json.loads(line)
        entries.append(
            Entry(
                said["at"],
                tuple(said["claims"]),
                said["margins"],
                tuple(said["seeds"]),
                tuple(said["known"]),
            )
        )
    return History(tuple(entries))


def register(store: Store, study: Study, known: Iterable[str]) -> History:
    """Append the study's claims, margins and seeds unless they stand there already.

    `known`: variants whose final results exist now.
    """
    before = history(store, study.name)
    claims = tuple(claim.text for claim in study.claims)
    margins = {metric: str(margin) for metric, margin in study.margins.items()}
    if before.entries:
        last = before.entries[-1]
        if (last.claims, last.margins, last.seeds) == (claims, margins, study.seeds):
            return before
    entry = Entry(time.strftime("%Y-%m-%dT%H:%M:%S%z"), claims, margins, study.seeds, tuple(known))
    after = History((*before.entries, entry))
    text = "".join(json.dumps(vars(e), ensure_ascii=False) + "\n" for e in after.entries)
    write_atomically(_path(store, study.name), text)
    return after


def keep_copy(store: Store, study: str, folder: Path) -> None:
    """Keep the registrations in two places: a store that was deleted must not make late claims look early.

    Whichever of the store's file and the copy in `folder` is longer is taken for both; registrations are only ever
    added.
    """
    copy = folder / "claims.jsonl"
    texts = [path.read_text(encoding="utf-8") if path.exists() else "" for path in (_path(store, study), copy)]
    longer = max(texts, key=len)
    for path, text in zip((_path(store, study), copy), texts, strict=True):
        if text != longer:
            write_atomically(path, longer)


def _path(store: Store, study: str) -> Path:
    return store.root / "claims" / f"{study}.jsonl"
