"""The study whose corpora hold one of everything, made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import seen
from pretrial.inspecting.corpora import Corpora
from seen import Seen


@pytest.fixture
def place() -> Iterator[Seen]:
    """The study with its corpora and tokens; nothing may change it."""
    made = seen.made()
    with seen.quiet():
        yield made


@pytest.fixture
def corpora(place: Seen) -> Corpora:
    found: Corpora = place.trial().corpora()
    return found
