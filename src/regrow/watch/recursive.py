"""macOS, and wherever else watchfiles works: watches the start directories with all below them.

Not yet run on a Mac.
"""

import os

from regrow.watch.source import Changes
from regrow_marks.directory import split
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from watchfiles.main import FileChange

_GATHERED = 50  # milliseconds: what a tool does in one go comes in one piece
_TIMEOUT = 1000  # milliseconds until it returns where nothing happens


class Recursive:
    """Reports what watchfiles reports, for the directories that a scan has entered."""

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
            is_of_interest: see ``source.is_of_interest``.
            force_polling: see ``watchfiles.watch``; tests need it where FSEvents is not.
        """
        self._start = start
        self._is_of_interest = is_of_interest
        self._force_polling = force_polling
        self.watched: set[str] = set()
        self.unwatched = 0
        self._begin()

    def _begin(self) -> None:
        from watchfiles import watch

        self._covered = [path for path in self._start if os.path.isdir(path)]
        self._changes: Generator[set[FileChange], None, None] = watch(
            *self._covered,
            watch_filter=None,
            debounce=_GATHERED,
            step=_GATHERED,
            rust_timeout=_TIMEOUT,
            yield_on_timeout=True,
            force_polling=self._force_polling,
            ignore_permission_denied=True,
        )
        next(self._changes)  # it begins with the first question, and must before the scan does

    def enter(self, fd: int, path: str) -> None:  # noqa: ARG002
        """See ``Watcher.enter``."""
        if path in self._start and path not in self._covered:
            self.close()
            self._begin()  # it was not there until now
        self.watched.add(path)

    def stay(self, path: str) -> None:
        """See ``Watcher.stay``."""
        below = path.rstrip("/") + "/"
        self.watched = {one for one in self.watched if not one.startswith(below)}

    def leave(self, path: str) -> None:
        """See ``Watcher.leave``."""
        if path in self.watched:
            self.stay(path)
            self.watched.discard(path)

    def wait(self, timeout: float | None) -> Changes:  # noqa: ARG002
        """See ``Watcher.wait``. Where nothing happens it returns once a second, whatever asked."""
        from watchfiles import Change

        directories: set[str] = set()
        appeared: set[str] = set()
        for change, path in next(self._changes):
            parent, name = split(path)
            if path in self._start and change != Change.modified:
                self.leave(path)
                appeared.add(path)
            elif parent not in self.watched:
                continue
            elif change != Change.modified:
                self.leave(path)  # another one may stand there already
            if self._is_of_interest(name):
                directories.add(parent)
            if path not in self.watched and os.path.isdir(path) and not os.path.islink(path):
                appeared.add(path)
        return Changes(frozenset(directories), frozenset(appeared))

    def close(self) -> None:
        """See ``Watcher.close``."""
        self._changes.close()
