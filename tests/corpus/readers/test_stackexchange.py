"""Stack Exchange dumps: threads out of posts in any order and archive, HTML as text, and XML that means harm."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.readers import stackexchange
from pretrial.corpus.readers.record import Item, Record, Reject, Skip
from pretrial.corpus.readers.safety import Limits
from pretrial.corpus.readers.stackexchange import markdown, read_stackexchange
from pretrial.errors import RunError

py7zr = pytest.importorskip("py7zr")

SITE = "cooking.stackexchange.com"


def row(id: int, **attributes: Any) -> str:
    named = {"Id": id, "Score": 0, "CreationDate": "2020-01-01T00:00:00.000", "OwnerUserId": id, **attributes}
    # As the dumps have it: a line end inside an attribute is an entity, so a row is a line.
    quoted = (f"{key}={quoteattr(str(value), {chr(10): '&#xA;'})}" for key, value in named.items())
    return f"  <row {' '.join(quoted)} />\n"


def question(id: int, **attributes: Any) -> str:
    return row(id, **{"PostTypeId": 1, "Title": f"Title {id}", "Body": f"<p>Question {id}</p>", **attributes})


def answer(id: int, parent: int, **attributes: Any) -> str:
    return row(id, **{"PostTypeId": 2, "ParentId": parent, "Body": f"<p>Answer {id}</p>", **attributes})


def dump(*rows: str) -> bytes:
    return ('\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "".join(rows) + "</posts>\n").encode()


@pytest.fixture
def threads(tmp_path: Path) -> Any:
    def reading(data: bytes, name: str = f"{SITE}/Posts.xml", **options: Any) -> list[Item]:
        path = tmp_path / "Posts.xml"
        path.write_bytes(data)
        return list(read_stackexchange(path, name, tmp_path, **options))

    return reading


def records(items: list[Item]) -> list[Record]:
    return [item for item in items if isinstance(item, Record)]


def reasons(items: list[Item]) -> Counter[str]:
    return Counter(item.reason for item in items if isinstance(item, Reject | Skip))


POSTS = (
    question(1, Score=5, AcceptedAnswerId=4, Tags="<oven><bread-baking>", Title="How hot?"),
    answer(7, 1, Score=2),
    row(8, PostTypeId=5, Body="a tag's wiki"),
    question(2, Score=-1),
    answer(3, 1, Score=9, CreationDate="2011-04-07T23:59:59"),
    answer(4, 1, Score=2),
    answer(9, 2, Score=0),
    answer(10, 99, Score=1),
    question(5),
    answer(6, 1, Score=-3),
)


def test_a_thread_is_a_question_with_its_answers_by_score_the_accepted_one_marked(threads: Any) -> None:
    first = next(item for item in records(threads(dump(*POSTS))) if item.id == f"{SITE}/q/1")
    assert first.text == (
        "How hot?\n\nQuestion 1\n\nAnswer:\n\nAnswer 3\n\nAnswer (accepted):\n\nAnswer 4\n\nAnswer:\n\nAnswer 7\n\n"
        "Answer:\n\nAnswer 6\n"
    )
    assert first.where == f"{SITE}/Posts.xml:3"
    assert first.fields == {
        "kind": "thread",
        "site": SITE,
        "url": f"https://{SITE}/q/1",
        "title": "How hot?",
        "tags": ["oven", "bread-baking"],
        "score": 5,
        "answers": 4,
        "accepted": True,
        "date": "2020-01-01T00:00:00.000",
        "license": "CC-BY-SA-2.5 AND CC-BY-SA-4.0",
        "author": "1",
    }


def test_what_is_left_out_is_counted_by_reason(threads: Any) -> None:
    items = threads(dump(*POSTS))
    assert [item.id for item in records(items)] == [f"{SITE}/q/1", f"{SITE}/q/2"]
    assert reasons(items) == {"other-post": 1, "answer-without-question": 1, "few-answers": 1}
    orphan = next(item for item in items if isinstance(item, Skip) and item.reason == "answer-without-question")
    assert orphan.bytes == len("<p>Answer 10</p>")


def test_thresholds_on_both_sides(threads: Any) -> None:
    def kept(**options: int) -> list[tuple[str, int]]:
        found = records(threads(dump(*POSTS), **options))
        return [(str(item.id).rpartition("/")[2], item.fields["answers"]) for item in found]

    assert kept(min_score=-1) == [("1", 4), ("2", 1)]
    assert kept(min_score=0) == [("1", 4)]
    assert kept(min_answers=0) == [("1", 4), ("2", 1), ("5", 0)]
    assert kept(min_answers=4) == [("1", 4)]
    assert kept(min_answers=5) == []
    assert kept(min_answer_score=0) == [("1", 3), ("2", 1)]
    assert kept(min_answer_score=2) == [("1", 3)]
    assert kept(min_answer_score=2, min_answers=4) == []
    assert reasons(threads(dump(*POSTS), min_answer_score=2, min_score=0))["low-score-answer"] == 2


DATES = {"2011-04-07": "2.5", "2011-04-08": "3.0", "2018-05-01": "3.0", "2018-05-02": "4.0"}


@pytest.mark.parametrize(("date", "version"), DATES.items())
def test_the_licence_follows_the_date_unless_the_post_names_one(threads: Any, date: str, version: str) -> None:
    by_date = question(1, CreationDate=f"{date}T23:59:59.999")
    named = question(2, CreationDate=date, ContentLicense="CC BY-SA 3.0")
    found = [item.fields["license"] for item in records(threads(dump(by_date, named), min_answers=0))]
    assert found == [f"CC-BY-SA-{version}", "CC-BY-SA-3.0"]


def test_every_archive_gives_the_same_threads(tmp_path: Path) -> None:
    data = dump(*POSTS)
    plain = tmp_path / SITE / "Posts.xml"
    plain.parent.mkdir()
    plain.write_bytes(data)
    packed = {"gz": gzip.compress(data), "zst": zstandard.compress(data)}
    for kind, content in packed.items():
        (tmp_path / f"{SITE}.xml.{kind}").write_bytes(content)
    with zipfile.ZipFile(tmp_path / f"{SITE}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Users.xml", "<users />")
        archive.writestr("Posts.xml", data)
    with py7zr.SevenZipFile(tmp_path / f"{SITE}.7z", "w") as archive:
        # One solid block, as archive.org has it: what stands before the posts is unpacked and thrown away.
        archive.writestr(b"<badges />" * 1000, "Badges.xml")
        archive.writestr(data, "Posts.xml")
        archive.writestr(b"<votes />" * 1000, "Votes.xml")
    expected = [
        (item.id, item.text, item.fields) for item in records(list(read_stackexchange(plain, str(plain), tmp_path)))
    ]
    assert len(expected) == 2
    for name in (f"{SITE}.xml.gz", f"{SITE}.xml.zst", f"{SITE}.zip", f"{SITE}.7z"):
        items = list(read_stackexchange(tmp_path / name, name, tmp_path))
        assert [(item.id, item.text, item.fields) for item in records(items)] == expected, name
        assert reasons(items) == {"other-post": 1, "answer-without-question": 1, "few-answers": 1}
    assert records(items)[0].where == f"{SITE}.7z/Posts.xml:3"


def test_memory_or_disk_the_threads_are_the_same_and_the_disk_is_left_clean(
    threads: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [question(n, AcceptedAnswerId=5000 + n) for n in range(1, 401)]
    rows += [answer(5000 + n, n % 400 + 1, Score=n % 7) for n in range(1200)]
    random.Random(0).shuffle(rows)
    before = threads(dump(*rows))
    monkeypatch.setattr(stackexchange, "SPILL_BYTES", 20_000)
    assert threads(dump(*rows)) == before
    random.Random(1).shuffle(rows)
    again = threads(dump(*rows))
    assert [(item.id, item.text) for item in records(again)] == [(item.id, item.text) for item in records(before)]
    assert [path.name for path in tmp_path.iterdir()] == ["Posts.xml"]
    ids = [int(str(item.id).rpartition("/")[2]) for item in records(before)]
    assert ids == sorted(ids, key=lambda id: (id % stackexchange.BUCKETS, id))
    assert len(ids) == 400


def test_a_reader_that_stops_early_leaves_neither_thread_nor_file(tmp_path: Path) -> None:
    path = tmp_path / "x.7z"
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.writestr(dump(*(question(n, Body=f"{n} " * 2000) for n in range(2000))), "Posts.xml")
    items = read_stackexchange(path, "x.7z", tmp_path, min_answers=0)
    next(items)
    items.close()
    assert [path.name for path in tmp_path.iterdir()] == ["x.7z"]


LAUGHS = (
    b'<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    + b"".join(b'<!ENTITY x%d "%s">' % (n, b"&x%d;" % (n - 1) * 10 if n else b"&b;" * 10) for n in range(9))
    + b']>\n<posts>\n  <row Id="1" PostTypeId="1" Body="&x8;" />\n</posts>'
)


def test_entities_are_refused_before_they_grow_or_reach_a_file(threads: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    external = f'<!DOCTYPE p [<!ENTITY s SYSTEM "file://{secret}">]>\n<posts>\n<row Id="1" Body="&s;"/>\n</posts>'
    began = time.process_time()
    for data in (LAUGHS, external.encode(), b'<!DOCTYPE posts SYSTEM "http://127.0.0.1:9/x.dtd">\n<posts/>'):
        items = threads(data, min_answers=0)
        assert reasons(items) == {"refused-xml": 1}
        assert "secret" not in repr(items)
    assert time.process_time() - began < 1


def test_deep_nesting_is_refused(threads: Any) -> None:
    assert reasons(threads(b"<a>\n" * 100_000)) == {"refused-xml": 1}
    eight = b"<posts>" + b"<a>" * 6 + question(1).encode() + b"</a>" * 6 + b"</posts>"
    assert len(records(threads(eight, min_answers=0))) == 1


BROKEN_ROWS = {
    "a quote missing": '  <row Id="2" PostTypeId="1" Body="no end />\n',
    "a bracket missing": '  <row Id="2" PostTypeId="1" Body="x"\n',
    "an unknown entity": '  <row Id="2" PostTypeId="1" Body="&nbsp;" />\n',
    "a character that XML lacks": '  <row Id="2" PostTypeId="1" Body="&#x1B;" />\n',
    "an attribute twice": '  <row Id="2" Id="3" PostTypeId="1" Body="x" />\n',
    "text with a bare bracket": '  <row Id="2" PostTypeId="1" Body="a < b" />\n',
}


@pytest.mark.parametrize("broken", BROKEN_ROWS.values(), ids=BROKEN_ROWS.keys())
def test_a_broken_row_is_named_and_the_others_stay(threads: Any, broken: str) -> None:
    items = threads(dump(question(1), broken, question(3), question(4)), min_answers=0)
    assert [item.fields["title"] for item in records(items)] == ["Title 1", "Title 3", "Title 4"]
    (reject,) = (item for item in items if isinstance(item, Reject))
    assert (reject.reason, reject.where) == ("malformed-xml", f"{SITE}/Posts.xml:4")
    assert broken.strip()[:20] in reject.excerpt
    # Places behind it count on.
    assert [item.where.rpartition(":")[2] for item in records(items)] == ["3", "5", "6"]


def test_a_row_that_is_not_utf8_is_named_and_the_others_stay(threads: Any) -> None:
    data = dump(question(1), question(2, Body="caf\u00e9"), question(3)).replace("\u00e9".encode(), b"\xe9")
    items = threads(data, min_answers=0)
    assert [item.fields["title"] for item in records(items)] == ["Title 1", "Title 3"]
    assert reasons(items) == {"malformed-xml": 1}


INCOMPLETE = {
    "no id": '  <row PostTypeId="1" Body="x" />\n',
    "no parent": '  <row Id="2" PostTypeId="2" Body="x" />\n',
    "an id that is none": '  <row Id="two" PostTypeId="1" Body="x" />\n',
    "an id of a thousand digits": f'  <row Id="{"9" * 1000}" PostTypeId="1" Body="x" />\n',
}


@pytest.mark.parametrize("broken", INCOMPLETE.values(), ids=INCOMPLETE.keys())
def test_a_post_without_its_numbers_is_a_reject(threads: Any, broken: str) -> None:
    items = threads(dump(question(1), broken), min_answers=0)
    assert len(records(items)) == 1
    assert reasons(items) == {"incomplete-post": 1}


def test_a_question_that_comes_twice_is_taken_once(threads: Any) -> None:
    items = threads(dump(question(1), answer(2, 1), question(1, Body="other"), answer(2, 1)))
    assert [item.text for item in records(items)] == ["Title 1\n\nQuestion 1\n\nAnswer:\n\nAnswer 2\n"]
    assert reasons(items) == {"repeated-post": 2}


def test_a_line_or_post_over_its_limit_is_dropped_and_the_rest_read(
    threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stackexchange, "LINE_LIMIT", 3_000_000)
    long = question(2, Body="x" * 4_000_000)
    items = threads(dump(question(1), long, question(3)), min_answers=0)
    assert [item.where.rpartition(":")[2] for item in records(items)] == ["3", "5"]
    assert reasons(items) == {"oversize-line": 1}
    monkeypatch.undo()
    bodies = dump(question(1, Body="x" * 300_000), question(2, Body="x" * 300_001))
    items = threads(bodies, min_answers=0)
    assert [len(item.text) for item in records(items)] == [300_010]
    assert reasons(items) == {"oversize-post": 1}


def test_a_question_with_too_much_below_it_is_dropped_and_the_rest_read(
    threads: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stackexchange, "BUCKETS", 3)
    # All in one bucket.
    few, many, orphans, other = (1 + stackexchange.BUCKETS * number for number in range(4))
    rows = [question(few), question(other), question(many, Title="long")]
    rows += [answer(10 + number, parent, Body="x" * 100) for parent in (few, many) for number in range(10)]
    rows += [answer(30, many, Body="x" * 100, Score=-5)]
    rows += [answer(40 + number, orphans) for number in range(3)]

    def outcome(**options: Any) -> list[tuple[str, str, str]]:
        items = threads(dump(*rows), min_answers=0, **options)
        places = [(type(item).__name__, getattr(item, "reason", ""), item.where.rpartition(":")[2]) for item in items]
        return [one for one in places if one[1] != "answer-without-question"]

    whole = [("Record", "", "3"), ("Record", "", "5"), ("Record", "", "4")]
    assert outcome() == whole
    # Those of `many` have one answer more.
    most = _put_aside(rows, 0, *range(3, 13))
    less = [("Record", "", "3"), ("Reject", "oversize-post", "5"), ("Record", "", "4")]
    least = [("Reject", "oversize-post", "3"), *less[1:]]
    for bucket_bytes in (stackexchange.BUCKET_BYTES, 8000, 500):
        monkeypatch.setattr(stackexchange, "BUCKET_BYTES", bucket_bytes)
        for spill in (stackexchange.SPILL_BYTES, 1000):
            with monkeypatch.context() as patch:
                patch.setattr(stackexchange, "SPILL_BYTES", spill)
                assert outcome() == whole
                assert outcome(limits=Limits(document_bytes=most)) == less
                # Whatever else would be left of it.
                assert outcome(limits=Limits(document_bytes=most), min_answer_score=0) == less
                assert outcome(limits=Limits(document_bytes=most - 1)) == least
    assert [path.name for path in tmp_path.iterdir()] == ["Posts.xml"]
    items = threads(dump(*rows), min_answers=0, limits=Limits(document_bytes=most))
    (reject,) = (item for item in items if isinstance(item, Reject))
    assert reject.excerpt.startswith(f"question {many} with its answers: ")


def _put_aside(rows: list[str], *which: int) -> int:
    """What some of a dump's posts take as the reader puts them aside."""
    found = (stackexchange._post(ElementTree.fromstring(rows[at]).attrib, "x", at + 3) for at in which)
    return sum(500 + len(json.dumps(post, ensure_ascii=False, separators=(",", ":")).encode()) for post in found)


def test_a_body_that_grows_as_text_counts_as_it_grows(threads: Any) -> None:
    deep = "<ol start=99999><li>" * 5 + "<pre>" + "x\n" * 500
    (whole,) = records(threads(dump(question(1, Body=deep), answer(2, 1, Body=deep))))
    size = len(whole.text.encode())
    assert size > 10 * len(deep)
    kept = threads(dump(question(1, Body=deep), answer(2, 1, Body=deep)), limits=Limits(document_bytes=size))
    assert records(kept) == [whole]
    items = threads(dump(question(1, Body=deep), answer(2, 1, Body=deep)), limits=Limits(document_bytes=size - 1))
    assert reasons(items) == {"oversize-post": 1}
    items = threads(dump(question(1, Body=deep)), min_answers=0, limits=Limits(document_bytes=size // 3))
    assert reasons(items) == {"oversize-post": 1}


def test_a_bucket_in_pieces_gives_the_same_threads(
    threads: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stackexchange, "BUCKETS", 3)
    rows = [question(n, AcceptedAnswerId=5000 + n) for n in range(-3, 101)]
    rows += [answer(5000 + n, n % 100 + 1, Score=n % 7) for n in range(400)] + [question(7), answer(5001, 2)]
    random.Random(0).shuffle(rows)
    before = threads(dump(*rows), min_answers=0)
    assert len(records(before)) == 104
    for bucket_bytes, spill in ((0, 64_000_000), (2_000, 5_000), (10_000, 64_000_000), (20_000, 500)):
        monkeypatch.setattr(stackexchange, "BUCKET_BYTES", bucket_bytes)
        monkeypatch.setattr(stackexchange, "SPILL_BYTES", spill)
        assert threads(dump(*rows), min_answers=0) == before
        assert [path.name for path in tmp_path.iterdir()] == ["Posts.xml"]


def test_truncated_and_damaged_files_give_what_could_be_read(tmp_path: Path) -> None:
    rows = [question(n, Body=hashlib.sha256(b"%d" % n).hexdigest() * 40) for n in range(300)]
    data = dump(*rows)
    with py7zr.SevenZipFile(tmp_path / "whole.7z", "w") as archive:
        archive.writestr(data, "Posts.xml")
    whole = (tmp_path / "whole.7z").read_bytes()
    packed = gzip.compress(data), zstandard.compress(data)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    cases = {
        "plain": (data[: len(data) // 2], "truncated-file"),
        "gzip": (packed[0][: len(packed[0]) // 2], "corrupt-file"),
        "zstd": (packed[1][: len(packed[1]) // 2], "corrupt-file"),
        "7z": (bytes(flipped), "corrupt-file"),
        "7z without its end": (whole[: len(whole) // 2], "corrupt-file"),
        "7z of noise": (whole[:6] + bytes(range(256)), "corrupt-file"),
        "zip of noise": (b"PK\x03\x04" + bytes(range(256)), "corrupt-file"),
    }
    for name, (content, why) in cases.items():
        path = tmp_path / "case"
        path.write_bytes(content)
        items = list(read_stackexchange(path, "case", tmp_path, min_answers=0))
        assert reasons(items)[why] == 1, (name, reasons(items))
        if name in ("plain", "gzip", "zstd"):
            assert 50 < len(records(items)) < 300, name


def test_archives_without_posts_with_traversal_or_of_zeros_harm_nothing(tmp_path: Path) -> None:
    other = tmp_path / "other.7z"
    with py7zr.SevenZipFile(other, "w") as archive:
        archive.writestr(b"<users />", "Users.xml")
    assert reasons(list(read_stackexchange(other, "other.7z", tmp_path))) == {"no-posts-xml": 1}
    with zipfile.ZipFile(tmp_path / "up.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../Posts.xml", dump(question(1)))
    assert len(records(list(read_stackexchange(tmp_path / "up.zip", "up.zip", tmp_path, min_answers=0)))) == 1
    assert not (tmp_path.parent.parent / "Posts.xml").exists()
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("Posts.xml", "w") as out,
    ):
        for _ in range(101):
            out.write(bytes(1_000_000))
    assert reasons(list(read_stackexchange(tmp_path / "bomb.zip", "bomb.zip", tmp_path))) == {"archive-bomb": 1}


def test_other_bytes_than_planned_fail(threads: Any) -> None:
    data = dump(question(1))
    assert len(threads(data, sha256=hashlib.sha256(data).hexdigest())) == 1
    with pytest.raises(RunError, match="changed"):
        threads(data, sha256="0" * 64)


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("cooking.stackexchange.com.7z", SITE),
        ("stackoverflow.com-Posts.7z", "stackoverflow.com"),
        ("dumps/math.stackexchange.com/Posts.xml", "math.stackexchange.com"),
        ("dumps/Posts.xml", None),
        ("Superuser.com.zip/Posts.xml", "superuser.com"),
    ],
)
def test_the_site_is_in_the_name(threads: Any, name: str, site: str | None) -> None:
    (item,) = records(threads(dump(question(1)), name, min_answers=0))
    assert item.fields.get("site") == site
    (item,) = records(threads(dump(question(1)), name, site="my.site", min_answers=0))
    assert item.fields["url"] == "https://my.site/q/1"


BODIES = {
    "paragraphs": ("<p>One\n two</p>\n\n<p>three</p>", "One two\n\nthree"),
    "entities": ("<p>1 &lt; 2 &amp; &quot;x&quot; &#8364;</p>", '1 < 2 & "x" €'),
    "a body that is no HTML": ("1 &lt; 2", "1 < 2"),
    "code with a language": (
        '<pre class="lang-py prettyprint-override"><code>if x &lt; 1:\n    y()\n</code></pre>',
        "```py\nif x < 1:\n    y()\n```",
    ),
    "code keeps its spaces": ("<pre><code>  a\n\n\n    b  c\n</code></pre>", "```\n  a\n\n\n    b  c\n```"),
    "code with a fence in it": ("<pre><code>```\nx\n```</code></pre>", "````\n```\nx\n```\n````"),
    "inline code": ("<p>Use <code>a  b</code> and <code>`c`</code>.</p>", "Use `a b` and `` `c` ``."),
    "links and pictures": (
        '<p>See <a href="http://x/?a>b">the <b>page</b></a><img src="y" alt="z"></p>',
        "See the page",
    ),
    "lists in lists": (
        "<ul><li>a<ol start=3><li>b</li><li>c</li></ol></li><li>d</li></ul><p>e</p>",
        "- a\n  3. b\n  4. c\n- d\n\ne",
    ),
    "items that were not closed": ("<ul><li>a<li>b</ul>", "- a\n- b"),
    "two lists": ("<ul><li>a</li></ul><ol><li>b</li></ol>", "- a\n\n1. b"),
    "a quote with a list and code": (
        "<blockquote><p>q</p><ul><li>a</li></ul><pre><code>x\n</code></pre></blockquote><p>p</p>",
        "> q\n>\n> - a\n>\n> ```\n> x\n> ```\n\np",
    ),
    "code in an item": ("<ul><li><p>a</p><pre><code>x\n</code></pre></li></ul>", "- a\n\n  ```\n  x\n  ```"),
    "headings and rules": ("<h2>Head</h2><hr><p>x</p>", "## Head\n\nx"),
    "line breaks": ("<p>a<br>b<br/>c</p>", "a\nb\nc"),
    "tables": ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a | b\n1 | 2"),
    "powers": ("<p>2<sup>n</sup> x<sub>1</sub></p>", "2^n x_1"),
    "comments go": ("<p>a<!-- language: lang-py --></p>", "a"),
    "a bracket that is no tag": ("<p>a < b and <3</p>", "a < b and <3"),
    "ends without beginnings": ("</li></ul></pre></blockquote>a</p>", "a"),
    "beginnings without ends": ("<blockquote><ul><li><pre><code>x", "> - ```\n>   x\n>   ```"),
}


@pytest.mark.parametrize(("html", "text"), BODIES.values(), ids=BODIES.keys())
def test_html_becomes_markdown(html: str, text: str) -> None:
    assert markdown(html) == text


PIECES = [
    "<p>",
    "</p>",
    "<li>",
    "<ul>",
    "</ul>",
    "<pre>",
    "</pre>",
    "<code>",
    "</code>",
    "<blockquote>",
    "</blockquote>",
]


@given(st.lists(st.sampled_from([*PIECES, "w1 ", "w2\n", "&lt;", "<!--", "<", '"']), max_size=40).map("".join))
def test_no_word_is_lost_whatever_the_tags(html: str) -> None:
    assert Counter(word for word in ("w1", "w2") for _ in range(html.count(word))) == Counter(
        word for word in ("w1", "w2") for _ in range(markdown(html).count(word))
    )


def test_hostile_bodies_take_linear_time() -> None:
    began = time.process_time()
    for piece in ("<a ", "<a b='", "<!--", "<blockquote>", "<ul><li>", "</li>", "`", "<code>`", "<p>", "&lt;", "<pre>"):
        markdown(piece * (300_000 // len(piece)))
    assert time.process_time() - began < 10


@pytest.mark.parametrize("encoding", ["Shift_JIS", "utf-7", "hex", "no-such-thing"])
def test_a_dump_is_utf_8_whatever_its_first_line_says(threads: Any, encoding: str) -> None:
    whole = dump(question(1, Title="Über Kaffee", AnswerCount=1), answer(2, 1))
    declared = whole.replace(b'encoding="utf-8"', f'encoding="{encoding}"'.encode())
    assert declared != whole
    assert [record.text for record in records(threads(declared))] == [record.text for record in records(threads(whole))]
    assert "Über Kaffee" in records(threads(declared))[0].text
