"""What gives a label away wherever it stands: conditions, tests and identifiers, also in disguise.

One list serves both ends: what a record may tell to a language model, and what comes back from it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from resp_agent.corpus.narrative.template import SYNONYMS, TEST_RESULTS, term_pattern
from resp_agent.taxonomy import LABELS

TESTS = (
    *TEST_RESULTS, "test", "tests", "tested", "testing", "untested", "result", "results", "resulted", "positive",
    "positives", "positivity", "negative", "negatives", "negativity", "seropositive", "seronegative", "confirmed",
    "confirmatory", "confirms", "confirm", "screening", "screened", "swabs", "swabbed", "antigens", "antibody",
    "antibodies", "igg", "igm", "ige", "serology", "titre", "titer", "lateral flow", "lft", "lfts", "lfd", "rt-pcr",
    "naat", "assay", "ct", "cycle threshold", "viral", "virus", "x ray", "x rays", "xray", "xrays", "x-rays", "cxr",
    "chest film", "infiltrate", "infiltrates", "consolidation", "opacity", "opacities", "radiology", "radiological",
    "radiographs", "radiographic", "imaging", "scan", "scans", "mri", "ultrasound", "spirometric", "fev", "fvc", "pef",
    "peak flow", "lung function", "dlco", "feno", "reversibility", "spo2", "sao2", "saturation", "saturations", "sats",
    "oximetry", "oximeter", "oxygenation", "blood gas", "haemoglobin", "hemoglobin", "white cell", "white cells",
    "white blood", "wbc", "leukocytes", "leukocytosis", "leucocytes", "lymphocytes", "neutrophils", "eosinophils",
    "eosinophilia", "platelets", "crp", "c-reactive", "procalcitonin", "esr", "ferritin", "d-dimer", "laboratory",
    "lab", "labs", "blood count", "blood test", "blood tests", "bloods", "cultures", "cultured", "smear", "gram stain",
    "bronchoscopy", "bronchoscopic", "laryngoscopy", "endoscopy", "histology", "pathology", "biopsies", "ecg", "ekg",
    "echocardiogram", "diagnoses", "diagnose", "diagnostic", "diagnosing", "undiagnosed", "prognosis", "suspected",
    "differential",
)  # fmt: skip
"""Lower-case words of tests, their results and diagnoses."""

STEMS = (
    "covid", "coronavir", "sarscov", "pneumon", "emphysem", "copd", "asthma", "bronchi", "urti", "lrti", "croup",
    "laryngi", "laryngo", "pharyngi", "tonsill", "sinusi", "epiglott", "hemopty", "haemopty", "hemosider", "haemosider",
    "siderosis", "pleuri", "pleural", "obstructive", "healthy",
)  # fmt: skip
"""What no word may hold, wherever in it: conditions in their inflections and compounds."""

HINTS = r"""
    inhaler inhalers inhaled inhaling inhalation puffer nebuli[sz]\w* \w*steroids? \w*(?<!choles)terol salbutamol
    ventolin \w*sone \w*solone \w*sonide \w*tropium montelukast theophylline \w*bron[cq]\w* antibiotics? \w*cillin
    \w*mycin \w*cycline antivirals? remdesivir paxlovid tamiflu oxygen ventilat\w* intubat\w* cpap bipap \w*vaccin\w*
    medicat\w* medicines? treat\w* therap\w* pos neg dx ddx rx tx icd gold tb tubercul\w* influenza flu gripp?e colds?
    rsv \w*infect\w* exacerbat\w* flares? \w*fibrosis ild pna cap rti cancer tumou?rs? carcinoma sarcoid\w* silicosis
    pertussis whooping \w*inflam\w* (?<!nasal\s)obstruct\w* aspirat\w* chok\w* foreign swallowed
    blood(?!y?\s(?:pressure|sugar))\w* hyperinflat\w* effusion nodules? lesions? atelectasis pneumo\w* empyema embol\w*
    shadow\w* ground\sglass asma\w* asthme neumon\w* epoc bpco dpoc lungs? lungen\w* pulmon\w* airways? weak\schest
    chest\sweakness study studies cases? controls? cohort groups? volunteers? participants? enrol\w* labels? labelled
    normal contacts? quarantin\w* isolat\w* outbreak pandemic
"""
"""Patterns of lower-case words that no symptom and no history may hold, since a label can be guessed from them."""

PLACES = ("hospitals?", "wards?", "icu", "clinics?", "departments?", "rooms?", "beds?", "universit\\w*", "infirmary")
"""Patterns of lower-case words that make an entry an address rather than a site."""

SOURCES = (
    "icbhi", "sprsound", "kauh", "coughvid", "ukcovid", "uk covid-19", "covid19cough", "covid19_cough", "hflung",
    "coswara",
)  # fmt: skip
"""Lower-case names of corpora; a corpus of few labels tells the label."""

_NAMES = (*LABELS, "sars", "coad", "reactive airways", *(word for words in SYNONYMS.values() for word in words))
_CONDITION = term_pattern({name.lower() for name in _NAMES})
_TEST = term_pattern(TESTS)
_SOURCE = term_pattern(SOURCES)
_HINT = re.compile(rf"(?<![a-z])(?:{'|'.join(HINTS.split())})(?![a-z])", re.I)
_PLACE = re.compile(rf"(?<![a-z])(?:{'|'.join(PLACES)})(?![a-z])", re.I)
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn")
# Each digit or sign as the letter that it is drawn for; a one is drawn for two of them.
_LEET = tuple(str.maketrans("01345789@$!", f"o{one}eastbgasi") for one in "il")
_TITLE = re.compile(r"\b(?:mr|mrs|ms|miss|mx|dr|prof|professor|sir|madam|doctor|nurse|named|called)\b\.? +[a-z]", re.I)
_LONG_NUMBER = re.compile(r"\d(?:[ -]?\d){3}")
_TOKEN = re.compile(r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,}\b", re.I)


def plain(text: str) -> str:
    """Text without disguise: compatible forms as one, invisible and control characters gone, blanks single."""
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    return "".join(letter for letter in text if unicodedata.category(letter) not in _INVISIBLE)


def names_condition(text: str, *more: str) -> bool:
    """Whether text names a label, a synonym or one of `more`: as words, within words, in pieces or with digits."""
    if _CONDITION.search(text):
        return True
    terms = _CONDITIONS | {_letters(name) for name in more}
    for line in {text.lower(), *(text.lower().translate(table) for table in _LEET)}:
        pieces = re.findall("[a-z]+", line)
        if any(stem in piece for piece in pieces for stem in STEMS):
            return True
        if any(joined in terms for joined in _joined(pieces)):
            return True
    return False


def names_test(text: str) -> bool:
    """Whether text names a test, a result or a diagnosis, also as single letters: P.C.R."""
    spelled = re.findall(r"(?<![a-z0-9])[a-z0-9](?:[^a-z0-9]{1,3}[a-z0-9])+(?![a-z0-9])", text.lower())
    return bool(_TEST.search(text)) or any(_squeezed(letters) in _SHORT_TESTS for letters in spelled)


def hints(entry: str) -> bool:
    """Whether a symptom or history tells of a treatment, an infection, a study or another thing of few labels."""
    return bool(_HINT.search(entry))


def names_place(entry: str) -> bool:
    """Whether a site, a symptom or history names a hospital or a part of one."""
    return bool(_PLACE.search(entry))


def identifies(text: str, identifiers: Iterable[str], common: Callable[[str], bool]) -> bool:
    """Whether text holds an identifier or a part of one, a corpus's name, a title, a long number or a token.

    `common` says which words identify no one, even as a part of a file's name.
    """
    if any(pattern.search(text) for pattern in (_SOURCE, _TITLE, _LONG_NUMBER, _TOKEN)):
        return True
    words, letters = set(_parts(text)), _squeezed(text)
    for identifier in identifiers:
        telling = [part for part in _parts(identifier) if not part.isdigit() and not common(part)]
        if any(len(part) >= 3 and part in words for part in telling):
            return True
        whole = _squeezed(identifier)
        if len(whole) >= 5 and whole in letters and (telling or any(letter.isdigit() for letter in whole)):
            return True
    return False


def _parts(text: str) -> list[str]:
    return re.findall("[a-z0-9]+", text.lower())


def _squeezed(text: str) -> str:
    return "".join(_parts(text))


def _letters(text: str) -> str:
    return re.sub("[^a-z]", "", text.lower())


def _joined(pieces: list[str]) -> Iterator[str]:
    """Every run of pieces as one word, up to the longest name."""
    for start in range(len(pieces)):
        word = ""
        for piece in pieces[start:]:
            word += piece
            if len(word) > _LONGEST:
                break
            yield word


_CONDITIONS = frozenset(_letters(name) for name in _NAMES)
_LONGEST = max(map(len, _CONDITIONS))
_SHORT_TESTS = frozenset(_squeezed(test) for test in TESTS if len(test) <= 5)
