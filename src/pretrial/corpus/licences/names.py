"""Names of licences as package metadata and dataset columns spell them, as SPDX expressions.

Guarantees: a name that is known comes back as the SPDX identifier in its own case, several names as an expression; one
that is not comes back as it came. Nothing is guessed where names leave a choice that matters to a policy.
Does not: read licence texts (`pretrial.corpus.licences.texts`) or follow pointers ("see LICENSE").

What is decided where a name is not exact, and why:
- `BSD` is `LicenseRef-BSD`: which BSD licence cannot be told, but each of them is permissive.
- `Apache` without a version is `Apache-2.0`: versions 1.0 and 1.1 (before 2004, permissive too) are all but gone.
- `GPL` and `LGPL` without a version are `GPL-1.0-or-later` and `LGPL-2.0-or-later`: both licences say that any version
  may be chosen where none is named.
- `GPL-3.0`, which does not say whether later versions may be chosen, stays so. SPDX calls such identifiers deprecated;
  they are the honest form of "cannot be told".
- Several names without an operator (`["mit", "isc"]`, `MIT, ISC`) are joined by AND: all apply. `MIT/Apache-2.0`, as
  Rust's packages had it, is OR.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from pretrial.corpus.licences.expression import joined, ordered, parse, render

BSD = "LicenseRef-BSD"
PUBLIC_DOMAIN = "LicenseRef-scancode-public-domain"
RESTRICTED = "LicenseRef-restricted"
UNKNOWN = "NOASSERTION"
"""SPDX's word for a licence that is not known: so that what a study says of a whole source does not stand for it."""


def _ids(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# The Blue Oak Council's list of permissive licences, version 15 (blueoakcouncil.org/list), from its best rating, a line
# of its own, to its fifth ("lead").
BLUE_OAK = _ids(
    """
    BlueOak-1.0.0
    BSD-2-Clause-Patent
    ADSL Apache-2.0 APAFML BSD-1-Clause BSD-2-Clause BSD-2-Clause-FreeBSD BSD-2-Clause-NetBSD BSD-2-Clause-Views
    BSL-1.0 DSDP ECL-1.0 ECL-2.0 hdparm ImageMagick Intel-ACPI ISC Linux-OpenIB MIT MIT-Modern-Variant MIT-testregex
    MIT-Wu MS-PL MulanPSL-1.0 Mup PostgreSQL SHL-0.5 Spencer-99 UPL-1.0 Xerox Xfig
    0BSD AFL-1.1 AFL-1.2 AFL-2.0 AFL-2.1 AFL-3.0 AMDPLPA AML AMPAS ANTLR-PD ANTLR-PD-fallback Apache-1.0 Apache-1.1
    Artistic-2.0 Bahyph Barr bcrypt-Solar-Designer BSD-3-Clause BSD-3-Clause-Attribution BSD-3-Clause-Clear
    BSD-3-Clause-HP BSD-3-Clause-LBNL BSD-3-Clause-Modification BSD-3-Clause-No-Nuclear-License-2014
    BSD-3-Clause-No-Nuclear-Warranty BSD-3-Clause-Open-MPI BSD-3-Clause-Sun BSD-4-Clause BSD-4-Clause-Shortened
    BSD-4-Clause-UC BSD-Source-Code bzip2-1.0.5 bzip2-1.0.6 CC0-1.0 CFITSIO Clips CNRI-Jython CNRI-Python
    CNRI-Python-GPL-Compatible Cube curl eGenix Entessa FTL fwlw HPND-Fenneberg-Livingston HPND-sell-regexpr
    HTMLTIDY IBM-pibs ICU Info-ZIP Intel JasPer-2.0 Libpng libpng-2.0 libtiff LPPL-1.3c LZMA-SDK-9.22 MIT-0
    MIT-advertising MIT-CMU MIT-enna MIT-feh MIT-open-group MITNFA MTLL MulanPSL-2.0 Multics Naumen NCSA Net-SNMP
    NetCDF NICTA-1.0 NIST-Software NTP OGL-Canada-2.0 OLDAP-2.0 OLDAP-2.0.1 OLDAP-2.1 OLDAP-2.2 OLDAP-2.2.1
    OLDAP-2.2.2 OLDAP-2.3 OLDAP-2.4 OLDAP-2.5 OLDAP-2.6 OLDAP-2.7 OLDAP-2.8 OML OpenSSL PHP-3.0 PHP-3.01 Plexus
    PSF-2.0 Python-2.0 Ruby Saxpath SGI-B-2.0 SMLNJ SunPro SWL Symlinks TCL TCP-wrappers UCAR Unicode-DFS-2015
    Unicode-DFS-2016 UnixCrypt Unlicense VSL-1.0 W3C X11 XFree86-1.1 xlock Xnet xpp Zlib zlib-acknowledgement
    ZPL-2.0 ZPL-2.1
    AAL Adobe-2006 Afmparse Artistic-1.0 Artistic-1.0-cl8 Artistic-1.0-Perl Beerware blessing Borceux
    BSD-2-Clause-Darwin CECILL-B check-cvs ClArtistic Condor-1.1 Crossword CrystalStacker diffmark DOC EFL-1.0
    EFL-2.0 Fair FSFAP FSFUL FSFULLR Giftware GLWTPL HPND HPND-export-US IJG IJG-short Jam Kazlib Leptonica LPL-1.0
    LPL-1.02 McPhee-slideshow MirOS mpich2 NAIST-2003 NASA-1.3 NBPL-1.0 Newsletr NLPL NRL NTP-0 OFFIS OGTSL
    OLDAP-1.1 OLDAP-1.2 OLDAP-1.3 OLDAP-1.4 psutils python-ldap Qhull Rdisc RSA-MD snprintf Spencer-86 Spencer-94
    SSH-short TU-Berlin-1.0 TU-Berlin-2.0 Vim W3C-19980720 W3C-20150513 Wsuipa WTFPL xinetd XSkat Zed Zend-2.0
    ZPL-1.1
    """
)

# Permissive or public domain in ScanCode's categories, which The Stack v2 adds to the Council's list (arXiv 2402.19173,
# section 2.1). Not all of the 200: those that corpora meet. JSON ("for Good, not Evil") and the font licences, which
# bind what derives from them, are in that category and left out here.
SCANCODE_PERMISSIVE = _ids(
    """
    CC-BY-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-3.0-US CC-BY-4.0 CC-PDDC CC-PDM-1.0 PDDL-1.0 ODC-By-1.0
    CDLA-Permissive-1.0 CDLA-Permissive-2.0 Python-2.0.1 Unicode-3.0 X11-distribute-modifications-variant
    BSD-Attribution-HPND-disclaimer BSD-Advertising-Acknowledgement BSD-4.3RENO BSD-4.3TAHOE HPND-Markus-Kuhn
    HPND-sell-variant HPND-sell-variant-MIT-disclaimer Latex2e libselinux-1.0 NIST-PD NIST-PD-fallback SAX-PD
    MIT-Festival GD etalab-2.0 NLOD-1.0 NLOD-2.0 OGL-UK-1.0 OGL-UK-2.0 OGL-UK-3.0 Bitstream-Vera Boehm-GC dtoa w3m
    SSH-OpenSSH CERN-OHL-P-2.0 libpng-1.6.35
    """
)

# Identifiers that are known but not permissive: so that their case is put right.
_OTHERS = _ids(
    """
    Aladdin APSL-1.0 APSL-1.1 APSL-1.2 APSL-2.0 BitTorrent-1.1 BSD-3-Clause-No-Nuclear-License BUSL-1.1 C-UDA-1.0
    CATOSL-1.1 CDDL-1.0 CDDL-1.1 CDLA-Sharing-1.0 CECILL-1.0 CECILL-2.0 CECILL-2.1 CECILL-C CERN-OHL-S-2.0
    CERN-OHL-W-2.0 CPAL-1.0 CPL-1.0 CPOL-1.02 Elastic-2.0 EPL-1.0 EPL-2.0 ErlPL-1.1 EUPL-1.0 EUPL-1.1 EUPL-1.2
    FSL-1.1 Hippocratic-2.1 Imlib2 IPL-1.0 JSON LPPL-1.0 LPPL-1.1 LPPL-1.2 LPPL-1.3a MPL-1.0 MPL-1.1 MPL-2.0
    MPL-2.0-no-copyleft-exception MS-RL MulanPubL-2.0 Nokia NPL-1.1 NPOSL-3.0 ODbL-1.0 OFL-1.0 OFL-1.1 OSL-1.0
    OSL-2.0 OSL-2.1 OSL-3.0 Parity-7.0.0 PolyForm-Noncommercial-1.0.0 PolyForm-Small-Business-1.0.0 QPL-1.0
    RPL-1.1 RPL-1.5 RPSL-1.0 Sendmail SISSL Sleepycat SPL-1.0 SSPL-1.0 Watcom-1.0
    """
)
_VERSIONED = (
    *("GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "AGPL-1.0", "AGPL-3.0"),
    *("GFDL-1.1", "GFDL-1.2", "GFDL-1.3"),
)
_CREATIVE = tuple(
    f"CC-{terms}-{version}"
    for terms in ("BY-SA", "BY-ND", "BY-NC", "BY-NC-SA", "BY-NC-ND")
    for version in ("1.0", "2.0", "2.5", "3.0", "4.0")
)
KNOWN = (
    BLUE_OAK
    | SCANCODE_PERMISSIVE
    | _OTHERS
    | {f"{name}{suffix}" for name in _VERSIONED for suffix in ("", "-only", "-or-later")}
    | set(_CREATIVE)
    | {BSD, PUBLIC_DOMAIN, RESTRICTED}
)
"""Identifiers that `normalise` recognises, as SPDX spells them (list 3.27), and the project's own."""

NO_LICENCE = frozenset({"", "unknown", "noassertion", "none", "null", "nan", "n/a", "no license", "no_license"})
"""Values, in lower case, that say that no licence is known. (`other` and npm's `UNLICENSED` say that there is one.)"""

_ALIASES = {
    "0BSD": ("BSD Zero Clause", "Zero-Clause BSD", "Zero-Clause BSD (0BSD)", "BSD 0-Clause", "Free Public 1.0.0"),
    "AFL-3.0": ("Academic Free 3.0", "Academic Free License (AFL)"),
    "Apache-2.0": (
        *("Apache", "Apache Software", "Apache Software 2.0", "Apache 2.0", "ASL 2.0", "AL 2.0", "AL2", "ASF 2.0"),
        *("Apache License, Version 2.0 (Apache-2.0)", "Apache Public 2.0"),
    ),
    "Apache-1.1": ("Apache Software 1.1",),
    "Artistic-2.0": ("Artistic 2",),
    "BlueOak-1.0.0": ("Blue Oak Model 1.0.0",),
    "BSD-2-Clause": (
        *("2-Clause BSD", "BSD-2", "Simplified BSD", "FreeBSD", "BSD 2-Clause Simplified", "BSD Simplified"),
        *('BSD 2-Clause "Simplified" License', "BSD 2-Clause FreeBSD"),
    ),
    "BSD-3-Clause": (
        *("3-Clause BSD", "BSD-3", "New BSD", "Modified BSD", "Revised BSD", "BSD New", "BSD Modified", "BSD Revised"),
        *('BSD 3-Clause "New" or "Revised"', "BSD 3-Clause New", "BSD 3-Clause Revised", "BSD (3-clause)"),
        *("BSD (3 Clause)", "New or Revised BSD", "BSD three clause"),
    ),
    "BSD-4-Clause": ("4-Clause BSD", "Original BSD", "BSD Original", 'BSD 4-Clause "Original" or "Old"'),
    "BSL-1.0": ("Boost", "Boost Software", "Boost Software 1.0", "Boost Software License 1.0 (BSL-1.0)", "Boost 1.0"),
    "CC0-1.0": (
        *("CC0", "CC-0", "Creative Commons Zero", "Creative Commons Zero 1.0", "CC0 1.0 Universal"),
        *("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "Creative Commons Zero v1.0 Universal"),
        "Creative Commons CC0 1.0 Universal",
    ),
    "CDDL-1.0": ("CDDL", "Common Development and Distribution License 1.0 (CDDL-1.0)"),
    "CDDL-1.1": ("Common Development and Distribution 1.1",),
    "ECL-2.0": ("Educational Community 2.0",),
    "EPL-1.0": ("Eclipse Public 1.0", "Eclipse Public License 1.0 (EPL-1.0)", "Eclipse 1.0"),
    "EPL-2.0": ("Eclipse Public 2.0", "Eclipse Public License 2.0 (EPL-2.0)", "Eclipse 2.0"),
    "EUPL-1.1": ("European Union Public 1.1", "European Union Public Licence 1.1 (EUPL 1.1)"),
    "EUPL-1.2": ("European Union Public 1.2", "European Union Public Licence 1.2 (EUPL 1.2)"),
    "FTL": ("FreeType", "Freetype Project"),
    "HPND": ("Historical Permission Notice and Disclaimer", "Historical Permission Notice and Disclaimer (HPND)"),
    "ISC": ("ISCL", "ISC License (ISCL)"),
    "Libpng": ("libpng",),
    "MIT": ("Expat", "MIT/X11", "MIT (Expat)", "X11/MIT", "Expat/MIT", "MIT License (MIT)", "MIT X", "MIT open source"),
    "MIT-0": ("MIT No Attribution", "MIT No Attribution License (MIT-0)", "MIT Zero"),
    "MIT-CMU": ("CMU", "CMU License (MIT-CMU)"),
    "MPL-1.1": ("Mozilla Public 1.1", "Mozilla Public License 1.1 (MPL 1.1)"),
    "MPL-2.0": ("Mozilla Public 2.0", "Mozilla Public License 2.0 (MPL 2.0)", "Mozilla 2.0"),
    "MS-PL": ("Microsoft Public", "MSPL"),
    "MS-RL": ("Microsoft Reciprocal",),
    "MulanPSL-2.0": (
        "Mulan Permissive Software 2",
        "Mulan PSL v2",
        "Mulan Permissive Software License v2 (MulanPSL-2.0)",
    ),
    "NCSA": ("University of Illinois/NCSA Open Source", "UIUC", "University of Illinois/NCSA"),
    "ODC-By-1.0": ("ODC-By", "Open Data Commons Attribution 1.0"),
    "ODbL-1.0": ("ODbL", "Open Database 1.0"),
    "OFL-1.1": ("SIL Open Font 1.1", "OFL", "SIL Open Font License 1.1 (OFL-1.1)", "SIL OFL 1.1"),
    "PDDL-1.0": ("PDDL",),
    "PHP-3.01": ("PHP 3.01",),
    "PostgreSQL": ("PostgreSQL",),
    "PSF-2.0": (
        *("PSF", "PSFL", "Python Software Foundation", "Python Software Foundation 2.0", "PSF 2"),
        "Python Software Foundation License (PSF)",
    ),
    "UPL-1.0": ("Universal Permissive 1.0", "Universal Permissive License (UPL)", "UPL"),
    "Unlicense": ("The Unlicense (Unlicense)", "Un License"),
    "WTFPL": ("Do What The F*ck You Want To Public", "Do What The Fuck You Want To Public", "WTFPL 2"),
    "Zlib": ("zlib/libpng", "zlib/libpng License (ZLIB/LIBPNG)"),
    "ZPL-2.1": ("Zope Public 2.1", "ZPL 2.1"),
    BSD: ("BSD", "BSD style", "BSD like", "BSD derived", "OSI BSD"),
    PUBLIC_DOMAIN: ("Public Domain", "Public-Domain"),
    "GPL-1.0-or-later": ("GPL", "GNU GPL", "GNU General Public", "GNU General Public License (GPL)", "GNU"),
    "LGPL-2.0-or-later": (
        *("LGPL", "GNU LGPL", "GNU Lesser General Public", "GNU Library or Lesser General Public License (LGPL)"),
        "GNU Lesser General Public License (LGPL)",
    ),
    "AGPL-3.0": ("AGPL", "GNU AGPL", "GNU Affero General Public"),
    "Artistic-1.0-Perl OR GPL-1.0-or-later": ("Perl", "Perl 5", "same terms as Perl", "same as Perl"),
}
_DROPPED = frozenset(
    {"the", "license", "licence", "licenses", "licensed", "under", "terms", "of", "v", "version", "ver"}
)
_PIECE = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)*|\+|>=")
_GLUED = re.compile(r"(?<=[a-z])v(?=[0-9])")  # "GPLv3"
_CLASSIFIER = re.compile(r"^(?:license ::)?(?: ?osi approved ::)? ?", re.IGNORECASE)
_PARENTHESES = re.compile(r"\([^()]*\)")
_GNU = re.compile(
    r"(?:gnu )?(?:(affero|lesser|library|library or lesser)? ?(?:general|generic) public|([al]?gpl))(?: [al]?gpl)?"
    r" (?:(>=) )?([123])(?:\.([01]))?((?: or)?(?: any)? later| or (?:greater|newer|above|higher)| or \+| \+| only)?"
)
_COMMONS = re.compile(
    r"(?:cc|creative commons|creative commons cc) (by|attribution)( nc| non ?commercial)?"
    r"( sa| share ?alike| nd| no ?deriv\w*)?"
    r" ([1-4](?:\.5)?)(?: international| unported| generic)?"
)
_ALL = re.compile(r"\s*[,;&]\s*(?:and\s+)?|\s+and\s+", re.IGNORECASE)
_ANY = re.compile(r"\s*[/|]\s*|\s*,?\s+or\s+", re.IGNORECASE)
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")


def normalise(name: str) -> str:
    """A licence's name (`"MIT License"`, `"apache-2.0"`, `'["mit", "isc"]'`) as an SPDX expression.

    Values that say that no licence is known (`NO_LICENCE`) become `""`. A name that is not known stays as it is.
    """
    text = name.strip()
    if text.lower() in NO_LICENCE:
        return ""
    if len(text) > 1000:
        return name
    if text.startswith("[") and text.endswith("]"):
        names = [double or single for double, single in _QUOTED.findall(text)]
        return normalised(names) if names or text == "[]" else name
    return _resolved(text) or name


def normalised(names: list[str]) -> str:
    """Several names that apply together as one expression; `""` where none says anything."""
    found = [normalise(name) for name in names]
    return joined([item for item in found if item] or [""], "AND")


def part(stated: str | Iterable[object] | None) -> str:
    """The value of a split by licence that a field `license` falls under: one, whatever its spelling and order.

    Several names are an expression (`["mit", "isc"]` and `"MIT AND ISC"` are `"ISC AND MIT"`); where no licence is
    known, the value is `UNKNOWN`.
    """
    if stated is None or isinstance(stated, str):
        expression = normalise(stated or "")
    else:
        expression = normalised([str(name) for name in stated if name is not None])
    postfix = parse(expression)
    return expression or UNKNOWN if postfix is None else ordered(postfix)


def identifier(leaf: str) -> str | None:
    """The SPDX spelling of one identifier, with its exception if any; `None` where it is not known."""
    base, _, exception = leaf.partition(" WITH ")
    known = _identifiers().get(base.lower())
    if known is None and base.endswith("+"):
        plain = _identifiers().get(base[:-1].lower())
        known = plain and (f"{plain}-or-later" if f"{plain}-or-later" in KNOWN else f"{plain}+")
    return known and (f"{known} WITH {exception}" if exception else known)


def _resolved(text: str) -> str | None:
    # As one name first: "GPLv2 or later" is one licence and reads like an expression.
    if found := identifier(text) or _single(text) or _expression(text):
        return found
    for separator, operator in ((_ALL, "AND"), (_ANY, "OR")):
        parts = [part for part in separator.split(text) if part]
        if len(parts) > 1:
            found_parts = [_resolved(part) for part in parts]
            if all(found_parts):
                return joined([part for part in found_parts if part], operator)
    return None


def _expression(text: str) -> str | None:
    postfix = parse(text)
    if postfix is None or len(postfix) == 1:
        return postfix and identifier(postfix[0])
    out: list[str] = []
    for token in postfix:
        if token in ("AND", "OR"):
            out.append(token)
        else:
            # An identifier that is not known is one all the same; a name may stand for an expression itself.
            known = identifier(token) or _single(token) or token
            out += parse(known) or (known,)
    return render(tuple(out))


def _single(text: str) -> str | None:
    plain = _CLASSIFIER.sub("", text)
    return _looked_up(plain) or (_looked_up(_PARENTHESES.sub(" ", plain)) if "(" in plain else None)


def _looked_up(text: str) -> str | None:
    key = _key(text)
    if found := _names().get(key):
        return found
    if match := _GNU.fullmatch(key):
        return _gnu(match)
    if match := _COMMONS.fullmatch(key):
        terms = "BY" + ("-NC" if match[2] else "")
        if match[3]:
            terms += "-SA" if match[3].strip().startswith("s") else "-ND"
        version = match[4] if "." in match[4] else f"{match[4]}.0"
        return identifier(f"CC-{terms}-{version}")
    return None


def _gnu(match: re.Match[str]) -> str | None:
    kind, short, at_least, major, minor, which = match.groups()
    name = short.upper() if short else {"affero": "AGPL", None: "GPL"}.get(kind, "LGPL")
    suffix = "-or-later" if at_least or (which and which != " only") else "-only" if which else ""
    # "GPL v3" says no more than "GPL-3.0"; the trove classifiers' "(GPLv3)" neither.
    return identifier(f"{name}-{major}.{minor or 0}{suffix}")


def _key(text: str) -> str:
    lowered = _GLUED.sub(" ", text.lower().replace("f*ck", "fuck"))
    pieces = [piece for piece in _PIECE.findall(lowered) if piece not in _DROPPED]
    return " ".join(re.sub(r"(?:\.0)+$", "", piece) for piece in pieces)


@functools.cache
def _identifiers() -> dict[str, str]:
    return {known.lower(): known for known in KNOWN}


@functools.cache
def _names() -> dict[str, str]:
    table = {_key(known): known for known in sorted(KNOWN) if not known.endswith("-or-later")}
    for known, aliases in _ALIASES.items():
        table |= {_key(alias): known for alias in aliases}
    return table
