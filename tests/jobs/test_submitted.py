"""Every job, submitted to a cluster that asks for a token: it ends well, and its output is where it says."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile

from jobs.benchmarks.corpus import make_recordings
from jobs.cli import VERBS
from resp_agent.curriculum.beacon import read_beacons
from tests.heads import Head
from tests.jobs.runs import Run, results
from tests.nodes import wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

AT_ONCE = 3
"""Jobs: most of one is waiting for processes to start."""
SMOKE = ("--preset", "smoke")
SHORT = ("--diagnoser.training.steps", "4", "--generator.planner.training.steps", "4")
SHORT = (*SHORT, "--generator.flow.training.steps", "4")
VOCODER = ("--generator.vocoder.training.steps", "4", "--generator.vocoder.training.batch", "4")
VOCODER = (*VOCODER, "--generator.vocoder.width", "16", "--generator.vocoder.inner", "32")
STEM = ("--diagnoser.audio-stem", "conformer", "--pretraining.crop-s", "0.5")
STEM = (*STEM, "--pretraining.training.steps", "4", "--pretraining.training.batch", "8")
GROUNDING = ("--grounding.training.steps", "4", "--grounding.training.batch", "4")

STAGES: list[dict[str, str]] = [
    {
        "corpus build": "--sources folder={raw} --out {place}/corpus --where ray --workers 2",
        "train diagnoser": f"{' '.join((*SMOKE, *SHORT))} --out {{place}}/diagnoser --first {{place}}/first",
        "train generator": f"{' '.join((*SMOKE, *SHORT))} --out {{place}}/generator --first {{place}}/first",
        "train vocoder": f"{' '.join((*SMOKE, *VOCODER))} --out {{place}}/vocoder --first {{place}}/vocoding",
        "train encoder": f"{' '.join((*SMOKE, *STEM))} --out {{place}}/encoder --first {{place}}/encoding",
    },
    {
        "curriculum": f"{' '.join((*SMOKE, *SHORT))} --out {{place}}/run --first {{place}}/first --generators 1",
        "synthesize": "--trained {place}/generator --plan {place}/plan.csv --out {place}/clips --cpus 0.5",
        "tune": f"{' '.join((*SMOKE, *SHORT))} --out {{place}}/search --first {{place}}/first --trials 2 --seeds 0 "
        "--policies random --cpus 0.5",
        "features": "{place}/corpus --out {place}/features --where ray --workers 2",
        "evaluate": "{place}/diagnoser/model --out {place}/scores",
        "diagnose": "{recording} --model {place}/diagnoser/model --out {place}/pictures",
        "train grounding": f"{' '.join((*SMOKE, *GROUNDING))} --out {{place}}/grounding "
        "--diagnoser {place}/diagnoser/model",
    },
    {
        "ground": "{recording} --phrase wheezes --model {place}/grounding --out {place}/grounded",
        "veto": "{place}/run --clips {clip} --reason noise",
        "runs list": "{place}",
        "corpus stats": "{place}/corpus",
        "benchmark cluster": "--workers 20 --answers 40 --clips 0 --json {place}/cluster.json",
        "doctor": "",
    },
]
"""Job -> its flags; those of a stage need what the stages before have made."""
FLAGS = {job: flags for stage in STAGES for job, flags in stage.items()}
ELSEWHERE = {
    "serve": "stays until it is ended: tests/jobs/test_serve.py",
    "import-weights": "reads released checkpoints on one machine: tests/jobs/test_weights.py",
    "verify": "the same",
}


@pytest.fixture(scope="module")
def head():
    head = Head()
    yield head
    head.close()


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    Run.end_all()


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Storage that every node reads, with raw recordings and a plan on it."""
    place = tmp_path_factory.mktemp("storage")
    make_recordings(place / "raw", 24, 2.0, 8_000)
    (place / "plan.csv").write_text("label,style,count\nasthma,smartphone,3\n")
    return place


def paths_said(text: str) -> set[Path]:
    """Absolute paths on the storage that a job printed."""
    return {Path(found) for found in re.findall(r"(?<=\s)/[^\s:,]+", text)}


@pytest.fixture(scope="module")
def submitted(head, place) -> dict[str, tuple[int, str]]:
    """Exit code and words of every job."""
    recording = next((place / "raw" / "audio").iterdir())
    assert soundfile.info(recording).duration == 2
    given = {"raw": place / "raw", "place": place, "recording": recording}
    done = {}

    def submit(job: str, flags: str) -> None:
        words = flags.format(**given).split()
        ended = head.submit(*job.split(), *words)
        done[job] = ended.returncode, ended.stdout + ended.stderr

    for stage in STAGES:
        if (summary := place / "run" / "summary.json").is_file():
            given["clip"] = json.loads(summary.read_text())["clip_ids"][0]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda one: submit(*one), stage.items()))
    return done


def test_every_verb_is_submitted():
    assert {job.split()[0] for stage in STAGES for job in stage} | ELSEWHERE.keys() == VERBS.keys()


def test_the_cluster_answers_nobody_without_its_token(head):
    assert [head.code(path, token=False) for path in ("/api/jobs/", "/api/version", "/nodes")] == [401] * 3
    refused = head.submit("doctor", token=False)
    assert refused.returncode != 0
    assert "Missing authentication token" in refused.stderr


@pytest.mark.parametrize("job", FLAGS)
def test_a_job_ends_well_and_its_output_is_where_it_says(job, submitted, place):
    code, said = submitted[job]
    assert code == 0, said
    assert re.search(r"Job 'raysubmit_\w+' succeeded", said)
    there = {path for path in paths_said(said) if path.is_relative_to(place)}
    assert all(path.exists() for path in there), said
    words = FLAGS[job].split()
    if "--out" in words:
        out = words[words.index("--out") + 1].format(place=place)
        assert any(path.is_relative_to(out) for path in there if path != Path(out)) or Path(out) in there, said


def test_a_job_that_was_stopped_or_lost_its_head_is_submitted_again_and_ends_the_same(head, place, tmp_path):
    flags = (*SMOKE, "--diagnoser.training.steps", "400", "--diagnoser.training.checkpoint-every", "8")
    undisturbed = Run(tmp_path / "local", *flags, "--lab", "local")
    run = place / "stopped"
    command = ("curriculum", *flags, "--out", str(run), "--generators", "1")
    assert head.submit(*command, options=("--no-wait", "--submission-id", "stopped")).returncode == 0
    wait_for(lambda: read_beacons(run / "progress").get("diagnoser-0", {}).get("step", 0) >= 16, "the first training")
    assert head.ray("job", "stop", "stopped").returncode == 0
    assert "stopped" in head.ray("job", "status", "stopped").stdout.lower()
    # Again, and this time all that the head knew is lost with it.
    assert head.submit(*command, options=("--no-wait",)).returncode == 0
    wait_for(lambda: read_beacons(run / "progress").get("diagnoser-0", {}).get("step", 0) >= 32, "the first training")
    head.stop()
    assert not (run / "journal.jsonl").exists()
    head.start()
    again = head.submit(*command)
    assert again.returncode == 0, again.stdout
    assert results(run) == undisturbed.summary()
    # Now that there are rounds, nobody overwrites them.
    refused = head.submit(*command)
    assert refused.returncode != 0
    assert f"go on with it by --resume {run}" in refused.stdout


def test_a_submitted_job_and_its_workers_tell_in_lines_of_json(head, submitted, place):
    flags = (*SMOKE, *SHORT, "--first", str(place / "first"), "--generator", "style-transfer", "--generators", "1")
    ended = head.submit("RESP_AGENT_LOG=json", "curriculum", *flags, "--out", str(place / "told"))
    assert ended.returncode == 0, ended.stdout
    told = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert [line["round"] for line in told if line["event"] == "round"] == [0, 1, 2, 3]
    made = [
        json.loads(line)
        for path in (head.folder / "session_latest" / "logs").glob("worker-*.out")
        for line in path.read_text().splitlines()
        if '"event": "clips made"' in line
    ]
    assert {(line["run"], line["round"]) for line in made} == {("told", number) for number in (1, 2, 3)}
    assert {f"{line['request']}.parquet" for line in made} == {
        path.name for path in (place / "told/synthetic").iterdir()
    }
