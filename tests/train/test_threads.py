"""Threads wait for each other as the user's environment says, and otherwise briefly."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pretrial.train.threads import SPIN_COUNT, spin_briefly


def test_threads_spin_briefly_unless_the_environment_says_how_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(**environment: str) -> str | None:
        for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        spin_briefly()
        return os.environ.get("GOMP_SPINCOUNT")

    assert asked() == str(SPIN_COUNT)
    assert asked(GOMP_SPINCOUNT="7") == "7"
    assert asked(OMP_WAIT_POLICY="ACTIVE") is None


def test_planning_a_run_leaves_torch_unimported_so_that_it_works() -> None:
    code = "import sys, pretrial.trials; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
