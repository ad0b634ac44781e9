"""`python -m tests.jobs.quick`: the curriculum job without its figures, which take longer than a smoke run."""

import sys
from unittest.mock import patch

from jobs import curriculum


def main(argv: list[str] | None = None) -> int:
    """As the job's `main`."""
    with patch("jobs.outcome.render_report", lambda record: {}):
        return curriculum.main(argv)


if __name__ == "__main__":
    sys.exit(main())
