"""Reads files that others may have made: regular ones only, through no link, up to a limit."""

import errno
import os
import stat

TEXT_LIMIT = 1024 * 1024  # bytes; METADATA with a long description has 0.2 MiB
LOCK_LIMIT = 64 * 1024 * 1024  # bytes; the lock of the largest monorepos has 10 MiB
RECORD_LIMIT = 24 * 1024 * 1024  # bytes; the RECORD of the largest distributions has 6 MiB
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FILE = (errno.ENXIO, errno.EOPNOTSUPP)  # what opening a socket says


class UnsafeFileError(ValueError):
    """A file is not of the kind that is read."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.why = why
        """The cause, without the path."""


def read(path: str, limit: int = TEXT_LIMIT, place: int | None = None) -> bytes | None:
    """Read a regular file.

    Args:
        path: the file.
        limit: how many bytes it may have.
        place: the descriptor of the directory that a relative path begins in: where many files are
            read, looking up the way to each takes a fifth of it all.

    Returns:
        The bytes; None where there is no file.

    Raises:
        OSError: it can't be read.
        UnsafeFileError: it is no regular file, a link, or larger than the limit.
    """
    return _read(path, place, limit=limit)


def read_own(path: str, limit: int = TEXT_LIMIT, place: int | None = None) -> bytes | None:
    """Read a regular file that only this user can have written; see ``read``.

    Raises:
        OSError: it can't be read.
        UnsafeFileError: as ``read``; or it is another user's, or others may write to it.
    """
    return _read(path, place, limit=limit, is_own=True)


def read_head(path: str, size: int, place: int | None = None) -> bytes | None:
    """Read a file's beginning, whatever its size; None where there is no file.

    Args:
        path: the file.
        size: how many bytes are read.
        place: see ``read``.

    Raises:
        OSError: it can't be read.
        UnsafeFileError: it is no regular file, or a link.
    """
    return _read(path, place, size=size)


def _read(
    path: str,
    place: int | None,
    *,
    limit: int | None = None,
    size: int | None = None,
    is_own: bool = False,
) -> bytes | None:
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
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeFileError(path, "it is not a regular file")
        if is_own:
            from regrow.system import ownership

            why = ownership.not_own(status)
            if why:
                raise UnsafeFileError(path, why)
        if limit is not None and status.st_size > limit:
            raise UnsafeFileError(path, f"it is larger than {limit:,} bytes")
        return os.read(fd, status.st_size if size is None else size)
    finally:
        os.close(fd)
