import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.generator.style import denormalise, measure_style, normalise, pooled, quiet_frames, restyle, summary
from resp_agent.settings import AudioSettings
from tests.generator.made_up import recording

AUDIO = AudioSettings()


def log_mels(style: str, seeds=range(6)) -> list[np.ndarray]:
    return [waveform_log_mel(recording("control group", style, "p", seed).waveform, AUDIO) for seed in seeds]


def test_quiet_frames_are_the_quietest():
    log_mel = np.log(np.arange(1, 21, dtype=np.float32))[::-1, None] * np.ones((1, 4), np.float32)
    np.testing.assert_allclose(np.exp(quiet_frames(log_mel)[:, 0]), [3, 2, 1], rtol=1e-5)


def test_floor_and_response_of_a_known_case():
    # 20 frames: 3 of power 1 (the quietest 15 %), 17 of power 5; excess over the floor is 0 and 4.
    power = np.full((20, 2), 5.0)
    power[:3] = 1.0
    style = measure_style("s", [np.log(power)])
    np.testing.assert_allclose(np.exp(style.floor), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.exp(style.response), 4 * 17 / 20 + 1e-3, rtol=1e-5)


@given(st.integers(0, 1000))
def test_denormalise_inverts_normalise(seed):
    rng = np.random.default_rng(seed)
    log_mel = rng.normal(-3, 2, (30, 4)).astype(np.float32)
    style = measure_style("s", [rng.normal(-5, 3, (30, 4)).astype(np.float32)])
    np.testing.assert_allclose(denormalise(normalise(log_mel, style), style), log_mel, atol=1e-4)


def test_restyled_recordings_sound_like_the_target():
    """The same noise through two equalisers: after restyling, per-band levels are the target's, not the source's."""
    dull, bright = log_mels("dull"), log_mels("bright")
    source, target = measure_style("dull", dull), measure_style("bright", bright)
    made = restyle(dull[0], source, target, quiet_frames(bright[1]), np.random.default_rng(0))
    level = np.log(np.exp(made).mean(0))
    own, other = (np.log(np.exp(np.concatenate(one)).mean(0)) for one in (bright, dull))
    assert np.abs(level - own).mean() < 0.4 * np.abs(level - other).mean()
    assert made.shape == dull[0].shape
    assert np.isfinite(made).all()


def test_restyling_never_amplifies_a_dead_band_without_bound():
    dead = np.full((40, 3), -13.8, np.float32)
    loud = np.random.default_rng(0).normal(0, 1, (40, 3)).astype(np.float32)
    made = restyle(
        dead, measure_style("dead", [dead]), measure_style("loud", [loud]), quiet_frames(loud), np.random.default_rng(0)
    )
    assert made.max() <= quiet_frames(loud).max() + 0.1


def test_pooled_averages_each_stretch():
    normal = np.repeat(np.arange(4.0)[:, None], 3, 0).reshape(12, 1)
    np.testing.assert_allclose(pooled(normal, 4)[:, 0], [0, 1, 2, 3])
    np.testing.assert_allclose(pooled(normal[:2], 4).shape, (4, 2))
    np.testing.assert_allclose(summary(normal), [1.5, np.std([0, 1, 2, 3])], rtol=1e-6)
