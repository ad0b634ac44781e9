"""`evaluate`: the numbers of the training's own summary, on any corpus, with what it cannot know named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from jobs.evaluate import main
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.write import write_corpus


@pytest.fixture(scope="module")
def corpus(trained) -> Corpus:
    return Corpus.open(next((trained / "first").glob("corpus-*")))


def test_it_gives_the_numbers_of_the_training_itself(trained, corpus, tmp_path, capsys):
    flags = ["--corpus", str(corpus.path), "--json", str(tmp_path / "scores.json"), "--out", str(tmp_path / "out")]
    assert main([str(trained), *flags]) == 0
    said = capsys.readouterr().out
    scores = json.loads((tmp_path / "scores.json").read_text())
    own = json.loads((trained / "summary.json").read_text())["test"]
    assert {name: scores[name] for name in own} == own
    for line in (f"macro-F1           {own['macro_f1']:.3f}", "40 recordings of 40 patients", "control group"):
        assert line in said
    assert (tmp_path / "out" / "scores.json").read_bytes() == (tmp_path / "scores.json").read_bytes()
    assert (tmp_path / "out" / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_scores_agree_with_the_confusion_they_come_with(trained, corpus, tmp_path):
    assert main([str(trained / "model"), "--corpus", str(corpus.path), "--json", str(tmp_path / "s.json")]) == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    counts = np.array(scores["confusion"]["counts"])
    truth, predicted = (
        np.array([pair[axis] for pair in np.ndindex(counts.shape) for _ in range(counts[pair])]) for axis in (0, 1)
    )
    f1 = f1_score(truth, predicted, average=None, labels=range(len(counts)), zero_division=0)
    assert scores["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert scores["macro_f1"] == pytest.approx(f1.mean())
    assert [row["f1"] for row in scores["by_label"].values()] == pytest.approx(f1.tolist())
    assert scores["tail_f1"] == pytest.approx(f1.mean())
    assert {label: row["trained_on"] for label, row in scores["by_label"].items()}["control group"] == 10


def test_the_embedded_corpus_of_the_models_own_settings_is_its_default(trained, corpus, tmp_path):
    assert main([str(trained), "--split", "valid", "--json", str(tmp_path / "s.json")]) == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["corpus"] == corpus.fingerprint
    assert scores["macro_f1"] == json.loads((trained / "summary.json").read_text())["valid"]["macro_f1"]


def test_labels_that_were_never_learned_are_counted_named_and_left_out(trained, corpus, tmp_path, capsys):
    """A corpus with nothing to train on can be scored on too."""
    recordings = corpus.split("test")[:12]
    odd = [replace(one, label="COVID-19") for one in recordings[:3]]
    strange = write_corpus([*odd, *recordings[3:]], tmp_path / "strange")
    assert main([str(trained), "--corpus", str(strange.path), "--json", str(tmp_path / "s.json")]) == 0
    assert "left out, as it never learned them: COVID-19 (3)" in capsys.readouterr().out
    scores = json.loads((tmp_path / "s.json").read_text())
    assert (scores["recordings"], scores["unknown_labels"]) == (9, {"COVID-19": 3})
    nothing = write_corpus(odd, tmp_path / "nothing")
    assert main([str(trained), "--corpus", str(nothing.path)]) == 2
    assert "is only of COVID-19 and the diagnoser knows control group" in capsys.readouterr().err
    assert main([str(trained), "--corpus", str(strange.path), "--split", "valid"]) == 2
    assert "the valid split of" in capsys.readouterr().err


def test_what_is_no_diagnoser_or_no_corpus_is_refused(trained, tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "holds no diagnoser" in capsys.readouterr().err
    assert main([str(trained), "--corpus", str(tmp_path / "absent")]) == 2
    assert "there is no corpus at" in capsys.readouterr().err
