"""Corpora made of other corpora, to tell what their validation labels are worth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import built_before
from resp_agent.corpus.schema import SPLITS, Recording
from resp_agent.corpus.write import write_corpus
from resp_agent.errors import UserError
from resp_agent.randomness import digest


def trained_cells_only(recordings: list[Recording]) -> list[Recording]:
    """Validation keeps the labels in those styles only that training holds them in: no label of a new domain."""
    cells = {(one.label, one.style) for one in recordings if one.split == "train"}
    return [one for one in recordings if one.split != "valid" or (one.label, one.style) in cells]


def trained_on_validation(recordings: list[Recording]) -> list[Recording]:
    """Validation goes to training, but for the first recording of each label: calibration needs some."""
    first: dict[str, str] = {}
    for one in recordings:
        if one.split == "valid":
            first.setdefault(one.label, one.id)
    moved = [
        replace(one, split="train") if one.split == "valid" and first[one.label] != one.id else one
        for one in recordings
    ]
    return sorted(moved, key=lambda one: SPLITS.index(one.split))


VARIANTS: dict[str, Callable[[list[Recording]], list[Recording]]] = {
    "training-cells": trained_cells_only,
    "train+valid": trained_on_validation,
}
"""Name -> what it makes of the recordings of train, valid and test."""


def derive(corpus: Corpus, variant: str, out: Path) -> Corpus:
    """A variant of a corpus, written to `out` unless it is there already.

    Raises:
        UserError: nothing is left of validation.
    """
    recipe = digest("derived", variant, corpus.fingerprint)
    earlier = built_before(out, recipe)
    if earlier:
        return earlier
    recordings = VARIANTS[variant]([one for split in SPLITS for one in corpus.split(split)])
    if not any(one.split == "valid" for one in recordings):
        raise UserError(f"the corpus {corpus.path} has no validation recording left as {variant}: leave that row out")
    notes = [*corpus.notes, f"Made of another corpus: {variant}."]
    info = {"recipe": recipe, "sources": corpus.manifest.get("sources", [])}
    return write_corpus(recordings, out, notes=notes, info=info, label_set=corpus.label_set)
