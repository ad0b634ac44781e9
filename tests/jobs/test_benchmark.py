"""Benchmarks run and print what they measured; how much that is, is no test's business."""

import re

import pytest
import soundfile

from jobs.benchmark import main, make_recordings
from resp_agent.corpus.build import build_corpus


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
