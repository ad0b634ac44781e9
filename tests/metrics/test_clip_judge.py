from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resp_agent.corpus.write import write_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.diagnoser.diagnosis import Diagnoser
from resp_agent.diagnoser.learner import Learner
from resp_agent.errors import UserError
from resp_agent.metrics.clip_judge import ClipJudge
from resp_agent.settings import smoke
from resp_agent.simulation import embedded_corpus


@pytest.fixture(scope="module")
def corpus_and_judge(tmp_path_factory):
    folder, settings = tmp_path_factory.mktemp("judge"), smoke()
    corpus = write_corpus(embedded_corpus(settings.simulation, 0), folder / "corpus")
    learner = Learner(settings, corpus.path, Beacon(folder, "judge"), folder / "features")
    return corpus, Path(learner.first_train(str(folder / "model")).folder)


def test_labels_are_those_that_a_diagnosis_without_text_gives(corpus_and_judge):
    corpus, folder = corpus_and_judge
    some = corpus.split("test")[::4]
    judge, alone = ClipJudge(folder), Diagnoser(folder)
    named = judge.name(some)
    assert named == [alone(one.id, one.waveform).label for one in some]
    # A narrative is not read.
    assert judge.name([replace(one, narrative=f"A case of {one.label}.") for one in some]) == named


def test_accuracy_is_the_share_of_labels_heard(corpus_and_judge):
    corpus, folder = corpus_and_judge
    some = corpus.split("test")[:12]
    judge = ClipJudge(folder)
    named = judge.name(some)
    as_named = [replace(one, label=name) for one, name in zip(some, named, strict=True)]
    assert judge.accuracy(as_named) == 1
    assert judge.accuracy([*as_named[:9], *(replace(one, label="pleural effusion") for one in some[9:])]) == 0.75
    assert np.isnan(judge.accuracy([]))


def test_a_folder_without_a_diagnoser_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no diagnoser"):
        ClipJudge(tmp_path)
