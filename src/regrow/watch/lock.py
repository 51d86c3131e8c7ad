"""The lock that the one process holds that watches for a user: inside, its number and its code."""

import os

from regrow.system import directories
from regrow.system.own_files import try_lock
from regrow_marks.plain import NamedTuple

_SIZE = 256  # bytes: more than is ever written


class Owner(NamedTuple):
    """The process that watches."""

    pid: int
    code: str
    """What code it runs, as ``upgrade.code`` gives it."""

    def is_outdated(self) -> bool:
        """Return whether it runs other code than the regrow that is installed now."""
        from regrow.watch import upgrade

        return self.code != upgrade.code()


def path() -> str:
    """Return where the lock is: beside the records."""
    return os.path.join(directories.data(), "watch.lock")


def content(code: str) -> bytes:
    """Return what this process writes into the lock that it holds."""
    return f"{os.getpid()}\n{code}\n".encode()


def owner() -> Owner | None:
    """Return the process that watches; None: there is none."""
    try:
        fd = os.open(path(), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        number, _, rest = os.read(fd, _SIZE).partition(b"\n")
        found = Owner(int(number or b"0"), rest.strip().decode("ascii"))
        if not _is_alive(found.pid):
            return None
        # Not before: for that moment no watch could begin.
        return None if try_lock(fd, is_shared=True) else found
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)


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
