"""Files of a git repository at a revision, read from its object store.

Guarantees: no program runs, nothing is written, and of the repository only `HEAD`, refs (loose and packed), `shallow`
and the object store are opened, as regular files: never its configuration (whose includes, filters, hooks and
monitors can name any file and any command), its hooks, its attributes, its index or its working tree. Contents are
those of the commit, before any filter or line-end conversion, and every blob, tree and commit hashes to the name it
was asked by. What an object may cost is known before it is unpacked. A broken object is a reject, the others stay.
Does not: follow objects that lie outside (`objects/info/alternates`, links, a `.git` file that leads elsewhere),
fetch anything, resolve Git LFS pointers, enter submodules, or honour grafts and replaced objects.

Why not `dulwich.repo.Repo`: opening one reads the configuration with all that it includes, and where that names
the reftable format it removes the folder of branches. Packs are read by `dulwich.pack`, which runs nothing.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from pretrial.corpus.readers.record import Blob, Reject, Skip, excerpt
from pretrial.corpus.readers.safety import NAME_BYTES, Fault, Limits, decoded_name, safe_name, spelled
from pretrial.errors import RequestError

LFS = b"version https://git-lfs.github.com/spec/v1\n"
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_OFFSET, _REFERENCE = 6, 7
_CHAIN = 4096
"""Longest chain of deltas; git itself makes none above 4,095."""
_CHECKED = 200_000
_LINE = 4096
_Read = TypeVar("_Read")


class UnsafeRepository(RequestError):
    """A repository whose parts lie outside of its folder, or that cannot be read without trusting it."""


class DamagedRepository(RequestError):
    """A repository in which what a revision stands for is broken or cannot be opened, or the pack where it may be."""


def resolve_revision(path: Path, revision: str = "HEAD") -> str:
    """The full id of the commit that a branch, a tag, `HEAD` or a full id names.

    Names are looked up as git does: as they stand, then under `refs`, tags, branches and remote branches. A tag
    counts as the commit it stands for.

    Raises:
        RequestError: when there is no repository, no such name, or no such commit in it.
        UnsafeRepository: when the repository leads outside of its folder.
        DamagedRepository: when the commit, or a pack in which it may be, is broken or cannot be opened.
    """
    try:
        with Objects.of(path, revision, Limits()) as objects:
            return objects.commit
    except Fault as fault:
        what = f"{path}: the commit of {spelled(revision)} cannot be read ({fault.reason}: {fault.detail})"
        if fault.reason in ("missing-object", "oversize-object"):
            remedy = "Name a branch, a tag or a commit that it holds, or check it: git fsck."
            raise RequestError(what, remedy=remedy) from fault
        raise DamagedRepository(what, remedy="Check the repository: git fsck. Clone it anew.") from fault


def read_repository(
    path: Path, name: str, *, revision: str = "HEAD", wanted: Callable[[str], bool], limits: Limits | None = None
) -> Iterator[Blob | Reject | Skip]:
    """Files of a repository's tree at a revision, sorted by path, and the reasons for which something is not there.

    Blobs are named `name/path`; their fields are `repository` (the name), `revision` (the full commit id) and
    `path`. What nobody wants is counted as skipped, with 0 bytes: it is not looked at.

    Args:
        path: a working repository, a worktree of one, or a bare repository.
        name: what it is called in places and fields.
        revision: see `resolve_revision`.
        wanted: whether a file is asked for, by its path.
        limits: the most it may cost.

    Raises:
        RequestError: when there is no repository or no such name in it. One that is unsafe to read, or whose
            commit is missing or broken, is one reject instead.
    """
    limits = Limits() if limits is None else limits
    yield from within(path, name, revision, limits, lambda objects: _blobs(objects, name, wanted, limits))


def _blobs(
    objects: Objects, name: str, wanted: Callable[[str], bool], limits: Limits
) -> Iterator[Blob | Reject | Skip]:
    total = 0
    for item in _files(objects, name, limits):
        if not isinstance(item, _File):
            yield item
            continue
        if not wanted(item.path):
            yield Skip("unwanted", 0)
            continue
        where = f"{name}/{item.path}"
        try:
            data = objects.of_kind("blob", item.sha, limits.member_bytes)
        except Fault as fault:
            yield _reject(where, fault)
            continue
        total += len(data)
        if total > limits.total_bytes:
            yield Reject("oversize-tree", name, f"more than {limits.total_bytes} bytes of files")
            return
        if len(data) < 1024 and data.startswith(LFS):
            stands = re.search(rb"^size ([0-9]{1,18})$", data, re.MULTILINE)
            yield Skip("lfs-pointer", len(data), where, int(stands[1]) if stands else None, excerpt(data))
        else:
            yield Blob(where, data, {"repository": name, "revision": objects.commit, "path": item.path})


@dataclass(frozen=True)
class _File:
    path: str
    sha: str


def _files(objects: Objects, name: str, limits: Limits) -> Iterator[_File | Reject | Skip]:
    """Entries of the commit's tree that are files, in the order of their paths' bytes."""
    try:
        root = commit_tree(objects.of_kind("commit", objects.commit))
    except Fault as fault:
        yield _reject(name, fault)
        return
    seen = 0
    levels = [iter([(b"", stat.S_IFDIR, root)])]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            continue
        raw, mode, sha = entry
        seen += 1
        if seen > limits.members:
            yield Reject("too-many-members", name, f"more than {limits.members} entries")
            return
        path = decoded_name(raw)
        safe = safe_name(path)
        where = f"{name}/{spelled(path)}"[:1000]
        if raw and (safe is None or safe.count("/") != raw.count(b"/")):
            yield Reject("unsafe-name", where, spelled(path)[:200])
        elif stat.S_ISDIR(mode):
            try:
                entries = objects.tree(sha)
            except Fault as fault:
                yield _reject(where, fault)
                continue
            inside = [
                (raw + b"/" + child if raw else child, mode, sha)
                for child, mode, sha in entries
                # A name of several parts could stand for another file.
                if child and b"/" not in child and len(raw) + len(child) < NAME_BYTES
            ]
            if len(inside) < len(entries):
                yield Reject("unsafe-name", where, "names that are empty, hold a slash or pass the limit")
            # As git sorts: a folder as if its name ended in a slash.
            inside.sort(key=lambda entry: entry[0] + b"/" if stat.S_ISDIR(entry[1]) else entry[0])
            names = {child for child, _, _ in inside}
            if len(names) < len(inside):
                yield Reject("duplicate-member", where, "a tree names a file twice")
                inside = list({child: (child, mode, sha) for child, mode, sha in inside}.values())
            levels.append(iter(inside))
        elif stat.S_ISREG(mode):
            yield _File(safe or "", sha)
        elif stat.S_ISLNK(mode):
            yield Skip("link", 0)
        elif stat.S_IFMT(mode) == 0o160000:
            yield Skip("submodule", 0)
        else:
            yield Skip("special-file", 0)


# Commits and tags


def headers(data: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Headers of a commit or tag, in order, and its message. Half a header is left out, never an error."""
    head, _, message = data.partition(b"\n\n")
    found: list[tuple[str, str]] = []
    for line in head.split(b"\n"):
        key, space, value = line.partition(b" ")
        if key and space:
            found.append((decoded_name(key), decoded_name(value)))
    return found, message


def commit_tree(data: bytes) -> str:
    """Id of a commit's tree.

    Raises:
        Fault: where it names none.
    """
    tree = dict(headers(data)[0]).get("tree", "")
    if not _HASH.fullmatch(tree):
        raise Fault("corrupt-object", "a commit without a tree")
    return tree


# The object store


class Objects:
    """The objects of a repository's own store, packed and loose, by their ids in hex. Close it, or use it in `with`.

    Attributes:
        commit: id of the commit that the repository was opened at.
        faults: packs that cannot be read. Their objects are missing.
    """

    def __init__(self, places: _Places, sha: str, limits: Limits) -> None:
        self.commit = sha
        self.faults: list[Fault] = []
        self._places = places
        self._limits = limits
        self._hash = "sha1" if len(sha) == 40 else "sha256"
        self._packs: list[_Packed] = []
        try:
            for base in _packs(places.objects / "pack"):
                try:
                    self._packs.append(_Packed(base, len(sha) // 2, limits))
                except Fault as fault:
                    self.faults.append(fault)
        except OSError as error:
            self.faults.append(Fault("unreadable-pack", f"objects/pack: {error.strerror}"))

    @classmethod
    def of(cls, path: Path, revision: str, limits: Limits) -> Self:
        """The store of the repository at a path, at a revision.

        Raises:
            RequestError: when there is no repository or no such name in it.
            UnsafeRepository: when the repository leads outside of its folder.
            Fault: when the commit is missing or broken, or no commit; that of a pack where the commit is not there and
                a pack, in which it may be, cannot be read.
        """
        places = _located(path)
        objects = cls(places, _looked_up(places, path, revision), limits)
        try:
            objects.commit = objects._peeled()
        except Fault as fault:
            objects.close()
            if fault.reason == "missing-object" and objects.faults:
                raise objects.faults[0] from fault
            raise
        return objects

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release files and mappings."""
        for pack in self._packs:
            pack.close()
        self._packs = []

    def read(self, sha: str, most: int | None = None) -> tuple[str, bytes]:
        """Kind (`"commit"`, `"tree"`, `"blob"`, `"tag"`) and content of an object.

        Args:
            sha: its full id in hex.
            most: most bytes of it; `Limits.member_bytes` where left out.

        Raises:
            Fault: for one that is missing, broken, too large, or not what its id says.
        """
        most = self._limits.member_bytes if most is None else most
        if not _HASH.fullmatch(sha):
            raise Fault("corrupt-object", f"{spelled(sha)[:80]} is no object id")
        fault: Fault | None = None
        for place in (*self._packs, None):
            try:
                found = self._loose(sha, most) if place is None else place.read(sha, most)
            except Fault as error:
                # A copy in another place may be whole; the fault of the first one found is told.
                fault = fault or error
                continue
            if found is None:
                continue
            kind, data = found
            digest = hashlib.new(self._hash, b"%s %d\0" % (kind.encode(), len(data)), usedforsecurity=False)
            digest.update(data)
            if digest.hexdigest() == sha:
                return kind, data
            fault = fault or Fault("corrupt-object", f"{sha} does not hold what its id says")
        raise fault or Fault("missing-object", f"there is no object {sha}{self._borrows()}")

    def of_kind(self, kind: str, sha: str, most: int | None = None) -> bytes:
        """Content of an object that must be of a kind; raises `Fault` as `read`."""
        found, data = self.read(sha, most)
        if found != kind:
            raise Fault("corrupt-object", f"{sha} is a {found} where a {kind} should be")
        return data

    def tree(self, sha: str) -> list[tuple[bytes, int, str]]:
        """(name, mode, id) of a tree's entries, as they lie there; raises `Fault` as `read`."""
        from dulwich.objects import parse_tree

        data = self.of_kind("tree", sha)
        try:
            entries = list(parse_tree(data, len(sha) // 2))
        except _broken() as error:
            raise Fault("corrupt-object", f"{sha}: {_said(error)}") from error
        return [(name, mode, child.decode("ascii")) for name, mode, child in entries]

    def shallow(self) -> frozenset[str]:
        """Ids of the commits whose parents a shallow clone left out."""
        try:
            with _open_inside(self._places.shared, "shallow") as file:
                lines = (line.strip().decode("ascii", "replace") for line in _lines(file))
                return frozenset(line for line in lines if _HASH.fullmatch(line))
        except OSError:
            return frozenset()

    def _peeled(self) -> str:
        """The commit that a tag stands for, through tags of tags."""
        sha = self.commit
        for _ in range(10):
            kind, data = self.read(sha)
            if kind == "commit":
                return sha
            if kind != "tag":
                break
            sha = dict(headers(data)[0]).get("object", "")
        raise Fault("corrupt-object", f"{sha} is a {kind} where a commit should be")

    def _loose(self, sha: str, most: int) -> tuple[str, bytes] | None:
        try:
            with _open_inside(self._places.objects, f"{sha[:2]}/{sha[2:]}") as file:
                packed = file.read(most + most // 1000 + 4096)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Fault("unreadable-object", f"{sha}: {error.strerror}") from error
        machine = zlib.decompressobj()
        try:
            kind, _, rest = machine.decompress(packed, 64).partition(b" ")
            size, nul, data = rest.partition(b"\0")
            if not nul or not size.isdigit() or kind.decode("ascii") not in _KINDS.values():
                raise Fault("corrupt-object", f"{sha} has no header")
            if int(size) > most:
                raise Fault("oversize-object", f"{int(size)} bytes, more than {most}")
            data += machine.decompress(machine.unconsumed_tail, max(1, int(size) - len(data) + 1))
        except (zlib.error, UnicodeDecodeError) as error:
            raise Fault("corrupt-object", f"{sha}: {_said(error)}") from error
        return kind.decode("ascii"), data

    def _borrows(self) -> str:
        if (self._places.objects / "info" / "alternates").exists():
            return ", and the repository borrows some, which is not followed: git repack -a -d makes it whole"
        return ""


def within(
    path: Path, name: str, revision: str, limits: Limits, items: Callable[[Objects], Iterator[_Read]]
) -> Iterator[_Read | Reject]:
    """What `items` reads from the store of a repository at a revision, behind the faults of the store itself.

    A repository `name` that cannot be read is one reject.

    Raises:
        RequestError: when there is no repository or no such name in it.
    """
    try:
        objects = Objects.of(path, revision, limits)
    except UnsafeRepository as error:
        yield Reject("unsafe-repository", name, excerpt(error.what))
        return
    except Fault as fault:
        yield _reject(name, fault)
        return
    with objects:
        yield from (_reject(name, fault) for fault in objects.faults)
        yield from items(objects)


def _reject(where: str, fault: Fault) -> Reject:
    return Reject(fault.reason, where, excerpt(fault.detail))


class _Packed:
    """One pack and its index."""

    def __init__(self, base: str, hash_bytes: int, limits: Limits) -> None:
        from dulwich.object_format import SHA1, SHA256
        from dulwich.pack import Pack

        self._limits = limits
        self._hash_bytes = hash_bytes
        self._checked: dict[int, tuple[int, int, int]] = {}
        file = Path(base).name
        for suffix in (".idx", ".pack"):
            if not stat.S_ISREG(_mode(Path(base + suffix))):
                raise Fault("unsafe-pack", f"{file}{suffix} is not a regular file")
        self._pack = Pack(
            base, object_format=SHA1 if hash_bytes == 20 else SHA256, delta_base_cache_limit=limits.member_bytes
        )
        try:
            # Both are opened and compared now, so that a broken one does not spoil each look-up.
            self._index = self._pack.index
            _ = self._pack.data
            with _open_inside(Path(base).parent, f"{file}.pack") as data:
                self._view = mmap.mmap(data.fileno(), 0, access=mmap.ACCESS_READ)
        except _broken() as error:
            self._pack.close()
            if isinstance(error, OSError):
                raise Fault("unreadable-pack", f"{file}: {error.strerror}") from error
            raise Fault("corrupt-pack", f"{file}: {_said(error)}") from error

    def close(self) -> None:
        self._pack.close()
        self._view.close()

    def read(self, sha: str, most: int) -> tuple[str, bytes] | None:
        from dulwich.objects import RawObjectID

        raw = RawObjectID(bytes.fromhex(sha))
        try:
            offset = self._index.object_offset(raw)
        except KeyError:
            return None
        except _broken() as error:
            raise Fault("corrupt-pack", _said(error)) from error
        try:
            self._check_cost(offset, most)
            number, data = self._pack.get_raw(raw)
        except _broken() as error:
            why = _said(error)
        else:
            return _KINDS.get(number, str(number)), data
        # Not inside the handler: the error's frames hold views of the pack, which then could not be closed.
        raise Fault("corrupt-object", f"{sha}: {why}")

    def _check_cost(self, offset: int, most: int) -> None:
        """Refuse an object of more than `most` bytes, or whose chain of deltas costs more than the limits allow.

        All sizes stand in front of the compressed data (gitformat-pack, "deltified representation").

        Raises:
            Fault: when it does, or when the chain has no end.
        """
        room = self._limits.object_bytes
        chain: list[tuple[int, int, int]] = []
        while True:
            known = self._checked.get(offset)
            if known is not None and chain:
                break
            kind, size, at = _header(self._view, offset)
            held, made = 0, size
            if kind >= _OFFSET:
                base, at = self._base(kind, offset, at)
                # A delta begins with the sizes of what it is applied to and of what comes out.
                head = zlib.decompressobj().decompress(self._view[at : at + 1024], 32)
                _, end = _varint(head, 0)
                made, _ = _varint(head, end)
                held = size
            if not chain and made > most:
                raise Fault("oversize-object", f"{made} bytes, more than {most}")
            chain.append((offset, held, made))
            if kind < _OFFSET:
                known = (0, 0, 0)
                break
            if len(chain) > _CHAIN:
                raise Fault("corrupt-object", "a chain of deltas without an end")
            offset = base
        links, deltas, work = known or (0, 0, 0)
        for offset, held, made in reversed(chain):
            links, deltas, work = links + 1, deltas + held, work + made
            if max(made, deltas) > room or work > room * 64 or links > _CHAIN:
                raise Fault("oversize-object", f"{max(made, deltas)} bytes on the way to it, {work} in all")
            if len(self._checked) >= _CHECKED:
                self._checked.clear()
            self._checked[offset] = (links, deltas, work)

    def _base(self, kind: int, offset: int, at: int) -> tuple[int, int]:
        """Where the base of a delta lies, and where the delta's data begin."""
        from dulwich.objects import RawObjectID

        if kind == _OFFSET:
            distance, at = _distance(self._view, at)
            return offset - distance, at
        end = at + self._hash_bytes
        return self._index.object_offset(RawObjectID(self._view[at:end])), end


def _header(view: mmap.mmap, offset: int) -> tuple[int, int, int]:
    """Kind and size of a packed object, and where its data begin."""
    if offset < 12:
        raise ValueError(f"no object lies at {offset}")
    byte = view[offset]
    kind, size, shift = byte >> 4 & 7, byte & 15, 4
    while byte & 0x80:
        offset += 1
        byte = view[offset]
        size |= (byte & 0x7F) << shift
        shift += 7
        if shift > 70:
            raise ValueError("a size without an end")
    return kind, size, offset + 1


def _distance(view: mmap.mmap, at: int) -> tuple[int, int]:
    """How far in front of a delta its base lies, and where the delta's data begin."""
    byte = view[at]
    distance = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = view[at]
        distance = (distance + 1) << 7 | byte & 0x7F
        if distance >> 64:
            raise ValueError("a distance without an end")
    return distance, at + 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def _broken() -> tuple[type[Exception], ...]:
    """What reading a broken pack or tree raises."""
    from dulwich.errors import ApplyDeltaError, ChecksumMismatch, FileFormatException
    from dulwich.pack import PackFileDisappeared, UnresolvedDeltas

    return (
        ApplyDeltaError,
        AssertionError,
        ChecksumMismatch,
        FileFormatException,
        IndexError,
        KeyError,
        OSError,
        OverflowError,
        PackFileDisappeared,
        TypeError,
        UnresolvedDeltas,
        ValueError,
        struct.error,
        zlib.error,
    )


def _said(error: Exception) -> str:
    return spelled(str(error) or type(error).__name__)[:200]


def _packs(folder: Path) -> list[str]:
    """Paths of packs that have an index, without their endings, by name."""
    try:
        names = {entry.name for entry in os.scandir(folder)}
    except FileNotFoundError:
        return []
    bases = sorted(name.removesuffix(".pack") for name in names if name.endswith(".pack"))
    return [str(folder / base) for base in bases if f"{base}.idx" in names]


# Where the parts of a repository lie


@dataclass(frozen=True)
class _Places:
    """Folders of a repository: its own `HEAD`, what worktrees share, and the object store."""

    head: Path
    shared: Path
    objects: Path


def _open_inside(folder: Path, name: str) -> BinaryIO:
    """A regular file below a folder for reading; a link, also on the way, a pipe or a device is refused.

    Nothing is followed and nothing waited for: each part of the name is looked up in the folder before it.

    Raises:
        OSError: when it is none.
    """
    *between, last = name.split("/")
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in between:
            try:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            except NotADirectoryError as error:
                raise OSError(error.errno, f"{part} is a link or no folder", str(folder)) from error
            os.close(at)
            at = inner
        descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(at)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a regular file", str(folder / name))
    return os.fdopen(descriptor, "rb")


def _located(path: Path) -> _Places:
    """Folders of the repository at a path.

    Raises:
        RequestError: when there is none.
        UnsafeRepository: when it leads outside.
    """
    root = Path(os.path.realpath(path))
    dot = root / ".git"
    mode = _mode(dot)
    if stat.S_ISDIR(mode):
        control = shared = dot
    elif stat.S_ISREG(mode):
        control = _worktree(dot, path)
        shared = control.parent.parent
    elif mode:
        raise UnsafeRepository(f"{path}/.git is a link", remedy="Name the repository that it leads to.")
    elif _mode(root / "HEAD") and _mode(root / "objects"):
        control = shared = root
    else:
        raise RequestError(
            f"{path} is no git repository that can be read",
            remedy="Name the folder that holds .git, or a bare repository.",
        )
    objects = shared / "objects"
    if not _mode(objects):
        raise RequestError(f"{path} is no git repository that can be read", remedy="It has no folder of objects.")
    for folder in (objects, objects / "pack", shared / "refs"):
        mode = _mode(folder)
        if not stat.S_ISDIR(mode) and (mode or folder == objects):
            raise UnsafeRepository(
                f"{path}: its {folder.relative_to(shared)} is a link or no folder",
                remedy="Name the repository that it leads to.",
            )
    return _Places(control, shared, objects)


def _mode(path: Path) -> int:
    """What kind of thing lies at a path, links not followed; 0 where nothing can be seen."""
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _worktree(dot: Path, path: Path) -> Path:
    """The folder that a worktree's `.git` file names, where that names the worktree back."""
    named = _small(dot.parent, dot.name).removeprefix("gitdir:").strip()
    control = Path(os.path.realpath(dot.parent / named))
    back = _small(control, "gitdir").strip()
    # Only who may write to the other repository can make it point here.
    if not named or not back or control.parent.name != "worktrees" or Path(os.path.realpath(control / back)) != dot:
        raise UnsafeRepository(
            f"{path}/.git leads elsewhere, to {spelled(named)[:200]}",
            remedy="Name the repository that it leads to; a submodule's lies in .git/modules.",
        )
    return control


def _small(folder: Path, name: str) -> str:
    """The first line of a file below a folder; empty for what is no regular file there."""
    try:
        with _open_inside(folder, name) as file:
            return os.fsdecode(file.readline(_LINE))
    except OSError:
        return ""


# Refs


def _looked_up(places: _Places, path: Path, revision: str) -> str:
    """The id of what a name stands for: a commit or a tag."""
    if _HASH.fullmatch(revision):
        return revision
    if (places.shared / "reftable").exists():
        raise RequestError(
            f"{path} keeps its refs in the reftable format, which is not read", remedy="Name the commit by its full id."
        )
    name = revision
    packed: Mapping[str, str] | None = None
    for _ in range(6):
        candidates = (f"{prefix}{name}{suffix}" for prefix, suffix in _RULES)
        value = ""
        for candidate in [name] if name.startswith("refs/") else candidates:
            if not _is_ref(candidate):
                continue
            folder = places.head if candidate == "HEAD" else places.shared
            value = _small(folder, candidate).strip()
            if not value and candidate != "HEAD":
                packed = _packed_refs(places) if packed is None else packed
                value = packed.get(candidate, "")
            if value:
                break
        if not value.startswith("ref:"):
            break
        name = value.removeprefix("ref:").strip()
    if not _HASH.fullmatch(value):
        what = "has no commit yet" if revision == "HEAD" else f"has no branch, tag or commit {spelled(revision)!r}"
        remedy = "Name a branch, a tag or a full commit id."
        raise RequestError(f"{path} {what}", remedy=remedy)
    return value


_RULES = (
    ("", ""),
    ("refs/", ""),
    ("refs/tags/", ""),
    ("refs/heads/", ""),
    ("refs/remotes/", ""),
    ("refs/remotes/", "/HEAD"),
)
"""Where a name is looked up, in this order (gitrevisions, "refname")."""


def _is_ref(name: str) -> bool:
    """Whether a name can be a ref's: `HEAD`, or below `refs` without leaving it."""
    if name == "HEAD":
        return True
    return name.startswith("refs/") and safe_name(name) == name and not name.endswith(".lock")


def _packed_refs(places: _Places) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        with _open_inside(places.shared, "packed-refs") as file:
            for line in _lines(file):
                sha, _, name = line.rstrip(b"\n").decode("utf-8", "surrogateescape").partition(" ")
                if _HASH.fullmatch(sha) and name:
                    found[name] = sha
    except OSError:
        return found
    return found


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines of a file; one that is too long comes in pieces."""
    while line := file.readline(_LINE):
        yield line
