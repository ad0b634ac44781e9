"""UK COVID-19 Vocal Audio Dataset (Coppock et al. 2024, Budd et al. 2024): sounds that participants sent in at home.

A participant has a test result, demographics and symptoms in `participant_metadata.csv`, and the names of their sound
files in `audio_metadata.csv`; one combined table is read too. Tables are found by their columns, whatever they are
called. Test result and viral load are the label or leak it, so nothing else is filled from them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from resp_agent.corpus.sources.cells import age_of, is_true, rows_of, sex_of
from resp_agent.corpus.sources.found import BadAnnotation, Found, SetAside, audio_files, files_named

NAME = "ukcovid"
DEVICE = "participant's own microphone"
UNSTATED = "unstated"
"""The source label of a participant without a test result."""
SPEECH = "speech, not a respiratory sound"
BY_NAME = "its label is taken from its file name: it is in no metadata table"
KINDS = ("sentence", "exhalation", "cough", "three_cough", "three_coughs")
"""Kinds of sound. A column `<kind>_file_name` or `<kind>` holds names of files."""
SYMPTOMS = {
    "symptom_cough_any": "cough",
    "symptom_new_continuous_cough": "new continuous cough",
    "symptom_runny_or_blocked_nose": "runny or blocked nose",
    "symptom_shortness_of_breath": "shortness of breath",
    "symptom_sore_throat": "sore throat",
    "symptom_abdominal_pain": "abdominal pain",
    "symptom_diarrhoea": "diarrhoea",
    "symptom_fatigue": "fatigue",
    "symptom_fever_high_temperature": "high temperature",
    "symptom_headache": "headache",
    "symptom_change_to_sense_of_smell_or_taste": "change to sense of smell or taste",
    "symptom_loss_of_taste": "loss of taste",
}
"""Columns that name a symptom; `symptom_none`, `symptom_other` and `symptom_prefer_not_to_say` name none."""
SMOKING = {"current": "current smoker", "ex": "ex-smoker", "never": "never smoked"}
"""The first word of `smoker_status` -> history; other answers say nothing."""
CONDITIONS = {
    "respiratory_condition_asthma": "asthma",
    "respiratory_condition_other": "another respiratory condition",
}
_SAMPLE_NAME = re.compile(r"[^_]+_(.+)_(POS|NEG)")


@dataclass(frozen=True)
class Participant:
    """What the tables say of a participant. `result` is None where they contradict each other."""

    result: str | None
    age_years: float | None
    sex: str | None
    symptoms: tuple[str, ...]
    history: tuple[str, ...]


def read(root: Path) -> Iterator[Found | SetAside]:
    """Each recording below `root`, in the order of folders and names.

    Of a file in no table, `<number>_<participant>_POS` and `_NEG` name participant and result.
    """
    people, sounds = _tables(root)
    for path in audio_files(root):
        try:
            if path.name not in sounds:
                yield _by_name(path)
                continue
            if sounds[path.name] is None:
                raise BadAnnotation("the tables give it to two participants, or as speech and another sound")
            identifier, is_speech = sounds[path.name]
            person = people.get(identifier)
            if is_speech:
                yield SetAside(NAME, path, person and person.result, SPEECH, excluded=True)
                continue
            if person is None:
                raise BadAnnotation("its participant is in no table of test results")
            if person.result is None:
                raise BadAnnotation("the tables give its participant two test results")
        except BadAnnotation as problem:
            yield SetAside(NAME, path, None, str(problem))
            continue
        yield Found(
            source=NAME,
            path=path,
            patient_id=f"{NAME}:{identifier}",
            source_label=person.result,
            device=DEVICE,
            age_years=person.age_years,
            sex=person.sex,
            symptoms=person.symptoms,
            history=person.history,
        )


def _by_name(path: Path) -> Found:
    name = _SAMPLE_NAME.fullmatch(path.stem)
    if not name:
        raise BadAnnotation("it is in no metadata table, and its name says no test result")
    return Found(
        source=NAME,
        path=path,
        patient_id=f"{NAME}:{name.group(1)}",
        source_label={"POS": "Positive", "NEG": "Negative"}[name.group(2)],
        device=DEVICE,
        remarks=(BY_NAME,),
    )


def _tables(root: Path) -> tuple[dict[str, Participant], dict[str, tuple[str, bool] | None]]:
    """Participants by identifier; (identifier, whether speech) by file name, None where the tables contradict."""
    people: dict[str, Participant] = {}
    sounds: dict[str, tuple[str, bool] | None] = {}
    for path in files_named(root, ".csv"):
        for row in rows_of(path):
            identifier = row.get("participant_identifier", "").strip()
            if not identifier:
                continue
            if "covid_test_result" in row:
                person = _participant(row)
                if people.setdefault(identifier, person).result != person.result:
                    people[identifier] = replace(person, result=None)
            for kind in KINDS:
                cell = row.get(f"{kind}_file_name") or row.get(kind, "")
                file = PurePosixPath(cell.strip().replace("\\", "/")).name
                sound = (identifier, kind == "sentence")
                if file and sounds.setdefault(file, sound) != sound:
                    sounds[file] = None
    return people, sounds


def _participant(row: dict[str, str]) -> Participant:
    smoking = re.match("[a-z]*", row.get("smoker_status", "").strip().lower()).group()
    history = [SMOKING[smoking]] if smoking in SMOKING else []
    history += [word for column, word in CONDITIONS.items() if is_true(row.get(column, ""))]
    return Participant(
        result=row["covid_test_result"] if row["covid_test_result"].strip() else UNSTATED,
        age_years=age_of(row.get("age", "")),
        sex=sex_of(row.get("gender", "")),
        symptoms=tuple(word for column, word in SYMPTOMS.items() if is_true(row.get(column, ""))),
        history=tuple(history),
    )
