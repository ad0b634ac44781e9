"""A trial: one system, trained once on one corpus and scored once on its test split."""

import json
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from resp_agent import __version__
from resp_agent.corpus.dataset import Corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.diagnoser.evaluation import evaluate
from resp_agent.diagnoser.learner import Learner
from resp_agent.diagnoser.stored import load_diagnoser
from resp_agent.durable import write_atomic
from resp_agent.errors import RunFailed, UserError
from resp_agent.randomness import digest
from resp_agent.settings import Settings, fingerprint, from_plain, to_plain
from resp_agent.storage import fetch, remove
from resp_agent.threads import set_threads
from resp_agent.weights import locate


@dataclass(frozen=True)
class Trial:
    """What is trained and scored, and where its result is kept."""

    title: str
    """For people: the row and what else tells it from its neighbours."""
    settings: Settings
    corpus: str
    """The corpus directory."""
    corpus_fingerprint: str
    folder: str
    """Where results of trials are kept, on storage that every worker reads."""
    features: str
    """Where features of recordings are kept; see `encoders.cache`."""

    @property
    def key(self) -> str:
        """A content name: trials of the same key have the same result."""
        learned = self.settings
        parts = learned.audio, learned.diagnoser, learned.seed, learned.threads
        stem = learned.diagnoser.stem_weights
        # A stem is a file of the user's own, and may be another one next time.
        held = digest(locate(stem).read_bytes()) if stem else ""
        return fingerprint(__version__, self.corpus_fingerprint, held, *parts)

    @property
    def path(self) -> Path:
        """Where its result is, once there is one."""
        return Path(self.folder) / f"{self.key}.json"

    @property
    def result(self) -> dict | None:
        """What was found, if the trial is done."""
        return json.loads(self.path.read_text()) if fetch(self.path).is_file() else None

    def to_plain(self) -> dict:
        """As plain data, for a worker."""
        return {**vars(self), "settings": to_plain(self.settings)}

    @classmethod
    def from_plain(cls, data: dict) -> "Trial":
        """The inverse of `to_plain`."""
        return cls(**{**data, "settings": from_plain(data["settings"])})


def run_trial(trial: Trial) -> dict:
    """Trains and scores, unless that is done; goes on from the last checkpoint of a trial that was killed.

    Returns:
        `accuracy`, `macro_f1` and `tail_f1` on the test split, `valid_macro_f1`, `parameters`, `seconds` (of this
        process). It is stored before it is returned; the checkpoint goes away.
    """
    if trial.result:
        return trial.result
    began, settings = time.monotonic(), trial.settings
    set_threads(settings.threads)
    corpus = Corpus.open(Path(trial.corpus))
    beacon = Beacon(Path(trial.folder) / "progress", trial.key)
    learner = Learner(settings, corpus.path, beacon, Path(trial.features))
    checkpoint = learner.first_train(str(trial.path.with_suffix("")))
    valid = learner.assess(checkpoint)
    learner.close()
    test = evaluate(Path(checkpoint.folder), corpus, "test", Path(trial.features)).plain
    model = load_diagnoser(Path(checkpoint.folder), settings)[0]
    result = {
        "title": trial.title,
        **{
            name: test[name]
            for name in ("accuracy", "macro_f1", "tail_f1", "recordings", "unknown_labels", "confusion")
        },
        "valid_macro_f1": valid.macro_f1,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "seconds": round(time.monotonic() - began, 1),
        "seed": settings.seed,
        "corpus": trial.corpus_fingerprint,
        "diagnoser": to_plain(settings.diagnoser),
    }
    write_atomic(trial.path, json.dumps(result, indent=1).encode())
    remove(Path(checkpoint.folder))
    return result


def attempt(trial: Trial) -> dict:
    """The result of `run_trial`, or `failed` with a sentence: one row that cannot be trained must not end a table.

    What nobody foresaw leaves its traceback beside the results.
    """
    try:
        return run_trial(trial)
    except (UserError, RunFailed) as problem:
        return {"failed": " ".join(str(problem).split())}
    except Exception as problem:
        path = trial.path.with_suffix(".failed.txt")
        write_atomic(path, traceback.format_exc().encode())
        return {"failed": f"{type(problem).__name__}: {' '.join(str(problem).split())[:200]} (see {path})"}
