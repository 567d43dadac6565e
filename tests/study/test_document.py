from __future__ import annotations

from pathlib import Path

import pytest

from pretrial.errors import RequestError
from pretrial.study.document import read_document


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.yaml"


def test_yaml_1_2_values_and_lines(path: Path) -> None:
    path.write_text("a: 1\nb:\n  - 1e-3\n  - yes\n  - true\n2020: 2020-01-01\nnull: ~\n", encoding="utf-8")
    data, marks = read_document(path)
    assert data == {"a": 1, "b": [0.001, "yes", True], "2020": "2020-01-01", "null": None}
    assert marks == {"": 1, "a": 1, "b": 2, "b.0": 3, "b.1": 4, "b.2": 5, "2020": 6, "null": 7}


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 5, "'c' is said twice, on lines 3 and 5"),
        ("a: 1\nb: !fast 2\n", 2, "the YAML tag '!fast'"),
        ("a: 1\nb: !!python/name:os.system x\n", 2, "python/name:os.system"),
        ("a: &x\n  - *x\n", 1, "an alias repeats without end"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", 2, "merge keys"),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "not YAML"),
        ("a: *nothing\n", 1, "not YAML"),
        ("a: 1\n? [b]\n: 2\n", 2, "a key must be text"),
        ("a: 1\n---\nb: 1\n", 2, "not YAML"),
    ],
)
def test_what_is_refused_has_its_line(path: Path, text: str, line: int, what: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        read_document(path)
    assert what in caught.value.what
    assert (caught.value.where or "").startswith(f"{path}:{line}")


def test_files_that_are_no_text(path: Path) -> None:
    with pytest.raises(RequestError, match="no such study file"):
        read_document(path)
    path.write_bytes(b"study: \xff\n")
    with pytest.raises(RequestError, match="not UTF-8"):
        read_document(path)
    path.write_bytes(b"")
    with pytest.raises(RequestError, match="empty"):
        read_document(path)
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(path)[0] == {"a": 1}
    with pytest.raises(RequestError, match="cannot be read"):
        read_document(path.parent)
    path.write_bytes(b"[" * 5_000)
    with pytest.raises(RequestError, match="nested too deeply"):
        read_document(path)


def test_aliases_that_explode_are_refused(path: Path) -> None:
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    path.write_text("a0: &a0 [x]\n" + "\n".join(levels) + "\n", encoding="utf-8")
    with pytest.raises(RequestError, match="alias"):
        read_document(path)
