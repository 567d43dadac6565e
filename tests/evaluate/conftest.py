"""A toy tokenizer (one token a byte), toy artefacts, and scorers that need no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

MARK = 256
VOCABULARY = 257


@dataclass
class Folder:
    """An artefact on disk."""

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)
    key: str = "test"
    content: str = "test"

    def file(self, name: str) -> Path:
        if not (self.path / name).exists():
            raise KeyError(name)
        return self.path / name


def byte_tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet(), key=_byte_of)
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|mark|>", special=True, normalized=False)])
    return tokenizer


def _byte_of(character: str) -> int:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    if ord(character) < 256:
        return ord(character)
    return [byte for byte in range(256) if byte not in printable][ord(character) - 256]


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A tokenizer artefact in which token i is byte i, and 256 the mark."""
    path = tmp_path_factory.mktemp("tokenizer")
    byte_tokenizer().save(str(path / "tokenizer.json"))
    np.save(path / "token_bytes.npy", np.array([1] * 256 + [0], dtype=np.int32))
    (path / "mark.json").write_text(json.dumps({"mark": MARK, "vocabulary": VOCABULARY, "text": "<|mark|>"}))
    return Folder(path, {"mark": MARK, "vocabulary": VOCABULARY})


@pytest.fixture
def make_tokens(tmp_path: Path) -> Callable[..., Folder]:
    """`make_tokens(name, texts, groups=None)`: a tokens artefact of documents in the order of their hash."""

    def make(name: str, texts: Sequence[str], groups: Sequence[str] | None = None) -> Folder:
        documents = [
            (
                hashlib.sha256(text.encode()).hexdigest(),
                f"{name}/{i}",
                (groups or [f"g{i}" for i in range(len(texts))])[i],
                text,
            )
            for i, text in enumerate(texts)
        ]
        documents.sort()
        stream, starts = [MARK], []
        for *_, text in documents:
            starts.append(len(stream))
            stream += [*text.encode(), MARK]
        path = tmp_path / f"tokens-{name}"
        path.mkdir()
        np.save(path / "tokens.npy", np.array(stream, dtype=np.uint16))
        np.save(path / "starts.npy", np.array([*starts, len(stream)], dtype=np.int64))
        np.save(path / "bytes.npy", np.array([len(d[3].encode()) for d in documents], dtype=np.int64))
        columns = {
            "id": [d[1] for d in documents],
            "group": [d[2] for d in documents],
            "sha": [d[0] for d in documents],
        }
        pq.write_table(pa.table(columns), path / "documents.parquet")
        content = hashlib.sha256((path / "tokens.npy").read_bytes()).hexdigest()[:32]
        return Folder(
            path,
            {"tokens": len(stream), "documents": len(texts), "contents": {"stream": content, "items": content}},
            content=content,
        )

    return make


def words(seed: int, count: int) -> str:
    """Text of `count` toy words."""
    rng = np.random.default_rng(seed)
    vowels, consonants = "aeiou", "bcdfghjklmnprstvw"
    return " ".join(
        "".join(rng.choice(list(consonants)) + rng.choice(list(vowels)) for _ in range(rng.integers(1, 4)))
        for _ in range(count)
    )


@pytest.fixture(name="words")
def words_fixture() -> Callable[[int, int], str]:
    return words


CONTEXT = 32


@pytest.fixture(scope="session")
def record() -> dict[str, Any]:
    """An execution record for tests: eager, one thread, exact."""
    return {"device": "cpu", "backend": "eager", "precision": "float32", "threads": 1, "micro_tokens": 256}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A checkpoint of an untrained model over the toy tokenizer's vocabulary."""
    from pretrial.model.decoder import Decoder, initialise
    from pretrial.model.spec import ModelSpec
    from pretrial.model.weights import save_decoder

    path = tmp_path_factory.mktemp("checkpoint")
    decoder = Decoder(ModelSpec(2, 32, 4, 48), VOCABULARY)
    initialise(decoder, 1)
    save_decoder(decoder, path, context=CONTEXT, mark=MARK)
    return Folder(path)


@pytest.fixture
def tiny_scorer(checkpoint: Folder, record: dict[str, Any]) -> Any:
    """A scorer over that model, its embedding scaled up: sharp predictions, so that mistakes show."""
    import torch

    from pretrial.evaluate.load import CheckpointScorer
    from pretrial.model.spec import ModelSpec

    made = CheckpointScorer(ModelSpec(2, 32, 4, 48), VOCABULARY, CONTEXT, MARK, record)
    made.load(checkpoint.path)
    with torch.no_grad():
        made.decoder.embedding.weight.mul_(20)
    return made
