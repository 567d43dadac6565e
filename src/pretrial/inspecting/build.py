"""Makes the corpora of a study, and nothing that comes after them.

Guarantees: the same steps as a run would make, in the same store, so that a run takes them over; what fails takes down
what depends on it and no other source; where the request turns out to be wrong on the way (nothing is left of a source
to train on), what was read until then can be seen. Does not: choose an execution record, tokenise, or import torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pretrial.errors import RequestError
from pretrial.execute.progress import Progress, Quiet
from pretrial.inspecting.corpora import SELECTION, Corpora
from pretrial.inspecting.looking import remember
from pretrial.plan import cost
from pretrial.plan.graph import Graph
from pretrial.plan.sizes import sizes
from pretrial.running import Manner, maker, outstanding, own_failures, stopping, timer, warn_of_changes

if TYPE_CHECKING:
    from pretrial.trials import Trial


class RefusedError(RequestError):
    """The request turned out to be wrong after sources had been read; `built` is what was made until then."""

    built: Built | None = None


@dataclass(frozen=True)
class Built:
    """What making corpora came to: the steps made, in seconds, and why others failed, by step."""

    corpora: Corpora
    sources: tuple[str, ...]
    made: tuple[str, ...]
    seconds: float
    failures: dict[str, str]


def build(trial: Trial, sources: Sequence[str], manner: Manner) -> Built:
    """Make what is missing of the corpora; see `Trial.build_corpora`.

    Raises:
        RefusedError: when the request turns out to be wrong after sources had been read.
        RequestError: when it is wrong from the start.
    """
    started = time.monotonic()
    trial.workspace.prepare()
    with trial.workspace.held(f"corpora of {trial.study.name}"):
        trial.store.prepare()
        trial.store.clean()
        graph = trial.graph(None)
        speeds = cost.Speeds(trial.store)
        what = f"corpora of {trial.study.name}"
        with stopping("after the part in hand") as stop:
            runner = maker(trial.store, graph, manner, speeds, Quiet(), what=what, stop=stop)
            corpora = Corpora(graph, runner.find, trial.store)
            wanted = _wanted(graph, corpora, sources)
            missing = outstanding(graph, runner, wanted, refresh=manner.refresh)
            forecast = cost.forecast(graph, speeds, sizes(graph, runner.find))
            cost.check_disk(forecast.room(missing), trial.places.store)

            def built() -> Built:
                return Built(
                    corpora,
                    tuple(sources) or tuple(trial.study.sources),
                    tuple(runner.made),
                    time.monotonic() - started,
                    own_failures(runner),
                )

            with Progress(trial.workspace.log, timer(graph, forecast, missing), quiet=manner.quiet) as watching:
                runner.observer = watching
                warn_of_changes(graph, runner, watching)
                try:
                    runner.run(tuple(dict.fromkeys([*missing, *wanted])))
                except RequestError as error:
                    refused = RefusedError(error.what, where=error.where, remedy=error.remedy)
                    refused.built = built()
                    raise refused from error
                finally:
                    remember(trial.workspace.folder, graph, runner.find)
    return built()


def _wanted(graph: Graph, corpora: Corpora, sources: Sequence[str]) -> list[str]:
    """The steps that are asked for: all up to the selection with all scans, or those of some sources alone."""
    if not sources:
        # Where documents with benchmark items stay, the selection needs no scan, but who reads of it does.
        return [SELECTION, *graph.scans]
    names = [name for source in sources for name in _of(corpora, source)]
    return [name for name in dict.fromkeys(names) if name in graph.steps]


def _of(corpora: Corpora, source: str) -> list[str]:
    corpora.used(source)
    root = corpora.root(source)
    items = f"benchmark items in {corpora.graph.scanned_as(source)}"
    return [f"corpus {source}", f"signatures of {root}", items]
