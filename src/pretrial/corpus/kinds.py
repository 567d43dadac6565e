"""The kinds of reading: what each reads, which options it takes with which defaults, what can group its documents.

Guarantees: standard library only; an option that acts on documents and is not listed with a kind cannot be given to it.
Does not: read. `places` finds the files, `parts` divides the work, `items` calls the readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Where = Literal["files", "tree", "repositories", "installed", "hub", "nowhere", "source"]
"""What a kind reads: single files; trees of files; git repositories; the Python installation only; a dataset of the
Hugging Face hub or in its layout; nothing (documents are made); another source's documents."""

FILES = ("jsonl", "parquet", "stackexchange", "archives")
"""Kinds whose locations name files, not folders."""


@dataclass(frozen=True)
class Kind:
    """A kind of reading.

    Attributes:
        where: what it reads.
        what: one line for the reference.
        options: options by name with their defaults; `None` stands for no limit or no choice.
        groups: what `group` may say, `None`: any field of its records.
        words: parts of the installation that it reads in the place of paths.
        fields: whether its records have fields of their own, so that `keep` can choose among them.
    """

    where: Where
    what: str
    options: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fields: bool = True


_CAPS = {"cap_file": None, "cap_group": None}
_CODE = {"languages": (), "drop_docstrings": False, "generated": False}
_RECORDS = {"text": "text", "id": "id", "fields": None}
_TREE_GROUPS = ("document", "package", "repository", "directory")
_PACKAGES = ("document", "package", "distribution")

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "jsonl": Kind("files", "JSON lines, plain, .gz or .zst.", _RECORDS | {"cap_file": None}),
        "parquet": Kind("files", "Parquet files.", _RECORDS | {"cap_file": None}),
        "files": Kind(
            "tree",
            "A tree of source files: `stdlib`, `installed` (the standard library and Pretrial's core dependencies) or "
            "a folder.",
            _CODE | _CAPS,
            _TREE_GROUPS,
            {"installed": _PACKAGES, "stdlib": _PACKAGES},
        ),
        "docstrings": Kind(
            "tree",
            "Docstrings and documentation as prose: `stdlib`, `installed` or a folder.",
            {"generated": False, **_CAPS},
            _TREE_GROUPS,
            {"installed": _PACKAGES, "stdlib": _PACKAGES},
            fields=False,
        ),
        "metadata": Kind(
            "installed", "Descriptions of packages: `installed`.", _CAPS, words={"installed": _PACKAGES}, fields=False
        ),
        "pydoc": Kind(
            "installed",
            "The topics of Python's own help: `topics`.",
            _CAPS,
            words={"topics": ("document", "topic")},
            fields=False,
        ),
        "archives": Kind(
            "files",
            "Source files in archives: zip, wheel, tar (plain, .gz, .bz2, .xz, .zst).",
            _CODE | {"cap_file": None},
            ("document", "package"),
        ),
        "git": Kind(
            "repositories",
            "Source files of git repositories at a revision, working or bare; git itself is never run.",
            _CODE | {"revision": "HEAD", "cap_file": None},
            ("document", "repository"),
        ),
        "commits": Kind(
            "repositories",
            "Commits of git repositories: message and diff; merges and bots are left out.",
            {
                "revision": "HEAD",
                "form": "diff",
                "max_files": 50,
                "max_file": 1_000_000,
                "max_diff": 100_000,
                "cap_file": None,
            },
            ("document", "repository"),
        ),
        "notebooks": Kind(
            "tree",
            "Jupyter notebooks of a tree, of archives (known by their endings: `.whl`, `.tar.gz`) or, with a "
            "`revision`, of git repositories; as scripts or as cells with their outputs.",
            {"form": "script", "max_output": 2000, "revision": None, **_CAPS},
            _TREE_GROUPS,
        ),
        "stackexchange": Kind(
            "files",
            "Threads of a StackExchange dump: `Posts.xml`, or the .7z or .zip that holds it.",
            {"site": None, "min_score": None, "min_answers": 1, "min_answer_score": None, "cap_file": None},
        ),
        "hub": Kind(
            "hub",
            "A dataset of the Hugging Face hub: `org/name`, a ready definition (`slimpajama-text`), or a folder in the "
            "hub's layout.",
            {
                "as": None,
                "languages": (),
                "revision": None,
                "config": None,
                "split": "train",
                "patterns": (),
                "take": None,
                "stream": False,
                "text": None,
                "id": None,
                "fields": None,
                "cap_file": None,
            },
        ),
        "filler": Kind(
            "nowhere",
            "Documents without content, as a placebo: `dyck` (balanced brackets) or `words` (random made-up words).",
            {"size": 1_000_000, "seed": 1},
            ("document",),
        ),
    }
)
"""Kinds by the key that a study names them with."""

CHOICES: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("commits", "form"): ("diff", "before-after"),
        ("notebooks", "form"): ("script", "structured"),
    }
)
"""What an option may say, by (kind, option)."""

FILLERS = ("dyck", "words")


ARCHIVES = (
    ".zip", ".whl", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst",
)  # fmt: skip
"""Names that archives have; a file's first bytes decide what it is."""

NOTEBOOK = ".ipynb"


def where_of(read: Mapping[str, Any]) -> Where:
    """What a source reads, by its configuration: that of notebooks says in which kind of reading they lie."""
    return KINDS[read.get("inside", read["kind"])].where


def in_archives(read: Mapping[str, Any]) -> bool:
    """Whether a source, by its configuration, reads files of archives."""
    return "archives" in (read["kind"], read.get("inside"))


def takers(option: str) -> list[str]:
    """Kinds that take an option."""
    return [name for name, kind in KINDS.items() if option in kind.options]
