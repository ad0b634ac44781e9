import json

import pytest

from resp_agent.corpus.narrative import chat_endpoint
from resp_agent.corpus.narrative.facts import Facts
from resp_agent.corpus.narrative.narrators import EndpointNarrator, Item, make_narrator, narrate, prompt
from resp_agent.errors import RunFailed, UserError
from resp_agent.settings import NarrativeSettings
from tests.chats import chat_answer, chat_server

FACTS = Facts(63.0, "male", "trachea", ("cough", "fever"), ("reflux",), (("wheeze", 2),), 5, 11.3)
HONEST = "A 63-year-old man reports cough and fever. Two wheezes are heard at the trachea."
LEAKING = "A 63-year-old man with COPD reports cough."
SETTINGS = NarrativeSettings(writer="endpoint", model="someone/writer-7b", timeout_s=0.5, batch=4)
KEY = "sk-secret-key"


@pytest.fixture
def endpoint(monkeypatch):
    """Makes a narrator for a server's address, and lets it not wait between attempts."""
    monkeypatch.setattr(chat_endpoint, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def made(url: str) -> EndpointNarrator:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        return make_narrator(SETTINGS)

    return made


def test_an_endpoint_is_asked_as_documented(endpoint):
    with chat_server([chat_answer(HONEST)]) as (url, requests):
        [written] = narrate([Item("a", FACTS, "COPD")], endpoint(f"{url}/"), 0)
    assert (written.text, written.source) == (HONEST, "model:writer-7b")
    [(path, headers, body)] = requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["messages"] == prompt(FACTS)
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("someone/writer-7b", 0.7, 128)
    assert 0 <= body["seed"] < 2**31


def test_an_endpoint_that_leaks_is_asked_again_and_then_refused(endpoint):
    with chat_server([chat_answer(LEAKING)]) as (url, requests):
        written = narrate([Item(name, FACTS, "COPD") for name in "abcdef"], endpoint(url), 0)
    assert {one.source for one in written} == {"template, model refused"}
    assert len(requests) == 12
    assert not any("copd" in json.dumps(body).lower() for _, _, body in requests)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_endpoint_that_recovers_is_not_noticed(endpoint, status):
    with chat_server([(status, b"busy"), chat_answer(HONEST)]) as (url, requests):
        assert endpoint(url).write([prompt(FACTS)], [1]) == [HONEST]
    assert len(requests) == 2


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b"\xff"]
)
def test_an_answer_that_is_none_is_an_empty_text(endpoint, body):
    with chat_server([(200, body)]) as (url, _):
        assert endpoint(url).write([prompt(FACTS)], [1]) == [""]
        assert narrate([Item("a", FACTS, "COPD")], endpoint(url), 0)[0].source == "template, model refused"


@pytest.mark.parametrize(
    ("answer", "said", "attempts"),
    [
        ((500, b""), "status 500", 3),
        ((401, KEY.encode()), "status 401", 1),
        ((302, b""), "status 302", 1),
        (1.5, "within 0.5 s", 3),
    ],
)
def test_an_endpoint_that_fails_ends_the_run_without_telling_the_key(endpoint, answer, said, attempts):
    with chat_server([answer]) as (url, requests):
        with pytest.raises(RunFailed, match=said) as failed:
            endpoint(url).write([prompt(FACTS)], [1])
        assert len(requests) == attempts
    assert url in str(failed.value)
    assert KEY not in str(failed.value) + repr(failed.value.__cause__) + repr(failed.value.__context__)


def test_nobody_at_the_address_ends_the_run(endpoint):
    with chat_server([chat_answer(HONEST)]) as (url, _):
        narrator = endpoint(url)
    with pytest.raises(RunFailed, match="cannot be reached"):
        narrator.write([prompt(FACTS)], [1])


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("", "", "set OPENAI_BASE_URL"),
        ("file:///etc/passwd", "", "no plain http"),
        (f"http://user:{KEY}@localhost/v1", "", "no plain http"),
        ("http://localhost/v1", f"{KEY}\nx", "OPENAI_API_KEY has"),
    ],
)
def test_an_address_or_a_key_that_cannot_be_is_refused(monkeypatch, url, key, said):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UserError, match=said) as refused:
        make_narrator(SETTINGS)
    assert KEY not in str(refused.value)


def test_without_a_key_none_is_sent(endpoint, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with chat_server([chat_answer(HONEST)]) as (url, requests):
        assert endpoint(url).write([prompt(FACTS)], [1]) == [HONEST]
    assert "Authorization" not in requests[0][1]
