"""The command line, corpora: `pretrial corpus build | inspect | sample | card | trace`.

Looks at what is in the store. Only `build` makes anything. What a machine would read has `--json`.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from pretrial.errors import RequestError

if TYPE_CHECKING:
    from pretrial.inspecting.corpora import Corpora

corpus = typer.Typer(
    help="See the corpora: what was kept and dropped, why, and where a token comes from.", invoke_without_command=True
)

# Not required as far as the parser knows: what is missing is said with the sources that there are.
SourceName = Annotated[str | None, typer.Argument(metavar="SOURCE", help="The source.", show_default=False)]


@corpus.callback()
def common(context: typer.Context) -> None:
    """See the corpora: what was kept and dropped, why, and where a token comes from."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def _tokens(text: str) -> int:
    """A number of tokens as study files write it, such as 5K."""
    from pretrial.study.units import parse_tokens

    if text.startswith("-") and text[1:].isdecimal():
        return int(text)  # Which tokens there are is the variant's to say.
    try:
        return parse_tokens(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@corpus.command()
def build(
    study: StudyPath,
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="NAME", help="Only this source. May be repeated.")
    ] = None,
    workers: Workers = None,
    cluster: Cluster = None,
    refresh: Refresh = False,
    as_json: AsJson = False,
) -> None:
    """Make the corpora and nothing else; show what every step kept and dropped.

    A run takes over what was made. With --source, the source is read and the rest left for later: which documents
    train is decided over all sources at once. Where that decision fails, what was read is shown before the error.

    Example: `pretrial corpus build studies/quickstart.yaml --source prose`
    """
    from pretrial.inspecting.build import RefusedError

    trial = _trial(study, workspace, store, data)
    refused: RefusedError | None = None
    try:
        with resumable():
            built = trial.build_corpora(source or (), workers=workers, cluster=cluster, refresh=refresh, quiet=as_json)
    except RefusedError as error:
        refused, built = error, error.built
    corpora, unused = built.corpora, [name for name in built.sources if name in built.corpora.unused]
    corpora.options = _options(workspace, store, data)
    made = [name for name in built.sources if name not in unused and corpora.seen(name) is not None]
    funnels = [corpora.funnel(name) for name in made]
    if as_json:
        from pretrial.inspecting.exposure import unequal

        print_json(
            {
                "study": trial.study.name,
                "made": list(built.made),
                "seconds": built.seconds,
                "failures": built.failures,
                "error": str(refused) if refused is not None else None,
                "unused": unused,
                "contaminated_differently": unequal(corpora),
                "sources": funnels,
            }
        )
    else:
        from pretrial.inspecting.terminal import print_built

        print_built(out(), built, funnels, refused=refused is not None)
    if refused is not None:
        raise refused
    if built.failures:
        raise typer.Exit(1)


@corpus.command()
def inspect(
    study: StudyPath,
    source: SourceName = None,
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME", help="Count the values of this field, too. May be repeated."),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", metavar="NAME", help="Measure every text, such as comment-share. May be repeated."),
    ] = None,
    hits: Annotated[bool, typer.Option("--hits", help="List benchmark items with the text that matched.")] = False,
    top: Annotated[int, typer.Option(min=1, help="Most values of a field, and most hits.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show what a source's documents are like: lengths, languages, licences, sites, rejects, copies.

    Example: `pretrial corpus inspect studies/quickstart.yaml python --measure comment-share`
    """
    corpora = _corpora(study, workspace, store, data)
    source = _asked(corpora, source)
    said = corpora.inspect(source, fields=field or (), measures=measure or (), hits=hits, top=top)
    _note(corpora, source)
    if as_json:
        print_json(said)
        return
    from pretrial.inspecting.terminal import print_inspection

    print_inspection(out(), said)


@corpus.command()
def sample(
    study: StudyPath,
    source: SourceName = None,
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
    rule: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[/REASON]",
            help="Documents that this rule dropped, or those for one of its reasons; read: what readers skipped.",
            show_default=False,
        ),
    ] = None,
    kept: Annotated[bool, typer.Option("--kept", help="Documents that came through. [default]")] = False,
    of: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="Documents of a class: train, held-out, duplicate, excluded, near-duplicate, near-held-out, "
            "contaminated; or skipped: what readers left out; or quarantined: what could not be used.",
            show_default=False,
        ),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="A line a document without its text; of copies, with the one that is kept.")
    ] = False,
    number: Annotated[
        int | None, typer.Option("-n", "--number", min=1, help="How many. [default: 5; with --list all]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which ones.")] = 1,
    characters: Annotated[int, typer.Option(min=0, help="Most characters of a text.")] = 400,
    as_json: AsJson = False,
) -> None:
    """Show some documents of a source: kept, dropped by a rule, or of one class. The same ones every time.

    What is near to something that stays is listed with it, in a line: `--class near-duplicate --list`.

    Example: `pretrial corpus sample studies/quickstart.yaml prose --rule no-code -n 3`
    """
    corpora = _corpora(study, workspace, store, data)
    source = _asked(corpora, source)
    said = corpora.sample(
        source, rule=rule, kept=kept, of=of, n=number, seed=seed, characters=characters, listed=listed
    )
    _note(corpora, source)
    if as_json:
        print_json(said)
        return
    from pretrial.inspecting.terminal import print_sample

    print_sample(out(), said)


@corpus.command()
def card(
    study: StudyPath,
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE]", help="The source.", show_default=False)] = None,
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
    every: Annotated[bool, typer.Option("--all", help="A card for every source.")] = False,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder to write cards into, SOURCE.md each. [default: print them]"),
    ] = None,
) -> None:
    """Write the data card of a source, as Markdown: rules, funnel, licences, provenance, limits, how to rebuild.

    Example: `pretrial corpus card studies/quickstart.yaml --all --out cards`
    """
    corpora = _corpora(study, workspace, store, data)
    if every == (source is not None):
        there = ", ".join(corpora.study.sources)
        raise RequestError("which source?", remedy=f"Name one, or say --all. The study has {there}.")
    names = [source] if source is not None else [name for name in corpora.study.sources if name not in corpora.unused]
    cards = {name: corpora.card(name) for name in names}
    _note(corpora, *names)
    if to is None:
        for text in cards.values():
            typer.echo(text, nl=False)
        return
    from pretrial.inspecting.card import file_name
    from pretrial.store.artefacts import write_atomically

    for name, text in cards.items():
        try:
            write_atomically(to / file_name(name), text)
        except FileExistsError:
            raise RequestError(f"{to} is a file", remedy="Name a folder.") from None
        out().print(f"Wrote {to / file_name(name)}", highlight=False, markup=False, soft_wrap=True)


@corpus.command()
def trace(
    study: StudyPath,
    variant: Variant,
    token: Annotated[
        int,
        typer.Option(
            parser=_tokens,
            metavar="TOKENS",
            help="Its place in the variant's training, counted from 0, such as 5000 or 5K.",
            show_default=False,
        ),
    ],
    workspace: Workspace = None,
    store: StorePath = None,
    data: Data = None,
    seed: Seed = None,
    around: Annotated[int, typer.Option(min=0, help="Characters of text on each side.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Follow a training token to its document, source file, revision and licence.

    Example: `pretrial corpus trace studies/quickstart.yaml "balanced→text" --token 100K`
    """
    corpora = _corpora(study, workspace, store, data)
    said = corpora.trace(variant, token, seed=seed, around=around)
    _note(corpora, said["source"])
    if as_json:
        print_json(said)
        return
    from pretrial.inspecting.terminal import print_trace

    print_trace(out(), said)


def _corpora(study: Path, workspace: Path | None, store: Path | None, data: Path | None) -> Corpora:
    from pretrial.inspecting.looking import look

    return look(_trial(study, workspace, store, data), options=_options(workspace, store, data))


def _options(workspace: Path | None, store: Path | None, data: Path | None) -> str:
    """The options of places as they were given, so that a command that is named as a remedy finds the same ones."""
    given = {"workspace": workspace, "store": store, "data": data}
    return "".join(f" --{name} {shlex.quote(str(path))}" for name, path in given.items() if path is not None)


def _asked(corpora: Corpora, source: str | None) -> str:
    if source is None:
        raise RequestError(
            "Missing argument 'SOURCE': which source?", remedy=f"The study has {', '.join(corpora.study.sources)}."
        )
    return source


def _note(corpora: Corpora, *sources: str) -> None:
    """Say on standard error what was shown of inputs that are no longer so."""
    for note in dict.fromkeys(filter(None, map(corpora.note, sources))):
        print(f"pretrial: {note}", file=sys.stderr)


def _trial(study: Path, workspace: Path | None, store: Path | None, data: Path | None) -> Any:
    from pretrial.trials import Trial

    return Trial.of(study, workspace=workspace, store=store, data=data)
