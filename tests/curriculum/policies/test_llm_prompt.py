import json

import numpy as np
import pytest

from resp_agent.curriculum.observation import observe
from resp_agent.curriculum.policies.llm_prompt import assessment, prompt
from tests.fakes import FakeLab


def test_the_assessment_is_that_of_the_observation():
    lab = FakeLab(unheld=(1,))
    scored, clips = lab.reset(0), np.arange(12).reshape(4, 3)
    told = assessment(observe(scored, clips, 0.625, -0.0123), lab.labels, lab.styles)
    assert json.loads(json.dumps(told)) == told
    columns, *rows = told["labels"]
    by_label = {row[0]: dict(zip(columns, row, strict=True)) for row in rows}
    assert list(by_label) == list(lab.labels)
    assert by_label["label 1"] == {
        "label": "label 1", "f1": None, "recall": None, "confidence": None, "real": 60, "synthetic": 12,
        "in_validation": False,
    }  # fmt: skip
    third = by_label["label 2"]
    for name in ("f1", "recall", "confidence"):
        assert third[name] == pytest.approx(scored.by_label[name][2], abs=6e-4)
    assert (third["real"], third["synthetic"], third["in_validation"]) == (20, 6 + 7 + 8, True)
    columns, *rows = told["cells"]
    cells = [dict(zip(columns, row, strict=True)) for row in rows]
    assert [(cell["label"], cell["style"]) for cell in cells] == [(c, s) for c in lab.labels for s in lab.styles]
    assert [cell["synthetic"] for cell in cells] == list(range(12))
    assert cells[7]["f1"] == pytest.approx(scored.by_cell()["f1"][2, 1], abs=6e-4)
    assert (cells[7]["share"], cells[7]["real"], cells[6]["real"]) == (pytest.approx(1 / 9, abs=6e-4), 0, 20)
    assert (told["budget_left"], told["last_reward"]) == (0.625, -0.012)


def test_the_strongest_confusions_are_told_first_and_no_right_answer_is_one():
    lab = FakeLab()
    observation = observe(lab.reset(0), np.zeros((4, 3)), 1.0, 0.0)
    confusion = np.diag([0.9, 0.4, 0.5, 1.0])
    confusion[0, 2], confusion[1, 3], confusion[2, 0] = 0.1, 0.6, 0.5
    told = assessment(observation | {"confusion": confusion}, lab.labels, lab.styles)["confusions"]
    assert told == [
        {"true": "label 1", "taken_for": "label 3", "share": 0.6},
        {"true": "label 2", "taken_for": "label 0", "share": 0.5},
        {"true": "label 0", "taken_for": "label 2", "share": 0.1},
    ]
    everywhere = assessment(observation | {"confusion": np.full((4, 4), 0.25)}, lab.labels, lab.styles)["confusions"]
    assert len(everywhere) == 8


def test_levels_and_faults_are_told_where_there_are_any():
    lab = FakeLab()
    observation = observe(lab.reset(0), np.zeros((4, 3)), 1.0, 0.0)
    [plain] = prompt(observation, lab.labels, lab.styles, 5)
    assert plain["role"] == "user"
    assert "1 to 5 requests" in plain["content"]
    assert "hardness" not in plain["content"]
    assert "could not be used" not in plain["content"]
    [full] = prompt(observation, lab.labels, lab.styles, 5, 4, ["there is no plan"])
    assert '"hardness": 0}' in full["content"]
    assert "to 3, clips of which" in full["content"]
    assert full["content"].count("- there is no plan\n") == 1
