"""Staged rows to a corpus: duplicates, splits and styles, which depend on all recordings together."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resp_agent.corpus import listing
from resp_agent.corpus.schema import CYCLES_SCHEMA, NO_SPLIT, SCHEMA, decode_flac
from resp_agent.corpus.sources import SetAside
from resp_agent.corpus.splits import split_patients
from resp_agent.corpus.stage import Staged
from resp_agent.corpus.style import styles_of
from resp_agent.corpus.write import visible
from resp_agent.errors import RunFailed
from resp_agent.settings import CorpusSettings
from resp_agent.taxonomy import UNLABELLED

_LISTED = ("key", "source", "path", "source_label", "reason", "excluded")
_STAGED = ("id", "label", "patient_id", "device")


@dataclass(frozen=True)
class Settled:
    """What becomes of each recording, by its place in the listing."""

    split: dict[int, str]
    """Of those that are built."""
    reasons: list[str | None]
    """Of those that are not."""
    notes: list[str]


def settle(columns: dict[str, list], roles: dict[str, str], settings: CorpusSettings) -> Settled:
    """Duplicates and splits. `columns` are those of the listing with those of the staged rows; a recording that has a
    `reason` already has no more to do with it."""
    reasons = list(columns["reason"])
    present = [index for index, reason in enumerate(reasons) if reason is None]
    ids, patients, labels, sources = (columns[name] for name in ("id", "patient_id", "label", "source"))
    persons = joined_patients([ids[index] for index in present], [patients[index] for index in present])
    for index, reason in duplicates(present, ids, labels, columns["path"]).items():
        reasons[index] = reason
    kept = [index for index in present if reasons[index] is None]
    splits, notes = split_by_role(
        [roles[sources[index]] for index in kept],
        [persons[patients[index]] for index in kept],
        [labels[index] for index in kept],
        settings,
    )
    return Settled(dict(zip(kept, splits, strict=True)), reasons, notes)


class Assembly:
    """Everything listed, put together in the order of the listing."""

    def __init__(self, parts: list[Path], staged: Staged, settings: CorpusSettings, roles: dict[str, str]):
        """`parts` is the listing, and everything in it that has no reason yet is staged."""
        self._parts, self._staged = parts, staged
        columns = _joined(parts, staged)
        settled = settle(columns, roles, settings)
        self._split, self.notes = settled.split, settled.notes
        self.kept = len(settled.split)
        """Recordings that are built."""
        self.set_aside = [
            SetAside(source, listing.path_of(path), label, reason, excluded)
            for source, path, label, excluded, reason in zip(
                *(columns[name] for name in ("source", "path", "source_label", "excluded")),
                settled.reasons,
                strict=True,
            )
            if reason is not None
        ]
        keys, devices = columns["key"], columns["device"]
        waveforms = (decode_flac(staged.rows([keys[index]])["audio"][0]["bytes"].as_py()) for index in self._split)
        styles = styles_of(
            [devices[index] for index in self._split], list(self._split.values()), waveforms, settings.seed
        )
        self._style = dict(zip(self._split, styles, strict=True))

    def tables(self) -> Iterator[pa.Table]:
        """Rows of the corpus, a table for each part of the listing that has any; narratives are still empty."""
        start = 0
        for part in self._parts:
            keys = pq.read_table(part, columns=["key"])["key"].to_pylist()
            chosen = [index for index in range(start, start + len(keys)) if index in self._split]
            if chosen:
                table = self._staged.rows(keys[index - start] for index in chosen).drop_columns(["key", "reason"])
                added = {
                    "split": [self._split[index] for index in chosen],
                    "style": [self._style[index] for index in chosen],
                    "narrative": [""] * len(chosen),
                    "narrative_source": [""] * len(chosen),
                    "request": pa.nulls(len(chosen), SCHEMA.field("request").type),
                }
                for name, values in added.items():
                    table = table.append_column(name, values if name == "request" else pa.array(values, pa.string()))
                yield table.select(SCHEMA.names).cast(SCHEMA)
            start += len(keys)

    def cycles(self) -> pa.Table | None:
        """The respiratory cycles of what is built, where its sources mark any: rows of `CYCLES_SCHEMA`."""
        columns = _joined(self._parts, self._staged, ("id", "patient_id", "cycles", "official_split"))
        rows = [
            {name: columns[name][index] for name in ("id", "source", "patient_id", "official_split")}
            | {"cycle": number, "split": split, **cycle}
            for index, split in self._split.items()
            for number, cycle in enumerate(columns["cycles"][index])
        ]
        return pa.Table.from_pylist(rows, schema=CYCLES_SCHEMA) if rows else None


def duplicates(present: list[int], ids: list, labels: list, paths: list) -> dict[int, str]:
    """Why some of `present` are not built: of the same audio (`ids`) under one label the first stays; under several
    none can be believed, and all go. A copy that nobody diagnosed contradicts nothing."""
    same = defaultdict(list)
    for index in present:
        same[ids[index]].append(index)
    reasons = {}
    for twins in same.values():
        diagnosed = [index for index in twins if labels[index] != UNLABELLED]
        several = sorted({labels[index] for index in diagnosed})
        if len(several) > 1:
            reasons |= dict.fromkeys(twins, f"the same audio is labelled {' and '.join(several)}")
        else:
            first = (diagnosed or twins)[0]
            reason = f"it is a duplicate: the same audio as {visible(listing.path_of(paths[first]).name)}"
            reasons |= {index: reason for index in twins if index != first}
    return reasons


def joined_patients(ids: list, patients: list) -> dict[str, str]:
    """A name for each patient, the same for patients who share a recording: they may be one person."""
    leader: dict[str, str] = {}

    def find(patient: str) -> str:
        while leader[patient] != patient:
            leader[patient] = patient = leader[leader[patient]]
        return patient

    heard: dict[str, str] = {}
    for name, patient in zip(ids, patients, strict=True):
        leader.setdefault(patient, patient)
        one, other = find(heard.setdefault(name, patient)), find(patient)
        leader[max(one, other)] = min(one, other)
    return {patient: find(patient) for patient in leader}


def split_by_role(
    roles: list[str], patients: list[str], labels: list[str], settings: CorpusSettings
) -> tuple[list[str], list[str]]:
    """The split of each recording, and notes on what some split lacks.

    Sources to train on are divided by patient into train and valid, and into test too where no source is for the test.
    What no one diagnosed is in `NO_SPLIT`, and so are test recordings of a label that nothing trains or of a patient
    who is trained on.
    """
    learned = [role == "train" and label != UNLABELLED for role, label in zip(roles, labels, strict=True)]
    test_share = 0.0 if "test" in roles else settings.test_share
    side, notes = split_patients(
        [patient for patient, chosen in zip(patients, learned, strict=True) if chosen],
        [label for label, chosen in zip(labels, learned, strict=True) if chosen],
        settings.seed,
        settings.valid_share,
        test_share,
    )
    trained = {
        label
        for label, patient, chosen in zip(labels, patients, learned, strict=True)
        if chosen and side[patient] == "train"
    }
    splits, unlearned, known = [], Counter(), 0
    for role, patient, label, chosen in zip(roles, patients, labels, learned, strict=True):
        if chosen:
            splits.append(side[patient])
        elif role != "test" or label == UNLABELLED:
            splits.append(NO_SPLIT)
        elif patient in side:
            known += 1
            splits.append(NO_SPLIT)
        elif trained and label not in trained:
            unlearned[label] += 1
            splits.append(NO_SPLIT)
        else:
            splits.append("test")
    notes += [
        f"label {label!r} is in no source to train on: its {count} recordings for the test are in no split"
        for label, count in sorted(unlearned.items())
    ]
    scored = {patient for patient, split in zip(patients, splits, strict=True) if split in ("valid", "test")}
    also = sum(split == NO_SPLIT and patient in scored for patient, split in zip(patients, splits, strict=True))
    if also:
        notes.append(f"{also} recordings in no split are of patients who are scored: leave them out of pretraining")
    if known:
        notes.append(f"{known} recordings for the test are in no split: their patients share audio with trained ones")
    return splits, notes


def _joined(parts: list[Path], staged: Staged, wanted: tuple[str, ...] = _STAGED) -> dict[str, list]:
    """Columns of the listing with those of the staged rows, None where nothing is staged."""
    listed = pa.concat_tables(
        [listing.SCHEMA.empty_table().select(_LISTED), *(pq.read_table(part, columns=list(_LISTED)) for part in parts)]
    )
    found = staged.columns(["reason", *wanted])
    places = pc.index_in(listed["key"], value_set=found["key"].combine_chunks())
    rows = found.take(places)
    unseen = pc.sum(pc.and_(pc.is_null(listed["reason"]), pc.is_null(places))).as_py()
    if unseen:
        raise RunFailed(
            f"{unseen} recordings were decoded and their rows are not found: workers and this process need storage "
            "that both read; the same command goes on where this one was"
        )
    columns = {name: listed[name].to_pylist() for name in _LISTED}
    columns["reason"] = pc.coalesce(listed["reason"], rows["reason"]).to_pylist()
    return columns | {name: rows[name].to_pylist() for name in wanted}
