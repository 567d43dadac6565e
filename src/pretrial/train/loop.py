"""The training loop: a trajectory from one checkpoint to the next.

Guarantees: under one execution record the weights, the optimizer state and metrics.jsonl at a number of
tokens are the same bytes however training got there: in one go, killed and resumed, from any earlier
checkpoint of the course, in a fresh process or after other arms. A loss that is not finite stops training
before anything is written, and names the documents. Shapes are fixed, deterministic algorithms always on.

One process keeps one `Trainer`: its compiled graph and optimizer stay, and a further arm of the same study
starts by copying weights in. Does not do: more than one rank.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pretrial.errors import DivergedError, Interrupted, RequestError, RunError
from pretrial.execute.context import StepContext
from pretrial.mixture.stream import Batch, Stream, StreamSegment, TokenFiles, token_files
from pretrial.model.decoder import Decoder, attention_mask, initialise, read_ahead_mask
from pretrial.model.spec import ModelSpec
from pretrial.store.identity import fingerprint
from pretrial.train.checkpoint import Progress, load_checkpoint, load_resume, save_checkpoint, save_resume
from pretrial.train.optimizer import make_optimizer, set_learning_rate, set_optimizer_state
from pretrial.train.spec import Segment, checkpoint_seconds, micro_batch, step_learning_rate

Json = dict[str, Any]
Given = TypeVar("Given")
Made = TypeVar("Made")

REPORT_SECONDS = 0.25
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
FETCH_SEQUENCES = 64
"""Sequences that are read at a time, ahead of the step that needs them."""
RECENT_LINES = 50
NAMED_DOCUMENTS = 8


def report_every(step: int) -> int:
    """Steps in the metrics group that holds `step` (from 1): 1 up to 1,000, 10 up to 10,000, 100 after
    that, …

    A function of the step alone, so a course's metrics do not depend on where it was cut.
    """
    return 1 if step <= 1000 else 10 ** (len(str(step - 1)) - 3)


def prepare(record: Mapping[str, Any], cache: Path | None = None) -> torch.device:
    """Set this process up as the record says; the device to compute on. `cache`: folder for compiled kernels."""
    if cache is not None:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache / "kernels")
    if record["device"] == "cuda":
        # cuBLAS is deterministic only with a workspace of its own (CUDA documentation, cuBLAS reproducibility).
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if not torch.cuda.is_available():
            raise RunError("the execution record says CUDA, and torch finds no such device here")
    keep_freed_memory()
    torch.set_num_threads(int(record["threads"]))
    torch.use_deterministic_algorithms(True)
    # Compiled kernels read what they wrote only, so filling fresh memory costs time and changes nothing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.device(record["device"])


def keep_freed_memory() -> None:
    """Ask glibc to reuse freed memory instead of returning it to the kernel after every step.

    Activations are allocated and freed in each step; giving the pages back and faulting them in again cost 12% of
    the speed of a 1.3M-parameter model (457K against 103K page faults in 150 steps). Without glibc it does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


class Trainer:
    """The model, the optimizer and the compiled step of one study, kept from arm to arm."""

    def __init__(self, record: Mapping[str, Any], base: Mapping[str, Any], cache: Path | None = None) -> None:
        self.device = prepare(record, cache)
        self.sequences, self.context = int(base["batch_sequences"]), int(base["context"])
        self.micro = micro_batch(self.sequences, self.context, int(record["micro_tokens"]))
        self.clip = float(base["optimizer"]["clip"])
        self.precision = str(base["precision"])
        self.decoder = Decoder(ModelSpec.from_json(base["model"]), int(base["vocabulary"]), longest=self.context).to(
            self.device
        )
        self.optimizer = make_optimizer(self.decoder, base["optimizer"])
        self.parameters = list(self.decoder.parameters())
        self._losses: Callable[[Tensor, Tensor, Tensor], Tensor] = self._plain_losses
        if record["backend"] == "compiled":
            self._losses = torch.compile(self._plain_losses, dynamic=False, fullgraph=True)

    @property
    def batch_tokens(self) -> int:
        """Tokens of one step."""
        return self.sequences * self.context

    def start(self, seed: int) -> None:
        """Initial weights and a fresh optimizer."""
        initialise(self.decoder, seed)
        set_optimizer_state(self.decoder, self.optimizer, None)

    def step(self, parts: Iterable[MicroBatch], rate: float) -> tuple[list[float], list[int], float]:
        """Train one batch, given in micro-batches: each sequence's mean loss and source, the gradient's norm before
        clipping.

        Raises `ValueError` where the parts are not one whole batch.
        """
        losses: list[Tensor] = []
        sources: list[int] = []
        # Of a step that failed half-way, in another arm perhaps, nothing may be left.
        self.optimizer.zero_grad(set_to_none=True)
        for part in parts:
            tokens, targets = part.tokens.to(self.device), part.targets.to(self.device)
            mask = part.mask if part.mask is not None else attention_mask(part.segments.to(self.device))
            # Autocast stands outside what is compiled: a graph that enters it cannot be cached as a whole, and a
            # process would then need twice as long to its first step.
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
                each = self._losses(tokens, mask, targets)
            (each.sum() / self.sequences).backward()  # type: ignore[no-untyped-call]
            losses.append(each.detach())
            sources += part.sources
        if len(sources) != self.sequences:
            raise ValueError(f"a batch has {self.sequences} sequences, and {len(sources)} came")
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip if self.clip > 0 else math.inf)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return torch.cat(losses).tolist(), sources, float(norm)

    def _plain_losses(self, tokens: Tensor, mask: Tensor, targets: Tensor) -> Tensor:
        logits = self.decoder.logits(self.decoder.stream(tokens, mask)[-1])
        each = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        return each.view(tokens.shape).mean(1)


_kept: dict[str, Trainer] = {}


def trainer_for(record: Mapping[str, Any], base: Mapping[str, Any], cache: Path | None = None) -> Trainer:
    """This process's trainer for a record and a base; seeds and tokenizer may differ from arm to arm."""
    shared = {name: value for name, value in base.items() if name not in ("seeds", "tokenizer")}
    key = fingerprint({"record": dict(record), "base": shared})
    if key not in _kept:
        if _kept:
            # One model at a time; the graphs of the one before would only take memory and recompile slots. Not for the
            # first: resetting loads the compiler, over a second where nothing is compiled.
            _kept.clear()
            torch.compiler.reset()
        _kept[key] = Trainer(record, base, cache)
    else:
        prepare(record, cache)
    return _kept[key]


@dataclass(frozen=True)
class MicroBatch:
    """What one forward and backward pass takes: inputs, targets and attention segments [n, C], source numbers [n].

    `mask`: the segments' `attention_mask` where training is on a CPU; elsewhere the device makes it.
    """

    tokens: Tensor
    targets: Tensor
    segments: Tensor
    sources: list[int]
    mask: Tensor | None


def micro_batches(
    stream: Stream, first_step: int, last_step: int, sequences: int, micro: int, device: torch.device
) -> Iterator[MicroBatch]:
    """The micro-batches of steps [first_step, last_step), what comes next being read while one is trained.

    Masks are the largest part of a batch, context² numbers a sequence: they are made for one micro-batch ahead, and no
    more.
    """
    chunk = max(1, FETCH_SEQUENCES // sequences)

    def read(step: int) -> Batch:
        return stream.batch(step * sequences, min(chunk, last_step - step) * sequences)

    def cut(place: tuple[Batch, slice]) -> MicroBatch:
        batch, rows = place
        return make_micro_batch(batch.tokens[rows], batch.segments[rows], batch.sources[rows].tolist(), device)

    with ThreadPoolExecutor(2, "pretrial-batches") as readers:
        batches = _ahead(readers, read, range(first_step, last_step, chunk))
        places = ((batch, slice(row, row + micro)) for batch in batches for row in range(0, len(batch.tokens), micro))
        yield from _ahead(readers, cut, places)


def make_micro_batch(
    tokens: NDArray[np.int64], segments: NDArray[np.int32], sources: list[int], device: torch.device
) -> MicroBatch:
    """A micro-batch of sequences: tokens [n, C + 1], segments [n, C], source numbers [n]."""
    return MicroBatch(
        torch.from_numpy(np.ascontiguousarray(tokens[:, :-1])),
        torch.from_numpy(np.ascontiguousarray(tokens[:, 1:])),
        torch.from_numpy(np.ascontiguousarray(segments)),
        sources,
        read_ahead_mask(segments) if device.type == "cpu" else None,
    )


def _ahead(readers: ThreadPoolExecutor, make: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[Made]:
    """What `make` makes of each, in order; the one after it is begun before one is handed out."""
    waiting: Future[Made] | None = None
    for one in given:
        following = readers.submit(make, one)
        if waiting is not None:
            yield waiting.result()
        waiting = following
    if waiting is not None:
        yield waiting.result()


def make_stream(ctx: StepContext, base: Mapping[str, Any], segments: list[Segment]) -> Stream:
    """The stream of a course, from the step's `tokens:<source>` inputs."""
    context, batch = int(base["context"]), int(base["batch_sequences"])
    files: dict[str, TokenFiles] = {}
    for segment in segments:
        if segment.start % (context * batch):
            raise RequestError(f"a segment starts at {segment.start:,} tokens, inside a step of {context * batch:,}")
        for source, content in zip(segment.sources, segment.contents, strict=True):
            tokens = ctx.inputs[f"tokens:{source}"]
            if source not in files:
                files[source] = token_files(tokens, context)
            if content not in ("", files[source].content):
                raise RunError(f"the tokens of {source} are not those the plan was made with")
    parts = [
        StreamSegment(
            segment.start // context,
            segment.sources,
            segment.shares,
            segment.first_draw,
            segment.pattern_start // context,
        )
        for segment in segments
    ]
    seeds = base["seeds"]
    return Stream(parts, files, seeds["subset"], seeds["order"], context)


def train_step(ctx: StepContext) -> Json:
    """The step `train`: a course's checkpoint at `to_tokens`.

    Config: base (see `train.spec.base_json`), segments (the course's, as JSON), to_tokens, record (the
    values of `train.record.make_record`). Inputs: `tokens:<source>` of every source, `tokenizer` (its file
    is copied in, for those who open the checkpoint), `parent` (an earlier checkpoint of this course;
    without one it starts from the seed). Settings: cache (folder for compiled kernels), checkpoint_seconds.

    Raises `DivergedError` for a loss that is not finite, `Interrupted` after Ctrl-C, with a resume file
    written.
    """
    base, to_tokens = ctx.config["base"], int(ctx.config["to_tokens"])
    segments = [Segment.from_json(payload) for payload in ctx.config["segments"]]
    cache = ctx.settings.get("cache")
    started = time.monotonic()
    trainer = trainer_for(ctx.config["record"], base, Path(cache) if cache else None)
    if to_tokens % trainer.batch_tokens:
        raise RequestError(f"{to_tokens:,} tokens is not a whole number of steps of {trainer.batch_tokens:,}")
    stream = make_stream(ctx, base, segments)

    parent = ctx.inputs.get("parent")
    progress = load_resume(ctx.work, trainer.decoder, trainer.optimizer)
    if progress is not None:
        ctx.log(f"resumed at {progress.tokens:,} tokens")
    elif parent is not None:
        progress = load_checkpoint(parent.path, trainer.decoder, trainer.optimizer)
    else:
        trainer.start(int(base["seeds"]["init"]))
        progress = Progress()
    if progress.tokens > to_tokens:
        raise RunError(f"the parent stands at {progress.tokens:,} tokens, beyond the {to_tokens:,} wanted")

    _train(ctx, trainer, stream, segments, progress, to_tokens, started)
    tokenizer = ctx.inputs.get("tokenizer")
    save_checkpoint(
        ctx.out,
        trainer.decoder,
        trainer.optimizer,
        progress,
        context=trainer.context,
        mark=int(tokenizer.facts["mark"]) if tokenizer is not None else int(base["vocabulary"]) - 1,
        tokenizer=tokenizer.file("tokenizer.json") if tokenizer is not None else None,
    )
    return _facts(stream, segments, progress, trainer.context)


def _train(
    ctx: StepContext,
    trainer: Trainer,
    stream: Stream,
    segments: list[Segment],
    progress: Progress,
    to_tokens: int,
    started: float,
) -> None:
    """Train from where `progress` stands to `to_tokens`, changing model, optimizer and progress in place."""
    starts = {segment.start: segment for segment in segments}
    from_tokens = progress.tokens
    steps = range(from_tokens // trainer.batch_tokens, to_tokens // trainer.batch_tokens)
    current = next((s for s in reversed(segments) if s.start <= from_tokens), segments[0])
    set_here = ctx.settings.get("checkpoint_seconds")
    seconds = checkpoint_seconds() if set_here is None else float(set_here)
    saved = reported = begun = time.monotonic()
    ready = 0
    parts = micro_batches(stream, steps.start, steps.stop, trainer.sequences, trainer.micro, trainer.device)
    for step in steps:
        tokens = step * trainer.batch_tokens
        if tokens in starts:
            current = starts[tokens]
            if tokens > 0 and "optimizer" not in current.carry:
                set_optimizer_state(trainer.decoder, trainer.optimizer, None)
        rate = step_learning_rate(current.lr, tokens, trainer.batch_tokens)
        losses, sources, norm = trainer.step(islice(parts, trainer.sequences // trainer.micro), rate)
        if not (math.isfinite(norm) and all(map(math.isfinite, losses))):
            raise _diverged(stream, step, trainer, losses, norm)
        progress.steps, progress.tokens = step + 1, tokens + trainer.batch_tokens
        _note(progress, stream, trainer.context, rate, losses, norm, sources)

        now = time.monotonic()
        if ready == 0:
            ctx.log(f"first step after {now - started:.1f} s")
            begun, ready = now, progress.tokens
        if now - reported >= REPORT_SECONDS or progress.tokens == to_tokens:
            reported = now
            speed = (progress.tokens - ready) / (now - begun) if now > begun else 0.0
            ctx.progress(
                progress.tokens - from_tokens,
                to_tokens - from_tokens,
                loss=sum(losses) / len(losses),
                rate=speed,
            )
        if progress.tokens < to_tokens:
            stop = ctx.stop_requested()
            if stop or now - saved >= seconds:
                save_resume(ctx.work, trainer.decoder, trainer.optimizer, progress)
                saved = time.monotonic()
            if stop:
                raise Interrupted(
                    f"training stopped at {progress.tokens:,} tokens",
                    remedy="the same command goes on from there",
                )


def _note(
    progress: Progress,
    stream: Stream,
    context: int,
    rate: float,
    losses: list[float],
    norm: float,
    sources: list[int],
) -> None:
    """Add a step to the open metrics group, and close the group where it ends."""
    group = progress.open or {"n": 0, "loss": 0.0, "grad_norm": 0.0, "source_loss": {}, "source_tokens": {}}
    group["n"] += 1
    group["loss"] += sum(losses) / len(losses)
    group["grad_norm"] += norm
    for source, loss in zip(sources, losses, strict=True):
        name = stream.sources[source]
        group["source_loss"][name] = group["source_loss"].get(name, 0.0) + loss * context
        group["source_tokens"][name] = group["source_tokens"].get(name, 0) + context
    progress.open = group
    if progress.steps % report_every(progress.steps):
        return
    counts = {name: group["source_tokens"][name] for name in sorted(group["source_tokens"])}
    line = {
        "step": progress.steps,
        "tokens": progress.tokens,
        "lr": _short(rate),
        "loss": _short(group["loss"] / group["n"]),
        "grad_norm": _short(group["grad_norm"] / group["n"]),
        "source_loss": {name: _short(group["source_loss"][name] / count) for name, count in counts.items()},
        "source_tokens": counts,
    }
    progress.lines.append(json.dumps(line))
    progress.open = {}


def _short(value: float) -> float:
    return float(f"{value:.7g}")


def _diverged(stream: Stream, step: int, trainer: Trainer, losses: list[float], norm: float) -> DivergedError:
    first = step * trainer.sequences
    worst = [i for i, loss in enumerate(losses) if not math.isfinite(loss)] or list(range(len(losses)))
    found: dict[str, list[str]] = {}
    for i in worst:
        for source, document in stream.documents_of(first + i):
            found.setdefault(source, []).append(document)
    named = "; ".join(
        f"{source}: {', '.join(documents[:NAMED_DOCUMENTS])}"
        + (f" and {len(documents) - NAMED_DOCUMENTS} more" if len(documents) > NAMED_DOCUMENTS else "")
        for source, documents in found.items()
    )
    what = "the loss" if any(not math.isfinite(loss) for loss in losses) else f"the gradient's norm ({norm})"
    return DivergedError(
        f"{what} is not finite in step {step + 1}, at {step * trainer.batch_tokens:,} tokens. Its documents: {named}",
        remedy="lower the learning rate, lengthen the warm-up, or look at these documents",
    )


def _facts(stream: Stream, segments: list[Segment], progress: Progress, context: int) -> Json:
    draws: dict[str, int] = {}
    for i, part in enumerate(stream.segments):
        end = segments[i + 1].start if i + 1 < len(segments) else progress.tokens
        given = part.given((min(end, progress.tokens) - segments[i].start) // context)
        for source, count in zip(part.sources, given, strict=True):
            draws[source] = draws.get(source, 0) + int(count)
    recent = [json.loads(line) for line in progress.lines[-RECENT_LINES:]]
    return {
        "tokens": progress.tokens,
        "steps": progress.steps,
        "loss": _short(sum(line["loss"] for line in recent) / len(recent)) if recent else None,
        "draws": draws,
        "source_tokens": {source: count * context for source, count in draws.items()},
    }
