"""A checkpoint as a scorer: one model a process, its weights replaced for each checkpoint.

Guarantees: backend, threads, precision and determinism are the execution record's, applied as training applies them.
Models of one shape are built (and, where the record says so, compiled) once a process; loading another checkpoint
copies weights into the same tensors, so nothing is compiled again.

Does not do: train, or change a checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pretrial.errors import RunError
from pretrial.evaluate.scorer import ModelScorer
from pretrial.execute.context import StepContext
from pretrial.model.decoder import Decoder, boolean_mask
from pretrial.model.spec import ModelSpec
from pretrial.model.weights import read_config, read_weights
from pretrial.train.loop import prepare

BODY_TOKENS = {"cpu": 1024, "cuda": 65536}
"""Input tokens of one pass through the body, where the context length allows it (measured: a cache's worth)."""
HEAD_POSITIONS = {"cpu": 256, "cuda": 8192}
"""Scored positions of one pass through the output layer (measured: likewise)."""


class CheckpointScorer(ModelScorer):
    """A scorer over a decoder whose weights can be replaced."""

    def __init__(self, spec: ModelSpec, vocabulary: int, context: int, mark: int, record: Mapping[str, Any]) -> None:
        device = torch.device(record["device"])
        decoder = Decoder(spec, vocabulary, longest=context).to(device).eval().requires_grad_(False)
        half = record["precision"] == "bfloat16"

        def body(tokens: Tensor, mask: Tensor) -> Tensor:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                return decoder.stream(tokens, mask)[-1]

        def head(hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = decoder.logits(hidden).float()
            return -F.cross_entropy(logits, targets, reduction="none"), logits.argmax(-1) == targets

        if record["backend"] == "compiled":
            body = torch.compile(body, dynamic=False, fullgraph=True)
            head = torch.compile(head, dynamic=False, fullgraph=True)

        def masked(tokens: Tensor, segments: Tensor) -> Tensor:
            # Boolean on every device: without a backward pass torch's own attention is the faster one (2M parameters on
            # a CPU, context 512: 23 µs a token against 30 µs with the plain products of `attention_mask`).
            return body(tokens, boolean_mask(segments))

        super().__init__(
            masked,
            head,
            context=context,
            mark=mark,
            rows=max(1, BODY_TOKENS[device.type] // context),
            positions=HEAD_POSITIONS[device.type],
            device=device,
        )
        self.decoder = decoder

    def load(self, checkpoint: Path) -> None:
        """Replace the weights by a checkpoint's; raises `RunError` where they are not this decoder's."""
        missing, unexpected = self.decoder.load_state_dict(read_weights(checkpoint), strict=False)
        if missing or unexpected:
            names = ", ".join([*missing, *unexpected][:4])
            raise RunError(f"the checkpoint is not of this model: {names}", where=str(checkpoint))


def scorer_for(ctx: StepContext) -> CheckpointScorer:
    """The process's scorer with the weights of the input "checkpoint", under the configured record and context.

    Setting: cache (folder for compiled kernels).
    """
    checkpoint = ctx.inputs["checkpoint"].path
    described = read_config(checkpoint)
    model, vocabulary, mark = described["model"], int(described["vocabulary"]), int(described["mark"])
    context = int(ctx.config["context"])
    key = json.dumps([model, vocabulary, context, mark, ctx.config["record"]], sort_keys=True)
    cache = ctx.settings.get("cache")
    prepare(ctx.config["record"], Path(cache) if cache else None)
    if key not in _LAST:
        if _LAST:
            # One model at a time: graphs of the one before would take memory and recompile slots.
            _LAST.clear()
            torch.compiler.reset()
        _LAST[key] = CheckpointScorer(ModelSpec.from_json(model), vocabulary, context, mark, ctx.config["record"])
    scorer = _LAST[key]
    scorer.load(checkpoint)
    return scorer


_LAST: dict[str, CheckpointScorer] = {}
