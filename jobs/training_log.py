"""What a training says while it goes: TensorBoard events of every step, and a line now and then."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorboardX import SummaryWriter

from resp_agent.storage import publish

LINE_EVERY_S = 5.0
"""Time between lines where no look at validation makes one."""
POLL_S = 0.3

Say = Callable[[str], None]


class TrainingLog:
    """Hears of every step and look; see `Learner.first_train`. One rank has it."""

    def __init__(self, folder: Path, steps: int, say: Say):
        """Events go to `folder`; those of steps that a killed training did after its last checkpoint are replaced."""
        self._folder, self._steps, self._say = folder, steps, say
        self._board: SummaryWriter | None = None
        self._losses: list[float] = []
        self._step = 0
        self._told_s = time.monotonic()

    def __call__(self, news: dict) -> None:
        """A step (`step`, `loss`, `learning_rate`) or a look (`step`, `macro_f1`)."""
        step = news["step"]
        if self._board is None:
            self._board = SummaryWriter(str(self._folder), purge_step=step)
        if "macro_f1" in news:
            self._board.add_scalar("valid/macro_f1", news["macro_f1"], step)
            self._line(step, f"  valid macro-F1 {news['macro_f1']:.3f}")
            return
        self._board.add_scalar("train/loss", news["loss"], step)
        self._board.add_scalar("train/learning_rate", news["learning_rate"], step)
        self._losses.append(news["loss"])
        self._step = step
        if time.monotonic() - self._told_s >= LINE_EVERY_S:
            self._line(step)

    def close(self) -> None:
        """Says what is left to say, and ends the event file."""
        if self._losses:
            self._line(self._step)
        if self._board:
            self._board.close()
            publish(self._folder)

    def _line(self, step: int, more: str = "") -> None:
        now, losses = time.monotonic(), self._losses
        loss = f"  loss {sum(losses) / len(losses):.3f}" if losses else ""
        rate = f"  {len(losses) / max(now - self._told_s, 1e-9):.1f} steps/s" if losses else ""
        self._say(f"step {step}/{self._steps}{loss}{more}{rate}")
        self._losses, self._told_s = [], now
        self._board.flush()


class PartsLog:
    """Hears of a training of several parts, one after the other: news names its `part` and `steps` besides."""

    def __init__(self, folder: Path, say: Say):
        """Events of each part go to a folder of its name below `folder`."""
        self._folder, self._say = folder, say
        self._part: str | None = None
        self._log: TrainingLog | None = None

    def __call__(self, news: dict) -> None:
        """A step of a part."""
        if news["part"] != self._part:
            self.close()
            part = self._part = news["part"]
            self._log = TrainingLog(self._folder / part, news["steps"], lambda line: self._say(f"{part} {line}"))
        self._log(news)

    def close(self) -> None:
        """Says what is left to say of the last part."""
        if self._log:
            self._log.close()
            self._log = None


def line_to(path: Path) -> Say:
    """Appends what is said to a file that another process follows."""

    def say(text: str) -> None:
        with path.open("a") as file:
            file.write(text + "\n")

    return say


@contextmanager
def following(path: Path, say: Say) -> Iterator[None]:
    """Says the lines that are appended to a file while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    over = threading.Event()

    def follow() -> None:
        with path.open() as file:
            file.seek(0, 2)
            rest = ""
            while True:
                last = over.wait(POLL_S)
                *lines, rest = (rest + file.read()).split("\n")
                for line in lines:
                    say(line)
                if last:
                    return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
