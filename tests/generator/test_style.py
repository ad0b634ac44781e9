import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.generator.style import (
    LARGEST_LOG_GAIN,
    QUIETEST_CONTENT,
    Conditions,
    Style,
    conditions_of,
    content_of,
    denormalise,
    drafted,
    level_of,
    log_content,
    measure_style,
    normalise,
    pooled,
    put_on,
    take_apart,
)
from resp_agent.settings import AudioSettings
from tests.generator.made_up import recording

AUDIO = AudioSettings()
SILENCE = np.full(7, -20.0, np.float32)


def log_mels(style: str, seeds=range(6)) -> list[np.ndarray]:
    return [waveform_log_mel(recording("control group", style, "p", seed).waveform, AUDIO) for seed in seeds]


def flat(name: str, response: float, bands: int = 4, noise: float = -6.0) -> Style:
    return Style(name, *(np.full(bands, value, np.float32) for value in (0.0, 1.0, response, noise)), SILENCE)


def test_noise_and_excess_of_a_known_case():
    """40 frames: 6 of power 1 (the quietest 15 %), 34 of power 5: 4 over the noise, weighed by 4 / 5."""
    power = np.full((40, 2), 5.0)
    power[:6] = 1.0
    sound = take_apart(np.log(power).astype(np.float32))
    np.testing.assert_allclose(sound.noise, 1.0, rtol=1e-5)
    np.testing.assert_allclose(sound.excess[6:], 4 * 4 / 5, rtol=1e-5)
    np.testing.assert_allclose(sound.excess[:6], 0, atol=1e-6)
    style = measure_style("s", [np.log(power).astype(np.float32)], [SILENCE])
    np.testing.assert_allclose(np.exp(style.noise), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.exp(style.response), 3.2 * 34 / 40 + 0.02, rtol=1e-5)


@given(st.integers(0, 1000))
def test_denormalise_inverts_normalise(seed):
    rng = np.random.default_rng(seed)
    log_mel = rng.normal(-3, 2, (30, 4)).astype(np.float32)
    style = measure_style("s", [rng.normal(-5, 3, (30, 4)).astype(np.float32)], [SILENCE])
    np.testing.assert_allclose(denormalise(normalise(log_mel, style), style), log_mel, atol=1e-4)


@given(st.floats(-8, 8), st.floats(-3, 3), st.integers(0, 100))
def test_a_content_put_on_a_style_is_found_again(response, level, seed):
    """power = content x response x level + noise, with noise far below: what was put on is taken off."""
    rng = np.random.default_rng(seed)
    content = np.exp(rng.normal(0, 1, (60, 4))).astype(np.float32)
    content[:9] = 0
    style = flat("s", response, noise=response - 20)
    quiet = np.full((3, 4), np.exp(response + level - 12))
    heard = put_on(content, style, Conditions(level, np.zeros(4, np.float32), quiet), rng)
    sound = take_apart(heard)
    np.testing.assert_allclose(sound.noise, quiet[0], rtol=0.05)
    np.testing.assert_allclose(content_of(sound, style, level, style.response), content, rtol=0.02, atol=1e-3)
    assert level_of(sound, style) == pytest.approx(level + np.log(content.mean(0)).mean(), abs=0.02)


def test_conditions_are_level_and_smooth_colour():
    power = np.exp(np.linspace(-1, 1, 32))[None] * np.r_[np.zeros(9), np.ones(51)][:, None] * 7 + 1e-6
    sound = take_apart(np.log(power).astype(np.float32))
    own = conditions_of(sound, flat("s", 0.0, 32))
    assert own.level == pytest.approx(np.log(7 * 51 / 60), abs=0.05)
    assert (np.diff(own.colour) > 0).all()
    assert abs(own.colour.mean()) < 0.05
    assert conditions_of(sound, flat("s", 0.0, 32), label_level=0.5).level == pytest.approx(own.level - 0.5)


def test_recordings_put_on_another_style_sound_like_it():
    """The same noise through two equalisers: per-band levels become the other's."""
    dull, bright = log_mels("dull"), log_mels("bright")
    source, target = measure_style("dull", dull, [SILENCE]), measure_style("bright", bright, [SILENCE])
    sound = take_apart(dull[0])
    content = content_of(sound, source, level_of(sound, source), np.maximum(source.response, target.response))
    made = put_on(content, target, conditions_of(take_apart(bright[1]), target), np.random.default_rng(0))
    level = np.log(np.exp(made).mean(0))
    own, other = (np.log(np.exp(np.concatenate(one)).mean(0)) for one in (bright, dull))
    assert np.abs(level - own).mean() < 0.4 * np.abs(level - other).mean()
    assert made.shape == dull[0].shape
    assert np.isfinite(made).all()


def test_a_draft_is_put_on_and_equalised_in_shares():
    style = measure_style("bright", log_mels("bright"), [SILENCE])
    dull, own = log_mels("dull"), measure_style("dull", log_mels("dull"), [SILENCE])
    sound, conditions = take_apart(dull[0]), conditions_of(take_apart(log_mels("bright")[1]), style)
    content = content_of(sound, own, level_of(sound, own), np.maximum(own.response, style.response))
    equalised = normalise(dull[0], own)

    def draft(share):
        return drafted(content, style, conditions, np.random.default_rng(0), equalised, share)

    put = normalise(put_on(content, style, conditions, np.random.default_rng(0)), style)
    np.testing.assert_array_equal(drafted(content, style, conditions, np.random.default_rng(0)), put)
    np.testing.assert_allclose(draft(0.0), put)
    np.testing.assert_allclose(draft(1.0), equalised)
    np.testing.assert_allclose(draft(0.25), 0.75 * put + 0.25 * equalised, rtol=1e-6)
    # All recordings of a style, equalised to another, have its mean in every band.
    heard = np.concatenate([denormalise(normalise(one, own), style) for one in dull])
    np.testing.assert_allclose(heard.mean(0), style.mean, atol=1e-3)


def test_a_dead_band_is_never_amplified_without_bound():
    dead, loud = flat("dead", -30.0), flat("loud", 0.0)
    sound = take_apart(np.random.default_rng(0).normal(-30, 1, (40, 4)).astype(np.float32))
    content = content_of(sound, dead, 0.0, loud.response)
    assert content.max() <= sound.excess.max() * np.exp(LARGEST_LOG_GAIN) * 1.001


def test_silence_has_a_finite_log_content():
    silent = content_of(take_apart(np.full((20, 4), -13.8, np.float32)), flat("s", 0.0), 0.0, np.zeros(4))
    np.testing.assert_allclose(log_content(silent), np.log(QUIETEST_CONTENT))


def test_pooled_averages_each_stretch():
    normal = np.repeat(np.arange(4.0)[:, None], 3, 0).reshape(12, 1)
    np.testing.assert_allclose(pooled(normal, 4)[:, 0], [0, 1, 2, 3])
    np.testing.assert_allclose(pooled(normal[:2], 4).shape, (4, 2))
