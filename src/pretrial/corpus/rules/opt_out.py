"""Documents whose owners do not want them used (The Stack v2, arXiv 2402.19173, section 2.1.1: "Am I in The Stack").

Guarantees: what is listed goes; the lists bear identity as every threshold does.
Does not: know any list. BigCode's own is behind its data set's terms; a study names the repositories and paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from pretrial.corpus.rules.result import Check, Measured, Rule

_HOST = re.compile(r"^(?:https?://|git@)?[\w.-]+\.[a-z]+[/:]")
_END = re.compile(r"(?:\.git)?/*$")


@dataclass(frozen=True)
class OptOut(Measured):
    """Drops documents of listed `repositories` (`OWNER/NAME`, or `OWNER` for all of an owner's) and `paths` (globs).

    Repositories are compared in any case, without host and `.git`; a document of no known repository or path stays.
    """

    name: ClassVar[str] = "opt-out"
    version: ClassVar[int] = 1

    repositories: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def checks(self, text: str, fields: Mapping[str, Any]) -> Iterator[Check]:
        repository = fields.get("repository")
        if isinstance(repository, str) and repository:
            plain = _plain(repository)
            listed = {_plain(one) for one in self.repositories}
            yield "repository", repository, plain in listed or ("/" in plain and plain.partition("/")[0] in listed)
        path = fields.get("path")
        if isinstance(path, str) and path:
            yield "path", path, any(fnmatchcase(path, pattern) for pattern in self.paths)


def _plain(repository: str) -> str:
    name = repository.strip().lower()
    return _END.sub("", _HOST.sub("", name)) if "/" in name else name


RULES: tuple[type[Rule], ...] = (OptOut,)
