"""Looks at validation: which is best, when it is over, and what of them a kill leaves."""

import pytest

from resp_agent.errors import UserError
from resp_agent.settings import TrainingSettings
from resp_agent.training.checkpoints import digests, read_progress, verify
from resp_agent.training.looks import Looks


def writes(text):
    return lambda folder: (folder / "weights").write_text(text)


def test_the_first_of_the_best_looks_is_kept(tmp_path):
    folder = tmp_path / "model"
    looks = Looks(folder, 0, [])
    for step, score in ((2, 0.1), (4, 0.3), (6, 0.2), (8, 0.3)):
        looks.add(step, score, writes(f"step {step}"), {"temperature": step / 2})
    assert looks.best == (4, 0.3)
    assert not looks.over
    published = looks.publish({"losses": [1.0]})
    assert (folder / "weights").read_text() == "step 4"
    assert read_progress(folder) == {"temperature": 2.0, "step": 4, "losses": [1.0]}
    assert published == digests(folder)
    verify(folder, published)
    looks.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(("patience", "ends"), [(0, None), (1, 6), (2, 8), (3, None)])
def test_training_is_over_after_as_many_looks_without_a_gain_as_patience_allows(tmp_path, patience, ends):
    looks, over = Looks(tmp_path / "model", patience, []), None
    for step, score in ((2, 0.2), (4, 0.5), (6, 0.5), (8, 0.1), (10, 0.6)):
        looks.add(step, score, writes(""), {})
        if looks.over:
            over = step
            break
    assert over == ends


def test_a_look_that_no_checkpoint_knows_of_never_happened(tmp_path):
    folder = tmp_path / "model"
    looks = Looks(folder, 0, [])
    looks.add(2, 0.1, writes("step 2"), {})
    kept = list(looks.scores)
    looks.add(4, 0.3, writes("step 4"), {})
    again = Looks(folder, 0, kept)
    assert [path.name for path in tmp_path.iterdir()] == ["model.best-000002"]
    again.add(4, 0.05, writes("another step 4"), {})
    again.publish({})
    assert (folder / "weights").read_text() == "step 2"


def test_older_checkpoints_stay_until_the_scores_are_safe(tmp_path):
    looks = Looks(tmp_path / "model", 0, [])
    looks.add(2, 0.1, writes(""), {})
    looks.add(4, 0.3, writes(""), {})
    assert len(list(tmp_path.iterdir())) == 2
    looks.tidy()
    assert [path.name for path in tmp_path.iterdir()] == ["model.best-000004"]


def test_settings_of_looks_that_cannot_be():
    with pytest.raises(UserError, match="looks every -1 steps"):
        TrainingSettings(validate_every=-1)
    with pytest.raises(UserError, match="patience of 3 looks never ends without looks: give validate_every"):
        TrainingSettings(patience=3)
