"""Systems that look at log-mel as an image, from scratch: what ICBHI's published rows are built on.

`resnet` and `cnn6` take any length. `ast` and `clap` have a place for every patch of a window: a shorter recording is
repeated until it fills the window, as is usual on ICBHI (Gairola et al. 2021, arXiv 2011.00196).
"""

import math

import torch
from torch import nn
from torch.nn.functional import interpolate, pad
from transformers import ASTConfig, ASTModel, ClapAudioConfig, ClapAudioModel

from resp_agent.diagnoser.classifier import Batch, Classifier
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.systems.branches import Branch
from resp_agent.diagnoser.systems.convolutional import Cnn6, ResNet18
from resp_agent.diagnoser.systems.single import AudioOnly
from resp_agent.errors import UserError
from resp_agent.settings import DiagnoserSettings

PATCH, STRIDE = 16, 10
"""Frames and bands of AST's patches, and their distance."""
MELS = 64
"""Bands of HTS-AT's image."""
DEPTHS = (2, 2, 6, 2)
"""Layers of HTS-AT's stages."""
NARROWEST = 16
"""Width of HTS-AT's first stage below which it tells too little apart."""


def repeated(frames: torch.Tensor, lengths: torch.Tensor, window: int) -> torch.Tensor:
    """(B, T, F) with (B,) lengths to (B, window, F): each row's real frames over and over, 0 where there are none."""
    places = torch.arange(window, device=frames.device)[None] % lengths.clamp_min(1)[:, None]
    filled = frames.gather(1, places[..., None].expand(-1, -1, frames.shape[2]))
    return filled * (lengths > 0)[:, None, None].to(frames.dtype)


class AstBranch(Branch):
    """The Audio Spectrogram Transformer (Gong et al. 2021, arXiv 2104.01778): the mean of its two summary tokens."""

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        super().__init__()
        self.width = settings.width
        patch = min(PATCH, inputs.width, inputs.window)
        stride = min(STRIDE, patch)
        self.frames, self.bands = (_covering(size, patch, stride) for size in (inputs.window, inputs.width))
        config = ASTConfig(
            hidden_size=settings.width,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            intermediate_size=4 * settings.width,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            patch_size=patch,
            time_stride=stride,
            frequency_stride=stride,
            max_length=self.frames,
            num_mel_bins=self.bands,
        )
        self.model = ASTModel(config)
        # At 0, where `transformers` begins, the summary tokens ask nothing of the patches.
        known = self.model.embeddings
        for parameter in (known.cls_token, known.distillation_token, known.position_embeddings):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, batch: Batch) -> torch.Tensor:
        image = repeated(batch.frames, batch.frame_lengths, self.frames)
        image = pad(image, (0, self.bands - image.shape[2]))
        return self.model(image.to(self.model.layernorm.weight.dtype)).pooler_output


class HtsAtBranch(Branch):
    """HTS-AT (Chen et al. 2022, arXiv 2202.00874), the audio tower of CLAP: its pooled last stage.

    It folds time into strips of 64 bands that make a square of 64, 128, 256 (as published) or more, the smallest that
    holds the window, to whose size the window is stretched. Frames are standardised by band before they come here,
    which is what its first batch normalisation is for; it has none here.
    """

    def __init__(self, settings: DiagnoserSettings, inputs: Inputs):
        super().__init__()
        first = max(NARROWEST, settings.width // 2 ** (len(DEPTHS) - 1))
        self.width = first * 2 ** (len(DEPTHS) - 1)
        self.window = inputs.window
        strips = 1
        while MELS * strips**2 < inputs.window:
            strips *= 2
        self.frames = MELS * strips**2
        # Four heads for a width of 96, as published.
        heads = math.gcd(first, max(1, first // 24))
        config = ClapAudioConfig(
            num_mel_bins=MELS,
            spec_size=MELS * strips,
            # The last stage is one window, as published.
            window_size=2 * strips,
            # An even number of layers reaches across windows, which every other one shifts.
            depths=tuple(max(min(settings.layers, 2), settings.layers * depth // sum(DEPTHS)) for depth in DEPTHS),
            num_attention_heads=tuple(heads * 2**stage for stage in range(len(DEPTHS))),
            patch_embeds_hidden_size=first,
            hidden_size=self.width,
            hidden_dropout_prob=0.0,
        )
        self.model = ClapAudioModel(config)
        self.model.audio_encoder.batch_norm = nn.Identity()

    def forward(self, batch: Batch) -> torch.Tensor:
        image = repeated(batch.frames, batch.frame_lengths, self.window)[:, None]
        image = interpolate(image, (self.frames, MELS), mode="bicubic", align_corners=True)
        image = image.to(self.model.audio_encoder.norm.weight.dtype)
        return self.model(input_features=image).pooler_output


def resnet(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """ResNet-18."""
    return _on_image(settings, inputs, ResNet18)


def cnn6(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """CNN6."""
    return _on_image(settings, inputs, Cnn6)


def ast(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """The Audio Spectrogram Transformer."""
    return _on_image(settings, inputs, AstBranch)


def clap(settings: DiagnoserSettings, inputs: Inputs) -> Classifier:
    """CLAP's audio tower."""
    return _on_image(settings, inputs, HtsAtBranch)


def _on_image(settings: DiagnoserSettings, inputs: Inputs, kind: type[Branch]) -> Classifier:
    """Raises UserError if the settings' encoder gives no image."""
    if settings.encoder.kind != "log-mel":
        raise UserError(
            f"the system {settings.system} looks at log-mel, not at features of {settings.encoder.kind}: give "
            "--diagnoser.encoder.kind log-mel"
        )
    branch = kind(settings, inputs)
    return AudioOnly(settings, inputs, branch, nn.Linear(branch.width, len(inputs.labels)))


def _covering(size: int, patch: int, stride: int) -> int:
    """The least size from which patches leave nothing over."""
    return patch + stride * -(-(size - patch) // stride)
