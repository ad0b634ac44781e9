"""Narratives by a server that answers chats as OpenAI's does."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath

from resp_agent.chat import NoAnswer
from resp_agent.chat.endpoint import ChatEndpoint
from resp_agent.errors import RunFailed, UserError
from resp_agent.settings import NarrativeSettings

URL = "OPENAI_BASE_URL"
PAUSES_S = (1.0, 4.0, 15.0)
"""Seconds before each further attempt at what may pass: a busy server, a broken one, none."""


class EndpointNarrator:
    """Posts to `$OPENAI_BASE_URL/chat/completions`, a batch at a time, with `$OPENAI_API_KEY` where it is set.

    Raises:
        UserError: OPENAI_BASE_URL is unset or no http address, or the key cannot be sent.
    """

    def __init__(self, settings: NarrativeSettings):
        self.name = f"model:{PurePath(settings.model).name}"
        self._settings = settings
        base = os.environ.get(URL, "").strip()
        if not base:
            raise UserError(f"narratives by an endpoint need its address: set {URL}, such as http://localhost:8000/v1")
        self._endpoint = ChatEndpoint(
            base,
            settings.model,
            named=URL,
            timeout_s=settings.timeout_s,
            temperature=settings.temperature,
            new_tokens=settings.new_tokens,
            pauses_s=PAUSES_S,
        )

    def write(self, chats: list[list[dict]], seeds: list[int]) -> list[str]:
        """An answer to each chat; an empty one where the server's answer is none.

        Raises:
            RunFailed: the server refuses, or does not answer after some attempts.
        """
        try:
            with ThreadPoolExecutor(self._settings.batch) as pool:
                return list(pool.map(self._endpoint.answer, chats, seeds))
        except NoAnswer as problem:
            raise RunFailed(
                f"the endpoint {self._endpoint.url} {problem}: see that it runs and serves {self._settings.model!r}, "
                "then run again"
            ) from problem
