"""Licences: what texts, headers and names say, and which documents a policy keeps."""

from __future__ import annotations

import importlib.metadata
import re
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.licences import (
    PERMISSIVE,
    LicencePolicy,
    Policy,
    detect,
    header,
    is_licence_name,
    normalise,
)
from pretrial.corpus.licences.expression import decide, parse, render
from pretrial.corpus.licences.names import BLUE_OAK, KNOWN
from pretrial.corpus.licences.signatures import FAMILIES, RESTRICTIONS
from pretrial.corpus.licences.texts import READ, plain
from pretrial.errors import RequestError

# Shortened: the sentences that licences are known by, not the licences.
GRANT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated "
    'documentation files (the "Software"), to deal in the Software without restriction, including without limitation '
    "the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software"
)
MIT = (
    f"The MIT License (MIT)\n\nCopyright (c) 2020 A. Person\n\n{GRANT}, and to permit persons to whom the Software is "
    "furnished to do so, subject to the following conditions:\n\nThe above copyright notice and this permission notice "
    "shall be included in all copies or substantial portions of the Software."
)
MIT_0 = f"Copyright A. Person\n\n{GRANT}, and to permit persons to whom the Software is furnished to do so."
FORMS = (
    "Copyright (c) 1998, The Regents. All rights reserved.\n\nRedistribution and use in source and binary forms, with "
    "or without modification, are permitted provided that the following conditions are met:\n\n"
)
RETAIN = "1. Redistributions of source code must retain the above copyright notice.\n"
REPRODUCE = "2. Redistributions in binary form must reproduce the above copyright notice.\n"
NAMES = "3. Neither the name of X nor its contributors may be used to endorse or promote products derived from this.\n"
ADVERTISE = "3. All advertising materials mentioning features or use of this software must display a line.\n"
BSD_1 = FORMS + RETAIN
BSD_2 = BSD_1 + REPRODUCE
BSD_3 = BSD_2 + NAMES
BSD_4 = BSD_2 + ADVERTISE + NAMES
ANY_PURPOSE = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is "
ISC = ANY_PURPOSE + "hereby granted, provided that the above copyright notice appear in all copies."
ZLIB = (
    "This software is provided 'as-is', without any express or implied warranty. In no event will the authors be held "
    "liable. Altered source versions must be plainly marked as such."
)
APACHE = "Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/\n\nTERMS AND CONDITIONS"
NOTICE = (
    "This program is free software: you can redistribute it and/or modify it under the terms of the GNU {kind}General "
    "Public License as published by the Free Software Foundation, {versions}."
)
LATER = "either version 3 of the License, or (at your option) any later version"
GPL_3 = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n\nCopyright (C) 2007 Free Software Foundation"
EXAMPLE = f"How to Apply These Terms to Your New Programs\n\n{NOTICE.format(kind='', versions=LATER)}"

TEXTS = {
    "mit": (MIT, "MIT"),
    "mit without a condition": (MIT_0, "MIT-0"),
    "json": (MIT + " The Software shall be used for Good, not Evil.", "JSON"),
    "x11": (MIT + " Except as contained in this notice, the name of the X Consortium shall not be used.", "X11"),
    "boost": (
        "Permission is hereby granted, free of charge, to any person or organization obtaining a copy of the software "
        "and accompanying documentation covered by this license (the Software)",
        "BSL-1.0",
    ),
    "ncsa": (f"{GRANT}, if\n{RETAIN}{REPRODUCE}* Neither the names of X, nor", "NCSA"),
    "bsd 1": (BSD_1, "BSD-1-Clause"),
    "bsd 2": (BSD_2, "BSD-2-Clause"),
    "bsd 2 with views": (BSD_2 + "should not be interpreted as representing official policies", "BSD-2-Clause-Views"),
    "bsd 3": (BSD_3, "BSD-3-Clause"),
    "bsd 4": (BSD_4, "BSD-4-Clause"),
    "sleepycat": (
        BSD_2
        + "3. Redistributions in any form must be accompanied by information on how to obtain complete source code",
        "Sleepycat",
    ),
    "isc": (ISC, "ISC"),
    "0bsd": (ANY_PURPOSE + "hereby granted.", "0BSD"),
    "zlib": (ZLIB, "Zlib"),
    "apache": (APACHE, "Apache-2.0"),
    "apache notice": ('Licensed under the Apache License, Version 2.0 (the "License"); you may not', "Apache-2.0"),
    "apache with llvm's exception": (
        f"{APACHE}\n---- LLVM Exceptions to the Apache 2.0 License ----",
        "Apache-2.0 WITH LLVM-exception",
    ),
    "unlicense": ("This is free and unencumbered software released into the public domain.", "Unlicense"),
    "cc0": ("Creative Commons Legal Code\n\nCC0 1.0 Universal", "CC0-1.0"),
    "mpl": ("Mozilla Public License Version 2.0\n==================================\n\n1. Definitions", "MPL-2.0"),
    "mpl notice": ("subject to the terms of the Mozilla Public License, v. 2.0. If a copy", "MPL-2.0"),
    "gpl text alone leaves versions open": (GPL_3, "GPL-3.0"),
    "gpl text with its own example of a notice": (f"{GPL_3}\n\n{EXAMPLE}", "GPL-3.0"),
    "gpl text with a notice": (f"{NOTICE.format(kind='', versions=LATER)}\n\n{GPL_3}", "GPL-3.0-or-later"),
    "gpl 2 text": ("GNU GENERAL PUBLIC LICENSE\nVersion 2, June 1991", "GPL-2.0"),
    "gpl notice, one version": (NOTICE.format(kind="", versions="version 2 of the License"), "GPL-2.0-only"),
    "gpl notice, only": (NOTICE.format(kind="", versions="only version 2 of the License"), "GPL-2.0-only"),
    "gpl notice, version first": ("under the terms of version 2 of the GNU General Public License", "GPL-2.0-only"),
    "lgpl notice": (
        NOTICE.format(kind="Lesser ", versions="either version 2.1 of the License, or (at your option) any later"),
        "LGPL-2.1-or-later",
    ),
    "lgpl text": ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999", "LGPL-2.1"),
    "lgpl 3 comes with gpl 3": (f"GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n{GPL_3}", "LGPL-3.0"),
    "agpl": ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007", "AGPL-3.0"),
    "epl 1": ("THE ACCOMPANYING PROGRAM IS PROVIDED UNDER THE TERMS OF THIS ECLIPSE PUBLIC LICENSE", "EPL-1.0"),
    "epl 2": (
        "The accompanying program is provided under the terms of this Eclipse Public License. A Secondary License is",
        "EPL-2.0",
    ),
    "cddl": ("COMMON DEVELOPMENT AND DISTRIBUTION LICENSE (CDDL) Version 1.0", "CDDL-1.0"),
    "ms-pl": ("Microsoft Public License (Ms-PL)\n\nThis license governs use", "MS-PL"),
    "artistic 2": (
        "This license establishes the terms under which a given free software Package may be copied, modified",
        "Artistic-2.0",
    ),
    "wtfpl": ("DO WHAT THE FUCK YOU WANT TO PUBLIC LICENSE", "WTFPL"),
    "mulan": ("Mulan Permissive Software License，Version 2 (Mulan PSL v2)", "MulanPSL-2.0"),
    "blue oak": (
        "# Blue Oak Model License\n\nVersion 1.0.0\n\nThis license gives everyone as much permission to work with\n"
        "this software as possible, while protecting contributors",
        "BlueOak-1.0.0",
    ),
    "ofl": ("SIL OPEN FONT LICENSE Version 1.1 - 26 February 2007", "OFL-1.1"),
    "psf": ('This LICENSE AGREEMENT is between the Python Software Foundation ("PSF")', "PSF-2.0"),
    "python has psf's": (
        "1. This LICENSE AGREEMENT is between the Python Software Foundation\nBEOPEN.COM LICENSE AGREEMENT FOR PYTHON "
        "2.0\n1. This LICENSE AGREEMENT is between the Corporation for National Research Initiatives",
        "Python-2.0",
    ),
    "postgres": (
        "Permission to use, copy, modify, and distribute this software and its documentation for any purpose, without "
        "fee, and without a written agreement is hereby granted",
        "PostgreSQL",
    ),
    "upl": ("The Universal Permissive License (UPL), Version 1.0", "UPL-1.0"),
    "cc by": ("Creative Commons Attribution 4.0 International Public License", "CC-BY-4.0"),
    "cc by-sa": ("Attribution-ShareAlike 3.0 Unported\nCREATIVE COMMONS", "CC-BY-SA-3.0"),
    "cc by-nc-nd": ("Attribution-NonCommercial-NoDerivatives 4.0 International", "CC-BY-NC-ND-4.0"),
    "cc by link": ("See [the terms](https://creativecommons.org/licenses/by-nc-sa/4.0/).", "CC-BY-NC-SA-4.0"),
    "business source": ("Business Source License 1.1\n\nChange License: Apache License, Version 2.0", "BUSL-1.1"),
    "several, in order": (f"{BSD_3}\n-----\n{MIT}\n-----\n{BSD_2}", "BSD-3-Clause AND MIT AND BSD-2-Clause"),
    "the same twice": (f"{MIT}\n\n{MIT}", "MIT"),
    "commons clause": (
        f'"Commons Clause" License Condition v1.0\n\n{APACHE}',
        "LicenseRef-Commons-Clause AND Apache-2.0",
    ),
    "a restriction beside mit": (f"{MIT}\nFor research purposes only.", "MIT AND LicenseRef-restricted"),
    "tri-licence": (
        "***** BEGIN LICENSE BLOCK *****\nVersion: MPL 1.1/GPL 2.0/LGPL 2.1",
        "MPL-1.1 OR GPL-2.0-or-later OR LGPL-2.1-or-later",
    ),
    "spdx line": ("# SPDX-License-Identifier: MIT OR Apache-2.0\n", "MIT OR Apache-2.0"),
    "bare name": ("MIT License\n\nCopyright (c) 2020 A. Person", "MIT"),
    "pointer": ("This project is released under the MIT license.", "MIT"),
    "pointer with a choice": (
        "Licensed under either of Apache License, Version 2.0 or MIT license, at your option.",
        "Apache-2.0 OR MIT",
    ),
    "pointer to files": (
        "made available under the terms of *either* LICENSE.APACHE2 or LICENSE.MIT.",
        "Apache-2.0 OR MIT",
    ),
    "public domain": ("This software is in the public domain.", "LicenseRef-scancode-public-domain"),
    "a pointer for a part is none": ("All rights reserved. Portions of it are under the MIT license.", None),
    "proprietary": ("Copyright 2020 Corp. All rights reserved. You may not copy this file.", None),
    "unknown bsd relative": (BSD_2 + '3. Products derived may not be called "X".' + NAMES, None),
    "prose about licences": ("We compared the licences of a thousand projects; most were permissive.", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS.keys())
def test_what_a_text_holds(text: str, expected: str | None) -> None:
    assert detect(text) == expected


@pytest.mark.parametrize("name", ["mit", "bsd 3", "isc", "zlib", "gpl text with a notice", "several, in order"])
@pytest.mark.parametrize(
    "dress",
    [
        lambda text: textwrap.fill(text, 31),
        lambda text: "\n".join(f" * {line}" for line in textwrap.wrap(text, 60)),
        lambda text: "\n".join(f"> **{line}**  " for line in text.splitlines()),
        lambda text: f"<html><body><p>{text.replace(chr(10), '<br/>')}</p></body></html>".replace('"', "&quot;"),
        lambda text: text.upper().replace(" ", "\u00a0 "),
        lambda text: text.replace('"', "“").replace("'", "’").replace("\n", "\r\n"),
    ],
    ids=["wrapped", "comment", "quoted markdown", "html", "capitals", "typographic"],
)
def test_dress_makes_no_difference(name: str, dress: object) -> None:
    text, expected = TEXTS[name]
    assert detect(dress(text)) == expected  # type: ignore[operator]


def test_only_the_first_quarter_megabyte_is_looked_at() -> None:
    assert detect("x " * (READ // 2 - len(ISC)) + ISC) == "ISC"
    assert detect("x " * (READ // 2) + ISC) is None


@pytest.mark.parametrize(
    "hostile",
    [
        "<a" * (1 << 20),
        "<a " + "x" * (1 << 21),
        "&#" + "9" * (1 << 20),
        "\n" * (1 << 20),
        "gnu general public license " * 60_000,
        "under the terms of version 2 " * 60_000,
        "how to apply these terms to your new gnu gpl version 2 " * 30_000,
        "creative commons attribution share alike " * 40_000,
        "redistribution and use in source and binary forms " * 30_000,
        "permission is hereby granted free of charge to any person obtaining " * 20_000,
        "(" * (1 << 20),
        "SPDX-License-Identifier: " + "(" * (1 << 20),
    ],
    ids=lambda text: repr(text[:24]),
)
def test_hostile_text_is_read_in_time(hostile: str) -> None:
    start = time.process_time()
    detect(hostile)
    header(hostile)
    normalise(hostile)
    # Quadratic work on a quarter of a megabyte takes minutes.
    assert time.process_time() - start < 2


@given(st.text(max_size=300))
def test_no_text_stops_detection(text: str) -> None:
    found = detect(text)
    assert found is None or parse(found) is not None


def test_anchors_and_restrictions_are_in_the_normal_form() -> None:
    phrases = [phrase for family in FAMILIES for phrase in family.anchors] + list(RESTRICTIONS)
    phrases += [p for family in FAMILIES for variant in family.variants for p in (*variant.has, *variant.lacks)]
    assert [phrase for phrase in phrases if plain(phrase) != phrase] == []


def test_every_licence_that_texts_name_is_known() -> None:
    named = {variant.id for family in FAMILIES for variant in family.variants}
    leaves = {leaf for id in named for leaf in (parse(id) or ()) if leaf not in ("AND", "OR")}
    assert leaves - KNOWN == {"LicenseRef-Commons-Clause"}


# Real files.

COMMON = Path("/usr/share/common-licenses")
DEBIAN = {
    "Apache-2.0": "Apache-2.0",
    "Artistic": "Artistic-1.0-Perl",
    "BSD": "BSD-3-Clause",
    "CC0-1.0": "CC0-1.0",
    "GFDL-1.2": "GFDL-1.2",
    "GFDL-1.3": "GFDL-1.3",
    "GPL-1": "GPL-1.0",
    "GPL-2": "GPL-2.0",
    "GPL-3": "GPL-3.0",
    "LGPL-2": "LGPL-2.0",
    "LGPL-2.1": "LGPL-2.1",
    "LGPL-3": "LGPL-3.0",
    "MPL-1.1": "MPL-1.1",
    "MPL-2.0": "MPL-2.0",
}


@pytest.mark.parametrize(("name", "expected"), DEBIAN.items())
def test_the_texts_that_debian_keeps(name: str, expected: str) -> None:
    if not (COMMON / name).is_file():
        pytest.skip(f"no {name} in {COMMON}")
    assert detect((COMMON / name).read_text(encoding="utf-8", errors="replace")) == expected


def _installed() -> list[tuple[str, str, str | None]]:
    """Name, what the metadata says, what the licence file says, of distributions with one of each."""
    rows = []
    for distribution in importlib.metadata.distributions():
        stated = distribution.metadata.get("License-Expression")
        files = [
            file
            for file in distribution.files or []
            if re.search(r"\.dist-info/(?:licenses/)?[^/]+$", file.as_posix()) and is_licence_name(file.as_posix())
        ]
        if stated and len(files) == 1 and Path(str(files[0].locate())).is_file():
            text = Path(str(files[0].locate())).read_text(encoding="utf-8", errors="replace")
            rows.append((str(distribution.metadata["Name"]), stated, detect(text)))
    return rows


def test_licence_files_of_installed_distributions_agree_with_their_metadata() -> None:
    rows = _installed()
    if len(rows) < 20:
        pytest.skip("fewer than 20 installed distributions state an expression and have one licence file")
    # Those that differ state licences of code they carry (or leave them out), not another licence of their own.
    agreed = [row for row in rows if row[2] and re.sub("-(?:only|or-later)", "", row[2]) == normalise(row[1])]
    assert len(agreed) / len(rows) >= 0.75, [row for row in rows if row not in agreed]
    assert [name for name, _, found in rows if found is None] == []


# Headers.

HEADERS = {
    "python": ("# SPDX-License-Identifier: MIT\nimport os\n", "MIT"),
    "c": ("/* SPDX-License-Identifier: GPL-2.0-only */\n", "GPL-2.0-only"),
    "linux": (
        "/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */",
        "GPL-2.0 WITH Linux-syscall-note OR MIT",
    ),
    "html": ("<!-- SPDX-License-Identifier: Apache-2.0 -->", "Apache-2.0"),
    "or later, old form": ("// SPDX-License-Identifier: GPL-2.0+\n", "GPL-2.0-or-later"),
    "case": ("# SPDX-License-Identifier: apache-2.0 or mit", "Apache-2.0 OR MIT"),
    "words after it": ("# SPDX-License-Identifier: MIT see LICENSE for more", "MIT"),
    "two parts": ("# SPDX-License-Identifier: MIT\n# SPDX-License-Identifier: ISC\n", "MIT AND ISC"),
    "unknown identifier": ("# SPDX-License-Identifier: LicenseRef-Mine", "LicenseRef-Mine"),
    "no assertion": ("# SPDX-License-Identifier: NOASSERTION", None),
    "a template": ("# SPDX-License-Identifier: {{ licence }}", None),
    "none": ("# MIT\nimport os\n", None),
}


@pytest.mark.parametrize(("text", "expected"), HEADERS.values(), ids=HEADERS.keys())
def test_header(text: str, expected: str | None) -> None:
    assert header(text) == expected


def test_header_must_stand_in_the_first_four_kilobytes() -> None:
    line = "SPDX-License-Identifier: MIT"
    assert header(" " * (4096 - len(line)) + line) == "MIT"
    assert header(" " * 4096 + line) is None


# Names of files.


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *((name, True) for name in ("LICENSE", "LICENCE.md", "a/license.txt", "LICENSE-MIT", "LICENSE.APACHE")),
        *((name, True) for name in ("COPYING", "COPYING.LESSER", "COPYING3", "COPYING.LIB", "UNLICENSE", "COPYRIGHT")),
        *(
            (name, True)
            for name in ("MIT-LICENSE", "MIT-LICENSE.txt", "GPL-3.0.txt", "LICENSES/CC0-1.0.txt", "LICENSE2")
        ),
        *(
            (name, False)
            for name in ("license.py", "licenses.json", "NOTICE", "PATENTS", "third_party.txt", "README.md")
        ),
        *((name, False) for name in ("src/licensing.rs", "docs/CC0-1.0.txt", "copying.go", "gplot.txt", "LICENSE.png")),
    ],
)
def test_is_licence_name(path: str, expected: bool) -> None:
    assert is_licence_name(path) is expected


# Names of licences.

SPELLINGS = {
    "MIT": ("MIT", "mit", "MIT License", "The MIT License (MIT)", "Expat", "MIT/X11", "OSI Approved :: MIT License"),
    "Apache-2.0": (
        *("apache-2.0", "Apache 2.0", "Apache License 2.0", "Apache License, Version 2.0", "Apache Software License"),
        *("Apache2", "ASL 2.0", "License :: OSI Approved :: Apache Software License", "Apache-2"),
    ),
    "BSD-3-Clause": (
        "bsd-3-clause",
        "3-Clause BSD License",
        "BSD 3-Clause",
        "New BSD",
        'BSD 3-Clause "New" or "Revised"',
    ),
    "BSD-2-Clause": ("BSD-2-Clause", "Simplified BSD", "BSD 2-Clause License"),
    "LicenseRef-BSD": ("BSD", "BSD License", "bsd"),
    "ISC": ("isc", "ISC License (ISCL)"),
    "0BSD": ("0BSD", "Zero-Clause BSD (0BSD)"),
    "MPL-2.0": ("Mozilla Public License 2.0 (MPL 2.0)", "MPL 2.0", "mpl-2.0", "MPLv2.0"),
    "PSF-2.0": ("Python Software Foundation License", "PSFL", "PSF"),
    "Unlicense": ("The Unlicense (Unlicense)", "unlicense"),
    "CC0-1.0": ("CC0", "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "cc0-1.0"),
    "CC-BY-SA-4.0": ("CC BY-SA 4.0", "cc-by-sa-4.0", "Creative Commons Attribution Share Alike 4.0 International"),
    "CC-BY-4.0": ("CC-BY 4.0", "Creative Commons Attribution 4.0"),
    "GPL-1.0-or-later": ("GPL", "GNU General Public License (GPL)"),
    "GPL-3.0": ("GPLv3", "GPL-3.0", "GNU General Public License v3 (GPLv3)", "gpl-3.0", "GNU GPL 3"),
    "GPL-3.0-or-later": (
        *("GPLv3+", "GPL-3.0+", "GPL (>= 3)", "GPL v3 or later", "gpl-3.0-or-later"),
        "GNU General Public License v3 or later (GPLv3+)",
    ),
    "GPL-2.0-only": ("GPL-2.0-only", "GPL version 2 only"),
    "LGPL-2.1-or-later": ("LGPLv2.1+", "GNU Lesser General Public License v2.1 or later"),
    "LGPL-3.0": ("GNU Lesser General Public License v3 (LGPLv3)", "lgpl-3.0"),
    "AGPL-3.0": ("GNU Affero General Public License v3", "agpl-3.0", "AGPLv3"),
    "MIT OR Apache-2.0": ("MIT OR Apache-2.0", "MIT/Apache-2.0", "MIT or Apache 2.0", "(mit OR apache-2.0)"),
    "MIT AND ISC": (
        '["mit", "isc"]',
        "['MIT', 'ISC']",
        "MIT, ISC",
        "MIT and ISC",
        "MIT & ISC",
        "MIT AND ISC",
        "MIT;ISC",
    ),
    "MIT AND PSF-2.0": ("MIT License AND Python Software Foundation License",),
    "MIT AND (Apache-2.0 OR GPL-2.0)": ("MIT AND (Apache-2.0 OR GPL-2.0)", '["mit", "apache-2.0 OR gpl-2.0"]'),
    "Apache-2.0 WITH LLVM-exception": ("apache-2.0 WITH LLVM-exception",),
    "MIT AND LicenseRef-x": ("MIT AND LicenseRef-x",),
    "": ("", "  ", "UNKNOWN", "unknown", "NOASSERTION", "none", "[]", '["unknown"]'),
}


@pytest.mark.parametrize(("name", "expected"), [(name, to) for to, names in SPELLINGS.items() for name in names])
def test_normalise(name: str, expected: str) -> None:
    assert normalise(name) == expected


@pytest.mark.parametrize(
    "name", ["see LICENSE file", "Custom", "other", "UNLICENSED", "MIT-like, but mine", "Dual License"]
)
def test_names_that_are_not_known_stay(name: str) -> None:
    assert normalise(name) == name


@given(st.text(max_size=60) | st.sampled_from(sorted(KNOWN)) | st.lists(st.sampled_from(sorted(KNOWN))).map(" / ".join))
def test_normalising_twice_changes_nothing(name: str) -> None:
    assert normalise(normalise(name)) == normalise(name)


@given(st.sampled_from(sorted(KNOWN)), st.sampled_from([str.lower, str.upper, str]))
def test_identifiers_are_known_in_any_case(id: str, case: type[str]) -> None:
    assert normalise(case(id)) == id


# Expressions.

EXPRESSIONS = st.recursive(
    st.sampled_from(["MIT", "ISC", "GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0"]),
    lambda parts: st.tuples(parts, st.sampled_from(["AND", "OR"]), parts).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
    max_leaves=12,
)


@given(EXPRESSIONS, st.sets(st.sampled_from(["MIT", "ISC", "GPL-2.0-only"])))
def test_an_expression_is_decided_as_python_would(text: str, allowed: set[str]) -> None:
    postfix = parse(text)
    assert postfix is not None
    python = re.sub(
        r"[A-Z][\w.-]+(?: WITH [\w.-]+)?", lambda m: m[0] if m[0] in ("AND", "OR") else f"({m[0]!r} in S)", text
    )
    expected = eval(python.replace("AND", "and").replace("OR", "or"), {"S": allowed})
    assert decide(postfix, allowed.__contains__) is expected
    again = parse(render(postfix))
    assert again is not None
    assert decide(again, allowed.__contains__) is expected
    assert render(again) == render(postfix)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "()",
        "MIT ISC",
        "(MIT",
        "MIT)",
        "MIT AND",
        "AND MIT",
        "MIT WITH",
        "MIT WITH (x)",
        "MIT (ISC)",
        "MIT, ISC",
        "MIT!",
    ],
)
def test_what_is_no_expression(text: str) -> None:
    assert parse(text) is None


# Policies.


def test_permissive_is_the_blue_oak_list_and_some() -> None:
    assert len(BLUE_OAK) == 224
    assert {
        "MIT",
        "Apache-2.0",
        "BSD-3-Clause",
        "ISC",
        "CC0-1.0",
        "Unlicense",
        "Artistic-2.0",
        "BlueOak-1.0.0",
    } <= BLUE_OAK
    assert {"CC-BY-4.0", "CC-BY-3.0"} <= PERMISSIVE
    copyleft = re.compile(r"A?L?GPL|MPL-|EPL-|CDDL|EUPL|OSL|SSPL|BUSL|CC-BY-(?:SA|NC|ND)|JSON|OFL|.*restricted")
    assert [id for id in PERMISSIVE if copyleft.match(id)] == []


ALLOWED = {
    "MIT": True,
    "mit": True,
    "BSD License": True,
    "GPL-3.0-only": False,
    "MPL-2.0": False,
    "LGPL-2.1-or-later": False,
    "MIT AND Apache-2.0": True,
    "MIT AND GPL-2.0": False,
    "MIT OR GPL-2.0": True,
    "GPL-2.0 OR GPL-3.0": False,
    "MIT AND (GPL-2.0 OR ISC)": True,
    "(MIT AND GPL-2.0) OR ISC": True,
    "MIT OR ISC AND GPL-2.0": True,
    "(MIT OR ISC) AND GPL-2.0": False,
    "Apache-2.0 WITH LLVM-exception": True,
    "GPL-2.0-only WITH Classpath-exception-2.0": False,
    "Apache-2.0 WITH Commons-Clause": False,
    "Apache-2.0+": True,
    "MIT AND LicenseRef-restricted": False,
    "MIT AND NOASSERTION": False,
    "MIT OR NOASSERTION": True,
    "other": False,
    "see LICENSE": False,
    "": False,
    "UNLICENSED": False,
}


@pytest.mark.parametrize(("expression", "expected"), ALLOWED.items())
def test_permissive(expression: str, expected: bool) -> None:
    assert Policy().allows(expression) is expected


def test_no_licence_stays_only_where_the_policy_says_so() -> None:
    for none in (None, "", "unknown", "NOASSERTION", "[]"):
        assert not Policy().allows(none)
        assert Policy(unknown=True).allows(none)
    assert Policy(unknown=True).allows("MIT AND NOASSERTION")
    assert not Policy(unknown=True).allows("other")
    assert not Policy(unknown=True).allows("GPL-2.0 AND NOASSERTION")


def test_a_list_of_its_own() -> None:
    policy = Policy(
        ("permissive", "MPL-2.0", "GPL-3.0", "LGPL-2.1-or-later", "GPL-2.0-only WITH Classpath-exception-2.0")
    )
    for allowed in ("MIT", "MPL-2.0", "GPL-3.0", "GPL-3.0-only", "GPL-3.0-or-later", "LGPL-2.1-or-later", "LGPL-2.1+"):
        assert policy.allows(allowed), allowed
    assert policy.allows("GPL-2.0-only WITH Classpath-exception-2.0")
    for refused in ("GPL-2.0-only", "LGPL-2.1-only", "MPL-1.1"):
        assert not policy.allows(refused), refused
    assert not Policy(("MPL-2.0",)).allows("MIT")
    assert Policy(("apache 2.0",)).allows("Apache-2.0")
    assert not Policy(()).allows("MIT")


@pytest.mark.parametrize("entry", ["permisive", "see LICENSE", "MIT OR ISC", ""])
def test_a_policy_refuses_what_is_no_identifier(entry: str) -> None:
    with pytest.raises(RequestError, match="SPDX"):
        Policy((entry,))
    with pytest.raises(RequestError, match="SPDX"):
        LicencePolicy((entry,))


@pytest.mark.parametrize(
    ("stated", "reason", "value"),
    [
        ("MIT", "", None),
        ("mit", "", None),
        (["mit", "apache-2.0"], "", None),
        (["MIT", "GPL-2.0"], "license", "MIT AND GPL-2.0"),
        ('["mit", "gpl-2.0"]', "license", "MIT AND GPL-2.0"),
        ("GPLv2+", "license", "GPL-2.0-or-later"),
        ("see LICENSE", "license", "see LICENSE"),
        (None, "no-license", ""),
        ("", "no-license", ""),
        ([], "no-license", ""),
        ([None], "no-license", ""),
        ("NOASSERTION", "no-license", ""),
    ],
)
def test_the_rule_says_why_a_document_goes(stated: object, reason: str, value: str | None) -> None:
    result = LicencePolicy()("text", {"license": stated})
    assert (result.text, result.reason, result.value) == ("text", reason, value)
    assert result.removed == {}


def test_the_rule_without_the_field() -> None:
    assert LicencePolicy()("text", {}).reason == "no-license"
    assert not LicencePolicy(unknown=True)("text", {}).dropped


def test_the_rule_is_its_fields() -> None:
    assert (LicencePolicy.name, LicencePolicy.version) == ("license", 1)
    assert LicencePolicy() == LicencePolicy(allow=("permissive",), unknown=False)
