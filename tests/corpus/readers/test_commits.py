"""Commits as documents: what their text says, which are none, and diffs that are true."""

from __future__ import annotations

import hashlib
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from dulwich import objects
from hypothesis import given, settings
from hypothesis import strategies as st

import git_objects
from pretrial.corpus.readers import commits
from pretrial.corpus.readers.commits import Options, read_commits, unified
from pretrial.corpus.readers.record import Record, Reject, Skip
from pretrial.corpus.readers.safety import Limits
from pretrial.errors import RequestError

START = 1_700_000_000


class History:
    """A repository to which a test commits."""

    def __init__(self, folder: Path, *, bare: bool = False) -> None:
        self.folder = folder
        self.repo = git_objects.make(folder, bare=bare)
        self.last: list[str] = []

    def blob(self, data: bytes) -> objects.ObjectID:
        return git_objects.blob(self.repo, data)

    def tree(self, files: Mapping[str, Any]) -> objects.ObjectID:
        return git_objects.tree(self.repo, files)

    def commit(
        self,
        files: Mapping[str, Any],
        message: bytes | str = "Change things\n",
        *,
        author: str = "A Person <a@example.org>",
        at: int | None = None,
        parents: Iterable[str] | None = None,
        encoding: str | None = None,
    ) -> str:
        message = message.encode() if isinstance(message, str) else message
        at = START + len(list(self.repo.object_store)) if at is None else at
        lines = [f"tree {self.tree(files).decode()}"]
        lines += [f"parent {parent}" for parent in (self.last if parents is None else parents)]
        lines += [f"author {author} {at} +0200", f"committer C O <c@example.org> {at} +0200"]
        lines += [f"encoding {encoding}"] if encoding else []
        made = objects.ShaFile.from_raw_string(1, "\n".join(lines).encode() + b"\n\n" + message)
        self.repo.object_store.add_object(made)
        self.last = [made.id.decode()]
        self.repo.refs[b"refs/heads/main"] = made.id
        return self.last[0]

    def read(self, revision: str = "HEAD", limits: Limits | None = None, **options: Any) -> list[Any]:
        return list(read_commits(self.folder, "r", revision=revision, options=Options(**options), limits=limits))


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "repo")


def texts(items: Iterable[Any]) -> list[str]:
    return [item.text for item in items if isinstance(item, Record)]


def reasons(items: Iterable[Any]) -> dict[str, int]:
    return dict(Counter(item.reason for item in items if not isinstance(item, Record)))


def test_a_commit_is_its_message_and_its_diff(history: History) -> None:
    old = b"".join(b"line %d\n" % number for number in range(1, 21))
    first = history.commit({"a.py": old, "old.py": b"gone\n", "same.py": b"same\n"}, "Begin\n\nWith words.\n")
    new = old.replace(b"line 10\n", b"line ten\nand more\n")
    second = history.commit({"a.py": new, "src/new.py": b"x = 1", "same.py": b"same\n"}, "Go on\n")
    root, change = history.read()
    assert root.text.startswith("Begin\n\nWith words.\n\n--- /dev/null\n+++ b/a.py\n@@ -0,0 +1,20 @@\n+line 1\n")
    assert change.text == (
        "Go on\n\n"
        "--- a/a.py\n+++ b/a.py\n@@ -7,7 +7,8 @@\n line 7\n line 8\n line 9\n-line 10\n+line ten\n+and more\n"
        " line 11\n line 12\n line 13\n"
        "--- a/old.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"
        "--- /dev/null\n+++ b/src/new.py\n@@ -0,0 +1 @@\n+x = 1\n\\ No newline at end of file\n"
    )
    assert (root.id, change.id) == (f"r@{first}", f"r@{second}")
    assert change.fields == {
        "kind": "commit",
        "repository": "r",
        "revision": second,
        "date": root.fields["date"][:14] + change.fields["date"][14:],
        "title": "Go on",
        "files": 3,
        "language": "python",
    }
    assert re.fullmatch(r"2023-11-14T22:\d\d:\d\d\+00:00", change.fields["date"])


def test_one_file_before_and_after_as_starcoder_has_it(history: History) -> None:
    history.commit({"a.py": b"x = 1\n"}, "Begin\n")
    history.commit({"a.py": b"x = 2\n"}, "Count\n")
    history.commit({"a.py": b"x = 3\n", "b.py": b"y\n"}, "Two files\n")
    items = history.read(form="before-after")
    assert texts(items) == [
        "<commit_before><commit_msg>Begin<commit_after>x = 1\n",
        "<commit_before>x = 1\n<commit_msg>Count<commit_after>x = 2\n",
    ]
    assert reasons(items) == {"many-files": 1}


def test_commits_come_oldest_first_then_by_id_whatever_the_branches(history: History) -> None:
    root = history.commit({"a": b"0\n"}, at=START)
    sides = [history.commit({"a": b"%d\n" % (n + 1)}, f"side {n}", at=START + 60, parents=[root]) for n in range(5)]
    late = history.commit({"a": b"x\n"}, "after, but dated before", at=START - 60, parents=[sides[0]])
    merge = history.commit({"a": b"y\n"}, "Merge", at=START + 90, parents=[*sides[1:], late])
    items = history.read()
    order = [item.fields["revision"] for item in items if isinstance(item, Record)]
    assert order == [late, root, *sorted(sides)]
    assert reasons(items) == {"merge": 1}
    assert history.read() == items
    assert [item.fields["revision"] for item in history.read(sides[3]) if isinstance(item, Record)] == [root, sides[3]]
    assert merge not in order


@pytest.mark.parametrize(
    ("author", "bot"),
    [
        ("dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>", True),
        ("Something[BOT] <x@example.org>", True),
        ("Human Name <41898282+some-app[bot]@users.noreply.github.com>", True),
        ("Renovate Bot <bot@renovateapp.com>", True),
        ("Travis CI <builds@travis-ci.org>", True),
        ("x <github-actions@github.com>", True),
        ("Snyk-Bot <x@example.org>", True),
        ("Abbot <abbot@example.org>", False),
        ("Bot Fan [bots] <me@example.org>", False),
        ("Travis Cimino <travis.c@example.org>", False),
        ("GitHub <noreply@github.com>", False),
        ("<>", False),
    ],
)
def test_commits_by_programs_are_left_out(author: str, bot: bool, history: History) -> None:
    history.commit({"a": b"1\n"}, author=author)
    assert reasons(history.read()) == ({"bot": 1} if bot else {})


@pytest.mark.parametrize(
    ("subject", "bump"),
    [
        ("v1.2.3", True),
        ("1.2.3-rc1", True),
        ("Bump version to 2.0.0", True),
        ("chore(release): 1.4.0", True),
        ("chore: bump version from 1.0 to 1.1", True),
        ("Release v10.11.12.", True),
        ("Bump lodash from 4.17.15 to 4.17.19", False),
        ("Fix crash in 1.2.3", False),
        ("Release the lock", False),
        ("Version", False),
        ("Support Python 3.13", False),
        ("bump " * 20 + "1.2", False),
    ],
)
def test_version_bumps_are_left_out_where_asked(subject: str, bump: bool, history: History) -> None:
    history.commit({"a": b"1\n"}, subject + "\n\nWords.\n")
    assert reasons(history.read()) == {}
    assert reasons(history.read(version_bumps=False)) == ({"version-bump": 1} if bump else {})


def test_who_wrote_it_is_left_out_unless_asked_for(history: History) -> None:
    people = "Signed-off-by: A Person <a@example.org>\nCo-authored-by: B <b@example.org>\n"
    message = f"Fix it\n\nReason.\n\n{people}Fixes: #7\n"
    history.commit({"a": b"1\n"}, message)
    (plain,) = history.read()
    assert plain.text.startswith("Fix it\n\nReason.\n\nFixes: #7\n\n--- /dev/null\n")
    assert "example.org" not in plain.text
    assert "author" not in plain.fields
    (named,) = history.read(authors=True)
    assert named.text.startswith(message)
    assert named.fields["author"] == "A Person"


def test_messages_are_decoded_by_what_they_say_of_themselves(history: History) -> None:
    for number, (message, encoding) in enumerate(
        [
            ("Grüße\n".encode(), None),
            ("Grüße\n".encode("latin-1"), "ISO-8859-1"),
            ("こんにちは\n".encode("euc-jp"), "EUC-JP"),
            ("Grüße\n".encode(), "no-such-charset"),
            (b"plain\n", "rot13"),
            ("Grüße\n".encode("latin-1"), None),
            (b"cut\0here\n", None),
            (b" \n\n", None),
            (b"", None),
            (b"Signed-off-by: A <a@example.org>\n", None),
        ]
    ):
        history.commit({"a": b"%d\n" % number}, message, encoding=encoding)
    items = history.read()
    assert [item.fields["title"] for item in items if isinstance(item, Record)] == [
        "Grüße",
        "Grüße",
        "こんにちは",
        "Grüße",
        "plain",
    ]
    assert reasons(items) == {"undecodable": 2, "no-message": 3}


def test_what_nobody_wrote_is_left_out_of_a_diff(history: History) -> None:
    files = {
        "good.py": b"x\n",
        "nul.bin": b"a\0b",
        "latin.txt": b"\xe9",
        "package-lock.json": b"{}\n",
        "gen.py": b"# Automatically generated\n",
        "app.min.js": b"a\n",
        "big.py": b"y" * 2001,
        "link": (0o120000, history.blob(b"good.py")),
        "module": (0o160000, b"1" * 40),
    }
    history.commit(files, "Everything\n")
    (item,) = history.read(file_bytes=2000)
    assert item.text == "Everything\n\n--- /dev/null\n+++ b/good.py\n@@ -0,0 +1 @@\n+x\n"
    assert (item.fields["files"], item.fields["omitted"]) == (1, 6)
    assert history.read(file_bytes=2001)[0].fields["omitted"] == 5
    history.commit({**files, "nul.bin": b"a\0c", "app.min.js": b"b\n"}, "Noise\n")
    history.commit({**files, "nul.bin": b"a\0c", "app.min.js": b"b\n"}, "Nothing at all\n")
    assert reasons(history.read()) == {"no-text-changed": 2}


def test_limits_on_files_and_on_the_size_of_a_diff_hold_on_both_sides(history: History) -> None:
    history.commit({f"{number}.py": b"x%d\n" % number for number in range(5)})
    (item,) = history.read(files=5)
    size = len(item.text.encode()) - len(b"Change things\n\n")
    assert reasons(history.read(files=4)) == {"many-files": 1}
    assert reasons(history.read(diff_bytes=size)) == {}
    over = history.read(diff_bytes=size - 1)
    assert reasons(over) == {"large-diff": 1}


def test_a_file_that_moved_as_it_was_is_named_only(history: History) -> None:
    files = {f"old/{number}.py": b"content %d\n" % number * 50 for number in range(4)}
    history.commit(files)
    moved = {path.replace("old/", "new/"): data for path, data in files.items()}
    moved["new/3.py"] += b"changed\n"
    history.commit(moved, "Move\n")
    text = history.read(files=5)[1].text
    assert text.startswith("Move\n\nrename from old/0.py\nrename to new/0.py\nrename from old/1.py\n")
    assert "+++ b/new/3.py" in text
    assert "--- a/old/3.py\n+++ /dev/null" in text
    assert reasons(history.read(files=4)) == {"many-files": 1}


def test_an_empty_file_does_not_move(history: History) -> None:
    history.commit({"a/__init__.py": b"", "x": b"1\n"})
    history.commit({"b/__init__.py": b"", "x": b"2\n"})
    text = history.read()[1].text
    empties = "--- a/a/__init__.py\n+++ /dev/null\n--- /dev/null\n+++ b/b/__init__.py\n"
    assert text.endswith(f"{empties}--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n")


def test_a_form_that_does_not_exist_is_a_mistake_of_the_user(history: History) -> None:
    history.commit({"a": b"1\n"})
    with pytest.raises(RequestError, match="no form 'patch'"):
        history.read(form="patch")


def test_a_change_of_mode_alone_is_no_change_of_text(history: History) -> None:
    sha = history.blob(b"echo\n")
    history.commit({"run.sh": (0o100644, sha)})
    history.commit({"run.sh": (0o100755, sha)})
    assert reasons(history.read()) == {"no-text-changed": 1}


def test_a_file_that_becomes_a_folder_or_a_link(history: History) -> None:
    history.commit({"a": b"x\n", "b": b"y\n"})
    history.commit({"a/in.py": b"z\n", "b": (0o120000, history.blob(b"a"))})
    text = history.read()[1].text.partition("\n\n")[2]
    assert re.findall(r"^(?:---|\+\+\+) .*", text, re.M) == [
        "--- a/a",
        "+++ /dev/null",
        "--- /dev/null",
        "+++ b/a/in.py",
        "--- a/b",
        "+++ /dev/null",
    ]


def test_bare_repositories_are_read_alike(tmp_path: Path) -> None:
    made = [History(tmp_path / name, bare=bare) for name, bare in (("a", False), ("b", True))]
    for one in made:
        one.commit({"a.py": b"1\n"}, at=START)
        one.commit({"a.py": b"2\n"}, at=START + 1)
    assert made[0].read() == made[1].read() != []


# Broken and hostile histories


def test_a_shallow_clone_begins_where_its_parents_are_missing(history: History) -> None:
    first = history.commit({"a": b"1\n"})
    second = history.commit({"a": b"2\n"})
    history.commit({"a": b"3\n"})
    (history.folder / ".git/objects" / first[:2] / first[2:]).unlink()
    items = history.read()
    assert {(type(item), item.reason) for item in items if not isinstance(item, Record)} == {(Reject, "missing-object")}
    assert reasons(items) == {"missing-object": 2}  # the commit, and what its child changed
    (history.folder / ".git/shallow").write_text(second + "\n")
    items = history.read()
    assert reasons(items) == {"shallow": 1}
    assert len(texts(items)) == 1


def test_a_broken_file_costs_the_commits_that_need_it(history: History) -> None:
    history.commit({"a": b"1\n", "b": b"1\n"})
    lost = history.blob(b"2\n").decode()
    history.commit({"a": b"2\n", "b": b"1\n"})
    history.commit({"a": b"2\n", "b": b"3\n"})
    history.commit({"a": b"4\n", "b": b"3\n"})
    (history.folder / ".git/objects" / lost[:2] / lost[2:]).unlink()
    items = history.read()
    assert [type(item) for item in items] == [Record, Reject, Record, Reject]
    assert reasons(items) == {"missing-object": 2}


def test_dates_and_names_that_make_no_sense_do_not_stop_a_history(history: History) -> None:
    sha = history.commit({"a": b"1\n"})
    people = "author nobody\ncommitter <<>> 99999999999999999999 +9999\nnonsense"
    raw = f"tree {history.tree({'a': b'2'}).decode()}\nparent {sha}\n{people}\n\nOdd\n"
    odd = hashlib.sha1(b"commit %d\0" % len(raw) + raw.encode()).hexdigest()
    path = history.folder / ".git/objects" / odd[:2] / odd[2:]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(zlib.compress(b"commit %d\0" % len(raw) + raw.encode()))
    history.last = [odd]
    history.commit({"a": b"3\n"}, at=253_402_300_800)  # the first second of the year 10000
    items = history.read()
    assert sorted(item.fields["title"] for item in items) == ["Change things", "Change things", "Odd"]
    assert [("date" in item.fields) for item in items] == [False, True, False]


def test_a_repository_that_leads_elsewhere_or_is_none(tmp_path: Path) -> None:
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / ".git").write_text("gitdir: ../victim/.git\n")
    assert [(item.reason, item.where) for item in read_commits(tmp_path / "trap", "r")] == [("unsafe-repository", "r")]
    with pytest.raises(RequestError, match="no git repository"):
        list(read_commits(tmp_path, "r"))


def test_a_tree_that_unfolds_without_end_costs_its_commit(history: History) -> None:
    # Links are no files, so nothing but the number of entries ends such a tree.
    level = history.tree({"x": (0o120000, history.blob(b"y"))})
    for _ in range(15):
        made = objects.Tree()
        for number in range(10):
            made.add(b"d%d" % number, 0o040000, level)
        history.repo.object_store.add_object(made)
        level = made.id
    history.commit({"good": b"1\n"})
    history.commit({"bomb": (0o040000, level)})
    history.commit({"good": b"2\n"})
    items = history.read(limits=Limits(members=1000))
    assert len(texts(items)) == 1
    assert reasons(items) == {"too-many-members": 2}  # as it comes, and as it goes


# Diffs


def applied(old: str, hunks: str) -> str:
    """A file after a unified diff, by the letter of its line numbers."""
    lines = commits._lines(old)
    out: list[str] = []
    at = 0
    rows = hunks.split("\n")
    assert rows.pop() == ""
    index = 0
    while index < len(rows):
        match = re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", rows[index])
        assert match, rows[index]
        start, length = int(match[1]), int(match[2] or 1)
        begin = start - 1 if length else start
        assert begin >= at
        out += lines[at:begin]
        at = begin
        new_start, new_length = int(match[3]), int(match[4] or 1)
        assert len(out) == (new_start - 1 if new_length else new_start)
        index += 1
        old_left, new_left = length, new_length
        while old_left or new_left:
            mark, text = rows[index][0], rows[index][1:]
            index += 1
            end = "\n"
            if index < len(rows) and rows[index].startswith("\\"):
                index, end = index + 1, ""
            if mark in " -":
                assert lines[at] == text + end
                at, old_left = at + 1, old_left - 1
            if mark in " +":
                out.append(text + end)
                new_left -= 1
    return "".join([*out, *lines[at:]])


LINES = st.lists(st.sampled_from(["a", "b", "c", "d", "", " x", "\r", "\u2028", "-", "+", "@@", "\\"]), max_size=30)
FILES = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))


@settings(max_examples=400, deadline=None)
@given(FILES, FILES)
def test_a_diff_applied_to_the_old_file_gives_the_new_one(old: str, new: str) -> None:
    hunks = unified(old, new)
    assert (hunks == "") == (old == new)
    assert applied(old, hunks) == new


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 400), st.integers(0, 40), st.sampled_from([3, 50, 10**6]))
def test_larger_files_and_their_edits_too(seed: int, length: int, edits: int, alphabet: int) -> None:
    rng = random.Random(seed)
    lines = [f"{rng.randrange(alphabet)}\n" for _ in range(length)]
    new = list(lines)
    for _ in range(edits):
        at = rng.randrange(len(new) + 1)
        new[at : at + rng.randrange(3)] = [f"{rng.randrange(alphabet)}\n" for _ in range(rng.randrange(3))]
    old_text, new_text = "".join(lines), "".join(new)
    hunks = unified(old_text, new_text)
    assert applied(old_text, hunks) == new_text
    # Lines that occur once in both texts are taken for the same line (patience diff), so a diff is not always the
    # shortest; it is never longer than both texts, nor shorter than the difference of their lengths.
    changed = sum(row[:1] in ("-", "+") for row in hunks.split("\n"))
    assert abs(len(new) - len(lines)) <= changed <= len(lines) + len(new)


def test_small_changes_give_small_diffs() -> None:
    old = "".join(f"line {number % 7}\n" for number in range(200))
    lines = old.split("\n")
    lines[100] = "other"
    del lines[20]
    hunks = unified(old, "\n".join(lines))
    assert sum(row.startswith(("-", "+")) for row in hunks.split("\n")) == 3


@pytest.mark.parametrize("kind", ["two lines", "few lines", "nested", "reversed", "shifted"])
def test_hostile_files_take_time_by_their_size(kind: str) -> None:
    count, rng = 60_000, random.Random(1)
    if kind == "two lines":
        pair = ["".join(rng.choice("ab") + "\n" for _ in range(count)) for _ in range(2)]
    elif kind == "few lines":
        pair = ["".join(f"{rng.randrange(300)}\n" for _ in range(count)) for _ in range(2)]
    elif kind == "nested":
        # Each split leaves one more line that occurs once.
        left = [f"{n // 2 if n % 2 else n // 2 + 2}\n" for n in range(count)]
        pair = ["".join(left), "".join(reversed(left))]
    elif kind == "reversed":
        left = [f"{n}\n" for n in range(count)]
        pair = ["".join(left), "".join(reversed(left))]
    else:
        pair = ["ab\ncd\n" * (count // 2), "cd\nef\nab\n" * (count // 3)]
    began = time.process_time()
    hunks = unified(*pair)
    # Seconds of processor time; generous, since a quadratic way would take many minutes.
    assert time.process_time() - began < 20
    assert applied(pair[0], hunks) == pair[1]


# A real one


def test_this_projects_own_commits_are_read() -> None:
    root = Path(__file__).parents[3]
    if not (root / ".git").is_dir():
        pytest.skip("this is no git checkout")
    try:
        items = list(read_commits(root, "pretrial"))
    except RequestError as error:
        pytest.skip(f"the checkout cannot be read: {error}")
    records = [item for item in items if isinstance(item, Record)]
    assert all(isinstance(item, Record | Skip) for item in items)
    dates = [item.fields["date"] for item in records]
    assert dates == sorted(dates)
    for item in records:
        assert item.text.startswith(item.fields["title"])
        assert re.search(r"^(?:\+\+\+ |rename to )", item.text, re.M)
