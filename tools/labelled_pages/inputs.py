"""Where documents come from."""

from __future__ import annotations

import ast
import gzip
import importlib.metadata
import io
import json
import re
import sysconfig
from pathlib import Path
from typing import Any

import zstandard

from labelled_pages.base import LEAST, Document


class Inputs:
    """The documents of each source, in a fixed order."""

    def __init__(self, data: Path, share: Path, site: Path) -> None:
        self.data, self.share, self.site = data, share, site
        self._files: dict[str, list[dict[str, Any]]] = {}

    def shared(self, name: str, source: str = "") -> list[Document]:
        """Documents of one shared file, of the sources whose name starts so."""
        if name not in self._files:
            with (self.data / f"{name}.jsonl.zst").open("rb") as file:
                stream = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
                self._files[name] = [json.loads(line) for line in stream]
        return [
            Document(
                row["id"],
                row["text"].replace("\r\n", "\n"),
                row["source"],
                row["license"],
                ", ".join(str(row[key]) for key in ("author", "title", "year") if row.get(key)),
            )
            for row in self._files[name]
            if row["source"].startswith(source)
        ]

    def files(self, folder: str, pattern: str, source: str, license: str) -> list[Document]:
        """Text files of a system package."""
        root = self.share / folder
        documents = []
        for path in sorted(root.glob(pattern)):
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            text = data.decode("utf-8", "replace").replace("\r\n", "\n")
            if "\ufffd" not in text:
                name = path.relative_to(root).as_posix()
                documents.append(Document(f"{source.split()[0]}:{name}", text, source, license, name))
        return documents

    def aws(self) -> list[Document]:
        """Examples of the AWS command line."""
        return self._site("awscli/examples", "*/*.rst", "awscli 1.45 examples", "Apache-2.0")

    def fortran(self) -> list[Document]:
        """Fortran of numpy's tests."""
        return self._site("numpy/f2py/tests/src", "**/*.f90", "numpy 2.4.6", "BSD-3-Clause")

    def _site(self, folder: str, pattern: str, source: str, license: str) -> list[Document]:
        root = self.site / folder
        return [
            Document(
                f"{source.split()[0]}:{path.relative_to(root).as_posix()}",
                path.read_text(encoding="utf-8").replace("\r\n", "\n"),
                source,
                license,
                path.relative_to(root).as_posix(),
            )
            for path in sorted(root.glob(pattern))
        ]

    def readmes(self, type: str) -> list[Document]:
        """Long descriptions of installed packages with a permissive licence, Markdown or reStructuredText."""
        documents = []
        for name, license in PACKAGES.items():
            try:
                found = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                continue
            metadata: Any = found.metadata
            text = str(metadata.get_payload()) if metadata.get_payload() else str(metadata["Description"] or "")
            kind = str(metadata["Description-Content-Type"] or "text/x-rst")
            if type in kind:
                label = f"{name} {found.version}"
                documents.append(Document(f"readme:{name}", text.replace("\r\n", "\n"), label, license, "README"))
        return documents

    def docstrings(self, package: str, license: str) -> list[Document]:
        """Docstrings of an installed package, one a document."""
        found = importlib.metadata.distribution(package)
        documents = []
        for file in sorted(
            str(file) for file in found.files or () if str(file).endswith(".py") and "test" not in str(file)
        ):
            documents += _docstrings(Path(str(found.locate_file(file))), file, f"{package} {found.version}", license)
        return documents

    def stdlib(self) -> list[Document]:
        """Docstrings of the standard library's modules."""
        root = Path(sysconfig.get_paths()["stdlib"])
        documents = []
        for path in sorted(root.rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if not re.search(r"test|site-packages|idlelib|turtledemo|lib2to3|encodings|config-", name):
                documents += _docstrings(path, name, "Python 3.11 standard library", "PSF-2.0")
        return documents

    def stdlib_text(self, pattern: str) -> list[Document]:
        """Text files inside the standard library."""
        root = Path(sysconfig.get_paths()["stdlib"])
        return [
            Document(
                f"stdlib:{path.relative_to(root).as_posix()}",
                path.read_text(encoding="utf-8").replace("\r\n", "\n"),
                "Python 3.11 standard library",
                "PSF-2.0",
                path.relative_to(root).as_posix(),
            )
            for path in sorted(root.glob(pattern))
        ]

    def topics(self) -> list[Document]:
        """The language reference as `help()` shows it."""
        from pydoc_data.topics import topics

        return [
            Document(f"topic:{name}", text, "Python 3.11 language reference", "PSF-2.0", f"pydoc topic {name}")
            for name, text in sorted(topics.items())
        ]


def _docstrings(path: Path, name: str, source: str, license: str) -> list[Document]:
    import inspect

    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return []
    documents = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text and len(text) >= LEAST:
                line = getattr(node, "lineno", 1)
                documents.append(
                    Document(f"doc:{name}:{line}", inspect.cleandoc(text), source, license, f"docstring {name}:{line}")
                )
    return documents


PACKAGES = {
    **dict.fromkeys(
        ("altair", "click", "cloudpickle", "colorama", "dill", "fsspec", "httpcore2", "httpx2", "idna", "Jinja2",
         "joblib", "multiprocess", "networkx", "numpy", "pandas", "pandas-stubs", "portalocker", "psutil", "py3langid",
         "scikit-learn", "scipy", "statsmodels", "sympy", "threadpoolctl", "vl-convert-python", "PySocks"),
        "BSD-3-Clause",
    ),
    **dict.fromkeys(("Pygments", "wrapt", "xxhash"), "BSD-2-Clause"),
    **dict.fromkeys(
        ("annotated-doc", "annotated-types", "attrs", "charset-normalizer", "formulaic", "iniconfig", "interface_meta",
         "jsonschema", "lm_eval", "markdown-it-py", "more-itertools", "narwhals", "pathvalidate", "pluggy", "pydantic",
         "pydantic_core", "pytablewriter", "pytest", "rich", "ruamel.yaml", "ruff", "selectolax", "tabledata",
         "tabulate", "tcolorpy", "texttable", "tree-sitter", "trio-websocket", "truststore", "typepy", "typer",
         "urllib3", "word2number", "wsproto", "h11", "mbstrdecoder", "DataProperty", "rpds-py", "typing-inspection"),
        "MIT",
    ),
    **dict.fromkeys(
        ("absl-py", "aiohttp", "aiosignal", "datasets", "evaluate", "frozenlist", "hf-xet", "huggingface_hub",
         "multidict",
         "propcache", "requests", "rouge_score", "sacrebleu", "safetensors", "selenium", "tokenizers", "transformers",
         "websocket-client", "yarl", "sortedcontainers", "sqlitedict", "pyarrow"),
        "Apache-2.0",
    ),
    **dict.fromkeys(("defusedxml", "backports.zstd"), "PSF-2.0"),
}  # fmt: skip
"""Installed packages whose long description is used, with their licence as their metadata states it."""
