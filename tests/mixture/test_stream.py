"""The stream: a pure function of plan and index, equal in all arms, for all ranks and from every entry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.errors import RunError
from pretrial.mixture import order as order_module
from pretrial.mixture.order import SourceOrder
from pretrial.mixture.stream import (
    Batch,
    Stream,
    StreamSegment,
    TokenFiles,
    carry_draws,
    next_segment,
    rank_slice,
)

MARK = 999
CONTEXT = 8
NAMES = ("prose", "code", "math")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TokenFiles]:
    """Three sources of 40, 23 and 7 windows or so, with documents of 0 to 30 tokens."""
    rng = np.random.default_rng(1)
    made = {}
    for number, (name, total) in enumerate(zip(NAMES, (320, 190, 60), strict=True)):
        lengths: list[int] = []
        while sum(lengths) + len(lengths) < total:
            lengths.append(int(rng.integers(0, 31)))
        made[name] = save(tmp_path_factory.mktemp(name), lengths, number)
    return made


def save(folder: Path, lengths: Sequence[int], seed: int = 0, context: int = CONTEXT) -> TokenFiles:
    rng = np.random.default_rng(seed)
    stream, starts = [MARK], []
    for length in lengths:
        starts.append(len(stream))
        stream += [*rng.integers(0, MARK, length).tolist(), MARK]
    np.save(folder / "tokens.npy", np.array(stream, dtype=np.uint16))
    np.save(folder / "starts.npy", np.array([*starts, len(stream)], dtype=np.int64))
    return TokenFiles(folder, context, f"content {seed}")


@st.composite
def chains(draw: st.DrawFn) -> tuple[StreamSegment, ...]:
    """Chains of one to three mixtures over some of the sources, data carried or replayed."""
    carried = draw(st.booleans())
    chain: list[StreamSegment] = []
    start = 0
    for _ in range(draw(st.integers(1, 3))):
        names = draw(st.permutations(NAMES))[: draw(st.integers(1, 3))]
        weights = [draw(st.integers(1, 9)) for _ in names]
        shares = [Fraction(weight, sum(weights)) for weight in weights]
        chain.append(next_segment(chain, start, names, shares, carried))
        start += draw(st.integers(1, 60))
    return tuple(chain)


def stream_of(files: dict[str, TokenFiles], chain: Sequence[StreamSegment], subset: int = 1, order: int = 1) -> Stream:
    return Stream(chain, files, subset, order, CONTEXT)


def assert_equal(a: Batch, b: Batch) -> None:
    for name in ("tokens", "segments", "sources", "draws", "epochs", "windows"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name


# -- the data order ----------------------------------------------------------------------------------------


@given(chain=chains(), subset=st.integers(1, 9), order=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_the_kth_draw_of_a_source_is_the_same_in_every_arm(
    files: dict[str, TokenFiles], chain: tuple[StreamSegment, ...], subset: int, order: int
) -> None:
    stream = stream_of(files, chain, subset, order)
    at = stream.locate(np.arange(200))
    for index, name in enumerate(stream.sources):
        here = at.source == index
        alone = Stream([StreamSegment(0, (name,), (Fraction(1),), (0,))], files, subset, order, CONTEXT)
        expected = alone.locate(at.draw[here])
        assert np.array_equal(at.window[here], expected.window)
        assert np.array_equal(at.epoch[here], expected.epoch)


@given(chain=chains())
@settings(max_examples=40, deadline=None)
def test_draws_of_a_source_follow_each_other_and_carried_data_is_not_replayed(
    files: dict[str, TokenFiles], chain: tuple[StreamSegment, ...]
) -> None:
    stream = stream_of(files, chain)
    at = stream.locate(np.arange(200))
    ends = [*[segment.start_sequence for segment in chain[1:]], 200]
    for segment, end in zip(chain, ends, strict=True):
        for name, first in zip(segment.sources, segment.first_draw, strict=True):
            inside = np.arange(200)
            here = (at.source == stream.sources.index(name)) & (inside >= segment.start_sequence) & (inside < end)
            assert at.draw[here].tolist() == list(range(first, first + int(here.sum())))
    carried = all(
        segment.first_draw == tuple(carry_draws(chain, segment.start_sequence).get(n, 0) for n in segment.sources)
        for segment in chain
    )
    if carried:
        for index in range(len(stream.sources)):
            draws = at.draw[at.source == index]
            assert draws.tolist() == list(range(len(draws)))


@given(chain=chains(), cut=st.integers(1, 150))
@settings(max_examples=40, deadline=None)
def test_a_prefix_does_not_depend_on_what_comes_after(
    files: dict[str, TokenFiles], chain: tuple[StreamSegment, ...], cut: int
) -> None:
    kept = [segment for segment in chain if segment.start_sequence < cut]
    whole, prefix = stream_of(files, chain), stream_of(files, kept)
    a, b = whole.locate(np.arange(cut)), prefix.locate(np.arange(cut))
    assert [whole.sources[i] for i in a.source] == [prefix.sources[i] for i in b.source]
    assert np.array_equal(a.window, b.window)


@given(
    chain=chains(),
    first=st.integers(0, 10**6),
    count=st.integers(0, 24),
    ranks=st.sampled_from([1, 2, 4]),
)
@settings(max_examples=40, deadline=None)
def test_ranks_together_take_exactly_the_batch(
    files: dict[str, TokenFiles], chain: tuple[StreamSegment, ...], first: int, count: int, ranks: int
) -> None:
    whole = stream_of(files, chain).batch(first, count)
    parts = [stream_of(files, chain).batch(*rank_slice(first, count, rank, ranks)) for rank in range(ranks)]
    for name in ("tokens", "segments", "sources", "draws", "epochs", "windows"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))
    sizes = [len(part.tokens) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_a_rank_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="rank 2 is not one of 2"):
        rank_slice(0, 8, 2, 2)


@given(chain=chains(), indices=st.lists(st.integers(0, 10**12), min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_sequences_may_be_asked_for_in_any_order(
    files: dict[str, TokenFiles], chain: tuple[StreamSegment, ...], indices: list[int]
) -> None:
    stream = stream_of(files, chain)
    together = stream.locate(indices)
    for i, index in enumerate(indices):
        alone = stream.locate(index)
        assert (alone.source, alone.draw, alone.window) == (
            together.source[i], together.draw[i], together.window[i],
        )  # fmt: skip


def test_a_seek_to_step_a_billion_is_direct_and_costs_what_the_first_step_costs(
    files: dict[str, TokenFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = (Fraction(9, 10), Fraction(1, 10))
    segments = [StreamSegment(0, ("prose", "code"), shares, (0, 0))]
    work: list[int] = []
    network = order_module._feistel

    def counting(x: Any, *rest: Any) -> Any:
        work.append(len(x))
        return network(x, *rest)

    monkeypatch.setattr(order_module, "_feistel", counting)
    costs = []
    for step in (0, 10**9):
        work.clear()
        batch = Stream(segments, files, 1, 1, CONTEXT).batch(step * 10, 10)
        costs.append(sum(work))
        # One period a step: nine of prose, one of code, so the draws are known without any walk.
        code = batch.sources == 1
        assert batch.draws[code].tolist() == [step]
        assert batch.draws[~code].tolist() == list(range(9 * step, 9 * step + 9))
        for i in range(10):
            name = ("prose", "code")[batch.sources[i]]
            direct = SourceOrder(files[name].content, files[name].windows, 1, 1).window(int(batch.draws[i]))
            assert (batch.epochs[i], batch.windows[i]) == direct
            assert np.array_equal(batch.tokens[i], files[name].read(int(direct[1])))
    assert max(costs) < 20 * 8


# -- windows and attention ---------------------------------------------------------------------------------


@given(lengths=st.lists(st.integers(0, 20), min_size=1, max_size=30), context=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_windows_overlap_by_one_and_every_target_comes_once(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], context: int
) -> None:
    source = save(tmp_path_factory.mktemp("s"), lengths, context=context)
    assert source.windows == (len(source.tokens) - 1) // context
    targets = [source.read(w)[1:] for w in range(source.windows)]
    joined = np.concatenate(targets) if targets else np.empty(0)
    assert np.array_equal(joined, source.tokens[1 : 1 + source.windows * context])
    for w in range(source.windows - 1):
        assert source.read(w)[-1] == source.read(w + 1)[0]


@given(lengths=st.lists(st.integers(0, 20), min_size=2, max_size=30), context=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_attention_segments_open_at_each_mark_seen_as_input(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], context: int
) -> None:
    source = save(tmp_path_factory.mktemp("s"), lengths, context=context)
    segments = source.segments(np.arange(source.windows))
    assert segments.shape == (source.windows, context)
    for w in range(source.windows):
        inputs = source.read(w)[:-1]
        # Tokens of these files spell the mark nowhere else, so the marks themselves are an oracle here.
        opened = np.cumsum(inputs == MARK)
        assert segments[w].tolist() == (opened - opened[0]).tolist()


def test_a_mark_inside_a_document_opens_nothing(tmp_path: Path) -> None:
    """Boundaries come from the offsets; a token equal to the mark is only a token."""
    np.save(tmp_path / "tokens.npy", np.array([MARK, 1, MARK, 2, MARK, 3, 4, MARK], dtype=np.uint16))
    np.save(tmp_path / "starts.npy", np.array([1, 5, 8], dtype=np.int64))
    source = TokenFiles(tmp_path, 7, "c")
    assert source.segments([0]).tolist() == [[0, 0, 0, 0, 1, 1, 1]]


def test_moving_a_document_boundary_moves_the_segments_alone(tmp_path: Path) -> None:
    tokens = np.array([MARK, 1, 2, 3, MARK, 4, 5, 6, MARK], dtype=np.uint16)
    segments = []
    for starts in ([1, 5, 9], [1, 4, 9]):
        np.save(tmp_path / "tokens.npy", tokens)
        np.save(tmp_path / "starts.npy", np.array(starts, dtype=np.int64))
        segments.append(TokenFiles(tmp_path, 8, "c").segments([0])[0].tolist())
    assert segments == [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]]


def test_a_batch_holds_windows_of_its_sources(files: dict[str, TokenFiles]) -> None:
    shares = (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5))
    stream = stream_of(files, [StreamSegment(0, NAMES, shares, (0, 0, 0))])
    batch = stream.batch(3, 10)
    assert batch.tokens.dtype == np.int64
    assert batch.segments.dtype == np.int32
    assert batch.tokens.shape == (10, CONTEXT + 1)
    assert batch.segments.shape == (10, CONTEXT)
    for i in range(10):
        source = files[stream.sources[batch.sources[i]]]
        assert np.array_equal(batch.tokens[i], source.read(int(batch.windows[i])))
        assert np.array_equal(batch.segments[i], source.segments([batch.windows[i]])[0])


def test_documents_of_a_sequence_are_named(tmp_path: Path) -> None:
    source = save(tmp_path, [3, 0, 20, 2])
    single = {"prose": source}
    stream = stream_of(single, [StreamSegment(0, ("prose",), (Fraction(1),), (0,))])
    by_window = {int(stream.locate(i).window): stream.documents_of(i) for i in range(source.windows)}
    # mark abc mark mark 20… mark xy mark: targets 1–4 are document 0, 5 is 1, 6–26 are 2, 27–29 are 3.
    assert by_window[0] == [("prose", "document 0"), ("prose", "document 1"), ("prose", "document 2")]
    assert by_window[1] == [("prose", "document 2")]
    ids = ["a/1", "b\n2", "c", "d"]
    (tmp_path / "ids.txt").write_text("".join(json.dumps(name) + "\n" for name in ids))
    first = next(i for i in range(source.windows) if int(stream.locate(i).window) == 0)
    assert stream.documents_of(first) == [("prose", "a/1"), ("prose", "b\n2"), ("prose", "c")]
    assert len(stream.documents_of(0, source.windows)) == len(set(stream.documents_of(0, source.windows)))


# -- segments ----------------------------------------------------------------------------------------------

HALF = (Fraction(1, 2), Fraction(1, 2))


def test_carried_draws_go_on_and_replayed_ones_start_again() -> None:
    first = StreamSegment(0, ("prose", "code"), HALF, (0, 0))
    assert carry_draws([], 0) == {}
    assert carry_draws([first], 0) == {}
    assert carry_draws([first], 5) == {"prose": 3, "code": 2}
    assert carry_draws([first], 10, carried=False) == {"prose": 0, "code": 0}
    second = next_segment([first], 10, ("math", "code"), HALF, carried=True)
    assert second == StreamSegment(10, ("math", "code"), HALF, (0, 5))
    assert carry_draws([first, second], 10) == {"prose": 5, "code": 5}
    assert carry_draws([first, second], 14) == {"prose": 5, "math": 2, "code": 7}
    assert next_segment([first], 10, ("code",), [Fraction(1)], carried=False).first_draw == (0,)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_mixture_that_goes_on_keeps_its_pattern(data: st.DataObject) -> None:
    """Cuts under one mixture, as new learning rates make them, move no sequence."""
    weights = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    shares = [Fraction(weight, sum(weights)) for weight in weights]
    names = [f"s{i}" for i in range(len(weights))]
    cuts = sorted(data.draw(st.sets(st.integers(1, 400), max_size=5)))
    whole = StreamSegment(0, tuple(names), tuple(shares), (0,) * len(names))
    chain: list[StreamSegment] = []
    for cut in (0, *cuts):
        chain.append(next_segment(chain, cut, names, shares, carried=True))
    given = np.zeros(len(names), dtype=np.int64)
    for segment, end in zip(chain, [*cuts, 500], strict=True):
        t = np.arange(end - segment.start_sequence)
        assert np.array_equal(segment.source(t), whole.source(t + segment.start_sequence))
        assert list(segment.first_draw) == given.tolist()
        assert np.array_equal(given + segment.given(t), whole.given(t + segment.start_sequence))
        given = whole.given(end)
    replayed = next_segment(chain, 500, names, shares, carried=False)
    assert (replayed.pattern_start, replayed.first_draw) == (500, (0,) * len(names))
    if len(names) > 1:
        other = next_segment(chain, 500, names[::-1], shares[::-1], carried=True)
        assert other.pattern_start == 500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start_sequence": -1}, "cannot start"),
        ({"sources": ("prose",)}, "one share and one first draw"),
        ({"sources": ("prose", "prose")}, "named twice"),
        ({"first_draw": (0, -1)}, "cannot be negative"),
    ],
)
def test_impossible_segments_are_refused(change: dict[str, Any], message: str) -> None:
    good = StreamSegment(0, ("prose", "code"), HALF, (0, 0))
    with pytest.raises(ValueError, match=message):
        replace(good, **change)


def test_streams_refuse_what_they_cannot_give(files: dict[str, TokenFiles], tmp_path: Path) -> None:
    one = StreamSegment(0, ("prose",), (Fraction(1),), (0,))
    with pytest.raises(ValueError, match="at least one segment"):
        stream_of(files, [])
    with pytest.raises(ValueError, match="one after the other"):
        stream_of(files, [one, one])
    with pytest.raises(ValueError, match="no token files are given for the source 'prose'"):
        stream_of({}, [one])
    with pytest.raises(ValueError, match="8 targets, not 16"):
        Stream([one], files, 1, 1, 16)
    with pytest.raises(IndexError, match="before the stream's first"):
        stream_of(files, [replace(one, start_sequence=5)]).locate([4])
    with pytest.raises(RunError, match="fewer than one window of 8"):
        stream_of({"prose": save(tmp_path, [3])}, [one])


def test_offsets_that_do_not_fit_the_tokens_are_refused(tmp_path: Path) -> None:
    save(tmp_path, [30, 30])
    np.save(tmp_path / "tokens.npy", np.zeros(5, dtype=np.uint16))
    with pytest.raises(RunError, match="the offsets end at"):
        TokenFiles(tmp_path, 8, "c")
