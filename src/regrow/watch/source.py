"""Live: what appears in the start directories is decided, recorded and marked at once."""

import sys

from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from typing import Protocol

    class Watcher(Protocol):
        """Tells of changes in the directories that a scan has entered; see ``scan.Observer``."""

        unwatched: int
        """How many directories the kernel refused to watch, since somebody set it to 0."""

        @property
        def watched(self) -> Container[str]:
            """The paths of the directories that are watched."""

        def enter(self, fd: int, path: str) -> None:
            """Watch a directory that is about to be listed."""

        def stay(self, path: str) -> None:
            """Watch nothing below a directory any longer."""

        def leave(self, path: str) -> None:
            """Watch a directory, and those below it, no longer."""

        def wait(self, timeout: float | None) -> "Changes":
            """Wait for changes, at most so many seconds."""

        def close(self) -> None:
            """End it; no method may be called afterwards."""


class Changes(NamedTuple):
    """What has changed since the last time."""

    directories: frozenset[str] = frozenset()
    """Directories in which something changed that rules look for."""
    appeared: frozenset[str] = frozenset()
    """Directories that appeared, or may have."""
    is_overflown: bool = False
    """Whether changes were lost: everything has to be looked at."""


def watcher(
    start: "Sequence[str]", is_of_interest: "Callable[[str], bool]", wake: int
) -> "Watcher":
    """Choose the watcher of this platform.

    Args:
        start: the start directories, true paths.
        is_of_interest: tells of a name whether a rule looks for it.
        wake: a descriptor that ends a wait when it becomes readable.

    Raises:
        WatchError: the system gives none.
    """
    if sys.platform == "linux":
        from regrow.watch.inotify import Inotify

        return Inotify(start, is_of_interest, wake)
    from regrow.watch.recursive import Recursive

    return Recursive(start, is_of_interest)
