"""How much text a source holds: estimated from its files, measured once it was read, unknown where nobody can say."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pretrial.plan.cost import Speeds, check_disk, forecast
from pretrial.plan.graph import Graph
from pretrial.plan.sizes import Figure, sizes, windows, zstd_bytes
from pretrial.plan.view import epochs, warnings
from pretrial.store.artefacts import Store

Plan = Callable[..., Graph]
BATCH = 1024


@dataclass
class Fake:
    """What a finished step says of itself."""

    facts: dict[str, Any]


def write(folder: Path, texts: int, packing: str = "") -> Path:
    """A file of JSON lines with `texts` documents of 900 bytes."""
    lines = "".join(json.dumps({"text": f"{i:06d} " + "word " * 178 + "end"}) + "\n" for i in range(texts))
    path = folder / f"corpus.jsonl{packing}"
    data = lines.encode()
    if packing == ".gz":
        data = gzip.compress(data)
    elif packing == ".zst":
        data = zstandard.ZstdCompressor().compress(data)
    path.write_bytes(data)
    return path


def of(plan: Plan, sources: dict[str, Any], read: dict[str, Any], **fields: Any) -> Graph:
    return plan(sources={**sources, "prose": {"read": read, **fields}})


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_the_text_of_a_file_is_estimated_however_it_is_packed(
    plan: Plan, sources: dict[str, Any], tmp_path: Path, packing: str
) -> None:
    graph = of(plan, sources, {"jsonl": str(write(tmp_path, 1000, packing))})
    found = sizes(graph)["prose"]
    assert (found.text.basis, found.trained.basis) == ("estimated", "estimated")
    assert found.text.value == pytest.approx(900_000, rel=0.1)
    assert found.text.value - found.trained.value == pytest.approx(262_144)


def test_a_frame_that_does_not_say_its_size_is_guessed_from_what_is_usual(
    plan: Plan, sources: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "stream.jsonl.zst"
    data = write(tmp_path, 1000).read_bytes()
    with path.open("wb") as file, zstandard.ZstdCompressor(write_content_size=False).stream_writer(file) as packed:
        packed.write(data)
    assert zstd_bytes(path.read_bytes()[:18]) is None
    found = sizes(of(plan, sources, {"jsonl": str(path)}))["prose"]
    assert found.text.value == pytest.approx(path.stat().st_size * 3.2 * 0.9)


@pytest.mark.parametrize("size", [10, 255, 256, 70_000, 20_000_000])
def test_a_zstd_frame_says_its_size(size: int) -> None:
    assert zstd_bytes(zstandard.ZstdCompressor().compress(b"x" * size)[:18]) == size
    assert zstd_bytes(b"{") is None
    assert zstd_bytes(b"plain text is no frame") is None


def test_caps_on_files_and_folders_count(plan: Plan, sources: dict[str, Any], tmp_path: Path) -> None:
    for name, size in (("a/x.py", 30_000), ("a/y.py", 30_000), ("b/z.py", 1_000)):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text("#" * size)
    read = {"files": str(tmp_path / "tree"), "languages": ["python"]}

    def text(**caps: str) -> float:
        return sizes(of(plan, sources, {**read, **caps}, group="package"))["prose"].text.value

    assert text() == 61_000
    assert text(**{"cap-file": "10 KB"}) == 10_000 * 2 + 1_000


@pytest.mark.parametrize(
    "source",
    [
        {"read": {"docstrings": "stdlib"}},
        {"read": {"jsonl": "FILE"}, "keep": {"book": ["one"]}},
    ],
    ids=["installed", "a part"],
)
def test_what_nobody_can_say_is_unknown(
    plan: Plan, sources: dict[str, Any], corpora: Path, source: dict[str, Any]
) -> None:
    source = json.loads(json.dumps(source).replace("FILE", str(corpora / "prose-0.jsonl")))
    graph = plan(sources={**sources, "prose": source})
    assert "prose" not in sizes(graph)
    assert "prose" not in windows(graph, lambda name: None, sizes(graph))


def test_what_was_read_is_measured(plan: Plan) -> None:
    graph = plan()
    made: dict[str, Any] = {
        "corpus prose": Fake({"bytes": 10_000}),
        "selection of documents": Fake({"sources": {n: {"train": {"bytes": 7_000}} for n in ("prose", "code")}}),
    }
    found = sizes(graph, made.get)
    assert found["prose"].text == Figure(10_000.0, "measured")
    assert found["prose"].trained == Figure(7_000.0, "measured")
    assert found["letters"].trained.value == 0, "nothing of a transfer domain trains"
    assert windows(graph, made.get, found)["prose"] == Figure(7_000 / 3 // 64, "estimated")
    made["tokens of prose (train)"] = Fake({"tokens": 64 * 50 + 1})
    assert windows(graph, made.get, found)["prose"] == Figure(50, "measured")
    assert set(windows(graph, made.get)) == {"prose"}, "estimates only where they are asked for"


def test_epochs_are_estimated_before_anything_was_read_and_said_to_be(plan: Plan) -> None:
    graph = plan()
    known = windows(graph, lambda name: None, sizes(graph))
    assert {figure.basis for figure in known.values()} == {"estimated"}
    passes = epochs(graph, graph.courses["text→text"], known)["prose"]
    assert passes == pytest.approx(20 * BATCH / (75_000 * 0.9 * 0.75 / 3), rel=0.3)
    few = {"prose": Figure(20, "estimated")}
    assert "text→text passes about 16.0 times over prose; above 4 a repeat is worth less than new text" in (
        warnings(graph, few)
    )


# -- what follows from sizes -----------------------------------------------------------------------------------------


def large(plan: Plan, sources: dict[str, Any], tmp_path: Path) -> Graph:
    path = tmp_path / "large.jsonl"
    path.write_bytes(b"x" * 20_000_000)
    return of(plan, sources, {"jsonl": str(path)})


def test_more_text_takes_more_time_and_disk_in_every_step_that_reads_it(
    plan: Plan, sources: dict[str, Any], tmp_path: Path
) -> None:
    speeds = Speeds(Store(tmp_path / "store"))
    small, big = forecast(plan(), speeds), forecast(large(plan, sources, tmp_path), speeds)
    for name in ("corpus prose", "tokenizer", "tokens of prose (train)"):
        assert big.seconds[name].value > small.seconds[name].value + 3, name
        assert big.seconds[name].basis == "estimated"
    for name in ("corpus prose", "tokens of prose (train)"):
        assert big.bytes[name] > small.bytes[name] + 5_000_000, name
    assert big.disk.value > small.disk.value + 15_000_000
    assert big.bytes["tokens of code (train)"] == small.bytes["tokens of code (train)"]


def test_the_room_that_is_needed_is_that_of_what_is_missing(
    plan: Plan, sources: dict[str, Any], tmp_path: Path
) -> None:
    graph = large(plan, sources, tmp_path)
    found = forecast(graph, Speeds(Store(tmp_path / "store")))
    assert found.room([]) == 0
    assert found.room(graph.steps) == found.disk.value
    tokens = "tokens of prose (train)"
    assert found.room([tokens]) == 2 * found.bytes[tokens], "put in order in a second file"


def test_too_little_disk_is_said_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pretrial.errors import RequestError
    from pretrial.plan import cost

    monkeypatch.setattr(cost, "disk_free", lambda path: 1_500_000_000)
    check_disk(1_500_000_000, tmp_path)
    with pytest.raises(RequestError) as caught:
        check_disk(2_600_000_000, tmp_path)
    assert str(caught.value) == (
        f"the study needs about 2.6 GB of disk and 1.5 GB are free at {tmp_path}\n"
        "  Free some, or name a store elsewhere with --store or PRETRIAL_STORE."
    )
    monkeypatch.setattr(cost, "disk_free", lambda path: 21_000)
    with pytest.raises(RequestError, match=r"needs about 30\.5 MB of disk and 21\.0 KB are free"):
        check_disk(30_500_000, tmp_path)
