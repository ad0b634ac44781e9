"""The page as a reader gets it: whole, safe, and with the record's numbers."""

import base64
import io
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from PIL import Image

from resp_agent.report import render_report, spectrogram, style
from resp_agent.report.pairs import choose_pairs
from resp_agent.taxonomy import LABELS
from tests.report.made_up import STYLES, assessment, made_up, recording

DENSITY = style.DENSITY
VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a page says: elements closed as they were opened, links, text, tables by class, `data` values."""

    def __init__(self, data: bytes):
        super().__init__(convert_charrefs=True)
        self.open, self.addresses, self.words, self.values, self.handlers = [], [], [], [], []
        self.tables: dict[str, list[list[str]]] = {}
        self.feed(data.decode())
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.addresses += [given[name] for name in ("src", "href", "srcset", "action") if name in given]
        self.handlers += [name for name in given if name.startswith("on")]
        self.values += [float(given["value"])] if tag == "data" else []
        if tag == "table":
            self.rows = self.tables.setdefault(given["class"], [])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Pictures of half the pixels a side: what is asked of them here does not need more."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(style, "DENSITY", 1)
        yield


@pytest.fixture
def without_spectrograms(output, monkeypatch):
    """For tests that ask which recordings are shown, not how: most of a page's time goes into these pictures."""
    monkeypatch.setattr(spectrogram, "spectrogram_figure", lambda *_: output["figures/clip-0-real.png"])


@pytest.fixture(scope="module")
def record():
    return made_up(labels=LABELS[:4], styles=STYLES[:3], rounds=3, budget=60)


@pytest.fixture(scope="module")
def output(record):
    return render_report(record)


@pytest.fixture(scope="module")
def page(output):
    return Page(output["report.html"])


def test_figures_are_pictures_of_different_things(output):
    names = [name for name in output if name.endswith(".png")]
    assert {"figures/rounds.png", "figures/label-f1.png", "figures/budget.png"} <= set(names)
    assert {"figures/confusion-before.png", "figures/confusion-after.png", "figures/clip-0-real.png"} <= set(names)
    for name in names:
        picture = Image.open(io.BytesIO(output[name]))
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 100
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10
    assert len({output[name] for name in names}) == len(names)


def test_page_needs_nothing_else(page, output):
    assert page.addresses
    assert all(address.startswith(("data:image/png;base64,", "data:audio/flac;base64,")) for address in page.addresses)
    assert not re.search(rb"https?://|@import|url\(", output["report.html"])
    assert b"<script" not in output["report.html"]


def test_every_figure_is_in_the_page(page, output):
    embedded = {base64.b64decode(a.split(",")[1]) for a in page.addresses if a.startswith("data:image")}
    assert {output[name] for name in output if name.endswith(".png")} <= embedded


def test_headline_has_the_summary_numbers(page, record):
    summary = record.summary
    assert page.values == [summary["test_macro_f1_before"], summary["test_macro_f1_after"]]
    low, high = summary["test_macro_f1_ci95"]
    assert f"{low:.3f} to {high:.3f}" in page.text
    assert "60 of a budget of 60" in page.text
    assert "policy weakness" in page.text


def test_label_table_has_the_assessments_numbers(page, record):
    rows = {row[0]: row[1:] for row in page.tables["labels"][2:]}
    assert list(rows) == [*record.labels, "macro average"]
    before, after = record.test_before.by_label, record.test_after.by_label
    for at, label in enumerate(record.labels):
        support, *scores = rows[label]
        assert int(support) == (record.test_after.truth == at).sum()
        wanted = [scored[name][at] for name in ("precision", "recall", "f1") for scored in (before, after)]
        np.testing.assert_allclose([float(value) for value in scores[:6]], wanted, atol=0.00051)
        assert float(scores[6].replace("−", "-").replace("±", "")) == pytest.approx(
            float(scores[5]) - float(scores[4]), abs=1e-9
        )
    assert float(rows["macro average"][6]) == pytest.approx(record.test_after.macro_f1, abs=0.00051)


def test_round_table_has_the_journal(page, record):
    rows = page.tables["rounds"][1:]
    assert [int(row[0]) for row in rows] == [0, 1, 2, 3]
    assert [row[1] for row in rows] == [f"{line['valid_macro_f1']:.3f}" for line in record.rounds]
    assert [int(row[3]) for row in rows] == [len(line["clip_ids"]) for line in record.rounds]
    for row, line in zip(rows[1:], record.rounds[1:], strict=True):
        assert float(row[2].replace("−", "-").replace("±", "")) == pytest.approx(line["reward"], abs=0.00051)
        assert all(f"{r['label']} · {r['style']} ×{r['count']}" in row[-1] for r in line["requests"])


def test_settings_seconds_and_versions_are_all_there(page, record):
    settings = {row[0]: row[1] for row in page.tables["settings"][1:]}
    assert settings["curriculum.budget"] == str(record.settings["curriculum"]["budget"])
    assert settings["simulation.train_counts"] == ", ".join(map(str, record.settings["simulation"]["train_counts"]))
    assert {row[0] for row in page.tables["seconds"][1:]} == {
        *(name.replace("_", " ") for name in record.summary["seconds"]),
        "total",
    }
    assert dict(row for row in page.tables["versions"][1:]) == record.versions


def test_audio_is_what_the_record_holds(page, record):
    sounds = [
        soundfile.read(io.BytesIO(base64.b64decode(address.split(",")[1])), dtype="int16")
        for address in page.addresses
        if address.startswith("data:audio")
    ]
    pairs = choose_pairs(record)
    assert len(sounds) == 2 * len(pairs)
    assert all(rate == 16_000 and len(samples) <= 160_000 for samples, rate in sounds)
    np.testing.assert_array_equal(sounds[0][0], np.rint(pairs[0].clip.waveform * 32768).astype(np.int16))


def test_research_use_and_synthetic_audio_are_stated(page):
    assert "not a medical device" in page.text
    assert "research" in page.text
    assert page.words.count("Synthetic") == page.words.count("Real") == 5


def test_the_embedded_corpus_is_not_called_real(record, without_spectrograms):
    real = [replace(kept, source="embedded") for kept in record.real]
    page = Page(render_report(replace(record, real=real))["report.html"])
    assert page.words.count("Simulated") >= 3
    assert page.words.count("Real") == 1
    assert "beside a simulated recording" in page.text


def test_no_number_is_missing(page):
    assert not re.search(r"\b(nan|NaN|inf|None)\b", page.text)


def test_without_clips():
    page = Page(render_report(made_up(labels=LABELS[:3], rounds=2, policy="none"))["report.html"])
    assert "synthesized nothing" in page.text
    assert "No clips to show" in page.text
    assert not any(address.startswith("data:audio") for address in page.addresses)
    assert not re.search(r"\b(nan|NaN|inf|None)\b", page.text)


def test_labels_that_a_split_lacks():
    record = made_up(labels=LABELS[:5], styles=STYLES[:2], rounds=1, policy="none", absent_valid=LABELS[3:5])
    lacking = assessment("test", record.labels, record.styles, 4, 0.5, 0, "after", LABELS[2:3])
    page = Page(render_report(replace(record, test_before=lacking, test_after=lacking))["report.html"])
    assert f"Not in the validation split, and so not in its macro-F1: {', '.join(LABELS[3:5])}." in page.text
    assert [LABELS[2], "0", "not in the test split"] in page.tables["labels"]
    assert "Mean over the 4 labels" in page.text


@pytest.mark.parametrize("rounds", [0, 1])
def test_few_rounds(rounds):
    page = Page(render_report(made_up(labels=LABELS[:2], rounds=rounds, policy="none"))["report.html"])
    assert len(page.tables["rounds"]) == rounds + 2


def test_sixteen_labels_name_all_and_show_eight(without_spectrograms):
    record = made_up(labels=LABELS, styles=STYLES[:2], rounds=8, duration_s=1.0)
    page = Page(render_report(record)["report.html"])
    assert all(label in page.text for label in LABELS)
    assert len([address for address in page.addresses if address.startswith("data:audio")]) == 16
    assert "labels with most clips" in page.text


def test_hostile_words_stay_words():
    nasty = ("<script>alert(1)</script>", 'x" onerror="alert(1)', "$\\frac{", "a & b </style>")
    record = made_up(labels=nasty, styles=("<img src=x>", "$_{$"), rounds=1, budget=8, duration_s=1.0)
    record = replace(
        record,
        notes=["<b>bold</b>"],
        quarantine=[{"source": "<i>", "path": "</td><script>", "reason": "'><svg onload=alert(1)>"}],
        settings={"<u>": {"</table>": "<script>"}},
        versions={"<p>": "'\""},
        summary={**record.summary, "policy": "</title><script>"},
    )
    output = render_report(record)["report.html"]
    page = Page(output)
    assert b"<script" not in output
    assert not page.handlers
    assert all(address.startswith("data:") for address in page.addresses)
    assert all(word in page.text for word in nasty)
    assert page.tables["quarantine"][1] == ["<i>", "</td><script>", "'><svg onload=alert(1)>"]
    assert page.tables["settings"][1] == ["<u>.</table>", "<script>"]


def test_long_quarantine_is_counted_and_paths_lose_the_machine(record):
    rows = [{"source": "s", "path": f"/home/someone/corpus/wav/{at}.wav", "reason": "silent"} for at in range(33)]
    page = Page(render_report(replace(record, quarantine=rows, clips=[]))["report.html"])
    assert [row[1] for row in page.tables["quarantine"][1:]] == [f"wav/{at}.wav" for at in range(20)]
    assert "And 13 more files" in page.text


def test_real_recording_in_the_clips_style_comes_first(record):
    clip = record.clips[0]
    other = recording(clip.label, "another", 1.0, 0, "real")
    same = recording(clip.label, clip.style, 1.0, 0, "real")
    pair = next(pair for pair in choose_pairs(replace(record, real=[other, same])) if pair.label == clip.label)
    assert pair.real is same
    assert choose_pairs(replace(record, real=[]))[0].real is None


def test_same_record_gives_the_same_bytes(record, output):
    assert render_report(record) == output


def test_eight_labels_fit_in_a_mail_and_are_drawn_soon(monkeypatch):
    monkeypatch.setattr(style, "DENSITY", DENSITY)
    began = time.process_time()
    output = render_report(made_up())
    assert time.process_time() - began < 30
    assert len(output["report.html"]) < 6e6
