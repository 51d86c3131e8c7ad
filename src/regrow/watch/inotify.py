"""Linux: one inotify watch per directory that a scan enters, none inside what is marked."""

import errno
import select
import time
from functools import reduce

from inotify_simple import INotify, flags

from regrow.errors import WatchError
from regrow.watch.source import Changes
from regrow_marks.directory import join, split
from regrow_marks.errors import in_words
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, KeysView, Sequence

_GATHERED = 0.05  # seconds: what a tool does in one go comes in one piece
_MASK = reduce(
    int.__or__,
    (
        flags.CREATE, flags.MOVED_TO, flags.MOVED_FROM, flags.DELETE, flags.CLOSE_WRITE,
        flags.DELETE_SELF, flags.MOVE_SELF, flags.ONLYDIR, flags.EXCL_UNLINK,
    ),
)  # fmt: skip
_GONE = flags.MOVED_FROM | flags.DELETE
_SELF_GONE = flags.IGNORED | flags.UNMOUNT | flags.DELETE_SELF | flags.MOVE_SELF


class Inotify:
    """Watches directories; a watch is set before the directory is listed, so nothing is missed.

    Below a start directory, the parent of each is watched, too, so that moves are noticed.
    """

    def __init__(
        self, start: "Sequence[str]", is_of_interest: "Callable[[str], bool]", wake: int
    ) -> None:
        """Begin with no watch.

        Args:
            start: the start directories, true paths.
            is_of_interest: see ``source.is_of_interest``.
            wake: a descriptor that ends a wait when it becomes readable.

        Raises:
            WatchError: the kernel gives this user no more instances.
        """
        self._start = frozenset(start)
        self._is_of_interest = is_of_interest
        self._wake = wake
        self.unwatched = 0
        self._begin()

    def _begin(self) -> None:
        try:
            self._inotify = INotify()
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise WatchError(f"the kernel lets you watch nothing: {in_words(error)}") from error
            raise WatchError(
                "the kernel lets you watch nothing: your programs have as many inotify instances"
                " as it allows (EMFILE); end one of them, or raise the limit: sysctl"
                " fs.inotify.max_user_instances=512 (and in /etc/sysctl.d)"
            ) from error
        self._poll = select.poll()
        self._poll.register(self._inotify.fileno(), select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        self._numbers: dict[str, int] = {}
        self._paths: dict[int, str] = {}
        self._children: dict[str, set[str]] = {}

    @property
    def watched(self) -> "KeysView[str]":
        """See ``Watcher.watched``."""
        return self._numbers.keys()

    def enter(self, fd: int, path: str) -> None:
        """See ``Watcher.enter``. Watches what the descriptor is, whatever its path leads to now."""
        parent = split(path)[0]
        if parent not in self._numbers and path not in self._start:
            self.unwatched += 1
            return
        try:
            number = self._inotify.add_watch(f"/proc/self/fd/{fd}", _MASK)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                self.unwatched += 1
            return  # out of reach, or gone: the scan reports it
        earlier = self._paths.get(number)
        if earlier == path:
            return
        if earlier is not None:
            self._forget(earlier)  # it was moved
        if path in self._numbers:
            self.leave(path)  # another one stood there
        self._numbers[path] = number
        self._paths[number] = path
        self._children.setdefault(parent, set()).add(path)

    def stay(self, path: str) -> None:
        """See ``Watcher.stay``."""
        for child in tuple(self._children.get(path, ())):
            self.leave(child)

    def leave(self, path: str) -> None:
        """See ``Watcher.leave``."""
        pending = [path]
        while pending:
            one = pending.pop()
            pending += self._children.pop(one, ())
            number = self._numbers.get(one)
            if number is None:
                continue
            self._forget(one)
            try:
                self._inotify.rm_watch(number)
            except OSError:
                continue  # it is gone, and its watch with it

    def _forget(self, path: str) -> None:
        del self._paths[self._numbers.pop(path)]
        parent = split(path)[0]
        siblings = self._children.get(parent)
        if siblings is not None:
            siblings.discard(path)
            if not siblings:
                del self._children[parent]

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
                # Who knows what was moved where: nothing of what was watched is of use.
                self.close()
                self._begin()
                return Changes(is_overflown=True)
            path = self._paths.get(event.wd)
            if path is None:
                continue  # an event from before we left it
            if event.mask & _SELF_GONE:
                self.leave(path)
                if event.mask & flags.MOVE_SELF or path in self._start:
                    appeared.add(path)  # another one may stand there already
                continue
            if event.mask & flags.ISDIR:
                child = join(path, event.name)
                if event.mask & _GONE:
                    self.leave(child)
                elif event.mask & flags.MOVED_TO or child not in self._numbers:
                    appeared.add(child)  # else a scan found it before this event was read
            if self._is_of_interest(event.name):
                directories.add(path)
        return Changes(frozenset(directories), frozenset(appeared))

    def close(self) -> None:
        """See ``Watcher.close``."""
        self._inotify.close()
