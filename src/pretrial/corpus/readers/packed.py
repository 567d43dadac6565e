"""Unpacking gzip and Zstandard as a stream, so that of a cut or damaged file all that stands before the damage is read.

Guarantees: several streams one behind the other are one; a stream that ends inside a frame is an error (without a
number, which a disk's own errors have), raised where the readable bytes end; memory is bounded by two blocks, whatever
the bytes unpack to.
Does not: repair anything, or look behind the damage.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO

import pyarrow as pa

_BLOCK = 1 << 16

Packed = BinaryIO | io.RawIOBase
"""A file, or a reader in the place of one."""


def unpacked(file: Packed, kind: str, again: Callable[[], BinaryIO]) -> io.BufferedReader:
    """The bytes inside a packed file.

    Args:
        file: the file, at its beginning.
        kind: `"gzip"` or `"zstd"`.
        again: opens the same bytes once more; called when damage was met.
    """
    return io.BufferedReader(_Unpacked(file, kind, again), _BLOCK)


class _Unpacked(io.RawIOBase):
    """Arrow notices a cut, where python-zstandard's reader takes it for the end; but the read that meets it gives
    nothing. So it is read again up to there, and from there byte by byte."""

    def __init__(self, file: Packed, kind: str, again: Callable[[], BinaryIO]) -> None:
        self._kind = kind
        self._again = again
        self._stream = self._open(file)
        self._given = 0
        self._damage: OSError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._damage is not None:
            raise self._damage
        most = min(len(buffer), _BLOCK)
        try:
            data = self._stream.read(most)
        except OSError as error:
            if error.errno is not None:
                raise
            self._damage = error
            data = self._rest(most)
            if not data:
                raise
        buffer[: len(data)] = data
        self._given += len(data)
        return len(data)

    def _rest(self, most: int) -> bytes:
        """What stands between the bytes that were given and the damage: less than `most`."""
        with self._again() as file:
            stream = self._open(file)
            left = self._given
            while left:
                left -= len(stream.read(min(left, _BLOCK)))
            rest = bytearray()
            try:
                while len(rest) < most and (one := stream.read(1)):
                    rest += one
            except OSError as error:
                if error.errno is not None:
                    raise
        return bytes(rest)

    def _open(self, file: Packed) -> Any:
        return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), self._kind)
