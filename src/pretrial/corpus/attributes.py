"""Attributes of documents that are computed from their text, so that a source can be split by them.

Guarantees: an attribute is a pure function of text and fields with a version; a document that it does not apply to has
none. Attributes that a source gives itself (language, license, site, score, …) are fields and need no entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pretrial.corpus.comments import LANGUAGES, comment_share
from pretrial.corpus.rules.measures import alphabetic_share, line_lengths, mean_line
from pretrial.corpus.rules.result import language

Value = float | int | str | None


@dataclass(frozen=True)
class Attribute:
    """A computed attribute: its version, what it is in a line, a pure function, and whether that gives a share."""

    version: int
    what: str
    compute: Callable[[str, Mapping[str, Any]], Value]
    share: bool = False


def _comments(text: str, fields: Mapping[str, Any]) -> Value:
    said = language(fields)
    return comment_share(text, said) if said in LANGUAGES else None


ATTRIBUTES: dict[str, Attribute] = {
    "comment-share": Attribute(
        2,
        "share of a source file's characters in comments, for languages whose comments are known; an estimate, from "
        "a quick scan for marks and strings",
        _comments,
        share=True,
    ),
    "characters": Attribute(1, "characters", lambda text, _: len(text)),
    "lines": Attribute(2, "lines", lambda text, _: len(line_lengths(text))),
    "mean-line": Attribute(2, "mean length of a line, in characters", lambda text, _: mean_line(text)),
    "alphabetic-share": Attribute(
        1, "share of the characters that are letters", lambda text, _: alphabetic_share(text), share=True
    ),
}
"""By the names under which `keep` and `split` know them."""
