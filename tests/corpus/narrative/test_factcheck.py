from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from resp_agent.corpus.narrative.factcheck import faults
from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.giveaways import TESTS
from resp_agent.corpus.narrative.reading import is_common
from resp_agent.corpus.narrative.template import SYNONYMS, narrative
from resp_agent.corpus.narrative.vocabulary import AT_LEAST, DECADES, TENS, UNITS
from resp_agent.simulation.patients import HISTORIES, SITES, SYMPTOMS
from resp_agent.taxonomy import EVENT_KINDS, LABELS

RECORDS = {
    "man": Facts(63.0, "male", "posterior right chest", ("fever", "cough"), ("former smoker", "hypertension"),
                 (("wheeze", 2),), 5, 11.3),
    "girl": Facts(0.75, "female", "trachea", ("runny nose", "cough"), ("premature birth",),
                  (("fine crackle", 3), ("wheeze", 1)), 4, 9.2),
    "woman": Facts(41.0, "female", "anterior left chest", ("shortness of breath", "fatigue", "chest tightness"),
                   ("reflux", "eczema"), (), 7, 20.0),
    "boy": Facts(8.0, "male", "lateral right chest", ("sore throat",), (), (("rhonchus", 1), ("stridor", 2)), None,
                 15.4),
    "old": Facts(81.0, "female", "posterior left chest", ("sputum", "chest pain", "cough"),
                 ("diabetes", "current smoker"), (("coarse crackle", 6), ("wheeze + crackle", 2)), 1, 25.0),
    "caller": Facts(34.0, "male", None, ("fever or muscle pain",), ("a respiratory condition",), (("cough", 4),), None,
                    6.5),
    "nosex": Facts(29.0, None, "posterior right upper chest",
                   ("new continuous cough", "loss of taste", "high temperature"), ("current smoker",), (), 3, 12.0),
    "ex-smoker": Facts(52.0, "female", None,
                       ("cough", "fatigue", "runny or blocked nose", "change to sense of smell or taste"),
                       ("ex-smoker", "another respiratory condition"), (("cough", 3),), None, 5.0),
    "schoolboy": Facts(6.0, "male", "posterior left lower lung", (), (), (), 12, 9.2),
    "smoker": Facts(70.0, "male", "lateral left chest",
                    ("cough", "sputum", "shortness of breath", "chest tightness"),
                    ("current smoker", "diabetes", "hypertension", "reflux"),
                    (("coarse crackle", 2), ("rhonchus", 1)), 3, 10.0),
    "unknown": Facts(),
}  # fmt: skip
IDENTIFIERS = ("icbhi:104", "5f3c9a1b7d2e4f60", "104_1b1_Pr_sc_Meditron.wav", "icbhi")


def _cases(name: str) -> list[tuple[str, ...]]:
    lines = (Path(__file__).parent / name).read_text(encoding="ascii").splitlines()
    return [tuple(line.split(" | ")) for line in lines]


HONEST = _cases("honest.txt")
"""Record and a narrative of it as a language model might write it."""
PLANTED = _cases("planted.txt")
"""Record, what is wrong, and a narrative of it."""
DISGUISED = [
    "A 63-year-old man with C\u200bO\u200bP\u200bD presents with cough.",
    "A 63-year-old man with CO\u00adPD presents with cough.",
    "A 63-year-old man with \uff23\uff2f\uff30\uff24 presents with cough.",
    "A 63-year-old man with \u0421\u041e\u0420D presents with cough.",
    "A 63-year-old man with cove\u0301d reports cough.",
    "A \u0666\u0663-year-old man reports cough.",
    "A 63-year-old man reports cough \U0001f637.",
    "A 63-year-old man with \u1d04\u1d0f\u1d18\u1d05 reports cough.",
    "A 63-year-old man with \U0001d402\U0001d40e\U0001d40f\U0001d403 reports cough.",
    "A 63-year-old man\u202e reports cough DPOC.",
    "\u4e00\u4e2a63\u5c81\u7684\u7537\u4eba\u54b3\u55fd\u3002",
]
MISSHAPEN = [
    "",
    " ",
    "A 63-year-old man reports:\n- cough\n- fever.",
    "A 63-year-old man\nreports cough.",
    "A 63-year-old man reports cough. " * 7,
    "A 63-year-old man reports " + "cough and " * 120 + "fever.",
]


@pytest.mark.parametrize(("record", "text"), HONEST)
def test_honest_narratives_stand(record, text):
    assert faults(text, RECORDS[record], "COPD", IDENTIFIERS) == []
    assert faults(text, RECORDS[record], "unlabelled") == []


@pytest.mark.parametrize(("record", "wrong", "text"), PLANTED)
def test_planted_inventions_and_leaks_fall(record, wrong, text):
    for case in (text, text.upper(), text.lower(), text.title()):
        assert faults(case, RECORDS[record], "COPD", IDENTIFIERS), wrong
    assert faults(text, RECORDS[record], "unlabelled", IDENTIFIERS), wrong


@pytest.mark.parametrize("text", DISGUISED + MISSHAPEN)
def test_disguises_and_what_is_no_plain_text_fall(text):
    assert faults(text, RECORDS["man"], "COPD")


def test_there_are_enough_cases():
    assert len(HONEST) >= 150
    assert len(PLANTED) >= 700


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A 63-year-old man with asthm4 reports cough.", "it names a condition"),
        ("A 63-year-old man with c.o.v.i.d reports cough.", "it names a condition"),
        ("A 63-year-old man with pneu monia reports cough.", "it names a condition"),
        ("A 63-year-old asthmatic reports cough.", "it names a condition"),
        ("A 63-year-old man with P.C.R. taken.", "it names a test, a result or a diagnosis"),
        ("Mr Case has a cough.", "it holds a name, a date or an identifier"),
        ("A man of ICBHI has a cough.", "it holds a name, a date or an identifier"),
        ("A man has a cough", "it does not end with a full stop"),
    ],
)
def test_faults_say_what_is_wrong(text, reason):
    assert reason in faults(text, RECORDS["man"], "COPD", IDENTIFIERS)


@pytest.mark.parametrize("label", [*LABELS, "unlabelled"])
def test_faults_repeat_no_label(label):
    for word in (label, *SYNONYMS.get(label, ())):
        found = faults(f"A 63-year-old man with {word}, severe {word[:3]} {word[3:]}.", RECORDS["man"], label)
        assert found
        assert not any(word.lower() in reason for reason in found)


@pytest.mark.parametrize(
    ("age_years", "text", "stands"),
    [
        (1.5, "An 18-month-old patient is examined.", True),
        (1.5, "A 1.5-year-old patient is examined.", True),
        (1.5, "A 1-year-old patient is examined.", False),
        (1.0, "A one-year-old patient is examined.", True),
        (4.7, "A 4-year-old patient is examined.", True),
        (4.7, "A 4.7-year-old patient is examined.", True),
        (4.7, "A 5-year-old patient is examined.", False),
        (4.7, "A patient aged 4 months is examined.", False),
        (0.75, "A patient aged 9 is examined.", False),
        (0.02, "A 1-month-old newborn is examined.", True),
        (None, "A 4-year-old patient is examined.", False),
        (None, "An adult is examined.", False),
        (None, "A man is examined.", False),
        (17.9, "A boy is examined.", True),
        (18.0, "A boy is examined.", False),
        (21.0, "A twenty-one year old man is examined.", True),
        (21.0, "A twenty-two year old man is examined.", False),
    ],
)
def test_ages_are_the_record_s(age_years, text, stands):
    assert (faults(text, Facts(age_years=age_years, sex="male"), "asthma") == []) == stands


def test_an_entry_that_says_or_says_no_more_than_that():
    record = Facts(symptoms=("fever or muscle pain", "pain"), history=("history of smoking",))
    assert faults("A patient reports fever or muscle pain and pain.", record, "asthma") == []
    assert faults("A patient has a history of smoking.", record, "asthma") == []
    for invented in ("fever", "fever and muscle pain", "chest pain", "a history as a former smoker"):
        assert faults(f"A patient reports {invented}.", record, "asthma"), invented


def test_normal_sounds_need_normal_breaths_and_no_events():
    text = "Normal breath sounds are heard."
    assert faults(text, Facts(normal_breaths=3), "asthma") == []
    assert faults("Breath sounds at the trachea are clear.", Facts(normal_breaths=3, site="trachea"), "asthma") == []
    assert faults(text, Facts(normal_breaths=0), "asthma")
    assert faults(text, Facts(), "asthma")
    assert faults(text, Facts(normal_breaths=3, events=(("wheeze", 1),)), "asthma")
    assert faults("Three normal breaths are heard.", Facts(normal_breaths=3, events=(("wheeze", 1),)), "asthma") == []
    for said in (
        "The lungs are clear.",
        "Breath sounds are recorded and the lungs are normal.",
        "The patient is normal.",
    ):
        assert faults(said, Facts(normal_breaths=3, site="chest"), "control group"), said


WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=9)
ENTRIES = st.one_of(
    st.sampled_from([*SYMPTOMS, *HISTORIES, "fever or muscle pain", "change to sense of smell or taste", "asthma"]),
    st.lists(WORDS, min_size=1, max_size=3).map(" ".join),
    st.text(max_size=20),
)
FACTS = st.builds(
    Facts,
    age_years=st.none() | st.floats(0, 110),
    sex=st.sampled_from([None, "male", "female", "F", "other"]),
    site=st.none() | st.sampled_from(SITES) | ENTRIES,
    symptoms=st.lists(ENTRIES, max_size=6).map(tuple),
    history=st.lists(ENTRIES, max_size=4).map(tuple),
    events=st.lists(
        st.tuples(st.sampled_from(EVENT_KINDS), st.integers(0, 40)), max_size=4, unique_by=lambda e: e[0]
    ).map(tuple),
    normal_breaths=st.none() | st.integers(0, 40),
    duration_s=st.none() | st.floats(0.5, 900),
)


@given(FACTS, st.text("0123456789abcdef", min_size=32, max_size=32), st.sampled_from([*LABELS, "unlabelled"]))
@example(Facts(age_years=63.0, history=("second hand smoke", "one kidney")), "a" * 32, "asthma")
def test_the_template_stands_for_every_record(facts, name, label):
    fields = {field: getattr(facts, field) for field in ("age_years", "sex", "site", "symptoms", "history")}
    assert faults(narrative(name, **fields), facts, label, (name, f"icbhi:{name[:3]}")) == []


GIVEAWAYS = sorted({*LABELS, *(word for words in SYNONYMS.values() for word in words), *TESTS})
CASES = st.sampled_from([str.upper, str.lower, str.title])
AROUND = st.sampled_from([" {} ", " ({}) ", ", {}, ", " {}: ", " {}'s ", ". {}. ", "{}"])


def _inserted(text: str, at: float, word: str) -> str:
    place = round(at * len(text))
    return text[:place] + word + text[place:]


@given(st.sampled_from(HONEST), st.floats(0, 1), st.sampled_from(GIVEAWAYS), CASES, AROUND)
def test_a_label_or_a_test_falls_wherever_it_stands(case, at, word, form, around):
    record, text = case
    assert faults(_inserted(text, at, around.format(form(word))), RECORDS[record], "COPD", IDENTIFIERS)


@given(st.sampled_from(HONEST), st.floats(0, 1), st.sampled_from([*IDENTIFIERS, "104", "Meditron"]), CASES, AROUND)
def test_an_identifier_falls_wherever_it_stands(case, at, word, form, around):
    record, text = case
    assert faults(_inserted(text, at, around.format(form(word))), RECORDS[record], "COPD", IDENTIFIERS)


@given(
    st.sampled_from(HONEST),
    st.floats(0, 1),
    st.integers(0, 120),
    st.sampled_from(["{}-year-old", "aged {}", "{} years old", "age {} years", "{} months of age", "in his {}s"]),
)
def test_another_age_falls_wherever_it_stands(case, at, age, said):
    record, text = case
    facts = RECORDS[record]
    known = facts.age_years or -1
    assume(age not in (int(known), round(known * 12), int(known) // 10 * 10))
    assert faults(_inserted(text, at, f" {said.format(age)} "), facts, "COPD", IDENTIFIERS)


NUMBERS = {*UNITS, *TENS, *DECADES, *AT_LEAST, "once", "twice"}


@given(st.sampled_from(HONEST), st.floats(0, 1), WORDS, CASES)
def test_a_word_that_is_nobody_s_falls_wherever_it_stands(case, at, word, form):
    record, text = case
    assume(
        not is_common(word, RECORDS[record]) and word not in NUMBERS and word not in ("normal", "clear", "vesicular")
    )
    assert faults(_inserted(text, at, f" {form(word)} "), RECORDS[record], "COPD", IDENTIFIERS)
