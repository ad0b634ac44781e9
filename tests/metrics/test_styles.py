import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from resp_agent.errors import UserError
from resp_agent.metrics.styles import StyleEar, reference_similarity, style_similarity, styles_heard

STYLES = ("bell", "contact", "phone")


def heard(seed: int, each: int = 40) -> tuple[np.ndarray, list[str]]:
    """Styles are told by three of eight dimensions, all others vary far more; a large mean is common to all."""
    rng = np.random.default_rng(seed)
    styles = [style for style in STYLES for _ in range(each)]
    values = rng.standard_normal((len(styles), 8)) * ([0.3] * 3 + [3.0] * 5) + 20
    for row, style in zip(values, styles, strict=True):
        row[STYLES.index(style)] += 3
    return values, styles


def test_the_ear_tells_styles_that_plain_features_do_not():
    ear, (values, styles) = StyleEar(*heard(0)), heard(1)
    assert np.mean(ear.name(values) == styles) > 0.97
    new, new_styles = heard(6)
    told = style_similarity(ear.embed(values), styles, ear.embed(new), new_styles)
    assert told.own > 0.85
    assert told.other < 0
    plain = style_similarity(values, styles, new, new_styles)
    assert plain.own - plain.other < 0.05


def test_similarity_is_the_cosine_to_the_mean_of_directions():
    rng = np.random.default_rng(2)
    clips, real = rng.standard_normal((2, 6, 4))
    wanted, styles = list("aabbca"), list("abbaab")
    found = style_similarity(clips, wanted, real, styles)
    directions = real / np.linalg.norm(real, axis=1, keepdims=True)
    means = {style: np.mean([row for row, own in zip(directions, styles, strict=True) if own == style], 0)
             for style in "ab"}  # fmt: skip
    cosines = [{style: cosine_similarity([clip], [mean])[0, 0] for style, mean in means.items()} for clip in clips]
    own = [row[style] for row, style in zip(cosines, wanted, strict=True) if style in row]
    other = [value for row, style in zip(cosines, wanted, strict=True) for name, value in row.items() if name != style]
    assert found.own == pytest.approx(np.mean(own))
    assert found.other == pytest.approx(np.mean(other))


def test_a_style_without_a_real_recording_is_not_compared():
    rng = np.random.default_rng(3)
    found = style_similarity(rng.standard_normal((2, 4)), ["a", "a"], rng.standard_normal((3, 4)), ["b"] * 3)
    assert np.isnan(found.own)
    assert np.isfinite(found.other)


def test_references_are_compared_one_by_one():
    rng = np.random.default_rng(4)
    clips, references = rng.standard_normal((2, 5, 6))
    expected = np.mean(np.diagonal(cosine_similarity(clips, references)))
    assert reference_similarity(clips, references) == pytest.approx(expected)
    assert reference_similarity(clips, 3 * clips) == pytest.approx(1)


def test_leaks_count_among_swapped_clips_only():
    named = ["bell", "phone", "phone", "contact", "phone"]
    wanted = ["bell", "bell", "phone", "bell", "bell"]
    content = ["phone", "phone", "phone", "phone", None]
    found = styles_heard(named, wanted, content)
    assert (found.wanted, found.leak) == (pytest.approx(2 / 5), pytest.approx(1 / 3))
    assert np.isnan(styles_heard(["bell"], ["bell"], [None]).leak)


def test_one_style_cannot_be_told():
    values, styles = heard(5)
    with pytest.raises(UserError, match="these have bell: give a corpus with another device"):
        StyleEar(values[:41], styles[:41])
