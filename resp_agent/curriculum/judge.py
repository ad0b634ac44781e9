"""The Judge opens the test split, before and after a run. Nothing of it reaches environment, policy or search."""

from pathlib import Path

import numpy as np

from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.assessment import Assessment
from resp_agent.diagnoser.learner import load_diagnoser, make_assessment
from resp_agent.diagnoser.scoring import score
from resp_agent.encoders import make_encoder
from resp_agent.randomness import stream
from resp_agent.settings import Settings
from resp_agent.threads import threads


class Judge:
    """Scores checkpoints on the test split."""

    def __init__(self, settings: Settings, corpus: Corpus):
        self._settings = settings
        self._encoder = make_encoder(settings.diagnoser.encoder, settings.audio)
        self._test = corpus.split("test")
        self._patients = np.array([recording.patient_id for recording in self._test])

    def score(self, checkpoint: Path) -> Assessment:
        """The averaged diagnoser of a checkpoint folder on the test split, calibrated by its validation temperature."""
        model, inputs, temperature = load_diagnoser(checkpoint, self._settings)
        frames = self._encoder.encode([recording.waveform for recording in self._test])
        examples = [inputs.example(*pair) for pair in zip(self._test, frames, strict=True)]
        with threads(self._settings.threads):
            logits = score(model, inputs, examples)
        return make_assessment("test", inputs, examples, logits, temperature, [])

    def interval(self, assessment: Assessment, resamples: int = 2000) -> tuple[float, float]:
        """The 95 % percentile interval of macro-F1, patients resampled (Efron and Tibshirani 1993, chapter 13).

        Labels are those that the whole split holds; one that a resample misses counts 0 true positives there.
        """
        rng = stream(self._settings.seed, "judge", "bootstrap")
        patients, group = np.unique(self._patients, return_inverse=True)
        labels = len(assessment.labels)
        by_patient = np.zeros((len(patients), labels * labels))
        np.add.at(by_patient, (group, assessment.truth * labels + assessment.predicted), 1)
        draws = rng.multinomial(len(patients), np.full(len(patients), 1 / len(patients)), size=resamples)
        confusion = (draws @ by_patient).reshape(resamples, labels, labels)
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        f1 = 2 * hits / np.maximum(confusion.sum(axis=1) + confusion.sum(axis=2), 1)
        low, high = np.percentile(f1[:, assessment.held].mean(axis=1), [2.5, 97.5])
        return float(low), float(high)
