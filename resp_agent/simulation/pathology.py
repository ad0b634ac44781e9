"""What is heard: for each label, the sounds of one recording before any device.

The table follows auscultation texts: asthma wheezes in several pitches, pneumonia has fine crackles, COPD
coarse crackles and in about half a rhonchus, bronchiolitis one pitch of wheeze with fine crackles, narrowing of the
upper airway stridor (a third cough as well), chronic cough coughs, a pleural disease rubs.
"""

from dataclasses import dataclass

import numpy as np

from resp_agent.corpus.schema import Event
from resp_agent.simulation.breath import Breath, breathing, handling, heart, vesicular
from resp_agent.simulation.signals import amplitude, samples_of
from resp_agent.simulation.sounds import Sound, coughs, crackles, pleural_rub
from resp_agent.simulation.tones import rhonchi, stridor, wheezes
from resp_agent.taxonomy import CONTROL

LABELS = (
    CONTROL,
    "asthma",
    "pneumonia",
    "COPD",
    "bronchiolitis",
    "upper respiratory tract infection",
    "chronic cough",
    "other respiratory disease",
)
"""Labels of the embedded corpus, most common first, as `SimulationSettings.train_counts` counts them."""

LEVEL_DB = {
    "fine crackle": 18.0,
    "coarse crackle": 11.0,
    "wheeze": 9.0,
    "rhonchus": 4.0,
    "stridor": 3.0,
    "cough": 9.0,
    "rub": 10.0,
}
"""Mean level of each sound against inspiration: peaks of crackles, coughs and rubs, amplitude of tones."""
LEVEL_SPREAD_DB = 2.0
"""Standard deviation of that level between recordings."""
BREATH_SPREAD_DB = 2.0
"""Standard deviation of the loudness of breathing between recordings; a device's noise stays where it is."""
CRACKLES_PER_S = (10.0, 40.0)
"""Within a run."""
COUGHS_PER_S = 0.35
"""Beyond the first, of a recording of chronic cough."""
SECOND_SOUND = {"COPD": 1 / 2, "upper respiratory tract infection": 1 / 3}
"""Share of recordings with a second sound: a rhonchus, a cough."""
BREATHS_WITH_SOUND = 0.85
"""Share of breaths that carry the sound of the disease."""
OVERLAP_LEAST_S = 0.02
"""A wheeze and a run of crackles that overlap by less stay two events."""


@dataclass(frozen=True)
class Content:
    """What is heard, with inspiration at its height as the unit of amplitude."""

    waveform: np.ndarray
    """(samples,) float64."""
    events: tuple[Event, ...]
    normal_breaths: int
    """Breaths that begin in the clip, reach at least through inspiration and carry no event."""


def content(label: str, rng: np.random.Generator, duration_s: float) -> Content:
    """Sounds of a recording of a label. Each sound of the label is heard at least once.

    Raises:
        ValueError: the embedded corpus has no such label.
    """
    if label not in LABELS:
        raise ValueError(f"the embedded corpus has no label {label!r}: it has {', '.join(LABELS)}")
    samples = samples_of(duration_s)
    # Drawn once, or redrawing a clip in which too little is heard would favour one of the two.
    second = rng.random() < SECOND_SOUND.get(label, 0.0)
    while True:
        # A breath whose telling phase falls outside the clip would make it a recording of nothing.
        breaths = breathing(rng, duration_s)
        carrying = [breath for breath in breaths if rng.random() < BREATHS_WITH_SOUND]
        parts = _disease(label, rng, carrying, samples, second)
        if all(found for _, found in parts):
            break
    events = [event for _, found in parts for event in found]
    waveform = vesicular(rng, breaths, samples) + sum((track for track, _ in parts), np.zeros(samples))
    waveform *= amplitude(rng.normal(0, BREATH_SPREAD_DB))
    waveform += heart(rng, samples) + handling(rng, samples)
    events = tuple(_rounded(event, duration_s) for event in merged(events))
    return Content(waveform, events, normal_breaths(breaths, events, duration_s))


def _disease(label: str, rng: np.random.Generator, breaths: list[Breath], samples: int, second: bool) -> list[Sound]:
    def level(kind: str) -> float:
        return LEVEL_DB[kind] + LEVEL_SPREAD_DB * rng.standard_normal()

    def density() -> float:
        return rng.uniform(*CRACKLES_PER_S)

    match label:
        case "asthma":
            voices = int(rng.integers(3, 6))
            return [wheezes(rng, breaths, samples, level("wheeze") + 3, voices=voices)]
        case "pneumonia":
            return [crackles(rng, breaths, samples, level("fine crackle"), fine=True, density=density())]
        case "COPD":
            parts = [crackles(rng, breaths, samples, level("coarse crackle"), fine=False, density=0.6 * density())]
            if second:
                parts.append(rhonchi(rng, breaths, samples, level("rhonchus")))
            return parts
        case "bronchiolitis":
            # Small airways: the wheeze often begins before expiration does, over the last crackles.
            return [
                wheezes(rng, breaths, samples, level("wheeze"), voices=1, early=0.4),
                crackles(rng, breaths, samples, level("fine crackle"), fine=True, density=density()),
            ]
        case "upper respiratory tract infection":
            parts = [stridor(rng, breaths, samples, level("stridor"))]
            if second:
                parts.append(coughs(rng, samples, level("cough"), 0.0))
            return parts
        case "chronic cough":
            return [coughs(rng, samples, level("cough"), COUGHS_PER_S)]
        case "other respiratory disease":
            return [pleural_rub(rng, breaths, samples, level("rub"))]
    return []


def merged(events: list[Event]) -> list[Event]:
    """Events in the order of time, with the overlap of a wheeze and a run of crackles as `wheeze + crackle`.

    What lies before and after an overlap keeps its own kind.
    """
    spans = list(events)
    for wheeze in [event for event in events if event.kind == "wheeze"]:
        for other in [event for event in events if event.kind.endswith("crackle")]:
            start_s, end_s = max(wheeze.start_s, other.start_s), min(wheeze.end_s, other.end_s)
            if end_s - start_s < OVERLAP_LEAST_S:
                continue
            spans = [piece for span in spans for piece in _without(span, start_s, end_s, (wheeze.kind, other.kind))]
            spans.append(Event(start_s, end_s, "wheeze + crackle"))
    return sorted(spans, key=lambda event: (event.start_s, event.end_s, event.kind))


def _without(span: Event, start_s: float, end_s: float, kinds: tuple[str, str]) -> list[Event]:
    if span.kind not in kinds or span.end_s <= start_s or span.start_s >= end_s:
        return [span]
    pieces = [Event(span.start_s, start_s, span.kind), Event(end_s, span.end_s, span.kind)]
    return [piece for piece in pieces if piece.end_s - piece.start_s >= OVERLAP_LEAST_S]


def normal_breaths(breaths: list[Breath], events: tuple[Event, ...], duration_s: float) -> int:
    """Breaths whose inspiration lies in the clip and which no event touches."""
    return sum(
        breath.start_s >= 0
        and breath.inspiration_end_s <= duration_s
        and not any(event.start_s < breath.end_s and event.end_s > breath.start_s for event in events)
        for breath in breaths
    )


def _rounded(event: Event, duration_s: float) -> Event:
    # Microseconds: events name the same moments on every machine.
    return Event(round(float(event.start_s), 6), round(float(min(event.end_s, duration_s)), 6), event.kind)
