"""Log-probabilities of tokens under a checkpoint: what every evaluation is computed from.

Guarantees: a passage is scored as if it stood alone. Short passages share rows of a batch, kept apart by attention
segments (rotary attention depends on position differences only, so a place in a row does not matter beyond
rounding). Shapes are fixed: the body always runs on [rows, context], the output layer on [positions, width], and only
for positions that are scored, so nothing is compiled twice and no logits of contexts are made. The same passages in
the same order give the same bits, under one execution record.

Does not do: choose what is scored, or turn numbers into metrics.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Passage:
    """Tokens of which those from `first` on are scored: each given all before it. At most context + 1 tokens."""

    tokens: Ints
    first: int = 1


@dataclass(frozen=True)
class Scores:
    """Natural-log probabilities [n] of a passage's scored tokens, and whether each was the model's first guess."""

    logprobs: Floats
    greedy: NDArray[np.bool_]


class Scorer(Protocol):
    """Anything that scores passages."""

    @property
    def context(self) -> int:
        """Most input tokens of a passage."""

    @property
    def mark(self) -> int:
        """The id that opens and ends documents."""

    def score(self, passages: Sequence[Passage]) -> list[Scores]:
        """Scores of each passage, in order; equal passages are run once."""


Body = Callable[[Tensor, Tensor], Tensor]
Head = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class ModelScorer:
    """A scorer over a model in two parts: tokens and segments to hidden states, hidden states to log-probabilities.

    `body`: tokens [B, C] and segments [B, C] to hidden states [B, C, W]. `head`: hidden states [N, W] and targets [N]
    to log-probabilities [N] (float32) and whether the target was the first guess [N]. B is `rows`, N `positions`.
    """

    def __init__(
        self,
        body: Body,
        head: Head,
        *,
        context: int,
        mark: int,
        rows: int,
        positions: int,
        device: torch.device,
    ) -> None:
        self.context = context
        self.mark = mark
        self.rows = rows
        self.positions = positions
        self.device = device
        self._body, self._head = body, head

    def score(self, passages: Sequence[Passage]) -> list[Scores]:
        """Scores of each passage, in order; equal passages are run once.

        Raises `ValueError` for a passage longer than the context, or with nothing before its first scored token.
        """
        first_seen: dict[tuple[int, bytes], int] = {}
        unique: list[Passage] = []
        places: list[int] = []
        for passage in passages:
            if not 1 <= passage.first <= len(passage.tokens):
                raise ValueError(f"the first scored token is {passage.first} of {len(passage.tokens)}")
            if len(passage.tokens) > self.context + 1:
                raise ValueError(f"a passage of {len(passage.tokens)} tokens, with a context of {self.context}")
            key = (passage.first, passage.tokens.astype(np.int64).tobytes())
            if key not in first_seen:
                first_seen[key] = len(unique)
                unique.append(passage)
            places.append(first_seen[key])
        scored = self._score_unique(unique)
        return [scored[place] for place in places]

    def _score_unique(self, passages: list[Passage]) -> list[Scores]:
        counts = np.array([len(p.tokens) - p.first for p in passages], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        logprobs = np.zeros(int(offsets[-1]), dtype=np.float64)
        greedy = np.zeros(int(offsets[-1]), dtype=np.bool_)
        held: list[Tensor] = []
        targets: list[Ints] = []
        where: list[Ints] = []

        def flush(everything: bool) -> None:
            if not held:
                return
            hidden, wanted, at = torch.cat(held), np.concatenate(targets), np.concatenate(where)
            end = len(wanted) if everything else len(wanted) // self.positions * self.positions
            for begin in range(0, end, self.positions):
                part = slice(begin, min(begin + self.positions, end))
                n = part.stop - part.start
                states = hidden.new_zeros((self.positions, hidden.shape[1]))
                states[:n] = hidden[part]
                goal = torch.zeros(self.positions, dtype=torch.int64)
                goal[:n] = torch.from_numpy(wanted[part])
                values, first = self._head(states, goal.to(self.device))
                logprobs[at[part]] = values[:n].double().cpu().numpy()
                greedy[at[part]] = first[:n].cpu().numpy()
            held[:], targets[:], where[:] = [hidden[end:]], [wanted[end:]], [at[end:]]

        with torch.inference_mode():
            for batch in self._batches(passages):
                tokens, segments, positions, wanted, at = self._fill(batch, passages, offsets)
                if not len(at):
                    continue
                hidden = self._body(tokens.to(self.device), segments.to(self.device))
                held.append(hidden.flatten(0, 1)[torch.from_numpy(positions).to(self.device)].clone())
                targets.append(wanted)
                where.append(at)
                flush(everything=False)
            flush(everything=True)
        bounds = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
        return [Scores(logprobs[begin:end], greedy[begin:end]) for begin, end in bounds]

    def _batches(self, passages: list[Passage]) -> Iterator[list[list[int]]]:
        rows = pack([len(p.tokens) - 1 for p in passages], self.context)
        for begin in range(0, len(rows), self.rows):
            yield rows[begin : begin + self.rows]

    def _fill(
        self, batch: list[list[int]], passages: list[Passage], offsets: Ints
    ) -> tuple[Tensor, Tensor, Ints, Ints, Ints]:
        tokens = np.full((self.rows, self.context), self.mark, dtype=np.int64)
        segments = np.zeros((self.rows, self.context), dtype=np.int32)
        positions: list[Ints] = []
        wanted: list[Ints] = []
        at: list[Ints] = []
        for row, members in enumerate(batch):
            column = 0
            for segment, index in enumerate(members):
                passage = passages[index]
                length = len(passage.tokens) - 1
                tokens[row, column : column + length] = passage.tokens[:-1]
                segments[row, column : column + length] = segment
                begin = row * self.context + column
                positions.append(np.arange(begin + passage.first - 1, begin + length, dtype=np.int64))
                wanted.append(passage.tokens[passage.first :].astype(np.int64))
                at.append(np.arange(offsets[index], offsets[index + 1], dtype=np.int64))
                column += length
            # What is left of a row attends within itself alone.
            segments[row, column:] = len(members)
        join = [np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in (positions, wanted, at)]
        return torch.from_numpy(tokens), torch.from_numpy(segments), join[0], join[1], join[2]


def pack(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Rows of at most `room`, as lists of indices: longest first, each into the fullest row that still takes it.

    Best-fit decreasing; ties go to the earlier index and the earlier row. Every length must be at most `room`.
    """
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        found = bisect_left(free, (lengths[index], -1))
        if found == len(free):
            left, row = room, len(rows)
            rows.append([])
        else:
            left, row = free.pop(found)
        if lengths[index] > left:
            raise ValueError(f"a length of {lengths[index]} does not fit in {room}")
        rows[row].append(index)
        insort(free, (left - lengths[index], row))
    return rows
