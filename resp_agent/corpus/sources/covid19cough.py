"""The covid19-cough dataset (covid19-cough/dataset): induced coughs recorded by telephone and through Telegram.

`metadata.json` is a list with an object a recording: filename, covid19 true or false, source, and for some the seconds
where the cough starts and ends. Its comments are free text and are not read. Nothing names a person.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from resp_agent.corpus.schema import Event
from resp_agent.corpus.sources.cells import agreed
from resp_agent.corpus.sources.found import BadAnnotation, Found, SetAside, audio_files, first_file, read_text

NAME = "covid19cough"
TABLE = "metadata.json"
DEVICES = {"call-center": "telephone", "telegram": "smartphone"}


def read(root: Path) -> Iterator[Found | SetAside]:
    """Each recording below `root`, in the order of folders and names."""
    entries = _entries(root)
    for path in audio_files(root):
        label = None
        try:
            if path.name not in entries:
                raise BadAnnotation("the metadata do not describe it")
            entry = entries[path.name]
            if entry is None:
                raise BadAnnotation("the metadata say two things of it")
            if not isinstance(entry.get("covid19"), bool):
                raise BadAnnotation("the metadata do not say whether covid19 is true or false")
            label = f"covid19={entry['covid19']}"
            events = cough_of(entry)
        except BadAnnotation as problem:
            yield SetAside(NAME, path, label, str(problem))
            continue
        yield Found(
            source=NAME,
            path=path,
            patient_id=None,
            source_label=label,
            device=DEVICES.get(str(entry.get("source"))),
            events=events,
        )


def cough_of(entry: dict) -> tuple[Event, ...]:
    """The cough that an entry marks, if it marks one.

    Raises:
        BadAnnotation: it has a start without an end, or not two rising numbers of seconds.
    """
    start, end = entry.get("start_at"), entry.get("end_at")
    if start is None and end is None:
        return ()
    try:
        start_s, end_s = float(start), float(end)
    except (TypeError, ValueError, OverflowError):
        raise BadAnnotation("the metadata mark a cough without two times") from None
    if not 0 <= start_s < end_s < float("inf"):
        raise BadAnnotation("the metadata mark a cough that does not end after it starts")
    return (Event(start_s, end_s, "cough"),)


def _entries(root: Path) -> dict[str, dict]:
    """File name -> entry, None where there are two that differ; empty where the metadata are missing or damaged."""
    path = first_file(root, TABLE)
    try:
        entries = json.loads(read_text(path)) if path else []
    except (BadAnnotation, ValueError, RecursionError):
        return {}
    entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return agreed((str(entry.get("filename")), entry) for entry in entries)
