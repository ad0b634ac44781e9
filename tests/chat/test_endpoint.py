import json
import time

import pytest

from resp_agent.chat import NoAnswer
from resp_agent.chat.endpoint import LARGEST_ANSWER, ChatEndpoint
from resp_agent.errors import UserError
from tests.chats import chat_answer, chat_server, endless

CHAT = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def endpoint(url: str, timeout_s: float = 5.0) -> ChatEndpoint:
    return ChatEndpoint(url, "a/model", named="the endpoint", timeout_s=timeout_s, temperature=0.0, new_tokens=9)


def test_the_body_holds_the_chat_and_the_settings_and_no_more():
    with chat_server([chat_answer("hi")]) as (url, requests):
        assert endpoint(url).answer(CHAT, 2**40 + 3) == "hi"
    [(path, headers, body)] = requests
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers
    assert body == {"model": "a/model", "messages": CHAT, "temperature": 0.0, "max_tokens": 9, "seed": 3}


def test_the_largest_answer_is_read_and_no_larger_one():
    frame = len(chat_answer("")[1])
    with chat_server(
        [chat_answer("a" * (LARGEST_ANSWER - frame)), chat_answer("a" * (LARGEST_ANSWER - frame + 1))]
    ) as (
        url,
        _,
    ):
        assert len(endpoint(url).answer(CHAT, 0)) == LARGEST_ANSWER - frame
        assert endpoint(url).answer(CHAT, 0) == ""


def test_an_answer_without_end_is_cut_off():
    with chat_server([endless(b"x" * 4096)]) as (url, requests):
        assert endpoint(url).answer(CHAT, 0) == ""
    assert len(requests) == 1


@pytest.mark.parametrize("head", [True, False])
def test_an_answer_that_drips_takes_no_longer_than_one_that_does_not_come(head):
    def drip(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n" if head else b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(60):
            handler.wfile.write(b"a")
            time.sleep(0.05)

    with chat_server([drip]) as (url, _):
        began = time.monotonic()
        with pytest.raises(NoAnswer, match=r"does not answer within 0.3 s"):
            endpoint(url, timeout_s=0.3).answer(CHAT, 0)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "base",
    ["", "localhost:8000", "ftp://host/v1", "http://", "http://a:b@host/v1", "http://host/v1?key=1", "http://h:99999/v1",
     "http://host/v1#x", "http://[::1/v1", "http://ho st/v1", "http://host/\nv1"],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused_and_not_repeated(base):
    with pytest.raises(UserError, match="the endpoint is no plain http or https address") as refused:
        endpoint(base)
    assert "a:b" not in str(refused.value)


def test_a_name_that_no_host_can_have_cannot_be_reached():
    with pytest.raises(NoAnswer, match="cannot be reached"):
        endpoint(f"http://{'a' * 70}.invalid/v1").answer(CHAT, 0)


def test_a_body_nested_without_end_is_an_empty_text():
    with chat_server([(200, b"[" * 100_000), (200, json.dumps([[]]).encode())]) as (url, _):
        assert [endpoint(url).answer(CHAT, 0) for _ in range(2)] == ["", ""]
