"""What people see of a run: plain lines where there is no terminal, one live line where there is, and the time left."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.errors import RunError
from pretrial.execute import progress
from pretrial.execute.progress import Progress, Quiet, Timer, duration
from pretrial.plan.steps import Step


def step(name: str, group: str = "training") -> Step:
    return Step(name, "demo", 1, "fake_steps:write", {}, group=group)


def timer() -> Timer:
    return Timer({"a": 10.0, "b": 10.0, "c": 100.0}, {"a": "training", "b": "training", "c": "evaluation"})


def test_the_time_left_is_the_forecast_of_what_is_left() -> None:
    left = timer()
    assert left.left() == 120
    left.finish("a", 10.0)
    assert left.left() == pytest.approx(110)


def test_a_group_that_is_slower_than_its_forecast_stays_so_and_no_other() -> None:
    left = timer()
    left.finish("a", 32.0)
    # Three times the forecast, with one second of prior: 33 / 11.
    assert left.left() == pytest.approx(3 * 10 + 100)


def test_a_running_step_tells_how_fast_it_is() -> None:
    left = timer()
    left.part("a", 0.01, 1.0)
    assert left.left() == 120, "too early to tell"
    left.part("a", 0.25, 10.0)
    assert left.left() == pytest.approx(30 + 10 + 100)
    left.part("unknown", 0.5, 1.0)
    left.finish("unknown", 1.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1), st.floats(0, 1e6)), max_size=20))
def test_the_time_left_is_never_negative(events: list[tuple[str, float, float]]) -> None:
    left = timer()
    for name, share, seconds in events:
        left.part(name, share, seconds) if share < 0.9 else left.finish(name, seconds)
        assert left.left() >= 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (99.4, "99 s"), (100, "1 min 40 s"), (599.6, "10 min"),
     (3599, "59 min"), (3600, "1 h 0 min"), (7500, "2 h 5 min")],
)  # fmt: skip
def test_seconds_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def watch(tmp_path: Path, stream: io.StringIO, **options: bool) -> Progress:
    return Progress(tmp_path / "deep" / "log.jsonl", timer(), stream, **options)


def test_without_a_terminal_there_are_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(progress, "_PLAIN_EVERY", 0.0)
    with watch(tmp_path, stream) as watching:
        watching.started(step("a"))
        watching.progress(step("a"), 50, 100, {"loss": 2.3456, "rate": 27123.4, "doing": "part [1]"})
        watching.finished(step("a"), 3.21)
        watching.failed(step("b"), RunError("the disk is on fire", remedy="Put it out."))
        watching.warn("odd [red]records[/red]")
        watching.log("plain words")
    text = stream.getvalue()
    assert "a: 50% (loss 2.346, 27.1K tokens/s, part [1]); study: " in text
    assert "a: 3.2 s (loss 2.346, 27.1K tokens/s)\n" in text
    assert "b failed: the disk is on fire\n  Put it out.\n" in text
    assert "warning: odd [red]records[/red]\n" in text
    assert text.endswith("plain words\n")
    assert "\x1b" not in text


def test_plain_lines_come_now_and_then_and_not_at_every_step(tmp_path: Path) -> None:
    stream = io.StringIO()
    with watch(tmp_path, stream) as watching:
        watching.log("begun")
        for done in range(100):
            watching.progress(step("a"), done, 100, {})
    assert stream.getvalue() == "begun\n"


def test_on_a_terminal_one_line_lives(tmp_path: Path) -> None:
    stream = io.StringIO()
    with watch(tmp_path, stream, live=True) as watching:
        watching.started(step("a"))
        watching.progress(step("a"), 1, 2, {"loss": 2.0})
        watching.warn("odd [red]records[/red]")
    assert "warning: odd [red]records[/red]" in stream.getvalue()


def test_a_quiet_run_still_keeps_its_log(tmp_path: Path) -> None:
    stream = io.StringIO()
    with watch(tmp_path, stream, quiet=True) as watching:
        watching.started(step("a"))
        watching.progress(step("a"), 1, 2, {})
        watching.finished(step("a"), 1.23456)
        watching.warn("odd → records")
        watching.failed(step("b"), RunError("no"))
    assert stream.getvalue() == ""
    events = [json.loads(line) for line in (tmp_path / "deep/log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [event["event"] for event in events] == ["started", "finished", "warning", "failed"]
    assert events[1]["seconds"] == 1.235
    assert events[2]["message"] == "odd → records"
    assert all(event["at"] for event in events)


def test_logs_of_further_runs_follow(tmp_path: Path) -> None:
    for _ in range(2):
        with watch(tmp_path, io.StringIO()) as watching:
            watching.log("begun")
    assert len((tmp_path / "deep/log.jsonl").read_text().splitlines()) == 2


def test_a_silent_observer_keeps_warnings() -> None:
    quiet = Quiet()
    quiet.started(step("a"))
    quiet.progress(step("a"), 1, 2, {})
    quiet.finished(step("a"), 1.0)
    quiet.failed(step("a"), RunError("no"))
    quiet.log("nothing")
    quiet.warn("odd")
    assert quiet.warnings == ["odd"]
