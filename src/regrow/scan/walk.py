"""Walks the start directories and yields candidates.

Every directory is opened relative to its parent's descriptor and listed once; evidence beside and
inside a directory comes from these listings. Links are not followed. Other file systems are not
entered, and neither are candidates and directories that are excluded already.

Most directories hold no directory and have a name that no rule knows: they cost one open, one
fstat and one listing, and nothing else.
"""

import errno
import os
import sys
from collections import deque

from regrow.errors import as_sentence
from regrow.model import Candidate, Rule, Unreadable
from regrow.rules import loader
from regrow.scan.evidence import HUGE, Listing, directories_in, entries_of
from regrow.scan.matching import Hint, Index
from regrow_marks import markers, signature, tag
from regrow_marks.directory import Directory, identity_at, is_below, join, open_parent
from regrow_marks.errors import MarkerError, PathError, in_words
from regrow_marks.model import HOLDS
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Self

    from regrow.scan.observer import Observer, Recorder

    Finding = Candidate | Unreadable
    # Which entries of a directory are entered, and of each of them likewise; empty: all are.
    Tree = dict[str, "Tree"]

NEVER_ENTERED = frozenset(
    (".git", ".hg", ".svn", ".jj", ".Trash", ".Trashes", "site-packages", "dist-packages")
)
"""Version control's own directories, the Trash, and the inside of Python installations."""

HIDDEN_AT_HOME = (".virtualenvs", ".venvs", ".local/share/virtualenvs")
"""The hidden entries of the home directory that are entered, besides the rules' containers."""

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FRAMES = 64  # descriptors; deeper down, the upper ones are closed and reopened through ".."
_LONGEST = 1024 if sys.platform == "darwin" else 4096  # bytes: PATH_MAX, with the null at its end
_TOO_LONG = "its path is longer than programs can name; what is in it stays in the backup"


def towards(path: str) -> "Callable[[str, str, bool], bool]":
    """Return a ``visits`` function with which a scan visits one directory and those above it.

    Args:
        path: the directory, a true path.
    """
    return lambda parent, name, _: is_below(path, join(parent, name))


class Frame(Directory):
    """A directory whose children are being visited."""

    __slots__ = ("children", "hints", "prefix", "trees")

    def __init__(self, fd: int, path: str, status: os.stat_result) -> None:
        """Begin without children."""
        self.fd, self.path, self.status, self.on_close = fd, path, status, None
        self.prefix = "/" if path == "/" else f"{path}/"
        self.children: list[str] = []
        """The names of those that are still to be visited, the next one last."""
        self.hints: dict[str, Sequence[Hint]] = {}
        """By a child's name: the evidence for it in listings."""
        self.trees: Tree | None = None
        """By a child's name: which hidden entries of the home directory are entered below it."""


class _Nobody:
    """An observer and a recorder that ignore everything."""

    def enter(self, fd: int, path: str) -> None: ...
    def stay(self, path: str) -> None: ...
    def leave(self, path: str) -> None: ...
    def looked_at(self, path: str, status: os.stat_result) -> None: ...
    def depends_on(self, path: str, names: "Iterable[str]") -> None: ...
    def doubtful(self, path: str) -> None: ...
    def hinted(self, path: str) -> None: ...


class Scan:
    """One walk over the start directories; iterate over it once."""

    def __init__(
        self,
        start: "Sequence[str]",
        active_rules: "Sequence[Rule]",
        skip: "Iterable[str]" = (),
        visits: "Callable[[str, str, bool], bool] | None" = None,
        observer: "Observer | None" = None,
        recorder: "Recorder | None" = None,
        tick: "Callable[[], object]" = lambda: None,
    ) -> None:
        """Prepare a walk.

        Args:
            start: the start directories; links on the way to them are followed once.
            active_rules: the rules.
            skip: directories that are never entered.
            visits: returns whether a directory is visited, from its parent's path, its name, and
                whether a listing holds evidence for it. None: all are.
            observer: follows which directories are entered.
            recorder: records what the findings depend on.
            tick: called after each visit. What it raises ends the walk.
        """
        self._start = start
        self._visits = visits
        self._observer = observer or _Nobody()
        self._is_observed = observer is not None
        self._recorder = recorder or _Nobody()
        self._tick = tick
        self.directories = 0
        """How many directories were read so far."""
        self.last_seen = ""
        """The directory that was looked into last."""
        self.signed: list[str] = []
        """The directories found so far that carry regrow's signature, candidates or not."""
        self._index = Index(active_rules)
        self._notable = self._index.triggers | {tag.NAME}
        """Without these names inside, only evidence beside or above can recognise a directory."""
        self._skip = frozenset(os.path.realpath(os.path.expanduser(path)) for path in skip)
        self._home = identity_at(os.path.expanduser("~"))
        self._hidden = _tree(
            [*HIDDEN_AT_HOME, *(rule.directory for rule in active_rules if rule.container)]
        )
        self._attributes = markers.selected()
        self._containers = {
            path for path, rule in loader.at_home(active_rules).items() if rule.container
        }
        self._roots: set[tuple[int, int]] = set()
        self._frames: deque[Frame] = deque()
        """The directories whose children are still to be visited."""

    def __iter__(self) -> "Iterator[Finding]":
        with self:
            yield from self._begin()
            while self._frames:
                yield from self._walk(self._frames.popleft())

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        for frame in self._frames:
            os.close(frame.fd)

    def _begin(self) -> "Iterator[Unreadable]":
        """Open all start directories, then list them."""
        for path in self._start:
            place = os.path.expanduser(path)
            try:
                root = open_parent(place)
            except PathError as error:
                self._recorder.doubtful(os.path.realpath(place))
                yield Unreadable(path, str(error).partition(": ")[2])
                continue
            identity = (root.status.st_dev, root.status.st_ino)
            if identity in self._roots:
                root.close()
                continue
            self._roots.add(identity)
            self._frames.append(Frame(root.fd, root.path, root.status))
        for top in self._frames:
            try:
                self._recorder.looked_at(top.path, top.status)
                if signature.is_on(top.fd):
                    self.signed.append(top.path)
                self._observer.enter(top.fd, top.path)
                self._expect(top, Listing.read(top.fd), (), None)
                self.directories += 1
                self.last_seen = top.path
            except OSError as error:
                yield self._unreadable(top.path, in_words(error))

    def _walk(self, top: Frame) -> "Iterator[Finding]":
        """Visit a directory's children and all below them, depth first; it is closed at the end."""
        stack = [top]
        try:
            while stack:
                frame = stack[-1]
                if frame.children:
                    found = self._visit(frame, frame.children.pop())
                    if isinstance(found, Frame):
                        _push(found, stack)
                    elif found is not None:
                        yield found
                    self._tick()
                    continue
                stack.pop()
                is_lost = bool(stack) and stack[-1].fd < 0 and not _reopen(stack[-1], frame.fd)
                os.close(frame.fd)
                if is_lost:
                    yield from self._lose(stack)
        finally:
            for frame in stack:
                if frame.fd >= 0:
                    os.close(frame.fd)

    def _visit(self, parent: Frame, name: str) -> "Finding | Frame | None":
        """Look at one directory. Returns what was found; a frame where its children are next."""
        path = parent.prefix + name
        if path in self._skip:
            return None
        if len(path) * 4 >= _LONGEST and len(os.fsencode(path)) >= _LONGEST:
            # Nothing in it could be marked, and each level more would cost a path of its length.
            return self._unreadable(path, _TOO_LONG)
        try:
            fd = os.open(name, _FLAGS, dir_fd=parent.fd)
        except FileNotFoundError:
            return None  # it vanished since its parent was listed
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                return None  # it was replaced by a file or a link
            return self._unreadable(path, in_words(error))
        found: Finding | Frame | None = None
        try:
            found = self._look(parent, name, path, fd)
        except Exception as error:  # noqa: BLE001 - the others are still to be looked at
            self._observer.leave(path)
            found = self._unreadable(path, as_sentence(error))
        finally:
            if not isinstance(found, Frame):
                os.close(fd)
        return found

    def _look(self, parent: Frame, name: str, path: str, fd: int) -> "Candidate | Frame | None":
        """Recognise a directory, or list what is in it."""
        status = os.fstat(fd)
        self._recorder.looked_at(path, status)
        if signature.is_on(fd):
            self.signed.append(path)
        hints = parent.hints.get(name, ())
        candidate = self._recognise_unlisted(path, status, hints) if hints else None
        if candidate is not None:
            return candidate
        self._observer.enter(fd, path)
        entries = entries_of(fd, status.st_size)
        self.directories += 1
        names = [entry.name for entry in entries]
        directories = directories_in(entries)
        listing = None
        if status.st_size <= HUGE and (hints or not self._notable.isdisjoint(names)):
            listing = Listing(fd, entries, names, directories)
            candidate = self._recognise(path, status, hints, listing)
            if candidate is not None:
                return candidate
        self.last_seen = path
        if not directories and not self._is_observed:
            return None
        listing = listing or Listing(fd, entries, names, directories)
        frame = Frame(fd, path, status)
        if not self._is_entered(parent, frame, listing):
            return None
        self._expect(frame, listing, hints, parent.trees and parent.trees.get(name))
        return frame

    def _recognise_unlisted(
        self, path: str, status: os.stat_result, hints: "Sequence[Hint]"
    ) -> Candidate | None:
        """Recognise a directory before it is listed, where the evidence beside it is enough."""
        self._recorder.hinted(path)
        candidate = self._index.recognise_unlisted(path, status, hints)
        if candidate is not None:
            self._observer.leave(path)
        return candidate

    def _recognise(
        self, path: str, status: os.stat_result, hints: "Sequence[Hint]", listing: Listing
    ) -> Candidate | None:
        """Recognise a directory that is listed."""
        candidate = self._index.recognise(path, status, hints, listing)
        self._record_dependencies(path, listing)
        if tag.NAME in listing.names:
            self._recorder.depends_on(path, (tag.NAME,))
        if candidate is not None and candidate.rule.generic and not candidate.decisive:
            self._observer.stay(path)  # decisive evidence may be about to appear in it
        elif candidate is not None:
            self._observer.leave(path)
        return candidate

    def _record_dependencies(self, path: str, listing: Listing) -> None:
        """Record what evidence was looked for elsewhere than among the listed names."""
        if listing.consulted:
            self._recorder.depends_on(path, listing.consulted)
        if listing.is_doubtful:
            self._recorder.doubtful(path)

    def _unreadable(self, path: str, problem: str) -> Unreadable:
        self._recorder.doubtful(path)
        return Unreadable(path, problem)

    def _is_entered(self, parent: Frame, frame: Frame, listing: Listing) -> bool:
        path, status = frame.path, frame.status
        if len(self._roots) > 1 and (status.st_dev, status.st_ino) in self._roots:
            return False  # a start directory is walked, and observed, on its own
        if status.st_dev != parent.status.st_dev or (
            path.endswith(".app") and "Contents" in listing.names
        ):
            self._observer.leave(path)
            return False
        # A container is entered though it is marked: what is in it has records of its own.
        if path in self._containers or not self._is_excluded(frame, listing):
            return True
        self._observer.stay(path)  # a creator's tag may be there, and its pyvenv.cfg not yet
        return False

    def _is_excluded(self, frame: Frame, listing: Listing) -> bool:
        """Return whether another program has excluded a directory already."""
        try:
            for mark in self._attributes:
                if mark.read(frame).state == HOLDS:
                    return True
            return tag.NAME in listing.names and tag.CachedirTag().read(frame).state == HOLDS
        except (OSError, MarkerError):
            return False

    def _expect(
        self, frame: Frame, listing: Listing, hints: "Iterable[Hint]", tree: "Tree | None"
    ) -> None:
        """Choose the children that are visited, and collect the evidence for each.

        Args:
            frame: the directory.
            listing: its entries.
            hints: the evidence for the directory itself.
            tree: which hidden entries of the home directory are entered here.
        """
        is_home = (frame.status.st_dev, frame.status.st_ino) == self._home
        frame.trees = self._hidden if is_home else tree
        for name in listing.directories:
            if name in NEVER_ENTERED or name.startswith(".Trash-"):
                continue
            if frame.trees and name not in frame.trees and (not is_home or _is_hidden(name)):
                continue
            found: Sequence[Hint] = ()
            if hints or self._index.is_known(name):
                found = self._index.hints(name, frame.path, listing, hints)
            if self._visits is None or self._visits(frame.path, name, bool(found)):
                frame.children.append(name)
                if found:
                    frame.hints[name] = found
        frame.children.sort(reverse=True)
        self._record_dependencies(frame.path, listing)  # for the evidence beside the children

    def _lose(self, stack: list[Frame]) -> "Iterator[Unreadable]":
        """Abandon the directories that were moved away while they were walked."""
        while stack and stack[-1].fd < 0:
            frame = stack.pop()
            if frame.children:
                yield self._unreadable(frame.path, "it was moved while it was read; scan again")


def _push(frame: Frame, stack: list[Frame]) -> None:
    """Put a directory on a stack of open ones; where they are too many, the uppermost is closed."""
    stack.append(frame)
    if len(stack) > _OPEN_FRAMES:
        upper = stack[-1 - _OPEN_FRAMES]
        if upper.fd >= 0:  # else it was closed when the walk was as deep as this before
            os.close(upper.fd)
            upper.fd = -1


def _reopen(upper: Frame, lower_fd: int) -> bool:
    """Reopen a parent whose descriptor was closed; False: another directory is there by now."""
    try:
        fd = os.open("..", _FLAGS, dir_fd=lower_fd)
    except OSError:
        return False
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) != (upper.status.st_dev, upper.status.st_ino):
        os.close(fd)
        return False
    upper.fd = fd
    return True


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or (name == "Library" and sys.platform == "darwin")


def _tree(paths: "Iterable[str]") -> "Tree":
    """Return which hidden entries are entered on the way to paths from the home directory."""
    tree: Tree = {}
    for path in paths:
        here = tree
        for name in path.split("/"):
            here = here.setdefault(name, {})
    return {name: below for name, below in tree.items() if _is_hidden(name)}
