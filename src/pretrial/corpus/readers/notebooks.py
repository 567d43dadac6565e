"""Jupyter notebooks (`.ipynb`, nbformat 3 and 4) as one text: a script, or cells with their outputs.

Guarantees: cells come in the notebook's order; pictures, HTML and encoded data never reach the text; an output is
cut where it passes the limit, and says so; what cannot be read is a reject, an older format a skip.
Does not: run or import anything, or drop notebooks for what they say (rules do).

Two forms (both are in *StarCoder: may the source be with you*, arXiv 2305.06161, section 3, and in the Stack v2 paper,
arXiv 2402.19173, section 2; the separators here are ours):

`script`: a source file in the notebook's language. Code cells as they are; Markdown and raw cells as comments; magics
(`%time`, `!pip`, `x?`) as comments, and whole cells of another language (`%%bash`, `%%html`) too. A blank line
between two cells.

`structured`: a Markdown document. Markdown and raw cells as they are; a code cell is a block fenced with the language's
name; below it a block fenced with `output`, which holds `(no output)` where the cell printed nothing. A blank line
between two blocks.

The language is that of the metadata (`language_info.name`, `kernelspec.language`, the kernel's name). A notebook that
names none is Python when at least half of its code cells parse as Python 3; else no script is made of it
(`unknown-language`).
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from pretrial.corpus.readers.record import Blob, Item, Record, Reject, Skip, excerpt, too_deep
from pretrial.corpus.readers.threads import NO_OUTPUT, fenced

Form = Literal["script", "structured"]
FORMS: tuple[Form, ...] = ("script", "structured")
LIMIT = 100_000_000
OUTPUT_LIMIT = 2000
CUT = "[output cut]"
_PARSED = 1_000_000
_COMMENTS = {
    "//": (
        "c c++ cpp c-sharp dart d f-sharp go groovy java javascript kotlin node objective-c php q# rust scala swift "
        "typescript zig"
    ),
    "--": "ada elm haskell lua sql",
    "%": "erlang matlab octave prolog tex",
    ";": "clojure common-lisp lisp racket scheme",
    "'": "visual-basic",
    "#": "coffeescript elixir gnuplot julia nim perl powershell python r ruby sage shell tcl yaml",
}
_COMMENT = {language: mark for mark, names in _COMMENTS.items() for language in names.split()}
_ALIASES = {
    "c#": "c-sharp",
    "csharp": "c-sharp",
    "f#": "f-sharp",
    "fsharp": "f-sharp",
    ".net-csharp": "c-sharp",
    ".net-fsharp": "f-sharp",
    ".net-powershell": "powershell",
    "c++11": "cpp",
    "c++14": "cpp",
    "c++17": "cpp",
    "c++": "cpp",
    "xcpp11": "cpp",
    "xcpp14": "cpp",
    "xcpp17": "cpp",
    "ecmascript": "javascript",
    "es6": "javascript",
    "nodejs": "javascript",
    "node": "javascript",
    "ijavascript": "javascript",
    "ipython": "python",
    "ir": "r",
    "irkernel": "r",
    "pwsh": "powershell",
    "pyspark": "python",
    "pysparkkernel": "python",
    "sagemath": "sage",
    "sh": "shell",
    "bash": "shell",
    "zsh": "shell",
    "tslab": "typescript",
}
# Cell magics of IPython whose cell is still code of the notebook (the Python ones); any other changes the language.
_SAME_LANGUAGE = frozenset(
    ["capture", "debug", "memit", "mprun", "profile", "prun", "python", "python3", "snakeviz", "time", "timeit"]
)
_MAGIC = re.compile(r"%{1,2}[A-Za-z_]|!|\?{1,2}[\w.]|[\w.]+\?{1,2}\s*$")
_CAPTURED = re.compile(r"[\w, .\[\]\"']{1,80}=\s{0,80}(?:!|%[A-Za-z_])")
_OTHER_MAGIC = re.compile(r"%{1,2}[A-Za-z_]")
_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_WORD = re.compile(r"[A-Za-z0-9+/=_-]+")
_ENCODED = 256
_DATA_URI = re.compile(r"data:[a-zA-Z0-9.+/-]{1,100}(?:;[a-zA-Z0-9=_-]{1,60}){0,3};base64,[A-Za-z0-9+/=%]*")


class _Cell(NamedTuple):
    kind: str
    text: str
    outputs: tuple[str, ...]


class _Unreadable(Exception):
    """The notebook does not have a notebook's shape; the message says where."""


def read_notebook(blob: Blob, *, form: Form = "script", output_limit: int = OUTPUT_LIMIT) -> Iterator[Item]:
    """A notebook as one record with the fields `kind` ("notebook"), `path` and, where known, `language`.

    Args:
        blob: the file.
        form: `"script"` or `"structured"`; see the module.
        output_limit: most characters of one cell's output in the structured form (our choice, not published).

    Yields:
        One record, or the reject or skip that says why there is none.
    """
    try:
        found = _parsed(blob)
    except _Unreadable as error:
        yield Reject("malformed-notebook", blob.name, excerpt(str(error)))
        return
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = "undecodable" if isinstance(error, UnicodeDecodeError) else "malformed-json"
        yield Reject(reason, blob.name, excerpt(str(error)))
        return
    if isinstance(found, Reject | Skip):
        yield found
        return
    metadata, cells = found
    if not any(cell.text.strip() for cell in cells):
        yield Skip("empty", len(blob.data))
        return
    language = _language(metadata, cells)
    if form == "script" and not language:
        yield Skip("unknown-language", len(blob.data), blob.name, excerpt(_said(metadata)), excerpt(blob.data))
        return
    text = script(cells, language or "") if form == "script" else structured(cells, language or "", output_limit)
    if not text.strip():
        yield Skip("empty", len(blob.data))
        return
    fields = {"path": blob.name, **blob.fields, "kind": "notebook"}
    if language:
        fields["language"] = language
    yield Record(blob.name, text, blob.name, fields)


def script(cells: list[_Cell], language: str) -> str:
    """Cells as a source file of their language; see the module."""
    mark = _COMMENT.get(language, "#")
    parts = []
    for cell in cells:
        if cell.kind == "code":
            parts.append(_runnable(cell.text, language, mark).strip("\n"))
        else:
            parts.append(_commented(_without_data(cell.text).strip("\n"), mark))
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def structured(cells: list[_Cell], language: str, output_limit: int) -> str:
    """Cells as a Markdown document with outputs; see the module."""
    parts = []
    for cell in cells:
        if cell.kind != "code":
            parts.append(_without_data(cell.text).strip())
        elif cell.text.strip():
            parts.append(fenced(cell.text, language))
            parts.append(fenced(_output(cell.outputs, output_limit), "output"))
    return "\n\n".join(part for part in parts if part) + "\n"


def _parsed(blob: Blob) -> tuple[Mapping[str, Any], list[_Cell]] | Reject | Skip:
    if len(blob.data) > LIMIT:
        return Reject("oversize-notebook", blob.name, f"{len(blob.data)} bytes")
    if not blob.data.strip():
        return Skip("empty", len(blob.data))
    notebook = json.loads(blob.data.decode("utf-8-sig"), parse_constant=lambda _: None)
    if not isinstance(notebook, dict):
        raise _Unreadable("not an object")
    if too_deep(notebook):
        raise RecursionError("nested too deep")
    version = notebook.get("nbformat")
    if not isinstance(version, int) or isinstance(version, bool):
        raise _Unreadable("no nbformat")
    if version < 3:
        return Skip("old-notebook-format", len(blob.data), blob.name, version, excerpt(blob.data))
    if version > 4:
        raise _Unreadable(f"nbformat {version}")
    metadata = notebook.get("metadata")
    rows: list[Any] = []
    if version == 4:
        rows = _list(notebook.get("cells"), "cells")
    else:
        for sheet in _list(notebook.get("worksheets"), "worksheets"):
            rows += _list(_map(sheet, "worksheet").get("cells"), "cells")
    cells = [_cell(_map(row, f"cell {number}"), number) for number, row in enumerate(rows, 1)]
    metadata = dict(metadata) if isinstance(metadata, dict) else {}
    if version == 3 and (languages := {row["language"] for row in rows if isinstance(row.get("language"), str)}):
        # Version 3 keeps the language in its cells.
        metadata.setdefault("language_info", {"name": sorted(languages)[0]})
    return metadata, cells


def _cell(row: Mapping[str, Any], number: int) -> _Cell:
    kind = row.get("cell_type")
    if kind == "code":
        source = row.get("source", row.get("input"))
        outputs = [_text_of(_map(output, "output")) for output in _list(row.get("outputs") or [], "outputs")]
        return _Cell("code", _joined(source, number), tuple(output for output in outputs if output.strip()))
    text = _joined(row.get("source"), number)
    if kind == "heading":
        level = row.get("level")
        text = "#" * (level if isinstance(level, int) and 1 <= level <= 6 else 1) + " " + " ".join(text.split())
    return _Cell("markdown" if kind in ("markdown", "heading", "html") else "raw", text, ())


def _joined(value: Any, number: int) -> str:
    """A multi-line string: nbformat writes it as one string or as a list of lines with their ends."""
    if value is None:
        return ""
    lines = [value] if isinstance(value, str) else value
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise _Unreadable(f"cell {number}: its text is neither a string nor a list of strings")
    return "".join(lines).replace("\r\n", "\n")


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise _Unreadable(f"no list of {what}")
    return value


def _map(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Unreadable(f"{what} is not an object")
    return value


def _text_of(output: Mapping[str, Any]) -> str:
    """What an output says in plain text; nothing where it is a picture or a widget."""
    kind = output.get("output_type")
    if kind in ("error", "pyerr"):
        return f"{output.get('ename') or 'Error'}: {output.get('evalue') or ''}".rstrip(": ")
    if kind == "stream":
        return _loose(output.get("text"))
    data = output.get("data")
    if not isinstance(data, dict):
        # Version 3 has the kinds of an output beside each other: text, png, html.
        data = {
            "text/plain": output.get("text"),
            **{f"image/{key}": output[key] for key in ("png", "jpeg", "svg") if key in output},
        }
    if any(str(key).startswith(("image/", "application/vnd.jupyter.widget")) for key in data):
        return ""
    return _loose(data.get("text/plain"))


def _loose(value: Any) -> str:
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _output(outputs: tuple[str, ...], limit: int) -> str:
    lines: list[str] = []
    for output in outputs:
        for line in _ANSI.sub("", output).replace("\r\n", "\n").rstrip().split("\n"):
            # A progress bar rewrites its line: what a reader saw last is what stays.
            shown = line.rstrip("\r").rsplit("\r", 1)[-1].rstrip()
            if not _is_data(shown):
                lines.append(shown)
    text = "\n".join(lines).strip("\n")
    if len(text) > limit:
        head = text[:limit]
        text = (head[: head.rfind("\n")] if "\n" in head else head).rstrip() + f"\n{CUT}"
    return text if text.strip() else NO_OUTPUT


def _is_data(line: str) -> bool:
    return len(line) >= _ENCODED and any(len(word) >= _ENCODED for word in _WORD.findall(line))


def _without_data(text: str) -> str:
    return _DATA_URI.sub("data:", text) if "base64," in text else text


def _commented(text: str, mark: str) -> str:
    return "\n".join(f"{mark} {line}".rstrip() for line in text.split("\n")) if text.strip() else ""


def _runnable(source: str, language: str, mark: str) -> str:
    """A code cell with what is not code of its language commented out."""
    if mark == "%":
        # MATLAB and its relatives: a magic is a comment already.
        return source
    lines = source.split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    if (line := lines[first].strip()).startswith("%%"):
        named = re.match(r"%%([\w.]*)", line)
        magic = named.group(1).lower() if named else ""
        if magic not in _SAME_LANGUAGE and magic != language:
            return _commented(source.strip("\n"), mark)
        lines[first] = f"{mark} {line}"
    if language in ("python", "sage"):
        # A line such as `%y` may go on with a formula: only what does not parse is searched for magics.
        if _parses("\n".join(lines)):
            return "\n".join(lines)
        found = [_MAGIC.match(line.lstrip()) or _CAPTURED.match(line.lstrip()) for line in lines]
    else:
        found = [_OTHER_MAGIC.match(line.lstrip()) for line in lines]
    return "\n".join(_behind(line, mark) if magic else line for line, magic in zip(lines, found, strict=True))


def _behind(line: str, mark: str) -> str:
    body = line.lstrip()
    return f"{line[: len(line) - len(body)]}{mark} {body}"


def _parses(source: str) -> bool:
    if len(source) > _PARSED:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _language(metadata: Mapping[str, Any], cells: list[_Cell]) -> str | None:
    for value in _languages(metadata):
        if name := _named(value):
            return name
    code = [cell.text for cell in cells if cell.kind == "code" and cell.text.strip()]
    parsed = sum(_parses(_runnable(text, "python", "#")) for text in code)
    return "python" if code and 2 * parsed >= len(code) else None


def _said(metadata: Mapping[str, Any]) -> str:
    """What a notebook calls its language first; empty where it calls it nothing."""
    return next(iter(_languages(metadata)), "")


def _languages(metadata: Mapping[str, Any]) -> list[str]:
    info, kernel = metadata.get("language_info"), metadata.get("kernelspec")
    info = info if isinstance(info, dict) else {}
    kernel = kernel if isinstance(kernel, dict) else {}
    values = (info.get("name"), kernel.get("language"), kernel.get("name"), metadata.get("language"))
    return [value for value in values if isinstance(value, str)]


def _named(value: str) -> str | None:
    """A language by any of the names that kernels give it (`python3`, `ir`, `julia-1.9`, `C#`)."""
    name = re.sub(r"\s+", "-", value.strip().lower())
    name = _ALIASES.get(name, name)
    if name not in _COMMENT:
        bare = re.sub(r"[-_ ]?v?[0-9][0-9.]*$", "", name)
        name = _ALIASES.get(bare, bare)
    return name if name in _COMMENT else None
