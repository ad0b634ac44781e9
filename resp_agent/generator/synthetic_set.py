"""What lies beside synthesized clips: an index, and a data card that says what they are."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resp_agent import __version__
from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.request import Request
from resp_agent.durable import write_atomic
from resp_agent.generator.export import Export, clip_file
from resp_agent.settings import Settings
from resp_agent.storage import read_tables

INDEX, CARD = "index.csv", "README.md"
COLUMNS = (
    "id", "label", "style", "duration_s", "content", "content_id", "reference_id", "hardness", "seed", "index",
    "shard", "file",
)  # fmt: skip

_GIVEN = ("content", "content_id", "reference_id", "hardness", "seed", "index")


@dataclass(frozen=True)
class Made:
    """A set of clips."""

    settings: Settings
    corpus: Corpus
    generator: str
    """Fingerprint."""
    requests: Sequence[Request]
    shards: Sequence[Path]


def write_set(out: Path, made: Made, export: Export) -> None:
    """Writes index and data card; `export` says which files of the clips the index names. No audio is read."""
    rows, counts, seconds = [], {}, 0.0
    tables = read_tables(made.shards, ["id", "label", "style", "duration_s", "request"])
    for shard, table in zip(made.shards, tables, strict=True):
        for clip in table.to_pylist():
            label, style, told = clip["label"], clip["style"], clip["request"]
            file = "" if export == "none" else clip_file(label, style, clip["id"], export).as_posix()
            given = {name: told[name] for name in _GIVEN}
            own = {"id": clip["id"], "label": label, "style": style, "duration_s": round(clip["duration_s"], 3)}
            rows.append({**own, **given, "shard": shard.relative_to(out).as_posix(), "file": file})
            counts[label, style] = counts.get((label, style), 0) + 1
            seconds += clip["duration_s"]
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomic(out / INDEX, text.getvalue().encode())
    write_atomic(out / CARD, data_card(made, counts, seconds).encode())


def data_card(made: Made, counts: dict[tuple[str, str], int], seconds: float) -> str:
    """The card, Markdown with the header that the Hugging Face hub reads."""
    generator = made.settings.generator
    labels, styles = sorted({label for label, _ in counts}), sorted({style for _, style in counts})
    head = "\n".join(
        [
            "---",
            "pretty_name: Synthesized respiratory sounds",
            "tags: [synthetic, audio, respiratory-sounds]",
            "configs:",
            "- config_name: default",
            "  data_files: synthetic/*.parquet",
            "---",
        ]
    )
    cells = ["| label | " + " | ".join(styles) + " |", "| --- |" + " --- |" * len(styles)]
    for label in labels:
        cells.append(f"| {label} | " + " | ".join(str(counts.get((label, style), 0)) for style in styles) + " |")
    asked = ["| label | style | clips | content | hardness | seed |", "| --- | --- | --- | --- | --- | --- |"]
    hard_for = sorted({one.diagnoser for one in made.requests if one.diagnoser})
    hard = f"\n* Clips of some hardness are hard for the diagnoser with weights `{hard_for[0]}`." if hard_for else ""
    asked += [
        f"| {one.label} | {one.style} | {one.count} | {one.content} | {one.hardness:g} | {one.seed} |"
        for one in made.requests
    ]
    return f"""{head}
# Synthesized respiratory sounds

{sum(counts.values()):,} clips, {seconds / 60:.1f} minutes, 16 kHz mono. **No clip was heard in a patient.** All of them
were made by a model that learned from recordings: each names the recordings whose content and whose style it took
(`content_id`, `reference_id` in `{INDEX}`).

## Contents

{chr(10).join(cells)}

`synthetic/*.parquet` holds audio, requests and seeds; `{INDEX}` a line for each clip. Clips that were rejected after
listening are listed in `vetoes.csv`, if there is one, and are not learned from.

## How they were made

* Generator `{made.generator}` ({generator.kind}, {generator.content} content) of Resp-Agent on Ray {__version__},
  preset `{made.settings.preset}`, seed {made.settings.seed}.
* It learned from the training split of corpus `{made.corpus.fingerprint}`:
  {made.corpus.describe()}.
* A clip is a function of its request, its index in it and the generator: the same request gives the same clips.{hard}

{chr(10).join(asked)}

## Limits

* For research only. Not a medical device; nothing here is a diagnosis.
* Not for evaluation: a score on synthesized sounds says nothing about patients.
* Labels are what was asked for. Nobody has confirmed that each clip sounds like its label.
* Clips repeat what is peculiar to the corpus: its patients, sites and devices; and few recordings of a label make
  clips that are alike.
* Whoever passes clips on must keep to the licences and consents of the recordings that the generator learned from.
"""
