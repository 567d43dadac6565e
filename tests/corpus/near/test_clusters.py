"""Near-duplicates from texts to components: what brute force finds, in any order of work, within bounds."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import sysconfig
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.near import candidates, clusters, signatures, spec, verify
from pretrial.corpus.near.clusters import Components, touching
from pretrial.corpus.near.shingles import normalise
from pretrial.errors import Interrupted

from .conftest import Found, brute_force, edited, made_up

Search = Callable[..., Found]
SIGNED = spec.signature_config(spec.Settings())

# -- against brute force -----------------------------------------------------------------------------------------


def library_texts() -> Iterator[str]:
    """Modules of Python's standard library, by name."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(folder.glob("*.py")):
        yield path.read_text(encoding="utf-8", errors="replace")


def data_texts(folder: Path) -> Iterator[str]:
    """Real prose, code and threads."""
    import zstandard

    for name in ("text/wikipedia_en", "code/rosetta_code", "code_adjacent/stackexchange_tech"):
        with (folder / f"{name}.jsonl.zst").open("rb") as file:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
            for _ in range(60):
                yield json.loads(next(lines))["text"]


def labelled(originals: Sequence[str]) -> list[str]:
    """The originals and copies of half of them, edited by little and by much, in an order of no meaning."""
    draw = random.Random(4)
    texts = list(originals)
    for number, text in enumerate(originals[::2]):
        words = text.split(" ")
        third, half = len(words) // 3, len(words) // 2
        texts += [
            *(edited(text, share, number) for share in (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)),
            text.upper().replace("\n", "\n\n"),
            " ".join(words[third:] + words[:third]),
            " ".join(words[: len(words) - len(words) // 10]),
            " ".join(words[:half]),
            text + " " + originals[number - 1][: len(text) // 8],
        ]
    draw.shuffle(texts)
    return texts


def f1(found: set[Any], true: set[Any]) -> float:
    return 2 * len(found & true) / (len(found) + len(true))


@pytest.mark.parametrize("kind", ["library", "data"])
def test_what_is_found_is_what_brute_force_finds(kind: str, search: Search, request: pytest.FixtureRequest) -> None:
    taken = library_texts() if kind == "library" else data_texts(request.getfixturevalue("data_dir"))
    originals = [text[:3000] for text in taken if len(text.split()) > 60][:80]
    assert len(originals) == 80
    texts = labelled(originals)
    found = search({"x": texts})
    true = brute_force(texts)
    assert len(true) > 300
    listed = {(a[1], b[1]): similarity for (a, b), similarity in found.pairs.items()}
    assert listed.items() <= true.items()
    # Documents with the same words are listed with their first; what is near to one is near to all.
    first: dict[bytes, int] = {}
    for number, text in enumerate(texts):
        first.setdefault(normalise(text), number)
    copied = {(first[normalise(text)], number) for number, text in enumerate(texts)}
    copied = {(a, b) for a, b in copied if a != b}
    kept = set(first.values())
    assert copied == {pair for pair in listed if pair[1] not in kept}
    assert len(copied) == found.facts["copies"] >= 30
    assert f1(listed.keys() - copied, {pair for pair in true if kept.issuperset(pair)}) >= 0.95
    # Which documents have a near-duplicate: the mean of F1 over those that do and those that do not.
    near = {document for pair in true for document in pair}
    said = {document for document, component in enumerate(found.components("x")) if component >= 0}
    everything = set(range(len(texts)))
    assert said <= near
    assert (f1(said, near) + f1(everything - said, everything - near)) / 2 >= 0.95


def test_pairs_exactly_at_the_threshold_are_found_as_often_as_the_formula_says(search: Search) -> None:
    draw = random.Random(1)
    texts = []
    for _ in range(2000):
        shared = " ".join(f"{draw.getrandbits(40):x}" for _ in range(84))
        for _ in range(2):
            texts.append(f"{shared} {' '.join(f'{draw.getrandbits(40):x}' for _ in range(10))}")
    found = search({"x": texts})
    assert set(found.pairs.values()) == {80 / 100}
    recall = len(found.pairs) / 2000
    expected = spec.probability(0.8, 20, 8)
    assert recall >= 0.97
    assert abs(recall - expected) < 3 * (expected * (1 - expected) / 2000) ** 0.5


def test_the_threshold_is_met_by_its_own_value_and_missed_by_less(search: Search) -> None:
    shared = made_up(1, words=84)
    at = [f"{shared} {made_up(seed, words=10)}" for seed in (2, 3)]
    below = [f"{shared} {made_up(seed, words=words)}" for seed, words in ((4, 10), (5, 11))]
    # Threshold 0.75 makes them candidates for certain; the bar is what differs.
    one = spec.Settings(threshold=0.8, hashes=160, bands=160, rows=1)
    assert search({"x": at}, one).pairs == {(("x", 0), ("x", 1)): 0.8}
    found = search({"x": below}, one)
    assert found.pairs == {}
    assert (found.facts["candidates"], found.facts["verified"]) == (1, 0)
    assert found.facts["false_candidate_share"] == 1.0


# -- nothing depends on how the work is done -----------------------------------------------------------------------


def crowd(count: int, seed: int = 0) -> list[str]:
    """Different documents, each near to each."""
    text = made_up(seed, words=200)
    return [f"{text} number {number}" for number in range(count)]


def mixed_texts() -> list[str]:
    texts = [made_up(seed, words=20 + seed) for seed in range(60)]
    texts += [edited(text, 0.01, seed) for seed, text in enumerate(texts[20:])]
    texts += [text.upper() for text in texts[:10]] + ["", "?!", "..."] + crowd(90)
    random.Random(0).shuffle(texts)
    return texts


def test_shards_and_memory_change_nothing(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = mixed_texts()
    sources = {"b": texts[:120], "a": texts[120:]}
    whole = search(sources)
    assert whole.facts["crowded"] == 90
    assert search(sources, shards=[1, 2, 3, 50]).digest == whole.digest
    assert search(sources, shards=[60], memory=1).digest == whole.digest
    monkeypatch.setattr(clusters, "PIECE", 65)
    monkeypatch.setattr(verify, "_AT_ONCE", 1000)
    found = search(sources, memory=10**9)
    assert (found.facts, found.pairs) == (whole.facts, whole.pairs)
    assert found.crowded == whole.crowded


def test_the_order_of_the_documents_changes_names_only(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates.bucket_pairs, "__defaults__", (1000,))
    texts = mixed_texts()
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)

    def pairs(found: Found, name: Sequence[int]) -> set[tuple[frozenset[int], float]]:
        near = {pair: value for pair, value in found.pairs.items() if value < 1}
        return {(frozenset((name[a[1]], name[b[1]])), value) for (a, b), value in near.items()}

    def groups(found: Found, name: Sequence[int]) -> set[frozenset[int]]:
        component = np.array(found.components("x"))
        return {frozenset(name[i] for i in np.flatnonzero(component == one)) for one in set(component) - {-1}}

    first, second = search({"x": texts}), search({"x": [texts[i] for i in order]})
    assert groups(first, range(len(texts))) == groups(second, order)
    keep = {"pairs", "copies", "components", "in_components", "largest_component", "candidates", "verified", "empty"}
    assert {key: first.facts[key] for key in keep} == {key: second.facts[key] for key in keep}
    assert len(pairs(first, range(len(texts)))) == len(pairs(second, order)) > 4000


def test_sources_are_compared_within_and_across(search: Search) -> None:
    base = [made_up(seed) for seed in range(6)]
    found = search(
        {
            "web": [base[0], base[1], edited(base[0], 0.01, 1)],
            "books": [base[2], edited(base[1], 0.01, 2), base[1].upper(), base[3]],
            "unlike": [base[4], "..."],
        }
    )
    assert list(found.pairs) == [
        (("web", 0), ("web", 2)),
        (("web", 1), ("books", 1)),
        (("web", 1), ("books", 2)),
    ]
    assert [found.components(name) for name in ("web", "books", "unlike")] == [[0, 1, 0], [-1, 1, 1, -1], [-1, -1]]
    assert found.facts["sources"] == {
        "web": {"documents": 3, "empty": 0, "in_components": 3, "within": 2, "across": 1},
        "books": {"documents": 4, "empty": 0, "in_components": 2, "within": 2, "across": 2},
        "unlike": {"documents": 2, "empty": 1, "in_components": 0, "within": 0, "across": 0},
    }
    assert found.facts["between"] == [
        {"sources": ["web", "web"], "pairs": 1},
        {"sources": ["web", "books"], "pairs": 2},
    ]
    assert found.facts["pairs"] == 3
    assert found.facts["copies"] == 1
    assert found.facts["components"] == 2
    assert found.facts["largest_component"] == 3


def test_the_same_documents_give_the_same_result(search: Search) -> None:
    """A change here is a change of results: raise the version."""
    golden = {("near-duplicates", 2): "937794d36a420f25"}
    found = search({"a": mixed_texts()[:100], "b": mixed_texts()[100:]})
    lines = [[*map(list, pair), value] for pair, value in found.pairs.items()]
    everything = [lines, found.components("a"), found.components("b"), found.crowded, found.facts]
    digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:16]
    assert digest == golden["near-duplicates", spec.SEMANTICS["near-duplicates"]]


# -- components -----------------------------------------------------------------------------------------------------

EDGES = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)).filter(lambda pair: pair[0] != pair[1]), max_size=30)


@given(EDGES, st.integers(1, 30), st.sampled_from([1, 3, 7, 100]))
def test_components_are_those_of_the_graph(edges: list[tuple[int, int]], size: int, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clusters, "PIECE", piece)
        compare_components(edges, size)


def compare_components(edges: list[tuple[int, int]], size: int) -> None:
    components = Components(20)
    for start in range(0, len(edges), size):
        part = np.array(edges[start : start + size])
        components.join(part[:, 0], part[:, 1])
    group = {node: {node} for node in range(20)}
    for a, b in edges:
        for node in group[a] | group[b]:
            group[node] = group[a] | group[b]
    expected = {frozenset(nodes) for nodes in group.values()}
    roots = components.roots()
    assert {frozenset(np.flatnonzero(roots == root).tolist()) for root in roots} == expected
    numbers = components.numbers().tolist()
    order = sorted(min(nodes) for nodes in expected if len(nodes) > 1)
    assert [number for node, number in enumerate(numbers) if node in order] == list(range(len(order)))
    assert all((numbers[node] == -1) == (len(group[node]) == 1) for node in range(20))
    assert all(numbers[node] == numbers[min(group[node])] for node in range(20))


def test_a_long_chain_is_one_component() -> None:
    nodes = np.arange(100_000)
    np.random.default_rng(0).shuffle(nodes)
    components = Components(100_000)
    for part in np.array_split(np.arange(99_999), 10):
        components.join(nodes[part], nodes[part + 1])
    assert not components.roots().any()


def test_a_chain_in_one_piece_takes_few_turns() -> None:
    started = time.process_time()
    for nodes in (np.arange(50_000), np.arange(50_000)[::-1]):
        components = Components(50_000)
        components.join(nodes[:-1], nodes[1:])
        assert not components.roots().any()
    assert time.process_time() - started < 2


def test_numbers_take_the_place_of_what_was_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "PIECE", 4096)
    count = 200_000
    components = Components(count)
    firsts = np.arange(0, count, 4)
    components.join(firsts, firsts + 2)
    tracemalloc.start()
    try:
        numbers = components.numbers()
        assert tracemalloc.get_traced_memory()[1] < 3 * count
    finally:
        tracemalloc.stop()
    assert np.array_equal(numbers.reshape(-1, 4), np.stack([firsts // 4, 0 * firsts - 1] * 2, axis=1))


# -- what touches held-out documents ---------------------------------------------------------------------------------


def test_what_is_near_to_a_marked_document(search: Search) -> None:
    base = [made_up(seed) for seed in range(4)]
    held = [base[0], base[1], base[3]]
    train = [
        base[0].upper(),  # the same words
        edited(base[0], 0.01, 1),  # near to the first
        edited(base[0], 0.01, 1).upper(),  # a copy of one that is near
        edited(base[1], 0.3, 1),  # too far
        base[2],
        edited(base[2], 0.01, 1),  # near to another that trains
    ]
    found = search({"train": train, "held": held}).artefact
    # As it comes back from a store: keys sorted.
    found.facts = json.loads(json.dumps(found.facts, sort_keys=True))
    answer = touching(found, {"held": np.ones(3, bool)})
    assert answer["train"].tolist() == [True, True, True, False, False, False]
    assert answer["held"].tolist() == [False, False, False]
    both = touching(found, {"held": np.ones(3, bool), "train": np.array([True, *[False] * 5])})
    assert both["train"].tolist() == [True, True, True, False, False, False]
    assert both["held"].tolist() == [True, False, False]
    assert not any(flags.any() for flags in touching(found, {}).values())


def test_a_chain_of_near_documents_does_not_reach_further_than_one_pair(search: Search) -> None:
    words = made_up(0, words=400).split()
    chain = [" ".join(words[start : start + 300]) for start in (0, 20, 40)]
    found = search({"x": chain})
    assert found.components("x") == [0, 0, 0]
    assert set(found.pairs) == {(("x", 0), ("x", 1)), (("x", 1), ("x", 2))}
    assert touching(found.artefact, {"x": np.array([True, False, False])})["x"].tolist() == [False, True, False]


def test_in_a_crowd_everything_near_something_near_counts(search: Search) -> None:
    texts = [*crowd(100), made_up(9)]
    found = search({"x": texts})
    assert found.facts["crowded"] == 100
    marked = np.zeros(101, bool)
    marked[[98, 100]] = True
    assert (("x", 97), ("x", 98)) not in found.pairs
    assert np.flatnonzero(touching(found.artefact, {"x": marked})["x"]).tolist() == [*range(98), 99]


def test_near_pages_of_one_template_are_found_among_hundreds_of_others(search: Search) -> None:
    template = made_up(0, words=300)
    pages = [f"{template} {made_up(page + 1, words=50)}" for page in range(150)]
    twins = [f"{page} {made_up(page_number + 1000, words=20)}" for page_number, page in enumerate(pages)]
    found = search({"x": pages, "y": twins})
    assert found.facts["crowded"] > 250
    ours = [(("x", page), ("y", page)) in found.pairs for page in range(150)]
    assert sum(ours) >= 0.97 * len(ours)
    marked = {"y": np.ones(150, bool)}
    assert touching(found.artefact, marked)["x"].sum() >= 0.97 * 150
    assert all(a[1] == b[1] for a, b in found.pairs), "strangers of one template are not near"


# -- hostile documents -------------------------------------------------------------------------------------------------


def test_ten_thousand_copies_cost_a_pair_each(search: Search) -> None:
    started = time.process_time()
    found = search({"x": ["All of us say the same thing over and over."] * 10_000})
    assert found.facts["pairs"] == found.facts["copies"] == 9_999
    assert found.facts["candidates"] == found.facts["crowded"] == 0
    assert found.facts["components"] == 1
    assert set(found.components("x")) == {0}
    assert time.process_time() - started < 20


def test_a_crowd_costs_a_bounded_number_of_pairs_a_document(search: Search) -> None:
    count = 500
    found = search({"x": crowd(count)})
    assert found.facts["candidates"] <= candidates.LIMIT * count
    assert found.facts["largest_component"] == found.facts["crowded"] == count
    assert (("x", 0), ("x", count - 1)) in found.pairs


def test_boilerplate_does_not_make_different_documents_near(search: Search) -> None:
    licence = made_up(0, words=120)
    found = search({"x": [f"{licence} {made_up(seed, words=100)}" for seed in range(1, 120)]})
    assert found.facts["pairs"] == 0
    assert found.facts["candidates"] > 0


def test_documents_without_words_are_near_to_nothing(search: Search) -> None:
    found = search({"x": ["...", "...", "", "()[]", "😀", "a b", "a b"]})
    assert found.facts["empty"] == 5
    assert list(found.pairs) == [(("x", 5), ("x", 6))]
    assert found.components("x") == [-1, -1, -1, -1, -1, 0, 0]


def test_characters_beyond_the_basic_plane_are_words(search: Search) -> None:
    text = "".join(map(chr, range(0x20000, 0x20100)))
    found = search({"x": [text, text[:-20], "𝓐 𐐀", "𝓐, 𐐨!"]})
    assert found.pairs == {(("x", 0), ("x", 1)): 232 / 252, (("x", 2), ("x", 3)): 1.0}


def test_ten_megabytes_on_one_line_are_a_document_like_others(search: Search) -> None:
    line = (made_up(0, words=2000) + " ") * 800
    assert len(line) > 10_000_000
    found = search({"x": [line, made_up(0, words=2000), made_up(1)]}, memory=1_000_000)
    # Repeated words are no new shingles: but for those across the seam the two are one.
    assert found.pairs == {(("x", 0), ("x", 1)): 1996 / 2000}


def test_documents_larger_than_the_memory_are_compared(search: Search) -> None:
    text = made_up(0, words=50_000)
    found = search({"x": [text, edited(text, 0.01, 1), made_up(1), edited(text, 0.01, 2)]}, memory=1000)
    assert len(found.pairs) == 3


# -- what cannot be ----------------------------------------------------------------------------------------------------


def test_nothing_is_no_mistake(search: Search) -> None:
    found = search({"x": [], "y": ["a b c"]})
    assert found.pairs == {}
    assert found.facts["false_candidate_share"] == 0.0
    assert found.components("x") == []
    assert touching(found.artefact, {"y": np.array([True])})["x"].tolist() == []


def test_signatures_of_other_settings_or_another_corpus_are_refused(
    tmp_path: Path, step: Any, make_corpus: Callable[..., Any]
) -> None:
    corpus, other = make_corpus(["a b c"]), make_corpus(["a b d"])
    signed = step(
        "pretrial.corpus.near.signatures:sign_corpus",
        tmp_path / "signed",
        config=spec.signature_config(spec.Settings()),
        inputs={"corpus": corpus},
    )
    for number, (chosen, given_corpus, message) in enumerate(
        [(spec.Settings(seed=2), corpus, "other settings"), (spec.Settings(), other, "another corpus")]
    ):
        with pytest.raises(ValueError, match=message):
            step(
                "pretrial.corpus.near.clusters:find_near_duplicates",
                tmp_path / f"near{number}",
                config=spec.near_config(chosen, ["x"]),
                inputs={"corpus:x": given_corpus, "signatures:x": signed},
            )


def test_words_of_another_unicode_are_not_compared(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    here = spec.versions()
    monkeypatch.setattr(spec, "signature_config", lambda chosen: {**SIGNED, "unicode": "1.0.0"})
    monkeypatch.setattr(signatures, "versions", lambda: {**here, "unicode": "1.0.0"})
    with pytest.raises(ValueError, match=r"follow Unicode 1\.0\.0"):
        search({"x": ["a b c"]})


@pytest.mark.parametrize("marked", [{"y": np.zeros(2, bool)}, {"x": np.zeros(3, bool)}])
def test_marks_of_other_documents_are_refused(marked: dict[str, Any], search: Search) -> None:
    with pytest.raises(ValueError, match="are marked or not"):
        touching(search({"x": ["a b", "c d"]}).artefact, marked)


@pytest.mark.parametrize("function", ["signatures:sign_shard", "clusters:find_near_duplicates"])
def test_work_stops_when_asked(function: str, tmp_path: Path, step: Any, make_corpus: Callable[..., Any]) -> None:
    corpus = make_corpus([made_up(1), made_up(2)])
    config = spec.signature_config(spec.Settings())
    signed = step(
        "pretrial.corpus.near.signatures:sign_corpus", tmp_path / "signed", config=config, inputs={"corpus": corpus}
    )
    shard = function.endswith("shard")
    with pytest.raises(Interrupted):
        step(
            f"pretrial.corpus.near.{function}",
            tmp_path / "stopped",
            config={**config, "file": "shard-00000.parquet"} if shard else spec.near_config(spec.Settings(), ["x"]),
            inputs={"corpus": corpus} if shard else {"corpus:x": corpus, "signatures:x": signed},
            stop=True,
        )


def test_scratch_of_a_run_that_was_killed_is_not_taken_for_ours(tmp_path: Path, search: Search) -> None:
    left = tmp_path / "search-0" / "near.work" / "near" / "found"
    left.mkdir(parents=True)
    (left / "run-000000").write_bytes(os.urandom(1600))
    texts = mixed_texts()
    assert search({"x": texts}, memory=1).digest == search({"x": texts}).digest
