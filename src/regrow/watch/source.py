"""What reports changes to a watch, and which of them matter."""

import sys

from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence
    from typing import Protocol

    from regrow.model import Rule

    class Watcher(Protocol):
        """Reports changes in the directories that a scan has entered; see ``observer.Observer``."""

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
            """Wait for changes, at most so many seconds, and return them."""

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
    """Return the watcher of this platform.

    Args:
        start: the start directories, true paths.
        is_of_interest: what ``is_of_interest`` returns for the active rules.
        wake: a descriptor that ends a wait when it becomes readable.

    Raises:
        WatchError: the system refuses it.
    """
    if sys.platform == "linux":
        from regrow.watch.inotify import Inotify

        return Inotify(start, is_of_interest, wake)
    from regrow.watch.recursive import Recursive

    return Recursive(start, is_of_interest)


def is_of_interest(active_rules: "Sequence[Rule]") -> "Callable[[str], bool]":
    """Return a function that returns whether anything depends on an entry of a name.

    Args:
        active_rules: the rules. Besides their evidence, locks, what git reads, and the projects'
            own settings count.
    """
    import re
    from fnmatch import translate

    from regrow.decide.guards import PROJECT_FILE
    from regrow.recipes import locks, node

    names = {".git", ".gitignore", PROJECT_FILE, *node.LOCKS, *locks.LOCKS}
    for rule in active_rules:
        evidence = (*rule.beside, *rule.beside_all, *rule.inside, *rule.inside_all)
        for name in (*evidence, *rule.inside_none):
            names.update(name.rstrip("/").split("/"))
    matches = re.compile("|".join(translate(name) for name in names if "*" in name)).match
    return lambda name: name in names or matches(name) is not None
