"""An index of benchmark texts in memory and on disk: every n-gram of the long ones, the short ones whole.

Guarantees: what is read is what was written; two n-grams never share a key; a text that is in several items or
benchmarks is held once. Does not: make one from texts (`build`), or look at documents (`scan`); the definition is
`spec`'s.

On disk: `items.parquet` (benchmark, item, findable: whether a document can be found to hold it; a row's place is the
item's number), `vocabulary.txt` (a word a line; a
word's place is its symbol) and, for each kind, arrays `<kind>-<field>.npy`, the fields of `Grams`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Set
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pretrial.corpus.contamination.benchmark_texts import CODE, PARTS, PROSE
from pretrial.corpus.contamination.hashing import Filter, window_hashes
from pretrial.corpus.contamination.symbols import Ints, Keys, Symbols, hash_words
from pretrial.corpus.documents import save_array

UNKNOWN = -1
"""Symbol of a word that stands in no benchmark, and of what separates texts."""

NEWLINE = 10
"""What separates texts of characters."""

ITEMS = "items.parquet"
VOCABULARY = "vocabulary.txt"


@dataclass(frozen=True)
class Limits:
    """What makes a text of one kind a long or a short one, in its symbols.

    Attributes:
        n: length of an n-gram.
        alone: shortest text that counts alone, whole.
        seed: shortest text that is looked up.
        longest: where texts are cut.
        common: most texts of a benchmark that may share an n-gram.
    """

    n: int
    alone: int
    seed: int
    longest: int
    common: int

    @classmethod
    def of(cls, kind: str, matching: Mapping[str, int]) -> Limits:
        """Those of a kind of text, from `spec.MATCHING` or numbers like it."""
        unit = "words" if kind == PROSE else "characters"
        alone = matching[f"short_{unit}"]
        seed = matching["seed_words"] if kind == PROSE else alone
        return cls(matching[unit], alone, seed, matching[f"longest_{unit}"], matching["common"])

    def sought(self, question: int, answer: int) -> int | None:
        """Which of a short question and a short answer, by their lengths, is looked up so that both are found near.

        0: the question; 1: the answer; None where one of them counts alone, or both together say too little.
        """
        if question >= self.alone or answer >= self.n or question + answer < self.alone:
            return None
        if question >= self.seed:
            return 0
        return 1 if answer >= self.seed else None


@dataclass(frozen=True)
class Grams:
    """The texts of one kind, as arrays. T texts, G different n-grams, P places of n-grams in texts.

    Attributes:
        numbers: (n, length of the shortest text that is looked up whole, the hash's base).
        symbols: all texts one after the other, a separator before, between and after them.
        starts: (T + 1,) where each text begins in `symbols`; it ends one before the next begins.
        counted: (T,) symbols of a text that stand in its n-grams, forms left out.
        keys: (G,) sorted.
        cuts: (G + 1,) where each n-gram's entries begin in `text` and `place`.
        text: (P,) text of an entry; entries of an n-gram are sorted by text and place.
        place: (P,) where the n-gram begins in the text, in symbols.
        whole_keys: sorted keys of texts that are looked up whole; `whole_text` names each.
        prefix_keys: sorted keys of how they begin.
        owner_text, owner_item, owner_part: whose text it is: (text, item's number, place in `PARTS`), sorted.
    """

    numbers: npt.NDArray[np.uint64]
    symbols: Symbols
    starts: Ints
    counted: npt.NDArray[np.int32]
    keys: Keys
    cuts: Ints
    text: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    whole_keys: Keys
    whole_text: npt.NDArray[np.int32]
    prefix_keys: Keys
    owner_text: npt.NDArray[np.int32]
    owner_item: npt.NDArray[np.int32]
    owner_part: npt.NDArray[np.uint8]

    @property
    def n(self) -> int:
        """Length of an n-gram."""
        return int(self.numbers[0])

    @property
    def shortest(self) -> int:
        """Length of the shortest text that is looked up whole."""
        return int(self.numbers[1])

    @property
    def base(self) -> int:
        """Factor of the rolling hash."""
        return int(self.numbers[2])

    @functools.cached_property
    def lengths(self) -> Ints:
        """(T,) length of each text."""
        return np.diff(self.starts) - 1

    def text_symbols(self, text: int) -> Symbols:
        """A text."""
        return self.symbols[self.starts[text] : self.starts[text + 1] - 1]

    def owners(self, text: int) -> list[tuple[int, str]]:
        """(item, part) of each item that a text belongs to."""
        mine = slice(self._owner_cuts[text], self._owner_cuts[text + 1])
        parts = (PARTS[part] for part in self.owner_part[mine].tolist())
        return list(zip(self.owner_item[mine].tolist(), parts, strict=True))

    def texts_of(self, item: int) -> list[tuple[str, int]]:
        """(part, text) of each text of an item."""
        order, cuts = self._by_item
        mine = order[cuts[item] : cuts[item + 1]] if item + 1 < len(cuts) else order[:0]
        parts = (PARTS[part] for part in self.owner_part[mine].tolist())
        return list(zip(parts, self.owner_text[mine].tolist(), strict=True))

    @functools.cached_property
    def _owner_cuts(self) -> Ints:
        return _cuts(self.owner_text, len(self.lengths))

    @functools.cached_property
    def _by_item(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.owner_item, kind="stable")
        return order, _cuts(self.owner_item[order], int(self.owner_item.max(initial=-1)) + 1)

    @functools.cached_property
    def grams_of(self) -> tuple[Ints, Ints]:
        """(cuts, n-grams): `n-grams[cuts[t] : cuts[t + 1]]` are those of text t, sorted."""
        gram = np.repeat(np.arange(len(self.keys)), np.diff(self.cuts))
        order = np.argsort(self.text, kind="stable")
        return _cuts(self.text[order], len(self.lengths)), gram[order]

    @functools.cached_property
    def shown(self) -> Ints:
        """(G,) a place of each n-gram in `symbols`."""
        first = self.cuts[:-1]
        return self.starts[self.text[first]] + self.place[first]

    @functools.cached_property
    def filter(self) -> Filter:
        """Of n-grams."""
        return Filter(self.keys)

    @functools.cached_property
    def whole_filter(self) -> Filter:
        """Of texts that are looked up whole."""
        return Filter(self.whole_keys)

    @functools.cached_property
    def prefix_filter(self) -> Filter:
        """Of how they begin."""
        return Filter(self.prefix_keys)

    @functools.cached_property
    def sieve(self) -> tuple[int, int, Filter]:
        """(length, stride, filter): of the windows of `length` bytes of all texts of characters.

        Whatever has the length of the shortest text holds one window whole of those that begin every `stride` symbols.
        """
        length = max(1, self.shortest // 2)
        (hashes,) = window_hashes(self.symbols.astype(np.uint64), [length], self.base)
        return length, self.shortest - length + 1, Filter(hashes)


def _cuts(column: npt.NDArray[np.int32], count: int) -> Ints:
    """Where the rows of each of the numbers below `count` begin in a sorted column, and where the last ones end."""
    return np.searchsorted(column, np.arange(count + 1, dtype=column.dtype)).astype(np.int64)


@dataclass(frozen=True)
class Index:
    """An index in memory.

    Attributes:
        benchmarks: names, sorted.
        item_benchmark: of each item, the place of its benchmark in `benchmarks`.
        item_name: of each item, its id.
        vocabulary: the symbol of each word.
        word_values: see `word_values`.
        matching: numbers of the definition.
        prose, code: the texts of each kind.
    """

    benchmarks: tuple[str, ...]
    item_benchmark: npt.NDArray[np.int32]
    item_name: tuple[str, ...]
    vocabulary: dict[bytes, int]
    word_values: Keys
    matching: dict[str, int]
    prose: Grams
    code: Grams


def word_values(vocabulary: Mapping[bytes, int]) -> Keys:
    """What stands for each word in hashes, and one value more for what is no word of the vocabulary."""
    values, _, _ = hash_words(b" ".join(vocabulary))
    return np.concatenate([values, np.zeros(1, np.uint64)])


def save(index: Index, folder: Path, findable: Set[int]) -> None:
    """Write an index; `findable` are the numbers of the items that a document can be found to hold."""
    names = [index.benchmarks[benchmark] for benchmark in index.item_benchmark.tolist()]
    table = pa.table(
        {
            "benchmark": pa.array(names, pa.string()),
            "item": pa.array(index.item_name, pa.string()),
            "findable": pa.array([item in findable for item in range(len(names))], pa.bool_()),
        }
    )
    pq.write_table(table, folder / ITEMS, compression="zstd", write_statistics=False)
    (folder / VOCABULARY).write_bytes(b"".join(word + b"\n" for word in index.vocabulary))
    for kind, grams in ((PROSE, index.prose), (CODE, index.code)):
        for field in fields(Grams):
            save_array(folder / f"{kind}-{field.name}.npy", getattr(grams, field.name))


def unfindable(items: Path) -> dict[str, frozenset[str]]:
    """By benchmark, ids of the items that cannot be found, from an index's `items.parquet`: they count as clean."""
    with pq.ParquetFile(items) as file:
        table = file.read()
    found: dict[str, set[str]] = {name: set() for name in table["benchmark"].unique().to_pylist()}
    lost = table.filter(pc.invert(table["findable"]))
    for benchmark, item in zip(lost["benchmark"].to_pylist(), lost["item"].to_pylist(), strict=True):
        found[benchmark].add(item)
    return {benchmark: frozenset(items) for benchmark, items in sorted(found.items())}


@functools.lru_cache(maxsize=1)
def load(folder: Path, matching: tuple[tuple[str, int], ...]) -> Index:
    """Read an index that `save` wrote; remembered by this process. `matching`: the sorted items of its numbers."""
    with pq.ParquetFile(folder / ITEMS) as file:
        table = file.read()
    names = table["benchmark"].to_pylist()
    benchmarks = tuple(sorted(set(names)))
    known = {name: number for number, name in enumerate(benchmarks)}
    words = (folder / VOCABULARY).read_bytes().split(b"\n")[:-1]
    vocabulary = {word: at for at, word in enumerate(words)}
    prose, code = (
        Grams(*(np.load(folder / f"{kind}-{field.name}.npy") for field in fields(Grams))) for kind in (PROSE, CODE)
    )
    return Index(
        benchmarks,
        np.array([known[name] for name in names], np.int32),
        tuple(table["item"].to_pylist()),
        vocabulary,
        word_values(vocabulary),
        dict(matching),
        prose,
        code,
    )
