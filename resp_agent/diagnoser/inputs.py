"""Recordings to what a system reads; fitted on the training split, saved beside the weights."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from resp_agent.diagnoser.classifier import Batch
from resp_agent.diagnoser.text import Described, Reader, Vocabulary, read_config, read_tokenizer, text_of
from resp_agent.settings import DiagnoserSettings

FILE = "inputs.json"


@dataclass(frozen=True)
class Example:
    """A recording, ready to be cut into windows and batched."""

    id: str
    frames: np.ndarray
    """(T, F) float, as the encoder gave them, the whole recording; may lie on disk."""
    text: tuple[int, ...]
    label: int
    style: int
    centre: np.ndarray | None = None
    """(F,) what the frames are centred on; None: the training split's mean."""
    synthetic: bool = False
    """Whether it is a clip."""


@dataclass(frozen=True)
class View:
    """A window of an example, as one row of a batch."""

    example: Example
    start: int = 0
    """First frame."""
    hear: bool = True
    """False: the audio is withheld."""
    read: bool = True
    """False: the text is withheld."""
    alignment_weight: float = 0.0
    """See `alignment.alignment_weights`."""


@dataclass(frozen=True)
class Inputs:
    """How recordings become examples, and examples batches."""

    frame_ms: float
    """Distance of frames."""
    window: int
    """Frames that a system hears at once."""
    labels: tuple[str, ...]
    styles: tuple[str, ...]
    mean: tuple[float, ...] = field(repr=False)
    """(F,) of frames over the training split."""
    deviation: tuple[float, ...] = field(repr=False)
    """(F,) likewise."""
    counts: tuple[int, ...]
    """(C,) training recordings of each label."""
    vocabulary: tuple[str, ...] = field(repr=False)
    """Words by id; empty where a tokenizer reads."""
    text_tokens: int
    tokenizer: str = field(default="", repr=False)
    """A pretrained text model's tokenizer, as JSON of the `tokenizers` library."""
    text: str = "narrative"
    """See `DiagnoserSettings.text`."""
    centre: str = "corpus"
    """See `DiagnoserSettings.centre`."""
    text_config: str = field(default="", repr=False)
    """The pretrained text model's `config.json`, so that a stored system needs the model itself no more."""
    weights_follow: bool = False
    """Whether a system's weights are put in once it is built, so that pretrained ones need not be read. Not stored."""

    @classmethod
    def fit(
        cls,
        train: Sequence[Described],
        frames: Callable[[str], np.ndarray],
        labels: tuple[str, ...],
        styles: tuple[str, ...],
        settings: DiagnoserSettings,
        frame_ms: float,
        clip_s: float,
    ) -> "Inputs":
        """Statistics and vocabulary of the training split.

        Args:
            train: its recordings.
            frames: id of a recording to its (T, F) frames.
            frame_ms: distance of frames.
            clip_s: seconds that a system hears at once.
        """
        totals = squares = 0.0
        count = 0
        for recording in train:
            part = frames(recording.id).astype(np.float64)
            totals = totals + part.sum(axis=0)
            squares = squares + np.square(part).sum(axis=0)
            count += len(part)
        mean = totals / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 1e-6))
        tokenizer = read_tokenizer(settings.text_model) if settings.text_model else ""
        texts = [text_of(recording, settings.text) for recording in train]
        held = Counter(recording.label for recording in train)
        return cls(
            frame_ms=frame_ms,
            window=round(clip_s * 1000 / frame_ms),
            labels=labels,
            styles=styles,
            mean=tuple(mean.tolist()),
            deviation=tuple(deviation.tolist()),
            counts=tuple(held[label] for label in labels),
            vocabulary=() if tokenizer else Vocabulary.fit(texts).words,
            text_tokens=settings.text_tokens,
            tokenizer=tokenizer,
            text=settings.text,
            centre=settings.centre,
            text_config=read_config(settings.text_model) if settings.text_model else "",
        )

    @property
    def width(self) -> int:
        """F, numbers in a frame."""
        return len(self.mean)

    @property
    def words(self) -> int:
        """Token ids that a text may hold."""
        return self._reader.size

    def example(self, recording: Described, frames: np.ndarray) -> Example:
        """One recording, whole, from its description and its (T, F) frames."""
        return Example(
            id=recording.id,
            frames=frames,
            text=tuple(self._reader.encode(text_of(recording, self.text), self.text_tokens)),
            label=self.labels.index(recording.label) if recording.label in self.labels else -1,
            style=self.styles.index(recording.style) if recording.style in self.styles else -1,
            centre=frames.mean(axis=0) if self.centre == "recording" else None,
            synthetic=recording.request is not None,
        )

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a text, at most `text_tokens`."""
        return tuple(self._reader.encode(text, self.text_tokens))

    @cached_property
    def _reader(self) -> Reader:
        return Reader.of(self.vocabulary, self.tokenizer)

    @cached_property
    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.mean, np.float32), np.asarray(self.deviation, np.float32)

    def standardised(self, view: View) -> np.ndarray:
        """(T, F) float32 frames of a view's window, centred and scaled."""
        return self.cut(view.example, view.start, self.window)

    def cut(self, example: Example, start: int, length: int) -> np.ndarray:
        """(T, F) float32 frames of an example from `start` on, at most `length`, centred and scaled."""
        mean, deviation = self._statistics
        frames = example.frames[start : start + length]
        return (frames - (mean if example.centre is None else example.centre)) / deviation

    @property
    def scale(self) -> np.ndarray:
        """(F,) float32, what frames are divided by."""
        return self._statistics[1]

    def windows(self, example: Example) -> list[View]:
        """Views that cover the whole recording: one window after the other, the last one ending with the audio."""
        length, window = len(example.frames), self.window
        starts = list(range(0, max(length - window, 0) + 1, window))
        if length > window and starts[-1] + window < length:
            starts.append(length - window)
        return [View(example, start) for start in starts]

    def collate(self, views: list[View]) -> Batch:
        """Rows padded to the longest of the batch; nothing of the padding reaches a result."""
        heard = [self.standardised(view) if view.hear else None for view in views]
        read = [view.example.text if view.read else () for view in views]
        longest = max((len(audio) for audio in heard if audio is not None), default=0)
        frames = torch.zeros(len(views), max(longest, 1), self.width)
        text = torch.zeros(len(views), max(1, *map(len, read)), dtype=torch.long)
        for row, (audio, words) in enumerate(zip(heard, read, strict=True)):
            if audio is not None:
                frames[row, : len(audio)] = torch.from_numpy(audio)
            text[row, : len(words)] = torch.tensor(words, dtype=torch.long)
        return Batch(
            frames=frames,
            frame_lengths=torch.tensor([0 if audio is None else len(audio) for audio in heard]),
            text=text,
            text_lengths=torch.tensor([len(words) for words in read]),
            labels=torch.tensor([view.example.label for view in views]),
            synthetic=torch.tensor([view.example.synthetic for view in views]),
            alignment_weights=torch.tensor([view.alignment_weight for view in views]),
        )

    def save(self, folder: Path) -> None:
        """Writes `inputs.json`."""
        stored = asdict(self)
        del stored["weights_follow"]
        (folder / FILE).write_text(json.dumps(stored))

    @classmethod
    def load(cls, folder: Path) -> "Inputs":
        """Reads what `save` wrote."""
        data = json.loads((folder / FILE).read_text())
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})
