import json

import pytest

from jobs.cli import main
from resp_agent.simulation.device import DEVICES
from resp_agent.simulation.pathology import LABELS
from tests.chats import chat_answer, chat_server

PLAN = {"plan": [{"label": LABELS[5], "style": DEVICES[1]}], "rationale": "It was <b>never</b> heard there."}


@pytest.mark.slow
def test_a_run_ends_whatever_the_endpoint_does_and_says_who_decided(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    out = tmp_path / "run"
    # A plan; garbage and then a plan; nothing at all.
    answers = [chat_answer(json.dumps(PLAN)), chat_answer("no"), chat_answer(json.dumps(PLAN)), (500, b"")]
    with chat_server(answers) as (url, requests):
        policy = f"llm:model=a-model:endpoint={url}:timeout_s=5"
        flags = ["--preset", "smoke", "--lab", "local", "--generator", "style-transfer", "--out", str(out)]
        assert main(["curriculum", "--policy", policy, *flags]) == 0
    assert len(requests) == 4
    rounds = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()][1:]
    assert [line["why"]["decided_by"] for line in rounds] == ["llm", "llm, second answer", "thinker"]
    assert {(one["label"], one["style"]) for one in rounds[0]["requests"]} == {(LABELS[5], DEVICES[1])}
    page = (out / "report.html").read_text()
    assert "It was &lt;b&gt;never&lt;/b&gt; heard there." in page
    assert "<b>never" not in page
    # Scores and names go out, and nothing that a recording has.
    corpus = next((out / "first").glob("corpus-*"))
    import pyarrow.parquet as pq

    for split in ("train", "valid"):
        for file in (corpus / "data" / split).glob("*.parquet"):
            table = pq.read_table(file, columns=["id", "patient_id", "narrative"])
            sent = json.dumps([body for _, _, body in requests])
            assert not any(value in sent for name in table.column_names for value in table[name].to_pylist())
