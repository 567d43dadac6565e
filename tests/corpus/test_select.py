"""Selection: nothing leaks between training and held-out documents, and quotas are met."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus import iterate, spec
from pretrial.corpus.iterate import (
    CONTAMINATED,
    DUPLICATE,
    EXCLUDED,
    HELD_OUT,
    NEAR_DUPLICATE,
    NEAR_HELD_OUT,
    TRAIN,
)
from pretrial.corpus.select import (
    Quota,
    Selection,
    Table,
    inherit,
    leave_beside,
    leave_contaminated,
    leave_copies,
    leave_near,
    select,
)
from pretrial.errors import RequestError

QUOTA = Quota(Fraction(1, 50), 262_144, Fraction(1, 5))


def table(name: str, rows: list[tuple[int, int, int]], trained: bool = True) -> Table:
    """A source of (group, copy, bytes)."""
    columns = np.array(rows, np.int64).reshape(len(rows), 3)
    return Table(name, trained, columns[:, 0], columns[:, 1], columns[:, 2])


ROWS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 40), st.integers(1, 300_000)), min_size=1, max_size=40)


@given(st.lists(st.tuples(ROWS, st.booleans()), min_size=1, max_size=4))
def test_no_group_and_no_copy_stands_on_both_sides(sources: list[tuple[list[tuple[int, int, int]], bool]]) -> None:
    tables = [table(str(index), rows, trained) for index, (rows, trained) in enumerate(sources)]
    chosen = select(tables, 12, QUOTA)
    trains: set[int] = set()
    held: set[int] = set()
    train_copies: list[int] = []
    held_copies: set[int] = set()
    used: list[int] = []
    for one in tables:
        mask = chosen.masks[one.name]
        trains |= set(one.group[mask == TRAIN].tolist())
        held |= set(one.group[mask == HELD_OUT].tolist())
        train_copies += one.copy[mask == TRAIN].tolist()
        # Dropped copies count: the group they stood in was held out.
        held_copies |= set(one.copy[chosen.held[one.group]].tolist())
        used += one.copy[mask != DUPLICATE].tolist()
        if not one.trained:
            assert set(mask.tolist()) <= {DUPLICATE, HELD_OUT}
    assert not trains & held
    assert not set(train_copies) & held_copies
    assert len(set(train_copies)) == len(train_copies)
    # Each text is there exactly once.
    assert sorted(used) == sorted({copy for one in tables for copy in one.copy.tolist()})


@given(ROWS, ROWS)
def test_large_groups_train_and_half_of_a_source_is_never_picked(first: Any, second: Any) -> None:
    tables = [table("a", first), table("b", second)]
    chosen = select(tables, 12, QUOTA)
    for one in tables:
        kept = chosen.masks[one.name] != DUPLICATE
        total = one.bytes[kept].sum()
        held = one.bytes[kept & chosen.held[one.group]].sum()
        assert held == chosen.chosen[one.name] <= total // 2
        if total < 2 * QUOTA.bytes:
            assert held <= total // 4
        for group in range(12):
            if 5 * one.bytes[kept & (one.group == group)].sum() > total:
                assert not chosen.held[group]


@given(st.integers(300, 600), st.integers(10_000, 60_000), st.integers(0, 2**32 - 1))
def test_each_source_gets_two_percent_and_a_quarter_megabyte(count: int, size: int, salt: int) -> None:
    group = np.random.default_rng(salt).permutation(2 * count).tolist()
    first = table("a", [(group[index], index, size) for index in range(count)])
    second = table("b", [(group[index + count // 2], 2 * count + index, size // 2) for index in range(count)])
    chosen = select([first, second], 2 * count, QUOTA)
    for one in (first, second):
        total = int(one.bytes.sum())
        assert chosen.chosen[one.name] >= max(total // 50, 262_144)
    # Groups join, so the second source may end over its quota, but the first to be short stops the walk.
    assert any(
        chosen.chosen[one.name] - int(one.bytes[0]) < max(one.bytes.sum() / 50, 262_144) for one in (first, second)
    )


def test_groups_are_taken_in_the_order_of_their_numbers() -> None:
    one = table("a", [(99 - index, index, 50_000) for index in range(100)])
    assert np.flatnonzero(select([one], 100, QUOTA).held).tolist() == list(range(6))


def test_a_transfer_domain_keeps_its_copies_and_takes_its_groups() -> None:
    trained = table(
        "a", [(0, 0, 100_000), (1, 1, 100_000), (2, 2, 900_000), *((3 + i, 9 + i, 200_000) for i in range(9))]
    )
    unseen = table("z", [(0, 7, 10), (20, 1, 100_000)], trained=False)
    chosen = select([trained, unseen], 21, QUOTA)
    assert chosen.masks["z"].tolist() == [HELD_OUT, HELD_OUT]
    assert chosen.masks["a"][:2].tolist() == [HELD_OUT, DUPLICATE]


def test_a_copy_of_a_dropped_document_in_a_held_out_group_does_not_train() -> None:
    first, last = 0, 99
    rows = [(index, index, 50_000) for index in range(100) if index != first]
    # The copy comes first and is kept; the one in the group held out first is dropped.
    one = table("a", [(last, 500, 1_000), (first, 500, 1_000), (first, first, 50_000), *rows])
    chosen = select([one], 100, QUOTA)
    assert chosen.held[first]
    assert not chosen.held[last]
    assert chosen.masks["a"][:3].tolist() == [EXCLUDED, DUPLICATE, HELD_OUT]


# -- on real corpora ---------------------------------------------------------------------------------------------


@pytest.fixture
def corpora(tmp_path: Path, read: Any) -> Any:
    """Make corpora of the records given for each source."""

    def make(**sources: list[dict[str, Any]]) -> dict[str, Any]:
        made = {}
        for name, records in sources.items():
            (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, records)))
            made[f"corpus:{name}"] = read("jsonl", f"{name}.jsonl", group="book").artefact
        return made

    return make


def records(label: str, count: int, size: int = 20_000) -> list[dict[str, Any]]:
    return [{"text": f"{label} {i} " + "x" * size, "book": f"{label}{i}"} for i in range(count)]


def test_a_selection_is_written_counted_and_iterated(tmp_path: Path, step: Any, corpora: Any) -> None:
    inputs = corpora(prose=records("p", 40), news=[*records("n", 2), {"text": "p  0 " + "x" * 20_000}])
    config = spec.select_config(["prose", "news"], {"prose"})
    chosen = step("pretrial.corpus.select:select_documents", tmp_path / "chosen", config=config, inputs=inputs)
    facts = chosen.facts
    assert json.loads(chosen.file("sources.json").read_text()) == {"prose": "0.npy", "news": "1.npy"}
    assert facts["sources"]["news"]["held_out"]["documents"] == 3
    assert facts["sources"]["prose"]["duplicate"]["documents"] == 1
    assert facts["sources"]["prose"]["held_out"]["bytes"] >= 262_144
    mask = iterate.load_mask(chosen, "prose")
    corpus = inputs["corpus:prose"]
    parts = {keep: list(iterate.documents(corpus, mask, keep)) for keep in (TRAIN, HELD_OUT)}
    counts = {keep: sum(batch.num_rows for batch in batches) for keep, batches in parts.items()}
    assert counts[TRAIN] == facts["sources"]["prose"]["train"]["documents"]
    assert counts[HELD_OUT] == facts["sources"]["prose"]["held_out"]["documents"]
    first = parts[TRAIN][0]
    assert first.schema.names == ["id", "text", "group", "text_sha", "bytes", "meta"]
    order = [row["id"] for batch in iterate.documents(corpus) for row in batch.to_pylist()]
    assert [row["id"] for batch in parts[TRAIN] for row in batch.to_pylist()] == [
        name for name, value in zip(order, mask, strict=True) if value == TRAIN
    ]
    with pytest.raises(ValueError, match="shape"):
        list(iterate.documents(corpus, mask[1:]))


def test_groups_are_held_out_in_the_order_of_the_hashes_of_their_names(tmp_path: Path, step: Any, corpora: Any) -> None:
    inputs = corpora(prose=records("p", 40), news=records("n", 40))
    config = spec.select_config(["prose", "news"], {"prose", "news"})
    chosen = step("pretrial.corpus.select:select_documents", tmp_path / "chosen", config=config, inputs=inputs)
    for name in ("prose", "news"):
        ordered = sorted(
            (f"book:{row['book']}" for row in records(name[0], 40)), key=lambda g: hashlib.sha256(g.encode()).digest()
        )
        held = [group for group in json.loads(chosen.file("held-out-groups.json").read_text()) if group in ordered]
        assert len(held) == chosen.facts["sources"][name]["groups"]
        assert sorted(held) == sorted(ordered[: len(held)])


def test_what_a_source_selects_has_its_own_hash(tmp_path: Path, step: Any, corpora: Any) -> None:
    prose, code = records("p", 40), records("c", 40)
    contents = []
    for number, inputs in enumerate([corpora(prose=prose, code=code), corpora(prose=prose, code=code[1:])]):
        chosen = step(
            "pretrial.corpus.select:select_documents",
            tmp_path / f"chosen{number}",
            config=spec.select_config(["prose", "code"], {"prose", "code"}),
            inputs=inputs,
        )
        contents.append(chosen.facts["contents"])
    assert contents[0]["prose"] == contents[1]["prose"]
    assert contents[0]["code"] != contents[1]["code"]


def test_sources_that_cannot_be_used_are_refused_with_a_way_out(tmp_path: Path, step: Any, corpora: Any) -> None:
    def fail(trained: set[str], **sources: list[dict[str, Any]]) -> str:
        with pytest.raises(RequestError) as caught:
            step(
                "pretrial.corpus.select:select_documents",
                tmp_path / "chosen",
                config=spec.select_config(list(sources), trained),
                inputs=corpora(**sources),
            )
        return str(caught.value)

    books = records("p", 30)
    assert "group: document" in fail({"a"}, a=books, z=[{"text": f"about {i}", "book": f"p{i}"} for i in range(30)])
    assert "too large a part" in fail({"a"}, a=records("p", 3))
    assert "nothing of the source b is left" in fail({"a", "b"}, a=books, b=books)
    news = records("n", 3)
    said = fail({"a"}, a=books, news=news, again=news)
    assert "nothing of the source again is left to evaluate on" in said
    assert "Leave one of them out" in said


# -- near-duplicates, benchmark items, derived sources -----------------------------------------------------------------


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([DUPLICATE, TRAIN, HELD_OUT, EXCLUDED]), st.integers(-1, 5), st.booleans()),
            max_size=30,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_of_near_duplicates_one_trains_and_none_beside_a_held_out_one(rows: list[list[tuple[int, int, bool]]]) -> None:
    masks = {str(n): np.array([row[0] for row in source], np.uint8) for n, source in enumerate(rows)}
    before = {name: mask.copy() for name, mask in masks.items()}
    components = {str(n): np.array([row[1] for row in source], np.int64) for n, source in enumerate(rows)}
    beside = {str(n): np.array([row[2] for row in source], bool) for n, source in enumerate(rows)}
    selection = Selection(masks, np.zeros(0, bool), {}, {})
    leave_beside(selection, beside)
    leave_near(selection, components)
    trained: list[int] = []
    first: dict[int, str] = {}
    for name, mask in masks.items():
        others = before[name] != TRAIN
        assert (mask[others] == before[name][others]).all(), "only what would train is touched"
        assert not (beside[name] & (mask == TRAIN)).any()
        assert ((mask == NEAR_HELD_OUT) == (beside[name] & (before[name] == TRAIN))).all()
        trained += components[name][(mask == TRAIN) & (components[name] >= 0)].tolist()
        for number in components[name][(before[name] == TRAIN) & ~beside[name]].tolist():
            first.setdefault(number, name)
        assert (components[name][mask == NEAR_DUPLICATE] >= 0).all()
    assert sorted(trained) == sorted(number for number in first if number >= 0), (
        "one of each stays, in the first source"
    )


def test_documents_with_benchmark_items_leave_training_and_held_out_ones_stay() -> None:
    masks = {"a": np.array([TRAIN, HELD_OUT, TRAIN, DUPLICATE], np.uint8)}
    one = table("a", [(n, n, 1) for n in range(4)])
    leave_contaminated(Selection(masks, np.zeros(0, bool), {}, {}), [one], {"a": np.array([True, True, False, True])})
    assert masks["a"].tolist() == [CONTAMINATED, HELD_OUT, TRAIN, DUPLICATE]


def test_an_item_in_any_state_of_a_document_takes_it_out_of_all() -> None:
    """The item's lines stand together only once the comments between them are gone."""
    root = table("code", [(n, n, 20_000) for n in range(100)])
    bare = Table("bare", True, root.group[5:], root.copy[5:] + 200, root.bytes[5:], "code", np.arange(5, 100))
    raw = Table("raw", True, root.group, root.copy, root.bytes, "code", np.arange(100))
    chosen = select([root, bare, raw], 100, QUOTA)
    held = chosen.held[root.group]
    leave_contaminated(chosen, [root, bare, raw], {"code": np.arange(100) == 90, "bare": np.arange(95) % 10 == 0})
    inherit(chosen, [root, bare, raw])
    items = (np.arange(100) % 10 == 5) | (np.arange(100) == 90)
    for name, rows in (("code", slice(None)), ("raw", slice(None)), ("bare", slice(5, None))):
        assert (chosen.masks[name] == CONTAMINATED).tolist() == (items & ~held)[rows].tolist()


def test_of_texts_that_became_the_same_one_trains_though_the_first_has_left() -> None:
    root = table("code", [(n, n, 20_000) for n in range(200)])
    same = np.arange(200) // 2 + 1_000
    bare = Table("bare", True, root.group, same, root.bytes, "code", np.arange(200))
    chosen = select([root, bare], 200, QUOTA)
    trained = chosen.masks["bare"] == TRAIN
    leave_contaminated(chosen, [root, bare], {"code": np.arange(200) % 2 == 0})
    inherit(chosen, [root, bare])
    leave_copies(chosen, [root, bare])
    both = trained[::2] & trained[1::2]
    assert both.any()
    assert (chosen.masks["bare"][1::2][both] == TRAIN).all()
    assert (chosen.masks["bare"][::2][both] == CONTAMINATED).all()


def test_whole_steps_take_near_duplicates_and_derived_documents_follow(tmp_path: Path, step: Any, read: Any) -> None:
    """Real corpora through every step: texts of many words, edited copies, a source made of another."""
    from pretrial.corpus.near import spec as near
    from pretrial.study.schema import Source

    def text(number: int, changed: int = -1) -> str:
        words = [hashlib.sha256(f"{number}/{k}".encode()).hexdigest()[:9] for k in range(400)]
        if changed >= 0:
            words[changed] = "changed"
        return " ".join(words)

    rows = [{"id": f"n{n}", "text": text(n), "book": f"b{n}"} for n in range(80)]
    rows += [{"id": f"c{n}", "text": text(n, changed=200), "book": f"copy-of-{n}"} for n in range(0, 80, 2)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = read("jsonl", "a.jsonl", group="book").artefact
    chosen = near.settings()
    signed = step("pretrial.corpus.near.signatures:sign_corpus", tmp_path / "s", config=near.signature_config(chosen),
                  inputs={"corpus": corpus})  # fmt: skip
    inputs = {"corpus:a": corpus, "signatures:a": signed}
    config = near.near_config(chosen, ["a"])
    found = step("pretrial.corpus.near.clusters:find_near_duplicates", tmp_path / "n", config=config, inputs=inputs)
    config = spec.source_config(Source(None, parent="a", filter=(("c4-page", {"filler": "no such words"}),)))
    derived = step("pretrial.corpus.read:read_corpus", tmp_path / "d", config=config, settings={"name": "d"},
                   inputs={"parent": corpus})  # fmt: skip
    made = step(
        "pretrial.corpus.select:select_documents", tmp_path / "m",
        config=spec.select_config(["a", "d"], {"a", "d"}, {"d": "a"}),
        inputs={"corpus:a": corpus, "corpus:d": derived, "near": found},
    )  # fmt: skip
    mask = iterate.load_mask(made, "a")
    by_id = {row["id"]: int(value) for row, value in zip(rows, mask, strict=True)}
    held = {name[1:] for name, value in by_id.items() if value == HELD_OUT}
    assert held, "something is held out"
    for n in range(0, 80, 2):
        pair = {by_id[f"n{n}"], by_id[f"c{n}"]}
        assert pair in ({HELD_OUT}, {HELD_OUT, NEAR_HELD_OUT}, {TRAIN, NEAR_DUPLICATE}), (n, pair)
        assert by_id[f"c{n}"] != TRAIN or by_id[f"n{n}"] != TRAIN
    assert {value for name, value in by_id.items() if name.startswith("n") and int(name[1:]) % 2} == {TRAIN, HELD_OUT}
    assert iterate.load_mask(made, "d").tolist() == mask.tolist()
    counts = made.facts["sources"]["a"]
    assert counts["near_duplicate"]["documents"] == int((mask == NEAR_DUPLICATE).sum()) > 0
    assert counts["near_held_out"]["documents"] == int((mask == NEAR_HELD_OUT).sum())


def test_copies_that_no_source_in_use_has_keep_nothing_out_of_training() -> None:
    """A source of which only a part is used, and another with the same texts as the rest of it."""
    rows = [(n % 100, n, 20_000) for n in range(200)]
    web = replace(table("web", rows), used=False)
    python = Table("web/python", True, web.group[:100], web.copy[:100], web.bytes[:100], "web", np.arange(100))
    wiki = table("wiki", [(399 - n, 100 + n, 20_000) for n in range(100)])
    live = np.arange(200) < 100
    chosen = select([replace(web, live=live), wiki, python], 400, QUOTA)
    assert DUPLICATE not in chosen.masks["wiki"].tolist()
    # Nor where they stand in a group that is held out: nobody is asked about them.
    assert chosen.held[web.group[100:]].any()
    assert (chosen.masks["wiki"][chosen.held[wiki.group] == 0] == TRAIN).all()
    assert chosen.masks["web"][100:].tolist() == [DUPLICATE] * 100
    # Near-duplicates: of two, the one that is in use stays.
    masks = {"web": np.array([TRAIN, TRAIN], np.uint8), "wiki": np.array([TRAIN], np.uint8)}
    components = {"web": np.array([0, -1]), "wiki": np.array([0])}
    leave_near(
        Selection(masks, np.zeros(0, bool), {}, {}), components,
        {"web": np.array([False, True]), "wiki": np.array([True])},
    )  # fmt: skip
    assert {name: mask.tolist() for name, mask in masks.items()} == {"web": [NEAR_DUPLICATE, TRAIN], "wiki": [TRAIN]}


def test_a_derived_text_that_a_held_out_document_has_does_not_train() -> None:
    """Texts that differ in what a transform takes out: as they were made, they are copies across the two sides."""
    root = table("code", [(n, n, 20_000) for n in range(200)])
    same = np.arange(200) // 2 + 1_000  # documents 0 and 1 become one text, 2 and 3, …
    stripped = Table("stripped", True, root.group, same, root.bytes // 2, "code", np.arange(200))
    chosen = select([root, stripped], 200, QUOTA)
    inherit(chosen, [root, stripped])
    leave_copies(chosen, [root, stripped])
    mask = chosen.masks["stripped"]
    assert (mask == HELD_OUT).any()
    held = set(same[chosen.held[stripped.group]].tolist())
    assert not held & set(same[mask == TRAIN].tolist())
    assert EXCLUDED in mask.tolist()
    trained = same[mask == TRAIN].tolist()
    assert len(set(trained)) == len(trained)
    assert (chosen.masks["code"] != EXCLUDED).all(), "the texts as they were read are no copies"


def test_what_leaves_the_parent_leaves_what_is_made_of_it() -> None:
    root = table("code", [(n, n, 20_000) for n in range(100)])
    part = Table("part", True, root.group[10:], root.copy[10:], root.bytes[10:], "code", np.arange(10, 100))
    chosen = select([root, part], 100, QUOTA)
    leave_contaminated(chosen, [root, part], {"code": np.arange(100) % 2 == 0})
    inherit(chosen, [root, part])
    assert chosen.masks["part"].tolist() == chosen.masks["code"][10:].tolist()
    assert CONTAMINATED in chosen.masks["part"].tolist()


def test_a_small_part_does_not_keep_its_parent_from_being_held_out() -> None:
    root = table("code", [(n // 5, n, 20_000) for n in range(400)])
    few = np.flatnonzero(root.group % 20 == 0)  # four of eighty groups
    part = Table("part", True, root.group[few], root.copy[few], root.bytes[few], "code", few)
    chosen = select([root, part], 80, QUOTA)
    assert (chosen.masks["code"] == HELD_OUT).any()
    assert (chosen.masks["code"][few] == HELD_OUT).any()
    assert (chosen.masks["code"][few] == TRAIN).any()


def test_a_quota_that_cannot_be_met_is_not_looked_for_in_every_group() -> None:
    large = table("large", [(n, n, 1_000) for n in range(5_000)])
    tiny = table("tiny", [(5_000, 9_000, 10), (5_000, 9_001, 10)])
    chosen = select([large, tiny], 5_001, QUOTA)
    assert chosen.chosen["tiny"] == 0
    assert chosen.chosen["large"] >= 262_144
    assert chosen.chosen["large"] < 264_000, "no more is held out for the sake of what cannot be"
