"""What is exported computes the same in transformers, and comes back the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from pretrial.errors import RequestError
from pretrial.model.decoder import Decoder
from pretrial.model.hub import export_model, load_model
from pretrial.model.language_model import open_checkpoint
from pretrial.model.weights import load_decoder


def tokens(length: int = 24) -> torch.Tensor:
    return torch.randint(0, 257, (2, length), generator=torch.Generator().manual_seed(3))


def first_difference(decoder: Decoder, other: Any, ids: torch.Tensor, tolerance: float) -> str:
    """Name of the first block whose output differs; empty where none does."""
    mask = torch.zeros_like(ids, dtype=torch.int32)
    from pretrial.model.decoder import attention_mask

    mine = decoder.stream(ids, attention_mask(mask))
    theirs = other.model(ids, output_hidden_states=True).hidden_states
    # transformers gives the final norm's output in the place of the last block's.
    names = ["embedding", *(f"block {i}" for i in range(len(decoder.blocks) - 1)), "last block or final norm"]
    for name, ours, given in zip(names, [*mine[:-2], mine[-1]], theirs, strict=True):
        if not torch.allclose(ours, given, atol=tolerance):
            return f"{name} (by {(ours - given).abs().max():.1e})"
    return ""


def test_transformers_computes_the_same_logits(decoder: Decoder, checkpoint: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    out = export_model(checkpoint, None, tmp_path / "hub")
    other = transformers.AutoModelForCausalLM.from_pretrained(out).eval()
    assert type(other).__name__ == "CohereForCausalLM"
    assert other.dtype == torch.float32
    with torch.inference_mode():
        assert first_difference(decoder, other, tokens(), 1e-5) == ""
        mine = decoder(tokens(), torch.zeros(2, 24, dtype=torch.int32))
        theirs = other(tokens()).logits
    assert mine.std() > 0.1
    assert (mine - theirs).abs().max() <= 1e-5


def test_a_difference_is_found_and_named(decoder: Decoder, checkpoint: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    other = transformers.AutoModelForCausalLM.from_pretrained(export_model(checkpoint, None, tmp_path / "hub"))
    with torch.inference_mode():
        decoder.state_dict()["blocks.1.inner.weight"][0, 0] += 0.1
        assert first_difference(decoder, other.eval(), tokens(), 1e-5).startswith("block 1")


def test_transformers_reads_the_tokenizer_and_generates(checkpoint: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    out = export_model(checkpoint, None, tmp_path / "hub")
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (256, 256, 256)
    mine = open_checkpoint(checkpoint)
    ids = [256, *mine.tokenizer.encode("def f(").ids]
    model = transformers.AutoModelForCausalLM.from_pretrained(out).eval()
    made = model.generate(torch.tensor([ids]), max_new_tokens=10, do_sample=False)[0, len(ids) :].tolist()
    text = tokenizer.decode(made, skip_special_tokens=True)
    assert mine.sample("def f(", tokens=10, temperature=0) == "def f(" + text


def test_there_and_back_is_the_same_bits(decoder: Decoder, checkpoint: Path, tmp_path: Path) -> None:
    back = load_model(export_model(checkpoint, None, tmp_path / "hub"))
    for name, value in decoder.state_dict().items():
        assert torch.equal(value, back.state_dict()[name]), name
    assert back.spec == decoder.spec


def test_bfloat16_weighs_half_and_is_near(decoder: Decoder, checkpoint: Path, tmp_path: Path) -> None:
    full = export_model(checkpoint, None, tmp_path / "full")
    half = export_model(checkpoint, None, tmp_path / "half", dtype="bfloat16")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (full, half)]
    assert sizes[1] < 0.6 * sizes[0]
    segments = torch.zeros(2, 24, dtype=torch.int32)
    assert torch.allclose(load_model(half)(tokens(), segments), decoder(tokens(), segments), atol=0.3)


def test_an_export_is_the_same_bytes_each_time_and_has_a_card(checkpoint: Path, tmp_path: Path) -> None:
    rows = {"name": "a | b", "study": "code-as-catalyst", "variant": "text→text", "seed": "1"}
    one, two = (export_model(checkpoint, None, tmp_path / n, provenance=rows) for n in ("one", "two"))
    files = sorted(path.name for path in one.iterdir())
    assert files == [
        "README.md", "config.json", "generation_config.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)
    card = (one / "README.md").read_text()
    assert "12,345 tokens" in card
    assert "| study | code-as-catalyst |" in card
    assert "a \\| b" in card


def test_what_cannot_be_exported_is_refused(checkpoint: Path, tmp_path: Path, tokenizer: Tokenizer) -> None:
    with pytest.raises(RequestError, match="not 'float16'"):
        export_model(checkpoint, None, tmp_path / "a", dtype="float16")
    with pytest.raises(RequestError, match="not empty"):
        export_model(checkpoint, None, checkpoint)
    with pytest.raises(RequestError, match="no tokenizer"):
        export_model(checkpoint, tmp_path / "none.json", tmp_path / "a")
    tokenizer.add_special_tokens(["<|more|>"])
    strange = json.loads(tokenizer.to_str())
    strange["added_tokens"] = strange["added_tokens"][1:]
    (tmp_path / "strange.json").write_text(json.dumps(strange))
    with pytest.raises(RequestError, match="no special token with the id 256"):
        export_model(checkpoint, tmp_path / "strange.json", tmp_path / "a")


@pytest.mark.parametrize(("name", "value"), [("logit_scale", 0.0625), ("use_qk_norm", True), ("model_type", "llama")])
def test_another_function_is_not_imported(checkpoint: Path, tmp_path: Path, name: str, value: object) -> None:
    out = export_model(checkpoint, None, tmp_path / "hub")
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {name: value}))
    with pytest.raises(RequestError, match=name):
        load_model(out)


def test_an_absent_logit_scale_is_coheres(checkpoint: Path, tmp_path: Path) -> None:
    out = export_model(checkpoint, None, tmp_path / "hub")
    config = json.loads((out / "config.json").read_text())
    assert config.pop("logit_scale") == 1.0, "ours is always written"
    (out / "config.json").write_text(json.dumps(config))
    with pytest.raises(RequestError, match=r"logit_scale is 0\.0625"):
        load_model(out)


def test_the_defaults_of_absent_keys_are_transformers_own(checkpoint: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    out = export_model(checkpoint, None, tmp_path / "hub")
    config = json.loads((out / "config.json").read_text())
    for name in ("layer_norm_eps", "use_qk_norm", "attention_bias", "hidden_act", "tie_word_embeddings"):
        assert config.pop(name) == getattr(transformers.CohereConfig(), name)
    assert transformers.CohereConfig().logit_scale == 0.0625
    (out / "config.json").write_text(json.dumps(config))
    load_model(out)


def test_a_sample_repeats_by_seed(checkpoint: Path) -> None:
    model = open_checkpoint(checkpoint)
    one = model.sample("def f(", tokens=40, temperature=0.8, seed=1)
    assert one.startswith("def f(")
    assert one == open_checkpoint(checkpoint).sample("def f(", tokens=40, temperature=0.8, seed=1)
    assert one != model.sample("def f(", tokens=40, temperature=0.8, seed=2)
    with pytest.raises(RequestError, match="temperature"):
        model.sample("", temperature=-1)


def test_probabilities_of_what_can_follow_sum_to_one(checkpoint: Path) -> None:
    model = open_checkpoint(checkpoint)
    characters = [chr(i) for i in range(128)]
    ascii_only = sum(2.718281828459045 ** model.logprob(c) for c in characters)
    decoder = load_decoder(checkpoint)
    first = decoder(torch.tensor([[256]]), torch.zeros(1, 1, dtype=torch.int32))[0, 0].double().softmax(-1)
    ids = [model.tokenizer.encode(c).ids[0] for c in characters]
    assert ascii_only == pytest.approx(first[ids].sum().item(), rel=1e-6)
    assert model.logprob("ab", ends=True) < model.logprob("ab") < model.logprob("a") < 0
    assert model.logprob("") == 0
    with pytest.raises(RequestError, match="more than the context"):
        model.logprob("x" * 25)


def test_text_that_spells_the_mark_is_ordinary_text(checkpoint: Path) -> None:
    model = open_checkpoint(checkpoint)
    assert len(model._encode("<|mark|>")) == 8
    assert 256 not in model._encode("<|mark|>")


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no checkpoint"):
        open_checkpoint(tmp_path)
