"""Results as sentences: what a comparison shows, and what it does not.

Sentences carry their numbers: the difference with its 95% interval, seeds and items. A relative difference
is given where one exists, else raw units (points for a share). They are plain text; whoever prints them
escapes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pretrial.analysis.data import Design
from pretrial.analysis.effects import FLAT, LACKS, ONE_CLUSTER, ONE_ITEM
from pretrial.analysis.rows import ClaimResult, Comparison

METHOD_CHECK_BELOW = 15_000_000
"""Parameters under which a study is a method check (design, invariant 9)."""


def percent(share: float, *, signed: bool = False, like: float | None = None) -> str:
    """0.021 as "2.1%"; decimals after the size of `like` (by default of the number itself)."""
    return f"{_number(100 * share, 100 * (share if like is None else like), signed)}%"


def amount(value: float, unit: str, *, signed: bool = False, like: float | None = None) -> str:
    """A raw difference in its unit: a share as points, bits per byte and others as they are."""
    scale = 100.0 if unit == "share" else 1.0
    name = "points" if unit == "share" else unit
    number = _number(scale * value, scale * (value if like is None else like), signed)
    return f"{number} {name}".rstrip()


def _number(value: float, like: float, signed: bool) -> str:
    size = abs(like)
    decimals = 1 if size == 0 or not math.isfinite(size) else min(max(1 - math.floor(math.log10(size)), 0), 6)
    text = f"{value:+.{decimals}f}" if signed else f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def target(row: Comparison | ClaimResult) -> str:
    """ "transfer (bits per byte)", "held-out prose (bits per byte)", "reasoning piqa (acc)"."""
    category, task = row.category or "", row.task or ""
    name = category if task in ("mean", category) else f"{category} {task}"
    return f"{name} ({(row.metric or '').replace('_', ' ')})"


def difference(row: Comparison, design: Design, *, turned: bool = False) -> str:
    """ "+2.1% [+0.9, +3.3]" or, `turned` positive in the direction of the effect, "2.1% [0.9, 3.3]"."""
    if row.absolute is None:
        return "no number"
    if row.relative is not None and row.relative_low is not None and row.relative_high is not None:
        centre, low, high, scale, unit = row.relative, row.relative_low, row.relative_high, 100.0, "%"
    else:
        share = design.metrics[row.metric].unit == "share"
        name = "points" if share else design.metrics[row.metric].unit
        scale, unit = (100.0 if share else 1.0), f" {name}" if name else ""
        if row.low is None or row.high is None:
            return f"{_number(scale * row.absolute, scale * row.absolute, not turned)}{unit} (no interval)"
        centre, low, high = row.absolute, row.low, row.high
    if turned and centre < 0:
        centre, low, high = -centre, -high, -low
    like = scale * (high - low) / 2
    if like == 0:
        like = scale * centre
    numbers = [_number(scale * v, like, not turned) for v in (centre, low, high)]
    return f"{numbers[0]}{unit} [{numbers[1]}, {numbers[2]}]"


def counts(row: Comparison | ClaimResult) -> str:
    """ "3 seeds, 64 documents"."""
    noun = "document" if row.metric == "bits_per_byte" else "item"
    return f"{_many(row.n_seeds, 'seed')}, {_many(row.n_items, noun)}"


def sentence(row: Comparison, design: Design) -> str:
    """What one comparison says, in one sentence."""
    notes = _caveats(row)
    text = _said(row, design)
    return f"{text[:-1]}; {'; '.join(notes)}." if notes else text


def _caveats(row: Comparison) -> list[str]:
    """What a row's number leaves out."""
    if row.n_seeds == 0:
        return []
    found = []
    if lacking := _named(row, LACKS):
        found.append(f"the mean lacks {', '.join(lacking)}, so there is no verdict")
    if ONE_ITEM in row.flags:
        found.append("it has one item, so the interval is over seeds alone")
    if ONE_CLUSTER in row.flags:
        found.append("all its items belong together, so the interval is over seeds alone")
    for flag, what in ((ONE_ITEM, "one item"), (ONE_CLUSTER, "only items that belong together")):
        if tasks := _named(row, f"{flag} in "):
            found.append(f"{', '.join(tasks)} {'has' if len(tasks) == 1 else 'have'} {what}")
    if tasks := _named(row, f"{FLAT} in "):
        found.append(f"both score the same throughout on {', '.join(tasks)}")
    return found


def _named(row: Comparison, flag: str) -> list[str]:
    """Tasks that a row's flags name after `flag`."""
    return [text.removeprefix(flag) for text in row.flags if text.startswith(flag)]


def _said(row: Comparison, design: Design) -> str:
    where = target(row)
    if row.n_seeds == 0:
        return f"{row.variant} and {row.baseline} cannot be compared on {where}: no seed has a result in both."
    if row.verdict in ("better", "worse"):
        by = difference(row, design, turned=True)
        return f"{row.variant} is {row.verdict} than {row.baseline} on {where} by {by} ({counts(row)})."
    if row.verdict == "equivalent":
        within = _delta(row, design)
        size = difference(row, design)
        return f"{row.variant} equals {row.baseline} on {where} within {within}: {size} ({counts(row)})."
    size = difference(row, design)
    if "same checkpoint" in row.flags:
        return f"{row.variant} and {row.baseline} are the same model so far ({where})."
    if FLAT in row.flags:
        return (
            f"{row.variant} and {row.baseline} score the same on every item of {where} in every seed ({counts(row)}): "
            "where nothing varies, nothing is known of a difference."
        )
    if row.n_seeds == 1:
        return (
            f"{row.variant} against {row.baseline} on {where}: {size} over items of one seed; "
            "another seed may differ by more than that."
        )
    found = ""
    if row.mde is not None:
        relative = row.relative is not None and row.base_value is not None and row.absolute
        least = (
            percent(row.mde * abs(row.relative / row.absolute))
            if relative and row.relative is not None and row.absolute
            else amount(row.mde, design.metrics[row.metric].unit)
        )
        found = f"; a true difference of {least} would be found four times in five"
    return f"{row.variant} against {row.baseline} on {where}: undecided, {size} ({counts(row)}){found}."


def claim_sentence(result: ClaimResult) -> str:
    """A claim with its verdict and reason."""
    late = "" if result.registered else f" (exploratory: {result.registration or 'not registered in time'})"
    return f"“{result.text}”: {result.verdict}{late}; {result.reason}."


def shows(rows: Sequence[Comparison], claims: Sequence[ClaimResult], design: Design) -> list[str]:
    """What the study shows: judged claims first, then decided final rows of whole categories."""
    decided = [c for c in claims if c.verdict != "undecided"]
    told = [row for row in rows if row.verdict != "undecided" and "same checkpoint" not in row.flags]
    wide, rest = _by_category(told, rows)
    said = [*map(claim_sentence, decided), *(_marked(row, design) for row in wide)]
    if rest:
        said.append(f"{_many(len(rest), 'further row')} of single tasks or other metrics decided: see the table.")
    return said


def does_not_show(rows: Sequence[Comparison], claims: Sequence[ClaimResult], design: Design) -> list[str]:
    """What it does not show: what is undecided, doses, descriptive pairs, missing seeds, model size."""
    said = [claim_sentence(c) for c in claims if c.verdict == "undecided"]
    wide, rest = _by_category([row for row in rows if row.verdict == "undecided"], rows)
    said += [sentence(row, design) for row in wide]
    if rest:
        said.append(f"{_many(len(rest), 'further row')} of single tasks or other metrics undecided: see the table.")
    doses = sorted({f"{row.category} {row.task}" for row in rows if "dose check" in row.flags and row.task != "mean"})
    if doses:
        said.append(
            f"Whether anything transfers, on {', '.join(doses)}: an arm trained on these sources, so they "
            "are dose checks."
        )
    for flag, why in (
        (FLAT, "both arms score the same on every item in every seed"),
        (ONE_ITEM, "there is one item, and another may say otherwise"),
        (ONE_CLUSTER, "all items belong together, and others may say otherwise"),
    ):
        where = sorted({target(row) for row in rows if flag in row.flags and row not in wide})
        if where:
            said.append(f"A difference on {', '.join(where)}: {why}.")
    for flag in ("base at chance", "both at chance"):
        where = sorted({target(row) for row in rows if flag in row.flags})
        if where:
            who = "the baseline is" if flag == "base at chance" else "both arms are"
            said.append(f"A relative gain on {', '.join(where)}: {who} within two standard errors of chance.")
    pairs = sorted({(row.variant, row.baseline) for row in rows if row.holds == "descriptive"})
    for variant, base in pairs:
        reason = design.pair(variant, base).reason
        said.append(
            f"A cause of the difference between {variant} and {base}: the comparison is descriptive"
            + (f" ({reason})." if reason else ".")
        )
    lost = sorted({flag for row in rows for flag in row.flags if flag.startswith("seed ") and " missing: " in flag})
    said += [f"The whole of the seeds asked for: {flag}." for flag in lost]
    if any("repetition-confounded" in row.flags for row in rows):
        said.append("Mixture apart from repetition, where rows are flagged repetition-confounded.")
    if 0 < max((row.n_seeds for row in rows), default=0) < 3:
        said.append("Much about chance: with fewer than three seeds the noise of training is barely measured.")
    if design.parameters is not None and design.parameters < METHOD_CHECK_BELOW:
        said.append("Anything about larger models: under 15M parameters a study is a method check.")
    return said


def _by_category(told: Sequence[Comparison], rows: Sequence[Comparison]) -> tuple[list[Comparison], list[Comparison]]:
    """Rows that stand for their category under its first metric, and the rest."""
    means = {(row.category, row.metric) for row in rows if row.task == "mean"}
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row.category, row.metric)
    wide: list[Comparison] = []
    rest: list[Comparison] = []
    for row in told:
        whole = row.task == "mean" or (row.category, row.metric) not in means
        (wide if whole and row.metric == first[row.category] else rest).append(row)
    return wide, rest


def _marked(row: Comparison, design: Design) -> str:
    text = sentence(row, design)
    notes = []
    if "exploratory" in row.flags:
        notes.append("exploratory")
    if row.holds == "descriptive":
        notes.append("descriptive")
    if "dose check" in row.flags:
        notes.append("dose check")
    if "within δ" in row.flags:
        notes.append("smaller than the margin that counts")
    return f"{text[:-1]}; {', '.join(notes)}." if notes else text


def _delta(row: Comparison, design: Design) -> str:
    margin = design.margins.get(row.metric)
    return str(margin) if margin is not None else "the margin"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"
