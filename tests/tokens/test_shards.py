"""Token files: every document whole, in its place, whatever the corpus's shards and the batches were."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrial.errors import Interrupted, RunError
from pretrial.mixture.stream import TokenFiles
from pretrial.tokens import shards
from pretrial.tokens.spec import MARK
from pretrial.tokens.tokenizer import TextTokenizer

TRAIN = "pretrial.tokens.tokenizer:train_tokenizer"
TOKENISE = "pretrial.tokens.shards:tokenise"
TEXTS = [
    "\n", "\x00", "🙂🙂", f"before {MARK} after", MARK, "e\u0301", " ", "a" * 500, "\ufeffx", "x\r\ny",
    *(f"document {i}, of some {i * i} words" for i in range(30)),
]  # fmt: skip


@pytest.fixture
def tokenizer(tmp_path: Path, corpora: Any, step: Any) -> Any:
    config = {"vocabulary": 290, "shares": {"prose": [1, 1]}}
    return step(TRAIN, tmp_path / "tokenizer", config=config, inputs=corpora({"prose": TEXTS[10:] * 3}))


def run(step: Any, out: Path, inputs: Any, tokenizer: Any, part: str = "train") -> Any:
    given = {"corpus": inputs["corpus:prose"], "select": inputs["select"], "tokenizer": tokenizer}
    return step(TOKENISE, out, config={"source": "prose", "part": part}, inputs=given)


def texts_of(folder: Path, used: TextTokenizer) -> list[str]:
    """Documents as the offsets cut them out of the stream."""
    tokens, starts = np.load(folder / "tokens.npy"), np.load(folder / "starts.npy")
    return [used.decode(tokens[a : b - 1]) for a, b in pairwise(starts.tolist())]


def in_sha_order(texts: list[str]) -> list[str]:
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).hexdigest())


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_documents_come_back_byte_for_byte_in_sha_order(
    tmp_path: Path, corpora: Any, step: Any, tokenizer: Any
) -> None:
    made = run(step, tmp_path / "out", corpora({"prose": TEXTS}), tokenizer)
    used = TextTokenizer(tokenizer.path)
    expected = in_sha_order(TEXTS)
    assert texts_of(made.path, used) == expected
    assert np.load(made.path / "bytes.npy").tolist() == [len(text.encode()) for text in expected]
    names = [f"prose/{TEXTS.index(text)}" for text in expected]
    table = pq.read_table(made.path / "documents.parquet").to_pydict()
    assert list(table) == ["id", "group", "sha", "meta"]
    assert table["id"] == names
    assert table["sha"] == [hashlib.sha256(text.encode()).hexdigest() for text in expected]
    assert table["group"] == [f"package:{TEXTS.index(text) % 3}" for text in expected]
    assert [json.loads(meta)["n"] for meta in table["meta"]] == [TEXTS.index(text) for text in expected]
    assert [json.loads(line) for line in (made.path / "ids.txt").read_text().splitlines()] == names
    tokens = np.load(made.path / "tokens.npy")
    assert made.facts == {
        "source": "prose",
        "part": "train",
        "documents": len(TEXTS),
        "tokens": len(tokens),
        "bytes": sum(len(text.encode()) for text in TEXTS),
        "vocabulary": 290,
        "mark": 289,
        "contents": made.facts["contents"],
    }


def test_what_documents_are_called_does_not_change_what_is_trained(
    tmp_path: Path, corpora: Any, step: Any, tokenizer: Any
) -> None:
    whole = corpora({"prose": TEXTS})
    before = run(step, tmp_path / "a", whole, tokenizer).facts["contents"]
    shard = whole["corpus:prose"].path / whole["corpus:prose"].facts["shards"][0]["file"]
    table = pq.read_table(shard)

    def after(column: str, values: list[str], out: str) -> dict[str, str]:
        pq.write_table(
            table.set_column(table.schema.get_field_index(column), table.schema.field(column), [values]), shard
        )
        return run(step, tmp_path / out, whole, tokenizer).facts["contents"]

    assert after("meta", ['{"license":"MIT"}'] * table.num_rows, "b") == before
    renamed = after("id", [f"other/{i}" for i in range(table.num_rows)], "c")
    assert renamed["stream"] == before["stream"]
    assert renamed["items"] != before["items"]


def test_marks_stand_between_documents_and_nowhere_else(
    tmp_path: Path, corpora: Any, step: Any, tokenizer: Any
) -> None:
    made = run(step, tmp_path / "out", corpora({"prose": TEXTS}), tokenizer)
    tokens, starts = np.load(made.path / "tokens.npy"), np.load(made.path / "starts.npy")
    assert starts.dtype == np.int64
    assert tokens.dtype == np.uint16
    assert np.flatnonzero(tokens == 289).tolist() == (starts - 1).tolist()
    assert starts[0] == 1
    assert starts[-1] == len(tokens)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=12, unique=True))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_documents_survive(
    tmp_path_factory: pytest.TempPathFactory, corpora: Any, step: Any, tokenizer: Any, texts: list[str]
) -> None:
    made = run(step, tmp_path_factory.mktemp("t") / "out", corpora({"prose": texts}), tokenizer)
    assert texts_of(made.path, TextTokenizer(tokenizer.path)) == in_sha_order(texts)


def test_parts_hold_their_documents_only(tmp_path: Path, corpora: Any, step: Any, tokenizer: Any) -> None:
    held = [0, 3, 17, 39]
    inputs = corpora({"prose": TEXTS}, held={"prose": held})
    used = TextTokenizer(tokenizer.path)
    train = texts_of(run(step, tmp_path / "a", inputs, tokenizer).path, used)
    unseen = texts_of(run(step, tmp_path / "b", inputs, tokenizer, "held-out").path, used)
    assert unseen == in_sha_order([TEXTS[i] for i in held])
    assert train == in_sha_order([text for i, text in enumerate(TEXTS) if i not in held])


@pytest.mark.parametrize("batch", [1, 40, 1_000])
@pytest.mark.parametrize("parts", [1, 4])
def test_output_does_not_depend_on_shards_or_batches(
    tmp_path: Path,
    corpora: Any,
    step: Any,
    tokenizer: Any,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    parts: int,
) -> None:
    expected = run(step, tmp_path / "a", corpora({"prose": TEXTS}), tokenizer)
    monkeypatch.setattr(shards, "_BATCH_BYTES", batch)
    found = run(step, tmp_path / "b", corpora({"prose": TEXTS}, shards=parts), tokenizer)
    assert files_of(found.path) == files_of(expected.path)
    assert found.facts == expected.facts


def test_documents_are_named_in_pieces_as_well(
    tmp_path: Path, corpora: Any, step: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_ROWS", 7)
    made = run(step, tmp_path / "a", corpora({"prose": TEXTS}), tokenizer)
    names = pq.read_table(made.path / "documents.parquet").column("id").to_pylist()
    assert names == [f"prose/{TEXTS.index(text)}" for text in in_sha_order(TEXTS)]
    assert [json.loads(line) for line in (made.path / "ids.txt").read_text().splitlines()] == names


def test_what_a_killed_run_left_behind_does_not_matter(tmp_path: Path, corpora: Any, step: Any, tokenizer: Any) -> None:
    expected = run(step, tmp_path / "a", corpora({"prose": TEXTS}), tokenizer)
    (tmp_path / "b.work").mkdir()
    (tmp_path / "b.work" / "tokens.bin").write_bytes(b"half")
    (tmp_path / "b.work" / "documents.arrow").write_bytes(b"half")
    found = run(step, tmp_path / "b", corpora({"prose": TEXTS}), tokenizer)
    assert files_of(found.path) == files_of(expected.path)


def test_large_vocabularies_take_four_bytes(
    tmp_path: Path, corpora: Any, step: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = json.loads((tokenizer.path / "tokenizer.json").read_text())
    for token in described["added_tokens"]:
        token["id"] = 65_536
    (tokenizer.path / "tokenizer.json").write_text(json.dumps(described))
    (tokenizer.path / "mark.json").write_text(json.dumps({"mark": 65_536, "vocabulary": 65_537, "text": MARK}))
    made = run(step, tmp_path / "a", corpora({"prose": TEXTS}), tokenizer)
    tokens = np.load(made.path / "tokens.npy")
    assert tokens.dtype == np.uint32
    assert tokens[0] == tokens[-1] == 65_536
    assert texts_of(made.path, TextTokenizer(tokenizer.path)) == in_sha_order(TEXTS)


def test_the_mixture_reads_what_was_written(tmp_path: Path, corpora: Any, step: Any, tokenizer: Any) -> None:
    made = run(step, tmp_path / "a", corpora({"prose": TEXTS}), tokenizer)
    files = TokenFiles(made.path, 16, made.content)
    assert files.documents == len(TEXTS)
    assert files.windows * 16 + files.dropped == made.facts["tokens"] - 1
    assert files.names(range(1, 3)) == [f"prose/{TEXTS.index(t)}" for t in in_sha_order(TEXTS)[1:3]]


def test_the_stream_has_its_disk_space_before_it_is_written(tmp_path: Path) -> None:
    """A page of a mapped file that finds no space kills the process."""
    made = shards._make_array(tmp_path / "tokens.npy", np.dtype("<u2"), 1 << 20)
    status = (tmp_path / "tokens.npy").stat()
    assert status.st_blocks * 512 >= status.st_size > 2 << 20
    made[:] = 7
    made.flush()
    assert np.load(tmp_path / "tokens.npy").tolist() == [7] * (1 << 20)


def test_a_full_disk_is_said_and_nothing_is_left(
    tmp_path: Path, corpora: Any, step: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, begin: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="No space left") as caught:
        run(step, tmp_path / "a", corpora({"prose": TEXTS}), tokenizer)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "a" / "tokens.npy")
    assert not list((tmp_path / "a").iterdir())


def test_a_file_system_that_cannot_reserve_is_written_to(
    tmp_path: Path, corpora: Any, step: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(step, tmp_path / "a", corpora({"prose": TEXTS}), tokenizer)

    def refuse(descriptor: int, begin: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert files_of(run(step, tmp_path / "b", corpora({"prose": TEXTS}), tokenizer).path) == files_of(expected.path)


def test_a_source_without_training_text_fails(tmp_path: Path, corpora: Any, step: Any, tokenizer: Any) -> None:
    inputs = corpora({"prose": ["a", "b"]}, held={"prose": [0, 1]})
    with pytest.raises(RunError, match="'prose' has no document for training"):
        run(step, tmp_path / "a", inputs, tokenizer)


def test_a_part_without_held_out_text_is_an_empty_stream(
    tmp_path: Path, corpora: Any, step: Any, tokenizer: Any
) -> None:
    made = run(step, tmp_path / "a", corpora({"prose": ["a", "b"]}), tokenizer, "held-out")
    assert made.facts["documents"] == made.facts["bytes"] == 0
    assert np.load(made.path / "tokens.npy").tolist() == [289]
    assert np.load(made.path / "starts.npy").tolist() == [1]


def test_tokens_that_do_not_spell_their_document_fail(
    tmp_path: Path, corpora: Any, step: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TextTokenizer.encode_raw

    def shortened(self: TextTokenizer, texts: Sequence[str]) -> list[SimpleNamespace]:
        return [SimpleNamespace(ids=encoding.ids[:-1]) for encoding in real(self, texts)]

    monkeypatch.setattr(TextTokenizer, "encode_raw", shortened)
    with pytest.raises(RunError, match=r"document 'prose/\d+' do not spell its bytes"):
        run(step, tmp_path / "a", corpora({"prose": TEXTS}), tokenizer)


def test_a_stop_is_heeded_between_batches(tmp_path: Path, corpora: Any, step: Any, tokenizer: Any) -> None:
    inputs = corpora({"prose": TEXTS})
    given = {"corpus": inputs["corpus:prose"], "select": inputs["select"], "tokenizer": tokenizer}
    config = {"source": "prose", "part": "train"}
    with pytest.raises(Interrupted, match="while tokenising prose"):
        step(TOKENISE, tmp_path / "a", config=config, inputs=given, stop=True)
