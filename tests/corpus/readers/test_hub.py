"""Hugging Face datasets: a real client against a hub on loopback, folders in the hub's layout, and every refusal."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus import spec
from pretrial.corpus.readers import hub_layout
from pretrial.corpus.readers.catalogue import DEFINITIONS, definition
from pretrial.corpus.readers.hub import Dataset, HubFile, fetch, read_hub_file, resolve_dataset
from pretrial.corpus.readers.record import Record, Reject
from pretrial.errors import RequestError, RunError
from pretrial.store.artefacts import FileHashes
from pretrial.study.schema import Read, Source

huggingface_hub = pytest.importorskip("huggingface_hub")

ID = "org/set"
COMMIT, OLD = "a" * 40, "b" * 40


def parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, **options)
    return out.getvalue()


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def header(*configs: str, license: str = "odc-by") -> bytes:
    return f"---\nlicense: {license}\nconfigs:\n{''.join(configs)}language:\n- en\n---\n# A card\n".encode()


def config(name: str, **splits: str) -> str:
    files = "".join(f"  - split: {split}\n    path: {path}\n" for split, path in splits.items())
    return f"- config_name: {name}\n  data_files:\n{files}"


FILES = {
    "README.md": header(config("default", train="data/*/*", test="test/*"), config("small", train="small/*")),
    "data/one/000.parquet": parquet(
        [
            {"text": "first", "id": "a", "meta": {"set": "web", "n": 1}, "other": "x"},
            {"text": "second", "id": "b", "meta": {"set": "code", "n": 2}, "other": "y"},
            {"text": "  ", "id": "c", "meta": {"set": "web", "n": 3}, "other": "z"},
        ]
    ),
    "data/two/000.jsonl.zst": zstandard.compress(lines([{"text": "third", "id": 7, "meta": {"set": "web"}}])),
    "small/x.jsonl.gz": gzip.compress(lines([{"text": "little"}]), mtime=0),
    "test/t.jsonl": lines([{"text": "held out"}]),
}


# A hub on loopback


@dataclass
class Hub:
    """What the server serves, and what it was asked. Files of 100 bytes or more are kept as LFS keeps them."""

    url: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=lambda: {COMMIT: dict(FILES), OLD: {}})
    refs: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    gated: bool = False
    allowed: str = ""
    status: int = 0
    failing: str = ""
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    page: int = 1000
    asked: list[str] = field(default_factory=list)
    sent: int = 0
    agents: set[str] = field(default_factory=set)


class Handler(BaseHTTPRequestHandler):
    """The endpoints that the client uses, with the hub's headers."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, url = self.hub, urlsplit(self.path)
        hub.asked.append(self.path)
        hub.agents.add(self.headers.get("user-agent", ""))
        if hub.status and hub.failing in self.path:
            return self.answer(hub.status, hub.body, hub.headers)
        parts = unquote(url.path)
        if match := re.fullmatch(rf"/api/datasets/{ID}(?:/(revision|auth-check|tree)(?:/(.*))?)?", parts):
            what, rest = match[1], match[2] or ""
            if what == "auth-check":
                return self.answer(200, b"{}") if self.allowed() else self.refuse()
            if what == "tree":
                return self.tree(rest, parse_qs(url.query))
            commit = self.commit(rest or "main")
            if commit is None:
                return self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return self.json({"id": ID, "sha": commit, "gated": "auto" if hub.gated else False, "disabled": False})
        if match := re.fullmatch(rf"/datasets/{ID}/resolve/([^/]+)/(.*)", parts):
            return self.file(match[1], match[2])
        return self.answer(401, b"", {"X-Error-Code": "RepoNotFound"})

    def allowed(self) -> bool:
        return not self.hub.gated or (
            bool(self.hub.allowed) and self.headers.get("authorization") == f"Bearer {self.hub.allowed}"
        )

    def refuse(self) -> None:
        code = 403 if self.headers.get("authorization") else 401
        self.answer(code, b"", {"X-Error-Code": "GatedRepo"})

    def commit(self, revision: str) -> str | None:
        return revision if revision in self.hub.files else self.hub.refs.get(revision)

    def tree(self, rest: str, query: dict[str, list[str]]) -> None:
        revision, _, folder = rest.partition("/")
        files = self.hub.files[revision]
        prefix = folder + "/" if folder else ""
        deep = query.get("recursive") == ["true"]
        entries: dict[str, dict[str, Any]] = {}
        for name, data in sorted(files.items()):
            if not name.startswith(prefix):
                continue
            below = name[len(prefix) :].split("/")
            for depth in range(1, len(below)):
                if deep or depth == 1:
                    path = prefix + "/".join(below[:depth])
                    entries[path] = {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
            if deep or len(below) == 1:
                entries[name] = entry(name, data)
        if not entries:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        start = int(query.get("cursor", ["0"])[0])
        rows = list(entries.values())[start : start + self.hub.page]
        headers = {}
        if start + self.hub.page < len(entries):
            again = (
                f"{self.hub.url}{urlsplit(self.path).path}?recursive={str(deep).lower()}&cursor={start + self.hub.page}"
            )
            headers["Link"] = f'<{again}>; rel="next"'
        return self.json(rows, headers)

    def file(self, revision: str, name: str) -> None:
        if not self.allowed():
            return self.refuse()
        data = self.hub.files[revision].get(name)
        if data is None:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": revision})
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": revision, "Accept-Ranges": "bytes"}
        data = self.hub.lies.get(name, data)
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", "")):
            start, end = int(asked[1]), int(asked[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{min(end, len(data) - 1)}/{len(data)}"
            return self.answer(206, data[start : end + 1], headers)
        return self.answer(200, data, headers)

    def json(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.hub.sent += len(body)
            self.wfile.write(body)


def entry(name: str, data: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    found = {"type": "file", "path": name, "oid": blob, "size": len(data)}
    if len(data) >= 100:
        found["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return found


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    found = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": found}))
    found.url = f"http://127.0.0.1:{server.server_port}"
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", found.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    # The client waits before it asks again; nobody is there to be spared.
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def everything(dataset: Dataset, work: Path, **options: Any) -> list[Any]:
    options = {"text": "text", "name_field": "id", **options}
    return [
        item for file in dataset.files for item in read_hub_file(dataset.id, dataset.revision, file, work, **options)
    ]


def test_a_branch_is_pinned_and_its_config_read(hub: Hub, tmp_path: Path) -> None:
    dataset = resolve_dataset(ID, where="study.yaml:3")
    assert (dataset.id, dataset.revision, dataset.license) == (ID, COMMIT, "odc-by")
    assert dataset.notes == (f"{ID}: main is commit {COMMIT} now; to pin it say revision: {COMMIT}",)
    assert [file.name for file in dataset.files] == ["data/one/000.parquet", "data/two/000.jsonl.zst"]
    first, second = dataset.files
    assert first.digest == f"sha256:{hashlib.sha256(FILES[first.name]).hexdigest()}"
    assert second.digest == f"git:{entry('', FILES[second.name])['oid']}"
    assert (first.kind, second.kind) == ("parquet", "jsonl")
    assert dataset.fingerprint() == [[file.name, file.digest] for file in dataset.files]
    again = resolve_dataset(ID, revision=COMMIT)
    assert (again.files, again.revision, again.notes) == (dataset.files, COMMIT, ())
    items = everything(dataset, tmp_path / "work", fields={"subset": "meta.set"}, constants={"kind": "page"})
    assert [(item.id, item.text, item.fields) for item in items if isinstance(item, Record)] == [
        ("a", "first", {"subset": "web", "kind": "page"}),
        ("b", "second", {"subset": "code", "kind": "page"}),
        ("7", "third", {"subset": "web", "kind": "page"}),
    ]
    assert [(item.reason, item.where) for item in items if isinstance(item, Reject)] == [
        ("empty-text", "data/one/000.parquet:3")
    ]
    assert [path for path in (tmp_path / "work").rglob("*.*") if ".cache" not in path.parts] == []


def test_without_a_list_of_fields_all_columns_stay(hub: Hub, tmp_path: Path) -> None:
    first = next(iter(everything(resolve_dataset(ID), tmp_path)))
    assert first.fields == {"meta": {"set": "web", "n": 1}, "other": "x"}


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"config": "small"}, ["little"]),
        ({"split": "test"}, ["held out"]),
        ({"patterns": ["**/*.jsonl.zst"]}, ["third"]),
        ({"patterns": ["t*/*", "small/*"]}, ["little", "held out"]),
        ({"data_dir": "small"}, ["little"]),
        ({"config": "default", "data_dir": "data/two"}, ["third"]),
    ],
)
def test_configs_splits_folders_and_patterns_choose_files(
    hub: Hub, tmp_path: Path, options: dict[str, Any], texts: list[str]
) -> None:
    found = everything(resolve_dataset(ID, **options), tmp_path)
    assert [item.text for item in found if isinstance(item, Record)] == texts


def test_only_the_folders_of_a_pattern_are_listed_and_pages_are_followed(hub: Hub) -> None:
    hub.page = 2
    hub.files[COMMIT] |= {f"big/part-{n}.jsonl": b"{}" for n in range(7)}
    dataset = resolve_dataset(ID, patterns=["big/*.jsonl"])
    assert len(dataset.files) == 7
    listed = [path for path in hub.asked if "/tree/" in path]
    assert len(listed) == 4
    assert all("/big" in unquote(path) for path in listed)


def test_streaming_fetches_the_columns_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    noise = random.Random(0)
    rows = [{"text": f"text {n}", "n": n, "ballast": noise.randbytes(1000)} for n in range(2000)]
    data = parquet(rows, row_group_size=500)
    hub.files[COMMIT] = {"train/0.parquet": data}
    dataset = resolve_dataset(ID, revision=COMMIT)
    before = hub.sent
    items = everything(dataset, tmp_path / "none", fields={"number": "n"}, name_field=None, stream=True)
    assert hub.sent - before < len(data) / 10
    assert not (tmp_path / "none").exists()
    assert items == everything(dataset, tmp_path, fields={"number": "n"}, name_field=None)
    assert [(item.text, item.fields) for item in items[1998:]] == [
        ("text 1998", {"number": 1998}),
        ("text 1999", {"number": 1999}),
    ]


def test_a_stream_of_another_size_than_planned_fails(hub: Hub, tmp_path: Path) -> None:
    file = resolve_dataset(ID, revision=COMMIT).files[0]
    other = HubFile(file.name, file.size + 1, file.digest)
    with pytest.raises(RunError, match="planned were"):
        list(read_hub_file(ID, COMMIT, other, tmp_path, text="text", stream=True))


@pytest.mark.parametrize("name", ["data/one/000.parquet", "test/t.jsonl"])
def test_other_bytes_than_the_hub_promised_are_deleted(hub: Hub, tmp_path: Path, name: str) -> None:
    (file,) = resolve_dataset(ID, patterns=[name]).files
    hub.lies[name] = FILES[name][:-1] + b"?"
    with pytest.raises(RunError, match="other bytes"):
        fetch(ID, COMMIT, file, tmp_path)
    assert not (tmp_path / name).exists()
    hub.lies.clear()
    assert fetch(ID, COMMIT, file, tmp_path).read_bytes() == FILES[name]


def test_telemetry_is_off_and_the_registry_of_programs_is_not_asked(hub: Hub, tmp_path: Path) -> None:
    everything(resolve_dataset(ID), tmp_path)
    assert all(path.startswith((f"/api/datasets/{ID}", f"/datasets/{ID}/resolve/")) for path in hub.asked)
    assert all("torch" not in agent and "agent/" not in agent for agent in hub.agents)
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == os.environ["DO_NOT_TRACK"] == "1"


def test_gated_says_where_to_accept_and_how_to_log_in(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated, hub.allowed = True, "hf_good"
    with pytest.raises(RequestError, match="gated: its terms must be accepted, and no token is set") as refused:
        resolve_dataset(ID, where="study.yaml:3")
    assert refused.value.where == "study.yaml:3"
    for needed in (f"{hub.url}/datasets/{ID}", "hf auth login", "HF_TOKEN", "local copy"):
        assert needed in str(refused.value.remedy)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(RequestError, match="the account of the token has no access"):
        resolve_dataset(ID)
    monkeypatch.setenv("HF_TOKEN", "hf_good")
    dataset = resolve_dataset(ID, config="small")
    assert [item.text for item in everything(dataset, tmp_path)] == ["little"]
    hub.allowed = ""
    with pytest.raises(RequestError, match="gated"):
        everything(dataset, tmp_path / "again")


REFUSALS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "no such dataset": ("org/sett", {}, "no dataset org/sett", "Check the name"),
    "no id at all": ("set", {}, "not the id", "org/name"),
    "an id that climbs": ("../org/set", {}, "not the id", "org/name"),
    "no such revision": (ID, {"revision": "v9"}, "no revision 'v9'", "/commits/main"),
    "no such config": (ID, {"config": "smal"}, "no config 'smal'", "Did you mean small?"),
    "no such split": (ID, {"split": "validation"}, "no split 'validation'", "It has: train, test."),
    "no such folder": (ID, {"data_dir": "data/on"}, "no folder data/on", "Did you mean data/one?"),
    "no such file": (ID, {"patterns": ["data/ones/*.parquet"]}, "no file matches", "Did you mean data/one?"),
    "patterns and a config": (ID, {"patterns": ["*"], "config": "small"}, "so do config", "Keep one"),
    "an empty commit": (ID, {"revision": OLD}, "no Parquet file", "can be read"),
}


@pytest.mark.parametrize(("id", "options", "what", "remedy"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_cannot_be_had_says_what_to_do(hub: Hub, id: str, options: dict[str, Any], what: str, remedy: str) -> None:
    with pytest.raises(RequestError, match=re.escape(what)) as refused:
        resolve_dataset(id, where="study.yaml:3", **options)
    assert remedy in str(refused.value.remedy)
    assert refused.value.where == "study.yaml:3"


def test_a_dataset_of_other_formats_points_to_the_hubs_own_conversion(hub: Hub) -> None:
    hub.files[COMMIT] = {"set.py": b"x = 1", "data/train.csv": b"a,b"}
    with pytest.raises(RequestError, match="no Parquet file") as refused:
        resolve_dataset(ID)
    assert "There are only .csv, .py." in str(refused.value.remedy)
    assert "refs/convert/parquet" in str(refused.value.remedy)
    hub.refs["refs/convert/parquet"] = OLD
    hub.files[OLD] = {"default/train/0000.parquet": FILES["data/one/000.parquet"]}
    dataset = resolve_dataset(ID, revision="refs/convert/parquet")
    assert dataset.revision == OLD
    assert [file.name for file in dataset.files] == ["default/train/0000.parquet"]


def test_offline_nothing_is_asked_and_a_local_copy_is_named(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hf" / "hub" / "datasets--org--set").mkdir(parents=True)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
        with pytest.raises(RequestError, match="stay offline") as refused:
            resolve_dataset(ID)
        assert "Unset HF_HUB_OFFLINE" in str(refused.value.remedy)
        assert "datasets--org--set" in str(refused.value.remedy)
        monkeypatch.delenv(name)
    assert hub.asked == []


def test_a_hub_that_is_not_there_down_or_none_says_so(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = resolve_dataset(ID, revision=COMMIT)
    for status, body, what in (
        (503, b"", "answered 503"),
        (429, b"", "answered 429"),
        (200, b"<html>Log in to the network</html>", "does not answer as a hub does"),
        (200, b"[]", "does not answer as a hub does"),
        (200, b'{"id": "org/set", "sha": "../../etc"}', "does not say which commit"),
    ):
        hub.status, hub.body = status, body
        with pytest.raises(RequestError, match=what) as refused:
            resolve_dataset(ID)
        assert "HF_ENDPOINT" in str(refused.value.remedy)
    # A README that cannot be had now is not one that there is not.
    hub.status, hub.failing = 503, "README.md"
    with pytest.raises(RequestError, match="answered 503"):
        resolve_dataset(ID)
    hub.failing = ""
    for stream in (False, True):
        # What was planned may be read later: the run failed, the request was right.
        with pytest.raises(RunError, match="answered 503"):
            list(read_hub_file(ID, COMMIT, dataset.files[0], tmp_path, text="text", stream=stream))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RequestError, match="cannot be reached") as refused:
        resolve_dataset(ID)
    assert "name the folder of a local copy" in str(refused.value.remedy)


def test_a_dataset_that_the_hub_disabled_says_so(hub: Hub) -> None:
    hub.status, hub.headers = 403, {"X-Error-Message": "Access to this resource is disabled."}
    with pytest.raises(RequestError, match="the hub has disabled org/set"):
        resolve_dataset(ID)


def test_a_readme_cannot_send_the_reader_elsewhere(hub: Hub) -> None:
    for path in ("hf://datasets/other/set/x.parquet", "https://example.org/x.parquet"):
        hub.files[COMMIT] = {**FILES, "README.md": header(config("default", train=path))}
        with pytest.raises(RequestError, match="from another place"):
            resolve_dataset(ID)
    hub.files[COMMIT] = {**FILES, "README.md": header(config("default", train="../../../../etc/*"))}
    with pytest.raises(RequestError, match="no file matches"):
        resolve_dataset(ID)
    hub.files[COMMIT] = {**FILES, "README.md": header("- config_name: [1\n")}
    with pytest.raises(RequestError, match=r"README\.md cannot be read") as refused:
        resolve_dataset(ID)
    assert "patterns:" in str(refused.value.remedy)


def test_a_ready_definition_reads_what_the_hub_has(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slim = definition("slimpajama-text")
    rows = [
        {"text": "web", "meta": {"redpajama_set_name": "RedPajamaC4"}},
        {"text": "code", "meta": {"redpajama_set_name": "RedPajamaGithub"}},
    ]
    hub.files[COMMIT] = {
        "train/chunk1/example_train_0.jsonl.zst": zstandard.compress(lines(rows)),
        "test/x.jsonl": b"{}",
    }
    dataset = resolve_dataset(ID, patterns=slim.patterns)
    items = everything(dataset, tmp_path, text=slim.text, name_field=slim.id, fields=slim.fields)
    assert [item.fields["subset"] in slim.keep["subset"] for item in items] == [True, False]
    code = definition("starcoderdata/python")
    row = {"content": "<reponame>a/b<gh_stars>1-10\nx = 1\n", "id": "9", "max_stars_repo_name": "a/b", "lang": "Python"}
    hub.files[COMMIT] = {"python/train-00000-of-00059.parquet": parquet([row])}
    (item,) = everything(
        resolve_dataset(ID, patterns=code.patterns),
        tmp_path,
        text=code.text,
        name_field=code.id,
        fields=code.fields,
        constants=code.constants,
        render=code.render,
    )
    assert (item.id, item.text) == ("9", "x = 1\n")
    assert item.fields == {"repository": "a/b", "kind": "code", "language": "python"}
    with pytest.raises(RequestError, match="no file matches") as refused:
        resolve_dataset(ID, patterns=definition("starcoderdata/pyton").patterns)
    assert "Did you mean python?" in str(refused.value.remedy)


# Folders


def lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def cache(root: Path, files: dict[str, bytes], commit: str = COMMIT) -> Path:
    """A dataset's folder as the hub's client lays it out in its cache."""
    home = root / "datasets--org--set"
    for name, data in files.items():
        blob = home / "blobs" / hashlib.sha256(data).hexdigest()
        link = home / "snapshots" / commit / name
        for path in (blob, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        link.symlink_to(os.path.relpath(blob, link.parent))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    return home


def test_a_copy_on_disk_gives_the_same_documents_and_digests_as_the_hub(hub: Hub, tmp_path: Path) -> None:
    remote = resolve_dataset(ID)
    local = resolve_dataset(lay(tmp_path / "copy", FILES))
    assert (local.id, local.revision, local.license, local.notes) == (None, None, "odc-by", ())
    assert local.fingerprint()[0] == remote.fingerprint()[0]
    assert everything(local, tmp_path) == everything(remote, tmp_path / "work")
    assert (tmp_path / "copy" / "data/one/000.parquet").exists()


def test_a_cache_is_read_by_commit_branch_or_snapshot(tmp_path: Path) -> None:
    home = cache(tmp_path, FILES)
    expected = resolve_dataset(home)
    assert (expected.id, expected.revision) == (ID, COMMIT)
    assert len(expected.files) == 2
    assert "a cache holds what was once fetched, here 5 files" in expected.notes[0]
    for location, revision in ((home, "main"), (home, COMMIT), (home / "snapshots" / COMMIT, None)):
        assert resolve_dataset(location, revision=revision) == expected
    for location, revision in ((home, OLD), (home, "v1"), (home, "../../x"), (home / "snapshots" / COMMIT, OLD)):
        with pytest.raises(RequestError):
            resolve_dataset(location, revision=revision)
    assert len(everything(expected, tmp_path)) == 4


def test_an_unfinished_or_damaged_cache_is_no_dataset(tmp_path: Path) -> None:
    home = cache(tmp_path, FILES)
    blob = home / "blobs" / hashlib.sha256(FILES["data/one/000.parquet"]).hexdigest()
    blob.write_bytes(b"other")
    with pytest.raises(RequestError, match="is damaged"):
        resolve_dataset(home)
    blob.unlink()
    with pytest.raises(RequestError, match="cannot be read") as refused:
        resolve_dataset(home)
    assert "the download may have stopped" in str(refused.value.remedy)


def test_a_clone_without_its_large_files_is_told_from_data(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
    with pytest.raises(RequestError, match="Git LFS pointer") as refused:
        resolve_dataset(lay(tmp_path / "clone", {"data/train-00000-of-00001.parquet": pointer}))
    assert "git lfs pull" in str(refused.value.remedy)


def test_links_out_of_a_folder_and_hidden_files_are_left(tmp_path: Path) -> None:
    outside = lay(tmp_path / "outside", {"secret.jsonl": lines([{"text": "secret"}])})
    root = lay(
        tmp_path / "set", {"a.jsonl": lines([{"text": "a"}]), ".cache/huggingface/b.jsonl": b"{}", ".c.jsonl": b"{}"}
    )
    (root / "link.jsonl").symlink_to(outside / "secret.jsonl")
    (root / "folder").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "same.jsonl").symlink_to(root / "a.jsonl")
    dataset = resolve_dataset(root)
    assert [file.name for file in dataset.files] == ["a.jsonl", "same.jsonl"]
    assert dataset.notes == (f"{root}: 3 links out of the folder are not followed",)


def test_a_folder_has_no_revision_and_must_be_there(tmp_path: Path) -> None:
    root = lay(tmp_path / "set", {"a.jsonl": b"{}"})
    for location, revision, what in (
        (root, COMMIT, "plain folder"),
        (tmp_path / "none", None, "is not there"),
        (root / "a.jsonl", None, "is a file"),
    ):
        with pytest.raises(RequestError, match=what):
            resolve_dataset(location, revision=revision)


LAYOUTS: dict[str, tuple[list[str], dict[str, Any], list[int]]] = {
    "shards of splits": (
        ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet"],
        {},
        [0, 1],
    ),
    "the other split": (
        ["data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"],
        {"split": "test"},
        [1],
    ),
    "a split of its own name": (
        ["data/train_sft-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"],
        {"split": "train_sft"},
        [0],
    ),
    "splits as folders": (["train/a.jsonl", "valid/a.jsonl", "train/x/b.jsonl"], {}, [0, 2]),
    "their synonyms": (["train/a.jsonl", "dev/a.jsonl"], {"split": "validation"}, [1]),
    "a word in a name": (["my_train_set.jsonl", "my_eval_set.jsonl"], {"split": "test"}, [1]),
    "the name before the folder": (["validation/train.jsonl", "train/test.jsonl"], {}, [0]),
    "no splits at all": (["a.jsonl", "b/c.jsonl.zst", "b/d.parquet"], {}, [0, 1, 2]),
    "no split by a part of a word": (["trained.jsonl", "latest.jsonl"], {}, [0, 1]),
    "languages as folders": (["data/c/data-00000-of-00001.parquet", "data/go/data-00000-of-00001.parquet"], {}, [0, 1]),
    "one of them": (
        ["data/c/data-00000-of-00001.parquet", "data/go/data-00000-of-00001.parquet"],
        {"data_dir": "data/go"},
        [1],
    ),
    "a config as a folder": (["en/train/0.jsonl", "de/train/0.jsonl"], {"config": "de"}, [1]),
    "a config below data": (["data/en/train-00000-of-00001.parquet", "data/de/x.jsonl"], {"config": "en"}, [0]),
    "the hub's conversion": (["default/train/0000.parquet", "small/train/0000.parquet"], {}, [0]),
    "a part of it": (["en/partial-train/0000.parquet", "en/test/0000.parquet"], {}, [0]),
}


@pytest.mark.parametrize(("names", "options", "expected"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_layouts(tmp_path: Path, names: list[str], options: dict[str, Any], expected: list[int]) -> None:
    root = lay(tmp_path, dict.fromkeys([*names, "dataset_infos.json", "notes.txt"], b"{}"))
    dataset = resolve_dataset(root, **options)
    assert [file.name for file in dataset.files] == sorted(names[index] for index in expected)
    assert any("only a part" in note for note in dataset.notes) == any("partial" in name for name in names)


def test_several_configs_without_a_default_must_be_chosen(tmp_path: Path) -> None:
    configs = lay(tmp_path / "a", {"README.md": header(config("en", train="en/*"), config("de", train="de/*"))})
    converted = lay(tmp_path / "b", {"en/train/0000.parquet": b"", "de/train/0000.parquet": b""})
    for root in (configs, converted):
        with pytest.raises(RequestError, match="2 configs and no default") as refused:
            resolve_dataset(root)
        assert "en" in str(refused.value.remedy)
        assert "de" in str(refused.value.remedy)


def test_a_config_flagged_as_default_is_taken(tmp_path: Path) -> None:
    flagged = config("en", train="en/*") + "  default: true\n"
    files = {"README.md": header(config("de", train="de/*"), flagged), "en/a.jsonl": b"{}", "de/a.jsonl": b"{}"}
    assert [file.name for file in resolve_dataset(lay(tmp_path, files)).files] == ["en/a.jsonl"]


SPELLINGS = {
    "text": '"*.jsonl"',
    "list": "\n  - a.jsonl\n  - b.jsonl",
    "splits": "\n  - split: train\n    path:\n    - a.jsonl\n    - b.jsonl",
    "map": "\n    train: ['[ab].jsonl']\n    test: c.txt",
    "folder": "\n  - path: ./",
}


@pytest.mark.parametrize("files", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_data_files_may_be_spelled_in_all_of_the_hubs_ways(tmp_path: Path, files: str) -> None:
    root = lay(tmp_path, {"a.jsonl": b"{}", "b.jsonl": b"{}"})
    (root / "README.md").write_bytes(header(f"- config_name: default\n  data_files: {files}\n"))
    assert [file.name for file in resolve_dataset(root).files] == ["a.jsonl", "b.jsonl"]


def test_take_bounds_the_bytes_by_an_order_that_new_files_do_not_change(tmp_path: Path) -> None:
    names = [f"{n:02d}.jsonl" for n in range(20)]
    root = lay(tmp_path, dict.fromkeys(names, bytes(100)))
    hashed: list[Path] = []

    def hash(path: Path) -> str:
        hashed.append(path)
        return "0" * 64

    taken = {take: [file.name for file in resolve_dataset(root, take=take, hash=hash).files] for take in (1, 500, 599)}
    assert [len(files) for files in taken.values()] == [1, 5, 5]
    # Only what is taken is hashed.
    assert len(hashed) == 11
    assert taken[500] == sorted(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:5])
    assert len(resolve_dataset(root, take=2000).files) == 20
    assert "5 of 20 files" in resolve_dataset(root, take=500).notes[0]


def test_files_that_changed_or_broke_are_noticed(tmp_path: Path) -> None:
    rows = [{"text": f"t{n}", "x": "y" * 1000} for n in range(3000)]
    data = parquet(rows, row_group_size=1000, compression="none", use_dictionary=False)
    root = lay(tmp_path / "set", {"a.parquet": data, "b.jsonl": lines([{"text": "b"}])})
    dataset = resolve_dataset(root)
    for file in dataset.files:
        Path(str(file.path)).write_bytes(b"changed")
        with pytest.raises(RunError, match="changed"):
            list(read_hub_file(None, None, file, tmp_path, text="text"))
    broken = bytearray(data)
    broken[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    for content, least in ((bytes(broken), 1), (data[: len(data) // 2], 0), (b"", 0)):
        (root / "a.parquet").write_bytes(content)
        items = everything(resolve_dataset(root, patterns=["a.parquet"]), tmp_path)
        assert len(items) > least
        assert {item.reason for item in items if isinstance(item, Reject)} <= {"corrupt-file", "undecodable"}
        assert any(isinstance(item, Reject) for item in items) or content == bytes(broken)


def test_a_text_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    root = lay(tmp_path, {"a.parquet": parquet([{"content": "x", "id": 1}])})
    for asked, remedy in (
        ("contnt", "Did you mean content? Its columns: content, id."),
        ("zzz", "Its columns: content, id."),
    ):
        with pytest.raises(RequestError, match="no column") as refused:
            everything(resolve_dataset(root), tmp_path, text=asked)
        assert refused.value.remedy == remedy


def test_attributes_come_from_the_first_column_that_exists(tmp_path: Path) -> None:
    rows = [{"text": "x", "repo": "a/b", "deep": {"er": {"n": 1}}, "no.dots": "z", "empty": None, "id": True}]
    fields = {
        "repository": ("repo_name", "repo"),
        "n": "deep.er.n",
        "dotted": "no.dots",
        "gone": "a.b",
        "none": "empty",
    }
    expected = {"repository": "a/b", "n": 1, "dotted": "z"}
    for name, data in (("a.parquet", parquet(rows)), ("a.jsonl", lines(rows))):
        (item,) = everything(resolve_dataset(lay(tmp_path / name, {name: data})), tmp_path, fields=fields)
        assert (item.id, item.fields) == (None, expected), name


def test_a_row_that_is_not_utf8_is_a_reject_and_the_others_stay(tmp_path: Path) -> None:
    column = pa.array([b"good", b"\xff\xfe", b"fine"]).cast(pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    items = everything(resolve_dataset(tmp_path), tmp_path)
    assert [getattr(item, "text", getattr(item, "reason", "")) for item in items] == ["good", "undecodable", "fine"]


# Globs


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "*", "**", "a*", "?", "[ab]"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["a", "b", "ab", "ba"]), min_size=1, max_size=5),
)
def test_globs_match_as_their_expressions_do(pattern: list[str], name: list[str]) -> None:
    expression = ""
    for last, part in zip([False] * (len(pattern) - 1) + [True], pattern, strict=True):
        if part == "**":
            expression += "(?:[^/]+/)*" + ("[^/]+" if last else "")
        else:
            expression += part.replace("*", "[^/]*").replace("?", "[^/]") + ("" if last else "/")
    expected = re.fullmatch(expression, "/".join(name)) is not None
    assert hub_layout.matches("/".join(name), ["/".join(pattern)]) == expected


def test_hostile_globs_and_headers_take_bounded_time(tmp_path: Path) -> None:
    began = time.process_time()
    assert not hub_layout.matches("a" * 4000, ["*a" * 1000 + "b"])
    assert not hub_layout.matches("/".join("a" * 1000), ["**/a/" * 500 + "b"])
    (tmp_path / "README.md").write_bytes(b"---\n" + b"a: &a [x]\n" + b"configs:\n" + b"- *a\n" * 10)
    with pytest.raises(RequestError):
        resolve_dataset(lay(tmp_path, {"a.jsonl": b"{}"}))
    (tmp_path / "README.md").write_bytes(b"---\nconfigs: " + b"[" * 5_000)
    with pytest.raises(RequestError):
        resolve_dataset(tmp_path)
    assert time.process_time() - began < 5


# As a source of a study


def test_a_source_names_a_pinned_commit_and_later_plans_need_no_network(hub: Hub, tmp_path: Path, step: Any) -> None:
    store = FileHashes(tmp_path / "fingerprints.json")
    settings = {"name": "web", "where": "study.yaml:4", "locations": []}
    loose = spec.source_config(Source(Read("hub", ID)))
    with pytest.raises(RequestError) as caught:
        spec.input_fingerprint(loose, settings, store)
    assert "is not pinned" in caught.value.what
    assert caught.value.remedy == f"Write the commit that it stands at now: revision: {COMMIT}"
    pinned = spec.source_config(Source(Read("hub", ID, {"revision": COMMIT, "id": "id"})))
    files = spec.input_fingerprint(pinned, settings, store)
    store.save()
    asked = len(hub.asked)
    assert spec.input_fingerprint(pinned, settings, FileHashes(tmp_path / "fingerprints.json")) == files
    assert len(hub.asked) == asked, "what lies at a commit was remembered"
    made = step(
        "pretrial.corpus.read:read_corpus", tmp_path / "out",
        config=spec.corpus_config(pinned, files), settings=settings,
    )  # fmt: skip
    rows = [row for shard in made.facts["shards"] for row in pq.read_table(made.file(shard["file"])).to_pylist()]
    assert [(row["id"], row["text"]) for row in rows] == [("a", "first"), ("b", "second"), ("7", "third")]
    assert made.facts["quarantined"] == {"empty-text": 1}


def test_a_source_that_is_streamed_has_the_same_documents(hub: Hub, tmp_path: Path, step: Any) -> None:
    settings = {"name": "web", "where": "study.yaml:4", "locations": []}
    texts = []
    for stream in (False, True):
        config = spec.source_config(Source(Read("hub", ID, {"revision": COMMIT, "id": "id", "stream": stream})))
        files = spec.input_fingerprint(config, settings, FileHashes(tmp_path / f"{stream}.json"))
        made = step(
            "pretrial.corpus.read:read_corpus", tmp_path / f"out-{stream}",
            config=spec.corpus_config(config, files), settings=settings,
        )  # fmt: skip
        texts.append(made.facts["contents"])
    assert texts[0] == texts[1]


# By a ready definition


def stack(language: str, *names: str) -> bytes:
    """A file of The Stack: documents called so."""
    return parquet(
        [
            {
                "content": f"{language} {name}\n", "hexsha": f"{language}-{name}", "max_stars_repo_name": f"who/{name}",
                "max_stars_repo_path": f"src/{name}", "max_stars_repo_licenses": ["MIT"],
            }
            for name in names
        ]
    )  # fmt: skip


STACK = {
    "data/c++/data-00000-of-00001.parquet": stack("c++", "a", "b"),
    "data/c-sharp/data-00000-of-00002.parquet": stack("c#", "c"),
    "data/c-sharp/data-00001-of-00002.parquet": stack("c#", "d"),
    "data/go/data-00000-of-00001.parquet": stack("go", "a"),
    "data/rust/data-00000-of-00001.parquet": stack("rust", "z"),
}


def documents(source: Source, at: Path, step: Any) -> list[dict[str, Any]]:
    """What a source has, read as a study reads it: rows with their fields, beside the columns and as `fields`."""
    config = spec.source_config(source)
    settings = spec.source_settings(source, None, at.parent, name="these", where="study.yaml:7")
    files = spec.input_fingerprint(config, settings, FileHashes(at.with_suffix(".json")))
    made = step("pretrial.corpus.read:read_corpus", at, config=spec.corpus_config(config, files), settings=settings)
    rows = [row for shard in made.facts["shards"] for row in pq.read_table(made.file(shard["file"])).to_pylist()]
    return [json.loads(row["meta"]) | row | {"fields": json.loads(row["meta"])} for row in rows]


@pytest.mark.parametrize("options", [{"revision": COMMIT}, {"revision": COMMIT, "stream": True}, {}], ids=str)
def test_one_source_has_several_languages_of_a_dataset(
    hub: Hub, tmp_path: Path, step: Any, options: dict[str, Any]
) -> None:
    hub.files[COMMIT] = STACK
    location = ID if options else str(lay(tmp_path / "copy", STACK))
    read = Read("hub", location, {"as": "the-stack-dedup", "languages": ("C++", "golang", "csharp"), **options})
    source = Source(read)
    rows = documents(source, tmp_path / "out", step)
    assert [(row["text"], row["language"], row["kind"], row["license"]) for row in rows] == [
        ("c++ a\n", "cpp", "code", ["MIT"]),
        ("c++ b\n", "cpp", "code", ["MIT"]),
        ("c# c\n", "c-sharp", "code", ["MIT"]),
        ("c# d\n", "c-sharp", "code", ["MIT"]),
        ("go a\n", "go", "code", ["MIT"]),
    ]
    # A repository stays together when some are held out, also over its languages.
    assert rows[0]["group"] == rows[4]["group"] == "repository:who/a"
    own = Source(read, group="document", license="MIT")
    assert (own.group, own.license, source.license) == ("document", "MIT", None)


def test_a_language_that_a_dataset_has_not_is_named_with_how_to_leave_it_out(hub: Hub) -> None:
    hub.files[COMMIT] = STACK
    globs = definition("the-stack-dedup", ["go", "cpp", "jsx", "smalltalk"]).languages
    with pytest.raises(RequestError, match="no file is of jsx, smalltalk") as refused:
        resolve_dataset(ID, languages=globs, where="study.yaml:3")
    assert refused.value.remedy == "Without them: languages: [cpp, go]"
    assert refused.value.where == "study.yaml:3"
    with pytest.raises(RequestError, match="no file is of ruts") as refused:
        resolve_dataset(ID, languages=definition("the-stack-dedup", ["go", "ruts"]).languages)
    assert refused.value.remedy == "Did you mean rust? Without it: languages: [go]"
    with pytest.raises(RequestError, match="no file is of ruts") as refused:
        resolve_dataset(ID, languages=definition("the-stack-dedup", ["ruts"]).languages)
    assert refused.value.remedy == "Did you mean data/rust?"
    with pytest.raises(RequestError, match="patterns choose the files, and so do languages"):
        spec.source_config(
            Source(Read("hub", "the-stack-dedup", {"languages": ("go",), "patterns": ("x",), "revision": COMMIT}))
        )


def test_languages_take_turns_under_a_take(tmp_path: Path) -> None:
    root = lay(tmp_path, {f"data/{one}/{n}.parquet": bytes(100) for one in ("c", "go") for n in range(5)})
    globs = definition("the-stack-dedup", ["c", "go"]).languages
    for take, each in ((1, 1), (399, 1), (400, 2), (1000, 5), (10_000, 5)):
        names = [file.name for file in resolve_dataset(root, languages=globs, take=take).files]
        taken = [sum(name.startswith(f"data/{one}/") for name in names) for one in ("c", "go")]
        assert taken[1] == each, take
        assert taken[0] in (each, each + 1), take
    whole = set(resolve_dataset(root, languages=globs, take=500).fingerprint()[0])
    assert whole <= {text for row in resolve_dataset(root, languages=globs, take=600).fingerprint() for text in row}


def test_a_folder_is_read_by_a_ready_definition_as_the_hub_is(hub: Hub, tmp_path: Path, step: Any) -> None:
    row = {
        "content": "<commit_before>old\n<commit_msg>Say new<commit_after>new\n", "repo_name": "a/b", "lang": "Python",
        "new_file": "x.py", "ballast": 1,
    }  # fmt: skip
    files = {"git-commits-cleaned/train-00000-of-00001.parquet": parquet([row]), "go/train-0.parquet": b"not looked at"}
    hub.files[COMMIT] = files
    said = []
    for location, options in ((ID, {"revision": COMMIT}), (str(lay(tmp_path / "copy", files)), {})):
        source = Source(Read("hub", location, {"as": "starcoderdata-commits", **options}))
        assert (source.group, source.license) == ("repository", "permissive, by file (The Stack v1.2)")
        (found,) = documents(source, tmp_path / f"out-{len(said)}", step)
        said.append({key: value for key, value in found.items() if key not in ("meta", "where")})
    assert said[0] == said[1]
    assert "<commit_" not in said[0]["text"]
    assert {key: said[0][key] for key in ("kind", "language", "path", "group", "license")} == {
        "kind": "commit", "language": "Python", "path": "x.py", "group": "repository:a/b",
        "license": "permissive, by file (The Stack v1.2)",
    }  # fmt: skip
    assert "ballast" not in said[0]


def test_labels_of_a_definition_are_left_out_of_a_folder_too(tmp_path: Path, step: Any) -> None:
    rows = [{"text": name, "meta": {"redpajama_set_name": f"RedPajama{name}"}} for name in ("C4", "Github", "Book")]
    root = lay(tmp_path / "slim", {"train/chunk1/a.jsonl.zst": zstandard.compress(lines(rows))})
    found = documents(Source(Read("hub", str(root), {"as": "slimpajama-text"})), tmp_path / "out", step)
    assert [(row["text"], row["subset"]) for row in found] == [("C4", "RedPajamaC4"), ("Book", "RedPajamaBook")]


def test_what_cannot_be_reached_says_how_to_read_a_copy_by_the_same_definition(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(name: str, **options: Any) -> str:
        source = Source(Read("hub", name, {"revision": COMMIT, **options}))
        settings = spec.source_settings(source, None, tmp_path)
        with pytest.raises(RequestError) as caught:
            spec.input_fingerprint(spec.source_config(source), settings, FileHashes(tmp_path / "hashes.json"))
        return str(caught.value.remedy)

    copy = "or name the folder of a local copy: hub: FOLDER, as: starcoderdata-commits"
    hub.gated = True
    assert copy in refused(ID, **{"as": "starcoderdata-commits"})
    hub.gated = False
    assert copy in refused("starcoderdata-commits"), "to this hub it is no dataset, or a private one"
    hub.status = 503
    assert copy in refused("starcoderdata-commits")
    assert "hub: FOLDER, as: the-stack-dedup" in refused("the-stack-dedup", languages=("go",))
    # A dataset that no definition reads, and one that is named by its id.
    assert "or name the folder of a local copy." in refused(ID)
    assert "as: the-stack-dedup/LANGUAGE" in refused("bigcode/the-stack-dedup")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert copy in refused("starcoderdata-commits")
    (tmp_path / "hf" / "hub" / "datasets--bigcode--starcoderdata").mkdir(parents=True)
    said = refused("starcoderdata-commits")
    assert said.startswith(f"Unset HF_HUB_OFFLINE, {copy}. The cache has some of it: ")


def test_every_usable_definition_names_a_licence_and_a_group_for_its_source() -> None:
    for one in DEFINITIONS:
        if not one.unusable:
            name = f"{one.name.rstrip('/')}/x" if one.parts else one.name
            source = Source(Read("hub", name))
            assert (source.group, source.license) == (one.group, one.default_license), name


@pytest.mark.parametrize("location", ["the-stack-dedup", "starcoderdata-issues", "fineweb-edu/10BT"])
def test_a_definition_is_not_read_as_another(location: str) -> None:
    with pytest.raises(RequestError, match="is a ready definition itself") as refused:
        spec.source_config(Source(Read("hub", location, {"as": "slimpajama"})))
    assert "Leave `as` out" in str(refused.value.remedy)


def test_languages_need_a_definition() -> None:
    with pytest.raises(RequestError, match=r"\./copy is read by none") as refused:
        spec.source_config(Source(Read("hub", "./copy", {"languages": ("go",)})))
    assert "as: the-stack-dedup" in str(refused.value.remedy)


# Fields under other names


FIELDS = {"license": "meta.licence", "language": "lang", "path": "file name", "gone": "lang.none"}
ROWS = [
    {"text": "one", "id": "a", "lang": "Go", "meta": {"licence": "MIT", "n": 1}, "file name": "x.go", "license": "no"},
    {"text": "two", "id": "b", "lang": None, "meta": {"licence": None, "n": 2}, "file name": "y.go", "license": "no"},
]


@pytest.mark.parametrize(
    ("kind", "name"), [("jsonl", "a.jsonl"), ("hub", "a.jsonl"), ("parquet", "a.parquet"), ("hub", "a.parquet")]
)
def test_fields_come_from_the_columns_that_hold_them(tmp_path: Path, step: Any, kind: str, name: str) -> None:
    packed = name.endswith(".parquet")
    fields = {key: column for key, column in FIELDS.items() if not packed or key != "gone"}
    root = lay(tmp_path / "set", {name: parquet(ROWS) if packed else lines(ROWS)})
    location = str(root if kind == "hub" else root / name)
    rows = documents(Source(Read(kind, location, {"fields": fields, "id": "id"})), tmp_path / "out", step)
    assert [(row["id"], row["fields"]) for row in rows] == [
        ("a", {"language": "Go", "license": "MIT", "meta": {"licence": "MIT", "n": 1}, "path": "x.go"}),
        # What has no value there has no such field, whatever the record calls so.
        ("b", {"meta": {"licence": None, "n": 2}, "path": "y.go"}),
    ]


@pytest.mark.parametrize("kind", ["parquet", "hub"])
def test_a_column_that_a_parquet_file_has_not_is_named(tmp_path: Path, step: Any, kind: str) -> None:
    root = lay(tmp_path / "set", {"a.parquet": parquet(ROWS)})
    location = str(root if kind == "hub" else root / "a.parquet")
    for column, remedy in (
        ("lagn", "Did you mean lang? "),
        ("meta.license", "Did you mean meta.licence? "),
        ("licence", "Did you mean license? "),
        ("number.n", "Did you mean meta.n? "),
        # Two columns of one record have the record's name in common, and nothing else.
        ("meta.score", ""),
        ("zzz", ""),
    ):
        with pytest.raises(RequestError, match=f"has no column '{column}', which is to be the field 'lan") as refused:
            documents(Source(Read(kind, location, {"fields": {"language": column}})), tmp_path / column, step)
        there = "Its columns: text, id, lang, meta, file name, license, meta.licence, meta.n."
        assert refused.value.remedy == remedy + there
        assert refused.value.where == "study.yaml:7, source these"


def test_the_name_may_become_a_field_too_and_the_text_may_not(tmp_path: Path, step: Any) -> None:
    root = lay(tmp_path / "set", {"a.jsonl": lines(ROWS)})
    for kind, location in (("hub", root), ("jsonl", root / "a.jsonl")):
        read = Read(kind, str(location), {"fields": {"number": "id", "id": "lang"}, "id": "id"})
        rows = documents(Source(read), tmp_path / f"out-{kind}", step)
        assert [(row["id"], row["fields"].get("id")) for row in rows] == [("a", "Go"), ("b", None)]
        assert [row["number"] for row in rows] == ["a", "b"]
        with pytest.raises(RequestError, match="'text' is the text"):
            spec.source_config(Source(Read(kind, str(location), {"fields": {"code": "text"}})))


def test_a_definitions_fields_give_way_to_those_that_a_study_names(tmp_path: Path, step: Any) -> None:
    row = {"content": "x", "hexsha": "1", "max_stars_repo_name": "a/b", "lic": "MIT", "lang": "Cython"}
    root = lay(tmp_path / "set", {"data/python/a.parquet": parquet([row])})
    read = Read(
        "hub", str(root), {"as": "the-stack-dedup/python", "fields": {"license": "lic", "language": "lang"}}
    )  # fmt: skip
    (found,) = documents(Source(read), tmp_path / "out", step)
    assert found["fields"] == {"kind": "code", "language": "Cython", "license": "MIT", "repository": "a/b"}
