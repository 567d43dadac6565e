"""Checkpoints that cannot be written: said plainly, with nothing half-written left."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from tests.conftest import LocalContext
from tests.train.conftest import VOCABULARY, course

from pretrial.errors import RunError
from pretrial.model import weights
from pretrial.model.decoder import Decoder, initialise
from pretrial.model.spec import ModelSpec
from pretrial.train import checkpoint
from pretrial.train.checkpoint import Progress, load_resume, save_resume
from pretrial.train.loop import train_step
from pretrial.train.optimizer import make_optimizer

MODEL = ModelSpec(2, 16, 2, 24)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A real limit on the size of files, as the shell's `ulimit -f` sets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def made() -> tuple[Decoder, torch.optim.AdamW]:
    decoder = Decoder(MODEL, VOCABULARY, longest=16)
    initialise(decoder, 1)
    return decoder, make_optimizer(decoder, course(steps=1)["base"]["optimizer"])


@pytest.mark.parametrize("place", ["checkpoint", "resume"])
def test_a_file_that_cannot_be_written_fails_the_run_and_names_the_folder(
    sources: dict[str, Any], tmp_path: Path, place: str
) -> None:
    context = LocalContext(
        tmp_path / "a", course(steps=2), {"checkpoint_seconds": 0 if place == "resume" else 99}, sources
    )
    folder = context.work if place == "resume" else context.out
    with files_of_at_most(4096), pytest.raises(RunError, match="cannot be written: File too large") as caught:
        train_step(context)
    assert caught.value.where == str(folder)
    assert "same command" in (caught.value.remedy or "")
    assert not list(context.work.iterdir())
    assert not list(context.out.iterdir())


def test_a_resume_file_that_cannot_be_written_leaves_the_one_before_it(
    made: tuple[Decoder, torch.optim.AdamW], tmp_path: Path
) -> None:
    save_resume(tmp_path, *made, Progress(1, 64))
    before = sorted(tmp_path.iterdir())
    with files_of_at_most(4096), pytest.raises(RunError):
        save_resume(tmp_path, *made, Progress(2, 128))
    assert sorted(tmp_path.iterdir()) == before
    found = load_resume(tmp_path, *made)
    assert found is not None
    assert found.steps == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_error_with_its_number(
    made: tuple[Decoder, torch.optim.AdamW], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The command line knows a full disk by it; safetensors has it in its text alone."""

    def refuse(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half")
        raise SafetensorError(f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})")

    monkeypatch.setattr(weights, "save_file", refuse)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        save_resume(tmp_path, *made, Progress(1, 64))
    assert caught.value.errno == number
    assert caught.value.filename == str(tmp_path / "resume.tmp")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_only_when_flushed_leaves_nothing(
    made: tuple[Decoder, torch.optim.AdamW], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint, "_flush", refuse)
    with pytest.raises(OSError, match="No space left") as caught:
        save_resume(tmp_path, *made, Progress(1, 64))
    assert caught.value.filename == str(tmp_path / "resume.tmp")
    assert not list(tmp_path.iterdir())


def test_what_safetensors_refuses_for_other_reasons_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(tensors: Any, path: Path, metadata: Any) -> None:
        raise SafetensorError("Error while serializing: InvalidHeader")

    monkeypatch.setattr(weights, "save_file", refuse)
    with pytest.raises(RunError, match=r"x\.safetensors cannot be written: .*InvalidHeader"):
        weights.save_tensors({"a": torch.zeros(2)}, tmp_path / "x.safetensors")
