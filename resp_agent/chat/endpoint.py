"""Answers by a server that answers chats as OpenAI's does."""

import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future
from http.client import HTTPException

from resp_agent.chat import NoAnswer
from resp_agent.errors import UserError

KEY = "OPENAI_API_KEY"
LARGEST_ANSWER = 1 << 20
"""Bytes of a server's answer beyond which nothing of it is read."""
_PIECE = 1 << 16


class ChatEndpoint:
    """Posts to `<base>/chat/completions`, with `$OPENAI_API_KEY` where it is set. Follows no redirection.

    Raises:
        UserError: the base is no http address, or the key cannot be sent.
    """

    def __init__(
        self,
        base: str,
        model: str,
        *,
        named: str,
        timeout_s: float,
        temperature: float,
        new_tokens: int,
        pauses_s: tuple[float, ...] = (),
    ):
        """
        Args:
            named: what the base is called where the user set it.
            timeout_s: seconds for an answer, from the connection to its last byte.
            temperature: of sampling; 0 takes the likeliest word.
            new_tokens: most tokens of an answer.
            pauses_s: seconds before each further attempt at what may pass: a busy server, a broken one, none.
        """
        base, key = base.strip().rstrip("/"), os.environ.get(KEY, "").strip()
        if not _is_plain(base):
            raise UserError(
                f"{named} is no plain http or https address: write it as http://localhost:8000/v1, and a key into {KEY}"
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise UserError(f"{KEY} has characters that no key has: set it to the key alone")
        self.url = f"{base}/chat/completions"
        self._body = {"model": model, "temperature": temperature, "max_tokens": new_tokens}
        self._timeout_s, self._pauses_s = timeout_s, pauses_s
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._opener = urllib.request.build_opener(_StayHere())

    def answer(self, chat: list[dict], seed: int) -> str:
        """The text of the answer; an empty one where the server's answer holds none or is larger than 1 MiB.

        Raises:
            NoAnswer: the server refuses, or does not answer in time.
        """
        # Servers take seeds of a signed 32-bit integer.
        body = self._body | {"messages": chat, "seed": seed % 2**31}
        answer = self._post(json.dumps(body).encode())
        try:
            content = json.loads(answer)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ""
        return content if isinstance(content, str) else ""

    def _post(self, body: bytes) -> bytes:
        for pause_s in (*self._pauses_s, None):
            request = urllib.request.Request(self.url, body, self._headers, method="POST")
            try:
                return _within(self._timeout_s, lambda: self._read(request))  # noqa: B023
            except urllib.error.HTTPError as problem:
                what, passes = f"answers with status {problem.code}", problem.code == 429 or problem.code >= 500
                problem.close()
            # A ValueError: the address has a name that no host can have.
            except (OSError, HTTPException, ValueError) as problem:
                reason = getattr(problem, "reason", problem)
                slow = isinstance(reason, TimeoutError)
                what = f"does not answer within {self._timeout_s:g} s" if slow else "cannot be reached"
                passes = True
            if not passes or pause_s is None:
                break
            time.sleep(pause_s)
        raise NoAnswer(what)

    def _read(self, request: urllib.request.Request) -> bytes:
        """At most one byte more than the largest answer."""
        until, data = time.monotonic() + self._timeout_s, b""
        with self._opener.open(request, timeout=self._timeout_s) as response:
            while len(data) <= LARGEST_ANSWER and time.monotonic() < until:
                piece = response.read1(_PIECE)
                if not piece:
                    return data
                data += piece
        if len(data) <= LARGEST_ANSWER:
            raise TimeoutError
        return b""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirection, which would take the key along to another server."""

    def redirect_request(self, *args):
        return None


def _is_plain(base: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(base)
        parts.port  # noqa: B018
    except ValueError:
        return False
    plain = base.isascii() and base.isprintable() and " " not in base
    named = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    return plain and named and not parts.query and not parts.fragment


def _within(seconds: float, work: Callable[[], bytes]) -> bytes:
    """What the work returns or raises; TimeoutError where that takes longer.

    A socket's own time-out starts anew with every byte and holds for no name look-up, so the work has a thread of its
    own, which does not keep the process from ending.
    """
    future: Future[bytes] = Future()

    def run():
        try:
            future.set_result(work())
        except Exception as problem:
            future.set_exception(problem)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)
