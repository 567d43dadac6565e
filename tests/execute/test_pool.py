"""A pool makes sub-steps elsewhere, gives results in order, and drops what nobody waits for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pretrial.errors import Interrupted, RunError
from pretrial.execute.pool import LocalPool, LostWorkerError, Pool
from pretrial.execute.worker import Substep, run_substep
from pretrial.store.artefacts import Store, payload_of
from pretrial.store.identity import fingerprint

Make = Callable[..., Substep]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


@pytest.fixture
def call(store: Store, tmp_path: Path) -> Make:
    """`call(value)`: the sub-step `fake_steps.part` of that value."""

    def call(value: str) -> Substep:
        payload = payload_of("part", 1, {"value": value}, {})
        settings = {"log": str(tmp_path / "ran")}
        key = fingerprint(payload)
        return Substep(store.root, "part", key, payload, "fake_steps:part", {"value": value}, settings, {})

    return call


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    made = LocalPool(1)
    yield made
    made.close(now=True)


def never() -> bool:
    return False


def begun(tmp_path: Path) -> list[str]:
    path = tmp_path / "ran"
    return path.read_text().split() if path.exists() else []


def results(pool: Pool, *calls: Substep) -> list[list[str]]:
    return list(pool.results(pool.submit(calls), never))


def test_results_come_in_the_order_of_the_calls_and_are_warnings(pool: LocalPool, call: Make, store: Store) -> None:
    calls = [call("slow0.1"), call("warn"), call("x")]
    assert results(pool, *calls) == [[], ["one record could not be read"], []]
    made = [store.find("part", one.key) for one in calls]
    assert [artefact.file("value").read_text() for artefact in made if artefact] == ["slow0.1", "warn", "x"]


def test_a_substep_that_is_there_is_not_made_again_and_warns_again(pool: LocalPool, call: Make, tmp_path: Path) -> None:
    assert run_substep(call("warn")) == ["one record could not be read"]
    assert results(pool, call("warn")) == [["one record could not be read"]]
    assert begun(tmp_path) == ["warn"]


def test_what_a_substep_raises_comes_back_and_drops_what_was_not_begun(
    pool: LocalPool, call: Make, tmp_path: Path
) -> None:
    tickets = pool.submit([call("fail"), *(call(f"slow0.2{i}") for i in range(9))])
    with pytest.raises(RunError, match="a part failed") as caught:
        list(pool.results(tickets, never))
    assert caught.value.remedy == "Mend it."
    pool.close()
    assert len(begun(tmp_path)) <= 4, "the one that failed, one being made, and what was at hand"


def test_who_stops_taking_results_leaves_nothing_in_the_queue(pool: LocalPool, call: Make, tmp_path: Path) -> None:
    taken = pool.results(pool.submit([call("x"), *(call(f"slow0.2{i}") for i in range(9))]), never)
    assert next(taken) == []
    taken.close()  # type: ignore[attr-defined]
    pool.close()
    assert len(begun(tmp_path)) <= 4


def test_a_request_to_stop_is_heard_while_a_substep_runs_which_is_finished(
    pool: LocalPool, call: Make, store: Store, tmp_path: Path
) -> None:
    slow = call("slow1")
    with pytest.raises(Interrupted):
        list(pool.results(pool.submit([slow]), lambda: begun(tmp_path) == ["slow1"]))
    assert store.find("part", slow.key) is None
    pool.close()
    assert store.find("part", slow.key) is not None


def test_closed_at_once_it_kills_what_is_being_made_and_leaves_no_artefact(
    pool: LocalPool, call: Make, store: Store, tmp_path: Path
) -> None:
    slow = call("slow60")
    with pytest.raises(Interrupted):
        list(pool.results(pool.submit([slow]), lambda: begun(tmp_path) == ["slow60"]))
    started = time.monotonic()
    pool.close(now=True)
    assert time.monotonic() - started < 10
    assert store.find("part", slow.key) is None
    assert len(list((store.root / "tmp").iterdir())) == 1, "the next run deletes it"
    store.clean()
    assert not list((store.root / "tmp").iterdir())


def test_a_process_that_dies_is_said_and_the_next_substeps_are_made(pool: LocalPool, call: Make) -> None:
    with pytest.raises(LostWorkerError, match="a worker process died"):
        results(pool, call("die"))
    assert results(pool, call("x")) == [[]]


def test_a_process_that_dies_idle_is_replaced(pool: LocalPool, call: Make) -> None:
    results(pool, call("x"))
    assert pool._processes is not None
    (process,) = pool._processes._processes.values()
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(10)
    deadline = time.monotonic() + 10
    while not pool._processes._broken and time.monotonic() < deadline:
        time.sleep(0.01)
    assert results(pool, call("y")) == [[]]


def test_a_pool_that_nothing_was_asked_of_can_be_closed_and_used() -> None:
    pool: Any = LocalPool(1)
    pool.close()
    pool.close(now=True)
    assert list(pool.results(pool.submit([]), never)) == []
    pool.close()
