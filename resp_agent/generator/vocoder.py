"""Log-mel to waveform without weights: white noise, shaped until its mel bands are as loud as asked for."""

import math
from collections.abc import Sequence
from functools import lru_cache

import librosa
import numpy as np
import torch

from resp_agent.audio.features import FLOOR, analysis_window, fft_size, hop_samples, mel_filters, window_samples
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.errors import RunFailed
from resp_agent.settings import AudioSettings

LOUDEST = 20.0
"""Natural log of mel power: what is louder is far beyond full scale."""
SILENT = 1e-11
"""Mel power given to a band that is at the floor: below what 16 bits can hold."""
WIDTH_ABOVE_HZ = 500.0
"""Width of the bands that lie above those of a log-mel."""


def vocode(
    log_mel: np.ndarray,
    audio: AudioSettings,
    iterations: int,
    rngs: list[np.random.Generator],
    above: Sequence[np.ndarray] | None = None,
) -> np.ndarray:
    """(B, T, M) natural-log mel power to (B, T * hop) float32 audio at 16 kHz in [-1, 1]; see `shaped_noise`.

    Levels are those of the log-mel; what would exceed full scale is clipped, as a recorder does.

    Raises:
        RunFailed: the log-mel is not finite.
    """
    target = torch.from_numpy(np.ascontiguousarray(log_mel, np.float32))
    if not torch.isfinite(target).all():
        raise RunFailed(
            "a log-mel that is to be made audible holds NaN or infinity: the flow that rendered it is broken"
        )
    told = None if above is None else torch.from_numpy(np.stack(above))
    return shaped_noise(target, audio, iterations, rngs, told).clamp(-1, 1).numpy()


def shaped_noise(
    log_mel: torch.Tensor,
    audio: AudioSettings,
    iterations: int,
    rngs: list[np.random.Generator],
    above: torch.Tensor | None = None,
) -> torch.Tensor:
    """(B, T, M) natural-log mel power to (B, T * hop) audio at 16 kHz, of any level.

    Griffin and Lim 1984, section III, with the energy of bands in the place of the magnitude of every bin: a signal is
    analysed, the bins of each frame are weighed until its bands are as loud as asked for, and it is put together again,
    `iterations` times. It begins as white noise that each clip's own generator draws. Breathing is noise: inside a band
    its magnitudes and phases are those of noise already, and a mel inversion's magnitudes would flatten them.

    Args:
        above: (B, A) of `power_above`: what is heard over the highest band; by default silence.
    """
    size, hop, frames = fft_size(audio), hop_samples(audio), log_mel.shape[1]
    wanted = torch.log((log_mel.clamp(max=LOUDEST).exp() - FLOOR).clamp_min(SILENT))
    filters = mel_filters(audio)
    if above is not None:
        filters = torch.cat([filters, filters_above(audio)])
        # As it was measured: against the floor where the highest band is silent.
        highest = log_mel[:, :, -1:].clamp(math.log(FLOOR), LOUDEST)
        wanted = torch.cat([wanted, highest + above[:, None]], 2)
    # Log gains of bands, interpolated over bins; a bin that no band hears is silent.
    heard_by = filters.sum(0)
    shares, within = torch.where(heard_by > 0, filters / heard_by, 0), (heard_by > 0).float()
    samples = size + hop * (frames - 1)
    waveform = torch.from_numpy(np.stack([rng.standard_normal(samples).astype(np.float32) for rng in rngs]))
    for _ in range(iterations):
        spectrum = _analyse(waveform, audio, frames)
        power = (spectrum.real.square() + spectrum.imag.square()).transpose(1, 2)
        heard = torch.log((power @ filters.T).clamp_min(1e-2 * SILENT))
        gain = torch.exp(0.5 * ((wanted - heard) @ shares)) * within
        waveform = _synthesise(spectrum * gain.transpose(1, 2), audio)[:, :samples]
    before = size // 2 - hop // 2
    return waveform[:, before : before + frames * hop]


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def filters_above(audio: AudioSettings) -> torch.Tensor:
    """(A, bins) triangular filters from the highest band's end to half the sample rate, as `mel_filters` are."""
    room_hz = SAMPLE_RATE_HZ / 2 - audio.high_hz
    bands = round(room_hz / WIDTH_ABOVE_HZ)
    if bands < 1:
        return torch.zeros(0, fft_size(audio) // 2 + 1)
    filters = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=fft_size(audio), n_mels=bands, fmin=audio.high_hz)
    return torch.from_numpy(filters.astype(np.float32))


def power_above(waveform: np.ndarray, audio: AudioSettings) -> np.ndarray:
    """What a log-mel does not tell of a recording: how loud the bands above its highest are, against that one.

    Args:
        waveform: (samples,) at 16 kHz, a hop or more.

    Returns:
        (A,) float32, natural log of mean power; A is 0 where the log-mel reaches half the sample rate.
    """
    size, hop, inner = fft_size(audio), hop_samples(audio), window_samples(audio)
    padded = np.pad(np.asarray(waveform, np.float32), (size // 2 - hop // 2, size))
    spectrum = _analyse(torch.from_numpy(padded)[None], audio, len(waveform) // hop)[0]
    # A recording begins and ends anywhere, and frames that hear it are as loud up there as a click.
    edge = -(-(inner - hop) // (2 * hop))
    if spectrum.shape[1] > 2 * edge:
        spectrum = spectrum[:, edge : spectrum.shape[1] - edge]
    power = (spectrum.real.square() + spectrum.imag.square()).mean(1)
    highest = (mel_filters(audio)[-1] @ power).clamp_min(FLOOR)
    return torch.log((filters_above(audio) @ power).clamp_min(SILENT) / highest).numpy()


def _analyse(signal: torch.Tensor, audio: AudioSettings, frames: int) -> torch.Tensor:
    """(B, samples) to (B, bins, T) complex, frames as in `audio.features.log_mel` of the padded signal."""
    return torch.stft(
        signal,
        fft_size(audio),
        hop_samples(audio),
        window_samples(audio),
        analysis_window(audio),
        center=False,
        return_complex=True,
    )[..., :frames]


def _synthesise(spectrum: torch.Tensor, audio: AudioSettings) -> torch.Tensor:
    """(B, bins, T) complex to (B, size + (T - 1) hop): least-squares overlap-add (Griffin and Lim 1984, eq. 6)."""
    size, hop, inner = fft_size(audio), hop_samples(audio), window_samples(audio)
    frames, before = spectrum.shape[-1], (size - inner) // 2
    window = analysis_window(audio)
    # Only what lies under the window counts, cut into whole hops so that overlap-add is a few shifted sums.
    pieces = torch.fft.irfft(spectrum.transpose(1, 2), size)[..., before : before + inner] * window
    total = _overlap_add(pieces, hop)
    weight = _overlap_add(window.square().expand(1, frames, inner), hop).clamp_min(1e-2)
    length = size + hop * (frames - 1)
    padded = torch.nn.functional.pad(total / weight, (before, size))
    return padded[:, :length]


def _overlap_add(pieces: torch.Tensor, hop: int) -> torch.Tensor:
    """(B, T, inner) pieces, a hop apart, to (B, (T - 1) hop + inner rounded up to whole hops)."""
    count, frames, inner = pieces.shape
    parts = -(-inner // hop)
    cut = torch.nn.functional.pad(pieces, (0, parts * hop - inner)).view(count, frames, parts, hop)
    total = pieces.new_zeros(count, frames + parts - 1, hop)
    for part in range(parts):
        total[:, part : part + frames] += cut[:, :, part]
    return total.flatten(1)
