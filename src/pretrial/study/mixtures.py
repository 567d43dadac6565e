"""Shares of sources: mixtures with every part spelled out, and the text that a tokenizer is trained on.

Guarantees: shares are exact and sum to one, a published mixture in whole ten-thousandths; no mixture has a source
beside one that it is made from, and the tokenizer sees no domain that transfer is read on. All else is a problem.

Does not: say what is drawn when, or whether a source has enough text for its share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from pretrial.study import families
from pretrial.study.form import Parts, StudyForm
from pretrial.study.problems import Problems, did_you_mean
from pretrial.study.schema import TokenizerRequest, TrainTokenizer
from pretrial.study.sources import Sources, spelled
from pretrial.study.units import format_share

LONGEST_PERIOD = 1_000_000
FINEST_SHARE = Fraction(1, 10_000)
"""Unit of the shares that a published mixture divides: finer ones repeat late, and no stage could tell them apart."""


def resolve_mixtures(form: StudyForm, sources: Sources, problems: Problems) -> dict[str, dict[str, Fraction]]:
    """The mixtures with every part spelled out."""
    mixtures: dict[str, dict[str, Fraction]] = {}
    for name, said in form.mixtures.items():
        path = f"mixtures.{name}"
        shares: dict[str, Fraction] = {}
        for source, mixed in said.items():
            at = f"{path}.{source}"
            divided = {source: mixed} if isinstance(mixed, Fraction) else _divided(source, mixed, sources, at, problems)
            for one, share in divided.items():
                part = sources.of(one, at) or one
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


def _divided(source: str, mixed: Parts, sources: Sources, at: str, problems: Problems) -> dict[str, Fraction]:
    """A share divided over the languages of a split source as a published mixture has them."""
    from pretrial.corpus.paper import SHARES, shares

    form = sources.form
    found = form.sources.get(source)
    if mixed.named not in SHARES:
        problems.add(at, f"there is no mixture of languages {mixed.named!r}", did_you_mean(mixed.named, SHARES))
    elif found is None:
        problems.add(at, f"no source is called {source!r}", did_you_mean(source, form.sources))
    elif found.split != "language":
        problems.add(at, f"{source!r} has no languages to divide a share over", "give the source `split: language`")
    else:
        among = sources.values(source, "language")
        if among is not None and not set(among) & set(SHARES[mixed.named]):
            has = f"only {', '.join(among)}" if among else "none of the languages that it is asked for"
            remedy = "give the source a share alone, without `as`, or read languages of that mixture"
            problems.add(at, f"{mixed.named} has no language of {source!r}, which has {has}", remedy)
            return {}
        table = shares(mixed.named, among or ())
        try:
            divided = rounded(mixed.share, table)
        except ValueError as error:
            most = ", ".join(list(table)[: max(1, math.floor(mixed.share / FINEST_SHARE))])
            problems.add(at, str(error), f"raise the share, or leave languages out: keep: {{language: [{most}]}}")
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


def _sums_to_one(shares: Mapping[str, Fraction], path: str, problems: Problems) -> None:
    total = sum(shares.values(), Fraction(0))
    if total != 1:
        remedy = "shares are exact: write thirds as 1/3" if abs(total - 1) < Fraction(1, 50) else None
        problems.add(path, f"the shares sum to {format_share(total)}, not 100%", remedy)


def check_families(
    form: StudyForm, mixtures: Mapping[str, Mapping[str, Fraction]], sources: Sources, problems: Problems
) -> None:
    """No mixture has a source beside one that it is made from."""
    for name, shares in mixtures.items():
        written = {spelled(source, form): source for source in form.mixtures[name]}
        for source in shares:
            for above in families.line(sources.by_name, source)[1:]:
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


def resolve_tokenizer(
    form: StudyForm, sources: Sources, trained: Iterable[str], problems: Problems
) -> TokenizerRequest:
    """The tokenizer to train or import; `trained` are the sources of mixtures."""
    train = form.tokenizer.train
    if train is None:
        return TokenizerRequest(None, form.tokenizer.file)
    path = "tokenizer.train.from"
    shares: dict[str, Fraction] = {}
    for said, share in train.from_.items():
        source = sources.of(said, f"{path}.{said}") or said
        if source in shares:
            problems.add(f"{path}.{said}", f"{source!r} is there twice")
        elif source in families.unseen(sources.by_name, trained):
            problems.add(
                f"{path}.{said}",
                f"the tokenizer must not see {source!r}: it is in no mixture, so transfer is read on it",
                "train the tokenizer on sources of the mixtures",
            )
        shares[source] = shares.get(source, Fraction(0)) + share
    _sums_to_one(shares, path, problems)
    return TokenizerRequest(TrainTokenizer(train.vocabulary, shares), None)
