"""Checkpoints: what a finished training step leaves, and what a killed one goes on from.

Guarantees: float32 master weights and AdamW moments, so a trainer that loads them goes on bit-identically.
A checkpoint artefact depends on the trajectory, the record and its tokens only, not on where training had
stopped before. A resume file is one file that is renamed into place after a flush: it is whole or it is not
there, and one that cannot be written leaves the one before it.

Files of a checkpoint: model.safetensors, optimizer.safetensors, config.json, state.json, metrics.jsonl and,
where the step has a tokenizer, tokenizer.json.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from pretrial.errors import RunError
from pretrial.model.decoder import Decoder
from pretrial.model.weights import read_weights, save_decoder, save_tensors, writing
from pretrial.train.optimizer import optimizer_state, set_optimizer_state

RESUME = "resume-*.safetensors"


@dataclass
class Progress:
    """Where a course stands, beside weights and moments.

    `lines`: metrics so far, one JSON text per reported group of steps, from the course's first token.
    `open`: the sums of the group that is not reported yet.
    """

    steps: int = 0
    tokens: int = 0
    lines: list[str] = field(default_factory=list)
    open: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    folder: Path,
    decoder: Decoder,
    optimizer: torch.optim.AdamW,
    progress: Progress,
    *,
    context: int,
    mark: int,
    tokenizer: Path | None,
) -> None:
    """Write a checkpoint's files into an empty folder. Each fails as `pretrial.model.weights.writing` says."""
    save_decoder(decoder, folder, context=context, mark=mark, tokens=progress.tokens)
    save_tensors(optimizer_state(decoder, optimizer), folder / "optimizer.safetensors")
    state = {"steps": progress.steps, "tokens": progress.tokens, "open": progress.open}
    texts = {
        "state.json": json.dumps(state, indent=1, sort_keys=True) + "\n",
        "metrics.jsonl": "".join(line + "\n" for line in progress.lines),
    }
    for name, text in texts.items():
        with writing(folder / name):
            (folder / name).write_text(text, encoding="utf-8")
    if tokenizer is not None:
        with writing(folder / "tokenizer.json"):
            shutil.copyfile(tokenizer, folder / "tokenizer.json")


def load_checkpoint(folder: Path, decoder: Decoder, optimizer: torch.optim.AdamW) -> Progress:
    """Copy a checkpoint into a decoder and its optimizer; where the course stands."""
    _copy(decoder, read_weights(folder))
    set_optimizer_state(decoder, optimizer, load_file(folder / "optimizer.safetensors"))
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return Progress(state["steps"], state["tokens"], lines, state["open"])


def save_resume(folder: Path, decoder: Decoder, optimizer: torch.optim.AdamW, progress: Progress) -> None:
    """Write what a killed step goes on from into `folder`, and drop what it replaces.

    Fails as `pretrial.model.weights.writing` says; what was there before then stays.
    """
    tensors = {f"model.{name}": value for name, value in decoder.state_dict().items()}
    tensors |= {f"optimizer.{name}": value for name, value in optimizer_state(decoder, optimizer).items()}
    final = folder / f"resume-{progress.steps:012d}.safetensors"
    temporary = folder / "resume.tmp"
    with writing(temporary):
        save_tensors(tensors, temporary, {"progress": json.dumps(asdict(progress))})
        _flush(temporary)
        temporary.replace(final)
    _flush(folder)
    for older in folder.glob(RESUME):
        if older != final:
            older.unlink()


def load_resume(folder: Path, decoder: Decoder, optimizer: torch.optim.AdamW) -> Progress | None:
    """Copy the furthest resume file in; `None` where there is none."""
    found = sorted(folder.glob(RESUME))
    if not found:
        return None
    tensors: dict[str, Tensor] = load_file(found[-1])
    _copy(decoder, _below(tensors, "model."))
    set_optimizer_state(decoder, optimizer, _below(tensors, "optimizer."))
    with safe_open(found[-1], "pt") as file:
        return Progress(**json.loads(file.metadata()["progress"]))


def _copy(decoder: Decoder, weights: Mapping[str, Tensor]) -> None:
    mine = decoder.state_dict()
    if mine.keys() != weights.keys() or any(mine[name].shape != weights[name].shape for name in mine):
        raise RunError(
            "a checkpoint's weights are those of another model",
            remedy="delete the training step's artefact and run again",
        )
    with torch.no_grad():
        for name, value in mine.items():
            value.copy_(weights[name])


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
