"""The command line: `pretrial new | plan | run | status | explain | report | export | corpus`.

Exit codes: 0 done, 1 the run failed (or some of its arms did), 2 the request was wrong, 130 interrupted. What a
machine would read has `--json`; people get tables on a terminal and plain lines elsewhere.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TextIO

# No library that Pretrial loads may phone home (design, invariant 11).
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import typer

from pretrial.cli_common import (
    AsJson,
    Cluster,
    Data,
    Refresh,
    Seed,
    StorePath,
    StudyPath,
    Variant,
    Workers,
    Workspace,
    out,
    print_json,
    resumable,
)
from pretrial.cli_corpus import corpus
from pretrial.errors import Interrupted, PretrialError, RequestError

# What the disk says when it has no room, and when it may not be written. Everything else is a defect of ours.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)

# In the place of a path in errors of standard output.
_OUTPUT = "standard output"

app = typer.Typer(
    name="pretrial",
    help="Controlled trials of pre-training data: from one study file to a comparison with intervals.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    epilog="Start with `pretrial new my-study.yaml`, look at `pretrial plan my-study.yaml`, then "
    "`pretrial run my-study.yaml`.",
)
export = typer.Typer(help="Take models out of a study.", no_args_is_help=True)
app.add_typer(export, name="export")
app.add_typer(corpus, name="corpus")

Only = Annotated[
    list[str] | None, typer.Option("--only", help="Only this variant (and the baseline). May be repeated.")
]


def _show_version(asked: bool) -> None:
    if asked:
        from pretrial import __version__

        print(f"pretrial {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Controlled trials of pre-training data: from one study file to a comparison with intervals."""


@app.command()
def new(
    path: Annotated[Path, typer.Argument(help="The study file to write.", show_default=False)],
    force: Annotated[bool, typer.Option(help="Overwrite an existing file.")] = False,
) -> None:
    """Write a small, complete study file to start from.

    Example: `pretrial new code-helps.yaml`
    """
    from importlib.resources import files

    if path.exists() and not force:
        raise RequestError(f"{path} is there already", remedy="Choose another name, or overwrite it with --force.")
    template = files("pretrial.study").joinpath("template.yaml").read_text(encoding="utf-8")
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in path.stem).strip("-") or "study"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(template.replace("STUDY-NAME", name), encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{path} cannot be written: {error.strerror}", remedy="Choose another place.") from None
    out().print(f"Wrote {path}. Look at what it would do and cost: pretrial plan {path}", highlight=False)


@app.command()
def plan(
    study: StudyPath,
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
    only: Only = None,
    probe: Annotated[bool, typer.Option(help="Measure the training speed first (about a minute).")] = False,
    resolved: Annotated[bool, typer.Option(help="Print the study with every default filled in, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a study would do and cost. Nothing is made.

    Stages with shared prefixes merged; tokens, steps, learning rates, realised shares and epochs; FLOPs, time,
    memory, disk; what is cached; which comparisons are matched, and in what.

    Example: `pretrial plan studies/quickstart.yaml --probe`
    """
    from pretrial.trials import Trial

    trial = Trial.of(study, workspace=workspace, store=store, data=data)
    said = trial.plan(only=only or (), probe=probe)
    if as_json:
        print_json(said)
        return
    from pretrial.terminal import print_plan

    print_plan(out(), said, resolved=resolved)


@app.command()
def run(
    study: StudyPath,
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
    only: Only = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Only these of the study's seeds, such as 1 or 1,2.", show_default=False),
    ] = None,
    workers: Workers = None,
    cluster: Cluster = None,
    refresh: Refresh = False,
    retry: Annotated[bool, typer.Option(help="Try again what failed for good before.")] = False,
    accept_record: Annotated[
        bool,
        typer.Option(
            help="Use checkpoints made under the workspace's earlier execution records; flagged in the report."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a study: make what is missing, compare, report. Run it again to go on after any interruption.

    Ctrl-C stops at the next checkpoint, a second one at once; nothing that was finished is lost.

    Example: `pretrial run studies/code-as-catalyst.yaml --data ~/corpora`
    """
    from pretrial.trials import Trial

    trial = Trial.of(study, workspace=workspace, store=store, data=data)
    chosen = None
    if seeds is not None:
        chosen = parse_seeds(seeds, trial.study.seeds)
    with resumable():
        outcome = trial.run(
            only=only or (),
            seeds=chosen,
            workers=workers,
            cluster=cluster,
            refresh=refresh,
            retry=retry,
            accept_record=accept_record,
            quiet=as_json,
        )
    if as_json:
        print_json(
            {
                "study": trial.study.name,
                "report": str(outcome.report),
                "made": outcome.made,
                "seconds": outcome.seconds,
                "failures": dict(outcome.failures),
            }
        )
    else:
        from pretrial.terminal import print_outcome

        print_outcome(out(), trial, outcome, part=bool(only or chosen))
    if not outcome.complete:
        raise typer.Exit(1)


@app.command()
def status(
    study: StudyPath,
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
    verify: Annotated[bool, typer.Option(help="Hash every artefact in the store.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what of a study is done, and how large the store is.

    Example: `pretrial status studies/quickstart.yaml --verify`
    """
    from pretrial.trials import Trial

    said = Trial.of(study, workspace=workspace, store=store, data=data).status(verify=verify)
    if as_json:
        print_json(said)
    else:
        from pretrial.terminal import print_status

        print_status(out(), said)
    if said["damaged"]:
        raise typer.Exit(1)


@app.command()
def explain(
    study: StudyPath,
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say why steps would run again: which field of the study, of the machine or of an input differs.

    Example: `pretrial explain studies/quickstart.yaml`
    """
    from pretrial.trials import Trial

    said = Trial.of(study, workspace=workspace, store=store, data=data).explain()
    if as_json:
        print_json(said)
    else:
        from pretrial.terminal import print_explanation

        print_explanation(out(), said)


@app.command()
def report(
    study: StudyPath,
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
) -> None:
    """Write the report again from what is in the store.

    Example: `pretrial report studies/quickstart.yaml`
    """
    from pretrial.trials import Trial

    page = Trial.of(study, workspace=workspace, store=store, data=data).report()
    out().print(str(page), highlight=False, soft_wrap=True)


@export.command("model")
def export_model(
    study: StudyPath,
    variant: Variant,
    to: Annotated[Path, typer.Argument(help="Folder to write.", show_default=False)],
    seed: Seed = None,
    tokens: Annotated[int | None, typer.Option(help="Token count of the checkpoint. [default: the end]")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
) -> None:
    """Write a checkpoint in Hugging Face layout, to load with `transformers`.

    Example: `pretrial export model studies/quickstart.yaml "balanced→text" ./model`
    """
    from pretrial.trials import Trial

    trial = Trial.of(study, workspace=workspace, store=store, data=data)
    checkpoint = trial.checkpoint(variant, seed=seed, tokens=tokens)
    from pretrial.model.hub import export_model as write

    origin = {
        "study": trial.study.name,
        "variant": variant,
        "seed": str(seed if seed is not None else trial.study.seeds[0]),
        "checkpoint": checkpoint.name,
        "licences": "; ".join(f"{name}: {s.license}" for name, s in trial.study.sources.items() if s.license),
    }
    write(checkpoint, None, to, dtype=dtype, provenance={name: value for name, value in origin.items() if value})
    out().print(f"Wrote {to}", highlight=False)


def parse_seeds(text: str, known: tuple[int, ...]) -> tuple[int, ...]:
    """Seeds as the option spells them: 1 or 1,2. Raises `RequestError` for others than the study's."""
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise RequestError(f"--seeds {text}: seeds are whole numbers", remedy="Write --seeds 1,2.") from None
    unknown = [seed for seed in seeds if seed not in known]
    if unknown:
        raise RequestError(
            f"--seeds {text}: the study has no seed {unknown[0]}",
            remedy=f"It has {', '.join(map(str, known))}.",
        )
    return seeds


def main() -> None:
    """Entry point; turns our errors into one message and an exit code."""
    if sys.stdout is not None:  # It is where the shell closed it (`>&-`).
        sys.stdout = output(1, like=sys.stdout)
    sys.exit(guarded(lambda: app(standalone_mode=False)))


def guarded(command: Callable[[], Any]) -> int:
    """Run a command; its exit code."""
    # Typer carries its own copy of click and exports some of its errors; the base of usage errors is behind this one.
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    try:
        code = command()
        # What is still buffered would fail to be written only after the exit code is settled.
        if sys.stdout is not None:
            sys.stdout.flush()
        if code == Interrupted.exit_code:
            # Typer turns a Ctrl-C that nobody listened for into a bare exit code: ours come with a message.
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except PretrialError as error:
        print(f"pretrial: {error}", file=sys.stderr)
        return error.exit_code
    except usage_error as error:
        print(f"pretrial: {getattr(error, 'format_message', error.__str__)()}", file=sys.stderr)
        print("  See pretrial --help, or pretrial COMMAND --help.", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print("pretrial: stopped at once; run the same command again to go on.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; say nothing more to it.
        _say_nothing_more()
        return 1
    except OSError as error:
        if error.filename == _OUTPUT:
            _say_nothing_more()
            print(f"pretrial: standard output cannot be written: {error.strerror}", file=sys.stderr)
            print("  What was printed is not whole; send it to another place.", file=sys.stderr)
            return 1
        if error.errno not in (*_FULL, *_FORBIDDEN):
            raise
        print(f"pretrial: {error.filename or 'a file that Pretrial writes'}: {error.strerror}", file=sys.stderr)
        full = error.errno in _FULL
        print(
            f"  {'Free some space, then run the same command again.' if full else 'Name another place.'}",
            file=sys.stderr,
        )
        return 1 if full else 2


def _say_nothing_more() -> None:
    """Let what is still buffered for standard output go nowhere, or the interpreter fails on it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class _Output(io.FileIO):
    """Standard output, whose errors say that they are its own: the system names no file where one is open already."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = _OUTPUT
            raise


def output(descriptor: int, like: TextIO) -> TextIO:
    """Text output to an open file, encoded as another, so that `guarded` knows when it cannot be written."""
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(descriptor, "w", closefd=False)),
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=like.isatty() or bool(os.environ.get("PYTHONUNBUFFERED")),
    )
