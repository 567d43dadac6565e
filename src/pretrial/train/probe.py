"""How fast training is on this machine: a short measurement in a process of its own.

The tokens are random, the shapes and the arithmetic are the study's. A process of its own leaves the planner
without torch and starts from the state in which a run starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrial.errors import RunError
from pretrial.model.spec import ModelSpec

WARM_STEPS = 3
STEPS = 20
SECONDS = 20.0
"""The measurement ends after this many steps or seconds, whichever comes later for the first three steps."""


def probe_speed(
    *,
    model: ModelSpec,
    vocabulary: int,
    context: int,
    batch_sequences: int,
    record: Mapping[str, Any],
    cache_dir: Path,
) -> float:
    """Training tokens per second, compilation and start left out.

    Raises `RunError` with the last line of the process's errors where it fails.
    """
    asked = {
        "model": model.to_json(),
        "vocabulary": vocabulary,
        "context": context,
        "batch_sequences": batch_sequences,
        "record": dict(record),
        "cache": str(cache_dir),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pretrial.train.probe"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise RunError(f"measuring the training speed failed: {tail}", remedy="Plan without --probe.")
    return float(done.stdout.strip().splitlines()[-1])


def measure(asked: Mapping[str, Any]) -> float:
    """Tokens per second of the shapes in `asked`, in this process."""
    import numpy as np

    from pretrial.train.loop import Trainer, make_micro_batch
    from pretrial.train.spec import base_json

    base = base_json(
        model=ModelSpec.from_json(asked["model"]),
        vocabulary=asked["vocabulary"],
        context=asked["context"],
        tokenizer="",
        precision=asked["record"]["precision"],
        seeds={"init": 1, "order": 1, "subset": 1},
        batch_sequences=asked["batch_sequences"],
        optimizer={"betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1, "clip": 1.0},
    )
    trainer = Trainer(asked["record"], base, Path(asked["cache"]))
    trainer.start(1)
    shape = (trainer.micro, trainer.context)
    tokens = np.random.default_rng(1).integers(0, asked["vocabulary"], (shape[0], shape[1] + 1))
    part = make_micro_batch(tokens, np.zeros(shape, np.int32), [0] * trainer.micro, trainer.device)
    batch = [part] * (trainer.sequences // trainer.micro)
    for _ in range(WARM_STEPS):
        trainer.step(batch, 1e-4)
    started, steps = time.monotonic(), 0
    while steps < WARM_STEPS or (steps < STEPS and time.monotonic() - started < SECONDS):
        trainer.step(batch, 1e-4)
        steps += 1
    return steps * trainer.batch_tokens / (time.monotonic() - started)


if __name__ == "__main__":
    print(measure(json.load(sys.stdin)))
