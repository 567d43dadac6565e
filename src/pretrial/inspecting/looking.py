"""The corpora of a trial to look at: as its inputs are now or, where those changed or went away, as read last.

Guarantees: what is in the store of the inputs as they are goes first; a corpus of earlier ones is shown only where the
study says the same of its source, and a note says so. Making is never redirected: `build` and `run` read what is there.
Does not: hash what was hashed before, or make anything.

The workspace keeps which files each corpus was made of in `corpora.json`, with the steps that led on from there;
`plan.json`, which a run writes, has the files, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrial.corpus import spec
from pretrial.errors import RequestError
from pretrial.execute.progress import Quiet
from pretrial.execute.runner import Runner
from pretrial.inspecting.corpora import Corpora
from pretrial.inspecting.emptied import emptied
from pretrial.plan.courses import courses
from pretrial.plan.graph import Graph, Options
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Artefact, read_json, where_writable, write_atomically

if TYPE_CHECKING:
    from pretrial.trials import Trial

Json = dict[str, Any]
RECORD = "corpora.json"
_KEPT = ("kind", "version", "function", "config", "inputs", "changeable", "group", "about")
_THEN = "this is of the corpus read then"


def look(trial: Trial, *, options: str = "") -> Corpora:
    """The corpora of a trial as far as they were made; see `Corpora` for `options`.

    Raises:
        RequestError: where the study needs what is not there, and its workspace has no record of having read it.
    """
    trial.store.check_layout()
    try:
        graph = trial.graph(None)
    except RequestError:
        kept = next(iter(_records(trial.workspace.folder)), None)
        same = kept is not None and kept.get("study") == _plain(trial.study.resolved())
        known = _as_kept(trial, kept) if kept is not None and same else None
        if known is None:
            raise
        graph = known
        notes = {
            name: note for name in trial.study.made_sources if (note := _gone(trial, graph.steps[f"corpus {name}"]))
        }
    else:
        graph, notes = _as_last_read(trial, graph)
    return Corpora(graph, _runner(trial, graph).find, trial.store, options=options, notes=notes)


def remember(folder: Path, graph: Graph, find: Callable[[str], Artefact | None]) -> None:
    """Keep in a workspace what the corpora in the store were made of; of those that are not, what was kept before."""
    before: Json = next((record for record in _records(folder) if "ledgers" in record), {"steps": {}})
    steps: Json = {}
    for name, step in graph.steps.items():
        if step.group in ("corpora", "tokens") or name in graph.ledgers.values():
            one = {key: getattr(step, key) for key in _KEPT}
            one |= {"parts": {given: list(parts) for given, parts in step.parts.items()}, "unkeyed": [*step.unkeyed]}
            steps[name] = one
            if "files" in step.config and find(name) is None and name in before["steps"]:
                steps[name] = before["steps"][name]
    record = {
        "study": graph.study.resolved(),
        "steps": steps,
        "ledgers": [[variant, seed, name] for (variant, seed), name in graph.ledgers.items()],
        "scans": list(graph.scans),
        "vocabulary": graph.vocabulary,
    }
    with where_writable():
        write_atomically(folder / RECORD, json.dumps(record, ensure_ascii=False))


def _records(folder: Path) -> list[Json]:
    """What the workspace knows of plans, the complete record first."""
    found = []
    for name in (RECORD, "plan.json"):
        try:
            found.append(read_json(folder / name))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            continue
    return found


def _as_last_read(trial: Trial, graph: Graph) -> tuple[Graph, dict[str, str]]:
    """The steps with those files that were read last, of sources whose files as they are now were not; and notes."""
    find = _runner(trial, graph).find
    steps, notes = dict(graph.steps), {}
    of_files = [step for step in graph.steps.values() if step.kind == "corpus" and "files" in step.config]
    missing = [step for step in of_files if find(step.name) is None]
    # They list every file: where nothing is missing they are not asked.
    records = _records(trial.workspace.folder) if missing else []
    for step in missing:
        name = step.name
        source = str(step.about["source"])
        kept = [record["steps"][name] for record in records if name in record["steps"]]
        once = [replace(step, config=one["config"]) for one in kept if _same(step, one)]
        found = [(made.manifest["made"], one) for one in once if (made := trial.store.find(one.kind, one.key({})))]
        # Of the files as they are, all may have been dropped: that is what was read last, then.
        if found and emptied(step, find, trial.store) is None:
            _, before = max(found, key=lambda one: one[0])
            changed = _changes(before.config["files"], step.config["files"])
            steps[name], notes[source] = before, f"{changed} since {source} was read; {_THEN}"
    return (replace(graph, steps=steps), notes) if notes else (graph, notes)


def _same(step: Step, kept: Mapping[str, Any]) -> bool:
    """Whether two corpus steps differ in the files alone."""
    own, other = ({k: v for k, v in one.items() if k != "files"} for one in (_plain(step.config), kept["config"]))
    return (step.kind, step.version, own) == (kept["kind"], kept["version"], other) and "files" in kept["config"]


def _changes(before: list[list[Any]], now: list[list[Any]]) -> str:
    """What became of the files of a source, in words."""
    old, new = ({str(row[0]): list(row) for row in rows} for rows in (before, now))
    changed = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    for names, one, many in (
        (changed, "has changed", "have changed"),
        (sorted(new.keys() - old.keys()), "was added", "were added"),
        (sorted(old.keys() - new.keys()), "went away", "went away"),
    ):
        if names:
            return f"{names[0]} {one}" if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more {many}"
    return "the input has changed"


def _as_kept(trial: Trial, kept: Json) -> Graph | None:
    """The graph of a study whose inputs are not all there, up to its tokens and ledgers, as a workspace kept it."""
    try:
        steps = {
            name: Step(
                name=name,
                **{key: one[key] for key in _KEPT},
                parts={given: tuple(parts) for given, parts in one["parts"].items()},
                unkeyed=frozenset(one["unkeyed"]),
            )
            for name, one in kept["steps"].items()
        }
        if any(step.version != spec.SEMANTICS.get(step.kind, step.version) for step in steps.values()):
            return None
        return Graph(
            study=trial.study,
            steps=steps,
            courses=courses(trial.study, kept["vocabulary"]),
            marks=(),
            checkpoints={},
            evaluations=(),
            anchors={},
            ledgers={(variant, seed): name for variant, seed, name in kept["ledgers"]},
            scans=tuple(kept["scans"]),
            vocabulary=kept["vocabulary"],
            options=Options(data=trial.places.data, record=None, hashes=trial.store.hashes),
        )
    except KeyError:
        # A run's record, which has not all of it.
        return None


def _gone(trial: Trial, step: Step) -> str | None:
    """What became of the inputs of a source that was read, in a line; `None` where they are as they were."""
    if "files" not in step.config:
        return None
    name = str(step.about["source"])
    source, folder = trial.study.sources[name], Path(trial.study.folder) if trial.study.folder else Path.cwd()
    config = {key: value for key, value in step.config.items() if key != "files"}
    try:
        settings = spec.source_settings(source, trial.places.data, folder, name=name)
        files = spec.input_fingerprint(config, settings, trial.store.hashes)
    except RequestError as error:
        return f"{error.what}; {_THEN}"
    if files is None or _plain(files) == step.config["files"]:
        return None
    return f"{_changes(step.config['files'], files)} since {name} was read; {_THEN}"


def _runner(trial: Trial, graph: Graph) -> Runner:
    return Runner(trial.store, graph.steps.values(), Quiet(), holder=trial.study.name)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
