"""Where first-trained models are found again: only by those who would train the same."""

import dataclasses
from types import SimpleNamespace

from resp_agent.curriculum.folders import Folders
from resp_agent.settings import Settings

CORPUS = SimpleNamespace(fingerprint="a corpus")


def _with(**changes) -> Settings:
    settings = Settings()
    return dataclasses.replace(settings, diagnoser=dataclasses.replace(settings.diagnoser, **changes))


def test_a_diagnoser_is_named_by_all_that_it_was_trained_with(tmp_path):
    folders, stem = Folders.of(tmp_path), tmp_path / "stem.safetensors"
    stem.write_bytes(b"one")
    names = {folders.diagnoser(Settings(), CORPUS), folders.diagnoser(_with(width=32), CORPUS)}
    names |= {Folders.of(tmp_path, ranks=2).diagnoser(Settings(), CORPUS)}
    names |= {folders.diagnoser(Settings(), SimpleNamespace(fingerprint="another"))}
    began = _with(audio_stem="conformer", stem_weights=str(stem))
    names |= {folders.diagnoser(began, CORPUS)}
    stem.write_bytes(b"other weights at the same place")
    names |= {folders.diagnoser(began, CORPUS)}
    assert len(names) == 6
    assert folders.diagnoser(Settings(), CORPUS) == folders.diagnoser(Settings(threads=1), CORPUS)
