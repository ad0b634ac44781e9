"""A style that was never trained on, from one recording of it: measured on that recording, and its own reference."""

import copy
from dataclasses import replace

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Recording, audio_id
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.errors import UserError
from resp_agent.generator.material import NO_LABEL
from resp_agent.generator.style import measure_style
from resp_agent.generator.synthesizer import PlannedGenerator
from resp_agent.generator.vocoder import power_above

REFERENCE = "reference"
"""What such a style is named by, before a hash of its recording."""


def in_style_of(generator: PlannedGenerator, waveform: np.ndarray) -> tuple[PlannedGenerator, str]:
    """The generator as it is, which also knows the style of a (samples,) recording at 16 kHz; and that style's name.

    The flow is told of the style by the same standardised measurements as of any other.

    Raises:
        UserError: the recording is shorter than two frames.
    """
    material = generator.models.material
    log_mel = waveform_log_mel(waveform, material.audio)
    if len(log_mel) < 2:
        raise UserError(
            f"the style reference lasts {len(waveform) / SAMPLE_RATE_HZ:.3f} s, less than two frames: give more"
        )
    name = f"{REFERENCE}-{audio_id(waveform)[:8]}"
    heard = Recording(
        id=audio_id(waveform),
        source=REFERENCE,
        patient_id=name,
        label=NO_LABEL,
        source_label=NO_LABEL,
        style=name,
        waveform=waveform,
        original_sample_rate_hz=SAMPLE_RATE_HZ,
        narrative="",
        split="train",
    )
    style = measure_style(name, [log_mel], [power_above(waveform, material.audio)])
    known = replace(
        material,
        recordings=[*material.recordings, heard],
        log_mels=[*material.log_mels, log_mel],
        bank=material.bank.with_style(style, len(material.recordings), name),
    )
    wider = copy.copy(generator)
    wider.models = replace(generator.models, material=known)
    return wider, name
