"""Diagnoses recordings: a probability for every label, and where in the audio the diagnosis comes from."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro

from jobs.exits import FAILED, run_job
from jobs.submitted import refuse_relative
from jobs.written import written
from resp_agent.audio.header import Unreadable
from resp_agent.audio.sandbox import Sandbox
from resp_agent.corpus.schema import decode_flac
from resp_agent.diagnoser.diagnosis import Diagnoser, Diagnosis
from resp_agent.diagnoser.stored import find_diagnoser
from resp_agent.durable import write_atomic
from resp_agent.settings import DecodingSettings, QualitySettings
from resp_agent.settings.checks import refuse
from resp_agent.storage import fetch, local, shown

SHOWN = 3


@dataclass(frozen=True)
class DiagnoseJob:
    """Diagnoses audio files of any format and length. A file that cannot be used is named with its reason, and the
    others go on. Research software: what it says of a recording is no medical advice."""

    files: tyro.conf.Positional[tuple[str, ...]]
    """Audio files."""
    model: str
    """Folder of a diagnoser: what `train diagnoser` printed, or a checkpoint of a run."""
    text: str | None = None
    """What is known of the patient, in words, for all of the files; without it no text is read."""
    json: str | None = None
    """A file for everything that was found, as plain data."""
    out: str | None = None
    """A folder for a picture of each recording: its spectrogram, and what each moment did for the diagnosis."""
    quality: QualitySettings = field(default_factory=QualitySettings)
    decoding: DecodingSettings = field(default_factory=DecodingSettings)

    def __post_init__(self):
        refuse(not self.files, "there is nothing to diagnose: name at least one audio file")


def run(job: DiagnoseJob) -> int:
    """Diagnoses, prints, and writes what was asked for; exit code 1 if a file could not be used."""
    for flag, path in (("--json", job.json), ("--out", job.out)):
        if path:
            refuse_relative(flag, path)
    folder = find_diagnoser(local(job.model))
    diagnoser = Diagnoser(folder, job.text)
    found, failed, names = [], 0, set()
    with Sandbox(job.quality, job.decoding) as sandbox:
        for file in job.files:
            try:
                taken = sandbox.take(fetch(local(file)))
            except Unreadable as problem:
                failed += 1
                print(f"{file}: {problem.reason}")
                found.append({"file": file, "reason": problem.reason})
                continue
            waveform = decode_flac(taken.flac)
            diagnosis = diagnoser(taken.id, waveform)
            print(_line(file, diagnosis))
            found.append({"file": file, **diagnosis.plain})
            if job.out and diagnosis.attribution:
                _draw(local(job.out) / f"{_unused(Path(file).stem, names)}.png", file, waveform, diagnosis)
    if job.json:
        data = {"model": shown(folder.resolve()), "text": job.text, "files": found}
        print(written(job.json, data))
    return FAILED if failed else 0


def _line(file: str, diagnosis: Diagnosis) -> str:
    likeliest = sorted(diagnosis.probabilities.items(), key=lambda item: -item[1])[:SHOWN]
    line = f"{file} ({diagnosis.duration_s:.1f} s): " + ", ".join(f"{label} {share:.2f}" for label, share in likeliest)
    moments = diagnosis.attribution.moments(SHOWN) if diagnosis.attribution else []
    if moments:
        line += "; heard at " + ", ".join(f"{start:.2f}-{end:.2f} s" for start, end, _ in moments)
    return line


def _draw(path: Path, file: str, waveform, diagnosis: Diagnosis) -> None:
    # Imported when needed: drawing costs a second.
    from resp_agent.report.attribution_figure import attribution_figure
    from resp_agent.report.style import LIGHT

    title = f"{Path(file).name}: {diagnosis.label} ({diagnosis.confidence:.2f})"
    write_atomic(path, attribution_figure(waveform, diagnosis.attribution, title, LIGHT))
    print(f"wrote {shown(path.resolve())}")


def _unused(name: str, names: set[str]) -> str:
    """A name that none before had: files of the same name may lie in different folders."""
    number, chosen = 1, name
    while chosen in names:
        number += 1
        chosen = f"{name}-{number}"
    names.add(chosen)
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent diagnose` and `python -m jobs.diagnose`; returns the exit code."""
    return run_job(lambda words: run(tyro.cli(DiagnoseJob, args=words, prog="resp-agent diagnose")), argv)


if __name__ == "__main__":
    sys.exit(main())
