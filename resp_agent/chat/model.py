"""Answers by a language model of the transformers library, from a folder or the hub."""

import numpy as np

from resp_agent.chat import NoAnswer
from resp_agent.errors import UserError
from resp_agent.weights import here


class ChatModel:
    """Answers in batches on the accelerator, or the CPU where there is none, in float32.

    A row draws from a generator of its own, so its text depends on its chat and seed; what else is in its batch moves
    its probabilities in their last digits only. A model without a chat template goes on from the messages' plain text.

    Raises:
        UserError: the model cannot be loaded.
    """

    def __init__(self, model: str, *, new_tokens: int, temperature: float, batch: int = 1):
        """
        Args:
            model: a folder, its name in a folder of `RESP_AGENT_WEIGHTS`, or a name on the hub.
            new_tokens: most tokens of an answer.
            temperature: of sampling; 0 takes the likeliest word.
            batch: chats that are answered at once.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._new_tokens, self._temperature, self._size = new_tokens, temperature, batch
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        source = str(here(model) or model)
        # Whatever is wrong with a folder or a name on the hub, it comes as any of many errors.
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            loaded = AutoModelForCausalLM.from_pretrained(
                source, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
        except Exception as problem:
            raise UserError(
                f"the model {model!r} cannot be loaded ({first_line(problem)}): name a folder or a model of "
                "the hub, with weights in safetensors"
            ) from problem
        self._model = loaded.to(self._device).eval()
        ends = self._model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self._ends = [end for end in dict.fromkeys([*ends, self._tokenizer.eos_token_id]) if end is not None]

    @property
    def takes_chats(self) -> bool:
        """Whether the model has a chat template."""
        return bool(self._tokenizer.chat_template)

    def answer(self, chat: list[dict], seed: int) -> str:
        """The answer to one chat.

        Raises:
            NoAnswer: the chat is longer than the model reads, or the device cannot hold it.
        """
        longest = getattr(self._model.config, "max_position_embeddings", None)
        length = len(self.tokens(chat)) + self._new_tokens
        if longest and length > longest:
            raise NoAnswer(f"reads and writes {longest} tokens at most, not the {length} that were asked for")
        try:
            return self.write([chat], [seed])[0]
        except RuntimeError as problem:
            raise NoAnswer(f"failed ({first_line(problem)})") from problem

    def write(self, chats: list[list[dict]], seeds: list[int]) -> list[str]:
        """An answer to each chat, which depends on the chat and its seed alone."""
        size, answers = self._size, []
        for start in range(0, len(chats), size):
            answers += self._batch(chats[start : start + size], seeds[start : start + size])
        return answers

    def tokens(self, chat: list[dict]) -> list[int]:
        """Token ids of the chat up to where the answer starts."""
        if not self.takes_chats:
            return self._tokenizer("\n\n".join(message["content"] for message in chat) + "\n\n")["input_ids"]
        # A model that can think aloud is told not to; templates of others have no such word and ignore it.
        text = self._tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def _batch(self, chats: list[list[dict]], seeds: list[int]) -> list[str]:
        import torch

        rows = [self.tokens(chat) for chat in chats]
        width = max(map(len, rows))
        ids, mask = torch.zeros(2, len(rows), width, dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, width - len(row) :] = torch.tensor(row)
            mask[number, width - len(row) :] = 1
        with torch.inference_mode():
            written = self._model.generate(
                ids.to(self._device),
                attention_mask=mask.to(self._device),
                max_new_tokens=self._new_tokens,
                logits_processor=[_Choice(seeds, self._new_tokens, self._temperature, width)],
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

    def __init__(self, seeds: list[int], new_tokens: int, temperature: float, width: int):
        self._temperature, self._width = temperature, width
        self._draws = np.stack([np.random.Generator(np.random.PCG64(s)).random(new_tokens) for s in seeds])

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


def first_line(problem: Exception) -> str:
    """The first line of an error's text, or its kind where it has none."""
    return (str(problem).strip() or type(problem).__name__).splitlines()[0].rstrip(".")
