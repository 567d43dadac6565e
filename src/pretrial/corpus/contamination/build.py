"""Makes an index from benchmark texts, and the step that does so.

Guarantees: the same benchmark files and numbers give the same bytes; a hash under which two n-grams, or two short
texts, would share a key is not used. Does not: read benchmarks (`benchmark_texts`) or decide what counts (`spec`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrial.corpus.contamination.benchmark_texts import CODE, PARTS, PROSE, Text, file_of, read_texts
from pretrial.corpus.contamination.hashing import (
    changes,
    covered,
    expand,
    longer,
    same_windows,
    whole_keys,
    window_hashes,
)
from pretrial.corpus.contamination.index import NEWLINE, UNKNOWN, Grams, Index, Limits, save, word_values
from pretrial.corpus.contamination.symbols import Ints, Keys, Symbols, characters_of, spelled
from pretrial.errors import RunError
from pretrial.execute.context import Json, StepContext

_BASES = (0x9E3779B97F4A7C15, 0xD1342543DE82EF95, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""Odd factors for the rolling hash; the first under which no two n-grams of an index share a key is taken."""

_Row = tuple[bytes, int, int]
"""A text's symbols as bytes, its item's number, its part's place in `PARTS`."""


def build_index(ctx: StepContext) -> Json:
    """Step function of kind "contamination-index".

    Config: `spec.index_config`. Settings: `spec.index_settings`.

    Returns:
        Facts: `matching`, `benchmarks` (name → {items, texts, searchable: items that some text of theirs can
        betray}), `ngrams` and `texts` (by kind).

    Raises:
        RunError: when a benchmark's file is not the one that was planned with, or not in the expected form.
    """
    data = Path(ctx.settings["data"])
    texts: list[Text] = []
    for number, (name, digest) in enumerate(sorted(ctx.config["benchmarks"].items())):
        path = file_of(name, data)
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise RunError(
                f"the file of the benchmark {name} has changed since it was planned with",
                where=str(path),
                remedy="Run the study again: it is planned anew with the file as it is.",
            )
        texts += read_texts(name, data)
        ctx.progress(number + 1, len(ctx.config["benchmarks"]), doing=name)
    index = make_index(texts, ctx.config["matching"], ctx.config["trivial"])
    findable = findable_items(index)
    save(index, ctx.out, findable)
    return {
        "matching": dict(ctx.config["matching"]),
        "benchmarks": _counts(index, texts, findable),
        "ngrams": {PROSE: len(index.prose.keys), CODE: len(index.code.keys)},
        "texts": {PROSE: len(index.prose.lengths), CODE: len(index.code.lengths)},
    }


def make_index(texts: Iterable[Text], matching: Mapping[str, int], trivial: Sequence[str] = ()) -> Index:
    """The index of some texts.

    Args:
        texts: of benchmarks; their order acts on the order of the arrays, not on what is found.
        matching: numbers of the definition (`spec.MATCHING`).
        trivial: the allow-list: texts that are left out.

    Raises:
        RunError: when no hash keeps the n-grams apart.
    """
    texts = list(texts)
    names = sorted({(text.benchmark, text.item) for text in texts})
    items = {name: number for number, name in enumerate(names)}
    benchmarks = tuple(sorted({benchmark for benchmark, _ in names}))
    place = {benchmark: number for number, benchmark in enumerate(benchmarks)}
    benchmark_of = np.array([place[benchmark] for benchmark, _ in names], np.int32)
    words_of = {text: spelled(text).split() for text in {one.text for one in texts if one.kind == PROSE}}
    vocabulary = {word: at for at, word in enumerate(sorted({word for words in words_of.values() for word in words}))}
    values = word_values(vocabulary)
    trivial_words = [spelled(text).split() for text in trivial]
    trivial_characters = {characters_of(text) for text in trivial}
    limits = {kind: Limits.of(kind, matching) for kind in (PROSE, CODE)}
    rows: dict[str, list[_Row]] = {PROSE: [], CODE: []}
    for one in texts:
        if one.kind == PROSE:
            words = words_of[one.text]
            allowed = words in trivial_words
            packed = np.array([vocabulary[word] for word in words[: limits[PROSE].longest]], np.int32).tobytes()
        else:
            characters = characters_of(one.text)
            allowed = characters in trivial_characters
            packed = characters[: limits[CODE].longest]
        if packed and not allowed:
            rows[one.kind].append((packed, items[one.benchmark, one.item], PARTS.index(one.part)))
    prose, code = (_grams(kind, rows[kind], limits[kind], benchmark_of, values) for kind in (PROSE, CODE))
    item_names = tuple(item for _, item in names)
    return Index(benchmarks, benchmark_of, item_names, vocabulary, values, dict(matching), prose, code)


def _grams(
    kind: str, rows: Sequence[_Row], limits: Limits, benchmark_of: npt.NDArray[np.int32], word_values: Keys
) -> Grams:
    """The arrays of one kind."""
    dtype, separator = (np.int32, UNKNOWN) if kind == PROSE else (np.uint8, NEWLINE)
    number: dict[bytes, int] = {}
    owners = sorted({(number.setdefault(packed, len(number)), item, part) for packed, item, part in rows})
    owner_text = np.array([text for text, _, _ in owners], np.int32)
    owner_item = np.array([item for _, item, _ in owners], np.int32)
    owner_part = np.array([part for _, _, part in owners], np.uint8)
    mark = np.array([separator], dtype)
    blocks = [mark]
    for packed in number:
        blocks += [np.frombuffer(packed, dtype), mark]
    # An n-gram more, so that a window at the last place exists.
    symbols = np.concatenate([*blocks, np.full(limits.n, separator, dtype)])
    lengths = np.array([len(packed) // np.dtype(dtype).itemsize for packed in number], np.int64)
    starts = np.concatenate([[1], 1 + np.cumsum(lengths + 1)]).astype(np.int64)
    # UNKNOWN, −1, takes the last of the values.
    values = word_values[symbols] if kind == PROSE else symbols.astype(np.uint64)
    sought = _looked_up(kind, owners, lengths, limits)
    wanted = np.array(sorted({text for _, text in sought}), np.int64)
    for base in _BASES:
        long = _long(symbols, values, starts, limits, base, owner_text, benchmark_of[owner_item])
        short = _short(values, starts, wanted, limits, base)
        if long is not None and short is not None:
            return Grams(
                numbers=np.array([limits.n, limits.seed, base], np.uint64),
                symbols=symbols,
                starts=starts,
                owner_text=owner_text,
                owner_item=owner_item,
                owner_part=owner_part,
                **long,
                **short,
            )
    raise RunError("no hash keeps the n-grams of these benchmarks apart", remedy="Take one of them out.")


def _looked_up(
    kind: str, owners: Iterable[tuple[int, int, int]], lengths: Ints, limits: Limits
) -> list[tuple[int, int]]:
    """(item, text) of short texts that are looked up whole: those that count alone, and one of each pair that does."""
    found: list[tuple[int, int]] = []
    pairs: dict[int, tuple[list[int], list[int]]] = {}
    for text, item, part in owners:
        length, name = int(lengths[text]), PARTS[part]
        if length < limits.n:
            if length >= limits.alone and (kind == CODE or name != "answer"):
                found.append((item, text))
            if kind == PROSE and name in ("question", "answer"):
                pairs.setdefault(item, ([], []))[name == "answer"].append(text)
    for item, (questions, answers) in pairs.items():
        for question in questions:
            for answer in answers:
                first = limits.sought(int(lengths[question]), int(lengths[answer]))
                if first is not None:
                    found.append((item, (question, answer)[first]))
    return found


def _long(
    symbols: Symbols,
    values: Keys,
    starts: Ints,
    limits: Limits,
    base: int,
    owner_text: npt.NDArray[np.int32],
    owner_benchmark: npt.NDArray[np.int32],
) -> dict[str, Any] | None:
    """`counted` to `place` of `Grams`; None where two n-grams share a key."""
    n = limits.n
    lengths = np.diff(starts) - 1
    (hashes,) = window_hashes(values, [n], base)
    long = np.flatnonzero(lengths >= n)
    counts = lengths[long] - n + 1
    text = np.repeat(long, counts)
    place = expand(np.zeros(len(long), np.int64), counts)
    at = starts[text] + place
    order = np.lexsort((place, text, hashes[at]))
    text, place, at = text[order], place[order], at[order]
    key = hashes[at]
    first = changes(key)
    repeats = np.flatnonzero(~first)
    if not same_windows(symbols, at[repeats], symbols, at[repeats - 1], n).all():
        return None
    gram = np.cumsum(first) - 1
    kept = ~_forms(gram, text, owner_text, owner_benchmark, limits.common)[gram]
    text, place, key = text[kept], place[kept], key[kept]
    first = changes(key)
    return {
        "counted": covered(text, place, n, len(lengths)).astype(np.int32),
        "keys": key[first],
        "cuts": np.append(np.flatnonzero(first), len(key)).astype(np.int64),
        "text": text.astype(np.int32),
        "place": place.astype(np.int32),
    }


def _short(values: Keys, starts: Ints, wanted: Ints, limits: Limits, base: int) -> dict[str, Any] | None:
    """`whole_keys` to `prefix_keys` of `Grams`, for the texts `wanted`; None where two of them share a key."""
    lengths = np.diff(starts)[wanted] - 1
    keys = np.zeros(len(wanted), np.uint64)
    (prefix,) = window_hashes(values, [limits.seed], base)
    prefix = reached = prefix[starts[wanted]]
    for length in range(limits.seed, limits.n):
        if length > limits.seed:
            reached = longer(reached, values[starts[wanted] + length - 1], base)
        mine = lengths == length
        keys[mine] = whole_keys(reached[mine], length)
    order = np.argsort(keys, kind="stable")
    if not changes(keys[order]).all():
        return None
    return {
        "whole_keys": keys[order],
        "whole_text": wanted[order].astype(np.int32),
        "prefix_keys": np.unique(prefix),
    }


def _forms(
    gram: Ints, text: Ints, owner_text: npt.NDArray[np.int32], owner_benchmark: npt.NDArray[np.int32], common: int
) -> npt.NDArray[np.bool_]:
    """Whether each n-gram stands in more than `common` different texts of one benchmark.

    `gram` and `text` are sorted together: the entries of each n-gram, by text.
    """
    count = int(gram[-1]) + 1 if len(gram) else 0
    form = np.zeros(count, bool)
    once = changes(gram, text)
    spread = np.bincount(gram[once], minlength=count)
    # Only what is in so many texts at all can be a form.
    entries = np.flatnonzero(once & (spread[gram] > common))
    held = np.unique(np.stack([owner_text, owner_benchmark], axis=1), axis=0)
    cuts = np.searchsorted(held[:, 0], np.arange(int(held[:, 0].max(initial=-1)) + 2))
    sizes = np.diff(cuts)[text[entries]]
    benchmark = held[expand(cuts[text[entries]], sizes), 1]
    pairs, seen = np.unique(np.stack([np.repeat(gram[entries], sizes), benchmark], axis=1), axis=0, return_counts=True)
    form[pairs[seen > common, 0]] = True
    return form


def _counts(index: Index, texts: Iterable[Text], findable: Set[int]) -> Json:
    counts = {name: {"items": 0, "texts": 0, "searchable": 0} for name in index.benchmarks}
    for item, benchmark in enumerate(index.item_benchmark.tolist()):
        counts[index.benchmarks[benchmark]]["items"] += 1
        counts[index.benchmarks[benchmark]]["searchable"] += item in findable
    for text in texts:
        counts[text.benchmark]["texts"] += 1
    return counts


def findable_items(index: Index) -> set[int]:
    """Numbers of the items that a document can be found to hold: some text of theirs is long enough to tell, alone or
    with another, and is not made of forms alone."""
    found: set[int] = set()
    for kind, grams in ((PROSE, index.prose), (CODE, index.code)):
        found |= set(grams.owner_item[grams.counted[grams.owner_text] > 0].tolist())
        owners = zip(grams.owner_text.tolist(), grams.owner_item.tolist(), grams.owner_part.tolist(), strict=True)
        limits = Limits.of(kind, index.matching)
        found |= {item for item, _ in _looked_up(kind, owners, grams.lengths, limits)}
    return found
