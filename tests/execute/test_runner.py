"""The runner makes what is needed and missing, once, and takes down with a failure only what depends on it."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import smoke
from pretrial.errors import DivergedError, Interrupted, RequestError, RunError
from pretrial.execute.pool import make_processes
from pretrial.execute.runner import Clock, FailedInputError, Runner, Took
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Store


class Watcher:
    """An observer that keeps all it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.shown: list[tuple[float, float, dict[str, Any]]] = []

    def started(self, step: Step) -> None:
        self.events.append(("started", step.name))

    def progress(self, step: Step, done: float, total: float, facts: Mapping[str, float | str]) -> None:
        self.shown.append((done, total, dict(facts)))

    def finished(self, step: Step, seconds: float) -> None:
        self.events.append(("finished", step.name))

    def failed(self, step: Step, error: RunError) -> None:
        self.events.append(("failed", f"{step.name}: {error.what}"))

    def log(self, message: str) -> None:
        self.events.append(("log", message))

    def warn(self, message: str) -> None:
        self.events.append(("warning", message))

    def told(self, event: str) -> list[str]:
        return [what for kind, what in self.events if kind == event]


class Bench:
    """A store, a log of what really ran, and runners over it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "ran"
        self.log.touch()
        self.cured = folder / "cured"
        self.store = Store(folder / "store")
        self.store.prepare()
        self.watcher = Watcher()

    def step(self, name: str, function: str = "write", config: Any = None, inputs: Any = None, **fields: Any) -> Step:
        return Step(
            name=name,
            kind=fields.pop("kind", "demo"),
            version=fields.pop("version", 1),
            function=f"fake_steps:{function}",
            config={"value": name} if config is None else config,
            settings={"log": str(self.log), "cured": str(self.cured), **fields.pop("settings", {})},
            inputs=inputs or {},
            **fields,
        )

    def runner(self, *steps: Step, **options: Any) -> Runner:
        self.watcher = Watcher()
        return Runner(Store(self.store.root), steps, self.watcher, **{"workers": 1, **options})

    def ran(self) -> list[str]:
        lines = self.log.read_text().split()
        self.log.write_text("")
        return lines


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def chain(bench: Bench) -> Callable[..., list[Step]]:
    """a → b → c; keywords replace a step's configuration."""

    def chain(**configs: Any) -> list[Step]:
        steps = []
        for name, upstream in (("a", None), ("b", "a"), ("c", "b")):
            inputs = {"in": upstream} if upstream else {}
            steps.append(bench.step(name, config=configs.get(name), inputs=inputs))
        return steps

    return chain


def test_what_is_wanted_is_made_upstream_first_and_once(bench: Bench, chain: Any) -> None:
    runner = bench.runner(*chain())
    runner.run(["c"])
    assert bench.ran() == ["a", "b", "c"]
    assert runner.ensure("c").file("value").read_text() == "c+b+a"
    assert bench.watcher.told("finished") == ["a", "b", "c"]
    assert list(runner.made) == ["a", "b", "c"]
    again = bench.runner(*chain())
    again.run(["c", "a"])
    assert bench.ran() == []
    assert again.made == {}


def test_a_changed_recipe_reruns_what_depends_on_it(bench: Bench, chain: Any) -> None:
    bench.runner(*chain()).run(["c"])
    bench.ran()
    bench.runner(*chain(b={"value": "B"})).run(["c"])
    assert bench.ran() == ["B", "c"]
    bench.runner(*chain()).run(["c"])
    assert bench.ran() == [], "what was made before is still there"


def test_equal_content_upstream_cuts_the_rerun_short(bench: Bench) -> None:
    def steps(value: str) -> list[Step]:
        first = bench.step("a", "constant", {"value": value})
        return [first, bench.step("b", inputs={"in": "a"}), bench.step("c", inputs={"in": "b"})]

    bench.runner(*steps("one")).run(["c"])
    assert bench.ran() == ["constant", "b", "c"]
    runner = bench.runner(*steps("two"))
    assert runner.find("c") is None, "before a was made nobody knows that it comes out the same"
    runner.run(["c"])
    assert bench.ran() == ["constant"]
    assert bench.runner(*steps("two")).find("c") is not None, "and then it is remembered"


def test_a_raised_semantics_version_makes_a_step_again(bench: Bench) -> None:
    bench.runner(bench.step("a")).run(["a"])
    bench.runner(bench.step("a", version=2)).run(["a"])
    assert bench.ran() == ["a", "a"]


def test_settings_and_unkeyed_inputs_bear_no_identity(bench: Bench) -> None:
    a, other = bench.step("a"), bench.step("b", config={"value": "other"})
    free = frozenset({"from"})
    bench.runner(a, bench.step("c", inputs={"from": "a"}, unkeyed=free)).run(["c"])
    bench.ran()
    steps = (a, other, bench.step("c", inputs={"from": "b"}, unkeyed=free, settings={"path": "elsewhere"}))
    bench.runner(*steps).run(["c"])
    assert bench.ran() == []


def test_a_damaged_input_is_found_when_it_is_read_and_made_again_which_is_said(bench: Bench, chain: Any) -> None:
    bench.runner(*chain()).run(["c"])
    bench.ran()
    path = bench.runner(*chain()).ensure("a").file("value")
    stat = path.stat()
    path.write_text("A")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    runner = bench.runner(*chain(b={"value": "B"}))
    runner.run(["c"])
    assert bench.ran() == ["a", "B", "c"]
    assert runner.ensure("c").file("value").read_text() == "c+B+a"
    (warning,) = bench.watcher.told("warning")
    assert "value is not what was written; it was set aside and is made again" in warning


def test_a_lost_file_is_made_again_which_is_said(bench: Bench, chain: Any) -> None:
    bench.runner(*chain()).run(["c"])
    bench.ran()
    bench.runner(*chain()).ensure("c").file("value").unlink()
    bench.runner(*chain()).run(["c"])
    assert bench.ran() == ["c"]
    assert len(bench.watcher.told("warning")) == 1


def test_a_failure_takes_down_what_depends_on_it_and_nothing_else(bench: Bench) -> None:
    steps = [
        bench.step("bad", "fail"),
        bench.step("after", inputs={"in": "bad"}),
        bench.step("later", inputs={"in": "after"}),
        bench.step("good"),
    ]
    runner = bench.runner(*steps)
    runner.run(["later", "after", "good"])
    assert bench.ran() == ["fail", "good"]
    assert set(runner.failures) == {"bad", "after", "later"}
    assert isinstance(runner.failures["later"], FailedInputError)
    assert runner.failures["later"].origin == "bad"  # type: ignore[attr-defined]
    assert bench.watcher.told("failed") == ["bad: the disk is on fire"], "consequences are not said again"
    assert not list((bench.store.root / "tmp").iterdir())


def test_a_failure_that_may_pass_is_tried_again_next_time(bench: Bench) -> None:
    for _ in range(2):
        bench.runner(bench.step("bad", "fail")).run(["bad"])
    assert bench.ran() == ["fail", "fail"]


def test_a_divergence_is_remembered_until_it_is_retried(bench: Bench) -> None:
    steps = [bench.step("bad", "diverge"), bench.step("after", inputs={"in": "bad"})]
    bench.runner(*steps).run(["after"])
    assert bench.ran() == ["diverge"]

    again = bench.runner(*steps)
    again.run(["after"])
    assert bench.ran() == []
    assert isinstance(again.failures["bad"], DivergedError)
    assert "step 3" in str(again.failures["bad"])
    assert bench.watcher.told("failed") == ["bad: the loss is not finite in step 3"]

    bench.cured.touch()
    retried = bench.runner(*steps, retry=True)
    retried.run(["after"])
    assert bench.ran() == ["diverge", "after"]
    assert retried.failures == {}
    assert bench.runner(*steps).failure("bad") is None, "a success wipes the memory out"


def test_a_changed_recipe_is_not_held_to_an_old_divergence(bench: Bench) -> None:
    bench.runner(bench.step("bad", "diverge", {"lr": 9})).run(["bad"])
    bench.runner(bench.step("bad", "diverge", {"lr": 1})).run(["bad"])
    assert bench.ran() == ["diverge", "diverge"]


def test_a_wrong_request_and_a_defect_end_the_run(bench: Bench) -> None:
    with pytest.raises(RequestError):
        bench.runner(bench.step("a", "refuse"), bench.step("b")).run(["a", "b"])
    with pytest.raises(ZeroDivisionError):
        bench.runner(bench.step("a", "break_down"), bench.step("b")).run(["a", "b"])
    assert bench.ran() == []
    assert not list((bench.store.root / "tmp").iterdir())


def test_a_stopped_step_keeps_its_work_and_leaves_no_output(bench: Bench) -> None:
    runner = bench.runner(bench.step("a", "stop"))
    with pytest.raises(Interrupted):
        runner.run(["a"])
    (work,) = (bench.store.root / "work").iterdir()
    assert (work / "resume").read_text() == "half way"
    assert not list((bench.store.root / "tmp").iterdir())


def test_a_request_to_stop_is_heard_between_steps(bench: Bench, chain: Any) -> None:
    runner = bench.runner(*chain(), stop=lambda: bool(bench.log.read_text()))
    with pytest.raises(Interrupted):
        runner.run(["a", "c"])
    assert bench.ran() == ["a"]


def test_one_that_needs_what_another_makes_waits_and_says_so(bench: Bench) -> None:
    step = bench.step("a")
    first = bench.runner(step)
    key = step.key({})
    with bench.store.lock(key, "study other: a"):
        watcher = bench.watcher
        thread = threading.Thread(target=first.run, args=(["a"],))
        thread.start()
        deadline = time.monotonic() + 10
        while not watcher.told("log") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert bench.ran() == []
    thread.join()
    (line,) = watcher.told("log")
    assert line.startswith(f"a: waiting for process {os.getpid()} (study other: a), since ")
    assert line.endswith("which is making it")
    assert bench.ran() == ["a"]


# -- what it took ------------------------------------------------------------------------------------------------------


def test_what_a_step_took_counts_its_stopped_attempts(bench: Bench) -> None:
    def step(**settings: Any) -> Step:
        return bench.step("a", "long", {"steps": 5}, settings={"each": 0.1, **settings})

    with pytest.raises(Interrupted):
        bench.runner(step(stop=3)).run(["a"])
    (work,) = (bench.store.root / "work").iterdir()
    assert float((work / "seconds").read_text()) >= 0.3
    took: list[Took] = []
    runner = bench.runner(step(), on_made=lambda step, what: took.append(what))
    artefact = runner.ensure("a")
    (what,) = took
    assert 0.2 <= what.seconds < 0.5 <= what.total < what.seconds + 0.6
    assert what.units == 2, "of this attempt"
    assert artefact.manifest["cost"]["seconds"] == what.total
    assert runner.made["a"] == what.seconds
    assert not list((bench.store.root / "work").iterdir())


def test_what_a_killed_attempt_took_is_kept_on_the_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL leaves nobody to write it down, so that is done while the step reports its progress."""
    from pretrial.execute import runner as module

    monkeypatch.setattr(module, "_KEEP_SECONDS", 0.0)
    kept: list[float] = []

    class Looking(Watcher):
        def progress(self, step: Step, done: float, total: float, facts: Mapping[str, float | str]) -> None:
            (work,) = (bench.store.root / "work").iterdir()
            kept.append(float((work / "seconds").read_text()))

    step = bench.step("a", "long", {"steps": 3}, settings={"each": 0.05})
    Runner(Store(bench.store.root), [step], Looking(), workers=1).run(["a"])
    assert len(kept) == 3
    assert kept == sorted(kept)
    assert kept[0] >= 0.05


def test_a_broken_note_of_seconds_is_none(tmp_path: Path) -> None:
    (tmp_path / "seconds").write_text("half")
    assert Clock(tmp_path).total < 1
    (tmp_path / "seconds").write_text("100.5")
    assert Clock(tmp_path).total >= 100.5
    Clock(tmp_path / "none").keep()


# -- what can change outside ---------------------------------------------------------------------------------------


def test_what_was_first_read_is_kept_until_it_is_refreshed(bench: Bench) -> None:
    def steps(state: str) -> list[Step]:
        outside = bench.step("outside", config={"value": "outside"}, changeable=True, settings={"state": state})
        return [outside, bench.step("b", inputs={"in": "outside"})]

    bench.runner(*steps("old")).run(["b"])
    assert bench.ran() == ["outside", "b"]
    bench.runner(*steps("new")).run(["b"])
    assert bench.ran() == []
    runner = bench.runner(*steps("new"))
    runner.forget("outside")
    runner.run(["b"])
    assert bench.ran() == ["outside"], "read again, found the same, so nothing downstream runs"
    bench.runner(*steps("old")).run(["b"])
    assert bench.ran() == []


def test_reading_again_leaves_other_studies_what_they_read(bench: Bench) -> None:
    def run(holder: str, text: str, refresh: bool = False) -> tuple[list[str], str]:
        outside = bench.step("outside", "read", config={}, changeable=True, settings={"state": text, "text": text})
        runner = bench.runner(outside, bench.step("b", inputs={"in": "outside"}), holder=holder)
        runner.keep()
        if refresh:
            runner.forget("outside")
        runner.run(["b"])
        return bench.ran(), runner.ensure("b").file("value").read_text()

    assert run("first", "old") == (["read", "b"], "b+old")
    assert run("second", "new") == ([], "b+old"), "what the store has is taken"
    assert run("second", "new", refresh=True) == (["read", "b"], "b+new")
    assert run("first", "new") == ([], "b+old"), "the first study keeps what it read"
    assert run("third", "newer") == ([], "b+new"), "a new study takes what was read last"


def outside(bench: Bench, text: str, *, holder: str = "study", refresh: bool = False) -> Runner:
    """a → b, where a reads the outer world; its version says nothing of what it finds there."""
    a = bench.step("outside", "read", config={}, changeable=True, settings={"state": "1.0", "text": text})
    runner = bench.runner(a, bench.step("b", inputs={"in": "outside"}), holder=holder)
    if refresh:
        runner.forget("outside")
    runner.keep()
    return runner


def test_what_changed_outside_under_the_same_version_is_read_when_asked(bench: Bench) -> None:
    outside(bench, "old").run(["b"])
    before = outside(bench, "new").request("b")
    bench.ran()
    # As a whole run asks: everything that is missing, upstream first.
    runner = outside(bench, "new", refresh=True)
    assert runner.find("b") is None
    runner.run(["outside", "b", "b"])
    assert bench.ran() == ["read", "b"]
    assert runner.ensure("b").file("value").read_text() == "b+new"
    again = outside(bench, "newer")
    assert again.request("b") != before, "what was read is part of every request after it"
    again.run(["b"])
    assert bench.ran() == []
    assert again.ensure("b").file("value").read_text() == "b+new"


def test_what_others_keep_is_not_replaced_under_them(bench: Bench) -> None:
    outside(bench, "old", holder="first").run(["b"])
    kept = outside(bench, "old", holder="first").ensure("outside")
    outside(bench, "new", holder="second", refresh=True).run(["b"])
    bench.ran()
    assert kept.file("value").read_text() == "old"
    first = outside(bench, "new", holder="first")
    first.run(["b"])
    assert bench.ran() == []
    assert first.ensure("b").file("value").read_text() == "b+old"
    assert not list((bench.store.root / "quarantine").iterdir())


def test_a_refresh_that_finds_the_same_keeps_what_is_there(bench: Bench) -> None:
    outside(bench, "old").run(["b"])
    bench.ran()
    kept = outside(bench, "old").ensure("outside")
    runner = outside(bench, "old", refresh=True)
    runner.run(["b"])
    assert bench.ran() == ["read"]
    assert runner.ensure("outside") == kept
    for folder in ("quarantine", "tmp", "work"):
        assert not list((bench.store.root / folder).iterdir()), folder


def test_what_was_made_of_a_reading_outlives_it(bench: Bench) -> None:
    outside(bench, "old").run(["b"])
    bench.ran()
    shutil.rmtree(outside(bench, "old").ensure("outside").path)
    runner = outside(bench, "new")
    runner.run(["b"])
    assert bench.ran() == []
    assert runner.ensure("b").file("value").read_text() == "b+old"


def test_a_reading_that_was_lost_and_comes_out_otherwise_is_said(bench: Bench) -> None:
    outside(bench, "old").run(["b"])
    bench.ran()
    outside(bench, "old").ensure("outside").file("value").unlink()
    outside(bench, "old").run(["outside", "b"])
    assert bench.ran() == ["read"]
    assert not [w for w in bench.watcher.told("warning") if "has changed since" in w]
    outside(bench, "old").ensure("outside").file("value").unlink()
    outside(bench, "new").run(["outside", "b"])
    assert bench.ran() == ["read", "b"]
    (warning,) = [w for w in bench.watcher.told("warning") if "has changed since" in w]
    assert warning.startswith("outside: what was read before is lost")


def test_only_the_parts_that_are_read_identify_an_input(bench: Bench) -> None:
    def steps(**parts: str) -> list[Step]:
        whole = bench.step("whole", "parts", config={"parts": parts})
        reader = bench.step("reader", inputs={"in": "whole"}, parts={"in": ("x",)})
        return [whole, reader, bench.step("all", inputs={"in": "whole"})]

    def run(**parts: str) -> list[str]:
        bench.runner(*steps(**parts)).run(["reader", "all"])
        return bench.ran()

    assert run(x="1", y="1") == ["parts", "reader", "all"]
    assert run(x="1", y="2") == ["parts", "all"]
    assert run(x="2", y="2") == ["parts", "reader", "all"]


# -- sub-steps -------------------------------------------------------------------------------------------------------


def fan(bench: Bench, *parts: str, name: str = "fan") -> Step:
    return bench.step(name, "fan", {"parts": list(parts)})


def test_substeps_come_back_in_order_and_are_shared(bench: Bench) -> None:
    runner = bench.runner(fan(bench, "slow0.3", "y", "z"), fan(bench, "z", "y", name="other"), workers=2)
    runner.run(["fan", "other"])
    assert runner.ensure("fan").file("value").read_text() == "slow0.3,y,z"
    assert runner.ensure("other").file("value").read_text() == "z,y"
    assert sorted(bench.ran()) == ["slow0.3", "y", "z"], "the second finds its parts there"
    assert [(done, total) for done, total, _ in bench.watcher.shown] == [(1, 3), (2, 3), (3, 3)]
    assert [facts["doing"] for _, _, facts in bench.watcher.shown] == ["part slow0.3", "part y", "part z"]


def test_a_substeps_warning_is_kept_with_the_step_that_asked(bench: Bench) -> None:
    runner = bench.runner(fan(bench, "warn"), fan(bench, "warn", "x", name="other"))
    runner.run(["fan", "other"])
    for name in ("fan", "other"):
        assert runner.ensure(name).manifest["cost"]["warnings"] == ["one record could not be read"]
    assert bench.watcher.told("warning") == ["one record could not be read"]


def test_a_damaged_substep_is_made_again(bench: Bench) -> None:
    bench.runner(fan(bench, "x", "y")).run(["fan"])
    bench.ran()
    for path in (bench.store.root / "artefacts/part").glob("*/value"):
        stat = path.stat()
        path.write_text(path.read_text().upper())
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    runner = bench.runner(fan(bench, "x", "y", "z"))
    runner.run(["fan"])
    assert sorted(bench.ran()) == ["x", "y", "z"]
    assert runner.ensure("fan").file("value").read_text() == "x,y,z"
    assert len(bench.watcher.told("warning")) == 2


def test_a_failing_substep_fails_its_step_and_leaves_nothing_half_done(bench: Bench) -> None:
    runner = bench.runner(fan(bench, "x", "fail"), bench.step("good"))
    runner.run(["fan", "good"])
    assert str(runner.failures["fan"]) == "a part failed\n  Mend it."
    assert "good" in runner.made
    assert not list((bench.store.root / "tmp").iterdir())


def test_a_worker_that_dies_fails_its_step_and_not_the_next(bench: Bench) -> None:
    runner = bench.runner(fan(bench, "die"), fan(bench, "x", name="next"))
    runner.run(["fan", "next"])
    assert "a worker process died" in str(runner.failures["fan"])
    assert "memory" in str(runner.failures["fan"])
    assert "next" in runner.made


def test_a_request_to_stop_is_heard_while_substeps_run(bench: Bench) -> None:
    parts = ["slow1.5", "a", "b", "c", "d"]
    runner = bench.runner(fan(bench, *parts), stop=lambda: "slow1.5" in bench.log.read_text())
    started = time.monotonic()
    with pytest.raises(Interrupted):
        runner.run(["fan"])
    assert time.monotonic() - started > 1, "what was being made when the request came is finished"
    ran = bench.ran()
    assert ran[0] == "slow1.5"
    assert not {"b", "c", "d"} & set(ran), "a worker has at most one more at hand"
    bench.runner(fan(bench, *parts)).run(["fan"])
    assert sorted(ran + bench.ran()) == sorted(parts)


# -- workers ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def pool() -> Iterator[Any]:
    made = make_processes(1)
    yield made
    made.shutdown(cancel_futures=True)


def test_workers_are_spawned_and_hear_no_ctrl_c(pool: Any) -> None:
    sys.only_here = True  # type: ignore[attr-defined]
    assert pool.submit(eval, "hasattr(__import__('sys'), 'only_here')").result() is False
    ignored = pool.submit(signal.getsignal, signal.SIGINT).result()
    assert ignored == signal.SIG_IGN
    assert pool.submit(os.getppid).result() == os.getpid()


SCRIPT = """
import os, sys
from pathlib import Path
from pretrial.execute.progress import Quiet
from pretrial.execute.runner import Runner
from pretrial.plan.steps import Step
from pretrial.store.artefacts import Store

print("the script runs", flush=True)
root = Path(sys.argv[1])
store = Store(root)
store.prepare()
step = Step("fan", "demo", 1, "fake_steps:fan", {"parts": ["x", "y"]}, {"log": str(root / "log")})
runner = Runner(store, [step], Quiet(), workers=2)
runner.run(["fan"])
print(runner.failures, runner.ensure("fan").file("value").read_text())
"""


def test_a_script_without_a_main_guard_is_not_run_again_by_its_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = smoke.environment({"PYTHONPATH": f"{smoke.SRC}:{Path(smoke.__file__).parent}"})
    done = smoke.call([sys.executable, str(script), str(tmp_path / "store")], tmp_path, env=env)
    assert done.stdout == "the script runs\n{} x,y\n", done.stderr


# -- checkpoints of another execution record ---------------------------------------------------------------------------


def under(bench: Bench, record: str, cut: bool) -> list[Step]:
    """Training under a record to 1 and 2, an evaluation of each, data that has no record."""
    free = frozenset({"parent"})
    steps = [bench.step("data")]
    for at, parent in ((1, None), (2, "train 1")):
        inputs = {"data": "data"} | ({"parent": parent} if parent else {})
        config = {"value": f"train{at}{record}", "record": record}
        steps.append(bench.step(f"train {at}", config=config, inputs=inputs, unkeyed=free))
        config = {"value": f"eval{at}{record}", "record": record}
        steps.append(bench.step(f"eval {at}", config=config, inputs={"checkpoint": f"train {at}"}))
    return steps[:3] if cut else steps


def test_another_records_checkpoint_is_a_miss_unless_accepted(bench: Bench) -> None:
    bench.runner(*under(bench, "A", cut=False)).run(["eval 1", "eval 2"])
    bench.ran()
    refused = bench.runner(*under(bench, "B", cut=False))
    assert refused.find("data") is not None
    assert refused.find("train 1") is None
    accepted = bench.runner(*under(bench, "B", cut=False), accepted=bench.runner(*under(bench, "A", cut=False)))
    accepted.run(["eval 1", "eval 2"])
    assert bench.ran() == []
    assert accepted.used_accepted


def test_what_goes_on_from_an_accepted_checkpoint_is_kept_apart(bench: Bench) -> None:
    bench.runner(*under(bench, "A", cut=True)).run(["eval 1"])
    bench.ran()

    def accepting() -> Runner:
        return bench.runner(*under(bench, "B", cut=False), accepted=bench.runner(*under(bench, "A", cut=False)))

    mixed = accepting()
    mixed.run(["eval 1", "eval 2"])
    assert bench.ran() == ["train2B", "eval2B"]
    assert mixed.ensure("train 2").manifest["payload"]["accepted"] == {"parent": mixed.ensure("train 1").key}
    again = accepting()
    again.run(["eval 1", "eval 2"])
    assert bench.ran() == []
    assert again.used_accepted
    pure = bench.runner(*under(bench, "B", cut=False))
    assert pure.find("train 2") is None
    assert pure.find("eval 2") is None
    pure.run(["eval 1", "eval 2"])
    assert bench.ran() == ["train1B", "eval1B", "train2B", "eval2B"]
    assert not pure.used_accepted
    assert "accepted" not in pure.ensure("train 2").manifest["payload"]


def test_a_divergence_on_an_accepted_checkpoint_is_none_of_the_record_alone(bench: Bench) -> None:
    def steps(record: str) -> list[Step]:
        made = under(bench, record, cut=True)
        config = {"value": f"train2{record}", "record": record}
        last = bench.step(
            "train 2", "diverge", config, {"data": "data", "parent": "train 1"}, unkeyed=frozenset({"parent"})
        )
        return [*made, last, bench.step("eval 2", config={"value": "eval2"}, inputs={"checkpoint": "train 2"})]

    bench.runner(*under(bench, "A", cut=True)).run(["eval 1"])

    def accepting() -> Runner:
        return bench.runner(*steps("B"), accepted=bench.runner(*steps("A")))

    accepting().run(["eval 2"])
    assert bench.ran() == ["data", "train1A", "eval1A", "diverge"]
    assert isinstance(accepting().failure("train 2"), DivergedError), "it would diverge again from there"
    assert isinstance(accepting().failure("eval 2"), FailedInputError)
    accepting().run(["eval 2"])
    assert bench.ran() == []
    pure = bench.runner(*steps("B"))
    assert pure.failure("train 2") is None, "from this record's own checkpoint nobody has tried"
    bench.cured.touch()
    pure.run(["eval 2"])
    assert bench.ran() == ["train1B", "diverge", "eval2"]


def test_records_that_are_accepted_in_turn_stand_in_in_turn(bench: Bench) -> None:
    bench.runner(*under(bench, "A", cut=True)).run(["eval 1"])
    bench.runner(*under(bench, "B", cut=False)).run(["eval 1", "eval 2"])
    bench.ran()
    first = bench.runner(*under(bench, "A", cut=False))
    second = bench.runner(*under(bench, "B", cut=False), accepted=first)
    runner = bench.runner(*under(bench, "C", cut=False), accepted=second)
    runner.run(["eval 1", "eval 2"])
    assert bench.ran() == []
    assert all(runner.foreign(name) for name in ("eval 1", "eval 2"))
    assert not runner.foreign("data")
    assert runner.ensure("eval 1").file("value").read_text().startswith("eval1B"), "the nearer one comes first"


# -- many steps --------------------------------------------------------------------------------------------------------


def test_asking_what_failed_is_no_dearer_than_there_are_steps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 40 layers has two steps that both rest on both of the layer above: 2⁴⁰ ways through it."""
    steps = [bench.step("0a", "diverge"), bench.step("0b")]
    for layer in range(1, 40):
        inputs = {"a": f"{layer - 1}a", "b": f"{layer - 1}b"}
        steps += [bench.step(f"{layer}a", inputs=inputs), bench.step(f"{layer}b", inputs=inputs)]
    runner = bench.runner(*steps)
    assert runner.failure("39a") is None
    runner.run(["0a"])
    again = bench.runner(*steps)
    started = time.monotonic()
    assert isinstance(again.failure("39a"), FailedInputError)
    assert isinstance(again.failure("39b"), FailedInputError)
    assert time.monotonic() - started < 10


def test_a_store_that_can_only_be_read_can_be_asked(bench: Bench, chain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.runner(*chain()).run(["c"])
    shutil.rmtree(bench.store.root / "requests")

    def refuse(*arguments: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("pretrial.store.artefacts.write_atomically", refuse)
    runner = bench.runner(*chain())
    assert runner.find("c") is not None
    assert runner.failure("c") is None
