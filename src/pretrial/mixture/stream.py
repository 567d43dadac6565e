"""The training stream of one variant: sequence number in, tokens and attention segments out.

Guarantees: a pure function of the segments, the files and the seeds. There is no iterator and no rank
state: any process may ask for any sequence in any order and gets the same tokens, so the stream is the same
for every number of ranks. Token files stay on disk (memory-mapped); a batch copies only its own windows.

A sequence is one window of one source: `context + 1` tokens and exactly `context` loss-bearing targets.
Attention segments come from the stored document offsets; nothing looks for the mark in the tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pretrial.errors import RunError
from pretrial.execute.context import ArtefactLike
from pretrial.mixture.order import SourceOrder
from pretrial.mixture.quota import Quota

Ints = NDArray[np.int64]


class TokenFiles:
    """The training tokens of one source, memory-mapped.

    `path`: folder with `tokens.npy` (the stream mark d₁ mark d₂ … mark) and `starts.npy` (position of each
    document's first token, then the length of the stream). `content`: hash that keys the source's order.
    """

    def __init__(self, path: Path, context: int, content: str) -> None:
        if context < 1:
            raise ValueError(f"a context must have at least one token, not {context}")
        self.path = Path(path)
        self.context = context
        self.content = content
        self.tokens: NDArray[np.unsignedinteger] = np.load(self.path / "tokens.npy", mmap_mode="r")
        self.starts: Ints = np.load(self.path / "starts.npy", mmap_mode="r")
        if int(self.starts[-1]) != len(self.tokens):
            raise RunError(
                f"the offsets end at {int(self.starts[-1]):,} and the tokens at {len(self.tokens):,}",
                where=str(self.path),
                remedy="The files are damaged: delete this artefact and run again.",
            )
        self.windows = max(0, len(self.tokens) - 1) // context

    def __repr__(self) -> str:
        return f"TokenFiles({str(self.path)!r}, context={self.context}, windows={self.windows})"

    @property
    def documents(self) -> int:
        """Documents in the stream."""
        return len(self.starts) - 1

    @property
    def dropped(self) -> int:
        """Targets in the partial last window, which is never drawn."""
        return max(0, len(self.tokens) - 1) - self.windows * self.context

    def read(self, window: int) -> NDArray[np.unsignedinteger]:
        """The context + 1 tokens of one window, as a view of the file."""
        at = window * self.context
        return self.tokens[at : at + self.context + 1]

    def document_of(self, targets: ArrayLike) -> Ints:
        """Document whose tokens or closing mark stand at stream positions `targets` (each at least 1)."""
        return np.searchsorted(self.starts, np.asarray(targets), side="right").astype(np.int64) - 1

    def document_range(self, windows: ArrayLike) -> tuple[Ints, Ints]:
        """First and last document that has a target in each window."""
        at = np.asarray(windows, dtype=np.int64) * self.context
        return self.document_of(at + 1), self.document_of(at + self.context)

    def segments(self, windows: ArrayLike) -> NDArray[np.int32]:
        """Attention segment of each input position: [n, context], from 0 in each window, rising.

        An input position has the segment of its target, since the mark that ends a document opens the next
        one.
        """
        at = np.asarray(windows, dtype=np.int64).reshape(-1, 1) * self.context
        document = self.document_of(at + np.arange(1, self.context + 1))
        return (document - document[:, :1]).astype(np.int32)

    def names(self, documents: range) -> list[str]:
        """Ids of documents, from `ids.txt` beside the tokens; their numbers where that file is missing."""
        listed = self.path / "ids.txt"
        if not listed.is_file():
            return [f"document {number}" for number in documents]
        with listed.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in islice(lines, documents.start, documents.stop)]


def token_files(tokens: ArtefactLike, context: int) -> TokenFiles:
    """The files of a step "tokens"; their order is keyed by the tokens alone, not by what documents are called."""
    return TokenFiles(tokens.path, context, tokens.facts["contents"]["stream"])


@dataclass(frozen=True)
class StreamSegment:
    """One mixture, from a sequence on until the next segment starts.

    `start_sequence` counts the sequences of the whole variant. `first_draw[i]` is the draw that source i
    starts with: where it stopped before (data carried) or 0 (replay). `pattern_start` is the sequence where
    the interleaving pattern started: before this segment where the mixture only goes on, under another
    learning rate say; left out, the segment's own start. `next_segment` computes both.
    """

    start_sequence: int
    sources: tuple[str, ...]
    shares: tuple[Fraction, ...]
    first_draw: tuple[int, ...]
    pattern_start: int = -1

    def __post_init__(self) -> None:
        if self.start_sequence < 0:
            raise ValueError(f"a segment cannot start at sequence {self.start_sequence}")
        if self.pattern_start < 0:
            object.__setattr__(self, "pattern_start", self.start_sequence)
        if self.pattern_start > self.start_sequence:
            raise ValueError(f"the pattern of a segment cannot start after it, at sequence {self.pattern_start}")
        if not len(self.sources) == len(self.shares) == len(self.first_draw):
            raise ValueError("a segment needs one share and one first draw for each source")
        if len(set(self.sources)) != len(self.sources):
            raise ValueError(f"a source is named twice in one segment: {', '.join(self.sources)}")
        if any(draw < 0 for draw in self.first_draw):
            raise ValueError(f"a first draw cannot be negative: {self.first_draw}")

    @cached_property
    def quota(self) -> Quota:
        """The interleaving pattern, from `pattern_start` on."""
        return Quota(self.shares)

    def source(self, t: ArrayLike) -> NDArray[np.int32]:
        """Index of the source of the segment's sequence `t` (counted from 0); same shape as `t`."""
        return self.quota.source(np.asarray(t, dtype=np.int64) + self._offset)

    def given(self, t: ArrayLike) -> Ints:
        """Sequences of each source among the segment's first `t`: shape of `t` + [sources]."""
        return self.quota.count(np.asarray(t, dtype=np.int64) + self._offset) - self.quota.count(self._offset)

    @property
    def _offset(self) -> int:
        return self.start_sequence - self.pattern_start


def carry_draws(segments: Sequence[StreamSegment], at_sequence: int, carried: bool = True) -> dict[str, int]:
    """Draw that each source seen so far goes on with after the first `at_sequence` sequences of the variant.

    With `carried` false every source starts again at 0: what it gave before is replayed. A source that a
    segment leaves out keeps its place. A source not in the result has not been drawn: it starts at 0.
    """
    draws: dict[str, int] = {}
    _check_order(segments)
    for index, segment in enumerate(segments):
        if segment.start_sequence >= at_sequence:
            break
        end = segments[index + 1].start_sequence if index + 1 < len(segments) else at_sequence
        given = segment.given(min(end, at_sequence) - segment.start_sequence)
        for name, first, count in zip(segment.sources, segment.first_draw, given, strict=True):
            draws[name] = first + int(count)
    return draws if carried else dict.fromkeys(draws, 0)


def next_segment(
    segments: Sequence[StreamSegment],
    start_sequence: int,
    sources: Sequence[str],
    shares: Sequence[Fraction],
    carried: bool,
) -> StreamSegment:
    """The segment that takes over at `start_sequence`, with its first draws carried or replayed.

    Where the mixture stays and the data is carried, the interleaving pattern runs on too.
    """
    draws = carry_draws(segments, start_sequence, carried)
    before = next((part for part in reversed(segments) if part.start_sequence < start_sequence), None)
    same = before is not None and (before.sources, before.shares) == (tuple(sources), tuple(shares))
    return StreamSegment(
        start_sequence,
        tuple(sources),
        tuple(shares),
        tuple(draws.get(name, 0) for name in sources),
        before.pattern_start if before is not None and same and carried else start_sequence,
    )


@dataclass(frozen=True)
class Located:
    """Where sequences come from; four arrays of one shape."""

    source: NDArray[np.int32]
    """Index into `Stream.sources`."""
    draw: Ints
    epoch: Ints
    window: Ints


@dataclass(frozen=True)
class Batch:
    """Consecutive sequences of the stream."""

    first: int
    tokens: Ints
    """[n, context + 1]; inputs are [:, :-1], targets [:, 1:]."""
    segments: NDArray[np.int32]
    """[n, context]: attention segment of each input position, from 0 in each row, rising."""
    sources: NDArray[np.int32]
    """[n]: index into `Stream.sources`."""
    draws: Ints
    epochs: Ints
    windows: Ints


class Stream:
    """All sequences of one variant under one seed.

    Raises `ValueError` for segments out of order, and `RunError` for a source that has not one full window.
    """

    def __init__(
        self,
        segments: Sequence[StreamSegment],
        files: Mapping[str, TokenFiles],
        subset_seed: int,
        order_seed: int,
        context: int,
    ) -> None:
        if not segments:
            raise ValueError("a stream needs at least one segment")
        _check_order(segments)
        self.segments = tuple(segments)
        self.context = context
        self.sources = tuple(dict.fromkeys(name for segment in segments for name in segment.sources))
        """Names of all sources, in the order of their first mention."""
        self.files: dict[str, TokenFiles] = {}
        self._orders: list[SourceOrder] = []
        for name in self.sources:
            if name not in files:
                raise ValueError(f"no token files are given for the source {name!r}")
            source = files[name]
            if source.context != context:
                raise ValueError(f"the windows of {name!r} have {source.context} targets, not {context}")
            if source.windows == 0:
                raise RunError(
                    f"the source {name!r} has {len(source.tokens):,} tokens for training, "
                    f"fewer than one window of {context} + 1",
                    remedy="Give it more text, or take it out of the mixtures.",
                )
            self.files[name] = source
            self._orders.append(SourceOrder(source.content, source.windows, subset_seed, order_seed))
        self._starts = np.array([segment.start_sequence for segment in segments], dtype=np.int64)
        number = {name: index for index, name in enumerate(self.sources)}
        self._numbers = [np.array([number[name] for name in segment.sources], dtype=np.int32) for segment in segments]

    def locate(self, indices: ArrayLike) -> Located:
        """Source, draw, epoch and window of sequences, by their absolute index (any shape, any order)."""
        wanted = np.asarray(indices, dtype=np.int64)
        flat = wanted.reshape(-1)
        active = np.searchsorted(self._starts, flat, side="right") - 1
        if flat.size and int(active.min()) < 0:
            raise IndexError(f"sequence {int(flat.min())} lies before the stream's first, {int(self._starts[0])}")
        source = np.empty(flat.shape, dtype=np.int32)
        draw, epoch, window = (np.empty(flat.shape, dtype=np.int64) for _ in range(3))
        for index in np.unique(active):
            segment = self.segments[index]
            here = np.flatnonzero(active == index)
            t = flat[here] - segment.start_sequence
            local = segment.source(t)
            source[here] = self._numbers[index][local]
            given = np.take_along_axis(segment.given(t), local[:, None].astype(np.int64), axis=1)[:, 0]
            draw[here] = given + np.array(segment.first_draw, dtype=np.int64)[local]
        for index in np.unique(source):
            here = np.flatnonzero(source == index)
            epoch[here], window[here] = self._orders[index].window(draw[here])
        shape = wanted.shape
        return Located(source.reshape(shape), draw.reshape(shape), epoch.reshape(shape), window.reshape(shape))

    def batch(self, first: int, count: int) -> Batch:
        """Sequences `first` … `first + count − 1`."""
        at = self.locate(np.arange(first, first + count))
        tokens = np.empty((count, self.context + 1), dtype=np.int64)
        segments = np.empty((count, self.context), dtype=np.int32)
        for index in np.unique(at.source):
            files = self.files[self.sources[index]]
            here = np.flatnonzero(at.source == index)
            for row in here:
                tokens[row] = files.read(int(at.window[row]))
            segments[here] = files.segments(at.window[here])
        return Batch(first, tokens, segments, at.source, at.draw, at.epoch, at.window)

    def documents_of(self, first: int, count: int = 1) -> list[tuple[str, str]]:
        """(source, document id) of every document with a target in these sequences, without repeats."""
        at = self.locate(np.arange(first, first + count))
        found: dict[tuple[str, str], None] = {}
        for source, window in zip(at.source.tolist(), at.window.tolist(), strict=True):
            name = self.sources[source]
            low, high = self.files[name].document_range(window)
            for document in self.files[name].names(range(int(low), int(high) + 1)):
                found[name, document] = None
        return list(found)


def rank_slice(first: int, count: int, rank: int, ranks: int) -> tuple[int, int]:
    """First sequence and number of them that one rank takes of `count` from `first`: contiguous slices.

    The definition of what ranks take, by which the stream is the same for any number of them. Training has one rank.
    """
    if not 0 <= rank < ranks:
        raise ValueError(f"rank {rank} is not one of {ranks}")
    begin, end = count * rank // ranks, count * (rank + 1) // ranks
    return first + begin, end - begin


def _check_order(segments: Sequence[StreamSegment]) -> None:
    starts = [segment.start_sequence for segment in segments]
    if any(later <= earlier for earlier, later in pairwise(starts)):
        raise ValueError(f"segments must start one after the other, not at {starts}")


def course_stream(course: Mapping[str, Any], inputs: Mapping[str, ArtefactLike]) -> Stream:
    """The stream of a step's `course`, over its inputs `tokens:<source>`.

    `course`: {context, subset, order, segments: [{start (tokens), sources, shares [[n, d]], first_draw, pattern_start
    (tokens)}]}: all that acts on which tokens come when, and nothing else, so what only reads the data does not depend
    on how it is trained.
    """
    context = int(course["context"])
    segments = []
    for segment in course["segments"]:
        sequence, rest = divmod(int(segment["start"]), context)
        if rest:
            raise ValueError(f"a segment starts at {segment['start']} tokens, inside a sequence of {context}")
        segments.append(
            StreamSegment(
                sequence,
                tuple(segment["sources"]),
                tuple(Fraction(*share) for share in segment["shares"]),
                tuple(segment["first_draw"]),
                int(segment["pattern_start"]) // context,
            )
        )
    names = dict.fromkeys(name for segment in segments for name in segment.sources)
    files = {name: token_files(inputs[f"tokens:{name}"], context) for name in names}
    return Stream(segments, files, int(course["subset"]), int(course["order"]), context)
