"""The output of each kind of step for a fixed input. A change here is a change of results: raise the version.

Rows are hashed, not files, so that another version of Arrow changes nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import golden
from pretrial.corpus import installed, spec
from pretrial.corpus.installed import InstalledFile

GOLDEN = {
    ("snapshot", 2): "51139a939a05856d",
    ("corpus", 5): "53ec2aa67b34cdf5",
    ("corpus-split", 1): "50415bffa82804da",
    ("tree", 4): "f2f02ff928440989",
    ("select", 4): "b7b9843eeda3de89",
}

MODULE = '''"""Adds numbers, slowly.

Example::

    add(1, 2)

>>> add(1, 2)
3
"""


def add(a, b):
    """Add `a` to `b`."""
    return a + b
'''


def unchanged(kind: str, version: int, *found: Any) -> None:
    golden.unchanged(kind, version, golden.digest(*found), GOLDEN, "pretrial.corpus.spec")


def test_a_snapshot_of_the_same_files_is_the_same(tmp_path: Path, step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for number in range(12):
        path = tmp_path / f"m{number}.py"
        path.write_text(f"x = {number}\n" * 10 if number != 5 else "# auto-generated\n")
        files.append(InstalledFile(f"p/m{number}.py", path, "p", "d", "MIT"))
    monkeypatch.setattr(installed, "stdlib_files", lambda: iter(files))
    monkeypatch.setattr(installed, "state", dict)
    caps = {"cap_file": 40, "cap_group": 200}
    config = {"kind": "files", "scope": "stdlib", "languages": ["python"], "generated": False, **caps}
    made = step("pretrial.corpus.snapshot:take_snapshot", tmp_path / "out", config=config)
    rows = pq.ParquetFile(made.file("files.parquet")).read().to_pylist()
    assert len(rows) == 5
    assert made.facts["skipped"]["cap-group"] >= 6
    left_out = pq.ParquetFile(made.file("left-out.parquet")).read().to_pylist()
    unchanged("snapshot", spec.SEMANTICS["snapshot"], rows, left_out, made.facts)


def test_a_corpus_of_the_same_records_is_the_same(tmp_path: Path, read: Any) -> None:
    assert spec.SEMANTICS["corpus-shard"] == 5, "the parts of a corpus are hashed with it here"
    (tmp_path / "x.jsonl").write_text(
        '{"id": "a", "text": "one  two", "book": "b", "n": [1, null]}\n{"id": 1}\n'
        '{"id": "a", "text": "See:\\n\\n>>> add(1, 2)\\n3\\n\\nDone, é.", "book": 7, "lang": "en"}\n'
        '{"text": "no id, no book", "lang": "en"}\n\nbroken\n'
    )
    made = [
        read("jsonl", "x.jsonl", group="book"),
        read("jsonl", "x.jsonl", filter=("no-code",), keep={"lang": ("en",)}, cap_file=9, license="MIT"),
    ]
    assert [row["group"] for row in made[0].rows][:2] == ["book:b", "book:7"]
    assert made[1].texts == ["See:\n\n", "no id, no"]
    found = [[one.rows, one.quarantine, one.rejects, one.facts] for one in made]
    unchanged("corpus", spec.SEMANTICS["corpus"], *found)


def test_a_corpus_of_the_same_tree_is_the_same(tmp_path: Path, read: Any) -> None:
    (tmp_path / "tree" / "p").mkdir(parents=True)
    (tmp_path / "tree" / "p" / "add.py").write_text(MODULE)
    (tmp_path / "tree" / "p" / "README.md").write_text("# Adder\n\n```sh\nadd 1 2\n```\n\nSlow.\n")
    (tmp_path / "tree" / "top.py").write_text('"""Alone."""\nx = 1\n')
    made = [
        read("docstrings", "tree", filter=("no-code",), group="package"),
        read("files", "tree", languages=("python",), drop_docstrings=True, cap_file=30, license="MIT"),
        read("files", "tree", languages=("python",), group="repository", cap_group=150),
    ]
    assert made[0].texts == [
        "# Adder\n\nSlow.",
        "Adds numbers, slowly.\n\nExample:\n\nAdd `a` to `b`.",
        "Alone.",
    ]
    assert made[1].texts == ["\n\ndef add(a, b):\n", "x = 1\n"]
    found = [[corpus.rows, corpus.quarantine, corpus.rejects, corpus.facts] for corpus in made]
    unchanged("tree", spec.TREE, *found)


def test_a_split_of_the_same_documents_is_the_same(tmp_path: Path, read: Any, step: Any) -> None:
    languages = ["python", "C++", ["go", "c"], None, "python"]
    rows = [{"text": f"text {number}", "language": one} for number, one in enumerate(languages)]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = step(
        "pretrial.corpus.split:number_values",
        tmp_path / "out",
        config={"field": "language", "parent_shards": [[0, 0]]},
        inputs={"parent": read("jsonl", "x.jsonl").artefact},
    )
    with pq.ParquetFile(made.file("values.parquet")) as file:
        values = file.read().to_pylist()
    assert [row["part"] for row in values] == ["python", "cpp", "go,-c", None]
    unchanged("corpus-split", spec.SEMANTICS["corpus-split"], values, np.load(made.file("values-00000.npy")).tolist(),
              made.facts)  # fmt: skip


def test_a_selection_from_the_same_corpora_is_the_same(tmp_path: Path, read: Any, step: Any) -> None:
    inputs = {}
    # b repeats ten of a's documents; z is unseen and has a copy of one more.
    for name, numbers in (("a", range(40)), ("b", range(30, 80)), ("z", range(25, 26))):
        lines = [json.dumps({"text": f"{number} {'y' * 20_000}", "book": number % 50}) for number in numbers]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
        group = "book" if name != "z" else "document"
        inputs[f"corpus:{name}"] = read("jsonl", f"{name}.jsonl", group=group).artefact
    config = spec.select_config(["a", "b", "z"], {"a", "b"})
    made = step("pretrial.corpus.select:select_documents", tmp_path / "out", config=config, inputs=inputs)
    masks = [np.load(made.file(f"{index}.npy")).tolist() for index in range(3)]
    facts = {key: value for key, value in made.facts.items() if key != "contents"}
    unchanged("select", spec.SEMANTICS["select"], masks, facts)


def test_every_kind_has_a_golden() -> None:
    assert {kind for kind, _ in GOLDEN} == {"tree", *spec.SEMANTICS} - {"corpus-shard"}
