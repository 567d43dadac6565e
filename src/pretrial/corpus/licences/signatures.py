"""What licences are known by: short phrases, written in the normal form of `pretrial.corpus.licences.texts`.

A family opens with an anchor, a phrase that starts (or titles) every text of the family; which licence it is follows
from the phrases that stand, or do not stand, between it and the next anchor. The first variant that fits counts; where
none does, the text is a licence that is not known. Anchors are chosen so that no licence quotes another's.
"""

from __future__ import annotations

from typing import NamedTuple


class Variant(NamedTuple):
    """One licence of a family: all of `has` and none of `lacks` stand in its stretch of text."""

    id: str
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


class Family(NamedTuple):
    """Licences that open alike. `reach` is how many characters after an anchor belong to it at most."""

    anchors: tuple[str, ...]
    variants: tuple[Variant, ...]
    reach: int = 4000


def _one(id: str, *anchors: str) -> Family:
    return Family(anchors, (Variant(id),))


_ENDORSE = "endorse or promote products"
_ADVERTISING = "all advertising materials mentioning features"
_NOTICE = "the above copyright notice and this permission notice"
_BINARY = "redistributions in binary form"
_SOURCE = "redistributions of source code must retain"

FAMILIES: tuple[Family, ...] = (
    Family(
        (
            "permission is hereby granted free of charge to any person obtaining",
            "permission is hereby granted free of charge to any person or organization obtaining",
            "permission is hereby granted free of charge to any individual or institution obtaining",
        ),
        (
            Variant("OFL-1.1", ("copy of the font software",)),
            Variant("BSL-1.0", ("accompanying documentation covered by this license",)),
            Variant("Unicode-3.0", ("copy of data files and any associated documentation",)),
            Variant("Unicode-DFS-2016", ("unicode data files",)),
            Variant("JSON", ("shall be used for good not evil",)),
            Variant("Bitstream-Vera", ("accompanying this license fonts",)),
            Variant("XFree86-1.1", (_SOURCE, "xfree86 project")),
            Variant("NCSA", (_SOURCE, "neither the names of")),
            Variant("ICU", ("appear in all copies of the software and that both",)),
            Variant("X11-distribute-modifications-variant", ("distribute with modifications",)),
            Variant("Imlib2", ("publicly documented acknowledgment must be given",)),
            Variant("MIT-advertising", ("marketing publicity materials",)),
            Variant("MIT-feh", ("acknowledgment shall be given in the documentation",)),
            Variant("MITNFA", ("distributions of all or part of the software intended to be used",)),
            Variant("SGI-B-2.0", ("either this permission notice or a reference to",)),
            Variant("X11", ("except as contained in this notice the name",)),
            Variant("MIT", ("notice and this permission notice", "deal in the")),
            Variant("MIT", ("subject to the following conditions", "without restriction")),
            Variant("MIT", ("above copyright notice", "deal in the")),
            Variant("MIT-0", ("deal in the software without restriction",)),
        ),
    ),
    Family(
        (
            "redistribution and use in source and binary forms",
            "redistribution and use in source and or binary forms",
            "redistribution and use in source or binary forms",
            "redistribution and use in any form",
            "redistribution and use of this software in source and binary forms",
        ),
        (
            Variant("Apache-1.1", ("developed by the apache software foundation", _ENDORSE), (_ADVERTISING,)),
            Variant("Apache-1.0", ("apache", _ADVERTISING, "may not be called apache")),
            Variant("Apache-1.0", ("apache group for use in the apache http server project",)),
            Variant("OpenSSL", ("openssl toolkit",)),
            Variant("OpenSSL", ("cryptographic software written by eric young",)),
            Variant("PHP-3.01", ("php software", "may not be called php")),
            Variant("bzip2-1.0.6", ("altered source versions must be plainly marked",)),
            Variant("Sleepycat", ("accompanied by information on how to obtain complete source code",)),
            Variant("Sendmail", ("sendmail inc",)),
            Variant("BSD-4-Clause-UC", (_ADVERTISING, "university of california berkeley and its contributors")),
            Variant("BSD-4-Clause", (_ADVERTISING,)),
            Variant("BSD-3-Clause-Attribution", ("must retain the following acknowledgment", _ENDORSE)),
            Variant("BSD-3-Clause-Clear", ("no express or implied licenses to any party s patent rights", _ENDORSE)),
            Variant("BSD-3-Clause-No-Nuclear-License", ("nuclear facility", "not designed licensed or intended")),
            Variant("BSD-3-Clause-No-Nuclear-Warranty", ("nuclear facility",)),
            Variant("BSD-3-Clause-LBNL", ("any bug fixes patches or upgrades to the features",)),
            Variant(
                "BSD-3-Clause-Open-MPI", ("provide no reassurances that the source code provided does not infringe",)
            ),
            Variant("BSD-2-Clause-Patent", ("each copyright holder and contributor hereby grants to those",)),
            Variant("BSD-3-Clause", (_ENDORSE, _BINARY), ("may not be called",)),
            Variant("BSD-3-Clause", ("endorse or promote any", _BINARY), ("may not be called",)),
            Variant("BSD-3-Clause", ("to endorse products derived", _BINARY), ("may not be called",)),
            Variant("BSD-2-Clause-Views", (_BINARY, "as representing official policies")),
            Variant("BSD-2-Clause", (_BINARY,), ("may not be called", _ENDORSE)),
            Variant("BSD-Source-Code", (_SOURCE, _ENDORSE), (_BINARY, "may not be called")),
            Variant("BSD-1-Clause", (_SOURCE,), (_BINARY, "may not be called")),
        ),
        3500,
    ),
    Family(
        (
            "permission to use copy modify and or distribute this software for any purpose with or without fee",
            "permission to use copy modify and distribute this software for any purpose with or without fee",
            "permission to use copy modify distribute and sell this software for any purpose with or without fee",
        ),
        (
            Variant("curl", (_NOTICE, "except as contained in this notice")),
            Variant("ISC", ("appear in all copies",), ("documentation for any purpose",)),
            Variant("ISC", ("is included in all copies",)),
            Variant("0BSD", ("is hereby granted",), ("provided that",)),
        ),
        2500,
    ),
    Family(
        (
            "permission to use copy modify and distribute this software and its documentation",
            "permission to use copy modify and distribute this software and its associated documentation",
            "permission to use copy modify distribute and sell this software and its documentation",
        ),
        (
            Variant("libtiff", ("the names of sam leffler",)),
            Variant("Python-2.0", ("stichting mathematisch centrum",)),
            Variant("PostgreSQL", ("and without a written agreement is hereby granted",)),
            Variant("HPND-sell-variant", ("distribute and sell this software",)),
            Variant("NTP", ("documentation for any purpose with or without fee",)),
            Variant("HPND", ("both that copyright notice and this permission notice",)),
            Variant("HPND", ("both the copyright notice and this permission notice",)),
            Variant("HPND", ("appear in all copies",)),
        ),
        2500,
    ),
    Family(
        ("this software is provided as is without any express or implied warranty in no event",),
        (
            Variant("zlib-acknowledgement", ("altered source versions must be plainly marked", "see the following")),
            Variant("Zlib", ("altered source versions must be plainly marked",)),
            Variant("Zlib", ("altered versions must be plainly marked",)),
        ),
        2000,
    ),
    Family(
        ("apache license version 2 0 january 2004", "apache license version 2 january 2004"),
        (Variant("Apache-2.0"),),
        14000,
    ),
    Family(
        (
            "licensed under the apache license version 2 0 the license",
            "licensed under the apache license 2 0 the license",
            "may obtain a copy of the license at http www apache org licenses license 2 0",
            "may obtain a copy of the license at https www apache org licenses license 2 0",
        ),
        (Variant("Apache-2.0"),),
        1000,
    ),
    _one("GPL-1.0", "gnu general public license version 1 february 1989"),
    _one("GPL-2.0", "gnu general public license version 2 june 1991"),
    _one("GPL-3.0", "gnu general public license version 3 29 june 2007"),
    _one("LGPL-2.0", "gnu library general public license version 2 june 1991"),
    _one("LGPL-2.1", "gnu lesser general public license version 2 1 february 1999"),
    _one("LGPL-3.0", "gnu lesser general public license version 3 29 june 2007"),
    _one("AGPL-3.0", "gnu affero general public license version 3 19 november 2007"),
    _one("GFDL-1.1", "gnu free documentation license version 1 1 march 2000"),
    _one("GFDL-1.2", "gnu free documentation license version 1 2 november 2002"),
    _one("GFDL-1.3", "gnu free documentation license version 1 3 3 november 2008"),
    _one(
        "MPL-2.0",
        "mozilla public license version 2 0 1 definitions",
        "mozilla public license version 2 0 definitions",
        "subject to the terms of the mozilla public license v 2 0",
    ),
    _one(
        "MPL-1.1 OR GPL-2.0-or-later OR LGPL-2.1-or-later",
        "version mpl 1 1 gpl 2 0 lgpl 2 1",
    ),
    _one(
        "MPL-1.1",
        "mozilla public license version 1 1 1 definitions",
        "subject to the mozilla public license version 1 1 the",
    ),
    _one("MPL-1.0", "mozilla public license version 1 0 1 definitions"),
    Family(
        ("the accompanying program is provided under the terms of this eclipse public license",),
        (Variant("EPL-2.0", ("secondary license",)), Variant("EPL-1.0")),
        16000,
    ),
    _one("EPL-1.0", "under the terms of the eclipse public license v1 0"),
    _one(
        "EPL-2.0",
        "under the terms of the eclipse public license 2 0",
        "under the terms of the eclipse public license v 2 0",
    ),
    _one("CPL-1.0", "the accompanying program is provided under the terms of this common public license"),
    _one("IPL-1.0", "ibm public license version 1 0"),
    _one("CDDL-1.0", "common development and distribution license cddl version 1 0"),
    _one("CDDL-1.0", "common development and distribution license version 1 0"),
    _one("CDDL-1.1", "common development and distribution license cddl version 1 1"),
    _one("EUPL-1.1", "european union public license v 1 1"),
    _one("EUPL-1.2", "european union public license v 1 2"),
    _one("CECILL-2.1", "cecill free software license agreement version 2 1"),
    _one("OSL-3.0", "licensed under the open software license version 3 0"),
    _one("AFL-3.0", "licensed under the academic free license version 3 0"),
    _one("ECL-2.0", "educational community license version 2 0 april 2007"),
    _one("Artistic-2.0", "this license establishes the terms under which a given free software package may be copied"),
    Family(
        ("the intent of this document is to state the conditions under which a package may be copied",),
        (
            Variant("ClArtistic", ("distribution fee",)),
            Variant("Artistic-1.0-Perl", ("in order to emulate subroutines and variables of the language",)),
            Variant("Artistic-1.0-cl8", ("aggregation of this package with a commercial distribution",)),
            Variant("Artistic-1.0"),
        ),
        9000,
    ),
    _one("Unlicense", "this is free and unencumbered software released into the public domain"),
    _one("CC0-1.0", "cc0 1 0 universal", "creativecommons org publicdomain zero 1 0"),
    _one("WTFPL", "do what the fuck you want to public license"),
    _one("Beerware", "the beer ware license revision 42"),
    _one("UPL-1.0", "universal permissive license upl version 1 0", "the universal permissive license upl 1 0"),
    _one("UPL-1.0", "any person obtaining a copy of this software associated documentation and or data collectively"),
    _one("MulanPSL-2.0", "mulan permissive software license version 2", "mulan psl v2"),
    _one("MulanPSL-1.0", "mulan permissive software license version 1"),
    _one("BlueOak-1.0.0", "this license gives everyone as much permission to work with this software as possible"),
    _one("MS-PL", "microsoft public license ms pl"),
    _one("MS-RL", "microsoft reciprocal license ms rl"),
    _one("OFL-1.1", "sil open font license version 1 1"),
    _one("OFL-1.0", "sil open font license version 1 0"),
    _one("BSL-1.0", "boost software license version 1 0"),
    _one("PSF-2.0", "this license agreement is between the python software foundation"),
    _one("Python-2.0", "beopen com license agreement for python 2 0", "this license agreement is between beopen com"),
    _one("CNRI-Python", "this license agreement is between the corporation for national research initiatives"),
    _one("ZPL-2.1", "zope public license zpl version 2 1"),
    _one("ZPL-2.0", "zope public license zpl version 2 0"),
    _one("Libpng", "libpng versions 1"),
    _one("libpng-2.0", "png reference library license version 2"),
    _one(
        "IJG", "the authors make no warranty or representation either express or implied with respect to this software"
    ),
    _one("FTL", "the freetype project license"),
    _one("Vim", "there are no restrictions on distributing unmodified copies of vim"),
    _one("TCL", "the authors hereby grant permission to use copy modify distribute and license this software"),
    _one("Info-ZIP", "for the purposes of this copyright and license info zip is defined as"),
    _one("OLDAP-2.8", "openldap public license version 2 8"),
    _one("LPPL-1.3c", "lppl version 1 3c"),
    _one("W3C", "w3c software notice and license"),
    _one(
        "W3C-20150513",
        "permission to copy modify and distribute this work with or without modification for any purpose",
    ),
    _one("Unicode-3.0", "unicode license v3"),
    _one("ImageMagick", "imagemagick studio llc", "imagemagick org script license"),
    _one("FSFAP", "copying and distribution of this file with or without modification are permitted in any medium"),
    _one("SSPL-1.0", "server side public license version 1"),
    _one("BUSL-1.1", "business source license 1 1"),
    _one("Elastic-2.0", "elastic license 2 0"),
    _one("PolyForm-Noncommercial-1.0.0", "polyform noncommercial license 1 0 0"),
    _one("PolyForm-Small-Business-1.0.0", "polyform small business license 1 0 0"),
    _one("ODbL-1.0", "open database license odbl is a license agreement"),
    _one("PDDL-1.0", "open data commons public domain dedication license pddl preamble"),
    _one("ODC-By-1.0", "open data commons attribution license is a license agreement"),
    _one("CDLA-Permissive-2.0", "community data license agreement permissive version 2 0"),
    _one("CDLA-Permissive-1.0", "community data license agreement permissive version 1 0"),
    _one("CDLA-Sharing-1.0", "community data license agreement sharing version 1 0"),
    _one("LicenseRef-Commons-Clause", "commons clause license condition"),
    _one("MIT-Modern-Variant", "permission is hereby granted without written agreement and without license or royalty"),
    Family(
        ("ruby is copyrighted free software by yukihiro matsumoto",),
        (Variant("Ruby OR BSD-2-Clause", ("2 clause bsdl",)), Variant("Ruby")),
        400,
    ),
    _one("Ruby", "you may make and give away verbatim copies of the source form of the software without restriction"),
    _one("AGPL-1.0", "affero general public license version 1 march 2002"),
    _one("AFL-2.1", "licensed under the academic free license version 2 1"),
    _one("OSL-2.1", "licensed under the open software license version 2 1"),
    _one("NPOSL-3.0", "non profit open software license 3 0"),
    _one("QPL-1.0", "the q public license version 1 0"),
    _one(
        "APSL-2.0",
        "apple public source license version 2 0 august 6 2003",
        "apple public source license version 2 0 the",
    ),
    _one("Watcom-1.0", "sybase open watcom public license version 1 0 use"),
    _one("CPOL-1.02", "the code project open license cpol 1 02"),
    _one("CECILL-B", "cecill b free software license agreement"),
    _one("CECILL-C", "cecill c free software license agreement"),
    _one("Hippocratic-2.1", "hippocratic license version number 2 1"),
    _one("FSL-1.1", "functional source license version 1 1"),
    _one("blessing", "may you do good and not evil may you find forgiveness for yourself"),
    _one("MIT-CMU", "by obtaining using and or copying this software and or its associated documentation you agree"),
)

INCLUDES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Python-2.0", ("PSF-2.0", "CNRI-Python", "HPND")),
    ("MIT-CMU", ("HPND",)),
    ("LGPL-3.0", ("GPL-3.0",)),
    ("Vim", ("GPL-2.0-only", "GPL-2.0-or-later")),
    ("GFDL-1.3", ("CC-BY-SA-3.0",)),
    ("OFL-1.0", ("OFL-1.1",)),
    ("ZPL-2.0", ("BSD-3-Clause",)),
    ("ZPL-2.1", ("BSD-3-Clause",)),
    ("Sleepycat", ("BSD-3-Clause", "BSD-4-Clause-UC")),
    ("OpenSSL", ("BSD-4-Clause",)),
)
"""Licences whose text has that of others in it, or names them; LGPL-3.0 comes with GPL-3.0's, to which it adds."""

TEMPLATE = "how to apply these terms to your new"
"""Opens the GNU licences' advice on notices: one that follows within `TEMPLATE_REACH` characters is no notice."""
TEMPLATE_REACH = 1800

_GPL_2 = ("GPL-2.0", "GPL-2.0-only", "GPL-2.0-or-later")
_GPL_3 = ("GPL-3.0", "GPL-3.0-only", "GPL-3.0-or-later")
EXCEPTIONS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("LLVM-exception", "llvm exceptions to the apache 2 0 license", ("Apache-2.0",), "Apache-2.0"),
    ("GCC-exception-3.1", "gcc runtime library exception version 3 1", _GPL_3, "GPL-3.0"),
    (
        "Classpath-exception-2.0",
        "independent modules to produce an executable regardless of the license terms of these independent modules",
        (*_GPL_2, *_GPL_3),
        "",
    ),
    (
        "Linux-syscall-note",
        "does not cover user programs that use kernel services by normal system calls",
        _GPL_2,
        "",
    ),
)
"""Exception, the phrase it is known by, the licences that it is added to where they stand in the same text, and the
licence that it tells of where none of them does."""

RESTRICTIONS: tuple[str, ...] = (
    "non commercial use only",
    "noncommercial use only",
    "non commercial purposes only",
    "noncommercial purposes only",
    "solely for non commercial",
    "solely for noncommercial",
    "limited to non commercial",
    "restricted to non commercial",
    "not for commercial use",
    "commercial use is prohibited",
    "commercial use is strictly prohibited",
    "commercial use is not permitted",
    "commercial use is not allowed",
    "may not be used for commercial",
    "may not be used for any commercial",
    "cannot be used for commercial",
    "academic use only",
    "research use only",
    "research purposes only",
    "evaluation purposes only",
    "educational purposes only",
    "personal use only",
    "proprietary and confidential",
    "confidential and proprietary",
    "unauthorized copying of this",
)
"""Phrases that take back what a permissive text beside them gives. None stands in a text of `FAMILIES`."""

MENTIONS: tuple[tuple[str, str], ...] = (
    (
        "Apache-2.0",
        r"apache (?:software )?(?:public )?(?:license )?(?:version |v )?v?2(?: 0)?|license apache2?|apache2",
    ),
    ("MIT", r"(?:mit|expat)(?: open source)? license|license mit|licenses mit|license under mit|mit terms"),
    ("BSD-3-Clause", r"bsd 3 clause|3 clause bsd|(?:new|revised|modified) bsd|licenses bsd 3 clause"),
    ("BSD-2-Clause", r"bsd 2 clause|2 clause bsd|simplified bsd|licenses bsd 2 clause"),
    ("ISC", r"isc license|licenses isc"),
    ("MPL-2.0", r"mozilla public license (?:version |v )?2(?: 0)?|mpl (?:version |v )?v?2(?: 0)?"),
    ("EPL-2.0", r"eclipse public license (?:version |v )?2(?: 0)?|epl (?:v )?2 0"),
    ("EPL-1.0", r"eclipse public license (?:version |v )?1(?: 0)?|epl (?:v )?1 0"),
    ("BSL-1.0", r"boost software license"),
    ("Zlib", r"zlib license"),
    ("Unlicense", r"the unlicense|unlicense org"),
    ("WTFPL", r"wtfpl"),
    ("CC0-1.0", r"cc0|creative commons zero"),
    ("0BSD", r"0bsd|zero clause bsd"),
    ("Artistic-2.0", r"artistic license (?:version |v )?2(?: 0)?"),
    ("PSF-2.0", r"python software foundation license|psf license"),
    ("GPL-3.0-or-later", r"gplv3 (?:or later|plus)|gpl (?:version |v )?3 or (?:any )?later"),
    ("GPL-2.0-or-later", r"gplv2 (?:or later|plus)|gpl (?:version |v )?2 or (?:any )?later"),
    ("GPL-3.0", r"gpl v?3(?: 0)?|gplv3"),
    ("GPL-2.0", r"gpl v?2(?: 0)?|gplv2"),
    ("AGPL-3.0", r"agpl v?3(?: 0)?|agplv3"),
    ("LGPL-3.0", r"lgpl v?3(?: 0)?|lgplv3"),
    ("LGPL-2.1", r"lgpl v?2 1|lgplv2 1"),
)
"""How short pointers ("under the MIT license") name licences; patterns over the normal form, whole words."""
