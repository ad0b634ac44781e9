import pytest
from hypothesis import given
from hypothesis import strategies as st

from resp_agent.corpus.narrative.template import SYNONYMS, TEST_RESULTS, leaks, narrative, spoken_age
from resp_agent.randomness import stream
from resp_agent.simulation.pathology import LABELS as SIMULATED
from resp_agent.simulation.patients import invented
from resp_agent.taxonomy import LABELS


def test_a_note_holds_what_is_known_and_nothing_else():
    note = narrative("a", age_years=63, sex="male", site="trachea", symptoms=("cough", "fever"), history=("reflux",))
    assert note.startswith("A 63-year-old man ")
    for word in ("cough and fever", "reflux", "trachea"):
        assert word in note
    assert 1 <= note.count(".") <= 3
    assert narrative("a") == narrative("a", symptoms=(), history=(), site="")
    assert narrative("a").startswith("A patient ")


@pytest.mark.parametrize(
    ("age_years", "sex", "person"),
    [
        (0.3, "female", "A 4-month-old girl"),
        (0.67, "male", "An 8-month-old boy"),
        (1.99, None, "A 24-month-old patient"),
        (8.0, "F", "An 8-year-old girl"),
        (17.9, "M", "A 17-year-old boy"),
        (18.0, "Male", "An 18-year-old man"),
        (80.0, "Female", "An 80-year-old woman"),
        (None, "male", "A male patient"),
        (None, None, "A patient"),
    ],
)
def test_persons_are_named_by_age_and_sex(age_years, sex, person):
    assert narrative("x", age_years=age_years, sex=sex).startswith(person + " ")


def test_ages_are_said_in_months_below_two_years_and_in_whole_years_above():
    ages = (0.0, 0.75, 1.99, 2.0, 4.7)
    assert [spoken_age(age) for age in ages] == [(1, "month"), (9, "month"), (24, "month"), (2, "year"), (4, "year")]


def test_wording_varies_with_the_id_and_with_nothing_else():
    fields = {"age_years": 40.0, "sex": "female", "site": "trachea", "symptoms": ["cough"], "history": ["reflux"]}
    notes = {narrative(str(number), **fields) for number in range(200)}
    assert len(notes) == 27
    assert narrative("7", **fields) == narrative("7", **fields)


def test_entries_that_name_a_condition_or_a_test_are_left_out():
    note = narrative(
        "a",
        symptoms=("cough", "Chronic cough", "hemoptysis", "acute_bronchitis"),
        history=("asthma", "reflux", "PCR positive", "COVID 19", "lung  disease"),
        site="pneumonia ward",
    )
    assert "cough" in note
    assert "reflux" in note
    for label in LABELS:
        assert leaks(note, label) == []


@pytest.mark.parametrize("label", LABELS)
def test_a_label_and_its_synonyms_are_found_as_words(label):
    assert set(SYNONYMS) == set(LABELS)
    for word in (label, *SYNONYMS[label], *TEST_RESULTS):
        assert leaks(f"Known {word.upper()}, otherwise nothing.", label) == [word.lower()]
        assert leaks(f"x{word}x", label) == [] or " " in word or "-" in word
    assert leaks("A boy reports a cough and no wheeze.", label) == []


def test_a_leak_belongs_to_its_label():
    assert leaks("Known asthma.", "asthma") == ["asthma"]
    assert leaks("Known asthma.", "COPD") == []
    assert leaks("Bronchiolitis.", "bronchitis") == []


@given(label=st.sampled_from(SIMULATED), number=st.integers(0, 10**9))
def test_no_invented_patient_gives_the_label_away(label, number):
    patient = invented(label, stream("narrative test", number))
    note = narrative(str(number), **vars(patient))
    assert all(leaks(note, one) == [] for one in LABELS)


@given(
    st.lists(st.sampled_from([*LABELS, *(word for words in SYNONYMS.values() for word in words), "cough", "fever"])),
    st.sampled_from(LABELS),
)
def test_no_entry_however_worded_gives_a_label_away(entries, label):
    note = narrative("x", symptoms=entries, history=[f"known {entry}" for entry in entries], site=label)
    assert leaks(note, label) == []
