"""SIGKILL at any moment, then the same command: bit-identical weights, identical tables, nothing left behind.

The main process alone is killed; its workers must go by themselves.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import smoke
from smoke import Place

PHASES = {
    "corpora": lambda event: event.get("step", "").startswith("corpus"),
    "tokens": lambda event: event.get("step", "").startswith(("tokens", "tokenizer")),
    "training": lambda event: event.get("message", "").startswith("first step"),
    "evaluation": lambda event: event.get("step", "").startswith("bits per byte"),
    "report": lambda event: event.get("message") == "analysis and report",
}
Moment = Callable[["Run"], bool]


class Run:
    """One `pretrial run` in a session of its own, watched through its log."""

    def __init__(self, place: Place, *options: str) -> None:
        self.log = place.workspace / "log.jsonl"
        self.before = self.log.stat().st_size if self.log.exists() else 0
        # A resume file after every step of training, so that a kill meets its writing.
        env = smoke.environment({"PRETRIAL_CHECKPOINT_SECONDS": "0"})
        self.process = subprocess.Popen(
            place.arguments("run", *options), cwd=place.folder, env=env, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def events(self) -> list[dict[str, str]]:
        """What this run has logged so far; a line that a kill cut short is none."""
        found = []
        if self.log.exists():
            for line in self.log.read_bytes()[self.before :].splitlines():
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def wait(self, moment: Moment, seconds: float = 120) -> bool:
        """Wait until a moment has come; whether the run was still going then."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            if moment(self):
                return True
            assert time.monotonic() < deadline, self.events()[-3:]
            time.sleep(0.005)
        return False

    def kill(self) -> bool:
        """SIGKILL to the main process alone; whether it was still going."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode in (0, -signal.SIGKILL), output
        return self.process.returncode != 0

    def others(self) -> list[str]:
        """Command lines of the session's processes other than the main one; those that only wait to be reaped not."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.process.pid:
                continue
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                state, _parent, _group, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state not in "ZX":
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def alone(self, seconds: float = 10) -> bool:
        """Whether nothing of the session is left soon after its main process went."""
        deadline = time.monotonic() + seconds
        while self.others() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.others()


@contextmanager
def running(place: Place, *options: str) -> Iterator[Run]:
    run = Run(place, *options)
    try:
        yield run
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.communicate()


def in_phase(phase: str, delay: float, *, nth: int = 1) -> Moment:
    """So many seconds after a phase was seen in the log for the n-th time, or one that follows it."""
    seen: list[float] = []
    names = list(PHASES)
    # Training and evaluation take turns: one does not follow the other.
    late = names[names.index(phase) + (2 if phase == "training" else 1) :]

    def moment(run: Run) -> bool:
        events = [event for event in run.events() if event["event"] in ("started", "log")] if not seen else []
        times = sum(PHASES[phase](event) for event in events)
        if times >= nth or any(PHASES[name](event) for event in events for name in late):
            seen.append(time.monotonic())
        return bool(seen) and time.monotonic() - seen[0] >= delay

    return moment


def after(delay: float) -> Moment:
    started = time.monotonic()
    return lambda run: time.monotonic() - started >= delay


def kill_at(place: Place, moment: Moment) -> tuple[bool, str, list[str]]:
    """Run and kill: whether it was killed, what it was doing last, how it had gone on from earlier kills."""
    with running(place) as run:
        run.wait(moment)
        killed = run.kill()
        assert run.alone(), run.others()
        events = run.events()
    said = [event.get("step") or event.get("message", "") for event in events]
    doing = next((what for what in reversed(said) if not what.startswith("first step")), "starting")
    return killed, doing, [e["message"] for e in events if "resumed at" in e.get("message", "")]


def finish(place: Place) -> None:
    with running(place) as run:
        output, _ = run.process.communicate(timeout=300)
        assert run.process.returncode == 0, output
        assert run.alone(), run.others()


def check_identical(place: Place, undisturbed: Place) -> None:
    assert place.contents(["train"]) == undisturbed.contents(["train"])
    assert place.contents() == undisturbed.contents()
    assert place.tables() == undisturbed.tables()
    for folder in ("tmp", "work", "quarantine"):
        assert not list((place.store / folder).iterdir()), folder
    assert not list(place.workspace.glob(".report.*"))


def interrupt(run: Run) -> str:
    """Ctrl-C as a terminal sends it, to every process of the session; the output until the end."""
    os.killpg(run.process.pid, signal.SIGINT)
    output, _ = run.process.communicate(timeout=60)
    return str(output)


def interrupt_at(place: Place, moment: Moment) -> None:
    """Run and press Ctrl-C once: it stops at the next checkpoint and says how to go on."""
    with running(place) as run:
        assert run.wait(moment)
        output = interrupt(run)
        assert run.process.returncode == 130, output
        assert "Stopping at the next checkpoint; press Ctrl-C again to stop at once." in output
        assert "nothing that was finished is lost" in output
        assert "Run the same command again to go on." in output
        assert "Traceback" not in output
        assert run.alone(), run.others()


def test_killed_and_interrupted_in_every_phase_a_study_ends_the_same(place: Place, finished_once: Place) -> None:
    draw = random.Random(1)
    interrupt_at(place, in_phase("corpora", 0.05))
    for phase in ("corpora", "training"):
        killed, doing, _ = kill_at(place, in_phase(phase, draw.uniform(0, 0.15)))
        assert killed, f"it was done before {phase}: {doing}"
    interrupt_at(place, in_phase("training", 0))
    killed, _, _ = kill_at(place, in_phase("report", 0.1))
    assert killed
    finish(place)
    check_identical(place, finished_once)


def test_workers_die_with_the_main_process(place: Place) -> None:
    with running(place, "--workers", "2") as run:
        run.wait(lambda run: any("spawn_main" in command for command in run.others()))
        assert run.kill()
        assert run.alone(), run.others()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_at_random_moments_a_study_ends_the_same(
    place: Place, finished_once: Place, seed: int
) -> None:
    draw = random.Random(seed)
    kills: dict[str, int] = {}
    resumed = 0
    for phase, times in {"corpora": 3, "tokens": 1, "training": 5, "evaluation": 3, "report": 3}.items():
        for _ in range(times):
            # At any moment at all, often before anything was done, or somewhere in a phase.
            anywhere, somewhere = (
                after(draw.uniform(0, 3)),
                in_phase(phase, draw.uniform(0, 0.15), nth=draw.randint(1, 2)),
            )
            moment = anywhere if draw.random() < 0.2 else somewhere
            killed, doing, went_on = kill_at(place, moment)
            resumed += len(went_on)
            if killed:
                what = doing.split(",")[0].split(" to ")[0].split(" on ")[0]
                kills[what] = kills.get(what, 0) + 1
    assert sum(kills.values()) >= 8
    finish(place)
    check_identical(place, finished_once)
    print(f"seed {seed}: {sum(kills.values())} kills, {resumed} resumed: {kills}")


TWICE = """
import sys
from pathlib import Path
from pretrial.cli import guarded
from pretrial.execute.progress import Quiet
from pretrial.execute.runner import Runner
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Store
from pretrial.running import stopping

def run():
    store = Store(Path(sys.argv[1]))
    store.prepare()
    step = Step("fan", "demo", 1, "fake_steps:fan", {"parts": ["slow60"]}, {"log": sys.argv[1] + "/log"})
    with stopping() as stop:
        Runner(store, [step], Quiet(), workers=1, stop=stop).run(["fan"])

if __name__ == "__main__":
    sys.exit(guarded(run))
"""


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    script = tmp_path / "twice.py"
    script.write_text(TWICE)
    (tmp_path / "store").mkdir()
    log = tmp_path / "store" / "log"
    env = smoke.environment({"PYTHONPATH": f"{smoke.SRC}:{Path(smoke.__file__).parent}"})
    command = [smoke.COMMAND[0], str(script), str(tmp_path / "store")]
    run = Run.__new__(Run)
    run.process = subprocess.Popen(
        command, env=env, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert run.wait(lambda _: log.exists())
        os.killpg(run.process.pid, signal.SIGINT)
        time.sleep(0.7)
        assert run.process.poll() is None, "the first waits for the worker, which has a minute to go"
        started = time.monotonic()
        output = interrupt(run)
        assert time.monotonic() - started < 10
        assert run.process.returncode == 130
        assert "stopped at once; run the same command again to go on" in output
        assert "Traceback" not in output
        assert run.alone(), run.others()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)
