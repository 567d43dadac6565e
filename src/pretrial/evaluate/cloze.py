"""A cloze task from held-out documents: the true continuation among four of the same source.

Guarantees: items depend on the held-out tokens alone. A document gives one item, or two from its two halves where
one each is not enough; where it is cut is decided by the hash of its text, and falls on a token that begins with
white space where there is one, so that all continuations begin alike. The three wrong choices are true continuations
of other documents of the source, of the same length, chosen by hash; so is the true one's place among them.

A choice's score is log p(choice | context) − log p(choice | mark alone): how much the context helps it. The context
is the model's whole input, without an opening mark, as in a training window that begins inside a document. A 3-gram
model's accuracy on the same items stands beside it (`pretrial.evaluate.anchors`): a cloze that 3-grams solve
measures little.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pretrial.errors import RequestError, RunError
from pretrial.evaluate.documents import HeldOut
from pretrial.evaluate.load import scorer_for
from pretrial.evaluate.rows import ItemValue, Json, Task, write_items
from pretrial.evaluate.scorer import Passage, Scorer
from pretrial.evaluate.spec import CHANCE, CHOICE_TOKENS, CHOICES, CONTEXT_TOKENS, MIN_CLOZE_CONTEXT
from pretrial.execute.context import StepContext
from pretrial.tokens.tokenizer import TextTokenizer

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FILE = "items.parquet"
DISTRACTOR_POOL = 64
"""Wrong choices come from a source's items, or from its first 64 places to cut where it has fewer items."""

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("item", pa.string()),
        ("cluster", pa.string()),
        ("context", pa.list_(pa.int32())),
        ("choices", pa.list_(pa.list_(pa.int32()))),
        ("gold", pa.int8()),
        ("answer_bytes", pa.int32()),
    ]
)


@dataclass(frozen=True)
class ClozeItem:
    """One item: a context, four choices of equal length in tokens, and which of them is true."""

    source: str
    item: str
    cluster: str
    context: Ints
    choices: tuple[Ints, ...]
    gold: int
    answer_bytes: int


@dataclass(frozen=True)
class _Piece:
    """A place to cut: context and true continuation."""

    document: int
    item: str
    cluster: str
    context: Ints
    answer: Ints


def make_cloze_items(ctx: StepContext) -> Json:
    """Step function: the items of a study, the same for all its checkpoints.

    `config`: sources (names, in order), items (number in all; shared evenly, what one source lacks goes to others).
    `inputs`: "tokens:<source>" (held-out tokens) for each source, "tokenizer".
    """
    tokenizer = TextTokenizer(ctx.inputs["tokenizer"].path)
    ids = range(tokenizer.vocabulary)
    spaced = np.array([tokenizer.decode_bytes([i])[:1].isspace() for i in ids], dtype=np.bool_)
    sources = [str(name) for name in ctx.config["sources"]]
    pieces = {name: _pieces(HeldOut(ctx.inputs[f"tokens:{name}"]), spaced) for name in sources}
    quota = share(int(ctx.config["items"]), [len(pieces[name]) for name in sources])
    made: list[ClozeItem] = []
    counts: dict[str, int] = {}
    for name, wanted in zip(sources, quota, strict=True):
        items = _items(name, pieces[name], wanted, tokenizer.token_bytes)
        counts[name] = len(items)
        made += items
        if not items:
            ctx.warn(
                f"cloze: {name} has no items: it needs {CHOICES} held-out documents of at least "
                f"{CONTEXT_TOKENS + CHOICE_TOKENS} tokens"
            )
    if not made:
        raise RunError(
            "no source has enough held-out documents for the cloze task",
            remedy="Take cloze out of `evaluate`, or give the sources more groups.",
        )
    made.sort(key=lambda item: (item.source, item.item))
    table = pa.table(
        {
            "source": [item.source for item in made],
            "item": [item.item for item in made],
            "cluster": [item.cluster for item in made],
            "context": [item.context.tolist() for item in made],
            "choices": [[choice.tolist() for choice in item.choices] for item in made],
            "gold": [item.gold for item in made],
            "answer_bytes": [item.answer_bytes for item in made],
        },
        schema=SCHEMA,
    )
    pq.write_table(table, ctx.out / FILE, compression="zstd", write_statistics=False)
    return {"items": len(made), "by_source": counts, "choices": CHOICES, "chance": 1 / CHOICES}


def evaluate_cloze(ctx: StepContext) -> Json:
    """Step function: one checkpoint on the items of one source.

    `config`: task (the source's name), context, record. `inputs`: "checkpoint", "items" (of `make_cloze_items`).
    """
    if int(ctx.config["context"]) < MIN_CLOZE_CONTEXT:
        raise RequestError(
            f"the cloze task needs a context length of {MIN_CLOZE_CONTEXT}, not {ctx.config['context']}",
            remedy="Take cloze out of `evaluate`, or use a longer context.",
        )
    source = str(ctx.config["task"])
    items = [item for item in read_items(ctx.inputs["items"].file(FILE)) if item.source == source]
    values: list[ItemValue] = []
    if items:
        conditional, alone = log_likelihoods(scorer_for(ctx), items)
        for index, item in enumerate(items):
            values += item_values(item, conditional[index], alone[index])
    return write_items(ctx.out, [(Task(source, "cloze", chance=CHANCE["cloze"]), values)])


def log_likelihoods(scorer: Scorer, items: Sequence[ClozeItem]) -> tuple[Floats, Floats]:
    """log p of each choice given its context, and given the mark alone: two arrays [items, choices], in nats."""
    mark = np.array([scorer.mark], dtype=np.int64)
    passages = [
        Passage(np.concatenate([item.context, choice]), first=len(item.context))
        for item in items
        for choice in item.choices
    ]
    passages += [Passage(np.concatenate([mark, choice])) for item in items for choice in item.choices]
    sums = np.array([float(scores.logprobs.sum()) for scores in scorer.score(passages)])
    conditional, alone = sums.reshape(2, len(items), CHOICES)
    return conditional, alone


def item_values(item: ClozeItem, conditional: Floats, alone: Floats) -> list[ItemValue]:
    """The metrics of one item, from the log-likelihoods of its choices [choices]."""
    score = conditional - alone
    wrong = np.delete(score, item.gold)
    best = float(score.max())
    probability = math.exp(float(score[item.gold]) - best) / float(np.exp(score - best).sum())
    bits = -float(conditional[item.gold]) / math.log(2)

    def value(metric: str, number: float, weight: float = 1.0) -> ItemValue:
        return ItemValue(metric, item.item, item.cluster, number, weight)

    return [
        value("accuracy", float(int(np.argmax(score)) == item.gold)),
        value("answer_bits_per_byte", bits, float(item.answer_bytes)),
        value("margin", float(score[item.gold] - wrong.max()) / math.log(2)),
        value("correct_choice_probability", probability),
    ]


def read_items(path: Path) -> list[ClozeItem]:
    """The items that `make_cloze_items` wrote."""
    return [
        ClozeItem(
            row["source"],
            row["item"],
            row["cluster"],
            np.array(row["context"], dtype=np.int64),
            tuple(np.array(choice, dtype=np.int64) for choice in row["choices"]),
            row["gold"],
            row["answer_bytes"],
        )
        for row in pq.read_table(path).to_pylist()
    ]


def share(total: int, available: Sequence[int]) -> list[int]:
    """Share `total` evenly over parts that hold `available`; what a part lacks goes to the others.

    The parts' shares differ by at most one where both still had more. Earlier parts get the odd ones.
    """
    shares = [0] * len(available)
    for _ in range(min(total, sum(available))):
        _, part = min((shares[part], part) for part, most in enumerate(available) if shares[part] < most)
        shares[part] += 1
    return shares


def _pieces(held_out: HeldOut, spaced: NDArray[np.bool_]) -> list[_Piece]:
    """Places to cut, in order of preference: one for each document first, then second ones; each by hash."""
    span = CONTEXT_TOKENS + CHOICE_TOKENS
    found: list[tuple[int, str, _Piece]] = []
    for document in range(len(held_out)):
        tokens = held_out.text(document)
        if len(tokens) < span:
            continue
        half = len(tokens) // 2
        digest = _hash("cloze", held_out.shas[document])
        ranges = [(0, half), (half, len(tokens))] if half >= span else [(0, len(tokens))]
        if int(digest[:8], 16) % 2:
            ranges.reverse()
        for turn, (begin, end) in enumerate(ranges):
            first, last = begin + CONTEXT_TOKENS, end - CHOICE_TOKENS
            at = first + int(_hash(digest, str(turn))[:12], 16) % (last - first + 1)
            at = _at_space(tokens, at, first, last, spaced)
            piece = _Piece(
                document,
                f"{held_out.ids[document]}#{at}",
                held_out.groups[document],
                tokens[at - CONTEXT_TOKENS : at],
                tokens[at : at + CHOICE_TOKENS],
            )
            found.append((turn, digest, piece))
    if len({piece.document for _, _, piece in found}) < CHOICES:
        return []
    return [piece for _, _, piece in sorted(found, key=lambda entry: entry[:2])]


def _at_space(tokens: Ints, at: int, first: int, last: int, spaced: NDArray[np.bool_]) -> int:
    """The first place from `at` to `last` whose token begins with white space; else the last before; else `at`."""
    hits = first + np.flatnonzero(spaced[tokens[first : last + 1]])
    if not len(hits):
        return at
    return int(hits[min(int(np.searchsorted(hits, at)), len(hits) - 1)])


def _items(source: str, pieces: Sequence[_Piece], wanted: int, lengths: NDArray[np.int32]) -> list[ClozeItem]:
    items = []
    pool = pieces[: max(wanted, DISTRACTOR_POOL)]
    for piece in pieces[:wanted]:
        others = [other for other in pool if other.document != piece.document]
        others.sort(key=lambda other: _hash(piece.item, other.item))
        wrong: list[Ints] = []
        for other in others:
            if not any(np.array_equal(other.answer, choice) for choice in [piece.answer, *wrong]):
                wrong.append(other.answer)
            if len(wrong) == CHOICES - 1:
                break
        if len(wrong) < CHOICES - 1:
            continue
        gold = int(_hash("gold", piece.item)[:8], 16) % CHOICES
        choices = (*wrong[:gold], piece.answer, *wrong[gold:])
        size = int(lengths[piece.answer].sum())
        items.append(ClozeItem(source, piece.item, piece.cluster, piece.context, choices, gold, size))
    return items


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
