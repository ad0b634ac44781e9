"""Reading the released diagnoser, and keeping it as safetensors and JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from tokenizers import Tokenizer

from resp_agent.diagnoser.longformer import LongformerSettings
from resp_agent.diagnoser.longformer_weights import encoder_state
from resp_agent.diagnoser.released import DESCRIPTION, ReleasedDiagnoser, ReleasedSettings
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.tensor_files import read_plain

WEIGHTS, SETTINGS, TOKENIZER = "diagnoser.safetensors", "diagnoser.json", "tokenizer.json"
"""Files of a diagnoser that `save_released` wrote."""
PROJECTION = "projection_layer_state_dict"
"""Where a released checkpoint holds the projection of audio, apart from the rest or a second time."""


def import_released(weights: Path, config: Path, tokenizer: Path) -> tuple[ReleasedDiagnoser, dict[str, str]]:
    """The released diagnoser, float32, in evaluation mode; and the tensors that were left out, with the reason.

    Args:
        weights: `diagnoser.pth`: `model_state_dict`, `projection_layer_state_dict` and `client_state`.
        config: `diagnoser_config.json`, the Longformer's.
        tokenizer: folder of the text tokenizer, or its `tokenizer.json`, without the special tokens.

    Raises:
        UserError: a file is not there or not what it should be, or parameters are missing or too many.
    """
    held = read_plain(weights)
    for part in ("model_state_dict", "client_state"):
        if not isinstance(held.get(part), Mapping):
            raise UserError(f"{weights} has no {part}: it is not a released diagnoser")
    for name, value in held["model_state_dict"].items():
        if not isinstance(value, torch.Tensor):
            raise UserError(f"{weights} holds a {type(value).__name__} as {name}: it is not a released diagnoser")
    state, ignored = encoder_state(
        {name: value for name, value in held["model_state_dict"].items() if name.startswith("longformer.")}
    )
    state = {f"longformer.{name}": value for name, value in state.items()}
    state |= {name: value for name, value in held["model_state_dict"].items() if not name.startswith("longformer.")}
    for name, value in held.get(PROJECTION, {}).items():
        name = f"projection_layer.{name}"
        if name in state and not torch.equal(state[name], value):
            raise UserError(f"{weights} holds two different {name}: it cannot be said which the diagnoser uses")
        if name in state:
            ignored[f"{PROJECTION}.{name.split('.')[-1]}"] = "the same as in model_state_dict"
        state[name] = value
    read = _tokenizer_json(tokenizer)
    settings = _settings(held["client_state"], _read_json(config), state, read, weights)
    return _filled(settings, read, state, weights), ignored


def save_released(model: ReleasedDiagnoser, tokenizer: str, folder: Path) -> None:
    """Writes a diagnoser's three files into a folder.

    Args:
        tokenizer: the `tokenizer.json` that the model was made with.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomic(folder / TOKENIZER, tokenizer.encode())
    write_atomic(folder / SETTINGS, (json.dumps(asdict(model.settings), indent=1) + "\n").encode())
    write_atomic(folder / WEIGHTS, save(state))


def load_released(folder: Path) -> ReleasedDiagnoser:
    """A diagnoser that `save_released` wrote, in evaluation mode.

    Raises:
        UserError: a file is not there or not what it should be.
    """
    plain = _read_json(folder / SETTINGS)
    try:
        longformer = LongformerSettings.of(plain.pop("longformer"))
        settings = ReleasedSettings(longformer=longformer, labels=tuple(plain.pop("labels")), **plain)
        state = load_file(folder / WEIGHTS)
    except (OSError, KeyError, TypeError, SafetensorError) as problem:
        raise UserError(f"{folder} is not a diagnoser that was imported ({problem}): import it again") from None
    return _filled(settings, _tokenizer_json(folder), state, folder)


def _settings(client: Mapping, config: dict, state: Mapping, tokenizer: str, weights: Path) -> ReleasedSettings:
    """What the checkpoint says of itself: sizes from its tensors, names and numbers from its `client_state`."""
    longformer = LongformerSettings.of(config)
    try:
        out, projection = state["classifier.out_proj.weight"], state["projection_layer.weight"]
        words = state["longformer.embeddings.word_embeddings.weight"]
        told = client.get("config_yaml", {}).get("hyperparameters", {}).get("longformer", {})
        mapping = client.get("label_mapping") or {label: f"LABEL_{label}" for label in range(len(out))}
        labels = tuple(str({int(key): value for key, value in mapping.items()}[label]) for label in range(len(out)))
    except (KeyError, AttributeError, ValueError) as problem:
        raise UserError(f"{weights} does not tell {problem}: it is not a released diagnoser") from None
    # The word table was resized to the tokenizer with its special tokens, of which all but one are slots.
    read = Tokenizer.from_str(tokenizer)
    added = read.token_to_id(DESCRIPTION)
    own = read.get_vocab_size() if added is None else added
    slots = len(words) - own - 1
    if slots < 1:
        raise UserError(f"{weights} has no room for audio slots after the {own} tokens of the tokenizer: give its own")
    return ReleasedSettings(
        labels=labels,
        feature_width=projection.shape[1],
        slots=slots,
        stride=int(told.get("audio_global_stride", ReleasedSettings.stride)),
        text_tokens=int(told.get("max_text_tokens", ReleasedSettings.text_tokens)),
        longformer=longformer,
    )


def _filled(settings: ReleasedSettings, tokenizer: str, state: Mapping, name: Path) -> ReleasedDiagnoser:
    with torch.device("meta"):
        model = ReleasedDiagnoser(settings, tokenizer)
    try:
        model.load_state_dict({key: value.float() for key, value in state.items()}, strict=True, assign=True)
    except RuntimeError as problem:
        told = " ".join(line.strip() for line in str(problem).splitlines()[1:]).rstrip(".")
        raise UserError(f"{name} is not a whole diagnoser in the released layout: {told}") from None
    return model.eval()


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UserError(f"{file} cannot be read ({problem}): give the diagnoser's own") from None


def _tokenizer_json(path: Path) -> str:
    file = path / TOKENIZER if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
        Tokenizer.from_str(text)
    except OSError:
        raise UserError(f"{file} is not there: give the folder of the diagnoser's tokenizer") from None
    except Exception as problem:
        # The library raises plain exceptions.
        raise UserError(f"{file} is not a tokenizer ({problem}): give the diagnoser's own") from None
    return text
