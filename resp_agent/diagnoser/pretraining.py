"""One rank of contrastive pretraining: recordings without labels in, a stem for the diagnoser out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from resp_agent.corpus.dataset import Corpus, Description
from resp_agent.curriculum.beacon import Beacon
from resp_agent.diagnoser.contrastive import Contrast, Pairs
from resp_agent.diagnoser.inputs import Inputs, View
from resp_agent.diagnoser.systems.stems import make_stem
from resp_agent.encoders.cache import open_cache
from resp_agent.errors import UserError
from resp_agent.randomness import seed_of
from resp_agent.settings import PretrainingSettings, Settings
from resp_agent.training.checkpoints import write_whole
from resp_agent.training.engine import Engine
from resp_agent.training.fit import fit, warm_linear
from resp_agent.training.unfinished import Unfinished

STEM, RECIPE = "stem.safetensors", "pretraining.json"


class Pretrainer:
    """Holds the stem, its engine and the recordings."""

    def __init__(
        self, settings: Settings, pretraining: PretrainingSettings, corpus: Path, beacon: Beacon, features: Path
    ):
        """`settings.diagnoser` says what the stem is; `features` is the folder of a `FeatureCache`.

        Raises:
            UserError: the splits hold no two patients, or the crop is shorter than an audio token.
        """
        self._settings, self._pretraining, self._beacon = settings, pretraining, beacon
        diagnoser = settings.diagnoser
        if pretraining.crop_s * 1000 < diagnoser.token_ms:
            raise UserError(
                f"a crop of {pretraining.crop_s} s is shorter than an audio token of {diagnoser.token_ms:g} ms: "
                "raise --pretraining.crop-s"
            )
        opened = Corpus.open(corpus)
        cache = open_cache(features, diagnoser.encoder, settings.audio)
        cache.ensure(opened, pretraining.splits, tell=lambda what, done, total: beacon.at(f"{what} {done} of {total}"))
        heard = [one for split in pretraining.splits for one in opened.descriptions(split)]
        names = opened.labels, opened.styles
        self.inputs = Inputs.fit(heard, cache.frames, *names, diagnoser, cache.encoder.frame_ms, settings.audio.clip_s)
        self.recordings = len(heard)
        views = {one.id: View(self.inputs.example(one, cache.frames(one.id))) for one in heard}
        self._pairs = Pairs(
            self.inputs,
            pretraining,
            (settings.seed, "pretraining"),
            _by_patient(heard, views),
            log_mel=diagnoser.encoder.kind == "log-mel",
        )
        torch.manual_seed(seed_of(settings.seed, "pretraining", "weights") % 2**63)
        stem = make_stem(diagnoser.audio_stem, diagnoser, self.inputs, diagnoser.width)
        self._engine = Engine(Contrast(stem, diagnoser.width, pretraining.temperature), pretraining.training)

    def train(self, folder: Path, told: Callable[[dict], None] = lambda news: None) -> None:
        """Trains into `folder`, from the last checkpoint that a killed training left, or from scratch.

        The folder gets `stem.safetensors`, the averaged weights of the stem, and `pretraining.json`.
        """
        training = self._pretraining.training
        unfinished = Unfinished(self._engine, folder)
        progress = unfinished.resume() or {"step": 0, "losses": []}
        losses, rate = list(progress["losses"]), warm_linear(training)

        def after_step(step: int, loss: float) -> None:
            losses.append(loss)
            self._beacon.at("pretraining", step=step)
            told({"step": step, "loss": loss, "learning_rate": rate(step - 1)})
            if step % training.checkpoint_every == 0 and step < training.steps:
                unfinished.save({"step": step, "losses": losses})

        fit(self._engine, self._pairs, progress["step"], training.steps, rate, after_step)
        write_whole(folder, self._write, {"step": training.steps, "losses": losses})
        unfinished.remove()

    def _write(self, folder: Path) -> None:
        weights = self._engine.averaged()
        if self._engine.rank == 0:
            own = "stem."
            stem = {name.removeprefix(own): value for name, value in weights.items() if name.startswith(own)}
            save_file({name: value.contiguous() for name, value in stem.items()}, folder / STEM)
            recipe = {"diagnoser": asdict(self._settings.diagnoser), "pretraining": asdict(self._pretraining)}
            (folder / RECIPE).write_text(json.dumps(recipe | {"recordings": self.recordings}, indent=1))


def _by_patient(heard: Sequence[Description], views: dict[str, View]) -> list[list[View]]:
    by_patient: dict[str, list[View]] = {}
    for one in heard:
        by_patient.setdefault(one.patient_id, []).append(views[one.id])
    if len(by_patient) < 2:
        raise UserError(
            f"pretraining tells recordings of different patients apart, and these splits hold {len(by_patient)}: add "
            "recordings, or name more splits with --pretraining.splits"
        )
    return list(by_patient.values())
