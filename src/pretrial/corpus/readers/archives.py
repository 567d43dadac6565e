"""Archives: zip, wheel and tar files (plain, gzip, bzip2, xz, Zstandard), one file of source a member.

Guarantees: nothing is written to disk; what an archive may cost is bounded by `Limits` whatever it claims of
itself; members come sorted by name, so packing the same files in another order changes nothing; a broken member
is a reject and the others stay; of a cut archive the part that can be read stays (a cut zip has lost its list of
members, so all of it); of several members with one name the last counts, as when unpacking. Memory is bounded
by one member, for a compressed tar by twice `RUN_BYTES` and one member.
Does not: open archives inside archives, follow links, or read encrypted members, sparse files, and zip members
that are packed otherwise than stored, DEFLATE or bzip2.

A compressed tar can be read from its start only. It is unpacked once where what is wanted of it fits into
`RUN_BYTES`, else once more for each `RUN_BYTES` that do not.
"""

from __future__ import annotations

import bz2
import hashlib
import importlib.metadata
import io
import itertools
import lzma
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pretrial.corpus.installed import licence, normalised
from pretrial.corpus.kinds import ARCHIVES
from pretrial.corpus.readers.packed import unpacked
from pretrial.corpus.readers.record import Blob, Reject, Skip, excerpt
from pretrial.corpus.readers.safety import Fault, Limits, check_ratio, decoded_name, safe_name, spelled
from pretrial.errors import RunError

RUN_BYTES = 128_000_000

_NESTED = re.compile(r"\.(?:zip|whl|jar|war|egg|apk|tar|tgz|tbz2?|txz|tzst|gz|bz2|xz|zst|7z|rar)$", re.I)
_DESCRIPTION = re.compile(r"[^/]+\.dist-info/METADATA|[^/]+/PKG-INFO")
_DESCRIPTION_BYTES = 1_000_000
_HEADER_BYTES = 1_000_000
_XZ_MEMORY = 256_000_000
_BLOCK = 512
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Listing:
    """What an archive holds.

    Attributes:
        format: `"zip"`, `"tar"`, `"tar.gz"`, `"tar.bz2"`, `"tar.xz"` or `"tar.zst"`; empty for what is no archive.
        fields: what all its documents share: `distribution`, `revision` (its version) and `license` of a wheel or
            a source distribution.
        members: (name, bytes) of each file that can be read, sorted by name.
        problems: what cannot, and what is left out.
    """

    format: str
    fields: dict[str, str]
    members: tuple[tuple[str, int], ...]
    problems: tuple[Reject | Skip, ...]


def list_members(path: Path, name: str | None = None, *, limits: Limits | None = None) -> Listing:
    """What an archive holds. A compressed tar is unpacked for it, its members' contents are not kept.

    Args:
        path: the archive.
        name: what it is called in places (`name/member`); its file name where left out.
        limits: the most it may cost.
    """
    name = path.name if name is None else name
    limits = Limits() if limits is None else limits
    with path.open("rb") as file:
        archive = _opened(file, limits)
        rows = _rows(archive, name, limits, lambda _: False)
        members = tuple((row.name, row.what.size) for row in rows if isinstance(row.what, _Entry))
        problems = tuple(row.what for row in rows if not isinstance(row.what, _Entry))
        return Listing(archive.format, _about(archive, rows), members, problems)


def read_archive(
    path: Path,
    name: str,
    *,
    wanted: Callable[[str], bool],
    limits: Limits | None = None,
    sha256: str | None = None,
) -> Iterator[Blob | Reject | Skip]:
    """Files of an archive, sorted by name, and the reasons for which something is not among them.

    Blobs are named `name/member`. Their fields are `path` (the member's name), `package` (what keeps an archive's
    files together: the distribution, else the top folder, else the archive) and those of `Listing.fields`.

    Args:
        path: the archive.
        name: what it is called in places.
        wanted: whether a member is asked for, by its name. Others are counted as skipped and, where the format
            allows, not unpacked.
        limits: the most it may cost. One that passes `total_bytes`, `members` or `ratio` is one reject.
        sha256: what the archive's bytes must hash to.

    Raises:
        RunError: when the bytes do not hash to `sha256`, or change while they are read.
    """
    limits = Limits() if limits is None else limits
    with path.open("rb") as file:
        if sha256 is not None and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise RunError(f"{path} changed while it was being read", remedy="Run again when nothing writes to it.")
        file.seek(0)
        archive = _opened(file, limits)
        rows = _rows(archive, name, limits, wanted)
        about = _about(archive, rows)
        asked = [row.what for row in rows if isinstance(row.what, _Entry) and row.what.size and wanted(row.name)]
        try:
            contents = archive.contents(asked)
        except Fault as fault:
            yield Reject(fault.reason, name, excerpt(fault.detail))
            return
        for row in rows:
            if not isinstance(row.what, _Entry):
                yield row.what
            elif not wanted(row.name):
                yield Skip("unwanted", row.what.size)
            elif not row.what.size:
                yield Skip("empty", 0)
            else:
                where = f"{name}/{row.name}"
                data = next(contents)
                if isinstance(data, Fault):
                    yield Reject(data.reason, where, excerpt(data.detail))
                else:
                    fields: dict[str, Any] = {"path": row.name, "package": _package(row.name, name, about), **about}
                    yield Blob(where, data, fields)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A member as the archive lists it. `problem` says why it cannot be read, `offset` where its data begin."""

    number: int
    name: str
    kind: str
    size: int
    offset: int
    problem: str = ""
    packed: int = 0
    crc: int = 0
    method: int = 0
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    number: int
    what: _Entry | Reject | Skip


class _Archive(Protocol):
    format: str
    descriptions: dict[str, bytes]

    def entries(self, hold: Callable[[str, int], bool]) -> Iterator[_Entry]:
        """All members in the archive's order; may end in a `Fault`. What `hold(name, bytes)` names may be kept."""

    def contents(self, members: list[_Entry]) -> Iterator[bytes | Fault]:
        """Data of members, in the order asked. Raises `Fault` at once when they pass a limit together."""


def _opened(file: io.BufferedIOBase, limits: Limits) -> _Archive:
    head = file.read(_BLOCK)
    file.seek(0)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _Zip(file, limits)
    for magic, format in _MAGIC.items():
        if head.startswith(magic):
            return _PackedTar(file, format, limits)
    return _PlainTar(file, limits)


def _rows(archive: _Archive, name: str, limits: Limits, wanted: Callable[[str], bool]) -> list[_Row]:
    """What an archive holds, sorted by name; its own faults last."""
    rows: list[_Row] = []
    faults: list[_Row] = []
    count = 0

    def hold(raw: str, size: int) -> bool:
        safe = safe_name(raw)
        return size <= limits.member_bytes and safe is not None and not _NESTED.search(safe) and wanted(safe)

    try:
        for entry in archive.entries(hold):
            count += 1
            if count > limits.members:
                raise Fault("too-many-members", f"more than {limits.members}", fatal=True)
            if entry.kind != "directory":
                rows.append(_judged(entry, name, limits))
    except Fault as fault:
        if fault.fatal:
            rows = []
        faults = [_Row("", count, Reject(fault.reason, name, excerpt(fault.detail)))]
    rows.sort(key=lambda row: (row.name, row.number))
    for index, (row, after) in enumerate(itertools.pairwise(rows)):
        if row.name and row.name == after.name:
            detail = "a later member of the archive has the same name"
            rows[index] = _Row(row.name, row.number, Reject("duplicate-member", f"{name}/{row.name}", detail))
    return rows + faults


def _judged(entry: _Entry, name: str, limits: Limits) -> _Row:
    safe = safe_name(entry.name)
    if safe is None:
        where = f"{name}/{spelled(entry.name)[:1000]}"
        return _Row("", entry.number, Reject("unsafe-name", where, spelled(entry.name)[:200]))
    what: _Entry | Reject | Skip = entry
    if entry.kind in ("link", "special-file"):
        what = Skip(entry.kind, 0)
    elif _NESTED.search(safe):
        what = Skip("nested-archive", entry.size)
    elif entry.problem:
        what = Reject(entry.problem, f"{name}/{safe}", "")
    elif entry.size > limits.member_bytes:
        what = Reject("oversize-member", f"{name}/{safe}", f"{entry.size} bytes, more than {limits.member_bytes}")
    return _Row(safe, entry.number, what)


class _Packed(importlib.metadata.Distribution):
    """A distribution known by its description only."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(path)


def _about(archive: _Archive, rows: Iterable[_Row]) -> dict[str, str]:
    """What an archive says of itself, where it is one wheel or one source distribution."""
    found = [
        row.what
        for row in rows
        if isinstance(row.what, _Entry) and _DESCRIPTION.fullmatch(row.name) and row.what.size <= _DESCRIPTION_BYTES
    ]
    wheels = [entry for entry in found if entry.name.endswith("METADATA")]
    chosen = wheels or found
    if len(chosen) != 1:
        return {}
    try:
        data = archive.descriptions.get(chosen[0].name) or next(archive.contents(chosen), b"")
    except Fault:
        # The limits leave no room for it; what is read next says so.
        return {}
    if isinstance(data, Fault):
        return {}
    described = _Packed(data.decode("utf-8", "replace"))
    known = described.metadata
    name, version = (spelled(str(known[key] or "")).strip()[:200] for key in ("Name", "Version"))
    if not name or not version:
        return {}
    terms = spelled(licence(described))
    return {"distribution": normalised(name), "revision": version} | ({"license": terms} if terms != "unknown" else {})


def _package(member: str, archive: str, about: Mapping[str, str]) -> str:
    if "distribution" in about:
        # As most distributions call their module, so that it joins the group of an installed copy.
        return about["distribution"].replace("-", "_")
    if "/" in member:
        return member.partition("/")[0]
    base = PurePosixPath(archive).name
    return next((base[: -len(end)] for end in ARCHIVES if base.lower().endswith(end)), base) or base


# Zip


class _Zip:
    """The members that the central directory lists, each read from where it says.

    Why not `zipfile`: it builds all of the list before one can object, decodes every name before one can skip
    one, and lets a member choose how much memory LZMA takes.
    """

    format = "zip"

    def __init__(self, file: io.BufferedIOBase, limits: Limits) -> None:
        self.descriptions: dict[str, bytes] = {}
        self._file = file
        self._limits = limits
        self._size = file.seek(0, io.SEEK_END)

    def entries(self, hold: Callable[[str, int], bool]) -> Iterator[_Entry]:
        start, size, shift = self._directory()
        directory = self._file
        directory.seek(start)
        number = 0
        while directory.tell() < start + size:
            head = directory.read(46)
            if len(head) < 46 or head[:4] != b"PK\1\2":
                raise Fault("corrupt-archive", f"its list of members is broken at member {number + 1}")
            (made_by, flags, method, crc, packed, unpacked, name_length, extra_length, comment_length) = struct.unpack(
                "<4xH2xHH4xLLLHHH", head[:34]
            )
            attributes, offset = struct.unpack("<LL", head[38:])
            raw = directory.read(name_length)
            extra = directory.read(extra_length)
            directory.seek(comment_length, io.SEEK_CUR)
            unpacked, packed, offset = _zip64(extra, unpacked, packed, offset)
            name = _zip_name(raw, flags, made_by >> 8)
            kind = _zip_kind(name, made_by >> 8, attributes >> 16)
            problem = ""
            if flags & 0x2041:
                problem = "encrypted-member"
            elif method not in (0, 8, 12):
                problem = "unsupported-compression"
            yield _Entry(number, name, kind, unpacked, offset + shift, problem, packed, crc, method, raw)
            number += 1

    def contents(self, members: list[_Entry]) -> Iterator[bytes | Fault]:
        total = sum(member.size for member in members)
        _check_total(total, self._size, self._limits)
        return (self._content(member) for member in members)

    def _directory(self) -> tuple[int, int, int]:
        """(position, bytes) of the list of members, and what to add to its positions."""
        tail_at = max(0, self._size - 65557 - 76)
        self._file.seek(tail_at)
        tail = self._file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < 22:
            raise Fault("truncated-archive", "the list of members at its end is missing", fatal=True)
        size, offset = struct.unpack("<LL", tail[at + 12 : at + 20])
        end = tail_at + at
        if at >= 76 and tail[at - 20 : at - 16] == b"PK\6\7" and tail[at - 76 : at - 72] == b"PK\6\6":
            size, offset = struct.unpack("<QQ", tail[at - 36 : at - 20])
            end -= 76
        # What stands in front of an archive, such as a program that unpacks it, moves all positions.
        shift = end - size - offset
        if shift < 0:
            raise Fault("corrupt-archive", "its list of members lies outside of it", fatal=True)
        return end - size, size, shift

    def _content(self, member: _Entry) -> bytes | Fault:
        file = self._file
        file.seek(member.offset)
        head = file.read(30)
        if len(head) < 30 or head[:4] != b"PK\3\4":
            return Fault("corrupt-member", "there is no member where the list says")
        name_length, extra_length = struct.unpack("<HH", head[26:])
        if file.read(name_length) != member.raw:
            return Fault("corrupt-member", "it has another name than in the list")
        file.seek(extra_length, io.SEEK_CUR)
        try:
            data = _unpacked(file, member)
        except (zlib.error, OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            return Fault("corrupt-member", str(error))
        if len(data) != member.size or zlib.crc32(data) != member.crc:
            return Fault("corrupt-member", "its bytes are not those that were packed")
        return data


def _unpacked(file: io.BufferedIOBase, member: _Entry) -> bytes:
    """A member's data, at most one byte more than it claims."""
    if member.method == 0:
        return file.read(min(member.packed, member.size + 1))
    parts: list[bytes] = []
    room, left = member.size + 1, member.packed
    if member.method == 12:
        machine = bz2.BZ2Decompressor()
        while room and not machine.eof:
            chunk = file.read(min(left, _CHUNK)) if machine.needs_input else b""
            if machine.needs_input and not chunk:
                break
            left -= len(chunk)
            parts.append(machine.decompress(chunk, room))
            room -= len(parts[-1])
        return b"".join(parts)
    inflate = zlib.decompressobj(-15)
    while room and left and not inflate.eof:
        if not (chunk := file.read(min(left, _CHUNK))):
            break
        left -= len(chunk)
        parts.append(inflate.decompress(chunk, room))
        room -= len(parts[-1])
        while room and inflate.unconsumed_tail:
            parts.append(inflate.decompress(inflate.unconsumed_tail, room))
            room -= len(parts[-1])
    return b"".join(parts)


def _zip64(extra: bytes, unpacked: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes and position, from the extra field where the header has no room for them."""
    values = [unpacked, packed, offset]
    at = 0
    while len(extra) - at >= 4:
        kind, length = struct.unpack_from("<HH", extra, at)
        field = extra[at + 4 : at + 4 + length]
        if kind == 1:
            for index, value in enumerate(values):
                if value == 0xFFFFFFFF and len(field) >= 8:
                    values[index] = struct.unpack_from("<Q", field)[0]
                    field = field[8:]
        at += 4 + length
    return values[0], values[1], values[2]


def _zip_name(raw: bytes, flags: int, system: int) -> str:
    if flags & 0x800:
        name = decoded_name(raw)
    else:
        # Names without the flag are in code page 437 by the letter and in UTF-8 as Unix tools write them.
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            name = raw.decode("cp437")
    return name.replace("\\", "/") if system == 0 else name


def _zip_kind(name: str, system: int, mode: int) -> str:
    if name.endswith("/"):
        return "directory"
    form = mode & 0o170000 if system == 3 else 0
    return {0: "file", 0o100000: "file", 0o040000: "directory", 0o120000: "link"}.get(form, "special-file")


def _check_total(total: int, packed: int, limits: Limits) -> None:
    if total > limits.total_bytes:
        raise Fault("archive-bomb", f"{total} bytes unpacked, more than {limits.total_bytes}", fatal=True)
    check_ratio(total, packed, limits)


# Tar


class _Stream:
    """An archive's bytes in order, counted. Reads give fewer bytes than asked at the end only."""

    def __init__(self, source: io.BufferedIOBase, check: Callable[[int], None] | None) -> None:
        self.position = 0
        self._source = source
        self._check = check
        self._end = source.seek(0, io.SEEK_END) if check is None else None
        if check is None:
            source.seek(0)

    def read(self, size: int) -> bytes:
        parts = []
        while size:
            try:
                # Not `read`, which loses what it has when damage follows.
                part = self._source.read1(min(size, _CHUNK))
            except (EOFError, lzma.LZMAError, OSError) as error:
                raise _stream_fault(error) from error
            if not part:
                break
            parts.append(part)
            size -= len(part)
            self.position += len(part)
            if self._check:
                self._check(self.position)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip(self, size: int) -> bool:
        """Go on by `size` bytes; whether there were so many."""
        if self._end is not None:
            self.position += size
            self._source.seek(min(self.position, self._end))
            return self.position <= self._end
        while size:
            if not (part := self.read(min(size, _CHUNK))):
                return False
            size -= len(part)
        return True


def _stream_fault(error: Exception) -> Fault:
    if isinstance(error, OSError) and error.errno is not None:
        raise error
    cut = isinstance(error, EOFError) or "Truncated" in str(error)
    return Fault("truncated-archive" if cut else "corrupt-archive", str(error))


def _tar_entries(stream: _Stream, hold: Callable[[_Entry], bool]) -> Iterator[tuple[_Entry, bytes | None]]:
    """Whole members in the archive's order, with the data of those that `hold` names.

    Headers are parsed by `tarfile`; the loop is ours, since `tarfile` takes a broken header behind the first for
    the archive's end, and believes any size that a header of names claims.
    """
    number = 0
    shared: dict[str, str] = {}
    own: dict[str, str] = {}
    while block := stream.read(_BLOCK):
        at = stream.position - len(block)
        if not block.strip(b"\0"):
            return
        try:
            # Fails for a short block, too.
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            if at == 0:
                raise Fault("not-an-archive", str(error), fatal=True) from error
            cut = len(block) < _BLOCK
            raise Fault("truncated-archive" if cut else "corrupt-archive", f"{error} at byte {at}") from error
        size = info.size
        if info.type in b"LKxXg":
            if not 0 <= size <= _HEADER_BYTES:
                raise Fault("corrupt-archive", f"a header of {size} bytes at byte {at}")
            text = stream.read(size)
            if len(text) < size or not stream.skip(-size % _BLOCK):
                raise Fault("truncated-archive", f"cut at byte {stream.position}")
            if info.type == b"L":
                own["path"] = decoded_name(text.rstrip(b"\0"))
            elif info.type in b"xX":
                own |= _pax(text)
            elif info.type == b"g":
                shared |= _pax(text)
            continue
        pax, own = shared | own, {}
        sparse = info.type == b"S" or any(key.startswith("GNU.sparse.") for key in pax)
        if info.type == b"S" and block[482]:
            # The map of a sparse file goes on in blocks of its own.
            while (more := stream.read(_BLOCK)) and more[-8:-7] not in (b"", b"\0"):
                pass
        name = pax.get("path", info.name)
        kind, stored = _tar_kind(info, name)
        if "size" in pax:
            size = int(pax["size"]) if re.fullmatch("[0-9]{1,18}", pax["size"]) else -1
        if size < 0:
            raise Fault("corrupt-archive", f"a member of {size} bytes at byte {at}")
        entry = _Entry(number, name, kind, size, stream.position, "sparse-member" if sparse else "")
        data = None
        complete = True
        if stored:
            if not sparse and kind == "file" and hold(entry):
                data = stream.read(size)
                complete = len(data) == size
            else:
                complete = stream.skip(size)
        if not complete:
            raise Fault("truncated-archive", f"cut in {spelled(name)[:100]}")
        yield entry, data
        number += 1
        if stored and not stream.skip(-size % _BLOCK):
            raise Fault("truncated-archive", f"cut behind {spelled(name)[:100]}")
    if not stream.position:
        raise Fault("not-an-archive", "it is empty", fatal=True)


def _tar_kind(info: tarfile.TarInfo, name: str) -> tuple[str, bool]:
    """Kind of a member, and whether data follow its header."""
    if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE):
        return "directory" if name.endswith("/") else "file", True
    if info.type == tarfile.DIRTYPE:
        return "directory", False
    if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        return "link", False
    return "special-file", info.type not in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


def _pax(text: bytes) -> dict[str, str]:
    """The records `length key=value` of an extended header; what does not parse ends them."""
    found: dict[str, str] = {}
    at = 0
    while (space := text.find(b" ", at, at + 12)) > at:
        digits = text[at:space]
        length = int(digits) if digits.isdigit() else 0
        record = text[space + 1 : at + length - 1]
        key, equals, value = record.partition(b"=")
        if not equals or text[at + length - 1 : at + length] != b"\n":
            break
        found[decoded_name(key)] = decoded_name(value)
        at += length
    return found


class _PlainTar:
    format = "tar"

    def __init__(self, file: io.BufferedIOBase, limits: Limits) -> None:
        self.descriptions: dict[str, bytes] = {}
        self._file = file
        self._limits = limits

    def entries(self, hold: Callable[[str, int], bool]) -> Iterator[_Entry]:
        stream = _Stream(self._file, None)
        for entry, _ in _tar_entries(stream, lambda _: False):
            yield entry

    def contents(self, members: list[_Entry]) -> Iterator[bytes | Fault]:
        _check_total(sum(member.size for member in members), self._file.seek(0, io.SEEK_END), self._limits)
        return (self._content(member) for member in members)

    def _content(self, member: _Entry) -> bytes | Fault:
        self._file.seek(member.offset)
        data = self._file.read(member.size)
        return data if len(data) == member.size else Fault("truncated-archive", "it became shorter meanwhile")


class _PackedTar:
    """A tar inside a compressed stream."""

    def __init__(self, file: io.BufferedIOBase, format: str, limits: Limits) -> None:
        self.format = format
        self.descriptions: dict[str, bytes] = {}
        self._file = file
        self._limits = limits
        self._held: dict[int, bytes] = {}

    def entries(self, hold: Callable[[str, int], bool]) -> Iterator[_Entry]:
        room = RUN_BYTES

        def keeps(entry: _Entry) -> bool:
            described = _DESCRIPTION.fullmatch(safe_name(entry.name) or "") and entry.size <= _DESCRIPTION_BYTES
            return bool(described) or (entry.size <= room and hold(entry.name, entry.size))

        for entry, data in _tar_entries(self._stream(), keeps):
            if data is not None:
                # Only an archive with a single description is a distribution.
                if _DESCRIPTION.fullmatch(safe_name(entry.name) or "") and len(self.descriptions) < 3:
                    self.descriptions[entry.name] = data
                if len(data) <= room:
                    room -= len(data)
                    self._held[entry.number] = data
            yield entry

    def contents(self, members: list[_Entry]) -> Iterator[bytes | Fault]:
        return self._runs(members)

    def _runs(self, members: list[_Entry]) -> Iterator[bytes | Fault]:
        start = 0
        while start < len(members):
            end, size = start, 0
            while end < len(members):
                size += 0 if members[end].number in self._held else members[end].size
                if size > RUN_BYTES and end > start:
                    break
                end += 1
            run = members[start:end]
            held = {member.number: self._held.pop(member.number, None) for member in run}
            try:
                self._fill(held)
                missing = any(data is None for data in held.values())
            except Fault:
                missing = True
            if missing:
                # All of them were there when the members were listed.
                raise RunError("an archive changed while it was being read", remedy="Run again.")
            for member in run:
                yield held.pop(member.number) or b""
            start = end

    def _fill(self, held: dict[int, bytes | None]) -> None:
        missing = {number for number, data in held.items() if data is None}
        entries = _tar_entries(self._stream(), lambda entry: entry.number in missing) if missing else iter(())
        for entry, data in entries:
            if data is not None:
                held[entry.number] = data
                missing.discard(entry.number)
                if not missing:
                    return

    def _stream(self) -> _Stream:
        self._file.seek(0)
        limits = self._limits
        return _Stream(
            _decompressed(self._file, self.format, limits), lambda done: _check_total(done, self._file.tell(), limits)
        )


_MAGIC = {
    b"\x1f\x8b": "tar.gz",
    b"BZh": "tar.bz2",
    b"\xfd7zXZ\0": "tar.xz",
    b"\x28\xb5\x2f\xfd": "tar.zst",
}


def _decompressed(file: io.BufferedIOBase, format: str, limits: Limits) -> io.BufferedIOBase:
    if format == "tar.bz2":
        return io.BufferedReader(_Unpacker(file, bz2.BZ2Decompressor), _CHUNK)
    if format == "tar.xz":
        # The standard reader gives a stream as much memory as it asks for.
        return io.BufferedReader(_Unpacker(file, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)), _CHUNK)

    def again() -> io.RawIOBase:
        file.seek(0)
        return _Borrowed(file)

    return unpacked(_Borrowed(file), {"tar.gz": "gzip", "tar.zst": "zstd"}[format], again, limits)


class _Borrowed(io.RawIOBase):
    """A file under another name, for what closes it though the file is read again."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)


class _Unpacker(io.RawIOBase):
    """One or more streams of bzip2 or xz, one behind the other, unpacked as they are read."""

    def __init__(self, file: io.BufferedIOBase, make: Callable[[], Any]) -> None:
        self._file = file
        self._make = make
        self._machine = make()
        self._rest = b""
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        while True:
            if self._machine.eof:
                # Streams are padded with zeros.
                self._rest = (self._machine.unused_data or self._file.read(_CHUNK)).lstrip(b"\0")
                if not self._rest:
                    if not self._file.read(1):
                        return 0
                    self._file.seek(-1, io.SEEK_CUR)
                    continue
                self._machine = self._make()
            if self._machine.needs_input and not self._rest:
                self._rest = self._file.read(_CHUNK)
                if not self._rest:
                    raise EOFError("compressed file ended before the end-of-stream marker was reached")
            data = self._machine.decompress(self._rest, len(view))
            self._rest = b""
            if data:
                view[: len(data)] = data
                return len(data)
