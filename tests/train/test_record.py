"""The execution record: chosen by rule, remembered, and honest about why nothing compiles."""

from __future__ import annotations

import json
import shutil
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
        "compiler": ["/usr/bin/g++", "g++ 14"], "headers": True, "environment": {},
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


@pytest.mark.parametrize(
    "left", ["", "{", "[]", "null", "{}", '{"key": "KEY"}', '{"key": "KEY", "trial": {}}', '{"key": "KEY", "trial": 1}']
)
def test_an_answer_that_was_cut_off_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str) -> None:
    key = room.fingerprint(record_inputs())
    (tmp_path / "trial.json").write_text(left.replace("KEY", key))
    assert not room.remembered(tmp_path)
    monkeypatch.setattr(room, "_try", lambda: dict(TRIAL))
    assert make_record(tmp_path).values["backend"] == "compiled"
    assert room.remembered(tmp_path)


@pytest.mark.parametrize(
    "said",
    [
        "CppCompileError: fatal error: error writing to /tmp/x.s: No space left on device",
        "OSError: [Errno 28] No space left on device",
        "CppCompileError: g++: fatal error: Killed signal terminated program cc1plus",
        "virtual memory exhausted: Cannot allocate memory",
    ],
)
def test_a_failure_that_may_pass_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    failed = TRIAL | {"compiles": False, "why": said, "said": said}
    answers = [failed, TRIAL]
    monkeypatch.setattr(room, "_try", lambda: dict(answers.pop(0)))
    assert make_record(tmp_path).values["backend"] == "eager"
    assert not room.remembered(tmp_path)
    assert make_record(tmp_path).values["backend"] == "compiled"


def test_a_failure_that_is_remembered_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a compiler and headers there, nothing else would have it tried again."""
    failed = TRIAL | {"compiles": False, "why": "error: unknown option -fopenmp", "said": "unknown option"}
    monkeypatch.setattr(room, "_try", lambda: dict(failed))
    monkeypatch.setattr(room, "record_inputs", inputs)
    first, again = make_record(tmp_path), make_record(tmp_path)
    assert room.remembered(tmp_path)
    for made in (first, again):
        assert made.note.endswith(f"unknown option -fopenmp. Delete {tmp_path / 'trial.json'} to have it tried again")


@pytest.mark.parametrize(
    ("missing", "package"),
    [
        ({"headers": False}, "Python.h is missing; on Debian or Ubuntu: apt install python3-dev"),
        ({"compiler": ["", ""]}, "on Debian or Ubuntu: apt install g++ python3-dev"),
        ({"environment": {"TORCH_COMPILE_DISABLE": "1"}, "headers": False}, "slower: why"),
    ],
)
def test_what_is_missing_is_named_as_a_package(missing: dict[str, Any], package: str) -> None:
    made = room._decide(inputs(**missing), TRIAL | {"compiles": False, "why": "why"}, "auto")
    assert made.note.endswith(package)


@pytest.mark.parametrize(
    ("compiler", "headers", "said"),
    [
        (True, True, ""),
        (True, False, "setup: no Python.h: training runs uncompiled, about half as fast. "
                      "On Debian or Ubuntu: apt install python3-dev\n"),
        (False, False, "setup: no C++ compiler: training runs uncompiled, about half as fast. "
                       "On Debian or Ubuntu: apt install g++ python3-dev\n"),
    ],
)  # fmt: skip
def test_setting_up_says_what_compiling_lacks(tmp_path: Path, compiler: bool, headers: bool, said: str) -> None:
    """tools/setup.sh on a machine with nothing but what is made here."""
    root = Path(__file__).parents[2]
    for folder in ("tools", ".venv/bin", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(root / "tools" / "setup.sh", tmp_path / "tools")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("")
    for name in ("cat", "cksum", "dirname", "tr"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    wanted = subprocess.run(["cksum"], input="", capture_output=True, text=True, check=True).stdout
    (tmp_path / ".venv" / ".installed-core").write_text(wanted)
    # A Python that has all that is asked for, headers perhaps.
    programs = {"bin/python3": "exit 0", ".venv/bin/python": f'case "$2" in *Python.h*) exit {int(not headers)};; esac'}
    if compiler:
        programs["bin/g++"] = "exit 0"
    for name, does in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "tools/setup.sh"], cwd=tmp_path, env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


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
