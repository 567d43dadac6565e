"""Licences of single files: notices in their leading comments, licence files above them, repositories' trees."""

from __future__ import annotations

import stat
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.licences.expression import decide, ordered, parse
from pretrial.corpus.licences.folders import by_folder, governing, licence_of
from pretrial.corpus.licences.names import part
from pretrial.corpus.licences.notices import LOOKED_AT, Notice, leading, notice
from pretrial.corpus.licences.trees import TreeLicences

GPL = (
    "This program is free software: you can redistribute it and/or modify it under the terms of the GNU General\n"
    "Public License as published by the Free Software Foundation, either version 3 of the License, or (at your\n"
    "option) any later version."
)
LGPL = (
    "under the terms of the GNU Lesser General Public License as published by the Free Software Foundation, version "
    "2.1 of the License"
)
APACHE = 'Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except'
MPL = "This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0."
BSD_3 = (
    "Copyright (c) 1998, The Regents. All rights reserved.\nRedistribution and use in source and binary forms, with or "
    "without modification, are permitted provided that:\nRedistributions of source code must retain the notice.\n"
    "Redistributions in binary form must reproduce the notice.\nNeither the name of X nor its contributors may be used "
    "to endorse or promote products derived from this software."
)
MIT = (
    "Permission is hereby granted, free of charge, to any person obtaining a copy of this software, to deal in the "
    "Software without restriction, subject to the following conditions: The above copyright notice and this "
    "permission notice shall be included in all copies or substantial portions of the Software."
)
RESERVED = "Copyright 2020 Corp. All rights reserved."

NOTICES: dict[str, tuple[str, str | None]] = {
    "gpl": (GPL, "GPL-3.0-or-later"),
    "lgpl": (LGPL, "LGPL-2.1-only"),
    "agpl": (GPL.replace("GNU General", "GNU Affero General"), "AGPL-3.0-or-later"),
    "gpl without a version": ("Distributed under the terms of the GNU General Public License.", "GPL-1.0-or-later"),
    "gpl by its short name": ("Released under the GPL v2 or later.", "GPL-2.0-or-later"),
    "apache": (APACHE, "Apache-2.0"),
    "apache by name": ("Licensed under the Apache License, Version 2.0.", "Apache-2.0"),
    "mpl": (MPL, "MPL-2.0"),
    "bsd": (BSD_3, "BSD-3-Clause"),
    "mit": (f"{RESERVED}\n{MIT}", "MIT"),
    "mit by name": ("Distributed under MIT license. See file LICENSE for detail.", "MIT"),
    "a label": ("License: BSD 3 clause", "BSD-3-Clause"),
    "a label with an aside": (":license: MIT, see LICENSE for details.", "MIT"),
    "a tag": ("@license MIT", "MIT"),
    "a choice": ("Dual licensed under the MIT and GPL licenses.", "MIT OR GPL-1.0-or-later"),
    "another choice": ("Licensed under the MIT or Apache-2.0 license.", "MIT OR Apache-2.0"),
    "of other files too": (
        f"The rest of X is licensed under the terms of the GNU General Public License, version 2. This file: {MIT}",
        "MIT",
    ),
    "proprietary": ("Proprietary and confidential. Unauthorized copying of this file is prohibited.", "NOASSERTION"),
    "confidential": ("CONFIDENTIAL\nProperty of Corp.", "NOASSERTION"),
    "secret": ("This file contains proprietary information.", "NOASSERTION"),
    "conditions of no known licence": (BSD_3 + ' May not be called "X".', "NOASSERTION"),
    "reserved, under the licence of the folder": (f"{RESERVED} Governed by a BSD-style license, see LICENSE.", None),
    "reserved, given to a foundation": (f"{RESERVED}\nLicensed to PSF under a Contributor Agreement.", None),
    "reserved, with a permission": (f"{RESERVED} Permission is granted to copy this freely.", None),
    "all rights reserved, as stands above many an open licence": (RESERVED, None),
    "copyright alone": ("Copyright 2020 Ann", None),
    "bsd style": ("Licensed under a 3-clause BSD style license - see LICENSE.rst", None),
    "pointer": ("See LICENSE.txt for license information.", None),
    "what a file does": ("Reads proprietary formats with high confidence; for internal use only.", None),
    "what a file is about": ("Checks which licenses (GPL, MIT) a package names.", None),
    "a label of something else": ("License: see below", None),
}


@pytest.mark.parametrize(("text", "expected"), NOTICES.values(), ids=NOTICES.keys())
@pytest.mark.parametrize(
    ("path", "dress"),
    [
        ("a/x.py", lambda text: "#!/usr/bin/env python\n" + "".join(f"# {line}\n" for line in text.split("\n"))),
        ("a/x.py", lambda text: f'"""{text}\n"""\n'),
        ("a/x.c", lambda text: "/*\n" + "".join(f" * {line}\n" for line in text.split("\n")) + " */\n"),
        ("a/x.php", lambda text: "<?php\n" + "".join(f"// {line}\n" for line in text.split("\n"))),
        ("a/x.md", lambda text: f"<!--\n{text}\n-->\n"),
    ],
    ids=["hashes", "docstring", "block", "php", "markdown"],
)
def test_what_a_leading_comment_says(path: str, dress: object, text: str, expected: str | None) -> None:
    dressed: str = dress(text)  # type: ignore[operator]
    found = notice(path, dressed + "\nx = 1\n")
    assert (found and found.expression) == expected
    # The same words behind the first code, in data, or in a language without comments say nothing.
    assert (
        notice(path, ("<?php " if path.endswith("php") else "") + "x = 1;\n\n" + dressed.removeprefix("<?php")) is None
    )
    assert notice("x.json", dressed) is None


def test_only_the_beginning_is_looked_at() -> None:
    line = "# Released under the MIT license\n"
    assert notice("x.py", "\n" * (LOOKED_AT - len(line)) + line) == Notice("MIT")
    assert notice("x.py", "\n" * LOOKED_AT + line) is None


def test_comments_lead_up_to_the_first_code() -> None:
    assert leading("# a\n\n# b\nimport x\n# c\n", "python") == "# a\n# b"
    assert leading('# a\n"""b"""\nx = 1', "python") == '# a\n"""b"""'
    assert leading('x = "a"  # b', "python") == ""
    assert leading("'use strict';\n/* a */ // b\nx()", "javascript") == "/* a */\n// b"
    assert leading("<!DOCTYPE html>\n<!-- a -->\n<p>", "html") == " a "


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ("Portions of this file are Released under the MIT license", True),
        ("Adapted from X, released under the MIT license", True),
        ("Part of X, released under the MIT license", False),
        ("Released under the MIT license", False),
    ],
)
def test_a_notice_for_parts_holds_beside_the_folders_licence(said: str, parts: bool) -> None:
    text = f"# {said}\n"
    assert notice("x.py", text) == Notice("MIT", parts)
    assert licence_of("a/x.py", text, {"": "ISC"}, None) == ("ISC AND MIT" if parts else "MIT")
    assert licence_of("a/x.py", text, {"": "ISC AND MIT"}, None) == ("ISC AND MIT" if parts else "MIT")
    assert licence_of("a/x.py", text, {}, "ISC License") == ("ISC AND MIT" if parts else "MIT")
    assert licence_of("a/x.py", text, {}, None) == "MIT"


def test_the_order_of_what_is_asked() -> None:
    gpl = "".join(f"# {line}\n" for line in GPL.split("\n"))
    folders = {"": "MIT", "a/b": "ISC"}
    assert licence_of("a/x.py", "# SPDX-License-Identifier: Zlib\n" + gpl, folders, "PSF-2.0") == "Zlib"
    assert licence_of("a/b/x.py", gpl, folders, "PSF-2.0") == "GPL-3.0-or-later"
    assert licence_of("a/b/c/x.py", "x = 1", folders, "PSF-2.0") == "ISC"
    assert licence_of("a/x.py", "x = 1", folders, "PSF-2.0") == "MIT"
    assert licence_of("a/x.py", "x = 1", {}, "PSF-2.0") == "PSF-2.0"
    assert licence_of("a/x.py", "x = 1", {}, None) is None


def test_a_name_that_leaves_the_variant_open_gives_way_to_the_folders() -> None:
    text = "# License: BSD\n"
    assert licence_of("x.py", text, {"": "BSD-2-Clause"}, None) == "BSD-2-Clause"
    assert licence_of("x.py", text, {"": "MIT"}, None) == "LicenseRef-BSD"
    assert licence_of("x.py", "# Released under the GPL.\n", {"": "GPL-2.0-only"}, None) == "GPL-2.0-only"
    assert licence_of("x.py", "# Released under the GPL.\n", {"": "LGPL-2.1"}, None) == "GPL-1.0-or-later"


@pytest.mark.parametrize(
    "hostile",
    [
        "# " + "license " * 200_000,
        "# released under the " * 100_000,
        "# License: " + "( " * 100_000,
        "/*" + "*" * 1_000_000 + " license",
        "<?xml " * 200_000 + "license",
        "# see " + "a " * 500_000 + "license reserved",
        "\n" * 1_000_000 + "# license",
        "# mit or " * 100_000 + "license",
    ],
    ids=lambda text: repr(text[:16]),
)
def test_hostile_comments_are_read_in_time(hostile: str) -> None:
    start = time.process_time()
    for path in ("x.py", "x.c", "x.html"):
        notice(path, hostile)
    assert time.process_time() - start < 1


# Licence files.


def test_a_licence_file_that_is_not_known_makes_its_folder_unknown() -> None:
    folders = by_folder(
        [
            ("r/LICENSE", MIT.encode()),
            ("r/prop/LICENSE", b"Proprietary. Ask us."),
            ("r/prop/free/LICENSE", MIT.encode()),
        ]
    )
    assert folders == {"r": "MIT", "r/prop": "NOASSERTION", "r/prop/free": "MIT"}
    assert governing("r/x.py", folders) == "MIT"
    assert governing("r/prop/deep/x.py", folders) == "NOASSERTION"
    assert governing("r/prop/free/x.py", folders) == "MIT"
    # Neither the package nor the source answers for it.
    assert licence_of("r/prop/x.py", "x = 1", folders, "MIT") == "NOASSERTION"
    assert licence_of("r/prop/x.py", "# Released under the ISC license\n", folders, "MIT") == "ISC"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("LICENSE", b"All rights reserved.", "NOASSERTION"),
        ("LICENSE", b"You may look at it on Sundays.", "NOASSERTION"),
        ("LICENSE", b"Proprietary. See LICENSE.txt.", "NOASSERTION"),
        ("LICENSE", b" \n", None),
        ("license.rst", b"Licenses\n\n.. include:: ../LICENSE.rst", None),
        ("license.md", b"For the license, see LICENSE.txt", None),
        ("license.md", b"word " * 400 + b"see LICENSE.txt", "NOASSERTION"),
        ("COPYRIGHT", b"Copyright 2020 Ann and Bob", None),
        ("COPYRIGHT", b"Proprietary and confidential.", "NOASSERTION"),
    ],
)
def test_licence_files_that_say_nothing_do_not_count(name: str, data: bytes, expected: str | None) -> None:
    assert by_folder([(name, data)]) == ({} if expected is None else {"": expected})
    beside = {"": "MIT" if expected is None else "MIT AND NOASSERTION"}
    assert by_folder([("AAA-LICENSE", MIT.encode()), (name, data)]) == beside


# Trees.


def tree_of(files: dict[str, bytes]) -> tuple[TreeLicences, list[str]]:
    """Licences in trees `a` and `head`, and the blobs that were read; a path begins with its tree."""
    trees: dict[str, dict[bytes, tuple[int, str]]] = {}
    for path in files:
        parts = path.split("/")
        for at in range(1, len(parts)):
            inside = trees.setdefault("/".join(parts[:at]), {})
            mode = stat.S_IFREG if at == len(parts) - 1 else stat.S_IFDIR
            inside[parts[at].encode()] = (mode, "/".join(parts[: at + 1]))
    read: list[str] = []

    def content(sha: str) -> bytes | None:
        read.append(sha)
        return files[sha] or None

    return TreeLicences(lambda sha: trees.get(sha, {}), content, "head"), read


def test_files_of_a_commit_have_the_licences_of_its_tree() -> None:
    licences, read = tree_of(
        {
            "a/LICENSE": GPL.encode(),
            "a/x.py": b"",
            "a/lib/LICENSES/MIT.txt": MIT.encode(),
            "a/lib/deep/y.py": b"",
            "a/prop/LICENSE": b"Ask us.",
            "a/broken/LICENSE": b"",
            "head/LICENSE": MIT.encode(),
        }
    )
    assert licences.of("a", [("x.py", "")]) == "GPL-3.0-or-later"
    assert licences.of("a", [("lib/deep/y.py", "")]) == "MIT"
    assert licences.of("a", [("gone/z.py", "")]) == "GPL-3.0-or-later", "a file that the commit took away"
    assert licences.of("a", [("prop/z.py", "")]) == "NOASSERTION"
    assert licences.of("a", [("broken/z.py", "")]) == "NOASSERTION"
    assert licences.of("a", [("x.py", "# Released under the ISC license\n")]) == "ISC"
    assert licences.of("a", [("x.py", ""), ("lib/y.py", ""), ("z.py", "")]) == "GPL-3.0-or-later AND MIT"
    assert sorted(read) == sorted(set(read)), "each licence file is read once"
    assert "head/LICENSE" not in read


def test_a_commit_from_before_the_licence_has_that_of_the_head() -> None:
    licences, _ = tree_of({"a/x.py": b"", "a/lib/LICENSE": GPL.encode(), "head/LICENSE": MIT.encode()})
    assert licences.of("a", [("x.py", "")]) == "MIT"
    assert licences.of("a", [("lib/x.py", "")]) == "GPL-3.0-or-later"
    assert licences.of("head", [("x.py", "")]) == "MIT"
    none, _ = tree_of({"a/x.py": b"", "head/x.py": b""})
    assert none.of("a", [("x.py", "")]) is None
    some, _ = tree_of({"a/x.py": b"", "a/lib/LICENSE": MIT.encode(), "head/x.py": b""})
    assert some.of("a", [("x.py", ""), ("lib/x.py", "")]) == "MIT AND NOASSERTION"


# Values of a split.


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("mit", "MIT"),
        (["MIT", "BSD-3-Clause"], "BSD-3-Clause AND MIT"),
        (["bsd-3-clause", "mit", "MIT"], "BSD-3-Clause AND MIT"),
        ("MIT AND BSD-3-Clause", "BSD-3-Clause AND MIT"),
        ('["mit", "isc"]', "ISC AND MIT"),
        ("MIT OR (ISC AND GPL-2.0)", "GPL-2.0 AND ISC OR MIT"),
        ("(MIT OR ISC) AND Zlib", "(ISC OR MIT) AND Zlib"),
        ("Custom Terms", "Custom Terms"),
        (None, "NOASSERTION"),
        ("", "NOASSERTION"),
        ([], "NOASSERTION"),
        ("unknown", "NOASSERTION"),
    ],
)
def test_a_licence_is_in_one_part_however_it_is_written(stated: object, expected: str) -> None:
    assert part(stated) == expected  # type: ignore[arg-type]
    assert part(expected) == expected


EXPRESSIONS = st.recursive(
    st.sampled_from(["MIT", "ISC", "Zlib"]),
    lambda sides: st.tuples(sides, st.sampled_from(["AND", "OR"]), sides).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
    max_leaves=10,
)


@given(EXPRESSIONS, st.sets(st.sampled_from(["MIT", "ISC", "Zlib"])))
def test_the_order_of_sides_changes_no_meaning(text: str, allowed: set[str]) -> None:
    postfix = parse(text)
    assert postfix is not None
    again = parse(ordered(postfix))
    assert again is not None
    assert decide(again, allowed.__contains__) is decide(postfix, allowed.__contains__)
    assert ordered(again) == ordered(postfix)


@given(EXPRESSIONS, EXPRESSIONS, st.sampled_from(["AND", "OR"]))
def test_sides_can_be_swapped(one: str, other: str, operator: str) -> None:
    assert part(f"({one}) {operator} ({other})") == part(f"({other}) {operator} ({one})")


@given(st.text(max_size=80) | st.lists(st.sampled_from(["mit", "ISC", "Custom", "x y", None]), max_size=4))
def test_every_value_has_one_part(stated: object) -> None:
    assert part(part(stated)) == part(stated)  # type: ignore[arg-type]
