"""`python -m tests.jobs.quick`: the curriculum job without its figures, which take longer than a smoke run."""

import sys

import jobs.outcome
from jobs.curriculum import main

jobs.outcome.render_report = lambda record: {}

if __name__ == "__main__":
    sys.exit(main())
