"""Makes a directory that is marked before anyone can see it, and removes what killed runs left.

The temporary directory is locked, and its lock dies with its owner: the next call in that parent
removes those that nobody holds.
"""

import contextlib
import errno
import os

from regrow.system import locks
from regrow_marks import birth
from regrow_marks.birth import PREFIX, remove_empty
from regrow_marks.directory import Directory, open_child
from regrow_marks.errors import PathError
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def create(parent: Directory, name: str, prepare: "Callable[[Directory], None]") -> Directory:
    """Make a directory, prepared under a temporary name; see ``regrow_marks.birth.create``."""

    def lock_and_prepare(directory: Directory) -> None:
        if not locks.take(directory):  # another process is removing it as a leftover
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), directory.path)
        prepare(directory)

    remove_leftovers(parent)
    return birth.create(parent, name, lock_and_prepare)


def remove_leftovers(parent: Directory) -> None:
    """Remove the temporary directories in a parent whose owners are gone. Only empty ones go.

    In a directory that others may write to, those of other users are not ours to remove.
    """
    try:
        names = os.listdir(parent.fd)
    except OSError:
        return  # nobody may list it
    for name in names:
        if not name.startswith(PREFIX):
            continue
        # Gone meanwhile, nothing of ours, or not to be removed: it stays.
        with contextlib.suppress(PathError, OSError), open_child(parent, name) as leftover:
            if leftover.status.st_uid == os.geteuid() and locks.take(leftover):
                remove_empty(parent, name)
