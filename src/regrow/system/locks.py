"""Locks on directories, held on files of regrow's own that no other user can open.

A lock on a directory itself can be taken by everybody who may read it, and would stop regrow there.
"""

import os
from functools import partial

from regrow.system import directories, own_files
from regrow_marks.directory import Directory, join

_TRIES = 100  # each fails only if the one before released the lock between two calls


def take(directory: Directory) -> bool:
    """Lock a directory for this user's other processes, until the object is closed.

    Args:
        directory: the directory, open; its lock goes with it when it is moved.

    Returns:
        False, where another process holds the lock. True, too, where no lock can be had: a disk
        that is full, or without locks, stops nobody.
    """
    place = join(directories.data(), "locks")
    path = join(place, f"{directory.status.st_dev:x}-{directory.status.st_ino:x}")
    if directory.on_close is not None:
        return True
    try:
        own_files.make_directory(place)
        for _ in range(_TRIES):
            fd = own_files.create(path, os.O_RDWR)
            if not own_files.try_lock(fd):
                os.close(fd)
                return False
            if _is_at(fd, path):
                directory.on_close = partial(_release, fd, path)
                _remove_leftovers(place)
                return True
            os.close(fd)
    except OSError:
        return True
    return False


def _release(fd: int, path: str) -> None:
    try:
        os.unlink(path)  # first: whoever opens it from now on makes another one
    except OSError:
        pass
    os.close(fd)


def _is_at(fd: int, path: str) -> bool:
    """Return whether an open file still stands at its path: who releases a lock removes it."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _remove_leftovers(place: str) -> None:
    """Remove the files of processes that were killed; who holds one of these locks keeps it."""
    for name in os.listdir(place):
        path = join(place, name)
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if own_files.try_lock(fd) and _is_at(fd, path):
                os.unlink(path)
        except OSError:
            continue
        finally:
            os.close(fd)
