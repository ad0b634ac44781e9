"""The rows of table 2 that are trained here, and the published rows of their kind."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from jobs.benchmarks.rows import WEAVING, Row
from resp_agent.corpus.schema import CYCLE_CLASSES
from resp_agent.diagnoser.systems import SYSTEMS
from resp_agent.metrics.icbhi import cycle_scores
from resp_agent.published import published
from resp_agent.settings import DiagnoserSettings, EncoderSettings

METRICS = {"specificity": "Sp", "sensitivity": "Se", "score": "Score"}

BACKBONES = {
    "resnet": ("ResNet", "ResNeSt"),
    "cnn6": ("CNN",),
    "ast": ("AST",),
    "clap": ("CLAP", "HTS-AT"),
    "weaving": ("LLM+Longformer",),
}
"""System -> how the backbones of published rows of its kind begin."""
IMAGES = ("resnet", "cnn6", "ast", "clap")
"""Systems that look at log-mel, whatever encoder the settings name."""


@dataclass(frozen=True)
class PublishedRow:
    """A row of the published table; scores are shares of 1."""

    method: str
    year: int
    backbone: str
    pretraining: str | None
    specificity: float
    sensitivity: float
    score: float


def published_rows() -> list[PublishedRow]:
    """All of them, in their order."""
    return [
        PublishedRow(
            **{name: line[name] for name in ("method", "backbone", "pretraining")},
            year=int(line["year"]),
            **{name: line[name] / 100 for name in METRICS},
        )
        for line in published("table2")
    ]


def live_rows(base: DiagnoserSettings, stem: str | None = None) -> list[Row]:
    """What is trained here, on the same settings but for what makes the row.

    Args:
        base: settings of the run.
        stem: a pretrained Conformer stem; with one, there is a row that starts from it.
    """
    rows = []
    for system in (*IMAGES, "conformer", "weaving"):
        changes = {"encoder": EncoderSettings()} if system in IMAGES else {}
        settings = dataclasses.replace(base, system=system, anchors=True, **changes)
        rows.append(Row(SYSTEMS[system].title, SYSTEMS[system].modality, settings))
    if stem:
        start = dataclasses.replace(rows[-1].settings, audio_stem="conformer", stem_weights=stem)
        rows.append(Row(f"{WEAVING}, pretrained stem", rows[-1].modality, start))
    return rows


def best_of_its_kind(row: Row) -> PublishedRow | None:
    """The published row of the same kind of backbone with the best score; None if nothing of the kind was published."""
    kinds = BACKBONES.get(row.settings.system, ())
    return max(
        (one for one in published_rows() if kinds and one.backbone.startswith(kinds)),
        key=lambda one: one.score,
        default=None,
    )


def with_scores(result: dict) -> dict:
    """The result of a trial (see `trial.run_trial`) with the scores of `METRICS`, None where undefined; one that failed
    stays as it is."""
    if "failed" in result:
        return result
    confusion = result["confusion"]
    scores = cycle_scores(np.array(confusion["counts"]), confusion["labels"].index(CYCLE_CLASSES[0]))
    return {**result, **{name: getattr(scores, name) for name in METRICS}}
