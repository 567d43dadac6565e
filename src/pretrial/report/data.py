"""What a report is made of: plain data, no paths, no arrays, no clocks.

Everything here is JSON (strings, numbers, booleans, None, lists, string-keyed dictionaries), so a report
can be rebuilt from a file and never reaches back into a store. The rows of the three stable tables are
mappings with exactly the columns of `pretrial.report.tables`; the smaller parts are typed dictionaries,
described below field by field. Units are raw everywhere: tokens, bytes, seconds, shares between 0 and 1,
metrics as they are defined. The page and the terminal do the formatting.

It does not compute statistics: verdicts, intervals and sentences come from the analysis as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from pretrial.analysis.words import METHOD_CHECK_BELOW

Row = Mapping[str, Any]

METHOD_CHECK = (
    "Method check: models under 15M parameters. What is measured here holds for models of this size; "
    "it is not evidence about larger models."
)

TRAINS = "trains"
PASSED_ON = "trains in sources made from it"
UNUSED = "in no mixture"
HELD_OUT = "held out"
"""Parts of a funnel that say what documents are for; all other parts say why documents are left out."""
SKIPPED = "skipped"
QUARANTINED = "quarantined"
"""In the place of a rule: what a reader left aside, and what it could not use."""


class Model(TypedDict):
    """The model that every variant trains."""

    name: str  # preset or "custom"
    parameters: int  # all of them
    parameters_without_embeddings: int
    vocabulary: int
    context: int


class Variant(TypedDict):
    """One arm, in the order of the study file (which fixes its colour)."""

    name: str
    summary: str  # one line: "300K tokens: balanced, then text"


class Category(TypedDict):
    """A category of tasks, in the order in which the report shows it."""

    name: str
    note: str  # what it is read for: "dose check: sources that an arm trained on", "" where nothing is to say


class Definition(TypedDict):
    """What a metric means; its unit decides how it is printed."""

    metric: str
    version: int | str
    unit: str  # "bits per byte", "share" (0 to 1, printed in per cent and points), or any other unit's name
    higher_is_better: bool
    sentence: str


class Claim(TypedDict):
    """A claim of the study and what became of it. Estimates are variant − against, in raw units."""

    text: str  # as the study file says it
    kind: str  # "beats" | "equals" | "not-worse"
    variant: str
    against: str
    target: str  # "transfer", "held-out prose", "piqa"
    metric: str
    higher_is_better: bool
    margin: float | None  # raw units, not negative; None where it could not be worked out
    verdict: str  # "supported" | "refuted" | "equivalent" | "undecided"
    estimate: float | None
    low: float | None
    high: float | None
    level: float  # of the two-sided interval: 0.95
    p: float | None  # one-sided, unadjusted
    p_adjusted: float | None  # after Holm over the registered claims, or over the late ones: what the verdict used
    bootstrap_low: float | None  # of the estimate, at the same level; a companion of the interval
    bootstrap_high: float | None
    sign_flip_p: float | None  # one-sided, by flipping the signs of seeds; from six seeds on
    reason: str  # why this verdict, one sentence
    registered: bool  # False: results were known, or seeds were added after a look; counts as exploratory
    registration: str  # why it counts as exploratory; "" where it was registered in time
    n_seeds: int
    n_items: int


class Missing(TypedDict):
    """A seed that gave no result, or not all of them: named, never dropped silently."""

    variant: str
    seed: int
    reason: str  # "non-finite loss at step 141"; "cloze news: not evaluated yet"


class TrainingPoint(TypedDict):
    """One recorded step of one arm."""

    variant: str
    seed: int
    tokens: int  # trained so far in this variant, shared prefixes included
    loss: float  # nats per token
    lr: float
    by_source: Mapping[str, float]  # loss of the sequences of each source in this step; absent sources left out


class EvaluationPoint(TypedDict):
    """One metric of one checkpoint."""

    variant: str
    seed: int
    stage: str
    tokens: int
    category: str
    task: str  # "mean" is the category's mean
    metric: str
    value: float


class Anchor(TypedDict):
    """What a simple compressor, or a 3-gram model of what a variant read, reaches on the same documents or items."""

    variant: str  # whose training text it learned from; "" where it learned from none and stands for all
    category: str
    task: str
    metric: str
    anchor: str  # "3-gram" | "zstd"
    value: float


class FunnelStep(TypedDict):
    """What was left of a source after a step of reading, in order; then the parts that this falls into."""

    source: str
    made_from: str  # the source whose documents it has; "" for one that was read
    step: str  # "read", "no-code"; of the parts "trains", "held out", "exact copies, left out" and the like
    part: bool  # one of the parts, which add up to what the last step of reading left
    documents: int
    bytes: int
    tokens: int | None  # marks between documents included; None where these documents were not tokenised


class Rejects(TypedDict):
    """Why documents of a source were dropped."""

    source: str
    rule: str  # "skipped" and "quarantined" are no rules: what a reader left aside, and what it could not use
    reason: str
    documents: int


class Removed(TypedDict):
    """What a rule or transform took out of documents that stayed."""

    source: str
    rule: str
    kind: str
    bytes: int


class NearDuplicates(TypedDict):
    """Near-duplicates of a source's documents, as found: before any left training."""

    source: str
    documents: int
    near: int  # documents that are near to another one
    within: int  # of them, near to one of their own source
    across: int  # near to one of another source
    pairs_within: int
    pairs_across: int
    others: Mapping[str, int]  # pairs with each other source


class Licence(TypedDict):
    """Documents of a source under one licence: those that train, of a transfer domain those held out."""

    source: str
    license: str  # as the documents or the study say; "" where nobody says
    documents: int
    bytes: int
    share_documents: float
    share_bytes: float


class Contamination(TypedDict):
    """Items of a benchmark in the documents of a source, as read: before any left training."""

    source: str
    benchmark: str  # "any" for all of them together
    documents: int
    contaminated: int  # documents that hold an item
    rate: float
    items: int | None  # different items found; None for "any"
    of: int | None  # items of the benchmark
    unfindable: int | None  # of them, those that cannot be found: too short to tell
    evaluated_found: int | None  # of the items that are evaluated, those found; None where none are
    evaluated_unfindable: int | None  # of the items that are evaluated, those that cannot be found
    evaluated: int | None


class ArmContamination(TypedDict):
    """Items of a benchmark in all documents of the sources that a variant trains on."""

    variant: str
    benchmark: str
    evaluated: int | None  # items that are evaluated; None where the benchmark is only looked for
    before_documents: int  # documents with an item that it would have had without decontamination
    before_items: int
    before_evaluated: int | None  # of the items found, those that are evaluated
    documents: int  # the same of what it had
    items: int
    evaluated_found: int | None


class Match(TypedDict):
    """An example of a benchmark item in a document."""

    source: str
    benchmark: str
    item: str
    part: str  # "question", "answer", "solution" and the like
    document: str
    became: str  # where the document ended, in the words of the funnel
    overlap: float  # share of the item's text that the document holds
    excerpt: str


class Against(TypedDict):
    """A difference from the baseline with its two-sided 95% interval."""

    against: float | None  # None for the baseline, and where the two cannot be compared
    low: float | None
    high: float | None


NOT_COMPARED = Against(against=None, low=None, high=None)


class Clean(Against):
    """A benchmark's score at a variant's end beside that on the items that no source held.

    The difference from the baseline is that on these items.
    """

    variant: str
    task: str
    metric: str
    value: float  # means over seeds
    clean_value: float | None  # None where every item was held by some source
    n: int
    n_clean: int
    n_unfindable: int  # of the clean items, those that could not have been found
    difference: float | None  # clean_value − value


class PlanStage(TypedDict):
    """One stage of one variant as planned."""

    variant: str
    stage: str
    start: int  # tokens before it
    tokens: int  # tokens of this stage
    steps: int
    mixture: str
    shares: Mapping[str, float]  # realised by whole sequences, by source
    warmup: int  # tokens of warm-up inside this stage
    lr_in: float  # learning rate at its first step
    lr_out: float  # and at its last
    shared: str  # "with balanced→balanced", "" where the stage is this variant's own
    replayed: int  # tokens seen before in this variant


class Difference(TypedDict):
    """Something that differs between the arms."""

    what: str  # "mixture of stage 1", "text tokens"
    values: Mapping[str, str]  # by variant


class Equal(TypedDict):
    """Something that is held equal between the arms."""

    what: str
    value: str


class CostItem(TypedDict):
    """Measured cost of one kind of step."""

    kind: str  # "corpus", "tokens", "train", "evaluate"
    steps: int
    reused: int  # of them taken from the store
    seconds: float | None  # measured; None where nothing ran


class Cost(TypedDict):
    """What the study cost. Seconds are of the runs that made the results, added over their steps."""

    items: list[CostItem]
    seconds: float | None  # computing time: the sum over all steps; not the time that anyone waited
    tokens_trained: int  # what was really trained
    tokens_without_sharing: int  # what it would have been without shared prefixes
    flops: float
    peak_memory: int | None  # bytes
    disk: int | None  # bytes of the study's artefacts


class Fact(TypedDict):
    """One line of the environment."""

    name: str
    value: str


class Registration(TypedDict):
    """One entry of the study's registration history."""

    when: str  # ISO 8601, or ""
    event: str  # "registered", "claims changed", "seeds added"
    detail: str
    exploratory: bool  # this entry makes what it names exploratory


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows. Build it with keywords; `to_json` and `from_json` are inverse."""

    study: str
    """The study's name."""
    question: str
    """The question, as the study file asks it."""
    version: str
    """The version of Pretrial that made the report."""
    model: Model
    """The model; under 15M parameters the page and the terminal say "method check" by themselves."""
    baseline: str
    """The variant that all others are compared with."""
    variants: list[Variant]
    """All arms in the order of the study file. The order fixes colours and the order of rows."""
    seeds: list[int]
    """All requested seeds."""
    compare: str
    """What comparisons hold fixed: "compute" | "text" | "order"."""
    categories: list[Category]
    """Categories in the order of the report; categories that are not named here follow."""
    definitions: list[Definition]
    """One per metric that occurs in results or comparisons; their order is the order of metrics."""
    claims: list[Claim] = field(default_factory=list)
    """Claims in the order of the study file."""
    shows: list[str] = field(default_factory=list)
    """Sentences: what the results show."""
    does_not_show: list[str] = field(default_factory=list)
    """Sentences: what they do not show."""
    banners: list[str] = field(default_factory=list)
    """Further banners under the verdicts (another execution record accepted, claims changed, …)."""
    warnings: list[str] = field(default_factory=list)
    """Warnings of all steps, in order."""
    missing: list[Missing] = field(default_factory=list)
    """Seeds without a result, or without some of them."""
    results: list[Row] = field(default_factory=list)
    """Rows of results.csv."""
    comparisons: list[Row] = field(default_factory=list)
    """Rows of comparisons.csv. `flags` may be a list of strings; `claim` is the claim's text or None.

    Rows whose `verdict` is not one of better, worse, equivalent, undecided show the word as it is.
    """
    ledger: list[Row] = field(default_factory=list)
    """Rows of ledger.csv; the realised mixture is drawn from them."""
    training: list[TrainingPoint] = field(default_factory=list)
    """Training curves; any number of points, thinned for the page."""
    evaluation: list[EvaluationPoint] = field(default_factory=list)
    """Evaluation curves."""
    anchors: list[Anchor] = field(default_factory=list)
    """3-gram and zstd beside bits per byte, 3-gram beside the accuracy of cloze."""
    funnel: list[FunnelStep] = field(default_factory=list)
    """From documents read to where they ended, per source."""
    rejects: list[Rejects] = field(default_factory=list)
    """Documents that rules dropped, and what never became a document, by source, rule and reason."""
    removed: list[Removed] = field(default_factory=list)
    """Bytes that rules and transforms took out of documents that stayed."""
    near_duplicates: list[NearDuplicates] = field(default_factory=list)
    """Near-duplicates by source."""
    licences: list[Licence] = field(default_factory=list)
    """Licences of what trains, by source, the largest share of bytes first."""
    contamination: list[Contamination] = field(default_factory=list)
    """Benchmark items by source; a source's row for "any" comes first."""
    arms: list[ArmContamination] = field(default_factory=list)
    """Benchmark items by variant."""
    matches: list[Match] = field(default_factory=list)
    """Some of the benchmark items that documents held, the fullest matches of each source and benchmark."""
    contaminated_differently: list[str] = field(default_factory=list)
    """A sentence for each benchmark of which arms had different items; the warnings have them, too."""
    clean: list[Clean] = field(default_factory=list)
    """Scores of benchmarks on the items that no source held, beside those on all."""
    plan: list[PlanStage] = field(default_factory=list)
    """Stages by variant."""
    differs: list[Difference] = field(default_factory=list)
    """What differs between the arms."""
    equal: list[Equal] = field(default_factory=list)
    """What is held equal."""
    cost: Cost | None = None
    """Measured cost; the only part of a report in which timings occur."""
    environment: list[Fact] = field(default_factory=list)
    """Execution record and versions."""
    registration: list[Registration] = field(default_factory=list)
    """Registration history of claims, margins and seeds."""

    def to_json(self) -> dict[str, Any]:
        """A deep copy as plain dictionaries and lists."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ReportData:
        """The inverse of `to_json`. Raises TypeError for unknown or absent fields."""
        return cls(**data)

    @property
    def variant_names(self) -> list[str]:
        """All variants in the order of the study file."""
        return [variant["name"] for variant in self.variants]

    @property
    def notices(self) -> list[str]:
        """The banners, led by the method check where the model is small: it cannot be left out."""
        small = self.model["parameters"] < METHOD_CHECK_BELOW
        others = [banner for banner in self.banners if not banner.lower().startswith("method check")]
        return [METHOD_CHECK, *others] if small else others

    def definition(self, metric: str) -> Definition:
        """The metric's definition; a bare one where the study gave none."""
        for definition in self.definitions:
            if definition["metric"] == metric:
                return definition
        return Definition(metric=metric, version="", unit="", higher_is_better=True, sentence="")

    @property
    def interval(self) -> str:
        """The level of the comparisons' intervals: "95%"; "" where there is not one level."""
        levels = {row["level"] for row in self.comparisons if row["level"] is not None}
        return f"{levels.pop():.0%}" if len(levels) == 1 else ""

    def chances(self) -> dict[tuple[str, str, str], float]:
        """A guesser's score by (category, task, metric), where there is one; task "mean" among them."""
        return {
            (row["category"], row["task"], row["metric"]): row["chance"]
            for row in self.results
            if row["chance"] is not None
        }

    def rank(self, row: Row) -> tuple[Any, ...]:
        """Where a row of any table stands: variant, seed, stage's tokens, category, task, metric, source."""
        return (
            _index(self.variant_names, row.get("variant")),
            row.get("seed") or 0,
            row.get("tokens") or 0,
            str(row.get("stage") or ""),
            *self.task_rank(row),
        )

    def task_rank(self, row: Row) -> tuple[Any, ...]:
        """Category, the category's mean before its tasks, task, metric."""
        category, task = str(row.get("category") or ""), str(row.get("task") or "")
        metric = str(row.get("metric") or "")
        return (
            _index([category["name"] for category in self.categories], category),
            category,
            task != "mean",
            task,
            _index([definition["metric"] for definition in self.definitions], metric),
            metric,
        )

    def final_comparisons(self) -> list[Row]:
        """Comparisons at the end of each variant, categories in order and their means first.

        One row per comparison: where several claims look at it, the first of them stands for all.
        """
        last: dict[str, int] = {}
        for row in self.comparisons:
            last[row["variant"]] = max(last.get(row["variant"], 0), row["tokens"] or 0)
        rows = [row for row in self.comparisons if (row["tokens"] or 0) == last[row["variant"]]]
        names = self.variant_names
        rows.sort(
            key=lambda row: (
                row["baseline"] != self.baseline,
                row["baseline"],
                self.task_rank(row),
                _index(names, row["variant"]),
                row["claim"] is None,
            )
        )
        single: dict[tuple[str, ...], Row] = {}
        for row in rows:
            key = tuple(row[column] for column in ("variant", "baseline", "category", "task", "metric"))
            single.setdefault(key, row)
        return list(single.values())


def _index(order: list[str], name: object) -> int:
    return order.index(name) if isinstance(name, str) and name in order else len(order)
