"""What a run says while it goes: a line a phase, a line a round."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resp_agent.curriculum.beacon import read_beacons
from resp_agent.logs import log, structured

WATCH_S = 10.0
"""Time between looks at what workers do, in phases that take minutes."""


class Console:
    """Prints progress with the time since the run began."""

    def __init__(self):
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """A line with the elapsed time before it, or an event where those are asked for; see `logs`."""
        if structured():
            log("said", text=text.strip(), elapsed_s=round(self.elapsed_s, 1))
            return
        minutes, seconds = divmod(int(self.elapsed_s), 60)
        print(f"[{minutes:2d}:{seconds:02d}] {text}", file=sys.stdout, flush=True)

    @contextmanager
    def watching(self, progress: Path) -> Iterator[None]:
        """Says every `WATCH_S` seconds what the workers do, as long as they move."""
        over, began = threading.Event(), time.time()

        def watch() -> None:
            said = ""
            while not over.wait(WATCH_S):
                now = _doing(progress, began)
                if now and now != said:
                    self.say(f"  {now}")
                said = now

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def round(self, entry: dict, rounds: int, spent: int, budget: int, reason: str = "") -> None:
        """The line of a journal entry, with why its cells were chosen where that is known."""
        if structured():
            told = {name: entry[name] for name in ("valid_macro_f1", "reward", "requests", "shards", "seconds")}
            log("round", round=entry["round"], rounds=rounds, clips=spent, budget=budget, reason=reason, **told)
            return
        cells = Counter()
        for request in entry["requests"]:
            cells[f"{request['label']} / {request['style']}"] += request["count"]
        asked = ", ".join(f"{cell} {count}" for cell, count in cells.most_common(2)) or "no synthesis"
        more = f" + {len(cells) - 2} more" if len(cells) > 2 else ""
        self.say(
            f"round {entry['round']}/{rounds}  macro-F1 {entry['valid_macro_f1']:.3f}  reward {entry['reward']:+.3f}  "
            f"clips {spent}/{budget}  {asked}{more}" + (f"  ({reason})" if reason else "")
        )


def _doing(progress: Path, since_s: float) -> str:
    """What workers have said since a time, in one phrase; steps where there are any."""
    told = []
    for role, beacon in read_beacons(progress).items():
        if beacon["time_s"] >= since_s and beacon["phase"] != "waiting":
            step = f" step {beacon['step']}" if "step" in beacon else ""
            told.append(f"{role}: {beacon['phase']}{step}")
    return ", ".join(told)
