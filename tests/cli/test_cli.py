"""The command line: exit codes, messages that name file and line, no traceback for a user's mistake."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import smoke
from commands import Cli
from pretrial.cli import app, guarded, output, parse_seeds
from pretrial.errors import Interrupted, RequestError, RunError
from pretrial.study.load import load_study
from smoke import Place

pytestmark = pytest.mark.usefixtures("calm")


@pytest.fixture
def cli(call: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return call


def places(place: Place) -> list[str]:
    return ["--workspace", str(place.workspace), "--store", str(place.store)]


# -- mistakes --------------------------------------------------------------------------------------------------------

WRONG_FILE = {
    "an unknown key": ("seeds: 2", "sedes: 2", "smoke.yaml:7, sedes: unknown key 'sedes'\n  did you mean 'seeds'?"),
    "a wrong value": ("seeds: 2", "seeds: two", "smoke.yaml:7"),
    "shares that do not sum": ("mixed: {prose: 50%, code: 50%}", "mixed: {prose: 50%, code: 40%}", "sum to 90%"),
    "an unknown source": ("text:  {prose: 100%}", "text:  {prosa: 100%}", "no source is called 'prosa'"),
    "a missing baseline": ("baseline: text→text", "baseline: none", "no variant is called 'none'"),
    "a short stage": ("smoke: true", "smoke: false", "the stage has 20 steps; below 100"),
    "a cooldown of nothing": (
        "mixed→mixed: [{tokens: 2560, mixture: mixed}, {tokens: 2560, mixture: mixed}]",
        "mixed→mixed: [{cooldown: 2560, mixture: mixed}]",
        "smoke.yaml:28, variants.mixed→mixed.0: a cooldown needs a stage before it",
    ),
    "a claim of nobody": ("mixed→text equals text→text on", "nobody equals text→text on", "nobody"),
    "a claim on nothing": ("on held-out prose within", "on piqa within", "piqa"),
    "an unknown rule": ("group: book}\n  code", "group: book, filter: [gohper]}\n  code", "gopher"),
    "a key said twice": ("seeds: 2", "seeds: 2\nseeds: 3", "seeds"),
    "no YAML": ("seeds: 2", "seeds: [2", "smoke.yaml:"),
    "a missing corpus": ("code.jsonl", "kode.jsonl", "there is no file"),
    "a missing data folder": ("{jsonl: code.jsonl}", '{jsonl: "{data}/code.jsonl"}', "--data DIR, or set"),
    "a suite without its data": ("tasks: [held-out, transfer]", "tasks: [held-out, piqa]", "piqa"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG_FILE)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_mistake_in_the_study_is_named_with_file_and_line(cli: Cli, place: Place, mistake: str, command: str) -> None:
    before, after, message = WRONG_FILE[mistake]
    place.edit(before, after)
    said = cli(command, place.study, *places(place))
    assert said.code == 2
    assert message in said.err
    assert f"{place.study}:" in said.err
    assert said.err.startswith("pretrial: ")
    assert said.out == ""
    assert not (place.store / "artefacts").exists() or not place.contents(), "nothing was spent"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing.yaml"], "nothing.yaml: there is no such study file"),
        (["run", "STUDY", "--only", "none"], "there is no variant 'none'\n  The study has text→text, mixed→text"),
        (["run", "STUDY", "--seeds", "x"], "--seeds x: seeds are whole numbers"),
        (["run", "STUDY", "--seeds", "1,7"], "--seeds 1,7: the study has no seed 7"),
        (["run", "STUDY", "--workers", "0"], "--workers"),
        (["run", "STUDY", "--workers", "many"], "--workers"),
        (["run", "STUDY", "--data", "nowhere"], "the data folder nowhere is not there"),
        (["run", "STUDY", "--store", "STUDY"], "cannot be used: "),
        (["run", "STUDY", "--workspace", "STUDY"], "cannot be used: "),
        (["run", "STUDY", "--workspace", "/proc/nowhere"], "cannot be used: "),
        (["run"], "study"),
        (["bogus"], "No such command 'bogus'"),
        (["plan", "STUDY", "--bogus"], "No such option"),
        (["report", "STUDY"], "smoke has no results yet\n  Run the study first."),
        (["export", "model", "STUDY", "mixed→text", "out"], "has not been trained yet\n  Run the study first."),
        (["export", "model", "STUDY", "none", "out"], "there is no variant 'none'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_request_is_said_in_a_line_or_two(cli: Cli, place: Place, arguments: list[str], message: str) -> None:
    said = cli(*[str(place.study) if a == "STUDY" else a for a in arguments])
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()) <= 3


def test_a_folder_is_no_study(cli: Cli, tmp_path: Path) -> None:
    said = cli("plan", tmp_path)
    assert said.code == 2
    assert str(tmp_path) in said.err


def test_an_empty_corpus_fails_the_run_and_names_the_source(cli: Cli, place: Place) -> None:
    (place.folder / "empty.jsonl").write_text("")
    place.edit("code.jsonl", "empty.jsonl")
    said = cli("run", place.study, *places(place), "--workers", "1")
    assert said.code == 1
    assert f"pretrial: {place.study}:12: corpus code failed: code: no document is left" in said.err
    assert "Traceback" not in said.err
    assert "\x1b" not in said.err + said.out


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 1), (errno.EROFS, 2), (errno.EACCES, 2)])
def test_a_disk_that_is_full_or_closed_is_said_without_a_traceback(
    cli: Cli, finished: Place, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number), "store/file")

    finished.edit("bits-per-byte: 5%", "bits-per-byte: 4%")
    monkeypatch.setattr(os, "fsync", refuse)
    said = cli("run", finished.study, *places(finished))
    assert said.code == code
    assert f"store/file: {os.strerror(number)}" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(("smaller", "number"), [("store", errno.ENOSPC), ("runs", errno.EDQUOT)])
def test_a_full_disk_is_named_where_the_system_names_no_file(
    cli: Cli, finished: Place, monkeypatch: pytest.MonkeyPatch, smaller: str, number: int
) -> None:
    from pretrial.plan import cost

    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    full = {"store": finished.store, "runs": finished.workspace}[smaller]
    finished.edit("bits-per-byte: 5%", "bits-per-byte: 4%")
    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(cost, "disk_free", lambda path: 10**12 if path != full else 10**11)
    said = cli("run", finished.study, *places(finished))
    assert said.code == 1
    assert said.err.splitlines()[-2:] == [
        f"pretrial: {full}: {os.strerror(number)}",
        "  Free some space, then run the same command again.",
    ]


@pytest.mark.parametrize("command", ["plan", "run", "status", "explain", "report"])
def test_a_store_of_a_newer_version_is_refused_by_every_command(cli: Cli, finished: Place, command: str) -> None:
    (finished.store / "layout.json").write_text('{"layout": 2}')
    said = cli(command, finished.study, *places(finished))
    assert said.code == 2
    assert "has a layout 2; this version of Pretrial reads layout 1" in said.err


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 / 0)
    with pytest.raises(OSError, match="odd"):
        guarded(lambda: (_ for _ in ()).throw(OSError(errno.EBADF, "odd")))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("x"), 2),
        (RunError("x"), 1),
        (Interrupted("x"), 130),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 1),
    ],
)
def test_every_end_has_its_exit_code(error: BaseException, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    def end() -> None:
        raise error

    standard = os.dup(1)
    try:
        assert guarded(end) == code
    finally:
        os.dup2(standard, 1)
        os.close(standard)


def test_the_seeds_option_reads_numbers() -> None:
    assert parse_seeds("1", (1, 2)) == (1,)
    assert parse_seeds("2, 1,2", (1, 2)) == (2, 1)
    for wrong in ("", "1,", "x", "3", "1.5"):
        with pytest.raises(RequestError):
            parse_seeds(wrong, (1, 2))


# -- new -------------------------------------------------------------------------------------------------------------


def test_new_writes_a_study_that_loads_and_plans(cli: Cli, tmp_path: Path) -> None:
    said = cli("new", "deep/my first study.yaml")
    assert (said.code, said.err) == (0, "")
    assert "pretrial plan" in said.out
    study = load_study(tmp_path / "deep/my first study.yaml")
    assert study.name == "my-first-study"
    assert study.warnings == ()
    assert study.claims
    planned = cli("plan", "deep/my first study.yaml", "--json")
    assert planned.code == 0
    assert json.loads(planned.out)["comparisons"][0]["holds"] == ["compute"]


def test_new_overwrites_nothing_unasked(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("mine")
    said = cli("new", "a.yaml")
    assert said.code == 2
    assert "is there already" in said.err
    assert (tmp_path / "a.yaml").read_text() == "mine"
    assert cli("new", "a.yaml", "--force").code == 0
    assert cli("new", "/proc/nowhere/a.yaml").code == 2


def test_the_template_travels_with_the_package() -> None:
    import tomllib

    project = tomllib.loads((smoke.SRC.parent / "pyproject.toml").read_text())
    assert "study/template.yaml" in project["tool"]["setuptools"]["package-data"]["pretrial"]
    assert "STUDY-NAME" in files("pretrial.study").joinpath("template.yaml").read_text(encoding="utf-8")


# -- what a finished study answers -----------------------------------------------------------------------------------


def test_plan_of_a_finished_study_says_that_all_is_there(cli: Cli, finished: Place) -> None:
    said = cli("plan", finished.study, *places(finished))
    assert said.code == 0
    for text in ("mixed→text", "learning rate", "matched at equal compute", "train 10/10", "(measured)", "epochs"):
        assert text in said.out, text
    assert "\x1b" not in said.out
    row = said.out.split("epochs per source, after each stage\n")[1].splitlines()[1]
    assert row.rstrip().endswith("measured")
    assert (
        "text→text" not in cli("plan", finished.study, *places(finished), "--only", "mixed→mixed").out.split("cost")[1]
    )


def test_plan_shows_shares_and_epochs_of_every_source_and_stage(cli: Cli, place: Place) -> None:
    place.edit("mixed: {prose: 50%, code: 50%}", "mixed: {prose: 1/3, code: 2/3}")
    text = cli("plan", place.study, *places(place)).out
    assert "  text: prose 100%\n" in text
    assert "prose 1/3 → 33.75%, code 2/3 → 66.25%" in text
    lines = text.split("epochs per source, after each stage\n")[1].splitlines()
    assert lines[0].split() == ["text→text", "mixed→text", "mixed→mixed"]
    assert lines[1].split()[0] == "prose"
    assert lines[1].rstrip().endswith("estimated")
    assert lines[2].split()[:4] == ["code", "–", "→", "–"], "the baseline draws no code"
    for word in ("(declared;", "FLOPs (estimated)", "GB free (measured)"):
        assert word in text, word


def test_plan_says_what_is_unknown_of_a_source_and_which_claim_cannot_be_tested(cli: Cli, place: Place) -> None:
    place.edit("code:    {read: {jsonl: code.jsonl}, group: book}",
               "code:    {read: {jsonl: code.jsonl}, group: book, keep: {book: [code 1]}}")  # fmt: skip
    place.edit("within 50%, at equal compute", "within 50%, at equal text")
    text = cli("plan", place.study, *places(place)).out
    (row,) = [line for line in text.splitlines() if line.strip().startswith("code ")]
    assert row.split(maxsplit=1)[1] == "unknown until it was read"
    assert "    cannot be tested: it is at equal text, and the comparison is matched at equal compute only" in text


def test_plan_shows_every_default_when_asked(cli: Cli, place: Place) -> None:
    assert "weight-decay: 0.1" not in cli("plan", place.study, *places(place)).out
    assert "weight-decay: 0.1" in cli("plan", place.study, *places(place), "--resolved").out


def test_status_counts_what_is_done_and_how_large_it_is(cli: Cli, finished: Place) -> None:
    said = json.loads(cli("status", finished.study, *places(finished), "--json").out)
    assert said["steps"] == {
        "corpora": {"done": 8, "all": 8}, "tokens": {"done": 6, "all": 6},
        "training": {"done": 10, "all": 10}, "evaluation": {"done": 45, "all": 45},
    }  # fmt: skip
    assert said["failed"] == {}
    assert said["store_bytes"]["train"] > 10_000
    assert said["not_in_this_study_bytes"] == 0
    assert said["store_total_bytes"] > max(said["store_bytes"].values())
    assert said["report"].endswith("index.html")
    assert (said["damaged"], said["verified"]) == ([], False)
    text = cli("status", finished.study, *places(finished), "--verify")
    assert text.code == 0
    assert "training: 10 of 10 steps" in text.out
    assert "every hash is right" in text.out
    assert "MB in all" in text.out


def test_status_while_a_run_deletes_what_it_is_done_with(
    cli: Cli, finished: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finished.store / "work/gone").mkdir()
    (finished.store / "work/gone/resume").write_text("x")
    whole = Path.lstat

    def vanishing(path: Path) -> os.stat_result:
        if path.name == "resume":
            raise FileNotFoundError(path)
        return whole(path)

    monkeypatch.setattr(Path, "lstat", vanishing)
    said = cli("status", finished.study, *places(finished), "--json")
    assert said.code == 0
    assert json.loads(said.out)["beside_bytes"]["work"] == 0


@pytest.mark.parametrize("command", ["plan", "status", "explain"])
def test_a_store_that_can_only_be_read_is_looked_at(
    cli: Cli, finished: Place, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    from pretrial.plan import cost, registration
    from pretrial.store import artefacts

    shutil.rmtree(finished.store / "requests")
    (finished.store / "fingerprints.json").unlink()
    before = sorted(path for path in finished.store.rglob("*"))

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "store")

    for module in (artefacts, cost, registration):
        monkeypatch.setattr(module, "write_atomically", refuse)
    monkeypatch.setattr(artefacts, "locked", refuse)
    said = cli(command, finished.study, *places(finished))
    assert (said.code, said.err) == (0, "")
    assert sorted(path for path in finished.store.rglob("*")) == before


def test_a_copied_store_is_hashed_once(cli: Cli, finished: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrial.store import artefacts

    copied = finished.folder / "copied"
    shutil.copytree(finished.store, copied, copy_function=shutil.copyfile)
    hashed: list[Path] = []
    whole = artefacts.hash_file
    monkeypatch.setattr(artefacts, "hash_file", lambda path: hashed.append(path) or whole(path))
    options = ["--workspace", str(finished.workspace), "--store", str(copied)]
    cli("plan", finished.study, *options)
    assert len([path for path in hashed if copied in path.parents]) > 60
    hashed.clear()
    cli("plan", finished.study, *options)
    assert hashed == []


def test_status_verify_finds_damage_and_exits_one(cli: Cli, finished: Place) -> None:
    path = next((finished.store / "artefacts/train").glob("*/model.safetensors"))
    stat = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    said = cli("status", finished.study, *places(finished), "--verify")
    assert said.code == 1
    assert "model.safetensors is not what was written" in said.out


def test_status_and_explain_before_any_run(cli: Cli, place: Place) -> None:
    assert "report: not written yet" in cli("status", place.study, *places(place)).out
    said = cli("explain", place.study, *places(place))
    assert (said.code, said.out) == (0, "Never run here: 69 steps would run.\n")


def test_explain_names_the_field_its_line_and_what_follows(cli: Cli, finished: Place) -> None:
    assert "nothing would run" in cli("explain", finished.study, *places(finished)).out
    finished.edit("lr: 0.01", "lr: 0.02")
    said = cli("explain", finished.study, *places(finished))
    assert f"{finished.study}:21 training.optimizer.adamw.lr: 0.01 → 0.02" in said.out.replace("\n", "")
    machine = json.loads(cli("explain", finished.study, *places(finished), "--json").out)
    assert machine["study"][0]["now"] == 0.02
    assert any(step["differs"] for step in machine["steps"] if step["step"].startswith("training"))


def test_report_writes_the_page_again_and_prints_its_path(cli: Cli, finished: Place, monkeypatch: Any) -> None:
    from pretrial.report import figures, page

    monkeypatch.setattr(figures, "figures", lambda data: [])
    monkeypatch.setattr(page, "_bundle", lambda: "")
    tables = finished.tables()
    (finished.report / "results.csv").unlink()
    said = cli("report", finished.study, *places(finished))
    assert (said.code, said.out) == (0, f"{finished.report / 'index.html'}\n")
    assert finished.tables() == tables


def test_run_prints_for_machines_when_asked(cli: Cli, finished: Place) -> None:
    said = cli("run", finished.study, *places(finished), "--json")
    assert (said.code, said.err) == (0, "")
    answer = json.loads(said.out)
    assert (answer["study"], answer["made"], answer["failures"]) == ("smoke", 0, {})
    assert answer["report"] == str(finished.report / "index.html")


def test_run_ends_with_the_comparison_and_where_the_report_is(cli: Cli, finished: Place) -> None:
    said = cli("run", finished.study, *places(finished))
    assert said.code == 0
    for text in (
        "held-out",
        "mixed→mixed",
        "What it shows",
        "What it does not show",
        "Nothing to do: smoke is finished",
    ):
        assert text in said.out, text
    assert said.out.rstrip().endswith(f"Report: {finished.report / 'index.html'}")
    assert "\x1b" not in said.out


def test_a_part_of_a_study_that_is_done_is_not_called_all_of_it(cli: Cli, finished: Place) -> None:
    for options in (["--only", "mixed→mixed"], ["--seeds", "1"]):
        said = cli("run", finished.study, *places(finished), *options)
        assert "Nothing to do: what was asked of smoke is done" in said.out
        assert "finished" not in said.out.split("Nothing to do")[1]


def test_an_outcome_without_the_reports_data_is_said(cli: Cli, finished: Place, capsys: Any) -> None:
    from rich.console import Console

    from pretrial.terminal import print_outcome

    trial = finished.trial()
    outcome = trial.run(quiet=True)
    (finished.report / "report.json").write_text("{half")
    capsys.readouterr()
    print_outcome(Console(width=120), trial, outcome)
    assert "The report's data cannot be read; `pretrial report` writes it again." in capsys.readouterr().out
    assert "<table>" not in trial._repr_html_()


def test_a_checkpoint_is_exported_for_transformers(cli: Cli, finished: Place, tmp_path: Path) -> None:
    said = cli("export", "model", finished.study, "mixed→text", tmp_path / "out", *places(finished), "--seed", "2")
    assert said.code == 0, said.err
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["architectures"] == ["CohereForCausalLM"]
    assert (tmp_path / "out/model.safetensors").is_file()
    assert cli("export", "model", finished.study, "mixed→text", tmp_path / "out", *places(finished)).code == 2


def test_help_teaches_with_examples(cli: Cli) -> None:
    for command in ("new", "plan", "run", "status", "explain", "report"):
        assert f"Example: pretrial {command}" in cli(command, "--help").out.replace("`", ""), command
    assert "Example: pretrial export model" in cli("export", "model", "--help").out.replace("`", "")


def test_a_token_before_the_first_is_refused_as_in_python(cli: Cli, finished: Place) -> None:
    said = cli("corpus", "trace", finished.study, "text→text", "--token", "-1", *places(finished))
    assert said.code == 2
    with pytest.raises(RequestError, match="text→text has no token -1") as raised:
        finished.trial().corpora().trace("text→text", -1)
    assert said.err == f"pretrial: {raised.value}\n"


def test_a_build_that_is_interrupted_stops_after_the_part_in_hand(
    finished: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from pretrial.execute.runner import Runner

    def interrupted(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        raise Interrupted("stopped on request")

    monkeypatch.setattr(Runner, "run", interrupted)
    command = ["corpus", "build", str(finished.study), *places(finished)]
    assert guarded(lambda: app(command, standalone_mode=False)) == 130
    assert "\nStopping after the part in hand; press Ctrl-C again to stop at once.\n" in capfd.readouterr().err


# -- as a process ----------------------------------------------------------------------------------------------------


def test_the_installed_command_exits_with_the_code(place: Place) -> None:
    done = place.call("plan", program=smoke.COMMAND)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    place.edit("seeds: 2", "sedes: 2")
    done = place.call("plan", program=smoke.COMMAND)
    assert done.returncode == 2
    assert done.stderr.startswith(f"pretrial: {place.study}:7, sedes: unknown key")


def test_a_reader_that_goes_away_is_no_error(place: Place) -> None:
    command = " ".join(f"'{part}'" for part in place.arguments("plan", "--resolved", program=smoke.COMMAND))
    done = smoke.call(["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"], place.folder)
    assert done.stdout.splitlines()[0] == "smoke"
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_with_pictures_and_all_a_study_runs_from_nothing(tmp_path: Path) -> None:
    place = smoke.make_place(tmp_path / "smoke")
    done = place.call("run", program=smoke.COMMAND)
    assert done.returncode == 0, done.stderr
    assert "training is not compiled" in done.stderr
    figures = {path.suffix for path in (place.report / "figures").iterdir()}
    assert figures == {".svg", ".png", ".csv"}
    assert len((place.report / "index.html").read_text(encoding="utf-8")) > 500_000
    assert sys.executable in (place.store / "compiled/trial.json").read_text()


def test_a_name_with_a_line_break_is_one_line_of_an_error(cli: Cli, tmp_path: Path) -> None:
    said = cli("plan", tmp_path / "two\nlines\x1b[2J.yaml")
    assert said.code == 2
    assert said.err == f"pretrial: {tmp_path}/two\\nlines\\x1b[2J.yaml: there is no such study file\n"
    error = RequestError("there is no file a\u2028b", where="s.yaml:3, new\nline", remedy="Write this\n  or that.")
    assert str(error) == "s.yaml:3, new\\nline: there is no file a\\u2028b\n  Write this\n  or that."
    assert error.where == "s.yaml:3, new\nline"


@pytest.mark.parametrize("command", [["--version"], ["plan", "--help"]])
def test_output_that_cannot_be_written_is_an_error(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "closed").touch()
    standard, closed = os.dup(1), os.open(tmp_path / "closed", os.O_RDONLY)
    try:
        monkeypatch.setattr(sys, "stdout", output(closed, like=sys.stdout))
        assert guarded(lambda: app(command, standalone_mode=False)) == 1
    finally:
        monkeypatch.undo()
        os.dup2(standard, 1)
        os.close(standard)
        os.close(closed)
    assert capfd.readouterr().err == (
        "pretrial: standard output cannot be written: Bad file descriptor\n"
        "  What was printed is not whole; send it to another place.\n"
    )


def test_a_process_whose_output_cannot_be_written_exits_with_one(tmp_path: Path) -> None:
    # No file may grow: what a full disk does to output.
    command = " ".join(f"'{part}'" for part in [*smoke.COMMAND, "--version"])
    done = smoke.call(["bash", "-c", f"ulimit -f 0; {command} > out.txt"], tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("pretrial: standard output cannot be written: File too large\n")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("command", [lambda: 130, lambda: (_ for _ in ()).throw(KeyboardInterrupt)])
def test_a_ctrl_c_that_no_step_heard_is_answered_too(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from pretrial.cli import guarded

    assert guarded(command) == 130
    assert "run the same command again" in capsys.readouterr().err
