"""A refresh trains on where the diagnoser is weak, from the weights in force, and ends with the same bits if killed."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from resp_agent.curriculum.request import Request
from resp_agent.errors import CorruptCheckpoint
from resp_agent.generator.examples import Draw
from resp_agent.generator.material import Material
from resp_agent.generator.refresh import Refresh, WeakDraw, refresh_generator, weakness_of
from resp_agent.generator.synthesizer import make_generator
from resp_agent.generator.training import FINAL, train_generator
from resp_agent.settings import CurriculumSettings, PlannerSettings, TrainingSettings
from resp_agent.training.checkpoints import read_progress
from tests.curriculum.scores import assessment
from tests.generator.language_models import make_model
from tests.generator.made_up import LABELS, STYLES, settings, train_split
from tests.generator.test_training import Killed, Striking

CHOSEN = dataclasses.replace(settings(), curriculum=CurriculumSettings(refresh_every=1, refresh_steps=5))
WEAKNESS = {(label, style): 0.2 + 0.6 * (label == "asthma") for label in LABELS for style in STYLES}
ASKED = Request("asthma", "bright", 2, 3)


def task(save_to, start=None, number=2, **changes) -> Refresh:
    return dataclasses.replace(Refresh(7, number, WEAKNESS, start, str(save_to)), **changes)


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def name_in(folder) -> str:
    return read_progress(Path(folder))["fingerprint"]


def waveforms(generator) -> np.ndarray:
    return np.stack([clip.waveform for clip in generator.synthesize(ASKED)])


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    train_generator(CHOSEN, train_split(), folder)
    return folder


@pytest.fixture
def generator(first):
    return make_generator(CHOSEN, train_split(), first)


@pytest.fixture(scope="module")
def undisturbed(first, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generators") / "round-002"
    return refresh_generator(CHOSEN, make_generator(CHOSEN, train_split(), first), task(folder))


def test_weakness_is_what_f1_lacks():
    scored = assessment(3)
    f1 = scored.by_cell()["f1"]
    weakness = weakness_of(scored)
    assert len(weakness) == f1.size
    assert weakness["label 4", "style 2"] == 1 - f1[4, 2]
    assert weakness["label 0", "style 1"] == 1 - f1[0, 1]


def test_recordings_are_drawn_as_their_cell_is_weak():
    train = train_split()
    weakness = dict(zip(WEAKNESS, (0.1, 0.0, 0.9, 0.5), strict=True))
    draw = WeakDraw(Material.of(train, CHOSEN.audio), weakness)
    # 8 of one label, 4 of the other: half of the first training's examples are drawn from labels, half from all.
    first = np.array([0.5 / 12 + 0.25 / (4 if one.label == "asthma" else 8) for one in train])
    weak = np.array([first[i] * weakness[one.label, one.style] for i, one in enumerate(train)])
    np.testing.assert_allclose(draw.chances, 0.8 * weak / weak.sum() + 0.2 * first, rtol=1e-12)
    assert draw.chances.min() > 0
    rng = np.random.default_rng(0)
    drawn = np.bincount([draw(rng) for _ in range(20_000)], minlength=12) / 20_000
    np.testing.assert_allclose(drawn, draw.chances, atol=0.01)


def test_without_weakness_it_is_the_first_trainings_draw():
    material = Material.of(train_split(), CHOSEN.audio)
    first, rng = Draw(material), np.random.default_rng(0)
    np.testing.assert_allclose(WeakDraw(material, dict.fromkeys(WEAKNESS, 0.0)).chances, first.chances)
    np.testing.assert_allclose(WeakDraw(material, dict.fromkeys(WEAKNESS, 0.3)).chances, first.chances)
    drawn = np.bincount([first(rng) for _ in range(20_000)], minlength=12) / 20_000
    np.testing.assert_allclose(drawn, first.chances, atol=0.01)


def test_it_goes_on_from_the_weights_in_force_and_leaves_them_alone(first, generator, tmp_path):
    name, before = generator.fingerprint, waveforms(generator)
    gentle = dataclasses.replace(CHOSEN, curriculum=CurriculumSettings(refresh_every=1, refresh_steps=1))
    made = refresh_generator(gentle, generator, task(tmp_path / "round-002"))
    assert sorted(files(made.folder)) == ["digests.json", "flow.safetensors", "planner.safetensors", "progress.json"]
    for part, training in (("planner", CHOSEN.generator.planner.training), ("flow", CHOSEN.generator.flow.training)):
        old, new = (load_file(Path(where) / f"{part}.safetensors") for where in (first / FINAL, made.folder))
        moved = max(np.abs(new[key] - old[key]).max() for key in old)
        # A first step of AdamW moves a weight by the rate, of which the average takes its share.
        assert 0 < moved < 1.1 * training.learning_rate * (1 - training.averaging)
    assert generator.fingerprint == name
    np.testing.assert_array_equal(waveforms(generator), before)


def test_clips_are_of_the_generator_in_force(first, undisturbed, generator):
    before, name = waveforms(generator), generator.fingerprint
    ids = [clip.id for clip in generator.synthesize(ASKED)]
    generator.use(undisturbed)
    refreshed = waveforms(generator)
    assert generator.fingerprint != name
    assert (refreshed != before).any()
    assert not set(ids) & {clip.id for clip in generator.synthesize(ASKED)}
    again = make_generator(CHOSEN, train_split(), first)
    again.use(undisturbed)
    np.testing.assert_array_equal(waveforms(again), refreshed)
    generator.use(None)
    assert generator.fingerprint == name
    np.testing.assert_array_equal(waveforms(generator), before)


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        ("training planner", 3),
        ("checkpointing planner", 2),
        ("training flow", 1),
        ("checkpointing flow", 4),
        ("saving", None),
    ],
)
def test_a_killed_refresh_goes_on_and_ends_with_the_same_bits(undisturbed, generator, tmp_path, phase, step):
    folder, phase = tmp_path / "round-002", f"refreshing generator: {phase}"
    with pytest.raises(Killed):
        refresh_generator(CHOSEN, generator, task(folder), Striking(phase, step))
    assert not folder.exists()
    again = Striking("never")
    made = refresh_generator(CHOSEN, generator, task(folder), again)
    assert files(folder) == files(undisturbed.folder)
    assert made.digests == undisturbed.digests
    assert [path.name for path in tmp_path.iterdir()] == ["round-002"]
    if step == 1:
        # What was finished is not done again.
        assert not any("training planner" in seen for seen, _ in again.seen)


def test_one_that_is_whole_is_used_and_another_one_takes_its_place(undisturbed, generator, tmp_path):
    folder, seen = tmp_path / "round-002", Striking("never")
    with pytest.raises(Killed):
        refresh_generator(CHOSEN, generator, task(folder, seed=8), Striking("refreshing generator: training flow", 3))
    # What another episode left is not gone on from.
    assert refresh_generator(CHOSEN, generator, task(folder)).digests == undisturbed.digests
    assert refresh_generator(CHOSEN, generator, task(folder), seen).digests == undisturbed.digests
    assert seen.seen == []
    names = {generator.fingerprint, name_in(undisturbed.folder)}
    others = [{"seed": 8}, {"round": 4}, {"weakness": dict.fromkeys(WEAKNESS, 0.5)}]
    for number, change in enumerate(others):
        made = refresh_generator(CHOSEN, generator, task(folder, **change))
        assert made.digests["flow.safetensors"] != undisturbed.digests["flow.safetensors"]
        names.add(name_in(made.folder))
        assert len(names) == 3 + number


def test_a_second_refresh_starts_from_the_first_one(undisturbed, generator, tmp_path):
    fresh = refresh_generator(CHOSEN, generator, task(tmp_path / "fresh", number=4))
    generator.use(undisturbed)
    second = refresh_generator(CHOSEN, generator, task(tmp_path / "second", undisturbed, 4))
    assert name_in(second.folder) != name_in(fresh.folder)
    assert second.digests["flow.safetensors"] != fresh.digests["flow.safetensors"]


def test_one_that_was_changed_is_not_used(generator, tmp_path):
    made = refresh_generator(CHOSEN, generator, task(tmp_path / "round-002"))
    flow = tmp_path / "round-002" / "flow.safetensors"
    flow.write_bytes(flow.read_bytes()[:-4] + b"abcd")
    with pytest.raises(CorruptCheckpoint, match=r"round-002/flow.safetensors is not what was written"):
        generator.use(made)


def test_without_a_planner_the_flow_alone_is_trained(tmp_path):
    chosen = dataclasses.replace(CHOSEN, generator=dataclasses.replace(CHOSEN.generator, content="exemplar"))
    train_generator(chosen, train_split(), tmp_path / "first")
    generator = make_generator(chosen, train_split(), tmp_path / "first")
    made = refresh_generator(chosen, generator, task(tmp_path / "round-002"))
    assert sorted(files(made.folder)) == ["digests.json", "flow.safetensors", "progress.json"]


def test_adapters_are_new_and_all_else_of_the_language_model_stays(tmp_path):
    pytest.importorskip("peft")
    model, train = make_model(tmp_path / "model"), train_split()
    short = TrainingSettings(steps=4, batch=4, warmup=1, checkpoint_every=2)
    planner = PlannerSettings(model=str(model), adapter_rank=2, training=short)
    chosen = dataclasses.replace(CHOSEN, generator=settings(planner=planner).generator)
    train_generator(chosen, train, tmp_path / "first")
    generator = make_generator(chosen, train, tmp_path / "first")
    made, again = (refresh_generator(chosen, generator, task(tmp_path / name)) for name in ("one", "two"))
    assert made.digests == again.digests
    old, new = (load_file(Path(where) / "planner.safetensors") for where in (tmp_path / "first" / FINAL, made.folder))
    assert old.keys() == new.keys()
    moved = {name for name in old if (old[name] != new[name]).any()}
    body = {name for name in moved if name.startswith("body.")}
    assert body
    assert all(name.endswith("_proj.weight") for name in body)
    generator.use(made)
    waveforms(generator)
