"""The report: one HTML page that needs nothing else, and its figures as files."""

from importlib.resources import files

from resp_agent.report import figures as draw
from resp_agent.report import tables
from resp_agent.report.blocks import figure, folded, section
from resp_agent.report.headline import headline_html
from resp_agent.report.pairs import choose_pairs, kind_of, pair_html, picture_html
from resp_agent.report.record import RunRecord
from resp_agent.report.sound_grid import MOST_LABELS, by_cell, grid_figure
from resp_agent.report.why import why_section
from resp_agent.report.words import count_of, score, text

_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
"""The browser loads nothing from elsewhere and runs nothing, whatever a label or a file is called."""


def render_report(record: RunRecord) -> dict[str, bytes]:
    """`report.html`, self-contained, and `figures/<name>.png` for every figure in it.

    The page embeds figures (in a light and a dark theme) and audio as data URIs, has no script and asks for nothing
    over the network. It holds excerpts of real recordings, and says so.
    """
    pictures: dict[str, bytes] = {}
    body = "\n".join(
        [
            f"<header>{headline_html(record)}</header>",
            _notes(record),
            _scores(record, pictures),
            _budget(record, pictures),
            why_section(record, pictures),
            _confusion(record, pictures),
            _clips(record, pictures),
            _grid(record, pictures),
            section("Time", tables.seconds_table(record.summary.get("seconds") or {})),
            section("Files that could not be used", tables.quarantine_table(record.quarantine)),
            section(
                "How it was run",
                folded("Every round and its requests", tables.round_table(record))
                + folded("Settings", tables.settings_table(record.settings))
                + folded("Versions", tables.versions_table(record.versions)),
            ),
            _statement(),
        ]
    )
    summary = record.summary
    title = (
        f"Curriculum run: {summary.get('policy', '')}, seed {summary.get('seed', '')}, test macro-F1 "
        f"{score(summary.get('test_macro_f1_before'))} to {score(summary.get('test_macro_f1_after'))}"
    )
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{text(title)}</title>\n<style>\n{_style_sheet()}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
    return {"report.html": page.encode(), **{f"figures/{name}.png": png for name, png in pictures.items()}}


def _style_sheet() -> str:
    return files("resp_agent.report").joinpath("page.css").read_text("utf-8")


def _notes(record: RunRecord) -> str:
    absent = [label for label, here in zip(record.labels, record.valid[0].held, strict=True) if not here]
    notes = [text(note) for note in record.notes]
    if absent:
        notes.append(f"Not in the validation split, and so not in its macro-F1: {', '.join(map(text, absent))}.")
    return section("Notes", f"<ul>{''.join(f'<li>{note}</li>' for note in notes)}</ul>") if notes else ""


def _scores(record: RunRecord, pictures: dict[str, bytes]) -> str:
    line = picture_html(
        lambda theme: draw.rounds_figure(record, theme), pictures, "rounds", "Validation macro-F1 and reward by round."
    )
    heat = picture_html(
        lambda theme: draw.label_figure(record, theme),
        pictures,
        "label-f1",
        "F1 of every label by round, validation split.",
    )
    count = int(record.valid[0].held.sum())
    absent = "Labels in italics are not in the validation split." if count < len(record.labels) else ""
    return section(
        "Round by round",
        figure(line, "The dashed line is where the first training ended. A reward is the gain over the round before.")
        + figure(heat, absent),
        f"Scored on the validation split after each round ({count_of(count, 'label')}). "
        "Rewards come from here; the test split stays closed until the end.",
    )


def _budget(record: RunRecord, pictures: dict[str, bytes]) -> str:
    counts = record.request_counts()
    if not counts:
        return section("Where the budget went", '<p class="none">Nowhere: this run synthesized nothing.</p>')
    picture = picture_html(
        lambda theme: draw.budget_figure(record, theme), pictures, "budget", "Clips asked for, by label and style."
    )
    (label, name), most = max(counts.items(), key=lambda item: item[1])
    lead = (
        f"{count_of(sum(counts.values()), 'clip')} over {len(counts)} of {len(record.labels) * len(record.styles)} "
        f"combinations of label and style; most for {text(label)} · {text(name)} ({most})."
    )
    caption = ""
    if record.valid[0].train_counts:
        caption = "A dot in a corner: no real training recording has this label in this style."
    return section("Where the budget went", figure(picture, caption), lead)


def _confusion(record: RunRecord, pictures: dict[str, bytes]) -> str:
    cards = ""
    for name, when, assessment in (
        ("confusion-before", "before", record.test_before),
        ("confusion-after", "after", record.test_after),
    ):
        title = f"{when.capitalize()}: macro-F1 {score(assessment.macro_f1)}"
        picture = picture_html(
            lambda theme, assessment=assessment, title=title: draw.confusion_figure(assessment, title, theme),
            pictures, name, f"Confusion on the test split {when} the rounds.",
        )  # fmt: skip
        cards += figure(picture)
    return section(
        "What is confused with what",
        (f'<div class="two">{cards}</div>' if len(record.labels) <= draw.SIDE_BY_SIDE else cards)
        + tables.label_table(record.test_before, record.test_after),
        "Test split. Numbers are recordings, colours the share of the true label (a row).",
    )


def _clips(record: RunRecord, pictures: dict[str, bytes]) -> str:
    pairs = choose_pairs(record)
    title = "What the generator made"
    if not pairs:
        return section(
            title, '<p class="none">No clips to show: this run synthesized none, or kept none for the report.</p>'
        )
    shown = "".join(pair_html(pair, record, pictures, f"clip-{at}") for at, pair in enumerate(pairs))
    kind = next((kind_of(pair.real) for pair in pairs if pair.real), "real")
    labels = {label for label, _ in record.request_counts()}
    some = f" Shown: the {len(pairs)} of {len(labels)} labels with most clips." if len(pairs) < len(labels) else ""
    return section(
        title,
        shown,
        f"A synthesized clip of each label beside a {kind} recording of it, in the same style where there is one. "
        "Same axes and colours everywhere: dB below the loudest point of the excerpt. "
        f"Bars along the top mark events.{some}",
    )


def _grid(record: RunRecord, pictures: dict[str, bytes]) -> str:
    if not record.clips:
        return ""
    made, known = by_cell(record.clips), {(one.label, one.style) for one in record.real}
    counts = record.label_counts()
    labels = sorted({label for label, _ in made}, key=lambda label: (-counts[label], record.labels.index(label)))
    labels = sorted(labels[:MOST_LABELS], key=record.labels.index)
    styles = [name for name in record.styles if any(cell[1] == name for cell in [*made, *known])]
    kind = kind_of(record.real[0]) if record.real else "real"
    picture = picture_html(
        lambda theme: grid_figure(record.real, record.clips, labels, styles, kind, theme),
        pictures,
        "clips-by-label-and-style",
        f"Spectrograms of {kind} recordings and synthesized clips by label and style",
    )
    return section(
        "Every label in every style",
        figure(picture),
        f"In each cell a {kind} training recording above, a clip below; “none” where training holds none, or none was "
        "asked for. Bars along the top mark events.",
    )


def _statement() -> str:
    return (
        "<footer><p><strong>For research only.</strong> This is not a medical device, and nothing here is a diagnosis "
        "or advice about a person.</p><p>Audio marked <em>Synthetic</em> was made by a model and heard in no patient. "
        "Audio marked <em>Simulated</em> is of the embedded corpus, whose patients are invented. "
        "Audio marked <em>Real</em> is an excerpt of the corpus: pass this page on only as the corpus's licence and "
        "consent allow.</p></footer>"
    )
