"""ICBHI 2017 respiratory sound database (Rocha et al. 2018): wav files named by patient, site and stethoscope.

Beside each wav lies a txt with a line a respiratory cycle (start s, end s, crackles 0/1, wheezes 0/1); diagnosis,
demographics and the official train/test file are tables. The layout of the Kaggle copy is read too.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from resp_agent.corpus.schema import Cycle, Event
from resp_agent.corpus.sources.cells import age_of, agreed, sex_of
from resp_agent.corpus.sources.found import (
    BadAnnotation,
    Found,
    SetAside,
    archived_texts,
    audio_files,
    first_file,
    read_text,
)
from resp_agent.taxonomy import SOURCE_EVENTS

NAME = "icbhi"
ARCHIVE = "all_920_annotation_txt.tar.gz"
DEVICES = {
    "AKGC417L": "AKG C417L",
    "LittC2SE": "Littmann Classic II SE",
    "Litt3200": "Littmann 3200",
    "Meditron": "Welch Allyn Meditron",
}
SITES = {
    "Tc": "trachea",
    "Al": "anterior left chest",
    "Ar": "anterior right chest",
    "Pl": "posterior left chest",
    "Pr": "posterior right chest",
    "Ll": "lateral left chest",
    "Lr": "lateral right chest",
}
HEARD = {("0", "0"): "normal", ("1", "0"): "crackle", ("0", "1"): "wheeze", ("1", "1"): "both"}
"""The flags of crackles and wheezes -> the class of a cycle, of `schema.CYCLE_CLASSES`."""
OTHER_DEVICE = "named with another stethoscope in the official split file"
_FILE_NAME = re.compile(r"(\d{3})_(\w+?)_(\w{2})_(sc|mc)_(\w+)")


def read(root: Path) -> Iterator[Found | SetAside]:
    """Each recording below `root`, in the order of folders and names.

    A txt that is missing beside its wav is looked up in `ARCHIVE`. The official split is matched by the name without
    the stethoscope, because the split file misnames one.
    """
    tables = "ICBHI_Challenge_diagnosis.txt", "patient_diagnosis.csv"
    diagnoses = agreed((row[0], row[1]) for row in _table(root, *tables))
    people = {
        row[0]: row for row in _table(root, "ICBHI_Challenge_demographic_information.txt", "demographic_info.txt")
    }
    splits = {row[0].rpartition("_")[0]: row for row in _table(root, "ICBHI_challenge_train_test.txt")}
    archive = archived_texts(root, ARCHIVE, ".txt")
    for path in audio_files(root):
        label = None
        try:
            name = _FILE_NAME.fullmatch(path.stem)
            if not name or path.suffix.lower() != ".wav":
                raise BadAnnotation("its name is not patient_recording_site_mode_device.wav")
            patient, _, site, _, device = name.groups()
            if site not in SITES or device not in DEVICES:
                raise BadAnnotation(f"its name holds an unknown {'site' if site not in SITES else 'device'}")
            if patient not in diagnoses:
                raise BadAnnotation("its patient is not in the table of diagnoses")
            label = diagnoses[patient]
            if label is None:
                raise BadAnnotation("the table of diagnoses gives its patient two")
            cycles = parse_cycles(_annotation(path, archive))
            age_years, sex = _person(people.get(patient))
        except BadAnnotation as problem:
            yield SetAside(NAME, path, label, str(problem))
            continue
        kinds = SOURCE_EVENTS[NAME]
        listed, split, *_ = splits.get(path.stem.rpartition("_")[0], (path.stem, None))
        yield Found(
            source=NAME,
            path=path,
            patient_id=f"{NAME}:{patient}",
            source_label=label,
            device=DEVICES[device],
            site=SITES[site],
            age_years=age_years,
            sex=sex,
            events=tuple(Event(c.start_s, c.end_s, kinds[c.heard]) for c in cycles if c.heard != "normal"),
            normal_breaths=sum(c.heard == "normal" for c in cycles),
            official_split=split,
            cycles=tuple(cycles),
            remarks=() if listed == path.stem else (OTHER_DEVICE,),
        )


def parse_cycles(text: str) -> list[Cycle]:
    """The cycles of an annotation.

    Raises:
        BadAnnotation: a line is not two rising times and two flags.
    """
    cycles = []
    for line in text.splitlines():
        if not line.strip():
            continue
        try:
            start, end, crackles, wheezes = line.split()
            start_s, end_s = float(start), float(end)
            cycle = Cycle(start_s, end_s, HEARD[crackles, wheezes])
        except (ValueError, KeyError):
            raise BadAnnotation("its annotation has a line that is not start, end, crackles, wheezes") from None
        if not 0 <= start_s < end_s < float("inf"):
            raise BadAnnotation("its annotation has a cycle that does not end after it starts")
        cycles.append(cycle)
    if not cycles:
        raise BadAnnotation("its annotation is empty")
    return cycles


def _annotation(path: Path, archive: dict[str, tuple[PurePosixPath, str]]) -> str:
    beside = path.with_suffix(".txt")
    if beside.is_file():
        return read_text(beside)
    if path.stem in archive:
        return archive[path.stem][1]
    raise BadAnnotation("it has no annotation, beside it or in the archive")


def _table(root: Path, *names: str) -> list[list[str]]:
    """Rows of a table whose cells are parted by blanks, tabs or commas, without empty ones."""
    path = first_file(root, *names)
    if path is None:
        return []
    try:
        lines = read_text(path).splitlines()
    except BadAnnotation:
        return []
    rows = [re.split(r"[\s,]+", line.strip()) for line in lines if line.strip()]
    return [row for row in rows if len(row) >= 2]


def _person(row: list[str] | None) -> tuple[float | None, str | None]:
    """Age in years and sex from a row (patient, age, sex, adult's body mass index, child's weight, child's height)."""
    if row is None or len(row) < 3:
        return None, None
    return age_of(row[1]), sex_of(row[2])
