"""P-Acc: whether a diagnoser that learned from real recordings alone hears in clips what was asked for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from resp_agent.corpus.schema import Recording
from resp_agent.diagnoser.scoring import score
from resp_agent.diagnoser.stored import load_diagnoser, read_settings
from resp_agent.encoders import make_encoder
from resp_agent.errors import UserError
from resp_agent.threads import threads
from resp_agent.training.distributed import device

AT_ONCE = 64


class ClipJudge:
    """A stored diagnoser, by ear alone: a clip's narrative is a real recording's and would give its label away."""

    def __init__(self, folder: Path):
        """Raises UserError where the folder holds no diagnoser, or one that only reads."""
        self._settings = read_settings(folder)
        self._model, self._inputs, _ = load_diagnoser(folder, self._settings)
        if not self._model.hears:
            raise UserError(f"the diagnoser in {folder} reads text alone and cannot judge clips: give one that hears")
        self._model.to(device())
        self._encoder = make_encoder(self._settings.diagnoser.encoder, self._settings.audio)
        self.labels = self._inputs.labels

    def name(self, recordings: Sequence[Recording]) -> list[str]:
        """The label that it hears in each."""
        found = []
        with threads(self._settings.threads):
            for first in range(0, len(recordings), AT_ONCE):
                some = recordings[first : first + AT_ONCE]
                frames = self._encoder.encode([one.waveform for one in some])
                heard = [
                    replace(self._inputs.example(one, own), text=()) for one, own in zip(some, frames, strict=True)
                ]
                logits = score(self._model, self._inputs, heard)
                found += [self.labels[index] for index in logits.argmax(1)]
        return found

    def accuracy(self, recordings: Sequence[Recording]) -> float:
        """P-Acc: the share of recordings or clips whose own label it hears; NaN without any.

        A label that it never learned is one that it cannot hear.
        """
        named = self.name(recordings)
        return float(np.mean([one.label == name for one, name in zip(recordings, named, strict=True)] or [np.nan]))
