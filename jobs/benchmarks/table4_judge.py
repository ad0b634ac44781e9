"""The judge of table 4: a diagnoser that only hears, trained on real recordings alone, the same for every row and seed.

Of the embedded corpus, where a training split is too small to learn from reliably, real recordings are simulated for
it: of every label in every style, of a seed that no row has.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import EMBEDDED, built_before
from resp_agent.corpus.write import write_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.diagnoser.learner import Learner
from resp_agent.metrics.clip_judge import ClipJudge
from resp_agent.settings import Settings, fingerprint
from resp_agent.settings.checks import refuse
from resp_agent.training.checkpoints import read_progress

SEED = 4_000_000_004
"""Of the judge's recordings and training."""


@dataclass(frozen=True)
class JudgeSettings:
    """The judge of P-Acc and the ear for styles."""

    per_cell: int = 60
    """Recordings of each label and style that are simulated for judge and ear; 0: they learn from the corpus's
    training split, as they always do on real corpora."""
    steps: int = 800
    """Optimizer steps of the judge."""

    def __post_init__(self):
        refuse(self.per_cell < 0, f"{self.per_cell} recordings of a label and style cannot be: give 0 or more")
        refuse(self.steps < 1, f"{self.steps} steps teach nothing: give --judge.steps at least 1")

    def of(self, settings: Settings) -> Settings:
        """The settings that it is trained with: text is never given, and the rate falls to the end."""
        training = replace(settings.diagnoser.training, steps=self.steps, schedule="linear", averaging=0.99)
        diagnoser = replace(settings.diagnoser, drop_text=1.0, drop_audio=0.0, training=training)
        return replace(settings, seed=SEED, diagnoser=diagnoser)

    def corpus(self, settings: Settings, own: Corpus, first: Path) -> Corpus:
        """What judge and ear learn from: `own`, or recordings that are simulated for them into the folder `first`."""
        if settings.corpus != EMBEDDED or not self.per_cell:
            return own
        return _simulated(self.per_cell, settings.simulation.duration_s, first)


def judge_of(chosen: JudgeSettings, settings: Settings, corpus: Corpus, folders: Folders) -> ClipJudge:
    """The judge that learned from a corpus; trained if there is none yet, from where a killed training stood."""
    settings = chosen.of(settings)
    name = fingerprint(corpus.fingerprint, settings.audio, settings.diagnoser, settings.threads)
    folder = folders.first / f"judge-{name}"
    if read_progress(folder) is None:
        learner = Learner(settings, corpus.path, Beacon(folders.progress, "judge"), folders.features)
        learner.first_train(str(folder))
        learner.close()
    return ClipJudge(folder)


def _simulated(per_cell: int, duration_s: float, first: Path) -> Corpus:
    """As many recordings of every label in every style for training, and one for fifteen of them for validation."""
    # Imported when needed: the simulator is no part of working with real recordings.
    from resp_agent.simulation.corpus import DEVICES, LABELS, VERSION, Place, recording_at

    recipe = fingerprint(VERSION, "judge", SEED, per_cell, duration_s)
    out = first / f"judge-corpus-{recipe}"
    found = built_before(out, recipe)
    if found:
        return found
    places = [
        Place(split, label, device, index)
        for split, count in (("train", per_cell), ("valid", max(1, per_cell // 15)))
        for label in LABELS
        for device in DEVICES
        for index in range(count)
    ]
    recordings = (recording_at(place, SEED, duration_s) for place in places)
    return write_corpus(recordings, out, info={"sources": [VERSION], "seed": SEED, "recipe": recipe})
