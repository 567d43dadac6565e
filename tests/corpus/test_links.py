"""Links that lead where nothing is read: to other repositories, to pipes, to what the system makes up."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from git_objects import commit, make
from pretrial.corpus import places, spec
from pretrial.corpus.places import FAULTS, Place, found
from pretrial.errors import RequestError


def repository(path: Path, files: dict[str, bytes]) -> Path:
    commit(make(path), files)
    return path


@pytest.fixture
def repos(tmp_path: Path) -> Path:
    """A folder with a repository, a link to one outside, and a link to what is none."""
    repository(tmp_path / "repos/own", {"own.py": b"own = 1\n"})
    repository(tmp_path / "outside", {"outside.py": b"outside = 1\n"})
    (tmp_path / "repos/linked").symlink_to(tmp_path / "outside", target_is_directory=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "repos/nothing").symlink_to(tmp_path / "empty", target_is_directory=True)
    return tmp_path / "repos"


@pytest.mark.parametrize("location", ["repos", "repos/*"])
@pytest.mark.usefixtures("repos")
def test_a_repository_behind_a_link_is_named_and_not_read(read: Any, location: str) -> None:
    corpus = read("git", location, languages=("python",))
    assert corpus.texts == ["own = 1\n"]
    assert corpus.facts["quarantined"] == {"linked-repository": 1}
    (row,) = corpus.quarantine
    assert row["where"].endswith("linked")
    assert row["excerpt"] == FAULTS["linked-repository"]


@pytest.mark.usefixtures("repos")
def test_a_link_to_a_repository_that_is_named_itself_is_followed(read: Any) -> None:
    assert read("git", "repos/linked", languages=("python",)).texts == ["outside = 1\n"]


def test_a_link_alone_is_said(repos: Path, read: Any) -> None:
    (repos / "own").rename(repos.parent / "own")
    with pytest.raises(RequestError, match="a link to a repository; links are not followed"):
        read("git", "repos", languages=("python",))


def test_a_damaged_repository_among_others_is_not_one_without_the_revision(repos: Path, read: Any) -> None:
    damaged = repository(repos / "damaged", {"x.py": b"x = 1\n"})
    for path in (damaged / ".git/objects").glob("[0-9a-f][0-9a-f]/*"):
        path.chmod(0o644)
        path.write_bytes(b"noise")
    make(repos / "none")
    corpus = read("git", "repos", languages=("python",))
    assert {row["where"]: row["reason"] for row in corpus.quarantine} == {
        "repos/damaged": "damaged-repository",
        "repos/linked": "linked-repository",
        "repos/none": "unreadable-repository",
    }


@pytest.fixture
def planned(tmp_path: Path, make_source: Any, hashes: Any) -> Callable[[str, str], Any]:
    def plan(kind: str, location: str) -> Any:
        source = make_source(kind, location)
        settings = spec.source_settings(source, None, tmp_path, where="s:1")
        return spec.input_fingerprint(spec.source_config(source), settings, hashes)

    return plan


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="this system has no file that makes readers wait")
@pytest.mark.parametrize("kind", ["jsonl", "stackexchange", "archives"])
def test_a_link_to_what_makes_readers_wait_is_never_opened(tmp_path: Path, planned: Any, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, target in {"log": "/proc/kmsg", "memory": "/proc/self/mem", "zero": "/dev/zero", "pipe": "pipe"}.items():
        (tmp_path / f"x-{name}.xml").symlink_to(target)
    (tmp_path / "x-good.xml").write_bytes(b'{"text": "x"}\n')
    said = {row[0]: row[1] for row in planned(kind, "x-*.xml")}
    assert len(said.pop("x-good.xml")) == 64
    assert said == {
        "x-log.xml": "system-file",
        "x-memory.xml": "system-file",
        "x-pipe.xml": "not-a-file",
        "x-zero.xml": "not-a-file",
    }
    with pytest.raises(RequestError, match="is not a regular file: a file of /proc or /sys"):
        planned(kind, "x-log.xml")


def test_files_on_the_disk_of_the_system_itself_are_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where `/proc` is a plain folder, as in some containers, nothing is refused for lying beside it."""
    (tmp_path / "x.jsonl").write_bytes(b'{"text": "x"}\n')
    monkeypatch.setattr(places, "_SYSTEM", ("/", str(tmp_path / "gone")))
    places._system_devices.cache_clear()
    settings = {"locations": [{"root": str(tmp_path), "pattern": "x.jsonl"}]}
    try:
        assert found({"kind": "jsonl"}, settings) == [Place("x.jsonl", tmp_path / "x.jsonl", "", named=True)]
    finally:
        places._system_devices.cache_clear()


def test_a_pipe_behind_a_link_in_a_dataset_s_folder_is_not_opened(tmp_path: Path, planned: Any) -> None:
    (tmp_path / "set").mkdir()
    os.mkfifo(tmp_path / "set/pipe")
    (tmp_path / "set/a.jsonl").write_bytes(b'{"text": "x"}\n')
    (tmp_path / "set/b.jsonl").symlink_to("pipe")
    assert [row[0] for row in planned("hub", "./set")] == ["a.jsonl"]


@pytest.fixture
def crooked(tmp_path: Path) -> Path:
    """A tree with a file, links of all kinds, a pipe, and folders that are called like files."""
    tree = tmp_path / "tree"
    (tree / "chart.py").mkdir(parents=True)
    (tree / "chart.py/inner.py").write_bytes(b"inner = 1\n")
    (tree / "plain").mkdir()
    (tree / ".git").symlink_to(tree / "plain", target_is_directory=True)
    (tree / "a.py").write_bytes(b"a = 1\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x.py").write_bytes(b"x = 1\n")
    for name, target in {
        "dang.py": "/nonexistent",
        "self.py": "self.py",
        "outlink.py": "../out/x.py",
        "inlink.py": "a.py",
        "notes.unknown": "a.py",
        "gone": "/nonexistent",
        "outdir": "../out",
    }.items():
        (tree / name).symlink_to(target)
    os.mkfifo(tree / "f.py")
    return tree


@pytest.mark.usefixtures("crooked")
@pytest.mark.parametrize("location", ["tree", "tree/*", "tree/**"])
def test_what_a_tree_holds_and_is_not_read_is_counted_with_its_place(read: Any, location: str) -> None:
    corpus = read("files", location, languages=("python",))
    assert sorted(corpus.texts) == ["a = 1\n", "inner = 1\n"]
    assert corpus.facts["skipped"] == {"link": 3}
    assert sorted((row["where"], row["rule"], row["reason"]) for row in corpus.rejects) == [
        ("tree/inlink.py", "read", "link"),
        ("tree/outdir", "read", "link"),
        ("tree/outlink.py", "read", "link"),
    ]
    assert {row["where"]: row["reason"] for row in corpus.quarantine} == {
        "tree/dang.py": "dangling-link",
        "tree/f.py": "not-a-file",
        "tree/self.py": "dangling-link",
    }


def test_a_link_that_is_named_itself_is_followed_into_a_tree_or_to_a_file(crooked: Path, read: Any) -> None:
    assert read("files", "tree/outdir", languages=("python",)).texts == ["x = 1\n"]
    assert read("files", "tree/outlink.py", languages=("python",)).texts == ["x = 1\n"]
    with pytest.raises(RequestError, match=r"f\.py is not a regular file: a folder, pipe, socket or device"):
        read("files", "tree/f.py", languages=("python",))


@pytest.mark.parametrize("location", ["links", "links/*"])
def test_a_tree_of_links_alone_says_where_they_lead(crooked: Path, read: Any, location: str) -> None:
    (crooked.parent / "links").mkdir()
    (crooked.parent / "links/a.py").symlink_to(crooked / "a.py")
    with pytest.raises(RequestError) as raised:
        read("files", location, languages=("python",))
    leads = f"{crooked.parent}/links/a.py leads to {crooked}/a.py"
    assert f"but links, which are not followed; {leads}" in str(raised.value)
    assert raised.value.remedy == "Name the folder in which the files themselves lie, or copy them (cp -rL)."


@pytest.mark.parametrize(
    ("kind", "location", "message", "remedy"),
    [
        ("parquet", "set", "set is a folder, and this reader takes files", "such as set/*.parquet"),
        ("jsonl", "set", "set is a folder, and this reader takes files", "such as set/*.jsonl.zst"),
        ("archives", "set", "set is a folder, and this reader takes files", "such as set/*.zip"),
        ("files", "code.zip", "is a file, and of none of the kinds", "Another reader takes it: archives: code.zip"),
        ("files", "web.jsonl.gz", "the reader files takes folders", "Another reader takes it: jsonl: web.jsonl.gz"),
        ("docstrings", "code.zip", "the reader docstrings takes folders", "Unpack it, and name the folder."),
        ("files", "a.unknown", "the reader files takes folders", "Name a folder, or check the languages"),
    ],
)  # fmt: skip
def test_what_another_reader_takes_is_said(
    tmp_path: Path, planned: Any, kind: str, location: str, message: str, remedy: str
) -> None:
    (tmp_path / "set").mkdir()
    for name in ("code.zip", "web.jsonl.gz", "a.unknown"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(RequestError, match=message) as raised:
        planned(kind, location)
    assert remedy in str(raised.value.remedy)
    assert raised.value.where == "s:1"


def test_a_revision_that_is_not_there_is_said_with_the_source_and_its_line(tmp_path: Path, make_source: Any) -> None:
    repository(tmp_path / "repo", {"a.py": b"a = 1\n"})
    source = make_source("git", "repo", languages=("python",), revision="v9")
    settings = spec.source_settings(source, None, tmp_path, name="code", where="s.yaml:3")
    with pytest.raises(RequestError, match="has no branch, tag or commit 'v9'") as raised:
        spec.input_fingerprint(spec.source_config(source), settings, None)  # type: ignore[arg-type]
    assert raised.value.where == "s.yaml:3, source code"


def test_one_file_of_a_list_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, make_source: Any) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(b'{"text": "x"}\n')

    class Refusing:
        def hash(self, path: Path) -> str:
            if path.name in self.refused:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return "0" * 64

        refused = ("b.jsonl",)

    cache: Any = Refusing()

    def rows(*location: str) -> Any:
        source = make_source("jsonl", location)
        settings = spec.source_settings(source, None, tmp_path, name="web", where="s.yaml:3")
        return spec.input_fingerprint(spec.source_config(source), settings, cache)

    assert rows("a.jsonl", "b.jsonl") == [["a.jsonl", "0" * 64], ["b.jsonl", "unreadable-file"]]
    with pytest.raises(RequestError, match=r"b\.jsonl cannot be read: Permission denied") as raised:
        rows("b.jsonl")
    assert raised.value.where == "s.yaml:3"
    cache.refused = ("a.jsonl", "b.jsonl")
    with pytest.raises(RequestError, match=r"a\.jsonl cannot be read: Permission denied"):
        rows("a.jsonl", "b.jsonl")
    cache.refused = ()
    with pytest.raises(RequestError, match=r"there is no file .*/c\.jsonl"):
        rows("a.jsonl", "c.jsonl")
