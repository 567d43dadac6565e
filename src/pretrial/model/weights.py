"""A decoder's weights on disk: `model.safetensors` (float32) and `config.json` beside it.

Guarantees: equal weights give equal bytes; what is read back is bit-identical. Does not do: other people's
formats (`pretrial.model.hub`).
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pretrial.errors import RequestError, RunError
from pretrial.model.decoder import Decoder
from pretrial.model.spec import ModelSpec

_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Writing the file `path`: where that fails, nothing of it is left, and the error names it.

    A disk that is full or closed to us is an `OSError` with its number; what else keeps a file from being written is
    a `RunError`.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        path.unlink(missing_ok=True)
        # safetensors puts what the system said into its text alone.
        found = re.search(r"\(os error (\d+)\)", str(error))
        number = getattr(error, "errno", None) or (int(found[1]) if found else 0)
        if number in _PLACE:
            raise OSError(number, os.strerror(number), str(path)) from error
        raise RunError(
            f"{path.name} cannot be written: {os.strerror(number) if number else error}",
            where=str(path.parent),
            remedy="Look at that disk, its quota and the limits of this shell (ulimit -a), then run the same command "
            "again.",
        ) from error


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors of any device as a safetensors file; fails as `writing` says."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with writing(path):
        save_file(plain, path, dict(metadata) if metadata is not None else None)


def save_decoder(decoder: Decoder, folder: Path, *, context: int, mark: int, **more: Any) -> None:
    """Write `model.safetensors` and `config.json` (model, vocabulary, context, mark, and `more`)."""
    save_tensors({name: value.float() for name, value in decoder.state_dict().items()}, folder / "model.safetensors")
    config = {
        "model": decoder.spec.to_json(),
        "vocabulary": decoder.vocabulary,
        "context": context,
        "mark": mark,
        **more,
    }
    path = folder / "config.json"
    with writing(path):
        path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


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
