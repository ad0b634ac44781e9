"""What planner and flow are trained on: recordings heard in other styles than their own.

A batch is a function of its step, so a restart repeats it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from resp_agent.encoders.units import Codebook
from resp_agent.generator.content import content_of_units
from resp_agent.generator.flow import FlowBatch, Tokens
from resp_agent.generator.material import Material
from resp_agent.generator.planner import PlannerBatch, Vocabulary
from resp_agent.generator.prompts import Prompts
from resp_agent.generator.style import (
    Conditions,
    Style,
    conditions_of,
    content_of,
    drafted,
    level_of,
    log_content,
    normalise,
    pooled,
    put_on,
    take_apart,
)
from resp_agent.randomness import stream
from resp_agent.settings import Settings


def overheard(
    material: Material, index: int, keep: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A window of a recording, and its content as it would be known from another style (its own with probability
    `keep`): put on that style and taken off again. What a style hides is lost on the way.

    Returns:
        (T, M) log-mel; (T, M) content, its mean level 1; and (T, M) what was heard, normalised under the style that it
        was heard in.
    """
    own, window, bank = material.style(index), material.window(index, rng), material.bank
    sound, heard, heard_in = take_apart(window), window, own
    others = [name for name in bank.names if name != own.name]
    if others and rng.random() >= keep:
        heard_in = bank[others[rng.integers(len(others))]]
        references = bank.references(heard_in.name, ()) or [index]
        reference = references[rng.integers(len(references))]
        content = content_of(sound, own, level_of(sound, own) - material.label_level(index), bank.loudest)
        heard = put_on(content, heard_in, material.conditions(reference), rng)
        sound = take_apart(heard)
    content = content_of(sound, heard_in, level_of(sound, heard_in), bank.loudest)
    return window, content, normalise(heard, heard_in)


def flow_condition(material: Material, style: Style, conditions: Conditions) -> np.ndarray:
    """(4M + 1,) float32: the style to render, and the conditions of a recording in it."""
    noise = np.log(conditions.quiet.mean(0)) - style.noise
    own = np.concatenate([[conditions.level], conditions.colour, noise])
    return np.concatenate([material.bank.vector(style.name), own.astype(np.float32)])


def planner_slots(material: Material, reference: int, slots: int) -> np.ndarray:
    """(slots, 4M) float32: a style's measurements and a reference's pooled features."""
    vector = material.bank.vector(material.recordings[reference].style)
    return np.concatenate([np.repeat(vector[None], slots, 0), pooled(material.normal(reference), slots)], 1)


Drawing = Callable[[np.random.Generator], int]
"""Draws the index of a recording to learn from."""


class Draw:
    """Draws recordings: every label as likely as any other for half of the examples, every recording for the rest."""

    def __init__(self, material: Material):
        self._all = list(range(len(material.recordings)))
        groups: dict[str, list[int]] = {}
        for index in self._all:
            groups.setdefault(material.recordings[index].label, []).append(index)
        self._groups = [groups[label] for label in sorted(groups)]

    def __call__(self, rng: np.random.Generator) -> int:
        """The index of a recording."""
        group = self._all if rng.random() < 0.5 else self._groups[rng.integers(len(self._groups))]
        return group[rng.integers(len(group))]

    @property
    def chances(self) -> np.ndarray:
        """(N,) probability of each recording."""
        chances = np.full(len(self._all), 0.5 / len(self._all))
        for group in self._groups:
            chances[group] += 0.5 / (len(self._groups) * len(group))
        return chances


@dataclass(frozen=True)
class FlowExamples:
    """Back-translation: a recording's content as known from another style in, the recording itself out."""

    settings: Settings
    material: Material
    codebook: Codebook
    tokens: Tokens
    draw: Drawing

    def examples(self, step: int) -> list[dict[str, np.ndarray]]:
        """The batch of a step."""
        count = self.settings.generator.flow.training.batch
        # Stratified times keep the loss of a small batch steady (Kingma et al. 2021, arXiv 2107.00630, appendix I.1).
        offset = stream(self.settings.seed, "flow", step).random()
        return [self._example(step, index, (index + offset) / count) for index in range(count)]

    def _example(self, step: int, index: int, time: float) -> dict[str, np.ndarray]:
        rng, flow = stream(self.settings.seed, "flow", step, index), self.settings.generator.flow
        chosen = self.draw(rng)
        style = self.material.style(chosen)
        window, content, heard = overheard(self.material, chosen, flow.keep_style, rng)
        # Nobody asks a generator without a planner to render units.
        if rng.random() < flow.from_units and self.settings.generator.content == "planned":
            content, heard = content_of_units(self.codebook, self.codebook.encode(log_content(content))), None
        conditions = conditions_of(take_apart(window), style)
        draft = drafted(content, style, conditions, rng, heard, flow.equalised)
        target = self.tokens.encode(normalise(window, style))
        return {
            "target": target,
            "noise": rng.standard_normal(target.shape).astype(np.float32),
            "draft": self.tokens.encode(draft),
            "style": flow_condition(self.material, style, conditions),
            "time": np.float32(time),
            "drop": np.bool_(rng.random() < flow.drop_condition),
            "mask": np.ones(len(target), bool),
        }

    def collate(self, examples: list[dict[str, np.ndarray]]) -> FlowBatch:
        """Examples as tensors, padded to the longest."""
        return FlowBatch(**{name: _padded([example[name] for example in examples], 0) for name in examples[0]})


@dataclass(frozen=True)
class PlannerExamples:
    """Units of recordings' contents, as known from their own or another style, with a reference of their style."""

    settings: Settings
    material: Material
    codebook: Codebook
    vocabulary: Vocabulary | Prompts
    draw: Drawing

    def examples(self, step: int) -> list[dict[str, np.ndarray]]:
        """The batch of a step."""
        return [self._example(step, index) for index in range(self.settings.generator.planner.training.batch)]

    def _example(self, step: int, index: int) -> dict[str, np.ndarray]:
        rng, planner = stream(self.settings.seed, "planner", step, index), self.settings.generator.planner
        chosen = self.draw(rng)
        recording, bank = self.material.recordings[chosen], self.material.bank
        _, content, _ = overheard(self.material, chosen, planner.keep_style, rng)
        references = bank.references(recording.style, {recording.patient_id}) or [chosen]
        units = self.codebook.encode(log_content(content))
        if len(self.material.log_mels[chosen]) <= self.material.frames:
            units = np.append(units, self.vocabulary.end)
        told = rng.random() >= planner.drop_narrative
        masked = planner.mask_prefix > 0 and rng.random() < planner.mask_prefix
        return {
            "units": units,
            "hidden": np.int64(rng.integers(len(units)) if masked else 0),
            "slots": planner_slots(self.material, references[rng.integers(len(references))], planner.style_slots),
            "label": np.int64(self.vocabulary.label(None if rng.random() < planner.drop_label else recording.label)),
            "words": np.array(self.vocabulary.bag(recording.narrative) if told else [], np.int64),
        }

    def collate(self, examples: list[dict[str, np.ndarray]]) -> PlannerBatch:
        """Examples as tensors, padded to the longest with -1."""
        return PlannerBatch(**{name: _padded([example[name] for example in examples], -1) for name in examples[0]})


def _padded(arrays: list[np.ndarray], filler: int) -> torch.Tensor:
    if arrays[0].ndim == 0:
        return torch.from_numpy(np.stack(arrays))
    longest = max(max(len(array) for array in arrays), 1)
    whole = np.full((len(arrays), longest, *arrays[0].shape[1:]), filler, arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(whole)
