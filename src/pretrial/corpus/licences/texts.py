"""Which licence a text holds, and which a source file's header names.

Guarantees: the answer is an SPDX expression that follows from the text alone; at most `READ` characters are looked at,
in time linear in them, hostile or not. Copyright lines, wrapping, punctuation, Markdown, HTML and comment marks make no
difference. A text with several licences gives all of them, joined by AND in the order of the text: where a file offers
a choice among the texts that it quotes, AND is the careful reading. Restrictions put beside a permissive text ("for
research purposes only", the Commons Clause) add `LicenseRef-restricted` or `LicenseRef-Commons-Clause`.
Does not: compare texts word by word. Licences are known by short phrases (`signatures`), so that a text altered outside
of them passes for the licence that it alters; good enough to sort corpora, not to clear rights. Translations are
not known. Creative Commons' national versions are reported as the international one of the same number.

GNU licences: a text without a notice that says "only" or "or any later version" is reported without either (`GPL-3.0`),
for the text leaves it open; the notice that the licence itself quotes as an example does not count. Where notices for
one version say both, "or any later version" is reported.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterator

from pretrial.corpus.licences.expression import joined, parse
from pretrial.corpus.licences.names import KNOWN, PUBLIC_DOMAIN, RESTRICTED, identifier, normalise
from pretrial.corpus.licences.signatures import (
    EXCEPTIONS,
    FAMILIES,
    INCLUDES,
    MENTIONS,
    RESTRICTIONS,
    TEMPLATE,
    TEMPLATE_REACH,
    Family,
)

READ = 1 << 18
"""Characters of a licence file that are looked at; the longest common licence has 36,000."""
HEAD = 4096
"""Characters of a source file that are looked at for an SPDX line."""
POINTER = 1500
"""Characters in normal form up to which a text without a licence's own words may be a pointer to one."""

_TAG = re.compile(r"<[A-Za-z/!][^<>]{0,500}>")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});")
_LINK = re.compile(r"<(?=https?://)")
_WORDS = re.compile(r"[a-z0-9]+")
_HEADER = re.compile(r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9(][A-Za-z0-9.+:() \t-]{0,300})")
_COPYRIGHT = re.compile(r"^[^\w\n]*(?:copyright|\(c\)|©|all rights reserved).*$", re.IGNORECASE | re.MULTILINE)

_GNU_NAME = (
    r"gnu (?:(?P<kind>affero |lesser |library )?(?:general |generic )?public license(?: [al]?gpl)?|(?P<short>[al]?gpl))"
)
_GNU = re.compile(
    rf"\b{_GNU_NAME}(?: as published by the free software foundation(?: inc)?)?(?: either| only)?"
    r" (?:version |v )v?(?P<major>[123])(?: (?P<minor>[01]))?\b"
    r"(?: dated [a-z]+(?: [0-9]{1,2})? [0-9]{4})?(?: of the license| of the gpl)?"
    r"(?: as published by the free software foundation)?"
    r"(?P<which> or (?:at your (?:option|choice) )?(?:any )?(?:later|newer)| only\b| and no (?:later|other))?"
)
_GNU_BEFORE = re.compile(
    r"\bversion (?P<major>[123])(?: (?P<minor>[01]))?"
    r"(?P<which> or (?:at your option )?(?:any )?later(?: version)?)?(?: of the license)?"
    rf" (?:of the )?(?:terms of the )?{_GNU_NAME}\b(?! into a single| supplemented| that is incorporated)"
)
_CONTEXT = re.compile(r"\b(?:under|terms of|terms and conditions of|covered by|governed by|conditions of)\b")
_COMMONS = re.compile(
    r"\b(?:creative commons |legal code )?attribution"
    r"((?: non ?commercial| share ?alike| no ?deriv(?:ative)?s)*) ([1-4]) ([05])"
    r"(?= (?:international|unported|generic|license|public|united|[a-z]+\b))"
)
_COMMONS_LINK = re.compile(r"\bcreativecommons org licenses by((?: nc| sa| nd)*) ([1-4]) ([05])\b")
_DOMAIN = re.compile(
    r"\b(?:this|the) (?:software|work|code|program|file|project|library|source code|package)"
    r" (?:(?:is|has been) )?(?:hereby )?(?:in|(?:placed|released|dedicated|put) (?:in|into|to)) the public domain\b"
)
_MENTION = tuple((id, re.compile(rf"\b(?:{pattern})\b")) for id, pattern in MENTIONS)
_CHOICE = re.compile(r"\b(?:either|at your option|your choice|dual licensed|dual license|or the)\b")
# A short text about something else than the work as a whole points nowhere.
_NO_POINTER = re.compile(
    r"\b(?:third party|portions? of|parts? of|components?|dependenc\w*|proprietary|except\w*|exclud\w*"
    r"|unless otherwise)\b"
)


def detect(text: str) -> str | None:
    """The SPDX expression of a licence file's text; `None` where no licence is known in it.

    Looked for in this order: licences' own words and notices; an `SPDX-License-Identifier` line; in a short text a bare
    name ("MIT License") or a pointer ("under the MIT or Apache 2.0 license, at your option", the one case of OR).
    """
    text = text[:READ]
    words = plain(text)
    found = quoted(words)
    if not found:
        stated = header(text) or _pointed(text, words)
        found = [stated] if stated else []
    if found and not any("-NC-" in id for id in found) and any(phrase in words for phrase in RESTRICTIONS):
        found.append(RESTRICTED)
    return joined(found, "AND") if found else None


def header(text: str) -> str | None:
    """The expression of a source file's `SPDX-License-Identifier` lines in its first 4 KB; `None` without one.

    Several lines (files joined from parts) are joined by AND. A line that is no expression counts as none.
    """
    found = [stated for match in _HEADER.finditer(text[:HEAD]) if (stated := _leading(match[1]))]
    return joined(found, "AND") if found else None


def quoted(words: str) -> list[str]:
    """Licences whose own words or notices stand in a text in its normal form."""
    return _with_exceptions(words, _settled([id for _, id in sorted(_quoted(words))], words))


def is_begun(words: str) -> bool:
    """Whether a text in its normal form opens as some licence does, be it one that is known or not."""
    return any(anchor in words for anchor, _ in _anchors())


def plain(text: str) -> str:
    """The normal form: lower-case words of letters and digits, a space between, "license" for "licence"."""
    if "<" in text:
        text = _TAG.sub(" ", _LINK.sub(" ", text))
    if "&" in text:
        text = _ENTITY.sub(" ", text)
    return " ".join(_WORDS.findall(text.lower().replace("licence", "license")))


def _leading(line: str) -> str | None:
    """The longest expression that a line begins with: what follows closes the comment or is prose."""
    tokens = line.split()
    for end in range(min(len(tokens), 40), 0, -1):
        candidate = " ".join(tokens[:end]).rstrip("-.:")
        if parse(candidate) is not None:
            return normalise(candidate) or None
    return None


@functools.cache
def _anchors() -> tuple[tuple[str, Family], ...]:
    return tuple((anchor, family) for family in FAMILIES for anchor in family.anchors)


def _quoted(words: str) -> Iterator[tuple[int, str]]:
    """Where in the text which licence's own words or notice stand."""
    marks = sorted((at, family) for anchor, family in _anchors() for at in _places(words, anchor))
    for index, (at, family) in enumerate(marks):
        end = min(at + family.reach, marks[index + 1][0] if index + 1 < len(marks) else len(words))
        # A text may follow another of the same file by name: what lies before the next anchor's sentence is enough.
        stretch = words[at : max(end, at + 1)]
        for variant in family.variants:
            if all(phrase in stretch for phrase in variant.has) and not any(p in stretch for p in variant.lacks):
                yield at, variant.id
                break
    yield from _gnu_notices(words)
    yield from _commons(words)


def _places(words: str, phrase: str) -> Iterator[int]:
    at = words.find(phrase)
    while at >= 0:
        yield at
        at = words.find(phrase, at + len(phrase))


def _gnu_notices(words: str) -> Iterator[tuple[int, str]]:
    templates = list(_places(words, TEMPLATE))
    for pattern in (_GNU, _GNU_BEFORE):
        for match in pattern.finditer(words):
            at = match.start()
            last = bisect.bisect_left(templates, at) - 1
            if last >= 0 and at - templates[last] < TEMPLATE_REACH:
                continue
            before = words[max(at - 60, 0) : at]
            if not _CONTEXT.search(before) or before.endswith(("will remain governed by ", "section 7 of the ")):
                continue
            name = match["short"] or {"affero ": "agpl", "lesser ": "lgpl", "library ": "lgpl"}.get(
                match["kind"], "gpl"
            )
            which = match["which"]
            suffix = "-or-later" if which and ("later" in which or "newer" in which) and "no " not in which else "-only"
            known = f"{name.upper()}-{match['major']}.{match['minor'] or 0}{suffix}"
            if known in KNOWN:
                yield at, known


def _commons(words: str) -> Iterator[tuple[int, str]]:
    for pattern in (_COMMONS, _COMMONS_LINK):
        for match in pattern.finditer(words):
            terms = match[1]
            short = "BY" + ("-NC" if "com" in terms or " nc" in terms else "")
            short += (
                "-SA" if "share" in terms or " sa" in terms else "-ND" if "deriv" in terms or " nd" in terms else ""
            )
            if known := identifier(f"CC-{short}-{match[2]}.{match[3]}"):
                yield match.start(), known


def _settled(found: list[str], words: str) -> list[str]:
    """The licences once each, without what another of them includes or says more exactly."""
    ids = list(dict.fromkeys(found))
    for whole, parts in INCLUDES:
        if whole in ids:
            ids = [id for id in ids if id not in parts]
    if "Python-2.0" in ids and "python 1 6 1" in words:
        # SPDX calls Python's stack of licences 2.0.1 from Python 1.6.1's terms on.
        ids[ids.index("Python-2.0")] = "Python-2.0.1"
    for base in [id for id in ids if f"{id}-only" in KNOWN]:
        # The full text beside a notice that says which versions: the notice decides.
        exact = [id for id in ids if id in (f"{base}-only", f"{base}-or-later")]
        if exact:
            ids.remove(base)
    for base in ("GPL-2.0", "GPL-3.0", "LGPL-2.1", "LGPL-3.0", "AGPL-3.0"):
        if f"{base}-or-later" in ids and f"{base}-only" in ids:
            # Shortened notices follow the full one.
            ids.remove(f"{base}-only")
    if any(" OR " in id for id in ids):
        ids = [
            id for id in ids if " OR " in id or not any(id in other.split(" OR ") for other in ids if " OR " in other)
        ]
    return ids


def _with_exceptions(words: str, ids: list[str]) -> list[str]:
    for exception, phrase, bases, default in EXCEPTIONS:
        if phrase in words:
            named = [f"{id} WITH {exception}" if id in bases else id for id in ids]
            ids = named if named != ids or not default else [*ids, f"{default} WITH {exception}"]
    return ids


def _pointed(text: str, words: str) -> str | None:
    if len(words) > POINTER:
        return None
    rest = _COPYRIGHT.sub("", text).strip().strip("#*=-_ \t\r\n")
    if "\n" not in rest and 0 < len(rest) <= 100:
        named = normalise(rest)
        if (postfix := parse(named)) and all(token in ("AND", "OR") or identifier(token) for token in postfix):
            return named
    if _NO_POINTER.search(words):
        return None
    if found := _mentions(words):
        return joined(found, "OR" if len(found) > 1 and _CHOICE.search(words) else "AND")
    return PUBLIC_DOMAIN if _DOMAIN.search(words) else None


def _mentions(words: str) -> list[str]:
    places = sorted((match.start(), id) for id, pattern in _MENTION if (match := pattern.search(words)))
    ids = [id for _, id in places]
    return [id for id in ids if f"{id}-or-later" not in ids]
