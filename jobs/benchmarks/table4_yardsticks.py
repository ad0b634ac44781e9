"""What the clips of table 4 are measured with: a judge, an ear for styles, and recordings that no generator heard.

All of it is fixed before anything is synthesized, and kept on disk for other rows.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property

import numpy as np
from safetensors.numpy import load_file, save

from jobs.benchmarks.table4_clips import Cell, Clips, shortened
from jobs.benchmarks.table4_judge import JudgeSettings, judge_of
from resp_agent.corpus.dataset import Corpus, Description
from resp_agent.corpus.schema import SAMPLE_RATE_HZ, Recording
from resp_agent.curriculum.folders import Folders
from resp_agent.durable import write_atomic
from resp_agent.metrics.clip_judge import ClipJudge
from resp_agent.metrics.embeddings import Embedder, Scale, rows_of
from resp_agent.metrics.frechet import frechet_infinity
from resp_agent.metrics.styles import StyleEar, reference_similarity, style_similarity, styles_heard
from resp_agent.metrics.synthesis import diversity, memorisation
from resp_agent.randomness import digest
from resp_agent.settings import Settings
from resp_agent.storage import fetch

MOST_PER_CELL = 20
"""Recordings of a label and style that the ear for styles learns from."""
FEWEST = 4
"""Clips and held-out recordings of a style from which a FAD is taken."""


class Yardsticks:
    """Measures clips against one corpus. Whatever it needs is made when it is first asked for.

    Recordings that are longer than a clip are heard in a window of a clip's length, or means over time would differ in
    spread.
    """

    def __init__(self, settings: Settings, corpus: Corpus, judge: JudgeSettings, embedder: Embedder, folders: Folders):
        self._settings, self._corpus, self._chosen = settings, corpus, judge
        self._embedder, self._folders = embedder, folders
        self._samples = math.ceil(settings.audio.clip_s * SAMPLE_RATE_HZ)

    @cached_property
    def train(self) -> list[Recording]:
        """The training split, whole recordings."""
        return self._corpus.split("train")

    @cached_property
    def valid(self) -> list[Recording]:
        """The validation split."""
        return self._clip_long(self._corpus.split("valid"))

    @cached_property
    def test(self) -> list[Recording]:
        """The held-out recordings: the test split but for labels that training does not hold."""
        return [one for one in self._clip_long(self._corpus.split("test")) if one.label in self._corpus.labels]

    @cached_property
    def cells(self) -> set[Cell]:
        """Labels and styles of held-out recordings, of styles that training holds."""
        return {(one.label, one.style) for one in self.test if one.style in self._corpus.styles}

    @cached_property
    def learned_from(self) -> Corpus:
        """What judge and ear learn from."""
        return self._chosen.corpus(self._settings, self._corpus, self._folders.first)

    @cached_property
    def judge(self) -> ClipJudge:
        """Names labels."""
        return judge_of(self._chosen, self._settings, self.learned_from, self._folders)

    @cached_property
    def ear(self) -> StyleEar:
        """Names styles."""
        chosen = _some(self.learned_from.descriptions("train"))
        styles = {one.id: one.style for one in chosen}
        order = [one.id for one in self.learned_from.descriptions("train") if one.id in styles]

        def heard() -> Iterator[np.ndarray]:
            for _, waveform in self.learned_from.waveforms("train", styles):
                yield waveform[: self._samples]

        embeddings = self._kept("ear", self.learned_from, lambda: self._embedder(heard()))
        return StyleEar(embeddings, [styles[one] for one in order])

    def check(self) -> dict[str, float]:
        """How well judge and ear do on the held-out recordings; shares of 0 to 1."""
        named = self.ear.name(self._held_out)
        return {
            "judge_accuracy": self.judge.accuracy(self.test),
            "ear_accuracy": float(np.mean([name == one.style for name, one in zip(named, self.test, strict=True)])),
        }

    def measure(self, clips: Clips, cells: Collection[Cell]) -> dict:
        """Every figure of the clips of some cells, against the held-out recordings of those cells; None where there is
        nothing to tell it from. P-Acc also by label and by style.
        """
        held = [row for row, one in enumerate(self.test) if (one.label, one.style) in cells]
        real, real_cells = self._held_out[held], [(self.test[row].label, self.test[row].style) for row in held]
        recordings = self._clip_long(clips.recordings)
        asked = [(one.label, one.style) for one in recordings]
        styles, real_styles = [style for _, style in asked], [style for _, style in real_cells]
        ours = self._embedder(one.waveform for one in recordings)
        places = {one.id: row for row, one in enumerate(self.train)}
        references = self._heard[[places[one.id] for one in clips.references]]
        similar = style_similarity(self.ear.embed(ours), styles, self.ear.embed(real), real_styles)
        told = styles_heard(self.ear.name(ours), styles, clips.contents)
        named = self.judge.name(recordings)
        right = np.array([label == name for (label, _), name in zip(asked, named, strict=True)])
        scale = Scale(self._heard)
        near = memorisation(scale(ours), scale(self._heard))
        figures = {
            "clips": len(ours),
            "p_acc": float(np.mean(right)),
            "style_sim": similar.own,
            "style_sim_other": similar.other,
            "reference_sim": reference_similarity(ours, references),
            "fad": self._fad(rows_of(ours, styles), rows_of(real, real_styles)),
            "fad_of_all": frechet_infinity(ours, real, self._settings.seed).distance,
            "style_accuracy": told.wanted,
            "leak": told.leak,
            "diversity": diversity(scale(ours), asked, scale(real), real_cells),
            "nearest": near.ratio,
            "memorised": near.share,
            "closest": near.closest,
        }
        known = {name: None if value is None or math.isnan(value) else value for name, value in figures.items()}
        parts = {"label": [label for label, _ in asked], "style": styles}
        shares = {
            f"p_acc_by_{part}": {name: float(rows.mean()) for name, rows in rows_of(right, names).items()}
            for part, names in parts.items()
        }
        return known | shares

    def _fad(self, ours: dict[str, np.ndarray], real: dict[str, np.ndarray]) -> float:
        """The mean over styles: a device in the place of another one stays unseen in the mixture of all. NaN where no
        style has enough of both.
        """
        enough = [style for style in ours if min(len(ours[style]), len(real.get(style, ()))) >= FEWEST]
        found = [frechet_infinity(ours[style], real[style], self._settings.seed).distance for style in enough]
        return float(np.mean(found)) if found else math.nan

    @cached_property
    def _heard(self) -> np.ndarray:
        """(R, D) of the training split."""
        return self._kept(
            "train", self._corpus, lambda: self._embedder(one.waveform for one in self._clip_long(self.train))
        )

    @cached_property
    def _held_out(self) -> np.ndarray:
        """(R, D) of `test`."""
        return self._kept("test", self._corpus, lambda: self._embedder(one.waveform for one in self.test))

    def _clip_long(self, recordings: Sequence[Recording]) -> list[Recording]:
        return shortened(recordings, self._samples)

    def _kept(self, what: str, corpus: Corpus, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Embeddings from disk, or made and put there."""
        embedder = self._embedder
        name = digest("embeddings", what, corpus.fingerprint, embedder.name, embedder.fingerprint, self._samples)
        path = self._folders.first / "embeddings" / f"{name}.safetensors"
        if not fetch(path).is_file():
            write_atomic(path, save({"embeddings": make()}))
        return load_file(path)["embeddings"]


def _some(described: Sequence[Description]) -> list[Description]:
    """The first `MOST_PER_CELL` recordings of each label and style."""
    groups: dict[Cell, list[Description]] = defaultdict(list)
    for one in described:
        groups[one.label, one.style].append(one)
    return [one for group in groups.values() for one in group[:MOST_PER_CELL]]
