"""Pages of prose without code, most of them such as a rule takes for code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from markdown_it import MarkdownIt

from labelled_pages.base import FOLDER, Document, Page, digest, page, prose_labels, share, windows
from labelled_pages.inputs import Inputs


def _verse(lines: list[str]) -> bool:
    filled = [line for line in lines if line.strip()]
    short = sum(len(line) < 60 for line in filled) / max(1, len(filled))
    return len(filled) >= 12 and short > 0.9 and share(lines, r"^\W*[A-Z]") > 0.85 and share(lines, r"\||\d|:$") < 0.1


def prose_pages(inputs: Inputs, used: set[str]) -> Iterator[Page]:
    """Pages without any code, most of them such as a rule takes for code."""
    books = inputs.shared("text/books_nonfiction_standardebooks")
    novels = inputs.shared("text/books_novels_eltec")
    gov = [one for one in inputs.shared("text/gov_web") if "opensource.guide" not in one.source]
    law, facts = inputs.shared("text/legal_dc"), inputs.shared("text/encyclopedic_factbook")
    speeches = inputs.shared("text/speech_presidential")
    peps = inputs.shared("code_adjacent/technical_docs", "python-peps")

    def take(
        group: list[Document],
        kind: str,
        count: int,
        good: Callable[[list[str]], bool] = lambda lines: True,
        form: Callable[[str, int], str] = lambda text, number: text,
        least: int = 900,
        most: int = 2600,
    ) -> Iterator[Page]:
        number = 0
        for document in sorted(group, key=lambda one: digest(f"{kind}/{one.id}")):
            if number == count:
                return
            if document.id in used or (text := windows(document, good, least, most)) is None:
                continue
            used.add(document.id)
            text = form(text, number)
            yield page(document, kind, "construction", text, prose_labels(text))
            number += 1
        if number < count:
            print(f"{kind}: {count - number} pages short")

    def clean(lines: list[str]) -> bool:
        return share(lines, r"[`{}<>]|^\s{2,}|^\s*[$>]|\w_\w|\w\(\)") == 0

    yield from take(novels, "prose-verse", 14, _verse, _as_verse, least=450)
    yield from take(books, "prose-verse", 4, _verse, _as_verse, least=450)
    spoken = r"^[\W]*[A-Z][A-Z.\s]+[.:—]|^“|^\""
    yield from take(novels, "prose-dialogue", 10, lambda lines: share(lines, spoken) > 0.8, _wrapped)
    quoting = r"[a-z]{3,}:$"
    yield from take(books, "prose-quote", 12, lambda lines: 0 < share(lines[:-2], quoting) < 0.4, _as_quote)
    plato = [one for one in books if "plato" in one.id]
    yield from take(plato, "prose-dialogue", 4, lambda lines: share(lines, r"^.{1,60}$") > 0.5)
    yield from take(books, "prose-table", 6, lambda lines: share(lines, r"\S \| ") > 0.5, least=400)
    yield from take(facts, "prose-table", 8, lambda lines: share(lines, r": \S") > 0.6)
    yield from take(facts, "prose-list", 5, lambda lines: share(lines, r"^.{1,60}$") > 0.8, least=600)
    yield from take(peps, "prose-table", 6, _table, least=400)
    node = inputs.files("doc/nodejs", "*.md", "nodejs 20 documentation", "MIT")
    yield from take(node, "prose-list", 4, lambda lines: share(lines, r"^\* |^  <|^  \*\*") > 0.8)
    yield from take(
        books, "prose-list", 6, lambda lines: share(lines, r"^.{1,40}$") > 0.9 and not _verse(lines), least=400
    )
    cited = r"\b(?:1[5-9]|20)\d\d\b.*(?:pp?\.|vol|Vol|Press|ibid|[Ii]bid)|^\[\d+\]|^\d+\. .*\b1[5-9]\d\d\b"
    yield from take(books, "prose-references", 6, lambda lines: share(lines, cited) > 0.4)
    yield from take(peps, "prose-references", 8, _references, least=400)
    yield from take(law, "prose-legal", 14, lambda lines: share(lines, r"^\((?:\w|\w\w|iii|\d+)\)") > 0.7, _as_law)
    yield from take(novels, "prose-novel", 10, form=_wrapped)
    yield from take(speeches, "prose-speech", 6, form=_wrapped)
    yield from take(gov, "prose-web", 16, clean)
    renderer = MarkdownIt("commonmark").enable("table")
    yield from take(gov, "prose-html", 10, clean, lambda text, number: renderer.render(text).rstrip())
    mail = list(inputs.stdlib_text("test/test_email/data/msg_*.txt"))
    yield from take(
        mail,
        "prose-mail",
        10,
        lambda lines: len(lines) > 12 and share(lines, r"^[A-Za-z0-9+/=]{50,}$") == 0,
        least=400,
    )
    yield from take(peps, "prose-mail", 6, lambda lines: _headers(lines) and clean(lines), least=700)
    for name, license in {"scipy": "BSD-3-Clause", "statsmodels": "BSD-3-Clause", "sympy": "BSD-3-Clause"}.items():
        strings = inputs.docstrings(name, license)
        yield from take(strings, "prose-maths", 5, _maths, least=500)
    formula = r"[=+−×√∞]|\b[a-z] [+−=] [a-z]\b"
    yield from take(books, "prose-maths", 5, lambda lines: share(lines, formula) > 0.4, least=500)
    listed = r"^\s{2,}\S"
    yield from take(
        gov, "prose-indented", 10, lambda lines: share(lines, listed) > 0.5 and share(lines, r"[`{}<>;]|\w_\w") == 0
    )
    for number, text in enumerate((FOLDER / "own.txt").read_text().split("\n%%\n")):
        document = Document(f"own-{number}", text.strip("\n"), "written for this set", "CC0-1.0", "")
        yield page(
            document,
            "prose-recipe" if number < 6 else "prose-list",
            "construction",
            document.text,
            prose_labels(document.text),
        )


def _table(lines: list[str]) -> bool:
    return share(lines, r"^\s*[+|=].*[+|=]\s*$|^=+ +=+") > 0.35 and share(lines, r">>>|[{}]|::$|\.\. code|\w\(") == 0


def _references(lines: list[str]) -> bool:
    return share(lines, r"^\.\. \[|^\s+https?:|^\[\d+\]") > 0.5 and share(lines, r"[{}]|\w\(|::$| = ") == 0


def _headers(lines: list[str]) -> bool:
    return share(lines[:8], r"^[\w-]+: |^\s+\S") > 0.9


def _maths(lines: list[str]) -> bool:
    if share(lines, r"math::|:math:|\\[a-z]+\{|\^|\\frac|\$") <= 0.2 or share(lines, r">>>|::\s*$") >= 0.12:
        return False
    return not any((line.rstrip().endswith("::") and "math::" not in line) or ">>>" in line for line in lines)


def _as_verse(text: str, number: int) -> str:
    """Every second poem as plain-text editions set it: lines together, each second one indented."""
    lines = [line for line in text.split("\n") if line.strip()]
    if number % 2 == 0:
        return "\n".join(lines)
    return "\n".join(line if at % 2 == 0 else "    " + line for at, line in enumerate(lines))


def _as_quote(text: str, number: int) -> str:
    """What follows a line that ends in a colon indented, as plain text sets a quotation; half of the pages wrapped."""
    import textwrap

    lines, out = text.split("\n"), []
    above = ""
    for line in lines:
        deep = "    " if above.endswith(":") else ""
        width = 72 if number % 2 else 10_000
        out.append(textwrap.fill(line, width, initial_indent=deep, subsequent_indent=deep) if line else "")
        above = line or above
    return "\n".join(out)


def _as_law(text: str, number: int) -> str:
    """Every second law with its levels indented."""
    if number % 2 == 0:
        return text
    levels = ((r"\((?:i|ii|iii|iv|v|vi|vii|viii|ix|x)\)", 12), (r"\([a-z]\)", 0), (r"\(\d+\)", 4), (r"\([A-Z]+\)", 8))
    return "\n".join(
        " " * next((depth for pattern, depth in levels if re.match(pattern, line)), 0) + line
        for line in text.split("\n")
    )


def _wrapped(text: str, number: int) -> str:
    """Every second page with lines of 72 columns, as mail and plain-text editions have."""
    import textwrap

    return text if number % 2 == 0 else "\n".join(textwrap.fill(line, 72) for line in text.split("\n"))
