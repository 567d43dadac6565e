"""What each source really gave in each stage of a variant.

Guarantees: counted from the sequences the stream gives, not from what was asked; requested and realised
agree or `RunError` is raised; memory is bounded by a few bytes per window and per document of a source,
whatever the length of the run. It reads the tokens of every sequence once, to count the bytes of their
targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pretrial.errors import RunError
from pretrial.execute.context import Json, StepContext
from pretrial.mixture.stream import Stream, TokenFiles, course_stream

Ints = NDArray[np.int64]
_CHUNK_TOKENS = 1 << 22


@dataclass(frozen=True)
class LedgerStage:
    """Sequences [first, end) of a variant, and the shares that its study file asks for there."""

    name: str
    first: int
    end: int
    shares: Mapping[str, Fraction]


def make_ledger(ctx: StepContext) -> Json:
    """Step "ledger": the rows of one variant under one seed.

    Config: the variant's `course` (see `course_stream`), and `stages`: [{name, first, last (tokens), shares
    {source: [n, d]}}], all of them from the variant's start. Inputs: `tokenizer`, `tokens:<source>` for every source,
    and the variant's last `checkpoint`, whose own count of what it was trained on must agree. The facts hold the
    `rows`; no file is written.
    """
    context = int(ctx.config["course"]["context"])
    stream = course_stream(ctx.config["course"], ctx.inputs)
    stages = [
        LedgerStage(
            stage["name"],
            _sequences(stage["first"], context),
            _sequences(stage["last"], context),
            {name: Fraction(*share) for name, share in stage["shares"].items()},
        )
        for stage in ctx.config["stages"]
    ]
    rows = ledger_rows(stream, stages, np.load(ctx.inputs["tokenizer"].file("token_bytes.npy")))
    trained = ctx.inputs["checkpoint"].facts["source_tokens"]
    counted: dict[str, int] = {}
    for row in rows:
        counted[row["source"]] = counted.get(row["source"], 0) + row["realised_tokens"]
    for source in {**counted, **trained}:
        if counted.get(source, 0) != trained.get(source, 0):
            raise RunError(
                f"the ledger counts {counted.get(source, 0):,} tokens of {source} and training "
                f"{trained.get(source, 0):,}",
                remedy="This is a defect of Pretrial: please report it with the study file.",
            )
    return {"rows": rows}


def _sequences(tokens: int, context: int) -> int:
    sequences, rest = divmod(tokens, context)
    if rest:
        raise ValueError(f"{tokens} tokens are not whole sequences of {context}")
    return sequences


def ledger_rows(
    stream: Stream, stages: Sequence[LedgerStage], token_bytes: NDArray[np.integer[Any]]
) -> list[dict[str, Any]]:
    """Rows of the ledger, by stage and then by source in the order of the stage's shares.

    `stages`: all stages of the variant from its first sequence on, without gaps (epochs and replays are
    counted over the whole variant). `token_bytes`: UTF-8 bytes of each token id [vocabulary]; 0 for the
    mark.

    Columns (docs/decisions.md, section 8): `requested_share`; `requested_tokens` (share of the stage, to
    the nearest token); `realised_tokens`; `bytes` and `documents` of the targets; `unique_tokens`: targets
    of distinct windows of this stage; `epochs`: draws up to the end of this stage over windows in the
    source; `fresh_tokens`: targets of windows drawn for the first time in this variant; `replayed_tokens`:
    the rest; `mean_attended_context`: input tokens in reach of a target, itself included, on average.

    Raises `ValueError` for stages with gaps, and `RunError` where what was given differs from what was
    asked by more than a sequence, or where a source with a share gave nothing.
    """
    _check_stages(stream, stages)
    totals = {name: _Source(stream.files[name]) for name in stream.sources}
    rows = []
    for stage in stages:
        for source in totals.values():
            source.begin_stage()
        step = max(1, _CHUNK_TOKENS // stream.context)
        for first in range(stage.first, stage.end, step):
            at = stream.locate(np.arange(first, min(first + step, stage.end)))
            for index, name in enumerate(stream.sources):
                windows = at.window[at.source == index]
                if windows.size:
                    totals[name].add(windows, token_bytes)
        _check_shares(stream, stage, {name: source.sequences for name, source in totals.items()})
        for name, share in stage.shares.items():
            rows.append({"stage": stage.name, "source": name} | _row(totals[name], share, stage, stream.context))
    return rows


class _Source:
    """Running counts of one source: of the current stage, and of the variant so far."""

    def __init__(self, files: TokenFiles) -> None:
        self.files = files
        self.draws = 0
        self.drawn_before = np.zeros(files.windows, dtype=bool)
        self.begin_stage()

    def begin_stage(self) -> None:
        self.drawn_now = np.zeros(self.files.windows, dtype=bool)
        # +1 where a run of documents with targets begins, −1 where it ends: one pass counts them.
        self.edges = np.zeros(self.files.documents + 1, dtype=np.int64)
        self.sequences = self.fresh = self.bytes = self.reach = 0

    def add(self, windows: Ints, token_bytes: NDArray[np.integer[Any]]) -> None:
        self.sequences += windows.size
        self.draws += windows.size
        distinct = np.unique(windows)
        self.fresh += int(np.count_nonzero(~self.drawn_before[distinct]))
        self.drawn_before[distinct] = True
        self.drawn_now[distinct] = True
        first, last = self.files.document_range(windows)
        np.add.at(self.edges, first, 1)
        np.add.at(self.edges, last + 1, -1)
        self.reach += _reach(self.files, windows, first, last)
        for window in windows.tolist():
            self.bytes += int(token_bytes[self.files.read(window)[1:]].sum(dtype=np.int64))

    @property
    def documents(self) -> int:
        return int(np.count_nonzero(np.cumsum(self.edges)))


def _reach(files: TokenFiles, windows: Ints, first: Ints, last: Ints) -> int:
    """Sum over targets of the input tokens they attend to.

    A window falls into pieces, one per document; a piece of L positions contributes 1 + 2 + … + L.
    """
    pieces = last - first + 1
    window = np.repeat(windows * files.context, pieces)
    before = np.repeat(np.cumsum(pieces) - pieces, pieces)
    document = np.arange(window.size) - before + np.repeat(first, pieces)
    begin = np.maximum(window, np.asarray(files.starts[document]) - 1)
    end = np.minimum(window + files.context, np.asarray(files.starts[document + 1]) - 1)
    length = end - begin
    return int((length * (length + 1) // 2).sum())


def _row(source: _Source, share: Fraction, stage: LedgerStage, context: int) -> dict[str, Any]:
    realised = source.sequences * context
    return {
        "requested_share": float(share),
        "requested_tokens": round(share * (stage.end - stage.first) * context),
        "realised_tokens": realised,
        "bytes": source.bytes,
        "documents": source.documents,
        "unique_tokens": int(np.count_nonzero(source.drawn_now)) * context,
        "epochs": source.draws / source.files.windows,
        "fresh_tokens": source.fresh * context,
        "replayed_tokens": realised - source.fresh * context,
        "mean_attended_context": source.reach / realised,
    }


def _check_stages(stream: Stream, stages: Sequence[LedgerStage]) -> None:
    at = stream.segments[0].start_sequence
    for stage in stages:
        if stage.first != at or stage.end <= stage.first:
            raise ValueError(
                f"stage {stage.name!r} has the sequences {stage.first} to {stage.end}; it must start at {at}"
            )
        at = stage.end


def _check_shares(stream: Stream, stage: LedgerStage, given: Mapping[str, int]) -> None:
    """The invariant: within one sequence of its share at every prefix of every mixture's pattern.

    A stage may hold several patterns (replayed data starts one anew) and begin inside one, so what is asked is the
    sum over the patterns in it; each end of a pattern cut by the stage may be off by one sequence.
    """
    starts = [segment.start_sequence for segment in stream.segments]
    spans = zip(stream.segments, [*starts[1:], stage.end], strict=True)
    patterns = {
        segment.pattern_start
        for segment, end in spans
        if max(segment.start_sequence, stage.first) < min(end, stage.end)
    }
    slack = Fraction(sum(1 if start >= stage.first else 2 for start in patterns))
    for name in dict.fromkeys([*stage.shares, *given]):
        share = stage.shares.get(name, Fraction(0))
        realised = given.get(name, 0)
        requested = share * (stage.end - stage.first)
        where = f"stage {stage.name}, source {name}"
        if abs(realised - requested) > slack or (share == 0 and realised):
            raise RunError(
                f"{float(requested * stream.context):,.0f} tokens were asked for and "
                f"{realised * stream.context:,} were given",
                where=where,
                remedy="The mixture that was trained is not the one asked for; this is a defect of Pretrial.",
            )
        if share > 0 and realised == 0:
            raise RunError(
                f"its share of {float(share):.4%} rounds to nothing in {stage.end - stage.first} sequences",
                where=where,
                remedy="Give it a larger share, or the stage more tokens.",
            )
