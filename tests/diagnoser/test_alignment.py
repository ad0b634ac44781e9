"""Alignment: its gradient by autograd, that it changes nothing where it has nothing to do, and that it aligns."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from torch.nn.functional import binary_cross_entropy_with_logits

from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.corpus.schema import to_table
from resp_agent.curriculum.beacon import Beacon
from resp_agent.diagnoser.alignment import Adversary, alignment_weights
from resp_agent.diagnoser.classifier import Batch, Pooled
from resp_agent.diagnoser.inputs import View
from resp_agent.diagnoser.learner import Learner, Lesson
from resp_agent.diagnoser.scoring import score
from resp_agent.diagnoser.stored import load_diagnoser
from resp_agent.diagnoser.systems import SYSTEMS, build
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings, EncoderSettings, Settings, smoke
from resp_agent.threads import set_threads
from resp_agent.training.distributed import free_port
from resp_agent.training.engine import AVERAGED, Engine
from resp_agent.training.fit import fit
from tests.diagnoser.aligned_ranks import INPUTS, SETTINGS, batches, example

ALIGNABLE = [name for name in SYSTEMS if name != "conformer+bert-voting"]


def _settings(system: str, alignment: float) -> DiagnoserSettings:
    encoder = EncoderSettings("whisper", "none") if system == "whisper" else EncoderSettings()
    return replace(SETTINGS, system=system, encoder=encoder, alignment=alignment)


def _model(system: str, alignment: float) -> Pooled:
    torch.manual_seed(0)
    return build(_settings(system, alignment), INPUTS)


def _batch(synthetic: list[bool]) -> Batch:
    weights = alignment_weights(synthetic)
    pairs = enumerate(zip(synthetic, weights, strict=True))
    return INPUTS.collate([View(example(row, made), alignment_weight=weight) for row, (made, weight) in pairs])


def _gradients(model: Pooled, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    loss = model.train()(batch)
    loss.backward()
    return loss, {name: parameter.grad for name, parameter in model.named_parameters()}


def test_the_gradient_is_that_of_the_head_and_comes_back_reversed_and_scaled():
    adversary = Adversary(6, 5, weight=0.3, seed=1)
    features = torch.randn(8, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    synthetic = torch.tensor([True, True, False, True, False, False, False, False])
    weights = torch.tensor(alignment_weights(synthetic.tolist()))
    losses = binary_cross_entropy_with_logits(adversary.tell(features)[:, 0], synthetic.float(), reduction="none")
    balanced = (losses[synthetic].mean() + losses[~synthetic].mean()) / 2
    expected = torch.autograd.grad(balanced, [features, *adversary.tell.parameters()])
    loss = adversary(features, synthetic, weights)
    torch.testing.assert_close(loss, balanced)
    found = torch.autograd.grad(loss, [features, *adversary.tell.parameters()])
    torch.testing.assert_close(found[0], -0.3 * expected[0])
    for one, other in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(one, other)


def test_weights_of_a_batch_give_either_kind_half():
    assert alignment_weights([False, True, False, False]) == pytest.approx([2 / 3, 2, 2 / 3, 2 / 3])
    assert alignment_weights([True, False]) == [1.0, 1.0]
    assert alignment_weights([True] * 3) == alignment_weights([False] * 3) == [0.0] * 3


@pytest.mark.parametrize("system", ALIGNABLE)
def test_an_adversary_changes_no_other_weight_and_no_loss(system: str):
    plain, drawn = _model(system, 0.0), torch.rand(3)
    aligned, drawn_after = _model(system, 0.5), torch.rand(3)
    assert torch.equal(drawn, drawn_after)
    state, with_adversary = plain.state_dict(), aligned.state_dict()
    added = {name for name in with_adversary if name not in state}
    assert not any("adversary" in name for name in state)
    assert added == {f"adversary.{name}" for name in aligned.adversary.state_dict()}
    assert all(torch.equal(value, with_adversary[name]) for name, value in state.items())

    # Nothing to tell apart: no gradient more than without the adversary.
    for kind in (False, True):
        loss, gradients = _gradients(plain, _batch([kind] * 4))
        same, others = _gradients(aligned, _batch([kind] * 4))
        assert torch.equal(loss, same)
        assert torch.equal(loss, plain.loss(plain.logits(_batch([kind] * 4)), _batch([kind] * 4).labels))
        assert all(torch.equal(value, others[name]) for name, value in gradients.items())
        assert not any(others[name].any() for name in added)

    mixed = _batch([False, True, True, False])
    loss, gradients = _gradients(plain, mixed)
    same, others = _gradients(aligned, mixed)
    # What is reported is the classification alone; what is learned is not.
    assert torch.equal(loss, same)
    assert all(others[name].any() for name in added)
    assert any(not torch.allclose(value, others[name]) for name, value in gradients.items() if "head" not in name)
    assert all(torch.equal(value, others[name]) for name, value in gradients.items() if name.startswith("head."))
    assert torch.equal(plain.eval().logits(mixed), aligned.eval().logits(mixed))


def test_gradients_of_shards_average_to_that_of_the_batch_though_one_holds_no_clip():
    views = batches(replace(SETTINGS, alignment=1.0), share=1 / 8).examples(3)
    halves = [views[:4], views[4:]]
    assert sorted(sum(view.example.synthetic for view in half) for half in halves) == [0, 1]
    model = _model("weaving", 1.0)
    _, whole = _gradients(model, INPUTS.collate(views))
    whole = {name: value.clone() for name, value in whole.items()}
    parts = [{n: v.clone() for n, v in _gradients(model, INPUTS.collate(half))[1].items()} for half in halves]
    for name, value in whole.items():
        torch.testing.assert_close((parts[0][name] + parts[1][name]) / 2, value, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_batch_knows_its_clips(share: float):
    views = batches(SETTINGS, share).examples(0)
    batch = INPUTS.collate(views)
    assert batch.synthetic.tolist() == [int(view.example.id) >= 99 for view in views]
    assert batch.synthetic.sum() == 8 * share
    expected = {False: 8 / 12, True: 8 / 4} if share == 0.25 else {False: 0.0, True: 0.0}
    assert batch.alignment_weights.tolist() == pytest.approx([expected[made] for made in batch.synthetic.tolist()])


def test_voting_has_no_vector_to_align():
    with pytest.raises(UserError, match="needs one vector that the answer is read from"):
        _settings("conformer+bert-voting", 1.0)


def _told_apart(model: Pooled) -> float:
    """Held-out accuracy of a logistic regression that tells unseen clips from unseen recordings by pooled features."""
    kinds = np.arange(240) % 2 == 1
    views = [View(example(1000 + seed, bool(made)), read=False) for seed, made in enumerate(kinds)]
    with torch.inference_mode():
        features = model.eval().pooled(INPUTS.collate(views)).numpy()
    return float(cross_val_score(LogisticRegression(max_iter=2000), features, kinds, cv=5).mean())


def test_what_gives_clips_away_is_unlearned_and_what_names_labels_is_not():
    unseen = [example(2000 + seed, bool(seed % 2)) for seed in range(150)]
    truth = np.array([one.label for one in unseen])
    apart, correct = {}, {}
    for alignment in (0.0, 0.3):
        training = replace(SETTINGS.training, batch=32, averaging=0.97)
        settings = replace(SETTINGS, alignment=alignment, drop_text=1.0, drop_audio=0.0, training=training)
        torch.manual_seed(0)
        engine, found = Engine(build(settings, INPUTS), training), []
        # As in a run: first real recordings alone, then both.
        for share, first, last in ((0.0, 0, 100), (0.5, 100, 400)):
            fit(engine, batches(settings, share), first, last, lambda step: 1e-3)
            model = build(settings, INPUTS)
            model.load_state_dict(engine.averaged())
            found.append(_told_apart(model))
        apart[alignment] = found
        correct[alignment] = (score(model, INPUTS, unseen).argmax(axis=1) == truth).mean()
    assert apart[0.0][0] == apart[0.3][0] > 0.9
    assert apart[0.0][1] > 0.75
    assert apart[0.3][1] < apart[0.0][1] - 0.1
    assert correct[0.3] > correct[0.0] - 0.05


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """Makes learners on one small corpus, and has clips of it."""
    set_threads(1)
    place = tmp_path_factory.mktemp("school")
    corpus = resolve_corpus(smoke(), place / "corpus")
    shard = place / "run" / "synthetic" / "clips.parquet"
    shard.parent.mkdir(parents=True)
    clips = [
        replace(one, id=f"{number:032x}", request={"label": one.label, "style": one.style, "count": 1})
        for number, one in enumerate(Corpus.open(corpus.path).split("train")[:10])
    ]
    pq.write_table(to_table(clips), shard)
    return lambda settings: Learner(settings, corpus.path, Beacon(place, "diagnoser-0"), place / "features"), str(shard)


def _aligned(alignment: float, **training) -> Settings:
    settings = smoke()
    training = replace(settings.diagnoser.training, weight_decay=0.3, **training)
    return replace(settings, diagnoser=replace(settings.diagnoser, alignment=alignment, training=training))


@pytest.mark.parametrize("training", [{}, {"zero_stage": 2}, {"zero_stage": 2, "precision": "bf16"}], ids=str)
def test_an_adversary_rests_until_there_are_clips_and_goes_on_after_a_kill(school, tmp_path, training):
    make, shard = school
    learner = make(_aligned(0.7, **training))
    own = {name: value for name, value in learner._engine.averaged().items() if name.startswith("adversary.")}
    first = learner.first_train(str(tmp_path / "first"))
    after_first = load_file(tmp_path / "first" / AVERAGED)
    assert len(own) == 6
    assert all(torch.equal(after_first[name], value) for name, value in own.items())
    assert learner.assess(first).ids

    second, assessment = learner.learn(Lesson(0, 1, first, (shard,), str(tmp_path / "one")))
    after_round = load_file(tmp_path / "one" / AVERAGED)
    assert not any(torch.equal(after_round[name], value) for name, value in own.items())
    learner.learn(Lesson(0, 2, second, (shard,), str(tmp_path / "two")))
    # Another process does the second round again.
    again = make(_aligned(0.7, **training))
    again.learn(Lesson(0, 2, second, (shard,), str(tmp_path / "again")))
    assert (tmp_path / "again" / AVERAGED).read_bytes() == (tmp_path / "two" / AVERAGED).read_bytes()

    model, inputs, temperature = load_diagnoser(tmp_path / "one")
    assert temperature == assessment.temperature
    without = build(_aligned(0.0).diagnoser, inputs)
    without.load_state_dict({name: value for name, value in after_round.items() if not name.startswith("adversary.")})
    examples = learner._valid[:4]
    np.testing.assert_array_equal(score(model, inputs, examples), score(without, inputs, examples))


def test_the_first_training_is_the_same_with_an_adversary_and_a_round_is_not(school, tmp_path):
    make, shard = school
    weights = {}
    for alignment in (0.0, 0.7):
        # Where gradients are clipped, more parameters change the rounding of their norm.
        learner, folder = make(_aligned(alignment, clipping=1e9)), tmp_path / str(alignment)
        first = learner.first_train(str(folder / "first"))
        learner.learn(Lesson(0, 1, first, (shard,), str(folder / "round")))
        weights[alignment] = [load_file(folder / name / AVERAGED) for name in ("first", "round")]
    assert all(torch.equal(value, weights[0.7][0][name]) for name, value in weights[0.0][0].items())
    assert not torch.equal(weights[0.0][1]["special.weight"], weights[0.7][1]["special.weight"])


@pytest.mark.slow
def test_two_ranks_agree_with_one(tmp_path):
    found = {}
    for world in (1, 2):
        folder = tmp_path / str(world)
        folder.mkdir()
        port, module = str(free_port()), "tests.diagnoser.aligned_ranks"
        ranks = [
            subprocess.Popen(
                [sys.executable, "-m", module, str(rank), str(world), port, str(folder)],
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(world)
        ]
        for rank in ranks:
            _, problems = rank.communicate(timeout=400)
            assert rank.returncode == 0, problems[-2000:]
        found[world] = [json.loads((folder / f"{stage}.json").read_text()) for stage in (0, 2)]
    for one, two in zip(found[1], found[2], strict=True):
        np.testing.assert_allclose(two["losses"], one["losses"], atol=1e-4)
        for name, value in one["average"].items():
            np.testing.assert_allclose(two["average"][name], value, atol=1e-4)
