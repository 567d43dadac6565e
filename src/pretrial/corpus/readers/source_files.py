"""Source files: one document a file, in the languages asked for.

Guarantees: binary, empty, lock and licence files and, unless they are asked for, generated ones are skipped, with what
marks them; text is the file's own bytes without a byte-order mark.
Does not: follow links (the plan lists them as skipped), or detect languages from content.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from pretrial.corpus.languages import generated_mark, is_licence, language_of
from pretrial.corpus.readers.docstrings import without_docstrings
from pretrial.corpus.readers.record import Blob, Item, Record, Reject, Skip, decoded, excerpt


def read_source_file(
    blob: Blob, *, languages: Sequence[str], drop_docstrings: bool, generated: bool = False
) -> Iterator[Item]:
    """The file as a record, or why it is none.

    Args:
        blob: the file.
        languages: those asked for.
        drop_docstrings: Python code loses its docstrings.
        generated: files stay that say that a tool wrote them, minified and lock files, too.
    """
    language = language_of(blob.name)
    if language not in languages:
        yield Skip("other-language", len(blob.data))
        return
    if is_licence(blob.name):
        yield Skip("licence", len(blob.data), blob.name, PurePosixPath(blob.name).name, excerpt(blob.data))
        return
    text = decoded(blob)
    if not isinstance(text, str):
        yield text
        return
    if not generated and (mark := generated_mark(blob.name, text)):
        yield Skip("generated", len(blob.data), blob.name, excerpt(mark), excerpt(text))
        return
    if drop_docstrings and language == "python":
        begins = excerpt(text)
        try:
            text = without_docstrings(text)
        except (SyntaxError, ValueError, RecursionError) as error:
            yield Reject("unparsable-python", blob.name, excerpt(str(error)))
            return
        if not text.strip():
            yield Skip("only-docstrings", len(blob.data), blob.name, len(text.encode()), begins)
            return
    yield Record(blob.name, text, blob.name, {"path": blob.name, **blob.fields, "language": language})
