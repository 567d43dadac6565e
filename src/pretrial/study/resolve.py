"""From what a file says to a study: the checks that tie keys together.

Guarantees: every problem is noted with its key, several at once; only a study without problems is made.
Positions are whole steps from here on, budgets stay as asked (`Stage.tokens`).

Does not: need data, a tokenizer or a machine. What needs them is the plan's to check.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from pretrial.errors import RequestError
from pretrial.study import families
from pretrial.study.claims import Vocabulary, parse_claim, wrong_margin
from pretrial.study.form import ModelForm, Parts, ScheduleForm, SourceForm, StageForm, StudyForm
from pretrial.study.problems import Problems, did_you_mean, join
from pretrial.study.schema import (
    AdamW,
    Carry,
    Claim,
    Clock,
    Evaluation,
    Margin,
    NearDuplicates,
    Read,
    Schedule,
    Source,
    Stage,
    Study,
    TokenizerRequest,
    Training,
    TrainTokenizer,
    Variant,
)
from pretrial.study.tasks import METRICS, TASKS, metric_name
from pretrial.study.units import format_share

if TYPE_CHECKING:
    from pretrial.model.spec import ModelSpec

LEAST_STAGE_STEPS = 100
LEAST_WARMUP_STEPS = 20
LONGEST_PERIOD = 1_000_000
FINEST_SHARE = Fraction(1, 10_000)
"""Unit of the shares that a published mixture divides: finer ones repeat late, and no stage could tell them apart."""
_ALL_CARRY: frozenset[Carry] = frozenset({"weights", "optimizer", "data"})


def resolve(form: StudyForm, problems: Problems, folder: str | None) -> Study:
    """The study of a form. Raises `RequestError` with the first few problems."""
    model, model_name = _model(form.model, problems)
    _check_names(form, problems)
    near_duplicates = _near_duplicates(form, problems)
    sources = {name: _source(source, f"sources.{name}", form, problems) for name, source in form.sources.items()}
    parts = _Parts(form, sources, problems)
    mixtures = _mixtures(form, parts, problems)
    _check_parents(form, parts, problems)
    problems.check()  # What follows goes from sources to what they are made from.
    _check_families(form, mixtures, sources, problems)
    used = {source for shares in mixtures.values() for source in shares}
    tokenizer = _tokenizer(form, parts, used, problems)
    trained = tuple(name for name in sources if name in used)
    unseen = families.domains(sources, trained)
    schedule = _schedule(form.training.schedule, "variant")
    batch = form.training.batch
    if batch % form.context:
        near = max(form.context, round(batch / form.context) * form.context)
        problems.add(
            "training.batch",
            f"a batch of {batch:,} tokens is not a whole number of sequences of {form.context:,}",
            f"write {near} tokens",
        )
    problems.check()  # What follows counts in steps and sequences.

    variants = _variants(form, batch, problems)
    problems.check()  # What follows needs every variant's line of stages.

    lines = {name: _line(name, variants, batch) for name in variants}
    _check_stages(form, mixtures, variants, schedule, problems)
    _check_lines(form, lines, schedule, problems)
    carry = _carry(form, variants, problems)
    if form.baseline not in variants:
        problems.add("baseline", f"no variant is called {form.baseline!r}", did_you_mean(form.baseline, variants))
    evaluation = _evaluation(form, unseen, lines, problems)
    margins = _margins(form, problems)
    known = [task for task in form.evaluate.tasks if task in TASKS]
    words = Vocabulary.of(variants, known, trained, unseen)
    claims = _claims(form, words, problems)
    problems.check()

    adamw = form.training.optimizer.adamw
    return Study(
        name=form.study,
        question=form.question,
        model=model,
        model_name=model_name,
        context=form.context,
        tokenizer=tokenizer,
        seeds=form.seeds,
        smoke=form.smoke,
        sources=sources,
        mixtures=mixtures,
        training=Training(
            batch_tokens=batch,
            optimizer=AdamW(adamw.lr, (adamw.betas[0], adamw.betas[1]), adamw.eps, adamw.weight_decay, adamw.clip),
            schedule=schedule,
            precision=form.training.precision,
        ),
        variants=variants,
        carry=carry,
        baseline=form.baseline,
        evaluate=evaluation,
        margins=margins,
        claims=claims,
        compare=form.compare,
        near_duplicates=near_duplicates,
        decontaminate=form.decontaminate,
        warnings=tuple(_warnings(form, sources, mixtures, tokenizer, variants)),
        origin=problems.origin,
        folder=folder,
        marks=problems.marks,
        named=parts.named,
    )


def _model(form: ModelForm, problems: Problems) -> tuple[ModelSpec, str]:
    from pretrial.model.spec import PRESETS, resolve_model

    numbers = {
        name: value
        for name in ("layers", "width", "heads", "feed_forward", "kv_heads")
        if (value := getattr(form, name)) is not None
    }
    try:
        if form.name is not None and not numbers:
            return resolve_model(form.name), form.name.lower()
        spec = resolve_model(numbers)
        name = form.name.lower() if form.name is not None else "custom"
        if PRESETS.get(name, spec) != spec:
            problems.add("model", f"these numbers are not those of the preset {name!r}", "choose another name for them")
        return spec, name
    except RequestError as error:
        problems.add("model", error.what, error.remedy)
        return next(iter(PRESETS.values())), ""


def _sums_to_one(shares: Mapping[str, Fraction], path: str, problems: Problems) -> None:
    total = sum(shares.values(), Fraction(0))
    if total != 1:
        remedy = "shares are exact: write thirds as 1/3" if abs(total - 1) < Fraction(1, 50) else None
        problems.add(path, f"the shares sum to {format_share(total)}, not 100%", remedy)


class _Parts:
    """Parts of split sources, SOURCE/VALUE, which come to be where they are named; added to `sources`."""

    def __init__(self, form: StudyForm, sources: dict[str, Source], problems: Problems) -> None:
        self.form, self.sources, self.problems = form, sources, problems
        self.named: dict[str, str] = {}
        """Parts by the dotted key that names them first."""

    def of(self, name: str, path: str) -> str | None:
        """A source by the name that a key gives it, in the spelling used here; `None`, and a problem, for none."""
        if name in self.form.sources:
            return name
        part, whole = _spelled(name, self.form), _whole(name, self.form)
        if whole is None:
            before = name.rpartition("/")[0]
            remedy = (
                f"give {before!r} the field to split it by, such as `split: language`"
                if before in self.form.sources
                else did_you_mean(name, self.sources)
            )
            self.problems.add(path, f"no source is called {name!r}", remedy)
            return None
        if part not in self.sources:
            said = self.form.sources[whole]
            assert said.split is not None  # _whole
            value = part.removeprefix(f"{whole}/")
            values = self.values(whole, said.split)
            if values is not None and value not in values:
                self.problems.add(
                    path, f"{whole!r} has no documents whose {said.split} is {value!r}", did_you_mean(value, values)
                )
                return None
            self.sources[part] = Source(None, parent=whole, keep={said.split: (value,)}, max_epochs=said.max_epochs)
            self.named[part] = path
        return part

    def values(self, name: str, field: str) -> list[str] | None:
        """The values that a field of a source's documents can have; `None` where only the documents know."""
        from pretrial.corpus.kinds import KINDS
        from pretrial.corpus.languages import canonical
        from pretrial.corpus.spec import LANGUAGE_SETS

        said: list[Iterable[str]] = []
        for at in families.line(self.sources, name):
            source = self.sources[at]
            kept = (source.keep or {}).get(field)
            if isinstance(kept, tuple):
                said.append(kept)
            if field == "language" and source.read is not None and "languages" in KINDS[source.read.kind].options:
                read = source.read.options["languages"] or ("code",)
                said.append([one for word in read for one in LANGUAGE_SETS.get(word, (word,))])
        if not said:
            return None
        first, *others = ([canonical(v) for v in values] if field == "language" else list(values) for values in said)
        return [value for value in dict.fromkeys(first) if all(value in other for other in others)]


def _whole(part: str, form: StudyForm) -> str | None:
    """The split source of which a name is a part, SOURCE/VALUE: the longest that fits."""
    fitting = [
        name for name, said in form.sources.items() if said.split and part.startswith(f"{name}/") and part != f"{name}/"
    ]
    return max(fitting, key=len, default=None)


def _spelled(name: str, form: StudyForm) -> str:
    """A source's name as it stands in a study: `code/C++` and `code/cpp` are one part."""
    from pretrial.corpus.languages import canonical

    whole = None if name in form.sources else _whole(name, form)
    if whole is None or form.sources[whole].split != "language":
        return name
    return f"{whole}/{canonical(name.removeprefix(f'{whole}/'))}"


def _mixtures(form: StudyForm, parts: _Parts, problems: Problems) -> dict[str, dict[str, Fraction]]:
    """The mixtures with every part spelled out."""
    mixtures: dict[str, dict[str, Fraction]] = {}
    for name, said in form.mixtures.items():
        path = f"mixtures.{name}"
        shares: dict[str, Fraction] = {}
        for source, mixed in said.items():
            at = f"{path}.{source}"
            divided = {source: mixed} if isinstance(mixed, Fraction) else _divided(source, mixed, parts, at, problems)
            for one, share in divided.items():
                part = parts.of(one, at) or one
                if part in shares:
                    problems.add(at, f"{part!r} is in the mixture twice")
                shares[part] = shares.get(part, Fraction(0)) + share
        _sums_to_one(shares, path, problems)
        period = math.lcm(*(share.denominator for share in shares.values()))
        if period > LONGEST_PERIOD:
            problems.add(
                path,
                f"the shares repeat after {period:,} sequences only; at most {LONGEST_PERIOD:,} are supported",
                "round the shares",
            )
        mixtures[name] = shares
    return mixtures


def _divided(source: str, mixed: Parts, parts: _Parts, at: str, problems: Problems) -> dict[str, Fraction]:
    """A share divided over the languages of a split source as a published mixture has them."""
    from pretrial.corpus.paper import SHARES, shares

    form = parts.form
    found = form.sources.get(source)
    if mixed.named not in SHARES:
        problems.add(at, f"there is no mixture of languages {mixed.named!r}", did_you_mean(mixed.named, SHARES))
    elif found is None:
        problems.add(at, f"no source is called {source!r}", did_you_mean(source, form.sources))
    elif found.split != "language":
        problems.add(at, f"{source!r} has no languages to divide a share over", "give the source `split: language`")
    else:
        among = parts.values(source, "language")
        if among is not None and not set(among) & set(SHARES[mixed.named]):
            has = f"only {', '.join(among)}" if among else "none of the languages that it is asked for"
            problems.add(at, f"{mixed.named} has no language of {source!r}, which has {has}")
            return {}
        table = shares(mixed.named, among or ())
        try:
            divided = rounded(mixed.share, table)
        except ValueError as error:
            problems.add(at, str(error), "raise the share, or read fewer languages")
        else:
            return {f"{source}/{language}": share for language, share in divided.items()}
    return {}


def rounded(share: Fraction, table: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """A share divided as a table says, in whole ten-thousandths (`FINEST_SHARE`) of which each part has at least one.

    By largest remainder (Hamilton's method), equal remainders in the table's order. What a share has beyond whole
    ten-thousandths goes to the largest part, so that the parts sum to the share exactly.

    Args:
        share: what is divided.
        table: share of each part, which sum to 1.

    Raises:
        ValueError: when there are more parts than ten-thousandths.
    """
    units = math.floor(share / FINEST_SHARE)
    if units < len(table):
        raise ValueError(
            f"{format_share(share)} cannot be divided over {len(table)} languages: each has at least "
            f"{format_share(FINEST_SHARE)}"
        )
    least: set[str] = set()
    while True:
        left = {name: part for name, part in table.items() if name not in least}
        whole = sum(left.values(), Fraction(0))
        quotas = {name: (units - len(least)) * part / whole for name, part in left.items()}
        small = {name for name, quota in quotas.items() if quota < 1}
        if not small:
            break
        least |= small
    given = {name: math.floor(quotas.get(name, Fraction(1))) for name in table}
    by_remainder = sorted(quotas, key=lambda name: given[name] - quotas[name])
    for name in by_remainder[: units - sum(given.values())]:
        given[name] += 1
    divided = {name: count * FINEST_SHARE for name, count in given.items()}
    largest = max(table, key=lambda name: table[name])
    divided[largest] += share - units * FINEST_SHARE
    return divided


def _check_parents(form: StudyForm, parts: _Parts, problems: Problems) -> None:
    """Derived sources: the parent exists, and no source is made from itself."""
    for name, source in form.sources.items():
        if source.from_ is not None:
            parts.of(source.from_, f"sources.{name}.from")
    for name in form.sources:
        line = families.line(parts.sources, name)
        if parts.sources[line[-1]].parent == name:
            problems.add(
                f"sources.{name}.from", "sources are made from each other in a circle: " + " from ".join([*line, name])
            )


def _check_families(
    form: StudyForm, mixtures: Mapping[str, Mapping[str, Fraction]], sources: Mapping[str, Source], problems: Problems
) -> None:
    """No mixture has a source beside one that it is made from."""
    for name, shares in mixtures.items():
        written = {_spelled(source, form): source for source in form.mixtures[name]}
        for source in shares:
            for above in families.line(sources, source)[1:]:
                if above in shares:
                    # A part that a published mixture names stands under its source.
                    key = written.get(source) or source.rpartition("/")[0]
                    how = "a part of" if source.startswith(f"{above}/") else "made from"
                    problems.add(
                        f"mixtures.{name}.{key}",
                        f"{source} is {how} {above}: the mixture would draw the same documents as both, and neither "
                        "share would be what it says",
                        f"leave one of them out, or mix parts of {above} that have no documents in common",
                    )


def _near_duplicates(form: StudyForm, problems: Problems) -> NearDuplicates | None:
    from pretrial.corpus.near.spec import MOST_HASHES, RECALL, settings

    if form.near_duplicates is None:
        return None
    threshold, words = float(form.near_duplicates.threshold), form.near_duplicates.words
    try:
        settings(threshold, words)
    except RequestError:
        # One row a band finds the most: 1-(1-t)^bands is enough from here on.
        least = math.ceil(1000 * (1 - (1 - RECALL) ** (1 / MOST_HASHES)))
        problems.add(
            "near-duplicates.threshold",
            f"at a threshold of {format_share(form.near_duplicates.threshold)} the search would miss more than "
            f"{1 - RECALL:.0%} of the pairs",
            f"write {format_share(Fraction(least, 1000))} or more, or `near-duplicates: none` to look for none",
        )
    return NearDuplicates(threshold, words)


def _check_names(form: StudyForm, problems: Problems) -> None:
    from pretrial.evaluate.spec import RESERVED

    for name in sorted(RESERVED & set(form.sources)):
        problems.add(
            f"sources.{name}",
            f"no source can be called {name!r}: results use the word for a mean over sources",
            "give it another name",
        )
    for name in form.sources:
        if (whole := _whole(name, form)) is not None:
            problems.add(
                f"sources.{name}",
                f"{name!r} is the name of a part of {whole!r}, which is split by {form.sources[whole].split}",
                "give it another name",
            )


def _source(form: SourceForm, path: str, study: StudyForm, problems: Problems) -> Source:
    read = None if form.read is None else Read(*form.read.chosen, form.read.options)
    parent = None if form.from_ is None else _spelled(form.from_, study)
    source = Source(read, form.filter, form.group, form.license, form.keep, form.max_epochs, parent, form.transform)
    for what, calls in (("rule", form.filter), ("transform", form.transform)):
        names = [call if isinstance(call, str) else call[0] for call in calls]
        if len(set(names)) < len(names):
            problems.add(f"{path}.{'filter' if what == 'rule' else what}", f"a {what} is listed twice")
    _check_corpus(source, path, problems)
    _check_pinned(source, path, problems)
    return source


def _check_pinned(source: Source, path: str, problems: Problems) -> None:
    """A dataset of the hub is read at a commit: what a study reads must not change under it."""
    from pretrial.corpus.spec import source_config

    if source.read is None or source.read.kind != "hub":
        return
    try:
        read = source_config(source)["read"]
    except RequestError:
        return  # _check_corpus says it.
    # A folder in the hub's layout has no dataset, and is known by its files.
    if read["dataset"] and not re.fullmatch("[0-9a-f]{40}", read["revision"] or ""):
        problems.add(
            f"{path}.read.{'hub' if read['revision'] is None else 'revision'}",
            f"{read['dataset']} is not pinned to a commit: what a study reads must not change under it",
            "write revision: COMMIT (40 hex digits; it stands on the dataset's page)",
        )


def _check_corpus(source: Source, path: str, problems: Problems) -> None:
    """What only the corpus room knows: readers, languages, groups, rules. Key by key, for the lines."""
    from pretrial.corpus.kinds import KINDS
    from pretrial.corpus.spec import source_config

    bare = replace(source, filter=(), transform=(), group="document", keep=None)
    probes: list[tuple[str, Source]] = []
    if source.read is not None:
        options = dict(source.read.options)
        bare = replace(bare, read=replace(source.read, options={}))
        probes += [(f"{path}.read.{source.read.kind}", bare)]
        if "languages" in options and "languages" in KINDS[source.read.kind].options:
            only = replace(source.read, options={"languages": options["languages"]})
            probes.append((f"{path}.read.languages", replace(bare, read=only)))
        for name, value in options.items():
            if name != "languages" or name not in KINDS[source.read.kind].options:
                one = replace(bare, read=replace(source.read, options={name: value}))
                probes.append((f"{path}.read.{name.replace('_', '-')}", one))
    probes += [(f"{path}.group", replace(bare, group=source.group)), (f"{path}.keep", replace(bare, keep=source.keep))]
    probes += [(f"{path}.filter.{i}", replace(bare, filter=(rule,))) for i, rule in enumerate(source.filter)]
    probes += [(f"{path}.filter", replace(bare, filter=source.filter))]
    probes += [(f"{path}.transform.{i}", replace(bare, transform=(one,))) for i, one in enumerate(source.transform)]
    said: set[str] = set()
    for key, probe in probes:
        try:
            source_config(probe)
        except RequestError as error:
            if error.what not in said:
                problems.add(key, error.what, error.remedy)
            said.add(error.what)
            if probe is bare:
                return


def _tokenizer(form: StudyForm, parts: _Parts, trained: Iterable[str], problems: Problems) -> TokenizerRequest:
    train = form.tokenizer.train
    if train is None:
        return TokenizerRequest(None, form.tokenizer.file)
    path = "tokenizer.train.from"
    shares: dict[str, Fraction] = {}
    for said, share in train.from_.items():
        source = parts.of(said, f"{path}.{said}") or said
        if source in shares:
            problems.add(f"{path}.{said}", f"{source!r} is there twice")
        elif source in families.unseen(parts.sources, trained):
            problems.add(
                f"{path}.{said}",
                f"the tokenizer must not see {source!r}: it is in no mixture, so transfer is read on it",
                "train the tokenizer on sources of the mixtures",
            )
        shares[source] = shares.get(source, Fraction(0)) + share
    _sums_to_one(shares, path, problems)
    return TokenizerRequest(TrainTokenizer(train.vocabulary, shares), None)


def _schedule(form: ScheduleForm, clock: Clock) -> Schedule:
    clock = form.clock or clock
    if form.linear is not None:
        return Schedule("linear", form.linear.warmup, form.linear.floor, None, clock)
    if form.cosine is not None:
        return Schedule("cosine", form.cosine.warmup, form.cosine.floor, None, clock)
    if form.warmup_stable_decay is not None:
        stable = form.warmup_stable_decay
        return Schedule("warmup-stable-decay", stable.warmup, stable.floor, stable.decay, clock)
    assert form.constant is not None
    return Schedule("constant", form.constant.warmup, 1.0, None, clock)


def _variants(form: StudyForm, batch: int, problems: Problems) -> dict[str, Variant]:
    variants: dict[str, Variant] = {}
    for name, items in form.variants.items():
        path = f"variants.{name}"
        start: tuple[str, int | None] | None = None
        stages: list[Stage] = []
        for i, item in enumerate(items):
            at = f"{path}.{i}"
            if item.from_ is not None:
                if i:
                    problems.add(f"{at}.from", "only a variant's first item says where it branches")
                else:
                    start = _branch(item.from_, f"{at}.from", form, problems)
            if not item.branches_only:
                stages.append(_stage(item, str(len(stages) + 1), at, form, problems))
        if not stages:
            problems.add(
                path,
                "the variant has no stage of its own",
                "add a stage, or evaluate its parent `at` that token",
            )
        names = [stage.name for stage in stages]
        for twice in sorted({one for one in names if names.count(one) > 1}):
            problems.add(path, f"two stages are called {twice!r}", "give them different names")
        variants[name] = Variant(start, tuple(stages))
    problems.check()
    _check_branches(variants, batch, problems)
    return variants


def _branch(text: str, path: str, form: StudyForm, problems: Problems) -> tuple[str, int | None] | None:
    from pretrial.study.units import parse_tokens

    if text in form.variants:
        return text, None
    parent, at, amount = text.rpartition("@")
    if not at:
        parent = text
    if parent not in form.variants:
        problems.add(path, f"no variant is called {parent!r}", did_you_mean(parent, form.variants))
        return None
    try:
        return parent, parse_tokens(amount)
    except ValueError as error:
        problems.add(path, str(error))
        return None


def _stage(item: StageForm, name: str, path: str, form: StudyForm, problems: Problems) -> Stage:
    mixture = item.mixture or ""
    if mixture not in form.mixtures:
        problems.add(f"{path}.mixture", f"no mixture is called {mixture!r}", did_you_mean(mixture, form.mixtures))
    cooldown = item.cooldown is not None
    clock = form.training.schedule.clock or "variant"
    if item.lr is not None and not cooldown and item.schedule is None and clock == "variant":
        problems.add(
            f"{path}.lr",
            "the learning rate runs on the variant's clock, so a stage has none of its own",
            "give the stage a schedule of its own, or the study `clock: stage`",
        )
    floor = item.floor
    if cooldown and floor is None:
        floor = 0.0
    return Stage(
        name=item.name or name,
        tokens=item.cooldown if item.cooldown is not None else item.tokens or 0,
        mixture=mixture,
        cooldown=cooldown,
        floor=floor,
        lr=item.lr,
        schedule=_schedule(item.schedule, "stage") if item.schedule is not None else None,
        line=problems.marks.get(path, 0),
    )


def _check_branches(variants: Mapping[str, Variant], batch: int, problems: Problems) -> None:
    """Cycles, and branch points that are no step of the parent."""
    ends: dict[str, int] = {}
    cyclic: set[str] = set()

    def end(name: str, below: tuple[str, ...]) -> int | None:
        if name in ends:
            return ends[name]
        if name in below:
            cycle = below[below.index(name) :]
            if not cyclic.intersection(cycle):
                problems.add(
                    f"variants.{cycle[0]}.0.from",
                    "variants branch in a circle: " + " from ".join([*cycle, name]),
                )
            cyclic.update(cycle)
            return None
        variant = variants[name]
        start = 0
        if variant.start is not None:
            parent, tokens = variant.start
            limit = end(parent, (*below, name))
            if limit is None:
                return None
            start = limit if tokens is None else tokens
            path = f"variants.{name}.0.from"
            if start == 0 or start % batch:
                lower, upper = start // batch * batch, (start // batch + 1) * batch
                problems.add(
                    path,
                    f"@{start} is not a step boundary: a step is {batch:,} tokens",
                    f"write @{upper}" if lower == 0 else f"write @{lower} or @{upper}",
                )
            elif start > limit:
                problems.add(
                    path,
                    f"@{start} is beyond the end of {parent!r}, {limit:,} tokens",
                    f"write @{limit} or less",
                )
        ends[name] = start + sum(stage.steps(batch) * batch for stage in variant.stages)
        return ends[name]

    for name in variants:
        end(name, ())


@dataclass(frozen=True)
class Span:
    """A stretch of a variant's whole line, inherited ones included: tokens, stage, whose it is and which."""

    first: int
    last: int
    stage: Stage
    owner: str
    index: int


def _line(name: str, variants: Mapping[str, Variant], batch: int) -> list[Span]:
    """A variant's stages from token 0 on, those of its ancestors cut at the branch."""
    variant = variants[name]
    spans: list[Span] = []
    at = 0
    if variant.start is not None:
        parent, tokens = variant.start
        inherited = _line(parent, variants, batch)
        at = inherited[-1].last if tokens is None else tokens
        spans = [
            Span(span.first, min(span.last, at), span.stage, span.owner, span.index)
            for span in inherited
            if span.first < at
        ]
    for i, stage in enumerate(variant.stages):
        last = at + stage.steps(batch) * batch
        spans.append(Span(at, last, stage, name, i))
        at = last
    return spans


def _item(form: StudyForm, variant: str, index: int) -> str:
    """Dotted key of a variant's n-th stage: a leading item that only branches is none."""
    offset = 1 if form.variants[variant][0].branches_only else 0
    return f"variants.{variant}.{index + offset}"


def _check_stages(
    form: StudyForm,
    mixtures: Mapping[str, Mapping[str, Fraction]],
    variants: Mapping[str, Variant],
    schedule: Schedule,
    problems: Problems,
) -> None:
    batch, context = form.training.batch, form.context
    for name, variant in variants.items():
        for i, stage in enumerate(variant.stages):
            path = _item(form, name, i)
            steps = stage.steps(batch)
            if steps == 0:
                problems.add(path, f"{stage.tokens:,} tokens are less than one step of {batch:,}")
                continue
            if steps < LEAST_STAGE_STEPS and not form.smoke:
                problems.add(
                    path,
                    f"the stage has {steps} steps; below {LEAST_STAGE_STEPS} the result says little",
                    f"give it {LEAST_STAGE_STEPS * batch:,} tokens, take a smaller batch, or say `smoke: true`",
                )
            sequences = steps * batch // context
            little = {source: x for source, x in mixtures[stage.mixture].items() if x * sequences < 1}
            if little:
                few = [f"{format_share(share)} of {source!r}" for source, share in list(little.items())[:3]]
                more = f" and {len(little) - len(few)} more" if len(little) > len(few) else ""
                enough = math.ceil(1 / min(little.values()))
                problems.add(
                    path,
                    f"{', '.join(few)}{more} rounds to nothing: the stage has {sequences:,} sequences",
                    f"give the stage {-(-enough * context // batch) * batch:,} tokens, raise the share, or leave the "
                    "source out",
                )
            own = stage.schedule
            if own is not None:
                _check_warmup(own, steps * batch, batch, f"{path}.schedule", form, problems)
            elif schedule.clock == "stage" and not stage.cooldown:
                _check_ramp(schedule, steps * batch, path, problems)
    _check_warmup(schedule, None, batch, "training.schedule", form, problems)


def _check_warmup(
    schedule: Schedule, horizon: int | None, batch: int, path: str, form: StudyForm, problems: Problems
) -> None:
    at = f"{path}.{schedule.kind}.warmup"
    steps = schedule.warmup_tokens / batch
    bare = schedule.kind == "constant" and schedule.warmup_tokens == 0
    if steps < LEAST_WARMUP_STEPS and not bare and not form.smoke:
        problems.add(
            at,
            f"the warm-up has {steps:g} steps; at least {LEAST_WARMUP_STEPS} are needed",
            f"write {LEAST_WARMUP_STEPS * batch} tokens or more, or say `smoke: true`",
        )
    if horizon is not None:
        _check_ramp(schedule, horizon, at, problems)


def _check_ramp(schedule: Schedule, horizon: int, path: str, problems: Problems) -> None:
    """Warm-up and decay must fit before the horizon."""
    warmup, decay = schedule.warmup_tokens, schedule.decay_tokens or 0
    if warmup > horizon or (warmup == horizon and schedule.kind != "constant"):
        problems.add(path, f"the warm-up of {warmup:,} tokens leaves nothing of a horizon of {horizon:,}")
    elif warmup + decay > horizon:
        problems.add(path, f"warm-up and decay take {warmup + decay:,} tokens of a horizon of {horizon:,}")


def _check_lines(form: StudyForm, lines: Mapping[str, list[Span]], schedule: Schedule, problems: Problems) -> None:
    """What concerns a variant from its first token on: cooldowns come last, schedules fit, restarts agree."""
    restarts: dict[str, set[int]] = {}
    ends: dict[str, int] = {}
    for name, spans in lines.items():
        for before, after in itertools.pairwise(spans):
            if before.stage.cooldown and not after.stage.cooldown and after.owner == name:
                problems.add(
                    _item(form, name, after.index),
                    f"pre-training cannot go on after the cooldown {before.stage.name!r}",
                    "branch from a token before the cooldown",
                )
        pretraining = [span for span in spans if not span.stage.cooldown]
        if not pretraining:
            problems.add(_item(form, name, 0), "a cooldown needs a stage before it", "branch from one with `from`")
            continue
        horizon = pretraining[-1].last
        own = any(span.owner == name and span.stage.schedule is None for span in pretraining)
        if schedule.clock == "variant" and own:
            _check_ramp(schedule, horizon, f"variants.{name}", problems)
        restarts[name] = {span.first for span in pretraining}
        ends[name] = horizon
    if schedule.clock == "stage":
        base = form.baseline
        for name in ends:
            if base in ends and name != base:
                shared = min(ends[name], ends[base])
                mine, theirs = ({at for at in restarts[one] if at < shared} for one in (name, base))
                if mine != theirs:
                    odd = min(mine ^ theirs)
                    problems.add(
                        f"variants.{name}",
                        f"with `clock: stage` every arm restarts at the same tokens, but {name!r} and "
                        f"{base!r} "
                        f"differ at {odd:,}",
                        "give them the same stage boundaries, or take `clock: variant`",
                    )


def _carry(form: StudyForm, variants: Mapping[str, Variant], problems: Problems) -> frozenset[Carry]:
    handed = [name for name, variant in variants.items() if len(variant.stages) > 1 or variant.start is not None]
    if form.carry is None:
        if handed:
            problems.add(
                "carry",
                f"carry is missing: {handed[0]!r} hands over from stage to stage, and what it hands over "
                "has no default",
                "write carry: [weights, optimizer, data], or less on purpose",
            )
        return _ALL_CARRY
    if len(set(form.carry)) < len(form.carry):
        problems.add("carry", "something is listed twice")
    if "weights" not in form.carry:
        problems.add("carry", "carry without weights would start every stage from scratch", "add weights")
    return frozenset(form.carry)


def _evaluation(
    form: StudyForm, unseen: tuple[str, ...], lines: Mapping[str, list[Span]], problems: Problems
) -> Evaluation:
    from pretrial.evaluate.spec import LEAST_DOMAIN_BYTES

    evaluate = form.evaluate
    for i, task in enumerate(evaluate.tasks):
        path = problems.nearest("evaluate", "tasks", i)
        if task not in TASKS:
            problems.add(path, f"there is no task {task!r}", did_you_mean(task, TASKS))
        elif task in evaluate.tasks[:i]:
            problems.add(path, f"{task!r} is listed twice")
        elif task == "transfer" and not unseen:
            problems.add(
                path,
                "the transfer set is empty: every source, or one with the same documents, is in some mixture",
                "keep a source and all that is made from it out of all mixtures, or leave transfer out",
            )
    if evaluate.domain_bytes < LEAST_DOMAIN_BYTES:
        problems.add(
            problems.nearest("evaluate", "domain-bytes"),
            f"{evaluate.domain_bytes:,} bytes of a domain measure nothing: at least {LEAST_DOMAIN_BYTES:,} are needed",
            f"write {LEAST_DOMAIN_BYTES} or more",
        )
    batch = form.training.batch
    longest = max(spans[-1].last for spans in lines.values())
    at: set[int] = set()
    for i, tokens in enumerate(evaluate.at):
        whole = tokens // batch * batch
        if whole == 0:
            problems.add(f"evaluate.at.{i}", f"{tokens:,} tokens are less than one step of {batch:,}")
        elif whole > longest:
            problems.add(
                f"evaluate.at.{i}",
                f"{tokens:,} tokens are beyond the end of every variant, {longest:,} at most",
            )
        at.add(whole)
    return Evaluation(
        tuple(evaluate.tasks), evaluate.domain_bytes, evaluate.items, evaluate.cloze_items, tuple(sorted(at))
    )


def _margins(form: StudyForm, problems: Problems) -> dict[str, Margin]:
    margins: dict[str, Margin] = {}
    for text, margin in form.margins.items():
        path, metric = f"margins.{text}", metric_name(text)
        if metric not in METRICS:
            problems.add(path, f"there is no metric {text!r}", did_you_mean(metric, METRICS))
        elif metric in margins:
            problems.add(path, f"the margin of {metric} is said twice")
        elif trouble := wrong_margin(margin, metric):
            problems.add(path, *trouble)
        margins[metric] = margin
    return margins


def _claims(form: StudyForm, words: Vocabulary, problems: Problems) -> tuple[Claim, ...]:
    claims: list[Claim] = []
    for i, text in enumerate(form.claims):
        path = f"claims.{i}"
        try:
            claim = parse_claim(text, words, problems.marks.get(path, 0))
        except RequestError as error:
            problems.add(path, error.what, error.remedy)
            continue
        if claim in claims:
            problems.add(path, f"the claim is made twice: {text!r}")
        claims.append(claim)
    return tuple(claims)


def _warnings(
    form: StudyForm,
    sources: Mapping[str, Source],
    mixtures: Mapping[str, Mapping[str, Fraction]],
    tokenizer: TokenizerRequest,
    variants: Mapping[str, Variant],
) -> list[str]:
    used = {stage.mixture for variant in variants.values() for stage in variant.stages}
    said = [f"the mixture {name!r} is used by no variant" for name in form.mixtures if name not in used]
    for name, shares in mixtures.items():
        for one, other in itertools.combinations(shares, 2):
            if families.overlap(sources, one, other):
                said.append(
                    f"the mixture {name!r} has {one!r} and {other!r}, which may have the same documents of "
                    f"{families.root(sources, one)!r}"
                )
    trained = {source for shares in mixtures.values() for source in shares}
    unseen, domains = families.unseen(sources, trained), families.domains(sources, trained)
    asked = tokenizer.train.shares if tokenizer.train is not None else ()
    wanted = {at for name in (*trained, *domains, *asked) for at in families.line(sources, name)}
    for name in sources:
        if name not in wanted:
            said.append(f"the source {name!r} is in no mixture, and not unseen: it is used for nothing, and not made")
        elif name in unseen and name not in domains:
            below = [other for other in sources if sources[other].parent == name]
            said.append(f"the source {name!r} is no transfer domain itself, since {join(below)} is made from it")
    if domains and not {"transfer", "cloze"} & set(form.evaluate.tasks):
        said.append(f"the source {domains[0]!r} is in no mixture, and transfer is not evaluated")
    if len(variants) == 1:
        said.append("there is one variant: nothing is compared")
    return said
