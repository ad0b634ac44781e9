"""What the generator learns from and refers to: the training split's log-mels, and the style bank."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from resp_agent.corpus.schema import Recording
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.errors import UserError
from resp_agent.generator.style import Style, measure_style, normalise, quiet_frames
from resp_agent.settings import AudioSettings
from resp_agent.taxonomy import CONTROL


class StyleBank:
    """The named styles of a training split, and reference recordings for each."""

    def __init__(self, styles: list[Style], recordings: list[Recording]):
        self.styles = {style.name: style for style in styles}
        self.names = tuple(self.styles)
        self._patients = [recording.patient_id for recording in recordings]
        self._members = {
            name: [index for index, recording in enumerate(recordings) if recording.style == name]
            for name in self.names
        }
        stacked = np.stack([style.vector for style in styles])
        self._centre, self._scale = stacked.mean(0), np.maximum(stacked.std(0), 0.1)

    @classmethod
    def fit(cls, recordings: list[Recording], log_mels: list[np.ndarray]) -> "StyleBank":
        """Measures every style of the training split, on its control group where it has some, else on all of it."""
        styles = []
        for name in sorted({recording.style for recording in recordings}):
            members = [index for index, recording in enumerate(recordings) if recording.style == name]
            controls = [index for index in members if recordings[index].label == CONTROL]
            styles.append(measure_style(name, [log_mels[index] for index in controls or members]))
        return cls(styles, recordings)

    def __getitem__(self, name: str) -> Style:
        """The style of that name.

        Raises:
            UserError: the training split has no recording of it.
        """
        if name not in self.styles:
            raise UserError(f"no training recording has the style {name!r}: choose one of {', '.join(self.names)}")
        return self.styles[name]

    def vector(self, name: str) -> np.ndarray:
        """(4M,) float32: the style's measurements, standardised over the styles."""
        return ((self[name].vector - self._centre) / self._scale).astype(np.float32)

    def draw(self, name: str, rng: np.random.Generator) -> int:
        """Draws the index of any training recording of the style."""
        self[name]
        return self._members[name][rng.integers(len(self._members[name]))]

    def references(self, name: str, not_patient: str) -> list[int]:
        """Indices of the style's training recordings by other patients than `not_patient`."""
        self[name]
        return [index for index in self._members[name] if self._patients[index] != not_patient]

    def reference(self, name: str, not_patient: str, rng: np.random.Generator) -> int:
        """Draws a reference: the index of a training recording of the style by another patient.

        Raises:
            UserError: the style is unknown, or no other patient was heard in it.
        """
        choices = self.references(name, not_patient)
        if not choices:
            raise UserError(
                f"style {name!r} has no training recording by another patient than {not_patient!r}, so "
                "nothing can serve as its reference: add recordings of it by a second patient"
            )
        return choices[rng.integers(len(choices))]

    def save(self, folder: Path) -> None:
        """Writes `styles.safetensors` and `styles.json` into `folder`."""
        arrays = {
            f"{index}.{key}": value
            for index, style in enumerate(self.styles.values())
            for key, value in style.arrays().items()
        }
        save_file(arrays, folder / "styles.safetensors")
        (folder / "styles.json").write_text(json.dumps(self.names))

    @classmethod
    def load(cls, folder: Path, recordings: list[Recording]) -> "StyleBank":
        """The inverse of `save`; references are found in `recordings`, the training split."""
        names, arrays = json.loads((folder / "styles.json").read_text()), load_file(folder / "styles.safetensors")
        keys = ("mean", "sd", "floor", "response")
        return cls([Style(name, *(arrays[f"{i}.{key}"] for key in keys)) for i, name in enumerate(names)], recordings)


@dataclass(frozen=True)
class Material:
    """The training split as the generator sees it; recordings keep their order."""

    recordings: list[Recording]
    log_mels: list[np.ndarray]
    """(T, M) each, whole recordings."""
    quiet: list[np.ndarray]
    """(Q, M) each: the recording's quiet frames."""
    bank: StyleBank
    frames: int
    """Frames of a clip."""

    @classmethod
    def of(cls, train: list[Recording], audio: AudioSettings, folder: Path | None = None) -> "Material":
        """Material of the training split; styles are measured on it, or read from `folder`.

        Raises:
            UserError: there is no recording, one is not of the training split, or one is shorter than two frames.
        """
        if not train:
            raise UserError(
                "the training split is empty, so there is nothing to learn a generator from: add recordings"
            )
        for recording in train:
            if recording.split != "train":
                raise UserError(
                    f"recording {recording.id} is of the split {recording.split!r}: a generator learns from train only"
                )
        log_mels = [waveform_log_mel(recording.waveform, audio) for recording in train]
        short = next((recording for recording, one in zip(train, log_mels, strict=True) if len(one) < 2), None)
        if short is not None:
            raise UserError(
                f"recording {short.id} lasts {short.duration_s:.3f} s, less than two frames: leave it out of the corpus"
            )
        bank = StyleBank.fit(train, log_mels) if folder is None else StyleBank.load(folder, train)
        return cls(train, log_mels, [quiet_frames(one) for one in log_mels], bank, audio.frames)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels that have a training recording, sorted."""
        return tuple(sorted({recording.label for recording in self.recordings}))

    def of_label(self, label: str) -> list[int]:
        """Indices of the label's recordings.

        Raises:
            UserError: there is none.
        """
        found = [index for index, recording in enumerate(self.recordings) if recording.label == label]
        if not found:
            raise UserError(f"no training recording has the label {label!r}: choose one of {', '.join(self.labels)}")
        return found

    def window(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """A drawn window of a recording's log-mel, (at most `frames`, M); all of a recording that is no longer."""
        log_mel = self.log_mels[index]
        start = rng.integers(max(len(log_mel) - self.frames, 0) + 1)
        return log_mel[start : start + self.frames]

    def normal(self, index: int) -> np.ndarray:
        """(T, M) log-mel of a recording, normalised under its own style."""
        return normalise(self.log_mels[index], self.bank[self.recordings[index].style])

    def content(self, label: str, style: str, rng: np.random.Generator) -> tuple[int, int]:
        """Draws where a clip's content comes from and a style reference by another patient: two indices.

        Raises:
            UserError: label or style is unknown, or every recording of the label is by the style's only patient.
        """
        choices = self.of_label(label)
        usable = [index for index in choices if self.bank.references(style, self.recordings[index].patient_id)]
        index = (usable or choices)[rng.integers(len(usable or choices))]
        return index, self.bank.reference(style, self.recordings[index].patient_id, rng)
