import pickle

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from resp_agent.corpus.narrative.chat_model import TransformersNarrator, _Choice
from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.narrators import Item, make_narrator, narrate, prompt
from resp_agent.errors import UserError
from resp_agent.settings import NarrativeSettings

FACTS = Facts(63.0, "male", "trachea", ("cough", "fever"), ("reflux",), (("wheeze", 2),), 5, 11.3)
TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def _chat_model(folder, template: str | None = TEMPLATE):
    """A tiny chat model of random weights that reads and writes bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE(vocab={letter: number for number, letter in enumerate(["</s>", *letters])}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")
    fast.chat_template = template
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(letters) + 1,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory) -> str:
    return _chat_model(tmp_path_factory.mktemp("models") / "tiny-writer")


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


def test_a_token_comes_as_often_as_it_is_likely():
    probabilities, seeds = torch.tensor([0.5, 0.0, 0.3, 0.2]), list(range(2000))
    choice = _Choice(seeds, NarrativeSettings(new_tokens=2, temperature=1.0), width=3)
    ids, logits = torch.zeros(2000, 3, dtype=torch.long), probabilities.log().expand(2000, 4)
    first = choice(ids, logits).argmax(1)
    assert torch.bincount(first, minlength=4) / 2000 == pytest.approx(probabilities, abs=0.03)
    assert not torch.equal(first, choice(torch.zeros(2000, 4, dtype=torch.long), logits).argmax(1))


def test_a_random_model_s_babble_never_passes(chat_model):
    narrator = make_narrator(NarrativeSettings("transformers", chat_model, batch=4, new_tokens=16))
    assert narrator.name == "model:tiny-writer"
    assert {one.source for one in narrate([Item(name, FACTS, "COPD") for name in "abcde"], narrator, 0)} == {
        "template, model refused"
    }


def test_a_model_without_chats_or_at_all_is_refused(tmp_path):
    with pytest.raises(UserError, match="no chat template"):
        make_narrator(NarrativeSettings("transformers", _chat_model(tmp_path / "base", None)))
    one_sided = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    with pytest.raises(UserError, match="takes no system message"):
        make_narrator(NarrativeSettings("transformers", _chat_model(tmp_path / "onesided", one_sided)))
    with pytest.raises(UserError, match="cannot be loaded"):
        make_narrator(NarrativeSettings("transformers", str(tmp_path / "nothing" / "here" / "at" / "all")))
    pickled = _chat_model(tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(UserError, match="safetensors"):
        make_narrator(NarrativeSettings("transformers", pickled))
