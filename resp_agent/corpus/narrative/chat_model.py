"""Narratives by a chat model of the transformers library, from a folder or the hub."""

from pathlib import PurePath

from resp_agent.chat.model import ChatModel, first_line
from resp_agent.errors import UserError
from resp_agent.settings import NarrativeSettings


class TransformersNarrator:
    """Writes in batches; see `ChatModel`.

    Raises:
        UserError: the model cannot be loaded, or takes no chats.
    """

    def __init__(self, settings: NarrativeSettings):
        self.name = f"model:{PurePath(settings.model).name}"
        self._model = ChatModel(
            settings.model, batch=settings.batch, new_tokens=settings.new_tokens, temperature=settings.temperature
        )
        if not self._model.takes_chats:
            raise UserError(f"the tokenizer of {settings.model!r} has no chat template: name a model made for chats")
        try:
            self._model.tokens([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}])
        except Exception as problem:
            raise UserError(
                f"the chat template of {settings.model!r} takes no system message before a user's "
                f"({first_line(problem)}): name another model"
            ) from problem

    def write(self, chats: list[list[dict]], seeds: list[int]) -> list[str]:
        """An answer to each chat, which depends on the chat and its seed alone."""
        return self._model.write(chats, seeds)
