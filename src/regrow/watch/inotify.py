"""Linux: one inotify watch a directory that a scan enters, none inside what is marked."""

import errno
import select
import time
from functools import reduce

from inotify_simple import INotify, flags

from regrow.directory import join, split
from regrow.plain import TYPE_CHECKING
from regrow.watch import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, KeysView

_GATHERED = 0.05  # seconds: what a tool does in one go comes in one piece
_MASK = reduce(
    int.__or__,
    (
        flags.CREATE, flags.MOVED_TO, flags.MOVED_FROM, flags.DELETE, flags.CLOSE_WRITE,
        flags.DELETE_SELF, flags.MOVE_SELF, flags.ONLYDIR, flags.EXCL_UNLINK,
    ),
)  # fmt: skip
_APPEARED = flags.CREATE | flags.MOVED_TO
_GONE = flags.MOVED_FROM | flags.DELETE


class Inotify:
    """Watches directories; a watch is set before the directory is listed, so nothing is missed."""

    def __init__(self, is_of_interest: "Callable[[str], bool]", wake: int) -> None:
        """Begin with no watch.

        Args:
            is_of_interest: tells of a file's name whether a rule looks for it.
            wake: a descriptor that ends a wait when it becomes readable.
        """
        self._inotify = INotify()
        self._poll = select.poll()
        self._poll.register(self._inotify.fileno(), select.POLLIN)
        self._poll.register(wake, select.POLLIN)
        self._is_of_interest = is_of_interest
        self._numbers: dict[str, int] = {}
        self._paths: dict[int, str] = {}
        self._children: dict[str, set[str]] = {}
        self.unwatched = 0

    @property
    def watched(self) -> "KeysView[str]":
        """See ``Watcher.watched``."""
        return self._numbers.keys()

    def enter(self, fd: int, path: str) -> None:
        """See ``Watcher.enter``. Watches what the descriptor is, whatever its path leads to now."""
        try:
            number = self._inotify.add_watch(f"/proc/self/fd/{fd}", _MASK)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self.unwatched += 1
            return  # out of reach, or gone: the scan tells
        earlier = self._paths.get(number)
        if earlier == path:
            return
        if earlier is not None:
            self._forget(earlier)  # it was moved
        if path in self._numbers:
            self.leave(path)  # another one stood there
        self._numbers[path] = number
        self._paths[number] = path
        self._children.setdefault(split(path)[0], set()).add(path)

    def leave(self, path: str) -> None:
        """See ``Watcher.leave``."""
        pending = [path]
        while pending:
            one = pending.pop()
            pending += self._children.get(one, ())
            number = self._numbers.get(one)
            if number is not None:
                self._forget(one)
                try:
                    self._inotify.rm_watch(number)
                except OSError:
                    continue  # it is gone, and its watch with it
            self._children.pop(one, None)

    def _forget(self, path: str) -> None:
        number = self._numbers.pop(path)
        self._paths.pop(number, None)
        siblings = self._children.get(split(path)[0])
        if siblings is not None:
            siblings.discard(path)
            if not siblings:
                del self._children[split(path)[0]]

    def wait(self, timeout: float | None) -> Changes:
        """See ``Watcher.wait``."""
        ready = self._poll.poll(None if timeout is None else timeout * 1000)
        if not any(fd == self._inotify.fileno() for fd, _ in ready):
            return Changes()
        time.sleep(_GATHERED)
        directories: set[str] = set()
        appeared: set[str] = set()
        for event in self._inotify.read(0):
            if event.mask & flags.Q_OVERFLOW:
                return Changes(is_overflown=True)
            path = self._paths.get(event.wd)
            if path is None:
                continue  # an event from before we left it
            if event.mask & (flags.IGNORED | flags.UNMOUNT | flags.DELETE_SELF | flags.MOVE_SELF):
                self.leave(path)
            elif event.mask & flags.ISDIR:
                child = join(path, event.name)
                if event.mask & _GONE:
                    self.leave(child)
                if event.mask & _APPEARED:
                    appeared.add(child)
                    directories.add(path)
            elif self._is_of_interest(event.name):
                directories.add(path)
        return Changes(frozenset(directories), frozenset(appeared))

    def close(self) -> None:
        """See ``Watcher.close``."""
        self._inotify.close()
