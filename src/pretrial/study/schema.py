"""What a study is once its file has been read: frozen objects with every default filled in.

Guarantees: a `Study` that exists has passed every check that needs the study alone (names, shares, step
boundaries, claims); shares are exact fractions; token and byte counts are integers; two studies compare equal
when they ask for the same thing, wherever they were written and on whatever line.

Does not: read files (`load`), know how a value is spelled (`form`, `units`), touch corpora, or estimate
anything (`plan`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from pretrial.corpus.kinds import KINDS
from pretrial.errors import RequestError
from pretrial.study import families
from pretrial.study.units import MarginKind, format_margin, format_number, format_share

if TYPE_CHECKING:
    from pretrial.model.spec import ModelSpec

Call = str | tuple[str, Mapping[str, Any]]
"""A rule or transform: its name, or its name and thresholds."""
ScheduleKind = Literal["linear", "cosine", "constant", "warmup-stable-decay"]
Clock = Literal["variant", "stage"]
Precision = Literal["auto", "float32", "bfloat16"]
Carry = Literal["weights", "optimizer", "data"]
Holds = Literal["compute", "text", "order"]
ClaimKind = Literal["beats", "equals", "not-worse"]


@dataclass(frozen=True)
class Read:
    """Where a source's documents come from, and how they are read.

    `kind` is one of `pretrial.corpus.kinds.KINDS`. `location` is a path or glob (`{data}/…` is relative to `--data`,
    any other relative path to the study file's folder), a tuple of them, one of the words "installed", "stdlib" and
    "topics", a dataset, or a kind of filler. `options` are those of the kind in snake case, defaults filled in.
    """

    kind: str
    location: str | tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind in KINDS:
            object.__setattr__(self, "options", {**KINDS[self.kind].options, **self.options})

    @property
    def locations(self) -> tuple[str, ...]:
        """The locations as a tuple, also where there is one."""
        return (self.location,) if isinstance(self.location, str) else self.location


@dataclass(frozen=True)
class Source:
    """A corpus: reading, rules, transforms, and the field that keeps related documents together when some are held out.

    Exactly one of `read` and `parent` is set: a derived source has its parent's documents, in their groups, and those
    that are held out of the parent are held out of it. Rules and transforms are names, or (name, thresholds). `keep`
    gives the values of a field, or the range (least, most) of a number. `group` and `license` that are not said are
    those of the ready definition by which a dataset is read; else each document is by itself, and no licence is known.
    """

    read: Read | None
    filter: tuple[Call, ...] = ()
    group: str = ""
    license: str | None = None
    keep: Mapping[str, tuple[str, ...] | Mapping[str, float | None]] | None = None
    max_epochs: float | None = None
    parent: str | None = None
    transform: tuple[Call, ...] = ()
    is_part: bool = False
    """A part of a split source, with whose documents no other part has any: their field is the one value of `keep`."""

    def __post_init__(self) -> None:
        definition = None
        if self.read is not None and self.read.kind == "hub":
            from pretrial.corpus.spec import ready

            # What cannot be read is said where the study is checked.
            with contextlib.suppress(RequestError):
                definition = ready(self.read)
        if not self.group:
            object.__setattr__(self, "group", "document" if definition is None else definition.group)
        if self.license is None and definition is not None:
            object.__setattr__(self, "license", definition.default_license)


@dataclass(frozen=True)
class NearDuplicates:
    """What counts as a near-duplicate: least Jaccard similarity of the sets of runs of so many words."""

    threshold: float = 0.8
    words: int = 5


@dataclass(frozen=True)
class TrainTokenizer:
    """A byte-level BPE to train: ids including the mark, and each source's share of the training bytes."""

    vocabulary: int
    shares: dict[str, Fraction]


@dataclass(frozen=True)
class TokenizerRequest:
    """Exactly one of a tokenizer to train and the path of a `tokenizer.json`."""

    train: TrainTokenizer | None
    file: str | None


@dataclass(frozen=True)
class AdamW:
    """AdamW's numbers. `lr` is the peak; "preset" takes the rule for the model's size."""

    lr: float | Literal["preset"] = "preset"
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.1
    clip: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """The learning rate as a function of tokens. `floor` is a share of the peak (1 for "constant")."""

    kind: ScheduleKind
    warmup_tokens: int
    floor: float
    decay_tokens: int | None = None
    clock: Clock = "variant"


@dataclass(frozen=True)
class Training:
    """How every variant is trained. `batch_tokens` is one optimiser step, in loss-bearing tokens."""

    batch_tokens: int
    optimizer: AdamW
    schedule: Schedule
    precision: Precision = "auto"


@dataclass(frozen=True)
class Stage:
    """A stretch of a variant on one mixture.

    `tokens` is what was asked for; whole steps are what is trained. A cooldown goes from its parent's
    learning rate (or `lr`) linearly to `floor` times that. `schedule` replaces the study's for this stage, on
    the stage's own clock, with `lr` as its peak.
    """

    name: str
    tokens: int
    mixture: str
    cooldown: bool = False
    floor: float | None = None
    lr: float | None = None
    schedule: Schedule | None = None
    line: int = field(default=0, compare=False)

    def steps(self, batch: int) -> int:
        """Whole optimiser steps of `batch` tokens that fit into the stage."""
        return self.tokens // batch


@dataclass(frozen=True)
class Variant:
    """An arm of the trial.

    `start` is the variant it branches from and the token there (None: that one's end).
    """

    start: tuple[str, int | None] | None
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Evaluation:
    """What is measured on checkpoints, and how much may be spent on it.

    `domain_bytes` per domain for bits per byte, `items` per benchmark task, `cloze_items` in all; `at` are
    token counts inside stages (whole steps) where bits per byte is measured too.
    """

    tasks: tuple[str, ...]
    domain_bytes: int = 200_000
    items: int = 200
    cloze_items: int = 800
    at: tuple[int, ...] = ()


@dataclass(frozen=True)
class Margin:
    """A difference that counts.

    "relative": `value` is a share of the baseline's value (0.005 is 0.5%). "points": `value` is in hundredths
    of a metric that is a share (2 is 0.02 of accuracy). "bits": `value` is in bits of bits per byte.
    """

    kind: MarginKind
    value: float

    def delta(self, base: float) -> float:
        """The margin in the metric's own units, not negative, where the baseline's value is `base`."""
        if self.kind == "relative":
            return self.value * abs(base)
        return self.value / 100 if self.kind == "points" else self.value

    def __str__(self) -> str:
        return format_margin(self.kind, self.value)


@dataclass(frozen=True)
class Target:
    """What a claim or comparison is about.

    `category` alone is the mean over its tasks; `task` is a benchmark or, in held-out, transfer and cloze, a
    source. `metric` None is the first metric of the category.
    """

    category: str | None
    task: str | None
    metric: str | None


@dataclass(frozen=True)
class Claim:
    """A statement registered before training. `holds` None takes the study's `compare`."""

    text: str
    kind: ClaimKind
    variant: str
    against: str
    target: Target
    margin: Margin
    holds: Holds | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Study:
    """A whole study, checked. Made by `load_study` and `parse_study`, not by hand."""

    name: str
    question: str
    model: ModelSpec
    model_name: str
    context: int
    tokenizer: TokenizerRequest
    seeds: tuple[int, ...]
    smoke: bool
    sources: dict[str, Source]
    mixtures: dict[str, dict[str, Fraction]]
    training: Training
    variants: dict[str, Variant]
    carry: frozenset[Carry]
    baseline: str
    evaluate: Evaluation
    margins: dict[str, Margin]
    claims: tuple[Claim, ...]
    compare: Holds
    near_duplicates: NearDuplicates | None = NearDuplicates()
    decontaminate: bool = True
    decontaminate_also: tuple[str, ...] = ()
    """Benchmarks whose items leave training beside those of the ones that are evaluated."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    origin: str = field(default="<python>", compare=False)
    folder: str | None = field(default=None, compare=False)
    marks: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)
    named: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Parts of split sources, which have no key of their own, by the dotted key that names them first."""

    def where(self, path: str) -> str:
        """The place of a dotted key:

        "study.yaml:12"; of the nearest key that holds it, where it was left out; of a part of a split source that of
        the mixture that names it.
        """
        for part, key in self.named.items():
            if path == f"sources.{part}" or path.startswith(f"sources.{part}."):
                path = key
                break
        if not self.marks:
            return f"{self.origin}, {path}" if path else self.origin
        while path and path not in self.marks:
            path = path.rpartition(".")[0]
        return f"{self.origin}:{self.marks[path]}" if path in self.marks else self.origin

    # Positions. All are in loss-bearing tokens and whole steps.

    def steps(self, stage: Stage) -> int:
        """Whole steps of a stage; what is left over of its budget is not trained."""
        return stage.steps(self.training.batch_tokens)

    def stage_tokens(self, stage: Stage) -> int:
        """Tokens that a stage trains: whole steps."""
        return self.steps(stage) * self.training.batch_tokens

    def start(self, variant: str) -> int:
        """Token at which a variant's own first stage begins: 0, or where it branches from its parent."""
        branch = self.variants[variant].start
        if branch is None:
            return 0
        parent, tokens = branch
        return self.end(parent) if tokens is None else tokens

    def boundaries(self, variant: str) -> tuple[int, ...]:
        """Tokens at which a variant's own stages end, counted from the very first token of its line."""
        at, ends = self.start(variant), []
        for stage in self.variants[variant].stages:
            at += self.stage_tokens(stage)
            ends.append(at)
        return tuple(ends)

    def end(self, variant: str) -> int:
        """Token at which a variant ends."""
        return self.start(variant) + sum(self.stage_tokens(s) for s in self.variants[variant].stages)

    # Sources by their part in the study.

    @property
    def trained_sources(self) -> tuple[str, ...]:
        """Sources in some mixture, in the order of the study."""
        used = {name for mixture in self.mixtures.values() for name in mixture}
        return tuple(name for name in self.sources if name in used)

    @property
    def roots(self) -> dict[str, str]:
        """The source that was read, by each derived source that goes back to it."""
        return {name: self.root(name) for name, source in self.sources.items() if source.parent is not None}

    def root(self, name: str) -> str:
        """The source whose documents a source has: itself, unless it is derived."""
        return families.root(self.sources, name)

    @property
    def transfer_sources(self) -> tuple[str, ...]:
        """The domains on which transfer is read: sources of whose documents no mixture has any.

        Of such a source and what is made from it, only those from which nothing is made.
        """
        return families.domains(self.sources, self.trained_sources)

    @property
    def made_sources(self) -> tuple[str, ...]:
        """Sources whose documents are needed: all that are read, and derived ones in use with what they come from."""
        asked = self.tokenizer.train.shares if self.tokenizer.train is not None else ()
        return families.needed(self.sources, (*self.trained_sources, *self.transfer_sources, *asked))

    @property
    def epochs_cap(self) -> dict[str, float]:
        """Most passes a variant may make over a source, for sources that have such a cap."""
        return {name: s.max_epochs for name, s in self.sources.items() if s.max_epochs is not None}

    def resolved(self) -> dict[str, Any]:
        """The complete study as a study file would say it, every default visible, in plain JSON types.

        Shares are exact text ("50%", "1/3"), amounts are integers. `parse_study` of it gives an equal study.
        """
        from dataclasses import asdict

        tokenizer: dict[str, Any]
        if self.tokenizer.train is not None:
            shares = {name: format_share(share) for name, share in self.tokenizer.train.shares.items()}
            tokenizer = {"train": {"vocabulary": self.tokenizer.train.vocabulary, "from": shares}}
        else:
            tokenizer = {"file": self.tokenizer.file}
        adamw = self.training.optimizer
        numbers = {key.replace("_", "-"): value for key, value in asdict(self.model).items()}
        return {
            "schema": 1,
            "study": self.name,
            "question": self.question,
            "model": {"name": self.model_name, **numbers},
            "context": self.context,
            "tokenizer": tokenizer,
            "seeds": list(self.seeds),
            "smoke": self.smoke,
            "sources": {name: _resolved_source(source) for name, source in self.sources.items()},
            "near-duplicates": "none"
            if self.near_duplicates is None
            else {
                "threshold": format_share(Fraction(repr(self.near_duplicates.threshold))),
                "words": self.near_duplicates.words,
            },
            "decontaminate": list(self.decontaminate_also) or self.decontaminate,
            "mixtures": {
                name: {source: format_share(share) for source, share in shares.items()}
                for name, shares in self.mixtures.items()
            },
            "training": {
                "batch": self.training.batch_tokens,
                "optimizer": {
                    "adamw": {
                        "lr": adamw.lr,
                        "betas": list(adamw.betas),
                        "eps": adamw.eps,
                        "weight-decay": adamw.weight_decay,
                        "clip": adamw.clip,
                    }
                },
                "schedule": _resolved_schedule(self.training.schedule),
                "precision": self.training.precision,
            },
            "variants": {name: _resolved_variant(variant) for name, variant in self.variants.items()},
            "carry": [what for what in ("weights", "optimizer", "data") if what in self.carry],
            "baseline": self.baseline,
            "evaluate": {
                "tasks": list(self.evaluate.tasks),
                "domain-bytes": self.evaluate.domain_bytes,
                "items": self.evaluate.items,
                "cloze-items": self.evaluate.cloze_items,
                "at": list(self.evaluate.at),
            },
            "compare": self.compare,
            "margins": {metric: str(margin) for metric, margin in self.margins.items()},
            "claims": [claim.text for claim in self.claims],
        }


def _resolved_source(source: Source) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if source.read is not None:
        read = source.read
        said["read"] = {
            read.kind: read.location if isinstance(read.location, str) else list(read.location),
            **{
                name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
                for name, value in read.options.items()
            },
        }
    else:
        said["from"] = source.parent
    keep = None
    if source.keep is not None:
        keep = {
            name: _resolved_range(values) if isinstance(values, Mapping) else list(values)
            for name, values in source.keep.items()
        }
    said |= {"filter": _resolved_calls(source.filter), "transform": _resolved_calls(source.transform)}
    if source.read is not None:
        said |= {"group": source.group, "license": source.license}
    return said | {"keep": keep, "max-epochs": source.max_epochs}


def _resolved_calls(calls: tuple[Call, ...]) -> list[Any]:
    return [
        call
        if isinstance(call, str)
        else {call[0]: {name: list(v) if isinstance(v, tuple) else v for name, v in call[1].items()}}
        for call in calls
    ]


def _resolved_range(values: Mapping[str, float | None]) -> str:
    least, most = values["least"], values["most"]
    return f"{'' if least is None else format_number(least)}..{'' if most is None else format_number(most)}"


def _resolved_schedule(schedule: Schedule) -> dict[str, Any]:
    said: dict[str, Any] = {"warmup": schedule.warmup_tokens}
    if schedule.decay_tokens is not None:
        said["decay"] = schedule.decay_tokens
    if schedule.kind != "constant":
        said["floor"] = format_share(Fraction(repr(schedule.floor)))
    return {schedule.kind: said, "clock": schedule.clock}


def _resolved_variant(variant: Variant) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    if variant.start is not None:
        parent, tokens = variant.start
        said.append({"from": parent if tokens is None else f"{parent}@{tokens}"})
    for stage in variant.stages:
        one: dict[str, Any] = {"name": stage.name, "cooldown" if stage.cooldown else "tokens": stage.tokens}
        one["mixture"] = stage.mixture
        if stage.floor is not None:
            one["floor"] = format_share(Fraction(repr(stage.floor)))
        if stage.lr is not None:
            one["lr"] = stage.lr
        if stage.schedule is not None:
            one["schedule"] = _resolved_schedule(stage.schedule)
        said.append(one)
    return said
