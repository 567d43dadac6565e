"""What counts as a benchmark item in a document, on both sides of every threshold, and where it is said to be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.corpus.contamination import scan as scanning
from pretrial.corpus.contamination import spec
from pretrial.corpus.contamination.benchmark_texts import CODE, PROSE, Text, read_texts
from pretrial.corpus.contamination.build import make_index
from pretrial.corpus.contamination.scan import Hit, Scanner, excerpt

QUESTION = (
    "A robe takes 2 bolts of blue fiber and half that much white fiber; how many bolts "
    "does the tailor's apprentice buy for seven robes and a hat?"
)
PROMPT = '''def has_close_elements(numbers: List[float], threshold: float) -> bool:
    """Check if any two numbers are closer to each other than the threshold.
    >>> has_close_elements([1.0, 2.8, 3.0], 0.3)
    True
    """
'''
SMALL = dict(spec.MATCHING) | {"words": 4, "short_words": 3, "seed_words": 2, "near_words": 2, "longest_words": 8}
SMALL |= {"characters": 6, "short_characters": 4, "longest_characters": 16}


def prose(part: str, text: str, item: str = "i", benchmark: str = "b") -> Text:
    return Text(benchmark, item, part, text, PROSE)


def code(part: str, text: str, item: str = "i", benchmark: str = "b") -> Text:
    return Text(benchmark, item, part, text, CODE)


def scanner(*texts: Text, matching: Mapping[str, int] = spec.MATCHING, trivial: Sequence[str] = ()) -> Scanner:
    return Scanner(make_index(texts, matching, trivial), spec.SHARES)


def hits(document: str, *texts: Text, matching: Mapping[str, int] = spec.MATCHING) -> list[Hit]:
    (found,) = scanner(*texts, matching=matching).scan([document])
    return found


def parts(document: str, *texts: Text) -> list[str]:
    """Which parts of items a document holds."""
    return [hit.part for hit in hits(document, *texts)]


def run(start: int, end: int, word: str = "w") -> str:
    """Different words, one for each number."""
    return " ".join(f"{word}{number}" for number in range(start, end))


def letters(start: int, end: int) -> str:
    """Characters of a fixed sequence without a repeated run."""
    return "".join(f"{number:03x}" for number in range(start // 3, end // 3 + 1))[start % 3 :][: end - start]


# -- the same item, written otherwise ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "copy",
    [
        QUESTION,
        QUESTION.upper(),
        QUESTION.replace(" ", "\n\t "),
        QUESTION.replace("'", "’"),
        QUESTION.replace("'", ""),
        QUESTION.replace(";", "").replace("?", ""),
        QUESTION.replace(" ", "\u00a0"),
        QUESTION.replace("f", "\uff46"),
        QUESTION.replace("fi", "ﬁ"),
        QUESTION.replace("e", "e\u0301"),
        QUESTION.replace("e", "é"),
        "> " + QUESTION.replace(" and", "\n> and"),
        f"<b>{QUESTION}</b>",
        "(" + QUESTION.replace(" ", "_ _") + ")",
    ],
)
def test_a_question_is_found_however_it_is_written(copy: str) -> None:
    (hit,) = hits(f"Read this: {copy} Answer it.", prose("question", QUESTION))
    assert (hit.part, hit.overlap) == ("question", 1.0)


def test_what_stands_between_words_may_differ_but_not_whether_anything_does() -> None:
    question = prose("question", "well known " * 7)
    assert parts("well-known/" * 7, question) == ["question"]
    assert parts("wellknown " * 7, question) == []


def test_a_few_changed_words_do_not_hide_a_question_and_many_do() -> None:
    question = prose("question", run(0, 60))
    changed = run(0, 60).split()
    changed[20] = changed[41] = "other"
    (hit,) = hits(" ".join(changed), question)
    assert hit.overlap == pytest.approx(58 / 60)
    for place in range(0, 60, 12):
        changed[place] = "other"
    assert hits(" ".join(changed), question) == []


def test_code_is_found_however_it_is_laid_out() -> None:
    prompt, solution = code("question", PROMPT), code("solution", "    return sorted(numbers)[0] < threshold + 1\n")
    tabs = re.sub(r"^ {4}", "\t\t", PROMPT, flags=re.MULTILINE)
    for copy in (tabs, PROMPT.replace("\n", "\r\n"), PROMPT.replace(" ", ""), PROMPT.replace(": ", " :\u2003")):
        assert [(hit.part, hit.overlap) for hit in hits(f"import x\n{copy}pass", prompt)] == [("question", 1.0)]
    assert parts("x = 1; return sorted( numbers )[0]<threshold+1", solution) == ["solution"]
    assert parts("x = 1; return sorted(number)[0] < threshold + 1", solution) == []


def test_a_description_is_found_in_the_comments_of_another_language() -> None:
    description = prose("question", "Check if any two numbers are closer to each other than the given threshold")
    ported = "// Check if any two numbers are closer\n//   to each other than the\n//   given threshold.\nfunc f() {}"
    assert parts(ported, description, code("question", PROMPT)) == ["question"]


# -- thresholds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "length", "shared", "counts"),
    [
        ("question", 13, 13, True),
        ("question", 13, 12, False),
        ("question", 26, 13, True),
        ("question", 26, 12, False),
        ("question", 27, 13, False),
        ("question", 60, 30, True),
        ("question", 60, 29, False),
        ("answer", 13, 13, True),
        ("answer", 65, 52, True),
        ("answer", 65, 51, False),
        ("passage", 65, 52, True),
        ("passage", 65, 51, False),
    ],
)
def test_the_share_of_a_long_text_decides(part: str, length: int, shared: int, counts: bool) -> None:
    text = prose(part, run(0, length))
    for first in {0, length - shared}:
        found = hits(f"so: {run(first, first + shared)} and", text)
        assert [hit.overlap for hit in found] == ([shared / length] if counts else [])


@pytest.mark.parametrize(
    ("part", "length", "shared", "counts"),
    [
        ("question", 100, 50, True),
        ("question", 101, 50, False),
        ("solution", 50, 50, True),
        ("solution", 50, 49, False),
        ("solution", 100, 80, True),
        ("solution", 100, 79, False),
        ("tests", 100, 80, True),
        ("tests", 100, 79, False),
        ("solution", 49, 49, True),
        ("solution", 49, 48, False),
        ("solution", 32, 32, True),
        ("solution", 31, 31, False),
    ],
)
def test_the_share_of_code_decides(part: str, length: int, shared: int, counts: bool) -> None:
    found = hits(f"z {letters(0, shared)} z", code(part, letters(0, length)))
    assert [hit.overlap for hit in found] == ([shared / length] if counts else [])


@pytest.mark.parametrize(("length", "counts"), [(12, True), (8, True), (7, False)])
def test_a_short_question_counts_whole_and_from_eight_words(length: int, counts: bool) -> None:
    question = prose("question", run(0, length))
    assert parts(f"{run(0, 3, 'v')} {run(0, length)} end", question) == (["question"] if counts else [])
    assert parts(run(0, length - 1), question) == []
    assert parts(f"{run(0, 4)} other {run(5, length)}", question) == []


def test_a_short_answer_counts_near_its_question_only() -> None:
    question, answer = prose("question", run(0, 9)), prose("answer", run(0, 12, "a"))
    other = prose("answer", run(0, 13, "a"))
    for gap, found in ((30, ["answer", "question"]), (31, ["question"])):
        between = run(0, gap, "x")
        assert parts(f"{run(0, 9)} {between} {run(0, 12, 'a')}", question, answer) == found
        assert parts(f"{run(0, 12, 'a')} {between} {run(0, 9)}", question, answer) == found
    assert parts(run(0, 12, "a"), question, answer) == []
    assert parts(run(0, 13, "a"), question, other) == ["answer"]


def test_any_of_the_places_of_a_question_may_have_the_answer_near() -> None:
    question, answer = prose("question", run(0, 9)), prose("answer", "Paris")
    document = f"{run(0, 9)} {run(0, 40, 'x')} {run(0, 9)}: Paris"
    (found, _) = hits(document, question, answer)
    assert (found.part, document[found.start : found.end]) == ("answer", "Paris")


@pytest.mark.parametrize(
    ("question", "answer", "counts"),
    [(7, 1, True), (4, 4, True), (1, 7, True), (6, 1, False), (3, 4, False), (3, 5, True), (0, 12, False)],
)
def test_a_short_question_and_answer_count_together_from_eight_words(question: int, answer: int, counts: bool) -> None:
    texts = [prose("answer", run(0, answer, "a"))] + ([prose("question", run(0, question))] if question else [])
    both = ["answer", "question"] if counts else []
    assert parts(f"{run(0, question)} {run(0, answer, 'a')}", *texts) == both
    assert parts(f"{run(0, answer, 'a')} {run(0, 30, 'x')} {run(0, question)}", *texts) == both
    assert parts(f"{run(0, answer, 'a')} {run(0, 31, 'x')} {run(0, question)}", *texts) == []
    assert parts(run(0, question), *texts) == []


def test_a_question_does_not_borrow_the_answer_of_another() -> None:
    texts = [
        prose("question", run(0, 5), "one"),
        prose("answer", run(0, 5, "a"), "one"),
        prose("question", run(0, 5, "u"), "two"),
        prose("answer", run(0, 5, "b"), "two"),
    ]
    assert hits(f"{run(0, 5)} {run(0, 5, 'b')}", *texts) == []
    assert {hit.item for hit in hits(f"{run(0, 5)} {run(0, 5, 'a')}", *texts)} == {"one"}


@pytest.mark.parametrize(("copies", "counts"), [(10, True), (11, False)])
def test_what_stands_in_many_texts_of_a_benchmark_is_a_form(copies: int, counts: bool) -> None:
    form = run(0, 13)
    texts = [prose("question", f"{form} {number}", str(number)) for number in range(copies)]
    found = hits(form + " 0", *texts)
    # The last run of words, which ends in the number, is the item's own.
    assert [hit.item for hit in found if hit.overlap == 1.0] == ["0"]
    assert len(hits(form, *texts)) == (copies if counts else 0)


def test_a_form_of_one_benchmark_is_counted_there_alone() -> None:
    texts = [prose("question", run(0, 13), benchmark=f"b{number}") for number in range(20)]
    assert {hit.benchmark for hit in hits(run(0, 13), *texts)} == {f"b{number}" for number in range(20)}


def test_trivial_texts_tell_nothing() -> None:
    texts = (code("solution", "return sum(numbers) / len(numbers) + 0"), prose("question", run(0, 9)))
    document = f"return sum(numbers)/len(numbers)+0 {run(0, 9)}"
    assert [hit.part for hit in hits(document, *texts)] == ["question", "solution"]
    trivial = ["RETURN sum(numbers)/len(numbers) + 0", run(0, 9, "W").replace(" ", ", ")]
    assert scanner(*texts, trivial=trivial).scan([document]) == [[]]


# -- where it is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", "Intro. ", "😀 naïve – “quoted”\u00a0", "x" * 100])
@pytest.mark.parametrize("after", ["", "!", " 😀", "\n\nmore"])
def test_a_span_is_the_item_at_either_end_of_a_document(before: str, after: str) -> None:
    document = f"{before} {QUESTION}{after} {PROMPT}"
    question, prompt = hits(document, prose("question", QUESTION, "1"), code("question", PROMPT, "2"))
    assert document[question.start : question.end] == QUESTION.removesuffix("?")
    assert document[prompt.start : prompt.end] == PROMPT.strip()
    document = f"{PROMPT} {before} {QUESTION}"
    question, prompt = hits(document, prose("question", QUESTION, "1"), code("question", PROMPT, "2"))
    assert document[question.start : question.end] == QUESTION.removesuffix("?")
    assert (prompt.start, prompt.end) == (0, len(PROMPT.rstrip()))


def test_code_spans_count_characters_not_bytes() -> None:
    text = "größe = „ñandú“ + '😀😀' # " + letters(0, 60)
    document = f"😀é\u2003\n{text.replace(' ', '  ')}  ende"
    (hit,) = hits(document, code("solution", text))
    assert document[hit.start : hit.end] == text.replace(" ", "  ")


def test_the_best_place_is_named_and_of_equal_ones_the_first() -> None:
    question = prose("question", run(0, 40))
    document = f"{run(0, 20)} | {run(0, 40)} | {run(0, 40)}"
    (hit,) = hits(document, question)
    assert document[hit.start : hit.end] == f"{run(0, 20)} | {run(0, 40)} | {run(0, 40)}"
    far = f"{run(0, 20)} {run(0, 100, 'x')} {run(0, 40)} {run(0, 100, 'x')} {run(0, 40)}"
    (hit,) = hits(far, question)
    assert (far[hit.start : hit.end], hit.start) == (run(0, 40), far.index("w0 ", 20))


def test_pieces_of_an_item_far_apart_are_not_the_item() -> None:
    question = prose("question", run(0, 60))
    assert parts(f"{run(0, 20)} {run(0, 9000, 'x')} {run(20, 40)}", question) == []
    assert parts(f"{run(0, 20)} {run(0, 100, 'x')} {run(20, 40)}", question) == ["question"]


def test_a_long_match_is_shown_shortened() -> None:
    long = run(0, 200)
    (hit,) = hits(f"a {long} b", prose("passage", long))
    shown = excerpt(f"a {long} b", hit)
    assert shown.startswith("w0 w1 ")
    assert shown.endswith(" w199")
    assert len(shown) <= scanning.EXCERPT


def test_every_item_that_has_the_text_is_named() -> None:
    shared = [prose("passage", run(0, 40), item) for item in ("1", "2")] + [prose("question", run(0, 40), "3", "c")]
    assert [(hit.benchmark, hit.item) for hit in hits(run(0, 40), *shared)] == [("b", "1"), ("b", "2"), ("c", "3")]


# -- any document --------------------------------------------------------------------------------------------

words = st.lists(st.sampled_from("abcd"), max_size=40).map(" ".join)
items = st.lists(st.tuples(st.sampled_from(["question", "answer", "passage"]), words), min_size=1, max_size=5)


def small(chosen: list[tuple[str, str]]) -> list[Text]:
    return [prose(part, text, str(number // 2)) for number, (part, text) in enumerate(chosen)]


@settings(deadline=None)
@given(items, words, words, words)
def test_text_around_a_document_hides_nothing(
    chosen: list[tuple[str, str]], core: str, before: str, after: str
) -> None:
    look = scanner(*small(chosen), matching=SMALL)
    alone, inside = look.scan([core, f"{before} z {core} z {after}"])
    held = {(hit.item, hit.part): hit.overlap for hit in inside}
    # What stands whole within the longest text's length is never cut by a tile.
    assert all(held.get((h.item, h.part), 0.0) >= h.overlap for h in alone if h.end - h.start <= 2 * 8 - 1)


@settings(deadline=None)
@given(items, st.lists(words, max_size=5))
def test_documents_do_not_see_each_other(chosen: list[tuple[str, str]], documents: list[str]) -> None:
    look = scanner(*small(chosen), matching=SMALL)
    assert look.scan(documents) == [look.scan([document])[0] for document in documents]


snippets = st.text(st.sampled_from("ab(é😀"), max_size=40)
spaces = st.lists(st.sampled_from(["", " ", "\n", "\t", "\u00a0", "\u200b", "\u3000", "\x1f"]), min_size=1, max_size=9)


@settings(deadline=None)
@given(st.lists(snippets, min_size=1, max_size=4), snippets, spaces)
def test_white_space_never_changes_a_hit_in_code(texts: list[str], document: str, gaps: list[str]) -> None:
    look = scanner(*(code("solution", text, str(n)) for n, text in enumerate(texts)), matching=SMALL)
    spread = "".join(gaps[at % len(gaps)] + character for at, character in enumerate(document))
    one, other = look.scan([document, spread])
    assert [(hit.item, hit.overlap) for hit in one] == [(hit.item, hit.overlap) for hit in other]
    for hit in one:
        assert (
            re.sub(r"[\s\u200b]", "", spread[other[one.index(hit)].start : other[one.index(hit)].end])
            == (document[hit.start : hit.end])
        )


def oracle(text: str, document: str, n: int) -> float:
    """Share of a text's words that stand in an n-gram of the document, by brute force."""
    own, theirs = text.split(), document.split()
    grams = {tuple(theirs[at : at + n]) for at in range(len(theirs) - n + 1)}
    held = [at for at in range(len(own) - n + 1) if tuple(own[at : at + n]) in grams]
    return len({at + step for at in held for step in range(n)}) / len(own)


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=4, max_size=8).map(" ".join), words)
def test_the_overlap_is_that_of_a_search_by_brute_force(text: str, document: str) -> None:
    within = " ".join(document.split()[:16])
    share = oracle(text, within, 4)
    found = hits(within, prose("question", text), matching=SMALL)
    assert [hit.overlap for hit in found] == ([share] if share >= 0.5 else [])


@pytest.mark.parametrize("place", [*range(40), 700, 1000])
def test_an_item_is_whole_wherever_the_tiles_begin(place: int) -> None:
    longest = prose("passage", run(0, 8))
    document = f"{run(0, place, 'x')} {run(0, 8)} {run(0, 50, 'y')}"
    (hit,) = hits(document, longest, matching=SMALL)
    assert (hit.overlap, document[hit.start : hit.end]) == (1.0, run(0, 8))
    compact = code("solution", letters(0, 16))
    (hit,) = hits("#" * place + letters(0, 16) + "#" * 50, compact, matching=SMALL)
    assert (hit.overlap, hit.start, hit.end) == (1.0, place, place + 16)


def test_a_text_that_is_longer_than_the_longest_is_cut() -> None:
    passage = prose("passage", run(0, 20))
    assert [hit.overlap for hit in hits(run(0, 8), passage, matching=SMALL)] == [1.0]
    assert hits(run(8, 20), passage, matching=SMALL) == []


@pytest.mark.parametrize("document", ["", " \n", "…", "😀", "\u200b", "_", "'", "a" * 10_000])
def test_documents_without_items_have_no_hits(document: str) -> None:
    texts = prose("question", QUESTION), code("question", PROMPT)
    assert scanner(*texts).scan([document, QUESTION, document])[::2] == [[], []]
    assert scanner(*texts).scan([]) == []


def test_an_index_of_nothing_finds_nothing() -> None:
    assert hits(QUESTION) == []
    assert hits(QUESTION, code("question", PROMPT)) == []
    assert hits(PROMPT, prose("question", QUESTION)) == []


def test_items_in_a_document_of_ten_megabytes_are_found() -> None:
    filler = "all work and no play makes jack a dull boy " * 240_000
    document = f"{QUESTION}\n{filler[:5_000_000]}\n{PROMPT}\n{filler[5_000_000:]}{QUESTION}"
    assert len(document) > 10_000_000
    found = hits(document, prose("question", QUESTION, "1"), code("question", PROMPT, "2"))
    assert [(hit.item, hit.overlap) for hit in found] == [("1", 1.0), ("2", 1.0)]
    assert found[0].start == 0
    assert document[found[1].start : found[1].end] == PROMPT.strip()


def test_a_document_without_a_break_is_one_word() -> None:
    assert hits("ab" * 3_000_000, prose("question", QUESTION)) == []
    assert parts("ab" * 3_000_000 + "\n" + QUESTION, prose("question", QUESTION)) == ["question"]


@pytest.mark.parametrize("unit", [run(0, 13) + " ", run(0, 5) + " ", "w0 ", letters(0, 50), "a"])
def test_a_document_that_repeats_an_item_is_read_in_bounded_steps(unit: str) -> None:
    texts = [prose("question", f"{run(0, 13)} {end}", str(end)) for end in range(10)]
    texts += [prose("question", run(0, 5), "s"), prose("answer", "never that", "s"), prose("question", "w0 " * 40, "r")]
    texts += [code("solution", letters(0, 50) + str(end), str(end)) for end in range(10)] + [code("tests", "a" * 60)]
    (found,) = scanner(*texts).scan([unit * (300_000 // len(unit))])
    assert all(hit.end - hit.start <= 5 * spec.MATCHING["longest_characters"] for hit in found)


@pytest.mark.parametrize("name", ["piqa", "humaneval"])
def test_a_real_item_is_found_in_a_document_that_quotes_it(name: str, data_dir: Path) -> None:
    items: dict[str, list[str]] = {}
    texts = list(read_texts(name, data_dir))
    for text in texts:
        items.setdefault(text.item, []).append(text.text)
    documents = [f"It says:\n> {'  '.join(quoted)}\nand so on." for quoted in items.values()]
    found = scanner(*texts).scan(documents)
    missed = [item for item, of_item in zip(items, found, strict=True) if item not in {hit.item for hit in of_item}]
    # Only what is too short to tell anything, such as "boil ice" with the answer "with fire".
    assert all(sum(len(re.findall(r"\w+", text)) for text in items[item]) < 12 for item in missed)
    assert len(missed) < len(items) / 8
    for document, of_item in zip(documents, found, strict=True):
        assert all(document[hit.start : hit.end].strip() for hit in of_item)
