"""Finds benchmark items in documents: what is hit, where, and by how much.

Guarantees: what is found in a document depends on that document and the index alone, not on its neighbours, shards or
workers; text added around an item never hides it; white space never changes a match by characters. Does not: drop
documents, or find paraphrases and translations. The definition is `spec`'s, the search `matching`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pretrial.corpus.contamination.benchmark_texts import CODE, PARTS, PROSE
from pretrial.corpus.contamination.index import Index, Limits
from pretrial.corpus.contamination.matching import (
    Characters,
    Span,
    Stream,
    Words,
    by_text,
    match,
    nearest,
    overlaps,
    stretches,
)
from pretrial.corpus.contamination.symbols import Ints, character_places, word_places

EXCERPT = 240
"""Most characters of an excerpt."""

_TAIL = 77


@dataclass(frozen=True, order=True)
class Hit:
    """An item's part in a document.

    Attributes:
        benchmark, item: whose it is.
        part: one of `benchmark_texts.PARTS`.
        kind: how it was compared, as "prose" or "code".
        overlap: share of its words or characters (`spec`).
        start, end: characters of the document.
    """

    benchmark: str
    item: str
    part: str
    kind: str
    overlap: float
    start: int
    end: int


_Found = tuple[int, str, Span]
"""An item's number, a part of it, and where that is."""


class Scanner:
    """Looks for the items of an index in texts.

    Args:
        index: what to look for.
        shares: `spec.SHARES`.
    """

    def __init__(self, index: Index, shares: Mapping[str, float]) -> None:
        self._index = index
        self._shares = dict(shares)
        self._grams = {PROSE: index.prose, CODE: index.code}
        self._limits = {kind: Limits.of(kind, index.matching) for kind in self._grams}
        # The lowest share from which a text counts for one of those that it belongs to.
        by_part = np.array([shares[part] for part in PARTS])
        self._least = {}
        for kind, grams in self._grams.items():
            least = np.full(len(grams.lengths), np.inf)
            np.minimum.at(least, grams.owner_text, by_part[grams.owner_part])
            self._least[kind] = least

    def scan(self, texts: Sequence[str]) -> list[list[Hit]]:
        """The hits in each text, sorted; of an item's part only the best one, of equal ones the first.

        A part that is found as prose and as code is shown as code where both hold as much of it.
        """
        found: list[dict[tuple[int, str], Hit]] = [{} for _ in texts]
        # One kind after the other: the symbols of both would be held at once.
        for kind in (PROSE, CODE):
            for document, best in self._best(kind, texts).items():
                for key, hit in self._hits(kind, texts[document], best):
                    known = found[document].get(key)
                    if known is None or hit.overlap >= known.overlap:
                        found[document][key] = hit
        return [sorted(of_text.values()) for of_text in found]

    def _best(self, kind: str, texts: Sequence[str]) -> dict[int, dict[tuple[int, str], Span]]:
        """Of each document with any, the best place of each part of an item, in symbols of the document."""
        stream: Stream = Words(texts, self._index.vocabulary) if kind == PROSE else Characters(texts)
        best: dict[int, dict[tuple[int, str], Span]] = {}
        for item, part, span in self._found(kind, stream):
            start = int(stream.starts[span.document])
            own = Span(span.document, span.text, span.overlap, span.start - start, span.end - start)
            known = best.setdefault(span.document, {}).setdefault((item, part), own)
            if (-own.overlap, own.start, own.end) < (-known.overlap, known.start, known.end):
                best[span.document][item, part] = own
        return best

    def _hits(
        self, kind: str, text: str, best: Mapping[tuple[int, str], Span]
    ) -> Iterator[tuple[tuple[int, str], Hit]]:
        """The hits of a document, their places in characters."""
        spans = list(best.values())
        ends = np.array([[span.start, span.end - 1] for span in spans], np.int64)
        wanted, place = np.unique(ends, return_inverse=True)
        places = (word_places if kind == PROSE else character_places)(text, wanted)[place.reshape(-1, 2)]
        for ((item, part), span), (first, last) in zip(best.items(), places.tolist(), strict=True):
            benchmark = self._index.benchmarks[self._index.item_benchmark[item]]
            name = self._index.item_name[item]
            yield (item, part), Hit(benchmark, name, part, kind, span.overlap, first[0], last[1])

    def _found(self, kind: str, stream: Stream) -> Iterator[_Found]:
        """Parts of items in a stream; one may come more than once."""
        grams, limits = self._grams[kind], self._limits[kind]
        spans: dict[tuple[int, int], Span] = {}
        short: list[tuple[Ints, Ints]] = []
        for low, high, core in stretches(stream, limits.longest):
            matches = match(grams, stream, low, high)
            mine = matches.whole_at < core
            short.append((matches.whole_at[mine], matches.whole_text[mine]))
            for span in overlaps(grams, stream, matches, self._least[kind], limits.longest):
                known = spans.setdefault((span.document, span.text), span)
                if (-span.overlap, span.start) < (-known.overlap, known.start):
                    spans[span.document, span.text] = span
        questions: list[tuple[int, int, Ints, int]] = []
        for span in spans.values():
            for item, part in grams.owners(span.text):
                if span.overlap >= self._shares[part]:
                    yield item, part, span
                    if part == "question":
                        questions.append((item, span.document, np.array([span.start]), span.end - span.start))
        for document, text, places in by_text(stream, short):
            length = int(grams.lengths[text])
            span = Span(document, text, 1.0, int(places[0]), int(places[0]) + length)
            for item, part in grams.owners(text):
                if kind == CODE or (part != "answer" and length >= limits.alone):
                    yield item, part, span
                    if part == "question":
                        questions.append((item, document, places, length))
                else:
                    yield from self._pair(stream, document, places, item, part, text)
        if kind == PROSE:
            for item, document, places, length in questions:
                yield from self._answers(stream, document, places, length, item)

    def _pair(self, stream: Stream, document: int, places: Ints, item: int, part: str, text: int) -> Iterator[_Found]:
        """A short question and its answer near each other; `part` of them is `text`, which stands at the places."""
        grams, limits = self._index.prose, self._limits[PROSE]
        length = int(grams.lengths[text])
        for other_part, other in grams.texts_of(item):
            if {part, other_part} != {"question", "answer"}:
                continue
            question, answer = (text, other) if part == "question" else (other, text)
            looked_up = limits.sought(int(grams.lengths[question]), int(grams.lengths[answer]))
            if looked_up != ("question", "answer").index(part):
                continue
            near = self._near(stream, document, other, places, length)
            if near is not None:
                place, there = near
                yield item, part, Span(document, text, 1.0, place, place + length)
                yield item, other_part, Span(document, other, 1.0, there, there + int(grams.lengths[other]))

    def _answers(self, stream: Stream, document: int, places: Ints, length: int, item: int) -> Iterator[_Found]:
        """Short answers near a question that counts."""
        grams = self._index.prose
        for part, text in grams.texts_of(item):
            size = int(grams.lengths[text])
            if part == "answer" and size < self._limits[PROSE].n:
                near = self._near(stream, document, text, places, length)
                if near is not None:
                    yield item, part, Span(document, text, 1.0, near[1], near[1] + size)

    def _near(self, stream: Stream, document: int, text: int, places: Ints, length: int) -> tuple[int, int] | None:
        symbols = self._index.prose.text_symbols(text)
        values = self._index.word_values[symbols]
        return nearest(stream, document, symbols, values, places, length, self._index.matching["near_words"])


def excerpt(text: str, hit: Hit) -> str:
    """What a hit matched, in one line; the middle of a long one left out."""
    matched = text[hit.start : hit.end]
    if len(matched) > EXCERPT:
        matched = f"{matched[: EXCERPT - _TAIL - 3]} … {matched[-_TAIL:]}"
    return " ".join(matched.split())
