"""Documents that `keep` leaves out by a field's value: every number that is shown is all of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus import parts, unkept
from pretrial.corpus.pipeline import Pipeline, part_of
from pretrial.corpus.unkept import counted_as, label, shown


def write(path: Path, sites: list[Any]) -> None:
    rows = [{"id": f"{path.stem}{n}", "text": f"{path.stem} {n}", "site": site} for n, site in enumerate(sites)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_frequent_value_that_comes_behind_many_rare_ones_is_counted_whole(
    tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ARCHIVE_BYTES", 1)
    write(tmp_path / "a.jsonl", [*(f"rare{n}" for n in range(60)), *["spam"] * 500, "wanted"])
    write(tmp_path / "b.jsonl", ["spam"] * 7)
    dropped = read("jsonl", "*.jsonl", keep={"site": ("wanted",)}).facts["rejected"]["keep"]
    assert dropped["site=spam"] == 507
    assert len(dropped) == unkept.VALUES + 1, "and the others together"
    assert sum(dropped.values()) == 567
    assert dropped["site=(other values)"] == 21


def test_what_a_full_shard_does_not_name_is_not_shown_as_if_that_were_all(
    tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ARCHIVE_BYTES", 1)
    monkeypatch.setattr(unkept, "SHARD_VALUES", 2)
    write(tmp_path / "a.jsonl", ["first", "second", *["spam"] * 30, "wanted"])
    write(tmp_path / "b.jsonl", ["spam"] * 7 + ["first"])
    dropped = read("jsonl", "*.jsonl", keep={"site": ("wanted",)}).facts["rejected"]["keep"]
    assert dropped == {"site=first": 2, "site=second": 1, "site=(other values)": 37}


@given(st.lists(st.lists(st.integers(0, 8), max_size=30), max_size=4), st.integers(1, 6), st.integers(1, 5))
def test_every_number_is_the_whole_number(shards: list[list[int]], most: int, named: int) -> None:
    facts = []
    for shard in shards:
        values: Counter[str] = Counter()
        others = 0
        for value in map(str, shard):
            if value in values or len(values) < most:
                values[value] += 1
            else:
                others += 1
        told = [["f", value, count] for value, count in values.items()]
        facts.append({"unkept": told, "unkept_others": {"f": others} if others else {}})
    true = Counter(value for shard in shards for value in shard)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unkept, "VALUES", named)
        told_of = shown(facts).get("keep", {})
    assert sum(told_of.values()) == true.total()
    for reason, count in told_of.items():
        if reason != f"f={unkept.OTHERS}":
            assert count == true[int(reason.removeprefix("f="))]


def test_a_long_value_is_shown_with_an_ellipsis() -> None:
    assert label(counted_as("x" * 60)) == "x" * 60
    for size in (61, 299, 5000):
        assert label(counted_as("ü" * size)) == "ü" * 59 + "…"
        assert len(counted_as("ü" * size)) < 2000
    assert label(counted_as(["x" * 500])) == '["' + "x" * 57 + "…"
    assert [label(counted_as(value)) for value in (None, True, 1.0, "a\nb", [1])] == [
        "null", "true", "1.0", "a\\x0ab", "[1]",
    ]  # fmt: skip


def test_languages_in_a_list_are_spelled_like_those_that_are_words() -> None:
    steps = {"read": {}, "filter": [], "transform": []}
    kept = Pipeline({**steps, "keep": {"language": ["cpp", "python"]}})
    for value in ("Python", ["Python"], ["Go", "C++"], ["python", 3]):
        assert kept.unkept({"language": value}) is None
    for value in (["Go"], [], [None], None):
        assert kept.unkept({"language": value}) is not None
    other = Pipeline({**steps, "keep": {"topic": ["python"]}})
    assert other.unkept({"topic": ["Python"]}) is not None, "only languages have spellings"


def test_a_part_of_several_languages_has_the_name_that_a_study_gives_it() -> None:
    from pretrial.corpus import spec
    from pretrial.study.schema import Source

    (wanted,) = spec.source_config(Source(None, parent="a", keep={"language": ("Go, cpp",)}))["keep"]["language"]
    assert part_of("language", ["go", "C++"]) == wanted
