"""What a run says while it goes: a line a phase, a line a round."""

import sys
import time
from collections import Counter


class Console:
    """Prints progress with the time since the run began."""

    def __init__(self):
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """A line with the elapsed time before it."""
        minutes, seconds = divmod(int(self.elapsed_s), 60)
        print(f"[{minutes:2d}:{seconds:02d}] {text}", file=sys.stdout, flush=True)

    def round(self, entry: dict, rounds: int, spent: int, budget: int) -> None:
        """The line of a journal entry."""
        cells = Counter()
        for request in entry["requests"]:
            cells[f"{request['label']} / {request['style']}"] += request["count"]
        asked = ", ".join(f"{cell} {count}" for cell, count in cells.most_common(2)) or "no synthesis"
        more = f" + {len(cells) - 2} more" if len(cells) > 2 else ""
        self.say(
            f"round {entry['round']}/{rounds}  macro-F1 {entry['valid_macro_f1']:.3f}  reward {entry['reward']:+.3f}  "
            f"clips {spent}/{budget}  {asked}{more}"
        )
