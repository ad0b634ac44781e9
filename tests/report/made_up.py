"""A made-up run to draw: scores that rise, requests where it is weak, sounds of bursts, chirps and noise."""

from dataclasses import replace

import numpy as np

from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Event, Recording, audio_id
from resp_agent.curriculum.assessment import Assessment
from resp_agent.randomness import seed_of, stream
from resp_agent.report.record import RunRecord
from resp_agent.settings import tiny, to_plain
from resp_agent.taxonomy import LABELS

STYLES = ("bell", "diaphragm", "electronic stethoscope", "smartphone", "contact microphone")

SECONDS = {
    "corpus": 33.2,
    "first_training_generator": 96.5,
    "first_training_diagnoser": 21.7,
    "synthesize": 20.1,
    "learn": 33.0,
    "judging": 2.4,
}
QUARANTINE = [
    {"source": "icbhi", "path": "audio/101_1b1_Al_sc_Meditron.wav", "reason": "not audio: the header names no format"},
    {"source": "sprsound", "path": "train_wav/41006661_5.2_0_p2.wav", "reason": "silent: no sample is above −60 dB"},
]


def made_up(
    labels=LABELS[:8],
    styles=STYLES,
    rounds=8,
    policy="weakness",
    budget=320,
    per_cell=4,
    absent_valid=(),
    seed=0,
    duration_s=3.0,
) -> RunRecord:
    """A record with these labels and styles; `absent_valid` are labels that the validation split lacks."""
    synthesizes = policy != "none"
    valid = [
        assessment("valid", labels, styles, per_cell, 0.42 + 0.24 * at / max(rounds, 1), seed, at, absent_valid)
        for at in range(rounds + 1)
    ]
    before, after = (assessment("test", labels, styles, 2 * per_cell, skill, seed, "test") for skill in (0.4, 0.62))
    journal, spent = [], 0
    rng = stream(seed, "made-up requests")
    for at, scored in enumerate(valid):
        requests, ids = [], []
        if at and synthesizes:
            clips = -(-(budget - spent) // (rounds - at + 1))
            weak = (1 - scored.by_cell()["f1"]) ** 2
            for request in range(min(8, clips)):
                cell = rng.choice(weak.size, p=weak.ravel() / weak.sum())
                count = clips // 8 + (request < clips % 8)
                label, style = labels[cell // len(styles)], styles[cell % len(styles)]
                requests.append(
                    {
                        "label": label,
                        "style": style,
                        "count": count,
                        "seed": seed_of(seed, at, request),
                        "content": "planned",
                        "hardness": 0.0,
                    }
                )
            ids = [f"{at:02d}{clip:030d}" for clip in range(sum(r["count"] for r in requests))]
            spent += len(ids)
        journal.append(
            {
                "round": at,
                "requests": requests,
                "clip_ids": ids,
                "reward": scored.macro_f1 - valid[at - 1].macro_f1 if at else None,
                "valid_macro_f1": scored.macro_f1,
                "seconds": {
                    "synthesize": 2.5 if ids else 0.0,
                    "learn": 4.1 if at else 0.0,
                    "round": 6.8 if at else 0.0,
                },
            }
        )
    made = [(line, request, at) for line in journal for at, request in enumerate(line["requests"])]
    clips = []
    for line, request, at in made:
        if any((clip.label, clip.style) == (request["label"], request["style"]) for clip in clips):
            continue
        start = sum(earlier["count"] for earlier in line["requests"][:at])
        asked = {**request, "index": 0, "generator": "f0"}
        clip = recording(request["label"], request["style"], duration_s, seed, "clip", asked)
        clips.append(replace(clip, id=line["clip_ids"][start]))
    real = [
        recording(label, styles[at % len(styles)], duration_s + 3 * (at == 1), seed, "real")
        for at, label in enumerate(labels)
    ]
    return RunRecord(
        settings=to_plain(tiny()),
        versions={"resp-agent-ray": "0.1.0", "torch": "2.13.0", "ray": "2.60.0", "python": "3.11.2"},
        labels=tuple(labels),
        styles=tuple(styles),
        rounds=journal,
        valid=valid,
        test_before=before,
        test_after=after,
        summary={
            "test_macro_f1_before": before.macro_f1,
            "test_macro_f1_after": after.macro_f1,
            "test_macro_f1_ci95": [after.macro_f1 - 0.041, after.macro_f1 + 0.038],
            "valid_macro_f1": [a.macro_f1 for a in valid],
            "rewards": [line["reward"] for line in journal[1:]],
            "requests": sum(len(line["requests"]) for line in journal),
            "clips": spent,
            "budget": budget if synthesizes else 0,
            "policy": policy,
            "seed": seed,
            "seconds": SECONDS,
            "quarantined": 2,
        },
        clips=clips,
        real=real,
        notes=["pulmonary hemosiderosis has 1 patient, too few for validation."] if absent_valid else [],
        quarantine=QUARANTINE,
    )


def assessment(split, labels, styles, per_cell, skill, seed, at, absent=()) -> Assessment:
    """Scores of a diagnoser that is right with a probability around `skill`, less for later labels and styles."""
    truth = np.array(
        [c for c, label in enumerate(labels) if label not in absent for _ in range(per_cell * len(styles))], int
    )
    style = np.tile(np.repeat(np.arange(len(styles)), per_cell), len(truth) // (per_cell * len(styles)))
    rng = stream(seed, "made-up", split, at)
    right = rng.random(len(truth)) < np.clip(skill + 0.3 - 0.06 * truth - 0.03 * style, 0.02, 0.98)
    wrong = (truth + rng.choice([-1, 1, 2, -2], len(truth), p=[0.35, 0.35, 0.15, 0.15])) % len(labels)
    guess = np.where(right, truth, wrong)
    logits = rng.normal(0, 0.6, (len(truth), len(labels))) + 3 * np.eye(len(labels))[guess]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    heard = [
        200 if c == 0 else 40 if c < 3 and s < 2 else 12 if s == c % len(styles) else 0
        for c in range(len(labels))
        for s in range(len(styles))
    ]
    ids = tuple(f"{split}-{n}" for n in range(len(truth)))
    return Assessment(split, tuple(labels), tuple(styles), ids, truth, style, probabilities, 1.0, tuple(heard))


def recording(label, style, duration_s, seed, source, request=None) -> Recording:
    """Breath-like noise with chirps and clicks, marked as events."""
    rng = stream(seed, "made-up sound", label, style, source)
    t = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    breath = np.maximum(np.sin(2 * np.pi * t / 1.5), 0.08) * rng.normal(0, 1, len(t))
    spectrum = np.fft.rfft(breath) / (1 + (np.fft.rfftfreq(len(t), 1 / SAMPLE_RATE_HZ) / 300) ** 1.6)
    wave = np.fft.irfft(spectrum, len(t))
    wave /= np.abs(wave).max()
    events = []
    for start_s in rng.uniform(0, max(duration_s - 0.6, 0.1), 4):
        length_s = rng.uniform(0.2, 0.5)
        tone = np.sin(2 * np.pi * (280 + 60 * t) * t) * np.exp(-(((t - start_s - length_s / 2) / (length_s / 3)) ** 2))
        wave += 0.25 * tone
        events.append(Event(float(start_s), float(start_s + length_s), "wheeze"))
    for start_s in rng.uniform(0, max(duration_s - 0.1, 0.1), 8):
        wave += 0.5 * np.sin(2 * np.pi * 650 * t) * np.exp(-np.abs(t - start_s) / 0.004)
        events.append(Event(float(start_s), float(start_s + 0.012), "fine crackle"))
    wave = np.rint(np.clip(0.3 * wave, -1, 1) * 32767).astype(np.float32) / 32768
    return Recording(
        id=audio_id(wave),
        source="icbhi" if source == "real" else "synthetic",
        patient_id=f"{source}/1",
        label=label,
        source_label=label,
        style=style,
        waveform=wave,
        original_sample_rate_hz=SAMPLE_RATE_HZ,
        narrative="A narrative.",
        split="train",
        events=tuple(sorted(events, key=lambda event: event.start_s)) if source == "real" else (),
        request=request,
    )
