"""What a run says while it goes."""

import re
import time

from jobs import console as module
from jobs.console import Console
from resp_agent.curriculum.beacon import Beacon

ENTRY = {
    "round": 2,
    "valid_macro_f1": 0.5,
    "reward": -0.25,
    "requests": [
        {"label": "asthma", "style": "bell", "count": 3},
        {"label": "asthma", "style": "bell", "count": 2},
        {"label": "COPD", "style": "phone", "count": 4},
        {"label": "rub", "style": "phone", "count": 1},
    ],
}


def test_a_round_is_one_line_with_its_largest_requests(capsys):
    Console().round(ENTRY, rounds=8, spent=80, budget=320)
    line = capsys.readouterr().out
    assert re.match(r"\[ 0:\d\d\] round 2/8  macro-F1 0.500  reward -0.250  clips 80/320  ", line)
    assert line.endswith("asthma / bell 5, COPD / phone 4 + 1 more\n")


def test_a_round_says_why_where_that_is_known(capsys):
    Console().round(ENTRY, rounds=8, spent=80, budget=320, reason="mostly weakness, novelty")
    assert capsys.readouterr().out.endswith("COPD / phone 4 + 1 more  (mostly weakness, novelty)\n")


def test_a_round_without_requests_says_so(capsys):
    Console().round({**ENTRY, "requests": []}, rounds=8, spent=0, budget=320)
    assert "no synthesis" in capsys.readouterr().out


def test_long_phases_say_where_each_worker_is_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "WATCH_S", 0.05)
    Beacon(tmp_path, "generator-9").at("synthesizing")
    time.sleep(0.05)
    with Console().watching(tmp_path):
        Beacon(tmp_path, "diagnoser-0").at("first training", step=7)
        time.sleep(0.4)
    told = capsys.readouterr().out
    assert told.count("diagnoser-0: first training step 7") == 1
    assert "generator-9" not in told, "what was said before is no news"
