"""What identifies a search for near-duplicates, and how its bands are chosen.

Guarantees: the settings hold every choice that acts on the result; imports the standard library only.
Does not: read documents.

Two documents are candidates when their signatures agree in all rows of at least one band. A signature's value agrees
with a probability equal to the Jaccard similarity t of the two sets of shingles (Broder, "On the resemblance and
containment of documents", 1997), so a pair becomes a candidate with probability 1-(1-t^r)^b for b bands of r rows
(Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.2).
"""

from __future__ import annotations

import importlib.metadata
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pretrial.errors import RequestError

SEMANTICS = {"near-signatures": 1, "near-signatures-shard": 1, "near-duplicates": 2}
SHINGLES = 1
"""Version of what a word and a shingle are (`shingles`)."""
HASH = "xxhash3_64"
"""Hash function of a shingle inside the signature."""
RECALL = 0.97
"""Least probability that a pair exactly at the threshold becomes a candidate."""
MOST_HASHES = 160
LIMIT = 64
"""Documents that share a band, or a shingle, above which not all of them are compared with each other."""

_GRID = 500


@dataclass(frozen=True)
class Settings:
    """What near-duplicates are and how they are looked for.

    Attributes:
        words: words of a shingle.
        threshold: least Jaccard similarity of a near-duplicate's shingles, in (0, 1].
        hashes: values of a signature; at least bands x rows. Another choice of bands can use the same signatures.
        bands: bands of a signature.
        rows: values of a band.
        seed: draws the signature's hash functions.

    Raises:
        RequestError: for values that contradict each other, or with which fewer than 97% of the pairs exactly at the
            threshold would be found.
    """

    words: int = 5
    threshold: float = 0.8
    hashes: int = 160
    bands: int = 20
    rows: int = 8
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("words", "hashes", "bands", "rows"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name} of near-duplicates is {getattr(self, name)}", remedy="It is at least 1.")
        if not 0 < self.threshold <= 1:
            raise RequestError(
                f"the threshold of near-duplicates is {self.threshold}", remedy="It lies above 0 and at most at 1."
            )
        if not 0 <= self.seed < 2**32:
            raise RequestError(f"the seed of near-duplicates is {self.seed}", remedy="It is a 32-bit number.")
        if self.bands * self.rows > self.hashes:
            raise RequestError(
                f"{self.bands} bands of {self.rows} rows need {self.bands * self.rows} hashes, not {self.hashes}",
                remedy="Ask for more hashes, or leave bands and rows to be chosen.",
            )
        found = probability(self.threshold, self.bands, self.rows)
        if found < RECALL:
            raise RequestError(
                f"{self.bands} bands of {self.rows} rows find {found:.1%} of the pairs whose similarity is "
                f"{self.threshold:g}; {RECALL:.0%} is the least",
                remedy="Use more bands or fewer rows, or leave them to be chosen.",
            )


def settings(threshold: float = 0.8, words: int = 5, most_hashes: int = MOST_HASHES, seed: int = 1) -> Settings:
    """Settings with bands and rows chosen by `choose`.

    Raises:
        RequestError: as `choose` and `Settings`.
    """
    bands, rows = choose(threshold, most_hashes)
    return Settings(words, threshold, bands * rows, bands, rows, seed)


def probability(similarity: float, bands: int, rows: int) -> float:
    """Probability that a pair of this Jaccard similarity becomes a candidate: 1-(1-s^r)^b."""
    return float(1 - (1 - similarity**rows) ** bands)


def false_candidates(threshold: float, bands: int, rows: int) -> float:
    """Expected share of candidates among pairs below the threshold if their similarities were spread evenly.

    The mean of 1-(1-s^r)^b over s in [0, threshold], by the midpoint rule with 500 points.
    """
    return sum(probability(threshold * (i + 0.5) / _GRID, bands, rows) for i in range(_GRID)) / _GRID


def choose(threshold: float, most_hashes: int = MOST_HASHES) -> tuple[int, int]:
    """(bands, rows) with the fewest false candidates that find 97% of the pairs exactly at the threshold.

    Of each number of rows the fewest bands that suffice are looked at: more would only add false candidates. Of equal
    choices the one with fewer hashes is taken.

    Args:
        threshold: Jaccard similarity in (0, 1].
        most_hashes: the largest bands x rows.

    Raises:
        RequestError: when no choice suffices.
    """
    if not 0 < threshold <= 1:
        raise RequestError(
            f"the threshold of near-duplicates is {threshold}", remedy="It lies above 0 and at most at 1."
        )
    best: tuple[float, int, int, int] | None = None
    for rows in range(1, most_hashes + 1):
        bands = _fewest(threshold, rows, most_hashes // rows)
        if bands is None:
            # More rows find less, with fewer bands to make up for it.
            break
        found = (false_candidates(threshold, bands, rows), bands * rows, bands, rows)
        best = found if best is None else min(best, found)
    if best is None:
        raise RequestError(
            f"{most_hashes} hashes cannot find {RECALL:.0%} of the pairs whose similarity is {threshold:g}",
            remedy="Allow more hashes, or raise the threshold.",
        )
    return best[2], best[3]


def versions() -> dict[str, str]:
    """Releases whose answers are passed on: another one, other signatures.

    Which characters make words follows the Unicode of the running Python. Daft parts what it is given at spaces only,
    but draws the hash functions.
    """
    try:
        daft = importlib.metadata.version("daft")
    except importlib.metadata.PackageNotFoundError:
        # Planning goes on without it; the step says what to install.
        daft = "none"
    return {"unicode": unicodedata.unidata_version, "daft": daft}


def signature_config(chosen: Settings) -> dict[str, Any]:
    """Configuration of a source's "near-signatures" step: what acts on signatures, and not the threshold."""
    return {
        **versions(),
        "shingles": SHINGLES,
        "words": chosen.words,
        "hashes": chosen.hashes,
        "hash": HASH,
        "seed": chosen.seed,
    }


def near_config(chosen: Settings, sources: Sequence[str]) -> dict[str, Any]:
    """Configuration of the "near-duplicates" step. The order of `sources` is that of its pairs and components."""
    return {"sources": list(sources), "settings": asdict(chosen), "signatures": signature_config(chosen)}


def settings_of(config: Mapping[str, Any]) -> Settings:
    """The settings in a configuration made by `near_config`."""
    return Settings(**config["settings"])


def _fewest(threshold: float, rows: int, most: int) -> int | None:
    for bands in range(1, most + 1):
        if probability(threshold, bands, rows) >= RECALL:
            return bands
    return None
