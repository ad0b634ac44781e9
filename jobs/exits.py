"""How a job ends: an exit code, and one sentence where something is wrong."""

import sys
from collections.abc import Callable, Sequence

from resp_agent.errors import RunFailed, UserError

REFUSED = 2
"""Exit code for something the user gave that cannot be used."""
FAILED = 1
"""Exit code for a run that started and could not go on."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells give it: 128 + SIGINT."""

Job = Callable[[list[str] | None], int | None]


def run_job(job: Job, argv: Sequence[str] | None = None) -> int:
    """Runs `job(argv)` and gives its exit code: 0, 1 or 2 (see above), or 130.

    `UserError` and `RunFailed` become their sentence on standard error, also where Ray brings them from a worker. Any
    other error is a defect and keeps its traceback.
    """
    try:
        return job(None if argv is None else list(argv)) or 0
    except BrokenPipeError:
        # Whoever reads the output has seen enough, as in `... --help | head`; nothing more can be said to them.
        sys.stdout = None
        return 0
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except SystemExit as end:
        # Argument parsers end this way: 0 after --help, 2 after a bad flag.
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        _say(str(end.code))
        return FAILED
    except Exception as error:
        known = _known(error)
        if known is None:
            raise
        _say(" ".join(str(known).split()))
        return REFUSED if isinstance(known, UserError) else FAILED


def _known(error: BaseException) -> UserError | RunFailed | None:
    """The error that has a sentence for the user: this one, or the one that Ray wrapped (its `cause`)."""
    cause = getattr(error, "cause", None)
    for candidate in (cause, error):
        if isinstance(candidate, (UserError, RunFailed)):
            return candidate
    return None


def _say(sentence: str) -> None:
    sys.stdout.flush()
    print(f"resp-agent: {sentence}", file=sys.stderr)
