"""Packed files: what stands before damage is read, and what unpacks to far more than it should ends."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.readers.jsonl import read_jsonl
from pretrial.corpus.readers.packed import unpacked
from pretrial.corpus.readers.record import Record, Reject
from pretrial.corpus.readers.safety import Fault, Limits
from pretrial.corpus.readers.stackexchange import read_stackexchange

PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstandard.compress}
KINDS = pytest.mark.parametrize("kind", PACKERS)


def outcome(data: bytes, kind: str, **limits: int) -> tuple[bytes, str]:
    """(what can be read, why no more can)."""
    stream = unpacked(io.BytesIO(data), kind, lambda: io.BytesIO(data), Limits(**limits))
    found = b""
    try:
        while part := stream.read1(1 << 20):
            found += part
    except OSError as error:
        return found, "damage" if error.errno is None else "the disk"
    except Fault as fault:
        return found, fault.reason
    return found, ""


@KINDS
def test_both_sides_of_the_ratio_and_of_where_it_begins(kind: str) -> None:
    data = b"all the same " * 3000
    packed = PACKERS[kind](data)
    enough = -(-len(data) // len(packed))
    assert outcome(packed, kind, ratio=enough, ratio_from=0) == (data, "")
    assert outcome(packed, kind, ratio=enough - 1, ratio_from=0) == (b"", "archive-bomb")
    assert outcome(packed, kind, ratio=1, ratio_from=len(data)) == (data, "")
    assert outcome(packed, kind, ratio=1, ratio_from=len(data) - 1) == (b"", "archive-bomb")


@KINDS
def test_the_bytes_of_all_frames_count(kind: str) -> None:
    frames = [PACKERS[kind](b"%d " % number * 20_000) for number in range(10)]
    data = b"".join(b"%d " % number * 20_000 for number in range(10))
    enough = -(-len(data) // len(b"".join(frames)))
    assert outcome(b"".join(frames), kind, ratio=enough, ratio_from=0) == (data, "")
    assert outcome(b"".join(frames), kind, ratio=enough - 1, ratio_from=len(data) - 1)[1] == "archive-bomb"


@KINDS
def test_all_before_the_ratio_is_passed_is_read(kind: str) -> None:
    data = random.Random(0).randbytes(100_000) + bytes(5_000_000)
    found, why = outcome(PACKERS[kind](data), kind, ratio=10, ratio_from=200_000)
    assert why == "archive-bomb"
    assert data.startswith(found)
    assert 900_000 < len(found) <= 10 * 110_000


@KINDS
def test_a_bomb_of_lines_gives_what_comes_before_and_one_reject(kind: str, tmp_path: Path) -> None:
    line = b'{"text": "boom"}\n'
    path = tmp_path / "x.jsonl"
    path.write_bytes(PACKERS[kind](line * 15_000))
    assert path.stat().st_size < 1_000
    *before, last = read_jsonl(path, "x", text="text", id=None, limits=Limits(ratio_from=200_000))
    assert all(isinstance(item, Record) for item in before)
    assert isinstance(last, Reject)
    assert (last.reason, last.where) == ("archive-bomb", f"x:{len(before) + 1}")
    assert 100_000 < len(before) * len(line) <= 200_000
    whole = list(read_jsonl(path, "x", text="text", id=None, limits=Limits(ratio_from=15_000 * len(line))))
    assert len(whole) == 15_000
    assert all(isinstance(item, Record) for item in whole)


@KINDS
def test_a_bomb_of_posts_gives_what_comes_before_and_one_reject(kind: str, tmp_path: Path) -> None:
    rows = b"".join(b'<row Id="%d" PostTypeId="1" Body="boom" />\n' % number for number in range(200))
    path = tmp_path / "Posts.xml"
    path.write_bytes(PACKERS[kind](b"<posts>\n" + rows + b" " * 3_000_000 + b"</posts>"))
    items = list(read_stackexchange(path, "x", tmp_path, min_answers=0, limits=Limits(ratio_from=500_000)))
    assert sum(isinstance(item, Record) for item in items) == 200
    assert [item.reason for item in items if isinstance(item, Reject)] == ["archive-bomb"]
    items = list(read_stackexchange(path, "x", tmp_path, min_answers=0, limits=Limits(ratio_from=4_000_000)))
    assert sum(isinstance(item, Record) for item in items) == len(items) == 200


TEXT = b"".join(b"%d,%d\n" % (number, number * 7919 % 100_003) for number in range(40_000))


def flushed(data: bytes, kind: str, step: int) -> tuple[bytes, list[int]]:
    """Packed so that each `step` bytes can be unpacked alone, and where these end."""
    import zlib

    machine = zlib.compressobj(wbits=31) if kind == "gzip" else zstandard.ZstdCompressor().compressobj()
    flush = zlib.Z_SYNC_FLUSH if kind == "gzip" else zstandard.COMPRESSOBJ_FLUSH_BLOCK
    packed, ends = b"", []
    for start in range(0, len(data), step):
        packed += machine.compress(data[start : start + step]) + machine.flush(flush)
        ends.append(len(packed))
    return packed + machine.flush(), ends


@KINDS
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
@pytest.mark.parametrize("block", [0, 1, 7, 30])
def test_all_that_was_packed_before_the_damage_is_read(kind: str, damage: str, block: int) -> None:
    step = 10_000
    packed, ends = flushed(TEXT, kind, step)
    end = ends[block]
    broken = packed[: end + 3] if damage == "cut" else packed[:end] + b"\xff" * 40 + packed[end + 40 :]
    found, why = outcome(broken, kind)
    assert why == "damage"
    assert TEXT.startswith(found)
    assert (block + 1) * step <= len(found) < (block + 2) * step


@KINDS
def test_a_wrong_checksum_at_the_end_costs_nothing_of_what_was_packed(kind: str) -> None:
    packed = bytearray(
        gzip.compress(TEXT) if kind == "gzip" else zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)
    )
    packed[-5 if kind == "gzip" else -1] ^= 1
    assert outcome(bytes(packed), kind) == (TEXT, "damage")


@given(st.data())
def test_no_damage_gives_other_bytes_than_were_packed_before_it(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(PACKERS)))
    packed, ends = flushed(TEXT[:60_000], kind, 5_000)
    at = data.draw(st.integers(20, len(packed) - 30))
    broken = packed[:at] + bytes([packed[at] ^ data.draw(st.integers(1, 255))]) + packed[at + 1 :]
    found, _ = outcome(broken, kind)
    whole = sum(end <= at for end in ends)
    assert found[: whole * 5_000] == TEXT[: whole * 5_000]


# Lines of JSON whose lists and maps take far more memory than their text


def reasons(path: Path, **limits: int) -> list[str]:
    items = read_jsonl(path, "x", text="text", id=None, limits=Limits(**limits))
    return [item.reason if isinstance(item, Reject) else "" for item in items]


STRUCTURES = {
    "lists": ("[]," * 10, 10 * (96 + 40)),
    "lists in lists": ("[[[]]],", 3 * 96 + 40),
    "maps": ('{"":{}},', 2 * 192 + 80 + 45 + 40),
    "numbers": ("1,2.5,", 2 * 40),
    "strings": ('"ab","c,d","[{:\\"\\\\",', 3 * (80 + 40)),
}


@pytest.mark.parametrize(("unit", "cost"), STRUCTURES.values(), ids=STRUCTURES)
def test_a_line_costs_what_its_lists_and_maps_may_take(unit: str, cost: int, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text":"a","x":[' + unit * 100 + "0]}\n" + '{"text":"b"}\n')
    # What stands around: a map, two keys, a text and a list.
    cost = 100 * cost + 192 + 3 * 80 + 2 * 45 + 40 + 96
    assert reasons(path, structure_from=100, structure_bytes=cost) == ["", ""]
    assert reasons(path, structure_from=100, structure_bytes=cost - 1) == ["oversize-line", ""]
    longest = max(map(len, path.read_bytes().splitlines(keepends=True)))
    assert reasons(path, structure_from=longest, structure_bytes=0) == ["", ""]
    assert reasons(path, structure_from=longest - 1, structure_bytes=0) == ["oversize-line", ""]


@given(st.text(alphabet='ab,[]{}:"\\ é\n'), st.integers(0, 50))
def test_a_text_costs_nothing_whatever_stands_in_it(
    tmp_path_factory: pytest.TempPathFactory, text: str, times: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    path.write_text(json.dumps({"text": "a" + text * times}) + "\n")
    assert reasons(path, structure_from=0, structure_bytes=192 + 45 + 2 * 80) == [""]
    assert reasons(path, structure_from=0, structure_bytes=192 + 45 + 2 * 80 - 1) == ["oversize-line"]


def test_a_long_document_is_never_too_much(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    text = 'He said: "Yes, [and] {so}, on \\ and on".\n' * 150_000
    path.write_text(json.dumps({"text": text, "tags": list(range(1000))}))
    assert path.stat().st_size > Limits().structure_from
    assert reasons(path) == [""]


def test_a_list_of_comments_is_bounded_as_a_text(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    events = [{"author": "Zoë", "text": "first"}, {"author": "b", "text": "sécond\n"}, {"author": "", "text": "third"}]
    path.write_text(json.dumps({"title": "A title", "text": events}) + '\n{"text": "b"}\n')
    first, _ = read_jsonl(path, "x", text="text", id=None)
    assert isinstance(first, Record)
    assert first.text == "Title: A title\nZoë: first\n\nb: sécond\n\n: third\n"
    size = len(first.text.encode())
    assert reasons(path, document_bytes=size) == ["", ""]
    assert reasons(path, document_bytes=size - 1) == ["oversize-post", ""]


def test_a_record_without_a_text_shows_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    fields = {"b": "é" * 30, "c": [1, 2.5, None, True, {"d": "x"}], "e": "y" * 2000}
    path.write_text(json.dumps(fields))
    (item,) = read_jsonl(path, "x", text="text", id=None)
    assert isinstance(item, Reject)
    assert item.excerpt == json.dumps(fields)[:200]
