"""A checkpoint to play with: sample from it, ask what it thinks of a text.

    import pretrial
    model = pretrial.open_checkpoint("…/artefacts/train/…")
    print(model.sample("def f(", tokens=40, temperature=0.8, seed=1))

Guarantees: a sample is a function of checkpoint, prompt, settings and seed on one machine. Does not do:
evaluation (`pretrial.evaluate`), or fast generation: there is no key-value cache.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from tokenizers import Tokenizer

from pretrial.errors import RequestError
from pretrial.model.decoder import Decoder
from pretrial.model.spec import parameters
from pretrial.model.weights import load_decoder, read_config


class LanguageModel:
    """A decoder with its tokenizer. Prompts begin a document: the mark stands before them."""

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, context: int, mark: int) -> None:
        self.decoder = decoder
        self.tokenizer = tokenizer
        self.context = context
        self.mark = mark

    def __repr__(self) -> str:
        total, _ = parameters(self.decoder.spec, self.decoder.vocabulary)
        return f"LanguageModel({total:,} parameters, vocabulary {self.decoder.vocabulary:,}, context {self.context:,})"

    def sample(
        self, prompt: str = "", *, tokens: int = 64, temperature: float = 1.0, seed: int = 0, stop: bool = True
    ) -> str:
        """`prompt` and what the model makes of it: at most `tokens` tokens, up to the document's end where
        `stop`.

        Temperature 0 takes the likeliest token each time. Beyond the context the model sees the last tokens
        only.
        """
        if temperature < 0 or not math.isfinite(temperature):
            raise RequestError(f"a temperature is 0 or more, not {temperature}")
        generator = torch.Generator().manual_seed(seed)
        ids = [self.mark, *self._encode(prompt)]
        begin = len(ids)
        for _ in range(tokens):
            logits = self._logits(ids[-self.context :])[-1]
            if temperature == 0:
                following = int(logits.argmax())
            else:
                chances = (logits.double() / temperature).softmax(-1)
                following = int(torch.multinomial(chances, 1, generator=generator))
            if following == self.mark and stop:
                break
            ids.append(following)
        # Decoded apart from the prompt, which need not survive encoding and decoding character by character.
        return prompt + str(self.tokenizer.decode(ids[begin:], skip_special_tokens=True))

    def logprob(self, text: str, *, ends: bool = False) -> float:
        """Natural logarithm of the probability that a document begins with `text`, or is `text` where it
        `ends`.

        Of one tokenisation of it. Raises `RequestError` for more tokens than the context.
        """
        ids = [self.mark, *self._encode(text), *([self.mark] if ends else [])]
        if len(ids) - 1 > self.context:
            raise RequestError(f"the text has {len(ids) - 1} tokens, more than the context of {self.context}")
        if len(ids) == 1:
            return 0.0
        given = self._logits(ids[:-1]).double().log_softmax(-1)
        return float(given[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].sum())

    def _encode(self, text: str) -> list[int]:
        # The mark never comes from text: text that spells it is ordinary bytes.
        self.tokenizer.encode_special_tokens = True
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _logits(self, ids: list[int]) -> torch.Tensor:
        device = self.decoder.embedding.weight.device
        tokens = torch.tensor([ids], device=device)
        with torch.inference_mode():
            logits: torch.Tensor = self.decoder(tokens, torch.zeros_like(tokens, dtype=torch.int32))
        return logits[0].cpu()


def open_checkpoint(path: str | Path, tokenizer: str | Path | None = None, device: str = "cpu") -> LanguageModel:
    """The language model of a checkpoint folder; `tokenizer` by default the tokenizer.json in it.

    Raises `RequestError` where either is missing.
    """
    folder = Path(path)
    config = read_config(folder)
    file = Path(tokenizer) if tokenizer is not None else folder / "tokenizer.json"
    if not file.is_file():
        raise RequestError(f"there is no tokenizer at {file}", remedy="name the study's tokenizer.json")
    return LanguageModel(
        load_decoder(folder, device), Tokenizer.from_file(str(file)), int(config["context"]), config["mark"]
    )
