"""King Abdullah University Hospital lung sounds (Fraiwan et al. 2021): wav files whose names say all.

A name such as `EP36_pneumonia,Crep,P R M,36,F` is filter, patient, diagnosis, sound, site, age in years and sex. Bell,
diaphragm and extended (B, D, E) are three filterings of one recording.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from resp_agent.corpus.sources.cells import age_of, sex_of
from resp_agent.corpus.sources.found import Found, SetAside, audio_files

NAME = "kauh"
DEVICES = {"B": "Littmann 3200 (bell)", "D": "Littmann 3200 (diaphragm)", "E": "Littmann 3200 (extended)"}
FACES = {"P": "posterior", "A": "anterior"}
SIDES = {"L": "left", "R": "right"}
HEIGHTS = {"U": "upper", "M": "middle", "L": "lower"}
_FILE_NAME = re.compile(
    r"([BDE])P(\d+)_([^,]*[^,\s][^,]*),[^,]*,([^,]*),\s*(\d+(?:\.\d+)?)\s*,\s*([FM])\s*", re.IGNORECASE
)


def read(root: Path) -> Iterator[Found | SetAside]:
    """Each recording below `root`, in the order of folders and names."""
    for path in audio_files(root):
        name = _FILE_NAME.fullmatch(path.stem)
        if not name or path.suffix.lower() != ".wav":
            yield SetAside(NAME, path, None, "its name is not filter-patient_diagnosis,sound,site,age,sex.wav")
            continue
        mode, patient, label, place, age, sex = name.groups()
        yield Found(
            source=NAME,
            path=path,
            patient_id=f"{NAME}:{patient}",
            source_label=label,
            device=DEVICES[mode.upper()],
            site=site_of(place),
            age_years=age_of(age),
            sex=sex_of(sex),
        )


def site_of(letters: str) -> str | None:
    """The place on the chest that blank-separated letters say, such as `P R M`; None if not even front or back.

    Side and height come in either order, and L is left or lower: letters that fit one reading only are worded, and of
    others (`P L L R`) only front or back is kept.
    """
    face, *rest = letters.upper().split() or [""]
    if face not in FACES:
        return None
    readings = {
        f"{SIDES[side]} {HEIGHTS[height]} "
        for side, height in (rest, rest[::-1])
        if side in SIDES and height in HEIGHTS
    } if len(rest) == 2 else set()  # fmt: skip
    return f"{FACES[face]} {readings.pop() if len(readings) == 1 else ''}chest"
