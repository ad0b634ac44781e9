"""Small corpora in the original layouts of their sources, with sound that was made for tests."""

import csv
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


UKCOVID_RESULTS = {
    "aA1": "Positive", "bB2": "Positive", "cC3": "Positive", "dD4": "Negative", "eE5": "Negative", "fF6": "Negative",
    "gG7": "Unknown/Void",
}  # fmt: skip


def ukcovid(root: Path, results: dict[str, str] | None = None) -> Path:
    """A UK COVID-19 layout of two tables, with a cough, an exhalation and a sentence of each; returns its root."""
    results = UKCOVID_RESULTS if results is None else results
    (root / "audio").mkdir(parents=True)
    people, sounds = [], []
    for number, (participant, result) in enumerate(results.items()):
        people.append(
            {
                "participant_identifier": participant,
                "age": "18-44" if number else "63",
                "gender": ("Female", "Male")[number % 2],
                "smoker_status": "Current smoker (1 to 10 cigarettes per day)" if number else "Prefer not to say",
                "respiratory_condition_asthma": "1.0" if number else "0.0",
                "respiratory_condition_other": "",
                "symptom_none": "0" if number else "1",
                "symptom_cough_any": "1" if number else "0",
                "symptom_fever_high_temperature": "True" if number else "nan",
                "covid_test_result": result,
                "covid_viral_load_category": "High",
            }
        )
        row = {"participant_identifier": participant}
        for kind in ("sentence", "exhalation", "cough"):
            row[f"{kind}_file_name"] = f"{participant}_{kind}.wav"
            sound = noise(f"{participant} {kind}", rate_hz=16_000)
            soundfile.write(root / "audio" / f"{participant}_{kind}.wav", sound, 16_000, subtype="PCM_16")
        sounds.append(row)
    write_csv(root / "participant_metadata.csv", people)
    write_csv(root / "audio_metadata.csv", sounds)
    return root


COUGHVID_STATUS = {
    "00-aa": "healthy", "01-bb": "healthy", "02-cc": "healthy", "03-dd": "COVID-19", "04-ee": "COVID-19",
    "05-ff": "COVID-19", "06-gg": "symptomatic", "07-hh": "symptomatic", "08-ii": "", "09-jj": "healthy",
}  # fmt: skip
COUGHVID_EXPERTS = {
    "06-gg": ("good upper_infection", "ok upper_infection", "ok COVID-19"),
    "07-hh": ("good upper_infection", "ok lower_infection", ""),
    "09-jj": ("no_cough ", "no_cough ", "ok healthy_cough"),
}
"""Quality and diagnosis of three experts."""


def coughvid(root: Path, status: dict[str, str] | None = None) -> Path:
    """A COUGHVID layout with a recording an uuid; returns its root."""
    status = COUGHVID_STATUS if status is None else status
    root.mkdir(parents=True)
    rows = []
    for number, (uuid, said) in enumerate(status.items()):
        row = {"uuid": uuid, "age": "30.0", "gender": ("female", "male", "other")[number % 3]}
        row |= {"respiratory_condition": "True", "fever_muscle_pain": str(number % 2 == 0), "status": said}
        for expert, words in enumerate(COUGHVID_EXPERTS.get(uuid, ("", "", "")), 1):
            row[f"quality_{expert}"], _, row[f"diagnosis_{expert}"] = words.partition(" ")
        rows.append(row if said else row | dict.fromkeys(("age", "gender", "fever_muscle_pain"), ""))
        soundfile.write(root / f"{uuid}.ogg", noise(uuid, rate_hz=16_000), 16_000, subtype="VORBIS")
    write_csv(root / "metadata_compiled.csv", rows)
    return root


KAUH_PATIENTS = {
    "1": "Asthma,E W,P L L,70,M", "2": "asthma,E W,P L L R,52,F", "3": "N,N,A U R,50,F", "4": "N,N,P R M,33,M",
    "5": "N,N,P,20,F", "6": "Heart Failure + Lung Fibrosis ,I C,P L R,72,F", "7": "heart failure,Crep,P R L ,76,F",
    "8": "Plueral Effusion,I C B,A L U,81,M",
}  # fmt: skip


def kauh(root: Path, patients: dict[str, str] | None = None) -> Path:
    """A KAUH layout with three filterings a patient; returns its root."""
    patients = KAUH_PATIENTS if patients is None else patients
    (root / "Audio Files").mkdir(parents=True)
    for patient, rest in patients.items():
        sound = noise(f"kauh {patient}", rate_hz=4_000)
        for mode, taps in (("B", 1), ("D", 3), ("E", 9)):
            path = root / "Audio Files" / f"{mode}P{patient}_{rest}.wav"
            soundfile.write(path, np.convolve(sound, np.ones(taps) / taps, "same"), 4_000, subtype="PCM_16")
    return root


def covid19cough(root: Path) -> Path:
    """A covid19-cough layout of three coughs with the disease and three without; returns its root."""
    (root / "raw").mkdir(parents=True)
    entries = []
    for number in range(6):
        name, telephone = f"{number}f-cough.mp3", number % 2 == 0
        entry = {"filename": name, "covid19": number < 3, "source": "call-center" if telephone else "telegram"}
        entry |= {"asymptomatic": False, "verified": None, "comment": "coughs since Monday"}
        entries.append(entry | ({"start_at": 0.2, "end_at": 0.9} if number == 0 else {}))
        soundfile.write(root / "raw" / name, noise(name, rate_hz=16_000), 16_000, format="MP3")
    (root / "metadata.json").write_text(json.dumps(entries))
    return root


HFLUNG_EVENTS = (
    "I 00:00:00.000 00:00:00.300\nE 00:00:00.300 00:00:00.500\nI 00:00:00.500 00:00:00.800\n"
    "D 00:00:00.550 00:00:00.700\nWheeze 00:00:00.800 00:00:00.900\nRhonchi 00:00:00.900 00:00:01.000\n"
)


def hflung(root: Path) -> Path:
    """A HF_Lung_V1 layout with recordings of a stethoscope and pieces of two long ones; returns its root."""
    names = {
        "train": (
            "steth_20190820_10_00_00",
            "steth_20190820_10_05_00",
            *(f"trunc_2019-07-15-11-30-19-L{channel}_{piece}" for channel in (1, 2) for piece in (0, 1)),
        ),
        "test": ("steth_20190901_09_00_00", "trunc_2019-08-01-09-00-00-L1_3"),
    }
    for folder, stems in names.items():
        (root / folder).mkdir(parents=True)
        for stem in stems:
            soundfile.write(root / folder / f"{stem}.wav", noise(stem, rate_hz=4_000), 4_000, subtype="PCM_16")
            (root / folder / f"{stem}_label.txt").write_text("" if folder == "test" else HFLUNG_EVENTS)
    return root


FOLDER_LABELS = {
    "p1": "asthma", "p2": "Asthma ", "p3": "asthma", "p4": "healthy", "p5": "Healthy", "p6": "gesund", "p7": "",
    "p8": "heart",
}  # fmt: skip


def folder(root: Path, labels: dict[str, str] | None = None) -> Path:
    """A user's folder with two recordings a patient, one of them in a folder with a table of its own; returns its root.

    Two words are the user's own, mapped by `labels.csv`.
    """
    labels = FOLDER_LABELS if labels is None else labels
    (root / "visit-2" / "audio").mkdir(parents=True)
    first, second = [], []
    for number, (patient, label) in enumerate(labels.items()):
        for path in (root / f"{patient}.wav", root / "visit-2" / "audio" / f"{patient}.wav"):
            sound = noise(f"folder {path.parent.name} {patient}", rate_hz=8_000)
            soundfile.write(path, sound, 8_000, subtype="PCM_16")
        row = {"label": label, "patient_id": patient, "age_years": str(20.5 + number), "sex": "fm"[number % 2]}
        row |= {"device": "phone", "site": "trachea", "symptoms": "cough; fever", "history": "never smoked"}
        first.append({"file_name": f"{patient}.wav", **row, "split": "old", "events": "wheeze 0.5 0.9; rub 0.1 0.2"})
        second.append({"file_name": f"audio/{patient}.wav", "label": label, "patient_id": patient})
    write_csv(root / "metadata.csv", first)
    write_csv(root / "visit-2" / "metadata.csv", second)
    (root / "labels.csv").write_text(
        "source_label,label,reason\nGesund,control group,\nheart,,a disease of the heart\n", encoding="utf-8"
    )
    return root


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    """Rows of the same columns as a csv with their header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
