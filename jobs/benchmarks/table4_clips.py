"""The clips of table 4: a content in other styles, other contents in a style, and what they are measured against."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from resp_agent.corpus.schema import Recording, from_pcm, to_pcm
from resp_agent.curriculum.request import Request
from resp_agent.generator.synthesizer import Generator
from resp_agent.generator.vocoding import GriffinLim, copied
from resp_agent.randomness import seed_of, stream
from resp_agent.settings import Settings
from resp_agent.taxonomy import CONTROL

STYLE_SWAP, CONTENT_SWAP = "style swap", "content swap"
PROTOCOLS = {
    STYLE_SWAP: "the same contents, each rendered in the styles that it was not recorded in",
    CONTENT_SWAP: "the same style references, each with contents of other labels than its own",
}
"""What is exchanged -> what that means."""
NOISE_DB = 20.0
"""Level of a duplicate above the white noise that is added to it."""
MOST_TURNS = 4
"""Requests for a cell, should clips among them be no swaps."""

Cell = tuple[str, str]
"""A label and a style."""


@dataclass
class Clips:
    """Clips, or recordings in their place. Label and style of each are what was asked for."""

    recordings: list[Recording] = field(default_factory=list)
    contents: list[str | None] = field(default_factory=list)
    """The style that each one's content was recorded in; None where it is from no recording."""
    references: list[Recording] = field(default_factory=list)
    """A training recording of the style asked for: the style reference, where a generator names one."""


def cells_of(protocol: str, train: Sequence[Recording], held: Collection[Cell]) -> list[Cell]:
    """Labels and styles that can be swapped and were heard in the held-out recordings, too.

    A style swap needs a content of the label from another style and a reference of the style by another patient. In a
    content swap the reference is a healthy recording, so the label is any other one.
    """
    found = []
    for label, style in sorted(held):
        patients = {one.patient_id for one in train if one.style == style}
        contents = [
            one
            for one in train
            if one.label == label
            and patients - {one.patient_id}
            and (one.style != style if protocol == STYLE_SWAP else one.label != CONTROL)
        ]
        if contents:
            found.append((label, style))
    return found


def swapped(
    generator: Generator, protocol: str, cells: Iterable[Cell], count: int, seed: int, train: Sequence[Recording]
) -> Clips:
    """At most `count` clips for each cell. What stays the same in a protocol keeps its seed: a label's contents
    through all styles, a style's references through all labels.
    """
    by_id, clips = {one.id: one for one in train}, Clips()
    for label, style in cells:
        kept: list[Recording] = []
        for turn in range(MOST_TURNS):
            fixed = label if protocol == STYLE_SWAP else style
            request = Request(label, style, count, seed_of(seed, "table4", protocol, fixed, turn), "exemplar")
            kept += [clip for clip in generator.synthesize(request) if _is_swap(protocol, clip, by_id)]
            if len(kept) >= count:
                break
        for index, clip in enumerate(kept[:count]):
            content, reference = (by_id.get(clip.request[name]) for name in ("content_id", "reference_id"))
            clips.recordings.append(clip)
            clips.contents.append(content and content.style)
            clips.references.append(reference or _reference(clip, train, stream(seed, "table4", label, style, index)))
    return clips


def duplicates(cells: Iterable[Cell], count: int, seed: int, train: Sequence[Recording]) -> Clips:
    """What augmentation without a generator comes to: training recordings of the label from other styles than asked
    for, `NOISE_DB` above white noise. A cell whose label has none stays empty.
    """
    clips = Clips()
    for label, style in cells:
        wrong = [one for one in train if one.label == label and one.style != style]
        for index in range(count if wrong else 0):
            rng = stream(seed, "table4", "duplicate", label, style, index)
            source = wrong[rng.integers(len(wrong))]
            noise = rng.standard_normal(len(source.waveform)) * source.waveform.std() * 10 ** (-NOISE_DB / 20)
            made = replace(source, style=style, waveform=from_pcm(to_pcm(source.waveform + noise)))
            clips.recordings.append(made)
            clips.contents.append(source.style)
            clips.references.append(_reference(made, train, rng))
    return clips


def real(cells: Collection[Cell], held_out: Sequence[Recording], seed: int, train: Sequence[Recording]) -> Clips:
    """Real recordings of the cells in the place of clips."""
    own = [one for one in held_out if (one.label, one.style) in cells]
    references = [_reference(one, train, stream(seed, "table4", "real", one.id)) for one in own]
    return Clips(own, [None] * len(own), references)


def vocoded(clips: Clips, settings: Settings, seed: int) -> Clips:
    """The same from their log-mels alone: what the vocoder takes away from the best of generators."""
    vocoder, made = GriffinLim(settings.audio, settings.generator.griffin_lim_iterations), []
    for one in clips.recordings:
        waveform = copied(vocoder, one, settings.audio, stream(seed, "table4", "vocoder", one.id))
        made.append(replace(one, waveform=from_pcm(to_pcm(waveform))))
    return replace(clips, recordings=made)


def shortened(recordings: Sequence[Recording], samples: int) -> list[Recording]:
    """Recordings of at most so many samples: of a longer one a window, drawn from its id."""
    cut = []
    for one in recordings:
        room = len(one.waveform) - samples
        start = stream("table4", "window", one.id).integers(room + 1) if room > 0 else 0
        cut.append(replace(one, waveform=one.waveform[start : start + samples]))
    return cut


def _is_swap(protocol: str, clip: Recording, by_id: dict[str, Recording]) -> bool:
    content, reference = (by_id.get(clip.request[name]) for name in ("content_id", "reference_id"))
    if protocol == STYLE_SWAP:
        return content is None or content.style != clip.style
    return reference is None or reference.label != clip.label


def _reference(clip: Recording, train: Sequence[Recording], rng: np.random.Generator) -> Recording:
    """A training recording of the clip's style, healthy if there is one."""
    own = [one for one in train if one.style == clip.style]
    choices = [one for one in own if one.label == CONTROL] or own
    return choices[rng.integers(len(choices))]
