"""What each evaluation gives for fixed tokens and fixed weights. A change here is a change of every result."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import zstandard
from tests.conftest import LocalArtefact

import golden
from pretrial.evaluate.cloze import read_items
from pretrial.evaluate.scorer import Passage, Scores
from pretrial.evaluate.spec import FUNCTIONS, SEMANTICS
from pretrial.model.decoder import Decoder
from pretrial.model.spec import ModelSpec
from pretrial.model.weights import save_decoder

CONTEXT, MARK, VOCABULARY = 128, 256, 257
GOLDEN: dict[tuple[str, int], Any] = {
    ("bits-per-byte", 1): {
        "values": {
            "bits_per_byte": [
                8.62017, 0.0386232, 9, "5b6b7272d46da63a",
                [444.895, 911.092, 1446.69, 1715.44, 1735.85, 1696.92, 1728.58, 1716.61, 1715.19],
            ],
        },
        "cut": 6,
        "tokens": 1524,
    },
    ("cloze-items", 1): {
        "items": [
            ["code", "code/0#127", "g0", 3, 32, "le ko lukela", "c6c45d1d54aca6f3"],
            ["code", "code/1#248", "g1", 1, 32, "du do filili", "aa28faf14f6247f1"],
            ["code", "code/3#252", "g3", 0, 32, "bo gamube me", "3a6533d87e0aac37"],
            ["code", "code/5#263", "g5", 1, 32, "fuboma fa fo", "0d5ded96c71e4190"],
            ["prose", "prose/2#116", "g1", 0, 32, " lago fokuku", "1305a25176b15fa6"],
            ["prose", "prose/3#162", "g1", 3, 32, "gu begele me", "e5342aded4d48f2a"],
            ["prose", "prose/4#104", "g2", 2, 32, " deke cugubi", "d4dbb388afad609b"],
            ["prose", "prose/6#138", "g3", 2, 32, "ci bofiku ki", "b2f91106ed9eb6e2"],
            ["prose", "prose/7#190", "g3", 1, 32, "foga bu luli", "b1a0b12edcce9eba"],
        ],
        "facts": {"items": 9, "by_source": {"prose": 5, "code": 4}, "choices": 4, "chance": 0.25},
    },
    ("cloze", 1): {
        "accuracy": [0.25, 0.25, 4, "d866c627ba25d746", [1.0, 0.0, 0.0, 0.0]],
        "answer_bits_per_byte": [8.40368, 0.100606, 4, "7b6869c5b2cc419d", [276.148, 265.282, 272.239, 262.001]],
        "margin": [-1.08989, 1.34298, 4, "d866c627ba25d746", [2.71294, -3.53102, -2.15498, -1.3865]],
        "correct_choice_probability": [
            0.311882, 0.169557, 4, "d866c627ba25d746", [0.811481, 0.0609802, 0.15998, 0.215086],
        ],
    },
    ("anchors", 2): {
        "bits_per_byte_3gram": [
            2.7604, 0.0123448, 9, "5b6b7272d46da63a",
            [142.738, 287.89, 476.636, 546.623, 533.476, 560.529, 565.834, 532.413, 552.425],
        ],
        "learned for held-out": 1280,
        "accuracy_3gram": [0.0, 0.0, 5, "e3e3ce2b822055d8", [0.0, 0.0, 0.0, 0.0, 0.0]],
        "learned for cloze": 1280,
    },
    ("bench", 1): {
        "acc": [0.75, 0.25, 4, "87ebd4af6ac45d74", [1.0, 0.0, 1.0, 1.0]],
        "acc_norm": [0.25, 0.25, 4, "87ebd4af6ac45d74", [0.0, 1.0, 0.0, 0.0]],
        "answer_bits_per_byte": [3.08857, 0.152744, 4, "67ee60c14f53cd43", [26.9784, 50.8406, 29.9503, 40.482]],
        "margin": [12.0321, 12.0321, 4, "87ebd4af6ac45d74", [24.0642, -24.0642, 24.0642, 24.0642]],
        "correct_choice_probability": [0.75, 0.25, 4, "87ebd4af6ac45d74", [1.0, 5.70122e-08, 1.0, 1.0]],
    },
}  # fmt: skip


@pytest.fixture
def weighed(tmp_path: Path) -> LocalArtefact:
    """A checkpoint of fixed weights, which no generator of a library drew."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    decoder = Decoder(ModelSpec(1, 16, 2, 24), VOCABULARY)
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            norm = "norm" in name
            parameter.copy_(torch.from_numpy(golden.weights(name, tuple(parameter.shape), 0.1 if norm else 0.25)))
            parameter.add_(1.0 if norm else 0.0)
    save_decoder(decoder, folder, context=CONTEXT, mark=MARK)
    return LocalArtefact(folder, {})


@pytest.fixture
def inputs(weighed: LocalArtefact, make_tokens: Callable[..., Any], tokenizer: Any) -> dict[str, Any]:
    """Held-out tokens of two sources, training tokens of one, a tokenizer of single bytes."""
    texts = [golden.words(i, 10 + 12 * i) for i in range(9)]
    return {
        "checkpoint": weighed,
        "tokenizer": tokenizer,
        "prose": make_tokens("prose", texts, [f"g{i // 2}" for i in range(9)]),
        "code": make_tokens("code", [f"f({golden.words(50 + i, 60)})" for i in range(6)]),
        "train": make_tokens("train", [golden.words(100 + i, 40) for i in range(8)]),
    }


def values(made: Any) -> dict[str, list[Any]]:
    """By metric: its value, standard error and number of items, a digest of the items' names, clusters and weights,
    and their values.
    """
    rows = pq.read_table(made.path / "items.parquet").to_pylist()
    found: dict[str, list[Any]] = {}
    for told in made.facts["rows"]:
        items = [row for row in rows if row["metric"] == told["metric"]]
        names = golden.digest([[row[name] for name in ("task", "item", "cluster", "weight")] for row in items])
        found[told["metric"]] = [told["value"], told["stderr"], told["n"], names, [row["value"] for row in items]]
    return found


def check(kind: str, found: Any, rel: float | None) -> None:
    golden.unchanged(kind, SEMANTICS[kind], found, GOLDEN, "pretrial.evaluate.spec", rel=rel)


def test_bits_per_byte_are_the_same(
    inputs: dict[str, Any], tmp_path: Path, step: Callable[..., Any], record: dict[str, Any]
) -> None:
    config = {"category": "held-out", "task": "prose", "bytes": 1600, "context": CONTEXT, "record": record}
    given = {"checkpoint": inputs["checkpoint"], "tokens": inputs["prose"], "tokenizer": inputs["tokenizer"]}
    made = step(FUNCTIONS["bits-per-byte"], tmp_path / "made", config=config, inputs=given)
    found = {"values": values(made), "cut": made.facts["cut_documents"], "tokens": made.facts["tokens"]}
    check("bits-per-byte", found, 1e-4)


@pytest.fixture
def cloze_items(inputs: dict[str, Any], tmp_path: Path, step: Callable[..., Any]) -> Any:
    return step(
        FUNCTIONS["cloze-items"],
        tmp_path / "items",
        config={"sources": ["prose", "code"], "items": 9},
        inputs={"tokens:prose": inputs["prose"], "tokens:code": inputs["code"], "tokenizer": inputs["tokenizer"]},
    )


def test_cloze_items_are_the_same(cloze_items: Any) -> None:
    items = []
    for item in read_items(cloze_items.file("items.parquet")):
        tokens = golden.digest(item.context.tolist(), [choice.tolist() for choice in item.choices])
        ends = bytes(item.context[-12:].tolist()).decode()
        items.append([item.source, item.item, item.cluster, item.gold, item.answer_bytes, ends, tokens])
    check("cloze-items", {"items": items, "facts": cloze_items.facts}, None)


def test_answers_to_cloze_items_are_the_same(
    inputs: dict[str, Any], cloze_items: Any, tmp_path: Path, step: Callable[..., Any], record: dict[str, Any]
) -> None:
    given = {"checkpoint": inputs["checkpoint"], "items": cloze_items, "tokenizer": inputs["tokenizer"]}
    config = {"task": "code", "context": CONTEXT, "record": record}
    made = step(FUNCTIONS["cloze"], tmp_path / "made", config=config, inputs=given)
    check("cloze", values(made), 1e-3)


def test_anchors_are_the_same(
    inputs: dict[str, Any], cloze_items: Any, tmp_path: Path, step: Callable[..., Any]
) -> None:
    segments = [{"start": 0, "sources": ["train"], "shares": [[1, 1]], "first_draw": [0], "pattern_start": 0}]
    course = {"context": 32, "order": 1, "subset": 1, "segments": segments}
    found = {}
    for category, more in (
        ("held-out", {"held-out": inputs["prose"]}),
        ("cloze", {"items": cloze_items}),
    ):
        config = {"category": category, "task": "prose", "bytes": 1600, "course": course, "to_tokens": 32 * 40}
        given = {"tokens:train": inputs["train"], "tokenizer": inputs["tokenizer"], **more}
        made = step(FUNCTIONS["anchors"], tmp_path / category, config=config, inputs=given)
        # What zstd makes of a text is its own affair: a test of the anchor compares with it.
        found |= {metric: said for metric, said in values(made).items() if metric != "bits_per_byte_zstd"}
        found[f"learned for {category}"] = made.facts["learned_tokens"]
    check("anchors", found, 1e-4)


class Letters:
    """A scorer that likes some bytes more than others, whatever stood before them."""

    context, mark = CONTEXT, MARK

    def score(self, passages: Sequence[Passage]) -> list[Scores]:
        scored = [passage.tokens[passage.first :] for passage in passages]
        return [Scores(-1.0 - (tokens * 37 % 101) / 50, tokens % 2 == 0) for tokens in scored]


@pytest.mark.bench
@pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None or importlib.util.find_spec("datasets") is None,
    reason="lm-eval is not installed: pip install 'pretrial[bench]'",
)
def test_answers_to_a_benchmark_are_the_same(
    inputs: dict[str, Any], tmp_path: Path, step: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pretrial.benchmarks.items import TASKS, bench_config
    from pretrial.evaluate import harness

    rows = [
        {"query": f"Question: open {word}?\n", "choices": [f"turn {word}", f"bite the {word} twice"], "gold": i % 2}
        for i, word in enumerate(golden.words(7, 6).split())
    ]
    path = tmp_path / "data" / "benchmarks" / TASKS["piqa"].path
    path.parent.mkdir(parents=True)
    path.write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    monkeypatch.setattr(harness, "scorer_for", lambda ctx: Letters())
    made = step(
        FUNCTIONS["bench"],
        tmp_path / "made",
        config={**bench_config("piqa", tmp_path / "data", 4), "context": CONTEXT, "record": {}},
        settings={"data": str(tmp_path / "data")},
        inputs={"checkpoint": inputs["checkpoint"], "tokenizer": inputs["tokenizer"]},
    )
    check("bench", values(made), 1e-4)


def test_every_kind_has_a_golden() -> None:
    assert {kind for kind, _ in GOLDEN} == set(SEMANTICS)
