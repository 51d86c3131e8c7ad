"""Makes a directory that is marked before anyone can see it.

It is made under a temporary name in the same parent, prepared, and renamed. A kill leaves nothing,
or the finished directory, or an empty temporary one.
"""

import errno
import os

from regrow_marks.directory import Directory, join, open_child
from regrow_marks.errors import PathError, in_words
from regrow_marks.libc import rename_exclusive
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = ".regrow-new-"
"""How the temporary names begin."""

_TRIES = 100  # each fails only if another process removed our temporary directory as a leftover


def create(parent: "Directory", name: str, prepare: "Callable[[Directory], None]") -> "Directory":
    """Make a directory, prepared under a temporary name; the caller closes it.

    *prepare* puts the marks on the open directory before it gets its name. If it raises
    FileNotFoundError the directory is gone, and another one is made.

    Raises:
        FileExistsError: another process made something of that name meanwhile; nothing is left.
        PathError: it can't be made; nothing is left.
    """
    path = join(parent.path, name)
    try:
        for _ in range(_TRIES):
            made = _try_to_create(parent, name, prepare)
            if made is not None:
                return made
    except FileExistsError:
        raise
    except OSError as error:
        raise PathError(f"{path}: it can't be made: {in_words(error)}") from error
    raise PathError(
        f"{path}: it can't be made: other processes keep removing its temporary directory"
    )


def _try_to_create(
    parent: "Directory", name: str, prepare: "Callable[[Directory], None]"
) -> "Directory | None":
    """Make it once; return None if another process removed the temporary directory."""
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
        prepare(directory)
        rename_exclusive(parent.fd, temporary, name)
    except BaseException as error:
        directory.close()
        remove_empty(parent, temporary)
        if isinstance(error, FileNotFoundError):
            return None
        raise
    directory.path = join(parent.path, name)
    return directory


def remove_empty(parent: "Directory", name: str) -> None:
    """Remove a directory that may be gone or in use by now. Raises OSError otherwise."""
    try:
        os.rmdir(name, dir_fd=parent.fd)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise
