"""What a report reads was hashed first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pretrial.errors import RunError
from pretrial.findings.shelf import DAMAGED, Shelf
from pretrial.plan.graph import Graph
from pretrial.store.artefacts import Store
from pretrial.study.schema import Study
from smoke import flip


@pytest.fixture
def shelved(
    build: Callable[..., Study], plan: Callable[[Study], Graph], kept: Callable[..., Any], store: Store
) -> tuple[Any, str, str]:
    """A runner of another process than the one that made things, a checkpoint and an evaluation."""
    graph = plan(build())
    runner = kept(graph)
    runner.store = Store(store.root)  # has verified nothing
    one = graph.evaluations[0]
    return runner, one.checkpoint, one.step


def test_what_is_whole_is_given(shelved: tuple[Any, str, str]) -> None:
    runner, checkpoint, evaluation = shelved
    shelf = Shelf(runner)
    assert shelf.whole(evaluation) is runner.given[evaluation]
    path = shelf.file(checkpoint, "metrics.jsonl")
    assert path is not None
    assert path.is_file()
    assert shelf.whole("corpus prose") is None
    assert shelf.file("tokenizer", "tokenizer.json") is None
    assert shelf.broken == {}


def test_a_flipped_byte_is_found_and_counts_as_missing(shelved: tuple[Any, str, str]) -> None:
    runner, _, evaluation = shelved
    path = runner.given[evaluation].file("items.parquet")
    flip(path)
    shelf = Shelf(runner)
    assert shelf.whole(evaluation) is None
    assert shelf.find(evaluation) is None
    assert shelf.why_not(evaluation) == DAMAGED
    assert not path.exists()
    assert [message for message in runner.observer.warnings if "items.parquet is not what was written" in message]


def test_one_damaged_file_of_a_checkpoint_is_not_read(shelved: tuple[Any, str, str]) -> None:
    runner, checkpoint, _ = shelved
    flip(runner.given[checkpoint].file("metrics.jsonl"))
    shelf = Shelf(runner)
    assert shelf.file(checkpoint, "metrics.jsonl") is None
    assert shelf.broken == {checkpoint: DAMAGED}


def test_a_file_that_went_is_damage_too(shelved: tuple[Any, str, str]) -> None:
    runner, checkpoint, _ = shelved
    runner.given[checkpoint].file("metrics.jsonl").unlink()
    assert Shelf(runner).file(checkpoint, "metrics.jsonl") is None


def test_a_run_makes_what_is_damaged_again(shelved: tuple[Any, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    runner, _, evaluation = shelved
    lost = runner.given[evaluation]
    content = lost.file("items.parquet").read_bytes()
    flip(lost.file("items.parquet"))
    monkeypatch.setattr(runner, "ensure", lambda name: runner.keep(name, lost.facts, items__parquet=content))
    shelf = Shelf(runner, make=True)
    again = shelf.whole(evaluation)
    assert again is not None
    assert again.content == lost.content
    assert shelf.find(evaluation) is again
    assert shelf.broken == {}


def test_what_cannot_be_made_again_says_why(shelved: tuple[Any, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    runner, _, evaluation = shelved
    flip(runner.given[evaluation].file("items.parquet"))

    def ensure(name: str) -> Any:
        raise RunError("the disk is full")

    monkeypatch.setattr(runner, "ensure", ensure)
    shelf = Shelf(runner, make=True)
    assert shelf.whole(evaluation) is None
    assert shelf.why_not(evaluation) == "the disk is full"
