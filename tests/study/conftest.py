from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pretrial.errors import RequestError
from pretrial.study import Study, load_study

BASE = """\
schema: 1
study: code-as-catalyst
question: Does code in pre-training help tasks that are not code?
model: 2m
context: 512
tokenizer: {train: {vocabulary: 8192, from: {prose: 50%, python: 50%}}}
seeds: 5

sources:
  prose:  {read: {docstrings: installed}, filter: [no-code], group: package}
  python: {read: {files: stdlib, languages: [python]}, group: package}
  readmes: {read: {metadata: installed}, group: package}
mixtures:
  text:      {prose: 100%}
  balanced:  {prose: 50%, python: 50%}
  text-rich: {prose: 90%, python: 10%}

training:
  batch: 8192 tokens
  optimizer: {adamw: {lr: 0.005, weight-decay: 0.1, clip: 1.0}}
  schedule: {linear: {warmup: 200K tokens, floor: 10%}, clock: variant}

variants:
  text→text:     [{tokens: 2M, mixture: text},     {tokens: 2M, mixture: text}]
  balanced→text: [{tokens: 2M, mixture: balanced}, {tokens: 2M, mixture: text-rich}]
  balanced-only: [{tokens: 2M, mixture: balanced}, {tokens: 2M, mixture: balanced}]
carry: [weights, optimizer, data]
baseline: text→text
evaluate: [held-out, transfer, cloze]
margins: {bits-per-byte: 0.3%}
claims:
  - balanced→text beats text→text on transfer by 0.5%, at equal compute
"""
"""The design's example in the file's spelling."""


class Editor:
    """Writes the example with edits to a real file, and loads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "study.yaml"

    def write(self, *edits: tuple[str, str]) -> str:
        text = BASE
        for old, new in edits:
            assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
            text = text.replace(old, new)
        self.path.write_text(text, encoding="utf-8")
        return text

    def load(self, *edits: tuple[str, str]) -> Study:
        self.write(*edits)
        return load_study(self.path)

    def fails(self, *edits: tuple[str, str]) -> tuple[RequestError, str]:
        """The error, and where it is with the folder taken off."""
        self.write(*edits)
        with pytest.raises(RequestError) as caught:
            load_study(self.path)
        return caught.value, (caught.value.where or "").removeprefix(f"{self.path.parent}/")


@pytest.fixture
def study_file(tmp_path: Path) -> Editor:
    return Editor(tmp_path)


@pytest.fixture(scope="session")
def line_of() -> Callable[[str, str], int]:
    def find(text: str, part: str) -> int:
        return text[: text.index(part)].count("\n") + 1

    return find
