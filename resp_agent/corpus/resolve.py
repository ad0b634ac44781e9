"""From what the user names to an open corpus: embedded, built before, or raw recordings that are built now."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from resp_agent.corpus import stage
from resp_agent.corpus.build import BUILD_VERSION, build_corpus
from resp_agent.corpus.bulk import in_threads
from resp_agent.corpus.dataset import MANIFEST, Corpus
from resp_agent.corpus.listing import state_of
from resp_agent.corpus.roles import check_sources
from resp_agent.corpus.sources.found import everything
from resp_agent.corpus.write import write_corpus
from resp_agent.errors import UserError
from resp_agent.randomness import digest
from resp_agent.settings import CorpusSettings, Settings, fingerprint
from resp_agent.storage import fetch, is_remote, local
from resp_agent.taxonomy import table_digest

EMBEDDED = "embedded"


def resolve_corpus(settings: Settings, out: Path, every_label: bool = True) -> Corpus:
    """The corpus that `settings.corpus` names, fit for a run: no split is empty, two labels or more are learned.

    `every_label` False allows labels in the test split that training does not hold, for whoever leaves them out of a
    score and says so.

    `embedded` is simulated and `<source>=<path>,...` is built into `out`, unless the same is there already (same
    settings and seed, same files by name, size and time); a corpus directory is opened where it is.

    Raises:
        UserError: the path is missing or no corpus, a source is unknown, nothing or nothing usable is found, or a
            split is empty.
    """
    corpus = find_corpus(settings, out)
    _check_fit(corpus, settings.corpus, every_label)
    return corpus


def find_corpus(settings: Settings, out: Path) -> Corpus:
    """The same, whatever it holds: to be scored on, a corpus needs no split but one.

    Raises:
        UserError: the path is missing or no corpus, a source is unknown, or nothing or nothing usable is found.
    """
    spec, out = settings.corpus, Path(out)
    if spec == EMBEDDED:
        return _embedded(settings, out)
    if _is_sources(spec):
        return _built(parse_sources([spec]), settings.seed, out)
    return Corpus.open(local(spec))


def corpus_at_hand(settings: Settings, out: Path) -> Corpus | None:
    """What `resolve_corpus` would give, where it would make nothing for it; None where it would. Writes nothing.

    Raises:
        UserError: as `resolve_corpus` does, as far as can be told before anything is made.
    """
    spec, out = settings.corpus, Path(out)
    if spec == EMBEDDED:
        found = built_before(out, _embedded_recipe(settings))
    elif _is_sources(spec):
        found = built_before(out, _built_recipe(parse_sources([spec]), CorpusSettings(seed=settings.seed)))
    else:
        found = Corpus.open(local(spec))
    if found:
        _check_fit(found, spec, every_label=True)
    return found


def parse_sources(entries: Sequence[str]) -> dict[str, Path]:
    """`icbhi=<path>` or `icbhi=<path>,sprsound=<path>` as name -> path; a comma inside a path is kept.

    Raises:
        UserError: an entry is not name=path, a name comes twice or has no reader, or a path is not a directory.
    """
    sources: dict[str, Path] = {}
    for name, path in split_sources(entries):
        if not name or not path:
            raise UserError(f"source {f'{name}={path}'!r} is not understood: write <source>=<path>")
        if name in sources:
            raise UserError(f"source {name!r} is named twice: put its recordings under one folder")
        sources[name] = fetch(local(os.path.expanduser(path)))
    check_sources(sources)
    return sources


def split_sources(entries: Sequence[str]) -> list[tuple[str, str]]:
    """The name and the path of every part, as they were written."""
    parts = [part for entry in entries for part in re.split(r",(?=\s*\w*=)", entry)]
    return [(name.strip(), path.strip()) for name, _, path in (part.partition("=") for part in parts)]


def _is_sources(spec: str) -> bool:
    return "=" in spec and not is_remote(spec) and not local(spec).exists()


def _embedded(settings: Settings, out: Path) -> Corpus:
    # Imported when needed: the simulator is no part of working with real recordings.
    from resp_agent.simulation import VERSION, embedded_corpus

    recipe = _embedded_recipe(settings)
    earlier = built_before(out, recipe)
    if earlier:
        return earlier
    recordings = embedded_corpus(settings.simulation, settings.seed)
    return write_corpus(recordings, out, info={"sources": [VERSION], "seed": settings.seed, "recipe": recipe})


def _embedded_recipe(settings: Settings) -> str:
    from resp_agent.simulation import VERSION

    return fingerprint(VERSION, settings.simulation, settings.seed)


def _built(sources: dict[str, Path], seed: int, out: Path) -> Corpus:
    settings = CorpusSettings(seed=seed)
    recipe = _built_recipe(sources, settings)
    return built_before(out, recipe) or build_corpus(
        sources, out, settings, in_threads(os.cpu_count() or 1), info={"recipe": recipe}
    )


def _built_recipe(sources: dict[str, Path], settings: CorpusSettings) -> str:
    listings = (part for name in sorted(sources) for part in (name, _listing(sources[name])))
    return digest(BUILD_VERSION, stage.VERSION, table_digest(), fingerprint(settings), *listings)


def built_before(out: Path, recipe: str) -> Corpus | None:
    """The corpus at `out` if it was made by the same recipe and is whole."""
    if not fetch(out / MANIFEST).is_file():
        return None
    try:
        corpus = Corpus.open(out)
    except UserError:
        return None
    return corpus if corpus.manifest.get("recipe") == recipe else None


def _listing(root: Path) -> str:
    """A digest of everything below a folder: names, sizes and times of change."""
    parts = ((os.fsencode(path.relative_to(root)), *state_of(path)) for path in everything(root))
    return digest(*(part for entry in parts for part in entry))


def _check_fit(corpus: Corpus, spec: str, every_label: bool) -> None:
    if not corpus.labels:
        raise UserError(
            f"corpus {spec!r} has no training recording: see its quarantine.parquet for what was found and set aside, "
            "or give a source to train on"
        )
    for split in ("valid", "test"):
        if not corpus.held(split):
            raise UserError(
                f"corpus {spec!r} has no recording in its {split} split, so nothing can be scored: give one with at "
                "least 3 patients of some label"
            )
        unlearned = [label for label in corpus.held(split) if label not in corpus.labels]
        if unlearned and (every_label or split != "test" or len(unlearned) == len(corpus.held(split))):
            raise UserError(
                f"corpus {spec!r} has label {unlearned[0]!r} in {split} and no training recording of it: add some to "
                "train, or leave the label out"
            )
    if len(corpus.labels) < 2:
        raise UserError(
            f"corpus {spec!r} has only the label {corpus.labels[0]!r}, and telling apart needs two: add a source"
        )
