"""The section on why cells were chosen: the record's numbers, whatever a policy says of them."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from resp_agent.report import render_report, style
from resp_agent.report.reasons import read_reasons
from resp_agent.report.why import why_section
from resp_agent.report.why_figure import Panel, cells_figure, scale_of, spread
from resp_agent.report.why_tables import COLOURS
from resp_agent.taxonomy import LABELS
from tests.report.made_up import STYLES, made_up
from tests.report.made_up_why import FEATURES, RATIONALE, WEIGHTS, with_why
from tests.report.test_page import Page

RUN = {"labels": LABELS[:4], "styles": STYLES[:3], "rounds": 3, "budget": 60}


class Parts(HTMLParser):
    """Tables by caption, the summary of each folded part, bars as feature -> number, and images' alt texts."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tables, self.summaries, self.bars, self.alts, self.open = {}, [], {}, [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.open.append(tag) if tag not in ("img", "source", "br") else None
        if tag == "caption":
            self.caption = ""
        elif tag == "thead":
            self.rows = self.tables.setdefault(self.caption, [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "summary":
            self.summaries.append("")
        elif tag == "img":
            self.alts.append(given["alt"])
        elif given.get("role") == "img":
            numbers = re.findall(r"([^,]+?) (−?[\d.]+)(?:, |$)", given["aria-label"])
            self.bars[self.caption, self.rows[-1][0]] = {name: number(told) for name, told in numbers}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "caption" in self.open:
            self.caption += data
        elif {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        elif "summary" in self.open:
            self.summaries[-1] += data


def number(told: str) -> float:
    return float(told.replace("−", "-").replace("±", "").replace(" %", ""))


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Pictures of half the pixels a side: what is asked of them here does not need more."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(style, "DENSITY", 1)
        yield


@pytest.fixture(scope="module")
def plain():
    return replace(made_up(**RUN, duration_s=1.0), clips=[])


@pytest.fixture(scope="module")
def thought(plain):
    return with_why(plain, "thinker")


@pytest.fixture(scope="module")
def parts(thought):
    return Parts(why_section(thought, {}))


def reasons_of(record):
    return read_reasons(record.rounds, record.labels, record.styles)


def test_journals_without_why_have_no_section(plain):
    assert why_section(plain, {}) == ""
    empty = replace(plain, rounds=[{**line, "why": {}} for line in plain.rounds])
    assert why_section(empty, {}) == ""


def test_contributions_are_weight_times_value(thought, parts):
    seen = 0
    for line in thought.rounds[1:]:
        for label, name in {(request["label"], request["style"]) for request in line["requests"]}:
            cell = thought.labels.index(label), thought.styles.index(name)
            wanted = {
                feature.replace("_", " "): WEIGHTS[feature] * np.array(line["why"]["features"][feature])[cell]
                for feature in FEATURES
            }
            told = parts.bars[f"Round {line['round']}", f"{label} · {name}"]
            assert told == pytest.approx({name: value for name, value in wanted.items() if value}, abs=0.0051)
            row = next(row for row in parts.tables[f"Round {line['round']}"] if row[0] == f"{label} · {name}")
            assert number(row[-1]) == pytest.approx(sum(wanted.values()), abs=0.0051)
            seen += 1
    assert seen > 6


def test_means_of_all_cells_are_there_to_compare_with(thought, parts):
    why = thought.rounds[2]["why"]
    told = parts.bars["Round 2", "mean of all 12 cells"]
    assert told["weakness"] == pytest.approx(np.mean(why["features"]["weakness"]), abs=0.0051)
    assert told["novelty"] == pytest.approx(0.6 * np.mean(why["features"]["novelty"]), abs=0.0051)


def test_rows_have_clips_scores_and_probabilities(thought, parts):
    before = thought.valid[1].by_cell()["f1"]
    rows = {row[0]: row for row in parts.tables["Round 2"][1:-1]}
    counts = reasons_of(thought)[2].asked
    assert len(rows) == len(counts)
    for (label, name), count in counts.items():
        _, clips, f1, heard, probability, *_ = rows[f"{thought.labels[label]} · {thought.styles[name]}"]
        assert int(clips) == count
        assert number(f1) == pytest.approx(before[label, name], abs=0.0051)
        real = thought.valid[0].train_counts[label * len(thought.styles) + name]
        earlier = reasons_of(thought)[1].asked.get((label, name), 0)
        assert heard == (f"{real} + {earlier}" if earlier else str(real))
        told = thought.rounds[2]["why"]["probabilities"][label][name]
        assert number(probability) == pytest.approx(100 * told, abs=0.051)


def test_weights_are_there_once_with_their_share(thought, parts):
    rows = {row[0]: row[1:] for row in parts.tables["Weights of the features"][1:]}
    assert {name: number(row[0]) for name, row in rows.items()} == {
        name.replace("_", " "): weight for name, weight in WEIGHTS.items()
    }
    sums = {
        name: sum(
            count * part[cell]
            for reason in reasons_of(thought)
            if name in reason.features
            for part in [reason.contributions[name]]
            for cell, count in reason.asked.items()
        )
        for name in FEATURES
    }
    for name, value in sums.items():
        wanted = 100 * value / sum(sums.values())
        assert number(rows[name.replace("_", " ")][1]) == pytest.approx(wanted, abs=0.51)


def test_a_sentence_a_round_has_its_numbers(thought, parts):
    assert len(parts.summaries) == 3
    for told, reason in zip(parts.summaries, reasons_of(thought)[1:], strict=True):
        assert told.startswith(f"Round {reason.round}: chosen mostly for ")
        named = re.findall(r"([a-z ]+?) \((\d+) %", told.partition("mostly for ")[2])
        shares = {name.removeprefix(" and ").strip(): int(share) for name, share in named}
        assert shares == {
            name.replace("_", " "): pytest.approx(100 * share, abs=0.51) for name, share in reason.main_features.items()
        }
        cell = reason.largest()
        assert f"{thought.labels[cell[0]]} / {thought.styles[cell[1]]} (F1 " in told
        assert re.search(r"(no recording|\d+ recordings?) heard", told)


def test_labels_that_validation_lacks_have_no_f1():
    record = with_why(made_up(**RUN, absent_valid=LABELS[2:4], duration_s=1.0), "thinker")
    request = {"label": LABELS[3], "style": STYLES[0], "count": 5}
    record = replace(record, rounds=[record.rounds[0], {**record.rounds[1], "requests": [request]}], clips=[])
    parts = Parts(why_section(replace(record, valid=record.valid[:2]), {}))
    assert "(not in validation, " in parts.summaries[0]
    assert parts.tables["Round 1"][1][2] == "—"


def test_scores_of_a_label_stand_in_brackets():
    record = with_why(made_up(**RUN, duration_s=1.0), "thinker")
    first = record.valid[0]
    keep = ~((first.truth == 1) & (first.style == 2))
    first = replace(
        first,
        ids=tuple(np.array(first.ids)[keep]),
        truth=first.truth[keep],
        style=first.style[keep],
        probabilities=first.probabilities[keep],
    )
    request = {"label": LABELS[1], "style": STYLES[2], "count": 5}
    rounds = [record.rounds[0], {**record.rounds[1], "requests": [request]}]
    parts = Parts(why_section(replace(record, rounds=rounds, valid=[first, record.valid[1]]), {}))
    wanted = first.by_label["f1"][1]
    assert number(parts.tables["Round 1"][1][2].strip("()")) == pytest.approx(wanted, abs=0.0051)
    assert parts.tables["Round 1"][1][2].startswith("(")
    assert " of the label" in parts.summaries[0]


def test_features_that_speak_against_a_cell_lie_left_of_zero(thought):
    why = thought.rounds[1]["why"] | {"weights": WEIGHTS | {"novelty": -0.6}}
    parts = Parts(why_section(replace(thought, rounds=[thought.rounds[0], {**thought.rounds[1], "why": why}]), {}))
    told = next(iter(parts.bars.values()))
    assert told["novelty"] < 0 < told["weakness"]
    assert "novelty" not in parts.summaries[0]


def test_weights_that_changed_are_there_from_both_ends(thought):
    why = thought.rounds[3]["why"] | {"weights": WEIGHTS | {"weakness": 2.5}}
    parts = Parts(why_section(replace(thought, rounds=[*thought.rounds[:3], {**thought.rounds[3], "why": why}]), {}))
    head, first, *_ = parts.tables["Weights of the features"]
    assert head[1:3] == ["weight in round 1", "weight in round 3"]
    assert first[:3] == ["weakness", "1.00", "2.50"]


def test_no_feature_speaks_for_what_is_drawn_evenly(thought):
    why = thought.rounds[1]["why"] | {"weights": dict.fromkeys(WEIGHTS, 0.0)}
    parts = Parts(why_section(replace(thought, rounds=[thought.rounds[0], {**thought.rounds[1], "why": why}]), {}))
    assert "no feature spoke for what was drawn" in parts.summaries[0]
    assert [row[2] for row in parts.tables["Weights of the features"][1:]] == ["—"] * 7


def test_bandits_tell_estimates_and_credits(plain):
    record = with_why(plain, "bandit")
    pictures = {}
    parts = Parts(why_section(record, pictures))
    assert list(pictures) == ["why-estimates"]
    for at in (1, 2, 3):
        line, later = record.rounds[at], record.rounds[at + 1]["why"]["credits"] if at < 3 else []
        for row in parts.tables[f"Round {at}"][1:]:
            label, name = row[0].split(" · ")
            cell = record.labels.index(label), record.styles.index(name)
            assert number(row[4]) == pytest.approx(np.array(line["why"]["values"])[cell], abs=0.000051)
            assert number(row[5]) == pytest.approx(np.array(line["why"]["uncertainty"])[cell], abs=0.000051)
            credit = sum(entry["credit"] for entry in later if (entry["label"], entry["style"]) == (label, name))
            if later:
                assert number(row[6]) == pytest.approx(credit, abs=0.000051)
                assert number(row[7]) == pytest.approx(credit / int(row[1]), abs=0.000051)
            else:
                assert len(row) == 6


def test_the_journals_own_credits_reach_the_last_round(plain):
    record = with_why(plain, "bandit")
    rounds = [
        {**line, "credits": [0.001 * (at + 1) for at, _ in enumerate(line["requests"])]} for line in record.rounds
    ]
    parts = Parts(why_section(replace(record, rounds=rounds), {}))
    total = sum(number(row[6]) for row in parts.tables["Round 3"][1:])
    assert total == pytest.approx(sum(rounds[3]["credits"]), abs=0.001)
    assert f"the round's credit: +{sum(rounds[3]['credits']):.4f}" in parts.summaries[2]


def test_probabilities_alone_are_a_figure_and_a_sentence(plain):
    record = with_why(plain, "probabilities")
    pictures = {}
    html = why_section(record, pictures)
    assert list(pictures) == ["why-probabilities"]
    assert "<table" not in html
    assert "<details" not in html
    grids = np.array([line["why"]["probabilities"] for line in record.rounds[1:]])
    at, label, name = np.unravel_index(grids.argmax(), grids.shape)
    wanted = f"{record.labels[label]} / {record.styles[name]} in round {at + 1} ({100 * grids.max():.1f} %)"
    assert wanted in html
    assert "8.3 % each" in html


def test_language_models_are_quoted():
    record = with_why(replace(made_up(**{**RUN, "rounds": 4}, duration_s=1.0), clips=[]), "llm")
    html = why_section(record, {})
    parts = Parts(html)
    assert "In 3 of 4 rounds the language model's answer was taken" in html
    assert html.count(f'<blockquote dir="auto">{RATIONALE}</blockquote>') == 3
    assert "the language model's choice: " in parts.summaries[0]
    assert "(its second answer)" in parts.summaries[2]
    assert "&#x27;bronchitus&#x27; is none of the labels" in html
    assert parts.summaries[3].startswith("Round 4: no answer of the model was usable, thinker decided; chosen mostly")
    assert '<li dir="auto">the model said nothing within 30 s</li>' in html


def test_hostile_words_stay_words():
    nasty = ("<script>alert(1)</script>", 'x" onerror="alert(1)', "$\\frac{", "a & b </style>")
    record = made_up(labels=nasty, styles=("<img src=x>", "$_{$"), rounds=3, budget=8, duration_s=1.0)
    record = with_why(replace(record, clips=[]), "thinker")
    bad = '</blockquote><script>alert(2)</script>\x1b[2J\u202e\ud800" onload="x'
    why = record.rounds[1]["why"]
    hostile = why | {
        "decided_by": bad,
        "rationale": bad + "x" * 5000,
        "why_not": [bad] * 100 + [None, {"a": bad}],
        "weights": {bad: 1.0},
        "features": {bad: why["features"]["weakness"]},
    }
    rounds = [
        record.rounds[0],
        {**record.rounds[1], "why": hostile},
        {**record.rounds[2], "why": hostile | {"decided_by": "llm"}},
    ]
    record = replace(record, rounds=[*rounds, record.rounds[3]])
    output = render_report(record)["report.html"]
    page = Page(output)
    assert b"<script" not in output
    assert b"Content-Security-Policy" in output
    assert not page.handlers
    assert "</blockquote><script>alert(2)</script>" in page.text
    assert not any(letter in output.decode() for letter in "\x1b\u202e")
    assert max(map(len, page.words)) < 2500
    assert output.count(b"<li dir=") == 12


def test_missing_numbers_are_dashes(thought, plain):
    nan = [[float("nan")] * 3] * 4
    grid = np.array(thought.rounds[1]["why"]["features"]["weakness"])
    grid[:, 1] = np.nan
    accounts = [
        {"weights": {"a": 1.0, "b": float("nan")}, "features": {"a": grid.tolist(), "b": nan, "c": nan}},
        {"values": grid.tolist(), "uncertainty": nan, "probabilities": nan, "credits": [{"credit": float("nan")}]},
        {"probabilities": grid.tolist(), "temperature": float("nan"), "exploration": "x", "weights": {"a": None}},
    ]
    every = [{"label": label, "style": name, "count": 1} for label in plain.labels for name in plain.styles]
    told = zip(plain.rounds[1:], accounts, strict=True)
    rounds = [plain.rounds[0], *({**line, "why": why, "requests": every} for line, why in told)]
    html = why_section(replace(plain, rounds=rounds), {})
    assert not re.search(r"\b(nan|NaN|inf|None)\b", re.sub(r'"data:[^"]*"', "", html))
    rows = {row[0]: row for row in Parts(html).tables["Round 2"]}
    assert rows[f"{LABELS[0]} · {STYLES[1]}"][4:6] == ["—", "—"]


@pytest.mark.parametrize("key", ["probabilities", "weights", "features", "temperature", "exploration"])
def test_every_key_may_be_missing(thought, key):
    rounds = [
        {**line, "why": {name: value for name, value in line["why"].items() if name != key}} for line in thought.rounds
    ]
    html = why_section(replace(thought, rounds=rounds), {})
    assert "Why these" in html
    assert (key == "probabilities") == ("<img" not in html)
    Parts(html)


def test_rounds_beyond_eight_are_folded_with_the_first_and_last_in_sight():
    record = with_why(replace(made_up(**{**RUN, "rounds": 11}, duration_s=1.0), clips=[]), "probabilities")
    pictures = {}
    html = why_section(record, pictures)
    assert list(pictures) == ["why-probabilities", "why-probabilities-more-1"]
    shown, rest = (set(map(int, re.findall(r"\d+", alt.split(";")[0]))) for alt in Parts(html).alts)
    assert len(shown) == 8
    assert {1, 11} <= shown
    assert shown | rest == set(range(1, 12))
    assert not shown & rest
    assert html.index("<details") > html.index("<img")


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 50])
def test_spread_keeps_both_ends_and_even_steps(count):
    chosen = spread(count, 8)
    assert len(chosen) == min(count, 8)
    assert chosen[0] == 0
    assert chosen[-1] == count - 1
    steps = np.diff(chosen)
    assert steps.size == 0 or steps.max() - steps.min() <= 1


def test_cells_have_the_colours_of_their_values():
    values = np.array([[0.0, 0.25], [1.0, np.nan]])
    scale = scale_of([Panel(1, values, {})], "Title", str, signed=False)
    assert scale.top == 1.0
    picture = cells_figure([Panel(1, values, {(1, 0): 12})], ["a", "b"], ["c", "d"], scale, style.LIGHT)
    colours = Image.open(io.BytesIO(picture)).convert("RGB").getcolors(1 << 20)
    found = np.array([colour for _, colour in colours])
    for value in (0.0, 0.5, 1.0):
        wanted = np.array(style.sequential(style.LIGHT)(value)[:3]) * 255
        assert np.abs(found - wanted).max(axis=1).min() < 6, "0.25 takes the colour of its square root"


def test_scales_of_credits_have_zero_in_the_middle():
    panels = [
        Panel(1, np.array([[-0.004, 0.001]]), {}, np.array([[0.5, np.nan]])),
        Panel(2, np.array([[0.002, np.nan]]), {}),
    ]
    scale = scale_of(panels, "Title", str, signed=True)
    assert scale.top == 0.004
    assert float(scale.norm(0.0)) == 0.5
    assert scale.most_uncertain == 0.5
    middle = np.array(style.diverging(style.LIGHT)(0.5)[:3])
    assert middle.min() > 0.94


def simulated(colour: str, matrix) -> np.ndarray:
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.clip(np.array(matrix) @ linear, 0, 1) ** (1 / 2.4)


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ],
    ids=["protanopia", "deuteranopia", "tritanopia"],
)  # fmt: skip
def test_neighbouring_features_differ_to_colour_blind_eyes(matrix):
    """Colour vision without one kind of cone after Machado, Oliveira and Fernandes (2009)."""
    seen = [simulated(colour, matrix) for colour in COLOURS]
    assert all(np.linalg.norm(a - b) > 0.2 for a, b in pairwise(seen))
    assert min(np.linalg.norm(a - b) for at, a in enumerate(seen[:7]) for b in seen[at + 1 : 7]) > 0.1
