"""Which rules may give another text than they got: the plan scans again what these made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.corpus.registry import FAMILIES, RULES, edits

LINES = (
    "A sentence of several plain words that ends as sentences do.",
    "javascript is needed here",
    "Read the terms of use and our cookie policy.",
    "It was so.[12] And also this [citation needed].",
    "    def f(x): return x + 1",
    "```python",
    "```",
    ">>> print(1)",
    "write to someone@example.com or 10.0.0.1",
    "key = 'AKIAIOSFODNN7EXAMPLE1'",
    "# a comment \u00e4\u00f6\u00fc",
    "lorem ipsum { }",
    "",
    "-- ",
    "On Monday, A wrote:",
    "> quoted",
)
CASES = st.lists(st.sampled_from(LINES), min_size=1, max_size=30).map("\n".join)
FIELDS: dict[str, Any] = {
    "language": "python",
    "path": "a/b.py",
    "license": "MIT",
    "kind": "issue",
    "events": [{"author": "one", "text": "a"}, {"author": "two-bot", "text": "On Monday, A wrote:\n> b"}],
}


@settings(deadline=None, max_examples=40)
@given(CASES, st.booleans())
def test_rules_that_edit_nothing_give_the_text_they_got(text: str, known: bool) -> None:
    for name, rule in RULES.items():
        if not edits([name]):
            assert rule()(text, FIELDS if known else {}).text == text, name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c4-lines", "short\n" + "\n".join([LINES[0]] * 6)),
        ("no-code", "Some prose.\n\n```python\nx = 1\n```\n\nMore prose."),
        ("code-out", "Some prose, long enough.\n\n```python\nx = 1\n```\n\n" + " ".join([LINES[0]] * 5)),
        ("redact", "write to someone@pretrial.org"),
        ("stack-v2-comments", "One said.\n\nOn Monday, A wrote:\n> b"),
    ],
)
def test_rules_that_edit_say_so(name: str, text: str) -> None:
    fields = {"events": [{"author": "one", "text": text}, {"author": "two", "text": "c"}]}
    assert RULES[name]()(text, fields if name == "stack-v2-comments" else {}).text != text
    assert edits([(name, {})])


def test_the_rules_that_edit_are_these() -> None:
    found = {name for name in RULES if edits([name])}
    assert found == {"c4-lines", "no-code", "code-out", "redact", "stack-v2-comments"}
    assert {family for family in FAMILIES if edits([family])} == {"c4", "fineweb", "stack-v2"}
    assert not edits([])
