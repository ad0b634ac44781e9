"""A trial of a planner: an episode of one seed, scored on the test split before and after."""

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import gymnasium
import numpy as np
import pyarrow.parquet as pq

from jobs.benchmarks.planner_rows import PlannerRow, what_counts
from jobs.playing import Playing
from resp_agent import __version__
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.derive import derive
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.corpus.schema import Recording, from_table
from resp_agent.curriculum.assessment import Assessment
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.judge import Judge
from resp_agent.durable import write_atomic
from resp_agent.metrics.classification import tail_f1
from resp_agent.metrics.embeddings import Embedder, Scale
from resp_agent.metrics.synthesis import diversity, memorisation
from resp_agent.settings import EncoderSettings, Settings, fingerprint
from resp_agent.storage import fetch, remove


@dataclass(frozen=True)
class PlannerTrial:
    """What is tried, and where its result is kept."""

    row: PlannerRow
    study: Settings
    """The study's, with the trial's seed."""
    folders: Folders

    @cached_property
    def settings(self) -> Settings:
        """The row's; its corpus is that of the study."""
        return self.row.settings(self.study)

    @cached_property
    def path(self) -> Path:
        """Where its result is, once there is one."""
        plain = what_counts(self.row, self.study)
        name = fingerprint(__version__, "planner", plain, self.row.policy, self.row.variant)
        return self.folders.workspace / "planner-trials" / f"{name}.json"

    @property
    def result(self) -> dict | None:
        """What was found, if the trial is done."""
        return json.loads(self.path.read_text()) if fetch(self.path).is_file() else None

    @property
    def stage(self) -> tuple:
        """Trials of the same one are played on one environment, one after the other."""
        return (self.study.seed, self.row.variant or "", fingerprint(self.settings))


@contextmanager
def staged(trial: PlannerTrial) -> Iterator[gymnasium.Env]:
    """The environment of a trial and of all others of the same stage."""
    settings, folders = trial.settings, trial.folders
    if trial.row.variant:
        corpus = resolve_corpus(settings, folders.corpus(settings))
        out = folders.first / f"{folders.corpus(settings).name}-{trial.row.variant}"
        settings = dataclasses.replace(settings, corpus=str(derive(corpus, trial.row.variant, out).path))
    workspace = folders.workspace / "planner-trials" / "playing" / fingerprint(*trial.stage)
    remove(workspace)
    try:
        with gymnasium.make(
            "envs:RespCurriculum-v0",
            settings=settings,
            workspace=str(workspace),
            lab_options={"first": str(folders.first)},
        ) as env:
            yield env
    finally:
        remove(workspace)


def play(trial: PlannerTrial, env: gymnasium.Env) -> dict:
    """Plays the trial's episode and scores it; the result is stored before it is returned."""
    lab, folders = env.unwrapped.lab, trial.folders
    playing = Playing(env, trial.row.policy)
    judge = Judge(env.unwrapped.settings, lab.corpus, folders.features)
    before, began = judge.score(lab.first_checkpoint), time.monotonic()
    told = playing.to_the_end()
    rounds_s, after = time.monotonic() - began, judge.score(lab.checkpoint)
    result = {
        "row": trial.row.name,
        "policy": trial.row.policy,
        "seed": trial.study.seed,
        "macro_f1": after.macro_f1,
        "macro_f1_before": before.macro_f1,
        "accuracy": after.accuracy,
        "tail_f1": _tail(after, lab.corpus),
        "valid": playing.scores,
        "rewards": playing.rewards,
        "clips": playing.clips,
        "spent": np.cumsum([len(info["clip_ids"]) for info in told]).tolist(),
        "seconds": {
            "rounds": rounds_s,
            "synthesize": sum(info["seconds"].synthesize for info in told),
            "learn": sum(info["seconds"].learn for info in told),
        },
        **_of_clips(env, told),
    }
    write_atomic(trial.path, json.dumps(result, indent=1).encode())
    return result


def _tail(assessment: Assessment, corpus: Corpus) -> float | None:
    """Mean F1 of the rarer half of the labels, which is the paper's tail where there are 16."""
    counts = Counter(one.label for one in corpus.descriptions("train"))
    half = (len(assessment.labels) + 1) // 2
    return tail_f1(assessment.by_label["f1"], assessment.held, [counts[label] for label in assessment.labels], half)


def _of_clips(env: gymnasium.Env, told: Sequence[dict]) -> dict:
    """How near the clips come to training recordings, and how varied they are; {} without clips."""
    lab, workspace = env.unwrapped.lab, Path(env.unwrapped.workspace)
    clips = [
        clip
        for info in told
        for shard in info["shards"]
        for clip in from_table(pq.read_table(workspace / shard["path"]))
    ]
    if not clips:
        return {}
    train: list[Recording] = lab.corpus.split("train")
    embedder = Embedder(EncoderSettings(), env.unwrapped.settings.audio)
    real = embedder(one.waveform for one in train)
    scale = Scale(real)
    ours, heard = scale(embedder(one.waveform for one in clips)), scale(real)
    near = memorisation(ours, heard)
    cells = [(one.label, one.style) for one in clips], [(one.label, one.style) for one in train]
    return {"nearest": near.ratio, "memorised": near.share, "diversity": diversity(ours, cells[0], heard, cells[1])}
