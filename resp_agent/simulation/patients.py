"""Invented patients: age, sex, site, symptoms, history. They lean with the label as in a clinic, and overlap widely."""

from dataclasses import dataclass

import numpy as np

from resp_agent.taxonomy import CONTROL

SITES = (
    "trachea",
    "anterior left chest",
    "anterior right chest",
    "posterior left chest",
    "posterior right chest",
    "lateral left chest",
    "lateral right chest",
)

SYMPTOMS = (
    "cough",
    "shortness of breath",
    "fever",
    "sputum",
    "chest tightness",
    "chest pain",
    "runny nose",
    "sore throat",
    "fatigue",
)
_SYMPTOM_SHARE = {
    CONTROL: (0.25, 0.12, 0.08, 0.10, 0.10, 0.10, 0.15, 0.12, 0.20),
    "asthma": (0.55, 0.50, 0.10, 0.20, 0.45, 0.12, 0.20, 0.10, 0.20),
    "pneumonia": (0.65, 0.45, 0.55, 0.40, 0.15, 0.25, 0.15, 0.15, 0.40),
    "COPD": (0.60, 0.60, 0.12, 0.50, 0.30, 0.12, 0.10, 0.08, 0.35),
    "bronchiolitis": (0.65, 0.50, 0.40, 0.20, 0.15, 0.05, 0.45, 0.12, 0.25),
    "upper respiratory tract infection": (0.55, 0.30, 0.40, 0.20, 0.12, 0.08, 0.45, 0.45, 0.25),
    "chronic cough": (0.75, 0.20, 0.08, 0.35, 0.15, 0.12, 0.20, 0.20, 0.20),
    "other respiratory disease": (0.40, 0.40, 0.25, 0.18, 0.20, 0.40, 0.10, 0.08, 0.30),
}
"""Probability of each symptom."""

HISTORIES = (
    "former smoker",
    "current smoker",
    "allergic rhinitis",
    "eczema",
    "premature birth",
    "hypertension",
    "diabetes",
    "reflux",
)
_HISTORY_SHARE = {
    CONTROL: (0.15, 0.15, 0.15, 0.08, 0.05, 0.15, 0.08, 0.10),
    "asthma": (0.12, 0.12, 0.35, 0.22, 0.08, 0.12, 0.08, 0.12),
    "pneumonia": (0.20, 0.20, 0.12, 0.08, 0.06, 0.25, 0.18, 0.10),
    "COPD": (0.40, 0.30, 0.10, 0.06, 0.03, 0.30, 0.18, 0.12),
    "bronchiolitis": (0.06, 0.06, 0.18, 0.15, 0.20, 0.06, 0.03, 0.08),
    "upper respiratory tract infection": (0.10, 0.15, 0.20, 0.12, 0.08, 0.10, 0.06, 0.10),
    "chronic cough": (0.20, 0.18, 0.22, 0.08, 0.05, 0.20, 0.08, 0.30),
    "other respiratory disease": (0.20, 0.18, 0.12, 0.08, 0.05, 0.22, 0.15, 0.10),
}
"""Probability of each entry; what belongs to grown-ups is not drawn for children, and the reverse."""
_GROWN_UP = frozenset({"former smoker", "current smoker", "hypertension"})

_CHILD, _ADULT, _OLD = (0.3, 14.0), (18.0, 60.0), (60.0, 88.0)
_AGE_SHARE = {
    CONTROL: (0.35, 0.45, 0.20),
    "asthma": (0.45, 0.40, 0.15),
    "pneumonia": (0.35, 0.30, 0.35),
    "COPD": (0.05, 0.40, 0.55),
    "bronchiolitis": (0.70, 0.20, 0.10),
    "upper respiratory tract infection": (0.50, 0.35, 0.15),
    "chronic cough": (0.30, 0.45, 0.25),
    "other respiratory disease": (0.20, 0.45, 0.35),
}
"""Share of children, adults and the old."""


LEAN = 0.55
"""How far the shares above lie from their mean over labels, 0 to 1: at 0 fields say nothing about the label."""


@dataclass(frozen=True)
class Patient:
    """What a clinic would write down of a patient, and where on the body was listened."""

    age_years: float
    sex: str
    site: str
    symptoms: tuple[str, ...]
    history: tuple[str, ...]


def invented(label: str, rng: np.random.Generator) -> Patient:
    """A patient for a label. No field names a condition."""
    group = int(rng.choice(3, p=_leaning(_AGE_SHARE, label)))
    age_years = float(rng.uniform(*(_CHILD, _ADULT, _OLD)[group]))
    age_years = round(age_years, 1) if age_years < 3 else float(round(age_years))
    sex = str(rng.choice(["female", "male"]))
    at_neck = 0.25 if label == "upper respiratory tract infection" else 0.14
    site = SITES[0] if rng.random() < at_neck else SITES[int(rng.integers(1, len(SITES)))]
    felt = rng.random(len(SYMPTOMS)) < _leaning(_SYMPTOM_SHARE, label)
    had = rng.random(len(HISTORIES)) < _leaning(_HISTORY_SHARE, label)
    history = [name for name, here in zip(HISTORIES, had, strict=True) if here]
    if group == 0:
        history = [name for name in history if name not in _GROWN_UP]
    if group != 0:
        history = [name for name in history if name != "premature birth"]
    if "former smoker" in history and "current smoker" in history:
        history.remove("former smoker")
    symptoms = tuple(name for name, here in zip(SYMPTOMS, felt, strict=True) if here)
    return Patient(age_years, sex, site, symptoms, tuple(history))


def _leaning(shares: dict[str, tuple[float, ...]], label: str) -> np.ndarray:
    mean = np.mean(list(shares.values()), axis=0)
    return mean + LEAN * (np.array(shares[label]) - mean)
