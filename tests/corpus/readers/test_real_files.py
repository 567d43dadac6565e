"""Readers on files that others wrote: what they hold comes out as it stands there (see `real/README.md`)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair
import py7zr
import pyarrow.parquet as pq
import pytest

from pretrial.corpus.readers.jsonl import read_jsonl
from pretrial.corpus.readers.notebooks import read_notebook
from pretrial.corpus.readers.parquet import read_parquet
from pretrial.corpus.readers.record import Blob, Record
from pretrial.corpus.readers.stackexchange import read_stackexchange

REAL = Path(__file__).parent / "real"
SITE = "coffee.stackexchange.com"
POSTS = REAL / SITE / "Posts.xml"


def records(items: Any) -> list[Record]:
    found = list(items)
    assert all(isinstance(item, Record) for item in found), found
    return found


def test_a_notebook_of_jupyter_as_cells_with_what_the_kernel_answered() -> None:
    blob = Blob("letters.ipynb", (REAL / "letters.ipynb").read_bytes(), {})
    (script,) = records(read_notebook(blob, form="script"))
    (cells,) = records(read_notebook(blob, form="structured"))
    assert script.fields["language"] == cells.fields["language"] == "python"
    assert script.text.startswith("# # Letters of a text\n")
    assert "\n# %matplotlib inline\n" in script.text
    compile(script.text, "letters.py", "exec")
    for output in ("14 letters", "  letter  count\n0      t      4", "ZeroDivisionError: division by zero"):
        assert f"```output\n{output}" in cells.text
        assert output not in script.text
    assert "iVBOR" not in cells.text, "a picture is no text"


def test_threads_of_a_dump_and_of_the_same_dump_inside_its_archive(tmp_path: Path) -> None:
    threads = records(read_stackexchange(POSTS, f"{SITE}/Posts.xml", tmp_path))
    rows = [row.attrib for row in ElementTree.parse(POSTS).getroot()]
    questions = {row["Id"]: row for row in rows if row["PostTypeId"] == "1"}
    assert [thread.id for thread in threads] == [f"{SITE}/q/{id}" for id in questions]
    for thread, (id, question) in zip(threads, questions.items(), strict=True):
        answers = [row for row in rows if row.get("ParentId") == id]
        answers.sort(key=lambda row: (row["Id"] != question.get("AcceptedAnswerId"), -int(row["Score"])))
        assert thread.fields["title"] == question["Title"]
        assert thread.fields["score"] == int(question["Score"])
        assert thread.fields["answers"] == len(answers)
        begins = [thread.text.find(plain(row["Body"])) for row in [question, *answers]]
        assert begins == sorted(begins), "the question, the accepted answer, the others by score"
        assert begins[0] > 0
        assert not re.search(r"</?p>|&[a-z]+;", thread.text)

    packed = tmp_path / f"{SITE}.7z"
    with py7zr.SevenZipFile(packed, "w") as archive:
        archive.write(POSTS, "Posts.xml")
    again = records(read_stackexchange(packed, packed.name, tmp_path))
    assert [(thread.text, thread.fields) for thread in again] == [(thread.text, thread.fields) for thread in threads]


def plain(body: str) -> str:
    """The first words of a post without markup or entities among them."""
    return re.findall(r">([^<>&\n]{12,40})", body)[0].strip()


def test_a_parquet_file_of_an_installed_package() -> None:
    path = Path(altair.__file__).parent / "datasets/_metadata/metadata.parquet"
    table = pq.ParquetFile(path).read().to_pylist()
    found = records(read_parquet(path, path.name, text="url", id="file_name"))
    assert [(record.id, record.text) for record in found] == [(row["file_name"], row["url"]) for row in table]
    assert [record.fields["suffix"] for record in found] == [row["suffix"] for row in table]


@pytest.mark.parametrize(
    ("name", "fields"),
    [("commits", {"language", "license", "source"}), ("stackexchange_tech", {"title", "url", "license", "source"})],
)
def test_commits_and_threads_as_json_lines(data_dir: Path, name: str, fields: set[str]) -> None:
    path = data_dir / f"code_adjacent/{name}.jsonl.zst"
    found = records(read_jsonl(path, path.name, text="text", id="id"))
    assert len(found) > 1_000
    assert len({record.id for record in found}) == len(found)
    assert all(record.text.strip() and fields <= record.fields.keys() for record in found)
