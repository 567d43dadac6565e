"""AdamW as every study uses it, and its state as plain tensors.

Guarantees: weight decay acts on matrices and the embedding, never on norm weights; the fused kernel is
elementwise, so its result depends on no order of summation. State names are those of the decoder's
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pretrial.model.decoder import Decoder

MOMENTS = ("exp_avg", "exp_avg_sq")


def make_optimizer(decoder: Decoder, config: Mapping[str, Any]) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) with `betas`, `eps` and `weight_decay` of `config`; the rate is set per step."""
    decayed = [p for p in decoder.parameters() if p.ndim > 1]
    free = [p for p in decoder.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": float(config["weight_decay"])},
        {"params": free, "weight_decay": 0.0},
    ]
    first, second = config["betas"]
    optimizer = torch.optim.AdamW(
        groups, lr=0.0, betas=(float(first), float(second)), eps=float(config["eps"]), fused=True
    )
    # Moments exist before the first step, so that loading and resetting are copies in place.
    for parameter in decoder.parameters():
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            **{moment: torch.zeros_like(parameter) for moment in MOMENTS},
        }
    return optimizer


def optimizer_state(decoder: Decoder, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """Moments as `exp_avg.<parameter>`, `exp_avg_sq.<parameter>`, and the common `step` (float32, no shape)."""
    state = {
        f"{moment}.{name}": optimizer.state[parameter][moment]
        for name, parameter in decoder.named_parameters()
        for moment in MOMENTS
    }
    state["step"] = optimizer.state[next(decoder.parameters())]["step"]
    return state


def set_optimizer_state(decoder: Decoder, optimizer: torch.optim.AdamW, state: Mapping[str, Tensor] | None) -> None:
    """Copy a state of `optimizer_state` in; `None` starts fresh."""
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            mine = optimizer.state[parameter]
            for moment in MOMENTS:
                mine[moment].copy_(state[f"{moment}.{name}"]) if state is not None else mine[moment].zero_()
            mine["step"].copy_(state["step"]) if state is not None else mine["step"].zero_()


def set_learning_rate(optimizer: torch.optim.AdamW, rate: float) -> None:
    """The rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
