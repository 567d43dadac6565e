"""Transforms: declared, versioned changes of a source's documents, to ask which property of a text it is that matters.

Guarantees: a transform is a pure function of a document, under the protocol of the rules; what it cannot transform it
drops with a reason, so that an arm never holds a mixture of changed and unchanged documents.
Does not: keep programs runnable where it says so.
"""

from __future__ import annotations

from pretrial.corpus.rules.result import Rule
from pretrial.corpus.transforms.code import DropDocstrings, RenameIdentifiers, ShuffleLines, StripComments

TRANSFORMS: dict[str, type[Rule]] = {
    transform.name: transform for transform in (StripComments, DropDocstrings, RenameIdentifiers, ShuffleLines)
}
