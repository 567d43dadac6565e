"""Which site a dump is of, by the names that it has.

Guarantees: standard library only; a pure function of the name.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_SITE = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", re.IGNORECASE)
_PACKED = re.compile(r"(?:-Posts)?\.(?:7z|zip|xml|gz|zst)(?:\.(?:gz|zst))?$", re.IGNORECASE)


def site_of(name: str) -> str:
    """A host name in a path, in small letters: its last part that looks like one (`cooking.stackexchange.com.7z`).

    Empty where none does.
    """
    for part in reversed(PurePosixPath(name).parts):
        bare = _PACKED.sub("", part)
        if _SITE.fullmatch(bare) and bare.lower() != "posts.xml":
            return bare.lower()
    return ""
