"""What a rule says about a text."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Result:
    """The text that is kept and the UTF-8 bytes taken out, by kind; they add up to the bytes that came in."""

    text: str
    removed: dict[str, int] = field(default_factory=dict)
