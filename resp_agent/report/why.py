"""The report's section on why the policy asked for what it asked for, from the policy's own account of each round."""

from collections.abc import Sequence

import numpy as np

from resp_agent.report.blocks import figure, folded, section
from resp_agent.report.pairs import picture_html
from resp_agent.report.reasons import Cell, Reason, by_model, read_reasons, said
from resp_agent.report.record import RunRecord
from resp_agent.report.why_figure import MOST_PANELS, Panel, Scale, cells_figure, scale_of, spread
from resp_agent.report.why_tables import (
    Known,
    cells_table,
    feature_colours,
    known_before,
    percent,
    span_of,
    weights_table,
)
from resp_agent.report.words import change, count_of, text

MOST_FOLDED = 32
"""Rounds drawn beyond those that are shown at once."""


def why_section(record: RunRecord, pictures: dict[str, bytes]) -> str:
    """`Why these`, or nothing where the policy gave no account. Adds its figures to `pictures` as `why-...`."""
    reasons = read_reasons(record.rounds, record.labels, record.styles)
    told = [reason for reason in reasons if reason.told and reason.asked]
    if not told:
        return ""
    content = ""
    if any(reason.weights for reason in told):
        content += weights_table(told, feature_colours(told)) + _parameters(told)
    content += _probabilities(record, told, pictures) + _estimates(record, told, pictures)
    return section("Why these", content + _rounds(record, reasons), _lead(record, told))


def _lead(record: RunRecord, told: Sequence[Reason]) -> str:
    """One sentence or two of what the policy went by."""
    cells = len(record.labels) * len(record.styles)
    lead = []
    decided = [reason for reason in told if reason.decided_by]
    if decided:
        taken = sum(map(by_model, decided))
        lead.append(
            f"In {taken} of {count_of(len(decided), 'round')} the language model's answer was taken; "
            "its reasons are quoted as it gave them, and nobody has checked them."
        )
    if any(reason.features for reason in told):
        lead.append("A cell's score is the sum of weight × value over the features; higher scores are drawn more.")
    elif likely := [reason for reason in told if reason.probabilities is not None]:
        most = max(likely, key=lambda reason: np.nanmax(reason.probabilities))
        cell = np.unravel_index(np.nanargmax(most.probabilities), most.probabilities.shape)
        lead.append(
            f"Each round drew cells by their probabilities, {percent(1 / cells, 1)} each if it were evenly; the most "
            f"probable: {_name(record, cell)} in round {most.round} ({percent(most.probabilities[cell], 1)})."
        )
    if any(reason.values is not None for reason in told):
        lead.append(
            "The policy estimates what a clip of each cell is worth, from the credit of its own requests: their part "
            "of the gain in macro-F1."
        )
    return " ".join(lead)


def _parameters(told: Sequence[Reason]) -> str:
    first = next(reason for reason in told if reason.weights)
    if first.temperature is None and first.exploration is None:
        return ""
    given = [f"temperature {first.temperature:g}"] if first.temperature is not None else []
    given += [f"{percent(first.exploration)} of the probability spread evenly"] if first.exploration is not None else []
    return f'<p class="none">Probabilities: a softmax of the scores, {", ".join(given)}.</p>'


def _probabilities(record: RunRecord, told: Sequence[Reason], pictures: dict[str, bytes]) -> str:
    panels = [Panel(r.round, r.probabilities, r.asked) for r in told if r.probabilities is not None]
    scale = scale_of(panels, "Probability of each label and style", lambda value: percent(value, 1), signed=False)
    caption = "Outlined: asked for, with the clips. Colours go by the square root of the probability."
    return _drawn(record, panels, scale, "why-probabilities", caption, pictures)


def _estimates(record: RunRecord, told: Sequence[Reason], pictures: dict[str, bytes]) -> str:
    panels = [Panel(r.round, r.values, r.asked, r.uncertainty) for r in told if r.values is not None]
    scale = scale_of(panels, "Estimated credit of a clip", lambda value: change(value, 4), signed=True)
    caption = "Outlined: asked for, with the clips."
    if scale.most_uncertain:
        caption += f" The larger a dot, the less sure the estimate; the largest: ±{scale.most_uncertain:.4f}."
    return _drawn(record, panels, scale, "why-estimates", caption, pictures)


def _drawn(
    record: RunRecord, panels: Sequence[Panel], scale: Scale, name: str, caption: str, pictures: dict[str, bytes]
) -> str:
    """Up to eight rounds in a figure, further ones folded away."""
    if not panels:
        return ""
    shown = [panels[at] for at in spread(len(panels), MOST_PANELS)]
    rest = [panel for panel in panels if panel not in shown]
    folds = [rest[at] for at in spread(len(rest), MOST_FOLDED)]
    content = figure(_picture(record, shown, scale, name, pictures), caption)
    if not folds:
        return content
    parts = [folds[at : at + MOST_PANELS] for at in range(0, len(folds), MOST_PANELS)]
    inside = "".join(
        f'<figure><div class="scroll">{_picture(record, part, scale, f"{name}-more-{at}", pictures)}</div></figure>'
        for at, part in enumerate(parts, 1)
    )
    left = len(rest) - len(folds)
    inside += f'<p class="none">{count_of(left, "further round")} not drawn; the journal has all.</p>' if left else ""
    return content + folded(f"{scale.title}: {count_of(len(folds), 'round')} between these", inside)


def _picture(record: RunRecord, panels: Sequence[Panel], scale: Scale, name: str, pictures: dict[str, bytes]) -> str:
    rounds = ", ".join(str(panel.round) for panel in panels)
    return picture_html(
        lambda theme: cells_figure(panels, record.labels, record.styles, scale, theme),
        pictures,
        name,
        f"{scale.title}, round{'s' if len(panels) > 1 else ''} {rounds}; cells that were asked for are outlined, with "
        "the number of clips.",
    )


def _rounds(record: RunRecord, reasons: Sequence[Reason]) -> str:
    """A part for each round with more to say than its probabilities."""
    spoken = [
        (at, reason)
        for at, reason in enumerate(reasons)
        if reason.asked and (reason.features or reason.values is not None or reason.decided_by or reason.why_not)
    ]
    colours, span = feature_colours(reasons), span_of(reasons)
    unfolded = {spoken[at][0] for at in spread(len(spoken), 2)}
    content = ""
    for at, reason in spoken:
        known = known_before(record, reasons, at)
        inside = _quotation(reason) + cells_table(record, reason, known, colours, span)
        title = f"<b>Round {reason.round}</b>: {_sentence(record, reason, known)}"
        content += folded(title, inside, "why", at in unfolded or bool(reason.rationale and len(spoken) <= MOST_PANELS))
    if content:
        content += (
            '<p class="none">F1 is of the validation split before the round, in brackets that of the label where the '
            "split has none in the style. Heard before: real training recordings + clips.</p>"
        )
    return content


def _sentence(record: RunRecord, reason: Reason, known: Known) -> str:
    """Why a round's cells were chosen, from its numbers."""
    cell = reason.largest()
    cell_name = _name(record, cell)
    if by_model(reason):
        second = " (its second answer)" if "second" in reason.decided_by else ""
        others = f" and {count_of(len(reason.asked) - 1, 'other cell')}" if len(reason.asked) > 1 else ""
        return f"the language model's choice{second}: {cell_name} ×{reason.asked[cell]}{others}."
    start = f"no answer of the model was usable, {text(reason.decided_by)} decided; " if reason.decided_by else ""
    facts = ", ".join(_facts(known, cell))
    if reason.features:
        if not reason.shares:
            return f"{start}no feature spoke for what was drawn: {cell_name} ({facts})."
        shares, of = reason.main_features.items(), (" of the score", *[""] * len(reason.features))
        named = [
            f"{text(said(name))} ({percent(share)}{more})" for (name, share), more in zip(shares, of, strict=False)
        ]
        listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
        return f"{start}chosen mostly for {listed}: {cell_name} ({facts})."
    if reason.values is not None:
        unsure = reason.uncertainty[cell] if reason.uncertainty is not None else np.nan
        between = f" ±{unsure:.4f}" if np.isfinite(unsure) else ""
        came = f"; the round's credit: {change(sum(reason.credits.values()), 4)}" if reason.credits else ""
        return f"{start}{cell_name}, estimated at {change(reason.values[cell], 4)}{between} a clip ({facts}){came}."
    return f"{start}{cell_name} ({facts})."


def _facts(known: Known, cell: Cell) -> list[str]:
    if not known.held[cell[0]]:
        facts = ["not in validation"]
    else:
        facts = [f"F1 {known.f1_told(cell).strip('()')}{'' if known.share[cell] > 0 else ' of the label'}"]
    if known.real is not None:
        real, clips = int(known.real[cell]), int(known.clips[cell])
        facts.append(f"{count_of(real, 'recording')} heard" if real else "no recording heard")
        facts += [f"{count_of(clips, 'clip')} before"] if clips else []
    return facts


def _quotation(reason: Reason) -> str:
    """What a language model gave as its reason, and why answers were not used, as the words of somebody else."""
    content = f'<blockquote dir="auto">{text(reason.rationale)}</blockquote>' if reason.rationale else ""
    if reason.why_not:
        faults = "".join(f'<li dir="auto">{text(fault)}</li>' for fault in reason.why_not)
        content += f'<p>Why an answer was not used:</p><ul class="faults">{faults}</ul>'
    return content


def _name(record: RunRecord, cell: Cell) -> str:
    return f"{text(record.labels[cell[0]])} / {text(record.styles[cell[1]])}"
