"""What a command said that ran in the test's own process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """Exit code and output."""

    code: int
    out: str
    err: str


Cli = Callable[..., Said]
