# ruff: noqa: E501
"""Rules for prose keep and drop on the published side of every threshold."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields, replace
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrial.corpus.rules import c4, fineweb, gopher, natural_language, redact
from pretrial.corpus.rules import runs as runs_module
from pretrial.corpus.rules.c4 import C4Lines, C4Page
from pretrial.corpus.rules.fineweb import FineWeb
from pretrial.corpus.rules.gopher import GopherQuality, GopherRepetition
from pretrial.corpus.rules.natural_language import NaturalLanguage
from pretrial.corpus.rules.redact import Redact, entropy
from pretrial.corpus.rules.result import Rule
from pretrial.corpus.rules.runs import Runs
from pretrial.corpus.rules.starcoder import StarLines
from pretrial.corpus.rules.words import repeated_lines
from thresholds import unnoticed


def prose(count: int, word: str = "word") -> str:
    """`count` words, two of them different stop words."""
    return " ".join(["the", "of", *[word] * (count - 2)])


def lines(count: int, of: str) -> list[str]:
    return [of.format(i) for i in range(count)]


def pieces(count: int) -> list[str]:
    return [" ".join(distinct(5, 5 * i)) for i in range(count)]


def distinct(count: int, start: int = 0) -> list[str]:
    """Words of six letters that are all different."""
    return ["".join(chr(97 + (i // 26**k) % 26) for k in range(6)) for i in range(start + 999, start + count + 999)]


def alone(threshold: str) -> GopherRepetition:
    """The rule with this threshold as it is and nothing else to fail."""
    return GopherRepetition(**{field.name: 1.0 for field in fields(GopherRepetition) if field.name != threshold})


def run_twice(count: int, characters: int) -> str:
    """Words of so many characters together, the first `count` of them, of six letters each, twice."""
    words, rest = divmod(characters - 12 * count, 6)
    return " ".join(distinct(count) * 2 + distinct(words, count + 9) + ["z" * rest] * (rest > 0))


SENTENCE = "this is a sentence of its own."
FOUR = "\n".join([SENTENCE] * 4)
FREE = GopherRepetition(top_2=1.0, top_3=1.0, top_4=1.0)
LIST = "\n".join(lines(100, "a line of its own number {} that is long enough"))
# Lines that are 980 characters together.
SEVENTY = "\n".join(lines(14, "{:02} " + "word " * 13 + "x."))
STOP = ("the", "be", "to", "of", "and", "that", "have", "with")
POLICY = ("terms of use", "privacy policy", "cookie policy", "This uses cookies", "use of cookies", "We use cookies")

CASES: list[tuple[Rule, str, str, object]] = [
    (GopherQuality(), prose(50), "", None),
    (GopherQuality(), prose(49), "min-words", 49),
    (GopherQuality(), prose(100_000), "", None),
    (GopherQuality(), prose(100_001), "max-words", 100_001),
    (GopherQuality(min_mean=3.9), " ".join(["the", "of"] + ["word"] * 60), "", None),
    (GopherQuality(), " ".join(["the", "of"] + ["ab"] * 50), "min-mean", 105 / 52),
    (GopherQuality(), " ".join(["the", "of"] + ["abc"] * 50 + ["abcd"]), "", None),
    (GopherQuality(), " ".join(["the", "of"] + ["abcdefghij"] * 60), "", None),
    (GopherQuality(), " ".join(["the", "of"] + ["abcdefghijk"] * 60), "max-mean", 665 / 62),
    (GopherQuality(), prose(60) + "#" * 6, "", None),
    (GopherQuality(), prose(60) + "#" * 7, "hashes", 7 / 60),
    (GopherQuality(), "…" * 6 + " " + prose(59), "", None),
    (GopherQuality(), "…" * 7 + " " + prose(59), "ellipses", 7 / 60),
    (GopherQuality(), prose(60) + "\nword" + "\n- word word" * 18, "", None),
    (GopherQuality(), prose(60) + "\n- word word" * 10, "bullets", 10 / 11),
    (GopherQuality(), prose(60) + "\n" + "one two\n" * 6 + "some words here…\n" * 3, "", None),
    (GopherQuality(), prose(60) + "\n" + "one two\n" * 6 + "some words here…\n" * 4, "ellipsis-lines", 4 / 11),
    (GopherQuality(), prose(48, "words") + " 1234" * 12, "", None),
    (GopherQuality(), prose(48, "words") + " 1234" * 13, "letters", 48 / 61),
    (GopherQuality(), "The, of. " + "word " * 60, "", None),
    (GopherQuality(), "the the " + "word " * 60, "stop-words", 1),
    (GopherRepetition(), "\n\n".join(["a b"] * 4 + pieces(10)), "", None),
    (GopherRepetition(), "\n\n".join(["a b"] * 4 + pieces(5)), "paragraphs", 3 / 9),
    (
        GopherRepetition(),
        "\n\n".join(["x" * 100] * 2 + lines(8, "{} " + "y" * 28)),
        "paragraph-characters",
        100 / 440,
    ),
    (GopherRepetition(), "\n".join(["a b"] * 4 + pieces(5)), "lines", 3 / 9),
    (GopherRepetition(), "\n".join(["x" * 100] * 2 + lines(8, "{} " + "y" * 28)), "line-characters", 100 / 440),
    (GopherRepetition(), " ".join(["aaaaaa bbbbbb"] * 2 + distinct(16)), "", None),
    (GopherRepetition(), " ".join(w for d in distinct(15) for w in ("aaaaaa", "bbbbbb", d)), "top-2", 2 / 3),
    (GopherRepetition(), " ".join(["aaaaaa bbbbbb cccccc"] * 2 + distinct(28)), "", None),
    (GopherRepetition(), " ".join(["aaaaaa bbbbbb cccccc"] * 2 + distinct(27)), "top-3", 6 / 33),
    (GopherRepetition(), " ".join(["aaaaaa bbbbbb cccccc dddddd"] * 2 + distinct(42)), "", None),
    (GopherRepetition(), " ".join(["aaaaaa bbbbbb cccccc dddddd"] * 2 + distinct(41)), "top-4", 8 / 49),
    (FREE, " ".join(distinct(5) * 2 + distinct(24, 9)), "", None),
    (FREE, " ".join(distinct(5) * 2 + distinct(23, 9)), "runs-5", 5 / 33),
    (FREE, " ".join(distinct(30) + distinct(5, 30) + distinct(5, 60) + distinct(5, 30)), "", None),
    (GopherRepetition(), " ".join(distinct(85) + distinct(10)), "runs-10", 10 / 95),
    (GopherRepetition(), " ".join(distinct(90) + distinct(10)), "", None),
    (C4Page(), "no code here", "", None),
    (C4Page(), "if (x) { y }", "brace", 7),
    (C4Page(), "Lorem Ipsum dolor", "filler", 0),
    (C4Lines(), "\n".join([SENTENCE] * 5), "", None),
    (C4Lines(), "\n".join([SENTENCE] * 4), "min-sentences", 4),
    (FineWeb(), "\n".join(["a line without end that is quite long {}"] * 0 + lines(22, "no end but a long line of {} words") + lines(3, "this one ends, being number {}.")), "", None),
    (FineWeb(), "\n".join(lines(23, "no end but a long line of {} words") + lines(3, "this one ends, being number {}.")), "min-terminal", 3 / 26),
    (FineWeb(), "\n".join(lines(67, "number {:02} is of 30 characters:") + lines(33, "and this is a line of more than thirty, {}.")), "", None),
    (FineWeb(), "\n".join(lines(68, "number {:02} is of 30 character:") + lines(32, "and this is a line of more than thirty, {}.")), "max-short", 0.68),
    (FineWeb(), "\n".join([LIST, "a line.", "a line."]), "min-terminal", 2 / 102),
    (FineWeb(min_terminal=0), "\n".join([LIST, "a line.", "a line."]), "", None),
    (FineWeb(min_terminal=0), "\n".join([LIST, "a line of its own that is long enough to count."] * 2), "max-repeated", 0.5),
    (FineWeb(), "one two three four, this is of thirty.\n" * 0 + "a b c d e f g h i, of more than thirty.\n" + "\n" * 2, "", None),
    (FineWeb(), "a b c d e f g h i, of more than thirty.\n" + "\n" * 4, "max-newlines", 5 / 13),
    # Both sides of each threshold, near it.
    (GopherQuality(), " ".join(["the", "of"] + ["abc"] * 50), "min-mean", 155 / 52),
    (GopherQuality(), " ".join(["the", "of"] + ["abcdefghij"] * 45 + ["abcdefghijk"] * 15), "", None),
    (GopherQuality(), " ".join(["the", "of"] + ["abcdefghij"] * 44 + ["abcdefghijk"] * 16), "max-mean", 621 / 62),
    (GopherQuality(), prose(109) + "#" * 11, "hashes", 11 / 109),
    (GopherQuality(), "…" * 11 + " " + prose(108), "ellipses", 11 / 109),
    (GopherQuality(), prose(60) + "\none two" * 15 + "\nsome words here…" * 7, "ellipsis-lines", 7 / 23),
    *((GopherQuality(), f"{one} {other} " + "word " * 60, "", None) for one, other in zip(STOP[::2], STOP[1::2], strict=True)),
    (alone("lines"), "\n".join(["a"] * 7 + distinct(13)), "", None),
    (alone("lines"), "\n".join(["a"] * 20 + distinct(43)), "lines", 19 / 63),
    (alone("paragraphs"), "\n\n".join(["a"] * 7 + distinct(13)), "", None),
    (alone("paragraphs"), "\n\n".join(["a"] * 20 + distinct(43)), "paragraphs", 19 / 63),
    (alone("line_characters"), "\n".join(["x" * 20] * 2 + ["y" * 60]), "", None),
    (alone("line_characters"), "\n".join(["x" * 20] * 2 + ["y" * 59]), "line-characters", 20 / 99),
    (alone("paragraph_characters"), "\n\n".join(["x" * 20] * 2 + ["y" * 60]), "", None),
    (alone("paragraph_characters"), "\n\n".join(["x" * 20] * 2 + ["y" * 59]), "paragraph-characters", 20 / 99),
    *((alone(f"top_{n}"), run_twice(n, size), "", None) for n, size in ((2, 120), (3, 200), (4, 300))),
    *((alone(f"top_{n}"), run_twice(n, size), f"top-{n}", 12 * n / size) for n, size in ((2, 119), (3, 199), (4, 299))),
    *(
        (alone(f"runs_{n}"), run_twice(n, size), "", None)
        for n, size in ((5, 200), (6, 258), (7, 324), (8, 400), (9, 491), (10, 600))
    ),
    *(
        (alone(f"runs_{n}"), run_twice(n, size), f"runs-{n}", 6 * n / size)
        for n, size in ((5, 199), (6, 257), (7, 323), (8, 399), (9, 490), (10, 599))
    ),
    (C4Lines(), FOUR + "\nThree words here.", "", None),
    (C4Lines(), FOUR + "\nTwo words.", "min-sentences", 4),
    (C4Lines(), FOUR + "\na line that nothing ends", "min-sentences", 4),
    (C4Lines(terminal=False), FOUR + "\na line that nothing ends", "", None),
    (C4Lines(), FOUR + "\nA word: " + "x" * 999 + ".", "", None),
    (C4Lines(), FOUR + "\nA word: " + "x" * 1000 + ".", "min-sentences", 4),
    *((C4Lines(), FOUR + f"\n{phrase} is what this says.", "min-sentences", 4) for phrase in POLICY),
    (C4Lines(), FOUR + "\nWe use biscuits is what this says.", "", None),
    (FineWeb(), "\n".join(lines(97, "no end but a long line of {} words") + lines(13, "this one ends, being number {}.")), "min-terminal", 13 / 110),
    (FineWeb(), "\n".join(lines(68, "number {:02} is of 30 characters.") + lines(32, "and this is a line of more than thirty, {}.")), "max-short", 0.68),
    (FineWeb(), "\n".join(lines(68, "number {:02} is of 31 characters..") + lines(32, "and this is a line of more than thirty, {}.")), "", None),
    (FineWeb(), "\n".join(["ten chars."] * 2 + [SEVENTY]), "", None),
    (FineWeb(), "\n".join(["ten chars."] * 2 + [SEVENTY[1:]]), "max-repeated", 10 / 999),
    (FineWeb(), "a line of ten words that is longer than thirty." + "\n" * 3, "", None),
    (FineWeb(), "word " * 62 + "end." + "\n" * 19, "max-newlines", 19 / 63),
    (NaturalLanguage(), "last year aus", "", None),
    (NaturalLanguage(), "in the summer am", "probability", natural_language.identify("in the summer am")[1]),
    (NaturalLanguage(), "The quick brown fox jumps over the lazy dog and runs into the forest behind the hill.", "", None),
    (NaturalLanguage(), "Der schnelle braune Fuchs springt über den faulen Hund und läuft in den Wald.", "language", "de"),
    (NaturalLanguage(languages=("de", "en")), "Der schnelle braune Fuchs springt über den faulen Hund.", "", None),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "reason", "value"), CASES)
def test_a_rule_draws_the_published_line(rule: Rule, text: str, reason: str, value: object) -> None:
    result = rule(text, {})
    assert result.reason == reason
    assert result.text == text
    assert result.value == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize("rule", [*gopher.RULES, *c4.RULES, *fineweb.RULES, *natural_language.RULES])
def test_every_threshold_is_held_by_a_case(rule: type[Rule]) -> None:
    assert unnoticed(rule, [(case, text, {}) for case, text, *_ in CASES]) == []


@pytest.mark.parametrize("end", ["\r\n", "\r"])
@given(st.lists(st.sampled_from(["", " ", "a line", "a line", "it ends here.", "- one…", "{"]), max_size=30))
def test_line_ends_of_any_kind_are_line_ends(end: str, kept: list[str]) -> None:
    text = "\n".join(kept)
    for make in (*gopher.RULES, *c4.RULES, *fineweb.RULES, StarLines):
        rule = replace(make(), **{name: 0 for name in ("min_words", "min_sentences") if hasattr(make, name)})
        one, other = rule(text, {}), rule(text.replace("\n", end), {})
        assert (one.reason, one.value) == (other.reason, other.value) or one.reason == "brace"
        assert one.text.replace("\n", end) == other.text


def test_paragraphs_are_parted_by_lines_that_look_empty() -> None:
    texts = ["\n\n".join(["a b c"] * 20 + distinct(10))]
    texts += [texts[0].replace("\n\n", blank) for blank in ("\n \n", "\n\t\n\n", "\r\n\r\n", "\r\n \r\n", "\r\r")]
    assert {alone("paragraphs")(text, {}).value for text in texts} == {19 / 30}


@pytest.mark.parametrize("mark", [*".!?'\"।؟。！？．", "።"])
def test_fineweb_knows_what_ends_a_sentence(mark: str) -> None:
    text = "\n".join(lines(20, "a line of its own, number {}, and it is long enough" + mark))
    assert FineWeb()(text, {}).reason == ""


@pytest.mark.parametrize("mark", [*":;…,”’)-"])
def test_fineweb_knows_what_ends_none(mark: str) -> None:
    text = "\n".join(lines(20, "a line of its own, number {}, and it is long enough" + mark))
    assert FineWeb()(text, {}).value == 0


@pytest.mark.parametrize(
    ("word", "letter"), [("½", False), ("²", False), ("Ⅷ", False), ("_", False), ("é", True), ("汉", True)]
)
def test_what_counts_as_a_letter_is_a_letter(word: str, letter: bool) -> None:
    assert GopherQuality(min_letters=1)(prose(50) + " " + word, {}).reason == ("" if letter else "letters")


def test_stop_words_may_be_long_and_wear_punctuation() -> None:
    words = ("einschließlich", "selbstverständlich")
    text = f"((({words[0]}))) {words[1].upper()}, " + "Wort " * 60
    assert GopherQuality(stop=words)(text, {}).reason == ""
    assert GopherQuality(stop=words, min_stop=3)(text, {}).value == 2


def test_a_text_without_words_fails_what_asks_for_some() -> None:
    free = GopherQuality(min_words=0)
    for text in ("", " \n\u3000"):
        assert (free(text, {}).reason, free(text, {}).value) == ("min-mean", 0)
        assert replace(free, min_mean=0.0)(text, {}).reason == "letters"
        assert replace(free, min_mean=0.0, min_letters=0.0)(text, {}).reason == "stop-words"
        assert replace(free, min_mean=0.0, min_letters=0.0, min_stop=0)(text, {}).reason == ""


def test_citations_go_before_a_line_is_asked() -> None:
    for mark in ("[1]", "[]", "[12345]", "[edit]", "[citation needed]"):
        result = C4Lines()("\n".join([SENTENCE + mark] * 5), {})
        assert result.text == "\n".join([SENTENCE] * 5)
        assert result.removed == {"citation": 5 * len(mark)}
    assert C4Lines()("\n".join([SENTENCE + "[a]"] * 5), {}).value == 0
    # Marks are no words.
    assert C4Lines()("\n".join(["Two [1] words."] * 5), {}).value == 0


def test_a_line_is_at_least_one_sentence() -> None:
    free = C4Lines(terminal=False)
    assert free("\n".join(["a line that nothing ends"] * 5), {}).reason == ""
    assert free("\n".join(["a line that nothing ends"] * 4), {}).value == 4
    assert C4Lines()('He said "so it is"\n' * 4, {}).value == 4
    assert C4Lines()("One is. Two are! (Three?) Four is.", {}).value == 4


def test_an_unsure_language_is_dropped_by_its_probability() -> None:
    text = "The quick brown fox jumps over the lazy dog and runs into the forest behind the hill."
    probability = natural_language.identify(text)[1]
    assert NaturalLanguage(least=probability)(text, {}).reason == ""
    result = NaturalLanguage(least=min(1.0, probability + 1e-9) + 1e-9)(text, {})
    assert (result.reason, result.value) == ("probability", probability)
    assert natural_language.identify(text * 1000)[0] == "en"


def test_lines_that_are_no_sentences_go_and_are_counted() -> None:
    keep = [SENTENCE] * 5
    gone = {
        "no-terminal": "A heading",
        "short": "Too short.",
        "javascript": "Please turn on JavaScript to go on.",
        "policy": "We have a privacy policy for you.",
        "long-word": "a b " + "x" * 1001 + ".",
        "blank": "",
    }
    text = "\n".join([*gone.values(), *keep[:-1], "A claim[12] of its own here."])
    result = C4Lines()(text, {})
    assert result.text == "\n".join([*keep[:-1], "A claim of its own here."])
    assert set(result.removed) == {*gone, "citation"}
    assert sum(result.removed.values()) == len(text.encode()) - len(result.text.encode())
    assert C4Lines(terminal=False)("A heading without end\n" + "\n".join(keep), {}).text.startswith("A heading")
    assert C4Lines()("\n".join(["This line trails off..."] * 9), {}).reason == "min-sentences"


@given(st.lists(st.sampled_from(["a", "bb", "ccc", "dd", "e"]), max_size=40), st.integers(2, 10))
def test_repeated_runs_agree_with_counting_by_hand(words: list[str], n: int) -> None:
    text = " ".join(words)
    runs = Runs(text)
    tuples = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    covered = np.zeros(len(words), dtype=bool)
    for i, run in enumerate(tuples):
        if run in tuples[:i]:
            covered[i : i + n] = True
    total = sum(map(len, words))
    expected = sum(len(w) for w, c in zip(words, covered, strict=True) if c) / total if total else 0.0
    assert runs.repeated_share(n) == pytest.approx(expected)
    counts = {run: tuples.count(run) for run in tuples}
    most = max(counts.values(), default=0)
    longest = max((sum(map(len, run)) for run, count in counts.items() if count == most), default=0)
    assert runs.top_share(n) == pytest.approx(min(1.0, most * longest / total) if most > 1 else 0.0)


@given(st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=40), st.lists(st.integers(1, 10), max_size=6))
def test_repeated_runs_may_be_asked_for_in_any_order(words: list[str], order: list[int]) -> None:
    text = " ".join(words)
    runs = Runs(text)
    assert [runs.repeated_share(n) for n in order] == [Runs(text).repeated_share(n) for n in order]


SPACES = st.sampled_from([" ", "\n", "\u3000", "\x1c", " \t ", "\x85"])


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "bb", "ccc", "e\u0301", "\U0001f600"]) | st.text("xyz", min_size=1), SPACES)
    ),
    st.integers(1, 12),
)
def test_a_text_that_is_read_in_pieces_has_the_runs_of_the_whole(pairs: list[tuple[str, str]], piece: int) -> None:
    text = "".join(word + space for word, space in pairs)
    whole = Runs(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs_module, "_PIECE", piece)
        patch.setattr(runs_module, "_WHOLE", 0)
        pieces = Runs(text)
        # To the last digit: `==`, not "about".
        assert [pieces.top_share(n) for n in range(2, 5)] == [whole.top_share(n) for n in range(2, 5)]
        assert [pieces.repeated_share(n) for n in range(1, 11)] == [whole.repeated_share(n) for n in range(1, 11)]
    assert pieces.before.tolist() == [0, *accumulate(map(len, text.split()))]
    numbers = dict(zip(text.split(), pieces.words.tolist(), strict=True))
    assert [numbers[word] for word in text.split()] == pieces.words.tolist()
    assert len(set(numbers.values())) == len(numbers)


def test_words_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "_PIECE", 4)
    monkeypatch.setattr(runs_module, "_WHOLE", 0)
    monkeypatch.setattr(runs_module, "hash", len, raising=False)
    runs = Runs("ab cd ab cd ef gh xyz ij cd ab")
    assert len(set(runs.words.tolist())) == 6
    assert runs.repeated_share(2) == 8 / 21


def test_a_long_text_takes_memory_by_its_words_not_by_what_holds_them() -> None:
    rng = np.random.default_rng(1)
    text = " ".join(rng.integers(10**7, 10**8, 1_000_000).astype(str).tolist())
    assert len(text) > runs_module._WHOLE
    Runs("warm")
    tracemalloc.start()
    try:
        Runs(text).repeated_share(2)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The words alone would be 57 bytes each, the table of them about 100 more.
    assert most < 60 * 1_000_000


def test_repeated_lines_are_those_seen_before() -> None:
    assert repeated_lines(["a", "bb", "a", "a"]) == (0.5, 2 / 5)
    assert repeated_lines([]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("write to a.b+c@mail.company.co.uk, please", "write to <EMAIL>, please"),
        ("someone@example.com stays", "someone@example.com stays"),
        ("@decorator and a@b stay", "@decorator and a@b stay"),
        ("ping 8.8.8.8 now", "ping <IP_ADDRESS> now"),
        ("ping 192.168.0.1, 127.0.0.1, 10.1.2.3", "ping 192.168.0.1, 127.0.0.1, 10.1.2.3"),
        ("version v1.2.3.4 and 1.2.3.4.5 and 300.1.1.1", "version v1.2.3.4 and 1.2.3.4.5 and 300.1.1.1"),
        ("at 2606:4700:4700::1111 and ::1 and 12:30:45", "at <IP_ADDRESS> and ::1 and 12:30:45"),
        ("std::vector and a::b::c stay", "std::vector and a::b::c stay"),
        ("AKIAIOSFODNN7EXAMPLE and AKIAIOSFODNN7EXAMPL", "<KEY> and AKIAIOSFODNN7EXAMPL"),
        ("token = ghp_" + "a1B2" * 9, "token = <KEY>"),
        ("api_key: 'q9X7mK2pLw8RtY4zVbN6'", "api_key: '<KEY>'"),
        ("api_key: 'aaaaaaaaaaaaaaaaaaaaaaaa'", "api_key: 'aaaaaaaaaaaaaaaaaaaaaaaa'"),
        ("KEY=sk-" + "a1B2" * 12, "KEY=<KEY>"),
        ("sk-proj-" + "a1B2" * 9 + "_-" + "c3" * 9 + " sk-ant-api03-" + "a1B2" * 9, "<KEY> <KEY>"),
        ("sk-" + "a1B2" * 4 + "abc and task-" + "a1B2" * 9, "sk-" + "a1B2" * 4 + "abc and task-" + "a1B2" * 9),
        (
            ".sk-fading-circle-delay-12-of-20 sk-YOURKEYCOMESHEREPLEASE",
            ".sk-fading-circle-delay-12-of-20 sk-YOURKEYCOMESHEREPLEASE",
        ),
        (
            "npm_" + "a1B2" * 9 + " npm_config_registry_is_what_a_variable_is_called",
            "<KEY> npm_config_registry_is_what_a_variable_is_called",
        ),
        ("SG." + "a1" * 11 + "." + "B2" * 21 + "C", "<KEY>"),
        ("to https://hooks.slack.com/services/T00000000/B00000000/" + "a1B2" * 6, "to https://<KEY>"),
        ("https://hooks.slack.com/services/TEAM/CHANNEL/TOKEN", "https://hooks.slack.com/services/TEAM/CHANNEL/TOKEN"),
        ("Authorization: Bearer q9X7mK2pLw8RtY4zVbN6", "Authorization: Bearer <KEY>"),
        ("the bearer q9X7mK2pLw8RtY4zVbN", "the bearer q9X7mK2pLw8RtY4zVbN"),
        (
            "Bearer YOUR_ACCESS_TOKEN_COMES_HERE, forbearer q9X7mK2pLw8RtY4zVbN6",
            "Bearer YOUR_ACCESS_TOKEN_COMES_HERE, forbearer q9X7mK2pLw8RtY4zVbN6",
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc+/=\n-----END RSA PRIVATE KEY-----\n", "<KEY>\n"),
        ("-----BEGIN PRIVATE KEY-----\n" + "abcd" * 50_000 + "\n-----END PRIVATE KEY-----", "<KEY>"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,42A.\n\n"
            + "abcd" * 5
            + "\n-----END RSA PRIVATE KEY-----",
            "<KEY>",
        ),
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2 (GNU/Linux)\n\n"
            + "abcd" * 5
            + "\n=ab12\n-----END PGP PRIVATE KEY BLOCK-----",
            "<KEY>",
        ),
        (
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcdabcdabcdabcdabcd\n-----END PGP PUBLIC KEY BLOCK-----",
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcdabcdabcdabcdabcd\n-----END PGP PUBLIC KEY BLOCK-----",
        ),
        (
            "from -----BEGIN RSA PRIVATE KEY----- (a line). To -----END RSA PRIVATE KEY----- (too).",
            "from -----BEGIN RSA PRIVATE KEY----- (a line). To -----END RSA PRIVATE KEY----- (too).",
        ),
    ],
)
def test_what_names_a_person_or_opens_a_door_goes(text: str, clean: str) -> None:
    result = Redact()(text, {})
    assert result.text == clean
    assert bool(result.removed) == (clean != text)
    assert Redact()(result.text, {}).text == clean
    assert Redact(kinds=())(text, {}).text == text


@settings(max_examples=200)
@given(st.from_regex(redact._KEYS), st.from_regex(redact._ASSIGNED))
def test_no_key_is_without_the_signs_that_are_looked_for_first(key: str, assigned: str) -> None:
    assert any(sign in key for sign in redact._KEY_SIGNS)
    assert any(sign in assigned.casefold() for sign in redact._ASSIGNED_SIGNS)


def test_entropy_is_bits_a_character() -> None:
    assert entropy("aaaa") == 0
    assert entropy("abcd") == 2


@given(st.text(max_size=300))
@settings(max_examples=60)
def test_any_text_gets_a_verdict(text: str) -> None:
    for rule in (*gopher.RULES, *c4.RULES, *fineweb.RULES, *redact.RULES):
        result = rule()(text, {})
        assert not (result.dropped and result.text != text)
