"""Which n-grams and short texts of an index stand in documents, and how much of each text.

Guarantees: every match was confirmed by comparing symbols, so a hash is never the reason for one; what is found in a
document depends on that document and the index alone; work grows with the document's length, whatever it holds, and
what is held at once is a stretch of the document beside its symbols. Does not: know what counts (`scan`).

How. A document becomes symbols (words' numbers in the index's vocabulary; bytes without white space). A rolling hash
of every n-gram goes through a bit filter, the survivors through a search in the sorted keys, the rest through
comparison. Matches are gathered in tiles that begin every longest text and are twice that long, so every item stands
whole in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pretrial.corpus.contamination.hashing import (
    changes,
    covered,
    expand,
    find,
    longer,
    same_windows,
    whole_keys,
    window_hashes,
)
from pretrial.corpus.contamination.index import NEWLINE, UNKNOWN, Grams
from pretrial.corpus.contamination.symbols import Ints, Keys, Symbols, characters_of, hash_words, spelled

_BLOCK = 1 << 17
_TILES = 64
_NEAR_ROWS = 4096
_NOT_LOOKED_UP = -2


class Characters:
    """Documents as bytes without white space, a line feed after each; document d begins at `starts[d]`.

    `values` are what is hashed, `symbols` what is compared.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        packed = [characters_of(text) for text in texts]
        self.symbols: Symbols = np.frombuffer(b"".join([part + bytes([NEWLINE]) for part in packed]), np.uint8)
        self.values: Symbols = self.symbols
        self.starts: Ints = np.cumsum([0, *(len(part) + 1 for part in packed)], dtype=np.int64)

    def look_up(self, at: Ints, length: int) -> None:
        """Symbols are known from the start."""


class Words:
    """Documents as words, one that is no word after each; document d begins at `starts[d]`.

    `values` are what is hashed, `symbols` what is compared: a word's number is looked up when it is asked for.
    """

    def __init__(self, texts: Sequence[str], vocabulary: Mapping[bytes, int]) -> None:
        parts = [spelled(text) for text in texts]
        begins = np.cumsum([0, *(len(part) + 3 for part in parts)], dtype=np.int64)
        self._text = b" \n ".join([*parts, b""])
        del parts
        self._vocabulary = vocabulary
        self.values, self._begin, self._end = hash_words(self._text)
        # Of the places' own type: of another, all of them would be copied.
        self.starts: Ints = np.searchsorted(self._begin, begins.astype(self._begin.dtype)).astype(np.int64)
        self.symbols: Symbols = np.full(len(self.values), _NOT_LOOKED_UP, np.int32)

    def look_up(self, at: Ints, length: int) -> None:
        """Make the symbols of the windows that begin at these places known."""
        wanted = np.unique((at[:, None] + np.arange(length)).ravel())
        wanted = wanted[wanted < len(self.symbols)]
        wanted = wanted[self.symbols[wanted] == _NOT_LOOKED_UP]
        spans = zip(self._begin[wanted].tolist(), self._end[wanted].tolist(), strict=True)
        found = [self._vocabulary.get(self._text[begin:end], UNKNOWN) for begin, end in spans]
        self.symbols[wanted] = found


Stream = Characters | Words


@dataclass(frozen=True)
class Span:
    """A text in a document of a stream: how much of it, and where, in symbols of the stream."""

    document: int
    text: int
    overlap: float
    start: int
    end: int


@dataclass(frozen=True)
class Matches:
    """What was confirmed in a stretch of a stream: n-grams, and short texts whole, with where they begin."""

    at: Ints
    gram: Ints
    whole_at: Ints
    whole_text: Ints


def stretches(stream: Stream, longest: int) -> Iterator[tuple[int, int, int]]:
    """(from, to, where the next one begins) of stretches of bounded size: whole documents, or tiles of a long one.

    Stretches of a long document overlap by half a tile, so each tile stands whole in one.
    """
    most = _TILES * longest
    begin = 0
    for document in range(len(stream.starts) - 1):
        start, end = int(stream.starts[document]), int(stream.starts[document + 1])
        if end - begin > most and begin < start:
            yield begin, start, start
            begin = start
        while end - begin > most:
            yield begin, begin + most, begin + most - longest
            begin += most - longest
        if begin > start:
            # The last tiles of a long document stand alone, as the others do.
            yield begin, end, end
            begin = end
    if begin < int(stream.starts[-1]):
        yield begin, int(stream.starts[-1]), int(stream.starts[-1])


# -- n-grams and short texts ---------------------------------------------------------------------------------


def match(grams: Grams, stream: Stream, low: int, high: int) -> Matches:
    """The n-grams and short texts that stand in `symbols[low:high]`, by where they begin."""
    n = grams.n
    lengths = set(grams.lengths[grams.whole_text].tolist())
    candidates = _sifted if isinstance(stream, Characters) else _hashed
    long: list[tuple[Ints, Ints]] = []
    short: list[tuple[Ints, Ints]] = []

    def confirmed(at: Ints, number: Ints, there: Ints, length: int) -> tuple[Ints, Ints]:
        stream.look_up(at, length)
        real = same_windows(stream.symbols, at, grams.symbols, there, length)
        return at[real], number[real]

    for begin in range(low, high, _BLOCK):
        size = min(_BLOCK, high - begin)
        block = stream.values[begin : min(begin + size + n - 1, high)]
        # What follows the end never counts; it only lets every window be hashed.
        padded = np.zeros(size + n - 1, block.dtype)
        padded[: len(block)] = block
        at, hashes, short_at, reached = candidates(grams, padded, size)
        gram = find(hashes, grams.keys)
        real = (gram >= 0) & (at + n <= len(block))
        long.append(confirmed(at[real] + begin, gram[real], grams.shown[gram[real]], n))
        for length in range(grams.shortest, n):
            if length > grams.shortest:
                reached = longer(reached, padded[short_at + length - 1], grams.base)
            if length in lengths:
                keys = whole_keys(reached, length)
                may = grams.whole_filter.may_hold(keys)
                place = find(keys[may], grams.whole_keys)
                real = (place >= 0) & (short_at[may] + length <= len(block))
                text = grams.whole_text[place[real]].astype(np.int64)
                short.append(confirmed(short_at[may][real] + begin, text, grams.starts[text], length))
    return Matches(*_columns(long), *_columns(short))


def _columns(parts: Sequence[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *(at for at, _ in parts)]), np.concatenate([none, *(number for _, number in parts)])


def _hashed(grams: Grams, values: Symbols, size: int) -> tuple[Ints, Keys, Ints, Keys]:
    """Where n-grams may begin and their hashes; where short texts may, and the hashes of their first symbols."""
    hashes, beginnings = window_hashes(values, [grams.n, grams.shortest], grams.base)
    at, short_at = grams.filter.may_hold(hashes), grams.prefix_filter.may_hold(beginnings[:size])
    return at, hashes[at], short_at, beginnings[short_at]


def _sifted(grams: Grams, values: Symbols, size: int) -> tuple[Ints, Keys, Ints, Keys]:
    """As `_hashed`, for texts so long that a look at some windows tells where a match can be."""
    length, stride, held = grams.sieve
    count = (len(values) - length) // stride + 1
    sample = np.zeros(count, np.uint64)
    for step in range(length):
        sample = longer(sample, values[step::stride][:count], grams.base)
    first = held.may_hold(sample) * stride
    # A match that holds the window begins at most so far before it.
    at = (first[:, None] - np.arange(grams.n - length + 1)).ravel()
    at = np.unique(at[(at >= 0) & (at < size)])
    hashes = np.zeros(len(at), np.uint64)
    beginnings = hashes
    for step in range(grams.n):
        if step == grams.shortest:
            beginnings = hashes
        hashes = longer(hashes, values[at + step], grams.base)
    may = grams.filter.may_hold(hashes)
    return at[may], hashes[may], at, beginnings


def by_text(stream: Stream, parts: Sequence[tuple[Ints, Ints]]) -> Iterator[tuple[int, int, Ints]]:
    """(document, text, where it stands) of short texts, from pairs of places and texts."""
    at, text = _columns(parts)
    document = np.searchsorted(stream.starts, at, "right") - 1
    order = np.lexsort((at, text, document))
    at, text, document = at[order], text[order], document[order]
    cuts = np.flatnonzero(changes(document, text)).tolist()
    for start, end in zip(cuts, [*cuts[1:], len(at)], strict=True) if cuts else ():
        yield int(document[start]), int(text[start]), at[start:end]


def nearest(
    stream: Stream, document: int, symbols: Symbols, values: Keys, places: Ints, length: int, within: int
) -> tuple[int, int] | None:
    """The first of some places that a short text stands near, and where: as near as it does, of equal ones behind it.

    Args:
        stream: the documents.
        document: the one of the places.
        symbols, values: the short text's, as the stream's.
        places: where another text stands.
        length: of that other text.
        within: most symbols that may stand between the two.
    """
    size = len(symbols)
    low, high = int(stream.starts[document]), int(stream.starts[document + 1]) - 1 - size
    gaps = np.arange(within + 1)
    steps = np.stack([length + gaps, -size - gaps], axis=1).ravel()
    for start in range(0, len(places), _NEAR_ROWS):
        at = (places[start : start + _NEAR_ROWS, None] + steps).ravel()
        may = np.flatnonzero((at >= low) & (at <= high))
        for offset, value in enumerate(values):
            may = may[stream.values[at[may] + offset] == value]
        there = at[may]
        stream.look_up(there, size)
        real = np.flatnonzero(same_windows(stream.symbols, there, symbols, np.zeros(len(there), np.int64), size))
        if len(real):
            return int(places[start + may[real[0]] // len(steps)]), int(there[real[0]])
    return None


# -- how much of a text --------------------------------------------------------------------------------------


def overlaps(
    grams: Grams, stream: Stream, matches: Matches, least: npt.NDArray[np.float64], longest: int
) -> Iterator[Span]:
    """For each document of a stretch and each long text, the tile that holds most of it.

    Args:
        grams: the texts.
        stream: the documents.
        matches: of a stretch.
        least: of each text, the overlap from which it is given.
        longest: half of a tile.
    """
    if not len(matches.at):
        return
    document = np.searchsorted(stream.starts, matches.at, "right") - 1
    tile = (matches.at - stream.starts[document]) // longest
    # A tile is two half tiles: what stands in one half is in the tile that begins there and in the one before.
    tiles = int(tile.max()) + 1
    here = document * tiles + tile
    entry = np.concatenate([here, (here - 1)[tile > 0]]) * len(grams.keys)
    entry = np.unique(entry + np.concatenate([matches.gram, matches.gram[tile > 0]]))
    here, gram = np.divmod(entry, len(grams.keys))
    sizes = grams.cuts[gram + 1] - grams.cuts[gram]
    postings = expand(grams.cuts[gram], sizes)
    texts = len(grams.lengths)
    groups, group = np.unique(np.repeat(here, sizes) * texts + grams.text[postings], return_inverse=True)
    here, text = np.divmod(groups, texts)
    overlap = covered(group, grams.place[postings].astype(np.int64), grams.n, len(groups)) / grams.counted[text]
    enough = overlap >= least[text]
    (document, tile), text, overlap = np.divmod(here[enough], tiles), text[enough], overlap[enough]
    order = np.lexsort((tile, -overlap, text, document))
    best = order[changes(document[order], text[order])]
    columns = (column[best].tolist() for column in (document, tile, text, overlap))
    for of_document, of_tile, of_text, share in zip(*columns, strict=True):
        begin = int(stream.starts[of_document]) + of_tile * longest
        end = min(begin + 2 * longest, int(stream.starts[of_document + 1]))
        yield Span(of_document, of_text, share, *_densest(grams, matches, of_text, begin, end))


def _densest(grams: Grams, matches: Matches, text: int, begin: int, end: int) -> tuple[int, int]:
    """Where a tile holds most of a text: matches that lie no further apart than the text is long."""
    cuts, grams_of = grams.grams_of
    own = grams_of[cuts[text] : cuts[text + 1]]
    tile = slice(*np.searchsorted(matches.at, [begin, end]).tolist())
    at, gram = matches.at[tile], matches.gram[tile]
    mine = own[np.minimum(np.searchsorted(own, gram), len(own) - 1)] == gram
    at, gram = at[mine], gram[mine]
    apart = np.zeros(len(at), bool)
    apart[1:] = at[1:] - at[:-1] > grams.lengths[text]
    cluster = np.cumsum(apart)
    if cluster[-1]:
        different = np.unique(cluster * len(grams.keys) + gram) // len(grams.keys)
        at = at[cluster == np.bincount(different).argmax()]
    return int(at[0]), int(at[-1]) + grams.n
