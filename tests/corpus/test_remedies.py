"""What is said where nothing is left of a source: the right place and reason, and advice that can be followed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from conftest import LocalContext
from pretrial.corpus import spec
from pretrial.corpus.pipeline import fits
from pretrial.corpus.read import read_corpus
from pretrial.corpus.remedies import as_said
from pretrial.errors import RunError
from pretrial.study.form import SourceForm
from pretrial.study.schema import Source


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def remedy(read: Any, *source: Any, **options: Any) -> str:
    with pytest.raises(RunError) as caught:
        read(*source, **options)
    assert caught.value.remedy is not None
    return str(caught.value.remedy)


def loaded(yaml: str) -> Any:
    """What the loader makes of a source's `keep`."""
    form = SourceForm.model_validate(YAML(typ="safe", pure=True).load(f"{{from: a, {yaml}}}"))
    return form.keep


VALUES = [
    "plain", "two words", "a: b, c", "- x", "# no", "007", "1e5", "1.50", "0", "null", "Yes", "true", "n", "[x]", "{x}",
    "'", '"', "\\", "a\nb\tc", "ü 🙂", "\u202eevil", "\x7f\x9b", "\U000e0001", "", " x ", "*a", "&a", "!x", "%", "@",
    "~", "https://a.example/" + "y" * 200, "1_000", "0x10", "-7", "2024-01-01", "=", "a" * 250, True, False, 0, 7, -7,
    12**20, 0.0, 2.0, -1.0, 0.5, 1e300, float("inf"),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_a_value_is_said_as_the_loader_takes_it(value: Any) -> None:
    keep = loaded(f"keep: {{f: [{as_said(value)}]}}")
    assert fits(value, keep["f"])


@given(st.text(max_size=20))
def test_any_text_is_said_as_the_loader_takes_it(text: str) -> None:
    if said := as_said(text):
        assert loaded(f"keep: {{f: [other, {said}]}}")["f"] == ("other", text)


def test_what_cannot_be_listed_is_not_said() -> None:
    assert [as_said(value) for value in ("1..2", "..", "\ud800")] == [""] * 3


def test_advice_for_a_part_without_documents_can_be_followed(tmp_path: Path, read: Any) -> None:
    address = "https://a.example/" + "y" * 80
    values = [0.0, 2.0, True, "a: b, c", address, ["tag one", "007"], None]
    write(tmp_path / "x.jsonl", *({"id": f"{n}", "text": f"text {n}", "f": value} for n, value in enumerate(values)))
    parent = read("jsonl", "x.jsonl").artefact

    def derive(**options: Any) -> Any:
        config = spec.source_config(Source(None, parent="p", **options))
        return read_corpus(
            LocalContext(tmp_path / f"d{len(list(tmp_path.iterdir()))}", config=config, inputs={"parent": parent})
        )

    with pytest.raises(RunError) as caught:
        derive(keep={"f": ("nothing",)}, is_part=True)
    said = str(caught.value.remedy)
    assert said.startswith("To leave this part out, say of the source that is split what there is: keep: {f: [")
    keep = loaded(said[said.index("keep: {") : said.index("]};") + 2])
    assert derive(keep=keep)["documents"] == 6, "all that have a value"


@pytest.mark.parametrize("many", [41, 400])
def test_advice_that_would_not_name_all_values_is_not_given(tmp_path: Path, read: Any, many: int) -> None:
    write(tmp_path / "x.jsonl", *({"id": f"{n}", "text": f"text {n}", "f": f"v{n}"} for n in range(many)))
    parent = read("jsonl", "x.jsonl").artefact
    config = spec.source_config(Source(None, parent="p", keep={"f": ("nothing",)}, is_part=True))
    with pytest.raises(RunError) as caught:
        read_corpus(LocalContext(tmp_path / "d", config=config, inputs={"parent": parent}))
    assert str(caught.value.remedy).startswith(f"Most went at keep: f=(other values) {many - 40},")


def test_what_cannot_be_read_is_named_with_its_own_reason(tmp_path: Path, read: Any) -> None:
    (tmp_path / "x.parquet").write_bytes(b"no Parquet at all")
    assert remedy(read, "parquet", "x.parquet") == (
        "The first that could not be used is x.parquet:1, corrupt-file: 'Parquet magic bytes not found in footer. "
        "Either the file is corrupted or this is not a parquet file.'. The reader parquet takes: Parquet files."
    )
    (tmp_path / "x.zip").write_bytes(b"no archive")
    said = remedy(read, "archives", "x.zip")
    assert "The first that could not be used is x.zip, not-an-archive: " in said
    assert "The reader archives takes: Source files in archives: zip, wheel, tar" in said
    (tmp_path / "x.jsonl.gz").write_bytes(b"first line\\n\n\x1b[2Jsecond\n")
    said = remedy(read, "jsonl", "x.jsonl.gz")
    assert "The first that could not be used is x.jsonl.gz:1, corrupt-file: 'zlib inflate failed" in said
    assert said.endswith("The reader jsonl takes: JSON lines, plain, .gz or .zst.")
    (tmp_path / "x.jsonl").write_bytes(b"first line\\n\n\x1b[2Jsecond\n")
    said = remedy(read, "jsonl", "x.jsonl")
    assert "The first that could not be used is x.jsonl:1, malformed-json: 'first line\\n\\x0a'." in said


def test_an_excerpt_is_escaped_once(tmp_path: Path, read: Any) -> None:
    write(tmp_path / "x.jsonl", {"id": "a", "text": "Some\nwords."})
    said = remedy(read, "jsonl", "x.jsonl", filter=(("c4-page", {"filler": "words"}),))
    assert said.endswith("'Some\\x0awords.'.")
    assert "\\\\" not in said


def test_a_damaged_file_beside_a_good_one_does_not_hide_what_took_its_documents(tmp_path: Path, read: Any) -> None:
    write(tmp_path / "a.jsonl", *({"id": f"{n}", "text": f"words {n}"} for n in range(3)))
    (tmp_path / "b.jsonl").write_text("broken\n")
    said = remedy(read, "jsonl", "*.jsonl", filter=(("c4-page", {"filler": "words"}),))
    assert said.startswith("Most went at c4-page: filler 3.")
    (tmp_path / "b.jsonl").write_text("broken\n" * 4)
    assert "b.jsonl:1, malformed-json: 'broken\\x0a'" in remedy(
        read, "jsonl", "*.jsonl", filter=(("c4-page", {"filler": "words"}),)
    )


def test_a_text_in_a_nested_record_is_named_with_dots(tmp_path: Path, read: Any) -> None:
    row = {"m": {"body": "the text", "key": "k1", "more": 1}, "n": 2}
    write(tmp_path / "x.jsonl", row)
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "x.parquet")
    for kind in ("jsonl", "parquet"):
        (made,) = read(kind, f"x.{kind}", text="m.body", id="m.key").rows
        assert (made["id"], made["text"]) == ("k1", "the text")
        assert json.loads(made["meta"]) == {"m": {"more": 1}, "n": 2}, "what became text and name is not there twice"
    (tmp_path / "set").mkdir()
    (tmp_path / "x.parquet").rename(tmp_path / "set" / "train.parquet")
    (made,) = read("hub", "./set", text="m.body", id="m.key").rows
    assert (made["id"], made["text"], json.loads(made["meta"])["n"]) == ("k1", "the text", 2)
    said = remedy(read, "jsonl", "x.jsonl", text="m.bdoy")
    assert "(dots go into nested records). There are: m, n." in said


def test_a_field_that_no_record_has_is_answered_with_those_there_are(tmp_path: Path, read: Any) -> None:
    write(tmp_path / "x.jsonl", {"id": "a", "text": "words", "language": "en", "stars": 3})
    assert remedy(read, "jsonl", "x.jsonl", keep={"langauge": ("en",)}) == (
        "No document has a field 'langauge': name another one, or say which it is: fields: {langauge: COLUMN}. "
        "Did you mean language? There are: language, stars."
    )
    said = remedy(read, "jsonl", "x.jsonl", keep={"meta: x": {"least": 2, "most": None}})
    assert 'fields: {"meta: x": COLUMN}. There are: language, stars.' in said


def warnings_of(folder: Path, source: Source, parent: Any = None) -> list[str]:
    class Hashes:
        def hash(self, path: Path) -> str:
            import hashlib

            return hashlib.sha256(path.read_bytes()).hexdigest()

    config = spec.source_config(source)
    settings = spec.source_settings(source, None, folder, name="these")
    if parent is None:
        config = spec.corpus_config(config, spec.input_fingerprint(config, settings, Hashes()))  # type: ignore[arg-type]
    ctx = LocalContext(
        folder / f"out{len(list(folder.iterdir()))}", config=config, settings=settings,
        inputs={} if parent is None else {"parent": parent},
    )  # fmt: skip
    read_corpus(ctx)
    return ctx.warnings


def test_a_part_by_a_licence_that_nothing_names_is_warned_of(tmp_path: Path, read: Any) -> None:
    write(tmp_path / "x.jsonl", {"id": "a", "text": "words", "stars": 3})
    parent = read("jsonl", "x.jsonl").artefact
    part = Source(None, parent="p", keep={"license": ("NOASSERTION",)}, is_part=True)
    assert warnings_of(tmp_path, part, parent) == [
        "these: no document has a field 'license', and by it they were chosen. There are: stars."
    ]
    named = read("jsonl", "x.jsonl", license="MIT").artefact
    part = Source(None, parent="p", keep={"license": ("MIT",)}, is_part=True)
    assert warnings_of(tmp_path, part, named) == []


def test_a_group_that_is_a_list_or_not_there_is_said_to_be_so(tmp_path: Path, make_source: Any) -> None:
    rows = [{"id": f"{n}", "text": f"words {n}", "lang": ["en"] if n else "en"} for n in range(3)]
    write(tmp_path / "x.jsonl", *rows)
    (said,) = warnings_of(tmp_path, make_source("jsonl", "x.jsonl", group="lang"))
    assert said == "these: 2 of 3 documents have a list as lang, which is no group; each is a group of its own"
    write(tmp_path / "x.jsonl", *rows, {"id": "none", "text": "without"})
    (said,) = warnings_of(tmp_path, make_source("jsonl", "x.jsonl", group="lang"))
    assert "1 of 4 documents have no lang; 2 of 4 documents have a list as lang" in said
    (said,) = warnings_of(tmp_path, make_source("jsonl", "x.jsonl", group="lnag"))
    assert said == "these: 4 of 4 documents have no lnag; each is a group of its own. There are: lang"


def test_a_good_archive_without_files_of_a_language_is_not_called_broken(tmp_path: Path, read: Any) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("a.py", "\n")
    assert "could not be used" not in remedy(read, "archives", "x.zip")


def test_empty_files_are_called_empty(tmp_path: Path, read: Any) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text("")
    assert remedy(read, "jsonl", "*.jsonl") == "All that was found is empty: name other files, or leave the source out."
