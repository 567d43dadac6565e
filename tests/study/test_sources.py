"""Sources in a study file: split, derived, mixed by published shares, with thresholds; and what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from pretrial.corpus.paper import SHARES, shares
from pretrial.errors import RequestError
from pretrial.study import Source, Study, parse_study
from pretrial.study.schema import NearDuplicates

Make = Callable[..., Study]


@pytest.fixture
def make() -> Make:
    """`make(sources=…, mixtures=…)` is a small study of them; the first mixture is trained."""

    def making(sources: dict[str, Any], mixtures: dict[str, Any] | None = None, **fields: Any) -> Study:
        mixtures = mixtures or {"all": {next(iter(sources)): "100%"}}
        first = next(iter(mixtures))
        study = {
            "study": "s", "question": "q", "model": "1m", "context": 64,
            "tokenizer": {"file": "tokenizer.json"}, "seeds": 1, "smoke": True,
            "sources": sources, "mixtures": mixtures,
            "training": {
                "batch": 1024,
                "optimizer": {"adamw": {}},
                "schedule": {"constant": {"warmup": 0}},
            },
            "variants": {"v": [{"tokens": 10_240_000, "mixture": first}]},
            "baseline": "v", "evaluate": ["held-out"],
        }  # fmt: skip
        return parse_study(study | fields)

    return making


CODE = {"read": {"git": "repos", "languages": ["python", "go"]}, "group": "repository", "split": "language"}


def test_a_split_source_has_parts_by_value(make: Make) -> None:
    study = make({"web": CODE}, {"m": {"web/python": "60%", "web/go": "40%"}})
    assert study.sources["web/go"] == Source(None, parent="web", keep={"language": ("go",)})
    assert study.trained_sources == ("web/python", "web/go")
    assert study.transfer_sources == (), "the source that they are parts of is no unseen domain"
    assert study.roots == {"web/python": "web", "web/go": "web"}


def test_published_shares_are_divided_over_the_languages_there_are(make: Make) -> None:
    text = {"read": {"jsonl": "x"}}
    study = make({"web": CODE, "text": text}, {"m": {"web": {"share": "80%", "as": "paper-languages"}, "text": "20%"}})
    assert study.mixtures["m"] == {
        "web/python": Fraction(4, 5) * Fraction(960, 1309),
        "web/go": Fraction(4, 5) * Fraction(349, 1309),
        "text": Fraction(1, 5),
    }
    whole = make({"web": CODE | {"read": {"git": "repos"}}}, {"m": {"web": {"share": "100%", "as": "paper-languages"}}})
    assert len(whole.mixtures["m"]) == 25
    assert whole.mixtures["m"]["web/java"] == Fraction(1555, 10_000), "the missing hundredth goes to the largest"


@pytest.mark.parametrize("name", SHARES)
def test_published_shares_are_exact(name: str) -> None:
    assert sum(SHARES[name].values()) == 9999
    assert sum(shares(name).values()) == 1
    assert max(SHARES[name], key=lambda language: SHARES[name][language]) == next(iter(shares(name)))


def test_a_derived_source_has_filters_transforms_and_ranges_of_its_own(make: Make) -> None:
    derived = {
        "from": "web", "filter": ["stack-v2"], "transform": ["strip-comments", {"rename-identifiers": {"prefix": "n"}}],
        "keep": {"comment-share": "..80%", "stars": "10..", "language": "python"},
    }  # fmt: skip
    study = make({"web": CODE, "clean": derived}, {"m": {"clean": "100%"}})
    source = study.sources["clean"]
    assert source.transform == ("strip-comments", ("rename-identifiers", {"prefix": "n"}))
    assert source.keep == {
        "comment-share": {"least": None, "most": 0.8}, "stars": {"least": 10.0, "most": None}, "language": ("python",),
    }  # fmt: skip
    assert parse_study(study.resolved()) == study


def test_an_unseen_domain_may_have_parts_too(make: Make) -> None:
    news = {"read": {"jsonl": "n"}, "split": "site"}
    short = {"from": "news", "keep": {"characters": "..500"}}
    study = make({"text": {"read": {"jsonl": "x"}}, "news": news, "short": short})
    assert study.transfer_sources == ("news", "short")


def test_near_duplicates_and_decontamination_are_on_unless_said_otherwise(make: Make) -> None:
    text = {"text": {"read": {"jsonl": "x"}}}
    study = make(text)
    assert (study.near_duplicates, study.decontaminate) == (NearDuplicates(0.8, 5), True)
    off = make(text, **{"near-duplicates": "none", "decontaminate": False})
    assert (off.near_duplicates, off.decontaminate) == (None, False)
    other = make(text, **{"near-duplicates": {"threshold": "70%"}})
    assert other.near_duplicates == NearDuplicates(0.7, 5)
    for one in (study, off, other):
        assert parse_study(one.resolved()) == one


@pytest.mark.parametrize(
    ("sources", "mixtures", "message"),
    [
        ({"web": {"filter": []}}, None, "exactly one of read and from"),
        ({"web": {"from": "web"}}, None, "in a circle"),
        ({"a": {"from": "b"}, "b": {"from": "a"}}, None, "in a circle"),
        ({"web": CODE, "b": {"from": "wbe"}}, None, "no source is called 'wbe'"),
        ({"web": CODE, "b": {"from": "web", "group": "package"}}, None, "group is that of the source"),
        ({"web": CODE}, {"m": {"web": {"share": "100%", "as": "paper-tongues"}}}, "no mixture of languages"),
        (
            {"web": {"read": {"git": "r"}}},
            {"m": {"web": {"share": "100%", "as": "paper-languages"}}},
            "no languages to divide",
        ),
        ({"web": {"read": {"git": "r"}}}, {"m": {"web/python": "100%"}}, "no source is called 'web/python'"),
        ({"web": {"read": {"git": "r"}, "keep": {"stars": "9..1"}}}, None, "its least is above its most"),
        ({"web": {"read": {"git": "r"}, "transform": ["shuffle-line"]}}, None, "no transform 'shuffle-line'"),
        ({"web": {"read": {"git": "r", "form": "diff"}}}, None, "form does not apply to the reader git"),
        ({"web": {"read": {"commits": "r", "form": "dif"}}}, None, "no form 'dif'"),
        ({"web": {"read": {"filler": "dick"}}}, None, "no filler 'dick'"),
        ({"web": {"read": {"hub": "the-stack-dedup"}}}, None, "needs a language"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make: Make, sources: Any, mixtures: Any, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        make(sources, mixtures)
    assert message in f"{caught.value} {caught.value.remedy}"
