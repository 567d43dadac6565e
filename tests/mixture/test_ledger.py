"""The ledger: what a count by hand, sequence by sequence and target by target, finds too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.errors import RunError
from pretrial.mixture import ledger as ledger_module
from pretrial.mixture.ledger import LedgerStage, ledger_rows
from pretrial.mixture.spec import SEMANTICS
from pretrial.mixture.stream import Stream, StreamSegment, TokenFiles, next_segment

MARK = 999
CONTEXT = 8
TOKEN_BYTES = np.append(np.arange(MARK) % 7 + 1, 0).astype(np.int32)
HALF = Fraction(1, 2)


def save(folder: Path, lengths: Sequence[int], seed: int) -> TokenFiles:
    rng = np.random.default_rng(seed)
    stream, starts = [MARK], []
    for length in lengths:
        starts.append(len(stream))
        stream += [*rng.integers(0, MARK, length).tolist(), MARK]
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "tokens.npy", np.array(stream, dtype=np.uint16))
    np.save(folder / "starts.npy", np.array([*starts, len(stream)], dtype=np.int64))
    return TokenFiles(folder, CONTEXT, f"content {seed}")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TokenFiles]:
    rng = np.random.default_rng(3)
    return {
        name: save(tmp_path_factory.mktemp(name), rng.integers(0, 25, documents).tolist(), documents)
        for name, documents in (("prose", 30), ("code", 12), ("math", 5))
    }


def by_hand(stream: Stream, stages: Sequence[LedgerStage]) -> list[dict[str, Any]]:
    """The columns from their definitions, with no shortcut."""
    rows: list[dict[str, Any]] = []
    before: dict[str, set[int]] = {name: set() for name in stream.sources}
    draws = dict.fromkeys(stream.sources, 0)
    for stage in stages:
        now: dict[str, list[int]] = {name: [] for name in stream.sources}
        for index in range(stage.first, stage.end):
            batch = stream.batch(index, 1)
            now[stream.sources[batch.sources[0]]].append(int(batch.windows[0]))
        for name, windows in now.items():
            draws[name] += len(windows)
            if name not in stage.shares:
                continue
            source = stream.files[name]
            documents, reach, size = set(), [], 0
            for w in windows:
                segment = source.segments([w])[0]
                for position in range(CONTEXT):
                    target = w * CONTEXT + position + 1
                    documents.add(int(np.flatnonzero(source.starts <= target)[-1]))
                    size += int(TOKEN_BYTES[source.tokens[target]])
                    reach.append(int(np.count_nonzero(segment[: position + 1] == segment[position])))
            fresh = len(set(windows) - before[name]) * CONTEXT
            share = stage.shares[name]
            rows.append(
                {
                    "stage": stage.name,
                    "source": name,
                    "requested_share": float(share),
                    "requested_tokens": round(share * (stage.end - stage.first) * CONTEXT),
                    "realised_tokens": len(windows) * CONTEXT,
                    "bytes": size,
                    "documents": len(documents),
                    "unique_tokens": len(set(windows)) * CONTEXT,
                    "epochs": draws[name] / source.windows,
                    "fresh_tokens": fresh,
                    "replayed_tokens": len(windows) * CONTEXT - fresh,
                    "mean_attended_context": float(np.mean(reach)),
                }
            )
            before[name] |= set(windows)
    return rows


def assert_rows(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert list(a) == list(b)
        assert a == pytest.approx(b)


@given(data=st.data(), carried=st.booleans(), chunk=st.sampled_from([1, 24, 1 << 22]))
@settings(max_examples=40, deadline=None)
def test_the_ledger_is_what_counting_by_hand_finds(
    files: dict[str, TokenFiles], data: st.DataObject, carried: bool, chunk: int
) -> None:
    chain: list[StreamSegment] = []
    stages: list[LedgerStage] = []
    start = 0
    for number in range(data.draw(st.integers(1, 3))):
        names = data.draw(st.permutations(sorted(files)))[: data.draw(st.integers(1, 3))]
        weights = [data.draw(st.integers(1, 4)) for _ in names]
        shares = {n: Fraction(w, sum(weights)) for n, w in zip(names, weights, strict=True)}
        length = data.draw(st.integers(sum(weights), 60))
        chain.append(next_segment(chain, start, names, list(shares.values()), carried))
        stages.append(LedgerStage(str(number), start, start + length, shares))
        start += length
    stream = Stream(chain, files, 1, 2, CONTEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_module, "_CHUNK_TOKENS", chunk)
        found = ledger_rows(stream, stages, TOKEN_BYTES)
    expected = by_hand(stream, stages)
    order = {stage.name: list(stage.shares) for stage in stages}
    expected.sort(key=lambda row: (int(row["stage"]), order[row["stage"]].index(row["source"])))
    assert_rows(found, expected)
    for row in found:
        assert row["fresh_tokens"] + row["replayed_tokens"] == row["realised_tokens"]


def test_stages_may_share_a_pattern_or_hold_two(files: dict[str, TokenFiles]) -> None:
    shares = {"prose": HALF, "code": Fraction(3, 10), "math": Fraction(1, 5)}
    args = (tuple(shares), tuple(shares.values()))
    merged = Stream([StreamSegment(0, *args, (0, 0, 0))], files, 1, 1, CONTEXT)
    stages = [LedgerStage("1", 0, 27, shares), LedgerStage("2", 27, 61, shares)]
    assert_rows(ledger_rows(merged, stages, TOKEN_BYTES), by_hand(merged, stages))
    chain = [StreamSegment(0, *args, (0, 0, 0))]
    chain.append(next_segment(chain, 31, *args, carried=True))
    parted = Stream(chain, files, 1, 1, CONTEXT)
    stages = [LedgerStage("1", 0, 45, shares)]
    assert_rows(ledger_rows(parted, stages, TOKEN_BYTES), by_hand(parted, stages))


def test_replay_without_data_carry_is_counted(files: dict[str, TokenFiles]) -> None:
    one = {"prose": Fraction(1)}
    rows = {}
    for carried in (True, False):
        chain = [StreamSegment(0, ("prose",), (Fraction(1),), (0,))]
        chain.append(next_segment(chain, 10, ["prose"], [Fraction(1)], carried))
        stages = [LedgerStage("1", 0, 10, one), LedgerStage("2", 10, 20, one)]
        rows[carried] = ledger_rows(Stream(chain, files, 1, 1, CONTEXT), stages, TOKEN_BYTES)
    assert [row["fresh_tokens"] for row in rows[True]] == [80, 80]
    assert [row["fresh_tokens"] for row in rows[False]] == [80, 0]
    assert [row["replayed_tokens"] for row in rows[False]] == [0, 80]
    assert rows[False][1]["unique_tokens"] == 80
    assert rows[False][1]["epochs"] == rows[True][1]["epochs"] == 20 / files["prose"].windows


def test_a_second_epoch_is_a_replay(files: dict[str, TokenFiles]) -> None:
    n = files["math"].windows
    stream = Stream([StreamSegment(0, ("math",), (Fraction(1),), (0,))], files, 1, 1, CONTEXT)
    (row,) = ledger_rows(stream, [LedgerStage("1", 0, 2 * n + 1, {"math": Fraction(1)})], TOKEN_BYTES)
    assert row["epochs"] == (2 * n + 1) / n
    assert row["fresh_tokens"] == row["unique_tokens"] == n * CONTEXT
    assert row["replayed_tokens"] == (n + 1) * CONTEXT


def test_a_mixture_that_is_not_the_one_asked_for_fails_the_run(files: dict[str, TokenFiles]) -> None:
    stream = Stream([StreamSegment(0, ("prose", "code"), (HALF, HALF), (0, 0))], files, 1, 1, CONTEXT)
    asked = {"prose": Fraction(6, 10), "code": Fraction(4, 10)}
    # 60% of 10 sequences is 6, one more than is given: still within a sequence; of 11 it is 6.6 against 6.
    ledger_rows(stream, [LedgerStage("1", 0, 10, asked)], TOKEN_BYTES)
    with pytest.raises(RunError, match="were asked for") as caught:
        ledger_rows(stream, [LedgerStage("1", 0, 20, asked)], TOKEN_BYTES)
    assert caught.value.where == "stage 1, source prose"
    with pytest.raises(RunError, match="were asked for"):
        ledger_rows(stream, [LedgerStage("1", 0, 20, {"prose": Fraction(1)})], TOKEN_BYTES)
    with pytest.raises(RunError, match="80 tokens were asked for and 0 were given") as caught:
        ledger_rows(stream, [LedgerStage("1", 0, 20, {"prose": HALF, "math": HALF})], TOKEN_BYTES)
    assert caught.value.where == "stage 1, source math"


def test_a_share_that_rounds_to_nothing_fails_the_run(files: dict[str, TokenFiles]) -> None:
    shares = {"prose": Fraction(99, 100), "code": Fraction(1, 100)}
    stream = Stream([StreamSegment(0, tuple(shares), tuple(shares.values()), (0, 0))], files, 1, 1, CONTEXT)
    with pytest.raises(RunError, match=r"share of 1.0000% rounds to nothing in 20 sequences"):
        ledger_rows(stream, [LedgerStage("1", 0, 20, shares)], TOKEN_BYTES)


@pytest.mark.parametrize("stages", [[(1, 5)], [(0, 5), (6, 9)], [(0, 5), (4, 9)], [(0, 0)]])
def test_stages_with_gaps_are_refused(files: dict[str, TokenFiles], stages: list[tuple[int, int]]) -> None:
    one = {"prose": Fraction(1)}
    stream = Stream([StreamSegment(0, ("prose",), (Fraction(1),), (0,))], files, 1, 1, CONTEXT)
    with pytest.raises(ValueError, match="it must start at"):
        ledger_rows(stream, [LedgerStage("s", a, b, one) for a, b in stages], TOKEN_BYTES)


def test_semantics_versions() -> None:
    assert SEMANTICS == {"ledger": 2}


def test_the_step_reads_what_the_trainer_gets(files: dict[str, TokenFiles], tmp_path: Path, step: Any) -> None:
    chain = [StreamSegment(0, ("prose", "code"), (HALF, HALF), (0, 0))]
    chain.append(next_segment(chain, 12, ["prose"], [Fraction(1)], carried=True))
    stages = [LedgerStage("1", 0, 12, {"prose": HALF, "code": HALF}), LedgerStage("2", 12, 20, {"prose": Fraction(1)})]
    expected = ledger_rows(Stream(chain, files, 3, 4, CONTEXT), stages, TOKEN_BYTES)
    np.save(tmp_path / "token_bytes.npy", TOKEN_BYTES)
    inputs = {
        f"tokens:{name}": Made(files[name].path, "", {"contents": {"stream": files[name].content}})
        for name in ("prose", "code")
    }
    config = {
        "course": {
            "context": CONTEXT,
            "order": 4,
            "subset": 3,
            "segments": [
                {
                    "start": segment.start_sequence * CONTEXT,
                    "sources": list(segment.sources),
                    "shares": [[share.numerator, share.denominator] for share in segment.shares],
                    "first_draw": list(segment.first_draw),
                    "pattern_start": segment.pattern_start * CONTEXT,
                }
                for segment in chain
            ],
        },
        "stages": [
            {
                "name": stage.name,
                "first": stage.first * CONTEXT,
                "last": stage.end * CONTEXT,
                "shares": {name: [share.numerator, share.denominator] for name, share in stage.shares.items()},
            }
            for stage in stages
        ],
    }
    inputs["tokenizer"] = Made(tmp_path, "")
    counted = {"prose": 14 * CONTEXT, "code": 6 * CONTEXT}
    inputs["checkpoint"] = Made(tmp_path, "", {"source_tokens": counted})
    made = step("pretrial.mixture.ledger:make_ledger", tmp_path / "out", config=config, inputs=inputs)
    assert made.facts == {"rows": expected}
    config["stages"][0]["last"] += 1
    with pytest.raises(ValueError, match="97 tokens are not whole sequences of 8"):
        step("pretrial.mixture.ledger:make_ledger", tmp_path / "b", config=config, inputs=inputs)
    config["stages"][0]["last"] -= 1
    inputs["checkpoint"] = Made(tmp_path, "", {"source_tokens": {**counted, "code": 7 * CONTEXT}})
    with pytest.raises(RunError, match="counts 48 tokens of code and training 56"):
        step("pretrial.mixture.ledger:make_ledger", tmp_path / "c", config=config, inputs=inputs)


@dataclass
class Made:
    """An artefact without a store."""

    path: Path
    content: str
    facts: dict[str, Any] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        return self.path / name
