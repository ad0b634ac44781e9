"""Released checkpoints against the outputs that lie beside them: what is compared, and how closely."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn.functional import pad

from resp_agent.diagnoser.released_files import import_released
from resp_agent.encoders.beats import load_beats, load_tokenizer
from resp_agent.encoders.beats_model import hear
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


@dataclass(frozen=True)
class Check:
    """How one kind of checkpoint is verified."""

    files: tuple[str, ...]
    """What a folder holds of it; the last are the expected outputs."""
    needs: tuple[str, ...]
    """Files of other kinds that it cannot do without."""
    run: Callable[[Path], Iterator[Quantity]]


def compare(name: str, result: torch.Tensor, expected: torch.Tensor, tolerance: float = 0.0) -> Quantity:
    """The largest difference of two tensors."""
    if result.shape != expected.shape:
        return Quantity(f"{name}, {list(result.shape)} for {list(expected.shape)}", float("inf"), tolerance)
    difference = (result.double() - expected.double()).abs()
    return Quantity(name, difference.max().item() if difference.numel() else 0.0, tolerance)


@torch.inference_mode()
def check_beats(folder: Path) -> Iterator[Quantity]:
    """Filter bank, features with and without padding, units."""
    file = folder / "beats_expected.safetensors"
    expected = read_expected(file)
    encoder, tokenizer = load_beats(folder / "beats_encoder.pt"), load_tokenizer(folder / "beats_tokenizer.pt")
    waveform, padding = (_part(expected, name, file) for name in ("waveform", "padding_mask"))
    padding = padding.bool()
    outputs: dict[str, tuple[Callable[[], torch.Tensor], float]] = {
        "fbank": (lambda: hear(waveform), 1e-4),
        "features": (lambda: encoder.features(waveform), 1e-4),
        "features_padded": (lambda: encoder.features(waveform, padding), 1e-4),
        "features_padding_mask": (lambda: encoder.token_padding(padding), 0.0),
        "units": (lambda: tokenizer.units(waveform), 0.0),
    }
    for name, (output, tolerance) in outputs.items():
        yield compare(name, output(), _part(expected, name, file), tolerance)


@torch.inference_mode()
def check_diagnoser(folder: Path) -> Iterator[Quantity]:
    """Both masks, and logits from the features of `beats_encoder.pt`."""
    file, texts_file = folder / "diagnoser_expected.safetensors", folder / "diagnoser_texts.json"
    expected = read_expected(file)
    texts = _read_texts(texts_file)
    waveform = _part(expected, "waveform", file)
    if len(texts) != len(waveform):
        raise UserError(f"{texts_file} holds {len(texts)} texts for the {len(waveform)} waveforms of {file.name}")
    model, _ = import_released(
        folder / "diagnoser.pth", folder / "diagnoser_config.json", folder / "diagnoser_tokenizer"
    )
    encoder = load_beats(folder / "beats_encoder.pt")
    wanted, given = model.settings.feature_width, encoder.settings.width
    if wanted != given:
        raise UserError(f"{folder / 'beats_encoder.pt'} gives {given} numbers a token and the diagnoser takes {wanted}")
    woven = model.weave(texts)
    for name in ("attention_mask", "global_attention_mask"):
        result, known = getattr(woven, name), _part(expected, name, file)
        # Padding of whole columns, which some batches have and others have not, says nothing.
        longest = max(result.shape[-1], known.shape[-1])
        yield compare(name, *(pad(mask, (0, longest - mask.shape[-1])) for mask in (result, known)))
    logits = model.logits(encoder.features(model.clip(waveform)), texts)
    yield compare("logits", logits, _part(expected, "logits", file), 1e-4)


CHECKS: dict[str, Check] = {
    "beats": Check(("beats_encoder.pt", "beats_tokenizer.pt", "beats_expected.safetensors"), (), check_beats),
    "diagnoser": Check(
        (
            "diagnoser.pth",
            "diagnoser_config.json",
            "diagnoser_tokenizer",
            "diagnoser_texts.json",
            "diagnoser_expected.safetensors",
        ),
        ("beats_encoder.pt",),
        check_diagnoser,
    ),
}
"""Kind -> how it is verified."""

NOT_YET: dict[str, tuple[str, ...]] = {
    "planner": ("planner.pth", "planner_tokenizer", "planner_expected.safetensors"),
    "flow": ("flow.pt", "flow_expected.safetensors"),
    "vocos": ("vocos.bin", "vocos_expected.safetensors"),
}
"""Kinds that this version cannot read -> their files."""


def verify_folder(folder: Path, only: tuple[str, ...] = ()) -> int:
    """Prints a line for every quantity of the checkpoints in a folder; returns how many miss their tolerance.

    Args:
        folder: laid out like the release.
        only: kinds to verify; none: all that the folder holds, with a line for those that this version cannot read.

    Raises:
        UserError: a kind that is asked for cannot be verified, or a file is not there or broken.
    """
    kinds = _chosen(folder, only)
    missed = 0
    for kind in kinds:
        for quantity in CHECKS[kind].run(folder):
            missed += not quantity.ok
            print(
                f"{kind:<10} {quantity.name:<24} maximum difference {quantity.difference:.2e}  tolerance "
                f"{quantity.tolerance:.0e}  {'ok' if quantity.ok else 'MISSED'}",
                flush=True,
            )
    for kind, files in NOT_YET.items():
        if not only and _held(folder, files):
            print(f"{kind:<10} is there and was not verified: this version cannot")
    if missed:
        print(f"{missed} of the quantities missed their tolerance")
    return missed


def _chosen(folder: Path, only: tuple[str, ...]) -> list[str]:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give one with released checkpoints and their expected outputs")
    for kind in only:
        if kind in NOT_YET:
            raise UserError(f"this version cannot verify {kind}: ask for {' or '.join(CHECKS)}")
        if kind not in CHECKS:
            raise UserError(f"{kind!r} is no kind of checkpoint: --only takes {', '.join([*CHECKS, *NOT_YET])}")
    # The encoder alone is there for others' sake.
    needed = {file for check in CHECKS.values() for file in check.needs}
    own = {kind: tuple(set(check.files) - needed) for kind, check in CHECKS.items()}
    chosen = [kind for kind in CHECKS if (kind in only if only else _held(folder, own[kind]))]
    if not chosen:
        raise UserError(f"{folder} holds nothing that can be verified: none of {', '.join(CHECKS)}")
    for kind in chosen:
        for file in CHECKS[kind].files + CHECKS[kind].needs:
            if not (folder / file).exists():
                raise UserError(f"{folder / file} is missing, without which {kind} cannot be verified")
    return chosen


def _held(folder: Path, files: tuple[str, ...]) -> bool:
    return any((folder / file).exists() for file in files)


def read_expected(file: Path) -> dict[str, torch.Tensor]:
    """Expected outputs by name.

    Raises:
        UserError: the file is not there or broken.
    """
    try:
        return load_file(file)
    except (OSError, SafetensorError) as problem:
        raise UserError(f"{file} cannot be read ({problem}): give the folder of a release with its outputs") from None


def _part(expected: dict[str, torch.Tensor], name: str, file: Path) -> torch.Tensor:
    if name not in expected:
        raise UserError(f"{file} has no {name}: it is not what is expected of this kind of checkpoint")
    return expected[name]


def _read_texts(file: Path) -> list[str]:
    try:
        texts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UserError(f"{file} cannot be read ({problem}): give the folder of a release with its outputs") from None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{file} is no list of texts")
    return texts
