"""JSON lines and Parquet: what is read, what is kept aside, and that nothing malformed stops a run."""

from __future__ import annotations

import datetime
import decimal
import gzip
import hashlib
import itertools
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus import read as reading
from pretrial.corpus.readers.jsonl import read_jsonl, spans
from pretrial.corpus.readers.parquet import opened, read_parquet, rows_of
from pretrial.corpus.readers.record import Record, Reject
from pretrial.corpus.readers.safety import Limits
from pretrial.errors import Interrupted, RequestError, RunError

RECORDS = [
    {"id": "a", "text": "Der Fluß\nfließt.", "title": "A", "n": 1, "book": "one"},
    {"id": "b", "text": "second  text", "license": "MIT", "book": "one"},
    {"id": 3, "text": "third", "tags": ["x", None]},
]
PLAIN = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()


def outcome(items: Any) -> tuple[list[Record], dict[str, str]]:
    items = list(items)
    rejects = {item.where: item.reason for item in items if isinstance(item, Reject)}
    return [item for item in items if isinstance(item, Record)], rejects


def test_plain_gzip_and_zstandard_give_the_same_corpus_whatever_their_names(tmp_path: Path, read: Any) -> None:
    packed = {"plain": PLAIN, "gz": gzip.compress(PLAIN), "zst": zstandard.compress(PLAIN)}
    rows = {}
    for name, data in packed.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "x.jsonl").write_bytes(data)
        rows[name] = read("jsonl", f"{name}/x.jsonl", id="id").rows
    assert [row["id"] for row in rows["plain"]] == ["a", "b", "3"]
    assert rows["plain"] == rows["gz"] == rows["zst"]


def test_a_row_holds_hashes_bytes_group_and_every_other_field(tmp_path: Path, read: Any) -> None:
    (tmp_path / "x.jsonl").write_bytes(PLAIN)
    corpus = read("jsonl", "x.jsonl", group="book", license="CC0-1.0")
    first, second, third = corpus.rows
    assert first["bytes"] == len(RECORDS[0]["text"].encode())
    assert first["text_sha"] == hashlib.sha256(RECORDS[0]["text"].encode()).digest()
    assert second["sha"] == hashlib.sha256(b"second text").digest()[:16]
    assert json.loads(first["meta"]) == {"book": "one", "license": "CC0-1.0", "n": 1, "title": "A"}
    assert json.loads(second["meta"])["license"] == "MIT"
    assert [row["group"] for row in corpus.rows] == ["book:one", "book:one", f"document:{third['sha'].hex()}"]
    assert corpus.facts["ungrouped"] == 1
    assert corpus.facts["groups"] == 2


def test_broken_lines_are_counted_named_and_kept_aside(tmp_path: Path, read: Any) -> None:
    lines = [
        b'{"id": 1, "text": "good"}',
        b'{"id": 2, "text": ',
        b'{"id": 3, "text": "\xff\xfe"}',
        b"[1, 2]",
        b'{"id": 4}',
        b'{"id": 5, "text": 7}',
        b'{"id": 6, "text": " \\n "}',
        b'{"id": 7, "text": "\\ud800"}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5000 + b', "text": "x"}',
        b"",
        b'{"id": 8, "text": "fine", "score": NaN}',
    ]
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    corpus = read("jsonl", "x.jsonl")
    assert corpus.texts == ["good", "fine"]
    assert json.loads(corpus.rows[1]["meta"]) == {}
    assert {row["where"]: row["reason"] for row in corpus.quarantine} == {
        "x.jsonl:2": "malformed-json",
        "x.jsonl:3": "undecodable",
        "x.jsonl:4": "not-an-object",
        "x.jsonl:5": "no-text",
        "x.jsonl:6": "text-not-a-string",
        "x.jsonl:7": "empty-text",
        "x.jsonl:8": "undecodable",
        "x.jsonl:9": "malformed-json",
        "x.jsonl:10": "malformed-json",
    }
    assert corpus.facts["quarantined"]["malformed-json"] == 3
    assert all(len(row["excerpt"]) <= 200 for row in corpus.quarantine)


def test_what_could_not_be_used_is_warned_of_once_with_counts(tmp_path: Path, read: Any) -> None:
    from pretrial.corpus.read import _report

    heard: list[str] = []

    class Context:
        def __init__(self) -> None:
            self.config = {"group": "book"}

        def log(self, message: str) -> None:
            pass

        def warn(self, message: str) -> None:
            heard.append(message)

    (tmp_path / "x.jsonl").write_bytes(PLAIN + b"{\n")
    _report(Context(), "prose", read("jsonl", "x.jsonl", group="book").facts)  # type: ignore[arg-type]
    assert len(heard) == 2
    assert "prose: 1 record could not be used (malformed-json 1)" in heard[0]
    assert "1 of 3 documents have no book" in heard[1]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_cut_file_gives_its_readable_part_and_says_so(tmp_path: Path, read: Any, pack: Any) -> None:
    data = b"".join(b'{"text": "%032x"}\n' % (i * 0x9E3779B97F4A7C15) for i in range(8_000))
    whole = pack(data)
    (tmp_path / "x.jsonl.zst").write_bytes(whole[: len(whole) // 2])
    corpus = read("jsonl", "x.jsonl.zst")
    assert 1_000 < corpus.facts["documents"] < 8_000
    assert corpus.facts["quarantined"] == {"truncated-file": 1}
    (tmp_path / "x.jsonl.zst").write_bytes(whole + b"trailing rubbish")
    assert read("jsonl", "x.jsonl.zst").facts["quarantined"] == {"corrupt-file": 1}


def test_several_frames_in_one_file_are_all_read(tmp_path: Path, read: Any) -> None:
    (tmp_path / "x.zst").write_bytes(zstandard.compress(PLAIN) + zstandard.compress(PLAIN))
    corpus = read("jsonl", "x.zst")
    assert corpus.facts["documents"] == 6
    assert corpus.facts["repeated_ids"] == 3


def test_an_oversize_line_is_left_out_and_the_next_one_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    long = b'{"text": "%s"}' % (b"x" * 5000)
    exact = b'{"text": "%s"}' % (b"y" * (1000 - 12))
    path.write_bytes(b"\n".join([b'{"text": "a"}', long, exact, b'{"text": "b"}', long]))
    records, rejects = outcome(read_jsonl(path, "x", text="text", id=None, limit=1000))
    assert [record.text[0] for record in records] == ["a", "y", "b"]
    assert rejects == {"x:2": "oversize-line", "x:5": "oversize-line"}


@given(
    lines=st.lists(st.integers(0, 60), max_size=30),
    ended=st.booleans(),
    size=st.integers(1, 200),
)
def test_spans_cover_a_file_once_and_keep_line_numbers(
    tmp_path_factory: pytest.TempPathFactory, lines: list[int], ended: bool, size: int
) -> None:
    path = tmp_path_factory.mktemp("spans") / "x.jsonl"
    body = b"\n".join(b'{"text": "%d%s"}' % (number, b"z" * pad) for number, pad in enumerate(lines))
    path.write_bytes(body + (b"\n" if ended and lines else b""))
    found = spans(path, size)
    assert [start for start, _, _ in found] == [0, *(end for _, end, _ in found)][: len(found)]
    assert (found[-1][1] if found else 0) == path.stat().st_size
    whole = list(read_jsonl(path, "x", text="text", id=None))
    pieces = [
        item
        for start, end, line in found
        for item in read_jsonl(path, "x", text="text", id=None, span=(start, end), first_line=line)
    ]
    assert pieces == whole


def test_a_large_plain_file_is_split_and_reads_the_same(
    tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"".join(b'{"text": "line %d of a file"}\n' % i for i in range(3_000))
    (tmp_path / "x.jsonl").write_bytes(data)
    whole = read("jsonl", "x.jsonl")
    monkeypatch.setattr("pretrial.corpus.parts.SPAN_BYTES", 20_000)
    split = read("jsonl", "x.jsonl")
    assert len(split.facts["shards"]) > 3
    assert split.rows == whole.rows


def test_keep_takes_the_records_with_the_values_named(tmp_path: Path, read: Any) -> None:
    rows = [{"text": f"t{i}", "language": lang} for i, lang in enumerate(["go", "c", "go", None])]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    corpus = read("jsonl", "x.jsonl", keep={"language": ("go", "rust")})
    assert corpus.texts == ["t0", "t2"]
    assert corpus.facts["funnel"] == [
        {"step": "read", "documents": 4, "bytes": 8},
        {"step": "keep", "documents": 2, "bytes": 4},
    ]


def test_a_source_that_comes_out_empty_fails_with_its_funnel(tmp_path: Path, read: Any) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"body": "b"}\n')
    with pytest.raises(
        RunError, match=r"these: no document is left: 1 documents .* read, 0 left; dropped by keep 1; .*no-text 1"
    ):
        read("jsonl", "x.jsonl", keep={"language": ("go",)})


def test_parquet_columns_become_documents_and_odd_values_plain_metadata(tmp_path: Path, read: Any) -> None:
    import datetime

    table = pa.table(
        {
            "body": ["one", None, "", "four"],
            "key": ["a", "b", "c", None],
            "score": [math.nan, 1.5, 2.0, 3.0],
            "day": [datetime.date(2024, 2, 3)] * 4,
            "raw": [b"\x01"] * 4,
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    corpus = read("parquet", "x.parquet", text="body", id="key")
    assert [(row["id"], row["text"]) for row in corpus.rows] == [("a", "one"), ("x.parquet:4", "four")]
    assert json.loads(corpus.rows[0]["meta"]) == {"day": "2024-02-03", "raw": "01", "score": None}
    assert corpus.facts["quarantined"] == {"empty-text": 1, "no-text": 1}
    with pytest.raises(RequestError, match="no column 'text'") as caught:
        read("parquet", "x.parquet")
    assert "body, key, score, day, raw" in str(caught.value)


def test_broken_parquet_and_broken_strings_in_it_are_kept_aside(tmp_path: Path, read: Any) -> None:
    strings = pa.array([b"fine", b"\xff\xfe", b"also fine"]).view(pa.string())
    pq.write_table(pa.table({"text": strings}), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    corpus = read("parquet", "*.parquet")
    assert corpus.texts == ["fine", "also fine"]
    assert corpus.facts["quarantined"] == {"corrupt-file": 1, "undecodable": 1}


def test_a_file_that_changed_since_the_plan_fails_the_step(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(PLAIN)
    planned = hashlib.sha256(PLAIN).hexdigest()
    assert len(list(read_jsonl(path, "x", text="text", id="id", sha256=planned))) == 3
    path.write_bytes(PLAIN.replace(b"third", b"3 rd!"))
    with pytest.raises(RunError, match="changed while it was being read"):
        list(read_jsonl(path, "x", text="text", id="id", sha256=planned))


def test_equal_input_gives_equal_bytes_on_disk(tmp_path: Path, read: Any) -> None:
    (tmp_path / "x.jsonl").write_bytes(PLAIN + b"{\n")
    first, second = read("jsonl", "x.jsonl").artefact, read("jsonl", "x.jsonl").artefact
    assert sorted(path.name for path in first.path.iterdir()) == ["quarantine.parquet", "shard-00000.parquet"]
    for path in first.path.iterdir():
        assert path.read_bytes() == second.file(path.name).read_bytes()
    assert first.facts == second.facts


def test_ctrl_c_stops_reading(tmp_path: Path, step: Any) -> None:
    (tmp_path / "x.jsonl").write_bytes(PLAIN)
    source = {"kind": "jsonl", "scope": "paths", "text": "text", "id": "id", "cap_file": None, "cap_group": None}
    config = {
        "read": source, "filter": [], "transform": [], "group": "document", "license": None, "keep": {},
        "part": {"file": "x"},
    }  # fmt: skip
    settings = {"paths": [str(tmp_path / "x.jsonl")]}
    assert (
        step("pretrial.corpus.read:read_shard", tmp_path / "a", config=config, settings=settings).facts["documents"]
        == 3
    )
    with pytest.raises(Interrupted):
        step("pretrial.corpus.read:read_shard", tmp_path / "b", config=config, settings=settings, stop=True)


def test_real_records_are_all_read(data_dir: Path, read: Any) -> None:
    manifest = json.loads((data_dir / "MANIFEST.json").read_text())
    files = manifest["files"] if isinstance(manifest, dict) else manifest
    records = {record["path"]: record for record in files}
    corpus = read("jsonl", "{data}/text/news_wikinews.jsonl.zst", data=data_dir)
    assert corpus.facts["documents"] == records["text/news_wikinews.jsonl.zst"]["documents"]
    assert corpus.facts["quarantined"] == {}
    assert corpus.facts["repeated_ids"] == 0
    assert {"license", "source", "title", "url"} <= json.loads(corpus.rows[0]["meta"]).keys()


def test_small_files_share_a_shard_which_knows_where_each_begins(
    tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        rows = [json.dumps({"id": f"{number}-{k}", "text": f"{number} {k}"}) for k in range(number % 3)]
        (tmp_path / f"f{number:02d}.jsonl").write_text("".join(row + "\n" for row in rows))
    corpus = read("jsonl", "f*.jsonl")
    (shard,) = corpus.facts["shards"]
    assert [name for name, _ in shard["files"]] == [f"f{number:02d}.jsonl" for number in range(30)]
    for (name, first), (_, after) in itertools.pairwise([*shard["files"], ("", shard["documents"])]):
        number = int(name[1:3])
        assert [row["id"] for row in corpus.rows[first:after]] == [f"{number}-{k}" for k in range(number % 3)]
    assert corpus.facts["skipped"] == {"empty": 10}
    monkeypatch.setattr("pretrial.corpus.parts.ARCHIVE_BYTES", 200)
    several = read("jsonl", "f*.jsonl")
    assert len(several.facts["shards"]) > 2
    assert several.texts == corpus.texts
    assert several.facts["skipped"] == corpus.facts["skipped"]


SHARED = pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), pa.array(["x" * 5_000_000]))


@pytest.mark.parametrize(
    "columns",
    [
        {"text": SHARED},
        {"text": pa.array(["short"] * 200), "others": pa.ListArray.from_arrays(range(201), SHARED)},
        {"text": pa.array(["short"] * 200), "meta": pa.StructArray.from_arrays([SHARED], ["note"])},
        {
            "text": pa.array(["short"] * 200),
            "bytes": pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), pa.array([b"x" * 5_000_000])),
        },
    ],
    ids=["text", "list", "struct", "binary"],
)
def test_a_value_that_many_rows_share_is_not_held_for_each_of_them(tmp_path: Path, columns: dict[str, Any]) -> None:
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table(columns), path, store_schema=False, compression="zstd", dictionary_pagesize_limit=1 << 30)
    assert path.stat().st_size < 10_000
    before = most = pa.total_allocated_bytes()
    count = 0
    for record in read_parquet(path, path.name, text="text", id=None):
        assert isinstance(record, Record)
        count += 1
        most = max(most, pa.total_allocated_bytes())
    assert count == 200
    assert most - before < 100_000_000, "and not the gigabyte that the rows are"


def test_a_row_group_that_unpacks_to_far_more_than_it_should_is_one_reject(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())]), compression="zstd", use_dictionary=False) as writer:
        for texts in (["first"], ["x" * 100_000] * 20, ["last"]):
            writer.write_table(pa.table({"text": texts}))
    group = pq.ParquetFile(path).metadata.row_group(1).column(0)
    ratio = group.total_uncompressed_size // group.total_compressed_size

    def read_with(**limits: int) -> list[Record | Reject]:
        found = list(read_parquet(path, "f", text="text", id=None, limits=Limits(**limits)))
        return [one for one in found if isinstance(one, Record | Reject)]

    assert all(isinstance(one, Record) for one in read_with(ratio_from=1000, ratio=ratio + 1))
    assert all(isinstance(one, Record) for one in read_with(ratio_from=10_000_000, ratio=ratio))
    first, bomb, last = read_with(ratio_from=1000, ratio=ratio)
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert bomb == Reject(
        "archive-bomb", "f:2", f"{group.total_uncompressed_size} bytes unpacked from {group.total_compressed_size}"
    )


def test_every_kind_of_column_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Texts and bytes are taken as they are stored, at any depth: nothing may come out differently for it."""
    rows = [
        {
            "text": f"text {n % 3}",
            "bytes": bytes([n]),
            "list": ["a", None, str(n)],
            "map": [("k", str(n))],
            "deep": [{"s": [str(n)], "n": n}],
            "price": decimal.Decimal(n) / 100,
            "when": datetime.date(2026, 1, 1 + n),
            "none": None,
        }
        for n in range(10)
    ]
    schema = pa.schema(
        {
            "text": pa.string(),
            "bytes": pa.binary(),
            "list": pa.list_(pa.string()),
            "map": pa.map_(pa.string(), pa.string()),
            "deep": pa.list_(pa.struct({"s": pa.list_(pa.large_string()), "n": pa.int64()})),
            "price": pa.decimal128(30, 2),
            "when": pa.date32(),
            "none": pa.null(),
        }
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "all.parquet")
    file = opened(tmp_path / "all.parquet")
    assert [row for batch in file.iter_batches() for row in rows_of(batch)] == rows


def test_fields_count_for_the_size_of_a_row_group(tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrial.corpus.documents.GROUP_BYTES", 10_000)
    lines = [json.dumps({"text": f"text {number}", "note": "x" * 1_000}) for number in range(50)]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    corpus = read("jsonl", "x.jsonl")
    with pq.ParquetFile(corpus.artefact.file("shard-00000.parquet")) as file:
        assert 5 <= file.num_row_groups <= 6


@pytest.mark.parametrize(
    ("most", "said"), [(3, "names each"), (2, "names the first 2 of each reason in each part or file")]
)
def test_the_warning_says_how_much_of_what_was_kept_aside_is_named(
    tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch, most: int, said: str
) -> None:
    monkeypatch.setattr(reading, "QUARANTINED", most)
    (tmp_path / "x.jsonl").write_text('{"text": "one"}\n' + "broken\n" * 3 + "[]\n")
    corpus = read("jsonl", "x.jsonl")
    listed = [row["reason"] for row in corpus.quarantine]
    assert listed == ["malformed-json"] * most + ["not-an-object"], "one reason does not hide another"
    warnings: list[str] = []
    told = SimpleNamespace(log=len, warn=warnings.append, config={"group": "document"})
    reading._report(told, "x", corpus.facts)
    assert warnings[0].endswith(said)


def test_one_broken_file_does_not_hide_another(tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "QUARANTINED", 2)
    for name, broken in (("a", 5), ("b", 1), ("c", 3)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": name}) + "\n" + "broken\n" * broken)
    corpus = read("jsonl", "*.jsonl")
    assert len(corpus.facts["shards"]) == 1
    assert [row["where"].split(":")[0] for row in corpus.quarantine] == ["a.jsonl"] * 2 + ["b.jsonl"] + ["c.jsonl"] * 2
    assert corpus.facts["quarantined"] == {"malformed-json": 9}
