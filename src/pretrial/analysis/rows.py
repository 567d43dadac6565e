"""The two tables that the analysis makes: comparisons and judged claims."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """One variant against its base on one metric of one task; the fields are the columns of comparisons.csv.

    `absolute` is variant − base in raw units, `low` and `high` its two-sided interval at `level`.
    `relative` is absolute over the base's value, for a metric with a chance level over what the base has
    above it; empty where the base is within two standard errors of zero (or chance). `p` is two-sided
    against no difference; `p_adjusted` is Holm's among rows with a registered claim and Benjamini and
    Hochberg's among the exploratory rows of the same family. `mde` is the difference found with 80% power
    at 5% two-sided, `delta` the δ of "equivalent", both raw. None is an empty cell. `task` "mean" is the
    mean over the category's tasks.
    """

    variant: str
    baseline: str
    stage: str
    tokens: int
    category: str
    task: str
    metric: str
    higher_is_better: bool
    base_value: float | None
    value: float | None
    absolute: float | None
    low: float | None
    high: float | None
    se: float | None
    df: float | None
    level: float
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    p: float | None
    p_adjusted: float | None
    mde: float | None
    delta: float | None
    n_items: int
    n_seeds: int
    method: str
    holds: str
    flags: tuple[str, ...]
    verdict: str
    claim: str | None = None
    claim_verdict: str | None = None

    def to_row(self) -> dict[str, Any]:
        """Columns in order; flags joined by "; "."""
        row = {f.name: getattr(self, f.name) for f in fields(self)}
        row["flags"] = "; ".join(self.flags)
        return row


COMPARISON_COLUMNS = tuple(f.name for f in fields(Comparison))


@dataclass(frozen=True)
class ClaimResult:
    """What became of a claim.

    `estimate`, `low`, `high` (two-sided at `level`) and `margin` are variant − against in raw units,
    `margin` not negative. `bound` is the one-sided bound that decided, at confidence `bound_level`
    (Holm's), as a gain (positive: the variant is better) in `bound_unit`: "share of the baseline" for a
    margin in per cent, else "raw". For *equals* it is whichever of the two bounds lies nearer to, or
    further past, the margin. `p` and `p_adjusted` (Holm) are one-sided against the margin. `bootstrap_low`,
    `bootstrap_high` (of estimate) and `sign_flip_p` (one-sided, from six seeds) are companions.
    `exploratory` is the opposite of `registered`, `registration` its reason.
    """

    text: str
    kind: str
    variant: str
    against: str
    target: str
    category: str | None
    task: str | None
    metric: str | None
    higher_is_better: bool | None
    margin: float | None
    verdict: str
    estimate: float | None
    low: float | None
    high: float | None
    level: float
    bound: float | None
    bound_level: float | None
    bound_unit: str
    p: float | None
    p_adjusted: float | None
    bootstrap_low: float | None
    bootstrap_high: float | None
    sign_flip_p: float | None
    n_seeds: int
    n_items: int
    holds: str
    registered: bool
    registration: str
    reason: str

    @property
    def exploratory(self) -> bool:
        """Whether the claim was made with results in view."""
        return not self.registered

    def to_row(self) -> dict[str, Any]:
        """All fields by name."""
        return asdict(self)
