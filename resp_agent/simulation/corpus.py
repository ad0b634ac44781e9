"""The embedded corpus: what is heard x how it sounds, in three splits, each recording from a stream of its own.

Training is long-tailed and confounded with the device; validation and test hold every label in every device, so the
test is out of domain. It is a yardstick: a change of anything that is heard is a new `VERSION`.
"""

from dataclasses import asdict, dataclass, field

import numpy as np

from resp_agent.audio.quality import quality
from resp_agent.corpus.narrative.template import narrative
from resp_agent.corpus.schema import SPLITS, Event, Recording, audio_id, from_pcm, to_pcm
from resp_agent.randomness import digest, stream
from resp_agent.settings import SimulationSettings
from resp_agent.simulation.device import DEVICE_TABLE, DEVICES, through
from resp_agent.simulation.pathology import LABELS, content
from resp_agent.simulation.patients import Patient, invented

VERSION = "embedded-1"
SOURCE = "embedded"

_BELL, _DIAPHRAGM, _ELECTRONIC, _PHONE, _CONTACT = DEVICES
TRAIN_DEVICES = {
    LABELS[0]: DEVICES,
    LABELS[1]: (_DIAPHRAGM, _PHONE),
    LABELS[2]: (_BELL, _ELECTRONIC),
    LABELS[3]: (_CONTACT,),
    LABELS[4]: (_ELECTRONIC,),
    LABELS[5]: (_DIAPHRAGM,),
    LABELS[6]: (_PHONE,),
    LABELS[7]: (_BELL,),
}
"""Devices through which each label is heard in training: all, two, two, then one each."""

PAIRED_SHARE = 0.1
"""Share of neighbouring recordings of a cell that come from one patient."""


@dataclass(frozen=True)
class Simulated:
    """A recording that was drawn, not yet a row of a corpus."""

    waveform: np.ndarray = field(repr=False)
    """(samples,) float32 at 16 kHz, exactly what 16-bit audio holds."""
    events: tuple[Event, ...]
    normal_breaths: int
    patient: Patient
    """Age, sex, site, symptoms, history."""
    original_sample_rate_hz: int


@dataclass(frozen=True, order=True)
class Place:
    """Where a recording stands in the corpus; with the seed, this is all that it is drawn from."""

    split: str
    label: str
    device: str
    index: int
    """Among those of its split, label and device."""


def simulate(
    label: str, device: str, rng: np.random.Generator, duration_s: float, patient: Patient | None = None
) -> Simulated:
    """One recording of a label through a device, of an invented patient unless one is given.

    Exactly three numbers are taken from `rng`: seeds for what is heard, for the device and for the patient. The same
    `rng` therefore gives the same sounds, events and patient whatever the device.

    Raises:
        ValueError: the embedded corpus has no such label or device.
    """
    heard, recorded, met = (int(seed) for seed in rng.integers(0, 2**63, size=3))
    sounds = content(label, stream(VERSION, "heard", heard), duration_s)
    waveform = through(device, sounds.waveform, stream(VERSION, "device", recorded))
    return Simulated(
        from_pcm(to_pcm(waveform)),
        sounds.events,
        sounds.normal_breaths,
        patient or invented(label, stream(VERSION, "patient", met)),
        DEVICE_TABLE[device].original_sample_rate_hz,
    )


def places(settings: SimulationSettings) -> list[Place]:
    """Every recording of the corpus, in its order: split, label, device, index."""
    found = []
    for split in SPLITS:
        for label, total in zip(LABELS, settings.train_counts, strict=True):
            devices = TRAIN_DEVICES[label] if split == "train" else DEVICES
            if split == "train":
                counts = [total // len(devices) + (d < total % len(devices)) for d in range(len(devices))]
            else:
                counts = [settings.valid_per_cell if split == "valid" else settings.test_per_cell] * len(devices)
            found += [
                Place(split, label, device, index)
                for device, count in zip(devices, counts, strict=True)
                for index in range(count)
            ]
    return found


def recording_at(place: Place, seed: int, duration_s: float) -> Recording:
    """The recording at a place, whatever else is made."""
    path = (VERSION, seed, place.split, place.label, place.device)
    # Two neighbours share a patient now and then; the draw belongs to the pair, not to either of them.
    pair = place.index // 2
    shared = stream(*path, "pair", pair).random() < PAIRED_SHARE
    person = (*path, "patient", pair) if shared else (*path, "patient", pair, place.index % 2)
    drawn = simulate(
        place.label, place.device, stream(*path, place.index), duration_s, invented(place.label, stream(*person))
    )
    name = audio_id(drawn.waveform)
    fields = asdict(drawn.patient)
    return Recording(
        id=name,
        source=SOURCE,
        patient_id=f"{SOURCE}-{digest(*person, size=6)}",
        label=place.label,
        source_label=place.label,
        style=place.device,
        waveform=drawn.waveform,
        original_sample_rate_hz=drawn.original_sample_rate_hz,
        narrative=narrative(name, **fields),
        split=place.split,
        events=drawn.events,
        normal_breaths=drawn.normal_breaths,
        device=place.device,
        quality=quality(drawn.waveform),
        **fields,
    )


def embedded_corpus(settings: SimulationSettings, seed: int) -> list[Recording]:
    """All recordings of the embedded corpus of a seed, in the order of `places`."""
    return [recording_at(place, seed, settings.duration_s) for place in places(settings)]


def corpus_hash(recordings: list[Recording]) -> str:
    """A content name of a corpus, 32 hexadecimal digits.

    Of ids (and so of the audio), patients, labels, styles, splits, events, fields and narratives, in their order.
    """
    parts = []
    for one in recordings:
        parts += [one.id, one.patient_id, one.label, one.style, one.split, one.normal_breaths, one.narrative]
        parts += [one.age_years, one.sex, one.site, one.symptoms, one.history]
        parts += [(event.start_s, event.end_s, event.kind) for event in one.events]
    return digest(VERSION, *parts)
