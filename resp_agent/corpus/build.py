"""Raw recordings of several sources to a corpus directory: built + excluded + quarantined = everything found."""

import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from resp_agent.audio.decode import Unreadable, decode
from resp_agent.audio.quality import quality, refusal
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.narrative import narrative
from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Event, Recording, audio_id, from_pcm, to_pcm
from resp_agent.corpus.sources import SOURCES
from resp_agent.corpus.sources.found import Found, SetAside
from resp_agent.corpus.splits import TEST_SHARE, VALID_SHARE, split_patients
from resp_agent.corpus.style import styles_of
from resp_agent.corpus.write import prepare, printable, write_corpus
from resp_agent.errors import UserError
from resp_agent.taxonomy import label_of

BUILD_VERSION = 1
"""Raised when the same files would be built into another corpus than before."""
EVENT_SLACK_S = 0.5
"""An event may be annotated this much past the end of its recording, and is then cut there."""

Progress = Callable[[int, Path], None]
"""Told after each recording: how many were dealt with, and the last one's path."""


@dataclass(frozen=True)
class Draft:
    """A recording that passed, before patients are split: all of its row but style, split and narrative."""

    found: Found
    path: Path
    """Below its source's root."""
    label: str
    id: str
    original_sample_rate_hz: int
    quality: dict[str, float] = field(repr=False)
    events: tuple[Event, ...] = field(repr=False)

    @property
    def patient_id(self) -> str:
        """The source's patient, or the recording itself where the source names none."""
        return self.found.patient_id or self.id


def build_corpus(
    sources: dict[str, Path],
    out: Path,
    seed: int,
    progress: Progress | None = None,
    *,
    valid_share: float = VALID_SHARE,
    test_share: float = TEST_SHARE,
    info: dict | None = None,
) -> Corpus:
    """Builds the recordings of `sources` (name -> root of its original layout) into `out`.

    Decoded audio waits in a file, so memory does not grow with hours of audio. `info` is added to corpus.json.

    Raises:
        UserError: a source is unknown or its path is not a directory, nothing is found there, nothing found can be
            built, or `out` cannot be written.
    """
    out = Path(out)
    check_sources(sources)
    prepare(out)
    # Beside the output, because a temporary folder may be small or in memory.
    with tempfile.TemporaryFile(dir=out.parent) as file:
        spool = Spool(file)
        drafts, set_aside = _gather(sources, spool, progress)
        drafts, duplicates = drop_duplicates(drafts)
        set_aside += duplicates
        _refuse_nothing(sources, drafts, set_aside)
        side, notes = split_patients(
            [d.patient_id for d in drafts], [d.label for d in drafts], seed, valid_share, test_share
        )
        splits = [side[d.patient_id] for d in drafts]
        styles = styles_of([d.found.device for d in drafts], splits, (spool.read(d.id) for d in drafts), seed)
        rows = (
            _recording(draft, spool.read(draft.id), split, style)
            for draft, split, style in zip(drafts, splits, styles, strict=True)
        )
        about = {"sources": sorted(sources), "seed": seed, **(info or {})}
        return write_corpus(rows, out, set_aside, notes, about)


def check_sources(sources: dict[str, Path]) -> None:
    """Raises UserError for a source without a reader, or a root that is not a directory."""
    for name, root in sources.items():
        if name not in SOURCES:
            raise UserError(f"there is no reader for source {name!r}: choose from {', '.join(SOURCES)}")
        if not Path(root).is_dir():
            raise UserError(f"source {name} has no directory at {root}: give the folder that holds its original layout")


class Spool:
    """Decoded audio on disk as 16-bit samples, by id."""

    def __init__(self, file):
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}

    def write(self, name: str, waveform: np.ndarray) -> None:
        """Keeps audio under its id; the same id is the same audio and is kept once."""
        if name not in self._places:
            start = self._file.seek(0, 2)
            self._places[name] = (start, self._file.write(to_pcm(waveform).tobytes()))

    def read(self, name: str) -> np.ndarray:
        """The audio as float32, shape (samples,)."""
        start, size = self._places[name]
        self._file.seek(start)
        return from_pcm(np.frombuffer(self._file.read(size), np.int16))


def drop_duplicates(drafts: list[Draft]) -> tuple[list[Draft], list[SetAside]]:
    """Drafts with audio of their own, and the others set aside.

    Of the same audio under one label the first stays; under several labels none can be believed, and all go.
    """
    same = defaultdict(list)
    for draft in drafts:
        same[draft.id].append(draft)
    kept, dropped = [], []
    for twins in same.values():
        if len({draft.label for draft in twins}) > 1:
            labels = " and ".join(sorted({draft.label for draft in twins}))
            dropped += [_aside(draft, f"the same audio is labelled {labels}") for draft in twins]
        else:
            kept.append(twins[0])
            first = twins[0].path.name
            dropped += [_aside(draft, f"it is a duplicate: the same audio as {first}") for draft in twins[1:]]
    return kept, dropped


def _gather(sources: dict[str, Path], spool: Spool, progress: Progress | None) -> tuple[list[Draft], list[SetAside]]:
    drafts: list[Draft] = []
    set_aside: list[SetAside] = []
    for name in sorted(sources):
        root = Path(sources[name])
        for item in SOURCES[name](root):
            path = item.path.relative_to(root)
            outcome = replace(item, path=path) if isinstance(item, SetAside) else _draft(item, path, spool)
            (set_aside if isinstance(outcome, SetAside) else drafts).append(outcome)
            if progress:
                progress(len(drafts) + len(set_aside), path)
    return drafts, set_aside


def _draft(found: Found, path: Path, spool: Spool) -> Draft | SetAside:
    def aside(reason: str) -> SetAside:
        return SetAside(found.source, path, found.source_label, reason)

    try:
        label = label_of(found.source, found.source_label)
    except KeyError as problem:
        return aside(problem.args[0])
    try:
        decoded = decode(found.path)
    except Unreadable as problem:
        return aside(problem.reason)
    reason = refusal(decoded.waveform, decoded.original_sample_rate_hz)
    if reason:
        return aside(reason)
    duration_s = len(decoded.waveform) / SAMPLE_RATE_HZ
    last_s = max((event.end_s for event in found.events), default=0.0)
    if last_s > duration_s + EVENT_SLACK_S or any(event.start_s >= duration_s for event in found.events):
        return aside(f"its annotation goes to {last_s:.1f} s and its audio to {duration_s:.1f} s")
    name = audio_id(decoded.waveform)
    spool.write(name, decoded.waveform)
    return Draft(
        found=found,
        path=path,
        label=label,
        id=name,
        original_sample_rate_hz=decoded.original_sample_rate_hz,
        quality=quality(decoded.waveform),
        events=tuple(replace(event, end_s=min(event.end_s, duration_s)) for event in found.events),
    )


def _aside(draft: Draft, reason: str) -> SetAside:
    return SetAside(draft.found.source, draft.path, draft.found.source_label, reason)


def _refuse_nothing(sources: dict[str, Path], drafts: list[Draft], set_aside: list[SetAside]) -> None:
    if drafts:
        return
    places = ", ".join(f"{name}={root}" for name, root in sources.items())
    if not set_aside:
        raise UserError(f"no recording was found in {places}: give the folders that hold the original layouts")
    reason = max({row.reason for row in set_aside}, key=lambda r: sum(row.reason == r for row in set_aside))
    raise UserError(
        f"none of the {len(set_aside)} recordings found in {places} can be built (mostly because {reason}): check that "
        "the whole original layout is there"
    )


def _recording(draft: Draft, waveform: np.ndarray, split: str, style: str) -> Recording:
    found = draft.found
    path = printable(Path(found.source) / draft.path.with_suffix(".flac"))
    return Recording(
        id=draft.id,
        source=found.source,
        patient_id=draft.patient_id,
        label=draft.label,
        source_label=found.source_label,
        style=style,
        waveform=waveform,
        original_sample_rate_hz=draft.original_sample_rate_hz,
        narrative=narrative(
            draft.id,
            age_years=found.age_years,
            sex=found.sex,
            site=found.site,
            symptoms=found.symptoms,
            history=found.history,
        ),
        split=split,
        events=draft.events,
        normal_breaths=found.normal_breaths,
        device=found.device,
        site=found.site,
        age_years=found.age_years,
        sex=found.sex,
        symptoms=found.symptoms,
        history=found.history,
        official_split=found.official_split,
        quality=draft.quality,
        path=path,
    )
