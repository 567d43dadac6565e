"""Which licences a corpus may hold: `permissive`, or those that a study lists.

`permissive` is what The Stack means by it: the Blue Oak Council's list (Kocetkov et al., arXiv 2211.15533), to which
The Stack v2 adds licences that ScanCode has as Permissive or Public Domain (arXiv 2402.19173, section 2.1). MPL, EPL
and LGPL, which The Stack held in its first release and took out in version 1.1, are not among them, nor is CC-BY-SA;
CC-BY and CC0-1.0 are.

An expression is allowed when its licences are: all of an AND, one of an OR. An exception (WITH) only adds permissions,
so that a licence that is allowed stays so with it. A document of which no licence is known is dropped unless the policy
says `unknown`: The Stack left such repositories out; The Stack v2 kept them and is for that called "permissive or no
licence".
Does not: give legal advice. A policy sorts by names; that a name is true of a file is the source's word or `detect`'s.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.licences.expression import decide, parse
from pretrial.corpus.licences.names import (
    BLUE_OAK,
    BSD,
    KNOWN,
    NO_LICENCE,
    PUBLIC_DOMAIN,
    SCANCODE_PERMISSIVE,
    identifier,
    normalise,
    normalised,
)
from pretrial.corpus.rules.result import Result, Rule
from pretrial.errors import RequestError

PERMISSIVE: frozenset[str] = BLUE_OAK | SCANCODE_PERMISSIVE | {BSD, PUBLIC_DOMAIN}
"""SPDX identifiers that the policy `permissive` allows."""

# SPDX's exceptions whose names do not say that they are some. What is neither (`Commons-Clause`) takes rights away.
_EXCEPTIONS = frozenset({"linux-syscall-note", "gpl-cc-1.0", "llgpl", "shl-2.0", "shl-2.1"})


@dataclass(frozen=True)
class Policy:
    """Licences that are allowed.

    Attributes:
        allow: `"permissive"`, and SPDX identifiers (`"MPL-2.0"`) or pairs with an exception. `"GPL-3.0"` stands for all
            its forms (`-only`, `-or-later`); `"GPL-3.0-or-later"` for itself.
        unknown: whether a document stays of which no licence is known.

    Raises:
        RequestError: when an entry is neither, or an identifier that SPDX does not list.
    """

    allow: tuple[str, ...] = ("permissive",)
    unknown: bool = False

    def __post_init__(self) -> None:
        for entry in self.allow:
            if entry == "permissive":
                continue
            known = normalise(entry)
            postfix = parse(known)
            names = {name.lower(): name for name in sorted({*KNOWN, "permissive"})}
            near = difflib.get_close_matches(entry.lower(), names, 1, cutoff=0.7)
            if postfix is None or len(postfix) != 1 or not _exists(known, bool(near)):
                raise RequestError(
                    f"`{entry}` is no licence's SPDX identifier",
                    where="license: allow",
                    remedy=f"Did you mean {names[near[0]]}?"
                    if near
                    else 'List "permissive" and SPDX identifiers, one an entry: ["permissive", "MPL-2.0"]; a licence '
                    "that SPDX does not list is LicenseRef-NAME.",
                )

    def allows(self, expression: str | None) -> bool:
        """Whether a document under this SPDX expression, or a licence's usual name, may stay.

        What cannot be read as either is a licence, but none that is allowed.
        """
        return _allows(self.allow, self.unknown, normalise(expression or ""))


def _exists(name: str, near: bool) -> bool:
    """Whether there is such a licence: by the names known here, which are not all, then by SPDX's whole list.

    `near`: whether it is like one that is known, which decides where the library with the list is too old.
    """
    if identifier(name):
        return True
    try:
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
    except ImportError:
        return not near
    try:
        canonicalize_license_expression(name)
    except InvalidLicenseExpression:
        return False
    return True


@dataclass(frozen=True)
class LicencePolicy:
    """Drops documents by their licence, the field `license`: an expression, a name or a list of names, which all apply.

    `allow` and `unknown` are those of `Policy`. Reasons: `license` where the licence is not allowed, `no-license` where
    none is known; the value is the SPDX expression, or the name as it came where it is not known.
    """

    name: ClassVar[str] = "license"
    version: ClassVar[int] = 1

    allow: tuple[str, ...] = ("permissive",)
    unknown: bool = False

    def __post_init__(self) -> None:
        Policy(self.allow, self.unknown)

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        """The document as it came, or dropped by its field `license`."""
        stated = fields.get("license")
        if isinstance(stated, list | tuple):
            expression = normalised([str(name) for name in stated if name is not None])
        else:
            expression = normalise(str(stated or ""))
        if _allows(self.allow, self.unknown, expression):
            return Result(text)
        return Result(text, reason="license" if expression else "no-license", value=expression)


@functools.lru_cache(maxsize=4096)
def _allows(allow: tuple[str, ...], unknown: bool, expression: str) -> bool:
    if not expression:
        return unknown
    postfix = parse(expression)
    if postfix is None:
        return False
    allowed = _allowed(allow)

    def one(leaf: str) -> bool:
        leaf = leaf.lower()
        if leaf in NO_LICENCE:
            return unknown
        base, _, exception = leaf.partition(" with ")
        if exception and "exception" not in exception and exception not in _EXCEPTIONS:
            return leaf in allowed
        return bool({leaf, base, base.removesuffix("+")} & allowed)

    return decide(postfix, one)


@functools.lru_cache(maxsize=64)
def _allowed(allow: tuple[str, ...]) -> frozenset[str]:
    ids: set[str] = set()
    for entry in allow:
        if entry == "permissive":
            ids |= PERMISSIVE
        else:
            known = normalise(entry)
            ids |= {known, f"{known}-only", f"{known}-or-later"}
    return frozenset(id.lower() for id in ids)


RULES: tuple[type[Rule], ...] = (LicencePolicy,)
