"""One rank of the diagnoser: it trains first, learns in rounds, assesses, and leaves checkpoints."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch

from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import from_table
from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.vetoes import read_vetoes
from resp_agent.diagnoser.batches import Batches
from resp_agent.diagnoser.classifier import Classifier
from resp_agent.diagnoser.inputs import Example, Inputs
from resp_agent.diagnoser.scoring import fit_temperature, score, softmax
from resp_agent.diagnoser.stored import write_settings
from resp_agent.diagnoser.systems import build
from resp_agent.encoders.cache import open_cache
from resp_agent.randomness import seed_of
from resp_agent.settings import Settings
from resp_agent.storage import fetch
from resp_agent.training.checkpoints import read_progress, verify, write_whole
from resp_agent.training.distributed import device, gather
from resp_agent.training.engine import Engine
from resp_agent.training.fit import fit, scheduled
from resp_agent.training.looks import Looks
from resp_agent.training.unfinished import Unfinished


@dataclass(frozen=True)
class Checkpoint:
    """A folder and what its files were when they were written."""

    folder: str
    digests: dict[str, str]


@dataclass(frozen=True)
class Lesson:
    """A round of learning. Complete in itself: any gang can do it, at first or again."""

    seed: int
    """The episode's: it moves the order of batches."""
    round: int
    start: Checkpoint
    shards: tuple[str, ...]
    """Parquet files of all clips so far."""
    save_to: str


class Learner:
    """Holds the model, its engine and the real recordings for as long as it lives."""

    def __init__(self, settings: Settings, corpus: Path, beacon: Beacon, features: Path):
        """`features` is the folder of a `FeatureCache`, which ranks and other runs share."""
        self._settings = settings
        self._beacon = beacon
        self._corpus = Corpus.open(corpus)
        diagnoser = settings.diagnoser
        self._cache = open_cache(features, diagnoser.encoder, settings.audio)
        self._cache.ensure(self._corpus, ("train", "valid"), tell=self._tell)
        train, valid = self._corpus.descriptions("train"), self._corpus.descriptions("valid")
        names = self._corpus.labels, self._corpus.styles
        hears = self._cache.encoder.frame_ms, settings.audio.clip_s
        self.inputs = Inputs.fit(train, self._cache.frames, *names, diagnoser, *hears)
        self._train = [self.inputs.example(one, self._cache.frames(one.id)) for one in train]
        self._valid = [self.inputs.example(one, self._cache.frames(one.id)) for one in valid]
        self._clips: dict[str, list[Example]] = {}
        self._at: Checkpoint | None = None
        torch.manual_seed(seed_of(settings.seed, "diagnoser", "weights") % 2**63)
        self._engine = Engine(build(diagnoser, self.inputs), diagnoser.training)

    @property
    def rank(self) -> int:
        """Which of the ranks this is."""
        return self._engine.rank

    def first_train(self, folder: str, told: Callable[[dict], None] = lambda news: None) -> Checkpoint:
        """Trains on real recordings alone, from the last checkpoint that a killed training left, or from scratch.

        Where the settings ask for looks at validation, the checkpoint is that of the best one. `told` hears of every
        step (`step`, `loss`, `learning_rate`) and of every look (`step`, `macro_f1`).
        """
        folder, training = Path(folder), self._settings.diagnoser.training
        batches, rate = self._batches(("first",), [], 0.0), scheduled(training)
        unfinished = Unfinished(self._engine, folder)
        progress = unfinished.resume() or {"step": 0, "losses": [], "looks": []}
        losses, looks = list(progress["losses"]), Looks(folder, training.patience, progress["looks"])

        def after_step(step: int, loss: float) -> bool:
            losses.append(loss)
            self._beacon.at("first training", step=step)
            told({"step": step, "loss": loss, "learning_rate": rate(step - 1)})
            last = step == training.steps
            if training.validate_every and (last or step % training.validate_every == 0):
                told({"step": step, "macro_f1": self._look(looks, step)})
            if step % training.checkpoint_every == 0 and not (last or looks.over):
                self._beacon.at("checkpointing first training", step=step)
                unfinished.save({"step": step, "losses": losses, "looks": looks.scores})
                looks.tidy()
            return looks.over

        fit(self._engine, batches, progress["step"], training.steps, rate, after_step, batches.seed)
        self._beacon.at("checkpointing first training", step=len(losses))
        if looks.scores:
            # The engine stands at the last step, and the checkpoint is of the best one.
            self._at = None
            checkpoint = Checkpoint(str(folder), looks.publish({"losses": losses, "looks": looks.scores}))
            looks.forget()
        else:
            checkpoint = self._checkpoint(folder, training.steps, losses)[0]
        unfinished.remove()
        return checkpoint

    def _look(self, looks: Looks, step: int) -> float:
        """Macro-F1 of the averaged weights on validation, noted with a checkpoint if it is the best so far."""
        self._beacon.at("looking at validation", step=step)
        assessment = self._assess(self._averaged(), ())
        looks.add(step, assessment.macro_f1, self._write, {"temperature": assessment.temperature})
        return assessment.macro_f1

    def learn(self, lesson: Lesson) -> tuple[Checkpoint, Assessment]:
        """Fine-tunes from the lesson's start on real recordings and its clips, assesses, and writes a checkpoint."""
        curriculum = self._settings.curriculum
        self._go_to(lesson.start)
        clips = self._read_clips(lesson.shards)
        batches = self._batches(("episode", lesson.seed), clips, curriculum.synthetic_share)
        first = (lesson.round - 1) * curriculum.steps_per_round
        losses = fit(
            self._engine,
            batches,
            first,
            first + curriculum.steps_per_round,
            lambda step: curriculum.learning_rate,
            lambda step, loss: self._beacon.at("learning", round=lesson.round, step=step),
            batches.seed,
        )
        self._beacon.at("checkpointing", round=lesson.round)
        steps = self._settings.diagnoser.training.steps + first + curriculum.steps_per_round
        return self._checkpoint(Path(lesson.save_to), steps, losses)

    def assess(self, checkpoint: Checkpoint) -> Assessment:
        """What a checkpoint scores on validation, with the losses that led to it."""
        self._beacon.at("assessing")
        self._go_to(checkpoint)
        progress = read_progress(Path(checkpoint.folder))
        assessment = self._assess(self._averaged(), tuple(progress["losses"]))
        self._beacon.at("waiting")
        return assessment

    def _checkpoint(self, folder: Path, steps: int, losses: list[float]) -> tuple[Checkpoint, Assessment]:
        model = self._averaged()
        assessment = self._assess(model, tuple(losses))
        progress = {"step": steps, "losses": losses, "temperature": assessment.temperature}
        written = write_whole(folder, self._write, progress)
        self._at = Checkpoint(str(folder), written)
        self._beacon.at("waiting")
        return self._at, assessment

    def close(self) -> None:
        """Nothing to let go of but memory."""

    def _write(self, folder: Path) -> None:
        self._engine.save(folder)
        if self._engine.rank == 0:
            self.inputs.save(folder)
            write_settings(folder, self._settings)

    def _go_to(self, checkpoint: Checkpoint) -> None:
        if self._at != checkpoint:
            verify(Path(checkpoint.folder), checkpoint.digests)
            self._engine.load(Path(checkpoint.folder))
            self._at = checkpoint

    def _read_clips(self, shards: tuple[str, ...]) -> list[Example]:
        for path in shards:
            if path not in self._clips:
                clips = from_table(pq.read_table(fetch(Path(path))))
                frames = self._cache.encode([clip.waveform for clip in clips])
                self._clips[path] = [self.inputs.example(*pair) for pair in zip(clips, frames, strict=True)]
        self._clips = {path: self._clips[path] for path in shards}
        # Read anew each time: people listen while a run goes on.
        vetoed = {clip for folder in {Path(path).parents[1] for path in shards} for clip in read_vetoes(folder)}
        return [example for path in shards for example in self._clips[path] if example.id not in vetoed]

    def _tell(self, what: str, done: int, total: int) -> None:
        self._beacon.at(f"{what} {done} of {total} recordings" if done < total else "waiting")

    def _batches(self, name: tuple, clips: list[Example], share: float) -> Batches:
        model, seed = self._engine.model, (self._settings.seed, "diagnoser", *name)
        return Batches(self.inputs, self._settings.diagnoser, seed, self._train, clips, share, model.hears, model.reads)

    def _averaged(self) -> Classifier:
        model = build(self._settings.diagnoser, self.inputs, weights_follow=True)
        model.load_state_dict(self._engine.averaged())
        return model.to(device())

    def _assess(self, model: Classifier, losses: tuple[float, ...]) -> Assessment:
        rank, world = self._engine.rank, self._engine.world
        # Contiguous shares keep the order of the split when gathered.
        bounds = np.linspace(0, len(self._valid), world + 1).astype(int)
        own = score(model, self.inputs, self._valid[bounds[rank] : bounds[rank + 1]])
        logits = gather(torch.from_numpy(own).to(device())).cpu().numpy()
        truth = np.array([example.label for example in self._valid])
        temperature = fit_temperature(logits, truth)
        return make_assessment("valid", self.inputs, self._valid, logits, temperature, self._train, losses)


def make_assessment(
    split: str,
    inputs: Inputs,
    examples: list[Example],
    logits: np.ndarray,
    temperature: float,
    train: list[Example],
    losses: tuple[float, ...] = (),
) -> Assessment:
    """The assessment of a split from its (N, C) logits."""
    counts = np.zeros((len(inputs.labels), len(inputs.styles)), int)
    for example in train:
        counts[example.label, example.style] += 1
    return Assessment(
        split=split,
        labels=inputs.labels,
        styles=inputs.styles,
        ids=tuple(example.id for example in examples),
        truth=np.array([example.label for example in examples]),
        style=np.array([example.style for example in examples]),
        probabilities=softmax(logits, temperature),
        temperature=temperature,
        train_counts=tuple(counts.ravel().tolist()),
        losses=losses,
    )
