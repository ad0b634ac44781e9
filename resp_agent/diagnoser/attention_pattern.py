"""Who attends to whom in a batch: window, global tokens, padding."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch


@dataclass(frozen=True, eq=False)
class Pattern:
    """Longformer's attention pattern of a batch (Beltagy et al. 2020, section 3.1); made once, used by every layer.

    A query sees the real keys within its window and every real global key; a global query sees every real key. What a
    padding query gives is finite and means nothing.
    """

    real: torch.Tensor
    """(B, S) bool, False for padding."""
    is_global: torch.Tensor
    """(B, S) bool; rows may have different numbers of them, or none. Padding is never global."""
    reach: int
    """How many positions the window extends to either side."""
    _kept: dict = field(default_factory=dict, repr=False)

    def with_reach(self, reach: int) -> "Pattern":
        """The same tokens under another window."""
        return self if reach == self.reach else Pattern(self.real, self.is_global, reach)

    @cached_property
    def global_keys(self) -> torch.Tensor:
        """(B, S) bool: the real global tokens."""
        return self.is_global & self.real

    @cached_property
    def global_real(self) -> torch.Tensor:
        """(B, G) bool: G is the largest number of global tokens in a row, and rows with fewer end in False."""
        counts = self.global_keys.sum(dim=1)
        return torch.arange(int(counts.max()), device=counts.device)[None] < counts[:, None]

    @cached_property
    def global_index(self) -> torch.Tensor:
        """(B, G) places of the global tokens, in order; some other place where `global_real` is False."""
        first = self.global_keys.int().argsort(dim=1, descending=True, stable=True)
        return first[:, : self.global_real.shape[1]]

    def pick(self, x: torch.Tensor) -> torch.Tensor:
        """(B, S, ...) to (B, G, ...): what stands at `global_index`."""
        rows = torch.arange(len(x), device=x.device)[:, None] * x.shape[1]
        return x.flatten(0, 1).index_select(0, (rows + self.global_index).flatten()).unflatten(0, (len(x), -1))

    def put(self, x: torch.Tensor, picked: torch.Tensor) -> torch.Tensor:
        """(B, S, ...) with `picked` (B, G, ...) in place of the global tokens."""
        rows, slots = self._slots
        return x.index_put((rows, self.global_index[rows, slots]), picked[rows, slots].to(x.dtype))

    def dense_mask(self, dtype: torch.dtype) -> torch.Tensor:
        """(B, 1, S, S) what is added to the scores, query by key."""

        def make() -> torch.Tensor:
            places = torch.arange(self.real.shape[1], device=self.real.device)
            distance = (places[:, None] - places[None]).abs()
            seen = ((distance <= self.reach)[None] | self.global_keys[:, None]) & self.real[:, None]
            # Padding sees itself, so that no softmax is empty.
            return as_bias(seen | (distance == 0), dtype)[:, None]

        return self.keep(("dense", dtype), make)

    def global_mask(self, dtype: torch.dtype) -> torch.Tensor:
        """(B, 1, 1, S) what is added to the scores of global queries."""

        def make() -> torch.Tensor:
            # A row of nothing but padding keeps its keys: its numbers go nowhere, but must be finite in gradients too.
            seen = self.real | ~self.real.any(dim=1, keepdim=True)
            return as_bias(seen, dtype)[:, None, None]

        return self.keep(("global", dtype), make)

    def keep(self, name: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for each name."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    @cached_property
    def _slots(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.global_real.nonzero(as_tuple=True)


def as_bias(allowed: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """0 where allowed, minus infinity elsewhere: kernels would make it of a bool mask again in every layer."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, float("-inf"))
