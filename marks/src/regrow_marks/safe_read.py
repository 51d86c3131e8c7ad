"""Reads files that others may have made: regular ones only, through no link, up to a limit."""

import errno
import os
import stat

from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_LIMIT = 1024 * 1024  # bytes; METADATA with a long description has 0.2 MiB
LOCK_LIMIT = 64 * 1024 * 1024  # bytes; the lock of the largest monorepos has 10 MiB
RECORD_LIMIT = 24 * 1024 * 1024  # bytes; the RECORD of the largest distributions has 6 MiB
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FILE = (errno.ENXIO, errno.EOPNOTSUPP)  # what opening a socket says


class UnsafeFileError(ValueError):
    """A file is not read because of what it is."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.why = why
        """The cause, without the path."""


def read(
    path: str,
    limit: int = TEXT_LIMIT,
    place: "int | None" = None,
    why_refused: "Callable[[os.stat_result], str]" = lambda _: "",
) -> "bytes | None":
    """Return the contents of a regular file; None where there is no file.

    Args:
        path: the file.
        limit: how many bytes it may have.
        place: the descriptor of the directory that a relative path begins in: where many files are
            read, looking up the way to each takes a fifth of the time.
        why_refused: returns why a file of this status is not read; empty: it is.

    Raises:
        OSError: it can't be read.
        UnsafeFileError: it is no regular file, a link, larger than the limit, or refused.
    """

    def why(status: "os.stat_result") -> str:
        too_large = f"it is larger than {limit:,} bytes" if status.st_size > limit else ""
        return why_refused(status) or too_large

    return _read(path, None, place, why)


def read_head(path: str, size: int, place: "int | None" = None) -> "bytes | None":
    """Return the first *size* bytes of a regular file, however large; else it is like ``read``."""
    return _read(path, size, place, lambda _: "")


def _read(
    path: str,
    size: "int | None",
    place: "int | None",
    why_refused: "Callable[[os.stat_result], str]",
) -> "bytes | None":
    """Read so many bytes of a regular file; all of it if *size* is None."""
    try:
        fd = os.open(path, _FLAGS, dir_fd=place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafeFileError(path, "it is a symbolic link") from error
        if error.errno in _NO_FILE:
            raise UnsafeFileError(path, "it is not a regular file") from error
        raise
    try:
        status = os.fstat(fd)
        is_regular = stat.S_ISREG(status.st_mode)
        why = why_refused(status) if is_regular else "it is not a regular file"
        if why:
            raise UnsafeFileError(path, why)
        return os.read(fd, status.st_size if size is None else size)
    finally:
        os.close(fd)
