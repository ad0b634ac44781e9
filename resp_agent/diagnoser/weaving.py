"""How narrative and audio become one sequence: `[CLS] [DESCRIPTION] text... audio... [SEP]`."""

from dataclasses import dataclass

import torch

CLS, DESCRIPTION = 0, 1


@dataclass(frozen=True)
class Weave:
    """Where everything lies in a batch of woven sequences.

    Rows are laid out for the longest text and the longest audio of the batch; a row's own padding lies between its
    parts and is masked, and `position` counts real tokens only, so a row's numbers do not depend on its neighbours.
    """

    position: torch.Tensor
    """(B, S) place in the row's own sequence."""
    real: torch.Tensor
    """(B, S) False for padding."""
    is_global: torch.Tensor
    """(S,) `[CLS]`, `[DESCRIPTION]` and anchors."""
    global_index: torch.Tensor
    """(G,) their places."""
    audio: slice
    """The audio tokens."""


def weave(text_lengths: torch.Tensor, audio_lengths: torch.Tensor, text: int, audio: int, anchor: int) -> Weave:
    """The layout of a batch.

    Args:
        text_lengths: (B,) text tokens of each row.
        audio_lengths: (B,) audio tokens of each row.
        text: longest text, in tokens.
        audio: longest audio, in tokens.
        anchor: distance of anchors, in audio tokens.
    """
    device = text_lengths.device
    first_audio = 2 + text
    places = torch.arange(first_audio + audio + 1, device=device)
    in_text = (places >= 2) & (places < first_audio)
    in_audio = (places >= first_audio) & (places < first_audio + audio)
    text_real = (places - 2)[None] < text_lengths[:, None]
    audio_real = (places - first_audio)[None] < audio_lengths[:, None]
    real = torch.where(in_text[None], text_real, torch.where(in_audio[None], audio_real, True))
    position = real.long().cumsum(dim=1) - 1
    is_global = (places < 2) | (in_audio & ((places - first_audio) % anchor == 0))
    return Weave(position, real, is_global, is_global.nonzero()[:, 0], slice(first_audio, first_audio + audio))
