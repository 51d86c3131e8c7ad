"""The directory that is backed up, and how each program begins the names of what is in it."""

import os

from regrow_marks.directory import open_parent
from regrow_marks.plain import NamedTuple


class Source(NamedTuple):
    """The directory that is backed up."""

    given: str
    """As the backup program is given it."""
    path: str
    """Its true path."""


def find(given: str) -> Source:
    """Return a source as the backup program is given it, and its true path.

    Raises PathError: it is missing, not a directory, or can't be opened.
    """
    with open_parent(given) as directory:
        return Source(given, directory.path)


def true_path(source: Source) -> str:
    """Begin with the true path."""
    return _with_slash(source.path)


def absolute(source: Source) -> str:
    """Begin with the absolute path by which the source is given: links stay as they are."""
    return _with_slash(os.path.abspath(source.given))


def normalised(source: Source) -> str:
    """Begin with the source as it is given, without ``./`` before and slashes behind."""
    return _with_slash(os.path.normpath(source.given))


def as_given(source: Source) -> str:
    """Begin with the source as it is given, letter by letter."""
    return _with_slash(source.given)


def nothing(_: Source) -> str:
    """Begin at the source."""
    return ""


def _with_slash(path: str) -> str:
    return f"{path.rstrip('/')}/"
