"""A clinical note of one to three sentences from allow-listed fields, and the check that it gives nothing away.

The same templates write for the embedded corpus and for real ones. Only age, sex, site, symptoms and history are read:
never label, test result, patient id or device. An entry that names a condition or a test is left out.
"""

import re
from collections.abc import Iterable

from resp_agent.randomness import seed_of
from resp_agent.taxonomy import CONTROL, LABELS

SYNONYMS: dict[str, tuple[str, ...]] = {
    CONTROL: ("control group", "control subject", "healthy", "no disease", "disease-free", "normal lungs"),
    "COVID-19": ("covid", "covid-19", "sars-cov-2", "coronavirus"),
    "pneumonia": ("pneumonia", "pneumonias", "pneumonic", "pneumonitis", "bronchopneumonia", "lung infection"),
    "COPD": ("copd", "chronic obstructive", "obstructive pulmonary", "emphysema", "emphysematous"),
    "asthma": ("asthma", "asthmatic", "reactive airway"),
    "bronchitis": ("bronchitis", "bronchitic", "tracheobronchitis"),
    "bronchiolitis": ("bronchiolitis", "bronchiolitic"),
    "bronchiectasis": ("bronchiectasis", "bronchiectatic"),
    "upper respiratory tract infection": (
        "upper respiratory", "upper airway infection", "urti", "uri", "common cold", "croup", "laryngitis",
        "laryngotracheitis", "pharyngitis", "tonsillitis", "sinusitis", "epiglottitis",
    ),
    "lower respiratory tract infection": ("lower respiratory", "lrti", "chest infection", "lung infection"),
    "chronic cough": ("chronic cough", "persistent cough", "long-standing cough", "cough for months"),
    "hemoptysis": ("hemoptysis", "haemoptysis", "coughing blood", "coughing up blood", "bloody sputum"),
    "airway foreign body": ("foreign body", "foreign object", "aspirated object", "inhaled object"),
    "pulmonary hemosiderosis": ("hemosiderosis", "haemosiderosis"),
    "protracted bacterial bronchitis": ("protracted bacterial", "bacterial bronchitis", "bronchitis", "pbb"),
    "other respiratory disease": ("respiratory disease", "pleurisy", "pleuritis", "pleural disease", "lung disease"),
}  # fmt: skip
"""For each label, lower-case words that give it away."""

TEST_RESULTS = (
    "pcr", "antigen", "viral load", "test positive", "test negative", "tested positive", "tested negative",
    "test result", "swab", "spirometry", "fev1", "x-ray", "radiograph", "ct scan", "computed tomography", "culture",
    "biopsy", "diagnosis", "diagnosed",
)  # fmt: skip
"""Lower-case words of test results and diagnoses, which no narrative may hold."""


def term_pattern(words: Iterable[str]) -> re.Pattern:
    """Finds lower-case terms as whole words, in any case."""
    # Longest first, so that "covid-19" is not found as "covid"; any space or hyphen joins the words of one term.
    ordered = sorted(words, key=lambda word: (-len(word), word))
    terms = "|".join(re.escape(word).replace(r"\ ", r"[\s-]+").replace(r"\-", r"[\s-]?") for word in ordered)
    return re.compile(rf"(?<![a-z0-9])(?:{terms})(?![a-z0-9])", re.IGNORECASE)


_GIVES_AWAY = {label: term_pattern((*SYNONYMS[label], label.lower(), *TEST_RESULTS)) for label in LABELS}
_ANY = term_pattern({*TEST_RESULTS, *(word for words in SYNONYMS.values() for word in words), *map(str.lower, LABELS)})


def leaks(narrative: str, label: str) -> list[str]:
    """Words of a text that name its label, a synonym of it or a test result, in lower case and in their order.

    Raises:
        KeyError: the taxonomy has no such label.
    """
    return [found.group().lower() for found in _GIVES_AWAY[label].finditer(narrative)]


def narrative(
    recording_id: str,
    *,
    age_years: float | None = None,
    sex: str | None = None,
    site: str | None = None,
    symptoms: Iterable[str] = (),
    history: Iterable[str] = (),
) -> str:
    """A note on a recording, such as "A 63-year-old man reports cough and fever. Recorded at the trachea."

    What is missing is left out; wording varies with the recording's id and with nothing else.
    """
    variant = seed_of("narrative", recording_id)
    person = _person(age_years, sex)
    felt = _join(_allowed(symptoms))
    had = _join(_allowed(history))
    if felt:
        first = _pick(("{0} presents with {1}.", "{0} reports {1}.", "{0} is seen for {1}."), variant).format(
            person, felt
        )
    else:
        first = _pick(("{0} is examined.", "{0} attends for auscultation.", "{0} is seen in clinic."), variant).format(
            person
        )
    sentences = [first]
    if had:
        sentences.append(
            _pick(("Past history: {0}.", "History includes {0}.", "Background of {0}."), variant // 3).format(had)
        )
    if site and not _ANY.search(site):
        where = site.strip().replace("_", " ")
        sentences.append(
            _pick(
                ("Breath sounds are recorded at the {0}.", "Auscultation site: {0}.", "The {0} is auscultated."),
                variant // 9,
            ).format(where)
        )
    return " ".join(sentences)


def _pick(choices: tuple[str, ...], number: int) -> str:
    return choices[number % len(choices)]


def _allowed(entries: Iterable[str]) -> list[str]:
    plain = (entry.strip().replace("_", " ") for entry in entries)
    return [entry for entry in plain if entry and not _ANY.search(entry)]


def _join(entries: list[str]) -> str:
    if len(entries) < 2:
        return "".join(entries)
    return f"{', '.join(entries[:-1])} and {entries[-1]}"


def _person(age_years: float | None, sex: str | None) -> str:
    word = (sex or "").strip().lower()
    female, male = word in ("f", "female"), word in ("m", "male")
    young = age_years is not None and age_years < 18
    noun = "patient"
    if female or male:
        noun = ("girl" if young else "woman") if female else ("boy" if young else "man")
        noun = noun if age_years is not None else f"{'female' if female else 'male'} patient"
    if age_years is None:
        return f"A {noun}"
    count, unit = spoken_age(age_years)
    article = "An" if count in (8, 11, 18) or 80 <= count <= 89 else "A"
    return f"{article} {count}-{unit}-old {noun}"


def spoken_age(age_years: float) -> tuple[int, str]:
    """An age as it is said: a count and its unit, "month" under 2 years and "year" from then on."""
    if age_years < 2:
        return max(1, round(age_years * 12)), "month"
    return int(age_years), "year"
