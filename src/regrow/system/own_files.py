"""Regrow's own files: for this user alone, written whole or not at all, and locked."""

import errno
import fcntl
import os
import stat
import time

from regrow.system import ownership
from regrow_marks.directory import let_owner_in
from regrow_marks.plain import TYPE_CHECKING

try:  # the same function; hashlib loads OpenSSL, which costs 3 ms at start
    from _blake2 import blake2b as blake2b
except ImportError:
    from hashlib import blake2b as blake2b

if TYPE_CHECKING:
    from collections.abc import Iterable

TEMPORARY = ".regrow-"
"""How the names begin under which files are written; see ``replace``."""

_LEFTOVER_AGE = 60  # seconds; a temporary file stands for some thousandths of one


def make_directory(path: str) -> None:
    """Make a directory and those above it that are missing, for this user alone.

    Their permissions don't depend on the umask: ``os.makedirs`` would leave those above to it. The
    superuser makes none where others can lead the way.

    Raises:
        OSError: one can't be made.
    """
    if os.geteuid() == 0:
        why = ownership.not_trusted_way(path)
        if why:
            raise PermissionError(errno.EPERM, why, path)
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for one in reversed(missing):
        try:
            os.mkdir(one, 0o700)
            if stat.S_IMODE(os.lstat(one).st_mode) != stat.S_IRWXU:
                os.chmod(one, stat.S_IRWXU)  # the umask has taken bits of the owner's
        except FileExistsError:
            if not os.path.isdir(one):
                raise


def create(path: str, flags: int, place: int | None = None, mode: int = 0o600) -> int:
    """Open a file to write to it, and make it if it is missing, for this user to read and write.

    Args:
        path: the file; nothing is written through a link.
        flags: what ``os.open`` takes besides ``O_CREAT``.
        place: the descriptor of the directory that a relative path begins in.
        mode: the permissions of a new file; the umask takes none of its owner's.

    Returns:
        The descriptor.

    Raises:
        OSError: it can't be made or opened.
    """
    flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, mode, dir_fd=place)
    try:
        let_owner_in(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def replace(
    place: int, name: str, parts: "Iterable[bytes]", mode: int = 0o600, *, is_synced: bool = False
) -> int:
    """Write a file under a temporary name and rename it into place.

    Args:
        place: the descriptor of its directory.
        name: its name there.
        parts: what it shall hold, one after the other.
        mode: its permissions; see ``create``.
        is_synced: whether the disk has it before it gets its name, so that no power cut leaves an
            empty file. That takes a hundred times as long.

    Returns:
        The descriptor of the file.

    Raises:
        OSError: it can't be written; what was there stands as it was.
    """
    temporary = f"{TEMPORARY}{os.getpid()}-{os.urandom(4).hex()}"
    fd = create(temporary, os.O_WRONLY | os.O_EXCL, place, mode)
    try:
        for part in parts:
            _write_all(fd, part)
        if is_synced:
            os.fsync(fd)
        os.rename(temporary, name, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        os.close(fd)
        try:
            os.unlink(temporary, dir_fd=place)
        except FileNotFoundError:
            pass  # an interrupt came just after it had its name
        raise
    return fd


def replace_at(
    path: str, parts: "Iterable[bytes]", mode: int = 0o600, *, is_synced: bool = False
) -> None:
    """Write a file by its path; see ``replace``."""
    directory, name = os.path.split(path)
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(replace(place, name, parts, mode, is_synced=is_synced))
    finally:
        os.close(place)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def remove_if_old(name: str, place: int) -> None:
    """Remove what a killed regrow left, unless it is so new that its writer may be alive."""
    try:
        status = os.stat(name, dir_fd=place, follow_symlinks=False)
        if time.time() - status.st_mtime > _LEFTOVER_AGE:
            os.unlink(name, dir_fd=place)
    except OSError:
        return  # it does no harm


def try_lock(fd: int, *, is_shared: bool = False) -> bool:
    """Lock an open file until its descriptor is closed, in every process that inherits it.

    Args:
        fd: the descriptor.
        is_shared: whether others may hold such a lock at the same time.

    Returns:
        False where another process holds the lock; True, too, where the file system has no locks:
        that stops nobody.
    """
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class Lock:
    """A lock between processes, held inside a ``with`` block; blocks may be nested.

    It is on a file that nobody else can open. Where none can be made, or the file system has no
    locks, nobody waits.
    """

    __slots__ = ("_depth", "_fd", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._depth = 0

    def close(self) -> None:
        """Close the file; the lock is of no use afterwards."""
        if self._fd >= 0:
            os.close(self._fd)

    def __enter__(self) -> None:
        if self._depth == 0:
            self._flock(fcntl.LOCK_EX)
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._flock(fcntl.LOCK_UN)

    def _flock(self, operation: int) -> None:
        try:
            if self._fd < 0:
                self._fd = create(self._path, os.O_RDWR)
            fcntl.flock(self._fd, operation)
        except OSError:
            return
