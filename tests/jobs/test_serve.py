"""`serve`: the real application, tried as its users and its enemies would; and what is refused before it starts."""

import io
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import schemathesis
import soundfile
from selenium.webdriver.common.keys import Keys

from jobs.console import Console
from jobs.diagnose import main as diagnose
from jobs.first_training import first_training
from jobs.serve import main
from resp_agent.settings import smoke
from tests.actors.serving.fuzz import fuzz
from tests.audio.waves import hostile, noise
from tests.jobs.runs import _wait
from tests.jobs.served import Serving
from tests.serving.browsing import Page, open_browser

TOKEN = "a token of no use elsewhere"
NAME = "Xanthippe Quisenberry"
"""Planted where a patient's name may be."""


def wav(name: object, duration_s: float = 1.5) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(name, duration_s, 8_000), 8_000, format="WAV")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    flags = ("--preset", "smoke", "--rate-per-s", "1000", "--upload-mib", "1", "--most-diagnosers", "1")
    serving = Serving(folder, *flags, token=TOKEN)
    yield serving
    serving.kill()


def ask(service: Serving, data: bytes, name: str = "a.wav", **fields):
    return service.client.post("/v1/diagnose", files={"file": (name, data)}, data=fields)


def shares(answer) -> dict[str, float]:
    return {one["label"]: one["probability"] for one in answer.json()["probabilities"]}


@pytest.mark.ray
@pytest.mark.slow
class TestService:
    def test_without_a_run_it_trains_first_and_says_so(self, service):
        assert "a first training of 'smoke' on simulated sounds begins" in service.text
        assert service.client.get("/v1/model").json()["can_synthesize"] is True

    def test_alone_or_batched_the_numbers_are_those_of_diagnose(self, service, tmp_path, capsys):
        uploads = [wav(number, 1.0 + number / 4) for number in range(8)]
        files = []
        for number, data in enumerate(uploads):
            files.append(tmp_path / f"{number}.wav")
            files[-1].write_bytes(data)
        model = str(next((service.said.parent / "runs" / "first-smoke" / "first").glob("diagnoser-*")))
        assert diagnose([*map(str, files), "--model", model, "--json", str(tmp_path / "found.json")]) == 0
        expected = [one["probabilities"] for one in json.loads((tmp_path / "found.json").read_text())["files"]]
        with ThreadPoolExecutor(8) as pool:
            batched = list(pool.map(lambda data: ask(service, data), uploads))
        for alone, beside, wanted in zip((ask(service, data) for data in uploads), batched, expected, strict=True):
            assert shares(alone) == pytest.approx(wanted, abs=1e-5)
            assert shares(beside) == pytest.approx(wanted, abs=1e-5)

    def test_clips_are_made(self, service):
        asked = {"label": "asthma", "style": "smartphone", "count": "2", "seed": "3"}
        one, again = (service.client.post("/v1/synthesize", data=asked).json()["clips"] for _ in range(2))
        assert one == again
        assert [clip["index"] for clip in one] == [0, 1]

    def test_without_the_token_there_is_no_answer(self, service):
        for headers in ({"authorization": ""}, {"authorization": "Bearer other"}):
            assert service.client.get("/v1/labels", headers=headers).status_code == 401
        assert service.client.get("/healthz", headers={"authorization": ""}).status_code == 200

    def test_hostile_uploads_are_refused_and_no_worker_is_lost(self, service, tmp_path):
        before = service.replicas("DiagnoserReplica")
        assert before
        for path, _ in hostile(tmp_path / "hostile").values():
            if path.is_file() and path.stat().st_size < 900_000:
                began = time.monotonic()
                answer = ask(service, path.read_bytes())
                assert 400 <= answer.status_code < 500
                assert answer.json()["detail"]
                assert time.monotonic() - began < 5
        assert service.replicas("DiagnoserReplica") == before
        assert ask(service, wav("after")).status_code == 200

    def test_drawn_requests_are_answered_as_described_and_no_worker_is_lost(self, service):
        before = service.replicas("")
        description = schemathesis.openapi.from_url(f"{service.client.base_url}/openapi.json")
        found = fuzz(description, 8, headers={"authorization": f"Bearer {TOKEN}"})
        assert found["POST /v1/synthesize", False]
        assert service.replicas("") == before

    @pytest.mark.browser
    def test_in_a_browser_a_real_recording_is_diagnosed_and_clips_are_made_and_played(self, service, shared, tmp_path):
        pictures = Path(os.environ.get("PAGE_PICTURES", tmp_path))
        pictures.mkdir(parents=True, exist_ok=True)
        recording = sorted((shared / "corpora/sprsound").rglob("*.wav"))[0]
        driver = open_browser()
        try:
            page = Page(driver, f"{str(service.client.base_url).rstrip('/')}/", pictures)
            page.media()
            driver.get(page.address)
            page.until(lambda: page.find("#token-dialog").is_displayed())
            page.find("#token").send_keys(TOKEN + Keys.ENTER)
            page.until(lambda: page.js("return document.querySelectorAll('#label option').length"))
            page.find("#file").send_keys(str(recording))
            page.js("document.querySelector('#diagnose details').open = true")
            page.find("#symptoms").send_keys("cough; fever")
            page.find("#diagnose-form [type=submit]").click()
            page.until_text("#diagnosis", "calibrated")
            told = ask(service, recording.read_bytes(), symptoms="cough; fever").json()
            assert f"{told['label']} {100 * told['confidence']:.1f} %" in " ".join(page.text(".probabilities").split())
            page.check("service-diagnosis")

            page.js("location.hash = '#synthesize'")
            page.until(lambda: page.find("#synthesize-form").is_displayed())
            page.find("#synthesize-form [type=submit]").click()
            page.until(lambda: page.js("return document.querySelectorAll('#clips audio').length"))
            page.js("return document.querySelector('#clips audio').play()")
            page.until(lambda: page.js("return document.querySelector('#clips audio').currentTime") > 0.2)
            page.check("service-clips")
            # Before the token was given, what asked without it was refused.
            assert all("401" in line for line in page.console())
        finally:
            driver.quit()

    @pytest.mark.parametrize("length", [True, False])
    def test_one_byte_too_many_is_refused_while_the_rest_is_not_sent(self, service, length):
        most = service.client.get("/v1/model").json()["limits"]["upload_bytes"]
        url = service.client.base_url
        head = f"POST /v1/diagnose HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        head += "Content-Type: multipart/form-data; boundary=x\r\n"
        head += f"Content-Length: {most + 1}\r\n\r\n" if length else "Transfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection((url.host, url.port), timeout=20) as connection:
            connection.sendall(head.encode())
            if not length:
                # The chunk claims more than comes.
                connection.sendall(f"{10 * most:x}\r\n".encode() + bytes(most + 1))
            assert b" 413 " in connection.recv(64)

    def test_a_name_is_found_nowhere_afterwards(self, service):
        fields = {"sex": NAME[:20], "site": NAME, "symptoms": NAME, "history": NAME}
        answers = [
            ask(service, wav("planted"), f"{NAME}.wav", **fields),
            ask(service, wav("planted"), f"{NAME}.wav", narrative=NAME),
            ask(service, b"no audio", f"{NAME}.wav", **fields),
            ask(service, wav("planted"), f"{NAME}.wav", age_years=NAME),
            service.client.post("/v1/synthesize", data={"label": NAME, "style": NAME}),
            service.client.post("/v1/batch", files=[("files", (f"{NAME}.wav", b"no audio"))]),
        ]
        time.sleep(1)
        answers += [
            service.client.get(f"/v1/batch/{answers[-1].json()['job']}"),
            service.client.get("/metrics"),
        ]
        assert [one.status_code for one in answers] == [200, 200, 422, 422, 422, 202, 200, 200]
        # The text that was read is told to who sent it, and to nobody else.
        assert all("Xanthippe" in one.json()["narrative"] for one in answers[:2])
        assert not any("Xanthippe" in one.text for one in answers[2:])
        names = [path for path in service.session.rglob("*") if path.is_file() and not path.is_socket()]
        assert any("serve" in str(path) for path in names)
        holding = [path for path in names if b"Xanthippe" in path.read_bytes()]
        assert holding == []
        assert "Xanthippe" not in service.text

    def test_when_a_replica_is_killed_only_what_it_worked_on_fails_and_a_retry_succeeds(self, service):
        over, statuses = threading.Event(), []

        def keep_asking(number: int) -> None:
            while not over.is_set():
                statuses.append(ask(service, wav(number)).status_code)

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(keep_asking, number) for number in range(4)]
            time.sleep(1)
            (struck,) = service.replicas("DiagnoserReplica")
            os.kill(struck, signal.SIGKILL)
            time.sleep(1)
            try:
                service.until_ready()
            finally:
                over.set()
            for one in asking:
                one.result(timeout=60)
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) > 4
        assert statuses.count(503) <= 4
        assert ask(service, wav(0)).status_code == 200

    def test_a_new_model_takes_the_place_of_the_old_one_without_losing_a_request(self, service):
        over, statuses = threading.Event(), []
        before = service.client.get("/v1/model").json()
        first_training(service.said.parent / "runs" / "later", replace(smoke(), seed=1), Console())

        def keep_asking(number: int) -> None:
            while not over.is_set():
                statuses.append(ask(service, wav(number), explain="false").status_code)

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(keep_asking, number) for number in range(4)]
            try:
                service.process.send_signal(signal.SIGHUP)
                assert _wait(lambda: "serving Trained" in service.text.partition("told to look again")[2], 120)
            finally:
                over.set()
            for one in asking:
                one.result(timeout=60)
        assert set(statuses) == {200}
        after = service.client.get("/v1/model").json()
        assert after["fingerprint"] != before["fingerprint"]
        assert "later" in after["trained"]

    def test_told_to_stop_it_finishes_what_has_begun_and_leaves_no_process(self, service):
        with ThreadPoolExecutor(1) as pool:
            begun = pool.submit(ask, service, wav("long", 20.0))
            time.sleep(0.1)
            assert service.terminate() == 0
            assert begun.result().status_code == 200
        assert "requests that have begun are finished" in service.text


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--host", "0.0.0.0"], "RESP_AGENT_TOKEN"),
        (["--host", "192.0.2.1"], "RESP_AGENT_TOKEN"),
        (["--port", "70000"], "port 70000"),
        (["--run", "nothing"], "holds no run"),
        (["--diagnoser", "nothing"], "holds no diagnoser"),
        (["--upload-mib", "0"], "--upload-mib"),
        (["--diagnosers", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_sentence(flags, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESP_AGENT_TOKEN", raising=False)
    assert main(flags) == 2
    assert word in capsys.readouterr().err
