"""Identity of sources: what is in it, what is not, and errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pretrial.corpus import spec
from pretrial.errors import RequestError


def test_planning_imports_neither_arrow_nor_numpy() -> None:
    code = (
        "import sys, pretrial.corpus.spec; print(sorted({'pyarrow', 'numpy', 'torch', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_paths_bear_no_identity_and_choices_do(tmp_path: Path, make_source: Any, hashes: Any) -> None:
    prints = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "x.jsonl").write_text('{"text": "a"}\n')
        source = make_source("jsonl", "x.jsonl")
        config, settings = spec.source_config(source), spec.source_settings(source, None, folder)
        prints.append((config, spec.input_fingerprint(config, settings, hashes)))
    assert prints[0] == prints[1]
    base = spec.source_config(make_source("jsonl", "x.jsonl"))
    changes: list[dict[str, Any]] = [
        {"text": "body"},
        {"id": None},
        {"filter": ("no-code",)},
        {"group": "book"},
        {"keep": {"language": ("go",)}},
        {"license": "MIT"},
        {"cap_file": 5},
    ]
    for change in changes:
        assert spec.source_config(make_source("jsonl", "x.jsonl", **change)) != base
    assert spec.source_config(make_source("jsonl", "y.jsonl")) == base


def test_rules_and_groups_do_not_read_the_installation_again(make_source: Any) -> None:
    plain = spec.source_config(make_source("docstrings", "installed"))
    ruled = spec.source_config(make_source("docstrings", "installed", filter=("no-code",), group="package"))
    assert plain != ruled
    assert spec.snapshot_config(plain) == spec.snapshot_config(ruled)
    assert spec.snapshot_config(spec.source_config(make_source("jsonl", "x"))) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "files", "location": "x", "languages": ("pyton",)}, "Did you mean python?"),
        ({"kind": "jsonl", "location": "x", "filter": ("no_code",)}, "Did you mean no-code?"),
        ({"kind": "docstrings", "location": "installed", "group": "packages"}, "Did you mean package?"),
        ({"kind": "jsonl", "location": "x", "languages": ("python",)}, "It goes with files, archives, git"),
        ({"kind": "docstrings", "location": "x", "keep": {"a": ("b",)}}, "keep chooses records"),
        ({"kind": "pydoc", "location": "installed"}, "It reads topics"),
        ({"kind": "metadata", "location": "/x"}, "metadata: installed"),
        ({"kind": "jsonl", "location": "installed"}, "give a path"),
        ({"kind": "jsonlines", "location": "x"}, "Did you mean jsonl?"),
    ],
)
def test_what_does_not_exist_or_apply_is_refused(options: dict[str, Any], message: str, make_source: Any) -> None:
    kind, location = options.pop("kind"), options.pop("location")
    with pytest.raises(RequestError) as caught:
        spec.source_config(make_source(kind, location, **options), where="study.yaml:7")
    assert message in str(caught.value)
    assert str(caught.value).startswith("study.yaml:7: ")


def test_missing_inputs_are_named_with_a_remedy(tmp_path: Path, make_source: Any, hashes: Any) -> None:
    def fail(kind: str, location: str, **options: Any) -> str:
        source = make_source(kind, location, **options)
        config = spec.source_config(source)
        with pytest.raises(RequestError) as caught:
            spec.input_fingerprint(config, spec.source_settings(source, None, tmp_path, where="s:1"), hashes)
        return str(caught.value)

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.py").write_text("x\n")
    assert f"s:1: there is no file {tmp_path / 'gone.jsonl'}" in fail("jsonl", "gone.jsonl")
    assert "no file matches" in fail("jsonl", "*.jsonl")
    assert "folder/*.jsonl.zst" in fail("jsonl", "folder")
    assert "holds no file of the kinds asked for" in fail("files", "folder", languages=("go",))
    assert "PRETRIAL_DATA" in fail("jsonl", "{data}/x.jsonl")


def test_equal_names_in_two_places_stay_apart_and_overlaps_are_read_once(
    tmp_path: Path, make_source: Any, hashes: Any
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.jsonl").write_text(f'{{"text": "{folder}"}}\n')

    def names(*locations: str) -> list[str]:
        source = make_source("jsonl", locations)
        config, settings = spec.source_config(source), spec.source_settings(source, None, tmp_path)
        return [name for name, _ in spec.input_fingerprint(config, settings, hashes) or []]

    assert names(str(tmp_path / "a/x.jsonl"), str(tmp_path / "b/x.jsonl")) == ["0/x.jsonl", "1/x.jsonl"]
    assert names("a/*.jsonl", "*/x.jsonl") == ["a/x.jsonl", "b/x.jsonl"]


def test_the_order_of_the_study_is_the_priority() -> None:
    config = spec.select_config(["b", "a"], {"a"})
    assert config["sources"] == {
        "b": {"trained": False, "used": True, "priority": 0}, "a": {"trained": True, "used": True, "priority": 1},
    }  # fmt: skip
    assert config["held_out"] == {"share": "2%", "bytes": 262_144, "largest_group": "20%"}
