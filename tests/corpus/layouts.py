"""Small corpora in the original layouts of their sources, with sound that was made for tests."""

import json
from pathlib import Path

import numpy as np
import soundfile

from tests.audio.waves import noise

ICBHI_PATIENTS = {
    "101": "COPD", "102": "COPD", "103": "COPD", "104": "Healthy", "105": "Healthy", "106": "Healthy", "107": "URTI",
}  # fmt: skip
ICBHI_DEVICES = ("AKGC417L", "LittC2SE", "Litt3200", "Meditron")
CYCLES = "0.0\t0.4\t0\t0\n0.4\t0.6\t1\t0\n0.6\t0.8\t0\t1\n0.8\t1.0\t1\t1\n"


def icbhi(root: Path, patients: dict[str, str] | None = None) -> Path:
    """An ICBHI layout with two recordings a patient; returns its root."""
    patients = ICBHI_PATIENTS if patients is None else patients
    audio = root / "ICBHI_final_database"
    audio.mkdir(parents=True)
    table = "".join(f"{patient}\t{label}\n" for patient, label in patients.items())
    (root / "ICBHI_Challenge_diagnosis.txt").write_text(table)
    people = "".join(f"{patient}\t{60 + i}\t{'FM'[i % 2]}\t25\tNA\tNA\r\n" for i, patient in enumerate(patients))
    (root / "ICBHI_Challenge_demographic_information.txt").write_text(people)
    splits = ""
    for number, patient in enumerate(patients):
        for site in ("Al", "Pr"):
            name = f"{patient}_1b1_{site}_sc_{ICBHI_DEVICES[number % 4]}"
            soundfile.write(audio / f"{name}.wav", noise(name, rate_hz=4_000), 4_000, subtype="PCM_16")
            (audio / f"{name}.txt").write_text(CYCLES)
            splits += f"{name}\t{'test' if number % 2 else 'train'}\r\n"
    (root / "ICBHI_challenge_train_test.txt").write_bytes(splits.encode())
    return root


SPRSOUND_PATIENTS = {
    "40000001": "Asthma", "40000002": "Asthma", "40000003": "Asthma", "40000004": "Control Group",
    "40000005": "Control Group", "40000006": "Control Group", "40000007": "Bronchitis",
}  # fmt: skip


def sprsound(root: Path, patients: dict[str, str] | None = None) -> Path:
    """A SPRSound layout with two recordings a patient, and one more that its annotators rejected; returns its root."""
    patients = SPRSOUND_PATIENTS if patients is None else patients
    for folder in ("train_wav", "train_json", "test_wav", "test_json/intra_test_json", "Patient Summary"):
        (root / folder).mkdir(parents=True)
    rows = "".join(f"{i},{patient},{disease},4.5,F\n" for i, (patient, disease) in enumerate(patients.items()))
    (root / "Patient Summary" / "summary.csv").write_text("," + "patient_num,disease,age,gender\n" + rows)
    marks = [("0", "300", "Normal"), ("300", "500", "Fine Crackle"), ("500", "990", "Wheeze+Crackle")]
    good = {
        "record_annotation": "CAS & DAS",
        "event_annotation": [dict(zip(("start", "end", "type"), m, strict=True)) for m in marks],
    }
    poor = {"record_annotation": "Poor Quality", "event_annotation": []}
    first = next(iter(patients), None)
    for patient in patients:
        for number, age in enumerate(("4.5", "5.0", "5.1") if patient == first else ("4.5", "5.0")):
            name = f"{patient}_{age}_{number % 2}_p{number + 1}_{number + 10}"
            wav, notes = ("train_wav", "train_json") if number != 1 else ("test_wav", "test_json/intra_test_json")
            # Low-pass or not: clusters have something to tell apart.
            sound = np.convolve(noise(name, rate_hz=8_000), np.ones(1 + 6 * number) / (1 + 6 * number), "same")
            soundfile.write(root / wav / f"{name}.wav", sound, 8_000, subtype="PCM_16")
            (root / notes / f"{name}.json").write_text(json.dumps(poor if number == 2 else good))
    return root
