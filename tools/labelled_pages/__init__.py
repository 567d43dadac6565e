"""The parts of make_labelled_pages.py."""

from __future__ import annotations
