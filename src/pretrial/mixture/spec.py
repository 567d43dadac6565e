"""Semantics versions of the mixture room.

Standard library only. The data order itself (quota, permutations, windows) has no step of its own: it is
part of what a training trajectory means, so a change of it raises the version of `train` beside this one.
"""

from __future__ import annotations

SEMANTICS: dict[str, int] = {"ledger": 2}
