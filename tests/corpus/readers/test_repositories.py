"""Git repositories: their files at a revision, and nothing of what a hostile one asks for."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import stat
import struct
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dulwich import objects
from dulwich import pack as packs
from dulwich.object_format import SHA1
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from git_objects import PERSON, blob, commit, make, tree
from pretrial.corpus.readers import repositories
from pretrial.corpus.readers.record import Blob, Reject, Skip
from pretrial.corpus.readers.repositories import DamagedRepository, UnsafeRepository, read_repository, resolve_revision
from pretrial.corpus.readers.safety import Limits
from pretrial.errors import RequestError

Files = dict[str, bytes]
TREE: Files = {
    "README.md": b"# About\n",
    "src/a.py": b"x = 1\r\ny = 2\r\n",
    "src/deep/er/b.py": b"print('b')\n" * 200,
    "src/deep.py": b"# sorts before the folder\n",
    "src/\u0444.py": b"# names in other scripts\n",
}


def raw_tree(repo: Any, *entries: tuple[bytes, bytes, bytes]) -> objects.ObjectID:
    """A tree of (mode, name, id in hex) as no tool would write it."""
    data = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(sha.decode()) for mode, name, sha in entries)
    made = objects.ShaFile.from_raw_string(2, data)
    repo.object_store.add_object(made)
    return made.id


def pack_up(repo: Any, *, deltas: bool) -> None:
    """Move all loose objects into one pack."""
    store = repo.object_store
    loose = list(store._iter_loose_objects())
    found = sorted((store[sha] for sha in loose), key=lambda item: (item.type_num, item.raw_length()))
    count, records = packs.pack_objects_to_data([(item, None) for item in found], deltify=deltas, ofs_delta=True)
    store.add_pack_data(count, records)
    for sha in loose:
        store.delete_loose_object(sha)


def read(
    path: Path, wanted: Callable[[str], bool] = lambda _: True, revision: str = "HEAD", **limits: int
) -> list[Any]:
    return list(read_repository(path, "r", revision=revision, wanted=wanted, limits=Limits(**limits)))


def contents(items: Iterable[Any]) -> Files:
    return {item.fields["path"]: item.data for item in items if isinstance(item, Blob)}


def reasons(items: Iterable[Any]) -> dict[str, int]:
    return dict(Counter(item.reason for item in items if not isinstance(item, Blob)))


# What the interpreter did while a block ran: files it opened, processes it began, hosts it asked for.
EVENTS: list[tuple[str, str]] | None = None
SPAWNING = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "socket.", "pty.")


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if EVENTS is not None and (event == "open" or event.startswith(SPAWNING)):
        EVENTS.append((event, str(arguments[0]) if arguments else ""))


@contextmanager
def watched() -> Iterator[list[tuple[str, str]]]:
    global EVENTS
    if not getattr(sys, "_pretrial_watched", False):
        sys.addaudithook(_hook)
        sys._pretrial_watched = True  # type: ignore[attr-defined]
    found: list[tuple[str, str]] = []
    EVENTS = found
    try:
        yield found
    finally:
        EVENTS = None


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("form", ["loose", "packed", "deltas", "both"])
def test_files_are_those_of_the_commit_sorted_by_path(bare: bool, form: str, tmp_path: Path) -> None:
    repo = make(tmp_path / "repo", bare=bare)
    sha = commit(repo, TREE)
    if form != "loose":
        pack_up(repo, deltas=form == "deltas")
    if form == "both":
        sha = commit(repo, {**TREE, "new.py": b"n\n"})
    items = read(tmp_path / "repo")
    assert contents(items) == (TREE if form != "both" else {**TREE, "new.py": b"n\n"})
    assert [item.name for item in items] == sorted(f"r/{path}" for path in contents(items))
    assert {(item.fields["repository"], item.fields["revision"]) for item in items} == {("r", sha)}
    assert items[0].fields.keys() == {"repository", "revision", "path"}
    if not bare:
        assert read(tmp_path / "repo" / ".git") == items


def test_many_similar_files_come_out_of_deltas(tmp_path: Path) -> None:
    repo = make(tmp_path)
    rng = random.Random(1)
    lines = [f"line {rng.random()}" for _ in range(400)]
    files = {}
    for number in range(40):
        lines[rng.randrange(400)] = f"changed {number}"
        files[f"f{number:02}.txt"] = "\n".join(lines).encode()
    commit(repo, files)
    pack_up(repo, deltas=True)
    (data,) = (tmp_path / ".git" / "objects" / "pack").glob("*.pack")
    assert data.stat().st_size < sum(map(len, files.values())) / 10
    assert contents(read(tmp_path)) == files


def test_links_submodules_and_large_file_pointers_are_no_documents(tmp_path: Path) -> None:
    repo = make(tmp_path)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
    files = {
        "link": (0o120000, blob(repo, b"/etc/passwd")),
        "module": (0o160000, b"1" * 40),
        "big.bin": pointer,
        "run.sh": (0o100755, blob(repo, b"echo\n")),
        "old.py": (0o100664, blob(repo, b"x\n")),
        "about-lfs.md": b"x" * 1024 + pointer,
    }
    commit(repo, files)
    items = read(tmp_path)
    assert list(contents(items)) == ["about-lfs.md", "old.py", "run.sh"]
    assert [item for item in items if isinstance(item, Skip)] == [
        Skip("lfs-pointer", len(pointer), "r/big.bin", 12345, pointer.decode()),
        Skip("link", 0),
        Skip("submodule", 0),
    ]


def test_what_is_not_wanted_is_not_looked_at(tmp_path: Path) -> None:
    repo = make(tmp_path)
    commit(repo, {**TREE, "gone.bin": (0o100644, b"2" * 40)})
    items = read(tmp_path, lambda path: path.endswith(".py"))
    assert contents(items) == {path: data for path, data in TREE.items() if path.endswith(".py")}
    assert reasons(items) == {"unwanted": 2}


def test_the_working_tree_and_its_links_do_not_matter(tmp_path: Path) -> None:
    repo = make(tmp_path)
    commit(repo, TREE)
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "src").symlink_to(tmp_path / "src")
    (tmp_path / "README.md").write_text("changed")
    assert contents(read(tmp_path)) == TREE


# Revisions


def annotated(repo: Any, name: str, target: str, kind: Any) -> str:
    made = objects.Tag()
    made.name, made.tagger, made.message = name.encode(), PERSON, b"v\n"
    made.tag_time, made.tag_timezone = 1, 0
    made.object = (kind, target.encode())
    repo.object_store.add_object(made)
    repo.refs[f"refs/tags/{name}".encode()] = made.id
    return made.id.decode()


@pytest.mark.parametrize("packed", [False, True])
def test_a_revision_is_looked_up_as_git_does(packed: bool, tmp_path: Path) -> None:
    repo = make(tmp_path)
    main, other = commit(repo, TREE), commit(repo, {"o.py": b"o\n"}, branch="topic/other")
    repo.refs[b"refs/tags/light"] = other.encode()
    repo.refs[b"refs/remotes/origin/far"] = other.encode()
    tag = annotated(repo, "v1", main, objects.Commit)
    annotated(repo, "v1-again", tag, objects.Tag)
    repo.refs[b"refs/heads/v1"] = other.encode()
    if packed:
        repo.refs.pack_refs(all=True)
        assert not (tmp_path / ".git/refs/heads/main").exists()
    on_main = ["HEAD", "main", "refs/heads/main", "heads/main", "v1", "v1-again", main, tag]
    on_other = ["topic/other", "light", "refs/heads/v1", "origin/far", "remotes/origin/far", other]
    assert {resolve_revision(tmp_path, name) for name in on_main} == {main}
    assert {resolve_revision(tmp_path, name) for name in on_other} == {other}
    (tmp_path / ".git" / "HEAD").write_text(other + "\n")
    assert resolve_revision(tmp_path) == other
    assert contents(read(tmp_path, revision="v1")) == TREE


def test_a_loose_ref_is_newer_than_a_packed_one(tmp_path: Path) -> None:
    repo = make(tmp_path)
    commit(repo, TREE)
    repo.refs.pack_refs(all=True)
    newer = commit(repo, {"a": b"b"})
    assert resolve_revision(tmp_path, "main") == newer


@pytest.mark.parametrize("name", ["nope", "", "../../outside", "refs/heads/../../outside", "abcdef", "x\ny", "config"])
def test_a_name_that_is_none_says_what_to_do(name: str, tmp_path: Path) -> None:
    repo = make(tmp_path / "r")
    sha = commit(repo, TREE)
    (tmp_path / "outside").write_text(sha)
    (tmp_path / "r" / ".git" / "outside").write_text(sha)
    with pytest.raises(RequestError, match="no branch, tag or commit") as caught:
        resolve_revision(tmp_path / "r", name)
    assert caught.value.remedy


def test_a_repository_without_commits_or_none_at_all_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is no git repository"):
        resolve_revision(tmp_path)
    with pytest.raises(RequestError, match="is no git repository"):
        read(tmp_path / "missing")
    make(tmp_path)
    with pytest.raises(RequestError, match="no commit yet"):
        resolve_revision(tmp_path)
    (tmp_path / ".git" / "reftable").mkdir()
    with pytest.raises(RequestError, match="reftable"):
        resolve_revision(tmp_path)


def test_what_is_no_commit_cannot_be_read(tmp_path: Path) -> None:
    repo = make(tmp_path)
    sha = tree(repo, TREE)
    annotated(repo, "t", sha.decode(), objects.Tree)
    for name in (sha.decode(), "t", "3" * 40):
        with pytest.raises(RequestError, match="cannot be read"):
            resolve_revision(tmp_path, name)
        assert [(type(item), item.where) for item in read(tmp_path, revision=name)] == [(Reject, "r")]


def test_refs_that_name_each_other_end(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / ".git/refs/heads/a").write_text("ref: refs/heads/b\n")
    (tmp_path / ".git/refs/heads/b").write_text("ref: refs/heads/a\n")
    with pytest.raises(RequestError):
        resolve_revision(tmp_path, "a")


def test_sha256_repositories_are_read_too(tmp_path: Path) -> None:
    repo = make(tmp_path, object_format="sha256")
    store = tmp_path / ".git" / "objects"

    def add(kind: bytes, data: bytes) -> str:
        whole = kind + b" %d\0" % len(data) + data
        sha = hashlib.sha256(whole).hexdigest()
        (store / sha[:2]).mkdir(exist_ok=True)
        (store / sha[:2] / sha[2:]).write_bytes(zlib.compress(whole))
        return sha

    file = add(b"blob", b"x = 1\n")
    top = add(b"tree", b"100644 a.py\0" + bytes.fromhex(file))
    sha = add(b"commit", f"tree {top}\nauthor {PERSON.decode()} 1 +0000\n\nm\n".encode())
    (tmp_path / ".git/refs/heads/main").write_text(sha)
    assert repo is not None
    assert resolve_revision(tmp_path) == sha
    assert contents(read(tmp_path)) == {"a.py": b"x = 1\n"}


# Hostile repositories: nothing runs, nothing outside is read


def hostile(folder: Path, marker: Path) -> Any:
    """A repository whose every configurable command would leave a marker."""
    repo = make(folder)
    attributes = b"* filter=evil diff=evil merge=evil text eol=crlf working-tree-encoding=UTF-16\n"
    commit(repo, {**TREE, ".gitattributes": attributes, ".gitmodules": b'[submodule "m"]\n\turl = ext::sh\n'})
    control = folder / ".git"
    touch = f"touch {marker}"
    outside = folder.parent / "outside.config"
    outside.write_text(f"[core]\n\tfsmonitor = {touch}\n")
    (control / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
        f"\tfsmonitor = {touch}\n\thooksPath = {control}/hooks\n\tpager = {touch}\n\tsshCommand = {touch}\n"
        f"\teditor = {touch}\n\taskPass = {touch}\n\tworktree = /\n\tgitProxy = {touch}\n"
        f"\talternateRefsCommand = {touch}\n"
        f'[include]\n\tpath = {outside}\n[includeIf "gitdir:/"]\n\tpath = {outside}\n'
        f'[filter "evil"]\n\tsmudge = {touch}\n\tclean = {touch}\n\tprocess = {touch}\n\trequired = true\n'
        f'[diff "evil"]\n\ttextconv = {touch}\n\tcommand = {touch}\n[diff]\n\texternal = {touch}\n'
        f'[url "ext::{touch}"]\n\tinsteadOf = https://\n[credential]\n\thelper = !{touch}\n'
        f"[uploadpack]\n\tpackObjectsHook = {touch}\n[gpg]\n\tprogram = {touch}\n[alias]\n\tshow = !{touch}\n"
        "[extensions]\n\trefStorage = reftable\n"
    )
    (control / "hooks").mkdir(exist_ok=True)
    for hook in ("post-checkout", "pre-commit", "reference-transaction", "fsmonitor-watchman", "post-index-change"):
        (control / "hooks" / hook).write_text(f"#!/bin/sh\n{touch}\n")
        (control / "hooks" / hook).chmod(0o755)
    (control / "objects/info").mkdir(exist_ok=True)
    (control / "objects/info/alternates").write_text("/\n../../../elsewhere/.git/objects\n")
    (control / "commondir").write_text("../../elsewhere/.git\n")
    (control / "gitdir").write_text("../../elsewhere/.git\n")
    (control / "info").mkdir(exist_ok=True)
    (control / "info/grafts").write_text("0" * 40 + "\n")
    return repo


def test_a_hostile_configuration_is_never_opened_and_nothing_runs(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    elsewhere = make(tmp_path / "elsewhere")
    secret = blob(elsewhere, b"secret\n")
    repo = hostile(tmp_path / "repo", marker)
    commit(repo, {**TREE, "secret.txt": (0o100644, secret)})
    pack_up(repo, deltas=True)
    commit(repo, {**TREE, "more.py": b"m\n", "secret.txt": (0o100644, secret)})
    before = snapshot(tmp_path)
    read(tmp_path / "elsewhere", revision=commit(elsewhere, TREE))  # imports what there is to import
    with watched() as events:
        items = read(tmp_path / "repo")
    assert contents(items) == {**TREE, "more.py": b"m\n"}
    assert [(item.reason, item.where) for item in items if isinstance(item, Reject)] == [
        ("missing-object", "r/secret.txt")
    ]
    assert "alternates" not in str(events)
    assert "borrows" in next(item.excerpt for item in items if isinstance(item, Reject))
    # A descriptor that is already open is wrapped by its number; what lies in an open folder is opened by its name.
    opened = [Path(path) for event, path in events if event == "open" and not path.isdigit()]
    control = tmp_path / "repo" / ".git"
    allowed = {control, *map(Path, ("HEAD", "packed-refs", "refs", "heads", "main"))}
    of_objects = re.compile(
        rf"{re.escape(str(control))}/objects(/.*)?|[0-9a-f]{{2}}|[0-9a-f]{{38}}|pack-[0-9a-f]{{40}}.pack"
    )
    assert [path for path in opened if path not in allowed and not of_objects.fullmatch(str(path))] == []
    assert {event for event, _ in events} == {"open"}
    assert not marker.exists()
    # Branches are still there: opening such a repository with dulwich removes them.
    assert {path: data for path, data in snapshot(tmp_path).items() if not path.startswith("elsewhere")} == {
        path: data for path, data in before.items() if not path.startswith("elsewhere")
    }


def snapshot(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_git_file_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    victim = make(tmp_path / "victim")
    commit(victim, TREE)
    for number, named in enumerate(["../victim/.git", str(tmp_path / "victim/.git"), "", "../victim/.git/worktrees/w"]):
        trap = tmp_path / f"trap{number}"
        trap.mkdir()
        (trap / ".git").write_text(f"gitdir: {named}\n")
        with pytest.raises(UnsafeRepository, match="leads elsewhere"):
            resolve_revision(trap)
        assert [(item.reason, item.where) for item in read(trap)] == [("unsafe-repository", "r")]


def test_a_worktree_is_read_where_the_repository_names_it_back(tmp_path: Path) -> None:
    repo = make(tmp_path / "main")
    commit(repo, TREE)
    other = commit(repo, {"o.py": b"o\n"}, branch="other")
    control = tmp_path / "main/.git/worktrees/w"
    control.mkdir(parents=True)
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / ".git").write_text(f"gitdir: {control}\n")
    (control / "gitdir").write_text(f"{tmp_path / 'w' / '.git'}\n")
    (control / "HEAD").write_text("ref: refs/heads/other\n")
    (control / "commondir").write_text("/elsewhere\n")
    assert resolve_revision(tmp_path / "w") == other
    assert contents(read(tmp_path / "w")) == {"o.py": b"o\n"}
    assert contents(read(tmp_path / "w", revision="main")) == TREE
    shutil.copytree(tmp_path / "w", tmp_path / "thief")
    with pytest.raises(UnsafeRepository):
        resolve_revision(tmp_path / "thief")


@pytest.mark.parametrize("part", [".git", ".git/objects", ".git/objects/pack", ".git/refs"])
def test_parts_that_are_links_are_refused(part: str, tmp_path: Path) -> None:
    repo = make(tmp_path / "repo")
    commit(repo, TREE)
    pack_up(repo, deltas=False)
    place = tmp_path / "repo" / part
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved", target_is_directory=True)
    assert reasons(read(tmp_path / "repo")) == {"unsafe-repository": 1}
    with pytest.raises(UnsafeRepository):
        resolve_revision(tmp_path / "repo")


def loose_path(folder: Path, sha: bytes | str) -> Path:
    name = sha if isinstance(sha, str) else sha.decode()
    return folder / ".git/objects" / name[:2] / name[2:]


def test_objects_and_refs_that_are_no_regular_files_are_never_waited_for(tmp_path: Path) -> None:
    repo = make(tmp_path / "repo")
    sha = commit(repo, TREE)
    for number, data in enumerate((TREE["README.md"], TREE["src/a.py"], TREE["src/deep.py"])):
        path = loose_path(tmp_path / "repo", objects.Blob.from_string(data).id)
        path.unlink()
        if number == 0:
            os.mkfifo(path)
        elif number == 1:
            path.symlink_to("/etc/passwd")
        else:
            path.mkdir()
    for suffix in (".idx", ".pack"):
        os.mkfifo(tmp_path / f"repo/.git/objects/pack/pack-evil{suffix}")
    os.mkfifo(tmp_path / "repo/.git/packed-refs")
    items = read(tmp_path / "repo", revision=sha)
    assert sorted(contents(items)) == ["src/deep/er/b.py", "src/\u0444.py"]
    assert reasons(items) == {"unsafe-pack": 1, "unreadable-object": 3}
    (tmp_path / "repo/.git/HEAD").unlink()
    os.mkfifo(tmp_path / "repo/.git/HEAD")
    with pytest.raises(RequestError):
        resolve_revision(tmp_path / "repo")


def test_folders_of_objects_and_refs_that_are_links_are_not_followed(tmp_path: Path) -> None:
    repo = make(tmp_path / "repo")
    commit(repo, TREE)
    control = tmp_path / "repo/.git"
    secret = loose_path(tmp_path / "repo", objects.Blob.from_string(TREE["README.md"]).id).parent
    secret.rename(tmp_path / "elsewhere")
    secret.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    items = read(tmp_path / "repo")
    assert "README.md" not in contents(items)
    assert (len(contents(items)), reasons(items)) == (len(TREE) - 1, {"unreadable-object": 1})
    assert f"{secret.name} is a link or no folder" in next(i.excerpt for i in items if isinstance(i, Reject))
    (control / "refs/heads").rename(tmp_path / "heads")
    (control / "refs/heads").symlink_to(tmp_path / "heads", target_is_directory=True)
    with pytest.raises(RequestError, match="has no commit yet"):
        resolve_revision(tmp_path / "repo")


@pytest.mark.parametrize("end", [".pack", ".idx"])
def test_a_pack_that_is_a_link_is_not_followed(end: str, tmp_path: Path) -> None:
    repo = make(tmp_path / "repo")
    sha = commit(repo, TREE)
    pack_up(repo, deltas=False)
    (file,) = (tmp_path / "repo/.git/objects/pack").glob(f"*{end}")
    file.rename(tmp_path / file.name)
    file.symlink_to(tmp_path / file.name)
    (reject,) = read(tmp_path / "repo", revision=sha)
    assert (reject.reason, reject.excerpt) == ("unsafe-pack", f"{file.name} is not a regular file")


def test_a_commit_in_a_broken_pack_is_told_by_the_pack(tmp_path: Path) -> None:
    repo = make(tmp_path)
    commit(repo, TREE)
    pack_up(repo, deltas=False)
    (file,) = (tmp_path / ".git/objects/pack").glob("*.pack")
    file.chmod(0o644)
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-1] + b"\0", b""):
        file.write_bytes(damaged)
        with pytest.raises(DamagedRepository, match=rf"corrupt-pack: {file.stem}: "):
            resolve_revision(tmp_path)
        (reject,) = read(tmp_path)
        assert reject.reason == "corrupt-pack"
        assert reject.excerpt.startswith(file.stem)
    # Nothing is broken in a repository that has not what was asked for.
    file.write_bytes(whole)
    with pytest.raises(RequestError, match="missing-object") as caught:
        resolve_revision(tmp_path, "0" * 40)
    assert not isinstance(caught.value, DamagedRepository)


def test_a_pack_that_cannot_be_opened_is_told_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make(tmp_path)
    lost = tree(repo, {"lost.py": b"lost\n"})
    pack_up(repo, deltas=False)
    (closed,) = (tmp_path / ".git/objects/pack").glob("*.pack")
    commit(repo, {**TREE, "a": (0o040000, lost)})
    pack_up(repo, deltas=False)
    whole = repositories._open_inside

    def refused(folder: Path, name: str) -> Any:
        if name == closed.name:
            raise PermissionError(13, "Permission denied", name)
        return whole(folder, name)

    monkeypatch.setattr(repositories, "_open_inside", refused)
    items = read(tmp_path)
    assert contents(items) == TREE
    assert reasons(items) == {"unreadable-pack": 1, "missing-object": 1}
    assert f"{closed.stem}: Permission denied" in [item.excerpt for item in items if isinstance(item, Reject)]


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_an_object_that_may_not_be_read_leaves_the_others(tmp_path: Path) -> None:
    repo = make(tmp_path)
    commit(repo, TREE)
    loose_path(tmp_path, objects.Blob.from_string(TREE["README.md"]).id).chmod(0)
    assert reasons(read(tmp_path)) == {"unreadable-object": 1}


@pytest.mark.parametrize(
    "name", [b"..", b".", b"", b"a/b.py", b"../../up.py", b"/etc/x", b"..\\x.py", b"x\\..\\..\\y", b"C:x", b"n" * 5000]
)
def test_names_that_would_leave_the_tree_are_rejected(name: bytes, tmp_path: Path) -> None:
    repo = make(tmp_path)
    good, inner = blob(repo, b"good\n"), tree(repo, TREE)
    for entry in ((b"100644", name, good), (b"40000", name, inner)):
        commit(repo, raw_tree(repo, (b"100644", b"a.py", good), entry))
        items = read(tmp_path)
        assert contents(items) == {"a.py": b"good\n"}
        assert reasons(items) == {"unsafe-name": 1}


def test_names_that_are_not_utf8_are_spelled_out_and_doubles_are_told(tmp_path: Path) -> None:
    repo = make(tmp_path)
    one, two = blob(repo, b"1\n"), blob(repo, b"2\n")
    entries = [(b"100644", b"z\xff.py", one), (b"100644", b"a.py", one), (b"100644", b"a.py", two)]
    commit(repo, raw_tree(repo, *entries))
    items = read(tmp_path)
    assert contents(items) == {"a.py": b"2\n", "z\\xff.py": b"1\n"}
    assert reasons(items) == {"duplicate-member": 1}


# Broken repositories


def test_missing_and_broken_objects_leave_the_others(tmp_path: Path) -> None:
    repo = make(tmp_path)
    commit(repo, {**TREE, "more/a.py": b"a\n", "more/b.py": b"b\n"})
    paths = [loose_path(tmp_path, objects.Blob.from_string(data).id) for data in (TREE["README.md"], b"a\n", b"b\n")]
    paths[0].unlink()
    paths[1].chmod(0o644)
    paths[1].write_bytes(b"noise")
    paths[2].chmod(0o644)
    paths[2].write_bytes(zlib.compress(b"blob 2\0c\n"))  # whole, but not what its id says
    items = read(tmp_path)
    assert contents(items) == {path: data for path, data in TREE.items() if path != "README.md"}
    assert [(item.reason, item.where) for item in items if isinstance(item, Reject)] == [
        ("missing-object", "r/README.md"),
        ("corrupt-object", "r/more/a.py"),
        ("corrupt-object", "r/more/b.py"),
    ]
    loose_path(tmp_path, tree(repo, {"a.py": b"a\n", "b.py": b"b\n"})).unlink()
    assert reasons(read(tmp_path)) == {"missing-object": 2}


def test_a_file_where_a_folder_should_be_is_corrupt(tmp_path: Path) -> None:
    repo = make(tmp_path)
    file, folder = blob(repo, b"x\n"), tree(repo, TREE)
    top = raw_tree(repo, (b"100644", b"a.py", file), (b"40000", b"b", file), (b"100644", b"c.py", folder))
    commit(repo, top)
    items = read(tmp_path)
    assert contents(items) == {"a.py": b"x\n"}
    assert reasons(items) == {"corrupt-object": 2}


def test_a_broken_pack_leaves_the_others(tmp_path: Path) -> None:
    repo = make(tmp_path)
    lost = tree(repo, {"lost.py": b"lost\n"})
    pack_up(repo, deltas=False)
    (broken,) = (tmp_path / ".git/objects/pack").glob("*.pack")
    commit(repo, {**TREE, "a": (0o040000, lost)})
    pack_up(repo, deltas=False)
    assert contents(read(tmp_path)) == {**TREE, "a/lost.py": b"lost\n"}
    broken.chmod(0o644)
    whole = broken.read_bytes()
    for damaged in (whole[:20], b"JUNK" + whole[4:], whole[:-1] + b"\0", b""):
        broken.write_bytes(damaged)
        items = read(tmp_path)
        assert contents(items) == TREE
        assert reasons(items) == {"corrupt-pack": 1, "missing-object": 1}
    broken.write_bytes(whole)
    index = broken.with_suffix(".idx")
    index.chmod(0o644)
    index.write_bytes(b"\xfftOc\0\0\0\2" + b"\xff" * 1024)
    assert reasons(read(tmp_path)) == {"corrupt-pack": 1, "missing-object": 1}
    index.unlink()
    assert reasons(read(tmp_path)) == {"missing-object": 1}


def test_of_two_copies_the_whole_one_is_taken(tmp_path: Path) -> None:
    repo = make(tmp_path)
    commit(repo, TREE)
    loose = {path: path.read_bytes() for path in (tmp_path / ".git/objects").glob("??/*")}
    pack_up(repo, deltas=False)
    (data,) = (tmp_path / ".git/objects/pack").glob("*.pack")
    data.chmod(0o644)
    noise = bytearray(data.read_bytes())
    noise[40:-40] = bytes(byte ^ 0x5A for byte in noise[40:-40])
    data.write_bytes(noise)
    assert read(tmp_path) != []
    assert contents(read(tmp_path)) == {}
    for path, whole in loose.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(whole)
    assert contents(read(tmp_path)) == TREE


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_damage_to_a_pack_makes_reading_fail(data: st.DataObject, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    if not folder.exists():
        repo = make(folder)
        text = b"".join(b"line %d\n" % number for number in range(300))
        commit(repo, {**TREE, **{f"f{number}.txt": text + b"%d\n" % number for number in range(5)}})
        pack_up(repo, deltas=True)
    (pack,) = (folder / ".git/objects/pack").glob("*.pack")
    file = data.draw(st.sampled_from([pack, pack.with_suffix(".idx")]))
    whole = file.read_bytes()
    noise = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(noise) - 1))
        noise[at] = data.draw(st.integers(0, 255))
    if data.draw(st.integers(0, 5)) == 0:
        del noise[data.draw(st.integers(0, len(noise) - 1)) :]
    file.chmod(0o644)
    file.write_bytes(noise)
    try:
        items = read(folder)
        assert items == read(folder)
    finally:
        file.write_bytes(whole)
    # What comes out is what the commit names, or nothing.
    good = contents(read(folder))
    assert all(good[path] == found for path, found in contents(items).items())


# Bombs


def entry(kind: int, data: bytes, *, size: int | None = None, base: bytes = b"") -> bytes:
    """A packed object as it lies in a pack; `size` is what its header claims."""
    size = len(data) if size is None else size
    head = bytearray([kind << 4 | size & 15])
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + base + zlib.compress(data)


def write_pack(folder: Path, entries: Iterable[tuple[bytes, bytes]]) -> None:
    """A pack of (id in hex, bytes in the pack), with its index."""
    body, places = b"", []
    made = list(entries)
    for sha, data in made:
        places.append((bytes.fromhex(sha.decode()), 12 + len(body), 0))
        body += data
    body = b"PACK" + struct.pack(">LL", 2, len(made)) + body
    body += hashlib.sha1(body).digest()
    base = folder / ".git/objects/pack/pack-made"
    base.with_suffix(".pack").write_bytes(body)
    with base.with_suffix(".idx").open("wb") as file:
        packs.write_pack_index_v2(file, sorted(places), body[-20:])


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def delta(source: int, result: int, *orders: bytes) -> bytes:
    return varint(source) + varint(result) + b"".join(orders)


def sha_of(data: bytes) -> bytes:
    return objects.Blob.from_string(data).id


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_over_the_limit_is_told_before_it_is_unpacked(packed: bool, tmp_path: Path) -> None:
    repo = make(tmp_path)
    commit(repo, {"a.bin": b"x" * 5000, "b.bin": b"y" * 5001})
    if packed:
        pack_up(repo, deltas=False)
    items = read(tmp_path, member_bytes=5000)
    assert contents(items) == {"a.bin": b"x" * 5000}
    assert [(item.reason, item.where) for item in items if isinstance(item, Reject)] == [("oversize-object", "r/b.bin")]
    assert reasons(read(tmp_path, member_bytes=5001)) == {}
    assert reasons(read(tmp_path, total_bytes=10_001)) == {}
    assert reasons(read(tmp_path, total_bytes=10_000)) == {"oversize-tree": 1}


def test_a_loose_object_that_lies_about_its_size_costs_what_it_claims(tmp_path: Path) -> None:
    repo = make(tmp_path)
    bomb = b"\0" * 3_000_000
    commit(repo, {"bomb.bin": bomb, "e.py": b"good\n"})
    path = loose_path(tmp_path, sha_of(bomb))
    path.chmod(0o644)
    for head in (b"blob 10", b"blob 0", b"blob 99999999999999999999", b"blob -1", b"blob x", b"bomb 3", b""):
        path.write_bytes(zlib.compress(head + b"\0" + bomb))
        items = read(tmp_path, member_bytes=1_000_000)
        assert contents(items) == {"e.py": b"good\n"}
        assert len(reasons(items)) == 1


def test_a_delta_that_grows_or_needs_a_huge_base_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make(tmp_path)
    base, grown = b"\0" * 400_000, b"\0" * 65_536 * 40
    copy = b"\xf0\0\0\1"  # 65,536 bytes from position 0
    small = b"\0" * 10
    files = {"base.bin": base, "grown.bin": grown, "small.bin": small}
    commit(repo, {**{name: (0o100644, sha_of(data)) for name, data in files.items()}, "e.py": b"good\n"})
    many = delta(len(base), len(grown), *[copy] * 40)
    few = delta(len(base), 10, b"\x90\x0a")
    head = entry(3, base)
    more = entry(6, many, base=offset(len(head)))
    less = entry(6, few, base=offset(len(head) + len(more)))
    write_pack(tmp_path, [(sha_of(base), head), (sha_of(grown), more), (sha_of(small), less)])
    assert contents(read(tmp_path)) == {**files, "e.py": b"good\n"}
    assert reasons(read(tmp_path, member_bytes=1_000_000)) == {"oversize-object": 1}
    assert contents(read(tmp_path, member_bytes=1000, object_bytes=400_000)) == {
        "e.py": b"good\n",
        "small.bin": small,
    }
    # With less room than its base needs, the small one is not read either.
    unpacked = []
    inner = packs.PackData.get_object_at
    monkeypatch.setattr(
        packs.PackData, "get_object_at", lambda self, offset: unpacked.append(offset) or inner(self, offset)
    )
    assert contents(read(tmp_path, member_bytes=1000, object_bytes=399_999)) == {"e.py": b"good\n"}
    assert unpacked == []


def offset(distance: int) -> bytes:
    out = [distance & 0x7F]
    while distance := distance >> 7:
        distance -= 1
        out.append(0x80 | distance & 0x7F)
    return bytes(reversed(out))


def test_chains_of_deltas_that_never_end_are_refused(tmp_path: Path) -> None:
    repo = make(tmp_path)
    one, two, three = (sha_of(b"%d" % number) for number in range(3))
    commit(repo, {name: (0o100644, sha) for name, sha in (("1", one), ("2", two), ("3", three))} | {"e.py": b"good\n"})
    empty = delta(5, 5, b"\x90\x05")
    write_pack(
        tmp_path,
        [
            (one, entry(7, empty, base=bytes.fromhex(two.decode()))),
            (two, entry(7, empty, base=bytes.fromhex(one.decode()))),
            (three, entry(7, empty, base=bytes.fromhex(three.decode()))),
        ],
    )
    items = read(tmp_path)
    assert contents(items) == {"e.py": b"good\n"}
    assert reasons(items) == {"corrupt-object": 3}


def test_a_tree_that_unfolds_without_end_is_left_in_time(tmp_path: Path) -> None:
    repo = make(tmp_path)
    level = tree(repo, {f"{number}.py": b"x\n" for number in range(10)})
    for _ in range(12):
        level = raw_tree(repo, *((b"40000", b"d%d" % number, level) for number in range(10)))
    commit(repo, level)
    items = read(tmp_path, members=500)
    assert reasons(items) == {"too-many-members": 1}
    assert 0 < len(contents(items)) < 500
    assert isinstance(items[-1], Reject)


def test_a_tree_without_a_bottom_stops_at_the_longest_name(tmp_path: Path) -> None:
    repo = make(tmp_path)
    level = tree(repo, {"x.py": b"x\n"})
    for _ in range(2100):
        level = raw_tree(repo, (b"40000", b"d", level))
    commit(repo, raw_tree(repo, (b"100644", b"a.py", blob(repo, b"x\n")), (b"40000", b"d", level)))
    items = read(tmp_path)
    assert contents(items) == {"a.py": b"x\n"}
    assert reasons(items) == {"unsafe-name": 1}


# A real one


def test_this_projects_own_repository_is_read_as_git_reads_it() -> None:
    root = Path(__file__).parents[3]
    if not (root / ".git").is_dir():
        pytest.skip("this is no git checkout")
    done = subprocess.run(["git", "ls-tree", "-r", "-z", "HEAD"], cwd=root, capture_output=True, check=False)
    sha = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode or sha.returncode:
        pytest.skip("git does not read this checkout")
    listed = {}
    for line in done.stdout.decode().rstrip("\0").split("\0"):
        mode, kind, rest = line.split(" ", 2)
        if kind == "blob" and stat.S_ISREG(int(mode, 8)):
            listed[rest.partition("\t")[2]] = rest.partition("\t")[0]
    if not listed:
        pytest.skip("the checkout has no commit")
    items = read(root, revision=sha.stdout.strip())
    assert {path: sha_of(data).decode() for path, data in contents(items).items()} == listed
    assert resolve_revision(root) == sha.stdout.strip()
    assert repositories.LFS not in contents(items)["README.md"]
    assert SHA1.hex_length == len(sha.stdout.strip())
