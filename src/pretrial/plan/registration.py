"""Registered claims: what a study said it would show, before it could know.

Claims, margins, seeds and the recipe are appended to a file in the store before the first training token. What
changes later is appended again together with the variants whose results had been there to be seen by then.

The rule. A claim is in time when some registration, made before results of either of its variants were there to be
seen, says exactly what is judged now: this claim, these margins, these seeds, this recipe of its variants and its
task, and no claim beside it that was dropped since (all of them form one Holm family). Otherwise it is late, and what
differs from the last registration before the look is the reason. Going back to what was said before the look makes a
claim in time again; that it was changed in between stays in the history.

Results are there to be seen once they stand in the workspace's report, or once a variant's last evaluation is in the
store; under whichever recipe they were made, since a look at the results of an old one is a look. What was seen once
stays seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pretrial.errors import RunError
from pretrial.evaluate.spec import CATEGORIES
from pretrial.plan.graph import Graph
from pretrial.store.artefacts import Store, write_atomically
from pretrial.store.identity import differences, fingerprint
from pretrial.store.locks import locked
from pretrial.study.schema import Claim, Study

Json = dict[str, Any]
_SEEN = "after results were seen"
_NAMED = 4


@dataclass(frozen=True)
class Entry:
    """One registration: what was said, when, and the variants whose results had been there to be seen by then.

    `recipe` is what acts on the results (`recipe_of`); `None` where an earlier version of Pretrial registered.
    """

    at: str
    claims: tuple[str, ...]
    margins: Json
    seeds: tuple[int, ...]
    known: tuple[str, ...]
    recipe: Json | None = None


@dataclass(frozen=True)
class Change:
    """What one registration changed, in words."""

    at: str
    event: str
    detail: str
    exploratory: bool


@dataclass(frozen=True)
class History:
    """All registrations of a study, oldest first; `present`, where it is given, is what the study says now."""

    entries: tuple[Entry, ...]
    present: Entry | None = None

    def late(self, claim: Claim) -> str | None:
        """Why a claim counts as exploratory, or `None` when it was registered in time."""
        involved = {claim.variant, claim.against}
        saying = [entry for entry in self.entries if claim.text in entry.claims]
        if not saying:
            return "it was never registered"
        blind = [entry for entry in saying if not involved & set(entry.known)]
        if not blind:
            return "results of its variants existed when it was registered"
        changed = [_changed(claim, entry, self.present or self.entries[-1]) for entry in blind]
        if not all(changed):
            return None
        return f"{' and '.join(changed[-1])} {_SEEN}"

    def changes(self) -> list[Change]:
        """What every registration said that the one before did not."""
        found: list[Change] = []
        for index, entry in enumerate(self.entries):
            late = bool(entry.known)
            if index == 0:
                what = f"{len(entry.claims)} claims, {len(entry.seeds)} seeds"
                known = f"; results existed of {', '.join(entry.known)}" if entry.known else ""
                found.append(Change(entry.at, "registered", what + known, late))
                continue
            before = self.entries[index - 1]
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
            if event := _seeds_changed(before.seeds, entry.seeds):
                found.append(Change(entry.at, event, f"{list(before.seeds)} → {list(entry.seeds)}", late))
            if fields := _recipe_changes(before.recipe, entry.recipe):
                more = f"; and {len(fields) - _NAMED} more" if len(fields) > _NAMED else ""
                found.append(Change(entry.at, "recipe changed", "; ".join(fields[:_NAMED]) + more, late))
        return found


def recipe_of(study: Study, files: Mapping[str, str]) -> Json:
    """What acts on the results of a study, and nothing else: no name, question, claim, margin or seed.

    The order of the sources that are read acts, too: of copies the first stays (`corpus.select`).
    `files` are the fingerprints of what it reads (`files_of`).
    """
    said = study.resolved()
    trained = set(study.trained_sources)
    evaluate = said["evaluate"]
    return {
        **{name: said[name] for name in _ACTING},
        "sources": {
            name: {**{key: value for key, value in source.items() if key != "max-epochs"}, "trained": name in trained}
            for name, source in said["sources"].items()
        },
        "priority": [name for name, source in study.sources.items() if source.parent is None],
        "variants": {
            name: [_stage(item, said["mixtures"]) for item in items] for name, items in said["variants"].items()
        },
        "evaluate": {name: evaluate[name] for name in ("tasks", "domain-bytes", "items", "cloze-items")},
        "files": dict(files),
    }


_ACTING = ("model", "context", "tokenizer", "near-duplicates", "decontaminate", "training", "carry")


def files_of(graph: Graph) -> dict[str, str]:
    """Fingerprints of the files that a study reads; what is installed has none before it was read.

    Keys are "source NAME", "tokenizer", and "benchmark NAME" for what decontamination looks for.
    """
    found: dict[str, str] = {}
    for step in graph.steps.values():
        if step.kind == "corpus" and "files" in step.config:
            found[f"source {step.about['source']}"] = fingerprint(step.config["files"])
        elif step.kind == "contamination-index":
            found |= {f"benchmark {name}": digest for name, digest in step.config["benchmarks"].items()}
    if "sha256" in (tokenizer := graph.steps["tokenizer"].config):
        found["tokenizer"] = tokenizer["sha256"]
    return found


def history(store: Store, study: Study, *, files: Mapping[str, str] | None = None, copy: Path | None = None) -> History:
    """What was registered for a study so far, there and in the copy in a folder, beside what it says now."""
    entries = _entries(_lines(store, study.name, copy), _path(store, study.name))
    return History(entries, _entry(study, entries[-1].known if entries else (), files))


def register(
    store: Store,
    study: Study,
    known: Iterable[str],
    *,
    files: Mapping[str, str] | None = None,
    copy: Path | None = None,
) -> History:
    """Append what the study says unless it stands there already.

    Args:
        store: where registrations are.
        study: what is registered.
        known: variants whose results are there to be seen now.
        files: fingerprints of what the study reads.
        copy: folder that holds a copy. A store that was deleted must not make late claims look early, so each gets
            what the other has.
    """
    with _alone(store, study.name):
        lines = _lines(store, study.name, copy)
        entries = _entries(lines, _path(store, study.name))
        seen = dict.fromkeys([*(entries[-1].known if entries else ()), *known])
        now = _entry(study, tuple(seen), files)
        if not entries or replace(now, at="") != replace(entries[-1], at=""):
            lines.append(json.dumps(vars(now), ensure_ascii=False))
        _write(store, study.name, copy, lines)
        return History(_entries(lines, _path(store, study.name)))


def _entry(study: Study, known: tuple[str, ...], files: Mapping[str, str] | None) -> Entry:
    return Entry(
        at=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        claims=tuple(claim.text for claim in study.claims),
        margins={metric: str(margin) for metric, margin in study.margins.items()},
        seeds=study.seeds,
        known=known,
        recipe=json.loads(json.dumps(recipe_of(study, files or {}))),
    )


def _stage(item: Json, mixtures: Json) -> Json:
    """A stage as it acts: without its name, and with the shares that its mixture's name stands for, in order."""
    said = {key: value for key, value in item.items() if key != "name"}
    if "mixture" in said:
        said["mixture"] = [[source, share] for source, share in mixtures[said["mixture"]].items()]
    return said


def _changed(claim: Claim, before: Entry, now: Entry) -> list[str]:
    """In words, what is judged otherwise now than a registration of the claim says."""
    found = []
    if event := _seeds_changed(before.seeds, now.seeds):
        found.append(event.replace("seeds ", "seeds were "))
    metrics = {m for m in {*before.margins, *now.margins} if before.margins.get(m) != now.margins.get(m)}
    # The margin of another metric has no part in it.
    if metrics and (claim.target.metric is None or claim.target.metric in metrics):
        found.append("margins changed")
    if _recipe_changes(_acting_on(claim, before.recipe), _acting_on(claim, now.recipe)):
        found.append("the recipe changed")
    if set(before.claims) - set(now.claims):
        found.append("other claims were dropped")
    return found


def _seeds_changed(before: tuple[int, ...], now: tuple[int, ...]) -> str:
    added, removed = set(now) - set(before), set(before) - set(now)
    if added and removed:
        return "seeds exchanged"
    return "seeds added" if added else "seeds removed" if removed else ""


def _acting_on(claim: Claim, recipe: Json | None) -> Json | None:
    """The part of a recipe that acts on a claim: not other variants, nor tasks that it is not about."""
    if recipe is None:
        return None
    names: list[str] = []
    waiting = [claim.variant, claim.against]
    while waiting:
        name = waiting.pop()
        if name not in names and name in recipe["variants"]:
            names.append(name)
            first = recipe["variants"][name][0].get("from")
            waiting += [] if first is None else [first, str(first).rpartition("@")[0]]
    category, task = claim.target.category, claim.target.task
    said = recipe["evaluate"]
    size = {"held-out": "domain-bytes", "transfer": "domain-bytes", "cloze": "cloze-items"}.get(category or "", "items")
    evaluate = {size: said[size]}
    if task is None:
        evaluate["tasks"] = [word for word in said["tasks"] if CATEGORIES.get(word) == category]
    return {**recipe, "variants": {name: recipe["variants"][name] for name in sorted(names)}, "evaluate": evaluate}


def _recipe_changes(before: Json | None, now: Json | None) -> list[str]:
    """In words, the fields in which two recipes differ, where both are known. An arm more or less changes no other."""
    if before is None or now is None:
        return []
    found = []
    # An earlier version did not say the order of the sources.
    aside = {"files"} if {"priority"} <= before.keys() & now.keys() else {"files", "priority"}
    said = [{key: value for key, value in recipe.items() if key not in aside} for recipe in (before, now)]
    for field, old, new in differences(said[0], said[1]):
        whole = field.removeprefix("variants.")
        if whole != field and (whole in before["variants"]) != (whole in now["variants"]):
            continue
        found.append(f"{field}: {_short(old)} → {_short(new)}")
    read = {name for name, old in before["files"].items() if _of(name, now["files"], old) != old}
    return found + [f"the files of {name.removeprefix('source ')} changed" for name in sorted(read)]


def _of(name: str, files: Mapping[str, str], otherwise: str) -> str:
    """A fingerprint by its key; an earlier version called a source by its name alone."""
    return files.get(name, files.get(f"source {name}", otherwise))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def _entries(lines: list[str], path: Path) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    known: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        try:
            said = json.loads(line)
            # What was seen once stays seen, whatever was left in the store since.
            known.update(dict.fromkeys(said["known"]))
            recipe = said.get("recipe")
            entry = Entry(
                said["at"], tuple(said["claims"]), said["margins"], tuple(said["seeds"]), tuple(known), recipe
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"line {number} of {path} is no registration",
                remedy="Put the file back as it was: without it nobody can tell what was said before the results.",
            ) from error
        entries.append(entry)
    # An earlier version kept no recipe: what was registered next is the nearest that is known of it.
    later: Json | None = None
    for index in range(len(entries) - 1, -1, -1):
        later = entries[index].recipe or later
        entries[index] = replace(entries[index], recipe=later)
    return tuple(entries)


def _lines(store: Store, study: str, copy: Path | None) -> list[str]:
    """The lines of the store's file and of the copy, each once, in the order of their times."""
    here = _read(_path(store, study))
    there = _read(copy / "claims.jsonl") if copy is not None else []
    for some, all_of_them in ((here, there), (there, here)):
        if all_of_them[: len(some)] == some:
            return list(all_of_them)
    return sorted([*here, *(line for line in there if line not in here)], key=_when)


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _when(line: str) -> float:
    try:
        return datetime.fromisoformat(json.loads(line)["at"]).timestamp()
    except (ValueError, KeyError, TypeError):
        return 0.0


def _write(store: Store, study: str, copy: Path | None, lines: list[str]) -> None:
    text = "".join(line + "\n" for line in lines)
    for path in (_path(store, study), copy / "claims.jsonl" if copy is not None else None):
        if path is not None and lines and _read(path) != lines:
            write_atomically(path, text)


def _alone(store: Store, study: str) -> AbstractContextManager[None]:
    """One process at a time: two workspaces of one store may register the same study."""
    return locked(store.root / "locks" / f"claims-{study}.lock", f"registering claims of {study}", wait=True)


def _path(store: Store, study: str) -> Path:
    return store.root / "claims" / f"{study}.jsonl"
