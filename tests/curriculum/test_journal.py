import json
import os
from dataclasses import replace

import pytest

from resp_agent.curriculum.journal import ASSESSMENTS, JOURNAL, SETTINGS, RunDirectory
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from tests.curriculum.scores import assessment

IDENTITY = {"policy": "random", "settings": {"seed": 1}}


def entry(number):
    return {"round": number, "reward": 0.1 + 0.2 * number, "state": {"lab": {"round": number}}, "why": "für 3 µs"}


def stored(scored):
    """What a run directory keeps of an assessment."""
    return replace(scored, train_counts=(), losses=())


@pytest.fixture
def run(tmp_path):
    made = RunDirectory.create(tmp_path / "run", IDENTITY)
    for number in range(3):
        made.commit(entry(number), [assessment(seed, unheld=(1,)) for seed in range(number + 1)])
    return made


def test_what_was_committed_is_read_back_bit_for_bit(run):
    again = RunDirectory.resume(run.path)
    assert again.identity == IDENTITY
    assert again.rounds() == [entry(number) for number in range(3)]
    assert again.assessments(3) == [stored(assessment(seed, unheld=(1,))) for seed in range(3)]
    assert again.assessments(3)[2].macro_f1 == assessment(2, unheld=(1,)).macro_f1
    assert again.assessments(0) == []
    assert again.summary() is None


def test_a_line_torn_anywhere_never_happened_and_leaves_no_trace(run):
    """As if the run had been killed, or the power cut, after any number of its bytes."""
    path = run.path / JOURNAL
    whole = path.read_bytes()
    begin = whole[:-1].rfind(b"\n") + 1
    for length in range(begin, len(whole)):
        path.write_bytes(whole[:length])
        again = RunDirectory.resume(run.path)
        assert [one["round"] for one in again.rounds()] == [0, 1]
        assert len(again.assessments(2)) == 2
        again.commit(entry(2), [assessment(seed, unheld=(1,)) for seed in range(3)])
        assert path.read_bytes() == whole


def test_killed_between_assessments_and_journal(run, monkeypatch):
    """The round does not count; the assessment that is there already is not read."""
    real = json.dumps

    def killed(value, **options):
        if isinstance(value, dict) and value.get("round") == 3:
            raise KeyboardInterrupt
        return real(value, **options)

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", killed)
        with pytest.raises(KeyboardInterrupt):
            run.commit(entry(3), [assessment(seed, unheld=(1,)) for seed in range(4)])
    again = RunDirectory.resume(run.path)
    assert len(again.rounds()) == 3
    assert len(again.assessments(4)) == 4
    assert again.assessments(3) == [stored(assessment(seed, unheld=(1,))) for seed in range(3)]
    again.commit(entry(3), [assessment(seed, unheld=(1,)) for seed in (0, 1, 2, 9)])
    assert again.assessments(4)[3] == stored(assessment(9, unheld=(1,)))


def test_a_style_that_no_clip_can_have_stays_unknown(tmp_path):
    scored = assessment(0)
    scored.style[::7] = -1
    run = RunDirectory.create(tmp_path, IDENTITY)
    run.commit(entry(0), [scored])
    assert run.assessments(1) == [stored(scored)]


def test_a_folder_with_a_run_is_refused_and_one_without_too(run, tmp_path):
    before = {path: path.read_bytes() for path in run.path.iterdir()}
    with pytest.raises(UserError, match=r"holds a run already.*--resume.*another --out"):
        RunDirectory.create(run.path, {"policy": "other"})
    assert {path: path.read_bytes() for path in run.path.iterdir()} == before
    with pytest.raises(UserError, match="holds no run to resume"):
        RunDirectory.resume(tmp_path)
    # One that was killed before its first round has nothing to lose.
    (run.path / JOURNAL).unlink()
    assert RunDirectory.create(run.path, {"policy": "other"}).identity == {"policy": "other"}


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written.*another --out"):
        RunDirectory.create(tmp_path / "file" / "run", IDENTITY)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        RunDirectory.create(tmp_path / "run", IDENTITY)


def test_a_run_is_held_to_the_corpus_that_it_began_with(run):
    run.hold_to_corpus("aa")
    assert run.identity == IDENTITY | {"corpus": "aa"}
    run.hold_to_corpus("aa")
    before = (run.path / SETTINGS).read_bytes()
    with pytest.raises(UserError, match=r"begun on corpus aa and this is bb.*start a new run"):
        run.hold_to_corpus("bb")
    assert (run.path / SETTINGS).read_bytes() == before


def test_the_summary_comes_last(run, monkeypatch):
    with pytest.raises(TypeError):
        run.finish({"report.html": b"page", "figures/rounds.png": b"image"}, {"a": object()})
    assert run.summary() is None
    run.finish({"report.html": b"page", "figures/rounds.png": b"image"}, {"a": 0.1})
    assert run.summary() == {"a": 0.1}
    assert (run.path / "figures" / "rounds.png").read_bytes() == b"image"


def test_an_atomic_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / ASSESSMENTS
    write_atomic(path, b"before")

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write_atomic(path, b"after")
    assert path.read_bytes() == b"before"
    write_atomic(path, b"after")
    assert path.read_bytes() == b"after"
    assert [one.name for one in tmp_path.iterdir()] == [ASSESSMENTS]
