"""What training makes of a fixed course. A change here is a change of every result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.train.conftest import CONTEXT, STEP, Source, course, segment

import golden
from pretrial.model import decoder as decoder_module
from pretrial.train.spec import SEMANTICS, LrPiece

MARK = 63
GOLDEN: dict[tuple[str, int], Any] = {
    ("train", 2): {
        "lr": [0.005, 0.015, 0.0196933, 0.017364, 0.0133294, 0.00867063],
        "loss": [4.20585, 4.14934, 4.04627, 3.86056, 3.59177, 3.52963],
        "norm": [1.33972, 1.2048, 0.964864, 0.90035, 0.792634, 0.691231],
        "source loss": [
            {"code": 4.19703, "prose": 4.21468}, {"code": 4.21911, "prose": 4.07956},
            {"code": 4.31717, "prose": 3.77538}, {"code": 4.4663, "prose": 3.65865},
            {"code": 3.96333, "prose": 3.46792}, {"code": 4.19375, "prose": 3.30826},
        ],
        "size": {
            "blocks.0.inner.weight": 2.2124,
            "blocks.0.norm.weight": 1.36954,
            "blocks.0.outer.weight": 1.13439,
            "blocks.1.inner.weight": 2.22268,
            "blocks.1.norm.weight": 1.39088,
            "blocks.1.outer.weight": 1.13085,
            "embedding.weight": 1.43692,
            "exp_avg.blocks.0.inner.weight": -3.64623,
            "exp_avg.blocks.0.norm.weight": -5.24325,
            "exp_avg.blocks.0.outer.weight": -3.26234,
            "exp_avg.blocks.1.inner.weight": -4.02394,
            "exp_avg.blocks.1.norm.weight": -5.67573,
            "exp_avg.blocks.1.outer.weight": -3.47701,
            "exp_avg.embedding.weight": -1.96877,
            "exp_avg.norm.weight": -3.26776,
            "exp_avg_sq.blocks.0.inner.weight": -8.66351,
            "exp_avg_sq.blocks.0.norm.weight": -9.62847,
            "exp_avg_sq.blocks.0.outer.weight": -7.34323,
            "exp_avg_sq.blocks.1.inner.weight": -8.94531,
            "exp_avg_sq.blocks.1.norm.weight": -10.0954,
            "exp_avg_sq.blocks.1.outer.weight": -7.47576,
            "exp_avg_sq.embedding.weight": -5.00078,
            "exp_avg_sq.norm.weight": -6.33582,
            "norm.weight": 1.38584,
            "step": 1.09861,
        },
        "direction": {
            "blocks.0.inner.weight": -0.022031,
            "blocks.0.norm.weight": 0.103812,
            "blocks.0.outer.weight": -0.0786031,
            "blocks.1.inner.weight": 0.00197561,
            "blocks.1.norm.weight": 0.0999023,
            "blocks.1.outer.weight": 0.0387901,
            "embedding.weight": 0.0364356,
            "norm.weight": 0.0983657,
        },
        "facts": {
            "tokens": 384,
            "steps": 6,
            "loss": 3.89724,
            "draws": {"prose": 15, "code": 9},
            "source_tokens": {"prose": 240, "code": 144},
        },
    },
}  # fmt: skip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Initial weights that are no library's: those of torch are pinned in tests/model/test_golden.py."""

    def draw(name: str, seed: int, shape: tuple[int, int], std: float) -> torch.Tensor:
        return torch.from_numpy(golden.weights(f"{name} {seed}", shape, std))

    monkeypatch.setattr(decoder_module, "_draw", draw)


def fixed_source(folder: Path, seed: int) -> Source:
    folder.mkdir()
    stream, starts = [MARK], []
    for document, length in enumerate(golden.numbers(seed, 60, 40)):
        starts.append(len(stream))
        stream += [(value * value + seed) % MARK for value in range(document, document + 5 + length)] + [MARK]
    np.save(folder / "tokens.npy", np.array(stream, np.uint16))
    np.save(folder / "starts.npy", np.array([*starts, len(stream)], np.int64))
    return Source(folder, f"content-{seed}")


def direction(values: torch.Tensor) -> float:
    """The cosine between a tensor and a fixed one of its size: what moves or swaps a weight shows."""
    fixed = torch.from_numpy(golden.weights("direction", (len(values),), 1.0)).double()
    return float(values @ fixed / values.norm() / fixed.norm())


def test_training_is_the_same(drawn: None, step: Callable[..., Any], tmp_path: Path) -> None:
    """Two micro-batches a step, two mixtures, moments reset at the hand-over, a warm-up and a decay."""
    inputs = {f"tokens:{name}": fixed_source(tmp_path / name, i) for i, name in enumerate(("prose", "code"))}
    lr = LrPiece("cosine", 2e-2, warmup=2 * STEP, end=8 * STEP, floor=2e-3)
    later = segment(3 * STEP, "3/4", lr=lr, carry=("weights", "data"), first_draw=(6, 6))
    config = course(segment(lr=lr), later, steps=6, micro_tokens=2 * CONTEXT)
    made = step("pretrial.train.loop:train_step", tmp_path / "made", config=config, inputs=inputs)
    told = [json.loads(line) for line in (made.path / "metrics.jsonl").read_text().splitlines()]
    weights, moments = (load_file(made.path / f"{name}.safetensors") for name in ("model", "optimizer"))
    found = {
        "lr": [line["lr"] for line in told],
        "loss": [line["loss"] for line in told],
        "norm": [line["grad_norm"] for line in told],
        "source loss": [line["source_loss"] for line in told],
        "size": {name: float(value.double().norm().log()) for name, value in sorted({**weights, **moments}.items())},
        "direction": {name: direction(value.double().flatten()) for name, value in sorted(weights.items())},
        "facts": made.facts,
    }
    golden.unchanged("train", SEMANTICS["train"], found, GOLDEN, "pretrial.train.spec", rel=1e-3)
