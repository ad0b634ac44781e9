"""Outputs of released checkpoints and those expected of them, compared."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from resp_agent.errors import UserError


@dataclass(frozen=True)
class Quantity:
    """One output of a checkpoint, compared."""

    name: str
    difference: float
    """Largest absolute difference; infinite where shapes differ, and no number where something is none."""
    tolerance: float
    """Largest difference that passes; 0 for integers and masks."""

    @property
    def ok(self) -> bool:
        """Whether it is close enough."""
        return self.difference <= self.tolerance


def compare(name: str, result: torch.Tensor, expected: torch.Tensor, tolerance: float = 0.0) -> Quantity:
    """The largest difference of two tensors."""
    if result.shape != expected.shape:
        return Quantity(f"{name}, {list(result.shape)} for {list(expected.shape)}", float("inf"), tolerance)
    difference = (result.double() - expected.double()).abs()
    return Quantity(name, difference.max().item() if difference.numel() else 0.0, tolerance)


def read_expected(file: Path) -> dict[str, torch.Tensor]:
    """Expected outputs by name.

    Raises:
        UserError: the file is not there or broken.
    """
    try:
        return load_file(file)
    except (OSError, SafetensorError) as problem:
        raise UserError(f"{file} cannot be read ({problem}): give the folder of a release with its outputs") from None


def part_of(expected: dict[str, torch.Tensor], name: str, file: Path) -> torch.Tensor:
    """One of the expected outputs.

    Raises:
        UserError: it is not among them.
    """
    if name not in expected:
        raise UserError(f"{file} has no {name}: it is not what is expected of this kind of checkpoint")
    return expected[name]
