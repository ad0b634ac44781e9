"""The Conformer (Gulati et al. 2020, arXiv 2005.08100): a stem for whatever hears, and a system of its own."""

import torch
from torch import nn
from transformers import Wav2Vec2BertConfig
from transformers.models.wav2vec2_bert.modeling_wav2vec2_bert import Wav2Vec2BertEncoder

from resp_agent.diagnoser.systems.pooling import real_places
from resp_agent.diagnoser.systems.stems import AudioTokens

REACH = 64
"""Tokens to either side up to which a distance has an embedding of its own."""


class ConformerStem(nn.Module):
    """(B, T, F) frames to (B, ceil(T / stride), D) tokens that know of each other: convolutions, then Conformer layers.

    The layers are w2v-BERT's: normalised over the width and not over the batch, masked in attention and convolution,
    so that neither neighbours nor padding reach a token. Without dropout: a training that is resumed repeats itself.
    """

    def __init__(self, features: int, width: int, stride: int, layers: int, heads: int):
        super().__init__()
        self.tokens = AudioTokens(features, width, stride)
        self.norm = nn.LayerNorm(width)
        config = Wav2Vec2BertConfig(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            left_max_position_embeddings=REACH,
            right_max_position_embeddings=REACH,
            conformer_conv_dropout=0.0,
            layerdrop=0.0,
            # Named, because a part that stands alone has none by itself, and then no mask either.
            attn_implementation="eager",
        )
        self.encoder = Wav2Vec2BertEncoder(config)

    def forward(self, frames: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens, lengths = self.tokens(frames, lengths)
        # At least one token takes part, so that no softmax is empty; whoever pools goes by the lengths.
        real = real_places(lengths.clamp_min(1), tokens.shape[1])
        return self.encoder(self.norm(tokens), attention_mask=real).last_hidden_state, lengths
