# ruff: noqa: E501 — one case a line in the table of errors
from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import pretrial
from pretrial.errors import RequestError
from pretrial.model.spec import PRESETS, ModelSpec
from pretrial.study import (
    AdamW,
    Evaluation,
    Margin,
    Read,
    Schedule,
    Source,
    Study,
    TrainTokenizer,
    load_study,
    parse_study,
)

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

STUDIES = Path(__file__).parents[2] / "studies"
TEXT_TEXT = "  text→text:     [{tokens: 2M, mixture: text},     {tokens: 2M, mixture: text}]"
BALANCED = "  balanced-only: [{tokens: 2M, mixture: balanced}, {tokens: 2M, mixture: balanced}]"
CLAIM = "balanced→text beats text→text on transfer by 0.5%, at equal compute"


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


def mapping() -> dict[str, Any]:
    data: dict[str, Any] = YAML(typ="safe", pure=True).load(BASE)
    return data


def test_the_designs_example(study_file: Editor) -> None:
    study = study_file.load()
    assert (study.name, study.model, study.model_name, study.context) == (
        "code-as-catalyst",
        PRESETS["2m"],
        "2m",
        512,
    )
    assert study.tokenizer.train == TrainTokenizer(8192, {"prose": Fraction(1, 2), "python": Fraction(1, 2)})
    assert study.seeds == (1, 2, 3, 4, 5)
    assert study.sources["prose"] == Source(Read("docstrings", "installed"), ("no-code",), "package")
    assert study.sources["python"].read == Read("files", "stdlib", {"languages": ("python",)})
    assert study.mixtures["text-rich"] == {"prose": Fraction(9, 10), "python": Fraction(1, 10)}
    assert study.training.optimizer == AdamW(0.005, (0.9, 0.95), 1e-8, 0.1, 1.0)
    assert study.training.schedule == Schedule("linear", 200_000, 0.1, None, "variant")
    assert (study.training.batch_tokens, study.training.precision) == (8192, "auto")
    assert list(study.variants) == ["text→text", "balanced→text", "balanced-only"]
    assert [stage.name for stage in study.variants["balanced→text"].stages] == ["1", "2"]
    assert study.carry == {"weights", "optimizer", "data"}
    assert study.evaluate == Evaluation(("held-out", "transfer", "cloze"), 200_000, 200, 800, ())
    assert study.margins == {"bits_per_byte": Margin("relative", 0.003)}
    assert [claim.line for claim in study.claims] == [32]
    assert (study.smoke, study.compare, study.warnings) == (False, "compute", ())
    assert (study.trained_sources, study.transfer_sources) == (("prose", "python"), ("readmes",))


def test_budgets_stay_as_asked_and_positions_are_whole_steps(study_file: Editor) -> None:
    study = study_file.load()
    stage = study.variants["text→text"].stages[0]
    assert (stage.tokens, study.steps(stage), stage.steps(8192)) == (2_000_000, 244, 244)
    assert study.stage_tokens(stage) == 244 * 8192
    assert study.boundaries("text→text") == (244 * 8192, 488 * 8192)
    assert study.end("text→text") == 488 * 8192


def test_a_place_for_later_errors(study_file: Editor) -> None:
    study = study_file.load()
    assert study.where("sources.python.read") == f"{study_file.path}:11"
    assert study.where("training.optimizer.adamw.eps") == f"{study_file.path}:20"
    assert study.where("variants.text→text.1") == f"{study_file.path}:24"
    assert study.where("nothing") == f"{study_file.path}:1"
    assert study.folder == str(study_file.path.parent)


def test_a_branch_and_a_cooldown(study_file: Editor) -> None:
    study = study_file.load(
        (
            BALANCED,
            "  at-end: [{from: text→text}, {cooldown: 1M, mixture: balanced, floor: 5%, name: anneal}]\n"
            "  at-step: [{from: text→text@819200, tokens: 1M, mixture: balanced}, {cooldown: 1M, mixture: text}]",
        )
    )
    end, step = study.variants["at-end"], study.variants["at-step"]
    assert end.start == ("text→text", None)
    assert (end.stages[0].name, end.stages[0].cooldown, end.stages[0].floor) == ("anneal", True, 0.05)
    assert study.start("at-end") == study.end("text→text")
    assert step.start == ("text→text", 819_200)
    assert (step.stages[1].name, step.stages[1].floor) == ("2", 0.0)
    assert study.boundaries("at-step") == (819_200 + 122 * 8192, 819_200 + 244 * 8192)


def test_a_stages_own_schedule(study_file: Editor) -> None:
    study = study_file.load(
        (
            BALANCED,
            "  own: [{tokens: 2M, mixture: text},"
            " {tokens: 2M, mixture: text, lr: 0.002, schedule: {cosine: {warmup: 164K}}}]",
        )
    )
    stage = study.variants["own"].stages[1]
    assert (stage.lr, stage.schedule) == (0.002, Schedule("cosine", 164_000, 0.1, None, "stage"))


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "what", "remedy"),
    [
        # The file's own form.
        ("context: 512", "contxt: 512", 5, "contxt", "unknown key 'contxt'", "did you mean 'context'?"),
        ("weight-decay", "weight_decay", 20, "training.optimizer.adamw.weight_decay", "unknown key", "'weight-decay'"),
        ("filter: [no-code]", "fliter: [no-code]", 10, "sources.prose.fliter", "unknown key", "'filter'"),
        ("seeds: 5", "seeds: 5\ndomain-bytes: 9", 8, "domain-bytes", "unknown key", "belongs under evaluate"),
        ("schema: 1", "schema: 2", 1, "schema", "must be 1", ""),
        ("context: 512", "context: large", 5, "context", "must be a whole number, not 'large'", ""),
        ("context: 512", "context: 4", 5, "context", "must be at least 8, not 4", ""),
        ("context: 512", "context: true", 5, "context", "must be a whole number, not true", ""),
        ("seeds: 5", "seeds: 0", 7, "seeds", "at least one seed", ""),
        ("seeds: 5", "seeds: [1, 2, 1]", 7, "seeds", "listed twice", ""),
        ("seeds: 5", "seeds: 2.5", 7, "seeds", "number of seeds", ""),
        ("seeds: 5", "seeds: [1, -2]", 7, "seeds", "above 0", ""),
        ("study: code-as-catalyst", "study: ../up", 2, "study", "cannot name a folder", ""),
        ("study: code-as-catalyst", "study: .store", 2, "study", "cannot name a folder", ""),
        ("model: 2m", "model: 3m", 4, "model", "no model preset '3m'", "2m"),
        ("model: 2m", "model: {layers: 2, width: 64}", 4, "model", "lacks heads, feed-forward", ""),
        ("model: 2m", "model: {layers: 2, widht: 64}", 4, "model.widht", "unknown key", "'width'"),
        ("model: 2m", "model: {layers: 2, width: 6, heads: 4, feed-forward: 8}", 4, "model", "split into 4", ""),
        ("batch: 8192 tokens", "batch: 8192 steps", 19, "training.batch", "not an amount of tokens", ""),
        ("batch: 8192 tokens", "batch: 0", 19, "training.batch", "above 0", ""),
        ("lr: 0.005", "lr: -1", 20, "training.optimizer.adamw.lr", "above 0, or preset", ""),
        ("lr: 0.005", "lr: .inf", 20, "training.optimizer.adamw.lr", "above 0, or preset", ""),
        ("clip: 1.0", "clip: .nan", 20, "training.optimizer.adamw.clip", "must be a finite number", ""),
        ("floor: 10%", "floor: 0.1", 21, "training.schedule.linear.floor", "not a share", ""),
        ("clock: variant", "clock: varaint", 21, "training.schedule.clock", "not one of variant, stage", "'variant'"),
        ("linear: {", "linaer: {", 21, "training.schedule.linaer", "unknown key", "'linear'"),
        ("floor: 10%}, clock", "floor: 10%}, constant: {warmup: 0}, clock", 21, "training.schedule", "exactly one", ""),
        ("{docstrings: installed}", "{}", 10, "sources.prose.read", "exactly one of jsonl", ""),
        ("{docstrings: installed}", "{jsonl: a, files: b}", 10, "sources.prose.read", "not jsonl and files", ""),
        ("{docstrings: installed}", "{jsonl: 'x/{data}'}", 10, "sources.prose.read.jsonl", "only {data}", ""),
        ("{docstrings: installed}", "{docstrings: installed, cap-file: 6 K}", 10, "sources.prose.read.cap-file", "bytes", ""),
        ("{docstrings: installed}", "{docstrings: installed, text: body}", 10, "sources.prose.read.text", "text does not apply", "jsonl"),
        ("carry: [weights, optimizer, data]", "carry: all", 27, "carry", "must be a list, not 'all'", ""),
        ("carry: [weights, optimizer, data]", "carry: [weigths]", 27, "carry.0", "not one of weights", "'weights'"),
        ("evaluate: [held-out, transfer, cloze]", "evaluate: []", 29, "evaluate.tasks", "is empty", ""),
        ("evaluate: [held-out, transfer, cloze]", "evaluate: transfer", 29, "evaluate", "must be a mapping", ""),
        ("claims:\n  - ", "claims:\n  - 5\n  - ", 32, "claims.0", "must be text, not 5", ""),
        ("sources:\n", "sources:\n  '': {read: {pydoc: topics}}\n", 10, "sources.", "a name is empty", ""),
        ('  text-rich: {', '  "te\\u0007": {prose: 100%}\n  text-rich: {', 16, "mixtures.te\x07", "control character", ""),
        # Shares.
        ("balanced:  {prose: 50%, python: 50%}", "balanced:  {prose: 50%, python: 40%}", 15, "mixtures.balanced", "sum to 90%, not 100%", ""),
        ("balanced:  {prose: 50%, python: 50%}", "balanced:  {prose: 33.3%, python: 66.6%}", 15, "mixtures.balanced", "sum to 99.9%", "1/3"),
        ("text:      {prose: 100%}", "text:      {prose: 100%, python: 0%}", 14, "mixtures.text.python", "is 0%", ""),
        ("text:      {prose: 100%}", "text:      {prose: 100%, python: -5%}", 14, "mixtures.text.python", "negative", ""),
        ("text:      {prose: 100%}", "text:      {prose: 1}", 14, "mixtures.text.prose", "not a share", ""),
        ("text:      {prose: 100%}", "text:      {}", 14, "mixtures.text", "is empty", ""),
        ("text:      {prose: 100%}", "text:      {porse: 100%}", 14, "mixtures.text.porse", "no source is called 'porse'", "'prose'"),
        ("text:      {prose: 100%}", "text:      {prose: 1/1000003, python: 1000002/1000003}", 14, "mixtures.text", "repeat after 1,000,003", ""),
        ("text:      {prose: 100%}", "text:      {prose: 99.99%, python: 0.01%}", 24, "variants.text→text.0", "rounds to nothing", ""),
        ("from: {prose: 50%, python: 50%}", "from: {prose: 50%, python: 49%}", 6, "tokenizer.train.from", "sum to 99%", ""),
        ("from: {prose: 50%, python: 50%}", "from: {prose: 50%, pyhton: 50%}", 6, "tokenizer.train.from.pyhton", "no source", "'python'"),
        ("from: {prose: 50%, python: 50%}", "from: {prose: 50%, readmes: 50%}", 6, "tokenizer.train.from.readmes", "must not see 'readmes'", ""),
        ("{train: {vocabulary: 8192, from: {prose: 50%, python: 50%}}}", "{}", 6, "tokenizer", "exactly one of train and file", ""),
        # Sources.
        ("[no-code]", "[no-code, gohper]", 10, "sources.prose.filter.1", "gohper", "gopher"),
        ("[no-code]", "[{gopher-quality: {min-wrods: 3}}]", 10, "sources.prose.filter.0", "min-wrods", "min-words"),
        ("[no-code]", "[{gopher-quality: {min-words: many}}]", 10, "sources.prose.filter.0", "min-words of gopher-quality is 'many'", "50"),
        ("languages: [python]", "languages: [pyhton]", 11, "sources.python.read.languages", "pyhton", "python"),
        ("{metadata: installed}, group: package", "{metadata: installed}, group: book", 12, "sources.readmes.group", "book", "package"),
        ("{metadata: installed}, group: package", "{metadata: installed}, keep: {a: [b]}", 12, "sources.readmes.keep", "keep", ""),
        ("{metadata: installed}, group: package", "{jsonl: a.jsonl}, keep: {lang: []}", 12, "sources.readmes.keep.lang", "keeps nothing", ""),
        ("  readmes:", "  mean:", 12, "sources.mean", "no source can be called 'mean'", "another name"),
        # Training.
        ("batch: 8192 tokens", "batch: 8000 tokens", 19, "training.batch", "not a whole number of sequences of 512", "8192 tokens"),
        ("warmup: 200K tokens", "warmup: 100K tokens", 21, "training.schedule.linear.warmup", "12.207 steps; at least 20", "163840"),
        ("warmup: 200K tokens", "warmup: 5M tokens", 24, "variants.text→text", "leaves nothing", ""),
        ("linear: {warmup: 200K tokens, floor: 10%}", "warmup-stable-decay: {warmup: 200K, decay: 3.9M}", 24, "variants.text→text", "warm-up and decay take 4,100,000", ""),
        # Variants.
        (TEXT_TEXT, TEXT_TEXT.replace("mixture: text}]", "mixture: txet}]"), 24, "variants.text→text.1.mixture", "no mixture is called 'txet'", "'text'"),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M", "[{tokens: 500K"), 24, "variants.text→text.0", "61 steps", "819,200 tokens"),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M", "[{tokens: 8000"), 24, "variants.text→text.0", "less than one step", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M, ", "[{"), 24, "variants.text→text.0", "exactly one of tokens and cooldown", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M, mixture: text}", "[{tokens: 2M}"), 24, "variants.text→text.0", "needs a mixture", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M,", "[{tokens: 2M, floor: 5%,"), 24, "variants.text→text.0", "floor goes with a cooldown", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M,", "[{tokens: 2M, lr: 0.1,"), 24, "variants.text→text.0.lr", "none of its own", "clock: stage"),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M,", "[{cooldown: 2M,"), 24, "variants.text→text.1", "cannot go on after the cooldown", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M,", "[{name: '2', tokens: 2M,"), 24, "variants.text→text", "two stages are called '2'", ""),
        (TEXT_TEXT, "  text→text: []", 24, "variants.text→text", "is empty", ""),
        (BALANCED, "  b: [{from: text→txt@819200, tokens: 2M, mixture: text}]", 26, "variants.b.0.from", "no variant is called 'text→txt'", "'text→text'"),
        (BALANCED, "  b: [{from: text→text@800000, tokens: 2M, mixture: text}]", 26, "variants.b.0.from", "not a step boundary", "@794624 or @802816"),
        (BALANCED, "  b: [{from: text→text@8192000, tokens: 2M, mixture: text}]", 26, "variants.b.0.from", "beyond the end of 'text→text', 3,997,696", ""),
        (BALANCED, "  b: [{from: text→text@0, tokens: 2M, mixture: text}]", 26, "variants.b.0.from", "not a step boundary", ""),
        (BALANCED, "  b: [{from: text→text@soon, tokens: 2M, mixture: text}]", 26, "variants.b.0.from", "not an amount of tokens", ""),
        (BALANCED, "  b: [{tokens: 2M, mixture: text}, {from: text→text, tokens: 2M, mixture: text}]", 26, "variants.b.1.from", "only a variant's first item", ""),
        (BALANCED, "  b: [{from: text→text}]", 26, "variants.b", "no stage of its own", ""),
        (BALANCED, "  b: [{from: c, tokens: 2M, mixture: text}]\n  c: [{from: b, tokens: 2M, mixture: text}]", 26, "variants.b.0.from", "in a circle: b from c from b", ""),
        ("carry: [weights, optimizer, data]\n", "", 1, "carry", "carry is missing: 'text→text'", "[weights, optimizer, data]"),
        ("carry: [weights, optimizer, data]", "carry: [optimizer, data]", 27, "carry", "without weights", ""),
        ("baseline: text→text", "baseline: text→txt", 28, "baseline", "no variant is called 'text→txt'", "'text→text'"),
        ("baseline: text→text\n", "", 1, "baseline", "'baseline' is missing", "all others are compared"),
        # Evaluation and claims.
        ("[held-out, transfer, cloze]", "[held-out, transfre]", 29, "evaluate.1", "no task 'transfre'", "'transfer'"),
        ("[held-out, transfer, cloze]", "[transfer, transfer]", 29, "evaluate.1", "listed twice", ""),
        ("text-rich: {prose: 90%, python: 10%}", "text-rich: {prose: 90%, readmes: 10%}", 29, "evaluate.1", "transfer set is empty", "out of all mixtures"),
        ("evaluate: [held-out, transfer, cloze]", "evaluate: {tasks: [transfer], at: [5M]}", 29, "evaluate.at.0", "beyond the end of every variant", ""),
        ("evaluate: [held-out, transfer, cloze]", "evaluate: {tasks: [transfer], at: [8000]}", 29, "evaluate.at.0", "less than one step", ""),
        ("evaluate: [held-out, transfer, cloze]", "evaluate: {tasks: [transfer], domain-bytes: 999}", 29, "evaluate.domain-bytes", "at least 1,000", "write 1000"),
        ("bits-per-byte: 0.3%", "bits-per-bite: 0.3%", 30, "margins.bits-per-bite", "no metric 'bits-per-bite'", "'bits_per_byte'"),
        ("bits-per-byte: 0.3%", "bits-per-byte: 2 points", 30, "margins.bits-per-byte", "does not go with bits_per_byte", ""),
        ("bits-per-byte: 0.3%", "bits-per-byte: 0%", 30, "margins.bits-per-byte", "is 0", ""),
        ("bits-per-byte: 0.3%", "bits-per-byte: 1%, bits per byte: 2%", 30, "margins.bits per byte", "said twice", ""),
        (CLAIM, "balanced→txt beats text→text on transfer", 32, "claims.0", "no variant is called 'balanced→txt'", "'balanced→text'"),
        (CLAIM, "balanced→text beats text→text on held-out pros", 32, "claims.0", "no category or task 'held-out pros'", "'held-out prose'"),
        (CLAIM, "balanced→text beats text→text on piqa", 32, "claims.0", "does not evaluate 'piqa'", "add it to evaluate"),
        (CLAIM, f"{CLAIM}\n  - {CLAIM}", 33, "claims.1", "made twice", ""),
    ],
)  # fmt: skip
def test_an_error_names_file_line_key_and_remedy(
    study_file: Editor, old: str, new: str, line: int, key: str, what: str, remedy: str
) -> None:
    error, where = study_file.fails((old, new))
    assert what in error.what
    assert where == f"study.yaml:{line}, {key}"
    assert remedy in (error.remedy or "")


def test_several_problems_are_told_at_once(study_file: Editor) -> None:
    error, where = study_file.fails(
        ("context: 512", "contxt: 512"), ("seeds: 5", "seeds: none"), ("baseline: text→text\n", "")
    )
    told = str(error)
    assert where.startswith("study.yaml:")
    assert all(part in told for part in ("study.yaml:5, contxt", "study.yaml:7, seeds", "'baseline' is missing"))


def test_no_more_than_five_problems_are_told(study_file: Editor) -> None:
    error, _ = study_file.fails(("seeds: 5", "\n".join(f"wrong-{i}: 1" for i in range(9)) + "\nseeds: 5"))
    assert str(error).count("unknown key") == 5
    assert "and 4 more" in str(error)


def test_smoke_allows_short_stages_and_warm_ups(study_file: Editor) -> None:
    short = (TEXT_TEXT, TEXT_TEXT.replace("2M", "200K"))
    study = study_file.load(("seeds: 5", "seeds: 5\nsmoke: true"), short, ("warmup: 200K", "warmup: 8192"))
    assert (study.smoke, study.steps(study.variants["text→text"].stages[0])) == (True, 24)
    error, _ = study_file.fails(short, ("warmup: 200K", "warmup: 8192"))
    assert "24 steps" in error.what


@pytest.mark.parametrize(("tokens", "fine"), [(819_199, False), (819_200, True)])
def test_a_stage_has_at_least_100_steps(study_file: Editor, tokens: int, fine: bool) -> None:
    edit = (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M", f"[{{tokens: {tokens}"))
    if fine:
        assert study_file.load(edit).variants["text→text"].stages[0].tokens == tokens
    else:
        assert "the stage has 99 steps" in study_file.fails(edit)[0].what


@pytest.mark.parametrize(("tokens", "fine"), [(163_839, False), (163_840, True)])
def test_a_warm_up_has_at_least_20_steps(study_file: Editor, tokens: int, fine: bool) -> None:
    edit = ("warmup: 200K tokens", f"warmup: {tokens}")
    if fine:
        assert study_file.load(edit).training.schedule.warmup_tokens == tokens
    else:
        assert "at least 20" in study_file.fails(edit)[0].what


def test_a_constant_rate_needs_no_warm_up(study_file: Editor) -> None:
    study = study_file.load(("linear: {warmup: 200K tokens, floor: 10%}", "constant: {warmup: 0}"))
    assert study.training.schedule == Schedule("constant", 0, 1.0, None, "variant")


def test_a_period_of_a_million_is_the_longest(study_file: Editor) -> None:
    shares = "{prose: 500001/1000000, python: 499999/1000000}"
    study = study_file.load(("balanced:  {prose: 50%, python: 50%}", f"balanced: {shares}"))
    assert study.mixtures["balanced"]["prose"] == Fraction(500_001, 1_000_000)


def test_with_the_stages_clock_every_arm_restarts_at_the_same_tokens(study_file: Editor) -> None:
    clock = ("clock: variant", "clock: stage")
    assert study_file.load(clock).training.schedule.clock == "stage"
    error, where = study_file.fails(clock, (BALANCED, BALANCED.replace("[{tokens: 2M", "[{tokens: 1M")))
    assert "every arm restarts at the same tokens" in error.what
    assert "999,424" in error.what
    assert where == "study.yaml:26, variants.balanced-only"


def test_with_the_stages_clock_a_warm_up_must_fit_each_stage(study_file: Editor) -> None:
    error, where = study_file.fails(("clock: variant", "clock: stage"), ("warmup: 200K", "warmup: 3M"))
    assert "leaves nothing" in error.what
    assert where == "study.yaml:24, variants.text→text.0"


def test_evaluation_points_round_down_to_whole_steps(study_file: Editor) -> None:
    study = study_file.load(
        ("evaluate: [held-out, transfer, cloze]", "evaluate: {tasks: [transfer], at: [1M, 500K, 1000001]}")
    )
    assert study.evaluate.at == (61 * 8192, 122 * 8192)


def test_warnings(study_file: Editor) -> None:
    study = study_file.load(
        ("  text-rich:", "  spare: {prose: 100%}\n  text-rich:"),
        ("[held-out, transfer, cloze]", "[held-out]"),
        (f"\n  - {CLAIM}", " []"),
    )
    assert study.warnings == (
        "the mixture 'spare' is used by no variant",
        "the source 'readmes' is in no mixture, and transfer is not evaluated",
    )


def test_names_from_outside_are_left_as_they_are(study_file: Editor) -> None:
    hostile = "</script><script>alert(1)</script>"
    study = study_file.load(("  readmes:", f"  '{hostile}':"))
    assert study.transfer_sources == (hostile,)


def test_numbers_for_a_model(study_file: Editor) -> None:
    numbers = "{layers: 2, width: 64, heads: 4, feed-forward: 160, kv-heads: 2}"
    study = study_file.load(("model: 2m", f"model: {numbers}"))
    assert (study.model, study.model_name) == (ModelSpec(2, 64, 4, 160, 2), "custom")


def test_the_same_study_from_python(study_file: Editor) -> None:
    data = mapping()
    assert parse_study(data) == study_file.load()
    data["mixtures"]["text-rich"] = {"prose": Fraction(9, 10), "python": Fraction(1, 10)}
    data["seeds"] = (1, 2, 3, 4, 5)
    study = parse_study(data)
    assert study == load_study(study_file.path)
    assert study.where("sources.prose") == "<python>, sources.prose"


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (lambda d: d.update(contxt=5), "<python>, contxt", "unknown key"),
        (lambda d: d["mixtures"]["text"].update(prose=0.5), "<python>, mixtures.text.prose", "not a share"),
        (lambda d: d["mixtures"]["balanced"].update(prose="40%"), "<python>, mixtures.balanced", "sum to 90%"),
        (lambda d: d.update(baseline="none"), "<python>, baseline", "no variant"),
        (lambda d: d.update(seeds={1, 2}), "<python>, seeds", "set is not something"),
        (lambda d: d["evaluate"].append("nap"), "<python>, evaluate.tasks.3", "no task 'nap'"),
        (lambda d: d["sources"].update({5: {}}), "<python>, sources", "the key 5 is not text"),
    ],
)
def test_errors_in_python_name_the_key(change: Callable[[dict[str, Any]], object], where: str, what: str) -> None:
    data = mapping()
    change(data)
    with pytest.raises(RequestError) as caught:
        parse_study(data)
    assert caught.value.where == where
    assert what in caught.value.what


def test_a_study_is_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(RequestError, match="a study is a mapping"):
        load_study(path)


EDITS: list[tuple[tuple[str, str], ...]] = [
    (),
    (
        (
            BALANCED,
            "  b: [{from: text→text@819200, tokens: 2M, mixture: text}, {cooldown: 1M, mixture: text, lr: 0.001}]",
        ),
    ),
    (("linear: {warmup: 200K tokens, floor: 10%}", "warmup-stable-decay: {warmup: 200K, decay: 1M, floor: 3.3%}"),),
    (("linear: {warmup: 200K tokens, floor: 10%}", "constant: {warmup: 0}"), ("model: 2m", "model: 1M")),
    ((BALANCED, "  o: [{tokens: 2M, mixture: text, schedule: {cosine: {warmup: 164K, floor: 7%}}}]"),),
    (("{train: {vocabulary: 8192, from: {prose: 50%, python: 50%}}}", "{file: t.json}"), ("lr: 0.005", "lr: preset")),
    (("{metadata: installed}, group: package", "{jsonl: [a.jsonl, b.jsonl.gz], id: key}, keep: {lang: [en]}"),),
    (("evaluate: [held-out, transfer, cloze]", "evaluate: {tasks: [transfer, piqa], items: 9, at: [1M]}"),),
    (("prose: 90%, python: 10%", "prose: 2/3, python: 1/3"), ("bits-per-byte: 0.3%", "acc: 1.5 points")),
]


@pytest.mark.parametrize("edits", EDITS)
def test_the_resolved_study_is_json_and_means_the_same(study_file: Editor, edits: tuple[tuple[str, str], ...]) -> None:
    study = study_file.load(*edits)
    resolved = json.loads(json.dumps(study.resolved()))
    assert resolved == study.resolved()
    again = parse_study(resolved)
    assert again == study
    assert again.resolved() == resolved


def test_the_resolved_study_shows_every_default(study_file: Editor) -> None:
    resolved = study_file.load().resolved()
    assert resolved["training"]["optimizer"]["adamw"]["betas"] == [0.9, 0.95]
    assert resolved["training"]["precision"] == "auto"
    assert resolved["evaluate"]["domain-bytes"] == 200_000
    assert resolved["mixtures"]["text-rich"] == {"prose": "90%", "python": "10%"}
    assert resolved["model"]["layers"] == PRESETS["2m"].layers
    assert (resolved["smoke"], resolved["compare"], resolved["seeds"]) == (False, "compute", [1, 2, 3, 4, 5])


def test_a_study_is_frozen(study_file: Editor) -> None:
    study = study_file.load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        study.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["quickstart", "code-as-catalyst"])
def test_the_studies_of_the_repository(name: str) -> None:
    study = load_study(STUDIES / f"{name}.yaml")
    assert (study.name, study.warnings) == (name, ())
    assert len({study.boundaries(variant) for variant in study.variants}) == 1
    assert parse_study(study.resolved()) == study


def test_the_quickstart_trains_at_most_3_2_million_tokens() -> None:
    study = load_study(STUDIES / "quickstart.yaml")
    pieces = {
        tuple((stage.mixture, stage.tokens) for stage in variant.stages[: i + 1]): study.stage_tokens(stage)
        for variant in study.variants.values()
        for i, stage in enumerate(variant.stages)
    }
    assert len(pieces) == 7
    assert sum(pieces.values()) * len(study.seeds) <= 3_200_000
    assert {claim.kind for claim in study.claims} == {"beats", "equals"}


def test_the_real_study_keeps_whole_domains_out_of_every_mixture() -> None:
    study = load_study(STUDIES / "code-as-catalyst.yaml")
    assert study.transfer_sources == ("news", "speech", "reviews")
    assert len(study.seeds) == 5
    assert all(2_900_000 <= study.end(variant) <= 4_000_000 for variant in study.variants)


def test_reading_a_study_loads_no_heavy_library() -> None:
    script = (
        "import sys, pretrial.study as s\n"
        f"s.load_study({str(STUDIES / 'quickstart.yaml')!r})\n"
        "print(sorted({'torch', 'pyarrow', 'pandas', 'numpy', 'tokenizers'} & set(sys.modules)))"
    )
    source = str(Path(pretrial.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert done.stdout.strip() == "[]"
