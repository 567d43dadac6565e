"""The one place that imports Daft.

Guarantees: Daft's telemetry is off before it is imported (it reports the import over the network otherwise). Signatures
need no runner: they are computed in the calling thread, so worker processes do not compete for threads.
"""

from __future__ import annotations

import os
from typing import Any

from pretrial.errors import RunError

SILENT = {"DO_NOT_TRACK": "1", "SCARF_NO_ANALYTICS": "1", "DAFT_ANALYTICS_ENABLED": "0"}


def daft() -> Any:
    """The Daft package, imported with its telemetry off.

    Raises:
        RunError: when it is not installed.
    """
    os.environ.update(SILENT)
    try:
        import daft as package
    except ImportError as error:
        raise RunError(
            f"near-duplicates need the package daft: {error}", remedy="Install it: pip install daft"
        ) from error
    return package
