"""What planner and flow are trained on: recordings heard in other styles than their own.

A batch is a function of its step, so a restart repeats it.
"""

from dataclasses import dataclass

import numpy as np
import torch

from resp_agent.encoders.units import Codebook
from resp_agent.errors import UserError
from resp_agent.generator.flow import FlowBatch, Tokens
from resp_agent.generator.material import Material
from resp_agent.generator.planner import PlannerBatch, Vocabulary
from resp_agent.generator.style import normalise, pooled, restyle, summary
from resp_agent.randomness import stream
from resp_agent.settings import Settings


def heard(material: Material, index: int, keep: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, str]:
    """A window of a recording, as it is and as heard in a drawn style (its own with probability `keep`).

    Returns:
        Both log-mels, (T, M) each, normalised under the style they are heard in, and the name of the second one's.
    """
    own = material.bank[material.recordings[index].style]
    window = material.window(index, rng)
    names = [name for name in material.bank.names if name != own.name]
    if not names or rng.random() < keep:
        return normalise(window, own), normalise(window, own), own.name
    other = material.bank[names[rng.integers(len(names))]]
    quiet = material.quiet[material.bank.draw(other.name, rng)]
    return normalise(window, own), normalise(restyle(window, own, other, quiet, rng), other), other.name


def flow_condition(material: Material, target: str, source: str, reference: int, label: str | None) -> np.ndarray:
    """(10M + C,) float32: the style to render, the style the units were heard in, its reference, the label."""
    bank = material.bank
    told = np.array([label == one for one in material.labels], np.float32)
    return np.concatenate([bank.vector(target), bank.vector(source), summary(material.normal(reference)), told])


def planner_slots(material: Material, style: str, reference: int, slots: int) -> np.ndarray:
    """(slots, 6M) float32: the style's measurements and the reference's pooled features."""
    features = pooled(material.normal(reference), slots)
    return np.concatenate([np.repeat(material.bank.vector(style)[None], slots, 0), features], 1)


def usable(material: Material) -> list[int]:
    """Recordings whose style some other patient was heard in too: the others have no reference to learn from.

    Raises:
        UserError: there is none.
    """
    chosen = [
        index
        for index, recording in enumerate(material.recordings)
        if material.bank.references(recording.style, recording.patient_id)
    ]
    if not chosen:
        raise UserError(
            f"each style of the training split ({', '.join(material.bank.names)}) was heard in one patient only, so "
            "nothing can serve as a style reference: add recordings of a second patient"
        )
    return chosen


class Draw:
    """Draws recordings: every label as likely as any other for half of the examples, every recording for the rest."""

    def __init__(self, material: Material):
        self._all = usable(material)
        groups: dict[str, list[int]] = {}
        for index in self._all:
            groups.setdefault(material.recordings[index].label, []).append(index)
        self._groups = [groups[label] for label in sorted(groups)]

    def __call__(self, rng: np.random.Generator) -> int:
        """The index of a recording."""
        group = self._all if rng.random() < 0.5 else self._groups[rng.integers(len(self._groups))]
        return group[rng.integers(len(group))]


@dataclass(frozen=True)
class FlowExamples:
    """Back-translation: units of a restyled copy in, the recording itself out."""

    settings: Settings
    material: Material
    codebook: Codebook
    tokens: Tokens
    draw: Draw

    def examples(self, step: int) -> list[dict[str, np.ndarray]]:
        """The batch of a step."""
        count = self.settings.generator.flow.training.batch
        # Stratified times keep the loss of a small batch steady (Kingma et al. 2021, arXiv 2107.00630, appendix I.1).
        offset = stream(self.settings.seed, "flow", step).random()
        return [self._example(step, index, (index + offset) / count) for index in range(count)]

    def _example(self, step: int, index: int, time: float) -> dict[str, np.ndarray]:
        rng, flow = stream(self.settings.seed, "flow", step, index), self.settings.generator.flow
        chosen = self.draw(rng)
        recording = self.material.recordings[chosen]
        clean, copy, source = heard(self.material, chosen, flow.keep_style, rng)
        reference = self.material.bank.reference(recording.style, recording.patient_id, rng)
        target = self.tokens.encode(clean, flow.frames_per_token)
        label = None if rng.random() < flow.drop_label else recording.label
        return {
            "target": target,
            "noise": rng.standard_normal(target.shape).astype(np.float32),
            "units": group_units(self.codebook.encode(copy), flow.frames_per_token),
            "style": flow_condition(self.material, recording.style, source, reference, label),
            "time": np.float32(time),
            "drop": np.bool_(rng.random() < flow.drop_condition),
            "mask": np.ones(len(target), bool),
        }

    def collate(self, examples: list[dict[str, np.ndarray]]) -> FlowBatch:
        """Examples as tensors, padded to the longest."""
        return FlowBatch(**{name: _padded([example[name] for example in examples], 0) for name in examples[0]})


@dataclass(frozen=True)
class PlannerExamples:
    """Units of recordings, as heard in their own or another style, with a reference of that style."""

    settings: Settings
    material: Material
    codebook: Codebook
    vocabulary: Vocabulary
    draw: Draw

    def examples(self, step: int) -> list[dict[str, np.ndarray]]:
        """The batch of a step."""
        return [self._example(step, index) for index in range(self.settings.generator.planner.training.batch)]

    def _example(self, step: int, index: int) -> dict[str, np.ndarray]:
        rng, planner = stream(self.settings.seed, "planner", step, index), self.settings.generator.planner
        chosen = self.draw(rng)
        recording = self.material.recordings[chosen]
        _, copy, style = heard(self.material, chosen, planner.keep_style, rng)
        if not self.material.bank.references(style, recording.patient_id):
            _, copy, style = heard(self.material, chosen, 1.0, rng)
        reference = self.material.bank.reference(style, recording.patient_id, rng)
        units = self.codebook.encode(copy)
        if len(self.material.log_mels[chosen]) <= self.material.frames:
            units = np.append(units, self.vocabulary.end)
        told = rng.random() >= planner.drop_narrative
        return {
            "units": units,
            "slots": planner_slots(self.material, style, reference, planner.style_slots),
            "label": np.int64(self.vocabulary.label(None if rng.random() < planner.drop_label else recording.label)),
            "words": np.array(self.vocabulary.bag(recording.narrative) if told else [], np.int64),
        }

    def collate(self, examples: list[dict[str, np.ndarray]]) -> PlannerBatch:
        """Examples as tensors, padded to the longest with -1."""
        return PlannerBatch(**{name: _padded([example[name] for example in examples], -1) for name in examples[0]})


def group_units(units: np.ndarray, frames: int) -> np.ndarray:
    """(..., T) units to (..., ceil(T / frames), frames): those of each token, the last unit repeated to fill it."""
    extra = -units.shape[-1] % frames
    filled = np.concatenate([units, np.repeat(units[..., -1:], extra, -1)], -1)
    return filled.reshape(*units.shape[:-1], -1, frames)


def _padded(arrays: list[np.ndarray], filler: int) -> torch.Tensor:
    if arrays[0].ndim == 0:
        return torch.from_numpy(np.stack(arrays))
    longest = max(max(len(array) for array in arrays), 1)
    whole = np.full((len(arrays), longest, *arrays[0].shape[1:]), filler, arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(whole)
