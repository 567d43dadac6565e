"""`code-out`: takes code out of prose pages of any kind; `drop-labels` (labels.py): drops documents by their label.

Guarantees: what `code-out` takes out is a list of spans of the text (`spans`), so that what stays is the text without
them, nothing is written, and the bytes removed, counted by kind, and those that stay add up. Time is linear in the
text, memory a few times the text; no model file: the score of a line is a sum of the features below times the
constants in model.py. Precision and recall on a labelled set are in docs/results/code-out.md.
Does not: take inline literals of Markdown or reStructuredText out of a sentence (`` `x` `` stays), strip other HTML
tags, tell program text from other formal text (grammars, console output, JSON), or find code that reads like prose.

What is code, in this order; the kinds in brackets are those of `Result.removed`:

- `fence`: from a line of three or more backticks or tildes to the line that closes it (CommonMark 0.31, section 4.5),
  at any indentation and behind `>` or a list mark. One that is never closed is none; a bare run at least as long as the
  line above underlines a title.
- `html`: `<pre>`, `<script>`, `<style>` and `<code>` with more than one line in it, from tag to tag. A `<pre>` without
  `<code>` whose lines all score as prose (verse) stays.
- `inline`: `<code>`, `<tt>`, `<samp>` and `<kbd>` inside a line: the tags go; what they hold stays when it is at most
  `inline_chars` long and has at most `inline_words` words, all of them like names.
- `directive`: reStructuredText directives whose content is code (`_DIRECTIVES`), with the deeper lines below.
- `doctest`: from a line that starts with `>>>` or `In [1]:` to a blank line or a smaller indentation, unless the page
  quotes mail (`>` and `>>` at the start of lines).
- `literal`: after a line that ends in `::` and a blank line, the deeper lines (reStructuredText, literal blocks); of
  the `::` one colon goes, as readers are shown it.
- `shell`: lines that start with a prompt (`$ make`, `user@host:~$ make`, `mysql> select`), with the lines below that
  are not prose, up to a blank line.
- `indented` and `unmarked`: by score. Each line that is left has a log-odds of being code; two states (prose, code)
  are decoded over the lines (Viterbi), where a change costs `enter` or `leave` (model.py) by what stands at the
  border: a blank line, another indentation, or neither. A block goes when the log-odds in its favour reach `evidence`.
  `indented`: when all its lines are four columns deeper than the page's text.

Blank lines beside a block that went are taken with it, all but one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pretrial.corpus.rules.code_out.labels import DropLabels
from pretrial.corpus.rules.code_out.marks import Elements, fences, rest_blocks, sessions
from pretrial.corpus.rules.code_out.model import FITTED, Model
from pretrial.corpus.rules.code_out.page import Page
from pretrial.corpus.rules.code_out.spans import Span, joined, without
from pretrial.corpus.rules.result import Result, Rule
from pretrial.errors import RequestError

__all__ = ["KINDS", "RULES", "CodeOut", "DropLabels"]

KINDS = (
    "directive",
    "doctest",
    "fence",
    "html",
    "indented",
    "inline",
    "literal",
    "shell",
    "unmarked",
)
"""Kinds of code, as `Result.removed` names them."""


@dataclass(frozen=True)
class CodeOut:
    """Takes code out of a page of prose; the module says what counts and how the kinds are told apart.

    Attributes:
        evidence: log-odds (natural logarithm) that a block without marks must have in its favour. 0 takes whatever is
            more likely code than prose; the default was chosen by cross-validation within the fitting half of the
            labelled pages (docs/results/code-out.md).
        inline_chars: most characters of an inline element (`<code>`) that stay.
        inline_words: most words of one.
        most_share: share of a document's bytes, 0 to 1, above which it is dropped as being code (reason
            `code-share`, the value is the share); 1 drops none.
        kinds: the kinds of code that are taken out, of `KINDS`.
    """

    name: ClassVar[str] = "code-out"
    version: ClassVar[int] = 1
    edits: ClassVar[bool] = True
    model: ClassVar[Model] = FITTED

    evidence: float = 3.0
    inline_chars: int = 40
    inline_words: int = 3
    most_share: float = 1.0
    kinds: tuple[str, ...] = KINDS

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in KINDS:
                raise RequestError(
                    f"code-out knows no kind {kind!r}", where="kinds", remedy=f"one of {', '.join(KINDS)}"
                )
        if not 0 <= self.most_share <= 1:
            raise RequestError("code-out: a share is between 0 and 1", where="most_share", remedy="for example 0.5")

    def __call__(self, text: str, fields: Mapping[str, Any]) -> Result:
        """The text without its code, with the UTF-8 bytes removed by kind; or why the document is dropped."""
        spans = self.spans(text)
        if not spans:
            return Result(text)
        kept: list[str] = []
        removed: dict[str, int] = {}
        at = 0
        for start, end, kind in spans:
            kept.append(text[at:start])
            removed[kind] = removed.get(kind, 0) + len(text[start:end].encode(errors="surrogatepass"))
            at = end
        kept.append(text[at:])
        if self.most_share < 1:
            share = sum(removed.values()) / len(text.encode(errors="surrogatepass"))
            if share > self.most_share:
                return Result(text, reason="code-share", value=share)
        return Result("".join(kept), {kind: removed[kind] for kind in sorted(removed)})

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """What goes: (start, end, kind) in characters of the text, in order, none touching another's characters."""
        page, inner, announced = self.marked(text)
        if "unmarked" in self.kinds or "indented" in self.kinds:
            for start, end in self.model.runs(page, self.evidence):
                deep = all(page.blank[at] or page.indents[at] >= page.base + 4 for at in range(start, end))
                page.mark(start, end, "indented" if deep else "unmarked")
        kinds = [kind if kind in self.kinds else "" for kind in page.kinds]
        if not any(kinds) and not inner:
            return []
        return joined(text, kinds, inner, announced)

    def marked(self, text: str) -> tuple[Page, list[Span], dict[int, int]]:
        """What marks show, before any line is scored: the page, spans inside lines, and lines that announce a block.

        The page's lines are those of the text, without the elements that went; `kinds` says which are code. For the
        lines that announce a block see `rest_blocks`.
        """
        page = Page(text)
        fences(page)
        inner: list[Span] = []
        if "</" in text and not {"html", "inline"}.isdisjoint(self.kinds):
            elements = Elements(self.model, self.inline_chars, self.inline_words).spans(text)
            page, inner = without(page, [span for span in elements if span[2] in self.kinds])
        announced: dict[int, int] = {}
        if ">>>" in text or "::" in text or "]:" in text:
            announced = rest_blocks(page, self.model)
        sessions(page, self.model)
        return page, inner, announced


RULES: tuple[type[Rule], ...] = (CodeOut, DropLabels)
