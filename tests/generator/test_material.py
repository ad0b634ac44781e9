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
            reference = material.recordings[material.bank.reference(one.style, {one.patient_id}, rng)]
            assert reference.style == one.style
            assert reference.patient_id != one.patient_id
    assert material.recordings[0].patient_id == material.recordings[1].patient_id


def test_a_style_of_one_patient_has_no_reference():
    train = [*train_split(), recording(LABELS[0], "phone", "only", 99)]
    bank = Material.of(train, AUDIO).bank
    assert train[bank.reference("phone", {"another"}, np.random.default_rng(0))].patient_id == "only"
    with pytest.raises(UserError, match=r"'phone' .*only.*second patient"):
        bank.reference("phone", {"only"}, np.random.default_rng(0))


def test_content_and_reference_differ_in_patient(material):
    for seed in range(30):
        content, reference = material.pick("asthma", "dull", np.random.default_rng(seed))
        assert material.recordings[content].label == "asthma"
        assert material.recordings[reference].style == "dull"
        assert material.recordings[content].patient_id != material.recordings[reference].patient_id


def test_unknown_label_and_style_are_named_with_the_choices(material):
    with pytest.raises(UserError, match=r"'COPD'.*asthma, control group"):
        material.pick("COPD", "dull", np.random.default_rng(0))
    with pytest.raises(UserError, match=r"'phone'.*bright, dull"):
        material.pick("asthma", "phone", np.random.default_rng(0))


def test_styles_are_measured_on_controls(material):
    controls = [one for one in train_split() if one.label == LABELS[0]]
    alone = Material.of(controls, AUDIO).bank["dull"].arrays()
    assert all((value == alone[name]).all() for name, value in material.bank["dull"].arrays().items())


def test_references_are_healthy_where_there_are_any(material):
    healthy = {material.recordings[index].label for index in material.bank.references("dull", ())}
    assert healthy == {LABELS[0]}
    ill = Material.of([one for one in train_split() if one.label != LABELS[0]], AUDIO)
    assert len(ill.bank.references("dull", ())) == 4


def test_a_label_s_level_is_told_against_controls(material):
    """Made-up recordings are turned to one loudness, so all bands but the tone's are softer where there is a tone."""
    assert abs(material.bank.label_levels[LABELS[0]]) < 1e-6
    assert material.bank.label_levels["asthma"] < -1


def test_content_is_1_where_healthy_breathing_is_at_its_mean(material):
    contents = np.concatenate([material.content(index) for index in material.controls])
    audible = material.bank["bright"].response > material.bank["bright"].noise + 2
    assert np.abs(np.log(contents.mean(0)[audible])).max() < 0.5


def test_bank_round_trip(tmp_path, material):
    material.bank.save(tmp_path)
    read = StyleBank.load(tmp_path, material.recordings)
    assert read.names == STYLES
    assert all((read.vector(name) == material.bank.vector(name)).all() for name in STYLES)
    assert read.label_levels == material.bank.label_levels


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
