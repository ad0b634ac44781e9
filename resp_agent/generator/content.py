"""What a clip lets hear, apart from how: contents of real recordings, taken anew.

A label of eight recordings has few contents. What the events of a label do not depend on is varied: where in the clip
they lie, how fast the patient breathes, how loud they are, and whose healthy breathing is heard between them.
"""

from dataclasses import dataclass, replace

import numpy as np

from resp_agent.corpus.schema import Event
from resp_agent.encoders.units import Codebook
from resp_agent.generator.material import Material
from resp_agent.settings import CompositionSettings
from resp_agent.taxonomy import CONTROL

SEAM_FRAMES = 8
"""Frames over which the end of a content that goes round is faded into its start: a jump would sound like a crackle."""
RISE_FRAMES = 1
"""Frames over which an event is faded in before it starts, and out after it ends."""


@dataclass(frozen=True)
class Content:
    """The content of a clip."""

    power: np.ndarray
    """(T, M) as `style.content_of` gives it."""
    normal: np.ndarray | None
    """(T, M) log-mel of the same, noise and all, normalised under the style of its recording; None: there is none."""
    events: tuple[Event, ...]
    """What of the recording's events is heard, in seconds of the clip."""
    recording: int
    """Index of the recording that events, label and narrative are of."""
    background: int | None = None
    """Index of the healthy recording that is heard between the events; None: the same."""

    @property
    def sources(self) -> tuple[int, ...]:
        """Indices of the recordings that are heard."""
        return (self.recording,) if self.background is None else (self.recording, self.background)


def compose(
    material: Material,
    index: int,
    reference: int,
    frames: int,
    settings: CompositionSettings,
    rng: np.random.Generator,
) -> Content:
    """`frames` frames of the content of a recording, varied as the settings say.

    Nothing is heard of the patient of `reference`, the recording whose style the content is meant for.
    """
    hop_s = material.audio.hop_ms / 1000
    content = _taken(material, index, frames, settings, rng)
    if not content.events:
        return content
    share = _share(content.events, frames, hop_s)
    power, heard = content.power, np.exp(content.normal)
    healthy = [one for one in material.controls if material.patient(one) != material.patient(reference)]
    if healthy and material.recordings[index].label != CONTROL and rng.random() < settings.transplant:
        background = healthy[rng.integers(len(healthy))]
        breathing = _taken(material, background, frames, settings, rng)
        content = replace(content, background=background)
        power = share * power + (1 - share) * breathing.power
        heard = share * heard + (1 - share) * np.exp(breathing.normal)
    gain = settings.event_gain_db * np.log(10) / 10 * rng.standard_normal()
    power = power * np.exp(gain * share)
    normal = np.log(heard) + gain * share / material.style(index).sd
    return replace(content, power=power.astype(np.float32), normal=normal.astype(np.float32))


def content_of_units(codebook: Codebook, units: np.ndarray) -> np.ndarray:
    """(T,) units to the (T, M) content that they stand for."""
    return np.exp(codebook.decode(units)).astype(np.float32)


def _taken(
    material: Material, index: int, frames: int, settings: CompositionSettings, rng: np.random.Generator
) -> Content:
    """A stretch of a recording's content at a drawn pace; one that is too short goes round."""
    hop_s, content = material.audio.hop_ms / 1000, material.content(index)
    # What is done to the content is done to the recording as it was heard.
    power = np.concatenate([content, np.exp(material.normal(index))], 1)
    pace = np.exp(settings.pace * rng.uniform(-1, 1))
    power = _at_pace(power, pace)
    long_enough = len(power) > frames
    if not long_enough and (settings.shift or len(power) < frames):
        power = _closed(power)
    total = len(power)
    start = int(rng.integers(total - frames + 1 if long_enough else total)) if settings.shift or long_enough else 0
    events = []
    for event in material.recordings[index].events:
        for turn in range(-1, -(-(start + frames) // total)):
            begins, ends = (moment / pace + (turn * total - start) * hop_s for moment in (event.start_s, event.end_s))
            begins, ends = max(begins, 0.0), min(ends, frames * hop_s)
            # What is cut to less than a frame is not heard.
            if ends - begins >= hop_s / 2:
                events.append(Event(round(float(begins), 6), round(float(ends), 6), event.kind))
    events.sort(key=lambda event: (event.start_s, event.end_s, event.kind))
    power, heard = np.split(power[(start + np.arange(frames)) % total], 2, 1)
    return Content(power, np.log(heard), tuple(events), index)


def _closed(power: np.ndarray) -> np.ndarray:
    """(T, M) frames that can go round: the last ones are faded into the first, and gone."""
    seam = min(SEAM_FRAMES, len(power) // 4)
    if not seam:
        return power
    weight = ((np.arange(seam) + 0.5) / seam)[:, None].astype(np.float32)
    closed = power[:-seam].copy()
    closed[:seam] = weight * power[:seam] + (1 - weight) * power[-seam:]
    return closed


def _at_pace(power: np.ndarray, pace: float) -> np.ndarray:
    """(T, M) frames to about (T / pace, M), interpolated."""
    if pace == 1:
        return power
    moments = np.arange(max(round(len(power) / pace), 1)) * pace
    before = np.minimum(moments.astype(int), len(power) - 1)
    after = np.minimum(before + 1, len(power) - 1)
    weight = (moments - before)[:, None].clip(0, 1)
    return ((1 - weight) * power[before] + weight * power[after]).astype(np.float32)


def _share(events: tuple[Event, ...], frames: int, hop_s: float) -> np.ndarray:
    """(frames, 1) from 0 to 1, how much of a frame is an event's."""
    share, middles = np.zeros(frames), (np.arange(frames) + 0.5) * hop_s
    for event in events:
        distance = np.maximum(event.start_s - middles, middles - event.end_s) / hop_s
        share = np.maximum(share, np.clip(1 - np.maximum(distance, 0) / (RISE_FRAMES + 1), 0, 1))
    return share[:, None]
