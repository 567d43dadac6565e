"""Anchors beside bits per byte: what a 3-gram model of the same tokens, and a general compressor, reach.

Guarantees: the 3-gram model (`pretrial.evaluate.ngram`) learns from the very windows that a variant draws with its
first seed, each distinct window once (a window drawn again teaches an n-gram model nothing, and would spoil its
counts of counts), up to the first 20M tokens; it scores the same documents, tokens and end marks over the same bytes
as the model does. zstd (level 19) compresses the same documents, joined in order; it has read nothing else before.

Does not do: compare. An anchor has no checkpoint: it belongs to a course of training and its data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

from pretrial.evaluate.cloze import FILE, ClozeItem, item_values, read_items
from pretrial.evaluate.documents import Document, HeldOut, choose_documents, total_bytes
from pretrial.evaluate.ngram import TrigramModel
from pretrial.evaluate.rows import ItemValue, Json, Task, write_items
from pretrial.evaluate.spec import CHANCE
from pretrial.execute.context import StepContext
from pretrial.mixture.stream import Stream, course_stream
from pretrial.tokens.tokenizer import TextTokenizer

Ints = NDArray[np.int64]

ZSTD_LEVEL = 19
NGRAM_TOKENS = 20_000_000
"""Most tokens that a 3-gram model learns from: the first ones drawn."""


def evaluate_anchors(ctx: StepContext) -> Json:
    """Step function: the anchors of one variant's course of training on one domain, or on one source's cloze items.

    `config`: category and task (a source's name), bytes (budget of a domain), course (see
    `pretrial.mixture.stream.course_stream`) and to_tokens (how far it goes). `inputs`: "tokens:<source>" (training
    tokens of each source drawn), "held-out" (held-out tokens of the domain; for the category "cloze" instead
    "items"), "tokenizer".
    """
    tokenizer = TextTokenizer(ctx.inputs["tokenizer"].path)
    model, learned = _learned(ctx, tokenizer.vocabulary)
    name, category = str(ctx.config["task"]), str(ctx.config["category"])
    if category == "cloze":
        items = [item for item in read_items(ctx.inputs["items"].file(FILE)) if item.source == name]
        task = Task(name, category, chance=CHANCE["cloze"])
        values = ngram_accuracy(model, items, tokenizer.mark)
        return write_items(ctx.out, [(task, values)], learned_tokens=learned)
    documents = choose_documents(HeldOut(ctx.inputs["held-out"]), int(ctx.config["bytes"]), tokenizer.token_bytes)
    values = [
        ItemValue("bits_per_byte_3gram", document.id, document.cluster, bits, float(document.bytes))
        for document, bits in zip(documents, ngram_bits(model, documents, tokenizer.mark), strict=True)
    ]
    packed = 8.0 * compressed_bytes(documents, tokenizer)
    size = float(total_bytes(documents))
    values.append(ItemValue("bits_per_byte_zstd", "all documents", "all documents", packed, size))
    return write_items(ctx.out, [(Task(name, category), values)], learned_tokens=learned)


def ngram_bits(model: TrigramModel, documents: Sequence[Document], mark: int) -> list[float]:
    """Bits of each document under the 3-gram model: its tokens, and its end mark where its end is there."""
    bits = []
    for document in documents:
        end = [mark] if document.whole else []
        stream = np.concatenate([[mark], document.tokens, end]).astype(np.int64)
        bits.append(-float(model.logprobs(stream).sum()) / math.log(2))
    return bits


def compressed_bytes(documents: Sequence[Document], tokenizer: TextTokenizer) -> int:
    """Size of the documents, joined, under zstd at level 19."""
    text = b"".join(tokenizer.decode_bytes(document.tokens) for document in documents)
    return len(zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(text))


def ngram_accuracy(model: TrigramModel, items: Sequence[ClozeItem], mark: int) -> list[ItemValue]:
    """Accuracy of the 3-gram model on cloze items, by the same score."""
    values = []
    for item in items:
        conditional = [
            float(model.logprobs(np.concatenate([item.context, choice]))[-len(choice) :].sum())
            for choice in item.choices
        ]
        alone = [float(model.logprobs(np.concatenate([[mark], choice])).sum()) for choice in item.choices]
        accuracy = item_values(item, np.array(conditional), np.array(alone))[0]
        values.append(ItemValue("accuracy_3gram", item.item, item.cluster, accuracy.value))
    return values


def _learned(ctx: StepContext, vocabulary: int) -> tuple[TrigramModel, int]:
    """The 3-gram model of a course and the tokens it learned from; the last one is kept for the next domain."""
    course = {name: ctx.config[name] for name in ("course", "to_tokens")}
    contents = {n: given.facts["contents"]["stream"] for n, given in ctx.inputs.items() if n.startswith("tokens:")}
    key = json.dumps([course, contents, ctx.inputs["tokenizer"].content], sort_keys=True)
    if key not in _LAST:
        _LAST.clear()
        _LAST[key] = _learn(ctx, vocabulary)
    return _LAST[key]


_LAST: dict[str, tuple[TrigramModel, int]] = {}


def _learn(ctx: StepContext, vocabulary: int) -> tuple[TrigramModel, int]:
    stream = course_stream(ctx.config["course"], ctx.inputs)
    context = stream.context
    at = stream.locate(np.arange(int(ctx.config["to_tokens"]) // context))
    drawn = np.stack([at.source.astype(np.int64), at.window], axis=1)
    _, first = np.unique(drawn, axis=0, return_index=True)
    kept = drawn[np.sort(first)[: max(1, NGRAM_TOKENS // context)]]
    model = TrigramModel.from_windows(vocabulary, _windows(stream, kept))
    return model, len(kept) * context


def _windows(stream: Stream, drawn: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Tokens [n, C + 1] and segments [n, C] of the windows named by rows of (source, window)."""
    span = np.arange(stream.context + 1)
    for index, name in enumerate(stream.sources):
        files = stream.files[name]
        windows = np.sort(drawn[drawn[:, 0] == index, 1])
        if len(windows):
            at = windows[:, None] * stream.context
            yield files.tokens[at + span].astype(np.int64), files.segments(windows).astype(np.int64)
