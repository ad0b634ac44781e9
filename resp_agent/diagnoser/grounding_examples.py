"""What a grounder is trained on: windows of recordings, each asked for a sound that it holds and for one that it lacks.

Few recordings of a sound were made with every device, so a model would learn the device for the sound. Therefore
log-mel is heard through random responses, under noise, and mixed with other recordings; see `GroundingSettings`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from resp_agent.corpus.schema import Event
from resp_agent.diagnoser.grounding import Questions, heard
from resp_agent.diagnoser.grounding_phrases import SOUNDS, Sound
from resp_agent.diagnoser.inputs import Inputs, View
from resp_agent.randomness import stream
from resp_agent.settings.grounding import GroundingSettings
from resp_agent.taxonomy import EVENT_KINDS

NEPERS = np.log(10) / 10
"""Of power, in a decibel: what log-mel is in."""
NOISE_DB = (-9.0, 22.0)
"""Added noise against the quietest 15 % of a recording."""
MIXED_DB = (-9.0, 4.0)
"""The other recording of a mixture against the first."""
_RIPPLES = (1.0, 1.0, 0.7, 0.5, 0.4, 0.3)
"""Relative spread of the cosines that a random response is made of, none to 2.5 periods over the bands."""


@dataclass(frozen=True)
class Marked:
    """A recording with its events."""

    frames: np.ndarray = field(repr=False)
    """(T, F) as the encoder gave them; may lie on disk."""
    events: tuple[Event, ...]


@dataclass
class GroundingExamples:
    """The curriculum of `training.fit`: an example is (step, row), and all else is drawn from that and the seed."""

    inputs: Inputs
    settings: GroundingSettings
    seed: tuple
    """Names the stream: (run seed, what is trained)."""
    train: Sequence[Marked]
    token_ms: float
    power: bool
    """Whether frames are log power, which can be filtered and added."""

    @cached_property
    def taught(self) -> tuple[Sound, ...]:
        """Sounds that the recordings hold."""
        return tuple(sound for sound in SOUNDS if self._holding.keys() & set(sound.kinds))

    @cached_property
    def _holding(self) -> dict[str, list[int]]:
        kinds = [{event.kind for event in one.events} for one in self.train]
        found = {kind: [at for at, held in enumerate(kinds) if kind in held] for kind in EVENT_KINDS}
        return {kind: places for kind, places in found.items() if places}

    def examples(self, step: int) -> list[tuple[int, int]]:
        """Step and row of each."""
        return [(step, row) for row in range(self.settings.training.batch)]

    def collate(self, examples: Sequence[tuple[int, int]]) -> Questions:
        """Two rows for each example."""
        views, answers = [], []
        for place in examples:
            rng = stream(*self.seed, *place)
            frames, events = self._window(rng)
            tokens = -(-len(frames) // round(self.token_ms / self.inputs.frame_ms))
            held = tokens_held(events, tokens, self.token_ms / 1000)
            for sound in self._asked({kind for kind, places in held.items() if places.any()}, rng):
                text = self.inputs.encode(sound.wordings[rng.integers(len(sound.wordings))])
                views.append(View(heard(frames, text)))
                present, doubtful = (
                    np.any([held[kind] for kind in kinds] or [np.zeros(tokens, bool)], axis=0)
                    for kinds in (sound.kinds, sound.doubtful)
                )
                answers.append((present, present | ~doubtful))
        longest = max(len(present) for present, _ in answers)
        present, counted = (
            torch.from_numpy(np.stack([np.pad(one, (0, longest - len(one))) for one in part]).astype(np.float32))
            for part in zip(*answers, strict=True)
        )
        return Questions(self.inputs.collate(views), present, counted)

    def _asked(self, kinds: set[str], rng: np.random.Generator) -> list[Sound]:
        """A sound that is there and one that is not; where there is no such sound, any."""
        there = [sound for sound in self.taught if kinds & set(sound.kinds)]
        lacking = [sound for sound in self.taught if not kinds & {*sound.kinds, *sound.doubtful}]
        return [(part or self.taught)[rng.integers(len(part or self.taught))] for part in (there, lacking)]

    def _window(self, rng: np.random.Generator) -> tuple[np.ndarray, list[Event]]:
        """Frames of a window of a recording, or of a mixture of two, with its events in seconds of the window."""
        kind = list(self._holding)[rng.integers(len(self._holding))]
        wanted = self._holding[kind] if rng.random() >= self.settings.silent_share else range(len(self.train))
        frames, events = self._cut(self.train[wanted[rng.integers(len(wanted))]], kind, rng)
        if not self.power:
            return frames, events
        frames = self._disturbed(frames, rng)
        if rng.random() < self.settings.mixed_share:
            other, more = self._cut(self.train[rng.integers(len(self.train))], None, rng)
            other = self._disturbed(other[: len(frames)], rng)
            level = frames.mean() - other.mean() + NEPERS * rng.uniform(*MIXED_DB)
            frames[: len(other)] = np.logaddexp(frames[: len(other)], other + level)
            events = events + [event for event in more if event.start_s < self._seconds(len(frames))]
        return frames, events

    def _cut(self, one: Marked, kind: str | None, rng: np.random.Generator) -> tuple[np.ndarray, list[Event]]:
        """A random window, around an event of the kind if the recording has one."""
        spare = len(one.frames) - self.inputs.window
        start = 0
        if spare > 0:
            start = int(rng.integers(spare + 1))
            wanted = [event for event in one.events if event.kind == kind]
            if wanted:
                event = wanted[rng.integers(len(wanted))]
                moment = rng.uniform(event.start_s, event.end_s) * 1000 / self.inputs.frame_ms
                start = int(np.clip(moment - rng.uniform(0, self.inputs.window), 0, spare))
        frames = np.array(one.frames[start : start + self.inputs.window], np.float32)
        begin_s, end_s = self._seconds(start), self._seconds(start + len(frames))
        inside = [
            Event(max(event.start_s, begin_s) - begin_s, min(event.end_s, end_s) - begin_s, event.kind)
            for event in one.events
            if event.end_s > begin_s and event.start_s < end_s
        ]
        return frames, inside

    def _disturbed(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Frames through a random response and, mostly, under random noise."""
        bands = np.linspace(0, 1, frames.shape[1])
        response = sum(
            spread * rng.standard_normal() * np.cos(np.pi * at * bands) for at, spread in enumerate(_RIPPLES)
        )
        frames = frames + NEPERS * self.settings.response_db * response
        if rng.random() < self.settings.noise_share:
            tilt = sum(rng.normal(0, 1 / at) * np.cos(np.pi * at * bands) for at in (1, 2))
            level = np.quantile(frames, 0.15, axis=0).mean() + NEPERS * rng.uniform(*NOISE_DB) + tilt
            # Power of Gaussian noise in a band of some bins: chi-squared of 4 degrees of freedom, of mean 1.
            noise = level + np.log(rng.gamma(2.0, 0.5, frames.shape) + 1e-3)
            frames = np.logaddexp(frames, noise)
        return frames.astype(np.float32)

    def _seconds(self, frames: int) -> float:
        return frames * self.inputs.frame_ms / 1000


def tokens_held(events: Sequence[Event], tokens: int, token_s: float) -> dict[str, np.ndarray]:
    """Event kind -> (A,) bool: which tokens hold one, that is a quarter of the token or of the event.

    Where a wheeze and a crackle meet, as they do in mixtures, they are a `wheeze + crackle` too.
    """
    starts = np.arange(tokens) * token_s
    held = {kind: np.zeros(tokens, bool) for kind in EVENT_KINDS}
    for event in events:
        shared = np.minimum(starts + token_s, event.end_s) - np.maximum(starts, event.start_s)
        held[event.kind] |= shared > 0.25 * min(token_s, event.end_s - event.start_s)
    held["wheeze + crackle"] |= held["wheeze"] & (held["fine crackle"] | held["coarse crackle"])
    return held
