"""Settings of the embedded corpus and of what models hear."""

from dataclasses import dataclass

from resp_agent.settings.checks import refuse


@dataclass(frozen=True)
class SimulationSettings:
    """Sizes of the embedded corpus. What it sounds like is fixed by its version."""

    train_counts: tuple[int, ...] = (200, 120, 60, 36, 20, 16, 12, 8)
    """Training recordings for each of its eight labels, most common first."""
    valid_per_cell: int = 4
    """Validation recordings for each label and device."""
    test_per_cell: int = 10
    """Test recordings for each label and device."""
    duration_s: float = 3.0
    """Seconds of each recording, 1 to 60."""

    def __post_init__(self):
        refuse(
            len(self.train_counts) != 8,
            f"the embedded corpus has 8 labels: give 8 train counts, not {len(self.train_counts)}",
        )
        refuse(
            min(self.train_counts) < 1,
            "a label with no training recording cannot be learned: give every label a train count of at least 1",
        )
        refuse(
            self.valid_per_cell < 1 or self.test_per_cell < 1,
            "validation and test need at least 1 recording for each label and device",
        )
        refuse(not 1 <= self.duration_s <= 60, f"a duration of {self.duration_s} s is outside 1 to 60 s")


@dataclass(frozen=True)
class AudioSettings:
    """Log-mel patches, shared by diagnoser and generator."""

    mels: int = 64
    """Mel bands."""
    low_hz: float = 40.0
    """Lower edge of the lowest band."""
    high_hz: float = 4500.0
    """Upper edge of the highest band, at most 8000."""
    window_ms: float = 40.0
    """Analysis window."""
    hop_ms: float = 20.0
    """Distance of frames; one patch is one hop."""
    clip_s: float = 3.0
    """Seconds of audio that a model sees at once; longer recordings are covered by several windows."""

    def __post_init__(self):
        refuse(
            not 0 < self.low_hz < self.high_hz <= 8000,
            f"mel bands from {self.low_hz} to {self.high_hz} Hz: keep 0 < low < high <= 8000",
        )
        refuse(
            self.window_ms < self.hop_ms, f"a window of {self.window_ms} ms is shorter than its hop of {self.hop_ms} ms"
        )
        refuse(not 0.5 <= self.clip_s <= 60, f"a clip of {self.clip_s} s is outside 0.5 to 60 s")

    @property
    def frames(self) -> int:
        """Patches in a clip."""
        return round(self.clip_s * 1000 / self.hop_ms)
