from collections import Counter, defaultdict

import numpy as np
import pytest

from resp_agent.corpus.schema import audio_id, decode_flac, encode_flac, from_table, to_table
from resp_agent.randomness import stream
from resp_agent.settings import SimulationSettings
from resp_agent.simulation import DEVICES, LABELS, corpus_hash, embedded_corpus, simulate
from resp_agent.simulation.corpus import TRAIN_DEVICES, places, recording_at

SMALL = SimulationSettings(train_counts=(10, 6, 4, 3, 2, 2, 1, 1), valid_per_cell=1, test_per_cell=2, duration_s=1.0)


@pytest.fixture(scope="module")
def corpus():
    return embedded_corpus(SMALL, 0)


def test_the_same_seed_gives_the_same_corpus_and_another_seed_another(corpus):
    order = places(SMALL)[::3]
    again = [recording_at(place, 0, SMALL.duration_s) for place in order]
    assert corpus_hash(again) == corpus_hash(corpus[::3])
    for one, other in zip(corpus[::3], again, strict=True):
        np.testing.assert_array_equal(one.waveform, other.waveform)
    other = [recording_at(place, 1, SMALL.duration_s) for place in order[::5]]
    assert not {one.id for one in other} & {one.id for one in corpus}


def test_a_recording_does_not_depend_on_what_else_is_made(corpus):
    order = places(SMALL)
    for index in (0, 17, 40, len(order) - 1):
        assert recording_at(order[index], 0, 1.0).id == corpus[index].id
    ids = {recording.id for recording in corpus}
    larger = SimulationSettings((12, 9, 5, 3, 2, 2, 1, 1), valid_per_cell=2, test_per_cell=3, duration_s=1.0)
    assert all(recording_at(place, 0, 1.0).id in ids for place in order[::11])
    assert set(order) <= set(places(larger))


def test_every_field_is_in_the_hash(corpus):
    from dataclasses import replace

    known = corpus_hash(corpus)
    one = corpus[-1]
    changes = [
        {"id": "0"}, {"label": "COPD"}, {"style": "x"}, {"split": "train"}, {"events": ()}, {"narrative": ""},
        {"age_years": 1.5}, {"sex": "x"}, {"site": "x"}, {"symptoms": ("x",)}, {"history": ("x",)}, {"patient_id": "x"},
    ]  # fmt: skip
    for change in changes:
        assert corpus_hash([*corpus[:-1], replace(one, **change)]) != known, change


def test_training_is_long_tailed_and_confounded_with_the_device():
    cells = Counter((place.label, place.device) for place in places(SimulationSettings()) if place.split == "train")
    counts = [sum(count for (label, _), count in cells.items() if label == one) for one in LABELS]
    assert counts == [200, 120, 60, 36, 20, 16, 12, 8]
    heard = {label: {device for one, device in cells if one == label} for label in LABELS}
    assert [len(heard[label]) for label in LABELS] == [5, 2, 2, 1, 1, 1, 1, 1]
    assert {device for label in LABELS[3:] for device in heard[label]} == set(DEVICES)
    assert heard == {label: set(devices) for label, devices in TRAIN_DEVICES.items()}


def test_validation_and_test_are_balanced_over_label_and_device(corpus):
    for split, count in (("valid", 1), ("test", 2)):
        cells = Counter((one.label, one.style) for one in corpus if one.split == split)
        assert cells == {(label, device): count for label in LABELS for device in DEVICES}


def test_no_patient_is_in_two_splits_or_has_two_labels(corpus):
    seen = defaultdict(set)
    for one in corpus:
        seen[one.patient_id].add((one.split, one.label, one.style, one.age_years, one.sex, one.history))
    assert all(len(where) == 1 for where in seen.values())
    assert len({one.id for one in corpus}) == len(corpus)


def test_a_few_patients_have_two_recordings():
    full = SimulationSettings()
    some = [recording_at(place, 0, 1.0) for place in places(full)[:80]]
    recordings = Counter(one.patient_id for one in some)
    assert set(recordings.values()) == {1, 2}
    assert Counter(recordings.values())[2] < 0.2 * len(recordings)


def test_ids_name_the_audio_and_rows_survive_the_schema(corpus):
    for one in corpus[::13]:
        assert one.id == audio_id(one.waveform)
        np.testing.assert_array_equal(decode_flac(encode_flac(one.waveform)), one.waveform)
    kept = from_table(to_table(corpus[::13]))
    assert corpus_hash(kept) == corpus_hash(corpus[::13])


def test_what_is_heard_and_whose_it_is_do_not_depend_on_the_device():
    made = [simulate("bronchiolitis", device, stream("test", 1), 2.0) for device in DEVICES]
    assert len({one.events for one in made}) == 1
    assert len({one.patient for one in made}) == 1
    assert len({one.waveform.tobytes() for one in made}) == 5
    assert len({one.original_sample_rate_hz for one in made}) > 2


def test_no_patient_id_or_path_names_the_label(corpus):
    for one in corpus:
        assert one.source == "embedded"
        assert one.label not in one.patient_id
        assert one.style == one.device
        assert one.device not in one.narrative
        assert one.patient_id not in one.narrative


def test_an_unknown_label_or_device_is_refused():
    with pytest.raises(ValueError, match="no label"):
        simulate("hiccup", DEVICES[0], stream(0), 1.0)
    with pytest.raises(ValueError, match="no device"):
        simulate(LABELS[0], "trumpet", stream(0), 1.0)
