"""Narratives by a server that answers chats as OpenAI's does."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import PurePath

from resp_agent.errors import RunFailed, UserError
from resp_agent.settings import NarrativeSettings

URL, KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
PAUSES_S = (1.0, 4.0, 15.0)
"""Seconds before each further attempt at what may pass: a busy server, a broken one, none."""
_LARGEST_ANSWER = 1 << 20


class EndpointNarrator:
    """Posts to `$OPENAI_BASE_URL/chat/completions`, a batch at a time, with `$OPENAI_API_KEY` where it is set.

    Raises:
        UserError: OPENAI_BASE_URL is unset or no http address, or the key cannot be sent.
    """

    def __init__(self, settings: NarrativeSettings):
        self.name = f"model:{PurePath(settings.model).name}"
        self._settings = settings
        base, key = os.environ.get(URL, "").strip().rstrip("/"), os.environ.get(KEY, "").strip()
        if not base:
            raise UserError(f"narratives by an endpoint need its address: set {URL}, such as http://localhost:8000/v1")
        parts = urllib.parse.urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise UserError(
                f"{URL} is no plain http or https address: write it as http://localhost:8000/v1, and a key into {KEY}"
            )
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise UserError(f"{KEY} has characters that no key has: set it to the key alone")
        self._url = f"{base}/chat/completions"
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._opener = urllib.request.build_opener(_StayHere())

    def write(self, chats: list[list[dict]], seeds: list[int]) -> list[str]:
        """An answer to each chat; an empty one where the server's answer is none.

        Raises:
            RunFailed: the server refuses, or does not answer after some attempts.
        """
        with ThreadPoolExecutor(self._settings.batch) as pool:
            return list(pool.map(self._answer, chats, seeds))

    def _answer(self, chat: list[dict], seed: int) -> str:
        body = {
            "model": self._settings.model,
            "messages": chat,
            "temperature": self._settings.temperature,
            "max_tokens": self._settings.new_tokens,
            # Servers take seeds of a signed 32-bit integer.
            "seed": seed % 2**31,
        }
        answer = self._post(json.dumps(body).encode())
        try:
            content = json.loads(answer)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return ""
        return content if isinstance(content, str) else ""

    def _post(self, body: bytes) -> bytes:
        for pause_s in (*PAUSES_S, None):
            request = urllib.request.Request(self._url, body, self._headers, method="POST")
            try:
                with self._opener.open(request, timeout=self._settings.timeout_s) as response:
                    return response.read(_LARGEST_ANSWER)
            except urllib.error.HTTPError as problem:
                what, passes = f"answers with status {problem.code}", problem.code == 429 or problem.code >= 500
                problem.close()
            except (OSError, HTTPException) as problem:
                reason = getattr(problem, "reason", problem)
                slow = isinstance(reason, TimeoutError)
                what = f"does not answer within {self._settings.timeout_s:g} s" if slow else "cannot be reached"
                passes = True
            if not passes or pause_s is None:
                break
            time.sleep(pause_s)
        raise RunFailed(
            f"the endpoint {self._url} {what}: see that it runs and serves {self._settings.model!r}, then run again"
        )


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirection, which would take the key along to another server."""

    def redirect_request(self, *args):
        return None
