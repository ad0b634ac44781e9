"""The checkpoint of a training that is not over: found by whoever goes on, passed over if damaged, gone at the end."""

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


def test_a_damaged_checkpoint_is_told_and_training_begins_anew(tmp_path, caplog):
    trained = engine(TrainingSettings(batch=16))
    unfinished = Unfinished(trained, tmp_path / "model")
    whole = fit(trained, Rule(), 0, 2, lambda step: 1e-2)
    unfinished.save({"step": 2})
    stored = unfinished.folder / "averaged.safetensors"
    stored.write_bytes(stored.read_bytes()[:-1])
    again = engine(TrainingSettings(batch=16))
    unfinished = Unfinished(again, tmp_path / "model")
    assert unfinished.resume() is None
    assert "averaged.safetensors is not what was written" in caplog.text
    assert "training begins anew" in caplog.text
    assert fit(again, Rule(), 0, 2, lambda step: 1e-2) == whole
    unfinished.save({"step": 2})
    assert unfinished.resume() == {"step": 2}
