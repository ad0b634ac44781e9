"""Checkpoints as plain tensors: read without running anything, filled in strictly, kept as safetensors."""

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from resp_agent.durable import write_atomic
from resp_agent.errors import UserError

Made = TypeVar("Made")
Model = TypeVar("Model", bound=nn.Module)


def read_plain(file: Path) -> dict[str, Any]:
    """What a released checkpoint holds; nothing but tensors and plain data is ever read.

    Raises:
        UserError: it is not there, broken, or holds anything else.
    """
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{file} is not there: give the released checkpoint") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as problem:
        raise UserError(
            f"{file} is not a checkpoint of plain tensors ({type(problem).__name__}): fetch it again"
        ) from None
    if not isinstance(held, Mapping):
        raise UserError(f"{file} holds a {type(held).__name__} and not named tensors: give the released checkpoint")
    return dict(held)


def state_of(held: Mapping[str, Any], part: str, file: Path, what: str) -> dict[str, torch.Tensor]:
    """The named tensors that a checkpoint holds as `part`; `what` is what it should be, such as `planner`.

    Raises:
        UserError: it holds none, or something that is no tensor among them.
    """
    state = held.get(part)
    if not isinstance(state, Mapping):
        raise UserError(f"{file} has no {part}: it is not a released {what}")
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise UserError(f"{file} holds a {type(value).__name__} as {name}: it is not a released {what}")
    return dict(state)


def fill(model: Model, state: Mapping[str, torch.Tensor], file: Path, what: str) -> Model:
    """The model with these parameters, as float32, in evaluation mode and without gradients.

    Args:
        model: may lie on the `meta` device.
        file: where they come from, for messages.
        what: what the model is, for messages.

    Raises:
        UserError: parameters are missing, too many, of another shape, or not finite.
    """
    for name, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise UserError(f"{file} holds numbers that are not finite in {name}: fetch it again")
    # Copies lie in memory as torch lays it out, whatever file they came from: sums are then the same to the last bit.
    copies = {name: value.to(torch.float32, copy=True) for name, value in state.items()}
    try:
        model.load_state_dict(copies, strict=True, assign=True)
    except RuntimeError as problem:
        told = " ".join(line.strip() for line in str(problem).splitlines()[1:]).rstrip(".")
        raise UserError(f"{file} is not a whole {what} in the released layout: {told}") from None
    return model.eval().requires_grad_(False)


def save_tensors(model: nn.Module, what: str, settings: Mapping[str, Any], file: Path) -> None:
    """Writes a model's parameters as safetensors, with its settings as JSON in the metadata under `what`."""
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomic(file, save(state, {what: json.dumps(dict(settings), sort_keys=True)}))


def read_tensors(file: Path, what: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Settings and parameters that `save_tensors` wrote.

    Raises:
        UserError: the file is not there, broken, or of something else.
    """
    try:
        with safe_open(file, "pt") as opened:
            told = json.loads((opened.metadata() or {}).get(what, "null"))
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as problem:
        raise UserError(f"{file} is not a {what} that was imported ({problem}): import it again") from None
    if not isinstance(told, dict):
        raise UserError(f"{file} does not tell the sizes of a {what}: import the released checkpoint again")
    return told, state


def named(file: Path, make: Callable[[], Made]) -> Made:
    """What `make` gives from what the file tells; what it refuses is told with the file's name.

    Raises:
        UserError: `make` refuses, or is given settings that it does not know or lacks some.
    """
    try:
        return make()
    except (UserError, TypeError) as problem:
        raise UserError(f"{file} cannot be used: {problem}") from None
