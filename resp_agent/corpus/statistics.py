"""What a corpus holds, counted from its tables: plain data for the terminal, the figures and machines.

No audio is read, and rows are grouped column by column, so that a corpus of several 100,000 recordings takes seconds.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resp_agent.corpus.dataset import CYCLES, Corpus
from resp_agent.corpus.narrative.narrators import REFUSED, REWRITTEN
from resp_agent.corpus.schema import ALL_SPLITS, CYCLE_CLASSES, NO_SPLIT, SET_ASIDE_SCHEMA
from resp_agent.corpus.sources.found import AUDIO_SUFFIXES
from resp_agent.taxonomy import EVENT_KINDS, LABELS, UNLABELLED

_COLUMNS = (
    *("id", "source", "patient_id", "label", "style", "duration_s", "original_sample_rate_hz", "original_format"),
    *("device", "age_years", "narrative_source", "official_split", "remarks", "events"),
)
_ROLES = ("train", "test", "none", None)
# A name may hold blanks; where it follows "as" it ends at its suffix. Digits inside of words (COVID-19, PCM_24) stay.
_SUFFIX = rf"(?:{'|'.join(re.escape(suffix) for suffix in AUDIO_SUFFIXES)})\b"
_NAME = re.compile(rf"(?<=\bas )\S.*?{_SUFFIX}|\S+{_SUFFIX}", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\dA-Za-z_])(?<![A-Za-z]-)\d+(?:[.,]\d+)*")


def statistics(corpus: Corpus) -> dict:
    """Counts of everything that was found for a corpus; plain data with string keys.

    Hours and durations (`mean_s`, `max_s`) are of what was built. `patients` are those that a source names; a recording
    without one counts in `without_patient`. Labels, splits and reasons come in a fixed order: taxonomy, train to none,
    most frequent first.
    """
    rows = pa.concat_tables([_rows(corpus, split) for split in ALL_SPLITS])
    aside = {name: _set_aside(corpus, name) for name in ("excluded", "quarantine")}
    counts = {"built": rows.num_rows, "excluded": len(aside["excluded"]), "quarantined": len(aside["quarantine"])}
    reasons = {f"{name}_reasons": _reasons(table) for name, table in aside.items()}
    return {
        "path": str(corpus.path),
        "fingerprint": corpus.fingerprint,
        "found": sum(counts.values()),
        **counts,
        "by_split": _by_split(rows),
        "by_source": _by_source(rows, aside, corpus.manifest),
        "labels": _labels(rows),
        "styles": _ordered(_counted(rows, "style")),
        **reasons,
        "duplicates": _duplicates(*reasons.values()),
        "narratives": _narratives(rows),
        "official_split": _official(rows),
        "patients": _patients(rows),
        "remarks": _remarks(rows),
        "formats": _nested_counts(rows, "original_format"),
        "sample_rates_hz": _nested_counts(rows, "original_sample_rate_hz"),
        "events": _ordered(_tally(pc.struct_field(pc.list_flatten(rows["events"]), "kind")), EVENT_KINDS),
        "cycles": _cycles(corpus.path / CYCLES),
        "notes": list(corpus.notes),
    }


def simplified(reason: str) -> str:
    """A reason without what differs from file to file, so that equal ones can be counted."""
    return _NUMBER.sub("N", _NAME.sub("another recording", reason))


def _rows(corpus: Corpus, split: str) -> pa.Table:
    table = corpus.table(split, _COLUMNS)
    table = table.append_column("split", pa.array([split] * len(table), pa.string()))
    return table.append_column("named", pc.not_equal(table["patient_id"], table["id"]))


def _set_aside(corpus: Corpus, name: str) -> pa.Table:
    path = corpus.path / f"{name}.parquet"
    return pq.read_table(path) if path.is_file() else SET_ASIDE_SCHEMA.empty_table()


def _by_split(rows: pa.Table) -> dict:
    held = _amounts(rows, ["split"])
    patients = _counted(_distinct(rows.filter(rows["named"]), "patient_id", "split"), "split")
    return {split: {**_amount(held.get((split,))), "patients": patients[split]} for split in ALL_SPLITS}


def _by_source(rows: pa.Table, aside: dict[str, pa.Table], manifest: dict) -> dict:
    roles, kinds = manifest.get("roles", {}), manifest.get("device_kinds", {})
    held, parts = _amounts(rows, ["source"]), _amounts(rows, ["source", "split"])
    set_aside = {name: _counted(table, "source") for name, table in aside.items()}
    named = rows.filter(rows["named"])
    patients, with_patient = _counted(_distinct(named, "patient_id", "source"), "source"), _counted(named, "source")
    devices = _nested_counts(rows.filter(pc.is_valid(rows["device"])), "device")
    rates = _nested_counts(rows, "original_sample_rate_hz")
    names = {name for (name,) in held}.union(*set_aside.values(), roles)
    table = {}
    for name in names:
        amount = _amount(held.get((name,)))
        khz = [int(rate) / 1000 for rate in rates.get(name, {})]
        table[name] = {
            "role": roles.get(name),
            "splits": {split: _amount(parts[name, split]) for split in ALL_SPLITS if (name, split) in parts},
            "device_kind": kinds.get(name, "various"),
            "devices": devices.get(name, {}),
            "sample_rate_khz": [min(khz), max(khz)] if khz else None,
            **amount,
            "patients": patients[name],
            "without_patient": amount["files"] - with_patient[name],
            "excluded": set_aside["excluded"][name],
            "quarantined": set_aside["quarantine"][name],
        }
    order = sorted(table, key=lambda name: (_ROLES.index(table[name]["role"]), -table[name]["files"], name))
    return {name: table[name] for name in order}


def _labels(rows: pa.Table) -> dict:
    by_source, by_split = _nested_counts(rows, "source", "label"), _nested_counts(rows, "split", "label")
    return {
        label: {
            "files": sum(by_split[label].values()),
            "sources": by_source[label],
            "splits": {split: by_split[label][split] for split in ALL_SPLITS if split in by_split[label]},
        }
        for label in (*LABELS, UNLABELLED)
        if label in by_split
    }


def _reasons(table: pa.Table) -> dict:
    pairs = zip(table["source"].to_pylist(), table["reason"].to_pylist(), strict=True)
    return _nested((source, simplified(reason)) for source, reason in pairs)


def _remarks(rows: pa.Table) -> dict:
    sources = rows["source"].take(pc.list_parent_indices(rows["remarks"])).to_pylist()
    remarks = pc.list_flatten(rows["remarks"]).to_pylist()
    return _nested(zip(sources, map(simplified, remarks), strict=True))


def _duplicates(*reasons: dict) -> dict:
    """Reason -> recordings that were set aside because others have the same audio."""
    found = Counter()
    for by_source in reasons:
        for counts in by_source.values():
            found.update({reason: count for reason, count in counts.items() if "same audio" in reason})
    return _ordered(found)


def _narratives(rows: pa.Table) -> dict:
    """Narratives by who wrote them; `rewrite_rate` is None where no model was asked."""
    counts = _ordered(_counted(rows, "narrative_source"))
    asked = sum(count for writer, count in counts.items() if writer.startswith("model:") or writer == REFUSED)
    failed = sum(count for writer, count in counts.items() if writer.endswith(REWRITTEN) or writer == REFUSED)
    return {"written_by": counts, "rewrite_rate": failed / asked if asked else None}


def _official(rows: pa.Table) -> dict:
    """How a source's own split relates to the one here; validation is on the side of training.

    Of each source that has one: `files` by its word, recordings `moved_to_train` and `moved_to_test`, and named
    patients `on_both_sides` of it.
    """
    rows = rows.filter(pc.is_valid(rows["official_split"]))
    was_test = pc.match_substring(rows["official_split"], "test")
    to_train = rows.filter(pc.and_(was_test, pc.is_in(rows["split"], pa.array(["train", "valid"]))))
    to_test = rows.filter(pc.and_(pc.invert(was_test), pc.equal(rows["split"], "test")))
    moved_to_train, moved_to_test = _counted(to_train, "source"), _counted(to_test, "source")
    both = _several(rows.append_column("was_test", was_test).filter(rows["named"]), "was_test")
    return {
        source: {
            "files": files,
            "moved_to_train": moved_to_train[source],
            "moved_to_test": moved_to_test[source],
            "on_both_sides": both[source],
        }
        for source, files in _nested_counts(rows, "official_split").items()
    }


def _patients(rows: pa.Table) -> dict:
    """By source, patients with recordings `at_several_ages`, and `in_several_splits` here, which would be a leak."""
    named = rows.filter(rows["named"])
    return {
        "at_several_ages": _ordered(_several(named.filter(pc.is_valid(named["age_years"])), "age_years")),
        "in_several_splits": _ordered(_several(named.filter(pc.not_equal(named["split"], NO_SPLIT)), "split")),
    }


def _cycles(path: Path) -> dict:
    """Respiratory cycles by split and by what is heard; empty where no source marks them."""
    if not path.is_file():
        return {}
    counts = _nested_counts(pq.read_table(path, columns=["split", "heard"]), "heard", "split")
    return {split: _ordered(Counter(counts[split]), CYCLE_CLASSES) for split in ALL_SPLITS if split in counts}


def _amounts(rows: pa.Table, keys: list[str]) -> dict[tuple, dict]:
    # Without threads, sums do not depend on their order.
    groups = rows.group_by(keys, use_threads=False)
    table = groups.aggregate([("duration_s", "count"), ("duration_s", "sum"), ("duration_s", "max")])
    return {tuple(row[key] for key in keys): row for row in table.to_pylist()}


def _amount(row: dict | None) -> dict:
    if row is None:
        return {"files": 0, "hours": 0.0, "mean_s": None, "max_s": None}
    files, seconds = row["duration_s_count"], row["duration_s_sum"]
    return {"files": files, "hours": seconds / 3600, "mean_s": seconds / files, "max_s": row["duration_s_max"]}


def _distinct(rows: pa.Table, *keys: str) -> pa.Table:
    return rows.select(keys).group_by(list(keys)).aggregate([])


def _several(rows: pa.Table, column: str) -> Counter:
    """Source -> patients with more than one value of a column."""
    values = _distinct(rows, "source", "patient_id", column).group_by(["source", "patient_id"])
    counts = values.aggregate([([], "count_all")])
    return _counted(counts.filter(pc.greater(counts["count_all"], 1)), "source")


def _counted(rows: pa.Table, column: str) -> Counter:
    return _tally(rows[column])


def _tally(values: pa.ChunkedArray) -> Counter:
    return Counter({row["values"]: row["counts"] for row in pc.value_counts(values).to_pylist()})


def _nested_counts(rows: pa.Table, column: str, by: str = "source") -> dict[str, dict[str, int]]:
    """Value of `by` -> value of a column, as text and `unknown` where there is none -> rows."""
    grouped = rows.group_by([by, column]).aggregate([([], "count_all")])
    pairs = Counter()
    for row in grouped.to_pylist():
        pairs[row[by], "unknown" if row[column] is None else str(row[column])] += row["count_all"]
    return _nested(pairs)


def _nested(pairs: Iterable[tuple[str, str]] | Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    table: dict[str, Counter] = {}
    for (outer, inner), count in Counter(pairs).items():
        table.setdefault(outer, Counter())[inner] += count
    return {outer: _ordered(table[outer]) for outer in sorted(table)}


def _ordered(counts: Counter, order: tuple[str, ...] = ()) -> dict[str, int]:
    """Counts above 0 as a plain dict: in the given order, else most frequent first and by name."""
    names = order or sorted(counts, key=lambda name: (-counts[name], name))
    return {name: counts[name] for name in names if counts[name]}
