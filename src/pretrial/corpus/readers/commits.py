"""Commits of a git repository: one document a commit, its message and what it changed.

Guarantees: as `repositories`: nothing runs, nothing is written, only the object store is read. Commits come oldest
first, by the committer's time and then by id; a diff is valid (applied to the old file it gives the new one) and
its time grows with the size of the files, whatever they hold (that of `difflib` can grow with its cube). Memory is
bounded by the two versions of one file, the entries of some trees, and about 300 bytes for each commit of the
history.
Does not: find renames other than of unchanged files, honour grafts and replaced objects, or follow attributes that
name another way to compare files.

The text of a commit, by `Options.form`:

- `"diff"`: the message, an empty line, then for each file `--- a/path`, `+++ b/path` (`/dev/null` where there is no
  such file) and hunks of a unified diff with three lines around a change; `rename from` and `rename to` for a
  file that moved as it was.
- `"before-after"`: `<commit_before>`, the old file, `<commit_msg>`, the message, `<commit_after>`, the new file: the
  form of StarCoderData, whose commits change one file each; commits of several are skipped.

*To Code, or Not To Code?* (section 2.1) says that its commits come from The Stack, not in which form. The default is
not StarCoderData's, since most commits change several files, and since a diff does not repeat what stays.
"""

from __future__ import annotations

import bisect
import codecs
import datetime
import hashlib
import io
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrial.corpus.bots import is_bot
from pretrial.corpus.languages import is_generated_name, is_generated_text, language_of
from pretrial.corpus.licences.notices import LOOKED_AT
from pretrial.corpus.licences.trees import TreeLicences
from pretrial.corpus.readers.record import Item, Record, Reject, Skip, excerpt
from pretrial.corpus.readers.repositories import Objects, commit_tree, headers, within
from pretrial.corpus.readers.safety import Fault, Limits, decoded_name, safe_name, spelled
from pretrial.errors import RequestError

CONTEXT = 3
FORMS = ("diff", "before-after")

_VERSION = re.compile(r"v?\d+(?:\.\d+)+(?:[-+.]?\w+)?")
_BUMPS = frozenset(
    """
    bump bumped bumping bumps build change chore ci cut for from new next number prepare publish release released
    releasing set tag the to update updated ver version versions
    """.split()
)
_TRAILER = re.compile(
    r"(?:signed-off-by|co-authored-by|co-developed-by|reviewed-by|acked-by|tested-by|reported-by|suggested-by"
    r"|requested-by|helped-by|mentored-by|approved-by|authored-by|committed-by|cc|from)\s*:.*",
    re.I,
)
_CHARSETS = re.compile(r"iso8859-\d+|cp125\d|cp1252|koi8-[ru]|euc_(?:jp|kr)|shift_jis|gbk|gb2312|gb18030|big5|ascii")
# Ids of the empty file: that one went and another came does not mean that it moved.
_EMPTY = frozenset([hashlib.sha1(b"blob 0\0").hexdigest(), hashlib.sha256(b"blob 0\0").hexdigest()])
_STEPS = 64
_EDITS = 256
_SPLITS = 32
_KEPT_ENTRIES = 300_000


@dataclass(frozen=True)
class Options:
    """Which commits become documents, and how.

    Attributes:
        form: `"diff"` or `"before-after"`, see above.
        authors: whether the author's name is kept as the field `author`, and lines such as `Signed-off-by` in the
            message. Both are left out otherwise: who wrote it is nobody's business here.
        version_bumps: whether commits are kept whose subject says nothing but that a version gets a number.
            StarCoder's filter left out subjects that are a version number; the words around it are ours.
        files: most files a commit may change, whether they are kept or not. Ours.
        file_bytes: most bytes of a file whose change is kept: 1 MB, the largest file of The Stack (its paper,
            section 3).
        diff_bytes: most UTF-8 bytes of the changes (of the two files, in the form "before-after"). StarCoder
            left out commits of files from 100,000 characters.
    """

    form: str = "diff"
    authors: bool = False
    version_bumps: bool = True
    files: int = 50
    file_bytes: int = 1_000_000
    diff_bytes: int = 100_000


def read_commits(
    path: Path,
    name: str,
    *,
    revision: str = "HEAD",
    options: Options | None = None,
    limits: Limits | None = None,
) -> Iterator[Item]:
    """Commits that a revision can reach, as documents, and the reasons for which one is none.

    Records are named `name@commit`. Their fields are `repository` (the name), `revision` (the commit), `kind`
    (`"commit"`), `date` (when it was committed, ISO 8601, UTC), `title` (the subject), `files` (how many its text
    shows), `omitted` (how many changed files it does not), `language` where all shown are in one, `license` (of the
    files shown, as they stood behind the commit: their own notices, the licence files above them; those of `revision`
    where the repository had none yet), and `author` where `options` says so.

    Skipped, each with what decided: merges (more than one parent), commits by bots (`corpus.bots`),
    commits without a message, without a change of text, with too many or too large changes, and the oldest of
    a shallow clone, whose parents are not there. Left out of a diff: links and submodules, and (`omitted`) binary
    and generated files and those over `file_bytes`.

    Args:
        path: a repository, as `read_repository` takes it.
        name: what it is called in places and fields.
        revision: see `resolve_revision`.
        options: which commits, and how.
        limits: the most it may cost.

    Raises:
        RequestError: when there is no such form, no repository, or no such name in it.
    """
    options = Options() if options is None else options
    if options.form not in FORMS:
        raise RequestError(f"commits have no form {options.form!r}", remedy=f"Known: {', '.join(FORMS)}.")
    limits = Limits() if limits is None else limits
    yield from within(path, name, revision, limits, lambda objects: _commits(objects, name, options, limits))


def _commits(objects: Objects, name: str, options: Options, limits: Limits) -> Iterator[Item]:
    history = _history(objects)
    shallow = objects.shallow()
    trees = _Trees(objects, limits)
    licences = _licences(objects, trees)
    for _, sha in history.order:
        where = f"{name}@{sha}"
        try:
            item = _document(objects, trees, licences, sha, where, options, shallow)
        except Fault as fault:
            item = Reject(fault.reason, where, excerpt(fault.detail))
        if isinstance(item, Record):
            item.fields.update({"repository": name, "revision": sha})
        yield item
    for sha in sorted(history.faults):
        yield Reject(history.faults[sha].reason, f"{name}@{sha}", excerpt(history.faults[sha].detail))


def _licences(objects: Objects, trees: _Trees) -> TreeLicences:
    """Licences in a repository's trees. What cannot be read is a fault of a document only where it is part of one."""

    def entries(sha: str) -> dict[bytes, tuple[int, str]]:
        try:
            return trees.entries(sha)
        except Fault:
            return {}

    def content(sha: str) -> bytes | None:
        try:
            return objects.of_kind("blob", sha)
        except Fault:
            return None

    try:
        head = commit_tree(objects.of_kind("commit", objects.commit))
    except Fault:
        head = ""
    return TreeLicences(entries, content, head)


@dataclass(frozen=True)
class _History:
    order: list[tuple[int, str]]
    faults: dict[str, Fault]


def _history(objects: Objects) -> _History:
    """Commits that can be reached, by time and id, and those that cannot be read."""
    shallow = objects.shallow()
    found: list[tuple[int, str]] = []
    faults: dict[str, Fault] = {}
    seen = {objects.commit}
    waiting = [objects.commit]
    while waiting:
        sha = waiting.pop()
        try:
            commit = _commit(objects.of_kind("commit", sha))
        except Fault as fault:
            faults[sha] = fault
            continue
        found.append((commit.time, sha))
        for parent in () if sha in shallow else commit.parents:
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    found.sort()
    return _History(found, faults)


@dataclass(frozen=True)
class _Commit:
    tree: str
    parents: tuple[str, ...]
    author: str
    mail: str
    time: int
    encoding: str
    message: bytes


def _commit(data: bytes) -> _Commit:
    lines, message = headers(data)
    known = dict(reversed(lines))
    name, mail, _ = _identity(known.get("author", ""))
    _, _, time = _identity(known.get("committer", ""))
    parents = tuple(value for key, value in lines if key == "parent")
    return _Commit(commit_tree(data), parents, name, mail, time, known.get("encoding", ""), message)


def _identity(value: str) -> tuple[str, str, int]:
    """Name, address and time of `Name <address> time zone`; what is missing or malformed is empty or 0."""
    person, _, when = value.rpartition(">")
    name, _, mail = person.partition("<")
    times = when.split(maxsplit=1)
    time = int(times[0]) if times and re.fullmatch(r"-?[0-9]{1,18}", times[0]) else 0
    return name.strip(), mail.strip(), time


def _document(
    objects: Objects,
    trees: _Trees,
    licences: TreeLicences,
    sha: str,
    where: str,
    options: Options,
    shallow: frozenset[str],
) -> Record | Reject | Skip:
    commit = _commit(objects.of_kind("commit", sha))
    size = len(commit.message)
    begins = excerpt(commit.message)
    if len(commit.parents) > 1:
        return Skip("merge", size, where, len(commit.parents), begins)
    if sha in shallow:
        return Skip("shallow", size, where, commit.parents[0] if commit.parents else None, begins)
    if bot := _bot(commit.author, commit.mail):
        return Skip("bot", size, where, excerpt(bot), begins)
    message = _message(commit)
    if message is None:
        return Reject("undecodable", where, excerpt(commit.message))
    if not options.authors:
        message = _without_trailers(message)
    subject = message.partition("\n")[0].strip()
    if not subject:
        return Skip("no-message", size, where, "", begins)
    if not options.version_bumps and _is_version_bump(subject):
        return Skip("version-bump", size, where, excerpt(subject), begins)
    before = commit_tree(objects.of_kind("commit", commit.parents[0])) if commit.parents else ""
    changes = trees.changes(before, commit.tree, options.files)
    if isinstance(changes, int):
        return Skip("many-files", size, where, changes, begins)
    shown = _text(objects, message, changes, options)
    if isinstance(shown, _Unshown):
        return Skip(shown.reason, shown.bytes, where, shown.value, begins)
    text, files = shown
    languages = {language_of(path) for path, _ in files}
    fields: dict[str, Any] = {"kind": "commit", "title": subject[:500], "files": len(files)}
    if len(files) < len(changes):
        fields["omitted"] = len(changes) - len(files)
    if (licence := licences.of(commit.tree, files)) is not None:
        fields["license"] = licence
    if (date := _date(commit.time)) is not None:
        fields["date"] = date
    if len(languages) == 1 and (language := languages.pop()):
        fields["language"] = language
    if options.authors and commit.author:
        fields["author"] = spelled(commit.author)
    return Record(where, text, where, fields)


def _bot(name: str, mail: str) -> str:
    """The name, or the local part of the address, that is a bot's; empty where neither is."""
    local = mail.partition("@")[0]
    # GitHub's private addresses put the account's number in front.
    names = (name.strip().lower(), local.rpartition("+")[2].lower())
    return next((one for one in names if is_bot(one)), "")


def _is_version_bump(subject: str) -> bool:
    words = [word.strip(".,;!'\"`") for word in re.split(r"[\s:()\[\]]+", subject.lower())]
    numbers = [word for word in words if _VERSION.fullmatch(word)]
    return bool(numbers) and len(words) < 12 and all(not word or word in _BUMPS or word in numbers for word in words)


def _message(commit: _Commit) -> str | None:
    """The message as text, without white space at line ends; `None` where its bytes are no text."""
    charset = "utf-8"
    if commit.encoding:
        try:
            named = codecs.lookup(commit.encoding).name
        except (LookupError, ValueError):
            named = ""
        # Not every codec of Python's is a character set.
        charset = named if _CHARSETS.fullmatch(named) else charset
    try:
        text = commit.message.decode(charset)
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    lines = (line.rstrip() for line in text.strip("\n").split("\n"))
    return "\n".join(lines).strip("\n")


def _without_trailers(message: str) -> str:
    lines = [line for line in message.split("\n") if not _TRAILER.fullmatch(line)]
    return "\n".join(lines).strip("\n")


def _date(time: int) -> str | None:
    try:
        return datetime.datetime.fromtimestamp(time, datetime.UTC).isoformat() if time else None
    except (OverflowError, ValueError, OSError):
        return None


# What a commit changed


@dataclass(frozen=True)
class _Change:
    """A file before and after: path and id of its content; empty where there is no such file."""

    old_path: str
    old: str
    path: str
    new: str


class _Trees:
    """Trees of a repository, the last ones kept, and how two of them differ."""

    def __init__(self, objects: Objects, limits: Limits) -> None:
        self._objects = objects
        self._limits = limits
        self._kept: dict[str, dict[bytes, tuple[int, str]]] = {}
        self._entries = 0

    def changes(self, before: str, after: str, most: int) -> list[_Change] | int:
        """Files that differ between two trees (`""`: none), by path; where they are more than `most`, how many.

        Of very many, the least that they are: it is not counted to the end.

        Raises:
            Fault: for a tree that cannot be read, or when the limit of entries is passed.
        """
        found: list[_Change] = []
        removed: dict[str, str] = {}
        count = seen = 0
        waiting = [(b"", before, after)]
        while waiting:
            folder, old_sha, new_sha = waiting.pop()
            old, new = self.entries(old_sha), self.entries(new_sha)
            for name in sorted(old.keys() | new.keys()):
                was, now = old.get(name), new.get(name)
                if was == now:
                    continue
                seen += 1
                if seen > self._limits.members:
                    raise Fault("too-many-members", f"more than {self._limits.members} entries")
                raw = folder + b"/" + name if folder else name
                path = safe_name(decoded_name(raw))
                if path is None or path.count("/") != raw.count(b"/") or b"/" in name or not name:
                    continue
                inside = _id(was, stat.S_IFDIR), _id(now, stat.S_IFDIR)
                if any(inside):
                    waiting.append((raw, *inside))
                old_file, new_file = _id(was, stat.S_IFREG), _id(now, stat.S_IFREG)
                if old_file == new_file:
                    continue
                count += 1
                if new_file:
                    found.append(_Change(path, old_file, path, new_file))
                else:
                    removed[path] = old_file
                # A file that moved counts twice until both ends are known.
                if count > 2 * most:
                    return max(len(found), len(removed))
        changes = _with_renames(found, removed)
        return changes if len(changes) <= most else len(changes)

    def entries(self, sha: str) -> dict[bytes, tuple[int, str]]:
        """(mode, id) of what lies in a tree, by name; raises `Fault` as `Objects.read`."""
        if not sha:
            return {}
        if sha not in self._kept:
            entries = {name: (mode, child) for name, mode, child in self._objects.tree(sha)}
            if self._entries + len(entries) > _KEPT_ENTRIES:
                self._kept, self._entries = {}, 0
            self._kept[sha] = entries
            self._entries += len(entries)
        return self._kept[sha]


def _id(entry: tuple[int, str] | None, form: int) -> str:
    return entry[1] if entry and stat.S_IFMT(entry[0]) == form else ""


def _with_renames(found: Sequence[_Change], removed: dict[str, str]) -> list[_Change]:
    """Changes by path. A new file with the content of one that went is that file under a new name."""
    left: dict[str, list[str]] = {}
    for path in sorted(removed, reverse=True):
        left.setdefault(removed[path], []).append(path)
    changes = []
    for change in sorted(found, key=lambda change: change.path):
        if not change.old and left.get(change.new) and change.new not in _EMPTY:
            changes.append(_Change(left[change.new].pop(), change.new, change.path, change.new))
        else:
            changes.append(change)
    changes += [_Change(path, sha, path, "") for sha, paths in left.items() for path in paths]
    return sorted(changes, key=lambda change: (change.path, change.old_path))


@dataclass(frozen=True)
class _Unshown:
    """Why a commit has no text: with its bytes as far as they were made, and what decided."""

    reason: str
    bytes: int
    value: int


def _text(
    objects: Objects, message: str, changes: Sequence[_Change], options: Options
) -> tuple[str, list[tuple[str, str]]] | _Unshown:
    """A commit's text and the files it shows, each with its beginning, or why it has none."""
    parts: list[str] = []
    files: list[tuple[str, str]] = []
    size = 0
    if options.form == "before-after" and len(changes) > 1:
        return _Unshown("many-files", len(message.encode()), len(changes))
    for change in changes:
        pair = _contents(objects, change, options.file_bytes)
        if pair is None:
            continue
        if options.form == "before-after":
            part = f"<commit_before>{pair[0]}<commit_msg>{message}<commit_after>{pair[1]}"
            size += len(part.encode()) - len(message.encode())
        else:
            part = _section(change, *pair)
            size += len(part.encode())
        if size > options.diff_bytes:
            return _Unshown("large-diff", size, size)
        parts.append(part)
        files.append((change.path, pair[1 if change.new else 0][:LOOKED_AT]))
    if not parts:
        return _Unshown("no-text-changed", len(message.encode()), len(changes))
    head = "" if options.form == "before-after" else f"{message}\n\n"
    return head + "".join(parts), files


def _contents(objects: Objects, change: _Change, most: int) -> tuple[str, str] | None:
    """A file's text before and after; `None` for one that is binary, generated or too large.

    Raises:
        Fault: when a version is missing or broken.
    """
    texts = []
    for path, sha in ((change.old_path, change.old), (change.path, change.new)):
        if not sha:
            texts.append("")
            continue
        if is_generated_name(path):
            return None
        try:
            data = objects.of_kind("blob", sha, most)
        except Fault as fault:
            if fault.reason == "oversize-object":
                return None
            raise
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return None
        if "\0" in text or is_generated_text(text):
            return None
        texts.append(text)
    return texts[0], texts[1]


# Diffs


def _section(change: _Change, old: str, new: str) -> str:
    if change.old == change.new:
        return f"rename from {change.old_path}\nrename to {change.path}\n"
    before = f"a/{change.old_path}" if change.old else "/dev/null"
    after = f"b/{change.path}" if change.new else "/dev/null"
    return f"--- {before}\n+++ {after}\n" + unified(old, new)


def unified(old: str, new: str) -> str:
    """Hunks of a unified diff of two texts, with three lines around each change; lines end at `\\n` only."""
    a, b = _lines(old), _lines(new)
    out: list[str] = []
    group: list[tuple[int, int, int, int]] = []
    for region in _differences(a, b):
        if group and region[0] - group[-1][1] > 2 * CONTEXT:
            _hunk(a, b, group, out)
            group = []
        group.append(region)
    if group:
        _hunk(a, b, group, out)
    return "".join(out)


def _lines(text: str) -> list[str]:
    return list(io.StringIO(text, newline="\n"))


def _hunk(a: Sequence[str], b: Sequence[str], group: Sequence[tuple[int, int, int, int]], out: list[str]) -> None:
    front = min(CONTEXT, group[0][0])
    start_a, start_b = group[0][0] - front, group[0][2] - front
    back = min(CONTEXT, len(a) - group[-1][1])
    end_a, end_b = group[-1][1] + back, group[-1][3] + back
    out.append(f"@@ -{_span(start_a, end_a)} +{_span(start_b, end_b)} @@\n")
    at = start_a
    for a1, a2, b1, b2 in group:
        out.extend(_marked(" ", a[at:a1]))
        out.extend(_marked("-", a[a1:a2]))
        out.extend(_marked("+", b[b1:b2]))
        at = a2
    out.extend(_marked(" ", a[at:end_a]))


def _span(start: int, end: int) -> str:
    length = end - start
    # An empty span names the line in front of it.
    first = start + 1 if length else start
    return f"{first}" if length == 1 else f"{first},{length}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield mark + line if line.endswith("\n") else f"{mark}{line}\n\\ No newline at end of file\n"


def _differences(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Where two lists of lines differ: (from, to) in the first and in the second, in order, nothing equal inside.

    Lines that occur once in both, in the same order, split the lists (patience diff); what lies between is compared
    by Myers' algorithm (1986) as long as that is cheap, and replaced as a whole where it is not.
    """
    # Most changes touch a few lines of a file: the rest is not worth a number.
    most = min(len(a), len(b))
    front = next((i for i in range(most) if a[i] != b[i]), most)
    most -= front
    back = next((i for i in range(most) if a[-1 - i] != b[-1 - i]), most)
    numbers: dict[str, int] = {}
    x = [numbers.setdefault(line, len(numbers)) for line in a[front : len(a) - back]]
    y = [numbers.setdefault(line, len(numbers)) for line in b[front : len(b) - back]]
    found: list[tuple[int, int, int, int]] = []
    waiting = [(0, len(x), 0, len(y), 0)]
    while waiting:
        a1, a2, b1, b2, depth = waiting.pop()
        while a1 < a2 and b1 < b2 and x[a1] == y[b1]:
            a1, b1 = a1 + 1, b1 + 1
        while a1 < a2 and b1 < b2 and x[a2 - 1] == y[b2 - 1]:
            a2, b2 = a2 - 1, b2 - 1
        if a1 == a2 or b1 == b2:
            if a1 < a2 or b1 < b2:
                found.append((a1, a2, b1, b2))
            continue
        anchors = _anchors(x, y, a1, a2, b1, b2) if depth < _SPLITS else []
        if not anchors:
            found += _edits(x, y, a1, a2, b1, b2) or [(a1, a2, b1, b2)]
            continue
        for i, j in anchors:
            waiting.append((a1, i, b1, j, depth + 1))
            a1, b1 = i + 1, j + 1
        waiting.append((a1, a2, b1, b2, depth + 1))
    found.sort()
    joined: list[tuple[int, int, int, int]] = []
    for region in found:
        if joined and joined[-1][1] == region[0] and joined[-1][3] == region[2]:
            joined[-1] = (joined[-1][0], region[1], joined[-1][2], region[3])
        else:
            joined.append(region)
    return [(a1 + front, a2 + front, b1 + front, b2 + front) for a1, a2, b1, b2 in joined]


def _anchors(x: Sequence[int], y: Sequence[int], a1: int, a2: int, b1: int, b2: int) -> list[tuple[int, int]]:
    """Places of lines that occur once in both ranges: the longest run of them that is in order in both."""
    first: dict[int, int] = {}
    for i in range(a1, a2):
        first[x[i]] = -1 if x[i] in first else i
    second: dict[int, int] = {}
    for j in range(b1, b2):
        second[y[j]] = -1 if y[j] in second else j
    pairs = [(i, second[line]) for line, i in first.items() if i >= 0 and second.get(line, -1) >= 0]
    # Longest increasing run of second places, by patience sorting.
    tops: list[int] = []
    heads: list[int] = []
    links: list[int] = []
    for index, (_, j) in enumerate(pairs):
        pile = bisect.bisect_left(tops, j)
        tops[pile : pile + 1] = [j]
        heads[pile : pile + 1] = [index]
        links.append(heads[pile - 1] if pile else -1)
    run: list[tuple[int, int]] = []
    index = heads[-1] if heads else -1
    while index >= 0:
        run.append(pairs[index])
        index = links[index]
    return run[::-1]


def _edits(
    x: Sequence[int], y: Sequence[int], a1: int, a2: int, b1: int, b2: int
) -> list[tuple[int, int, int, int]] | None:
    """The fewest changes between two ranges; `None` where they are too many to look for."""
    n, m = a2 - a1, b2 - b1
    budget = _STEPS * (n + m) + 4096
    ends = {1: 0}
    trace: list[dict[int, int]] = []
    for edits in range(min(n + m, _EDITS) + 1):
        trace.append(dict(ends))
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or (k != edits and ends[k - 1] < ends[k + 1])
            i = ends[k + 1] if down else ends[k - 1] + 1
            j = i - k
            budget -= 1
            while i < n and j < m and x[a1 + i] == y[b1 + j]:
                i, j = i + 1, j + 1
                budget -= 1
            ends[k] = i
            if i >= n and j >= m:
                return _path(trace, n, m, a1, b1)
            if budget < 0:
                return None
    return None


def _path(trace: Sequence[dict[int, int]], n: int, m: int, a1: int, b1: int) -> list[tuple[int, int, int, int]]:
    """The single insertions and deletions on the way that `_edits` found, as regions."""
    regions = []
    i, j = n, m
    for edits in range(len(trace) - 1, 0, -1):
        ends = trace[edits]
        k = i - j
        down = k == -edits or (k != edits and ends[k - 1] < ends[k + 1])
        before = k + 1 if down else k - 1
        i, j = ends[before], ends[before] - before
        regions.append((a1 + i, a1 + i + (not down), b1 + j, b1 + j + down))
    return regions
