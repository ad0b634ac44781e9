"""The encoder of Whisper (Radford et al. 2022, arXiv 2212.04356) on clips of any length, without padding to 30 s."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import librosa
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn.functional import gelu

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.encoders.pretrained import Window, in_windows, stacked, weights_digest
from resp_agent.errors import UserError
from resp_agent.randomness import digest
from resp_agent.settings.checks import refuse
from resp_agent.training.distributed import device

_VERSION = 1
"""Counts changes of the code here that change numbers."""
_FFT, _MEL_HOP = 400, 160
_FLOOR = 1e-10
_RANGE = 8.0
"""Powers of ten that a band may lie below the loudest one of the clip."""
_STATE = 2 * _MEL_HOP
"""Samples of a state: the second convolution halves the rate of mel frames."""
_BATCH = 1500
"""States that are encoded at once: as many as Whisper has positions."""
_HEAD_WIDTH = 64
"""Of every Whisper; a file of weights does not tell."""


class WhisperFeatures:
    """The encoder's last states as frames, 20 ms each or the mean of `pool` neighbours.

    A recording of n samples has ceil(n / 320) states, the last one hearing silence where the audio ends, and
    T = ceil(that / pool) frames. Each window is heard at its own length, with the first positions of the 30 s.

    Args:
        encoder: a `transformers` `WhisperEncoder`; put on this process's device, in float32.
        window_s: seconds heard at once. Longer recordings are cut into equal windows.
        pool: states that are averaged into a frame.
    """

    def __init__(self, encoder: torch.nn.Module, window_s: float = 10.0, pool: int = 1):
        refuse(pool < 1, f"pooling of {pool} frames: give at least 1")
        self.encoder = encoder.float().eval().requires_grad_(False).to(device())
        self.pool = pool
        self.most = max(1, round(window_s * SAMPLE_RATE_HZ / _STATE))
        positions = encoder.config.max_source_positions
        refuse(
            self.most > positions,
            f"a window of {window_s:g} s is longer than the {positions * _STATE / SAMPLE_RATE_HZ:g} s that Whisper "
            "hears: lower window_s",
        )
        self.width: int = encoder.config.d_model
        self.frame_ms = pool * _STATE * 1000 / SAMPLE_RATE_HZ

    @classmethod
    def from_weights(cls, weights: Path | str, window_s: float = 10.0, pool: int = 1) -> "WhisperFeatures":
        """With the weights of a file or folder or of a hub name; see `load_encoder`, whose errors it raises."""
        return cls(load_encoder(weights), window_s, pool)

    @cached_property
    def fingerprint(self) -> str:
        """Content name of the weights and of everything else that changes a number."""
        return digest("whisper", _VERSION, weights_digest(self.encoder), self.most, self.pool)

    def frame_count(self, samples: int) -> int:
        """T of a recording: ceil(ceil(samples / 320) / pool)."""
        return -(-samples // (_STATE * self.pool))

    @torch.inference_mode()
    def encode(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Each (samples,) float32 at 16 kHz to (T, D) float32, T = `frame_count(samples)`."""

        def hear_windows(windows: list[Window]) -> np.ndarray:
            states = windows[0].frames
            parts = [waveforms[one.owner][one.start * _STATE :][: states * _STATE] for one in windows]
            audio = torch.from_numpy(stacked(parts, states * _STATE))
            return self._states(audio.to(device())).cpu().numpy()

        lengths = [-(-len(waveform) // _STATE) for waveform in waveforms]
        nothing = np.zeros((0, self.width), np.float32)
        return [_pooled(states, self.pool) for states in in_windows(lengths, self.most, hear_windows, nothing, _BATCH)]

    def _states(self, audio: torch.Tensor) -> torch.Tensor:
        """(B, samples), whole frames, to (B, T, D)."""
        model = self.encoder
        mel = whisper_log_mel(audio, model.config.num_mel_bins).transpose(1, 2)
        x = gelu(model.conv2(gelu(model.conv1(mel)))).transpose(1, 2)
        x = x + model.embed_positions.weight[: x.shape[1]]
        for layer in model.layers:
            x = layer(x, None)
        return model.layer_norm(x)


def _pooled(states: np.ndarray, pool: int) -> np.ndarray:
    """(N, D) to (ceil(N / pool), D): means of neighbours, in the last row of those that are left."""
    first = np.arange(0, len(states), pool)
    counts = np.minimum(pool, len(states) - first).astype(states.dtype)
    return np.add.reduceat(states, first) / counts[:, None] if pool > 1 and len(states) else states


def whisper_log_mel(waveform: torch.Tensor, mels: int = 80) -> torch.Tensor:
    """(B, samples) float32 at 16 kHz to (B, samples // 160, M): log10 mel power, clamped to 8 below each row's maximum.

    Then (x + 4) / 4. The edges are mirrored. At least 201 samples. Source: `whisper/audio.py` of the release.
    """
    window = torch.hann_window(_FFT, device=waveform.device)
    spectrum = torch.stft(waveform, _FFT, _MEL_HOP, window=window, return_complex=True)[..., :-1]
    power = spectrum.real.square() + spectrum.imag.square()
    level = (_filters(mels).to(power) @ power).clamp_min(_FLOOR).log10().transpose(1, 2)
    return (torch.maximum(level, level.amax((1, 2), keepdim=True) - _RANGE) + 4) / 4


@lru_cache(maxsize=2)
def _filters(mels: int) -> torch.Tensor:
    """(M, bins), librosa's default mel filters."""
    return torch.from_numpy(librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=_FFT, n_mels=mels).astype(np.float32))


def load_encoder(weights: Path | str) -> torch.nn.Module:
    """The encoder part of a Whisper, float32.

    Args:
        weights: a safetensors file of an encoder alone, a folder that `transformers` saved a Whisper in, or a name on
            the Hugging Face hub such as `openai/whisper-small`.

    Raises:
        UserError: it is not to be had, or not a whole Whisper encoder.
    """
    path = Path(weights)
    if path.is_file():
        return _from_file(path)
    if (path.is_absolute() or path.suffix == ".safetensors") and not path.is_dir():
        raise UserError(f"Whisper weights: {path} is not there; give a safetensors file, a folder or a hub name")
    from transformers import WhisperModel

    try:
        model, told = WhisperModel.from_pretrained(
            str(weights), use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError) as problem:
        raise UserError(
            f"Whisper weights: {weights} is no file, no folder with a Whisper, and could not be had from the hub "
            f"({str(problem).splitlines()[0].rstrip('.')}); give one that is there"
        ) from None
    _refuse_partial(path, [name for name in told["missing_keys"] if name.startswith("encoder.")], [])
    return model.get_encoder()


def _from_file(path: Path) -> torch.nn.Module:
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    try:
        state = load_file(path)
    except SafetensorError as problem:
        raise UserError(f"{path} is not a safetensors file ({problem})") from None
    try:
        positions, width = state["embed_positions.weight"].shape
        layers = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("layers."))
        sizes = {
            "num_mel_bins": state["conv1.weight"].shape[1],
            "encoder_ffn_dim": state["layers.0.fc1.weight"].shape[0],
            "encoder_layers": layers,
            "encoder_attention_heads": max(1, width // _HEAD_WIDTH),
        }
    except (KeyError, ValueError) as problem:
        raise UserError(f"{path} is not the encoder of a Whisper: it has no {problem}") from None
    # The parameters are replaced: drawing them would move this process's random numbers.
    with torch.device("meta"):
        encoder = WhisperEncoder(WhisperConfig(d_model=width, max_source_positions=positions, **sizes))
    try:
        _refuse_partial(path, *encoder.load_state_dict(state, strict=False, assign=True))
    except RuntimeError as problem:
        raise UserError(f"{path} is not the encoder of a Whisper: {problem}") from None
    return encoder


def _refuse_partial(path: Path, missing: Sequence[str], unexpected: Sequence[str]) -> None:
    """Strictness, with a sentence."""
    for word, names in (("lacks", missing), ("has unexpected", unexpected)):
        if names:
            raise UserError(f"{path} is not the encoder of a Whisper: it {word} {', '.join(sorted(names)[:5])}")
