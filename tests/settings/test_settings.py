"""Settings refuse what cannot be, survive plain data, and have names that follow their content."""

import dataclasses

import pytest
import yaml

from resp_agent.errors import UserError
from resp_agent.settings import (
    PRESETS,
    AudioSettings,
    CurriculumSettings,
    DiagnoserSettings,
    GeneratorSettings,
    Placement,
    Settings,
    SimulationSettings,
    TrainingSettings,
    fingerprint,
    from_plain,
    preset,
    to_plain,
)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_yaml(name):
    settings = preset(name)
    assert settings.preset == name
    assert from_plain(yaml.safe_load(yaml.safe_dump(to_plain(settings)))) == settings


def test_plain_data_changes_only_what_it_names():
    settings = from_plain({"preset": "smoke", "diagnoser": {"training": {"steps": 9}}, "seed": 3})
    training = dataclasses.replace(preset("smoke").diagnoser.training, steps=9)
    assert settings.diagnoser.training == training
    assert settings.seed == 3
    assert settings.generator == preset("smoke").generator


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"preset": "huge"}, "no preset 'huge'"),
        ({"colour": 1}, "no setting 'colour'"),
        ({"seed": "one"}, "'seed' cannot be 'one'"),
        ({"diagnoser": 3}, "'diagnoser' is a group"),
        ({"curriculum": {"budget": 0}}, "budget of 0 clips"),
        ({"curriculum": {"reward": "luck"}}, "'reward' cannot be 'luck'"),
        ({"generator": {"kind": "oracle"}, "corpus": "icbhi=x"}, "oracle generator is the simulator"),
        ({"curriculum": {"refresh_every": -1}}, "refresh every -1 rounds"),
        ({"curriculum": {"refresh_steps": 0}}, "refresh of 0 steps"),
        ({"generator": {"kind": "oracle"}, "curriculum": {"refresh_every": 2}}, "oracle learns nothing"),
        (
            {"generator": {"kind": "style-transfer"}, "curriculum": {"refresh_every": 2}},
            "style-transfer learns nothing",
        ),
    ],
)
def test_plain_data_that_cannot_be_is_refused_by_name(data, sentence):
    with pytest.raises(UserError, match=sentence):
        from_plain(data)


@pytest.mark.parametrize(
    "build",
    [
        lambda: SimulationSettings(train_counts=(1, 2)),
        lambda: SimulationSettings(train_counts=(0,) * 8),
        lambda: AudioSettings(low_hz=500, high_hz=400),
        lambda: AudioSettings(window_ms=10, hop_ms=20),
        lambda: TrainingSettings(batch=10, accumulation=3),
        lambda: TrainingSettings(learning_rate=float("nan")),
        lambda: TrainingSettings(zero_stage=4),
        lambda: DiagnoserSettings(width=10, heads=4),
        lambda: DiagnoserSettings(token_ms=40, anchor_ms=100),
        lambda: DiagnoserSettings(alignment=-0.1),
        lambda: DiagnoserSettings(alignment=float("nan")),
        lambda: DiagnoserSettings(alignment=float("inf")),
        lambda: DiagnoserSettings(alignment=1.0, system="conformer+bert-voting"),
        lambda: CurriculumSettings(synthetic_share=1.0),
        lambda: Placement(generators=0),
        lambda: Settings(threads=0),
        lambda: Settings(diagnoser=DiagnoserSettings(token_ms=50, anchor_ms=100)),
    ],
)
def test_impossible_settings_are_refused(build):
    with pytest.raises(UserError):
        build()


def test_fingerprints_follow_content():
    assert fingerprint(GeneratorSettings(), 1) == fingerprint(GeneratorSettings(), 1)
    assert fingerprint(GeneratorSettings(), 1) != fingerprint(GeneratorSettings(units=7), 1)
    assert fingerprint(GeneratorSettings(), 1) != fingerprint(GeneratorSettings(), 2)
