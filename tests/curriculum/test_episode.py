"""The episode's own part: what is kept, what is discarded, what each lesson is given. Nothing is trained."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from resp_agent.curriculum.episode import EpisodeLab
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.lab import Lab
from resp_agent.curriculum.request import Request, Shard
from resp_agent.diagnoser.learner import Checkpoint
from resp_agent.errors import CorruptCheckpoint, UserError
from resp_agent.generator.refresh import weakness_of
from resp_agent.settings import smoke
from resp_agent.training.checkpoints import read_progress, verify, write_whole
from tests.curriculum.scores import assessment

CORPUS = SimpleNamespace(labels=("asthma", "COPD"), styles=("bell", "phone"), fingerprint="corpus", path=Path("corpus"))


class FakeStudio:
    """Writes a shard a request, named by the request; refreshed generators name what they were made of."""

    def __init__(self, workspace):
        self.workspace, self.begun, self.closed, self.asked, self.made_by = workspace, 0, False, [], []
        self.refreshes = []

    def begin(self):
        self.begun += 1

    def refresh(self, refresh):
        self.refreshes.append(refresh)
        story = (Path(refresh.start.folder) / "story").read_text() if refresh.start else "first"
        story += f" | {refresh.seed} {refresh.round} {sorted(refresh.weakness.items())}"
        written = write_whole(Path(refresh.save_to), lambda partial: (partial / "story").write_text(story), {})
        return Checkpoint(refresh.save_to, written)

    def synthesize(self, requests, diagnoser=None, generator=None):
        self.asked.append((list(requests), diagnoser))
        self.made_by.append(generator and Path(generator.folder).name)
        if generator:
            verify(Path(generator.folder), generator.digests)
        shards = []
        for request in requests:
            path = self.workspace / "synthetic" / f"{request.seed}.parquet"
            path.parent.mkdir(exist_ok=True)
            path.write_text(request.label)
            clips = tuple(request.clip_id("fake", index) for index in range(request.count))
            shards.append(Shard(f"synthetic/{path.name}", clips, 3.0 * request.count, 0.5))
        return shards

    def close(self):
        self.closed = True


class FakeSchool:
    """Writes whole checkpoints that name what they were made of."""

    def __init__(self):
        self.lessons, self.first, self.closed = [], 0, False

    def first_train(self, folder):
        self.first += 1
        return self._write(folder, "first", 0)

    def learn(self, lesson):
        verify(Path(lesson.start.folder), lesson.start.digests)
        assert all(Path(shard).is_file() for shard in lesson.shards)
        self.lessons.append(lesson)
        story = (Path(lesson.start.folder) / "story").read_text()
        story += f" | {lesson.seed} {lesson.round} {[Path(shard).name for shard in lesson.shards]}"
        return self._write(lesson.save_to, story, lesson.round), assessment(lesson.round)

    def assess(self, checkpoint):
        verify(Path(checkpoint.folder), checkpoint.digests)
        return assessment(read_progress(Path(checkpoint.folder))["round"])

    def close(self):
        self.closed = True

    def _write(self, folder, story, number):
        written = write_whole(Path(folder), lambda partial: (partial / "story").write_text(story), {"round": number})
        return Checkpoint(str(folder), written)


def lab_in(workspace, first=None, refresh_every=0):
    folders, settings = Folders.of(workspace, first), smoke()
    settings = replace(settings, curriculum=replace(settings.curriculum, refresh_every=refresh_every))
    return EpisodeLab(settings, folders, CORPUS, FakeStudio(folders.workspace), FakeSchool())


def ask(*seeds):
    return [Request("asthma", "bell", 2, seed) for seed in seeds]


def play(lab, rounds):
    for number in rounds:
        lab.synthesize(ask(10 * number, 10 * number + 1))
        yield lab.learn()


def files(workspace):
    return {path.relative_to(workspace).as_posix() for path in workspace.rglob("*") if path.is_file()}


def story(lab):
    return (lab.checkpoint / "story").read_text()


def test_it_is_a_lab(tmp_path):
    assert isinstance(lab_in(tmp_path), Lab)


def test_first_training_happens_once_for_all_who_share_its_folder(tmp_path):
    labs = [lab_in(tmp_path / name, tmp_path / "first") for name in ("one", "two")]
    seconds = labs[0].prepare()
    assert set(seconds) == {"diagnoser training", "generator training"}
    assert labs[0].reset(1) == labs[1].reset(2) == assessment(0)
    labs[0].reset(3)
    assert [lab._school.first for lab in labs] == [1, 0]
    assert [lab._studio.begun for lab in labs] == [1, 0]
    assert not (tmp_path / "one" / "first").exists()


def test_without_synthesis_no_generator_is_trained(tmp_path):
    lab = lab_in(tmp_path)
    lab.prepare(synthesis=False)
    lab.reset(1)
    assert lab._studio.begun == 0
    assert lab.synthesize([]).shards == ()
    lab.learn()
    assert lab._school.lessons[0].shards == ()


def test_a_lesson_is_whole_in_itself(tmp_path):
    lab = lab_in(tmp_path)
    lab.reset(7)
    assert list(play(lab, (1, 2))) == [assessment(1), assessment(2)]
    one, two = lab._school.lessons
    assert (one.seed, one.round, two.seed, two.round) == (7, 1, 7, 2)
    assert [Path(shard).name for shard in two.shards] == ["10.parquet", "11.parquet", "20.parquet", "21.parquet"]
    assert one.start.folder == str(lab.first_checkpoint)
    assert two.start.folder == one.save_to


def test_two_checkpoints_are_kept_and_the_first_trained_one(tmp_path):
    lab = lab_in(tmp_path)
    lab.reset(1)
    for number, _ in enumerate(play(lab, range(1, 6)), 1):
        kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
        assert kept == [f"round-{one:03d}" for one in (number - 1, number) if one]
        assert read_progress(lab.first_checkpoint) == {"round": 0}


def test_what_cannot_be_asked_for_is_named(tmp_path):
    lab = lab_in(tmp_path)
    lab.reset(1)
    for label, style in (("asthmatic", "bell"), ("asthma", "bowl")):
        with pytest.raises(UserError, match=f"'{label}' in style '{style}'.*asthma, COPD.*bell, phone"):
            lab.synthesize([Request(label, style, 1, 1)])
    assert not (tmp_path / "synthetic").exists()


def test_going_on_from_a_saved_round_gives_what_was_never_interrupted(tmp_path):
    whole = lab_in(tmp_path / "whole")
    whole.reset(7)
    list(play(whole, range(1, 5)))

    cut = lab_in(tmp_path / "cut")
    cut.reset(7)
    list(play(cut, (1, 2)))
    state = json.loads(json.dumps(cut.save()))
    again = lab_in(tmp_path / "cut")
    assert again.restore(state) == assessment(2)
    assert list(play(again, (3, 4))) == [assessment(3), assessment(4)]
    assert story(again) == story(whole)
    assert again._school.first == 0


def test_what_was_not_saved_is_discarded(tmp_path):
    lab = lab_in(tmp_path)
    lab.reset(7)
    list(play(lab, (1, 2)))
    state, before = lab.save(), files(tmp_path)
    list(play(lab, (3,)))
    # And what a blow leaves: halves.
    (tmp_path / "checkpoints" / "round-004.partial").mkdir()
    (tmp_path / "checkpoints" / "round-004.partial" / "half").write_text("")
    (tmp_path / "synthetic" / ".40.parquet.123").write_text("")
    again = lab_in(tmp_path)
    again.restore(state)
    left = files(tmp_path)
    assert left <= before
    assert {name for name in before - left if not name.startswith("checkpoints/round-001/")} == set()
    assert story(again).endswith("7 2 ['10.parquet', '11.parquet', '20.parquet', '21.parquet']")
    assert [Path(path).name for path in (tmp_path / "checkpoints").iterdir()] == ["round-002"]


def test_going_back_to_the_start_keeps_the_first_trained_checkpoint(tmp_path):
    lab = lab_in(tmp_path)
    lab.reset(7)
    state = lab.save()
    list(play(lab, (1, 2)))
    again = lab_in(tmp_path)
    assert again.restore(state) == assessment(0)
    assert not any((tmp_path / "synthetic").iterdir())
    assert list(play(again, (1, 2))) == [assessment(1), assessment(2)]
    assert story(again) == story(lab)


def test_a_run_directory_can_be_moved(tmp_path):
    lab = lab_in(tmp_path / "here")
    lab.reset(7)
    list(play(lab, (1,)))
    state = lab.save()
    assert str(tmp_path) not in json.dumps(state)
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = lab_in(tmp_path / "there")
    assert moved.restore(state) == assessment(1)
    assert list(play(moved, (2,))) == [assessment(2)]


def test_a_checkpoint_that_changed_is_not_gone_on_from(tmp_path):
    lab = lab_in(tmp_path)
    lab.reset(7)
    list(play(lab, (1,)))
    state = lab.save()
    (lab.checkpoint / "story").write_text("another")
    with pytest.raises(CorruptCheckpoint, match=r"round-001/story is not what was written"):
        lab_in(tmp_path).restore(state)
    (lab.checkpoint / "story").unlink()
    with pytest.raises(CorruptCheckpoint, match=r"round-001/story is missing"):
        lab_in(tmp_path).restore(state)


def test_another_episode_starts_from_nothing(tmp_path):
    lab = lab_in(tmp_path)
    lab.reset(7)
    list(play(lab, (1, 2, 3)))
    first = story(lab)
    assert lab.reset(7) == assessment(0)
    assert lab.save()["shards"] == []
    list(play(lab, (1, 2, 3)))
    assert story(lab) == first


def test_closing_closes_both(tmp_path):
    lab = lab_in(tmp_path)
    lab.close()
    assert lab._studio.closed
    assert lab._school.closed


def test_first_trained_models_are_kept_apart_by_all_that_changes_them(tmp_path, monkeypatch):
    settings, folders = smoke(), Folders.of(tmp_path)
    others = [
        replace(settings, seed=1),
        replace(settings, threads=2),
        replace(settings, audio=replace(settings.audio, mels=32)),
        replace(settings, diagnoser=replace(settings.diagnoser, width=64)),
        replace(settings, generator=replace(settings.generator, units=8)),
    ]
    diagnosers = {folders.diagnoser(one, CORPUS) for one in [settings, *others]}
    diagnosers |= {Folders.of(tmp_path, None, 2).diagnoser(settings, CORPUS)}
    other_corpus = SimpleNamespace(**{**vars(CORPUS), "fingerprint": "other"})
    diagnosers |= {folders.diagnoser(settings, other_corpus)}
    assert len(diagnosers) == 7
    generators = {folders.generator(one, CORPUS) for one in [settings, *others]}
    assert len(generators) == 5
    # A policy, a budget or the way of asking for clips trains nothing anew.
    same = replace(settings, curriculum=replace(settings.curriculum, budget=99, refresh_every=2, refresh_steps=9))
    assert folders.diagnoser(same, CORPUS) == folders.diagnoser(settings, CORPUS)
    assert folders.generator(same, CORPUS) == folders.generator(settings, CORPUS)
    # Other weights where the settings find an encoder.
    monkeypatch.setattr("resp_agent.curriculum.folders.make_encoder", lambda *of: SimpleNamespace(fingerprint="new"))
    assert folders.diagnoser(settings, CORPUS) not in diagnosers


def test_a_hard_request_names_the_diagnoser_that_it_is_hard_for(tmp_path, monkeypatch):
    monkeypatch.setattr("resp_agent.curriculum.episode.AVERAGED", "story")
    lab = lab_in(tmp_path)
    lab.reset(0)
    easy, hard = Request("asthma", "bell", 1, 1), Request("asthma", "bell", 1, 2, hardness=0.5)
    before = lab.synthesize([easy, hard])
    lab.learn()
    after = lab.synthesize([easy, hard])
    (first, start), (second, now) = lab._studio.asked
    assert [request.diagnoser for request in first] == [None, start.digests["story"]]
    assert [request.diagnoser for request in second] == [None, now.digests["story"]]
    assert before.clip_ids[0] == after.clip_ids[0]
    assert before.clip_ids[1] != after.clip_ids[1]


def generators(workspace):
    return sorted(path.name for path in (workspace / "generators").iterdir())


def test_without_refreshes_there_is_no_word_of_them(tmp_path):
    lab = lab_in(tmp_path)
    lab.reset(7)
    list(play(lab, range(1, 4)))
    assert lab._studio.refreshes == []
    assert lab._studio.made_by == [None] * 3
    assert lab.save().keys() == {"seed", "round", "shards", "checkpoint"}
    assert not (tmp_path / "generators").exists()


def test_the_generator_is_refreshed_before_the_first_clips_after_so_many_rounds(tmp_path):
    lab = lab_in(tmp_path, refresh_every=2)
    lab.reset(7)
    kept = []
    for number, _ in enumerate(play(lab, range(1, 8)), 1):
        assert ("generator" in lab.save()) == (number > 2)
        kept.append(generators(tmp_path) if number > 2 else [])
    assert lab._studio.made_by == [None, None, *["round-002"] * 2, *["round-004"] * 2, "round-006"]
    assert kept[2:] == [["round-002"]] * 2 + [["round-002", "round-004"]] * 2 + [["round-004", "round-006"]]
    one, two, three = lab._studio.refreshes
    assert [(one.seed, one.round, one.start), (two.round, three.round)] == [(7, 2, None), (4, 6)]
    assert two.start.folder == one.save_to
    assert one.weakness == weakness_of(assessment(2))
    assert three.weakness == weakness_of(assessment(6))
    # Clips that are asked for in the same round are of the same generator; without any there is no need of one.
    lab.synthesize(ask(1))
    lab.learn()
    lab.synthesize([])
    assert len(lab._studio.refreshes) == 3


@pytest.mark.parametrize("struck", ["before the refresh", "after the refresh", "after the clips"])
def test_an_episode_goes_on_with_the_generator_in_force(tmp_path, struck):
    whole = lab_in(tmp_path / "whole", refresh_every=1)
    whole.reset(7)
    list(play(whole, range(1, 6)))

    cut = lab_in(tmp_path / "cut", refresh_every=1)
    cut.reset(7)
    list(play(cut, (1, 2, 3)))
    state = json.loads(json.dumps(cut.save()))
    assert str(tmp_path) not in json.dumps(state)
    if struck == "after the refresh":
        cut._studio.synthesize = None
        with pytest.raises(TypeError):
            cut.synthesize(ask(40))
    elif struck == "after the clips":
        cut.synthesize(ask(40, 41))
    shutil.move(tmp_path / "cut", tmp_path / "moved")
    again = lab_in(tmp_path / "moved", refresh_every=1)
    assert again.restore(state) == assessment(3)
    assert list(play(again, (4, 5))) == [assessment(4), assessment(5)]
    assert again._studio.made_by == ["round-003", "round-004"]
    assert again.save() == whole.save()
    for name in ("round-003", "round-004"):
        assert (tmp_path / "moved/generators" / name / "story").read_text() == (
            tmp_path / "whole/generators" / name / "story"
        ).read_text()


def test_another_episode_begins_with_the_first_trained_generator(tmp_path):
    lab = lab_in(tmp_path, refresh_every=2)
    lab.reset(7)
    list(play(lab, range(1, 6)))
    lab.reset(8)
    list(play(lab, range(1, 4)))
    assert lab._studio.made_by[5:] == [None, None, "round-002"]
    assert lab._studio.refreshes[-1].start is None
    # What the episode before left is gone.
    assert generators(tmp_path) == ["round-002"]
