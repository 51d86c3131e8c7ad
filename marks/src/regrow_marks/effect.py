"""Which backup programs leave a path out: marks on it and on its ancestors, and fixed paths."""

import os

from regrow_marks import markers
from regrow_marks.directory import ancestors, open_child, open_parent, split
from regrow_marks.errors import PathError, in_words
from regrow_marks.model import Exclusion
from regrow_marks.plain import TYPE_CHECKING, NamedTuple
from regrow_marks.programs import BY_DEFAULT

if TYPE_CHECKING:
    from regrow_marks.directory import StrOrBytesPath
    from regrow_marks.markers import Marker
    from regrow_marks.programs import Program

FIXED_PATH = "fixed-path"


class Mark(NamedTuple):
    """A mark that covers a path."""

    marker: str
    path: str
    """The directory that carries it."""
    same_volume: bool
    """Whether the path asked for lies on the same volume as that directory."""


def marks_on_the_way(path: "StrOrBytesPath") -> "list[Mark]":
    """Return the marks on a path and on its ancestors.

    Args:
        path: a directory or a file, as the user names it.

    Returns:
        The marks, those on the path itself first. An ancestor that can't be read (its owner may
        forbid it) counts as carrying none, as it does for a backup program run by the same user.

    Raises:
        PathError: the path does not exist.
    """
    given = os.fsdecode(path)
    true_path = _true_path(given)
    try:
        device = os.lstat(true_path).st_dev
    except ValueError:
        raise PathError(f"{given!r}: a path can't hold a null character") from None
    except OSError as error:
        raise PathError(f"{given}: {in_words(error)}") from error
    readers = markers.available()
    found = []
    for place in (true_path, *ancestors(true_path)):
        for name in _held_by(place, readers):
            found.append(Mark(name, place, os.lstat(place).st_dev == device))
    if any(reader.name == markers.TIME_MACHINE for reader in readers):
        found += _fixed(true_path)
    return found


def exclusion(program: "Program", marks: "list[Mark]") -> "Exclusion | None":
    """Return the exclusion by which a program leaves a path out; None: it backs the path up.

    Of what ``marks_on_the_way`` returned, a mark that needs no option counts before one that does,
    then the nearest.
    """
    if program.name == markers.TIME_MACHINE:
        for mark in marks:
            if mark.marker in (markers.TIME_MACHINE, FIXED_PATH) and mark.same_volume:
                return Exclusion(mark.marker, mark.path)
        return None
    honoured = [mark for mark in marks if mark.marker in program.honours]
    honoured.sort(key=lambda mark: program.honours[mark.marker] != BY_DEFAULT)
    if not honoured:
        return None
    best = honoured[0]
    return Exclusion(best.marker, best.path, program.honours[best.marker] or None)


def _held_by(path: str, readers: "tuple[Marker, ...]") -> "list[str]":
    """Return the names of the marks on a directory; none where it can't be opened."""
    parent_path, name = split(path)
    try:
        with open_parent(parent_path) as parent, open_child(parent, name or ".") as directory:
            return [mark.name for mark in markers.holding(readers, directory)]
    except PathError:
        return []


def _true_path(given: str) -> str:
    """Return a path whose parent is resolved; what stands there may be a link."""
    parent, name = split(given)
    if name in ("", ".", ".."):
        with open_parent(given) as directory:
            return directory.path
    with open_parent(parent) as directory:
        return os.path.join(directory.path, name)


def _fixed(path: str) -> "list[Mark]":
    """Return the fixed paths of Time Machine that cover a path."""
    from regrow_marks import timemachine

    places = (
        *timemachine.fixed_paths(),
        *(os.path.expanduser(place) for place in timemachine.STANDARD_EXCLUSIONS),
    )
    covering = {path, *ancestors(path)}
    return [Mark(FIXED_PATH, place, True) for place in places if place.rstrip("/") in covering]
