import dataclasses
import json

import pytest
from safetensors.numpy import load_file

from resp_agent.curriculum.request import Request
from resp_agent.errors import CorruptCheckpoint, RunFailed, UserError
from resp_agent.generator.synthesizer import make_generator
from resp_agent.generator.training import FINAL, generator_fingerprint, load_generator, train_generator
from tests.generator.made_up import LABELS, recording, settings, train_split


class Killed(Exception):
    pass


class Striking:
    """Progress that dies at a phase and step, as a killed process would."""

    def __init__(self, phase: str, step: int | None = None):
        self.at_phase, self.at_step, self.seen = phase, step, []

    def at(self, phase: str, **where: int) -> None:
        self.seen.append((phase, where.get("step")))
        if (phase, where.get("step")) == (self.at_phase, self.at_step):
            raise Killed


def files(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / FINAL).iterdir())}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    return folder, train_generator(settings(), train_split(), folder)


def test_leaves_safetensors_and_json_and_no_unfinished_work(undisturbed):
    folder, _ = undisturbed
    assert {path.suffix for path in (folder / FINAL).iterdir()} == {".safetensors", ".json"}
    assert [path.name for path in folder.iterdir()] == [FINAL]


def test_training_again_gives_the_same_bits(undisturbed, tmp_path):
    train_generator(settings(), train_split(), tmp_path)
    assert files(tmp_path) == files(undisturbed[0])


@pytest.mark.parametrize(
    ("phase", "step"),
    [
        ("training planner", 3),
        ("checkpointing planner", 2),
        ("training flow", 1),
        ("training flow", 3),
        ("checkpointing flow", 4),
        ("saving generator", None),
    ],
)
def test_a_killed_training_goes_on_and_ends_with_the_same_bits(undisturbed, tmp_path, phase, step):
    with pytest.raises(Killed):
        train_generator(settings(), train_split(), tmp_path, Striking(phase, step))
    assert not (tmp_path / FINAL).exists()
    again = Striking("never")
    train_generator(settings(), train_split(), tmp_path, again)
    assert files(tmp_path) == files(undisturbed[0])
    if (phase, step) == ("training flow", 3):
        # What was finished is not done again.
        assert [where for where in again.seen if where[0].startswith("training")] == [
            ("training flow", 3),
            ("training flow", 4),
        ]


def test_a_finished_training_is_left_alone(undisturbed):
    folder, name = undisturbed
    before, seen = files(folder), Striking("never")
    assert train_generator(settings(), train_split(), folder, seen) == name
    assert files(folder) == before
    assert seen.seen == []


def test_another_seed_gives_other_weights_and_another_name(undisturbed, tmp_path):
    folder, name = undisturbed
    other = settings(seed=1)
    assert train_generator(other, train_split(), tmp_path) != name
    one, two = (load_file(where / FINAL / "flow.safetensors") for where in (folder, tmp_path))
    assert any((one[key] != two[key]).any() for key in one)
    with pytest.raises(RunFailed, match="another folder"):
        train_generator(other, train_split(), folder)


def test_the_fingerprint_names_settings_and_corpus():
    train = train_split()
    base = generator_fingerprint(settings(), train)
    assert base == generator_fingerprint(settings(), train_split())
    assert base != generator_fingerprint(settings(units=13), train)
    assert base != generator_fingerprint(settings(), train[:-1])
    assert base == generator_fingerprint(dataclasses.replace(settings(), threads=2), train)


def test_loading_what_is_not_there_or_was_changed(undisturbed, tmp_path):
    with pytest.raises(RunFailed, match="no trained generator"):
        load_generator(settings(), tmp_path, train_split())
    folder = tmp_path / "copy"
    (folder / FINAL).mkdir(parents=True)
    for name, data in files(undisturbed[0]).items():
        (folder / FINAL / name).write_bytes(data)
    load_generator(settings(), folder, train_split())
    words = json.loads((folder / FINAL / "vocabulary.json").read_text())
    (folder / FINAL / "vocabulary.json").write_text(json.dumps({**words, "words": []}))
    with pytest.raises(CorruptCheckpoint, match=r"vocabulary\.json"):
        load_generator(settings(), folder, train_split())


def test_controls_need_no_training(tmp_path):
    for kind in ("style-transfer", "oracle"):
        train_generator(settings(kind=kind), train_split(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_recordings_longer_and_shorter_than_a_clip(tmp_path):
    train = train_split(1.7)[:6] + train_split(0.61)[6:]
    train_generator(settings(), train, tmp_path)
    load_generator(settings(), tmp_path, train)


def test_one_patient_a_style_is_refused(tmp_path):
    train = [recording(LABELS[0], style, "only", index) for index, style in enumerate(("bright", "dull"))]
    with pytest.raises(UserError, match="second patient"):
        train_generator(settings(), train, tmp_path)


def test_one_style_is_enough(tmp_path):
    train = [one for one in train_split() if one.style == "dull"]
    train_generator(settings(), train, tmp_path)


def test_test_recordings_are_refused(tmp_path):
    train = [dataclasses.replace(one, split="test") for one in train_split()]
    with pytest.raises(UserError, match="train only"):
        train_generator(settings(), train, tmp_path)


def test_a_generator_of_exemplar_content_has_no_planner_and_says_so(tmp_path):
    made, train = settings(), train_split()
    exemplar = dataclasses.replace(made, generator=dataclasses.replace(made.generator, content="exemplar"))
    train_generator(exemplar, train, tmp_path)
    assert not (tmp_path / "weights" / "planner.safetensors").exists()
    generator = make_generator(exemplar, train, tmp_path)
    request = Request(train[0].label, train[0].style, 1, 0, content="planned")
    with pytest.raises(UserError, match=r"has no planner.*--generator.content planned"):
        generator.synthesize(request)
    assert len(generator.synthesize(dataclasses.replace(request, content="exemplar"))) == 1
