"""A cache of keys and values whose memory is taken once: writing a token copies no earlier one."""

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer


class _Layer(DynamicLayer):
    """Keys and values are the written beginning of a buffer."""

    def __init__(self, length: int):
        super().__init__()
        self._length = length
        self._held: list[torch.Tensor] = []

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_, **__) -> tuple[torch.Tensor, ...]:
        """All keys and values, (B, heads, S, D) each, after those of further tokens."""
        if not self._held:
            self._held = [
                one.new_empty((*one.shape[:2], self._length, one.shape[-1])) for one in (key_states, value_states)
            ]
            self.lazy_initialization(key_states, value_states)
        first = self.get_seq_length()
        last = first + key_states.shape[2]
        for held, fresh in zip(self._held, (key_states, value_states), strict=True):
            held[:, :, first:last] = fresh
        self.keys, self.values = (held[:, :, :last] for held in self._held)
        return self.keys, self.values


def preallocated(layers: int, length: int) -> Cache:
    """A cache for the model's layers that holds at most `length` tokens; its numbers are those of `DynamicCache`, which
    copies all earlier tokens for each new one."""
    return Cache(layers=[_Layer(length) for _ in range(layers)])
