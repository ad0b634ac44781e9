"""What every request passes before the application sees it: its size, its rate, who asks, and what may be told."""

import asyncio
import hashlib
import hmac
import json
import logging
import math
import secrets
import time
import traceback
from collections.abc import Collection
from urllib.parse import urlsplit

from actors.serving.limits import Limits
from actors.serving.metrics import Metrics

LOG = logging.getLogger("ray.serve")
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "geolocation=(), camera=(), microphone=(self)",
    "cache-control": "no-store",
}
"""Of every response that does not say otherwise."""
_CLIENTS = 10_000


def token_digest(token: str | None) -> str | None:
    """What replicas are told of a token: enough to check it, and not the token."""
    return hashlib.sha256(token.encode()).hexdigest() if token else None


class Safety:
    """ASGI middleware around the application. No exception, no path parameter and no body leaves it."""

    def __init__(
        self,
        app,
        limits: Limits,
        metrics: Metrics,
        digest: str | None = None,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
    ):
        """
        Args:
            digest: of the token that `/v1` asks for, see `token_digest`; None: it asks for none.
            hosts: names by which the service may be addressed; empty: any.
            origins: other pages than its own that may send it anything.
        """
        self._app, self._limits, self._metrics = app, limits, metrics
        self._digest, self._hosts, self._origins = digest, frozenset(hosts), frozenset(origins)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._bodies = 0
        self.open = 0
        """Requests to `/v1` that are not answered yet."""
        self.draining = False
        """Whether new requests are turned away."""

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request, counted = _Answer(scope, send, self._metrics), scope["path"].startswith("/v1")
        self.open += counted
        refusal = self._refusal(scope)
        try:
            if refusal:
                await request.refuse(*refusal)
            elif scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
                await self._with_body(scope, receive, request)
            else:
                await self._app(scope, receive, request.send)
        except Exception as problem:
            # What an exception says may quote what was sent: only where it happened is told.
            frames = "; ".join(f"{one.name}:{one.lineno}" for one in traceback.extract_tb(problem.__traceback__)[-4:])
            LOG.error("request %s failed: %s at %s", request.id, type(problem).__name__, frames)
            await request.refuse(500, "the service failed at this request: try again, or tell its operator the id")
        finally:
            self.open -= counted
            request.done()

    def _refusal(self, scope) -> tuple[int, str] | tuple[int, str, dict] | None:
        """Status, sentence and headers of what is refused by its head alone."""
        headers, path = dict(scope["headers"]), scope["path"]
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts and (urlsplit(f"//{host}").hostname or "") not in self._hosts:
            return 421, "this service is not known by that name: address it as 127.0.0.1"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and scope["method"] != "GET" and urlsplit(origin).netloc != host and origin not in self._origins:
            return 403, "other pages may not use this service: open its own page"
        if self.draining and path.startswith(("/v1", "/readyz")):
            return 503, "the service is stopping: try again soon", {"retry-after": "5"}
        if not path.startswith("/v1"):
            return None
        if wait_s := self._wait_s((scope.get("client") or ("",))[0]):
            headers = {"retry-after": str(math.ceil(wait_s))}
            return 429, f"more than {self._limits.rate_per_s:g} requests a second: wait {wait_s:.1f} s", headers
        if self._digest and not _allowed(headers.get(b"authorization", b""), self._digest):
            return 401, "a bearer token is needed: send Authorization: Bearer <token>", {"www-authenticate": "Bearer"}
        return None

    def _wait_s(self, client: str) -> float:
        """Seconds that a client has to wait; 0 where it need not. A bucket of twice the rate, filled at the rate."""
        rate, now = self._limits.rate_per_s, time.monotonic()
        left, at = self._buckets.get(client, (2 * rate, now))
        left = min(2 * rate, left + (now - at) * rate)
        if len(self._buckets) > _CLIENTS:
            self._buckets.clear()
        if left < 1:
            self._buckets[client] = left, now
            return (1 - left) / rate
        self._buckets[client] = left - 1, now
        return 0.0

    async def _with_body(self, scope, receive, request: "_Answer") -> None:
        most = self._limits.body_bytes(scope["path"])
        claimed = dict(scope["headers"]).get(b"content-length")
        if claimed is not None and not claimed.isdigit():
            await request.refuse(400, "the Content-Length is no number: leave it out, or correct it")
        elif claimed is not None and int(claimed) > most:
            await request.refuse(413, _too_large(most))
        elif self._bodies >= self._limits.at_once:
            await request.refuse(503, "the service is busy: try again soon", {"retry-after": "1"})
        else:
            self._bodies += 1
            try:
                await self._held(scope, receive, request, most)
            finally:
                self._bodies -= 1

    async def _held(self, scope, receive, request: "_Answer", most: int) -> None:
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self._limits.upload_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > most:
                        await request.refuse(413, _too_large(most))
                        return
        except TimeoutError:
            await request.refuse(408, f"the upload takes more than {self._limits.upload_s:g} s: send it again")
            return
        whole = [{"type": "http.request", "body": bytes(body), "more_body": False}]
        del body

        async def replay():
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, request.send)


class _Answer:
    """The answer to one request: counted, with its id and the headers that keep it safe."""

    def __init__(self, scope, send, metrics: Metrics):
        self._scope, self._send, self._metrics = scope, send, metrics
        self._began, self._status = time.monotonic(), 0
        self.id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = self.id

    async def send(self, message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            given = {name.lower() for name, _ in message.get("headers", [])}
            message = message | {
                "headers": [
                    *message.get("headers", []),
                    *((k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in given),
                ]
            }
        await self._send(message)

    async def refuse(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        """Answers with a sentence, unless an answer has begun."""
        if self._status:
            return
        body = json.dumps({"detail": sentence, "request_id": self.id}).encode()
        told = {"content-type": "application/json", "content-length": str(len(body))} | (headers or {})
        head = [(name.encode(), value.encode()) for name, value in told.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": head})
        await self.send({"type": "http.response.body", "body": body})

    def done(self) -> None:
        """Counts the request."""
        route = getattr(self._scope.get("route"), "path", "other")
        self._metrics.count(route, self._status or 499, time.monotonic() - self._began)


def _allowed(given: bytes, digest: str) -> bool:
    kind, _, token = given.partition(b" ")
    # Digests are of one length, so that the time says nothing of the token.
    same = hmac.compare_digest(hashlib.sha256(token.strip()).hexdigest(), digest)
    return same and kind.lower() == b"bearer"


def _too_large(most: int) -> str:
    return f"the upload is larger than {most:,} bytes: send a shorter or a compressed recording"
