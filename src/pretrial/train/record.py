"""The execution record: on what and how training runs, chosen by rule and never by stopwatch.

Guarantees: this module never imports torch; what only torch can answer (is there a CUDA device, does a
trial kernel compile *and load*) is asked in a subprocess, once per `record_inputs()`, and remembered, but for
failures that pass (a full disk, too little memory). Equal records give equal bits for equal trajectories. Does not
do: set anything (`pretrial.train.loop` obeys the record).

The rules. Device: CUDA where torch has one, else the CPU. Backend: `compiled` where a trial kernel compiles
and loads (a compiler without `Python.h` is not enough), else `eager`. Precision, where the study says
`auto`: bfloat16 on CUDA devices and processors that have it (AVX512_BF16, AMX), else float32. Threads: the
processors this process may use, at most `MOST_THREADS`. Micro-batch: at most `MICRO_TOKENS` tokens at a
time.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrial.errors import RunError
from pretrial.store.identity import fingerprint

Json = dict[str, Any]

MOST_THREADS = 16
"""Models that a processor trains gain nothing from more."""
MICRO_TOKENS = {"cpu": 4096, "cuda": 65536}
"""Most tokens in one forward and backward pass."""
TRIAL_SECONDS = 300

# From the most capable down; (flag in /proc/cpuinfo, level).
_LEVELS = (
    ("amx_bf16", "amx"),
    ("avx512_bf16", "avx512_bf16"),
    ("avx512f", "avx512"),
    ("avx2", "avx2"),
    ("sve", "sve"),
    ("asimd", "neon"),
)
_BF16_LEVELS = ("amx", "avx512_bf16")

_PASSING = re.compile(
    r"no space left|quota exceeded|cannot allocate|out of memory|memoryerror|killed|too many open files"
    r"|read-only file system|input/output error|temporarily unavailable",
    re.IGNORECASE,
)
"""How a compiler, Python or the system says that it failed for a reason which may be gone the next time."""

_TRIAL = """
import json, sys
import torch
cuda = torch.cuda.is_available()
answer = {
    "cuda": torch.cuda.get_device_name() if cuda else "",
    "cuda_bf16": bool(cuda and torch.cuda.is_bf16_supported(including_emulation=False)),
    "capability": torch.backends.cpu.get_cpu_capability().lower(),
    "compiles": False,
    "why": "",
    "said": "",
}
try:
    x = torch.ones(64, 64, device="cuda" if cuda else "cpu")
    wanted = (x * 2).sin() + x
    made = torch.compile(lambda x: (x * 2).sin() + x, dynamic=False)(x)
    answer["compiles"] = bool(torch.allclose(made, wanted, atol=1e-5))
    answer["why"] = "" if answer["compiles"] else "a compiled trial kernel gave wrong values"
except Exception as error:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line.lower()] or lines
    answer["why"] = telling[0][:300] if telling else type(error).__name__
    answer["said"] = f"{type(error).__name__}: {error}"[:20000]
print("TRIAL" + json.dumps(answer))
"""


@dataclass(frozen=True)
class Record:
    """The record proper (`values`, what bears identity) and what to tell the user about it."""

    values: Json
    note: str = ""
    """Why training is not compiled, in one line; empty where it is."""

    @property
    def key(self) -> str:
        """32 hex digits; the record's part of a checkpoint's address."""
        return fingerprint(self.values)


def instruction_set() -> str:
    """The highest level of instructions this processor reports, `unknown` where the system does not say."""
    flags: set[str] = set()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                flags = set(line.partition(":")[2].split())
                break
    return next((level for flag, level in _LEVELS if flag in flags), "unknown")


def processors() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def record_inputs() -> Json:
    """All that the record depends on, read without torch: while these stay equal, so does the record."""
    compiler = _compiler()
    headers = sysconfig.get_paths().get("include", "")
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "torch": importlib.metadata.version("torch"),
        "machine": f"{platform.system()} {platform.machine()}",
        "instructions": instruction_set(),
        "threads": min(processors(), MOST_THREADS),
        "compiler": list(compiler),
        "headers": bool(headers) and (Path(headers) / "Python.h").is_file(),
        "cuda": _cuda_hint(),
        "environment": {
            name: os.environ[name]
            for name in ("CUDA_VISIBLE_DEVICES", "CPLUS_INCLUDE_PATH", "CPATH", "TORCH_COMPILE_DISABLE")
            if name in os.environ
        },
    }


def make_record(cache: Path | None = None, precision: str = "auto") -> Record:
    """The record of training on this machine.

    `cache`: a folder where the trial's answer is kept, so that later calls take milliseconds. `precision`:
    the study's, `auto`, `float32` or `bfloat16`. Raises `RunError` when not even importing torch works.
    """
    inputs = record_inputs()
    trial = _remembered(cache, inputs) if cache is not None else _try()
    return _decide(inputs, trial, precision, cache / _ANSWER if cache is not None else None)


def _decide(inputs: Json, trial: Json, precision: str, kept: Path | None = None) -> Record:
    device = "cuda" if trial["cuda"] else "cpu"
    level = inputs["instructions"] if inputs["instructions"] != "unknown" else trial["capability"]
    has_bf16 = trial["cuda_bf16"] if device == "cuda" else level in _BF16_LEVELS
    values: Json = {
        "device": device,
        "instructions": trial["cuda"] if device == "cuda" else level,
        "backend": "compiled" if trial["compiles"] else "eager",
        "compiler": inputs["compiler"][1] if trial["compiles"] and device == "cpu" else "",
        "precision": ("bfloat16" if has_bf16 else "float32") if precision == "auto" else precision,
        "threads": inputs["threads"],
        "ranks": 1,
        "micro_tokens": MICRO_TOKENS[device],
        "python": inputs["python"],
        "torch": inputs["torch"],
    }
    note = ""
    if not trial["compiles"]:
        note = f"training is not compiled, which makes it slower: {trial['why']}{_way_out(inputs, kept)}"
    return Record(values, note)


def _way_out(inputs: Json, kept: Path | None) -> str:
    """What to do where nothing compiles."""
    if inputs["environment"].get("TORCH_COMPILE_DISABLE") == "1":
        return ""
    if not inputs["compiler"][0]:
        return ". There is no C++ compiler; on Debian or Ubuntu: apt install g++ python3-dev"
    if not inputs["headers"]:
        return ". Python.h is missing; on Debian or Ubuntu: apt install python3-dev"
    if kept is not None and kept.is_file():
        return f". Delete {kept} to have it tried again"
    return ""


_ANSWER = "trial.json"


def remembered(cache: Path) -> bool:
    """Whether `make_record` would answer from its cache, without a trial."""
    return _kept(cache, fingerprint(record_inputs())) is not None


def _kept(cache: Path, key: str) -> Json | None:
    """The trial's answer for these inputs; `None` where there is none, also where the file was cut off."""
    try:
        found = json.loads((cache / _ANSWER).read_text(encoding="utf-8"))
        trial: Json = found["trial"]
        return (
            trial
            if found["key"] == key and {"cuda", "cuda_bf16", "capability", "compiles", "why"} <= set(trial)
            else None
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def _remembered(cache: Path, inputs: Json) -> Json:
    key = fingerprint(inputs)
    found = _kept(cache, key)
    if found is not None:
        return found
    trial = _try()
    if not trial["compiles"] and _PASSING.search(trial.get("said", "")):
        return trial
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / _ANSWER
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps({"key": key, "inputs": inputs, "trial": trial}, indent=1), encoding="utf-8")
    temporary.replace(path)
    return trial


def _try() -> Json:
    # A cache of its own: a kernel compiled earlier must not hide that the compiler is gone.
    with tempfile.TemporaryDirectory(prefix="pretrial-trial-") as folder:
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": folder, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        try:
            done = subprocess.run(
                [sys.executable, "-c", _TRIAL],
                env=environment,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=TRIAL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RunError(
                f"trying out torch's compiler took more than {TRIAL_SECONDS} s",
                remedy="set TORCH_COMPILE_DISABLE=1 to train without it",
            ) from error
    for line in done.stdout.splitlines():
        if line.startswith("TRIAL"):
            answer: Json = json.loads(line.removeprefix("TRIAL"))
            if os.environ.get("TORCH_COMPILE_DISABLE") == "1":
                answer |= {"compiles": False, "why": "TORCH_COMPILE_DISABLE is set"}
            return answer
    tail = (done.stderr.strip().splitlines() or ["no output"])[-1]
    raise RunError(f"torch cannot be used here: {tail}", remedy=f"try: {sys.executable} -c 'import torch'")


def _compiler() -> tuple[str, str]:
    """The C++ compiler that torch would take (its CXX, else g++ or clang++), and its version line; empty where none."""
    named = shlex.split(os.environ.get("CXX", ""))
    found = next((path for name in (*named[:1], "g++", "clang++", "c++") if (path := shutil.which(name))), "")
    if not found:
        return "", ""
    done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=30, check=False)
    return found, (done.stdout.splitlines() or [""])[0]


def _cuda_hint() -> str:
    version = Path("/proc/driver/nvidia/version")
    return version.read_text(errors="replace").splitlines()[0] if version.is_file() else ""
