"""The markers, and the choice of them for this machine."""

import sys

from regrow_marks.errors import MarkerError, in_words
from regrow_marks.model import (
    ABSENT,
    ALREADY_MARKED,
    FAILED,
    FOREIGN,
    HOLDS,
    MARKED,
    NOT_MARKED,
    UNMARKED,
    Outcome,
    Reading,
)
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from regrow_marks.directory import Directory

    class Marker(Protocol):
        """One way to tell backup programs to leave a directory out.

        Every method works on the open descriptor; none follows a link.
        """

        @property
        def name(self) -> str:
            """Its name in records and in JSON."""

        @property
        def title(self) -> str:
            """What people know it by."""

        def read(self, directory: "Directory") -> "Reading":
            """Return what is there now. Raises OSError where it can't be read."""

        def set(self, directory: "Directory") -> None:
            """Put the mark on. Raises OSError or MarkerError, with the directory as it was."""

        def clear(self, directory: "Directory", previous: "bytes | None" = None) -> bool:
            """Remove the mark, and put back the value that it replaced.

            Return False if the mark is not regrow's to remove. Raises OSError.
            """


TIME_MACHINE = "time-machine"
XDG_ROBOTS = "xdg-robots"
CACHEDIR_TAG = "cachedir-tag"
NODUMP = "nodump"

NAMES = (TIME_MACHINE, XDG_ROBOTS, CACHEDIR_TAG, NODUMP)


def _of_platform() -> "tuple[str, ...]":
    """Return the names of the markers that this platform has besides the tag."""
    by_platform = {"darwin": (TIME_MACHINE,), "linux": (XDG_ROBOTS, NODUMP)}
    return by_platform.get(sys.platform, ())


def marker(name: str) -> "Marker":
    """Return the marker of one of ``NAMES``. Raises MarkerError if this platform has none such."""
    if name not in (*_of_platform(), CACHEDIR_TAG):
        raise MarkerError(f"{name}: this platform ({sys.platform}) has no such marker")
    # Imported here: a command pays only for the markers that its machine uses.
    if name == TIME_MACHINE:
        from regrow_marks.darwin import this_machine
        from regrow_marks.timemachine import TimeMachine

        return TimeMachine(this_machine())
    if name == XDG_ROBOTS:
        from regrow_marks.xdg import XdgRobots

        return XdgRobots()
    if name == NODUMP:
        from regrow_marks.nodump import Nodump

        return Nodump()
    from regrow_marks.tag import CachedirTag

    return CachedirTag()


def available() -> "tuple[Marker, ...]":
    """Return every marker that can be read on this platform."""
    return tuple(map(marker, (*_of_platform(), CACHEDIR_TAG)))


def selected(*, nodump: bool = False) -> "tuple[Marker, ...]":
    """Return the markers that this machine puts on every marked directory.

    The tag is not among them: whether a directory takes one is decided for each. A tag alone marks
    nothing where Time Machine is the program in use.

    Args:
        nodump: whether the configuration asks for the nodump flag as well (Linux).
    """
    return tuple(marker(name) for name in _of_platform() if nodump or name != NODUMP)


def put_on(mark: "Marker", directory: "Directory", before: "Reading | None" = None) -> "Outcome":
    """Set one mark and read it back; *before* is what it said just now, if it was read already.

    Return ``marked``, ``already marked``, or ``failed`` with the reason.
    """
    try:
        if (before or mark.read(directory)).state == HOLDS:
            return Outcome(ALREADY_MARKED)
        mark.set(directory)
        after = mark.read(directory)
    except OSError as error:
        return Outcome(FAILED, f"{mark.title}: {in_words(error)}")
    except MarkerError as error:
        return Outcome(FAILED, f"{mark.title}: {error}")
    if after.state != HOLDS:
        return Outcome(FAILED, f"{mark.title}: it was set without an error, and does not hold")
    return Outcome(MARKED)


def take_off(mark: "Marker", directory: "Directory") -> "Outcome":
    """Remove one mark, whoever set it, and read it back.

    Return ``unmarked``, ``not marked``, or ``failed`` with the reason.
    """
    try:
        before = mark.read(directory)
        if before.state == ABSENT and not before.detail:
            return Outcome(NOT_MARKED)
        if not mark.clear(directory):
            detail = before.detail or "another program wrote it"
            return Outcome(NOT_MARKED, f"{mark.title}: left as it is: {detail}")
        after = mark.read(directory)
    except OSError as error:
        return Outcome(FAILED, f"{mark.title}: {in_words(error)}")
    if after.state in (HOLDS, FOREIGN):
        return Outcome(FAILED, f"{mark.title}: it was removed without an error, and still stands")
    return Outcome(UNMARKED)


def take_back(mark: "Marker", directory: "Directory", previous: "bytes | None") -> "Outcome":
    """Remove one mark that regrow set, and put back the value that it replaced, if any.

    Return ``unmarked``; ``not marked`` where it is gone already or was changed since; or
    ``failed``.
    """
    try:
        before = mark.read(directory)
        if before.state == ABSENT and not before.detail:
            return Outcome(NOT_MARKED)
        if previous is not None and before.value == previous:
            return Outcome(NOT_MARKED)  # a kill came between the record and the mark
        if before.state == FOREIGN or not mark.clear(directory, previous):
            return Outcome(NOT_MARKED, f"{mark.title}: left as it is: somebody changed it since")
        after = mark.read(directory)
    except OSError as error:
        return Outcome(FAILED, f"{mark.title}: {in_words(error)}")
    if after.state == HOLDS or after.value != previous:
        return Outcome(FAILED, f"{mark.title}: it was removed without an error, and still stands")
    return Outcome(UNMARKED)


def all_hold(marks: "Iterable[Marker]", directory: "Directory") -> bool:
    """Return whether all of the marks are on a directory. Raises OSError."""
    return all(mark.read(directory).state == HOLDS for mark in marks)


def holding(marks: "Iterable[Marker]", directory: "Directory") -> "list[Marker]":
    """Return those of the marks that are on a directory; one that can't be read counts as absent.

    A backup program that the same user runs can't read it either.
    """
    found = []
    for mark in marks:
        try:
            if mark.read(directory).state == HOLDS:
                found.append(mark)
        except OSError:
            continue
    return found
