"""What identifies tokens, and what they cost, without making them.

Standard library only. The names below that stand in a `tokenizer.json` follow the format of Hugging Face's
tokenizers library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrial.errors import RequestError

SEMANTICS = {"tokenizer": 1, "tokens": 2}

SAMPLE_BYTES = 20_000_000
"""UTF-8 bytes, over all its sources, that a tokenizer is trained on."""

MIN_VOCABULARY = 257
"""Every byte, and the mark."""

MARK = "<|mark|>"

END_OF_TEXT = (
    "<|endoftext|>", "<|end_of_text|>", "<|END_OF_TEXT|>", "<|eos|>", "<|eot|>", "<eos>", "</s>",
    "<EOS_TOKEN>",
)  # fmt: skip
"""Names under which tokenizers flag their end-of-text token as special, most specific first."""

BYTES_PER_TOKEN = 3.0
"""Assumed before anything is tokenised: English and code, vocabularies of 4,096 to 8,192."""

TRAIN_BYTES_PER_SECOND = 2.5e6
ENCODE_BYTES_PER_SECOND = 2.0e6


def find_mark(tokenizer: Mapping[str, Any]) -> tuple[str, int, int]:
    """(text, id of the mark, vocabulary) of a parsed `tokenizer.json`, the mark added where it has none.

    The mark is the tokenizer's end-of-text token where one is flagged special, otherwise a new last id.
    """
    ids: dict[str, int] = dict(tokenizer["model"]["vocab"])
    special: dict[str, int] = {}
    for token in tokenizer.get("added_tokens") or []:
        ids[token["content"]] = token["id"]
        if token.get("special"):
            special[token["content"]] = token["id"]
    vocabulary = max(ids.values()) + 1
    for name in (MARK, *END_OF_TEXT):
        if name in special:
            return name, special[name], vocabulary
    name, number = MARK, 1
    while name in ids:
        name, number = f"<|mark_{number}|>", number + 1
    return name, vocabulary, vocabulary + 1


def vocabulary_of(path: Path) -> int:
    """Vocabulary that a `tokenizer.json` will have once imported, its mark included.

    Raises:
        RequestError: when the file cannot be read as one.
    """
    try:
        return find_mark(json.loads(path.read_text(encoding="utf-8")))[2]
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}", remedy="Check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(
            f"{path} is not a tokenizer.json of the tokenizers library",
            remedy="Save one with Tokenizer.save, or AutoTokenizer.save_pretrained of a fast tokenizer.",
        ) from error


def tokens_bytes(text_bytes: int, vocabulary: int) -> int:
    """Estimated disk of a tokens artefact for `text_bytes` of text, with offsets and names."""
    return round(text_bytes / BYTES_PER_TOKEN) * (2 if vocabulary <= 1 << 16 else 4) + text_bytes // 20


def tokenise_seconds(text_bytes: int) -> float:
    """Estimated time to tokenise `text_bytes` on two cores."""
    return text_bytes / ENCODE_BYTES_PER_SECOND


def train_seconds(sample_bytes: int) -> float:
    """Estimated time to train a tokenizer on two cores."""
    return 1.0 + sample_bytes / TRAIN_BYTES_PER_SECOND
