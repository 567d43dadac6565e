"""A whole study that runs in seconds: generated corpora, a toy model, stages of twenty steps.

Nothing it finds means anything; that every step of it is made once, in order, and to the byte, does.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrial.store.artefacts import Store

SRC = Path(__file__).resolve().parent.parent / "src"
COMMAND = [sys.executable, "-m", "pretrial"]
BARE = [sys.executable, __file__]
"""The same command, whose report leaves out pictures and the drawing library: the part that takes seconds."""

STUDY = """\
schema: 1
study: smoke
question: Does everything fit together?
model: {layers: 1, width: 16, heads: 2, feed-forward: 32}
context: 32
tokenizer: {train: {vocabulary: 300, from: {prose: 50%, code: 50%}}}
seeds: 2
smoke: true

sources:
  prose:   {read: {jsonl: prose-*.jsonl}, group: book}
  code:    {read: {jsonl: code.jsonl}, group: book}
  letters: {read: {jsonl: letters.jsonl}, group: book}

mixtures:
  text:  {prose: 100%}
  mixed: {prose: 50%, code: 50%}

training:
  batch: 128 tokens
  optimizer: {adamw: {lr: 0.01}}
  schedule: {linear: {warmup: 512 tokens, floor: 10%}, clock: variant}
  precision: float32

variants:
  text→text:   [{tokens: 2560, mixture: text}, {tokens: 2560, mixture: text}]
  mixed→text:  [{tokens: 2560, mixture: mixed}, {tokens: 2560, mixture: text}]
  mixed→mixed: [{tokens: 2560, mixture: mixed}, {tokens: 2560, mixture: mixed}]
carry: [weights, optimizer, data]
baseline: text→text

evaluate: {tasks: [held-out, transfer], domain-bytes: 3 KB}
margins: {bits-per-byte: 5%}
claims:
  - mixed→text equals text→text on held-out prose within 50%, at equal compute
"""

_words = str.split
_NOUNS = _words("river city letter garden winter bridge author machine village answer signal harbour question island")
_VERBS = _words("crosses remembers answers builds leaves follows measures carries opens forgets draws keeps")
_ADJECTIVES = _words("quiet old narrow bright careful northern patient broken early simple heavy distant")
_NAMES = _words("count index value total node queue buffer score limit offset table token")


def prose(number: int, *, voice: str = "The") -> str:
    """A paragraph of English-like sentences; the same number gives the same text."""
    draw = random.Random(f"prose {voice} {number}")
    sentences = [
        f"{voice} {draw.choice(_ADJECTIVES)} {draw.choice(_NOUNS)} {draw.choice(_VERBS)} the {draw.choice(_NOUNS)}, "
        f"and {draw.choice(_NOUNS)} number {draw.randrange(1000)} {draw.choice(_VERBS)} it."
        for _ in range(draw.randrange(3, 7))
    ]
    return " ".join(sentences)


def code(number: int) -> str:
    """A Python-like function; the same number gives the same text."""
    draw = random.Random(f"code {number}")
    lines = [f"def {draw.choice(_NAMES)}_{number}({draw.choice(_NAMES)}, {draw.choice(_NAMES)}=0):"]
    for _ in range(draw.randrange(4, 9)):
        name = draw.choice(_NAMES)
        lines.append(f"    if {name} > {draw.randrange(100)}:")
        lines.append(f"        {name} += {draw.choice(_NAMES)}[{draw.randrange(10)}]")
    return "\n".join([*lines, f"    return {draw.choice(_NAMES)}", ""])


def write_corpora(folder: Path, *, documents: int = 240) -> None:
    """prose-0.jsonl to prose-2.jsonl, code.jsonl and letters.jsonl: about 75, 75 and 20 KB, twenty groups each."""
    made = {
        **{f"prose-{part}": [prose(i) for i in range(part, documents, 3)] for part in range(3)},
        "code": [code(i) for i in range(documents)],
        "letters": [prose(i, voice="Dear") for i in range(documents // 4)],
    }
    for name, texts in made.items():
        lines = [
            json.dumps({"id": f"{name}-{i}", "text": text, "book": f"{name[:5]} {i % 20}"})
            for i, text in enumerate(texts)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def planned(corpora: Path, **fields: Any) -> dict[str, Any]:
    """A study of these corpora as a mapping, but for its variants; `fields` are added, or replace what is there."""
    return {
        "schema": 1,
        "model": {"layers": 1, "width": 16, "heads": 2, "feed-forward": 32},
        "tokenizer": {"train": {"vocabulary": 300, "from": {"prose": "50%", "code": "50%"}}},
        "smoke": True,
        "sources": {
            name: {"read": {"jsonl": str(corpora / f"{file}.jsonl")}, "group": "book"}
            for name, file in (("prose", "prose-*"), ("code", "code"), ("letters", "letters"))
        },
        "mixtures": {"text": {"prose": "100%"}, "mixed": {"prose": "50%", "code": "50%"}},
        "training": {
            "batch": 1024,
            "optimizer": {"adamw": {"lr": 0.01}},
            "schedule": {"linear": {"warmup": 2048, "floor": "10%"}, "clock": "variant"},
        },
        "carry": ["weights", "optimizer", "data"],
        **fields,
    }


@dataclass(frozen=True)
class Place:
    """A folder that holds the smoke study, its corpora, its store and its workspace."""

    folder: Path

    @property
    def study(self) -> Path:
        return self.folder / "smoke.yaml"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def workspace(self) -> Path:
        return self.folder / "work"

    @property
    def report(self) -> Path:
        return self.workspace / "report"

    def edit(self, before: str, after: str) -> None:
        """Change the study file; the text must stand in it."""
        text = self.study.read_text(encoding="utf-8")
        assert before in text
        self.study.write_text(text.replace(before, after), encoding="utf-8")

    def trial(self) -> Any:
        """The study as `import pretrial` gives it, in this process."""
        import pretrial

        return pretrial.trial(self.study, workspace=self.workspace, store=self.store)

    def arguments(self, command: str, *options: str, program: Sequence[str] = BARE) -> list[str]:
        """`pretrial COMMAND smoke.yaml OPTIONS` on this place's store and workspace."""
        places = ["--workspace", str(self.workspace), "--store", str(self.store)]
        return [*program, *command.split(), str(self.study), *places, *options]

    def call(
        self, command: str, *options: str, program: Sequence[str] = BARE, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own, to its end."""
        return call(self.arguments(command, *options, program=program), self.folder, env=env)

    def copy(self, to: Path) -> Place:
        """The same place elsewhere, finished work included."""
        shutil.copytree(self.folder, to, symlinks=True)
        return Place(to)

    def forget(self, *kinds: str) -> None:
        """Lose all artefacts of some kinds, and the workspace."""
        for kind in kinds:
            shutil.rmtree(self.store / "artefacts" / kind)
        shutil.rmtree(self.workspace)

    def contents(self, kinds: Sequence[str] = ()) -> dict[str, str]:
        """Content hash of every artefact, by kind and key."""
        return {
            f"{artefact.kind}/{artefact.key}": artefact.content
            for artefact in Store(self.store).all()
            if not kinds or artefact.kind in kinds
        }

    def tables(self) -> dict[str, bytes]:
        """The report's stable tables, byte for byte."""
        names = ("results.csv", "comparisons.csv", "ledger.csv", "items.parquet")
        return {name: (self.report / name).read_bytes() for name in names}


def make_place(folder: Path, trial: Path | None = None) -> Place:
    """A fresh smoke study. `trial`: an earlier answer of the record's trial kernel, to save asking torch again."""
    folder.mkdir(parents=True, exist_ok=True)
    write_corpora(folder)
    place = Place(folder)
    place.study.write_text(STUDY, encoding="utf-8")
    if trial is not None:
        (place.store / "compiled").mkdir(parents=True)
        shutil.copy(trial, place.store / "compiled" / "trial.json")
    return place


def flip(path: Path) -> None:
    """Change one byte and nothing that shows without reading."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment for a child: uncompiled, and without places of the outer world."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PRETRIAL_")}
    # Threads that spin while they wait take the processor from whoever else runs tests.
    quiet = {"PYTHONPATH": str(SRC), "TORCH_COMPILE_DISABLE": "1", "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "120"}
    return kept | quiet | dict(extra or {})


def call(
    command: Sequence[str], folder: Path, *, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its output as text."""
    return subprocess.run(
        command, cwd=folder, env=environment(env), capture_output=True, text=True, timeout=300, check=False
    )


def without_pictures() -> None:
    """Let reports of this process leave out what is drawn."""
    from pretrial import trials

    whole = trials.Trial._write_report

    def bare(*arguments: Any, **options: Any) -> None:
        from pretrial.report import figures, page

        figures.figures = lambda data: []
        page._bundle = lambda: ""
        whole(*arguments, **options)

    trials.Trial._write_report = bare


if __name__ == "__main__":
    without_pictures()
    from pretrial.cli import main

    main()
