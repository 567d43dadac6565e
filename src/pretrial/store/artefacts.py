"""The content-addressed store: finished outputs of steps, and nothing half-finished.

Guarantees. An artefact is in the store when its folder is: it is written under `tmp/`, flushed, hashed, given a
manifest and renamed into place. Its facts are checked against its content hash whenever it is found, its files are
hashed again when a step first reads them in a process; what is wrong moves the artefact to `quarantine/`, which is
said, so that it is made again. One process makes an artefact at a time; another that needs it waits, and what it has
made is never set aside for the damage of what stood there before. The store is shared by all studies under one root.
A store that may only be read can be looked at.

Losses. A hash protects against damage, not against someone who edits a manifest too. Files are trusted between
two reads of one process.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
# What a disk says that may not be written, or has no room.
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


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
        self.hashes = FileHashes(root / "fingerprints.json")
        self._holding: set[str] = set()
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
        """The artefact, when it is there, its facts are those of its content hash and its files have their sizes.

        One that is not so is set aside, which `warn` is told, and counts as absent.
        """
        path = self._folder(kind, key)
        while True:
            judged: bytes | None = None
            try:
                judged = (path / MANIFEST).read_bytes()
                artefact, damaged = self._read(kind, key, judged)
                if not damaged:
                    return artefact
            except (FileNotFoundError, NotADirectoryError):
                if not path.is_dir():
                    return None
                damaged = [MANIFEST]
            what = self._set_aside(kind, key, judged)
            if what is not None:
                self.warn(f"{_damage(kind, key, damaged)}; {what}")
                return None
            # It was made anew meanwhile.

    def verify(self, artefact: Artefact) -> None:
        """Hash all files of an artefact, once per process while size and time stay the same.

        Raises:
            DamagedError: when a hash is wrong; the artefact is in quarantine then.
        """
        files = artefact.manifest["files"]
        judged = _bytes_of(artefact.path / MANIFEST)
        try:
            state = tuple(_state(artefact.path / name, name) for name in sorted(files))
            if self._verified.get(artefact.key) == state:
                return
            damaged = [n for n, entry in files.items() if hash_file(artefact.path / n) != entry["sha256"]]
        except FileNotFoundError as error:
            damaged, state = [Path(error.filename).name], ()
        if content_of(files, artefact.facts) != artefact.content:
            damaged.append(MANIFEST)
        if damaged:
            # What was made again since belongs to whoever finds it next.
            if not _is_another(judged, artefact):
                self._set_aside(artefact.kind, artefact.key, judged)
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

    @contextmanager
    def lock(
        self,
        key: str,
        what: str,
        waiting: Callable[[str], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[None]:
        """Exclusive right to make the artefact `key`; waits for whoever has it, until `stop()`."""
        with locked(self._lock(key), what, wait=True, waiting=waiting, stop=stop):
            self._holding.add(key)
            try:
                yield
            finally:
                self._holding.discard(key)

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

    def commit(
        self, kind: str, key: str, payload: Json, facts: Json, folder: Path, cost: Json, *, outside: bool = False
    ) -> Artefact:
        """Turn a scratch folder into an artefact: flush, hash, manifest, rename. Drops the step's work folder.

        With `outside`, for what was read of the outer world, the address follows from the recipe and the content
        that came out, and what stands there already is kept: nobody's reading is replaced by a later one. `key` is
        then only the one that was locked.
        """
        files: dict[str, Json] = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            flush(path)
            stat = path.stat()
            files[path.relative_to(folder).as_posix()] = {
                "bytes": stat.st_size,
                "sha256": hash_file(path),
                "modified": stat.st_mtime_ns,
            }
        # Facts go through JSON so that what is read back is what was hashed.
        facts = json.loads(canonical(facts))
        content = content_of(files, facts)
        address = fingerprint({"payload": payload, "content": content}) if outside else key
        there = self.find(kind, address) if outside else None
        if there is None:
            manifest: Json = {
                "kind": kind,
                "key": address,
                "payload": payload,
                "files": files,
                "facts": facts,
                "content": content,
                "cost": cost,
                "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            }
            write_atomically(folder / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))
            for inner in (path for path in [folder, *folder.rglob("*")] if path.is_dir()):
                flush(inner)
            target = self._folder(kind, address)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                self._quarantine(target)
            folder.rename(target)
            flush(target.parent)
            there = Artefact(kind, address, target, content, facts, manifest)
            self._verified[address] = tuple(_state(target / name, name) for name in sorted(files))
        else:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self.root / "work" / key, ignore_errors=True)
        return there

    def remember(self, request: str, key: str) -> None:
        """Keep that a request led to an artefact key."""
        if self.resolve(request) != key:
            write_atomically(self.root / "requests" / request, key)

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

    def _read(self, kind: str, key: str, text: bytes) -> tuple[Artefact | None, list[str]]:
        """The artefact that a manifest describes, and what of it is damaged."""
        path = self._folder(kind, key)
        try:
            manifest = json.loads(text)
            damaged = [name for name, entry in manifest["files"].items() if not self._looks_right(path / name, entry)]
            artefact = Artefact(kind, key, path, manifest["content"], manifest["facts"], manifest)
            if content_of(manifest["files"], manifest["facts"]) != artefact.content:
                damaged.append(MANIFEST)
        except (ValueError, KeyError, TypeError, AttributeError):
            # Not the JSON that `commit` writes.
            return None, [MANIFEST]
        return artefact, damaged

    def _looks_right(self, path: Path, entry: Mapping[str, Any]) -> bool:
        """Whether a file has its size and time, or, where it was copied since, its size and hash."""
        try:
            stat = path.stat()
            if stat.st_size != entry["bytes"]:
                return False
            return bool(stat.st_mtime_ns == entry["modified"] or self.hashes.hash(path) == entry["sha256"])
        except FileNotFoundError:
            return False

    def _set_aside(self, kind: str, key: str, judged: bytes | None) -> str | None:
        """Move a damaged artefact to quarantine; what became of it, in words.

        `judged` is the manifest that was found wrong, or that of wrong files. `None` when another stands there now:
        someone made it again.
        """
        path = self._folder(kind, key)
        try:
            with (
                contextlib.nullcontext()
                if key in self._holding
                else locked(self._lock(key), "setting aside what is damaged", wait=False)
            ):
                if _bytes_of(path / MANIFEST) != judged:
                    return None
                self._quarantine(path)
        except HeldError:
            return "it is being made again"
        except OSError as error:
            if error.errno not in _CLOSED:
                raise
            return f"it cannot be set aside: {error.strerror}"
        return "it was set aside and is made again when it is needed"

    def _quarantine(self, path: Path) -> None:
        target = self.root / "quarantine" / f"{path.parent.name}-{path.name}-{uuid.uuid4().hex[:8]}"
        target.parent.mkdir(parents=True, exist_ok=True)
        # Another process may have met the same damage first.
        with contextlib.suppress(FileNotFoundError):
            path.rename(target)


class FileHashes:
    """SHA-256 of files, remembered in the store by what changes with every edit: see `_stamp`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new: dict[str, list[Any]] = {}
        self._loaded: dict[str, list[Any]] | None = None

    def known(self, path: Path) -> str | None:
        """The hash, when the file has not changed since it was last hashed."""
        name = str(path.resolve())
        entry = self._new.get(name) or self._remembered().get(name)
        # Size and time, hash, the rest: entries of before the rest was kept have the hash at the same place.
        return str(entry[2]) if entry and [*entry[:2], *entry[3:]] == _stamp(path) else None

    def hash(self, path: Path) -> str:
        """The hash, read from the file only when it changed.

        Raises:
            OSError: for a file that cannot be read, also where its hash is known.
        """
        known = self.known(path)
        if known is not None and not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        if known is None:
            stamp = _stamp(path)
            known = hash_file(path)
            self._new[str(path.resolve())] = [*stamp[:2], known, *stamp[2:]]
        return known

    def recall(self, name: str) -> list[Any] | None:
        """What was remembered under a name, such as the files of a dataset at a commit."""
        return self._new.get(name) or self._remembered().get(name)

    def remember(self, name: str, value: list[Any]) -> None:
        """Remember what will never be different: a list that JSON can hold and that is not empty."""
        self._new[name] = value

    def save(self) -> None:
        """Write what was learned, beside what others have written meanwhile; where that cannot be, it is forgotten."""
        if self._new and self._path.parent.is_dir():
            self._loaded = {**self._read(), **self._new}
            self._new = {}
            with where_writable():
                write_atomically(self._path, json.dumps(self._loaded, indent=0))

    def _remembered(self) -> dict[str, list[Any]]:
        if self._loaded is None:
            self._loaded = self._read()
        return self._loaded

    def _read(self) -> dict[str, list[Any]]:
        try:
            return read_json(self._path)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            # What cannot be read was a memory only: the files are hashed again.
            return {}


@contextmanager
def where_writable() -> Iterator[None]:
    """Leave out what only saves time later, where the disk is full or may only be read."""
    try:
        yield
    except OSError as error:
        if error.errno not in _CLOSED:
            raise


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


def content_of(files: Mapping[str, Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    """Content hash of an artefact: over its files' names and hashes, and its facts."""
    return fingerprint({"files": {name: entry["sha256"] for name, entry in files.items()}, "facts": facts})


def flush(path: Path) -> None:
    """Have a file or folder written to the disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_another(text: bytes | None, artefact: Artefact) -> bool:
    """Whether a manifest that can be read describes other files than the artefact's."""
    try:
        manifest = json.loads(text or b"")
        return bool(manifest["files"] != artefact.manifest["files"])
    except (ValueError, KeyError, TypeError):
        return False


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _damage(kind: str, key: str, names: Sequence[str]) -> str:
    verb = "is" if len(names) == 1 else "are"
    return f"{kind} {key[:12]}: {', '.join(sorted(names))} {verb} not what was written"


def _stamp(path: Path) -> list[int]:
    """What tells a file from the same file before an edit, or from another put in its place.

    Who keeps the size and sets the time of modification back cannot set back that of the change (ctime).
    """
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _state(path: Path, name: str) -> tuple[str, int, int]:
    stat = path.stat()
    return name, stat.st_size, stat.st_mtime_ns
