import numpy as np
import pytest

from resp_agent.corpus.narrative.template import leaks
from resp_agent.simulation.pathology import LABELS
from resp_agent.simulation.patients import HISTORIES, SITES, SYMPTOMS, invented
from resp_agent.taxonomy import LABELS as TAXONOMY


@pytest.mark.parametrize("label", LABELS)
def test_patients_are_plausible(label):
    for seed in range(60):
        patient = invented(label, np.random.default_rng(seed))
        assert 0 < patient.age_years < 100
        assert patient.sex in ("female", "male")
        assert patient.site in SITES
        assert set(patient.symptoms) <= set(SYMPTOMS)
        assert set(patient.history) <= set(HISTORIES)
        if patient.age_years < 18:
            assert not {"former smoker", "current smoker"} & set(patient.history)
        assert not {"former smoker", "current smoker"} <= set(patient.history)


def test_no_field_names_a_condition():
    for word in (*SITES, *SYMPTOMS, *HISTORIES):
        assert all(leaks(word, label) == [] for label in TAXONOMY)


def test_symptoms_lean_with_the_label_and_overlap():
    def share(label, symptom):
        return np.mean([symptom in invented(label, np.random.default_rng(seed)).symptoms for seed in range(300)])

    assert share("pneumonia", "fever") > share("asthma", "fever") + 0.1
    for label in LABELS:
        assert all(0.01 < share(label, symptom) < 0.9 for symptom in ("cough", "fever"))
