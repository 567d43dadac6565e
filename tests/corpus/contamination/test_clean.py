"""Which items an arm saw, which are clean of all arms, and when arms are not equal."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pretrial.corpus.contamination.clean import clean_items, clean_rows, exposure, unequal, union


def hits(*rows: tuple[int, str, str]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    kinds = (pa.int64(), pa.string(), pa.string())
    return pa.table(
        {
            name: pa.array(column, kind)
            for name, column, kind in zip(("row", "benchmark", "item"), columns, kinds, strict=True)
        }
    )


HITS = {
    "web": hits((0, "piqa", "a"), (0, "piqa", "b"), (3, "piqa", "a"), (3, "lambada", "x"), (7, "blimp", "u/1")),
    "code": hits((0, "humaneval", "h"), (1, "piqa", "c")),
    "empty": hits(),
}


def test_an_arm_saw_the_items_of_the_documents_that_it_trained_on() -> None:
    arm = exposure(HITS, {"web": [3, 5, 7, 7], "code": np.array([False, True])})
    assert arm.items == {"blimp": {"u/1"}, "lambada": {"x"}, "piqa": {"a", "c"}}
    assert arm.by_benchmark == {"blimp": 1, "lambada": 1, "piqa": 2}
    assert (arm.documents, arm.contaminated, arm.rate) == (4, 3, 0.75)


def test_a_mask_and_row_numbers_say_the_same() -> None:
    mask = np.zeros(9, bool)
    mask[[0, 7]] = True
    assert exposure(HITS, {"web": mask}) == exposure(HITS, {"web": [7, 0]})


def test_an_arm_that_saw_nothing_is_clean() -> None:
    for used in ({}, {"empty": [1, 2]}, {"web": [1]}, {"web": np.zeros(9, bool)}):
        arm = exposure(HITS, used)
        assert (arm.contaminated, arm.rate, dict(arm.items)) == (0, 0.0, {})


def test_a_source_that_was_not_scanned_is_an_error() -> None:
    with pytest.raises(ValueError, match="books was trained on and not scanned"):
        exposure(HITS, {"web": [0], "books": [1]})


def test_the_clean_subset_leaves_out_what_any_arm_saw() -> None:
    dirty = union([exposure(HITS, {"web": [0]}), exposure(HITS, {"code": [1]}), exposure(HITS, {})])
    assert dirty == {"piqa": {"a", "b", "c"}}
    evaluated = {"piqa": ["a", "c", "d"], "lambada": ["x"], "blimp": []}
    assert clean_items(evaluated, dirty) == {"piqa": {"d"}, "lambada": {"x"}, "blimp": set()}
    assert clean_items({"piqa": ["a"]}, dirty) == {"piqa": set()}


def test_rows_of_dirty_items_go_and_all_others_stay() -> None:
    rows = pa.table(
        {"task": ["piqa", "piqa", "held-out", "blimp"], "item": ["a", "d", "a", "u/1"], "value": [1, 2, 3, 4]}
    )
    kept = clean_rows(rows, {"piqa": {"a", "z"}})
    assert kept["value"].to_pylist() == [2, 3, 4]
    assert clean_rows(rows, {}).equals(rows)


def test_arms_that_saw_other_items_are_named() -> None:
    arms = {"text": exposure(HITS, {"web": [0]}), "code": exposure(HITS, {"code": [0, 1]})}
    evaluated = {"piqa": ["a", "c", "d"], "humaneval": ["other"], "lambada": ["x"]}
    (found,) = unequal(arms, evaluated)
    # As many each, and not the same ones. What no evaluation asks for makes no difference.
    assert (found.benchmark, found.evaluated, found.shared, found.dirty) == ("piqa", 3, 0, 2)
    assert found.seen == {"text": 1, "code": 1}
    assert unequal({"one": arms["text"], "two": arms["text"]}, evaluated) == []
    assert unequal({"one": arms["text"]}, evaluated) == []
