"""What regrow raises beside the errors of ``regrow_marks``, which are the root of these."""

import os

from regrow_marks.errors import RegrowError, in_words

TRACEBACK = "REGROW_TRACEBACK"
"""The environment variable that asks for the place in the code, on standard error."""

_LENGTH = 300  # characters of an exception's own text


class RecordError(RegrowError):
    """A record can't be read or written."""


class NewerRecordError(RecordError):
    """A newer regrow wrote a record; this one leaves it, and its directory, alone."""


class ConfigurationError(RegrowError):
    """The configuration file holds something that regrow does not understand."""


class GitError(RegrowError):
    """git gave no answer, or can't be asked safely."""


class WatchError(RegrowError):
    """Nothing can be watched, or somebody watches already."""


class CreatorError(RegrowError):
    """No environment was made."""


class CreatorFailedError(CreatorError):
    """The creator ran and failed; nothing of the environment is left."""

    def __init__(self, message: str, code: int, output: bytes) -> None:
        super().__init__(message)
        self.code = code
        """What to exit with: the creator's own code, 128 and the signal that ended it, or 1."""
        self.output = output
        """All that the creator printed."""


def as_sentence(error: Exception) -> str:
    """Return any exception as a sentence for people, those that nobody foresaw, too.

    Whatever a project holds, it must not keep regrow from the others: each kind of damage has its
    own words where it is read, and this is for the rest.
    """
    if os.environ.get(TRACEBACK):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, RegrowError):
        return str(error)
    if isinstance(error, OSError):
        return in_words(error)
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    return f"{type(error).__name__}: {str(error)[:_LENGTH]}"
