"""What makes whole studies in this process quick: reports without pictures, files that need not outlive a power cut."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out of reports what is drawn, which takes seconds and is tested where it is made."""
    from pretrial.report import figures, page

    monkeypatch.setattr(figures, "figures", lambda data: [])
    monkeypatch.setattr(page, "_bundle", lambda: "")
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
