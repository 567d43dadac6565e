"""Makes the labelled pages on which `code-out` is fitted and measured (tests/corpus/rules/labelled).

Guarantees: no randomness: the same inputs give the same file; what counts as code comes from a page's own marks, read
by parsers that share nothing with the rule (markdown-it for Markdown, html.parser for HTML, a small reader of
reStructuredText), or from the line numbers in `by_reading.json`, and a page whose text has changed since it was read is
an error. A document gives one page, a long manual several, and all its pages are in one half. No page is for the most
part a copy of another.
Does not: download anything. Inputs are the shared data sets, the standard library and packages that are installed
(Python's and the system's), so another machine's versions give other pages; the committed file is the set.

    python tools/make_labelled_pages.py --data DATA --share /usr/share --site SITE-PACKAGES
    python tools/make_labelled_pages.py ... --show 'docstring-stdlib'    # pages with line numbers, to be read
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import zstandard
from labelled_pages import attribution
from labelled_pages.base import FOLDER, Page, digest
from labelled_pages.by_marks import fenced, markdown_labels, only_fences, rest_labels, tagged
from labelled_pages.forms import html_in_markdown, indented_markdown, unmarked
from labelled_pages.inputs import Inputs
from labelled_pages.marked import chosen, html_pages, mixed_pages
from labelled_pages.prose import prose_pages
from labelled_pages.reading import by_reading, candidates

SALT = "235"
"""What is hashed before a document's name to choose its half: the first number that gives each kind 30% in each."""


def build(inputs: Inputs) -> list[Page]:
    """All pages, made and read."""
    pages: list[Page] = []
    used: set[str] = set()

    def take(*arguments: Any, **options: Any) -> None:
        options["used"] = used
        pages.extend(chosen(*arguments, **options))

    docs = "code_adjacent/technical_docs"
    rfcs, eips, peps = (inputs.shared(docs, name) for name in ("rust-rfcs", "ethereum-eips", "python-peps"))
    # In some guides the shared file lost the tags of examples in HTML: what is left is no code any more.
    gov = [
        one for one in inputs.shared("text/gov_web") if not re.search("opensource.guide|accessib", one.source + one.id)
    ]
    node = inputs.files("doc/nodejs", "contributing/**/*.md", "nodejs 20 documentation", "MIT")
    node += inputs.files("doc/nodejs", "*.md", "nodejs 20 documentation", "MIT")
    api = inputs.files("doc/nodejs", "api/*.md", "nodejs 20 documentation", "MIT")
    cmake = inputs.files("cmake-3.25/Help", "**/*.rst", "cmake 3.25 manual", "BSD-3-Clause")
    aws = inputs.aws()
    markdown, rest = inputs.readmes("markdown"), inputs.readmes("rst")
    strings = {
        name: inputs.docstrings(name, license)
        for name, license in {"networkx": "BSD-3-Clause", "scipy": "BSD-3-Clause", "scikit-learn": "BSD-3-Clause",
                              "pandas": "BSD-3-Clause", "sympy": "BSD-3-Clause", "rich": "MIT", "attrs": "MIT",
                              "more-itertools": "MIT", "statsmodels": "BSD-3-Clause", "transformers": "Apache-2.0",
                              "numpy": "BSD-3-Clause"}.items()
    }  # fmt: skip

    # Pages read line by line come first: they have the first choice of documents.
    pages += by_reading(inputs, used)

    # Markdown.
    take(gov, "markdown-fence", 10, only_fences)
    for group, count in ((rfcs, 22), (eips, 14), (node, 8), (api, 8), (markdown, 18)):
        take(group, "markdown-fence", count, markdown_labels)
    for group, count in ((rfcs, 8), (eips, 6), (api, 6), (markdown, 8)):
        take(group, "markdown-indented", count, markdown_labels, form=indented_markdown, wanted=tagged)
    for group, count in ((rfcs, 7), (eips, 5), (node, 4), (markdown, 6)):
        take(group, "markdown-html", count, markdown_labels, form=html_in_markdown, wanted=fenced)
    # reStructuredText and docstrings.
    for group, count in ((peps, 22), (cmake, 12), (aws, 8), (rest, 22)):
        take(group, "rest", count, rest_labels)
    for name, count in {"networkx": 6, "scipy": 8, "scikit-learn": 5, "pandas": 6, "sympy": 6, "more-itertools": 2,
                        "statsmodels": 4, "attrs": 1, "numpy": 6}.items():  # fmt: skip
        take(strings[name], "docstring", count, rest_labels)
    # HTML.
    pages += html_pages(inputs, used)
    # The same kinds of pages without any mark.
    for form in ("indented", "flush", "dense"):

        def plain(text: str, labels: str, form: str = form) -> tuple[str, str]:
            return unmarked(text, labels, form)

        take(gov, f"plain-{form}", 2, only_fences, form=plain, wanted=tagged)
        for group, count in ((rfcs, 9), (eips, 7), (api, 7), (markdown, 4)):
            take(group, f"plain-{form}", count, markdown_labels, form=plain, wanted=tagged)
        for group, count in ((peps, 10), (cmake, 6), (rest, 3)):
            take(group, f"plain-{form}", count, rest_labels, form=plain)
    pages += mixed_pages(inputs, used)
    # Tutorials at the command line.
    shell = re.compile(r"(?m)^```\s*(?:bash|sh|shell|console|shell-session|zsh|powershell)\b")
    take(gov, "shell", 4, only_fences, wanted=lambda text, labels: bool(shell.search(text)))
    for group, count in ((rfcs, 3), (eips, 2), (node, 7), (api, 4), (markdown, 8)):
        take(group, "shell", count, markdown_labels, wanted=lambda text, labels: bool(shell.search(text)))
    take(aws, "shell", 8, rest_labels)
    for form in ("indented", "flush"):

        def bare(text: str, labels: str, form: str = form) -> tuple[str, str]:
            return unmarked(text, labels, form)

        take(aws, "shell-plain", 10, rest_labels, form=bare)
        for group, count in ((node, 4), (markdown, 4)):
            take(
                group,
                "shell-plain",
                count,
                markdown_labels,
                form=bare,
                wanted=lambda text, labels: bool(shell.search(text)),
            )
    pages += prose_pages(inputs, used)
    return without_copies(sorted(pages, key=lambda one: one.id))


def without_copies(pages: list[Page]) -> list[Page]:
    """The pages, less those more than half of which is in one before, by the characters of lines of 30 or more."""
    kept: list[Page] = []
    holding: dict[str, list[int]] = {}
    for page in pages:
        lines = {line.strip() for line in page.text.split("\n") if len(line.strip()) >= 30}
        shared: Counter[int] = Counter()
        for line in lines:
            for other in holding.get(line, ()):
                shared[other] += len(line)
        if shared and 2 * max(shared.values()) > len(page.text):
            continue
        for line in lines:
            holding.setdefault(line, []).append(len(kept))
        kept.append(page)
    return kept


def half(id: str) -> str:
    """Which half of the set a page belongs to, by the hash of its document: all pages of one are in the same half."""
    document = id.partition("/")[2].partition("#")[0]
    return "fit" if hashlib.sha256(f"{SALT}/{document}".encode()).digest()[0] % 2 == 0 else "test"


def main() -> None:
    """Write the set, or show the pages to be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared data sets")
    parser.add_argument("--share", type=Path, required=True, help="the system's shared files")
    parser.add_argument("--site", type=Path, required=True, help="a site-packages folder with awscli and numpy")
    parser.add_argument("--show", help="print the pages to be read whose id has this in it")
    options = parser.parse_args()
    inputs = Inputs(options.data, options.share, options.site)
    if options.show is not None:
        for document, kind, text in candidates(inputs):
            if options.show in f"{kind}/{document.id}":
                print(f"\n===== {kind}/{document.id} {digest(text)[:12]}")
                print("\n".join(f"{number:3d}|{line}" for number, line in enumerate(text.split("\n"), 1)))
        return
    pages = build(inputs)
    halves = [half(one.id) for one in pages]
    rows = "".join(
        json.dumps(vars(one) | {"half": which}, ensure_ascii=False) + "\n"
        for one, which in zip(pages, halves, strict=True)
    )
    packed = zstandard.ZstdCompressor(level=19).compress(rows.encode())
    (FOLDER / "pages.jsonl.zst").write_bytes(packed)
    attribution.write(pages, halves)
    print(f"{len(pages)} pages, {len(rows.encode()):,} bytes, {len(packed):,} compressed")


if __name__ == "__main__":
    main()
