"""Sources that have the same documents: a source that is read, and all that is made from it.

Guarantees: pure; sources whose parent is missing, or that are made from each other in a circle, end where that shows.
Does not: read documents. Whether two sources have some in common is told from what the study says alone: values and
ranges of one field that exclude each other. All else counts as common.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pretrial.corpus.attributes import ATTRIBUTES
from pretrial.corpus.languages import canonical

if TYPE_CHECKING:
    from pretrial.study.schema import Source


def line(sources: Mapping[str, Source], name: str) -> tuple[str, ...]:
    """A source, what it is made from, and so on up to the one that is read."""
    found = [name]
    while (parent := sources[found[-1]].parent) is not None and parent in sources and parent not in found:
        found.append(parent)
    return tuple(found)


def root(sources: Mapping[str, Source], name: str) -> str:
    """The source whose documents a source has: itself, unless it is derived."""
    return line(sources, name)[-1]


def unseen(sources: Mapping[str, Source], trained: Iterable[str]) -> tuple[str, ...]:
    """Sources of whose documents no mixture has any; `trained` are those of mixtures."""
    seen = {root(sources, name) for name in trained}
    return tuple(name for name in sources if root(sources, name) not in seen)


def domains(sources: Mapping[str, Source], trained: Iterable[str]) -> tuple[str, ...]:
    """Unseen sources on which transfer is read: of a family only those from which nothing is made.

    Otherwise the mean over domains would count the same documents more than once.
    """
    parents = {source.parent for source in sources.values()}
    return tuple(name for name in unseen(sources, trained) if name not in parents)


def needed(sources: Mapping[str, Source], used: Iterable[str]) -> tuple[str, ...]:
    """The sources to make, in order: all that are read, and derived ones in use with what they are made from."""
    wanted = {at for name in used for at in line(sources, name)}
    return tuple(name for name, source in sources.items() if source.parent is None or name in wanted)


def overlap(sources: Mapping[str, Source], one: str, other: str) -> bool:
    """Whether two sources may have documents in common."""
    mine, theirs = line(sources, one), line(sources, other)
    if mine[-1] != theirs[-1]:
        return False
    if one in theirs or other in mine:
        return True
    common = set(mine) & set(theirs)
    below = [[sources[name] for name in names if name not in common] for names in (mine, theirs)]
    # Of one text only: a measure is taken of what the rules left.
    same = below[0][-1].filter == below[1][-1].filter
    beside = (below[0][-1], below[1][-1])
    return not any(_apart(left, right, same and (left, right) == beside) for left in below[0] for right in below[1])


def _apart(one: Source, other: Source, measures: bool) -> bool:
    """Whether what two sources keep excludes each other."""
    for field, mine in (one.keep or {}).items():
        theirs = (other.keep or {}).get(field)
        if theirs is None or (field in ATTRIBUTES and not measures):
            continue
        if field == "license" and not (one.is_part and other.is_part):
            # Files under several licences are kept for any of them; only parts of a split share none.
            continue
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            if _below(mine, theirs) or _below(theirs, mine):
                return True
        elif not isinstance(mine, Mapping) and not isinstance(theirs, Mapping):
            values = [{canonical(v) if field == "language" else v for v in kept} for kept in (mine, theirs)]
            if not values[0] & values[1]:
                return True
    return False


def _below(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> bool:
    most, least = one.get("most"), other.get("least")
    return most is not None and least is not None and most < least
