"""The curriculum: synthesize where the diagnoser is weak, let it learn, look again, until the budget is spent."""

import sys

import gymnasium

from jobs.console import Console
from jobs.dry_run import dry_run
from jobs.exits import run_job
from jobs.options import CurriculumJob, open_run, parse
from jobs.outcome import finish
from jobs.rounds import Rounds
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.judge import Judge
from resp_agent.curriculum.policies import NONE, Transition, make_policy
from resp_agent.errors import CorruptCheckpoint
from resp_agent.logs import being_about
from resp_agent.randomness import stream
from resp_agent.storage import shown

LABS = {"local": "resp_agent.curriculum.local:local_lab", "ray": "actors.lab:ray_lab"}


def curriculum(job: CurriculumJob) -> dict:
    """Runs a curriculum, or goes on with one, and returns its summary.

    Raises:
        UserError: something given cannot be used.
        RunFailed: the run cannot go on; what was journalled is kept.
    """
    console, run, settings = Console(), open_run(job), job.settings
    if run.summary():
        console.say(f"this run is complete: {shown(run.path / 'report.html')}")
        return run.summary()

    console.say(f"run directory {shown(run.path.resolve())}")
    with being_about(run=run.path.resolve().name), make_environment(job) as env:
        lab, synthesis = env.unwrapped.lab, job.policy != NONE
        run.hold_to_corpus(lab.corpus.fingerprint)
        rounds = Rounds(run, console, settings)
        console.say(f"first training on {lab.corpus.describe()}")
        with console.watching(run.path / "progress"):
            rounds.add_seconds(lab.prepare(synthesis))

        how = settings.curriculum
        policy = make_policy(job.policy, lab.labels, lab.styles, how.requests_per_round, how.hardness_levels)
        if rounds.journal:
            observation, info = go_on(env, rounds)
            policy.load_state_dict(rounds.journal[-1]["policy_state"])
        else:
            observation, info = env.reset(seed=settings.seed, options={"synthesis": synthesis})
            rounds.commit(info, env.unwrapped.save(), policy)

        while not rounds.ended:
            action = policy.decide(observation, stream(settings.seed, "policy", info["round"]))
            before, (observation, reward, terminated, truncated, info) = observation, env.step(action)
            policy.update(Transition(before, action, reward, observation, terminated, truncated, info))
            rounds.commit(info, env.unwrapped.save(), policy, reward)

        judge = Judge(settings, lab.corpus, Folders.of(job.folder, job.first).features)
        return finish(job, rounds, lab, judge)


def go_on(env: gymnasium.Env, rounds: Rounds) -> tuple[dict, dict]:
    """Restores the last round whose checkpoint is whole; later ones are taken back. Returns (observation, info).

    Raises:
        CorruptCheckpoint: not even the first-trained one is.
    """
    while True:
        state = rounds.journal[-1]["state"]
        try:
            env.unwrapped.lab.check(state["lab"])
            break
        except CorruptCheckpoint as problem:
            if len(rounds.journal) == 1:
                raise
            rounds.take_back(problem)
    return env.reset(options={"restore": state})


def make_environment(job: CurriculumJob) -> gymnasium.Env:
    """The environment on the Lab that the job asks for, its workspace being the run directory."""
    options = {"first": job.first} | ({"place": job.place} if job.place.lab == "ray" else {})
    return gymnasium.make(
        "envs:RespCurriculum-v0",
        settings=job.settings,
        lab=LABS[job.place.lab],
        workspace=str(job.folder),
        lab_options=options,
    )


def main(argv: list[str] | None = None) -> int:
    """`resp-agent curriculum` and `python -m jobs.curriculum`; returns the exit code."""

    def begin(arguments: list[str] | None) -> int:
        job = parse(arguments)
        if job.dry_run:
            return dry_run(job)
        curriculum(job)
        return 0

    return run_job(begin, argv)


if __name__ == "__main__":
    sys.exit(main())
