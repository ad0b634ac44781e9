"""Training of a grounder on the training split's events; killed at any step, it goes on to the same weights."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from resp_agent.corpus.dataset import Corpus
from resp_agent.diagnoser.grounding import Grounder, Grounding, load_grounding, phrase_inputs, save_grounding
from resp_agent.diagnoser.grounding_examples import GroundingExamples, Marked
from resp_agent.diagnoser.inputs import Inputs
from resp_agent.diagnoser.model import Weaving
from resp_agent.diagnoser.stored import load_diagnoser, read_settings
from resp_agent.encoders.cache import FeatureCache
from resp_agent.errors import UserError
from resp_agent.randomness import seed_of
from resp_agent.settings import Settings, fingerprint
from resp_agent.settings.grounding import GroundingSettings
from resp_agent.training.checkpoints import digests, read_progress, write_whole
from resp_agent.training.engine import AVERAGED, Engine
from resp_agent.training.fit import fit, scheduled
from resp_agent.training.unfinished import Unfinished

_FRESH = ("words.", "head.", "adversary.")
"""Weights of a diagnoser that a grounder has no use for: it reads other words, names no label and hears no clips."""


def settings_of(settings: Settings, diagnoser: Path | None) -> Settings:
    """The settings with audio and sizes as the diagnoser that training starts from has them, where there is one."""
    if diagnoser is None:
        sizes = replace(settings.diagnoser, system="weaving", text_model=None)
        return replace(settings, diagnoser=sizes)
    stored = read_settings(diagnoser)
    return replace(settings, audio=stored.audio, diagnoser=replace(stored.diagnoser, stem_weights=None))


class GroundingLearner:
    """One rank of a grounder's training."""

    def __init__(
        self,
        settings: Settings,
        grounding: GroundingSettings,
        corpus: Corpus,
        cache: FeatureCache,
        diagnoser: Path | None = None,
    ):
        """Reads the training split.

        Args:
            settings: as `settings_of` gives them.
            cache: of the encoder that they name.
            diagnoser: the folder of a diagnoser to start from; by default from random weights.

        Raises:
            UserError: the corpus marks no events, or the diagnoser is of another kind.
        """
        cache.ensure(corpus, ("train",))
        train = corpus.descriptions("train")
        if not any(one.events for one in train):
            raise UserError(
                f"no training recording of the corpus {corpus.path} has marked events, so nothing says where a sound "
                "is: give one with events, such as embedded, sprsound, icbhi or hflung"
            )
        start = _start(diagnoser)
        if start is None:
            hears = cache.encoder.frame_ms, settings.audio.clip_s
            inputs = Inputs.fit(train, cache.frames, corpus.labels, corpus.styles, settings.diagnoser, *hears)
        else:
            inputs = start[1]
        marked = [Marked(cache.frames(one.id), one.events) for one in train]
        self.settings, self.inputs = settings, phrase_inputs(inputs, [one.frames for one in marked])
        power = settings.diagnoser.encoder.kind == "log-mel"
        seed = (settings.seed, "grounding")
        self._examples = GroundingExamples(self.inputs, grounding, seed, marked, settings.diagnoser.token_ms, power)
        torch.manual_seed(seed_of(*seed, "weights") % 2**63)
        model = Grounder(settings.diagnoser, self.inputs)
        if start is not None:
            kept = {name: value for name, value in start[0].state_dict().items() if not name.startswith(_FRESH)}
            model.woven.load_state_dict(model.woven.state_dict() | kept)
        weights = fingerprint(*digests(diagnoser).values()) if diagnoser else ""
        self._identity = fingerprint(
            settings.audio, settings.diagnoser, grounding, settings.seed, settings.threads, corpus.fingerprint, weights
        )
        self._engine = Engine(model, grounding.training)

    @property
    def taught(self) -> tuple[str, ...]:
        """Names of the sounds that the training split holds."""
        return tuple(sound.name for sound in self._examples.taught)

    def train(self, folder: Path, told: Callable[[dict], None] = lambda news: None) -> Grounding:
        """Trains into `folder`, which is whole or not there; what is there already is only read.

        A training that was killed goes on from the checkpoint beside it. `told` hears of every step (`step`, `loss`).

        Raises:
            UserError: `folder` holds a grounder of other settings, of another corpus or of another start.
            RunFailed: a loss is not finite.
        """
        training = self._examples.settings.training
        unfinished = Unfinished(self._engine, folder)
        for place in (folder, unfinished.folder):
            found = read_progress(place)
            if found and found["identity"] != self._identity:
                raise UserError(
                    f"{place} holds a grounder of other settings, of another corpus or of another start: give another "
                    "--out, or remove it"
                )
        if read_progress(folder):
            return load_grounding(folder)
        progress = unfinished.resume() or {"step": 0, "losses": []}
        losses = list(progress["losses"])

        def after_step(step: int, loss: float) -> None:
            losses.append(loss)
            told({"step": step, "loss": loss})
            if step % training.checkpoint_every == 0 and step < training.steps:
                unfinished.save(self._progress(step, losses))

        fit(self._engine, self._examples, progress["step"], training.steps, scheduled(training), after_step)
        write_whole(folder, self._write, self._progress(training.steps, losses))
        unfinished.remove()
        return load_grounding(folder)

    def _progress(self, step: int, losses: list[float]) -> dict:
        return {"identity": self._identity, "step": step, "losses": losses}

    def _write(self, folder: Path) -> None:
        weights = self._engine.averaged()
        if self._engine.rank == 0:
            save_file({name: value.contiguous() for name, value in weights.items()}, folder / AVERAGED)
            save_grounding(folder, self.inputs, self.settings, self.taught)


def _start(diagnoser: Path | None) -> tuple[Weaving, Inputs] | None:
    if diagnoser is None:
        return None
    model, inputs, _ = load_diagnoser(diagnoser)
    if not isinstance(model, Weaving):
        raise UserError(
            f"the diagnoser in {diagnoser} is a {model.settings.system} that a grounder cannot start from: give one of "
            "system weaving without a text model, or leave --diagnoser out"
        )
    return model, inputs
