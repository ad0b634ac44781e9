"""Stems: where tokens lie, what pools of nothing are, and pretrained weights."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems import build
from resp_agent.diagnoser.systems.pooling import AttentionPooling, masked_mean, real_places
from resp_agent.diagnoser.systems.stems import FrameProjection, make_stem
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings

INPUTS = Inputs(20.0, 50, ("a", "b"), ("s",), (0.0,) * 8, (1.0,) * 8, (1, 1), ("[UNK]", "x"), 16)
SETTINGS = DiagnoserSettings(width=16, layers=1, heads=2, token_ms=60.0, anchor_ms=60.0)


@pytest.mark.parametrize("kind", ["convolution", "projection", "conformer"])
def test_a_token_every_token_ms_whatever_the_padding(kind):
    torch.manual_seed(0)
    stem = make_stem(kind, SETTINGS, INPUTS, 16).eval()
    frames = torch.randn(2, 20, 8)
    tokens, lengths = stem(frames, torch.tensor([20, 10]))
    assert tokens.shape == (2, 7, 16)
    assert lengths.tolist() == [7, 4]
    alone, _ = stem(frames[1:, :10], torch.tensor([10]))
    torch.testing.assert_close(alone[0], tokens[1, :4], atol=1e-5, rtol=0)


def test_projection_is_of_the_mean_of_neighbours():
    projection = FrameProjection(3, 2, 2)
    frames = torch.randn(1, 5, 3)
    tokens, _ = projection(frames, torch.tensor([3]))
    slow = [projection.linear(frames[0, :2].mean(dim=0)), projection.linear(frames[0, 2])]
    torch.testing.assert_close(tokens[0, :2], torch.stack(slow))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pools_of_nothing_are_zero(dtype):
    x = torch.randn(2, 6, 8, dtype=dtype, requires_grad=True)
    real = real_places(torch.tensor([3, 0]), 6)
    pooling = AttentionPooling(8).to(dtype)
    for pooled in (masked_mean(x, real), pooling(x, real)):
        assert pooled[1].abs().max() == 0
        (gradient,) = torch.autograd.grad(pooled.sum(), x)
        assert gradient.isfinite().all()
        assert gradient[0, 3:].abs().max() == gradient[1].abs().max() == 0
    assert real.tolist() == [[True] * 3 + [False] * 3, [False] * 6]


def test_attention_pooling_is_a_weighted_mean():
    torch.manual_seed(0)
    pooling, x = AttentionPooling(8), torch.randn(1, 4, 8)
    weights = pooling.score(x[0, :3])[:, 0].softmax(dim=0)
    torch.testing.assert_close(pooling(x, real_places(torch.tensor([3]), 4))[0], weights @ x[0, :3])


@pytest.mark.parametrize(("system", "place"), [("weaving", "audio"), ("conformer", "branch.stem")])
def test_pretrained_weights_fill_the_stem_and_only_the_right_ones(tmp_path, system, place):
    torch.manual_seed(5)
    settings = replace(SETTINGS, system=system, audio_stem="conformer")
    trained = make_stem("conformer", settings, INPUTS, 16)
    save_file(trained.state_dict(), tmp_path / "stem.safetensors")
    model = build(replace(settings, stem_weights=str(tmp_path / "stem.safetensors")), INPUTS)
    filled = model.get_submodule(place).state_dict()
    assert all(torch.equal(value, filled[name]) for name, value in trained.state_dict().items())
    with pytest.raises(UserError, match="those of another stem"):
        build(replace(settings, stem_weights=str(tmp_path / "stem.safetensors"), width=32), INPUTS)
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a safetensors file"):
        build(replace(settings, stem_weights=str(tmp_path / "none.safetensors")), INPUTS)
