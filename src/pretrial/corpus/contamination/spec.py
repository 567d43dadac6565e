"""What identifies decontamination, without reading a document: benchmarks by their files, and when a text counts.

Guarantees: standard library only; the configuration of an index holds the files' hashes and every number that acts on
a match, and no path. Does not: read benchmarks (beyond their hashes) or documents.

**Definition** (version: `SEMANTICS`). A *prose* text is its words: runs of letters and digits, compatibility forms
and accents removed, case-folded, apostrophes and underscores inside a word dropped, all else a boundary. A *code*
text is its UTF-8 bytes without any white space, ASCII letters in lower case. The document is taken the same way,
once for each kind. The n-grams are 13 words (Brown et al. 2020, arXiv 2005.14165, appendix C; also what lm-eval
uses) and 50 characters.

- A text of at least n words or characters: its *overlap* is the share of its words or characters that stand in an
  n-gram which it shares with the document, within a stretch of the document of twice the longest text. It counts from
  0.5 for a question, from 0.8 for all else. Cosmopedia's recipe drops at half of the item as well; for a question of
  up to 26 words half is any shared run of 13 words, GPT-3's rule, and one changed word in a long question does not
  hide it, as it would in a share of n-grams. Passages are public pages: a sentence of one is no item.
- A shorter text counts only whole. Prose of 8 words (GPT-3's smallest n) alone, code of 32 characters alone.
- A prose answer shorter than n counts only within 30 words of its question. A question under 8 words counts only
  within 30 words of its answer, both whole and together of 8 words or more.
- What is left cannot be found: an item whose question and answer have fewer than 8 words together, or of which every
  n-gram is a form. Such items count as clean, and are counted beside what is found.
- An n-gram in more than 10 different texts of one benchmark is a form, not an item: it is counted nowhere. So is a
  text of the allow-list `TRIVIAL`.
- Texts are cut at 2,048 words or 8,192 characters.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pretrial.corpus.contamination.benchmark_texts import BENCHMARKS, file_of
from pretrial.errors import RequestError

Json = dict[str, Any]

SEMANTICS = {"contamination-index": 2, "contamination-shard": 1, "contamination": 1}
"""Raised when the same configuration and inputs would give another index or other hits."""

FUNCTIONS = {
    "contamination-index": "pretrial.corpus.contamination.build:build_index",
    "contamination-shard": "pretrial.corpus.contamination.steps:scan_shard",
    "contamination": "pretrial.corpus.contamination.steps:scan_corpus",
}
"""Step function of each kind of step."""

MATCHING: Mapping[str, int] = {
    "words": 13,
    "short_words": 8,
    "seed_words": 4,
    "near_words": 30,
    "longest_words": 2048,
    "characters": 50,
    "short_characters": 32,
    "longest_characters": 8192,
    "common": 10,
}
"""Numbers of the definition; of a pair of short texts one must have `seed_words` words."""

SHARES: Mapping[str, float] = {"question": 0.5, "answer": 0.8, "passage": 0.8, "solution": 0.8, "tests": 0.8}
"""Overlap from which a text of n words or characters and more counts, by part."""

TRIVIAL: tuple[str, ...] = ()
"""Texts that stand everywhere and tell nothing; compared as the definition says. None so far: solutions such as
`return x + y`, which others except by hand, are shorter than what counts alone."""


def available(data_dir: Path) -> tuple[str, ...]:
    """Names of the benchmarks whose files are there, in the table's order."""
    return tuple(name for name in BENCHMARKS if file_of(name, data_dir).is_file())


def index_config(
    benchmarks: Sequence[str],
    data_dir: Path | None,
    *,
    matching: Mapping[str, int] = MATCHING,
    trivial: Sequence[str] = TRIVIAL,
    digest: Callable[[Path], str] | None = None,
    where: str | None = None,
) -> Json:
    """Configuration of the step "contamination-index".

    Args:
        benchmarks: names of `BENCHMARKS`; their order and repeats mean nothing.
        data_dir: the data folder, which holds `benchmarks/`.
        matching: numbers of the definition.
        trivial: the allow-list.
        digest: SHA-256 of a file in hex, where the caller keeps one.
        where: place in the study file, for errors.

    Raises:
        RequestError: for an unknown benchmark, none, or those whose files are not there.
    """
    names = sorted(set(benchmarks))
    if not names:
        raise RequestError("decontamination needs a benchmark", where=where, remedy="Name one, or leave it out.")
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        near = difflib.get_close_matches(unknown[0], BENCHMARKS, 1)
        raise RequestError(
            f"decontamination does not know the benchmark {unknown[0]!r}",
            where=where,
            remedy=f"Did you mean {near[0]}?" if near else f"Known: {', '.join(BENCHMARKS)}.",
        )
    if data_dir is None:
        raise RequestError(
            f"the texts of {', '.join(names)} are read from local files and no data folder is named",
            where=where,
            remedy="Name it with --data DIR or PRETRIAL_DATA.",
        )
    paths = {name: file_of(name, data_dir) for name in names}
    if missing := [name for name, path in paths.items() if not path.is_file()]:
        one = len(missing) == 1
        raise RequestError(
            f"{'the file of the benchmark' if one else 'files of the benchmarks'} {', '.join(missing)} "
            f"{'is' if one else 'are'} not there: {', '.join(str(paths[name]) for name in missing)}",
            where=where,
            remedy=f"Put {'it' if one else 'them'} there, point --data elsewhere, or take {', '.join(missing)} out.",
        )
    digest = digest or _sha256
    files = {name: digest(path) for name, path in paths.items()}
    return {"benchmarks": files, "matching": dict(matching), "trivial": sorted(set(trivial))}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def index_settings(data_dir: Path) -> Json:
    """Settings of the step "contamination-index": where the files lie."""
    return {"data": str(data_dir)}


def scan_config(shares: Mapping[str, float] = SHARES) -> Json:
    """Configuration of the step "contamination", whose inputs are a `corpus` and an `index`.

    Raises:
        ValueError: unless every part has a share above 0 and at most 1.
    """
    if shares.keys() != SHARES.keys() or not all(0 < share <= 1 for share in shares.values()):
        raise ValueError(f"shares must be above 0 and at most 1 for each of {', '.join(SHARES)}: {dict(shares)}")
    return {"shares": dict(shares)}
