"""Benchmarks through lm-eval's own prompts and metrics, with our model as its model.

Guarantees: task configurations, prompts, the split of prompt and answer into tokens, acc and acc_norm are lm-eval's;
only the data set is replaced, by the local items that `pretrial.benchmarks` chose. Every choice is scored once, and
what lm-eval does not give is computed from the same logged log-likelihoods. No network: the hub libraries are put
offline before they are imported, and lm-eval's response cache (not keyed by model) is never used.

The mark opens every prompt, as it opens every document in training. A prompt that does not fit is cut on the left,
as lm-eval does, and counted in the facts; an answer longer than the whole context is scored in windows.
Does not do: few-shot prompts, generation.
"""

from __future__ import annotations

import importlib.metadata
import io
import logging
import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrial.benchmarks.items import TASKS, Item, check_bench, load_items
from pretrial.errors import RunError
from pretrial.evaluate.bits_per_byte import windows
from pretrial.evaluate.load import scorer_for
from pretrial.evaluate.rows import ItemValue, Json, Task, write_items
from pretrial.evaluate.scorer import Passage, Scorer
from pretrial.evaluate.spec import CATEGORIES, CHANCE
from pretrial.execute.context import StepContext
from pretrial.tokens.tokenizer import TextTokenizer

Ints = NDArray[np.int64]

NOTE = "local sample of the benchmark: not the task's own number"

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Answered:
    """One item with what the model and lm-eval said of it."""

    item: Item
    logprobs: tuple[float, ...]
    """Natural-log likelihood of each choice, in lm-eval's order."""
    gold: int
    answer_bytes: int
    """Bytes of the true choice as scored, its leading space among them."""
    metrics: dict[str, float]
    """lm-eval's own metrics of the item."""


def evaluate_bench(ctx: StepContext) -> Json:
    """Step function: one checkpoint on one benchmark.

    `config`: task (a key of `benchmarks.TASKS`), items (at most), sha256 (of the file), lm_eval (its version), context,
    record; `benchmarks.bench_config` gives the first four. `settings`: data (the data folder).
    `inputs`: "checkpoint", "tokenizer".
    """
    name = str(ctx.config["task"])
    data = Path(ctx.settings["data"])
    check_bench([name], data)
    installed = importlib.metadata.version("lm_eval")
    if installed != ctx.config["lm_eval"]:
        raise RunError(
            f"lm-eval is {installed} here and was {ctx.config['lm_eval']} when the study was planned",
            remedy="Run the study again with one installation.",
        )
    items = load_items(name, data, int(ctx.config["items"]), str(ctx.config["sha256"]))
    model = harness_model(scorer_for(ctx), TextTokenizer(ctx.inputs["tokenizer"].path))
    answers, version = answer(items, model)
    values = [value for answered in answers for value in item_values(answered)]
    chance = CHANCE[name]
    if TASKS[name].stratum is None and all(len(answered.logprobs) > 1 for answered in answers):
        chance = sum(1 / len(answered.logprobs) for answered in answers) / len(answers)
    task = Task(name, CATEGORIES[name], version=version, chance=chance, notes=(NOTE,))
    return write_items(ctx.out, [(task, values)], truncated=model.truncated, lm_eval=installed)


def item_values(answered: Answered) -> list[ItemValue]:
    """The metrics of one item."""
    item, logprobs, gold = answered.item, answered.logprobs, answered.gold

    def value(metric: str, number: float, weight: float = 1.0) -> ItemValue:
        return ItemValue(metric, item.id, item.cluster, number, weight)

    values = [value(metric, number) for metric, number in answered.metrics.items()]
    values.append(value("answer_bits_per_byte", -logprobs[gold] / math.log(2), float(answered.answer_bytes)))
    if len(logprobs) == 1:
        values.append(value("correct_choice_probability", math.exp(logprobs[gold])))
        return values
    best = max(logprobs)
    total = sum(math.exp(logprob - best) for logprob in logprobs)
    wrong = max(logprob for choice, logprob in enumerate(logprobs) if choice != gold)
    values.append(value("correct_choice_probability", math.exp(logprobs[gold] - best) / total))
    values.append(value("margin", (logprobs[gold] - wrong) / math.log(2)))
    return values


def answer(items: Sequence[Item], model: Any) -> tuple[list[Answered], str]:
    """Every item answered, in order, and the version of lm-eval's task.

    `model` is a `harness_model`. All choices of all items go to the model in one call.
    """
    parts: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        parts[item.task].append(item)
    tasks = lm_eval_tasks(parts)
    # As lm_eval.evaluator.evaluate does: build all requests, run each kind once, filter, process by document.
    instances = []
    for task in tasks.values():
        with _quiet():
            task.build_all_requests()
        instances += task.instances
    for instance, response in zip(instances, model.loglikelihood(instances, disable_tqdm=True), strict=True):
        instance.resps.append(response)
    sizes = dict(zip(map(id, instances), model.answer_bytes, strict=True))
    found: dict[str, Answered] = {}
    for name, task in tasks.items():
        task.apply_filters()
        by_document: dict[int, list[Any]] = defaultdict(list)
        for instance in task.instances:
            by_document[instance.doc_id].append(instance)
        for number, item in enumerate(parts[name]):
            mine = sorted(by_document[number], key=lambda instance: instance.idx)
            metrics = task.process_results(mine[0].doc, [one.filtered_resps["none"] for one in mine])
            gold = task.doc_to_target(mine[0].doc) if len(mine) > 1 else 0
            if not isinstance(gold, int) or not 0 <= gold < len(mine):
                raise RunError(f"lm-eval's task {name} names no choice as the true one: {gold!r}", where=item.id)
            found[item.id] = Answered(
                item,
                tuple(float(one.resps[0][0]) for one in mine),
                gold,
                sizes[id(mine[gold])],
                {metric: float(metrics[metric]) for metric in ("acc", "acc_norm") if metric in metrics},
            )
    versions = sorted({str(task.VERSION) for task in tasks.values()})
    return [found[item.id] for item in items], "lm-eval " + "/".join(versions)


def lm_eval_tasks(parts: dict[str, list[Item]]) -> dict[str, Any]:
    """lm-eval's tasks by name, each with the given items as its data set and otherwise as lm-eval configures it."""
    _import_lm_eval()
    import datasets
    import lm_eval
    from lm_eval.tasks import TaskManager

    folders = {name: _benchmark_of(name) for name in parts}
    root = Path(lm_eval.__file__).parent / "tasks"
    managers = {
        folder: TaskManager(include_path=str(root / folder), include_defaults=False)
        for folder in sorted(set(folders.values()))
    }
    tasks: dict[str, Any] = {}
    for name, items in parts.items():
        rows = datasets.Dataset.from_list([item.row for item in items])
        splits = {"train": rows.select([]), "validation": rows, "test": rows}
        if name.startswith("blimp_"):
            splits["train"] = rows  # lm-eval reads BLiMP's items from the split of that name.
        manager = managers[folders[name]]
        configured = {**manager.task_index[name].cfg, "custom_dataset": _Splits(splits)}
        with _quiet():
            tasks[name] = manager.load(configured)["tasks"][name]
    return tasks


@cache
def _import_lm_eval() -> None:
    os.environ.update(OFFLINE)
    import lm_eval.api.model
    import lm_eval.tasks  # noqa: F401  # used under its full name, once this has loaded it with OFFLINE set


def _benchmark_of(lm_eval_task: str) -> str:
    for benchmark in TASKS.values():
        if lm_eval_task == benchmark.lm_eval_task:
            return benchmark.lm_eval_folder
        if benchmark.lm_eval_task is None and lm_eval_task.startswith(f"{benchmark.name}_"):
            return benchmark.lm_eval_folder
    raise KeyError(lm_eval_task)


class _Splits:
    """A data set that is there already: lm-eval calls it with metadata and gets the splits."""

    def __init__(self, splits: dict[str, Any]) -> None:
        self.splits = splits

    def __call__(self, **_: Any) -> dict[str, Any]:
        return self.splits

    def __deepcopy__(self, memo: dict[int, Any]) -> _Splits:
        # lm-eval deep-copies configurations; a data set does not survive that cheaply.
        return self


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep lm-eval's remarks about custom data sets and its progress bars off the terminal."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def request_passages(tokens: Ints, first: int, context: int) -> list[Passage]:
    """Passages that score tokens[first:] (first is at least 1): one, its beginning cut where it is too long.

    An answer that alone is longer than the context is scored in windows at half stride, as a document is.
    """
    if len(tokens) - first <= context:
        cut = max(0, len(tokens) - (context + 1))
        return [Passage(tokens[cut:], first - cut)]
    tokens = tokens[first - 1 :]
    return [
        Passage(tokens[begin : stop + 1], scored - begin + 1)
        for begin, scored, stop in windows(len(tokens) - 1, context)
    ]


def harness_model(scorer: Scorer, tokenizer: TextTokenizer) -> Any:
    """Our model as an `lm_eval.api.model.TemplateLM`.

    After a call, `answer_bytes` lists the bytes of each request's continuation as scored, and `truncated` counts the
    requests whose context was cut.
    """
    _import_lm_eval()
    from lm_eval.api.model import TemplateLM

    class HarnessModel(TemplateLM):  # type: ignore[misc]  # lm-eval is an extra and has no types
        def __init__(self) -> None:
            super().__init__()
            self.truncated = 0
            self.answer_bytes: list[int] = []

        @property
        def eot_token_id(self) -> int:
            return scorer.mark

        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
            ids: list[int] = tokenizer.encode(string).tolist()
            return ids if add_special_tokens is False else [scorer.mark, *ids]

        def _loglikelihood_tokens(
            self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **_: Any
        ) -> list[tuple[float, bool]]:
            passages: list[Passage] = []
            owner: list[int] = []
            self.truncated, self.answer_bytes = 0, []
            for index, (_pair, before, after) in enumerate(requests):
                mine = request_passages(np.array(before + after, dtype=np.int64), len(before), scorer.context)
                passages += mine
                owner += [index] * len(mine)
                self.truncated += len(before) + len(after) > scorer.context + 1
                self.answer_bytes.append(int(tokenizer.token_bytes[after].sum()))
            sums, greedy = [0.0] * len(requests), [True] * len(requests)
            for index, scores in zip(owner, scorer.score(passages), strict=True):
                sums[index] += float(scores.logprobs.sum())
                greedy[index] &= bool(scores.greedy.all())
            return list(zip(sums, greedy, strict=True))

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
            raise NotImplementedError("bits per byte are computed by pretrial.evaluate.bits_per_byte")

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            raise NotImplementedError("no task here generates text")

    return HarnessModel()
