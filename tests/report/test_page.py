"""The page's HTML, the folder, and the terminal's lines."""

from __future__ import annotations

import dataclasses
import hashlib
import html.parser
import itertools
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrial.report import format as text
from pretrial.report import page, tables, write
from pretrial.report.data import ReportData
from pretrial.report.figures import figures
from pretrial.report.summaries import (
    contaminated_sources,
    funnel_ends,
    funnel_steps,
    main_licences,
    nothing_found,
    reject_reasons,
)
from pretrial.report.terminal import comparison_lines


class Reader(html.parser.HTMLParser):
    """Tags, and the text outside of scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def parse(content: str) -> Reader:
    reader = Reader(content)
    reader.feed(content)
    return reader


def render(data: ReportData) -> str:
    return page.render(data, figures(data), [("results.csv", "every metric")])


def words_of(data: ReportData) -> str:
    """The words of a page without its charts, which take nearly all of its time."""
    return parse(page.render(data, [], [("results.csv", "every metric")])).text


@pytest.fixture(scope="module")
def plain(data: ReportData) -> Reader:
    return parse(render(data))


def test_json_in_html_holds_no_character_that_ends_a_script() -> None:
    value = {"</script><!--&\u2028\u2029": ["<b>", 1.5, None]}
    made = page.json_in_html(value)
    assert not set(made) & set("<>&\u2028\u2029")
    assert json.loads(made) == value


@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=4)))
def test_json_in_html_reads_back(value: object) -> None:
    assert json.loads(page.json_in_html(value)) == value


def test_hostile_names_make_no_element(data: ReportData, hostile: ReportData) -> None:
    content = render(hostile)
    assert "img" not in [tag for tag, _ in parse(content).tags]
    assert "window.pwned=1</script>" not in content
    scripts = [attrs for tag, attrs in parse(content).tags if tag == "script"]
    assert [attrs.get("type") for attrs in scripts] == ["application/json", None, None]
    assert not [name for _, attrs in parse(content).tags for name in attrs if name.startswith("on")]


def test_the_policy_forbids_every_load_and_names_the_scripts(data: ReportData) -> None:
    content = render(data)
    (rule,) = [
        attrs["content"] or ""
        for _, attrs in parse(content).tags
        if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in rule
    assert "connect-src 'none'" in rule
    assert "unsafe-eval" not in rule
    assert "'unsafe-inline'" not in rule.split("script-src")[1].split(";")[0]
    assert rule.count("'sha256-") == 2


def test_the_page_names_no_other_place(plain: Reader) -> None:
    for tag, attrs in plain.tags:
        for name in ("src", "href", "action", "data"):
            link = attrs.get(name) or ""
            assert not link.startswith(("http", "//", "file", "/")), (tag, link)


def test_verdicts_come_before_the_comparison_in_plain_words(plain: Reader) -> None:
    words = plain.text
    assert words.index("supported") < words.index("Comparison with text→text") < words.index("Ledger")
    assert "0.290 bits per byte less than text→text, which is better" in words
    assert "95% interval: between 0.259 and 0.321 less" in words
    assert "from 0.010 less to 0.034 more, zero included" in words
    assert "exploratory: seeds were added after a look at the results" in words
    assert "not registered before the results" not in words


def test_an_undecided_estimate_is_not_called_worse(data: ReportData) -> None:
    shown = page.card(data, data.claims[1])
    assert shown.headline == "0.012 bits per byte more than text→text"


def test_a_claim_shows_the_p_that_its_verdict_used(data: ReportData) -> None:
    registered, _, late = data.claims
    late = {**late, "p": 0.004, "p_adjusted": 0.012}
    assert page.card(data, registered).sure == "one-sided p = 0.001 after Holm; 3 seeds × 118 items"
    assert page.card(data, late).sure == "one-sided p = 0.012 after Holm over the late claims; 3 seeds × 118 items"
    lines = "\n".join(comparison_lines(dataclasses.replace(data, claims=[registered, late]), 200))
    assert "p = 0.001 after Holm\n" in lines
    assert "p = 0.012 after Holm, exploratory: seeds were added after a look at the results" in lines
    assert "0.004" not in lines
    untested = {**late, "p": None, "p_adjusted": None}
    assert page.card(data, untested).sure == "3 seeds × 118 items"
    assert ", p " not in "\n".join(comparison_lines(dataclasses.replace(data, claims=[untested]), 200))


def test_a_claim_shows_its_companions(data: ReportData, plain: Reader) -> None:
    assert "Beside it: bootstrap over seeds and items [−0.322, −0.257]" in plain.text
    six = {**data.claims[0], "sign_flip_p": 1 / 64}
    assert page.card(data, six).companions.endswith("; flipping the signs of seeds p = 0.016")
    none = {**six, "bootstrap_low": None, "bootstrap_high": None, "sign_flip_p": None}
    assert page.card(data, none).companions == ""


def test_a_claim_without_an_estimate_says_why_once(data: ReportData) -> None:
    empty = {**data.claims[0], "estimate": None, "low": None, "high": None, "p_adjusted": None, "reason": "no result"}
    words = words_of(dataclasses.replace(data, claims=[empty]))
    assert words.count("no result") == 1


def test_every_variant_stands_beside_its_own_3_gram(data: ReportData) -> None:
    table = {(row["category"], row["task"]): row for row in page.anchor_table(data)}
    prose = table["held-out", "prose"]
    assert [gram for _, gram in prose["variants"]] == ["2.900", "2.910", "2.920", "2.930"]
    assert (prose["zstd"], prose["chance"]) == ("2.720", text.DASH)
    ends = {
        name: [
            row["value"]
            for row in data.results
            if (row["variant"], row["task"], row["tokens"]) == (name, "prose", 300_032)
        ]
        for name in data.variant_names
    }
    assert [own for own, _ in prose["variants"]] == [f"{sum(values) / 3:.3f}" for values in ends.values()]
    written = tables.small_tables(data)["anchors"]
    assert written[0] == ("category", "task", "metric", "variant", "value", "n_seeds", "three_gram", "zstd", "chance")
    first = [row for row in written[1] if (row["category"], row["task"]) == ("held-out", "prose")]
    assert [row["variant"] for row in first] == data.variant_names
    assert [row["three_gram"] for row in first] == pytest.approx([2.9, 2.91, 2.92, 2.93])
    assert {row["n_seeds"] for row in first} == {3}


@pytest.fixture
def cloze(data: ReportData) -> ReportData:
    """The example with a cloze task: an accuracy at the end of each variant, its 3-gram's, and a guesser's."""
    document = data.to_json()
    for number, variant in enumerate(data.variant_names):
        for seed in data.seeds:
            for task, value in (("prose", 0.31), ("mean", 0.41)):
                document["results"].append(
                    {
                        **data.results[0],
                        "variant": variant,
                        "seed": seed,
                        "tokens": 300_032,
                        "category": "cloze",
                        "task": task,
                        "metric": "accuracy",
                        "value": value + number / 100,
                        "chance": 0.25,
                    }
                )
        document["anchors"].append(
            {
                "variant": variant,
                "category": "cloze",
                "task": "prose",
                "metric": "accuracy",
                "anchor": "3-gram",
                "value": 0.5 + number / 100,
            }
        )
    for task, base in (("mean", 0.41), ("prose", 0.31)):
        row = {**data.comparisons[0], "category": "cloze", "task": task, "metric": "accuracy", "base_value": base}
        document["comparisons"].append(row)
    document["categories"].append({"name": "cloze", "note": ""})
    document["definitions"].append(
        {"metric": "accuracy", "version": 1, "unit": "share", "higher_is_better": True, "sentence": "Share of items."}
    )
    return ReportData.from_json(document)


def test_cloze_stands_beside_its_3_gram_and_chance(cloze: ReportData) -> None:
    (row,) = [row for row in page.anchor_table(cloze) if row["category"] == "cloze"]
    assert row["variants"] == [("31.0%", "50.0%"), ("32.0%", "51.0%"), ("33.0%", "52.0%"), ("34.0%", "53.0%")]
    assert (row["chance"], row["zstd"]) == ("25.0%", text.DASH)


def test_chance_stands_beside_accuracies_and_in_their_definition(cloze: ReportData) -> None:
    groups = {(group["category"], group["task"]): group["chance"] for group in page.comparison_groups(cloze)}
    assert groups["cloze", "mean"] == groups["cloze", "prose"] == "25.0%"
    assert groups["transfer", "mean"] == ""
    words = words_of(cloze)
    assert "text→text 31.0%, chance 25.0%" in words
    assert "Share of items. Chance: prose 25.0%." in words
    twice = [{**row, "task": "code", "chance": 0.25} for row in cloze.results if row["task"] == "prose"]
    assert page.guesses(dataclasses.replace(cloze, results=[*cloze.results, *twice]))["accuracy"] == "cloze 25.0%"
    other = [{**row, "chance": 0.5} for row in twice]
    assert page.guesses(dataclasses.replace(cloze, results=[*cloze.results, *other]))["accuracy"] == (
        "prose 25.0%, code 50.0%"
    )


def test_every_table_of_the_page_has_its_file(report: Path, data: ReportData) -> None:
    content = (report / "index.html").read_text(encoding="utf-8")
    parts = content.split('<script type="application/json"')[0].split("<table")[1:]
    assert len(parts) == 17
    for part in parts:
        link = re.search(r'<p class="files"><a href="([^"]+\.csv)">', part)
        assert link is not None, part[:80]
        assert (report / link[1]).is_file()
    written = tables.small_tables(data)
    assert len(written["ledger-means"][1]) == len({(r["variant"], r["stage"], r["source"]) for r in data.ledger})
    assert [row["bytes"] for row in written["sources"][1]] == [row["bytes"] for row in data.funnel]
    (row,) = [
        row
        for row in written["ledger-means"][1]
        if (row["variant"], row["stage"], row["source"]) == ("text→text", "1", "prose")
    ]
    assert row["mean_attended_context"] == pytest.approx(91.25 + 2 / 7)


def test_a_source_says_where_its_documents_ended_and_what_it_was_made_from(data: ReportData) -> None:
    made = [{**row, "made_from": "prose"} if row["source"] == "python" else row for row in data.funnel]
    words = words_of(dataclasses.replace(data, funnel=made))
    assert "python made from prose 3,310 read (23.1 MB), 3,310 after its steps (23.1 MB)" in words
    assert "trains: 2,990 (21.3 MB, 5.33M tokens) held out: 120 (700 KB, 175K tokens)" in words
    assert "near-duplicates of documents that train: 150 (800 KB); near-duplicates of held-out documents: 30" in words


def test_what_trains_stands_first_though_its_tokens_were_not_made(data: ReportData) -> None:
    made = [{**row, "tokens": None} if row["step"] == "trains" else row for row in data.funnel]
    untokenised = dataclasses.replace(data, funnel=made)
    assert [[part["step"] for part in source["used"]] for source in funnel_ends(untokenised)] == [
        ["trains", "held out"]
    ] * 2
    words = words_of(untokenised)
    assert "trains: 2,990 (21.3 MB, tokens not made yet) held out: 120 (700 KB, 175K tokens)" in words


def test_a_source_that_no_step_changes_is_read_once(data: ReportData) -> None:
    read = [row for row in data.funnel if row["step"] not in ("no-code", "stack-v2")]
    words = words_of(dataclasses.replace(data, funnel=read))
    assert "python 3,310 read (23.1 MB) trains: 2,990" in words


def test_steps_that_changed_nothing_and_parts_without_documents_are_one_line_each(data: ReportData) -> None:
    none = {**data.funnel[0], "source": "python", "documents": 0, "bytes": 0}
    parts = [{**none, "step": step, "part": True} for step in ("held a benchmark item", "exact copies, left out")]
    redacted = {**none, "step": "redact", "part": False, "documents": 3_310, "bytes": 23_000_000}
    rows = [*data.funnel[:7], {**data.funnel[6], "step": "license"}, redacted, *data.funnel[7:], *parts]
    more = dataclasses.replace(data, funnel=rows)
    prose, python = funnel_steps(more)
    assert (prose["idle"], prose["empty"]) == ([], [])
    assert [row["step"] for row in python["rows"]][:3] == ["read", "redact", "trains"]
    assert python["idle"] == ["stack-v2", "license"]
    words = words_of(more)
    assert "nothing was changed by stack-v2 and license" in words
    assert "empty parts: held a benchmark item; exact copies, left out" in words
    assert len(tables.small_tables(more)["sources"][1]) == len(rows)


def test_the_documents_of_other_parts_of_a_split_are_one_row(data: ReportData) -> None:
    funnel = [{**row, "source": "code/go", "made_from": "code"} for row in data.funnel[5:]]
    reasons = [
        {"source": "code/go", "rule": rule, "reason": f"language={number}", "documents": number}
        for rule, most in (("keep", 28), ("other", 3))
        for number in range(1, most)
    ]
    split = dataclasses.replace(data, funnel=funnel, rejects=reasons)
    assert [(row["rule"], row["reason"], row["documents"]) for row in reject_reasons(split)] == [
        ("keep", "not in this part", 378),
        ("other", "language=1", 1),
        ("other", "language=2", 2),
    ]
    assert len(tables.small_tables(split)["rejects"][1]) == 29
    whole = dataclasses.replace(split, funnel=[{**row, "made_from": "other"} for row in funnel])
    assert "22 others" in [row["reason"] for row in reject_reasons(whole)]


def test_long_lists_of_reasons_and_licences_end_in_the_others(data: ReportData, plain: Reader) -> None:
    assert [row["reason"] for row in reject_reasons(data)] == [
        "symbols",
        "short",
        "braces",
        "keywords",
        "indented",
        "2 others",
    ]
    assert reject_reasons(data)[-1]["documents"] == 26
    assert sum(row["documents"] for row in main_licences(data)) == 2_990
    assert [row["license"] for row in main_licences(data)] == ["MIT", "Apache-2.0", "", "BSD-3-Clause", "3 others"]
    assert "not stated 500" in plain.text
    six = dataclasses.replace(data, rejects=data.rejects[:6])
    assert [row["reason"] for row in reject_reasons(six)][-1] == "doctest"
    written = tables.small_tables(data)
    assert len(written["rejects"][1]) == 7
    assert len(written["licences"][1]) == 7


def test_benchmark_items_are_told_by_source_and_by_arm(plain: Reader) -> None:
    assert "hold an item of piqa (1,838 items, 200 of them evaluated)" in plain.text
    assert "nobody knows whether a document holds them: 108 of piqa (16 of those evaluated)" in plain.text
    assert "python piqa 24 of 3,310 0.73% 31 of 1,838 4 of 200 " in plain.text
    assert "piqa 200 items evaluated text→ text none none" in plain.text
    assert "balanced→ text 20 documents with 27 items 3 of those evaluated none" in plain.text


def test_sources_and_benchmarks_without_items_are_said_in_a_sentence(data: ReportData) -> None:
    any_, piqa = data.contamination
    none = {"contaminated": 0, "rate": 0.0, "evaluated_found": 0}
    clean = {**piqa, **none, "items": 0}
    arc = {"benchmark": "arc_easy", "of": 1_663, "unfindable": 0, "evaluated_unfindable": 0}
    made = {row["source"]: row for row in data.funnel}
    news, derived = ({**made["prose"], "source": "news"}, {**made["prose"], "source": "d", "made_from": "python"})
    more = dataclasses.replace(
        data,
        funnel=[*data.funnel, news, derived],
        contamination=[
            *({**row, "source": "prose", "documents": 40} for row in ({**any_, **none}, clean, {**clean, **arc})),
            any_,
            piqa,
            {**clean, **arc},
        ],
        arms=[*data.arms, *({**row, "benchmark": "arc_easy", "before_documents": 0} for row in data.arms)],
    )
    assert {source: len(rows) for source, rows in contaminated_sources(more).items()} == {"python": 1}
    assert nothing_found(more) == [
        "No document of prose (40) holds an item of piqa or arc_easy.",
        "No document of python (3,310) holds an item of arc_easy.",
        "Not looked at: news; only what an arm trains on is.",
    ]
    words = words_of(more)
    assert "No arm had, or would have had, an item of arc_easy." in words
    assert "prose piqa" not in words
    assert len(tables.small_tables(more)["contamination"][1]) == 6
    both = [any_, piqa, {**piqa, **arc}]
    assert [
        row["benchmark"] for row in contaminated_sources(dataclasses.replace(data, contamination=both))["python"]
    ] == [
        "any",
        "piqa",
        "arc_easy",
    ]


def test_no_two_columns_of_a_table_are_called_alike(plain: Reader) -> None:
    seen = []
    for part in re.findall("(?s)<thead>(.*?)</thead>", plain.source):
        if 'scope="colgroup"' not in part:
            seen.append(re.findall("(?s)<th [^>]*>(.*?)</th>", part))
    assert len(seen) > 10
    for names in seen:
        assert len(set(names)) == len(names), names


def test_sources_without_near_duplicates_are_named_together(data: ReportData) -> None:
    none = {**data.near_duplicates[0], "near": 0, "within": 0, "across": 0, "others": {}}
    words = words_of(dataclasses.replace(data, near_duplicates=[{**none, "source": "news"}, *data.near_duplicates[1:]]))
    assert "None of news is near another." in words
    assert "python 3,310 180 40 55 with prose" in words


def test_boxes_that_scroll_are_reached_and_named(plain: Reader) -> None:
    boxes = [attrs for tag, attrs in plain.tags if tag == "div" and attrs.get("class") == "scroll"]
    assert len(boxes) > 10
    assert {(box.get("tabindex"), box.get("role")) for box in boxes} == {("0", "region")}
    labels = [box["aria-label"] for box in boxes]
    assert all(labels)
    assert len(set(labels)) == len(labels)


def test_a_benchmark_that_is_only_looked_for_has_no_evaluated_items(data: ReportData) -> None:
    asked = {"evaluated": None, "evaluated_found": None}
    sources = [{**row, **asked, "evaluated_unfindable": None, "benchmark": "mbpp"} for row in data.contamination[1:]]
    arms = [{**row, **asked, "before_evaluated": None, "benchmark": "mbpp"} for row in data.arms]
    words = words_of(dataclasses.replace(data, contamination=sources, arms=arms))
    assert "mbpp (1,838 items)" in words
    assert "python mbpp 24 of 3,310 0.73% 31 of 1,838 " in words
    assert "Evaluated items found" not in words
    assert "balanced→ text 20 documents with 27 items none" in words


def test_arms_that_had_different_items_are_named_on_the_terminal(data: ReportData) -> None:
    said = "piqa: arms had different items"
    lines = comparison_lines(dataclasses.replace(data, contaminated_differently=[said]), 200)
    assert f"Contaminated differently: {said}" in lines
    assert not any("Contaminated" in line for line in comparison_lines(data, 200))


def test_clean_scores_stand_beside_the_benchmarks_first_metric(data: ReportData, plain: Reader) -> None:
    words = plain.text
    assert words.index("Benchmarks on clean items") < words.index("What differs between the arms")
    assert "piqa acc 0.520 0.510 −0.010 196 of 200 16 – " in words
    assert "piqa acc 0.520 0.510 −0.010 196 of 200 16 +0.021 [+0.004, +0.038]" in words
    assert "count as clean" in words
    assert "acc_norm" not in words
    none = [{**row, "clean_value": None, "difference": None, "n_clean": 0} for row in data.clean]
    assert "piqa acc 0.520 – – 0 of 200" in words_of(dataclasses.replace(data, clean=none))
    share = [{"metric": "acc", "version": 1, "unit": "share", "higher_is_better": True, "sentence": "A share."}]
    shown = dataclasses.replace(data, definitions=[*data.definitions, *share])
    assert "piqa acc 52.0% 51.0% −1.0 points 196 of 200 16 +2.1 points [+0.4, +3.8]" in words_of(shown)
    assert page.clean_table(dataclasses.replace(shown, clean=none))[0]["rows"][0]["difference"] == text.DASH


def test_a_study_without_benchmarks_near_duplicates_and_rules_has_none_of_their_tables(data: ReportData) -> None:
    bare = dataclasses.replace(
        data,
        rejects=[],
        removed=[],
        near_duplicates=[],
        licences=[],
        contamination=[],
        arms=[],
        matches=[],
        clean=[],
    )
    words = words_of(bare)
    for absent in ("Near-duplicates", "Benchmark items", "Licences", "clean items", "dropped", "taken out"):
        assert absent not in words
    assert "Every step of every source" in words
    assert {"rejects", "removed", "near-duplicates", "licences", "contamination", "matches", "clean"}.isdisjoint(
        tables.small_tables(bare)
    )


def test_what_has_no_result_is_listed_with_its_file(data: ReportData, tmp_path: Path) -> None:
    gap = {"variant": "code→text", "seed": 2, "reason": "cloze prose: not a finite number"}
    lost = dataclasses.replace(data, missing=[gap])
    assert "code→text, seed 2: cloze prose: not a finite number" in words_of(lost)
    assert "tables/missing.csv" in page.render(lost, [], [])


def test_time_is_called_computing_time(plain: Reader) -> None:
    assert "Computing time 3 min 03 s" in plain.text
    assert "3 min 03 s of computing" in plain.text


def test_a_tie_is_neither_more_nor_less(data: ReportData) -> None:
    tie = {**data.claims[1], "estimate": 0.0, "low": None, "high": None}
    shown = page.card(data, tie)
    assert (shown.headline, shown.between) == ("No difference in bits per byte from text→text", "No interval")


def test_small_models_are_a_method_check_whatever_the_data_says(data: ReportData, plain: Reader) -> None:
    assert data.banners == []
    assert "not evidence about larger models" in plain.text
    large = dataclasses.replace(data, model={**data.model, "parameters": 15_000_000})
    assert large.notices == []


def test_category_means_come_before_tasks(data: ReportData) -> None:
    groups = page.comparison_groups(data)
    assert [group["overall"] for group in groups] == [True, True, False, False, False, False]
    assert [group["category"] for group in groups[:2]] == ["transfer", "held-out"]


def test_a_claim_row_stands_for_its_exploratory_twin(data: ReportData) -> None:
    claimed = next(row for row in data.comparisons if row["claim"])
    twin = {**claimed, "claim": None, "claim_verdict": None}
    doubled = dataclasses.replace(data, comparisons=[twin, *data.comparisons])
    assert doubled.final_comparisons() == data.final_comparisons()


def test_headings_descend_by_one(plain: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in plain.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert dict(plain.tags)["html"].get("lang") == "en"


def test_every_chart_has_words(plain: Reader) -> None:
    charts = [attrs for _, attrs in plain.tags if "data-chart" in attrs]
    assert len(charts) == 14
    assert all(len(attrs["aria-label"] or "") > 20 for attrs in charts)


def test_one_seed_without_claims_or_intervals_still_makes_a_page(data: ReportData) -> None:
    rows = [
        {**row, "low": None, "high": None, "se": None, "mde": None, "p": None, "p_adjusted": None, "claim": None}
        for row in data.comparisons
    ]
    few = dataclasses.replace(
        data,
        claims=[],
        comparisons=rows,
        seeds=[1],
        cost=None,
        training=[],
        evaluation=[],
        funnel=[],
        anchors=[],
        registration=[],
    )
    assert "everything below is exploratory" in words_of(few)


def test_data_survives_json(data: ReportData) -> None:
    again = ReportData.from_json(json.loads(json.dumps(data.to_json(), allow_nan=False)))
    assert again == data


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_report_is_the_same_bytes_twice_and_links_only_what_is_there(
    report: Path, data: ReportData, items: dict[str, list[Any]], tmp_path: Path
) -> None:
    write.write_report(tmp_path / "report", data, items)
    assert digests(report) == digests(tmp_path / "report")
    links = [attrs.get("href") or "" for tag, attrs in parse((report / "index.html").read_text()).tags if tag == "a"]
    files = {link for link in links if not link.startswith("#")}
    assert {"results.csv", "comparisons.csv", "ledger.csv", "items.parquet", "figures/effects.svg"} <= files
    assert files <= set(digests(report))
    assert (report / "index.html").stat().st_size < 2_000_000


def test_a_report_that_fails_leaves_the_old_one(data: ReportData, tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "index.html").write_text("old")
    with pytest.raises(ValueError, match="does not fit"):
        write.write_report(out, dataclasses.replace(data, results=[{"variant": "x"}]))
    assert (out / "index.html").read_text() == "old"


def test_what_a_killed_writer_left_is_cleared(data: ReportData, tmp_path: Path) -> None:
    for rest in (".report.new", ".report.old"):
        (tmp_path / rest).mkdir()
        (tmp_path / rest / "half").write_text("half")
    bare = dataclasses.replace(data, comparisons=[], ledger=[], training=[], evaluation=[], funnel=[])
    write.write_report(tmp_path / "report", bare)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert not (tmp_path / "report" / "half").exists()


def test_no_table_but_cost_holds_a_timing(report: Path) -> None:
    for path in report.rglob("*.csv"):
        if path.name != "cost.csv":
            assert "seconds" not in path.read_text().splitlines()[0], path


def test_terminal_lines_fit_and_say_the_words(data: ReportData, hostile: ReportData) -> None:
    lines = comparison_lines(data, 80)
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Method check")
    assert "                 balanced→text      +0.012 [−0.010, +0.034]  undecided *" in lines
    assert any("What it does not show" in line for line in lines)
    for width in (40, 57, 80, 200):
        narrow = comparison_lines(hostile, width)
        assert max(map(len, narrow)) <= width
        assert not [c for line in narrow for c in line if unicodedata.category(c) in ("Cc", "Zl", "Zp")]


def test_terminal_takes_control_characters_out_of_names(data: ReportData) -> None:
    rows = [{**row, "task": "\x1b[2J\x1b[1;1H" + row["task"]} for row in data.comparisons]
    assert "\x1b" not in "".join(comparison_lines(dataclasses.replace(data, comparisons=rows)))


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (text.difference(0.0371, "bits per byte"), "+0.037"),
        (text.difference(-0.0371, "bits per byte"), "−0.037"),
        (text.difference(-0.0001, "bits per byte"), "0.000"),
        (text.difference(0.0123, "share"), "+1.2"),
        (text.interval(-0.001, 0.0152, "bits per byte"), "[−0.0010, +0.0152]"),
        (text.interval(None, 0.1, "share"), "–"),
        (text.value(0.3125, "share"), "31.2%"),
        (text.short(300_288), "300K"),
        (text.short(3_150_336), "3.15M"),
        (text.size(1_500_000), "1.5 MB"),
        (text.duration(7500), "2 h 05 min"),
        (text.duration(59.6), "1 min 00 s"),
        (text.exponent(2.31e13), "2.3 × 10¹³"),
        (text.probability(0.0004), "< 0.001"),
        (text.listing(["a", "b", "c"]), "a, b and c"),
        (text.small_share(24 / 3310), "0.73%"),
        (text.small_share(1 / 3e6), "0.000033%"),
        (text.small_share(0.0), "0%"),
        (text.small_share(1.0), "100%"),
        (text.small_share(None), "–"),
    ],
)
def test_numbers_as_people_read_them(made: str, shown: str) -> None:
    assert made == shown


def test_the_spec_is_light() -> None:
    code = "import sys, pretrial.report.spec; print([m for m in ('torch', 'pyarrow', 'altair') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_small_tables_are_all_written(report: Path, data: ReportData) -> None:
    for name, (columns, rows, _) in tables.small_tables(data).items():
        lines = (report / "tables" / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        assert lines[0] == ",".join(columns)
        assert len(lines) == 1 + len(rows)


def test_shares_are_in_per_cent_and_points_and_more_is_better(data: ReportData) -> None:
    accuracy = {
        **data.comparisons[0],
        "category": "benchmark",
        "task": "piqa",
        "metric": "acc",
        "higher_is_better": True,
        "base_value": 0.512,
        "value": 0.5,
        "absolute": -0.012,
        "low": -0.021,
        "high": -0.003,
        "mde": 0.01,
        "delta": 0.005,
        "relative": None,
        "verdict": "worse",
    }
    points = [
        {**point, "category": "benchmark", "task": "piqa", "metric": "acc", "value": point["value"] / 5}
        for point in data.evaluation
        if point["task"] == "prose"
    ]
    definition = {
        "metric": "acc",
        "version": 1,
        "unit": "share",
        "higher_is_better": True,
        "sentence": "Share of items whose likeliest choice is right.",
    }
    document = data.to_json()
    document["comparisons"].append(accuracy)
    document["evaluation"] += points
    document["definitions"].append(definition)
    more = ReportData.from_json(document)
    (group,) = [group for group in page.comparison_groups(more) if group["category"] == "benchmark"]
    (row,) = group["rows"]
    assert (group["base"], row["value"], row["difference"]) == ("51.2%", "50.0%", "−1.2")
    assert (row["interval"], row["relative"], row["mde"]) == ("[−2.1, −0.3]", "–", "1.0")
    words = parse(render(more)).text
    assert "acc, higher is better" in words
    panels = {panel.title: panel for figure in figures(more) for panel in figure.panels}
    assert "piqa: −1.2 [−2.1, −0.3], worse" in panels["benchmark"].label
