"""Woven attention, every path, against the Longformer of transformers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LongformerConfig
from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

from resp_agent.diagnoser.attention import (
    DENSE_UP_TO,
    WovenAttention,
    choose_path,
    merge_heads,
    split_heads,
    woven_attention,
)
from resp_agent.diagnoser.attention_pattern import Pattern

HEADS, WIDTH = 2, 16
PROJECTIONS = ("query", "key", "value", "query_global", "key_global", "value_global")


def _reference(seed: int, reach: int) -> LongformerSelfAttention:
    torch.manual_seed(seed)
    config = LongformerConfig(
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        attention_window=[2 * reach],
        attention_probs_dropout_prob=0.0,
    )
    return LongformerSelfAttention(config, layer_id=0)


def _expected(reference: LongformerSelfAttention, x: torch.Tensor, pattern: Pattern) -> torch.Tensor:
    """What transformers gives, which wants a multiple of the window."""
    length, window = x.shape[1], 2 * pattern.reach
    spare = -length % window
    mask = torch.where(pattern.real, torch.where(pattern.is_global, 1e4, 0.0), -1e4)
    mask = torch.nn.functional.pad(mask, (0, spare), value=-1e4)
    return reference(
        torch.nn.functional.pad(x, (0, 0, 0, spare)),
        attention_mask=mask,
        is_index_masked=mask < 0,
        is_index_global_attn=mask > 0,
        is_global_attn=bool((mask > 0).any()),
    )[0][:, :length]


def _ours(reference: LongformerSelfAttention, x: torch.Tensor, pattern: Pattern, path: str) -> torch.Tensor:
    """`woven_attention` through the reference's projections."""
    inputs = [x, x, x, pattern.pick(x), x, x]
    heads = [split_heads(getattr(reference, name)(part), HEADS) for name, part in zip(PROJECTIONS, inputs, strict=True)]
    return merge_heads(woven_attention(*heads, pattern, path))


def _pattern(lengths: list[int], globals_: list[list[int]], reach: int, length: int | None = None) -> Pattern:
    places = torch.arange(length or max(lengths))
    real = places[None] < torch.tensor(lengths)[:, None]
    is_global = torch.stack([torch.isin(places, torch.tensor(row, dtype=torch.long)) for row in globals_])
    return Pattern(real, is_global, reach)


CASES = {
    "one row": ([40], [[0, 1, 7, 22]], 4),
    "uneven globals and padding": ([53, 31, 40], [[0, 1, 6, 17, 40], [0], [3, 39]], 4),
    "a row without globals": ([37, 50], [[], [0, 9, 49]], 3),
    "no globals at all": ([29, 50], [[], []], 5),
    "every token global": ([23, 12], [list(range(23)), list(range(12))], 4),
    "window wider than the text": ([11, 9], [[0], [1, 2]], 16),
    "window wider than a block": ([200, 131], [[0, 1, 64, 128], [0]], 48),
    "shorter than a block": ([7, 3], [[2], []], 2),
}


@pytest.mark.parametrize("path", ["dense", "blocked"])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_transformers(case, path):
    pattern = _pattern(*CASES[case])
    reference = _reference(1, pattern.reach)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(*pattern.real.shape, WIDTH, generator=generator)
    weight = torch.randn(x.shape, generator=generator) * pattern.real[..., None]

    def run(attend):
        inputs = x.clone().requires_grad_()
        result = attend(inputs)
        reference.zero_grad()
        (result * weight).sum().backward()
        return result.detach(), inputs.grad, {name: part.grad for name, part in reference.named_parameters()}

    expected, x_gradient, gradients = run(lambda x: _expected(reference, x, pattern))
    result, x_gradient_ours, gradients_ours = run(lambda x: _ours(reference, x, pattern, path))

    torch.testing.assert_close(result[pattern.real], expected[pattern.real], atol=1e-5, rtol=0)
    assert result.isfinite().all()
    torch.testing.assert_close(x_gradient_ours[pattern.real], x_gradient[pattern.real], atol=1e-5, rtol=1e-5)
    for name, gradient in gradients.items():
        used = pattern.is_global.any() or "global" not in name
        assert (gradient is not None) == used, name
        if used:
            torch.testing.assert_close(gradients_ours[name], gradient, atol=2e-5, rtol=1e-5, msg=name)


def test_the_module_is_the_reference_with_its_projections_joined():
    pattern = _pattern(*CASES["uneven globals and padding"])
    reference = _reference(9, pattern.reach)
    ours = WovenAttention(WIDTH, HEADS)
    parts = [getattr(reference, name) for name in PROJECTIONS]
    with torch.no_grad():
        for joined, three in ((ours.local, parts[:3]), (ours.globals, parts[3:])):
            joined.weight.copy_(torch.cat([part.weight for part in three]))
            joined.bias.copy_(torch.cat([part.bias for part in three]))
        ours.out.weight.copy_(torch.eye(WIDTH))
        ours.out.bias.zero_()
    x = torch.randn(*pattern.real.shape, WIDTH, generator=torch.Generator().manual_seed(10))
    expected = _expected(reference, x, pattern)
    torch.testing.assert_close(ours(x, pattern)[pattern.real], expected[pattern.real], atol=1e-5, rtol=0)


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_blocked_is_dense_at_any_shape(data):
    rows = data.draw(st.integers(1, 3), "rows")
    lengths = data.draw(st.lists(st.integers(0, 90), min_size=rows, max_size=rows), "lengths")
    spare = data.draw(st.integers(0, 40), "padding of every row")
    reach = data.draw(st.integers(1, 60), "reach")
    globals_ = [data.draw(st.lists(st.integers(0, 130), max_size=9), "globals") for _ in range(rows)]
    pattern = _pattern(lengths, globals_, reach, max(lengths) + spare or 1)
    x = torch.randn(*pattern.real.shape, WIDTH, generator=torch.Generator().manual_seed(rows))
    reference = _reference(3, reach)
    results = []
    for path in ("dense", "blocked"):
        inputs = x.clone().requires_grad_()
        result = _ours(reference, inputs, pattern, path)
        (result * pattern.real[..., None]).square().sum().backward()
        assert result.isfinite().all()
        assert inputs.grad.isfinite().all()
        results.append((result.detach() * pattern.real[..., None], inputs.grad))
    torch.testing.assert_close(results[1][0], results[0][0], atol=1e-5, rtol=0)
    torch.testing.assert_close(results[1][1], results[0][1], atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("case", ["uneven globals and padding", "no globals at all", "window wider than the text"])
def test_flex_mask_is_the_same_pattern(case):
    pattern = _pattern(*CASES[case])
    x = torch.randn(*pattern.real.shape, WIDTH, generator=torch.Generator().manual_seed(4))
    reference = _reference(5, pattern.reach)
    with torch.no_grad():
        dense, flex = (_ours(reference, x, pattern, path) for path in ("dense", "flex"))
    torch.testing.assert_close(flex[pattern.real], dense[pattern.real], atol=1e-5, rtol=0)
    assert flex.isfinite().all()


@pytest.mark.gpu
def test_compiled_flex_on_cuda_equals_dense_with_gradients():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    pattern = _pattern([1500, 900], [[0, 1, 700, 1400], [5]], 64)
    pattern = Pattern(pattern.real.cuda(), pattern.is_global.cuda(), pattern.reach)
    results = []
    for path in ("dense", "flex"):
        generator = torch.Generator().manual_seed(6)
        heads = [torch.randn(2, HEADS, 1500, 32, generator=generator).cuda().requires_grad_() for _ in range(5)]
        global_q = torch.randn(2, HEADS, 4, 32, generator=generator).cuda()
        result = woven_attention(*heads[:3], global_q, *heads[3:], pattern, path)
        result = result * pattern.real[:, None, :, None]
        result.square().sum().backward()
        results.append([result.detach(), *(part.grad for part in heads)])
    for flex, dense in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(flex, dense, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("path", ["dense", "blocked"])
def test_half_precision_is_close(path):
    pattern = _pattern([70, 41], [[0, 1, 33], [0]], 8)
    x = torch.randn(*pattern.real.shape, WIDTH, generator=torch.Generator().manual_seed(7))
    reference = _reference(8, pattern.reach)
    whole = _ours(reference, x, pattern, path)
    half = _ours(reference.to(torch.bfloat16), x.to(torch.bfloat16), pattern, path)
    assert half.dtype == torch.bfloat16
    half.sum().backward()
    torch.testing.assert_close(half.float()[pattern.real], whole[pattern.real], atol=0.05, rtol=0.05)


def test_dropout_is_of_probabilities_and_only_where_asked():
    pattern = _pattern([64], [[0]], 8)
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, HEADS, 64, 8)
    v = torch.ones(1, HEADS, 64, 8)
    for path in ("dense", "blocked"):
        kept = woven_attention(q, k, v, q[:, :, :1], k, v, pattern, path)
        torch.testing.assert_close(kept, v)
        torch.manual_seed(0)
        dropped = torch.stack([woven_attention(q, k, v, q[:, :, :1], k, v, pattern, path, 0.5) for _ in range(50)])
        assert dropped.std() > 0.1
        assert abs(dropped.mean() - 1) < 0.05
    with pytest.raises(ValueError, match="no dropout"):
        woven_attention(q, k, v, q[:, :, :1], k, v, pattern, "flex", 0.5)


def test_auto_goes_by_length_and_device():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert choose_path(DENSE_UP_TO, cpu) == choose_path(DENSE_UP_TO, cuda) == "dense"
    assert choose_path(DENSE_UP_TO + 1, cpu) == "blocked"
    assert choose_path(DENSE_UP_TO + 1, cuda) == "flex"
    assert choose_path(DENSE_UP_TO + 1, cuda, dropout=0.1) == "blocked"


def test_padding_marked_global_is_not():
    pattern = _pattern([4, 6], [[0, 5], [2]], 1)
    assert pattern.global_real.tolist() == [[True], [True]]
    assert pattern.global_index.tolist() == [[0], [2]]
