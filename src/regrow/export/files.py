"""Writes a file whole or not at all, and tells whether it is current."""

import os
import stat

from regrow.directory import split
from regrow.errors import PathError, in_words
from regrow.export import compose
from regrow.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.export.model import Format


def read(path: str) -> bytes | None:
    """Read a file; None if there is none.

    Raises:
        PathError: it can't be read, or is no regular file; the message names it.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise PathError(f"{path}: this is no regular file; name another for the exclude file")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PathError(f"{path}: the exclude file can't be read: {in_words(error)}") from error


def is_current(path: str, data: bytes) -> bool:
    """Tell whether a file holds these bytes. Raises ``PathError``; see ``read``."""
    return read(path) == data


def replace(path: str, form: "Format", data: bytes) -> None:
    """Write an exclude file anew, unless it is somebody else's; see ``write``.

    Raises:
        PathError: regrow did not write the file that is there, or it can't be replaced.
    """
    if not compose.is_by_regrow(form, read(path) or b""):
        raise PathError(
            f"{path}: regrow did not write this file, and leaves it alone: name another, or"
            " remove it"
        )
    write(path, data)


def write(path: str, data: bytes) -> None:
    """Write a file under a temporary name and rename it into place.

    A link is followed, so that it goes on leading to the file. The mode of a file that is there is
    kept; a new one gets that of every new file.

    Args:
        path: the file.
        data: what it shall hold.

    Raises:
        PathError: it can't be written; what was there stands as it was.
    """
    target = os.path.realpath(path)
    temporary = os.path.join(split(target)[0], f".regrow-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with open(fd, "wb") as file:
                if os.path.exists(target):
                    os.fchmod(fd, stat.S_IMODE(os.stat(target).st_mode))
                file.write(data)
                file.flush()
                os.fsync(fd)
            os.rename(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise PathError(f"{path}: the exclude file can't be written: {in_words(error)}") from error
