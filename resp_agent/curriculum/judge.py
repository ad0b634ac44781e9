"""The Judge opens the test split, before and after a run. Nothing of it reaches environment, policy or search."""

from pathlib import Path

import numpy as np

from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.assessment import Assessment
from resp_agent.diagnoser.learner import make_assessment
from resp_agent.diagnoser.scoring import score
from resp_agent.diagnoser.stored import load_diagnoser
from resp_agent.encoders.cache import open_cache
from resp_agent.metrics.classification import patient_interval
from resp_agent.settings import Settings
from resp_agent.threads import threads


class Judge:
    """Scores checkpoints on the test split."""

    def __init__(self, settings: Settings, corpus: Corpus, features: Path):
        """`features` is the folder of a `FeatureCache`."""
        self._settings = settings
        self._corpus = corpus
        self._cache = open_cache(features, settings.diagnoser.encoder, settings.audio)
        self._test = corpus.descriptions("test")
        self._patients = np.array([recording.patient_id for recording in self._test])

    def score(self, checkpoint: Path) -> Assessment:
        """The averaged diagnoser of a checkpoint folder on the test split, calibrated by its validation temperature."""
        model, inputs, temperature = load_diagnoser(checkpoint, self._settings)
        with threads(self._settings.threads):
            self._cache.ensure(self._corpus, ("test",))
            examples = [inputs.example(one, self._cache.frames(one.id)) for one in self._test]
            logits = score(model, inputs, examples)
        return make_assessment("test", inputs, examples, logits, temperature, [])

    def interval(self, assessment: Assessment, resamples: int = 2000) -> tuple[float, float]:
        """The 95 % interval of macro-F1 over patients; see `patient_interval`."""
        return patient_interval(
            assessment.truth, assessment.predicted, assessment.held, self._patients, self._settings.seed, resamples
        )
