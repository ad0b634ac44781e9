"""A stored diagnoser on a split of any corpus."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.assessment import Assessment
from resp_agent.diagnoser.learner import make_assessment
from resp_agent.diagnoser.scoring import score
from resp_agent.diagnoser.stored import load_diagnoser, read_settings
from resp_agent.encoders.cache import open_cache
from resp_agent.errors import UserError
from resp_agent.metrics.classification import calibration_error, patient_interval, tail_f1, tail_labels
from resp_agent.threads import threads
from resp_agent.training.distributed import device


@dataclass(frozen=True)
class Evaluation:
    """What a diagnoser scored on a split."""

    assessment: Assessment
    patients: tuple[str, ...] = field(repr=False)
    """(N,) whose recordings they are."""
    counts: tuple[int, ...]
    """(C,) training recordings of each label."""
    unknown: dict[str, int]
    """Label that the diagnoser never learned -> recordings of it, which are not among the N."""
    seed: int
    """Of the interval."""

    @cached_property
    def plain(self) -> dict:
        """Every score as plain data, for JSON."""
        held, by_label, labels = self.assessment.held, self.assessment.by_label, self.assessment.labels
        support = np.bincount(self.assessment.truth, minlength=len(labels))
        return {
            "split": self.assessment.split,
            "recordings": len(self.patients),
            "patients": len(set(self.patients)),
            "unknown_labels": self.unknown,
            "accuracy": self.assessment.accuracy,
            "macro_f1": self.assessment.macro_f1,
            "macro_f1_ci95": list(self.interval),
            "tail_f1": tail_f1(by_label["f1"], held, self.counts),
            "tail_labels": [labels[index] for index in tail_labels(self.counts) if held[index]],
            "calibration_error": calibration_error(self.assessment.probabilities, self.assessment.truth),
            "temperature": self.assessment.temperature,
            "by_label": {
                label: {
                    "trained_on": int(self.counts[index]),
                    "recordings": int(support[index]),
                    **{name: float(by_label[name][index]) for name in ("precision", "recall", "f1")},
                }
                for index, label in enumerate(labels)
                if held[index]
            },
            "confusion": {"labels": list(labels), "counts": self.assessment.confusion.tolist()},
        }

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of macro-F1 over patients."""
        assessment = self.assessment
        return patient_interval(assessment.truth, assessment.predicted, assessment.held, self.patients, self.seed)


def evaluate(folder: Path, corpus: Corpus, split: str, features: Path) -> Evaluation:
    """The diagnoser in a folder on a split of a corpus, calibrated by its validation temperature.

    Recordings of labels that it never learned are counted and left out.

    Args:
        features: folder of a `FeatureCache`.

    Raises:
        UserError: there is no diagnoser in the folder, or nothing in the split that it could know.
    """
    settings = read_settings(folder)
    model, inputs, temperature = load_diagnoser(folder, settings)
    described = corpus.descriptions(split)
    known = [one for one in described if one.label in inputs.labels]
    unknown = Counter(one.label for one in described if one.label not in inputs.labels)
    if not known:
        held = f"only of {', '.join(unknown)}" if unknown else "empty"
        raise UserError(
            f"the {split} split of {corpus.path} is {held} and the diagnoser knows {', '.join(inputs.labels)}: "
            "give another --split or --corpus"
        )
    with threads(settings.threads):
        cache = open_cache(features, settings.diagnoser.encoder, settings.audio)
        cache.ensure(corpus, (split,))
        examples = [inputs.example(one, cache.frames(one.id)) for one in known]
        logits = score(model.to(device()), inputs, examples)
    assessment = make_assessment(split, inputs, examples, logits, temperature, [])
    patients = tuple(one.patient_id for one in known)
    return Evaluation(assessment, patients, inputs.counts, dict(sorted(unknown.items())), settings.seed)
