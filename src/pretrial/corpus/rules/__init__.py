"""Rules: pure functions of one text that keep, shorten or empty it.

Guarantees: a rule sees a text and nothing else, so its result does not depend on shards, workers or engine;
its version is raised whenever its result changes for some text; every byte it takes out is counted under a
reason.
Does not: read or write anything. A document whose text a rule empties is dropped by the reading step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pretrial.corpus.rules import no_code
from pretrial.corpus.rules.result import Result

__all__ = ["RULES", "Result", "Rule"]


@dataclass(frozen=True)
class Rule:
    """A named rule. `apply` is pure."""

    version: int
    apply: Callable[[str], Result]


RULES: dict[str, Rule] = {"no-code": Rule(no_code.VERSION, no_code.no_code)}
