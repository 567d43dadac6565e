"""`no-code`: golden cases on both sides of each rule, and what holds for every text."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pretrial.corpus.rules.no_code import no_code

FENCE = "```"
CASES = {
    "doctest with output": ("Adds.\n\n>>> add(1, 2)\n3\n\nMore.", "Adds.\n\nMore.", {"doctest"}),
    "doctest ends where the indent does": ("  >>> f()\n  1\nProse goes on.", "Prose goes on.", {"doctest"}),
    "ipython": ("See\n\nIn [1]: f()\nOut[1]: 3\n\nthe end.", "See\n\nthe end.", {"doctest"}),
    "a quoted comparison is prose": ("Here a >>> b means shift.", None, set()),
    "fence": (f"Run\n\n{FENCE}python\nx = 1\n\n{FENCE}\n\nand see.", "Run\n\nand see.", {"fence"}),
    "tilde fence with a language": ("A\n\n~~~sh\nls\n~~~\n\nB", "A\n\nB", {"fence"}),
    "longer fence holds a shorter one": (f"A\n\n````\n{FENCE}\nx\n{FENCE}\n````\n\nB", "A\n\nB", {"fence"}),
    "unclosed fence stays": (f"A\n\n{FENCE}python\nx and more prose", None, set()),
    "inline ticks stay": (f"Use {FENCE}x{FENCE} here\nand {FENCE}y{FENCE} there", None, set()),
    "tilde titles stay": ("~~~~~\nTitle\n~~~~~\n\nText\n\nOther\n~~~~~", None, set()),
    "tick titles stay": ("Title\n`````\n\nText\n\nOther\n`````\n\nText", None, set()),
    "literal block": ("Like this::\n\n    a = b\n\n    c\n\nDone.", "Like this:\n\nDone.", {"literal"}),
    "spaced literal mark": ("Like this ::\n\n  a\n\nDone.", "Like this\n\nDone.", {"literal"}),
    "lone literal mark": ("Text.\n\n::\n\n  a\n\nDone.", "Text.\n\nDone.", {"literal"}),
    "literal mark without a block stays": ("See C++'s std::\n\nNot indented.", None, set()),
    "definition list stays": ("Terms::\n  inline", None, set()),
    "directive": ("A\n\n.. code-block:: c\n   :x: y\n\n   int a;\n\nB", "A\n\nB", {"directive"}),
    "note stays": ("A\n\n.. note::\n\n   Mind this.\n\nB", None, set()),
    "indented code": ("So:\n\n    import os\n    os.getcwd()\n\n    x = 1\n\nB", "So:\n\nB", {"indented"}),
    "indented prose stays": ("So:\n\n    This is a quotation of somebody,\n    who said much.\n\nB", None, set()),
    "code without a blank line before stays": ("Args:\n    x = the value\n    y = other", None, set()),
    "half prose stays whole": (
        "So:\n\n    We let it go on as it is\n    and on as it was\n    x = 1\n\nB",
        None,
        set(),
    ),
    "tab indent": ("So:\n\n\treturn x;\n\nB", "So:\n\nB", {"indented"}),
    "only code leaves nothing": (">>> 1\n1", "", {"doctest"}),
}


@pytest.mark.parametrize(("text", "kept", "kinds"), CASES.values(), ids=CASES.keys())
def test_golden(text: str, kept: str | None, kinds: set[str]) -> None:
    result = no_code(text)
    assert result.text == (text if kept is None else kept)
    assert set(result.removed) == kinds


PIECES = st.sampled_from(
    [
        "",
        "",
        "prose here",
        "    x = 1",
        "  deeper::",
        "::",
        ">>> f()",
        FENCE,
        "```py",
        "~~~c",
        ".. code::",
        "é\x0b",
        "\t y();",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=25).map("\n".join)))
@example("\n" + FENCE + "\n" + FENCE + "\n ")
def test_what_goes_and_what_stays_add_up(text: str) -> None:
    result = no_code(text)
    assert len(text.encode()) == len(result.text.encode()) + sum(result.removed.values())
    assert all(count > 0 for count in result.removed.values())
    assert bool(result.removed) == (result.text != text)


@given(st.lists(PIECES, max_size=25))
def test_lines_that_stay_are_in_their_order(lines: list[str]) -> None:
    rest = iter(line.strip() for line in lines)
    for line in no_code("\n".join(lines)).text.split("\n"):
        shown = line.strip()
        assert not shown or any(shown in (one, one.removesuffix(":"), one.removesuffix("::").rstrip()) for one in rest)


@pytest.mark.parametrize(
    "text",
    [
        "```x\n" * 60_000,
        "~~~x\n" * 60_000,
        "a\n\n    " + "b " * 500_000,
        "a\n\n    " + "[" * 500_000,
        "a\n\n" + "    x\n\n" * 60_000,
        "::\n\n" * 60_000,
        " " * 500_000 + "\n    x",
    ],
    ids=["fences", "tildes", "long line", "brackets", "paragraphs", "marks", "blanks"],
)
def test_hostile_texts_cost_what_their_length_costs(text: str) -> None:
    start = time.perf_counter()
    no_code(text)
    assert time.perf_counter() - start < 5
