"""A tiny decoder with a tokenizer, as a checkpoint folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pretrial.model.decoder import Decoder, initialise
from pretrial.model.spec import ModelSpec
from pretrial.model.weights import save_decoder

CONTEXT = 24


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Bytes, and the mark as last id."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({character: i for i, character in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<|mark|>"])
    return made


@pytest.fixture(params=[0, 2], ids=["all heads", "shared heads"])
def spec(request: pytest.FixtureRequest) -> ModelSpec:
    return ModelSpec(3, 32, 4, 40, request.param)


@pytest.fixture
def decoder(spec: ModelSpec) -> Decoder:
    made = Decoder(spec, 257, longest=CONTEXT)
    initialise(made, 5)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        # Norms away from 1, so that an error in them shows.
        for name, parameter in made.named_parameters():
            if "norm" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


@pytest.fixture
def checkpoint(decoder: Decoder, tokenizer: Tokenizer, tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_decoder(decoder, folder, context=CONTEXT, mark=256, tokens=12_345)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
