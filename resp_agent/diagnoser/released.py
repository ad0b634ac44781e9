"""The released diagnoser's layout, exactly: `[CLS] [DESCRIPTION] text... audio slots... [SEP]` through a Longformer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn.functional import pad

from resp_agent.diagnoser.longformer import Longformer, LongformerSettings
from resp_agent.settings.checks import refuse

CLS, SEP = "<s>", "</s>"
DESCRIPTION = "[DESCRIPTION]"
SLOT = "[AUDIO_EMBED_{}]"
"""Name of an audio slot, counted from 1."""


@dataclass(frozen=True)
class ReleasedSettings:
    """Sizes of a diagnoser in the released layout; the defaults are the release's."""

    labels: tuple[str, ...]
    """Names of the classes, in the order of the logits."""
    feature_width: int = 768
    """Width of the audio encoder's tokens."""
    slots: int = 496
    """Audio slots: encoder tokens of a clip, time-major, the frequency patch fastest."""
    stride: int = 4
    """Every so many slots one has global attention, from the first on."""
    text_tokens: int = 128
    """Longest text in tokens; what is longer is cut off."""
    clip_s: float = 10.0
    """Seconds of audio that are heard: the first ones, shorter clips with silence at their end."""
    longformer: LongformerSettings = field(default_factory=LongformerSettings)
    """The text and audio model."""

    def __post_init__(self):
        refuse(not self.labels, "a diagnoser of no classes says nothing: name at least one")
        refuse(self.slots < 1 or self.stride < 1, f"{self.slots} slots with a stride of {self.stride}: give at least 1")
        refuse(self.text_tokens < 0, f"{self.text_tokens} text tokens are below 0")


@dataclass(frozen=True)
class Woven:
    """Token ids of a batch and who attends to whom; (B, S) int64 each, rows padded at their end."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    """0 for padding."""
    global_attention_mask: torch.Tensor
    """1 for `[CLS]`, `[DESCRIPTION]` and every stride-th audio slot."""


class ReleasedDiagnoser(nn.Module):
    """The released classifier: audio slots hold projected encoder tokens, a head reads the first token's state."""

    def __init__(self, settings: ReleasedSettings, tokenizer: str):
        """`tokenizer`: the text tokenizer's `tokenizer.json`, to which the special tokens are added here."""
        super().__init__()
        width = settings.longformer.hidden_size
        self.settings = settings
        self.tokenizer = add_special_tokens(tokenizer, settings.slots)
        self.longformer = Longformer(settings.longformer)
        self.projection_layer = nn.Linear(settings.feature_width, width)
        self.classifier = nn.ModuleDict(
            {"dense": nn.Linear(width, width), "out_proj": nn.Linear(width, len(settings.labels))}
        )
        self.dropout = nn.Dropout(settings.longformer.hidden_dropout_prob)

    def weave(self, texts: Sequence[str]) -> Woven:
        """The sequences of a batch, as long as its longest."""
        settings = self.settings
        name = self.tokenizer.token_to_id
        slots = [name(SLOT.format(slot + 1)) for slot in range(settings.slots)]
        begin, end = [name(CLS), name(DESCRIPTION)], [name(SEP)]
        told = [self.tokenizer.encode(text, add_special_tokens=False).ids[: settings.text_tokens] for text in texts]
        rows = [begin + ids + slots + end for ids in told]
        longest = max(map(len, rows))
        padding = settings.longformer.pad_token_id
        ids = torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
        real = torch.arange(longest)[None] < torch.tensor([len(row) for row in rows])[:, None]
        place = torch.arange(longest)[None] - torch.tensor([2 + len(ids) for ids in told])[:, None]
        anchors = (place >= 0) & (place < settings.slots) & (place % settings.stride == 0)
        anchors[:, :2] = True
        return Woven(ids, real.long(), anchors.long())

    def logits(self, features: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
        """(B, C).

        Args:
            features: (B, T, D) encoder tokens of `clip(waveform)`, computed without a padding mask. Fewer than the
                slots are followed by zeros, of more the middle is taken.
            texts: B texts.
        """
        woven = self.weave(texts)
        device = self.projection_layer.weight.device
        ids = woven.input_ids.to(device)
        heard = self.projection_layer(self._fitted(features.to(device)))
        words = self.longformer.embeddings.word_embeddings(ids)
        first = self.tokenizer.token_to_id(SLOT.format(1))
        # Slots are named one after the other, so a slot's id is its place among the audio.
        slot = (ids - first).clamp(0, self.settings.slots - 1)
        is_slot = (ids >= first) & (ids < first + self.settings.slots)
        filled = heard.gather(1, slot[..., None].expand(-1, -1, heard.shape[-1])).to(words.dtype)
        states = self.longformer(
            inputs_embeds=torch.where(is_slot[..., None], filled, words),
            attention_mask=woven.attention_mask.to(device),
            global_attention_mask=woven.global_attention_mask.to(device),
        )
        x = torch.tanh(self.classifier["dense"](self.dropout(states[:, 0])))
        return self.classifier["out_proj"](self.dropout(x))

    forward = logits

    def clip(self, waveform: torch.Tensor, sample_rate_hz: int = 16_000) -> torch.Tensor:
        """(B, samples) to (B, clip_s x rate): the beginning, with silence after it where it is shorter."""
        samples = round(self.settings.clip_s * sample_rate_hz)
        return pad(waveform[:, :samples], (0, max(0, samples - waveform.shape[1])))

    def _fitted(self, features: torch.Tensor) -> torch.Tensor:
        spare = features.shape[1] - self.settings.slots
        middle = features[:, max(0, spare // 2) :][:, : self.settings.slots]
        return pad(middle, (0, 0, 0, max(0, -spare)))


def add_special_tokens(tokenizer: str, slots: int) -> Tokenizer:
    """The tokenizer of a `tokenizer.json` with `[DESCRIPTION]` and the audio slots after its own tokens, in this order.

    Raises:
        UserError: it has no `<s>` or no `</s>`.
    """
    made = Tokenizer.from_str(tokenizer)
    made.no_truncation()
    made.no_padding()
    for name in (CLS, SEP):
        refuse(made.token_to_id(name) is None, f"the tokenizer has no {name}: give that of the released diagnoser")
    made.add_special_tokens([DESCRIPTION, *(SLOT.format(slot + 1) for slot in range(slots))])
    return made
