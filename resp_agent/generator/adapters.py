"""Low-rank adapters of a language model's projections (LoRA, Hu et al. 2021, arXiv 2106.09685), by peft."""

import torch
from torch import nn

from resp_agent.errors import UserError
from resp_agent.settings.checks import refuse

_BASE, _DOWN, _UP = ".base_layer.", ".lora_A.default.weight", ".lora_B.default.weight"
"""Peft's names."""


def add_adapters(body: nn.Module, rank: int, alpha: float) -> None:
    """Freezes a language model and puts an adapter beside each of its linear maps: those of attention and MLP.

    It computes what it did until the adapters are trained.

    Raises:
        UserError: peft is not installed, or the model has no linear maps.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UserError(
            "adapters need the package peft, which is not installed: install resp-agent-ray[peft], or give "
            "--generator.planner.adapter-rank 0 to train all weights"
        ) from None
    linear = [name for name, module in body.named_modules() if isinstance(module, nn.Linear)]
    refuse(not linear, f"{type(body).__name__} has no linear maps to adapt: give --generator.planner.adapter-rank 0")
    body.requires_grad_(False)
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear, lora_dropout=0.0), body)


def merge_adapters(state: dict[str, torch.Tensor], rank: int, alpha: float) -> dict[str, torch.Tensor]:
    """Weights of a model with adapters as those of the same model without: W + alpha / rank B A."""
    merged = {}
    for name, value in state.items():
        if name.endswith((_DOWN, _UP)):
            continue
        layer, _, kind = name.partition(_BASE)
        if kind == "weight":
            value = value + alpha / rank * state[layer + _UP] @ state[layer + _DOWN]
        merged[name.replace(_BASE, ".")] = value
    return merged
