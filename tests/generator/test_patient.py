"""Invented patients: fields that belong together stay together, the text says them and gives nothing away."""

import dataclasses

import numpy as np
import pytest

from resp_agent.corpus.narrative.template import leaks, narrative
from resp_agent.curriculum.request import Request
from resp_agent.generator.patient import invent
from resp_agent.generator.synthesizer import make_generator
from resp_agent.generator.training import train_generator
from tests.generator.made_up import settings, train_split

PEOPLE = ((63.0, "female"), (7.0, "male"), (40.0, "female"), (55.0, "male"))
SYMPTOMS = (("cough",), ("fever", "cough"), ("wheezing",), ("dyspnea",))
HISTORY = (("smoker",), (), ("hypertension",), ("diabetes",))


def told(train):
    """The split with fields to tell."""
    return [
        dataclasses.replace(
            one,
            age_years=PEOPLE[index % 4][0],
            sex=PEOPLE[index % 4][1],
            symptoms=SYMPTOMS[index % 4],
            history=HISTORY[index % 4],
            site="trachea",
        )
        for index, one in enumerate(train)
    ]


def test_fields_are_those_of_the_label_and_the_text_says_them():
    train = told(train_split())
    ill = [one for one in train if one.label == "asthma"]
    seen = set()
    for seed in range(60):
        clip = dataclasses.replace(train[8], id=f"clip {seed}", site="left lung")
        made = invent(clip, ill, np.random.default_rng(seed))
        assert (made["age_years"], made["sex"]) in PEOPLE
        assert made["symptoms"] in SYMPTOMS
        assert made["history"] in HISTORY
        fields = {name: made[name] for name in ("age_years", "sex", "symptoms", "history")}
        assert made["narrative"] == narrative(clip.id, site="left lung", **fields)
        assert not leaks(made["narrative"], "asthma")
        seen.add((made["age_years"], made["symptoms"], made["history"]))
    assert len(seen) > 20


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """Makes one by whether it invents patients and what wrote its corpus' narratives; all share their training."""
    folder, train = tmp_path_factory.mktemp("generator"), told(train_split())

    def make(invents: bool = True, source: str = "template"):
        chosen = settings(content="exemplar")
        how = dataclasses.replace(chosen.generator.composition, invent_patients=invents)
        chosen = dataclasses.replace(chosen, generator=dataclasses.replace(chosen.generator, composition=how))
        own = folder / str(invents)
        train_generator(chosen, train, own)
        return make_generator(chosen, [dataclasses.replace(one, narrative_source=source) for one in train], own)

    return make


def test_clips_are_of_invented_patients_and_sound_the_same(generator):
    request = Request("asthma", "bright", 6, 3, "exemplar")
    invented, real = generator().synthesize(request), generator(invents=False).synthesize(request)
    narratives = {one.narrative for one in train_split()}
    assert {clip.narrative for clip in real} <= narratives
    assert not {clip.narrative for clip in invented} & narratives
    assert [clip.waveform.tobytes() for clip in invented] == [clip.waveform.tobytes() for clip in real]
    assert [clip.site for clip in invented] == ["trachea"] * 6
    assert [clip.narrative for clip in generator().synthesize(request)] == [clip.narrative for clip in invented]


def test_what_a_language_model_wrote_stays(generator):
    clips = generator(source="transformers").synthesize(Request("asthma", "bright", 4, 3, "exemplar"))
    assert {clip.narrative for clip in clips} <= {one.narrative for one in train_split()}
