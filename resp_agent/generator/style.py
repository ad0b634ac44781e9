"""Style: how a recording sounds, measured per named style, removed, put back and exchanged."""

from dataclasses import dataclass, fields

import numpy as np

QUIET_SHARE = 0.15
"""Share of a recording's frames, the quietest, that count as its noise floor."""
LARGEST_LOG_GAIN = 5.0
"""Natural log of power. Bounds amplification: a band that the source does not pass holds nothing to amplify."""
SMALLEST_SD = 0.5
"""Log power; a band that a device silences is not blown up by normalising."""


@dataclass(frozen=True)
class Style:
    """What is measured of a style; every array is (M,) float32, natural log of mel power."""

    name: str
    mean: np.ndarray
    """Mean log-mel."""
    sd: np.ndarray
    """Standard deviation of log-mel."""
    floor: np.ndarray
    """Log of the mean power of quiet frames."""
    response: np.ndarray
    """Log of the mean excess power over the recordings' noise floors."""

    @property
    def vector(self) -> np.ndarray:
        """(4M,) float32: all of it."""
        return np.concatenate([self.mean, self.sd, self.floor, self.response])

    def arrays(self) -> dict[str, np.ndarray]:
        """The measured arrays by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "name"}


def quiet_frames(log_mel: np.ndarray) -> np.ndarray:
    """The (Q, M) quietest 15 % of (T, M) frames by total power, in their order; at least one."""
    count = max(1, round(QUIET_SHARE * len(log_mel)))
    return log_mel[np.sort(np.argsort(np.exp(log_mel).sum(1), kind="stable")[:count])]


def measure_style(name: str, log_mels: list[np.ndarray]) -> Style:
    """The style that (T, M) log-mels of one device share.

    They should hold the same content for every style (healthy breathing), or content is taken for style.
    """
    stacked = np.concatenate(log_mels).astype(np.float64)
    floors = [np.exp(quiet_frames(one).astype(np.float64)).mean(0) for one in log_mels]
    excess = [
        np.maximum(np.exp(one.astype(np.float64)) - floor, 0).mean(0)
        for one, floor in zip(log_mels, floors, strict=True)
    ]
    floor, response = np.mean(floors, 0), np.mean(excess, 0)
    measured = stacked.mean(0), np.maximum(stacked.std(0), SMALLEST_SD), np.log(floor), np.log(response + 1e-3 * floor)
    return Style(name, *(np.ascontiguousarray(value, np.float32) for value in measured))


def normalise(log_mel: np.ndarray, style: Style) -> np.ndarray:
    """(..., M) log-mel to zero mean and unit deviation per band under its style."""
    return (log_mel - style.mean) / style.sd


def denormalise(normal: np.ndarray, style: Style) -> np.ndarray:
    """The inverse of `normalise`."""
    return normal * style.sd + style.mean


def restyle(
    log_mel: np.ndarray, source: Style, target: Style, quiet: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A (T, M) log-mel of style `source` made to sound as if heard in style `target`.

    The recording's noise floor is removed, the source's response divided out, the target's multiplied in, and (Q, M)
    quiet frames of a real target recording, drawn with replacement, are added.
    """
    floor = np.exp(quiet_frames(log_mel)).mean(0)
    excess = np.maximum(np.exp(log_mel) - floor, 0)
    ratio = np.exp(np.minimum(target.response - source.response, LARGEST_LOG_GAIN))
    noise = np.exp(quiet[rng.integers(len(quiet), size=len(log_mel))])
    return np.log(excess * ratio + noise).astype(np.float32)


def summary(normal: np.ndarray) -> np.ndarray:
    """(T, M) style-normalised log-mel to (2M,) float32, what a reference tells: per-band mean and deviation."""
    return np.concatenate([normal.mean(0), normal.std(0)]).astype(np.float32)


def pooled(normal: np.ndarray, slots: int) -> np.ndarray:
    """(T, M) style-normalised log-mel to (slots, 2M): the `summary` of as many equal stretches of time."""
    parts = np.array_split(normal, slots)
    return np.stack([summary(part if len(part) else normal) for part in parts])
