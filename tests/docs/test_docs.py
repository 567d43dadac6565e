"""What the documents say of the program is so: commands, options, links, studies, columns, names.

Does not check prose, or numbers that a run gave.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import pretrial
from pretrial import errors
from pretrial.cli import app
from pretrial.report import tables
from pretrial.study import load_study
from pretrial.trials import Outcome, Trial

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
README, GUIDE, REFERENCE = (ROOT / name for name in ("README.md", "docs/guide.md", "docs/reference.md"))
EVERYWHERE = {"--workspace", "--store", "--data"}


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Contents of the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.S | re.M)


def code_lines(text: str) -> Iterator[str]:
    """Lines of indented blocks and of fenced ones without a language, stripped."""
    for fenced in blocks(text, "(?:sh|bash|console)?"):
        yield from (line.strip() for line in fenced.splitlines())
    for line in re.sub(r"^```.*?^```", "", text, flags=re.S | re.M).splitlines():
        if line.startswith("    "):
            yield line.strip()


def spans(text: str) -> list[str]:
    """Inline code."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    # A span may be broken over two lines.
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose)]


def commands(text: str) -> list[str]:
    """Command lines of Pretrial; a synopsis with bars and a placeholder is none."""
    lines = [line.removeprefix(".venv/bin/") for line in [*code_lines(text), *spans(text)]]
    lines = [line for line in lines if line.startswith("pretrial ") and " | " not in line and "COMMAND" not in line]
    return list(dict.fromkeys(lines))


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and the words that are left for it."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words, "a command is missing"
        assert words[0] in command.commands, f"there is no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def leaves(command: Any = None, name: str = "") -> dict[str, Any]:
    """Every command by its whole name."""
    command = command if command is not None else typer.main.get_command(app)
    if not hasattr(command, "commands"):
        return {name: command}
    found: dict[str, Any] = {}
    for word, below in command.commands.items():
        found |= leaves(below, f"{name} {word}".strip())
    return found


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    assert f"\n{heading}\n" in text, f"there is no heading {heading!r}"
    rest = text.split(f"\n{heading}\n", 1)[1]
    return re.split(rf"^#{{1,{level}}} ", rest, maxsplit=1, flags=re.M)[0]


def first_cells(text: str) -> list[str]:
    """The code spans in the first cell of every row of a section's tables."""
    return [span for row in re.findall(r"^\| (.+?) \|", text, flags=re.M) for span in re.findall(r"`([^`]+)`", row)]


def slugs(text: str) -> set[str]:
    """Anchors that GitHub gives the headings."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    headings = re.findall(r"^#{1,6} (.+)$", without_code, flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


# Commands


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_command_line_is_one_that_the_program_takes(path: Path) -> None:
    for line in commands(text_of(path)):
        command, words = leaf(shlex.split(line)[1:])
        if words or line in code_lines(text_of(path)):
            command.make_context(line, list(words))


def test_there_are_commands_to_check() -> None:
    assert len(commands(text_of(GUIDE))) > 15
    assert commands(text_of(README))


def test_a_wrong_command_line_would_be_found() -> None:
    command, words = leaf(["plan", "study.yaml", "--nope"])
    with pytest.raises(Exception, match="nope"):
        command.make_context("plan", words)
    with pytest.raises(AssertionError, match="no command 'pln'"):
        leaf(["pln"])


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_make_target_exists(path: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), flags=re.M))
    for line in [*code_lines(text_of(path)), *spans(text_of(path))]:
        words = line.split("#", 1)[0].split()
        if words[:1] == ["make"] and len(words) > 1:
            assert set(words[1:]) <= targets, line


def test_the_reference_has_every_command_with_exactly_its_options() -> None:
    text = text_of(REFERENCE)
    common = section(text, "## Command line").split("### ", 1)[0]
    assert {span.split()[0] for span in first_cells(common) if span.startswith("--")} == EVERYWHERE
    for name, command in leaves().items():
        options = {opt for p in command.params for opt in p.opts if opt.startswith("--")} - {"--help"}
        said = {span.split()[0] for span in first_cells(section(text, f"### pretrial {name}"))}
        assert said == options - EVERYWHERE, name
        assert not options & EVERYWHERE or options >= EVERYWHERE, name


def test_the_reference_has_the_exit_codes_of_the_errors() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    codes = {0, *(kind.exit_code for kind in kinds if issubclass(kind, errors.PretrialError))}
    text = section(text_of(REFERENCE), "## Command line").split("### ", 1)[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.M)} == codes


def test_the_guide_shows_the_plan_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.search(r"<!-- plan-output: (\S+) -->\n(.*?)<!-- /plan-output -->", text_of(GUIDE), flags=re.S)
    assert shown is not None
    command, _ = leaf(["plan"])
    store, workspace = f"--store={tmp_path / 'store'}", f"--workspace={tmp_path / 'work'}"
    with command.make_context("plan", [str(ROOT / shown[1]), store, workspace]) as context:
        command.invoke(context)
    printed = capsys.readouterr().out
    # Costs are estimates, and wrapping is the terminal's.
    expected, actual = (_words(shown[2], "    cost"), _words(printed, "cost"))
    assert actual == expected


def _words(text: str, end: str) -> list[str]:
    """Lines up to `end`, white space collapsed, empty ones left out."""
    lines = text.split(f"\n{end}\n", 1)[0].splitlines()
    return [" ".join(line.split()) for line in lines if line.strip()]


# Links


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", text_of(path), flags=re.S | re.M)
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(?<!`)`[^`\n]+`(?!`)", "", prose))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in slugs(text_of(target)), link


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for link in re.findall(r"\]\(([^)#\s:]+\.md)(?:#[^)\s]*)?\)", text_of(path)):
            waiting.append((path.parent / link).resolve())
    assert set(DOCUMENTS) <= reached


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_marked_blocks_are_closed(path: Path) -> None:
    found = re.findall(r"<!-- (/?)([\w-]+)(?:: [^>]*)? -->", text_of(path))
    for opened, closed in zip(found[::2], found[1::2], strict=True):
        assert (opened[0], closed[0]) == ("", "/")
        assert opened[1] == closed[1]


# Studies


def studies() -> list[Any]:
    return [
        pytest.param(block, id=f"{name}-{i}")
        for name, path in zip(NAMES, DOCUMENTS, strict=True)
        for i, block in enumerate(blocks(text_of(path), "yaml"))
        if re.search(r"^schema:", block, flags=re.M)
    ]


@pytest.mark.parametrize("block", studies())
def test_every_whole_study_loads_without_a_warning(block: str, tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(block, encoding="utf-8")
    study = load_study(path)
    assert not study.warnings
    assert study.claims


def test_the_cooldowns_of_the_guide_compare_as_it_says(tmp_path: Path) -> None:
    (block,) = (block for block in blocks(text_of(GUIDE), "yaml") if "cooldown:" in block)
    path = tmp_path / "study.yaml"
    path.write_text(block, encoding="utf-8")
    plan = Trial.of(path).plan()
    holds = {row["variant"]: row["holds"] for row in plan["comparisons"]}
    assert holds == {"trunk": [], "more-text": ["compute"]}
    assert any(set(row["variants"]) == {"trunk", "same-again", "more-text"} for row in plan["sharing"])
    assert not plan["warnings"]


# Files


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("results.csv", tables.RESULTS),
        ("comparisons.csv", tables.COMPARISONS),
        ("ledger.csv", tables.LEDGER),
        ("items.parquet", tables.ITEMS),
    ],
)
def test_columns_are_those_of_the_tables(name: str, columns: tuple[str, ...]) -> None:
    assert tuple(first_cells(section(text_of(REFERENCE), f"### {name}"))) == columns
    decisions = section(text_of(ROOT / "docs" / "decisions.md"), "## 8. Result columns")
    entry = re.search(rf"^- `{re.escape(name)}`: (.*?)\.$", decisions, flags=re.S | re.M)
    assert entry is not None
    listed = re.sub(r"\([^)]*\)", "", entry[1]).replace("\n", " ")
    assert tuple(column.strip() for column in listed.split(",")) == columns


def test_kinds_of_artefacts_are_those_of_the_specs() -> None:
    kinds: set[str] = set()
    package = ROOT / "src" / "pretrial"
    for spec in sorted(package.rglob("spec.py")):
        module = importlib.import_module(f"pretrial.{'.'.join(spec.parent.relative_to(package).parts)}.spec")
        kinds |= set(getattr(module, "SEMANTICS", ()))
    rows = re.findall(r"^\| (`.+?) \|", section(text_of(REFERENCE), "## Store and workspace"), flags=re.M)
    assert {kind for row in rows for kind in re.findall(r"`([^`]+)`", row)} == kinds - {"report"}


def test_environment_variables_are_those_that_are_read() -> None:
    sources = [*(ROOT / "src").rglob("*.py")]
    read = {name for path in sources for name in re.findall(r"\bPRETRIAL_[A-Z_]+\b", text_of(path))}
    said = set(re.findall(r"\bPRETRIAL_[A-Z_]+\b", section(text_of(REFERENCE), "## Environment")))
    assert said == read
    for path in DOCUMENTS:
        named = set(re.findall(r"\bPRETRIAL_[A-Z_]+\b", text_of(path)))
        # Folders of a user's own names.
        assert {name for name in named if not name.startswith("PRETRIAL_DATA_")} <= read, path.name


def test_rooms_are_those_of_the_package() -> None:
    folders = {path.parent.name for path in (ROOT / "src" / "pretrial").glob("*/__init__.py")}
    table = text_of(ROOT / "docs" / "architecture.md").split("## Steps", 1)[0]
    assert set(first_cells(table)) == folders


# Python


def python_blocks() -> list[Any]:
    return [
        pytest.param(block, id=f"{name}-{i}")
        for name, path in zip(NAMES, DOCUMENTS, strict=True)
        for i, block in enumerate(blocks(text_of(path), "python"))
    ]


@pytest.mark.parametrize("block", python_blocks())
def test_python_uses_names_and_arguments_that_exist(block: str) -> None:
    from pretrial.model.language_model import LanguageModel

    owners: dict[str, Any] = {"pretrial": pretrial, "trial": Trial, "model": LanguageModel}
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pretrial"):
            module = importlib.import_module(node.module or "")
            assert all(hasattr(module, alias.name) for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in owners:
            assert hasattr(owners[node.value.id], node.attr), node.attr
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = node.func
            if isinstance(called.value, ast.Name) and called.value.id in owners:
                _bind(getattr(owners[called.value.id], called.attr), node, method=called.value.id != "pretrial")


def _bind(function: Callable[..., Any], call: ast.Call, *, method: bool) -> None:
    positional = [None] * (len(call.args) + method)
    inspect.signature(function).bind(*positional, **{str(keyword.arg): None for keyword in call.keywords})


def test_what_the_reference_says_of_a_trial_exists() -> None:
    text = section(text_of(REFERENCE), "## Python")
    said = set(re.findall(r"\btrial\.(\w+)\(", text))
    offered = {name for name, _ in inspect.getmembers(Trial, inspect.isfunction) if not name.startswith("_")}
    assert said <= offered
    assert {"plan", "run", "status", "explain", "report", "results", "comparisons", "ledger", "checkpoint"} <= said
    row = re.search(r"An `Outcome` has (.*?)\. ", text, flags=re.S)
    assert row is not None
    assert set(re.findall(r"`(\w+)`", row[1])) == {*Outcome.__dataclass_fields__, "complete"}
