import pickle

import pytest

from resp_agent.corpus.narrative.chat_model import TransformersNarrator
from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.narrators import Item, make_narrator, narrate, prompt
from resp_agent.errors import UserError
from resp_agent.settings import NarrativeSettings
from tests.chats import tiny_chat_model

FACTS = Facts(63.0, "male", "trachea", ("cough", "fever"), ("reflux",), (("wheeze", 2),), 5, 11.3)


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory) -> str:
    return tiny_chat_model(tmp_path_factory.mktemp("models") / "tiny-writer")


def _chats() -> list[list[dict]]:
    records = [FACTS, Facts(), Facts(41.0, "female"), Facts(symptoms=("cough",)), Facts(0.5, None, "trachea")]
    return [prompt(facts) for facts in records] + [[{"role": "user", "content": "a"}]]


@pytest.mark.parametrize("temperature", [0.0, 0.7, 2.0])
def test_a_row_s_text_is_its_own_whatever_its_batch(chat_model, temperature):
    chats, seeds = _chats(), list(range(6))
    settings = NarrativeSettings("transformers", chat_model, batch=6, new_tokens=24, temperature=temperature)
    narrator = make_narrator(settings)
    together = narrator.write(chats, seeds)
    assert len(set(together)) > 3
    alone = [narrator.write([chat], [seed])[0] for chat, seed in zip(chats, seeds, strict=True)]
    assert alone == together
    pairs = TransformersNarrator(
        pickle.loads(pickle.dumps(NarrativeSettings("transformers", chat_model, 2, 24, temperature)))
    )
    assert pairs.write(chats[::-1], seeds[::-1])[::-1] == together
    assert (narrator.write(chats, seeds[::-1]) == together) == (temperature == 0)


def test_a_random_model_s_babble_never_passes(chat_model):
    narrator = make_narrator(NarrativeSettings("transformers", chat_model, batch=4, new_tokens=16))
    assert narrator.name == "model:tiny-writer"
    assert {one.source for one in narrate([Item(name, FACTS, "COPD") for name in "abcde"], narrator, 0)} == {
        "template, model refused"
    }


def test_a_model_without_chats_or_at_all_is_refused(tmp_path):
    with pytest.raises(UserError, match="no chat template"):
        make_narrator(NarrativeSettings("transformers", tiny_chat_model(tmp_path / "base", None)))
    one_sided = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    with pytest.raises(UserError, match="takes no system message"):
        make_narrator(NarrativeSettings("transformers", tiny_chat_model(tmp_path / "onesided", one_sided)))
    with pytest.raises(UserError, match="cannot be loaded"):
        make_narrator(NarrativeSettings("transformers", str(tmp_path / "nothing" / "here" / "at" / "all")))
    pickled = tiny_chat_model(tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(UserError, match="safetensors"):
        make_narrator(NarrativeSettings("transformers", pickled))
