"""Locks hold between real processes, and die with the process that holds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pretrial.errors import Interrupted
from pretrial.store.locks import HeldError, locked

HOLD = """
import sys
from pathlib import Path
from pretrial.store.locks import locked
with locked(Path(sys.argv[1]), "study demo", wait=True):
    print("held", flush=True)
    sys.stdin.readline()
"""
SPAWN = """
import multiprocessing, sys, time
from pathlib import Path
from pretrial.store.locks import locked
if __name__ == "__main__":
    with locked(Path(sys.argv[1]), "study demo", wait=True):
        child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
        child.start()
        print(child.pid, flush=True)
        sys.stdin.readline()
"""


@contextmanager
def holder(lock: Path, script: str = HOLD) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it is killed or reads a line."""
    command = [sys.executable, "-c", script, str(lock)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def release(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("done\n")
    process.stdin.flush()


def test_a_second_process_sees_who_holds_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / "a.lock"
    with holder(lock) as process:
        assert line(process) == "held"
        with pytest.raises(HeldError) as caught, locked(lock, "me", wait=False):
            pytest.fail("two hold one lock")
    assert caught.value.holder["pid"] == str(process.pid)
    assert f"process {process.pid} (study demo), since 2" in str(caught.value)


def test_one_that_waits_is_told_once_and_then_gets_it(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    told: list[str] = []
    with holder(lock) as process:
        assert line(process) == "held"
        threading.Timer(0.4, release, [process]).start()
        with locked(lock, "me", wait=True, waiting=told.append):
            assert str(os.getpid()) in lock.read_text()
    assert len(told) == 1
    assert f"process {process.pid} (study demo)" in told[0]


def test_one_that_waits_hears_a_request_to_stop(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    asked = threading.Event()
    with holder(lock) as process:
        assert line(process) == "held"
        threading.Timer(0.3, asked.set).start()
        with pytest.raises(Interrupted, match="waiting for process"), locked(lock, "me", wait=True, stop=asked.is_set):
            pytest.fail("two hold one lock")


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with holder(lock) as process:
        assert line(process) == "held"
        process.send_signal(signal.SIGKILL)
        process.wait()
        with locked(lock, "me", wait=False):
            assert str(os.getpid()) in lock.read_text()


def test_a_spawned_worker_does_not_hold_its_parents_lock(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    script = tmp_path / "spawning.py"
    script.write_text(SPAWN)
    process = subprocess.Popen(
        [sys.executable, str(script), str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child = int(line(process))
    try:
        process.kill()
        process.wait()
        os.kill(child, 0)  # This child outlives its parent, and yet:
        with locked(lock, "me", wait=False):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_lock_is_free_after_the_block_and_after_an_error_in_it(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with pytest.raises(ZeroDivisionError), locked(lock, "me", wait=False):
        raise ZeroDivisionError
    with locked(lock, "me", wait=False):
        pass
    assert lock.read_text() == "", "a free lock names no holder"


def test_a_note_that_cannot_be_read_is_another_process(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with locked(lock, "me", wait=False):
        lock.write_text("{not json")
        with pytest.raises(HeldError, match="held by another process"), locked(lock, "me", wait=False):
            pytest.fail("two hold one lock")


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with locked(tmp_path / "a.lock", "me", wait=True):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
