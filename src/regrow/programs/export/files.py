"""Reads an exclude file, and writes it whole or not at all."""

import os
import stat

from regrow.programs.export import compose
from regrow.system import own_files, ownership
from regrow_marks import safe_read
from regrow_marks.directory import split
from regrow_marks.errors import PathError, in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from regrow.programs.export.model import Format

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read(path: str) -> bytes | None:
    """Return what a file holds; None where there is none.

    Raises PathError where it can't be read, or is no regular file.
    """
    try:
        return safe_read.read(os.path.realpath(path), safe_read.LOCK_LIMIT)
    except OSError as error:
        raise PathError(f"{path}: the exclude file can't be read: {in_words(error)}") from error
    except safe_read.UnsafeFileError as error:
        raise PathError(f"{path}: {error.why}; name another for the exclude file") from error


def replace(path: str, form: "Format", data: bytes) -> None:
    """Write an exclude file anew; see ``write``.

    Raises PathError where regrow did not write the file that is there, or can't replace it.
    """
    if not compose.is_by_regrow(form, read(path) or b""):
        raise PathError(
            f"{path}: regrow did not write this file, and leaves it alone: name another, or"
            " remove it"
        )
    write(path, data)


def write(path: str, data: bytes) -> None:
    """Write a file whole.

    A link is followed, so that it goes on leading to the file, but only the user's own or root's,
    through directories in which nobody else may write: what backups leave out is for nobody else to
    say, nor where it is written. The mode of a file that is there is kept, but for what lets others
    write; a new one gets that of every new file, likewise.

    Raises PathError where it can't be written; what was there stands as it was.
    """
    why = ownership.not_trusted_above(path)
    if why:
        raise PathError(
            f"{path}: the exclude file is not written where others can change it: {why}; name one"
            " in a directory of your own"
        )
    place, name = split(os.path.realpath(path))
    try:
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _write(directory, name, data)
        finally:
            os.close(directory)
    except OSError as error:
        raise PathError(f"{path}: the exclude file can't be written: {in_words(error)}") from error


def _write(directory: int, name: str, data: bytes) -> None:
    mode = _mode_of_own(directory, name)
    new = 0o644 if mode is None else mode & ~_OTHERS_MAY_WRITE
    fd = own_files.replace(directory, name, [data], new, is_synced=True)
    try:
        if mode is not None:
            os.fchmod(fd, new)  # the umask may have taken some
    finally:
        os.close(fd)


def _mode_of_own(directory: int, name: str) -> int | None:
    """Return the permissions of a file of this user's; None where there is none."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return stat.S_IMODE(status.st_mode) if status.st_uid == os.geteuid() else None
