import os

from resp_agent.curriculum.beacon import Beacon, read_beacons


def test_the_last_word_of_every_worker_is_read_and_halves_are_not(tmp_path):
    folder = tmp_path / "progress"
    one, two = Beacon(folder, "diagnoser-0"), Beacon(folder, "generator-1")
    one.at("first training", step=3)
    one.at("learning", round=2, step=5)
    two.at("waiting")
    (folder / "diagnoser-1.json").write_text('{"phase": "lea')
    (folder / "diagnoser-0.1").write_text("left by a process that was killed")
    found = read_beacons(folder)
    assert set(found) == {"diagnoser-0", "generator-1"}
    assert found["diagnoser-0"].pop("time_s") > 1e9
    assert found["diagnoser-0"] == {"phase": "learning", "round": 2, "step": 5, "pid": os.getpid()}


def test_where_nobody_has_spoken_there_is_nothing(tmp_path):
    assert read_beacons(tmp_path / "progress") == {}
