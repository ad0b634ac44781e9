"""Made-up recordings: coloured noise, with a tone for the second label, through two equalisers."""

import dataclasses

import numpy as np

from resp_agent.corpus.schema import Recording, audio_id, from_pcm, to_pcm
from resp_agent.settings import (
    AudioSettings,
    FlowSettings,
    GeneratorSettings,
    PlannerSettings,
    Settings,
    TrainingSettings,
)
from resp_agent.taxonomy import CONTROL

LABELS = (CONTROL, "asthma")
STYLES = ("bright", "dull")


def recording(label: str, style: str, patient: str, seed: int, duration_s: float = 1.0) -> Recording:
    rng = np.random.default_rng(seed)
    samples = round(duration_s * 16_000)
    time_s = np.arange(samples) / 16_000
    sound = rng.standard_normal(samples) * (0.1 + np.sin(2 * np.pi * 1.5 * time_s) ** 2)
    if label != CONTROL:
        sound += 2 * np.sin(2 * np.pi * 440 * time_s) * (time_s > 0.4 * duration_s)
    spectrum, frequency_hz = np.fft.rfft(sound), np.fft.rfftfreq(samples, 1 / 16_000)
    slope = 1 / (1 + (frequency_hz / 600) ** 2) if style == "dull" else 0.2 + frequency_hz / 4_000
    waveform = np.fft.irfft(spectrum * slope, samples)
    waveform = 0.1 * waveform / waveform.std() + 0.003 * rng.standard_normal(samples)
    audio = from_pcm(to_pcm(waveform))
    return Recording(
        id=audio_id(audio),
        source="made-up",
        patient_id=patient,
        label=label,
        source_label=label,
        style=style,
        waveform=audio,
        original_sample_rate_hz=16_000,
        narrative=f"A patient presents with {'wheezing' if label != CONTROL else 'no complaint'}.",
        split="train",
        quality={"peak_db": 0.0, "rms_db": 0.0, "clipped_share": 0.0},
    )


def train_split(duration_s: float = 1.0) -> list[Recording]:
    """Controls in both styles, the other label in one of them only; a patient each, but for the first two."""
    cells = [(CONTROL, "bright")] * 4 + [(CONTROL, "dull")] * 4 + [("asthma", "dull")] * 4
    return [
        recording(label, style, f"patient-{max(index, 1)}", index, duration_s)
        for index, (label, style) in enumerate(cells)
    ]


def settings(seed: int = 0, **generator) -> Settings:
    """The smallest generator in which every part works."""
    short = TrainingSettings(steps=4, batch=4, warmup=1, checkpoint_every=2)
    made = GeneratorSettings(
        content="planned",
        units=12,
        griffin_lim_iterations=2,
        planner=PlannerSettings(width=16, layers=1, heads=2, training=short),
        flow=FlowSettings(width=16, layers=1, heads=2, solver_steps=2, components=8, training=short),
    )
    return Settings(seed=seed, audio=AudioSettings(clip_s=1.0), generator=dataclasses.replace(made, **generator))
