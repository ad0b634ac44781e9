"""`python -m tests.jobs.killed_training <step> ...`: `train diagnoser`, which is killed when a step is done."""

import os
import signal
import sys

from jobs.train_diagnoser import main
from jobs.training_log import TrainingLog


class Killer(TrainingLog):
    """Hears of the step, and ends the process."""

    def __call__(self, news: dict) -> None:
        super().__call__(news)
        if news["step"] == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    import jobs.train_diagnoser

    jobs.train_diagnoser.TrainingLog = Killer
    sys.exit(main(sys.argv[2:]))
