"""The language reference that ships with Python (`pydoc_data.topics`): one document a topic.

Guarantees: topics in alphabetical order, texts as they are.
Does not: import the module; its one literal is evaluated as a literal.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pretrial.corpus.readers.record import Blob, Item, Record, Reject, decoded, excerpt


def read_topics(blob: Blob) -> Iterator[Item]:
    """The topics in the source of `pydoc_data/topics.py`."""
    text = decoded(blob)
    if not isinstance(text, str):
        yield text
        return
    try:
        topics = next(
            ast.literal_eval(node.value)
            for node in ast.parse(text).body
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["topics"]
        )
    except (SyntaxError, ValueError, StopIteration) as error:
        yield Reject("unparsable-python", blob.name, excerpt(str(error)))
        return
    for topic in sorted(topics):
        body = topics[topic]
        where = f"{blob.name}:{topic}"
        if body.strip():
            yield Record(topic, body, where, {**blob.fields, "title": topic, "topic": topic})
        else:
            yield Reject("empty-text", where, "")
