"""Held-out bits per byte of one checkpoint on one domain.

Definition (version 1): −Σ log₂ p of all tokens of the chosen documents, end marks counted, over their raw UTF-8
bytes. Each document stands alone and starts from the mark as input. Windows have the context length and half its
stride: after the first window each scores the half that the one before did not reach, so every token is scored once
and, but for the first window's, with at least half a context before it. Items are documents, clusters their groups.

Does not do: choose domains; say which category a domain is in (the plan knows what no arm trains on).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pretrial.evaluate.documents import Document, HeldOut, choose_documents, total_bytes
from pretrial.evaluate.load import scorer_for
from pretrial.evaluate.rows import ItemValue, Json, Task, write_items
from pretrial.evaluate.scorer import Passage, Scorer
from pretrial.execute.context import StepContext
from pretrial.tokens.tokenizer import TextTokenizer


def windows(length: int, context: int) -> list[tuple[int, int, int]]:
    """Windows over `length` targets: (first input, first scored target, end of targets), at half stride.

    Input i precedes target i (0-based); scored ranges are disjoint, in order, and cover every target.
    """
    stride = max(1, context // 2)
    spans = [(0, 0, min(context, length))]
    while spans[-1][2] < length:
        begin = spans[-1][0] + stride
        spans.append((begin, spans[-1][2], min(begin + context, length)))
    return spans


def document_bits(scorer: Scorer, documents: Sequence[Document]) -> NDArray[np.float64]:
    """Bits of each document: −Σ log₂ p of its tokens, and of its end mark where its end is there."""
    passages: list[Passage] = []
    owner: list[int] = []
    for index, document in enumerate(documents):
        end = [scorer.mark] if document.whole else []
        stream = np.concatenate([[scorer.mark], document.tokens, end]).astype(np.int64)
        for begin, scored, stop in windows(len(stream) - 1, scorer.context):
            passages.append(Passage(stream[begin : stop + 1], first=scored - begin + 1))
            owner.append(index)
    bits = np.zeros(len(documents), dtype=np.float64)
    for index, scores in zip(owner, scorer.score(passages), strict=True):
        bits[index] -= float(scores.logprobs.sum()) / math.log(2)
    return bits


def evaluate_bits_per_byte(ctx: StepContext) -> Json:
    """Step function: one checkpoint on one domain.

    `config`: category ("held-out" or "transfer"), task (the source's name), bytes (budget), context, record.
    `inputs`: "checkpoint", "tokens" (held-out tokens of the source), "tokenizer".
    """
    lengths = TextTokenizer(ctx.inputs["tokenizer"].path).token_bytes
    documents = choose_documents(HeldOut(ctx.inputs["tokens"]), int(ctx.config["bytes"]), lengths)
    scorer = scorer_for(ctx)
    bits = document_bits(scorer, documents)
    values = [
        ItemValue("bits_per_byte", document.id, document.cluster, float(value), float(document.bytes))
        for document, value in zip(documents, bits, strict=True)
    ]
    return write_items(
        ctx.out,
        [(Task(str(ctx.config["task"]), str(ctx.config["category"])), values)],
        bytes=total_bytes(documents),
        tokens=sum(len(document.tokens) + document.whole for document in documents),
        cut_documents=sum(not document.whole for document in documents),
    )
