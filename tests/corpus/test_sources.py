"""Sources of every kind, as a study names them: read, licensed, split, derived, and nothing dropped unseen."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pretrial.corpus import spec
from pretrial.corpus.kinds import KINDS
from pretrial.errors import RequestError, RunError
from pretrial.study.schema import Source

MIT = """MIT License

Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND.
"""
CODE = "def add(first, second):\n    # Add two numbers.\n    return first + second\n"


@pytest.fixture
def repository(tmp_path: Path) -> Any:
    """A bare repository of two commits: `(path, ids)`."""
    repo_module = pytest.importorskip("dulwich.repo")
    objects = pytest.importorskip("dulwich.objects")
    path = tmp_path / "repos" / "one.git"
    path.mkdir(parents=True)
    repo = repo_module.Repo.init_bare(str(path), default_branch=b"main")
    parent: bytes | None = None
    ids = []
    for number, body in enumerate((CODE, CODE.replace("Add two", "Sum up two"))):
        tree = objects.Tree()
        for name, data in ((b"LICENSE", MIT.encode()), (b"add.py", body.encode())):
            blob = objects.Blob.from_string(data)
            repo.object_store.add_object(blob)
            tree.add(name, 0o100644, blob.id)
        repo.object_store.add_object(tree)
        commit = objects.Commit()
        commit.tree, commit.parents = tree.id, [parent] if parent else []
        commit.author = commit.committer = b"Ann <ann@example.org>"
        commit.author_time = commit.commit_time = 1_600_000_000 + number
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = f"Step {number}".encode()
        repo.object_store.add_object(commit)
        parent = commit.id
        ids.append(commit.id.decode())
    repo.refs[b"refs/heads/main"] = parent
    repo.close()
    return path, ids


def meta(corpus: Any) -> list[dict[str, Any]]:
    return [json.loads(row["meta"]) for row in corpus.rows]


def rejects(corpus: Any) -> list[dict[str, Any]]:
    return [
        row for file in corpus.facts["rejects"] for row in pq.ParquetFile(corpus.artefact.file(file)).read().to_pylist()
    ]


# -- kinds -------------------------------------------------------------------------------------------------------------


def test_a_repository_is_read_at_its_commit_with_its_licence(repository: Any, read: Any) -> None:
    path, ids = repository
    newest = read("git", "repos", group="repository")
    assert [row["text"] for row in newest.rows] == [CODE.replace("Add two", "Sum up two")]
    assert meta(newest)[0] == {
        "language": "python", "license": "MIT", "path": "add.py", "repository": "repos/one.git", "revision": ids[1],
    }  # fmt: skip
    assert newest.rows[0]["group"] == "repository:repos/one.git"
    before = read("git", str(path.relative_to(path.parents[1])), revision=ids[0])
    assert before.texts == [CODE]


def test_a_branch_is_known_by_the_commit_it_stands_for(repository: Any, make_source: Any, tmp_path: Path) -> None:
    _, ids = repository
    config = spec.source_config(make_source("git", "repos"))
    settings = spec.source_settings(make_source("git", "repos"), None, tmp_path)
    assert spec.input_fingerprint(config, settings, None) == [["repos/one.git", ids[1], "repos/one.git"]]  # type: ignore[arg-type]


def test_commits_are_messages_with_their_changes(repository: Any, read: Any) -> None:
    corpus = read("commits", "repos/*")
    assert [row["text"].split("\n")[0] for row in corpus.rows] == ["Step 0", "Step 1"]
    assert "-    # Add two numbers.\n+    # Sum up two numbers." in corpus.texts[1]
    assert "<commit_msg>" in read("commits", "repos/*", form="before-after").texts[-1]
    kept = read("commits", "repos/*", filter=("license",))
    assert [fields["license"] for fields in meta(kept)] == ["MIT", "MIT"]


def test_a_folder_without_a_repository_says_so(tmp_path: Path, make_source: Any) -> None:
    (tmp_path / "empty").mkdir()
    settings = spec.source_settings(make_source("git", "empty"), None, tmp_path, where="study.yaml:3")
    with pytest.raises(RequestError, match="holds no git repository"):
        spec.input_fingerprint(spec.source_config(make_source("git", "empty")), settings, None)  # type: ignore[arg-type]


def test_archives_are_read_with_the_licence_of_the_nearest_folder(tmp_path: Path, read: Any) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("top/LICENSE", MIT)
        file.writestr("top/a.py", CODE)
        file.writestr("top/b.py", "# SPDX-License-Identifier: GPL-3.0-only\nx = 1\n")
        file.writestr("../up.py", "x = 'out of the archive'\n")
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        (tmp_path / "c.py").write_text("y = 2\n")
        tar.add(tmp_path / "c.py", "other/c.py")
    corpus = read("archives", ("a.zip", "b.tar.gz"), group="package")
    assert [row["id"] for row in corpus.rows] == ["a.zip/top/a.py", "a.zip/top/b.py", "b.tar.gz/other/c.py"]
    assert [one.get("license") for one in meta(corpus)] == ["MIT", "GPL-3.0-only", None]
    assert [row["group"] for row in corpus.rows] == ["package:top", "package:top", "package:other"]
    assert corpus.facts["quarantined"], "what would lie outside is refused, and said"
    kept = read("archives", "a.zip", filter=(("license", {}),))
    assert [row["id"] for row in kept.rows] == ["a.zip/top/a.py"]
    assert [(row["rule"], row["reason"], row["value"]) for row in rejects(kept)] == [
        ("license", "license", '"GPL-3.0-only"')
    ]


def test_a_trees_files_have_the_licence_of_their_folder(tmp_path: Path, read: Any) -> None:
    for name, text in {"r/LICENSE": MIT, "r/a.py": CODE, "r/sub/b.py": "x = 1\n", "s/c.py": "y = 1\n"}.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(text)
    corpus = read("files", "tree", group="repository")
    assert {row["id"]: json.loads(row["meta"]).get("license") for row in corpus.rows} == {
        "tree/r/a.py": "MIT", "tree/r/sub/b.py": "MIT", "tree/s/c.py": None,
    }  # fmt: skip


def test_notebooks_become_scripts_or_cells(tmp_path: Path, read: Any) -> None:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title"]},
        {"cell_type": "code", "metadata": {}, "source": "1 + 1", "execution_count": 1,
         "outputs": [{"output_type": "stream", "name": "stdout", "text": ["2\n"]}]},
    ]  # fmt: skip
    notebook = {"nbformat": 4, "nbformat_minor": 5, "cells": cells, "metadata": {"language_info": {"name": "python"}}}
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "a.ipynb").write_text(json.dumps(notebook))
    assert read("notebooks", "n").texts == ["# # Title\n\n1 + 1\n"]
    assert "```output\n2\n```" in read("notebooks", "n", form="structured").texts[0]


def test_threads_of_a_dump_are_read(tmp_path: Path, read: Any) -> None:
    date = 'CreationDate="2020-01-01T00:00:00.000"'
    rows = (
        f'<row Id="1" PostTypeId="1" Score="3" {date} Title="How?" Body="&lt;p&gt;Q&lt;/p&gt;" />',
        f'<row Id="2" PostTypeId="2" ParentId="1" Score="2" {date} Body="&lt;p&gt;A&lt;/p&gt;" />',
    )
    folder = tmp_path / "cooking.stackexchange.com"
    folder.mkdir()
    (folder / "Posts.xml").write_text("<posts>\n" + "\n".join(rows) + "\n</posts>\n")
    corpus = read("stackexchange", "cooking.stackexchange.com/Posts.xml")
    assert [line for line in corpus.texts[0].split("\n") if line] == ["How?", "Q", "Answer:", "A"]
    assert (meta(corpus)[0]["site"], meta(corpus)[0]["license"]) == ("cooking.stackexchange.com", "CC-BY-SA-4.0")


def test_a_folder_in_the_hubs_layout_is_read(tmp_path: Path, read: Any) -> None:
    import pyarrow as pa

    (tmp_path / "set" / "data").mkdir(parents=True)
    pq.write_table(
        pa.table({"text": ["one", "two"], "score": [1, 2]}), tmp_path / "set/data/train-00000-of-00001.parquet"
    )
    corpus = read("hub", "./set")
    assert corpus.texts == ["one", "two"]
    assert [one["score"] for one in meta(corpus)] == [1, 2]


def test_a_ready_definition_brings_columns_labels_and_its_licence(make_source: Any) -> None:
    config = spec.source_config(make_source("hub", "slimpajama-text", revision="0" * 40))
    assert config["read"]["dataset"] == "cerebras/SlimPajama-627B"
    (values,) = config["keep"].values()
    assert "RedPajamaC4" in values
    assert "RedPajamaGithub" not in values
    assert str(config["license"]).startswith("mixed: ")
    edu = spec.source_config(make_source("hub", "fineweb-edu/10BT", revision="0" * 40, filter=("license",)))
    assert (edu["license"], edu["group"]) == ("ODC-BY-1.0", "document")
    code = spec.source_config(make_source("hub", "the-stack-dedup/go", revision="0" * 40, filter=("license",)))
    assert (code["license"], code["group"]) == (None, "repository")
    said = {"group": "document", "license": "CC0-1.0"}
    own = spec.source_config(make_source("hub", "starcoderdata-issues", revision="0" * 40, filter=("license",), **said))
    assert {key: own[key] for key in said} == said
    with pytest.raises(RequestError, match="would drop every document") as caught:
        spec.source_config(make_source("hub", "starcoderdata-issues", revision="0" * 40, filter=("license",)))
    assert "Leave the rule out" in str(caught.value.remedy)
    with pytest.raises(RequestError, match="identifiers of Software Heritage"):
        spec.source_config(make_source("hub", "the-stack-v2"))


def test_rules_and_keep_see_the_licence_of_the_source(tmp_path: Path, read: Any) -> None:
    name = lines(
        tmp_path,
        {"id": "a", "text": "a"},
        {"id": "b", "text": "b", "license": None},
        {"id": "c", "text": "c", "license": "GPL-3.0-only"},
        {"id": "d", "text": "d", "license": []},
    )
    corpus = read("jsonl", name, license="MIT", filter=("license",))
    assert [(row["id"], one["license"]) for row, one in zip(corpus.rows, meta(corpus), strict=True)] == [
        ("a", "MIT"),
        ("b", "MIT"),
    ]
    assert corpus.facts["rejected"] == {"license": {"license": 1, "no-license": 1}}
    assert read("jsonl", name, license="GPL-2.0-only", keep={"license": ("GPL-2.0-only",)}).texts == ["a", "b"]


def test_filler_is_the_same_for_any_cut(read: Any) -> None:
    corpus = read("filler", "dyck", size=5_000_000)
    assert 4_950_000 < corpus.facts["bytes"] < 5_050_000
    assert len(corpus.facts["shards"]) == 2
    opening = dict(zip(")]}>", "([{<", strict=True))
    stack: list[str] = []
    for letter in corpus.texts[0].strip():
        if letter in opening:
            assert stack.pop() == opening[letter]
        elif letter != " ":
            stack.append(letter)
    assert not stack


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_options_that_do_not_go_with_a_kind_are_refused(kind: str, make_source: Any) -> None:
    for option in {name for one in KINDS.values() for name in one.options} - set(KINDS[kind].options):
        with pytest.raises(RequestError, match="does not apply to the reader"):
            spec.source_config(make_source(kind, "x", **{option: None}))


# -- rules, measures, transforms ---------------------------------------------------------------------------------------


def lines(tmp_path: Path, *rows: dict[str, Any]) -> str:
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "x.jsonl"


def test_every_dropped_document_is_listed_with_its_rule_and_value(tmp_path: Path, read: Any) -> None:
    words = " ".join(["word"] * 30)
    name = lines(
        tmp_path, {"id": "short", "text": words}, {"id": "good", "text": f"{words} of the and to be with {words}"}
    )
    gopher = ("gopher-quality", {"min-words": 40})
    corpus = read("jsonl", name, filter=(gopher,))
    assert [row["id"] for row in corpus.rows] == ["good"]
    (row,) = rejects(corpus)
    assert (row["id"], row["rule"], row["reason"], json.loads(row["value"])) == (
        "short",
        "gopher-quality",
        "min-words",
        30,
    )
    assert row["excerpt"].startswith("word word")
    assert corpus.facts["rejected"] == {"gopher-quality": {"min-words": 1}}
    assert [(step["step"], step["documents"]) for step in corpus.facts["funnel"]] == [
        ("read", 2),
        ("gopher-quality", 1),
    ]


def test_a_range_keeps_by_a_field_or_by_a_measure_of_what_the_rules_left(tmp_path: Path, read: Any) -> None:
    rows = [{"id": str(n), "text": "x" * n, "stars": n} for n in (1, 2, 3, 4)]
    name = lines(tmp_path, *rows, {"id": "none", "text": "x"})
    corpus = read("jsonl", name, keep={"stars": {"least": 2, "most": None}, "characters": {"least": None, "most": 3}})
    assert [row["id"] for row in corpus.rows] == ["2", "3"]
    assert corpus.facts["rejected"] == {"keep": {"stars=1": 1, "stars=null": 1}, "keep characters": {"characters": 1}}
    assert [one["characters"] for one in meta(corpus)] == [2, 3]
    assert [row["id"] for row in rejects(corpus)] == ["4"], "what a field leaves out is counted, not listed"


def test_a_rule_that_leaves_nothing_drops_the_document(tmp_path: Path, read: Any) -> None:
    name = lines(tmp_path, {"id": "a", "text": ">>> 1 + 1\n2"}, {"id": "b", "text": "Prose."})
    corpus = read("jsonl", name, filter=("no-code",))
    assert [(row["id"], row["rule"], row["reason"]) for row in rejects(corpus)] == [("a", "no-code", "empty")]


def test_thresholds_are_part_of_the_recipe_defaults_too(make_source: Any) -> None:
    plain = spec.source_config(make_source("jsonl", "x", filter=("gopher",)))
    same = spec.source_config(make_source("jsonl", "x", filter=(("gopher", {"min-words": 50}),)))
    other = spec.source_config(make_source("jsonl", "x", filter=(("gopher", {"min-words": 51}),)))
    assert plain == same != other
    assert [name for name, *_ in plain["filter"]] == ["gopher-quality", "gopher-repetition"]
    assert plain["filter"][0][2]["max_words"] == 100_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("gopher-quality", {"min-words": "ten"}), "it is a whole number"),
        (("gopher-quality", {"min-words": 1.5}), "it is a whole number"),
        (("gopher-quality", {"max-symbols": True}), "a share from 0 to 1, or a percentage"),
        (("gopher-quality", {"stop": [1]}), "a list of texts"),
        (("c4-lines", {"terminal": 1}), "true or false"),
        (("gopher-quality", {"min-words": -3}), "a whole number from 0 up"),
        (("language", {"least": 65}), "a share from 0 to 1"),
        (("gopher-quality", {"stop": "the"}), "a list of texts"),
        (("redact", {"kinds": ["phone"]}), "redact knows no kind 'phone'"),
        (("license", {"allow": ["permisive"]}), "no licence's SPDX identifier"),
        (("no-code", {"min-words": 1}), "no threshold of no-code"),
    ],
)
def test_a_wrong_threshold_is_refused(call: Any, message: str, make_source: Any) -> None:
    with pytest.raises(RequestError, match=message):
        spec.source_config(make_source("jsonl", "x", filter=(call,)))


# -- derived sources ---------------------------------------------------------------------------------------------------


@pytest.fixture
def derive(step: Any, tmp_path: Path) -> Any:
    numbers = iter(range(100))

    def deriving(parent: Any, **options: Any) -> Any:
        config = spec.source_config(Source(None, parent="parent", **options))
        out = tmp_path / f"derived-{next(numbers)}"
        return step(
            "pretrial.corpus.read:read_corpus", out, config=config, settings={"name": "d"}, inputs={"parent": parent}
        )

    return deriving


def roots(made: Any) -> list[int]:
    return [int(row) for shard in made.facts["shards"] for row in np.load(made.file(shard["roots"]))]


def texts(made: Any) -> list[str]:
    return [text for shard in made.facts["shards"]
            for text in pq.ParquetFile(made.file(shard["file"])).read(["text"])["text"].to_pylist()]  # fmt: skip


def test_a_derived_source_goes_back_to_the_documents_it_was_made_of(tmp_path: Path, read: Any, derive: Any) -> None:
    rows = [
        {"id": f"d{n}", "text": f"{CODE}x = {n}\n", "language": "python" if n % 3 else "go", "book": f"b{n // 2}"}
        for n in range(9)
    ]
    parent = read("jsonl", lines(tmp_path, *rows), group="book").artefact
    python = derive(parent, keep={"language": ("python",)})
    assert roots(python) == [1, 2, 4, 5, 7, 8]
    assert python.facts["rejected"] == {"keep": {"language=go": 3}}
    stripped = derive(python, transform=("strip-comments",), keep={"language": ("python",)})
    assert roots(stripped) == roots(python), "all the way back to the source that was read"
    assert all("#" not in text and "return" in text for text in texts(stripped))
    table = pq.ParquetFile(stripped.file("shard-00000.parquet")).read().to_pylist()
    assert [row["group"] for row in table] == [f"book:b{n // 2}" for n in (1, 2, 4, 5, 7, 8)]
    assert [row["id"] for row in table] == [f"d{n}" for n in (1, 2, 4, 5, 7, 8)]


def test_a_document_is_in_one_part_of_a_split(tmp_path: Path, read: Any, derive: Any) -> None:
    licences = ["mit", ["MIT", "BSD-3-Clause"], "BSD-3-Clause", "BSD-3-Clause AND MIT", ["isc"], None, []]
    rows = [
        {"id": str(n), "text": f"x{n}", "license": one, "tags": ["a", "b"][n % 2 :]} for n, one in enumerate(licences)
    ]
    parent = read("jsonl", lines(tmp_path, *rows)).artefact
    parts = {
        value: roots(derive(parent, keep={"license": (value,)}, is_part=True))
        for value in ("MIT", "BSD-3-Clause AND MIT", "BSD-3-Clause", "ISC", "NOASSERTION")
    }
    assert list(parts.values()) == [[0], [1, 3], [2], [4], [5, 6]]
    assert roots(derive(parent, keep={"license": ("MIT", "isc")})) == [1, 4], "outside of splits any item will do"
    assert roots(derive(parent, keep={"tags": ("b",)}, is_part=True)) == [1, 3, 5]
    assert roots(derive(parent, keep={"tags": ("a, b",)}, is_part=True)) == [0, 2, 4, 6]
    assert roots(derive(parent, keep={"tags": ("b",)})) == list(range(7))


def test_a_file_has_the_licence_of_its_own_notice(tmp_path: Path, read: Any) -> None:
    notice = "# This file is free software under the terms of the GNU General Public License, version 2.\n"
    for name, data in {
        "LICENSE": MIT,
        "own.py": notice + CODE,
        "plain.py": CODE,
        "doc.py": f'"""Released under the ISC license."""\n{CODE}',
        "prop/LICENSE": "Proprietary. Ask us.",
        "prop/x.py": CODE.replace("add", "sum"),
    }.items():
        path = tmp_path / "r" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data)
    corpus = read("files", "r", languages=("python",), license="Zlib")
    assert {fields["path"].rpartition("r/")[2]: fields["license"] for fields in meta(corpus)} == {
        "own.py": "GPL-2.0-only", "plain.py": "MIT", "doc.py": "ISC", "prop/x.py": "NOASSERTION",
    }  # fmt: skip
    # The comment that says so may be gone from the document.
    bare = read("files", "r", languages=("python",), drop_docstrings=True)
    assert sorted(fields["license"] for fields in meta(bare)) == ["GPL-2.0-only", "ISC", "MIT", "NOASSERTION"]
    kept = read("files", "r", languages=("python",), filter=("license",), license="Zlib")
    assert sorted(fields["license"] for fields in meta(kept)) == ["ISC", "MIT"]
    assert kept.facts["rejected"] == {"license": {"license": 1, "no-license": 1}}


def test_a_part_without_documents_names_what_took_them(tmp_path: Path, read: Any, derive: Any) -> None:
    parent = read("jsonl", lines(tmp_path, {"id": "a", "text": "x", "language": "go"})).artefact
    with pytest.raises(
        RunError, match=r"no document is left: 1 documents .* read, 0 left; dropped by keep 1"
    ) as caught:
        derive(parent, keep={"language": ("rust",)})
    # What a study says instead of a language that its documents have not.
    assert "keep: {language: [go]}; a share `as` a published mixture" in str(caught.value.remedy)
    with pytest.raises(RunError) as caught:
        derive(parent, keep={"site": ("a.org",)})
    assert "No document has a field 'site'" in str(caught.value.remedy)
    assert "fields: {site: COLUMN}" in str(caught.value.remedy)


def test_languages_are_kept_however_a_dataset_spells_them(tmp_path: Path, read: Any) -> None:
    names = ("C++", "cpp", "C#", "csharp", "Go", "c-sharp")
    name = lines(tmp_path, *({"id": one, "text": one, "language": one} for one in names))
    corpus = read("jsonl", name, keep={"language": ("c++", "c-sharp")})
    assert corpus.texts == ["C++", "cpp", "C#", "csharp", "c-sharp"]
    assert corpus.facts["rejected"] == {"keep": {"language=Go": 1}}


def test_a_named_folder_comes_from_the_environment(
    tmp_path: Path, read: Any, make_source: Any, hashes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = make_source("jsonl", "{mirror}/x.jsonl")
    with pytest.raises(RequestError, match="which was not named") as caught:
        spec.source_settings(wanted, None, tmp_path, where="study.yaml:9")
    assert caught.value.remedy == "Name it: set PRETRIAL_DATA_MIRROR."
    (tmp_path / "elsewhere").mkdir()
    lines(tmp_path / "elsewhere", {"id": "a", "text": "one"})
    monkeypatch.setenv("PRETRIAL_DATA_MIRROR", str(tmp_path / "elsewhere"))
    corpus = read("jsonl", "{mirror}/x.jsonl")
    assert corpus.texts == ["one"]
    config = spec.source_config(wanted)
    files = spec.input_fingerprint(config, spec.source_settings(wanted, None, tmp_path), hashes)
    assert [row[0] for row in files or []] == ["x.jsonl"], "no path of the machine is part of the recipe"


def test_truth_and_whole_numbers_are_kept_as_a_study_spells_them(tmp_path: Path, read: Any) -> None:
    rows = [{"id": str(n), "text": "x", "fork": n % 2 == 0, "score": float(n)} for n in range(4)]
    name = lines(tmp_path, *rows)
    assert [row["id"] for row in read("jsonl", name, keep={"fork": ("false",)}).rows] == ["1", "3"]
    assert [row["id"] for row in read("jsonl", name, keep={"score": ("2",)}).rows] == ["2"]


def test_a_rule_that_asks_a_library_is_known_by_its_version_too(
    make_source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = spec.source_config(make_source("jsonl", "x", filter=("language",), transform=("rename-identifiers",)))
    ((_, language, _),) = config["filter"]
    ((_, rename, _),) = config["transform"]
    assert language.startswith("1 py3langid ")
    assert rename.startswith("2 python ")
    assert " pygments " in rename
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99")
    assert spec.source_config(make_source("jsonl", "x", filter=("language",)))["filter"][0][1] == "1 py3langid 99"


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"text": "body"}, "name the field that holds it with `text`"),
        ({"keep": {"langauge": ("en",)}}, "No document has a field 'langauge': name another one"),
        ({"filter": ("license",)}, "Say the source's `license`"),
        ({"filter": (("c4-page", {"filler": "words"}),)}, "Most went at c4-page: filler 2"),
    ],
)
def test_where_nothing_is_left_the_error_says_what_took_it(
    options: dict[str, Any], remedy: str, tmp_path: Path, read: Any
) -> None:
    name = lines(tmp_path, {"id": "a", "text": "Some words."}, {"id": "b", "text": "More words."})
    with pytest.raises(RunError) as caught:
        read("jsonl", name, **options)
    assert remedy in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("texts", "remedy"),
    [
        (
            (0, 3),
            "No record has a text under 'text': name the field that holds it with `text` (dots go into nested "
            "records). There are: body, id.",
        ),
        (
            (1, 3),
            "3 of 4 records have no text under 'text': name the field that holds it with `text` (dots go into nested "
            "records). There are: body, id.",
        ),
        ((2, 1), "Most went at c4-page: filler 2. One is x.jsonl:1, filler 5: 'Some words 1.'."),
        ((2, 0), "Most went at c4-page: filler 2. One is x.jsonl:1, filler 5: 'Some words 1.'."),
    ],
)
def test_records_without_a_text_are_blamed_for_what_they_took_alone(
    texts: tuple[int, int], remedy: str, tmp_path: Path, read: Any
) -> None:
    with_text, without = texts
    rows = [{"id": f"t{n}", "text": f"Some words {n}."} for n in range(1, 1 + with_text)]
    name = lines(tmp_path, *rows, *({"id": f"n{n}", "body": "words"} for n in range(without)))
    with pytest.raises(RunError) as caught:
        read("jsonl", name, filter=(("c4-page", {"filler": "words"}),))
    assert caught.value.remedy == remedy


def test_one_file_by_two_spellings_of_its_path_is_read_once(tmp_path: Path, read: Any) -> None:
    name = lines(tmp_path, {"id": "a", "text": "Some words."})
    (tmp_path / "sub").mkdir()
    assert read("jsonl", (name, f"sub/../{name}")).texts == ["Some words."]


def test_the_funnel_counts_what_is_stored(tmp_path: Path, read: Any) -> None:
    (tmp_path / "x.jsonl").write_text('{"id": "a", "text": "fine"}\n{"id": "b", "text": "half \\ud800"}\n')
    corpus = read("jsonl", "x.jsonl", filter=("no-code",))
    assert [(step["step"], step["documents"]) for step in corpus.facts["funnel"]] == [("read", 2), ("no-code", 1)]
    assert corpus.facts["quarantined"] == {"undecodable": 1}
