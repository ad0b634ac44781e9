"""What a curriculum run would do, found out without doing any of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.options import CurriculumJob
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import corpus_at_hand
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.history import History, history_of
from resp_agent.curriculum.journal import RunDirectory
from resp_agent.curriculum.policies import NONE
from resp_agent.curriculum.spending import allot
from resp_agent.curriculum.vetoes import vetoes_of
from resp_agent.errors import UserError
from resp_agent.generator.training import FINAL
from resp_agent.generator.vocos_training import OWN
from resp_agent.settings import Settings
from resp_agent.storage import shown
from resp_agent.training.checkpoints import read_progress
from resp_agent.weights import here


@dataclass(frozen=True)
class Training:
    """A first training."""

    part: str
    """`diagnoser`, or a part of the generator."""
    steps: int
    done: int
    """Steps that need not be done again: all of them where the model is there."""
    where: str
    """Where it is, or why that is not known."""

    @property
    def left(self) -> int:
        return self.steps - self.done


@dataclass(frozen=True)
class Round:
    """A round that is to come."""

    number: int
    requests: int
    clips: int


@dataclass(frozen=True)
class Plan:
    """What is to come of a run."""

    job: CurriculumJob
    corpus: Corpus | None
    """None: it is yet to be made."""
    corpus_folder: Path
    trainings: list[Training]
    rounds: list[Round]
    done: History | None
    """Of a run to be resumed."""

    @property
    def settings(self) -> Settings:
        return self.job.settings

    @property
    def synthesis(self) -> bool:
        return self.job.policy != NONE

    @property
    def complete(self) -> bool:
        return self.done is not None and self.done.state == "complete"

    @property
    def clips(self) -> int:
        """Clips yet to be synthesized."""
        return sum(one.clips for one in self.rounds)

    @property
    def steps(self) -> int:
        """Optimizer steps of the rounds to come."""
        return len(self.rounds) * self.settings.curriculum.steps_per_round


def plan_of(job: CurriculumJob) -> Plan:
    """The plan of a job. Reads only.

    Raises:
        UserError: what the run itself would refuse at its start.
    """
    settings, done = job.settings, None
    vetoes_of(map(Path, job.vetoes))
    if job.resume:
        RunDirectory.resume(job.folder)
        done = history_of(job.folder)
        if done.state == "broken":
            raise UserError(f"the run {shown(job.folder)} cannot be resumed: {done.why}")
    else:
        RunDirectory.refuse_taken(job.folder)
    folders = Folders.of(job.folder, job.first, job.place.diagnoser_workers if job.place.lab == "ray" else 1)
    corpus = corpus_at_hand(settings, folders.corpus(settings))
    if done and done.fingerprint and corpus:
        RunDirectory(job.folder).hold_to_corpus(corpus.fingerprint)
    over = done is not None and done.state == "complete"
    return Plan(
        job,
        corpus,
        folders.corpus(settings),
        [] if over else list(_trainings(job, folders, corpus)),
        [] if over else list(_rounds(job, done)),
        done,
    )


def embedded_counts(settings: Settings) -> tuple[dict[str, int], int, int]:
    """(Split -> recordings, labels, styles) of the embedded corpus, which is not made for it."""
    # Imported when needed: the simulator is no part of working with real recordings.
    from resp_agent.simulation.corpus import places

    found = places(settings.simulation)
    train = [place for place in found if place.split == "train"]
    counts = {split: sum(place.split == split for place in found) for split in ("train", "valid", "test")}
    return counts, len({place.label for place in train}), len({place.device for place in train})


def pretrained(settings: Settings, synthesis: bool) -> list[str]:
    """Names of the pretrained weights that a run needs."""
    diagnoser, generator = settings.diagnoser, settings.generator
    names = [diagnoser.encoder.weights, diagnoser.text_model, diagnoser.stem_weights]
    if synthesis and generator.kind == "trained":
        names += [generator.planner.model if generator.content == "planned" else None, generator.vocoder.trained]
    return [name for name in names if name]


def generator_steps(settings: Settings) -> dict[str, int]:
    """Part of the generator that is trained -> its optimizer steps."""
    chosen = settings.generator
    if chosen.kind != "trained":
        return {}
    parts = {"planner": chosen.planner.training.steps} if chosen.content == "planned" else {}
    parts["flow"] = chosen.flow.training.steps
    if chosen.vocoder.kind == "vocos" and chosen.vocoder.trained is None:
        parts[OWN] = chosen.vocoder.training.steps
    return parts


def _trainings(job: CurriculumJob, folders: Folders, corpus: Corpus | None) -> Iterator[Training]:
    settings = job.settings
    steps = settings.diagnoser.training.steps
    lacking = [name for name in (settings.diagnoser.encoder.weights, settings.diagnoser.stem_weights) if name]
    lacking = [name for name in lacking if here(name) is None]
    if corpus is None:
        yield Training("diagnoser", steps, 0, "its corpus is yet to be made")
    elif lacking:
        yield Training("diagnoser", steps, 0, f"whether it is there shows once {lacking[0]} is")
    else:
        folder = folders.diagnoser(settings, corpus)
        begun = folder.with_name(f"{folder.name}.unfinished")
        yield Training("diagnoser", steps, _done(folder, begun, steps), str(folder))
    if job.policy == NONE:
        return
    folder = folders.generator(settings, corpus) if corpus else None
    for part, steps in generator_steps(settings).items():
        if folder is None:
            yield Training(part, steps, 0, "its corpus is yet to be made")
            continue
        if part == OWN:
            there, begun = folder / OWN, folder / f"{OWN}.unfinished"
        else:
            there, begun = folder / FINAL, folder / f"{FINAL}.{part}.unfinished"
        yield Training(part, steps, _done(there, begun, steps), str(folder))


def _done(there: Path, begun: Path, steps: int) -> int:
    """Steps of a training that are done, by where it ends and where its last checkpoint is."""
    if read_progress(there) is not None:
        return steps
    progress = read_progress(begun)
    return progress["step"] if progress else 0


def _rounds(job: CurriculumJob, done: History | None) -> Iterator[Round]:
    how = job.settings.curriculum
    left, number = how.budget, 0
    if done and done.journal:
        state, number = done.journal[-1]["state"], done.rounds
        left = 0 if state["ended"] else state["budget_left"]
    while left and number < how.rounds:
        clips = allot(left, how.rounds - number, how.requests_per_round)
        left, number = left - sum(clips), number + 1
        idle = job.policy == NONE
        yield Round(number, 0 if idle else sum(map(bool, clips)), 0 if idle else sum(clips))
