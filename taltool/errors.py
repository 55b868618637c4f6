"""The errors that a user may meet, one exit status each; anything else that is raised is a bug."""


class TaltoolError(Exception):
    """An error whose message is all that the user needs: where, what was found, how to mend it."""

    exit_status = 3


class UsageError(TaltoolError):
    """The command line asks for something that cannot be done as asked."""

    exit_status = 2


class DataError(TaltoolError):
    """A file is broken, incomplete, or does not fit the others."""

    exit_status = 3


class PartialFailure(TaltoolError):
    """Some videos failed, or a demanded threshold was missed; everything else was written.

    result is what the stage would have given back, which says what failed; None where it has nothing to say.
    """

    exit_status = 1

    def __init__(self, message: str, result: object = None) -> None:
        super().__init__(message)
        self.result = result


class EndedElsewhere(TaltoolError):
    """Another process of the same run has told what went wrong: this one ends with its exit status, in silence."""

    def __init__(self, exit_status: int) -> None:
        super().__init__()
        self.exit_status = exit_status
