"""The diagnoser: lengths respected, anchors where the settings say, learns what can be learned."""

import numpy as np
import torch

from resp_agent.corpus.schema import Recording
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.diagnoser.model import Weaving
from resp_agent.diagnoser.scoring import fit_temperature, score, softmax
from resp_agent.diagnoser.text import Vocabulary, words
from resp_agent.diagnoser.weaving import weave
from resp_agent.encoders.log_mel import LogMel
from resp_agent.settings import AudioSettings, DiagnoserSettings

AUDIO = AudioSettings(mels=8, clip_s=1.0)
INPUTS = Inputs(20.0, 50, ("a", "b", "c"), ("s",), (0.0,) * 8, (1.0,) * 8, (5, 3, 2), ("[UNK]", "x", "y"), 16)


def _example(frames: int, seed: int = 0, text: int = 3) -> Example:
    rng = np.random.default_rng(seed)
    patches = rng.standard_normal((frames, 8)).astype(np.float32)
    return Example(str(seed), patches, tuple(rng.integers(0, 3, text).tolist()), seed % 3, 0)


def _model() -> Weaving:
    torch.manual_seed(0)
    return Weaving(DiagnoserSettings(width=16, layers=2, heads=2), INPUTS).eval()


def test_padding_and_neighbours_change_nothing():
    model = _model()
    short, long = _example(17, 1, text=2), _example(50, 2, text=9)
    alone = model.logits(INPUTS.collate([View(short)]))
    together = model.logits(INPUTS.collate([View(long), View(short)]))
    torch.testing.assert_close(together[1], alone[0], atol=1e-5, rtol=0)


def test_withheld_audio_and_text_change_nothing_that_is_kept():
    model = _model()
    one, other = _example(30, 1), _example(30, 2)
    mixed = Example("m", other.frames, one.text, one.label, 0)
    deaf = [model.logits(INPUTS.collate([View(example, hear=False)])) for example in (one, mixed)]
    torch.testing.assert_close(deaf[0], deaf[1])
    blind = [model.logits(INPUTS.collate([View(example, read=False)])) for example in (other, mixed)]
    torch.testing.assert_close(blind[0], blind[1])


def test_anchors_are_every_anchor_ms_of_audio():
    layout = weave(torch.tensor([2, 0]), torch.tensor([6, 4]), text=2, audio=6, anchor=2)
    assert [row.nonzero()[:, 0].tolist() for row in layout.is_global] == [[0, 1, 4, 6, 8], [0, 1, 2, 4]]
    assert [row.nonzero()[:, 0].tolist() for row in layout.is_audio] == [[4, 5, 6, 7, 8, 9], [2, 3, 4, 5]]
    assert layout.real[1].tolist() == 7 * [True] + 4 * [False]
    assert layout.source[1][:7].tolist() == [0, 1, 4, 5, 6, 7, 10]
    model = _model()
    assert model.anchor * model.settings.token_ms == model.settings.anchor_ms


def test_long_recordings_are_covered_whole():
    views = INPUTS.windows(_example(120))
    covered = {patch for view in views for patch in range(view.start, min(view.start + INPUTS.window, 120))}
    assert covered == set(range(120))
    assert len(INPUTS.windows(_example(20))) == 1


def test_scores_are_means_over_windows_in_any_batch():
    model = _model()
    examples = [_example(frames, seed) for seed, frames in enumerate([120, 30, 50, 75])]
    logits = score(model, INPUTS, examples, batch=3)
    slow = np.stack(
        [model.logits(INPUTS.collate(INPUTS.windows(example))).detach().double().mean(dim=0) for example in examples]
    )
    np.testing.assert_allclose(logits, slow, atol=1e-5)


def test_centring_on_the_recording_takes_out_a_constant_response():
    loud = 0.1 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    recordings = [
        Recording(name, "s", "p", "a", "a", "s", waveform, 16000, "x", "train")
        for name, waveform in (("r", loud), ("q", loud * np.float32(0.25)))
    ]
    encoder = LogMel(AUDIO)
    frames = dict(zip("rq", encoder.encode([recording.waveform for recording in recordings]), strict=True))

    def standardised(centre: str) -> list[np.ndarray]:
        settings = DiagnoserSettings(centre=centre)
        inputs = Inputs.fit(recordings, frames.__getitem__, ("a",), ("s",), settings, encoder.frame_ms, AUDIO.clip_s)
        return [inputs.standardised(View(inputs.example(one, frames[one.id]))) for one in recordings]

    one, other = standardised("recording")
    np.testing.assert_allclose(one, other, atol=1e-3)
    one, other = standardised("corpus")
    assert abs(one - other).min() > 0.5
    assert abs(np.concatenate([one, other]).mean()) < 1e-3


def test_learns_a_rule_from_audio():
    torch.manual_seed(0)
    model = Weaving(DiagnoserSettings(width=16, layers=1, heads=2), INPUTS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    rng = np.random.default_rng(0)
    for _ in range(60):
        views = []
        for label in rng.integers(0, 3, 12):
            patches = rng.standard_normal((40, 8)).astype(np.float32)
            patches[:, label * 2] += 2
            views.append(View(Example("e", patches, (1,), int(label), 0)))
        loss = model(INPUTS.collate(views))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2


def test_temperature_recovers_the_scale_of_overconfident_logits():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((20000, 4)) * 1.5
    truth = np.array([rng.choice(4, p=p) for p in softmax(logits)])
    assert abs(fit_temperature(logits * 3, truth) - 3) < 0.1


def test_vocabulary_keeps_frequent_words_and_decades():
    vocabulary = Vocabulary.fit(["a cough, 67 years", "a cough, 61 years", "rare"])
    assert words("Aged 67.5, dry-cough.") == ["aged", "#60", ",", "dry-cough", "."]
    assert "rare" not in vocabulary.words
    assert vocabulary.encode("a rare cough", 2) == [vocabulary.words.index("a"), 0]
