import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import pyarrow.parquet as pq
import pytest
import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FixedTrial, create_trial

from jobs.options import parse as parse_curriculum
from jobs.playing import Playing
from jobs.search.space import Candidate, suggest
from jobs.search.study import COMPLETE, STOPPED, PolicyStudy
from jobs.search.trial import SearchTrial, run_trial
from jobs.tune import main, parse
from resp_agent.curriculum.policies import check_choice
from resp_agent.curriculum.policies.features import FEATURES
from resp_agent.errors import UserError
from resp_agent.settings import Placement, preset, tiny

SMOKE = preset("smoke")


def trial_of(candidate, folder: Path, seeds=(1, 2)) -> SearchTrial:
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    return SearchTrial(candidate, SMOKE, seeds, folder / "trials", folder / "first", Placement(lab="local"))


KNOWN = {"policy": "random", "rounds": 3, "learning_rate": 0.002, "synthetic_share": 0.4567}


def test_the_space_asks_for_parameters_of_the_kind_that_was_chosen_only():
    found = suggest(FixedTrial(KNOWN), ["random", "thinker"], SMOKE)
    assert found == Candidate("random", {"learning_rate": 0.002, "synthetic_share": 0.457})
    thinker = {f"thinker.{name}": 0.25 for name in (*FEATURES, "temperature", "exploration")}
    found = suggest(FixedTrial(KNOWN | thinker | {"policy": "thinker"}), ["random", "thinker"], SMOKE)
    assert found.policy.startswith("thinker:weakness=0.25:")
    check_choice(found.policy)


@pytest.mark.parametrize("rounds", [4, 8, 16])
def test_clips_and_optimizer_steps_are_the_same_however_many_rounds_there_are(rounds):
    found = suggest(FixedTrial(KNOWN | {"rounds": rounds}), ["random"], tiny())
    settings = found.settings(tiny(), 5)
    how = settings.curriculum
    assert (how.rounds, how.rounds * how.steps_per_round, how.budget, settings.seed) == (rounds, 320, 320, 5)


def test_a_trial_tells_its_rounds_and_one_that_is_done_tells_them_again(tmp_path):
    candidate = Candidate("weakness", {"rounds": 2, "steps_per_round": 2})
    trial, told, again = trial_of(candidate, tmp_path), [], []
    run_trial(trial, told.append)
    assert [one["clips"] for one in told] == [6, 12]
    assert trial.record["complete"]
    written = trial.path.stat().st_mtime_ns
    run_trial(trial, again.append)
    assert again == told
    assert trial.path.stat().st_mtime_ns == written
    # The mean of what each seed's episode is by itself.
    alone = []
    for seed in trial.seeds:
        settings, options = candidate.settings(SMOKE, seed), {"first": str(trial.first)}
        workspace = str(tmp_path / f"alone-{seed}")
        with gymnasium.make(
            "envs:RespCurriculum-v0", settings=settings, workspace=workspace, lab_options=options
        ) as env:
            playing = Playing(env, "weakness")
            playing.to_the_end()
            alone.append(playing.scores[-1])
    assert told[-1]["by_seed"] == alone
    assert told[-1]["macro_f1"] == pytest.approx(sum(alone) / 2)
    assert not (trial.folder / "playing" / trial.key).exists()


def test_a_trial_that_fails_keeps_the_reason(tmp_path):
    trial = trial_of(Candidate("tests.somebodys:Missing", {}), tmp_path, (1,))
    with pytest.raises(UserError, match="cannot be imported"):
        run_trial(trial, lambda one: None)
    assert "cannot be imported" in trial.record["failed"]


def test_the_study_counts_each_trial_once_and_takes_up_what_was_cut_off(tmp_path):
    some = trial_of(Candidate("random", {}), tmp_path)
    study = PolicyStudy(tmp_path, ["random", "weakness"], some, 0)
    distributions = {
        "policy": CategoricalDistribution(["random", "weakness"]), "rounds": CategoricalDistribution([3]),
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True), "synthetic_share": FloatDistribution(0.3, 0.7),
    }  # fmt: skip

    def add(policy, share, state, value=None):
        params = {"policy": policy, "rounds": 3, "learning_rate": 1e-3, "synthetic_share": share}
        study._study.add_trial(create_trial(state=state, value=value, params=params, distributions=distributions))
        return study.played(suggest(FixedTrial(params), ["random", "weakness"], SMOKE))

    from optuna.trial import TrialState

    def keep(trial, complete, **more):
        rounds = [{"clips": 4, "macro_f1": 0.3, "by_seed": [0.3, 0.3]}]
        trial.path.write_text(json.dumps({"rounds": rounds, "complete": complete} | more))

    keep(add("random", 0.4, TrialState.COMPLETE, 0.3), True)
    keep(add("weakness", 0.5, TrialState.COMPLETE, 0.2), False)
    cut = add("random", 0.6, TrialState.RUNNING)
    assert [one.state for one in study.tried] == [COMPLETE, STOPPED]
    assert study.best.candidate.curriculum["synthetic_share"] == 0.4
    again = PolicyStudy(tmp_path, ["random", "weakness"], some, 0)
    assert again.take_up() == 1
    # It is the next one that is asked for, and taking up twice asks no second time.
    assert again.take_up() == 0
    asked = again._study.ask()
    assert again.played(suggest(asked, ["random", "weakness"], SMOKE)).key == cut.key
    assert asked.params["synthetic_share"] == 0.6


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--trials", "0"], "0 trials find nothing"),
        (["--policies", "greedy"], "no policy 'greedy'"),
        (["--policies", "none"], "nothing to search"),
        (["--policies", "thinker:novelty=1"], "the search chooses them"),
        (["--seeds", "1,1"], "give each once"),
        (["--resume", "nowhere"], "holds no run to resume"),
    ],
)
def test_searches_that_cannot_be_are_refused_in_a_sentence(flags, why, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(flags) == 2
    assert why in capsys.readouterr().err


WORDS = ["--preset", "smoke", "--seeds", "1,2", "--policies", "thinker,random"]


@pytest.mark.ray
@pytest.mark.slow
def test_killed_and_resumed_a_search_has_each_trial_once_and_its_best_policy_gives_the_same_score(tmp_path):
    out = tmp_path / "search"
    command = [sys.executable, "-m", "jobs.tune", *WORDS, "--out", str(out), "--trials", "5", "--at-once", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 400
    while time.monotonic() < until and len(list((out / "trials").glob("*.json"))) < 3 and process.poll() is None:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path.name: path.read_text() for path in (out / "trials").glob("*.json")}
    assert before
    assert not (out / "best_policy.yaml").exists()

    assert main(["--resume", str(out)]) == 0
    table = pq.read_table(out / "trials.parquet").to_pylist()
    assert [row["trial"] for row in table] == list(range(5))
    assert len({(row["policy"], row["curriculum"]) for row in table}) == 5
    assert {row["state"] for row in table} <= {"complete", "stopped early"}
    after = {path.name: path.read_text() for path in (out / "trials").glob("*.json")}
    whole = [name for name, text in before.items() if json.loads(text)["complete"]]
    assert all(after[name] == before[name] for name in whole)
    assert (out / "history.png").read_bytes()[:4] == b"\x89PNG"

    best = yaml.safe_load((out / "best_policy.yaml").read_text())
    assert best["valid_macro_f1"] == max(row["valid_macro_f1"] for row in table if row["state"] == "complete")
    job = parse_curriculum(["--policy", str(out / "best_policy.yaml"), "--seed", "2", "--out", str(tmp_path / "again")])
    with gymnasium.make(
        "envs:RespCurriculum-v0", settings=job.settings, workspace=str(tmp_path / "again"),
        lab_options={"first": str(out / "first")},
    ) as env:  # fmt: skip
        playing = Playing(env, job.policy)
        playing.to_the_end()
    assert playing.scores[-1] == best["by_seed"][2]
    # Another search does not overwrite it, and one with other seeds cannot go on with it.
    assert main([*WORDS, "--out", str(out)]) == 2
    with pytest.raises(UserError, match="begun with other settings"):
        parse(["--resume", str(out), "--seeds", "1,3"])


@pytest.mark.ray
@pytest.mark.slow
def test_with_the_lab_on_ray_actors_live_in_the_trials_own_place_and_scores_are_the_same(tmp_path, capsys):
    small = ["--preset", "smoke", "--seeds", "1", "--policies", "random", "--trials", "1", "--at-once", "1"]
    first = ["--first", str(tmp_path / "first")]
    placed = ["--lab", "ray", "--generators", "1", "--cpus", "0.5"]
    assert main([*small, *first, "--out", str(tmp_path / "local")]) == 0
    assert main([*small, *first, *placed, "--out", str(tmp_path / "ray")]) == 0
    one, other = (pq.read_table(tmp_path / name / "trials.parquet").to_pylist() for name in ("local", "ray"))
    assert one == other
    # What no cluster of this size could hold is refused before it waits for ever.
    assert main([*small, *first, "--lab", "ray", "--generators", "50", "--out", str(tmp_path / "large")]) == 1
    assert "lower --cpus" in capsys.readouterr().err
