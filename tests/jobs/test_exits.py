import sys

import pytest

from jobs.exits import run_job
from resp_agent.errors import CorruptCheckpoint, RunFailed, UserError


def ending_with(outcome):
    def job(argv):
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return job


class FromWorker(Exception):
    """As Ray brings an error from a worker: the text is a traceback, the error itself is the cause."""

    def __init__(self, cause):
        super().__init__("Traceback (most recent call last): ...")
        self.cause = cause


@pytest.mark.parametrize(
    ("outcome", "code", "sentence"),
    [
        (0, 0, ""),
        (None, 0, ""),
        (1, 1, ""),
        (UserError("no corpus\n  at 'x'"), 2, "resp-agent: no corpus at 'x'\n"),
        (RunFailed("the loss is not a number"), 1, "resp-agent: the loss is not a number\n"),
        (CorruptCheckpoint("digest"), 1, "resp-agent: digest\n"),
        (FromWorker(UserError("no corpus")), 2, "resp-agent: no corpus\n"),
        (FromWorker(RunFailed("lost")), 1, "resp-agent: lost\n"),
        (KeyboardInterrupt(), 130, "resp-agent: interrupted\n"),
        (SystemExit(), 0, ""),
        (SystemExit(2), 2, ""),
        (SystemExit("why"), 1, "resp-agent: why\n"),
    ],
)
def test_code_and_sentence(outcome, code, sentence, capsys):
    assert run_job(ending_with(outcome), []) == code
    assert capsys.readouterr().err == sentence


@pytest.mark.parametrize("defect", [ZeroDivisionError("1 / 0"), FromWorker(ZeroDivisionError())])
def test_a_defect_keeps_its_traceback(defect):
    with pytest.raises(type(defect)):
        run_job(ending_with(defect), [])


def test_a_job_gets_a_list_or_nothing():
    seen = []
    run_job(seen.append, ("--seed", "1"))
    run_job(seen.append)
    assert seen == [["--seed", "1"], None]


@pytest.mark.ray
def test_an_error_from_a_real_worker_ends_with_its_sentence(capsys):
    ray = pytest.importorskip("ray")

    def job(argv):
        @ray.remote(num_cpus=0.1)
        def refuse():
            raise UserError("no corpus at 'x': give another path")

        ray.get(refuse.remote())

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": {}})
    try:
        assert run_job(job, []) == 2
    finally:
        ray.shutdown()
    assert capsys.readouterr().err.splitlines()[-1] == "resp-agent: no corpus at 'x': give another path"
    assert "ray" in sys.modules
