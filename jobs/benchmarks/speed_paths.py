"""Two paths of the diagnoser to be timed: the release's, and this project's."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_model
from torch import nn
from transformers import LongformerConfig, LongformerForSequenceClassification

from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.diagnoser.classifier import Batch, Classifier
from resp_agent.diagnoser.inputs import Example, Inputs, View
from resp_agent.diagnoser.longformer import Longformer, LongformerSettings
from resp_agent.diagnoser.woven_longformer import WovenLongformer
from resp_agent.encoders.beats import BeatsFeatures
from resp_agent.encoders.beats_model import Beats
from resp_agent.randomness import stream
from resp_agent.settings import DiagnoserSettings, EncoderSettings
from resp_agent.taxonomy import LABELS
from resp_agent.training.distributed import device, on_device

CLIP_S, SLOTS, ANCHOR_STRIDE = 10.0, 496, 4
"""The release hears 10 s, which are 496 slots; every fourth of them is an anchor."""
MEAN_S, SHAPE = 6.2, 4.0
"""Lengths of clips: a gamma distribution of this shape about the mean of the corpus' training split (Resp-229k)."""
SHORTEST_S = 1.0
TEXT_TOKENS = (48, 128)
"""Fewest and most tokens of a narrative; the release cuts it off at 128."""


WORDS = 50_265
"""Tokens of the paper's text model."""


@dataclass(frozen=True)
class Sizes:
    """What both paths are made of."""

    layers: int
    width: int
    heads: int
    window: int
    anchor_ms: int


@dataclass(frozen=True)
class Clip:
    """A made-up recording with a narrative."""

    waveform: np.ndarray
    text: tuple[int, ...]
    label: int


def make_clips(count: int, seed: int) -> list[Clip]:
    """Clips with the corpus' distribution of lengths, noise in them, and as long narratives as the paper's."""
    rng = stream("speed", seed)
    clips = []
    for _ in range(count):
        seconds = max(SHORTEST_S, rng.gamma(SHAPE, MEAN_S / SHAPE))
        waveform = 0.1 * rng.standard_normal(round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
        text = rng.integers(4, WORDS, size=rng.integers(TEXT_TOKENS[0], TEXT_TOKENS[1] + 1))
        clips.append(Clip(waveform, tuple(text.tolist()), int(rng.integers(len(LABELS)))))
    return clips


class Reference(nn.Module):
    """The release's path: clips padded to 10 s, 496 slots, a row of at most 627 tokens."""

    def __init__(self, sizes: Sizes, beats: Beats):
        super().__init__()
        # Not a submodule: it is frozen.
        self.encoders = [beats]
        config = LongformerConfig(
            vocab_size=WORDS,
            hidden_size=sizes.width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            intermediate_size=4 * sizes.width,
            attention_window=[sizes.window] * sizes.layers,
            max_position_embeddings=4098,
            type_vocab_size=1,
            num_labels=len(LABELS),
            bos_token_id=0,
            pad_token_id=1,
            eos_token_id=2,
        )
        self.longformer = LongformerForSequenceClassification(config)
        self.longformer.gradient_checkpointing_enable()
        self.projection_layer = nn.Linear(sizes.width, sizes.width)

    def forward(self, clips: list[Clip]):
        """transformers' output for a batch, with the loss."""
        target = self.projection_layer.weight.device
        heard = torch.zeros(len(clips), round(CLIP_S * SAMPLE_RATE_HZ))
        for row, clip in enumerate(clips):
            part = clip.waveform[: heard.shape[1]]
            heard[row, : len(part)] = torch.from_numpy(part)
        with torch.no_grad():
            features = self.encoders[0].features(heard.to(target))
        audio = self.projection_layer(features)
        texts = [torch.tensor((0, 3, *clip.text)) for clip in clips]
        longest = max(map(len, texts)) + SLOTS + 1
        ids = torch.ones(len(clips), longest, dtype=torch.long)
        real, wide = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, text in enumerate(texts):
            first, last = len(text), len(text) + SLOTS
            ids[row, :first], ids[row, last] = text, 2
            real[row, : last + 1] = 1
            wide[row, :2] = 1
            wide[row, first:last:ANCHOR_STRIDE] = 1
        ids, real, wide = (one.to(target) for one in (ids, real, wide))
        embedded = self.longformer.longformer.embeddings.word_embeddings(ids)
        slots = torch.arange(SLOTS, device=target)
        index = torch.tensor([len(text) for text in texts], device=target)[:, None] + slots
        embedded = embedded.scatter(1, index[..., None].expand(-1, -1, embedded.shape[-1]), audio)
        labels = torch.tensor([clip.label for clip in clips], device=target)
        return self.longformer(inputs_embeds=embedded, attention_mask=real, global_attention_mask=wide, labels=labels)


class Ours:
    """This project's path: clips in their true length, a token for each moment, exact dense attention."""

    def __init__(self, sizes: Sizes, beats: Beats, place: Path):
        self.encoder = BeatsFeatures(beats, CLIP_S, shifts=160 // sizes.anchor_ms)
        frame_ms, width = self.encoder.frame_ms, self.encoder.width
        longformer = LongformerSettings(
            vocab_size=WORDS,
            hidden_size=sizes.width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            intermediate_size=4 * sizes.width,
            attention_window=sizes.window,
        )
        _store(Longformer(longformer), longformer, place)
        settings = DiagnoserSettings(
            encoder=EncoderSettings(kind="beats", weights="random", shifts=160 // sizes.anchor_ms),
            text_model=str(place),
            audio_stem="projection",
            width=sizes.width,
            heads=sizes.heads,
            layers=sizes.layers,
            token_ms=frame_ms,
            anchor_ms=frame_ms,
            window_ms=sizes.window * frame_ms,
        )
        self.inputs = Inputs(
            frame_ms,
            round(CLIP_S * 1000 / frame_ms),
            LABELS,
            ("style",),
            (0.0,) * width,
            (1.0,) * width,
            (1,) * len(LABELS),
            ("[UNK]",),
            settings.text_tokens,
            text_config=(place / "config.json").read_text(),
        )
        self.model: Classifier = WovenLongformer(settings, self.inputs)

    def examples(self, clips: list[Clip]) -> list[Example]:
        """Encodes clips, each in its true length."""
        frames = self.encoder.encode([clip.waveform for clip in clips])
        return [
            Example(str(row), part, clip.text, clip.label, 0)
            for row, (clip, part) in enumerate(zip(clips, frames, strict=True))
        ]

    def batch(self, examples: list[Example]) -> Batch:
        """The first window of each, as a training step takes one."""
        return on_device(self.inputs.collate([View(example) for example in examples]), device())

    def diagnose(self, clips: list[Clip]) -> torch.Tensor:
        """(windows, C) logits of all windows of the clips: nothing of a long one is left out."""
        views = [view for example in self.examples(clips) for view in self.inputs.windows(example)]
        return self.model.logits(on_device(self.inputs.collate(views), device()))


def _store(model: Longformer, sizes: LongformerSettings, place: Path) -> None:
    plain = {name: getattr(sizes, name) for name in sizes.__dataclass_fields__}
    (place / "config.json").write_text(json.dumps(plain | {"model_type": "longformer", "hidden_act": "gelu"}))
    save_model(model, str(place / "model.safetensors"))
