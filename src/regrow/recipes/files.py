"""Reads other programs' files: never through a link, never more than a limit."""

import errno
import os
import stat

from regrow.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

TEXT_LIMIT = 1024 * 1024  # bytes; METADATA with a long description has 0.2 MiB
LOCK_LIMIT = 64 * 1024 * 1024  # bytes; the lock of the largest monorepos has 10 MiB
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
        ValueError: it is no regular file, a link, or larger than the limit.
    """
    fd = _open(path, place)
    if fd is None:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path}: it is not a regular file")
        if status.st_size > limit:
            raise ValueError(f"{path}: it is larger than {limit:,} bytes")
        return os.read(fd, status.st_size)
    finally:
        os.close(fd)


def read_text(path: str, limit: int = TEXT_LIMIT) -> str | None:
    """Read a regular file as UTF-8; see ``read``. Other bytes are a ValueError."""
    data = read(path, limit)
    return None if data is None else data.decode()


def read_head(path: str, size: int, place: int | None = None) -> bytes | None:
    """Read a file's beginning, whatever its size; None where there is no file.

    Args:
        path: the file.
        size: how many bytes are read.
        place: see ``read``.

    Raises:
        OSError: it can't be read.
        ValueError: it is no regular file, or a link.
    """
    fd = _open(path, place)
    if fd is None:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError(f"{path}: it is not a regular file")
        return os.read(fd, size)
    finally:
        os.close(fd)


def parse_json(data: bytes | str) -> "Any":
    """Read JSON. Whatever is wrong with it is a ValueError, too deep nesting as well."""
    import json

    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _open(path: str, place: int | None) -> int | None:
    try:
        return os.open(path, _FLAGS, dir_fd=place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"{path}: it is a symbolic link") from error
        raise
