"""Problems of a study, gathered so that one look shows several, each with its place and the nearest word.

Guarantees: the error raised names the first problem in the fields that machines read (`where`, `what`,
`remedy`), and the next few in the remedy's text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pretrial.errors import RequestError

SHOWN = 5


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The right word that is nearest to a wrong one, or None where none is near."""
    folded = {name.casefold(): name for name in reversed(list(known))}
    for spelled in (word.casefold().replace("_", "-"), word.casefold()):
        if near := difflib.get_close_matches(spelled, folded, 1, 0.55):
            return folded[near[0]]
    return None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The remedy for a wrong word: the nearest right one, or all of them."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"did you mean {near!r}?"
    return "there is none" if not names else f"there {'is' if len(names) == 1 else 'are'} {join(names)}"


def join(names: Iterable[str], limit: int = 12) -> str:
    """Quoted names as a list for people."""
    quoted = [repr(name) for name in names]
    more = [] if len(quoted) <= limit else [f"{len(quoted) - limit} more"]
    quoted = quoted[:limit] + more
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1]


@dataclass
class Problems:
    """What is wrong with the study at `origin`; `marks` gives the line of a dotted key."""

    origin: str
    marks: Mapping[str, int]
    found: list[tuple[str, str, str | None]] = field(default_factory=list)

    def add(self, path: str, what: str, remedy: str | None = None) -> None:
        """Note a problem at a dotted key."""
        self.found.append((self.place(path), what, remedy))

    def place(self, path: str) -> str:
        """File, line and key of a dotted key, "study.yaml:12, sources.prose"; without lines, file and key."""
        return place(self.origin, self.marks, path)

    def nearest(self, *steps: str | int) -> str:
        """Dotted key of nested steps, those the file left out skipped (`evaluate:

        […]` for `evaluate.tasks`).
        """
        path = ""
        for i, step in enumerate(steps):
            longer = f"{path}.{step}" if path else str(step)
            if self.marks and longer not in self.marks and i < len(steps) - 1:
                continue
            path = longer
        return path

    def check(self) -> None:
        """Raise `RequestError` where there are problems."""
        if not self.found:
            return
        where, what, remedy = self.found[0]
        text = [remedy] if remedy else []
        for other in self.found[1:SHOWN]:
            said = f"{other[0]}: {other[1]}".replace("\n", "\\n")
            text.append(said + (f" ({other[2]})" if other[2] else ""))
        if len(self.found) > SHOWN:
            text.append(f"… and {len(self.found) - SHOWN} more")
        raise RequestError(what, where=where, remedy="\n  ".join(text) or None)


def place(origin: str, marks: Mapping[str, int], path: str) -> str:
    """See `Problems.place`."""
    held = path
    while held and held not in marks:
        held = held.rpartition(".")[0]
    file = f"{origin}:{marks[held]}" if held in marks else origin
    return f"{file}, {path}" if path else file
