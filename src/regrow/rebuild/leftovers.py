"""What rebuilds left beside the directories that they made anew: found, put back, or removed.

Two things leave something: a kill, and a file of the user's whose place is taken.
"""

import contextlib
import os

from regrow import unmarking
from regrow.create import aside, birth
from regrow.rebuild import trees
from regrow.rebuild.explained import Shell
from regrow.system import aside_names
from regrow.system.descend import delete
from regrow_marks.birth import PREFIX
from regrow_marks.directory import Directory, is_below, join, open_child, open_parent, split
from regrow_marks.errors import PathError, RegrowError, in_words
from regrow_marks.plain import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from regrow.records.store import Store

INTERRUPTED = "interrupted"
KEPT = "kept"
UNBORN = "unborn"

KINDS = {
    INTERRUPTED: "a rebuild, or `regrow venv --clear`, was stopped while it replaced it",
    KEPT: "it holds what no tool made",
    UNBORN: "a run was stopped before it gave the new directory its name",
}
"""By kind: what it means, for people."""

_COUNTED = 10_000  # entries; more are said to be more
_SHOWN = 5  # paths


class Leftover(NamedTuple):
    """A directory that a rebuild left."""

    path: str
    kind: str
    """One of ``KINDS``."""
    original: str
    """The path that it had; empty where that is not known."""
    entries: int
    """How many entries are in it, directories aside; at most 10,000 are counted."""
    first: tuple[str, ...]
    """The first of them."""

    @property
    def sentence(self) -> str:
        """What is in it, for people."""
        if not self.entries:
            return "empty"
        noun = "entry" if self.entries == 1 else "entries"
        more = ", …" if self.entries > len(self.first) else ""
        count = f"{self.entries:,}" if self.entries < _COUNTED else f"{_COUNTED:,} or more"
        return f"{count} {noun}: {', '.join(self.first)}{more}"


def find(recorded: "Iterable[str]", places: "Iterable[str]" = ()) -> "list[Leftover]":
    """Return by path what was left: beside what is recorded, and directly in the places given.

    Args:
        recorded: the paths of the records.
        places: true paths: only what is there and below, and the places themselves; none:
            everything.
    """
    asked = tuple(places)
    recorded = tuple(recorded)
    # A long name is not kept in the one that a directory has aside.
    originals = {
        join(parent, aside.ending(name)): join(parent, name)
        for parent, name in map(split, recorded)
    }
    parents = {split(path)[0] for path in recorded}
    if asked:
        parents = {path for path in parents if any(is_below(path, place) for place in asked)}
        parents.update(asked)
        parents.update(split(place)[0] for place in asked)
    found = {}
    for parent in sorted(parents):
        for one in _in(parent):
            if not asked or any(is_below(one.path, place) for place in asked):
                original = originals.get(one.original, one.original)
                found[one.path] = one._replace(original=original)
    return [found[path] for path in sorted(found)]


def _in(parent: str) -> "Iterator[Leftover]":
    try:
        names = sorted(os.listdir(parent))
    except OSError:
        return  # it is gone, or no directory
    for name in names:
        if not (aside_names.is_aside(name) or name.startswith(PREFIX)):
            continue
        path = join(parent, name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # a link or a file: nothing of ours
        try:
            inside = trees.left(fd, limit=_COUNTED)
        except OSError as error:
            inside = [f"it can't be read: {in_words(error)}"]
        finally:
            os.close(fd)
        yield Leftover(path, *_kind_and_original(parent, name), len(inside), tuple(inside[:_SHOWN]))


def _kind_and_original(parent: str, name: str) -> tuple[str, str]:
    if name.startswith(PREFIX):
        return UNBORN, ""
    kind = KEPT if name.startswith(aside_names.KEPT) else INTERRUPTED
    original = aside_names.original_name(name)
    return kind, join(parent, original) if original else ""


def as_line(one: Leftover) -> "dict[str, object]":
    """Return what ``--json`` prints of one."""
    return {
        "path": one.path,
        "state": "leftover",
        "kind": one.kind,
        "original": one.original or None,
        "entries": one.entries,
        "first": list(one.first),
    }


def put_back(leftover: Leftover, store: "Store") -> Leftover | None:
    """Put what was left back to its place; nothing is written over.

    Returns:
        What is left of it now, for something else stands in its place; None: it is all back.

    Raises:
        PathError: nothing could be done; the text says why.
    """
    parent_path, name = split(leftover.path)
    original = split(leftover.original)[1]
    if not original:
        raise PathError(f"{leftover.path}: what name it had is not known; rename it yourself")
    with open_parent(parent_path) as parent, open_child(parent, name) as directory:
        aside.lock(directory)
        if not parent.has(original):
            aside.put_back(parent, original, name, store)
            return None
        _merge(parent, directory, original, store)
    return next((one for one in _in(parent_path) if one.path == leftover.path), None)


def _merge(parent: Directory, directory: Directory, original: str, store: "Store") -> None:
    path = directory.path
    try:
        with open_child(parent, original) as there:
            trees.move_back(directory.fd, there.fd, Shell())
        os.rmdir(directory.name, dir_fd=parent.fd)
    except OSError:
        return  # something is left in it
    store.remove(path)


def remove_unborn(recorded: "Iterable[str]", places: "Iterable[str]" = ()) -> None:
    """Remove the empty directories that killed runs marked and gave no name yet; see ``find``."""
    for one in find(recorded, places):
        if one.kind == UNBORN:
            with contextlib.suppress(PathError, OSError), open_parent(split(one.path)[0]) as parent:
                birth.remove_leftovers(parent)


def remove(leftover: Leftover, store: "Store") -> None:
    """Delete what was left, and its record. Raises RegrowError: it can't be deleted in full."""
    parent_path, name = split(leftover.path)
    with open_parent(parent_path) as parent:
        with open_child(parent, name) as directory:
            aside.lock(directory)
            unmarking.undo(directory, store, directory.path)
        delete(name, parent.fd)
        store.remove(leftover.path)
        if parent.has(name):
            raise RegrowError(f"{leftover.path}: it can't be deleted in full; delete the rest")
