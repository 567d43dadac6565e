"""Byte-level BPE: trained on the study's own text, or brought along; and its use.

Guarantees: tokens of a text spell exactly its UTF-8 bytes; no text can produce the mark (text that spells
its name is encoded as ordinary bytes); training sees documents for training only, in the shares asked for,
and gives the same file on every run and for every number of threads.

A trained tokenizer has no normaliser, GPT-2's pre-tokenizer (Radford et al. 2019; `ByteLevel` of the
tokenizers library, no prefix space), all 256 bytes, and the mark as last id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Encoding, Tokenizer, decoders, models, pre_tokenizers, trainers

from pretrial.corpus.documents import save_array
from pretrial.corpus.iterate import TRAIN, documents, load_mask
from pretrial.errors import RequestError, RunError
from pretrial.execute.context import Json, StepContext
from pretrial.tokens.spec import MIN_VOCABULARY, SAMPLE_BYTES, find_mark

AWKWARD = (
    "\n", " ", "  leading", "trailing  ", "\r\n\t\x0b\f", "\x00", "a\x00b", "\ufeffbom", "\u200b\u00a0\u2028",
    "e\u0301 \u00e9 \ufb01 \uff21 \u212b", "UPPER lower", "👩🏽‍🚀🇩🇪", "汉字かな한글", "\U0010ffff",
    "don't we'll", "    def f(x):\n\treturn x  # 1_000", "<0x0A> ▁ Ġ Ċ", "﷽", "</s><|endoftext|><|mark|>",
)  # fmt: skip
"""Texts that tokenizers are known to change."""


Encoded = Sequence[Encoding]
"""Encoded texts as the library has them; `ids` of each are its tokens."""


class TextTokenizer:
    """A tokenizer as the other rooms use it: texts to ids and back, losing no byte.

    `folder`: a tokenizer artefact's folder, with `tokenizer.json` and `mark.json`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        described = json.loads((self.folder / "mark.json").read_text(encoding="utf-8"))
        self.mark: int = described["mark"]
        self.vocabulary: int = described["vocabulary"]
        _prepare(self._tokenizer)
        self._bytes = byte_table(json.loads(self._tokenizer.to_str()))
        self._bytes[self.mark] = b""
        self.token_bytes = np.array([len(self._bytes.get(i, b"")) for i in range(self.vocabulary)], dtype=np.int32)
        """[vocabulary]: UTF-8 bytes of each id; 0 for the mark and other special ids."""

    def encode(self, text: str) -> NDArray[np.int64]:
        """Ids of one text; the mark is never among them."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Ids of each text, in parallel."""
        return [np.array(encoding.ids, dtype=np.int64) for encoding in self.encode_raw(texts)]

    def encode_raw(self, texts: Sequence[str]) -> Encoded:
        """Ids of each text as the library gives them, in parallel, other threads of Python going on meanwhile."""
        return _encode(self._tokenizer, texts)

    def decode_bytes(self, ids: Sequence[int] | NDArray[Any]) -> bytes:
        """The bytes that ids spell; marks spell nothing."""
        return b"".join(self._bytes[int(i)] for i in ids)

    def decode(self, ids: Sequence[int] | NDArray[Any]) -> str:
        """The text that ids spell. Ids that begin or end inside a character give U+FFFD there."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")


def train_tokenizer(ctx: StepContext) -> Json:
    """Step "tokenizer": train one on documents for training.

    Config: `vocabulary` (the mark included), `shares` {source: [n, d]} of the sample's bytes,
    `sample_bytes`. Inputs: `corpus:<source>` for each share, `select`. Writes `tokenizer.json`,
    `mark.json`, `token_bytes.npy`.

    A source's sample is its documents in SHA-256 order, cut at its share of the bytes. Where a source has
    less, the whole sample shrinks so that the shares hold.

    Raises `RunError` for a source without a document for training, `RequestError` for an impossible
    vocabulary.
    """
    vocabulary = int(ctx.config["vocabulary"])
    if vocabulary < MIN_VOCABULARY:
        raise RequestError(
            f"a vocabulary of {vocabulary} cannot hold the 256 bytes and the mark",
            remedy=f"Ask for at least {MIN_VOCABULARY}.",
        )
    shares = {name: Fraction(*share) for name, share in sorted(ctx.config["shares"].items())}
    samples = _samples(ctx, shares, int(ctx.config.get("sample_bytes", SAMPLE_BYTES)))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 1,
        min_frequency=2,
        special_tokens=[],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for texts in samples.values() for text in texts), trainer)
    made = tokenizer.get_vocab_size() + 1
    if made < vocabulary:
        ctx.warn(
            f"the text holds only {made:,} different tokens, fewer than the {vocabulary:,} asked for: "
            "the vocabulary is smaller"
        )
    facts = _write(ctx.out, tokenizer)
    used = TextTokenizer(ctx.out)
    facts["sample_bytes"] = {name: sum(len(t.encode()) for t in texts) for name, texts in samples.items()}
    facts["bytes_per_token"] = {name: _bytes_per_token(used, texts) for name, texts in samples.items()}
    return facts


def import_tokenizer(ctx: StepContext) -> Json:
    """Step "tokenizer": take a given `tokenizer.json`.

    Settings: `file`. Config: `sha256` of the file, its identity. Writes what `train_tokenizer` writes. Its
    mark is its end-of-text token where one is flagged special, otherwise a new last id.

    Raises `RequestError` for a file that changed since it was planned or that loses a byte of any text.
    """
    path = Path(ctx.settings["file"])
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}", remedy="Check the path.") from error
    planned = ctx.config.get("sha256")
    if planned is not None and hashlib.sha256(raw).hexdigest() != planned:
        raise RequestError(f"{path} changed since the study was planned", remedy="Run again.")
    try:
        tokenizer = Tokenizer.from_str(raw.decode("utf-8"))
    except Exception as error:  # the library raises bare Exception for a file it cannot read
        raise RequestError(
            f"{path} is not a tokenizer.json of the tokenizers library: {error}",
            remedy="Save one with Tokenizer.save, or AutoTokenizer.save_pretrained of a fast tokenizer.",
        ) from error
    problem = _problem(tokenizer)
    if problem:
        raise RequestError(
            f"{path} is not a lossless byte-level tokenizer: {problem}",
            remedy="Use a byte-level BPE without a normaliser, or let the study train one.",
        )
    return _write(ctx.out, tokenizer)


def byte_table(tokenizer: Mapping[str, Any]) -> dict[int, bytes]:
    """UTF-8 bytes of each id of a parsed byte-level `tokenizer.json`; special ids spell nothing.

    Raises `KeyError` for a token that is not spelled in GPT-2's byte characters.
    """
    byte_of = _byte_characters()
    added = {token["id"]: token for token in tokenizer.get("added_tokens") or []}
    table = {
        number: bytes(byte_of[character] for character in token)
        for token, number in tokenizer["model"]["vocab"].items()
        if number not in added
    }
    for number, token in added.items():
        table[number] = b"" if token.get("special") else token["content"].encode()
    return table


def _byte_characters() -> dict[str, int]:
    """The printable character that stands for each byte (GPT-2, `encoder.py`, `bytes_to_unicode`)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    characters = {chr(byte): byte for byte in printable}
    return characters | {chr(256 + index): byte for index, byte in enumerate(others)}


def _prepare(tokenizer: Tokenizer) -> None:
    # Special tokens must not be found in text: text that spells one is encoded as ordinary bytes.
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()


def _encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Encoded:
    fast = getattr(tokenizer, "encode_batch_fast", tokenizer.encode_batch)
    encoded: Encoded = fast(list(texts), add_special_tokens=False)
    return encoded


def _problem(tokenizer: Tokenizer) -> str | None:
    """Why a tokenizer cannot be used, or nothing."""
    described = json.loads(tokenizer.to_str())
    if described["model"].get("type") != "BPE":
        return f"its model is {described['model'].get('type')}, not BPE"
    if described["model"].get("dropout"):
        return "its merges are dropped at random"
    try:
        table = byte_table(described)
    except KeyError as error:
        return f"its vocabulary holds {error.args[0]!r}, which stands for no byte"
    single = {spelled for spelled in table.values() if len(spelled) == 1}
    if len(single) < 256:
        return f"{256 - len(single)} of the 256 bytes have no token"
    _prepare(tokenizer)
    mark_text, mark, _ = find_mark(described)
    added = [token["content"] for token in described.get("added_tokens") or []]
    texts = [*AWKWARD, mark_text, *(f"a {content} b" for content in added)]
    for text, encoding in zip(texts, _encode(tokenizer, texts), strict=True):
        if mark in encoding.ids:
            return f"the text {text!r} produces its end mark"
        if b"".join(table[number] for number in encoding.ids) != text.encode():
            return f"it changes {text!r}"
    return None


def _write(out: Path, tokenizer: Tokenizer) -> Json:
    text, mark, vocabulary = find_mark(json.loads(tokenizer.to_str()))
    if mark == vocabulary - 1 and tokenizer.token_to_id(text) is None:
        tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False)])
    if tokenizer.token_to_id(text) != mark:
        raise RunError(f"the mark {text!r} has id {tokenizer.token_to_id(text)}, not {mark}")
    described = json.loads(tokenizer.to_str())
    described["truncation"] = described["padding"] = None
    (out / "tokenizer.json").write_text(json.dumps(described, ensure_ascii=False, indent=1), encoding="utf-8")
    facts: Json = {"vocabulary": vocabulary, "mark": mark}
    (out / "mark.json").write_text(json.dumps(facts | {"text": text}), encoding="utf-8")
    save_array(out / "token_bytes.npy", TextTokenizer(out).token_bytes)
    return facts


def _samples(ctx: StepContext, shares: Mapping[str, Fraction], budget: int) -> dict[str, list[str]]:
    """Texts of each source to train on: its share of the bytes, exact up to one cut character."""
    sizes: dict[str, dict[bytes, int]] = {}
    for name in shares:
        sizes[name] = dict(_train_column(ctx, name, "bytes"))
        if not sum(sizes[name].values()):
            raise RunError(
                f"the source {name!r} has no text for training a tokenizer",
                remedy="Give it more text, or take it out of the tokenizer's sources.",
            )
    budget = min([budget, *(int(sum(sizes[name].values()) / share) for name, share in shares.items())])
    samples = {}
    for name, share in shares.items():
        room = int(budget * share)
        wanted: dict[bytes, int] = {}
        for sha, size in sorted(sizes[name].items()):
            if room <= 0:
                break
            wanted[sha] = min(size, room)
            room -= size
        texts = {sha: text for sha, text in _train_column(ctx, name, "text") if sha in wanted}
        samples[name] = [_cut(texts[sha], size) for sha, size in wanted.items()]
    return samples


def _train_column(ctx: StepContext, name: str, column: str) -> Iterator[tuple[bytes, Any]]:
    """(SHA-256 of the text, value) of each document for training."""
    mask = load_mask(ctx.inputs["select"], name)
    for batch in documents(ctx.inputs[f"corpus:{name}"], mask, TRAIN, ("text_sha", column)):
        yield from zip(batch.column("text_sha").to_pylist(), batch.column(column).to_pylist(), strict=True)


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode("utf-8", errors="ignore")


def _bytes_per_token(tokenizer: TextTokenizer, texts: Sequence[str], limit: int = 1_000_000) -> float:
    taken, size = [], 0
    for text in texts:
        if size >= limit:
            break
        taken.append(text)
        size += len(text.encode())
    return round(size / max(1, sum(len(ids) for ids in tokenizer.encode_batch(taken))), 4)
