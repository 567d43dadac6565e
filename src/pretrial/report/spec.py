"""Semantics version of the report: raised when the same data would give other tables, figures or a page."""

from __future__ import annotations

SEMANTICS: dict[str, int] = {"report": 1}
