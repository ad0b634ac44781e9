"""The end of a run: the Judge's scores, the summary and the report."""

import importlib.metadata
import platform
import time

import pyarrow.parquet as pq

from jobs.options import CurriculumJob
from jobs.rounds import Rounds
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.schema import Recording, from_table
from resp_agent.curriculum.episode import EpisodeLab
from resp_agent.curriculum.judge import Judge
from resp_agent.randomness import stream
from resp_agent.report import RunRecord, render_report
from resp_agent.settings import to_plain
from resp_agent.storage import fetch, shown

SHOWN = ("torch", "ray", "deepspeed", "transformers", "gymnasium", "numpy", "scikit-learn", "librosa", "resp-agent-ray")


def finish(job: CurriculumJob, rounds: Rounds, lab: EpisodeLab, judge: Judge) -> dict:
    """Scores the diagnoser before and after on the test split, writes report and summary, and says where they are."""
    began = time.monotonic()
    before, after = judge.score(lab.first_checkpoint), judge.score(lab.checkpoint)
    interval = judge.interval(after)
    rounds.add_seconds({"judging": time.monotonic() - began})
    rounds.add_seconds({phase: _total(rounds, phase) for phase in ("synthesize", "learn")})
    summary = _summary(job, rounds, lab.corpus, before, after, interval)

    began = time.monotonic()
    record = RunRecord(
        settings=to_plain(job.settings) | {"policy": job.policy},
        versions=_versions(),
        labels=lab.labels,
        styles=lab.styles,
        rounds=rounds.journal,
        valid=rounds.assessments,
        test_before=before,
        test_after=after,
        summary=summary,
        clips=_some_clips(rounds),
        real=_real_beside(lab.corpus),
        notes=list(lab.corpus.notes),
        quarantine=lab.corpus.quarantine(),
    )
    files = render_report(record)
    rounds.add_seconds({"report": time.monotonic() - began})
    summary["seconds"] = rounded(rounds.seconds | {"all": rounds.console.elapsed_s})
    rounds.run.finish(files, summary)
    rounds.close()
    rounds.console.say(
        f"test macro-F1 {before.macro_f1:.3f} -> {after.macro_f1:.3f} (95 % {interval[0]:.3f} to {interval[1]:.3f})"
    )
    rounds.console.say(f"report {shown((rounds.run.path / 'report.html').resolve())}")
    return summary


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """Seconds to the tenth."""
    return {phase: round(value, 1) for phase, value in seconds.items()}


def _total(rounds: Rounds, phase: str) -> float:
    return sum(entry["seconds"][phase] for entry in rounds.journal)


def _summary(job, rounds, corpus: Corpus, before, after, interval) -> dict:
    played = rounds.journal[1:]
    return {
        "policy": job.policy,
        "generator": job.settings.generator.kind,
        "seed": job.settings.seed,
        "budget": job.settings.curriculum.budget,
        "clips": rounds.clips,
        "test_macro_f1_before": before.macro_f1,
        "test_macro_f1_after": after.macro_f1,
        "test_macro_f1_ci95": list(interval),
        "test_accuracy_before": before.accuracy,
        "test_accuracy_after": after.accuracy,
        "test_labels": [label for label, held in zip(after.labels, after.held, strict=True) if held],
        "valid_macro_f1": [entry["valid_macro_f1"] for entry in rounds.journal],
        "valid_labels": list(corpus.held("valid")),
        "rewards": [entry["reward"] for entry in played],
        "requests": [[_asked(request) for request in entry["requests"]] for entry in played],
        "clip_ids": [clip for entry in played for clip in entry["clip_ids"]],
        "losses": [loss for entry in rounds.journal for loss in entry["losses"]],
        "quarantined": corpus.quarantined,
        "corpus": corpus.fingerprint,
        "notes": list(corpus.notes),
        "seconds": rounded(rounds.seconds | {"all": rounds.console.elapsed_s}),
    }


def _asked(request: dict) -> dict:
    return {name: request[name] for name in ("label", "style", "count", "seed")}


def _some_clips(rounds: Rounds) -> list[Recording]:
    """One clip of each label and style that was asked for, from the last round that asked for it; latest first."""
    last: dict[tuple[str, str], str] = {}
    for entry in reversed(rounds.journal):
        for request, shard in zip(entry["requests"], entry["shards"], strict=True):
            last.setdefault((request["label"], request["style"]), shard)
    return [from_table(pq.read_table(fetch(rounds.run.path / shard)).slice(0, 1))[0] for shard in last.values()]


def _real_beside(corpus: Corpus) -> list[Recording]:
    """A real training recording of each label in each style that training holds, to be heard beside the clips."""
    by_cell: dict[tuple[str, str], list[Recording]] = {}
    for recording in corpus.split("train"):
        by_cell.setdefault((recording.label, recording.style), []).append(recording)
    rng = stream("report", "real", corpus.fingerprint)
    return [recordings[rng.integers(len(recordings))] for _, recordings in sorted(by_cell.items())]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in SHOWN:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
