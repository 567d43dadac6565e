"""Sources in a study file: split, derived, mixed by published shares, with thresholds; and what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.corpus.paper import SHARES, shares
from pretrial.errors import RequestError
from pretrial.study import Source, Study, parse_study
from pretrial.study.mixtures import rounded
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


def trained_on(shares: dict[str, str]) -> dict[str, Any]:
    return {"train": {"vocabulary": 300, "from": shares}}


CODE = {"read": {"git": "repos", "languages": ["python", "go"]}, "group": "repository", "split": "language"}


def test_a_split_source_has_parts_by_value(make: Make) -> None:
    study = make({"web": CODE}, {"m": {"web/python": "60%", "web/go": "40%"}})
    assert study.sources["web/go"] == Source(None, parent="web", keep={"language": ("go",)}, is_part=True)
    assert study.trained_sources == ("web/python", "web/go")
    assert study.transfer_sources == (), "the source that they are parts of is no unseen domain"
    assert study.roots == {"web/python": "web", "web/go": "web"}


def test_published_shares_are_divided_over_the_languages_there_are(make: Make) -> None:
    text = {"read": {"jsonl": "x"}}
    study = make({"web": CODE, "text": text}, {"m": {"web": {"share": "80%", "as": "paper-languages"}, "text": "20%"}})
    # 80% are 8,000 ten-thousandths: 960 of 1,309 of them are 5,867.07, and 349 are 2,132.93.
    assert study.mixtures["m"] == {
        "web/python": Fraction(5867, 10_000),
        "web/go": Fraction(2133, 10_000),
        "text": Fraction(1, 5),
    }
    whole = make({"web": CODE | {"read": {"git": "repos"}}}, {"m": {"web": {"share": "100%", "as": "paper-languages"}}})
    assert len(whole.mixtures["m"]) == 25
    assert whole.mixtures["m"]["web/java"] == Fraction(1555, 10_000), "the missing hundredth goes to the largest"


def test_published_mixtures_fit_together(make: Make) -> None:
    """Their exact products would repeat after billions of sequences."""
    web, markup = CODE | {"read": {"git": "r"}}, CODE | {"read": {"git": "r", "languages": ["markup"]}}
    mixture = {
        "web": {"share": "64%", "as": "paper-languages"},
        "pages": {"share": "1/7", "as": "paper-markup"},
        "text": "38/175",
    }
    study = make({"web": web, "pages": markup, "text": {"read": {"jsonl": "x"}}}, {"m": mixture})
    shares_of = study.mixtures["m"]
    assert sum(shares_of.values()) == 1
    assert sum(share for name, share in shares_of.items() if name.startswith("pages/")) == Fraction(1, 7)
    uneven = [name for name, share in shares_of.items() if (share * 10_000).denominator > 1]
    assert uneven == ["pages/markdown", "text"], "what no ten-thousandth holds goes to the largest"
    assert min(shares_of.values()) == Fraction(1, 10_000), "rmarkdown has 0.02% of a seventh"


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=40),
    st.fractions(min_value=Fraction(1, 200), max_value=1, max_denominator=10**5),
)
def test_rounded_shares_are_near_exact_and_sum_to_the_whole(weights: list[int], share: Fraction) -> None:
    table = {str(i): Fraction(weight, sum(weights)) for i, weight in enumerate(weights)}
    got = rounded(share, table)
    assert sum(got.values()) == share
    assert list(got) == list(table)
    assert min(got.values()) >= Fraction(1, 10_000)
    for name, part in table.items():
        # Parts below one ten-thousandth are raised to it, at the cost of the others.
        assert abs(got[name] - share * part) <= Fraction(2 + len(table), 10_000)


def test_a_language_left_out_anywhere_up_the_line_has_no_share(make: Make) -> None:
    base = CODE | {
        "read": {"git": "r", "languages": ["python", "go", "rust"]},
        "keep": {"language": ["golang", "rust"]},
    }
    base.pop("split")
    derived = {"from": "web", "keep": {"language": ["go", "java"]}, "split": "language"}
    sources = {"web": base, "some": derived}
    study = make(sources, {"m": {"some": {"share": "100%", "as": "paper-languages"}}})
    assert study.mixtures["m"] == {"some/go": 1}
    with pytest.raises(RequestError, match="'some' has no documents whose language is 'rust'"):
        make(sources, {"m": {"some/rust": "100%"}})
    other = {"read": {"jsonl": "x"}, "split": "site", "keep": {"site": ["a.org", "b.org"]}}
    assert set(make({"n": other}, {"m": {"n/b.org": "100%"}}).mixtures["m"]) == {"n/b.org"}
    with pytest.raises(RequestError, match=r"site is 'c\.org'"):
        make({"n": other}, {"m": {"n/c.org": "100%"}})


def test_licences_have_one_spelling_and_parts_share_no_documents(make: Make) -> None:
    split = {"read": {"jsonl": "x"}, "split": "license", "keep": {"license": ["mit", "BSD-3-Clause"]}}
    mixture = {"n/MIT": "40%", "n/mit AND bsd-3-clause": "40%", "n/BSD-3-Clause": "20%"}
    study = make({"n": split}, {"m": mixture})
    assert list(study.mixtures["m"]) == ["n/MIT", "n/BSD-3-Clause AND MIT", "n/BSD-3-Clause"]
    assert all(study.sources[name].is_part for name in study.mixtures["m"])
    assert not [warning for warning in study.warnings if "same documents" in warning]
    with pytest.raises(RequestError, match="license is 'ISC'"):
        make({"n": split}, {"m": {"n/ISC": "100%"}})
    kept = {name: {"from": "n", "keep": {"license": [name]}} for name in ("MIT", "ISC")}
    study = make({"n": split, **kept}, {"m": {"MIT": "50%", "ISC": "50%"}})
    assert "the mixture 'm' has 'MIT' and 'ISC', which may have the same documents of 'n'" in study.warnings


def test_languages_have_one_spelling(make: Make) -> None:
    web = CODE | {"read": {"git": "r", "languages": ["C++", "c-sharp"]}}
    study = make({"web": web}, {"m": {"web/C++": "50%", "web/csharp": "50%"}})
    assert set(study.mixtures["m"]) == {"web/cpp", "web/c-sharp"}
    assert study.sources["web/cpp"].keep == {"language": ("cpp",)}
    assert parse_study(study.resolved()) == study


@pytest.mark.parametrize("beside", ["web", "all"])
def test_a_source_beside_what_it_is_made_from_is_refused(make: Make, beside: str) -> None:
    sources = {"all": {"read": {"git": "r"}}, "web": {"from": "all", "split": "language"}}
    with pytest.raises(RequestError, match=rf"web/python is (a part of|made from) {beside}: ") as caught:
        make(sources, {"m": {beside: "50%", "web/Python": "50%"}})
    assert (caught.value.where or "").endswith("mixtures.m.web/Python")
    with pytest.raises(RequestError, match=r"web/java is a part of web: ") as caught:
        make(sources | {"b": {"from": "web"}}, {"m": {"web/java": "10%", "web": "90%"}})


def test_siblings_that_may_have_the_same_documents_are_warned_of(make: Make) -> None:
    def said(**keeps: dict[str, Any]) -> list[str]:
        sources = {"web": {"read": {"git": "r"}}} | {name: {"from": "web", "keep": k} for name, k in keeps.items()}
        study = make(sources, {"m": dict.fromkeys(keeps, "50%")})
        return [warning for warning in study.warnings if "same documents" in warning]

    both = ["the mixture 'm' has 'a' and 'b', which may have the same documents of 'web'"]
    assert said(a={"language": ["go", "c"]}, b={"language": "c"}) == both
    assert said(a={"language": "c++"}, b={"language": ["c", "cpp"]}) == both
    assert said(a={"language": "go"}, b={"stars": "10.."}) == both
    assert said(a={"language": "go"}, b={"language": ["c"]}) == []
    assert said(a={"comment-share": "..10%"}, b={"comment-share": "10%.."}) == both, "the bound is in both"
    assert said(a={"comment-share": "..10%"}, b={"comment-share": "10.1%.."}) == []


def test_parts_may_be_parents_and_train_a_tokenizer(make: Make) -> None:
    clean = {"from": "web/Python", "filter": ["stack-v2"]}
    tokenizer = trained_on({"clean": "50%", "web/golang": "50%"})
    study = make({"web": CODE, "clean": clean}, {"m": {"clean": "100%"}}, tokenizer=tokenizer)
    assert study.sources["clean"].parent == "web/python"
    assert study.tokenizer.train is not None
    assert set(study.tokenizer.train.shares) == {"clean", "web/go"}
    assert study.made_sources == ("web", "clean", "web/python", "web/go")
    assert not [warning for warning in study.warnings if "web" in warning]
    assert parse_study(study.resolved()) == study
    with pytest.raises(RequestError, match="'web/go' is there twice"):
        make({"web": CODE}, tokenizer=trained_on({"web/go": "50%", "web/golang": "50%"}))


def test_of_several_split_sources_the_longest_name_has_the_part(make: Make) -> None:
    text = {"read": {"jsonl": "x"}, "split": "site"}
    study = make({"a": text, "a/": text | {"split": "year"}}, {"m": {"a//x": "100%"}})
    assert study.sources["a//x"].parent == "a/"


def test_a_split_whose_parts_nobody_names_is_warned_of(make: Make) -> None:
    text = {"read": {"jsonl": "x"}, "split": "nofield"}
    (said,) = (one for one in make({"a": text}, {"m": {"a": "100%"}}).warnings if "split" in one)
    assert said == "the source 'a' is split by nofield, and no part of it is named, as a/VALUE"
    assert not [one for one in make({"a": text}, {"m": {"a/x": "100%"}}).warnings if "split" in one]


def test_derived_sources_that_nothing_uses_are_not_made(make: Make) -> None:
    derived = {"from": "web", "filter": ["stack-v2"]}
    study = make({"web": CODE, "idle": derived, "way": derived, "end": {"from": "way"}}, {"m": {"end": "100%"}})
    assert study.made_sources == ("web", "way", "end")
    assert [warning for warning in study.warnings if "idle" in warning] == [
        "the source 'idle' is in no mixture, and not unseen: it is used for nothing, and not made"
    ]


def test_a_range_survives_writing_and_reading_whatever_its_numbers(make: Make) -> None:
    keep = {"stars": "1e-7..2.5e+20", "comment-share": "-0.1..1e-3%"}
    study = make({"web": CODE | {"keep": keep}})
    assert study.sources["web"].keep == {
        "stars": {"least": 1e-7, "most": 2.5e20}, "comment-share": {"least": -0.1, "most": 1e-5}
    }  # fmt: skip
    assert parse_study(study.resolved()) == study


PINNED = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("revision", [None, "main", PINNED[:12], PINNED.upper()])
def test_a_dataset_of_the_hub_is_pinned_to_a_commit(make: Make, revision: str | None) -> None:
    said = {"hub": "org/set"} | ({} if revision is None else {"revision": revision})
    with pytest.raises(RequestError, match="org/set is not pinned to a commit") as caught:
        make({"web": {"read": said}})
    assert "write revision: COMMIT (40 hex digits" in (caught.value.remedy or "")
    assert (caught.value.where or "").endswith("read.hub" if revision is None else "read.revision")
    make({"web": {"read": {"hub": "org/set", "revision": PINNED}}})
    make({"web": {"read": {"hub": "./folder"}}})


def test_the_papers_mixtures_are_divided_over_a_dataset_of_many_languages(make: Make) -> None:
    def read(*languages: str, **options: Any) -> dict[str, Any]:
        said = {"hub": "the-stack-dedup", "languages": list(languages), "revision": PINNED}
        return {"read": said | options, "split": "language"}

    mixture = {"web": {"share": "80%", "as": "paper-languages"}, "pages": {"share": "20%", "as": "paper-markup"}}
    study = make({"web": read("code"), "pages": read("markup")}, {"m": mixture})
    assert set(study.mixtures["m"]) == {
        *(f"web/{language}" for language in SHARES["paper-languages"]),
        *(f"pages/{language}" for language in SHARES["paper-markup"]),
    }
    assert study.sources["web"].group == "repository"
    assert parse_study(study.resolved()) == study
    some = make({"web": read("C++", "golang")}, {"m": {"web": {"share": "100%", "as": "paper-languages"}}})
    assert set(some.mixtures["m"]) == {"web/cpp", "web/go"}
    # A language in the name is known, too; a folder may hold any.
    one = {"read": {"hub": "the-stack-dedup/c++", "revision": PINNED}, "split": "language"}
    assert make({"web": one}, {"m": {"web": {"share": "100%", "as": "paper-languages"}}}).mixtures["m"] == {
        "web/cpp": 1
    }
    whole = make(
        {"web": {"read": {"hub": "./copy"}, "split": "language"}},
        {"m": {"web": {"share": "100%", "as": "paper-languages"}}},
    )
    assert len(whole.mixtures["m"]) == 25
    with pytest.raises(RequestError, match="'web' has no documents whose language is 'rust'"):
        make({"web": read("go")}, {"m": {"web/rust": "100%"}})


def test_a_ready_definition_has_defaults_that_a_study_replaces(make: Make) -> None:
    read = {"hub": "starcoderdata-commits", "revision": PINNED}
    ready = make({"web": {"read": read}}).sources["web"]
    assert (ready.group, ready.license) == ("repository", "permissive, by file (The Stack v1.2)")
    own = make({"web": {"read": read, "group": "document", "license": "MIT"}})
    assert (own.sources["web"].group, own.sources["web"].license) == ("document", "MIT")
    assert parse_study(own.resolved()) == own
    copy = make({"web": {"read": {"hub": "./copy", "as": "starcoderdata-commits"}}})
    assert copy.sources["web"].group == "repository"
    assert parse_study(copy.resolved()) == copy
    plain = make({"web": {"read": {"hub": "./copy", "fields": {"license": "lic", "site": "meta.site"}}}})
    assert (plain.sources["web"].group, plain.sources["web"].license) == ("document", None)
    assert parse_study(plain.resolved()) == plain


@pytest.mark.parametrize(
    ("read", "key", "message"),
    [
        ({"hub": "./copy", "as": "the-stack-dedup"}, "as", "needs a language"),
        ({"hub": "./copy", "as": "starcoder-commits"}, "as", "no ready definition"),
        ({"hub": "the-stack-dedup/go", "languages": ["go"]}, "languages", "names one already"),
        ({"hub": "./copy", "languages": ["go"]}, "languages", "is read by none"),
        ({"hub": "the-stack-dedup"}, "hub", "needs a language"),
        ({"hub": "./copy", "fields": {"code": "text"}}, "fields", "is the text"),
        ({"jsonl": "x", "as": "slimpajama"}, "as", "as does not apply to the reader jsonl"),
        ({"git": "x", "fields": {"a": "b"}}, "fields", "fields does not apply to the reader git"),
    ],
)
def test_what_a_dataset_cannot_be_read_as_has_the_line_of_its_key(
    make: Make, read: dict[str, Any], key: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        make({"web": {"read": read}})
    assert (caught.value.where or "").endswith(f"read.{key}")


def test_a_language_of_a_published_mixture_is_left_out_as_it_says(make: Make) -> None:
    mixture = {"m": {"web": {"share": "0.24%", "as": "paper-languages"}, "t": "99.76%"}}
    web = {"read": {"git": "r"}, "split": "language"}
    sources = {"web": web, "t": {"read": {"jsonl": "t"}}}
    with pytest.raises(RequestError, match="cannot be divided") as caught:
        make(sources, mixture)
    keep = (caught.value.remedy or "").partition("keep: {language: [")[2].partition("]")[0].split(", ")
    assert len(keep) == 24
    study = make(sources | {"web": web | {"keep": {"language": keep}}}, mixture)
    assert len(study.mixtures["m"]) == 25
    with pytest.raises(RequestError, match="paper-markup has no language of 'web'") as caught:
        make({"web": CODE}, {"m": {"web": {"share": "100%", "as": "paper-markup"}}})
    assert "give the source a share alone" in (caught.value.remedy or "")


def test_a_threshold_that_no_search_finds_is_refused(make: Make) -> None:
    text = {"text": {"read": {"jsonl": "x"}}}
    with pytest.raises(RequestError, match="at a threshold of 1% the search would miss more than 3%") as caught:
        make(text, **{"near-duplicates": {"threshold": "1%"}})
    assert (caught.value.where or "").endswith("near-duplicates.threshold")
    assert (caught.value.remedy or "").startswith("write 2.2% or more")
    assert make(text, **{"near-duplicates": {"threshold": "2.2%"}}).near_duplicates == NearDuplicates(0.022, 5)
    assert make(text, **{"near-duplicates": {"threshold": "100%"}}).near_duplicates == NearDuplicates(1.0, 5)


def test_a_parts_place_is_the_mixture_that_names_it(make: Make) -> None:
    study = make(
        {"web": CODE, "rest": CODE, "b": {"from": "rest/go"}},
        {"m": {"web/golang": "50%", "rest/python": "25%", "b": "25%"},
         "n": {"rest": {"share": "100%", "as": "paper-languages"}}},
    )  # fmt: skip
    assert study.where("sources.web/go.read") == "<python>, mixtures.m.web/golang"
    assert study.where("sources.rest/go") == "<python>, mixtures.n.rest"
    assert study.where("sources.web.read").endswith("sources.web.read")


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


def test_of_an_unseen_family_only_the_leaves_are_domains(make: Make) -> None:
    """Else the mean over domains would count the same documents twice."""
    news = {"read": {"jsonl": "n"}, "split": "site"}
    short = {"from": "news", "keep": {"characters": "..500"}}
    clean = {"from": "short", "filter": ["no-code"]}
    sources = {"text": {"read": {"jsonl": "x"}}, "news": news, "letters": {"read": {"jsonl": "l"}}}
    assert make(sources).transfer_sources == ("news", "letters")
    assert make(sources | {"short": short}).transfer_sources == ("letters", "short")
    study = make(sources | {"short": short, "clean": clean}, evaluate=["held-out", "transfer"])
    assert study.transfer_sources == ("letters", "clean")
    assert [warning for warning in study.warnings if "domain" in warning] == [
        "the source 'news' is no transfer domain itself, since 'short' is made from it",
        "the source 'short' is no transfer domain itself, since 'clean' is made from it",
    ]
    with pytest.raises(RequestError, match="the tokenizer must not see 'news'"):
        make(sources | {"short": short}, tokenizer=trained_on({"text": "50%", "news": "50%"}))


def test_near_duplicates_and_decontamination_are_on_unless_said_otherwise(make: Make) -> None:
    text = {"text": {"read": {"jsonl": "x"}}}
    study = make(text)
    assert (study.near_duplicates, study.decontaminate) == (NearDuplicates(0.8, 5), True)
    named = make(text, decontaminate=["humaneval", "mbpp", "humaneval"])
    assert (named.decontaminate, named.decontaminate_also) == (True, ("humaneval", "mbpp"))
    assert named.resolved()["decontaminate"] == ["humaneval", "mbpp"]
    assert parse_study(named.resolved()).decontaminate_also == ("humaneval", "mbpp")
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
        ({"web": {"read": {"git": "r"}, "keep": {"stars": "10%...80%"}}}, None, "is no range"),
        ({"web": {"read": {"git": "r"}, "keep": {"comment-share": "5-10%"}}}, None, "is a measure of the text"),
        ({"web": {"read": {"git": "r"}, "keep": {"stars": "high.."}}}, None, "'high..' is no range of numbers; write"),
        (
            {"web": {"read": {"git": "r"}, "keep": {"characters": "10%.."}}},
            None,
            "keep: characters is no share, and 10%.. is a percentage; write a number, such as characters: 10..",
        ),
        (
            {"web": {"read": {"git": "r"}, "keep": {"comment-share": "5.."}}},
            None,
            "comment-share is a share from 0 to 1, and 5 is none\n  Write comment-share: 5%.. or ends from 0 to 1",
        ),
        ({"web": {"read": {"git": "r"}, "keep": {"alphabetic-share": "..150%"}}}, None, "and 1.5 is none"),
        ({"web": {"read": {"git": "r"}, "keep": {"comment-share": "-2..-1"}}}, None, "and -1 is none"),
        (
            {"web": {"read": {"git": "r"}, "filter": [{"gopher-quality": {"min-mean": "3%"}}]}},
            None,
            "filter.0: min-mean of gopher-quality is '3%'; it is a number from 0 up\n"
            "  A percentage is for shares only. Its default is 3.0.",
        ),
        (
            {"web": {"read": {"git": "r"}, "filter": [{"gopher-quality": {"min-words": "500%"}}]}},
            None,
            "min-words of gopher-quality is '500%'; it is a whole number",
        ),
        (
            {"web": {"read": {"git": "r"}, "filter": [{"gopher": {"min-words": 9, "max-words": 8}}]}},
            None,
            "min-words of gopher-quality is 9, above its max-words, which is 8: it would drop every document",
        ),
        (
            {"web": {"read": {"git": "r"}, "filter": [{"starcoder-data": {"least": 6000}}]}},
            None,
            "least of starcoder-data is 6000, above its most, which is 5000",
        ),
        (
            {"web": {"read": {"git": "r"}, "filter": [{"license": {"allow": ["MITT"]}}]}},
            None,
            "`MITT` is no licence's SPDX identifier\n  Did you mean MIT?",
        ),
        (
            {"web": {"read": {"git": "r"}, "filter": [{"license": {"allow": ["xyzzy"]}}]}},
            None,
            "`xyzzy` is no licence's SPDX identifier\n  List \"permissive\"",
        ),
        ({"web": {"read": {"git": "r"}}}, {"m": {"web/go": "100%"}}, "split: language"),
        ({"web": {"read": {"git": "r"}}, "b": {"from": "web/go"}}, None, "give 'web' the field to split it by"),
        ({"web": {"from": "web/go", "split": "language"}}, None, "in a circle: web from web/go from web"),
        ({"web": CODE, "web/go": {"read": {"jsonl": "x"}}}, None, "is the name of a part of 'web', which is split by"),
        ({"web": CODE}, {"m": {"web/golang": "50%", "web/pyhton": "50%"}}, "no documents whose language is 'pyhton'"),
        ({"web": CODE}, {"m": {"web/go": "50%", "web/pyhton": "50%"}}, "did you mean 'python'?"),
        ({"web": CODE}, {"m": {"web/go": "50%", "web/golang": "50%"}}, "'web/go' is in the mixture twice"),
        (
            {"web": CODE | {"read": {"git": "r", "languages": ["smalltalk"]}, "keep": {"language": ["go"]}}},
            {"m": {"web": {"share": "100%", "as": "paper-languages"}}},
            "paper-languages has no language of 'web', which has none",
        ),
        (
            {"web": CODE | {"read": {"git": "r"}}, "t": {"read": {"jsonl": "t"}}},
            {"m": {"web": {"share": "0.24%", "as": "paper-languages"}, "t": "99.76%"}},
            "0.24% cannot be divided over 25 languages: each has at least 0.01%",
        ),
        ({"web": {"read": {"git": "r", "languages": ["c+"]}}}, None, "no language 'c+'"),
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


def test_a_folder_that_is_called_like_a_dataset_is_told_apart(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/hub").mkdir(parents=True)
    with pytest.raises(RequestError, match="there is a folder data/hub here") as caught:
        make({"web": {"read": {"hub": "data/hub"}}})
    assert str(caught.value.remedy).startswith("write ./data/hub for the folder")
    with pytest.raises(RequestError, match="there is a folder data here") as caught:
        make({"web": {"read": {"hub": "data"}}})
    assert caught.value.remedy == "write ./data for the folder, or the dataset's revision"
    with pytest.raises(RequestError, match="other/hub is not pinned to a commit"):
        make({"web": {"read": {"hub": "other/hub"}}})
    assert make({"web": {"read": {"hub": "data/hub", "revision": "0" * 40}}}).sources["web"].read
    assert make({"web": {"read": {"hub": "./data/hub"}}}).sources["web"].read


def test_what_is_just_right_is_taken(make: Make) -> None:
    study = make(
        {
            "web": {
                "read": {"git": "r"},
                "keep": {"comment-share": "0..100%", "name": ["a..b"], "score": "10%..300%"},
                "filter": [
                    {"gopher-quality": {"min-words": 8, "max-words": 8, "max-bullets": "90%", "min-mean": 0.03}},
                    # Known to SPDX alone, near to one that is known here; a name; one that is the user's own.
                    {"license": {"allow": ["CECILL-1.1", "apache 2.0", "LicenseRef-ours"]}},
                ],
            }
        }
    )
    assert study.sources["web"].keep == {
        "comment-share": {"least": 0.0, "most": 1.0},
        "name": ("a..b",),
        "score": {"least": 0.1, "most": 3.0},
    }


@pytest.mark.parametrize(
    ("said", "message", "remedy"),
    [
        (["humanevil"], "no benchmark whose texts are known is called 'humanevil'", "did you mean 'humaneval'"),
        ([], "names no benchmark", None),
        (["mbpp", 3], "must be true, false, or a list of benchmarks", None),
        ("mbpp", "must be true, false, or a list of benchmarks", None),
    ],
)
def test_a_benchmark_that_cannot_be_looked_for_is_refused(
    make: Make, said: Any, message: str, remedy: str | None
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        make({"t": {"read": {"jsonl": "t"}}}, decontaminate=said)
    assert (caught.value.where or "").endswith("decontaminate")
    assert remedy is None or remedy in (caught.value.remedy or "")
