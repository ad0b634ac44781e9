"""The statistics of a corpus as text for a terminal: tables, what was set aside, and how each oddity was decided."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from resp_agent.corpus.schema import CYCLE_CLASSES, NO_SPLIT
from resp_agent.report.terminal import WIDTH, Row, text_table, wrapped
from resp_agent.report.words import MISSING, finite
from resp_agent.taxonomy import UNLABELLED

_LABELS_WIDTH = 50
"""Columns that labels and sums take of a table; the sources have the rest."""
_MOST_REASONS = 40
"""Reasons that are listed before the rest is only counted."""
_MOST_NAMED = 8
"""Values that a line of traps names."""


def render(stats: dict) -> str:
    """What `corpus.statistics.statistics` counted, at most `WIDTH` columns wide, with a line break at its end."""
    sections = [
        wrapped(
            f"Corpus {stats['path']}: {_number(stats['found'])} recordings found, {_number(stats['built'])} built, "
            f"{_number(stats['excluded'])} excluded, {_number(stats['quarantined'])} quarantined",
            "",
        ),
        _section("By split", _splits(stats)),
        _section("By source", _sources(stats)),
        *(_section("Recordings by label and source", table) for table in _labels(stats)),
        _section("What became of everything found", _found(stats)),
        _section("Set aside, by reason", _reasons(stats)),
        _section("Narratives", _narratives(stats)),
        *([_section("Events marked", _listed(stats["events"]))] if stats["events"] else []),
        *([_section("Respiratory cycles marked", _cycles(stats["cycles"]))] if stats["cycles"] else []),
        _section("Traps and decisions", [wrapped(line) for line in _traps(stats)]),
        *([_section("Notes", [wrapped(note) for note in stats["notes"]])] if stats["notes"] else []),
    ]
    return "\n\n".join(sections) + "\n"


def _splits(stats: dict) -> list[str]:
    by_split = {name: split for name, split in stats["by_split"].items() if split["files"] or name != NO_SPLIT}
    by_split["total"] = total = _total(by_split.values())
    digits = _digits(total)
    rows = [(name, *_amount(part, digits), _maximum(part["max_s"])) for name, part in by_split.items()]
    return text_table(("split", "files", "patients", "hours", "mean s", "max s"), rows, texts=1)


def _sources(stats: dict) -> list[str]:
    total = _total(stats["by_source"].values())
    rows = [
        (name, source["role"] or MISSING, " / ".join(source["splits"]) or MISSING, source["device_kind"],
         _range(source["sample_rate_khz"]), *_amount(source, _digits(total)))
        for name, source in stats["by_source"].items()
    ]  # fmt: skip
    rates = [khz for source in stats["by_source"].values() for khz in source["sample_rate_khz"] or ()]
    whole = _range([min(rates), max(rates)] if rates else None)
    rows.append(("total", "", "", "", whole, *_amount(total, _digits(total))))
    head = ("source", "role", "split", "device", "sample rate kHz", "files", "patients", "hours", "mean s")
    return text_table(head, rows, texts=4)


def _labels(stats: dict) -> Iterable[list[str]]:
    """Tables of a few sources each, as many as fit beside the labels."""
    shown: list[str] = []
    groups = [shown]
    for name in (name for name, source in stats["by_source"].items() if source["files"]):
        if sum(len(other) + 2 for other in (*shown, name)) > WIDTH - _LABELS_WIDTH and shown:
            groups.append(shown := [])
        shown.append(name)
    for shown in groups:
        rows = [
            (label, *(_count(held["sources"].get(name, 0)) for name in shown), _number(held["files"]))
            for label, held in stats["labels"].items()
        ]
        sums = [_number(stats["by_source"][name]["files"]) for name in shown]
        yield text_table(("label", *shown, "total"), [*rows, ("total", *sums, _number(stats["built"]))], texts=1)


def _found(stats: dict) -> list[str]:
    sources = stats["by_source"].items()
    rows = [(name, *_fates(row["files"], row["excluded"], row["quarantined"])) for name, row in sources]
    rows.append(("total", *_fates(stats["built"], stats["excluded"], stats["quarantined"])))
    return text_table(("source", "found", "built", "excluded", "quarantined", "built %"), rows, texts=1)


def _fates(built: int, excluded: int, quarantined: int) -> Row:
    found = built + excluded + quarantined
    share = f"{100 * built / found:.1f}" if found else MISSING
    return _number(found), _number(built), _count(excluded), _count(quarantined), share


def _reasons(stats: dict) -> list[str]:
    rows = [
        (count, source, fate, reason)
        for fate, key in (("excluded", "excluded_reasons"), ("quarantine", "quarantine_reasons"))
        for source, reasons in stats[key].items()
        for reason, count in reasons.items()
    ]
    if not rows:
        return ["  Nothing: everything that was found was built."]
    rows.sort(key=lambda row: (-row[0], *row[1:]))
    shown = [(_number(row[0]), *row[1:]) for row in rows[:_MOST_REASONS]]
    widths = [max(len(row[at]) for row in shown) for at in range(3)]
    lines = []
    for count, source, fate, reason in shown:
        before = f"  {count:>{widths[0]}}  {source:<{widths[1]}}  {fate:<{widths[2]}}  "
        lines += textwrap.wrap(reason, WIDTH, initial_indent=before, subsequent_indent=" " * len(before))
    more = rows[_MOST_REASONS:]
    files = sum(row[0] for row in more)
    return lines + ([f"  and {_number(len(more))} more reasons for {_number(files)} recordings"] if more else [])


def _narratives(stats: dict) -> list[str]:
    rate = stats["narratives"]["rewrite_rate"]
    said = "no model was asked" if rate is None else f"{100 * rate:.2f} % of what a model wrote"
    return [*_listed(stats["narratives"]["written_by"]), wrapped(f"rewritten or replaced: {said}")]


def _cycles(cycles: dict) -> list[str]:
    total = sum(map(Counter, cycles.values()), Counter())
    rows = [
        (name, *(_count(counts.get(heard, 0)) for heard in CYCLE_CLASSES), _number(sum(counts.values())))
        for name, counts in (*cycles.items(), ("total", total))
    ]
    return text_table(("split", *CYCLE_CLASSES, "total"), rows, texts=1)


def _traps(stats: dict) -> Iterable[str]:
    sources, official, patients = stats["by_source"], stats["official_split"], stats["patients"]
    train = {
        name: source["splits"]["train"]["files"] for name, source in sources.items() if "train" in source["splits"]
    }
    if train:
        largest = max(train, key=train.get)
        yield f"largest source of train: {largest} with {100 * train[largest] / sum(train.values()):.1f} % of it"

    parts = [f"{name}: {_named(row['files'])}" for name, row in official.items()]
    yield f"official splits: {'; '.join(parts) or 'none'}"
    to_train, to_test = (sum(row[key] for row in official.values()) for key in ("moved_to_train", "moved_to_test"))
    yield _trap(
        "on another side than in the official split",
        {name: row["moved_to_train"] + row["moved_to_test"] for name, row in official.items()},
        f"{_number(to_train)} of test lie in train or valid, {_number(to_test)} of train in test",
    )
    both = {name: row["on_both_sides"] for name, row in official.items()}
    yield _trap("patients on both sides of the official split", both, "each is on one side here")
    yield _trap("patients in several splits here", patients["in_several_splits"], "what is scored was trained on")
    yield _trap("patients recorded at several ages", patients["at_several_ages"], "each recording keeps its own")
    nameless = {name: source["without_patient"] for name, source in sources.items()}
    yield _trap("recordings without a patient", nameless, "each counts as a patient of its own")

    duplicates = [f"duplicates: {_number(n)} × {reason}" for reason, n in stats["duplicates"].items()]
    yield from duplicates or ["duplicates: none"]
    formats = {name: n for name, n in _over_sources(stats["formats"]).items() if not name.endswith("PCM_16")}
    yield _trap("formats other than 16-bit PCM", formats, "all are stored as 16-bit FLAC")
    rates = {f"{int(rate) / 1000:g} kHz": n for rate, n in _over_sources(stats["sample_rates_hz"]).items()}
    yield _trap("sample rates", rates, "all are stored at 16 kHz")
    remarks = [
        f"remarks: {_number(n)} × {remark} ({source})"
        for source, counts in stats["remarks"].items()
        for remark, n in counts.items()
    ]
    yield from remarks or ["remarks: none"]
    unlabelled = stats["labels"].get(UNLABELLED, {"sources": {}})["sources"]
    yield _trap("unlabelled", unlabelled, "never trained on with labels, never scored")


def _trap(what: str, counts: dict[str, int], decision: str) -> str:
    return f"{what}: {_named(counts)}{f'; {decision}' if any(counts.values()) else ''}"


def _over_sources(nested: dict) -> Counter:
    return sum(map(Counter, nested.values()), Counter())


def _total(parts: Iterable[dict]) -> dict:
    parts = list(parts)
    files, hours = sum(part["files"] for part in parts), sum(part["hours"] for part in parts)
    longest = max((part["max_s"] for part in parts if finite(part["max_s"])), default=None)
    mean_s = hours * 3600 / files if files else None
    return {"files": files, "hours": hours, "mean_s": mean_s, "max_s": longest,
            "patients": sum(part["patients"] for part in parts)}  # fmt: skip


def _amount(part: dict, digits: int) -> Row:
    """Files, patients, hours with these digits, mean s."""
    hours = f"{part['hours']:,.{digits}f}"
    mean = f"{part['mean_s']:.1f}" if finite(part["mean_s"]) else MISSING
    return _number(part["files"]), _count(part["patients"]), hours if part["files"] else MISSING, mean


def _digits(total: dict) -> int:
    return 1 if total["hours"] >= 100 else 2


def _maximum(seconds: float | None) -> str:
    return f"{seconds:.0f}" if finite(seconds) else MISSING


def _number(value: int) -> str:
    return f"{value:,}"


def _count(value: int) -> str:
    return f"{value:,}" if value else MISSING


def _range(khz: Sequence[float] | None) -> str:
    return MISSING if khz is None else "-".join(dict.fromkeys(f"{value:g}" for value in khz))


def _named(counts: dict[str, int]) -> str:
    """Counts above 0 with their names, the largest first: `icbhi (2), kauh (1)`, or `none`."""
    pairs = sorted(((name, count) for name, count in counts.items() if count), key=lambda pair: (-pair[1], pair[0]))
    more = f" and {len(pairs) - _MOST_NAMED} more" if len(pairs) > _MOST_NAMED else ""
    return (", ".join(f"{name} ({_number(count)})" for name, count in pairs[:_MOST_NAMED]) or "none") + more


def _listed(counts: dict[str, int]) -> list[str]:
    return text_table(None, [(name, _number(count)) for name, count in counts.items()], texts=1)


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([title, *lines])
