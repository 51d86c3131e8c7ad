"""What is raised: one hierarchy, and system errors in words."""

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
    """The base of every error that regrow raises on purpose. Its text is for people."""


class PathError(RegrowError):
    """A path can't be used: it is missing, a link, no directory, or another user's."""


class RefusedError(PathError):
    """Nobody can have meant to leave this directory out of backups."""


class MarkerError(RegrowError):
    """A marker could not be set or removed, and the directory is as it was."""


def in_words(error: OSError) -> str:
    """Return an operating system error in words, with its symbol for those who search for it.

    >>> in_words(OSError(errno.ENOSPC, ""))
    'the disk is full (ENOSPC)'
    """
    number = error.errno or 0
    words = _IN_WORDS.get(number) or os.strerror(number)
    return f"{words} ({errno.errorcode.get(number, number)})"
