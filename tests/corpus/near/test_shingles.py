"""Words and shingles: one definition, whichever way they are computed."""

from __future__ import annotations

import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.near import shingles
from pretrial.corpus.near.shingles import Keys, common, common_with_each, normalise, shingle_keys, windows

from .conftest import shingle_set

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
FEW_WORDS = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=40).map(" ".join)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, World!", "hello world"),
        ("x2 = foo_bar(3.14, 0xFF)", "x2 foo_bar 3 14 0xff"),
        ("  many \t\n spaces\u00a0here\u2003and\u200bthere ", "many spaces here and there"),
        ("don't — “quote” …", "don t quote"),
        ("STRASSE Straße ﬁn", "strasse strasse fin"),
        ("café cafe\u0301 CAFÉ", "café café café"),
        ("हिन्दी भाषा", "हिन्दी भाषा"),
        ("Привет, МИР", "привет мир"),
        ("東京タワー333m", "東 京 タ ワ ー 333m"),
        ("ไทย ok", "ไ ท ย ok"),
        ("𝒳 😀 𐐀𠀀", "𝒳 𐐨 𠀀"),
        ("()[]{} --- !!! 😀", ""),
        ("", ""),
    ],
)
def test_what_a_word_is(text: str, words: str) -> None:
    assert normalise(text).decode() == words


def jaccard(first: Keys, second: Keys) -> float:
    """Shared shingles of two documents over all they have; 0 where neither has any."""
    shared = common(first, second)
    union = len(first) + len(second) - shared
    return shared / union if union else 0.0


def slow(text: str) -> str:
    """The definition as it is written in the module's docstring."""
    out = []
    for character in unicodedata.normalize("NFC", text).casefold():
        code = ord(character)
        if not (character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"):
            out.append(" ")
        elif any(first <= code <= last for first, last in shingles._ALONE):
            out.append(f" {character} ")
        else:
            out.append(character)
    return " ".join("".join(out).split(" ")).strip()


@given(TEXTS)
def test_the_fast_ways_follow_the_definition(text: str) -> None:
    expected = " ".join(slow(text).split())
    assert normalise(text).decode() == expected


def test_every_character_is_folded_alike_by_both_ways() -> None:
    """Few different characters are replaced one after another, which is right if no result is replaced again."""
    for code in range(128, 0x20000 if sys.maxunicode > 0xFFFF else 0x10000):
        folded = shingles._FOLDING[code]
        if folded not in (chr(code), " ", f" {chr(code)} "):
            assert all(shingles._FOLDING[ord(one)] == one for one in folded), hex(code)


@given(TEXTS)
def test_case_form_and_white_space_change_nothing(text: str) -> None:
    plain = normalise(text)
    assert normalise(unicodedata.normalize("NFD", text)) == plain
    assert normalise(f"\n\t{text}  \u3000") == plain
    assert normalise(text.replace(" ", " \n. ")) == plain


@given(FEW_WORDS, FEW_WORDS, st.integers(1, 6))
def test_keys_stand_for_sets_of_shingles(first: str, second: str, words: int) -> None:
    a, b = shingle_set(first, words), shingle_set(second, words)
    keys = shingle_keys(normalise(first), words), shingle_keys(normalise(second), words)
    assert [len(one) for one in keys] == [len(a), len(b)]
    assert all((one[1:] > one[:-1]).all() for one in keys)
    assert jaccard(*keys) == (len(a & b) / len(a | b) if a | b else 0.0)


KEYS = st.sets(st.sampled_from([0, 1, 2, 3, 5, 2**63, 2**64 - 1])).map(lambda keys: np.array(sorted(keys), np.uint64))


@given(KEYS, st.lists(KEYS, min_size=1, max_size=6))
def test_many_are_compared_at_once_as_one_after_another(one: Keys, others: list[Keys]) -> None:
    assert common_with_each(one, others).tolist() == [common(one, other) for other in others]


@given(FEW_WORDS, st.integers(1, 6))
def test_windows_are_shingles_counted_each_time(text: str, words: int) -> None:
    count = len(text.split())
    assert windows(normalise(text), words) == (max(1, count - words + 1) if count else 0)


def test_a_short_document_is_one_shingle_and_no_part_of_a_longer_one() -> None:
    short, long = (shingle_keys(normalise(text), 5) for text in ("a b c", "a b c d e f"))
    assert (len(short), len(long)) == (1, 2)
    assert jaccard(short, long) == 0.0
    assert jaccard(short, short) == 1.0


def test_the_order_of_words_matters() -> None:
    first, second = (shingle_keys(text, 5) for text in (b"a b c d e", b"b a c d e"))
    assert jaccard(first, second) == 0.0


def test_words_are_forgotten_when_they_become_many(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b" ".join(b"%d" % number for number in range(500))
    before = shingle_keys(text, 5)
    monkeypatch.setattr(shingles, "_VALUES", forgetful := shingles._Values())
    monkeypatch.setattr(shingles, "_CACHED_WORDS", 10)
    assert np.array_equal(shingle_keys(text, 5), before)
    assert len(forgetful) <= 10


@given(st.text(st.sampled_from("ab é漢.\n"), max_size=80), st.integers(1, 9))
def test_a_large_document_is_worked_on_in_pieces(text: str, piece: int) -> None:
    whole = normalise(text)
    keys = shingle_keys(whole, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shingles, "_PIECE", piece)
        assert normalise(text) == whole
        assert np.array_equal(shingle_keys(whole, 2), keys)
