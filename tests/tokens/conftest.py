"""Small corpora in the form that the corpus room writes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrial.corpus.documents import SCHEMA
from pretrial.corpus.iterate import HELD_OUT, TRAIN


@dataclass
class Made:
    """An artefact without a store."""

    path: Path
    facts: dict[str, Any]
    key: str = "test"
    content: str = "test"

    def file(self, name: str) -> Path:
        return self.path / name


Corpora = Callable[..., dict[str, Made]]


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Corpora:
    """`corpora({source: texts}, held={source: indices}, shards=2)`: inputs `corpus:<source>` and `select`."""

    def make(
        sources: Mapping[str, Sequence[str]], held: Mapping[str, Sequence[int]] | None = None, shards: int = 2
    ) -> dict[str, Made]:
        folder = tmp_path_factory.mktemp("corpora")
        inputs: dict[str, Made] = {}
        files = {}
        (folder / "select").mkdir()
        for name, texts in sources.items():
            (folder / name).mkdir()
            rows = [row(name, index, text) for index, text in enumerate(texts)]
            size = -(-max(1, len(rows)) // shards)
            listed = []
            for number in range(shards):
                table = pa.Table.from_pylist(rows[number * size : (number + 1) * size], SCHEMA)
                pq.write_table(table, folder / name / f"{number}.parquet", row_group_size=3)
                listed.append({"file": f"{number}.parquet"})
            inputs[f"corpus:{name}"] = Made(folder / name, {"documents": len(texts), "shards": listed})
            mask = np.full(len(texts), TRAIN, dtype=np.uint8)
            mask[list((held or {}).get(name, []))] = HELD_OUT
            np.save(folder / "select" / f"{name}.npy", mask)
            files[name] = f"{name}.npy"
        inputs["select"] = Made(folder / "select", {"files": files})
        return inputs

    return make


def row(name: str, index: int, text: str) -> dict[str, Any]:
    data = text.encode()
    return {
        "id": f"{name}/{index}",
        "text": text,
        "group": f"package:{index % 3}",
        "sha": hashlib.sha256(data).digest()[:16],
        "text_sha": hashlib.sha256(data).digest(),
        "bytes": len(data),
        "meta": f'{{"n":{index}}}',
    }
