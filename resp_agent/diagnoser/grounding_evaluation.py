"""The pointing game of a grounder on a split, and of the diagnoser that was told of no event."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resp_agent.corpus.dataset import Corpus, Description
from resp_agent.corpus.schema import Event
from resp_agent.diagnoser.grounding import Grounding, Relevance, known_sounds
from resp_agent.diagnoser.grounding_gradient import gradient_relevance, label_weights
from resp_agent.diagnoser.grounding_phrases import Sound
from resp_agent.diagnoser.stored import load_diagnoser
from resp_agent.encoders.cache import FeatureCache
from resp_agent.metrics.pointing import Pointed, play
from resp_agent.training.distributed import device


@dataclass(frozen=True)
class SoundScore:
    """What pointing says of one sound on a split."""

    sound: Sound
    grounder: Pointed
    """Of the grounder."""
    diagnoser: Pointed | None
    """Of the diagnoser's gradient, if there is a diagnoser: what is to be had without event times."""
    relevance: tuple[Relevance, ...]
    """The grounder's, of every recording of the split."""


def events_of(sound: Sound, recording: Description) -> tuple[Event, ...]:
    """The events of a recording that surely are the sound; its doubtful kinds count as other sounds."""
    return tuple(event for event in recording.events if event.kind in sound.kinds)


def point(
    grounding: Grounding, corpus: Corpus, split: str, cache: FeatureCache, diagnoser: Path | None = None
) -> list[SoundScore]:
    """Scores of every sound that was taught and that the split holds.

    Args:
        cache: of the encoder that the grounder's settings name.
        diagnoser: the folder of a diagnoser with the same encoder, to be read beside the grounder.
    """
    cache.ensure(corpus, ("train", split))
    recordings = corpus.descriptions(split)
    frames = [cache.frames(one.id) for one in recordings]
    gradient = _Gradient(diagnoser, corpus, recordings, frames) if diagnoser else None
    scores = []
    for sound in known_sounds(grounding.taught):
        events = [events_of(sound, one) for one in recordings]
        if not any(events):
            continue
        found = grounding.ask(frames, sound.name)
        seconds, whose = [one.seconds for one in found], [one.patient_id for one in recordings]
        scored = play(seconds, [one.log_odds for one in found], events, whose)
        beside = None
        if gradient:
            spans = [grounding.anchors(len(one)) for one in frames]
            beside = play(seconds, gradient.at(sound, spans), events, whose)
        scores.append(SoundScore(sound, scored, beside, tuple(found)))
    return scores


class _Gradient:
    """The diagnoser's reading of a split."""

    def __init__(self, folder: Path, corpus: Corpus, recordings: Sequence[Description], frames: Sequence[np.ndarray]):
        model, self._inputs, _ = load_diagnoser(folder)
        self._model = model.to(device())
        self._train = corpus.descriptions("train")
        self._examples = [self._inputs.example(*pair) for pair in zip(recordings, frames, strict=True)]

    def at(self, sound: Sound, spans: Sequence[np.ndarray]) -> list[np.ndarray]:
        """(A,) relevance of each recording's anchors, whose (A, 2) `spans` are in seconds: the mean over frames."""
        holds = [bool(events_of(sound, one)) for one in self._train]
        weights = label_weights(self._inputs, [one.label for one in self._train], holds)
        found = gradient_relevance(self._model, self._inputs, self._examples, weights)
        per_s = 1000 / self._inputs.frame_ms
        edges = [np.rint(one * per_s).astype(int) for one in spans]
        return [
            np.add.reduceat(values, own[:, 0]) / (own[:, 1] - own[:, 0])
            for values, own in zip(found, edges, strict=True)
        ]
