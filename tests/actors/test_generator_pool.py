"""The pool's own part, with workers that synthesize nothing."""

import os
import time
from pathlib import Path

import pytest
import ray

import actors.generator
from actors.generator import RayStudio
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.request import Request, Shard
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.errors import RunFailed, UserError
from resp_agent.generator.refresh import Refresh
from resp_agent.settings import Placement, smoke

pytestmark = pytest.mark.ray


@ray.remote(max_retries=-1, max_calls=1)
def train(settings, corpus, folder, progress):
    """Dies the first time, and says how often it was called."""
    calls = len(list(Path(corpus).glob("train-*")))
    (Path(corpus) / f"train-{calls}").touch()
    if calls == 0:
        os._exit(1)
    if (Path(corpus) / "refuse").exists():
        raise UserError("no second patient: add one")


@ray.remote(max_restarts=0, max_task_retries=0)
class Worker:
    """Makes a request in as many tenths of a second as it has clips; dies the first time that it sees seed 13."""

    def __init__(self, settings, corpus, folder, folders, number):
        self.corpus, self.number = Path(corpus), number

    def refresh(self, refresh):
        tries = len(list(self.corpus.glob("refresh-*")))
        (self.corpus / f"refresh-{tries}").touch()
        if tries == 0:
            os._exit(1)
        return Checkpoint(f"refreshed after {refresh.round}", {})

    def make(self, requests, diagnoser=None, generator=None, about=None):
        if not requests and (self.corpus / "broken").exists():
            raise RunFailed("the weights are not what was written")
        made = []
        for request in requests:
            seen = self.corpus / f"seen-{request.seed}"
            if request.seed == 13 and not seen.exists():
                seen.touch()
                os._exit(1)
            if request.seed == 99:
                raise UserError("no such style: choose another")
            time.sleep(request.count / 10)
            told = generator.folder if generator else "first-trained"
            made.append(Shard(f"{request.seed}", (f"worker {self.number}", told), 0.0, 0.0))
        return made


@pytest.fixture
def studio(small_ray, tmp_path, monkeypatch):
    monkeypatch.setattr(actors.generator, "train", train)
    monkeypatch.setattr(actors.generator, "GeneratorWorker", Worker)
    place = Placement(generators=2, generator_cpus=0.5)
    made = RayStudio(smoke(), place, tmp_path, tmp_path, Folders.of(tmp_path))
    yield made
    made.close()


def requests(*pairs):
    return [Request("label", "style", count, seed) for seed, count in pairs]


def test_shards_come_in_the_order_of_requests_whoever_made_them(studio, tmp_path):
    studio.begin()
    shards = studio.synthesize(requests((1, 10), (2, 1), (13, 1), (4, 1), (5, 1)))
    assert [shard.path for shard in shards] == ["1", "2", "13", "4", "5"]
    assert len({shard.clip_ids for shard in shards}) == 2
    assert (tmp_path / "seen-13").exists()
    assert [shard.path for shard in studio.synthesize(requests((7, 1)))] == ["7"]
    assert studio.synthesize([]) == []
    # Once killed, once done; never again.
    assert len(list(tmp_path.glob("train-*"))) == 2


def test_what_training_refuses_keeps_its_sentence(studio, tmp_path):
    (tmp_path / "refuse").touch()
    with pytest.raises(UserError, match=r"^no second patient: add one$"):
        studio.synthesize([])


def test_what_loading_and_making_refuse_keeps_its_sentence(studio, tmp_path):
    (tmp_path / "broken").touch()
    with pytest.raises(RunFailed, match=r"^the weights are not what was written$"):
        studio.synthesize([])
    (tmp_path / "broken").unlink()
    with pytest.raises(UserError, match=r"^no such style: choose another$"):
        studio.synthesize(requests((1, 1), (99, 1)))


def test_every_worker_is_told_the_refreshed_generator_also_one_that_restarts(studio, tmp_path):
    studio.synthesize([])
    refreshed = studio.refresh(Refresh(0, 2, {}, None, str(tmp_path / "round-002")))
    assert refreshed == Checkpoint("refreshed after 2", {})
    # The worker died once and was asked again.
    assert len(list(tmp_path.glob("refresh-*"))) == 2
    shards = studio.synthesize(requests((1, 3), (2, 3), (13, 1), (4, 1)), None, refreshed)
    assert {shard.clip_ids for shard in shards} == {(f"worker {one}", "refreshed after 2") for one in (0, 1)}
    assert (tmp_path / "seen-13").exists()
    assert studio.synthesize(requests((5, 1)))[0].clip_ids[1] == "first-trained"
