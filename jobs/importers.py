"""What reads each kind of released checkpoint, and how what it read is kept."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from resp_agent.diagnoser.released_files import PROJECTION, SETTINGS, TOKENIZER, WEIGHTS, import_released, save_released
from resp_agent.encoders.beats import Beats, load_beats, load_tokenizer, save_beats
from resp_agent.encoders.beats_files import ENCODER_FILES, TOKENIZER_FILES
from resp_agent.errors import UserError
from resp_agent.generator.released import VOCOS_FILES
from resp_agent.generator.released_flow import FLOW_FILES, load_flow, save_flow
from resp_agent.generator.released_planner_files import TOKENIZER_FOLDERS, import_planner, save_planner
from resp_agent.generator.released_planner_files import WEIGHTS as PLANNER
from resp_agent.generator.vocos import load_vocos, save_vocos
from resp_agent.tensor_files import read_plain

IGNORED_BEATS = {
    "relative_attention_bias": "a copy of layer 0's",
    "quantize.": "bookkeeping of the codebook's training",
}
"""Part of a name in a released BEATs that is no part of the model -> why."""


@dataclass(frozen=True)
class ImportJob:
    """Turns released checkpoints into files of ours: safetensors and JSON. Nothing but tensors and plain data is read,
    and no tensor may be missing or left over unless the table says why."""

    out: str
    """Folder for what is made."""
    beats: str | None = None
    """BEATs encoder, such as BEATs_iter3_plus_AS2M.pt."""
    beats_tokenizer: str | None = None
    """BEATs unit tokenizer, such as Tokenizer_iter3_plus_AS2M.pt."""
    diagnoser: str | None = None
    """Diagnoser: diagnoser.pth."""
    config: str | None = None
    """The diagnoser's Longformer configuration; by default diagnoser_config.json or config.json beside it."""
    tokenizer: str | None = None
    """Folder of the diagnoser's text tokenizer; by default diagnoser_tokenizer or tokenizer beside it."""
    planner: str | None = None
    """Planner: planner.pth."""
    planner_tokenizer: str | None = None
    """Folder of the planner's tokenizer; by default planner_tokenizer or tokenizer beside it."""
    flow: str | None = None
    """Flow: flow.pt."""
    vocos: str | None = None
    """Vocos: the weights of charactr/vocos-mel-24khz, pytorch_model.bin, or vocos.bin."""

    def __post_init__(self):
        if not any(getattr(self, name) for name in IMPORTERS):
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in IMPORTERS)
            raise UserError(f"nothing is given to import: name a checkpoint with one of {flags}")


@dataclass(frozen=True)
class Read:
    """A row of the table of what was read."""

    file: str
    tensors: int
    parameters: int
    dtypes: str
    sha256: str
    made: str
    """What was made of it, relative to the folder."""
    ignored: dict[str, str]
    """Tensors that were left out -> why."""


Imported = tuple[list[Read], Callable[[Path], object]]
"""What was read, and what writes it into a folder."""


def _import_beats(job: ImportJob) -> Imported:
    return _beats(Path(job.beats), load_beats, ENCODER_FILES[0])


def _import_beats_tokenizer(job: ImportJob) -> Imported:
    return _beats(Path(job.beats_tokenizer), load_tokenizer, TOKENIZER_FILES[0])


def _beats(file: Path, load: Callable[[Path], Beats], made: str) -> Imported:
    _refuse_absent(file)
    model = load(file)
    state = read_plain(file).get("model")
    if state is None:
        raise UserError(f"{file} was imported before: give the released checkpoint")
    left = state.keys() - model.state_dict().keys()
    reasons = {name: why for name in sorted(left) for part, why in IGNORED_BEATS.items() if part in name}
    return [describe(file, state, made, reasons)], lambda out: save_beats(model, out / made)


def _import_diagnoser(job: ImportJob) -> Imported:
    weights = Path(job.diagnoser)
    config = _beside(weights, job.config, ("diagnoser_config.json", "config.json"), "--config")
    tokenizer = _beside(weights, job.tokenizer, ("diagnoser_tokenizer", "tokenizer"), "--tokenizer")
    tokenizer = tokenizer / TOKENIZER if tokenizer.is_dir() else tokenizer
    model, ignored = import_released(weights, config, tokenizer)
    held = read_plain(weights)
    state = dict(held["model_state_dict"])
    state |= {f"{PROJECTION}.{name}": part for name, part in held.get(PROJECTION, {}).items()}
    rows = [
        describe(weights, state, f"diagnoser/{WEIGHTS}", ignored),
        describe(config, {}, f"diagnoser/{SETTINGS}", {}),
        describe(tokenizer, {}, f"diagnoser/{TOKENIZER}", {}),
    ]
    told = tokenizer.read_text(encoding="utf-8")
    return rows, lambda out: save_released(model, told, out / "diagnoser")


def _import_planner(job: ImportJob) -> Imported:
    weights = Path(job.planner)
    tokenizer = _beside(weights, job.planner_tokenizer, TOKENIZER_FOLDERS, "--planner-tokenizer")
    tokenizer = tokenizer / TOKENIZER if tokenizer.is_dir() else tokenizer
    planner, ignored = import_planner(weights, tokenizer)
    rows = [
        describe(weights, read_plain(weights)["model_state_dict"], f"planner/{PLANNER}", ignored),
        describe(tokenizer, {}, f"planner/{TOKENIZER}", {}),
    ]
    return rows, lambda out: save_planner(planner, out / "planner")


def _import_flow(job: ImportJob) -> Imported:
    file = Path(job.flow)
    _refuse_imported(file)
    flow, made = load_flow(file), FLOW_FILES[0]
    state = read_plain(file)["model_state_dict"]
    return [describe(file, state, made, {})], lambda out: save_flow(flow, out / made)


def _import_vocos(job: ImportJob) -> Imported:
    file = Path(job.vocos)
    _refuse_imported(file)
    vocos, made = load_vocos(file), VOCOS_FILES[0]
    state = read_plain(file)
    left = dict.fromkeys(sorted(state.keys() - vocos.state_dict().keys()), "no part of the vocoder")
    return [describe(file, state, made, left)], lambda out: save_vocos(vocos, out / made)


IMPORTERS: dict[str, Callable[[ImportJob], Imported]] = {
    "beats": _import_beats,
    "beats_tokenizer": _import_beats_tokenizer,
    "diagnoser": _import_diagnoser,
    "planner": _import_planner,
    "flow": _import_flow,
    "vocos": _import_vocos,
}
"""Field of the job -> what reads the checkpoint that it names."""


def _beside(weights: Path, given: str | None, names: tuple[str, ...], flag: str) -> Path:
    """A file or folder that goes with a checkpoint: what the flag gives, or what lies beside it under a usual name."""
    _refuse_absent(weights)
    if given:
        return Path(given)
    for name in names:
        if (weights.parent / name).exists():
            return weights.parent / name
    raise UserError(f"there is no {' or '.join(names)} beside {weights}: give {flag}")


def _refuse_absent(file: Path) -> None:
    if not file.is_file():
        raise UserError(f"{file} is not there, or no file: give the released checkpoint")


def _refuse_imported(file: Path) -> None:
    _refuse_absent(file)
    if file.suffix == ".safetensors":
        raise UserError(f"{file} was imported before: give the released checkpoint")


def describe(file: Path, state: Mapping[str, torch.Tensor], made: str, ignored: dict[str, str]) -> Read:
    """The row of a file that was read."""
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    dtypes = ", ".join(sorted({str(value.dtype).removeprefix("torch.") for value in state.values()}))
    count = sum(value.numel() for value in state.values())
    return Read(str(file), len(state), count, dtypes, digest, made, ignored)
