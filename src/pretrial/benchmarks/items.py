"""Items of the local benchmark files, chosen by content hash, in the fields of lm-eval's own tasks.

Guarantees: the same file and the same number of items give the same items in the same order on every machine;
fewer items are a prefix of more. A file is identified by the SHA-256 of its bytes. Importing this module and asking
`check_bench` import neither lm-eval nor torch.

Does not do: prompts and metrics (lm-eval's, see `pretrial.evaluate.harness`). The files hold local samples of the
benchmarks: a score on them is one on a local sample and is labelled so.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrial.errors import RequestError, RunError

Json = dict[str, Any]

FOLDER = "benchmarks"
INSTALL = "pip install 'pretrial[bench]'"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: where its file lies under the data folder, and the lm-eval task whose prompt it gets."""

    name: str
    path: str
    """Under `{data}/benchmarks`."""
    lm_eval_folder: str
    """Folder of the task's configuration in lm-eval."""
    lm_eval_task: str | None
    """Name of lm-eval's task; None where each stratum is a task of its own (`blimp_<UID>`)."""
    stratum: str | None = None
    """Field whose values share the items as evenly as can be."""


TASKS: dict[str, Benchmark] = {
    task.name: task
    for task in (
        Benchmark("piqa", "llm_foundry/commonsense_reasoning/piqa.jsonl.zst", "piqa", "piqa"),
        Benchmark("arc_easy", "llm_foundry/world_knowledge/arc_easy.jsonl.zst", "arc", "arc_easy"),
        Benchmark(
            "lambada", "llm_foundry/language_understanding/lambada_openai.jsonl.zst", "lambada", "lambada_openai"
        ),
        Benchmark("blimp", "blimp/blimp.jsonl.zst", "blimp", None, stratum="UID"),
    )
}


@dataclass(frozen=True)
class Item:
    """One item: `row` has the fields that lm-eval's task reads, `cluster` is shared by items with one prompt."""

    id: str
    cluster: str
    task: str
    """Name of its lm-eval task."""
    row: Json


def check_bench(tasks: Sequence[str], data_dir: Path | None, where: str | None = None) -> None:
    """Raise `RequestError` unless every benchmark in `tasks` can be run: known, installed and found.

    Light enough for planning: lm-eval is looked for, not imported.
    """
    for name in tasks:
        if name not in TASKS:
            raise RequestError(f"there is no benchmark {name!r}", where=where, remedy="Known: " + ", ".join(TASKS))
    if not tasks:
        return
    missing = [name for name in ("lm_eval", "datasets") if importlib.util.find_spec(name) is None]
    if missing:
        raise RequestError(
            f"the benchmarks {', '.join(tasks)} need {' and '.join(missing)}, not installed here",
            where=where,
            remedy=f"{INSTALL}, or take them out of `evaluate`.",
        )
    if data_dir is None:
        raise RequestError(
            f"the benchmarks {', '.join(tasks)} are read from local files and no data folder is named",
            where=where,
            remedy="Name it with --data DIR or PRETRIAL_DATA.",
        )
    for name in tasks:
        path = _path(name, data_dir)
        if not path.is_file():
            raise RequestError(
                f"the file of the benchmark {name} is not there: {path}",
                where=where,
                remedy=f"Put it there, point --data elsewhere, or take {name} out of `evaluate`.",
            )


def identity(task: str, data_dir: Path) -> str:
    """SHA-256 of a benchmark's file."""
    return hashlib.sha256(_path(task, data_dir).read_bytes()).hexdigest()


def bench_config(task: str, data_dir: Path, items: int) -> Json:
    """What identifies the items and the prompts of one benchmark: its file, their number, lm-eval's version."""
    return {
        "task": task,
        "items": items,
        "sha256": identity(task, data_dir),
        "lm_eval": importlib.metadata.version("lm_eval"),
    }


def load_items(task: str, data_dir: Path, items: int, sha256: str | None = None) -> list[Item]:
    """At most `items` items of a benchmark, in the order of `choose`; remembered by this process.

    Raises `RunError` where the file is not the one that was planned with (`sha256`), or a row is not as expected.
    """
    path = _path(task, data_dir)
    packed = path.read_bytes()
    digest = hashlib.sha256(packed).hexdigest()
    if sha256 not in (None, digest):
        raise RunError(
            f"the file of the benchmark {task} has changed since it was planned with",
            where=str(path),
            remedy="Run the study again: it is planned anew with the file as it is.",
        )
    if (task, digest, items) not in _REMEMBERED:
        benchmark = TASKS[task]
        rows = choose(_rows(packed, path), items, benchmark.stratum)
        _REMEMBERED[task, digest, items] = [_item(benchmark, row_digest, row, path) for row_digest, row in rows]
    return list(_REMEMBERED[task, digest, items])


_REMEMBERED: dict[tuple[str, str, int], list[Item]] = {}


def choose(rows: Iterable[Json], items: int, stratum: str | None = None) -> list[tuple[str, Json]]:
    """At most `items` rows with their content hashes; equal rows count once.

    Each stratum's rows stand in the order of their hash; first come all the strata's first ones (again by hash),
    then the second ones, and so on: no stratum has two items more than another that still had rows.
    """
    parts: dict[str, dict[str, Json]] = defaultdict(dict)
    for row in rows:
        digest = hashlib.sha256(json.dumps(row, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        parts[str(row[stratum]) if stratum else ""][digest] = row
    ranked = [(rank, digest, part[digest]) for part in parts.values() for rank, digest in enumerate(sorted(part))]
    ranked.sort(key=lambda entry: entry[:2])
    return [(digest, row) for _, digest, row in ranked[:items]]


def _path(task: str, data_dir: Path) -> Path:
    return Path(data_dir) / FOLDER / TASKS[task].path


def _rows(packed: bytes, path: Path) -> Iterator[Json]:
    import zstandard

    stream = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed))
    for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8"), start=1):
        row = json.loads(line)
        if not isinstance(row, dict):
            raise RunError("a benchmark row is a JSON object", where=f"{path}, line {number}")
        yield row


def _item(benchmark: Benchmark, digest: str, row: Json, path: Path) -> Item:
    try:
        fields, prompt = _FIELDS[benchmark.name](row)
    except (KeyError, IndexError, ValueError) as error:
        raise RunError(
            f"a row of the benchmark {benchmark.name} is not in the expected form: {row!r}", where=str(path)
        ) from error
    cluster = hashlib.sha256(prompt.encode()).hexdigest()[:16] if prompt else digest[:16]
    if benchmark.stratum:
        part = str(row[benchmark.stratum])
        return Item(f"{part}/{digest[:16]}", cluster, f"{benchmark.name}_{part}", fields)
    assert benchmark.lm_eval_task is not None
    return Item(digest[:16], cluster, benchmark.lm_eval_task, fields)


# llm-foundry stores the rendered prompt; lm-eval's templates want the fields it was rendered from.


def _question(row: Json) -> str:
    query = str(row["query"])
    if not query.startswith("Question: "):
        raise ValueError(query)
    return query.removeprefix("Question: ").removesuffix("\n")


def _piqa(row: Json) -> tuple[Json, str]:
    first, second = row["choices"]
    if row["gold"] not in (0, 1):
        raise ValueError(row["gold"])
    goal = _question(row)
    return {"goal": goal, "sol1": first, "sol2": second, "label": row["gold"]}, goal


def _arc_easy(row: Json) -> tuple[Json, str]:
    letters = "ABCDEFGH"[: len(row["choices"])]
    question = _question(row)
    choices = {"text": list(row["choices"]), "label": list(letters)}
    return {"question": question, "choices": choices, "answerKey": letters[row["gold"]]}, question


def _lambada(row: Json) -> tuple[Json, str]:
    context, answer = str(row["context"]), str(row["continuation"])
    if " " in answer or not answer:
        raise ValueError(answer)
    return {"text": f"{context} {answer}"}, context


def _blimp(row: Json) -> tuple[Json, str]:
    return {name: row[name] for name in ("sentence_good", "sentence_bad", "UID")}, ""


_FIELDS = {"piqa": _piqa, "arc_easy": _arc_easy, "lambada": _lambada, "blimp": _blimp}
