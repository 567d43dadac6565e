"""Pages that were read line by line; `by_reading.json` says which lines are code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from labelled_pages.base import BLANK, CODE, EITHER, FOLDER, MARK, PROSE, Document, Page, digest, page, windows
from labelled_pages.inputs import Inputs


def reading_groups(inputs: Inputs) -> dict[str, tuple[list[Document], int, Callable[[str], bool]]]:
    """Where marks are missing or not to be trusted: documents, how many of them, and which."""
    unmarked = re.compile(r"\n\n {2,}\S[^\n]*(?:\w\(|[=;{}]|^\s*\$)", re.M)

    def some(text: str) -> bool:
        return bool(unmarked.search(text)) and ">>>" not in text and "::\n" not in text and "```" not in text

    texts = inputs.stdlib_text("idlelib/README.txt") + inputs.stdlib_text("idlelib/*.txt")[-2:]
    texts += inputs.files("doc/zlib1g-dev", "*.txt.gz", "zlib 1.2.13", "Zlib")
    manuals = [
        *inputs.files("doc/libjpeg62-turbo-dev", "libjpeg.txt.gz", "libjpeg-turbo 2.1 documentation", "IJG"),
        *inputs.files("doc/libjpeg62-turbo-dev", "usage.txt.gz", "libjpeg-turbo 2.1 documentation", "IJG"),
        *inputs.files("doc/libpng16-16", "*.txt.gz", "libpng 1.6 manual", "Libpng"),
        *inputs.files("doc/fontconfig", "*.txt.gz", "fontconfig 2.14 manual", "HPND-sell-variant"),
        *inputs.files("doc/xtrans-dev", "*.txt.gz", "xtrans 1.4 documentation", "MIT"),
    ]
    parts = [
        replace(one, id=f"{one.id}#{number}", text=text)
        for one in manuals
        for number, text in enumerate(pieces(one.text))
    ]
    packages = {"transformers": "Apache-2.0", "networkx": "BSD-3-Clause", "sympy": "BSD-3-Clause",
                "numpy": "BSD-3-Clause", "rich": "MIT", "aiohttp": "Apache-2.0",
                "requests": "Apache-2.0", "httpcore2": "BSD-3-Clause", "pytest": "MIT",
                "pyarrow": "Apache-2.0", "psutil": "BSD-3-Clause"}  # fmt: skip
    strings = [one for name, license in packages.items() for one in inputs.docstrings(name, license)]
    web = [
        one for one in inputs.shared("text/gov_web") if "opensource.guide" not in one.source and "```" not in one.text
    ]

    def page_of_code(text: str) -> bool:
        return bool(re.search(r"(?m)^ {2,}\S.*[;{}]\s*$|^\s+<\w+.*>|^ +\w+\(|^\s+\$ ", text))

    def commands(text: str) -> bool:
        return bool(re.search(r"(?m)^ {4}\S.*[;{}=]|^\s*\$ \w|</\w+>|^(?:git|npm|cf) ", text))

    return {
        "read-docstring": (inputs.stdlib(), 24, some),
        "read-topic": (inputs.topics(), 18, lambda text: "\n   " in text),
        "read-text": (texts, 5, lambda text: True),
        "read-manual": (parts, 20, page_of_code),
        "read-web": (web, 8, commands),
        "read-package": (strings, 10, some),
    }


def pieces(text: str, size: int = 9_000) -> list[str]:
    """A long plain text in parts, cut at blank lines, the first (contents) left out."""
    parts, start = [], 0
    for found in re.finditer(r"\n\n+(?=\S)", text):
        if found.end() - start >= size:
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]][1:]


def candidates(inputs: Inputs) -> Iterator[tuple[Document, str, str]]:
    """The pages to be read: document, kind, text."""
    for kind, (documents, count, wanted) in reading_groups(inputs).items():
        for document in sorted(documents, key=lambda one: digest(f"{kind}/{one.id}")):
            if count == 0:
                break
            text = windows(document, partial(_joined, wanted), 700, 2600)
            if text is not None:
                yield document, kind, text
                count -= 1


def _joined(wanted: Callable[[str], bool], lines: list[str]) -> bool:
    return wanted("\n".join(lines))


def by_reading(inputs: Inputs, used: set[str]) -> Iterator[Page]:
    """Pages whose code lines are listed in `by_reading.json`: `{id: {"sha": …, "code": "3-9 12", "either": "1"}}`."""
    known = json.loads((FOLDER / "by_reading.json").read_text())
    for document, kind, text in candidates(inputs):
        entry = known.get(f"{kind}/{document.id}")
        if entry is None:
            continue
        if entry["sha"] != digest(text)[:12]:
            raise ValueError(f"{document.id}: its text is not the one that was read")
        labels = [PROSE if line.strip() else BLANK for line in text.split("\n")]
        for key, label in (("code", CODE), ("either", EITHER), ("mark", MARK)):
            for span in entry.get(key, "").split():
                first, _, last = span.partition("-")
                for at in range(int(first), int(last or first) + 1):
                    labels[at - 1] = label
        used.add(document.id)
        yield page(document, kind, "reading", text, "".join(labels))
