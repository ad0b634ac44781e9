"""What a service answers from: the models, corpus and runs that were found for it, as plain data."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import EMBEDDED, resolve_corpus
from resp_agent.curriculum.folders import Folders, found_in
from resp_agent.curriculum.journal import ASSESSMENTS, JOURNAL, SETTINGS, SUMMARY, RunDirectory
from resp_agent.diagnoser.stored import find_diagnoser
from resp_agent.errors import UserError
from resp_agent.generator.training import is_trained
from resp_agent.settings import Settings, from_plain, to_plain
from resp_agent.storage import children, fetch, local, shown
from resp_agent.training.checkpoints import read_progress

UNTRAINED = ("oracle", "style-transfer")
"""Kinds of generator that need no training."""


@dataclass(frozen=True)
class Studio:
    """A generator and what it needs."""

    folder: str
    """Of the trained one."""
    corpus: str
    """Folder of the corpus that it learned from."""
    settings: dict = field(repr=False)
    """Plain settings that it was trained with."""
    refreshed: dict | None = None
    """Folder and digests of a refresh, where there was one."""

    @property
    def simulated(self) -> bool:
        """Whether its recordings are simulated, so that anybody may hear them."""
        return self.settings["corpus"] == EMBEDDED


@dataclass(frozen=True)
class Served:
    """What a service answers from."""

    diagnoser: str
    """Folder of the diagnoser."""
    trained: str
    """A sentence on where it comes from."""
    corpus: str | None = None
    """Folder of the corpus that the diagnoser learned from, where it is at hand."""
    studio: Studio | None = None
    """The generator, if there is one."""
    runs: str | None = None
    """Folder whose runs are shown."""
    real: bool = False
    """Whether real training recordings may be heard."""


def find_served(
    run: str | None = None,
    diagnoser: str | None = None,
    generator: str | None = None,
    runs: str | None = None,
    real: bool = False,
) -> Served:
    """What a user means: a run, a diagnoser's folder, either with a generator of its own.

    Args:
        runs: folder whose runs are shown; by default the one that `run` lies in.
        real: whether real training recordings may be heard.

    Raises:
        UserError: a folder does not hold what it should.
    """
    if diagnoser:
        folder = find_diagnoser(local(diagnoser)).resolve()
        known = serve_run(local(run)) if run else None
        served = Served(str(folder), "Trained elsewhere.", studio=known and known.studio, runs=known and known.runs)
    else:
        served = serve_run(local(run))
    studio = serve_generator(local(generator)) if generator else served.studio
    beside = str(local(runs).resolve()) if runs else served.runs
    return replace(served, studio=studio, runs=beside, real=real)


def serve_run(run: Path) -> Served:
    """What a run directory, or that of a `train diagnoser`, has to serve: its latest diagnoser and generator.

    Raises:
        UserError: the folder holds no run, or the run no diagnoser yet.
    """
    run = Path(run).resolve()
    stored = _stored(run)
    settings, journal = from_plain(stored["settings"]), RunDirectory(run).fetched().rounds()
    folders = Folders.of(run, stored.get("first"))
    corpus = _corpus(settings, folders)
    if journal:
        state = journal[-1]["state"]["lab"]
        diagnoser = found_in(run, state["checkpoint"]["folder"])
        told = f"after round {journal[-1]['round']} of the run {run.name}"
    else:
        state, diagnoser = {}, _first(run, settings, folders, corpus)
        told = f"by the first training of {run.name}"
    studio = _studio(run, settings, folders, corpus, state.get("generator"))
    recordings = f"{corpus.manifest['counts']['train']:,} recordings" if corpus else "its corpus"
    return Served(
        diagnoser=str(find_diagnoser(diagnoser)),
        trained=f"Trained on {recordings} of {_named(settings.corpus)}, {told}.",
        corpus=corpus and str(corpus.path),
        studio=studio,
        runs=str(run.parent),
    )


def serve_generator(trained: Path) -> Studio:
    """The generator of a `train generator`, or of a curriculum run.

    Raises:
        UserError: there is none.
    """
    run = Path(trained).resolve()
    stored = _stored(run)
    settings, journal = from_plain(stored["settings"]), RunDirectory(run).fetched().rounds()
    folders = Folders.of(run, stored.get("first"))
    refreshed = journal[-1]["state"]["lab"].get("generator") if journal else None
    studio = _studio(run, settings, folders, resolve_corpus(settings, folders.corpus(settings)), refreshed)
    if studio is None:
        raise UserError(f"{trained} holds no trained generator: give what `train generator` printed, or a run's folder")
    return studio


def latest_run(runs: Path) -> Path | None:
    """The run of a folder of runs that moved last and has a diagnoser to serve; None where there is none."""
    found = [run for run in children(Path(runs)) if (RunDirectory(run).fetched().path / SETTINGS).is_file()]
    for run in sorted(found, key=_moved, reverse=True):
        try:
            serve_run(run)
        except (UserError, KeyError, TypeError, ValueError):
            # Of another version, or torn.
            continue
        return run
    return None


def _moved(run: Path) -> float:
    return max(
        (run / name).stat().st_mtime for name in (SETTINGS, JOURNAL, ASSESSMENTS, SUMMARY) if (run / name).exists()
    )


def _stored(run: Path) -> dict:
    if not fetch(run / SETTINGS).is_file():
        raise UserError(f"{shown(run)} holds no run: give the folder that a run or a training printed")
    return yaml.safe_load((run / SETTINGS).read_text())


def _corpus(settings: Settings, folders: Folders) -> Corpus | None:
    """The corpus of a run; None where a corpus that was given has gone."""
    try:
        return resolve_corpus(settings, folders.corpus(settings), every_label=False)
    except UserError:
        return None


def _first(run: Path, settings: Settings, folders: Folders, corpus: Corpus | None) -> Path:
    try:
        return find_diagnoser(run)
    except UserError:
        first = folders.diagnoser(settings, corpus) if corpus else None
        if first is None or read_progress(first) is None:
            raise
        return first


def _studio(
    run: Path, settings: Settings, folders: Folders, corpus: Corpus | None, refreshed: dict | None
) -> Studio | None:
    if corpus is None:
        return None
    folder = folders.generator(settings, corpus)
    if settings.generator.kind not in UNTRAINED and not is_trained(folder):
        return None
    if refreshed:
        refreshed = {**refreshed, "folder": str(found_in(run, refreshed["folder"]))}
    return Studio(str(folder), str(corpus.path), to_plain(settings), refreshed)


def _named(corpus: str) -> str:
    """A corpus without the paths that it was read from."""
    if corpus == EMBEDDED:
        return "the embedded, simulated corpus"
    names = [part.partition("=")[0].strip() for part in corpus.split(",") if "=" in part]
    return ", ".join(names) if names else "a corpus of your own"
