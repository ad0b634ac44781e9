"""The veto list: nothing is lost, nothing unknown is added, and what is on it is not learned from."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
import pytest

from jobs.options import CurriculumJob, open_run
from jobs.veto import main
from resp_agent.corpus.schema import to_table
from resp_agent.curriculum.vetoes import FILE, add_vetoes, adopt_vetoes, read_vetoes, vetoes_of
from resp_agent.diagnoser.learner import Learner
from resp_agent.errors import UserError
from tests.generator.made_up import train_split


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "synthetic").mkdir()
    clips = train_split()[:5]
    pq.write_table(to_table(clips), tmp_path / "synthetic" / "one.parquet")
    return tmp_path, [clip.id for clip in clips]


def test_reasons_are_kept_and_clips_are_added_once(workspace):
    folder, ids = workspace
    assert read_vetoes(folder) == {}
    assert add_vetoes(folder, [ids[0], ids[1], ids[0]], 'a "click", twice', ids) == ids[:2]
    assert add_vetoes(folder, [ids[1], ids[2]], "speech", ids) == ids[2:3]
    assert {clip: row["reason"] for clip, row in read_vetoes(folder).items()} == {
        ids[0]: 'a "click", twice',
        ids[1]: 'a "click", twice',
        ids[2]: "speech",
    }


def test_an_unknown_clip_adds_nothing(workspace):
    folder, ids = workspace
    with pytest.raises(UserError, match="there is no clip x in"):
        add_vetoes(folder, [ids[0], "x"], "noise", ids)
    assert not (folder / FILE).exists()


def test_a_broken_list_is_not_taken_for_an_empty_one(workspace):
    folder, ids = workspace
    (folder / FILE).write_text("clip,reason\n" + ids[0] + ",noise\n")
    with pytest.raises(UserError, match=r"row 2 .* has no clip_id"):
        read_vetoes(folder)
    (folder / FILE).write_bytes(b"\xff\xff")
    with pytest.raises(UserError, match="cannot be read"):
        read_vetoes(folder)


def test_lists_of_other_runs_hold_here_too(workspace, tmp_path):
    folder, ids = workspace
    add_vetoes(folder, ids[:2], "noise", ids)
    other, here = tmp_path / "other", tmp_path / "here"
    for path in (other, here):
        path.mkdir()
    add_vetoes(other, ids[1:3], "speech", ids)
    add_vetoes(here, ids[3:4], "click", ids)
    adopt_vetoes(here, vetoes_of([folder, other]))
    reasons = {clip: row["reason"] for clip, row in read_vetoes(here).items()}
    assert reasons == dict(zip(ids, ("noise", "noise", "speech", "click"), strict=False))
    adopt_vetoes(tmp_path / "other", {})
    with pytest.raises(UserError, match=r"there is no veto list .*vetoes\.csv"):
        vetoes_of([tmp_path / "nothing"])


def test_a_run_is_not_begun_with_a_list_that_is_not_there(tmp_path):
    job = CurriculumJob(out=str(tmp_path / "run"), vetoes=(str(tmp_path),))
    with pytest.raises(UserError, match="there is no veto list"):
        open_run(job)
    assert not (tmp_path / "run").exists()
    (tmp_path / FILE).write_text("clip_id,reason,when\nabc,noise,\n")
    run = open_run(job)
    assert list(read_vetoes(run.path)) == ["abc"]


def test_what_people_and_spreadsheets_add_is_kept(workspace):
    folder, ids = workspace
    (folder / FILE).write_text(f"clip_id,reason,when,who\n{ids[0]},noise,,A. B.\n{ids[1]}\n", encoding="utf-8-sig")
    add_vetoes(folder, ids[2:3], "speech", ids)
    rows = read_vetoes(folder)
    assert list(rows) == ids[:3]
    assert rows[ids[0]]["who"] == "A. B."
    assert rows[ids[2]]["reason"] == "speech"
    (folder / FILE).write_text(f"clip_id,reason\n{ids[0]},noise, and more\n")
    with pytest.raises(UserError, match=r"row 2 .* has more fields than there are columns"):
        read_vetoes(folder)


def test_clips_rejected_at_the_same_time_are_all_on_the_list(workspace):
    folder, _ = workspace
    ids = [f"clip-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda clip: add_vetoes(folder, [clip], "noise", ids), ids))
    assert sorted(read_vetoes(folder)) == sorted(ids)


def test_the_command_adds_and_shows(workspace, capsys):
    folder, ids = workspace
    assert main([str(folder), "--clips", ids[3], "--reason", "a voice"]) == 0
    assert main([str(folder), "--clips", ids[3], ids[4], "--reason", "clicks"]) == 0
    assert "1 added, 1 were on the list already" in capsys.readouterr().out
    assert main([str(folder)]) == 0
    said = capsys.readouterr().out
    assert "a voice" in said
    assert "2 rejected" in said
    assert main([str(folder), "--clips", "x", "--reason", "noise"]) == 2
    assert main([str(folder), "--clips", ids[0]]) == 2
    assert main([str(folder / "nowhere")]) == 2
    assert main([str(folder / "synthetic"), "--clips", ids[0], "--reason", "noise"]) == 2


def test_what_is_rejected_is_not_learned_from(workspace):
    """Also when it was rejected after a round that learned from it."""
    folder, ids = workspace
    shards = (str(folder / "synthetic" / "one.parquet"),)

    class Named:
        """Stands for what a recording becomes."""

        def __init__(self, name):
            self.id = name

    learner = object.__new__(Learner)
    learner._clips = {shards[0]: [Named(clip) for clip in ids]}
    assert [one.id for one in learner._read_clips(shards)] == ids
    add_vetoes(folder, [ids[1], ids[4]], "noise", ids)
    assert [one.id for one in learner._read_clips(shards)] == [ids[0], ids[2], ids[3]]
