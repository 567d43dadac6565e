"""Presets, counts and costs."""

from __future__ import annotations

import pytest

from pretrial.errors import RequestError
from pretrial.model.decoder import Decoder
from pretrial.model.spec import (
    PRESETS,
    ModelSpec,
    flops_per_token,
    parameters,
    preset_learning_rate,
    resolve_model,
)

# Parameters and batches: allenai/DataDecide, scaling_laws/utils/constants/constants_models.py.
# Learning rates: the table of its paper.
LADDER = {
    "4m": (3_744_832, 1.4e-2, 32), "6m": (6_010_464, 1.2e-2, 32), "8m": (8_538_240, 1.1e-2, 32),
    "10m": (9_900_432, 1.0e-2, 32), "14m": (14_380_224, 9.2e-3, 32), "16m": (16_004_560, 8.9e-3, 32),
    "20m": (19_101_888, 8.4e-3, 64), "60m": (57_078_144, 5.8e-3, 96), "90m": (97_946_640, 4.9e-3, 160),
    "150m": (151_898_880, 4.2e-3, 192), "300m": (319_980_544, 3.3e-3, 320), "530m": (530_074_944, 2.8e-3, 448),
    "750m": (681_297_408, 2.5e-3, 576), "1b": (1_176_832_000, 2.1e-3, 704),
}  # fmt: skip


@pytest.mark.parametrize("name", LADDER)
def test_the_ladder_is_datadecides(name: str) -> None:
    count, rate, batch = LADDER[name]
    # Theirs has two norms a block, ours one.
    assert parameters(PRESETS[name], 50304)[0] == pytest.approx(count, rel=2e-4)
    assert preset_learning_rate(PRESETS[name], 50304, batch * 2048) == rate


def test_small_presets_are_what_their_names_say() -> None:
    assert 1.2e6 < parameters(PRESETS["1m"], 4096)[0] < 1.4e6
    assert 1.8e6 < parameters(PRESETS["2m"], 8192)[0] < 2.2e6
    assert 2e-3 <= preset_learning_rate(PRESETS["1m"], 4096, 512) <= 8e-3
    assert preset_learning_rate(ModelSpec(1, 8, 1, 8), 300, 10**6) == 0.02


@pytest.mark.parametrize("spec", [PRESETS["1m"], ModelSpec(2, 32, 4, 40, 2)])
def test_counts_are_those_of_the_model(spec: ModelSpec) -> None:
    built = Decoder(spec, 300)
    total, inner = parameters(spec, 300)
    assert total == sum(p.numel() for p in built.parameters())
    assert inner == total - built.embedding.weight.numel()


def test_flops_count_forward_and_backward() -> None:
    spec = PRESETS["1m"]
    assert flops_per_token(spec, 4096, 256) == 6 * 1_327_744 + 12 * 4 * 128 * 256


def test_a_model_is_a_preset_or_its_numbers() -> None:
    assert resolve_model("1M") == PRESETS["1m"]
    given = {"layers": 2, "width": 32, "heads": 4, "feed-forward": 40, "kv-heads": 2}
    assert resolve_model(given) == ModelSpec(2, 32, 4, 40, 2)
    assert ModelSpec.from_json(ModelSpec(2, 32, 4, 40).to_json()) == ModelSpec(2, 32, 4, 40, 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("530", "did you mean 530m"),
        ({"layer": 2}, "did you mean layers"),
        ({"layers": 2, "width": 32, "heads": 4}, "lacks feed-forward"),
        ({"layers": 2, "width": 30, "heads": 4, "feed-forward": 40}, "does not split"),
        ({"layers": 2, "width": 32, "heads": 4, "feed-forward": 40, "kv-heads": 3}, "evenly"),
        ({"layers": 2, "width": 12, "heads": 4, "feed-forward": 40}, "even size"),
        ({"layers": 0, "width": 32, "heads": 4, "feed-forward": 40}, "layers .* above 0"),
        ({"layers": 2, "width": 32.0, "heads": 4, "feed-forward": 40}, "whole number"),
    ],
)
def test_wrong_models_are_refused(wrong: str | dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        resolve_model(wrong, where="study.yaml:4, model")
    assert str(caught.value).startswith("study.yaml:4, model: ")
