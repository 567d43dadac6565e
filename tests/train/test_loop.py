"""Training: where it stops, is killed or goes on from changes nothing; what is carried changes what it should."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.conftest import LocalContext
from tests.train.conftest import BATCH, CONTEXT, RECORD, STEP, course, files_of, segment

from pretrial.errors import DivergedError, Interrupted, RequestError, RunError
from pretrial.model.decoder import attention_mask, boolean_mask
from pretrial.train import probe
from pretrial.train.loop import (
    MicroBatch,
    Trainer,
    make_stream,
    micro_batches,
    report_every,
    train_step,
    trainer_for,
)
from pretrial.train.spec import LrPiece, Segment

Train = Callable[..., Any]


def weights(artefact: Any) -> dict[str, torch.Tensor]:
    return load_file(artefact.path / "model.safetensors")


def lines(artefact: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (artefact.path / "metrics.jsonl").read_text().splitlines()]


def same(one: Any, other: Any) -> bool:
    return files_of(one) == files_of(other) and one.facts == other.facts


def test_it_learns_and_tells(train: Train) -> None:
    made = train("a", course(steps=60))
    told = lines(made)
    assert [line["step"] for line in told] == list(range(1, 61))
    assert told[-1]["tokens"] == 60 * STEP
    assert told[0]["loss"] == pytest.approx(np.log(64), abs=0.2)
    assert np.mean([line["loss"] for line in told[-5:]]) < told[0]["loss"] - 0.5
    first = told[0]
    assert first["loss"] == pytest.approx(
        sum(first["source_loss"][s] * first["source_tokens"][s] for s in first["source_loss"]) / STEP, rel=1e-5
    )
    assert made.facts["tokens"] == 60 * STEP
    assert made.facts["source_tokens"] == {"prose": 30 * STEP, "code": 30 * STEP}
    assert made.facts["draws"] == {"prose": 30 * BATCH, "code": 30 * BATCH}
    rates = [line["lr"] for line in told]
    assert rates[0] == pytest.approx(5e-2 * 0.1)
    assert max(rates) == rates[5]


def test_a_checkpoint_does_not_depend_on_where_training_stopped_before(train: Train) -> None:
    whole = train("whole", course(steps=30))
    first = train("first", course(steps=12))
    assert same(whole, train("second", course(steps=30), parent=first))
    assert same(whole, train("again", course(steps=30)))


def test_a_longer_metrics_group_survives_a_cut(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretrial.train.loop.report_every", lambda step: 5)
    whole = train("whole", course(steps=22))
    assert [line["step"] for line in lines(whole)] == [5, 10, 15, 20]
    assert same(whole, train("second", course(steps=22), parent=train("first", course(steps=13))))


def test_seeds_make_other_weights(train: Train) -> None:
    one, two = train("one", course(steps=2)), train("two", course(steps=2, seed=2))
    assert files_of(one)["model.safetensors"] != files_of(two)["model.safetensors"]


@pytest.mark.parametrize(("carry", "resets"), [(("weights", "optimizer", "data"), False), (("weights", "data"), True)])
def test_moments_are_kept_or_start_fresh(train: Train, carry: tuple[str, ...], resets: bool) -> None:
    second = segment(10 * STEP, "1/4", carry=carry, first_draw=(20, 20))
    made = train("a", course(segment(), second, steps=14))
    state = load_file(made.path / "optimizer.safetensors")
    assert state["step"].item() == (4 if resets else 14)
    assert same(made, train("c", course(segment(), second, steps=14), parent=train("b", course(steps=10))))


def test_replayed_data_are_the_first_again(train: Train, sources: dict[str, Any]) -> None:
    replay = segment(10 * STEP, carry=("weights", "optimizer"), first_draw=(0, 0))
    config = course(segment(), replay, steps=12)
    context = LocalContext(sources["tokens:prose"].path / "out", inputs=sources)
    stream = make_stream(context, config["base"], [Segment.from_json(s) for s in config["segments"]])
    assert np.array_equal(stream.batch(0, BATCH).tokens, stream.batch(10 * BATCH, BATCH).tokens)
    assert train("a", config).facts["draws"] == {"prose": 24, "code": 24}


def test_parts_of_a_batch_add_up_to_the_batch(train: Train) -> None:
    whole, parts = train("whole", course(steps=8)), train("parts", course(steps=8, micro_tokens=CONTEXT))
    for name, value in weights(whole).items():
        assert torch.allclose(value, weights(parts)[name], atol=1e-5), name


def test_no_floor_no_step(train: Train) -> None:
    still = segment(lr=LrPiece("constant", 0.0))
    one, two = train("one", course(still, steps=1)), train("two", course(still, steps=5))
    assert files_of(one)["model.safetensors"] == files_of(two)["model.safetensors"]


def test_a_loss_that_is_not_finite_stops_and_names_its_documents(train: Train, tmp_path: Path) -> None:
    burst = segment(lr=LrPiece("constant", 1e30))
    with pytest.raises(DivergedError) as caught:
        train("a", course(burst, steps=20))
    assert "not finite in step" in str(caught.value)
    assert "prose/" in str(caught.value)
    assert "learning rate" in str(caught.value)
    assert not list((tmp_path / "a").iterdir())


def test_other_tokens_than_planned_are_refused(train: Train) -> None:
    config = course(steps=1)
    config["segments"][0]["contents"] = {"prose": "elsewhere", "code": ""}
    with pytest.raises(RunError, match="tokens of prose"):
        train("a", config)


def test_a_target_inside_a_step_is_refused(train: Train) -> None:
    with pytest.raises(RequestError, match="whole number of steps"):
        train("a", course(steps=1) | {"to_tokens": STEP + 1})


def test_stopping_keeps_what_was_done(train: Train, sources: dict[str, Any], tmp_path: Path) -> None:
    whole = train("whole", course(steps=9))
    context = LocalContext(tmp_path / "a", course(steps=9), {}, sources, stop=True)
    told: list[tuple[float, float]] = []
    context.progress = lambda done, total, **facts: told.append((done, total))  # type: ignore[method-assign]
    for done in range(1, 9):
        with pytest.raises(Interrupted, match=f"at {done * STEP} tokens"):
            train_step(context)
        assert len(list(context.work.iterdir())) == 1
    facts = train_step(context)
    assert facts == whole.facts
    assert files_of(whole) == {path.name: path.read_bytes() for path in sorted(context.out.iterdir())}
    assert told[-1] == (STEP, STEP)


KILLED = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.conftest import LocalContext
from tests.train.conftest import Source, course
from pretrial.train.loop import train_step
folder = Path(sys.argv[2])
inputs = {f"tokens:{name}": Source(folder / name, f"content-{name}") for name in ("prose", "code")}
settings = {"checkpoint_seconds": 0.02}
context = LocalContext(folder / "killed", course(steps=400), settings, inputs)
context.log = lambda message: print(message, flush=True)
print("DONE", train_step(context), flush=True)
"""


def test_a_killed_run_goes_on_to_the_same_bytes(train: Train, sources: dict[str, Any], tmp_path: Path) -> None:
    whole = train("whole", course(steps=400))
    chance = random.Random(7)
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "src"), *sys.path])}
    resumed = killed = 0
    for attempt in range(12):
        run = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(root), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert run.stdout is not None
        said = ""
        while "first step" not in said and run.poll() is None:
            said += run.stdout.readline()
        resumed += "resumed" in said
        if attempt < 2:
            time.sleep(chance.uniform(0.0, 0.3))
            run.send_signal(signal.SIGKILL)
            killed += 1
        said += run.communicate()[0]
        if "DONE" in said:
            break
    assert killed == 2
    assert resumed >= 1
    made = {path.name: path.read_bytes() for path in sorted((tmp_path / "killed").iterdir())}
    assert made == files_of(whole)


def test_a_half_written_resume_file_is_not_looked_at(train: Train, sources: dict[str, Any], tmp_path: Path) -> None:
    whole = train("whole", course(steps=5))
    context = LocalContext(tmp_path / "a", course(steps=5), {}, sources)
    (context.work / "resume.tmp").write_bytes(b"half")
    assert train_step(context) == whole.facts


def test_the_next_arm_takes_the_same_model_and_leaves_nothing_behind(train: Train) -> None:
    fresh = train("fresh", course(segment(prose="1/4"), steps=6))
    train("other", course(segment(prose="3/4"), steps=6, seed=3))
    kept = trainer_for(RECORD, course(steps=1)["base"])
    assert same(fresh, train("after", course(segment(prose="1/4"), steps=6)))
    assert trainer_for(RECORD, course(steps=1)["base"]) is kept


CPU = torch.device("cpu")


@pytest.fixture
def stream(sources: dict[str, Any], tmp_path: Path) -> Any:
    return make_stream(LocalContext(tmp_path / "o", inputs=sources), course(steps=1)["base"], [segment()])


@pytest.mark.parametrize("micro", [BATCH, 2, 1])
@pytest.mark.parametrize(("first", "last"), [(0, 40), (3, 37), (5, 5)])
def test_micro_batches_come_in_order_from_any_step(stream: Any, first: int, last: int, micro: int) -> None:
    parts = list(micro_batches(stream, first, last, BATCH, micro, CPU))
    assert len(parts) == (last - first) * BATCH // micro
    for number, part in enumerate(parts):
        wanted = stream.batch(first * BATCH + number * micro, micro)
        assert np.array_equal(part.tokens.numpy(), wanted.tokens[:, :-1])
        assert np.array_equal(part.targets.numpy(), wanted.tokens[:, 1:])
        assert np.array_equal(part.segments.numpy(), wanted.segments)
        assert part.sources == wanted.sources.tolist()
        assert part.mask is not None
        assert torch.equal(part.mask, attention_mask(part.segments))


def test_masks_are_made_for_one_micro_batch_ahead_and_no_more(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch may be hundreds of sequences, and its masks, a square of the context each, gigabytes."""
    made: list[Any] = []
    monkeypatch.setattr("pretrial.train.loop.read_ahead_mask", lambda segments: made.append(len(segments)))
    for number, _ in enumerate(micro_batches(stream, 0, 30, BATCH, 1, CPU), 1):
        assert len(made) <= number + 1
    assert made == [1] * 30 * BATCH


def test_another_device_makes_its_masks_itself_and_attends_with_torchs_own(
    stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such device is needed: the mask that it would make is given to a CPU, which then takes the same way."""
    config = course(steps=1, micro_tokens=2 * CONTEXT)
    given = {device: list(micro_batches(stream, 0, 4, BATCH, 2, torch.device(device))) for device in ("cpu", "cuda")}
    assert [part.mask for part in given["cuda"]] == [None] * 8
    assert attention_mask(given["cuda"][0].segments.to("meta")).dtype == torch.bool
    monkeypatch.setattr("pretrial.train.loop.attention_mask", boolean_mask)
    told: dict[str, list[tuple[list[float], list[int], float]]] = {}
    for device, parts in given.items():
        trainer = Trainer(config["record"], config["base"])
        trainer.start(1)
        told[device] = [trainer.step(parts[i : i + 2], 1e-2) for i in range(0, 8, 2)]
    for (losses, sources, norm), (others, same_sources, other) in zip(told["cpu"], told["cuda"], strict=True):
        assert sources == same_sources
        assert losses == pytest.approx(others, abs=1e-5)
        assert norm == pytest.approx(other, rel=1e-5)


def test_a_batch_that_is_not_whole_is_refused_and_leaves_nothing_behind(stream: Any) -> None:
    config = course(steps=1, micro_tokens=2 * CONTEXT)
    parts = list(micro_batches(stream, 0, 1, BATCH, 2, CPU))
    failed, fresh = (Trainer(config["record"], config["base"]) for _ in range(2))
    failed.start(1)
    with pytest.raises(ValueError, match="a batch has 4 sequences, and 2 came"):
        failed.step(parts[:1], 1e-2)
    fresh.start(1)
    assert failed.step(parts, 1e-2) == fresh.step(parts, 1e-2)


def test_the_speed_is_measured_with_the_studys_shapes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = course(steps=1, micro_tokens=2 * CONTEXT)
    seen: list[list[MicroBatch]] = []
    monkeypatch.setattr(Trainer, "step", lambda self, parts, rate: seen.append(list(parts)))
    base, record = config["base"], config["record"]
    asked = {"record": record, "cache": str(tmp_path), "batch_sequences": BATCH} | {
        name: base[name] for name in ("model", "vocabulary", "context")
    }
    assert probe.measure(asked) > 0
    (first, second) = seen[0]
    assert first.tokens.shape == second.targets.shape == (2, CONTEXT)
    assert first.mask is not None
    assert first.mask.shape == (2, 1, CONTEXT, CONTEXT)


def test_metrics_groups_depend_on_the_step_alone() -> None:
    assert [report_every(step) for step in (1, 999, 1000, 1001, 10_000, 10_001, 100_001)] == [
        1,
        1,
        1,
        10,
        10,
        100,
        1000,
    ]
    ends = [step for step in range(1, 20_001) if step % report_every(step) == 0]
    assert ends[998:1003] == [999, 1000, 1010, 1020, 1030]
    assert 10_000 in ends
    assert 10_100 in ends
    assert len(ends) == 1000 + 900 + 100


@pytest.mark.slow
def test_compiled_training_is_the_same_in_two_processes(sources: dict[str, Any], tmp_path: Path) -> None:
    code = KILLED.replace("steps=400", "steps=20, backend='compiled', threads=2")
    code = code.replace("settings = {", "settings = {'cache': sys.argv[3], ").replace('"killed"', "sys.argv[4]")
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root / "src"), *sys.path])}
    made = []
    for name in ("cold", "warm"):
        subprocess.run(
            [sys.executable, "-c", code, str(root), str(tmp_path), str(tmp_path / "cache"), name],
            check=True,
            env=environment,
        )
        made.append({path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())})
    assert made[0] == made[1]
