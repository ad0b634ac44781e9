"""Recordings to what the diagnoser reads; fitted on the training split, saved beside the weights."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from resp_agent.audio.features import log_mel
from resp_agent.corpus.schema import Recording
from resp_agent.diagnoser.model import Batch
from resp_agent.diagnoser.text import Vocabulary
from resp_agent.settings import AudioSettings, DiagnoserSettings

FILE = "inputs.json"


@dataclass(frozen=True)
class Example:
    """A recording, ready to be cut into windows and batched."""

    id: str
    patches: np.ndarray
    """(T, M) float32, standardised, the whole recording."""
    text: tuple[int, ...]
    label: int
    style: int


@dataclass(frozen=True)
class View:
    """A window of an example, as one row of a batch."""

    example: Example
    start: int = 0
    """First patch."""
    hear: bool = True
    """False: the audio is withheld."""
    read: bool = True
    """False: the narrative is withheld."""


@dataclass(frozen=True)
class Inputs:
    """How recordings become examples, and examples batches."""

    audio: AudioSettings
    labels: tuple[str, ...]
    styles: tuple[str, ...]
    mean: tuple[float, ...]
    """(M,) of log-mel over the training split."""
    deviation: tuple[float, ...]
    """(M,) likewise."""
    vocabulary: tuple[str, ...]
    text_tokens: int
    centre: str = "corpus"
    """See `DiagnoserSettings.centre`."""

    @classmethod
    def fit(
        cls,
        train: list[Recording],
        labels: tuple[str, ...],
        styles: tuple[str, ...],
        audio: AudioSettings,
        diagnoser: DiagnoserSettings,
    ) -> "Inputs":
        """Statistics and vocabulary of the training split."""
        totals, squares, frames = np.zeros(audio.mels), np.zeros(audio.mels), 0
        for recording in train:
            patches = log_mel(torch.from_numpy(recording.waveform), audio).double().numpy()
            totals += patches.sum(axis=0)
            squares += np.square(patches).sum(axis=0)
            frames += len(patches)
        mean = totals / frames
        deviation = np.sqrt(np.maximum(squares / frames - mean**2, 1e-6))
        words = Vocabulary.fit([recording.narrative for recording in train]).words
        statistics = tuple(mean.tolist()), tuple(deviation.tolist())
        return cls(audio, labels, styles, *statistics, words, diagnoser.text_tokens, diagnoser.centre)

    def example(self, recording: Recording) -> Example:
        """One recording, whole."""
        patches = log_mel(torch.from_numpy(recording.waveform), self.audio).numpy()
        mean, deviation = np.asarray(self.mean, np.float32), np.asarray(self.deviation, np.float32)
        if self.centre == "recording":
            mean = patches.mean(axis=0)
        return Example(
            id=recording.id,
            patches=(patches - mean) / deviation,
            text=tuple(self._words.encode(recording.narrative, self.text_tokens)),
            label=self.labels.index(recording.label) if recording.label in self.labels else -1,
            style=self.styles.index(recording.style) if recording.style in self.styles else -1,
        )

    @cached_property
    def _words(self) -> Vocabulary:
        return Vocabulary(self.vocabulary)

    def windows(self, example: Example) -> list[View]:
        """Views that cover the whole recording: one window after the other, the last one ending with the audio."""
        length, window = len(example.patches), self.audio.frames
        starts = list(range(0, max(length - window, 0) + 1, window))
        if length > window and starts[-1] + window < length:
            starts.append(length - window)
        return [View(example, start) for start in starts]

    def collate(self, views: list[View]) -> Batch:
        """Rows padded to the longest of the batch; nothing of the padding reaches a result."""
        heard = [
            view.example.patches[view.start : view.start + self.audio.frames] if view.hear else None for view in views
        ]
        read = [view.example.text if view.read else () for view in views]
        longest = max((len(audio) for audio in heard if audio is not None), default=0)
        patches = torch.zeros(len(views), max(longest, 1), self.audio.mels)
        text = torch.zeros(len(views), max(1, *map(len, read)), dtype=torch.long)
        for row, (audio, words) in enumerate(zip(heard, read, strict=True)):
            if audio is not None:
                patches[row, : len(audio)] = torch.from_numpy(audio)
            text[row, : len(words)] = torch.tensor(words, dtype=torch.long)
        return Batch(
            patches=patches,
            patch_lengths=torch.tensor([0 if audio is None else len(audio) for audio in heard]),
            text=text,
            text_lengths=torch.tensor([len(words) for words in read]),
            labels=torch.tensor([view.example.label for view in views]),
        )

    def save(self, folder: Path) -> None:
        """Writes `inputs.json`."""
        (folder / FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> "Inputs":
        """Reads what `save` wrote."""
        data = json.loads((folder / FILE).read_text())
        data["audio"] = AudioSettings(**data["audio"])
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})
