"""Archives: what comes out of them, and what does not whatever they hold."""

from __future__ import annotations

import bz2
import ensurepip
import gzip
import hashlib
import io
import lzma
import random
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrial.corpus.readers import archives
from pretrial.corpus.readers.archives import list_members, read_archive
from pretrial.corpus.readers.record import Blob, Reject, Skip
from pretrial.corpus.readers.safety import Limits, safe_name, spelled
from pretrial.errors import RunError

Files = dict[str, bytes]
TREE: Files = {
    "top/b.py": b"x = 1\n" * 500,
    "top/a.py": b"y = 2\n",
    "top/deep/er/c.txt": bytes(range(256)) * 40,
    "top/" + "long" * 40 + "/d.md": "é".encode() * 100,
    "top/\u0444\u0430\u0439\u043b.py": b"# names in other scripts\n",
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": zstandard.ZstdCompressor().compress,
}
FORMATS = ["zip", *PACKERS]


def zipped(files: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def tarred(members: Iterable[tuple[str | tarfile.TarInfo, bytes]], format: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def packed(format: str, files: Iterable[tuple[str, bytes]]) -> bytes:
    return zipped(files) if format == "zip" else PACKERS[format](tarred(files))


def read(
    folder: Path, data: bytes, name: str = "a.zip", wanted: Callable[[str], bool] = lambda _: True, **limits: int
) -> list[Any]:
    path = folder / "archive"
    path.write_bytes(data)
    return list(read_archive(path, name, wanted=wanted, limits=Limits(**limits)))


def contents(items: Iterable[Any]) -> Files:
    return {item.fields["path"]: item.data for item in items if isinstance(item, Blob)}


def reasons(items: Iterable[Any]) -> dict[str, int]:
    return dict(Counter(item.reason for item in items if not isinstance(item, Blob)))


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_files_sorted_by_name(format: str, tmp_path: Path) -> None:
    items = read(tmp_path, packed(format, TREE.items()), "x/a.zip")
    assert contents(items) == TREE
    assert [item.name for item in items] == [f"x/a.zip/{name}" for name in sorted(TREE)]
    assert {item.fields["package"] for item in items} == {"top"}


@pytest.mark.parametrize("format", FORMATS)
def test_the_order_of_packing_changes_nothing(format: str, tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(sorted(TREE.items()), len(TREE))
    assert read(tmp_path, packed(format, shuffled)) == read(tmp_path, packed(format, TREE.items()))


@pytest.mark.parametrize("format", FORMATS)
def test_a_listing_says_what_reading_gives(format: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(packed(format, [*TREE.items(), ("../out.py", b"x"), ("in.zip", b"PK")]))
    listing = list_members(tmp_path / "a")
    assert listing.format == format
    assert listing.members == tuple((name, len(TREE[name])) for name in sorted(TREE))
    assert reasons(listing.problems) == {"unsafe-name": 1, "nested-archive": 1}


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_not_wanted_is_counted_with_its_size(format: str, tmp_path: Path) -> None:
    items = read(tmp_path, packed(format, TREE.items()), wanted=lambda name: name.endswith(".py"))
    assert contents(items) == {name: data for name, data in TREE.items() if name.endswith(".py")}
    assert [item for item in items if isinstance(item, Skip)] == [
        Skip("unwanted", len(TREE[name])) for name in sorted(TREE) if not name.endswith(".py")
    ]


@pytest.mark.parametrize("format", ["tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_runs_that_do_not_fit_into_memory_give_the_same(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(2)
    files = {f"d/{number:03}": rng.randbytes(rng.randrange(1, 2000)) for number in rng.sample(range(200), 120)}
    data = packed(format, files.items())
    once = read(tmp_path, data)
    passes = []
    stream = archives._PackedTar._stream
    monkeypatch.setattr(archives._PackedTar, "_stream", lambda self: passes.append(1) or stream(self))
    monkeypatch.setattr(archives, "RUN_BYTES", 1 << 20)
    assert read(tmp_path, data) == once
    assert len(passes) == 1
    monkeypatch.setattr(archives, "RUN_BYTES", 10_000)
    assert read(tmp_path, data) == once
    assert contents(once) == files
    total = sum(map(len, files.values()))
    assert total / 10_000 < len(passes) - 1 < 3 + total / 8_000


# Wheels and source distributions


def description(*lines: str) -> bytes:
    return "\n".join(["Metadata-Version: 2.1", *lines, "", "Words about it."]).encode()


def test_a_wheel_says_what_it_is(tmp_path: Path) -> None:
    about = description("Name: My.Package", "Version: 1.2", "License-Expression: MIT", "License: no")
    wheel = {"my_package/a.py": b"x", "other/b.py": b"y", "My.Package-1.2.dist-info/METADATA": about}
    blobs = read(tmp_path, packed("zip", wheel.items()))
    assert [blob.fields for blob in blobs if blob.name.endswith(".py")] == [
        {"path": path, "package": "my_package", "distribution": "my-package", "revision": "1.2", "license": "MIT"}
        for path in ("my_package/a.py", "other/b.py")
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_a_source_distribution_says_what_it_is(format: str, tmp_path: Path) -> None:
    about = description("Name: thing", "Version: 3", "Classifier: License :: OSI Approved :: BSD License")
    inner = description("Name: inner", "Version: 9")
    files = {"thing-3/z.py": b"x", "thing-3/PKG-INFO": about, "thing-3/thing.egg-info/PKG-INFO": inner}
    data = packed(format, files.items())
    blobs = read(tmp_path, data, "thing-3.tar.gz", wanted=lambda name: name.endswith(".py"))
    known = {"distribution": "thing", "revision": "3", "license": "BSD License"}
    assert [blob.fields for blob in blobs if isinstance(blob, Blob)] == [
        {"path": "thing-3/z.py", "package": "thing", **known}
    ]
    assert list_members(tmp_path / "archive").fields == known


@pytest.mark.parametrize(
    "files",
    [
        {"a-1.dist-info/METADATA": description("Name: a", "Version: 1"), "b-1.dist-info/METADATA": description()},
        {"a-1.dist-info/METADATA": description("Name: a")},
        {"a-1.dist-info/METADATA": b"\xff\0\n\n" * 50},
    ],
    ids=["two distributions", "no version", "noise"],
)
def test_what_does_not_say_which_distribution_it_is_has_none(files: Files, tmp_path: Path) -> None:
    for format in ("zip", "tar.gz"):
        blobs = read(tmp_path, packed(format, [*files.items(), ("c/d.py", b"x"), ("e.py", b"y")]), "some/lot.tar.gz")
        assert {blob.fields["path"]: blob.fields["package"] for blob in blobs if blob.name.endswith(".py")} == {
            "c/d.py": "c",
            "e.py": "lot",
        }
        assert all("distribution" not in blob.fields for blob in blobs)


def bundled_wheels() -> list[Path]:
    return sorted((Path(ensurepip.__file__).parent / "_bundled").glob("*.whl"))


@pytest.mark.skipif(not bundled_wheels(), reason="this Python comes without its bundled wheels")
def test_real_wheels_are_read_as_zipfile_reads_them(tmp_path: Path) -> None:
    path = bundled_wheels()[0]
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and archive.getinfo(name).file_size]
        expected = {name: archive.read(name) for name in names}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    items = list(read_archive(path, path.name, wanted=lambda _: True, sha256=digest))
    assert contents(items) == expected
    fields = next(item.fields for item in items if isinstance(item, Blob))
    name, version = path.name.split("-")[:2]
    assert (fields["distribution"], fields["revision"], fields["package"]) == (name, version, name)
    assert "MIT" in fields["license"]
    # The same files as a tar, as tarfile writes it in each of its formats.
    for format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        (tmp_path / "t").write_bytes(tarred(expected.items(), format))
        again = read_archive(tmp_path / "t", path.name, wanted=lambda _: True)
        assert list(again) == [item for item in items if isinstance(item, Blob)]


# Names


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b.py", "a/b.py"),
        ("./a//b/./c", "a/b/c"),
        ("a..b/...c", "a..b/...c"),
        ("a/b/", "a/b"),
        ("esc\x1b[2J.py", "esc\\x1b[2J.py"),
        ("line\nbreak", "line\\x0abreak"),
        ("\u202egnp.py", "\\u202egnp.py"),
        ("\udcff.py", "\\xff.py"),
        ("\ud800", "\\ud800"),
        ("é\u3042", "é\u3042"),
        ("x" * 4096, "x" * 4096),
        ("x" * 4097, None),
        ("é" * 2049, None),
        ("../x", None),
        ("a/../../x", None),
        ("a/..", None),
        ("a\\..\\x", None),
        ("/etc/passwd", None),
        ("\\\\host\\share", None),
        ("C:x", None),
        ("c:/x", None),
        ("a\0.py", None),
        ("", None),
        (".", None),
        ("./", None),
    ],
)
def test_a_name_is_made_safe_or_refused(name: str, safe: str | None) -> None:
    assert safe_name(name) == safe


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=30))
def test_a_safe_name_stays_in_its_folder_and_can_be_stored(name: str) -> None:
    safe = safe_name(name)
    if safe is not None:
        assert not (set(safe.split("/")) & {"", ".", ".."})
        assert safe.encode().decode() == safe
        assert spelled(safe) == safe


@pytest.mark.parametrize("format", FORMATS)
def test_a_member_that_would_leave_its_folder_is_rejected(format: str, tmp_path: Path) -> None:
    names = ["../up.py", "/etc/cron.d/x", "a/../../b.py", "C:/x.py", "..\\w.py"]
    items = read(tmp_path, packed(format, [*((name, b"x") for name in names), ("ok/e.py", b"good")]))
    assert contents(items) == {"ok/e.py": b"good"}
    rejects = [item for item in items if isinstance(item, Reject)]
    assert reasons(items) == {"unsafe-name": 5}
    assert {reject.excerpt.replace("\\", "/") for reject in rejects} == {name.replace("\\", "/") for name in names}


def test_names_that_are_not_utf8_are_spelled_out(tmp_path: Path) -> None:
    tar = tarred([("\udcff\udcfe.py", b"x"), ("good.py", b"y")])
    assert contents(read(tmp_path, tar)) == {"\\xff\\xfe.py": b"x", "good.py": b"y"}
    # The flag says UTF-8, the bytes are not: `zipfile` refuses the whole archive.
    zip = zipped([("éé.py", b"x"), ("good.py", b"y")]).replace("éé".encode(), b"\xff\xfe\xff\xfe")
    with pytest.raises(UnicodeDecodeError):
        zipfile.ZipFile(io.BytesIO(zip))
    assert contents(read(tmp_path, zip)) == {"\\xff\\xfe\\xff\\xfe.py": b"x", "good.py": b"y"}


def test_zip_names_without_a_flag_are_utf8_or_code_page_437(tmp_path: Path) -> None:
    plain = zipped([("AB.py", b"x"), ("CD.py", b"y"), ("x/yz.py", b"z")])
    data = plain.replace(b"AB.py", "é.py".encode()).replace(b"CD.py", b"\x81\x82.py")
    assert contents(read(tmp_path, data)) == {"é.py": b"x", "üé.py": b"y", "x/yz.py": b"z"}
    # Made on DOS or Windows (system 0), a backslash separates.
    dos = zipped([("x/yz.py", b"z")]).replace(b"x/yz.py", b"x\\yz.py")
    at = dos.index(b"PK\1\2")
    assert contents(read(tmp_path, dos)) == {"x\\yz.py": b"z"}
    assert contents(read(tmp_path, dos[: at + 5] + b"\0" + dos[at + 6 :])) == {"x/yz.py": b"z"}


def test_of_members_with_one_name_the_last_counts(tmp_path: Path) -> None:
    files = [("a.py", b"first"), ("b.py", b"b"), ("./a.py", b"second"), ("a.py", b"third")]
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zipped(files)
    for items in (read(tmp_path, data), read(tmp_path, packed("tar.gz", files)), read(tmp_path, tarred(files))):
        assert contents(items) == {"a.py": b"third", "b.py": b"b"}
        assert reasons(items) == {"duplicate-member": 2}


NAMES = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40),
    max_size=6,
    unique_by=safe_name,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(names=NAMES)
def test_zip_and_tar_agree_on_any_names(names: list[str], tmp_path: Path) -> None:
    files = [(name, f"{number}".encode()) for number, name in enumerate(names)]
    expected = {safe: data for name, data in files if (safe := safe_name(name)) and not name.endswith("/")}
    nested = {name for name in expected if archives._NESTED.search(name)}
    for data in (zipped(files), tarred(files), tarred(files, tarfile.PAX_FORMAT)):
        assert contents(read(tmp_path, data)) == {name: expected[name] for name in expected if name not in nested}


# Members that are no files


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_links_devices_and_folders_of_a_tar_are_no_documents(tmp_path: Path) -> None:
    members = [
        (special("d", tarfile.DIRTYPE), b""),
        (special("d/passwd", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (special("d/hard", tarfile.LNKTYPE, "../../secret"), b""),
        (special("d/null", tarfile.CHRTYPE), b""),
        (special("d/disk", tarfile.BLKTYPE), b""),
        (special("d/pipe", tarfile.FIFOTYPE), b""),
        ("d/e.py", b"good"),
    ]
    for data in (tarred(members), gzip.compress(tarred(members))):
        items = read(tmp_path, data)
        assert contents(items) == {"d/e.py": b"good"}
        assert reasons(items) == {"link": 2, "special-file": 3}


def test_links_of_a_zip_are_no_documents(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, mode in (("link", stat.S_IFLNK), ("pipe", stat.S_IFIFO), ("file.py", stat.S_IFREG), ("dir/", 0)):
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode | 0o644) << 16
            archive.writestr(info, b"/etc/passwd")
    items = read(tmp_path, out.getvalue())
    assert contents(items) == {"file.py": b"/etc/passwd"}
    assert reasons(items) == {"link": 1, "special-file": 1}


def test_sparse_files_are_rejected_and_what_follows_stays(tmp_path: Path) -> None:
    sparse = bytearray(tarfile.TarInfo("hole.py").tobuf(tarfile.GNU_FORMAT))
    sparse[124:136] = b"00000001000\0"  # 512 bytes are stored
    sparse[156:157] = b"S"
    sparse[482:483] = b"\1"  # the map goes on in a block of its own
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    data = bytes(sparse) + b"\0" * 512 + b"z" * 512 + tarred([("e.py", b"good")])
    pax = tarfile.TarInfo("hole2.py")
    pax.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99999999999999"}
    for archive, bad in ((data, "hole.py"), (tarred([(pax, b"1\n"), ("e.py", b"good")], tarfile.PAX_FORMAT), pax.name)):
        items = read(tmp_path, archive)
        assert contents(items) == {"e.py": b"good"}
        assert [item.where for item in items if isinstance(item, Reject)] == [f"a.zip/{bad}"]
        assert reasons(items) == {"sparse-member": 1}


def test_archives_inside_are_not_opened(tmp_path: Path) -> None:
    inner = zipped([("x.py", b"secret")])
    names = ["a.zip", "b.tar.gz", "c.JAR", "d.7z", "e.whl"]
    for format in ("zip", "tar.gz"):
        items = read(tmp_path, packed(format, [*((name, inner) for name in names), ("zip.py", b"good")]))
        assert contents(items) == {"zip.py": b"good"}
        assert reasons(items) == {"nested-archive": 5}


# Broken archives


@pytest.mark.parametrize("format", [*PACKERS])
def test_a_cut_tar_gives_its_readable_part_and_one_reject(format: str, tmp_path: Path) -> None:
    rng = random.Random(3)
    files = {f"d/{number:02}.bin": rng.randbytes(3000) for number in range(12)}
    data = packed(format, files.items())
    seen = set()
    # Behind the last member only the mark of the end can be cut.
    for end in range(1, 12 * 3584 if format == "tar" else len(data) - 100, 1501):
        items = read(tmp_path, data[:end])
        found = contents(items)
        assert found == {name: files[name] for name in found}
        assert list(found) == sorted(files)[: len(found)]
        assert set(reasons(items)) <= {"truncated-archive", "not-an-archive"}
        # A plain tar that ends behind a member is what some tools write.
        assert len(reasons(items)) == 1 or (format == "tar" and end % 512 == 0)
        seen.add(len(found))
    assert len(seen) > 3 or format in ("tar.bz2", "tar.zst")  # these unpack in large blocks


@pytest.mark.parametrize("format", ["tar.gz", "tar.zst"])
def test_all_members_before_a_cut_or_damage_are_read(format: str, tmp_path: Path) -> None:
    rng = random.Random(4)
    files = {f"d/{number:02}.bin": rng.randbytes(3000) for number in range(40)}
    tar = tarred(files.items())
    machine = zlib.compressobj(wbits=31) if format == "tar.gz" else zstandard.ZstdCompressor().compressobj()
    flush = zlib.Z_SYNC_FLUSH if format == "tar.gz" else zstandard.COMPRESSOBJ_FLUSH_BLOCK
    data = b""
    for whole in range(1, 41):
        data += machine.compress(tar[3584 * (whole - 1) : 3584 * whole]) + machine.flush(flush)
        if whole in (1, 2, 19, 20, 40):
            # A cut right behind a member, and damage there.
            for end, why in ((b"", "truncated-archive"), (b"\xff" * 60, "corrupt-archive")):
                items = read(tmp_path, data + end)
                assert list(contents(items)) == sorted(files)[:whole]
                assert reasons(items) == {why: 1}
                held = read_archive(tmp_path / "archive", "a", wanted=lambda name: name == "d/00.bin")
                assert contents(held) == {"d/00.bin": files["d/00.bin"]}


def test_a_cut_zip_has_lost_its_list(tmp_path: Path) -> None:
    data = packed("zip", TREE.items())
    for end in (30, len(data) // 2, len(data) - 23):
        assert reasons(read(tmp_path, data[:end])) == {"truncated-archive": 1}
    assert reasons(read(tmp_path, data[:-600] + data[-22:])) == {"corrupt-archive": 1}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_a_broken_member_of_a_zip_leaves_the_others(method: int, tmp_path: Path) -> None:
    data = bytearray(zipped(TREE.items(), method))
    assert contents(read(tmp_path, bytes(data))) == TREE
    data[data.index(b"top/b.py") + 8 + 20] ^= 0x55
    items = read(tmp_path, bytes(data))
    assert contents(items) == {name: TREE[name] for name in TREE if name != "top/b.py"}
    assert [(item.reason, item.where) for item in items if isinstance(item, Reject)] == [
        ("corrupt-member", "a.zip/top/b.py")
    ]


def test_a_broken_header_of_a_tar_is_not_taken_for_its_end(tmp_path: Path) -> None:
    data = bytearray(tarred(sorted(TREE.items())))
    data[data.index(b"top/b.py") + 3] ^= 1
    before = [name for name in sorted(TREE) if name < "top/b.py"]
    for archive in (bytes(data), gzip.compress(bytes(data))):
        items = read(tmp_path, archive)
        assert list(contents(items)) == before
        assert reasons(items) == {"corrupt-archive": 1}


def test_a_wrong_checksum_of_a_stream_is_reported(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(tarred([("a.py", b"x" * 5000)])[: 512 + 5120]))
    data[-5] ^= 1
    items = read(tmp_path, bytes(data))
    assert contents(items) == {"a.py": b"x" * 5000}
    assert reasons(items) == {"corrupt-archive": 1}


def test_encrypted_and_unknown_members_are_rejected(tmp_path: Path) -> None:
    data = bytearray(zipped([("a.py", b"x"), ("b.py", b"y"), ("c.py", b"good")]))
    for name, offset, value in ((b"a.py", -46 + 8, 1), (b"b.py", -46 + 10, 98)):
        struct.pack_into("<H", data, data.rindex(name) + offset, value)
    items = read(tmp_path, bytes(data))
    assert contents(items) == {"c.py": b"good"}
    assert reasons(items) == {"encrypted-member": 1, "unsupported-compression": 1}


@pytest.mark.parametrize(
    "data",
    [b"", b"plain words\n" * 100, gzip.compress(b""), gzip.compress(b"one file, no tar\n" * 100), b"\x28\xb5\x2f\xfd"],
    ids=["empty", "text", "empty gzip", "gzip of a text", "cut zstd"],
)
def test_what_is_no_archive_is_one_reject(data: bytes, tmp_path: Path) -> None:
    items = read(tmp_path, data, "x.tar.gz")
    assert [item.where for item in items] == ["x.tar.gz"]
    assert set(reasons(items)) <= {"not-an-archive", "truncated-archive"}


def test_an_empty_archive_gives_nothing_and_an_empty_member_is_skipped(tmp_path: Path) -> None:
    for format in FORMATS:
        assert read(tmp_path, packed(format, [])) == []
        assert read(tmp_path, packed(format, [("a.py", b"")])) == [Skip("empty", 0)]


def test_a_file_that_changed_since_the_plan_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(zipped(TREE.items()))
    with pytest.raises(RunError, match="changed"):
        list(read_archive(tmp_path / "a", "a", wanted=lambda _: True, sha256="0" * 64))


# Bombs


def test_a_member_over_the_limit_is_rejected_and_the_others_stay(tmp_path: Path) -> None:
    files = [("a.py", b"x" * 1000), ("b.py", b"y" * 1001)]
    for format in FORMATS:
        items = read(tmp_path, packed(format, files), member_bytes=1000)
        assert contents(items) == {"a.py": b"x" * 1000}
        assert reasons(items) == {"oversize-member": 1}
        assert reasons(read(tmp_path, packed(format, files), member_bytes=1001)) == {}


@pytest.mark.parametrize("format", FORMATS)
def test_an_archive_over_a_limit_is_one_reject(format: str, tmp_path: Path) -> None:
    files = [(f"{number}.py", random.Random(number).randbytes(1000)) for number in range(5)]
    data = packed(format, files)
    # A tar is unpacked with its headers and padding.
    whole = 5000 if format in ("zip", "tar") else 10240
    assert reasons(read(tmp_path, data, total_bytes=whole)) == {}
    over = read(tmp_path, data, total_bytes=4999)
    assert [(type(item), item.reason, item.where) for item in over] == [(Reject, "archive-bomb", "a.zip")]
    assert reasons(read(tmp_path, data, members=5)) == {}
    assert reasons(read(tmp_path, data, members=4)) == {"too-many-members": 1}


@pytest.mark.parametrize("format", ["zip", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_a_bomb_is_told_by_its_ratio(format: str, tmp_path: Path) -> None:
    data = packed(format, [("zeros.py", b"\0" * 3_000_000), ("e.py", b"good")])
    assert len(data) < 15_000
    assert reasons(read(tmp_path, data, ratio_from=2_000_000)) == {"archive-bomb": 1}
    assert reasons(read(tmp_path, data, ratio_from=4_000_000)) == {}
    if format == "zip":
        # What nobody asked for is not unpacked.
        items = read(tmp_path, data, wanted=lambda name: name == "e.py", ratio_from=2_000_000)
        assert contents(items) == {"e.py": b"good"}


def test_a_zip_that_lies_about_a_size_costs_what_it_claims(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED):
        data = bytearray(zipped([("bomb.py", b"\0" * 5_000_000), ("e.py", b"good")], method))
        struct.pack_into("<L", data, data.rindex(b"bomb.py") - 46 + 24, 100)
        items = read(tmp_path, bytes(data))
        assert contents(items) == {"e.py": b"good"}
        assert reasons(items) == {"corrupt-member": 1}


def test_members_that_overlap_count_each_time(tmp_path: Path) -> None:
    data = zipped([("a.py", b"\0" * 900_000)])
    at = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    directory = data[at:end] * 300
    tail = data[end : end + 12] + struct.pack("<LL", len(directory), at) + b"\0\0"
    items = read(tmp_path, data[:at] + directory + tail)
    assert reasons(items) == {"duplicate-member": 299}
    assert len(contents(items)) == 1


def test_a_tar_header_that_claims_too_much_costs_nothing(tmp_path: Path) -> None:
    for kind, size, reason in (
        (tarfile.REGTYPE, 1 << 40, "truncated-archive"),
        (tarfile.XHDTYPE, 1 << 40, "corrupt-archive"),
        (tarfile.GNUTYPE_LONGNAME, 1 << 33, "corrupt-archive"),
        (tarfile.REGTYPE, -5, "corrupt-archive"),
    ):
        info = special("x.py", kind)
        info.size = size
        block = info.tobuf(tarfile.GNU_FORMAT)
        good = tarred([("e.py", b"good")])[:1024]
        for data in (good + block, gzip.compress(good + block + b"z" * 512)):
            items = read(tmp_path, data)
            assert contents(items) == {"e.py": b"good"}
            assert reasons(items) == {reason: 1}


def test_an_xz_stream_cannot_choose_how_much_memory_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = lzma.compress(tarred([("e.py", b"good")]), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 64 << 20}])
    assert reasons(read(tmp_path, data)) == {}
    monkeypatch.setattr(archives, "_XZ_MEMORY", 32 << 20)
    assert reasons(read(tmp_path, data)) == {"corrupt-archive": 1}


# Less common ways to write the same


def test_zip64_and_a_program_in_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    data = zipped(TREE.items())
    assert b"PK\6\6" in data
    assert contents(read(tmp_path, data)) == TREE
    (tmp_path / "front.zip").write_bytes(b"#!/bin/sh\nexit\n" + data)
    with (tmp_path / "front.zip").open("rb") as file:
        archive = archives._Zip(file, Limits())
        entries = [entry for entry in archive.entries(lambda _, __: False) if entry.name in TREE]
        assert dict(zip([e.name for e in entries], archive.contents(entries), strict=True)) == TREE


def test_several_streams_one_behind_the_other(tmp_path: Path) -> None:
    tar = tarred(TREE.items())
    halves = (tar[:2000], tar[2000:])
    for format, pack in PACKERS.items():
        between = b"\0" * 8 if format == "tar.xz" else b""
        assert contents(read(tmp_path, pack(halves[0]) + between + pack(halves[1]))) == TREE


def test_a_global_pax_header_counts_for_all_that_follows(tmp_path: Path) -> None:
    # `git archive` writes the commit as a comment in one.
    record = b"52 comment=0123456789012345678901234567890123456789\n"
    info = special("pax_global_header", tarfile.XGLTYPE)
    assert contents(read(tmp_path, tarred([(info, record), *TREE.items()]))) == TREE


# Anything at all


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_damage_makes_reading_fail(data: st.DataObject, tmp_path: Path) -> None:
    format = data.draw(st.sampled_from(["zip", "zip", "tar", "tar", "tar.gz", "tar.xz", "tar.zst"]))
    files = {f"d/{number}.py": b"%d" % number * 40 for number in range(4)}
    archive = bytearray(packed(format, files.items()))
    for _ in range(data.draw(st.integers(1, 6))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    items = read(tmp_path, bytes(archive))
    assert items == read(tmp_path, bytes(archive))
    if format == "zip":
        # Each member carries a checksum.
        assert set(contents(items).values()) <= set(files.values())


def test_reading_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(folder))
    for format in FORMATS:
        read(tmp_path, packed(format, [*TREE.items(), ("../evil.py", b"x"), ("evil.py", b"x")]))
    assert list(folder.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.name != "archive"] == ["here"]
