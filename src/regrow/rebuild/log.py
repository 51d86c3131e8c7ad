"""The log of one task: what its commands print."""

import contextlib
import os

from regrow.system import own_files
from regrow_marks.errors import PathError, in_words
from regrow_marks.plain import NamedTuple

_LAST_LINES = 5
_LINE_LENGTH = 300  # characters; what isn't text has lines of any length
_TAIL = 16 * 1024  # bytes at the end of a log that are searched for its last lines


class Log(NamedTuple):
    """A log that is open for writing."""

    path: str
    fd: int

    def write(self, data: bytes) -> None:
        """Write into it; where the disk is full, it keeps what came before."""
        with contextlib.suppress(OSError):
            os.write(self.fd, data)

    def last_lines(self) -> list[str]:
        """Return the last lines that say anything."""
        try:
            with open(self.path, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
                text = file.read().decode(errors="replace")
        except OSError:
            return []
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        return [line[-_LINE_LENGTH:] for line in lines[-_LAST_LINES:]]


def open_log(directory: str, name: str) -> Log:
    """Open a log, private to the user; what an earlier run wrote is still in it.

    Args:
        directory: where logs are kept; it is made if it is missing.
        name: the log's name, without ``.log``.

    Raises:
        PathError: it can't be written.
    """
    path = os.path.join(directory, f"{name}.log")
    try:
        own_files.make_directory(directory)
        return Log(path, own_files.create(path, os.O_WRONLY))
    except OSError as error:
        raise PathError(f"{path}: its log can't be written: {in_words(error)}") from error
