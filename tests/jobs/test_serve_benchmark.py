"""`benchmark serve`: what it makes of what was answered; a service under load is for `test_serve`."""

import pytest

from jobs.benchmarks.serve import ServeBenchmark, _model, _uploads, summary
from resp_agent.errors import UserError


def test_only_what_was_answered_counts():
    found = summary([200, 503, 200, 429], [1.0, 0.01, 3.0, 0.01], 4.0)
    assert found["statuses"] == {"200": 2, "429": 1, "503": 1}
    assert found["answers_per_s"] == 0.5
    assert found["latency_s"]["50"] == 2.0
    assert found["longest_s"] == 3.0
    assert summary([503], [0.1], 1.0)["longest_s"] is None


def test_uploads_are_as_long_as_asked_and_the_same_every_time():
    uploads = _uploads(0.5)
    assert uploads == _uploads(0.5)
    assert len(set(uploads)) == len(uploads)
    assert {len(one) for one in uploads} == {44 + 16_000}


def test_the_model_alone_is_measured_both_ways(trained, monkeypatch):
    monkeypatch.setattr("jobs.benchmarks.serve.MODEL_S", 0.1)
    found = _model(trained / "model", ServeBenchmark(batch=4, seconds=1.0))
    assert found["ratio"] == found["batched_per_s"] / found["single_per_s"] > 0


def test_no_requests_are_refused():
    with pytest.raises(UserError, match="at least 1"):
        ServeBenchmark(requests=0)
