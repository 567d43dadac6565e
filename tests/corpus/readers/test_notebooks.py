"""Notebooks: the two forms, which language, what of an output stays, and what is no notebook."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.readers.notebooks import CUT, LIMIT, read_notebook
from pretrial.corpus.readers.record import Blob, Item, Record, Reject, Skip

PYTHON = {"kernelspec": {"name": "python3", "language": "python"}, "language_info": {"name": "python"}}


def code(source: str | list[str], *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": source, "outputs": list(outputs)}


def prose(source: str | list[str], kind: str = "markdown") -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source}


def printed(text: str | list[str]) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def shown(**data: Any) -> dict[str, Any]:
    bundle = {key.replace("_", "/"): value for key, value in data.items()}
    return {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": bundle}


def notebook(*cells: dict[str, Any], metadata: dict[str, Any] | None = None, name: str = "lesson/a.ipynb") -> Blob:
    book = {"nbformat": 4, "nbformat_minor": 5, "metadata": PYTHON if metadata is None else metadata, "cells": cells}
    return Blob(name, json.dumps(book, indent=1).encode(), {"license": "MIT"})


def one(blob: Blob, **options: Any) -> Item:
    (item,) = read_notebook(blob, **options)
    return item


def record(blob: Blob, **options: Any) -> Record:
    item = one(blob, **options)
    assert isinstance(item, Record), item
    return item


def reason(blob: Blob, **options: Any) -> str:
    item = one(blob, **options)
    assert isinstance(item, Reject | Skip)
    return item.reason


LESSON = notebook(
    prose(["# Sums\n", "\n", "We add."]),
    code(
        ["%matplotlib inline\n", "import numpy as np\n", "!pip install numpy\n", "np.add(1, 2)"], shown(text_plain="3")
    ),
    code("for i in range(2):\n    print(i)", printed(["0\n", "1\n"])),
    code("total = 3"),
    prose("raw text", kind="raw"),
)


def test_a_script_holds_code_with_the_rest_as_comments() -> None:
    item = record(LESSON, form="script")
    assert item.text == (
        "# # Sums\n#\n# We add.\n\n"
        "# %matplotlib inline\nimport numpy as np\n# !pip install numpy\nnp.add(1, 2)\n\n"
        "for i in range(2):\n    print(i)\n\ntotal = 3\n\n# raw text\n"
    )
    compile(item.text, "script", "exec")
    assert item.fields == {"license": "MIT", "path": "lesson/a.ipynb", "kind": "notebook", "language": "python"}
    assert (item.id, item.where) == ("lesson/a.ipynb", "lesson/a.ipynb")


def test_the_structured_form_holds_cells_and_what_they_printed() -> None:
    assert record(LESSON, form="structured").text == (
        "# Sums\n\nWe add.\n\n"
        "```python\n%matplotlib inline\nimport numpy as np\n!pip install numpy\nnp.add(1, 2)\n```\n\n"
        "```output\n3\n```\n\n"
        "```python\nfor i in range(2):\n    print(i)\n```\n\n```output\n0\n1\n```\n\n"
        "```python\ntotal = 3\n```\n\n```output\n(no output)\n```\n\n"
        "raw text\n"
    )


OUTPUTS = {
    "a table as text, not as HTML": (shown(text_plain="  a\n0 1", text_html="<table>"), "  a\n0 1"),
    "HTML alone": (shown(text_html="<b>x</b>"), "(no output)"),
    "a picture and its description": (shown(text_plain="<Figure 1>", image_png="iVBORw0KGgo"), "(no output)"),
    "an error without its trace": (
        {"output_type": "error", "ename": "KeyError", "evalue": "'x'", "traceback": ["\x1b[31m…"]},
        "KeyError: 'x'",
    ),
    "colours go": (printed("\x1b[1;32mgreen\x1b[0m and \x1b]0;title\x07plain"), "green and plain"),
    "a progress bar's last state": (printed("  0%\r 50%\r100%\nnext\r\nend"), "100%\nnext\nend"),
    "255 characters in a row are a word": (printed("x" * 255 + "\nok"), "x" * 255 + "\nok"),
    "256 are data": (printed("x" * 256 + "\nok"), "ok"),
    "a widget": (shown(text_plain="HBox()", **{"application/vnd.jupyter.widget-view+json": {}}), "(no output)"),
    "fences inside": (printed("```\nx\n```"), "```\nx\n```"),
}


@pytest.mark.parametrize(("output", "text"), OUTPUTS.values(), ids=OUTPUTS.keys())
def test_what_of_an_output_stays(output: dict[str, Any], text: str) -> None:
    marks = "````" if "```" in text else "```"
    assert record(notebook(code("f()", output)), form="structured").text == (
        f"```python\nf()\n```\n\n{marks}output\n{text}\n{marks}\n"
    )


def test_an_output_is_cut_at_a_line_where_it_passes_the_limit_and_says_so() -> None:
    book = notebook(code("f()", printed("abcd\nefgh\nijkl")))
    assert record(book, form="structured", output_limit=14).text.endswith("```output\nabcd\nefgh\nijkl\n```\n")
    assert record(book, form="structured", output_limit=13).text.endswith(f"```output\nabcd\nefgh\n{CUT}\n```\n")
    assert record(book, form="structured", output_limit=3).text.endswith(f"```output\nabc\n{CUT}\n```\n")


MAGICS = {
    "a shell line in a block": ("if x:\n    !ls\n    y = 1", "if x:\n    # !ls\n    y = 1"),
    "help": ("df.head?\nx = 1", "# df.head?\nx = 1"),
    "captured": ("files = !ls\nx = 1", "# files = !ls\nx = 1"),
    "timed cells stay code": ("%%time\nx = 1", "# %%time\nx = 1"),
    "another language goes": ("%%bash\ncd x\nls", "# %%bash\n# cd x\n# ls"),
    "a formula is no magic": ("x = (a\n%b)", "x = (a\n%b)"),
    "old Python stays as it is": ("print 'x'\nexec 'y'", "print 'x'\nexec 'y'"),
    "a string is no magic": ('s = """\n!not a command\n"""', 's = """\n!not a command\n"""'),
}


@pytest.mark.parametrize(("source", "text"), MAGICS.values(), ids=MAGICS.keys())
def test_magics_become_comments(source: str, text: str) -> None:
    assert record(notebook(code(source))).text == text + "\n"


LANGUAGES = {
    "kernel of R": ({"kernelspec": {"name": "ir"}}, "x <- 1", "r", "# note"),
    "Julia with a version": ({"kernelspec": {"name": "julia-1.9"}}, "x = 1", "julia", "# note"),
    "C++": ({"language_info": {"name": "C++17"}}, "int x;", "cpp", "// note"),
    "C# of .NET": ({"kernelspec": {"name": ".net-csharp", "language": "C#"}}, "var x = 1;", "c-sharp", "// note"),
    "Haskell": ({"kernelspec": {"language": "haskell"}}, "x = 1", "haskell", "-- note"),
    "MATLAB": ({"language_info": {"name": "matlab"}}, "%% Part\nx = 1;", "matlab", "% note"),
    "the kernel's name under an unknown one": (
        {"language_info": {"name": "nonesuch"}, "kernelspec": {"name": "python3"}},
        "x = 1",
        "python",
        "# note",
    ),
    "none named, but Python": ({}, "x = [1]\ndef f(): pass", "python", "# note"),
    "half of the cells parse": ({}, "x = [1]", "python", "# note"),
}


@pytest.mark.parametrize(("metadata", "source", "language", "note"), LANGUAGES.values(), ids=LANGUAGES.keys())
def test_the_language_is_the_kernels(metadata: dict[str, Any], source: str, language: str, note: str) -> None:
    extra = [code("let x = 1;")] if source == "x = [1]" else []
    item = record(notebook(prose("note"), code(source), *extra, metadata=metadata))
    assert item.fields["language"] == language
    assert item.text.startswith(f"{note}\n\n{source}\n")


def test_no_script_without_a_language_but_cells() -> None:
    book = notebook(code("let x = 1;"), code("let y = 2;"), code("z = 3"), metadata={})
    assert reason(book, form="script") == "unknown-language"
    item = record(book, form="structured")
    assert item.text.startswith("```\nlet x = 1;\n```")
    assert "language" not in item.fields


def test_pictures_in_markdown_lose_their_bytes() -> None:
    picture = "![plot](data:image/png;base64," + "iVBORw0KGgo" * 1000 + "=) follows"
    assert record(notebook(prose(picture), code("x = 1"))).text == "# ![plot](data:) follows\n\nx = 1\n"


def test_format_3_has_worksheets_headings_and_outputs_of_its_own() -> None:
    sheet = [
        {"cell_type": "heading", "level": 2, "source": ["Title\n", "here"]},
        {
            "cell_type": "code",
            "language": "python",
            "input": ["print 1"],
            "outputs": [
                {"output_type": "stream", "stream": "stdout", "text": ["1\n"]},
                {"output_type": "pyout", "text": "2", "html": "<b>2</b>"},
                {"output_type": "display_data", "png": "AAAA", "text": "<figure>"},
                {"output_type": "pyerr", "ename": "E", "evalue": "", "traceback": []},
            ],
        },
    ]
    book = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": sheet}]}
    blob = Blob("old.ipynb", json.dumps(book).encode())
    assert record(blob, form="structured").text == (
        "## Title here\n\n```python\nprint 1\n```\n\n```output\n1\n2\nE\n```\n"
    )
    assert record(blob, form="script").text == "# ## Title here\n\nprint 1\n"


BROKEN = {
    "cut": (b'{"cells": [', "malformed-json"),
    "not UTF-8": (b'{"cells": "\xff"}', "undecodable"),
    "nested without end": (b"[" * 200_000, "malformed-json"),
    "a list": (b"[]", "malformed-notebook"),
    "no version": (b'{"cells": []}', "malformed-notebook"),
    "a version that is no number": (b'{"nbformat": true, "cells": []}', "malformed-notebook"),
    "a version to come": (b'{"nbformat": 5, "cells": []}', "malformed-notebook"),
    "no cells": (b'{"nbformat": 4}', "malformed-notebook"),
    "a cell that is none": (b'{"nbformat": 4, "cells": [1]}', "malformed-notebook"),
    "a text that is none": (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": 7}]}', "malformed-notebook"),
    "an output that is none": (
        b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "outputs": ["y"]}]}',
        "malformed-notebook",
    ),
    "version 2": (b'{"nbformat": 2, "worksheets": []}', "old-notebook-format"),
    "nothing": (b"  \n", "empty"),
    "no text in any cell": (b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": " "}]}', "empty"),
}


@pytest.mark.parametrize(("data", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_notebook_says_why(data: bytes, why: str) -> None:
    assert reason(Blob("x.ipynb", data)) == why


def test_a_notebook_over_the_limit_is_not_parsed() -> None:
    assert reason(Blob("x.ipynb", bytes(LIMIT + 1))) == "oversize-notebook"


def test_hostile_lines_take_linear_time() -> None:
    lines = ["x = " + " " * 300_000, "\x1b[" + "1;" * 150_000, "data:" * 60_000, "![" * 100_000, "?" * 300_000]
    began = time.process_time()
    for line in lines:
        book = notebook(prose(line), code(f"{line}\n)", printed(line)))
        for form in ("script", "structured"):
            assert isinstance(one(book, form=form), Record)
    assert time.process_time() - began < 4


@given(
    st.lists(
        st.one_of(
            st.builds(prose, st.text()),
            st.builds(lambda source, text: code(source, printed(text)), st.text(), st.text()),
            st.builds(lambda source, value: code(source, shown(text_plain=value)), st.text(), st.integers()),
        ),
        max_size=5,
    )
)
def test_any_cells_give_one_item_in_both_forms(cells: list[dict[str, Any]]) -> None:
    for form in ("script", "structured"):
        item = one(notebook(*cells), form=form)
        assert isinstance(item, Record) == any(str(cell["source"]).strip() for cell in cells) or item.reason == "empty"
