"""Rules: pure functions of one document that keep it, shorten it or drop it; one module a family.

Guarantees: a rule drops with a reason and the value it measured, and counts every byte that it takes out.
Does not: know how it is named in a study (`pretrial.corpus.registry`).
"""

from __future__ import annotations

from pretrial.corpus.rules.result import Result, Rule

__all__ = ["Result", "Rule"]
