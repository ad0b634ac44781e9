"""Narratives by a chat model of the transformers library, from a folder or the hub."""

from pathlib import PurePath

import numpy as np

from resp_agent.errors import UserError
from resp_agent.settings import NarrativeSettings


class TransformersNarrator:
    """Writes in batches on the accelerator, or the CPU where there is none, in float32.

    A row draws from a generator of its own, so its text depends on its chat and seed; what else is in its batch moves
    its probabilities in their last digits only.

    Raises:
        UserError: the model cannot be loaded, or takes no chats.
    """

    def __init__(self, settings: NarrativeSettings):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.name = f"model:{PurePath(settings.model).name}"
        self._settings = settings
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # Whatever is wrong with a folder or a name on the hub, it comes as any of many errors.
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(settings.model, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                settings.model, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
        except Exception as problem:
            raise UserError(
                f"the model {settings.model!r} cannot be loaded ({_first_line(problem)}): name a folder or a model of "
                "the hub, with weights in safetensors"
            ) from problem
        if not self._tokenizer.chat_template:
            raise UserError(f"the tokenizer of {settings.model!r} has no chat template: name a model made for chats")
        try:
            self._ids([{"role": "system", "content": "a"}, {"role": "user", "content": "b"}])
        except Exception as problem:
            raise UserError(
                f"the chat template of {settings.model!r} takes no system message before a user's "
                f"({_first_line(problem)}): name another model"
            ) from problem
        self._model = model.to(self._device).eval()
        ends = self._model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self._ends = [end for end in dict.fromkeys([*ends, self._tokenizer.eos_token_id]) if end is not None]

    def write(self, chats: list[list[dict]], seeds: list[int]) -> list[str]:
        """An answer to each chat, which depends on the chat and its seed alone."""
        size, answers = self._settings.batch, []
        for start in range(0, len(chats), size):
            answers += self._batch(chats[start : start + size], seeds[start : start + size])
        return answers

    def _ids(self, chat: list[dict]) -> list[int]:
        # A model that can think aloud is told not to; templates of others have no such word and ignore it.
        text = self._tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def _batch(self, chats: list[list[dict]], seeds: list[int]) -> list[str]:
        import torch

        rows = [self._ids(chat) for chat in chats]
        width = max(map(len, rows))
        ids, mask = torch.zeros(2, len(rows), width, dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, width - len(row) :] = torch.tensor(row)
            mask[number, width - len(row) :] = 1
        with torch.inference_mode():
            written = self._model.generate(
                ids.to(self._device),
                attention_mask=mask.to(self._device),
                max_new_tokens=self._settings.new_tokens,
                logits_processor=[_Choice(seeds, self._settings, width)],
                # The processor leaves one token to choose, so the model's own way of choosing is switched off.
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=self._ends or None,
                pad_token_id=self._ends[0] if self._ends else 0,
            )
        return [self._text(row) for row in written[:, width:].tolist()]

    def _text(self, row: list[int]) -> str:
        end = next((at for at, token in enumerate(row) if token in self._ends), len(row))
        return self._tokenizer.decode(row[:end], skip_special_tokens=True)


class _Choice:
    """Chooses each row's next token by the row's own draws: (B, T) ids and (B, V) logits to one finite logit a row."""

    def __init__(self, seeds: list[int], settings: NarrativeSettings, width: int):
        self._temperature, self._width = settings.temperature, width
        self._draws = np.stack([np.random.Generator(np.random.PCG64(s)).random(settings.new_tokens) for s in seeds])

    def __call__(self, input_ids, scores):
        import torch

        logits = scores.double().cpu().numpy()
        if self._temperature > 0:
            scaled = (logits - logits.max(1, keepdims=True)) / self._temperature
            reached = np.cumsum(np.exp(scaled), 1)
            draws = self._draws[:, input_ids.shape[1] - self._width]
            chosen = (reached <= (draws * reached[:, -1])[:, None]).sum(1)
        else:
            chosen = logits.argmax(1)
        only = torch.full_like(scores, -torch.inf)
        return only.scatter_(1, torch.from_numpy(chosen)[:, None].to(scores.device), 0.0)


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0].rstrip(".")
