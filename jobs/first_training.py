"""The first training of a preset without any round: enough to try the service, in little more than a minute."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from jobs.console import Console
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.journal import SETTINGS, RunDirectory
from resp_agent.curriculum.policies import NONE
from resp_agent.diagnoser.learner import Learner
from resp_agent.generator.training import train_generator
from resp_agent.settings import Settings, to_plain
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import read_progress


def first_training(out: Path, settings: Settings, console: Console) -> Path:
    """Trains diagnoser and generator beside each other into a run directory, or goes on with it, and returns it.

    Raises:
        UserError: the folder cannot be written.
        RunFailed: a training cannot go on.
    """
    if not (out / SETTINGS).is_file():
        RunDirectory.create(out, {"policy": NONE, "settings": to_plain(settings), "first": None})
    folders = Folders.of(out)
    corpus = resolve_corpus(settings, folders.corpus(settings))
    checkpoint, generator = folders.diagnoser(settings, corpus), folders.generator(settings, corpus)
    set_threads(settings.threads)
    # A process of its own, so that the two use two cores; it ends with this one.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        training = pool.submit(_train_generator, settings, corpus.path, generator, folders.progress)
        with console.watching(folders.progress):
            if read_progress(checkpoint) is None:
                beacon = Beacon(folders.progress, "diagnoser-0")
                Learner(settings, corpus.path, beacon, folders.features).first_train(str(checkpoint))
            training.result()
    return out


def _train_generator(settings: Settings, corpus: Path, folder: Path, progress: Path) -> None:
    set_threads(settings.threads)
    train_generator(settings, Corpus.open(corpus).split("train"), folder, Beacon(progress, "generator-0"))
