"""Package descriptions: what a distribution says of itself in its metadata.

Guarantees: one document a distribution, its long description as it is.
Does not: render Markdown or reStructuredText.
"""

from __future__ import annotations

import email
import textwrap
from collections.abc import Iterator

from pretrial.corpus.readers.record import Blob, Item, Record, Skip, decoded, excerpt


def read_metadata(blob: Blob) -> Iterator[Item]:
    """The description in a `METADATA` file (core metadata 2.1: the body, before that a header)."""
    text = decoded(blob)
    if not isinstance(text, str):
        yield text
        return
    message = email.message_from_string(text)
    body = message.get_payload()
    description = body if isinstance(body, str) and body.strip() else message.get("Description", "")
    # A header's further lines are indented, by older tools with a bar.
    lines = [line.removeprefix("        |") for line in description.splitlines()]
    description = description if body == description else textwrap.dedent("\n".join(lines))
    if not description.strip() or description.strip() == "UNKNOWN":
        yield Skip("no-description", len(blob.data), blob.name, description.strip(), excerpt(blob.data))
        return
    fields = {**blob.fields, "title": message.get("Name", ""), "version": message.get("Version", "")}
    yield Record(blob.name, description.strip() + "\n", blob.name, fields)
