"""Reads other programs' files: never through a link, never more than a limit."""

import os
import stat

TEXT_LIMIT = 1024 * 1024  # bytes; METADATA with a long description has 0.2 MiB
LOCK_LIMIT = 64 * 1024 * 1024  # bytes; the lock of the largest monorepos has 10 MiB


def read(path: str, limit: int = TEXT_LIMIT) -> bytes | None:
    """Read a regular file.

    Args:
        path: the file.
        limit: how many bytes it may have.

    Returns:
        The bytes; None where there is no file.

    Raises:
        OSError: it can't be read.
        ValueError: it is no regular file, a link, or larger than the limit.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path}: it is not a regular file")
        if status.st_size > limit:
            raise ValueError(f"{path}: it is larger than {limit:,} bytes")
        return os.read(fd, limit) if status.st_size < limit else _read_all(fd, limit)
    finally:
        os.close(fd)


def _read_all(fd: int, limit: int) -> bytes:
    with open(fd, "rb", closefd=False) as file:
        return file.read(limit)


def read_text(path: str, limit: int = TEXT_LIMIT) -> str | None:
    """Read a regular file as UTF-8; see ``read``. Other bytes are a ValueError."""
    data = read(path, limit)
    return None if data is None else data.decode()


def read_head(path: str, size: int) -> bytes | None:
    """Read a file's beginning, whatever its size; None where there is no regular file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return os.read(fd, size) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)
