"""HF_Lung_V1 (Hsu et al. 2021): 15 s of lung sound a file, in `train` and `test` folders, without diagnoses.

`<name>_label.txt` beside a wav has a line an event: kind, start and end as hh:mm:ss.mmm. `steth_` files come from a
Littmann 3200; `trunc_<session>-<location>_<n>` are pieces of the eight channels of long HF-Type-1 recordings.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from resp_agent.corpus.schema import Event
from resp_agent.corpus.sources.found import BadAnnotation, Found, SetAside, audio_files, read_text
from resp_agent.taxonomy import SOURCE_EVENTS

NAME = "hflung"
DEVICES = {"steth": "Littmann 3200", "trunc": "HF-Type-1"}
PHASES = ("I", "E")
"""Inhalation and exhalation."""
_FILE_NAME = re.compile(r"steth_.+|(trunc_\d{4}(?:-\d\d){5})(?:[-_].*)?")
_TIME = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def read(root: Path) -> Iterator[Found | SetAside]:
    """Each recording below `root`, in the order of folders and names, unlabelled.

    Pieces of one long recording share a patient; of other recordings nothing says whose they are.
    """
    for path in audio_files(root):
        try:
            name = _FILE_NAME.fullmatch(path.stem)
            if not name or path.suffix.lower() != ".wav":
                raise BadAnnotation("its name is neither steth_date_time.wav nor trunc_session-location_number.wav")
            notes = path.with_name(f"{path.stem}_label.txt")
            if not notes.is_file():
                raise BadAnnotation("it has no annotation beside it")
            events, normal_breaths = parse_events(read_text(notes))
        except BadAnnotation as problem:
            yield SetAside(NAME, path, "", str(problem))
            continue
        folders = path.relative_to(root).parent.parts
        yield Found(
            source=NAME,
            path=path,
            patient_id=f"{NAME}:{name.group(1)}" if name.group(1) else None,
            source_label="",
            device=DEVICES[path.stem[:5]],
            events=events,
            normal_breaths=normal_breaths,
            official_split=next((folder for folder in reversed(folders) if folder in ("train", "test")), None),
        )


def parse_events(text: str) -> tuple[tuple[Event, ...], int]:
    """Adventitious sounds of an annotation, and how many inhalations have none of them; the text may be empty.

    Raises:
        BadAnnotation: a line is not a kind that the taxonomy maps and two rising times.
    """
    kinds = SOURCE_EVENTS[NAME]
    events, inhaled = [], []
    for line in text.splitlines():
        if not line.strip():
            continue
        kind, *times = line.split()
        clock = [_TIME.fullmatch(time) for time in times]
        if len(clock) != 2 or not all(clock):
            raise BadAnnotation("its annotation has a line that is not kind, start, end")
        start_s, end_s = (float(h) * 3600 + float(m) * 60 + float(s) for h, m, s in (time.groups() for time in clock))
        if not start_s < end_s < float("inf"):
            raise BadAnnotation("its annotation has an event that does not end after it starts")
        if kind in kinds:
            events.append(Event(start_s, end_s, kinds[kind]))
        elif kind not in PHASES:
            raise BadAnnotation(f"its annotation holds an event {kind[:40]!r}, which the taxonomy does not map")
        elif kind == "I":
            inhaled.append((start_s, end_s))
    normal = sum(all(e.end_s <= start or end <= e.start_s for e in events) for start, end in inhaled)
    return tuple(events), normal
