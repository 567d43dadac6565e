"""How OpenMP's threads wait for each other: a little by spinning, then asleep.

Between two kernels each thread waits for the others. Left alone, libgomp spins for milliseconds, which is fastest on
an idle machine and ruins a busy one: a thread that another program has put aside is waited for by burning the very
processor it needs (tokens/s with one busy program beside two threads fell to between a seventh and a twenty-fifth).
Numbers come out the same either way, so this is no part of the execution record.
"""

from __future__ import annotations

import os

SPIN_COUNT = 10_000
"""Turns of the waiting loop before a thread sleeps: as fast as the default on an idle machine (measured)."""


def spin_briefly() -> None:
    """Ask libgomp to spin `SPIN_COUNT` turns, unless the user's environment says how to wait.

    Works only before torch is imported; afterwards it changes nothing.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPIN_COUNT))
