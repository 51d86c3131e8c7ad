"""Evidence for rules: looked for in listings that were read already, and in little else."""

import os
import stat
from fnmatch import filter as matching
from fnmatch import fnmatchcase
from functools import lru_cache

from regrow.model import Rule
from regrow_marks.plain import TYPE_CHECKING
from regrow_marks.safe_read import UnsafeFileError, read_head

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self, TypeGuard

_CMAKE_CACHE = "CMakeCache.txt"
_CMAKE_CACHE_PLACE = "CMAKE_CACHEFILE_DIR"  # the variable for where the cache was written
_READ_LIMIT = 4 * 1024 * 1024  # bytes of CMakeCache.txt; LLVM's has 0.2 MiB
HUGE = 16 * 1024 * 1024
"""Bytes that a directory has for some 500,000 names: nothing in it counts as evidence."""
_LONGEST_PATH = 4096  # bytes; PATH_MAX of Linux
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_REMEMBERED = 4096  # pieces of evidence


_NAME, _GLOB, _BELOW = range(3)  # what a piece of evidence names


@lru_cache(_REMEMBERED)
def _understood(wanted: str) -> tuple[str, bool, int]:
    """Parse a piece of evidence. The same ones are looked for again and again.

    Returns:
        The name, whether a directory is wanted, and what the name is.
    """
    name = wanted.rstrip("/")
    form = _BELOW if "/" in name else _GLOB if any(c in name for c in "*?[") else _NAME
    return name, wanted.endswith("/"), form


class Listing:
    """A directory's entries, read once. What kind each is of is asked where it matters."""

    __slots__ = ("_by_name", "_is_closed", "consulted", "directories", "fd", "is_doubtful", "names")

    def __init__(
        self, fd: int, entries: "list[os.DirEntry[str]]", names: list[str], directories: list[str]
    ) -> None:
        """Hold what ``read`` or a scan has read.

        Args:
            fd: the directory's descriptor; it stays open while the listing is looked at.
            entries: what is in it.
            names: the entries' names.
            directories: the names of those that are directories; a link is none.
        """
        self.fd = fd
        self.names = names
        self.directories = directories
        self.consulted: tuple[str, ...] = ()
        """The directories below, as paths from this one, in which evidence was looked for."""
        self.is_doubtful = False
        """Whether evidence was looked for where no listing shows a change."""
        self._by_name: list[os.DirEntry[str]] | dict[str, os.DirEntry[str]] = entries
        self._is_closed: bool | None = None

    @classmethod
    def read(cls, fd: int) -> "Self":
        """List a directory. Raises OSError: it can't be read."""
        entries = entries_of(fd, os.fstat(fd).st_size)
        return cls(fd, entries, [entry.name for entry in entries], directories_in(entries))

    def _entry(self, name: str) -> "os.DirEntry[str] | None":
        """Return an entry. In most directories none is looked for, so the index is made late."""
        if isinstance(self._by_name, list):
            self._by_name = {entry.name: entry for entry in self._by_name}
        return self._by_name.get(name)

    def is_file(self, name: str) -> bool:
        """Return whether a regular file of that name is there: no link, and not another user's."""
        entry = self._entry(name)
        return (
            entry is not None
            and entry.is_file(follow_symlinks=False)
            and (self._is_closed or not self._is_strangers(entry))
        )

    def is_directory(self, name: str) -> bool:
        """Return whether a directory of that name is there: no link, and not another user's."""
        entry = self._entry(name)
        return (
            entry is not None
            and entry.is_dir(follow_symlinks=False)
            and (self._is_closed or not self._is_strangers(entry))
        )

    def _is_strangers(self, entry: "os.DirEntry[str]") -> bool:
        """Return whether another user put an entry into a directory that others may write to."""
        ours = (os.geteuid(), 0)
        if self._is_closed is None:
            status = os.fstat(self.fd)
            self._is_closed = status.st_uid in ours and not status.st_mode & _OTHERS_MAY_WRITE
        try:
            if self._is_closed or entry.stat(follow_symlinks=False).st_uid in ours:
                return False
        except OSError:  # it is gone: whoever opens it will see
            return False
        from regrow.system import ownership

        return bool(ownership.not_trusted(os.fstat(self.fd)))

    def find(self, wanted: str) -> str | None:
        """Find the entry that a piece of evidence names.

        Args:
            wanted: a name, a glob, or a path below the directory; a trailing ``/`` asks for a
                directory, else a regular file is asked for.

        Returns:
            The name found; None where there is none of the right kind.
        """
        name, wants_directory, form = _understood(wanted)
        if form == _BELOW:
            return name if self._below(name, wants_directory) else None
        is_kind = self.is_directory if wants_directory else self.is_file
        if form == _GLOB:
            return next(filter(is_kind, sorted(matching(self.names, name))), None)
        return name if is_kind(name) else None

    def _below(self, path: str, wants_directory: bool) -> bool:
        """Look for an entry deeper down; every step on the way must be a directory, no link."""
        head, _, rest = path.partition("/")
        if not self.is_directory(head):
            return False
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fds: list[int] = []
        try:
            here = self.fd
            *steps, name = f"{head}/{rest}".split("/")
            for depth, step in enumerate(steps, start=1):
                self.consulted += ("/".join(steps[:depth]),)
                here = os.open(step, flags, dir_fd=here)
                fds.append(here)
            if "*" in name:
                return Listing.read(here).find(name + "/" * wants_directory) is not None
            mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
        except OSError:
            return False
        finally:
            for fd in fds:
                os.close(fd)
        if wants_directory:
            return stat.S_ISDIR(mode)
        # An interpreter in an environment is a link, often into a Python that is gone.
        return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def entries_of(fd: int, size: int) -> "list[os.DirEntry[str]]":
    """Return a directory's entries; of one with a million entries, only the directories.

    Args:
        fd: the directory's descriptor.
        size: what fstat says of its size, in bytes.
    """
    if size <= HUGE:
        return list(os.scandir(fd))  # read to its end, it closes
    with os.scandir(fd) as entries:
        return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]


def directories_in(entries: "Iterable[os.DirEntry[str]]") -> list[str]:
    """Return the names of the directories among entries, without links."""
    return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def beside(rule: Rule, project: Listing) -> tuple[str, ...] | None:
    """Find a rule's evidence beside a directory.

    Args:
        rule: the rule.
        project: the directory in which the evidence has to stand.

    Returns:
        The names found; None where the rule asks for more.
    """
    return _any_and_all(rule.beside, rule.beside_all, project)


def inside(rule: Rule, directory: Listing) -> tuple[str, ...] | None:
    """Find a rule's evidence inside a directory.

    Args:
        rule: the rule.
        directory: the directory itself.

    Returns:
        The names found; None where the rule asks for more, or something stands inside that must
        not.
    """
    found = _any_and_all(rule.inside, rule.inside_all, directory)
    return None if found is None or speaks_against(rule, directory) else found


def speaks_against(rule: Rule, directory: Listing) -> bool:
    """Return whether something is inside a directory that a rule does not allow."""
    if any(_stands(name, directory) for name in rule.inside_none):
        return True
    if rule.only and _strangers(rule.only, directory):
        return True
    return bool(rule.source_outside) and not is_source_outside(rule.source_outside, directory)


def _strangers(made: tuple[str, ...], directory: Listing, targets: str = "") -> list[str]:
    from regrow.scan.contents import strangers  # most projects have nothing to ask it about

    return strangers(made, directory, targets)


def missing(rule: Rule, project: Listing | None, directory: Listing | None) -> list[str]:
    """Return in words what a rule lacks to recognise a directory; empty if it does recognise it."""
    lacking = []
    if rule.beside and (project is None or not any(project.find(n) for n in rule.beside)):
        lacking.append(f"beside it: {' or '.join(rule.beside)}")
    for name in rule.beside_all:
        if project is None or not project.find(name):
            lacking.append(f"beside it: {name}")
    if directory is None:
        return lacking
    if needs_inside(rule):
        lacking += _missing_inside(rule, directory)
    for name in rule.inside_none:
        if _stands(name, directory):
            lacking.append(f"{name} must not be inside it")
    made = rule.only or rule.makes
    extra = _strangers(made, directory, rule.targets) if made else []
    if extra:
        from regrow.scan.contents import shown

        lacking.append(f"no tool makes what else is inside it: {shown(extra)}")
    if rule.source_outside and not is_source_outside(rule.source_outside, directory):
        lacking.append("its sources must lie outside of it")
    return lacking


def _missing_inside(rule: Rule, directory: Listing) -> list[str]:
    lacking = []
    if rule.inside and not any(directory.find(name) for name in rule.inside):
        lacking.append(f"inside it: {' or '.join(rule.inside)}")
    for name in rule.inside_all:
        if not directory.find(name):
            lacking.append(f"inside it: {name}")
    return lacking


def needs_inside(rule: Rule) -> bool:
    """Return whether a rule recognises nothing without its evidence inside."""
    return (not rule.generic or rule.directory == "*") and bool(
        rule.inside or rule.inside_all or rule.inside_none or rule.only or rule.source_outside
    )


def _stands(name: str, directory: Listing) -> bool:
    """Return whether an entry of that name is inside; links and any other kind count."""
    return any(fnmatchcase(entry, name.rstrip("/")) for entry in directory.names)


def _any_and_all(
    any_of: "Iterable[str]", all_of: "Iterable[str]", listing: Listing
) -> tuple[str, ...] | None:
    found = []
    any_of = tuple(any_of)
    if any_of:
        first = next(filter(None, map(listing.find, any_of)), None)
        if first is None:
            return None
        found.append(first)
    for name in all_of:
        one = listing.find(name)
        if one is None:
            return None
        found.append(one)
    return tuple(found)


def is_source_outside(variable: str, directory: Listing) -> bool:
    """Return whether CMakeCache.txt names a source directory outside of the build directory.

    An in-source build has its CMakeCache.txt among the sources; so has a copy of one, whose cache
    names the original. Anything unclear counts as inside.
    """
    directory.is_doubtful = True
    value = cmake_variable(variable, directory)
    configured = cmake_variable(_CMAKE_CACHE_PLACE, directory)
    if not _is_sane(value) or not (configured is None or _is_sane(configured)):
        return False
    build = os.fstat(directory.fd)
    try:
        if configured is not None and not os.path.samestat(os.stat(configured), build):
            return False  # moved or copied since it was configured: who knows where the sources are
        here = os.path.realpath(value, strict=True)
        if not os.path.isdir(here):
            return False
        while not os.path.samestat(os.stat(here), build):
            if here == "/":
                return True
            here = os.path.dirname(here)
    except OSError:
        pass  # it is gone, or can't be looked at
    return False


def _is_sane(path: str | None) -> "TypeGuard[str]":
    return (
        path is not None and path.startswith("/") and "\0" not in path and len(path) < _LONGEST_PATH
    )


def cmake_variable(variable: str, directory: Listing) -> str | None:
    """Return a variable of CMakeCache.txt, whose lines are ``NAME:TYPE=value``; None: not there."""
    if not directory.is_file(_CMAKE_CACHE):
        return None
    try:
        data = read_head(_CMAKE_CACHE, _READ_LIMIT, directory.fd) or b""
    except (OSError, UnsafeFileError):  # it was replaced since the listing
        return None
    begin = (b"\n" + data).find(f"\n{variable}:".encode())
    if begin < 0:
        return None
    line = data[begin:].partition(b"\n")[0]
    return os.fsdecode(line.partition(b"=")[2].rstrip(b"\r"))
