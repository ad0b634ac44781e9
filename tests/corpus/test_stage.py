"""Staging: what a killed build had decoded is not decoded again, and what changed is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from resp_agent.audio.header import Unreadable
from resp_agent.audio.sandbox import Sandbox
from resp_agent.corpus import build, listing
from resp_agent.corpus.build import build_corpus
from resp_agent.corpus.dataset import Corpus
from resp_agent.errors import RunFailed, UserError
from resp_agent.settings import CorpusSettings, DecodingSettings, QualitySettings
from tests.audio.waves import noise
from tests.corpus import layouts


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "PART_ROWS", 4)
    return layouts.icbhi(tmp_path / "icbhi")


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that were decoded, in order."""
    names, take = [], Sandbox.take

    def counting(self, path):
        names.append(path.name)
        return take(self, path)

    monkeypatch.setattr(Sandbox, "take", counting)
    return names


def interrupted(root: Path, out: Path, monkeypatch, parts: int) -> None:
    """A build that ends, without a chance to tidy up, once so many parts are staged."""
    real = build.in_threads

    def some():
        def run(work, todo):
            yield from real()(work, todo[:parts])
            raise KeyboardInterrupt

        return run

    with monkeypatch.context() as patched:
        patched.setattr(build, "in_threads", some)
        with pytest.raises(KeyboardInterrupt):
            build_corpus({"icbhi": root}, out)


def contents(corpus: Corpus) -> dict[str, bytes]:
    return {path.relative_to(corpus.path).as_posix(): path.read_bytes() for path in corpus.path.rglob("*.*")}


def test_a_build_goes_on_where_it_was(root, tmp_path, decoded, monkeypatch):
    whole = build_corpus({"icbhi": root}, tmp_path / "whole")
    assert len(decoded) == len(set(decoded)) == 14
    decoded.clear()
    interrupted(root, tmp_path / "out", monkeypatch, 2)
    assert len(decoded) == 8
    assert not (tmp_path / "out").exists()
    told = []
    corpus = build_corpus({"icbhi": root}, tmp_path / "out", progress=lambda *said: told.append(said))
    assert len(decoded) == len(set(decoded)) == 14, "no file was decoded twice"
    assert ("decoded", 12, 14) in told
    assert contents(corpus) == contents(whole)
    assert {path.name for path in tmp_path.iterdir()} == {"icbhi", "out", "whole"}


def test_only_what_changed_is_decoded_again(root, tmp_path, decoded, monkeypatch):
    interrupted(root, tmp_path / "out", monkeypatch, 3)
    paths = sorted((root / "ICBHI_final_database").glob("*.wav"))
    soundfile.write(paths[0], noise("another", rate_hz=4_000), 4_000, subtype="PCM_16")
    paths[1].with_suffix(".txt").write_text("0.0 0.9 0 1\n")
    os.utime(paths[2], (1, 1))
    soundfile.write(paths[0].with_name("107_9b9_Tc_sc_Meditron.wav"), noise("new"), 16_000)
    paths[0].with_name("107_9b9_Tc_sc_Meditron.txt").write_text(layouts.CYCLES)
    decoded.clear()
    corpus = build_corpus({"icbhi": root}, tmp_path / "out")
    assert sorted(decoded) == [*(path.name for path in paths[:3]), *(path.name for path in paths[12:]), "107_9b9_Tc_sc_Meditron.wav"]  # fmt: skip # noqa: E501
    assert contents(corpus) == contents(build_corpus({"icbhi": root}, tmp_path / "fresh"))


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        (CorpusSettings(seed=7, valid_share=0.3, roles=("icbhi=train",)), False),
        (CorpusSettings(quality=QualitySettings(shortest_s=0.6)), True),
        (CorpusSettings(decoding=DecodingSettings(time_limit_s=3.0)), True),
    ],
)
def test_settings_that_decoding_does_not_depend_on_cost_nothing(root, tmp_path, decoded, monkeypatch, changed, again):
    interrupted(root, tmp_path / "out", monkeypatch, 4)
    decoded.clear()
    build_corpus({"icbhi": root}, tmp_path / "out", changed)
    assert len(decoded) == (14 if again else 0)


def test_a_damaged_staged_file_is_staged_again(root, tmp_path, decoded, monkeypatch):
    interrupted(root, tmp_path / "out", monkeypatch, 3)
    staged = sorted((tmp_path / ".out.build").glob("staged-*/*.parquet"))
    staged[0].write_bytes(staged[0].read_bytes()[:100])
    decoded.clear()
    build_corpus({"icbhi": root}, tmp_path / "out")
    assert len(decoded) == 6


def test_two_builds_do_not_write_one_corpus(root, tmp_path):
    def second(what, done, total):
        if what == "decoded":
            with pytest.raises(UserError, match="another build is writing"):
                build_corpus({"icbhi": root}, tmp_path / "out")

    assert build_corpus({"icbhi": root}, tmp_path / "out", progress=second).manifest["counts"]["found"] == 14


def test_long_recordings_are_staged_in_several_files(root, tmp_path, monkeypatch):
    usual = build_corpus({"icbhi": root}, tmp_path / "usual")
    monkeypatch.setattr("resp_agent.corpus.stage.SHARD_BYTES", 20_000)
    assert contents(build_corpus({"icbhi": root}, tmp_path / "small")) == contents(usual)


def test_the_place_of_workers_changes_nothing(root, tmp_path):
    one = build_corpus({"icbhi": root}, tmp_path / "one")
    three = build_corpus({"icbhi": root}, tmp_path / "three", run=build.in_threads(3))
    assert contents(one) == contents(three)
    other = build_corpus({"icbhi": root}, tmp_path / "other", replace(CorpusSettings(), seed=5))
    assert other.fingerprint != one.fingerprint


def test_what_was_refused_is_tried_again_and_what_is_mended_is_built(root, tmp_path, decoded, monkeypatch):
    bad = sorted((root / "ICBHI_final_database").glob("*.wav"))[1]
    take, mended = Sandbox.take, []

    def refusing(self, path):
        if path == bad and not mended:
            raise Unreadable("it needs PyAV to be decoded")
        return take(self, path)

    monkeypatch.setattr(Sandbox, "take", refusing)
    interrupted(root, tmp_path / "out", monkeypatch, 2)
    mended.append(True)
    decoded.clear()
    corpus = build_corpus({"icbhi": root}, tmp_path / "out")
    assert corpus.quarantined == 0
    assert bad.name in decoded
    assert len(decoded) == 7
    assert contents(corpus) == contents(build_corpus({"icbhi": root}, tmp_path / "fresh"))


def test_rows_that_nobody_finds_are_a_failure_of_the_run(root, tmp_path):
    def elsewhere(work, parts):
        for part in parts:
            yield len(listing.read(part))

    with pytest.raises(RunFailed, match=r"14 recordings were decoded and their rows are not found: .* storage"):
        build_corpus({"icbhi": root}, tmp_path / "out", run=elsewhere)
