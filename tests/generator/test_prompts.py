"""What the planner over a pretrained model reads, and is not told."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from resp_agent.errors import UserError
from resp_agent.generator.examples import Draw, PlannerExamples
from resp_agent.generator.material import Material
from resp_agent.generator.prompts import Prompts
from resp_agent.generator.released_planner import with_audio_tokens
from resp_agent.settings import PlannerSettings
from tests.generator.language_models import UNITS, make_model, prompts
from tests.generator.made_up import settings, train_split


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "llama")


def test_masked_beginnings_are_a_share_of_examples():
    train = train_split()
    chosen = settings(planner=PlannerSettings(model="somewhere", mask_prefix=0.3))

    class Book:
        def encode(self, content):
            return np.zeros(len(content), np.int64)

    prompts = dataclasses.make_dataclass("Told", ["end"])(UNITS)
    prompts.label, prompts.bag = lambda label: 0, lambda narrative: []
    material = Material.of(train, chosen.audio)
    writing = PlannerExamples(chosen, material, Book(), prompts, Draw(material))
    examples = [example for step in range(40) for example in writing.examples(step)]
    hidden = np.array([example["hidden"] for example in examples])
    assert np.mean(hidden > 0) == pytest.approx(0.3, abs=0.06)
    assert all(one["hidden"] < len(one["units"]) for one in examples)
    assert hidden.max() > 35


def test_tokens_are_added_as_the_release_adds_them(llama):
    told = dataclasses.replace(prompts(llama), style_slots=8)
    released = with_audio_tokens(told.tokenizer, told.size + len(told.added))
    assert [released.token_to_id(name) - told.size for name in told.added] == list(range(len(told.added)))


def test_text_is_never_a_control_token(llama):
    told = Prompts.from_plain(json.loads(json.dumps(prompts(llama).plain())))
    assert told == prompts(llama)
    assert max(told.bag("[END]")) < told.size
    assert told.bag("a patient presents with no complaint") == told.bag("a patient presents with no complaint, and")[:8]
    tokenizer = Tokenizer.from_str(told.tokenizer)
    assert "".join(map(tokenizer.id_to_token, told.label_tokens()[0])) == "Ġasthma"
    assert told.label_tokens()[told.label(None)] == []


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    other = make_model(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"vocab_size": 299}))
    with pytest.raises(UserError, match="has 300 tokens and the model 299"):
        prompts(other)
