"""Every reason that a reader can give is explained, in the code and in the reference, and no other is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrial.corpus.places import FAULTS
from pretrial.inspecting.reasons import QUARANTINED, SKIPPED, in_words

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "src/pretrial/corpus"
FILES = [*sorted((CORPUS / "readers").glob("*.py")), *(CORPUS / f"{n}.py" for n in ("items", "documents", "snapshot"))]
PASSED_ON = {
    *("fault.reason", "data.reason", "history.faults[sha].reason", "reason", "shown.reason"),
    *("entry.kind", "entry.problem"),
}
"""What a reason is called where it was found elsewhere; `fault` in items.py is a key of FAULTS."""


def constants(node: ast.expr) -> set[str]:
    """Strings that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value} - {""}
    if isinstance(node, ast.IfExp):
        return constants(node.body) | constants(node.orelse)
    return set()


def given(path: Path) -> Iterator[tuple[str, str]]:
    """(kind, reason) of all that a file gives; fails at a spelling that it does not know."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("Skip", "_skipped", "_Unshown", "Reject", "Fault")
        ):
            kind = "quarantined" if node.func.id in ("Reject", "Fault") else "skipped"
            found = constants(node.args[0])
            spelled = ast.unparse(node.args[0])
            known = PASSED_ON | ({"fault"} if path.name == "items.py" else set())
            assert found or spelled in known, f"{path.name}:{node.lineno}: where does {spelled} come from?"
            yield from ((kind, reason) for reason in found)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_Entry":
            # A member of an archive: what speaks against it is its sixth field.
            yield from (("quarantined", reason) for reason in constants(node.args[5]))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("reason", "problem"):
            yield from (("quarantined", reason) for reason in constants(node.value))
        if isinstance(node, ast.Compare) and ast.unparse(node.left) == "entry.kind" and isinstance(node.ops[0], ast.In):
            members = node.comparators[0]
            assert isinstance(members, ast.Tuple)
            yield from (("skipped", reason) for one in members.elts for reason in constants(one))
        if path.name == "snapshot.py":
            if isinstance(node, ast.FunctionDef) and node.name == "_useless":
                for one in ast.walk(node):
                    if isinstance(one, ast.Return) and one.value is not None:
                        yield from (("skipped", reason) for reason in constants(one.value))
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "skipped":
                yield from (("skipped", reason) for reason in constants(node.slice))


def in_the_code() -> set[tuple[str, str]]:
    return {one for path in FILES for one in given(path)} | {("quarantined", fault) for fault in FAULTS}


def test_the_reasons_of_readers_are_those_that_are_explained() -> None:
    explained = {("skipped", one) for one in SKIPPED} | {("quarantined", one) for one in QUARANTINED}
    assert in_the_code() == explained
    assert len(explained) > 60


NO_CANDIDATES = {
    "empty", "link", "nested-archive", "other-language", "other-post", "special-file", "submodule", "unwanted",
}  # fmt: skip
"""What would never have been a document."""


def test_every_skip_of_what_would_have_been_a_document_says_where_it_was_and_what_decided() -> None:
    bare = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Skip":
                assert len(node.args) != 3, f"{path.name}:{node.lineno}: a place without a value"
                if len(node.args) == 2 and ast.unparse(node.args[0]) != "entry.kind":
                    bare |= constants(node.args[0])
    assert bare == NO_CANDIDATES


def test_the_table_of_the_reference_has_exactly_these_reasons_with_their_meaning() -> None:
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    section = re.split(r"^#{1,3} ", text.split("\n### What readers leave out\n", 1)[1], maxsplit=1, flags=re.M)[0]
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| (.+) \|$", section, flags=re.M)
    expected = [(one, "skipped", what) for one, what in SKIPPED.items()]
    expected += [(one, "quarantined", what) for one, what in QUARANTINED.items()]
    assert rows == expected
    assert section.count("\n| ") == len(rows) + 1, "each row is understood"


def test_reasons_are_in_order_and_their_words_are_plain() -> None:
    for table in (SKIPPED, QUARANTINED):
        assert list(table) == sorted(table)
    assert in_words("few-answers") == "a question with fewer answers than min-answers"
    assert in_words("no such reason") == ""


def test_a_reason_that_comes_from_nowhere_known_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "reader.py"
    path.write_text("def read():\n    yield Skip(mystery, 0)\n")
    with pytest.raises(AssertionError, match=r"reader\.py:2: where does mystery come from"):
        list(given(path))
