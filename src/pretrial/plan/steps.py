"""What a plan is made of: steps, their inputs, and their identity.

A step is flat data. Its key follows from its recipe and the *content* of its inputs, so it is known once they
exist; its request follows from the recipes upstream alone, so it is known at once. Settings (paths and the like)
and inputs that are listed in `unkeyed` bear no identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pretrial.store.artefacts import payload_of
from pretrial.store.identity import fingerprint

Json = dict[str, Any]


class Finished(Protocol):
    """What a step's output says of itself."""

    @property
    def content(self) -> str:
        """Hash over files and facts."""

    @property
    def facts(self) -> Json:
        """What its function returned; `contents`, where it is there, maps each of its parts to a hash."""


@dataclass(frozen=True)
class Step:
    """One unit of work whose output is one artefact.

    Attributes:
        name: unique in its plan, for people: `train balanced→text @300K, seed 1`.
        kind: what it makes; with the key, its address in the store.
        version: semantics version of the kind, raised when its output changes.
        function: `package.module:name` of the function that does it; takes a `StepContext`.
        config: what bears identity.
        settings: what does not (paths, where to start from).
        inputs: input name to the name of the step that makes it.
        unkeyed: inputs that bear no identity, such as the checkpoint a training step starts from: where a
            trajectory was cut does not change where it leads.
        parts: input name to the parts of it that are read, where that is less than all: the input's identity is then
            that of these parts (its fact `contents`), and a change of the others leaves this step as it is.
        changeable: its outside input can change under us, so its first output is kept until refreshed.
        group: what the cost is summed under: corpora, tokens, training, evaluation, analysis.
        about: facts for messages and the report (variant, seed, tokens, task); no identity.
    """

    name: str
    kind: str
    version: int
    function: str
    config: Json
    settings: Json = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    unkeyed: frozenset[str] = frozenset()
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    changeable: bool = False
    group: str = ""
    about: Json = field(default_factory=dict)

    def payload(self, identities: Mapping[str, str]) -> Json:
        """The recipe, with what is known of its inputs (contents, or requests) by input name."""
        keyed = {name: identities[name] for name in self.inputs if name not in self.unkeyed}
        return payload_of(self.kind, self.version, self.config, keyed)

    def identities(self, inputs: Mapping[str, Finished]) -> dict[str, str]:
        """What each input that bears identity is to this step: its content, or the content of what is read of it."""
        return {
            name: fingerprint({part: artefact.facts["contents"][part] for part in self.parts[name]})
            if name in self.parts
            else artefact.content
            for name, artefact in inputs.items()
            if name not in self.unkeyed
        }

    def key(self, identities: Mapping[str, str]) -> str:
        """Address of the output, from the identities of the inputs."""
        return fingerprint(self.payload(identities))
