"""Pretrained Longformers, and Longformers made of pretrained text encoders."""

import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from resp_agent.diagnoser.longformer import Longformer, LongformerSettings
from resp_agent.errors import UserError
from resp_agent.weights import locate

FILES = ("config.json", "model*.safetensors", "pytorch_model*.bin", "tokenizer.json", "tokenizer_config.json")
"""What a model on the hub is taken of."""

IGNORED = {
    "pooler.": "the pooler is not used",
    "lm_head.": "a head of language modelling",
    "cls.": "a head of language modelling",
    "embeddings.position_ids": "positions are counted",
}
"""Names, or beginnings of names, of tensors in public checkpoints that are no part of the encoder -> why."""

_PREFIXES = ("longformer.", "bert.", "roberta.")
_PROJECTIONS = ("query", "key", "value")


def from_pretrained(name: str | Path, **changed: Any) -> Longformer:
    """A Longformer from a folder, or from the hub by name, in evaluation mode.

    Args:
        name: see `resp_agent.weights.locate`; with `config.json`, and safetensors or a `.bin` of plain tensors.
        changed: settings that replace those of `config.json`, such as a dropout.

    Raises:
        UserError: it is not there, is none, or its tensors are not those of its `config.json`.
    """
    config, state = read_folder(name)
    if config.get("model_type") != "longformer":
        raise UserError(
            f"{name} is a {config.get('model_type')!r} and no Longformer: use from_text_encoder to make one"
        )
    return _filled(replace(LongformerSettings.of(config), **changed), encoder_state(state)[0], str(name))


def from_text_encoder(encoder: str | Path | torch.nn.Module, positions: int, window: int, **changed: Any) -> Longformer:
    """A Longformer of a pretrained BERT or RoBERTa, by the recipe of Beltagy et al. (2020, section 5): global
    projections begin as copies of the ordinary ones, and the position table is repeated to the wanted length.

    With no global tokens and a window wider than the text it gives what the text encoder gives.

    Args:
        encoder: a folder, a name on the hub, or transformers' BertModel or RobertaModel.
        positions: longest sequence in tokens.
        window: tokens that a token sees, both sides together; even.
        changed: other settings that are not the text encoder's, such as a dropout.
    """
    if isinstance(encoder, torch.nn.Module):
        name, config, state = type(encoder).__name__, encoder.config.to_dict(), dict(encoder.state_dict())
    else:
        name, (config, state) = str(encoder), read_folder(encoder)
    sizes = replace(recipe(config, positions, window, name), **changed)
    state, padding = encoder_state(state)[0], sizes.pad_token_id
    # BERT's first place has row 0; RoBERTa's and Longformer's rows begin after the padding token's.
    first = padding + 1 if config["model_type"] == "roberta" else 0
    known = state["embeddings.position_embeddings.weight"]
    rows = torch.arange(positions) % (len(known) - first) + first
    table = torch.cat([known[: padding + 1] if first else known.new_zeros(padding + 1, known.shape[1]), known[rows]])
    state["embeddings.position_embeddings.weight"] = table
    for layer in range(config["num_hidden_layers"]):
        for projection in _PROJECTIONS:
            for part in ("weight", "bias"):
                place = f"encoder.layer.{layer}.attention.self.{projection}"
                state[f"{place}_global.{part}"] = state[f"{place}.{part}"].clone()
    return _filled(sizes, state, name)


def recipe(config: Mapping[str, Any], positions: int, window: int, name: str = "the text model") -> LongformerSettings:
    """The sizes of the Longformer that `from_text_encoder` makes of a model with this `config.json`.

    Raises:
        UserError: no Longformer can be made of such a model.
    """
    if config.get("model_type") not in ("bert", "roberta"):
        raise UserError(f"{name} is a {config.get('model_type')!r}: a Longformer is made of a 'bert' or a 'roberta'")
    if (config.get("position_embedding_type") or "absolute") != "absolute" or config.get("is_decoder"):
        raise UserError(f"{name} is no encoder with absolute positions: take one of these")
    padding = config.get("pad_token_id") or 0
    changed = {
        "pad_token_id": padding,
        "attention_window": window,
        # The rows up to the padding token's are no places.
        "max_position_embeddings": padding + 1 + positions,
    }
    return LongformerSettings.of(dict(config) | changed)


def encoder_state(state: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The encoder's tensors of a public checkpoint under the names of `Longformer`.

    Returns:
        The tensors; and the ignored ones' names with the reason. Names that are neither stay among the tensors, where
        strict loading finds them.
    """
    prefix = next((each for each in _PREFIXES if any(name.startswith(each) for name in state)), "")
    kept, ignored = {}, {}
    for name, value in state.items():
        short = name.removeprefix(prefix)
        # The oldest checkpoints of BERT call a normalisation's weight gamma and its bias beta.
        short = short.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        reason = next((why for beginning, why in IGNORED.items() if short.startswith(beginning)), None)
        if reason:
            ignored[name] = reason
        else:
            kept[short] = value
    return kept, ignored


def read_folder(name: str | Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """`config.json` and the tensors of a folder in transformers' layout; see `from_pretrained`."""
    folder = locate(str(name), FILES)
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as problem:
        raise UserError(f"{name} has no config.json that can be read ({problem}): give a model's folder") from None
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        raise UserError(f"{name} has neither model.safetensors nor pytorch_model.bin: give a folder with the weights")
    state: dict[str, torch.Tensor] = {}
    for file in files:
        try:
            binary = file.suffix == ".bin"
            state |= torch.load(file, map_location="cpu", weights_only=True) if binary else load_file(file)
        except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as problem:
            raise UserError(f"{file} holds no plain tensors that can be read ({problem}): fetch it again") from None
    return config, state


def _filled(settings: LongformerSettings, state: dict[str, torch.Tensor], name: str) -> Longformer:
    with torch.device("meta"):
        model = Longformer(settings)
    try:
        model.load_state_dict({key: value.float() for key, value in state.items()}, strict=True, assign=True)
    except RuntimeError as problem:
        told = " ".join(line.strip() for line in str(problem).splitlines()[1:])
        raise UserError(f"the weights of {name} are not those of its config.json: {told}") from None
    return model.eval()
