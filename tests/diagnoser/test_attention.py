"""Woven attention against the reference Longformer of transformers."""

import pytest
import torch
from transformers import LongformerConfig
from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

from resp_agent.diagnoser.attention import WovenAttention, allowed_keys

WIDTH, HEADS, WINDOW = 16, 2, 8


def _pair(seed: int) -> tuple[WovenAttention, LongformerSelfAttention]:
    torch.manual_seed(seed)
    ours = WovenAttention(WIDTH, HEADS).eval()
    config = LongformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        attention_window=[WINDOW],
        attention_probs_dropout_prob=0.0,
    )
    theirs = LongformerSelfAttention(config, layer_id=0).eval()
    with torch.no_grad():
        for ours_name, suffix in (("local", ""), ("globals", "_global")):
            weight, bias = getattr(ours, ours_name).weight, getattr(ours, ours_name).bias
            for part, name in enumerate(("query", "key", "value")):
                linear = getattr(theirs, name + suffix)
                linear.weight.copy_(weight[part * WIDTH : (part + 1) * WIDTH])
                linear.bias.copy_(bias[part * WIDTH : (part + 1) * WIDTH])
        ours.out.weight.copy_(torch.eye(WIDTH))
        ours.out.bias.zero_()
    return ours, theirs


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("padding", [0, 5])
def test_equals_longformer_values_and_gradients(seed, padding):
    ours, theirs = _pair(seed)
    length = 4 * WINDOW
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, length, WIDTH, generator=generator)
    real = torch.ones(2, length, dtype=torch.bool)
    real[1, length - padding :] = not padding
    is_global = torch.zeros(length, dtype=torch.bool)
    is_global[[0, 1, 6, 17]] = True

    mask = torch.where(real, 0.0, -10000.0)
    mask[:, is_global] = 10000.0
    x_theirs = x.clone().requires_grad_()
    expected = theirs(
        x_theirs,
        attention_mask=mask,
        is_index_masked=mask < 0,
        is_index_global_attn=mask > 0,
        is_global_attn=True,
    )[0]
    x_ours = x.clone().requires_grad_()
    position = torch.arange(length)[None].expand(2, -1)
    allowed = allowed_keys(position, real, is_global, WINDOW // 2)
    result = ours(x_ours, allowed, real, is_global.nonzero()[:, 0])

    torch.testing.assert_close(result[real], expected[real], atol=1e-5, rtol=0)
    weight = torch.randn(2, length, WIDTH, generator=generator) * real[..., None]
    (result * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(x_ours.grad[real], x_theirs.grad[real], atol=1e-4, rtol=0)


def test_allowed_keys_are_near_or_global_and_real():
    position = torch.arange(6)[None]
    real = torch.tensor([[True, True, True, True, True, False]])
    is_global = torch.tensor([True, False, False, False, False, False])
    allowed = allowed_keys(position, real, is_global, reach=1)[0]
    assert allowed[3].tolist() == [True, False, True, True, True, False]
    assert allowed[5].tolist() == [True, False, False, False, True, False]
