import numpy as np
import pytest

from resp_agent.errors import UserError
from resp_agent.generator.material import Material, StyleBank
from tests.generator.made_up import LABELS, STYLES, recording, settings, train_split

AUDIO = settings().audio


@pytest.fixture(scope="module")
def material() -> Material:
    return Material.of(train_split(), AUDIO)


def test_references_are_by_other_patients(material):
    rng = np.random.default_rng(0)
    for one in material.recordings:
        for _ in range(10):
            reference = material.recordings[material.bank.reference(one.style, one.patient_id, rng)]
            assert reference.style == one.style
            assert reference.patient_id != one.patient_id
    assert material.recordings[0].patient_id == material.recordings[1].patient_id


def test_a_style_of_one_patient_has_no_reference():
    train = [*train_split(), recording(LABELS[0], "phone", "only", 99)]
    bank = Material.of(train, AUDIO).bank
    assert train[bank.reference("phone", "another", np.random.default_rng(0))].patient_id == "only"
    with pytest.raises(UserError, match=r"'phone' .*'only'.*second patient"):
        bank.reference("phone", "only", np.random.default_rng(0))


def test_content_and_reference_differ_in_patient(material):
    for seed in range(30):
        content, reference = material.content("asthma", "dull", np.random.default_rng(seed))
        assert material.recordings[content].label == "asthma"
        assert material.recordings[reference].style == "dull"
        assert material.recordings[content].patient_id != material.recordings[reference].patient_id


def test_unknown_label_and_style_are_named_with_the_choices(material):
    with pytest.raises(UserError, match=r"'COPD'.*asthma, control group"):
        material.content("COPD", "dull", np.random.default_rng(0))
    with pytest.raises(UserError, match=r"'phone'.*bright, dull"):
        material.content("asthma", "phone", np.random.default_rng(0))


def test_styles_are_measured_on_controls(material):
    controls = [one for one in train_split() if one.label == LABELS[0]]
    assert (Material.of(controls, AUDIO).bank["dull"].vector == material.bank["dull"].vector).all()


def test_bank_round_trip(tmp_path, material):
    material.bank.save(tmp_path)
    read = StyleBank.load(tmp_path, material.recordings)
    assert read.names == STYLES
    assert all((read.vector(name) == material.bank.vector(name)).all() for name in STYLES)


def test_other_splits_and_nothing_are_refused():
    import dataclasses

    with pytest.raises(UserError, match=r"'valid'.*train only"):
        Material.of([dataclasses.replace(train_split()[0], split="valid")], AUDIO)
    with pytest.raises(UserError, match="empty"):
        Material.of([], AUDIO)


def test_windows_of_long_recordings_are_drawn_and_short_ones_whole():
    long = Material.of(train_split(2.5), AUDIO)
    windows = [long.window(0, np.random.default_rng(seed)) for seed in range(4)]
    assert {len(one) for one in windows} == {AUDIO.frames}
    assert len({one.tobytes() for one in windows}) > 1
    short = Material.of(train_split(0.6), AUDIO)
    assert len(short.window(0, np.random.default_rng(0))) == 30
