"""What regrow raises beside the errors of ``regrow_marks``, which are the root of these."""

from regrow_marks.errors import RegrowError


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
