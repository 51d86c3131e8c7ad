"""The lock that the one process holds that watches for a user, with its number inside."""

import fcntl
import os

from regrow.directory import split
from regrow.records import directory_path


def path() -> str:
    """Say where the lock is: beside the records."""
    return os.path.join(split(directory_path())[0], "watch.lock")


def owner() -> int | None:
    """Give the number of the process that watches; None: nobody does."""
    try:
        fd = os.open(path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        number = int(os.read(fd, 32) or b"0")
        if not _is_alive(number):
            return None
        # Not before: for that moment no watch could begin.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return number
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)
    return None


def _is_alive(number: int) -> bool:
    if number <= 0:
        return False
    try:
        os.kill(number, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
