"""Makes clips: of one label in one style, or as a plan asks for; in this process or on Ray Data."""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jobs.console import Console
from jobs.exits import run_job
from jobs.synthesis_options import SynthesisJob, parse
from resp_agent.corpus.bulk import Runner, in_threads
from resp_agent.corpus.dataset import Corpus
from resp_agent.corpus.resolve import resolve_corpus
from resp_agent.curriculum.beacon import Beacon
from resp_agent.curriculum.folders import Folders
from resp_agent.curriculum.request import Request
from resp_agent.diagnoser.stored import find_diagnoser
from resp_agent.durable import write_atomic
from resp_agent.errors import UserError
from resp_agent.generator.bulk import Synthesis, missing_parts, shard_of, started_at, told_when_full, write_part
from resp_agent.generator.plan_file import in_parts, refuse_unknown
from resp_agent.generator.synthesizer import MOST_AT_ONCE, SHARDS
from resp_agent.generator.synthetic_set import CARD, INDEX, Made, write_set
from resp_agent.generator.training import generator_fingerprint, is_trained, train_generator
from resp_agent.settings import Settings, to_plain
from resp_agent.storage import fetch, local, shown
from resp_agent.threads import set_threads
from resp_agent.training.checkpoints import digests
from resp_agent.training.engine import AVERAGED

REQUESTS, PARTS = "requests.json", "parts"
TELL_EVERY_S = 2.0


def synthesize(job: SynthesisJob) -> Path:
    """Makes what is not there yet, and returns the folder of the set.

    Raises:
        UserError: something given cannot be used.
        RunFailed: clips cannot be made or written; those that were made stay.
    """
    console, out, settings = Console(), local(job.out).resolve(), job.settings
    folders = Folders.of(out, job.first)
    requests, diagnoser = _with_diagnoser(job, job.requests())
    corpus = resolve_corpus(settings, folders.corpus(settings))
    train = corpus.split("train")
    refuse_unknown(requests, sorted({one.label for one in train}), sorted({one.style for one in train}))
    _refuse_plans_without_planner(settings, requests)
    folder, fingerprint = folders.generator(settings, corpus), generator_fingerprint(settings, train)
    to_train = settings.generator.kind == "trained" and not is_trained(folder)
    if to_train and job.trained:
        raise UserError(
            f"the run {job.trained} has no trained generator in {folder}: finish its training, or give --first where "
            "its models are"
        )
    runner = _runner(job)
    _begin(out, job, corpus, requests)
    with told_when_full(out):
        if to_train:
            console.say(f"training the generator on {corpus.describe()}")
            with console.watching(folders.progress):
                set_threads(settings.threads)
                train_generator(settings, train, folder, Beacon(folders.progress, "generator-0"))
        parts = in_parts(requests, MOST_AT_ONCE)
        left = {
            write_part(out / PARTS, number, parts[number]): parts[number].count
            for number in missing_parts(out, parts, fingerprint, job.export)
        }
        total, missing = sum(part.count for part in parts), sum(left.values())
        there = f", {total - missing:,} are there already" if missing < total else ""
        console.say(f"{total:,} clips in {len(parts)} parts{there}")
        work = Synthesis.of(settings, corpus.path, folder, out, diagnoser, job.export)
        if left:
            _make(runner, work, list(left), missing, job.workers, console)
        shards = [shard_of(out, part, fingerprint) for part in parts]
        write_set(out, Made(settings, corpus, fingerprint, requests, shards), job.export)
    clips, card, index = (shown(out / name) for name in (SHARDS, CARD, INDEX))
    console.say(f"clips {clips}\ndata card {card}\nindex {index}")
    return out


def _make(runner: Runner, work: Synthesis, parts: Sequence[Path], missing: int, workers: int, console: Console) -> None:
    """Does parts with `missing` clips and tells how far it is. What the start takes is told apart."""
    # The clock of beacons, which workers write.
    began_s = told_s = time.time()
    done, out = 0, Path(work.out)
    for count in runner(work, parts):
        now, done = time.time(), done + count
        if done == missing or now - told_s >= TELL_EVERY_S:
            told_s, rate = now, done / max(now - started_at(out, began_s, workers), 1e-3)
            console.say(f"{done:,} of {missing:,} clips, {rate:.1f} a second, {(missing - done) / rate:.0f} s left")
    ended_s, started_s = time.time(), started_at(out, began_s, workers)
    console.say(
        f"synthesis took {ended_s - started_s:.1f} s with {workers} worker{'s' * (workers > 1)}, apart from the "
        f"{started_s - began_s:.1f} s in which a worker started"
    )


def _runner(job: SynthesisJob) -> Runner:
    if job.where == "local":
        return in_threads()
    # Imported when needed: what is refused before any work knows no Ray.
    from actors.cluster import knock
    from jobs.bulk import on_ray

    knock()
    return on_ray(job.workers, job.cpus, job.gpus)


def _with_diagnoser(job: SynthesisJob, requests: list[Request]) -> tuple[list[Request], Path | None]:
    """Requests of some hardness name the weights that they are hard for: other weights make other clips."""
    if all(request.hardness == 0 for request in requests):
        return requests, None
    if not job.diagnoser:
        raise UserError("clips of some hardness are hard for a diagnoser: give --diagnoser, or a hardness of 0")
    folder = find_diagnoser(local(job.diagnoser).resolve())
    weights = digests(folder)[AVERAGED]
    return [dataclasses.replace(one, diagnoser=weights) if one.hardness else one for one in requests], folder


def _refuse_plans_without_planner(settings: Settings, requests: Sequence[Request]) -> None:
    if settings.generator.content != "planned" and any(request.content == "planned" for request in requests):
        raise UserError(
            "this generator was trained for exemplar content and has no planner: ask for exemplar content, or train "
            "one with --generator.content planned"
        )


def _begin(out: Path, job: SynthesisJob, corpus: Corpus, requests: Sequence[Request]) -> None:
    """Notes what the set is, or refuses to mix it with another."""
    asked = {
        "settings": to_plain(job.settings),
        "corpus": corpus.fingerprint,
        "requests": [dataclasses.asdict(request) for request in requests],
    }
    path, place = fetch(out / REQUESTS), shown(out)
    try:
        if path.is_file() and json.loads(path.read_text()) != asked:
            raise UserError(f"{place} holds another set of clips: give another --out, or the command it was made by")
        write_atomic(path, json.dumps(asked, indent=1).encode())
    except OSError as problem:
        raise UserError(f"{place} cannot be written ({problem.strerror or problem}): give another --out") from problem


def main(argv: Sequence[str] | None = None) -> int:
    """`resp-agent synthesize` and `python -m jobs.synthesize`; returns the exit code."""
    return run_job(lambda words: synthesize(parse(words)) and 0, argv)


if __name__ == "__main__":
    sys.exit(main())
