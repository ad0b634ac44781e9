"""The checkpoint of a training that is not over: found by whoever goes on, refused if changed, gone at the end."""

import pytest

from resp_agent.errors import CorruptCheckpoint
from resp_agent.settings import TrainingSettings
from resp_agent.training.fit import fit
from resp_agent.training.unfinished import Unfinished
from tests.training.ranks import Rule, engine


def test_goes_on_from_what_was_saved_and_leaves_nothing(tmp_path):
    trained = engine(TrainingSettings(batch=16))
    unfinished = Unfinished(trained, tmp_path / "model")
    assert unfinished.resume() is None
    fit(trained, Rule(), 0, 2, lambda step: 1e-2)
    unfinished.save({"step": 2})
    whole = fit(trained, Rule(), 2, 4, lambda step: 1e-2)
    again = engine(TrainingSettings(batch=16))
    assert Unfinished(again, tmp_path / "model").resume() == {"step": 2}
    assert fit(again, Rule(), 2, 4, lambda step: 1e-2) == whole
    unfinished.remove()
    assert not list(tmp_path.iterdir())


def test_a_changed_checkpoint_is_refused(tmp_path):
    unfinished = Unfinished(engine(TrainingSettings(batch=16)), tmp_path / "model")
    unfinished.save({"step": 1})
    (unfinished.folder / "averaged.safetensors").write_bytes(b"other")
    with pytest.raises(CorruptCheckpoint, match="is not what was written"):
        unfinished.resume()
