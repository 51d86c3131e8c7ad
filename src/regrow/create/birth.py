"""Makes a directory that is marked before anyone can see it.

The directory is made under a temporary name in the same parent, locked, marked, and renamed. A kill
leaves nothing, or the marked directory, or an empty temporary one whose lock died with its owner;
the next call in that parent removes it.
"""

import errno
import os

from regrow.system import locks
from regrow_marks.directory import Directory, join, open_child
from regrow_marks.errors import PathError, in_words
from regrow_marks.libc import rename_exclusive
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = ".regrow-new-"
"""How the names of directories begin that are not made yet."""

_TRIES = 100  # each fails only if another process took our temporary directory for a dead one's


def create(parent: Directory, name: str, prepare: "Callable[[Directory], None]") -> Directory:
    """Make a directory, prepared under a temporary name.

    Args:
        parent: the directory that shall hold it, open.
        name: its name.
        prepare: called with the open directory before it gets its name, to put the marks on.

    Returns:
        The directory, open; the caller closes it.

    Raises:
        FileExistsError: another process made something of that name meanwhile; nothing is left.
        PathError: it can't be made; nothing is left.
    """
    path = join(parent.path, name)
    try:
        remove_leftovers(parent)
        for _ in range(_TRIES):
            made = _try_to_create(parent, name, prepare)
            if made is not None:
                return made
    except FileExistsError:
        raise
    except OSError as error:
        raise PathError(f"{path}: it can't be made: {in_words(error)}") from error
    raise PathError(
        f"{path}: it can't be made: other processes keep taking its temporary directory"
    )


def _try_to_create(
    parent: Directory, name: str, prepare: "Callable[[Directory], None]"
) -> Directory | None:
    """Make it once; None if another process took the temporary directory for a dead one's."""
    temporary = PREFIX + os.urandom(8).hex()
    os.mkdir(temporary, dir_fd=parent.fd)
    try:
        directory = open_child(parent, temporary)
    except PathError:
        try:
            os.rmdir(temporary, dir_fd=parent.fd)
        except OSError:
            return None
        raise  # it was there: the umask (0777, say) lets nobody in
    try:
        if not locks.take(directory):
            directory.close()
            return None
        prepare(directory)
        rename_exclusive(parent.fd, temporary, name)
    except BaseException as error:
        directory.close()
        _remove_empty(parent, temporary)
        if isinstance(error, FileNotFoundError):
            return None
        raise
    directory.path = join(parent.path, name)
    return directory


def remove_leftovers(parent: Directory) -> None:
    """Remove the temporary directories in a parent whose owners are gone. Only empty ones go.

    In a directory that others may write to, those of other users are not ours to remove.
    """
    with os.scandir(parent.fd) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(PREFIX)]
    for name in names:
        try:
            leftover = open_child(parent, name)
        except PathError:
            continue  # gone meanwhile, or nothing of ours
        with leftover:
            if leftover.status.st_uid != os.geteuid():
                continue
            if not locks.take(leftover):
                continue  # its owner lives
            try:
                _remove_empty(parent, name)
            except OSError:
                continue  # it can't be removed


def _remove_empty(parent: Directory, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=parent.fd)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise
