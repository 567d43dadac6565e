"""The store: what is in it is whole, what is damaged is set aside, what was not finished is gone."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pretrial.errors import RequestError
from pretrial.store import artefacts
from pretrial.store.artefacts import MANIFEST, Artefact, DamagedError, FileHashes, Store, payload_of, write_atomically
from pretrial.store.identity import hash_file

Make = Callable[..., Artefact]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> Store:
    made = Store(tmp_path / "store", said.append)
    made.prepare()
    return made


@pytest.fixture
def make(store: Store) -> Make:
    def make(key: str = "k1", text: str = "hello", facts: dict[str, Any] | None = None) -> Artefact:
        folder = store.scratch(key)
        (folder / "deep").mkdir()
        (folder / "deep" / "a.txt").write_text(text)
        (folder / "b.txt").write_text("b")
        payload = payload_of("demo", 1, {"x": 1}, {})
        return store.commit("demo", key, payload, facts or {"n": 1}, folder, {"seconds": 1.0})

    return make


def test_what_was_committed_is_found_with_its_files_and_facts(store: Store, make: Make) -> None:
    made = make()
    found = store.find("demo", "k1")
    assert found == made
    assert found.file("deep/a.txt").read_text() == "hello"
    assert found.bytes == 6
    with pytest.raises(KeyError):
        found.file("c.txt")
    assert store.find("demo", "k2") is None
    assert list(store.all()) == [found]
    assert not list((store.root / "tmp").iterdir())


def test_a_manifest_keeps_the_recipe_the_hashes_and_the_cost(make: Make) -> None:
    manifest = json.loads((make().path / MANIFEST).read_text())
    assert manifest["payload"] == {"kind": "demo", "version": 1, "config": {"x": 1}, "inputs": {}}
    assert manifest["files"]["b.txt"]["sha256"] == hash_file(make("k2").path / "b.txt")
    assert manifest["cost"] == {"seconds": 1.0}
    assert set(manifest) == {"kind", "key", "payload", "files", "facts", "content", "cost", "made"}


def test_content_follows_from_files_and_facts_and_from_nothing_else(make: Make) -> None:
    same, other_text, other_facts = make("k2"), make("k3", text="hellp"), make("k4", facts={"n": 2})
    assert make("k1").content == same.content
    assert len({same.content, other_text.content, other_facts.content}) == 3


def test_facts_are_what_is_read_back(make: Make, store: Store) -> None:
    make("k1", facts={"pair": (1, 2)})
    found = store.find("demo", "k1")
    assert found is not None
    assert found.facts == {"pair": [1, 2]}


def test_intact_files_pass_and_are_hashed_once(store: Store, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make()
    fresh = Store(store.root)
    found = fresh.find("demo", "k1")
    assert found is not None
    hashed: list[Path] = []
    monkeypatch.setattr(artefacts, "hash_file", lambda path: hashed.append(path) or hash_file(path))
    fresh.verify(found)
    fresh.verify(found)
    assert len(hashed) == 2


def damage(path: Path, how: str) -> None:
    """Spoil a file without leaving a trace in its time."""
    stat = path.stat()
    if how == "gone":
        path.unlink()
        return
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
    else:
        data += b"x"
    path.write_bytes(bytes(data))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_flipped_bit_is_found_by_the_hash_and_set_aside(store: Store, make: Make) -> None:
    make()
    damage(store.root / "artefacts/demo/k1/deep/a.txt", "flipped")
    fresh = Store(store.root)
    found = fresh.find("demo", "k1")
    assert found is not None, "its size and time are those that were written"
    with pytest.raises(DamagedError, match=r"demo k1: deep/a\.txt is not what was written"):
        fresh.verify(found)
    assert fresh.find("demo", "k1") is None
    (aside,) = (store.root / "quarantine").iterdir()
    assert (aside / "deep/a.txt").read_text() != "hello"


@pytest.mark.parametrize("how", ["longer", "gone"])
@pytest.mark.parametrize("name", ["b.txt", MANIFEST])
def test_a_wrong_size_is_found_without_hashing_and_said(
    store: Store, make: Make, said: list[str], how: str, name: str
) -> None:
    make()
    damage(store.root / "artefacts/demo/k1" / name, how)
    assert store.find("demo", "k1") is None
    assert said == [f"demo k1: {name} is not what was written; it was set aside and is made again when it is needed"]
    assert len(list((store.root / "quarantine").iterdir())) == 1
    assert make().file("b.txt").read_text() == "b", "it can be made again"


def test_a_file_that_vanishes_between_find_and_verify_is_damage(store: Store, make: Make) -> None:
    made = make()
    damage(made.path / "b.txt", "gone")
    with pytest.raises(DamagedError, match=r"b\.txt"):
        store.verify(made)


def test_another_time_with_the_same_bytes_is_no_damage(store: Store, make: Make, said: list[str]) -> None:
    os.utime(make().path / "b.txt")
    assert store.find("demo", "k1") is not None
    (store.root / "artefacts/demo/k1/b.txt").write_text("c")
    assert store.find("demo", "k1") is None
    assert len(said) == 1


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a manifest; whoever damages one leaves no trace elsewhere."""
    manifest = json.loads(path.read_text())
    changed = change(manifest)
    path.write_text(json.dumps(manifest if changed is None else changed))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["facts"].update(n=2),
        lambda m: m["facts"].update(more=float("nan")),
        lambda m: m["files"]["b.txt"].update(sha256="0" * 64),
        lambda m: m.update(content="0" * 32),
        lambda m: m.update(files=list(m["files"])),
        lambda m: m.update(files=dict.fromkeys(m["files"], 1)),
        lambda m: m.update(facts=None),
        lambda m: m.pop("facts"),
        lambda m: [m],
    ],
    ids=["facts", "nan", "hash", "content", "file list", "file numbers", "no map", "no facts", "a list"],
)
def test_a_manifest_that_does_not_fit_its_content_is_damage(
    store: Store, make: Make, said: list[str], change: Callable[[dict[str, Any]], Any]
) -> None:
    make()
    rewrite(store.root / "artefacts/demo/k1" / MANIFEST, change)
    assert store.find("demo", "k1") is None
    assert said == [
        f"demo k1: {MANIFEST} is not what was written; it was set aside and is made again when it is needed"
    ]
    assert list(store.all()) == []


def test_facts_that_were_changed_in_hand_are_damage(make: Make, store: Store) -> None:
    made = make()
    made.facts["n"] = 2
    store._verified.clear()
    with pytest.raises(DamagedError, match=MANIFEST):
        store.verify(made)


def test_what_was_made_again_since_it_was_judged_stays(
    store: Store, make: Make, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone else sets the damage aside and makes it anew, between our look and our hand on it."""
    damage(make().path / "b.txt", "gone")
    whole = Store._set_aside

    def late(self: Store, kind: str, key: str, judged: bytes | None) -> str | None:
        monkeypatch.setattr(Store, "_set_aside", whole)
        other = Store(store.root)
        with other.lock("k1", "another"):
            assert other.find("demo", "k1") is None
            folder = other.scratch("k1")
            (folder / "b.txt").write_text("new")
            other.commit("demo", "k1", payload_of("demo", 1, {"x": 1}, {}), {"n": 1}, folder, {"seconds": 9.0})
        return whole(self, kind, key, judged)

    monkeypatch.setattr(Store, "_set_aside", late)
    found = store.find("demo", "k1")
    assert found is not None
    assert found.file("b.txt").read_text() == "new"
    assert said == []
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_what_was_made_again_since_it_was_read_stays(store: Store, make: Make) -> None:
    seen = make()
    shutil.rmtree(seen.path)
    again = make(text="other")
    store._verified.clear()
    with pytest.raises(DamagedError):
        store.verify(seen)
    assert store.find("demo", "k1") == again
    assert not list((store.root / "quarantine").iterdir())


def test_damage_that_another_process_is_mending_is_left_to_it(store: Store, make: Make, said: list[str]) -> None:
    damage(make().path / "b.txt", "gone")
    command = [sys.executable, "-c", LIVE, str(store.root)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert store.find("demo", "k1") is None
    process.communicate("done\n")
    assert said == ["demo k1: b.txt is not what was written; it is being made again"]
    assert not list((store.root / "quarantine").iterdir())
    assert store.find("demo", "k1") is None
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_who_makes_an_artefact_sets_its_damage_aside_without_waiting_for_itself(store: Store, make: Make) -> None:
    damage(make().path / "b.txt", "gone")
    with store.lock("k1", "demo"):
        assert store.find("demo", "k1") is None
    assert len(list((store.root / "quarantine").iterdir())) == 1


def close(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Refuse every write as a disk does; whoever runs the tests may be allowed to write everywhere."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(artefacts, "write_atomically", refuse)
    monkeypatch.setattr(artefacts, "locked", refuse)
    monkeypatch.setattr(Path, "rename", refuse)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_store_that_can_only_be_read_can_be_looked_at(
    store: Store, make: Make, said: list[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    make("k1")
    damage(make("k2").path / "b.txt", "gone")
    os.utime(make("k3").path / "b.txt")
    close(monkeypatch, number)
    assert [artefact.key for artefact in store.all()] == ["k1", "k3"]
    assert said == [f"demo k2: b.txt is not what was written; it cannot be set aside: {os.strerror(number)}"]
    store.hashes.save()


def test_another_defect_of_the_disk_is_no_secret(store: Store, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(make().path / "b.txt", "gone")
    close(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        store.find("demo", "k1")


def test_two_that_meet_one_damage_do_not_trip_over_each_other(store: Store, make: Make) -> None:
    made = make()
    other = Store(store.root)
    seen = other.find("demo", "k1")
    assert seen is not None
    damage(made.path / "b.txt", "gone")
    with pytest.raises(DamagedError):
        store.verify(made)
    with pytest.raises(DamagedError):
        other.verify(seen)


CRASH = """
import os, signal, sys
from pathlib import Path
from pretrial.store import artefacts
store = artefacts.Store(Path(sys.argv[1]))
def stop(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "manifest":
    artefacts.write_atomically = stop
elif sys.argv[2] == "rename":
    Path.rename = stop
with store.lock("k9", "demo"):
    folder = store.scratch("k9")
    (folder / "a.txt").write_text("half")
    if sys.argv[2] == "write":
        stop()
    store.commit("demo", "k9", {}, {}, folder, {})
"""


@pytest.mark.parametrize("moment", ["write", "manifest", "rename"])
def test_a_kill_before_the_rename_leaves_nothing(store: Store, moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, str(store.root), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert store.find("demo", "k9") is None
    assert len(list((store.root / "tmp").iterdir())) == 1
    store.clean()
    assert not list((store.root / "tmp").iterdir())


LIVE = """
import sys
from pathlib import Path
from pretrial.store.artefacts import Store
store = Store(Path(sys.argv[1]))
with store.lock("k1", "demo"):
    store.scratch("k1")
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_cleaning_spares_what_a_live_process_is_writing(store: Store) -> None:
    command = [sys.executable, "-c", LIVE, str(store.root)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    store.scratch("k2")
    store.clean()
    assert [path.name.split(".")[0] for path in (store.root / "tmp").iterdir()] == ["k1"]
    process.kill()
    process.communicate()
    store.clean()
    assert not list((store.root / "tmp").iterdir())


def test_the_work_folder_lives_until_the_artefact_does(store: Store, make: Make) -> None:
    (store.work("k1") / "resume").write_text("half way")
    assert (store.work("k1") / "resume").read_text() == "half way"
    make("k1")
    assert not (store.root / "work/k1").exists()


def test_work_on_what_was_finished_since_is_cleaned_away(store: Store, make: Make) -> None:
    make("k1")
    for key in ("k1", "k2"):
        (store.work(key) / "resume").write_text("half way")
    store.clean()
    assert [path.name for path in (store.root / "work").iterdir()] == ["k2"], "a kill came just after the rename"


def test_requests_are_remembered(store: Store) -> None:
    assert store.resolve("r") is None
    store.remember("r", "k1")
    store.remember("r", "k2")
    assert store.resolve("r") == "k2"


@pytest.mark.parametrize("layout", ['{"layout": 2}', "{broken", "[]"])
def test_a_store_of_another_layout_is_refused(store: Store, layout: str) -> None:
    (store.root / "layout.json").write_text(layout)
    with pytest.raises(RequestError, match="layout"):
        Store(store.root).prepare()


def test_preparing_twice_changes_nothing(store: Store) -> None:
    before = (store.root / "layout.json").stat().st_mtime_ns
    store.prepare()
    assert (store.root / "layout.json").stat().st_mtime_ns == before


def test_a_store_that_cannot_be_made_is_a_wrong_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "store", Path("/proc/pretrial")):
        with pytest.raises(RequestError, match="cannot be used") as caught:
            Store(root).prepare()
        assert "--store" in str(caught.value)


def test_a_store_that_is_read_only_is_a_wrong_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever runs the tests may be allowed to write everywhere, so the answer is given here.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "tmp")
    with pytest.raises(RequestError, match="read-only"):
        store.prepare()


def test_a_copied_store_is_as_good(store: Store, make: Make, tmp_path: Path) -> None:
    make()
    shutil.copytree(store.root, tmp_path / "copy", copy_function=shutil.copyfile)
    copy = Store(tmp_path / "copy")
    found = copy.find("demo", "k1")
    assert found is not None
    copy.verify(found)


def test_a_copy_without_times_is_hashed_once_and_that_is_remembered(
    store: Store, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    shutil.copytree(store.root, tmp_path / "copy", copy_function=shutil.copyfile)
    hashed: list[Path] = []
    monkeypatch.setattr(artefacts, "hash_file", lambda path: hashed.append(path) or hash_file(path))
    for expected in (2, 0):
        copy = Store(tmp_path / "copy")
        assert copy.find("demo", "k1") is not None
        assert copy.find("demo", "k1") is not None
        copy.hashes.save()
        assert len(hashed) == expected
        hashed.clear()
    (tmp_path / "copy/artefacts/demo/k1/b.txt").write_text("c")
    assert Store(tmp_path / "copy").find("demo", "k1") is None, "what changed since is hashed again"


def test_what_two_processes_learn_of_files_is_kept(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    one, other = (FileHashes(tmp_path / "memory") for _ in range(2))
    one.hash(tmp_path / "a")
    other.hash(tmp_path / "b")
    one.save()
    other.save()
    again = FileHashes(tmp_path / "memory")
    assert again.known(tmp_path / "a")
    assert again.known(tmp_path / "b")


def test_hashes_make_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    hashes = FileHashes(tmp_path / "none" / "memory")
    hashes.hash(tmp_path / "a")
    hashes.save()
    assert not (tmp_path / "none").exists()


# -- what is read outside -------------------------------------------------------------------------------------------


def reading(store: Store, text: str, state: str = "1.0") -> Artefact:
    """What a step that reads the outer world leaves: the same recipe, whatever it found."""
    with store.lock("place", "demo"):
        folder = store.scratch("place")
        (folder / "text").write_text(text)
        (store.work("place") / "seconds").write_text("1")
        payload = {**payload_of("demo", 1, {}, {}), "state": state}
        return store.commit("demo", "place", payload, {}, folder, {"seconds": 1.0}, outside=True)


def test_a_later_reading_never_replaces_one_that_others_keep(store: Store) -> None:
    first, second = reading(store, "old"), reading(store, "new")
    assert first.key != second.key
    assert first.file("text").read_text() == "old"
    assert store.find("demo", second.key) == second
    assert not list((store.root / "quarantine").iterdir())
    assert not list((store.root / "work").iterdir())


def test_the_same_reading_again_keeps_the_first(store: Store) -> None:
    first = reading(store, "old")
    before = first.file("text").stat().st_ino
    again = reading(store, "old")
    assert again == first
    assert again.file("text").stat().st_ino == before
    for folder in ("quarantine", "tmp", "work"):
        assert not list((store.root / folder).iterdir()), folder
    assert reading(store, "old", state="2.0").key != first.key, "and what it was read of is part of it"


def test_a_lost_reading_is_written_again(store: Store) -> None:
    first = reading(store, "old")
    damage(first.file("text"), "longer")
    again = reading(store, "old")
    assert again.key == first.key
    assert again.file("text").read_text() == "old"


def test_outside_files_are_hashed_again_only_when_they_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, memory = tmp_path / "corpus", tmp_path / "fingerprints.json"
    path.write_text("one")
    hashes = FileHashes(memory)
    first = hashes.hash(path)
    hashes.save()
    calls: list[Path] = []
    monkeypatch.setattr(artefacts, "hash_file", lambda path: calls.append(path) or hash_file(path))
    again = FileHashes(memory)
    assert again.known(path) == again.hash(path) == first
    assert calls == []
    path.write_text("two!")
    assert again.known(path) is None
    assert again.hash(path) != first
    assert calls == [path]


def _edited(path: Path) -> None:
    path.write_text("two")


def _replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("two")
    other.replace(path)


@pytest.mark.parametrize("change", [_edited, _replaced])
def test_an_edit_that_keeps_size_and_modification_time_is_seen(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path, memory = tmp_path / "corpus", tmp_path / "fingerprints.json"
    path.write_text("one")
    before = path.stat()
    hashes = FileHashes(memory)
    hashes.hash(path)
    hashes.save()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # The clock of a file system may be coarse.
        change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert FileHashes(memory).hash(path) == hash_file(path)


def test_a_touched_or_copied_file_has_the_same_hash_and_an_older_memory_is_not_believed(tmp_path: Path) -> None:
    path, memory = tmp_path / "corpus", tmp_path / "fingerprints.json"
    path.write_text("one")
    hashes = FileHashes(memory)
    first = hashes.hash(path)
    hashes.save()
    path.touch()
    assert FileHashes(memory).hash(path) == first
    shutil.copy2(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)
    again = FileHashes(memory)
    assert again.known(path) is None
    assert again.hash(path) == first
    stat = path.stat()
    memory.write_text(json.dumps({str(path.resolve()): [stat.st_size, stat.st_mtime_ns, "0" * 64]}))
    assert FileHashes(memory).hash(path) == first


def test_a_broken_memory_of_hashes_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("one")
    (tmp_path / "memory").write_text("{half")
    assert FileHashes(tmp_path / "memory").hash(tmp_path / "x") == hash_file(tmp_path / "x")


def test_an_atomic_write_leaves_the_old_text_or_the_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "x.json"
    write_atomically(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_a_file_that_can_no_longer_be_read_is_met_though_its_hash_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text("a")
    hashes = FileHashes(tmp_path / "memory")
    hashes.hash(tmp_path / "text")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError) as caught:
        hashes.hash(tmp_path / "text")
    assert caught.value.filename == str(tmp_path / "text")
