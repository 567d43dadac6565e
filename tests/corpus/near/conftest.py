"""What the tests of near-duplicates share: corpora made of texts, searches, and a search by brute force."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pretrial.corpus.documents import Writer, document
from pretrial.corpus.near import spec
from pretrial.corpus.near.shingles import normalise
from pretrial.corpus.readers.record import Record

Row = tuple[str, int]


@dataclass
class Artefact:
    """An artefact on disk without a store."""

    path: Path
    facts: dict[str, Any]
    content: str
    key: str = "test"

    def file(self, name: str) -> Path:
        if not (self.path / name).exists():
            raise KeyError(name)
        return self.path / name


@dataclass
class Found:
    """What a search found, in memory."""

    artefact: Any

    @property
    def facts(self) -> dict[str, Any]:
        return dict(self.artefact.facts)

    @property
    def pairs(self) -> dict[tuple[Row, Row], float]:
        with pq.ParquetFile(self.artefact.file("pairs.parquet")) as file:
            rows = file.read().to_pylist()
        return {((r["source_a"], r["row_a"]), (r["source_b"], r["row_b"])): r["jaccard"] for r in rows}

    def components(self, source: str) -> list[int]:
        return list(np.load(self.artefact.file(self.facts["files"][source])).tolist())

    @property
    def crowded(self) -> list[list[int]]:
        return list(np.load(self.artefact.file("crowded.npy")).tolist())

    @property
    def digest(self) -> str:
        """Hash over all files, so over what is promised not to depend on how the work was done."""
        found = hashlib.sha256()
        for path in sorted(self.artefact.path.iterdir()):
            found.update(path.name.encode() + path.read_bytes())
        return found.hexdigest()


@pytest.fixture(scope="session")
def make_corpus(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Artefact]:
    """`make_corpus(texts, shards=[…])`: a corpus of these texts, split into shards of so many documents."""
    folder, numbers = tmp_path_factory.mktemp("corpora"), itertools.count()

    def make(texts: Sequence[str], shards: Sequence[int] = ()) -> Artefact:
        path = folder / str(next(numbers))
        path.mkdir()
        index, rest = [], list(texts)
        for count in [*shards, len(texts)]:
            part, rest = rest[:count], rest[count:]
            if not part:
                continue
            name = f"shard-{len(index):05d}.parquet"
            with Writer(path / name) as writer:
                for number, text in enumerate(part):
                    row = document(Record(str(number), text, "here", {}), "document", None)
                    assert isinstance(row, dict)
                    writer.add(row, row["bytes"])
            index.append({"file": name, "documents": len(part), "bytes": sum(len(text.encode()) for text in part)})
        content = hashlib.sha256(repr(list(texts)).encode()).hexdigest()
        return Artefact(path, {"documents": len(texts), "shards": index}, content)

    return make


@pytest.fixture
def search(tmp_path: Path, step: Callable[..., Any], make_corpus: Callable[..., Artefact]) -> Callable[..., Found]:
    """`search({"a": texts, …}, settings)` looks for near-duplicates and gives what it found."""
    numbers = itertools.count()

    def searching(
        sources: Mapping[str, Sequence[str]],
        chosen: spec.Settings | None = None,
        shards: Sequence[int] = (),
        **settings: Any,
    ) -> Found:
        chosen = chosen or spec.Settings()
        out = tmp_path / f"search-{next(numbers)}"
        inputs = {}
        for name, texts in sources.items():
            inputs[f"corpus:{name}"] = corpus = make_corpus(texts, shards)
            inputs[f"signatures:{name}"] = step(
                "pretrial.corpus.near.signatures:sign_corpus",
                out / name,
                config=spec.signature_config(chosen),
                inputs={"corpus": corpus},
            )
        return Found(
            step(
                "pretrial.corpus.near.clusters:find_near_duplicates",
                out / "near",
                config=spec.near_config(chosen, list(sources)),
                settings=settings,
                inputs=inputs,
            )
        )

    return searching


def shingle_set(text: str, words: int = 5) -> frozenset[bytes]:
    """The set of a text's shingles as strings: what keys of 64 bits stand for."""
    found = normalise(text).split()
    count = max(1, len(found) - words + 1) if found else 0
    return frozenset(b" ".join(found[start : start + words]) for start in range(count))


def brute_force(texts: Sequence[str], threshold: float = 0.8, words: int = 5) -> dict[tuple[int, int], float]:
    """Every pair at or above the threshold, by comparing each document with each."""
    sets = [shingle_set(text, words) for text in texts]
    found = {}
    for a, b in itertools.combinations(range(len(texts)), 2):
        short, long = sorted((len(sets[a]), len(sets[b])))
        if short and short >= threshold * long:
            shared = len(sets[a] & sets[b])
            if (similarity := shared / (short + long - shared)) >= threshold:
                found[a, b] = similarity
    return found


def made_up(seed: int, words: int = 120) -> str:
    """A text of random words."""
    draw = random.Random(seed)
    return " ".join(f"w{draw.randrange(100_000)}" for _ in range(words))


def edited(text: str, share: float, seed: int) -> str:
    """A text in which a share of the words was replaced, one here and one there."""
    draw = random.Random(seed)
    words = text.split(" ")
    for place in draw.sample(range(len(words)), round(share * len(words))):
        words[place] = f"changed{seed}x{place}"
    return " ".join(words)
