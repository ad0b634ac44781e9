"""What makes log-mels audible: Griffin-Lim or a trained Vocos, behind one call that checks what comes out."""

from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from resp_agent.audio.features import log_mel as log_mel_of
from resp_agent.corpus.schema import Recording
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.errors import RunFailed
from resp_agent.generator.vocoder import power_above, vocode
from resp_agent.generator.vocos import Vocos
from resp_agent.generator.vocos_training import OWN, load_vocoder, render
from resp_agent.settings import AudioSettings, Settings
from resp_agent.storage import local
from resp_agent.training.distributed import device


class Vocoder(Protocol):
    """Log-mels to audio."""

    def __call__(self, log_mel: np.ndarray, above: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        """Audio whose mel energy is that of the log-mel.

        Args:
            log_mel: (B, T, M) natural-log mel power, float32, as `audio.features.log_mel` gives it.
            above: (A,) what the style holds above the highest band; see `vocoder.power_above`.
            rngs: of each clip, the generator that its draws come from; a vocoder may draw nothing.

        Returns:
            (B, T hop) float32 at 16 kHz, within -1 to 1: what would exceed that is clipped, as a recorder does.

        Raises:
            RunFailed: the log-mel or the audio is not finite.
        """


class GriffinLim:
    """Without weights; see `vocoder.shaped_noise`."""

    def __init__(self, audio: AudioSettings, iterations: int):
        self._audio, self._iterations = audio, iterations

    def __call__(self, log_mel: np.ndarray, above: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        """See `Vocoder`."""
        return vocode(log_mel, self._audio, self._iterations, rngs, [above] * len(rngs))


class VocosVocoder:
    """A Vocos of `vocos_training.load_vocoder`. It draws nothing, and has learned what lies above the bands."""

    def __init__(self, model: Vocos, audio: AudioSettings):
        self._model, self._audio = model.to(device()).eval(), audio

    @torch.inference_mode()
    def __call__(self, log_mel: np.ndarray, above: np.ndarray, rngs: list[np.random.Generator]) -> np.ndarray:
        """See `Vocoder`."""
        target = torch.from_numpy(np.ascontiguousarray(log_mel, np.float32))
        if not torch.isfinite(target).all():
            raise RunFailed("a log-mel to be made audible holds NaN or infinity: the flow that rendered it is broken")
        return levelled(render(self._model, target.to(device())).cpu(), target, self._audio)


def copied(vocoder: Vocoder, recording: Recording, audio: AudioSettings, rng: np.random.Generator) -> np.ndarray:
    """A recording's waveform, (T hop) float32, from its own log-mel and what lies above that alone."""
    log_mel = waveform_log_mel(recording.waveform, audio)[None]
    return vocoder(log_mel, power_above(recording.waveform, audio), [rng])[0]


def levelled(waveform: torch.Tensor, log_mel: torch.Tensor, audio: AudioSettings) -> np.ndarray:
    """(B, T hop) audio of any level, made from (B, T, M) log-mels, as loud as those are.

    Raises:
        RunFailed: it is not finite.
    """
    if not torch.isfinite(waveform).all():
        raise RunFailed("the vocoder made audio that is not finite: train it again, or use Griffin-Lim")
    gap = _energy(log_mel) - _energy(log_mel_of(waveform, audio))
    return (waveform * (gap / 2).exp().float()[:, None]).clamp(-1, 1).numpy()


def _energy(log_mel: torch.Tensor) -> torch.Tensor:
    """(B,) natural log of the energy of (B, T, M)."""
    return log_mel.double().exp().sum((1, 2)).log()


def make_vocoder(settings: Settings, folder: Path | None) -> Vocoder:
    """The vocoder of a generator; `folder` is the generator's own.

    Raises:
        UserError: a trained one is asked for and is not there, or was trained on other log-mels.
    """
    audio, chosen = settings.audio, settings.generator.vocoder
    if chosen.kind == "griffin-lim" or folder is None:
        return GriffinLim(audio, settings.generator.griffin_lim_iterations)
    return VocosVocoder(load_vocoder(local(chosen.trained) if chosen.trained else folder / OWN, audio), audio)
