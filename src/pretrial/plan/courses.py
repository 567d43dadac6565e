"""What each variant goes through: stages in whole steps, learning rates, the merged chain of segments.

A course is the study's variant made exact. It says nothing of seeds, corpora or machines; `graph` turns it into
steps. Token positions are absolute: counted from the variant's very first token, inherited stages included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from pretrial.errors import RequestError
from pretrial.mixture.stream import StreamSegment, carry_draws, next_segment
from pretrial.model.spec import preset_learning_rate
from pretrial.study.schema import Schedule, Stage, Study
from pretrial.train.spec import LrPiece, Segment, learning_rate, merge, step_learning_rate


@dataclass(frozen=True)
class StagePlan:
    """A stage in whole steps. `first` and `last` are tokens; rates are those of its first and last step."""

    name: str
    first: int
    last: int
    steps: int
    asked: int
    mixture: str
    shares: Mapping[str, Fraction]
    pieces: tuple[LrPiece, ...]
    lr_first: float
    lr_last: float
    cooldown: bool
    inherited_from: str | None

    @property
    def tokens(self) -> int:
        """Tokens that the stage trains."""
        return self.last - self.first

    def piece_at(self, tokens: int) -> LrPiece:
        """The learning-rate piece that acts on the step starting at `tokens`."""
        return [piece for piece in self.pieces if piece.start <= tokens or piece is self.pieces[0]][-1]


@dataclass(frozen=True)
class Course:
    """A variant made exact: its stages (inherited ones first) and the merged segments with their first draws."""

    variant: str
    stages: tuple[StagePlan, ...]
    segments: tuple[Segment, ...]
    stream: tuple[StreamSegment, ...]

    @property
    def end(self) -> int:
        """Tokens at the variant's end."""
        return self.stages[-1].last

    def prefix(self, tokens: int) -> tuple[Segment, ...]:
        """The segments that act before `tokens`."""
        return tuple(segment for segment in self.segments if segment.start < tokens) or self.segments[:1]

    def draws(self, tokens: int, context: int) -> dict[str, int]:
        """Draws of each source in the first `tokens` tokens, replayed ones counted again."""
        total: dict[str, int] = {}
        for index, segment in enumerate(self.stream):
            if segment.start_sequence * context >= tokens:
                break
            stop = self.stream[index + 1].start_sequence if index + 1 < len(self.stream) else tokens // context
            counts = segment.given(min(stop, tokens // context) - segment.start_sequence)
            for source, count in zip(segment.sources, counts, strict=True):
                total[source] = total.get(source, 0) + int(count)
        return total

    def reach(self, tokens: int, context: int) -> dict[str, int]:
        """The furthest draw of each source in the first `tokens` tokens: distinct windows while below the source's."""
        furthest: dict[str, int] = {}
        for index, segment in enumerate(self.stream):
            if segment.start_sequence * context >= tokens:
                break
            stop = self.stream[index + 1].start_sequence if index + 1 < len(self.stream) else tokens // context
            for source, draw in carry_draws(self.stream[: index + 1], min(stop, tokens // context)).items():
                furthest[source] = max(furthest.get(source, 0), draw)
        return furthest


def peak_learning_rate(study: Study, vocabulary: int) -> float:
    """The study's peak learning rate, the preset's where it says so."""
    lr = study.training.optimizer.lr
    return preset_learning_rate(study.model, vocabulary, study.training.batch_tokens) if lr == "preset" else lr


def courses(study: Study, vocabulary: int) -> dict[str, Course]:
    """The course of every variant, in the order of the study."""
    made: dict[str, Course] = {}

    def course(variant: str) -> Course:
        if variant not in made:
            branch = study.variants[variant].start
            parent = course(branch[0]) if branch is not None else None
            made[variant] = _course(study, variant, parent, peak_learning_rate(study, vocabulary))
        return made[variant]

    return {variant: course(variant) for variant in study.variants}


def _course(study: Study, variant: str, parent: Course | None, peak: float) -> Course:
    start = study.start(variant)
    stages = list(_inherited(study, parent, start)) if parent is not None else []
    own = study.variants[variant].stages
    ends = study.boundaries(variant)
    trained = [end for stage, end in zip(own, ends, strict=True) if not stage.cooldown]
    horizon = trained[-1] if trained else start
    first = start
    batch = study.training.batch_tokens
    for index, (stage, last) in enumerate(zip(own, ends, strict=True)):
        pieces = _pieces(study, stage, first, last, horizon, peak, stages)
        made = StagePlan(
            # A stage without a name of its own is numbered on from the inherited ones.
            name=str(len(stages) + 1) if stage.name == str(index + 1) else stage.name,
            first=first,
            last=last,
            steps=study.steps(stage),
            asked=stage.tokens,
            mixture=stage.mixture,
            shares=study.mixtures[stage.mixture],
            pieces=pieces,
            lr_first=0.0,
            lr_last=0.0,
            cooldown=stage.cooldown,
            inherited_from=None,
        )
        stages.append(_with_rates(made, batch))
        first = last
    segments = merge(_segments(study, stages))
    stream: list[StreamSegment] = []
    for i, segment in enumerate(segments):
        sequence = segment.start // study.context
        carried = i == 0 or "data" in segment.carry
        stream.append(next_segment(stream, sequence, segment.sources, segment.shares, carried))
    segments = tuple(
        replace(segment, first_draw=part.first_draw, pattern_start=part.pattern_start * study.context)
        for segment, part in zip(segments, stream, strict=True)
    )
    return Course(variant, tuple(stages), segments, tuple(stream))


def _inherited(study: Study, parent: Course, tokens: int) -> list[StagePlan]:
    batch = study.training.batch_tokens
    kept = []
    for stage in parent.stages:
        if stage.first >= tokens:
            break
        last = min(stage.last, tokens)
        cut = replace(
            stage,
            last=last,
            steps=(last - stage.first) // batch,
            asked=min(stage.asked, last - stage.first),
            # What the parent goes on to after the branch is not the child's.
            pieces=tuple(piece for piece in stage.pieces if piece.start < last),
            inherited_from=stage.inherited_from or parent.variant,
        )
        kept.append(_with_rates(cut, batch))
    return kept


def _with_rates(stage: StagePlan, batch: int) -> StagePlan:
    last_step = stage.last - batch
    return replace(
        stage,
        lr_first=step_learning_rate(stage.piece_at(stage.first), stage.first, batch),
        lr_last=step_learning_rate(stage.piece_at(last_step), last_step, batch),
    )


def _pieces(
    study: Study, stage: Stage, first: int, last: int, horizon: int, peak: float, before: list[StagePlan]
) -> tuple[LrPiece, ...]:
    if stage.cooldown:
        lr = stage.lr
        if lr is None:
            lr = learning_rate(before[-1].piece_at(first - study.training.batch_tokens), first)
        return (LrPiece("linear", lr, start=first, end=last, floor=lr * (stage.floor or 0.0)),)
    schedule = stage.schedule or study.training.schedule
    own_clock = stage.schedule is not None or schedule.clock == "stage"
    start, end = (first, last) if own_clock else (0, horizon)
    lr = stage.lr if stage.lr is not None else peak
    if schedule.decay_tokens is not None and schedule.decay_tokens < study.training.batch_tokens:
        raise RequestError(
            f"a decay of {schedule.decay_tokens:,} tokens is less than one step of {study.training.batch_tokens:,}",
            where=study.where("training.schedule.warmup-stable-decay.decay")
            if stage.schedule is None
            else f"{study.origin}:{stage.line}",
            remedy="Give the decay some steps, or take a constant schedule.",
        )
    return tuple(
        piece
        for piece, until in _schedule(schedule, lr, start, end, study.training.batch_tokens)
        if piece.start < last and until > first
    )


def _schedule(schedule: Schedule, peak: float, start: int, end: int, batch: int) -> list[tuple[LrPiece, int]]:
    """Pieces of a schedule on [start, end), each with the token where the next one takes over."""
    warmup, floor = schedule.warmup_tokens, schedule.floor * peak
    if schedule.kind == "constant":
        return [(LrPiece("constant", peak, start=start, warmup=warmup), end)]
    if schedule.kind == "warmup-stable-decay":
        # On a step boundary, since a segment starts with a step.
        decay = end - (schedule.decay_tokens or 0) // batch * batch
        return [
            (LrPiece("constant", peak, start=start, warmup=warmup), decay),
            (LrPiece("linear", peak, start=decay, end=end, floor=floor), end),
        ]
    return [(LrPiece(schedule.kind, peak, start=start, warmup=warmup, end=end, floor=floor), end)]


def _segments(study: Study, stages: list[StagePlan]) -> list[Segment]:
    segments = []
    for stage in stages:
        for index, piece in enumerate(stage.pieces):
            start = stage.first if index == 0 else piece.start
            full = start == 0 or index > 0
            carry = ("weights", "optimizer", "data") if full else tuple(sorted(study.carry))
            segments.append(
                Segment(
                    start=start,
                    sources=tuple(stage.shares),
                    shares=tuple(stage.shares.values()),
                    contents=tuple("" for _ in stage.shares),
                    lr=piece,
                    carry=carry,
                )
            )
    return segments
