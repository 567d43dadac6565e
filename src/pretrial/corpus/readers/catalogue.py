"""Ready definitions: where the corpora of the field lie on the Hugging Face hub, and what their columns mean.

Guarantees: a definition names hub id, files, text column, attributes and licence, so that a study names only it; one
whose text is not on the hub says so and what it needs, before anything is spent.
Does not: import the hub's client, pin commits (a study does; BigCode asks for the newest one), or list a dataset's
languages (the hub is asked for them, and a wrong one gets the nearest right one).

Facts were read in November 2026 in stored copies of the datasets' cards (C), in public code that reads them (R), or in
the papers (P); the mark stands with each. None could be checked against the hub itself from where this was written.

A name is `slimpajama-text`, or, where a dataset has parts, `the-stack-dedup/python`; several languages are asked for
beside the name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pretrial.corpus.languages import canonical
from pretrial.corpus.readers.hub_client import HUB
from pretrial.errors import RequestError

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,60}")
# Letters, digits and signs of a language's name; none that means something in a glob.
_LANGUAGE = re.compile(r"[a-z0-9][a-z0-9.+()' -]{0,60}")
# Folders of a language, where they are not called as it is here. C++ is `cpp` in StarCoderData, `c++` in The Stack: R.
_FOLDERS = {"cpp": ("cpp", "c++"), "vb": ("visual-basic", "vb")}


@dataclass(frozen=True)
class Definition:
    """A dataset on the hub, or a part of one.

    Attributes:
        name: what a study calls it.
        hub: its id on the hub.
        patterns: its files, as globs; `{part}` stands for the part.
        text: column with the text.
        id: column that names a document, `None` for none.
        fields: attributes by the column they come from (the first that exists).
        constants: attributes that are the same for all documents; `{part}` stands for the part.
        keep: values that an attribute must have, to leave documents out by their label.
        group: attribute that keeps related documents together when some are held out.
        license: of the collection; documents may have their own, as an attribute.
        gated: whether terms must be accepted on the hub first.
        parts: what a part is (`language`), `""` where there are none.
        languages: the files of each language, as globs, where several were asked for: their documents have it as the
            attribute `language`. Then `patterns` is empty.
        render: what makes the text where the column holds markers: a name in `threads.RENDERERS`.
        notes: what a user should know.
        unusable: why no text can be read here, `""` where it can.
        remedy: what it would need.
    """

    name: str
    hub: str
    patterns: tuple[str, ...]
    text: str
    license: str
    id: str | None = None
    fields: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group: str = "document"
    gated: bool = False
    parts: str = ""
    languages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    render: str = ""
    notes: str = ""
    unusable: str = ""
    remedy: str = ""

    @property
    def page(self) -> str:
        """The dataset's page, where terms are accepted."""
        return f"{HUB}/datasets/{self.hub}"

    @property
    def default_license(self) -> str | None:
        """Licence of documents that name none; `None` where they are known to name theirs."""
        return None if "license" in self.fields else self.license


# meta.redpajama_set_name and its seven values: R (many readers of the set and of its samples). Files: R,
# train/chunk1 … chunk10/example_train_N.jsonl.zst. 627B tokens, 59,166 files, 895 GB packed: C.
_SLIMPAJAMA_TEXT = ("RedPajamaArXiv", "RedPajamaBook", "RedPajamaC4", "RedPajamaCommonCrawl", "RedPajamaWikipedia")
_SLIMPAJAMA = Definition(
    name="slimpajama",
    hub="cerebras/SlimPajama-627B",
    patterns=("train/chunk*/*.jsonl.zst",),
    text="text",
    fields={"subset": "meta.redpajama_set_name"},
    license="mixed: Common Crawl's terms, C4 ODC-BY, ArXiv's, Wikipedia CC-BY-SA-3.0, books unclear",
    notes="The card states no licence of its own and refers to the sources of RedPajama.",
)

# All columns of The Stack v1: R (BigCode's own scripts and users). Files data/LANGUAGE/data-00028-of-00126.parquet and
# terms to accept: C.
_STACK = Definition(
    name="the-stack-dedup",
    hub="bigcode/the-stack-dedup",
    patterns=("data/{part}/*.parquet",),
    text="content",
    id="hexsha",
    fields={
        "license": "max_stars_repo_licenses",
        "path": "max_stars_repo_path",
        "repository": "max_stars_repo_name",
        "revision": "max_stars_repo_head_hexsha",
        "stars": "max_stars_count",
    },
    constants={"kind": "code", "language": "{part}"},
    group="repository",
    license="permissive, by file; see the attribute license",
    gated=True,
    parts="language",
    notes="BigCode asks for its newest version: repositories leave on their owners' request.",
)

# LANGUAGE/train-00000-of-00059.parquet and the four folders of other things: C, R. Columns of the code folders
# (max_stars_repo_path, max_stars_repo_name, max_stars_count, id, content): R. That all folders have `content`: R. The
# markers inside it (<reponame>, <issue_comment>, <jupyter_code>, <commit_msg>): P section 5.1, R. Other columns of the
# four special folders differ (C says so) and were not seen: several names are tried.
_STARCODER = Definition(
    name="starcoderdata",
    hub="bigcode/starcoderdata",
    patterns=("{part}/*.parquet",),
    text="content",
    id="id",
    fields={"path": "max_stars_repo_path", "repository": "max_stars_repo_name", "stars": "max_stars_count"},
    constants={"kind": "code", "language": "{part}"},
    group="repository",
    license="permissive, by file (The Stack v1.2)",
    gated=True,
    parts="language",
    render="starcoder",
    notes="Decontaminated, near-deduplicated, without personal data. BigCode asks for its newest version.",
)
_ANY_REPOSITORY = ("max_stars_repo_name", "repo_name", "repo", "repos")

# A row of The Stack v2 has blob_id, path, repo_name, detected_licenses, license_type, src_encoding … and no text; the
# contents lie at s3://softwareheritage/content/BLOB_ID, packed with gzip, in the encoding src_encoding: C.
_STACK_V2 = Definition(
    name="the-stack-v2",
    hub="bigcode/the-stack-v2",
    patterns=(),
    text="",
    license="permissive or none, by file; see detected_licenses and license_type",
    gated=True,
    unusable="holds identifiers of Software Heritage (blob_id, src_encoding), not text",
    remedy=(
        "Accept the terms at {page}; for downloads in bulk agree with Software Heritage and INRIA "
        "(datasets@softwareheritage.org) and keep to its principles for training; fetch "
        "s3://softwareheritage/content/BLOB_ID (gzip, in the encoding src_encoding) into Parquet files of your own, "
        "and name their folder. For 17 languages, filtered, begin with bigcode/the-stack-v2-train-smol-ids. "
        "With its text on the hub: the-stack-dedup/LANGUAGE."
    ),
)

DEFINITIONS: tuple[Definition, ...] = (
    _SLIMPAJAMA,
    replace(
        _SLIMPAJAMA,
        name="slimpajama-text",
        keep={"subset": _SLIMPAJAMA_TEXT},
        notes="Without the documents labelled GitHub and StackExchange: the text of To Code, or Not To Code? (2.1).",
    ),
    replace(
        _SLIMPAJAMA,
        name="slimpajama-stackexchange",
        keep={"subset": ("RedPajamaStackExchange",)},
        constants={"kind": "thread"},
        license="CC-BY-SA",
        notes="The StackExchange part of the code-adjacent data of To Code, or Not To Code? (2.1).",
    ),
    # Columns and configs: C (its header lists both). Parts: a crawl, or one of the three samples.
    Definition(
        name="fineweb-edu",
        hub="HuggingFaceFW/fineweb-edu",
        patterns=("data/*/*.parquet",),
        text="text",
        id="id",
        fields={"url": "url", "date": "date", "score": "score", "dump": "dump", "language": "language"},
        license="ODC-BY-1.0",
        notes="1.3T tokens of crawled pages with an educational score of at least 3. Parts: fineweb-edu/10BT (100BT, "
        "350BT: samples), fineweb-edu/CC-MAIN-2024-51 (a crawl).",
    ),
    Definition(
        name="fineweb-edu/",
        hub="HuggingFaceFW/fineweb-edu",
        patterns=("data/{part}/*.parquet", "sample/{part}/*.parquet"),
        text="text",
        id="id",
        fields={"url": "url", "date": "date", "score": "score", "dump": "dump", "language": "language"},
        license="ODC-BY-1.0",
        parts="crawl or sample",
        notes="A crawl (CC-MAIN-2024-51) or a sample (10BT, 100BT, 350BT) of fineweb-edu.",
    ),
    # Files and fields: R (several readers, one of them by the files' first bytes). Licence: C.
    Definition(
        name="dclm-baseline",
        hub="mlfoundations/dclm-baseline-1.0",
        patterns=("global-shard_*_of_10/local-shard_*_of_10/*.jsonl.zst",),
        text="text",
        id="metadata.WARC-Record-ID",
        fields={
            "url": "url",
            "date": "metadata.WARC-Date",
            "score": "fasttext_openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train_prob",
        },
        license="CC-BY-4.0",
        notes="4T tokens in 3B documents of Common Crawl. A commit that two public readers pin: "
        "a3b142c183aebe5af344955ae20836eb34dcf69b",
    ),
    _STACK,
    _STARCODER,
    replace(
        _STARCODER,
        name="starcoderdata-notebook-scripts",
        patterns=("jupyter-scripts-dedup-filtered/*.parquet",),
        fields={"repository": _ANY_REPOSITORY, "path": ("max_stars_repo_path", "path")},
        constants={"kind": "notebook"},
        parts="",
    ),
    replace(
        _STARCODER,
        name="starcoderdata-notebooks",
        patterns=("jupyter-structured-clean-dedup/*.parquet",),
        fields={"repository": _ANY_REPOSITORY, "path": ("max_stars_repo_path", "path")},
        constants={"kind": "notebook"},
        parts="",
        notes="Cells with outputs, rewritten as readers.notebooks writes them; the language of the code is not stated.",
    ),
    replace(
        _STARCODER,
        name="starcoderdata-commits",
        patterns=("git-commits-cleaned/*.parquet",),
        fields={"repository": _ANY_REPOSITORY, "path": ("new_file", "old_file", "path"), "language": "lang"},
        constants={"kind": "commit"},
        parts="",
        notes="Before, message and after, rewritten without the markers. Python, Java, JavaScript and more.",
    ),
    replace(
        _STARCODER,
        name="starcoderdata-issues",
        patterns=("github-issues-filtered-structured/*.parquet",),
        fields={"repository": _ANY_REPOSITORY, "issue": ("issue_id", "issue_number")},
        constants={"kind": "thread"},
        parts="",
        notes="Issues and pull requests with user names replaced by counters, rewritten without the markers.",
    ),
    _STACK_V2,
    replace(_STACK_V2, name="the-stack-v2-dedup", hub="bigcode/the-stack-v2-dedup"),
    replace(_STACK_V2, name="the-stack-v2-train-full", hub="bigcode/the-stack-v2-train-full-ids"),
    replace(_STACK_V2, name="the-stack-v2-train-smol", hub="bigcode/the-stack-v2-train-smol-ids"),
)


def names() -> list[str]:
    """What can be named, in order; a part's place is its word in capitals (`the-stack-dedup/LANGUAGE`)."""
    return [named(one) for one in DEFINITIONS]


def named(one: Definition) -> str:
    """How a study names a definition, a part in capitals."""
    return f"{one.name.rstrip('/')}/{one.parts.upper().replace(' ', '-')}" if one.parts else one.name


def check_text(hub: str, *, where: str | None = None) -> None:
    """That a dataset of the hub is not known to hold no text.

    Raises:
        RequestError: with what it holds and what it needs.
    """
    for one in DEFINITIONS:
        if one.hub == hub and one.unusable:
            raise RequestError(f"{hub} {one.unusable}", where=where, remedy=one.remedy.format(page=one.page))


def definition(name: str, languages: Sequence[str] = (), *, where: str | None = None) -> Definition:
    """The definition of a name, its part or languages filled in.

    Args:
        name: `slimpajama-text`, `the-stack-dedup/python`, or, with languages, `the-stack-dedup`.
        languages: those to read, of a dataset whose parts are languages; other spellings are understood.
        where: place in the study file, for errors.

    Raises:
        RequestError: for a name that is not known (the nearest one is named), a part that is missing or one too many,
            languages of what has none, and for a dataset that holds no text: what it holds and what it needs.
    """
    base, slash, part = name.partition("/")
    found = next((one for one in DEFINITIONS if one.name == (f"{base}/" if slash else base)), None)
    found = found or next((one for one in DEFINITIONS if one.name == base), None)
    if found is None:
        near = difflib.get_close_matches(base, [one.name for one in DEFINITIONS], 1)
        raise RequestError(
            f"there is no ready definition {name!r}",
            where=where,
            remedy=f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names())}.",
        )
    check_text(found.hub, where=where)
    if languages:
        return _of_languages(found, name, languages, where)
    if bool(part) != bool(found.parts) or (part and not _PART.fullmatch(part)):
        what = f"needs a {found.parts}" if found.parts else "has no parts"
        example = found.name.rstrip("/")
        if found.parts == "language":
            example += "/python, or languages: [python, java] ([code]: all of the paper's)"
        raise RequestError(f"{found.name.rstrip('/')} {what}: {name!r}", where=where, remedy=f"Say {example}")
    if not part:
        return found
    language = canonical(part) if found.parts == "language" else part
    folders = _FOLDERS.get(language, ())
    return replace(
        found,
        name=name,
        patterns=_filled(found.patterns, folders if part in folders else (part,)),
        constants={key: value.replace("{part}", language) for key, value in found.constants.items()},
    )


def _of_languages(found: Definition, name: str, languages: Sequence[str], where: str | None) -> Definition:
    if found.parts != "language" or name != found.name:
        named = f"{name} names one already" if found.parts == "language" else f"{name} is not laid out by language"
        split = [one.name for one in DEFINITIONS if one.parts == "language"]
        raise RequestError(
            f"languages choose parts of a dataset, and {named}",
            where=where,
            remedy=f"Leave it out, or say {found.name}."
            if found.parts == "language"
            else f"Leave it out; it goes with {', '.join(split)}. Documents with a field for it: keep: {{language: …}}",
        )
    for one in languages:
        if not _LANGUAGE.fullmatch(canonical(one)):
            raise RequestError(f"{one!r} is no language", where=where, remedy="Say languages: [python, java]")
    chosen = sorted({canonical(one) for one in languages})
    return replace(
        found,
        patterns=(),
        constants={key: value for key, value in found.constants.items() if "{part}" not in value},
        languages={one: _filled(found.patterns, _FOLDERS.get(one, (one.replace(" ", "-"),))) for one in chosen},
    )


def _filled(patterns: Sequence[str], folders: Sequence[str]) -> tuple[str, ...]:
    return tuple(pattern.replace("{part}", folder) for folder in folders for pattern in patterns)
