"""The figures of a corpus: pictures of a sane size whatever the corpus holds."""

import io

import pytest
from PIL import Image

from resp_agent.corpus.statistics import statistics
from resp_agent.corpus.write import write_corpus
from resp_agent.report.corpus_figures import draw, found_figure, hours_figure, labels_figure
from resp_agent.report.style import DARK, LIGHT, png_size
from resp_agent.taxonomy import LABELS, UNLABELLED
from tests.corpus.test_write import recording, some


def amount(files: int, mean_s: float = 6.0) -> dict:
    return {"files": files, "hours": files * mean_s / 3600, "mean_s": mean_s, "max_s": 4 * mean_s}


def long_tail() -> dict:
    """Six sources, one of which has nearly everything, and 16 labels from 200,000 recordings to 1."""
    files = {"uk_covid19": 200_000, "icbhi": 900, "sprsound": 2_600, "coughvid": 15_000, "kauh": 330, "other $x$": 0}
    splits = [("train", "valid"), ("train", "valid"), ("train", "valid"), ("test",), ("test",), ()]
    sources = {
        name: {
            "splits": {split: amount(count // len(used)) for split in used},
            **amount(count),
            "excluded": count // 50,
            "quarantined": 7,
        }
        for (name, count), used in zip(files.items(), splits, strict=True)
    }
    tail = {label: 200_000 // 4**at or 1 for at, label in enumerate((*LABELS, UNLABELLED))}
    labels = {label: {"files": count, "sources": {"icbhi": count}, "splits": {}} for label, count in tail.items()}
    built = sum(files.values())
    return {"by_source": sources, "labels": labels, "built": built, "excluded": built // 50, "quarantined": 42}


def test_figures_are_written_as_pictures_of_sane_size(tmp_path):
    paths = draw(long_tail(), tmp_path / "figures")
    assert [path.name for path in paths] == ["labels.png", "hours.png", "found.png"]
    for path in paths:
        with Image.open(path) as picture:
            picture.verify()
        width, height = png_size(path.read_bytes())
        assert 500 < width < 1_300
        assert 150 < height < 900
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in draw(long_tail(), tmp_path / "figures")] == before


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("figure", [labels_figure, hours_figure, found_figure])
def test_the_smallest_corpus_can_be_drawn(tmp_path, figure, theme):
    for rows in ([recording(1)], some()):
        png = figure(statistics(write_corpus(rows, tmp_path / "corpus")), theme)
        with Image.open(io.BytesIO(png)) as picture:
            assert len(picture.convert("RGB").getcolors()) > 10, "something is drawn"
        assert all(60 < side < 1_200 for side in png_size(png))
