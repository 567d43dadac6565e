"""The decoder keeps documents apart, sees no future, and starts from weights that only seed and name decide."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from pretrial.model import decoder as rooms
from pretrial.model.decoder import (
    Decoder,
    attention_mask,
    boolean_mask,
    initialise,
    read_ahead_mask,
    rotary_table,
)
from pretrial.model.spec import ModelSpec


def tokens(seed: int, length: int = 24, rows: int = 2) -> torch.Tensor:
    return torch.randint(0, 257, (rows, length), generator=torch.Generator().manual_seed(seed))


SEGMENTS = torch.tensor([[0] * 9 + [1] * 10 + [2] * 5, [0] * 24], dtype=torch.int32)


@pytest.mark.parametrize("plain", [0, 1024], ids=["torch's attention", "plain products"])
def test_changing_one_document_changes_no_logit_of_another(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, plain: int
) -> None:
    monkeypatch.setattr(rooms, "PLAIN_ATTENTION", plain)
    before = tokens(1)
    after = before.clone()
    after[0, :9] = tokens(2)[0, :9]
    one, two = decoder(before, SEGMENTS), decoder(after, SEGMENTS)
    assert torch.equal(one[0, 9:], two[0, 9:])
    assert not torch.equal(one[0, :9], two[0, :9])
    # Without the boundary it would show: the test can fail.
    joined = torch.zeros_like(SEGMENTS)
    assert not torch.equal(decoder(before, joined)[0, 9:], decoder(after, joined)[0, 9:])


def test_the_future_is_not_seen(decoder: Decoder) -> None:
    before = tokens(1)
    after = before.clone()
    after[:, 15:] = tokens(3)[:, 15:]
    one, two = decoder(before, SEGMENTS), decoder(after, SEGMENTS)
    assert torch.equal(one[:, :15], two[:, :15])
    assert not torch.equal(one[:, 15:], two[:, 15:])


def test_a_document_reads_the_same_wherever_it_stands(decoder: Decoder) -> None:
    packed = decoder(tokens(1), SEGMENTS)[0, 9:19]
    alone = decoder(tokens(1)[:1, 9:19], torch.zeros(1, 10, dtype=torch.int32))[0]
    assert torch.allclose(packed, alone, atol=2e-5)


def test_both_ways_of_attending_agree(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = decoder(tokens(1), SEGMENTS)
    assert attention_mask(SEGMENTS).dtype == torch.float32
    monkeypatch.setattr(rooms, "PLAIN_ATTENTION", 0)
    assert attention_mask(SEGMENTS).dtype == torch.bool
    assert torch.allclose(plain, decoder(tokens(1), SEGMENTS), atol=1e-5)


def test_both_ways_of_attending_learn_the_same(decoder: Decoder) -> None:
    """Logits and gradients: the summand that a CPU trains with, and the boolean mask of every other device."""
    learned = {}
    for name, mask in (("plain", attention_mask(SEGMENTS)), ("torch's own", boolean_mask(SEGMENTS))):
        decoder.zero_grad()
        logits = decoder.logits(decoder.stream(tokens(1), mask)[-1])
        F.cross_entropy(logits.flatten(0, 1), tokens(2).flatten()).backward()
        gradients = {n: p.grad.clone() for n, p in decoder.named_parameters() if p.grad is not None}
        learned[name] = {"logits": logits.detach(), **gradients}
    one, other = learned.values()
    assert one.keys() == other.keys()
    assert len(one) == len(list(decoder.parameters())) + 1
    for name, value in one.items():
        assert torch.allclose(value, other[name], atol=1e-5), name


@pytest.mark.parametrize("plain", [0, 1024], ids=["torch's attention", "plain products"])
def test_masks_that_are_read_ahead_are_the_same_bits(monkeypatch: pytest.MonkeyPatch, plain: int) -> None:
    monkeypatch.setattr(rooms, "PLAIN_ATTENTION", plain)
    one, other = attention_mask(SEGMENTS), read_ahead_mask(SEGMENTS.numpy())
    assert one.dtype == other.dtype
    assert torch.equal(one, other)


def test_mask_is_causal_within_segments() -> None:
    mask = attention_mask(torch.tensor([[0, 0, 1, 1]]))[0, 0] == 0
    assert mask.tolist() == [
        [True, False, False, False],
        [True, True, False, False],
        [False, False, True, False],
        [False, False, True, True],
    ]


def test_rotation_keeps_length_and_depends_on_distance() -> None:
    cos, sin = rotary_table(32, 8)
    x, y = torch.randn(2, 1, 1, 1, 8, generator=torch.Generator().manual_seed(0)).expand(2, 1, 32, 1, 8)
    turned_x, turned_y = rooms._rotate(x, cos, sin), rooms._rotate(y, cos, sin)
    assert torch.allclose(turned_x.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
    products = turned_x[0, :, 0] @ turned_y[0, :, 0].T
    for distance in (0, 3, 17):
        along = products.diagonal(distance)
        assert torch.allclose(along, along[:1], atol=1e-4)


def test_more_positions_than_built_for_are_refused(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match="25 positions"):
        decoder(tokens(1, 25), torch.zeros(2, 25, dtype=torch.int32))


def test_initial_weights_depend_on_seed_and_name_alone() -> None:
    small, large = Decoder(ModelSpec(2, 32, 4, 40), 257), Decoder(ModelSpec(4, 32, 4, 40), 300)
    torch.manual_seed(1)
    initialise(small, 5)
    torch.manual_seed(2)
    initialise(large, 5)
    other = Decoder(ModelSpec(2, 32, 4, 40), 257)
    initialise(other, 6)
    mine, deeper, reseeded = (d.state_dict() for d in (small, large, other))
    # Another depth and vocabulary leave a block's matrices alone, but for the depth's scale.
    assert torch.equal(mine["blocks.1.inner.weight"], deeper["blocks.1.inner.weight"])
    assert torch.allclose(mine["blocks.1.outer.weight"], deeper["blocks.1.outer.weight"] * 2**0.5)
    assert not torch.equal(mine["blocks.0.inner.weight"], mine["blocks.1.inner.weight"])
    assert not torch.equal(mine["blocks.0.inner.weight"], reseeded["blocks.0.inner.weight"])
    initialise(other, 5)
    for name, value in other.state_dict().items():
        assert torch.equal(value, mine[name]), name


def test_initial_weights_have_the_stated_spread() -> None:
    made = Decoder(ModelSpec(2, 128, 4, 352), 4096)
    initialise(made, 1)
    inner = made.state_dict()["blocks.0.inner.weight"]
    query, gate = inner[:128], inner[384:736]
    # A normal cut at 3 standard deviations has 0.9866 of its standard deviation.
    assert query.std().item() == pytest.approx(0.9866 * (2 / 256) ** 0.5, rel=0.02)
    assert gate.std().item() == pytest.approx(0.9866 * (2 / 480) ** 0.5, rel=0.02)
    assert query.abs().max().item() <= 3 * (2 / 256) ** 0.5
    assert made.embedding.weight.std().item() == pytest.approx(0.9866 * 0.5 / 128**0.5 / rooms.LOGIT_SCALE, rel=0.02)
    assert all(torch.equal(w, torch.ones_like(w)) for n, w in made.state_dict().items() if n.endswith("norm.weight"))


def test_untrained_loss_is_near_that_of_a_uniform_guess() -> None:
    made = Decoder(ModelSpec(2, 32, 4, 40), 257)
    initialise(made, 1)
    logits = made(tokens(1), SEGMENTS)
    loss = F.cross_entropy(logits.flatten(0, 1), tokens(2).flatten())
    assert loss.item() == pytest.approx(5.549 + 0.125, abs=0.1)
