"""Walks the start directories and yields candidates.

Every directory is opened relative to its parent's descriptor and listed once; what stands beside
and inside a directory comes from these listings. Links are not followed, other file systems are
not entered, and neither is what matched or is excluded already.
"""

import errno
import os
import re
import sys
from fnmatch import fnmatchcase, translate

from regrow import evidence, markers, rules
from regrow.directory import (
    Directory,
    is_below,
    join,
    open_directory,
    open_parent,
    split,
)
from regrow.errors import MarkerError, PathError, in_words
from regrow.evidence import Listing
from regrow.markers import tag
from regrow.model import HOLDS, Candidate, Rule, Unreadable
from regrow.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Protocol

    class Observer(Protocol):
        """Watches the directories that a scan enters, from before each is listed."""

        def enter(self, fd: int, path: str) -> None:
            """Begin with a directory that is about to be listed."""

        def stay(self, path: str) -> None:
            """Drop what is below a directory that is not entered until more appears in it."""

        def leave(self, path: str) -> None:
            """Drop a directory that is not entered, and what is below it."""


NEVER_ENTERED = frozenset(
    (".git", ".hg", ".svn", ".jj", ".Trash", ".Trashes", "site-packages", "dist-packages")
)
"""Version control's own, the Trash, and the inside of Python installations."""

HIDDEN_AT_HOME = (".virtualenvs", ".venvs", ".local/share/virtualenvs")
"""The hidden entries of the home directory that are entered, besides the rules' containers."""

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FRAMES = 64  # descriptors; deeper down, the upper ones are closed and found again by ".."

if TYPE_CHECKING:
    Tree = dict[str, "Tree"]


def at_home(in_force: "Iterable[Rule]") -> list[Candidate]:
    """Give what stands in the home directory by the rules for it: a scan looks for no such rule.

    Args:
        in_force: the rules.

    Returns:
        The home caches that the configuration names, and the containers of environments.
    """
    found = []
    for path, rule in rules.at_home(in_force).items():
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


class _Hint(NamedTuple):
    """What the listing of a project directory says about a directory in it."""

    rule: Rule
    rest: tuple[str, ...]
    """The components that are still to come; empty: this is the directory itself."""
    project: str
    found: tuple[str, ...]


class _Frame:
    """A directory whose children are being visited."""

    __slots__ = ("children", "device", "fd", "hints", "inode", "path", "trees")

    def __init__(self, fd: int, path: str, status: os.stat_result) -> None:
        self.fd = fd
        self.path = path
        self.device, self.inode = status.st_dev, status.st_ino
        self.children: list[str] = []
        self.hints: dict[str, Sequence[_Hint]] = {}
        self.trees: dict[str, Tree] | None = None


class Index:
    """The rules, arranged by what a listing can be asked for."""

    def __init__(self, in_force: "Iterable[Rule]") -> None:
        """Arrange the rules; those for home caches are no business of a scan."""
        self.by_name: dict[str, list[Rule]] = {}
        self.by_glob: list[Rule] = []
        self.by_path: dict[str, list[Rule]] = {}
        self.anywhere: list[Rule] = []
        for rule in in_force:
            if rule.home:
                continue
            if rule.directory == "*":
                self.anywhere.append(rule)
            elif rule.has_path:
                self.by_path.setdefault(rule.directory.partition("/")[0], []).append(rule)
            elif "*" in rule.directory:
                self.by_glob.append(rule)
            else:
                self.by_name.setdefault(rule.directory, []).append(rule)
        globs = "|".join(translate(rule.directory) for rule in self.by_glob)
        self._is_glob = re.compile(globs).match if globs else None
        self.triggers = frozenset(
            name.rstrip("/").partition("/")[0]
            for rule in self.anywhere
            for name in (*rule.inside, *rule.inside_all)
        )

    def is_known(self, name: str) -> bool:
        """Tell whether there is a rule for a directory's name, or for a path that begins so."""
        return (
            name in self.by_name
            or name in self.by_path
            or (self._is_glob is not None and self._is_glob(name) is not None)
        )

    def for_name(self, name: str) -> "list[Rule]":
        """Give the rules for a directory's name, those with a path aside."""
        return [
            *self.by_name.get(name, ()),
            *(rule for rule in self.by_glob if fnmatchcase(name, rule.directory)),
        ]


class Scan:
    """One walk over the start directories; iterate over it once."""

    def __init__(
        self,
        start: "Sequence[str]",
        in_force: "Sequence[Rule]",
        skip: "Iterable[str]" = (),
        visits: "Callable[[str, str, bool], bool] | None" = None,
        observer: "Observer | None" = None,
    ) -> None:
        """Prepare a walk.

        Args:
            start: the start directories; links on the way to them are followed once.
            in_force: the rules.
            skip: directories that are never entered.
            visits: tells from a directory's path, the name of one in it, and whether the listing
                says anything about that one, if it is visited; None: all are.
            observer: is told of each directory before it is listed.
        """
        self._visits = visits
        self._observer = observer
        self.directories = 0
        """How many directories were read so far."""
        self.last_seen = ""
        """The directory that was looked into last."""
        self._start = start
        self._index = Index(in_force)
        self._skip = frozenset(os.path.realpath(os.path.expanduser(path)) for path in skip)
        self._home = _identity(os.path.expanduser("~"))
        self._hidden = _tree(
            [*HIDDEN_AT_HOME, *(rule.directory for rule in in_force if rule.container)]
        )
        self._attributes = markers.selected()
        self._containers = {
            path for path, rule in rules.at_home(in_force).items() if rule.container
        }
        self._roots: set[tuple[int, int]] = set()

    def __iter__(self) -> "Iterator[Candidate | Unreadable]":
        roots: list[Directory] = []
        try:
            for path in self._start:
                try:
                    root = open_parent(os.path.expanduser(path))
                except PathError as error:
                    yield Unreadable(path, str(error).partition(": ")[2])
                    continue
                identity = (root.status.st_dev, root.status.st_ino)
                if identity in self._roots:
                    root.close()
                    continue
                self._roots.add(identity)
                roots.append(root)
            while roots:
                root = roots.pop(0)
                with root:
                    yield from self._walk(root)
        finally:
            for root in roots:
                root.close()

    def _walk(self, root: Directory) -> "Iterator[Candidate | Unreadable]":
        top = _Frame(os.dup(root.fd), root.path, root.status)
        stack = [top]
        try:
            try:
                self._observe(top.fd, top.path)
                self._expect(top, Listing(top.fd), (), None)
                self.directories += 1
            except OSError as error:
                yield Unreadable(top.path, in_words(error))
                return
            while stack:
                frame = stack[-1]
                if frame.children:
                    finding = self._visit(frame, frame.children.pop(), stack)
                    if finding is not None:
                        yield finding
                    continue
                stack.pop()
                is_lost = bool(stack) and stack[-1].fd < 0 and not _reopen(stack[-1], frame.fd)
                os.close(frame.fd)
                if is_lost:
                    yield from _lose(stack)
        finally:
            for frame in stack:
                if frame.fd >= 0:
                    os.close(frame.fd)

    def _visit(
        self, parent: _Frame, name: str, stack: list[_Frame]
    ) -> Candidate | Unreadable | None:
        """Look at one directory; if it is to be entered, put it on the stack."""
        path = join(parent.path, name)
        hints = parent.hints.pop(name, ())
        if path in self._skip:
            return None
        try:
            fd = os.open(name, _FLAGS, dir_fd=parent.fd)
        except FileNotFoundError:
            return None  # it vanished since its parent was listed
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                return None  # a link since then
            return Unreadable(path, in_words(error))
        keep_open = False
        try:
            status = os.fstat(fd)
            try:
                candidate, listing = self._recognise(fd, path, status, hints)
            except OSError as error:
                self._leave(path)
                return Unreadable(path, in_words(error))
            if candidate is not None:
                if candidate.rule.generic and not candidate.decisive:
                    self._stay(path)  # what decides may be about to appear
                else:
                    self._leave(path)
                return candidate
            self.last_seen = path
            if listing is None or not self._is_entered(parent, path, status, listing):
                return None
            frame = _Frame(fd, path, status)
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
        finally:
            if not keep_open:
                os.close(fd)

    def _observe(self, fd: int, path: str) -> None:
        if self._observer is not None:
            self._observer.enter(fd, path)

    def _stay(self, path: str) -> None:
        if self._observer is not None:
            self._observer.stay(path)

    def _leave(self, path: str) -> None:
        if self._observer is not None:
            self._observer.leave(path)

    def _recognise(
        self, fd: int, path: str, status: os.stat_result, hints: "Sequence[_Hint]"
    ) -> "tuple[Candidate | None, Listing | None]":
        """Find the rule for a directory; lists it only if that needs to be known."""
        targets = [hint for hint in hints if not hint.rest]
        kept_by = None
        if targets:
            kept_by = next((hint.rule for hint in targets if hint.rule.keep), None)
            targets = [hint for hint in targets if not hint.rule.keep]
        for hint in targets:
            if not hint.rule.generic and not evidence.needs_inside(hint.rule):
                candidate = Candidate(
                    path, hint.rule, hint.project, hint.found, False,
                    status.st_dev, status.st_ino, kept_by,
                )  # fmt: skip
                return candidate, None
        self._observe(fd, path)
        listing = Listing(fd)
        self.directories += 1
        best: Candidate | None = None
        for hint in targets:
            found = evidence.inside(hint.rule, listing)
            if found is None and (
                evidence.needs_inside(hint.rule) or evidence.speaks_against(hint.rule, listing)
            ):
                continue
            decisive = hint.rule.generic and bool(found)
            candidate = Candidate(
                path, hint.rule, hint.project, (*hint.found, *_inside(found)), decisive,
                status.st_dev, status.st_ino, kept_by,
            )  # fmt: skip
            if best is None or (best.rule.generic and not best.decisive):
                best = candidate
        if best is None and not self._index.triggers.isdisjoint(listing.entries):
            for rule in self._index.anywhere:
                found = evidence.inside(rule, listing)
                if found is not None:
                    best = Candidate(
                        path, rule, split(path)[0], _inside(found), rule.generic,
                        status.st_dev, status.st_ino, kept_by,
                    )  # fmt: skip
                    break
        return best, listing

    def _is_entered(
        self, parent: _Frame, path: str, status: os.stat_result, listing: Listing
    ) -> bool:
        if (status.st_dev, status.st_ino) in self._roots:
            return False  # a start directory is walked, and observed, on its own
        if status.st_dev != parent.device or (
            path.endswith(".app") and "Contents" in listing.entries
        ):
            self._leave(path)
            return False
        # A container is entered though it is marked: what is in it has records of its own.
        if path in self._containers or not self._is_excluded(path, status, listing):
            return True
        self._stay(path)  # a creator's tag may stand there, and its pyvenv.cfg not yet
        return False

    def _is_excluded(self, path: str, status: os.stat_result, listing: Listing) -> bool:
        """Tell whether somebody else has excluded a directory already."""
        directory = Directory(listing.fd, path, status)
        try:
            for mark in self._attributes:
                if mark.read(directory).state == HOLDS:
                    return True
            return tag.NAME in listing.entries and tag.CachedirTag().read(directory).state == HOLDS
        except (OSError, MarkerError):
            return False

    def _expect(
        self, frame: _Frame, listing: Listing, hints: "Iterable[_Hint]", tree: "Tree | None"
    ) -> None:
        """Note which children are to be visited, and what this listing says about them."""
        self.last_seen = frame.path
        at_home = (frame.device, frame.inode) == self._home
        trees: dict[str, Tree] = dict(tree) if tree else {}
        if at_home:
            trees = self._hidden
        for name in listing.directories:
            if name in NEVER_ENTERED or name.startswith(".Trash-"):
                continue
            if at_home and _is_hidden(name) and name not in trees:
                continue
            if tree and name not in tree:
                continue
            found = (
                self._hints_for(name, frame, listing, hints)
                if hints or self._index.is_known(name)
                else ()
            )
            if self._visits is not None and not self._visits(frame.path, name, bool(found)):
                continue
            frame.children.append(name)
            if found:
                frame.hints[name] = found
        frame.children.sort(reverse=True)
        frame.trees = trees or None

    def _hints_for(
        self, name: str, frame: _Frame, listing: Listing, hints: "Iterable[_Hint]"
    ) -> list[_Hint]:
        found = []
        index = self._index
        for rule in index.for_name(name):
            names = evidence.beside(rule, listing)
            if names is not None:
                found.append(_Hint(rule, (), frame.path, names))
        for rule in index.by_path.get(name, ()):
            names = evidence.beside(rule, listing)
            if names is not None:
                rest = tuple(rule.directory.split("/")[1:])
                found.append(_Hint(rule, rest, frame.path, names))
        for hint in hints:
            if hint.rest and fnmatchcase(name, hint.rest[0]):
                found.append(hint._replace(rest=hint.rest[1:]))
        return found


def _inside(found: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(f"inside/{name}" for name in found or ())


def _reopen(upper: _Frame, lower_fd: int) -> bool:
    """Find the parent again whose descriptor was closed, and make sure that it is the same."""
    try:
        fd = os.open("..", _FLAGS, dir_fd=lower_fd)
    except OSError:
        return False
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) != (upper.device, upper.inode):
        os.close(fd)
        return False
    upper.fd = fd
    return True


def _lose(stack: list[_Frame]) -> "Iterator[Unreadable]":
    """Give the frames up that were moved away under the scan."""
    while stack and stack[-1].fd < 0:
        frame = stack.pop()
        if frame.children:
            yield Unreadable(frame.path, "it was moved while it was read; scan again")


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


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
