"""What readers may spend on input they do not trust, and names that are safe to store.

Guarantees: a name that `safe_name` gives is relative, has no `..`, no empty part and no character that moves a
cursor or cannot be stored; equal names give equal results.
Does not: open anything. A safe name is a label; readers never write a file under it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME_BYTES = 4096
# Control characters, half surrogates, and marks that change the direction of what is printed after them.
_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Limits:
    """Most that one archive, packed file, repository or document may cost. All are this project's own choices.

    Attributes:
        member_bytes: most bytes of one file; a larger one is a reject, the others stay.
        total_bytes: most unpacked bytes of one archive, most file bytes of one tree of a repository.
        members: most members of an archive, or entries of a tree with its folders.
        ratio: most unpacked bytes for each packed byte of an archive or packed file. DEFLATE reaches 1,032, Zstandard
            more than 10,000; source code in xz stays under 20.
        ratio_from: unpacked bytes from which `ratio` is applied.
        document_bytes: most bytes of a document put together from many parts, a question with its answers or a list
            of comments, and of the parts themselves.
        structure_bytes: most memory that a line of JSON may take beside its texts: lists, maps, keys and numbers can
            take 44 bytes for each byte of the line. Five million numbers, the tokens of a text of 20 MB, stay below it.
        structure_from: bytes of a line from which that is estimated.
        object_bytes: most bytes of anything unpacked on the way to a git object (the base of a delta).
    """

    member_bytes: int = 32_000_000
    total_bytes: int = 8_000_000_000
    members: int = 500_000
    ratio: int = 200
    ratio_from: int = 64_000_000
    document_bytes: int = 32_000_000
    structure_bytes: int = 200_000_000
    structure_from: int = 4_000_000
    object_bytes: int = 128_000_000


class Fault(Exception):
    """Why something in an archive or repository cannot be read: the reason and details of a `Reject`.

    `fatal` marks what speaks against all of the archive, such as a bomb.
    """

    def __init__(self, reason: str, detail: str = "", *, fatal: bool = False) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.fatal = fatal


def check_ratio(unpacked: int, packed: int, limits: Limits) -> None:
    """Stop what unpacks to far more than it should.

    Raises:
        Fault: `archive-bomb`.
    """
    if unpacked > limits.ratio_from and unpacked > limits.ratio * packed:
        raise Fault("archive-bomb", f"{unpacked} bytes unpacked from {packed}", fatal=True)


def decoded_name(raw: bytes) -> str:
    """A name's bytes as text; those that are not UTF-8 as half surrogates, which `spelled` writes out."""
    return raw.decode("utf-8", "surrogateescape")


def spelled(name: str) -> str:
    r"""A name that can be stored and printed: other characters as `\x1b` or `\u202e`, bytes that were not UTF-8 too."""
    return _UNPRINTED.sub(_spell, name)


def safe_name(name: str) -> str | None:
    """A member's name as a relative path with `/`; `None` for one that leaves its folder or names none.

    Refused: absolute paths, drive letters, `..` between slashes of either kind, NUL, and names of more than 4,096
    bytes. Parts that are empty or `.` are left out.
    """
    if not name or "\0" in name or name[0] in "/\\" or _DRIVE.match(name) or ".." in re.split(r"[/\\]", name):
        return None
    path = spelled("/".join(part for part in name.split("/") if part not in ("", ".")))
    return path if path and len(path.encode()) <= NAME_BYTES else None


def _spell(found: re.Match[str]) -> str:
    code = ord(found[0])
    # `surrogateescape` puts byte 0x80 + n at U+DC80 + n.
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
