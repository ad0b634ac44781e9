"""How narrative and audio become one sequence: `[CLS] [DESCRIPTION] text... audio... [SEP]`."""

from dataclasses import dataclass

import torch

CLS, DESCRIPTION = 0, 1


@dataclass(frozen=True)
class Weave:
    """Where everything lies in a batch of woven sequences.

    Tokens are made for the longest text and the longest audio of the batch; packing then moves each row's padding to
    its end, so that a place in the row is a position, and a row's numbers do not depend on its neighbours.
    """

    source: torch.Tensor
    """(B, S) which of the tokens before packing stands at each place."""
    real: torch.Tensor
    """(B, S) False for padding."""
    is_audio: torch.Tensor
    """(B, S) the audio tokens."""
    is_global: torch.Tensor
    """(B, S) `[CLS]`, `[DESCRIPTION]` and anchors: the audio tokens with global attention."""

    def pack(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, 3 + text + audio, D) tokens as they were made, to (B, S, D) packed rows."""
        return tokens.gather(1, self.source[..., None].expand(-1, -1, tokens.shape[-1]))


def weave(text_lengths: torch.Tensor, audio_lengths: torch.Tensor, text: int, audio: int, anchor: int) -> Weave:
    """The layout of a batch.

    Args:
        text_lengths: (B,) text tokens of each row.
        audio_lengths: (B,) audio tokens of each row.
        text: longest text, in tokens.
        audio: longest audio, in tokens.
        anchor: distance of anchors, in audio tokens; 0: none.
    """
    first_audio = 2 + text
    places = torch.arange(first_audio + audio + 1, device=text_lengths.device)
    in_text = (places >= 2) & (places < first_audio)
    in_audio = (places >= first_audio) & (places < first_audio + audio)
    text_real = (places - 2)[None] < text_lengths[:, None]
    audio_real = (places - first_audio)[None] < audio_lengths[:, None]
    made = torch.where(in_text[None], text_real, torch.where(in_audio[None], audio_real, True))
    is_anchor = in_audio & ((places - first_audio) % anchor == 0) if anchor else torch.zeros_like(in_audio)
    longest = int(made.sum(dim=1).max())
    source = made.int().argsort(dim=1, descending=True, stable=True)[:, :longest]
    real = made.gather(1, source)
    return Weave(source, real, in_audio[source] & real, ((places < 2) | is_anchor)[source] & real)
