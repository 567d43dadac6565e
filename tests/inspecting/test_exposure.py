"""Arms that may train on different benchmark items are named once the corpora are made."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from pretrial.inspecting.corpora import Corpora
from pretrial.inspecting.exposure import unequal
from pretrial.inspecting.terminal import print_built
from seen import Seen


def built(place: Seen, name: str, more: str) -> Any:
    """The corpora of the study with an arm that has no pages of the web."""
    text = place.study.read_text(encoding="utf-8")
    for before, after in (
        ("  mixed: {web: 3/5, code: 2/5}\n", "  mixed: {web: 3/5, code: 2/5}\n  other: {code: 100%}\n"),
        ("carry: [", "  other: [{name: only, tokens: 25600, mixture: other}]\ncarry: ["),
        ("\nmixtures:", f"{more}\nmixtures:"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    path = place.folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    made = place.trial(path).build_corpora(workers=1, quiet=True)
    assert not made.failures
    return made


def printed(made: Any) -> str:
    out = io.StringIO()
    print_built(Console(file=out, width=200), made, [])
    return out.getvalue()


def test_arms_that_may_train_on_different_items_are_named(place: Seen) -> None:
    made = built(place, "leaky", "decontaminate: false\n")
    # Nothing waits for the scans, but they are made all the same.
    assert set(made.corpora.graph.scans).isdisjoint(made.corpora.graph.steps["selection of documents"].inputs.values())
    assert unequal(made.corpora) == [
        "piqa: arms had different items of it in their training documents "
        "(trunk 1, branch 1, other 0 of 1 that are evaluated)"
    ]
    assert "contaminated differently: piqa: arms had different items" in printed(made)


def test_arms_whose_documents_with_items_left_are_not(place: Seen) -> None:
    made = built(place, "clean", "")
    assert unequal(made.corpora) == []
    assert "contaminated differently" not in printed(made)


def test_arms_that_may_train_on_the_same_items_are_not(place: Seen) -> None:
    path = place.variation("alike", "\nmixtures:", "decontaminate: false\n\nmixtures:")
    assert unequal(place.trial(path).build_corpora(workers=1, quiet=True).corpora) == []


def test_before_the_corpora_are_made_nothing_is_said(place: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    corpora: Corpora = built(place, "leaky", "decontaminate: false\n").corpora
    find = corpora.find
    monkeypatch.setattr(corpora, "find", lambda name: None if name.startswith("benchmark items") else find(name))
    assert unequal(corpora) == []
    monkeypatch.setattr(corpora, "find", lambda name: None)
    assert unequal(corpora) == []
