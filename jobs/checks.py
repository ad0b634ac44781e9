"""How each kind of released checkpoint is verified: what is computed, and how close it has to come."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import pad

from jobs.comparison import Quantity, compare, part_of, read_expected
from resp_agent.diagnoser.released_files import import_released
from resp_agent.encoders.beats import Beats, load_beats, load_tokenizer
from resp_agent.encoders.beats_model import hear
from resp_agent.errors import UserError
from resp_agent.generator.released_flow import load_flow
from resp_agent.generator.released_planner_files import import_planner
from resp_agent.generator.vocos import load_vocos

ENCODER = "beats_encoder.pt"
DISEASE = "Asthma"
"""What the planner of every release is asked for."""


@dataclass(frozen=True)
class Check:
    """How one kind of checkpoint is verified."""

    files: tuple[str, ...]
    """What a folder holds of it; the last are the expected outputs."""
    needs: tuple[str, ...]
    """Files of other kinds that it cannot do without."""
    run: Callable[[Path], Iterator[Quantity]]


@torch.inference_mode()
def check_beats(folder: Path) -> Iterator[Quantity]:
    """Filter bank, features with and without padding, units."""
    file = folder / "beats_expected.safetensors"
    expected = read_expected(file)
    encoder, tokenizer = load_beats(folder / "beats_encoder.pt"), load_tokenizer(folder / "beats_tokenizer.pt")
    waveform, padding = (part_of(expected, name, file) for name in ("waveform", "padding_mask"))
    padding = padding.bool()
    outputs: dict[str, tuple[Callable[[], torch.Tensor], float]] = {
        "fbank": (lambda: hear(waveform), 1e-4),
        "features": (lambda: encoder.features(waveform), 1e-4),
        "features_padded": (lambda: encoder.features(waveform, padding), 1e-4),
        "features_padding_mask": (lambda: encoder.token_padding(padding), 0.0),
        "units": (lambda: tokenizer.units(waveform), 0.0),
    }
    for name, (output, tolerance) in outputs.items():
        yield compare(name, output(), part_of(expected, name, file), tolerance)


@torch.inference_mode()
def check_diagnoser(folder: Path) -> Iterator[Quantity]:
    """Both masks, and logits from the features of `beats_encoder.pt`."""
    file, texts_file = folder / "diagnoser_expected.safetensors", folder / "diagnoser_texts.json"
    expected = read_expected(file)
    texts = _read_texts(texts_file)
    waveform = part_of(expected, "waveform", file)
    if len(texts) != len(waveform):
        raise UserError(f"{texts_file} holds {len(texts)} texts for the {len(waveform)} waveforms of {file.name}")
    model, _ = import_released(
        folder / "diagnoser.pth", folder / "diagnoser_config.json", folder / "diagnoser_tokenizer"
    )
    encoder = _encoder(folder, model.settings.feature_width, "diagnoser")
    woven = model.weave(texts)
    for name in ("attention_mask", "global_attention_mask"):
        result, known = getattr(woven, name), part_of(expected, name, file)
        # Padding of whole columns, which some batches have and others have not, says nothing.
        longest = max(result.shape[-1], known.shape[-1])
        yield compare(name, *(pad(mask, (0, longest - mask.shape[-1])) for mask in (result, known)))
    logits = model.logits(encoder.features(model.clip(waveform)), texts)
    yield compare("logits", logits, part_of(expected, "logits", file), 1e-4)


def _read_texts(file: Path) -> list[str]:
    try:
        texts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UserError(f"{file} cannot be read ({problem}): give the folder of a release with its outputs") from None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{file} is no list of texts")
    return texts


@torch.inference_mode()
def check_planner(folder: Path) -> Iterator[Quantity]:
    """The prompt, logits after it, and what greedy decoding over the whole vocabulary makes of it."""
    file = folder / "planner_expected.safetensors"
    expected = read_expected(file)
    planner, _ = import_planner(folder / "planner.pth", folder / "planner_tokenizer")
    encoder = _encoder(folder, planner.settings.feature_width, "planner")
    features = encoder.features(part_of(expected, "waveform", file))
    diseases = [DISEASE] * len(features)
    most = part_of(expected, "generated_ids", file).shape[-1]
    outputs: dict[str, tuple[Callable[[], torch.Tensor], float]] = {
        "prompt_embeds": (lambda: planner.prompt_embeds(features, diseases)[0], 1e-3),
        "prompt_logits": (lambda: planner.prompt_logits(features, diseases), 1e-3),
        "generated_ids": (lambda: planner.generated_ids(features, diseases, most), 0.0),
    }
    for name, (output, tolerance) in outputs.items():
        yield compare(name, output(), part_of(expected, name, file), tolerance)


@torch.inference_mode()
def check_flow(folder: Path) -> Iterator[Quantity]:
    """One velocity, and the log-mel that the sampler comes to."""
    file = folder / "flow_expected.safetensors"
    expected = read_expected(file)
    flow = load_flow(folder / "flow.pt")
    given = [part_of(expected, name, file) for name in ("units", "style_features", "reference_mel")]
    x_t, t, x0 = (part_of(expected, name, file) for name in ("x_t", "t", "x0"))
    yield compare("velocity", flow.velocity(x_t, t, *given), part_of(expected, "velocity", file), 3e-5)
    yield compare("mel", flow.mel(x0, *given), part_of(expected, "mel", file), 3e-5)


@torch.inference_mode()
def check_vocos(folder: Path) -> Iterator[Quantity]:
    """Audio of a log-mel."""
    file = folder / "vocos_expected.safetensors"
    expected = read_expected(file)
    vocos = load_vocos(folder / "vocos.bin")
    yield compare("waveform", vocos(part_of(expected, "log_mel", file)), part_of(expected, "waveform", file), 1e-5)


def _encoder(folder: Path, wanted: int, whose: str) -> Beats:
    encoder = load_beats(folder / ENCODER)
    if encoder.settings.width != wanted:
        raise UserError(
            f"{folder / ENCODER} gives {encoder.settings.width} numbers a token and the {whose} takes {wanted}"
        )
    return encoder


CHECKS: dict[str, Check] = {
    "beats": Check((ENCODER, "beats_tokenizer.pt", "beats_expected.safetensors"), (), check_beats),
    "diagnoser": Check(
        (
            "diagnoser.pth",
            "diagnoser_config.json",
            "diagnoser_tokenizer",
            "diagnoser_texts.json",
            "diagnoser_expected.safetensors",
        ),
        (ENCODER,),
        check_diagnoser,
    ),
    "planner": Check(("planner.pth", "planner_tokenizer", "planner_expected.safetensors"), (ENCODER,), check_planner),
    "flow": Check(("flow.pt", "flow_expected.safetensors"), (), check_flow),
    "vocos": Check(("vocos.bin", "vocos_expected.safetensors"), (), check_vocos),
}
"""Kind -> how it is verified."""
