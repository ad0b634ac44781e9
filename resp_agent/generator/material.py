"""What the generator learns from and refers to: the training split's log-mels, and the style bank."""

import copy
import json
from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from resp_agent.corpus.schema import Recording
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.errors import UserError
from resp_agent.generator.style import (
    Conditions,
    Sound,
    Style,
    conditions_of,
    content_of,
    level_of,
    measure_style,
    normalise,
    put_on,
    take_apart,
)
from resp_agent.generator.vocoder import power_above
from resp_agent.settings import AudioSettings
from resp_agent.taxonomy import CONTROL

NO_LABEL = ""
"""Of a recording that serves as a style reference only."""


class StyleBank:
    """The named styles of a training split, and reference recordings for each.

    A style is measured, and its references are drawn, among its control group where it has some, else among all of it.
    """

    def __init__(self, styles: list[Style], label_levels: dict[str, float], recordings: list[Recording]):
        self.styles = {style.name: style for style in styles}
        self.names = tuple(self.styles)
        self.label_levels = label_levels
        """Label -> how loud its recordings are against healthy ones of their style, natural log of power."""
        self._patients = [recording.patient_id for recording in recordings]
        self._members = {name: _members(name, recordings) for name in self.names}
        self._controls = {
            name: [index for index in self._members[name] if recordings[index].label == CONTROL] for name in self.names
        }
        self.loudest = np.max([style.response for style in styles], 0)
        """(M,) largest response of any style."""
        stacked = np.stack([_told(style) for style in styles])
        self._centre, self._scale = stacked.mean(0), np.maximum(stacked.std(0), 0.3)

    @classmethod
    def fit(cls, recordings: list[Recording], log_mels: list[np.ndarray], audio: AudioSettings) -> "StyleBank":
        """Measures every style of the training split, and how loud each label is within them."""
        styles = {}
        for name in sorted({recording.style for recording in recordings}):
            members = _members(name, recordings)
            controls = [index for index in members if recordings[index].label == CONTROL]
            heard = controls or members
            above = [power_above(recordings[index].waveform, audio) for index in heard]
            styles[name] = measure_style(name, [log_mels[index] for index in heard], above)
        levels: dict[str, list[float]] = {}
        for recording, log_mel in zip(recordings, log_mels, strict=True):
            level = level_of(take_apart(log_mel), styles[recording.style])
            levels.setdefault(recording.label, []).append(level)
        return cls(
            list(styles.values()), {label: float(np.mean(levels[label])) for label in sorted(levels)}, recordings
        )

    def __getitem__(self, name: str) -> Style:
        """The style of that name.

        Raises:
            UserError: the training split has no recording of it.
        """
        if name not in self.styles:
            raise UserError(f"no training recording has the style {name!r}: choose one of {', '.join(self.names)}")
        return self.styles[name]

    def with_style(self, style: Style, reference: int, patient: str) -> "StyleBank":
        """This bank and another style, standardised as those that it was fitted on.

        Args:
            reference: index of the style's only recording, which is the last one and of `NO_LABEL`.
            patient: whose it is.
        """
        wider = copy.copy(self)
        wider.styles = self.styles | {style.name: style}
        wider.names = tuple(wider.styles)
        wider.label_levels = self.label_levels | {NO_LABEL: 0.0}
        wider._patients = [*self._patients, patient]
        wider._members = self._members | {style.name: [reference]}
        wider._controls = self._controls | {style.name: []}
        return wider

    def vector(self, name: str) -> np.ndarray:
        """(2M,) float32: the style's response and noise, standardised over the styles."""
        return ((_told(self[name]) - self._centre) / self._scale).astype(np.float32)

    def references(self, name: str, not_patients: Collection[str]) -> list[int]:
        """Indices of the style's training recordings by other patients than `not_patients`: healthy ones, if any."""
        self[name]
        for choices in (self._controls[name], self._members[name]):
            found = [index for index in choices if self._patients[index] not in not_patients]
            if found:
                return found
        return []

    def reference(self, name: str, not_patients: Collection[str], rng: np.random.Generator) -> int:
        """Draws a reference: the index of a training recording of the style by another patient.

        Raises:
            UserError: the style is unknown, or no other patient was heard in it.
        """
        choices = self.references(name, not_patients)
        if not choices:
            raise UserError(
                f"style {name!r} has no training recording by another patient than {', '.join(sorted(not_patients))}, "
                "so nothing can serve as its reference: add recordings of it by a second patient"
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
        told = {"styles": self.names, "label_levels": self.label_levels}
        (folder / "styles.json").write_text(json.dumps(told))

    @classmethod
    def load(cls, folder: Path, recordings: list[Recording]) -> "StyleBank":
        """The inverse of `save`; references are found in `recordings`, the training split."""
        told, arrays = json.loads((folder / "styles.json").read_text()), load_file(folder / "styles.safetensors")
        keys = [entry.name for entry in fields(Style) if entry.name != "name"]
        styles = [Style(name, *(arrays[f"{i}.{key}"] for key in keys)) for i, name in enumerate(told["styles"])]
        return cls(styles, told["label_levels"], recordings)


def _members(name: str, recordings: list[Recording]) -> list[int]:
    return [index for index, recording in enumerate(recordings) if recording.style == name]


def _told(style: Style) -> np.ndarray:
    return np.concatenate([style.response, style.noise - style.response])


@dataclass(frozen=True)
class Material:
    """The training split as the generator sees it; recordings keep their order."""

    recordings: list[Recording]
    log_mels: list[np.ndarray]
    """(T, M) each, whole recordings."""
    bank: StyleBank
    audio: AudioSettings

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
        bank = StyleBank.fit(train, log_mels, audio) if folder is None else StyleBank.load(folder, train)
        return cls(train, log_mels, bank, audio)

    @property
    def frames(self) -> int:
        """Frames of a clip, unless another duration is asked for."""
        return self.audio.frames

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels that have a training recording, sorted."""
        return tuple(sorted({recording.label for recording in self.recordings}))

    @cached_property
    def controls(self) -> list[int]:
        """Indices of recordings of the control group."""
        return [index for index, recording in enumerate(self.recordings) if recording.label == CONTROL]

    def of_label(self, label: str) -> list[int]:
        """Indices of the label's recordings.

        Raises:
            UserError: there is none.
        """
        found = [index for index, recording in enumerate(self.recordings) if recording.label == label]
        if not found:
            raise UserError(f"no training recording has the label {label!r}: choose one of {', '.join(self.labels)}")
        return found

    def pick(self, label: str, style: str, rng: np.random.Generator) -> tuple[int, int]:
        """Draws a recording of a label and, by another patient, a reference of a style: two indices.

        Raises:
            UserError: label or style is unknown, or every recording of the label is by the style's only patient.
        """
        choices = self.of_label(label)
        usable = [index for index in choices if self.bank.references(style, {self.patient(index)})]
        index = (usable or choices)[rng.integers(len(usable or choices))]
        return index, self.bank.reference(style, {self.patient(index)}, rng)

    def style(self, index: int) -> Style:
        """The style that a recording was heard in."""
        return self.bank[self.recordings[index].style]

    def patient(self, index: int) -> str:
        """Whose recording it is."""
        return self.recordings[index].patient_id

    def window(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """A drawn window of a recording's log-mel, (at most `frames`, M); all of a recording that is no longer."""
        log_mel = self.log_mels[index]
        start = rng.integers(max(len(log_mel) - self.frames, 0) + 1)
        return log_mel[start : start + self.frames]

    def normal(self, index: int) -> np.ndarray:
        """(T, M) log-mel of a recording, normalised under its own style."""
        return normalise(self.log_mels[index], self.style(index))

    def sound(self, index: int) -> Sound:
        """A recording, noise apart."""
        return take_apart(self.log_mels[index])

    def conditions(self, index: int) -> Conditions:
        """The conditions of a recording, its level against others of its label."""
        return conditions_of(self.sound(index), self.style(index), self.label_level(index))

    def content(self, index: int) -> np.ndarray:
        """(T, M) content of a recording, as loud as its label is."""
        sound, style = self.sound(index), self.style(index)
        return content_of(sound, style, level_of(sound, style) - self.label_level(index), self.bank.loudest)

    def heard_in(self, content: np.ndarray, reference: int, rng: np.random.Generator) -> np.ndarray:
        """(T, M) log-mel of a content in the style and under the conditions of a recording."""
        return put_on(content, self.style(reference), self.conditions(reference), rng)

    def label_level(self, index: int) -> float:
        """How loud a recording's label is against healthy recordings, natural log of power."""
        return self.bank.label_levels[self.recordings[index].label]
