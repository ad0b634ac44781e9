"""The gang's own part, rebuilding, with ranks that learn nothing and die on time."""

import os
import time

import pytest
import ray
from ray.exceptions import RayTaskError

import actors.diagnoser
from actors.diagnoser import REBUILDS, Gang
from resp_agent.curriculum.folders import Folders
from resp_agent.errors import CorruptCheckpoint, RunFailed, UserError
from resp_agent.settings import Placement, smoke

pytestmark = pytest.mark.ray


@ray.remote(max_restarts=0)
class Rank:
    """Does what the task says: {"rank", "does", "times"}."""

    def address(self):
        return "127.0.0.1", 1

    def join(self, settings, corpus, folders, rank, world, address):
        self.rank, self.world, self.folder = rank, world, corpus

    def call(self, method, task, about=None):
        attempt = len(list(self.folder.glob(f"{self.rank}-*")))
        (self.folder / f"{self.rank}-{attempt}").touch()
        if attempt >= task["times"]:
            return method, self.rank, self.world, attempt
        if self.rank == task["rank"]:
            if task["does"] == "die":
                # Its peers see the connection close before Ray knows of the death.
                time.sleep(1.0)
                os._exit(1)
            raise task["does"]
        if task["does"] == "die":
            raise RuntimeError("connection closed by peer")
        time.sleep(1000)
        return None


@pytest.fixture
def gang(small_ray, tmp_path, monkeypatch):
    monkeypatch.setattr(actors.diagnoser, "DiagnoserWorker", Rank)
    monkeypatch.setattr(actors.diagnoser, "DEATH_S", 5.0)
    place = Placement(diagnoser_workers=2, diagnoser_cpus=0.5)
    made = Gang(smoke(), place, tmp_path, Folders.of(tmp_path))
    yield made
    made.close()


def test_a_task_is_done_by_all_and_rank_0_answers(gang, tmp_path):
    assert gang.learn({"rank": 0, "does": "die", "times": 0}) == ("learn", 0, 2, 0)
    assert gang.assess({"rank": 0, "does": "die", "times": 0}) == ("assess", 0, 2, 1)
    assert len(list(tmp_path.glob("1-*"))) == 2


@pytest.mark.parametrize("rank", [0, 1])
def test_a_gang_that_lost_a_rank_is_rebuilt_and_does_its_task_again(rank, gang):
    assert gang.learn({"rank": rank, "does": "die", "times": 2}) == ("learn", 0, 2, 2)


@pytest.mark.slow
def test_a_gang_that_dies_again_and_again_ends_the_run(gang, tmp_path):
    with pytest.raises(RunFailed, match=f"died {REBUILDS} times in 'first_train'.*--resume"):
        gang.first_train({"rank": 1, "does": "die", "times": 99})
    assert len(list(tmp_path.glob("1-*"))) == REBUILDS


@pytest.mark.parametrize("error", [UserError("give another"), RunFailed("no number"), CorruptCheckpoint("digest")])
def test_what_a_rank_refuses_keeps_its_sentence_though_others_wait_for_ever(error, gang):
    began = time.monotonic()
    with pytest.raises(type(error), match=f"^{error}$") as caught:
        gang.learn({"rank": 1, "does": error, "times": 1})
    assert type(caught.value) is type(error)
    assert time.monotonic() - began < 30


def test_a_defect_is_no_reason_to_try_again(gang, tmp_path, monkeypatch):
    monkeypatch.setattr(actors.diagnoser, "DEATH_S", 0.5)
    with pytest.raises(RayTaskError, match="ZeroDivisionError"):
        gang.learn({"rank": 1, "does": ZeroDivisionError("1 / 0"), "times": 1})
    assert len(list(tmp_path.glob("1-*"))) == 1


def test_a_closed_gang_gives_its_place_back(small_ray, gang):
    gang.learn({"rank": 0, "does": "die", "times": 0})
    assert ray.available_resources()["CPU"] == 1
    gang.close()
    deadline = time.monotonic() + 10
    while ray.available_resources().get("CPU") != 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
