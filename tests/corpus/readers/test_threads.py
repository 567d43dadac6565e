"""Threads and commits: those of the shared data need the reader of JSON lines alone; StarCoderData needs `plain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.readers.notebooks import read_notebook
from pretrial.corpus.readers.record import Blob, Record
from pretrial.corpus.readers.threads import Comment, conversation, fenced, plain, written

ADJACENT = {
    "stackexchange_tech": (1549, "document", 1549, "datascience.meta.stackexchange.com"),
    "irc_technical": (45, "document", 45, "<somsip>"),
    "commits": (26_289, "language", 5, "+ "),
}


@pytest.mark.parametrize(("file", "facts"), ADJACENT.items(), ids=ADJACENT)
def test_threads_and_commits_of_the_shared_data_are_json_lines(
    data_dir: Path, read: Any, file: str, facts: tuple[int, str, int, str]
) -> None:
    documents, group, groups, mark = facts
    corpus = read("jsonl", f"{{data}}/code_adjacent/{file}.jsonl.zst", data=data_dir, group=group)
    assert corpus.facts["documents"] == documents
    assert corpus.facts["groups"] == groups
    assert corpus.facts["quarantined"] == {}
    assert any(mark in row["text"] or mark in row["meta"] for row in corpus.rows[:100])


def test_a_block_cannot_be_closed_from_inside() -> None:
    assert fenced("x = 1\n\n", "python") == "```python\nx = 1\n```"
    assert fenced("```\nx\n```") == "````\n```\nx\n```\n````"
    assert fenced("a ``` b") == "```\na ``` b\n```"
    assert fenced("  `````") == "``````\n  `````\n``````"
    assert fenced(" \n") == "```\n```"


MARKED = {
    "a file's header": ("<reponame>a/b<filename>x.py<gh_stars>10-100\nx = 1\n", "x = 1\n"),
    "a header of one mark": ("<gh_stars>0\n\nx = 1\n", "\nx = 1\n"),
    "a file's name alone": ("<filename>src/a b.py\nx = 1\n", "x = 1\n"),
    "marks inside a file stay": ("x = '<filename>y'\n", "x = '<filename>y'\n"),
    "an issue": (
        "<issue_start><issue_comment>Title: It breaks\nusername_0: Why?\n<issue_comment>username_1: So.<issue_closed>",
        "Title: It breaks\nusername_0: Why?\n\nusername_1: So.\n",
    ),
    "a notebook": (
        "<jupyter_start><jupyter_text>Add\n<jupyter_code>1 + 2\n<jupyter_output>3\n<jupyter_code>x = 1\n"
        "<jupyter_output><empty_output>",
        "Add\n\n```\n1 + 2\n```\n\n```output\n3\n```\n\n```\nx = 1\n```\n\n```output\n(no output)\n```\n",
    ),
    "a script of a notebook": ("<jupyter_script>\nx = 1\n", "x = 1\n"),
    "a commit": (
        "<commit_before>x = 1\n<commit_msg>Count from 2\n<commit_after>x = 2\n",
        "Count from 2\n\nBefore:\n\n```\nx = 1\n```\n\nAfter:\n\n```\nx = 2\n```\n",
    ),
    "a commit of a new file": (
        "<commit_before><commit_msg>Begin<commit_after>x = 2",
        "Begin\n\nAfter:\n\n```\nx = 2\n```\n",
    ),
    "a text of a commit cut short": ("<commit_before>x = 1", "Before:\n\n```\nx = 1\n```\n"),
}


@pytest.mark.parametrize(("marked", "text"), MARKED.values(), ids=MARKED.keys())
def test_markers_of_starcoderdata_become_markdown(marked: str, text: str) -> None:
    assert plain(marked) == text


def test_a_notebook_reads_alike_from_starcoderdata_and_from_its_file() -> None:
    cells = (
        '{"nbformat": 4, "metadata": {}, "cells": ['
        '{"cell_type": "markdown", "source": "Add"},'
        '{"cell_type": "code", "source": "let x = 1;", "outputs": [{"output_type": "stream", "text": "3"}]}]}'
    )
    (item,) = read_notebook(Blob("a.ipynb", cells.encode()), form="structured")
    assert isinstance(item, Record)
    marked = "<jupyter_start><jupyter_text>Add\n<jupyter_code>let x = 1;\n<jupyter_output>3"
    assert plain(marked) == item.text


@given(st.text().filter(lambda text: not text.startswith("<")))
def test_what_does_not_begin_with_a_marker_stays(text: str) -> None:
    assert plain(text) == text


def test_comments_of_starcoderdata_are_found_behind_their_counters() -> None:
    text = plain(MARKED["an issue"][0])
    found = conversation(text, {})
    assert found is not None
    assert found.comments == (Comment("username_0", "Why?"), Comment("username_1", "So."))
    assert (found.head, found.counted) == ("Title: It breaks\n", True)
    assert written(found.head, found.comments) == text


def test_a_counter_inside_a_comment_is_a_mention() -> None:
    found = conversation("username_0: see\nusername_1: not here\n\nand on\n\nusername_1: yes\n", {})
    assert found is not None
    said = "see\nusername_1: not here\n\nand on"
    assert found.comments == (Comment("username_0", said), Comment("username_1", "yes"))


def test_comments_are_found_where_a_record_brings_them_and_nowhere_else() -> None:
    events = [{"author": "a", "text": "One"}, {"action": "closed"}, {"user": {"login": "b"}, "body": "Two\n"}]
    found = conversation("whatever", {"events": events, "comments": [{"author": "c", "text": "Three"}]})
    assert found is not None
    assert found.comments == (Comment("a", "One"), Comment("b", "Two"))
    found = conversation("Zero\n", {"author": "z", "title": "T", "comments": events})
    assert found is not None
    assert (found.head, found.counted) == ("Title: T\n", False)
    assert found.comments == (Comment("z", "Zero"), Comment("a", "One"), Comment("b", "Two"))
    for fields in ({}, {"events": 3}, {"events": []}, {"comments": ["a", "b"]}):
        assert conversation("Ann: One\n\nusername_1: Two\n", fields) is None


names = st.integers(0, 9).map("username_{}".format)
said = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=20).map(
    lambda one: f"x{one}"
)


@given(st.lists(st.builds(Comment, names, said), min_size=1, max_size=5), st.sampled_from(["", "Title: T\n"]))
def test_what_is_written_is_found_again(comments: list[Comment], head: str) -> None:
    assert conversation(written(head, comments), {}) == (head, tuple(comments), True)


@given(st.text(max_size=200), st.dictionaries(st.sampled_from(["events", "comments", "author", "title"]), st.text()))
def test_any_text_has_comments_or_none(text: str, fields: dict[str, str]) -> None:
    found = conversation(text, fields)
    assert found is None or found.comments


def test_issues_with_their_comments_are_read_cleaned_and_filtered(tmp_path: Path, read: Any) -> None:
    long = "y" * 200
    issues = [
        {
            "id": "kept",
            "title": "It breaks",
            "events": [{"author": "ann", "text": long}, {"author": "bo", "text": "ann?"}],
        },
        {"id": "short", "events": [{"author": "ann", "text": "Why?"}, {"author": "bo", "text": "So."}]},
        {"id": "bots", "events": [{"author": "codecov[bot]", "text": long}]},
        {"id": "nobody", "events": [{"action": "closed"}]},
    ]
    (tmp_path / "issues.jsonl").write_text("".join(json.dumps(one) + "\n" for one in issues))
    corpus = read("jsonl", "issues.jsonl", text="events", filter=("stack-v2-comments", "stack-v2-issues"))
    (row,) = corpus.rows
    assert row["id"] == "kept"
    assert row["text"] == f"Title: It breaks\nusername_0: {long}\n\nusername_1: username_0?\n"
    assert corpus.facts["quarantined"] == {"text-not-a-string": 1}
