"""Settings of the vocoder: what makes the log-mel of `AudioSettings` audible."""

from dataclasses import dataclass, field
from typing import Literal

from resp_agent.settings.checks import refuse
from resp_agent.settings.diagnoser import TrainingSettings


@dataclass(frozen=True)
class VocoderSettings:
    """Which vocoder; the sizes of a Vocos, and what it is trained to."""

    kind: Literal["griffin-lim", "vocos"] = "griffin-lim"
    """`griffin-lim`: white noise whose bands are made as loud as asked for, no weights; `vocos`: a trained network."""
    trained: str | None = None
    """Folder of a Vocos that `train vocoder` made; by default it is trained with the generator."""
    width: int = 128
    """Width of a frame."""
    inner: int = 384
    """Width inside a block."""
    layers: int = 4
    """Blocks; each hears three frames more on either side."""
    fft: int | None = None
    """Samples of a window that is written, even; by default the analysis window rounded up to a power of two."""
    segment_s: float = 1.0
    """Seconds of the crops that it is trained on."""
    perturbation: float = 0.1
    """Largest standard deviation of the noise that is added to a crop's log-mel, in natural-log units, so that the
    vocoder bears log-mels that no waveform has; 0: none."""
    resolutions_ms: tuple[float, ...] = (8.0, 16.0, 32.0, 64.0)
    """Windows of the short-time spectra that are compared; their hops are a quarter of them."""
    convergence_weight: float = 1.0
    """Weight of the spectral convergence in the loss."""
    magnitude_weight: float = 1.0
    """Weight of the distance of log-magnitudes in the loss."""
    mel_weight: float = 5.0
    """Weight of the distance to the log-mel that was given in the loss."""
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(
            steps=2000, batch=16, learning_rate=4e-3, warmup=50, averaging=0.99, schedule="linear", checkpoint_every=200
        )
    )
    """There are no looks at validation."""

    def __post_init__(self):
        refuse(
            self.trained is not None and self.kind != "vocos",
            f"a {self.kind} vocoder learns nothing, so {self.trained} is not for it: choose the kind vocos",
        )
        for name in ("width", "inner", "layers"):
            refuse(getattr(self, name) < 1, f"{name} {getattr(self, name)} of a vocoder is below 1: give at least 1")
        refuse(
            self.fft is not None and (self.fft < 2 or self.fft % 2 != 0),
            f"a window of {self.fft} samples cannot be written: give an even number of at least 2",
        )
        refuse(not self.segment_s > 0, f"a crop of {self.segment_s} s holds no sound: give seconds above 0")
        refuse(not self.perturbation >= 0, f"a perturbation of {self.perturbation} is below 0: 0 is none")
        refuse(
            not self.resolutions_ms or not min(self.resolutions_ms) >= 1,
            f"spectra of windows of {self.resolutions_ms} ms cannot be compared: give one or more of at least 1 ms",
        )
        weights = self.convergence_weight, self.magnitude_weight, self.mel_weight
        refuse(
            not min(weights) >= 0 or sum(weights) == 0,
            f"weights of {weights} teach nothing: give numbers of 0 or more, one of them above 0",
        )
        refuse(
            self.training.validate_every > 0,
            "a vocoder is not looked at while it is trained: leave validate_every and patience at 0",
        )
