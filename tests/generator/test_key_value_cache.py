"""The cache with memory of its own against transformers'."""

import pytest
import torch
from transformers import DynamicCache, Qwen3Config, Qwen3Model

from resp_agent.generator.key_value_cache import preallocated

LAYERS, PROMPT, STEPS = 2, 5, 4


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2}
    return Qwen3Model(Qwen3Config(vocab_size=7, num_hidden_layers=LAYERS, head_dim=8, **sizes)).eval()


@torch.inference_mode()
def _states(model, cache, tokens, padded):
    real = torch.ones(tokens.shape, dtype=torch.long)
    real[0, :padded] = 0
    states, done = [], 0
    for last in range(PROMPT, PROMPT + STEPS + 1):
        mask = {"attention_mask": real[:, :last]} if padded else {}
        states.append(model(tokens[:, done:last], cache=cache, use_cache=True, **mask).last_hidden_state[:, -1])
        done = last
    return torch.stack(states)


@pytest.mark.parametrize("padded", [0, 2])
def test_gives_the_bits_of_the_cache_that_copies(model, padded):
    tokens = torch.randint(7, (3, PROMPT + STEPS), generator=torch.Generator().manual_seed(1))
    cache = preallocated(LAYERS, PROMPT + STEPS)
    states = _states(model, cache, tokens, padded)
    assert torch.equal(states, _states(model, DynamicCache(config=model.config), tokens, padded))
    assert cache.get_seq_length() == PROMPT + STEPS


def test_stays_where_it_is():
    cache, places = preallocated(1, 6), set()
    for length in (3, 1, 2):
        keys, values = cache.update(torch.ones(2, 2, length, 4), torch.zeros(2, 2, length, 4), 0)
        places.add((keys.data_ptr(), values.data_ptr()))
    assert len(places) == 1
    assert keys.shape == values.shape == (2, 2, 6, 4)
    assert keys.min() == 1
    assert values.max() == 0


def test_more_tokens_than_it_holds_are_refused():
    cache = preallocated(1, 2)
    with pytest.raises(RuntimeError, match="must match"):
        cache.update(torch.ones(1, 1, 3, 4), torch.ones(1, 1, 3, 4), 0)
