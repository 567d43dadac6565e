"""Why readers leave something out, in words: for people who look at a funnel, and for the table in the reference.

Guarantees: every reason that a reader, the plan of a source or the copy of an installation can give is here (a test
reads them off the code). Does not: know the reasons of rules, which are names of their thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pretrial.corpus.near.spec import LIMIT

SKIPPED = MappingProxyType(
    {
        "answer-without-question": "an answer whose question is not in the file",
        "binary": "a file that holds a zero byte",
        "bot": "a commit by an automatic account",
        "cap-group": "a file beyond `cap-group` of its package",
        "empty": "a file, notebook or file of records in which there is nothing",
        "few-answers": "a question with fewer answers than `min-answers`",
        "generated": "a generated or minified file, or a lock file; `generated: true` keeps them",
        "large-diff": "a commit that changes more text than `max-diff`",
        "lfs-pointer": "a pointer of Git LFS in the place of a file",
        "licence": "a licence file: read for what it says, no document",
        "link": "a link in an archive, repository or tree of files; links are not followed",
        "low-score": "a question with a score below `min-score`",
        "low-score-answer": "an answer with a score below `min-answer-score`; its thread stays",
        "many-files": "a commit that changes more files than `max-files`, or than its form shows",
        "merge": "a commit that joins branches",
        "nested-archive": "an archive inside an archive",
        "no-description": "a package without a description",
        "no-docstring": "a Python file without a docstring",
        "no-message": "a commit without a message",
        "no-text-changed": "a commit that changes no text that can be shown",
        "old-notebook-format": "a notebook older than format 3",
        "only-docstrings": "a Python file of which nothing is left without its docstrings",
        "other-language": "a file of a language that was not asked for",
        "other-post": "a post that is neither question nor answer",
        "shallow": "a commit at the edge of a shallow clone: what it changed is not there",
        "special-file": "a device, pipe or the like in an archive or repository",
        "submodule": "another repository's place in a repository",
        "unknown-language": "a notebook whose language is not known",
        "unwanted": "a file of an archive or repository that was not asked for, such as one of another language",
        "version-bump": "a commit whose message only names a version",
    }
)
"""Left out by design, by reason: counted; what would have been a document is listed with place and value, too."""

QUARANTINED = MappingProxyType(
    {
        "archive-bomb": "an archive, packed file or row group that unpacks to far more than it should",
        "corrupt-archive": "an archive that is damaged; what comes before the damage is read",
        "corrupt-file": "a file that is damaged; what comes before the damage is read",
        "corrupt-member": "a file of an archive whose bytes are not those that were packed",
        "corrupt-object": "an object of a repository that does not hold what its id says",
        "corrupt-pack": "a pack of a repository that is damaged",
        "damaged-repository": "a repository in which the revision asked for, or a pack where it may be, is broken",
        "dangling-link": "a link that leads nowhere",
        "duplicate-member": "a name that an archive or a tree has twice",
        "empty-text": "a record whose text is empty",
        "encrypted-member": "a file of an archive that is locked by a password",
        "incomplete-post": "a post without a number that it needs, such as its id",
        "linked-repository": "a link to a repository; links are not followed",
        "malformed-json": "a line or notebook that is not JSON, or is nested too deep",
        "malformed-notebook": "JSON that is no notebook of a known format",
        "malformed-xml": "a line that is not XML",
        "missing-object": "an object of a repository that is not there",
        "no-posts-xml": "a dump without `Posts.xml`",
        "no-text": "a record without the text field",
        "not-a-file": "a folder, pipe, socket or device in the place of a file",
        "not-an-archive": "a file in the place of an archive that is none, or empty",
        "not-an-object": "a line of JSON that is no object",
        "oversize-line": "a line longer than is read, or with more lists, maps and values",
        "oversize-member": "a file of an archive larger than is read",
        "oversize-notebook": "a notebook larger than is read",
        "oversize-object": "a file of a repository larger than is read",
        "oversize-post": "a post, or a question with its answers or comments, longer than is read",
        "oversize-tree": "a repository with more bytes of files than are read; those before are",
        "refused-xml": "XML with a document type or an entity, or nested too deep",
        "repeated-post": "a post whose id another has",
        "sparse-member": "a file with holes in an archive",
        "system-file": "a file of `/proc` or `/sys`, whose bytes the system makes up while it is read",
        "text-not-a-string": "a record whose text field is no text",
        "too-many-members": "an archive, tree or commit with more entries than are read",
        "truncated-archive": "an archive that ends too soon; what comes before is read",
        "truncated-file": "a file that ends too soon; what comes before is read",
        "undecodable": "text that is not UTF-8, or holds half a character",
        "unparsable-python": "Python that cannot be parsed, where its docstrings are asked for or taken out",
        "unreadable-file": "a file that could not be opened and read",
        "unreadable-folder": "a folder that could not be listed; nothing that lies in it was read",
        "unreadable-object": "an object of a repository that could not be opened and read",
        "unreadable-pack": "a pack of a repository that could not be opened, or its packs that could not be listed",
        "unreadable-repository": "a repository without the revision that was asked for",
        "unsafe-name": "a file whose name is empty, leads outside or is too long",
        "unsafe-pack": "a pack of a repository that is no regular file",
        "unsafe-repository": "a repository that leads outside of its folder",
        "unsupported-compression": "a file of an archive packed in a way that is not known",
    }
)
"""Should have been a document and could not be used, by reason: counted and listed with place and beginning."""


def in_words(reason: str) -> str:
    """What a reason means, without marks of Markdown; empty for one that is not known."""
    return (SKIPPED.get(reason) or QUARANTINED.get(reason) or "").replace("`", "")


def crowd(found: Mapping[str, Any]) -> str:
    """What a search for near-duplicates says of crowded documents (`distributions.near_duplicates`), in words."""
    return (
        f"{found['crowded']:,} documents of all sources share much with more than {LIMIT} others, as pages of one "
        f"template do; each was compared with {LIMIT} of them and with those that share words which few of them have."
    )
