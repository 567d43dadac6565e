"""The content-addressed store: finished outputs of steps, and nothing half-finished.

Guarantees. An artefact is in the store when its folder is: it is written under `tmp/`, flushed, hashed, given a
manifest and renamed into place. Its files are hashed again when a step first reads them in a process; a wrong hash
moves the artefact to `quarantine/`, so that it is made again. One process makes an artefact at a time; another
that needs it waits. The store is shared by all studies under one root.

Losses. A hash protects against damage, not against someone who edits a manifest too. Files are trusted between
two reads of one process.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrial.errors import RequestError
from pretrial.store.identity import canonical, fingerprint, hash_file
from pretrial.store.locks import locked

Json = dict[str, Any]
LAYOUT = 1
MANIFEST = "manifest.json"


class DamagedError(RuntimeError):
    """An artefact's files are not what its manifest says; it has been moved to quarantine."""


@dataclass(frozen=True)
class Artefact:
    """A finished output of a step."""

    kind: str
    key: str
    path: Path
    content: str
    facts: Json
    manifest: Json = field(repr=False)

    def file(self, name: str) -> Path:
        """Path of one of its files; raises `KeyError` when it has none of that name."""
        if name not in self.manifest["files"]:
            raise KeyError(f"{self.kind} {self.key} has no file {name}")
        return self.path / name

    @property
    def bytes(self) -> int:
        """Bytes of all its files."""
        return sum(entry["bytes"] for entry in self.manifest["files"].values())


class Store:
    """All artefacts under one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: dict[str, tuple[tuple[str, int, int], ...]] = {}

    def prepare(self) -> None:
        """Make the folders and check the layout; raises `RequestError` for a newer one or an unwritable root."""
        try:
            for folder in ("artefacts", "requests", "work", "locks", "claims", "quarantine", "tmp"):
                (self.root / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(
                f"the store at {self.root} cannot be written: {error.strerror}",
                remedy="Name another folder with --store or PRETRIAL_STORE.",
            ) from None
        layout = self.root / "layout.json"
        if not layout.exists():
            write_atomically(layout, canonical({"layout": LAYOUT}))
        found = read_json(layout).get("layout")
        if found != LAYOUT:
            raise RequestError(
                f"the store at {self.root} has layout {found}; this version of Pretrial reads layout {LAYOUT}",
                remedy="Use the version that wrote it, or name another folder with --store.",
            )

    # -- reading -------------------------------------------------------------------------------------------

    def find(self, kind: str, key: str) -> Artefact | None:
        """The artefact, when it is there and its files have the sizes its manifest gives."""
        path = self._folder(kind, key)
        try:
            manifest = read_json(path / MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError:
            self._quarantine(path)
            return None
        for name, entry in manifest["files"].items():
            try:
                stat = (path / name).stat()
            except FileNotFoundError:
                self._quarantine(path)
                return None
            if stat.st_size != entry["bytes"]:
                self._quarantine(path)
                return None
            if stat.st_mtime_ns != entry["modified"] and hash_file(path / name) != entry["sha256"]:
                self._quarantine(path)
                return None
        return Artefact(kind, key, path, manifest["content"], manifest["facts"], manifest)

    def verify(self, artefact: Artefact) -> None:
        """Hash all files of an artefact, once per process while size and time stay the same.

        Raises:
            DamagedError: when a hash is wrong; the artefact is in quarantine then.
        """
        files = artefact.manifest["files"]
        try:
            state = tuple(_state(artefact.path / name, name) for name in sorted(files))
            if self._verified.get(artefact.key) == state:
                return
            damaged = [n for n, entry in files.items() if hash_file(artefact.path / n) != entry["sha256"]]
        except FileNotFoundError as error:
            damaged, state = [Path(error.filename).name], ()
        if damaged:
            self._quarantine(artefact.path)
            names = ", ".join(sorted(damaged))
            raise DamagedError(f"{artefact.kind} {artefact.key[:12]}: {names} is not what was written")
        self._verified[artefact.key] = state

    def all(self) -> Iterator[Artefact]:
        """Every artefact, by kind and key."""
        for manifest in sorted((self.root / "artefacts").glob("*/*/" + MANIFEST)):
            artefact = self.find(manifest.parent.parent.name, manifest.parent.name)
            if artefact is not None:
                yield artefact

    def resolve(self, request: str) -> str | None:
        """The artefact key that a request last led to."""
        try:
            return (self.root / "requests" / request).read_text().strip() or None
        except FileNotFoundError:
            return None

    # -- writing -------------------------------------------------------------------------------------------

    def lock(
        self, key: str, what: str, waiting: Callable[[str], None] | None = None
    ) -> AbstractContextManager[None]:
        """Exclusive right to make the artefact `key`; waits for whoever has it."""
        return locked(self.root / "locks" / f"{key}.lock", what, wait=True, waiting=waiting)

    def scratch(self, key: str) -> Path:
        """An empty folder on the store's file system, to write an artefact into."""
        path = self.root / "tmp" / f"{key[:12]}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        path.mkdir(parents=True)
        return path

    def work(self, key: str) -> Path:
        """The folder a killed step can go on from; made when missing."""
        path = self.root / "work" / key
        path.mkdir(parents=True, exist_ok=True)
        return path

    def commit(self, kind: str, key: str, payload: Json, facts: Json, folder: Path, cost: Json) -> Artefact:
        """Turn a scratch folder into an artefact: flush, hash, manifest, rename. Drops the step's work folder."""
        files: dict[str, Json] = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            _flush(path)
            stat = path.stat()
            files[path.relative_to(folder).as_posix()] = {
                "bytes": stat.st_size,
                "sha256": hash_file(path),
                "modified": stat.st_mtime_ns,
            }
        # Facts go through JSON so that what is read back is what was hashed.
        facts = json.loads(canonical(facts))
        hashes = {name: entry["sha256"] for name, entry in files.items()}
        content = fingerprint({"files": hashes, "facts": facts})
        manifest: Json = {
            "kind": kind,
            "key": key,
            "payload": payload,
            "files": files,
            "facts": facts,
            "content": content,
            "cost": cost,
            "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        write_atomically(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))
        target = self._folder(kind, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            self._quarantine(target)
        folder.rename(target)
        _flush_folder(target.parent)
        artefact = Artefact(kind, key, target, content, facts, manifest)
        self._verified[key] = tuple(_state(target / name, name) for name in sorted(files))
        shutil.rmtree(self.root / "work" / key, ignore_errors=True)
        return artefact

    def remember(self, request: str, key: str) -> None:
        """Keep that a request led to an artefact key."""
        if self.resolve(request) != key:
            write_atomically(self.root / "requests" / request, key)

    def forget(self, request: str) -> None:
        """Drop what a request led to, so that it is made anew."""
        (self.root / "requests" / request).unlink(missing_ok=True)

    def clean(self) -> None:
        """Delete unfinished output of processes that are gone."""
        for path in (self.root / "tmp").iterdir():
            pid = path.name.split(".")[1] if path.name.count(".") >= 2 else ""
            if not (pid.isdigit() and Path(f"/proc/{pid}").exists()):
                shutil.rmtree(path, ignore_errors=True)

    def _folder(self, kind: str, key: str) -> Path:
        return self.root / "artefacts" / kind / key

    def _quarantine(self, path: Path) -> None:
        target = self.root / "quarantine" / f"{path.parent.name}-{path.name}-{uuid.uuid4().hex[:8]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


class FileHashes:
    """SHA-256 of outside files, remembered by (size, modification time) in the store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[Any]] = read_json(path) if path.exists() else {}
        self._changed = False

    def known(self, path: Path) -> str | None:
        """The hash, when the file has not changed since it was last hashed."""
        stat = path.stat()
        entry = self._known.get(str(path.resolve()))
        return str(entry[2]) if entry and entry[:2] == [stat.st_size, stat.st_mtime_ns] else None

    def hash(self, path: Path) -> str:
        """The hash, read from the file only when it changed."""
        known = self.known(path)
        if known is None:
            stat = path.stat()
            known = hash_file(path)
            self._known[str(path.resolve())] = [stat.st_size, stat.st_mtime_ns, known]
            self._changed = True
        return known

    def save(self) -> None:
        """Write what was learned."""
        if self._changed:
            write_atomically(self._path, json.dumps(self._known, indent=0))
            self._changed = False


def read_json(path: Path) -> Json:
    """A JSON map from a file; raises `ValueError` when it is not one."""
    value = json.loads(path.read_bytes())
    if not isinstance(value, dict):
        raise ValueError(f"{path} does not hold a JSON map")
    return value


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader, or a kill, meets the old or the new one and nothing between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def payload_of(kind: str, version: int, config: Mapping[str, Any], inputs: Mapping[str, str]) -> Json:
    """The recipe of a step: what its key is the hash of. `inputs` maps names to contents (or request keys)."""
    return {"kind": kind, "version": version, "config": dict(config), "inputs": dict(inputs)}


def _state(path: Path, name: str) -> tuple[str, int, int]:
    stat = path.stat()
    return name, stat.st_size, stat.st_mtime_ns


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(path: Path) -> None:
    _flush(path)
