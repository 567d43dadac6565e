"""Stack Exchange dumps: questions with their answers, from `Posts.xml`, plain or in the archive that holds it.

Guarantees: one document a question, answers by falling score; code stays code; posts are read as a stream, memory is
bounded by 64 MB of posts, one line (64 MB at most), 192 MB of one of 1,024 buckets of the dump and a count for each of
its questions; what is written to disk lies in the folder given for work and is deleted; a line that is no XML, a
truncated or damaged archive, or one that unpacks to far more than it should, is a reject and the rest is kept; a
question whose thread is too long for a document is a reject; entities and document types are refused, so an attack by
either does nothing.
Does not: read comments, edits or users' names beyond what a post carries, or fetch dumps.

Where an answer lies in a dump has nothing to do with its question's place. So posts are first spread over buckets by
their question's id modulo 1,024, in memory and past 64 MB in files of packed JSON lines; then each bucket is sorted
and joined; a bucket of more than 128 MB is split by ranges of ids first, and of a thread too long for a document one
post is kept. Threads come out by bucket, then by the question's id: an order that depends on the posts alone.

The text: title, question, then each answer under a line `Answer:`, or `Answer (accepted):` for the one the asker
accepted, which keeps its place by score. Score ties: the accepted one first, then the older one. HTML becomes
Markdown as people wrote it before it was rendered: paragraphs, `-` lists, `>` quotes, fenced code blocks with their
language, inline code in backticks; links become their text, pictures go.

Licence: each post's `ContentLicense`, else by its date: CC BY-SA 2.5 before 2011-04-08, 3.0 before 2018-05-02, 4.0
since (stackoverflow.com/help/licensing, the dumps' own readme); a thread has all of its posts', joined by AND.
Thresholds: the Stack v2 takes questions with at least 3 answers (arXiv 2402.19173, section 2: `min_answers=3`); here
the default is 1.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import io
import itertools
import json
import queue
import re
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from xml.parsers import expat

import zstandard

from pretrial.corpus.readers.packed import unpacked
from pretrial.corpus.readers.record import Item, Record, Reject, Skip, excerpt
from pretrial.corpus.readers.safety import Fault, Limits, check_ratio
from pretrial.corpus.readers.threads import fenced
from pretrial.corpus.sites import site_of
from pretrial.errors import RequestError, RunError

BUCKETS = 1024
SPILL_BYTES = 64_000_000
# Of a dump of 100 GB no bucket has as much, unless its ids are chosen for it.
BUCKET_BYTES = 128_000_000
# What Python takes for a post beside its texts.
POST_BYTES = 500
LINE_LIMIT = 64_000_000
# Ten times the most that the sites let a post have (30,000 characters).
BODY_LIMIT = 300_000
_CHUNK = 1 << 20
_DEEPEST = 8
_INVALID_TOKEN = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]
_MAGIC = {b"7z\xbc\xaf\x27\x1c": "7z", b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_LICENCES = (("2011-04-08", "CC-BY-SA-2.5"), ("2018-05-02", "CC-BY-SA-3.0"))


def read_stackexchange(
    path: Path,
    name: str,
    work: Path,
    *,
    site: str | None = None,
    beside: str = "",
    min_score: int | None = None,
    min_answers: int = 1,
    min_answer_score: int | None = None,
    sha256: str | None = None,
    limits: Limits | None = None,
) -> Iterator[Item]:
    """The threads of a dump, one record a question that passes the thresholds.

    Fields: `kind` ("thread"), `site`, `url`, `title`, `tags`, `score` (the question's), `answers` (how many follow),
    `accepted` (whether one of them is), `date` (the question's, ISO), `license`, `author` (the asker's id or name).

    Args:
        path: `Posts.xml`, or a `.7z` or `.zip` that holds it, or it packed as `.gz` or `.zst` (by the first bytes).
        name: what it is called in places (`name:line`).
        work: folder for what does not fit into memory.
        site: the site's host name; `None` takes it from the member's, the file's or a folder's name
            (`cooking.stackexchange.com.7z`).
        beside: the site where none of these names one: that of the folder in which the file lies, if it is called so.
        min_score: least score of a question; `None` takes all.
        min_answers: least answers, counted after `min_answer_score`.
        min_answer_score: least score of an answer, else it is left out of its thread; `None` keeps all.
        sha256: what the file's bytes must hash to.
        limits: how far the file may unpack, and the most bytes of a thread, of its posts in memory and as text.

    Raises:
        RequestError: when the file is a 7z archive and py7zr is not installed.
        RunError: when the bytes do not hash to `sha256`.
    """
    if sha256 is not None and _hash(path) != sha256:
        raise RunError(f"{path} changed while it was being read", remedy="Run again when nothing writes to it.")
    limits = Limits() if limits is None else limits
    for member in _members(path, name, limits):
        if isinstance(member, Reject):
            yield member
            continue
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work) as folder:
            posts = _Buckets(Path(folder), limits.document_bytes)
            with contextlib.closing(member.chunks):
                yield from _spread(member, posts)
            host = site or site_of(member.name) or site_of(name) or beside
            wanted = _Wanted(min_score, min_answers, min_answer_score, limits.document_bytes)
            for bucket in range(BUCKETS):
                for run, sizes in posts.take(bucket):
                    yield from _joined(run, sizes, member.name, host, wanted)


# Bytes: from a file, or out of an archive


@dataclass(frozen=True)
class _Member:
    name: str
    chunks: Generator[bytes, None, None]


class _Broken(Exception):
    """The bytes end too soon or make no sense; the message says how."""


def _members(path: Path, name: str, limits: Limits) -> Iterator[_Member | Reject]:
    with path.open("rb") as file:
        head = file.read(8)
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), "")
    if kind == "7z":
        yield from _seven_zip(path, name, limits)
    elif kind == "zip":
        yield from _zip(path, name, limits)
    else:
        yield _Member(name, _stream(path, kind, limits))


def _is_posts(member: str) -> bool:
    return PurePosixPath(member).name.lower() == "posts.xml"


def _stream(path: Path, kind: str, limits: Limits) -> Generator[bytes, None, None]:
    with path.open("rb") as file:
        stream: Any = unpacked(file, kind, lambda: path.open("rb"), limits) if kind else file
        while True:
            try:
                # Of a cut file what stands before the cut comes first, then the error.
                chunk = stream.read1(_CHUNK)
            except OSError as error:
                if not kind or error.errno is not None:
                    raise
                raise _Broken(str(error)) from error
            if not chunk:
                return
            yield chunk


def _zip(path: Path, name: str, limits: Limits) -> Iterator[_Member | Reject]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if _is_posts(info.filename)]
            if not members:
                yield Reject("no-posts-xml", name, excerpt(", ".join(archive.namelist())))
            for info in members:
                where = f"{name}/{info.filename}"
                yield _bomb(where, info.file_size, info.compress_size, limits) or _Member(
                    where, _unzipped(archive, info)
                )
    except zipfile.BadZipFile as error:
        yield Reject("corrupt-file", name, excerpt(str(error)))


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Generator[bytes, None, None]:
    try:
        with archive.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _Broken(str(error)) from error


def _bomb(where: str, size: int, packed: int, limits: Limits) -> Reject | None:
    try:
        check_ratio(size, packed, limits)
    except Fault as fault:
        return Reject(fault.reason, where, fault.detail)
    return None


def _seven_zip(path: Path, name: str, limits: Limits) -> Iterator[_Member | Reject]:
    try:
        import py7zr
    except ImportError as error:
        raise RequestError(
            f"{path} is a 7z archive, and py7zr is not installed",
            remedy="pip install 'pretrial[corpora]', or unpack Posts.xml and name it.",
        ) from error
    try:
        with py7zr.SevenZipFile(path) as archive:
            members = {info.filename: info.uncompressed for info in archive.list() if _is_posts(info.filename)}
            others = ", ".join(archive.getnames())
    except Exception as error:  # a damaged header makes the library fail in many ways
        yield Reject("corrupt-file", name, excerpt(f"{type(error).__name__}: {error}"))
        return
    if not members:
        yield Reject("no-posts-xml", name, excerpt(others))
    for member, size in members.items():
        where = f"{name}/{member}"
        yield _bomb(where, size, path.stat().st_size, limits) or _Member(where, _unpacked(path, member))


class _Stopped(Exception):
    """Nobody wants the rest."""


def _unpacked(path: Path, target: str) -> Generator[bytes, None, None]:
    """A member's bytes as they come out. py7zr pushes them: it runs in a thread, two pieces ahead."""
    pieces: queue.Queue[bytes | Exception | None] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def put(piece: bytes | Exception | None) -> None:
        while not stop.is_set():
            try:
                pieces.put(piece, timeout=0.1)
                return
            except queue.Full:
                continue
        raise _Stopped

    def run() -> None:
        try:
            _extract(path, target, put)
            put(None)
        except _Stopped:
            pass
        except Exception as error:  # handed over, and raised where it can be told
            of_disk = isinstance(error, OSError) and error.errno is not None
            with contextlib.suppress(_Stopped):
                put(error if of_disk else _Broken(f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=run, name="unpack", daemon=True)
    thread.start()
    try:
        while (piece := pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece
    finally:
        stop.set()
        thread.join()


def _extract(path: Path, target: str, put: Callable[[bytes], None]) -> None:
    import py7zr
    from py7zr.io import Py7zIO, WriterFactory

    class Sink(Py7zIO):
        def __init__(self) -> None:
            self.written = 0

        def write(self, s: bytes | bytearray) -> int:
            self.written += len(s)
            for start in range(0, len(s), _CHUNK):
                put(bytes(s[start : start + _CHUNK]))
            return len(s)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            pass

        def size(self) -> int:
            return self.written

    class Factory(WriterFactory):
        def create(self, filename: str) -> Py7zIO:
            return Sink()

    # Given an open file it stays in this thread; given a path it starts one for each block.
    with path.open("rb") as file, py7zr.SevenZipFile(file) as archive:
        archive.extract(targets=[target], factory=Factory())


# Posts: from XML into buckets


class _Post(NamedTuple):
    question: int
    answer: int
    id: int
    score: int
    accepted: int
    date: str
    license: str
    author: str
    title: str
    tags: str
    body: str
    line: int


class _Refused(Exception):
    """A document type, an entity or depth that no dump has."""


class _Rows:
    """An XML parser fed with whole lines. `items` gathers posts and what is none until it is taken."""

    def __init__(self, name: str, line: int) -> None:
        self.items: list[_Post | Item] = []
        self.name, self.line, self.depth = name, line, 0
        # Dumps are UTF-8; a declaration that says otherwise is not believed, since Python would look its codec up.
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        # Refused before anything of them is read; an external one is never fetched.
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def _refuse(self, *_: Any) -> None:
        raise _Refused("a document type or an entity")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _Refused(f"elements more than {_DEEPEST} deep")
        if tag == "row":
            line = self.line + self.parser.CurrentLineNumber - 1
            self.items.append(_post(attributes, f"{self.name}:{line}", line))

    def _end(self, _: str) -> None:
        self.depth -= 1


def _post(row: dict[str, str], where: str, line: int) -> _Post | Item:
    body = row.get("Body", "")
    kind = row.get("PostTypeId")
    if kind not in ("1", "2"):
        # Wikis of tags, nominations, and other things that are neither question nor answer.
        return Skip("other-post", len(body.encode()))
    try:
        id = _number(row["Id"])
        question = id if kind == "1" else _number(row["ParentId"])
        score, accepted = _number(row.get("Score", "0")), _number(row.get("AcceptedAnswerId", "0"))
    except (KeyError, ValueError) as error:
        return Reject("incomplete-post", where, excerpt(f"{type(error).__name__}: {error}"))
    date = row.get("CreationDate", "")
    author = row.get("OwnerUserId") or row.get("OwnerDisplayName") or ""
    return _Post(
        question, int(kind == "2"), id, score, accepted, date, _licence(row.get("ContentLicense"), date), author,
        row.get("Title", ""), row.get("Tags", ""), body, line,
    )  # fmt: skip


def _number(text: str) -> int:
    if len(text) > 18:
        raise ValueError(f"not a number: {text[:40]}")
    return int(text)


def _licence(named: str | None, date: str) -> str:
    if named:
        return re.sub(r"\s+", "-", named.strip())
    return next((licence for before, licence in _LICENCES if date[:10] < before), "CC-BY-SA-4.0") if date else ""


def _spread(member: _Member, posts: _Buckets) -> Iterator[Item]:
    """Put a member's posts into buckets; what is none comes out."""
    name = member.name
    rows, number, fed = _Rows(name, 1), 1, False
    try:
        for block, whole in _blocks(member.chunks):
            if not whole:
                yield Reject("oversize-line", f"{name}:{number}", excerpt(block))
                rows, number = _restarted(name, number + 1), number + 1
                continue
            fed = True
            rest = block
            while rest:
                lines = rest.count(b"\n")
                try:
                    rows.parser.Parse(rest, False)
                    rest = b""
                except expat.ExpatError as error:
                    yield from _taken(rows, posts)
                    at, broken, rest = _behind_error(
                        rest, rows.line + error.lineno - 1 - number, error, rows.line < number
                    )
                    yield Reject("malformed-xml", f"{name}:{number + at}", excerpt(broken or str(error)))
                    number += lines - rest.count(b"\n")
                    rows = _restarted(name, number)
                else:
                    number += lines
                    yield from _taken(rows, posts)
        if rows.depth:
            yield Reject("truncated-file", f"{name}:{number}", "the document ends before its last element does")
        elif not fed:
            yield Skip("empty", 0)
    except _Refused as error:
        yield from _taken(rows, posts)
        yield Reject("refused-xml", f"{name}:{number}", str(error))
    except _Broken as error:
        yield from _taken(rows, posts)
        yield Reject("corrupt-file", f"{name}:{number}", excerpt(str(error)))
    except Fault as fault:
        yield from _taken(rows, posts)
        yield Reject(fault.reason, f"{name}:{number}", excerpt(fault.detail))


def _behind_error(block: bytes, line: int, error: expat.ExpatError, before: bool) -> tuple[int, bytes, bytes]:
    """(index of the broken line, it, the lines to go on with). Lines are rows: only the broken one is lost.

    A row without its end is noticed where the next one begins: that one is whole, the line before it (`before`: there
    is one that this parser read) is not.
    """
    lines = block.split(b"\n", max(line, 0) + 1)
    if line < 0 or line >= len(lines):
        return 0, block, b""
    begins = lines[line].lstrip().startswith(b"<row") and not lines[line][: error.offset].strip()
    if begins and error.code == _INVALID_TOKEN and (line or before):
        return line - 1, lines[line - 1].strip() if line else b"", b"\n".join(lines[line:])
    return line, lines[line].strip(), lines[line + 1] if line + 1 < len(lines) else b""


def _restarted(name: str, line: int) -> _Rows:
    rows = _Rows(name, line)
    rows.parser.Parse(b"<posts>", False)
    return rows


def _taken(rows: _Rows, posts: _Buckets) -> Iterator[Item]:
    for item in rows.items:
        if isinstance(item, _Post):
            posts.add(item)
        else:
            yield item
    rows.items.clear()


def _blocks(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """(bytes, whether they are whole lines); of a line over the limit only the beginning."""
    held: list[bytes] = []
    size = 0
    skipping = False
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if skipping:
            first = chunk.find(b"\n") + 1
            if not first:
                continue
            skipping = False
            chunk, cut = chunk[first:], cut - first
        if cut:
            yield b"".join([*held, chunk[:cut]]), True
            held, size = [], 0
        if len(chunk) > cut:
            held.append(chunk[cut:])
            size += len(chunk) - cut
        if size > LINE_LIMIT:
            yield b"".join(held)[:1000], False
            held, size, skipping = [], 0, True
    if held:
        yield b"".join(held), True


class _Buckets:
    """Posts by their question, in memory, and past a size in files."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most
        self.rows: dict[int, list[bytes]] = {}
        self.size = 0
        self.bucket_sizes: Counter[int] = Counter()

    def add(self, post: _Post) -> None:
        row = json.dumps(post, ensure_ascii=False, separators=(",", ":")).encode()
        self._put(post.question % BUCKETS, row)

    def _put(self, bucket: int, row: bytes) -> None:
        self.rows.setdefault(bucket, []).append(row)
        self.bucket_sizes[bucket] += len(row) + POST_BYTES
        self.size += len(row) + 50
        if self.size >= SPILL_BYTES:
            packer = zstandard.ZstdCompressor(level=1)
            for bucket, rows in self.rows.items():
                # Opened and closed each time: 1,024 open files are more than many systems allow. Frames behind one
                # another are one file.
                with self._file(bucket).open("ab") as file:
                    file.write(packer.compress(b"\n".join(rows) + b"\n"))
            self.rows, self.size = {}, 0

    def take(self, bucket: int) -> Iterator[tuple[list[_Post], Mapping[int, int]]]:
        """A bucket's posts, in pieces that fit into memory, with what each question's posts take of it.

        They are by question, the question before its answers, these by id. Of a question whose posts take more than
        `most` bytes only the first may be there. They leave memory and disk.
        """
        sizes: Counter[int] = Counter()
        small = self.bucket_sizes[bucket] <= BUCKET_BYTES
        posts: list[_Post] = []
        for row in self._rows(bucket):
            sizes[_question(row)] += len(row) + POST_BYTES
            if small:
                posts.append(_Post(*json.loads(row)))
        if small:
            self._drop(bucket)
            yield sorted(posts, key=_place), sizes
            return
        # Where the pieces begin.
        starts, size = [min(sizes)], 0
        for question in sorted(sizes):
            own = sizes[question] if sizes[question] <= self.most else 0
            if size + own > BUCKET_BYTES and size:
                starts.append(question)
                size = 0
            size += own
        folder = self.folder / f"{bucket:04d}"
        folder.mkdir()
        pieces = _Buckets(folder, self.most)
        first: dict[int, _Post] = {}
        for row in self._rows(bucket):
            question = _question(row)
            if sizes[question] <= self.most:
                pieces._put(bisect.bisect(starts, question) - 1, row)
            else:
                post = _Post(*json.loads(row))._replace(title="", tags="", body="")
                first[question] = min(first.get(question, post), post, key=_place)
        self._drop(bucket)
        for post in first.values():
            row = json.dumps(post, ensure_ascii=False, separators=(",", ":")).encode()
            pieces._put(bisect.bisect(starts, post.question) - 1, row)
        for piece in range(len(starts)):
            posts = sorted((_Post(*json.loads(row)) for row in pieces._rows(piece)), key=_place)
            pieces._drop(piece)
            yield posts, sizes
        folder.rmdir()

    def _rows(self, bucket: int) -> Iterator[bytes]:
        """A bucket's posts in the order in which they came."""
        path = self._file(bucket)
        if path.exists():
            with path.open("rb") as file:
                reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
                for row in io.BufferedReader(reader, _CHUNK):
                    yield row[:-1]
        yield from self.rows.get(bucket, ())

    def _drop(self, bucket: int) -> None:
        self.rows.pop(bucket, None)
        self._file(bucket).unlink(missing_ok=True)

    def _file(self, bucket: int) -> Path:
        return self.folder / f"{bucket:04d}.zst"


def _question(row: bytes) -> int:
    """The first number of a post's row."""
    return int(row[1 : row.index(b",")])


def _place(post: _Post) -> tuple[int, int, int, int]:
    return post.question, post.answer, post.id, post.line


# Threads: a question with its answers


class _Wanted(NamedTuple):
    min_score: int | None
    min_answers: int
    min_answer_score: int | None
    most_bytes: int


def _joined(posts: list[_Post], sizes: Mapping[int, int], name: str, site: str, wanted: _Wanted) -> Iterator[Item]:
    for question, group in itertools.groupby(posts, key=lambda post: post.question):
        if sizes[question] > wanted.most_bytes:
            # Whatever it would be without some of its answers: they are not collected for it.
            yield _oversize(next(group), name, sizes[question], wanted.most_bytes)
            continue
        thread: dict[tuple[int, int], _Post] = {}
        for post in group:
            if thread.setdefault((post.answer, post.id), post) is not post:
                yield Reject("repeated-post", f"{name}:{post.line}", excerpt(post.body))
        first, *answers = thread.values()
        if first.answer:
            for post in (first, *answers):
                yield _skipped("answer-without-question", post, name, site, post.question)
            continue
        yield from _thread(first, answers, name, site, wanted)


def _oversize(post: _Post, name: str, size: int, most: int) -> Reject:
    detail = f"question {post.question} with its answers: {size} bytes, more than {most}"
    return Reject("oversize-post", f"{name}:{post.line}", detail)


def _thread(question: _Post, answers: list[_Post], name: str, site: str, wanted: _Wanted) -> Iterator[Item]:
    min_score, min_answers, min_answer_score, most = wanted
    kept = []
    for post in answers:
        if min_answer_score is not None and post.score < min_answer_score:
            yield _skipped("low-score-answer", post, name, site, post.score)
        else:
            kept.append(post)
    size = len(question.body.encode()) + sum(len(post.body.encode()) for post in kept)
    if min_score is not None and question.score < min_score:
        yield _skipped("low-score", question, name, site, question.score, size)
        return
    if len(kept) < min_answers:
        yield _skipped("few-answers", question, name, site, len(kept), size)
        return
    where = f"{name}:{question.line}"
    long = next((post for post in (question, *kept) if len(post.body) > BODY_LIMIT), None)
    if long:
        yield Reject("oversize-post", f"{name}:{long.line}", f"{len(long.body)} characters")
        return
    accepted = question.accepted
    kept.sort(key=lambda post: (-post.score, post.id != accepted, post.id))
    parts = [" ".join(question.title.split())]
    length = len(parts[0].encode()) + 2 * bool(parts[0])
    for post in (question, *kept):
        head = "" if post is question else "Answer (accepted):" if post.id == accepted else "Answer:"
        added = [head, markdown(post.body)]
        parts += added
        # Quotes and lists in each other make a body longer, up to thirty times.
        length += sum(len(part.encode()) + 2 for part in added if part)
        if length - 1 > most:
            yield _oversize(question, name, length - 1, most)
            return
    text = "\n\n".join(part for part in parts if part) + "\n"
    if not text.strip():
        yield Reject("empty-text", where, excerpt(question.body))
        return
    fields: dict[str, Any] = {
        "kind": "thread",
        "site": site,
        "url": f"https://{site}/q/{question.id}" if site else "",
        "title": question.title,
        "tags": re.findall(r"[^<>|]+", question.tags),
        "score": question.score,
        "answers": len(kept),
        "accepted": any(post.id == accepted for post in kept),
        "date": question.date,
        "license": " AND ".join(sorted({post.license for post in (question, *kept)} - {""})),
        "author": question.author,
    }
    yield Record(
        f"{site}/q/{question.id}" if site else str(question.id),
        text,
        where,
        {key: value for key, value in fields.items() if value not in ("", [])},
    )


def _skipped(reason: str, post: _Post, name: str, site: str, value: int, size: int | None = None) -> Skip:
    """A post left out, by its id on its site (questions under `q`, answers under `a`)."""
    id = f"{site}/{'a' if post.answer else 'q'}/{post.id}" if site else str(post.id)
    size = len(post.body.encode()) if size is None else size
    return Skip(reason, size, f"{name}:{post.line}", value, excerpt(post.title or post.body), id)


# Bodies: HTML into Markdown

# Tags by one pattern, in linear time, with everything else as text: the sites write out a body's HTML themselves, from
# a short list of tags, with every `<` that is none as an entity. Three times as fast as the standard library's parser.
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)>")
_BLOCKS = frozenset(
    """address article aside blockquote center dd details div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6
    header hr li main nav ol p pre section summary table tbody tfoot thead tr ul""".split()
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_DEEPEST_LIST = 10
_SPACE = re.compile(r"[ \t\r\n\f]+")
_LANGUAGE = re.compile(r"class=[\"'](?:[^\"']{0,200}\s)?lang(?:uage)?-([A-Za-z0-9+#.-]{1,30})")
_START = re.compile(r"start=[\"']?([0-9]{1,5})\b")


def markdown(html: str) -> str:
    """The text of a post's HTML as Markdown; see the module. Any text is taken: what is no tag stays as it is."""
    if "<" not in html:
        return unescape(html).strip()
    html = _without_comments(html)
    writer = _Writer()
    at = 0
    for tag in _TAG.finditer(html):
        if tag.start() > at:
            writer.data(unescape(html[at : tag.start()]))
        at = tag.end()
        (writer.end if tag[1] else writer.start)(tag[2].lower(), tag[3])
    if at < len(html):
        writer.data(unescape(html[at:]))
    return writer.finished()


def _without_comments(html: str) -> str:
    parts, at = [], 0
    while (start := html.find("<!--", at)) >= 0 and (end := html.find("-->", start)) >= 0:
        parts.append(html[at:start])
        at = end + 3
    return "".join([*parts, html[at:]]) if parts else html


@dataclass
class _Nest:
    """A quote, list or item that blocks lie in: what stands before its first line and all others; the next number."""

    tag: str
    first: str
    other: str
    used: bool = False
    number: int = -1


class _Writer:
    """Markdown of the tags and texts it is given."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.text: list[str] = []
        self.code: list[str] | None = None
        self.block: list[str] | None = None
        self.language = ""
        self.heading = ""
        self.nests: list[_Nest] = []
        self.last = ""

    def start(self, tag: str, attributes: str) -> None:
        if self.block is not None:
            if tag == "br":
                self.block.append("\n")
        elif tag == "code":
            self.code = [] if self.code is None else self.code
        elif tag == "br":
            self.text.append("\n")
        elif tag in ("sup", "sub"):
            self.text.append("^" if tag == "sup" else "_")
        elif tag in ("td", "th"):
            if self.text:
                self.text.append(" | ")
        elif tag in _BLOCKS:
            self._flush()
            self._open(tag, attributes)

    def _open(self, tag: str, attributes: str) -> None:
        if tag == "pre":
            self.block = []
            named = _LANGUAGE.search(attributes)
            self.language = named[1] if named else ""
        elif tag in ("ul", "ol"):
            named = _START.search(attributes)
            number = int(named[1]) if named else 1
            self.nests.append(_Nest("list", "", "", number=number if tag == "ol" else -1))
        elif tag == "li":
            self._close("li")
            mark = "- "
            if self.nests and self.nests[-1].number >= 0:
                mark = f"{self.nests[-1].number}. "
                self.nests[-1].number += 1
            self.nests.append(_Nest("li", mark, " " * len(mark)))
        elif tag == "blockquote":
            self.nests.append(_Nest("blockquote", "> ", "> "))
        else:
            self.heading = _HEADINGS.get(tag, "")

    def end(self, tag: str, _: str) -> None:
        if self.block is not None:
            if tag == "pre":
                self._end_block()
        elif tag == "code" and self.code is not None:
            self.text.append(_ticked("".join(self.code)))
            self.code = None
        elif tag in _BLOCKS:
            self._flush("tr" if tag == "tr" else "p")
            if tag in ("li", "blockquote"):
                self._close(tag)
            elif tag in ("ul", "ol"):
                self._close("list")
                if not any(nest.tag == "list" for nest in self.nests):
                    self.last = "p"

    def data(self, text: str) -> None:
        if self.block is not None:
            self.block.append(text)
        elif self.code is not None:
            self.code.append(text)
        else:
            self.text.append(_SPACE.sub(" ", text))

    def _end_block(self) -> None:
        self._emit(fenced("".join(self.block or []), self.language).split("\n"), "pre")
        self.block, self.code = None, None

    def finished(self) -> str:
        if self.block is not None:
            self._end_block()
        self._flush()
        return "\n".join(self.lines).strip("\n")

    def _close(self, tag: str) -> None:
        """Leave the innermost quote, list or item of this kind, and what was not closed inside it."""
        for place in range(len(self.nests) - 1, -1, -1):
            if self.nests[place].tag == tag:
                del self.nests[place:]
                return
            if tag == "li":
                # An item ends with its own list or quote, not with one around it.
                return

    def _flush(self, kind: str = "p") -> None:
        if self.code is not None:
            self.text.append(_ticked("".join(self.code)))
            self.code = None
        if self.text:
            # Runs of spaces come from tags between them; they are few, and a `br` is a line's end.
            text = "\n".join(line.strip() for line in "".join(self.text).split("\n"))
            self.text.clear()
            while "  " in text:
                text = text.replace("  ", " ")
            if text := text.strip():
                self._emit((self.heading + text).split("\n"), kind)
        self.heading = ""

    def _emit(self, block: list[str], kind: str) -> None:
        nests = self.nests[:_DEEPEST_LIST]
        new_item = any(nest.tag == "li" and not nest.used for nest in nests)
        inside = any(nest.tag == "li" for nest in nests)
        tight = (new_item and self.last == "li") or (kind == "tr" and self.last == "tr")
        if self.lines and not tight:
            self.lines.append("".join(nest.other for nest in nests if nest.used).rstrip())
        for line in block:
            prefix = "".join(nest.other if nest.used else nest.first for nest in nests)
            for nest in nests:
                nest.used = True
            self.lines.append((prefix + line).rstrip())
        self.last = "li" if inside else kind


def _ticked(text: str) -> str:
    """Inline code in as many backticks as its content needs."""
    text = " ".join(text.split())
    if not text:
        return ""
    marks = "`" * (max(map(len, re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{marks}{pad}{text}{pad}{marks}"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
