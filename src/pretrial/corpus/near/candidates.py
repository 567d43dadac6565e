"""Which pairs of documents are compared: exact copies are put aside, then documents that share a band.

Guarantees: a pair of similarity s is a candidate with probability 1-(1-s^r)^b (`spec`), by values that depend on the
two documents alone; exact copies cost one pair each; memory is bounded by the budget, a byte a document beside it.
Does not: list every pair of a crowded bucket. Where more than `LIMIT` different documents share a band, each is
compared with the first `LIMIT` of them in the order of the documents, its representatives. Such documents are marked
as crowded, and compared once more with those that share a shingle with them which at most `LIMIT` crowded documents
have (`holders`, `rare_pairs`): pages of one template are told apart by what does not stand in the template. Two of them
that share nothing so rare may still be near without a pair that says so.

What it costs: the pairs of d documents grow with d, not d². By its bands a document is paired with at most `LIMIT`
earlier ones a band. A crowded one is paired as well with whoever holds a rare shingle of it, at most `LIMIT` - 1 others
a shingle: a bound by the text's length, which is met only where each shingle is shared with others. Shingles of the
same holders are one, and a pair that comes again soon is dropped before it is written: documents that share much with
few write about a row a pair.

Documents are numbered through: by source, then row.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from pretrial.corpus.near.spec import LIMIT
from pretrial.corpus.sorting import Columns

Numbers = npt.NDArray[np.uint64]
Pairs = tuple[Numbers, Numbers]

_ONE = np.uint64(1)
_HALF = np.uint64(32)
_LOW = np.uint64(2**32 - 1)


def band_keys(signatures: npt.NDArray[np.uint32], bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """A number for each band of each signature, [documents, bands]: equal where all rows of the band are.

    Two bands that differ share a number with a probability of about 2^-64, which costs a needless comparison. Each band
    has numbers of its own.
    """
    values = signatures[:, : bands * rows].reshape(len(signatures), bands, rows)
    keys = np.empty((len(signatures), bands), np.uint64)
    keys[:] = _mixed(np.arange(1, bands + 1, dtype=np.uint64))
    for row in range(rows):
        keys = _mixed(keys ^ values[:, :, row])
    return keys


def copies(rows: Iterable[Columns]) -> Iterator[Pairs]:
    """(first, other) of every document that has the digest of an earlier one.

    Args:
        rows: sorted (digest's first half, second half, document).
    """
    first: tuple[int, int, int] | None = None
    for high, low, document in rows:
        fresh = np.ones(len(document), bool)
        fresh[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        if first is not None and first[:2] == (int(high[0]), int(low[0])):
            fresh[0] = False
        starts = np.flatnonzero(fresh)
        origin = np.concatenate([document[:1] if first is None else [np.uint64(first[2])], document[starts]])
        other = np.flatnonzero(~fresh)
        if len(other):
            yield origin[np.cumsum(fresh)[other]].astype(np.uint64), document[other]
        if len(starts):
            at = starts[-1]
            first = (int(high[at]), int(low[at]), int(document[at]))


def bucket_pairs(rows: Iterable[Columns], crowded: npt.NDArray[np.bool_], limit: int = LIMIT) -> Iterator[Pairs]:
    """Pairs (a, b), a < b, of documents with the same key; a pair comes once for each key that it shares.

    Args:
        rows: sorted (key, document).
        crowded: one flag a document; set for those in a bucket of more than `limit`.
        limit: representatives of a bucket.
    """
    bucket: int | None = None
    heads = np.zeros(0, np.uint64)  # The first documents of the bucket that is open, up to the limit.
    for keys, documents in rows:
        starts = np.concatenate([[0], np.flatnonzero(keys[1:] != keys[:-1]) + 1, [len(keys)]])
        if bucket == int(keys[0]):
            heads = yield from _grow(heads, documents[: starts[1]], crowded, limit)
            starts = starts[1:]
            if len(starts) == 1:
                continue
        # The last bucket may go on in the next piece.
        yield from _closed(documents, starts[:-1], crowded, limit)
        bucket = int(keys[-1])
        heads = yield from _grow(np.zeros(0, np.uint64), documents[starts[-2] :], crowded, limit)


def holders(rows: Iterable[Columns], limit: int = LIMIT) -> Iterator[Columns]:
    """(first document, a number for the set of documents, document) of each key that from 2 to `limit` documents have.

    Keys of the same documents give the same rows: once these are sorted, what a group of documents has in common is
    there once, however much it is. Two sets with the same first document share a number with a probability of about
    2^-64; then some of their pairs are not compared.

    Args:
        rows: sorted (key, document), each once.
        limit: most documents of a key.
    """
    for documents, starts in _few(rows, limit):
        sizes = np.diff(starts)
        numbers = np.add.reduceat(_mixed(documents + _ONE), starts[:-1])
        yield np.stack([np.repeat(documents[starts[:-1]], sizes), np.repeat(numbers, sizes), documents])


def rare_pairs(rows: Iterable[Columns], many: int, limit: int = LIMIT) -> Iterator[Pairs]:
    """Pairs (a, b), a < b, of documents that have a key in common which from 2 to `limit` documents have.

    A pair that several sets hold comes once where fewer than about `many` / 2 other pairs lie between them; sets with
    the same first document lie together.

    Args:
        rows: `holders`, sorted, each once.
        many: pairs held at once, at most about twice.
        limit: most documents of a key.
    """
    waiting: list[Numbers] = []
    held = 0
    for documents, starts in _few(rows, limit):
        sizes = np.diff(starts)
        ends = np.cumsum(sizes * (sizes - 1) // 2)
        at = 0
        while at < len(sizes):
            # So many sets that their pairs are about as many as may be held.
            to = int(np.searchsorted(ends, (ends[at - 1] if at else 0) + many, "right"))
            to = max(to, at + 1)
            part = _closed(documents, starts[at : to + 1], np.zeros(0, bool), limit)
            at = to
            if documents.max() > _LOW:
                # Two such numbers do not fit into one.
                yield from part
                continue
            packed = [first << _HALF | second for first, second in part]
            waiting += packed
            held += sum(map(len, packed))
            if held > many:
                waiting = [np.unique(np.concatenate(waiting))]
                held = len(waiting[0])
                if 2 * held > many:
                    yield waiting[0] >> _HALF, waiting[0] & _LOW
                    waiting, held = [], 0
    if waiting:
        once = np.unique(np.concatenate(waiting))
        yield once >> _HALF, once & _LOW


def _few(rows: Iterable[Columns], limit: int) -> Iterator[tuple[Numbers, npt.NDArray[np.int64]]]:
    """(documents, starts) of the whole buckets of from 2 to `limit` documents; the last start is the end.

    Args:
        rows: sorted; the last column is the document, those before it are the key.
        limit: most documents of a bucket.
    """
    left: Columns | None = None
    for piece in rows:
        piece = piece if left is None else np.concatenate([left, piece], axis=1)
        fresh = (piece[:-1, 1:] != piece[:-1, :-1]).any(axis=0)
        starts = np.concatenate([[0], np.flatnonzero(fresh) + 1])
        yield from _sized(piece[-1], starts, limit)
        # The last key may go on in the next piece; one document too many is enough to know that it has too many.
        left = piece[:, starts[-1] :][:, : limit + 1]
    if left is not None:
        yield from _sized(left[-1], np.array([0, left.shape[1]]), limit)


def _sized(
    documents: Numbers, starts: npt.NDArray[np.int64], limit: int
) -> Iterator[tuple[Numbers, npt.NDArray[np.int64]]]:
    sizes = np.diff(starts)
    few = (sizes > 1) & (sizes <= limit)
    if few.any():
        kept = documents[: starts[-1]][np.repeat(few, sizes)]
        yield kept, np.concatenate([[0], np.cumsum(sizes[few])])


def _closed(
    documents: Numbers, starts: npt.NDArray[np.int64], crowded: npt.NDArray[np.bool_], limit: int
) -> Iterator[Pairs]:
    """Pairs of whole buckets, which begin at the starts; the last start is their end."""
    sizes = np.diff(starts)
    starts = starts[:-1]
    for large in np.flatnonzero(sizes > limit):
        crowded[documents[starts[large] : starts[large] + sizes[large]]] = True
    for place in range(limit):
        # In each bucket, the document at this place with all behind it.
        longer = sizes > place + 1
        starts, sizes = starts[longer], sizes[longer]
        if not len(sizes):
            return
        behind = sizes - place - 1
        ends = np.cumsum(behind)
        others = np.arange(ends[-1]) + np.repeat(starts + place + 1 - (ends - behind), behind)
        yield np.repeat(documents[starts + place], behind), documents[others]


def _grow(heads: Numbers, new: Numbers, crowded: npt.NDArray[np.bool_], limit: int) -> Generator[Pairs, None, Numbers]:
    """Pairs that documents new to a bucket bring; returns its representatives with them."""
    for head in heads:
        yield np.full(len(new), head), new
    for place in range(min(limit - len(heads), len(new) - 1)):
        yield np.full(len(new) - place - 1, new[place]), new[place + 1 :]
    if len(heads) + len(new) > limit:
        crowded[heads] = True
        crowded[new] = True
    return np.concatenate([heads, new[: limit - len(heads)]])


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection of 64-bit numbers in which every bit acts on all (the finish of Stafford's variant 13)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
