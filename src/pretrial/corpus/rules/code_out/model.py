"""Which lines without a mark are code: a score for each line, and the likeliest runs of lines.

A linear-chain model with two states, prose and code. A line's log-odds of being code are its features (features.py)
times the weights below; changing state costs `enter` or `leave`, by what stands between the two lines. All are
natural logarithms.
Guarantees: no file is read; time is linear in the lines.
Does not: learn. The constants come from tests/corpus/rules/labelled/fit.py, from the fitting half of the labelled
pages.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import NamedTuple

from pretrial.corpus.rules.code_out.features import may_open, measure
from pretrial.corpus.rules.code_out.page import APART, Page

WEIGHTS: dict[str, float] = {
    "one": -0.55,  # 1
    "sentence-end": -1.37,  # a word and `.`, `?`, `!` or `:` end the line, and it has at least four words
    "prose-start": 0.05,  # it starts with a capital and two lower-case words
    "lower-run": -0.59,  # four lower-case words in a row
    "function-words": -0.8,  # share of its words that are `the`, `of`, …, times 2, at most 1
    "few-words": -0.2,  # at most two words
    "many-words": -0.07,  # ten words or more
    "symbols": -0.39,  # share of its characters that are `{}[]()<>=;+*/%&|^~@#$\\_`, times 5, at most 1
    "letters": -0.35,  # share that are letters and single spaces
    "strong": 0.64,  # `_STRONG`
    "operator": 0.07,  # `==`, `->`, `::`, `&&`, …
    "assign": -0.49,  # a short left side and `=`, and no function word
    "calls": 0.58,  # a word and `(`
    "call-start": 0.38,  # it starts with a call
    "whole-call": 0.64,  # it is one, without a function word
    "names": 0.5,  # snake_case, camelCase, CONSTANTS: one half each, at most 1
    "dotted": 0.8,  # `a.b`: one half each, at most 1
    "declaration": 0.93,  # it starts as a declaration or an import of a common language does
    "statement": 1.1,  # it starts as another statement does
    "command": 2.24,  # it starts with a command and what it takes
    "flag": 0.97,  # ` -x`, ` --long`
    "slashes": 2.0,  # it starts with `//`, `/*`, `*/` or three quotes
    "comment": 1.28,  # it starts with `* `, `-- `, …
    "hash-alone": -1.78,  # it starts with `#`, with blank lines above and below
    "hash": 0.3,  # it starts with `#` otherwise
    "bullet": -1.11,  # a list mark
    "pair": -0.36,  # a name, `:` and a value
    "quoted-pair": 0.56,  # a quoted name, `:` and a value
    "header": -0.55,  # capitalised words, `:` and something
    "title": -0.71,  # a line of one character
    "row": -1.07,  # a row of a table
    "literal": 1.29,  # a list, a string or closing brackets and nothing else
    "quotes": 0.57,  # quotes beside brackets
    "tex": -1.18,  # TeX
    "field": 0.66,  # `:param x:`, `@return`
    "rest": -1.12,  # a reStructuredText directive or target
    "values": -0.38,  # numbers and punctuation only
    "grammar": 0.69,  # `a ::= b`
    "trace": -0.23,  # a traceback, a compiler's message
    "end-semicolon": 1.81,
    "end-brace": 1.27,
    "end-open": -0.62,  # `(`, `[`, `\\`, `|`, or an operator ends it
    "end-paren": 0.39,  # `)` or `]`
    "end-comma": -0.22,
    "end-colon": -1.89,  # with fewer than four words
    "announces": -0.88,  # it starts with a capital, ends with `:`, and does not start as a declaration or statement
    "unbalanced": 0.59,  # its brackets do not pair
    "deep": 0.05,  # two columns or more deeper than the page, and not plain
    "deeper": 0.96,  # four or more, and not plain
    "after-colon": 2.57,  # the line above ends in `:`, and it is not plain
    "deep-plain": 0.63,  # deep, and plain: without symbols, names, statements or commands
    "after-colon-plain": 2.39,  # plain, and the line above ends in `:`
    "inside": 1.48,  # within three quotes or `/* */`
    "short-capital": -0.11,  # at most four words, the first with a capital
    "lower-start": 1.1,  # it starts with a lower-case letter
}
"""Weights of the features by name, in the order in which `measure` gives them."""
CLEAR = -9.0
"""Score of a line that is prose for certain (`measure` gives nothing)."""

_NEVER = -1e9


class _Step(NamedTuple):
    """A line on the way of the decoder: its border and score, and from which state it is code or prose."""

    line: int
    border: int
    score: float
    stays: bool
    left: bool


@dataclass(frozen=True)
class Model:
    """The constants of the chain.

    Attributes:
        weights: one for each feature.
        enter: log-odds of a block starting, by the border above it (`BESIDE`, `SHIFTED`, `APART`).
        leave: log-odds of a block ending, likewise.
    """

    weights: tuple[float, ...]
    enter: tuple[float, float, float]
    leave: tuple[float, float, float]

    def score(self, page: Page, at: int) -> float:
        """Log-odds that a line, which is not blank, is code."""
        features = measure(page, at)
        return CLEAR if features is None else sum(map(operator.mul, self.weights, features))

    def runs(self, page: Page, evidence: float) -> list[tuple[int, int]]:
        """Runs of lines that are code, first line and the one after the last: the most likely sequence of states.

        Viterbi's algorithm, kept as the log-odds of code. It begins at lines that may open a block and stops where a
        block could as well begin anew, so prose costs little. A run stays whose own log-odds, borders counted, reach
        `evidence`.
        """
        found: list[tuple[int, int]] = []
        at, size, least = 0, len(page.lines), min(self.enter)
        while at < size:
            if not may_open(page, at):
                at += 1
                continue
            odds = _NEVER
            steps: list[_Step] = []
            line, above = at, at
            while line < size and not page.kinds[line]:
                if not page.blank[line]:
                    border = page.border(above, line) if steps else APART
                    enter, leave, score = self.enter[border], self.leave[border], self.score(page, line)
                    steps.append(_Step(line, border, score, odds >= enter, odds + leave > 0))
                    odds = score + max(odds, enter) - max(0.0, odds + leave)
                    above = line
                    if odds <= least and not (line + 1 < size and may_open(page, line + 1)):
                        line += 1
                        break
                line += 1
            found += self._back(steps, odds > 0, evidence)
            at = line
        return found

    def _back(self, steps: list[_Step], code: bool, evidence: float) -> list[tuple[int, int]]:
        """Follow the best states back from the last one, and keep the runs of code with enough in their favour."""
        found: list[tuple[int, int]] = []
        after, end, gain = APART, 0, 0.0
        for step in reversed(steps):
            if code:
                if not end:
                    end, gain = step.line + 1, self.leave[after]
                gain += step.score
                if not step.stays:
                    if gain + self.enter[step.border] >= evidence:
                        found.append((step.line, end))
                    end = 0
                code = step.stays
            else:
                code = step.left
            after = step.border
        return found[::-1]


FITTED = Model(
    weights=tuple(WEIGHTS.values()),
    enter=(-3.61, -4.88, -1.71),
    leave=(-3.18, -3.94, -1.29),
)
"""What the rule uses."""
