"""What is in the store of a study's corpora, by source.

Guarantees: nothing is made or computed again; what is missing is said once, with the command that makes it. Does not:
hash files (`pretrial status --verify` does), or import a library.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pretrial.errors import RequestError
from pretrial.inspecting.emptied import Emptied, emptied, shards_read
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
        options: what a command must say beside the study to find the same places, such as `--store DIR`.
        notes: by source that is read, why its corpus is that of an earlier state of its inputs (`looking.look`).
    """

    def __init__(
        self,
        graph: Graph,
        find: Callable[[str], Artefact | None],
        store: Store,
        *,
        options: str = "",
        notes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.graph = graph
        self.find = find
        self.store = store
        self.options = options
        self.notes = notes
        self._emptied: dict[str, Emptied | None] = {}

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
            RequestError: when it was not read yet, nothing is left of it or uses it, or there is no such source.
        """
        self.used(name)
        if self.find(f"corpus {name}") is None and self.seen(name) is not None:
            raise RequestError(
                f"no document is left of the source {name}",
                where=self.study.where(f"sources.{name}"),
                remedy=f"See what dropped them: {self.command('corpus inspect', name)}",
            )
        return self.needed(f"corpus {name}", f"the source {name} has not been read yet")

    def seen(self, name: str) -> Artefact | None:
        """The corpus of a source, also one of which no document is left; `None` where it was not read yet."""
        step = f"corpus {name}"
        if (made := self.find(step)) is not None:
            return made
        if name not in self._emptied:
            self._emptied[name] = emptied(self.graph.steps[step], self.find, self.store)
        return self._emptied[name]

    def read(self, name: str) -> Artefact:
        """As `corpus`, but also where no document is left: what was dropped can be looked at.

        Raises:
            RequestError: when it was not read yet, nothing uses it, or there is no such source.
        """
        self.used(name)
        return self.seen(name) or self.corpus(name)

    def note(self, name: str) -> str | None:
        """Why the corpus of a source is not that of its inputs as they are now; `None` where it is."""
        return self.notes.get(self.root(name))

    def command(self, words: str, *names: str) -> str:
        """A command on this study, on something of it and at its places, as it has to be typed."""
        return f"pretrial {words} {shlex.join([self.study.origin, *names])}{self.options}"

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
        """The benchmark items in a source, or in its root's same texts; `None` where they were not looked for yet."""
        self.source(name)
        step = f"benchmark items in {self.graph.scanned_as(name)}"
        return self.find(step) if step in self.graph.steps else None

    def scans(self, name: str) -> dict[str, Artefact]:
        """The benchmark items in each state of a source's documents that was scanned, by source, its root first."""
        root = self.root(name)
        steps = (self.graph.steps[step] for step in self.graph.scans)
        family = [str(step.about["source"]) for step in steps if self.root(str(step.about["source"])) == root]
        found = {source: self.find(f"benchmark items in {source}") for source in family}
        return {source: made for source, made in found.items() if made is not None}

    def tokens(self, name: str, part: str) -> Artefact | None:
        """The tokens of a part ("train", "held-out") of a source, where they were made."""
        step = f"tokens of {name} ({part})"
        return self.find(step) if step in self.graph.steps else None

    def needed(self, step: str, otherwise: str) -> Artefact:
        """The output of a step; a `RequestError` that says what is missing and what makes it where it is not there."""
        made = self.find(step)
        if made is None:
            corpora = self.graph.steps[step].group == "corpora"
            raise RequestError(otherwise, remedy=f"Run: {self.command('corpus build' if corpora else 'run')}")
        return made

    def shards_like(self, corpus: Artefact) -> Iterator[tuple[Json, str]]:
        """(part, SHA-256 of its documents) of each shard in the store that was read under a corpus's recipe."""
        recipe = corpus.manifest["payload"]
        for made in shards_read(self.store, recipe["config"], recipe["inputs"]):
            yield made.manifest["payload"]["config"]["part"], made.manifest["files"]["shard.parquet"]["sha256"]


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
