"""The parts of a split source: found once for all of them, and the same documents as by looking at each."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import LocalContext
from pretrial.corpus import documents, parts, spec
from pretrial.corpus.pipeline import part_of
from pretrial.corpus.read import read_corpus
from pretrial.study.schema import Source

VALUES = ["MIT", "mit", ["MIT", "BSD-3-Clause"], "BSD-3-Clause AND MIT", None, [], 7, True, "ü" * 400, 1.0, {"a": 1}]


@pytest.fixture
def parent(tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A corpus of four shards of several row groups; `rare` is in one row group alone."""
    monkeypatch.setattr(parts, "ARCHIVE_BYTES", 1)
    monkeypatch.setattr(documents, "GROUP_ROWS", 20)
    rng = random.Random(1)
    for name in "abcd":
        rows = [
            {"id": f"{name}{n}", "text": f"{name} text {n} ü", "license": rng.choice(VALUES), "n": n % 5,
             "rare": "yes" if name == "b" and 20 <= n < 23 else "no"}
            for n in range(90)
        ]  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read("jsonl", "*.jsonl", group="n")


class Counting(LocalContext):
    """A step's world that remembers what it was asked to make."""

    def map(self, kind: str, version: int, configs: Any, function: str, **more: Any) -> Any:
        self.__dict__.setdefault("asked", []).append((kind, configs, more.get("inputs")))
        return super().map(kind, version, configs, function, **more)


def derive(out: Path, parent: Any, field: str, value: str, *, is_part: bool = True) -> Counting:
    config = spec.source_config(Source(None, parent="p", keep={field: (value,)}, is_part=is_part))
    ctx = Counting(out, config=config, settings={"name": "d"}, inputs={"parent": parent.artefact})
    ctx.__dict__["facts"] = read_corpus(ctx)
    return ctx


def rows(out: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(out.glob("shard-*")) for row in pq.ParquetFile(path).read().to_pylist()]


@pytest.mark.parametrize(
    ("field", "value"),
    [("license", "MIT"), ("license", "BSD-3-Clause AND MIT"), ("license", "NOASSERTION"), ("n", "3"), ("rare", "yes")],
)
def test_a_part_has_the_documents_whose_value_is_its_own(tmp_path: Path, parent: Any, field: str, value: str) -> None:
    made = derive(tmp_path / "part", parent, field, value)
    own = [at for at, row in enumerate(parent.rows) if part_of(field, json.loads(row["meta"]).get(field)) == value]
    assert rows(tmp_path / "part") == [parent.rows[at] for at in own]
    roots = [int(root) for path in sorted((tmp_path / "part").glob("roots-*")) for root in np.load(path)]
    assert roots == own
    facts = made.__dict__["facts"]
    assert facts["funnel"][0] == {
        "step": "read", "documents": len(parent.rows), "bytes": sum(row["bytes"] for row in parent.rows),
    }  # fmt: skip
    assert sum(facts["rejected"]["keep"].values()) == len(parent.rows) - len(own)


def test_a_part_counts_what_others_have_as_a_derived_source_does(tmp_path: Path, parent: Any) -> None:
    part = derive(tmp_path / "part", parent, "n", "3").__dict__["facts"]
    kept = derive(tmp_path / "kept", parent, "n", "3", is_part=False).__dict__["facts"]
    assert part == kept
    assert part["rejected"] == {"keep": {f"n={n}": 72 for n in (0, 1, 2, 4)}}
    for path in (tmp_path / "part").iterdir():
        assert path.read_bytes() == (tmp_path / "kept" / path.name).read_bytes()


def test_all_parts_by_a_field_ask_for_the_same_split(tmp_path: Path, parent: Any) -> None:
    first, second, third = (
        derive(tmp_path / name, parent, *of).__dict__["asked"]
        for name, of in {"a": ("n", "1"), "b": ("n", "2"), "c": ("rare", "no")}.items()
    )
    assert [kind for kind, _, _ in first] == ["corpus-split", "corpus-shard"]
    assert first[0] == second[0]
    assert first[0] != third[0]
    shards = [shard for config in first[0][1] for shard, _ in config["parent_shards"]]
    assert shards == [0, 1, 2, 3], "each once"


def test_a_part_reads_the_row_groups_that_hold_its_documents_alone(
    tmp_path: Path, parent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[int] = []
    whole = pq.ParquetFile.read_row_group

    def watched(self: Any, group: int, **options: Any) -> Any:
        touched.append(group)
        return whole(self, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    derive(tmp_path / "part", parent, "rare", "yes")
    assert touched == [1]
    assert [row["id"] for row in rows(tmp_path / "part")] == ["b20", "b21", "b22"]
