"""Which natural language a text is in, without network.

Guarantees: the same verdict on every machine with the same version of the model (py3langid, a naive Bayes model over
byte n-grams for 97 languages; Lui and Baldwin, *langid.py*, ACL 2012), which is part of the package.
Does not: tell languages apart in short or mixed texts well; the share it gives is the model's own, and too sure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from pretrial.corpus.rules.result import Result, Rule

LOOKED_AT = 4_000
"""Characters from the beginning, the middle and the end together: enough to be sure of, and bounded."""


@dataclass(frozen=True)
class NaturalLanguage:
    """Keeps texts in one of `languages` (ISO 639-1) with at least `least` as the model's probability.

    Long texts are judged by three pieces of them, from the beginning, the middle and the end.
    """

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("py3langid",)

    languages: tuple[str, ...] = ("en",)
    least: float = 0.65

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        language, probability = identify(text)
        if language not in self.languages:
            return Result(text, reason="language", value=language)
        return Result(text, reason="probability", value=probability) if probability < self.least else Result(text)


def identify(text: str) -> tuple[str, float]:
    """ISO 639-1 code of the most likely language, and the model's probability of it."""
    if len(text) > LOOKED_AT:
        piece = LOOKED_AT // 3
        middle = (len(text) - piece) // 2
        text = "\n".join((text[:piece], text[middle : middle + piece], text[-piece:]))
    language, probability = _identifier().classify(text)
    return str(language), float(probability)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


RULES: tuple[type[Rule], ...] = (NaturalLanguage,)
