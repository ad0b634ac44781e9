"""The released generator from end to end: a style reference and a disease to units, to log-mel, to audio at 24 kHz."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from resp_agent.audio.filter_bank import HOP
from resp_agent.corpus.schema import SAMPLE_RATE_HZ
from resp_agent.encoders.beats import Beats, load_beats
from resp_agent.errors import RunFailed, UserError
from resp_agent.generator.released_flow import ReleasedFlow, load_flow
from resp_agent.generator.released_planner import ReleasedPlanner
from resp_agent.generator.released_planner_files import load_planner
from resp_agent.generator.vocos import Vocos, load_vocos
from resp_agent.randomness import stream
from resp_agent.settings.checks import refuse
from resp_agent.training.distributed import device

RATE_HZ = 24_000
"""Of the audio that is made."""
SHORTEST_S, LONGEST_S = 0.5, 10.0
"""Clips that end by themselves are between these, in seconds; no more of a style reference is heard."""
VOCOS_FILES = ("vocos.safetensors", "vocos.bin")
"""Names that Vocos' weights have in a folder, the first one that is there being read."""


@dataclass(frozen=True)
class ReleasedGenerator:
    """Planner, flow and vocoder of the release, and the encoder that hears the style reference.

    The release makes the beginning of a clip out of the style reference itself. Here the flow gets an empty reference
    log-mel, so that no sound of the reference is in the clip: its style comes from pooled features alone.
    """

    encoder: Beats
    planner: ReleasedPlanner
    flow: ReleasedFlow
    vocos: Vocos

    def __post_init__(self):
        width, planner, flow = self.encoder.settings.width, self.planner.settings, self.flow.settings
        for name, wanted in (("planner", planner.feature_width), ("flow", flow.feature_width)):
            refuse(wanted != width, f"the encoder gives {width} numbers a token and the {name} takes {wanted}")
        bands = self.vocos.sizes.mels
        refuse(bands != flow.mels, f"the flow makes {flow.mels} mel bands and Vocos takes {bands}")
        # A plan may not hold a unit that the flow does not know.
        refuse(
            self.planner.units > flow.units,
            f"the planner writes {self.planner.units} units and the flow knows {flow.units}: take those of one release",
        )

    @classmethod
    def load(cls, folder: Path) -> "ReleasedGenerator":
        """From a folder laid out like the release, or as `resp-agent import-weights` made it; on this process's device.

        Raises:
            UserError: a part is not there, broken, or does not fit the others.
        """
        vocos = next((folder / name for name in VOCOS_FILES if (folder / name).is_file()), None)
        if vocos is None:
            raise UserError(f"{folder} has no {' or '.join(VOCOS_FILES)}: give a folder with the whole generator")
        planner = folder / "planner" if (folder / "planner").is_dir() else folder
        made = cls(load_beats(folder), load_planner(planner), load_flow(folder), load_vocos(vocos))
        for part in (made.encoder, made.planner, made.flow, made.vocos):
            part.to(device())
        return made

    @property
    def units_per_second(self) -> float:
        """All frequency bands counted."""
        return self.encoder.settings.bands * SAMPLE_RATE_HZ / (self.encoder.settings.patch * HOP)

    @torch.inference_mode()
    def synthesize(
        self,
        style: np.ndarray,
        disease: str,
        count: int = 1,
        seed: int = 0,
        duration_s: float | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
    ) -> list[np.ndarray]:
        """Clips of a disease in the style of a recording, float32 in [-1, 1] at 24 kHz; a clip depends on its place
        among them and on the seed alone.

        Args:
            style: (samples,) float32 at 16 kHz.
            disease: as the planner learned it, such as `Asthma`.
            count: clips.
            seed: of units and noise.
            duration_s: length in seconds, to the next unit; None lets the planner end a clip.
            temperature: of the planner; 0 is greedy.
            top_p: smallest set of units whose probabilities reach this.

        Raises:
            UserError: the reference is too short to be heard, or the clips longer than the models can make.
            RunFailed: a clip is not finite.
        """
        refuse(count < 1, f"{count} clips are none: ask for at least 1")
        features = self._heard(style).expand(count, -1, -1)
        least, most = self._lengths(duration_s)
        draws = np.stack([stream(seed, "units", clip).random(most) for clip in range(count)])
        plans = self.planner.write_units(features, [disease] * count, draws, temperature, top_p, least)
        clips: list[np.ndarray | None] = [None] * count
        for length in {len(plan) for plan in plans}:
            members = [clip for clip, plan in enumerate(plans) if len(plan) == length]
            made = self._rendered(np.stack([plans[clip] for clip in members]), features[: len(members)], members, seed)
            for clip, waveform in zip(members, made, strict=True):
                clips[clip] = waveform
        return clips

    def _heard(self, style: np.ndarray) -> torch.Tensor:
        """(1, S, D)."""
        heard = np.ascontiguousarray(style[: round(LONGEST_S * SAMPLE_RATE_HZ)], np.float32)
        shortest = round(SHORTEST_S * SAMPLE_RATE_HZ)
        refuse(heard.ndim != 1, f"a style reference of shape {heard.shape} is not one row of samples")
        refuse(len(heard) < shortest, f"a style reference of {len(heard)} samples is shorter than {SHORTEST_S} s")
        return self.encoder.features(torch.from_numpy(heard)[None].to(device()))

    def _lengths(self, duration_s: float | None) -> tuple[int, int]:
        """Least and most units of a clip."""
        longest = self.flow.settings.positions * self.vocos.sizes.hop / RATE_HZ
        if duration_s is None:
            shortest, longest = SHORTEST_S, min(LONGEST_S, longest)
        else:
            refuse(
                not SHORTEST_S <= duration_s <= longest,
                f"clips of {duration_s:g} s: this generator makes {SHORTEST_S:g} to {longest:g} s",
            )
            shortest = longest = duration_s
        return round(shortest * self.units_per_second), round(longest * self.units_per_second)

    def _rendered(self, plans: np.ndarray, features: torch.Tensor, clips: list[int], seed: int) -> np.ndarray:
        """(B, N) units, (B, S, D) features and the B clips' places -> (B, samples)."""
        settings = self.flow.settings
        seconds = plans.shape[1] / self.units_per_second
        shape = (settings.mels, min(settings.positions, round(seconds * RATE_HZ / self.vocos.sizes.hop)))
        noise = np.stack([stream(seed, "noise", clip).standard_normal(shape, np.float32) for clip in clips])
        x0 = settings.noise * torch.from_numpy(noise).to(features.device)
        units = torch.from_numpy(plans).to(features.device)
        mel = self.flow.denormalised(self.flow.mel(x0, units, features, torch.zeros_like(x0)))
        waveform = self.vocos(mel)
        if not torch.isfinite(waveform).all():
            raise RunFailed("the released generator made audio that is not finite: its weights do not fit one another")
        return waveform.clamp(-1, 1).cpu().numpy()
