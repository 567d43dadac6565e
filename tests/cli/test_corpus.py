"""`pretrial corpus`: what it prints, for people and for machines, and what it refuses."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import seen
import smoke
from commands import Cli, Said
from pretrial.inspecting.terminal import _why, print_sample
from seen import Seen


@pytest.fixture
def place() -> Iterator[Seen]:
    """The study whose corpora hold one of everything; nothing may change it."""
    made = seen.made()
    with seen.quiet():
        yield made


@pytest.fixture
def cli(call: Cli) -> Cli:
    """Run `pretrial corpus …` in this process, with the study's file and places after the command."""

    def cli(place: Seen, command: str, *arguments: str, study: Path | None = None) -> Said:
        return call("corpus", command, study or place.study, *arguments, *place.options)

    return cli


@pytest.fixture
def fresh(place: Seen, tmp_path: Path) -> Seen:
    """The same study with an empty store."""
    shutil.copytree(place.folder, tmp_path / "seen", ignore=shutil.ignore_patterns("store", "work"))
    return Seen(tmp_path / "seen")


# -- what is printed ---------------------------------------------------------------------------------------------------

EVERY = [
    ["build"],
    ["inspect", "web", "--hits", "--measure", "comment-share", "--field", "thread"],
    ["inspect", "tiny"],
    ["sample", "web", "-n", "400"],
    ["sample", "web", "--rule", "gopher-quality"],
    ["sample", "web", "--class", "near-duplicate", "-n", "40"],
    ["sample", "web", "--class", "near-held-out", "-n", "40"],
    ["sample", "web", "--class", "excluded"],
    ["sample", "web", "--class", "duplicate"],
    ["sample", "web", "--class", "contaminated"],
    ["sample", "web", "--class", "contaminated", "--list"],
    ["sample", "web", "--class", "near-duplicate", "--list"],
    ["sample", "web", "--class", "near-held-out", "--list"],
    ["sample", "web", "--class", "train", "--list", "-n", "9"],
    ["sample", "web", "--class", "quarantined"],
    ["sample", "web", "--class", "quarantined", "--list"],
    ["sample", "web", "--rule", "gopher-quality/min-words"],
    ["sample", "web", "--rule", "gopher-quality/min-words", "--list"],
    ["sample", "tiny", "--class", "excluded"],
    ["sample", "tiny", "--rule", "keep characters"],
    ["trace", "branch", "--token", "20000"],
    ["trace", "trunk", "--token", "0", "--seed", "2", "--around", "5000"],
]  # fmt: skip


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_output_is_plain_lines_of_at_most_120_columns_without_hidden_characters(
    cli: Cli, place: Seen, words: list[str]
) -> None:
    said = cli(place, *words)
    assert said.code == 0, said.err
    for line in said.out.splitlines():
        assert sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line) <= 120
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in line), repr(line)


@pytest.mark.parametrize("words", EVERY[1:], ids=" ".join)
def test_json_says_what_python_says(cli: Cli, place: Seen, words: list[str]) -> None:
    said = cli(place, *words, "--json")
    assert (said.code, said.err) == (0, "")
    corpora = place.trial().corpora()
    command, what, *rest = words
    names = {"-n": "n", "--class": "of"}
    listed = {"listed": True} if "--list" in rest else {}
    rest = [word for word in rest if word != "--list"]
    options: dict[str, Any] = {
        names.get(key, key.strip("-")): int(value) if value.isdigit() else value
        for key, value in zip(rest[::2], rest[1::2], strict=False)
    }
    if command == "inspect" and rest:
        options = {"hits": True, "measures": ["comment-share"], "fields": ["thread"]}
    assert json.loads(said.out) == json.loads(json.dumps(getattr(corpora, command)(what, **options, **listed)))


def test_build_shows_the_funnel_of_every_source(cli: Cli, place: Seen) -> None:
    text = cli(place, "build").out
    for line in (
        r"web \(trains\)",
        r"  gopher-quality +386 +[\d,]+ +\d\d\.\d% +≈[\d,]+",
        r"  → trains +221 +[\d,]+ +[\d.]+% +51,955",
        r"  → near-duplicates of held-out text +5 .*",
        r"  → hold benchmark items +3 .*",
        r"  read from 2 files, [\d,]+ bytes",
        r"  no-code: nothing *",
        r" +documents +bytes +of bytes read +tokens \(≈ 0\.\d{3} a byte\)",
        r" +documents +bytes +of bytes read +tokens \(≈ 0\.333 a byte assumed\)",
        r"  dropped by keep characters: 122 outside \.\.250",
        r"  dropped by gopher-quality: min-words 1",
        r"  dropped by keep: language=fr 1",
        r"  quarantined: malformed-json 2",
        r"tiny \(trains, from bare\)",
        r"  taken out by strip-comments: [a-z]+ [\d,]+ bytes",
        r"bare \(on the way to others, from code\)",
        r"mail \(transfer domain\)",
        r"Nothing to do: the corpora are made \(.*\)\.",
    ):
        assert re.search(f"^{line}$", text, flags=re.M), line


def test_a_source_that_nothing_uses_is_said(cli: Cli, place: Seen) -> None:
    study = place.variation("spare", "\nmixtures:", "  spare: {from: code, keep: {lines: ..5}}\n\nmixtures:")
    said = cli(place, "build", study=study)
    assert said.code == 0, said.err
    assert "\nspare (in no mixture, used for nothing, from code)\n  it is not made: put it in a mixture, or" in said.out
    assert json.loads(cli(place, "build", "--json", study=study).out)["unused"] == ["spare"]
    alone = cli(place, "build", "--source", "spare", study=study)
    assert alone.code == 2
    assert "the source spare is not made" in alone.err
    assert "# Data card: tiny" in cli(place, "card", "--all", study=study).out


def test_the_footnote_stands_once(cli: Cli, place: Seen) -> None:
    text = cli(place, "build").out
    assert text.count("≈ is estimated") == 1
    assert "once all sources have been read" not in text


def test_documents_without_a_measure_are_said_in_words() -> None:
    kept = {"keep comment-share": {"least": 0.1, "most": None}, "keep lines": ["1", "2"]}
    said = {"kept": kept, "unmeasured": {"keep comment-share": 41}, "part": False}
    assert _why(said, "keep comment-share", {"comment-share": 641}) == "600 outside 0.1.., 41 have no comment-share"
    assert _why(said, "keep lines", {"lines": 3}) == "3 other than 1, 2"
    assert _why(said, "keep", {"site=null": 2, "site=a.example": 1}) == "no site 2, site=a.example 1"
    assert _why(said | {"part": True}, "keep", {"site=null": 2, "site=a.example": 1}) == "3 not in this part"
    assert _why(said, "gopher-quality", {"min-words": 5}) == "min-words 5"


def test_a_list_is_a_line_a_document_with_whole_names(cli: Cli, place: Seen) -> None:
    lines = cli(place, "sample", "web", "--class", "near-duplicate", "--list").out.splitlines()
    said = place.trial().corpora().sample("web", of="near-duplicate", listed=True)["documents"]
    assert len(lines) == 1 + len(said)
    for line, one in zip(lines[1:], said, strict=True):
        similarity = one["stays"]["similarity"]
        mark = f"{similarity:.3f}" if similarity is not None else f"{one['stays']['pairs_away']} pairs"
        other = "" if one["stays"]["source"] == "web" else f" ({one['stays']['source']})"
        assert line == f"{mark:7}  {one['id']} → {one['stays']['id']}{other}"


def test_names_of_partners_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    name, other = "a/" * 45 + "this.py", "b/" * 50 + "that.py"
    stays = {"source": "web", "row": 2, "id": other, "group": "g", "text": "that", "class": "train", "similarity": 0.9}
    one = {
        "row": 1,
        "id": name,
        "group": "g",
        "bytes": 4,
        "class": "near-duplicate",
        "stays": {**stays, "pairs_away": 1},
    }
    head = {"source": "web", "what": "class near-duplicate", "of_documents": 1}
    console = Console(width=120, highlight=False)
    whole = {**one, "meta": {}, "text": "this", "cut": False, "partners": [stays]}
    print_sample(console, {**head, "listed": False, "documents": [whole]})
    lines = capsys.readouterr().out.splitlines()
    assert name in lines
    assert f"    {other}" in lines
    print_sample(console, {**head, "listed": True, "documents": [one]})
    assert capsys.readouterr().out.splitlines()[1:] == [f"0.900    {name}", f"       → {other}"]


def test_a_field_that_no_document_has_is_said(cli: Cli, place: Seen) -> None:
    text = cli(place, "inspect", "web", "--field", "foo").out
    assert "\nfoo: no document has this field; the fields there are: language, license, site, thread, url\n" in text
    assert "\n  quarantined, malformed-json: 2 (a line or notebook that is not JSON, or is nested too deep)\n" in text


def test_a_token_is_named_as_study_files_write_it(cli: Cli, place: Seen) -> None:
    assert cli(place, "trace", "branch", "--token", "20K").out == cli(place, "trace", "branch", "--token", "20000").out


def test_hostile_text_is_shown_as_text(cli: Cli, place: Seen) -> None:
    text = cli(place, "sample", "web", "-n", "400", "--characters", "5000").out
    assert r"\x1b[31mred\x1b[0m \u202egnirts\u202c | <img src=x onerror=alert(1)>" in " ".join(
        text.replace("  │ ", "").split()
    )
    assert r"hostile \x1b]0;title\x07 `id` | <b>" in text
    assert "license <script>|x" in text


def test_a_trace_shows_the_token_where_it_stands(cli: Cli, place: Seen) -> None:
    said = place.trial().corpora().trace("branch", 20_000)
    text = cli(place, "trace", "branch", "--token", "20000").out
    assert text.startswith("token 20,000 of branch, seed 1\n  stage own (mixture mixed, tokens 19,200 to 44,799)\n")
    assert f"source {said['source']}: draw {said['draw']:,}" in text
    assert said["document"]["id"] in text
    quoted = "\n".join(line.removeprefix("  │ ") for line in text.splitlines() if line.startswith("  │ "))
    marked = f"{said['text']['before']}⟦{said['text']['token']}⟧{said['text']['after']}"
    assert quoted.split() == marked.split()


# -- making ------------------------------------------------------------------------------------------------------------


def test_build_makes_corpora_and_nothing_else(cli: Cli, fresh: Seen) -> None:
    first = cli(fresh, "build", "--source", "tiny", "--workers", "1", "--json")
    assert first.code == 0, first.err
    said = json.loads(first.out)
    assert said["made"][:3] == ["corpus code", "corpus bare", "corpus tiny"]
    assert [one["source"] for one in said["sources"]] == ["tiny"]
    assert said["sources"][0]["ends"] is None
    whole = cli(fresh, "build", "--workers", "1")
    assert "signatures of web" in whole.err, "progress goes to standard error"
    assert re.search(r"^\d+ steps in ", whole.out, flags=re.M)
    kinds = {path.name for path in (fresh.folder / "store/artefacts").iterdir()}
    assert "select" in kinds
    assert not kinds & {"tokens", "tokenizer", "train", "ledger"}
    status = fresh.trial().status()["steps"]
    assert status["corpora"]["done"] == status["corpora"]["all"]
    again = cli(fresh, "build", "--json")
    assert json.loads(again.out)["made"] == []


def test_a_source_that_fails_takes_down_no_other(cli: Cli, place: Seen) -> None:
    (place.folder / "empty.jsonl").write_text("")
    study = place.variation("failing", "mail: {read: {jsonl: mail.jsonl}}", "mail: {read: {jsonl: empty.jsonl}}")
    said = cli(place, "build", "--workers", "1", study=study)
    assert said.code == 1
    assert re.search(r"^failed: corpus mail: .*no document is left", said.out, flags=re.M)
    assert "web (trains)" in said.out
    assert "mail (transfer domain; no document is left)\n" in said.out
    assert "once all sources have been read" not in said.out
    machine = json.loads(cli(place, "build", "--workers", "1", "--json", study=study).out)
    assert list(machine["failures"]) == ["corpus mail"]
    assert [one["source"] for one in machine["sources"]] == ["mail", "web", "code", "bare", "tiny"]


def test_what_rules_left_nothing_of_is_looked_at_with_the_commands_that_are_named(cli: Cli, place: Seen) -> None:
    more = "  none: {read: {jsonl: mail.jsonl}, filter: [{gopher-quality: {min-words: 80000}}]}\n"
    study = place.variation("none", "\nmixtures:", f"{more}\nmixtures:")
    built = cli(place, "build", "--source", "none", "--workers", "1", study=study)
    assert built.code == 1
    assert re.search(r"^none \(transfer domain; no document is left\)$", built.out, flags=re.M)
    assert re.search(r"^  gopher-quality +0 +0 +0\.0%", built.out, flags=re.M)
    assert "  dropped by gopher-quality: min-words 40\n" in built.out
    shown = cli(place, "sample", "none", "--rule", "gopher-quality", "-n", "2", study=study)
    assert (shown.code, shown.out.split("\n")[0]) == (0, "none, dropped by gopher-quality: 2 of 40")
    inspected = cli(place, "inspect", "none", study=study)
    assert inspected.code == 0
    assert "\n  no document is left: what follows is of what was read\n" in inspected.out
    assert cli(place, "sample", "none", "--class", "quarantined", study=study).out.startswith(
        "none, quarantined: 1 of 1"
    )
    refused = cli(place, "card", "none", study=study)
    assert refused.code == 2
    assert "no document is left of the source none\n  See what dropped them: pretrial corpus inspect " in refused.err
    assert refused.err.endswith(f"{study} none {' '.join(place.options)}\n")


def test_inputs_that_changed_are_said_on_standard_error(cli: Cli, place: Seen, tmp_path: Path) -> None:
    shutil.copytree(place.folder, tmp_path / "seen")
    own = Seen(tmp_path / "seen")
    assert cli(own, "build").code == 0
    with (own.folder / "web-1.jsonl").open("a") as file:
        file.write("\n")
    said = "pretrial: web-1.jsonl has changed since web was read; this is of the corpus read then\n"
    for words in (["sample", "web", "--json"], ["inspect", "web"], ["card", "web"], ["card", "--all"]):
        looked = cli(own, *words)
        assert (looked.code, looked.err) == (0, said)
    assert cli(own, "sample", "web", "--json").out == cli(place, "sample", "web", "--json").out
    assert cli(own, "sample", "mail").err == ""


def test_funnels_are_shown_before_the_mistake_that_only_documents_show(cli: Cli, place: Seen) -> None:
    study = place.variation("refused", "\nmixtures:", "  again: {read: {jsonl: mail.jsonl}}\n\nmixtures:")
    for _ in range(2):
        said = cli(place, "build", "--workers", "1", study=study)
        assert said.code == 2
        for name in ("mail (transfer domain)", "web (trains)", "again (transfer domain)"):
            assert f"{name}\n" in said.out
        assert "pretrial: " in said.err
        assert "nothing of the source again is left to evaluate on" in said.err
        assert "Nothing to do" not in said.out
        assert "once all sources have been read" not in said.out
    machine = cli(place, "build", "--json", study=study)
    assert machine.code == 2
    report = json.loads(machine.out)
    assert "nothing of the source again" in report["error"]
    assert [one["source"] for one in report["sources"]] == ["mail", "web", "code", "bare", "tiny", "again"]
    assert json.loads(cli(place, "build", "--json").out)["error"] is None


# -- cards -------------------------------------------------------------------------------------------------------------


def test_cards_are_printed_or_written(cli: Cli, place: Seen, tmp_path: Path) -> None:
    printed = cli(place, "card", "web")
    assert printed.code == 0
    assert printed.out == place.trial().corpora().card("web")
    said = cli(place, "card", "--all", "--out", str(tmp_path / "new/cards"))
    assert said.code == 0
    names = {path.name for path in (tmp_path / "new/cards").iterdir()}
    assert names == {f"{name}.md" for name in ("mail", "web", "code", "bare", "tiny")}
    assert (tmp_path / "new/cards/web.md").read_text(encoding="utf-8") == printed.out
    assert str(tmp_path / "new/cards/web.md") in said.out


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "--source", "wbe"], "there is no source 'wbe'\n  Did you mean web?"),
        (["build", "--workers", "0"], "--workers"),
        (["inspect"], "Missing argument 'SOURCE': which source?\n  The study has mail, web, code, bare, tiny."),
        (["sample"], "The study has mail, web, code, bare, tiny."),
        (["inspect", "none"], "there is no source 'none'"),
        (["inspect", "web", "--measure", "x"], "there is no measure 'x'\n  Known: comment-share,"),
        (["sample", "web", "--rule", "x"], "x is no step of this source"),
        (["sample", "web", "--class", "x"], "there is no class 'x'\n  Known: train, held-out,"),
        (["sample", "web", "--kept", "--class", "train"], "Say one of the three."),
        (["sample", "web", "-n", "0"], "-n"),
        (["card"], "which source?\n  Name one, or say --all. The study has mail, web, code, bare, tiny."),
        (["card", "web", "--all"], "which source?"),
        (["trace", "trunk"], "--token"),
        (["trace", "trunk", "--token", "-1"], "trunk has no token -1\n  It trains on 38,400; they are counted from 0."),
        (["trace", "trunk", "--token", "5X"], "'5X' is not an amount of tokens; write it like"),
        (["trace", "trunk", "--token", "0.1"], "not a whole number of tokens"),
        (["trace", "trunk", "--token", "38.4K"], "trunk has no token 38,400"),
        (["sample", "web", "--rule", "gopher-quality/x"], "Its reasons here are min-words 1."),
        (["sample", "code", "--class", "skipped/empty"], "what read leaves out as empty is counted and not listed"),
        (["trace", "trunk", "--token", "38400"], "trunk has no token 38,400\n  It trains on 38,400;"),
        (["trace", "none", "--token", "0"], "there is no variant 'none'\n  The study has trunk, branch."),
        (["trace", "trunk", "--token", "0", "--seed", "7"], "the study has no seed 7"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_request_is_said_in_a_line_or_two(cli: Cli, place: Seen, words: list[str], message: str) -> None:
    said = cli(place, *words)
    assert said.code == 2
    assert message in said.err
    assert said.out == ""
    assert len(said.err.splitlines()) <= 3


def test_a_folder_that_cannot_be_is_said(cli: Cli, place: Seen, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    said = cli(place, "card", "web", "--out", str(tmp_path / "taken"))
    assert said.code == 2
    assert "taken" in said.err


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["inspect", "web"], "corpus build"),
        (["sample", "web"], "corpus build"),
        (["card", "web"], "corpus build"),
        (["trace", "trunk", "--token", "0"], "run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_missing_is_said_with_the_command_that_makes_it(
    cli: Cli, fresh: Seen, words: list[str], command: str
) -> None:
    said = cli(fresh, *words)
    assert said.code == 2
    assert said.err.endswith(f"\n  Run: pretrial {command} {fresh.study} {' '.join(fresh.options)}\n")
    assert not (fresh.folder / "store").exists(), "looking makes nothing"


def test_a_remedy_can_be_pasted(call: Cli, place: Seen, tmp_path: Path) -> None:
    study = tmp_path / "my study.yaml"
    shutil.copy(place.study, study)
    for name in ("mail.jsonl", "web-0.jsonl"):
        shutil.copy(place.folder / name, tmp_path)
    shutil.copytree(place.folder / "code", tmp_path / "code")
    options = ["--store", str(tmp_path / "a b"), "--data", str(place.folder / "data")]
    said = call("corpus", "inspect", study, "web", *options)
    (remedy,) = re.findall(r"Run: pretrial (.*)", said.err)
    assert shlex.split(remedy) == ["corpus", "build", str(study), *options]


def test_without_a_command_there_is_help_and_no_empty_message(call: Cli) -> None:
    said = call("corpus")
    assert (said.code, said.err) == (2, "")
    assert all(command in said.out for command in ("build", "inspect", "sample", "card", "trace"))


# -- speed -------------------------------------------------------------------------------------------------------------

LOADED = """
import json, sys
import pretrial.plan.graph as graph
graph.check_bench = lambda *arguments: None
graph.bench_config = lambda task, data, items: {"task": task, "items": items}
from pretrial.cli import main
try:
    main()
finally:
    heavy = ("torch", "pyarrow", "tokenizers", "pandas", "transformers", "daft")
    print("LOADED", json.dumps([name for name in heavy if name in sys.modules]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        (["build"], []),
        (["trace", "trunk", "--token", "9"], ["pyarrow"]),
        (["sample", "web", "--class", "near-held-out"], ["pyarrow", "pandas"]),
    ],
    ids=["build", "trace", "sample"],
)
def test_what_is_not_needed_is_not_loaded(place: Seen, words: list[str], loaded: list[str]) -> None:
    command, *rest = words
    arguments = [sys.executable, "-c", LOADED, "corpus", command, str(place.study), *rest, *place.options]
    done = smoke.call(arguments, place.folder)
    assert done.returncode == 0, done.stderr
    assert f"LOADED {json.dumps(loaded)}" in done.stderr
