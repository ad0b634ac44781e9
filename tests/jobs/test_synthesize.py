"""`synthesize`: the same clips wherever they are made, killed or not; what lies beside them; what it refuses."""

import csv
import errno
import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml

import jobs.synthesize
import resp_agent.generator.bulk
from jobs.synthesize import main
from resp_agent.corpus.schema import from_table
from resp_agent.curriculum.beacon import Beacon, read_beacons
from resp_agent.curriculum.request import Request
from resp_agent.errors import RunFailed
from resp_agent.generator import synthesizer
from resp_agent.generator.bulk import PROGRESS, started_at, told_when_full
from resp_agent.generator.synthesizer import make_generator
from resp_agent.generator.training import train_generator
from resp_agent.training.checkpoints import digests
from tests.generator.made_up import settings, train_split

ASKED = ("--preset", "smoke", "--generator.content", "exemplar")
PLAN = "label,style,count,duration_s\nasthma,smartphone,40,\ncontrol group,contact microphone,3,0.5\n"


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """Where corpus and generator are found again."""
    return tmp_path_factory.mktemp("first")


@pytest.fixture
def plan(tmp_path) -> Path:
    path = tmp_path / "plan.csv"
    path.write_text(PLAN)
    return path


def run(first: Path, out: Path, *flags: str, where: str = "local") -> int:
    return main([*ASKED, "--first", str(first), "--out", str(out), "--where", where, *flags])


def clips(out: Path) -> dict[str, bytes]:
    """Id -> audio, as it was made."""
    return {
        clip.id: clip.waveform.tobytes()
        for shard in sorted((out / "synthetic").glob("*.parquet"))
        for clip in from_table(pq.read_table(shard))
    }


@pytest.fixture(scope="module")
def made(first, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "plan.csv").write_text(PLAN)
    assert run(first, folder / "set", "--plan", str(folder / "plan.csv"), "--export", "flac") == 0
    return folder / "set"


def test_what_a_plan_asks_for_is_made(made):
    rows = list(csv.DictReader((made / "index.csv").open()))
    assert len(rows) == len({row["id"] for row in rows}) == len(clips(made)) == 43
    assert [row["label"] for row in rows] == ["asthma"] * 40 + ["control group"] * 3
    assert {float(row["duration_s"]) for row in rows[40:]} == {0.5}
    for row in rows[::7]:
        heard, rate = soundfile.read(made / row["file"], dtype="float32")
        assert rate == 16_000
        np.testing.assert_array_equal(heard.tobytes(), clips(made)[row["id"]])
        assert Path(row["file"]).parts[1] == row["label"].replace(" ", "_")
    table = ds.dataset(made / "synthetic", format="parquet").to_table(columns=["label", "request"])
    assert {row["request"]["seed"] for row in table.to_pylist()} == {int(row["seed"]) for row in rows}
    card = (made / "README.md").read_text()
    assert "43 clips" in card
    assert "| asthma | smartphone | 40 | exemplar |" in card
    assert "not a medical device" in card.lower()


def test_other_tools_read_the_set(made, tmp_path):
    import datasets

    loaded = datasets.load_dataset(str(made), cache_dir=str(tmp_path))["train"]
    assert loaded.num_rows == 43
    assert loaded.features["audio"] == datasets.Audio(sampling_rate=16_000)


def test_files_to_listen_to_can_be_asked_for_later(first, made, tmp_path, monkeypatch):
    """They hold what the shards hold, and clips are not made again for them."""
    out, plan = tmp_path / "set", made.parent / "plan.csv"
    shutil.copytree(made, out)
    removed = sorted((out / "clips").rglob("*.flac"))[0]
    heard = removed.read_bytes()
    removed.unlink()
    monkeypatch.setattr(synthesizer.PlannedGenerator, "synthesize", None)
    assert run(first, out, "--plan", str(plan), "--export", "flac") == 0
    assert removed.read_bytes() == heard
    assert run(first, out, "--plan", str(plan), "--export", "wav") == 0
    rows = list(csv.DictReader((out / "index.csv").open()))
    assert all(row["file"].endswith(f"{row['id']}.wav") for row in rows)
    heard, _ = soundfile.read(out / rows[5]["file"], dtype="float32")
    assert heard.tobytes() == clips(out)[rows[5]["id"]]


def test_a_shard_that_cannot_be_read_is_made_again(first, made, tmp_path):
    out = tmp_path / "set"
    shutil.copytree(made, out)
    os.truncate(sorted((out / "synthetic").glob("*.parquet"))[0], 100)
    assert run(first, out, "--plan", str(made.parent / "plan.csv")) == 0
    assert clips(out) == clips(made)


def test_clips_are_the_same_in_any_batch(monkeypatch, tmp_path):
    train_generator(settings(), train_split(), tmp_path)
    generator = make_generator(settings(), train_split(), tmp_path)
    for content in ("exemplar", "planned"):
        made = []
        for most in (32, 4, 1):
            monkeypatch.setattr(synthesizer, "MOST_AT_ONCE", most)
            made.append(generator.synthesize(Request("asthma", "bright", 9, 5, content)))
        for one, *others in zip(*made, strict=True):
            for other in others:
                assert one.id == other.id
                np.testing.assert_allclose(one.waveform, other.waveform, atol=1e-4, rtol=0)


def test_a_second_run_makes_nothing_again(first, made, monkeypatch, capsys):
    before = clips(made)
    monkeypatch.setattr(resp_agent.generator.bulk, "make_generator", None)
    assert run(first, made, "--plan", str(made.parent / "plan.csv"), "--export", "flac") == 0
    assert "43 are there already" in capsys.readouterr().out
    assert clips(made) == before


def test_what_is_missing_is_completed_to_the_same_bits(first, plan, made, tmp_path, monkeypatch):
    """The disk fills up in the middle."""
    writes = []

    class Full:
        def __init__(self, *of):
            self.generator = make_generator(*of)
            self.fingerprint = self.generator.fingerprint

        def synthesize(self, request):
            writes.append(request)
            if len(writes) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.generator.synthesize(request)

    monkeypatch.setattr(resp_agent.generator.bulk, "make_generator", Full)
    out = tmp_path / "set"
    assert run(first, out, "--plan", str(plan)) == 1
    assert 0 < len(clips(out)) < 43
    assert not (out / "index.csv").exists()
    assert run(first, out, "--plan", str(plan)) == 0
    assert clips(out) == clips(made)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (jobs.synthesize, "write_part"),
        (resp_agent.generator.bulk, "Beacon"),
        (resp_agent.generator.bulk, "write_clips"),
        (resp_agent.generator.bulk, "export_shard"),
        (jobs.synthesize, "write_set"),
    ],
)
def test_a_disk_that_is_full_is_one_sentence_wherever_it_is_met(
    first, plan, tmp_path, monkeypatch, capsys, module, name
):
    def full(*of):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, name, full)
    assert run(first, tmp_path / "set", "--plan", str(plan)) == 1
    told = capsys.readouterr().err.strip()
    assert "No space left on device): make room there; what is made stays" in told
    assert "\n" not in told


def test_the_start_of_every_worker_is_apart_from_the_work(tmp_path):
    """One of an earlier run, two of this one, and one in the place of a worker that was killed."""
    for number, ready_s in enumerate((50.0, 112.0, 110.0, 190.0)):
        Beacon(tmp_path / PROGRESS, f"synthesis-{number}").at("synthesizing", part=0, ready_s=ready_s)
    Beacon(tmp_path / PROGRESS, "generator-0").at("training flow", step=3)
    assert started_at(tmp_path, 100.0, 2) == 111.0
    assert started_at(tmp_path, 100.0, 1) == 110.0
    assert started_at(tmp_path, 200.0, 2) == 200.0


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path):
    with pytest.raises(RunFailed, match=r"Read-only file system\): make it writable"), told_when_full(tmp_path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    with pytest.raises(ConnectionResetError), told_when_full(tmp_path):
        raise ConnectionResetError(errno.ECONNRESET, "a defect, or the net")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--label", "hemoptysis", "--style", "smartphone"), "no recording of the label 'hemoptysis': its labels are"),
        (("--label", "asthma", "--style", "gramophone"), "none in the style 'gramophone'; its styles are"),
        (("--label", "asthma", "--style", "smartphone", "--count", "0"), "0 clips are none"),
        (("--label", "asthma", "--style", "smartphone", "--duration-s", "0"), "clips of 0.0 s cannot be made"),
        (("--label", "asthma", "--style", "smartphone", "--duration-s", "600"), "clips of 600.0 s cannot be made"),
        (("--label", "asthma", "--style", "smartphone", "--content", "planned"), "has no planner"),
        (("--label", "asthma", "--style", "smartphone", "--hardness", "0.5"), "give --diagnoser"),
        (("--label", "asthma"), "give both --label and --style"),
        ((), "nothing is asked for"),
        (("--plan", "nowhere.csv"), "the plan nowhere.csv cannot be read"),
        (("--plan", "nowhere.csv", "--count", "5"), "a plan says how many clips"),
        (("--plan", "nowhere.csv", "--duration-s", "2"), "leave out --count, --duration-s and --hardness"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(first, made, tmp_path, capsys, flags, sentence):
    assert run(first, tmp_path / "set", *flags) == 2
    told = capsys.readouterr().err.strip()
    assert sentence.replace("; its styles", ": its styles") in told
    assert "\n" not in told
    assert not (tmp_path / "set" / "synthetic").exists()


def test_a_run_without_a_generator_and_another_set_are_refused(first, made, tmp_path, capsys):
    asked = ("--label", "asthma", "--style", "smartphone")
    assert main(["--trained", str(tmp_path), *asked, "--out", str(tmp_path / "set"), "--where", "local"]) == 2
    assert "holds no run" in capsys.readouterr().err
    assert run(first, made, *asked) == 2
    assert "holds another set of clips" in capsys.readouterr().err


def test_the_generator_of_a_run_is_used(first, made, tmp_path, capsys):
    """A training that shares its folder of first models."""
    from jobs.train_generator import main as train

    told = [*ASKED, "--first", str(first), "--lab", "local", "--out", str(tmp_path / "run")]
    assert train(told) == 0
    plan = ("--plan", str(made.parent / "plan.csv"))
    asked = ["--trained", str(tmp_path / "run"), *plan, "--out", str(tmp_path / "set"), "--where", "local"]
    assert main(asked) == 0
    assert clips(tmp_path / "set") == clips(made)
    assert main([*asked, "--seed", "5"]) == 2
    assert "a setting differs from those of" in capsys.readouterr().err

    # A training that was not told otherwise has its models in its own folder; what it trained is not trained again.
    kept = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    (tmp_path / "run" / "settings.yaml").write_text(yaml.safe_dump(kept | {"first": None}))
    assert main(asked) == 2
    assert "has no trained generator in" in capsys.readouterr().err
    shutil.copytree(first, tmp_path / "run" / "first", dirs_exist_ok=True)
    assert main(asked) == 0
    assert main([*asked, "--first", str(tmp_path)]) == 2


def test_hard_clips_are_hard_for_the_diagnoser_that_is_named(first, trained, tmp_path):
    asked = ("--label", "asthma", "--style", "smartphone", "--count", "2")
    hard = ("--hardness", "1.0", "--diagnoser", str(trained))
    assert run(first, tmp_path / "easy", *asked) == 0
    assert run(first, tmp_path / "hard", *asked, *hard) == 0
    easy, harder = clips(tmp_path / "easy"), clips(tmp_path / "hard")
    assert not easy.keys() & harder.keys()
    (asked,) = json.loads((tmp_path / "hard" / "requests.json").read_text())["requests"]
    assert asked["diagnoser"] in digests(trained / "model").values()
    assert f"weights `{asked['diagnoser']}`" in (tmp_path / "hard" / "README.md").read_text()
    assert set(easy.values()).isdisjoint(harder.values())


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_on_ray_make_the_same_bits(small_ray, first, plan, made, tmp_path, capsys, workers):
    flags = ("--plan", str(plan), "--workers", str(workers), "--cpus", "0.5")
    assert run(first, tmp_path / "set", *flags, where="ray") == 0
    assert f"s with {workers} worker" in capsys.readouterr().out
    assert clips(tmp_path / "set") == clips(made)


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_worker_s_part_is_made_again_to_the_same_bits(small_ray, first, plan, made, tmp_path):
    struck = []

    def strike():
        while not struck:
            for beacon in read_beacons(tmp_path / "set" / "progress").values():
                if beacon["phase"] == "synthesizing" and beacon["part"] > 0:
                    os.kill(beacon["pid"], signal.SIGKILL)
                    struck.append(beacon)
                    return
            time.sleep(0.002)

    threading.Thread(target=strike, daemon=True).start()
    assert run(first, tmp_path / "set", "--plan", str(plan), "--cpus", "0.5", where="ray") == 0
    assert struck
    assert clips(tmp_path / "set") == clips(made)
