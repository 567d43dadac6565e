"""Unpacking gzip and Zstandard as a stream, so that of a cut or damaged file all that stands before the damage is read.

Guarantees: several streams one behind the other are one; a stream that ends inside a frame is an error (without a
number, which a disk's own errors have), raised where the readable bytes end; what unpacks to far more than was read
of the file ends in a `Fault`, what comes before stays; memory is bounded by two blocks, whatever the bytes unpack to.
Does not: repair anything, or look behind the damage.
"""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import pyarrow as pa
import zstandard

from pretrial.corpus.readers.safety import Limits, check_ratio

_BLOCK = 1 << 16
# So little that a bomb unpacks to some megabytes of it.
_FED = 1 << 10

Packed = BinaryIO | io.RawIOBase
"""A file, or a reader in the place of one."""


def unpacked(file: Packed, kind: str, again: Callable[[], Packed], limits: Limits | None = None) -> io.BufferedReader:
    """The bytes inside a packed file. Reading raises `Fault` where they pass `ratio`.

    Read it with `read1` or by lines where an error must not cost what stands before it.

    Args:
        file: the file, at its beginning.
        kind: `"gzip"` or `"zstd"`.
        again: opens the same bytes once more; called when damage was met.
        limits: the most they may cost.
    """
    return io.BufferedReader(_Unpacked(file, kind, again, Limits() if limits is None else limits), _BLOCK)


class _Counted(io.RawIOBase):
    """A file, with how many of its bytes were read. Arrow closes this in its place."""

    def __init__(self, file: Packed) -> None:
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer)) or b""
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)


class _Unpacked(io.RawIOBase):
    """Arrow notices a cut, where python-zstandard's reader takes it for the end; but the read that meets it, or other
    damage, gives nothing. So the file is unpacked once more, and where the damage is it is fed byte by byte."""

    def __init__(self, file: Packed, kind: str, again: Callable[[], Packed], limits: Limits) -> None:
        self._kind = kind
        self._again = again
        self._limits = limits
        self._packed = _Counted(file)
        self._stream = pa.CompressedInputStream(pa.PythonFile(self._packed, mode="r"), kind)
        self._given = 0
        self._rest = b""
        self._damage: OSError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        most = min(len(buffer), _BLOCK)
        if self._damage is None:
            try:
                data = self._stream.read(most)
            except OSError as error:
                if error.errno is not None:
                    raise
                self._rest = self._before_damage()
                self._damage = error
        if self._damage is not None:
            data, self._rest = self._rest[:most], self._rest[most:]
            if not data:
                raise self._damage
        check_ratio(self._given + len(data), self._packed.count, self._limits)
        buffer[: len(data)] = data
        self._given += len(data)
        return len(data)

    def _before_damage(self) -> bytes:
        """What stands between the bytes that were given and the damage: a few blocks at most."""
        whole = 0
        with self._again() as file:
            machine = _Machine(self._kind)
            with contextlib.suppress(zlib.error, zstandard.ZstdError):
                while (fed := file.read(_FED)) and machine.unpacked(fed) is not None:
                    whole += len(fed)
        rest, skipped = bytearray(), 0
        with self._again() as file:
            machine = _Machine(self._kind)
            with contextlib.suppress(zlib.error, zstandard.ZstdError):
                while fed := file.read(min(_FED, whole) or 1):
                    whole -= min(len(fed), whole)
                    data = machine.unpacked(fed)
                    behind = min(self._given - skipped, len(data))
                    skipped += behind
                    rest += data[behind:]
        return bytes(rest)


class _Machine:
    """Unpacks what it is fed, however little that is, and all that can be told from it."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._open()

    def _open(self) -> None:
        gzip = self._kind == "gzip"
        # 31: with the header and the checksum of gzip.
        self._stream: Any = zlib.decompressobj(31) if gzip else zstandard.ZstdDecompressor().decompressobj()

    def unpacked(self, data: bytes) -> bytes:
        found = []
        while data:
            if self._stream.eof:
                self._open()
            found.append(self._stream.decompress(data))
            data = self._stream.unused_data if self._stream.eof else b""
        return b"".join(found)
