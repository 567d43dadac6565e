"""What is in the store of a study's corpora, by source.

Guarantees: nothing is made or computed again; what is missing is said once, with the command that makes it. Does not:
hash files (`pretrial status --verify` does), or import a library.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from typing import Any

from pretrial.errors import RequestError
from pretrial.plan.graph import Graph
from pretrial.store.artefacts import Artefact, Store
from pretrial.study.schema import Source, Study

Json = dict[str, Any]
SELECTION = "selection of documents"
NEAR = "near-duplicates"


class Corpora:
    """The corpora of a study, as far as they were made.

    >>> corpora = pretrial.trial("study.yaml").corpora()   # doctest: +SKIP
    >>> corpora.funnel("prose")["ends"]                    # doctest: +SKIP

    Args:
        graph: the study's steps.
        find: the output of a step by name, where it is there.
        store: where outputs are.
    """

    def __init__(self, graph: Graph, find: Callable[[str], Artefact | None], store: Store) -> None:
        self.graph = graph
        self.find = find
        self.store = store

    @property
    def study(self) -> Study:
        """The study."""
        return self.graph.study

    # -- questions -------------------------------------------------------------------------------------------

    def funnel(self, source: str) -> Json:
        """Documents, bytes and tokens that each step left of a source, and where they ended; see `funnel.funnel`."""
        from pretrial.inspecting.funnel import funnel

        return funnel(self, source)

    def inspect(self, source: str, **options: Any) -> Json:
        """Distributions of a source's documents, rejects, copies and hits; see `distributions.inspect`."""
        from pretrial.inspecting.distributions import inspect

        return inspect(self, source, **options)

    def sample(self, source: str, **options: Any) -> Json:
        """Some documents, kept or dropped, the same ones every time; see `sample.sample`."""
        from pretrial.inspecting.sample import sample

        return sample(self, source, **options)

    def card(self, source: str) -> str:
        """The data card of a source, as Markdown; see `card.card`."""
        from pretrial.inspecting.card import card

        return card(self, source)

    def trace(self, variant: str, token: int, **options: Any) -> Json:
        """Where a training token comes from; see `trace.trace`."""
        from pretrial.inspecting.trace import trace

        return trace(self, variant, token, **options)

    # -- what is there ---------------------------------------------------------------------------------------

    def source(self, name: str) -> Source:
        """A source of the study.

        Raises:
            RequestError: when there is none of that name.
        """
        if name not in self.study.sources:
            near = difflib.get_close_matches(name, self.study.sources, 1)
            raise RequestError(
                f"there is no source {name!r}",
                remedy=f"Did you mean {near[0]}?" if near else f"The study has {', '.join(self.study.sources)}.",
            )
        return self.study.sources[name]

    def root(self, name: str) -> str:
        """The source whose documents a source has: itself, unless it is derived."""
        self.source(name)
        return self.study.root(name)

    @property
    def unused(self) -> tuple[str, ...]:
        """Sources that no step makes, since nothing uses them."""
        return tuple(name for name in self.study.sources if f"corpus {name}" not in self.graph.steps)

    def used(self, name: str) -> None:
        """Raises `RequestError` when there is no such source, or nothing uses it."""
        self.source(name)
        if name in self.unused:
            raise RequestError(
                f"the source {name} is not made: it is in no mixture, and used for nothing",
                where=self.study.where(f"sources.{name}"),
                remedy="Put it in a mixture, or leave it out.",
            )

    def corpus(self, name: str) -> Artefact:
        """The corpus of a source.

        Raises:
            RequestError: when it was not read yet, nothing uses it, or there is no such source.
        """
        self.used(name)
        return self.needed(f"corpus {name}", f"the source {name} has not been read yet")

    def selection(self) -> Artefact:
        """The decision which documents train.

        Raises:
            RequestError: when it was not made yet.
        """
        return self.needed(SELECTION, "it has not been decided yet which documents train")

    def near(self) -> Artefact | None:
        """The search for near-duplicates; `None` where the study asks for none or it was not made yet."""
        return self.find(NEAR) if NEAR in self.graph.steps else None

    def near_edited(self) -> Artefact | None:
        """The search among sources as they were read and as derived ones edited them; `None` as for `near`."""
        step = self.graph.steps[SELECTION].inputs.get("near-edited")
        return self.find(step) if step is not None else None

    def contamination(self, name: str) -> Artefact | None:
        """The benchmark items in a source; `None` where they are not looked for or were not yet."""
        step = f"benchmark items in {self.root(name)}"
        return self.find(step) if step in self.graph.steps else None

    def tokens(self, name: str, part: str) -> Artefact | None:
        """The tokens of a part ("train", "held-out") of a source, where they were made."""
        step = f"tokens of {name} ({part})"
        return self.find(step) if step in self.graph.steps else None

    def needed(self, step: str, otherwise: str) -> Artefact:
        """The output of a step; a `RequestError` that says what is missing and what makes it where it is not there."""
        made = self.find(step)
        if made is None:
            corpora = self.graph.steps[step].group == "corpora"
            raise RequestError(
                otherwise, remedy=f"Run: pretrial {'corpus build' if corpora else 'run'} {self.study.origin}"
            )
        return made

    def shards_like(self, corpus: Artefact) -> Iterator[tuple[Json, str]]:
        """(part, SHA-256 of its documents) of each shard in the store that was read under a corpus's recipe."""
        recipe = corpus.manifest["payload"]
        base = {key: value for key, value in recipe["config"].items() if key != "files"}
        for folder in sorted((self.store.root / "artefacts" / "corpus-shard").glob("*")):
            made = self.store.find("corpus-shard", folder.name)
            if made is None:
                continue
            own = made.manifest["payload"]
            config = {key: value for key, value in own["config"].items() if key != "part"}
            if json.dumps([config, own["inputs"]], sort_keys=True) == json.dumps(
                [base, recipe["inputs"]], sort_keys=True
            ):
                yield own["config"]["part"], made.manifest["files"]["shard.parquet"]["sha256"]


def class_name(key: str) -> str:
    """A class of the selection as it is named to people: `held_out` is `held-out`."""
    return key.replace("_", "-")


ENDS = {
    "train": "trains",
    "held-out": "held out",
    "duplicate": "exact copies",
    "excluded": "copies of held-out text",
    "near-duplicate": "near-duplicates",
    "near-held-out": "near-duplicates of held-out text",
    "contaminated": "hold benchmark items",
}
"""Where documents end, by class, in words."""
