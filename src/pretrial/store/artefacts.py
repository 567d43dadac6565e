"""The content-addressed store: finished outputs of steps, and nothing half-finished.

Guarantees. An artefact is in the store when its folder is: it is written under `tmp/`, flushed, hashed, given a
manifest and renamed into place. Its files are hashed again when a step first reads them in a process; a wrong hash
or size moves the artefact to `quarantine/`, which is said, so that it is made again. One process makes an artefact
at a time; another that needs it waits. The store is shared by all studies under one root.

Losses. A hash protects against damage, not against someone who edits a manifest too. Files are trusted between
two reads of one process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrial.errors import RequestError
from pretrial.store.identity import canonical, fingerprint, hash_file
from pretrial.store.locks import HeldError, locked

Json = dict[str, Any]
LAYOUT = 1
MANIFEST = "manifest.json"
_FOLDERS = ("artefacts", "requests", "work", "locks", "claims", "failures", "quarantine", "tmp")


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
    """All artefacts under one root. `warn` is told of each artefact that `find` sets aside."""

    def __init__(self, root: Path, warn: Callable[[str], None] = lambda message: None) -> None:
        self.root = root
        self.warn = warn
        self._verified: dict[str, tuple[tuple[str, int, int], ...]] = {}

    def prepare(self) -> None:
        """Make the folders and check the layout; raises `RequestError` for a newer one or an unwritable root."""
        layout = self.root / "layout.json"
        try:
            for folder in _FOLDERS:
                (self.root / folder).mkdir(parents=True, exist_ok=True)
                # Making a folder that is there succeeds on a file system that was mounted to be read.
                if not os.access(self.root / folder, os.W_OK | os.X_OK):
                    raise PermissionError(0, "it is read-only")
            if not layout.exists():
                write_atomically(layout, canonical({"layout": LAYOUT}))
        except OSError as error:
            raise RequestError(
                f"the store at {self.root} cannot be used: {error.strerror}",
                remedy="Name another folder with --store or PRETRIAL_STORE.",
            ) from None
        self.check_layout()

    def check_layout(self) -> None:
        """Raise `RequestError` for a store that another version of Pretrial lays out otherwise; none at all is fine."""
        try:
            found = read_json(self.root / "layout.json").get("layout")
        except (FileNotFoundError, NotADirectoryError):
            return
        except ValueError:
            found = "that cannot be read"
        if found != LAYOUT:
            raise RequestError(
                f"the store at {self.root} has a layout {found}; this version of Pretrial reads layout {LAYOUT}",
                remedy="Use the version that wrote it, or name another folder with --store.",
            )

    # -- reading -------------------------------------------------------------------------------------------

    def find(self, kind: str, key: str) -> Artefact | None:
        """The artefact, when it is there and its files have the sizes its manifest gives.

        One whose files do not is set aside, which `warn` is told, and counts as absent.
        """
        path = self._folder(kind, key)
        try:
            manifest = read_json(path / MANIFEST)
            damaged = [name for name, entry in manifest["files"].items() if not _looks_right(path / name, entry)]
            if not damaged:
                return Artefact(kind, key, path, manifest["content"], manifest["facts"], manifest)
        except (FileNotFoundError, NotADirectoryError):
            if not path.is_dir():
                return None
            damaged = [MANIFEST]
        except (ValueError, KeyError):
            damaged = [MANIFEST]
        self._quarantine(path)
        self.warn(f"{_damage(kind, key, damaged)}; it was set aside and is made again when it is needed")
        return None

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
            raise DamagedError(_damage(artefact.kind, artefact.key, damaged))
        self._verified[artefact.key] = state

    def all(self) -> Iterator[Artefact]:
        """Every artefact, by kind and key."""
        for folder in sorted((self.root / "artefacts").glob("*/*")):
            artefact = self.find(folder.parent.name, folder.name)
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
        self,
        key: str,
        what: str,
        waiting: Callable[[str], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> AbstractContextManager[None]:
        """Exclusive right to make the artefact `key`; waits for whoever has it, until `stop()`."""
        return locked(self._lock(key), what, wait=True, waiting=waiting, stop=stop)

    def scratch(self, key: str) -> Path:
        """An empty folder on the store's file system, to write an artefact into; hold its lock meanwhile."""
        path = self.root / "tmp" / f"{key}.{uuid.uuid4().hex[:8]}"
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
        for inner in (path for path in [folder, *folder.rglob("*")] if path.is_dir()):
            _flush(inner)
        target = self._folder(kind, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            self._quarantine(target)
        folder.rename(target)
        _flush(target.parent)
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
        """Delete what processes that are gone left behind: unfinished output, and work on what was finished since."""
        work = [path for path in (self.root / "work").iterdir() if any(self.root.glob(f"artefacts/*/{path.name}"))]
        for path in sorted([*(self.root / "tmp").iterdir(), *work]):
            key = path.name.partition(".")[0]
            # Whose process it was may be unknown here (another machine, a reused number); the lock is not.
            with contextlib.suppress(HeldError), locked(self._lock(key), "cleaning up", wait=False):
                shutil.rmtree(path, ignore_errors=True)

    def _folder(self, kind: str, key: str) -> Path:
        return self.root / "artefacts" / kind / key

    def _lock(self, key: str) -> Path:
        return self.root / "locks" / f"{key}.lock"

    def _quarantine(self, path: Path) -> None:
        target = self.root / "quarantine" / f"{path.parent.name}-{path.name}-{uuid.uuid4().hex[:8]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        # Another process may have met the same damage first.
        with contextlib.suppress(FileNotFoundError):
            path.rename(target)


class FileHashes:
    """SHA-256 of outside files, remembered by (size, modification time) in the store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = False
        self._known: dict[str, list[Any]] = {}
        # What cannot be read was a memory only: the files are hashed again.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
            self._known = read_json(path)

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


def _looks_right(path: Path, entry: Mapping[str, Any]) -> bool:
    """Whether a file has its size and time, or, where it was copied since, its size and hash."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return False
    if stat.st_size != entry["bytes"]:
        return False
    return bool(stat.st_mtime_ns == entry["modified"] or hash_file(path) == entry["sha256"])


def _damage(kind: str, key: str, names: Sequence[str]) -> str:
    verb = "is" if len(names) == 1 else "are"
    return f"{kind} {key[:12]}: {', '.join(sorted(names))} {verb} not what was written"


def _state(path: Path, name: str) -> tuple[str, int, int]:
    stat = path.stat()
    return name, stat.st_size, stat.st_mtime_ns


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
