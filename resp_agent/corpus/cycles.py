"""Respiratory cycles of ICBHI as a corpus of their own: a row each, labelled by what is heard; the official split."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resp_agent.audio.quality import quality
from resp_agent.corpus.dataset import MANIFEST, Corpus
from resp_agent.corpus.narrative.template import narrative
from resp_agent.corpus.schema import ALL_SPLITS, CYCLE_CLASSES, SAMPLE_RATE_HZ, Recording
from resp_agent.corpus.sources.found import SetAside
from resp_agent.corpus.sources.icbhi import NAME
from resp_agent.corpus.splits import split_patients
from resp_agent.corpus.write import write_corpus
from resp_agent.errors import UserError
from resp_agent.randomness import digest

NORMAL = CYCLE_CLASSES[0]
SHORTEST_S = 0.1
"""Seconds of the shortest cycle that is built. No breath is as short: it is a slip of the annotation."""
OVERHANG_S = 0.1
"""Seconds that a cycle may end after its recording, which times rounded by hand do. It then ends with it."""
VALID_SHARE = 0.2
"""Share of each class of the official training part that is held out, by patient, for validation."""
VERSION = "cycles-1"


@dataclass(frozen=True)
class _Cut:
    """A cycle that is built."""

    recording: dict
    """Its recording's row, without the audio."""
    cycle: int
    start: int
    """First sample."""
    end: int
    heard: str

    @property
    def id(self) -> str:
        """A hash of the recording's audio (which its id is), and of where in it the cycle lies."""
        return digest(self.recording["id"], self.cycle, self.start, self.end)


def cycle_corpus(corpus: Corpus, out: Path, seed: int) -> Corpus:
    """The respiratory cycles of the ICBHI recordings of a corpus as the corpus `out`, built unless it is there already.

    Labels are `CYCLE_CLASSES`. Test is the official test part; train and valid are the official training part, divided
    by patient. The official split stays as it is, though it has patients on both sides: what was published is on it.
    Narratives are made from age, sex and site alone: one that tells of sounds would tell the label. Cycles that cannot
    be believed, or whose recording the official split does not name, are set aside with their reason.

    Args:
        corpus: recordings, on any split of their own.
        seed: moves which patients validate.

    Raises:
        UserError: there are no cycles, a part of the split has none or too few patients, or the test part has a class
            that nothing trains.
    """
    recipe = digest(VERSION, corpus.fingerprint, seed)
    if (out / MANIFEST).is_file():
        earlier = Corpus.open(out)
        if earlier.manifest.get("recipe") == recipe:
            return earlier
    kept, set_aside = _cuts(corpus)
    learned = [cut for cut in kept if cut.recording["official_split"] == "train"]
    side, notes = split_patients(
        [cut.recording["patient_id"] for cut in learned],
        [cut.heard for cut in learned],
        seed,
        valid_share=VALID_SHARE,
        test_share=0.0,
    )
    splits = {
        cut.id: "test" if cut.recording["official_split"] == "test" else side[cut.recording["patient_id"]]
        for cut in kept
    }
    _check(corpus, kept, splits)
    notes = [*_notes(kept), *notes]
    rows = _recordings(corpus, kept, splits)
    return write_corpus(rows, out, set_aside, notes, {"recipe": recipe, "seed": seed}, label_set=CYCLE_CLASSES)


def _cuts(corpus: Corpus) -> tuple[list[_Cut], list[SetAside]]:
    """Cycles that are built, and those that are not."""
    cycles = [row for row in corpus.cycles().to_pylist() if row["source"] == NAME]
    if not cycles:
        raise UserError(
            f"the corpus {corpus.path} has no respiratory cycles of ICBHI 2017: give --corpus {NAME}=<path>, or a "
            "corpus that was built from it"
        )
    held = {row["split"] for row in cycles}
    rows = {row["id"]: row for split in ALL_SPLITS if split in held for row in corpus.table(split).to_pylist()}
    kept, set_aside = [], []
    for one in cycles:
        recording = rows[one["id"]]
        times = (one["start_s"], min(one["end_s"], recording["duration_s"]))
        cut = _Cut(recording, one["cycle"], *(round(time * SAMPLE_RATE_HZ) for time in times), one["heard"])
        reason = _refusal(cut, one["end_s"])
        if reason:
            place = Path(f"{NAME}/{recording['patient_id']}/{one['id']}/cycle {one['cycle']}")
            set_aside.append(SetAside(NAME, place, one["heard"], reason))
        else:
            kept.append(cut)
    return kept, set_aside


def _refusal(cut: _Cut, end_s: float) -> str | None:
    """Why a cycle that is marked to end at `end_s` is not built; None if it is."""
    duration_s, samples = cut.recording["duration_s"], max(cut.end - cut.start, 0)
    if cut.recording["official_split"] not in ("train", "test"):
        return "the official split does not name its recording"
    if end_s > duration_s + OVERHANG_S:
        return f"it ends at {end_s:.2f} s and its recording at {duration_s:.2f} s"
    if samples < round(SHORTEST_S * SAMPLE_RATE_HZ):
        return f"{samples / SAMPLE_RATE_HZ:.2f} s is too short (at least {SHORTEST_S:g} s)"
    return None


def _check(corpus: Corpus, kept: list[_Cut], splits: dict[str, str]) -> None:
    classes = {split: {cut.heard for cut in kept if splits[cut.id] == split} for split in ("train", "valid", "test")}
    for split, part in (("train", "training"), ("test", "test")):
        if not classes[split]:
            raise UserError(f"the corpus {corpus.path} has no cycle of the official {part} part: give all of ICBHI")
    if not classes["valid"]:
        raise UserError(
            f"the official training part of {corpus.path} has too few patients to hold some out for validation: give "
            "more recordings"
        )
    unlearned = (classes["test"] | {NORMAL}) - classes["train"]
    if unlearned:
        raise UserError(
            f"the official training part of {corpus.path} has no cycle heard as {min(unlearned)}, which the test asks "
            "for: give more recordings"
        )


def _notes(kept: list[_Cut]) -> list[str]:
    both = set.intersection(
        *({cut.recording["patient_id"] for cut in kept if cut.recording["official_split"] == part}
          for part in ("train", "test"))
    )  # fmt: skip
    if not both:
        return ["no patient is on both sides of the official split"]
    moved = Counter(cut.recording["official_split"] for cut in kept if cut.recording["patient_id"] in both)
    return [
        f"on both sides of the official split: {', '.join(sorted(both))} ({moved['train']} training and "
        f"{moved['test']} test cycles); it is kept as it is, because published figures are on it"
    ]


def _recordings(corpus: Corpus, kept: list[_Cut], splits: dict[str, str]) -> Iterator[Recording]:
    """Rows of the corpus of cycles, a recording's audio in memory at a time."""
    by_recording: dict[str, list[_Cut]] = {}
    for cut in kept:
        by_recording.setdefault(cut.recording["id"], []).append(cut)
    for split in ALL_SPLITS:
        ids = {name for name, cuts in by_recording.items() if cuts[0].recording["split"] == split}
        for name, waveform in corpus.waveforms(split, ids) if ids else ():
            for cut in by_recording[name]:
                yield _recording(cut, waveform[cut.start : cut.end], splits[cut.id])


def _recording(cut: _Cut, waveform: np.ndarray, split: str) -> Recording:
    row = cut.recording
    told = {name: row[name] for name in ("age_years", "sex", "site")}
    copied = ("source", "patient_id", "style", "original_sample_rate_hz", "original_format", "device", "official_split")
    return Recording(
        id=cut.id,
        label=cut.heard,
        source_label=cut.heard,
        waveform=waveform,
        narrative=narrative(cut.id, **told),
        narrative_source="template",
        split=split,
        quality=quality(waveform),
        **told,
        **{name: row[name] for name in copied},
    )
