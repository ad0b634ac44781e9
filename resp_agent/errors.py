"""Errors that a user can act on. A job prints their sentence instead of a traceback."""


class UserError(Exception):
    """Something the user gave cannot be used: the sentence names it and a way out. Exit code 2."""


class RunFailed(Exception):
    """The run started and could not go on: the sentence says why and what is kept. Exit code 1."""


class CorruptCheckpoint(RunFailed):
    """A stored file is not what the journal says it is."""
