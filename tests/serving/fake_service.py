"""The service's HTTP interface with canned answers: what its page is tested against. Strict about content security."""

import base64
import io
import json
import threading
from contextlib import contextmanager, suppress
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import soundfile as sf
from matplotlib.figure import Figure

PAGE = files("actors.serving") / "page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
LABELS = {"control group": 120, "asthma": 60, "COPD": 24, "pneumonia": 8}
STYLES = {"Littmann 3200": 140, "phone <b>": None}
WORDS = ("A", "63-year-old", "man", "reports", "cough", "and", "fever.")
MODEL = {
    "name": "tiny diagnoser",
    "version": "0.1.0",
    "fingerprint": "d1a6" * 4,
    "generator_fingerprint": "9e4e" * 4,
    "trained": "On the embedded corpus, seed 0, 4 epochs.",
    "training_data": {"recordings": 212, "labels": LABELS, "styles": STYLES},
    "intended_use": "Research on respiratory sounds.",
    "limits": {"upload_bytes": 4_000_000, "seconds": 60, "count": 8},
    "needs_token": False,
    "can_synthesize": True,
}
RUN = {
    "run": "2030-01-02-ucb-0",
    "policy": "ucb",
    "generator": "flow",
    "seed": 0,
    "clips": 64,
    "test_macro_f1_before": 0.41,
    "test_macro_f1_after": 0.52,
    "test_macro_f1_ci95": [0.46, 0.58],
    "figures": ["rounds", "label_by_style"],
    "report": True,
}


def flac(seconds: float, hz: float) -> str:
    """A tone that swells, as FLAC in base64."""
    time = np.arange(round(seconds * 16000)) / 16000
    wave = 0.3 * np.sin(2 * np.pi * hz * time) * np.sin(np.pi * time / seconds) ** 2
    held = io.BytesIO()
    sf.write(held, wave + 0.01 * np.random.default_rng(0).standard_normal(len(time)), 16000, format="FLAC")
    return base64.b64encode(held.getvalue()).decode()


class FakeService:
    """What was asked, in order, and how to answer.

    Attributes:
        asked: (path, fields) of every POST; a file is (name, bytes).
        token: where set, other calls get 401.
        gate: cleared, a diagnosis waits for it.
    """

    def __init__(self):
        self.asked: list[tuple[str, dict]] = []
        self.token: str | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.address = ""

    def get(self, path: str, query: dict) -> tuple[int, object]:
        match path.split("/")[2:]:
            case ["model"]:
                return 200, MODEL
            case ["labels"]:
                return 200, {"labels": [{"label": name, "recordings": n} for name, n in LABELS.items()]}
            case ["styles"]:
                return 200, {"styles": [{"style": name, "recordings": n} for name, n in STYLES.items()]}
            case ["recording"] if query["label"] == ["pneumonia"]:
                return 404, {"detail": "Recordings of pneumonia are not shared.", "request_id": "r-404"}
            case ["recording"]:
                given = {"label": query["label"][0], "style": query.get("style", ["Littmann 3200"])[0]}
                events = [{"start_s": 1.0, "end_s": 1.6, "kind": "wheeze"}]
                sound = {"seconds": 4.0, "format": "flac", "audio": flac(4, 440), "events": events}
                return 200, {"kind": "simulated", **given, **sound}
            case ["runs"]:
                return 200, {"runs": [RUN]}
            case ["runs", _, "figures", _]:
                return 200, _figure()
        return 404, {"detail": "There is no such page.", "request_id": "r-0"}

    def post(self, path: str, fields: dict) -> tuple[int, object]:
        self.asked.append((path, fields))
        if path == "/v1/diagnose":
            self.gate.wait(30)
            return self._diagnose(fields)
        events = [
            {"start_s": 0.2, "end_s": 0.7, "kind": "coarse crackle"},
            {"start_s": 0.9, "end_s": 1.8, "kind": "wheeze"},
        ]
        sound = {"seconds": 3.0, "format": "flac", "audio": flac(3, 300), "events": events, "synthetic": True}
        named = {"label": fields["label"], "style": fields.get("style", "given"), "seed": 7}
        clips = [{"id": f"c{i}", "index": i, **named, **sound} for i in range(int(fields["count"]))]
        return 200, {"request_id": "r-2", "clips": clips, "fingerprint": MODEL["generator_fingerprint"]}

    def _diagnose(self, fields: dict) -> tuple[int, object]:
        name, audio = fields["file"]
        try:
            info = sf.info(io.BytesIO(audio))
        except sf.LibsndfileError:
            return 422, {"detail": f"{name} is not audio that can be read", "request_id": "r-3"}
        rows = zip(LABELS, (0.06, 0.61, 0.3, 0.03), strict=True)
        ordered = sorted(({"label": label, "probability": p} for label, p in rows), key=lambda row: -row["probability"])
        text = any(fields.get(name) for name in ("narrative", "age_years", "symptoms"))
        steps = np.arange(0, info.duration, 0.1)
        return 200, {
            "request_id": "r-1",
            "seconds": info.duration,
            "sample_rate_hz": info.samplerate,
            "label": "asthma",
            "confidence": 0.61,
            "probabilities": ordered,
            "narrative": " ".join(WORDS) if text else None,
            "relevance": {"start_s": 0.0, "step_s": 0.1, "values": [float(np.sin(s) ** 2) for s in steps]},
            "words": [{"word": word, "relevance": i / (len(WORDS) - 1)} for i, word in enumerate(WORDS)]
            if text
            else [],
            "warnings": ["The recording is quiet: −48 dBFS."],
            "fingerprint": MODEL["fingerprint"],
        }


def _figure() -> bytes:
    held = io.BytesIO()
    figure = Figure(figsize=(4, 2.5))
    figure.subplots().plot([0.41, 0.47, 0.52])
    figure.savefig(held, format="png")
    return held.getvalue()


@contextmanager
def serving(service: FakeService):
    """Serves it on a free port of this machine; `service.address` says which."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            if url.path == "/" or url.path.startswith("/static/"):
                name = url.path.removeprefix("/static/").strip("/") or "index.html"
                return self._send(200, PAGE.joinpath(name).read_bytes(), TYPES[name.rpartition(".")[2]])
            return self._answer(lambda: service.get(unquote(url.path), parse_qs(url.query)))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            fields = {}
            for part in BytesParser().parsebytes(head + body).get_payload():
                content = part.get_payload(decode=True)
                name = part.get_param("name", header="content-disposition")
                fields[name] = (part.get_filename(), content) if part.get_filename() else content.decode()
            self._answer(lambda: service.post(self.path, fields))

        def _answer(self, answer):
            if service.token and self.headers["Authorization"] != f"Bearer {service.token}":
                status, body = 401, {"detail": "A token is needed.", "request_id": "r-401"}
            else:
                status, body = answer()
            if isinstance(body, bytes):
                return self._send(status, body, "image/png")
            return self._send(status, json.dumps(body).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

        def handle(self):
            with suppress(ConnectionError):  # the browser cancelled
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    service.address = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
