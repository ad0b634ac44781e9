"""SPRSound, paediatric respiratory sounds (Zhang et al. 2022): wav and json files in train and test folders.

A file name is patient_age_gender_site_number. Times in the json are strings of milliseconds. Diseases are in a
summary of patients; the age there is one per patient, while some were recorded at several ages, so it is taken from
the file name.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from resp_agent.corpus.schema import Event
from resp_agent.corpus.sources.cells import age_of, agreed, rows_of
from resp_agent.corpus.sources.found import (
    BadAnnotation,
    Found,
    SetAside,
    archived_texts,
    audio_files,
    files_named,
    read_text,
)
from resp_agent.taxonomy import SOURCE_EVENTS

NAME = "sprsound"
ARCHIVE = "all_2683_json.tar.gz"
DEVICE = "Yunting II"
SITES = {
    "p1": "posterior left chest",
    "p2": "lateral left chest",
    "p3": "posterior right chest",
    "p4": "lateral right chest",
}
SEXES = {"0": "male", "1": "female"}
REJECTED = "annotators rejected the recording"
RECORD_ANNOTATIONS = ("Normal", "CAS", "DAS", "CAS & DAS", "Poor Quality")
"""Continuous and discontinuous adventitious sounds, both, neither, or not fit to annotate."""
OTHER_AGE = "its age differs from the summary of patients, and the file's is kept"
_FILE_NAME = re.compile(r"(\d+)_(\d+(?:\.\d+)?)_([01])_(p[1-4])_(\d+)")


@dataclass(frozen=True)
class Annotation:
    """What the annotators marked: events, normal breaths counted, or a rejection of the whole recording."""

    events: tuple[Event, ...]
    normal_breaths: int
    rejected: bool


def read(root: Path) -> Iterator[Found | SetAside]:
    """Each recording below `root`, in the order of folders and names.

    Json files are matched by name wherever they lie (`train_json`, `test_json/intra_test_json`, ...), and looked up in
    `ARCHIVE` where missing; their folders give the official split.
    """
    summary = _summary(root)
    archive = archived_texts(root, ARCHIVE, ".json")
    loose = {path.stem: path for path in reversed(files_named(root, ".json"))}
    for path in audio_files(root):
        label = None
        try:
            name = _FILE_NAME.fullmatch(path.stem)
            if not name or path.suffix.lower() != ".wav":
                raise BadAnnotation("its name is not patient_age_gender_site_number.wav")
            patient, age, sex, site, _ = name.groups()
            if patient in summary and summary[patient] is None:
                raise BadAnnotation("the summary gives its patient two diseases")
            label, summary_age = summary.get(patient, (None, None))
            if not label:
                raise BadAnnotation("its patient is not in the summary of patients")
            if path.stem in loose:
                folder, text = loose[path.stem].parent.relative_to(root), read_text(loose[path.stem])
            elif path.stem in archive:
                folder, text = archive[path.stem]
            else:
                raise BadAnnotation("it has no annotation, in a json folder or in the archive")
            annotation = parse_annotation(text)
        except BadAnnotation as problem:
            yield SetAside(NAME, path, label, str(problem))
            continue
        if annotation.rejected:
            yield SetAside(NAME, path, label, REJECTED, excluded=True)
            continue
        yield Found(
            source=NAME,
            path=path,
            patient_id=f"{NAME}:{patient}",
            source_label=label,
            device=DEVICE,
            site=SITES[site],
            age_years=age_of(age),
            sex=SEXES[sex],
            events=annotation.events,
            normal_breaths=annotation.normal_breaths,
            official_split=official_split(folder.parts),
            remarks=() if summary_age in (None, float(age)) else (OTHER_AGE,),
        )


def parse_annotation(text: str) -> Annotation:
    """The content of a json file; times in ms become seconds.

    Raises:
        BadAnnotation: it is not the documented layout, or holds a kind of event that the taxonomy does not map.
    """
    try:
        data = json.loads(text)
        # The corpus writes record_annotation, its documentation recording_annotation.
        record = data["record_annotation"] if "record_annotation" in data else data["recording_annotation"]
        marks = [(float(e["start"]) / 1000, float(e["end"]) / 1000, e["type"]) for e in data["event_annotation"]]
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise BadAnnotation("its annotation is not the json that this corpus documents") from None
    if record not in RECORD_ANNOTATIONS:
        raise BadAnnotation(f"its annotation judges the recording {str(record)[:40]!r}, which is unknown")
    kinds = SOURCE_EVENTS[NAME]
    for start_s, end_s, kind in marks:
        if not isinstance(kind, str) or (kind != "Normal" and kind not in kinds):
            raise BadAnnotation(f"its annotation holds an event {str(kind)[:40]!r}, which the taxonomy does not map")
        if not 0 <= start_s < end_s < float("inf"):
            raise BadAnnotation("its annotation has an event that does not end after it starts")
    return Annotation(
        events=tuple(Event(start_s, end_s, kinds[kind]) for start_s, end_s, kind in marks if kind != "Normal"),
        normal_breaths=sum(kind == "Normal" for _, _, kind in marks),
        rejected=record == "Poor Quality",
    )


def official_split(folders: Sequence[str]) -> str | None:
    """The official split that the folders of a json say, outermost first; None if none does.

    The innermost that says something counts: `train`, `intra_test` and `inter_test` of 2022 under all names that these
    had (`train_json`, `train2022_json`, `train_classification_json`), and `test2023` and so on for later years.
    """
    for folder in reversed(folders):
        first = re.match("train|intra_test|inter_test", folder)
        if first:
            return first.group()
        later = re.fullmatch(r"(?:(?:test|valid)[a-z_]*)?(20\d\d)\w*", folder)
        if later:
            return f"test{later.group(1)}"
        if folder.endswith("_json"):
            return folder.removesuffix("_json")
    return None


def _summary(root: Path) -> dict[str, tuple[str, float | None] | None]:
    """Patient -> (disease, age in years), None where there are two diseases; from the csv below `root` that has these
    columns."""
    for path in files_named(root, ".csv"):
        patients = agreed(
            (
                (row["patient_num"].strip(), (row["disease"].strip(), age_of(row.get("age", ""))))
                for row in rows_of(path)
                if "patient_num" in row and "disease" in row
            ),
            said=lambda row: row[0],
        )
        if patients:
            return patients
    return {}
