"""Which window comes when, and what the ledger says of it. A change here is a change of every result."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import LocalArtefact

import golden
from pretrial.mixture.spec import SEMANTICS
from pretrial.mixture.stream import course_stream, next_segment
from pretrial.train.spec import SEMANTICS as TRAIN

MARK, CONTEXT = 99, 8
COLUMNS = (
    "stage", "source", "requested_share", "requested_tokens", "realised_tokens", "bytes", "documents", "unique_tokens",
    "epochs", "fresh_tokens", "replayed_tokens", "mean_attended_context",
)  # fmt: skip
GOLDEN: dict[tuple[str, int], Any] = {
    ("train", 2): {
        "sources": "pcpmcppcpmcppcpmcppcpmcppcpmcpppppmpppppppppmppppppppppppppppppp",
        "windows": [
            39, 20, 3, 3, 12, 22, 47, 8, 15, 2, 24, 26, 8, 16, 40, 1, 18, 42, 49, 22, 24, 0, 11, 18, 35, 23, 41, 1,
            15, 16, 20, 12, 5, 32, 3, 37, 43, 13, 14, 31, 1, 0, 23, 33, 2, 6, 2, 50, 34, 38, 39, 3, 22, 47, 15, 26, 8,
            40, 42, 49, 24, 18, 35, 41,
        ],
        "tokens": "06b0eb93f62f9cdc",
    },
    ("ledger", 2): [
        ["1", "prose", 0.5, 120, 120, 415, 19, 120, 0.2830188679245283, 120, 0, 3.5833333333333335],
        ["1", "code", 0.3333333333333333, 80, 80, 302, 8, 80, 0.4, 80, 0, 3.975],
        ["1", "math", 0.16666666666666666, 40, 40, 104, 4, 32, 1.25, 32, 8, 3.175],
        ["2", "math", 0.1, 16, 16, 49, 2, 16, 1.75, 0, 16, 3.5625],
        ["2", "prose", 0.9, 144, 144, 470, 20, 144, 0.6226415094339622, 144, 0, 3.625],
        ["3", "prose", 1.0, 112, 112, 383, 19, 112, 0.8867924528301887, 0, 112, 3.517857142857143],
    ],
}  # fmt: skip


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, LocalArtefact]:
    """Tokens of three sources of 50, 20 and 6 windows or so, and a tokenizer's lengths."""
    made = {}
    for number, (name, documents) in enumerate((("prose", 30), ("code", 12), ("math", 4))):
        folder = tmp_path / name
        folder.mkdir()
        stream, starts = [MARK], []
        for length in golden.numbers(number, documents, 25):
            starts.append(len(stream))
            stream += [value % MARK for value in range(length * 7, length * 8)] + [MARK]
        np.save(folder / "tokens.npy", np.array(stream, np.uint16))
        np.save(folder / "starts.npy", np.array([*starts, len(stream)], np.int64))
        made[f"tokens:{name}"] = LocalArtefact(folder, {"contents": {"stream": f"content of {name}"}})
    np.save(tmp_path / "token_bytes.npy", np.append(np.arange(MARK) % 7 + 1, 0).astype(np.int32))
    made["tokenizer"] = LocalArtefact(tmp_path, {})
    return made


@pytest.fixture
def course() -> dict[str, Any]:
    """Three sources, then two with the data carried, then one replayed."""
    shares = (("prose", "1/2"), ("code", "1/3"), ("math", "1/6"))
    chain = [next_segment([], 0, [n for n, _ in shares], [Fraction(s) for _, s in shares], carried=True)]
    chain.append(next_segment(chain, 30, ["math", "prose"], [Fraction(1, 10), Fraction(9, 10)], carried=True))
    chain.append(next_segment(chain, 50, ["prose"], [Fraction(1)], carried=False))
    segments = [
        {
            "start": segment.start_sequence * CONTEXT,
            "sources": list(segment.sources),
            "shares": [[share.numerator, share.denominator] for share in segment.shares],
            "first_draw": list(segment.first_draw),
            "pattern_start": segment.pattern_start * CONTEXT,
        }
        for segment in chain
    ]
    return {"context": CONTEXT, "order": 2, "subset": 3, "segments": segments}


def test_the_stream_is_the_same(inputs: dict[str, LocalArtefact], course: dict[str, Any]) -> None:
    stream = course_stream(course, inputs)
    at = stream.locate(np.arange(64))
    batch = stream.batch(0, 64)
    found = {
        "sources": "".join(stream.sources[source][0] for source in at.source.tolist()),
        "windows": at.window.tolist(),
        "tokens": golden.digest(batch.tokens.tolist(), batch.segments.tolist()),
    }
    golden.unchanged("train", TRAIN["train"], found, GOLDEN, "pretrial.train.spec")


def test_the_ledger_is_the_same(
    inputs: dict[str, LocalArtefact], course: dict[str, Any], tmp_path: Path, step: Callable[..., Any]
) -> None:
    shares = [{"prose": [1, 2], "code": [1, 3], "math": [1, 6]}, {"math": [1, 10], "prose": [9, 10]}, {"prose": [1, 1]}]
    bounds = [0, 30, 50, 64]
    stages = [
        {"name": str(i + 1), "first": bounds[i] * CONTEXT, "last": bounds[i + 1] * CONTEXT, "shares": shares[i]}
        for i in range(3)
    ]
    counted = {"prose": 47 * CONTEXT, "code": 10 * CONTEXT, "math": 7 * CONTEXT}
    given = {**inputs, "checkpoint": LocalArtefact(tmp_path, {"source_tokens": counted})}
    config = {"course": course, "stages": stages}
    made = step("pretrial.mixture.ledger:make_ledger", tmp_path / "ledger", config=config, inputs=given)
    rows = [list(row.values()) for row in made.facts["rows"]]
    assert {tuple(row) for row in made.facts["rows"]} == {COLUMNS}
    golden.unchanged("ledger", SEMANTICS["ledger"], rows, GOLDEN, "pretrial.mixture.spec", rel=1e-9)


def test_every_kind_has_a_golden() -> None:
    assert {kind for kind, _ in GOLDEN} == {"train", *SEMANTICS}
