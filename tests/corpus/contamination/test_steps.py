"""The steps: an index on disk, a corpus scanned in parts, and the facts that a report shows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pretrial.corpus.contamination import hits, spec, steps
from pretrial.corpus.contamination.benchmark_texts import BENCHMARKS
from pretrial.corpus.contamination.index import load, unfindable
from pretrial.errors import RunError

GOLDEN = {
    ("contamination-index", 2): "8a57efd417d2505f",
    ("contamination", 1): "203037f8b17c845e",
}

PIQA = [
    {"query": "Question: How do you keep a loaf of rye bread fresh for a week?\n", "choices": ["x", "y"], "gold": 0},
    {"query": "Question: boil an egg\n", "choices": ["fry it", "lower it gently into hot water"], "gold": 1},
    {"query": "Question: melt ice\n", "choices": ["wait", "run"], "gold": 0},
]
MBPP = [
    {
        "text": "Write a function to find the longest run of equal letters in a word.",
        "code": "def longest_run(word):\r\n  return max(len(list(run)) for _, run in groupby(word))",
        "test_list": ["assert longest_run('aab') == 2", "assert longest_run('abc') == 1"],
    }
]
DOCUMENTS = [
    "Nothing to see here.",
    "Q: How do you KEEP a loaf of rye bread fresh, for a week?",
    "",
    "To boil an egg, lower it gently into hot water. Wait.",
    "def longest_run(word):\n\treturn max(len(list(run)) for _, run in groupby(word))\n",
    "melt ice: wait",
    "He boils an egg. How do you keep a loaf of rye bread fresh for a week? Lower it gently, boil an egg",
]


def digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with two small benchmarks."""
    for name, rows in (("piqa", PIQA), ("mbpp", MBPP)):
        path = tmp_path / "data" / "benchmarks" / BENCHMARKS[name].path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return tmp_path / "data"


@pytest.fixture
def index(tmp_path: Path, data: Path, step: Any) -> Any:
    config = spec.index_config(["piqa", "mbpp"], data)
    return step(spec.FUNCTIONS["contamination-index"], tmp_path / "index", config=config, settings={"data": str(data)})


class Corpus:
    """A corpus artefact: its files, and the facts that a scan reads."""

    key = content = "test"

    def __init__(self, path: Path, shards: list[list[list[str]]]) -> None:
        path.mkdir()
        self.path = path
        self.facts: dict[str, Any] = {"shards": []}
        number = 0
        schema = pa.schema([("id", pa.string()), ("text", pa.large_string())])
        for place, groups in enumerate(shards):
            name = f"shard-{place:05d}.parquet"
            with pq.ParquetWriter(path / name, schema) as writer:
                for texts in groups:
                    names = [f"d{number + at}" for at in range(len(texts))]
                    writer.write_table(pa.table({"id": names, "text": texts}, schema))
                    number += len(texts)
            self.facts["shards"].append({"file": name})

    def file(self, name: str) -> Path:
        return self.path / name


def scanned(tmp_path: Path, step: Any, index: Any, name: str, shards: list[list[list[str]]]) -> Any:
    inputs = {"corpus": Corpus(tmp_path / f"corpus-{name}", shards), "index": index}
    return step(spec.FUNCTIONS["contamination"], tmp_path / f"out-{name}", config=spec.scan_config(), inputs=inputs)


def rows(made: Any) -> list[dict[str, Any]]:
    with pq.ParquetFile(made.file(hits.HITS)) as file:
        found: list[dict[str, Any]] = file.read().to_pylist()
    return found


def test_an_index_of_the_same_files_is_the_same(index: Any, tmp_path: Path, data: Path, step: Any) -> None:
    again = step(
        spec.FUNCTIONS["contamination-index"],
        tmp_path / "again",
        config=spec.index_config(["mbpp", "piqa"], data),
        settings=spec.index_settings(data),
    )
    assert again.content == index.content
    assert index.facts["benchmarks"] == {
        "mbpp": {"items": 1, "texts": 3, "searchable": 1},
        # Melting ice, by waiting, is too short to be told from chance.
        "piqa": {"items": 3, "texts": 6, "searchable": 2},
    }
    arrays = {}
    for path in sorted(index.path.glob("*.npy")):
        arrays[path.name] = np.load(path).tolist()
    items = pq.read_table(index.file("items.parquet")).to_pylist()
    assert [(row["benchmark"], row["findable"]) for row in items].count(("piqa", False)) == 1
    lost = {name: len(ids) for name, ids in unfindable(index.file("items.parquet")).items()}
    assert lost == {name: one["items"] - one["searchable"] for name, one in index.facts["benchmarks"].items()}
    words = index.file("vocabulary.txt").read_text()
    key = ("contamination-index", spec.SEMANTICS["contamination-index"])
    assert digest(arrays, items, words, index.facts) == GOLDEN[key]


def test_an_index_is_read_as_it_was_written(index: Any) -> None:
    made = load(index.path, tuple(sorted(index.facts["matching"].items())))
    assert made.benchmarks == ("mbpp", "piqa")
    assert made.matching == dict(spec.MATCHING)
    assert list(made.vocabulary) == sorted(made.vocabulary)
    assert [*made.vocabulary.values()] == [*range(len(made.vocabulary))]
    assert len(made.item_name) == 4


def test_a_benchmark_that_changed_since_the_plan_is_refused(tmp_path: Path, data: Path, step: Any) -> None:
    config = spec.index_config(["piqa"], data)
    path = data / "benchmarks" / BENCHMARKS["piqa"].path
    path.write_bytes(zstandard.compress(b""))
    with pytest.raises(RunError, match="piqa has changed since it was planned"):
        step(spec.FUNCTIONS["contamination-index"], tmp_path / "index", config=config, settings={"data": str(data)})


def test_a_scan_names_documents_items_and_places(tmp_path: Path, step: Any, index: Any) -> None:
    made = scanned(tmp_path, step, index, "one", [[DOCUMENTS]])
    found = rows(made)
    assert [(row["row"], row["document"], row["benchmark"], row["part"], row["excerpt"]) for row in found] == [
        (1, "d1", "piqa", "question", "How do you KEEP a loaf of rye bread fresh, for a week"),
        (3, "d3", "piqa", "answer", "lower it gently into hot water"),
        (3, "d3", "piqa", "question", "boil an egg"),
        (4, "d4", "mbpp", "solution", DOCUMENTS[4].replace("\n\t", " ").strip()),
        (6, "d6", "piqa", "question", "How do you keep a loaf of rye bread fresh for a week"),
    ]
    for row in found:
        assert DOCUMENTS[row["row"]][row["start"] : row["end"]].split() == row["excerpt"].split()
    assert np.load(made.file(hits.CONTAMINATED)).tolist() == [False, True, False, True, True, False, True]
    size = sum(len(text) for text in DOCUMENTS)
    dirty = sum(len(DOCUMENTS[place]) for place in (1, 3, 4, 6))
    assert made.facts == {
        "documents": 7,
        "bytes": size,
        "contaminated": {"documents": 4, "bytes": dirty},
        "rate": 4 / 7,
        "hits": 5,
        "benchmarks": {
            "mbpp": {"documents": 1, "items": 1, "of": 1, "searchable": 1},
            "piqa": {"documents": 3, "items": 2, "of": 3, "searchable": 2},
        },
    }
    assert digest(found, made.facts) == GOLDEN["contamination", spec.SEMANTICS["contamination"]]
    assert spec.SEMANTICS["contamination-shard"] == 1, "the parts of a scan are hashed with it here"


def test_a_scan_does_not_depend_on_how_a_corpus_is_cut(
    tmp_path: Path, step: Any, index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = scanned(tmp_path, step, index, "whole", [[DOCUMENTS]])
    monkeypatch.setattr(steps, "PART_BYTES", 1)
    monkeypatch.setattr(steps, "BATCH_CHARACTERS", 20)
    cut = scanned(tmp_path, step, index, "cut", [[DOCUMENTS[:2], DOCUMENTS[2:3]], [DOCUMENTS[3:6]], [DOCUMENTS[6:]]])
    assert rows(cut) == rows(whole)
    assert np.load(cut.file(hits.CONTAMINATED)).tolist() == np.load(whole.file(hits.CONTAMINATED)).tolist()
    assert cut.facts == whole.facts


def test_hits_are_read_by_document_and_by_item(tmp_path: Path, step: Any, index: Any) -> None:
    made = scanned(tmp_path, step, index, "read", [[DOCUMENTS]])
    found = hits.read_hits(made)
    assert found.schema.names == hits.SCHEMA.names
    assert np.flatnonzero(hits.contaminated(made)).tolist() == sorted(set(found["row"].to_pylist())) == [1, 3, 4, 6]
    held = [(row["benchmark"], row["documents"], row["row"], row["overlap"]) for row in hits.by_item(found).to_pylist()]
    # Rye bread stands in two documents; of an egg, question and answer stand in one.
    assert sorted(held) == [("mbpp", 1, 4, 1.0), ("piqa", 1, 3, 1.0), ("piqa", 2, 1, 1.0)]
    names = [(row["benchmark"], row["item"]) for row in hits.by_item(found).to_pylist()]
    assert names == sorted(set(zip(found["benchmark"].to_pylist(), found["item"].to_pylist(), strict=True)))
    assert hits.by_item(found.slice(0, 0)).num_rows == 0


def test_a_clean_corpus_has_an_empty_table(tmp_path: Path, step: Any, index: Any) -> None:
    for name, shards in (("clean", [[["Nothing."], [""]]]), ("empty", [])):
        made = scanned(tmp_path, step, index, name, shards)
        assert rows(made) == []
        assert (made.facts["hits"], made.facts["rate"]) == (0, 0.0)
        assert made.facts["contaminated"] == {"documents": 0, "bytes": 0}
        assert len(np.load(made.file(hits.CONTAMINATED))) == made.facts["documents"]


def hit(row: int, item: str, part: str, overlap: float, length: int) -> dict[str, Any]:
    return {
        "row": row, "document": f"doc {row}", "benchmark": "piqa", "item": item, "part": part, "kind": "prose",
        "overlap": overlap, "start": 5, "end": 5 + length, "excerpt": f"{part} of {item}",
    }  # fmt: skip


def test_of_a_document_the_hit_that_tells_most_is_shown() -> None:
    found = pa.Table.from_pylist(
        [
            hit(0, "a", "answer", 1.0, 7),
            hit(0, "a", "question", 0.6, 80),
            hit(0, "b", "question", 0.7, 60),
            hit(3, "a", "answer", 1.0, 900),
            hit(4, "c", "answer", 1.0, 7),
            hit(4, "c", "passage", 0.9, 300),
            hit(4, "c", "question", 0.9, 50),
            hit(6, "d", "question", 0.9, 300),
        ],
        hits.SCHEMA,
    )
    # The documents by how much was found of what is shown, of equal ones the longer span, then the first.
    assert [(row, one["item"], one["part"]) for row, one in hits.most_telling(found, 9).items()] == [
        (3, "a", "answer"),
        (4, "c", "passage"),
        (6, "d", "question"),
        (0, "a", "question"),
    ]
    assert [*hits.most_telling(found, 2)] == [3, 4]
    assert hits.most_telling(found.slice(0, 0), 2) == {}
    ordered = sorted(found.slice(0, 3).to_pylist(), key=hits.telling)
    assert [(one["part"], one["end"]) for one in ordered] == [("question", 85), ("question", 65), ("answer", 12)]


def test_an_item_whose_lines_a_transform_brings_together_trains_in_no_state(
    tmp_path: Path, step: Any, index: Any, read: Any
) -> None:
    """Comments between the lines hide a program from the scan of what was read; without them it stands there whole."""
    from pretrial.corpus import iterate
    from pretrial.corpus import spec as corpus_spec
    from pretrial.study.schema import Source

    hidden = "\n".join(f"{line}  # part {n} of what was agreed" for n, line in enumerate(MBPP[0]["code"].splitlines()))
    texts = [hidden, *(f"def made_{n}(x):\n    return x * {n}  # {'as agreed ' * 500}\n" for n in range(60))]
    lines = [{"id": f"d{n}", "text": text, "language": "python"} for n, text in enumerate(texts)]
    (tmp_path / "code.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    code = read("jsonl", "code.jsonl").artefact
    config = corpus_spec.source_config(Source(None, parent="code", transform=("strip-comments",)))
    bare = step("pretrial.corpus.read:read_corpus", tmp_path / "bare", config=config, settings={"name": "bare"},
                inputs={"parent": code})  # fmt: skip
    scans = {
        f"contamination:{name}": step(
            spec.FUNCTIONS["contamination"], tmp_path / f"scan-{name}", config=spec.scan_config(),
            inputs={"corpus": corpus, "index": index},
        )
        for name, corpus in (("code", code), ("bare", bare))
    }  # fmt: skip
    assert [row["document"] for row in rows(scans["contamination:code"])] == []
    assert {row["document"] for row in rows(scans["contamination:bare"])} == {"d0"}
    config = corpus_spec.select_config(["code", "bare"], {"code", "bare"}, {"bare": "code"})
    made = step("pretrial.corpus.select:select_documents", tmp_path / "chosen", config=config,
                inputs={"corpus:code": code, "corpus:bare": bare, **scans})  # fmt: skip
    for name in ("code", "bare"):
        assert iterate.load_mask(made, name)[0] == iterate.CONTAMINATED
        assert made.facts["sources"][name]["contaminated"]["documents"] == 1
