"""Walks the start directories and yields candidates.

Every directory is opened relative to its parent's descriptor and listed once; what stands beside
and inside a directory comes from these listings. Links are not followed, other file systems are
not entered, and neither is what matched or is excluded already.

Most directories have no directory in them and a name that no rule knows: they cost one open, one
fstat and one listing, and nothing else.
"""

import errno
import os
import sys
from functools import lru_cache

from regrow.errors import as_sentence
from regrow.model import Candidate, Rule, Unreadable
from regrow.rules import loader
from regrow.scan.evidence import HUGE, Listing, directories_in, entries_of
from regrow.scan.matching import Hint, Index, pack
from regrow_marks import markers, signature, tag
from regrow_marks.directory import (
    Directory,
    identity_at,
    is_below,
    join,
    open_directory,
    open_parent,
    split,
)
from regrow_marks.errors import MarkerError, PathError, in_words
from regrow_marks.model import HOLDS
from regrow_marks.plain import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Protocol

    from regrow.scan.matching import Packed

    Tree = dict[str, "Tree"]
    Finding = Candidate | Unreadable
    # A directory, what it is, its children with what is known about them, and its trees.
    Part = tuple[str, int, int, dict[str, list[Packed]], Tree | None]

    class Observer(Protocol):
        """Watches the directories that a scan enters, from before each is listed."""

        def enter(self, fd: int, path: str) -> None:
            """Begin with a directory that is about to be listed."""

        def stay(self, path: str) -> None:
            """Drop what is below a directory that is not entered until more appears in it."""

        def leave(self, path: str) -> None:
            """Drop a directory that is not entered, and what is below it."""

    class Recorder(Protocol):
        """Takes down what the findings depend on, so that the next scan can begin there."""

        def looked_at(self, path: str, status: os.stat_result) -> None:
            """Note a directory, as it was before it was listed."""

        def depends_on(self, path: str, names: "Iterable[str]") -> None:
            """Note that what a directory is depends on what is inside some of its entries."""

        def doubtful(self, path: str) -> None:
            """Note a directory that has to be looked at again in any case."""

        def hinted(self, path: str) -> None:
            """Note that a listing further up says something about a directory."""

        def entered(self, path: str) -> None:
            """Note that a directory's children are visited."""

        def passed_by(self, path: str) -> None:
            """Note a directory that ``visits`` left out."""


NEVER_ENTERED = frozenset(
    (".git", ".hg", ".svn", ".jj", ".Trash", ".Trashes", "site-packages", "dist-packages")
)
"""Version control's own, the Trash, and the inside of Python installations."""

HIDDEN_AT_HOME = (".virtualenvs", ".venvs", ".local/share/virtualenvs")
"""The hidden entries of the home directory that are entered, besides the rules' containers."""

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FRAMES = 64  # descriptors; deeper down, the upper ones are closed and found again by ".."
_REMEMBERED = 4096  # names of directories
_LONGEST = 1024 if sys.platform == "darwin" else 4096  # bytes: PATH_MAX, with the null at its end
_TOO_LONG = "its path is longer than programs can name; what is in it stays in the backup"
_BETWEEN = 16  # directories from one pause to the next: a question to a pipe costs a tenth of one


def at_home(active_rules: "Iterable[Rule]") -> list[Candidate]:
    """Give what stands in the home directory by the rules for it: a scan looks for no such rule.

    Args:
        active_rules: the rules.

    Returns:
        The home caches that the configuration names, and the containers of environments.
    """
    found = []
    for path, rule in loader.at_home(active_rules).items():
        try:
            with open_directory(path) as directory:
                status = directory.status
        except PathError:
            continue  # none here
        project = split(directory.path)[0]
        found.append(
            Candidate(directory.path, rule, project, (), False, status.st_dev, status.st_ino)
        )
    return found


def towards(path: str) -> "Callable[[str, str, bool], bool]":
    """Let a scan visit only one directory, and those above it.

    Args:
        path: the directory, a true path.
    """
    return lambda parent, name, _: is_below(path, join(parent, name))


class Frame(Directory):
    """A directory whose children are being visited."""

    __slots__ = ("children", "hints", "prefix", "trees")

    def __init__(self, fd: int, path: str, status: os.stat_result) -> None:
        """Begin with no child."""
        self.fd, self.path, self.status = fd, path, status
        self.prefix = "/" if path == "/" else f"{path}/"
        self.children: list[str] = []
        """The names of those that are still to be visited, the next one last."""
        self.hints: dict[str, Sequence[Hint]] = {}
        """By name: what listings say about a child."""
        self.trees: dict[str, Tree] | None = None
        """By name: which hidden entries of the home directory are entered below a child."""


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
        pause: "Callable[[list[Frame]], None] | None" = None,
    ) -> None:
        """Prepare a walk.

        Args:
            start: the start directories; links on the way to them are followed once.
            active_rules: the rules.
            skip: directories that are never entered.
            visits: tells from a directory's path, the name of one in it, and whether the listing
                says anything about that one, if it is visited; None: all are.
            observer: is told of each directory before it is listed.
            recorder: takes notes for the next scan.
            pause: called now and then with what is still to be done, of which it may take away.
        """
        self._visits = visits
        self._observer = observer
        self._recorder = recorder
        self._pause = pause
        self.directories = 0
        """How many directories were read so far."""
        self.last_seen = ""
        """The directory that was looked into last."""
        self.signed: list[str] = []
        """The directories found so far that carry regrow's signature, candidates or not."""
        self._start = start
        self._index = Index(active_rules)
        self._notable = self._index.triggers | {tag.NAME}
        """Names without which a directory that no listing tells of is an ordinary one."""
        self._is_known = lru_cache(_REMEMBERED)(self._know)
        self._skip = frozenset(os.path.realpath(os.path.expanduser(path)) for path in skip)
        self._home = identity_at(os.path.expanduser("~"))
        self._hidden = _tree(
            [*HIDDEN_AT_HOME, *(rule.directory for rule in active_rules if rule.container)]
        )
        self._attributes = markers.selected()
        self._containers = {
            path for path, rule in loader.at_home(active_rules).items() if rule.container
        }
        self._roots: dict[tuple[int, int], str] = {}

    def __iter__(self) -> "Iterator[Finding]":
        roots: list[Directory] = []
        try:
            for path in self._start:
                try:
                    root = open_parent(os.path.expanduser(path))
                except PathError as error:
                    self._doubtful(os.path.realpath(os.path.expanduser(path)))
                    yield Unreadable(path, str(error).partition(": ")[2])
                    continue
                identity = (root.status.st_dev, root.status.st_ino)
                if identity in self._roots:
                    root.close()
                    continue
                self._roots[identity] = root.path
                roots.append(root)
            while roots:
                root = roots.pop(0)
                with root:
                    yield from self._from_root(root)
        finally:
            for root in roots:
                root.close()

    def _from_root(self, root: Directory) -> "Iterator[Finding]":
        top = Frame(os.dup(root.fd), root.path, root.status)
        try:
            if self._recorder is not None:
                self._recorder.looked_at(root.path, root.status)
            if signature.is_on(root.fd):
                self.signed.append(root.path)
            if self._observer is not None:
                self._observer.enter(top.fd, top.path)
            listing = Listing.read(top.fd)
            self.directories += 1
            self.last_seen = root.path
            self._expect(top, listing, (), None)
        except OSError as error:
            os.close(top.fd)
            self._doubtful(root.path)
            yield Unreadable(top.path, in_words(error))
            return
        yield from self._walk(top)

    def take_over(self, part: "Part") -> "Iterator[Finding]":
        """Visit what another process was to visit; see ``split_off``."""
        path, device, inode, hints, trees = part
        fd = -1
        try:
            fd = self._open_below(path)
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != (device, inode):
                raise FileNotFoundError(errno.ENOENT, "another one stands there")
        except OSError:
            if fd >= 0:
                os.close(fd)
            yield self._lost(path)
            return
        top = Frame(fd, path, status)
        top.children = list(hints)
        top.hints = {name: self._index.unpack(about) for name, about in hints.items() if about}
        top.trees = trees
        yield from self._walk(top)

    def _open_below(self, path: str) -> int:
        """Open a directory below a start directory, step by step, through no link."""
        top = max((root for root in self._roots.values() if is_below(path, root)), key=len)
        fd = os.open(top, _FLAGS)
        for name in path[len(top) :].split("/"):
            if name:
                upper = fd
                try:
                    fd = os.open(name, _FLAGS, dir_fd=upper)
                finally:
                    os.close(upper)
        return fd

    def _walk(self, top: Frame) -> "Iterator[Finding]":
        """Visit a directory's children and all below them; its descriptor is closed at the end."""
        stack = [top]
        visited = 0
        try:
            while stack:
                frame = stack[-1]
                if frame.children:
                    finding = self._visit(frame, frame.children.pop(), stack)
                    if finding is not None:
                        yield finding
                    visited += 1
                    if self._pause is not None and visited % _BETWEEN == 0:
                        self._pause(stack)
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

    def _visit(self, parent: Frame, name: str, stack: list[Frame]) -> "Finding | None":
        """Look at one directory; if there is more below it, put it on the stack."""
        path = parent.prefix + name
        if path in self._skip:
            return None
        if len(path) * 4 >= _LONGEST and len(os.fsencode(path)) >= _LONGEST:
            # Nothing in it could be marked, and each level more would cost a path of its length.
            self._doubtful(path)
            return Unreadable(path, _TOO_LONG)
        try:
            fd = os.open(name, _FLAGS, dir_fd=parent.fd)
        except FileNotFoundError:
            return None  # it vanished since its parent was listed
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                return None  # a link since then
            self._doubtful(path)
            return Unreadable(path, in_words(error))
        keep_open = False
        try:
            status = os.fstat(fd)
            if self._recorder is not None:
                self._recorder.looked_at(path, status)
            if signature.is_on(fd):
                self.signed.append(path)
            hints = parent.hints.pop(name, ()) if parent.hints else ()
            if hints:
                candidate = self._look_at_hints(path, status, hints)
                if candidate is not None:
                    return candidate
            if self._observer is not None:
                self._observer.enter(fd, path)
            entries = entries_of(fd, status.st_size)
            self.directories += 1
            names = [entry.name for entry in entries]
            directories = directories_in(entries)
            is_notable = status.st_size <= HUGE and (hints or not self._notable.isdisjoint(names))
            if not (directories or is_notable or self._observer):
                self.last_seen = path
                return None
            listing = Listing(fd, entries, names, directories)
            if is_notable:
                candidate = self._look_inside(path, status, hints, listing)
                if candidate is not None:
                    return candidate
            self.last_seen = path
            if not directories and self._observer is None:
                return None
            frame = Frame(fd, path, status)
            if not self._is_entered(parent, frame, listing):
                return None
            tree = parent.trees.get(name) if parent.trees is not None else None
            self._expect(frame, listing, hints, tree)
            keep_open = True
            stack.append(frame)
            if len(stack) > _OPEN_FRAMES:
                upper = stack[-1 - _OPEN_FRAMES]
                if upper.fd >= 0:  # it is closed already where the scan came back up and down again
                    os.close(upper.fd)
                    upper.fd = -1
            return None
        except OSError as error:
            self._leave(path)
            self._doubtful(path)
            return Unreadable(path, in_words(error))
        except Exception as error:  # noqa: BLE001 - the others are still to be looked at
            self._leave(path)
            self._doubtful(path)
            return Unreadable(path, as_sentence(error))
        finally:
            if not keep_open:
                os.close(fd)

    def _look_at_hints(
        self, path: str, status: os.stat_result, hints: "Sequence[Hint]"
    ) -> Candidate | None:
        """Recognise a directory before it is listed, where what stands beside it is enough."""
        if self._recorder is not None:
            self._recorder.hinted(path)
        candidate = self._index.recognise_unlisted(path, status, hints)
        if candidate is not None:
            self._leave(path)
        return candidate

    def _look_inside(
        self, path: str, status: os.stat_result, hints: "Sequence[Hint]", listing: Listing
    ) -> Candidate | None:
        """Recognise a directory that is listed."""
        candidate = self._index.recognise(path, status, hints, listing)
        self._note(path, listing)
        if candidate is not None and candidate.rule.generic and not candidate.decisive:
            self._stay(path)  # what decides may be about to appear
        elif candidate is not None:
            self._leave(path)
        return candidate

    def _note(self, path: str, listing: Listing) -> None:
        """Note what decides about a directory besides the names that are listed in it."""
        if self._recorder is None:
            return
        if listing.consulted:
            self._recorder.depends_on(path, listing.consulted)
        if listing.is_doubtful:
            self._recorder.doubtful(path)
        if tag.NAME in listing.names:
            self._recorder.depends_on(path, (tag.NAME,))

    def _doubtful(self, path: str) -> None:
        if self._recorder is not None:
            self._recorder.doubtful(path)

    def _stay(self, path: str) -> None:
        if self._observer is not None:
            self._observer.stay(path)

    def _leave(self, path: str) -> None:
        if self._observer is not None:
            self._observer.leave(path)

    def _is_entered(self, parent: Frame, frame: Frame, listing: Listing) -> bool:
        path, status = frame.path, frame.status
        if len(self._roots) > 1 and (status.st_dev, status.st_ino) in self._roots:
            return False  # a start directory is walked, and observed, on its own
        if status.st_dev != parent.status.st_dev or (
            path.endswith(".app") and "Contents" in listing.names
        ):
            self._leave(path)
            return False
        # A container is entered though it is marked: what is in it has records of its own.
        if path in self._containers or not self._is_excluded(frame, listing):
            return True
        self._stay(path)  # a creator's tag may stand there, and its pyvenv.cfg not yet
        return False

    def _is_excluded(self, frame: Frame, listing: Listing) -> bool:
        """Tell whether somebody else has excluded a directory already."""
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
        """Note which children are to be visited, and what this listing says about them."""
        at_home = (frame.status.st_dev, frame.status.st_ino) == self._home
        trees = self._hidden if at_home else tree
        visits, children, is_known = self._visits, frame.children, self._is_known
        for name in listing.directories:
            known = is_known(name)
            if known is None:
                continue
            if trees and name not in trees and (tree or _is_hidden(name)):
                continue
            found = self._index.hints(name, frame.path, listing, hints) if hints or known else ()
            if visits is not None and not visits(frame.path, name, bool(found)):
                if self._recorder is not None:
                    self._recorder.passed_by(join(frame.path, name))
                continue
            children.append(name)
            if found:
                frame.hints[name] = found
        children.sort(reverse=True)
        frame.trees = trees or None
        if self._recorder is not None:
            self._recorder.entered(frame.path)
            if listing.consulted or listing.is_doubtful:  # for what stands beside its children
                self._note(frame.path, listing)

    def _know(self, name: str) -> bool | None:
        """Tell whether there is a rule for a directory's name; None: such a one is never entered.

        The same few names come again and again: ``_is_known`` remembers them.
        """
        if name in NEVER_ENTERED or name.startswith(".Trash-"):
            return None
        return self._index.is_known(name)

    def _lose(self, stack: list[Frame]) -> "Iterator[Unreadable]":
        """Give the frames up that were moved away under the scan."""
        while stack and stack[-1].fd < 0:
            frame = stack.pop()
            if frame.children:
                yield self._lost(frame.path)

    def _lost(self, path: str) -> Unreadable:
        self._doubtful(path)
        return Unreadable(path, "it was moved while it was read; scan again")


def split_off(stack: list[Frame]) -> "Part | None":
    """Take half of what is still to be done furthest up, for another process to do.

    Args:
        stack: the directories whose children are being visited, as ``pause`` is given them.

    Returns:
        What ``take_over`` wants, in plain data; None where there is too little to do.
    """
    frame = next((frame for frame in stack if frame.children), None)
    if frame is None or (frame is stack[-1] and len(frame.children) == 1):
        return None
    # The last ones are next: they stay. Of a single child the rest of the stack is what stays.
    half = (len(frame.children) + 1) // 2
    given, frame.children = frame.children[:half], frame.children[half:]
    hints = {name: pack(frame.hints.pop(name, ())) for name in given}
    return frame.path, frame.status.st_dev, frame.status.st_ino, hints, frame.trees


def _reopen(upper: Frame, lower_fd: int) -> bool:
    """Find the parent again whose descriptor was closed, and make sure that it is the same."""
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
    """Turn paths from the home directory into what is entered of its hidden entries."""
    tree: Tree = {}
    for path in paths:
        here = tree
        for name in path.split("/"):
            here = here.setdefault(name, {})
    return {name: below for name, below in tree.items() if _is_hidden(name)}
