"""Style: how a recording sounds. Measured, taken off a recording, and put on a content.

In mel power a recording is taken as content x response x level + noise: the response belongs to the device, the level
and a smooth deviation from the response to the recording, the noise to where it was made. Content is what is left of a
recording once all of that is taken off; 1 is the mean of healthy breathing in its band.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy.ndimage import gaussian_filter1d

QUIET_SHARE = 0.15
"""Share of a recording's frames, the quietest, that count as its noise."""
LARGEST_LOG_GAIN = 9.0
"""Natural log of power. Bounds amplification: a band that a device does not pass holds nothing to amplify."""
SMALLEST_SD = 0.5
"""Log power; a band that a device silences is not blown up by normalising."""
NOISE_IN_MEAN = 0.02
"""Share of the noise that is added to a mean excess before its log is taken, so that it exists."""
SMOOTHING = 1 / 16
"""Standard deviation of the smoothing of a recording's colour, as a share of all bands: events are narrower."""
COLOUR = 0.7
"""Share of a recording's colour that is taken for the device's; breathing varies in colour too."""
QUIETEST_CONTENT = 0.02
"""Content below this counts as this where its log is taken: it is inaudible under any noise."""


@dataclass(frozen=True)
class Sound:
    """A recording's mel power, noise apart."""

    excess: np.ndarray
    """(T, M) power over the noise."""
    quiet: np.ndarray
    """(Q, M) power of the quietest frames."""

    @property
    def noise(self) -> np.ndarray:
        """(M,) mean power of the quiet frames."""
        return self.quiet.mean(0)

    @property
    def mean(self) -> np.ndarray:
        """(M,) natural log of the mean excess."""
        return np.log(self.excess.mean(0) + NOISE_IN_MEAN * self.noise)


def take_apart(log_mel: np.ndarray) -> Sound:
    """A (T, M) natural-log mel power as excess and noise.

    Quiet frames are those of the smallest log power, relative to each band's mean, over neighbouring frames. What is
    over the noise is weighed as a Wiener filter does.
    """
    power = np.exp(log_mel.astype(np.float64))
    relative = gaussian_filter1d((log_mel - log_mel.mean(0)).mean(1), 2, mode="nearest")
    count = max(1, round(QUIET_SHARE * len(power)))
    quiet = power[np.sort(np.argsort(relative, kind="stable")[:count])]
    noise = quiet.mean(0)
    over = np.maximum(power - noise, 0)
    return Sound(over * over / (over + noise), quiet)


@dataclass(frozen=True)
class Style:
    """What is measured of a style; every array is (M,) float32, natural log of mel power, unless it says otherwise."""

    name: str
    mean: np.ndarray
    """Mean log-mel."""
    sd: np.ndarray
    """Standard deviation of log-mel."""
    response: np.ndarray
    """Mean log of recordings' mean excess: how loud healthy breathing is."""
    noise: np.ndarray
    """Mean log of recordings' noise."""
    above: np.ndarray
    """(A,) median of recordings' power above the highest band, against that band; see `vocoder.power_above`."""

    @property
    def audible(self) -> np.ndarray:
        """(M,) weights of bands, sum 1: near nothing where noise hides breathing."""
        weight = 1 / (1 + np.exp(self.noise - self.response))
        return weight / weight.sum()

    def arrays(self) -> dict[str, np.ndarray]:
        """The measured arrays by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "name"}


@dataclass(frozen=True)
class Conditions:
    """What a recording has of its own within its style."""

    level: float
    """Natural log of power: how loud it is against others of its style."""
    colour: np.ndarray
    """(M,) smooth deviation of its response from the style's, natural log of power."""
    quiet: np.ndarray
    """(Q, M) power of its quiet frames."""


def measure_style(name: str, log_mels: list[np.ndarray], above: list[np.ndarray]) -> Style:
    """The style that (T, M) log-mels of one device share, and (A,) powers above them.

    They should hold the same content for every style (healthy breathing), or content is taken for style.
    """
    stacked = np.concatenate(log_mels).astype(np.float64)
    sounds = [take_apart(one) for one in log_mels]
    response = np.mean([sound.mean for sound in sounds], 0)
    noise = np.mean([np.log(sound.noise) for sound in sounds], 0)
    measured = stacked.mean(0), np.maximum(stacked.std(0), SMALLEST_SD), response, noise, np.median(above, 0)
    return Style(name, *(np.ascontiguousarray(value, np.float32) for value in measured))


def level_of(sound: Sound, style: Style) -> float:
    """How loud a recording is against its style, over the bands in which the style is audible."""
    return float((style.audible * (sound.mean - style.response)).sum())


def conditions_of(sound: Sound, style: Style, label_level: float = 0.0) -> Conditions:
    """A recording's own conditions; `label_level` is how loud its label is, which is content and no condition."""
    level = level_of(sound, style)
    deviation = sound.mean - style.response - level
    colour = gaussian_filter1d(deviation, SMOOTHING * len(deviation), mode="nearest")
    return Conditions(level - label_level, (COLOUR * colour).astype(np.float32), sound.quiet)


def content_of(sound: Sound, style: Style, level: float, loudest: np.ndarray) -> np.ndarray:
    """(T, M) float32 content: the excess without the style's response and the recording's level.

    `loudest` is the (M,) largest response of any style; a band is amplified towards it by no more than
    `LARGEST_LOG_GAIN`.
    """
    response = np.maximum(style.response, loudest - LARGEST_LOG_GAIN)
    return (sound.excess * np.exp(-response - level)).astype(np.float32)


def put_on(content: np.ndarray, style: Style, conditions: Conditions, rng: np.random.Generator) -> np.ndarray:
    """(T, M) log-mel of a content as heard in a style under the conditions of a recording of it.

    Noise is made of the recording's quiet frames, drawn with replacement.
    """
    power = content * np.exp(style.response + conditions.colour + conditions.level)
    noise = conditions.quiet[rng.integers(len(conditions.quiet), size=len(content))]
    return np.log(power + noise).astype(np.float32)


def normalise(log_mel: np.ndarray, style: Style) -> np.ndarray:
    """(..., M) log-mel to zero mean and unit deviation per band under its style."""
    return (log_mel - style.mean) / style.sd


def denormalise(normal: np.ndarray, style: Style) -> np.ndarray:
    """The inverse of `normalise`."""
    return normal * style.sd + style.mean


def drafted(
    content: np.ndarray,
    style: Style,
    conditions: Conditions,
    rng: np.random.Generator,
    equalised: np.ndarray | None = None,
    share: float = 0.0,
) -> np.ndarray:
    """(T, M) draft of a content in a style under conditions, normalised under that style.

    Args:
        equalised: (T, M) the recording that the content is of, normalised under its own style. Under another style that
            is the recording equalised to it, band by band; None: the content is of no recording.
        share: how much of the draft is equalised, 0 to 1. Putting a content on a style loses what its own noise hid,
            equalising keeps the noise for sound: the mean of both errs less than either.
    """
    put = normalise(put_on(content, style, conditions, rng), style)
    return put if equalised is None else (1 - share) * put + share * equalised


def log_content(content: np.ndarray) -> np.ndarray:
    """(T, M) natural log of a content, with a floor, so that silence is a number."""
    return np.log(np.maximum(content, QUIETEST_CONTENT))


def pooled(frames: np.ndarray, slots: int) -> np.ndarray:
    """(T, M) frames to (slots, 2M) float32: mean and deviation of each band in as many equal stretches of time."""
    parts = [part if len(part) else frames for part in np.array_split(frames, slots)]
    return np.stack([np.concatenate([part.mean(0), part.std(0)]) for part in parts]).astype(np.float32)
