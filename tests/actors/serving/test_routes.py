"""The HTTP interface on made-up models: forms, answers, refusals."""

import asyncio
import base64
import json
import tempfile

import pytest

from actors.serving.backend import Busy
from actors.serving.batches import Batches
from actors.serving.limits import Limits
from actors.serving.metrics import Metrics
from actors.serving.routes import build
from actors.serving.runs import RunFolder
from actors.serving.safety import Safety
from actors.serving.said import Said
from tests.actors.serving.asgi import ask

LIMITS = Limits(files=4, count=3, rate_per_s=1_000)
FOUND = {
    "seconds": 1.0,
    "sample_rate_hz": 8_000,
    "label": "asthma",
    "confidence": 0.75,
    "probabilities": [{"label": "asthma", "probability": 0.75}, {"label": "COPD", "probability": 0.25}],
    "narrative": None,
    "relevance": {"start_s": 0.0, "step_s": 0.04, "values": [0.0, 1.0]},
    "words": [],
    "warnings": [],
    "fingerprint": "f",
}


class MadeUp:
    """Answers at once, and remembers what it was asked. Uploads that begin with `no` are refused."""

    can_synthesize = True

    def __init__(self):
        self.asked, self.busy, self.answers = [], 0, True

    async def diagnose(self, data, said, explain):
        if self.busy:
            self.busy -= 1
            raise Busy("the service is busy: try again soon")
        self.asked.append((data, said, explain))
        return {"reason": "it is no audio"} if data.startswith(b"no") else FOUND

    async def decode(self, data):
        return {"reason": "it is no audio"} if data.startswith(b"no") else {"flac": data}

    async def synthesize(self, asked, coding):
        self.asked.append((asked, coding))
        clip = {"id": "c", "label": asked.label, "style": "s", "seed": asked.seed, "index": 0, "seconds": 1.0}
        clip |= {"format": coding, "audio": base64.b64encode(b"a").decode(), "events": []}
        return {"clips": [clip] * asked.count, "fingerprint": "g"}

    async def recording(self, label, style):
        return {"reason": "recordings of patients are not shared"}

    async def describe(self):
        data = {"recordings": 3, "labels": {"asthma": 3}, "styles": {"bell": 2, "phone": None}}
        return {"fingerprint": "f", "trained": "Here.", "training_data": data}

    async def ready(self):
        return self.answers


@pytest.fixture
def backend():
    return MadeUp()


@pytest.fixture
def app(backend, tmp_path):
    return application(backend, tmp_path)


def application(backend, folder=None):
    metrics = Metrics()
    batches = Batches(lambda data: backend.diagnose(data, Said(), False))
    routes = build(backend, batches, LIMITS, metrics, RunFolder(folder and str(folder)), needs_token=False)
    return Safety(routes, LIMITS, metrics)


def diagnose(data: bytes = b"audio", name: str = "upload.wav", **fields) -> tuple:
    return "POST", "/v1/diagnose", {"files": {"file": (name, data)}, "data": fields}


def test_a_diagnosis_is_what_the_diagnoser_found(app, backend):
    answer = ask(app, diagnose(age_years="63", sex="female", symptoms="cough; fever", history="", narrative=" "))[0]
    assert answer.status_code == 200
    told = answer.json()
    assert told.pop("request_id")
    assert told == FOUND
    assert backend.asked == [(b"audio", Said(None, 63.0, "female", None, ("cough", "fever"), ()), True)]


def test_nothing_of_an_upload_is_written_to_disk(app, backend, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("an upload was written to disk")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr("tempfile._TemporaryFile", refuse, raising=False)
    large = bytes(4 * 2**20)
    assert ask(app, diagnose(large))[0].status_code == 200
    assert backend.asked[0][0] == large


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"age_years": "Jane Doe"}, "age_years"),
        ({"age_years": "-1"}, "age_years"),
        ({"age_years": "nan"}, "age_years"),
        ({"sex": "Jane Doe" * 10}, "sex"),
        ({"narrative": "Jane Doe" * 1_000}, "narrative"),
        ({"explain": "Jane Doe"}, "explain"),
    ],
)
def test_a_field_that_cannot_be_used_is_named_and_not_repeated(app, fields, name):
    answer = ask(app, diagnose(name="Jane Doe.wav", **fields))[0]
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{name} cannot be used: ")
    assert "Jane" not in answer.text


@pytest.mark.parametrize(
    "options",
    [
        {"content": b"no form", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"--x\r\nno head", "headers": {"content-type": "multipart/form-data"}},
        {"content": b"{", "headers": {"content-type": "application/json"}},
        {"data": {"file": "no file"}},
        {"content": b""},
    ],
)
def test_a_malformed_form_is_refused_with_a_sentence(app, options):
    answer = ask(app, ("POST", "/v1/diagnose", options))[0]
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"detail", "request_id"}


def test_what_cannot_be_used_and_what_is_busy_say_so(app, backend):
    refused = ask(app, diagnose(b"no audio"))[0]
    assert (refused.status_code, refused.json()["detail"]) == (422, "it is no audio")
    backend.busy = 1
    busy, served = ask(app, diagnose(), diagnose())
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    assert served.status_code == 200


def test_clips_are_asked_for_by_style_or_by_reference(app, backend):
    path = "/v1/synthesize"
    named = {"data": {"label": "asthma", "style": "bell", "count": "2", "seed": "7", "format": "wav"}}
    heard = {"data": {"label": "asthma", "seconds": "2.5"}, "files": {"style_reference": ("x", b"audio")}}
    one, other = ask(app, ("POST", path, named), ("POST", path, heard))
    assert [clip["seed"] for clip in one.json()["clips"]] == [7, 7]
    assert all(clip["synthetic"] is True for clip in one.json()["clips"])
    assert other.status_code == 200
    (by_name, coding), (by_reference, _) = backend.asked
    assert (by_name.style, by_name.count, by_name.reference, coding) == ("bell", 2, None, "wav")
    assert (by_reference.style, by_reference.seconds, by_reference.reference) == (None, 2.5, b"audio")
    wrong = [{"label": "a"}, {"label": "a", "style": "b", "count": "4"}, {"label": "a", "style": "b", "seconds": "31"}]
    assert [one.status_code for one in ask(app, *(("POST", path, {"data": data}) for data in wrong))] == [422] * 3
    bad = {"data": {"label": "a"}, "files": {"style_reference": ("x", b"no audio")}}
    assert ask(app, ("POST", path, bad))[0].json()["detail"] == "it is no audio"


def test_without_a_generator_there_are_no_clips(app, backend):
    backend.can_synthesize = False
    answer = ask(app, ("POST", "/v1/synthesize", {"data": {"label": "a", "style": "b"}}))[0]
    assert answer.status_code == 404
    assert "--generator" in answer.json()["detail"]


def test_the_model_card_its_labels_and_its_styles(app):
    model, labels, styles, recording = (
        one.json()
        for one in ask(app, *(("GET", f"/v1/{p}", {}) for p in ("model", "labels", "styles", "recording?label=a")))
    )
    assert model["limits"] == {"upload_bytes": 10 * 2**20, "seconds": 60.0, "count": 3}
    assert (model["fingerprint"], model["generator_fingerprint"], model["needs_token"]) == ("f", None, False)
    assert "no medical advice" in model["intended_use"]
    assert labels == {"labels": [{"label": "asthma", "recordings": 3}]}
    assert styles == {"styles": [{"style": "bell", "recordings": 2}, {"style": "phone", "recordings": None}]}
    assert "not shared" in recording["detail"]


def test_a_batch_is_diagnosed_while_nobody_waits(backend, monkeypatch):
    monkeypatch.setattr("actors.serving.batches.RETRY_S", 0.001)
    backend.busy = 3

    async def rounds() -> dict:
        batches = Batches(lambda data: backend.diagnose(data, Said(), False))
        name = batches.begin([b"one", b"no audio", b"three"])
        assert batches.look(name)["state"] == "running"
        while batches.running:
            await asyncio.sleep(0.001)
        return batches.look(name)

    found = asyncio.run(rounds())
    assert (found["state"], found["done"], found["total"]) == ("done", 3, 3)
    assert [one["name"] for one in found["results"]] == ["0", "1", "2"]
    assert [one.get("label") for one in found["results"]] == ["asthma", None, "asthma"]
    assert found["results"][1]["error"] == "it is no audio"


def test_a_batch_is_bounded_and_an_unknown_one_is_said_to_be(app):
    files = [("files", (f"{number}", b"a")) for number in range(5)]
    assert ask(app, ("POST", "/v1/batch", {"files": files}))[0].status_code == 422
    begun = ask(app, ("POST", "/v1/batch", {"files": files[:4]}))[0]
    assert begun.status_code == 202
    assert ask(app, ("GET", "/v1/batch/nothing", {}))[0].status_code == 404


def test_no_more_batches_run_than_may(backend):
    async def begin() -> None:
        batches = Batches(lambda data: asyncio.sleep(1), most_running=2)
        for _ in range(3):
            batches.begin([b"a"])

    with pytest.raises(Busy, match="as many batches"):
        asyncio.run(begin())


def test_runs_their_figures_and_reports(app, tmp_path):
    run = tmp_path / "20260101-weakness-0"
    (run / "figures").mkdir(parents=True)
    (run / "figures" / "f1.png").write_bytes(b"\x89PNG")
    (run / "report.html").write_text("<p>report")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (run / "summary.json").write_text(json.dumps({"policy": "weakness", "seed": 0, "clips": 12, "other": 1}))
    listed, figure, report = ask(
        app,
        ("GET", "/v1/runs", {}),
        ("GET", f"/v1/runs/{run.name}/figures/f1.png", {}),
        ("GET", f"/v1/runs/{run.name}/report", {}),
    )
    (row,) = listed.json()["runs"]
    assert (row["run"], row["policy"], row["figures"], row["report"]) == (run.name, "weakness", ["f1"], True)
    assert row["test_macro_f1_before"] is None
    assert figure.content == b"\x89PNG"
    assert report.text == "<p>report"
    assert "script-src" not in report.headers["content-security-policy"]
    ways = ("../secret", "..%2f..%2fsecret", "%2e%2e/%2e%2e/secret", "f2")
    for way in ways:
        assert ask(app, ("GET", f"/v1/runs/{run.name}/figures/{way}.png", {}))[0].status_code == 404
    assert ask(app, ("GET", "/v1/runs/../report", {}), ("GET", "/v1/runs/%2e%2e/report", {}))[1].status_code == 404


def test_health_is_of_the_process_and_readiness_of_the_model(app, backend):
    backend.answers = False
    alive, ready = ask(app, ("GET", "/healthz", {}), ("GET", "/readyz", {}))
    assert (alive.status_code, ready.status_code) == (200, 503)
    backend.answers = True
    assert ask(app, ("GET", "/readyz", {}))[0].json() == {"status": "ok"}


def test_requests_are_counted_by_route(app):
    ask(app, diagnose(), ("GET", "/v1/batch/Jane", {}))
    told = ask(app, ("GET", "/metrics", {}))[0].text
    assert 'resp_agent_requests_total{route="/v1/diagnose",status="200"} 1.0' in told
    assert 'route="/v1/batch/{job}",status="404"' in told
    assert "Jane" not in told


def test_what_it_is_asked_and_answers_is_described(app):
    described = ask(app, ("GET", "/openapi.json", {}))[0].json()
    operations = {
        (method, path): operation
        for path, methods in described["paths"].items()
        if path.startswith("/v1")
        for method, operation in methods.items()
    }
    assert ("post", "/v1/diagnose") in operations
    for operation in operations.values():
        assert operation["description"]
        assert {"401", "429"} <= set(operation["responses"])
    problem = described["paths"]["/v1/diagnose"]["post"]["responses"]["422"]["content"]["application/json"]["schema"]
    assert problem["$ref"].endswith("/Problem")
