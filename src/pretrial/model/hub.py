"""Hugging Face in and out: a checkpoint as a `CohereForCausalLM` folder, and back.

Guarantees: what is exported computes the same function in transformers (logits to 1e-5 in float32, tested);
the export depends on the checkpoint alone. `load_model` reads what `export_model` wrote, and other Cohere
folders with this block and rotary theta. Does not do: upload anything, or import transformers.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import pretrial
from pretrial.errors import RequestError
from pretrial.model.decoder import LOGIT_SCALE, NORM_EPS, ROPE_THETA, Decoder, inner_sizes
from pretrial.model.spec import ModelSpec, parameters
from pretrial.model.weights import load_decoder, read_config, save_tensors
from pretrial.store.identity import hash_file

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
_GATED = ("mlp.gate_proj", "mlp.up_proj")

_CARD = """---
library_name: transformers
pipeline_tag: text-generation
tags: [pretrial]
---

# {name}

A language model of {total:,} parameters ({inner:,} without embeddings), trained on {tokens} tokens
by [Pretrial] for a controlled trial of pre-training data. It is material of an experiment, not an assistant:
it was never tuned to follow instructions, and a model of this size is wrong most of the time.

| | |
|---|---|
{rows}

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
```

Documents were separated in training by one mark, `{mark}` (id {mark_id}), which here stands for begin, end
and padding: begin a prompt with it. Attention never crossed it.

[Pretrial]: https://github.com/pretrial/pretrial
"""


def to_hub_names(decoder: Decoder) -> dict[str, Tensor]:
    """The weights under the names and shapes of `CohereForCausalLM`; the tied output is the embedding."""
    weights = {"model.embed_tokens.weight": decoder.embedding.weight, "model.norm.weight": decoder.norm.weight}
    state = decoder.state_dict()
    spec = decoder.spec
    for i in range(spec.layers):
        at = f"model.layers.{i}"
        rows = state[f"blocks.{i}.inner.weight"].split(inner_sizes(spec), 0)
        for name, part in zip((*_ATTENTION, *_GATED), rows, strict=True):
            weights[f"{at}.{name}.weight"] = part
        columns = state[f"blocks.{i}.outer.weight"].split([spec.width, spec.feed_forward], 1)
        weights[f"{at}.self_attn.o_proj.weight"], weights[f"{at}.mlp.down_proj.weight"] = columns
        weights[f"{at}.input_layernorm.weight"] = state[f"blocks.{i}.norm.weight"]
    return {name: value.detach().cpu().contiguous() for name, value in weights.items()}


def from_hub_names(weights: Mapping[str, Tensor], spec: ModelSpec) -> dict[str, Tensor]:
    """The inverse of `to_hub_names`; raises `RequestError` naming a weight that is missing or does not belong."""
    left = {name: value.float() for name, value in weights.items() if name != "lm_head.weight"}

    def take(name: str) -> Tensor:
        if name not in left:
            raise RequestError(f"the folder's weights lack {name}")
        return left.pop(name)

    state = {"embedding.weight": take("model.embed_tokens.weight"), "norm.weight": take("model.norm.weight")}
    for i in range(spec.layers):
        at = f"model.layers.{i}"
        state[f"blocks.{i}.inner.weight"] = torch.cat([take(f"{at}.{name}.weight") for name in (*_ATTENTION, *_GATED)])
        state[f"blocks.{i}.outer.weight"] = torch.cat(
            [take(f"{at}.self_attn.o_proj.weight"), take(f"{at}.mlp.down_proj.weight")], 1
        )
        state[f"blocks.{i}.norm.weight"] = take(f"{at}.input_layernorm.weight")
    if left:
        raise RequestError(
            f"the folder's weights hold what this block does not have: {', '.join(sorted(left)[:5])}",
            remedy="biases and query/key norms are not supported",
        )
    return state


def hub_config(spec: ModelSpec, vocabulary: int, context: int, mark: int, dtype: str) -> dict[str, Any]:
    """`config.json` of a `CohereForCausalLM` folder, readable by transformers 4 and 5."""
    return {
        "architectures": ["CohereForCausalLM"],
        "model_type": "cohere",
        "vocab_size": vocabulary,
        "hidden_size": spec.width,
        "intermediate_size": spec.feed_forward,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "hidden_act": "silu",
        "max_position_embeddings": context,
        "layer_norm_eps": NORM_EPS,
        "logit_scale": LOGIT_SCALE,
        "rope_theta": ROPE_THETA,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_THETA},
        "attention_bias": False,
        "attention_dropout": 0.0,
        "use_qk_norm": False,
        "tie_word_embeddings": True,
        "use_cache": True,
        "bos_token_id": mark,
        "eos_token_id": mark,
        "pad_token_id": mark,
        "torch_dtype": dtype,
    }


def export_model(
    checkpoint: Path,
    tokenizer_json: Path | None,
    out: Path,
    *,
    dtype: str = "float32",
    provenance: Mapping[str, str] | None = None,
) -> Path:
    """Write a checkpoint as a folder that `transformers` loads; the folder.

    `tokenizer_json`: by default the checkpoint's own copy. `dtype`: float32 or bfloat16. `provenance`: rows
    for the model card, such as study, variant, seed and licences of the sources. Raises `RequestError` for
    another dtype, a folder that is not empty, or a missing tokenizer.
    """
    checkpoint, out = Path(checkpoint), Path(out)
    if dtype not in DTYPES:
        raise RequestError(f"a model is exported as float32 or bfloat16, not {dtype!r}")
    if out.exists() and any(out.iterdir()):
        raise RequestError(f"{out} is not empty", remedy="name a new folder")
    tokenizer = Path(tokenizer_json) if tokenizer_json is not None else checkpoint / "tokenizer.json"
    if not tokenizer.is_file():
        raise RequestError(f"there is no tokenizer at {tokenizer}", remedy="name the tokenizer.json of the study")
    config = read_config(checkpoint)
    decoder = load_decoder(checkpoint)
    vocabulary, context = decoder.vocabulary, int(config["context"])
    mark = int(config["mark"])
    name = _mark_name(tokenizer, mark)

    out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.to(DTYPES[dtype]) for name, value in to_hub_names(decoder).items()}
    save_tensors(weights, out / "model.safetensors", {"format": "pt"})
    shutil.copyfile(tokenizer, out / "tokenizer.json")
    ids = {"bos_token_id": mark, "eos_token_id": mark, "pad_token_id": mark}
    _write(out / "config.json", hub_config(decoder.spec, vocabulary, context, mark, dtype))
    _write(out / "generation_config.json", {**ids, "do_sample": True, "max_new_tokens": 64})
    _write(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": name,
            "eos_token": name,
            "pad_token": name,
            "model_max_length": context,
            "clean_up_tokenization_spaces": False,
        },
    )
    total, inner = parameters(decoder.spec, vocabulary)
    rows = {
        **(provenance or {}),
        "layers × width × heads": f"{decoder.spec.layers} × {decoder.spec.width} × {decoder.spec.heads}",
        "vocabulary, context": f"{vocabulary:,}, {context:,}",
        "weights": f"{dtype}; SHA-256 of the float32 original {hash_file(checkpoint / 'model.safetensors')[:16]}…",
        "made by": f"Pretrial {pretrial.__version__}" if hasattr(pretrial, "__version__") else "Pretrial",
    }
    card = _CARD.format(
        name=(provenance or {}).get("name", "A model of a controlled trial"),
        total=total,
        inner=inner,
        tokens=f"{config['tokens']:,}" if "tokens" in config else "an unrecorded number of",
        rows="\n".join(f"| {_cell(key)} | {_cell(value)} |" for key, value in rows.items()),
        mark=name,
        mark_id=mark,
    )
    (out / "README.md").write_text(card, encoding="utf-8")
    return out


def load_model(folder: Path, device: str | torch.device = "cpu") -> Decoder:
    """The decoder of a folder in Hugging Face layout, in float32 and ready for inference.

    Raises `RequestError` where the folder's model is another function than `Decoder` computes.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file():
        raise RequestError(f"{folder} has no config.json")
    config = json.loads(path.read_text(encoding="utf-8"))
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", ROPE_THETA)}
    wanted: dict[str, tuple[Any, Any]] = {
        "model_type": (config.get("model_type"), "cohere"),
        # What an absent key means is what `CohereConfig` says, not what we have.
        "logit_scale": (config.get("logit_scale", 0.0625), LOGIT_SCALE),
        "layer_norm_eps": (config.get("layer_norm_eps", NORM_EPS), NORM_EPS),
        "rope_theta": (rope.get("rope_theta"), ROPE_THETA),
        "rope_type": (rope.get("rope_type", "default"), "default"),
        "use_qk_norm": (config.get("use_qk_norm", False), False),
        "attention_bias": (config.get("attention_bias", False), False),
        "hidden_act": (config.get("hidden_act", "silu"), "silu"),
        "tie_word_embeddings": (config.get("tie_word_embeddings", True), True),
    }
    for name, (found, right) in wanted.items():
        if found != right:
            raise RequestError(f"{name} is {found!r}; Pretrial's decoder has {right!r}", where=str(path))
    spec = ModelSpec(
        config["num_hidden_layers"],
        config["hidden_size"],
        config["num_attention_heads"],
        config["intermediate_size"],
        config.get("num_key_value_heads") or 0,
    )
    decoder = Decoder(spec, config["vocab_size"], longest=config["max_position_embeddings"])
    decoder.load_state_dict(from_hub_names(load_file(folder / "model.safetensors"), spec))
    return decoder.to(device).eval()


def _mark_name(tokenizer: Path, mark: int) -> str:
    """What `tokenizer.json` calls the mark."""
    content = json.loads(tokenizer.read_text(encoding="utf-8"))
    for token in content.get("added_tokens", []):
        if token["id"] == mark and token["special"]:
            return str(token["content"])
    raise RequestError(
        f"{tokenizer} has no special token with the id {mark}, which is the model's mark between documents",
        remedy="it belongs to another model",
    )


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
