"""Tokenizers: lossless, repeatable, trained on what they were given and no more."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pretrial.errors import RequestError, RunError
from pretrial.tokens import tokenizer as tokenizer_module
from pretrial.tokens.spec import MARK, SEMANTICS, vocabulary_of
from pretrial.tokens.tokenizer import AWKWARD, TextTokenizer

TRAIN = "pretrial.tokens.tokenizer:train_tokenizer"
IMPORT = "pretrial.tokens.tokenizer:import_tokenizer"

PROSE = [f"The {i}th answer is not in the book of questions, said number {i * 7}.\n" for i in range(120)]
CODE = [f"def f_{i}(x):\n    return x * {i} + f_{i - 1}(x)\n\n" * 3 for i in range(120)]


@pytest.fixture
def train(corpora: Any, step: Any) -> Callable[..., Any]:
    """`train(out, {source: texts}, held=…, **config)` trains on equal shares of the sources."""

    def run(out: Path, sources: dict[str, list[str]], held: Any = None, **config: Any) -> Any:
        shares = {name: [1, len(sources)] for name in sources}
        given = {"vocabulary": 400, "shares": shares} | config
        return step(TRAIN, out, config=given, inputs=corpora(sources, held=held))

    return run


@pytest.fixture
def trained(train: Any, tmp_path: Path) -> TextTokenizer:
    return TextTokenizer(train(tmp_path / "trained", {"prose": PROSE, "code": CODE}).path)


# -- round trips ----------------------------------------------------------------------------------------------

texts = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*AWKWARD, MARK, " ", "\n", "\r", "\x00", "word", "é", "🙂"])).map("".join),
)


@given(texts)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_round_trip_loses_no_byte(trained: TextTokenizer, text: str) -> None:
    ids = trained.encode(text)
    assert trained.decode(ids) == text
    assert trained.decode_bytes(ids) == text.encode()
    assert int(trained.token_bytes[ids].sum()) == len(text.encode())


@given(texts)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_produces_the_mark(trained: TextTokenizer, text: str) -> None:
    assert trained.mark not in trained.encode(text + MARK + text)


def test_text_that_spells_the_mark_is_ordinary_bytes(trained: TextTokenizer) -> None:
    ids = trained.encode(f"a{MARK}b")
    assert len(ids) > 3
    assert trained.decode(ids) == f"a{MARK}b"
    # The file itself still knows the mark by name, for whoever loads it elsewhere.
    assert Tokenizer.from_file(str(trained.folder / "tokenizer.json")).token_to_id(MARK) == trained.mark


def test_marks_spell_nothing_and_half_characters_show_as_such(trained: TextTokenizer) -> None:
    ids = trained.encode("ab")
    assert trained.decode([trained.mark, *ids, trained.mark]) == "ab"
    assert trained.token_bytes[trained.mark] == 0
    assert trained.decode(trained.encode("\U0010ffff")[:1]) == "\ufffd"


def test_batches_give_what_single_texts_give(trained: TextTokenizer) -> None:
    for text, ids in zip(PROSE[:5], trained.encode_batch(PROSE[:5]), strict=True):
        assert np.array_equal(ids, trained.encode(text))
    assert trained.encode_batch([]) == []


# -- training -------------------------------------------------------------------------------------------------


def test_the_mark_is_the_last_id_and_every_byte_has_a_token(trained: TextTokenizer) -> None:
    assert trained.vocabulary == 400
    assert trained.mark == 399
    assert len(trained.token_bytes) == 400
    for byte in range(256):
        spelled = {trained.decode_bytes([i]) for i in range(399)}
        assert bytes([byte]) in spelled
    assert np.array_equal(np.load(trained.folder / "token_bytes.npy"), trained.token_bytes)
    assert json.loads((trained.folder / "mark.json").read_text()) == {"vocabulary": 400, "mark": 399, "text": MARK}


def test_repeats_give_the_same_bytes_for_every_number_of_threads(tmp_path: Path, corpora: Any) -> None:
    source = Path(tokenizer_module.__file__).read_text().splitlines() * 3
    inputs = corpora({"prose": ["\n".join(source[i : i + 40]) for i in range(0, len(source), 40)]})
    script = (
        "import sys, json; sys.path.insert(0, sys.argv[3])\n"
        "from conftest import run_step, LocalArtefact; from pathlib import Path\n"
        "inputs = {k: LocalArtefact(Path(p), f) for k, (p, f) in json.loads(sys.argv[2]).items()}\n"
        f"run_step({TRAIN!r}, Path(sys.argv[1]), config={{'vocabulary': 600, 'shares': {{'prose': [1, 1]}}}},"
        " inputs=inputs)\n"
    )
    given = json.dumps({k: [str(a.path), a.facts] for k, a in inputs.items()})
    digests = set()
    for threads in ("1", "2", "4"):
        out = tmp_path / threads
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        folder = str(Path(__file__).parents[1])
        subprocess.run([sys.executable, "-c", script, str(out), given, folder], check=True, env=environment)
        digests.add(tuple(hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(out.iterdir())))
    assert len(digests) == 1


def fed(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The samples that training takes, by source."""
    taken: dict[str, list[str]] = {}
    real = tokenizer_module._samples

    def spy(*args: Any) -> dict[str, list[str]]:
        taken.update(real(*args))
        return taken

    monkeypatch.setattr(tokenizer_module, "_samples", spy)
    return taken


def in_sha_order(texts: Sequence[str]) -> list[str]:
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).hexdigest())


def test_equal_shares_are_equal_bytes_in_sha_order(tmp_path: Path, train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = fed(monkeypatch)
    made = train(tmp_path / "a", {"prose": PROSE, "code": CODE}, sample_bytes=2_001)
    assert made.facts["sample_bytes"] == {"code": 1000, "prose": 1000}
    for name, texts in (("prose", PROSE), ("code", CODE)):
        assert "".join(taken[name]) == "".join(in_sha_order(texts))[:1000]


def test_the_sample_shrinks_to_keep_its_shares(tmp_path: Path, train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = fed(monkeypatch)
    few = PROSE[:3]
    shares = {"prose": [1, 4], "code": [3, 4]}
    train(tmp_path / "a", {"prose": few, "code": CODE}, shares=shares)
    size = sum(len(text) for text in few)
    assert sum(len(text) for text in taken["prose"]) == size
    assert sum(len(text) for text in taken["code"]) == 3 * size


def test_held_out_documents_are_never_seen(tmp_path: Path, train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = fed(monkeypatch)
    held = range(0, 120, 7)
    train(tmp_path / "a", {"prose": PROSE}, held={"prose": held})
    assert sorted(taken["prose"]) == sorted(text for i, text in enumerate(PROSE) if i not in held)


def test_a_cut_never_splits_a_character(tmp_path: Path, train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = fed(monkeypatch)
    train(tmp_path / "a", {"prose": ["é" * 100]}, sample_bytes=33)
    assert taken["prose"] == ["é" * 16]


def test_facts_give_the_compression_of_each_source(tmp_path: Path, train: Any) -> None:
    made = train(tmp_path / "a", {"prose": PROSE, "code": CODE})
    assert made.facts["vocabulary"] == 400
    assert made.facts["mark"] == 399
    assert set(made.facts["bytes_per_token"]) == {"prose", "code"}
    assert all(value > 1.5 for value in made.facts["bytes_per_token"].values())


def test_too_little_text_for_a_vocabulary_is_said(tmp_path: Path, corpora: Any, step: Any) -> None:
    context = step.__globals__["LocalContext"](
        out=tmp_path / "a",
        config={"vocabulary": 400, "shares": {"prose": [1, 1]}},
        inputs=corpora({"prose": ["abab abab"]}),
    )
    facts = tokenizer_module.train_tokenizer(context)
    assert 257 < facts["vocabulary"] < 270
    assert facts["mark"] == facts["vocabulary"] - 1
    (warning,) = context.warnings
    assert f"only {facts['vocabulary']} different tokens, fewer than the 400 asked for" in warning


def test_impossible_trainings_are_refused(tmp_path: Path, train: Any) -> None:
    with pytest.raises(RequestError, match="cannot hold the 256 bytes"):
        train(tmp_path / "a", {"prose": PROSE}, vocabulary=256)
    with pytest.raises(RunError, match="'prose' has no text"):
        train(tmp_path / "b", {"prose": PROSE[:2]}, held={"prose": [0, 1]})


# -- import ---------------------------------------------------------------------------------------------------


def brought(path: Path, *, special: str | None = "<|endoftext|>", prefix: bool = False, **parts: Any) -> Path:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    tokenizer.decoder = decoders.ByteLevel()
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        show_progress=False,
        special_tokens=[special] if special else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(PROSE, trainer)
    tokenizer.save(str(path))
    return path


def test_a_tokenizer_with_an_end_of_text_keeps_it_as_mark(tmp_path: Path, step: Any) -> None:
    path = brought(tmp_path / "tokenizer.json")
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    made = step(IMPORT, tmp_path / "out", config={"sha256": sha}, settings={"file": str(path)})
    assert made.facts == {"vocabulary": 300, "mark": 0}
    assert vocabulary_of(path) == 300
    used = TextTokenizer(made.path)
    assert used.mark == 0
    assert 0 not in used.encode("a<|endoftext|>b")
    for text in [*AWKWARD, "a<|endoftext|>b"]:
        assert used.decode(used.encode(text)) == text


def test_a_tokenizer_without_one_gets_a_mark_as_last_id(tmp_path: Path, step: Any) -> None:
    path = brought(tmp_path / "tokenizer.json", special=None)
    made = step(IMPORT, tmp_path / "out", settings={"file": str(path)})
    assert made.facts == {"vocabulary": 301, "mark": 300}
    assert vocabulary_of(path) == 301
    assert TextTokenizer(made.path).decode(TextTokenizer(made.path).encode(MARK)) == MARK


def test_the_mark_does_not_take_the_name_of_an_ordinary_token(tmp_path: Path, step: Any) -> None:
    path = brought(tmp_path / "tokenizer.json", special=None)
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.add_tokens([AddedToken(MARK, special=False, normalized=False)])
    tokenizer.save(str(path))
    made = step(IMPORT, tmp_path / "out", settings={"file": str(path)})
    assert made.facts == {"vocabulary": 302, "mark": 301}
    assert json.loads((made.path / "mark.json").read_text())["text"] == "<|mark_1|>"
    used = TextTokenizer(made.path)
    assert used.encode(MARK).tolist() == [300]
    assert used.token_bytes[300] == len(MARK)


def test_limits_and_extra_tokens_of_a_brought_tokenizer_do_not_act(tmp_path: Path, step: Any) -> None:
    path = brought(tmp_path / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=50)
    tokenizer.save(str(path))
    used = TextTokenizer(step(IMPORT, tmp_path / "out", settings={"file": str(path)}).path)
    assert used.decode(used.encode("a long text of many words")) == "a long text of many words"


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"prefix": True}, "it changes"),
        ({"normalizer": normalizers.NFC()}, "it changes"),
        ({"normalizer": normalizers.Lowercase()}, "it changes"),
        ({"model": models.BPE(dropout=0.1)}, "dropped at random"),
    ],
)
def test_lossy_tokenizers_are_refused(tmp_path: Path, step: Any, parts: dict[str, Any], problem: str) -> None:
    path = brought(tmp_path / "tokenizer.json", **parts)
    with pytest.raises(RequestError, match=f"not a lossless byte-level tokenizer: .*{problem}") as caught:
        step(IMPORT, tmp_path / "out", settings={"file": str(path)})
    assert caught.value.remedy is not None


def test_tokenizers_of_other_kinds_are_refused(tmp_path: Path, step: Any) -> None:
    path = tmp_path / "tokenizer.json"
    Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")).save(str(path))
    with pytest.raises(RequestError, match="its model is WordPiece, not BPE"):
        step(IMPORT, tmp_path / "a", settings={"file": str(path)})
    Tokenizer(models.BPE({"a": 0, "▁b": 1}, [])).save(str(path))
    with pytest.raises(RequestError, match="'▁', which stands for no byte"):
        step(IMPORT, tmp_path / "b", settings={"file": str(path)})
    Tokenizer(models.BPE({"a": 0, "b": 1}, [])).save(str(path))
    with pytest.raises(RequestError, match="254 of the 256 bytes have no token"):
        step(IMPORT, tmp_path / "c", settings={"file": str(path)})


@pytest.mark.parametrize("content", ["", "{}", '{"model": 3}', "not json"])
def test_files_that_are_no_tokenizers_are_refused(tmp_path: Path, step: Any, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(RequestError, match=r"is not a tokenizer\.json"):
        step(IMPORT, tmp_path / "out", settings={"file": str(path)})
    with pytest.raises(RequestError, match=r"is not a tokenizer\.json"):
        vocabulary_of(path)


def test_missing_and_changed_files_are_refused(tmp_path: Path, step: Any) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(RequestError, match="cannot be read: No such file"):
        step(IMPORT, tmp_path / "a", settings={"file": str(path)})
    with pytest.raises(RequestError, match="cannot be read: No such file"):
        vocabulary_of(path)
    brought(path)
    with pytest.raises(RequestError, match="changed since the study was planned"):
        step(IMPORT, tmp_path / "b", config={"sha256": "0" * 64}, settings={"file": str(path)})


# -- spec -----------------------------------------------------------------------------------------------------


def test_the_spec_is_light() -> None:
    code = (
        "import sys, pretrial.tokens.spec, pretrial.mixture.spec;"
        "print([m for m in ('torch', 'pyarrow', 'numpy', 'tokenizers') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_semantics_versions() -> None:
    assert SEMANTICS == {"tokenizer": 1, "tokens": 2}
