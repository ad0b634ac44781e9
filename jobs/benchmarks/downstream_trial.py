"""A trial of what clips are worth: one source of clips, used in one way, on one seed."""

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path

import gymnasium

from jobs.playing import Playing
from resp_agent import __version__
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.judge import Judge
from resp_agent.curriculum.request import Request
from resp_agent.durable import write_atomic
from resp_agent.randomness import seed_of
from resp_agent.settings import CurriculumSettings, Settings, fingerprint, to_plain
from resp_agent.storage import fetch, remove

POOL = "pool"
"""The way of use in which all clips are given at once."""


@dataclass(frozen=True)
class Source:
    """Where clips come from, and how they reach the diagnoser."""

    title: str
    generator: str
    """Kind of generator."""
    use: str
    """A policy of the curriculum, `none`, or `pool`."""
    per_cell: int = 0
    """Clips of each label and style in a pool."""
    invents: bool = True
    """Whether clips are of invented patients, if the settings say so, or of those whose content is heard."""


@dataclass(frozen=True)
class Trial:
    """What is tried, and where its result is kept."""

    settings: Settings
    source: Source
    folders: Folders

    @property
    def chosen(self) -> Settings:
        """The settings with the source's generator and, for a pool, one long round."""
        curriculum = self.settings.curriculum
        if self.source.use == POOL:
            steps = curriculum.rounds * curriculum.steps_per_round
            curriculum = CurriculumSettings(rounds=1, steps_per_round=steps, learning_rate=curriculum.learning_rate)
        generator = dataclasses.replace(self.settings.generator, kind=self.source.generator)
        if not self.source.invents:
            own = dataclasses.replace(generator.composition, invent_patients=False)
            generator = dataclasses.replace(generator, composition=own)
        return dataclasses.replace(self.settings, generator=generator, curriculum=curriculum)

    @property
    def path(self) -> Path:
        """Where its result is, once there is one. Controls do not ask how a generator is trained."""
        plain = to_plain(self.chosen)
        if self.source.generator != "trained":
            whole = plain["generator"]
            plain["generator"] = {name: whole[name] for name in ("kind", "griffin_lim_iterations")}
            plain["generator"]["invents"] = whole["composition"]["invent_patients"]
        name = fingerprint(__version__, plain, self.source.use, self.source.per_cell)
        return self.folders.workspace / "downstream-trials" / f"{name}.json"

    @property
    def result(self) -> dict | None:
        """What was found, if the trial is done."""
        return json.loads(self.path.read_text()) if fetch(self.path).is_file() else None

    def run(self) -> dict:
        """Learns from the clips and scores the test split; the result is stored before it is returned."""
        began, settings, workspace = time.monotonic(), self.chosen, self.path.with_suffix("")
        remove(workspace)
        with gymnasium.make(
            "envs:RespCurriculum-v0",
            settings=settings,
            workspace=str(workspace),
            lab_options={"first": str(self.folders.first)},
        ) as env:
            lab = env.unwrapped.lab
            if self.source.use == POOL:
                clips = _give_pool(env, self.source.per_cell)
            else:
                playing = Playing(env, self.source.use)
                playing.to_the_end()
                clips = playing.clips
            test = Judge(settings, lab.corpus, self.folders.features).score(lab.checkpoint)
        result = {
            "title": self.source.title,
            "seed": settings.seed,
            "macro_f1": test.macro_f1,
            "accuracy": test.accuracy,
            "clips": clips,
            "seconds": round(time.monotonic() - began, 1),
        }
        write_atomic(self.path, json.dumps(result, indent=1).encode())
        remove(workspace)
        return result


def _give_pool(env: gymnasium.Env, per_cell: int) -> int:
    """As many clips of each label and style, learned from in one round; returns their number."""
    lab, settings = env.unwrapped.lab, env.unwrapped.settings
    lab.prepare()
    lab.reset(settings.seed)
    receipt = lab.synthesize(
        [
            Request(label, style, per_cell, seed_of(settings.seed, POOL, label, style), settings.generator.content)
            for label in lab.labels
            for style in lab.styles
        ]
    )
    lab.learn()
    return len(receipt.clip_ids)
