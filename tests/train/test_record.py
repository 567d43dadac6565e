"""The execution record: chosen by rule, remembered, and honest about why nothing compiles."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pretrial.errors import RunError
from pretrial.train import record as room
from pretrial.train.record import instruction_set, make_record, record_inputs

TRIAL = {"cuda": "", "cuda_bf16": False, "capability": "avx512", "compiles": True, "why": ""}


def inputs(**more: Any) -> dict[str, Any]:
    return {
        "python": "3.12.1", "torch": "2.13.0", "instructions": "avx2", "threads": 2,
        "compiler": ["/usr/bin/g++", "g++ 14"],
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("level", "asked", "precision"),
    [
        ("amx", "auto", "bfloat16"),
        ("avx512_bf16", "auto", "bfloat16"),
        ("avx512", "auto", "float32"),
        ("avx2", "auto", "float32"),
        ("avx2", "bfloat16", "bfloat16"),
        ("amx", "float32", "float32"),
    ],
)
def test_precision_is_chosen_by_rule(level: str, asked: str, precision: str) -> None:
    assert room._decide(inputs(instructions=level), TRIAL, asked).values["precision"] == precision


def test_cuda_is_taken_where_there_is_one() -> None:
    made = room._decide(inputs(), TRIAL | {"cuda": "H200", "cuda_bf16": True}, "auto").values
    assert (made["device"], made["instructions"], made["precision"]) == ("cuda", "H200", "bfloat16")
    assert made["micro_tokens"] > room._decide(inputs(), TRIAL, "auto").values["micro_tokens"]


def test_what_does_not_compile_is_eager_and_says_why() -> None:
    made = room._decide(inputs(), TRIAL | {"compiles": False, "why": "Python.h: No such file"}, "auto")
    assert made.values["backend"] == "eager"
    assert made.values["compiler"] == ""
    assert made.note.count("\n") == 0
    assert "Python.h" in made.note
    assert room._decide(inputs(), TRIAL, "auto").note == ""


def test_the_compiler_bears_identity_only_where_it_is_used() -> None:
    other = inputs(compiler=["/usr/bin/g++", "g++ 15"])
    assert room._decide(inputs(), TRIAL, "auto").key != room._decide(other, TRIAL, "auto").key
    eager = TRIAL | {"compiles": False, "why": "x"}
    assert room._decide(inputs(), eager, "auto").key == room._decide(other, eager, "auto").key


def test_the_trial_is_remembered_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr(room, "_try", lambda: tried.append(1) or TRIAL)
    one = make_record(tmp_path)
    assert make_record(tmp_path) == one
    assert len(tried) == 1
    monkeypatch.setenv("CPATH", "/elsewhere")
    make_record(tmp_path)
    assert len(tried) == 2


def test_inputs_are_plain_and_stable() -> None:
    assert record_inputs() == json.loads(json.dumps(record_inputs()))
    assert record_inputs()["threads"] >= 1


def test_instruction_set_is_read_from_the_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    monkeypatch.setattr(room, "Path", lambda path: info)
    for flags, level in (
        ("sse avx2 avx512f avx512_bf16 amx_bf16", "amx"),
        ("sse avx2 avx512f", "avx512"),
        ("sse", "unknown"),
    ):
        info.write_text(f"processor : 0\nflags\t\t: {flags}\n")
        assert instruction_set() == level
    info.unlink()
    assert instruction_set() == "unknown"


def test_a_torch_that_cannot_be_imported_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_TRIAL", "raise ImportError('no torch here')")
    with pytest.raises(RunError, match="no torch here"):
        room._try()


@pytest.mark.slow
def test_a_compiler_that_is_not_there_is_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real trial: with a compiler that always fails, and with none at all."""
    broken = tmp_path / "broken-c++"
    broken.write_text("#!/bin/sh\necho 'fatal error: Python.h: No such file or directory' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    made = make_record()
    assert made.values["backend"] == "eager"
    assert made.note


def test_asking_needs_no_torch() -> None:
    code = "import sys; from pretrial.train.record import record_inputs; record_inputs(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
