"""Which language a file is written in, by its name alone, and which files hold nothing anyone wrote.

Guarantees: the 25 code and 10 markup languages of *To Code, or Not To Code?* (appendix A.1), under the names
used there, in lower case, and nine more that published rules speak of (`DATA`, `ASSEMBLY`); a file name maps to at most
one of them.
Does not: read files. Where an extension is shared (`.h`, `.m`, `.ts`), the more common owner on GitHub has
it, so C++ headers named `.h` count as C. Python stubs (`.pyi`) are left out: they declare, they do not
compute.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

CODE: dict[str, tuple[str, ...]] = {
    "java": (".java",),
    "javascript": (".js", ".mjs", ".cjs", ".es6"),
    "php": (".php", ".php3", ".php4", ".php5", ".phtml"),
    "python": (".py", ".pyw"),
    "c-sharp": (".cs", ".csx"),
    "typescript": (".ts", ".mts", ".cts", ".tsx"),
    "c": (".c", ".h"),
    "cpp": (".cpp", ".cc", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".h++", ".ipp", ".tpp"),
    "go": (".go",),
    "ruby": (".rb", ".rake", ".gemspec", ".ru"),
    "shell": (".sh", ".bash", ".zsh", ".ksh"),
    "kotlin": (".kt", ".kts"),
    "swift": (".swift",),
    "vue": (".vue",),
    "rust": (".rs",),
    "scala": (".scala", ".sc", ".sbt"),
    "jsx": (".jsx",),
    "sql": (".sql",),
    "dart": (".dart",),
    "makefile": (".mk", ".mak"),
    "lua": (".lua",),
    "haskell": (".hs", ".lhs"),
    "smalltalk": (".st",),
    "tex": (".tex", ".sty", ".cls", ".ltx"),
    "clojure": (".clj", ".cljs", ".cljc"),
}
MARKUP: dict[str, tuple[str, ...]] = {
    "markdown": (".md", ".markdown", ".mkd"),
    "yaml": (".yaml", ".yml"),
    "json": (".json",),
    "html": (".html", ".htm", ".xhtml"),
    "css": (".css",),
    "scss": (".scss",),
    "restructuredtext": (".rst",),
    "toml": (".toml",),
    "sass": (".sass",),
    "rmarkdown": (".rmd",),
}
DATA: dict[str, tuple[str, ...]] = {
    "text": (".txt",),
    "xml": (".xml",),
    "roff": (".roff", ".tmac"),
    "roff manpage": (".man", ".mdoc"),
    "smt": (".smt", ".smt2"),
    "web ontology language": (".owl",),
    "graphviz (dot)": (".dot", ".gv"),
}
"""What rules for code speak of beside code and markup, and what is read only where it is asked for."""
ASSEMBLY: dict[str, tuple[str, ...]] = {"webassembly": (".wat", ".wast"), "motorola 68k assembly": (".x68",)}
"""The two languages of which The Stack v2 counts letters and digits."""
_NAMES = {
    "makefile": "makefile",
    "gnumakefile": "makefile",
    "rakefile": "ruby",
    "gemfile": "ruby",
    "guardfile": "ruby",
    "vagrantfile": "ruby",
    ".bashrc": "shell",
    ".bash_profile": "shell",
    ".profile": "shell",
    ".zshrc": "shell",
}
_EXTENSIONS = {
    extension: language
    for table in (CODE, MARKUP, DATA, ASSEMBLY)
    for language, extensions in table.items()
    for extension in extensions
}
# A page of the manual and its section; not the end of a version (`CHANGES-1.2`, `libz.so.1`).
_MANUAL = re.compile(r"[A-Za-z_](?:[\w+:-]*[A-Za-z_])?\.[1-9]")
_LICENCE = re.compile(r"(?:un)?licen[cs]es?|copying|copyrights?|notices?|patents|third.?party.*", re.IGNORECASE)
_LOCKS = frozenset(
    [
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "composer.lock",
        "poetry.lock",
        "pipfile.lock",
        "cargo.lock",
        "gemfile.lock",
        "uv.lock",
        "go.sum",
    ]
)
_GENERATED_NAME = re.compile(
    r"\.min\.(?:js|css|mjs|html)$|[._-](?:bundle|generated)\.[a-z]+$|_pb2(?:_grpc)?\.py$|\.pb\.go$"
)
_GENERATED_TEXT = re.compile(
    r"auto-?\s?generated|automatically generated"
    r"|generated (?:by|from|with|file)|@generated|do not (?:edit|modify)"
    r"|this file (?:is|was) generated|character mapping codec",
    re.IGNORECASE,
)
_TEST_PARTS = frozenset({"test", "tests", "testing", "conftest", "idle_test", "_tests", "__tests__"})
_VENDOR_PARTS = frozenset({"_vendor", "_vendored", "vendor", "vendored", "_vendored_packages", "_extern"})
_PROSE_TEXT = re.compile(
    r"(?:readme|news|history|changes|changelog|api_changes|todo|notes|howto|faq|install|contributing)", re.I
)
MARKER_LINES = 5
_BETWEEN = re.compile(r"[\s_-]+")
_SPELLINGS = {
    "c#": "c-sharp", "csharp": "c-sharp", "cs": "c-sharp", "c++": "cpp", "cplusplus": "cpp", "js": "javascript",
    "ts": "typescript", "golang": "go", "py": "python", "python3": "python", "bash": "shell", "sh": "shell",
    "rst": "restructuredtext", "latex": "tex", "md": "markdown", "yml": "yaml", "tsx": "typescript", "rb": "ruby",
    "rs": "rust", "kt": "kotlin", "hs": "haskell", "make": "makefile", "visual-basic": "vb",
    "c-plus-plus": "cpp", "r-markdown": "rmarkdown", "restructured-text": "restructuredtext",
    "motorola-68k-assembly": "motorola 68k assembly", "roff-manpage": "roff manpage",
    "web-ontology-language": "web ontology language", "graphviz-(dot)": "graphviz (dot)",
    "graphviz-dot": "graphviz (dot)",
}  # fmt: skip
"""Other spellings of languages in datasets, by the names used here; those in the last lines are as GitHub has them."""


def canonical(name: str) -> str:
    """A language's name as it is spelled here: `C++` and `cpp`, `C#` and `csharp`, `Common Lisp` and `common-lisp`.

    The name of a name is itself.
    """
    plain = _BETWEEN.sub("-", name.strip().lower())
    return _SPELLINGS.get(plain, plain)


def language_of(name: str) -> str | None:
    """Language of a file by its name (`"a/b/Makefile"`, `"x.py"`); `None` for one not in the tables."""
    path = PurePosixPath(name)
    known = _NAMES.get(path.name.lower()) or _EXTENSIONS.get(path.suffix.lower())
    return known or ("roff manpage" if _MANUAL.fullmatch(path.name) else None)


def is_licence(name: str) -> bool:
    """Whether a file is a licence or notice (`LICENSE.md`, `COPYING`); `license.py` is code."""
    path = PurePosixPath(name)
    stem = re.split(r"[.\-_]", path.name, maxsplit=1)[0]
    return language_of(name) not in CODE and bool(_LICENCE.fullmatch(stem) or _LICENCE.fullmatch(path.stem))


def is_generated_name(name: str) -> bool:
    """Whether the name alone says that a tool wrote the file: lock files, minified and bundled files."""
    base = PurePosixPath(name).name.lower()
    return base in _LOCKS or bool(_GENERATED_NAME.search(base))


def is_generated_text(head: str) -> bool:
    """Whether one of the first five lines says that a tool wrote the file. `head` may hold more lines."""
    return bool(_GENERATED_TEXT.search("\n".join(head[:4096].splitlines()[:MARKER_LINES])))


def generated_mark(name: str, head: str) -> str:
    """What `is_generated_name` or `is_generated_text` found: the file's name, or the words; empty where neither did."""
    if is_generated_name(name):
        return PurePosixPath(name).name
    found = _GENERATED_TEXT.search("\n".join(head[:4096].splitlines()[:MARKER_LINES]))
    return found[0] if found else ""


def is_test(name: str) -> bool:
    """Whether a path lies in a test folder or is a test module."""
    parts = PurePosixPath(name).parts
    base = parts[-1]
    return (
        any(part in _TEST_PARTS for part in parts[:-1])
        or base.startswith("test_")
        or base in ("conftest.py", "test.py", "tests.py")
        or base.endswith("_test.py")
    )


def is_vendored(name: str) -> bool:
    """Whether a path lies in a folder of copied code: near copies of other packages, unseen by groups."""
    return any(part in _VENDOR_PARTS for part in PurePosixPath(name).parts[:-1])


def is_prose(name: str) -> bool:
    """Whether a file of a package is documentation: `.rst`, `.md`, and `.txt` named as prose."""
    path = PurePosixPath(name)
    if is_licence(name):
        return False
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return bool(_PROSE_TEXT.fullmatch(path.stem)) or "docs" in path.parts[:-1]
    return suffix in (".rst", ".md")


def top_level(name: str) -> str:
    """First component of a path, without `.py`: the import name of a module's package."""
    parts = PurePosixPath(name).parts
    return PurePosixPath(parts[0]).stem if len(parts) == 1 else parts[0]
