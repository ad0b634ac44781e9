"""The published figures are those that were published."""

import csv
import re

import pytest

from resp_agent.published import published


def rows_of(page: str, head: str) -> list[list[str]]:
    """The rows of the table of a page whose first cells read `head`."""
    lines = iter(page.splitlines())
    for line in lines:
        if line.startswith(f"| {head}"):
            next(lines)
            break
    rows = []
    for line in lines:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_systems_are_those_of_tables_6_and_7(shared):
    page = (shared / "method.md").read_text()
    ours = [[row["system"], row["modality"], row["accuracy"], row["macro_f1"]] for row in published("table6_7")]
    assert ours == [[*row[:2], float(row[2]), float(row[3])] for row in rows_of(page, "table 6 and 7")]


def test_the_ablation_has_its_six_rows(shared):
    page = (shared / "method.md").read_text()
    theirs = [[name.split(", "), float(accuracy), float(f1)] for name, accuracy, f1 in rows_of(page, "ablation")]
    ours = [
        [
            [f"{row['fusion']} fusion".removesuffix(" fusion") if row["fusion"] == "weaving" else "late fusion",
             row["text"], "anchors" if row["anchors"] == "yes" else "no anchors"],
            row["accuracy"],
            row["macro_f1"],
        ]
        for row in published("ablation")
    ]  # fmt: skip
    assert ours == theirs


def test_losses_are_the_rows_without_synthesis(shared):
    page = (shared / "method.md").read_text()
    theirs = [row for row in rows_of(page, "planner") if row[1] == "0"]
    ours = [[row["accuracy"], row["macro_f1"], row["tail_f1"]] for row in published("losses")]
    assert ours == [[float(number) for number in row[2:]] for row in theirs]
    names = [re.sub(r" loss.*", "", row[0].removeprefix("none, ")) for row in theirs]
    assert [row["loss"] for row in published("losses")] == names


def test_table_2_is_the_18_rows_of_icbhi(shared):
    with (shared / "reference" / "icbhi_table2.csv").open(newline="") as file:
        theirs = list(csv.DictReader(file))
    ours = published("table2")
    assert len(ours) == len(theirs) == 18
    assert [row["method"] for row in ours] == [row["method"] for row in theirs]
    assert ours[0]["pretraining"] is None
    for row, other in zip(ours, theirs, strict=True):
        for name in ("specificity", "sensitivity", "score"):
            assert row[name] == float(other[name])


def test_an_unknown_table_is_an_error():
    with pytest.raises(FileNotFoundError):
        published("table99")
