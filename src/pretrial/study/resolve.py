"""From what a file says to a study: one part of it after the other, and the checks that tie them together.

Guarantees: every problem is noted with its key, several at once; only a study without problems is made.
Positions are whole steps from here on, budgets stay as asked (`Stage.tokens`).

Does not: need data, a tokenizer or a machine. What needs them is the plan's to check. What sources, shares and stages
mean stands in `sources`, `mixtures` and `variants`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from pretrial.errors import RequestError
from pretrial.study import families
from pretrial.study.claims import Vocabulary, parse_claim, wrong_margin
from pretrial.study.form import ModelForm, StudyForm
from pretrial.study.mixtures import check_families, resolve_mixtures, resolve_tokenizer
from pretrial.study.problems import Problems, did_you_mean, join
from pretrial.study.schema import (
    AdamW,
    Claim,
    Evaluation,
    Margin,
    NearDuplicates,
    Source,
    Study,
    TokenizerRequest,
    Training,
    Variant,
)
from pretrial.study.sources import Sources, check_names
from pretrial.study.tasks import METRICS, TASKS, metric_name
from pretrial.study.units import format_share
from pretrial.study.variants import (
    Span,
    check_lines,
    check_stages,
    line_of,
    resolve_carry,
    resolve_schedule,
    resolve_variants,
)

if TYPE_CHECKING:
    from pretrial.model.spec import ModelSpec


def resolve(form: StudyForm, problems: Problems, folder: str | None) -> Study:
    """The study of a form. Raises `RequestError` with the first few problems."""
    model, model_name = _model(form.model, problems)
    check_names(form, problems)
    near_duplicates = _near_duplicates(form, problems)
    also = _decontaminate_also(form, problems)
    found = Sources(form, problems)
    mixtures = resolve_mixtures(form, found, problems)
    found.check_parents()
    problems.check()  # What follows goes from sources to what they are made from.
    check_families(form, mixtures, found, problems)
    used = {source for shares in mixtures.values() for source in shares}
    tokenizer = resolve_tokenizer(form, found, used, problems)
    sources = found.by_name  # The last key that can name a part is read.
    trained = tuple(name for name in sources if name in used)
    unseen = families.domains(sources, trained)
    schedule = resolve_schedule(form.training.schedule, "variant")
    batch = form.training.batch
    if batch % form.context:
        near = max(form.context, round(batch / form.context) * form.context)
        problems.add(
            "training.batch",
            f"a batch of {batch:,} tokens is not a whole number of sequences of {form.context:,}",
            f"write {near} tokens",
        )
    problems.check()  # What follows counts in steps and sequences.

    variants = resolve_variants(form, batch, problems)
    problems.check()  # What follows needs every variant's line of stages.

    lines = {name: line_of(name, variants, batch) for name in variants}
    check_stages(form, mixtures, variants, schedule, problems)
    check_lines(form, lines, schedule, problems)
    carry = resolve_carry(form, variants, problems)
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
        decontaminate=bool(form.decontaminate),
        decontaminate_also=also,
        warnings=tuple(_warnings(form, sources, mixtures, tokenizer, variants)),
        origin=problems.origin,
        folder=folder,
        marks=problems.marks,
        named=found.named,
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


def _decontaminate_also(form: StudyForm, problems: Problems) -> tuple[str, ...]:
    """Benchmarks whose items leave training though nothing may be evaluated on them."""
    from pretrial.corpus.contamination.benchmark_texts import BENCHMARKS

    named = () if isinstance(form.decontaminate, bool) else form.decontaminate
    for name in named:
        if name not in BENCHMARKS:
            problems.add(
                "decontaminate",
                f"no benchmark whose texts are known is called {name!r}",
                did_you_mean(name, BENCHMARKS),
            )
    return named


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
    named = {source.parent for source in sources.values() if source.is_part}
    for name, written in form.sources.items():
        if written.split is not None and name not in named:
            said.append(f"the source {name!r} is split by {written.split}, and no part of it is named, as {name}/VALUE")
    if domains and not {"transfer", "cloze"} & set(form.evaluate.tasks):
        said.append(f"the source {domains[0]!r} is in no mixture, and transfer is not evaluated")
    if len(variants) == 1:
        said.append("there is one variant: nothing is compared")
    return said
