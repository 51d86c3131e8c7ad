"""Steps down into a directory: never through a link, never into what is mounted there."""

import contextlib
import os

from regrow_marks.libc import is_mount_point

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


def step_into(name: str, parent: int) -> int | None:
    """Open a directory in another one.

    Args:
        name: its name.
        parent: the descriptor of the directory that holds it.

    Returns:
        Its descriptor. None where it is no directory, can't be opened, or another file system, or
        another part of this one, is mounted there: that is not in *parent*, and only seen there.
    """
    try:
        fd = os.open(name, _FLAGS, dir_fd=parent)
    except OSError:
        return None
    try:
        is_here = os.fstat(fd).st_dev == os.fstat(parent).st_dev and not is_mount_point(fd)
    except OSError:
        is_here = False
    if is_here:
        return fd
    os.close(fd)
    return None


def delete(name: str, parent: int) -> None:
    """Delete a file or a tree; what can't be deleted stays, and so do the directories above it."""
    try:
        os.unlink(name, dir_fd=parent)
        return
    except OSError:  # a directory
        inner = step_into(name, parent)
    if inner is None:
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=parent)  # nobody may look into it, and it is empty all the same
        return
    try:
        for entry in os.listdir(inner):
            delete(entry, inner)
        os.rmdir(name, dir_fd=parent)
    except (OSError, RecursionError):
        return
    finally:
        os.close(inner)
