"""What the decoder computes for fixed weights, and which weights it starts from."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import golden
from pretrial.model import decoder as decoder_module
from pretrial.model.decoder import Decoder, initialise
from pretrial.model.spec import ModelSpec
from pretrial.train.spec import SEMANTICS

GOLDEN: dict[tuple[str, int], Any] = {
    ("train", 2): [
        [4.53854, 2.26179, -2.402, 2.2764], [0.574469, 0.982101, 0.326511, 1.21969],
        [-0.0566729, 4.18639, -3.57293, -0.228031], [-2.32958, -0.334624, -0.563622, -1.6296],
        [-0.291411, 1.62574, -1.90954, 0.828479], [0.328387, 1.11851, 0.328815, 0.703836],
        [2.588, 0.972594, 0.94964, 1.21066], [2.34673, 0.040865, 2.92543, 2.05037],
        [0.173667, 0.512139, -0.514287, 1.47744], [3.16941, 0.708952, 0.606433, 0.415875],
        [-0.775036, 1.77127, -4.00622, 0.513437], [2.06944, 0.201667, -0.855305, 0.689009],
    ],
}  # fmt: skip
INITIAL: dict[tuple[str, int], Any] = {
    ("train", 2): {
        "embedding.weight": [0.194918, -0.135851, 0.168567],
        "blocks.0.norm.weight": [1.0, 1.0, 1.0],
        "blocks.0.inner.weight": [0.428005, 0.015336, -0.114768],
        "blocks.0.outer.weight": [-0.106808, -0.0680987, 0.149583],
        "blocks.1.norm.weight": [1.0, 1.0, 1.0],
        "blocks.1.inner.weight": [0.0108218, -0.297767, -0.337897],
        "blocks.1.outer.weight": [-0.142752, -0.088847, 0.248108],
        "norm.weight": [1.0, 1.0, 1.0],
    },
}  # fmt: skip

SPEC = ModelSpec(2, 16, 4, 24, 2)
TORCHS_OWN = [0.661352, 0.266924, 0.0616773, 0.621317]
"""What torch's truncated normal gives for the seed 1: where another version gives something else, initial weights are
that version's (the execution record names it)."""


def test_the_function_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits of two packed documents, with fewer key and value heads than heads."""

    def draw(name: str, seed: int, shape: tuple[int, int], std: float) -> torch.Tensor:
        return torch.from_numpy(golden.weights(f"{name} {seed}", shape, std))

    monkeypatch.setattr(decoder_module, "_draw", draw)
    made = Decoder(SPEC, 40)
    initialise(made, 1)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name:
                parameter.add_(torch.from_numpy(golden.weights(name, tuple(parameter.shape), 0.3)))
            else:
                parameter.mul_(3)
        tokens = torch.tensor([golden.numbers(5, 12, 40)])
        logits = made(tokens, torch.tensor([[0] * 5 + [1] * 7], dtype=torch.int32))[0]
    found = [row[:4] for row in logits.tolist()]
    golden.unchanged("train", SEMANTICS["train"], found, GOLDEN, "pretrial.train.spec", rel=1e-3)


def test_initial_weights_are_the_same() -> None:
    own = torch.nn.init.trunc_normal_(torch.empty(4), generator=torch.Generator().manual_seed(1)).tolist()
    if not golden.close(own, TORCHS_OWN, 1e-4):
        pytest.skip(f"torch {torch.__version__} draws other numbers: {own}")
    made = Decoder(SPEC, 40)
    initialise(made, 7)
    found = {name: value.flatten()[:3].tolist() for name, value in made.state_dict().items()}
    golden.unchanged("train", SEMANTICS["train"], found, INITIAL, "pretrial.train.spec", rel=1e-3)
