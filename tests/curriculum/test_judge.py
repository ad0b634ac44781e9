from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from resp_agent.corpus.write import write_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.judge import Judge
from resp_agent.diagnoser.learner import Learner
from resp_agent.randomness import stream
from resp_agent.settings import smoke
from resp_agent.simulation import embedded_corpus
from tests.curriculum.scores import assessment


def judge_of(patients):
    recordings = [SimpleNamespace(patient_id=patient) for patient in patients]
    corpus = SimpleNamespace(descriptions=lambda name: recordings if name == "test" else None)
    return Judge(smoke(), corpus, Path("nothing is scored"))


@pytest.mark.parametrize(("seed", "unheld"), [(0, ()), (1, (2,))])
def test_the_interval_is_that_of_resampling_patients_one_by_one(seed, unheld):
    scored = assessment(seed, unheld=unheld)
    patients = [f"patient {index}" for index in np.random.default_rng(seed).integers(20, size=60)]
    names = sorted(set(patients))
    draws = stream(0, "judge", "bootstrap").multinomial(len(names), np.full(len(names), 1 / len(names)), size=300)
    held, scores = sorted(set(scored.truth)), []
    for times in draws:
        rows = [
            index
            for name, count in zip(names, times, strict=True)
            for _ in range(count)
            for index, patient in enumerate(patients)
            if patient == name
        ]
        truth, predicted = scored.truth[rows], scored.predicted[rows]
        scores.append(f1_score(truth, predicted, labels=held, average="macro", zero_division=0.0))
    expected = np.percentile(scores, [2.5, 97.5])
    np.testing.assert_allclose(judge_of(patients).interval(scored, resamples=300), expected, atol=1e-12)


def test_the_interval_spans_the_score_is_repeated_and_is_wider_where_recordings_share_patients():
    scored = assessment(3, count=200)
    alone, shared = judge_of(range(200)), judge_of([index // 10 for index in range(200)])
    low, high = alone.interval(scored)
    assert low < scored.macro_f1 < high
    assert alone.interval(scored) == (low, high)
    # 20 patients instead of 200 recordings: as the errors are independent, the width stays about the same.
    wide_low, wide_high = shared.interval(scored)
    assert wide_low < scored.macro_f1 < wide_high
    copies = judge_of(np.repeat(np.arange(20), 10))
    same = assessment(4, count=20)
    copied = type(same)(
        **{
            **vars(same),
            "ids": tuple(range(200)),
            **{name: np.repeat(getattr(same, name), 10, axis=0) for name in ("truth", "style", "probabilities")},
        }
    )
    low, high = copies.interval(copied)
    few_low, few_high = judge_of(range(20)).interval(same)
    assert (low, high) == pytest.approx((few_low, few_high), abs=1e-12)


def test_a_perfect_score_has_no_width():
    scored = assessment(5)
    perfect = type(scored)(**{**vars(scored), "probabilities": np.eye(5)[scored.truth]})
    low, high = judge_of([0] * 60).interval(perfect)
    assert low == high == 1.0


def test_the_judge_scores_a_checkpoint_as_its_learner_did(tmp_path):
    """On recordings that the learner assessed itself: the same probabilities, bit for bit."""
    settings = smoke()
    recordings = embedded_corpus(settings.simulation, 0)
    corpus = write_corpus(recordings, tmp_path / "corpus")
    swapped = [replace(one, split={"valid": "test", "test": "valid"}.get(one.split, one.split)) for one in recordings]
    learner = Learner(settings, corpus.path, Beacon(tmp_path, "diagnoser-0"), tmp_path / "features")
    checkpoint = learner.first_train(str(tmp_path / "first"))
    own = learner.assess(checkpoint)
    judge = Judge(settings, write_corpus(swapped, tmp_path / "swapped"), tmp_path / "features of the judge")
    judged = judge.score(tmp_path / "first")
    assert judged.split == "test"
    assert judged.temperature == own.temperature
    np.testing.assert_array_equal(judged.probabilities, own.probabilities)
    np.testing.assert_array_equal(judged.truth, own.truth)
    assert not (tmp_path / "first.unfinished").exists()
