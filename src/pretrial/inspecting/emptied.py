"""Sources of which no document is left: what their shards dropped, looked at like a corpus.

Guarantees: the shards are those that the step itself would take over, found by their keys; nothing is read again.
Does not: look at a source that was read in part only, or whose files have changed since.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pretrial.errors import PretrialError
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Artefact, Store, payload_of
from pretrial.store.identity import fingerprint


@dataclass(frozen=True)
class Emptied(Artefact):
    """A corpus that could not be made since it has no document; its files lie in those of its shards."""

    places: Mapping[str, Path] = field(default_factory=dict, repr=False)

    def file(self, name: str) -> Path:
        """Path of one of its files."""
        return self.places[name]


def shards_read(store: Store, config: Mapping[str, Any], inputs: Mapping[str, str]) -> Iterator[Artefact]:
    """Every shard in a store that was read under a corpus's configuration, of whatever files, and from these inputs."""
    base = {key: value for key, value in config.items() if key != "files"}
    recipe = json.dumps([base, inputs], sort_keys=True)
    for folder in sorted((store.root / "artefacts" / "corpus-shard").glob("*")):
        made = store.find("corpus-shard", folder.name)
        if made is not None:
            own = made.manifest["payload"]
            same = {key: value for key, value in own["config"].items() if key != "part"}
            if json.dumps([same, own["inputs"]], sort_keys=True) == recipe:
                yield made


def emptied(step: Step, find: Callable[[str], Artefact | None], store: Store) -> Emptied | None:
    """What is known of a corpus step whose shards are all made and hold no document; `None` for any other."""
    # Importing this loads pyarrow, which what is finished does without.
    from pretrial.corpus.parts import plan
    from pretrial.corpus.read import counted
    from pretrial.corpus.snapshot import LEFT_OUT
    from pretrial.corpus.spec import SEMANTICS

    inputs: dict[str, Artefact] = {}
    for given, upstream in step.inputs.items():
        if (made := find(upstream)) is None:
            return None
        inputs[given] = made
    contents = {given: artefact.content for given, artefact in inputs.items()}
    if not any(True for _ in shards_read(store, step.config, contents)):
        # Planning a large file takes as long as counting its lines.
        return None
    here: Any = SimpleNamespace(config=step.config, settings=step.settings, inputs=inputs)
    try:
        parts = plan(here)
    except (PretrialError, OSError, KeyError):
        # The files are no longer those that were read.
        return None
    base = {key: value for key, value in step.config.items() if key != "files"}
    shards: list[Artefact] = []
    for part, _, _ in parts:
        payload = payload_of("corpus-shard", SEMANTICS["corpus-shard"], {**base, "part": part}, contents)
        shard = store.find("corpus-shard", fingerprint(payload))
        if shard is None or shard.facts["documents"]:
            return None
        shards.append(shard)
    if not shards:
        return None
    snapshot = inputs.get("snapshot")
    left_out = [snapshot.file(LEFT_OUT)] if snapshot is not None and snapshot.facts.get("listed") else []
    rejects = [*left_out, *(shard.file("rejects.parquet") for shard in shards if shard.facts["rejects"])]
    places = {f"rejects-{number:05d}.parquet": path for number, path in enumerate(rejects)}
    asides = {f"quarantine-{number:05d}.parquet": one.file("quarantine.parquet") for number, one in enumerate(shards)}
    facts = counted([shard.facts for shard in shards], snapshot.facts if snapshot is not None else {})
    facts |= {"groups": 0, "repeated_ids": 0, "shards": [], "rejects": list(places), "quarantine": list(asides)}
    content = fingerprint([shard.content for shard in shards])
    manifest = {"payload": {"config": step.config}, "files": {}}
    return Emptied("corpus", content, shards[0].path, content, facts, manifest, {**places, **asides})
