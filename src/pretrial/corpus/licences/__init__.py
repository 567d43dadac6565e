"""Licences of documents: found in texts, read from names, judged by a policy.

`detect` and `header` say which licence a text holds, `normalise` what a name means, `Policy` and the rule
`LicencePolicy` which documents stay. All speak SPDX expressions. Standard library only, no files, no network.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from pretrial.corpus.languages import is_licence
from pretrial.corpus.licences.names import normalise
from pretrial.corpus.licences.policy import PERMISSIVE, LicencePolicy, Policy
from pretrial.corpus.licences.texts import detect, header

__all__ = ["PERMISSIVE", "LicencePolicy", "Policy", "detect", "header", "is_licence_name", "normalise"]

# Notices, patent grants and third parties' licences go with a licence, they are not the one of the work.
_BESIDE = re.compile(r"(?:notices?|patents|third.?party.*)(?:[.\-_].*)?", re.IGNORECASE)
_NAMED = re.compile(
    r"(?:mit|x11|bsd|apache2?|[al]?gpl|mpl|epl|cc0|cc.by|ofl|artistic|psf|python|boost)[-_. ]?licen[cs]es?(?:[-_.].*)?"
    r"|copying\d+(?:[-_.].*)?|licen[cs]e\d+(?:[-_.].*)?|[al]?gpl[-_.]?v?[\d.]*(?:\.txt|\.md)?|ofl\.txt",
    re.IGNORECASE,
)
_DATA = frozenset(
    {".json", ".yaml", ".yml", ".xml", ".toml", ".csv", ".lock", ".svg", ".png", ".css", ".scss", ".tmpl"}
)


def is_licence_name(path: str) -> bool:
    """Whether a file of this name holds the licence of what lies beside it.

    `LICENSE`, `LICENCE.md`, `COPYING.LESSER`, `UNLICENSE`, `MIT-LICENSE.txt`, `LICENSES/MIT.txt`; not `NOTICE`,
    `license.py` or `licenses.json`. Narrower than `languages.is_licence`, which says what is no document.
    """
    name = PurePosixPath(path)
    if name.suffix.lower() in _DATA or _BESIDE.fullmatch(name.name):
        return False
    if is_licence(path) or _NAMED.fullmatch(name.name):
        return True
    # The layout of the REUSE specification: LICENSES/<identifier>.txt.
    return name.suffix == ".txt" and name.parent.name == "LICENSES"
