"""Learning rates, segments, trajectories: pure numbers, and what does and does not change a key."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.errors import RequestError
from pretrial.model.spec import PRESETS
from pretrial.store.identity import fingerprint
from pretrial.train.spec import (
    CHECKPOINT_SECONDS,
    LrPiece,
    Segment,
    base_json,
    checkpoint_bytes,
    checkpoint_seconds,
    learning_rate,
    merge,
    micro_batch,
    peak_memory,
    step_learning_rate,
)

LINEAR = LrPiece("linear", 1e-2, warmup=100, end=1100, floor=1e-3)
COSINE = LrPiece("cosine", 1e-2, warmup=100, end=1100, floor=1e-3)
CONSTANT = LrPiece("constant", 1e-2, warmup=100)


@pytest.mark.parametrize(
    ("piece", "tokens", "rate"),
    [
        (LINEAR, 0, 0.0),
        (LINEAR, 50, 5e-3),
        (LINEAR, 100, 1e-2),
        (LINEAR, 600, 5.5e-3),
        (LINEAR, 1100, 1e-3),
        (LINEAR, 5000, 1e-3),
        (COSINE, 100, 1e-2),
        (COSINE, 350, 8.681980515339464e-3),
        (COSINE, 600, 5.5e-3),
        (COSINE, 1100, 1e-3),
        (CONSTANT, 50, 5e-3),
        (CONSTANT, 100, 1e-2),
        (CONSTANT, 10**12, 1e-2),
        (LrPiece("linear", 6e-3, start=1000, end=2000), 1500, 3e-3),
        (LrPiece("linear", 6e-3, start=1000, end=2000), 2000, 0.0),
        (LrPiece("cosine", 6e-3, start=1000, warmup=100, end=2100), 1050, 3e-3),
    ],
)
def test_learning_rates(piece: LrPiece, tokens: int, rate: float) -> None:
    assert learning_rate(piece, tokens) == pytest.approx(rate, rel=1e-12, abs=1e-15)


def test_a_step_takes_the_rate_of_its_middle() -> None:
    assert step_learning_rate(LINEAR, 0, 20) == pytest.approx(1e-3)
    assert step_learning_rate(replace(LINEAR, floor=0.0), 1080, 20) > 0


pieces = st.builds(
    lambda kind, peak, start, warmup, length, floor: LrPiece(
        kind, peak, start, warmup, None if kind == "constant" else start + warmup + length, floor * peak
    ),
    st.sampled_from(["constant", "linear", "cosine"]),
    st.floats(1e-6, 1.0),
    st.integers(0, 10**9),
    st.integers(0, 10**6),
    st.integers(1, 10**9),
    st.floats(0, 1),
)


@given(pieces, st.integers(0, 3 * 10**9), st.integers(1, 10**6))
def test_rates_stay_between_zero_and_the_peak_and_only_fall_after_warm_up(
    piece: LrPiece, tokens: int, more: int
) -> None:
    now, later = learning_rate(piece, tokens), learning_rate(piece, tokens + more)
    rounding = 1e-12 * piece.peak
    assert 0 <= now <= piece.peak + rounding
    if tokens >= piece.start + piece.warmup:
        assert piece.floor - rounding <= later <= now + rounding
    assert LrPiece.from_json(piece.to_json()) == piece


def test_what_a_constant_piece_does_not_use_does_not_tell_it_apart() -> None:
    assert LrPiece("constant", 1e-2, end=5, floor=1e-3) == LrPiece("constant", 1e-2, end=9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "square", "peak": 1.0},
        {"kind": "linear", "peak": 1.0},
        {"kind": "linear", "peak": 1.0, "warmup": 10, "end": 10},
        {"kind": "constant", "peak": float("nan")},
        {"kind": "constant", "peak": -1.0},
        {"kind": "constant", "peak": 1.0, "warmup": -1},
    ],
)
def test_wrong_pieces_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"learning-rate piece|must end|finite|count tokens"):
        LrPiece(**wrong)  # type: ignore[arg-type]


def segment(start: int = 0, prose: Fraction = Fraction(1, 2), lr: LrPiece = LINEAR, **more: object) -> Segment:
    shares = {name: share for name, share in (("prose", prose), ("code", 1 - prose)) if share}
    return Segment(start, tuple(shares), tuple(shares.values()), tuple(f"c-{n}" for n in shares), lr, **more)  # type: ignore[arg-type]


BASE = base_json(
    model=PRESETS["1m"],
    vocabulary=4096,
    context=256,
    tokenizer="t",
    precision="float32",
    seeds={"init": 1, "order": 1, "subset": 1},
    batch_sequences=2,
    optimizer={"betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1, "clip": 1.0},
)
TEXT, HALF = Fraction(1), Fraction(1, 2)


def key(*segments: Segment, at: int = 10**9, base: dict[str, object] = BASE) -> str:
    """The identity of a course as far as it acted on a checkpoint at so many tokens."""
    acted = [segment.to_json() for segment in merge(segments) if segment.start < at]
    return fingerprint({"base": base, "segments": acted})


def test_a_prefix_is_shared_and_parts_where_the_recipes_do() -> None:
    one, two = (segment(0, HALF), segment(500, TEXT)), (segment(0, HALF), segment(500, Fraction(1, 4)))
    assert key(*one, at=300) == key(*two, at=300)
    assert key(*one, at=500) == key(*two, at=500)
    assert key(*one, at=501) != key(*two, at=501)


def test_stages_that_only_go_on_are_one() -> None:
    whole = key(segment())
    assert key(segment(), segment(500)) == whole
    for changed in (
        segment(500, carry=("weights", "data")),
        segment(500, carry=("weights", "optimizer")),
        segment(500, TEXT),
        segment(500, lr=CONSTANT),
    ):
        assert key(segment(), changed) != whole
        assert (
            len(merge((segment(), changed, replace(changed, start=700, carry=("weights", "optimizer", "data"))))) == 2
        )


def test_order_of_sources_matters_since_ties_go_to_the_first() -> None:
    turned = replace(segment(), sources=("code", "prose"), contents=("c-code", "c-prose"))
    assert key(turned) != key(segment())


def test_the_horizon_parts_decays_and_not_constants() -> None:
    """A longer study shares its constant phase with a shorter one, and shares nothing of a decay."""
    longer = replace(LINEAR, end=2100)
    assert key(segment(lr=LINEAR), at=300) != key(segment(lr=longer), at=300)

    def stable(decay_at: int) -> tuple[Segment, Segment]:
        return segment(lr=CONSTANT), segment(decay_at, lr=LrPiece("linear", 1e-2, start=decay_at, end=decay_at + 200))

    assert key(*stable(800), at=800) == key(*stable(1600), at=800)
    assert key(*stable(800), at=900) != key(*stable(1600), at=900)


@pytest.mark.parametrize(
    "change",
    [
        {"model": PRESETS["2m"].to_json()},
        {"tokenizer": "u"},
        {"precision": "bfloat16"},
        {"seeds": {"init": 2, "order": 1, "subset": 1}},
        {"batch_sequences": 4},
        {"optimizer": BASE["optimizer"] | {"clip": 0.5}},
    ],
)
def test_everything_in_the_base_bears_identity(change: dict[str, object]) -> None:
    assert key(segment(), at=100, base=BASE | change) != key(segment(), at=100)


def test_contents_of_sources_bear_identity() -> None:
    assert key(replace(segment(), contents=("x", "c-code")), at=100) != key(segment(), at=100)


def test_a_key_stays_what_it_was() -> None:
    """Golden: when this fails, results of earlier versions are lost to everyone; raise SEMANTICS and say so."""
    assert key(segment(), segment(500, TEXT)) == "bf8e2b479dcca913a1c3b23d16a71ac9"


def test_segments_survive_json() -> None:
    whole = segment(500, Fraction(1, 3), carry=("weights",), first_draw=(3, 0), pattern_start=100)
    assert Segment.from_json(whole.to_json()) == whole


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shares": (Fraction(1, 2), Fraction(1, 3))}, "sum to 1"),
        ({"shares": (Fraction(1), Fraction(0))}, "positive"),
        ({"sources": ("prose", "prose")}, "twice"),
        ({"carry": ("optimizer",)}, "weights"),
        ({"carry": ("weights", "luck")}, "luck"),
        ({"first_draw": (1,)}, "parallel"),
        ({"first_draw": (-1, 0)}, "counts"),
    ],
)
def test_wrong_segments_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(segment(), **change)  # type: ignore[arg-type]


def test_segments_start_at_zero_and_in_order() -> None:
    with pytest.raises(ValueError, match="starts at 0"):
        merge([segment(5)])
    with pytest.raises(ValueError, match="start in order"):
        merge([segment(), segment(500, TEXT), segment(400, HALF)])


def test_unresolved_precision_bears_no_identity() -> None:
    with pytest.raises(ValueError, match="auto"):
        base_json(
            model=PRESETS["1m"], vocabulary=1, context=1, tokenizer="", precision="auto", seeds={},
            batch_sequences=1, optimizer={},
        )  # fmt: skip


def test_memory_and_disk_grow_with_the_model() -> None:
    assert checkpoint_bytes(PRESETS["1m"], 4096) == 12 * 1_327_744
    assert 1e9 < peak_memory(PRESETS["1m"], 4096, 256, 2) < 1.3e9 < peak_memory(PRESETS["1m"], 4096, 256, 200)
    assert peak_memory(PRESETS["1b"], 50304, 2048, 1) > 16e9


@pytest.mark.parametrize(
    ("sequences", "context", "micro"),
    [(2, 256, 2), (8, 512, 8), (16, 512, 8), (7, 1024, 1), (4, 8192, 1), (12, 1024, 4)],
)
def test_micro_batches_divide_the_batch(sequences: int, context: int, micro: int) -> None:
    assert micro_batch(sequences, context, 4096) == micro


@pytest.mark.parametrize(
    ("said", "seconds"), [(None, CHECKPOINT_SECONDS), ("", CHECKPOINT_SECONDS), ("0", 0.0), ("2.5", 2.5)]
)
def test_how_often_training_saves_is_set_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, said: str | None, seconds: float
) -> None:
    monkeypatch.delenv("PRETRIAL_CHECKPOINT_SECONDS", raising=False)
    if said is not None:
        monkeypatch.setenv("PRETRIAL_CHECKPOINT_SECONDS", said)
    assert checkpoint_seconds() == seconds


@pytest.mark.parametrize("said", ["abc", "-1", "nan", "1 minute"])
def test_what_is_no_number_of_seconds_is_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("PRETRIAL_CHECKPOINT_SECONDS", said)
    with pytest.raises(RequestError, match=f"PRETRIAL_CHECKPOINT_SECONDS is '{said}'"):
        checkpoint_seconds()


def test_planning_needs_no_torch() -> None:
    code = "import sys, pretrial.train.spec, pretrial.model.spec, pretrial.train.record; "
    code += "print('torch' in sys.modules, 'pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
