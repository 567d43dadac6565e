"""Pages whose code is known by marks, and programs put between paragraphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from markdown_it import MarkdownIt

from labelled_pages.base import BLANK, CODE, LEAST, MARK, MOST, PROSE, Document, Page, digest, page
from labelled_pages.by_marks import html_labels
from labelled_pages.inputs import Inputs

Form = Callable[[str, str], tuple[str, str]]


def chosen(
    documents: Iterable[Document],
    kind: str,
    count: int,
    labels: Callable[[str], str],
    used: set[str],
    form: Form | None = None,
    least: float = 0.08,
    most: float = 0.8,
    wanted: Callable[[str, str], bool] = lambda text, labels: True,
) -> Iterator[Page]:
    """The first pages, in the order of their documents' hashes, that have enough code."""
    for document in sorted(documents, key=lambda one: digest(f"{kind}/{one.id}")):
        if count == 0:
            return
        if document.id in used or len(document.text) < LEAST:
            continue
        part = cut(document, labels(document.text), least, most)
        if part is None or not wanted(*part):
            continue
        used.add(document.id)
        text, marks = form(*part) if form else part
        yield page(document, kind, "construction", text, marks)
        count -= 1
    if count > 0:
        print(f"{kind}: {count} pages short")


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def cut(document: Document, labels: str, least: float, most: float, enough: int = LEAST) -> tuple[str, str] | None:
    """A part of a document with a share of code between two bounds, from a place that the document's id decides."""
    lines = document.text.split("\n")
    starts = [
        at
        for at, line in enumerate(lines)
        if line[:1].strip() and labels[at] == PROSE and (at == 0 or labels[at - 1] in (BLANK, MARK) or line[0] == "<")
        and not re.match(r"[=\-~^*#+]{3,}\s*$", line)
    ]  # fmt: skip
    if not starts:
        return None
    first = int(digest(document.id)[:8], 16) % len(starts)
    for start in starts[first:] + starts[:first]:
        for end in [at for at in starts if at > start] + [len(lines)]:
            size = _size(lines[start:end])
            if size > MOST:
                break
            if size < enough:
                continue
            part = labels[start:end]
            code = _size(line for line, label in zip(lines[start:end], part, strict=True) if label == CODE)
            if least <= code / size <= most and (MARK not in part[:1]):
                text = "\n".join(lines[start:end]).rstrip()
                return text, part[: text.count("\n") + 1]
    return None


def mixed_pages(inputs: Inputs, used: set[str]) -> Iterator[Page]:
    """Parts of programs in languages that the pages above hold little of, between paragraphs that have none."""
    programs = [
        replace(one, source=one.source.replace(" (GitHub sample, header-licensed files only)", ""), origin=_holder(one))
        for one in inputs.shared("code/code_misc", "facebookresearch/CodeGen")
        if one.license != "BSD"  # It does not say which.
    ]
    groups = (
        ([one for one in programs if re.search(r"(?m)^#include|^template|std::", one.text)], 16),
        ([one for one in programs if re.search(r"(?m)^import java|^package |public class", one.text)], 16),
        ([one for one in programs if re.search(r"(?m)^def |^from \w+ import", one.text)], 6),
        (inputs.files("postgresql/15/extension", "*.sql", "PostgreSQL 15 extensions", "PostgreSQL"), 10),
        (inputs.fortran(), 8),
        (inputs.files("doc/nodejs", "api/assets/*.css", "nodejs 20 documentation", "MIT"), 2),
        (inputs.files("cmake-3.25/Modules", "*.cmake", "cmake 3.25 modules", "BSD-3-Clause"), 6),
    )
    books = [one for one in inputs.shared("text/books_nonfiction_standardebooks") if one.id not in used]
    books = sorted(books, key=lambda one: digest(f"plain-mixed/{one.id}"))
    for documents, count in groups:
        for document in sorted(documents, key=lambda one: digest(f"plain-mixed/{one.id}")):
            if count == 0:
                break
            code = _fragment(document)
            paragraphs = [
                one for one in books[0].text.split("\n\n") if 250 <= len(one) <= 700 and not re.search(r"[|\n]", one)
            ]
            if code is None or document.id in used:
                continue
            while len(paragraphs) < 2:
                books.pop(0)
                paragraphs = [
                    one
                    for one in books[0].text.split("\n\n")
                    if 250 <= len(one) <= 700 and not re.search(r"[|\n]", one)
                ]
            book = books.pop(0)
            used.update((document.id, book.id))
            text, labels = _between(paragraphs, code, len(books) % 4)
            origin = f"{document.origin}; text: {book.origin} (CC0-1.0)"
            yield page(replace(document, origin=origin), "plain-mixed", "construction", text, labels)
            count -= 1
        if count:
            print(f"plain-mixed: {count} pages short")


def _holder(document: Document) -> str:
    """The line of a program's head that says whose it is."""
    found = re.search(r"(?i)copyright[^\n]*", document.text)
    return f"{document.id}: {found[0].strip(' */#') if found else ''}"


def _fragment(document: Document) -> list[str] | None:
    """Ten to forty lines of a program, from a blank line in its second quarter on."""
    lines = [line.rstrip() for line in document.text.expandtabs(4).split("\n")]
    start = next((at for at in range(len(lines) // 4, len(lines)) if lines[at] and not lines[at - 1]), None)
    if start is None:
        return None
    end, size = start, 0
    while end < len(lines) and end - start < 40 and size < 1500:
        size += len(lines[end]) + 1
        end += 1
    while end > start and not lines[end - 1]:
        end -= 1
    return lines[start:end] if end - start >= 10 and max(map(len, lines[start:end])) < 200 else None


def _between(paragraphs: list[str], code: list[str], number: int) -> tuple[str, str]:
    """Two paragraphs with a program between them, wrapped or not, with blank lines or not, indented or not."""
    import textwrap

    before, after = ([line] if number % 2 else textwrap.wrap(line, 72) for line in paragraphs[:2])
    margin = min(len(line) - len(line.lstrip()) for line in code if line)
    body = [("    " if number == 1 else "") + line[margin:] if line else "" for line in code]
    gap = [] if number == 2 else [""]
    lines = [*before, *gap, *body, *gap, *after]
    first, last = len(before) + len(gap), len(before) + len(gap) + len(body)
    labels = [BLANK if not line else CODE if first <= at < last else PROSE for at, line in enumerate(lines)]
    return "\n".join(lines), "".join(labels)


def html_pages(inputs: Inputs, used: set[str]) -> Iterator[Page]:
    """Manuals in HTML as their packages ship them, and Markdown that was rendered."""
    groups = (
        (inputs.files("doc/nodejs", "api/*.html", "nodejs 20 documentation", "MIT"), 16),
        (inputs.files("doc/libxslt1-dev", "html/**/*.html", "libxslt 1.1 manual", "MIT"), 6),
        (inputs.files("doc/libffi8", "html/*.html", "libffi 3.4 manual", "MIT"), 8),
        (inputs.files("doc/libexpat1-dev", "expat.html/reference.html", "expat 2.5 manual", "MIT"), 1),
        (inputs.files("doc/ninja-build", "manual.html", "ninja 1.11 manual", "Apache-2.0"), 1),
        (inputs.stdlib_text("idlelib/help.html"), 1),
    )
    for group, count in groups:
        yield from chosen(group, "html", count, html_labels, used, least=0.03, most=0.9)
    # Large manuals give several pages, from parts that do not touch.
    for group in (groups[3][0], groups[4][0], groups[2][0][:0], groups[5][0]):
        for document in group:
            for number, part in enumerate(_parts(document.text)):
                one = replace(document, id=f"{document.id}#{number}", text=part)
                yield from chosen([one], "html", 1, html_labels, used, least=0.03, most=0.9)
    renderer = MarkdownIt("commonmark")
    for group, count in (
        (inputs.shared("code_adjacent/technical_docs", "rust-rfcs"), 6),
        (inputs.readmes("markdown"), 5),
    ):
        rendered = [replace(one, text=renderer.render(one.text)) for one in group]
        yield from chosen(rendered, "html", count, html_labels, used)


def _parts(text: str, size: int = 12_000) -> list[str]:
    """A long page in parts, cut before a heading."""
    parts, start = [], 0
    for found in re.finditer(r"(?m)^<h[1-6]\b|^<div class=\"sect", text):
        if found.start() - start >= size:
            parts.append(text[start : found.start()])
            start = found.start()
    return [*parts, text[start:]][1:7]
