"""A tiny course that trains in a second: made-up sources, a made-up tokenizer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pretrial.model.spec import ModelSpec
from pretrial.train.spec import LrPiece, Segment, base_json

# So that the tests of this folder find what they share, however pytest was started.
sys.path.append(str(Path(__file__).parents[2]))

VOCABULARY, CONTEXT, BATCH = 64, 16, 4
STEP = CONTEXT * BATCH


class Source:
    """A tokens artefact on disk, as the store would give it."""

    def __init__(self, path: Path, content: str) -> None:
        self.path, self.content, self.key = path, content, content
        self.facts: dict[str, Any] = {"contents": {"stream": content}}

    def file(self, name: str) -> Path:
        return self.path / name


def make_source(folder: Path, seed: int, documents: int = 60) -> Source:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    mark = VOCABULARY - 1
    stream, starts = [mark], []
    for _ in range(documents):
        starts.append(len(stream))
        # A walk, so that there is something to learn.
        walk = np.cumsum(generator.integers(0, 3, generator.integers(5, 40))) * (1 + seed) % (VOCABULARY - 1)
        stream += [*walk.tolist(), mark]
    np.save(folder / "tokens.npy", np.array(stream, np.uint16))
    np.save(folder / "starts.npy", np.array([*starts, len(stream)], np.int64))
    ids = "".join(json.dumps(f"{folder.name}/{i}") + "\n" for i in range(documents))
    (folder / "ids.txt").write_text(ids)
    return Source(folder, f"content-{folder.name}")


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Source]:
    return {f"tokens:{name}": make_source(tmp_path / name, i) for i, name in enumerate(("prose", "code"))}


RECORD = {"device": "cpu", "backend": "eager", "threads": 1, "micro_tokens": 4096, "precision": "float32"}


def segment(start: int = 0, prose: str = "1/2", **more: Any) -> Segment:
    share = Fraction(prose)
    shares = {name: s for name, s in (("prose", share), ("code", 1 - share)) if s}
    lr = more.pop("lr", LrPiece("linear", 5e-2, warmup=5 * STEP, end=100 * STEP, floor=5e-3))
    return Segment(start, tuple(shares), tuple(shares.values()), ("",) * len(shares), lr, **more)


def course(*segments: Segment, steps: int, seed: int = 1, **record: Any) -> dict[str, Any]:
    base = base_json(
        model=ModelSpec(2, 16, 2, 24),
        vocabulary=VOCABULARY,
        context=CONTEXT,
        tokenizer="",
        precision="float32",
        seeds={"init": seed, "order": seed, "subset": seed},
        batch_sequences=BATCH,
        optimizer={"betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1, "clip": 1.0},
    )
    return {
        "base": base,
        "segments": [s.to_json() for s in segments or (segment(),)],
        "to_tokens": steps * STEP,
        "record": RECORD | record,
    }


def files_of(artefact: Any) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(artefact.path.iterdir())}


@pytest.fixture
def train(step: Callable[..., Any], tmp_path: Path, sources: dict[str, Source]) -> Callable[..., Any]:
    """`train(name, config, parent=…, **settings)` runs the training step; the checkpoint it made."""

    def run(name: str, config: dict[str, Any], parent: Any = None, **settings: Any) -> Any:
        inputs = {**sources, **({"parent": parent} if parent is not None else {})}
        return step("pretrial.train.loop:train_step", tmp_path / name, config=config, inputs=inputs, settings=settings)

    return run
