"""Step functions that do next to nothing, for tests of what runs them. Importable by worker processes."""

from __future__ import annotations

import json
import os
import random
import signal
import time
import uuid
from pathlib import Path
from typing import Any

from pretrial.errors import DivergedError, Interrupted, RequestError, RunError


def write(ctx: Any) -> dict[str, Any]:
    """Its value and its inputs' values, joined; `settings.log` (or `ran` in it) gets a line whenever this runs."""
    inputs = [ctx.inputs[name].file("value").read_text() for name in sorted(ctx.inputs)]
    value = "+".join([str(ctx.config["value"]), *inputs])
    (ctx.out / "value").write_text(value)
    _note(ctx, str(ctx.config["value"]))
    return {"length": len(value)}


def constant(ctx: Any) -> dict[str, Any]:
    """The same output whatever its configuration."""
    (ctx.out / "value").write_text("same")
    _note(ctx, "constant")
    return {}


def read(ctx: Any) -> dict[str, Any]:
    """What lies outside: `settings.text`."""
    (ctx.out / "value").write_text(ctx.settings["text"])
    _note(ctx, "read")
    return {}


def long(ctx: Any) -> dict[str, Any]:
    """`config.steps` units of `settings.each` seconds, kept in the work folder; stops after `settings.stop` of them."""
    kept = ctx.work / "done"
    first = int(kept.read_text()) if kept.exists() else 0
    for unit in range(first, ctx.config["steps"]):
        if unit - first == ctx.settings.get("stop"):
            raise Interrupted("stopped on request")
        time.sleep(ctx.settings["each"])
        kept.write_text(str(unit + 1))
        ctx.progress(unit + 1 - first, ctx.config["steps"] - first)
    (ctx.out / "value").write_text("done")
    return {}


def parts(ctx: Any) -> dict[str, Any]:
    """An output in parts, `config.parts`, each with a content of its own."""
    (ctx.out / "value").write_text("".join(ctx.config["parts"].values()))
    _note(ctx, "parts")
    return {"contents": ctx.config["parts"]}


def fail(ctx: Any) -> dict[str, Any]:
    """Fail as a run does."""
    _note(ctx, "fail")
    raise RunError("the disk is on fire", where="study.yaml:3", remedy="Put it out.")


def refuse(ctx: Any) -> dict[str, Any]:
    """Find that the request was wrong."""
    raise RequestError("nothing to hold out")


def diverge(ctx: Any) -> dict[str, Any]:
    """Diverge, unless the file `settings.cured` is there."""
    _note(ctx, "diverge")
    if not Path(ctx.settings["cured"]).exists():
        raise DivergedError("the loss is not finite in step 3", remedy="Lower the rate.")
    (ctx.out / "value").write_text("cured")
    return {}


def break_down(ctx: Any) -> dict[str, Any]:
    """Fail as defective code does."""
    (ctx.out / "half").write_text("half")
    raise ZeroDivisionError("a defect")


def stop(ctx: Any) -> dict[str, Any]:
    """Stop as training does on Ctrl-C."""
    (ctx.work / "resume").write_text("half way")
    raise Interrupted("training stopped")


def fan(ctx: Any) -> dict[str, Any]:
    """Sub-steps, one for each of `config.parts`; their values in order."""
    made = ctx.map(
        "part",
        1,
        [{"value": value} for value in ctx.config["parts"]],
        "fake_steps:part",
        inputs=ctx.inputs,
        settings=[dict(ctx.settings) for _ in ctx.config["parts"]],
        labels=[f"part {value}" for value in ctx.config["parts"]],
    )
    (ctx.out / "value").write_text(",".join(artefact.file("value").read_text() for artefact in made))
    return {}


def part(ctx: Any) -> dict[str, Any]:
    """A sub-step whose value may say what to do."""
    value = str(ctx.config["value"])
    _note(ctx, value)
    if value == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if value == "fail":
        (ctx.out / "half").write_text("half")
        raise RunError("a part failed", remedy="Mend it.")
    if value.startswith("slow"):
        time.sleep(float(value.removeprefix("slow")))
    if value == "warn":
        ctx.warn("one record could not be read")
    (ctx.out / "value").write_text(value)
    return {}


def heavy(ctx: Any) -> dict[str, Any]:
    """Sub-steps that write a few hundred kilobytes each and take `settings.each` seconds; facts of all of them."""
    made = ctx.map(
        "heavy-part",
        1,
        [{"value": value} for value in ctx.config["parts"]],
        "fake_steps:heavy_part",
        settings=[dict(ctx.settings) for _ in ctx.config["parts"]],
    )
    (ctx.out / "value").write_text("\n".join(artefact.content for artefact in made))
    return {artefact.facts["value"]: artefact.facts["bytes"] for artefact in made}


def heavy_part(ctx: Any) -> dict[str, Any]:
    """Bytes that follow from the value; who began it is noted in the folder `settings.log`."""
    value = ctx.config["value"]
    note = Path(ctx.settings["log"]) / f"begun-{uuid.uuid4().hex}"
    # Whole at once, and under a name nobody looks for until then.
    half = note.with_name(f"half-{note.name}")
    half.write_text(json.dumps({"value": value, "parent": os.getppid()}))
    half.rename(note)
    draw = random.Random(value)
    (ctx.out / "folder").mkdir()
    for name in ("a", "folder/b"):
        (ctx.out / name).write_bytes(draw.randbytes(200_000))
        time.sleep(ctx.settings["each"] / 2)
    return {"value": value, "bytes": 400_000}


def _note(ctx: Any, what: str) -> None:
    path = Path(ctx.settings["log"])
    with (path / "ran" if path.is_dir() else path).open("a") as log:
        log.write(what + "\n")
