import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.generator.planner import Planner, PlannerBatch, Vocabulary, choose
from resp_agent.settings import PlannerSettings

VOCABULARY = Vocabulary(7, ("asthma", "COPD"), ("cough", "fever"))
NONE = np.zeros((3, 0), np.int64)
"""No opening."""
SETTINGS = PlannerSettings(width=16, layers=2, heads=2, style_slots=2)


@pytest.fixture(scope="module")
def planner() -> Planner:
    torch.manual_seed(0)
    made = Planner(SETTINGS, VOCABULARY, 3)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def batch(count: int = 3, length: int = 6, seed: int = 0) -> PlannerBatch:
    draw = torch.Generator().manual_seed(seed)
    return PlannerBatch(
        slots=torch.randn(count, 2, 3, generator=draw),
        label=torch.randint(8, 10, (count,), generator=draw),
        words=torch.tensor([[10, 11], [10, -1], [-1, -1]])[:count],
        units=torch.randint(7, (count, length), generator=draw),
    )


def test_vocabulary_has_units_end_labels_and_words():
    fitted = Vocabulary.fit(7, ("a", "b"), ["dry cough", "cough, fever", "fever cough", "once"], 2)
    assert fitted.words == ("cough", "fever")
    assert len(fitted) == 7 + 1 + 2 + 2
    assert fitted.end == 7
    assert fitted.label("b") == 9
    assert fitted.bag("Fever and COUGH and cough") == [10, 11]


def test_cached_decoding_equals_passing_everything_again(planner):
    one = batch()
    draws = np.random.default_rng(0).random((3, 8))
    made = planner.write(one, NONE[:3], draws, 1.0, 0.9)
    slow = np.zeros((3, 0), np.int64)
    with torch.inference_mode():
        for step in range(8):
            embedded = planner.units(one, torch.from_numpy(slow))
            hidden = planner.body(inputs_embeds=torch.cat([planner.prefix(one), embedded], 1)).last_hidden_state[:, -1]
            logits = planner.head(hidden)[:, :7].double().numpy()
            slow = np.concatenate([slow, choose(logits, draws[:, step], 1.0, 0.9)[:, None]], 1)
    assert (made == slow).all()


def test_goes_on_from_an_opening(planner):
    one, draws = batch(), np.random.default_rng(0).random((3, 8))
    whole = planner.write(one, NONE, draws, 1.0, 1.0)
    assert (planner.write(one, whole[:, :5], draws[:, 5:], 1.0, 1.0) == whole).all()
    assert (planner.write(one, whole, draws[:, 8:], 1.0, 1.0) == whole).all()


def test_only_units_and_end_have_logits(planner):
    assert planner.head.out_features == VOCABULARY.units + 1
    made = planner.write(batch(), NONE[:3], np.random.default_rng(0).random((3, 40)), 5.0, 1.0)
    assert made.shape == (3, 40)
    assert made.min() >= 0
    assert made.max() < VOCABULARY.units


def test_a_clip_does_not_depend_on_its_batch(planner):
    one, draws = batch(), np.random.default_rng(0).random((3, 10))
    whole = planner.write(one, NONE[:3], draws, 1.0, 1.0)
    for row in range(3):
        alone = PlannerBatch(one.slots[row : row + 1], one.label[row : row + 1], one.words[row : row + 1])
        assert (planner.write(alone, NONE[:1], draws[row : row + 1], 1.0, 1.0) == whole[row : row + 1]).all()


def test_guidance_weighs_logits_with_and_without_the_label(planner):
    one, draws = batch(), np.random.default_rng(0).random((3, 6))
    made = planner.write(one, NONE, draws, 1.0, 1.0, guidance=2.5)
    slow = NONE
    untold = PlannerBatch(one.slots, torch.full_like(one.label, VOCABULARY.end), one.words)
    with torch.inference_mode():
        for step in range(6):
            logits = [
                planner.head(
                    planner.body(
                        inputs_embeds=torch.cat(
                            [planner.prefix(given), planner.units(given, torch.from_numpy(slow))], 1
                        )
                    ).last_hidden_state[:, -1]
                )[:, :7]
                .double()
                .numpy()
                for given in (one, untold)
            ]
            chosen = choose(logits[1] + 2.5 * (logits[0] - logits[1]), draws[:, step], 1.0, 1.0)
            slow = np.concatenate([slow, chosen[:, None]], 1)
    assert (made == slow).all()


def test_loss_ignores_padding_and_weighs_examples_alike(planner):
    one = batch()
    padded = torch.cat([one.units, torch.full((3, 4), -1)], 1)
    loss = planner(one).item()
    np.testing.assert_allclose(planner(PlannerBatch(one.slots, one.label, one.words, padded)).item(), loss, rtol=1e-5)
    parts = [
        planner(PlannerBatch(*(value[row : row + 1] for value in (one.slots, one.label, one.words, one.units)))).item()
        for row in range(3)
    ]
    np.testing.assert_allclose(np.mean(parts), loss, rtol=1e-5)


def test_loss_is_the_likelihood_that_sampling_uses(planner):
    one = batch(count=1)
    with torch.inference_mode():
        embedded = planner.units(one, one.units)
        hidden = planner.body(inputs_embeds=torch.cat([planner.prefix(one), embedded], 1)).last_hidden_state
        logits = planner.head(hidden[0, planner.prefix_length - 1 : -1])
        expected = -torch.log_softmax(logits, -1)[torch.arange(6), one.units[0]].mean()
    np.testing.assert_allclose(planner(one).item(), expected, rtol=1e-5)


def test_label_words_and_slots_matter(planner):
    one = batch()
    base = planner.prefix(one)
    assert not torch.equal(base[:, 2], planner.prefix(PlannerBatch(one.slots, 17 - one.label, one.words))[:, 2])
    assert not torch.equal(base[:, 3], planner.prefix(PlannerBatch(one.slots, one.label, one.words.flip(0)))[:, 3])
    assert not torch.equal(base[:, :2], planner.prefix(PlannerBatch(one.slots + 1, one.label, one.words))[:, :2])


def test_learns_a_rule():
    """Label 0 writes even units, label 1 odd ones."""
    torch.manual_seed(0)
    learner = Planner(SETTINGS, VOCABULARY, 3)
    optimizer = torch.optim.Adam(learner.parameters(), 1e-2)
    rng = np.random.default_rng(0)
    for _ in range(80):
        labels = rng.integers(2, size=16)
        units = 2 * rng.integers(3, size=(16, 8)) + labels[:, None]
        given = torch.zeros(16, 2, 3), torch.from_numpy(labels + 8), torch.full((16, 1), -1), torch.from_numpy(units)
        optimizer.zero_grad()
        learner(PlannerBatch(*given)).backward()
        optimizer.step()
    asked = PlannerBatch(torch.zeros(2, 2, 3), torch.tensor([8, 9]), torch.full((2, 1), -1))
    made = learner.eval().write(asked, NONE[:2], rng.random((2, 40)), 1.0, 0.9)
    assert (made[0] % 2 == 0).mean() > 0.95
    assert (made[1] % 2 == 1).mean() > 0.95


def test_choices_follow_the_distribution():
    logits = np.log(np.array([[0.1, 0.6, 0.3]]))
    draws = (np.arange(1000) + 0.5) / 1000
    counts = np.bincount(choose(np.repeat(logits, 1000, 0), draws, 1.0, 1.0), minlength=3)
    np.testing.assert_allclose(counts / 1000, [0.1, 0.6, 0.3], atol=2e-3)


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    logits = np.repeat(np.log(np.array([[0.1, 0.6, 0.3]])), 1000, 0)
    draws = (np.arange(1000) + 0.5) / 1000
    assert set(choose(logits, draws, 1.0, 0.59)) == {1}
    np.testing.assert_allclose(np.bincount(choose(logits, draws, 1.0, 0.7)) / 1000, [0, 2 / 3, 1 / 3], atol=2e-3)


@given(st.integers(0, 10_000), st.floats(0.05, 3), st.floats(0.01, 1))
def test_choices_are_always_possible(seed, temperature, top_p):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 5, (4, 6))
    assert set(choose(logits, np.array([0, 0.3, 0.999, 1 - 1e-16]), temperature, top_p)) <= set(range(6))
    assert (choose(logits, rng.random(4), 0.0, top_p) == logits.argmax(1)).all()
