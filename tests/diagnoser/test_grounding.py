"""Grounding: phrases mean what they say, answers are where the audio is, and what is planted is found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from resp_agent.corpus.schema import Event
from resp_agent.diagnoser.classifier import Batch
from resp_agent.diagnoser.grounding import Grounder, Grounding, heard, known_sounds, phrase_inputs
from resp_agent.diagnoser.grounding_examples import GroundingExamples, Marked, tokens_held
from resp_agent.diagnoser.grounding_gradient import gradient_relevance, label_weights
from resp_agent.diagnoser.grounding_phrases import BYWORDS, GROUPS, SOUNDS, WORDS, read_phrase
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.diagnoser.model import Weaving
from resp_agent.diagnoser.text import words
from resp_agent.errors import UserError
from resp_agent.metrics.pointing import play
from resp_agent.settings import AudioSettings, DiagnoserSettings, Settings, TrainingSettings
from resp_agent.settings.grounding import GroundingSettings
from resp_agent.taxonomy import EVENT_KINDS

MELS = 8
SIZES = DiagnoserSettings(width=16, layers=2, heads=2)
PLAIN = Inputs(20.0, 50, ("a", "b", "c"), ("s",), (0.0,) * MELS, (1.0,) * MELS, (5, 3, 2), ("[UNK]", "x"), 16)


def _frames(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, MELS)).astype(np.float32)


INPUTS = phrase_inputs(PLAIN, [_frames(200, 9)])


def _grounding(taught=("crackles", "wheezes")) -> Grounding:
    torch.manual_seed(0)
    settings = Settings(audio=AudioSettings(mels=MELS, clip_s=1.0), diagnoser=SIZES)
    return Grounding(Grounder(SIZES, INPUTS).eval(), INPUTS, settings, taught)


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_every_event_kind_can_be_asked_for(kind):
    (named,) = read_phrase(kind)
    assert kind in named.sound.kinds


@pytest.mark.parametrize(
    ("phrase", "names"),
    [
        ("Coarse crackles at both bases.", ["coarse crackles"]),
        ("late-inspiratory fine crackles", ["fine crackles"]),
        ("wheezes and crackles", ["wheezes", "crackles"]),
        ("wheezes with crackles", ["wheezes with crackles"]),
        ("low-pitched wheezes", ["rhonchi"]),
        ("wheeze, wheeze", ["wheezes"]),
        ("continuous sounds", ["wheezes", "rhonchi", "stridor"]),
    ],
)
def test_a_phrase_names_its_sounds(phrase, names):
    assert [one.sound.name for one in read_phrase(phrase)] == names


@pytest.mark.parametrize("phrase", ["no wheezes", "wheezes absent", "both lungs", "", "pneumonia", "crackles 3"])
def test_what_is_not_understood_is_refused(phrase):
    with pytest.raises(UserError, match="fine crackles"):
        read_phrase(phrase)


def test_wordings_are_told_apart():
    wordings = [wording for sound in SOUNDS for wording in (*sound.wordings, *GROUPS)]
    assert all(wordings.count(one) == (len(SOUNDS) if one in GROUPS else 1) for one in wordings)
    assert not set(WORDS) - {"with"} & BYWORDS
    assert all(set(words(wording)) <= set(WORDS) for sound in SOUNDS for wording in sound.wordings)
    assert set(known_sounds(GROUPS["abnormal sounds"])) < set(SOUNDS)


def test_a_token_holds_what_covers_a_quarter_of_it():
    rng = np.random.default_rng(0)
    events = [
        Event(start, start + rng.uniform(0.004, 0.5), EVENT_KINDS[at % 3]) for at, start in enumerate(rng.random(9))
    ]
    held = tokens_held(events, 40, 0.04)
    assert held.keys() == set(EVENT_KINDS)
    for kind in ("fine crackle", "coarse crackle", "wheeze"):
        for token, found in enumerate(held[kind]):
            fine = np.linspace(token * 0.04, (token + 1) * 0.04, 4001)
            shares = [
                ((fine >= one.start_s) & (fine <= one.end_s)).mean() * 0.04 / min(0.04, one.end_s - one.start_s)
                for one in events
                if one.kind == kind
            ]
            assert found == (max(shares) > 0.25) or min(abs(share - 0.25) for share in shares) < 0.01
    both = held["wheeze"] & (held["fine crackle"] | held["coarse crackle"])
    assert both.any()
    assert (held["wheeze + crackle"] == both).all()


def test_frames_are_scaled_by_their_spread_about_their_own_recording():
    recordings = [_frames(60, 0) + 5, 3 * _frames(40, 1) - 7]
    centred = np.concatenate([one - one.mean(axis=0) for one in recordings])
    found = phrase_inputs(PLAIN, recordings)
    np.testing.assert_allclose(found.deviation, centred.std(axis=0), rtol=1e-5)
    loud, quiet = (found.standardised(View(heard(recordings[0] + level))) for level in (0, 11))
    np.testing.assert_allclose(loud, quiet, atol=1e-4)


def test_scores_are_those_of_audio_tokens_and_phrase_whatever_the_neighbours():
    model = _grounding().model
    rows = [("fine crackles", _frames(33, 1)), ("pleural friction rub", _frames(50, 2)), ("stridor", _frames(21, 3))]
    views = [View(heard(frames, INPUTS.encode(wording))) for wording, frames in rows]
    together = model.logits(INPUTS.collate(views)).detach()
    for row, view in enumerate(views):
        states, layout = model.woven.states(INPUTS.collate([view]))
        audio = layout.is_audio[0].nonzero()[:, 0]
        assert len(audio) == -(-len(rows[row][1]) // 2)
        phrase = states[0, 1 : 2 + len(view.example.text)].mean(dim=0)
        slow = [(model.heard(states[0, at]) @ model.asked(phrase)) / 4 + model.prior(phrase)[0] for at in audio]
        torch.testing.assert_close(together[row, : len(audio)], torch.stack(slow).detach(), atol=1e-5, rtol=0)


def test_doubtful_moments_and_padding_are_not_taught_and_every_window_weighs_the_same():
    examples = _planted(4)
    model, questions = _grounding().model, examples.collate(examples.examples(0))
    whole = model(questions)
    flipped = replace(questions, present=torch.where(questions.counted > 0, questions.present, 1 - questions.present))
    torch.testing.assert_close(model(flipped), whole)
    halves = [model(examples.collate(part)) for part in (examples.examples(0)[:2], examples.examples(0)[2:])]
    torch.testing.assert_close(torch.stack(halves).mean(), whole, atol=1e-6, rtol=0)


def test_answers_cover_the_whole_recording_in_seconds():
    grounding = _grounding()
    recordings = [_frames(count, count) for count in (30, 50, 117, 203)]
    found = grounding.ask(recordings, "crackles")
    for frames, relevance in zip(recordings, found, strict=True):
        (alone,) = grounding.ask([frames], "crackles")
        np.testing.assert_allclose(alone.log_odds, relevance.log_odds, atol=1e-5)
        assert np.isfinite(relevance.log_odds).all()
        assert len(relevance.seconds) == -(-len(frames) // 4)
        np.testing.assert_allclose(relevance.seconds[:7], 0.04 + 0.08 * np.arange(7))
        assert relevance.seconds[-1] < len(frames) * 0.02
        assert relevance.peak_s == relevance.seconds[relevance.values.argmax()]
    text = INPUTS.encode("crackles")
    windows = [heard(recordings[2][start : start + 50], text) for start in (0, 50, 67)]
    tokens = grounding.model.logits(INPUTS.collate([View(one) for one in windows])).detach().numpy()
    slow = [-np.inf] * 30
    for start, row in zip((0, 50, 67), tokens, strict=True):
        for at, value in enumerate(row):
            for frame in (start + 2 * at, start + 2 * at + 1):
                slow[frame // 4] = max(slow[frame // 4], value)
    np.testing.assert_allclose(found[2].log_odds, slow, atol=1e-5)


def test_of_several_sounds_the_likeliest_counts_and_untaught_ones_are_refused():
    grounding, recordings = _grounding(), [_frames(50, 0)]
    alone = [grounding.ask(recordings, phrase)[0].log_odds for phrase in ("crackles", "wheezes")]
    for phrase in ("wheezes and crackles", "abnormal sounds"):
        np.testing.assert_array_equal(grounding.ask(recordings, phrase)[0].log_odds, np.max(alone, axis=0))
    for phrase in ("stridor", "crackles and stridor"):
        with pytest.raises(UserError, match="'stridor' was in no training recording"):
            grounding.ask(recordings, phrase)
    with pytest.raises(UserError, match="no training recording"):
        _grounding(("coughs",)).ask(recordings, "continuous sounds")


def _planted(batch: int, count: int = 40) -> GroundingExamples:
    """Noise in which a wheeze lights up a low band for long and a fine crackle the high bands for a moment."""
    rng, train = np.random.default_rng(5), []
    for at in range(count):
        frames, events = rng.standard_normal((90, MELS)).astype(np.float32), []
        for kind, bands, length in (("wheeze", slice(1, 3), 12), ("fine crackle", slice(5, 8), 3)):
            if at % 4 and (kind == "wheeze" or at % 3):
                first = int(rng.integers(0, 90 - length))
                frames[first : first + length, bands] += 5
                events.append(Event(first * 0.02, (first + length) * 0.02, kind))
        train.append(Marked(frames, tuple(events)))
    settings = GroundingSettings(training=TrainingSettings(steps=1, batch=batch))
    inputs = phrase_inputs(PLAIN, [one.frames for one in train])
    return GroundingExamples(inputs, settings, (0, "test"), train, SIZES.token_ms, power=True)


def test_examples_follow_from_seed_and_step_and_ask_for_what_is_there_and_what_is_not():
    examples, again = _planted(16), _planted(16)
    assert [sound.name for sound in examples.taught] == ["crackles", "fine crackles", "wheezes"]
    questions, repeated = (one.collate(one.examples(3)) for one in (examples, again))
    assert isinstance(questions.batch, Batch)
    for name in ("present", "counted"):
        assert torch.equal(getattr(questions, name), getattr(repeated, name))
    assert torch.equal(questions.batch.frames, repeated.batch.frames)
    assert not torch.equal(questions.batch.frames, examples.collate(examples.examples(4)).batch.frames)
    assert questions.present.shape == (32, 25)
    there, lacking = (questions.present[first::2].any(dim=1).float().mean() for first in (0, 1))
    assert there > 0.75 > lacking + 0.2


def test_planted_sounds_are_found_after_some_training():
    examples = _planted(12, 80)
    torch.manual_seed(1)
    model = Grounder(SIZES, examples.inputs)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(90):
        optimizer.zero_grad()
        model(examples.collate(examples.examples(step))).backward()
        optimizer.step()
    grounding = replace(_grounding(("fine crackles", "wheezes")), model=model.eval(), inputs=examples.inputs)
    for name, kind in (("fine crackles", "fine crackle"), ("wheezes", "wheeze")):
        found = grounding.ask([one.frames for one in examples.train], name)
        events = [[event for event in one.events if event.kind == kind] for one in examples.train]
        seconds, relevance = [one.seconds for one in found], [one.log_odds for one in found]
        scored = play(seconds, relevance, events, list(map(str, range(len(events)))))
        assert scored.hit > 0.9 > 0.5 > scored.chance, name


def test_the_gradient_is_that_of_the_weighted_logits():
    torch.manual_seed(2)
    model, weights = Weaving(SIZES, PLAIN).double().eval(), np.array([0.5, -1.0, 0.5])
    frames = _frames(50, 3)
    (found,) = gradient_relevance(model, PLAIN, [Example("", frames, (1,), 0, 0)], weights)

    def total(heard_frames: np.ndarray) -> float:
        batch = PLAIN.collate([View(Example("", heard_frames, (), 0, 0))])
        return float(model.logits(replace(batch, frames=batch.frames.double()))[0].detach().numpy() @ weights)

    for frame in (0, 17, 49):
        more, less = frames.astype(np.float64), frames.astype(np.float64)
        more[frame] *= 1 + 1e-2
        less[frame] *= 1 - 1e-2
        slope = (total(more) - total(less)) / 2e-2
        assert found[frame] == pytest.approx(slope, rel=2e-2, abs=1e-5)


def test_labels_weigh_by_how_often_they_hold_a_sound():
    weights = label_weights(PLAIN, ["a", "a", "b", "b", "b"], [True, False, False, False, False])
    np.testing.assert_allclose(weights, [0.5 - 1 / 6, -1 / 6, -1 / 6])
