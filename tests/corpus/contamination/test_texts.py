"""The texts of benchmarks: whose they are, which parts they have, and what identifies them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pretrial.benchmarks import TASKS, load_items
from pretrial.corpus.contamination import benchmark_texts, spec
from pretrial.corpus.contamination.benchmark_texts import (
    BENCHMARKS,
    CODE,
    PARTS,
    PROSE,
    Source,
    Text,
    item_ids,
    read_texts,
)
from pretrial.corpus.contamination.build import findable_items, make_index
from pretrial.corpus.contamination.scan import Scanner
from pretrial.errors import RequestError, RunError

Pairs = list[tuple[str, str]]


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    """A benchmark's file with these rows, in the form that its name asks for."""
    path = folder / "benchmarks" / BENCHMARKS[name].path
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(rows) if ".json" in path.suffixes else "".join(json.dumps(row) + "\n" for row in rows)
    data = text.encode()
    if path.suffix == ".gz":
        data = gzip.compress(data)
    elif path.suffix == ".zst":
        data = zstandard.compress(data)
    path.write_bytes(data)
    return path


def texts(folder: Path, name: str, *rows: dict[str, Any]) -> list[tuple[str, str, str]]:
    write(folder, name, list(rows))
    return [(text.part, text.kind, text.text) for text in read_texts(name, folder)]


def test_a_choice_gives_its_question_and_its_true_answer(tmp_path: Path) -> None:
    row = {"query": "Question: boil an egg\n", "choices": ["in milk", "in water"], "gold": 1}
    assert texts(tmp_path, "piqa", row) == [("question", PROSE, "boil an egg"), ("answer", PROSE, "in water")]


def test_a_cloze_text_is_a_question_with_its_last_word(tmp_path: Path) -> None:
    row = {"context": "He went to the", "continuation": "shop"}
    assert texts(tmp_path, "lambada", row) == [("question", PROSE, "He went to the shop")]


def test_a_blank_is_read_empty_and_with_either_name(tmp_path: Path) -> None:
    row = {"sentence": "Ann saw Bea so _ fled.", "option1": "Ann", "option2": "Bea", "answer": "1"}
    found = [text for _, _, text in texts(tmp_path, "winogrande", row)]
    assert found == ["Ann saw Bea so  fled.", "Ann saw Bea so Ann fled.", "Ann saw Bea so Bea fled."]


def test_a_passage_is_apart_from_its_question(tmp_path: Path) -> None:
    row = {"query": "Passage: Ice floats.\nQuestion: does ice float", "choices": ["no", "yes"], "gold": 1}
    assert texts(tmp_path, "boolq", row) == [("passage", PROSE, "Ice floats."), ("question", PROSE, "does ice float")]


def test_a_programming_problem_is_code_and_its_description_prose(tmp_path: Path) -> None:
    prompt = 'def f(x):\n    """ Add one to x.\n    >>> f(1)\n    2\n    """\n'
    row = {
        "task_id": "HumanEval/0",
        "prompt": prompt,
        "canonical_solution": "    return x + 1\n",
        "test": "assert f(0)",
    }
    assert texts(tmp_path, "humaneval", row) == [
        ("question", CODE, prompt),
        ("question", PROSE, " Add one to x.\n    "),
        ("solution", CODE, "    return x + 1\n"),
        ("tests", CODE, "assert f(0)"),
    ]
    other = {"task_id": 2, "text": "Write a function.", "code": "def f():\r\n  pass", "test_list": ["a", "b"]}
    assert texts(tmp_path, "mbpp", other) == [
        ("question", PROSE, "Write a function."),
        ("solution", CODE, "def f():\r\n  pass"),
        ("tests", CODE, "a\nb"),
    ]


def test_texts_without_a_letter_or_digit_and_repeats_are_left_out(tmp_path: Path) -> None:
    row = {"question": "who sang it", "answer": ["P!nk", "P!nk", "—", ""]}
    assert [text for _, _, text in texts(tmp_path, "nq_open", row, row)] == ["who sang it", "P!nk"]


def test_a_further_benchmark_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pair(row: dict[str, Any]) -> Any:
        yield "question", row["q"]
        yield "solution" + benchmark_texts.PROGRAM, row["a"]

    for path in ("new/items.csv", "new/items.json"):
        monkeypatch.setitem(BENCHMARKS, "new", Source("new", path, pair))
        if path.endswith("csv"):
            file = tmp_path / "benchmarks" / path
            file.parent.mkdir(parents=True)
            file.write_text('\ufeffq,a\n"two\nlines",x = 1\n', encoding="utf-8")
        else:
            (tmp_path / "benchmarks" / path).write_text('{"first": {"q": "two\\nlines", "a": "x = 1"}}')
        assert {(text.part, text.text, text.kind) for text in read_texts("new", tmp_path)} == {
            ("question", "two\nlines", PROSE),
            ("solution", "x = 1", CODE),
        }
        assert "new" in spec.available(tmp_path)
        assert list(spec.index_config(["new"], tmp_path)["benchmarks"]) == ["new"]


@pytest.mark.parametrize("row", [{"query": "Question: x"}, {"query": 1, "choices": ["a"], "gold": 0}])
def test_a_row_in_another_form_is_named(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="a row of the benchmark piqa is not in the expected form"):
        texts(tmp_path, "piqa", row)


@pytest.mark.parametrize("data", [b"{", b"[1]\n", b"\xff\n"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, data: bytes) -> None:
    write(tmp_path, "copa", []).write_bytes(data)
    with pytest.raises(RunError, match="a benchmark's file cannot be read") as caught:
        list(read_texts("copa", tmp_path))
    assert "superglue_copa_val" in str(caught.value)


# -- identity ------------------------------------------------------------------------------------------------


def test_a_configuration_names_files_by_their_bytes_and_no_path(tmp_path: Path) -> None:
    row = {"premise": "It rained.", "choice1": "x", "choice2": "y", "label": 0}
    write(tmp_path, "copa", [row])
    write(tmp_path, "lambada", [{"context": "a", "continuation": "b"}])
    config = spec.index_config(["lambada", "copa"], tmp_path)
    assert config == spec.index_config(["copa", "lambada", "copa"], tmp_path)
    assert str(tmp_path) not in json.dumps(config)
    assert config["matching"]["words"] == 13
    write(tmp_path, "copa", [row, row])
    assert spec.index_config(["lambada", "copa"], tmp_path) != config
    assert spec.index_config(["copa"], tmp_path, digest=lambda path: path.name)["benchmarks"] == {
        "copa": "superglue_copa_val.jsonl"
    }


def test_what_is_missing_is_named_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="does not know the benchmark 'piqua'") as caught:
        spec.index_config(["piqua"], tmp_path, where="study.yaml:4")
    assert "Did you mean piqa?" in str(caught.value)
    assert str(caught.value).startswith("study.yaml:4")
    with pytest.raises(RequestError, match="no data folder"):
        spec.index_config(["piqa"], None)
    with pytest.raises(RequestError, match="piqa is not there"):
        spec.index_config(["piqa"], tmp_path)
    with pytest.raises(RequestError, match="needs a benchmark"):
        spec.index_config([], tmp_path)
    assert spec.available(tmp_path) == ()


@pytest.mark.parametrize("shares", [{}, {**spec.SHARES, "answer": 0.0}, {**spec.SHARES, "tests": 1.1}])
def test_shares_are_given_for_all_parts_and_are_shares(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="shares must be"):
        spec.scan_config(shares)
    assert spec.scan_config() == {"shares": dict(spec.SHARES)}


# -- the real files ------------------------------------------------------------------------------------------


def test_every_benchmark_that_is_evaluated_is_known() -> None:
    assert set(TASKS) <= set(BENCHMARKS)


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_the_real_files_are_in_the_expected_form(name: str, data_dir: Path) -> None:
    found = list(read_texts(name, data_dir))
    items = {text.item for text in found}
    of_part = Counter(text.part for text in found)
    assert len(items) >= 50
    assert set(of_part) <= set(PARTS)
    asked = {text.item for text in found if text.part == "question"}
    assert asked == items
    if name in TASKS:
        evaluated = [item.id for item in load_items(name, data_dir, 200)]
        assert set(evaluated) <= items
        assert item_ids(name, data_dir, 200) == evaluated
    if CODE in {text.kind for text in found}:
        assert of_part["solution"] + of_part["tests"] + of_part["answer"] >= 0.9 * len(items)


@pytest.mark.parametrize(
    ("question", "answer", "findable"),
    [
        ("one two three four", "five six seven", False),
        ("one two three four", "five six seven eight", True),
        ("one", "two three four five six seven", False),
        ("one", "two three four five six seven eight", True),
        ("one two three four five six seven", "", False),
        ("one two three four five six seven eight", "", True),
    ],
)
def test_an_item_of_eight_words_can_be_found_by_its_question_and_answer_side_by_side(
    question: str, answer: str, findable: bool
) -> None:
    parts = [("question", question), ("answer", answer)]
    texts = [Text("piqa", "a", part, text, PROSE) for part, text in parts if text]
    index = make_index(texts, spec.MATCHING)
    assert findable_items(index) == ({0} if findable else set())
    found = Scanner(index, spec.SHARES).scan([f"Before this. {question}: {answer}, and so on."])[0]
    assert bool(found) == findable
