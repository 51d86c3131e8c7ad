"""What regrow raises: one hierarchy, and the words in which a person reads a system error."""

import errno
import os

_IN_WORDS = {
    errno.EACCES: "no permission",
    errno.EPERM: "no permission: only its owner may do that",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOTSUP: "this file system does not support it",
    errno.ENOENT: "it does not exist",
    errno.ENOTDIR: "it is not a directory",
    errno.EMFILE: "too many open files; raise the limit (ulimit -n)",
}


class RegrowError(Exception):
    """Base of every error that regrow raises on purpose. Its text is a sentence for people."""


class PathError(RegrowError):
    """A path can't be used: it is missing, a link, no directory, or not ours to touch."""


class RefusedError(PathError):
    """Nobody can have meant to leave this directory out of backups; ``--force`` insists."""


class MarkerError(RegrowError):
    """A marker could not be set or taken away, and the directory is as it was."""


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


def in_words(error: OSError) -> str:
    """Say an operating system error in words, with its symbol for those who search for it.

    Args:
        error: the error as the system call raised it.

    Returns:
        For example ``the disk is full (ENOSPC)``.
    """
    number = error.errno or 0
    words = _IN_WORDS.get(number) or os.strerror(number)
    return f"{words} ({errno.errorcode.get(number, number)})"
