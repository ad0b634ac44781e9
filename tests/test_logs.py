import json

import pytest

from resp_agent.logs import VARIABLE, about, being_about, log


def test_nothing_is_printed_unless_it_is_asked_for(capsys, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    log("worker lost", worker=3)
    assert capsys.readouterr().out == ""


def test_a_line_has_time_event_what_it_is_about_and_its_own_fields(capsys, monkeypatch):
    monkeypatch.setenv(VARIABLE, "json")
    with being_about(run="first"), being_about(round=2):
        log("clips made", label="rhonchus é", count=3)
        told = about()
    log("over")
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {"event": "clips made", "run": "first", "round": 2, "label": "rhonchus é", "count": 3}
    assert told == {"run": "first", "round": 2}
    assert set(last) == {"time", "event"}


def test_what_it_is_about_ends_with_its_block_also_after_a_failure():
    with pytest.raises(ZeroDivisionError), being_about(run="first"):
        raise ZeroDivisionError
    assert about() == {}


def test_a_run_in_lines_of_json_names_run_round_and_request(capsys, monkeypatch, tmp_path):
    import jobs.outcome
    from jobs.curriculum import main

    monkeypatch.setattr(jobs.outcome, "render_report", lambda record: {})
    monkeypatch.setenv(VARIABLE, "json")
    out = tmp_path / "named"
    assert main(["--preset", "smoke", "--lab", "local", "--generator", "style-transfer", "--out", str(out)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    made = [line for line in lines if line["event"] == "clips made"]
    assert {(line["run"], line["round"]) for line in made} == {("named", number) for number in (1, 2, 3)}
    assert {f"{line['request']}.parquet" for line in made} == {path.name for path in (out / "synthetic").iterdir()}
    rounds = [line for line in lines if line["event"] == "round"]
    assert [line["round"] for line in rounds] == [0, 1, 2, 3]
    assert rounds[-1]["clips"] == rounds[-1]["budget"] == 12
    assert any(str(out / "report.html") in line.get("text", "") for line in lines)
