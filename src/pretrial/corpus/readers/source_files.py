"""Source files: one document a file, in the languages asked for.

Guarantees: binary, empty, generated, lock and licence files are skipped and counted by reason; text is the
file's own bytes without a byte-order mark.
Does not: follow links (the plan lists regular files only), or detect languages from content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pretrial.corpus.languages import is_generated_name, is_generated_text, is_licence, language_of
from pretrial.corpus.readers.docstrings import without_docstrings
from pretrial.corpus.readers.record import Blob, Item, Record, Reject, Skip, decoded, excerpt


def read_source_file(blob: Blob, *, languages: Sequence[str], drop_docstrings: bool) -> Iterator[Item]:
    """The file as a record, or why it is none. With `drop_docstrings` Python code loses its docstrings."""
    language = language_of(blob.name)
    if language not in languages:
        yield Skip("other-language", len(blob.data))
        return
    if is_licence(blob.name):
        yield Skip("licence", len(blob.data))
        return
    text = decoded(blob)
    if not isinstance(text, str):
        yield text
        return
    if is_generated_name(blob.name) or is_generated_text(text):
        yield Skip("generated", len(blob.data))
        return
    if drop_docstrings and language == "python":
        try:
            text = without_docstrings(text)
        except (SyntaxError, ValueError, RecursionError) as error:
            yield Reject("unparsable-python", blob.name, excerpt(str(error)))
            return
        if not text.strip():
            yield Skip("only-docstrings", len(blob.data))
            return
    yield Record(blob.name, text, blob.name, {"path": blob.name, **blob.fields, "language": language})
