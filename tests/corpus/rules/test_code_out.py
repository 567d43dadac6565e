"""`code-out` and `drop-labels`: golden cases, what holds for every text, and floors on the labelled pages."""

from __future__ import annotations

import collections
import hashlib
import importlib.util
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pretrial.corpus.rules.code_out import KINDS, RULES, CodeOut, DropLabels
from pretrial.corpus.rules.code_out.features import measure
from pretrial.corpus.rules.code_out.model import WEIGHTS
from pretrial.corpus.rules.code_out.page import Page
from pretrial.errors import RequestError

FENCE = "```"
OUT = CodeOut()


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"labelled_{name}", Path(__file__).parent / "labelled" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


score = _load("score")

SHELL = "To build it, run the following commands in the folder where you put the sources:"
AFTER = "When this has finished you will find the program in the same folder as before."
FUNCTION = "def add(a, b):\n    total = a + b\n    return total"
VERSE = """He sang it as she had asked him to:

    The rose is red, the violet blue,
    the honey sweet, and so are you.

Then he sat down."""

CASES = {
    "fence": (f"Run\n\n{FENCE}python\nx = 1\n\n{FENCE}\n\nand see.", "Run\n\nand see.", {"fence"}),
    "bare fence": (f"Run\n\n{FENCE}\nwords in it\n{FENCE}\n\nand see.", "Run\n\nand see.", {"fence"}),
    "fence in a list": (f"- Run\n\n  {FENCE}sh\n  ls\n  {FENCE}\n- See", "- Run\n\n- See", {"fence"}),
    "quoted fence": (f"> Run\n> {FENCE}c\n> int a;\n> {FENCE}\n> and see", "> Run\n> and see", {"fence"}),
    "tilde fence": ("A\n\n~~~\nls -l\ncat x\n~~~\n\nB", "A\n\nB", {"fence"}),
    "longer fence holds a shorter one": (f"A\n\n````\n{FENCE}\nx\n{FENCE}\n````\n\nB", "A\n\nB", {"fence"}),
    "unclosed fence stays": (f"A\n\n{FENCE}python\nx and more prose", None, set()),
    "inline ticks stay": (f"Use {FENCE}x{FENCE} here\nand `y = 1` there", None, set()),
    "tilde titles stay": ("~~~~~\nTitle\n~~~~~\n\nText\n\nOther\n~~~~~", None, set()),
    "tick titles stay": ("Title\n`````\n\nText\n\nOther\n`````\n\nText", None, set()),
    "pre": ("<p>Try</p>\n<pre><code>x = 1\ny</code></pre>\n<p>So.</p>", "<p>Try</p>\n<p>So.</p>", {"html"}),
    "pre inside a line": ("<p>Try <pre>f(x);</pre> now.</p>", "<p>Try  now.</p>", {"html"}),
    "script and style": ("A\n<style>p {}</style>\n<script>\nf()\n</script>\nB", "A\nB", {"html"}),
    "verse in pre stays": ("<pre>\nThe rose is red, my love,\nthe violet is blue above.\n</pre>", None, set()),
    "unclosed pre stays": ("A <pre> and then\nmore of the same text", None, set()),
    "unclosed pre before another": ("A <pre> b\n<pre>\nx = 1;\n</pre>\nC", "A <pre> b\nC", {"html"}),
    "word in code stays": ("The <code>name</code> of it.", "The name of it.", {"inline"}),
    "call in code stays": ("The <tt>os.getcwd()</tt> call.", "The os.getcwd() call.", {"inline"}),
    "expression in code goes": ("Then <code>x = f(y)</code> it is.", "Then  it is.", {"inline"}),
    "four words in code go": ("Type <kbd>git commit now please</kbd> here.", "Type  here.", {"inline"}),
    "long code element goes": ("A\n<code>\ncmake -G x\nmake\n</code>\nB", "A\nB", {"html"}),
    "doctest": ("Adds.\n\n>>> add(1, 2)\n3\n\nMore.", "Adds.\n\nMore.", {"doctest"}),
    "doctest ends where the indent does": ("  >>> f()\n  1\nProse goes on.", "Prose goes on.", {"doctest"}),
    "doctest ends at a sentence": (
        ">>> f()\n1\nThis is the value that one would have expected of it.",
        "This is the value that one would have expected of it.",
        {"doctest"},
    ),
    "ipython": ("See\n\nIn [1]: f()\nOut[1]: 3\n\nthe end.", "See\n\nthe end.", {"doctest"}),
    "quoted mail stays": ("> She said so.\n>> Did she?\n>>> She did.\n\nYes.", None, set()),
    "literal block": ("Like this::\n\n    a = b\n\n    c\n\nDone.", "Like this:\n\nDone.", {"literal"}),
    "spaced literal mark": ("Like this ::\n\n  a\n\nDone.", "Like this\n\nDone.", {"literal"}),
    "lone literal mark": ("Text.\n\n::\n\n  a\n\nDone.", "Text.\n\nDone.", {"literal"}),
    "literal block of an item": ("- So::\n\n    a\n\n  and on.", "- So:\n\n  and on.", {"literal"}),
    "literal mark without a block stays": ("See C++'s std::\n\nNot indented.", None, set()),
    "directive": ("A\n\n.. code-block:: c\n   :x: y\n\n   int a;\n\nB", "A\n\nB", {"directive"}),
    "note stays": ("A\n\n.. note::\n\n   Mind this, if you please.\n\nB", None, set()),
    "formula stays": ("So\n\n.. math::\n\n   x = \\frac{a}{b} + f(y)\n\nB", None, set()),
    "prompt": (f"{SHELL}\n\n$ make all\ncc -o x x.c\n\n{AFTER}", f"{SHELL}\n\n{AFTER}", {"shell"}),
    "prompt of a user": (f"{SHELL}\n\nme@host:~/x$ ls -l\ntotal 0\n\n{AFTER}", f"{SHELL}\n\n{AFTER}", {"shell"}),
    "price stays": ("It cost\n$ 5.00\nat the time, or\n$ 7 million\nin all.", None, set()),
    "indented code": (f"{SHELL}\n\n    import os\n    x = os.getcwd()\n\n{AFTER}", f"{SHELL}\n\n{AFTER}", {"indented"}),
    "indented verse stays": (VERSE, None, set()),
    "code without a mark": (f"{SHELL}\n\n{FUNCTION}\n\n{AFTER}", f"{SHELL}\n\n{AFTER}", {"unmarked"}),
    "code with a blank line in it": (
        f"{SHELL}\n\n{FUNCTION}\n\nprint(add(1, 2))\nx = add(3, 4);\n\n{AFTER}",
        f"{SHELL}\n\n{AFTER}",
        {"unmarked"},
    ),
    "code without blank lines around": (f"{SHELL}\n{FUNCTION}\n{AFTER}", f"{SHELL}\n{AFTER}", {"unmarked"}),
    "a statement in a sentence stays": ("Then x = 1, and f(x) is what you would expect of it.", None, set()),
    "list stays": ("You need:\n\n- 2 eggs\n- 100 g flour\n\nMix them.", None, set()),
    "table stays": ("| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |", None, set()),
    "only code leaves nothing": (">>> 1\n1", "", {"doctest"}),
}


@pytest.mark.parametrize(("text", "kept", "kinds"), CASES.values(), ids=CASES.keys())
def test_golden(text: str, kept: str | None, kinds: set[str]) -> None:
    result = OUT(text, {})
    assert result.text == (text if kept is None else kept)
    assert set(result.removed) == kinds


def test_an_inline_element_stays_up_to_its_thresholds() -> None:
    text = "Say <code>abcdef</code> or <code>ab cd</code>."
    assert CodeOut(inline_chars=6, inline_words=2)(text, {}).text == "Say abcdef or ab cd."
    assert CodeOut(inline_chars=5, inline_words=2)(text, {}).text == "Say  or ab cd."
    assert CodeOut(inline_chars=6, inline_words=1)(text, {}).text == "Say abcdef or ."


def test_a_page_above_the_most_share_is_dropped_as_it_came() -> None:
    text = f"abcdefghi\n\n{FENCE}\nx\n{FENCE}"  # 20 bytes, of which 11 go with the blank lines before them
    kept = CodeOut(most_share=0.55)(text, {})
    assert (kept.text, kept.removed, kept.dropped) == ("abcdefghi", {"fence": 11}, False)
    dropped = CodeOut(most_share=0.54)(text, {})
    assert (dropped.text, dropped.reason, dropped.value) == (text, "code-share", 0.55)


def test_evidence_is_what_an_unmarked_block_needs() -> None:
    text = f"{SHELL}\n\n{FUNCTION}\n\n{AFTER}"
    assert CodeOut(evidence=0.0)(text, {}).removed
    assert not CodeOut(evidence=1000.0)(text, {}).removed


def test_only_the_kinds_asked_for_go() -> None:
    text = f"A\n\n{FENCE}\nx\n{FENCE}\n\nB\n\n>>> f()\n1\n\nC <code>d</code>"
    assert set(OUT(text, {}).removed) == {"fence", "doctest", "inline"}
    only = CodeOut(kinds=("doctest",))(text, {})
    assert set(only.removed) == {"doctest"}
    assert FENCE in only.text


@pytest.mark.parametrize("wrong", [{"kinds": ("fences",)}, {"most_share": 1.5}, {"most_share": -0.1}])
def test_wrong_thresholds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        CodeOut(**wrong)  # type: ignore[arg-type]


def test_there_is_a_weight_for_each_feature() -> None:
    measured = measure(Page("x = f(1);"), 0)
    assert measured is not None
    assert len(measured) == len(WEIGHTS)
    assert all(0 <= value <= 1 for value in measured)


PIECES = st.sampled_from(
    ["", "", "prose that says a thing or two.", "    x = f(1);", "  deeper::", "::", ">>> f()", FENCE, "```py", "~~~c",
     ".. code::", "é\x0b", "\t y();", "<pre>", "</pre>", "a <code>x</code> b", "<code>x=1", "</code>", "$ ls -l",
     "- ```",      "/*", "*/", '"""', "import os", "> q", ".. math::", "\x1a", "\ud800"]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=25).map("\n".join))


@given(TEXTS)
@example("\n" + FENCE + "\n" + FENCE + "\n ")
@example("<pre>\nx=1;\n</pre>")
def test_what_goes_and_what_stays_add_up(text: str) -> None:
    result = OUT(text, {})
    size = len(text.encode(errors="surrogatepass"))
    assert size == len(result.text.encode(errors="surrogatepass")) + sum(result.removed.values())
    assert all(count > 0 for count in result.removed.values())
    assert bool(result.removed) == (result.text != text)
    assert set(result.removed) <= set(KINDS)
    assert list(result.removed) == sorted(result.removed)


@given(TEXTS)
def test_the_text_is_what_the_spans_leave(text: str) -> None:
    spans = OUT.spans(text)
    at, kept = 0, []
    for start, end, _ in spans:
        assert at <= start < end <= len(text)
        kept.append(text[at:start])
        at = end
    assert OUT(text, {}).text == "".join(kept) + text[at:]


@given(TEXTS)
@settings(max_examples=50)
def test_a_rule_without_kinds_takes_nothing(text: str) -> None:
    assert CodeOut(kinds=())(text, {}).text == text


HOSTILE = {
    "fences": ("```x\n", ""),
    "tildes": ("~~~x\n", ""),
    "a long fence that is none": ("~", "`"),
    "open elements": ("<pre>", ""),
    "elements": ("<code>a</code>", ""),
    "nested elements": ("<pre>", "</pre>"),
    "tags that never end": ("<pre ", "</pre"),
    "words": ("    b ", ""),
    "brackets": ("    [", ""),
    "quotes": ('"', ""),
    "underscores": ("a_", ""),
    "attributes": ('b="c d ', "</a>"),
    "short lines": ("x;\n", ""),
    "open quotes": ('"""\nx\n', ""),
    "a head that never ends": ("def f() -> ", '\n"""x\n"""'),
    "open comments": ("/*\n", ""),
    "marks": ("::\n\n", ""),
    "prompts": ("$ x\n", ""),
    "blanks": (" ", "\n    x"),
    "empty lines": ("\n", ""),
}


def _steps(text: str) -> int:
    """Lines of the rule's source that run for a text."""
    steps = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        if "code_out" not in frame.f_code.co_filename:
            return None
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        OUT(text, {})
    finally:
        sys.settrace(before)
    return steps


@pytest.mark.parametrize(("piece", "end"), HOSTILE.values(), ids=HOSTILE.keys())
def test_twice_the_text_is_twice_the_work(piece: str, end: str) -> None:
    OUT(piece * 4 + end, {})
    once, twice = _steps(piece * 100 + end), _steps(piece * 200 + end)
    assert twice <= 2.1 * once
    # What steps do not count (patterns, slices) would show here as a test that does not end.
    text = piece * 20_000 + end
    result = OUT(text, {})
    assert len(result.text) + sum(result.removed.values()) == len(text)


# --- the labelled pages ---------------------------------------------------------------------------------------------

PAGES = score.pages()
TEST = [page for page in PAGES if page.half == "test"]
ALLOWED = {
    "Apache-2.0", "BSL-1.0", "PostgreSQL", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC0-1.0 / US public domain",
    "HPND-sell-variant", "IJG", "Libpng", "MIT", "MIT OR Apache-2.0", "PSF-2.0", "Zlib", "public domain",
    "public domain (US Gov); CC0-1.0",
    "public domain (US); edition CC0-1.0", "public domain (text); markup CC-BY-4.0", "public domain / CC0 (DC Council)",
    "public domain / CC0-1.0",
}  # fmt: skip


def test_the_set_is_what_its_readme_says() -> None:
    assert len(PAGES) >= 300
    assert len({page.id for page in PAGES}) == len(PAGES)
    assert sum(page.how == "reading" for page in PAGES) >= 60
    assert {page.license for page in PAGES} <= ALLOWED
    assert (score.FOLDER / "pages.jsonl.zst").stat().st_size < 1_500_000
    halves = collections.Counter((page.kind, page.half) for page in PAGES)
    for kind in {page.kind for page in PAGES}:
        assert min(halves[kind, "fit"], halves[kind, "test"]) >= 1
    for page in PAGES:
        lines = page.text.split("\n")
        assert len(lines) == len(page.labels)
        assert set(page.labels) <= set("pcm-x")
        assert all((label == "-") == (not line.strip()) for line, label in zip(lines, page.labels, strict=True))
        assert len(page.text.encode()) <= 4200


def test_each_page_says_whose_it_is() -> None:
    head, *rows = (score.FOLDER / "pages.tsv").read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert head.split("\t") == ["id", "how", "half", "source", "licence", "origin"]
    said = {tuple(row.split("\t")[:5]) for row in rows}
    assert said == {(page.id, page.how, page.half, page.source, page.license) for page in PAGES}
    table = (score.FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for (source, license), count in collections.Counter((page.source, page.license) for page in PAGES).items():
        assert f"| {source} | {count} | {license} | " in table
    texts = (score.FOLDER / "LICENSES.md").read_text(encoding="utf-8")
    for license in {page.license for page in PAGES}:
        free = "public domain" in license or license in ("CC0-1.0", "Apache-2.0", "MIT OR Apache-2.0")
        assert free or f"\n## {license}\n" in texts


def test_no_document_is_in_both_halves() -> None:
    halves = collections.defaultdict(set)
    for page in PAGES:
        halves[page.id.partition("/")[2].partition("#")[0]].add(page.half)
    assert all(len(both) == 1 for both in halves.values())
    texts = collections.Counter(hashlib.sha256(page.text.encode()).hexdigest() for page in PAGES)
    assert max(texts.values()) == 1


@pytest.fixture(scope="module")
def counts() -> Any:
    return score.total(TEST, score.code_out)


# Bounds just beside what was measured on this half (docs/results/code-out.md): precision 0.983, recall 0.919, and of
# the prose on pages without code 0.52% lost, where the aim was 0.5%. A change that makes the rule worse fails here.
PRECISION, RECALL, LOSS = 0.975, 0.91, 0.006


def test_precision_and_recall_by_byte(counts: Any) -> None:
    assert counts["all"].precision >= PRECISION
    assert counts["all"].recall >= RECALL


def test_prose_stays(counts: Any) -> None:
    assert counts["prose only"].loss <= LOSS


def test_drop_labels_reads_a_dotted_path() -> None:
    rule = DropLabels()
    for label in ("RedPajamaGithub", "RedPajamaStackExchange"):
        result = rule("text", {"meta": {"redpajama_set_name": label}})
        assert (result.text, result.reason, result.value) == ("text", "label", label)
    assert not rule("text", {"meta": {"redpajama_set_name": "RedPajamaC4"}}).dropped
    assert rule("text", {"meta": '{"redpajama_set_name": "RedPajamaGithub"}'}).dropped
    assert rule("text", {"meta.redpajama_set_name": "RedPajamaGithub"}).dropped


@pytest.mark.parametrize(
    "fields",
    [{}, {"meta": None}, {"meta": "RedPajamaGithub"}, {"meta": "{broken"}, {"meta": {"other": 1}}, {"meta": []}],
)
def test_a_document_without_the_field_stays(fields: dict[str, object]) -> None:
    assert not DropLabels()("text", fields).dropped


def test_drop_labels_of_another_source() -> None:
    rule = DropLabels(field="a.b.c", values=("3", "x"))
    assert rule("", {"a": {"b": {"c": 3}}}).value == "3"
    assert rule("", {"a.b": {"c": ["y", "x"]}}).value == "x"
    assert rule("", {"a": {"b.c": "x"}}).dropped
    assert not rule("", {"a": {"b": {"c": "y"}}}).dropped
    assert DropLabels(field="site", values=("x",))("", {"site": "x"}).dropped


@pytest.mark.parametrize("wrong", [{"field": ""}, {"values": ()}])
def test_drop_labels_needs_a_field_and_labels(wrong: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        DropLabels(**wrong)  # type: ignore[arg-type]


def test_the_family() -> None:
    assert [(rule.name, rule.version) for rule in RULES] == [("code-out", 1), ("drop-labels", 1)]
