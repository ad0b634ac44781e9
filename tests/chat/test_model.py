import pytest
import torch

from resp_agent.chat import NoAnswer
from resp_agent.chat.model import ChatModel, _Choice
from resp_agent.weights import FOLDERS
from tests.chats import tiny_chat_model

CHAT = [{"role": "system", "content": "Say little."}, {"role": "user", "content": "hello"}]


def test_a_token_comes_as_often_as_it_is_likely():
    probabilities, seeds = torch.tensor([0.5, 0.0, 0.3, 0.2]), list(range(2000))
    choice = _Choice(seeds, 2, 1.0, width=3)
    ids, logits = torch.zeros(2000, 3, dtype=torch.long), probabilities.log().expand(2000, 4)
    first = choice(ids, logits).argmax(1)
    assert torch.bincount(first, minlength=4) / 2000 == pytest.approx(probabilities, abs=0.03)
    assert not torch.equal(first, choice(torch.zeros(2000, 4, dtype=torch.long), logits).argmax(1))


def test_a_model_is_found_by_its_name_among_the_weights(tmp_path, monkeypatch):
    folder = tiny_chat_model(tmp_path / "weights" / "someone" / "tiny")
    monkeypatch.setenv(FOLDERS, str(tmp_path / "weights"))
    by_name, by_folder = (ChatModel(name, new_tokens=8, temperature=0.0) for name in ("someone/tiny", folder))
    assert by_name.answer(CHAT, 1) == by_folder.answer(CHAT, 2)


def test_a_model_without_a_template_goes_on_from_plain_text(tmp_path):
    model = ChatModel(tiny_chat_model(tmp_path / "base", None), new_tokens=8, temperature=0.0)
    assert not model.takes_chats
    assert model.tokens(CHAT) == model._tokenizer("Say little.\n\nhello\n\n")["input_ids"]
    assert model.answer(CHAT, 1)


def test_a_chat_that_is_longer_than_the_model_reads_has_no_answer(tmp_path):
    model = ChatModel(tiny_chat_model(tmp_path / "tiny"), new_tokens=48, temperature=0.0)
    room = 2048 - 48 - len(model.tokens([{"role": "user", "content": ""}]))
    assert model.answer([{"role": "user", "content": "a" * room}], 0)
    with pytest.raises(NoAnswer, match="2048 tokens at most, not the 2049"):
        model.answer([{"role": "user", "content": "a" * (room + 1)}], 0)
