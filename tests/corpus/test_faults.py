"""Hostile and broken input, full disks and kills, met by whole corpora: said with its place, and the rest is kept.

One study reads everything at once that a stranger could put into its folders, with one worker and with two; what each
reader makes of it by itself is in the readers' own tests.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import importlib.util
import io
import json
import os
import random
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import pretrial
import smoke
from pretrial.cli import guarded
from pretrial.corpus import spec
from pretrial.corpus.contamination.benchmark_texts import BENCHMARKS
from pretrial.corpus.places import FAULTS
from pretrial.corpus.readers.packed import unpacked
from pretrial.errors import RequestError, RunError
from pretrial.execute.progress import Progress
from pretrial.plan import cost
from pretrial.store.artefacts import Store

pytestmark = pytest.mark.usefixtures("calm")

NAUGHTY = "\x1b[2J\u202eevil\u2066.exe\x07"
"""A name that would clear the screen and read backwards."""


# -- a folder as a stranger would leave it -----------------------------------------------------------------------------


def lines(*records: Any) -> bytes:
    return b"".join(
        (record if isinstance(record, bytes) else json.dumps(record).encode()) + b"\n" for record in records
    )


def text(number: int) -> str:
    return smoke.prose(number, voice="Some")


def numbered(first: int, count: int = 40) -> list[dict[str, Any]]:
    return [{"id": f"n{number}", "text": text(number)} for number in range(first, first + count)]


def nested(depth: int) -> bytes:
    return b'{"id": "deep%d", "text": "deep %d", "x": ' % (depth, depth) + b"[" * depth + b"]" * depth + b"}"


def write_records(folder: Path) -> None:
    """JSON lines of every kind of wrong, and files that are none."""
    folder.mkdir()
    (folder / "a-good.jsonl").write_bytes(lines(*numbered(0)))
    (folder / "b-lines.jsonl").write_bytes(
        lines(
            {"id": "first", "text": "kept, the first of them"},
            b'{"id": "latin", "text": "caf\xe9"}',
            b'{"id": "half", "text": "half of a pair: \\ud800"}',
            b'{"id": "\\udfff", "text": "half of a pair in a name"}',
            {"id": "nul", "text": "before\0after"},
            {"id": "white", "text": " \t\n\u2003 "},
            {"id": NAUGHTY, "text": "a name that clears the screen"},
            {"id": "twice", "text": "one"},
            {"id": "twice", "text": "another"},
            b'{"id": "cut", "text": "never end',
            nested(150),
            nested(600),
            nested(100_000),
            {"id": "field", "text": "half of a pair in a field", "note": "\ud800"},
            {"id": "last", "text": "kept, the last of them"},
        )
    )
    (folder / "c-zero.jsonl").write_bytes(b"")
    (folder / "d-empty.jsonl.gz").write_bytes(gzip.compress(b""))
    for end, pack in {"zst": zstandard.compress, "gz": gzip.compress}.items():
        # Fifty whole lines, then half of a long one.
        whole = [{"id": f"{end}{number}", "text": text(900 + number) + end} for number in range(50)]
        half = pack(lines({"id": f"{end}50", "text": random.Random(end).randbytes(30_000).hex()}))
        (folder / f"e-cut.jsonl.{end}").write_bytes(pack(lines(*whole)) + half[: len(half) // 2])
    (folder / "g-folder.jsonl").mkdir()
    os.mkfifo(folder / "h-pipe.jsonl")
    (folder / "i-nowhere.jsonl").symlink_to(folder / "gone")
    (folder / "j-itself.jsonl").symlink_to(folder / "j-itself.jsonl")
    inside = folder / "deep" / "er"
    inside.mkdir(parents=True)
    (inside / "k.jsonl").write_bytes(lines({"id": "k", "text": "below two folders"}))
    for name in ("up", "round"):
        # Two loops: to follow both makes 2⁴⁰ paths.
        (inside / name).symlink_to(folder, target_is_directory=True)


def write_tree(folder: Path) -> None:
    (folder / "pack").mkdir(parents=True)
    for number in range(30):
        (folder / "pack" / f"m{number}.py").write_text(smoke.code(number))
    (folder / "pack" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "pack" / "outside.py").symlink_to("/etc/passwd")
    (folder / "pack" / "nul.py").write_bytes(b"x = 1\0\n")
    (folder / "pack" / "latin.py").write_bytes(b"# caf\xe9\n")
    (folder / "pack" / f"{NAUGHTY}.py").write_text("naughty = 1\n")
    os.mkfifo(folder / "pack" / "pipe.py")


def write_archives(folder: Path) -> None:
    folder.mkdir()
    with zipfile.ZipFile(folder / "a-good.zip", "w") as file:
        for number in range(20):
            file.writestr(f"top/g{number}.py", smoke.code(100 + number))
    with zipfile.ZipFile(folder / "b-bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for number in range(4):
            file.writestr(f"z{number}.py", b"0" * 20_000_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("x.py", "x = 1\n")
    for _ in range(5):
        again = io.BytesIO()
        with zipfile.ZipFile(again, "w") as file:
            for number in range(10):
                file.writestr(f"{number}.zip", packed.getvalue())
        packed = again
    (folder / "c-nested.zip").write_bytes(packed.getvalue())
    with zipfile.ZipFile(folder / "d-away.zip", "w") as file:
        for name in ("../escaped.py", "/tmp/pretrial-escaped.py", "a/../../escaped.py", "C:\\escaped.py"):
            file.writestr(name, "escaped = 1\n")
        file.writestr("stays.py", "stays = 'in a zip'\n")
    with tarfile.open(folder / "e-away.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
        tar.addfile(link)
        for name in ("out/escaped.py", "../escaped.py", "/tmp/pretrial-escaped.py", "stays.py"):
            data = f"where = {name!r}\n".encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    sparse = tarfile.TarInfo("sparse.py").tobuf(tarfile.GNU_FORMAT)
    header = bytearray(sparse)
    header[156:157] = tarfile.GNUTYPE_SPARSE
    # One piece of no bytes at the end of a file of 8 GB.
    header[386:410] = b"100000000000\0" + b"0" * 11
    header[483:495] = b"077777777777"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with tarfile.open(folder / "f-after.tar", "w") as tar:
        info = tarfile.TarInfo("after.py")
        info.size = 10
        tar.addfile(info, io.BytesIO(b"after = 1\n"))
    (folder / "f-sparse.tar").write_bytes(bytes(header) + (folder / "f-after.tar").read_bytes())
    (folder / "f-after.tar").unlink()
    (folder / "g-nothing.zip").write_bytes(b"")


def write_repositories(folder: Path, canary: Path) -> None:
    """One that is well, and others that are not: hostile, without a commit, borrowing, pointing away, broken."""
    objects = pytest.importorskip("dulwich.objects")
    repos = pytest.importorskip("dulwich.repo")

    def make(name: str, files: Mapping[str, bytes], *, bare: bool = False) -> Path:
        path = folder / name
        path.mkdir(parents=True)
        repo = (repos.Repo.init_bare if bare else repos.Repo.init)(str(path))
        repo.refs.set_symbolic_ref(b"HEAD", b"refs/heads/main")
        if files:
            tree = objects.Tree()
            for file, data in files.items():
                blob = objects.Blob.from_string(data)
                repo.object_store.add_object(blob)
                tree.add(file.encode(), 0o100644, blob.id)
            repo.object_store.add_object(tree)
            commit = objects.Commit()
            commit.tree = tree.id
            commit.author = commit.committer = b"Ann <ann@example.org>"
            commit.author_time = commit.commit_time = 1_600_000_000
            commit.author_timezone = commit.commit_timezone = 0
            commit.message = f"Begin {name}".encode()
            repo.object_store.add_object(commit)
            repo.refs[b"refs/heads/main"] = commit.id
        repo.close()
        return path if bare else path / ".git"

    make("good.git", {f"g{number}.py": smoke.code(200 + number).encode() for number in range(20)}, bare=True)
    make("empty", {})
    hostile = make(
        "hostile",
        {"fine.py": b"fine = 'whatever the configuration says'\n", ".gitattributes": b"*.py filter=evil diff=evil\n",
         "lent.py": b"lent = 'by a neighbour'\n"},
    )  # fmt: skip
    strike = f"touch {canary}"
    (hostile.parent / "more").write_text(f"[alias]\n\tlog = !{strike}\n")
    (hostile / "config").write_text(
        "[core]\n\trepositoryformatversion = 1\n\tworktree = /\n\thooksPath = hooks\n"
        f'\tfsmonitor = "{strike}"\n\tsshCommand = "{strike}"\n\tpager = "{strike}"\n\teditor = "{strike}"\n'
        f'[filter "evil"]\n\tclean = "{strike}"\n\tsmudge = "{strike}"\n\trequired = true\n'
        f'[diff "evil"]\n\ttextconv = "{strike}"\n\tcommand = "{strike}"\n'
        f'[credential]\n\thelper = "!{strike}"\n[include]\n\tpath = ../more\n[extensions]\n\tworktreeConfig = true\n'
    )
    for hook in ("post-checkout", "pre-commit", "fsmonitor-watchman", "post-index-change", "reference-transaction"):
        (hostile / "hooks").mkdir(exist_ok=True)
        (hostile / "hooks" / hook).write_text(f"#!/bin/sh\n{strike}\n")
        (hostile / "hooks" / hook).chmod(0o755)
    # What it has not, it borrows.
    lent = objects.Blob.from_string(b"lent = 'by a neighbour'\n").id.decode()
    (folder.parent / "neighbour" / lent[:2]).mkdir(parents=True)
    (hostile / "objects" / lent[:2] / lent[2:]).rename(folder.parent / "neighbour" / lent[:2] / lent[2:])
    (hostile / "objects" / "info" / "alternates").write_text(f"{folder.parent / 'neighbour'}\n")
    (folder / "away").mkdir()
    (folder / "away" / ".git").write_text(f"gitdir: {folder / 'good.git'}\n")
    broken = make("broken", {"b.py": b"b = 1\n"})
    (broken / "HEAD").write_bytes(b"\0\xff" * 50)


def write_notebooks(folder: Path) -> None:
    folder.mkdir()

    def notebook(source: str) -> dict[str, Any]:
        cell = {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        about = {"language_info": {"name": "python"}}
        return {"nbformat": 4, "nbformat_minor": 5, "cells": [cell], "metadata": about}

    for number in range(10):
        (folder / f"good{number}.ipynb").write_text(json.dumps(notebook(smoke.code(300 + number))))
    for depth in (500, 100_000):
        whole = json.dumps(notebook(f"deep = {depth}"))
        (folder / f"deep{depth}.ipynb").write_text(
            whole.replace('"nbformat"', f'"bomb": {"[" * depth}{"]" * depth}, "nbformat"')
        )
    (folder / "zero.ipynb").write_bytes(b"")
    (folder / "cut.ipynb").write_text(json.dumps(notebook("x = 1"))[:-20])


def write_threads(folder: Path) -> None:
    date = 'CreationDate="2020-01-01T00:00:00.000"'

    def posts(first: int, body: str) -> list[str]:
        return [
            f'<row Id="{first}" PostTypeId="1" Score="3" {date} Title="How?" Body="{body}" />',
            f'<row Id="{first + 1}" PostTypeId="2" ParentId="{first}" Score="2" {date} Body="so it is, {first}" />',
        ]

    def dump(name: str, head: str, rows: list[str]) -> None:
        (folder / name).mkdir(parents=True)
        (folder / name / "Posts.xml").write_text(f"{head}<posts>\n" + "\n".join(rows) + "\n</posts>\n")

    dump("good.example.com", "", [row for i in range(10) for row in posts(10 * i + 1, text(400 + i))])
    laughs = ['<!ENTITY a0 "ha">'] + [f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)]
    dump("bomb.example.com", f"<!DOCTYPE posts [{''.join(laughs)}]>\n", posts(1, "&a11;"))
    dump("outside.example.com", '<!DOCTYPE posts [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n', posts(1, "&x;"))
    (folder / "zero.example.com").mkdir()
    (folder / "zero.example.com" / "Posts.xml").write_bytes(b"")


def write_tables(folder: Path) -> None:
    folder.mkdir()
    good = pa.table({"text": [text(500 + i) for i in range(40)], "id": [f"t{i}" for i in range(40)]})
    pq.write_table(good, folder / "a-good.parquet")
    data = (folder / "a-good.parquet").read_bytes()
    footer = struct.unpack("<I", data[-8:-4])[0]
    (folder / "b-cut.parquet").write_bytes(data[: len(data) // 2])
    (folder / "c-length.parquet").write_bytes(data[:-8] + struct.pack("<I", 2**31) + b"PAR1")
    (folder / "d-zeros.parquet").write_bytes(data[: -8 - footer] + b"\0" * footer + data[-8:])
    # A footer whose column has a name that is no text.
    (folder / "e-name.parquet").write_bytes(
        data[: -8 - footer] + data[-8 - footer :].replace(b"\x18\x02id", b"\x18\x02\xff\xfe")
    )
    (folder / "f-pages.parquet").write_bytes(data[:4] + bytes(reversed(data[4 : -8 - footer])) + data[-8 - footer :])
    pq.write_table(pa.table({"text": pa.array([1, 2, None]), "id": ["x", "y", "z"]}), folder / "g-numbers.parquet")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), folder / "h-empty.parquet")
    (folder / "i-zero.parquet").write_bytes(b"")
    with pq.ParquetWriter(folder / "j-half.parquet", good.schema) as writer:
        for start in (0, 20):
            half = {"text": [text(600 + start + i) for i in range(20)], "id": [f"j{start + i}" for i in range(20)]}
            writer.write_table(pa.table(half))
    second = pq.ParquetFile(folder / "j-half.parquet").metadata.row_group(1).column(0)
    whole = bytearray((folder / "j-half.parquet").read_bytes())
    begins = second.dictionary_page_offset or second.data_page_offset
    whole[begins : begins + 30] = b"\xff" * 30
    (folder / "j-half.parquet").write_bytes(whole)


def write_hub(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    for part in range(2):
        table = pa.table({"text": [text(700 + 20 * part + i) for i in range(20)]})
        pq.write_table(table, folder / "data" / f"train-0000{part}-of-00002.parquet")
    path = folder / "data" / "train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:-30])


SOURCES: dict[str, dict[str, Any]] = {
    "prose": {"read": {"jsonl": "prose-*.jsonl"}, "group": "book"},
    "records": {"read": {"jsonl": "records/**/*.jsonl*", "id": "id"}},
    "tree": {"read": {"files": "tree", "languages": ["python"]}},
    "packed": {"read": {"archives": "archives/*", "languages": ["python"]}},
    "repositories": {"read": {"git": "repos", "languages": ["python"]}},
    "history": {"read": {"commits": "repos"}},
    "notebooks": {"read": {"notebooks": "notebooks"}},
    "threads": {"read": {"stackexchange": "threads/*/Posts.xml"}},
    "tables": {"read": {"parquet": "tables/*", "id": "id"}},
    "hub": {"read": {"hub": "./hub"}},
    "ruled": {
        "read": {"jsonl": "ruled.jsonl"},
        "filter": ["no-code", "code-out", "paper-code", "stack-v2", "starcoder", "fineweb", "redact", "language"],
    },
    "made": {"from": "tree", "transform": ["strip-comments", "rename-identifiers", "shuffle-lines"]},
}


def write_study(folder: Path, sources: Mapping[str, Any]) -> smoke.Place:
    """The smoke study with other sources: prose trains, the others are unseen domains."""
    place = smoke.Place(folder)
    stage = [{"tokens": 2560, "mixture": "text"}]
    study = {
        "schema": 1, "study": "faults", "question": "What is kept?", "smoke": True, "seeds": 2, "context": 32,
        "model": {"layers": 1, "width": 16, "heads": 2, "feed-forward": 32},
        "tokenizer": {"train": {"vocabulary": 300, "from": {"prose": "100%"}}},
        "sources": sources, "mixtures": {"text": {"prose": "100%"}},
        "training": {"batch": "128 tokens", "optimizer": {"adamw": {"lr": 0.01}},
                     "schedule": {"linear": {"warmup": "512 tokens", "floor": "10%"}, "clock": "variant"},
                     "precision": "float32"},
        "variants": {"one": stage, "two": stage}, "baseline": "one",
        "evaluate": {"tasks": ["held-out", "transfer"], "domain-bytes": "1 KB"},
    }  # fmt: skip
    place.study.write_text(json.dumps(study))
    return place


def state(folder: Path, *without: Path) -> dict[str, tuple[int, int, str]]:
    """Every entry below a folder with its mode, size and hash."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if any(path.is_relative_to(one) for one in without):
            continue
        about = path.lstat()
        data = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
        found[str(path.relative_to(folder))] = (about.st_mode, len(data), hashlib.sha256(data).hexdigest())
    return found


class Met:
    """What a study made of its folder."""

    def __init__(self, trial: Any, workers: int) -> None:
        self.built = trial.build_corpora(workers=workers, quiet=True)
        self.store = trial.store
        self.log = [json.loads(line) for line in trial.workspace.log.read_text().splitlines()]

    @property
    def contents(self) -> dict[str, str]:
        return {f"{made.kind}/{made.key}": made.content for made in self.store.all()}

    def facts(self, source: str) -> dict[str, Any]:
        return self.built.corpora.corpus(source).facts  # type: ignore[no-any-return]

    def rows(self, source: str) -> list[dict[str, Any]]:
        made = self.built.corpora.corpus(source)
        shards = (pq.ParquetFile(made.file(shard["file"])).read().to_pylist() for shard in made.facts["shards"])
        return [row for rows in shards for row in rows]

    def quarantine(self, source: str) -> dict[str, str]:
        """Reasons by place."""
        with pq.ParquetFile(self.built.corpora.corpus(source).file("quarantine.parquet")) as file:
            return {row["where"]: row["reason"] for row in file.read().to_pylist()}

    def warned(self, source: str) -> str:
        """What was said aloud of a source."""
        said = (event["message"] for event in self.log if event["event"] == "warning")
        return "\n".join(message for message in said if message.startswith(f"{source}: "))


def build(place: smoke.Place, workers: int = 1) -> Any:
    return place.trial().build_corpora(workers=workers, quiet=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything at once in a folder, `inner`, of one that must stay as it is."""
    inner = tmp_path_factory.mktemp("hostile") / "inner"
    inner.mkdir()
    smoke.write_corpora(inner)
    write_records(inner / "records")
    write_tree(inner / "tree")
    write_archives(inner / "archives")
    write_repositories(inner / "repos", inner.parent / "canary")
    write_notebooks(inner / "notebooks")
    write_threads(inner / "threads")
    write_tables(inner / "tables")
    write_hub(inner / "hub")
    pages = ["\n".join(text(800 + 9 * page + i) for i in range(9)) for page in range(20)]
    pages = [page.replace(", and", ".\nAnd").replace(". ", ".\n") for page in pages]
    strange = ("\0", "\u202e", "\x1b[31m", "\ufeff", "\u2028", "\U000e0041", "a\u0301" * 100)
    (inner / "ruled.jsonl").write_bytes(
        lines(*({"text": page} for page in pages), *({"text": pages[0] + odd * 3} for odd in strange))
        + json.dumps({"text": pages[1] + "\ud800 and \udfff"}).encode()
    )
    write_study(inner, SOURCES)
    return inner


@pytest.fixture(scope="module")
def before(folder: Path) -> dict[str, Any]:
    """The folder and what lies around it, before anything read it."""
    return state(folder.parent)


@pytest.fixture(scope="module")
def met(folder: Path, before: Any) -> Callable[[int], Met]:
    """`met(workers)`: the hostile folder, read by so many workers into a store of their own, once."""
    known: dict[int, Met] = {}

    def met(workers: int) -> Met:
        if workers not in known:
            own = folder.parent / f"own-{workers}"
            known[workers] = Met(
                pretrial.trial(folder / "smoke.yaml", workspace=own / "work", store=own / "store"), workers
            )
        return known[workers]

    return met


@pytest.fixture
def one(met: Callable[[int], Met]) -> Met:
    return met(1)


# What could not be used, by place, and what was left out by design; how many documents are there.
MET: dict[str, tuple[dict[str, str], dict[str, int], int]] = {
    "prose": ({}, {}, 240),
    "records": (
        {
            "records/b-lines.jsonl:2": "undecodable",
            "records/b-lines.jsonl:3": "undecodable",
            "records/b-lines.jsonl:4": "undecodable",
            "records/b-lines.jsonl:6": "empty-text",
            "records/b-lines.jsonl:10": "malformed-json",
            "records/b-lines.jsonl:12": "malformed-json",
            "records/b-lines.jsonl:13": "malformed-json",
            "records/b-lines.jsonl:14": "undecodable",
            "records/e-cut.jsonl.gz:51": "truncated-file",
            "records/e-cut.jsonl.zst:51": "truncated-file",
            "records/g-folder.jsonl": "not-a-file",
            "records/h-pipe.jsonl": "not-a-file",
            "records/i-nowhere.jsonl": "dangling-link",
            "records/j-itself.jsonl": "dangling-link",
        },
        {"empty": 2},
        40 + 7 + 50 + 50 + 1,
    ),
    "tree": ({"tree/pack/latin.py": "undecodable", "tree/pack/pipe.py": "not-a-file"}, {"binary": 1, "link": 2}, 31),
    "packed": (
        {
            "archives/b-bomb.zip": "archive-bomb",
            "archives/d-away.zip/../escaped.py": "unsafe-name",
            "archives/d-away.zip//tmp/pretrial-escaped.py": "unsafe-name",
            "archives/d-away.zip/a/../../escaped.py": "unsafe-name",
            "archives/d-away.zip/C:\\escaped.py": "unsafe-name",
            "archives/e-away.tar.gz/../escaped.py": "unsafe-name",
            "archives/e-away.tar.gz//tmp/pretrial-escaped.py": "unsafe-name",
            "archives/f-sparse.tar/sparse.py": "sparse-member",
            "archives/g-nothing.zip": "not-an-archive",
        },
        {"link": 1, "nested-archive": 10},
        20 + 1 + 2 + 1,
    ),
    "repositories": (
        {
            "repos/hostile/lent.py": "missing-object",
            "repos/away": "unsafe-repository",
            "repos/broken": "unreadable-repository",
            "repos/empty": "unreadable-repository",
        },
        {"unwanted": 1},
        20 + 1,
    ),
    "history": (
        {
            "repos/hostile@HEAD": "missing-object",
            "repos/away": "unsafe-repository",
            "repos/broken": "unreadable-repository",
            "repos/empty": "unreadable-repository",
        },
        {},
        1,
    ),
    "notebooks": (
        {
            "notebooks/cut.ipynb": "malformed-json",
            "notebooks/deep500.ipynb": "malformed-json",
            "notebooks/deep100000.ipynb": "malformed-json",
        },
        {"empty": 1},
        10,
    ),
    "threads": (
        {
            "threads/bomb.example.com/Posts.xml:1": "refused-xml",
            "threads/outside.example.com/Posts.xml:1": "refused-xml",
        },
        {"empty": 1},
        10,
    ),
    "tables": (
        {
            "tables/b-cut.parquet:1": "corrupt-file",
            "tables/c-length.parquet:1": "corrupt-file",
            "tables/d-zeros.parquet:1": "corrupt-file",
            "tables/e-name.parquet:1": "corrupt-file",
            "tables/f-pages.parquet:1": "corrupt-file",
            "tables/g-numbers.parquet:1": "text-not-a-string",
            "tables/g-numbers.parquet:2": "text-not-a-string",
            "tables/g-numbers.parquet:3": "no-text",
            "tables/i-zero.parquet:1": "corrupt-file",
            "tables/j-half.parquet:21": "corrupt-file",
        },
        {"empty": 1},
        40 + 20,
    ),
    "hub": ({"data/train-00001-of-00002.parquet:1": "corrupt-file"}, {}, 20),
    "ruled": ({"ruled.jsonl:28": "undecodable"}, {}, 27),
    "made": ({}, {}, 25),  # six of the modules name a parameter twice: no Python to rename in
}


@pytest.mark.parametrize("source", MET)
def test_what_cannot_be_used_is_named_and_the_rest_is_kept(one: Met, source: str) -> None:
    places, skipped, documents = MET[source]
    facts = one.facts(source)
    assert {re.sub("@[0-9a-f]{40}", "@HEAD", where): why for where, why in one.quarantine(source).items()} == places
    assert facts["skipped"] == skipped
    assert facts["documents"] == documents == len(one.rows(source))
    counted = {reason: list(places.values()).count(reason) for reason in sorted(places.values())}
    assert facts["quarantined"] == counted
    said = one.warned(source)
    assert ("could not be used" in said) == bool(places), "it is said aloud, too"
    assert all(f"{reason} {count}" in said for reason, count in counted.items())


def test_a_hostile_folder_stops_nothing_that_comes_after(one: Met) -> None:
    assert one.built.failures == {}
    selection = one.built.corpora.selection().facts["sources"]
    assert set(selection) == set(SOURCES)
    assert selection["prose"]["train"]["documents"] > 150
    assert all(selection[name]["held_out"]["documents"] for name in SOURCES)


def test_a_hostile_folder_is_the_same_corpora_for_one_worker_and_two(met: Callable[[int], Met]) -> None:
    assert met(1).contents == met(2).contents
    assert len(met(1).contents) > 60
    assert sorted(entry["message"] for entry in met(1).log if entry["event"] == "warning") == sorted(
        entry["message"] for entry in met(2).log if entry["event"] == "warning"
    )


def test_nothing_is_written_outside_and_nothing_runs(
    met: Callable[[int], Met], folder: Path, before: dict[str, Any]
) -> None:
    own = [folder.parent / f"own-{workers}" for workers in (1, 2)]
    met(1)
    assert state(folder.parent, *own) == before
    assert not (folder.parent / "canary").exists()
    assert not Path("/tmp/pretrial-escaped.py").exists()
    for place in own:
        for name in ("tmp", "work", "quarantine"):
            assert not (place / "store").exists() or not list((place / "store" / name).iterdir())


def test_odd_documents_are_kept_as_they_are(one: Met) -> None:
    rows = {row["id"]: row for row in one.rows("records")}
    assert rows["nul"]["text"] == "before\0after"
    assert rows[NAUGHTY]["text"] == "a name that clears the screen"
    assert rows["deep150"]["meta"] == json.dumps({"x": json.loads("[" * 150 + "]" * 150)}, separators=(",", ":"))
    assert [row["text"] for row in one.rows("records") if row["id"] == "twice"] == ["one", "another"]
    assert "records: 1 document repeats the id of another" in one.warned("records")
    assert rows["k"]["text"] == "below two folders", "once, whatever links lead there"
    assert {"first", "last"} <= rows.keys()


def test_names_of_files_move_no_cursor(one: Met) -> None:
    strange = [row["id"] for row in one.rows("tree") if "evil" in row["id"]]
    assert strange == ["tree/pack/\\x1b[2J\\u202eevil\\u2066.exe\\x07.py"]
    told = json.dumps([event for event in one.log if event["event"] == "warning"], ensure_ascii=False)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", told)


def test_the_readable_part_of_a_cut_file_is_whole(one: Met) -> None:
    rows = {row["id"]: row["text"] for row in one.rows("records")}
    for end in ("zst", "gz"):
        kept = {name: value for name, value in rows.items() if name.startswith(end)}
        assert kept == {f"{end}{number}": text(900 + number) + end for number in range(50)}


def test_rules_see_hostile_characters_and_drop_nothing_for_them(one: Met) -> None:
    texts = [row["text"] for row in one.rows("ruled")]
    assert sum("\0" in one or "\u202e" in one or "\x1b" in one for one in texts) == 3
    assert one.facts("ruled")["rejected"] == {}


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_all_that_stands_before_a_cut_is_unpacked(tmp_path: Path, kind: str) -> None:
    data = random.Random(5).randbytes(200_000)
    packed = {"gzip": gzip.compress, "zstd": zstandard.compress}[kind](data)
    for cut in (len(packed) - 1, 150_000, 65_536, 300, 20):
        (tmp_path / "x").write_bytes(packed[:cut])
        machine = zlib.decompressobj(31) if kind == "gzip" else zstandard.ZstdDecompressor().decompressobj()
        found: list[bytes] = []
        with (tmp_path / "x").open("rb") as file:
            stream = unpacked(file, kind, lambda: (tmp_path / "x").open("rb"))
            with pytest.raises(OSError, match="Truncated") as caught:
                found.extend(iter(stream.read1, b""))
        assert caught.value.errno is None
        assert b"".join(found) == machine.decompress(packed[:cut])


# -- places ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["tree", "tree/**", "tree/**/*.py", "tree/*", "*/pack", "tree/pack/*.py"])
def test_links_that_lead_round_and_round_are_not_followed(tmp_path: Path, read: Any, pattern: str) -> None:
    (tmp_path / "tree" / "pack").mkdir(parents=True)
    (tmp_path / "tree" / "pack" / "x.py").write_text("x = 1\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "y.py").write_text("y = 1\n")
    for name, to in {"a": ".", "b": "..", "c": "pack", "d": "../elsewhere"}.items():
        (tmp_path / "tree" / "pack" / name).symlink_to(to, target_is_directory=True)
        (tmp_path / "tree" / name).symlink_to(to, target_is_directory=True)
    assert [row["id"] for row in read("files", pattern, languages=("python",)).rows] == ["tree/pack/x.py"]


def test_a_link_that_is_named_itself_is_followed(tmp_path: Path, read: Any) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.py").write_text("x = 1\n")
    (tmp_path / "real" / "x.jsonl").write_bytes(lines({"text": "x"}))
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "one.jsonl").symlink_to("real/x.jsonl")
    assert read("files", "link", languages=("python",)).texts == ["x = 1\n"]
    for location in ("one.jsonl", "*.jsonl", "link/*.jsonl"):
        assert read("jsonl", location).texts == ["x"], "links to files are files"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everyone may use."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(folder)


@contextlib.contextmanager
def somebody() -> Iterator[None]:
    """Be someone who may not read everything, also where root runs the tests."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_may_not_be_read_is_named_and_the_rest_kept(
    open_folder: Path, step: Any, make_source: Any, hashes: Any
) -> None:
    folder = open_folder
    for name in ("a.jsonl", "b.jsonl"):
        (folder / name).write_bytes(lines({"text": f"in {name}"}))
    for name in ("tree/open/a.py", "tree/closed/b.py", "tree/c.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{Path(name).stem} = 1\n")
    for name in ("b.jsonl", "tree/closed", "tree/c.py"):
        (folder / name).chmod(0)

    def made(kind: str, location: str) -> Any:
        source = make_source(kind, location)
        config, settings = spec.source_config(source), spec.source_settings(source, None, folder, name="these")
        with somebody():
            config = spec.corpus_config(config, spec.input_fingerprint(config, settings, hashes))
            return step("pretrial.corpus.read:read_corpus", folder / f"of-{kind}", config=config, settings=settings)

    records, tree = made("jsonl", "*.jsonl"), made("files", "tree")
    assert (records.facts["documents"], records.facts["quarantined"]) == (1, {"unreadable-file": 1})
    kept = pq.ParquetFile(records.file("quarantine.parquet")).read().to_pylist()
    assert kept == [{"reason": "unreadable-file", "where": "b.jsonl", "excerpt": FAULTS["unreadable-file"]}]
    assert tree.facts["documents"] == 1
    assert tree.facts["quarantined"] == {"unreadable-file": 1, "unreadable-folder": 1}


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("pipe.jsonl", "is not a regular file: a folder, pipe, socket or device"),
        ("gone.jsonl", "is not a regular file: a link that leads nowhere"),
        ("[gp]*.jsonl", r"nothing that \[gp\]\*.jsonl matches can be read"),
        ("only", "is a folder, and this reader takes files"),
    ],
)
def test_what_is_named_itself_must_be_readable(
    tmp_path: Path, make_source: Any, hashes: Any, location: str, message: str
) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "gone.jsonl").symlink_to("nowhere")
    (tmp_path / "only").mkdir()
    source = make_source("jsonl", location)
    settings = spec.source_settings(source, None, tmp_path, where="s:1")
    with pytest.raises(RequestError, match=message) as caught:
        spec.input_fingerprint(spec.source_config(source), settings, hashes)
    assert caught.value.where == "s:1"
    assert caught.value.remedy


def test_files_that_are_spelled_alike_are_both_read(tmp_path: Path, read: Any) -> None:
    (tmp_path / "t").mkdir()
    for name in ("\x07.py", "\\x07.py"):
        (tmp_path / "t" / name).write_text(f"name = {name!r}\n")
    corpus = read("files", "t", languages=("python",))
    assert [row["id"] for row in corpus.rows] == ["2~t/\\x07.py", "t/\\x07.py"]
    assert len(set(corpus.texts)) == 2


# -- what changes between the plan and the reading ---------------------------------------------------------------------


CHANGING = {
    "lines": {"read": {"jsonl": "lines/*.jsonl"}},
    "single": {"read": {"jsonl": "single.jsonl"}},
    "code": {"read": {"files": "code", "languages": ["python"]}},
    "zips": {"read": {"archives": "zips/*.zip", "languages": ["python"]}},
    "cells": {"read": {"parquet": "cells.parquet"}},
    "posts": {"read": {"stackexchange": "a.example.com/Posts.xml"}},
    "moved": {"read": {"git": "repos", "languages": ["python"]}},
}


@pytest.fixture
def changing(tmp_path: Path) -> smoke.Place:
    """A study whose files a test changes behind its plan."""
    smoke.write_corpora(tmp_path)
    (tmp_path / "lines").mkdir()
    for name in ("a", "b"):
        (tmp_path / "lines" / f"{name}.jsonl").write_bytes(lines(*({"text": f"{name} {text(i)}"} for i in range(20))))
    (tmp_path / "single.jsonl").write_bytes(lines(*({"text": text(100 + i)} for i in range(20))))
    (tmp_path / "code" / "p").mkdir(parents=True)
    for number in range(20):
        (tmp_path / "code" / "p" / f"m{number}.py").write_text(smoke.code(number))
    (tmp_path / "zips").mkdir()
    with zipfile.ZipFile(tmp_path / "zips" / "a.zip", "w") as file:
        for number in range(20):
            file.writestr(f"m{number}.py", smoke.code(50 + number))
    pq.write_table(pa.table({"text": [text(200 + i) for i in range(20)]}), tmp_path / "cells.parquet")
    write_threads(tmp_path)
    write_repositories(tmp_path / "repos", tmp_path / "canary")
    place = write_study(tmp_path, {"prose": SOURCES["prose"], **CHANGING})
    study = json.loads(place.study.read_text())
    place.study.write_text(json.dumps({**study, "near-duplicates": "none"}))
    return place


def between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Let something happen once a study is planned and before anything of it is read."""
    check = cost.check_disk

    def checked(*arguments: Any) -> None:
        check(*arguments)
        happens()

    monkeypatch.setattr(cost, "check_disk", checked)


def test_what_changes_behind_the_plan_fails_its_source_alone_and_is_read_again(
    changing: smoke.Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = changing.folder

    def change() -> None:
        (folder / "lines" / "b.jsonl").unlink()
        with (folder / "single.jsonl").open("ab") as file:
            file.write(lines({"text": "one more"}))
        (folder / "code" / "p" / "m3.py").write_text("changed = 1\n")
        (folder / "zips" / "a.zip").unlink()
        shutil.copy(folder / "zips.zip", folder / "zips" / "a.zip")
        pq.write_table(pa.table({"text": ["another"]}), folder / "cells.parquet")
        (folder / "a.example.com" / "Posts.xml").unlink()
        (folder / "repos" / "good.git" / "refs" / "heads" / "main").write_text("0" * 40 + "\n")

    with zipfile.ZipFile(folder / "zips.zip", "w") as file:
        file.writestr("m.py", "another = 1\n")
    (folder / "a.example.com").mkdir()
    shutil.copy(folder / "good.example.com" / "Posts.xml", folder / "a.example.com" / "Posts.xml")
    with monkeypatch.context() as patch:
        between(patch, change)
        built = build(changing)
    said = built.failures
    assert f"corpus {'lines'}" in said
    assert re.search(r"files came or went since the plan: lines/b.jsonl", said["corpus lines"])
    for source, file in {"single": "single.jsonl", "code": "m3.py", "zips": "a.zip", "cells": "cells.parquet"}.items():
        assert re.search(rf"{file} changed (since the plan|while it was being read)", said[f"corpus {source}"]), source
    assert "files came or went since the plan: there is no file" in said["corpus posts"]
    assert set(said) == {f"corpus {name}" for name in CHANGING} - {"corpus moved"}
    # A repository is read at the commit that was planned, whatever became of its branch.
    assert built.corpora.corpus("moved").facts["documents"] == 21
    assert built.corpora.corpus("prose").facts["documents"] == 240
    assert not list((changing.store / "tmp").iterdir())
    shutil.copy(folder / "good.example.com" / "Posts.xml", folder / "a.example.com" / "Posts.xml")
    again = build(changing)
    # Its branch leads nowhere now, and one repository of the others was readable.
    assert again.failures == {}
    assert "corpus prose" not in again.made
    assert [again.corpora.corpus(name).facts["documents"] for name in CHANGING] == [20, 21, 20, 1, 1, 10, 1]


def shard(read: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    about = {"keep": {}, "measures": {}, "filter": [], "transform": [], "group": "document", "license": None}
    return {**about, "read": {"scope": "paths", "text": "text", "id": None, "cap_file": None, **read}, "part": part}


@pytest.mark.parametrize(
    ("path", "why"),
    [("gone.jsonl", "No such file or directory"), ("a-folder", "Is a directory"), ("/proc/self/mem", "Input/output")],
)
def test_a_file_that_can_no_longer_be_read_is_named(tmp_path: Path, step: Any, path: str, why: str) -> None:
    if path.startswith("/") and not Path(path).exists():
        pytest.skip("this system has no file that fails when it is read")
    (tmp_path / "a-folder").mkdir()
    config = shard({"kind": "jsonl"}, {"file": "x.jsonl", "sha256": "0" * 64})
    with pytest.raises(RunError, match=f"{path} cannot be read any more: {why}") as caught:
        step(
            "pretrial.corpus.read:read_shard", tmp_path / "o", config=config, settings={"paths": [str(tmp_path / path)]}
        )
    assert "run the same command again" in (caught.value.remedy or "")


# -- a full disk -------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """`small_disk(bytes)`: a folder on a disk of its own that holds so much."""
    mounted: list[Path] = []

    def make(size: int) -> Path:
        path = tmp_path / f"disk-{len(mounted)}"
        path.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("only who may mount a file system can have a small disk")
        mounted.append(path)
        return path

    yield make
    for path in mounted:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every step of one corpus: its function with configuration, settings and inputs, as the study would call it."""
    from conftest import run_step
    from pretrial.corpus.near import spec as near

    folder = tmp_path_factory.mktemp("steps")
    draw = random.Random(1)
    (folder / "x.jsonl").write_bytes(
        lines(*({"text": f"w{i} " + " ".join(draw.choice("abcdefgh") * 2 for _ in range(8))} for i in range(4000)))
    )
    config = shard({"kind": "jsonl"}, {})
    del config["part"]
    sha = hashlib.sha256((folder / "x.jsonl").read_bytes()).hexdigest()
    settings = {"name": "x", "where": None, "locations": [{"root": str(folder), "pattern": "x.jsonl"}]}
    chosen = near.settings()
    known: dict[str, Any] = {
        "shard": (
            "pretrial.corpus.read:read_corpus",
            {"config": {**config, "files": [["x.jsonl", sha]]}, "settings": settings},
        )
    }
    made = {"shard": run_step(known["shard"][0], folder / "shard", **known["shard"][1])}
    known["signatures"] = (
        "pretrial.corpus.near.signatures:sign_corpus",
        {"config": near.signature_config(chosen), "inputs": {"corpus": made["shard"]}},
    )
    made["signatures"] = run_step(known["signatures"][0], folder / "signatures", **known["signatures"][1])
    known["sorting"] = (
        "pretrial.corpus.near.clusters:find_near_duplicates",
        {
            "config": near.near_config(chosen, ["x"]),
            "settings": {"memory": 1_000_000},
            "inputs": {"corpus:x": made["shard"], "signatures:x": made["signatures"]},
        },
    )
    made["sorting"] = run_step(known["sorting"][0], folder / "sorting", **known["sorting"][1])
    known["masks"] = (
        "pretrial.corpus.select:select_documents",
        {
            "config": spec.select_config(["x"], {"x"}),
            "inputs": {"corpus:x": made["shard"], "near": made["sorting"]},
        },
    )
    return known


@pytest.mark.parametrize(
    ("name", "rooms"),
    {"shard": (4, 100, 300), "signatures": (4, 40, 1000), "sorting": (4, 100, 400, 2000), "masks": (4, 8, 12)}.items(),
)
def test_a_full_disk_is_an_error_of_the_disk_wherever_it_is_met(
    steps: dict[str, Any], small_disk: Callable[[int], Path], step: Any, name: str, rooms: tuple[int, ...]
) -> None:
    function, given = steps[name]
    for room in rooms:
        disk = small_disk(room * 1024)
        with pytest.raises(OSError, match="No space left on device") as caught:
            step(function, disk / name, **given)
        assert caught.value.errno == errno.ENOSPC
        if name == "shard":
            assert caught.value.filename.startswith(str(disk))
            assert str(caught.value) == f"[Errno 28] No space left on device: {caught.value.filename!r}"


# Steps of a study, and the bytes that are left on the disk when each begins.
FULL = {"corpus prose": 24_576, "signatures of code": 24_576, "near-duplicates": 0, "selection of documents": 0}


def test_a_study_that_met_a_full_disk_goes_on_where_it_was(
    place: smoke.Place,
    finished_corpora: dict[str, str],
    small_disk: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    disk = small_disk(4_000_000)
    ballast = disk / "ballast"
    started = Progress.started
    full: list[str] = []

    def fill(self: Progress, step: Any) -> None:
        started(self, step)
        if step.name == full[-1]:
            fill_up(ballast, FULL[step.name])

    monkeypatch.setattr(Progress, "started", fill)
    monkeypatch.setattr(cost, "check_disk", lambda need, store: None)
    trial = pretrial.trial(place.study, workspace=place.workspace, store=disk / "store")
    for step in FULL:
        full.append(step)
        before = {made.key for made in trial.store.all()} if (disk / "store").exists() else set()
        assert guarded(lambda: trial.build_corpora(workers=1, quiet=True)) == 1
        said = capfd.readouterr().err
        assert "No space left on device\n  Free some space, then run the same command again." in said
        assert "Traceback" not in said
        ballast.unlink()
        assert not list((disk / "store" / "tmp").iterdir())
        assert not list((disk / "store" / "quarantine").iterdir())
        store = Store(disk / "store")
        for made in store.all():
            store.verify(made)
        assert before <= {made.key for made in store.all()}, "what was made is kept"
    full.append("none")
    built = trial.build_corpora(workers=1, quiet=True)
    assert (built.made, built.failures) == (("selection of documents",), {})
    assert {f"{made.kind}/{made.key}": made.content for made in trial.store.all()} == finished_corpora


def fill_up(path: Path, room: int) -> None:
    """Write a file until its disk is full, but for some bytes."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    os.truncate(path, path.stat().st_size - room)


@pytest.fixture(scope="module")
def finished_corpora(tmp_path_factory: pytest.TempPathFactory, tried: Path) -> dict[str, str]:
    """Contents of the smoke study's corpora, made undisturbed by two workers."""
    place = smoke.make_place(tmp_path_factory.mktemp("undisturbed") / "smoke", tried)
    assert build(place, workers=2).failures == {}
    return place.contents()


# -- large things in little memory -------------------------------------------------------------------------------------


MEASURED = """
import json, re, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from conftest import run_step
made = run_step(sys.argv[2], Path(sys.argv[3]), **json.loads(sys.argv[4]))
peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps({"facts": made.facts, "peak": peak}))
"""


def measured(function: str, out: Path, **given: Any) -> dict[str, Any]:
    """Facts of a step that ran in a process of its own, and the most memory that this took."""
    tests = str(Path(smoke.__file__).parent)
    command = [sys.executable, "-c", MEASURED, tests, function, str(out), json.dumps(given)]
    done = smoke.call(command, out.parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_of_more_than_100_mb_is_one_reject_and_takes_bounded_memory(tmp_path: Path, packed: bool) -> None:
    # Digits without order: packed well, but by no more than a text.
    long = random.Random(0).randbytes(75_000_000).hex().encode()
    data = lines({"text": "before"}) + b'{"text": "' + long + b'"}\n' + lines({"text": "behind"})
    (tmp_path / "x.jsonl").write_bytes(zstandard.compress(data) if packed else data)
    del data, long
    config = shard({"kind": "jsonl"}, {"file": "x.jsonl"})
    made = measured(
        "pretrial.corpus.read:read_shard",
        tmp_path / "o",
        config=config,
        settings={"paths": [str(tmp_path / "x.jsonl")]},
    )
    assert made["facts"]["documents"] == 2
    assert made["facts"]["quarantined"] == {"oversize-line": 1}
    assert made["peak"] < 600_000_000


MANY = """
import json, re, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from conftest import run_step
from pretrial.corpus import spec
from pretrial.corpus.contamination.benchmark_texts import BENCHMARKS
from pretrial.store.artefacts import FileHashes
from pretrial.study.schema import Read, Source
folder = Path(sys.argv[2])
before = time.process_time()
source = Source(Read("files", sys.argv[3], {"languages": ("python",)}), group="repository")
config, settings = spec.source_config(source), spec.source_settings(source, None, folder, name="many")
config = spec.corpus_config(config, spec.input_fingerprint(config, settings, FileHashes(folder / "hashes")))
made = run_step("pretrial.corpus.read:read_corpus", folder / f"of-{sys.argv[3]}", config=config, settings=settings)
peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps([made.facts["documents"], time.process_time() - before, peak]))
"""


@pytest.mark.slow
def test_a_document_just_under_the_limit_takes_bounded_memory(tmp_path: Path) -> None:
    words = [f"{'abcdefgh'[i % 8] * 2}{i}" for i in range(5000)]
    body = " ".join(words * 3000)[:99_000_000]
    (tmp_path / "x.jsonl").write_bytes(lines({"text": body}, {"text": "behind"}))
    size = len(body)
    del body, words
    given = {
        "config": shard({"kind": "jsonl"}, {"file": "x.jsonl"}),
        "settings": {"paths": [str(tmp_path / "x.jsonl")]},
    }
    made = measured("pretrial.corpus.read:read_shard", tmp_path / "o", **given)
    assert (made["facts"]["documents"], made["facts"]["bytes"]) == (2, size + len("behind"))
    # The line, the text of it, the text in a table, packed: five times its bytes.
    assert made["peak"] < 800_000_000


@pytest.mark.slow
def test_a_hundred_thousand_tiny_files_take_time_and_memory_by_their_number(tmp_path: Path) -> None:
    for number in range(100_000):
        path = tmp_path / ("few" if number < 20_000 else "more") / f"d{number // 500}" / f"m{number}.py"
        if number % 500 == 0:
            path.parent.mkdir(parents=True)
        path.write_text(f"x{number} = {number}\n")

    def took(location: str) -> Any:
        done = smoke.call(
            [sys.executable, "-c", MANY, str(Path(smoke.__file__).parent), str(tmp_path), location], tmp_path
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    few = took("few")
    (tmp_path / "few").rename(tmp_path / "more" / "few")
    many = took("more")
    assert (few[0], many[0]) == (20_000, 100_000)
    assert many[1] < 7 * few[1], "five times the files"
    # Names and hashes: some kilobytes a file.
    assert many[2] - few[2] < 80_000 * 6_000


# -- killed ------------------------------------------------------------------------------------------------------------


EVERY = {
    "prose": SOURCES["prose"],
    "records": SOURCES["records"],
    "tree": SOURCES["tree"],
    "packed": SOURCES["packed"],
    "history": SOURCES["history"],
    "threads": SOURCES["threads"],
    "tables": SOURCES["tables"],
    "hub": SOURCES["hub"],
    "topics": {"read": {"pydoc": "topics"}},
    "filler": {"read": {"filler": "dyck", "size": "200 KB"}},
    "made": SOURCES["made"],
}


@pytest.mark.slow
def test_killed_at_any_moment_corpora_end_the_same(folder: Path, tmp_path: Path) -> None:
    """SIGKILL to the main process of two workers, five times, at moments drawn in the order of the steps."""
    study = json.loads((folder / "smoke.yaml").read_text()) | {"sources": EVERY}
    options = []
    if all(importlib.util.find_spec(name) for name in ("lm_eval", "datasets")):
        # With the items of a benchmark looked for, too.
        path = tmp_path / "data" / "benchmarks" / BENCHMARKS["piqa"].path
        path.parent.mkdir(parents=True)
        item = {"query": f"Question: {smoke.prose(3)}\n", "choices": ["x", "y"], "gold": 0}
        path.write_bytes(zstandard.compress(lines(item)))
        study["evaluate"]["tasks"].append("piqa")
        options = ["--data", str(tmp_path / "data")]
    (folder / "every.yaml").write_text(json.dumps(study))

    def command(name: str) -> list[str]:
        own = tmp_path / name
        places = ["--workspace", str(own / "work"), "--store", str(own / "store")]
        return [*smoke.COMMAND, "corpus", "build", str(folder / "every.yaml"), "--workers", "2", *places, *options]

    def events(name: str) -> list[dict[str, Any]]:
        log = tmp_path / name / "work" / "log.jsonl"
        found = []
        for line in log.read_bytes().splitlines() if log.exists() else []:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def contents(name: str) -> dict[str, str]:
        return {f"{made.kind}/{made.key}": made.content for made in Store(tmp_path / name / "store").all()}

    done = smoke.call(command("undisturbed"), tmp_path)
    assert done.returncode == 0, done.stderr
    steps = [event["step"] for event in events("undisturbed") if event["event"] == "started"]
    assert len(steps) > 2 * len(EVERY)
    draw = random.Random(4)
    killed = []
    for step in sorted(draw.sample(steps, 5), key=steps.index):
        delay = draw.uniform(0, 0.4)
        run = subprocess.Popen(
            command("killed"), env=smoke.environment(), start_new_session=True, cwd=tmp_path,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            until = time.monotonic() + 60
            while run.poll() is None and not any(event.get("step") == step for event in events("killed")):
                assert time.monotonic() < until
                time.sleep(0.005)
            time.sleep(delay)
            with contextlib.suppress(ProcessLookupError):
                os.kill(run.pid, signal.SIGKILL)
            run.communicate(timeout=60)
            killed.append(run.returncode == -signal.SIGKILL)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
    assert sum(killed) >= 4, killed
    done = smoke.call(command("killed"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents("killed") == contents("undisturbed")
    for name in ("tmp", "work", "quarantine"):
        assert not list((tmp_path / "killed" / "store" / name).iterdir()), name
    finished = [event["step"] for event in events("killed") if event["event"] == "finished"]
    assert len(set(finished)) == len(finished), "no step is finished twice"
    # A kill may come between a step's last word to the store and its line in the log.
    assert len(set(steps) - set(finished)) <= sum(killed)
    assert set(finished) <= set(steps)
