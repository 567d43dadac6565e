"""What all commands share: options, what is said when one is stopped, and where output goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pretrial.errors import Interrupted

StudyPath = Annotated[Path, typer.Argument(help="The study file.", show_default=False)]
Variant = Annotated[str, typer.Argument(help="The variant.", show_default=False)]
Workspace = Annotated[
    Path | None,
    typer.Option(help="Folder of this study's logs and report. [default: pretrial-runs/STUDY beside the file]"),
]
StorePath = Annotated[
    Path | None,
    typer.Option(
        help="Folder of all artefacts, shared by all studies. [default: PRETRIAL_STORE, or pretrial-runs/.store]"
    ),
]
Data = Annotated[
    Path | None, typer.Option(help="Folder that {data} stands for in study files. [default: PRETRIAL_DATA]")
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Worker processes for corpora. [default: all processors, at most 8]"),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ray cluster that makes corpora instead: HOST:PORT, auto or local. [default: PRETRIAL_CLUSTER]",
    ),
]
Refresh = Annotated[bool, typer.Option(help="Read installed packages again.")]
Seed = Annotated[int | None, typer.Option(help="Seed. [default: the study's first]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]


@contextmanager
def resumable() -> Iterator[None]:
    """Say of an interruption inside that the same command goes on from there."""
    try:
        yield
    except Interrupted as error:
        raise Interrupted(
            f"{error.what}; nothing that was finished is lost", remedy="Run the same command again to go on."
        ) from None


def out() -> Console:
    """Standard output; plain and unwrapped where it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def print_json(value: Any) -> None:
    """JSON on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=1))
