"""Says where in a recording a phrase is heard."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro

from jobs.exits import run_job
from jobs.submitted import refuse_relative
from jobs.written import written
from resp_agent.audio.header import Unreadable
from resp_agent.audio.sandbox import Sandbox
from resp_agent.corpus.schema import decode_flac
from resp_agent.diagnoser.grounding import Grounding, Relevance, load_grounding
from resp_agent.diagnoser.grounding_phrases import read_phrase
from resp_agent.durable import write_atomic
from resp_agent.encoders import make_encoder
from resp_agent.errors import UserError
from resp_agent.report.terminal import text_table
from resp_agent.settings import DecodingSettings, QualitySettings
from resp_agent.settings.checks import refuse
from resp_agent.storage import fetch, local, shown
from resp_agent.threads import threads


@dataclass(frozen=True)
class GroundJob:
    """Says how relevant each moment of a recording is to a phrase, such as "coarse crackles at the bases". Research
    software: what it says of a recording is no medical advice."""

    file: tyro.conf.Positional[str]
    """An audio file of any format and length."""
    phrase: str
    """Words for a sound; words of place and time may stand beside it and change nothing."""
    model: str
    """Folder of a grounder: what `train grounding` printed."""
    out: str | None = None
    """A PNG file: the spectrogram, and under it the relevance."""
    json: str | None = None
    """A file for the relevance of every moment, as plain data."""
    top: int = 10
    """Moments that are printed, the most relevant ones in the order of time; 0: all."""
    threads: int = 1
    """Threads; numbers depend on it in the last digits."""
    quality: QualitySettings = field(default_factory=QualitySettings)
    decoding: DecodingSettings = field(default_factory=DecodingSettings)

    def __post_init__(self):
        refuse(self.top < 0, f"{self.top} moments cannot be printed: give --top at least 1, or 0 for all")
        refuse(self.threads < 1, f"{self.threads} threads cannot compute: give --threads at least 1")


def ground(job: GroundJob) -> Relevance:
    """Answers, prints, and writes what was asked for.

    Raises:
        UserError: the phrase is not understood, or file or model cannot be used.
    """
    for flag, path in (("--out", job.out), ("--json", job.json)):
        if path:
            refuse_relative(flag, path)
    read_phrase(job.phrase)
    grounding = load_grounding(local(job.model))
    waveform = _waveform(job)
    with threads(job.threads):
        relevance = _ask(grounding, waveform, job.phrase)
    print("\n".join(_lines(job, relevance)))
    if job.json:
        data = {
            "file": job.file,
            "phrase": job.phrase,
            "seconds": relevance.seconds.round(4).tolist(),
            "relevance": relevance.values.tolist(),
        }
        print(written(job.json, data))
    if job.out:
        # Imported when needed: drawing costs a second.
        from resp_agent.report.grounding_figures import grounding_figure
        from resp_agent.report.style import LIGHT

        title = f"{Path(job.file).name}: {job.phrase}"
        write_atomic(local(job.out), grounding_figure(waveform, relevance, None, title, LIGHT))
        print(f"wrote {shown(local(job.out).resolve())}")
    return relevance


def _waveform(job: GroundJob) -> np.ndarray:
    with Sandbox(job.quality, job.decoding) as sandbox:
        try:
            return decode_flac(sandbox.take(fetch(local(job.file))).flac)
        except Unreadable as problem:
            raise UserError(f"{job.file} cannot be used: {problem.reason}") from None


def _ask(grounding: Grounding, waveform: np.ndarray, phrase: str) -> Relevance:
    encoder = make_encoder(grounding.settings.diagnoser.encoder, grounding.settings.audio)
    return grounding.ask(encoder.encode([waveform]), phrase)[0]


def _lines(job: GroundJob, relevance: Relevance) -> list[str]:
    values = relevance.values
    count = job.top or len(values)
    shown = np.sort(np.argsort(-relevance.log_odds, kind="stable")[:count])
    rows = [(f"{relevance.seconds[at]:.2f}", f"{values[at]:.3f}", "█" * round(20 * values[at])) for at in shown]
    above = f"the {len(shown)} most relevant of {len(values)} moments" if len(shown) < len(values) else "all moments"
    head = f"{job.phrase!r} in {job.file}: most relevant at {relevance.peak_s:.2f} s ({values.max():.3f}); {above}:"
    table = [(f"{second:>8}", value, bar) for second, value, bar in rows]
    return [head, *text_table((" seconds", "relevance", ""), table, texts=3)]


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent ground` and `python -m jobs.ground`; returns the exit code."""
    return run_job(lambda words: ground(tyro.cli(GroundJob, args=words, prog="resp-agent ground")) and 0, argv)


if __name__ == "__main__":
    sys.exit(main())
