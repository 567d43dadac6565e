"""From a study to its steps: what is made from what, under which recipe.

One step per corpus, tokenizer, token file, checkpoint and evaluation; those up to the token files come from `corpora`.
Checkpoints are shared: a training step is named by its trajectory up to where it stops, so variants with a common
prefix, and variants that branch from one another, meet in the same step without anyone asking.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pretrial.benchmarks.items import TASKS as BENCHMARKS
from pretrial.benchmarks.items import bench_config, check_bench
from pretrial.errors import RequestError
from pretrial.evaluate import spec as evaluate
from pretrial.mixture import spec as mixture
from pretrial.plan.corpora import corpora, vocabulary_of
from pretrial.plan.courses import Course, courses
from pretrial.plan.steps import Step
from pretrial.store.artefacts import FileHashes
from pretrial.store.identity import fingerprint
from pretrial.study.schema import Study
from pretrial.train import spec as train

Json = dict[str, Any]


@dataclass(frozen=True)
class Mark:
    """A checkpoint that the study evaluates: where on a variant it lies, and how thoroughly it is looked at."""

    variant: str
    stage: str
    tokens: int
    ends_stage: bool
    ends_variant: bool


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of one variant's checkpoint under one seed; `step` may be shared with other variants."""

    mark: Mark
    seed: int
    task: str
    category: str
    step: str
    checkpoint: str


@dataclass(frozen=True)
class Graph:
    """All steps of a study and what they are for.

    Attributes:
        steps: by name, every step after its inputs.
        courses: by variant.
        marks: checkpoints that are evaluated, in order.
        checkpoints: (variant, seed, tokens) to the training step that makes it.
        evaluations: what is measured, by variant and seed.
        anchors: (variant, category, task) to its step.
        ledgers: (variant, seed) to its step.
        scans: steps that look for benchmark items in sources that are trained on.
    """

    study: Study
    steps: dict[str, Step]
    courses: dict[str, Course]
    marks: tuple[Mark, ...]
    checkpoints: dict[tuple[str, int, int], str]
    evaluations: tuple[Evaluated, ...]
    anchors: dict[tuple[str, str, str], str]
    ledgers: dict[tuple[str, int], str]
    scans: tuple[str, ...]
    vocabulary: int
    options: Options = field(repr=False)

    def wanted(self, variants: Sequence[str] = (), seeds: Sequence[int] = ()) -> tuple[str, ...]:
        """Names of the steps that are asked for, in order: checkpoints and what is said of them; all by default.

        Args:
            variants: only these and the baseline, without which they compare with nothing.
            seeds: only these.
        """
        chosen = {self.study.baseline, *variants} if variants else set(self.study.variants)
        said: dict[tuple[Mark, int], list[str]] = {}
        for evaluated in self.evaluations:
            said.setdefault((evaluated.mark, evaluated.seed), []).append(evaluated.step)
        names: list[str] = []
        for (variant, seed), ledger in self.ledgers.items():
            if variant not in chosen or (seeds and seed not in seeds):
                continue
            for mark in self.marks:
                if mark.variant == variant:
                    names += [self.checkpoints[variant, seed, mark.tokens], *said.get((mark, seed), [])]
            names.append(ledger)
        names += [anchor for (variant, _, _), anchor in self.anchors.items() if variant in chosen]
        names += self.scans
        return tuple(dict.fromkeys(names))

    def scanned_as(self, source: str) -> str:
        """The source in whose texts a source's benchmark items are looked for: itself where edited, else its root."""
        scanned = {self.steps[name].about["source"] for name in self.scans}
        return source if source in scanned else self.study.root(source)

    def ends(self, variant: str) -> Mark:
        """The mark at a variant's end."""
        return next(mark for mark in self.marks if mark.variant == variant and mark.ends_variant)

    def training_steps(self) -> list[Step]:
        """All training steps."""
        return [step for step in self.steps.values() if step.kind == "train"]


@dataclass(frozen=True)
class Options:
    """Where things are, and choices that bear no identity.

    Attributes:
        data: folder of real data, or `None`.
        record: the execution record; `None` before one was chosen.
        hashes: remembered hashes of outside files.
        only: variants to run; all when empty.
        cache: folder for compiled code.
    """

    data: Path | None
    record: Json | None
    hashes: FileHashes
    only: tuple[str, ...] = ()
    cache: Path | None = None


def build_graph(study: Study, options: Options) -> Graph:
    """All steps of a study.

    Raises:
        RequestError: for data, suites or files that the study needs and that are not there.
    """
    return _Builder(study, options).build()


def marks_of(study: Study, course: Course) -> list[Mark]:
    """The checkpoints of a variant that are evaluated: ends of its own stages, and the study's points inside them."""
    marks = []
    for stage in course.stages:
        if stage.inherited_from is not None:
            continue
        inside = [at for at in study.evaluate.at if stage.first < at < stage.last]
        for at in [*sorted(inside), stage.last]:
            marks.append(Mark(course.variant, stage.name, at, at == stage.last, at == course.end))
    return marks


class _Builder:
    def __init__(self, study: Study, options: Options) -> None:
        self.study = study
        self.options = options
        self.steps: dict[str, Step] = {}
        self._bench_configs: dict[str, Json] = {}

    def build(self) -> Graph:
        study = self.study
        self._check_suites()
        self.vocabulary = vocabulary_of(study, self.options.data)
        self.courses = courses(study, self.vocabulary)
        texts = corpora(study, self.options.data, self.options.hashes)
        self.steps.update(texts.steps)
        chosen = [v for v in study.variants if not self.options.only or v in self.options.only]
        marks = {variant: marks_of(study, self.courses[variant]) for variant in chosen}
        checkpoints = self._training(marks)
        evaluations: list[Evaluated] = []
        ledgers: dict[tuple[str, int], str] = {}
        for seed in study.seeds:
            for variant in chosen:
                for mark in marks[variant]:
                    evaluations += self._evaluations(mark, seed, checkpoints[variant, seed, mark.tokens])
                ledgers[variant, seed] = self._ledger(variant, seed, checkpoints)
        anchors = self._anchors(chosen)
        return Graph(
            study=study,
            steps=self.steps,
            courses=self.courses,
            marks=tuple(mark for variant in chosen for mark in marks[variant]),
            checkpoints=checkpoints,
            evaluations=tuple(evaluations),
            anchors=anchors,
            ledgers=ledgers,
            scans=texts.scans,
            vocabulary=self.vocabulary,
            options=self.options,
        )

    def _add(self, step: Step) -> str:
        self.steps.setdefault(step.name, step)
        return step.name

    # -- before anything ---------------------------------------------------------------------------------------

    def _check_suites(self) -> None:
        bench = [task for task in self.study.evaluate.tasks if task in BENCHMARKS]
        check_bench(bench, self.options.data, self.study.where("evaluate"))
        if "cloze" in self.study.evaluate.tasks and self.study.context < evaluate.MIN_CLOZE_CONTEXT:
            raise RequestError(
                f"the cloze task needs a context of at least {evaluate.MIN_CLOZE_CONTEXT} tokens, "
                f"not {self.study.context}",
                where=self.study.where("evaluate"),
                remedy="Take cloze out of evaluate, or use a longer context.",
            )

    # -- training ------------------------------------------------------------------------------------------------

    def _base(self, seed: int) -> Json:
        study = self.study
        adamw = study.training.optimizer
        record = self.options.record or {}
        return train.base_json(
            model=study.model,
            vocabulary=self.vocabulary,
            context=study.context,
            tokenizer="",
            precision=record.get("precision", "float32"),
            seeds={"init": seed, "order": seed, "subset": seed},
            batch_sequences=study.training.batch_tokens // study.context,
            optimizer={
                "betas": list(adamw.betas),
                "eps": adamw.eps,
                "weight_decay": adamw.weight_decay,
                "clip": adamw.clip,
            },
        )

    def _course_config(self, course: Course, seed: int, upto: int) -> Json:
        """Trajectory of a checkpoint: contents are left to the step's inputs, which bring them into its key."""
        return {
            "base": self._base(seed),
            "segments": [segment.to_json() for segment in course.prefix(upto)],
            "to_tokens": upto,
        }

    def _data_config(self, course: Course, seed: int) -> Json:
        """What acts on which tokens come when: for steps that read the data and do not train."""
        return {
            "context": self.study.context,
            "subset": seed,
            "order": seed,
            "segments": [
                {name: value for name, value in segment.to_json().items() if name in _DATA_FIELDS}
                for segment in course.segments
            ],
        }

    def _token_inputs(self, course: Course, upto: int) -> dict[str, str]:
        sources = dict.fromkeys(source for segment in course.prefix(upto) for source in segment.sources)
        return {f"tokens:{source}": f"tokens of {source} (train)" for source in sources}

    def _token_parts(self, course: Course, upto: int) -> dict[str, tuple[str, ...]]:
        return dict.fromkeys(self._token_inputs(course, upto), ("stream",))

    def _training(self, marks: Mapping[str, Sequence[Mark]]) -> dict[tuple[str, int, int], str]:
        study = self.study
        checkpoints: dict[tuple[str, int, int], str] = {}
        named: dict[str, str] = {}
        # Every point where some course is cut, by the trajectory that leads there.
        points: list[tuple[str, int]] = []
        for variant in marks:
            course = self.courses[variant]
            cuts = {stage.last for stage in course.stages} | {mark.tokens for mark in marks[variant]}
            points += [(variant, at) for at in cuts]
        for seed in study.seeds:
            for variant, at in sorted(points, key=lambda point: point[1]):
                course = self.courses[variant]
                config = self._course_config(course, seed, at)
                address = fingerprint(config)
                if address not in named:
                    parent = self._parent(course, seed, at, named, points)
                    inputs = {"tokenizer": "tokenizer", **self._token_inputs(course, at)}
                    if parent is not None:
                        inputs["parent"] = parent
                    named[address] = self._add(
                        Step(
                            name=f"training {variant} to {_amount(at)}, seed {seed}",
                            kind="train",
                            version=train.SEMANTICS["train"],
                            function="pretrial.train.loop:train_step",
                            config={**config, "record": self.options.record},
                            settings={"cache": str(self.options.cache)} if self.options.cache else {},
                            inputs=inputs,
                            parts=self._token_parts(course, at),
                            unkeyed=frozenset({"parent"}),
                            group="training",
                            about={
                                "variant": variant,
                                "seed": seed,
                                "tokens": at,
                                "from": self._from(parent),
                            },
                        )
                    )
                checkpoints[variant, seed, at] = named[address]
        return checkpoints

    def _parent(
        self, course: Course, seed: int, at: int, named: Mapping[str, str], points: Sequence[tuple[str, int]]
    ) -> str | None:
        """The nearest checkpoint on the way that some variant makes anyway."""
        for earlier in sorted({point for _, point in points if point < at}, reverse=True):
            step = named.get(fingerprint(self._course_config(course, seed, earlier)))
            if step is not None:
                return step
        return None

    def _from(self, parent: str | None) -> int:
        return int(self.steps[parent].about["tokens"]) if parent is not None else 0

    # -- evaluation ----------------------------------------------------------------------------------------------

    def _evaluations(self, mark: Mark, seed: int, checkpoint: str) -> list[Evaluated]:
        study, found = self.study, []
        for task in study.evaluate.tasks:
            if task in ("held-out", "transfer"):
                for domain in self._domains(task):
                    step = self._bits_per_byte(checkpoint, task, domain)
                    found.append(Evaluated(mark, seed, domain, task, step, checkpoint))
            elif not mark.ends_variant:
                continue
            elif task == "cloze":
                for source in self._domains(task):
                    step = self._cloze(checkpoint, source)
                    found.append(Evaluated(mark, seed, source, "cloze", step, checkpoint))
            else:
                step = self._bench(checkpoint, task)
                found.append(Evaluated(mark, seed, task, evaluate.CATEGORIES[task], step, checkpoint))
        return found

    def _evaluation(self, checkpoint: str, kind: str, task: str, config: Json, settings: Json, inputs: Json) -> str:
        at = self.steps[checkpoint]
        label = {"bits-per-byte": "bits per byte", "cloze": "cloze"}.get(kind, "benchmark")
        return self._add(
            Step(
                name=f"{label} of {task} on {at.name.removeprefix('training ')}",
                kind=kind,
                version=evaluate.SEMANTICS[kind],
                function=evaluate.FUNCTIONS[kind],
                config={**config, "context": self.study.context, "record": self.options.record},
                settings={**settings, **({"cache": str(self.options.cache)} if self.options.cache else {})},
                inputs={"checkpoint": checkpoint, **inputs},
                parts={name: ("items",) for name in inputs if name == "tokens"},
                group="evaluation",
                about={**at.about, "task": task, "suite": kind},
            )
        )

    def _bits_per_byte(self, checkpoint: str, category: str, domain: str) -> str:
        config = {"category": category, "task": domain, "bytes": self.study.evaluate.domain_bytes}
        held = {"tokens": f"tokens of {domain} (held-out)", "tokenizer": "tokenizer"}
        return self._evaluation(checkpoint, "bits-per-byte", domain, config, {}, held)

    def _cloze(self, checkpoint: str, source: str) -> str:
        sources = self._domains("cloze")
        items = self._add(
            Step(
                name="cloze items",
                kind="cloze-items",
                version=evaluate.SEMANTICS["cloze-items"],
                function=evaluate.FUNCTIONS["cloze-items"],
                config={"items": self.study.evaluate.cloze_items, "sources": list(sources)},
                inputs={
                    "tokenizer": "tokenizer",
                    **{f"tokens:{name}": f"tokens of {name} (held-out)" for name in sources},
                },
                parts={f"tokens:{name}": ("items",) for name in sources},
                group="evaluation",
            )
        )
        return self._evaluation(
            checkpoint, "cloze", source, {"task": source}, {}, {"items": items, "tokenizer": "tokenizer"}
        )

    def _bench(self, checkpoint: str, task: str) -> str:
        data = self.options.data
        if data is None:
            raise RequestError(f"the benchmark {task} needs a data folder", remedy="Name it with --data.")
        if task not in self._bench_configs:
            self._bench_configs[task] = bench_config(task, data, self.study.evaluate.items)
        config = self._bench_configs[task]
        return self._evaluation(checkpoint, "bench", task, config, {"data": str(data)}, {"tokenizer": "tokenizer"})

    def _anchors(self, chosen: Sequence[str]) -> dict[tuple[str, str, str], str]:
        study = self.study
        made: dict[tuple[str, str, str], str] = {}
        seed = study.seeds[0]
        domains = [
            (c, d) for c in ("held-out", "transfer", "cloze") if c in study.evaluate.tasks for d in self._domains(c)
        ]
        for variant in chosen:
            course = self.courses[variant]
            for category, domain in domains:
                name = self._add(
                    Step(
                        name=f"anchors of {domain} ({category}) for {variant}",
                        kind="anchors",
                        version=evaluate.SEMANTICS["anchors"],
                        function=evaluate.FUNCTIONS["anchors"],
                        config={
                            "course": self._data_config(course, seed),
                            "to_tokens": course.end,
                            "category": category,
                            "task": domain,
                            "bytes": study.evaluate.domain_bytes,
                        },
                        inputs={
                            "tokenizer": "tokenizer",
                            **(
                                {"items": "cloze items"}
                                if category == "cloze"
                                else {"held-out": f"tokens of {domain} (held-out)"}
                            ),
                            **self._token_inputs(course, course.end),
                        },
                        parts={
                            **({} if category == "cloze" else {"held-out": ("items",)}),
                            **self._token_parts(course, course.end),
                        },
                        group="evaluation",
                        about={"variant": variant, "task": domain},
                    )
                )
                made[variant, category, domain] = name
        return made

    def _domains(self, category: str) -> tuple[str, ...]:
        study = self.study
        return {
            "held-out": study.trained_sources,
            "transfer": study.transfer_sources,
            "cloze": tuple(name for name in study.sources if name in {*study.trained_sources, *study.transfer_sources}),
        }[category]

    def _ledger(self, variant: str, seed: int, checkpoints: Mapping[tuple[str, int, int], str]) -> str:
        course = self.courses[variant]
        return self._add(
            Step(
                name=f"ledger of {variant}, seed {seed}",
                kind="ledger",
                version=mixture.SEMANTICS["ledger"],
                function="pretrial.mixture.ledger:make_ledger",
                config={
                    "course": self._data_config(course, seed),
                    "stages": [
                        {
                            "name": stage.name,
                            "first": stage.first,
                            "last": stage.last,
                            "shares": {s: [x.numerator, x.denominator] for s, x in stage.shares.items()},
                        }
                        for stage in course.stages
                    ],
                },
                inputs={
                    "tokenizer": "tokenizer",
                    "checkpoint": checkpoints[variant, seed, course.end],
                    **self._token_inputs(course, course.end),
                },
                parts=self._token_parts(course, course.end),
                group="evaluation",
                about={"variant": variant, "seed": seed},
            )
        )


_DATA_FIELDS = ("start", "sources", "shares", "first_draw", "pattern_start")
"""What of a segment acts on which tokens come when."""


def _amount(count: int) -> str:
    """Tokens for names: exact, and short where that is exact too."""
    for unit, size in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count and count % (size // 1000 or 1) == 0 and count >= size:
            return f"{count / size:.3f}".rstrip("0").rstrip(".") + unit
    return f"{count}"


def recipe_json(graph: Graph) -> Json:
    """What the workspace keeps of a plan, so that a later run can say which field changed."""
    return {
        "study": graph.study.resolved(),
        "steps": {
            name: {
                "kind": step.kind,
                "version": step.version,
                "config": json.loads(json.dumps(step.config)),
                "inputs": dict(step.inputs),
            }
            for name, step in graph.steps.items()
        },
    }
