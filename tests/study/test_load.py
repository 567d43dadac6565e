from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from conftest import BASE, Editor  # type: ignore[import-not-found]
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
    TrainTokenizer,
    load_study,
    parse_study,
)

STUDIES = Path(__file__).parents[2] / "studies"
TEXT_TEXT = "  text→text:     [{tokens: 2M, mixture: text},     {tokens: 2M, mixture: text}]"
BALANCED = "  balanced-only: [{tokens: 2M, mixture: balanced}, {tokens: 2M, mixture: balanced}]"
CLAIM = "balanced→text beats text→text on transfer by 0.5%, at equal compute"


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
    assert study.sources["python"].read == Read("files", "stdlib", ("python",))
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
    assert study.where("nothing") == str(study_file.path)
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
        ("{docstrings: installed}", "{jsonl: '{dta}/x'}", 10, "sources.prose.read.jsonl", "only {data}", ""),
        ("{docstrings: installed}", "{docstrings: installed, cap-file: 60}", 0, "", "", ""),
        ("{docstrings: installed}", "{docstrings: installed, cap-file: 6 K}", 10, "sources.prose.read.cap-file", "bytes", ""),
        ("{docstrings: installed}", "{docstrings: installed, text: body}", 10, "sources.prose.read", "text goes with", ""),
        ("group: package}\nmixtures", "group: package, license:  }\nmixtures", 0, "", "", ""),
        ("carry: [weights, optimizer, data]", "carry: all", 27, "carry", "must be a list, not 'all'", ""),
        ("carry: [weights, optimizer, data]", "carry: [weigths]", 27, "carry.0", "not one of weights", "'weights'"),
        ("evaluate: [held-out, transfer, cloze]", "evaluate: []", 29, "evaluate", "is empty", ""),
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
        ("[no-code]", "[no-code, gopher]", 10, "sources.prose.filter.1", "gopher", "no-code"),
        ("languages: [python]", "languages: [pyhton]", 11, "sources.python.read.languages", "pyhton", "python"),
        ("{metadata: installed}, group: package", "{metadata: installed}, group: book", 12, "sources.readmes.group", "book", "package"),
        ("{metadata: installed}, group: package", "{metadata: installed}, keep: {a: [b]}", 12, "sources.readmes.keep", "keep", ""),
        ("{metadata: installed}, group: package", "{jsonl: a.jsonl}, keep: {lang: []}", 12, "sources.readmes.keep.lang", "keeps nothing", ""),
        # Training.
        ("batch: 8192 tokens", "batch: 8000 tokens", 19, "training.batch", "not a whole number of sequences of 512", "8192 tokens"),
        ("warmup: 200K tokens", "warmup: 100K tokens", 21, "training.schedule.linear.warmup", "12.207 steps; at least 20", "163840"),
        ("warmup: 200K tokens", "warmup: 5M tokens", 23, "variants.text→text", "leaves nothing", ""),
        ("linear: {warmup: 200K tokens, floor: 10%}", "warmup-stable-decay: {warmup: 200K, decay: 3.9M}", 23, "variants.text→text", "warm-up and decay take 4,100,000", ""),
        # Variants.
        (TEXT_TEXT, TEXT_TEXT.replace("mixture: text}]", "mixture: txet}]"), 23, "variants.text→text.1.mixture", "no mixture is called 'txet'", "'text'"),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M", "[{tokens: 500K"), 23, "variants.text→text.0", "61 steps", "819,200 tokens"),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M", "[{tokens: 8000"), 23, "variants.text→text.0", "less than one step", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M, ", "[{"), 23, "variants.text→text.0", "exactly one of tokens and cooldown", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M, mixture: text}", "[{tokens: 2M}"), 23, "variants.text→text.0", "needs a mixture", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M,", "[{tokens: 2M, floor: 5%,"), 23, "variants.text→text.0", "floor goes with a cooldown", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M,", "[{tokens: 2M, lr: 0.1,"), 23, "variants.text→text.0.lr", "none of its own", "clock: stage"),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M,", "[{cooldown: 2M,"), 23, "variants.text→text.1", "cannot go on after the cooldown", ""),
        (TEXT_TEXT, TEXT_TEXT.replace("[{tokens: 2M,", "[{name: '2', tokens: 2M,"), 23, "variants.text→text", "two stages are called '2'", ""),
        (TEXT_TEXT, "  text→text: []", 23, "variants.text→text", "is empty", ""),
        (BALANCED, "  b: [{from: text→txt@819200, tokens: 2M, mixture: text}]", 25, "variants.b.0.from", "no variant is called 'text→txt'", "'text→text'"),
        (BALANCED, "  b: [{from: text→text@800000, tokens: 2M, mixture: text}]", 25, "variants.b.0.from", "not a step boundary", "@794624 or @802816"),
        (BALANCED, "  b: [{from: text→text@8192000, tokens: 2M, mixture: text}]", 25, "variants.b.0.from", "beyond the end of 'text→text', 3,997,696", ""),
        (BALANCED, "  b: [{from: text→text@0, tokens: 2M, mixture: text}]", 25, "variants.b.0.from", "not a step boundary", ""),
        (BALANCED, "  b: [{from: text→text@soon, tokens: 2M, mixture: text}]", 25, "variants.b.0.from", "not an amount of tokens", ""),
        (BALANCED, "  b: [{tokens: 2M, mixture: text}, {from: text→text, tokens: 2M, mixture: text}]", 25, "variants.b.1.from", "only a variant's first item", ""),
        (BALANCED, "  b: [{from: text→text}]", 25, "variants.b", "no stage of its own", ""),
        (BALANCED, "  b: [{from: c, tokens: 2M, mixture: text}]\n  c: [{from: b, tokens: 2M, mixture: text}]", 25, "variants.b.0.from", "in a circle: b from c from b", ""),
        ("carry: [weights, optimizer, data]\n", "", 1, "carry", "carry is missing: 'text→text'", "[weights, optimizer, data]"),
        ("carry: [weights, optimizer, data]", "carry: [optimizer, data]", 26, "carry", "without weights", ""),
        ("baseline: text→text", "baseline: text→txt", 27, "baseline", "no variant is called 'text→txt'", "'text→text'"),
        ("baseline: text→text\n", "", 1, "baseline", "'baseline' is missing", "all others are compared"),
        # Evaluation and claims.
        ("[held-out, transfer, cloze]", "[held-out, transfre]", 28, "evaluate.1", "no task 'transfre'", "'transfer'"),
        ("[held-out, transfer, cloze]", "[transfer, transfer]", 28, "evaluate.1", "listed twice", ""),
        ("text-rich: {prose: 90%, python: 10%}", "text-rich: {prose: 90%, readmes: 10%}", 28, "evaluate.1", "transfer set is empty", "keep a source out"),
        ("evaluate: [held-out, transfer, cloze]", "evaluate: {tasks: [transfer], at: [5M]}", 28, "evaluate.at.0", "beyond the end of every variant", ""),
        ("evaluate: [held-out, transfer, cloze]", "evaluate: {tasks: [transfer], at: [8000]}", 28, "evaluate.at.0", "less than one step", ""),
        ("bits-per-byte: 0.3%", "bits-per-bite: 0.3%", 29, "margins.bits-per-bite", "no metric 'bits-per-bite'", "'bits_per_byte'"),
        ("bits-per-byte: 0.3%", "bits-per-byte: 2 points", 29, "margins.bits-per-byte", "does not go with bits_per_byte", ""),
        ("bits-per-byte: 0.3%", "bits-per-byte: 0%", 29, "margins.bits-per-byte", "is 0", ""),
        ("bits-per-byte: 0.3%", "bits-per-byte: 1%, bits per byte: 2%", 29, "margins.bits per byte", "said twice", ""),
        (CLAIM, "balanced→txt beats text→text on transfer", 31, "claims.0", "no variant is called 'balanced→txt'", "'balanced→text'"),
        (CLAIM, "balanced→text beats text→text on held-out pros", 31, "claims.0", "no category or task 'held-out pros'", "'held-out prose'"),
        (CLAIM, "balanced→text beats text→text on piqa", 31, "claims.0", "does not evaluate 'piqa'", "add it to evaluate"),
        (CLAIM, f"{CLAIM}\n  - {CLAIM}", 32, "claims.1", "made twice", ""),
    ],
)  # fmt: skip
def test_placeholder(old: str, new: str, line: int, key: str, what: str, remedy: str) -> None:
    raise NotImplementedError
