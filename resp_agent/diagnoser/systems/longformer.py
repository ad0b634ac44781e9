"""Longformer as a branch that reads, and the pretrained one that weaving is built on."""

import json
from dataclasses import replace

import torch

from resp_agent.diagnoser.classifier import Batch
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.longformer import Longformer, LongformerSettings
from resp_agent.diagnoser.longformer_weights import from_pretrained, from_text_encoder, recipe
from resp_agent.diagnoser.systems.branches import Branch
from resp_agent.diagnoser.systems.pooling import masked_mean, real_places
from resp_agent.diagnoser.systems.special import WITHOUT_DROPOUT, SpecialTokens
from resp_agent.diagnoser.text import read_config
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings


class LongformerBranch(Branch):
    """The mean state of `[CLS] text [SEP]`, `[CLS]` being global; where the text is withheld, of the two alone."""

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        """Raises UserError if the text model cannot be used; see `pretrained_longformer`."""
        super().__init__()
        self.special = SpecialTokens.of(inputs)
        longest = settings.text_tokens + 2
        if settings.text_model:
            self.model = pretrained_longformer(settings, inputs, longest)
        else:
            self.model = _fresh(settings, inputs.words + self.special.first_word, longest, self.special.padding)
        self.width = self.model.settings.hidden_size

    def forward(self, batch: Batch) -> torch.Tensor:
        ids, lengths = self.special.around(batch.text, batch.text_lengths)
        real = real_places(lengths, ids.shape[1])
        is_global = torch.zeros_like(real)
        is_global[:, 0] = True
        places = self.model.settings.pad_token_id + 1 + torch.arange(ids.shape[1], device=ids.device)
        states = self.model(ids, real, is_global, position_ids=places[None])
        return masked_mean(states, real)


def pretrained_longformer(
    settings: DiagnoserSettings, inputs: Inputs, longest: int, reach: int | None = None
) -> Longformer:
    """The settings' text model as a Longformer, without dropout; of its sizes alone where its weights follow.

    Args:
        longest: tokens of the longest sequence; a BERT or RoBERTa gets as many positions.
        reach: tokens that a window extends to either side; None: a Longformer's own, or everything.

    Raises:
        UserError: it is not there, is none of the three, or is a Longformer with fewer positions.
    """
    name = settings.text_model
    config = json.loads(inputs.text_config or read_config(name))
    window = {} if reach is None else {"attention_window": 2 * reach}
    if config.get("model_type") != "longformer":
        wide = window.get("attention_window", 2 * longest)
        if inputs.weights_follow:
            return Longformer(replace(recipe(config, longest, wide), **WITHOUT_DROPOUT))
        return from_text_encoder(name, longest, wide, **WITHOUT_DROPOUT)
    if inputs.weights_follow:
        return Longformer(replace(LongformerSettings.of(config), **window, **WITHOUT_DROPOUT))
    model = from_pretrained(name, **window, **WITHOUT_DROPOUT)
    most = model.settings.max_position_embeddings - model.settings.pad_token_id - 1
    if longest > most:
        raise UserError(
            f"{name!r} has {most} positions, and {longest} are needed: give fewer --diagnoser.text-tokens, a shorter "
            "--audio.clip-s or a longer --diagnoser.token-ms"
        )
    return model


def _fresh(settings: DiagnoserSettings, words: int, longest: int, padding: int) -> Longformer:
    return Longformer(
        LongformerSettings(
            vocab_size=words,
            hidden_size=settings.width,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            intermediate_size=4 * settings.width,
            attention_window=2 * longest,
            max_position_embeddings=longest + padding + 1,
            pad_token_id=padding,
            **WITHOUT_DROPOUT,
        )
    )
