"""regrow's signature: an extended attribute that names the record of a marked directory.

It travels with a move and with a copy, so that a mark of regrow's is known wherever it turns up,
and can be taken back exactly even where its record is gone. It tells backup programs nothing, and
anybody may have written it: it is a hint, and never a path.
"""

import errno
import sys

from regrow_marks import attributes
from regrow_marks.markers import NAMES
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regrow_marks.directory import Directory

ATTRIBUTE = "org.regrow.record" if sys.platform == "darwin" else "user.regrow.record"

_FORMAT = "1"
_LIMIT = 256  # bytes; a record's name has at most 70, and the names of all markers 45
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


class Signature(NamedTuple):
    """What the attribute of a directory says."""

    record: str
    """The name of the record's file."""
    set: "tuple[str, ...]"
    """The markers that regrow set itself."""


def is_on(fd: int) -> bool:
    """Return whether an open directory carries the attribute, whatever its value."""
    return _value(fd) is not None


def read(directory: "Directory") -> "Signature | None":
    """Return what regrow wrote; None where there is nothing, or nothing that regrow writes."""
    value = _value(directory.fd)
    return parse(value) if value is not None else None


def _value(fd: int) -> "bytes | None":
    try:
        return attributes.get(fd, ATTRIBUTE)
    except OSError as error:
        # A value too long for the buffer is none of regrow's, but the attribute is there.
        return b"" if error.errno in (errno.ERANGE, errno.E2BIG) else None


def parse(value: bytes) -> "Signature | None":
    """Return what a value says; None where regrow writes no such value."""
    if len(value) > _LIMIT or not value.isascii():
        return None
    fields = value.decode().split(" ")
    if len(fields) != 3 or fields[0] != _FORMAT:
        return None
    _, record, names = fields
    given = tuple(names.split(",")) if names else ()
    is_name = record.endswith(".toml") and record[0] != "." and _LETTERS.issuperset(record)
    return Signature(record, given) if is_name and set(NAMES).issuperset(given) else None


def put(directory: "Directory", record: str, names: "Iterable[str]") -> None:
    """Sign a directory with the name of its record's file and the markers that regrow sets.

    That it can't be done is no failure: the record knows the directory by inode and birth time.
    """
    value = f"{_FORMAT} {record} {','.join(names)}".encode()
    try:
        attributes.put(directory.fd, ATTRIBUTE, value)
    except OSError:
        return


def clear(directory: "Directory") -> None:
    """Remove the signature, whoever wrote it; one that can't be removed marks nothing."""
    try:
        attributes.remove(directory.fd, ATTRIBUTE)
    except OSError:
        return
