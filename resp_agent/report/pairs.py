"""Synthesized clips beside real recordings of the same label: which ones, and how the page shows them."""

from dataclasses import dataclass

from resp_agent.corpus.schema import Recording
from resp_agent.report import spectrogram, style
from resp_agent.report.record import RunRecord
from resp_agent.report.spectrogram import Excerpt
from resp_agent.report.words import count_of, data_uri, text

MOST_PAIRS = 8
"""Labels that are shown with audio; a page of 8 stays small enough to send."""

EMBEDDED = "embedded"
"""The source of the embedded corpus's recordings."""


@dataclass(frozen=True)
class Pair:
    """A clip, and a real recording of the same label where one was kept."""

    label: str
    clip: Recording
    real: Recording | None


def choose_pairs(record: RunRecord) -> list[Pair]:
    """One pair for each label with a clip, in the labels' order; the `MOST_PAIRS` with most clips asked for.

    The real one is in the clip's style where there is one: then only what was synthesized differs.
    """
    first: dict[str, Recording] = {}
    for clip in record.clips:
        first.setdefault(asked(clip)["label"], clip)
    counts = record.label_counts()
    order = {label: at for at, label in enumerate(record.labels)}
    chosen = sorted(first, key=lambda label: (-counts.get(label, 0), order.get(label, len(order))))[:MOST_PAIRS]
    pairs = []
    for label in sorted(chosen, key=lambda label: order.get(label, len(order))):
        clip = first[label]
        same = [recording for recording in record.real if recording.label == label]
        in_style = [recording for recording in same if recording.style == asked(clip)["style"]]
        pairs.append(Pair(label, clip, next(iter(in_style + same), None)))
    return pairs


def asked(clip: Recording) -> dict:
    """What a clip was asked to be: its request, or its own label and style."""
    return {"label": clip.label, "style": clip.style, **(clip.request or {})}


def kind_of(recording: Recording) -> str:
    """What a recording of the corpus is called: those of the embedded corpus come from a simulator, not a patient."""
    return "simulated" if recording.source == EMBEDDED else "real"


def pair_html(pair: Pair, record: RunRecord, figures: dict[str, bytes], name: str) -> str:
    """The pair as HTML. Adds its spectrograms to `figures` as `<name>-synthetic` and `<name>-real`."""
    longest_s = min(max(pair.clip.duration_s, spectrogram.SHORTEST_S), spectrogram.LONGEST_S)
    synthetic = spectrogram.excerpt(pair.clip, longest_s)
    real = spectrogram.excerpt(pair.real, longest_s) if pair.real else None
    span_s = max(synthetic.duration_s, real.duration_s if real else 0.0, 0.1)
    request = asked(pair.clip)
    made = [f"style {request['style']}"]
    made += [f"{request['content']} content"] if request.get("content") else []
    made += [f"round {line['round']}" for line in record.rounds if pair.clip.id in (line.get("clip_ids") or ())][:1]
    made += ["never heard together in training"] if _unheard(request, record) else []
    cells = _side(synthetic, made, f"Synthesized clip, {pair.label}", span_s, figures, f"{name}-synthetic", "synthetic")
    if real:
        where = [f"style {pair.real.style}", f"from {pair.real.source}", f"{pair.real.split} split"]
        cells += _side(
            real,
            where,
            f"{kind_of(pair.real).capitalize()} recording, {pair.label}",
            span_s,
            figures,
            f"{name}-real",
            kind_of(pair.real),
        )
    else:
        cells += '<p class="none">No recording of this label was kept to compare with.</p>'
    return f'<article class="pair"><h3>{text(pair.label)}</h3><div class="sides">{cells}</div></article>'


def _unheard(request: dict, record: RunRecord) -> bool:
    """Whether training holds no real recording of this label in this style."""
    counts = record.valid[0].train_counts
    if not counts or request["label"] not in record.labels or request["style"] not in record.styles:
        return False
    return (
        counts[record.labels.index(request["label"]) * len(record.styles) + record.styles.index(request["style"])] == 0
    )


def _side(
    part: Excerpt, facts: list[str], alt: str, span_s: float, figures: dict[str, bytes], name: str, kind: str
) -> str:
    events = f" {count_of(len(part.events), 'event')} marked." if part.events else ""
    picture = picture_html(
        lambda theme: spectrogram.spectrogram_figure(part, span_s, theme),
        figures,
        name,
        f"{alt}: log-mel spectrogram.{events}",
    )
    if part.cut:
        facts = [*facts, f"{part.start_s:.1f}–{part.start_s + part.duration_s:.1f} s of {part.whole_s:.1f} s"]
    facts = [*facts, f"level {part.level_db:.0f} dBFS".replace("-", "−")]
    caption = f'<span class="badge">{kind.capitalize()}</span> {" · ".join(text(fact) for fact in facts)}'
    source = data_uri(spectrogram.audio(part), "audio/flac")
    return (
        f'<figure class="{kind}">{picture}<audio controls preload="metadata" aria-label="{text(alt)}" src="{source}">'
        f"</audio><figcaption>{caption}</figcaption></figure>"
    )


def picture_html(draw, figures: dict[str, bytes], name: str, alt: str) -> str:
    """A figure in both themes, the light one also kept in `figures` under its name. `draw(theme)` gives the PNG."""
    light, dark = draw(style.LIGHT), draw(style.DARK)
    figures[name] = light
    width, height = style.png_size(light)
    size = f'width="{width}" height="{height}" style="--width:{width}px"'
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{data_uri(dark, "image/png")}">'
        f'<img src="{data_uri(light, "image/png")}" {size} alt="{text(alt)}"></picture>'
    )
