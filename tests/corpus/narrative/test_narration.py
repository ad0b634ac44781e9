"""A corpus whose narratives a model writes: none that leaks gets in, and none is written twice."""

import pytest

from resp_agent.corpus import listing
from resp_agent.corpus.build import build_corpus
from resp_agent.corpus.bulk import in_threads
from resp_agent.corpus.narrative import narration
from resp_agent.corpus.narrative.factcheck import faults
from resp_agent.corpus.narrative.template import leaks
from resp_agent.corpus.schema import ALL_SPLITS
from resp_agent.corpus.statistics import statistics
from resp_agent.settings import CorpusSettings, NarrativeSettings
from tests.corpus import layouts

BY_MODEL = CorpusSettings(narrative=NarrativeSettings(writer="endpoint", model="made/up", batch=4))
PLANTED = (
    "A patient with asthma is examined.",
    "A wheezy, reactive airway is suspected.",
    "The swab was positive and the patient coughs.",
    "Patient 40000001 is examined at the chest.",
    "A 97-year-old patient is examined.",
    "A patient is examined, as icbhi says.",
)


class Parrot:
    """Says in turn what it was taught; once told of faults, what it was taught for that."""

    name = "model:parrot"

    def __init__(self, first, again="A patient is seen in clinic."):
        self.first, self.again, self.asked = first, again, []

    def write(self, chats, seeds):
        said = []
        for chat in chats:
            told = "did not stand" in chat[-1]["content"]
            said.append(self.again if told else self.first[len(self.asked) % len(self.first)])
            self.asked.append(chat)
        return said


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "PART_ROWS", 5)
    return {"icbhi": layouts.icbhi(tmp_path / "icbhi"), "sprsound": layouts.sprsound(tmp_path / "sprsound")}


def taught(monkeypatch, *first, **again) -> Parrot:
    parrot = Parrot(first, **again)
    monkeypatch.setattr(narration, "make_narrator", lambda settings: parrot)
    return parrot


def rows(corpus) -> list[dict]:
    return [row for split in ALL_SPLITS for row in corpus.table(split).to_pylist()]


def test_an_honest_model_writes_them_all(sources, tmp_path, monkeypatch):
    taught(monkeypatch, "A patient is examined while breath sounds are recorded.")
    corpus = build_corpus(sources, tmp_path / "out", BY_MODEL)
    assert {row["narrative_source"] for row in rows(corpus)} == {"model:parrot"}
    assert statistics(corpus)["narratives"] == {"written_by": {"model:parrot": 28}, "rewrite_rate": 0.0}


def test_what_leaks_is_rewritten_once_and_then_replaced(sources, tmp_path, monkeypatch):
    parrot = taught(monkeypatch, *PLANTED)
    corpus = build_corpus(sources, tmp_path / "rewritten", BY_MODEL)
    assert {row["narrative_source"] for row in rows(corpus)} == {"model:parrot, rewritten"}
    assert len(parrot.asked) == 2 * 28
    taught(monkeypatch, *PLANTED, again=PLANTED[0])
    corpus = build_corpus(sources, tmp_path / "replaced", BY_MODEL)
    assert {row["narrative_source"] for row in rows(corpus)} == {"template, model refused"}
    assert statistics(corpus)["narratives"]["rewrite_rate"] == 1.0
    for row in rows(corpus):
        assert not leaks(row["narrative"], row["label"])
        assert row["narrative"] not in PLANTED


def test_prompts_hold_no_label_no_patient_and_no_device(sources, tmp_path, monkeypatch):
    parrot = taught(monkeypatch, "A patient is examined.")
    corpus = build_corpus(sources, tmp_path / "out", BY_MODEL)
    said = " ".join(message["content"] for chat in parrot.asked for message in chat if message["role"] == "user")
    for row in rows(corpus):
        for word in (row["id"], row["patient_id"].partition(":")[2], row["source_label"], row["device"], row["source"]):
            assert word not in said


def test_what_a_model_wrote_before_a_kill_is_not_asked_for_again(sources, tmp_path, monkeypatch):
    parrot = taught(monkeypatch, "A patient is examined while breath sounds are recorded.")

    def until_the_second_part(work, parts):
        if isinstance(work, narration.Narration):
            yield from in_threads()(work, parts[:2])
            raise KeyboardInterrupt
        yield from in_threads()(work, parts)

    with pytest.raises(KeyboardInterrupt):
        build_corpus(sources, tmp_path / "out", BY_MODEL, until_the_second_part)
    before = len(parrot.asked)
    assert 0 < before < 28
    told = []
    corpus = build_corpus(sources, tmp_path / "out", BY_MODEL, progress=lambda *said: told.append(said))
    assert len(parrot.asked) == 28
    assert ("written", 28, 28) in told
    assert corpus.fingerprint == build_corpus(sources, tmp_path / "whole", BY_MODEL).fingerprint


def test_the_template_passes_the_same_check(sources, tmp_path):
    corpus = build_corpus(sources, tmp_path / "out")
    for split in ALL_SPLITS:
        table = corpus.table(split, [*narration.RECORD, "audio", "narrative"])
        for item, text in zip(narration.items(narration.records(table)), table["narrative"].to_pylist(), strict=True):
            assert faults(text, item.facts, item.label, item.identifiers) == []
