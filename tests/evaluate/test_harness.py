"""Benchmarks: lm-eval's own prompts and numbers, from one pass, without a network."""

from __future__ import annotations

import importlib.util
import json
import math
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from pretrial.benchmarks.items import TASKS, bench_config, load_items
from pretrial.errors import RunError

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif(
        importlib.util.find_spec("lm_eval") is None or importlib.util.find_spec("datasets") is None,
        reason="lm-eval is not installed: pip install 'pretrial[bench]'",
    ),
]

ROWS: dict[str, list[dict[str, Any]]] = {
    "piqa": [
        {"query": f"Question: open jar {i}\n", "choices": [f"turn lid {i}", f"bite {'the glass ' * i}"], "gold": i % 2}
        for i in range(9)
    ],
    "arc_easy": [
        {"query": f"Question: Which is {i}?", "choices": ["stone", "rain", f"no {i}", "sand"][: 3 + i % 2], "gold": 2}
        for i in range(9)
    ],
    "lambada": [
        {"context": f"He saw {i} dogs. \"Look,\" he said, and counted the", "continuation": "dogs"} for i in range(9)
    ],
    "blimp": [
        {"sentence_good": f"The cat{i} sleeps.", "sentence_bad": f"The cat{i} sleep.", "UID": uid, "pairID": str(i)}
        for uid in ("regular_plural_subject_verb_agreement_1", "principle_A_case_1", "wh_island")
        for i in range(4)
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in the form of the real one."""
    folder = tmp_path_factory.mktemp("data")
    for name, rows in ROWS.items():
        path = folder / "benchmarks" / TASKS[name].path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zstandard.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return folder


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a test reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def model(tiny_scorer: Any, tokenizer: Any) -> Any:
    from pretrial.evaluate.harness import harness_model
    from pretrial.tokens.tokenizer import TextTokenizer

    return harness_model(tiny_scorer, TextTokenizer(tokenizer.path))


@pytest.mark.parametrize("name", list(TASKS))
def test_every_metric_equals_lm_evals_own(name: str, data: Path, model: Any) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    from pretrial.evaluate.harness import answer, lm_eval_tasks

    items = load_items(name, data, 100)
    answers, version = answer(items, model)
    assert version == "lm-eval 1.0"
    parts: dict[str, list[Any]] = {}
    for item in items:
        parts.setdefault(item.task, []).append(item)
    theirs = lm_eval.simple_evaluate(
        model=model,
        tasks=list(lm_eval_tasks(parts).values()),
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
    )
    for task, members in parts.items():
        mine = [answered for answered in answers if answered.item.task == task]
        for metric in mine[0].metrics:
            expected = theirs["results"][task][f"{metric},none"]
            assert np.mean([answered.metrics[metric] for answered in mine]) == pytest.approx(expected, abs=1e-12)
        samples = sorted(theirs["samples"][task], key=lambda sample: sample["doc_id"])
        assert len(samples) == len(members)
        for answered, sample in zip(mine, samples, strict=True):
            logged = [float(response[0][0]) for response in sample["resps"]]
            assert answered.logprobs == pytest.approx(logged, rel=1e-6)
    if name in ("piqa", "arc_easy"):
        assert set(answers[0].metrics) == {"acc", "acc_norm"}


def test_prompts_are_lm_evals(data: Path) -> None:
    from pretrial.evaluate.harness import lm_eval_tasks

    def first_requests(name: str) -> list[tuple[str, str]]:
        item = load_items(name, data, 1)[0]
        task = lm_eval_tasks({item.task: [item]})[item.task]
        task.build_all_requests()
        return [instance.args for instance in task.instances]

    (context, good), (_, bad) = first_requests("piqa")
    assert context.startswith("Question: open jar")
    assert context.endswith("\nAnswer:")
    assert good.startswith(" turn lid")
    assert bad.startswith(" bite")
    (context, _), *rest = first_requests("arc_easy")
    assert context.startswith("Question: Which is")
    assert len(rest) in (2, 3)
    ((context, word),) = first_requests("lambada")
    assert context.endswith("counted the")
    assert word == " dogs"
    (context, good), (_, bad) = first_requests("blimp")
    assert context == ""
    assert (good[0], bad[0]) == (" ", " ")


def test_log_likelihoods_are_the_models(data: Path, model: Any, tiny_scorer: Any) -> None:
    from pretrial.evaluate.harness import answer, item_values
    from pretrial.evaluate.scorer import Passage

    # The toy context holds 32 tokens, so these are left-truncated: the last 33 tokens count.
    item = load_items("lambada", data, 1)[0]
    (answered,), _ = answer([item], model)
    assert model.truncated == 1
    text = item.row["text"].encode()
    tokens = np.array([256, *text])[-33:]
    (scores,) = tiny_scorer.score([Passage(tokens, first=33 - len(" dogs"))])
    assert answered.logprobs[0] == pytest.approx(float(scores.logprobs.sum()), rel=1e-6)
    values = {value.metric: value for value in item_values(answered)}
    assert values["answer_bits_per_byte"].weight == len(" dogs")
    assert values["answer_bits_per_byte"].value == pytest.approx(-answered.logprobs[0] / math.log(2))
    assert values["correct_choice_probability"].value == pytest.approx(math.exp(answered.logprobs[0]))
    assert "margin" not in values


@pytest.mark.parametrize(("first", "length", "context"), [(3, 9, 8), (3, 40, 8), (20, 30, 16), (1, 5, 8), (9, 17, 8)])
def test_every_token_of_an_answer_is_scored_once_however_long(first: int, length: int, context: int) -> None:
    from pretrial.evaluate.harness import request_passages

    passages = request_passages(np.arange(length), first, context)
    scored = np.concatenate([passage.tokens[passage.first :] for passage in passages])
    assert scored.tolist() == list(range(first, length))
    assert all(1 <= p.first < len(p.tokens) <= context + 1 for p in passages)


@pytest.mark.parametrize("name", list(TASKS))
def test_the_step_writes_what_the_task_is_and_is_the_same_every_time(
    name: str,
    data: Path,
    tmp_path: Path,
    step: Callable[..., Any],
    checkpoint: Any,
    tokenizer: Any,
    record: dict[str, Any],
) -> None:
    from pretrial.evaluate.spec import TASK_METRICS

    config = {**bench_config(name, data, 8), "context": 64, "record": record}
    inputs = {"checkpoint": checkpoint, "tokenizer": tokenizer}
    function = "pretrial.evaluate.harness:evaluate_bench"
    made = [step(function, tmp_path / n, config=config, inputs=inputs, settings={"data": str(data)}) for n in "ab"]
    assert made[0].content == made[1].content
    rows = {row["metric"]: row for row in made[0].facts["rows"]}
    assert set(rows) == set(TASK_METRICS[name])
    assert all(row["n"] == 8 and row["task"] == name for row in rows.values())
    assert all("local sample" in row["notes"][0] for row in rows.values())
    expected = {"piqa": 0.5, "lambada": 0.0, "blimp": 0.5}
    if name in expected:
        assert rows["acc"]["chance"] == expected[name]
    else:
        assert 1 / 4 < rows["acc"]["chance"] < 1 / 3  # items with three and with four choices


def test_another_lm_eval_or_another_file_is_refused(
    data: Path, tmp_path: Path, step: Callable[..., Any], checkpoint: Any, tokenizer: Any, record: dict[str, Any]
) -> None:
    config = {**bench_config("piqa", data, 8), "context": 64, "record": record}
    run = {"inputs": {"checkpoint": checkpoint, "tokenizer": tokenizer}, "settings": {"data": str(data)}}
    function = "pretrial.evaluate.harness:evaluate_bench"
    with pytest.raises(RunError, match=r"0\.0\.1"):
        step(function, tmp_path / "a", config={**config, "lm_eval": "0.0.1"}, **run)
    with pytest.raises(RunError, match="has changed"):
        step(function, tmp_path / "b", config={**config, "sha256": "0" * 64}, **run)
