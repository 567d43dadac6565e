"""Licence notices in the leading comment of a source file.

Guarantees: only comments in front of the first code count (in Python also a module's docstring), within the first
`LOOKED_AT` characters; the answer follows from the file alone. A licence is found where its own words or its usual
notice stand (the conditions of BSD and MIT, "under the terms of the GNU General Public License"), or where the comment
names what the file is under ("Released under the MIT license", "License: BSD 3 clause"). A comment that calls the file
proprietary or confidential and gives nothing makes the licence unknown; one that points elsewhere ("see LICENSE")
leaves it to what lies there, as does a bare "All rights reserved", which stands above many an open licence.
Does not: read prose, data or notebooks, or tell which lines a notice for parts of a file is about.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from pretrial.corpus.comments import LANGUAGES, spans
from pretrial.corpus.languages import language_of
from pretrial.corpus.licences.expression import joined, parse
from pretrial.corpus.licences.names import BSD, UNKNOWN, identifier, normalise
from pretrial.corpus.licences.texts import is_begun, plain, quoted

LOOKED_AT = 8192
"""Characters of a source file that are looked at: a list of authors and the longest conditions fit."""


class Notice(NamedTuple):
    """What a file says of its own licence: an SPDX expression, and whether it may be that of parts of it only."""

    expression: str
    parts: bool = False


# Looked for first, in small letters: most leading comments have none of them.
_HINTS = (
    *("licen", "gpl", "released under", "distributed under", "confidential", "proprietary"),
    *("permission", "redistribut", "trade secret", "unauthori"),
)
# What may stand in front of a comment that leads.
_OPENING = re.compile(
    r"\s*(?:(?:<\?php\b|<\?xml[^>]*>|<!doctype[^>]*>|@charset[^\n]*\n|['\"]use strict['\"];?)\s*)*", re.I
)
_LABEL = re.compile(
    r"^[^\w\n]*@?(?:software )?licen[cs]e[ \t]*(?:[:=]|(?<=@license))[ \t]*(?:the[ \t]+)?(\S[^\n]*)$", re.I | re.M
)
_ASIDE = re.compile(r"[,;.(\s-]+(?:see|read|as in)\b", re.I)
_UNDER = re.compile(
    r"\b(?P<dual>(?:dual|dually|double|tri|triple) )?"
    r"(?:licensed|released|distributed|redistribute it|modify it|available|provided|published|covered|governed|used"
    r"|licensing is|license is|it is|file is|code is|software is)(?: and or [a-z]+)?"
    r" (?:under|by|according to)(?: (?:the|a|an|either|terms and conditions|terms|conditions|provisions|of|version))* "
)
_CHOICES = re.compile(r" (?:open source )?(?:public )?(?:licenses? )?(or|and)(?: or)?(?: the| an?)* ")
_NAMED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (id, re.compile(rf"(?:{pattern})\b(?! (?:style|like|compatible|derived|based))"))
    for id, pattern in (
        ("Apache-2.0", r"apache (?:software )?(?:public )?(?:license )?(?:version |v)?2(?: 0)?|apache2|apache license"),
        ("MIT", r"(?:mit|expat)(?: x11| expat)?"),
        ("BSD-3-Clause", r"(?:3|three) clause bsd|(?:new|revised|modified) bsd|bsd (?:3|three)(?: clause)?"),
        ("BSD-2-Clause", r"(?:2|two) clause bsd|(?:simplified|freebsd) bsd|bsd (?:2|two)(?: clause)?"),
        ("ISC", r"isc"),
        ("MPL-2.0", r"(?:mozilla public license|mpl)(?: version)?(?: v)? ?v?2(?: 0)?"),
        ("EPL-2.0", r"(?:eclipse public license|epl)(?: version)?(?: v)? ?v?2(?: 0)?"),
        ("EPL-1.0", r"(?:eclipse public license|epl)(?: version)?(?: v)? ?v?1(?: 0)?"),
        ("BSL-1.0", r"boost(?: software license)?"),
        ("Zlib", r"zlib(?: libpng)?"),
        ("CC0-1.0", r"cc0(?: 1 0)?|creative commons zero"),
        ("Unlicense", r"unlicense"),
        ("WTFPL", r"wtfpl"),
        (BSD, r"bsd"),
    )
)
_GNU = re.compile(
    r"(?:gnu )?"
    r"(?:(?P<kind>affero |lesser |library |library or lesser )?general public(?: license)?|(?P<short>[al]?gpl))"
    r"(?: [al]?gpl)?(?: license)?(?: as published by the free software foundation)?(?: either)?"
    r" ?(?:(?:version )?v?(?P<major>[123])(?: (?P<minor>[01]))?\b)?"
    r"(?P<later>(?: or)?(?: at your option)?(?: any)? (?:later|newer)\b| plus\b)?"
)
# The words of a notice, not of what a file does ("reads proprietary formats", "for internal use only").
_PRIVATE = re.compile(
    r"\b(?:(?:proprietary and|strictly|company|highly) confidential|confidential and proprietary"
    r"|confidential (?:information|property) of|proprietary (?:software|information|source code|property) of"
    r"|this (?:file|software|source|code|source code|program|work|document) (?:is|contains)(?: [a-z]+)?"
    r" (?:proprietary|confidential)"
    r"|contains? trade secrets?|unauthori[sz]ed (?:copying|use|reproduction|distribution))\b"
    r"|^(?:proprietary|confidential)\b"
)
_ELSEWHERE = re.compile(
    r"\b(?:license|copying|copyrights?|notice|readme|unlicense) (?:file|txt|md|rst)\b"
    r"|\b(?:see|refer|read|found|find|consult|view|detailed|accompanying)\b[a-z0-9 ]{0,60}"
    r" (?:licenses?|copying|readme)\b"
    r"|\blicensed (?:under|to)\b|\b(?:bsd|mit|gpl|apache)\b|\bpublic domain\b|\bsame (?:license|terms)\b"
)
# "The rest of X is licensed under the GPL" is about other files.
_REST = re.compile(
    r"\brest of (?:[a-z0-9]+ ){1,6}(?:is|are) (?:licensed|released|distributed|covered) (?:[a-z0-9]+ ){0,12}?"
    r"license(?: version [0-9])?\b"
)
_PARTS = re.compile(
    r"\b(?:portions?|parts? (?:of|are|is|were)|pieces of|third party|adapted|ported|derived|derivative|translated|taken"
    r"|copied|borrowed|based on|modified from|includes? code|incorporates?|originally"
    r"|original (?:code|license|copyright))\b"
)
_NO_PARTS = re.compile(
    r"\bpart of\b|\bsubstantial portions?\b|\bderived from this\b|\b(?:any|or) portions? (?:thereof|of)\b"
)


def notice(path: str, text: str) -> Notice | None:
    """What the leading comment of a source file says of its licence; `None` where it says nothing.

    Args:
        path: the file's name, which tells how its language writes comments.
        text: the file from its beginning.
    """
    language = language_of(path)
    if language in ("markdown", "rmarkdown"):
        language = "html"
    if language not in LANGUAGES:
        return None
    head = text[:LOOKED_AT]
    low = head.lower()
    if not any(hint in low for hint in _HINTS):
        return None
    comment = leading(head, language)
    low = comment.lower()
    return _said(comment) if any(hint in low for hint in _HINTS) else None


def keeps_all(words: str) -> bool:
    """Whether a text in its normal form calls what it is about proprietary or confidential."""
    return bool(_PRIVATE.search(words))


def leading(text: str, language: str) -> str:
    """The comments in front of the first code; in Python with a module's docstring."""
    found = []
    match = _OPENING.match(text)
    at = match.end() if match else 0
    for kind, begin, end in spans(text, language):
        if begin < at:
            # Inside of what opens the file, or the mark of a document's type.
            continue
        if text[at:begin].strip() or not (
            kind == "comment" or (language == "python" and text[begin : begin + 3] in ('"""', "'''"))
        ):
            break
        # Markup's comments would pass for tags.
        found.append(text[begin:end].removeprefix("<!--").removesuffix("-->"))
        at = end
    return "\n".join(found)


# Files of one project have one notice.
@functools.lru_cache(maxsize=256)
def _said(comment: str) -> Notice | None:
    words = _REST.sub(" ", plain(comment))
    found = quoted(words)
    if not found:
        found = _labelled(comment) or _under(words)
    if found:
        return Notice(joined(found, "AND"), bool(_PARTS.search(_NO_PARTS.sub(" ", words))))
    if _ELSEWHERE.search(words):
        return None
    # What begins as some licence does, and is none that is known, gives what nobody can tell.
    return Notice(UNKNOWN) if keeps_all(words) or is_begun(words) else None


def _labelled(comment: str) -> list[str]:
    found = []
    for match in _LABEL.finditer(comment):
        stated = _ASIDE.split(match[1][:200].strip().removesuffix("*/").removesuffix("-->"))[0].strip(" .,;*#-\t\r")
        name = normalise(stated) if len(stated) <= 100 else ""
        postfix = parse(name)
        if postfix and all(token in ("AND", "OR") or identifier(token) for token in postfix):
            found.append(name)
    return list(dict.fromkeys(found))


def _under(words: str) -> list[str]:
    found = []
    for match in _UNDER.finditer(words):
        at, ids, how = match.end(), [], "OR" if match["dual"] else "AND"
        while (named := _name(words, at)) is not None:
            id, at = named
            ids.append(id)
            choice = _CHOICES.match(words, at)
            if choice is None:
                break
            how = "OR" if choice[1] == "or" else how
            at = choice.end()
        if ids:
            found.append(joined(ids, how))
    return list(dict.fromkeys(found))


def _name(words: str, at: int) -> tuple[str, int] | None:
    """The licence that a text names at a place, and where its name ends."""
    for id, pattern in _NAMED:
        if match := pattern.match(words, at):
            return id, match.end()
    match = _GNU.match(words, at)
    if match is None:
        return None
    name = match["short"] or {"affero ": "agpl", None: "gpl"}.get(match["kind"], "lgpl")
    later = " or later" if match["later"] else ""
    known = normalise(f"{name} {match['major']}.{match['minor'] or 0}{later}" if match["major"] else name)
    return (known, match.end()) if identifier(known) else None
