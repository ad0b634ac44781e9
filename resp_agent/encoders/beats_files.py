"""Reading BEATs from released checkpoints and from our own files, and writing the latter."""

import json
import pickle
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from resp_agent.durable import write_atomic
from resp_agent.encoders.beats_model import Beats, BeatsSettings, BeatsTokenizer
from resp_agent.errors import UserError

ENCODER_FILES = ("beats_encoder.safetensors", "BEATs_iter3_plus_AS2M.pt", "beats_encoder.pt")
"""Names that `load_beats` looks for in a folder, the first one that is there being read."""
TOKENIZER_FILES = ("beats_tokenizer.safetensors", "Tokenizer_iter3_plus_AS2M.pt", "beats_tokenizer.pt")
"""Names that `load_tokenizer` looks for."""

_RELEASED = {
    "input_patch_size": "patch",
    "embed_dim": "patch_width",
    "encoder_embed_dim": "width",
    "encoder_ffn_embed_dim": "feedforward",
    "encoder_attention_heads": "heads",
    "encoder_layers": "layers",
    "conv_pos": "kernel",
    "conv_pos_groups": "groups",
    "num_buckets": "buckets",
    "max_distance": "distance",
}
"""What released configurations call our settings."""
_RELEASED_UNITS = {"quant_n": "units", "quant_dim": "unit_width"}
_ONLY = {
    "conv_bias": False,
    "activation_fn": "gelu",
    "layer_norm_first": False,
    "deep_norm": True,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
}
"""What every public BEATs has; other values are refused. The remaining entries of a configuration are of training."""

_FINE_TUNED = "it is a fine-tuned BEATs with a classifier (`predictor`): take the pretrained one"


def load_beats(path: Path | str) -> Beats:
    """An encoder, float32, on the CPU, in evaluation mode.

    Args:
        path: a released checkpoint (`{"cfg", "model"}`), a file of `save_beats`, or a folder with one of
            `ENCODER_FILES`.

    Raises:
        UserError: it is not there, not a BEATs, a fine-tuned one, a tokenizer, or parameters are missing or too many.
    """
    return _load(Path(path), Beats, ENCODER_FILES)


def load_tokenizer(path: Path | str) -> BeatsTokenizer:
    """A unit tokenizer; see `load_beats`."""
    return _load(Path(path), BeatsTokenizer, TOKENIZER_FILES)


def save_beats(model: Beats, path: Path | str) -> Path:
    """Writes an encoder or a tokenizer as safetensors with its settings as JSON in the metadata; returns the file.

    Args:
        path: a file that ends in `.safetensors`, or a folder, in which the file gets its usual name.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        path /= (TOKENIZER_FILES if isinstance(model, BeatsTokenizer) else ENCODER_FILES)[0]
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomic(path, save(state, {"beats": json.dumps(asdict(model.settings), sort_keys=True)}))
    return path


def released_settings(configuration: dict, tokenizer: bool) -> BeatsSettings:
    """The settings that the `cfg` of a released checkpoint tells of, for a tokenizer or for an encoder.

    Raises:
        UserError: it tells of something that no public BEATs has, or leaves a size out.
    """
    names = _RELEASED | (_RELEASED_UNITS if tokenizer else {})
    if missing := [name for name in names if name not in configuration]:
        raise UserError(f"its configuration does not tell {', '.join(missing)}")
    if configuration.get("finetuned_model"):
        raise UserError(_FINE_TUNED)
    for name, value in _ONLY.items():
        # The release's own code takes an absent switch for off.
        told = configuration.get(name, False if value is True else value)
        if told != value:
            raise UserError(f"its {name} is {told!r}, and only {value!r} is known here")
    return BeatsSettings(**{ours: int(configuration[name]) for name, ours in names.items()})


def _load(path: Path, kind: type[Beats], names: tuple[str, ...]) -> Beats:
    file = _file(path, names)
    try:
        settings, state = (_read_ours if file.suffix == ".safetensors" else _read_released)(file)
        if (kind is BeatsTokenizer) != (settings.units > 0):
            held, wanted = ("a unit tokenizer", "an encoder") if settings.units else ("an encoder", "a unit tokenizer")
            raise UserError(f"it holds {held}, and {wanted} is wanted")
        if any(name.startswith("predictor.") for name in state):
            raise UserError(_FINE_TUNED)
        # The parameters are replaced: drawing them would take seconds.
        with torch.device("meta"):
            model = kind(settings)
        model.load_state_dict({name: value.float() for name, value in state.items()}, strict=True, assign=True)
    except UserError as problem:
        raise UserError(f"{file} cannot be used: {problem}") from None
    except RuntimeError as problem:
        raise UserError(f"{file} is not a whole BEATs: {_told(problem)}") from None
    return model.eval().requires_grad_(False)


def _file(path: Path, names: tuple[str, ...]) -> Path:
    if path.is_file():
        return path
    for name in names if path.is_dir() else ():
        if (path / name).is_file():
            return path / name
    holding = f"holds none of {', '.join(names)}" if path.is_dir() else "is not there"
    raise UserError(
        f"BEATs weights: {path} {holding}; give a file or folder with {names[1]}, which the authors of BEATs publish, "
        f"or one that `resp-agent import-weights` made of it"
    )


def _read_ours(file: Path) -> tuple[BeatsSettings, dict[str, torch.Tensor]]:
    try:
        with safe_open(file, "pt") as opened:
            told = json.loads((opened.metadata() or {}).get("beats", "null"))
            if told is None:
                raise UserError("it does not tell the sizes of a BEATs: import the released checkpoint again")
            return BeatsSettings(**told), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, ValueError) as problem:
        raise UserError(f"it is not a BEATs that was saved here ({problem})") from None


def _read_released(file: Path) -> tuple[BeatsSettings, dict[str, torch.Tensor]]:
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as problem:
        raise UserError(f"it is not a checkpoint of plain tensors ({type(problem).__name__})") from None
    if not isinstance(held, dict) or not {"cfg", "model"} <= held.keys():
        raise UserError("it is not a released BEATs, which holds `cfg` and `model`")
    # An encoder's configuration may tell of the tokenizer that taught it.
    tokenizer = "quantize.embedding.weight" in held["model"]
    return released_settings(dict(held["cfg"]), tokenizer), dict(held["model"])


def _told(problem: RuntimeError) -> str:
    """The lines of load_state_dict on what is missing, unexpected or of another shape, as one."""
    return " ".join(line.strip() for line in str(problem).splitlines()[1:]).strip().rstrip(".")
