"""`resp-agent corpus`: the real sample, kills, Ray, and what other tools read."""

import csv
import glob
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import soundfile

from jobs.benchmarks.corpus import make_recordings
from jobs.corpus import main
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.listing import PART_ROWS
from resp_agent.corpus.schema import ALL_SPLITS
from tests.corpus import layouts

FOLDERS = {
    "sprsound": "sprsound",
    "icbhi": "icbhi2017",
    "kauh": "kauh",
    "ukcovid": "uk_covid19_vocal",
    "coughvid": "coughvid",
    "covid19cough": "covid19_cough",
}
PHASES = ("listing/part-*.parquet", "staged-*/*.parquet", "../.out.*.partial/data/*/*.parquet")
"""What a build has written, beside its output, when it is in the middle of listing, decoding and storing."""


def written(place: Path, phase: str) -> list[str]:
    """Files of a phase; a folder may vanish while it is looked at."""
    return glob.glob(str(place / phase), include_hidden=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def build(*sources: str, out: Path, flags: tuple[str, ...] = ()) -> Corpus:
    assert main(["build", "--sources", *sources, "--out", str(out), *flags]) == 0
    return Corpus.open(out)


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """The corpus of everything real."""
    sources = [f"{source}={shared / 'corpora' / folder}" for source, folder in FOLDERS.items()]
    # How long decoding takes on a busy machine is not what is asked here.
    flags = ("--decoding.time-limit-s", "60")
    return build(*sources, out=tmp_path_factory.mktemp("real") / "corpus", flags=flags)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A user's folder of several parts."""
    return make_recordings(tmp_path_factory.mktemp("many") / "raw", 900, 0.8, 8_000)


@pytest.fixture(scope="module")
def whole(many, tmp_path_factory):
    """The files of its corpus, built in one go."""
    corpus = build(f"folder={many}", out=tmp_path_factory.mktemp("whole") / "corpus", flags=("--where", "local"))
    return contents(corpus.path)


@pytest.mark.corpora
def test_everything_real_is_built_excluded_or_quarantined(real, shared):
    with (shared / "corpora" / "manifest.csv").open(newline="") as file:
        manifest = list(csv.DictReader(file))
    names = {folder: source for source, folder in FOLDERS.items()}
    rows = [row for split in ALL_SPLITS for row in real.table(split).to_pylist()]
    outside = real.excluded() + real.quarantine()
    assert len(rows) + len(outside) == len(manifest) == real.manifest["counts"]["found"] == 703
    assert all(row["reason"] for row in outside)
    wanted = Counter((names[row["corpus"]], row["label"]) for row in manifest)
    assert Counter((row["source"], row["source_label"]) for row in rows + outside) == wanted
    splits = Counter((names[row["corpus"]], row["split"]) for row in manifest if row["split"])
    built = Counter((row["source"], row["official_split"]) for row in rows if row["official_split"])
    poor = Counter(("sprsound", row["split"]) for row in manifest if "Poor Quality" in row["extra"])
    assert built + poor == splits

    assert Counter((row["source"], row["reason"]) for row in real.quarantine()) == {
        ("covid19cough", "it cannot be decoded (no audio is found in it)"): 2,
        ("covid19cough", "the same audio is labelled COVID-19 and control group"): 2,
        ("kauh", "the same audio is labelled asthma and control group"): 2,
    }
    assert Counter((row["source"], row["reason"]) for row in real.excluded()) == {
        ("sprsound", "annotators rejected the recording"): 43,
        ("kauh", "a disease of the heart is neither one of the respiratory labels nor a healthy lung"): 24,
        ("kauh", "two respiratory conditions have different labels"): 3,
    }
    formats = Counter((row["source"], row["original_format"]) for row in rows)
    assert formats["icbhi", "WAV PCM_24"] == 13
    assert formats["coughvid", "MATROSKA OPUS"] == formats["coughvid", "OGG OPUS"] == 1


@pytest.mark.corpora
def test_no_patient_and_no_audio_of_the_real_corpus_is_on_two_sides(real):
    held = {split: set(real.table(split)["source"].to_pylist()) for split in ALL_SPLITS}
    assert held["train"] == held["valid"] == {"icbhi", "sprsound", "ukcovid"}
    assert (held["test"], held["none"]) == ({"coughvid", "kauh"}, {"covid19cough"})
    seen: dict[str, str] = {}
    for split in ALL_SPLITS:
        for row in real.table(split, ["id", "patient_id"]).to_pylist():
            assert seen.setdefault(row["patient_id"], split) == split
            assert row["id"] not in seen or row["id"] == row["patient_id"]
    assert set(real.held("valid")) <= set(real.labels)
    assert set(real.held("test")) <= set(real.labels)


@pytest.mark.corpora
def test_cycles_are_a_view_of_the_real_icbhi_recordings(real):
    cycles = real.cycles()
    rows = {row["id"]: row for split in ALL_SPLITS for row in real.table(split).to_pylist() if row["source"] == "icbhi"}
    assert set(cycles["id"].to_pylist()) == rows.keys()
    heard = Counter((row["id"], row["heard"] != "normal") for row in cycles.to_pylist())
    for name, row in rows.items():
        assert heard[name, False] == row["normal_breaths"]
        assert heard[name, True] == len(row["events"])
    assert all(row["split"] == rows[row["id"]]["split"] for row in cycles.to_pylist())


@pytest.mark.corpora
def test_other_tools_read_it(real, tmp_path):
    import datasets

    loaded = datasets.load_dataset("parquet", data_dir=str(real.path / "data"), cache_dir=str(tmp_path))
    counts = real.manifest["counts"]
    assert {name: len(split) for name, split in loaded.items()} == {
        "train": counts["train"],
        "validation": counts["valid"],
        "test": counts["test"],
    }
    assert loaded["test"].features["audio"] == datasets.Audio(sampling_rate=16_000)
    row = loaded["test"].cast_column("audio", datasets.Audio(decode=False))[0]
    sound, rate_hz = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    assert (rate_hz, len(sound) / rate_hz) == (16_000, row["duration_s"])
    table = pyarrow.dataset.dataset(real.path / "data").to_table(columns=["id", "label"])
    assert len(table) == sum(counts[split] for split in ALL_SPLITS)


@pytest.mark.corpora
def test_statistics_of_the_real_corpus_are_told_and_drawn(real, tmp_path, capsys):
    assert main(["stats", str(real.path), "--figures", str(tmp_path / "figures")]) == 0
    said = capsys.readouterr().out
    for word in ("stethoscope", "microphone", "kauh", "quarantine", "703"):
        assert word in said
    assert all(len(line) <= 120 for line in said.splitlines() if not line.startswith("figures"))
    assert list((tmp_path / "figures").glob("*.png"))
    assert main(["stats", str(real.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == 703


def test_all_eight_layouts_are_built_into_one(tmp_path):
    makers = {name: getattr(layouts, name) for name in (*FOLDERS, "hflung", "folder")}
    sources = [f"{name}={make(tmp_path / 'raw' / name)}" for name, make in makers.items()]
    corpus = build(*sources, out=tmp_path / "corpus")
    rows = [row for split in ALL_SPLITS for row in corpus.table(split).to_pylist()]
    assert {row["source"] for row in rows} == makers.keys()
    assert {row["label"] for row in rows if row["source"] == "hflung"} == {"unlabelled"}
    assert {row["split"] for row in rows if row["source"] in ("hflung", "covid19cough")} == {"none"}


def test_a_corpus_for_the_test_alone_is_told_too(tmp_path, capsys):
    corpus = build(f"kauh={layouts.kauh(tmp_path / 'kauh')}", out=tmp_path / "corpus")
    assert corpus.labels == ()
    assert main(["stats", str(corpus.path)]) == 0
    said = capsys.readouterr().out
    assert "largest source of train" not in said
    assert sorted(path.name for path in (corpus.path / "figures").iterdir()) == ["found.png", "hours.png", "labels.png"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--sources", "kaggle=."], "no reader for source 'kaggle'"),
        (["--sources", "icbhi"], "source 'icbhi=' is not understood"),
        (["--sources", "icbhi=.", "--workers", "0"], "give --workers at least 1"),
        (["--sources", "icbhi=.", "--cpus", "-1"], "give --cpus above 0"),
        (["--sources", "icbhi=.", "--cpus", "nan"], "give --cpus above 0"),
        (["--sources", "icbhi=.", "--gpus", "-0.5"], "give --gpus at least 0"),
        (["--sources", "icbhi=.", "--roles", "icbhi=dev"], "write <source>=train"),
        (["--sources", "icbhi=.", "--roles", "kauh=test"], "which is not built"),
        (["--sources", "icbhi=.", "--narrative.writer", "transformers"], "name one with --narrative.model"),
        (["--sources", "icbhi=.", "--quality.shortest-s", "-1"], "let nothing pass"),
        (["--sources", "icbhi=.", "--valid-share", "0.9"], "leave nothing to train on"),
        (["--sources", "icbhi=.", "--test-share", "nan"], "leave nothing to train on"),
        (["--sources", "icbhi=.", "--decoding.time-limit-s", "inf"], "outside 0 to 3600 s"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(tmp_path, capsys, flags, words):
    assert main(["build", *flags, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_submitted_job_refuses_relative_paths(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    layouts.icbhi(tmp_path / "icbhi")
    for source, out in (("icbhi=icbhi", str(tmp_path / "out")), (f"icbhi={tmp_path / 'icbhi'}", "out")):
        assert main(["build", "--sources", source, "--out", out]) == 2
        assert "give an absolute path" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_build_goes_on_by_the_same_command_to_the_same_result(many, whole, tmp_path, phase):
    out = tmp_path / "out"
    command = ["-m", "jobs.corpus", "build", "--sources", f"folder={many}", "--out", str(out), "--where", "local"]
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    place = tmp_path / ".out.build"
    deadline = time.monotonic() + 120
    while not written(place, phase):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    staged = {key for path in place.glob("staged-*/*.parquet") for key in pq.read_table(path)["key"].to_pylist()}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    assert contents(out) == whole
    decoded = [line for line in done.stdout.splitlines() if "decoded" in line]
    if len(staged) < 900:
        # The first line comes after one part, or some where workers ended together.
        assert len(staged) < int(decoded[0].split()[-3]) <= len(staged) + 2 * PART_ROWS
    else:
        assert decoded == []
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.ray
@pytest.mark.slow
def test_ray_builds_the_same_though_its_workers_are_killed(many, whole, tmp_path):
    out = tmp_path / "out"
    command = ["-m", "jobs.corpus", "build", "--sources", f"folder={many}", "--out", str(out), "--where", "ray"]
    process = subprocess.Popen([sys.executable, *command, "--workers", "2"], stdout=subprocess.DEVNULL)
    killed = []
    deadline = time.monotonic() + 240
    while process.poll() is None:
        assert time.monotonic() < deadline
        staged = written(tmp_path / ".out.build", PHASES[1])
        if len(staged) > 2 * len(killed) and len(killed) < 2:
            # Once a worker of Ray, once the process that decodes for one.
            word = ("ray::MapBatches", "resp_agent.audio.intake")[len(killed)]
            pids = [pid for pid in _descendants(process.pid) if word in _line(pid)]
            if pids:
                os.kill(pids[0], signal.SIGKILL)
                killed.append(pids[0])
        time.sleep(0.005)
    assert process.returncode == 0
    assert len(killed) == 2
    assert contents(out) == whole


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        waiting += (own := children.get(waiting.pop(), []))
        found += own
    return found


def _line(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
