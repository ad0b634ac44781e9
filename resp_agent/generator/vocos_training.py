"""Training of a Vocos on the training split's log-mels; killed at any step, it goes on to the same weights."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from resp_agent.audio.features import fft_size, hop_samples, log_mel
from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Recording
from resp_agent.curriculum.beacon import Beacon
from resp_agent.errors import RunFailed, UserError
from resp_agent.generator.spectral_losses import spectral_distance
from resp_agent.generator.vocos import Vocos, VocosSizes, load_vocos, save_vocos
from resp_agent.randomness import seed_of, stream
from resp_agent.settings import AudioSettings, VocoderSettings, fingerprint
from resp_agent.storage import fetch
from resp_agent.training.checkpoints import digests, read_progress, verify, write_whole
from resp_agent.training.engine import Engine
from resp_agent.training.fit import fit, scheduled
from resp_agent.training.unfinished import Unfinished

WEIGHTS, RECIPE = "vocos.safetensors", "vocoder.json"
OWN = "vocoder"
"""Folder of a generator's own, below the generator's."""
_MODEL = "vocos."
_SCALE = 32.0
"""What a Vocos' output is multiplied by: the loudest bins of a clip stay far below the largest that it can write."""


@dataclass(frozen=True)
class Crop:
    """A piece of a recording, and what is done to its log-mel."""

    waveform: np.ndarray
    """(samples,) float32 at 16 kHz."""
    perturbation: np.ndarray
    """(T, M) that is added to its log-mel."""


class Crops:
    """The curriculum of a vocoder: pieces of recordings from anywhere, each recording equally often."""

    def __init__(self, vocoder: VocoderSettings, audio: AudioSettings, seed: int, waveforms: Sequence[np.ndarray]):
        self._settings, self._audio, self._seed, self._waveforms = vocoder, audio, seed, waveforms
        self.frames = round(vocoder.segment_s * SAMPLE_RATE_HZ / hop_samples(audio))

    def examples(self, step: int) -> list[Crop]:
        """The batch of a step."""
        rng = stream(self._seed, "vocoder", "step", step)
        return [self._crop(rng) for _ in range(self._settings.training.batch)]

    def collate(self, examples: Sequence[Crop]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, samples) waveforms, (B, T, M) perturbations."""
        waveforms = np.stack([one.waveform for one in examples])
        return torch.from_numpy(waveforms), torch.from_numpy(np.stack([one.perturbation for one in examples]))

    def _crop(self, rng: np.random.Generator) -> Crop:
        samples = self.frames * hop_samples(self._audio)
        whole = self._waveforms[rng.integers(len(self._waveforms))]
        start = rng.integers(max(len(whole) - samples, 0) + 1)
        piece = whole[start : start + samples].astype(np.float32)
        noise = rng.standard_normal((self.frames, self._audio.mels), np.float32)
        spread = np.float32(self._settings.perturbation * rng.random())
        return Crop(np.pad(piece, (0, samples - len(piece))), spread * noise)


def render(model: Vocos, log_mel: torch.Tensor) -> torch.Tensor:
    """(B, T, M) log-mel -> (B, T hop) audio, by a Vocos that knows no level: it is taken out before and put back after.

    A clip that is louder by so many dB thus sounds the same, louder by so many dB.
    """
    level = log_mel.mean((1, 2), keepdim=True)
    return model((log_mel - level).transpose(1, 2)) * (_SCALE * (level[:, :, 0] / 2).exp())


class CopySynthesis(nn.Module):
    """A Vocos under training: its forward gives the loss of copies made from log-mels alone."""

    def __init__(self, vocoder: VocoderSettings, audio: AudioSettings):
        super().__init__()
        self._settings, self._audio = vocoder, audio
        self.vocos = Vocos(sizes_of(vocoder, audio))

    def forward(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Mean loss of (B, samples) waveforms and (B, T, M) perturbations of their log-mels.

        Spectra are compared with the recording's; the log-mel with that which was given, perturbed as it is, since a
        generated one is to be kept as it is too.
        """
        waveform, perturbation = batch
        given = log_mel(waveform, self._audio) + perturbation
        made = render(self.vocos, given)
        distance = spectral_distance(made, waveform, self._settings.resolutions_ms)
        mel = (log_mel(made, self._audio) - given).abs().mean((1, 2))
        chosen = self._settings
        losses = chosen.convergence_weight * distance.convergence + chosen.magnitude_weight * distance.magnitude
        return (losses + chosen.mel_weight * mel).mean()


def sizes_of(vocoder: VocoderSettings, audio: AudioSettings) -> VocosSizes:
    """The sizes of a Vocos for those log-mels.

    Raises:
        UserError: its window is shorter than two hops, or cannot be centred on a hop.
    """
    fft, hop = vocoder.fft or fft_size(audio), hop_samples(audio)
    return VocosSizes(audio.mels, vocoder.width, vocoder.inner, vocoder.layers, fft, hop, edges="same")


def vocoder_fingerprint(
    vocoder: VocoderSettings, audio: AudioSettings, seed: int, recordings: Sequence[Recording]
) -> str:
    """What names a trained vocoder: its settings, its seed and its recordings, not its bits."""
    return fingerprint(sizes_and_training(vocoder), audio, seed, [one.id for one in recordings])


def sizes_and_training(vocoder: VocoderSettings) -> VocoderSettings:
    """What of the settings a trained Vocos depends on: not where another one lies."""
    return replace(vocoder, kind="vocos", trained=None)


def train_vocoder(
    vocoder: VocoderSettings,
    audio: AudioSettings,
    seed: int,
    recordings: Sequence[Recording],
    folder: Path,
    progress: Beacon | None = None,
    log: Callable[[dict], None] | None = None,
) -> str:
    """Trains a Vocos on recordings into `folder`, which is whole or not there; does nothing where it is there.

    A training that was killed goes on from the checkpoint beside it and ends with the same bits. `progress` shows
    where it stands; `log` is told of every step as by `train_generator`. All ranks call it together.

    Returns:
        The vocoder's fingerprint.

    Raises:
        UserError: there is no recording, or the sizes do not fit the log-mels.
        RunFailed: a loss is not finite, or the folder holds another vocoder.
    """
    folder, name = Path(folder), vocoder_fingerprint(vocoder, audio, seed, recordings)
    training = vocoder.training
    if read_progress(folder):
        _refuse_other(folder, name)
        return name
    if not recordings:
        raise UserError("a vocoder learns from recordings, and there are none: give a corpus with a training split")
    crops = Crops(vocoder, audio, seed, [one.waveform for one in recordings])
    if crops.frames < 1:
        raise UserError(f"a crop of {vocoder.segment_s} s is shorter than a hop of {audio.hop_ms} ms: give longer ones")
    torch.manual_seed(seed_of(seed, "vocoder", "weights") % 2**63)
    engine = Engine(CopySynthesis(vocoder, audio), training)
    unfinished, rate = Unfinished(engine, folder), scheduled(training)
    if read_progress(unfinished.folder):
        _refuse_other(unfinished.folder, name)
    start = unfinished.resume() or {"step": 0}

    def after_step(step: int, loss: float) -> None:
        if progress:
            progress.at("training vocoder", step=step)
        if log:
            place = {"part": "vocoder", "step": step, "steps": training.steps}
            log(place | {"loss": loss, "learning_rate": rate(step - 1)})
        if step % training.checkpoint_every == 0 and step < training.steps:
            unfinished.save({"step": step, "fingerprint": name})

    def save(partial: Path) -> None:
        weights = engine.averaged()
        if engine.rank == 0:
            model = Vocos(sizes_of(vocoder, audio))
            model.load_state_dict({key.removeprefix(_MODEL): value for key, value in weights.items()})
            save_vocos(model, partial / WEIGHTS)
            learned = sizes_and_training(vocoder)
            recipe = {"vocoder": asdict(learned), "audio": asdict(audio), "seed": seed, "recordings": len(recordings)}
            (partial / RECIPE).write_text(json.dumps(recipe, indent=1))

    fit(engine, crops, start["step"], training.steps, rate, after_step)
    write_whole(folder, save, {"step": training.steps, "fingerprint": name})
    unfinished.remove()
    return name


def name_of(folder: Path) -> str:
    """The fingerprint of the vocoder in a folder.

    Raises:
        UserError: there is no whole one.
    """
    stored = read_progress(folder)
    if not stored or not fetch(folder / RECIPE).is_file():
        raise UserError(f"{folder} holds no trained vocoder: train one there first, by resp-agent train vocoder")
    return stored["fingerprint"]


def load_vocoder(folder: Path, audio: AudioSettings) -> Vocos:
    """The Vocos that `train_vocoder` left, float32 on the CPU, ready to use; `audio` tells the log-mels it is given.

    Raises:
        UserError: there is no whole vocoder there, or one that was trained on other log-mels.
        CorruptCheckpoint: a file is not what was written.
    """
    name_of(folder)
    verify(folder, digests(folder))
    learned = json.loads((folder / RECIPE).read_text())["audio"]
    # How long a clip is does not matter: any number of frames is made heard.
    other = [key for key, value in asdict(audio).items() if key != "clip_s" and learned[key] != value]
    if other:
        told = ", ".join(f"{key} of {learned[key]:g} and not {getattr(audio, key):g}" for key in other)
        raise UserError(f"the vocoder in {folder} was trained on log-mels with {told}: train one on these")
    return load_vocos(folder / WEIGHTS)


def _refuse_other(folder: Path, name: str) -> None:
    stored = (read_progress(folder) or {}).get("fingerprint")
    if stored != name:
        raise RunFailed(
            f"{folder} holds the vocoder {stored}, which is not {name} (other settings or another corpus): give "
            "another folder, or remove it"
        )
