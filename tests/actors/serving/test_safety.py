"""What is refused before the application sees it, and what is never told."""

import asyncio
import logging

import pytest

from actors.serving.limits import Limits
from actors.serving.metrics import Metrics
from actors.serving.safety import Safety, token_digest
from tests.actors.serving.asgi import ask, echo, spoken

LIMITS = Limits(upload_mib=1 / 1024, files=16)
MOST = 1024
PATH = "/v1/diagnose"


def protected(app=echo, limits: Limits = LIMITS, **options) -> Safety:
    return Safety(app, limits, Metrics(), **options)


def status(messages: list[dict]) -> int:
    return messages[0]["status"]


def test_a_body_of_the_limit_passes_and_one_byte_more_does_not():
    fits, over = ask(
        protected(), ("POST", PATH, {"content": bytes(MOST)}), ("POST", PATH, {"content": bytes(MOST + 1)})
    )
    assert (fits.status_code, fits.text) == (200, str(MOST))
    assert over.status_code == 413
    assert set(over.json()) == {"detail", "request_id"}


def test_a_batch_may_be_larger():
    assert ask(protected(), ("POST", "/v1/batch", {"content": bytes(4 * MOST)}))[0].status_code == 200
    assert ask(protected(), ("POST", "/v1/batch", {"content": bytes(4 * MOST + 1)}))[0].status_code == 413


def test_with_a_length_nothing_of_a_large_body_is_read():
    head = [(b"content-length", str(MOST + 1).encode())]
    sent, taken = asyncio.run(spoken(protected(), {"headers": head}, []))
    assert (status(sent), taken) == (413, 0)


def test_without_a_length_no_more_is_read_than_shows_that_it_is_too_large():
    messages = [{"type": "http.request", "body": bytes(600), "more_body": True} for _ in range(10)]
    sent, taken = asyncio.run(spoken(protected(), {}, messages))
    assert (status(sent), taken) == (413, 2)


@pytest.mark.parametrize("length", [b"-1", b"many", b"1e3", b"\xff"])
def test_a_length_that_is_no_number_is_refused(length):
    sent, _ = asyncio.run(spoken(protected(), {"headers": [(b"content-length", length)]}, []))
    assert status(sent) == 400


def test_an_upload_that_does_not_arrive_is_given_up():
    slow = protected(limits=Limits(upload_s=0.05))
    sent, _ = asyncio.run(spoken(slow, {}, [{"type": "http.request", "body": b"a", "more_body": True}]))
    assert status(sent) == 408


def test_only_so_many_bodies_are_held_at_once():
    async def slow(scope, receive, send):
        await asyncio.sleep(0.1)
        await echo(scope, receive, send)

    answers = ask(protected(slow, Limits(at_once=2)), *[("POST", PATH, {"content": b"a"})] * 5, at_once=True)
    assert sorted(one.status_code for one in answers) == [200, 200, 503, 503, 503]
    assert all(one.headers["retry-after"] for one in answers if one.status_code == 503)


def test_a_client_may_ask_at_its_rate_and_a_burst_of_twice_that():
    safety = protected(limits=Limits(rate_per_s=5))
    answers = [one.status_code for one in ask(safety, *[("GET", "/v1/labels", {})] * 15)]
    assert answers[:10] == [200] * 10
    assert set(answers[11:]) == {429}
    assert ask(safety, ("GET", "/healthz", {}))[0].status_code == 200


def test_a_token_is_needed_where_there_is_one():
    safety = protected(digest=token_digest("secret"))
    asked = [
        {},
        *({"headers": {"authorization": word}} for word in ("Bearer secre", "Basic secret", "secret", "Bearer ")),
    ]
    refused = ask(safety, *(("GET", "/v1/labels", options) for options in asked))
    assert [one.status_code for one in refused] == [401] * 5
    assert refused[0].headers["www-authenticate"] == "Bearer"
    right = {"headers": {"authorization": "bearer secret"}}
    assert [one.status_code for one in ask(safety, ("GET", "/v1/labels", right), ("GET", "/", {}))] == [200, 200]


def test_a_body_is_not_read_from_who_has_no_token():
    safety = protected(digest=token_digest("secret"))
    sent, taken = asyncio.run(spoken(safety, {}, [{"type": "http.request", "body": b"a", "more_body": False}]))
    assert (status(sent), taken) == (401, 0)


def test_other_pages_and_other_names_are_refused():
    safety = protected(hosts=("127.0.0.1",), origins=("https://friend.example",))

    def of(origin: str) -> tuple:
        return "POST", PATH, {"content": b"a", "headers": {"origin": origin}}

    own, friend, other, null = ask(
        safety, of("http://127.0.0.1:8000"), of("https://friend.example"), of("https://evil.example"), of("null")
    )
    assert [one.status_code for one in (own, friend, other, null)] == [200, 200, 403, 403]
    rebound = ask(safety, ("GET", "/v1/labels", {"headers": {"host": "evil.example"}}))[0]
    assert rebound.status_code == 421


def test_every_answer_has_the_headers_that_keep_a_page_safe():
    for one in ask(protected(), ("GET", "/", {}), ("POST", PATH, {"content": bytes(MOST + 1)})):
        policy = one.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert one.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in one.headers


def test_what_an_exception_says_is_told_to_nobody(caplog):
    async def fails(scope, receive, send):
        raise ValueError("Jane Doe cannot be encoded")

    safety = protected(fails)
    with caplog.at_level(logging.DEBUG):
        answer = ask(safety, ("POST", PATH, {"content": b"a"}))[0]
    assert answer.status_code == 500
    assert "ValueError" in caplog.text
    assert answer.json()["request_id"] in caplog.text
    assert "Jane" not in caplog.text + answer.text


def test_what_stops_turns_new_requests_away():
    safety = protected()
    safety.draining = True
    answers = ask(safety, ("GET", "/v1/labels", {}), ("GET", "/readyz", {}), ("GET", "/healthz", {}))
    assert [one.status_code for one in answers] == [503, 503, 200]
    assert safety.open == 0


def test_requests_are_counted_by_route_and_never_by_path():
    metrics = Metrics()
    ask(Safety(echo, LIMITS, metrics), ("GET", "/v1/Jane", {}), ("POST", PATH, {"content": bytes(MOST + 1)}))
    told = metrics.text().decode()
    assert 'resp_agent_requests_total{route="other",status="200"} 1.0' in told
    assert 'resp_agent_requests_total{route="other",status="413"} 1.0' in told
    assert "Jane" not in told
