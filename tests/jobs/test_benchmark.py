"""Benchmarks run and print what they measured; how much that is, is no test's business."""

import importlib
import re
from dataclasses import dataclass, field
from typing import Annotated

import pytest
import soundfile
import tyro

from jobs.benchmark import VERBS, main
from jobs.benchmarks.corpus import make_recordings
from resp_agent.corpus.build import build_corpus
from resp_agent.settings import Settings


@dataclass(frozen=True)
class Job:
    """Flags of a made-up benchmark."""

    times: int = 1
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)


def show(job: Job) -> int:
    print(job.times, job.settings.preset, job.settings.diagnoser.width)
    return 0


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setitem(VERBS, "made up", (f"{__name__}:Job:show", "for tests"))
    monkeypatch.setitem(VERBS, "broken", ("jobs.benchmarks.nowhere:Job:show", "for tests"))


def test_the_help_has_a_line_for_every_benchmark(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"^  {verb} +{re.escape(line)}$", said, re.MULTILINE) for verb, (_, line) in VERBS.items())
    assert main([]) == 2


def test_a_verb_of_two_words_takes_flags_and_the_settings_of_a_preset(made_up, capsys):
    assert main(["made", "up", "--times", "3", "--preset", "smoke"]) == 0
    assert capsys.readouterr().out == "3 smoke 32\n"


def test_an_unknown_benchmark_is_refused_with_the_known_ones(capsys):
    assert main(["speed"]) == 2
    said = capsys.readouterr().err
    assert "no benchmark 'speed'" in said
    assert "speed diagnoser" in said


def test_a_benchmark_that_is_not_installed_breaks_no_other(made_up):
    with pytest.raises(ModuleNotFoundError):
        main(["broken"])
    assert main(["made", "up"]) == 0


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_flags_and_its_function(verb):
    module, kind, function = VERBS[verb][0].split(":")
    imported = importlib.import_module(module)
    assert getattr(imported, kind).__doc__
    assert callable(getattr(imported, function))


def test_made_recordings_are_all_different_and_buildable(tmp_path):
    root = make_recordings(tmp_path / "raw", 30, 0.6, 4_000)
    assert soundfile.info(root / "audio" / "000007.wav").duration == 0.6
    corpus = build_corpus({"folder": root}, tmp_path / "corpus")
    assert corpus.manifest["counts"] | {"train": 0, "valid": 0, "test": 0} == {
        "train": 0, "valid": 0, "test": 0, "none": 0, "excluded": 0, "quarantined": 0, "found": 30,
    }  # fmt: skip


@pytest.mark.slow
def test_the_corpus_benchmark_prints_a_ratio_and_memory(capfd):
    flags = ["--recordings", "512", "--seconds", "1", "--repeats", "1", "--memory", "20", "40", "--where", "local"]
    assert main(["corpus", *flags]) == 0
    said = capfd.readouterr().out
    assert re.search(r"ratio, median of 1: \d+\.\d\d \(local, 2 workers\)", said)
    assert re.search(r"memory, last against first: \d\.\d\d", said)


def test_a_benchmark_too_short_to_measure_is_refused(capsys):
    assert main(["corpus", "--recordings", "100"]) == 2
    assert "give --recordings at least 512" in capsys.readouterr().err
