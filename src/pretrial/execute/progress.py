"""Who tells the user: a live line on a terminal, plain lines elsewhere, and a log file either way.

The time left is what the plan forecasts for the steps still to run, corrected per group of steps by how this run's
finished ones compared with their forecast.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pretrial.errors import RunError
from pretrial.plan.steps import Step

_PLAIN_EVERY = 15.0


class Timer:
    """Time left for all steps of a run."""

    def __init__(self, forecast: Mapping[str, float], groups: Mapping[str, str]) -> None:
        self._left = dict(forecast)
        self._forecast = dict(forecast)
        self._groups = groups
        self._spent: dict[str, float] = defaultdict(float)
        self._planned: dict[str, float] = defaultdict(float)

    def finish(self, name: str, seconds: float) -> None:
        """A step is done."""
        planned = self._left.pop(name, None)
        if planned is not None:
            self._spent[self._groups[name]] += seconds
            self._planned[self._groups[name]] += self._forecast[name]

    def part(self, name: str, share: float, spent: float) -> None:
        """A running step is `share` done after `spent` seconds."""
        if name in self._left and share > 0.02:
            self._left[name] = spent * (1 - share) / share / self._factor(name)

    def left(self) -> float:
        """Seconds left."""
        return sum(seconds * self._factor(name) for name, seconds in self._left.items())

    def _factor(self, name: str) -> float:
        group = self._groups[name]
        planned = self._planned[group]
        # One step's weight of prior, so that a first quick step does not swing the whole forecast.
        return (self._spent[group] + 1.0) / (planned + 1.0)


class Progress:
    """An observer for people and for the log; with `quiet`, for the log alone."""

    def __init__(
        self, log: Path, timer: Timer, stream: TextIO | None = None, *, live: bool | None = None, quiet: bool = False
    ) -> None:
        self._timer = timer
        self._quiet = quiet
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._live_wanted = (self._console.is_terminal if live is None else live) and not quiet
        self._live: Live | None = None
        self._current: tuple[str, float, float, Mapping[str, float | str]] | None = None
        self._step_started = time.monotonic()
        self._last_plain = 0.0
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("a", encoding="utf-8")

    def __enter__(self) -> Progress:
        if self._live_wanted:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._log.close()

    def started(self, step: Step) -> None:
        """A step begins."""
        self._step_started = time.monotonic()
        self._current = (step.name, 0.0, 1.0, {})
        self._write("started", step=step.name)
        self._show()

    def progress(self, step: Step, done: float, total: float, facts: Mapping[str, float | str]) -> None:
        """A running step reports."""
        self._current = (step.name, done, total, facts)
        self._timer.part(step.name, done / total if total else 0.0, time.monotonic() - self._step_started)
        self._show()

    def finished(self, step: Step, seconds: float) -> None:
        """A step was made."""
        self._timer.finish(step.name, seconds)
        self._write("finished", step=step.name, seconds=round(seconds, 3))
        facts = self._current[3] if self._current is not None and self._current[0] == step.name else {}
        self._current = None
        self._say(f"{step.name}: {duration(seconds)}{_facts(facts, last=True)}", dim=True)

    def failed(self, step: Step, error: RunError) -> None:
        """A step failed."""
        self._current = None
        self._write("failed", step=step.name, error=str(error))
        self._say(f"{step.name} failed: {error}", style="bold red")

    def log(self, message: str) -> None:
        """A line for the log."""
        self._write("log", message=message)
        self._say(message)

    def warn(self, message: str) -> None:
        """A warning."""
        self._write("warning", message=message)
        self._say(f"warning: {message}", style="yellow")

    def _write(self, event: str, **facts: str | float) -> None:
        entry = {"at": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **facts}
        self._log.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._log.flush()

    def _say(self, message: str, style: str = "", *, dim: bool = False) -> None:
        if self._quiet:
            return
        if self._live is not None:
            self._live.console.print(Text(message, style=style or ("dim" if dim else "")))
            self._show()
        else:
            self._console.print(escape(message), style=style, soft_wrap=True)
            self._last_plain = time.monotonic()

    def _show(self) -> None:
        left = duration(self._timer.left())
        if self._current is None or self._quiet:
            return
        name, done, total, facts = self._current
        share = done / total if total else 0.0
        if self._live is not None:
            row = Table.grid(padding=(0, 1), expand=True)
            row.add_column(width=24)
            row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
            row.add_column(no_wrap=True, justify="right")
            row.add_row(
                ProgressBar(total=1.0, completed=share, width=24),
                Text(f"{name}{_facts(facts)}"),
                Text(f"study: {left} left", style="bold"),
            )
            self._live.update(row)
        elif time.monotonic() - self._last_plain > _PLAIN_EVERY:
            self._last_plain = time.monotonic()
            self._console.print(escape(f"{name}: {share:.0%}{_facts(facts)}; study: {left} left"), soft_wrap=True)


class Quiet:
    """An observer that only keeps warnings: for programs, and for looking at a plan."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def started(self, step: Step) -> None:
        """Nothing."""

    def progress(self, step: Step, done: float, total: float, facts: Mapping[str, float | str]) -> None:
        """Nothing."""

    def finished(self, step: Step, seconds: float) -> None:
        """Nothing."""

    def failed(self, step: Step, error: RunError) -> None:
        """Nothing."""

    def log(self, message: str) -> None:
        """Nothing."""

    def warn(self, message: str) -> None:
        """Keep it."""
        self.warnings.append(message)


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _facts(facts: Mapping[str, float | str], *, last: bool = False) -> str:
    parts = []
    for name, value in facts.items():
        if name == "doing" and last:
            continue
        if isinstance(value, str):
            parts.append(value)
        elif name == "rate":
            parts.append(f"{value / 1000:.1f}K tokens/s" if value >= 1000 else f"{value:.0f} tokens/s")
        else:
            parts.append(f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value:,}")
    return f" ({', '.join(parts)})" if parts else ""
