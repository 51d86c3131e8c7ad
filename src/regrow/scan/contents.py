"""Finds what a rule's tool did not make in a directory: that is somebody's own.

A file from an archive can make any directory look like a tool's. So rules list what their tools
make directly inside, and anything else shows that it is another one.
"""

import os
import re
from fnmatch import fnmatchcase, translate
from functools import lru_cache

from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from regrow.model import Rule
    from regrow.scan.evidence import Listing

NOISE = frozenset((".DS_Store", ".localized", ".directory", "desktop.ini", "Thumbs.db"))
"""What file managers leave in any directory that somebody looked into."""

TARGET = "{}"
"""In a rule's ``makes``: the name of one of its ``targets``."""

_SHOWN = 3
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Made(NamedTuple):
    """A rule's list, parsed."""

    is_any: "re.Pattern[str]"
    """Matches names of entries of any kind."""
    is_directory: "re.Pattern[str]"
    """Matches names that only a directory may have."""
    by_content: tuple[str, ...]
    """What has to stand in a directory of any name."""
    by_target: tuple[tuple[str, bool], ...]
    """What stands before a target's name, and whether an ending may follow."""


@lru_cache(256)
def _made(patterns: tuple[str, ...]) -> _Made:
    by_content = [one for one in patterns if one.startswith("*/")]
    by_target = [one for one in patterns if TARGET in one]
    plain = [one for one in patterns if one not in by_content and one not in by_target]
    return _Made(
        _any_of(one for one in plain if not one.endswith("/")),
        _any_of(one.rstrip("/") for one in plain if one.endswith("/")),
        tuple(one.removeprefix("*/") for one in by_content),
        tuple((one.partition(TARGET)[0], one.endswith(".*")) for one in by_target),
    )


def _any_of(globs: "Iterable[str]") -> "re.Pattern[str]":
    return re.compile("|".join(map(translate, globs)) or r"(?!)")


def strangers(patterns: tuple[str, ...], listing: "Listing", targets: str = "") -> list[str]:
    """Find the entries of a directory that its tool does not make.

    Args:
        patterns: what the tool makes: names and globs; with a ``/`` at the end for a directory;
            ``*/NAME`` for a directory in which that stands; with ``{}`` for a target's name.
        listing: the directory's entries.
        targets: a glob, with one ``*``, for what has a target's name in its own.

    Returns:
        The names, sorted.
    """
    made = _made(patterns)
    left = sorted(name for name in listing.names if not made.is_any.match(name))
    if not left:
        return []
    known = _targets(targets, listing)
    return [
        name
        for name in left
        if name not in NOISE
        and not _is_targets(name, made.by_target, known)
        and not _is_directory_made(name, made, listing)
    ]


def _is_directory_made(name: str, made: _Made, listing: "Listing") -> bool:
    if not listing.is_directory(name):
        return False
    return made.is_directory.match(name) is not None or any(
        listing.find(f"{name}/{inner}") for inner in made.by_content
    )


def _is_targets(name: str, forms: "Iterable[tuple[str, bool]]", targets: "Collection[str]") -> bool:
    """Return whether a name is made of a target's: ``libdemo.so.1`` of ``demo``, for example."""
    for before, has_ending in forms:
        rest = name.removeprefix(before) if name.startswith(before) else ""
        while rest:
            if rest in targets:
                return True
            rest = rest.rpartition(".")[0] if has_ending else ""
    return False


def _targets(glob: str, listing: "Listing") -> frozenset[str]:
    """Return the parts of matching names that the glob's star stands for."""
    if not glob:
        return frozenset()
    head, _, last = glob.rstrip("/").rpartition("/")
    names: Iterable[str] = listing.names
    if head:
        if not listing.is_directory(head):
            return frozenset()
        listing.consulted += (head,)
        try:
            fd = os.open(head, _FLAGS, dir_fd=listing.fd)
        except OSError:
            return frozenset()
        try:
            names = os.listdir(fd)
        finally:
            os.close(fd)
    before, _, after = last.partition("*")
    return frozenset(
        name[len(before) : len(name) - len(after)] for name in names if fnmatchcase(name, last)
    )


def foreign(rule: "Rule", listing: "Listing", found: "Sequence[str]") -> str | None:
    """Return what a directory holds that its tool does not make.

    Args:
        rule: the rule that recognises the directory.
        listing: its entries.
        found: the evidence inside it.

    Returns:
        The first names, for people; empty where nothing is foreign. None where a rule for any name
        has nothing but its evidence there: then that is what is foreign.
    """
    names = strangers(rule.makes, listing, rule.targets)
    if not names:
        return ""
    if rule.directory == "*":
        tools = len(listing.names) - len(names) - len(NOISE.intersection(listing.names))
        if tools <= len({name.partition("/")[0] for name in found}):
            return None
    return shown(names)


def shown(names: "Sequence[str]") -> str:
    """Return the first few names, for people."""
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
