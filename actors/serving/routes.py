"""The HTTP interface: paths, forms and answers. What it means is in `backend`; what is refused before, in `safety`."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from fastapi import FastAPI, File, Form, HTTPException, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.formparsers import MultiPartParser

from actors.serving import schema
from actors.serving.backend import Backend, Busy
from actors.serving.batches import Batches
from actors.serving.generator import Asked
from actors.serving.limits import Limits
from actors.serving.metrics import Metrics
from actors.serving.runs import RunFolder
from actors.serving.said import Said, parts
from resp_agent import __version__

NAME = "Resp-Agent"
INTENDED_USE = "Research on respiratory sounds. Not a medical device: what it says is no medical advice."
PAGE = Path(__file__).parent / "page"
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; frame-ancestors 'self'"
"""Of a run's report, which is one file with everything in it."""
_REFUSALS = {
    400: "It is malformed.",
    401: "A token is needed.",
    404: "There is nothing of that name.",
    408: "The upload took too long.",
    413: "It is too large.",
    422: "It cannot be used; the sentence says why.",
    429: "Too many requests.",
    503: "Busy: try again after `Retry-After`.",
}
_PROBLEMS = {status: {"model": schema.Problem, "description": told} for status, told in _REFUSALS.items()}
# A form is parsed once its size is known to be small: no part of it may be spooled to disk.
MultiPartParser.spool_max_size = 2**62

Words = Annotated[str | None, Form(max_length=500)]
Seed = Annotated[int | None, Form(ge=0, le=2**53 - 1, description="The same seed gives the same clips.")]


def build(
    backend: Backend, batches: Batches, limits: Limits, metrics: Metrics, runs: RunFolder, needs_token: bool
) -> FastAPI:
    """The application, without what protects it (`Safety`)."""
    app = FastAPI(title=NAME, version=__version__, description=INTENDED_USE, docs_url=None, redoc_url=None)
    _tell_problems(app)
    _add_models(app, backend, limits, needs_token)
    _add_work(app, backend, batches, limits)
    _add_runs(app, runs)
    _add_operation(app, backend, metrics)
    _add_page(app)
    return app


def _tell_problems(app: FastAPI) -> None:
    def answer(request: Request, status: int, sentence: str, headers=None) -> JSONResponse:
        told = {"detail": sentence, "request_id": _id(request)}
        return JSONResponse(told, status, headers)

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, problem: StarletteHTTPException):
        return answer(request, problem.status_code, str(problem.detail), problem.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, problem: RequestValidationError):
        # Where and why, never what was sent.
        first = problem.errors()[0]
        where = " ".join(str(part) for part in first["loc"][1:]) or "the request"
        return answer(request, 422, f"{where} cannot be used: {_reason(first)}")

    @app.exception_handler(Busy)
    async def busy(request: Request, problem: Busy):
        return answer(request, 503, problem.sentence, {"Retry-After": str(problem.retry_after_s)})


def _reason(error: dict) -> str:
    """Pydantic's words, which for some kinds quote the value."""
    quotes = error["type"] in ("value_error", "assertion_error", "json_invalid")
    return "it is malformed" if quotes else error["msg"][:1].lower() + error["msg"][1:]


def _add_models(app: FastAPI, backend: Backend, limits: Limits, needs_token: bool) -> None:
    @app.get("/v1/model", responses=_only(401, 429, 503))
    async def model() -> schema.Model:
        """The model card: what answers, what it learned from, and what it is for."""
        return schema.Model(
            **{"generator_fingerprint": None, **await backend.describe()},
            name=NAME,
            version=__version__,
            intended_use=INTENDED_USE,
            limits={"upload_bytes": limits.upload_bytes, "seconds": limits.seconds, "count": limits.count},
            needs_token=needs_token,
            can_synthesize=backend.can_synthesize,
        )

    @app.get("/v1/labels", responses=_only(401, 429, 503))
    async def labels() -> schema.Labels:
        """Labels that the diagnoser tells apart, with how many recordings it learned each from."""
        held = (await backend.describe())["training_data"]["labels"]
        return schema.Labels(labels=[{"label": name, "recordings": count} for name, count in held.items()])

    @app.get("/v1/styles", responses=_only(401, 429, 503))
    async def styles() -> schema.Styles:
        """Styles of the training split: how recordings sound."""
        held = (await backend.describe())["training_data"]["styles"]
        return schema.Styles(styles=[{"style": name, "recordings": count} for name, count in held.items()])

    @app.get("/v1/recording", responses=_only(401, 404, 422, 429, 503))
    async def recording(
        label: Annotated[str, Query(max_length=200)], style: Annotated[str | None, Query(max_length=200)] = None
    ) -> schema.Heard:
        """A training recording of a label, to be heard beside a clip; in the style where there is one."""
        found = await backend.recording(label, style)
        if "reason" in found:
            raise HTTPException(404, found["reason"])
        return schema.Heard(**found)


def _add_work(app: FastAPI, backend: Backend, batches: Batches, limits: Limits) -> None:
    @app.post("/v1/diagnose", responses=_PROBLEMS)
    async def diagnose(
        request: Request,
        file: Annotated[UploadFile, File(description="Audio of any format.")],
        narrative: Annotated[str | None, Form(max_length=4_000)] = None,
        age_years: Annotated[float | None, Form(ge=0, le=130, allow_inf_nan=False)] = None,
        sex: Annotated[str | None, Form(max_length=20)] = None,
        site: Words = None,
        symptoms: Annotated[str | None, Form(max_length=1_000, description='As in "cough; fever".')] = None,
        history: Annotated[str | None, Form(max_length=1_000)] = None,
        explain: Annotated[bool, Form(description="Whether to say where the diagnosis comes from.")] = True,
    ) -> schema.Diagnosis:
        """Probabilities of every label, and where in audio and text the likeliest comes from."""
        said = Said(
            (narrative or "").strip() or None,
            age_years,
            (sex or "").strip() or None,
            (site or "").strip() or None,
            parts(symptoms),
            parts(history),
        )
        found = _usable(await backend.diagnose(await file.read(), said, explain))
        return schema.Diagnosis(request_id=_id(request), **found)

    @app.post("/v1/synthesize", responses=_PROBLEMS)
    async def synthesize(
        request: Request,
        label: Annotated[str, Form(min_length=1, max_length=200)],
        style: Annotated[str | None, Form(max_length=200)] = None,
        style_reference: Annotated[UploadFile | None, File(description="Audio in whose style clips are made.")] = None,
        count: Annotated[int, Form(ge=1, le=limits.count)] = 1,
        seconds: Annotated[float | None, Form(ge=0.5, le=30)] = None,
        seed: Seed = None,
        format: Annotated[Literal["flac", "wav"], Form()] = "flac",
    ) -> schema.Synthesis:
        """Clips of a label, in a named style or in that of a recording."""
        if not backend.can_synthesize:
            raise HTTPException(404, "this service has no generator: start it with --generator or with a run's folder")
        if (style is None) == (style_reference is None):
            raise HTTPException(422, "a clip has one style: give either style or style_reference")
        reference = None
        if style_reference is not None:
            reference = _usable(await backend.decode(await style_reference.read()))["flac"]
        seed = secrets.randbelow(2**32) if seed is None else seed
        asked = Asked(label, style, count, seed, seconds, reference)
        return schema.Synthesis(request_id=_id(request), **_usable(await backend.synthesize(asked, format)))

    @app.post("/v1/batch", status_code=202, responses=_PROBLEMS)
    async def batch(files: Annotated[Sequence[UploadFile], File(description="Audio files.")]) -> schema.Job:
        """Begins to diagnose several recordings; they are named by their index, and kept nowhere."""
        if not 1 <= len(files) <= limits.files:
            raise HTTPException(422, f"a batch has 1 to {limits.files} files, this one {len(files)}")
        return schema.Job(job=batches.begin([await one.read() for one in files]))

    @app.get("/v1/batch/{job}", responses=_only(401, 404, 429))
    async def look(job: str) -> schema.Batch:
        """How far a batch is, and what was found. Results are kept for an hour."""
        found = batches.look(job)
        if found is None:
            raise HTTPException(404, "there is no such batch: results are kept for an hour")
        return schema.Batch(**found)


def _add_runs(app: FastAPI, runs: RunFolder) -> None:
    @app.get("/v1/runs", responses=_only(401, 429))
    def all_runs() -> schema.Runs:
        """Complete runs of the folder that the service was started with."""
        return schema.Runs(runs=runs.all())

    @app.get("/v1/runs/{run}/figures/{name}.png", response_class=FileResponse, responses=_only(401, 404, 429))
    def figure(run: str, name: str) -> FileResponse:
        """A figure of a run."""
        return FileResponse(_there(runs.figure(run, name)), media_type="image/png")

    @app.get("/v1/runs/{run}/report", response_class=FileResponse, responses=_only(401, 404, 429))
    def report(run: str) -> FileResponse:
        """The report of a run."""
        headers = {"content-security-policy": REPORT_POLICY, "x-frame-options": "SAMEORIGIN"}
        return FileResponse(_there(runs.report(run)), media_type="text/html", headers=headers)


def _add_operation(app: FastAPI, backend: Backend, metrics: Metrics) -> None:
    @app.get("/healthz")
    async def healthz() -> schema.Health:
        """Whether the process is up."""
        return schema.Health()

    @app.get("/readyz", responses=_only(503))
    async def readyz() -> schema.Health:
        """Whether the model answers."""
        if not await backend.ready():
            raise Busy("the model does not answer: try again soon")
        return schema.Health()

    @app.get("/metrics", include_in_schema=False)
    async def counted() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")


def _add_page(app: FastAPI) -> None:
    names = {path.name: path for path in PAGE.iterdir() if path.is_file()} if PAGE.is_dir() else {}

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(_there(names.get("index.html")))

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> FileResponse:
        return FileResponse(_there(names.get(name)))


def _id(request: Request) -> str:
    return getattr(request.state, "request_id", "")


def _usable(found: dict) -> dict:
    if "reason" in found:
        raise HTTPException(422, found["reason"])
    return found


def _there(path: Path | None) -> Path:
    if path is None:
        raise HTTPException(404, "there is nothing of that name")
    return path


def _only(*statuses: int) -> dict:
    return {status: _PROBLEMS[status] for status in statuses}
