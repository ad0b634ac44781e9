"""The run directory: what a run leaves, and from what it goes on. A round counts once its journal line is there.

On an object store, where nothing can be appended to, a line is an object of its own: `journal/round-000003.json`.
"""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from resp_agent.curriculum.assessment import Assessment
from resp_agent.durable import sync, write_atomic
from resp_agent.errors import UserError
from resp_agent.storage import children, fetch, is_mirror, remove, shown

SETTINGS, JOURNAL, ASSESSMENTS, SUMMARY = "settings.yaml", "journal.jsonl", "assessments.parquet", "summary.json"


LINES, BOARD = "journal", "tensorboard"
"""Folders of the journal on an object store, and of event files."""


class RunDirectory:
    """A run's folder. `identity` is what may not change between its parts: settings, policy, corpus."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, path: Path, identity: dict) -> "RunDirectory":
        """A new run.

        Raises:
            UserError: the folder holds a run already, or cannot be written.
        """
        cls.refuse_taken(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_atomic(path / SETTINGS, yaml.safe_dump(identity, sort_keys=False).encode())
        except OSError as error:
            raise UserError(
                f"the output directory {shown(path)} cannot be written ({error.strerror}): give another --out"
            ) from error
        return cls(path)

    @staticmethod
    def refuse_taken(path: Path) -> None:
        """Raises UserError where a folder holds a run already."""
        if (path / JOURNAL).exists() or (is_mirror(path) and children(path / LINES)):
            place = shown(path)
            raise UserError(f"{place} holds a run already: go on with it by --resume {place}, or give another --out")

    @classmethod
    def resume(cls, path: Path) -> "RunDirectory":
        """A run that was begun.

        Raises:
            UserError: there is none.
        """
        if not fetch(path / SETTINGS).is_file():
            raise UserError(
                f"{shown(path)} holds no run to resume: give the folder that a run printed, or leave out --resume"
            )
        return cls(path).fetched()

    def fetched(self) -> "RunDirectory":
        """This run, as its store holds it: settings, journal, assessments, summary, events. Whatever the journal names
        is fetched by those who read it."""
        for name in (SETTINGS, LINES, ASSESSMENTS, SUMMARY, BOARD):
            fetch(self.path / name)
        return self

    @property
    def identity(self) -> dict:
        """What the run was begun with."""
        return yaml.safe_load((self.path / SETTINGS).read_text())

    def hold_to_corpus(self, fingerprint: str) -> None:
        """Notes the corpus of a run that has none yet.

        Raises:
            UserError: it has another.
        """
        identity = self.identity
        begun = identity.get("corpus")
        if begun is None:
            identity["corpus"] = fingerprint
            write_atomic(self.path / SETTINGS, yaml.safe_dump(identity, sort_keys=False).encode())
        elif begun != fingerprint:
            raise UserError(
                f"the run {shown(self.path)} was begun on corpus {begun} and this is {fingerprint}: put the recordings "
                "back as they were, or start a new run with --out"
            )

    def rounds(self) -> list[dict]:
        """The journal's whole lines; a torn last one never happened."""
        if is_mirror(self.path):
            return [json.loads(path.read_bytes()) for path in sorted((self.path / LINES).glob("round-*.json"))]
        path = self.path / JOURNAL
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def commit(self, entry: dict, assessments: list[Assessment]) -> None:
        """Writes the assessments of all rounds so far, then the round's journal line, synced: now the round counts."""
        tables = [_assessment_table(number, assessment) for number, assessment in enumerate(assessments)]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.concat_tables(tables), sink)
        write_atomic(self.path / ASSESSMENTS, sink.getvalue().to_pybytes())
        if is_mirror(self.path):
            write_atomic(self.path / LINES / f"round-{entry['round']:06d}.json", json.dumps(entry).encode() + b"\n")
            return
        path = self.path / JOURNAL
        whole = path.read_bytes() if path.exists() else b""
        whole = whole[: whole.rfind(b"\n") + 1]
        with path.open("r+b" if path.exists() else "wb") as handle:
            handle.truncate(len(whole))
            handle.seek(len(whole))
            handle.write(json.dumps(entry).encode() + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
        sync(self.path)

    def take_back(self) -> None:
        """Removes the last whole line: that round never happened, and is to be done again."""
        if is_mirror(self.path):
            remove(max((self.path / LINES).glob("round-*.json")))
            return
        path = self.path / JOURNAL
        lines = path.read_bytes().split(b"\n")[:-1]
        write_atomic(path, b"".join(line + b"\n" for line in lines[:-1]))

    def assessments(self, rounds: int) -> list[Assessment]:
        """The assessments of the first `rounds` journalled rounds."""
        if not rounds:
            return []
        table = pq.read_table(self.path / ASSESSMENTS)
        names = {name: tuple(json.loads(table.schema.metadata[name.encode()])) for name in ("labels", "styles")}
        return [_assessment(table.filter(pc.field("round") == number), **names) for number in range(rounds)]

    def finish(self, files: dict[str, bytes], summary: dict) -> None:
        """Writes figures and report, and the summary last: a run with a summary is complete."""
        for name, data in files.items():
            write_atomic(self.path / name, data)
        write_atomic(self.path / SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())

    def summary(self) -> dict | None:
        """The summary of a complete run, else None."""
        path = self.path / SUMMARY
        return json.loads(path.read_text()) if path.is_file() else None


def _assessment_table(number: int, assessment: Assessment) -> pa.Table:
    labels, styles = assessment.labels, assessment.styles
    count = len(assessment.ids)
    return pa.table(
        {
            "round": pa.array([number] * count, pa.int32()),
            "split": pa.array([assessment.split] * count),
            "id": pa.array(assessment.ids, pa.string()),
            "label": pa.array([labels[index] for index in assessment.truth], pa.string()),
            "style": pa.array([styles[index] if index >= 0 else None for index in assessment.style], pa.string()),
            "predicted": pa.array([labels[index] for index in assessment.predicted], pa.string()),
            "temperature": pa.array([assessment.temperature] * count, pa.float64()),
            "probabilities": pa.array(list(assessment.probabilities), pa.list_(pa.float64())),
        }
    ).replace_schema_metadata({"labels": json.dumps(labels), "styles": json.dumps(styles)})


def _assessment(table: pa.Table, labels: tuple[str, ...], styles: tuple[str, ...]) -> Assessment:
    style_index = {style: index for index, style in enumerate(styles)}
    return Assessment(
        split=table["split"][0].as_py(),
        labels=labels,
        styles=styles,
        ids=tuple(table["id"].to_pylist()),
        truth=np.array([labels.index(label) for label in table["label"].to_pylist()]),
        style=np.array([style_index.get(style, -1) for style in table["style"].to_pylist()]),
        probabilities=np.array(table["probabilities"].to_pylist()),
        temperature=table["temperature"][0].as_py(),
    )
