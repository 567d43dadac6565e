"""A small study whose corpora hold one of everything: rejects, copies, near-duplicates, benchmark items, hostile text.

Its corpora and tokens are made once a process; nothing is trained.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

import smoke

STUDY = """\
schema: 1
study: seen
question: Can everything be seen?
model: {layers: 1, width: 16, heads: 2, feed-forward: 32}
context: 32
tokenizer: {train: {vocabulary: 400, from: {web: 50%, code: 50%}}}
seeds: 2
smoke: true

sources:
  mail: {read: {jsonl: mail.jsonl}}
  web:
    read: {jsonl: web-*.jsonl, id: name}
    filter: [{gopher-quality: {min-words: 20, min-letters: 0.5, min-stop: 0}}, no-code]
    keep: {language: [en, de]}
    group: thread
  code: {read: {files: code, languages: [python]}, group: document, license: MIT}
  bare: {from: code, transform: [strip-comments]}
  tiny: {from: bare, keep: {characters: ..250}}

mixtures:
  web:   {web: 4/5, tiny: 1/5}
  mixed: {web: 3/5, code: 2/5}

training:
  batch: 128 tokens
  optimizer: {adamw: {lr: 0.01}}
  schedule: {constant: {warmup: 512 tokens}, clock: variant}

variants:
  trunk:  [{name: first, tokens: 12800, mixture: web}, {name: second, tokens: 25600, mixture: mixed}]
  branch: [{from: trunk@19200}, {name: own, tokens: 25600, mixture: mixed}, {name: last, tokens: 6400, mixture: web}]
carry: [weights, optimizer, data]
baseline: trunk

evaluate: {tasks: [held-out, transfer, piqa], domain-bytes: 3 KB}
margins: {bits-per-byte: 5%}
claims: []
"""
HOSTILE = (
    "\x1b[31mred\x1b[0m \u202egnirts\u202c | <img src=x onerror=alert(1)> [click](http://evil.example) `tick` \r gone"
)
"""What no terminal and no page may take as anything but text."""
ITEM = "To keep a garden gate from squeaking in the winter you should rub the old hinges with candle wax twice a year"


@dataclass(frozen=True)
class Seen:
    """A folder with the study, its inputs, its store and its workspace."""

    folder: Path

    @property
    def study(self) -> Path:
        return self.folder / "seen.yaml"

    @property
    def options(self) -> list[str]:
        where = {"workspace": "work", "store": "store", "data": "data"}
        return [word for name, at in where.items() for word in (f"--{name}", str(self.folder / at))]

    def trial(self, study: Path | None = None) -> Any:
        import pretrial

        folder = self.folder
        return pretrial.trial(
            study or self.study, workspace=folder / "work", store=folder / "store", data=folder / "data"
        )

    def variation(self, name: str, before: str, after: str) -> Path:
        """A study file beside this one that differs in a text."""
        text = self.study.read_text(encoding="utf-8")
        assert before in text
        path = self.folder / f"{name}.yaml"
        path.write_text(text.replace(before, after), encoding="utf-8")
        return path


def write_inputs(folder: Path) -> None:
    """mail.jsonl, web-0.jsonl, web-1.jsonl, code/ and the benchmark's file."""
    (folder / "data/benchmarks/llm_foundry/commonsense_reasoning").mkdir(parents=True)
    row = {"query": ITEM, "choices": ["wax", "glue"], "gold": 0}
    piqa = folder / "data/benchmarks/llm_foundry/commonsense_reasoning/piqa.jsonl.zst"
    piqa.write_bytes(zstandard.compress((json.dumps(row) + "\n").encode()))
    draw = random.Random("seen")
    mail = [{"id": f"mail {i}", "text": smoke.prose(i, voice="Dear")} for i in range(40)]
    web: list[dict[str, Any]] = []

    def page(name: str, text: str, **fields: Any) -> None:
        web.append({"name": name, "text": text, "thread": len(web) // 3, "language": "en", **fields})

    for i in range(300):
        text = " ".join(smoke.prose(1000 + 4 * i + j) for j in range(draw.choice((1, 2, 4))))
        page(
            f"page {i}", text, url=f"https://site-{i % 4}.example/{i}", license=("CC0-1.0", "GPL-3.0-only")[i % 5 == 0]
        )
        if i % 6 == 0:
            near = text.replace("The", "A", 1)
            page(f"near {i}", near)
        if i % 10 == 0:
            page(f"copy {i}", text + "\n")
    page("short", "Too short to stay.")
    page("französisch", "Bonjour " * 30, language="fr")
    page("naïve 𝔘nicode", "Ünïcödé 𝔘𝔫𝔦 naïve façade — the end. " * 4 + smoke.prose(77))
    page("hostile \x1b]0;title\x07 `id` | <b>", f"{smoke.prose(78)} {HOSTILE} {smoke.prose(79)}", license="<script>|x")
    for i in range(3):
        page(f"leak {i}", f"{smoke.prose(90 + i)} {ITEM} {smoke.prose(95 + i)}")
    page("mailed", mail[7]["text"])
    half = len(web) // 2
    for name, rows in (("mail", mail), ("web-0", web[:half]), ("web-1", web[half:])):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n{broken\n", encoding="utf-8")
    for i in range(150):
        path = folder / f"code/pkg{i % 7}/module_{i}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two files in three have the same code under another comment: equal once the comments are out.
        path.write_text(f"# {smoke.prose(500 + i)}\n{smoke.code(i // 3 if i % 3 else 1000 + i)}", encoding="utf-8")
    (folder / "code/pkg0/made.py").write_text(f"# Generated by a tool. {HOSTILE}\nx = 1\n", encoding="utf-8")
    (folder / "code/pkg0/blank.py").write_text("\n", encoding="utf-8")


@functools.cache
def made() -> Seen:
    """The study with its corpora and tokens in the store. Do not change anything in it."""
    seen = Seen(Path(tempfile.mkdtemp(prefix="pretrial-seen-")))
    atexit.register(shutil.rmtree, seen.folder, ignore_errors=True)
    write_inputs(seen.folder)
    seen.study.write_text(STUDY, encoding="utf-8")
    with quiet():
        built = seen.trial().build_corpora(workers=1, quiet=True)
        assert not built.failures, built.failures
        tokenise(seen.trial())
    return seen


def tokenise(trial: Any) -> None:
    """Make the tokens of a study whose corpora are made, and nothing after them."""
    graph = trial.graph(None)
    runner = trial._looking(graph)
    runner.run([name for name, step in graph.steps.items() if step.group == "tokens"])
    assert not runner.failures, runner.failures


def quiet() -> Any:
    """An environment without places of the outer world, lm-eval and waits for the disk."""
    patch = pytest.MonkeyPatch()
    for name in list(os.environ):
        if name.startswith("PRETRIAL_"):
            patch.delenv(name)
    alone(patch)
    return _Undo(patch)


def alone(patch: pytest.MonkeyPatch) -> None:
    """Plan benchmarks also where lm-eval is not installed: nothing is evaluated here."""
    patch.setattr("pretrial.plan.graph.check_bench", lambda *arguments: None)
    patch.setattr("pretrial.plan.graph.bench_config", lambda task, data, items: {"task": task, "items": items})
    patch.setattr(os, "fsync", lambda descriptor: None)


class _Undo:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
