"""A decoder's weights on disk: `model.safetensors` (float32) and `config.json` beside it.

Guarantees: equal weights give equal bytes; what is read back is bit-identical. Does not do: other people's
formats (`pretrial.model.hub`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pretrial.errors import RequestError
from pretrial.model.decoder import Decoder
from pretrial.model.spec import ModelSpec


def save_decoder(decoder: Decoder, folder: Path, *, context: int, mark: int, **more: Any) -> None:
    """Write `model.safetensors` and `config.json` (model, vocabulary, context, mark, and `more`)."""
    weights = {name: value.detach().cpu().float().contiguous() for name, value in decoder.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    config = {
        "model": decoder.spec.to_json(),
        "vocabulary": decoder.vocabulary,
        "context": context,
        "mark": mark,
        **more,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_config(folder: Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint; `RequestError` where there is none."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise RequestError(
            f"{folder} is no checkpoint: it has no config.json", remedy="name a folder that training wrote"
        )
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "model" not in config or "vocabulary" not in config:
        raise RequestError(
            f"{path} does not describe a checkpoint of Pretrial",
            remedy="a folder in Hugging Face layout is read by pretrial.model.hub.load_model",
        )
    return config


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The float32 weights of a checkpoint, by their names in `Decoder`."""
    weights: dict[str, Tensor] = load_file(Path(folder) / "model.safetensors")
    return weights


def load_decoder(folder: Path, device: str | torch.device = "cpu") -> Decoder:
    """The decoder of a checkpoint folder, in float32 and ready for inference."""
    config = read_config(folder)
    decoder = Decoder(ModelSpec.from_json(config["model"]), config["vocabulary"], longest=max(config["context"], 2048))
    decoder.load_state_dict(read_weights(folder))
    return decoder.to(device).eval()
