"""macOS, and whatever watchfiles knows: the start directories are watched with all below them.

Not yet run on a Mac.
"""

import os

from regrow.directory import split
from regrow.plain import TYPE_CHECKING
from regrow.watch import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GATHERED = 50  # milliseconds: what a tool does in one go comes in one piece
_TIMEOUT = 1000  # milliseconds until it returns where nothing happens


class Recursive:
    """Turns what watchfiles tells into changes of the directories that a scan has entered."""

    def __init__(
        self,
        start: "Sequence[str]",
        is_of_interest: "Callable[[str], bool]",
        *,
        force_polling: bool | None = None,
    ) -> None:
        """Begin to watch, so that no change is missed while a first scan runs.

        Args:
            start: the start directories, true paths.
            is_of_interest: tells of a file's name whether a rule looks for it.
            force_polling: see ``watchfiles.watch``; tests need it where FSEvents is not.
        """
        self._start = [path for path in start if os.path.isdir(path)]
        self._is_of_interest = is_of_interest
        self.watched: set[str] = set()
        self.unwatched = 0
        from watchfiles import watch

        self._changes = watch(
            *self._start,
            watch_filter=None,
            debounce=_GATHERED,
            step=_GATHERED,
            rust_timeout=_TIMEOUT,
            yield_on_timeout=True,
            force_polling=force_polling,
        )
        next(self._changes)  # it begins with the first question, and must before the scan does

    def enter(self, fd: int, path: str) -> None:  # noqa: ARG002
        """See ``Watcher.enter``."""
        self.watched.add(path)

    def leave(self, path: str) -> None:
        """See ``Watcher.leave``."""
        if path in self.watched:
            below = path.rstrip("/") + "/"
            self.watched -= {one for one in self.watched if one == path or one.startswith(below)}

    def wait(self, timeout: float | None) -> Changes:  # noqa: ARG002
        """See ``Watcher.wait``. Where nothing happens it returns once a second, whatever asked."""
        directories: set[str] = set()
        appeared: set[str] = set()
        for _, path in next(self._changes):
            parent, name = split(path)
            if parent not in self.watched:
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                appeared.add(path)
                directories.add(parent)
            elif self._is_of_interest(name):
                directories.add(parent)
            elif path in self.watched:
                self.leave(path)
        return Changes(frozenset(directories), frozenset(appeared))

    def close(self) -> None:
        """See ``Watcher.close``."""
        self._changes.close()
