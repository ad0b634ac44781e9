"""Trains a generator's vocoder by itself: ranks on Ray Train, or one in this process, and what its copies come to."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from jobs.console import Console
from jobs.exits import run_job
from jobs.ranked import RankedTraining, completed, open_training, parse, prepare
from jobs.training_log import PartsLog
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import Recording
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.journal import BOARD
from resp_agent.encoders.patches import waveform_log_mel
from resp_agent.generator.vocoding import GriffinLim, Vocoder, VocosVocoder, copied
from resp_agent.generator.vocos_training import load_vocoder, sizes_and_training, train_vocoder
from resp_agent.metrics.onsets import crackle_onsets_s, onset_errors_ms, summary
from resp_agent.randomness import stream
from resp_agent.report.pairs import kind_of
from resp_agent.report.sound_grid import MOST_LABELS, MOST_STYLES, grid_figure
from resp_agent.report.style import LIGHT
from resp_agent.settings import AudioSettings
from resp_agent.storage import shown
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import read_progress

COPIES = "figures/copies-by-label-and-style.png"


@dataclass(frozen=True)
class VocoderTraining(RankedTraining):
    """Trains a Vocos to make recordings of their log-mels, and compares its copies of the validation split with those
    of Griffin-Lim. A generator uses it by `--generator.vocoder.kind vocos --generator.vocoder.trained <folder>`."""

    WHAT = "vocoder"

    def __post_init__(self):
        self.refuse_ranks({"--generator.vocoder.training": self.settings.generator.vocoder.training})


def train(job: VocoderTraining) -> dict:
    """Trains, or goes on with it, and returns the summary.

    Raises:
        UserError: something given cannot be used.
        RunFailed: the training cannot go on; its last checkpoint is kept.
    """
    console, run = Console(), open_training(job)
    if told := completed(run, console):
        return told
    folders, corpus = prepare(job, run, console)
    generator = job.settings.generator
    settings = replace(job.settings, generator=replace(generator, vocoder=sizes_and_training(generator.vocoder)))
    folder = folders.vocoder(settings, corpus)
    if not read_progress(folder):
        console.say(f"training a vocoder on {corpus.describe()}; {job.workers} x {job.lab}")
        task = {"settings": settings, "corpus": corpus.path, "folders": folders, "vocoder": folder}
        task["board"] = folders.workspace / BOARD
        if job.lab == "ray":
            _on_ray(job, task, console)
        else:
            _here(task, corpus, console)
    trained_s = console.elapsed_s
    set_threads(settings.threads)
    console.say("copying the validation split")
    vocoders = {
        "vocos": VocosVocoder(load_vocoder(folder, settings.audio), settings.audio),
        "griffin-lim": GriffinLim(settings.audio, generator.griffin_lim_iterations),
    }
    real = corpus.split("valid")
    copies = {name: _copies(vocoder, real, settings.audio, settings.seed) for name, vocoder in vocoders.items()}
    told = {
        "vocoder": shown(folder.resolve()),
        "copies": {name: _compared(real, made, settings.audio) for name, made in copies.items()},
        "recordings": len(real),
        "seed": settings.seed,
        "workers": job.workers,
        "corpus": corpus.fingerprint,
        "seconds": {"training": round(trained_s, 1), "all": round(console.elapsed_s, 1)},
    }
    run.finish({COPIES: _figure(real, copies["vocos"], corpus)}, told)
    for name, figures in told["copies"].items():
        console.say(f"{name}: {_sentence(figures)}")
    for what, where in (("vocoder", folder), ("copies", run.path / COPIES), ("events", run.path / BOARD)):
        console.say(f"{what} {shown(where.resolve())}")
    return told


def _here(task: dict, corpus: Corpus, console: Console) -> None:
    settings, beacon = task["settings"], Beacon(task["folders"].progress, "vocoder-0")
    set_threads(settings.threads)
    log, chosen = PartsLog(task["board"], console.say), settings.generator.vocoder
    train_vocoder(chosen, settings.audio, settings.seed, corpus.split("train"), task["vocoder"], beacon, log)
    log.close()


def _on_ray(job: VocoderTraining, task: dict, console: Console) -> None:
    from jobs.ray_training import Ranks, train_on_ray, vocoder_rank

    train_on_ray(vocoder_rank, task, Ranks.of(job), console.say)


def _copies(vocoder: Vocoder, real: Sequence[Recording], audio: AudioSettings, seed: int) -> list[Recording]:
    """The recordings, each from its own log-mel alone."""
    return [replace(one, waveform=copied(vocoder, one, audio, stream(seed, "copy", one.id))) for one in real]


def _compared(real: Sequence[Recording], copies: Sequence[Recording], audio: AudioSettings) -> dict[str, float]:
    """How far copies are from their recordings: mean distance of log-mels, natural log, and onsets of crackles."""
    distances, errors = [], []
    for one, copy in zip(real, copies, strict=True):
        # A copy lasts whole hops.
        waveform = one.waveform[: len(copy.waveform)]
        distances.append(np.abs(waveform_log_mel(waveform, audio) - waveform_log_mel(copy.waveform, audio)).mean())
        onsets = [onset for onset in crackle_onsets_s(one.events) if onset < copy.duration_s]
        errors.append(onset_errors_ms(waveform, copy.waveform, onsets))
    onsets = summary(np.concatenate(errors))
    told = {"log_mel_error": float(np.mean(distances)), "crackles": onsets.events}
    if onsets.events:
        told |= {"onset_error_ms": onsets.median_ms, "within_10_ms": onsets.within_10_ms}
    return told


def _sentence(figures: dict[str, float]) -> str:
    told = f"log-mels {figures['log_mel_error']:.2f} off"
    if not figures["crackles"]:
        return told + "; no crackles are marked"
    return told + (
        f"; {figures['crackles']} crackles {figures['onset_error_ms']:.0f} ms from their place (median), "
        f"{figures['within_10_ms']:.0%} within 10 ms"
    )


def _figure(real: Sequence[Recording], copies: Sequence[Recording], corpus: Corpus) -> bytes:
    """A copy of a recording of each label and style under the recording, as many as fit."""
    labels, styles = corpus.labels[:MOST_LABELS], corpus.styles[:MOST_STYLES]
    return grid_figure(real, copies, labels, styles, kind_of(real[0]), LIGHT, "copy")


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent train vocoder` and `python -m jobs.train_vocoder`; returns the exit code."""
    return run_job(lambda words: train(parse(VocoderTraining, words)) and 0, argv)


if __name__ == "__main__":
    sys.exit(main())
