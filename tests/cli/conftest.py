"""Commands in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import Cli, Said
from pretrial.cli import app, guarded


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Cli:
    """`call("plan", study, …)` runs `pretrial plan study …`."""

    def call(*arguments: str | Path) -> Said:
        capsys.readouterr()
        code = guarded(lambda: app([str(a) for a in arguments], standalone_mode=False))
        return Said(code, *capsys.readouterr())

    return call
