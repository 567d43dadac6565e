"""Which benchmark items are used: decided by content alone, and checked before anything is spent."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pretrial.benchmarks import TASKS, check_bench, choose, identity, load_items
from pretrial.errors import RequestError, RunError

rows = st.lists(st.fixed_dictionaries({"UID": st.sampled_from("abc"), "text": st.text(max_size=4)}), max_size=30)


@given(rows, st.integers(0, 30), st.randoms(use_true_random=False))
def test_items_depend_on_content_alone_and_fewer_are_a_prefix(rows: list, items: int, random) -> None:
    shuffled = random.sample(rows, len(rows))
    assert choose(rows, items, "UID") == choose(shuffled, items, "UID")
    assert choose(rows, items, "UID") == choose(rows, 1000, "UID")[:items]
    assert len(choose(rows, 1000)) == len({json.dumps(row, sort_keys=True) for row in rows})


@given(rows, st.integers(0, 30))
def test_strata_share_the_items_evenly(rows: list, items: int) -> None:
    chosen = Counter(row["UID"] for _, row in choose(rows, items, "UID"))
    held = Counter(row["UID"] for _, row in choose(rows, 1000, "UID"))
    top = max(chosen.values(), default=0)
    assert all(chosen[uid] >= top - 1 or chosen[uid] == count for uid, count in held.items())


def write(folder: Path, name: str, rows: list[dict]) -> None:
    path = folder / "benchmarks" / TASKS[name].path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def test_rows_become_the_fields_of_lm_evals_tasks(tmp_path: Path) -> None:
    write(tmp_path, "piqa", [{"query": "Question: boil\n", "choices": ["x", "y"], "gold": 1}])
    write(tmp_path, "arc_easy", [{"query": "Question: Why?", "choices": ["x", "y", "z"], "gold": 2}])
    write(tmp_path, "lambada", [{"context": "He went to the", "continuation": "shop"}])
    blimp = {"sentence_good": "g", "sentence_bad": "b", "UID": "wh_island", "pairID": "3"}
    write(tmp_path, "blimp", [blimp])
    (piqa,), (arc,), (lambada,), (pair,) = (load_items(name, tmp_path, 5) for name in TASKS)
    assert piqa.row == {"goal": "boil", "sol1": "x", "sol2": "y", "label": 1}
    assert arc.row["question"] == "Why?"
    assert arc.row["choices"] == {"text": ["x", "y", "z"], "label": ["A", "B", "C"]}
    assert arc.row["answerKey"] == "C"
    assert lambada.row == {"text": "He went to the shop"}
    assert (pair.task, pair.id.split("/")[0]) == ("blimp_wh_island", "wh_island")


def test_items_with_one_prompt_are_one_cluster(tmp_path: Path) -> None:
    same = [{"query": "Question: boil\n", "choices": ["x", str(i)], "gold": 1} for i in range(2)]
    write(tmp_path, "piqa", [*same, {"query": "Question: fry\n", "choices": ["x", "y"], "gold": 0}])
    items = load_items("piqa", tmp_path, 5)
    assert len({item.id for item in items}) == 3
    assert len({item.cluster for item in items}) == 2


@pytest.mark.parametrize(
    "row",
    [
        {"query": "Answer me", "choices": ["x", "y"], "gold": 1},
        {"query": "Question: boil\n", "choices": ["x", "y"], "gold": 2},
        {"query": "Question: boil\n", "choices": ["x"], "gold": 0},
        {"choices": ["x", "y"], "gold": 0},
    ],
)
def test_a_row_in_another_form_is_named(tmp_path: Path, row: dict) -> None:
    write(tmp_path, "piqa", [row])
    with pytest.raises(RunError, match="not in the expected form"):
        load_items("piqa", tmp_path, 5)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    row = {"context": "He went to the", "continuation": "shop"}
    write(tmp_path, "lambada", [row])
    planned = identity("lambada", tmp_path)
    assert len(load_items("lambada", tmp_path, 5, planned)) == 1
    write(tmp_path, "lambada", [row, {"context": "She saw the", "continuation": "sea"}])
    with pytest.raises(RunError, match="has changed"):
        load_items("lambada", tmp_path, 5, planned)


def test_what_is_missing_is_named_before_anything_is_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_bench([], None)
    with pytest.raises(RequestError, match="no benchmark 'hellaswag'"):
        check_bench(["hellaswag"], tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(RequestError, match="lm_eval and datasets") as caught:
            check_bench(["piqa"], tmp_path, "study.yaml:9")
        assert "pip install 'pretrial[bench]'" in str(caught.value)
        assert str(caught.value).startswith("study.yaml:9")
        patch.setattr(importlib.util, "find_spec", lambda name: object())
        with pytest.raises(RequestError, match="no data folder"):
            check_bench(["piqa"], None)
        with pytest.raises(RequestError, match="not there"):
            check_bench(["piqa"], tmp_path)
        write(tmp_path, "piqa", [])
        check_bench(["piqa"], tmp_path)


def test_importing_is_light() -> None:
    code = (
        "import sys, pretrial.benchmarks, pretrial.evaluate.spec; "
        "heavy = {'torch', 'pyarrow', 'numpy', 'lm_eval', 'datasets', 'pandas'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", list(TASKS))
def test_the_real_files_are_in_the_expected_form(name: str, data_dir: Path) -> None:
    items = load_items(name, data_dir, 200)
    assert len(items) == 200
    assert len({item.id for item in items}) == 200
    assert len(load_items(name, data_dir, 10**6)) > 1000
    if name == "blimp":
        assert set(Counter(item.task for item in items).values()) == {2, 3}
