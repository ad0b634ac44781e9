"""The weaving diagnoser on a pretrained text model: a Longformer, or a BERT or RoBERTa made into one."""

import torch
from torch import nn

from resp_agent.diagnoser.classifier import Batch, Pooled
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.longformer import Longformer
from resp_agent.diagnoser.systems.longformer import pretrained_longformer
from resp_agent.diagnoser.systems.pooling import masked_mean
from resp_agent.diagnoser.systems.special import SpecialTokens
from resp_agent.diagnoser.systems.stems import make_stem
from resp_agent.diagnoser.weaving import CLS, weave
from resp_agent.settings import DiagnoserSettings


class WovenLongformer(Pooled):
    """`[CLS] [DESCRIPTION] narrative audio [SEP]` through a pretrained Longformer.

    Rows are packed: a place is a position, padding has none. `[CLS]` and `[SEP]` are the text model's own,
    `[DESCRIPTION]` is learned; audio tokens come from a stem and take the text's token type and an embedding of their
    modality.
    """

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        """Raises UserError if the text model cannot be used; see `pretrained_longformer`."""
        super().__init__(settings, inputs.counts)
        self.anchor = round(settings.anchor_ms / settings.token_ms) if settings.anchors else 0
        self.reach = max(1, round(settings.window_ms / settings.token_ms / 2))
        audio_tokens = -(-inputs.window // round(settings.token_ms / inputs.frame_ms))
        self.backbone: Longformer = pretrained_longformer(
            settings, inputs, 3 + settings.text_tokens + audio_tokens, self.reach
        )
        self.special = SpecialTokens.of(inputs)
        words = self.backbone.embeddings.word_embeddings.weight
        width = words.shape[1]
        self.audio = make_stem(settings.audio_stem, settings, inputs, width)
        self.audio_norm = nn.LayerNorm(width)
        self.audio_type = nn.Parameter(torch.zeros(width))
        self.description = nn.Parameter(torch.zeros(width))
        self.pooled_width = 2 * width
        self.head = nn.Linear(2 * width, len(inputs.labels))
        # Audio tokens begin at the size of words: the model's embeddings of places would drown in larger ones.
        scale = words.detach().std().item()
        nn.init.constant_(self.audio_norm.weight, scale)
        for vector in (self.audio_type, self.description):
            nn.init.normal_(vector, std=scale)

    def pooled(self, batch: Batch) -> torch.Tensor:
        """(B, 2D): the state of `[CLS]` and the mean state of the audio tokens."""
        frames = batch.frames.to(self.head.weight.dtype)
        tokens, audio_lengths = self.audio(frames, batch.frame_lengths)
        layout = weave(batch.text_lengths, audio_lengths, batch.text.shape[1], tokens.shape[1], self.anchor)
        states = self.backbone(
            inputs_embeds=layout.pack(self._embed(batch.text, tokens)),
            attention_mask=layout.real,
            global_attention_mask=layout.is_global,
        )
        return torch.cat([states[:, CLS], masked_mean(states, layout.is_audio)], dim=-1)

    def _embed(self, text: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        words, rows = self.backbone.embeddings.word_embeddings, len(text)
        ends = words(text.new_tensor([self.special.cls, self.special.sep])).expand(rows, -1, -1)
        description = self.description.expand(rows, 1, -1)
        heard = self.audio_norm(tokens) + self.audio_type
        return torch.cat([ends[:, :1], description, words(text), heard, ends[:, 1:]], dim=1)
