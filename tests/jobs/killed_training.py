"""`python -m tests.jobs.killed_training <n> diagnoser|generator ...`: `train`, killed when n steps are done."""

import importlib
import os
import signal
import sys

import jobs.training_log


class Killer(jobs.training_log.TrainingLog):
    """Hears of the step, and ends the process."""

    done = 0

    def __call__(self, news: dict) -> None:
        super().__call__(news)
        Killer.done += "loss" in news
        if Killer.done == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    jobs.training_log.TrainingLog = Killer
    sys.exit(importlib.import_module(f"jobs.train_{sys.argv[2]}").main(sys.argv[3:]))
