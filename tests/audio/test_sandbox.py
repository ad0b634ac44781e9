"""Decoding in a process: the same numbers as here, and no file that gets away with anything."""

import os
import signal
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import soundfile

from resp_agent.audio.header import Unreadable
from resp_agent.audio.intake import take
from resp_agent.audio.sandbox import Sandbox
from resp_agent.errors import RunFailed
from resp_agent.settings import DecodingSettings, QualitySettings
from tests.audio.waves import hostile, noise

WANTED = QualitySettings()
QUICK = DecodingSettings(time_limit_s=1.0, memory_limit_mb=256)


@pytest.fixture
def good(tmp_path):
    soundfile.write(tmp_path / "good.wav", noise("good", 2.0, 8_000), 8_000, subtype="PCM_24")
    return tmp_path / "good.wav"


def misbehaving(name: str, limits: DecodingSettings = QUICK) -> Sandbox:
    return Sandbox(WANTED, limits, work=f"tests.audio.misbehaving:{name}")


def named(good: Path, name: str) -> Path:
    os.link(good, good.with_name(name))
    return good.with_name(name)


def test_it_takes_what_would_be_taken_here(good):
    with Sandbox(WANTED, QUICK) as sandbox:
        taken = sandbox.take(good)
    assert asdict(taken) == asdict(take(good, WANTED))
    assert (taken.duration_s, taken.original_sample_rate_hz, taken.original_format) == (2.0, 8_000, "WAV PCM_24")


@pytest.mark.parametrize("name", ["naïve – レ.wav", "a\nb.wav", os.fsdecode(b"\xff\xfe.wav")])
def test_odd_names_go_through_the_pipe(good, name):
    with Sandbox(WANTED, QUICK) as sandbox:
        assert sandbox.take(named(good, name)).id == take(good, WANTED).id


def test_every_hostile_file_gets_its_reason_from_one_process(tmp_path):
    with Sandbox(WANTED, DecodingSettings()) as sandbox:
        for path, word in hostile(tmp_path / "hostile").values():
            began = time.monotonic()
            with pytest.raises(Unreadable) as caught:
                sandbox.take(path)
            assert word in caught.value.reason
            assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", ["sleep", "spin"])
def test_a_hang_ends_in_time_and_the_next_file_is_taken(good, name):
    with misbehaving(name) as sandbox:
        began = time.monotonic()
        with pytest.raises(Unreadable, match=r"takes more than 1 s"):
            sandbox.take(named(good, "hang.wav"))
        assert time.monotonic() - began < 5
        assert sandbox.take(good).duration_s == 2.0


@pytest.mark.parametrize(
    ("name", "reason"), [("crash", "breaks .SIGSEGV"), ("exits", "breaks .exit code 3"), ("hoard", "more memory")]
)
def test_what_breaks_the_decoder_is_refused_and_the_next_file_is_taken(good, name, reason):
    bad = named(good, f"{name.removesuffix('s')}.wav")
    with misbehaving(name) as sandbox:
        began = time.monotonic()
        with pytest.raises(Unreadable, match=reason):
            sandbox.take(bad)
        assert time.monotonic() - began < 5
        assert sandbox.take(good).duration_s == 2.0


def test_a_process_that_was_killed_by_others_costs_its_file_nothing(good):
    with misbehaving("shot_once") as sandbox:
        assert sandbox.take(good).duration_s == 2.0


def test_a_process_that_was_killed_while_it_started_is_started_again(good, monkeypatch):
    pids, popen = [], subprocess.Popen

    def killed_at_first(*arguments, **options):
        process = popen(*arguments, **options)
        if not pids:
            process.kill()
        pids.append(process.pid)
        return process

    monkeypatch.setattr("resp_agent.audio.sandbox.subprocess.Popen", killed_at_first)
    with Sandbox(WANTED, QUICK) as sandbox:
        assert sandbox.take(good).duration_s == 2.0
    assert len(pids) == 2


def test_what_a_decoder_says_is_no_answer(good):
    with misbehaving("talk") as sandbox:
        assert sandbox.take(good).id == take(good, WANTED).id


def test_a_stuck_process_ends_by_itself_when_nobody_is_left_to_end_it(good):
    sandbox = misbehaving("spin")
    process = sandbox._started()
    hang = os.fsencode(named(good, "hang.wav"))
    process.stdin.write((2).to_bytes(4, "little") + len(hang).to_bytes(4, "little") + b"{}" + hang)
    assert process.wait(timeout=20) == -signal.SIGALRM
    sandbox.close()


def test_it_ends_with_its_parent(good):
    code = (
        "import sys, time; from resp_agent.audio.sandbox import Sandbox; from resp_agent.settings import *;"
        "s = Sandbox(QualitySettings(), DecodingSettings()); print(s._started().pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(["python", "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and Path(f"/proc/{child}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "the decoding process outlives its parent"
        time.sleep(0.05)


def test_a_process_that_cannot_start_is_a_failure_of_the_run(good):
    with pytest.raises(RunFailed, match="does not start"), misbehaving("no_such_function") as sandbox:
        sandbox.take(good)
