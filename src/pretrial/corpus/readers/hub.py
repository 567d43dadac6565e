"""Hugging Face datasets, by hub id at a pinned commit or from a folder in the hub's layout.

Guarantees: the commit that a branch or tag stood for when it was resolved, the names of the files and what the hub says
their bytes hash to identify a dataset; bytes that were fetched are hashed before anything reads them; a dataset that
cannot be had fails with what to do about it, before anything was spent; memory is bounded by a row group's columns or
by one line, disk by one file. Telemetry is off before the client is imported.
Does not: run a dataset's own script, follow a file into another repository or out of its folder, take a part of a
dataset for the whole (an incomplete cache is not looked into), or read anything but Parquet and JSON lines.

Which files: `patterns` name them, or `languages`, by language; else the `configs` in the header of the dataset's
README.md do; else names and folders do as in the `datasets` library: a split's name (`train`, `validation`, `test`, or
another one in `data/NAME-00000-of-00010.parquet`) as a word of the file's name or of a folder above it; where no file
has such a name, all are train. The branch `refs/convert/parquet` holds what the hub converted for itself, also of
datasets with a script.

A file fetched from the hub: `fetch` brings it whole (JSON lines always), `read_hub_file(..., stream=True)` reads a
Parquet file by row groups over the network and takes only the columns asked for; a streamed file's hash cannot be
checked, only its commit and size.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from pretrial.corpus.readers import hub_layout as layout
from pretrial.corpus.readers.columns import Columns, check_columns, has_column, renamed, value_at
from pretrial.corpus.readers.hub_client import client, endpoint, explaining, remote
from pretrial.corpus.readers.jsonl import from_fields, read_jsonl
from pretrial.corpus.readers.record import Item, Record, Reject, excerpt
from pretrial.corpus.readers.safety import Fault, Limits
from pretrial.corpus.readers.threads import RENDERERS
from pretrial.errors import RequestError, RunError

Fields = Mapping[str, str | Sequence[str]]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
# How a Git LFS pointer begins (git-lfs/docs/spec.md).
_POINTER = b"version https://git-lfs.github.com/spec/"
_CONVERTED = re.compile(r"[^/]+/[^/]+/\d{4}\.parquet")
_ROWS = 64
_TIMEOUT = 30.0


@dataclass(frozen=True)
class HubFile:
    """A file of a dataset.

    Attributes:
        name: its path inside the dataset, with slashes.
        size: its bytes.
        digest: `sha256:…`, or `git:…` (git's blob id) for a small file that the hub keeps in git itself.
        path: where it lies on this machine; `None` for one on the hub.
    """

    name: str
    size: int
    digest: str
    path: str | None = None

    @property
    def kind(self) -> Literal["parquet", "jsonl"]:
        """The format, by the name."""
        return "parquet" if self.name.lower().endswith(".parquet") else "jsonl"


@dataclass(frozen=True)
class Dataset:
    """What a location stood for when it was resolved.

    Attributes:
        id: the id on the hub; `None` for a folder that does not say.
        revision: the commit; `None` for a folder that does not say.
        files: the files to read, sorted by name.
        license: what the README's header says, `""` where it says nothing.
        notes: what a reader of the plan should know (a branch that was pinned, links left out, a partial copy).
    """

    id: str | None
    revision: str | None
    files: tuple[HubFile, ...]
    license: str = ""
    notes: tuple[str, ...] = ()

    def fingerprint(self) -> list[list[str]]:
        """(name, digest) of each file, as a corpus's configuration holds them."""
        return [[file.name, file.digest] for file in self.files]


def resolve_dataset(
    location: str | Path,
    *,
    revision: str | None = None,
    config: str | None = None,
    split: str = "train",
    data_dir: str | None = None,
    patterns: Sequence[str] = (),
    languages: Mapping[str, Sequence[str]] | None = None,
    take: int | None = None,
    hash: Callable[[Path], str] | None = None,
    ready: str = "",
    where: str | None = None,
) -> Dataset:
    """The files of a dataset, as they stand now.

    Args:
        location: a hub id (`org/name`), or the `Path` of a folder: a copy or clone of a dataset, a snapshot in a
            Hugging Face cache, or that cache's folder of the dataset (`datasets--org--name`).
        revision: commit, branch, tag or `refs/convert/parquet`; `None` takes `main`. For a plain folder: `None`.
        config: which of the README's configs, or a folder of that name; `None` takes the default one.
        split: which split. Not looked at where `patterns` are given.
        data_dir: only files below this folder of the dataset.
        patterns: globs over the dataset's paths (`*` stays inside a folder, `**` does not) in the place of
            `config`, `split` and `data_dir`.
        languages: such globs by language, in the place of `patterns`; each must have a file.
        take: most bytes of files as they are stored: files in the order of their names' hashes until the next would
            pass it, at least one (of each language, which take turns). `None` takes all.
        hash: SHA-256 of a local file, in hex; a cache can answer. `None` reads the file.
        ready: the ready definition by which the dataset is read, for errors.
        where: place in the study file, for errors.

    Raises:
        RequestError: where the dataset, revision, config, split or a file cannot be had; it says what to do.
    """
    if (patterns or languages) and (config is not None or data_dir is not None):
        raise RequestError(
            "patterns choose the files, and so do config and data-dir", where=where, remedy="Keep one of them."
        )
    prefix = data_dir.strip("/") if data_dir else ""
    source: _Folder | _Hub = (
        _Folder(location, revision, hash or _sha256, where)
        if isinstance(location, Path)
        else _Hub(location, revision, where, ready)
    )
    card = source.card()
    turns: list[Sequence[str]] = []
    if languages:
        turns = layout.of_languages(source, languages, where)
        found = sorted({name for names in turns for name in names})
    elif patterns:
        chosen = source.names(patterns)
        found = layout.readable(chosen)
        if not found:
            folders = [folder for folder, _ in map(layout.static, patterns) if folder]
            gone = next((folder for folder in folders if not source.names([f"{folder}/**"])), "")
            raise layout.nothing(source, f"no file matches {' '.join(patterns)}", chosen, where, near=gone)
    else:
        found = layout.chosen(source, layout.configs(card, source.title, where), config, split, prefix, where)
    if any("partial-" in name for name in found):
        source.notes.append(f"{source.title}: the hub converted only a part of this split (partial-…)")
    if take is not None:
        taken = _under(turns or [found], source.size, take)
        source.notes.append(f"{source.title}: {len(taken)} of {len(found)} files, by the take of {take} bytes")
        found = taken
    files = source.files(found)
    license = card.get("license")
    license = ", ".join(map(str, license)) if isinstance(license, list) else license
    license = license if isinstance(license, str) else ""
    return Dataset(source.id, source.revision, tuple(files), license, tuple(source.notes))


def fetch(id: str | None, revision: str | None, file: HubFile, folder: Path, *, where: str | None = None) -> Path:
    """A file's path on this machine: its own for a local one, else downloaded into `folder` and hashed.

    A download that stopped goes on where it was when `folder` is the same.

    Raises:
        RunError: when the hub cannot be reached now, or sends other bytes than it promised (they are deleted).
        RequestError: when it refuses.
    """
    if file.path is not None:
        return Path(file.path)
    id, revision = _known(id, revision)
    with explaining(id, revision, where, RunError):
        path = Path(
            client(id, where).hf_hub_download(
                id, file.name, repo_type="dataset", revision=revision, local_dir=folder, etag_timeout=_TIMEOUT
            )
        )
    if _digest(path, file.digest) != file.digest:
        path.unlink()
        raise RunError(
            f"{file.name} of {id} came with other bytes than the hub says it has ({file.digest})",
            where=where,
            remedy="Run again; if it stays so, the cache's copy is damaged or a mirror on the way changes files.",
        )
    return path


def read_hub_file(
    id: str | None,
    revision: str | None,
    file: HubFile,
    work: Path,
    *,
    text: str,
    name_field: str | None = None,
    fields: Fields | None = None,
    columns: Columns | None = None,
    constants: Mapping[str, str] | None = None,
    render: str = "",
    stream: bool = False,
    where: str | None = None,
) -> Iterator[Item]:
    """Records of a dataset's file; places are `name:row` or `name:line` from 1.

    Args:
        id: the dataset on the hub; not needed for a local file.
        revision: its commit; not needed for a local file.
        file: the file, as `resolve_dataset` gave it.
        work: folder for a fetched file, which is deleted after the last record.
        text: column or field with the text.
        name_field: column or field that names a record, `None` for none. Dots go into nested fields.
        fields: attributes of a document by the column they come from, the first that exists of several; dots go into
            nested ones (`meta.redpajama_set_name`). Of a Parquet file only these columns are read. `None` keeps all
            columns under their own names.
        columns: where all stay: those that become fields of other names. A Parquet file must have them.
        constants: attributes that are the same for every record.
        render: what makes the document's text from the column's: a name in `threads.RENDERERS`, `""` for none.
        stream: read a Parquet file on the hub by row groups, without fetching it.
        where: place in the study file, for errors.

    Raises:
        RequestError: when a Parquet file has no column `text`, or not one of `columns`; it names those there are.
        RunError: when the bytes are not those planned for, or the hub cannot be reached now.
    """
    shape = functools.partial(
        _shaped,
        name_field=name_field,
        fields=fields,
        columns=columns,
        constants=constants or {},
        render=RENDERERS[render] if render else None,
    )
    wanted = None if fields is None else _wanted(name_field, fields)
    if file.path is None and stream and file.kind == "parquet":
        id, revision = _known(id, revision)
        with explaining(id, revision, where, RunError), remote(id, revision, file.name, file.size, where) as handle:
            yield from map(shape, _parquet(handle, file.name, text, wanted, columns))
        return
    path = fetch(id, revision, file, work, where=where)
    sha256 = file.digest.removeprefix("sha256:") if file.path and file.digest.startswith("sha256:") else None
    try:
        if file.kind == "jsonl":
            yield from map(shape, read_jsonl(path, file.name, text=text, id=None, sha256=sha256))
            return
        if sha256 is not None and _sha256(path) != sha256:
            raise RunError(f"{path} changed while it was being read", remedy="Run again when nothing writes to it.")
        with path.open("rb") as handle:
            yield from map(shape, _parquet(handle, file.name, text, wanted, columns))
    finally:
        if file.path is None:
            path.unlink(missing_ok=True)


# Reading


def _wanted(name_field: str | None, fields: Fields) -> list[str]:
    columns = [name_field] if name_field else []
    for value in fields.values():
        columns += [value] if isinstance(value, str) else list(value)
    return columns


def _parquet(
    handle: IO[bytes], name: str, text: str, wanted: Sequence[str] | None, fields: Columns | None
) -> Iterator[Item]:
    import pyarrow as pa

    from pretrial.corpus.readers.parquet import check_row_group, opened, rows_of

    first = 0
    try:
        # Ranges of a row group are read together: over the network a request costs more than bytes.
        file = opened(handle, pre_buffer=True)
        schema = file.schema_arrow
        check_columns(name, schema, text, fields)
        there = None if wanted is None else [text, *(column for column in wanted if has_column(schema, column))]
        columns = None if there is None else list(dict.fromkeys(there))
        groups = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    # A footer can lie about all it says: names that are no text, too.
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield _corrupt(error, name, 0)
        return
    # One row group at a time: asked for all at once, all would be buffered at once.
    for group, rows in enumerate(groups):
        row = first
        try:
            check_row_group(file, group, Limits())
            for batch in file.iter_batches(batch_size=_ROWS, row_groups=[group], columns=columns):
                for values in rows_of(batch):
                    row += 1
                    if isinstance(values, str):
                        yield Reject("undecodable", f"{name}:{row}", values)
                    else:
                        yield from_fields(values, f"{name}:{row}", text, None)
        except Fault as fault:
            yield Reject(fault.reason, f"{name}:{first + 1}", fault.detail)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            yield _corrupt(error, name, row)
        first += rows


def _corrupt(error: Exception, name: str, row: int) -> Reject:
    """The reject of what breaks behind a row; an error of the system or the network is raised instead."""
    # Arrow's own errors have no number; a disk's or a network's are not the file's fault.
    if isinstance(error, OSError) and (error.errno is not None or type(error) is not OSError):
        raise error
    return Reject("corrupt-file", f"{name}:{row + 1}", excerpt(str(error)))


def _shaped(
    item: Item,
    *,
    name_field: str | None,
    fields: Fields | None,
    columns: Columns | None,
    constants: Mapping[str, str],
    render: Callable[[str], str] | None,
) -> Item:
    if not isinstance(item, Record):
        return item
    text = render(item.text) if render else item.text
    if not text.strip():
        return Reject("empty-text", item.where, excerpt(item.text))
    named = value_at(item.fields, name_field) if name_field else None
    id = str(named) if isinstance(named, str | int) and not isinstance(named, bool) and named != "" else None
    if fields is None:
        own = id is None or name_field in (columns or ())
        kept = renamed(item.fields, columns).items()
        attributes = {key: value for key, value in kept if own or key != name_field}
    else:
        attributes = {}
        for attribute, names in fields.items():
            found = (value_at(item.fields, column) for column in ([names] if isinstance(names, str) else names))
            if (value := next((value for value in found if value is not None), None)) is not None:
                attributes[attribute] = value
    return Record(id, text, item.where, {**attributes, **constants})


def _under(turns: Sequence[Sequence[str]], size: Callable[[str], int], take: int) -> list[str]:
    """Names until the next would pass `take`: each list gives one in its turn, in hash order, its first in any case."""
    orders = [sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest()) for names in turns]
    kept = [names[0] for names in orders]
    total = sum(map(size, kept))
    for name in (name for turn in itertools.zip_longest(*(names[1:] for names in orders)) for name in turn if name):
        total += size(name)
        if total > take:
            break
        kept.append(name)
    return sorted(set(kept))


# A folder


class _Folder:
    """A dataset on this machine."""

    def __init__(self, location: Path, revision: str | None, hash: Callable[[Path], str], where: str | None) -> None:
        self.where, self.hash = where, hash
        self.notes: list[str] = []
        root = location.expanduser().absolute()
        if not root.is_dir():
            what = "is a file, and a dataset is a folder" if root.exists() else "is not there"
            raise RequestError(
                f"{root} {what}", where=where, remedy="Check the path; a dataset on the hub is named org/name."
            )
        self.revision: str | None = None
        if (root / "snapshots").is_dir():
            root = self._snapshot(root, revision)
        cached = root.parent.name == "snapshots"
        if cached and _COMMIT.fullmatch(root.name):
            self.revision = root.name
        if revision is not None and self.revision is None:
            raise RequestError(
                f"{root} is a plain folder, which has no revision {revision}",
                where=where,
                remedy="Leave revision out: the files are known by their bytes.",
            )
        if revision is not None and _COMMIT.fullmatch(revision) and revision != self.revision:
            raise RequestError(
                f"{root} is commit {self.revision}, not {revision}", where=where, remedy="Name the other snapshot."
            )
        owner = root.parent.parent.name if cached else ""
        self.id = owner.removeprefix("datasets--").replace("--", "/") if owner.startswith("datasets--") else None
        self.root, self.title = root, str(root)
        self.blobs = (root.parent.parent / "blobs").resolve() if cached else None
        self._names = sorted(self._walk())
        parquet = [name for name in self._names if name.endswith(".parquet")]
        self.converted = bool(parquet) and all(_CONVERTED.fullmatch(name) for name in parquet)
        if cached:
            self.notes.append(f"{root}: a cache holds what was once fetched, here {len(self._names)} files")

    def _snapshot(self, root: Path, revision: str | None) -> Path:
        """The snapshot of a cache's dataset folder that a revision means."""
        there = sorted(path.name for path in (root / "snapshots").iterdir() if path.is_dir())
        commit = revision
        if revision is None or not _COMMIT.fullmatch(revision):
            ref = root / "refs" / (revision or "main")
            inside = ".." not in PurePosixPath(revision or "main").parts and not (revision or "").startswith("/")
            commit = ref.read_text().strip() if inside and ref.is_file() else None
            if commit is None and revision is None and len(there) == 1:
                commit = there[0]
        if commit not in there:
            raise RequestError(
                f"the cache {root} does not hold {revision or 'main'}",
                where=self.where,
                remedy=f"It holds: {', '.join(there) or 'nothing'}.",
            )
        return root / "snapshots" / str(commit)

    def _walk(self) -> Iterator[str]:
        left = 0
        for folder, folders, names in os.walk(self.root, followlinks=False):
            left += sum(Path(folder, name).is_symlink() for name in folders)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in names:
                path = Path(folder, name)
                mode = path.lstat().st_mode
                inside = stat.S_ISREG(mode)
                if stat.S_ISLNK(mode):
                    target = Path(os.path.realpath(path))
                    inside = target.is_relative_to(self.root.resolve()) or bool(
                        self.blobs and target.is_relative_to(self.blobs)
                    )
                    left += not inside
                    # Whoever opens a pipe waits for it.
                    inside = inside and (target.is_file() or not target.exists())
                if inside and not name.startswith("."):
                    yield os.fsencode(path.relative_to(self.root).as_posix()).decode("utf-8", "backslashreplace")
        if left:
            self.notes.append(f"{self.root}: {left} links out of the folder are not followed")

    def card(self) -> Mapping[str, Any]:
        path = self.root / "README.md"
        if "README.md" not in self._names or not path.is_file():
            return {}
        return layout.header(path, self.title, self.where)

    def names(self, patterns: Sequence[str]) -> list[str]:
        return [name for name in self._names if layout.matches(name, patterns)]

    def children(self, folder: str) -> list[str]:
        prefix = folder + "/" if folder else ""
        below = (name[len(prefix) :] for name in self._names if name.startswith(prefix))
        return sorted({name.split("/", 1)[0] for name in below if "/" in name})

    def size(self, name: str) -> int:
        path = self.root / name
        return path.stat().st_size if path.exists() else 0

    def files(self, names: Sequence[str]) -> list[HubFile]:
        found = []
        for name in names:
            path = self.root / name
            try:
                size = path.stat().st_size
                with path.open("rb") as file:
                    head = file.read(len(_POINTER))
                if head == _POINTER and size < 1024:
                    raise RequestError(
                        f"{path} is a Git LFS pointer, not the data",
                        where=self.where,
                        remedy="Run `git lfs pull` in that clone, or download the dataset with `hf download`.",
                    )
                digest = self.hash(path)
            except OSError as error:
                raise RequestError(
                    f"{path} cannot be read: {error.strerror}",
                    where=self.where,
                    remedy="Fetch it again: the download may have stopped."
                    if path.is_symlink()
                    else "Make it readable.",
                ) from error
            blob = Path(os.path.realpath(path)).name if self.blobs and path.is_symlink() else ""
            if re.fullmatch(r"[0-9a-f]{64}", blob) and blob != digest:
                raise RequestError(
                    f"{path} is damaged: its bytes hash to {digest}, its name in the cache is {blob}",
                    where=self.where,
                    remedy="Delete it and fetch it again.",
                )
            found.append(HubFile(name, size, f"sha256:{digest}", str(path)))
        return found


# The hub


class _Hub:
    """A dataset on the hub, at one commit."""

    def __init__(self, id: str, revision: str | None, where: str | None, ready: str = "") -> None:
        if not _ID.fullmatch(id):
            raise RequestError(
                f"{id!r} is not the id of a dataset on the hub",
                where=where,
                remedy="It is org/name; a folder starts with ./ or /.",
            )
        self.id: str | None = id
        self.title, self.where, self.ready = id, where, ready
        self.converted = revision == "refs/convert/parquet"
        self.notes: list[str] = []
        self._entries: dict[str, Any] = {}
        self._listed: dict[tuple[str, bool], list[str]] = {}
        with explaining(id, revision, where, RequestError, answers=True, ready=ready):
            self.api = client(id, where, ready)
            info = self.api.dataset_info(id, revision=revision, timeout=_TIMEOUT, expand=["sha", "gated"])
            if info.gated:
                self.api.auth_check(id, repo_type="dataset")
        if not isinstance(info.sha, str) or not _COMMIT.fullmatch(info.sha):
            raise RequestError(
                f"{endpoint()} does not say which commit {revision or 'main'} of {id} is",
                where=where,
                remedy="Check HF_ENDPOINT: it does not answer as a hub does.",
            )
        self.revision: str | None = info.sha
        if revision != info.sha:
            self.notes.append(
                f"{id}: {revision or 'main'} is commit {info.sha} now; to pin it say revision: {info.sha}"
            )

    def card(self) -> Mapping[str, Any]:
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        with tempfile.TemporaryDirectory() as folder, self._explaining():
            try:
                path = self.api.hf_hub_download(
                    self.title, "README.md", repo_type="dataset", revision=self.revision, local_dir=folder
                )
            except EntryNotFoundError as error:
                if isinstance(error, LocalEntryNotFoundError):
                    # Not that there is none: it could not be asked for.
                    raise
                return {}
            return layout.header(Path(path), self.title, self.where)

    def names(self, patterns: Sequence[str]) -> list[str]:
        found: set[str] = set()
        for pattern in patterns:
            folder, deep = layout.static(pattern)
            found.update(name for name in self._list(folder, deep) if name in self._entries)
        return sorted(name for name in found if layout.matches(name, patterns))

    def children(self, folder: str) -> list[str]:
        prefix = folder + "/" if folder else ""
        below = (name[len(prefix) :] for name in self._list(folder, False) if name not in self._entries)
        return sorted(name for name in below if name)

    def _explaining(self, *, answers: bool = False) -> AbstractContextManager[None]:
        return explaining(self.title, self.revision, self.where, RequestError, answers=answers, ready=self.ready)

    def _list(self, folder: str, deep: bool) -> list[str]:
        """Paths below a folder of the commit; an empty list where there is no such folder."""
        from huggingface_hub import RepoFile
        from huggingface_hub.errors import EntryNotFoundError

        key = (folder, deep)
        if key not in self._listed:
            found: list[str] = []
            with self._explaining(answers=True):
                try:
                    for entry in self.api.list_repo_tree(
                        self.title, folder or None, recursive=deep, revision=self.revision, repo_type="dataset"
                    ):
                        found.append(entry.path)
                        if isinstance(entry, RepoFile):
                            self._entries[entry.path] = entry
                except EntryNotFoundError:
                    found = []
            self._listed[key] = found
        return self._listed[key]

    def size(self, name: str) -> int:
        return int(self._entries[name].size)

    def files(self, names: Sequence[str]) -> list[HubFile]:
        found = []
        for name in names:
            if ".." in PurePosixPath(name).parts or name.startswith("/"):
                raise RequestError(f"{self.title} has a file named {name!r}", where=self.where, remedy="Do not use it.")
            entry = self._entries[name]
            digest = f"sha256:{entry.lfs.sha256}" if entry.lfs else f"git:{entry.blob_id}"
            found.append(HubFile(name, entry.size, digest))
        return found


def _known(id: str | None, revision: str | None) -> tuple[str, str]:
    if id is None or revision is None or not _COMMIT.fullmatch(revision):
        raise ValueError("a file on the hub needs the dataset's id and commit")
    return id, revision


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(path: Path, like: str) -> str:
    """A file's digest in the same spelling as another one."""
    if like.startswith("sha256:"):
        return f"sha256:{_sha256(path)}"
    # How git names a blob.
    sha = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return f"git:{sha.hexdigest()}"
